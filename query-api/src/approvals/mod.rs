//! Requests for approval as they are now, what happened to them, and who can decide what.

pub mod agents;
pub mod compatible;
pub mod delegations;
pub(crate) mod directory;
pub mod inbox;
pub mod metrics;
pub mod policies;

use actix_web::{HttpResponse, web};
use daybook_approvals::view::ApprovalView;
use daybook_http_kit::permission::ApprovalRead;
use daybook_http_kit::sealer::APPROVAL_COMMENT;
use daybook_http_kit::{
    Allowed, AllowedWithin, AtLeast, Listing, NoQuery, PageParameters, Problem, Query, Scope, Scoped, if_match,
};
use daybook_read_models::approvals::{self, ApprovalFilter, ApprovalRow, ApprovalStep, PROJECTOR};
use daybook_read_models::{ReadError, time as read_time};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use self::directory::current;
use crate::answer::AnswerAt;
use crate::free_text;
use crate::freshness::{self, failed};
use crate::parameters::{ListQuery, can_be_id, invalid, ordered, text, truth, word};
use crate::state::QueryState;
use crate::time::{self, Edge, rfc3339};

const STATUSES: [&str; 9] =
    ["draft", "pending", "approved", "rejected", "withdrawn", "expired", "consumed", "voided", "escalated"];
/// Events of a history where the client says nothing.
const DEFAULT_STEPS: u32 = 50;
/// Most events of one answer.
const MAX_STEPS: u32 = 500;
/// Most events that are skipped.
const MAX_OFFSET: u64 = 1_000_000;

/// A request for approval as it is now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApprovalRecord)]
pub struct ApprovalRecord {
    /// The same as `approval_id`.
    #[schema(example = "apr_0193f3a17c0070008000000000000001")]
    id: String,
    /// What it is.
    #[serde(flatten)]
    approval: ApprovalView,
    /// Whether it should have been decided, or its emergency reviewed, by now: when its policy turns to others, or at the
    /// end of its time.
    #[schema(example = false)]
    is_overdue: bool,
    /// From when on that is so; null where nothing is outstanding.
    overdue_at: Option<String>,
    /// When it was first submitted.
    submitted_at: Option<String>,
    /// When what was approved was done.
    consumed_at: Option<String>,
    /// When its newest entry was recorded.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    updated_at: String,
    /// Version of its stream, for `If-Match`.
    #[schema(example = 2)]
    version: u64,
    /// Position of its first entry.
    #[schema(example = 42)]
    first_position: u64,
    /// Position of its newest entry.
    #[schema(example = 43)]
    last_position: u64,
}

impl ApprovalRecord {
    fn new(row: ApprovalRow, now: i64) -> Result<Self, Problem> {
        Ok(Self {
            approval: view(&row)?,
            id: row.approval_id,
            is_overdue: row.overdue_at.is_some_and(|overdue_at| overdue_at <= now),
            overdue_at: row.overdue_at.map(rfc3339),
            submitted_at: row.submitted_at.map(rfc3339),
            consumed_at: row.consumed_at.map(rfc3339),
            updated_at: rfc3339(row.updated_at),
            version: row.version,
            first_position: row.first_position,
            last_position: row.last_position,
        })
    }
}

/// What a row says in full, in the words that commands answer with.
pub(crate) fn view(row: &ApprovalRow) -> Result<ApprovalView, Problem> {
    let approval = serde_json::from_str(&row.state).map_err(|error| corrupt_state(&error))?;
    ApprovalView::of(&approval).ok_or_else(|| corrupt("it has no request".to_owned()))
}

/// The error names a place in the text, and quotes nothing of it.
fn corrupt_state(error: &serde_json::Error) -> Problem {
    corrupt(format!("line {} column {}", error.line(), error.column()))
}

fn corrupt(why: String) -> Problem {
    failed(ReadError::Corrupt { column: "state".to_owned(), why })
}

/// One event of a request's history.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovalHistoryStep {
    /// Position of the entry.
    #[schema(example = 43)]
    id: u64,
    /// `requested`, `submitted`, `revised`, `voted`, `vote_withdrawn`, `approved`, `rejected`, `commented`, `assigned`,
    /// `escalated`, `withdrawn`, `expired`, `consumed`, `voided`, `glass_broken`, `reviewed`, `review_closed` or
    /// `review_overdue`.
    #[schema(example = "voted")]
    event_type: String,
    /// Opaque id of who did it.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    actor_id: String,
    /// `human`, `agent` or `system`.
    #[schema(example = "human")]
    actor_kind: String,
    /// Status before; null at the first.
    #[schema(example = "pending")]
    from_status: Option<String>,
    /// Status after.
    #[schema(example = "pending")]
    to_status: String,
    /// The comment or reason; `erased` in place of a comment whose author was erased.
    comment: Option<String>,
    /// What else the event says.
    #[schema(value_type = Object)]
    meta: Value,
    /// When.
    #[schema(example = "2026-11-21T10:05:00.000000Z")]
    timestamp: String,
}

