//! Hash tiles: the tree cut into pieces of 256 hashes that never change once they are complete.
//!
//! Level 0 holds leaf hashes; a hash of level `n + 1` is the root of a complete tile of level `n`. The stores write each
//! tile in the same transaction as the entry that completes it, so proofs need no second pass over the ledger. Everything
//! here is pure; what has to be read from the store first is said by [`Missing`].

use std::collections::HashMap;

use crate::canonical::canonical_bytes;
use crate::entry::{Entry, Hash, InvalidValue, LedgerId};
use crate::merkle;

/// Hashes of one tile.
pub const TILE_WIDTH: usize = 256;
/// The same, for arithmetic on positions.
const WIDTH: u64 = 256;
/// Levels of the tree below one tile: 2⁸ = 256.
pub const TILE_HEIGHT: u32 = 8;
/// Highest level of any tile: eight levels of 256 cover 2⁶⁴ entries.
pub const MAX_LEVEL: u8 = 7;

/// A complete tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// 0 for leaf hashes.
    pub level: u8,
    /// 0-based place among the tiles of its level.
    pub index: u64,
    /// RFC 6962 root over its hashes; a hash of the level above.
    pub root: Hash,
    /// Its 256 hashes.
    pub hashes: Vec<Hash>,
}

impl Tile {
    fn new(level: u8, index: u64, hashes: Vec<Hash>) -> Self {
        Self { level, index, root: merkle::root_of(&hashes), hashes }
    }

    /// The hashes as bytes, 32 each.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| hash.0).collect()
    }

    /// Reads what [`Tile::to_bytes`] wrote.
    pub fn from_columns(level: u8, index: u64, root: Hash, bytes: &[u8]) -> Result<Self, InvalidValue> {
        if bytes.len() != TILE_WIDTH * 32 {
            return Err(InvalidValue::new("tile", format!("must have {} bytes", TILE_WIDTH * 32)));
        }
        let hashes = bytes.chunks_exact(32).map(Hash::from_slice).collect::<Result<_, _>>()?;
        Ok(Self { level, index, root, hashes })
    }
}

/// Roots of stored tiles that are needed to complete a tile of a higher level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Level of the tiles whose roots are needed.
    pub level: u8,
    /// The first of them.
    pub from: u64,
    /// How many.
    pub count: usize,
}

/// Entries that one tile hash of `level` stands for.
fn span(level: u8) -> Option<u64> {
    WIDTH.checked_pow(u32::from(level))
}

/// Complete tiles of `level` in a tree of `size` leaves.
pub fn complete_tiles(size: u64, level: u8) -> u64 {
    span(level.saturating_add(1)).map_or(0, |span| size / span)
}

/// True where growing from `before` to `after` leaves completes a tile.
pub fn completes(before: u64, after: u64) -> bool {
    before / WIDTH < after / WIDTH
}

/// What must be read before [`complete`] can build the tiles that growing from `before` to `after` completes, one for each
/// level above the lowest. A growth of less than 65,536 entries completes at most one tile of each of those.
pub fn missing(before: u64, after: u64) -> Vec<Missing> {
    (1..=MAX_LEVEL)
        .take_while(|level| complete_tiles(before, *level) < complete_tiles(after, *level))
        .map(|level| {
            let from = complete_tiles(before, level) * WIDTH;
            let stored = complete_tiles(before, level - 1).saturating_sub(from);
            Missing { level: level - 1, from, count: usize::try_from(stored).unwrap_or(TILE_WIDTH) }
        })
        .collect()
}

/// The tiles that `leaves` complete in a tree of `before` leaves.
///
/// `edge` are the leaf hashes of the incomplete tile, `stored` what [`missing`] asked for, in its order.
pub fn complete(before: u64, edge: &[Hash], leaves: &[Hash], stored: Vec<Vec<Hash>>) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut level = 0_u8;
    let mut index = before / WIDTH;
    let mut hashes: Vec<Hash> = edge.iter().chain(leaves).copied().collect();
    let mut stored = stored.into_iter();
    loop {
        let completed: Vec<Tile> = (index..)
            .zip(hashes.chunks_exact(TILE_WIDTH))
            .map(|(index, chunk)| Tile::new(level, index, chunk.to_vec()))
            .collect();
        let Some(mut roots) = stored.next().filter(|_| !completed.is_empty()) else {
            tiles.extend(completed);
            return tiles;
        };
        roots.extend(completed.iter().map(|tile| tile.root));
        index /= WIDTH;
        hashes = roots;
        level += 1;
        tiles.extend(completed);
    }
}

/// The leaf hashes of the incomplete lowest tile of each ledger that this process appends to.
#[derive(Debug, Default)]
pub(crate) struct Edges(HashMap<LedgerId, Edge>);

#[derive(Debug, Default)]
struct Edge {
    size: u64,
    leaves: Vec<Hash>,
}

