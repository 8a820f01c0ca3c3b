//! What happened to an incident, as it is stored.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::command::{DetectionMethod, IncidentStatus, IncidentType, Priority, RuleReference, Severity};
use crate::meta::Meta;
use crate::personal::PersonalText;
use crate::text::{IncidentId, Line, Paragraph, Reason, RemarkId};
use crate::time::Timestamp;

/// An event of an incident. As JSON: `{"event_type": "incident.opened", "payload": {...}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event_type", content = "payload")]
pub enum IncidentEvent {
    /// The incident was opened.
    #[serde(rename = "incident.opened")]
    Opened(Box<IncidentContent>),
    /// Somebody took notice.
    #[serde(rename = "incident.acknowledged")]
    Acknowledged(StatusStep),
    /// Somebody started to look into it.
    #[serde(rename = "incident.investigation_started")]
    InvestigationStarted(StatusStep),
    /// Its cause is dealt with.
    #[serde(rename = "incident.resolved")]
    Resolved(Resolved),
    /// It is finished.
    #[serde(rename = "incident.closed")]
    Closed(StatusStep),
    /// It is open again.
    #[serde(rename = "incident.reopened")]
    Reopened(Reopened),
    /// It was given to somebody, or to nobody.
    #[serde(rename = "incident.assigned")]
    Assigned(Assigned),
    /// Its escalation level rose.
    #[serde(rename = "incident.escalated")]
    Escalated(Escalated),
    /// Somebody said something about it.
    #[serde(rename = "incident.commented")]
    Commented(Commented),
    /// It is more or less severe than thought.
    #[serde(rename = "incident.severity_changed")]
    SeverityChanged(SeverityChanged),
    /// Its turn changed.
    #[serde(rename = "incident.priority_changed")]
    PriorityChanged(PriorityChanged),
    /// What is known about it changed.
    #[serde(rename = "incident.details_changed")]
    DetailsChanged(DetailsChanged),
}

/// The content of an incident: the payload of `incident.opened`, and the state that later events change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentContent {
    /// Its id.
    pub incident_id: IncidentId,
    /// What it is, in one line.
    pub title: Line,
    /// What happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Paragraph>,
    /// How bad it is.
    pub severity: Severity,
    /// When its turn is.
    pub priority: Priority,
    /// Its kind.
    pub incident_type: IncidentType,
    /// The desk concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desk: Option<Line>,
    /// The trader concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trader: Option<Line>,
    /// What caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_cause: Option<Paragraph>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recommended_action: Option<Paragraph>,
    /// The record or event that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_event_id: Option<Line>,
    /// When that last happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_event_timestamp: Option<Timestamp>,
    /// What opened it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Line>,
    /// What noticed it.
    pub detection_method: DetectionMethod,
    /// Which rule or model, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleReference>,
    /// The client's further fields.
    #[serde(default, skip_serializing_if = "Meta::is_empty")]
    pub meta: Meta,
}

impl IncidentContent {
    /// Takes over the new value of a change.
    pub fn apply(&mut self, change: &IncidentChange) {
        match change.clone() {
            IncidentChange::Title { new, .. } => self.title = new,
            IncidentChange::Description { new, .. } => self.description = new,
            IncidentChange::IncidentType { new, .. } => self.incident_type = new,
            IncidentChange::Desk { new, .. } => self.desk = new,
            IncidentChange::Trader { new, .. } => self.trader = new,
            IncidentChange::RootCause { new, .. } => self.root_cause = new,
            IncidentChange::RecommendedAction { new, .. } => self.recommended_action = new,
        }
    }
}

/// Payload of the plain steps `incident.acknowledged`, `.investigation_started` and `.closed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusStep {
    /// The status it had.
    pub from: IncidentStatus,
    /// A remark on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Reason>,
}

/// Payload of `incident.resolved`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resolved {
    /// The status it had.
    pub from: IncidentStatus,
    /// How it was resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Paragraph>,
    /// What the cause was, where this was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_cause: Option<Paragraph>,
}

