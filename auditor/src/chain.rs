//! One ledger, row by row in the order of positions: hashes, links, payload digests, time, tree.
//!
//! How a change is reported once, where it was made, and not at each entry after it:
//!
//! * A row is *sound* when its stored hash is the hash of its stored fields. A row that is not is one finding.
//! * A link is judged between two sound rows only. Where one end is unsound, that end has been reported already.
//! * Where a link between two sound rows is broken, one of the two was replaced, hash and all. The row after them
//!   tells which: if it continues the later row, the earlier one was replaced, otherwise the later one. After the
//!   last row the head tells.
//! * Tree, frontier and stream versions are judged only where no row is missing, unsound or replaced; what was left
//!   out is listed.
//!
//! So every link is either verified or has a finding at one of its ends.

use std::io;
use std::time::Instant;

use daybook_ledger::canonical::GENESIS_TAG;

use crate::batch::Batch;
use crate::cell::{Cell, Digest, EntryRow, Fields, LedgerKey, Problems};
use crate::gate::{self, Gate};
use crate::group::canonical_fields;
use crate::hashing::Look;
use crate::head::{HeadRow, State};
use crate::merkle;
use crate::own_entries::{self, Before, OwnEntries};
use crate::report::{FindingKind, Findings, PayloadCounts, PayloadState, StoredCheckpoint};
use crate::sealed::SealedPayloads;
use crate::source::{TileRoots, VerifyOptions};
use crate::states::States;
use crate::stored_tiles::StoredTiles;
use crate::streams::{Record, StreamVersions};
use crate::tree_log::TreeLog;

mod finish;
mod links;

/// What is known of a ledger before its entries are read.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) key: LedgerKey,
    pub(crate) heads: Vec<HeadRow>,
    /// Position of the first entry that the source holds. Beyond 0, what comes before it is not looked at, there is no
    /// head and no tree.
    pub(crate) from: u64,
    /// Whether the store keeps tiles.
    pub(crate) has_tiles: bool,
    /// What entries were picked by, so that positions have gaps.
    pub(crate) picked: Picked,
}

/// What the entries of a source were picked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Picked {
    /// Nothing: they follow each other.
    Not,
    /// They are of one stream.
    Stream,
    /// They are of records, each from its first entry on without gaps; of streams that are no records there are some entries.
    Records,
}

/// Streams that are no records: what the ledger says of itself, and who came in and read.
const NOT_RECORDS: [&str; 4] = ["ledger", "ledger_keys", "session", "access"];

/// The state of verifying one ledger.
#[derive(Debug)]
pub(crate) struct LedgerCheck {
    key: LedgerKey,
    genesis: Digest,
    heads: Vec<HeadRow>,
    head_size: Option<u64>,
    findings: Findings,
    from: u64,
    picked: bool,
    /// Whether streams that are no records are there in part.
    of_records: bool,
    /// The position that comes next.
    expected: u64,
    last: Last,
    /// The later end of a broken link between two sound rows, until the row after it tells which end is bad.
    suspect: Option<u64>,
    latest_time: Option<u64>,
    first_time: Option<u64>,
    tree: TreeLog,
    intact: bool,
    /// What the entries covered by the head's size come to.
    at_head: Option<State>,
    states: States,
    beyond: Option<Beyond>,
    versions: StreamVersions,
    own: OwnEntries,
    gate: Gate,
    tile_roots: Option<TileRoots>,
    stored_tiles: Option<StoredTiles>,
    checkpoints: (u64, Vec<StoredCheckpoint>),
    payloads: PayloadCounts,
    sealed: SealedPayloads,
    entries: u64,
    canonical: Vec<u8>,
    threads: usize,
    started: Instant,
}

/// The row before.
#[derive(Debug, Clone, Copy)]
enum Last {
    /// There is none: the first position comes next.
    Start,
    /// Its hash was recomputed and is as stored.
    Sound { hash: Digest, recorded_at: u64 },
    /// Missing or unsound; that has been reported.
    Unknown,
}

#[derive(Debug)]
struct Beyond {
    first: u64,
    last: u64,
    count: u64,
}

