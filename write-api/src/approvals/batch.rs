//! Votes on many requests at once. Each stands for itself: one that is refused does not stop the others.
//!
//! With an `Idempotency-Key` each vote has a command id of its own, made of the key and its place in the request, and the
//! digest of the whole request. Whether the key was used before for another request is known before anything is carried
//! out.

use actix_web::HttpResponse;
use daybook_approvals::Approvals;
use daybook_approvals::view::ApprovalRequestView;
use daybook_http_kit::answer::ReceiptView;
use daybook_http_kit::command_error::IDEMPOTENCY_MISMATCH;
use daybook_http_kit::idempotency::IDEMPOTENCY_REPLAYED;
use daybook_http_kit::openapi::BulkHeaders;
use daybook_http_kit::permission::ApprovalDecide;
use daybook_http_kit::position::POSITION;
use daybook_http_kit::{AllowedWithin, Body, CommandRequest, NoQuery, Problem, Scoped};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::view_of;
use super::decision::VoteBody;
use crate::incidents::bulk::BulkProblems;

/// Most votes of one request.
const MAX_DECISIONS: usize = 100;

/// Votes.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalDecisionsBody)]
pub(super) struct DecisionsBody {
    /// At most 100.
    #[schema(max_items = 100)]
    pub decisions: Vec<ItemBody>,
}

/// One vote.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ApprovalDecisionsItem)]
pub(super) struct ItemBody {
    /// The request's id.
    pub approval_id: String,
    /// `approve` or `reject`; `approved` and `rejected` are taken too.
    #[schema(example = "approve")]
    pub decision: String,
    /// Why: at most 2,000 characters.
    pub reason: Option<String>,
    /// The revision that the voter has seen.
    pub revision: Option<u64>,
}

/// What became of the votes, in the order of the request.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ApprovalDecisionsAnswer)]
pub(super) struct DecisionsAnswer {
    /// One a vote.
    pub results: Vec<BatchResult>,
}

/// What became of one vote.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ApprovalDecisionResult)]
pub struct BatchResult {
    /// The request's id.
    pub approval_id: String,
    /// What the vote alone would have been answered with: 200, 403, 404, 409 or 422, for example.
    #[schema(example = 200)]
    pub status: u16,
    /// The request, where the vote was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<ApprovalRequestView>,
    /// The problem, where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// Proof that it is in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<ReceiptView>,
}

/// Vote on many requests
///
/// At most 100. Each is a vote as `POST /approvals/{id}/vote` takes it, one after the other.
#[utoipa::path(
    post, path = "/v1/approvals/decisions", tag = "approvals", operation_id = "decide_on_approvals",
    params(BulkHeaders), request_body = DecisionsBody,
    responses((status = 200, description = "One result a vote.", body = DecisionsAnswer), BulkProblems)
)]
pub(super) async fn decide_many(
    caller: AllowedWithin<ApprovalDecide>,
    request: CommandRequest,
    _: NoQuery,
    approvals: Scoped<Approvals>,
    body: Body<DecisionsBody>,
) -> Result<HttpResponse, Problem> {
    request.refuse_if_match()?;
    if body.value.decisions.len() > MAX_DECISIONS {
        return Err(Problem::invalid("/decisions", format!("must be at most {MAX_DECISIONS}")));
    }
    let batch = Batch { caller: &caller, request: &request, approvals: &approvals, body: &body.bytes };
    batch.refuse_another_request().await?;
    let mut results = Vec::with_capacity(body.value.decisions.len());
    let (mut done, mut replayed) = (0_usize, 0_usize);
    for (index, item) in body.value.decisions.into_iter().enumerate() {
        let (result, is_replayed) = batch.vote(index, item).await?;
        done = done.saturating_add(usize::from(result.receipt.is_some()));
        replayed = replayed.saturating_add(usize::from(is_replayed));
        results.push(result);
    }
    let last = results.iter().filter_map(|result| result.receipt.as_ref()).map(|receipt| receipt.position).max();
    let mut answer = HttpResponse::Ok();
    if let Some(last) = last {
        answer.insert_header((POSITION, last));
    }
    if done > 0 && done == replayed {
        answer.insert_header((IDEMPOTENCY_REPLAYED, "true"));
    }
    Ok(answer.json(DecisionsAnswer { results }))
}

struct Batch<'a> {
    caller: &'a AllowedWithin<ApprovalDecide>,
    request: &'a CommandRequest,
    approvals: &'a Approvals,
    body: &'a [u8],
}

impl Batch<'_> {
    /// One vote; whether it was recorded by an earlier request. A store that does not answer fails the whole request:
    /// repeated with the same key, what was recorded is not recorded again.
    async fn vote(&self, index: usize, item: ItemBody) -> Result<(BatchResult, bool), Problem> {
        let context = self.request.item_context(self.caller, self.body, &index.to_string());
        let ItemBody { approval_id, decision, reason, revision } = item;
        let body = VoteBody { decision, reason, on_behalf_of: None, revision, signature: None };
        let outcome = match body.vote() {
            Ok(ballot) => self.approvals.vote(self.caller, &approval_id, ballot, context).await,
            Err(problem) => Err(problem),
        };
        match outcome {
            Ok(outcome) => {
                let request = Some(ApprovalRequestView::from(&view_of(&outcome)?));
                let receipt = Some(ReceiptView::from(&outcome.receipt));
                let result = BatchResult { approval_id, status: 200, request, problem: None, receipt };
                Ok((result, outcome.replayed))
            }
            Err(problem) if problem.status() >= 500 => Err(problem),
            Err(problem) => {
                let status = problem.status();
                Ok((BatchResult { approval_id, status, request: None, problem: Some(problem), receipt: None }, false))
            }
        }
    }

    /// Fails where the key stands for another request. Every place that a request can have is looked at, because the
    /// earlier one may have had more of them, and its first ones may have been refused.
    async fn refuse_another_request(&self) -> Result<(), Problem> {
        if !self.request.has_key() {
            return Ok(());
        }
        let ledger = self.approvals.ledger();
        for index in 0..MAX_DECISIONS {
            let context = self.request.item_context(self.caller, self.body, &index.to_string());
            let Some(command) = context.command else { return Ok(()) };
            match ledger.store().command(ledger.id(), &command.id).await {
                Ok(None) => {}
                Ok(Some(record)) if record.digest == command.digest => {}
                Ok(Some(_)) => {
                    let detail = "the Idempotency-Key was used before for another request";
                    return Err(Problem::refused(IDEMPOTENCY_MISMATCH, detail));
                }
                Err(error) => return Err(Problem::store_unavailable(&error)),
            }
        }
        Ok(())
    }
}
