//! The rows of both ledger tables as plain values, and changes to them.

use std::path::Path;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, params_from_iter};

/// Columns of `ledger_entries` in the order of the table.
pub const ENTRY_COLUMNS: [&str; 16] = [
    "ledger_id",
    "position",
    "event_id",
    "stream_type",
    "stream_id",
    "version",
    "event_type",
    "schema_version",
    "recorded_at",
    "actor_kind",
    "actor_id",
    "metadata",
    "payload",
    "payload_digest",
    "previous_hash",
    "hash",
];
pub const LEDGER_ID: usize = 0;
pub const POSITION: usize = 1;
pub const EVENT_ID: usize = 2;
pub const STREAM_ID: usize = 4;
pub const VERSION: usize = 5;
pub const RECORDED_AT: usize = 8;
pub const ACTOR_KIND: usize = 9;
pub const PAYLOAD: usize = 12;
pub const PAYLOAD_DIGEST: usize = 13;
pub const PREVIOUS_HASH: usize = 14;
pub const HASH: usize = 15;

/// Columns of `ledger_heads` in the order of the table.
pub const HEAD_COLUMNS: [&str; 6] = ["ledger_id", "size", "hash", "root", "frontier", "recorded_at"];

/// A stored value. Text need not be UTF-8.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Value {
    pub fn integer(&self) -> i64 {
        match self {
            Self::Integer(value) => *value,
            other => panic!("no integer: {other:?}"),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(bytes) | Self::Blob(bytes) => bytes,
            other => panic!("no bytes: {other:?}"),
        }
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap()
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

pub type Row = Vec<Value>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Entries,
    Heads,
}

impl Table {
    pub fn name(self) -> &'static str {
        match self {
            Self::Entries => "ledger_entries",
            Self::Heads => "ledger_heads",
        }
    }

    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Entries => &ENTRY_COLUMNS,
            Self::Heads => &HEAD_COLUMNS,
        }
    }
}

/// All rows of both tables; a row's index is its identity.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub entries: Vec<Row>,
    pub heads: Vec<Row>,
}

impl Image {
    pub fn rows(&self, table: Table) -> &[Row] {
        match table {
            Table::Entries => &self.entries,
            Table::Heads => &self.heads,
        }
    }

    /// Reads a file, in the order of its row ids: row `n` of the image has row id `n + 1` in a file that was only
    /// appended to.
    pub fn read(connection: &Connection) -> Self {
        let rows = |table: Table| {
            let sql = format!("select {} from {} order by rowid", table.columns().join(", "), table.name());
            let mut statement = connection.prepare(&sql).unwrap();
            let read = |row: &rusqlite::Row<'_>| {
                let value = |index| match row.get_ref(index).unwrap() {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(value) => Value::Integer(value),
                    ValueRef::Real(value) => Value::Real(value),
                    ValueRef::Text(bytes) => Value::Text(bytes.to_vec()),
                    ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
                };
                Ok((0..table.columns().len()).map(value).collect())
            };
            statement.query_map([], read).unwrap().collect::<Result<Vec<Row>, _>>().unwrap()
        };
        Self { entries: rows(Table::Entries), heads: rows(Table::Heads) }
    }
}

/// A change of one row: update (both), delete (no values) or insert (no row).
#[derive(Debug, Clone)]
pub struct Change {
    pub table: Table,
    pub row: Option<usize>,
    pub values: Option<Row>,
}

/// Applies changes to a file: with its triggers and its named indexes dropped and, where the constraints that are
/// left refuse the changes or a column's affinity undoes them, with the tables rebuilt without any.
pub fn apply(path: &Path, changes: &[Change]) {
    let mut connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "pragma journal_mode = memory; pragma synchronous = off; \
             drop trigger ledger_entries_refuse_delete; drop trigger ledger_entries_refuse_update; \
             drop trigger ledger_heads_refuse_delete;",
        )
        .unwrap();
    drop_indexes(&connection);
    let before = Image::read(&connection);
    let transaction = connection.transaction().unwrap();
    let applied = write(&transaction, changes).is_ok() && as_wanted(&before, &Image::read(&transaction), changes);
    if applied {
        transaction.commit().unwrap();
        return;
    }
    transaction.rollback().unwrap();
    for table in [Table::Entries, Table::Heads] {
        let (name, columns) = (table.name(), table.columns().join(", "));
        connection
            .execute_batch(&format!(
                "create table loose ({columns}); insert into loose select {columns} from {name} order by rowid; \
                 drop table {name}; alter table loose rename to {name};"
            ))
            .unwrap();
    }
    write(&connection, changes).unwrap();
    assert!(as_wanted(&before, &Image::read(&connection), changes), "changes did not stick");
}

fn drop_indexes(connection: &Connection) {
    let sql = "select name from sqlite_schema where type = 'index' and sql is not null \
               and tbl_name in ('ledger_entries', 'ledger_heads')";
    let mut statement = connection.prepare(sql).unwrap();
    let names: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    for name in names {
        connection.execute_batch(&format!("drop index {name}")).unwrap();
    }
}

fn write(connection: &Connection, changes: &[Change]) -> rusqlite::Result<()> {
    for change in changes {
        let (name, columns) = (change.table.name(), change.table.columns());
        let row_id = change.row.map(|row| row as i64 + 1);
        match (&change.values, row_id) {
            (None, Some(row_id)) => {
                connection.execute(&format!("delete from {name} where rowid = ?1"), [row_id])?;
            }
            (Some(values), Some(row_id)) => {
                let set: Vec<String> =
                    columns.iter().enumerate().map(|(index, column)| format!("{column} = ?{}", index + 1)).collect();
                let sql = format!("update {name} set {} where rowid = {row_id}", set.join(", "));
                connection.execute(&sql, params_from_iter(values))?;
            }
            (Some(values), None) => {
                let places = vec!["?"; columns.len()].join(", ");
                let sql = format!("insert into {name} ({}) values ({places})", columns.join(", "));
                connection.execute(&sql, params_from_iter(values))?;
            }
            (None, None) => {}
        }
    }
    Ok(())
}

/// Whether the rows are what the changes make of them, to the type.
fn as_wanted(before: &Image, after: &Image, changes: &[Change]) -> bool {
    let wanted = changed(before, changes);
    wanted == *after && wanted != *before
}

/// The image with the changes made.
pub fn changed(before: &Image, changes: &[Change]) -> Image {
    let mut rows = [Table::Entries, Table::Heads]
        .map(|table| before.rows(table).iter().cloned().map(Some).collect::<Vec<Option<Row>>>());
    for change in changes {
        let rows = &mut rows[usize::from(change.table == Table::Heads)];
        match change.row {
            Some(row) => rows[row] = change.values.clone(),
            None => rows.push(change.values.clone()),
        }
    }
    let [entries, heads] = rows.map(|rows| rows.into_iter().flatten().collect());
    Image { entries, heads }
}
