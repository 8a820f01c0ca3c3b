//! Reads the table of entries from its pages as they lie in the file, many at a time, instead of asking SQLite for each row.
//!
//! That is done only where the file is what SQLite itself would read: a connection of ours holds a transaction, and there is
//! no write-ahead log beside the file or it is empty. SQLite then reads every page from the file, and while the
//! transaction lasts nobody writes to the file: without a log a writer needs a lock that no reader leaves to it, and with
//! one new pages go to the log, which is not copied to the file before the last reader of this state is done. A log
//! cannot be emptied either while somebody needs pages that lie in it.
//!
//! Nothing is found here. What cannot be read as expected, or holds a row that is not as it should be, is left to be read
//! through SQLite. So all that has to be right is this: rows that are read here are the rows that SQLite reads.

use std::path::Path;

use rusqlite::Connection;

use super::format::{Child, LeafCell, children, columns, first_child, leaf_cells};
use super::kept_open::KeptOpen;
use crate::cell::Cell;

/// Bytes that are read at once: few enough to be still in the processor's cache when they are looked at.
const CHUNK_BYTES: usize = 256 << 10;
/// Pages of other tables and of indexes that are read between two pages that are needed, rather than asking twice.
const GAP_PAGES: u32 = 4;
/// Beyond this, a row is left to SQLite.
const RECORD_BYTES: u64 = 4 << 20;
/// A buffer for rows that has grown beyond this is not kept.
const KEPT_BYTES: usize = 1 << 20;
/// Levels of a tree: as many as SQLite allows.
const MOST_LEVELS: usize = 20;
/// The page with this byte is used for locks, never for content.
const LOCK_BYTE: u32 = 0x4000_0000;
/// Names and types of the table's columns.
const COLUMNS: [(&str, &str); 16] = [
    ("ledger_id", "text"),
    ("position", "integer"),
    ("event_id", "blob"),
    ("stream_type", "text"),
    ("stream_id", "text"),
    ("version", "integer"),
    ("event_type", "text"),
    ("schema_version", "integer"),
    ("recorded_at", "integer"),
    ("actor_kind", "text"),
    ("actor_id", "text"),
    ("metadata", "blob"),
    ("payload", "blob"),
    ("payload_digest", "blob"),
    ("previous_hash", "blob"),
    ("hash", "blob"),
];

/// The table of entries in a file that nobody writes to.
#[derive(Debug)]
pub(super) struct InPlace {
    file: KeptOpen,
    root: u32,
    page_bytes: u32,
    /// Number of pages by SQLite's account: a page beyond is none.
    pages: u32,
    /// Levels of interior pages.
    levels: usize,
}

/// What one thread keeps between two readings.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    chunk: Vec<u8>,
    record: Vec<u8>,
    page: Vec<u8>,
}