impl LedgerCheck {
    pub(crate) fn new(start: Start, options: &VerifyOptions, threads: usize) -> Self {
        let Start { key, heads, from, has_tiles, picked: by } = start;
        let picked = by != Picked::Not;
        let head_size = heads.first().and_then(|head| head.size);
        let mut genesis = blake3::Hasher::new();
        genesis.update(GENESIS_TAG).update(key.bytes());
        let mut check = Self {
            genesis: *genesis.finalize().as_bytes(),
            heads,
            head_size,
            findings: Findings::new(options.max_findings),
            from,
            picked,
            expected: from,
            last: Last::Start,
            suspect: None,
            latest_time: None,
            first_time: None,
            tree: TreeLog::new(has_tiles),
            intact: true,
            at_head: None,
            states: States::new(&options.states_at),
            beyond: None,
            versions: StreamVersions::new((from > 0 || picked) && by != Picked::Records),
            of_records: by == Picked::Records,
            own: OwnEntries::default(),
            gate: Gate::new(options.max_findings),
            tile_roots: options.tile_roots.clone(),
            stored_tiles: has_tiles.then(StoredTiles::default),
            checkpoints: (0, Vec::new()),
            payloads: PayloadCounts::default(),
            sealed: SealedPayloads::default(),
            entries: 0,
            canonical: Vec::with_capacity(512),
            threads,
            started: Instant::now(),
            key,
        };
        if check.key.valid_id().is_none() {
            let detail = format!("ledger_id {} is not allowed: [a-z0-9-]{{1,63}}", check.key.shown());
            check.findings.add(None, FindingKind::InvalidValue, detail);
        }
        check.keep_states();
        check
    }

    /// Takes the next rows, hashed. An error means that a scratch file failed, never that a row is bad.
    pub(crate) fn entries(&mut self, batch: &Batch) -> io::Result<()> {
        self.sealed.take(&batch.checked);
        let looks = &batch.checked.looks;
        let mut index = 0;
        while let Some(look) = looks.get(index) {
            let rest = looks.get(index + 1..).unwrap_or_default();
            let smooth = rest.iter().take_while(|look| **look == Look::Smooth).count();
            let taken = match look {
                Look::Plain | Look::Smooth => self.stretch(batch, index, 1 + smooth)?,
                Look::Own | Look::Odd => 0,
            };
            if taken == 0 {
                match batch.row(index) {
                    Some(row) => self.row(&EntryRow(row), batch, index)?,
                    // Only where something is wrong already does a row not go on from the one before, although it is
                    // smooth. Whoever did not keep it must read it once more.
                    None => self.findings.add(None, FindingKind::LinkBroken, "an entry that goes on from a bad one"),
                }
            }
            index += taken.max(1);
        }
        Ok(())
    }

    /// Takes up to `rows` rows in one step: a plain one and smooth ones after it. Returns how many were taken, none
    /// where the first one does not go on from the row before, or the row before is in doubt.
    fn stretch(&mut self, batch: &Batch, first: usize, rows: usize) -> io::Result<usize> {
        let ends = &batch.checked.ends;
        let Some(row) = ends.get(first).copied() else { return Ok(0) };
        let Last::Sound { hash, .. } = self.last else { return Ok(0) };
        let goes_on = row.position == self.expected
            && row.previous_hash == hash
            && self.suspect.is_none()
            && self.latest_time.is_none_or(|before| before <= row.recorded_at)
            && self.head_size.is_none_or(|size| row.position < size);
        if !goes_on || self.picked {
            return Ok(0);
        }
        // Up to the next size at which somebody wants to know the state, at most.
        let next = self.states.next().into_iter().chain(self.head_size).filter(|size| *size > self.expected).min();
        let most = next.map_or(usize::MAX, |size| usize::try_from(size - self.expected).unwrap_or(usize::MAX));
        let rows = rows.min(most);
        let Some(end) = rows.checked_sub(1).and_then(|last| ends.get(first + last)).copied() else { return Ok(0) };
        let (Some(leaves), Some(records)) =
            (batch.checked.leaves.get(first..first + rows), batch.checked.records.get(first..first + rows))
        else {
            return Ok(0);
        };
        self.versions.add(records)?;
        self.leaves(batch, first, leaves)?;
        let count = rows as u64;
        self.entries += count;
        self.payloads.present += count;
        self.expected += count;
        self.first_time.get_or_insert(row.recorded_at);
        self.latest_time = Some(end.recorded_at);
        self.last = Last::Sound { hash: end.hash, recorded_at: end.recorded_at };
        self.keep_states();
        Ok(rows)
    }

