#![doc = include_str!("../README.md")]

pub mod app;
pub mod command_error;
pub mod context;
pub mod idempotency;
pub mod identity;
pub mod if_match;
pub mod json;
pub mod middleware;
pub mod number;
pub mod openapi;
pub mod page;
pub mod permission;
pub mod position;
pub mod problem;
pub mod query;
pub mod routes;
pub mod telemetry;

pub use app::{HttpKit, app};
pub use command_error::command_problem;
pub use context::{CommandRequest, RequestContext, new_id};
pub use identity::{IdentityConfig, Principal, Role, Secret};
pub use json::{Body, OptionalBody};
pub use number::ExactNumber;
pub use page::{Listing, Page, PageParameters};
pub use permission::{Allowed, Permission};
pub use position::{AtLeast, with_position};
pub use problem::{FieldError, Problem};
pub use query::{NoQuery, Query};
pub use routes::RouteTable;
pub use telemetry::{HttpMetrics, ProjectorReading, SequencerMetrics, Telemetry};

/// The one prefix of the canonical routes; the same routes also answer without it.
pub const API_PREFIX: &str = "/v1";
