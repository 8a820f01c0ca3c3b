//! What is known of a request that was made.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::action::{Action, ActionDigest};
use super::ballot::{Ballot, NeededVotes};
use super::command::{ApprovalStatus, ReviewOutcome, VoidReason};
use super::event::{Consumed, Requester};
use super::vote::VoteRecord;
use crate::approval_policy::{Electorate, PolicyInForce, Terms};
use crate::names::ApprovalId;
use crate::text::{ActorId, Reason, RemarkId};
use crate::time::Timestamp;

/// A request that was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Standing {
    pub(super) approval_id: ApprovalId,
    pub(super) original: ActionDigest,
    pub(super) action: Action,
    pub(super) digest: ActionDigest,
    pub(super) requester: Requester,
    pub(super) reason: Option<Reason>,
    pub(super) policy: PolicyInForce,
    pub(super) revision: u64,
    pub(super) status: ApprovalStatus,
    pub(super) requested_at: Timestamp,
    /// When it was revised last, and why.
    pub(super) revised_at: Option<Timestamp>,
    pub(super) revision_reason: Option<Reason>,
    pub(super) submitted_at: Option<Timestamp>,
    pub(super) decided_at: Option<Timestamp>,
    pub(super) decide_by: Option<Timestamp>,
    pub(super) grant_expires_at: Option<Timestamp>,
    pub(super) votes: Vec<VoteRecord>,
    pub(super) escalations: Vec<Escalation>,
    pub(super) assignee: Option<ActorId>,
    pub(super) comment_ids: BTreeSet<RemarkId>,
    pub(super) consumed: Option<Consumed>,
    pub(super) voided: Option<VoidReason>,
    pub(super) review: Option<Review>,
}

/// An escalation that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// Whether the policy's chain says so, rather than somebody.
    pub automatic: bool,
    /// To whom.
    pub to: Vec<Electorate>,
    /// Whether more people may decide by it, rather than only be told.
    pub widens: bool,
    /// From which step on they may decide as well.
    pub from_step: u32,
    /// Why, where somebody did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When.
    pub at: Timestamp,
}

/// An emergency, and what people think of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// The account that broke the glass.
    pub actor: ActorId,
    /// The person who did.
    pub person: ActorId,
    /// Why.
    pub reason: Reason,
    /// When.
    pub broken_at: Timestamp,
    /// Until when it is to be reviewed.
    pub review_by: Timestamp,
    /// The votes of the review.
    pub votes: Vec<VoteRecord>,
    /// What came of it; nothing while it is open.
    pub outcome: Option<ReviewOutcome>,
    /// Whether it was noted that nobody decided in time.
    pub overdue_noted: bool,
}

impl Review {
    /// Whether it is still to be decided.
    pub fn is_open(&self) -> bool {
        self.outcome.is_none()
    }
}

impl Standing {
    pub(super) fn terms(&self) -> &Terms {
        &self.policy.terms
    }

    /// The votes on the request.
    pub(super) fn ballot(&self) -> Ballot<'_> {
        Ballot { terms: self.terms(), votes: &self.votes, escalations: &self.escalations }
    }

    /// The votes on the review: the same steps anew. Nobody was called to it by an escalation.
    pub(super) fn review_ballot<'a>(&'a self, review: &'a Review) -> Ballot<'a> {
        Ballot { terms: self.terms(), votes: &review.votes, escalations: &[] }
    }

    pub(super) fn open_review(&self) -> Option<&Review> {
        self.review.as_ref().filter(|review| review.is_open())
    }

    /// What people vote on now.
    pub(super) fn open_ballot(&self) -> Option<Ballot<'_>> {
        match self.status {
            ApprovalStatus::Pending => Some(self.ballot()),
            _ => self.open_review().map(|review| self.review_ballot(review)),
        }
    }

    pub(super) fn still_needed(&self) -> Vec<NeededVotes> {
        match self.status {
            ApprovalStatus::Draft => self.ballot().still_needed(),
            _ => self.open_ballot().map(|ballot| ballot.still_needed()).unwrap_or_default(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        let undone = matches!(self.status, ApprovalStatus::Draft | ApprovalStatus::Pending | ApprovalStatus::Approved);
        undone || self.open_review().is_some()
    }

    pub(super) fn escalation_level(&self) -> u32 {
        u32::try_from(self.escalations.len()).unwrap_or(u32::MAX)
    }

    /// Whether an id is that of whoever asked.
    pub(super) fn is_requester(&self, id: &ActorId) -> bool {
        self.requester.person == *id || self.requester.actor == *id
    }
}
