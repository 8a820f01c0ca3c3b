//! The tiles that a store keeps beside its entries, compared with those that the entries come to.
//!
//! They are what proofs are answered from. They are attested by nothing but the entries, so a tile that differs, is
//! missing, or covers entries that are not there is a finding at the first entry it covers.

use std::io;

use crate::batch::{Batch, digest_of};
use crate::cell::{Cell, Digest};
use crate::hashing::HashedTile;
use crate::report::{FindingKind, Findings, StoredCheckpoint};
use crate::tree_log::TreeLog;

/// How far the comparison has come.
#[derive(Debug, Default)]
pub(crate) struct StoredTiles {
    /// Level and index of the tile that comes next.
    level: usize,
    next: u64,
    compared: u64,
}

impl StoredTiles {
    /// Takes the next rows of `level`, `tile`, `root`, `hashes`, in the order of level and tile, and BLAKE3 of each
    /// row's hashes.
    pub(crate) fn compare(&mut self, tree: &mut TreeLog, batch: &Batch, findings: &mut Findings) -> io::Result<()> {
        for ([level, index, root, _], content) in batch.rows::<4>().zip(&batch.checked.leaves) {
            self.compared += 1;
            self.row(tree, [level, index, root], content, findings)?;
        }
        Ok(())
    }

    /// How many rows were compared.
    pub(crate) fn compared(&self) -> u64 {
        self.compared
    }

    fn row(
        &mut self,
        tree: &mut TreeLog,
        [level, index, root]: [Cell<'_>; 3],
        content: &Digest,
        findings: &mut Findings,
    ) -> io::Result<()> {
        let number = |cell| match cell {
            Cell::Integer(value) => u64::try_from(value).ok(),
            _ => None,
        };
        let (Some(number_of_level), Some(index)) =
            (number(level).and_then(|level| usize::try_from(level).ok()).filter(|level| *level < 8), number(index))
        else {
            let detail = format!("a stored tile of level {level} and index {index} cannot be one");
            findings.add(None, FindingKind::TileMismatch, detail);
            return Ok(());
        };
        let level = number_of_level;
        self.missing_up_to(tree, level, index, findings);
        let place = first_covered(level, index);
        let detail = if (level, index) < (self.level, self.next) {
            format!("there is more than one stored tile {index} of level {level}")
        } else {
            (self.level, self.next) = (level, index.saturating_add(1));
            match tree.tile_at(level, index)? {
                None => format!("stored tile {index} of level {level} covers entries that are not there"),
                Some(found) if digest_of(root) != Some(&found.root) => {
                    format!("the root of stored tile {index} of level {level} is not that of the entries it covers")
                }
                Some(HashedTile { content: found, .. }) if found != *content => {
                    format!("the hashes of stored tile {index} of level {level} are not those of the entries it covers")
                }
                Some(_) => return Ok(()),
            }
        };
        findings.at(place, FindingKind::TileMismatch, detail);
        Ok(())
    }

    /// Reports the complete tiles before this one that were not among the rows.
    fn missing_up_to(&mut self, tree: &TreeLog, level: usize, index: u64, findings: &mut Findings) {
        while self.level < level {
            self.missing(self.next, tree.tiles(self.level), findings);
            (self.level, self.next) = (self.level + 1, 0);
        }
        if self.level == level {
            self.missing(self.next, index.min(tree.tiles(level)), findings);
        }
    }

    fn missing(&self, from: u64, to: u64, findings: &mut Findings) {
        if from < to {
            let level = self.level;
            let detail = match to - from {
                1 => format!("stored tile {from} of level {level} is missing"),
                _ => format!("stored tiles {from} to {} of level {level} are missing", to - 1),
            };
            findings.at(first_covered(level, from), FindingKind::TileMismatch, detail);
        }
    }

    /// Reports what is missing after the last row.
    pub(crate) fn finish(&mut self, tree: &mut TreeLog, findings: &mut Findings) -> io::Result<()> {
        self.missing_up_to(tree, 8, 0, findings);
        Ok(())
    }
}

/// First position that a tile covers; positions beyond 64 bits end there.
fn first_covered(level: usize, index: u64) -> u64 {
    let span = u32::try_from(level + 1).ok().and_then(|height| 256_u64.checked_pow(height));
    span.map_or(u64::MAX, |span| index.saturating_mul(span))
}

/// Stored checkpoints that are kept for the report.
pub(crate) const KEPT_CHECKPOINTS: usize = 1_000;
/// Longest note that is kept: a checkpoint with hundreds of signatures is shorter.
const KEPT_NOTE_BYTES: usize = 64 << 10;

/// A row of `size` and `note`; none where the size is no size.
pub(crate) fn stored_checkpoint([size, note]: [Cell<'_>; 2]) -> Option<StoredCheckpoint> {
    let Cell::Integer(size) = size else { return None };
    let note = match note {
        Cell::Text(bytes) if bytes.len() <= KEPT_NOTE_BYTES => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    };
    Some(StoredCheckpoint { size: u64::try_from(size).ok()?, note })
}
