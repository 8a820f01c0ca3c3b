//! Reads ledgers from PostgreSQL: one read-only transaction in one snapshot, rows streamed as they arrive.

use futures::TryStreamExt as _;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Column as _, Connection as _, Executor as _, Row as _, TypeInfo as _};

use crate::cell::{Cell, ENTRY_COLUMNS, HEAD_COLUMNS};
use crate::head::HeadRow;
use crate::report::Report;
use crate::source::{Progress, SourceError, VerifyOptions};
use crate::walk::Walk;
use beside::Beside;

mod beside;

pub(crate) async fn verify(
    url: &str,
    options: VerifyOptions,
    progress: impl FnMut(Progress) -> bool,
) -> Result<Report, SourceError> {
    let mut connection = PgConnection::connect(url).await?;
    // A long ledger takes longer than an ordinary statement may.
    connection
        .execute(
            "begin isolation level repeatable read read only; \
             set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0",
        )
        .await?;
    for table in ["ledger_entries", "ledger_heads"] {
        let found: bool = sqlx::query_scalar(
            "select exists (select 1 from pg_class where oid = to_regclass($1) and relkind in ('r', 'p'))",
        )
        .bind(table)
        .fetch_one(&mut connection)
        .await?;
        if !found {
            return Err(SourceError::NoTable(table));
        }
    }
    let heads = read_heads(&mut connection, options.ledger.as_deref()).await?;
    let beside = Beside::of(&mut connection).await?;
    let mut walk = Walk::new(&options, heads, beside.tiles, progress)?;
    match &options.ledger {
        Some(ledger) => read_ledger(&mut connection, Some(ledger), beside, &mut walk).await?,
        None => read_all(&mut connection, beside, &mut walk).await?,
    }
    beside.tiles_without_entries(&mut connection, options.ledger.as_deref(), &mut walk).await?;
    let counted = count(&mut connection, options.ledger.as_deref()).await?;
    let report = walk.finish_async(Some(counted)).await?;
    // The report stands whatever becomes of the connection now.
    let _ = connection.close().await;
    Ok(report)
}

async fn read_heads(connection: &mut PgConnection, ledger: Option<&str>) -> Result<Vec<HeadRow>, SourceError> {
    let filter = if ledger.is_some() { "where ledger_id = $1" } else { "" };
    let sql = format!("select {HEAD_COLUMNS} from ledger_heads {filter}");
    let query = match ledger {
        Some(ledger) => sqlx::query(&sql).bind(ledger),
        None => sqlx::query(&sql),
    };
    let mut rows = query.fetch(connection);
    let mut heads = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let kinds = kinds::<6>(&row);
        heads.push(HeadRow::read(cells(&row, &kinds)?));
    }
    Ok(heads)
}

/// Ledger after ledger, each in the order of the primary key, which a sort over all of the table would not use: the
/// key's order of ledger ids is that of the database's collation.
async fn read_all<P>(connection: &mut PgConnection, beside: Beside, walk: &mut Walk<P>) -> Result<(), SourceError>
where
    P: FnMut(Progress) -> bool,
{
    let mut next: Option<String> = sqlx::query_scalar(
        "select ledger_id from ledger_entries where ledger_id is not null order by ledger_id limit 1",
    )
    .fetch_optional(&mut *connection)
    .await?;
    while let Some(ledger) = next {
        read_ledger(connection, Some(&ledger), beside, walk).await?;
        next =
            sqlx::query_scalar("select ledger_id from ledger_entries where ledger_id > $1 order by ledger_id limit 1")
                .bind(&ledger)
                .fetch_optional(&mut *connection)
                .await?;
    }
    read_ledger(connection, None, beside, walk).await
}

