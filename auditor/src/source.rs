//! Where a ledger is read from, and the one function that verifies it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::batch::TooLong;
use crate::entry_line::LineError;
use crate::report::Report;
use crate::seen::EntryViewer;
use crate::{bundle, postgres, server, sqlite};

/// A store of ledgers.
#[derive(Clone)]
pub enum Source {
    /// A SQLite ledger file. It is opened for reading only; a server may be writing to it.
    Sqlite(PathBuf),
    /// A PostgreSQL database, by URL. The role needs to read `ledger_entries` and `ledger_heads`; where it may read
    /// `ledger_tiles` and `ledger_checkpoints` as well, tiles are compared and checkpoints listed.
    Postgres(String),
    /// A running server, over HTTP, at the address under which its API lies. What it answers is verified like a store.
    Server {
        /// Address of the server, such as `https://ledger.example`.
        url: String,
        /// Bearer token of somebody who may read the ledger.
        token: Option<String>,
    },
    /// A bundle that was exported from a ledger: a zip file.
    Bundle(PathBuf),
}

/// What to verify and how much to report.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Only this ledger; all of the store where none.
    pub ledger: Option<String>,
    /// Most findings listed for one ledger; at least one is. All are counted.
    pub max_findings: usize,
    /// Sizes at which the state of each ledger is wanted in [`LedgerReport::states`](crate::LedgerReport::states):
    /// those of the checkpoints that somebody kept.
    pub states_at: Vec<u64>,
    /// Told the root of each complete tile of 256 entries, in order.
    pub tile_roots: Option<TileRoots>,
    /// Threads that hash; as many as there are processors where none.
    pub threads: Option<NonZeroUsize>,
    /// Shown every entry whose columns can be read, in order, before it is verified.
    pub entries: Option<EntryViewer>,
}

/// Is told the roots of a ledger's complete tiles of 256 entries, in order: ledger id, index of the tile, RFC 6962 root. A
/// source that is read a second time begins again with the first.
///
/// Each tile is told once, in order, from a thread of the verification; tiles from the first entry on that is not intact
/// are left out.
#[derive(Clone)]
pub struct TileRoots(Arc<Mutex<TileRootsFunction>>);

type TileRootsFunction = dyn FnMut(&str, u64, [u8; 32]) + Send;

impl TileRoots {
    /// Calls `function` for each tile.
    pub fn new(function: impl FnMut(&str, u64, [u8; 32]) + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(function)))
    }

    pub(crate) fn tell(&self, ledger_id: &str, index: u64, root: [u8; 32]) {
        // A function that panicked before is called on: what it does with the next tile is its own affair.
        let mut function = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        function(ledger_id, index, root);
    }
}

impl std::fmt::Debug for TileRoots {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TileRoots")
    }
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { ledger: None, max_findings: 100, states_at: Vec::new(), tile_roots: None, threads: None, entries: None }
    }
}

/// How far a verification has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The ledger that is being read.
    pub ledger_id: String,
    /// Entries read so far, over all ledgers.
    pub entries: u64,
    /// Entries that the heads state, over all ledgers. A hint: heads are part of what is verified.
    pub expected_entries: u64,
    /// Entries read a second, over the last seconds.
    pub entries_per_second: f64,
    /// Seconds left at that rate, if the heads are right. None where nothing can be said.
    pub seconds_left: Option<f64>,
}

/// A store that cannot be read, so that nothing can be said about it. Exit code 2 for a program.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is no such file.
    #[error("there is no file {0}")]
    NoFile(String),
    /// The database has no ledger tables.
    #[error("the store has no table {0}: it is not a ledger")]
    NoTable(&'static str),
    /// The store has neither entries nor a head of the ledger that was asked for.
    #[error("the store has no ledger {0}")]
    NoLedger(String),
    /// The database refused or broke off.
    #[error("the store cannot be read: {0}")]
    Unreadable(String),
    /// A scratch file failed, or a thread did.
    #[error("scratch file or thread: {0}")]
    Scratch(#[from] std::io::Error),
    /// Nobody waits for the report any more.
    #[error("the verification was stopped")]
    Stopped,
}

impl From<rusqlite::Error> for SourceError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<LineError> for SourceError {
    fn from(error: LineError) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<TooLong> for SourceError {
    fn from(error: TooLong) -> Self {
        Self::Unreadable(error.to_string())
    }
}

impl From<sqlx::Error> for SourceError {
    fn from(error: sqlx::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Verifies one ledger or all ledgers of a store, reading nothing but the store, in one consistent snapshot.
///
/// Needs a Tokio runtime. Memory does not grow with the number of entries. `progress` is called every few thousand
/// entries. Whatever the rows hold is reported; an error means that they could not be read.
pub async fn verify(
    source: Source,
    options: VerifyOptions,
    mut progress: impl FnMut(Progress),
) -> Result<Report, SourceError> {
    match source {
        Source::Postgres(url) => {
            postgres::verify(&url, options, |step| {
                progress(step);
                true
            })
            .await
        }
        Source::Server { url, token } => {
            server::verify(&url, token.as_deref(), options, |step| {
                progress(step);
                true
            })
            .await
        }
        Source::Sqlite(path) => in_background(progress, move |told| sqlite::verify(&path, options, told)).await,
        Source::Bundle(path) => in_background(progress, move |told| bundle::verify(&path, options, told)).await,
    }
}

/// Runs what blocks on a thread for that, and tells its progress here.
async fn in_background(
    mut progress: impl FnMut(Progress),
    reading: impl FnOnce(&mut dyn FnMut(Progress) -> bool) -> Result<Report, SourceError> + Send + 'static,
) -> Result<Report, SourceError> {
    let (sender, mut steps) = tokio::sync::mpsc::channel(4);
    let reading = tokio::task::spawn_blocking(move || {
        reading(&mut |step| {
            // A step that nobody had time for is no loss; nobody left to read steps is a reason to stop.
            !matches!(sender.try_send(step), Err(tokio::sync::mpsc::error::TrySendError::Closed(_)))
        })
    });
    while let Some(step) = steps.recv().await {
        progress(step);
    }
    reading.await.map_err(|error| SourceError::Unreadable(error.to_string()))?
}
