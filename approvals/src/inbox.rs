//! What somebody can decide now, and why not the rest. From the directory: what it has not seen yet is not there yet.

use std::sync::Arc;

use daybook_domain::Timestamp;
use daybook_domain::approval::{ApprovalError, ApprovalStatus, Eligible};
use daybook_domain::refusal::Refusal;
use daybook_http_kit::{Principal, Problem};
use daybook_identity::directory::ApprovalRecord;

use crate::service::Approvals;
use crate::voters::Candidate;

/// One request, and what the caller can do about it.
#[derive(Debug, Clone)]
pub struct InboxItem {
    /// The request.
    pub record: Arc<ApprovalRecord>,
    /// The step in which the caller can vote, and on whose behalf; else why not.
    pub eligible: Result<Eligible, NotEligible>,
    /// Whether it is the review of a broken glass that is asked for, not a decision.
    pub is_review: bool,
    /// Until when it is to be decided or reviewed.
    pub due: Option<Timestamp>,
}

/// Why somebody cannot decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotEligible {
    /// Stable code: `approval.self_approval`.
    pub code: &'static str,
    /// The same as a sentence.
    pub detail: String,
}

impl From<ApprovalError> for NotEligible {
    fn from(error: ApprovalError) -> Self {
        Self { code: error.code(), detail: error.to_string() }
    }
}

impl Approvals {
    /// What the caller can decide or review now, the most urgent first; with `others`, also what it cannot, each with the
    /// reason.
    pub fn inbox(&self, principal: &Principal, others: bool) -> Result<Vec<InboxItem>, Problem> {
        let state = self.0.directory.now();
        let (candidate, at) = (Candidate::caller(self.facts(&state), principal)?, self.timestamp()?);
        let mut items = Vec::new();
        for record in state.approvals.values() {
            let approval = &record.approval;
            let review = approval.review().filter(|review| review.is_open());
            if approval.status() != Some(ApprovalStatus::Pending) && review.is_none() {
                continue;
            }
            let voter = candidate.on(approval);
            let eligible = match review {
                Some(_) => approval.review_eligibility(&voter),
                None => approval.eligibility(&voter, at),
            };
            if eligible.is_err() && !others {
                continue;
            }
            items.push(InboxItem {
                record: Arc::clone(record),
                eligible: eligible.map_err(NotEligible::from),
                is_review: review.is_some(),
                due: review.map_or_else(|| approval.decide_by(), |review| Some(review.review_by)),
            });
        }
        items.sort_by(|one, other| {
            let order = |item: &InboxItem| (item.due.is_none(), item.due);
            order(one).cmp(&order(other)).then_with(|| one.record.approval_id.cmp(&other.record.approval_id))
        });
        Ok(items)
    }
}
