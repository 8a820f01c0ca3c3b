//! How far the read models are: waiting for a position, and the status of every projector.

use daybook_http_kit::{AtLeast, Problem};
use daybook_read_models::{
    ReadError, approval_policies, approvals, audit_trail, delegations, exports, incidents, positions, stats,
    transactions,
};

use crate::state::{ProjectorState, ProjectorStatus, QueryState};
use crate::time::rfc3339;

/// When a client that asked too early should ask again, in seconds.
const RETRY_AFTER_SECONDS: u32 = 1;

/// Waits until `projector` has folded the position of `Daybook-At-Least`, if there is one: 503 `projection.behind` where
/// it does not get there in time. Answers how many entries it has folded.
///
/// Called before the query, so what it answers is a lower bound of what the query sees.
pub async fn wait(state: &QueryState, at_least: AtLeast, projector: &str) -> Result<u64, Problem> {
    let Some(wanted) = at_least.0 else {
        return positions::position(&state.db, projector, state.ledger_id()).await.map_err(failed);
    };
    let seen =
        positions::wait_for(&state.db, projector, state.ledger_id(), wanted, state.wait).await.map_err(failed)?;
    if seen > wanted {
        return Ok(seen);
    }
    let detail = format!("the read model has seen {seen} entries and not yet position {wanted}");
    Err(Problem::unavailable("projection.behind", detail, RETRY_AFTER_SECONDS)
        .with_member("projector", projector)
        .with_member("entries_seen", seen))
}

/// The status of every projector: of those in this process as they say themselves, of all others as the read tables
/// have it. Fails where the read tables cannot be reached.
pub async fn projectors(state: &QueryState) -> Result<Vec<ProjectorStatus>, Problem> {
    let rows = positions::all(&state.db, Some(state.ledger_id())).await.map_err(failed)?;
    let mut projectors = state.projections.as_ref().map(|control| control.status()).unwrap_or_default();
    for row in rows {
        if projectors.iter().any(|projector| projector.name == row.projector) {
            continue;
        }
        let projector_state = match (&row.error, row.rebuild_position) {
            (Some(_), _) => ProjectorState::Stopped,
            (None, Some(_)) => ProjectorState::Rebuilding,
            (None, None) => ProjectorState::Elsewhere,
        };
        projectors.push(ProjectorStatus {
            name: row.projector,
            state: projector_state,
            position: row.position,
            updated_at: row.updated_at.map(rfc3339),
            rebuild_position: row.rebuild_position,
            rebuild_target: row.rebuild_target,
            error: row.error,
        });
    }
    Ok(projectors)
}

/// The projectors that queries rest on and that have no tables yet.
pub async fn without_tables(state: &QueryState) -> Result<Vec<&'static str>, Problem> {
    let rows = positions::all(&state.db, Some(state.ledger_id())).await.map_err(failed)?;
    let has_tables = |name: &&str| rows.iter().any(|row| row.projector == **name);
    let needed = [
        transactions::PROJECTOR,
        incidents::PROJECTOR,
        approvals::PROJECTOR,
        approval_policies::PROJECTOR,
        delegations::PROJECTOR,
        exports::PROJECTOR,
        audit_trail::PROJECTOR,
        stats::PROJECTOR,
    ];
    Ok(needed.into_iter().filter(|name| !has_tables(name)).collect())
}

/// What a client is told when the read tables fail.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
pub fn failed(error: ReadError) -> Problem {
    match error {
        ReadError::Database(_) => Problem::store_unavailable(&error),
        ReadError::Corrupt { .. } | ReadError::ReadOnly => Problem::internal(&error),
    }
}