    /// Adds leaves to the tree, whole tiles where the hashing threads have made them.
    fn leaves(&mut self, batch: &Batch, first: usize, leaves: &[Digest]) -> io::Result<()> {
        let mut done = 0;
        while self.has_tree()
            && let Some(leaf) = leaves.get(done)
        {
            let tiles = &batch.checked.tiles;
            let whole = (self.tree.at_tile_start() && leaves.len() - done >= merkle::TILE_WIDTH)
                .then(|| tiles.binary_search_by_key(&(first + done), |(start, _)| *start).ok())
                .flatten()
                .and_then(|found| tiles.get(found));
            let completed = match whole {
                Some((_, tile)) => {
                    done += merkle::TILE_WIDTH;
                    self.tree.tile(*tile)?
                }
                None => {
                    done += 1;
                    self.tree.leaf(*leaf)?
                }
            };
            self.tell_tile(completed);
        }
        Ok(())
    }

    fn tell_tile(&self, completed: Option<(u64, Digest)>) {
        if let (Some(tile_roots), Some((index, root))) = (&self.tile_roots, completed) {
            tile_roots.tell(self.key.shown(), index, root);
        }
    }

    /// Whether the tree says something: every entry so far is there, and intact.
    fn has_tree(&self) -> bool {
        self.intact && self.from == 0 && !self.picked
    }

    /// Takes one row and judges it on its own.
    fn row(&mut self, row: &EntryRow<'_>, batch: &Batch, index: usize) -> io::Result<()> {
        self.entries += 1;
        self.payloads.add(match row.payload() {
            Cell::Null => PayloadState::Missing,
            _ => PayloadState::Present,
        });
        let Some(position) = self.place(row.position()) else { return Ok(()) };
        let mut problems = Problems::default();
        match row.fields(&mut problems) {
            Some(fields) => {
                let record = batch.checked.records.get(index).copied().unwrap_or_default();
                let leaf = match batch.checked.looks.get(index) {
                    None | Some(Look::Odd) => None,
                    Some(_) => batch.checked.leaves.get(index),
                };
                self.entry(&fields, leaf, record, &mut problems)?;
            }
            None => self.unsound(None),
        }
        if let Some((kind, detail)) = problems.take() {
            self.findings.at(position, kind, detail);
        }
        self.keep_states();
        Ok(())
    }

    /// Puts the row's position in order. None for a row that has no place of its own: it is reported and left out.
    fn place(&mut self, stored: Cell<'_>) -> Option<u64> {
        let Cell::Integer(signed) = stored else {
            let kind = if matches!(stored, Cell::Null) { FindingKind::NullValue } else { FindingKind::WrongType };
            self.findings.add(None, kind, format!("an entry's position is {stored}, not an integer"));
            return None;
        };
        let Ok(position) = u64::try_from(signed) else {
            self.findings.add(Some(signed), FindingKind::NegativeValue, "the position is negative");
            return None;
        };
        if position < self.expected {
            self.findings.at(position, FindingKind::PositionDuplicate, "there is more than one entry at this position");
            return None;
        }
        if position > self.expected && self.picked {
            self.last = Last::Start;
        } else if position > self.expected {
            self.gap(position);
        }
        self.expected = position.saturating_add(1);
        if self.head_size.is_some_and(|size| position >= size) {
            let beyond = self.beyond.get_or_insert(Beyond { first: position, last: position, count: 0 });
            beyond.last = position;
            beyond.count += 1;
        }
        Some(position)
    }

    /// No entry from `expected` up to `position`. What the head does not cover is not missing: there only was no entry.
    fn gap(&mut self, position: u64) {
        let end = self.head_size.map_or(position, |size| size.min(position));
        if self.expected < end {
            let detail = match end - self.expected {
                1 => "the entry is missing".to_owned(),
                _ => format!("entries {} to {} are missing", self.expected, end - 1),
            };
            self.findings.at(self.expected, FindingKind::PositionGap, detail);
        }
        self.unsound(None);
    }

