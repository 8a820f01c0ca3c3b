//! Another one-time link for an organisation that has no owner yet: the first one may be lost or over.

use actix_web::{HttpResponse, web};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::OrganizationCreate;
use daybook_http_kit::{Allowed, CommandRequest, NoQuery, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use super::operations::reachable;
use crate::state::{IdentityState, OrganizationIdentity, vault_problem};

/// The way in for whoever becomes the owner.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct OwnerLinkView {
    /// The organisation.
    pub id: String,
    /// Whoever opens it registers as the owner. It works once and for a week, and makes every earlier one useless.
    pub owner_link: String,
}

/// Make a link for the first owner
///
/// The operator's alone. 409 `organization.has_owner` where there is an active owner who can come in.
#[utoipa::path(
    post, path = "/v1/organizations/{id}/owner-link", tag = "organizations", operation_id = "create_owner_link",
    params(("id" = String, Path, description = "The organisation's id."), CommandHeaders),
    responses((status = 200, description = "The link.", body = OwnerLinkView), CommandProblems)
)]
pub(crate) async fn create(
    caller: Allowed<OrganizationCreate>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    // Nothing is recorded: a repeat makes a new link in place of the one before.
    request.refuse_if_match()?;
    let identity = reachable(&installation, &identity.into_inner(), &caller, &id)?;
    let link = installation.owner_link(&identity.id).await.map_err(vault_problem)?;
    let owner_link = link.ok_or_else(|| {
        Problem::conflict("organization.has_owner", "the organization has an owner, who invites others")
    })?;
    Ok(HttpResponse::Ok().json(OwnerLinkView { id: identity.id.to_string(), owner_link }))
}
