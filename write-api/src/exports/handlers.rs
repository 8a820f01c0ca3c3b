//! Asking for an export, stopping one, and having one delivered once more.

use actix_web::http::header::{HeaderValue, LINK, LOCATION};
use actix_web::{HttpResponse, web};
use daybook_approvals::refused;
use daybook_domain::approval::ApprovalStatus;
use daybook_domain::export::{DeliveryCause, Export, ExportCommand, ExportError, Removed};
use daybook_domain::names::{DeliveryId, DestinationName};
use daybook_domain::text::Reason;
use daybook_http_kit::answer::{ReceiptView, path_segment, proof_link, respond};
use daybook_http_kit::idempotency::IDEMPOTENCY_REPLAYED;
use daybook_http_kit::openapi::{BulkHeaders, CommandHeaders, CommandProblems, CreateProblems};
use daybook_http_kit::permission::{ExportManage, ExportRequest};
use daybook_http_kit::{
    API_PREFIX, Allowed, Body, CommandRequest, NoQuery, OptionalBody, Principal, Problem, Scoped, json, new_id,
    with_position,
};
use daybook_ledger::commands::{CommandContext, Outcome};
use serde_json::{Map, Value};

use super::COLLECTION;
use super::asking::{Asked, Opened, REQUIRES_APPROVAL};
use super::body::{CancelBody, RedeliverBody, RemoveBody, RequestBody, refuse_records};
use super::desk::{ExportDesk, actor};
use super::pack;
use super::view::{ExportAnswer, ExportView, PendingAnswer};
use crate::problems::invalid;

/// Ask for an export
///
/// Somebody else approves it, then the file is made: 202 with the request for approval. Where the policy in force asks
/// nobody it is 201. What is in the file is fixed here: kind, format, filters, columns and destinations are what is
/// approved. Takes the permission to read what is to be in it.
///
/// A body in the shape of a predecessor's record of an export (`export_type`, `file_path`, `hash`) is 422
/// `export.made_not_recorded`.
#[utoipa::path(
    post, path = "/v1/exports", tag = "exports", operation_id = "request_export",
    params(BulkHeaders), request_body = RequestBody,
    responses(
        (status = 202, description = "Waits for somebody else's approval.", body = PendingAnswer),
        (status = 201, description = "Is being made: nobody is asked.", body = ExportAnswer),
        CreateProblems,
    )
)]
pub async fn request(
    caller: Allowed<ExportRequest>,
    request: CommandRequest,
    _: NoQuery,
    desk: Scoped<ExportDesk>,
    body: Body<Map<String, Value>>,
) -> Result<HttpResponse, Problem> {
    // The export and its approval have no version in common.
    request.refuse_if_match()?;
    refuse_records(&body.value)?;
    let asked = Asked::of_body(json::parse::<RequestBody>(&body.bytes)?, &caller, &desk)?;
    pack::check(&asked, &desk).await?;
    let opened = asked.open(&desk, &caller, request.context(&caller, &body.bytes)).await?;
    if opened.is_approved() {
        return Ok(respond(&opened.export, COLLECTION, &ExportAnswer::of(&opened.export)));
    }
    Ok(pending(&desk, &opened))
}

