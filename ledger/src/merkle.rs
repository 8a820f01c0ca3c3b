//! RFC 6962 tree over the entries' canonical bytes, kept as its frontier.
//!
//! Only what appending needs: the roots of the complete subtrees, largest first. Proofs are made in [`crate::tree`].

use sha2::{Digest, Sha256};

use crate::entry::{Hash, InvalidValue};

/// Leaf hash: `SHA-256(0x00 ‖ canonical)`.
pub fn leaf(canonical: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0_u8]);
    hasher.update(canonical);
    Hash(hasher.finalize().into())
}

/// Inner node: `SHA-256(0x01 ‖ left ‖ right)`.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1_u8]);
    hasher.update(left.0);
    hasher.update(right.0);
    Hash(hasher.finalize().into())
}

/// RFC 6962 root over hashes that are nodes of one level; SHA-256 of nothing where there are none.
pub fn root_of(hashes: &[Hash]) -> Hash {
    let mut frontier = Frontier::default();
    for hash in hashes {
        frontier.push(*hash);
    }
    frontier.root()
}

/// Whether `proof` shows that the tree of `size` leaves with `root` extends that of `old_size` leaves with `old_root` (RFC 9162,
/// 2.1.4.2). Both roots are computed from the same hashes, so neither can be right without the other.
pub fn extends(old_size: u64, old_root: &Hash, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    if old_size == size {
        return proof.is_empty() && old_root == root;
    }
    if old_size == 0 || old_size > size {
        return old_size == 0 && proof.is_empty();
    }
    // An old tree that is a complete subtree of the new one is its own first hash.
    let first = old_size.is_power_of_two().then_some(*old_root);
    let mut hashes = first.iter().chain(proof);
    let Some(first) = hashes.next() else { return false };
    let shift = (old_size - 1).trailing_ones();
    let (mut old_index, mut index) = ((old_size - 1) >> shift, (size - 1) >> shift);
    let (mut old, mut new) = (*first, *first);
    for hash in hashes {
        if index == 0 {
            return false;
        }
        if old_index & 1 == 1 || old_index == index {
            (old, new) = (node(hash, &old), node(hash, &new));
            while old_index & 1 == 0 && old_index != 0 {
                (old_index, index) = (old_index >> 1, index >> 1);
            }
        } else {
            new = node(&new, hash);
        }
        (old_index, index) = (old_index >> 1, index >> 1);
    }
    index == 0 && old == *old_root && new == *root
}

/// Roots of the complete subtrees that make up a tree, largest first: one per set bit of the tree's size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf: merges as many complete subtrees as the size has trailing one bits.
    pub fn push(&mut self, leaf: Hash) {
        let mut carried = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                carried = node(&left, &carried);
            }
        }
        self.roots.push(carried);
        self.size += 1;
    }

    /// RFC 6962 root; SHA-256 of nothing for the empty tree.
    pub fn root(&self) -> Hash {
        let mut subtrees = self.roots.iter().rev();
        let Some(smallest) = subtrees.next() else {
            return Hash(Sha256::digest([]).into());
        };
        subtrees.fold(*smallest, |right, left| node(left, &right))
    }

    /// The subtree roots as bytes, 32 each, largest first.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.roots.iter().flat_map(|root| root.0).collect()
    }

    /// Reads what [`Frontier::to_bytes`] wrote for a tree of `size` leaves.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Result<Self, InvalidValue> {
        let expected = usize::try_from(size.count_ones()).unwrap_or(64) * 32;
        if bytes.len() != expected {
            return Err(InvalidValue::new(
                "frontier",
                format!("a tree of {size} leaves has {expected} bytes of frontier, not {}", bytes.len()),
            ));
        }
        let roots = bytes.chunks_exact(32).map(Hash::from_slice).collect::<Result<_, _>>()?;
        Ok(Self { size, roots })
    }
}
