//! What the hashing threads do with a batch: every digest of every row, and which rows simply go on from the one before.
//!
//! A row is *plain* when each of its columns is what it should be, and its hash and the digest of its payload are right.
//! It is *smooth* when it and the row before it in the batch are plain, it has the position after that one's, its
//! `previous_hash` is that one's hash, and its time is not before that one's. Whoever judges the ledger takes a plain row
//! and the smooth ones after it in one step, and looks at every other row itself.

use crate::batch::Batch;
use crate::cell::{Cell, Digest, LedgerKey, Problems, fields_of};
use crate::gate;
use crate::group::Group;
use crate::merkle::{self, TILE_WIDTH};
use crate::own_entries;
use crate::sealed::{Scan, Trace};
use crate::streams::{Record, StreamNames};

/// What a row looks like on its own and beside the row before it in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Something is wrong with it.
    Odd,
    /// Plain, and an entry that the ledger wrote about itself, or one about approvals: what it says is to be looked at.
    Own,
    /// Plain.
    Plain,
    /// Smooth.
    Smooth,
}

/// What was found about the rows of a batch, in vectors beside each other: one element a row.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    pub(crate) looks: Vec<Look>,
    /// What rows are linked by; nothing of use where a row is odd.
    pub(crate) ends: Vec<Ends>,
    /// Leaf hashes; zeros where a row is odd.
    pub(crate) leaves: Vec<Digest>,
    /// For stream versions; empty where the row's columns cannot be read.
    pub(crate) records: Vec<Record>,
    /// Complete tiles, all of whose rows but the first are smooth, by the batch's row with which they start.
    pub(crate) tiles: Vec<(usize, HashedTile)>,
    /// What has to do with erasing, by the batch's row. Says nothing where a row is odd.
    pub(crate) traces: Vec<(usize, Trace)>,
}

impl Checked {
    pub(crate) fn clear(&mut self) {
        self.looks.clear();
        self.ends.clear();
        self.leaves.clear();
        self.records.clear();
        self.tiles.clear();
        self.traces.clear();
    }
}

/// A tile in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HashedTile {
    /// RFC 6962 root over its hashes.
    pub(crate) root: Digest,
    /// BLAKE3 of its hashes, one after the other.
    pub(crate) content: Digest,
}

/// The buffers of one hashing thread.
#[derive(Debug)]
pub(crate) struct Hashing {
    names: StreamNames,
    /// The last rows of the batch: taken, and not hashed yet.
    group: Group,
    level: Vec<Digest>,
    scan: Scan,
}

/// What a row is linked by.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ends {
    pub(crate) position: u64,
    pub(crate) previous_hash: Digest,
    pub(crate) hash: Digest,
    pub(crate) recorded_at: u64,
}

/// Rows that a hashing thread reads itself and checks where they lie, without a copy.
pub(crate) trait Rows: Send + Sync + std::fmt::Debug {
    /// Reads the rows of one stretch and gives them to `checking`.
    fn read(&self, stretch: u64, checking: Checking<'_>);
}

/// A batch that is filled with what is found about rows; only those that somebody has to look at are held as well.
#[derive(Debug)]
pub(crate) struct Checking<'a> {
    hashing: &'a mut Hashing,
    key: &'a LedgerKey,
    batch: &'a mut Batch,
}

impl Checking<'_> {
    /// Takes the next row. False where something is wrong with it or one of the rows before it, or the batch has no place
    /// for it. That nothing is wrong is known only after [`Checking::finish`].
    pub(crate) fn row(&mut self, cells: &[Cell<'_>; 16]) -> bool {
        let checked = &mut self.batch.checked;
        let held = match self.hashing.take(self.key, cells, checked) {
            Look::Odd => false,
            Look::Smooth => true,
            Look::Own | Look::Plain => {
                let index = checked.looks.len() - 1;
                self.batch.pick(index, cells)
            }
        };
        held && (!self.hashing.group.is_full() || self.hashing.settle(&mut self.batch.checked))
    }

    /// Forgets the rows that were taken.
    pub(crate) fn begin_again(&mut self) {
        self.hashing.begin(self.batch);
    }

    /// Number of rows, when all have been taken. None where something is wrong with one of them.
    pub(crate) fn finish(&mut self) -> Option<u64> {
        let sound = self.hashing.settle(&mut self.batch.checked);
        sound.then_some(self.batch.checked.looks.len() as u64)
    }
}

impl Hashing {
    pub(crate) fn new(names: StreamNames) -> Self {
        Self { names, group: Group::default(), level: Vec::with_capacity(TILE_WIDTH), scan: Scan::default() }
    }

    /// Checks the entries of a batch, all of them of one ledger.
    pub(crate) fn entries(&mut self, key: &LedgerKey, batch: &mut Batch) {
        let mut checked = std::mem::take(&mut batch.checked);
        checked.clear();
        self.group.clear();
        for cells in batch.rows::<16>() {
            self.take(key, &cells, &mut checked);
            if self.group.is_full() {
                self.settle(&mut checked);
            }
        }
        self.settle(&mut checked);
        batch.checked = checked;
    }

