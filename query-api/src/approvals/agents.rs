//! What agents want to do, in the shape of older clients: the requests for approval of it.

use actix_web::{HttpResponse, web};
use daybook_approvals::view::{AGENT_PREFIX, AgentActionView};
use daybook_http_kit::permission::AgentRead;
use daybook_http_kit::{Allowed, AtLeast, NoQuery, Problem, Query, Scoped};
use daybook_read_models::approval_figures::{self, ActionCount};
use daybook_read_models::approvals::{self, ApprovalFilter, ApprovalStep, PROJECTOR};
use daybook_read_models::{PageRequest, time as read_time};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::compatible::limit;
use super::{known, steps, view};
use crate::answer::AnswerAt;
use crate::freshness::{self, failed};
use crate::parameters::word;
use crate::state::QueryState;
use crate::time::rfc3339;

const STATUSES: [&str; 9] =
    ["draft", "pending", "approved", "executed", "rejected", "withdrawn", "expired", "voided", "escalated"];
/// Most events of one history.
const MAX_STEPS: u32 = 500;
/// Microseconds of a day.
const DAY: f64 = 86_400_000_000.0;

/// Which actions.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AgentActionParameters {
    /// `pending`, `approved`, `executed`, `rejected`, `draft`, `withdrawn`, `expired`, `voided`; or `escalated` for those for
    /// which others were turned to, whatever became of them.
    #[param(example = "pending")]
    status: Option<String>,
    /// Most rows: 1 to 500, 100 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// List agents' actions
///
/// The newest actions that agents want to do or did, as a bare list in the shape that older clients read.
#[utoipa::path(get, path = "/v1/agent/actions", tag = "approvals", operation_id = "list_agent_actions",
    params(AgentActionParameters),
    responses((status = 200, description = "The newest actions", body = Vec<AgentActionView>)))]
pub async fn list(
    _: Allowed<AgentRead>,
    at_least: AtLeast,
    parameters: Query<AgentActionParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    actions(at_least, parameters, &state).await
}

/// List agents' actions for those who decide
///
/// The same as `GET /v1/agent/actions`.
#[utoipa::path(get, path = "/v1/agent/ops/actions", tag = "approvals", operation_id = "list_agent_ops_actions",
    params(AgentActionParameters),
    responses((status = 200, description = "The newest actions", body = Vec<AgentActionView>)))]
pub async fn ops_list(
    _: Allowed<AgentRead>,
    at_least: AtLeast,
    parameters: Query<AgentActionParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    actions(at_least, parameters, &state).await
}

async fn actions(
    at_least: AtLeast,
    Query(parameters): Query<AgentActionParameters>,
    state: &QueryState,
) -> Result<HttpResponse, Problem> {
    let status = word("status", parameters.status, &STATUSES, &[])?;
    let escalated = (status.as_deref() == Some("escalated")).then_some(true);
    let filter = ApprovalFilter {
        statuses: status.filter(|_| escalated.is_none()).map(recorded).into_iter().collect(),
        escalated,
        ..agents()
    };
    let page = PageRequest { limit: limit(parameters.limit)?, ..PageRequest::default() };
    let seen = freshness::wait(state, at_least, PROJECTOR).await?;
    let found = approvals::list(&state.db, state.ledger_id(), &filter, &page).await.map_err(failed)?;
    let mut actions = Vec::with_capacity(found.items.len());
    for row in &found.items {
        actions.extend(AgentActionView::of(&view(row)?));
    }
    Ok(HttpResponse::Ok().position(seen).json(actions))
}

/// A status of older clients as it is recorded.
fn recorded(status: String) -> String {
    if status == "executed" { "consumed".to_owned() } else { status }
}

/// The requests for what agents want to do.
fn agents() -> ApprovalFilter {
    let family = AGENT_PREFIX.trim_end_matches('.').to_owned();
    ApprovalFilter { family: Some(family), now: read_time::now(), ..ApprovalFilter::default() }
}

/// One event of an action's history, in the shape of older clients.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgentActionAuditLog {
    /// Position of the entry.
    #[schema(example = 43)]
    id: u64,
    /// Which action.
    agent_action_id: String,
    /// `approved` (with `to_status` `pending` where more votes are needed), `rejected`, `assigned`, `commented`,
    /// `escalated`, `auto_escalated`; and the other events of a request for approval.
    #[schema(example = "approved")]
    event_type: String,
    /// Status before; null at the first.
    from_status: Option<String>,
    /// Status after.
    to_status: String,
    /// Opaque id of who did it.
    operator_id: String,
    /// The comment or reason.
    comment: Option<String>,
    /// What else the event says.
    #[schema(value_type = Object)]
    meta: Value,
    /// When.
    #[schema(example = "2026-11-21T10:05:00.000000Z")]
    timestamp: String,
    /// How the agent explains itself, where the request says so.
    ai_explanation: Option<String>,
    /// What the agent was given. Always null.
    agent_input: Option<String>,
    /// What the agent answered. Always null.
    agent_output: Option<String>,
    /// Which agent, where the request says so.
    agent_version: Option<String>,
    /// `human`, `agent` or `system`: who did it.
    #[schema(example = "human")]
    actor_type: String,
    /// Always null: no decision is overridden.
    override_type: Option<String>,
    /// Whether it is only tried out, where the request says so.
    is_simulation: bool,
}

