//! One incident: opened, handled step by step, resolved and closed, and opened again where that was too early.
//!
//! Escalation is a level beside the status, not a status. Who may do what is decided elsewhere.

mod command;
mod decide;
mod error;
mod event;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use command::{
    DetectionMethod, IncidentCommand, IncidentStatus, IncidentType, KNOWN_INCIDENT_TYPES, Open, Priority,
    RuleReference, Severity, UpdateDetails,
};
pub use error::IncidentError;
pub use event::{
    Assigned, Commented, DetailsChanged, Escalated, IncidentChange, IncidentContent, IncidentEvent, PriorityChanged,
    Reopened, Resolved, SeverityChanged, StatusStep,
};

use crate::personal::PersonalText;
use crate::text::{IncidentId, Line, Paragraph, RemarkId};

/// The highest escalation level. An incident starts at 0.
pub const MAX_ESCALATION_LEVEL: u8 = 5;
/// Most comments on one incident.
pub const MAX_COMMENTS: usize = 1_000;

/// An incident. The default value is one that was never opened.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Incident {
    opened: Option<Opened>,
    comment_ids: BTreeSet<RemarkId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Opened {
    original: IncidentContent,
    current: IncidentContent,
    status: IncidentStatus,
    assignee: Option<Line>,
    escalation_level: u8,
    escalated_to: Option<Line>,
    resolution: Option<Paragraph>,
}

impl Incident {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 1;
    /// Traders, descriptions and comments may name people.
    pub const HOLDS_PERSONAL_DATA: bool = true;

    /// Whether it was opened.
    pub fn exists(&self) -> bool {
        self.opened.is_some()
    }

    /// Its id.
    pub fn incident_id(&self) -> Option<&IncidentId> {
        self.original().map(|content| &content.incident_id)
    }

    /// What it was opened with.
    pub fn original(&self) -> Option<&IncidentContent> {
        self.opened.as_ref().map(|opened| &opened.original)
    }

    /// What holds now, changes of severity, priority and details included.
    pub fn content(&self) -> Option<&IncidentContent> {
        self.opened.as_ref().map(|opened| &opened.current)
    }

    /// Its status.
    pub fn status(&self) -> Option<IncidentStatus> {
        self.opened.as_ref().map(|opened| opened.status)
    }

    /// Who has it.
    pub fn assignee(&self) -> Option<&Line> {
        self.opened.as_ref().and_then(|opened| opened.assignee.as_ref())
    }

    /// 0 (not escalated) to [`MAX_ESCALATION_LEVEL`].
    pub fn escalation_level(&self) -> u8 {
        self.opened.as_ref().map_or(0, |opened| opened.escalation_level)
    }

    /// To whom it was last escalated, where this was said.
    pub fn escalated_to(&self) -> Option<&Line> {
        self.opened.as_ref().and_then(|opened| opened.escalated_to.as_ref())
    }

    /// How it was resolved, while it is.
    pub fn resolution(&self) -> Option<&Paragraph> {
        self.opened.as_ref().and_then(|opened| opened.resolution.as_ref())
    }

    /// The ids of the comments on it.
    pub fn comment_ids(&self) -> &BTreeSet<RemarkId> {
        &self.comment_ids
    }

