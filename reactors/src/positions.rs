//! How far each reactor has come, kept in the read database.
//!
//! Saved after the effects of a page: a crash in between repeats them, which changes nothing.

use daybook_read_models::{ReadDb, ReadError, StoreKind};
use serde::Serialize;
use sqlx::Row;

use crate::tables;

const SCHEMA: &str = include_str!("../../migrations/read/0001_reactors.sql");

/// Where a reactor stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReactorStatus {
    /// The reactor.
    pub name: String,
    /// The ledger it looks at.
    pub ledger_id: String,
    /// Number of entries it has looked at.
    pub position: u64,
    /// When it last got on, in microseconds since the epoch.
    pub updated_at: i64,
    /// Why it stands still.
    pub error: Option<String>,
}

/// Makes the table where it is missing.
pub(crate) async fn prepare(database: &ReadDb) -> Result<(), ReadError> {
    tables::make(database, SCHEMA).await
}

/// Number of entries the reactor has looked at.
pub(crate) async fn load(database: &ReadDb, reactor: &str, ledger: &str) -> Result<u64, ReadError> {
    let position: Option<i64> =
        sqlx::query_scalar("select position from reactor_positions where reactor = $1 and ledger_id = $2")
            .bind(reactor)
            .bind(ledger)
            .fetch_optional(database.readers())
            .await?;
    Ok(position.and_then(|position| u64::try_from(position).ok()).unwrap_or(0))
}

/// Moves the position on, never back: another process may be ahead.
pub(crate) async fn save(database: &ReadDb, reactor: &str, ledger: &str, position: u64) -> Result<(), ReadError> {
    let mut transaction = database.begin().await?;
    sqlx::query(
        "insert into reactor_positions (reactor, ledger_id, position, updated_at, error) values ($1, $2, $3, $4, null) \
         on conflict (reactor, ledger_id) do update set position = excluded.position, \
         updated_at = excluded.updated_at, error = null where excluded.position > reactor_positions.position",
    )
    .bind(reactor)
    .bind(ledger)
    .bind(i64::try_from(position).unwrap_or(i64::MAX))
    .bind(chrono::Utc::now().timestamp_micros())
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Notes why the reactor stands still.
pub(crate) async fn save_error(
    database: &ReadDb,
    reactor: &str,
    ledger: &str,
    error: &impl std::fmt::Display,
) -> Result<(), ReadError> {
    let mut transaction = database.begin().await?;
    sqlx::query(
        "insert into reactor_positions (reactor, ledger_id, position, updated_at, error) values ($1, $2, 0, $3, $4) \
         on conflict (reactor, ledger_id) do update set error = excluded.error",
    )
    .bind(reactor)
    .bind(ledger)
    .bind(chrono::Utc::now().timestamp_micros())
    .bind(error.to_string())
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Takes back the note of an error that has passed.
pub(crate) async fn clear_error(database: &ReadDb, reactor: &str, ledger: &str) -> Result<(), ReadError> {
    let mut transaction = database.begin().await?;
    sqlx::query(
        "update reactor_positions set error = null where reactor = $1 and ledger_id = $2 and error is not null",
    )
    .bind(reactor)
    .bind(ledger)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Takes a reactor out of the status that is not to run any more: what stopped it is nobody's worry now.
pub(crate) async fn forget(database: &ReadDb, reactor: &str, ledger: &str) -> Result<(), ReadError> {
    let mut transaction = database.begin().await?;
    sqlx::query("delete from reactor_positions where reactor = $1 and ledger_id = $2")
        .bind(reactor)
        .bind(ledger)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Where every reactor stands; none where no process has run reactors on this database yet.
pub async fn status(database: &ReadDb) -> Result<Vec<ReactorStatus>, ReadError> {
    let exists = match database.kind() {
        StoreKind::Sqlite => "select count(*) from sqlite_master where type = 'table' and name = 'reactor_positions'",
        StoreKind::Postgres => "select cast((to_regclass('reactor_positions') is not null) as int)::bigint",
    };
    let tables: i64 = sqlx::query_scalar(exists).fetch_one(database.readers()).await?;
    if tables == 0 {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "select reactor, ledger_id, position, updated_at, error from reactor_positions order by reactor, ledger_id",
    )
    .fetch_all(database.readers())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(ReactorStatus {
                name: row.try_get(0)?,
                ledger_id: row.try_get(1)?,
                position: u64::try_from(row.try_get::<i64, _>(2)?).unwrap_or(0),
                updated_at: row.try_get(3)?,
                error: row.try_get(4)?,
            })
        })
        .collect()
}
