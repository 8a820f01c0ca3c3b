//! The catalogue of events, and how a stored payload becomes one again.
//!
//! Every reader of the ledger that wants to know what an entry means starts here. Unknown fields of a payload (the
//! ledger's own `nonce`) are passed over; unknown events are an error that names them.

use serde::de::DeserializeOwned;

use crate::custody::{LEDGER_KEYS_STREAM, LEDGER_STREAM, LedgerEvent, SigningKeyEvent};
use crate::incident::IncidentEvent;
use crate::transaction::TransactionEvent;

/// The schema version that this code writes, of every event.
pub const SCHEMA_VERSION: u64 = 1;

/// The stream types of this crate: one an aggregate, and those in which a ledger speaks of itself.
pub const STREAM_TYPES: &[&str] = &["transaction", "incident", LEDGER_STREAM, LEDGER_KEYS_STREAM];

/// Any event of this crate.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyEvent {
    /// Of a transaction's stream.
    Transaction(TransactionEvent),
    /// Of an incident's stream.
    Incident(IncidentEvent),
    /// Of the ledger's own stream.
    Ledger(LedgerEvent),
    /// Of the stream of the ledger's signing keys.
    SigningKey(SigningKeyEvent),
}

impl AnyEvent {
    /// The wire name, `transaction.recorded`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Transaction(event) => event.name(),
            Self::Incident(event) => event.name(),
            Self::Ledger(event) => event.name(),
            Self::SigningKey(event) => event.name(),
        }
    }
}

/// Why a stored payload is not an event of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not a stream type of this crate.
    #[error("unknown stream type {stream_type}")]
    UnknownStreamType {
        /// The type.
        stream_type: String,
    },
    /// The stream type has no such event.
    #[error("unknown event {event_type} in a stream of type {stream_type}")]
    UnknownEvent {
        /// The stream's type.
        stream_type: String,
        /// The event's type.
        event_type: String,
    },
    /// The event is known, but not this version of it.
    #[error("unknown schema version {schema_version} of {event_type}")]
    UnknownSchemaVersion {
        /// The event's type.
        event_type: String,
        /// The version.
        schema_version: u64,
    },
    /// The payload does not have the shape of the event.
    #[error("malformed payload of {event_type}: {detail}")]
    Malformed {
        /// The event's type.
        event_type: String,
        /// What is wrong with it. May quote the payload: not for logs.
        detail: String,
    },
}

/// One kind of event, for documentation and checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventDescription {
    /// The type of the streams it occurs in.
    pub stream_type: &'static str,
    /// Its wire name.
    pub event_type: &'static str,
    /// The schema version that is written.
    pub schema_version: u64,
    /// What it means, in one line.
    pub meaning: &'static str,
    /// A payload of it, as JSON.
    pub example: &'static str,
}

/// Reads the payload of an entry, as its columns describe it.
pub fn decode(
    stream_type: &str,
    event_type: &str,
    schema_version: u64,
    payload: &str,
) -> Result<AnyEvent, DecodeError> {
    if !STREAM_TYPES.contains(&stream_type) {
        return Err(DecodeError::UnknownStreamType { stream_type: stream_type.to_owned() });
    }
    let known = |event: &&EventDescription| event.stream_type == stream_type && event.event_type == event_type;
    let Some(event) = CATALOGUE.iter().find(known) else {
        return Err(DecodeError::UnknownEvent {
            stream_type: stream_type.to_owned(),
            event_type: event_type.to_owned(),
        });
    };
    if event.schema_version != schema_version {
        return Err(DecodeError::UnknownSchemaVersion { event_type: event_type.to_owned(), schema_version });
    }
    match stream_type {
        "transaction" => decode_tagged(event.event_type, payload).map(AnyEvent::Transaction),
        LEDGER_STREAM => decode_tagged(event.event_type, payload).map(AnyEvent::Ledger),
        LEDGER_KEYS_STREAM => decode_tagged(event.event_type, payload).map(AnyEvent::SigningKey),
        _ => decode_tagged(event.event_type, payload).map(AnyEvent::Incident),
    }
}

/// Puts the type beside the payload, as the events' enums expect it. The type comes from the catalogue, so it needs no
/// escaping.
fn decode_tagged<E: DeserializeOwned>(event_type: &'static str, payload: &str) -> Result<E, DecodeError> {
    let tagged = format!(r#"{{"event_type":"{event_type}","payload":{payload}}}"#);
    serde_json::from_str(&tagged)
        .map_err(|error| DecodeError::Malformed { event_type: event_type.to_owned(), detail: error.to_string() })
}

/// Every event this crate writes.
pub fn catalogue() -> &'static [EventDescription] {
    CATALOGUE
}

macro_rules! describe {
    ($stream_type:literal, $event_type:literal, $meaning:literal, $example:literal) => {
        EventDescription {
            stream_type: $stream_type,
            event_type: $event_type,
            schema_version: SCHEMA_VERSION,
            meaning: $meaning,
            example: $example,
        }
    };
}

