//! Bringing transactions in: reading rows from a file, mapping their columns, and recording them through a server or
//! straight into the store, in constant memory.

pub mod errors;
#[cfg(test)]
mod fuzz;
pub mod mapping;
pub mod pump;
pub mod resume;
pub mod rows;
pub mod target;
pub mod transaction;

pub use errors::ErrorReport;
pub use mapping::MappingOptions;
pub use pump::{Totals, pump};
pub use target::Target;
pub use transaction::TransactionInput;

/// A row of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its line in the file, or its number in a generated series.
    pub line: u64,
    /// The transaction, or why it is none.
    pub content: Result<TransactionInput, String>,
}
