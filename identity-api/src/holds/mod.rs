//! Legal holds: what must not be erased while a matter is open.

mod body;
mod handlers;
mod known;
mod view;

use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;

/// Where legal holds are.
pub(crate) const COLLECTION: &str = "/legal-holds";

/// The operations of this module.
#[derive(OpenApi)]
#[openapi(
    paths(handlers::list, handlers::get, handlers::place, handlers::extend, handlers::release),
    tags((name = "legal holds", description = "What must not be erased while a matter is open."))
)]
pub(crate) struct Api;

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .route("/legal-holds", web::get().to(handlers::list))
        .route("/legal-holds", web::post().to(handlers::place))
        .route("/legal-holds/{id}", web::get().to(handlers::get))
        .route("/legal-holds/{id}/extend", web::post().to(handlers::extend))
        .route("/legal-holds/{id}/release", web::post().to(handlers::release));
}
