//! Roots, inclusion proofs and consistency proofs against two implementations by others, at every size up to 300.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use daybook_auditor::path::{RangeRoots, consistency_ranges, inclusion_ranges};
use daybook_auditor::proof::{ProofError, leaf_hash, verify_consistency, verify_inclusion};
use sha2::Sha256;
use tlog_tiles::{Hash, HashReader};

const SIZE: u64 = 300;

fn leaf_data(position: u64) -> Vec<u8> {
    format!("entry {position}").into_bytes()
}

fn roots(leaves: &[[u8; 32]], ranges: Vec<std::ops::Range<u64>>) -> Vec<[u8; 32]> {
    let mut roots = RangeRoots::new(ranges);
    leaves.iter().for_each(|leaf| roots.push(*leaf));
    roots.finish().unwrap()
}

fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    roots(leaves, std::iter::once(0..leaves.len() as u64).collect())[0]
}

fn hashes(bytes: &[u8]) -> Vec<[u8; 32]> {
    bytes.chunks_exact(32).map(|chunk| chunk.try_into().unwrap()).collect()
}

/// The stored hashes of the reference implementation.
#[derive(Default)]
struct Stored(Vec<Hash>);

impl HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|index| self.0[*index as usize]).collect())
    }
}

/// Everything that each size needs: leaves, roots by size, and both other trees.
struct Trees {
    leaves: Vec<[u8; 32]>,
    roots: Vec<[u8; 32]>,
    stored: Stored,
}

fn trees() -> Trees {
    let (mut leaves, mut stored, mut all) = (Vec::new(), Stored::default(), vec![root(&[])]);
    for position in 0..SIZE {
        let data = leaf_data(position);
        leaves.push(leaf_hash(&data));
        let added = tlog_tiles::stored_hashes(position, &data, &stored).unwrap();
        stored.0.extend(added);
        all.push(root(&leaves));
    }
    Trees { leaves, roots: all, stored }
}

#[test]
fn inclusion_proofs_of_both_others_are_ours_at_every_size_and_position() {
    let trees = trees();
    let mut other = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    for size in 1..=SIZE {
        other.push(leaf_data(size - 1));
        let root = trees.roots[size as usize];
        assert_eq!(other.root().as_bytes().as_slice(), root, "root of {size}");
        assert_eq!(tlog_tiles::tree_hash(size, &trees.stored).unwrap().0, root, "root of {size}");
        for position in 0..size {
            let path = hashes(other.prove_inclusion(position as usize).as_bytes());
            let reference = tlog_tiles::prove_record(size, position, &trees.stored).unwrap();
            assert_eq!(path, reference.iter().map(|hash| hash.0).collect::<Vec<_>>());
            // Making one takes the whole tree; every size, but not every position of it.
            if position % 29 == 0 || position + 1 == size {
                assert_eq!(path, roots(&trees.leaves, inclusion_ranges(position, size)), "{position} of {size}");
            }
            let leaf = trees.leaves[position as usize];
            verify_inclusion(position, size, leaf, &path, &root).unwrap();
            // What verifies at this position verifies at no other, and not with the neighbour's leaf.
            let beside = if position + 1 < size { position + 1 } else { 0 };
            if beside != position {
                assert!(
                    verify_inclusion(beside, size, leaf, &path, &root).is_err(),
                    "{position} as {beside} of {size}"
                );
                let neighbour = trees.leaves[beside as usize];
                assert!(verify_inclusion(position, size, neighbour, &path, &root).is_err());
            }
        }
    }
}

#[test]
fn consistency_proofs_of_both_others_are_ours_for_every_pair_of_sizes() {
    let trees = trees();
    let mut other = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    for new in 1..=SIZE {
        other.push(leaf_data(new - 1));
        let new_root = trees.roots[new as usize];
        verify_consistency(0, new, &trees.roots[0], &new_root, &[]).unwrap();
        verify_consistency(new, new, &new_root, &new_root, &[]).unwrap();
        for old in 1..new {
            let old_root = trees.roots[old as usize];
            let proof = hashes(other.prove_consistency((new - old) as usize).as_bytes());
            let reference = tlog_tiles::prove_tree(new, old, &trees.stored).unwrap();
            assert_eq!(proof, reference.iter().map(|hash| hash.0).collect::<Vec<_>>(), "{old} to {new}");
            if old % 29 == 0 || old + 1 == new {
                assert_eq!(proof, roots(&trees.leaves, consistency_ranges(old, new)), "{old} to {new}");
            }
            verify_consistency(old, new, &old_root, &new_root, &proof).unwrap();
            let wrong = trees.roots[old as usize - 1];
            assert!(verify_consistency(old, new, &wrong, &new_root, &proof).is_err(), "{old} to {new}");
            assert!(verify_consistency(old, new, &old_root, &wrong, &proof).is_err(), "{old} to {new}");
        }
    }
}

