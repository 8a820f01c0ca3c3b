//! The predecessors' `/api/rbac/…`: the same things in their envelope `{success, message, data}`.

use actix_web::{HttpResponse, web};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, CreateProblems, QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::page::MAX_LIMIT;
use daybook_http_kit::permission::{DepartmentManage, DepartmentRead, RoleManage, RoleRead};
use daybook_http_kit::{Allowed, Body, CommandRequest, NoQuery, PageParameters, Problem, Query, with_position};
use serde::Serialize;

use super::body::{ChangeRoleBody, CreateDepartmentBody, CreateRoleBody, DefinePermissionBody};
use super::departments::{self, DepartmentView, create_department};
use super::list::page_of;
use super::permissions::{self, PermissionView, define_permission};
use super::role_view::RoleView;
use super::roles::{self, change_role, create_role, give_permission, take_permission};
use crate::people::carried::{Answer, Enveloped, envelop};
use crate::state::{IdentityState, OrganizationIdentity};

/// A whole page in the envelope; a client that sends no `limit` gets as much as there may be.
fn all<T: Serialize>(
    mut page: PageParameters,
    position: u64,
    items: Vec<T>,
    key: impl Fn(&T) -> String,
    message: &'static str,
) -> Result<HttpResponse, Problem> {
    if page.limit.is_none() && page.page_size.is_none() {
        page.limit = Some(u64::from(MAX_LIMIT));
    }
    let page = page_of(&page, position, items, key)?;
    let body = Enveloped::of(page.listing.items, message);
    Ok(with_position(HttpResponse::Ok().json(body), position.checked_sub(1)))
}

/// List roles
#[utoipa::path(
    get, path = "/v1/api/rbac/roles", tag = "compatible", operation_id = "compatible_list_roles",
    params(PageParameters, QueryHeaders),
    responses((status = 200, description = "Roles.", body = Enveloped<Vec<RoleView>>), QueryProblems)
)]
pub(crate) async fn list_roles(
    _caller: Allowed<RoleRead>,
    identity: Scoped<OrganizationIdentity>,
    page: Query<PageParameters>,
) -> Result<HttpResponse, Problem> {
    let state = identity.directory.now();
    all(page.0, state.position, RoleView::all(&state), |role| role.name.clone(), "Roles")
}

/// Make a role
#[utoipa::path(
    post, path = "/v1/api/rbac/roles", tag = "compatible", operation_id = "compatible_create_role",
    params(CommandHeaders), request_body = CreateRoleBody,
    responses((status = 201, description = "Made.", body = Enveloped<Answer<RoleView>>), CreateProblems)
)]
pub(crate) async fn post_role(
    caller: Allowed<RoleManage>,
    request: CommandRequest,
    _: NoQuery,
    identity: Scoped<OrganizationIdentity>,
    body: Body<CreateRoleBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let (done, role) = create_role(&identity, &caller, body.value, context).await?;
    Ok(envelop(&done, roles::COLLECTION, "Role created", role))
}

/// Change a role
#[utoipa::path(
    put, path = "/v1/api/rbac/roles/{role}", tag = "compatible", operation_id = "compatible_change_role",
    params(("role" = String, Path, description = "The role's name."), CommandHeaders), request_body = ChangeRoleBody,
    responses((status = 200, description = "Changed.", body = Enveloped<Answer<RoleView>>), CommandProblems)
)]
pub(crate) async fn put_role(
    caller: Allowed<RoleManage>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    role: web::Path<String>,
    body: Body<ChangeRoleBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let (done, role) = change_role(&identity, &caller, &role, body.value, context, installation.now()).await?;
    Ok(envelop(&done, roles::COLLECTION, "Role updated", role))
}

/// List permissions
#[utoipa::path(
    get, path = "/v1/api/rbac/permissions", tag = "compatible", operation_id = "compatible_list_permissions",
    params(PageParameters, QueryHeaders),
    responses((status = 200, description = "Permissions.", body = Enveloped<Vec<PermissionView>>), QueryProblems)
)]
pub(crate) async fn list_permissions(
    _caller: Allowed<RoleRead>,
    identity: Scoped<OrganizationIdentity>,
    page: Query<PageParameters>,
) -> Result<HttpResponse, Problem> {
    let state = identity.directory.now();
    let permissions = PermissionView::all(&state);
    all(page.0, state.position, permissions, |permission| permission.name.clone(), "Permissions")
}

