//! The engine's own two tables: which tables there are, and how far each ledger is folded.

use daybook_read_models::time::now;
use daybook_read_models::{ReadDb, StoreKind};
use sqlx::{AnyConnection, Executor, Row};

use crate::error::EngineError;
use crate::projector::{Projector, TableNames};

const DDL: &str = include_str!("../../migrations/read/0000_projectors.sql");
/// A rebuild that gave no sign of life for this long is taken for dead.
pub(crate) const REBUILD_DEAD_AFTER_MICROS: i64 = 15_000_000;
/// Serialises the making of tables on PostgreSQL, where `if not exists` alone is a race. Any number will do.
const SETUP_LOCK: i64 = 0x6461_7962_6f6f_6b72;

/// The row of a projector's tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TablesRow {
    pub reducer_version: u64,
    pub generation: u64,
    /// Generation of the rebuild under way, and whether it is still alive, as far as one can tell.
    pub rebuild: Option<(u64, bool)>,
}

/// The row of a projector and a ledger, under lock.
#[derive(Debug, Clone)]
pub(crate) struct LockedPosition {
    pub ledger_id: String,
    pub reducer_version: u64,
    pub position: u64,
}

/// ` for update` where rows can be locked one by one. SQLite's writer holds the whole file.
fn for_update(db: &ReadDb) -> &'static str {
    match db.kind() {
        StoreKind::Sqlite => "",
        StoreKind::Postgres => " for update",
    }
}

/// The time by the database's clock, in microseconds, as SQL. Signs of life are written and judged by one clock: those of
/// two machines may be further apart than a rebuild is given.
pub(crate) fn clock(db: &ReadDb) -> &'static str {
    match db.kind() {
        StoreKind::Sqlite => "cast((julianday('now') - 2440587.5) * 86400000000.0 as integer)",
        StoreKind::Postgres => "(extract(epoch from clock_timestamp()) * 1000000)::bigint",
    }
}

fn natural(row: &sqlx::any::AnyRow, column: &str) -> Result<u64, EngineError> {
    let number: i64 = row.try_get(column)?;
    Ok(u64::try_from(number).unwrap_or(0))
}

pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Makes what is missing: the bookkeeping, the projector's tables, the row of this ledger. Removes what a dead rebuild
/// left. Answers the tables' row.
pub(crate) async fn ensure(db: &ReadDb, projector: &dyn Projector, ledger_id: &str) -> Result<TablesRow, EngineError> {
    let mut transaction = db.begin().await?;
    let connection: &mut AnyConnection = &mut transaction;
    if db.kind() == StoreKind::Postgres {
        sqlx::query("select pg_advisory_xact_lock($1)").bind(SETUP_LOCK).execute(&mut *connection).await?;
    }
    connection.execute(DDL).await?;
    let row = match tables_row(db, connection, projector).await? {
        Some(row) => clear_dead_rebuild(connection, projector, row).await?,
        None => {
            create_tables(connection, projector, &TableNames::live()).await?;
            let sql = "insert into projector_tables (projector, reducer_version, generation) values ($1, $2, 0)";
            let version = i64::from(projector.version());
            sqlx::query(sql).bind(projector.name()).bind(version).execute(&mut *connection).await?;
            TablesRow { reducer_version: u64::from(projector.version()), generation: 0, rebuild: None }
        }
    };
    let sql = "insert into projector_positions (projector, ledger_id, reducer_version, position) \
         values ($1, $2, $3, 0) on conflict (projector, ledger_id) do nothing";
    sqlx::query(sql)
        .bind(projector.name())
        .bind(ledger_id)
        .bind(signed(row.reducer_version))
        .execute(&mut *connection)
        .await?;
    transaction.commit().await?;
    Ok(row)
}

/// The row of the projector's tables, locked.
pub(crate) async fn tables_row(
    db: &ReadDb,
    connection: &mut AnyConnection,
    projector: &dyn Projector,
) -> Result<Option<TablesRow>, EngineError> {
    let sql = format!(
        "select reducer_version, generation, rebuild_generation, rebuild_seen_at, {} as clock from projector_tables \
         where projector = $1{}",
        clock(db),
        for_update(db)
    );
    let row = sqlx::query(&sql).bind(projector.name()).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let rebuild: Option<i64> = row.try_get("rebuild_generation")?;
    let seen_at: Option<i64> = row.try_get("rebuild_seen_at")?;
    let clock: i64 = row.try_get("clock")?;
    let is_alive = clock.saturating_sub(seen_at.unwrap_or(0)) < REBUILD_DEAD_AFTER_MICROS;
    Ok(Some(TablesRow {
        reducer_version: natural(&row, "reducer_version")?,
        generation: natural(&row, "generation")?,
        rebuild: rebuild.and_then(|number| u64::try_from(number).ok()).map(|number| (number, is_alive)),
    }))
}

/// Drops the tables of a rebuild that is not alive any more.
pub(crate) async fn clear_dead_rebuild(
    connection: &mut AnyConnection,
    projector: &dyn Projector,
    row: TablesRow,
) -> Result<TablesRow, EngineError> {
    match row.rebuild {
        Some((generation, false)) => {
            tracing::info!(projector = projector.name(), generation, "removing what an interrupted rebuild left");
            end_rebuild(connection, projector, generation).await?;
            Ok(TablesRow { rebuild: None, ..row })
        }
        _ => Ok(row),
    }
}

