//! What an entry's canonical bytes say, read back: for a proof file, whose bytes come from whoever hands it over.

use daybook_ledger::canonical::{CanonicalFields, ENTRY_TAG};
use serde::Serialize;

use crate::cell::Digest;

/// The fields of an entry, out of its canonical bytes. Payload and metadata are there as digests only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryFacts {
    /// The ledger's id.
    pub ledger_id: String,
    /// Place in the ledger, from 0.
    pub position: u64,
    /// UUIDv7, 32 hexadecimal digits.
    #[serde(serialize_with = "hex_text")]
    pub event_id: [u8; 16],
    /// Type of the stream.
    pub stream_type: String,
    /// Id of the stream.
    pub stream_id: String,
    /// Place in the stream, from 1.
    pub version: u64,
    /// What happened.
    pub event_type: String,
    /// Version of the payload's shape.
    pub schema_version: u64,
    /// Microseconds since 1970-01-01T00:00:00Z, by the server's clock.
    pub recorded_at: u64,
    /// `human`, `agent` or `system`.
    pub actor_kind: String,
    /// Who.
    pub actor_id: String,
    /// BLAKE3 of the metadata.
    #[serde(serialize_with = "hex_text")]
    pub metadata_digest: Digest,
    /// BLAKE3 of the payload.
    #[serde(serialize_with = "hex_text")]
    pub payload_digest: Digest,
    /// Hash of the entry before.
    #[serde(serialize_with = "hex_text")]
    pub previous_hash: Digest,
}

impl EntryFacts {
    /// Reads canonical bytes, version 1. None where they are not exactly such bytes.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader(bytes.strip_prefix(ENTRY_TAG.as_slice())?);
        let facts = Self {
            ledger_id: rest.text()?,
            position: rest.number()?,
            event_id: rest.exact()?,
            stream_type: rest.text()?,
            stream_id: rest.text()?,
            version: rest.number()?,
            event_type: rest.text()?,
            schema_version: rest.number()?,
            recorded_at: rest.number()?,
            actor_kind: rest.text()?,
            actor_id: rest.text()?,
            metadata_digest: rest.exact()?,
            payload_digest: rest.exact()?,
            previous_hash: rest.exact()?,
        };
        rest.0.is_empty().then_some(facts)
    }

    /// The canonical bytes again.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(512);
        CanonicalFields {
            ledger_id: &self.ledger_id,
            position: self.position,
            event_id: &self.event_id,
            stream_type: &self.stream_type,
            stream_id: &self.stream_id,
            version: self.version,
            event_type: &self.event_type,
            schema_version: self.schema_version,
            recorded_at: self.recorded_at,
            actor_kind: &self.actor_kind,
            actor_id: &self.actor_id,
            metadata_digest: &self.metadata_digest,
            payload_digest: &self.payload_digest,
            previous_hash: &self.previous_hash,
        }
        .write(&mut buffer);
        buffer
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn exact<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        self.exact().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(u32::from_le_bytes(self.exact()?)).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok().map(str::to_owned)
    }
}

fn hex_text<const N: usize, S: serde::Serializer>(bytes: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}
