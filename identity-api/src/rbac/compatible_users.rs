//! The predecessors' `/api/rbac/…` about people: their roles, what they may do, and how roles are spread.

use actix_web::{HttpRequest, HttpResponse, web};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::{RoleManage, RoleRead, UserRoleAssign};
use daybook_http_kit::{
    Allowed, AllowedWithin, Body, CommandRequest, NoQuery, OptionalBody, Problem, Query, with_position,
};

use super::analytics::{Analytics, AnalyticsParameters};
use super::check::{self, CheckAnswers, CheckBody};
use super::user_roles::{
    AssignBody, HeldRole, HeldRoles, OrganizationParameters, PlaceParameters, give, own_organization, take,
};
use crate::people::carried::{Answer, Enveloped, envelop};
use crate::people::operations::Doing;
use crate::state::{IdentityState, OrganizationIdentity};

/// The roles of a person
#[utoipa::path(
    get, path = "/v1/api/rbac/users/{user}/roles", tag = "compatible", operation_id = "compatible_roles_of_user",
    params(("user" = String, Path, description = "The person's id."), OrganizationParameters, QueryHeaders),
    responses((status = 200, description = "Roles.", body = Enveloped<Vec<HeldRole>>), QueryProblems)
)]
pub(crate) async fn roles_of_user(
    _caller: Allowed<RoleRead>,
    identity: Scoped<OrganizationIdentity>,
    user: web::Path<String>,
    parameters: Query<OrganizationParameters>,
) -> Result<HttpResponse, Problem> {
    own_organization(&identity, parameters.organization_id.as_deref())?;
    let state = identity.directory.now();
    let body = Enveloped::of(HeldRoles::of(&state, &user)?.roles, "Roles of the user");
    Ok(with_position(HttpResponse::Ok().json(body), state.position.checked_sub(1)))
}

/// Give a person a role
#[utoipa::path(
    post, path = "/v1/api/rbac/users/{user}/roles/{role}", tag = "compatible", operation_id = "compatible_give_user_role",
    params(
        ("user" = String, Path, description = "The person's id."),
        ("role" = String, Path, description = "The role's name."),
        PlaceParameters, CommandHeaders,
    ),
    request_body = Option<AssignBody>,
    responses((status = 200, description = "Given.", body = Enveloped<Answer<HeldRoles>>), CommandProblems)
)]
pub(crate) async fn post_user_role(
    caller: AllowedWithin<UserRoleAssign>,
    request: CommandRequest,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    path: web::Path<(String, String)>,
    parameters: Query<PlaceParameters>,
    body: OptionalBody<AssignBody>,
) -> Result<HttpResponse, Problem> {
    let (user, role) = path.into_inner();
    let context = request.context(&caller, &body.bytes);
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let done = give(&doing, &user, role, body.value, parameters.0, context).await?;
    let roles = HeldRoles::of(&identity.directory.now(), &user)?;
    Ok(envelop(&done, crate::people::COLLECTION, "Role assigned", roles))
}

/// Take a role from a person
#[utoipa::path(
    delete, path = "/v1/api/rbac/users/{user}/roles/{role}", tag = "compatible", operation_id = "compatible_take_user_role",
    params(
        ("user" = String, Path, description = "The person's id."),
        ("role" = String, Path, description = "The role's name."),
        PlaceParameters, CommandHeaders,
    ),
    responses((status = 200, description = "Taken.", body = Enveloped<Answer<HeldRoles>>), CommandProblems)
)]
pub(crate) async fn delete_user_role(
    caller: AllowedWithin<UserRoleAssign>,
    request: CommandRequest,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    path: web::Path<(String, String)>,
    parameters: Query<PlaceParameters>,
) -> Result<HttpResponse, Problem> {
    let (user, role) = path.into_inner();
    let context = request.context(&caller, b"");
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let done = take(&doing, &user, role, parameters.0, context).await?;
    let roles = HeldRoles::of(&identity.directory.now(), &user)?;
    Ok(envelop(&done, crate::people::COLLECTION, "Role removed", roles))
}

/// Check permissions
#[utoipa::path(
    post, path = "/v1/api/rbac/permissions/check", tag = "compatible", operation_id = "compatible_check_permissions",
    params(QueryHeaders), request_body = CheckBody,
    responses((status = 200, description = "One answer a question.", body = CheckAnswers), QueryProblems)
)]
pub(crate) async fn check_permissions(
    caller: Allowed<RoleRead>,
    http: HttpRequest,
    no_query: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    body: Body<CheckBody>,
) -> Result<HttpResponse, Problem> {
    check::check(caller, http, no_query, installation, identity, body).await
}

/// Count roles and permissions
#[utoipa::path(
    get, path = "/v1/api/rbac/analytics", tag = "compatible", operation_id = "compatible_rbac_analytics",
    params(AnalyticsParameters, QueryHeaders),
    responses((status = 200, description = "The figures.", body = Analytics), QueryProblems)
)]
pub(crate) async fn analytics(
    caller: Allowed<RoleManage>,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    parameters: Query<AnalyticsParameters>,
) -> Result<HttpResponse, Problem> {
    super::analytics::analytics(caller, installation, identity, parameters).await
}
