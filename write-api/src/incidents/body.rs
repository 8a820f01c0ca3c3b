//! The bodies of commands on incidents, and how they become commands.

use daybook_domain::incident::{
    DetectionMethod, IncidentCommand, IncidentStatus, IncidentType, Open, Priority, Severity, UpdateDetails,
};
use daybook_domain::meta::Meta;
use daybook_domain::text::{IncidentId, InvalidField, Line, Paragraph, Reason, RemarkId};
use daybook_domain::{Patch, Timestamp};
use daybook_http_kit::Problem;
use daybook_http_kit::query::either;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::faults::Faults;

/// Said where a predecessor's client reopens an incident without saying why.
const REOPENED_WITHOUT_REASON: &str = "no reason was given";

/// Text, or a whole number taken as text: the predecessors' ids of people were numbers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(untagged, expecting = "must be text or a whole number")]
pub enum TextOrNumber {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl TextOrNumber {
    /// As text.
    pub fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

/// An incident to open.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenBody {
    /// Its id, at most 200 bytes on one line. One is made if it is absent.
    pub incident_id: Option<String>,
    /// What it is, in one line of at most 200 characters.
    #[schema(example = "Settlement of desk 4 is late")]
    pub title: String,
    /// What happened: at most 10,000 characters.
    pub description: Option<String>,
    /// `low`, `medium`, `high` or `critical`.
    #[schema(example = "high")]
    pub severity: String,
    /// 1 (first) to 5. Without it, the severity decides.
    #[schema(minimum = 1, maximum = 5)]
    pub priority: Option<i64>,
    /// Its kind, a snake_case word such as `stuck_order`. Also taken as `incident_type`.
    #[serde(rename = "type", alias = "incident_type")]
    #[schema(example = "settlement_failure")]
    pub incident_type: String,
    /// The desk concerned.
    pub desk: Option<String>,
    /// The trader concerned.
    pub trader: Option<String>,
    /// What caused it.
    pub root_cause: Option<String>,
    /// What to do about it.
    pub recommended_action: Option<String>,
    /// The record or event that it is about, such as a transaction's id.
    pub source_event_id: Option<String>,
    /// When that last happened, RFC 3339.
    pub last_event_timestamp: Option<String>,
    /// `manual` (the default), `rule` or `model`.
    pub detection_method: Option<String>,
    /// The client's further fields: at most 16 KiB, 8 levels.
    #[schema(value_type = Option<Object>)]
    pub meta: Option<Map<String, Value>>,
}

impl OpenBody {
    /// The command. `id` stands in for a missing incident id.
    pub fn command(self, id: String) -> Result<Open, Problem> {
        let mut faults = Faults::default();
        let incident_id = faults.check(incident_id(self.incident_id.unwrap_or(id)));
        let title = faults.check(Line::parse("/title", self.title));
        let description = faults.check(Paragraph::parse_optional("/description", self.description));
        let severity = faults.check(Severity::parse("/severity", &self.severity));
        let priority = self.priority.and_then(|number| faults.check(Priority::parse("/priority", number)));
        let incident_type = faults.check(IncidentType::parse("/type", self.incident_type));
        let desk = faults.check(Line::parse_optional("/desk", self.desk));
        let trader = faults.check(Line::parse_optional("/trader", self.trader));
        let root_cause = faults.check(Paragraph::parse_optional("/root_cause", self.root_cause));
        let recommended_action =
            faults.check(Paragraph::parse_optional("/recommended_action", self.recommended_action));
        let source_event_id = faults.check(Line::parse_optional("/source_event_id", self.source_event_id));
        let last_event_timestamp = self.last_event_timestamp.as_deref();
        let last_event_timestamp =
            faults.check(Timestamp::parse_optional("/last_event_timestamp", last_event_timestamp));
        let detection_method = match self.detection_method {
            None => Some(DetectionMethod::Manual),
            Some(word) => faults.check(DetectionMethod::parse("/detection_method", &word)),
        };
        let meta = faults.check(Meta::parse("/meta", self.meta.unwrap_or_default()));
        let source = faults.check(Line::parse("", "api"));
        faults.none()?;
        let (Some(incident_id), Some(title), Some(severity), Some(incident_type), Some(detection_method), Some(meta)) =
            (incident_id, title, severity, incident_type, detection_method, meta)
        else {
            return Err(faults.problem());
        };
        Ok(Open {
            incident_id,
            title,
            description: description.flatten(),
            severity,
            priority,
            incident_type,
            desk: desk.flatten(),
            trader: trader.flatten(),
            root_cause: root_cause.flatten(),
            recommended_action: recommended_action.flatten(),
            source_event_id: source_event_id.flatten(),
            last_event_timestamp: last_event_timestamp.flatten(),
            source,
            detection_method,
            rule: None,
            meta,
        })
    }
}

fn incident_id(id: String) -> Result<IncidentId, InvalidField> {
    if id == "bulk" {
        return Err(InvalidField::new("/incident_id", "bulk is a word of the API"));
    }
    IncidentId::parse("/incident_id", id)
}

/// A remark on a step.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IncidentNoteBody)]
pub struct NoteBody {
    /// A remark on it: at most 2,000 characters. Also taken as `notes` and `reason`.
    #[serde(alias = "notes", alias = "reason")]
    pub note: Option<String>,
}

impl NoteBody {
    pub(crate) fn note(self) -> Result<Option<Reason>, InvalidField> {
        Reason::parse_optional("/note", self.note)
    }
}

/// How an incident was resolved.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveBody {
    /// How: at most 10,000 characters. Also taken as `notes` and `reason`.
    #[serde(alias = "notes", alias = "reason")]
    pub resolution: Option<String>,
    /// What the cause was, if it is to be set.
    pub root_cause: Option<String>,
}

