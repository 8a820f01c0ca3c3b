//! People of the organisation, and their grants.

mod body;
pub(crate) mod carried;
mod compatible;
mod grants;
mod invite;
mod list;
pub(crate) mod operations;
pub(crate) mod rules;
mod same_person;
mod status;
pub(crate) mod view;

use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;

pub(crate) use body::{reason, terms};
pub(crate) use grants::names;

/// Where people are.
pub(crate) const COLLECTION: &str = "/users";

/// The operations of this module.
#[derive(OpenApi)]
#[openapi(
    paths(
        list::list,
        list::get,
        list::change,
        invite::invite,
        grants::list,
        grants::grant,
        grants::revoke,
        status::deactivate,
        status::reactivate,
        status::sessions,
        status::end_sessions,
        status::remove_second_factors,
        same_person::declare,
        compatible::set_role,
        compatible::assign_role,
        compatible::deactivate,
    ),
    tags((name = "people", description = "People of the organisation: invite them, give them roles, keep them out."))
)]
pub(crate) struct Api;

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .route("/users", web::get().to(list::list))
        // Before the routes with an id: `invite` is not one.
        .route("/users/invite", web::post().to(invite::invite))
        .route("/users/{id}", web::get().to(list::get))
        .route("/users/{id}", web::patch().to(list::change))
        .route("/users/{id}/grants", web::get().to(grants::list))
        .route("/users/{id}/grants", web::post().to(grants::grant))
        .route("/users/{id}/grants/revoke", web::post().to(grants::revoke))
        .route("/users/{id}/deactivate", web::post().to(status::deactivate))
        .route("/users/{id}/reactivate", web::post().to(status::reactivate))
        .route("/users/{id}/sessions", web::get().to(status::sessions))
        .route("/users/{id}/sessions", web::delete().to(status::end_sessions))
        .route("/users/{id}/second-factors", web::delete().to(status::remove_second_factors))
        .route("/people/{id}/same-person", web::post().to(same_person::declare))
        .route("/auth/assign-role", web::post().to(compatible::assign_role))
        .route("/auth/users/{id}/role", web::put().to(compatible::set_role))
        .route("/auth/users/{id}/deactivate", web::put().to(compatible::deactivate));
}
