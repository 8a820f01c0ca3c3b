//! What is checked when something is done, and what somebody may do alone in an emergency.

use super::SYSTEM;
use super::action::ActionDigest;
use super::command::{ApprovalStatus, VoidReason};
use super::error::ApprovalError;
use super::event::{ApprovalEvent, Consumed, GlassBroken, Voided};
use super::state::Standing;
use super::vote::Voter;
use super::voting::must_act;
use crate::text::{ActorId, Line, Reason};
use crate::time::Timestamp;

type Decided = Result<Vec<ApprovalEvent>, ApprovalError>;

impl Standing {
    /// Uses the approval, once: what is to be done is what was approved, in time, under the policy that was fulfilled,
    /// and by somebody who may still do it.
    pub(super) fn consume(
        &self,
        digest: ActionDigest,
        policy_version: u64,
        requester_allowed: bool,
        execution_id: Line,
        by: ActorId,
        at: Timestamp,
    ) -> Decided {
        if by.as_str() != SYSTEM {
            self.must_be_requested_by(&by)?;
        }
        // What was used and taken back is not used again, under the same execution either.
        if let Some(consumed) = self.consumed.as_ref().filter(|_| self.status != ApprovalStatus::Voided) {
            let is_same = consumed.execution_id == execution_id && consumed.digest == digest;
            return if is_same { Ok(Vec::new()) } else { Err(ApprovalError::AlreadyConsumed) };
        }
        if self.status != ApprovalStatus::Approved {
            return Err(self.why_not_granted());
        }
        if self.digest != digest {
            return Err(ApprovalError::DigestMismatch);
        }
        self.grant_must_hold(at)?;
        if self.policy.version != policy_version {
            return Err(ApprovalError::PolicyChanged { approved: self.policy.version, current: policy_version });
        }
        if !requester_allowed {
            return Err(ApprovalError::RequesterNotAllowed);
        }
        Ok(vec![ApprovalEvent::Consumed(Consumed { execution_id, by, digest, policy_version, at })])
    }

    /// Of what expired, whether it had been granted.
    fn why_not_granted(&self) -> ApprovalError {
        match self.status {
            ApprovalStatus::Expired if self.grant_expires_at.is_some() => ApprovalError::GrantExpired,
            status => ApprovalError::NotApproved { status },
        }
    }

    /// Whether what was approved may still be done.
    pub(super) fn grant_must_hold(&self, at: Timestamp) -> Result<(), ApprovalError> {
        match self.grant_expires_at {
            Some(expires_at) if at < expires_at => Ok(()),
            _ => Err(ApprovalError::GrantExpired),
        }
    }

    pub(super) fn void(&self, why: VoidReason, at: Timestamp) -> Decided {
        match self.status {
            ApprovalStatus::Draft | ApprovalStatus::Pending | ApprovalStatus::Approved => {
                Ok(vec![ApprovalEvent::Voided(Voided { why, at })])
            }
            ApprovalStatus::Consumed if why == VoidReason::BasisChanged => {
                Ok(vec![ApprovalEvent::Voided(Voided { why, at })])
            }
            ApprovalStatus::Voided => Ok(Vec::new()),
            status => Err(ApprovalError::AlreadyDecided { status }),
        }
    }

    /// Grants it alone, in the person's own right, for as long as the policy says. The requester may: that is what it
    /// is for. One emergency at a time: the next one only after others said what they think of the last.
    pub(super) fn break_glass(&self, voter: &Voter, has_open_review: bool, reason: Reason, at: Timestamp) -> Decided {
        must_act(voter)?;
        // An emergency lasts for one thing, never for what goes on by itself.
        if self.action.is_standing() {
            return Err(ApprovalError::NoBreakGlass);
        }
        let break_glass = self.terms().break_glass.as_ref().ok_or(ApprovalError::NoBreakGlass)?;
        if voter.owed.is_lost || !break_glass.who.iter().any(|electorate| voter.belongs_to(electorate)) {
            return Err(voter.owed.without(|electorate| break_glass.who.contains(electorate)));
        }
        self.must_be_pending(at)?;
        if has_open_review {
            return Err(ApprovalError::ReviewOpen);
        }
        Ok(vec![ApprovalEvent::GlassBroken(GlassBroken {
            actor: voter.actor.clone(),
            person: voter.person.clone(),
            reason,
            grant_expires_at: at.plus_seconds(break_glass.grant_seconds),
            review_by: at.plus_seconds(break_glass.review_within_seconds),
            at,
        })])
    }
}
