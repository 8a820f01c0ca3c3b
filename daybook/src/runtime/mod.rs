//! What a running program is put together from: stores, the server, roles, secrets, and finding a server that runs already.

pub mod client;
pub mod discovery;
pub mod logging;
pub mod outside;
pub mod projections;
pub mod roles;
pub mod server;
pub mod signals;
pub mod signing;
pub mod store;
pub mod token;
