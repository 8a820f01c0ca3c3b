//! Who stands in for whom.

use actix_web::HttpResponse;
use daybook_http_kit::permission::ApprovalRead;
use daybook_http_kit::{Allowed, AtLeast, Listing, PageParameters, Problem, Scoped};
use daybook_read_models::delegations::{self, DelegationFilter, DelegationRow, PROJECTOR};
use daybook_read_models::time as read_time;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::answer::AnswerAt;
use crate::freshness::{self, failed};
use crate::parameters::{ListQuery, text, truth};
use crate::state::QueryState;
use crate::time::rfc3339;

/// A delegation: one person votes in another's place for a time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DelegationRecord)]
pub struct DelegationRecord {
    /// Its id.
    #[schema(example = "dlg_0193f3a17c0070008000000000000001")]
    delegation_id: String,
    /// Opaque id of the person who is away.
    from: String,
    /// Opaque id of the person who stands in.
    to: String,
    /// From when on.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    starts_at: String,
    /// Until when.
    #[schema(example = "2026-11-28T10:00:00.000000Z")]
    ends_at: String,
    /// For which sorts of actions; all where it is empty.
    #[schema(value_type = Vec<String>)]
    actions: Value,
    /// Why.
    reason: Option<String>,
    /// Whether it holds now.
    #[schema(example = true)]
    is_active: bool,
    /// Opaque id of who gave it.
    given_by: String,
    /// When it was given.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    given_at: String,
    /// When whoever stands in agreed to. Before that it has no effect.
    accepted_at: Option<String>,
    /// When it was ended before its time.
    ended_at: Option<String>,
    /// By whom.
    ended_by: Option<String>,
    /// Version of its stream, for `If-Match`.
    #[schema(example = 1)]
    version: u64,
    /// Position of its first entry.
    #[schema(example = 42)]
    first_position: u64,
    /// Position of its newest entry.
    #[schema(example = 42)]
    last_position: u64,
}

impl DelegationRecord {
    fn new(row: DelegationRow, now: i64) -> Self {
        Self {
            is_active: row.is_active_at(now),
            delegation_id: row.delegation_id,
            from: row.from_person,
            to: row.to_person,
            starts_at: rfc3339(row.starts_at),
            ends_at: rfc3339(row.ends_at),
            actions: row.actions,
            reason: row.reason,
            given_by: row.given_by,
            given_at: rfc3339(row.given_at),
            accepted_at: row.accepted_at.map(rfc3339),
            ended_at: row.ended_at.map(rfc3339),
            ended_by: row.ended_by,
            version: row.version,
            first_position: row.first_position,
            last_position: row.last_position,
        }
    }
}

/// Which delegations. Everything given must match.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DelegationParameters {
    /// Opaque id of the person who is away.
    from: Option<String>,
    /// Opaque id of the person who stands in.
    to: Option<String>,
    /// Opaque id of either.
    person: Option<String>,
    /// True for those that hold now, false for the others.
    #[param(value_type = Option<bool>)]
    active: Option<String>,
}

/// List delegations
///
/// Who votes in whose place, newest first; those that are over, too.
#[utoipa::path(get, path = "/v1/delegations", tag = "approvals", operation_id = "list_delegations",
    params(DelegationParameters, PageParameters),
    responses((status = 200, description = "A page of delegations", body = Listing<DelegationRecord>)))]
pub async fn list(
    _: Allowed<ApprovalRead>,
    at_least: AtLeast,
    query: ListQuery<DelegationParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let filter = DelegationFilter {
        from: text("from", query.filter.from)?,
        to: text("to", query.filter.to)?,
        person: text("person", query.filter.person)?,
        active: truth("active", query.filter.active)?,
        now: read_time::now(),
    };
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let found = delegations::list(&state.db, state.ledger_id(), &filter, &query.page).await.map_err(failed)?;
    Ok(HttpResponse::Ok().position(seen).json(Listing {
        items: found.items.into_iter().map(|row| DelegationRecord::new(row, filter.now)).collect::<Vec<_>>(),
        next_cursor: found.next_cursor.map(|cursor| cursor.to_string()),
        total: found.total,
    }))
}
