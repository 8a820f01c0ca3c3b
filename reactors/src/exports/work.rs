//! Which exports may have something left to do: a short list in the read database that follows the ledger.
//!
//! The list is only a hint. What there is to do with an export is read from the export itself, so an export that is listed
//! without need costs a look, and a list that was lost is made again by looking through the ledger once.

use std::collections::BTreeSet;

use daybook_ledger::{Entry, LedgerReader};
use daybook_read_models::{ReadDb, ReadError};

use crate::engine::ReactError;
use crate::{lease, positions};

/// The driver's name in positions and status.
pub const EXPORTS: &str = "exports";
const SCHEMA: &str = include_str!("../../../migrations/read/0003_export_work.sql");
/// Entries looked at at once.
const PAGE: usize = 1_000;

/// Makes the tables where they are missing.
pub(super) async fn prepare(database: &ReadDb) -> Result<(), ReadError> {
    positions::prepare(database).await?;
    lease::prepare(database, SCHEMA).await
}

/// What the ledger has said since it was last looked at.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Exports to which something happened.
    pub exports: BTreeSet<String>,
    /// Approvals to which something happened.
    pub approvals: BTreeSet<String>,
}

/// The list of one ledger.
#[derive(Clone)]
pub(super) struct Work {
    database: ReadDb,
    reader: LedgerReader,
}

impl Work {
    pub fn new(database: ReadDb, reader: LedgerReader) -> Self {
        Self { database, reader }
    }

    /// The exports on the list, and how many entries it has taken into account.
    pub async fn load(&self) -> Result<(BTreeSet<String>, u64), ReadError> {
        let ledger = self.reader.id().as_str();
        // The position first: what is followed twice is harmless, what is not followed at all would be missed.
        let position = positions::load(&self.database, EXPORTS, ledger).await?;
        let ids: Vec<String> = sqlx::query_scalar("select export_id from export_work where ledger_id = $1")
            .bind(ledger)
            .fetch_all(self.database.readers())
            .await?;
        Ok((ids.into_iter().collect(), position))
    }

    /// Follows the ledger by a page from `position` on, and remembers the exports in it. `None` at its end.
    pub async fn follow(&self, position: u64) -> Result<Option<(News, u64)>, ReactError> {
        let entries = self.reader.entries(position, PAGE).await?;
        let Some(last) = entries.last().map(|entry| entry.position) else { return Ok(None) };
        let news = news(&entries);
        self.remember(&news.exports).await?;
        Ok(Some((news, last + 1)))
    }

    async fn remember(&self, exports: &BTreeSet<String>) -> Result<(), ReadError> {
        if exports.is_empty() {
            return Ok(());
        }
        let mut transaction = self.database.begin().await?;
        for export in exports {
            sqlx::query(
                "insert into export_work (ledger_id, export_id) values ($1, $2) \
                 on conflict (ledger_id, export_id) do nothing",
            )
            .bind(self.reader.id().as_str())
            .bind(export)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Remembers how far the ledger was followed: after the exports in it, so that a crash in between lists them again.
    pub async fn save(&self, position: u64) -> Result<(), ReadError> {
        positions::save(&self.database, EXPORTS, self.reader.id().as_str(), position).await
    }

    /// Takes an export off the list that has nothing left to do.
    pub async fn forget(&self, export: &str) -> Result<(), ReadError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query("delete from export_work where ledger_id = $1 and export_id = $2")
            .bind(self.reader.id().as_str())
            .bind(export)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Shows in the status why an export does not get on; `None` where all of them do.
    pub async fn show_error(&self, error: Option<&str>) -> Result<(), ReadError> {
        let ledger = self.reader.id().as_str();
        match error {
            Some(error) => positions::save_error(&self.database, EXPORTS, ledger, &error).await,
            None => positions::clear_error(&self.database, EXPORTS, ledger).await,
        }
    }
}

fn news(entries: &[Entry]) -> News {
    let mut news = News::default();
    for entry in entries {
        match entry.stream.stream_type.as_str() {
            "export" => drop(news.exports.insert(entry.stream.stream_id.clone())),
            "approval" => drop(news.approvals.insert(entry.stream.stream_id.clone())),
            _ => {}
        }
    }
    news
}