/// 202: somebody else decides.
pub(super) fn pending(desk: &ExportDesk, opened: &Opened) -> HttpResponse {
    let Opened { export, approval } = opened;
    let detail = desk.approvals.blocked(approval, REQUIRES_APPROVAL).detail;
    let mut answer = waiting(export, approval.id.clone(), detail, "pending");
    if export.replayed {
        answer.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    with_position(answer, Some(approval.receipt.position))
}

/// 202 with what is waited for.
pub(super) fn waiting(
    export: &Outcome<Export>,
    approval: String,
    detail: String,
    status: &'static str,
) -> HttpResponse {
    let answer = PendingAnswer {
        detail,
        approval_request_id: Some(approval),
        status,
        export: ExportView::of(&export.id, &export.aggregate),
        receipt: ReceiptView::from(&export.receipt),
    };
    let location = format!("{API_PREFIX}{COLLECTION}/{}", path_segment(&export.id));
    let proof = proof_link(&export.receipt);
    let answer = HttpResponse::Accepted().insert_header((LOCATION, location)).insert_header((LINK, proof)).json(answer);
    with_position(answer, Some(export.receipt.position))
}

/// Stop an export
///
/// While there is no file yet. By whoever asked for it, or with `export:manage`. Its request for approval ends with it.
#[utoipa::path(
    post, path = "/v1/exports/{id}/cancel", tag = "exports", operation_id = "cancel_export",
    params(("id" = String, Path, description = "The export's id."), CommandHeaders), request_body = Option<CancelBody>,
    responses((status = 200, description = "Cancelled.", body = ExportAnswer), CommandProblems)
)]
pub async fn cancel(
    caller: Allowed<ExportRequest>,
    request: CommandRequest,
    _: NoQuery,
    desk: Scoped<ExportDesk>,
    id: web::Path<String>,
    body: OptionalBody<CancelBody>,
) -> Result<HttpResponse, Problem> {
    let found = desk.find(&id).await?;
    if !is_own(&desk, &caller, &found.aggregate) {
        caller.require::<ExportManage>()?;
    }
    let reason = Reason::parse_optional("/reason", body.value.reason).map_err(invalid)?;
    let context = request.context(&caller, &body.bytes);
    let command = ExportCommand::Cancel { by: actor(&caller)?, reason: reason.clone(), at: desk.now()? };
    let outcome = desk.execute(&id, command, context.clone()).await?;
    end_approval(&desk, &caller, &outcome.aggregate, reason, context).await?;
    Ok(respond(&outcome, COLLECTION, &ExportAnswer::of(&outcome)))
}

/// Ends the request for approval of an export that was cancelled: nobody is asked to decide on what nobody wants. A request
/// that is decided, and used up, stays as it is. A repeat of the call does what is left.
async fn end_approval(
    desk: &ExportDesk,
    caller: &Principal,
    export: &Export,
    reason: Option<Reason>,
    context: CommandContext,
) -> Result<(), Problem> {
    let Some(request) = export.request() else { return Ok(()) };
    let id = request.approval_id.as_str();
    let context = CommandContext { command: None, expected_version: None, ..context };
    let is_requester = request.requested_by.as_str() == caller.actor.id;
    let ended = match desk.approvals.find(id).await {
        Ok(approval) => match approval.aggregate.status() {
            Some(ApprovalStatus::Draft | ApprovalStatus::Pending | ApprovalStatus::Approved) if is_requester => {
                desk.approvals.withdraw(caller, id, reason, context).await.map(drop)
            }
            _ => desk.approvals.void_for_cancelled(id, &context).await,
        },
        Err(problem) => Err(problem),
    };
    match ended {
        // There is none, or it ended otherwise, or was used up, in this very moment: nothing is made for a cancelled export.
        Err(problem) if problem.status() < 500 => Ok(()),
        ended => ended,
    }
}

/// Remove an export's file
///
/// The file, its manifest and its signature are gone from here afterwards; what the ledger recorded of them stays, and so do
/// copies that were delivered. Not while a legal hold covers the export, or somebody whom it tells of (409 `export.held`, with
/// all of them), nor before the rule about exports lets go of it (409 `export.retained`).
#[utoipa::path(
    post, path = "/v1/exports/{id}/remove", tag = "exports", operation_id = "remove_export",
    params(("id" = String, Path, description = "The export's id."), CommandHeaders), request_body = RemoveBody,
    responses((status = 200, description = "Removed.", body = ExportAnswer), CommandProblems)
)]
pub async fn remove(
    caller: Allowed<ExportManage>,
    request: CommandRequest,
    _: NoQuery,
    desk: Scoped<ExportDesk>,
    id: web::Path<String>,
    body: Body<RemoveBody>,
) -> Result<HttpResponse, Problem> {
    let why = Reason::parse("/reason", body.value.reason).map_err(invalid)?;
    let command = ExportCommand::Remove(Removed { by: actor(&caller)?, why, at: desk.now()? });
    // Until it is gone nobody places a hold on it.
    let custody = desk.approvals.custody_of_export(&id).await?;
    // What is gone already is not kept from going.
    if desk.find(&id).await?.aggregate.has_file() {
        custody.may_be_removed(desk.now()?.micros())?;
    }
    // Recorded first: what is gone is known to be gone. Where the files stay behind, a repeat removes them.
    let outcome = desk.execute(&id, command, request.context(&caller, &body.bytes)).await?;
    if let Some(request) = outcome.aggregate.request() {
        let (files, export_id) = (desk.files.clone(), request.export_id.clone());
        let removed = tokio::task::spawn_blocking(move || files.remove(&export_id)).await;
        removed.map_err(|error| Problem::internal(&error))?.map_err(|error| Problem::internal(&error))?;
    }
    Ok(respond(&outcome, COLLECTION, &ExportAnswer::of(&outcome)))
}

