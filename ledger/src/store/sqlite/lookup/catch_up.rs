//! Bringing the lookup file up to the ledger: at start, and after damage.

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::error::LookupError;
use super::file::{LookupFile, Mark, Marks, Segment};
use super::name::Names;
use super::tail::Tail;
use super::{COMMANDS_MARK, FLUSH_RECORDS, entries_mark};
use crate::canonical::digest;
use crate::entry::Hash;
use crate::store::{StoreError, signed, unsigned};

/// How often a long catching up says how far it is.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// Records behind which catching up is worth a line in the log.
const WORTH_REPORTING: u64 = 1_000_000;

/// What shows that the list of commands is the same up to this one.
pub(in crate::store::sqlite) fn command_anchor(ledger: &str, command_id: &str, command_digest: &Hash) -> Hash {
    digest(format!("{ledger}\n{command_id}\n{command_digest}").as_bytes())
}

/// A connection that reads the ledger file.
pub(super) fn open_ledger(path: &Path) -> Result<Connection, LookupError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        Ok(connection)
    };
    open().map_err(of_ledger)
}

fn of_ledger(error: rusqlite::Error) -> LookupError {
    LookupError::Ledger(StoreError::from(error))
}

/// The hash of the last entry that a mark covers, as the ledger has it.
pub(super) fn hash_at(ledger: &Connection, ledger_id: &str, size: u64) -> Result<Option<Hash>, LookupError> {
    let hash: Option<Option<[u8; 32]>> = ledger
        .prepare_cached("select hash from ledger_entries where ledger_id = ?1 and position = ?2")
        .and_then(|mut statement| {
            statement.query_row(params![ledger_id, signed(size) - 1], |row| Ok(row.get(0).ok())).optional()
        })
        .map_err(of_ledger)?;
    Ok(hash.flatten().map(Hash))
}

pub(super) fn command_at(ledger: &Connection, number: u64) -> Result<Option<Hash>, LookupError> {
    let anchor: Option<Option<Hash>> = ledger
        .prepare_cached("select ledger_id, command_id, digest from ledger_commands where number = ?1")
        .and_then(|mut statement| {
            statement
                .query_row([signed(number)], |row| {
                    let (ledger_id, command_id) = (row.get_ref(0)?.as_str(), row.get_ref(1)?.as_str());
                    let digest = row.get(2).map(Hash);
                    Ok(match (ledger_id, command_id, digest) {
                        (Ok(ledger_id), Ok(command_id), Ok(digest)) => {
                            Some(command_anchor(ledger_id, command_id, &digest))
                        }
                        _ => None,
                    })
                })
                .optional()
        })
        .map_err(of_ledger)?;
    Ok(anchor.flatten())
}

/// Does the file belong to this ledger and to this past of it? Everything it covers is then in the ledger as it was.
pub(super) fn check(marks: &Marks, segments: &[Segment], ledger: &Connection) -> Result<(), LookupError> {
    let records: u64 = segments.iter().map(|segment| segment.records).sum();
    let covered: u64 = marks.values().map(|mark| mark.size).sum();
    if records < covered {
        return Err(LookupError::Damaged(format!("it has {records} records of {covered}")));
    }
    for (name, mark) in marks {
        let found = match name.strip_prefix("entries/") {
            Some(ledger_id) => hash_at(ledger, ledger_id, mark.size)?,
            None if name == COMMANDS_MARK => command_at(ledger, mark.size)?,
            None => None,
        };
        if mark.size > 0 && found != Some(mark.hash) {
            return Err(LookupError::Damaged(format!("{name}: it reaches to {}, where the ledger differs", mark.size)));
        }
    }
    Ok(())
}

/// Reads what the ledger has beyond the marks: into the file whenever a segment is full, the rest into `tail`.
pub(super) fn catch_up(
    file: &mut LookupFile,
    ledger: &Connection,
    marks: &mut Marks,
    tail: &mut Tail,
) -> Result<(), LookupError> {
    let mut heads = ledger.prepare("select ledger_id, size from ledger_heads order by ledger_id").map_err(of_ledger)?;
    let heads: Vec<(String, u64)> = heads
        .query_map([], |row| Ok((row.get(0)?, unsigned(row.get(1)?))))
        .and_then(Iterator::collect)
        .map_err(of_ledger)?;
    let mut progress = Progress::new();
    for (ledger_id, size) in heads {
        let from = marks.get(&entries_mark(&ledger_id)).map_or(0, |mark| mark.size);
        progress.expect(&ledger_id, from, size);
        entries(file, ledger, (&ledger_id, from, size), marks, tail, &mut progress)?;
    }
    commands(file, ledger, marks, tail)
}

