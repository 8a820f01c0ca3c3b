#![doc = include_str!("../README.md")]

pub mod approval_policies;
pub mod approvals;
pub mod audit_trail;
mod bookkeeping;
pub mod delegations;
pub mod engine;
mod error;
pub mod exports;
mod fold;
pub mod incidents;
mod kept;
pub mod projector;
mod rebuild;
pub mod rows;
pub mod stats;
pub mod status;
mod summary;
pub mod transactions;
mod worker;

pub use engine::Projections;
pub use error::{EngineError, FoldError};
pub use projector::{DecodedEntry, Interest, Projector, TableDefinition, TableNames};
pub use rebuild::{Comparison, TableComparison};
pub use status::{ProjectorStatus, RebuildStatus, status_from_db};

/// The standard projectors.
pub fn all() -> Vec<Box<dyn Projector>> {
    vec![
        Box::new(transactions::Transactions),
        Box::new(incidents::Incidents),
        Box::new(approvals::Approvals),
        Box::new(approval_policies::ApprovalPolicies),
        Box::new(delegations::Delegations),
        Box::new(exports::Exports),
        Box::new(audit_trail::AuditTrail),
        Box::new(stats::Stats),
    ]
}
