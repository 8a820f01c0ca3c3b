//! What is asked of the sequencer and what it answers, and the pure step between the two: [`place`].
//!
//! The stores call it for a head that they hold, or that they write on condition of, so order, versions, hashes and the
//! tree are decided by one function for all of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;

use uuid::Uuid;

use crate::canonical::{CanonicalFields, digest};
use crate::entry::{
    Actor, Hash, Head, InvalidValue, MAX_NAME_BYTES, MAX_PAYLOAD_BYTES, MAX_STREAM_ID_BYTES, Receipt, StreamKey,
    check_text,
};
use crate::merkle;

/// Most events one command may append.
pub const MAX_EVENTS_PER_COMMAND: usize = 256;

/// An event that has been decided but has no place in the ledger yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// UUIDv7, made when the command was decided.
    pub event_id: Uuid,
    /// For example `incident.opened`.
    pub event_type: String,
    /// Version of the payload's schema.
    pub schema_version: u64,
    /// UTF-8 JSON; these bytes are stored and hashed as they are.
    pub payload: String,
    /// BLAKE3 of the payload, taken off the sequencer's path.
    pub payload_digest: Hash,
    /// The payload is what the ledger comes to before this event; the sequencer fills it in.
    pub is_seal: bool,
}

impl Draft {
    /// A draft with a fresh event id; takes the payload's digest.
    pub fn new(event_type: impl Into<String>, schema_version: u64, payload: String) -> Self {
        Self {
            event_id: new_event_id(),
            event_type: event_type.into(),
            schema_version,
            payload_digest: digest(payload.as_bytes()),
            payload,
            is_seal: false,
        }
    }

    /// A seal: an event whose payload states size, chain hash and root of everything before it. Only the sequencer knows
    /// them.
    pub fn seal() -> Self {
        Self { is_seal: true, ..Self::new(SEALED, 1, String::new()) }
    }
}

/// A UUIDv7 whose random part comes from the thread's generator, which is seeded by the system and does not ask it each
/// time.
fn new_event_id() -> Uuid {
    let millis = u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid()
}

/// Type of the event that binds the chain's head into the tree.
pub const SEALED: &str = "ledger.sealed";

/// The payload of a seal over everything that `head` covers.
fn seal_payload(head: &Head) -> String {
    format!(r#"{{"size":{},"hash":"{}","root":"{}"}}"#, head.size, head.hash, head.frontier.root())
}

/// Names a command so that repeating it appends nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandKey {
    /// Opaque, at most 200 bytes, unique in its ledger.
    pub id: String,
    /// Digest of what was asked; the same id with another digest is refused.
    pub digest: Hash,
}

/// The events of one command for one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Where to.
    pub stream: StreamKey,
    /// Version the stream has before; 0 for a stream that must not exist yet.
    pub expected_version: u64,
    /// At least one.
    pub events: Vec<Draft>,
    /// Who acted.
    pub actor: Actor,
    /// UTF-8 JSON, the same for all events of the command.
    pub metadata: String,
    /// Makes the append repeatable without effect.
    pub command: Option<CommandKey>,
}

impl Append {
    /// Checks every bound that does not depend on the ledger's state.
    pub fn check(&self) -> Result<(), InvalidValue> {
        check_text("stream_type", &self.stream.stream_type, MAX_NAME_BYTES)?;
        check_text("stream_id", &self.stream.stream_id, MAX_STREAM_ID_BYTES)?;
        check_text("actor_id", &self.actor.id, MAX_NAME_BYTES)?;
        if let Some(command) = &self.command {
            check_text("command_id", &command.id, MAX_STREAM_ID_BYTES)?;
        }
        if self.events.is_empty() || self.events.len() > MAX_EVENTS_PER_COMMAND {
            return Err(InvalidValue::new("events", format!("must be 1 to {MAX_EVENTS_PER_COMMAND}")));
        }
        if self.metadata.len() > MAX_PAYLOAD_BYTES {
            return Err(InvalidValue::new("metadata", format!("must have at most {MAX_PAYLOAD_BYTES} bytes")));
        }
        for event in &self.events {
            check_text("event_type", &event.event_type, MAX_NAME_BYTES)?;
            if event.payload.len() > MAX_PAYLOAD_BYTES {
                return Err(InvalidValue::new("payload", format!("must have at most {MAX_PAYLOAD_BYTES} bytes")));
            }
        }
        Ok(())
    }

