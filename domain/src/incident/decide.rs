//! The decisions on an incident that was opened: one function a command, each a rule or two.

use super::command::{IncidentStatus, Open, Priority, Severity, UpdateDetails};
use super::error::IncidentError;
use super::event::{
    Assigned, DetailsChanged, Escalated, IncidentChange, IncidentContent, IncidentEvent, PriorityChanged, Reopened,
    Resolved, SeverityChanged, StatusStep,
};
use super::{MAX_ESCALATION_LEVEL, Opened};
use crate::text::{Line, Paragraph, Reason};

type Decision = Result<Vec<IncidentEvent>, IncidentError>;

impl Opened {
    /// The present status, if an incident may go from it to `to`.
    fn step(&self, to: IncidentStatus) -> Result<IncidentStatus, IncidentError> {
        let from = self.status;
        if from.may_become(to) { Ok(from) } else { Err(IncidentError::StatusTransition { from, to }) }
    }

    fn refuse_if_closed(&self) -> Result<(), IncidentError> {
        if self.status == IncidentStatus::Closed { Err(IncidentError::Closed) } else { Ok(()) }
    }

    pub(super) fn acknowledge(&self, note: Option<Reason>) -> Decision {
        let from = self.step(IncidentStatus::Acknowledged)?;
        Ok(vec![IncidentEvent::Acknowledged(StatusStep { from, note })])
    }

    pub(super) fn investigate(&self, note: Option<Reason>) -> Decision {
        let from = self.step(IncidentStatus::Investigating)?;
        Ok(vec![IncidentEvent::InvestigationStarted(StatusStep { from, note })])
    }

    pub(super) fn resolve(&self, resolution: Option<Paragraph>, root_cause: Option<Paragraph>) -> Decision {
        let from = self.step(IncidentStatus::Resolved)?;
        Ok(vec![IncidentEvent::Resolved(Resolved { from, resolution, root_cause })])
    }

    pub(super) fn close(&self, note: Option<Reason>) -> Decision {
        let from = self.step(IncidentStatus::Closed)?;
        Ok(vec![IncidentEvent::Closed(StatusStep { from, note })])
    }

    pub(super) fn reopen(&self, reason: Reason) -> Decision {
        let from = self.step(IncidentStatus::Open)?;
        Ok(vec![IncidentEvent::Reopened(Reopened { from, reason })])
    }

    pub(super) fn assign(&self, to: Option<Line>) -> Decision {
        self.refuse_if_closed()?;
        if self.assignee == to {
            return Err(IncidentError::Unchanged { field: "assignee" });
        }
        Ok(vec![IncidentEvent::Assigned(Assigned { from: self.assignee.clone(), to })])
    }

    pub(super) fn escalate(&self, reason: Option<Reason>, to: Option<Line>) -> Decision {
        self.refuse_if_closed()?;
        if self.escalation_level >= MAX_ESCALATION_LEVEL {
            return Err(IncidentError::EscalationLimit);
        }
        let level = self.escalation_level.saturating_add(1);
        Ok(vec![IncidentEvent::Escalated(Escalated { level, reason, to })])
    }

    pub(super) fn change_severity(&self, to: Severity, reason: Option<Reason>) -> Decision {
        self.refuse_if_closed()?;
        let from = self.current.severity;
        if from == to {
            return Err(IncidentError::Unchanged { field: "severity" });
        }
        Ok(vec![IncidentEvent::SeverityChanged(SeverityChanged { from, to, reason })])
    }

    pub(super) fn change_priority(&self, to: Priority, reason: Option<Reason>) -> Decision {
        self.refuse_if_closed()?;
        let from = self.current.priority;
        if from == to {
            return Err(IncidentError::Unchanged { field: "priority" });
        }
        Ok(vec![IncidentEvent::PriorityChanged(PriorityChanged { from, to, reason })])
    }

    pub(super) fn update_details(&self, update: UpdateDetails) -> Decision {
        self.refuse_if_closed()?;
        let reason = update.reason.clone();
        let changes = effective_changes(&self.current, update);
        if changes.is_empty() {
            return Err(IncidentError::Unchanged { field: "details" });
        }
        Ok(vec![IncidentEvent::DetailsChanged(DetailsChanged { changes, reason })])
    }
}

/// What an incident is opened with: the command's fields, and the priority that its severity implies.
pub(super) fn first_content(open: Open) -> IncidentContent {
    IncidentContent {
        incident_id: open.incident_id,
        title: open.title,
        description: open.description,
        severity: open.severity,
        priority: open.priority.unwrap_or_else(|| open.severity.default_priority()),
        incident_type: open.incident_type,
        desk: open.desk,
        trader: open.trader,
        root_cause: open.root_cause,
        recommended_action: open.recommended_action,
        source_event_id: open.source_event_id,
        last_event_timestamp: open.last_event_timestamp,
        source: open.source,
        detection_method: open.detection_method,
        rule: open.rule,
        meta: open.meta,
    }
}

/// The names of the fields in which a repeated opening differs from the first.
pub(super) fn differing_fields(original: &IncidentContent, repeated: &IncidentContent) -> Vec<&'static str> {
    [
        ("incident_id", original.incident_id == repeated.incident_id),
        ("title", original.title == repeated.title),
        ("description", original.description == repeated.description),
        ("severity", original.severity == repeated.severity),
        ("priority", original.priority == repeated.priority),
        ("incident_type", original.incident_type == repeated.incident_type),
        ("desk", original.desk == repeated.desk),
        ("trader", original.trader == repeated.trader),
        ("root_cause", original.root_cause == repeated.root_cause),
        ("recommended_action", original.recommended_action == repeated.recommended_action),
        ("source_event_id", original.source_event_id == repeated.source_event_id),
        ("last_event_timestamp", original.last_event_timestamp == repeated.last_event_timestamp),
        ("detection_method", original.detection_method == repeated.detection_method),
        ("rule", original.rule == repeated.rule),
        ("meta", original.meta == repeated.meta),
    ]
    .into_iter()
    .filter_map(|(field, same)| (!same).then_some(field))
    .collect()
}

/// The changes that change something, in a fixed order.
fn effective_changes(current: &IncidentContent, update: UpdateDetails) -> Vec<IncidentChange> {
    let current = current.clone();
    let candidates = [
        update.title.map(|new| IncidentChange::Title { old: current.title, new }),
        update.description.requested().map(|new| IncidentChange::Description { old: current.description, new }),
        update.incident_type.map(|new| IncidentChange::IncidentType { old: current.incident_type, new }),
        update.desk.requested().map(|new| IncidentChange::Desk { old: current.desk, new }),
        update.trader.requested().map(|new| IncidentChange::Trader { old: current.trader, new }),
        update.root_cause.requested().map(|new| IncidentChange::RootCause { old: current.root_cause, new }),
        update
            .recommended_action
            .requested()
            .map(|new| IncidentChange::RecommendedAction { old: current.recommended_action, new }),
    ];
    candidates.into_iter().flatten().filter(changes_something).collect()
}

fn changes_something(change: &IncidentChange) -> bool {
    match change {
        IncidentChange::Title { old, new } => old != new,
        IncidentChange::IncidentType { old, new } => old != new,
        IncidentChange::Desk { old, new } | IncidentChange::Trader { old, new } => old != new,
        IncidentChange::Description { old, new }
        | IncidentChange::RootCause { old, new }
        | IncidentChange::RecommendedAction { old, new } => old != new,
    }
}
