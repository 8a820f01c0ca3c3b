//! Who may do what: the matrix that handlers are compiled with, as data.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use daybook_http_kit::permission::held_by;
use daybook_http_kit::{NoQuery, Principal, Role};
use serde::Serialize;
use utoipa::ToSchema;

/// Every role there is.
const ROLES: [Role; 5] = [Role::Operator, Role::Admin, Role::Compliance, Role::Analyst, Role::Viewer];

/// What a role may do.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleView {
    /// Its permissions.
    permissions: Vec<&'static str>,
    /// How many they are.
    #[schema(example = 9)]
    permission_count: usize,
}

/// What the caller may do.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnPermissions {
    /// Opaque id of the caller.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    user_id: String,
    /// Always null: an identity is opaque, and no address is kept with it.
    email: Option<String>,
    /// The caller's role.
    role: Role,
    /// Its permissions.
    permissions: Vec<&'static str>,
    /// How many they are.
    permission_count: usize,
}

/// List the roles
///
/// The permissions of every role. Needs no credentials: it is the same for everybody.
#[utoipa::path(get, path = "/v1/auth/roles", tag = "identity", operation_id = "list_roles",
    responses((status = 200, description = "Permissions by role", body = BTreeMap<String, RoleView>)), security(()))]
pub async fn list(_: NoQuery) -> HttpResponse {
    let roles: BTreeMap<&'static str, RoleView> = ROLES
        .into_iter()
        .map(|role| {
            let permissions: Vec<_> = held_by(role).collect();
            (role.as_str(), RoleView { permission_count: permissions.len(), permissions })
        })
        .collect();
    HttpResponse::Ok().json(roles)
}

/// Read one's own permissions
///
/// Who the caller is and what it may do.
#[utoipa::path(get, path = "/v1/auth/me/permissions", tag = "identity", operation_id = "get_own_permissions",
    responses((status = 200, description = "The caller", body = OwnPermissions)))]
pub async fn own(principal: Principal, _: NoQuery) -> HttpResponse {
    let permissions: Vec<_> = held_by(principal.role).collect();
    HttpResponse::Ok().json(OwnPermissions {
        user_id: principal.actor.id,
        email: None,
        role: principal.role,
        permission_count: permissions.len(),
        permissions,
    })
}