/// Read what happened to an agent's action
///
/// Every event of an action, oldest first: the first 500.
#[utoipa::path(get, path = "/v1/agent/ops/actions/{action_id}/history", tag = "approvals",
    operation_id = "get_agent_action_history",
    params(("action_id" = String, Path, description = "Id of the action", example = "apr_0193f3a17c00700080000001")),
    responses((status = 200, description = "The history", body = Vec<AgentActionAuditLog>)))]
pub async fn history(
    _: Allowed<AgentRead>,
    _: NoQuery,
    at_least: AtLeast,
    action_id: web::Path<String>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let unknown = || Problem::not_found("agent_action.not_found", "there is no agent's action of that id");
    let row =
        known(&state, &action_id).await.map_err(|problem| if problem.status() == 404 { unknown() } else { problem })?;
    let action = AgentActionView::of(&view(&row)?).ok_or_else(unknown)?;
    let (steps, _) = steps(&state, &action_id, 0, MAX_STEPS).await?;
    let decided: Vec<u64> = steps
        .iter()
        .filter(|(step, _)| matches!(step.event_type.as_str(), "approved" | "rejected"))
        .map(|(step, _)| step.position)
        .collect();
    // The vote that decides stands right before the decision; older clients know one line for both.
    let is_told_next = |step: &ApprovalStep| step.event_type == "voted" && decided.contains(&(step.position + 1));
    let mut log = Vec::with_capacity(steps.len());
    let mut reason_of_vote = None;
    for (step, comment) in steps {
        if is_told_next(&step) {
            reason_of_vote = comment;
            continue;
        }
        log.push(AgentActionAuditLog {
            id: step.position,
            agent_action_id: action.id.clone(),
            event_type: event_type(&step).to_owned(),
            from_status: step.from_status,
            to_status: step.to_status,
            operator_id: step.actor_id,
            comment: comment.or(reason_of_vote.take()),
            meta: step.meta,
            timestamp: rfc3339(step.timestamp),
            ai_explanation: action.ai_explanation.clone(),
            agent_input: None,
            agent_output: None,
            agent_version: action.agent_version.clone(),
            actor_type: step.actor_kind,
            override_type: None,
            is_simulation: action.is_simulation,
        });
    }
    Ok(HttpResponse::Ok().position(seen).json(log))
}

/// An event in the words of older clients.
fn event_type(step: &ApprovalStep) -> &str {
    match step.event_type.as_str() {
        "voted" if step.meta.get("decision").and_then(Value::as_str) == Some("reject") => "rejected",
        "voted" => "approved",
        "escalated" if step.meta.get("automatic") == Some(&Value::Bool(true)) => "auto_escalated",
        other => other,
    }
}

/// Agents' actions in figures.
#[derive(Debug, Serialize, ToSchema)]
pub struct AgentActionMetrics {
    /// All of them.
    #[schema(example = 12)]
    total: u64,
    /// To be decided.
    #[schema(example = 3)]
    pending: u64,
    /// Approved, done or not.
    #[schema(example = 7)]
    approved: u64,
    /// Rejected.
    #[schema(example = 2)]
    rejected: u64,
    /// Those for which others were turned to, whatever became of them.
    #[schema(example = 1)]
    escalated: u64,
    /// Mean time from submission to decision by vote, in days; null where nothing was decided.
    #[schema(example = 0.25)]
    avg_approval_time_days: Option<f64>,
    /// Who approved how many, most first.
    per_operator_approvals: Vec<OperatorCount>,
}

/// How many somebody approved.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperatorCount {
    /// Opaque id of the account whose vote decided.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    operator: String,
    /// How many.
    #[schema(example = 4)]
    count: u64,
}

/// Read agents' actions in figures
///
/// Counts of agents' actions and how long decisions on them took.
#[utoipa::path(get, path = "/v1/agent/ops/actions/metrics", tag = "approvals",
    operation_id = "get_agent_action_metrics",
    responses((status = 200, description = "The figures", body = AgentActionMetrics)))]
pub async fn metrics(
    _: Allowed<AgentRead>,
    _: NoQuery,
    at_least: AtLeast,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let figures = approval_figures::figures(&state.db, state.ledger_id(), &agents()).await.map_err(failed)?;
    let of = |statuses: &[&str]| {
        let counted = figures.counts.iter().filter(|count| statuses.contains(&count.status.as_str()));
        counted.map(|count| count.count).sum::<u64>()
    };
    let approvals = figures.deciders.iter().filter(|decider| decider.approved > 0);
    let mut per_operator: Vec<OperatorCount> = approvals
        .map(|decider| OperatorCount { operator: decider.decided_by.clone(), count: decider.approved })
        .collect();
    per_operator.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.operator.cmp(&other.operator)));
    Ok(HttpResponse::Ok().position(seen).json(AgentActionMetrics {
        total: figures.counts.iter().map(|count| count.count).sum(),
        pending: of(&["pending"]),
        approved: of(&["approved", "consumed"]),
        rejected: of(&["rejected"]),
        escalated: figures.counts.iter().map(|count: &ActionCount| count.escalated).sum(),
        avg_approval_time_days: figures.time_to_decide.map(|time| time.mean() / DAY),
        per_operator_approvals: per_operator,
    }))
}