/// The same as query parameters.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ResolveParameters {
    /// How; in the query or in the body. Also taken as `notes` and `reason`.
    #[serde(alias = "notes", alias = "reason")]
    pub resolution: Option<String>,
}

/// The command of the two together.
pub(crate) fn resolve(body: ResolveBody, parameters: &ResolveParameters) -> Result<IncidentCommand, Problem> {
    let resolution = either("resolution", body.resolution, parameters.resolution.clone())?;
    let parsed = || {
        Ok(IncidentCommand::Resolve {
            resolution: Paragraph::parse_optional("/resolution", resolution)?,
            root_cause: Paragraph::parse_optional("/root_cause", body.root_cause)?,
        })
    };
    parsed().map_err(crate::problems::invalid)
}

/// Why an incident is reopened.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonBody {
    /// Why: at most 2,000 characters. Also taken as `notes`.
    #[serde(alias = "notes")]
    pub reason: Option<String>,
}

/// The same as a query parameter.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReopenParameters {
    /// Why; in the query or in the body. Also taken as `notes`.
    #[serde(alias = "notes")]
    pub reason: Option<String>,
}

/// The command of the two together.
pub(crate) fn reopen(body: ReasonBody, parameters: &ReopenParameters) -> Result<IncidentCommand, Problem> {
    let reason = either("reason", body.reason, parameters.reason.clone())?
        .ok_or_else(|| Problem::invalid("/reason", "is required, in the body or in the query"))?;
    Ok(IncidentCommand::Reopen { reason: Reason::parse("/reason", reason).map_err(crate::problems::invalid)? })
}

/// Whom an incident is given to.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignBody {
    /// Id of a person, agent or team; `null` takes it from whoever has it.
    #[serde(default)]
    #[schema(value_type = Option<TextOrNumber>)]
    pub assigned_to: Patch<TextOrNumber>,
}

/// The same as a query parameter.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AssignParameters {
    /// Id of a person, agent or team; in the query or in the body.
    pub assigned_to: Option<String>,
}