/// The rows of one ledger, or those without a ledger id, which only a table without its constraints can have.
async fn read_ledger<P>(
    connection: &mut PgConnection,
    ledger: Option<&str>,
    beside: Beside,
    walk: &mut Walk<P>,
) -> Result<(), SourceError>
where
    P: FnMut(Progress) -> bool,
{
    let filter = if ledger.is_some() { "ledger_id = $1" } else { "ledger_id is null" };
    let sql = format!("select {ENTRY_COLUMNS} from ledger_entries as entry where {filter} order by position");
    let query = match ledger {
        Some(ledger) => sqlx::query(&sql).bind(ledger),
        None => sqlx::query(&sql),
    };
    let mut rows = query.fetch(&mut *connection);
    let mut known_kinds = None;
    while let Some(row) = rows.try_next().await? {
        if known_kinds.is_none() {
            walk.begin(ledger.map_or(Cell::Null, |ledger| Cell::Text(ledger.as_bytes())));
        }
        let kinds = known_kinds.get_or_insert_with(|| kinds::<16>(&row));
        if walk.row(&cells(&row, kinds)?)? {
            walk.send().await?;
        }
    }
    drop(rows);
    walk.send().await?;
    match (ledger, known_kinds) {
        (Some(ledger), Some(_)) => beside.read(connection, ledger, walk).await,
        _ => Ok(()),
    }
}

/// Counts the table's rows without its indexes.
async fn count(connection: &mut PgConnection, ledger: Option<&str>) -> Result<u64, SourceError> {
    connection
        .execute(
            "set local enable_indexscan = off; set local enable_indexonlyscan = off; \
             set local enable_bitmapscan = off",
        )
        .await?;
    let counted: i64 = match ledger {
        Some(ledger) => {
            sqlx::query_scalar("select count(*) from ledger_entries where ledger_id = $1")
                .bind(ledger)
                .fetch_one(connection)
                .await?
        }
        None => sqlx::query_scalar("select count(*) from ledger_entries").fetch_one(connection).await?,
    };
    Ok(u64::try_from(counted).unwrap_or(0))
}

/// How to read a column's binary form.
#[derive(Debug, Clone)]
enum Kind {
    Integer,
    Text,
    Bytes,
    Other(String),
}

/// The columns' types; the same for all rows of a query.
fn kinds<const N: usize>(row: &PgRow) -> [Kind; N] {
    std::array::from_fn(|index| match row.columns().get(index).map(|column| column.type_info().name()) {
        Some("INT8" | "INT4" | "INT2") => Kind::Integer,
        Some("TEXT" | "VARCHAR") => Kind::Text,
        Some("BYTEA" | "UUID") => Kind::Bytes,
        Some(other) => Kind::Other(other.to_lowercase()),
        None => Kind::Other("none".to_owned()),
    })
}

fn cells<'a, const N: usize>(row: &'a PgRow, kinds: &'a [Kind; N]) -> Result<[Cell<'a>; N], SourceError> {
    let mut cells = [Cell::Null; N];
    for (index, (cell, kind)) in cells.iter_mut().zip(kinds).enumerate() {
        let value = row.try_get_raw(index)?;
        if sqlx::ValueRef::is_null(&value) {
            continue;
        }
        let bytes = value.as_bytes().map_err(|error| SourceError::Unreadable(error.to_string()))?;
        *cell = match kind {
            Kind::Integer => integer(bytes).map_or(Cell::Other("integer"), Cell::Integer),
            Kind::Text => Cell::Text(bytes),
            Kind::Bytes => Cell::Blob(bytes),
            Kind::Other(name) => Cell::Other(name),
        };
    }
    Ok(cells)
}

/// Two, four or eight bytes, big-endian.
fn integer(bytes: &[u8]) -> Option<i64> {
    match bytes.len() {
        8 => bytes.try_into().ok().map(i64::from_be_bytes),
        4 => bytes.try_into().ok().map(|bytes| i64::from(i32::from_be_bytes(bytes))),
        2 => bytes.try_into().ok().map(|bytes| i64::from(i16::from_be_bytes(bytes))),
        _ => None,
    }
}
