//! The writer thread's half of the store: sequences batches and writes each in one durable transaction.
//!
//! It alone writes the ledger file, so it keeps what the file's unique indexes would: a stream's version and a command's
//! number come from memory, or from the lookup file where they are not in memory, compared with the row they lead to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use super::find::{command_at, is_entry};
use super::lookup::{Lookup, Name, command_anchor};
use super::recent::RecentVersions;
use super::{ENTRY_COLUMNS, StoreError, read_head, signed, tree, unsigned};
use crate::append::{Append, AppendError, Appended, CommandRecord, Draft, Placed, Placement, place};
use crate::entry::{LedgerId, StreamKey};
use crate::tiles::Edges;

/// What the writer thread owns.
pub(super) struct Writer {
    pub(super) connection: Connection,
    lookup: Arc<Lookup>,
    edges: Edges,
    recent: RecentVersions,
    /// Number of the last command.
    last_command: u64,
    /// A commit that failed: whether it happened is seen before anything else is written.
    unsettled: Option<Unsettled>,
    /// Roughly what was written since the last checkpoint.
    pub(super) bytes_written: usize,
}

struct Unsettled {
    ledger: LedgerId,
    streams: HashSet<Name>,
    commands: HashSet<Name>,
}

impl Writer {
    pub(super) fn new(connection: Connection, lookup: Arc<Lookup>) -> Result<Self, StoreError> {
        let last_command = last_command(&connection)?;
        Ok(Self {
            connection,
            lookup,
            edges: Edges::default(),
            recent: RecentVersions::default(),
            last_command,
            unsettled: None,
            bytes_written: 0,
        })
    }

