//! What proves a pack: a checkpoint over its entries, tiles, proofs, and the time stamps that authorities outside gave.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_exports::bundle::{
    BundleError, Kind, TileName, TlogProofError, against, keys_file, newest_checkpoint, newest_keys,
};
use daybook_exports::pack::{Report, Timestamp};
use daybook_ledger::checkpoint::STREAM_TYPE;
use daybook_ledger::note::SignedNote;
use daybook_ledger::{LedgerTree, StoredCheckpoint, StreamKey};

use super::entries::Chosenly;
use super::selection::Selection;
use super::writing::Zip;
use super::{Pack, PackError};
use crate::anchor::{ANCHORED, RecordedAnchor};

/// How long a checkpoint that covers the entries is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks for one.
const INTERVAL: Duration = Duration::from_millis(500);
/// Entries of the ledger's own stream read at once.
const PAGE: usize = 500;
/// Most time stamps of a pack.
const MAX_ANCHORS: usize = 1_000;

/// A checkpoint and what leads to it.
pub(super) struct Proving {
    tree: LedgerTree,
    pub checkpoint: StoredCheckpoint,
    /// `keys.txt`.
    pub keys: String,
}

impl Proving {
    pub(super) async fn tile(&self, name: TileName) -> Result<Vec<u8>, PackError> {
        let tile = self.tree.tile(name.level, name.path.index, name.path.width).await.map_err(BundleError::from)?;
        tile.ok_or_else(|| BundleError::from(TlogProofError::NotExtending(self.checkpoint.size)).into())
    }

    pub(super) async fn proof(&self, position: u64) -> Result<String, PackError> {
        let found = self.tree.reader().entries(position, 1).await?.into_iter().next();
        let entry = found.filter(|entry| entry.position == position).ok_or(PackError::Missing(position))?;
        Ok(against(&self.tree, &self.checkpoint, &entry).await.map_err(BundleError::from)?)
    }
}

impl Pack<'_> {
    /// A checkpoint over the first `end` entries at least: the newest, one that this process signs, or one that another does.
    pub(super) async fn proving(&self, end: u64) -> Result<Proving, PackError> {
        let tree = LedgerTree::new(self.driver.reader.clone());
        let checkpoint = self.checkpoint_over(&tree, end).await?;
        let root = tree.root_at(checkpoint.size).await.map_err(BundleError::from)?;
        if root != checkpoint.root {
            return Err(BundleError::from(TlogProofError::NotExtending(checkpoint.size)).into());
        }
        let keys = newest_keys(&self.driver.reader).await.map_err(BundleError::from)?;
        Ok(Proving { tree, checkpoint, keys: keys_file(&keys) })
    }

    async fn checkpoint_over(&self, tree: &LedgerTree, end: u64) -> Result<StoredCheckpoint, PackError> {
        let began = Instant::now();
        loop {
            let newest = newest_checkpoint(tree).await.map_err(BundleError::from)?;
            if let Some(checkpoint) = newest.filter(|checkpoint| checkpoint.size >= end) {
                return Ok(checkpoint);
            }
            if began.elapsed() >= PATIENCE {
                return Err(PackError::NoCheckpoint(end));
            }
            if let Some(requests) = &self.driver.checkpoints
                && let Err(error) = requests.checkpoint().await
            {
                tracing::debug!(%error, "an evidence pack waits for a checkpoint");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Time stamps over entries from `first` on, up to the first one that covers the entry at `last`: what a later one covers
    /// was there before.
    pub(super) async fn anchors(&self, first: u64, last: u64) -> Result<Vec<u64>, PackError> {
        let reader = &self.driver.reader;
        let stream = StreamKey::new(STREAM_TYPE, reader.id().as_str())
            .map_err(|error| daybook_ledger::StoreError::Unavailable(error.to_string()))?;
        let mut version = self.version_from(&stream, first).await?;
        let mut anchors = Vec::new();
        loop {
            let page = reader.stream(&stream, version, PAGE).await?;
            for entry in page.iter().filter(|entry| entry.position < self.size) {
                // One that cannot be read is the auditor's business.
                let Ok(Some(anchor)) = RecordedAnchor::of(entry) else { continue };
                if anchor.size > first {
                    anchors.push(entry.position);
                }
                if anchor.size > last || anchors.len() >= MAX_ANCHORS {
                    return Ok(anchors);
                }
            }
            match page.last() {
                Some(entry) if page.len() == PAGE => version = entry.version.saturating_add(1),
                _ => return Ok(anchors),
            }
        }
    }

    /// Version of the stream's first entry at `position` or later.
    async fn version_from(&self, stream: &StreamKey, position: u64) -> Result<u64, PackError> {
        // A stream has no more versions than the ledger has entries.
        let (mut low, mut high) = (1, self.size.saturating_add(1));
        while low < high {
            let middle = low + (high - low) / 2;
            let found = self.driver.reader.stream(stream, middle, 1).await?.into_iter().next();
            if found.is_some_and(|entry| entry.position < position) { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// Each token with the text that it is over.
    pub(super) async fn write_timestamps(
        &self,
        selection: &Selection,
        zip: &mut Zip,
        report: &mut Report,
    ) -> Result<(), PackError> {
        let mut chosen = Chosenly::new(&self.driver.reader, &selection.anchors);
        while let Some(page) = chosen.next().await? {
            for entry in page.iter().filter(|entry| entry.event_type == ANCHORED) {
                let Ok(Some(anchor)) = RecordedAnchor::of(entry) else { continue };
                let (Ok(token), Ok(note)) = (STANDARD.decode(&anchor.token), SignedNote::parse(&anchor.checkpoint))
                else {
                    continue;
                };
                let position = entry.position;
                zip.archive.add(&format!("timestamps/{position}.token"), Kind::Hashes, &token)?;
                zip.archive.add(&format!("timestamps/{position}.txt"), Kind::Text, note.body.as_bytes())?;
                let (size, at, authority) = (anchor.size, anchor.generated_at, anchor.tsa);
                report.proof.timestamps.push(Timestamp { position, size, at, authority });
            }
            zip.hand_on().await?;
        }
        Ok(())
    }
}
