//! Whole-system tests: each starts the real program, on SQLite and on PostgreSQL where the store matters.
//!
//! One executable, so that one link serves them all; one module a subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed unwrap is a failed test"
)]

mod anchors;
mod approvals;
mod architecture;
mod attacks;
mod authorisation;
mod batch;
mod checkpoints;
mod concurrency;
mod crash;
mod embedded;
mod exports;
mod faults;
mod hostile;
mod hostile_values;
mod identity;
mod imports;
mod load_test;
mod postgres_roles;
mod projections;
mod proofs;
mod rebuild;
mod regulation;
