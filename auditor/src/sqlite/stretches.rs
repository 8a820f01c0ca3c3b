//! The quickest way through a file that holds one ledger, one row id after the other, as a server writes it: stretches of
//! row ids, each read by the thread that hashes it, in place where that can be, otherwise over a connection of that
//! thread's own.
//!
//! The file was opened for one snapshot before, and that one says which row ids there are. A connection that is opened
//! after it may see entries that were appended since: they lie beyond. Whatever else differs between two snapshots is
//! a change of entries that were there before, and is found like any other. What is found here is only that something
//! is wrong; the file is then read once more, in the order of its index, and in one snapshot.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use super::in_place::{Buffers, InPlace};
use super::{cells, indexed, open};
use crate::cell::{Cell, ENTRY_COLUMNS};
use crate::hashing::{Checking, Rows};
use crate::head::HeadRow;
use crate::source::{Progress, SourceError, VerifyOptions};
use crate::walk::Walk;

/// Entries of a stretch: four tiles.
const STRETCH: u64 = 1_024;
/// Pages that a connection keeps. Each is needed once, one after the other: few enough that all of them, used again and
/// again, stay in the processor's cache.
const CACHE_PAGES: u32 = 24;

/// The stretches of one ledger.
#[derive(Debug)]
pub(super) struct Stretches {
    ledger_id: Vec<u8>,
    rows: Arc<RowIds>,
}

impl Stretches {
    /// Opens a connection for each thread. None where the file cannot be read in this way: where its row ids are not
    /// as many as its one head states.
    pub(super) fn open(
        path: &Path,
        connection: &Connection,
        heads: &[HeadRow],
        options: &VerifyOptions,
    ) -> Result<Option<Self>, SourceError> {
        let [HeadRow { key, size: Some(size), .. }] = heads else { return Ok(None) };
        let Some(ledger_id) = key.text() else { return Ok(None) };
        let end = |function: &str| {
            let sql = format!("select {function}(rowid) from ledger_entries not indexed");
            connection.query_row(&sql, [], |row| row.get::<_, Option<i64>>(0))
        };
        let (Some(first), Some(last)) = (end("min")?, end("max")?) else { return Ok(None) };
        if i128::from(last) - i128::from(first) + 1 != i128::from(*size) {
            return Ok(None);
        }
        let threads = options.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, usize::from);
        let mut readers = Vec::new();
        for _ in 0..threads {
            match another(path) {
                Ok(connection) => readers.push(Reader { connection, buffers: Buffers::default() }),
                // Somebody waits to write, or there are no more files to be opened: one connection is there already.
                Err(_) => return Ok(None),
            }
        }
        let rows = RowIds {
            first,
            size: *size,
            in_place: InPlace::open(path, connection),
            readers: Mutex::new(readers),
            trouble: Mutex::default(),
        };
        Ok(Some(Self { ledger_id: ledger_id.to_vec(), rows: Arc::new(rows) }))
    }

    /// Has all entries read. False where that came to an early end: see [`Stretches::end`].
    pub(super) fn send<P: FnMut(Progress) -> bool>(&self, walk: &mut Walk<P>) -> Result<bool, SourceError> {
        walk.begin(Cell::Text(&self.ledger_id));
        let rows: Arc<dyn Rows> = Arc::<RowIds>::clone(&self.rows);
        for stretch in 0..self.rows.size.div_ceil(STRETCH) {
            if self.rows.has_trouble() {
                return Ok(false);
            }
            walk.stretch_blocking(&rows, stretch, self.rows.length(stretch))?;
        }
        Ok(true)
    }

    /// Whether all entries were read, and none of them was odd. To be asked when everything has been judged.
    pub(super) fn end(&self) -> Result<bool, SourceError> {
        match self.rows.trouble().take() {
            None => Ok(true),
            Some(Trouble::Odd) => Ok(false),
            Some(Trouble::Failed(error)) => Err(error.into()),
        }
    }
}

