//! Sealing: the entry that binds the chain's head into the tree, of which concurrent writers append one.

use super::key_events::{SEQUENCER, ledger_stream};
use super::{ATTEMPTS, CheckpointError, Checkpointer, PAGE};
use crate::append::{Append, AppendError, Appended, Draft, SEALED};
use crate::entry::Actor;

/// Type of the stream in which the ledger says what it comes to.
pub const STREAM_TYPE: &str = "ledger";

/// A seal, and whose.
pub(super) enum Seal {
    Ours(Appended),
    /// A ledger of this size ends with another process's seal.
    Theirs {
        size: u64,
    },
}

impl Checkpointer {
    /// Appends a seal, unless another process does so in the same moment.
    pub(super) async fn seal(&self) -> Result<Seal, CheckpointError> {
        let stream = ledger_stream(STREAM_TYPE, &self.ledger)?;
        let mut expected_version = self.stream_version().await?;
        for _ in 0..ATTEMPTS {
            let append = Append {
                stream: stream.clone(),
                expected_version,
                events: vec![Draft::seal()],
                actor: Actor::system(SEQUENCER),
                metadata: "{}".to_owned(),
                command: None,
            };
            match self.ledger.append(append).await {
                Ok(sealed) => return Ok(Seal::Ours(sealed)),
                Err(AppendError::VersionConflict { actual, .. }) => {
                    let newer = self.ledger.stream(&stream, expected_version + 1, PAGE).await?;
                    // It is younger than the question, so it covers whatever was asked for.
                    if let Some(seal) = newer.iter().find(|entry| entry.event_type == SEALED) {
                        return Ok(Seal::Theirs { size: seal.position + 1 });
                    }
                    expected_version = actual;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(CheckpointError::Contended)
    }

    /// The version of the stream of seals: from the seal under the latest checkpoint, the rest is short.
    async fn stream_version(&self) -> Result<u64, CheckpointError> {
        let stream = ledger_stream(STREAM_TYPE, &self.ledger)?;
        let latest = self.ledger.store().latest_checkpoint(self.ledger.id()).await?;
        let mut version = 0;
        if let Some(position) = latest.and_then(|latest| latest.size.checked_sub(1))
            && let Some(seal) = self.ledger.entries(position, 1).await?.first()
            && seal.stream == stream
        {
            version = seal.version;
        }
        loop {
            let page = self.ledger.stream(&stream, version + 1, PAGE).await?;
            version = page.last().map_or(version, |entry| entry.version);
            if page.len() < PAGE {
                return Ok(version);
            }
        }
    }
}
