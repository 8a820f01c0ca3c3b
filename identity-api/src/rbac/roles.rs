//! Roles: those that Daybook comes with, and those that the organisation makes for itself.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use daybook_domain::names::PermissionName;
use daybook_domain::role::{Role, RoleCommand, RoleError};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, CreateProblems, QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::{RoleManage, RoleRead};
use daybook_http_kit::{
    Allowed, Body, CommandRequest, NoQuery, OptionalBody, PageParameters, Principal, Problem, Query,
};
use daybook_identity::directory::{DirectoryState, RoleRecord};
use daybook_ledger::commands::CommandContext;

use super::body::{ChangeRoleBody, CreateRoleBody, WhyBody};
use super::guard::within_own;
use super::list::{Paged, page_of};
use super::resolve::{built_in, check_inherits, check_permissions, check_room, made, resolve_changed};
use super::role_view::RoleView;
use crate::people::carried::{self, Answer, Done, done};
use crate::problems::{invalid, refused};
use crate::state::{IdentityState, OrganizationIdentity};

/// Where roles are.
pub(crate) const COLLECTION: &str = "/rbac/roles";

/// List roles
///
/// Built-in roles first, then those of the organisation by name, retired ones included.
#[utoipa::path(
    get, path = "/v1/rbac/roles", tag = "roles", operation_id = "list_rbac_roles",
    params(PageParameters, QueryHeaders),
    responses((status = 200, description = "Roles with all that they permit.", body = daybook_http_kit::Listing<RoleView>), QueryProblems)
)]
pub(crate) async fn list(
    _caller: Allowed<RoleRead>,
    identity: Scoped<OrganizationIdentity>,
    page: Query<PageParameters>,
) -> Result<HttpResponse, Problem> {
    let state = identity.directory.now();
    page_of(&page, state.position, RoleView::all(&state), |role| role.name.clone()).map(Paged::respond)
}

/// One role
#[utoipa::path(
    get, path = "/v1/rbac/roles/{role}", tag = "roles", operation_id = "get_role",
    params(("role" = String, Path, description = "The role's name."), QueryHeaders),
    responses((status = 200, description = "The role.", body = RoleView), QueryProblems)
)]
pub(crate) async fn get(
    _caller: Allowed<RoleRead>,
    identity: Scoped<OrganizationIdentity>,
    _: NoQuery,
    role: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let state = identity.directory.now();
    Ok(super::list::one(state.position, &RoleView::of(&state, &role)?))
}

/// Make a role
///
/// Nobody makes a role that permits what he may not do himself: 403 `rbac.exceeds_own`.
#[utoipa::path(
    post, path = "/v1/rbac/roles", tag = "roles", operation_id = "create_role",
    params(CommandHeaders), request_body = CreateRoleBody,
    responses(
        (status = 201, description = "Made.", body = Answer<RoleView>),
        (status = 200, description = "Was made before with the same content.", body = Answer<RoleView>),
        CreateProblems,
    )
)]
pub(crate) async fn create(
    caller: Allowed<RoleManage>,
    request: CommandRequest,
    _: NoQuery,
    identity: Scoped<OrganizationIdentity>,
    body: Body<CreateRoleBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let (done, role) = create_role(&identity, &caller, body.value, context).await?;
    Ok(carried::respond(&done, COLLECTION, role))
}

pub(crate) async fn create_role(
    identity: &OrganizationIdentity,
    caller: &Principal,
    body: CreateRoleBody,
    context: CommandContext,
) -> Result<(Done, RoleView), Problem> {
    let content = body.content()?;
    let state = identity.directory.now();
    let name = content.name.to_string();
    let inherits: BTreeSet<String> = content.inherits.iter().map(ToString::to_string).collect();
    let permissions: BTreeSet<String> = content.permissions.iter().map(ToString::to_string).collect();
    if made(&state, &name).is_none() && !content.name.is_built_in() {
        check_room(&state)?;
    }
    check_inherits(&state, &name, &inherits)?;
    check_permissions(&state, &permissions, "/permissions")?;
    within_own(caller, &resolve_changed(&state, &name, &inherits, &permissions).own, None)?;
    carry_out(identity, &name, RoleCommand::Create(content), context).await
}

/// Change a role
///
/// What it inherits is replaced by `inherits`; `is_active: false` retires it. Built-in roles cannot be changed.
#[utoipa::path(
    put, path = "/v1/rbac/roles/{role}", tag = "roles", operation_id = "change_role",
    params(("role" = String, Path, description = "The role's name."), CommandHeaders), request_body = ChangeRoleBody,
    responses((status = 200, description = "Changed.", body = Answer<RoleView>), CommandProblems)
)]
pub(crate) async fn change(
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
    Ok(carried::respond(&done, COLLECTION, role))
}

pub(crate) async fn change_role(
    identity: &OrganizationIdentity,
    caller: &Principal,
    name: &str,
    body: ChangeRoleBody,
    context: CommandContext,
    now: i64,
) -> Result<(Done, RoleView), Problem> {
    let (patch, retire) = body.patch(name)?;
    let state = identity.directory.now();
    let role = changeable(&state, name)?;
    if retire {
        check_unused(&state, name, now)?;
        if patch != daybook_domain::role::RolePatch::default() {
            return Err(Problem::invalid("/is_active", "a role is either changed or retired"));
        }
        return carry_out(identity, name, RoleCommand::Retire { reason: None }, context).await;
    }
    if let Some(inherits) = &patch.inherits {
        let inherits: BTreeSet<String> = inherits.iter().map(ToString::to_string).collect();
        check_inherits(&state, name, &inherits)?;
        within_own(caller, &resolve_changed(&state, name, &inherits, &role.permissions).own, None)?;
    }
    carry_out(identity, name, RoleCommand::Change(patch), context).await
}

