//! What the hashing threads do with a batch: every digest of every row, and which rows simply go on from the one before.
//!
//! A row is *plain* when each of its columns is what it should be, and its hash and the digest of its payload are right.
//! It is *smooth* when it and the row before it in the batch are plain, it has the position after that one's, its
//! `previous_hash` is that one's hash, and its time is not before that one's. Whoever judges the ledger takes a plain row
//! and the smooth ones after it in one step, and looks at every other row itself.

use daybook_ledger::canonical::CanonicalFields;

use crate::batch::Batch;
use crate::cell::{Cell, Digest, EntryRow, Fields, LedgerKey, Problems};
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

/// The end of a plain row that the next one goes on from.
#[derive(Debug, Clone, Copy)]
struct End {
    position: u64,
    hash: Digest,
    recorded_at: u64,
}

impl Hashing {
    pub(crate) fn new(names: StreamNames) -> Self {
        Self { names, canonical: Vec::with_capacity(1_024), level: Vec::with_capacity(TILE_WIDTH) }
    }

    /// Checks the entries of a batch, all of them of one ledger.
    pub(crate) fn entries(&mut self, key: &LedgerKey, batch: &mut Batch) {
        let mut checked = std::mem::take(&mut batch.checked);
        checked.clear();
        let mut before: Option<End> = None;
        // The row of the batch with which a tile starts, while its rows are smooth.
        let mut tile_start = None;
        for (index, cells) in batch.rows::<16>().enumerate() {
            let mut problems = Problems::default();
            let fields = EntryRow(cells).fields(&mut problems);
            let record = fields
                .map(|fields| self.names.record(fields.stream_type, fields.stream_id, fields.position, fields.version));
            checked.records.push(record.unwrap_or_default());
            let plain = fields.filter(|fields| self.is_plain(key, fields, &mut problems) && problems.is_empty());
            let Some(fields) = plain else {
                checked.looks.push(Look::Odd);
                checked.leaves.push(Digest::default());
                (before, tile_start) = (None, None);
                continue;
            };
            checked.leaves.push(merkle::leaf_hash(&self.canonical));
            let goes_on = before.is_some_and(|before| {
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
            before = Some(End { position: fields.position, hash: *fields.hash, recorded_at: fields.recorded_at });
            match fields.position % TILE_WIDTH as u64 {
                0 => tile_start = (look != Look::Own).then_some(index),
                _ if look != Look::Smooth => tile_start = None,
                255 => {
                    if let Some(start) = tile_start
                        && let Some(leaves) = checked.leaves.get(start..=index)
                    {
                        let tile = self.tile(leaves);
                        checked.tiles.push((start, tile));
                    }
                }
                _ => {}
            }
        }
        batch.checked = checked;
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
