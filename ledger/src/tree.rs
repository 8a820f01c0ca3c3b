//! Proofs from the tree as the store keeps it: roots at any size, inclusion, consistency, and what tlog-tiles serves.
//!
//! Nothing is read but tiles, and the entries of the lowest incomplete one: an answer costs the logarithm of the ledger's
//! size. What is proved is what the store says; a verifier believes the proof, not the store.

use std::collections::HashMap;

use crate::canonical::canonical_bytes;
use crate::entry::Hash;
use crate::merkle;
use crate::reader::LedgerReader;
use crate::store::StoreError;
use crate::tiles::{self, MAX_LEVEL, TILE_HEIGHT, TILE_WIDTH};

/// Entries read, or tiles written, at once while tiles are made for a ledger that has none.
const CHUNK: u64 = 8 * 256;

/// Why there is no such proof.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The ledger is not that long, or the question makes no sense.
    #[error("{0}")]
    OutOfRange(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store lacks a tile that the tree of this size has.
    #[error("tile {index} of level {level} is missing or incomplete in the store")]
    MissingTile {
        /// Its level.
        level: u8,
        /// Its index.
        index: u64,
    },
    /// An entry is too long to be served in a bundle.
    #[error("entry {0} does not fit into a bundle")]
    TooLong(u64),
}

/// The tree over one ledger. Cheap to clone.
#[derive(Clone)]
pub struct LedgerTree {
    reader: LedgerReader,
}

/// Leaves `from..to`, a piece of the tree that RFC 6962 gives one hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    from: u64,
    to: u64,
}

impl LedgerTree {
    /// The tree over the ledger that `reader` reads.
    pub fn new(reader: LedgerReader) -> Self {
        Self { reader }
    }

    /// The ledger.
    pub fn reader(&self) -> &LedgerReader {
        &self.reader
    }

    /// RFC 6962 root over the first `size` entries.
    pub async fn root_at(&self, size: u64) -> Result<Hash, TreeError> {
        self.check_size(size).await?;
        Nodes::new(&self.reader).root(Range { from: 0, to: size }).await
    }

    /// The audit path of the entry at `position` in the tree of `size` entries, lowest sibling first (RFC 6962, 2.1.1).
    pub async fn inclusion(&self, position: u64, size: u64) -> Result<Vec<Hash>, TreeError> {
        self.check_size(size).await?;
        if position >= size {
            return Err(TreeError::OutOfRange(format!("a tree of {size} entries has none at {position}")));
        }
        self.roots(inclusion_ranges(position, size)).await
    }

    /// The proof that the tree of `size` entries extends that of `old` ones (RFC 6962, 2.1.2). Empty where one of the two
    /// says nothing: the same size, or an empty old tree.
    pub async fn consistency(&self, old: u64, size: u64) -> Result<Vec<Hash>, TreeError> {
        self.check_size(size).await?;
        if old > size {
            return Err(TreeError::OutOfRange(format!("{old} entries do not precede {size}")));
        }
        self.roots(consistency_ranges(old, size)).await
    }

    /// The first `width` hashes of a tile, 32 bytes each; `None` where the tree does not reach that far.
    pub async fn tile(&self, level: u8, index: u64, width: usize) -> Result<Option<Vec<u8>>, TreeError> {
        if width == 0 || width > TILE_WIDTH || level > MAX_LEVEL {
            return Ok(None);
        }
        let hashes = Nodes::new(&self.reader).load(level, index).await?;
        Ok(hashes.get(..width).map(|hashes| hashes.iter().flat_map(|hash| hash.0).collect()))
    }

    /// The first `width` entries of a bundle, each as its canonical bytes after their length in two bytes, big-endian;
    /// `None` where the ledger does not reach that far.
    pub async fn entry_bundle(&self, index: u64, width: usize) -> Result<Option<Vec<u8>>, TreeError> {
        let Some(from) = index.checked_mul(TILE_WIDTH as u64).filter(|_| (1..=TILE_WIDTH).contains(&width)) else {
            return Ok(None);
        };
        let entries = self.reader.entries(from, width).await?;
        if entries.len() < width {
            return Ok(None);
        }
        let mut bundle = Vec::with_capacity(width * 512);
        for entry in &entries {
            let bytes = canonical_bytes(entry);
            let length = u16::try_from(bytes.len()).map_err(|_| TreeError::TooLong(entry.position))?;
            bundle.extend_from_slice(&length.to_be_bytes());
            bundle.extend_from_slice(&bytes);
        }
        Ok(Some(bundle))
    }

    async fn roots(&self, ranges: Vec<Range>) -> Result<Vec<Hash>, TreeError> {
        let mut nodes = Nodes::new(&self.reader);
        let mut roots = Vec::with_capacity(ranges.len());
        for range in ranges {
            roots.push(nodes.root(range).await?);
        }
        Ok(roots)
    }

    /// The hint of the reader spares most questions their look at the head.
    async fn check_size(&self, size: u64) -> Result<(), TreeError> {
        if size <= *self.reader.wake().borrow() {
            return Ok(());
        }
        let actual = self.reader.head().await?.size;
        if size > actual {
            return Err(TreeError::OutOfRange(format!("the ledger has {actual} entries, not {size}")));
        }
        Ok(())
    }
}