#[test]
fn our_proofs_are_verified_by_both_others() {
    let trees = trees();
    for size in [1, 2, 3, 7, 8, 9, 255, 256, 257, 300_u64] {
        let root = trees.roots[size as usize];
        let mut other = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        (0..size).for_each(|position| other.push(leaf_data(position)));
        for position in 0..size {
            let path = roots(&trees.leaves, inclusion_ranges(position, size));
            let theirs: Vec<Hash> = path.iter().map(|hash| Hash(*hash)).collect();
            let leaf = Hash(trees.leaves[position as usize]);
            tlog_tiles::check_record(&theirs, size, Hash(root), position, leaf).unwrap();
            let proof = ct_merkle::InclusionProof::<Sha256>::from_bytes(path.concat());
            other.root().verify_inclusion(&leaf_data(position), position, &proof).unwrap();
        }
        for old in 1..size {
            let proof = roots(&trees.leaves, consistency_ranges(old, size));
            let theirs: Vec<Hash> = proof.iter().map(|hash| Hash(*hash)).collect();
            let old_root = trees.roots[old as usize];
            tlog_tiles::check_tree(&theirs, size, Hash(root), old, Hash(old_root)).unwrap();
            let proof = ct_merkle::ConsistencyProof::<Sha256>::try_from_bytes(proof.concat()).unwrap();
            let old_root = ct_merkle::RootHash::<Sha256>::new(old_root.into(), old);
            other.root().verify_consistency(&old_root, &proof).unwrap();
        }
    }
}

#[test]
fn a_proof_with_one_hash_changed_missing_or_added_is_refused() {
    let trees = trees();
    for (old, size) in [(1, 2), (5, 8), (8, 13), (100, 300), (256, 300), (299, 300_u64)] {
        let (old_root, root) = (trees.roots[old as usize], trees.roots[size as usize]);
        let leaf = trees.leaves[old as usize];
        let path = roots(&trees.leaves, inclusion_ranges(old, size));
        let proof = roots(&trees.leaves, consistency_ranges(old, size));
        let inclusion = |path: &[[u8; 32]]| verify_inclusion(old, size, leaf, path, &root);
        let consistency = |proof: &[[u8; 32]]| verify_consistency(old, size, &old_root, &root, proof);
        for index in 0..path.len() {
            let mut changed = path.clone();
            changed[index][31] ^= 1;
            assert_eq!(inclusion(&changed), Err(ProofError::WrongRoot));
        }
        for index in 0..proof.len() {
            let mut changed = proof.clone();
            changed[index][0] ^= 0x80;
            assert_eq!(consistency(&changed), Err(ProofError::WrongRoot), "{old} to {size}, hash {index}");
        }
        assert_eq!(inclusion(&path[1..]), Err(ProofError::WrongLength));
        assert_eq!(consistency(&proof[1..]), Err(ProofError::WrongLength));
        assert_eq!(inclusion(&[path.as_slice(), &[root]].concat()), Err(ProofError::WrongLength));
        assert_eq!(consistency(&[proof.as_slice(), &[root]].concat()), Err(ProofError::WrongLength));
    }
}

#[test]
fn sizes_and_positions_that_do_not_exist_are_refused_without_a_panic() {
    let (root, path) = ([7; 32], vec![[9; 32]; 70]);
    for (position, size) in [(0, 0), (1, 1), (5, 3), (u64::MAX, u64::MAX), (u64::MAX, 0)] {
        assert_eq!(verify_inclusion(position, size, root, &path, &root), Err(ProofError::OutOfRange));
        assert!(inclusion_ranges(position, size).is_empty());
    }
    assert!(verify_inclusion(u64::MAX - 1, u64::MAX, root, &path, &root).is_err());
    assert!(verify_inclusion(u64::MAX - 1, u64::MAX, root, &path[..64], &root).is_err());
    assert_eq!(verify_consistency(2, 1, &root, &root, &path), Err(ProofError::OutOfRange));
    assert!(verify_consistency(u64::MAX - 1, u64::MAX, &root, &root, &path).is_err());
    assert!(verify_consistency(1, u64::MAX, &root, &root, &[]).is_err());
    assert!(verify_consistency(0, 5, &root, &root, &[]).is_err());
    assert_eq!(inclusion_ranges(u64::MAX - 1, u64::MAX).len(), 64 - 1);
}
