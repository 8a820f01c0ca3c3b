//! An incident as commands answer it.

use daybook_domain::Incident;
use daybook_ledger::commands::Outcome;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use daybook_http_kit::answer::Recorded;
use daybook_ledger::keys::time::rfc3339;

/// An incident as it is after the command.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = IncidentState)]
pub struct IncidentView {
    /// Its id.
    pub incident_id: String,
    /// What it is.
    pub title: Option<String>,
    /// What happened.
    pub description: Option<String>,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: Option<&'static str>,
    /// `open`, `acknowledged`, `investigating`, `resolved` or `closed`.
    pub status: Option<&'static str>,
    /// Its kind.
    #[serde(rename = "type")]
    pub incident_type: Option<String>,
    /// 1 (first) to 5.
    pub priority: Option<u8>,
    /// The desk concerned.
    pub desk: Option<String>,
    /// The trader concerned.
    pub trader: Option<String>,
    /// What caused it.
    pub root_cause: Option<String>,
    /// What to do about it.
    pub recommended_action: Option<String>,
    /// The record or event that it is about.
    pub source_event_id: Option<String>,
    /// When that last happened.
    pub last_event_timestamp: Option<String>,
    /// `manual`, `rule` or `model`.
    pub detection_method: Option<&'static str>,
    /// Who has it.
    pub assigned_to: Option<String>,
    /// 0 (not escalated) to 5.
    pub escalation_level: u8,
    /// To whom it was last escalated.
    pub escalated_to: Option<String>,
    /// How it was resolved, while it is.
    pub resolution: Option<String>,
    /// How many comments are on it.
    pub comment_count: usize,
    /// The client's further fields.
    #[schema(value_type = Object)]
    pub meta: Map<String, Value>,
}

/// The answer to a command on an incident.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct IncidentAnswer {
    /// What happened, in words.
    #[schema(example = "Incident resolved")]
    pub detail: &'static str,
    /// The incident.
    #[serde(flatten)]
    pub incident: IncidentView,
    /// When it last changed: the same as `recorded_at`.
    pub updated_at: String,
    /// The remark that came with the status, where a status was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// Version, time and receipt.
    #[serde(flatten)]
    pub recorded: Recorded,
}

impl IncidentView {
    /// The incident `id` in this state.
    pub fn new(id: &str, incident: &Incident) -> Self {
        let content = incident.content();
        Self {
            incident_id: id.to_owned(),
            title: content.map(|content| content.title.to_string()),
            description: content.and_then(|content| content.description.as_ref()).map(ToString::to_string),
            severity: content.map(|content| content.severity.as_str()),
            status: incident.status().map(|status| status.as_str()),
            incident_type: content.map(|content| content.incident_type.to_string()),
            priority: content.map(|content| content.priority.get()),
            desk: content.and_then(|content| content.desk.as_ref()).map(ToString::to_string),
            trader: content.and_then(|content| content.trader.as_ref()).map(ToString::to_string),
            root_cause: content.and_then(|content| content.root_cause.as_ref()).map(ToString::to_string),
            recommended_action: content
                .and_then(|content| content.recommended_action.as_ref())
                .map(ToString::to_string),
            source_event_id: content.and_then(|content| content.source_event_id.as_ref()).map(ToString::to_string),
            last_event_timestamp: content.and_then(|content| content.last_event_timestamp).map(|time| time.to_string()),
            detection_method: content.map(|content| content.detection_method.as_str()),
            assigned_to: incident.assignee().map(ToString::to_string),
            escalation_level: incident.escalation_level(),
            escalated_to: incident.escalated_to().map(ToString::to_string),
            resolution: incident.resolution().map(ToString::to_string),
            comment_count: incident.comment_ids().len(),
            meta: content.map(|content| content.meta.fields().clone()).unwrap_or_default(),
        }
    }
}

impl IncidentAnswer {
    /// From a command's outcome; `detail` says in words what it was.
    pub fn of(outcome: &Outcome<Incident>, detail: &'static str) -> Self {
        Self {
            detail,
            incident: IncidentView::new(&outcome.id, &outcome.aggregate),
            updated_at: rfc3339(outcome.recorded_at),
            notes: None,
            recorded: Recorded::of(outcome),
        }
    }
}
