//! The lookup file: sorted segments of records in a SQLite file, written behind the ledger.
//!
//! A flush writes one segment of level 0 in one go; eight segments of a level are merged into one of the next. So the file
//! is only ever written in sequence, each record a few times, however random the names. Segments of a higher level hold
//! older records, and within a level the one with the smaller number does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::error::LookupError;
use super::filter::Filter;
use super::merge::Merge;
use super::name::Names;
use super::page::{self, END, PAGE_RECORDS, Record};
use crate::entry::Hash;
use crate::store::{signed, unsigned};

/// How many segments of a level become one of the next.
pub(super) const MERGED_AT_ONCE: usize = 8;
/// Pages deleted in one step.
const DELETED_AT_ONCE: i64 = 2_048;
/// Number of this layout, kept as the file's `user_version`.
const LAYOUT: i64 = 1;

/// Pages of 16 KiB hold four pages of records each: a record page fits into a leaf without overflow.
const SCHEMA: &str = "\
    create table state (revision integer not null, names_key blob not null);
    create table marks (name text not null primary key, size integer not null, hash blob not null) without rowid;
    create table segments (segment integer primary key, level integer not null, records integer not null,
        names integer not null);
    create table filters (segment integer primary key, filter blob not null);
    create table pages (segment integer not null, name integer not null, version integer not null,
        position integer not null, records blob not null, primary key (segment, name, version, position)) without rowid;
    create table unused (segment integer primary key);";

/// How far a ledger (or the list of commands) is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Number of entries or commands.
    pub(super) size: u64,
    /// Hash of the last of them: a file that belongs to another ledger, or to another past of it, shows by this.
    pub(super) hash: Hash,
}

pub(super) type Marks = BTreeMap<String, Mark>;

/// One segment, as the list of segments has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) segment: i64,
    pub(super) level: i64,
    pub(super) records: u64,
    /// Number of names, or a little more.
    pub(super) names: u64,
}

/// The file, open for writing.
pub(super) struct LookupFile {
    connection: Connection,
    names: Names,
    merge: Option<Merge>,
}

/// Where the lookup file of a ledger file is.
pub(super) fn path_beside(ledger: &Path) -> PathBuf {
    ledger.with_extension("lookup.db")
}

