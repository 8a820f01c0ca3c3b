//! Erasure of what is known about people: asked for by one, agreed to by another, performed unless a legal hold or a
//! retention rule stands in the way.

mod again;
mod approval;
mod handlers;
mod perform;
mod view;

pub use self::again::reconcile;

use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;

/// Where erasures are.
pub(crate) const COLLECTION: &str = "/erasures";

/// The operations of this module.
#[derive(OpenApi)]
#[openapi(
    paths(
        handlers::list,
        handlers::get,
        handlers::request_erasure,
        handlers::approve,
        handlers::reject,
        handlers::perform_again,
    ),
    tags((name = "erasures", description = "Erasure of what is known about people."))
)]
pub(crate) struct Api;

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .route("/erasures", web::get().to(handlers::list))
        .route("/erasures", web::post().to(handlers::request_erasure))
        .route("/erasures/{id}", web::get().to(handlers::get))
        .route("/erasures/{id}/approve", web::post().to(handlers::approve))
        .route("/erasures/{id}/reject", web::post().to(handlers::reject))
        .route("/erasures/{id}/perform", web::post().to(handlers::perform_again));
}
