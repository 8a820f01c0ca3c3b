//! Who votes in whose place. Everybody gives, accepts and ends their own; to end those of others takes a permission.

use actix_web::{HttpResponse, web};
use daybook_approvals::Approvals;
use daybook_approvals::view::DelegationView;
use daybook_domain::delegation::{Delegation, DelegationError};
use daybook_domain::refusal::Refusal;
use daybook_http_kit::answer::{Recorded, respond};
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems, CreateProblems};
use daybook_http_kit::{Body, CommandRequest, NoQuery, Principal, Problem, Scoped};
use daybook_ledger::commands::Outcome;
use serde::Serialize;
use utoipa::ToSchema;

use super::policy_body::DelegationBody;

/// Where delegations are.
const DELEGATIONS: &str = "/delegations";

/// The answer to a command on a delegation.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct DelegationAnswer {
    /// What happened, in words.
    #[schema(example = "Delegation given")]
    pub detail: &'static str,
    /// The delegation.
    #[serde(flatten)]
    pub delegation: DelegationView,
    /// Version, time and receipt.
    #[serde(flatten)]
    pub recorded: Recorded,
}

/// Have somebody vote in one's place
///
/// For a time of at most 366 days, and from a moment that may be still to come. It passes on votes and nothing else. Whoever
/// stands in for somebody who asks for an approval does not vote on that. Everybody gives their own, with a session; nobody
/// gives those of others. It has no effect until whoever is to stand in accepts it.
#[utoipa::path(
    post, path = "/v1/delegations", tag = "delegations", operation_id = "give_delegation",
    params(CommandHeaders), request_body = DelegationBody,
    responses(
        (status = 201, description = "Given.", body = DelegationAnswer,
            headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "Its version."))),
        CreateProblems,
    )
)]
pub(super) async fn give(
    caller: Principal,
    request: CommandRequest,
    _: NoQuery,
    approvals: Scoped<Approvals>,
    body: Body<DelegationBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let delegation = body.value.delegation()?;
    let outcome = approvals.give_delegation(&caller, delegation, context).await?;
    answered(&outcome, "Delegation given")
}

/// Accept a delegation
///
/// By whoever is to stand in, with a session. It has effect from then on: for votes, and in that whoever stands in for
/// somebody who asks for an approval does not vote on that.
#[utoipa::path(
    post, path = "/v1/delegations/{id}/accept", tag = "delegations", operation_id = "accept_delegation",
    params(("id" = String, Path, description = "The delegation's id."), CommandHeaders),
    responses((status = 200, description = "Accepted.", body = DelegationAnswer), CommandProblems)
)]
pub(super) async fn accept(
    caller: Principal,
    request: CommandRequest,
    _: NoQuery,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, b"");
    let outcome = approvals.accept_delegation(&caller, &id, context).await?;
    answered(&outcome, "Delegation accepted")
}

/// End a delegation
///
/// By whoever is stood in for or stands in, and with `delegation:manage` by others.
#[utoipa::path(
    post, path = "/v1/delegations/{id}/end", tag = "delegations", operation_id = "end_delegation",
    params(("id" = String, Path, description = "The delegation's id."), CommandHeaders),
    responses((status = 200, description = "Ended.", body = DelegationAnswer), CommandProblems)
)]
pub(super) async fn end(
    caller: Principal,
    request: CommandRequest,
    _: NoQuery,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, b"");
    let outcome = approvals.end_delegation(&caller, &id, context).await?;
    answered(&outcome, "Delegation ended")
}

fn answered(outcome: &Outcome<Delegation>, detail: &'static str) -> Result<HttpResponse, Problem> {
    let delegation = DelegationView::of(&outcome.aggregate)
        .ok_or_else(|| daybook_approvals::refused(&DelegationError::not_found()))?;
    Ok(respond(outcome, DELEGATIONS, &DelegationAnswer { detail, delegation, recorded: Recorded::of(outcome) }))
}
