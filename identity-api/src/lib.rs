#![doc = include_str!("../README.md")]

mod api_keys;
mod auth;
mod erasure;
mod holds;
mod jwks;
pub mod letters;
mod oidc;
mod organizations;
mod pages;
mod passkeys;
mod people;
mod problems;
mod rbac;
mod retention;
pub mod state;
pub mod view;

use actix_web::web::ServiceConfig;
use utoipa::OpenApi;

pub use erasure::reconcile as reconcile_erasures;
pub use state::{CreateOrganization, CreateOrganizationError, IdentitySettings, IdentityState, OrganizationIdentity};

/// Mounts every operation. Call it once for the root and once inside the scope `/v1`.
///
/// Expects `web::Data<IdentityState>` and `web::Data<Organizations<OrganizationIdentity>>`.
pub fn configure(services: &mut ServiceConfig) {
    api_keys::configure(services);
    auth::configure(services);
    erasure::configure(services);
    holds::configure(services);
    jwks::configure(services);
    oidc::configure(services);
    organizations::configure(services);
    pages::configure(services);
    passkeys::configure(services);
    people::configure(services);
    rbac::configure(services);
    retention::configure(services);
}

/// The document of these operations.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = api_keys::Api::openapi();
    document.merge(auth::Api::openapi());
    document.merge(erasure::Api::openapi());
    document.merge(holds::Api::openapi());
    document.merge(jwks::Api::openapi());
    document.merge(oidc::Api::openapi());
    document.merge(organizations::Api::openapi());
    document.merge(passkeys::Api::openapi());
    document.merge(people::Api::openapi());
    document.merge(rbac::Api::openapi());
    document.merge(retention::Api::openapi());
    daybook_http_kit::openapi::add_security(&mut document);
    document
}
