//! Reads a ledger file: read-only, one read transaction, columns borrowed from SQLite's own row.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, Statement, params};

use crate::cell::{Cell, ENTRY_COLUMNS, HEAD_COLUMNS};
use crate::head::HeadRow;
use crate::report::Report;
use crate::source::{Progress, SourceError, VerifyOptions};
use crate::walk::Walk;

mod beside;
mod format;
mod in_place;
mod kept_open;
mod own;
mod stretches;

pub(crate) use own::newest_payloads;
use stretches::Stretches;

/// In which order a file's entries are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// As they lie in the table: one pass over the file, and the quick way. Entries are written in the order of their
    /// positions, so that is the order in which they lie.
    Table,
    /// As the primary key's index leads to them: says of a file that somebody has changed what is wrong with it.
    Index,
}

pub(crate) fn verify(
    path: &Path,
    options: VerifyOptions,
    mut progress: impl FnMut(Progress) -> bool,
) -> Result<Report, SourceError> {
    // Whoever looks at entries is shown each of them once.
    if options.entries.is_none() {
        let quick = read(path, options.clone(), Order::Table, &mut progress)?;
        if let Some(report) = quick.filter(Report::is_verified) {
            return Ok(report);
        }
    }
    match read(path, options, Order::Index, &mut progress)? {
        Some(report) => Ok(report),
        None => Err(SourceError::Unreadable("the index leads to no order".to_owned())),
    }
}

/// Reads and verifies; `None` where entries do not lie in the order that was hoped for.
fn read(
    path: &Path,
    options: VerifyOptions,
    order: Order,
    progress: &mut impl FnMut(Progress) -> bool,
) -> Result<Option<Report>, SourceError> {
    let mut connection = open(path)?;
    // A deferred transaction takes its snapshot at the first read. A server may go on appending: its entries go to the
    // write-ahead log behind this snapshot, and entries and heads are read as of one commit.
    connection.execute_batch("begin deferred")?;
    for table in ["ledger_entries", "ledger_heads"] {
        if !has_table(&connection, table)? {
            return Err(SourceError::NoTable(table));
        }
    }
    let ledger = options.ledger.clone();
    let filter = if ledger.is_some() { "where ledger_id = ?1" } else { "" };
    let mut heads = Vec::new();
    let mut statement = connection.prepare(&format!("select {HEAD_COLUMNS} from ledger_heads {filter}"))?;
    let mut rows = query(&mut statement, ledger.as_deref())?;
    while let Some(row) = rows.next()? {
        heads.push(HeadRow::read(cells(row)?));
    }
    drop(rows);
    drop(statement);
    let has_tiles = has_table(&connection, "ledger_tiles")?;
    let has_checkpoints = has_table(&connection, "ledger_checkpoints")?;
    let stretches = match order {
        Order::Table => Stretches::open(path, &connection, &heads, &options)?,
        Order::Index => None,
    };
    let mut walk = Walk::new(&options, heads, has_tiles, progress)?;
    if let Some(stretches) = stretches {
        // The index is counted meanwhile: at the end, the other processors would wait for that.
        let (sent, counted);
        (sent, counted, connection) =
            stretches::counting(connection, ledger.as_deref(), filter, || stretches.send(&mut walk))?;
        if !sent {
            return stretches.end().map(|_| None);
        }
        beside::read(&connection, has_tiles, has_checkpoints, &mut walk)?;
        if has_tiles {
            beside::tiles_without_entries(&connection, ledger.as_deref(), &mut walk)?;
        }
        let report = walk.finish(Some(counted?))?;
        return stretches.end().map(|sound| sound.then_some(report));
    }
    let mut statement = connection.prepare(&entries_in(order, ledger.is_some()))?;
    let mut rows = query(&mut statement, ledger.as_deref())?;
    let mut row_ids = RowIds::default();
    let mut in_order = InOrder::default();
    while let Some(row) = rows.next()? {
        let cells: [Cell<'_>; 16] = cells(row)?;
        row_ids.add(row.get(16)?);
        let [ledger_id, position, ..] = cells;
        let continues = walk.continues(ledger_id);
        if order == Order::Table && !in_order.goes_on(position, continues) {
            return Ok(None);
        }
        if !continues {
            walk.send_blocking()?;
            beside::read(&connection, has_tiles, has_checkpoints, &mut walk)?;
            walk.begin(ledger_id);
        }
        if walk.row(&cells)? {
            walk.send_blocking()?;
        }
    }
    drop(rows);
    walk.send_blocking()?;
    beside::read(&connection, has_tiles, has_checkpoints, &mut walk)?;
    if has_tiles {
        beside::tiles_without_entries(&connection, ledger.as_deref(), &mut walk)?;
    }
    let counted = match order {
        Order::Table => indexed(&connection, ledger.as_deref(), filter)?,
        Order::Index if row_ids.are_all_of(&connection)? => row_ids.count,
        Order::Index => count(&connection, "not indexed", ledger.as_deref(), filter)?,
    };
    walk.finish(Some(counted)).map(Some)
}

/// The query of all entries.
fn entries_in(order: Order, one_ledger: bool) -> String {
    match order {
        Order::Table => {
            let filter = if one_ledger { "where ledger_id = ?1" } else { "" };
            format!(
                "select {ENTRY_COLUMNS}, entry.rowid from ledger_entries as entry not indexed {filter} order by entry.rowid"
            )
        }
        // The primary key's index says only which row comes next; the row is then sought in the table by its row id.
        // Asked for all columns in one step, SQLite would take `ledger_id` and `position` from the index, and a table
        // that says otherwise would not be seen. The collation is named so that a table rebuilt with another one is
        // still read in this order.
        Order::Index => {
            let placed = if one_ledger { "where placed.ledger_id = ?1" } else { "" };
            format!(
                "select {ENTRY_COLUMNS}, entry.rowid from ledger_entries as placed cross join ledger_entries as entry \
                 on entry.rowid = placed.rowid {placed} \
                 order by placed.ledger_id collate binary, placed.position collate binary"
            )
        }
    }
}

/// How many rows the primary key's index has. Where it is not to be found, as many as make another reading necessary.
fn indexed(connection: &Connection, ledger: Option<&str>, filter: &str) -> Result<u64, SourceError> {
    match count(connection, "indexed by sqlite_autoindex_ledger_entries_1", ledger, filter) {
        Err(SourceError::Unreadable(_)) => Ok(u64::MAX),
        counted => counted,
    }
}

fn count(connection: &Connection, how: &str, ledger: Option<&str>, filter: &str) -> Result<u64, SourceError> {
    let mut statement = connection.prepare(&format!("select count(*) from ledger_entries {how} {filter}"))?;
    let mut rows = query(&mut statement, ledger)?;
    Ok(match rows.next()? {
        Some(row) => u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
        None => 0,
    })
}

/// Whether entries come one ledger after the other, each in the order of its positions.
#[derive(Debug, Default)]
struct InOrder {
    next: i64,
}

impl InOrder {
    fn goes_on(&mut self, position: Cell<'_>, same_ledger: bool) -> bool {
        let Cell::Integer(position) = position else { return false };
        let expected = if same_ledger { self.next } else { 0 };
        self.next = position.saturating_add(1);
        position == expected
    }
}

/// The row ids that were read, in the order in which the index led to them.
#[derive(Debug, Default)]
struct RowIds {
    first: i64,
    last: i64,
    count: u64,
    scattered: bool,
}

impl RowIds {
    fn add(&mut self, row_id: i64) {
        if self.count == 0 {
            self.first = row_id;
        } else if self.last.checked_add(1) != Some(row_id) {
            self.scattered = true;
        }
        self.last = row_id;
        self.count += 1;
    }

    /// Whether the table has no other rows, told without reading it again: they were one run of row ids, and the table
    /// has none before and none after it. Where ledgers share a file that is not so, and the rows must be counted.
    fn are_all_of(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let end = |function: &str| {
            let sql = format!("select {function}(rowid) from ledger_entries not indexed");
            connection.query_row(&sql, [], |row| row.get::<_, Option<i64>>(0))
        };
        let ends = (end("min")?, end("max")?);
        Ok(!self.scattered && self.count > 0 && ends == (Some(self.first), Some(self.last)))
    }
}

fn has_table(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    let sql = "select count(*) from sqlite_schema where type = 'table' and lower(name) = ?1";
    connection.query_row(sql, [table], |row| row.get::<_, i64>(0)).map(|tables| tables > 0)
}

fn query<'a>(statement: &'a mut Statement<'_>, ledger: Option<&str>) -> rusqlite::Result<rusqlite::Rows<'a>> {
    match ledger {
        Some(ledger) => statement.query(params![ledger]),
        None => statement.query([]),
    }
}

fn cells<'a, const N: usize>(row: &'a Row<'_>) -> rusqlite::Result<[Cell<'a>; N]> {
    let mut cells = [Cell::Null; N];
    for (index, cell) in cells.iter_mut().enumerate() {
        *cell = match row.get_ref(index)? {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(value) => Cell::Integer(value),
            ValueRef::Real(value) => Cell::Real(value),
            ValueRef::Text(bytes) => Cell::Text(bytes),
            ValueRef::Blob(bytes) => Cell::Blob(bytes),
        };
    }
    Ok(cells)
}

