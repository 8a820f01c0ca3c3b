//! The roles of one person, as the predecessors' clients ask for them: by role name instead of by grant.

use actix_web::{HttpResponse, web};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::{RoleRead, UserRoleAssign};
use daybook_http_kit::{Allowed, AllowedWithin, CommandRequest, OptionalBody, Problem, Query};
use daybook_identity::directory::DirectoryState;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::list::one;
use super::role_view::RoleView;
use crate::people::carried::{self, Answer, Done};
use crate::people::operations::Doing;
use crate::people::view::known;
use crate::people::{names, terms};
use crate::state::{IdentityState, OrganizationIdentity};
use crate::view::GrantView;
use daybook_http_kit::query::either;

/// Where a role is to hold.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AssignRoleOfUserBody)]
pub(crate) struct AssignBody {
    /// The organisation, if it is named: the caller's own.
    pub organization_id: Option<String>,
    /// The department within which it is to hold; everywhere if it is absent.
    pub department_id: Option<String>,
    /// Until when, RFC 3339. An auditor's must end, within 366 days.
    pub expires_at: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// Where a role holds.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PlaceParameters {
    /// The organisation, if it is named: the caller's own.
    pub organization_id: Option<String>,
    /// The department within which it holds; everywhere if it is absent.
    pub department_id: Option<String>,
}

/// Which organisation is meant.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OrganizationParameters {
    /// The organisation, if it is named: the caller's own.
    pub organization_id: Option<String>,
}

/// A role that a person has.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct HeldRole {
    /// The role.
    #[serde(flatten)]
    pub role: RoleView,
    /// Where and until when it holds, and who gave it.
    pub grant: GrantView,
}

/// The roles of a person.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct HeldRoles {
    /// The person.
    pub user_id: String,
    /// At most 64.
    pub roles: Vec<HeldRole>,
}

/// Answers for another organisation's id as for one that there is not.
pub(crate) fn own_organization(identity: &OrganizationIdentity, named: Option<&str>) -> Result<(), Problem> {
    match named {
        Some(id) if id != identity.id.as_str() => {
            Err(Problem::not_found("organization.not_found", "there is no such organization"))
        }
        _ => Ok(()),
    }
}

/// The roles of a person
#[utoipa::path(
    get, path = "/v1/rbac/users/{user}/roles", tag = "roles", operation_id = "roles_of_user",
    params(("user" = String, Path, description = "The person's id."), OrganizationParameters, QueryHeaders),
    responses((status = 200, description = "Roles.", body = HeldRoles), QueryProblems)
)]
pub(crate) async fn list(
    _caller: Allowed<RoleRead>,
    identity: Scoped<OrganizationIdentity>,
    user: web::Path<String>,
    parameters: Query<OrganizationParameters>,
) -> Result<HttpResponse, Problem> {
    own_organization(&identity, parameters.organization_id.as_deref())?;
    let state = identity.directory.now();
    Ok(one(state.position, &HeldRoles::of(&state, &user)?))
}

impl HeldRoles {
    /// The roles that a person was given and not deprived of.
    pub(crate) fn of(state: &DirectoryState, user_id: &str) -> Result<Self, Problem> {
        let mut roles = Vec::new();
        for grant in &known(state, user_id)?.grants {
            roles.push(HeldRole { role: RoleView::of(state, &grant.role)?, grant: GrantView::from(grant) });
        }
        Ok(Self { user_id: user_id.to_owned(), roles })
    }
}

/// Give a person a role
///
/// The same as `POST /users/{id}/grants`.
#[utoipa::path(
    post, path = "/v1/rbac/users/{user}/roles/{role}", tag = "roles", operation_id = "give_user_role",
    params(
        ("user" = String, Path, description = "The person's id."),
        ("role" = String, Path, description = "The role's name."),
        PlaceParameters, CommandHeaders,
    ),
    request_body = Option<AssignBody>,
    responses((status = 200, description = "Given.", body = Answer<HeldRoles>), CommandProblems)
)]
pub(crate) async fn assign(
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
    Ok(carried::respond(&done, crate::people::COLLECTION, HeldRoles::of(&identity.directory.now(), &user)?))
}

pub(crate) async fn give(
    doing: &Doing<'_>,
    user: &str,
    role: String,
    body: AssignBody,
    parameters: PlaceParameters,
    context: daybook_ledger::commands::CommandContext,
) -> Result<Done, Problem> {
    let organization = either("organization_id", body.organization_id, parameters.organization_id)?;
    own_organization(doing.identity, organization.as_deref())?;
    let department = either("department_id", body.department_id, parameters.department_id)?;
    let terms = terms(role, department, body.expires_at.as_deref(), "/expires_at", body.reason)?;
    doing.grant(user, terms, context).await
}

/// Take a role from a person
///
/// The same as `POST /users/{id}/grants/revoke`.
#[utoipa::path(
    delete, path = "/v1/rbac/users/{user}/roles/{role}", tag = "roles", operation_id = "take_user_role",
    params(
        ("user" = String, Path, description = "The person's id."),
        ("role" = String, Path, description = "The role's name."),
        PlaceParameters, CommandHeaders,
    ),
    responses((status = 200, description = "Taken.", body = Answer<HeldRoles>), CommandProblems)
)]
pub(crate) async fn revoke(
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
    Ok(carried::respond(&done, crate::people::COLLECTION, HeldRoles::of(&identity.directory.now(), &user)?))
}

pub(crate) async fn take(
    doing: &Doing<'_>,
    user: &str,
    role: String,
    parameters: PlaceParameters,
    context: daybook_ledger::commands::CommandContext,
) -> Result<Done, Problem> {
    own_organization(doing.identity, parameters.organization_id.as_deref())?;
    let (role, department) = names(role, parameters.department_id)?;
    doing.revoke(user, role, department, None, context).await
}