    /// `leaf` is the leaf hash of a plain row.
    fn entry(
        &mut self,
        fields: &Fields<'_>,
        leaf: Option<&Digest>,
        record: Record,
        problems: &mut Problems,
    ) -> io::Result<()> {
        if !self.of_records || !NOT_RECORDS.contains(&fields.stream_type) {
            self.versions.add(&[record])?;
        }
        let leaf = match leaf {
            Some(leaf) => *leaf,
            None => match self.odd_entry(fields, problems) {
                Some(leaf) => leaf,
                None => return Ok(()),
            },
        };
        if let Some(before) = self.latest_time.filter(|before| *before > fields.recorded_at) {
            problems.add(
                FindingKind::TimeBackwards,
                format_args!("recorded_at {} is before {before}, that of the entry before", fields.recorded_at),
            );
        }
        let before = self.last;
        let linked = self.link(fields, problems);
        if own_entries::is_own(fields.stream_type) {
            self.own_entry(fields, before, problems);
        }
        if gate::is_watched(fields.stream_type, fields.event_type) {
            self.gate.entry(fields);
        }
        if self.has_tree() {
            let completed = self.tree.leaf(leaf)?;
            self.tell_tile(completed);
        }
        self.last = match linked {
            true => Last::Sound { hash: *fields.hash, recorded_at: fields.recorded_at },
            false => Last::Unknown,
        };
        self.latest_time = Some(fields.recorded_at);
        self.first_time.get_or_insert(fields.recorded_at);
        Ok(())
    }

    /// What is wrong with a row that is not plain. Its leaf hash where at least its hash is right.
    fn odd_entry(&mut self, fields: &Fields<'_>, problems: &mut Problems) -> Option<Digest> {
        let metadata_digest = blake3::hash(fields.metadata);
        let payload_digest = fields.payload.map(blake3::hash);
        let canonical = canonical_fields(fields, metadata_digest.as_bytes());
        canonical.write(&mut self.canonical);
        fields.check(problems);
        if payload_digest.is_none() {
            problems.add(FindingKind::PayloadMissing, format_args!("there is no payload, and no entry allows that"));
        }
        if blake3::hash(&self.canonical) != *fields.hash {
            self.explain(fields, canonical, payload_digest, problems);
            self.unsound(Some(fields.previous_hash));
            return None;
        }
        if payload_digest.is_some_and(|digest| digest != *fields.payload_digest) {
            problems.add(
                FindingKind::PayloadDigestMismatch,
                format_args!("the payload is not the one whose digest was hashed"),
            );
        }
        Some(merkle::leaf_hash(&self.canonical))
    }

    fn own_entry(&mut self, fields: &Fields<'_>, before: Last, problems: &mut Problems) {
        let (tree, has_tree, genesis) = (&self.tree.tree, self.has_tree(), &self.genesis);
        let found = || Before {
            hash: match before {
                Last::Start => (fields.position == 0).then_some(*genesis),
                Last::Sound { hash, .. } => Some(hash),
                Last::Unknown => None,
            },
            root: has_tree.then(|| tree.root()),
        };
        self.own.entry(fields, found, problems);
    }

    fn keep_states(&mut self) {
        if self.at_head.is_none() && self.head_size == Some(self.expected) {
            self.at_head = Some(self.state());
        }
        if self.states.next().is_some_and(|size| size <= self.expected) {
            let mut states = std::mem::take(&mut self.states);
            let seal = || self.expected.checked_sub(1).and_then(|position| self.own.seal_at(position)).cloned();
            states.keep(self.expected, &self.genesis, || self.state(), seal);
            self.states = states;
        }
    }

    fn state(&self) -> State {
        State {
            size: self.expected,
            last: match self.last {
                Last::Sound { hash, recorded_at } => Some((hash, recorded_at)),
                _ => None,
            },
            root: self.tree.tree.root(),
            frontier: self.tree.tree.frontier(),
            intact: self.has_tree(),
        }
    }

    /// Takes the next stored tiles, hashed, in the order of level and index: after all entries.
    pub(crate) fn tiles(&mut self, batch: &Batch) -> io::Result<()> {
        if self.has_tree()
            && let Some(stored) = &mut self.stored_tiles
        {
            stored.compare(&mut self.tree, batch, &mut self.findings)?;
        }
        Ok(())
    }

    /// Takes the number of stored checkpoints, and the newest of them.
    pub(crate) fn checkpoints(&mut self, total: u64, newest: Vec<StoredCheckpoint>) {
        self.checkpoints = (total, newest);
    }
}

/// Entries a second; zero where no time passed.
pub(crate) fn rate(entries: u64, seconds: f64) -> f64 {
    // Exact below 2⁵³ entries.
    let entries = entries as f64;
    if seconds > 0.0 { entries / seconds } else { 0.0 }
}