const CATALOGUE: &[EventDescription] = &[
    describe!(
        "transaction",
        "transaction.recorded",
        "A transaction that happened elsewhere entered the ledger, with the content its source states.",
        r#"{"transaction_id":"tx-1001","amount":"1234.50","currency":"USD","timestamp":"2026-11-21T10:00:00.000000Z","timestamp_source":"client","status":"pending","account":"ACC-7","counterparty":"Acme Ltd","transaction_type":"wire","meta":{"branch":"Leeds"},"source":"api"}"#
    ),
    describe!(
        "transaction",
        "transaction.status_changed",
        "A pending transaction was completed, failed or was reversed.",
        r#"{"from":"pending","to":"completed","reason":"Settled by the clearing house"}"#
    ),
    describe!(
        "transaction",
        "transaction.corrected",
        "Recorded fields were corrected; the old values stand beside the new ones.",
        r#"{"changes":[{"field":"amount","old":"1234.50","new":"1243.50"},{"field":"account","old":"ACC-7","new":null}],"reason":"Digits were swapped at entry"}"#
    ),
    describe!(
        "transaction",
        "transaction.note_added",
        "Somebody added a note to a transaction.",
        r#"{"note_id":"note_1","text":"Confirmed by telephone."}"#
    ),
    describe!(
        "incident",
        "incident.opened",
        "A person, a rule or a model noticed something that has to be handled.",
        r#"{"incident_id":"inc_1","title":"Order stuck for 7 minutes","description":"No fill since 10:00.","severity":"high","priority":2,"incident_type":"stuck_order","desk":"rates","trader":"t-17","recommended_action":"Cancel and resend.","source_event_id":"order-5","last_event_timestamp":"2026-11-21T10:00:00.000000Z","source":"api","detection_method":"rule","rule":{"name":"stuck_order","version":1},"meta":{"venue":"XLON"}}"#
    ),
    describe!(
        "incident",
        "incident.acknowledged",
        "Somebody took notice of an open incident.",
        r#"{"from":"open","note":"Looking at it after the call."}"#
    ),
    describe!(
        "incident",
        "incident.investigation_started",
        "Somebody started to look into an incident.",
        r#"{"from":"acknowledged"}"#
    ),
    describe!(
        "incident",
        "incident.resolved",
        "The cause of an incident was dealt with.",
        r#"{"from":"investigating","resolution":"Order was resent.","root_cause":"The gateway lost its session."}"#
    ),
    describe!("incident", "incident.closed", "A resolved incident was finished.", r#"{"from":"resolved"}"#),
    describe!(
        "incident",
        "incident.reopened",
        "A resolved or closed incident was opened again.",
        r#"{"from":"closed","reason":"It happened again."}"#
    ),
    describe!(
        "incident",
        "incident.assigned",
        "An incident was given to somebody, or taken from whoever had it.",
        r#"{"from":null,"to":"usr_5"}"#
    ),
    describe!(
        "incident",
        "incident.escalated",
        "The escalation level of an incident rose by one.",
        r#"{"level":1,"reason":"No answer for an hour","to":"usr_9"}"#
    ),
    describe!(
        "incident",
        "incident.commented",
        "Somebody commented on an incident.",
        r#"{"comment_id":"cmt_1","text":"The venue confirms the outage."}"#
    ),
    describe!(
        "incident",
        "incident.severity_changed",
        "An incident turned out to be more or less severe.",
        r#"{"from":"high","to":"critical","reason":"A second desk is concerned"}"#
    ),
    describe!("incident", "incident.priority_changed", "The turn of an incident changed.", r#"{"from":2,"to":1}"#),
    describe!(
        "incident",
        "incident.details_changed",
        "What is known about an incident changed; the old values stand beside the new ones.",
        r#"{"changes":[{"field":"desk","old":"rates","new":"credit"},{"field":"root_cause","old":null,"new":"Session loss"}]}"#
    ),
    describe!(
        "ledger",
        "ledger.sealed",
        "The ledger bound everything before this entry into its tree: the checkpoint that follows covers the chain as well.",
        r#"{"size":41,"hash":"5e2c51c35cd3f0b6f4f5a2bb1ad21a36b1a4a9b1f3ce7e3f3e52f1c9a0a4c9d1","root":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}"#
    ),
    describe!(
        "ledger",
        "ledger.anchored",
        "A time-stamping authority attested a checkpoint: it was there at that time at the latest.",
        r#"{"size":42,"root":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","checkpoint":"daybook.local/main\n42\nLXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=\n\n— daybook.local/main 0v4NcDBFAiEA\n","tsa":"https://tsa.example","generated_at":"2026-11-21T10:00:00.000000Z","token":"MIIBAAYJKoZIhvcNAQcC"}"#
    ),
    describe!(
        "ledger_keys",
        "signing_key.activated",
        "A key began to sign checkpoints.",
        r#"{"key_id":"d2fe0d70","name":"daybook.local/main","algorithm":"ecdsa-p256-sha256","verifier_key":"daybook.local/main+d2fe0d70+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU=","activated_at":"2026-11-21T10:00:00.000000Z"}"#
    ),
    describe!(
        "ledger_keys",
        "signing_key.retired",
        "A key ceased to sign checkpoints; it goes on verifying those that it signed.",
        r#"{"key_id":"d2fe0d70","name":"daybook.local/main","retired_at":"2026-12-01T10:00:00.000000Z"}"#
    ),
];

#[cfg(test)]
mod tests;
