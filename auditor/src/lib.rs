#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod anchors;
mod batch;
mod bundle;
mod cell;
mod chain;
pub mod checkpoint;
pub mod entry_facts;
mod entry_line;
pub mod evidence_page;
pub mod evidence_text;
pub mod examine;
pub mod export_check;
pub mod gate;
mod group;
mod hashing;
mod head;
pub mod judge;
pub mod keys;
pub mod memory;
mod merkle;
pub mod note;
mod own_entries;
pub mod path;
pub mod peek;
mod pipeline;
pub mod policy;
mod postgres;
pub mod proof;
pub mod proof_check;
mod render;
pub mod report;
pub mod sealed;
pub mod seen;
mod server;
mod side_by_side;
mod source;
mod sqlite;
mod states;
mod stored_tiles;
mod streams;
pub mod tlog_proof;
mod tree_log;
pub mod trust;
pub mod verifier_key;
mod walk;
pub mod words;

pub use report::{
    AnchorRow, Finding, FindingKind, KeyEvent, LedgerReport, Part, Report, SealInfo, SelectionFacts, StateAt,
    StoredCheckpoint, Verdict,
};
pub use source::{Progress, Source, SourceError, TileRoots, VerifyOptions, verify};
pub use trust::TrustFinding;
