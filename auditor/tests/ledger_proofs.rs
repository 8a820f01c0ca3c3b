//! Proofs that the ledger makes, verified by the auditor's own algorithms over roots that it computed itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
mod signing;
mod workbench;

use std::sync::Arc;

use daybook_auditor::path::{RangeRoots, consistency_ranges, inclusion_ranges};
use daybook_auditor::proof::{leaf_hash, verify_consistency, verify_inclusion};
use daybook_ledger::canonical::canonical_bytes;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Hash, LedgerId, LedgerReader, LedgerTree};
use workbench::Bench;

fn roots(leaves: &[[u8; 32]], ranges: Vec<std::ops::Range<u64>>) -> Vec<[u8; 32]> {
    let mut roots = RangeRoots::new(ranges);
    leaves.iter().for_each(|leaf| roots.push(*leaf));
    roots.finish().unwrap()
}

fn bytes(hashes: &[Hash]) -> Vec<[u8; 32]> {
    hashes.iter().map(|hash| hash.0).collect()
}

#[tokio::test]
async fn the_ledger_s_proofs_verify_and_are_the_ones_the_auditor_makes() {
    let bench = Bench::new().await;
    bench.grow(270).await;
    let copy = bench.copy();
    let store = Arc::new(SqliteStore::open(copy.path()).unwrap());
    let reader = LedgerReader::open(store, LedgerId::main()).await.unwrap();
    let leaves: Vec<[u8; 32]> =
        reader.entries(0, 300).await.unwrap().iter().map(|entry| leaf_hash(&canonical_bytes(entry))).collect();
    assert_eq!(leaves.len(), 300);
    let tree = LedgerTree::new(reader);
    let mut all = Vec::new();
    for size in 0..=300_u64 {
        let root = roots(&leaves, std::iter::once(0..size).collect())[0];
        assert_eq!(tree.root_at(size).await.unwrap().0, root, "root of {size}");
        all.push(root);
    }
    for size in 1..=300_u64 {
        let root = &all[size as usize];
        for one in [0, 1, size / 3, size / 2, 255, 256, size - 1].into_iter().filter(|one| *one < size) {
            let path = bytes(&tree.inclusion(one, size).await.unwrap());
            verify_inclusion(one, size, leaves[one as usize], &path, root).unwrap();
            let proof = bytes(&tree.consistency(one, size).await.unwrap());
            verify_consistency(one, size, &all[one as usize], root, &proof).unwrap();
            if size % 16 < 2 {
                assert_eq!(path, roots(&leaves, inclusion_ranges(one, size)), "{one} in {size}");
                assert_eq!(proof, roots(&leaves, consistency_ranges(one, size)), "{one} to {size}");
            }
        }
    }
}