fn entries(
    file: &mut LookupFile,
    ledger: &Connection,
    (ledger_id, from, size): (&str, u64, u64),
    marks: &mut Marks,
    tail: &mut Tail,
    progress: &mut Progress,
) -> Result<(), LookupError> {
    let names = file.names();
    let mark = entries_mark(ledger_id);
    let mut statement = ledger
        .prepare_cached(
            "select position, stream_type, stream_id, version, hash from ledger_entries \
             where ledger_id = ?1 and position >= ?2 and position < ?3 order by position",
        )
        .map_err(of_ledger)?;
    let mut rows = statement.query(params![ledger_id, signed(from), signed(size)]).map_err(of_ledger)?;
    while let Some(row) = rows.next().map_err(of_ledger)? {
        // What the format does not allow is for verification to name; here it leads nowhere.
        let position = unsigned(row.get(0).unwrap_or(-1));
        let (stream_type, stream_id) = (text(row.get_ref(1))?, text(row.get_ref(2))?);
        let version = unsigned(row.get(3).unwrap_or(0));
        tail.push(names.stream(ledger_id, &stream_type, &stream_id), version, position);
        let hash = row.get(4).map_or(Hash([0; 32]), Hash);
        if tail.len() >= FLUSH_RECORDS {
            marks.insert(mark.clone(), Mark { size: position + 1, hash });
            write(file, tail, marks)?;
            progress.at(position + 1);
        } else if position + 1 == size {
            marks.insert(mark.clone(), Mark { size, hash });
        }
    }
    Ok(())
}

fn commands(file: &mut LookupFile, ledger: &Connection, marks: &mut Marks, tail: &mut Tail) -> Result<(), LookupError> {
    let names: Names = file.names();
    let from = marks.get(COMMANDS_MARK).map_or(0, |mark| mark.size);
    let mut statement = ledger
        .prepare_cached("select number, ledger_id, command_id from ledger_commands where number > ?1 order by number")
        .map_err(of_ledger)?;
    let mut rows = statement.query([signed(from)]).map_err(of_ledger)?;
    let mut last = from;
    while let Some(row) = rows.next().map_err(of_ledger)? {
        last = unsigned(row.get(0).unwrap_or(0));
        let (ledger_id, command_id) = (text(row.get_ref(1))?, text(row.get_ref(2))?);
        tail.push(names.command(&ledger_id, &command_id), 0, last);
        if tail.len() >= FLUSH_RECORDS {
            mark_commands(ledger, marks, last)?;
            write(file, tail, marks)?;
        }
    }
    if last > from { mark_commands(ledger, marks, last) } else { Ok(()) }
}

fn mark_commands(ledger: &Connection, marks: &mut Marks, number: u64) -> Result<(), LookupError> {
    let hash = command_at(ledger, number)?.unwrap_or(Hash([0; 32]));
    marks.insert(COMMANDS_MARK.to_owned(), Mark { size: number, hash });
    Ok(())
}

fn write(file: &mut LookupFile, tail: &mut Tail, marks: &Marks) -> Result<(), LookupError> {
    file.flush(&std::mem::take(tail).sorted(), marks)?;
    while file.tidy(&mut |_| {}, &mut |_, _| {})? {}
    Ok(())
}

fn text(value: rusqlite::Result<ValueRef<'_>>) -> Result<Cow<'_, str>, LookupError> {
    Ok(String::from_utf8_lossy(value.map_err(of_ledger)?.as_bytes().unwrap_or_default()))
}

struct Progress {
    ledger_id: String,
    size: u64,
    reported: Instant,
}

impl Progress {
    fn new() -> Self {
        Self { ledger_id: String::new(), size: 0, reported: Instant::now() }
    }

    fn expect(&mut self, ledger_id: &str, from: u64, size: u64) {
        (self.ledger_id, self.size) = (ledger_id.to_owned(), size);
        if size.saturating_sub(from) >= WORTH_REPORTING {
            tracing::info!(ledger = ledger_id, from, size, "the lookup file is brought up to the ledger");
        }
    }

    fn at(&mut self, position: u64) {
        if self.reported.elapsed() >= REPORT_INTERVAL {
            self.reported = Instant::now();
            tracing::info!(ledger = self.ledger_id, position, size = self.size, "the lookup file is being brought up");
        }
    }
}
