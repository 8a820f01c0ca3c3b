//! Entries by stream, and commands by id: hints from the lookup file, then the rows they lead to, compared.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::lookup::{Lookup, Names, Record, follower};
use super::rows::{hash, read_entry};
use super::{ENTRY_COLUMNS, StoreError, signed, unsigned};
use crate::append::{Appended, CommandRecord};
use crate::entry::{Entry, LedgerId, Receipt, StreamKey};

const COMMAND_COLUMNS: &str =
    "command_id, digest, stream_type, stream_id, first_position, last_position, version, hash, recorded_at, ledger_id";

/// Where hints come from.
#[derive(Clone)]
pub(super) enum Finder {
    /// This process writes the ledger, and keeps its lookup file.
    Writing(Arc<Lookup>),
    /// Another may: its lookup file, and the ledger itself beyond it.
    Following(PathBuf),
}

/// Entries of one stream with versions in order.
struct Collected<'a> {
    key: &'a StreamKey,
    entries: Vec<Entry>,
    limit: usize,
    to_version: u64,
}

impl Collected<'_> {
    /// Takes the entry if it is the next of the stream; false when no more are wanted.
    fn take(&mut self, entry: Entry) -> bool {
        let newer = self.entries.last().is_none_or(|last| last.version < entry.version);
        if entry.version > self.to_version {
            return false;
        }
        if entry.stream == *self.key && newer {
            self.entries.push(entry);
        }
        self.entries.len() < self.limit
    }

    /// As [`Collected::take`], for the entry that a hint leads to.
    fn follow(&mut self, connection: &Connection, ledger: &LedgerId, hint: &Record) -> Result<bool, StoreError> {
        if hint.version > self.to_version {
            return Ok(false);
        }
        let mut statement = connection.prepare_cached(&format!(
            "select {ENTRY_COLUMNS} from ledger_entries where ledger_id = ?1 and position = ?2"
        ))?;
        let mut rows = statement.query(params![ledger.as_str(), signed(hint.position)])?;
        match rows.next()? {
            Some(row) if is_of(row, 3, self.key)? => Ok(self.take(read_entry(row)?)),
            _ => Ok(true),
        }
    }
}

/// Does the row, with the stream in these two columns, belong to the stream?
fn is_of(row: &Row<'_>, first: usize, key: &StreamKey) -> Result<bool, StoreError> {
    let same =
        |index: usize, text: &str| Ok::<_, StoreError>(row.get_ref(index)?.as_bytes().ok() == Some(text.as_bytes()));
    Ok(same(first, &key.stream_type)? && same(first + 1, &key.stream_id)?)
}

/// At most `limit` entries of a stream from `from_version` to `to_version`, in order.
pub(super) fn stream(
    connection: &Connection,
    finder: &Finder,
    ledger: &LedgerId,
    key: &StreamKey,
    (from_version, to_version): (u64, u64),
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let mut collected = Collected { key, entries: Vec::new(), limit, to_version };
    if limit == 0 {
        return Ok(collected.entries);
    }
    // Of a batch that is committed meanwhile all entries are seen, or none.
    let _snapshot = connection.unchecked_transaction()?;
    let name = |names: &Names| names.stream(ledger.as_str(), &key.stream_type, &key.stream_id);
    match finder {
        Finder::Writing(lookup) => {
            let name = name(&lookup.names());
            lookup.since(name, from_version, |hint| collected.follow(connection, ledger, hint))?;
        }
        Finder::Following(path) => {
            let mut wanted = true;
            let covered = follower::entries(path, connection, ledger.as_str(), name, from_version, |hint| {
                wanted = collected.follow(connection, ledger, hint)?;
                Ok(wanted)
            })?;
            let mut statement = connection.prepare_cached(&format!(
                "select {ENTRY_COLUMNS} from ledger_entries where ledger_id = ?1 and position >= ?2 \
                 and stream_type = ?3 and stream_id = ?4 and version >= ?5 order by position"
            ))?;
            let mut rows = statement.query(params![
                ledger.as_str(),
                signed(covered),
                key.stream_type,
                key.stream_id,
                signed(from_version)
            ])?;
            while wanted && let Some(row) = rows.next()? {
                wanted = collected.take(read_entry(row)?);
            }
        }
    }
    Ok(collected.entries)
}

/// Is the hint the entry of this stream that it says?
pub(super) fn is_entry(
    connection: &Connection,
    ledger: &LedgerId,
    key: &StreamKey,
    hint: &Record,
) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached(
        "select version, stream_type, stream_id from ledger_entries where ledger_id = ?1 and position = ?2",
    )?;
    let mut rows = statement.query(params![ledger.as_str(), signed(hint.position)])?;
    let Some(row) = rows.next()? else { return Ok(false) };
    Ok(is_of(row, 1, key)? && row.get::<_, i64>(0).is_ok_and(|version| unsigned(version) == hint.version))
}

/// What a command id stands for.
pub(super) fn command(
    connection: &Connection,
    finder: &Finder,
    ledger: &LedgerId,
    command_id: &str,
) -> Result<Option<CommandRecord>, StoreError> {
    let mut found = None;
    match finder {
        Finder::Writing(lookup) => {
            let name = lookup.names().command(ledger.as_str(), command_id);
            lookup.since(name, 0, |hint| {
                found = command_at(connection, hint.position, ledger, command_id)?;
                Ok(found.is_none())
            })?;
        }
        Finder::Following(path) => {
            let name = |names: &Names| names.command(ledger.as_str(), command_id);
            let covered = follower::commands(path, connection, name, |hint| {
                found = command_at(connection, hint.position, ledger, command_id)?;
                Ok(found.is_none())
            })?;
            if found.is_none() {
                let mut statement = connection.prepare_cached(&format!(
                    "select {COMMAND_COLUMNS} from ledger_commands where number > ?1 and ledger_id = ?2 \
                     and command_id = ?3 order by number limit 1"
                ))?;
                let mut rows = statement.query(params![signed(covered), ledger.as_str(), command_id])?;
                found = rows.next()?.map(|row| read_command(row, ledger)).transpose()?;
            }
        }
    }
    Ok(found)
}

/// The command with that number, if it is the one with that id.
pub(super) fn command_at(
    connection: &Connection,
    number: u64,
    ledger: &LedgerId,
    command_id: &str,
) -> Result<Option<CommandRecord>, StoreError> {
    let mut statement =
        connection.prepare_cached(&format!("select {COMMAND_COLUMNS} from ledger_commands where number = ?1"))?;
    let mut rows = statement.query([signed(number)])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let same =
        |index: usize, text: &str| Ok::<_, StoreError>(row.get_ref(index)?.as_bytes().ok() == Some(text.as_bytes()));
    if same(0, command_id)? && same(9, ledger.as_str())? { read_command(row, ledger).map(Some) } else { Ok(None) }
}

fn read_command(row: &Row<'_>, ledger: &LedgerId) -> Result<CommandRecord, StoreError> {
    Ok(CommandRecord {
        digest: hash(row, 1, -1)?,
        stream: StreamKey { stream_type: row.get(2)?, stream_id: row.get(3)? },
        appended: Appended {
            first_position: unsigned(row.get(4)?),
            version: unsigned(row.get(6)?),
            receipt: Receipt { ledger_id: ledger.clone(), position: unsigned(row.get(5)?), hash: hash(row, 7, -1)? },
            recorded_at: row.get(8)?,
            replayed: true,
        },
    })
}