    /// Has a stretch of rows read and checked, all of them of one ledger, into an empty batch.
    pub(crate) fn read(&mut self, key: &LedgerKey, rows: &dyn Rows, stretch: u64, batch: &mut Batch) {
        self.begin(batch);
        rows.read(stretch, Checking { hashing: self, key, batch });
        // Where reading came to an early end, rows are left that nobody has looked at yet.
        self.settle(&mut batch.checked);
    }

    fn begin(&mut self, batch: &mut Batch) {
        batch.clear();
        batch.hold_picked();
        self.group.clear();
    }

    /// Takes the next row of a batch. What it looks like is known but for its hashes: see [`Hashing::settle`].
    fn take(&mut self, key: &LedgerKey, cells: &[Cell<'_>; 16], checked: &mut Checked) -> Look {
        let mut problems = Problems::default();
        let fields = fields_of(cells, &mut problems);
        let record = fields
            .as_ref()
            .map(|fields| self.names.record(fields.stream_type, fields.stream_id, fields.position, fields.version));
        checked.records.push(record.unwrap_or_default());
        checked.leaves.push(Digest::default());
        let readable = fields.as_ref().filter(|fields| {
            fields.check(&mut problems);
            problems.is_empty() && fields.payload.is_some() && key.matches(Cell::Text(fields.ledger_id.as_bytes()))
        });
        self.group.add(readable);
        if let Some(trace) = readable.and_then(|fields| self.scan.trace(fields)) {
            checked.traces.push((checked.looks.len(), trace));
        }
        let before = checked.ends.last().filter(|_| checked.looks.last() != Some(&Look::Odd));
        let (look, ends) = match readable {
            None => (Look::Odd, Ends::default()),
            Some(fields) => {
                let goes_on = before.is_some_and(|before| {
                    before.position.checked_add(1) == Some(fields.position)
                        && before.hash == *fields.previous_hash
                        && before.recorded_at <= fields.recorded_at
                });
                let is_looked_at =
                    own_entries::is_own(fields.stream_type) || gate::is_watched(fields.stream_type, fields.event_type);
                let look = match (is_looked_at, goes_on) {
                    (true, _) => Look::Own,
                    (false, true) => Look::Smooth,
                    (false, false) => Look::Plain,
                };
                let ends = Ends {
                    position: fields.position,
                    previous_hash: *fields.previous_hash,
                    hash: *fields.hash,
                    recorded_at: fields.recorded_at,
                };
                (look, ends)
            }
        };
        checked.looks.push(look);
        checked.ends.push(ends);
        look
    }

    /// Hashes the rows that were taken and not hashed yet, and sees which of them are odd after all. False where one is.
    fn settle(&mut self, checked: &mut Checked) -> bool {
        let first = checked.looks.len().saturating_sub(self.group.len());
        let mut sound = true;
        let mut tiles = Vec::new();
        // Whether the row before, if it is in the batch, is odd.
        let mut after_odd = first.checked_sub(1).and_then(|last| checked.looks.get(last)) == Some(&Look::Odd);
        for (index, hashed) in (first..).zip(self.group.hash()) {
            let Checked { looks, ends, leaves, .. } = checked;
            let (Some(look), Some(ends), Some(leaf)) =
                (looks.get_mut(index), ends.get_mut(index), leaves.get_mut(index))
            else {
                break;
            };
            if *look == Look::Odd || !hashed.payload_is_right || ends.hash != *hashed.hash {
                (*look, *ends, sound, after_odd) = (Look::Odd, Ends::default(), false, true);
                continue;
            }
            if after_odd && *look == Look::Smooth {
                *look = Look::Plain;
            }
            after_odd = false;
            *leaf = merkle::leaf_hash(hashed.canonical);
            if ends.position % TILE_WIDTH as u64 == TILE_WIDTH as u64 - 1 {
                tiles.extend(index.checked_sub(TILE_WIDTH - 1).map(|start| start..=index));
            }
        }
        self.group.clear();
        for rows in tiles {
            if let Some([Look::Plain | Look::Smooth, rest @ ..]) = checked.looks.get(rows.clone())
                && rest.iter().all(|look| *look == Look::Smooth)
                && let Some(leaves) = checked.leaves.get(rows.clone())
            {
                let tile = self.tile(leaves);
                checked.tiles.push((*rows.start(), tile));
            }
        }
        sound
    }

    fn tile(&mut self, leaves: &[Digest]) -> HashedTile {
        self.level.clear();
        self.level.extend_from_slice(leaves);
        HashedTile { root: merkle::reduce(&mut self.level), content: content_of(leaves.as_flattened()) }
    }

    /// Replaces what the tile rows of a batch will be compared by: BLAKE3 of the column `hashes`, as `leaves`.
    pub(crate) fn tiles(batch: &mut Batch) {
        let mut checked = std::mem::take(&mut batch.checked);
        checked.clear();
        checked.leaves.extend(batch.rows::<4>().map(|[.., hashes]| match hashes {
            Cell::Blob(bytes) => content_of(bytes),
            _ => Digest::default(),
        }));
        batch.checked = checked;
    }
}

/// What a stored tile's hashes are compared by.
pub(crate) fn content_of(hashes: &[u8]) -> Digest {
    *blake3::hash(hashes).as_bytes()
}

#[cfg(test)]
mod tests {
    use daybook_ledger::canonical::CanonicalFields;

