//! Who may do what, as data: the roles, and what the caller may do.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use daybook_http_kit::{BUILT_IN_ROLES, NoQuery, Principal, Problem, Role, Scoped};
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::{IdentityState, OrganizationIdentity};
use crate::view::{field, open};

/// What a role may do.
#[derive(Debug, Serialize, ToSchema)]
pub struct RolePermissions {
    /// Its permissions.
    permissions: Vec<String>,
    /// How many they are.
    #[schema(example = 9)]
    permission_count: usize,
}

impl RolePermissions {
    fn new(permissions: Vec<String>) -> Self {
        Self { permission_count: permissions.len(), permissions }
    }
}

/// What the caller may do.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnPermissions {
    /// Opaque id of the caller.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    user_id: String,
    /// E-mail address; null where the caller has no account.
    email: Option<String>,
    /// The caller's strongest role that holds everywhere; `none` where there is none.
    #[schema(example = "analyst")]
    role: String,
    /// All roles that hold everywhere, the strongest first.
    roles: Vec<String>,
    /// The organisation.
    #[schema(example = "main")]
    organization_id: String,
    /// Permissions that hold everywhere in the organisation.
    permissions: Vec<&'static str>,
    /// How many they are.
    permission_count: usize,
    /// Permissions that hold within a department only.
    departments: Vec<DepartmentPermissions>,
}

/// What the caller may do within a department.
#[derive(Debug, Serialize, ToSchema)]
pub struct DepartmentPermissions {
    /// The department's id.
    department_id: String,
    /// What it is called.
    name: String,
    /// Permissions that hold within it.
    permissions: Vec<&'static str>,
}

/// List the roles
///
/// The permissions of every built-in role; with credentials those of the organisation's own roles, too. Needs none: the
/// built-in ones are the same for everybody.
#[utoipa::path(get, path = "/v1/auth/roles", tag = "auth", operation_id = "list_roles",
    responses((status = 200, description = "Permissions by role", body = BTreeMap<String, RolePermissions>)),
    security((), ("access_token" = []), ("api_key" = []), ("operator_token" = [])))]
pub(crate) async fn list(
    request: HttpRequest,
    _: NoQuery,
    state: web::Data<IdentityState>,
) -> Result<HttpResponse, Problem> {
    let operator = std::iter::once(Role::Operator);
    let mut roles: BTreeMap<String, RolePermissions> = operator
        .chain(BUILT_IN_ROLES.iter().map(|row| row.role))
        .map(|role| {
            let names = role.permissions().names().map(str::to_owned).collect();
            (role.as_str().to_owned(), RolePermissions::new(names))
        })
        .collect();
    // Refused credentials are none: the route is open.
    let caller = Principal::optional(&request).ok().flatten();
    if let Some(organization) = caller.and_then(|caller| state.organizations.get(&caller.organization)) {
        let directory = organization.directory.now();
        for role in directory.roles.values().filter(|role| !role.retired) {
            let names = directory.permissions_of_role(&role.name).into_iter().collect();
            roles.entry(role.name.clone()).or_insert_with(|| RolePermissions::new(names));
        }
    }
    Ok(HttpResponse::Ok().json(roles))
}

/// Read one's own permissions
///
/// Who the caller is and what it may do.
#[utoipa::path(get, path = "/v1/auth/me/permissions", tag = "auth", operation_id = "get_own_permissions",
    responses((status = 200, description = "The caller", body = OwnPermissions)))]
pub(crate) async fn own(
    caller: Principal,
    organization: Scoped<OrganizationIdentity>,
    _: NoQuery,
) -> Result<HttpResponse, Problem> {
    let directory = organization.directory.now();
    let user = caller.user_id().and_then(|user_id| directory.users.get(user_id));
    let email = open(&organization, user.and_then(|user| user.email.as_ref()), field::EMAIL).await?;
    let permissions: Vec<_> = caller.access.permissions.names().collect();
    let departments = caller.access.departments.iter().map(|department| DepartmentPermissions {
        department_id: department.id.clone(),
        name: department.name.clone(),
        permissions: department.permissions.names().collect(),
    });
    Ok(HttpResponse::Ok().json(OwnPermissions {
        user_id: caller.actor.id.clone(),
        email,
        role: caller.role().to_owned(),
        roles: caller.roles.to_vec(),
        organization_id: organization.id.to_string(),
        permission_count: permissions.len(),
        permissions,
        departments: departments.collect(),
    }))
}
