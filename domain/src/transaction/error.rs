//! Why a command to a transaction is refused. One variant a rule.

use super::command::TransactionStatus;
use crate::text::RemarkId;

/// A refusal. Nothing was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// There is no such transaction.
    #[error("there is no such transaction")]
    NotFound,
    /// The transaction was recorded before with other content.
    #[error("the transaction is already recorded with other content: {} differs", fields.join(", "))]
    Conflict {
        /// The fields that differ from what was recorded.
        fields: Vec<&'static str>,
    },
    /// The status cannot go there from where it is.
    #[error("a transaction that is {from} cannot become {to}")]
    StatusTransition {
        /// Its present status.
        from: TransactionStatus,
        /// The status that was asked for.
        to: TransactionStatus,
    },
    /// Every value of the correction is the present one.
    #[error("the correction changes nothing")]
    CorrectionEmpty,
    /// The transaction has been corrected too often.
    #[error("the transaction already has {} corrections", super::MAX_CORRECTIONS)]
    TooManyCorrections,
    /// The transaction has too many notes.
    #[error("the transaction already has {} notes", super::MAX_NOTES)]
    TooManyNotes,
    /// A note with this id is there.
    #[error("the transaction already has a note with the id {note_id}")]
    NoteExists {
        /// The id.
        note_id: RemarkId,
    },
}

impl TransactionError {
    /// The stable code, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "transaction.not_found",
            Self::Conflict { .. } => "transaction.conflict",
            Self::StatusTransition { .. } => "transaction.status_transition",
            Self::CorrectionEmpty => "transaction.correction_empty",
            Self::TooManyCorrections => "transaction.too_many_corrections",
            Self::TooManyNotes => "transaction.too_many_notes",
            Self::NoteExists { .. } => "transaction.note_exists",
        }
    }

    /// JSON pointer of the field to blame, where one is. For [`Self::Conflict`] there may be several:
    /// [`Self::fields`].
    pub fn pointer(&self) -> Option<&str> {
        match self {
            Self::StatusTransition { .. } => Some("/status"),
            Self::NoteExists { .. } => Some("/note_id"),
            Self::NotFound
            | Self::Conflict { .. }
            | Self::CorrectionEmpty
            | Self::TooManyCorrections
            | Self::TooManyNotes => None,
        }
    }

    /// The names of the fields that differ, for [`Self::Conflict`]; empty otherwise.
    pub fn fields(&self) -> &[&'static str] {
        match self {
            Self::Conflict { fields } => fields,
            _ => &[],
        }
    }
}
