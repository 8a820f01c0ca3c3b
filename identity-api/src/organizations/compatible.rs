//! The predecessors' `/api/organizations/…` and `/api/auth/organizations`, in their envelope.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, CreateProblems, QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::{OrganizationCreate, OrganizationRead, UserRoleAssign};
use daybook_http_kit::{Allowed, Body, CommandRequest, NoQuery, PageParameters, Problem, Query, with_position};

use super::COLLECTION;
use super::handlers::paged;
use super::members::{GiveRole, MEMBER, MemberBody, MemberParameters, MemberView, give_role, revoke_all};
use super::operations::{self, CreateBody, CreatedView, reachable};
use super::view::OrganizationView;
use crate::people::carried::{Answer, Enveloped, envelop};
use crate::people::operations::Doing;
use crate::state::{IdentityState, OrganizationIdentity};

/// List organisations
#[utoipa::path(
    get, path = "/v1/api/organizations", tag = "compatible", operation_id = "compatible_list_organizations",
    params(PageParameters, QueryHeaders),
    responses((status = 200, description = "Organisations.", body = Enveloped<Vec<OrganizationView>>), QueryProblems)
)]
pub(crate) async fn list(
    caller: Allowed<OrganizationRead>,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    page: Query<PageParameters>,
) -> Result<HttpResponse, Problem> {
    let page = paged(&installation, &identity, &caller, &page)?;
    Ok(HttpResponse::Ok().json(Enveloped::of(page.listing.items, "Organizations")))
}

/// One organisation
#[utoipa::path(
    get, path = "/v1/api/organizations/{id}", tag = "compatible", operation_id = "compatible_get_organization",
    params(("id" = String, Path, description = "The organisation's id."), QueryHeaders),
    responses((status = 200, description = "The organisation.", body = Enveloped<OrganizationView>), QueryProblems)
)]
pub(crate) async fn get(
    caller: Allowed<OrganizationRead>,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let identity = reachable(&installation, &identity.into_inner(), &caller, &id)?;
    let body = Enveloped::of(OrganizationView::of(&installation, &identity), "Organization");
    Ok(with_position(HttpResponse::Ok().json(body), identity.directory.now().position.checked_sub(1)))
}

/// Make an organisation
#[utoipa::path(
    post, path = "/v1/api/auth/organizations", tag = "compatible", operation_id = "compatible_create_organization",
    params(CommandHeaders), request_body = CreateBody,
    responses((status = 201, description = "Made.", body = Enveloped<Answer<CreatedView>>), CreateProblems)
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
    Ok(envelop(&done, COLLECTION, "Organization created", created))
}

/// Make somebody a member
#[utoipa::path(
    post, path = "/v1/api/organizations/{id}/members/{user}", tag = "compatible", operation_id = "compatible_add_member",
    params(
        ("id" = String, Path, description = "The organisation's id."),
        ("user" = String, Path, description = "The person's id."),
        MemberParameters, CommandHeaders,
    ),
    request_body = Option<MemberBody>,
    responses((status = 200, description = "Done.", body = Enveloped<Answer<MemberView>>), CommandProblems)
)]
pub(crate) async fn add_member(
    caller: Allowed<UserRoleAssign>,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    asked: GiveRole,
) -> Result<HttpResponse, Problem> {
    let (done, member) = give_role(&caller, &installation, identity, asked, Some(MEMBER)).await?;
    Ok(envelop(&done, crate::people::COLLECTION, "Member added", member))
}

/// Change a member's role
#[utoipa::path(
    put, path = "/v1/api/organizations/{id}/members/{user}/role", tag = "compatible",
    operation_id = "compatible_set_member_role",
    params(
        ("id" = String, Path, description = "The organisation's id."),
        ("user" = String, Path, description = "The person's id."),
        MemberParameters, CommandHeaders,
    ),
    request_body = Option<MemberBody>,
    responses((status = 200, description = "Done.", body = Enveloped<Answer<MemberView>>), CommandProblems)
)]
pub(crate) async fn set_member_role(
    caller: Allowed<UserRoleAssign>,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    asked: GiveRole,
) -> Result<HttpResponse, Problem> {
    let (done, member) = give_role(&caller, &installation, identity, asked, None).await?;
    Ok(envelop(&done, crate::people::COLLECTION, "Member role updated", member))
}

/// End a membership
#[utoipa::path(
    delete, path = "/v1/api/organizations/{id}/members/{user}", tag = "compatible",
    operation_id = "compatible_remove_member",
    params(
        ("id" = String, Path, description = "The organisation's id."),
        ("user" = String, Path, description = "The person's id."),
        CommandHeaders,
    ),
    responses((status = 200, description = "Done.", body = Enveloped<Answer<MemberView>>), CommandProblems)
)]
pub(crate) async fn remove_member(
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
    Ok(envelop(&done, crate::people::COLLECTION, "Member removed", MemberView::of(&doing, &user)))
}
