//! Where the entries of each stream stand, and where each command does: what an index of the ledger file would say, kept
//! where appends in random order cost no more than others.
//!
//! What was appended last is in memory (the tail); a thread of its own writes it behind, sorted, to the lookup file
//! beside the ledger (see [`file`]). Nothing is lost with either: both are made again from the ledger, from the point up to
//! which the file is known to belong to it. What they say are hints: whoever asks reads the entry and compares.

mod catch_up;
mod error;
mod file;
mod filter;
mod flusher;
pub(super) mod follower;
mod merge;
mod name;
mod page;
mod reader;
mod tail;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;

use self::error::LookupError;
use self::file::{LookupFile, Mark, Marks, path_beside};
use self::filter::Filters;
pub(super) use self::name::{Name, NameMap, Names};
pub(super) use self::page::Record;
use self::reader::{LookupReader, Snapshot};
use self::tail::Tail;
use crate::entry::{Hash, LedgerId};
use crate::store::StoreError;

pub(super) use self::catch_up::command_anchor;

/// Records that make a segment of the file.
const FLUSH_RECORDS: usize = 64 * 1024;
/// Records in memory at which appends wait for the file to be written.
const MOST_UNFLUSHED: usize = 8 * FLUSH_RECORDS;
/// How long they wait before they are refused.
const FLUSH_PATIENCE: Duration = Duration::from_secs(20);

/// The lookup file of the process that writes the ledger, and what is in memory of it.
pub(super) struct Lookup {
    path: PathBuf,
    ledger: PathBuf,
    names: Names,
    filters: Arc<Filters>,
    unflushed: Mutex<Unflushed>,
    /// Something to do for the flusher.
    work: Condvar,
    /// It was done, or could not be.
    done: Condvar,
    /// Held for reading by whoever asks the file, for writing while it is made anew.
    generation: RwLock<Generation>,
    idle: Mutex<Vec<(u64, LookupReader)>>,
}

/// Which of the files that were made one after the other.
#[derive(Debug, Clone, Copy)]
struct Generation {
    number: u64,
    /// False from when it was begun until it has everything: what is not in it may be in the ledger all the same.
    whole: bool,
}

#[derive(Default)]
struct Unflushed {
    /// What is being written to the file.
    frozen: Option<Arc<Frozen>>,
    open: Tail,
    /// The last records in `open` may not be committed: none of it is written yet.
    uncommitted: bool,
    marks: Marks,
    /// The file is damaged and must be made anew.
    rebuild: bool,
    /// The thread is to write what is left and end.
    closing: bool,
    /// Why the last attempt of the thread failed.
    failure: Option<String>,
}

struct Frozen {
    tail: Tail,
    marks: Marks,
}

