//! Requests for approval in figures. Each can be counted again from the ledger: from the requests that the links list.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use daybook_http_kit::permission::ApprovalRead;
use daybook_http_kit::{Allowed, AtLeast, Problem, Query, Scoped};
use daybook_read_models::approval_figures::{self, TimeToDecide};
use daybook_read_models::approvals::{ApprovalFilter, PROJECTOR};
use daybook_read_models::time as read_time;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::answer::AnswerAt;
use crate::freshness::{self, failed};
use crate::parameters::{ordered, text};
use crate::state::QueryState;
use crate::time::{self, Edge};

/// Microseconds of a second.
const SECOND: f64 = 1_000_000.0;

/// Which requests are counted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct MetricsParameters {
    /// What sort of action; all unless given.
    #[param(example = "export.transactions")]
    action: Option<String>,
    /// Asked for at this time or later: RFC 3339, or a date.
    #[param(example = "2026-11-01")]
    start: Option<String>,
    /// Asked for at this time or earlier: RFC 3339, or a date, which includes that day.
    #[param(example = "2026-11-30")]
    end: Option<String>,
}

/// Requests for approval in figures.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovalMetrics {
    /// All of them.
    #[schema(example = 12)]
    total: u64,
    /// How many have each status now; statuses that none has are left out.
    #[schema(value_type = Object, example = json!({"pending": 3, "consumed": 7, "rejected": 2}))]
    by_status: BTreeMap<String, u64>,
    /// The same for each sort of action.
    by_action: Vec<ActionMetrics>,
    /// Those for which others were turned to, whatever became of them.
    #[schema(example = 1)]
    escalated: u64,
    /// Those that should have been decided or reviewed by now.
    #[schema(example = 0)]
    overdue: u64,
    /// How long decisions by vote took, from submission on; null where nothing was decided.
    time_to_decide: Option<TimeToDecideView>,
    /// Whose votes decided how many, most first.
    deciders: Vec<DeciderMetrics>,
}

/// The requests for one sort of action.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActionMetrics {
    /// What sort of action.
    #[schema(example = "export.transactions")]
    action: String,
    /// All of them.
    #[schema(example = 12)]
    total: u64,
    /// How many have each status now.
    #[schema(value_type = Object, example = json!({"pending": 3, "consumed": 7, "rejected": 2}))]
    by_status: BTreeMap<String, u64>,
}

/// How long decisions took, in seconds.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeToDecideView {
    /// How many decisions.
    #[schema(example = 9)]
    count: u64,
    /// Their mean.
    #[schema(example = 1800.5)]
    mean_seconds: f64,
    /// Half of them took no longer: a time that occurred (nearest rank).
    #[schema(example = 600.0)]
    p50_seconds: f64,
    /// Nine in ten took no longer: a time that occurred (nearest rank).
    #[schema(example = 7200.0)]
    p90_seconds: f64,
}

impl From<TimeToDecide> for TimeToDecideView {
    fn from(time: TimeToDecide) -> Self {
        // Times far below 2⁵³ microseconds: seconds with microseconds are exact enough to be shown.
        let seconds = |micros: u64| micros as f64 / SECOND;
        Self {
            count: time.count,
            mean_seconds: time.mean() / SECOND,
            p50_seconds: seconds(time.p50),
            p90_seconds: seconds(time.p90),
        }
    }
}

/// What one account's votes decided.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeciderMetrics {
    /// Opaque id of the account.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    decided_by: String,
    /// Requests approved.
    #[schema(example = 4)]
    approved: u64,
    /// Requests rejected.
    #[schema(example = 1)]
    rejected: u64,
}

/// Read requests for approval in figures
///
/// Counts by status and by action, what is overdue, how long decisions took, and who decided.
#[utoipa::path(get, path = "/v1/approvals/metrics", tag = "approvals", operation_id = "get_approval_metrics",
    params(MetricsParameters),
    responses((status = 200, description = "The figures", body = ApprovalMetrics)))]
pub async fn metrics(
    _: Allowed<ApprovalRead>,
    at_least: AtLeast,
    Query(parameters): Query<MetricsParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let filter = ApprovalFilter {
        action: text("action", parameters.action)?,
        start: time::parameter("start", parameters.start.as_deref(), Edge::Start)?,
        end: time::parameter("end", parameters.end.as_deref(), Edge::End)?,
        now: read_time::now(),
        ..ApprovalFilter::default()
    };
    ordered("end", filter.start, filter.end)?;
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let figures = approval_figures::figures(&state.db, state.ledger_id(), &filter).await.map_err(failed)?;
    let mut by_status = BTreeMap::new();
    let mut by_action: Vec<ActionMetrics> = Vec::new();
    for count in &figures.counts {
        *by_status.entry(count.status.clone()).or_insert(0) += count.count;
        // They come in the order of their actions.
        if by_action.last().is_none_or(|action| action.action != count.action) {
            by_action.push(ActionMetrics { action: count.action.clone(), total: 0, by_status: BTreeMap::new() });
        }
        if let Some(action) = by_action.last_mut() {
            action.total += count.count;
            action.by_status.insert(count.status.clone(), count.count);
        }
    }
    Ok(HttpResponse::Ok().position(seen).json(ApprovalMetrics {
        total: by_status.values().sum(),
        escalated: figures.counts.iter().map(|count| count.escalated).sum(),
        by_status,
        by_action,
        overdue: figures.overdue,
        time_to_decide: figures.time_to_decide.map(TimeToDecideView::from),
        deciders: figures
            .deciders
            .into_iter()
            .map(|decider| DeciderMetrics {
                decided_by: decider.decided_by,
                approved: decider.approved,
                rejected: decider.rejected,
            })
            .collect(),
    }))
}