/// A part of a history, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovalHistory {
    /// Events in all.
    #[schema(example = 1)]
    total: u64,
    /// Events skipped.
    #[schema(example = 0)]
    offset: u64,
    /// Most events of this answer.
    #[schema(example = 50)]
    limit: u32,
    /// The events.
    items: Vec<ApprovalHistoryStep>,
}

/// Which requests. Everything given must match.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ApprovalParameters {
    /// `draft`, `pending`, `approved`, `rejected`, `withdrawn`, `expired`, `consumed`, `voided`; or `escalated` for pending
    /// ones for which others were turned to.
    #[param(example = "pending")]
    status: Option<String>,
    /// What sort of action.
    #[param(example = "export.transactions")]
    action: Option<String>,
    /// What sort of thing it is done to.
    #[param(example = "transaction_export")]
    resource_type: Option<String>,
    /// Which of them.
    resource_id: Option<String>,
    /// Opaque id of the account that asks, or of the person who answers for it.
    requested_by: Option<String>,
    /// Opaque id of who looks after it.
    assignee: Option<String>,
    /// Opaque id of the account whose vote decided it.
    decided_by: Option<String>,
    /// True for those that should have been decided or reviewed by now, false for the others.
    #[param(value_type = Option<bool>)]
    overdue: Option<String>,
    /// Asked for at this time or later: RFC 3339, or a date.
    #[param(example = "2026-11-01")]
    start: Option<String>,
    /// Asked for at this time or earlier: RFC 3339, or a date, which includes that day.
    #[param(example = "2026-11-30")]
    end: Option<String>,
}

impl ApprovalParameters {
    pub(crate) fn filter(self) -> Result<ApprovalFilter, Problem> {
        let status = word("status", self.status, &STATUSES, &[])?;
        let escalated = (status.as_deref() == Some("escalated")).then_some(true);
        let status = if escalated.is_some() { Some("pending".to_owned()) } else { status };
        let filter = ApprovalFilter {
            statuses: status.into_iter().collect(),
            action: text("action", self.action)?,
            family: None,
            resource_type: text("resource_type", self.resource_type)?,
            resource_id: text("resource_id", self.resource_id)?,
            requested_by: text("requested_by", self.requested_by)?,
            assignee: text("assignee", self.assignee)?,
            decided_by: text("decided_by", self.decided_by)?,
            escalated,
            overdue: truth("overdue", self.overdue)?,
            now: read_time::now(),
            start: time::parameter("start", self.start.as_deref(), Edge::Start)?,
            end: time::parameter("end", self.end.as_deref(), Edge::End)?,
        };
        ordered("end", filter.start, filter.end)?;
        Ok(filter)
    }
}

/// List requests for approval
///
/// Requests for approval, newest first.
#[utoipa::path(get, path = "/v1/approvals", tag = "approvals", operation_id = "list_approvals",
    params(ApprovalParameters, PageParameters),
    responses((status = 200, description = "A page of requests", body = Listing<ApprovalRecord>)))]
pub async fn list(
    _: Allowed<ApprovalRead>,
    at_least: AtLeast,
    query: ListQuery<ApprovalParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let filter = query.filter.filter()?;
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let found = approvals::list(&state.db, state.ledger_id(), &filter, &query.page).await.map_err(failed)?;
    let items = found.items.into_iter().map(|row| ApprovalRecord::new(row, filter.now));
    Ok(HttpResponse::Ok().position(seen).json(Listing {
        items: items.collect::<Result<Vec<_>, _>>()?,
        next_cursor: found.next_cursor.map(|cursor| cursor.to_string()),
        total: found.total,
    }))
}

/// Read one request for approval
///
/// One request, with its policy, its votes and what is still needed. `ETag` is its version, for `If-Match`. Whoever holds
/// `approval:read` in a department only reads what they asked for and what is for them to decide.
#[utoipa::path(get, path = "/v1/approvals/{approval_id}", tag = "approvals", operation_id = "get_approval",
    params(("approval_id" = String, Path, description = "Id of the request", example = "apr_0193f3a17c00700080000001")),
    responses((status = 200, description = "The request", body = ApprovalRecord,
        headers(("ETag" = String, description = "Its version in quotation marks")))))]
