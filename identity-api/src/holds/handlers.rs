//! Legal holds over HTTP.

use actix_web::{HttpResponse, web};
use daybook_domain::legal_hold::{LegalHold, LegalHoldCommand};
use daybook_domain::text::Reason;
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, CreateProblems, QueryHeaders, QueryProblems};
use daybook_http_kit::organizations::Scoped;
use daybook_http_kit::permission::{HoldManage, HoldRead};
use daybook_http_kit::{Allowed, Body, CommandRequest, Listing, NoQuery, PageParameters, Problem, Query};
use daybook_identity::directory::{HoldCover, HoldRecord};
use daybook_ledger::commands::CommandContext;

use super::COLLECTION;
use super::body::{ExtendBody, HoldFilter, PlaceBody, ReleaseBody};
use super::known::must_be_there;
use super::view::{HoldView, status};
use crate::people::carried::{self, Answer, done, execute, short_id};
use crate::problems::invalid;
use crate::rbac::list::{Paged, one, page_of};
use crate::state::{IdentityState, OrganizationIdentity};

/// Hexadecimal digits of a hold's id.
const ID_DIGITS: usize = 24;

/// List legal holds
///
/// By id, released ones included.
#[utoipa::path(
    get, path = "/v1/legal-holds", tag = "legal holds", operation_id = "list_legal_holds",
    params(HoldFilter, PageParameters, QueryHeaders),
    responses((status = 200, description = "Holds.", body = Listing<HoldView>), QueryProblems)
)]
pub(crate) async fn list(
    _caller: Allowed<HoldRead>,
    identity: Scoped<OrganizationIdentity>,
    filter: Query<HoldFilter>,
) -> Result<HttpResponse, Problem> {
    let state = identity.directory.now();
    let wanted = filter.status()?;
    let covers = |hold: &HoldRecord, subject: &str| {
        hold.covers.iter().any(|cover| matches!(cover, HoldCover::Subject { id } if id == subject))
    };
    let stream = filter.stream()?;
    let covers_stream = |hold: &HoldRecord, stream: (&str, &str)| {
        hold.covers.iter().any(|cover| {
            matches!(cover, HoldCover::Stream { stream_type, stream_id } if (stream_type.as_str(), stream_id.as_str()) == stream)
        })
    };
    let is_wanted = |hold: &HoldRecord| {
        wanted.is_none_or(|wanted| status(hold) == wanted)
            && filter.subject.as_deref().is_none_or(|subject| covers(hold, subject))
            && stream.is_none_or(|stream| covers_stream(hold, stream))
    };
    let holds = state.holds.values().filter(|hold| is_wanted(hold)).map(|hold| HoldView::of(hold));
    page_of(&filter.page, state.position, holds, |hold| hold.id.clone()).map(Paged::respond)
}

/// One legal hold
#[utoipa::path(
    get, path = "/v1/legal-holds/{id}", tag = "legal holds", operation_id = "get_legal_hold",
    params(("id" = String, Path, description = "The hold's id."), QueryHeaders),
    responses((status = 200, description = "The hold.", body = HoldView), QueryProblems)
)]
pub(crate) async fn get(
    _caller: Allowed<HoldRead>,
    identity: Scoped<OrganizationIdentity>,
    _: NoQuery,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let state = identity.directory.now();
    Ok(one(state.position, &HoldView::found(&state, &id)?))
}

/// Place a legal hold
///
/// While it is in force nobody is erased whom it covers, or who acted or is named in a stream that it covers, and no file is
/// removed of an export that it covers, or that tells of a person whom it covers. Whatever is being taken away at the same
/// moment either is gone before, or stays.
/// What is not there cannot be covered: 422 `legal_hold.unknown_cover` says which.
#[utoipa::path(
    post, path = "/v1/legal-holds", tag = "legal holds", operation_id = "place_legal_hold",
    params(CommandHeaders), request_body = PlaceBody,
    responses((status = 201, description = "Placed.", body = Answer<HoldView>), CreateProblems)
)]
pub(crate) async fn place(
    caller: Allowed<HoldManage>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    body: Body<PlaceBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let id = short_id("hld", ID_DIGITS, &identity.id, &context);
    let placed = body.value.placed(id.clone())?;
    must_be_there(&installation, &identity, &placed.covers).await?;
    let command = LegalHoldCommand::Place(Box::new(placed));
    let _custody = identity.directory.custody_turn().await?;
    carry_out(&identity, &id, command, context).await
}

/// Extend a legal hold
///
/// What it covers already changes nothing. What is not there cannot be covered: 422 `legal_hold.unknown_cover` says which.
#[utoipa::path(
    post, path = "/v1/legal-holds/{id}/extend", tag = "legal holds", operation_id = "extend_legal_hold",
    params(("id" = String, Path, description = "The hold's id."), CommandHeaders), request_body = ExtendBody,
    responses((status = 200, description = "Extended.", body = Answer<HoldView>), CommandProblems)
)]
pub(crate) async fn extend(
    caller: Allowed<HoldManage>,
    request: CommandRequest,
    _: NoQuery,
    installation: web::Data<IdentityState>,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    body: Body<ExtendBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let covers = body.value.covered()?;
    must_be_there(&installation, &identity, &covers).await?;
    let command = LegalHoldCommand::Extend { covers };
    let _custody = identity.directory.custody_turn().await?;
    carry_out(&identity, &id, command, context).await
}

/// Release a legal hold
///
/// For good. What it stood in the way of can be performed: `POST /erasures/{id}/perform`.
#[utoipa::path(
    post, path = "/v1/legal-holds/{id}/release", tag = "legal holds", operation_id = "release_legal_hold",
    params(("id" = String, Path, description = "The hold's id."), CommandHeaders), request_body = ReleaseBody,
    responses((status = 200, description = "Released.", body = Answer<HoldView>), CommandProblems)
)]
pub(crate) async fn release(
    caller: Allowed<HoldManage>,
    request: CommandRequest,
    _: NoQuery,
    identity: Scoped<OrganizationIdentity>,
    id: web::Path<String>,
    body: Body<ReleaseBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let command = LegalHoldCommand::Release { reason: Reason::parse("/reason", body.value.reason).map_err(invalid)? };
    carry_out(&identity, &id, command, context).await
}

async fn carry_out(
    identity: &OrganizationIdentity,
    id: &str,
    command: LegalHoldCommand,
    context: CommandContext,
) -> Result<HttpResponse, Problem> {
    let outcome = execute::<LegalHold>(identity, &identity.holds, id, command, context).await?;
    let view = HoldView::found(&identity.directory.now(), id)?;
    Ok(carried::respond(&done(outcome), COLLECTION, view))
}
