//! Whatever is changed in a ledger file is found, and where it was changed is said.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::collections::HashMap;
use std::path::Path;

use common::image::{Image, Table, apply};
use common::mutations::{Mutation, Mutator, ROW_CHANGES, VALUE_CHANGES};
use common::{sample_file, verify_file};

/// Seed of the first random mutation; another one comes from `DAYBOOK_TEST_SEED`.
fn first_seed() -> u64 {
    std::env::var("DAYBOOK_TEST_SEED").map_or(1, |seed| seed.parse().unwrap())
}

async fn try_mutation(sample: &Path, copy: &Path, seed: u64, mutation: &Mutation) {
    std::fs::copy(sample, copy).unwrap();
    apply(copy, &mutation.changes);
    let report = verify_file(copy).await;
    if let Some(complaint) = mutation.complaint(&report) {
        panic!("DAYBOOK_TEST_SEED={seed}: {complaint}");
    }
}

#[tokio::test]
async fn every_way_to_change_every_column_and_row_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample_file(folder.path()).await;
    let image = Image::read(&rusqlite::Connection::open(&sample).unwrap());
    let copy = folder.path().join("copy.db");
    let mut tried: HashMap<String, usize> = HashMap::new();
    for table in [Table::Entries, Table::Heads] {
        for (index, column) in table.columns().iter().enumerate() {
            for (how, seed) in VALUE_CHANGES.iter().zip(first_seed()..) {
                let Some(mutation) = Mutator::new(&image, seed, false).value(table, index, how) else { continue };
                try_mutation(&sample, &copy, seed, &mutation).await;
                *tried.entry(format!("{}.{column}", table.name())).or_default() += 1;
            }
        }
    }
    assert_eq!(tried.len(), 22, "every column of both tables");
    assert!(tried.values().all(|tries| *tries >= 5), "several ways each: {tried:?}");
    for how in ROW_CHANGES {
        let mut seeds = first_seed()..;
        for _ in 0..4 {
            let (seed, mutation) =
                seeds.find_map(|seed| Some((seed, Mutator::new(&image, seed, false).rows(how)?))).unwrap();
            try_mutation(&sample, &copy, seed, &mutation).await;
        }
    }
}

#[tokio::test]
async fn four_hundred_random_mutations_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample_file(folder.path()).await;
    let image = Image::read(&rusqlite::Connection::open(&sample).unwrap());
    let copy = folder.path().join("copy.db");
    for seed in first_seed()..first_seed() + 400 {
        let mutation = Mutator::new(&image, seed, false).any();
        try_mutation(&sample, &copy, seed, &mutation).await;
    }
}

#[tokio::test]
async fn untouched_sample_verifies_also_with_its_constraints_gone() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample_file(folder.path()).await;
    let report = verify_file(&sample).await;
    assert_eq!(report.exit_code(), 0, "{report}");
    let sizes: Vec<_> = report.ledgers.iter().map(|ledger| (ledger.ledger_id.as_str(), ledger.size as usize)).collect();
    assert_eq!(sizes, common::SAMPLE);
    let connection = rusqlite::Connection::open(&sample).unwrap();
    connection
        .execute_batch(
            "create table loose as select * from ledger_entries order by hash; \
             drop table ledger_entries; alter table loose rename to ledger_entries;",
        )
        .unwrap();
    let loose = verify_file(&sample).await;
    assert_eq!(loose.exit_code(), 0, "{loose}");
    assert_eq!(loose.ledgers[1].root, report.ledgers[1].root);
}