    /// Orders, hashes and writes a batch.
    pub(super) fn append(
        &mut self,
        ledger: &LedgerId,
        batch: &[Append],
        now: i64,
    ) -> Result<Vec<Result<Appended, AppendError>>, StoreError> {
        self.settle()?;
        self.lookup.wait_for_room()?;
        let names = self.lookup.names();
        let streams: Vec<Name> = batch
            .iter()
            .map(|append| names.stream(ledger.as_str(), &append.stream.stream_type, &append.stream.stream_id))
            .collect();
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let head = read_head(&transaction, ledger)?;
        let versions = self.versions(&transaction, ledger, batch, &streams)?;
        let commands = self.commands_known(&transaction, ledger, batch)?;
        let before = head.size;
        let version_of = |stream: &StreamKey| versions.get(stream).copied().unwrap_or(0);
        let placement = place(&head, batch, version_of, commands, now);
        if placement.placed.is_empty() {
            return Ok(placement.outcomes);
        }
        check_event_ids(batch, &placement)?;
        write(&transaction, batch, &placement, self.last_command)?;
        tree::write_completed(&transaction, &mut self.edges, before, &placement)?;
        let stream_of = |request: usize| streams.get(request).copied();
        let commands: Vec<Name> = placement.commands.iter().map(|(id, _)| names.command(ledger.as_str(), id)).collect();
        let entries = (before..).zip(&placement.placed);
        let entries = entries.filter_map(|(at, placed)| Some((stream_of(placed.request)?, placed.version, at)));
        let numbered = (self.last_command + 1..).zip(&commands).map(|(number, name)| (*name, 0, number));
        self.lookup.publish(entries.chain(numbered));
        // A failed commit in SQLite has rolled back or will when the file is next opened: never half-written, but
        // an I/O error leaves open whether the log frame reached the disk.
        if let Err(error) = transaction.commit() {
            self.unsettled = Some(Unsettled {
                ledger: ledger.clone(),
                streams: placement.placed.iter().filter_map(|placed| stream_of(placed.request)).collect(),
                commands: commands.into_iter().collect(),
            });
            // Some come after the log was written and synced: what the next start finds is then not what is seen now.
            let is_lost = matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::SystemIoFailure | ErrorCode::OutOfMemory | ErrorCode::DatabaseCorrupt)
            );
            return Err(match StoreError::from(error) {
                StoreError::Unavailable(why) if is_lost => StoreError::Failed(why),
                StoreError::Unavailable(why) => StoreError::UnknownOutcome(why),
                // Known not to have happened, or not to be known before the store is opened anew.
                certain => certain,
            });
        }
        for placed in &placement.placed {
            if let Some(name) = stream_of(placed.request) {
                self.recent.put(name, placed.version);
            }
        }
        self.edges.advance(ledger, before, &placement.leaves);
        if let Some((id, record)) = placement.commands.last() {
            self.last_command += u64::try_from(placement.commands.len()).unwrap_or(u64::MAX);
            let anchor = command_anchor(ledger.as_str(), id, &record.digest);
            self.lookup.commands_committed(self.last_command, anchor);
        }
        self.lookup.entries_committed(ledger, placement.head.size, placement.head.hash);
        self.bytes_written += batch.iter().map(Append::bytes).sum::<usize>();
        Ok(placement.outcomes)
    }

    /// Versions of the batch's streams; those that are not in the ledger are left out.
    fn versions<'a>(
        &self,
        connection: &Connection,
        ledger: &LedgerId,
        batch: &'a [Append],
        streams: &[Name],
    ) -> Result<HashMap<&'a StreamKey, u64>, StoreError> {
        let mut versions = HashMap::with_capacity(batch.len());
        let mut know = |append: &'a Append, version: u64| {
            versions.insert(&append.stream, version);
        };
        let mut not_recent: (Vec<Name>, Vec<&'a Append>) = Default::default();
        for (append, name) in batch.iter().zip(streams) {
            match self.recent.get(*name) {
                Some(version) => know(append, version),
                None => not_recent.extend([(*name, append)]),
            }
        }
        let mut not_in_memory: (Vec<Name>, Vec<&'a Append>) = Default::default();
        let found = self.lookup.newest_in_memory(&not_recent.0);
        for ((name, append), record) in not_recent.0.iter().zip(not_recent.1).zip(found) {
            match record {
                Some(record) => know(append, record.version),
                None => not_in_memory.extend([(*name, append)]),
            }
        }
        let (names, appends) = not_in_memory;
        let found = self.lookup.newest_in_file(&names, |index, hint| match appends.get(index) {
            Some(append) => is_entry(connection, ledger, &append.stream, hint),
            None => Ok(false),
        })?;
        for (append, record) in appends.iter().zip(found) {
            if let Some(record) = record {
                know(append, record.version);
            }
        }
        Ok(versions)
    }

    /// Those of the batch's commands that are in the ledger.
    fn commands_known(
        &self,
        connection: &Connection,
        ledger: &LedgerId,
        batch: &[Append],
    ) -> Result<HashMap<String, CommandRecord>, StoreError> {
        let mut commands = HashMap::new();
        let ids: Vec<&str> = batch.iter().filter_map(|append| Some(append.command.as_ref()?.id.as_str())).collect();
        for (id, record) in ids.iter().zip(self.find_commands(connection, ledger, &ids)?) {
            if let Some(record) = record {
                commands.insert((*id).to_owned(), record);
            }
        }
        Ok(commands)
    }

    fn find_commands(
        &self,
        connection: &Connection,
        ledger: &LedgerId,
        ids: &[&str],
    ) -> Result<Vec<Option<CommandRecord>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let names = self.lookup.names();
        let names: Vec<Name> = ids.iter().map(|id| names.command(ledger.as_str(), id)).collect();
        let mut found: Vec<Option<CommandRecord>> = Vec::with_capacity(ids.len());
        for (id, hint) in ids.iter().zip(self.lookup.newest_in_memory(&names)) {
            found.push(match hint {
                Some(hint) => command_at(connection, hint.position, ledger, id)?,
                None => None,
            });
        }
        let (missing, names): (Vec<usize>, Vec<Name>) =
            names.iter().enumerate().filter(|(index, _)| found.get(*index).is_some_and(Option::is_none)).unzip();
        self.lookup.newest_in_file(&names, |index, hint| {
            let place = missing.get(index).and_then(|place| Some((found.get_mut(*place)?, ids.get(*place)?)));
            let Some((slot, id)) = place else { return Ok(false) };
            *slot = command_at(connection, hint.position, ledger, id)?;
            Ok(slot.is_some())
        })?;
        Ok(found)
    }

    /// Keeps a command id that led to no entry.
    pub(super) fn remember(
        &mut self,
        ledger: &LedgerId,
        command_id: &str,
        record: &CommandRecord,
    ) -> Result<(), StoreError> {
        self.settle()?;
        if self.find_commands(&self.connection, ledger, &[command_id])?.iter().any(Option::is_some) {
            return Ok(());
        }
        let name = self.lookup.names().command(ledger.as_str(), command_id);
        let number = self.last_command + 1;
        self.lookup.publish(std::iter::once((name, 0, number)));
        if let Err(error) = write_command(&self.connection, number, ledger, command_id, record) {
            let commands = HashSet::from([name]);
            self.unsettled = Some(Unsettled { ledger: ledger.clone(), streams: HashSet::new(), commands });
            return Err(error);
        }
        self.last_command = number;
        self.lookup.commands_committed(number, command_anchor(ledger.as_str(), command_id, &record.digest));
        Ok(())
    }

    /// After a commit that failed: what the ledger has now decides what was published in vain.
    fn settle(&mut self) -> Result<(), StoreError> {
        let Some(unsettled) = &self.unsettled else { return Ok(()) };
        let head = read_head(&self.connection, &unsettled.ledger)?;
        let commands = last_command(&self.connection)?;
        self.lookup.retract(&unsettled.streams, head.size);
        self.lookup.retract(&unsettled.commands, commands + 1);
        self.lookup.settled();
        self.recent.clear();
        self.last_command = commands;
        self.unsettled = None;
        Ok(())
    }
}

