//! Requests for approval in the shape that older clients read.

use actix_web::HttpResponse;
use daybook_approvals::view::ApprovalRequestView;
use daybook_http_kit::permission::ApprovalRead;
use daybook_http_kit::{Allowed, AtLeast, Problem, Query, Scoped};
use daybook_read_models::PageRequest;
use daybook_read_models::approvals::{self, ApprovalFilter, PROJECTOR};
use serde::Deserialize;
use utoipa::IntoParams;

use super::view;
use crate::answer::AnswerAt;
use crate::freshness::{self, failed};
use crate::parameters::{invalid, text, word};
use crate::state::QueryState;

/// Rows where the client says nothing.
const DEFAULT_LIMIT: u32 = 100;
/// Most rows.
const MAX_LIMIT: u32 = 500;

/// Which requests, in the parameters of older clients.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRequestParameters {
    /// `pending` (escalated ones too), `escalated`, `approved` (used or not) or `rejected`.
    #[param(example = "pending")]
    status: Option<String>,
    /// What sort of thing it is done to.
    #[param(example = "transaction_export")]
    resource_type: Option<String>,
    /// Which of them.
    resource_id: Option<String>,
    /// Most rows: 1 to 500, 100 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// List requests for approval as a bare list
///
/// The newest requests as a bare list, in the shape that older clients read.
#[utoipa::path(get, path = "/v1/approval", tag = "approvals", operation_id = "list_approval_requests",
    params(ApprovalRequestParameters),
    responses((status = 200, description = "The newest requests", body = Vec<ApprovalRequestView>)))]
pub async fn list(
    _: Allowed<ApprovalRead>,
    at_least: AtLeast,
    Query(parameters): Query<ApprovalRequestParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let status = word("status", parameters.status, &["pending", "escalated", "approved", "rejected"], &[])?;
    let filter = ApprovalFilter {
        statuses: statuses(status.as_deref()),
        escalated: (status.as_deref() == Some("escalated")).then_some(true),
        resource_type: text("resource_type", parameters.resource_type)?,
        resource_id: text("resource_id", parameters.resource_id)?,
        ..ApprovalFilter::default()
    };
    let page = PageRequest { limit: limit(parameters.limit)?, ..PageRequest::default() };
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let found = approvals::list(&state.db, state.ledger_id(), &filter, &page).await.map_err(failed)?;
    let requests = found.items.iter().map(|row| view(row).map(|approval| ApprovalRequestView::from(&approval)));
    Ok(HttpResponse::Ok().position(seen).json(requests.collect::<Result<Vec<_>, _>>()?))
}

/// What a status of older clients stands for.
fn statuses(status: Option<&str>) -> Vec<String> {
    let statuses: &[&str] = match status {
        None => &[],
        Some("approved") => &["approved", "consumed"],
        Some("rejected") => &["rejected"],
        Some(_) => &["pending"],
    };
    statuses.iter().map(|status| (*status).to_owned()).collect()
}

/// How many rows of a bare list.
pub(super) fn limit(limit: Option<u32>) -> Result<u32, Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(invalid("limit", format!("must be 1 to {MAX_LIMIT}")));
    }
    Ok(limit)
}