    /// Roughly how many bytes it adds to a batch.
    pub fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.payload.len() + self.metadata.len() + 400).sum()
    }
}

/// Where a command's events went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Position of the first event; the others follow without gap.
    pub first_position: u64,
    /// Version of the stream after the command.
    pub version: u64,
    /// Position, hash and ledger of the last event.
    pub receipt: Receipt,
    /// `recorded_at` of the events.
    pub recorded_at: i64,
    /// True where the command was in the ledger already and nothing was appended now.
    pub replayed: bool,
}

/// What a command id in the ledger stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRecord {
    /// Digest of what was asked then.
    pub digest: Hash,
    /// Its stream.
    pub stream: StreamKey,
    /// What it came to. `replayed` is true.
    pub appended: Appended,
}

/// Why a command was not appended. Each answers one command only; its neighbours in the batch are untouched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Somebody else was first.
    #[error("the stream is at version {actual}, not {expected}")]
    VersionConflict {
        /// What the command expected.
        expected: u64,
        /// What the stream has.
        actual: u64,
    },
    /// The command id stands for something else already.
    #[error("command id {0} was used before with other content")]
    CommandMismatch(String),
    /// A bound was broken.
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    /// The queue is full: try again after a moment. Nothing was appended.
    #[error("the ledger's queue is full")]
    QueueFull,
    /// The store failed and is known not to have the command.
    #[error("the ledger's store is unavailable: {0}")]
    Unavailable(String),
    /// The store failed at commit and did not come back in time: the command may or may not be in the ledger.
    #[error("the store failed at commit; whether the command was recorded is not known yet")]
    OutcomeUnknown,
    /// The sequencer has stopped.
    #[error("the ledger is closed for writing")]
    Closed,
}

/// One event in its place. What its request says of it is not copied.
#[derive(Debug)]
pub struct Placed {
    /// Index of the request in the batch.
    pub request: usize,
    /// Index of the event in the request.
    pub event: usize,
    /// Its place in the stream.
    pub version: u64,
    /// The payload of a seal; every other event's is in the request.
    pub seal: Option<String>,
    /// BLAKE3 of the payload.
    pub payload_digest: Hash,
    /// Hash of the entry before.
    pub previous_hash: Hash,
    /// Hash of the entry.
    pub hash: Hash,
}

/// Where everything acceptable in a batch goes: all of it is to be written in one transaction.
#[derive(Debug)]
pub struct Placement {
    /// Position of the first event placed; the others follow without gap.
    pub first_position: u64,
    /// When, for all of them.
    pub recorded_at: i64,
    /// The events, in position order.
    pub placed: Vec<Placed>,
    /// Their leaf hashes.
    pub leaves: Vec<Hash>,
    /// New command ids, and what to remember of each.
    pub commands: Vec<(String, CommandRecord)>,
    /// The head afterwards.
    pub head: Head,
    /// One answer a request, in the order of the requests.
    pub outcomes: Vec<Result<Appended, AppendError>>,
}

