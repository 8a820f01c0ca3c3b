//! Where a ledger is read from, and the one function that verifies it.

use std::path::PathBuf;

use crate::report::Report;
use crate::{postgres, sqlite};

/// A store of ledgers.
#[derive(Clone)]
pub enum Source {
    /// A SQLite ledger file. It is opened for reading only; a server may be writing to it.
    Sqlite(PathBuf),
    /// A PostgreSQL database, by URL. The role needs to read `ledger_entries` and `ledger_heads`, nothing else.
    Postgres(String),
}

/// What to verify and how much to report.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Only this ledger; all of the store where none.
    pub ledger: Option<String>,
    /// Most findings listed for one ledger; at least one is. All are counted.
    pub max_findings: usize,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { ledger: None, max_findings: 100 }
    }
}

/// How far a verification has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The ledger that is being read.
    pub ledger_id: String,
    /// Entries read so far, over all ledgers.
    pub entries: u64,
    /// Entries that the heads state, over all ledgers. A hint: heads are part of what is verified.
    pub expected_entries: u64,
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
    /// The scratch file for stream versions failed.
    #[error("scratch file: {0}")]
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
        Source::Sqlite(path) => {
            let (sender, mut steps) = tokio::sync::mpsc::channel(4);
            let reading = tokio::task::spawn_blocking(move || {
                sqlite::verify(&path, options, |step| {
                    // A step that nobody had time for is no loss; nobody left to read steps is a reason to stop.
                    !matches!(sender.try_send(step), Err(tokio::sync::mpsc::error::TrySendError::Closed(_)))
                })
            });
            while let Some(step) = steps.recv().await {
                progress(step);
            }
            reading.await.map_err(|error| SourceError::Unreadable(error.to_string()))?
        }
    }
}
