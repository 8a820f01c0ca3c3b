//! A request for approval: something is to be done, people who may decide vote on exactly that, and it is done once or
//! not at all.
//!
//! What people are and may do comes with each command; here it is only judged. There is no way around the rules for
//! anybody: whoever breaks the glass does it by a command of its own, and is reviewed.

mod action;
mod action_type;
mod ballot;
mod clock;
mod command;
mod decide;
mod error;
mod event;
mod executing;
mod fold;
mod state;
#[cfg(test)]
mod tests;
mod vote;
mod voting;

use serde::{Deserialize, Serialize};

pub(crate) use action::STANDING_RESOURCE;
pub use action::{Action, ActionDigest, Change, MAX_ACTION_BYTES, MAX_CHANGES, MAX_PARAMETER_NAME, MAX_PARAMETERS};
pub use action_type::{ActionType, EXTERNAL_PREFIX, KnownAction, MAX_ACTION_TYPE};
pub use ballot::NeededVotes;
pub use command::{ApprovalCommand, ApprovalStatus, ReviewOutcome, VoidReason};
pub use error::ApprovalError;
pub use event::{
    ApprovalEvent, Approved, Assigned, Commented, Consumed, Escalated, Expired, Expiry, GlassBroken, Rejected,
    Requested, Requester, RequiredPermission, ReviewClosed, ReviewOverdue, Revised, Submitted, Voided, VoteWithdrawn,
    Voted, Withdrawn,
};
pub use state::{Escalation, Review};
pub use vote::{
    Decision, Delegator, LostSeat, Owed, SignatureAlgorithm, VoteRecord, VoteSignature, Voter, signed_text,
};
pub use voting::Eligible;

use self::state::Standing;
use crate::approval_policy::PolicyInForce;
use crate::names::ApprovalId;
use crate::stream::aggregate;
use crate::text::{ActorId, Reason};
use crate::time::Timestamp;

/// Who acts where nobody does: the id under which Daybook itself uses an approval.
pub const SYSTEM: &str = "system";
/// Most votes that count at a time.
pub const MAX_VOTES: usize = 500;
/// Most permissions that a request depends on.
pub const MAX_REQUIRED_PERMISSIONS: usize = 520;
/// Most comments.
pub const MAX_COMMENTS: usize = 1_000;
/// Most escalations of one revision, the automatic ones included.
pub const MAX_ESCALATIONS: usize = 50;
/// Most revisions.
pub const MAX_REVISIONS: u64 = 1_000;

/// A request for approval. The default value is one that was never made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Approval {
    standing: Option<Box<Standing>>,
}

impl Approval {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 2;
    /// Summaries, reasons and values may name people; comments are sealed.
    pub const HOLDS_PERSONAL_DATA: bool = true;

    /// Whether it was made.
    pub fn exists(&self) -> bool {
        self.standing.is_some()
    }

    /// Its id.
    pub fn id(&self) -> Option<&ApprovalId> {
        self.standing.as_ref().map(|standing| &standing.approval_id)
    }

    /// Where it is. What is over by the clock stays what it was until a tick says so.
    pub fn status(&self) -> Option<ApprovalStatus> {
        self.standing.as_ref().map(|standing| standing.status)
    }

    /// What is to be done, as it was revised last.
    pub fn action(&self) -> Option<&Action> {
        self.standing.as_ref().map(|standing| &standing.action)
    }

    /// The digest of that.
    pub fn digest(&self) -> Option<&ActionDigest> {
        self.standing.as_ref().map(|standing| &standing.digest)
    }

    /// Who asks.
    pub fn requester(&self) -> Option<&Requester> {
        self.standing.as_ref().map(|standing| &standing.requester)
    }

    /// Why.
    pub fn reason(&self) -> Option<&Reason> {
        self.standing.as_ref().and_then(|standing| standing.reason.as_ref())
    }

