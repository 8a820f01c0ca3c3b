//! Tokens in the ledger: event `ledger.anchored` in the stream that the ledger's seals are in.

use chrono::{DateTime, SecondsFormat, Utc};
use daybook_ledger::checkpoint::STREAM_TYPE;
use daybook_ledger::{
    Actor, Append, AppendError, Draft, Entry, Hash, Ledger, LedgerReader, StoreError, StoredCheckpoint, StreamKey,
};
use serde::{Deserialize, Serialize};

use super::AnchorError;

/// Type of the event that keeps a token.
pub const ANCHORED: &str = "ledger.anchored";
/// Version of its payload's schema.
const SCHEMA_VERSION: u64 = 1;
/// Who writes what the ledger says of itself.
const SEQUENCER: &str = "sequencer";
/// Entries read at once.
pub(super) const PAGE: usize = 200;
/// Attempts against those who seal at the same time.
const ATTEMPTS: usize = 8;

/// The payload of `ledger.anchored`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedAnchor {
    /// Entries that the checkpoint covers.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Hash,
    /// The whole signed note. The token is over the text that its signatures are over.
    pub checkpoint: String,
    /// URL of the time-stamping authority, without secrets.
    pub tsa: String,
    /// The time in the token, RFC 3339.
    pub generated_at: String,
    /// DER of the token, in base64.
    pub token: String,
}

impl RecordedAnchor {
    /// The anchor in an entry; none where the entry is another event or its payload was removed.
    pub fn of(entry: &Entry) -> Result<Option<Self>, AnchorError> {
        if entry.stream.stream_type != STREAM_TYPE || entry.event_type != ANCHORED {
            return Ok(None);
        }
        let Some(payload) = entry.payload.as_deref() else { return Ok(None) };
        let malformed = |why: String| AnchorError::Entry { position: entry.position, why };
        if entry.schema_version != SCHEMA_VERSION {
            return Err(malformed(format!("{ANCHORED} of schema {} is not known", entry.schema_version)));
        }
        serde_json::from_str(payload).map(Some).map_err(|error| malformed(error.to_string()))
    }
}

/// The end of the stream, as far as the newest checkpoint is concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Version of the stream.
    pub version: u64,
    /// Position of the entry that anchors the checkpoint already.
    pub anchored_at: Option<u64>,
}

/// Where the ledger speaks of itself.
pub(super) fn stream(reader: &LedgerReader) -> Result<StreamKey, AnchorError> {
    StreamKey::new(STREAM_TYPE, reader.id().as_str()).map_err(|error| AnchorError::Append(error.into()))
}

/// Reads the stream's end. An anchor stands behind the checkpoint that it is about, so what is before need not be read.
pub(super) async fn look(reader: &LedgerReader, checkpoint: &StoredCheckpoint) -> Result<Place, AnchorError> {
    let stream = stream(reader)?;
    let mut place = Place { version: seal_version(reader, &stream, checkpoint).await?, anchored_at: None };
    loop {
        let page = reader.stream(&stream, place.version + 1, PAGE).await?;
        for entry in &page {
            place.version = entry.version;
            // One that cannot be read is the auditor's business; it must not stop new ones.
            if let Ok(Some(anchor)) = RecordedAnchor::of(entry)
                && anchor.size == checkpoint.size
            {
                place.anchored_at = Some(entry.position);
            }
        }
        if page.len() < PAGE {
            return Ok(place);
        }
    }
}

/// Version of the seal that the checkpoint was signed over; 0 where the store has something else there.
async fn seal_version(
    reader: &LedgerReader,
    stream: &StreamKey,
    checkpoint: &StoredCheckpoint,
) -> Result<u64, StoreError> {
    let Some(position) = checkpoint.size.checked_sub(1) else { return Ok(0) };
    let entries = reader.entries(position, 1).await?;
    Ok(entries.first().filter(|entry| entry.stream == *stream).map_or(0, |entry| entry.version))
}

/// Where an anchor is.
pub(super) enum Recorded {
    /// Appended now, at this position.
    Here(u64),
    /// Another process was first, at this position.
    ByAnother(u64),
}

/// Appends an anchor unless another process has done so since `place` was read.
pub(super) async fn append(
    ledger: &Ledger,
    checkpoint: &StoredCheckpoint,
    anchor: &RecordedAnchor,
    mut place: Place,
) -> Result<Recorded, AnchorError> {
    let malformed = |error: serde_json::Error| AnchorError::Checkpoint { size: anchor.size, why: error.to_string() };
    let payload = serde_json::to_string(anchor).map_err(malformed)?;
    let draft = Draft::new(ANCHORED, SCHEMA_VERSION, payload);
    for _ in 0..ATTEMPTS {
        if let Some(position) = place.anchored_at {
            return Ok(Recorded::ByAnother(position));
        }
        let append = Append {
            stream: stream(ledger)?,
            expected_version: place.version,
            events: vec![draft.clone()],
            actor: Actor::system(SEQUENCER),
            metadata: "{}".to_owned(),
            command: None,
        };
        match ledger.append(append).await {
            Ok(appended) => return Ok(Recorded::Here(appended.first_position)),
            Err(AppendError::VersionConflict { .. }) => place = look(ledger, checkpoint).await?,
            Err(error) => return Err(error.into()),
        }
    }
    Err(AnchorError::Contended)
}

/// A time as entries have it: UTC, microseconds.
pub(super) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
