//! Who must agree to what: the rules that hold now, from the directory, and every version that somebody has set.

use actix_web::{HttpResponse, web};
use daybook_approvals::view::PolicyView;
use daybook_http_kit::permission::ApprovalPolicyRead;
use daybook_http_kit::{Allowed, AtLeast, Listing, NoQuery, Problem, Query, Scoped};
use daybook_read_models::approval_policies::{self, PROJECTOR, PolicyVersionRow};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::HistoryParameters;
use super::directory::current;
use crate::answer::AnswerAt;
use crate::freshness::{self, failed};
use crate::state::QueryState;
use crate::time::rfc3339;

/// The policy for one type of action, and how it came to be.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyDetail {
    /// What holds now.
    #[serde(flatten)]
    policy: PolicyView,
    /// Versions that somebody has set, in all.
    #[schema(example = 1)]
    versions_total: u64,
    /// The versions, oldest first.
    versions: Vec<PolicyVersionView>,
}

/// One version of a policy.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyVersionView {
    /// Counts up from 1; 0 is what is built in.
    #[schema(example = 1)]
    version: u64,
    /// Its rules, as they were recorded; null where it was retired and what is built in held again.
    #[schema(value_type = Option<Vec<Object>>)]
    rules: Option<Value>,
    /// Opaque id of who set it.
    changed_by: String,
    /// Why.
    reason: Option<String>,
    /// The request that allowed it.
    approval_id: Option<String>,
    /// When.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    changed_at: String,
    /// Position of the entry.
    #[schema(example = 42)]
    position: u64,
}

impl From<PolicyVersionRow> for PolicyVersionView {
    fn from(row: PolicyVersionRow) -> Self {
        Self {
            version: row.policy_version,
            rules: row.rules,
            changed_by: row.changed_by,
            reason: row.reason,
            approval_id: row.approval_id,
            changed_at: rfc3339(row.changed_at),
            position: row.position,
        }
    }
}

/// List approval policies
///
/// The rules that hold now for every type of action that is gated, and for those that the organisation has policies for.
/// What the organisation has not changed is marked as built in.
#[utoipa::path(get, path = "/v1/approval-policies", tag = "approvals", operation_id = "list_approval_policies",
    responses((status = 200, description = "The policies", body = Listing<PolicyView>)))]
pub async fn list(
    _: Allowed<ApprovalPolicyRead>,
    _: NoQuery,
    at_least: AtLeast,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let (approvals, seen) = current(&state, at_least).await?;
    let items = PolicyView::all(&approvals.directory().now());
    let total = u64::try_from(items.len()).ok();
    Ok(HttpResponse::Ok().position(seen).json(Listing { items, next_cursor: None, total }))
}

/// Read an approval policy
///
/// The rules that hold now for actions of a type, and every version that somebody has set.
#[utoipa::path(get, path = "/v1/approval-policies/{action}", tag = "approvals", operation_id = "get_approval_policy",
    params(("action" = String, Path, description = "Type of action", example = "export.transactions"),
           HistoryParameters),
    responses((status = 200, description = "The policy", body = PolicyDetail)))]
pub async fn get(
    _: Allowed<ApprovalPolicyRead>,
    at_least: AtLeast,
    action: web::Path<String>,
    Query(parameters): Query<HistoryParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let (offset, limit) = parameters.part()?;
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let (approvals, _) = current(&state, at_least).await?;
    let policy = PolicyView::of(&approvals.directory().now(), &action)
        .ok_or_else(|| Problem::not_found("approval_policy.not_found", "nothing can be an action of that type"))?;
    let found = approval_policies::versions(&state.db, state.ledger_id(), &policy.action, offset, limit).await;
    let (versions, versions_total) = found.map_err(failed)?;
    let versions = versions.into_iter().map(PolicyVersionView::from).collect();
    Ok(HttpResponse::Ok().position(seen).json(PolicyDetail { policy, versions_total, versions }))
}
