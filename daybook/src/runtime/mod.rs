//! What a running program is put together from: stores, the server, roles, secrets, and finding a server that runs already.

pub mod client;
pub mod discovery;
pub mod gated;
pub mod gauges;
pub mod http;
pub mod logging;
pub mod organization;
pub mod organizations;
pub mod outside;
pub mod people;
pub mod projections;
pub mod roles;
pub mod server;
pub mod signals;
pub mod signing;
pub mod store;
pub mod supervision;
pub mod token;