/// The command of the two together: either says it, both may say the same.
pub(crate) fn assign(body: AssignBody, parameters: &AssignParameters) -> Result<IncidentCommand, Problem> {
    let assignee = either_patch("assigned_to", body.assigned_to.try_map(text)?, parameters.assigned_to.clone())?;
    let Some(assignee) = assignee.requested() else {
        return Err(Problem::invalid("/assigned_to", "is required, in the body or in the query"));
    };
    let assignee = Line::parse_optional("/assigned_to", assignee).map_err(crate::problems::invalid)?;
    Ok(IncidentCommand::Assign { assignee })
}

fn text(value: TextOrNumber) -> Result<String, Problem> {
    Ok(value.into_text())
}

/// As [`either`], for what can be cleared.
fn either_patch(name: &str, body: Patch<String>, query: Option<String>) -> Result<Patch<String>, Problem> {
    match (body, query) {
        (Patch::Keep, query) => Ok(Patch::from(query)),
        (body, None) => Ok(body),
        (Patch::Set(body), Some(query)) if body == query => Ok(Patch::Set(body)),
        _ => Err(Problem::contradiction(name)),
    }
}

/// A comment.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommentBody {
    /// What it says: at most 10,000 characters. Also taken as `text`.
    #[serde(alias = "text")]
    pub comment: Option<String>,
    /// The comment's id, unique in the incident. One is made if it is absent.
    pub comment_id: Option<String>,
}

/// The same as a query parameter.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CommentParameters {
    /// What it says; in the query or in the body.
    pub comment: Option<String>,
}

/// The comment's id and what it says, of the two together. `id` stands in for a missing comment id.
pub(crate) fn comment(
    body: CommentBody,
    parameters: &CommentParameters,
    id: String,
) -> Result<(RemarkId, Paragraph), Problem> {
    let comment = either("comment", body.comment, parameters.comment.clone())?
        .ok_or_else(|| Problem::invalid("/comment", "is required, in the body or in the query"))?;
    let parsed = || {
        let comment_id = RemarkId::parse("/comment_id", body.comment_id.unwrap_or(id))?;
        Ok((comment_id, Paragraph::parse("/comment", comment)?))
    };
    parsed().map_err(crate::problems::invalid)
}

/// An escalation.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalateBody {
    /// Why. Also taken as `notes`.
    #[serde(alias = "notes")]
    pub reason: Option<String>,
    /// To whom.
    pub to: Option<String>,
}

/// The same as query parameters.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EscalateParameters {
    /// Why; in the query or in the body. Also taken as `notes`.
    #[serde(alias = "notes")]
    pub reason: Option<String>,
    /// To whom; in the query or in the body.
    pub to: Option<String>,
}

/// The command of the two together.
pub(crate) fn escalate(body: EscalateBody, parameters: &EscalateParameters) -> Result<IncidentCommand, Problem> {
    let reason = either("reason", body.reason, parameters.reason.clone())?;
    let to = either("to", body.to, parameters.to.clone())?;
    let parsed = || {
        Ok(IncidentCommand::Escalate {
            reason: Reason::parse_optional("/reason", reason)?,
            to: Line::parse_optional("/to", to)?,
        })
    };
    parsed().map_err(crate::problems::invalid)
}

/// A new severity.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeverityBody {
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// Why.
    pub reason: Option<String>,
}

impl SeverityBody {
    pub(crate) fn command(self) -> Result<IncidentCommand, InvalidField> {
        Ok(IncidentCommand::ChangeSeverity {
            severity: Severity::parse("/severity", &self.severity)?,
            reason: Reason::parse_optional("/reason", self.reason)?,
        })
    }
}

/// A new priority.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriorityBody {
    /// 1 (first) to 5.
    #[schema(minimum = 1, maximum = 5)]
    pub priority: i64,
    /// Why.
    pub reason: Option<String>,
}

impl PriorityBody {
    pub(crate) fn command(self) -> Result<IncidentCommand, InvalidField> {
        Ok(IncidentCommand::ChangePriority {
            priority: Priority::parse("/priority", self.priority)?,
            reason: Reason::parse_optional("/reason", self.reason)?,
        })
    }
}