impl LookupFile {
    /// Opens the file; makes it where there is none. A file that cannot be used is [`LookupError::Damaged`].
    pub(super) fn open(path: &Path) -> Result<Self, LookupError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch(
            "pragma page_size = 16384; pragma journal_mode = wal; pragma synchronous = normal; \
             pragma cache_size = -8192; pragma temp_store = memory; pragma wal_autocheckpoint = 1000;",
        )?;
        connection.set_prepared_statement_cache_capacity(32);
        let layout: i64 = connection.query_row("pragma user_version", [], |row| row.get(0))?;
        if layout == 0 {
            connection.execute_batch(&format!("begin immediate; {SCHEMA} pragma user_version = {LAYOUT};"))?;
            connection
                .execute("insert into state (revision, names_key) values (0, ?1)", [rand::random::<[u8; 32]>()])?;
            connection.execute_batch("commit")?;
        } else if layout != LAYOUT {
            return Err(LookupError::Damaged(format!("the lookup file has layout {layout}, not {LAYOUT}")));
        }
        let names = read_names(&connection)?;
        Ok(Self { connection, names, merge: None })
    }

    /// Deletes the file and makes an empty one that names streams as before.
    pub(super) fn replace(path: &Path, names: Option<Names>) -> Result<Self, LookupError> {
        for suffix in ["", "-wal", "-shm"] {
            let mut file = path.as_os_str().to_owned();
            file.push(suffix);
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(LookupError::Unavailable(format!("{}: {error}", PathBuf::from(file).display())));
                }
                _ => {}
            }
        }
        let mut fresh = Self::open(path)?;
        if let Some(names) = names {
            fresh.connection.execute("update state set names_key = ?1", [names.key()])?;
            fresh.names = names;
        }
        Ok(fresh)
    }

    pub(super) fn names(&self) -> Names {
        self.names
    }

    pub(super) fn marks(&self) -> Result<Marks, LookupError> {
        read_marks(&self.connection)
    }

    pub(super) fn segments(&self) -> Result<Vec<Segment>, LookupError> {
        read_segments(&self.connection)
    }

    /// Writes sorted records as a segment, and how far the file reaches with them. Returns the segment's number and filter.
    pub(super) fn flush(&mut self, records: &[Record], marks: &Marks) -> Result<Option<(i64, Filter)>, LookupError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let written = if records.is_empty() {
            None
        } else {
            let segment = new_segment(&transaction)?;
            let names = 1 + records.windows(2).filter(|pair| matches!(pair, [a, b] if a.name != b.name)).count();
            let names = u64::try_from(names).unwrap_or(u64::MAX);
            let mut filter = Filter::with_room(names);
            let mut chunks = records.chunks(PAGE_RECORDS).peekable();
            let mut is_first = true;
            while let Some(chunk) = chunks.next() {
                let after = chunks.peek().and_then(|next| next.first()).map_or(END, |next| next.name);
                write_page(&transaction, segment, std::mem::take(&mut is_first), chunk, after)?;
            }
            records.iter().for_each(|record| filter.insert(record.name));
            let records = u64::try_from(records.len()).unwrap_or(u64::MAX);
            list_segment(&transaction, Segment { segment, level: 0, records, names }, &filter)?;
            Some((segment, filter))
        };
        {
            let mut upsert = transaction.prepare_cached(
                "insert into marks (name, size, hash) values (?1, ?2, ?3) on conflict (name) do update \
                 set size = excluded.size, hash = excluded.hash where excluded.size >= size",
            )?;
            for (name, mark) in marks {
                upsert.execute(params![name, signed(mark.size), mark.hash.0])?;
            }
        }
        transaction.commit()?;
        Ok(written)
    }

    /// One bounded step of what keeps reading quick: merging, and deleting what was merged. False where nothing is left to
    /// do. After a merge `kept` is told the segments that there are, and `merged` the filter of the new one.
    pub(super) fn tidy(
        &mut self,
        kept: &mut dyn FnMut(&[i64]),
        merged: &mut dyn FnMut(i64, Filter),
    ) -> Result<bool, LookupError> {
        if self.merge.is_none() {
            self.merge = self.next_merge()?;
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Some(merge) = &mut self.merge else {
            let more = delete_unused(&transaction)?;
            transaction.commit()?;
            return Ok(more);
        };
        let stepped = merge.step(&transaction).and_then(|done| {
            if done {
                merge.list(&transaction)?;
            }
            Ok(transaction.commit().map(|()| done)?)
        });
        // What a step took and did not write would be missing: the merge begins again.
        let done = stepped.inspect_err(|_| self.merge = None)?;
        if done && let Some(merge) = self.merge.take() {
            let segments: Vec<i64> = self.segments()?.iter().map(|segment| segment.segment).collect();
            kept(&segments);
            let (segment, filter) = merge.into_filter();
            merged(segment, filter);
        }
        Ok(true)
    }

    /// The merge that is due: of the lowest level that is full.
    fn next_merge(&mut self) -> Result<Option<Merge>, LookupError> {
        let segments = self.segments()?;
        let mut levels: BTreeMap<i64, Vec<Segment>> = BTreeMap::new();
        for segment in segments {
            levels.entry(segment.level).or_default().push(segment);
        }
        let Some(full) = levels.into_values().find(|level| level.len() >= MERGED_AT_ONCE) else { return Ok(None) };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Until the merged segment is listed, its pages are as unused as those of one that was merged.
        let segment = new_segment(&transaction)?;
        transaction.execute("insert into unused (segment) values (?1)", [segment])?;
        transaction.commit()?;
        Ok(Some(Merge::new(segment, full)))
    }
}

