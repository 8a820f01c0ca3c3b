//! The predecessors' ways to set a person's role and to keep somebody out, with their answers.

use actix_web::{HttpResponse, web};
use daybook_domain::text::Reason;
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::{UserDelete, UserRoleAssign};
use daybook_http_kit::{Allowed, Body, CommandRequest, NoQuery, OptionalBody, Problem, Query};
use daybook_ledger::commands::CommandContext;
use serde::Serialize;
use utoipa::ToSchema;

use super::COLLECTION;
use super::body::{AssignRoleBody, RoleParameters, reason};
use super::carried::{self, Answer};
use super::operations::Doing;
use super::view::{address, known};
use crate::rbac::body::WhyBody;
use crate::state::{IdentityState, OrganizationIdentity};

/// A person whose role was set.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct RoleSet {
    /// The person's id.
    pub id: String,
    /// E-mail address; null where the caller may not see it.
    pub email: Option<String>,
    /// The role by which the person was known.
    pub old_role: String,
    /// The role by which the person is known now.
    pub new_role: String,
}

/// A person who is kept out.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct DeactivatedView {
    /// The person's id.
    pub id: String,
    /// E-mail address; null where the caller may not see it.
    pub email: Option<String>,
    /// Always false.
    pub is_active: bool,
}

/// Set a person's role
///
/// The built-in role that holds everywhere becomes this one; custom roles and those within departments stay.
#[utoipa::path(
    put, path = "/v1/auth/users/{id}/role", tag = "people", operation_id = "set_user_role",
    params(("id" = String, Path, description = "The person's id."), RoleParameters, CommandHeaders),
    request_body = Option<WhyBody>,
    responses((status = 200, description = "Set.", body = Answer<RoleSet>), CommandProblems)
)]
pub(crate) async fn set_role(
    caller: Allowed<UserRoleAssign>,
    request: CommandRequest,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    parameters: Query<RoleParameters>,
    body: OptionalBody<WhyBody>,
) -> Result<HttpResponse, Problem> {
    let role = parameters.role.as_deref().ok_or_else(|| {
        Problem::bad_request("request.missing_parameter", "query parameter role: is required")
            .at("?role", "is required")
    })?;
    let context = request.context(&caller, &body.bytes);
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    answer_role(&doing, &id, role, body.value.reason()?, context).await
}

/// Set a person's role
///
/// The same as `PUT /auth/users/{id}/role`.
#[utoipa::path(
    post, path = "/v1/auth/assign-role", tag = "people", operation_id = "assign_role",
    params(CommandHeaders), request_body = AssignRoleBody,
    responses((status = 200, description = "Set.", body = Answer<RoleSet>), CommandProblems)
)]
pub(crate) async fn assign_role(
    caller: Allowed<UserRoleAssign>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    body: Body<AssignRoleBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let AssignRoleBody { user_id, role, reason: why } = body.value;
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    answer_role(&doing, &user_id, &role, reason(why)?, context).await
}

async fn answer_role(
    doing: &Doing<'_>,
    id: &str,
    role: &str,
    reason: Option<Reason>,
    context: CommandContext,
) -> Result<HttpResponse, Problem> {
    let replaced = doing.replace_role(id, role, reason, context).await?;
    let state = doing.identity.directory.now();
    let view = RoleSet {
        id: id.to_owned(),
        email: address(doing.identity, known(&state, id)?, doing.caller).await?,
        old_role: replaced.old_role,
        new_role: replaced.new_role,
    };
    Ok(carried::respond(&replaced.done, COLLECTION, view))
}

/// Deactivate a person
///
/// The same as `POST /users/{id}/deactivate`. Nobody deactivates himself: 400 `user.self_deactivation`.
#[utoipa::path(
    put, path = "/v1/auth/users/{id}/deactivate", tag = "people", operation_id = "put_deactivate_user",
    params(("id" = String, Path, description = "The person's id."), CommandHeaders), request_body = Option<WhyBody>,
    responses((status = 200, description = "Deactivated.", body = Answer<DeactivatedView>), CommandProblems)
)]
pub(crate) async fn deactivate(
    caller: Allowed<UserDelete>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    body: OptionalBody<WhyBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let done = doing.deactivate(&id, body.value.reason()?, context).await?;
    let state = identity.directory.now();
    let email = address(&identity, known(&state, &id)?, &caller).await?;
    let view = DeactivatedView { id: id.into_inner(), email, is_active: false };
    Ok(carried::respond(&done, COLLECTION, view))
}
