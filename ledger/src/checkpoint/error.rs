//! Why there is no checkpoint.

use super::{MemoryError, Refusal};
use crate::append::AppendError;
use crate::keys::{KeyError, KeyId};
use crate::store::StoreError;
use crate::tree::TreeError;

/// Why there is no checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The tree does not extend what was signed before.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// What was signed before is not known.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The ledger says that the key has ended: another process has retired it.
    #[error("the ledger says that the signing key {key_id} was retired at {retired_at}: give this process the new key")]
    KeyEnded {
        /// Which.
        key_id: KeyId,
        /// Since when, RFC 3339.
        retired_at: String,
    },
    /// An entry about a key is not what was written.
    #[error("entry {0} about a signing key cannot be read: {1}")]
    KeyEvent(u64, String),
    /// The seal was not appended.
    #[error("the ledger could not be sealed: {0}")]
    Append(#[from] AppendError),
    /// The stored tiles are not those of the entries.
    #[error(
        "the store's tiles come to root {root} at {position}, and neither the seal nor the checkpoint signed last leads there: tiles or entries were changed"
    )]
    TilesDiffer {
        /// Number of entries.
        position: u64,
        /// What the tiles come to.
        root: crate::entry::Hash,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tree cannot be read.
    #[error("the tree cannot be read: {0}")]
    Tree(#[from] TreeError),
    /// Other processes sealed again and again and did not sign.
    #[error("other processes are sealing this ledger; try again")]
    Contended,
    /// Too many requests wait for a checkpoint.
    #[error("too many requests for checkpoints are waiting")]
    Busy,
    /// Nobody signs in this process any more.
    #[error("checkpoints are not signed any more: the process is stopping")]
    Closed,
}

impl From<Refusal> for CheckpointError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl CheckpointError {
    /// True where signing stopped because of what was signed before.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Memory(_) | Self::TilesDiffer { .. })
    }

    /// One of a few fixed words, for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Refused(_) | Self::TilesDiffer { .. } => "refused",
            Self::Memory(_) => "memory",
            Self::Key(_) | Self::KeyEnded { .. } | Self::KeyEvent(..) => "key",
            Self::Append(_) | Self::Store(_) | Self::Tree(_) => "store",
            Self::Contended | Self::Busy | Self::Closed => "busy",
        }
    }
}
