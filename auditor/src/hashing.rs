//! What the hashing threads do with a batch: every digest of every row, and which rows simply go on from the one before.
//!
//! A row is *plain* when each of its columns is what it should be, and its hash and the digest of its payload are right.
//! It is *smooth* when it and the row before it in the batch are plain, it has the position after that one's, its
//! `previous_hash` is that one's hash, and its time is not before that one's. Whoever judges the ledger takes a plain row
//! and the smooth ones after it in one step, and looks at every other row itself.

use daybook_ledger::canonical::CanonicalFields;

use crate::batch::Batch;
use crate::cell::{Cell, Digest, Fields, LedgerKey, Problems, fields_of};
use crate::merkle::{self, TILE_WIDTH};
use crate::own_entries;
use crate::streams::{Record, StreamNames};

/// What a row looks like on its own and beside the row before it in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Something is wrong with it.
    Odd,
    /// Plain, and an entry that the ledger wrote about itself: what it says is to be looked at.
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
}

impl Checked {
    pub(crate) fn clear(&mut self) {
        self.looks.clear();
        self.ends.clear();
        self.leaves.clear();
        self.records.clear();
        self.tiles.clear();
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
    canonical: Vec<u8>,
    level: Vec<Digest>,
}

/// What a row is linked by.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ends {
    pub(crate) position: u64,
    pub(crate) previous_hash: Digest,
    pub(crate) hash: Digest,
    pub(crate) recorded_at: u64,
}

/// What the next row of a batch is looked at beside.
#[derive(Debug, Default)]
struct Before {
    /// The row before, where that is plain.
    ends: Option<Ends>,
    /// The row of the batch with which a tile starts, while its rows are smooth.
    tile_start: Option<usize>,
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
    before: Before,
}

impl Checking<'_> {
    /// Checks the next row. False where something is wrong with it, or the batch has no place for it.
    pub(crate) fn row(&mut self, cells: &[Cell<'_>; 16]) -> bool {
        match self.hashing.row(self.key, cells, &mut self.before, &mut self.batch.checked) {
            Look::Odd => false,
            Look::Smooth => true,
            Look::Own | Look::Plain => {
                let index = self.batch.checked.looks.len() - 1;
                self.batch.pick(index, cells)
            }
        }
    }

    /// Number of rows so far.
    pub(crate) fn rows(&self) -> u64 {
        self.batch.checked.looks.len() as u64
    }
}

impl Hashing {
    pub(crate) fn new(names: StreamNames) -> Self {
        Self { names, canonical: Vec::with_capacity(1_024), level: Vec::with_capacity(TILE_WIDTH) }
    }

    /// Checks the entries of a batch, all of them of one ledger.
    pub(crate) fn entries(&mut self, key: &LedgerKey, batch: &mut Batch) {
        let mut checked = std::mem::take(&mut batch.checked);
        checked.clear();
        let mut before = Before::default();
        for cells in batch.rows::<16>() {
            self.row(key, &cells, &mut before, &mut checked);
        }
        batch.checked = checked;
    }

    /// Has a stretch of rows read and checked, all of them of one ledger, into an empty batch.
    pub(crate) fn read(&mut self, key: &LedgerKey, rows: &dyn Rows, stretch: u64, batch: &mut Batch) {
        batch.hold_picked();
        rows.read(stretch, Checking { hashing: self, key, batch, before: Before::default() });
    }

    /// Checks the next row of a batch.
    fn row(&mut self, key: &LedgerKey, cells: &[Cell<'_>; 16], before: &mut Before, checked: &mut Checked) -> Look {
        let index = checked.looks.len();
        let mut problems = Problems::default();
        let fields = fields_of(cells, &mut problems);
        let record = fields
            .as_ref()
            .map(|fields| self.names.record(fields.stream_type, fields.stream_id, fields.position, fields.version));
        checked.records.push(record.unwrap_or_default());
        let plain = fields.filter(|fields| self.is_plain(key, fields, &mut problems) && problems.is_empty());
        let Some(fields) = plain else {
            checked.looks.push(Look::Odd);
            checked.ends.push(Ends::default());
            checked.leaves.push(Digest::default());
            *before = Before::default();
            return Look::Odd;
        };
        checked.leaves.push(merkle::leaf_hash(&self.canonical));
        let goes_on = before.ends.as_ref().is_some_and(|before| {
            before.position.checked_add(1) == Some(fields.position)
                && before.hash == *fields.previous_hash
                && before.recorded_at <= fields.recorded_at
        });
        let look = match (own_entries::is_own(fields.stream_type), goes_on) {
            (true, _) => Look::Own,
            (false, true) => Look::Smooth,
            (false, false) => Look::Plain,
        };
        checked.looks.push(look);
        let ends = Ends {
            position: fields.position,
            previous_hash: *fields.previous_hash,
            hash: *fields.hash,
            recorded_at: fields.recorded_at,
        };
        checked.ends.push(ends);
        before.ends = Some(ends);
        match fields.position % TILE_WIDTH as u64 {
            0 => before.tile_start = (look != Look::Own).then_some(index),
            _ if look != Look::Smooth => before.tile_start = None,
            255 => {
                if let Some(start) = before.tile_start
                    && let Some(leaves) = checked.leaves.get(start..=index)
                {
                    let tile = self.tile(leaves);
                    checked.tiles.push((start, tile));
                }
            }
            _ => {}
        }
        look
    }

    /// Whether hash and payload digest of a row are right. Leaves its canonical bytes in the buffer.
    fn is_plain(&mut self, key: &LedgerKey, fields: &Fields<'_>, problems: &mut Problems) -> bool {
        fields.check(problems);
        if !key.matches(Cell::Text(fields.ledger_id.as_bytes())) {
            return false;
        }
        let metadata_digest = blake3::hash(fields.metadata);
        canonical_fields(fields, metadata_digest.as_bytes()).write(&mut self.canonical);
        fields.payload.is_some_and(|payload| blake3::hash(payload) == *fields.payload_digest)
            && blake3::hash(&self.canonical) == *fields.hash
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

/// The canonical fields of a row.
pub(crate) fn canonical_fields<'a>(fields: &Fields<'a>, metadata_digest: &'a Digest) -> CanonicalFields<'a> {
    CanonicalFields {
        ledger_id: fields.ledger_id,
        position: fields.position,
        event_id: fields.event_id,
        stream_type: fields.stream_type,
        stream_id: fields.stream_id,
        version: fields.version,
        event_type: fields.event_type,
        schema_version: fields.schema_version,
        recorded_at: fields.recorded_at,
        actor_kind: fields.actor_kind,
        actor_id: fields.actor_id,
        metadata_digest,
        payload_digest: fields.payload_digest,
        previous_hash: fields.previous_hash,
    }
}
