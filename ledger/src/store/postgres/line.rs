//! What this process knows of the ledgers it appends to, and the batches it has sequenced on that knowledge.
//!
//! While a batch is on its way, the next is sequenced on the head that the first will lead to. Nothing rests on this: a
//! batch is written on condition that the head is the one it was sequenced on, and a stream that was taken to be new
//! is caught by the table's unique constraint. Where either fails, the batch is sequenced again under the head's lock.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::append::{Append, AppendError, CommandRecord, Placement, place};
use crate::entry::{Hash, Head, LedgerId, StreamKey};
use crate::tiles::{self, Edges, Missing, Tile};

/// Streams whose versions are remembered, in each of two generations.
const MOST_VERSIONS: usize = 16_384;

/// A batch in its place, and the tiles that it completes.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Size and hash of the head that it was sequenced on.
    pub(super) before: (u64, Hash),
    pub(super) placement: Placement,
    pub(super) tiles: Vec<Tile>,
}

/// What must be read before a batch can be sequenced.
#[derive(Debug)]
pub(super) enum Wanted {
    /// Earlier batches are not through yet, or the head is not known.
    Turn,
    /// The versions of these streams.
    Versions(Vec<StreamKey>),
    /// Whether the commands of the batch are known.
    Commands,
    /// The leaf hashes of the incomplete lowest tile of a tree of this size.
    Edge(u64),
    /// These roots.
    Roots(Vec<Missing>),
}

/// What was read for a batch.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) versions: HashMap<StreamKey, u64>,
    pub(super) commands: Option<HashMap<String, CommandRecord>>,
    pub(super) roots: Option<Vec<Vec<Hash>>>,
}

/// The batches of one store that wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Line(Mutex<HashMap<LedgerId, Tail>>);

/// Where a ledger will be when every batch in line is through.
#[derive(Debug)]
struct Tail {
    head: Option<Head>,
    versions: Versions,
    edges: Edges,
    /// Batches in line, sequenced or not.
    waiting: usize,
    /// True where one in line was not sequenced, or on a head that did not come to be: nobody can be sequenced behind it.
    stalled: bool,
}

impl Tail {
    fn new() -> Self {
        Self { head: None, versions: Versions::default(), edges: Edges::default(), waiting: 0, stalled: true }
    }
}

/// A batch's place in line; given up when dropped.
pub(super) struct Turn {
    line: Arc<Line>,
    pub(super) ledger: LedgerId,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(tail) = self.line.tails().get_mut(&self.ledger) {
            tail.waiting = tail.waiting.saturating_sub(1);
        }
    }
}

impl Line {
    fn tails(&self) -> MutexGuard<'_, HashMap<LedgerId, Tail>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place in line, and sequences the batch if everything it takes is in memory.
    pub(super) fn join(self: &Arc<Self>, ledger: &LedgerId, batch: &[Append], now: i64) -> (Turn, Option<Prepared>) {
        let mut tails = self.tails();
        let tail = tails.entry(ledger.clone()).or_insert_with(Tail::new);
        tail.waiting += 1;
        let prepared = if tail.stalled { None } else { tail.prepare(ledger, batch, now, &Read::default()).ok() };
        tail.stalled = prepared.is_none();
        (Turn { line: Arc::clone(self), ledger: ledger.clone() }, prepared)
    }
}

impl Turn {
    /// Goes back to what the store has. Versions and leaves are kept if that is the head they were true for; a head of the
    /// same size may be another's.
    pub(super) fn rewind(&self, head: &Head) {
        if let Some(tail) = self.line.tails().get_mut(&self.ledger) {
            let same = tail.head.as_ref().is_some_and(|known| known.size == head.size && known.hash == head.hash);
            if !same {
                tail.versions = Versions::default();
                tail.edges = Edges::default();
                tail.head = Some(head.clone());
            }
            tail.stalled = true;
        }
    }

    /// What was read of the incomplete lowest tile.
    pub(super) fn set_edge(&self, size: u64, leaves: Vec<Hash>) {
        if let Some(tail) = self.line.tails().get_mut(&self.ledger) {
            tail.edges.set(&self.ledger, size, leaves);
        }
    }

    /// Sequences the batch now that it is its turn and `read` is known besides. Those who come after are sequenced behind
    /// it if nobody is in line already.
    pub(super) fn prepare(&self, batch: &[Append], now: i64, read: &Read) -> Result<Prepared, Wanted> {
        let mut tails = self.line.tails();
        let tail = tails.get_mut(&self.ledger).ok_or(Wanted::Turn)?;
        let prepared = tail.prepare(&self.ledger, batch, now, read)?;
        tail.stalled = tail.waiting > 1;
        Ok(prepared)
    }
}

