//! Canonical bytes, version 1: the bytes an entry's hash is taken over.
//!
//! This is the one piece of code that the writer and the verifier share. It only lays out bytes and hashes them; it reads
//! no store. The layout is specified in `docs/ledger-format.md`, with test vectors in `docs/ledger-vectors.json`.

use crate::entry::{Entry, Hash, LedgerId};

/// First bytes of every canonical encoding.
pub const ENTRY_TAG: &[u8; 17] = b"daybook-entry-v1\n";
/// First bytes of what the genesis hash is taken over.
pub const GENESIS_TAG: &[u8; 19] = b"daybook-genesis-v1\n";

/// The fields of an entry, borrowed, so that the verifier can hash rows without copying them.
#[derive(Debug, Clone, Copy)]
pub struct CanonicalFields<'a> {
    /// `ledger_id`.
    pub ledger_id: &'a str,
    /// `position`.
    pub position: u64,
    /// `event_id`.
    pub event_id: &'a [u8; 16],
    /// `stream_type`.
    pub stream_type: &'a str,
    /// `stream_id`.
    pub stream_id: &'a str,
    /// `version`.
    pub version: u64,
    /// `event_type`.
    pub event_type: &'a str,
    /// `schema_version`.
    pub schema_version: u64,
    /// `recorded_at`.
    pub recorded_at: u64,
    /// `actor_kind`.
    pub actor_kind: &'a str,
    /// `actor_id`.
    pub actor_id: &'a str,
    /// BLAKE3 of the metadata bytes.
    pub metadata_digest: &'a [u8; 32],
    /// BLAKE3 of the payload bytes.
    pub payload_digest: &'a [u8; 32],
    /// Hash of the entry before.
    pub previous_hash: &'a [u8; 32],
}

impl CanonicalFields<'_> {
    /// Writes the canonical bytes into `buffer`, which is cleared first so that it can be used again.
    pub fn write(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.extend_from_slice(ENTRY_TAG);
        field(buffer, self.ledger_id);
        number(buffer, self.position);
        buffer.extend_from_slice(self.event_id);
        field(buffer, self.stream_type);
        field(buffer, self.stream_id);
        number(buffer, self.version);
        field(buffer, self.event_type);
        number(buffer, self.schema_version);
        number(buffer, self.recorded_at);
        field(buffer, self.actor_kind);
        field(buffer, self.actor_id);
        buffer.extend_from_slice(self.metadata_digest);
        buffer.extend_from_slice(self.payload_digest);
        buffer.extend_from_slice(self.previous_hash);
    }
}

/// `u32` little-endian byte length, then the bytes. Lengths are bounded far below 2³² wherever a field enters.
fn field(buffer: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(text.as_bytes());
}

fn number(buffer: &mut Vec<u8>, value: u64) {
    buffer.extend_from_slice(&value.to_le_bytes());
}

/// BLAKE3 of bytes: payload digests, metadata digests and entry hashes.
pub fn digest(bytes: &[u8]) -> Hash {
    blake3::hash(bytes).into()
}

/// `previous_hash` of position 0.
pub fn genesis(ledger_id: &LedgerId) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(GENESIS_TAG);
    hasher.update(ledger_id.as_str().as_bytes());
    hasher.finalize().into()
}

/// Canonical bytes of a stored entry, from its columns.
pub fn canonical_bytes(entry: &Entry) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(512);
    CanonicalFields {
        ledger_id: entry.ledger_id.as_str(),
        position: entry.position,
        event_id: entry.event_id.as_bytes(),
        stream_type: &entry.stream.stream_type,
        stream_id: &entry.stream.stream_id,
        version: entry.version,
        event_type: &entry.event_type,
        schema_version: entry.schema_version,
        recorded_at: entry.recorded_at.cast_unsigned(),
        actor_kind: entry.actor.kind.as_str(),
        actor_id: &entry.actor.id,
        metadata_digest: digest(entry.metadata.as_bytes()).as_bytes(),
        payload_digest: entry.payload_digest.as_bytes(),
        previous_hash: entry.previous_hash.as_bytes(),
    }
    .write(&mut buffer);
    buffer
}
