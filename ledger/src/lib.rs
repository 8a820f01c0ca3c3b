#![doc = include_str!("../README.md")]

pub mod append;
mod cache;
pub mod canonical;
pub mod checkpoint;
pub mod commands;
pub mod cqrs;
pub mod entry;
pub mod keys;
pub mod merkle;
pub mod note;
pub mod reader;
pub mod sequencer;
pub mod store;
pub mod tiles;
pub mod tree;
pub mod writing;

pub use append::{Append, AppendError, Appended, CommandKey, CommandRecord, Draft};
pub use entry::{Actor, ActorKind, Entry, Hash, Head, InvalidValue, LedgerId, Receipt, StreamKey};
pub use reader::{Ledger, LedgerReader};
pub use store::{Store, StoreError, StoredCheckpoint};
pub use tiles::Tile;
pub use tree::{LedgerTree, TreeError};
