//! Which tiles prove a set of entries in a tree: those on their paths, and the incomplete ones, which give the root.

use std::collections::BTreeSet;

use daybook_ledger::tiles::{MAX_LEVEL, TILE_WIDTH};

use super::tile_path::TilePath;

const WIDTH: u64 = TILE_WIDTH as u64;

/// A tile by the path it is served at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TileName {
    /// 0 for leaf hashes.
    pub level: u8,
    /// Which of the level, and how wide.
    pub path: TilePath,
}

impl std::fmt::Display for TileName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "tile/{}/{}", self.level, self.path)
    }
}

/// The tiles of a tree of one size that entries need.
pub struct NeededTiles {
    size: u64,
    found: BTreeSet<(u8, u64)>,
    last: Option<u64>,
}

impl NeededTiles {
    /// Those that give the root: every level's incomplete tile.
    pub fn new(size: u64) -> Self {
        let mut needed = Self { size, found: BTreeSet::new(), last: None };
        for level in 0..=MAX_LEVEL {
            let hashes = needed.hashes(level);
            if !hashes.is_multiple_of(WIDTH) {
                needed.found.insert((level, hashes / WIDTH));
            }
        }
        needed
    }

    /// Adds those on the path of the entry at `position`.
    pub fn entry(&mut self, position: u64) {
        let mut index = position / WIDTH;
        // Neighbours share their tiles.
        if self.last.replace(index) == Some(index) {
            return;
        }
        for level in 0..=MAX_LEVEL {
            if index.saturating_mul(WIDTH) >= self.hashes(level) || !self.found.insert((level, index)) {
                return;
            }
            index /= WIDTH;
        }
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// All of them, by level and index.
    pub fn names(&self) -> impl Iterator<Item = TileName> + Send + use<'_> {
        self.found.iter().map(|(level, index)| {
            let left = self.hashes(*level) - index * WIDTH;
            let width = usize::try_from(left).map_or(TILE_WIDTH, |left| left.min(TILE_WIDTH));
            TileName { level: *level, path: TilePath { index: *index, width } }
        })
    }

    /// Hashes that the tree has on a level of tiles.
    fn hashes(&self, level: u8) -> u64 {
        self.size >> (8 * u32::from(level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(size: u64, positions: impl IntoIterator<Item = u64>) -> Vec<String> {
        let mut needed = NeededTiles::new(size);
        positions.into_iter().for_each(|position| needed.entry(position));
        needed.names().map(|name| name.to_string()).collect()
    }

    #[test]
    fn root_needs_the_incomplete_tiles_alone() {
        assert_eq!(names(1, []), ["tile/0/000.p/1"]);
        assert_eq!(names(256, []), ["tile/1/000.p/1"]);
        assert_eq!(names(70_000, []), ["tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]);
    }

    #[test]
    fn entries_add_the_tiles_on_their_paths() {
        assert_eq!(names(256, [0, 255]), ["tile/0/000", "tile/1/000.p/1"]);
        let one = names(70_000, [300]);
        assert_eq!(one, ["tile/0/001", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]);
        assert_eq!(names(70_000, [69_999]), names(70_000, []));
        assert_eq!(names(70_000, 0..70_000).len(), 274 + 2 + 1);
    }
}
