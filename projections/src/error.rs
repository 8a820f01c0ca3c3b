//! Why a projector cannot go on.

use daybook_domain::DecodeError;
use daybook_ledger::entry::Entry;
use daybook_ledger::store::StoreError;
use daybook_read_models::ReadError;

/// A batch that cannot be folded. Its transaction is rolled back.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The database refused a statement.
    #[error("the read tables are unavailable: {0}")]
    Database(#[from] sqlx::Error),
    /// A read row or a sum is not what folding ever leaves behind.
    #[error("{0}")]
    Inconsistent(String),
}

/// Why a projector stands still, or a rebuild did not happen.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The read tables' database.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The ledger.
    #[error("the ledger cannot be read: {0}")]
    Ledger(#[from] StoreError),
    /// An entry of a stream type that the projector consumes, which this program does not understand. Never skipped.
    #[error("entry {position} cannot be understood: {why}")]
    Undecodable {
        /// Position of the entry.
        position: u64,
        /// What is unknown about it, without the payload's content.
        why: String,
    },
    /// The batch from this position on cannot be folded.
    #[error("the entries from position {position} on cannot be folded: {error}")]
    Fold {
        /// First position of the batch.
        position: u64,
        /// Why.
        error: FoldError,
    },
    /// The live tables were folded by another version of the projector's code.
    #[error("the read tables are of version {tables}, this program folds version {code}")]
    OtherVersion {
        /// Version of the tables.
        tables: u64,
        /// Version of this program's code.
        code: u32,
    },
    /// No projector has this name.
    #[error("there is no projector named {0}")]
    UnknownProjector(String),
    /// Somebody else is rebuilding the same tables.
    #[error("a rebuild of {0} is under way already")]
    RebuildRunning(&'static str),
    /// Somebody else took this rebuild for dead and removed it.
    #[error("the rebuild of {0} was given up by another process")]
    RebuildSuperseded(&'static str),
    /// It was asked to stop.
    #[error("the rebuild of {0} was interrupted")]
    Interrupted(&'static str),
    /// The code that folds has panicked. What it said is in the log alone, because it may quote an entry.
    #[error("the worker has panicked; it is started again after a pause")]
    Panicked,
    /// Readers never left a moment to swap the tables.
    #[error("the rebuilt tables of {0} could not be swapped in: the live ones were in use all the time")]
    SwapBlocked(&'static str),
}

impl From<sqlx::Error> for EngineError {
    fn from(error: sqlx::Error) -> Self {
        Self::Read(error.into())
    }
}

impl EngineError {
    /// An entry that cannot be decoded. What is malformed in a payload may quote it, and is left out here.
    pub(crate) fn undecodable(entry: &Entry, error: &DecodeError) -> Self {
        let why = match error {
            DecodeError::Malformed { event_type, .. } => format!("malformed payload of {event_type}"),
            other => other.to_string(),
        };
        Self::Undecodable { position: entry.position, why }
    }
}