/// Whether the caller, or somebody who is the same person, asked for it.
fn is_own(desk: &ExportDesk, caller: &Principal, export: &Export) -> bool {
    let state = desk.approvals.directory().now();
    let person = state.person_of(caller.actor.id.as_str());
    export.request().is_some_and(|request| {
        request.requested_by.as_str() == caller.actor.id || state.person_of(request.person.as_str()) == person
    })
}

/// Deliver an export once more
///
/// To the destinations that are named, else to all that it was approved for and where no delivery is under way, those that
/// were given up among them. Each gets a delivery of its own, under a new id.
#[utoipa::path(
    post, path = "/v1/exports/{id}/redeliver", tag = "exports", operation_id = "redeliver_export",
    params(("id" = String, Path, description = "The export's id."), BulkHeaders), request_body = Option<RedeliverBody>,
    responses((status = 200, description = "On its way.", body = ExportAnswer), CommandProblems)
)]
pub async fn redeliver(
    caller: Allowed<ExportManage>,
    request: CommandRequest,
    _: NoQuery,
    desk: Scoped<ExportDesk>,
    id: web::Path<String>,
    body: OptionalBody<RedeliverBody>,
) -> Result<HttpResponse, Problem> {
    // Several deliveries have no version in common.
    request.refuse_if_match()?;
    let found = desk.find(&id).await?;
    let (destinations, is_named) = match body.value.destinations {
        Some(names) => (named(names)?, true),
        None => (wanted(&found.aggregate), false),
    };
    let mut last = Err(nowhere(&found.aggregate));
    for destination in destinations {
        let context = request.item_context(&caller, &body.bytes, destination.as_str());
        let delivery_id = DeliveryId::parse("/delivery_id", new_id("dlv", &context)).map_err(invalid)?;
        let command = ExportCommand::ScheduleDelivery { delivery_id, destination, why: DeliveryCause::Redeliver };
        match desk.execute(&id, command, context).await {
            // One that nobody named and that is under way already needs nothing.
            Err(problem) if !is_named && problem.code() == "export.delivery_under_way" => {
                last = last.or(Err(problem));
            }
            outcome => last = Ok(outcome?),
        }
    }
    let outcome = last?;
    Ok(respond(&outcome, COLLECTION, &ExportAnswer::of(&outcome)))
}

fn named(names: Vec<String>) -> Result<Vec<DestinationName>, Problem> {
    let mut destinations = Vec::with_capacity(names.len());
    for (index, name) in names.into_iter().enumerate() {
        let name = DestinationName::parse(&format!("/destinations/{index}"), name).map_err(invalid)?;
        if destinations.contains(&name) {
            return Err(Problem::invalid(format!("/destinations/{index}"), "is named twice"));
        }
        destinations.push(name);
    }
    Ok(destinations)
}

fn wanted(export: &Export) -> Vec<DestinationName> {
    export.request().map(|request| request.deliver_to.clone()).unwrap_or_default()
}

/// The answer where there is no destination at all.
fn nowhere(export: &Export) -> Problem {
    match export.status() {
        Some(status) if !export.has_file() => refused(&ExportError::NoFile { status }),
        _ => Problem::refused("export.no_destination", "the export was not requested for any destination")
            .at("/destinations", "is required"),
    }
}
