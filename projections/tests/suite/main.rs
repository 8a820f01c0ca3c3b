//! Every test runs on SQLite, and on PostgreSQL where `DAYBOOK_TEST_POSTGRES_URL` names a server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod approvals;
mod audit_trail;
mod audit_trail_of_decisions;
mod engine;
mod exports;
mod incidents;
mod rebuild;
mod stats;
mod support;
mod throughput;
mod transactions;
