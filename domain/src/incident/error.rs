//! Why a command to an incident is refused. One variant a rule.

use super::command::IncidentStatus;
use crate::text::RemarkId;

/// A refusal. Nothing was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IncidentError {
    /// There is no such incident.
    #[error("there is no such incident")]
    NotFound,
    /// The incident was opened before with other content.
    #[error("the incident already exists with other content: {} differs", fields.join(", "))]
    Exists {
        /// The fields that differ from what it was opened with.
        fields: Vec<&'static str>,
    },
    /// The status cannot go there from where it is.
    #[error("an incident that is {from} cannot become {to}")]
    StatusTransition {
        /// Its present status.
        from: IncidentStatus,
        /// The status that was asked for.
        to: IncidentStatus,
    },
    /// The incident is closed: only comments and reopening are possible.
    #[error("the incident is closed; reopen it first")]
    Closed,
    /// It already is as asked for.
    #[error("the incident already has this {}", field.replace('_', " "))]
    Unchanged {
        /// What was to change.
        field: &'static str,
    },
    /// There is no higher level.
    #[error("the incident is already escalated to level {}, the highest", super::MAX_ESCALATION_LEVEL)]
    EscalationLimit,
    /// The incident has too many comments.
    #[error("the incident already has {} comments", super::MAX_COMMENTS)]
    TooManyComments,
    /// A comment with this id is there.
    #[error("the incident already has a comment with the id {comment_id}")]
    CommentExists {
        /// The id.
        comment_id: RemarkId,
    },
}

impl IncidentError {
    /// The stable code, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "incident.not_found",
            Self::Exists { .. } => "incident.exists",
            Self::StatusTransition { .. } => "incident.status_transition",
            Self::Closed => "incident.closed",
            Self::Unchanged { .. } => "incident.unchanged",
            Self::EscalationLimit => "incident.escalation_limit",
            Self::TooManyComments => "incident.too_many_comments",
            Self::CommentExists { .. } => "incident.comment_exists",
        }
    }

    /// JSON pointer of the field to blame, where one is. For [`Self::Exists`] there may be several: [`Self::fields`].
    pub fn pointer(&self) -> Option<&str> {
        match self {
            Self::StatusTransition { .. } => Some("/status"),
            Self::CommentExists { .. } => Some("/comment_id"),
            Self::Unchanged { field } => match *field {
                "assignee" => Some("/assigned_to"),
                "severity" => Some("/severity"),
                "priority" => Some("/priority"),
                _ => None,
            },
            Self::NotFound | Self::Exists { .. } | Self::Closed | Self::EscalationLimit | Self::TooManyComments => None,
        }
    }

    /// The names of the fields that differ, for [`Self::Exists`]; empty otherwise.
    pub fn fields(&self) -> &[&'static str] {
        match self {
            Self::Exists { fields } => fields,
            _ => &[],
        }
    }
}