    /// What the command leads to. No events: it asks for what is already so.
    pub fn decide(&self, command: IncidentCommand) -> Result<Vec<IncidentEvent>, IncidentError> {
        match (&self.opened, command) {
            (None, IncidentCommand::Open(open)) => {
                Ok(vec![IncidentEvent::Opened(Box::new(decide::first_content(*open)))])
            }
            (Some(opened), IncidentCommand::Open(open)) => {
                let fields = decide::differing_fields(&opened.original, &decide::first_content(*open));
                if fields.is_empty() { Ok(Vec::new()) } else { Err(IncidentError::Exists { fields }) }
            }
            (None, _) => Err(IncidentError::NotFound),
            (Some(_), IncidentCommand::Comment { comment_id, text }) => self.comment(comment_id, text),
            (Some(opened), IncidentCommand::Acknowledge { note }) => opened.acknowledge(note),
            (Some(opened), IncidentCommand::Investigate { note }) => opened.investigate(note),
            (Some(opened), IncidentCommand::Resolve { resolution, root_cause }) => {
                opened.resolve(resolution, root_cause)
            }
            (Some(opened), IncidentCommand::Close { note }) => opened.close(note),
            (Some(opened), IncidentCommand::Reopen { reason }) => opened.reopen(reason),
            (Some(opened), IncidentCommand::Assign { assignee }) => opened.assign(assignee),
            (Some(opened), IncidentCommand::Escalate { reason, to }) => opened.escalate(reason, to),
            (Some(opened), IncidentCommand::ChangeSeverity { severity, reason }) => {
                opened.change_severity(severity, reason)
            }
            (Some(opened), IncidentCommand::ChangePriority { priority, reason }) => {
                opened.change_priority(priority, reason)
            }
            (Some(opened), IncidentCommand::UpdateDetails(update)) => opened.update_details(*update),
        }
    }

    fn comment(
        &self,
        comment_id: RemarkId,
        text: PersonalText<Paragraph>,
    ) -> Result<Vec<IncidentEvent>, IncidentError> {
        if self.comment_ids.contains(&comment_id) {
            return Err(IncidentError::CommentExists { comment_id });
        }
        if self.comment_ids.len() >= MAX_COMMENTS {
            return Err(IncidentError::TooManyComments);
        }
        Ok(vec![IncidentEvent::Commented(Commented { comment_id, text })])
    }
}

impl Opened {
    fn new(content: IncidentContent) -> Self {
        Self {
            original: content.clone(),
            current: content,
            status: IncidentStatus::Open,
            assignee: None,
            escalation_level: 0,
            escalated_to: None,
            resolution: None,
        }
    }

    fn apply(&mut self, event: IncidentEvent) {
        if let Some(status) = event.status_after() {
            self.status = status;
        }
        match event {
            IncidentEvent::Resolved(event) => {
                self.resolution = event.resolution;
                if event.root_cause.is_some() {
                    self.current.root_cause = event.root_cause;
                }
            }
            IncidentEvent::Reopened(_) => self.resolution = None,
            IncidentEvent::Assigned(event) => self.assignee = event.to,
            IncidentEvent::Escalated(event) => {
                self.escalation_level = event.level;
                if event.to.is_some() {
                    self.escalated_to = event.to;
                }
            }
            IncidentEvent::SeverityChanged(event) => self.current.severity = event.to,
            IncidentEvent::PriorityChanged(event) => self.current.priority = event.to,
            IncidentEvent::DetailsChanged(event) => {
                for change in &event.changes {
                    self.current.apply(change);
                }
            }
            IncidentEvent::Opened(_)
            | IncidentEvent::Acknowledged(_)
            | IncidentEvent::InvestigationStarted(_)
            | IncidentEvent::Closed(_)
            | IncidentEvent::Commented(_) => {}
        }
    }
}

impl Aggregate for Incident {
    const TYPE: &'static str = "incident";
    type Command = IncidentCommand;
    type Event = IncidentEvent;
    type Error = IncidentError;
    type Services = ();

    async fn handle(
        &mut self,
        command: Self::Command,
        (): &Self::Services,
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    /// Follows what happened. An event that cannot belong here (a step before the opening) leaves the state alone.
    fn apply(&mut self, event: Self::Event) {
        match (&mut self.opened, event) {
            (None, IncidentEvent::Opened(content)) => self.opened = Some(Opened::new(*content)),
            (Some(_), IncidentEvent::Commented(event)) => {
                self.comment_ids.insert(event.comment_id);
            }
            (Some(_), IncidentEvent::Opened(_)) | (None, _) => {}
            (Some(opened), event) => opened.apply(event),
        }
    }
}