impl Edges {
    /// The edge of a ledger of `size` entries; `None` where it must be read from the ledger, from [`edge_start`] on.
    pub(crate) fn at(&self, ledger: &LedgerId, size: u64) -> Option<&[Hash]> {
        if size.is_multiple_of(WIDTH) {
            return Some(&[]);
        }
        self.0.get(ledger).filter(|edge| edge.size == size).map(|edge| edge.leaves.as_slice())
    }

    /// Goes on after `leaves` were appended to `before` entries.
    pub(crate) fn advance(&mut self, ledger: &LedgerId, before: u64, leaves: &[Hash]) {
        let after = before + u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        let wanted = usize::try_from(after % WIDTH).unwrap_or(0);
        if !self.0.contains_key(ledger) {
            self.0.insert(ledger.clone(), Edge::default());
        }
        let Some(edge) = self.0.get_mut(ledger) else { return };
        if let Some(fresh) = leaves.len().checked_sub(wanted).and_then(|start| leaves.get(start..)) {
            edge.leaves.clear();
            edge.leaves.extend_from_slice(fresh);
        } else if edge.size == before && edge.leaves.len() + leaves.len() == wanted {
            edge.leaves.extend_from_slice(leaves);
        } else {
            self.0.remove(ledger);
            return;
        }
        edge.size = after;
    }

    /// What was read for a ledger of `size` entries.
    pub(crate) fn set(&mut self, ledger: &LedgerId, size: u64, leaves: Vec<Hash>) {
        self.0.insert(ledger.clone(), Edge { size, leaves });
    }
}

/// First position of the incomplete lowest tile of a tree of `size` leaves.
pub(crate) fn edge_start(size: u64) -> u64 {
    size - size % WIDTH
}

/// The leaf hashes of entries.
pub(crate) fn leaves_of(entries: &[Entry]) -> Vec<Hash> {
    entries.iter().map(|entry| merkle::leaf(&canonical_bytes(entry))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

    use super::*;

    fn leaf(number: u64) -> Hash {
        merkle::leaf(&number.to_be_bytes())
    }

    /// Every tile of a tree by definition: level by level over all leaves.
    fn by_definition(size: u64) -> Vec<Tile> {
        let mut tiles = Vec::new();
        let mut hashes: Vec<Hash> = (0..size).map(leaf).collect();
        let mut level = 0;
        while hashes.len() >= TILE_WIDTH {
            let complete: Vec<Tile> = (0..)
                .zip(hashes.chunks_exact(TILE_WIDTH))
                .map(|(i, chunk)| Tile::new(level, i, chunk.to_vec()))
                .collect();
            hashes = complete.iter().map(|tile| tile.root).collect();
            tiles.extend(complete);
            level += 1;
        }
        tiles
    }

    #[test]
    fn tiles_come_out_as_defined_however_the_tree_grew() {
        let total = 66_500_u64;
        for step in [1_u64, 7, 255, 256, 257, 2_048] {
            let (mut size, mut edges, mut tiles) = (0, Edges::default(), Vec::<Tile>::new());
            let ledger = LedgerId::main();
            while size < total {
                let after = (size + step).min(total);
                let leaves: Vec<Hash> = (size..after).map(leaf).collect();
                if completes(size, after) {
                    let stored = missing(size, after)
                        .into_iter()
                        .map(|wanted| {
                            let mut roots: Vec<&Tile> = tiles
                                .iter()
                                .filter(|tile| tile.level == wanted.level && tile.index >= wanted.from)
                                .collect();
                            roots.sort_by_key(|tile| tile.index);
                            assert_eq!(roots.len(), wanted.count);
                            roots.into_iter().map(|tile| tile.root).collect()
                        })
                        .collect();
                    let edge = edges.at(&ledger, size).expect("the edge is kept").to_vec();
                    tiles.extend(complete(size, &edge, &leaves, stored));
                }
                edges.advance(&ledger, size, &leaves);
                size = after;
            }
            tiles.sort_by_key(|tile| (tile.level, tile.index));
            let expected = by_definition(total);
            assert_eq!(tiles.len(), expected.len(), "step {step}");
            assert!(tiles == expected, "step {step}");
        }
    }

    #[test]
    fn edge_of_a_ledger_that_others_wrote_to_is_not_known() {
        let mut edges = Edges::default();
        let ledger = LedgerId::main();
        edges.advance(&ledger, 0, &[leaf(0), leaf(1)]);
        assert_eq!(edges.at(&ledger, 2), Some(&[leaf(0), leaf(1)][..]));
        assert_eq!(edges.at(&ledger, 3), None);
        edges.advance(&ledger, 5, &[leaf(5)]);
        assert_eq!(edges.at(&ledger, 6), None);
        assert_eq!(edges.at(&ledger, 512), Some(&[][..]));
    }

    #[test]
    fn tile_reads_back_and_refuses_another_length() {
        let tile = Tile::new(1, 3, (0..WIDTH).map(leaf).collect());
        let bytes = tile.to_bytes();
        assert_eq!(Tile::from_columns(1, 3, tile.root, &bytes).as_ref(), Ok(&tile));
        assert!(Tile::from_columns(1, 3, tile.root, &bytes[1..]).is_err());
    }
}
