//! What the caller can decide now, and why not the rest. Answered from the directory, which knows people, and not from a
//! read table: it is what a vote would be told.

use actix_web::HttpResponse;
use daybook_approvals::InboxItem;
use daybook_approvals::view::ApprovalView;
use daybook_http_kit::permission::ApprovalRead;
use daybook_http_kit::{AllowedWithin, AtLeast, Problem, Query, Scope, Scoped};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::directory::current;
use crate::answer::AnswerAt;
use crate::parameters::{invalid, word};
use crate::state::QueryState;

/// Items where the client says nothing.
const DEFAULT_LIMIT: usize = 50;
/// Most items of one answer.
const MAX_LIMIT: usize = 500;

/// What is wanted of an inbox.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct InboxParameters {
    /// `others`: also what the caller cannot decide, each with the reason.
    #[param(example = "others")]
    include: Option<String>,
    /// Items to skip, 0 unless given.
    offset: Option<usize>,
    /// Most items to answer: 1 to 500, 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// What the caller can decide, the most urgent first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Inbox {
    /// Items in all.
    #[schema(example = 1)]
    total: usize,
    /// How many of them the caller can decide.
    #[schema(example = 1)]
    eligible: usize,
    /// Items skipped.
    #[schema(example = 0)]
    offset: usize,
    /// Most items of this answer.
    #[schema(example = 50)]
    limit: usize,
    /// The items.
    items: Vec<InboxView>,
}

/// One request, and what the caller can do about it.
#[derive(Debug, Serialize, ToSchema)]
pub struct InboxView {
    /// The request.
    approval: ApprovalView,
    /// `decision`, or `review` where an emergency is to be judged.
    #[schema(example = "decision")]
    kind: &'static str,
    /// Whether the caller can vote now.
    is_eligible: bool,
    /// The step in which the vote would count, counted from 1; null where it cannot.
    #[schema(example = 1)]
    step: Option<u32>,
    /// The person in whose place the caller would vote, under a delegation.
    stands_for: Option<String>,
    /// Why the caller cannot vote; null where it can.
    reason: Option<NotEligibleView>,
    /// Until when it is to be decided or reviewed.
    due: Option<String>,
}

/// Why somebody cannot vote: what a vote would be refused with.
#[derive(Debug, Serialize, ToSchema)]
pub struct NotEligibleView {
    /// Stable code.
    #[schema(example = "approval.self_approval")]
    code: &'static str,
    /// The same as a sentence.
    #[schema(example = "whoever asks for an approval does not decide on it")]
    detail: String,
}

impl InboxView {
    fn of(item: InboxItem) -> Option<Self> {
        let (step, stands_for, reason) = match item.eligible {
            Ok(eligible) => (Some(eligible.step), eligible.stands_for.map(|person| person.to_string()), None),
            Err(why) => (None, None, Some(NotEligibleView { code: why.code, detail: why.detail })),
        };
        Some(Self {
            approval: ApprovalView::of(&item.record.approval)?,
            kind: if item.is_review { "review" } else { "decision" },
            is_eligible: reason.is_none(),
            step,
            stands_for,
            reason,
            due: item.due.map(|time| time.to_string()),
        })
    }
}

/// Read what the caller can decide
///
/// The requests that the caller can vote on now, and the emergencies that it can review, the most urgent first. With
/// `include=others` also the rest, each with the code and the sentence with which a vote would be refused; for whoever holds
/// `approval:read` in a department only, the rest is what they asked for and what others like them decide.
#[utoipa::path(get, path = "/v1/approvals/inbox", tag = "approvals", operation_id = "get_approval_inbox",
    params(InboxParameters),
    responses((status = 200, description = "The inbox", body = Inbox)))]
pub async fn inbox(
    caller: AllowedWithin<ApprovalRead>,
    at_least: AtLeast,
    Query(parameters): Query<InboxParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let others = word("include", parameters.include, &["others"], &[])?.is_some();
    let (offset, limit) = (parameters.offset.unwrap_or(0), parameters.limit.unwrap_or(DEFAULT_LIMIT));
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(invalid("limit", format!("must be 1 to {MAX_LIMIT}")));
    }
    let (approvals, seen) = current(&state, at_least).await?;
    let mut items = approvals.inbox(caller.principal(), others)?;
    if *caller.scope() != Scope::Organization {
        let mut theirs = Vec::with_capacity(items.len());
        for item in items {
            if item.eligible.is_ok() || approvals.concerns(caller.principal(), &item.record.approval)? {
                theirs.push(item);
            }
        }
        items = theirs;
    }
    let (total, eligible) = (items.len(), items.iter().filter(|item| item.eligible.is_ok()).count());
    let items = items.into_iter().skip(offset).take(limit).filter_map(InboxView::of).collect();
    Ok(HttpResponse::Ok().position(seen).json(Inbox { total, eligible, offset, limit, items }))
}
