//! The tiles of a bundle: the root that they give, and whether an entry's leaf is under it.

use crate::cell::Digest;
use crate::merkle::{TILE_HEIGHT, TILE_WIDTH, Tree, reduce};

const WIDTH: u64 = TILE_WIDTH as u64;
/// Eight levels of 256 cover 2⁶⁴ entries.
const LEVELS: usize = 8;

/// Why an entry is not proved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TileError {
    #[error("{0} is missing")]
    Missing(String),
    #[error("{0} has another length than {1} hashes")]
    Length(String, usize),
    #[error("the root of {0} is not the hash that stands for it in {1}")]
    Root(String, String),
    #[error("the entry is not the one whose leaf hash stands in {0}")]
    Leaf(String),
    #[error("the tree of {0} entries has no entry {1}")]
    Beyond(u64, u64),
}

/// Reads a file of the bundle by its name, up to the length of a tile and one byte more; none where there is none.
pub(super) trait Files {
    fn read(&mut self, name: &str) -> Option<Vec<u8>>;
}

/// The tiles of a tree of one size. Of each level one tile is kept, so memory is bounded.
pub(super) struct Tiles {
    size: u64,
    /// Index and hashes of the tile of each level that was proved last.
    proved: [Option<(u64, Vec<Digest>)>; LEVELS],
}

impl Tiles {
    pub(super) fn new(size: u64) -> Self {
        Self { size, proved: Default::default() }
    }

    /// The root at the tree's size, from each level's incomplete tile: they hold the roots of its complete subtrees.
    pub(super) fn root(&self, files: &mut impl Files) -> Result<Digest, TileError> {
        let mut tree = Tree::default();
        for level in (0..LEVELS).rev() {
            let hashes = self.hashes(level);
            if !hashes.is_multiple_of(WIDTH) {
                for hash in self.load(files, level, hashes / WIDTH)? {
                    tree.push_subtree(level * TILE_HEIGHT, hash, |_, _| {});
                }
            }
        }
        Ok(tree.root())
    }

    /// Whether `leaf` stands at `position` under the root that [`Tiles::root`] gave.
    pub(super) fn prove(&mut self, files: &mut impl Files, position: u64, leaf: &Digest) -> Result<(), TileError> {
        if position >= self.size {
            return Err(TileError::Beyond(self.size, position));
        }
        let found = self.tile(files, 0, position / WIDTH)?.get(usize::try_from(position % WIDTH).unwrap_or(0));
        match found == Some(leaf) {
            true => Ok(()),
            false => Err(TileError::Leaf(name(0, position / WIDTH, self.width(0, position / WIDTH)))),
        }
    }

    /// The hashes of a tile, proved up to an incomplete one.
    fn tile(&mut self, files: &mut impl Files, level: usize, index: u64) -> Result<&[Digest], TileError> {
        let known = self.proved.get(level).and_then(Option::as_ref).is_some_and(|(proved, _)| *proved == index);
        if !known {
            let hashes = self.load(files, level, index)?;
            // The hashes of an incomplete tile are what the root was computed from.
            if hashes.len() == TILE_WIDTH && level + 1 < LEVELS {
                let root = reduce(&mut hashes.clone());
                let above = self.tile(files, level + 1, index / WIDTH)?;
                if above.get(usize::try_from(index % WIDTH).unwrap_or(0)) != Some(&root) {
                    let [this, above] =
                        [(level, index), (level + 1, index / WIDTH)].map(|(level, index)| self.named(level, index));
                    return Err(TileError::Root(this, above));
                }
            }
            if let Some(slot) = self.proved.get_mut(level) {
                *slot = Some((index, hashes));
            }
        }
        let proved = self.proved.get(level).and_then(Option::as_ref);
        Ok(proved.map(|(_, hashes)| hashes.as_slice()).unwrap_or_default())
    }

    /// Whether a tile of this tree has that name.
    pub(super) fn has(&self, path: &str) -> bool {
        let of_path = || {
            let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
            let level: usize = level.parse().ok().filter(|level| *level < LEVELS)?;
            let digits = rest.split_once(".p/").map_or(rest, |(digits, _)| digits);
            let index = digits.split('/').try_fold(0_u64, |index, part| {
                let part: u64 = part.strip_prefix('x').unwrap_or(part).parse().ok().filter(|part| *part < 1_000)?;
                index.checked_mul(1_000)?.checked_add(part)
            })?;
            // Numbers can be written in more ways than one, and a name only in this.
            Some(self.width(level, index) > 0 && self.named(level, index) == path)
        };
        of_path() == Some(true)
    }

