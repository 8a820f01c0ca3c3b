#![doc = include_str!("../README.md")]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod cell;
mod chain;
mod head;
mod merkle;
mod postgres;
mod render;
pub mod report;
mod source;
mod sqlite;
mod streams;
mod walk;

pub use report::{Finding, FindingKind, LedgerReport, Report, Verdict};
pub use source::{Progress, Source, SourceError, VerifyOptions, verify};
