//! An entry of the ledger as JSON: every column, and the payload and metadata as the very bytes that were hashed.

use daybook_ledger::Entry;
use daybook_ledger::keys::time::rfc3339;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// One entry. `payload` and `metadata` are the stored JSON, byte for byte: their BLAKE3 is what the entry's hash covers.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryView {
    /// The ledger it belongs to.
    #[schema(example = "main")]
    ledger_id: String,
    /// 0-based place in the ledger, gapless.
    #[schema(example = 41)]
    position: u64,
    /// UUIDv7 of the event.
    #[schema(example = "0193f3a1-7c00-7000-8000-000000000001")]
    event_id: String,
    /// Type of the stream, `transaction` or `incident`.
    #[schema(example = "transaction")]
    stream_type: String,
    /// Id of the aggregate.
    #[schema(example = "TX-1001")]
    stream_id: String,
    /// 1-based place in the stream, gapless.
    #[schema(example = 1)]
    version: u64,
    /// What happened.
    #[schema(example = "transaction.recorded")]
    event_type: String,
    /// Version of the payload's schema.
    #[schema(example = 1)]
    schema_version: u64,
    /// When it was recorded, RFC 3339 UTC.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    recorded_at: String,
    /// The same in microseconds since 1970-01-01T00:00:00Z, as it is hashed.
    #[schema(example = 1_795_255_200_000_000_i64)]
    recorded_at_us: i64,
    /// `human`, `agent` or `system`.
    #[schema(example = "human")]
    actor_kind: &'static str,
    /// Opaque id of who acted.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    actor_id: String,
    /// The stored metadata.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Box<RawValue>>,
    /// The stored metadata as text, where it cannot stand in a line as it is; `metadata` is null then.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata_text: Option<String>,
    /// The stored payload, null where it was pruned.
    #[schema(value_type = Option<Object>)]
    payload: Option<Box<RawValue>>,
    /// The stored payload as text, where it cannot stand in a line as it is; `payload` is null then.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_text: Option<String>,
    /// BLAKE3 of the stored payload, hexadecimal.
    payload_digest: String,
    /// Hash of the entry before, hexadecimal.
    previous_hash: String,
    /// BLAKE3 of the entry's canonical bytes, hexadecimal.
    hash: String,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        let (metadata, metadata_text) = exact(Some(entry.metadata));
        let (payload, payload_text) = exact(entry.payload);
        Self {
            ledger_id: entry.ledger_id.to_string(),
            position: entry.position,
            event_id: entry.event_id.to_string(),
            stream_type: entry.stream.stream_type,
            stream_id: entry.stream.stream_id,
            version: entry.version,
            event_type: entry.event_type,
            schema_version: entry.schema_version,
            recorded_at: rfc3339(entry.recorded_at),
            recorded_at_us: entry.recorded_at,
            actor_kind: entry.actor.kind.as_str(),
            actor_id: entry.actor.id,
            metadata,
            metadata_text,
            payload,
            payload_text,
            payload_digest: entry.payload_digest.to_string(),
            previous_hash: entry.previous_hash.to_string(),
            hash: entry.hash.to_string(),
        }
    }
}

/// The text as embedded JSON where that keeps every byte, else as text.
///
/// What breaks a line (white space between tokens), what embedding would trim, and what is not JSON at all (a store that
/// somebody has written into) must still reach whoever verifies it.
fn exact(text: Option<String>) -> (Option<Box<RawValue>>, Option<String>) {
    let Some(text) = text else { return (None, None) };
    if text.contains(['\n', '\r']) || text.trim().len() != text.len() {
        return (None, Some(text));
    }
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(raw) => (Some(raw.to_owned()), None),
        Err(_) => (None, Some(text)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn stored_json_keeps_its_bytes() {
        let stored = r#"{"nonce":"00","b":1.50,"a": "x\u0041"}"#;
        let (raw, text) = exact(Some(stored.to_owned()));
        assert_eq!((raw.unwrap().get(), text), (stored, None));
    }

    #[test]
    fn what_cannot_stand_in_a_line_comes_as_text() {
        for stored in ["{\n}", " {}", "{}\t", "not json", "{", ""] {
            let (raw, text) = exact(Some(stored.to_owned()));
            assert!(raw.is_none(), "{stored:?}");
            assert_eq!(text.as_deref(), Some(stored));
        }
    }

    #[test]
    fn pruned_payload_is_null() {
        assert!(matches!(exact(None), (None, None)));
    }
}
