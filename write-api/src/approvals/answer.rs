//! What commands on requests for approval are answered with.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use daybook_approvals::refused;
use daybook_approvals::view::{AgentActionView, ApprovalRequestView, ApprovalView};
use daybook_domain::approval::{Approval, ApprovalError};
use daybook_domain::refusal::Refusal;
use daybook_http_kit::Problem;
use daybook_http_kit::answer::{Recorded, respond};
use daybook_ledger::commands::Outcome;
use serde::Serialize;
use utoipa::ToSchema;

use super::COLLECTION;

/// The answer to a command on a request for approval.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct ApprovalAnswer {
    /// What happened, in words.
    #[schema(example = "Vote recorded")]
    pub detail: &'static str,
    /// The request.
    #[serde(flatten)]
    pub approval: ApprovalView,
    /// Version, time and receipt.
    #[serde(flatten)]
    pub recorded: Recorded,
}

impl ApprovalAnswer {
    pub(super) fn of(outcome: &Outcome<Approval>, detail: &'static str) -> Result<Self, Problem> {
        Ok(Self { detail, approval: view_of(outcome)?, recorded: Recorded::of(outcome) })
    }
}

/// The request as it is after a command. A command on nothing was refused.
pub(super) fn view_of(outcome: &Outcome<Approval>) -> Result<ApprovalView, Problem> {
    ApprovalView::of(&outcome.aggregate).ok_or_else(|| refused(&ApprovalError::not_found()))
}

/// The request in its own shape.
pub(super) fn answered(outcome: &Outcome<Approval>, detail: &'static str) -> Result<HttpResponse, Problem> {
    Ok(respond(outcome, COLLECTION, &ApprovalAnswer::of(outcome, detail)?))
}

/// The answer to a command on a request in a predecessor's shape.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct ApprovalRequestAnswer {
    /// The request.
    #[serde(flatten)]
    pub request: ApprovalRequestView,
    /// Version, time and receipt.
    #[serde(flatten)]
    pub recorded: Recorded,
}

/// The request in a predecessor's shape, always with 200: its clients expect no other.
pub(super) fn answered_as_request(outcome: &Outcome<Approval>) -> Result<HttpResponse, Problem> {
    let view = view_of(outcome)?;
    let body = ApprovalRequestAnswer { request: ApprovalRequestView::from(&view), recorded: Recorded::of(outcome) };
    let mut answer = respond(outcome, COLLECTION, &body);
    *answer.status_mut() = StatusCode::OK;
    Ok(answer)
}

/// The answer to a command on an agent's action in a predecessor's shape.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct AgentActionAnswer {
    /// The action.
    #[serde(flatten)]
    pub action: AgentActionView,
    /// Version, time and receipt.
    #[serde(flatten)]
    pub recorded: Recorded,
}

/// The action of an agent that a request is for; 404 where it is no agent's.
pub(super) fn answered_as_action(outcome: &Outcome<Approval>) -> Result<HttpResponse, Problem> {
    let view = view_of(outcome)?;
    let action = AgentActionView::of(&view).ok_or_else(no_such_action)?;
    Ok(respond(outcome, COLLECTION, &AgentActionAnswer { action, recorded: Recorded::of(outcome) }))
}

/// 404: there is no action of an agent of that id.
pub(super) fn no_such_action() -> Problem {
    Problem::not_found("agent_action.not_found", "there is no action of an agent of that id")
}
