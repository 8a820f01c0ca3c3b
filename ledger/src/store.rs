//! The trait every store of ledgers fulfils, and the stores themselves.
//!
//! A store keeps entries, heads, command ids and snapshots. It decides nothing: order, versions and hashes come from
//! [`crate::append::place`], for a head that the store holds, or writes on condition of.

pub mod postgres;
pub mod sqlite;

use std::sync::Arc;

use async_trait::async_trait;

use crate::append::{Append, AppendError, Appended, CommandRecord};
use crate::entry::{Entry, Hash, Head, LedgerId, StreamKey};
use crate::tiles::Tile;

/// A store that cannot do what was asked, for reasons of its own.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached or refused the statement.
    #[error("{0}")]
    Unavailable(String),
    /// There is no room; nothing was written. It goes on by itself when there is.
    #[error("the disk is full: {0}")]
    Full(String),
    /// A write or a sync failed. What the operating system shows of the store may not be on the disk, so nothing is written
    /// any more until the store is opened anew; whether the batch at hand is there is known then.
    #[error("the store has failed and must be opened anew: {0}")]
    Failed(String),
    /// A commit may or may not have happened; the caller looks for the event ids before it goes on.
    #[error("the outcome of a commit is unknown: {0}")]
    UnknownOutcome(String),
    /// A row is not what the format allows.
    #[error("entry {position}: {why}")]
    Corrupt {
        /// Position of the row.
        position: i64,
        /// What is wrong with it.
        why: String,
    },
    /// Another process writes to this embedded store.
    #[error("{0} is in use by another process")]
    InUse(String),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error() {
            Some(cause) if cause.code == rusqlite::ErrorCode::DiskFull => Self::Full(error.to_string()),
            Some(cause) if FAILED_WRITES.contains(&cause.extended_code) => Self::Failed(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

/// SQLite's errors after which the disk and what the operating system shows of it may differ.
const FAILED_WRITES: [i32; 5] = [
    rusqlite::ffi::SQLITE_IOERR_WRITE,
    rusqlite::ffi::SQLITE_IOERR_FSYNC,
    rusqlite::ffi::SQLITE_IOERR_DIR_FSYNC,
    rusqlite::ffi::SQLITE_IOERR_TRUNCATE,
    rusqlite::ffi::SQLITE_IOERR_CORRUPTFS,
];

/// A saved state of one stream, usable only if the entry it was taken at still has this hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Version of the stream it was taken at.
    pub version: u64,
    /// Version of the code that folded it.
    pub reducer_version: u32,
    /// Position of the entry it was taken at.
    pub position: u64,
    /// Hash of the entry it was taken at.
    pub entry_hash: Hash,
    /// The aggregate as JSON.
    pub state: String,
}

/// A checkpoint as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// Number of entries it covers.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Hash,
    /// The whole signed note, with every signature that it has gathered.
    pub note: String,
    /// When it was signed, microseconds since 1970-01-01T00:00:00Z.
    pub signed_at: i64,
}

/// Where ledgers are kept. Every call is scoped by ledger id.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Short name for logs and status: `sqlite` or `postgres`.
    fn kind(&self) -> &'static str;

    /// Orders, hashes and writes a batch in one durable transaction. The only way to append.
    ///
    /// An error means that nothing was written, except [`StoreError::UnknownOutcome`].
    async fn append(
        &self,
        ledger: &LedgerId,
        batch: &[Append],
        now: i64,
    ) -> Result<Vec<Result<Appended, AppendError>>, StoreError>;

    /// As [`Store::append`], for a batch that a store may keep without copying it. The sequencer's way: it may hand over a
    /// second batch while the first is being committed, and the store writes them in that order.
    async fn append_shared(
        &self,
        ledger: &LedgerId,
        batch: &Arc<Vec<Append>>,
        now: i64,
    ) -> Result<Vec<Result<Appended, AppendError>>, StoreError> {
        self.append(ledger, batch, now).await
    }

    /// The head; [`Head::empty`] for a ledger without entries.
    async fn head(&self, ledger: &LedgerId) -> Result<Head, StoreError>;

    /// Ids of all ledgers with entries, in order.
    async fn ledgers(&self) -> Result<Vec<LedgerId>, StoreError>;

    /// At most `limit` entries from position `from` on, in position order.
    async fn entries(&self, ledger: &LedgerId, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// At most `limit` entries of one stream with a version of at least `from_version`, in version order.
    async fn stream(
        &self,
        ledger: &LedgerId,
        key: &StreamKey,
        from_version: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// The entries of several streams of one type with a version of at most `to_version`, ordered by stream id and
    /// version. For batches of short streams.
    async fn streams(
        &self,
        ledger: &LedgerId,
        stream_type: &str,
        stream_ids: &[String],
        to_version: u64,
    ) -> Result<Vec<Entry>, StoreError>;

    /// What a command id stands for, if it was used.
    async fn command(&self, ledger: &LedgerId, command_id: &str) -> Result<Option<CommandRecord>, StoreError>;

    /// Keeps a command id that led to no entry, so that a repeat gets the same answer. One that is known already stays
    /// as it is.
    async fn remember(&self, ledger: &LedgerId, command_id: &str, record: CommandRecord) -> Result<(), StoreError>;

    /// After [`StoreError::UnknownOutcome`]: makes sure that the commit in question has happened or never will, so that
    /// looking for its events gives the final answer. An error means that this is not settled yet.
    async fn settle(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The newest snapshot of a stream.
    async fn snapshot(&self, ledger: &LedgerId, key: &StreamKey) -> Result<Option<Snapshot>, StoreError>;

    /// Replaces a stream's snapshot. A cache: losing it loses nothing.
    async fn save_snapshot(&self, ledger: &LedgerId, key: &StreamKey, snapshot: Snapshot) -> Result<(), StoreError>;

    /// At most `limit` complete tiles of a level from index `from` on, in order.
    async fn tiles(&self, ledger: &LedgerId, level: u8, from: u64, limit: usize) -> Result<Vec<Tile>, StoreError>;

    /// The roots of at most `limit` complete tiles of a level from index `from` on, in order.
    async fn tile_roots(&self, ledger: &LedgerId, level: u8, from: u64, limit: usize) -> Result<Vec<Hash>, StoreError>;

    /// Adds tiles to a ledger that was written before there were any. Tiles of new entries come with [`Store::append`].
    async fn add_tiles(&self, ledger: &LedgerId, tiles: &[Tile]) -> Result<(), StoreError>;

    /// Keeps a checkpoint; one of the same size is replaced, since it gathers signatures.
    async fn save_checkpoint(&self, ledger: &LedgerId, checkpoint: &StoredCheckpoint) -> Result<(), StoreError>;

    /// The checkpoint with the largest size.
    async fn latest_checkpoint(&self, ledger: &LedgerId) -> Result<Option<StoredCheckpoint>, StoreError>;

    /// At most `limit` checkpoints with a size of at least `from_size`, by size.
    async fn checkpoints(
        &self,
        ledger: &LedgerId,
        from_size: u64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError>;

    /// Changes to the new size of the ledger when another process appends. `None` where only this process writes.
    async fn listen(&self, ledger: &LedgerId) -> Result<Option<tokio::sync::watch::Receiver<u64>>, StoreError>;
}

/// SQL stores have signed integers; positions and versions stay far below 2⁶³.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The other way; a negative number in such a column is damage that verification names.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(crate) fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