/// Retire a role
///
/// Nobody may have it any more and no role inherit it: 409 `role.in_use`. Its name is not given to another.
#[utoipa::path(
    delete, path = "/v1/rbac/roles/{role}", tag = "roles", operation_id = "retire_role",
    params(("role" = String, Path, description = "The role's name."), CommandHeaders), request_body = Option<WhyBody>,
    responses((status = 200, description = "Retired.", body = Answer<RoleView>), CommandProblems)
)]
pub(crate) async fn retire(
    caller: Allowed<RoleManage>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    role: web::Path<String>,
    body: OptionalBody<WhyBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let reason = body.value.reason()?;
    let state = identity.directory.now();
    changeable(&state, &role)?;
    check_unused(&state, &role, installation.now())?;
    let (done, role) = carry_out(&identity, &role, RoleCommand::Retire { reason }, context).await?;
    Ok(carried::respond(&done, COLLECTION, role))
}

/// Give a role a permission
#[utoipa::path(
    post, path = "/v1/rbac/roles/{role}/permissions/{permission}", tag = "roles", operation_id = "grant_permission",
    params(
        ("role" = String, Path, description = "The role's name."),
        ("permission" = String, Path, description = "The permission's name."),
        CommandHeaders,
    ),
    responses((status = 200, description = "Given.", body = Answer<RoleView>), CommandProblems)
)]
pub(crate) async fn grant_permission(
    caller: Allowed<RoleManage>,
    request: CommandRequest,
    _: NoQuery,
    identity: Scoped<OrganizationIdentity>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (role, permission) = path.into_inner();
    let (done, role) = give_permission(&identity, &caller, &role, &permission, request.context(&caller, b"")).await?;
    Ok(carried::respond(&done, COLLECTION, role))
}

pub(crate) async fn give_permission(
    identity: &OrganizationIdentity,
    caller: &Principal,
    name: &str,
    permission: &str,
    context: CommandContext,
) -> Result<(Done, RoleView), Problem> {
    let state = identity.directory.now();
    let role = changeable(&state, name)?;
    let names = BTreeSet::from([permission.to_owned()]);
    check_permissions(&state, &names, "permission")
        .map_err(|_| Problem::not_found("permission.not_found", "there is no such permission"))?;
    let inherits = role.inherits.iter().cloned().collect();
    let permissions = role.permissions.union(&names).cloned().collect();
    within_own(caller, &resolve_changed(&state, name, &inherits, &permissions).own, None)?;
    let permission = PermissionName::parse("permission", permission).map_err(invalid)?;
    carry_out(identity, name, RoleCommand::GrantPermission { permission }, context).await
}

/// Take a permission from a role
///
/// Only what the role permits by itself: what it inherits stays.
#[utoipa::path(
    delete, path = "/v1/rbac/roles/{role}/permissions/{permission}", tag = "roles",
    operation_id = "withdraw_permission",
    params(
        ("role" = String, Path, description = "The role's name."),
        ("permission" = String, Path, description = "The permission's name."),
        CommandHeaders,
    ),
    responses((status = 200, description = "Taken.", body = Answer<RoleView>), CommandProblems)
)]
pub(crate) async fn withdraw_permission(
    caller: Allowed<RoleManage>,
    request: CommandRequest,
    _: NoQuery,
    identity: Scoped<OrganizationIdentity>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (role, permission) = path.into_inner();
    let (done, role) = take_permission(&identity, &role, &permission, request.context(&caller, b"")).await?;
    Ok(carried::respond(&done, COLLECTION, role))
}

pub(crate) async fn take_permission(
    identity: &OrganizationIdentity,
    name: &str,
    permission: &str,
    context: CommandContext,
) -> Result<(Done, RoleView), Problem> {
    let state = identity.directory.now();
    let role = changeable(&state, name)?;
    let not_found = || Problem::not_found("permission.not_found", "the role does not permit this by itself");
    if !role.permissions.contains(permission) && context.command.is_none() {
        return Err(not_found());
    }
    let permission = PermissionName::parse("permission", permission).map_err(|_| not_found())?;
    carry_out(identity, name, RoleCommand::WithdrawPermission { permission }, context).await
}

/// A role that the organisation made; 422 for a built-in one, 404 for none.
fn changeable<'a>(state: &'a DirectoryState, name: &str) -> Result<&'a RoleRecord, Problem> {
    if built_in(name).is_some() {
        let detail = "the role is built-in and cannot be changed";
        return Err(Problem::refused("role.built_in", detail));
    }
    made(state, name).ok_or_else(|| refused(&RoleError::NotFound))
}

fn check_unused(state: &DirectoryState, name: &str, now: i64) -> Result<(), Problem> {
    let holders = state
        .users
        .values()
        .filter(|user| {
            let invited = user.invitation.as_ref().is_some_and(|invitation| invitation.role == name);
            invited || user.grants.iter().any(|grant| grant.role == name && grant.is_current(now))
        })
        .count();
    let heirs = state.roles.values().filter(|role| !role.retired && role.inherits.iter().any(|of| of == name)).count();
    if holders + heirs == 0 {
        return Ok(());
    }
    let detail = format!("{holders} people have the role and {heirs} roles inherit it");
    Err(Problem::conflict("role.in_use", detail).with_member("people", holders).with_member("roles", heirs))
}

async fn carry_out(
    identity: &OrganizationIdentity,
    name: &str,
    command: RoleCommand,
    context: CommandContext,
) -> Result<(Done, RoleView), Problem> {
    let outcome = carried::execute::<Role>(identity, &identity.roles, name, command, context).await?;
    let view = RoleView::of(&identity.directory.now(), name)?;
    Ok((done(outcome), view))
}