/// Define a permission
#[utoipa::path(
    post, path = "/v1/api/rbac/permissions", tag = "compatible", operation_id = "compatible_define_permission",
    params(CommandHeaders), request_body = DefinePermissionBody,
    responses((status = 201, description = "Defined.", body = Enveloped<Answer<PermissionView>>), CreateProblems)
)]
pub(crate) async fn post_permission(
    caller: Allowed<RoleManage>,
    request: CommandRequest,
    _: NoQuery,
    identity: Scoped<OrganizationIdentity>,
    body: Body<DefinePermissionBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let (done, permission) = define_permission(&identity, body.value, context).await?;
    Ok(envelop(&done, permissions::COLLECTION, "Permission created", permission))
}

/// Give a role a permission
#[utoipa::path(
    post, path = "/v1/api/rbac/roles/{role}/permissions/{permission}", tag = "compatible",
    operation_id = "compatible_grant_permission",
    params(
        ("role" = String, Path, description = "The role's name."),
        ("permission" = String, Path, description = "The permission's name."),
        CommandHeaders,
    ),
    responses((status = 200, description = "Given.", body = Enveloped<Answer<RoleView>>), CommandProblems)
)]
pub(crate) async fn post_role_permission(
    caller: Allowed<RoleManage>,
    request: CommandRequest,
    _: NoQuery,
    identity: Scoped<OrganizationIdentity>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (role, permission) = path.into_inner();
    let (done, role) = give_permission(&identity, &caller, &role, &permission, request.context(&caller, b"")).await?;
    Ok(envelop(&done, roles::COLLECTION, "Permission assigned", role))
}

/// Take a permission from a role
#[utoipa::path(
    delete, path = "/v1/api/rbac/roles/{role}/permissions/{permission}", tag = "compatible",
    operation_id = "compatible_withdraw_permission",
    params(
        ("role" = String, Path, description = "The role's name."),
        ("permission" = String, Path, description = "The permission's name."),
        CommandHeaders,
    ),
    responses((status = 200, description = "Taken.", body = Enveloped<Answer<RoleView>>), CommandProblems)
)]
pub(crate) async fn delete_role_permission(
    caller: Allowed<RoleManage>,
    request: CommandRequest,
    _: NoQuery,
    identity: Scoped<OrganizationIdentity>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (role, permission) = path.into_inner();
    let (done, role) = take_permission(&identity, &role, &permission, request.context(&caller, b"")).await?;
    Ok(envelop(&done, roles::COLLECTION, "Permission removed", role))
}

/// List departments
#[utoipa::path(
    get, path = "/v1/api/rbac/departments", tag = "compatible", operation_id = "compatible_list_departments",
    params(PageParameters, QueryHeaders),
    responses((status = 200, description = "Departments.", body = Enveloped<Vec<DepartmentView>>), QueryProblems)
)]
pub(crate) async fn list_departments(
    _caller: Allowed<DepartmentRead>,
    identity: Scoped<OrganizationIdentity>,
    page: Query<PageParameters>,
) -> Result<HttpResponse, Problem> {
    let state = identity.directory.now();
    let departments = state.departments.values().map(|department| DepartmentView::of(department)).collect();
    all(page.0, state.position, departments, |department| department.id.clone(), "Departments")
}

/// Make a department
#[utoipa::path(
    post, path = "/v1/api/rbac/departments", tag = "compatible", operation_id = "compatible_create_department",
    params(CommandHeaders), request_body = CreateDepartmentBody,
    responses((status = 201, description = "Made.", body = Enveloped<Answer<DepartmentView>>), CreateProblems)
)]
pub(crate) async fn post_department(
    caller: Allowed<DepartmentManage>,
    request: CommandRequest,
    _: NoQuery,
    identity: Scoped<OrganizationIdentity>,
    body: Body<CreateDepartmentBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let (done, department) = create_department(&identity, body.value, context).await?;
    Ok(envelop(&done, departments::COLLECTION, "Department created", department))
}
