//! Members, as the predecessors have them: `owner`, `admin` or `member`. A member is a viewer; every other built-in role can be
//! named as well. People come by invitation: who is not in the organisation cannot be made a member here.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use daybook_domain::names::RoleName;
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::UserRoleAssign;
use daybook_http_kit::query::either;
use daybook_http_kit::{Allowed, CommandRequest, NoQuery, OptionalBody, Problem, Query};
use daybook_ledger::commands::CommandContext;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::operations::reachable;
use crate::people::carried::{self, Answer, Done, following};
use crate::people::operations::Doing;
use crate::people::view::known;
use crate::problems::invalid;
use crate::state::{IdentityState, OrganizationIdentity};
use crate::view::role_of;

/// The predecessors' word for a viewer.
pub(super) const MEMBER: &str = "member";

/// As what somebody becomes a member.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberBody {
    /// `owner`, `admin`, `member` or another built-in role; `member` if it is absent.
    pub role: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// The same as query parameters.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MemberParameters {
    /// `owner`, `admin`, `member` or another built-in role. Also taken as `new_role`.
    #[serde(alias = "new_role")]
    pub role: Option<String>,
}

/// A member of an organisation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct MemberView {
    /// The organisation.
    pub organization_id: String,
    /// The person.
    pub user_id: String,
    /// The role by which the person is known; `none` for who is no member any more.
    pub role: String,
}

impl MemberView {
    pub(super) fn of(doing: &Doing<'_>, user: &str) -> Self {
        Self {
            organization_id: doing.identity.id.to_string(),
            user_id: user.to_owned(),
            role: role_of(&doing.identity.directory.now(), user, doing.installation.now()),
        }
    }
}

/// A request that makes somebody a member or changes a role: the organisation and the person are in the path.
pub(super) type GiveRole =
    (CommandRequest, web::Path<(String, String)>, Query<MemberParameters>, OptionalBody<MemberBody>);

/// Gives the person of the path the role that body and query name, or else `default`, in place of the one they have.
pub(super) async fn give_role(
    caller: &Allowed<UserRoleAssign>,
    installation: &IdentityState,
    identity: Scoped<OrganizationIdentity>,
    (request, path, parameters, body): GiveRole,
    default: Option<&str>,
) -> Result<(Done, MemberView), Problem> {
    let (id, user) = path.into_inner();
    let identity: Arc<_> = reachable(installation, &identity.into_inner(), caller, &id)?;
    let role = wished(&body.value, &parameters, default)?;
    let doing = Doing { installation, identity: &identity, caller };
    let reason = crate::people::reason(body.value.reason)?;
    let replaced = doing.replace_role(&user, &role, reason, request.context(caller, &body.bytes)).await?;
    Ok((replaced.done, MemberView::of(&doing, &user)))
}

/// The role that body and query name together.
fn wished(body: &MemberBody, parameters: &MemberParameters, default: Option<&str>) -> Result<String, Problem> {
    let role = either("role", body.role.clone(), parameters.role.clone())?.or_else(|| default.map(str::to_owned));
    let role = role.ok_or_else(|| Problem::invalid("/role", "is required, in the body or in the query"))?;
    Ok(if role == MEMBER { RoleName::viewer().to_string() } else { role })
}

/// Make somebody a member
///
/// Gives somebody who is in the organisation a built-in role in place of the one they have.
#[utoipa::path(
    post, path = "/v1/organizations/{id}/members/{user}", tag = "organizations", operation_id = "add_member",
    params(
        ("id" = String, Path, description = "The organisation's id."),
        ("user" = String, Path, description = "The person's id."),
        MemberParameters, CommandHeaders,
    ),
    request_body = Option<MemberBody>,
    responses((status = 200, description = "Done.", body = Answer<MemberView>), CommandProblems)
)]
pub(crate) async fn add(
    caller: Allowed<UserRoleAssign>,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    asked: GiveRole,
) -> Result<HttpResponse, Problem> {
    let (done, member) = give_role(&caller, &installation, identity, asked, Some(MEMBER)).await?;
    Ok(carried::respond(&done, crate::people::COLLECTION, member))
}

/// Change a member's role
///
/// `new_role` in the query or `role` in the body.
#[utoipa::path(
    put, path = "/v1/organizations/{id}/members/{user}/role", tag = "organizations", operation_id = "set_member_role",
    params(
        ("id" = String, Path, description = "The organisation's id."),
        ("user" = String, Path, description = "The person's id."),
        MemberParameters, CommandHeaders,
    ),
    request_body = Option<MemberBody>,
    responses((status = 200, description = "Done.", body = Answer<MemberView>), CommandProblems)
)]
pub(crate) async fn set_role(
    caller: Allowed<UserRoleAssign>,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    asked: GiveRole,
) -> Result<HttpResponse, Problem> {
    let (done, member) = give_role(&caller, &installation, identity, asked, None).await?;
    Ok(carried::respond(&done, crate::people::COLLECTION, member))
}

/// End a membership
///
/// Takes every role that the person has, everywhere and within departments. The account stays: without a role it sees and does
/// nothing. The organisation keeps an owner.
#[utoipa::path(
    delete, path = "/v1/organizations/{id}/members/{user}", tag = "organizations", operation_id = "remove_member",
    params(
        ("id" = String, Path, description = "The organisation's id."),
        ("user" = String, Path, description = "The person's id."),
        CommandHeaders,
    ),
    responses((status = 200, description = "Done.", body = Answer<MemberView>), CommandProblems)
)]
pub(crate) async fn remove(
    caller: Allowed<UserRoleAssign>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    request.refuse_if_match()?;
    let (id, user) = path.into_inner();
    let identity: Arc<_> = reachable(&installation, &identity.into_inner(), &caller, &id)?;
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let done = revoke_all(&doing, &user, &request.context(&caller, b"")).await?;
    Ok(carried::respond(&done, crate::people::COLLECTION, MemberView::of(&doing, &user)))
}

/// Takes every role. Whoever repeats it finds nothing left to take: it needs no key of its own.
pub(super) async fn revoke_all(doing: &Doing<'_>, user: &str, context: &CommandContext) -> Result<Done, Problem> {
    let state = doing.identity.directory.now();
    let context = following(context, None);
    let mut last = None;
    for grant in &known(&state, user)?.grants {
        let role = RoleName::parse("/role", grant.role.as_str()).map_err(invalid)?;
        let department = grant.department_id.clone();
        let department = daybook_domain::names::DepartmentId::parse_optional("/department_id", department);
        let department = department.map_err(invalid)?;
        last = Some(doing.revoke(user, role, department, None, context.clone()).await?);
    }
    last.ok_or_else(|| Problem::refused("organization.not_a_member", "the person has no role to be taken"))
}
