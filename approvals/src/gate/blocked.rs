//! What a caller is told whose request waits for a decision.

use actix_web::HttpResponse;
use daybook_domain::approval::{Approval, ApprovalStatus};
use daybook_domain::text::ActorId;
use daybook_http_kit::with_position;
use daybook_identity::directory::DirectoryState;
use daybook_ledger::commands::Outcome;
use serde::Serialize;

use crate::service::Approvals;
use crate::voters::Candidate;

/// What waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The request.
    pub approval_id: String,
    /// How far it has come.
    pub status: ApprovalStatus,
    /// What the caller is told.
    pub detail: String,
    /// Position of the request's last entry.
    pub position: u64,
}

#[derive(Serialize)]
struct BlockedBody<'a> {
    detail: &'a str,
    approval_request_id: &'a str,
    status: &'a str,
}

impl Blocked {
    /// 202 with `detail`, `approval_request_id` and `status`.
    pub fn respond(&self) -> HttpResponse {
        let body =
            BlockedBody { detail: &self.detail, approval_request_id: &self.approval_id, status: self.status.as_str() };
        with_position(HttpResponse::Accepted().json(body), Some(self.position))
    }
}

impl Approvals {
    /// What a caller is told whose request waits for a decision; says so where nobody can make it.
    pub fn blocked(&self, outcome: &Outcome<Approval>, detail: &str) -> Blocked {
        let approval = &outcome.aggregate;
        let state = self.0.directory.now();
        let missing = self.nobody_can_decide(&state, approval);
        Blocked {
            approval_id: outcome.id.clone(),
            status: approval.status().unwrap_or(ApprovalStatus::Pending),
            detail: missing.map_or_else(|| detail.to_owned(), |missing| format!("{detail}; {missing}")),
            position: outcome.receipt.position,
        }
    }

    /// Says where nobody of the organisation's people can make the next decision, or too few. Where development headers are
    /// believed somebody always may come.
    fn nobody_can_decide(&self, state: &DirectoryState, approval: &Approval) -> Option<&'static str> {
        if self.0.development || approval.status() != Some(ApprovalStatus::Pending) {
            return None;
        }
        let (facts, at) = (self.facts(state), self.timestamp().ok()?);
        let step = approval.current_step();
        let needed: u32 = approval
            .still_needed()
            .iter()
            .filter(|needed| Some(needed.step) == step)
            .map(|needed| needed.missing)
            .fold(0, u32::saturating_add);
        let mut persons: Vec<ActorId> = Vec::new();
        for user_id in state.users.keys() {
            let voter = Candidate::known(facts, user_id).ok()?.on(approval);
            if approval.eligibility(&voter, at).is_ok() && !persons.contains(&voter.person) {
                persons.push(voter.person);
            }
            if u32::try_from(persons.len()).unwrap_or(u32::MAX) >= needed.max(1) {
                return None;
            }
        }
        Some(if persons.is_empty() {
            "nobody in the organisation can decide it"
        } else {
            "fewer people in the organisation can decide it than it needs"
        })
    }
}