pub async fn get(
    caller: AllowedWithin<ApprovalRead>,
    _: NoQuery,
    at_least: AtLeast,
    approval_id: web::Path<String>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let row = within_reach(&caller, &state, &approval_id).await?;
    let tag = if_match::entity_tag(row.version);
    let record = ApprovalRecord::new(row, read_time::now())?;
    Ok(HttpResponse::Ok().position(seen).insert_header(tag).json(record))
}

/// The row of a request that the caller may see; 404 where there is none.
async fn within_reach(
    caller: &AllowedWithin<ApprovalRead>,
    state: &QueryState,
    approval_id: &str,
) -> Result<ApprovalRow, Problem> {
    let row = known(state, approval_id).await?;
    if *caller.scope() == Scope::Organization {
        return Ok(row);
    }
    let (approvals, _) = current(state, AtLeast(None)).await?;
    let approval = serde_json::from_str(&row.state).map_err(|error| corrupt_state(&error))?;
    if approvals.concerns(caller.principal(), &approval)? { Ok(row) } else { Err(unknown()) }
}

fn unknown() -> Problem {
    Problem::not_found("approval.not_found", "there is no request for approval of that id")
}

/// The row of a request; 404 where there is none.
pub(crate) async fn known(state: &QueryState, approval_id: &str) -> Result<ApprovalRow, Problem> {
    if !can_be_id(approval_id) {
        return Err(unknown());
    }
    approvals::get(&state.db, state.ledger_id(), approval_id).await.map_err(failed)?.ok_or_else(unknown)
}

/// Which part of a history.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct HistoryParameters {
    /// Events to skip, 0 unless given.
    offset: Option<u64>,
    /// Most events to answer: 1 to 500, 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

impl HistoryParameters {
    /// Events to skip, and most events.
    pub(crate) fn part(&self) -> Result<(u64, u32), Problem> {
        let (offset, limit) = (self.offset.unwrap_or(0), self.limit.unwrap_or(DEFAULT_STEPS));
        if !(1..=MAX_STEPS).contains(&limit) {
            return Err(invalid("limit", format!("must be 1 to {MAX_STEPS}")));
        }
        if offset > MAX_OFFSET {
            return Err(invalid("offset", format!("must be at most {MAX_OFFSET}")));
        }
        Ok((offset, limit))
    }
}

/// Read what happened to a request for approval
///
/// Every event of a request, oldest first: votes with their reasons, comments, escalations, and what came of it.
#[utoipa::path(get, path = "/v1/approvals/{approval_id}/history", tag = "approvals",
    operation_id = "get_approval_history",
    params(("approval_id" = String, Path, description = "Id of the request", example = "apr_0193f3a17c00700080000001"),
           HistoryParameters),
    responses((status = 200, description = "A part of the history", body = ApprovalHistory)))]
pub async fn history(
    caller: AllowedWithin<ApprovalRead>,
    at_least: AtLeast,
    approval_id: web::Path<String>,
    Query(parameters): Query<HistoryParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let (offset, limit) = parameters.part()?;
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    within_reach(&caller, &state, &approval_id).await?;
    let (steps, total) = steps(&state, &approval_id, offset, limit).await?;
    let items = steps
        .into_iter()
        .map(|(step, comment)| ApprovalHistoryStep {
            id: step.position,
            event_type: step.event_type,
            actor_id: step.actor_id,
            actor_kind: step.actor_kind,
            from_status: step.from_status,
            to_status: step.to_status,
            comment,
            meta: step.meta,
            timestamp: rfc3339(step.timestamp),
        })
        .collect();
    Ok(HttpResponse::Ok().position(seen).json(ApprovalHistory { total, offset, limit, items }))
}

/// A part of a history with its comments opened, and how many events there are.
pub(crate) async fn steps(
    state: &QueryState,
    approval_id: &str,
    offset: u64,
    limit: u32,
) -> Result<(Vec<(ApprovalStep, Option<String>)>, u64), Problem> {
    let found = approvals::history(&state.db, state.ledger_id(), approval_id, offset, limit).await;
    let (mut steps, total) = found.map_err(failed)?;
    let comments = steps.iter_mut().map(|step| step.comment.take()).collect();
    let comments = free_text::shown(state, APPROVAL_COMMENT, comments).await?;
    Ok((steps.into_iter().zip(comments).collect(), total))
}