    fn load(&self, files: &mut impl Files, level: usize, index: u64) -> Result<Vec<Digest>, TileError> {
        let (name, width) = (self.named(level, index), self.width(level, index));
        let Some(bytes) = files.read(&name) else { return Err(TileError::Missing(name)) };
        let (hashes, rest) = bytes.as_chunks::<32>();
        if hashes.len() != width || !rest.is_empty() {
            return Err(TileError::Length(name, width));
        }
        Ok(hashes.to_vec())
    }

    /// Hashes that the tree has on a level of tiles.
    fn hashes(&self, level: usize) -> u64 {
        u32::try_from(level * TILE_HEIGHT).ok().and_then(|height| self.size.checked_shr(height)).unwrap_or(0)
    }

    fn width(&self, level: usize, index: u64) -> usize {
        let left = self.hashes(level).saturating_sub(index.saturating_mul(WIDTH));
        usize::try_from(left.min(WIDTH)).unwrap_or(TILE_WIDTH)
    }

    fn named(&self, level: usize, index: u64) -> String {
        name(level, index, self.width(level, index))
    }
}

/// The path of a tile by C2SP tlog-tiles: `tile/0/x001/x234/067`, with `.p/W` where it is incomplete.
fn name(level: usize, index: u64, width: usize) -> String {
    let mut path = format!("{:03}", index % 1_000);
    let mut rest = index / 1_000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1_000);
        rest /= 1_000;
    }
    match width == TILE_WIDTH {
        true => format!("tile/{level}/{path}"),
        false => format!("tile/{level}/{path}.p/{width}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::merkle::leaf_hash;

    impl Files for HashMap<String, Vec<u8>> {
        fn read(&mut self, name: &str) -> Option<Vec<u8>> {
            self.get(name).cloned()
        }
    }

    /// All tiles of a tree by definition.
    fn all(leaves: &[Digest]) -> HashMap<String, Vec<u8>> {
        let (mut files, mut level, mut hashes) = (HashMap::new(), 0, leaves.to_vec());
        while !hashes.is_empty() {
            for (index, tile) in hashes.chunks(TILE_WIDTH).enumerate() {
                files.insert(name(level, index as u64, tile.len()), tile.as_flattened().to_vec());
            }
            hashes = hashes.chunks_exact(TILE_WIDTH).map(|tile| reduce(&mut tile.to_vec())).collect();
            level += 1;
        }
        files
    }

    #[test]
    fn names_are_those_of_tlog_tiles() {
        assert_eq!(name(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(name(3, 5, 17), "tile/3/005.p/17");
    }

    #[test]
    fn every_entry_is_proved_at_sizes_around_the_edges_of_tiles() {
        let leaves: Vec<Digest> = (0..66_000_u32).map(|number| leaf_hash(&number.to_be_bytes())).collect();
        for size in [1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000] {
            let leaves = &leaves[..size];
            let mut files = all(leaves);
            let mut tree = Tree::default();
            leaves.iter().for_each(|leaf| tree.push(*leaf));
            let mut tiles = Tiles::new(size as u64);
            assert_eq!(tiles.root(&mut files), Ok(tree.root()), "{size}");
            for position in (0..size).step_by(97).chain([size - 1]) {
                assert_eq!(tiles.prove(&mut files, position as u64, &leaves[position]), Ok(()), "{position} of {size}");
            }
            assert_eq!(tiles.prove(&mut files, 0, &[7; 32]), Err(TileError::Leaf(tiles.named(0, 0))));
            assert!(tiles.prove(&mut files, size as u64, &leaves[0]).is_err());
        }
    }

    #[test]
    fn tile_with_one_bit_changed_is_found_on_the_way_up() {
        let leaves: Vec<Digest> = (0..66_000_u32).map(|number| leaf_hash(&number.to_be_bytes())).collect();
        let mut files = all(&leaves);
        files.get_mut("tile/0/003").unwrap()[0] ^= 1;
        let mut tiles = Tiles::new(66_000);
        tiles.root(&mut files).unwrap();
        let error = tiles.prove(&mut files, 800, &leaves[800]).unwrap_err();
        assert_eq!(error, TileError::Root("tile/0/003".to_owned(), "tile/1/000".to_owned()));
        assert_eq!(tiles.prove(&mut files, 1_024, &leaves[1_024]), Ok(()));
        files.remove("tile/0/004");
        assert!(matches!(Tiles::new(66_000).prove(&mut files, 1_024, &leaves[1_024]), Err(TileError::Missing(_))));
    }
}
