//! Folding a projector's tables anew beside the live ones, then swapping them in or comparing them.
//!
//! Read tables hold the rows of all ledgers in the database, so a rebuild folds all of them. It has no effects but rows.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use daybook_ledger::entry::LedgerId;
use daybook_read_models::positions;
use daybook_read_models::time::now;
use daybook_read_models::{ReadError, StoreKind};
use serde::Serialize;
use sqlx::{AnyConnection, Executor, Row};

use crate::bookkeeping::{self, LockedPosition, TablesRow};
use crate::engine::Core;
use crate::error::{EngineError, FoldError};
use crate::fold::LARGE_PAGE;
use crate::projector::{Projector, TableNames, prepare};

/// Most entries that are folded while the live tables stand still.
const MAX_FINAL_ENTRIES: u64 = 4_000;
/// How often a swap that readers block is tried, and how long it rests in between.
const SWAP_ATTEMPTS: u32 = 120;
const SWAP_PAUSE: Duration = Duration::from_millis(250);
/// Longest that readers on PostgreSQL wait behind a swap that cannot begin.
const SWAP_LOCK_TIMEOUT_MS: u32 = 1_000;

/// What to do with rebuilt tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    Swap,
    Compare,
}

/// Told entries done and in all; may ask to stop.
pub(crate) type Progress<'p> = &'p (dyn Fn(u64, u64) -> ControlFlow<()> + Send + Sync);

/// Whether folding anew gives the rows that are live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The projector.
    pub projector: String,
    /// Entries folded, of all ledgers together.
    pub entries: u64,
    /// True where every table is equal.
    pub equal: bool,
    /// Table by table.
    pub tables: Vec<TableComparison>,
}

/// How a live table differs from the rebuilt one. All zeros but `rows`: it does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableComparison {
    /// The table.
    pub table: String,
    /// Rows of the live table.
    pub rows: u64,
    /// Rows of the rebuilt table.
    pub rebuilt_rows: u64,
    /// Rows that only the live table has; a row that differs counts here and below.
    pub only_live: u64,
    /// Rows that only the rebuilt table has.
    pub only_rebuilt: u64,
}

struct Rebuild<'c> {
    core: &'c Core,
    projector: &'c dyn Projector,
    generation: u64,
    finish: Finish,
    /// Entries folded of each ledger.
    folded: BTreeMap<String, u64>,
    progress: Progress<'c>,
}

/// What an attempt to finish came to.
enum Attempt {
    Done(Comparison),
    /// The live tables have moved on too far meanwhile.
    TooFarBehind,
    /// Readers hold the tables.
    Blocked,
}

/// Rebuilds, then swaps or compares. On failure nothing of it is left.
pub(crate) async fn rebuild(
    core: &Core,
    projector: &dyn Projector,
    finish: Finish,
    progress: Progress<'_>,
) -> Result<Comparison, EngineError> {
    let row = bookkeeping::ensure(&core.db, projector, core.reader.id().as_str()).await?;
    let generation = begin(core, projector, row, finish).await?;
    let mut rebuild = Rebuild { core, projector, generation, finish, folded: BTreeMap::new(), progress };
    let result = rebuild.run().await;
    if result.is_err()
        && let Err(error) = rebuild.give_up().await
    {
        tracing::warn!(projector = projector.name(), %error, "what a failed rebuild left is removed at the next start");
    }
    result
}

async fn begin(core: &Core, projector: &dyn Projector, row: TablesRow, finish: Finish) -> Result<u64, EngineError> {
    if finish == Finish::Compare && row.reducer_version != u64::from(projector.version()) {
        return Err(EngineError::OtherVersion { tables: row.reducer_version, code: projector.version() });
    }
    let mut transaction = core.db.begin().await?;
    let row = bookkeeping::tables_row(&core.db, &mut transaction, projector).await?.unwrap_or(row);
    let row = bookkeeping::clear_dead_rebuild(&mut transaction, projector, row).await?;
    if row.rebuild.is_some() {
        return Err(EngineError::RebuildRunning(projector.name()));
    }
    let generation = row.generation + 1;
    bookkeeping::begin_rebuild(&core.db, &mut transaction, projector, generation).await?;
    bookkeeping::create_tables(&mut transaction, projector, &TableNames::beside(generation)).await?;
    transaction.commit().await?;
    Ok(generation)
}

