//! Rows of a read table in the order of a key: one query within one snapshot of the database, read as it comes.
//!
//! One query, because many along the key are each planned anew, and a database that does not know its table yet may sort all of
//! it for each of them.
//!
//! The snapshot holds the table and its projector's position together, so that it is known exactly which entries the rows
//! take into account, however long the reading takes and whatever is folded meanwhile.

use daybook_domain::export::ExportKind;
use daybook_exports::kinds::{ColumnDeclaration, FilterValue, LIMIT};
use daybook_exports::{Cell, CellKind, Row};
use daybook_read_models::{StoreKind, audit_trail, incidents, positions, transactions};
use futures::TryStreamExt;
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Executor, Row as _, Transaction};

use super::conditions::Conditions;
use super::{Filters, Pages, Reading, ReadingError, Sources};

/// Rows that are handed on at once.
const PAGE: usize = 2_000;

/// A read table, and how it is read from its beginning to its end.
struct Table {
    name: &'static str,
    projector: &'static str,
    /// What the rows are in the order of.
    key: &'static str,
    /// What holds of every row that is exported.
    condition: Option<&'static str>,
}

fn table_of(kind: ExportKind) -> Table {
    let (name, projector, key, condition) = match kind {
        ExportKind::Transactions => ("transactions", transactions::PROJECTOR, "first_position", None),
        ExportKind::Incidents => ("incidents", incidents::PROJECTOR, "first_position", None),
        ExportKind::AgentActions => ("approvals", "approvals", "first_position", Some("action like 'agent.%'")),
        // The others are in no table; the audit trail has the ledger's own key.
        ExportKind::AuditTrail | ExportKind::Entries | ExportKind::Users | ExportKind::EvidencePack => {
            ("audit_trail", audit_trail::PROJECTOR, "position", None)
        }
    };
    Table { name, projector, key, condition }
}

/// Waits for the table's projector, takes a snapshot, and begins to read.
pub(super) async fn open(
    sources: &Sources,
    kind: ExportKind,
    columns: Vec<&'static ColumnDeclaration>,
    filters: Filters,
    size: u64,
) -> Result<Reading, ReadingError> {
    let table = table_of(kind);
    let (database, ledger) = (&sources.database, sources.reader.id().as_str());
    if let Some(last) = size.checked_sub(1) {
        let seen = positions::wait_for(database, table.projector, ledger, last, sources.patience).await?;
        if seen < size {
            return Err(ReadingError::Behind { reader: table.projector, seen, needed: size });
        }
    }
    let mut snapshot = database.begin_snapshot().await?;
    if database.kind() == StoreKind::Postgres {
        let connection: &mut AnyConnection = &mut snapshot;
        // Before the first query, which is what takes the snapshot: a rebuild that swaps the table afterwards waits for the
        // export, and one that came before is seen whole.
        let sql = format!("lock table {} in access share mode", table.name);
        connection.execute(sql.as_str()).await?;
    }
    let position = position(&mut snapshot, table.projector, ledger).await?;
    if position < size {
        // Set back since: a rebuild of all tables from the beginning has swapped itself in.
        return Err(ReadingError::Behind { reader: table.projector, seen: position, needed: size });
    }
    let mut conditions = Conditions::in_ledger(ledger);
    if let Some(condition) = table.condition {
        conditions.and(condition);
    }
    conditions.add(kind, &filters);
    let names: Vec<&str> = columns.iter().map(|column| column.source).collect();
    // The newest so many come the newest first; all come the oldest first.
    let order = match filters.values.get(LIMIT) {
        Some(FilterValue::Integer(limit)) => format!("{} desc limit {limit}", table.key),
        _ => table.key.to_owned(),
    };
    let sql = format!("select {} from {} where {} order by {order}", names.join(", "), table.name, conditions.sql());
    let kinds: Vec<CellKind> = columns.iter().map(|column| column.kind).collect();
    Reading::begin(&columns, position, |pages| read(snapshot, sql, conditions, kinds, pages))
}

async fn position(connection: &mut AnyConnection, projector: &str, ledger: &str) -> Result<u64, ReadingError> {
    let sql = "select position from projector_positions where projector = $1 and ledger_id = $2";
    let position: Option<i64> = sqlx::query_scalar(sql).bind(projector).bind(ledger).fetch_optional(connection).await?;
    Ok(position.and_then(|position| u64::try_from(position).ok()).unwrap_or(0))
}

async fn read(
    mut snapshot: Transaction<'static, Any>,
    sql: String,
    conditions: Conditions,
    kinds: Vec<CellKind>,
    pages: Pages,
) -> Result<(), ReadingError> {
    let mut page = Vec::with_capacity(PAGE);
    {
        let mut rows = conditions.bind(&sql).fetch(&mut *snapshot);
        while let Some(row) = rows.try_next().await? {
            page.push(cells(&row, &kinds)?);
            if page.len() == PAGE {
                let full = std::mem::replace(&mut page, Vec::with_capacity(PAGE));
                if pages.send(Ok(full)).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
    // Nothing was written; this gives the snapshot back at once.
    snapshot.rollback().await?;
    if !page.is_empty() {
        // Nobody listens where the export was given up.
        let _ = pages.send(Ok(page)).await;
    }
    Ok(())
}

fn cells(row: &AnyRow, kinds: &[CellKind]) -> Result<Row, ReadingError> {
    let mut cells = Vec::with_capacity(kinds.len());
    for (index, kind) in kinds.iter().enumerate() {
        let cell = match kind {
            CellKind::Text => row.try_get::<Option<String>, _>(index)?.map(Cell::Text),
            CellKind::Decimal => row.try_get::<Option<String>, _>(index)?.map(Cell::Decimal),
            CellKind::Integer => row.try_get::<Option<i64>, _>(index)?.map(Cell::Integer),
            CellKind::Time => row.try_get::<Option<i64>, _>(index)?.map(Cell::Time),
            CellKind::Boolean => row.try_get::<Option<i64>, _>(index)?.map(|value| Cell::Boolean(value != 0)),
        };
        cells.push(cell.unwrap_or(Cell::Null));
    }
    Ok(cells)
}
