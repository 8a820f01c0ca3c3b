//! Roles, permissions and departments.

mod analytics;
pub(crate) mod body;
mod check;
mod compatible;
mod compatible_users;
mod conditions;
mod departments;
pub(crate) mod guard;
pub(crate) mod list;
mod permissions;
pub(crate) mod resolve;
mod role_view;
mod roles;
mod user_roles;

use actix_web::web::{self, ServiceConfig};
use utoipa::OpenApi;

/// The operations of this module.
#[derive(OpenApi)]
#[openapi(
    paths(
        roles::list,
        roles::get,
        roles::create,
        roles::change,
        roles::retire,
        roles::grant_permission,
        roles::withdraw_permission,
        user_roles::list,
        user_roles::assign,
        user_roles::revoke,
        permissions::list,
        permissions::define,
        check::check,
        departments::list,
        departments::get,
        departments::create,
        departments::change,
        departments::close,
        analytics::analytics,
        analytics::health,
        compatible::list_roles,
        compatible::post_role,
        compatible::put_role,
        compatible::list_permissions,
        compatible::post_permission,
        compatible::post_role_permission,
        compatible::delete_role_permission,
        compatible_users::roles_of_user,
        compatible_users::post_user_role,
        compatible_users::delete_user_role,
        compatible::list_departments,
        compatible::post_department,
        compatible_users::check_permissions,
        compatible_users::analytics,
    ),
    tags(
        (name = "roles", description = "Roles, permissions and departments."),
        (name = "compatible", description = "The same under the predecessors' paths, in their envelope."),
    )
)]
pub(crate) struct Api;

pub(crate) fn configure(services: &mut ServiceConfig) {
    services
        .route("/rbac/roles", web::get().to(roles::list))
        .route("/rbac/roles", web::post().to(roles::create))
        .route("/rbac/roles/{role}", web::get().to(roles::get))
        .route("/rbac/roles/{role}", web::put().to(roles::change))
        .route("/rbac/roles/{role}", web::delete().to(roles::retire))
        .route("/rbac/roles/{role}/permissions/{permission}", web::post().to(roles::grant_permission))
        .route("/rbac/roles/{role}/permissions/{permission}", web::delete().to(roles::withdraw_permission))
        .route("/rbac/users/{user}/roles", web::get().to(user_roles::list))
        .route("/rbac/users/{user}/roles/{role}", web::post().to(user_roles::assign))
        .route("/rbac/users/{user}/roles/{role}", web::delete().to(user_roles::revoke))
        .route("/rbac/permissions", web::get().to(permissions::list))
        .route("/rbac/permissions", web::post().to(permissions::define))
        .route("/rbac/permissions/check", web::post().to(check::check))
        .route("/rbac/departments", web::get().to(departments::list))
        .route("/rbac/departments", web::post().to(departments::create))
        .route("/rbac/departments/{id}", web::get().to(departments::get))
        .route("/rbac/departments/{id}", web::put().to(departments::change))
        .route("/rbac/departments/{id}", web::delete().to(departments::close))
        .route("/rbac/analytics", web::get().to(analytics::analytics))
        .route("/rbac/health", web::get().to(analytics::health));
    configure_compatible(services);
}

fn configure_compatible(services: &mut ServiceConfig) {
    let role_permission = "/api/rbac/roles/{role}/permissions/{permission}";
    services
        .route("/api/rbac/roles", web::get().to(compatible::list_roles))
        .route("/api/rbac/roles", web::post().to(compatible::post_role))
        .route("/api/rbac/roles/{role}", web::put().to(compatible::put_role))
        .route(role_permission, web::post().to(compatible::post_role_permission))
        .route(role_permission, web::delete().to(compatible::delete_role_permission))
        .route("/api/rbac/permissions", web::get().to(compatible::list_permissions))
        .route("/api/rbac/permissions", web::post().to(compatible::post_permission))
        .route("/api/rbac/permissions/check", web::post().to(compatible_users::check_permissions))
        .route("/api/rbac/users/{user}/roles", web::get().to(compatible_users::roles_of_user))
        .route("/api/rbac/users/{user}/roles/{role}", web::post().to(compatible_users::post_user_role))
        .route("/api/rbac/users/{user}/roles/{role}", web::delete().to(compatible_users::delete_user_role))
        .route("/api/rbac/departments", web::get().to(compatible::list_departments))
        .route("/api/rbac/departments", web::post().to(compatible::post_department))
        .route("/api/rbac/analytics", web::get().to(compatible_users::analytics));
}
