#![doc = include_str!("../README.md")]

pub mod custody;
pub mod events;
pub mod incident;
pub mod meta;
pub mod money;
pub mod patch;
pub mod rules;
pub mod text;
pub mod time;
pub mod transaction;
mod vocabulary;

pub use custody::{LedgerEvent, SigningKeyEvent};
pub use events::{AnyEvent, DecodeError, catalogue, decode};
pub use incident::{Incident, IncidentCommand, IncidentError, IncidentEvent};
pub use meta::Meta;
pub use money::{Amount, Currency, Money, MoneyError};
pub use patch::Patch;
pub use text::InvalidField;
pub use time::Timestamp;
pub use transaction::{Transaction, TransactionCommand, TransactionError, TransactionEvent};
