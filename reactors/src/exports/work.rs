//! Which exports may have something left to do: a short list in the read database that follows the ledger.
//!
//! The list is only a hint. What there is to do with an export is read from the export itself, so an export that is listed
//! without need costs a look, and a list that was lost is made again by looking through the ledger once.

use std::collections::BTreeSet;

use daybook_ledger::{Entry, LedgerReader};
use daybook_read_models::{ReadDb, ReadError};

use super::agenda::LEGAL_HOLDS;
use crate::engine::ReactError;
use crate::{positions, tables};

/// The driver's name in positions and status.
pub const EXPORTS: &str = "exports";
/// As far as this the list has every export with a file, also those that have nothing else left to do.
const EXPORT_FILES: &str = "export_files";
const SCHEMA: &str = include_str!("../../../migrations/read/0003_export_work.sql");
/// Entries looked at at once.
const PAGE: usize = 1_000;

/// Makes the tables where they are missing.
pub(super) async fn prepare(database: &ReadDb) -> Result<(), ReadError> {
    positions::prepare(database).await?;
    tables::make(database, SCHEMA).await
}

/// What the ledger has said since it was last looked at.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Exports to which something happened.
    pub exports: BTreeSet<String>,
    /// Approvals to which something happened, and [`LEGAL_HOLDS`] where something happened to one of those.
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

    /// The exports on the list, and how many entries it has taken into account. `with_files`: also of those that have nothing
    /// left to do but a file to be removed one day. Where the list was kept without them until now the ledger is looked through
    /// once more.
    pub async fn load(&self, with_files: bool) -> Result<(BTreeSet<String>, u64), ReadError> {
        let ledger = self.reader.id().as_str();
        // The position first: what is followed twice is harmless, what is not followed at all would be missed.
        let mut position = positions::load(&self.database, EXPORTS, ledger).await?;
        if with_files {
            position = position.min(positions::load(&self.database, EXPORT_FILES, ledger).await?);
        } else {
            positions::forget(&self.database, EXPORT_FILES, ledger).await?;
        }
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
    pub async fn save(&self, position: u64, with_files: bool) -> Result<(), ReadError> {
        let ledger = self.reader.id().as_str();
        if with_files {
            positions::save(&self.database, EXPORT_FILES, ledger, position).await?;
        }
        positions::save(&self.database, EXPORTS, ledger, position).await
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
            LEGAL_HOLDS => drop(news.approvals.insert(LEGAL_HOLDS.to_owned())),
            _ => {}
        }
    }
    news
}
