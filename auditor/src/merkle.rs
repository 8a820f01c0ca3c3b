//! The auditor's own RFC 6962 tree: SHA-256 over canonical bytes, kept as one root per complete subtree.
//!
//! Written from the specification, not from the writer's code, so that a mistake in one is seen by the other.

use sha2::{Digest as _, Sha256};

use crate::cell::Digest;

/// Hashes of one tile.
pub(crate) const TILE_WIDTH: usize = 256;
/// Levels of the tree in one tile: 2⁸ = 256.
pub(crate) const TILE_HEIGHT: usize = 8;

/// `SHA-256(0x00 ‖ canonical)`.
pub fn leaf_hash(canonical: &[u8]) -> Digest {
    Sha256::new().chain_update([0x00]).chain_update(canonical).finalize().into()
}

/// `SHA-256(0x01 ‖ left ‖ right)`.
pub(crate) fn node_hash(left: &Digest, right: &Digest) -> Digest {
    // One piece, which takes less than three.
    let mut node = [0x01; 65];
    if let Some((hashes, [])) = node.split_first_mut().map(|(_, hashes)| hashes.as_chunks_mut::<32>())
        && let [first, second] = hashes
    {
        (*first, *second) = (*left, *right);
    }
    Sha256::digest(node).into()
}

/// The root over hashes of which there are a power of two, at least one. Leaves the vector with one hash.
pub(crate) fn reduce(hashes: &mut Vec<Digest>) -> Digest {
    while hashes.len() > 1 {
        let half = hashes.len() / 2;
        for index in 0..half {
            let (pairs, _) = hashes.as_chunks::<2>();
            let Some([left, right]) = pairs.get(index) else { break };
            let node = node_hash(left, right);
            if let Some(slot) = hashes.get_mut(index) {
                *slot = node;
            }
        }
        hashes.truncate(half);
    }
    hashes.first().copied().unwrap_or_default()
}

/// A growing tree. Slot `n` holds the root of a complete subtree of 2ⁿ leaves, or nothing: a binary counter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    slots: Vec<Option<Digest>>,
}

impl Tree {
    /// Adds a leaf.
    pub(crate) fn push(&mut self, leaf: Digest) {
        self.push_subtree(0, leaf, |_, _| {});
    }

    /// Adds the root of a complete subtree of 2^`height` leaves; the number of leaves before it must be a multiple of
    /// that. Two subtrees of one size become one of the next, as in adding one to a binary number: `completed` is told
    /// height and root of each subtree that comes about that way.
    pub(crate) fn push_subtree(&mut self, height: usize, root: Digest, mut completed: impl FnMut(usize, Digest)) {
        let mut carry = root;
        for (height, slot) in self.slots.iter_mut().enumerate().skip(height) {
            match slot.take() {
                Some(left) => carry = node_hash(&left, &carry),
                None => {
                    *slot = Some(carry);
                    return;
                }
            }
            completed(height + 1, carry);
        }
        self.slots.resize(self.slots.len().max(height), None);
        self.slots.push(Some(carry));
    }

    /// The tree's root; SHA-256 of nothing where there is no leaf.
    pub(crate) fn root(&self) -> Digest {
        let mut subtrees = self.slots.iter().flatten();
        let Some(smallest) = subtrees.next() else { return Sha256::digest([]).into() };
        subtrees.fold(*smallest, |right, left| node_hash(left, &right))
    }

    /// The subtrees' roots, largest first, 32 bytes each: what a head keeps as its frontier.
    pub(crate) fn frontier(&self) -> Vec<u8> {
        self.slots.iter().rev().flatten().flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6962 section 2.1 as it is written: split at the largest power of two below the number of leaves.
    fn root_by_definition(leaves: &[Vec<u8>]) -> Digest {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => leaf_hash(leaf),
            _ => {
                let half = leaves.len().next_power_of_two() / 2;
                let (left, right) = leaves.split_at(half);
                node_hash(&root_by_definition(left), &root_by_definition(right))
            }
        }
    }

    #[test]
    fn root_is_the_one_rfc_6962_defines_at_every_size() {
        let leaves: Vec<Vec<u8>> = (0..130_u32).map(|number| number.to_be_bytes().to_vec()).collect();
        let mut tree = Tree::default();
        assert_eq!(tree.root(), root_by_definition(&[]));
        for (index, leaf) in leaves.iter().enumerate() {
            tree.push(leaf_hash(leaf));
            assert_eq!(tree.root(), root_by_definition(&leaves[..=index]), "{} leaves", index + 1);
            assert_eq!(tree.frontier().len(), (index + 1).count_ones() as usize * 32);
        }
    }

    #[test]
    fn subtrees_pushed_whole_come_to_the_same_tree() {
        let leaves: Vec<Digest> = (0..1_100_u32).map(|number| leaf_hash(&number.to_be_bytes())).collect();
        let (mut by_leaves, mut by_tiles) = (Tree::default(), Tree::default());
        leaves.iter().for_each(|leaf| by_leaves.push(*leaf));
        let (tiles, rest) = leaves.as_chunks::<TILE_WIDTH>();
        tiles.iter().for_each(|tile| by_tiles.push_subtree(TILE_HEIGHT, reduce(&mut tile.to_vec()), |_, _| {}));
        rest.iter().for_each(|leaf| by_tiles.push(*leaf));
        assert_eq!((by_leaves.root(), by_leaves.frontier()), (by_tiles.root(), by_tiles.frontier()));
    }

    #[test]
    fn frontier_lists_the_largest_subtree_first() {
        let leaves: Vec<Vec<u8>> = (0..7_u8).map(|number| vec![number]).collect();
        let mut tree = Tree::default();
        leaves.iter().for_each(|leaf| tree.push(leaf_hash(leaf)));
        let expected = [&leaves[..4], &leaves[4..6], &leaves[6..]].map(root_by_definition).concat();
        assert_eq!(tree.frontier(), expected);
    }
}