/// Counts the rows of the index over `connection` while `work` is done, and gives the connection back. Where the work comes
/// to an early end the number is not needed, and nobody waits for it.
pub(super) fn counting(
    connection: Connection,
    ledger: Option<&str>,
    filter: &str,
    work: impl FnOnce() -> Result<bool, SourceError>,
) -> Result<(bool, Result<u64, SourceError>, Connection), SourceError> {
    let interrupt = connection.get_interrupt_handle();
    thread::scope(|scope| {
        let counting = scope.spawn(move || (indexed(&connection, ledger, filter), connection));
        let done = work();
        if !matches!(done, Ok(true)) {
            interrupt.interrupt();
        }
        let Ok((counted, connection)) = counting.join() else {
            return Err(io::Error::other("the thread that counted the index stopped").into());
        };
        Ok((done?, counted, connection))
    })
}

/// One more connection, with a snapshot. It does not wait for a writer, who would wait for the first connection.
fn another(path: &Path) -> Result<Connection, SourceError> {
    let connection = open(path)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.execute_batch(&format!("pragma cache_size = {CACHE_PAGES}; begin deferred"))?;
    connection.query_row("select count(*) from sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    Ok(connection)
}

/// What ended the reading early.
#[derive(Debug)]
enum Trouble {
    /// A row is missing, or something is wrong with it.
    Odd,
    Failed(rusqlite::Error),
}

/// What one thread reads with.
#[derive(Debug)]
struct Reader {
    connection: Connection,
    buffers: Buffers,
}

/// The rows of the table.
#[derive(Debug)]
struct RowIds {
    first: i64,
    size: u64,
    /// The table's pages, where they may be read as they lie in the file.
    in_place: Option<InPlace>,
    /// Those that no thread is using.
    readers: Mutex<Vec<Reader>>,
    trouble: Mutex<Option<Trouble>>,
}

impl RowIds {
    fn length(&self, stretch: u64) -> u64 {
        self.size.saturating_sub(stretch.saturating_mul(STRETCH)).min(STRETCH)
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_trouble(&self) -> bool {
        self.trouble().is_some()
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are as many rows as there should be, and nothing is wrong with any.
    fn read_with(&self, reader: &mut Reader, stretch: u64, mut checking: Checking<'_>) -> rusqlite::Result<bool> {
        let length = self.length(stretch);
        // All of it lies between the first and the last row id.
        let from = self.first.saturating_add_unsigned(stretch.saturating_mul(STRETCH));
        let to = from.saturating_add_unsigned(length.saturating_sub(1));
        let Reader { connection, buffers } = reader;
        if let Some(in_place) = &self.in_place {
            let read = in_place.rows((from, to), buffers, |cells| checking.row(cells));
            if read.is_some() && checking.finish() == Some(length) {
                return Ok(true);
            }
            // What is wrong, if anything is, is for SQLite's reading to say.
            checking.begin_again();
        }
        let mut statement = connection.prepare_cached(&format!(
            "select {ENTRY_COLUMNS} from ledger_entries as entry not indexed \
             where entry.rowid between ?1 and ?2 order by entry.rowid"
        ))?;
        let mut rows = statement.query([from, to])?;
        while let Some(row) = rows.next()? {
            if !checking.row(&cells(row)?) {
                return Ok(false);
            }
        }
        Ok(checking.finish() == Some(length))
    }
}

impl Rows for RowIds {
    fn read(&self, stretch: u64, checking: Checking<'_>) {
        if self.has_trouble() {
            return;
        }
        // There are as many as threads.
        let mut reader = self.readers().pop();
        let sound = match &mut reader {
            Some(reader) => self.read_with(reader, stretch, checking),
            None => Ok(false),
        };
        self.readers().extend(reader);
        match sound {
            Ok(true) => {}
            Ok(false) => *self.trouble() = Some(Trouble::Odd),
            Err(error) => *self.trouble() = Some(Trouble::Failed(error)),
        }
    }
}
