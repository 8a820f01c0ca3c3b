//! Coming in by way of another provider (OpenID Connect): leaving for it, coming back, and what becomes of it.
//!
//! A page goes to `/auth/oidc/{provider}/start?return_to=/…`; the provider sends its user back to `/callback`, which sends
//! him on to `return_to` with a code behind the `#` that the page exchanges at `/auth/oidc/exchange` for what a login with
//! a password answers. All three steps belong to one browser, which a cookie shows: a link that somebody else began leads
//! nowhere. Without `return_to` the callback itself answers the tokens.

mod browser;
mod callback;
mod people;
mod problem;
mod providers;
mod start;
mod waiting;

use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;

/// The operations of this module.
#[derive(OpenApi)]
#[openapi(paths(providers::list, start::start, callback::callback, callback::exchange))]
pub(crate) struct Api;

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .route("/auth/oidc", web::get().to(providers::list))
        .route("/auth/oidc/exchange", web::post().to(callback::exchange))
        .route("/auth/oidc/{provider}/start", web::get().to(start::start))
        .route("/auth/oidc/{provider}/callback", web::get().to(callback::callback));
}