impl InPlace {
    /// None where the file must be read through SQLite. `connection` has a transaction, and keeps it for as long as is
    /// read here.
    pub(super) fn open(path: &Path, connection: &Connection) -> Option<Self> {
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u32>(0)).ok();
        // Takes the snapshot, should there be none yet.
        let pages = number("pragma page_count")?;
        if !log_is_empty(path) || !has_columns(connection)? {
            return None;
        }
        let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).ok();
        let tables = "from sqlite_schema where type = 'table' and lower(name) = 'ledger_entries'";
        if text("pragma encoding")? != "UTF-8" || number(&format!("select count(*) {tables}"))? != 1 {
            return None;
        }
        let root = number(&format!("select rootpage {tables}"))?;
        let page_bytes = number("pragma page_size").filter(|bytes| (512..=65_536).contains(bytes))?;
        let file = KeptOpen::open(path).ok()??;
        let mut header = [0; 100];
        file.read(&mut header, 0).ok()?;
        // Bytes that an extension keeps at the end of each page: there are none as a rule, and none are expected.
        if !header.starts_with(b"SQLite format 3\0") || header.get(20) != Some(&0) {
            return None;
        }
        let mut table = Self { file, root, page_bytes, pages, levels: 0 };
        let mut page = Vec::new();
        let mut number = root;
        loop {
            table.read(number, 1, &mut page)?;
            let Some(child) = first_child(&page)? else { return Some(table) };
            (table.levels, number) = (table.levels + 1, child);
            if table.levels >= MOST_LEVELS {
                return None;
            }
        }
    }

    /// No more rows than this fit into the file: each of them has a header of 17 bytes.
    pub(super) fn most_rows(&self) -> u64 {
        u64::from(self.pages) * u64::from(self.page_bytes) / 17
    }

    /// Gives the rows between two row ids to `row`, in their order. None where they cannot be read, or `row` answered false.
    pub(super) fn rows(
        &self,
        (from, to): (i64, i64),
        buffers: &mut Buffers,
        mut row: impl FnMut(&[Cell<'_>; 16]) -> bool,
    ) -> Option<()> {
        let leaves = self.leaves(from, to, &mut buffers.page)?;
        let page_bytes = usize::try_from(self.page_bytes).ok()?;
        let mut rest = leaves.as_slice();
        while let Some(first) = rest.first() {
            let (count, pages) = self.run(rest);
            let (run, after) = rest.split_at_checked(count)?;
            rest = after;
            self.read(first.page, pages, &mut buffers.chunk)?;
            for leaf in run {
                let start = usize::try_from(leaf.page.checked_sub(first.page)?).ok()?.checked_mul(page_bytes)?;
                let page = buffers.chunk.get(start..)?.get(..page_bytes)?;
                let mut low = Some(leaf.low);
                for cell in leaf_cells(page)? {
                    let cell = cell?;
                    if cell.row_id < low? || cell.row_id > leaf.high {
                        return None;
                    }
                    low = cell.row_id.checked_add(1);
                    if cell.row_id < from || cell.row_id > to {
                        continue;
                    }
                    let record = match cell.overflow {
                        None => cell.local,
                        Some(_) => self.whole(cell, &mut buffers.record, &mut buffers.page)?,
                    };
                    if !row(&columns(record)?) {
                        return None;
                    }
                }
            }
        }
        if buffers.record.capacity() > KEPT_BYTES {
            buffers.record = Vec::new();
        }
        Some(())
    }

    /// How many leaves are read at once, and how many pages these are.
    fn run(&self, leaves: &[Child]) -> (usize, u32) {
        let most = u32::try_from(CHUNK_BYTES).unwrap_or(u32::MAX) / self.page_bytes.max(1);
        let Some(first) = leaves.first() else { return (0, 0) };
        let (mut count, mut last) = (1, first.page);
        for leaf in leaves.iter().skip(1) {
            let near = leaf.page > last && leaf.page - last <= GAP_PAGES + 1 && leaf.page - first.page < most;
            if !near {
                break;
            }
            (count, last) = (count + 1, leaf.page);
        }
        (count, last - first.page + 1)
    }

    /// The leaf pages that may have row ids between `from` and `to`, in their order. No more than there are such row ids:
    /// row ids of two pages are never the same.
    fn leaves(&self, from: i64, to: i64, page: &mut Vec<u8>) -> Option<Vec<Child>> {
        let mut level = vec![Child { page: self.root, low: i64::MIN, high: i64::MAX }];
        for _ in 0..self.levels {
            let mut below = Vec::new();
            for parent in level {
                self.read(parent.page, 1, page)?;
                below.extend(children(page, parent, from, to)?);
            }
            level = below;
        }
        Some(level)
    }

    /// The record of a row that does not fit into its page.
    fn whole<'a>(&self, cell: LeafCell<'_>, record: &'a mut Vec<u8>, page: &mut Vec<u8>) -> Option<&'a [u8]> {
        let (mut next, length) = cell.overflow.filter(|(_, length)| *length <= RECORD_BYTES)?;
        let length = usize::try_from(length).ok()?;
        record.clear();
        record.extend_from_slice(cell.local);
        while record.len() < length {
            self.read(next, 1, page)?;
            let (number, content) = page.split_first_chunk::<4>()?;
            next = u32::from_be_bytes(*number);
            record.extend_from_slice(content.get(..content.len().min(length - record.len()))?);
        }
        (next == 0).then_some(record)
    }

    /// Reads pages that follow each other.
    fn read(&self, first: u32, pages: u32, buffer: &mut Vec<u8>) -> Option<()> {
        let last = first.checked_add(pages.checked_sub(1)?)?;
        // The first page of a file is another table's.
        let locks = LOCK_BYTE / self.page_bytes + 1;
        if first < 2 || last > self.pages || first == locks || last == locks {
            return None;
        }
        buffer.resize(usize::try_from(u64::from(pages) * u64::from(self.page_bytes)).ok()?, 0);
        self.file.read(buffer, u64::from(first - 1) * u64::from(self.page_bytes)).ok()
    }
}

/// Whether no page lies in a write-ahead log. To be asked within a transaction.
fn log_is_empty(path: &Path) -> bool {
    // SQLite follows links before it looks for a log.
    let Ok(path) = path.canonicalize() else { return false };
    let mut log = path.into_os_string();
    log.push("-wal");
    match std::fs::metadata(log) {
        Ok(log) => log.len() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Whether the table has the columns that it was created with, and no others: none that is computed, and none that SQLite
/// would convert when it is read.
fn has_columns(connection: &Connection) -> Option<bool> {
    let mut statement = connection.prepare("pragma table_xinfo(ledger_entries)").ok()?;
    let column = |row: &rusqlite::Row<'_>| Ok((row.get("name")?, row.get("type")?, row.get("hidden")?));
    let found: Vec<(String, String, i64)> = statement.query_map([], column).ok()?.collect::<Result<_, _>>().ok()?;
    let alike = |((name, kind, hidden), expected): (&(String, String, i64), &(&str, &str))| {
        name == expected.0 && kind.eq_ignore_ascii_case(expected.1) && *hidden == 0
    };
    Some(found.len() == COLUMNS.len() && found.iter().zip(&COLUMNS).all(alike))
}

#[cfg(test)]
mod tests;