/// Event ids are made where commands are decided, and unique by the way they are made; a caller that made its own could
/// give one to two events.
fn check_event_ids(batch: &[Append], placement: &Placement) -> Result<(), StoreError> {
    let id_of = |placed: &Placed| Some(batch.get(placed.request)?.events.get(placed.event)?.event_id);
    let mut ids: Vec<Uuid> = placement.placed.iter().filter_map(id_of).collect();
    ids.sort_unstable();
    match ids.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
        Some(pair) => Err(StoreError::Unavailable(format!("event ids are not unique: {pair:?}"))),
        None => Ok(()),
    }
}

fn last_command(connection: &Connection) -> Result<u64, StoreError> {
    let last: Option<i64> = connection.query_row("select max(number) from ledger_commands", [], |row| row.get(0))?;
    Ok(last.map_or(0, unsigned))
}

/// Writes what was placed. Values that stay the same from row to row are bound once.
fn write(
    transaction: &Transaction<'_>,
    batch: &[Append],
    placement: &Placement,
    last_command: u64,
) -> Result<(), StoreError> {
    let head = &placement.head;
    let mut insert = transaction.prepare_cached(&format!(
        "insert into ledger_entries ({ENTRY_COLUMNS}) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
    ))?;
    insert.raw_bind_parameter(1, head.ledger_id.as_str())?;
    insert.raw_bind_parameter(9, placement.recorded_at)?;
    let mut bound: Option<(&Append, &Draft)> = None;
    for (position, placed) in (placement.first_position..).zip(&placement.placed) {
        let Some(append) = batch.get(placed.request) else { continue };
        let Some(event) = append.events.get(placed.event) else { continue };
        let (last_append, last_event) = bound.unzip();
        if last_append.is_none_or(|last| last.stream.stream_type != append.stream.stream_type) {
            insert.raw_bind_parameter(4, &append.stream.stream_type)?;
        }
        if last_append.is_none_or(|last| last.actor != append.actor) {
            insert.raw_bind_parameter(10, append.actor.kind.as_str())?;
            insert.raw_bind_parameter(11, &append.actor.id)?;
        }
        if last_append.is_none_or(|last| last.metadata != append.metadata) {
            insert.raw_bind_parameter(12, append.metadata.as_bytes())?;
        }
        if last_event.is_none_or(|last| last.event_type != event.event_type) {
            insert.raw_bind_parameter(7, &event.event_type)?;
        }
        bound = Some((append, event));
        insert.raw_bind_parameter(2, signed(position))?;
        insert.raw_bind_parameter(3, event.event_id.as_bytes())?;
        insert.raw_bind_parameter(5, &append.stream.stream_id)?;
        insert.raw_bind_parameter(6, signed(placed.version))?;
        insert.raw_bind_parameter(8, signed(event.schema_version))?;
        insert.raw_bind_parameter(13, placed.seal.as_ref().unwrap_or(&event.payload).as_bytes())?;
        insert.raw_bind_parameter(14, placed.payload_digest.0)?;
        insert.raw_bind_parameter(15, placed.previous_hash.0)?;
        insert.raw_bind_parameter(16, placed.hash.0)?;
        insert.raw_execute()?;
    }
    for (number, (id, record)) in (last_command + 1..).zip(&placement.commands) {
        write_command(transaction, number, &head.ledger_id, id, record)?;
    }
    transaction
        .prepare_cached(
            "insert into ledger_heads (ledger_id, size, hash, root, frontier, recorded_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6) on conflict (ledger_id) do update set size = excluded.size, \
             hash = excluded.hash, root = excluded.root, frontier = excluded.frontier, \
             recorded_at = excluded.recorded_at",
        )?
        .execute(params![
            head.ledger_id.as_str(),
            signed(head.size),
            head.hash.0,
            head.root.0,
            head.frontier.to_bytes(),
            head.recorded_at
        ])?;
    Ok(())
}

fn write_command(
    connection: &Connection,
    number: u64,
    ledger: &LedgerId,
    command_id: &str,
    record: &CommandRecord,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "insert into ledger_commands (number, ledger_id, command_id, digest, stream_type, stream_id, \
             first_position, last_position, version, hash, recorded_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            signed(number),
            ledger.as_str(),
            command_id,
            record.digest.0,
            record.stream.stream_type,
            record.stream.stream_id,
            signed(record.appended.first_position),
            signed(record.appended.receipt.position),
            signed(record.appended.version),
            record.appended.receipt.hash.0,
            record.appended.recorded_at,
        ])?;
    Ok(())
}

#[cfg(test)]
mod tests;
