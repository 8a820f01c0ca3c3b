//! The tree while a ledger is read, and every complete tile of it in short, to compare stored tiles with afterwards.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use crate::cell::Digest;
use crate::hashing::{HashedTile, content_of};
use crate::merkle::{TILE_HEIGHT, TILE_WIDTH, Tree};

const TILE_BYTES: usize = 64;
/// Bytes kept in memory of each level's tiles: 16,384 tiles, four million entries on the lowest level.
const MEMORY_BYTES: usize = 1 << 20;

/// The tree over the entries so far.
#[derive(Debug, Default)]
pub(crate) struct TreeLog {
    pub(crate) tree: Tree,
    size: u64,
    /// None where nobody will ask for tiles.
    levels: Option<[Level; 9]>,
}

/// The tiles of one level.
#[derive(Debug, Default)]
struct Level {
    /// Hashes of the tile that is not complete yet. Empty on the lowest level while whole tiles come in.
    hashes: Vec<u8>,
    tiles: Spool,
}

impl TreeLog {
    /// An empty tree; keeps tiles where `with_tiles`.
    pub(crate) fn new(with_tiles: bool) -> Self {
        Self { tree: Tree::default(), size: 0, levels: with_tiles.then(Default::default) }
    }

    /// Whether the next leaf starts a tile.
    pub(crate) fn at_tile_start(&self) -> bool {
        self.size.is_multiple_of(TILE_WIDTH as u64)
    }

    /// Adds a leaf. Returns index and root of the lowest tile, where that is complete now.
    pub(crate) fn leaf(&mut self, leaf: Digest) -> io::Result<Option<(u64, Digest)>> {
        let mut completed = Completed::default();
        self.tree.push_subtree(0, leaf, |height, root| completed.note(height, root));
        self.size += 1;
        if let Some([lowest, ..]) = &mut self.levels {
            lowest.hashes.extend_from_slice(&leaf);
        }
        self.complete(&completed, 0)
    }

    /// Adds the leaves of a whole lowest tile: only at the start of one.
    pub(crate) fn tile(&mut self, tile: HashedTile) -> io::Result<Option<(u64, Digest)>> {
        let mut completed = Completed::default();
        completed.note(TILE_HEIGHT, tile.root);
        self.tree.push_subtree(TILE_HEIGHT, tile.root, |height, root| completed.note(height, root));
        self.size += TILE_WIDTH as u64;
        if let Some([lowest, above, ..]) = &mut self.levels {
            lowest.tiles.push(tile)?;
            above.hashes.extend_from_slice(&tile.root);
        }
        self.complete(&completed, 1)
    }

    /// Takes the tiles that were completed, from level `from` up.
    fn complete(&mut self, completed: &Completed, from: usize) -> io::Result<Option<(u64, Digest)>> {
        if let Some(levels) = &mut self.levels {
            for (number, root) in completed.roots().iter().enumerate().skip(from) {
                let Some([done, above, ..]) = levels.get_mut(number..) else { break };
                let tile = HashedTile { root: *root, content: content_of(&done.hashes) };
                done.hashes.clear();
                done.tiles.push(tile)?;
                above.hashes.extend_from_slice(root);
            }
        }
        Ok(completed.roots().first().map(|root| (self.size / TILE_WIDTH as u64 - 1, *root)))
    }

    /// Number of complete tiles of a level that were kept.
    pub(crate) fn tiles(&self, level: usize) -> u64 {
        self.levels.as_ref().and_then(|levels| levels.get(level)).map_or(0, |level| level.tiles.count)
    }

    /// A complete tile that was kept; quick where tiles are asked for in ascending order.
    pub(crate) fn tile_at(&mut self, level: usize, index: u64) -> io::Result<Option<HashedTile>> {
        match self.levels.as_mut().and_then(|levels| levels.get_mut(level)) {
            Some(level) => level.tiles.get(index),
            None => Ok(None),
        }
    }
}

/// Roots of the tiles that one leaf completes, lowest level first.
#[derive(Debug, Default)]
struct Completed {
    roots: [Digest; 8],
    count: usize,
}

impl Completed {
    fn note(&mut self, height: usize, root: Digest) {
        if height.is_multiple_of(TILE_HEIGHT)
            && let Some(slot) = self.roots.get_mut(self.count)
        {
            *slot = root;
            self.count += 1;
        }
    }

    fn roots(&self) -> &[Digest] {
        self.roots.get(..self.count).unwrap_or_default()
    }
}

/// Tiles in the order of their index: in memory, and beyond a bound in a scratch file.
#[derive(Debug, Default)]
struct Spool {
    count: u64,
    /// Tiles in the file.
    spilled: u64,
    tail: Vec<u8>,
    file: Option<File>,
    /// What was read from the file last, and the index of its first tile.
    window: Vec<u8>,
    window_start: u64,
}