/// What is known about an incident now: what is absent stays, and `null` clears what may be empty.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailsBody {
    /// The right title.
    pub title: Option<String>,
    /// The right description, or none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub description: Patch<String>,
    /// The right kind. Also taken as `incident_type`.
    #[serde(rename = "type", alias = "incident_type")]
    pub incident_type: Option<String>,
    /// The right desk, or none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub desk: Patch<String>,
    /// The right trader, or none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub trader: Patch<String>,
    /// The right cause, or none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub root_cause: Patch<String>,
    /// The right recommendation, or none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub recommended_action: Patch<String>,
    /// Why.
    pub reason: Option<String>,
}

impl DetailsBody {
    pub(crate) fn command(self) -> Result<IncidentCommand, Problem> {
        let mut faults = Faults::default();
        let title = faults.check(Line::parse_optional("/title", self.title));
        let description = faults.check(self.description.try_map(|text| Paragraph::parse("/description", text)));
        let incident_type = self.incident_type.and_then(|word| faults.check(IncidentType::parse("/type", word)));
        let desk = faults.check(self.desk.try_map(|text| Line::parse("/desk", text)));
        let trader = faults.check(self.trader.try_map(|text| Line::parse("/trader", text)));
        let root_cause = faults.check(self.root_cause.try_map(|text| Paragraph::parse("/root_cause", text)));
        let recommended_action =
            faults.check(self.recommended_action.try_map(|text| Paragraph::parse("/recommended_action", text)));
        let reason = faults.check(Reason::parse_optional("/reason", self.reason));
        faults.none()?;
        Ok(IncidentCommand::UpdateDetails(Box::new(UpdateDetails {
            title: title.flatten(),
            description: description.unwrap_or_default(),
            incident_type,
            desk: desk.unwrap_or_default(),
            trader: trader.unwrap_or_default(),
            root_cause: root_cause.unwrap_or_default(),
            recommended_action: recommended_action.unwrap_or_default(),
            reason: reason.flatten(),
        })))
    }
}

/// A status as the predecessors' clients set it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchStatusBody {
    /// `open`, `acknowledged` (or `triaged`), `investigating`, `resolved`, `closed`, or `escalated`.
    #[schema(example = "investigating")]
    pub status: String,
    /// A remark on it.
    pub notes: Option<String>,
}

impl PatchStatusBody {
    /// The status that is asked for and the command that leads there. Escalation is not a status: it has none.
    pub(crate) fn command(self) -> Result<(Option<IncidentStatus>, IncidentCommand), InvalidField> {
        let word = match self.status.as_str() {
            "triaged" => IncidentStatus::Acknowledged.as_str(),
            "escalated" => {
                let reason = Reason::parse_optional("/notes", self.notes)?;
                return Ok((None, IncidentCommand::Escalate { reason, to: None }));
            }
            other => other,
        };
        let status = IncidentStatus::parse("/status", word)?;
        let command = match status {
            IncidentStatus::Open => {
                let reason = self.notes.unwrap_or_else(|| REOPENED_WITHOUT_REASON.to_owned());
                IncidentCommand::Reopen { reason: Reason::parse("/notes", reason)? }
            }
            IncidentStatus::Acknowledged => {
                IncidentCommand::Acknowledge { note: Reason::parse_optional("/notes", self.notes)? }
            }
            IncidentStatus::Investigating => {
                IncidentCommand::Investigate { note: Reason::parse_optional("/notes", self.notes)? }
            }
            IncidentStatus::Resolved => IncidentCommand::Resolve {
                resolution: Paragraph::parse_optional("/notes", self.notes)?,
                root_cause: None,
            },
            IncidentStatus::Closed => IncidentCommand::Close { note: Reason::parse_optional("/notes", self.notes)? },
        };
        Ok((Some(status), command))
    }
}