/// Ends the thread that writes the file: it writes what is left first. Dropped by whoever wrote last.
pub(super) struct Flusher {
    lookup: Arc<Lookup>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.lookup.lock().closing = true;
        self.lookup.work.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn entries_mark(ledger: &str) -> String {
    format!("entries/{ledger}")
}

const COMMANDS_MARK: &str = "commands";

impl Lookup {
    /// Opens the lookup file beside a ledger file that this process writes, brings it up to date, and starts its thread.
    pub(super) fn open(ledger: &Path, connection: &Connection) -> Result<(Arc<Self>, Flusher), StoreError> {
        let path = path_beside(ledger);
        let (mut file, mut marks) = open_or_replace(&path, connection)?;
        let mut open = Tail::default();
        let names = file.names();
        match catch_up::catch_up(&mut file, connection, &mut marks, &mut open) {
            Err(LookupError::Damaged(why)) => {
                tracing::warn!(file = %path.display(), why, "the lookup file is damaged and is made anew");
                drop(file);
                file = LookupFile::replace(&path, Some(names))?;
                (marks, open) = Default::default();
                catch_up::catch_up(&mut file, connection, &mut marks, &mut open)?;
            }
            caught_up => caught_up?,
        }
        let lookup = Arc::new(Self {
            path,
            ledger: ledger.to_owned(),
            names: file.names(),
            filters: Arc::default(),
            unflushed: Mutex::new(Unflushed { open, marks, ..Unflushed::default() }),
            work: Condvar::new(),
            done: Condvar::new(),
            generation: RwLock::new(Generation { number: 0, whole: true }),
            idle: Mutex::default(),
        });
        let worker = flusher::Worker::new(Arc::clone(&lookup), file);
        let thread = std::thread::Builder::new()
            .name("ledger-lookup".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok((Arc::clone(&lookup), Flusher { lookup, thread: Some(thread) }))
    }

    pub(super) fn names(&self) -> Names {
        self.names
    }

    fn lock(&self) -> MutexGuard<'_, Unflushed> {
        self.unflushed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes records known before their entries are committed: whoever sees an entry finds it by its stream, too.
    pub(super) fn publish(&self, records: impl Iterator<Item = (Name, u64, u64)>) {
        let mut unflushed = self.lock();
        unflushed.uncommitted = true;
        for (name, version, position) in records {
            unflushed.open.push(name, version, position);
        }
    }

    /// What was published is committed: the ledger has `size` entries now and the last has that hash.
    pub(super) fn entries_committed(&self, ledger: &LedgerId, size: u64, hash: Hash) {
        self.committed(entries_mark(ledger.as_str()), Mark { size, hash });
    }

    /// So many commands are committed, the last with that anchor.
    pub(super) fn commands_committed(&self, size: u64, anchor: Hash) {
        self.committed(COMMANDS_MARK.to_owned(), Mark { size, hash: anchor });
    }

    fn committed(&self, name: String, mark: Mark) {
        let mut unflushed = self.lock();
        unflushed.marks.insert(name, mark);
        unflushed.uncommitted = false;
        if unflushed.open.len() >= FLUSH_RECORDS && unflushed.freeze() {
            self.work.notify_all();
        }
    }

    /// Takes back the records of these names from that position (or number) on: their commit did not happen.
    pub(super) fn retract(&self, names: &HashSet<Name>, from: u64) {
        self.lock().open.retain(|name, position| position < from || !names.contains(&name));
    }

    /// What is published is committed, or was taken back.
    pub(super) fn settled(&self) {
        self.lock().uncommitted = false;
    }

    /// Waits while the file is too far behind.
    pub(super) fn wait_for_room(&self) -> Result<(), StoreError> {
        let unflushed = self.lock();
        if unflushed.open.len() < MOST_UNFLUSHED {
            return Ok(());
        }
        let full = |unflushed: &mut Unflushed| unflushed.open.len() >= MOST_UNFLUSHED;
        let waited = self.done.wait_timeout_while(unflushed, FLUSH_PATIENCE, full);
        let (unflushed, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if !timeout.timed_out() {
            return Ok(());
        }
        let why = unflushed.failure.clone().unwrap_or_else(|| "it is too slow".to_owned());
        Err(StoreError::Unavailable(format!("the lookup file cannot be written: {why}")))
    }

    /// The newest record of each name among those in memory.
    pub(super) fn newest_in_memory(&self, names: &[Name]) -> Vec<Option<Record>> {
        let unflushed = self.lock();
        let frozen = unflushed.frozen.as_ref();
        let newest = |name: &Name| unflushed.open.newest(*name).or_else(|| frozen?.tail.newest(*name));
        names.iter().map(newest).collect()
    }

    /// The newest record of each name in the file that `accept` takes for the name's own. It is told the place of the name.
    pub(super) fn newest_in_file(
        &self,
        names: &[Name],
        mut accept: impl FnMut(usize, &Record) -> Result<bool, StoreError>,
    ) -> Result<Vec<Option<Record>>, StoreError> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(|snapshot| {
            names
                .iter()
                .enumerate()
                .map(|(index, name)| snapshot.newest(*name, |record| Ok(accept(index, record)?)))
                .collect()
        })
    }

    /// Hands over the records of a name with at least that version, oldest first, until `take` wants no more. Some may
    /// come twice, and some may be of other names.
    pub(super) fn since(
        &self,
        name: Name,
        version: u64,
        mut take: impl FnMut(&Record) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        // Memory first: what leaves it meanwhile is in the file by then.
        let in_memory: Vec<Record> = {
            let unflushed = self.lock();
            let frozen = unflushed.frozen.iter().flat_map(|frozen| frozen.tail.since(name, version));
            unflushed.open.since(name, version).chain(frozen).collect()
        };
        let mut wanted = self.ask(|snapshot| snapshot.since(name, version, |record| Ok(take(record)?)))?;
        for record in in_memory.iter().rev() {
            wanted = wanted && take(record)?;
        }
        Ok(())
    }

    /// Asks the file; one that turns out to be damaged is made anew and asked again.
    fn ask<T>(&self, mut question: impl FnMut(&Snapshot<'_>) -> Result<T, LookupError>) -> Result<T, StoreError> {
        match self.ask_once(&mut question) {
            Err(LookupError::Damaged(why)) => {
                tracing::warn!(file = %self.path.display(), why, "the lookup file is damaged");
                self.wait_for_rebuild()?;
                Ok(self.ask_once(&mut question)?)
            }
            answer => Ok(answer?),
        }
    }

    fn ask_once<T>(&self, question: impl FnOnce(&Snapshot<'_>) -> Result<T, LookupError>) -> Result<T, LookupError> {
        let generation = self.generation.read().unwrap_or_else(PoisonError::into_inner);
        if !generation.whole {
            return Err(LookupError::Unavailable("it is being made anew".to_owned()));
        }
        let idle = loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match idle {
                Some((of, reader)) if of == generation.number => break Some(reader),
                Some(_) => {}
                None => break None,
            }
        };
        let mut reader = match idle {
            Some(reader) => reader,
            None => LookupReader::open(&self.path, Some(Arc::clone(&self.filters)))?,
        };
        let answer = reader.snapshot(question);
        if answer.is_ok() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((generation.number, reader));
        }
        answer
    }

    fn wait_for_rebuild(&self) -> Result<(), StoreError> {
        let mut unflushed = self.lock();
        unflushed.rebuild = true;
        unflushed.failure = None;
        self.work.notify_all();
        let pending = |unflushed: &mut Unflushed| unflushed.rebuild && unflushed.failure.is_none();
        let unflushed = self.done.wait_while(unflushed, pending).unwrap_or_else(PoisonError::into_inner);
        match &unflushed.failure {
            Some(why) if unflushed.rebuild => {
                Err(StoreError::Unavailable(format!("the lookup file cannot be made anew: {why}")))
            }
            _ => Ok(()),
        }
    }
}

impl Unflushed {
    /// Hands what is in memory to the thread; false where it has not finished with the last.
    fn freeze(&mut self) -> bool {
        if self.frozen.is_some() || self.open.is_empty() || self.uncommitted {
            return false;
        }
        let tail = std::mem::take(&mut self.open);
        self.frozen = Some(Arc::new(Frozen { tail, marks: self.marks.clone() }));
        true
    }
}

/// The file as it belongs to the ledger, with how far it reaches; a new one where it does not.
fn open_or_replace(path: &Path, ledger: &Connection) -> Result<(LookupFile, Marks), StoreError> {
    let present = path.exists();
    let opened = LookupFile::open(path).and_then(|file| {
        let marks = file.marks()?;
        catch_up::check(&marks, &file.segments()?, ledger)?;
        Ok((file, marks))
    });
    match opened {
        Ok(opened) => {
            if !present {
                tracing::info!(file = %path.display(), "there is no lookup file yet: it is made from the ledger");
            }
            Ok(opened)
        }
        Err(LookupError::Damaged(why)) => {
            tracing::warn!(file = %path.display(), why, "the lookup file is made anew from the ledger");
            Ok((LookupFile::replace(path, None)?, Marks::new()))
        }
        Err(error) => Err(error.into()),
    }
}