impl Spool {
    fn push(&mut self, tile: HashedTile) -> io::Result<()> {
        self.tail.extend_from_slice(&tile.root);
        self.tail.extend_from_slice(&tile.content);
        self.count += 1;
        if self.tail.len() >= MEMORY_BYTES {
            let file = match &mut self.file {
                Some(file) => file,
                none => none.insert(tempfile::tempfile()?),
            };
            file.write_all(&self.tail)?;
            self.tail.clear();
            self.spilled = self.count;
        }
        Ok(())
    }

    fn get(&mut self, index: u64) -> io::Result<Option<HashedTile>> {
        if index >= self.count {
            return Ok(None);
        }
        if index >= self.spilled {
            return Ok(tile_in(&self.tail, index - self.spilled));
        }
        if let Some(tile) = index.checked_sub(self.window_start).and_then(|offset| tile_in(&self.window, offset)) {
            return Ok(Some(tile));
        }
        let Some(file) = &mut self.file else { return Ok(None) };
        let tiles = (self.spilled - index).min((MEMORY_BYTES / TILE_BYTES) as u64);
        self.window.resize(usize::try_from(tiles).unwrap_or(0) * TILE_BYTES, 0);
        file.seek(SeekFrom::Start(index * TILE_BYTES as u64))?;
        file.read_exact(&mut self.window)?;
        self.window_start = index;
        Ok(tile_in(&self.window, 0))
    }
}

fn tile_in(tiles: &[u8], offset: u64) -> Option<HashedTile> {
    let (tiles, _) = tiles.as_chunks::<TILE_BYTES>();
    let tile = tiles.get(usize::try_from(offset).ok()?)?;
    let (root, content) = tile.split_first_chunk::<32>()?;
    Some(HashedTile { root: *root, content: *content.first_chunk::<32>()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{leaf_hash, reduce};

    /// All tiles of a level by definition, and the hashes of the level above.
    fn tiles_of(hashes: &[Digest]) -> Vec<HashedTile> {
        let (tiles, _) = hashes.as_chunks::<TILE_WIDTH>();
        let tile = |hashes: &[Digest; TILE_WIDTH]| HashedTile {
            root: reduce(&mut hashes.to_vec()),
            content: content_of(hashes.as_flattened()),
        };
        tiles.iter().map(tile).collect()
    }

    #[test]
    fn tiles_of_every_level_come_out_whether_leaves_or_whole_tiles_come_in() {
        let leaves: Vec<Digest> = (0..131_500_u32).map(|number| leaf_hash(&number.to_be_bytes())).collect();
        let lowest = tiles_of(&leaves);
        let above = tiles_of(&lowest.iter().map(|tile| tile.root).collect::<Vec<_>>());
        for whole in [false, true] {
            let mut log = TreeLog::new(true);
            let (tiles, rest) = leaves.as_chunks::<TILE_WIDTH>();
            for (index, tile) in tiles.iter().enumerate() {
                let done = match whole && index % 3 > 0 {
                    true => log.tile(lowest[index]).unwrap(),
                    false => tile.iter().map(|leaf| log.leaf(*leaf).unwrap()).last().unwrap(),
                };
                assert_eq!(done, Some((index as u64, lowest[index].root)));
            }
            rest.iter().for_each(|leaf| assert_eq!(log.leaf(*leaf).unwrap(), None));
            assert_eq!([0, 1, 2, 8, 9].map(|level| log.tiles(level)), [513, 2, 0, 0, 0]);
            for (index, tile) in lowest.iter().enumerate() {
                assert_eq!(log.tile_at(0, index as u64).unwrap(), Some(*tile));
            }
            for (index, tile) in above.iter().enumerate() {
                assert_eq!(log.tile_at(1, index as u64).unwrap(), Some(*tile));
            }
            assert_eq!((log.tile_at(0, 513).unwrap(), log.tile_at(2, 0).unwrap()), (None, None));
        }
    }

    #[test]
    fn tiles_that_went_to_the_scratch_file_are_read_back() {
        let tile = |number: u64| {
            let root = leaf_hash(&number.to_be_bytes());
            HashedTile { root, content: content_of(&root) }
        };
        let mut spool = Spool::default();
        (0..40_000).for_each(|number| spool.push(tile(number)).unwrap());
        assert!(spool.file.is_some());
        for number in [0, 1, 5, 16_383, 16_384, 20_000, 39_999, 3] {
            assert_eq!(spool.get(number).unwrap(), Some(tile(number)), "{number}");
        }
        assert_eq!(spool.get(40_000).unwrap(), None);
    }
}