/// Makes the tiles of a ledger that was written before there were any. Answers how many were made; none where the last
/// complete one is there.
pub async fn backfill(reader: &LedgerReader) -> Result<u64, TreeError> {
    let (store, ledger) = (reader.store(), reader.id());
    let size = reader.head().await?.size;
    let Some(last) = tiles::complete_tiles(size, 0).checked_sub(1) else { return Ok(0) };
    if !store.tile_roots(ledger, 0, last, 1).await?.is_empty() {
        return Ok(0);
    }
    tracing::info!(%ledger, entries = size, "making the tiles of a ledger that has none");
    let (mut position, mut made) = (0, 0_u64);
    while position < size {
        let until = (position + CHUNK).min(size);
        let wanted = usize::try_from(until - position).unwrap_or(TILE_WIDTH);
        let entries = reader.entries(position, wanted).await?;
        let mut stored = Vec::new();
        for roots in tiles::missing(position, until) {
            stored.push(store.tile_roots(ledger, roots.level, roots.from, roots.count).await?);
        }
        let complete = tiles::complete(position, &[], &tiles::leaves_of(&entries), stored);
        made += complete.len() as u64;
        store.add_tiles(ledger, &complete).await?;
        position = until;
    }
    Ok(made)
}

/// Hashes of the tree, with the tiles that one question has read.
struct Nodes<'a> {
    reader: &'a LedgerReader,
    tiles: HashMap<(u8, u64), Vec<Hash>>,
}

impl<'a> Nodes<'a> {
    fn new(reader: &'a LedgerReader) -> Self {
        Self { reader, tiles: HashMap::new() }
    }

    /// RFC 6962 hash of a range: its complete subtrees, folded from the right.
    async fn root(&mut self, range: Range) -> Result<Hash, TreeError> {
        let mut roots = Vec::new();
        for (height, index) in subtrees(range) {
            roots.push(self.node(height, index).await?);
        }
        let mut roots = roots.into_iter().rev();
        let Some(smallest) = roots.next() else { return Ok(merkle::root_of(&[])) };
        Ok(roots.fold(smallest, |right, left| merkle::node(&left, &right)))
    }

    /// The root of the complete subtree of 2^`height` leaves that is the `index`-th of its height.
    async fn node(&mut self, height: u32, index: u64) -> Result<Hash, TreeError> {
        let level = u8::try_from(height / TILE_HEIGHT).unwrap_or(MAX_LEVEL);
        let within = height % TILE_HEIGHT;
        let first = index << within;
        let tile = first / TILE_WIDTH as u64;
        if !self.tiles.contains_key(&(level, tile)) {
            let hashes = self.load(level, tile).await?;
            self.tiles.insert((level, tile), hashes);
        }
        let start = usize::try_from(first % TILE_WIDTH as u64).unwrap_or(0);
        let hashes = self.tiles.get(&(level, tile)).and_then(|hashes| hashes.get(start..start + (1 << within)));
        hashes.map(merkle::root_of).ok_or(TreeError::MissingTile { level, index: tile })
    }

    /// The hashes of a tile as far as the ledger reaches: stored where it is complete, else from what is below it.
    async fn load(&self, level: u8, index: u64) -> Result<Vec<Hash>, TreeError> {
        let (store, ledger) = (self.reader.store(), self.reader.id());
        let stored = store.tiles(ledger, level, index, 1).await?;
        if let Some(tile) = stored.into_iter().find(|tile| tile.index == index) {
            return Ok(tile.hashes);
        }
        let Some(from) = index.checked_mul(TILE_WIDTH as u64) else { return Ok(Vec::new()) };
        match level.checked_sub(1) {
            Some(below) => Ok(store.tile_roots(ledger, below, from, TILE_WIDTH).await?),
            None => Ok(tiles::leaves_of(&self.reader.entries(from, TILE_WIDTH).await?)),
        }
    }
}

/// A range as complete subtrees, largest first: height and index of each.
fn subtrees(range: Range) -> Vec<(u32, u64)> {
    let (mut from, mut found) = (range.from, Vec::new());
    while from < range.to {
        let height = (range.to - from).ilog2();
        found.push((height, from >> height));
        from += 1 << height;
    }
    found
}

/// The largest power of two below `leaves`, which are at least two: where RFC 6962 splits a tree.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

fn inclusion_ranges(position: u64, size: u64) -> Vec<Range> {
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    while to - from > 1 {
        let middle = from + split(to - from);
        if position < middle {
            path.push(Range { from: middle, to });
            to = middle;
        } else {
            path.push(Range { from, to: middle });
            from = middle;
        }
    }
    path.reverse();
    path
}

fn consistency_ranges(old: u64, size: u64) -> Vec<Range> {
    if old == 0 || old == size {
        return Vec::new();
    }
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    while to != old {
        let middle = from + split(to - from);
        if old <= middle {
            path.push(Range { from: middle, to });
            to = middle;
        } else {
            path.push(Range { from, to: middle });
            from = middle;
        }
    }
    if from > 0 {
        path.push(Range { from, to });
    }
    path.reverse();
    path
}
