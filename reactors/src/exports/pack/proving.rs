//! What proves a pack: a checkpoint over its entries, tiles, proofs.

use std::time::{Duration, Instant};

use daybook_exports::bundle::{
    BundleError, NeededTiles, TileName, TlogProofError, against, keys_file, newest_checkpoint, newest_keys,
};
use daybook_ledger::{LedgerTree, StoredCheckpoint};

use super::{Pack, PackError};

/// How long a checkpoint that covers the entries is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks for one.
const INTERVAL: Duration = Duration::from_millis(500);

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
}

/// The tiles that prove these entries of a tree of `size`, at most `most`: each is a line of the manifest.
pub(super) fn needed_tiles(size: u64, positions: &[u64], most: usize) -> Result<NeededTiles, PackError> {
    let mut needed = NeededTiles::new(size);
    for position in positions {
        needed.entry(*position);
        if needed.len() > most {
            return Err(PackError::TooScattered(most));
        }
    }
    Ok(needed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn entries_that_are_too_scattered_are_refused_by_their_positions_alone() {
        let positions: Vec<u64> = (0..100).map(|place| place * 256).collect();
        let size = 100 * 256;
        // A tile for each, and one above them, which gives the root.
        assert_eq!(needed_tiles(size, &positions, 101).unwrap().len(), 101);
        let refused = needed_tiles(size, &positions, 100).err().unwrap();
        assert!(matches!(refused, PackError::TooScattered(100)) && refused.is_permanent(), "{refused}");
        // Neighbours share theirs.
        assert!(needed_tiles(size, &(0..256).collect::<Vec<u64>>(), 2).is_ok());
    }
}