impl Rebuild<'_> {
    async fn run(&mut self) -> Result<Comparison, EngineError> {
        let mut attempts = 0;
        loop {
            for (ledger_id, target) in self.targets().await? {
                self.fold_ledger(&ledger_id, target).await?;
            }
            match self.finish().await? {
                Attempt::Done(comparison) => return Ok(comparison),
                Attempt::TooFarBehind => {}
                Attempt::Blocked if attempts >= SWAP_ATTEMPTS => {
                    return Err(EngineError::SwapBlocked(self.projector.name()));
                }
                Attempt::Blocked => {
                    attempts += 1;
                    tokio::time::sleep(SWAP_PAUSE).await;
                }
            }
        }
    }

    /// How far each ledger is to be folded: as far as it is live, or to its head where live tables are of no use.
    async fn targets(&self) -> Result<Vec<(String, u64)>, EngineError> {
        let mut targets = Vec::new();
        for row in positions::all(&self.core.db, None).await? {
            if row.projector != self.projector.name() {
                continue;
            }
            let target = if row.reducer_version == u64::from(self.projector.version()) {
                row.position
            } else {
                self.core.reader.store().head(&ledger(&row.ledger_id)?).await?.size
            };
            targets.push((row.ledger_id, target));
        }
        Ok(targets)
    }

    async fn fold_ledger(&mut self, ledger_id: &str, target: u64) -> Result<(), EngineError> {
        loop {
            let position = self.folded.get(ledger_id).copied().unwrap_or(0);
            self.sign_of_life(ledger_id, position, target).await?;
            if position >= target {
                self.folded.insert(ledger_id.to_owned(), position);
                return Ok(());
            }
            let mut transaction = self.core.db.begin().await?;
            let end = self.fold_page(&mut transaction, ledger_id, position, target).await?;
            transaction.commit().await?;
            self.folded.insert(ledger_id.to_owned(), end);
        }
    }

    /// Folds a page into the tables beside; answers the position after it. Never goes beyond `target`.
    async fn fold_page(
        &self,
        connection: &mut AnyConnection,
        ledger_id: &str,
        position: u64,
        target: u64,
    ) -> Result<u64, EngineError> {
        let wanted = usize::try_from(target - position).unwrap_or(LARGE_PAGE).min(LARGE_PAGE);
        let page = self.core.reader.store().entries(&ledger(ledger_id)?, position, wanted).await?;
        let prepared = prepare(self.projector, page, position);
        if let Some(error) = prepared.stopped_by {
            return Err(error);
        }
        if prepared.end == position {
            // The live tables reach further than the ledger: it is not the ledger they were folded from.
            let why = "the ledger ends before the position that the read tables have".to_owned();
            return Err(EngineError::Undecodable { position, why });
        }
        if !prepared.batch.is_empty() {
            let names = TableNames::beside(self.generation);
            self.projector
                .fold(connection, &names, ledger_id, &prepared.batch)
                .await
                .map_err(|error| EngineError::Fold { position, error })?;
        }
        Ok(prepared.end)
    }

    async fn sign_of_life(&self, ledger_id: &str, position: u64, target: u64) -> Result<(), EngineError> {
        if (self.progress)(position, target.max(position)).is_break() {
            return Err(EngineError::Interrupted(self.projector.name()));
        }
        let mut transaction = self.core.db.begin().await?;
        let ours = bookkeeping::note_rebuild(
            &self.core.db,
            &mut transaction,
            self.projector,
            self.generation,
            ledger_id,
            position,
            target,
        )
        .await?;
        transaction.commit().await?;
        if ours { Ok(()) } else { Err(EngineError::RebuildSuperseded(self.projector.name())) }
    }

    /// The last step, in one transaction that keeps the live tables still: the rest of the entries, then the swap.
    async fn finish(&mut self) -> Result<Attempt, EngineError> {
        match self.try_finish().await {
            Err(error) if is_lock_timeout(&error) => Ok(Attempt::Blocked),
            other => other,
        }
    }

    async fn try_finish(&mut self) -> Result<Attempt, EngineError> {
        let (core, projector) = (self.core, self.projector);
        let mut transaction = core.db.begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        if core.db.kind() == StoreKind::Postgres && self.finish == Finish::Swap {
            connection.execute(format!("set local lock_timeout = {SWAP_LOCK_TIMEOUT_MS}").as_str()).await?;
        }
        let row = bookkeeping::tables_row(&core.db, connection, projector).await?;
        if row.and_then(|row| row.rebuild).is_none_or(|(generation, _)| generation != self.generation) {
            return Err(EngineError::RebuildSuperseded(projector.name()));
        }
        let live = bookkeeping::lock_positions(&core.db, connection, projector).await?;
        let mut folded = self.folded.clone();
        let behind: u64 = live.iter().map(|row| row.position.saturating_sub(reached(&folded, row))).sum();
        if behind > MAX_FINAL_ENTRIES {
            return Ok(Attempt::TooFarBehind);
        }
        for row in &live {
            let mut position = reached(&folded, row);
            while position < row.position {
                position = self.fold_page(connection, &row.ledger_id, position, row.position).await?;
            }
            folded.insert(row.ledger_id.clone(), position);
        }
        let tables = match self.finish {
            Finish::Swap => {
                self.swap(connection, &folded).await?;
                Vec::new()
            }
            Finish::Compare => {
                let tables = self.compare(connection).await?;
                bookkeeping::end_rebuild(connection, projector, self.generation).await?;
                tables
            }
        };
        transaction.commit().await?;
        core.db.announce_folded();
        Ok(Attempt::Done(Comparison {
            projector: projector.name().to_owned(),
            entries: folded.values().sum(),
            equal: tables
                .iter()
                .all(|table| table.only_live == 0 && table.only_rebuilt == 0 && table.rows == table.rebuilt_rows),
            tables,
        }))
    }

    async fn swap(&self, connection: &mut AnyConnection, folded: &BTreeMap<String, u64>) -> Result<(), EngineError> {
        let (live, beside) = (TableNames::live(), TableNames::beside(self.generation));
        for table in self.projector.tables() {
            let drop = format!("drop table if exists {}", live.of(table.name));
            connection.execute(drop.as_str()).await?;
            let rename = format!("alter table {} rename to {}", beside.of(table.name), live.of(table.name));
            connection.execute(rename.as_str()).await?;
        }
        let version = i64::from(self.projector.version());
        let sql = "update projector_tables set reducer_version = $1, rebuild_generation = null, rebuild_seen_at = null \
             where projector = $2";
        sqlx::query(sql).bind(version).bind(self.projector.name()).execute(&mut *connection).await?;
        let sql = "update projector_positions set position = $1, reducer_version = $2, updated_at = $3, error = null, \
             rebuild_position = null, rebuild_target = null where projector = $4 and ledger_id = $5";
        for (ledger_id, position) in folded {
            sqlx::query(sql)
                .bind(bookkeeping::signed(*position))
                .bind(version)
                .bind(now())
                .bind(self.projector.name())
                .bind(ledger_id)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }

    async fn compare(&self, connection: &mut AnyConnection) -> Result<Vec<TableComparison>, EngineError> {
        let mut tables = Vec::new();
        for table in self.projector.tables() {
            let (live, beside) =
                (TableNames::live().of(table.name), TableNames::beside(self.generation).of(table.name));
            let difference =
                |from: &str, without: &str| format!("(select * from {from} except select * from {without}) as rows");
            tables.push(TableComparison {
                table: table.name.to_owned(),
                rows: count(connection, &live).await?,
                rebuilt_rows: count(connection, &beside).await?,
                only_live: count(connection, &difference(&live, &beside)).await?,
                only_rebuilt: count(connection, &difference(&beside, &live)).await?,
            });
        }
        Ok(tables)
    }

    async fn give_up(&self) -> Result<(), EngineError> {
        let mut transaction = self.core.db.begin().await?;
        let row = bookkeeping::tables_row(&self.core.db, &mut transaction, self.projector).await?;
        if row.and_then(|row| row.rebuild).is_some_and(|(generation, _)| generation == self.generation) {
            bookkeeping::end_rebuild(&mut transaction, self.projector, self.generation).await?;
            transaction.commit().await?;
        }
        Ok(())
    }
}

async fn count(connection: &mut AnyConnection, from: &str) -> Result<u64, EngineError> {
    let sql = format!("select count(*) as total from {from}");
    let total: i64 = sqlx::query(&sql).fetch_one(connection).await?.try_get("total")?;
    Ok(u64::try_from(total).unwrap_or(0))
}

fn reached(folded: &BTreeMap<String, u64>, row: &LockedPosition) -> u64 {
    folded.get(&row.ledger_id).copied().unwrap_or(0)
}

fn ledger(id: &str) -> Result<LedgerId, EngineError> {
    id.parse().map_err(|_| {
        EngineError::Read(ReadError::Corrupt { column: "ledger_id".to_owned(), why: "is not a ledger id".to_owned() })
    })
}

/// Whether the live tables were in use: PostgreSQL's `lock_not_available`, or `deadlock_detected` where a reader waits
/// for what the swap holds.
fn is_lock_timeout(error: &EngineError) -> bool {
    match error {
        EngineError::Read(ReadError::Database(sqlx::Error::Database(error)))
        | EngineError::Fold { error: FoldError::Database(sqlx::Error::Database(error)), .. } => {
            error.code().is_some_and(|code| matches!(code.as_ref(), "55P03" | "40P01"))
        }
        _ => false,
    }
}
