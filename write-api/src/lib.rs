#![doc = include_str!("../README.md")]

mod document;
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
/// `web::Data<Organizations<WriteState>>`.
///
/// Each route is a resource of its own with its method as guard, so that another API may answer other methods of the
/// same paths.
pub fn configure(services: &mut ServiceConfig) {
    transactions::configure(services);
    incidents::configure(services);
}
