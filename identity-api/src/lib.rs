#![doc = include_str!("../README.md")]

mod api_keys;
mod auth;
mod erasure;
mod holds;
mod organizations;
mod people;
mod rbac;
pub mod state;

use actix_web::web::ServiceConfig;
use utoipa::OpenApi;

/// Mounts every operation. Call it once for the root and once inside the scope `/v1`.
pub fn configure(services: &mut ServiceConfig) {
    api_keys::configure(services);
    auth::configure(services);
    erasure::configure(services);
    holds::configure(services);
    organizations::configure(services);
    people::configure(services);
    rbac::configure(services);
}

/// The document of these operations.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = api_keys::Api::openapi();
    document.merge(auth::Api::openapi());
    document.merge(erasure::Api::openapi());
    document.merge(holds::Api::openapi());
    document.merge(organizations::Api::openapi());
    document.merge(people::Api::openapi());
    document.merge(rbac::Api::openapi());
    document
}
