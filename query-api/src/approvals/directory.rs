//! The directory, read to the ledger's end before anything is answered from it.

use daybook_approvals::Approvals;
use daybook_http_kit::{AtLeast, Problem};

use crate::state::QueryState;

/// When a client should ask another process, in seconds.
const ELSEWHERE_SECONDS: u32 = 60;
/// When a client that asked too early should ask again, in seconds.
const RETRY_AFTER_SECONDS: u32 = 1;

/// The approvals of the organisation with their directory up to date, and how many entries that has seen. 503 where this
/// process has none, and where the ledger has not yet the position that the client has seen.
pub(crate) async fn current(state: &QueryState, at_least: AtLeast) -> Result<(&Approvals, u64), Problem> {
    let approvals = state.approvals.as_ref().ok_or_else(|| {
        let detail = "this process does not know who can decide what";
        Problem::unavailable("approvals.elsewhere", detail, ELSEWHERE_SECONDS)
    })?;
    let seen = approvals.directory().up_to_date().await?.position;
    if let Some(wanted) = at_least.0.filter(|wanted| *wanted >= seen) {
        let detail = format!("the directory has seen {seen} entries and not yet position {wanted}");
        return Err(Problem::unavailable("projection.behind", detail, RETRY_AFTER_SECONDS));
    }
    Ok((approvals, seen))
}