    use super::*;

    const ROWS: u64 = 2_048;

    /// What is changed in a row after it was hashed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Change {
        Payload,
        Metadata,
        Hash,
        NoPayload,
        WrongType,
    }

    fn changed(position: u64) -> Option<Change> {
        // The tiles from 512 and from 1,280 stay as they are; neighbours are changed, and both ends of groups.
        match position {
            5 | 127 | 1_100 => Some(Change::Payload),
            6 | 128 | 1_790 => Some(Change::Metadata),
            40 | 383 => Some(Change::Hash),
            41 | 768 => Some(Change::NoPayload),
            300 | 1_024 => Some(Change::WrongType),
            _ => None,
        }
    }

    /// Checks rows of payloads and metadata of every length up to a few chunks. Returns what was found, and the leaves.
    fn checked() -> (Checked, Vec<Digest>) {
        let key = LedgerKey::of(Cell::Text(b"main"));
        let mut batch = Batch::default();
        let mut leaves = Vec::new();
        let mut previous = [9; 32];
        for position in 0..ROWS {
            let length = |factor: u64, most: u64| usize::try_from(position * factor % most).unwrap();
            let mut payload = vec![b'p'; length(37, 2_600)];
            let mut metadata = vec![b'm'; length(11, 1_300)];
            let (payload_digest, metadata_digest) = (blake3::hash(&payload), blake3::hash(&metadata));
            let stream_id = "s".repeat(length(7, 190));
            let mut canonical = Vec::new();
            CanonicalFields {
                ledger_id: "main",
                position,
                event_id: &[1; 16],
                stream_type: "transaction",
                stream_id: &stream_id,
                version: 1,
                event_type: "transaction.recorded",
                schema_version: 1,
                recorded_at: 7,
                actor_kind: "human",
                actor_id: "a",
                metadata_digest: metadata_digest.as_bytes(),
                payload_digest: payload_digest.as_bytes(),
                previous_hash: &previous,
            }
            .write(&mut canonical);
            let mut hash = *blake3::hash(&canonical).as_bytes();
            let before = std::mem::replace(&mut previous, hash);
            leaves.push(merkle::leaf_hash(&canonical));
            let change = changed(position);
            match change {
                Some(Change::Payload) => payload.push(b'x'),
                Some(Change::Metadata) => metadata.push(b'x'),
                Some(Change::Hash) => hash[31] ^= 1,
                _ => {}
            }
            let position = Cell::Integer(i64::try_from(position).unwrap());
            let cells = [
                Cell::Text(b"main"),
                position,
                Cell::Blob(&[1; 16]),
                Cell::Text(b"transaction"),
                Cell::Text(stream_id.as_bytes()),
                Cell::Integer(1),
                Cell::Text(b"transaction.recorded"),
                Cell::Integer(1),
                if change == Some(Change::WrongType) { Cell::Text(b"7") } else { Cell::Integer(7) },
                Cell::Text(b"human"),
                Cell::Text(b"a"),
                Cell::Blob(&metadata),
                if change == Some(Change::NoPayload) { Cell::Null } else { Cell::Blob(&payload) },
                Cell::Blob(payload_digest.as_bytes()),
                Cell::Blob(&before),
                Cell::Blob(&hash),
            ];
            batch.push(&cells).unwrap();
        }
        let mut hashing = Hashing::new(StreamNames::default());
        hashing.entries(&key, &mut batch);
        (std::mem::take(&mut batch.checked), leaves)
    }

    #[test]
    fn rows_hashed_together_are_each_judged_on_their_own() {
        let (checked, leaves) = checked();
        let lengths = [checked.looks.len(), checked.ends.len(), checked.leaves.len(), checked.records.len()];
        assert_eq!(lengths, [usize::try_from(ROWS).unwrap(); 4]);
        for (position, look) in (0..).zip(&checked.looks) {
            let after = position == 0 || changed(position - 1).is_some();
            let expected = match changed(position) {
                Some(_) => Look::Odd,
                None if after => Look::Plain,
                None => Look::Smooth,
            };
            assert_eq!(*look, expected, "row {position}");
            let index = usize::try_from(position).unwrap();
            let leaf = if expected == Look::Odd { Digest::default() } else { leaves[index] };
            assert_eq!(checked.leaves[index], leaf, "row {position}");
        }
    }

    #[test]
    fn tiles_are_made_where_every_row_of_theirs_goes_on_from_the_one_before() {
        let (checked, leaves) = checked();
        let starts: Vec<usize> = checked.tiles.iter().map(|(start, _)| *start).collect();
        assert_eq!(starts, [512, 1_280, 1_792]);
        for (start, tile) in &checked.tiles {
            let leaves = &leaves[*start..start + TILE_WIDTH];
            let root = merkle::reduce(&mut leaves.to_vec());
            assert_eq!(*tile, HashedTile { root, content: content_of(leaves.as_flattened()) });
        }
    }
}