/// Gives each acceptable request its positions, versions, time and hashes. Pure: same input, same output.
///
/// `version_of` tells a stream's version before the batch, `commands_known` what is known of the batch's command ids. `now` is in
/// microseconds; a clock that went back does not: time never goes below the head's.
pub fn place(
    head: &Head,
    batch: &[Append],
    version_of: impl Fn(&StreamKey) -> u64,
    mut commands_known: HashMap<String, CommandRecord>,
    now: i64,
) -> Placement {
    let recorded_at = now.max(head.recorded_at);
    let first_position = head.size;
    let mut head = head.clone();
    let mut placed = Vec::with_capacity(batch.iter().map(|append| append.events.len()).sum());
    let mut leaves = Vec::with_capacity(placed.capacity());
    let mut commands = Vec::new();
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut buffer = Vec::with_capacity(512);
    // Streams that this batch has moved on.
    let mut moved: HashMap<&StreamKey, u64> = HashMap::with_capacity(batch.len());
    // Commands of one caller often share it.
    let mut last_metadata: Option<(&str, Hash)> = None;
    for (request, append) in batch.iter().enumerate() {
        let stream_moved = moved.entry(&append.stream);
        let actual = match &stream_moved {
            MapEntry::Occupied(moved) => *moved.get(),
            MapEntry::Vacant(_) => version_of(&append.stream),
        };
        if let Some(outcome) = refuse_or_replay(append, actual, &commands_known) {
            outcomes.push(outcome);
            continue;
        }
        let position_before = head.size;
        let metadata_digest = match last_metadata {
            Some((metadata, digest)) if metadata == append.metadata => digest,
            _ => digest(append.metadata.as_bytes()),
        };
        last_metadata = Some((&append.metadata, metadata_digest));
        let mut version = append.expected_version;
        for (index, event) in append.events.iter().enumerate() {
            version += 1;
            let seal = event.is_seal.then(|| seal_payload(&head));
            let payload_digest = seal.as_ref().map_or(event.payload_digest, |payload| digest(payload.as_bytes()));
            CanonicalFields {
                ledger_id: head.ledger_id.as_str(),
                position: head.size,
                event_id: event.event_id.as_bytes(),
                stream_type: &append.stream.stream_type,
                stream_id: &append.stream.stream_id,
                version,
                event_type: &event.event_type,
                schema_version: event.schema_version,
                recorded_at: recorded_at.cast_unsigned(),
                actor_kind: append.actor.kind.as_str(),
                actor_id: &append.actor.id,
                metadata_digest: metadata_digest.as_bytes(),
                payload_digest: payload_digest.as_bytes(),
                previous_hash: head.hash.as_bytes(),
            }
            .write(&mut buffer);
            let hash = digest(&buffer);
            let leaf = merkle::leaf(&buffer);
            head.frontier.push(leaf);
            leaves.push(leaf);
            placed.push(Placed {
                request,
                event: index,
                version,
                seal,
                payload_digest,
                previous_hash: head.hash,
                hash,
            });
            head.hash = hash;
            head.size += 1;
        }
        stream_moved.insert_entry(version);
        let appended = Appended {
            first_position: position_before,
            version,
            receipt: Receipt { ledger_id: head.ledger_id.clone(), position: head.size - 1, hash: head.hash },
            recorded_at,
            replayed: false,
        };
        if let Some(command) = &append.command {
            let record = CommandRecord {
                digest: command.digest,
                stream: append.stream.clone(),
                appended: Appended { replayed: true, ..appended.clone() },
            };
            commands_known.insert(command.id.clone(), record.clone());
            commands.push((command.id.clone(), record));
        }
        outcomes.push(Ok(appended));
    }
    if !placed.is_empty() {
        head.recorded_at = recorded_at;
    }
    head.root = head.frontier.root();
    Placement { first_position, recorded_at, placed, leaves, commands, head, outcomes }
}

fn refuse_or_replay(
    append: &Append,
    actual: u64,
    commands: &HashMap<String, CommandRecord>,
) -> Option<Result<Appended, AppendError>> {
    if let Err(invalid) = append.check() {
        return Some(Err(invalid.into()));
    }
    if let Some(command) = &append.command
        && let Some(record) = commands.get(&command.id)
    {
        // The digest covers everything that was asked. The stream may differ: ids made for the caller are new each time.
        return Some(if record.digest == command.digest {
            Ok(record.appended.clone())
        } else {
            Err(AppendError::CommandMismatch(command.id.clone()))
        });
    }
    (actual != append.expected_version)
        .then_some(Err(AppendError::VersionConflict { expected: append.expected_version, actual }))
}
