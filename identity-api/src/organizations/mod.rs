//! Organisations and their members.

mod compatible;
mod handlers;
mod members;
mod operations;
mod owner_link;
mod view;

use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;

/// Where organisations are.
pub(crate) const COLLECTION: &str = "/organizations";
/// What an organisation has subscribed to while there is nothing to subscribe to.
pub(crate) const TIER: &str = "free";

/// The operations of this module.
#[derive(OpenApi)]
#[openapi(
    paths(
        handlers::list,
        handlers::get,
        handlers::create,
        handlers::change,
        owner_link::create,
        members::add,
        members::set_role,
        members::remove,
        compatible::list,
        compatible::get,
        compatible::create,
        compatible::add_member,
        compatible::set_member_role,
        compatible::remove_member,
    ),
    tags((name = "organizations", description = "Organisations, their settings and members."))
)]
pub(crate) struct Api;

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .route("/organizations", web::get().to(handlers::list))
        .route("/organizations", web::post().to(handlers::create))
        .route("/organizations/{id}", web::get().to(handlers::get))
        .route("/organizations/{id}", web::patch().to(handlers::change))
        .route("/organizations/{id}/owner-link", web::post().to(owner_link::create))
        .route("/organizations/{id}/members/{user}", web::post().to(members::add))
        .route("/organizations/{id}/members/{user}", web::delete().to(members::remove))
        .route("/organizations/{id}/members/{user}/role", web::put().to(members::set_role))
        .route("/api/organizations", web::get().to(compatible::list))
        .route("/api/auth/organizations", web::post().to(compatible::create))
        .route("/api/organizations/{id}", web::get().to(compatible::get))
        .route("/api/organizations/{id}/members/{user}", web::post().to(compatible::add_member))
        .route("/api/organizations/{id}/members/{user}", web::delete().to(compatible::remove_member))
        .route("/api/organizations/{id}/members/{user}/role", web::put().to(compatible::set_member_role));
}