pub(super) fn read_names(connection: &Connection) -> Result<Names, LookupError> {
    let key: Option<[u8; 32]> = connection.query_row("select names_key from state", [], |row| row.get(0)).optional()?;
    key.map(Names::new).ok_or_else(|| LookupError::Damaged("the lookup file has no key".to_owned()))
}

pub(super) fn read_marks(connection: &Connection) -> Result<Marks, LookupError> {
    let mut statement = connection.prepare_cached("select name, size, hash from marks")?;
    let mut rows = statement.query([])?;
    let mut marks = Marks::new();
    while let Some(row) = rows.next()? {
        marks.insert(row.get(0)?, Mark { size: unsigned(row.get(1)?), hash: Hash(row.get(2)?) });
    }
    Ok(marks)
}

/// The segments, oldest first.
pub(super) fn read_segments(connection: &Connection) -> Result<Vec<Segment>, LookupError> {
    let mut statement = connection
        .prepare_cached("select segment, level, records, names from segments order by level desc, segment")?;
    let segments = statement.query_map([], |row| {
        Ok(Segment {
            segment: row.get(0)?,
            level: row.get(1)?,
            records: unsigned(row.get(2)?),
            names: unsigned(row.get(3)?),
        })
    })?;
    Ok(segments.collect::<Result<_, _>>()?)
}

/// A number that no segment had before.
fn new_segment(transaction: &Transaction<'_>) -> Result<i64, LookupError> {
    let segment = transaction
        .prepare_cached("update state set revision = revision + 1 returning revision")?
        .query_row([], |row| row.get(0))?;
    Ok(segment)
}

/// Writes a page under its first record; the first page of a segment under zeros, so that every name has a page that
/// begins before it.
pub(super) fn write_page(
    transaction: &Transaction<'_>,
    segment: i64,
    is_first: bool,
    records: &[Record],
    after: u64,
) -> Result<(), LookupError> {
    let Some(first) = records.first() else { return Ok(()) };
    let key = if is_first { Record { name: 0, version: 0, position: 0 } } else { *first };
    transaction
        .prepare_cached("insert into pages (segment, name, version, position, records) values (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![
            segment,
            signed(key.name),
            signed(key.version),
            signed(key.position),
            page::encode(segment, records, after)
        ])?;
    Ok(())
}

/// Puts a segment whose pages are written on the list.
pub(super) fn list_segment(
    transaction: &Transaction<'_>,
    Segment { segment, level, records, names }: Segment,
    filter: &Filter,
) -> Result<(), LookupError> {
    transaction
        .prepare_cached("insert into segments (segment, level, records, names) values (?1, ?2, ?3, ?4)")?
        .execute(params![segment, level, signed(records), signed(names)])?;
    transaction
        .prepare_cached("insert into filters (segment, filter) values (?1, ?2)")?
        .execute(params![segment, page::seal(segment, filter.bytes().to_vec())])?;
    // Whoever holds the list reads it again.
    transaction.prepare_cached("update state set revision = revision + 1")?.execute([])?;
    Ok(())
}

/// Deletes some pages of segments that are not listed. False where there are none.
fn delete_unused(transaction: &Transaction<'_>) -> Result<bool, LookupError> {
    let segment: Option<i64> =
        transaction.prepare_cached("select min(segment) from unused")?.query_row([], |row| row.get(0))?;
    let Some(segment) = segment else { return Ok(false) };
    // The pages up to the one that the next step begins with.
    let deleted = transaction
        .prepare_cached(
            "delete from pages where segment = ?1 and (name, version, position) in \
             (select name, version, position from pages where segment = ?1 order by name, version, position limit ?2)",
        )?
        .execute(params![segment, DELETED_AT_ONCE])?;
    if deleted == 0 {
        transaction.execute("delete from filters where segment = ?1", [segment])?;
        transaction.execute("delete from unused where segment = ?1", [segment])?;
    }
    Ok(true)
}
