#![doc = include_str!("../README.md")]

pub mod amounts;
pub mod approval_figures;
pub mod approval_policies;
pub mod approvals;
pub mod audit_trail;
pub mod db;
pub mod delegations;
pub mod exports;
pub mod figures;
pub mod free_text;
pub mod incidents;
pub mod page;
pub mod positions;
mod sql;
pub mod stats;
pub mod time;
pub mod transactions;

pub use db::{ReadDb, ReadError, StoreKind};
pub use free_text::FreeText;
pub use page::{Cursor, Page, PageRequest};
