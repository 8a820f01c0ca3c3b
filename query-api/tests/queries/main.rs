//! Every query against a real ledger and real read tables in a fresh folder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed unwrap is a failed test"
)]

mod agents;
mod approvals;
mod audit;
mod bundles;
mod checkpoints;
mod decisions;
mod departments;
mod document;
mod exports;
mod figures;
mod hostile;
mod incidents;
mod ledger;
mod live;
mod operations;
mod organizations;
mod personal;
mod proofs;
mod tiles;
mod transactions;
mod world;
