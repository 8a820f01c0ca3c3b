//! Proofs about a tree that the auditor does not hold: an entry is in it, one tree continues another.
//!
//! The algorithms are those of RFC 9162, sections 2.1.3.2 and 2.1.4.2, over the tree of RFC 6962.

use crate::cell::Digest;
pub use crate::merkle::leaf_hash;
use crate::merkle::node_hash;

/// A tree of 64-bit size is at most 64 levels high.
pub const MAX_PATH: usize = 64;
/// A consistency proof has one hash more than a path.
pub const MAX_CONSISTENCY: usize = MAX_PATH + 1;

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The position is not below the size, or the old size is above the new one.
    #[error("the proof is about a position or a size that the tree does not have")]
    OutOfRange,
    /// The proof has too few or too many hashes for its sizes.
    #[error("the proof does not have the number of hashes that its sizes need")]
    WrongLength,
    /// The hashes do not lead to the root.
    #[error("the proof does not lead to the root")]
    WrongRoot,
}

/// The root of a tree of `size` leaves in which `leaf` stands at `position`, by its audit path, lowest first.
pub fn root_from_inclusion(position: u64, size: u64, leaf: Digest, path: &[Digest]) -> Result<Digest, ProofError> {
    if position >= size {
        return Err(ProofError::OutOfRange);
    }
    // Both walk up the tree: the node on the path, and the last node of its level.
    let (mut node, mut last) = (position, size - 1);
    let mut hash = leaf;
    for sibling in path {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A last node without a right sibling moves up unchanged until it is a right child.
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 { Ok(hash) } else { Err(ProofError::WrongLength) }
}

/// Whether `leaf` stands at `position` of the tree of `size` leaves with this `root`.
pub fn verify_inclusion(
    position: u64,
    size: u64,
    leaf: Digest,
    path: &[Digest],
    root: &Digest,
) -> Result<(), ProofError> {
    if root_from_inclusion(position, size, leaf, path)? == *root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// Whether the tree of `new_size` leaves with `new_root` begins with the tree of `old_size` leaves with `old_root`.
pub fn verify_consistency(
    old_size: u64,
    new_size: u64,
    old_root: &Digest,
    new_root: &Digest,
    proof: &[Digest],
) -> Result<(), ProofError> {
    let same = |equal: bool| if equal { Ok(()) } else { Err(ProofError::WrongRoot) };
    match old_size {
        _ if old_size > new_size => return Err(ProofError::OutOfRange),
        _ if old_size == new_size => {
            return if proof.is_empty() { same(old_root == new_root) } else { Err(ProofError::WrongLength) };
        }
        // Every tree begins with the empty one, whose root is the hash of nothing.
        0 => {
            let empty = crate::merkle::Tree::default().root();
            return if proof.is_empty() { same(*old_root == empty) } else { Err(ProofError::WrongLength) };
        }
        _ => {}
    }
    // Where the old tree is one complete subtree, its root is the first node and is left out of the proof.
    let (first, rest) = if old_size.is_power_of_two() {
        (*old_root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or(ProofError::WrongLength)?;
        (*first, rest)
    };
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (first, first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if node & 1 == 1 || node == last {
            old = node_hash(sibling, &old);
            new = node_hash(sibling, &new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength);
    }
    same(old == *old_root && new == *new_root)
}