pub(crate) async fn create_tables(
    connection: &mut AnyConnection,
    projector: &dyn Projector,
    names: &TableNames,
) -> Result<(), EngineError> {
    for table in projector.tables() {
        let ddl = table.ddl.replace("{table}", &names.of(table.name));
        connection.execute(ddl.as_str()).await?;
    }
    Ok(())
}

/// Drops a rebuild's tables and forgets it.
pub(crate) async fn end_rebuild(
    connection: &mut AnyConnection,
    projector: &dyn Projector,
    generation: u64,
) -> Result<(), EngineError> {
    for table in projector.tables() {
        let drop = format!("drop table if exists {}", TableNames::beside(generation).of(table.name));
        connection.execute(drop.as_str()).await?;
    }
    let sql = "update projector_tables set rebuild_generation = null, rebuild_seen_at = null where projector = $1";
    sqlx::query(sql).bind(projector.name()).execute(&mut *connection).await?;
    let sql = "update projector_positions set rebuild_position = null, rebuild_target = null where projector = $1";
    sqlx::query(sql).bind(projector.name()).execute(&mut *connection).await?;
    Ok(())
}

/// Notes that a rebuild has begun.
pub(crate) async fn begin_rebuild(
    db: &ReadDb,
    connection: &mut AnyConnection,
    projector: &dyn Projector,
    generation: u64,
) -> Result<(), EngineError> {
    let sql = format!(
        "update projector_tables set generation = $1, rebuild_generation = $1, rebuild_seen_at = {} \
         where projector = $2",
        clock(db)
    );
    sqlx::query(&sql).bind(signed(generation)).bind(projector.name()).execute(connection).await?;
    Ok(())
}

/// A sign of life of a rebuild. False where it is not the one under way any more.
pub(crate) async fn note_rebuild(
    db: &ReadDb,
    connection: &mut AnyConnection,
    projector: &dyn Projector,
    generation: u64,
    ledger_id: &str,
    position: u64,
    target: u64,
) -> Result<bool, EngineError> {
    let sql = format!(
        "update projector_tables set rebuild_seen_at = {} where projector = $1 and rebuild_generation = $2",
        clock(db)
    );
    let touched = sqlx::query(&sql)
        .bind(projector.name())
        .bind(signed(generation))
        .execute(&mut *connection)
        .await?
        .rows_affected();
    let sql = "update projector_positions set rebuild_position = $1, rebuild_target = $2 \
         where projector = $3 and ledger_id = $4";
    sqlx::query(sql)
        .bind(signed(position))
        .bind(signed(target))
        .bind(projector.name())
        .bind(ledger_id)
        .execute(&mut *connection)
        .await?;
    Ok(touched == 1)
}

/// The position of one ledger, locked until the transaction ends.
pub(crate) async fn lock_position(
    db: &ReadDb,
    connection: &mut AnyConnection,
    projector: &dyn Projector,
    ledger_id: &str,
) -> Result<LockedPosition, EngineError> {
    let sql = format!(
        "select ledger_id, reducer_version, position from projector_positions \
         where projector = $1 and ledger_id = $2{}",
        for_update(db)
    );
    let row = sqlx::query(&sql).bind(projector.name()).bind(ledger_id).fetch_one(connection).await?;
    locked(&row)
}

/// The positions of all ledgers in the projector's tables, locked in a fixed order.
pub(crate) async fn lock_positions(
    db: &ReadDb,
    connection: &mut AnyConnection,
    projector: &dyn Projector,
) -> Result<Vec<LockedPosition>, EngineError> {
    let sql = format!(
        "select ledger_id, reducer_version, position from projector_positions where projector = $1 \
         order by ledger_id{}",
        for_update(db)
    );
    let rows = sqlx::query(&sql).bind(projector.name()).fetch_all(connection).await?;
    rows.iter().map(locked).collect()
}

fn locked(row: &sqlx::any::AnyRow) -> Result<LockedPosition, EngineError> {
    Ok(LockedPosition {
        ledger_id: row.try_get("ledger_id")?,
        reducer_version: natural(row, "reducer_version")?,
        position: natural(row, "position")?,
    })
}

/// Moves a position within the transaction that folded up to it.
pub(crate) async fn set_position(
    connection: &mut AnyConnection,
    projector: &dyn Projector,
    ledger_id: &str,
    position: u64,
) -> Result<(), EngineError> {
    let sql = "update projector_positions set position = $1, updated_at = $2, error = null \
         where projector = $3 and ledger_id = $4";
    sqlx::query(sql)
        .bind(signed(position))
        .bind(now())
        .bind(projector.name())
        .bind(ledger_id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes in the database why a projector stands still, for other processes to see; `None` takes the note away.
pub(crate) async fn note_error(
    db: &ReadDb,
    projector: &dyn Projector,
    ledger_id: &str,
    error: Option<&str>,
) -> Result<(), EngineError> {
    let mut transaction = db.begin().await?;
    sqlx::query("update projector_positions set error = $1 where projector = $2 and ledger_id = $3")
        .bind(error)
        .bind(projector.name())
        .bind(ledger_id)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[tokio::test]
    async fn clock_of_the_database_counts_microseconds_since_the_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let db = ReadDb::open_sqlite(folder.path().join("read.db")).await.unwrap();
        let sql = format!("select {}", clock(&db));
        let time: i64 = sqlx::query_scalar(&sql).fetch_one(db.readers()).await.unwrap();
        assert!(now().abs_diff(time) < 10_000_000, "{time}");
    }
}
