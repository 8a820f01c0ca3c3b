//! API keys: made, changed, rotated, revoked. The value of a key is in one answer and nowhere else.

mod body;
mod compatible;
mod handlers;
mod operations;
mod view;

use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;

/// Where API keys are.
pub(crate) const COLLECTION: &str = "/api-keys";

/// The operations of this module.
#[derive(OpenApi)]
#[openapi(
    paths(
        handlers::list,
        handlers::get,
        handlers::create,
        handlers::change,
        handlers::rotate,
        handlers::revoke,
        handlers::delete,
        compatible::list,
        compatible::create,
        compatible::change,
        compatible::delete,
    ),
    tags((name = "api keys", description = "Keys for programs, with scopes and an end."))
)]
pub(crate) struct Api;

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .route("/api-keys", web::get().to(handlers::list))
        .route("/api-keys", web::post().to(handlers::create))
        .route("/api-keys/{id}", web::get().to(handlers::get))
        .route("/api-keys/{id}", web::put().to(handlers::change))
        .route("/api-keys/{id}", web::delete().to(handlers::delete))
        .route("/api-keys/{id}/rotate", web::post().to(handlers::rotate))
        .route("/api-keys/{id}/revoke", web::post().to(handlers::revoke))
        .route("/api/admin/api-keys", web::get().to(compatible::list))
        .route("/api/admin/api-keys", web::post().to(compatible::create))
        .route("/api/admin/api-keys/{id}", web::put().to(compatible::change))
        .route("/api/admin/api-keys/{id}", web::delete().to(compatible::delete));
}