/// Payload of `incident.reopened`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reopened {
    /// The status it had.
    pub from: IncidentStatus,
    /// Why.
    pub reason: Reason,
}

/// Payload of `incident.assigned`. `null` is nobody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assigned {
    /// Who had it.
    pub from: Option<Line>,
    /// Who has it now.
    pub to: Option<Line>,
}

/// Payload of `incident.escalated`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Escalated {
    /// The level it has now, 1 to 5.
    pub level: u8,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// To whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Line>,
}

/// Payload of `incident.commented`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commented {
    /// The comment's id.
    pub comment_id: RemarkId,
    /// What it says: sealed with its author's key where a person wrote it, in clear where a program did. Older entries have
    /// every comment in clear.
    pub text: PersonalText<Paragraph>,
}

/// Payload of `incident.severity_changed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeverityChanged {
    /// The severity it had.
    pub from: Severity,
    /// The severity it has now.
    pub to: Severity,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// Payload of `incident.priority_changed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PriorityChanged {
    /// The priority it had.
    pub from: Priority,
    /// The priority it has now.
    pub to: Priority,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// Payload of `incident.details_changed`: what changed, with old and new values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetailsChanged {
    /// One item a field that changed; never empty.
    pub changes: Vec<IncidentChange>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// One changed field. As JSON: `{"field": "desk", "old": null, "new": "rates"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "field", rename_all = "snake_case")]
#[expect(missing_docs, reason = "every variant holds the value before and the value after")]
pub enum IncidentChange {
    /// What it is.
    Title { old: Line, new: Line },
    /// What happened.
    Description { old: Option<Paragraph>, new: Option<Paragraph> },
    /// Its kind.
    IncidentType { old: IncidentType, new: IncidentType },
    /// The desk concerned.
    Desk { old: Option<Line>, new: Option<Line> },
    /// The trader concerned.
    Trader { old: Option<Line>, new: Option<Line> },
    /// What caused it.
    RootCause { old: Option<Paragraph>, new: Option<Paragraph> },
    /// What to do about it.
    RecommendedAction { old: Option<Paragraph>, new: Option<Paragraph> },
}

impl IncidentChange {
    /// The name of the field, as in JSON.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Title { .. } => "title",
            Self::Description { .. } => "description",
            Self::IncidentType { .. } => "incident_type",
            Self::Desk { .. } => "desk",
            Self::Trader { .. } => "trader",
            Self::RootCause { .. } => "root_cause",
            Self::RecommendedAction { .. } => "recommended_action",
        }
    }
}

impl IncidentEvent {
    /// The wire name, `incident.opened`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Opened(_) => "incident.opened",
            Self::Acknowledged(_) => "incident.acknowledged",
            Self::InvestigationStarted(_) => "incident.investigation_started",
            Self::Resolved(_) => "incident.resolved",
            Self::Closed(_) => "incident.closed",
            Self::Reopened(_) => "incident.reopened",
            Self::Assigned(_) => "incident.assigned",
            Self::Escalated(_) => "incident.escalated",
            Self::Commented(_) => "incident.commented",
            Self::SeverityChanged(_) => "incident.severity_changed",
            Self::PriorityChanged(_) => "incident.priority_changed",
            Self::DetailsChanged(_) => "incident.details_changed",
        }
    }

    /// The status the incident has after this event, if the event decides it.
    pub fn status_after(&self) -> Option<IncidentStatus> {
        match self {
            Self::Opened(_) | Self::Reopened(_) => Some(IncidentStatus::Open),
            Self::Acknowledged(_) => Some(IncidentStatus::Acknowledged),
            Self::InvestigationStarted(_) => Some(IncidentStatus::Investigating),
            Self::Resolved(_) => Some(IncidentStatus::Resolved),
            Self::Closed(_) => Some(IncidentStatus::Closed),
            Self::Assigned(_)
            | Self::Escalated(_)
            | Self::Commented(_)
            | Self::SeverityChanged(_)
            | Self::PriorityChanged(_)
            | Self::DetailsChanged(_) => None,
        }
    }
}

impl DomainEvent for IncidentEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        crate::events::SCHEMA_VERSION.to_string()
    }
}
