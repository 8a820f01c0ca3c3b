//! Rows that wait to be hashed together: what is hashed of each is kept, until there are enough of them to fill the
//! lanes of the processor's vector registers. See [`crate::side_by_side`].

use daybook_ledger::canonical::CanonicalFields;

use crate::cell::{Digest, Fields};
use crate::side_by_side::{CHUNK_BYTES, SideBySide};

/// Rows of a group. Enough that rows of many lengths still fill lanes; few enough to stay in the processor's nearest cache
/// but one.
const FULL_ROWS: usize = 128;
/// A group is full at so many bytes, whatever the number of rows.
const FULL_BYTES: usize = 256 << 10;
/// Buffers that have grown beyond this, for one huge row, are not used again.
const KEPT_BYTES: usize = 1 << 20;
/// The same of one row's canonical bytes.
const KEPT_CANONICAL_BYTES: usize = 4 << 10;

/// Rows that wait, and the buffers that are used again for the next ones.
#[derive(Debug, Default)]
pub(crate) struct Group {
    rows: Vec<Waiting>,
    /// Metadata and payloads.
    bytes: Vec<u8>,
    /// Canonical bytes of each row, at least; empty where the row cannot be read. Until the group is hashed, zeros stand in
    /// the place of the metadata's digest.
    canonical: Vec<Vec<u8>>,
    canonical_bytes: usize,
    digests: Vec<Digest>,
    side_by_side: SideBySide,
}

/// A row that waits.
#[derive(Debug, Default)]
struct Waiting {
    metadata: Waits,
    payload: Waits,
    payload_is_right: bool,
}

/// Metadata or a payload.
#[derive(Debug)]
enum Waits {
    /// Short: kept in the group's buffer.
    Kept { start: usize, length: usize },
    /// Too long to be hashed beside others, so it was hashed at once.
    Hashed(Digest),
}

impl Default for Waits {
    fn default() -> Self {
        Self::Kept { start: 0, length: 0 }
    }
}

impl Waits {
    fn keep(bytes: &[u8], buffer: &mut Vec<u8>) -> Self {
        if bytes.len() > CHUNK_BYTES {
            return Self::Hashed(*blake3::hash(bytes).as_bytes());
        }
        let start = buffer.len();
        buffer.extend_from_slice(bytes);
        Self::Kept { start, length: bytes.len() }
    }

    /// What is still to be hashed.
    fn bytes<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        match *self {
            Self::Kept { start, length } => buffer.get(start..start + length).unwrap_or_default(),
            Self::Hashed(_) => &[],
        }
    }

    /// Its digest, given that of [`Waits::bytes`].
    fn digest<'a>(&'a self, of_bytes: &'a Digest) -> &'a Digest {
        match self {
            Self::Kept { .. } => of_bytes,
            Self::Hashed(digest) => digest,
        }
    }
}

/// A row whose hashes were computed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HashedRow<'a> {
    /// BLAKE3 of the canonical bytes: what the row's hash should be.
    pub(crate) hash: &'a Digest,
    pub(crate) canonical: &'a [u8],
    /// Whether the row has a payload whose digest is the one that the row states.
    pub(crate) payload_is_right: bool,
}

impl Group {
    /// Adds a row; none is one that cannot be read, and whose hashes will mean nothing.
    pub(crate) fn add(&mut self, fields: Option<&Fields<'_>>) {
        let index = self.rows.len();
        if self.canonical.len() == index {
            self.canonical.push(Vec::new());
        }
        let Some(canonical) = self.canonical.get_mut(index) else { return };
        canonical.clear();
        self.rows.push(match fields {
            None => Waiting::default(),
            Some(fields) => {
                canonical_fields(fields, &Digest::default()).write(canonical);
                self.canonical_bytes += canonical.len();
                Waiting {
                    metadata: Waits::keep(fields.metadata, &mut self.bytes),
                    payload: Waits::keep(fields.payload.unwrap_or_default(), &mut self.bytes),
                    payload_is_right: fields.payload.is_some(),
                }
            }
        });
    }

    /// Whether the rows should be hashed before the next one comes.
    pub(crate) fn is_full(&self) -> bool {
        self.rows.len() >= FULL_ROWS || self.bytes.len() + self.canonical_bytes > FULL_BYTES
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Hashes all rows, which are then to be looked at and cleared.
    pub(crate) fn hash(&mut self) -> impl Iterator<Item = HashedRow<'_>> {
        let short: Vec<&[u8]> = self
            .rows
            .iter()
            .flat_map(|row| [&row.metadata, &row.payload])
            .map(|some| some.bytes(&self.bytes))
            .collect();
        self.side_by_side.hash(&short, &mut self.digests);
        let (digests, _) = self.digests.as_chunks::<2>();
        for ((row, canonical), [metadata, payload]) in self.rows.iter_mut().zip(&mut self.canonical).zip(digests) {
            // Canonical bytes end with three digests: of the metadata, of the payload, of the entry before.
            if let Some((last, _)) = canonical.last_chunk_mut::<96>().map(|last| last.as_chunks_mut::<32>())
                && let [of_metadata, of_payload, _] = last
            {
                *of_metadata = *row.metadata.digest(metadata);
                row.payload_is_right &= row.payload.digest(payload) == of_payload;
            }
        }
        let canonical: Vec<&[u8]> = self.canonical.iter().take(self.rows.len()).map(Vec::as_slice).collect();
        self.side_by_side.hash(&canonical, &mut self.digests);
        self.rows.iter().zip(&self.canonical).zip(&self.digests).map(|((row, canonical), hash)| HashedRow {
            hash,
            canonical,
            payload_is_right: row.payload_is_right,
        })
    }

    /// Empties the group and keeps its memory, unless that is too much.
    pub(crate) fn clear(&mut self) {
        self.canonical
            .iter_mut()
            .take(self.rows.len())
            .filter(|canonical| canonical.capacity() > KEPT_CANONICAL_BYTES)
            .for_each(|canonical| *canonical = Vec::new());
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        self.rows.clear();
        self.bytes.clear();
        self.canonical_bytes = 0;
    }
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
