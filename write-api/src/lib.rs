#![doc = include_str!("../README.md")]

pub mod approvals;
mod document;
pub mod export_schedules;
pub mod exports;
mod faults;
pub mod incidents;
mod personal;
mod problems;
mod splitter;
mod state;
pub mod transactions;

use actix_web::web::ServiceConfig;

pub use document::openapi;
pub use problems::DomainProblem;
pub use state::WriteState;

/// Registers every command. Mount it twice: in the scope `/v1` and at the root. Expects
/// `web::Data<Organizations<WriteState>>` and `web::Data<Organizations<daybook_approvals::Approvals>>`.
///
/// Each route is a resource of its own with its method as guard, so that another API may answer other methods of the
/// same paths.
pub fn configure(services: &mut ServiceConfig) {
    // First: `export` is no id of a transaction, an incident or a person.
    exports::configure(services);
    export_schedules::configure(services);
    transactions::configure(services);
    incidents::configure(services);
    approvals::configure(services);
}
