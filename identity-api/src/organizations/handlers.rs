//! Organisations over HTTP. Whoever is not of an organisation gets the answer for one that there is not.

use actix_web::{HttpResponse, web};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, CreateProblems, QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::{OrganizationCreate, OrganizationRead, OrganizationUpdate};
use daybook_http_kit::{Allowed, Body, CommandRequest, Listing, NoQuery, PageParameters, Principal, Problem, Query};

use super::COLLECTION;
use super::operations::{self, ChangeBody, CreateBody, CreatedView, reachable};
use super::view::OrganizationView;
use crate::people::carried::{self, Answer};
use crate::rbac::list::{Paged, one, page_of};
use crate::state::{IdentityState, OrganizationIdentity};

/// List organisations
///
/// One's own. The operator sees all.
#[utoipa::path(
    get, path = "/v1/organizations", tag = "organizations", operation_id = "list_organizations",
    params(PageParameters, QueryHeaders),
    responses((status = 200, description = "Organisations by id.", body = Listing<OrganizationView>), QueryProblems)
)]
pub(crate) async fn list(
    caller: Allowed<OrganizationRead>,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    page: Query<PageParameters>,
) -> Result<HttpResponse, Problem> {
    paged(&installation, &identity, &caller, &page).map(Paged::respond)
}

pub(super) fn paged(
    installation: &IdentityState,
    identity: &OrganizationIdentity,
    caller: &Principal,
    page: &PageParameters,
) -> Result<Paged<OrganizationView>, Problem> {
    let position = identity.directory.now().position;
    if caller.is_operator() {
        let all = installation.organizations.all();
        let page = page_of(page, position, all, |(id, _)| id.to_string())?;
        return Ok(page.map(|(_, identity)| OrganizationView::of(installation, &identity)));
    }
    page_of(page, position, [OrganizationView::of(installation, identity)], |organization| organization.id.clone())
}

/// One organisation
#[utoipa::path(
    get, path = "/v1/organizations/{id}", tag = "organizations", operation_id = "get_organization",
    params(("id" = String, Path, description = "The organisation's id."), QueryHeaders),
    responses((status = 200, description = "The organisation.", body = OrganizationView), QueryProblems)
)]
pub(crate) async fn get(
    caller: Allowed<OrganizationRead>,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let identity = reachable(&installation, &identity.into_inner(), &caller, &id)?;
    Ok(one(identity.directory.now().position, &OrganizationView::of(&installation, &identity)))
}

/// Make an organisation
///
/// The operator's alone. The answer has the one-time link for its first owner; a repeat with the same `Idempotency-Key`
/// answers without it.
#[utoipa::path(
    post, path = "/v1/organizations", tag = "organizations", operation_id = "create_organization",
    params(CommandHeaders), request_body = CreateBody,
    responses((status = 201, description = "Made.", body = Answer<CreatedView>), CreateProblems)
)]
pub(crate) async fn create(
    caller: Allowed<OrganizationCreate>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    body: Body<CreateBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let (done, created) = operations::create(&installation, body.value, context).await?;
    Ok(carried::respond(&done, COLLECTION, created))
}

/// Change an organisation
///
/// Its name, its settings, or both.
#[utoipa::path(
    patch, path = "/v1/organizations/{id}", tag = "organizations", operation_id = "change_organization",
    params(("id" = String, Path, description = "The organisation's id."), CommandHeaders), request_body = ChangeBody,
    responses((status = 200, description = "Changed.", body = Answer<OrganizationView>), CommandProblems)
)]
pub(crate) async fn change(
    caller: Allowed<OrganizationUpdate>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    body: Body<ChangeBody>,
) -> Result<HttpResponse, Problem> {
    let identity = reachable(&installation, &identity.into_inner(), &caller, &id)?;
    let (done, organization) =
        operations::change(&installation, &identity, &caller, &request, body.value, &body.bytes).await?;
    Ok(carried::respond(&done, COLLECTION, organization))
}
