//! The words of the ledger as types: ledger ids, streams, actors, entries and heads.
//!
//! An [`Entry`] is what is stored and hashed; how its bytes are laid out is [`crate::canonical`]'s business.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Most bytes a stream id may have.
pub const MAX_STREAM_ID_BYTES: usize = 200;
/// Most bytes a stream type, event type or actor id may have.
pub const MAX_NAME_BYTES: usize = 200;
/// Most bytes one payload may have. A payload is one event, not a file.
pub const MAX_PAYLOAD_BYTES: usize = 512 * 1024;

/// A value that is not allowed in an entry, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct InvalidValue {
    /// Which value.
    pub what: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl InvalidValue {
    pub(crate) fn new(what: &'static str, why: impl Into<String>) -> Self {
        Self { what, why: why.into() }
    }
}

/// The id of a ledger, one organisation's event log: `[a-z0-9-]{1,63}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LedgerId(String);

impl LedgerId {
    /// The ledger of the embedded default.
    pub fn main() -> Self {
        Self("main".to_owned())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LedgerId {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > 63 || !text.bytes().all(allowed) {
            return Err(InvalidValue::new("ledger_id", "must match [a-z0-9-]{1,63}"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for LedgerId {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<LedgerId> for String {
    fn from(id: LedgerId) -> Self {
        id.0
    }
}

impl fmt::Display for LedgerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// 32 bytes of BLAKE3 or SHA-256, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 32 bytes; anything else is refused.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, InvalidValue> {
        <[u8; 32]>::try_from(bytes).map(Self).map_err(|_| InvalidValue::new("hash", "must be 32 bytes"))
    }
}

impl From<blake3::Hash> for Hash {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl FromStr for Hash {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0_u8; 32];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|_| InvalidValue::new("hash", "must be 64 hexadecimal digits"))?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Hash {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// What kind of party acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person.
    Human,
    /// A model or automated agent that suggests.
    Agent,
    /// Daybook itself, or a program acting for nobody in particular.
    System,
}

impl ActorKind {
    /// The word stored in the entry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Agent => "agent",
            Self::System => "system",
        }
    }
}

impl FromStr for ActorKind {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "human" => Ok(Self::Human),
            "agent" => Ok(Self::Agent),
            "system" => Ok(Self::System),
            _ => Err(InvalidValue::new("actor_kind", "must be human, agent or system")),
        }
    }
}

/// Who acted. The id is opaque: never a name or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// What kind of party.
    pub kind: ActorKind,
    /// Its opaque id, for example `usr_0193…` or `importer`.
    pub id: String,
}

impl Actor {
    /// A system actor, for example `importer`.
    pub fn system(id: impl Into<String>) -> Self {
        Self { kind: ActorKind::System, id: id.into() }
    }

    /// A person, by opaque id.
    pub fn human(id: impl Into<String>) -> Self {
        Self { kind: ActorKind::Human, id: id.into() }
    }
}

/// The name of one aggregate's stream within a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamKey {
    /// The aggregate's type, for example `transaction`.
    pub stream_type: String,
    /// The aggregate's id: text of at most [`MAX_STREAM_ID_BYTES`] bytes.
    pub stream_id: String,
}

impl StreamKey {
    /// Checks lengths and characters: not empty, bounded, no control characters.
    pub fn new(stream_type: impl Into<String>, stream_id: impl Into<String>) -> Result<Self, InvalidValue> {
        let (stream_type, stream_id) = (stream_type.into(), stream_id.into());
        check_text("stream_type", &stream_type, MAX_NAME_BYTES)?;
        check_text("stream_id", &stream_id, MAX_STREAM_ID_BYTES)?;
        Ok(Self { stream_type, stream_id })
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.stream_type, self.stream_id)
    }
}

/// Refuses empty, overlong and control-character text.
pub(crate) fn check_text(what: &'static str, text: &str, most_bytes: usize) -> Result<(), InvalidValue> {
    if text.is_empty() {
        return Err(InvalidValue::new(what, "must not be empty"));
    }
    if text.len() > most_bytes {
        return Err(InvalidValue::new(what, format!("must have at most {most_bytes} bytes")));
    }
    let plain = |byte: u8| matches!(byte, 0x20..=0x7e);
    if !text.bytes().all(plain) && text.chars().any(char::is_control) {
        return Err(InvalidValue::new(what, "must not have control characters"));
    }
    Ok(())
}

/// One event in a ledger, exactly as stored. Fields are the attested columns; see `docs/ledger-format.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The ledger it belongs to.
    pub ledger_id: LedgerId,
    /// 0-based place in the ledger, gapless.
    pub position: u64,
    /// UUIDv7 of the event.
    pub event_id: Uuid,
    /// Which stream.
    pub stream: StreamKey,
    /// 1-based place in the stream, gapless.
    pub version: u64,
    /// For example `approval.vote_cast`.
    pub event_type: String,
    /// Version of the payload's schema.
    pub schema_version: u64,
    /// Microseconds since 1970-01-01T00:00:00Z, never smaller than the entry before it.
    pub recorded_at: i64,
    /// Who acted.
    pub actor: Actor,
    /// UTF-8 JSON: correlation, causation, on whose behalf. No personal data.
    pub metadata: String,
    /// UTF-8 JSON, or none where it was pruned.
    pub payload: Option<String>,
    /// BLAKE3 of the payload's stored bytes.
    pub payload_digest: Hash,
    /// Hash of the entry before, or the genesis hash.
    pub previous_hash: Hash,
    /// Hash of this entry's canonical bytes.
    pub hash: Hash,
}

impl Entry {
    /// The receipt that points to this entry.
    pub fn receipt(&self) -> Receipt {
        Receipt { ledger_id: self.ledger_id.clone(), position: self.position, hash: self.hash }
    }
}

/// How far a ledger reaches, and what it hashes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Which ledger.
    pub ledger_id: LedgerId,
    /// Number of entries.
    pub size: u64,
    /// Hash of the last entry; the genesis hash where there is none.
    pub hash: Hash,
    /// RFC 6962 root over all entries.
    pub root: Hash,
    /// `recorded_at` of the last entry, 0 where there is none.
    pub recorded_at: i64,
    /// Roots of the complete subtrees, largest first: what the tree needs to grow.
    #[serde(skip)]
    pub frontier: crate::merkle::Frontier,
}

impl Head {
    /// The head of a ledger without entries.
    pub fn empty(ledger_id: LedgerId) -> Self {
        let frontier = crate::merkle::Frontier::default();
        Self {
            hash: crate::canonical::genesis(&ledger_id),
            root: frontier.root(),
            ledger_id,
            size: 0,
            recorded_at: 0,
            frontier,
        }
    }
}

/// Proof to a caller that its command is in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Which ledger.
    pub ledger_id: LedgerId,
    /// Position of the command's last entry.
    pub position: u64,
    /// Hash of that entry.
    pub hash: Hash,
}
