#![doc = include_str!("../README.md")]

pub mod access_log;
pub mod allowed;
pub mod app;
pub mod authenticator;
pub mod command_error;
pub mod context;
pub mod cors;
mod guard;
pub mod idempotency;
pub mod identity;
pub mod if_match;
pub mod json;
pub mod middleware;
pub mod number;
pub mod openapi;
pub mod organizations;
pub mod page;
pub mod peer;
pub mod permission;
pub mod permission_set;
pub mod position;
pub mod principal;
pub mod problem;
pub mod query;
pub mod rate_limit;
pub mod role;
pub mod routes;
pub mod sealer;
pub mod telemetry;

pub use access_log::{AccessLog, Denied, Read, Refused, record_read};
pub use allowed::{Allowed, AllowedWithin, Scope};
pub use app::{HttpKit, app};
pub use authenticator::{Authenticator, Credentials};
pub use command_error::command_problem;
pub use context::{CommandRequest, RequestContext, new_id};
pub use cors::Cors;
pub use identity::{IdentityConfig, Secret};
pub use json::{Body, OptionalBody};
pub use number::ExactNumber;
pub use organizations::{Organizations, Scoped};
pub use page::{Listing, Page, PageParameters};
pub use peer::{Peer, TrustedProxies};
pub use permission::{MATRIX, Permission};
pub use permission_set::{PermissionSet, UnknownScope};
pub use position::{AtLeast, with_position};
pub use principal::{Access, DepartmentAccess, Principal, Via};
pub use problem::{FieldError, Problem};
pub use query::{NoQuery, Query};
pub use rate_limit::RateLimits;
pub use role::{BUILT_IN_ROLES, BuiltInRole, Role};
pub use routes::RouteTable;
pub use sealer::Sealer;
pub use telemetry::{HttpMetrics, MetricsAccess, ProjectorReading, SequencerMetrics, Telemetry};

/// The one prefix of the canonical routes; the same routes also answer without it.
pub const API_PREFIX: &str = "/v1";