    /// Who must agree.
    pub fn policy(&self) -> Option<&PolicyInForce> {
        self.standing.as_ref().map(|standing| &standing.policy)
    }

    /// The number of the current revision, counted from 1; 0 if it was never made.
    pub fn revision(&self) -> u64 {
        self.standing.as_ref().map_or(0, |standing| standing.revision)
    }

    /// When it was made.
    pub fn requested_at(&self) -> Option<Timestamp> {
        self.standing.as_ref().map(|standing| standing.requested_at)
    }

    /// When the current revision was submitted.
    pub fn submitted_at(&self) -> Option<Timestamp> {
        self.standing.as_ref().and_then(|standing| standing.submitted_at)
    }

    /// When it was approved or rejected.
    pub fn decided_at(&self) -> Option<Timestamp> {
        self.standing.as_ref().and_then(|standing| standing.decided_at)
    }

    /// The step that is to be decided, counted from 1: of the request while it is pending, of the review while that is
    /// open.
    pub fn current_step(&self) -> Option<u32> {
        self.standing.as_ref().and_then(|standing| standing.open_ballot()?.current_step())
    }

    /// The votes of the request that count, in the order in which they were cast. Those of the review are in
    /// [`Self::review`].
    pub fn votes(&self) -> &[VoteRecord] {
        self.standing.as_ref().map_or(&[], |standing| &standing.votes)
    }

    /// The votes that made the approval: those that every step had when it was approved. None where it was not, and none
    /// where the glass was broken: votes that had been cast by then approved nothing.
    pub fn approvers(&self) -> &[VoteRecord] {
        let granted = |standing: &&Standing| standing.grant_expires_at.is_some() && standing.review.is_none();
        self.standing.as_deref().filter(granted).map_or(&[], |standing| &standing.votes)
    }

    /// Until when it is to be decided.
    pub fn decide_by(&self) -> Option<Timestamp> {
        self.standing.as_ref().and_then(|standing| standing.decide_by)
    }

    /// Until when it may be done.
    pub fn grant_expires_at(&self) -> Option<Timestamp> {
        self.standing.as_ref().and_then(|standing| standing.grant_expires_at)
    }

    /// Whether the current revision was escalated.
    pub fn is_escalated(&self) -> bool {
        self.escalation_level() > 0
    }

    /// How often the current revision was escalated.
    pub fn escalation_level(&self) -> u32 {
        self.standing.as_ref().map_or(0, |standing| standing.escalation_level())
    }

    /// The escalations of the current revision, the first one first.
    pub fn escalations(&self) -> &[Escalation] {
        self.standing.as_ref().map_or(&[], |standing| &standing.escalations)
    }

    /// Who is to look after it.
    pub fn assignee(&self) -> Option<&ActorId> {
        self.standing.as_ref().and_then(|standing| standing.assignee.as_ref())
    }

    /// How it was used.
    pub fn consumed(&self) -> Option<&Consumed> {
        self.standing.as_ref().and_then(|standing| standing.consumed.as_ref())
    }

    /// Why it cannot be done as it was approved.
    pub fn voided(&self) -> Option<VoidReason> {
        self.standing.as_ref().and_then(|standing| standing.voided)
    }

    /// The emergency in which it was granted, and its review.
    pub fn review(&self) -> Option<&Review> {
        self.standing.as_ref().and_then(|standing| standing.review.as_ref())
    }

    /// Whether something can still come of it: it is a draft, pending or approved, or its review is open.
    pub fn is_open(&self) -> bool {
        self.standing.as_ref().is_some_and(|standing| standing.is_open())
    }

    /// The votes that are missing, of the current step and those after it: of the request while it is a draft or
    /// pending, of the review while that is open.
    pub fn still_needed(&self) -> Vec<NeededVotes> {
        self.standing.as_ref().map(|standing| standing.still_needed()).unwrap_or_default()
    }
}

aggregate!(Approval = "approval", ApprovalCommand => ApprovalEvent, ApprovalError);
