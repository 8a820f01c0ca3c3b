//! Voting. Whoever holds the permission to decide, be it within a department only, may try; who decides, the policy says.

use actix_web::{HttpResponse, web};
use daybook_approvals::Approvals;
use daybook_domain::approval::Decision;
use daybook_domain::text::Reason;
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems};
use daybook_http_kit::permission::ApprovalDecide;
use daybook_http_kit::{AllowedWithin, Body, CommandRequest, NoQuery, Problem, Scoped};
use serde::Deserialize;
use utoipa::ToSchema;

use super::answer::{ApprovalAnswer, answered};
use super::decision::VoteBody;
use crate::faults::Faults;

/// Vote on a request
///
/// People only, and never whoever asked, under no role, delegation or second account. One vote that rejects rejects it;
/// it is approved when every step has its votes. Refusals say what is in the way: `approval.self_approval`,
/// `approval.delegate_of_requester`, `approval.person_required`, `approval.not_eligible`, `approval.not_your_turn`,
/// `approval.seat_owed_to_requester`, `approval.already_voted`, `approval.already_decided`, `approval.revised`,
/// `approval.expired`.
#[utoipa::path(
    post, path = "/v1/approvals/{id}/vote", tag = "approvals", operation_id = "vote_on_approval",
    params(("id" = String, Path, description = "The request's id."), CommandHeaders), request_body = VoteBody,
    responses((status = 200, description = "Recorded.", body = ApprovalAnswer), CommandProblems)
)]
pub(super) async fn vote(
    caller: AllowedWithin<ApprovalDecide>,
    request: CommandRequest,
    _: NoQuery,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    body: Body<VoteBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let vote = body.value.vote()?;
    let outcome = approvals.vote(&caller, &id, vote, context).await?;
    answered(&outcome, "Vote recorded")
}

/// Take back one's vote
///
/// The last one, while the request is not decided.
#[utoipa::path(
    post, path = "/v1/approvals/{id}/withdraw-vote", tag = "approvals", operation_id = "withdraw_vote",
    params(("id" = String, Path, description = "The request's id."), CommandHeaders),
    responses((status = 200, description = "Done.", body = ApprovalAnswer), CommandProblems)
)]
pub(super) async fn withdraw_vote(
    caller: AllowedWithin<ApprovalDecide>,
    request: CommandRequest,
    _: NoQuery,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, b"");
    let outcome = approvals.withdraw_vote(&caller, &id, context).await?;
    answered(&outcome, "Vote withdrawn")
}

/// A vote on whether an emergency was one.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalReviewBody)]
pub(super) struct ReviewBody {
    /// `approve`: it was right; `reject`: it was not.
    #[schema(example = "approve")]
    pub decision: String,
    /// Why: at most 2,000 characters.
    pub reason: Option<String>,
}

/// Vote on whether the glass was rightly broken
///
/// By those whom the policy names, without the requester and whoever broke it.
#[utoipa::path(
    post, path = "/v1/approvals/{id}/review", tag = "approvals", operation_id = "review_broken_glass",
    params(("id" = String, Path, description = "The request's id."), CommandHeaders), request_body = ReviewBody,
    responses((status = 200, description = "Recorded.", body = ApprovalAnswer), CommandProblems)
)]
pub(super) async fn review(
    caller: AllowedWithin<ApprovalDecide>,
    request: CommandRequest,
    _: NoQuery,
    approvals: Scoped<Approvals>,
    id: web::Path<String>,
    body: Body<ReviewBody>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, &body.bytes);
    let mut faults = Faults::default();
    let decision = faults.check(Decision::parse("/decision", &body.value.decision));
    let reason = faults.check(Reason::parse_optional("/reason", body.value.reason));
    let (Some(decision), Some(reason)) = (decision, reason) else { return Err(faults.problem()) };
    let outcome = approvals.review(&caller, &id, decision, reason, context).await?;
    answered(&outcome, "Review recorded")
}