impl Tail {
    fn prepare(&mut self, ledger: &LedgerId, batch: &[Append], now: i64, read: &Read) -> Result<Prepared, Wanted> {
        let head = self.head.as_ref().ok_or(Wanted::Turn)?;
        let wanted = self.unknown(batch, read);
        if !wanted.is_empty() {
            return Err(Wanted::Versions(wanted));
        }
        let version_of =
            |stream: &StreamKey| read.versions.get(stream).copied().or_else(|| self.versions.get(stream)).unwrap_or(0);
        let placement = place(head, batch, version_of, read.commands.clone().unwrap_or_default(), now);
        let conflict = |(append, outcome): (&Append, &Result<_, AppendError>)| {
            append.command.is_some() && matches!(outcome, Err(AppendError::VersionConflict { .. }))
        };
        // It may be a repeat of a command that moved the stream on itself.
        if read.commands.is_none() && batch.iter().zip(&placement.outcomes).any(conflict) {
            return Err(Wanted::Commands);
        }
        let (before, after) = (head.size, placement.head.size);
        let mut completed = Vec::new();
        if tiles::completes(before, after) {
            let edge = self.edges.at(ledger, before).ok_or(Wanted::Edge(before))?;
            let missing = tiles::missing(before, after);
            let roots = match &read.roots {
                Some(roots) => roots.clone(),
                None if missing.iter().all(|missing| missing.count == 0) => vec![Vec::new(); missing.len()],
                None => return Err(Wanted::Roots(missing)),
            };
            completed = tiles::complete(before, edge, &placement.leaves, roots);
        }
        let prepared = Prepared { before: (before, head.hash), placement, tiles: completed };
        self.advance(ledger, batch, &prepared);
        Ok(prepared)
    }

    /// Streams that the batch takes to exist, and whose version is not known. One that it takes to be new is, or the
    /// table's unique constraint says that it is not.
    fn unknown(&self, batch: &[Append], read: &Read) -> Vec<StreamKey> {
        let known = |stream| read.versions.contains_key(stream) || self.versions.get(stream).is_some();
        let mut unknown: HashSet<&StreamKey> = HashSet::new();
        for append in batch {
            if append.expected_version > 0 && !known(&append.stream) && append.check().is_ok() {
                unknown.insert(&append.stream);
            }
        }
        if unknown.is_empty() {
            return Vec::new();
        }
        // Not those that the batch itself brings into being before it goes on with them.
        let mut seen: HashSet<&StreamKey> = HashSet::new();
        for append in batch {
            if append.expected_version == 0 && !seen.contains(&append.stream) && append.check().is_ok() {
                unknown.remove(&append.stream);
            }
            seen.insert(&append.stream);
        }
        unknown.into_iter().cloned().collect()
    }

    fn advance(&mut self, ledger: &LedgerId, batch: &[Append], prepared: &Prepared) {
        let placement = &prepared.placement;
        for (append, outcome) in batch.iter().zip(&placement.outcomes) {
            if let Ok(appended) = outcome
                && !appended.replayed
            {
                self.versions.set(&append.stream, appended.version);
            }
        }
        if !placement.placed.is_empty() {
            self.edges.advance(ledger, prepared.before.0, &placement.leaves);
            self.head = Some(placement.head.clone());
        }
    }
}

/// Versions of the streams appended to last: two generations, of which the older goes when the younger is full.
#[derive(Debug, Default)]
struct Versions {
    young: HashMap<StreamKey, u64>,
    old: HashMap<StreamKey, u64>,
}

impl Versions {
    fn get(&self, stream: &StreamKey) -> Option<u64> {
        self.young.get(stream).or_else(|| self.old.get(stream)).copied()
    }

    fn set(&mut self, stream: &StreamKey, version: u64) {
        if let Some(known) = self.young.get_mut(stream) {
            *known = version;
            return;
        }
        if self.young.len() >= MOST_VERSIONS {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(stream.clone(), version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::append::Draft;
    use crate::entry::Actor;

    fn batch(stream: &str, events: usize) -> Vec<Append> {
        vec![Append {
            stream: StreamKey { stream_type: "transaction".to_owned(), stream_id: stream.to_owned() },
            expected_version: 0,
            events: (0..events).map(|_| Draft::new("transaction.recorded", 1, "{}".to_owned())).collect(),
            actor: Actor::system("test"),
            metadata: "{}".to_owned(),
            command: None,
        }]
    }

    fn head_after(batch: &[Append]) -> Head {
        place(&Head::empty(LedgerId::main()), batch, |_| 0, HashMap::new(), 1).head
    }

    #[test]
    fn leaves_that_never_came_to_be_are_not_those_of_another_head_of_their_size() {
        let (line, ledger) = (Arc::new(Line::default()), LedgerId::main());
        let (turn, _) = line.join(&ledger, &[], 1);
        turn.rewind(&Head::empty(ledger.clone()));
        assert!(turn.prepare(&batch("ours", 10), 1, &Read::default()).is_ok());
        turn.rewind(&head_after(&batch("another's", 10)));
        let prepared = turn.prepare(&batch("next", 250), 2, &Read::default());
        assert!(matches!(prepared, Err(Wanted::Edge(10))), "{prepared:?}");
    }

    #[test]
    fn leaves_are_kept_where_the_head_came_to_be() {
        let (line, ledger) = (Arc::new(Line::default()), LedgerId::main());
        let (turn, _) = line.join(&ledger, &[], 1);
        turn.rewind(&Head::empty(ledger.clone()));
        let first = turn.prepare(&batch("ours", 10), 1, &Read::default()).map(|prepared| prepared.placement.head);
        turn.rewind(&first.unwrap_or_else(|wanted| panic!("{wanted:?}")));
        assert!(turn.prepare(&batch("next", 250), 2, &Read::default()).is_ok_and(|next| next.tiles.len() == 1));
    }
}
