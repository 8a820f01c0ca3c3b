//! Roles of people: given and taken, everywhere or within a department.

use actix_web::{HttpResponse, web};
use daybook_domain::names::{DepartmentId, RoleName};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::{UserList, UserRoleAssign};
use daybook_http_kit::{
    Allowed, AllowedWithin, Body, CommandRequest, Listing, NoQuery, PageParameters, Problem, Query,
};

use super::COLLECTION;
use super::body::{GrantBody, RevokeBody, reason};
use super::carried::{self, Answer};
use super::operations::Doing;
use super::view::{PersonView, known};
use crate::problems::Faults;
use crate::rbac::list::{Paged, page_of};
use crate::state::{IdentityState, OrganizationIdentity};
use crate::view::GrantView;

/// The roles of a person
///
/// Expired ones included, until they are revoked.
#[utoipa::path(
    get, path = "/v1/users/{id}/grants", tag = "people", operation_id = "list_grants",
    params(("id" = String, Path, description = "The person's id."), PageParameters, QueryHeaders),
    responses((status = 200, description = "Roles.", body = Listing<GrantView>), QueryProblems)
)]
pub(crate) async fn list(
    _caller: Allowed<UserList>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    page: Query<PageParameters>,
) -> Result<HttpResponse, Problem> {
    let state = identity.directory.now();
    let grants = known(&state, &id)?.grants.iter().map(GrantView::from);
    let key = |grant: &GrantView| format!("{}/{}", grant.role, grant.department_id.as_deref().unwrap_or_default());
    page_of(&page, state.position, grants, key).map(Paged::respond)
}

/// Give a role
///
/// A grant of a role that is held in the same place replaces it: that is how its end is moved. Nobody gives a role that permits
/// more than he may himself (403 `rbac.exceeds_own`); owners are made by owners (403 `rbac.owner_only`). Whoever holds
/// `user:role_assign` within a department gives roles within that department.
#[utoipa::path(
    post, path = "/v1/users/{id}/grants", tag = "people", operation_id = "grant_role",
    params(("id" = String, Path, description = "The person's id."), CommandHeaders), request_body = GrantBody,
    responses((status = 200, description = "Given.", body = Answer<PersonView>), CommandProblems)
)]
pub(crate) async fn grant(
    caller: AllowedWithin<UserRoleAssign>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    body: Body<GrantBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let done = doing.grant(&id, body.value.terms()?, context).await?;
    let person = PersonView::found(&identity, &id, &caller, installation.now()).await?;
    Ok(carried::respond(&done, COLLECTION, person))
}

/// Take a role
///
/// The organisation keeps an owner: 409 `user.last_owner`.
#[utoipa::path(
    post, path = "/v1/users/{id}/grants/revoke", tag = "people", operation_id = "revoke_role",
    params(("id" = String, Path, description = "The person's id."), CommandHeaders), request_body = RevokeBody,
    responses((status = 200, description = "Taken.", body = Answer<PersonView>), CommandProblems)
)]
pub(crate) async fn revoke(
    caller: AllowedWithin<UserRoleAssign>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    body: Body<RevokeBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let RevokeBody { role, department_id, reason: why } = body.value;
    let (role, department_id) = names(role, department_id)?;
    let doing = Doing { installation: &installation, identity: &identity, caller: &caller };
    let done = doing.revoke(&id, role, department_id, reason(why)?, context).await?;
    let person = PersonView::found(&identity, &id, &caller, installation.now()).await?;
    Ok(carried::respond(&done, COLLECTION, person))
}

/// A role and a department, as names.
pub(crate) fn names(role: String, department_id: Option<String>) -> Result<(RoleName, Option<DepartmentId>), Problem> {
    let mut faults = Faults::default();
    let role = faults.check(RoleName::parse("/role", role));
    let department_id = faults.check(DepartmentId::parse_optional("/department_id", department_id));
    match (role, department_id) {
        (Some(role), Some(department_id)) => Ok((role, department_id)),
        _ => Err(faults.problem()),
    }
}
