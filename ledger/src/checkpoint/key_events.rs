//! What the ledger says of its own signing keys: stream `ledger_keys/<ledger_id>`.
//!
//! A key is announced before the first checkpoint that it signs, and its end before the first checkpoint without it, so that
//! the ledger itself tells which keys may have signed what.

use serde::{Deserialize, Serialize};

use super::CheckpointError;
use crate::append::{Append, AppendError, Draft};
use crate::entry::{Actor, Entry, StreamKey};
use crate::keys::{Algorithm, KeyId, KeyRecord, KeyRing, time};
use crate::reader::{Ledger, LedgerReader};

/// Type of the stream.
pub const STREAM_TYPE: &str = "ledger_keys";
/// A key signs from now on.
pub const ACTIVATED: &str = "signing_key.activated";
/// A key signs no more.
pub const RETIRED: &str = "signing_key.retired";
/// Who writes what the ledger says of itself.
pub const SEQUENCER: &str = "sequencer";
/// Entries read at once.
const PAGE: usize = 200;
/// Attempts against other writers who announce their keys at the same time.
const ATTEMPTS: usize = 8;

#[derive(Debug, Serialize, Deserialize)]
struct Activated {
    key_id: KeyId,
    name: String,
    algorithm: Algorithm,
    verifier_key: String,
    activated_at: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Retired {
    key_id: KeyId,
    name: String,
    retired_at: String,
}

/// A key as the ledger announced it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKey {
    /// Its id.
    pub key_id: KeyId,
    /// The name it signs under.
    pub name: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// `<name>+<key id>+<base64>`; parse it as [`crate::keys::VerifierKey`] for the PEM.
    pub verifier_key: String,
    /// When it began to sign, RFC 3339.
    pub activated_at: String,
    /// When it ended, RFC 3339.
    pub retired_at: Option<String>,
    /// Position of the entry that announced it.
    pub position: u64,
}

/// The keys that the ledger announced, oldest first. What the entries say; nothing of it is checked.
pub async fn published_keys(reader: &LedgerReader) -> Result<Vec<PublishedKey>, CheckpointError> {
    let mut published = Published::default();
    published.read(reader).await?;
    Ok(published.keys)
}

/// The stream as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Published {
    version: u64,
    keys: Vec<PublishedKey>,
}

pub(super) fn ledger_stream(stream_type: &str, reader: &LedgerReader) -> Result<StreamKey, CheckpointError> {
    StreamKey::new(stream_type, reader.id().as_str()).map_err(|error| CheckpointError::Append(error.into()))
}

impl Published {
    /// Whether the ledger says that the key has ended.
    pub(super) fn retired_at(&self, id: KeyId, name: &str) -> Option<&str> {
        self.find(id, name)?.retired_at.as_deref()
    }

    fn find(&self, id: KeyId, name: &str) -> Option<&PublishedKey> {
        self.keys.iter().find(|key| key.key_id == id && key.name == name)
    }

    async fn read(&mut self, reader: &LedgerReader) -> Result<(), CheckpointError> {
        let stream = ledger_stream(STREAM_TYPE, reader)?;
        loop {
            let page = reader.stream(&stream, self.version + 1, PAGE).await?;
            for entry in &page {
                self.apply(entry)?;
            }
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    fn apply(&mut self, entry: &Entry) -> Result<(), CheckpointError> {
        let payload = entry.payload.as_deref().unwrap_or_default();
        let malformed = |error: serde_json::Error| CheckpointError::KeyEvent(entry.position, error.to_string());
        match entry.event_type.as_str() {
            ACTIVATED => {
                let event: Activated = serde_json::from_str(payload).map_err(malformed)?;
                self.keys.push(PublishedKey {
                    key_id: event.key_id,
                    name: event.name,
                    algorithm: event.algorithm,
                    verifier_key: event.verifier_key,
                    activated_at: event.activated_at,
                    retired_at: None,
                    position: entry.position,
                });
            }
            RETIRED => {
                let event: Retired = serde_json::from_str(payload).map_err(malformed)?;
                let known = self.keys.iter_mut().find(|key| key.key_id == event.key_id && key.name == event.name);
                if let Some(key) = known {
                    key.retired_at.get_or_insert(event.retired_at);
                }
            }
            _ => {}
        }
        self.version = entry.version;
        Ok(())
    }

    /// Announces what the ledger does not know yet of the ring: keys that sign at `now`, and keys that ended.
    pub(super) async fn announce(&mut self, ledger: &Ledger, ring: &KeyRing, now: i64) -> Result<(), CheckpointError> {
        for _ in 0..ATTEMPTS {
            self.read(ledger).await?;
            let events = self.missing(ring, now)?;
            if events.is_empty() {
                return Ok(());
            }
            let append = Append {
                stream: ledger_stream(STREAM_TYPE, ledger)?,
                expected_version: self.version,
                events,
                actor: Actor::system(SEQUENCER),
                metadata: "{}".to_owned(),
                command: None,
            };
            match ledger.append(append).await {
                Ok(_) | Err(AppendError::VersionConflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CheckpointError::Contended)
    }

    fn missing(&self, ring: &KeyRing, now: i64) -> Result<Vec<Draft>, CheckpointError> {
        let origin = ring.origin();
        let mut events = Vec::new();
        for record in ring.signers(now) {
            if self.find(record.key_id, origin).is_none() {
                events.push(activated(record, origin, now)?);
            }
        }
        for record in ring.records() {
            let is_over = record.retired_at.is_some_and(|end| end <= now);
            let is_open = self.find(record.key_id, origin).is_some_and(|key| key.retired_at.is_none());
            if let (true, true, Some(end)) = (is_over, is_open, record.retired_at) {
                let (key_id, name) = (record.key_id, origin.to_owned());
                events.push(draft(RETIRED, &Retired { key_id, name, retired_at: time::rfc3339(end) })?);
            }
        }
        Ok(events)
    }
}

fn activated(record: &KeyRecord, origin: &str, now: i64) -> Result<Draft, CheckpointError> {
    let event = Activated {
        key_id: record.key_id,
        name: origin.to_owned(),
        algorithm: record.algorithm,
        verifier_key: record.verifier_key(origin)?.to_string(),
        // A clock that was set back since does not make the key's first checkpoint come before the key.
        activated_at: time::rfc3339(record.activated_at.min(now)),
    };
    draft(ACTIVATED, &event)
}

fn draft(event_type: &str, event: &impl Serialize) -> Result<Draft, CheckpointError> {
    let payload = serde_json::to_string(event).map_err(|error| CheckpointError::KeyEvent(0, error.to_string()))?;
    Ok(Draft::new(event_type, 1, payload))
}