/// Opens for reading only. A file in a folder that cannot be written to has no place for the shared memory that its
/// write-ahead log needs; where there is no log, it is read as a file that nobody changes.
pub(crate) fn open(path: &Path) -> Result<Connection, SourceError> {
    if !path.is_file() {
        return Err(SourceError::NoFile(path.display().to_string()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(prepare);
    match opened {
        Err(rusqlite::Error::SqliteFailure(failure, _))
            if matches!(failure.code, ErrorCode::CannotOpen | ErrorCode::ReadOnly) && !has_log(path) =>
        {
            Ok(open_immutable(path)?)
        }
        other => Ok(other?),
    }
}

fn open_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags).and_then(prepare)
}

/// Settings, and one read that shows whether the file can be read at all. The file is not mapped into memory: one
/// that is truncated meanwhile must be an error, not a signal.
fn prepare(connection: Connection) -> rusqlite::Result<Connection> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.execute_batch("pragma query_only = on; pragma trusted_schema = off; pragma cache_size = -1024;")?;
    connection.query_row("select count(*) from sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_in_a_folder_that_cannot_be_written_to_is_read_as_unchanging() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a 100% strange?name#.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("pragma journal_mode = wal; create table t (a); insert into t values (7);").unwrap();
        drop(connection);
        assert!(!has_log(&path));
        let connection = open_immutable(&path).unwrap();
        assert_eq!(connection.query_row("select a from t", [], |row| row.get::<_, i64>(0)).unwrap(), 7);
    }
}
