//! Follows what happened to a request. An event that cannot belong here leaves the state alone.

use std::collections::BTreeSet;

use super::Approval;
use super::command::ApprovalStatus;
use super::event::{ApprovalEvent, GlassBroken, Requested, Revised, Submitted};
use super::state::{Review, Standing};

impl Approval {
    pub(super) fn fold(&mut self, event: ApprovalEvent) {
        match (&mut self.standing, event) {
            (None, ApprovalEvent::Requested(event)) => self.standing = Some(Box::new(Standing::requested(*event))),
            (Some(standing), event) => standing.apply(event),
            (None, _) => {}
        }
    }
}

impl Standing {
    /// A request as it is made: a draft.
    pub(super) fn requested(event: Requested) -> Self {
        Self {
            approval_id: event.approval_id,
            original: event.digest.clone(),
            action: event.action,
            digest: event.digest,
            requester: event.requester,
            reason: event.reason,
            policy: event.policy,
            revision: 1,
            status: ApprovalStatus::Draft,
            requested_at: event.at,
            revised_at: None,
            revision_reason: None,
            submitted_at: None,
            decided_at: None,
            decide_by: None,
            grant_expires_at: None,
            votes: Vec::new(),
            escalations: Vec::new(),
            assignee: None,
            comment_ids: BTreeSet::new(),
            consumed: None,
            voided: None,
            review: None,
        }
    }

    pub(super) fn apply(&mut self, event: ApprovalEvent) {
        match event {
            ApprovalEvent::Requested(_) => {}
            ApprovalEvent::Submitted(event) => self.apply_submission(&event),
            ApprovalEvent::Revised(event) => self.apply_revision(*event),
            ApprovalEvent::Voted(event) => self.votes.push(event.vote),
            ApprovalEvent::VoteWithdrawn(event) => {
                self.votes.retain(|vote| {
                    let is_it = vote.step == event.step && vote.person == event.person;
                    vote.step <= event.step && !is_it
                });
            }
            ApprovalEvent::Approved(event) => {
                self.status = ApprovalStatus::Approved;
                self.grant_expires_at = Some(event.grant_expires_at);
                self.decided_at = Some(event.at);
            }
            ApprovalEvent::Rejected(event) => {
                self.status = ApprovalStatus::Rejected;
                self.decided_at = Some(event.at);
            }
            ApprovalEvent::Commented(event) => {
                self.comment_ids.insert(event.comment_id);
            }
            ApprovalEvent::Assigned(event) => self.assignee = Some(event.assignee),
            ApprovalEvent::Escalated(event) => self.escalate_to(event),
            ApprovalEvent::Withdrawn(_) => self.status = ApprovalStatus::Withdrawn,
            ApprovalEvent::Expired(_) => self.status = ApprovalStatus::Expired,
            ApprovalEvent::Consumed(event) => {
                self.status = ApprovalStatus::Consumed;
                self.consumed = Some(event);
            }
            ApprovalEvent::Voided(event) => {
                self.status = ApprovalStatus::Voided;
                self.voided = Some(event.why);
            }
            ApprovalEvent::GlassBroken(event) => self.apply_broken_glass(event),
            ApprovalEvent::Reviewed(event) => {
                if let Some(review) = &mut self.review {
                    review.votes.push(event.vote);
                }
            }
            ApprovalEvent::ReviewClosed(event) => {
                if let Some(review) = &mut self.review {
                    review.outcome = Some(event.outcome);
                }
            }
            ApprovalEvent::ReviewOverdue(_) => {
                if let Some(review) = &mut self.review {
                    review.overdue_noted = true;
                }
            }
        }
    }

    fn apply_submission(&mut self, event: &Submitted) {
        self.status = ApprovalStatus::Pending;
        self.submitted_at = Some(event.at);
        self.decide_by = Some(event.decide_by);
    }

    /// Another action, and everything that was said about the one before is void. What was submitted is so anew.
    pub(super) fn apply_revision(&mut self, event: Revised) {
        self.revision = event.revision;
        self.action = event.action;
        self.digest = event.digest;
        self.policy = event.policy;
        self.revised_at = Some(event.at);
        self.revision_reason = event.reason;
        self.votes.clear();
        self.escalations.clear();
        self.grant_expires_at = None;
        self.decided_at = None;
        if event.decide_by.is_some() {
            self.status = ApprovalStatus::Pending;
            self.submitted_at = Some(event.at);
            self.decide_by = event.decide_by;
        }
    }

    fn apply_broken_glass(&mut self, event: GlassBroken) {
        self.status = ApprovalStatus::Approved;
        self.grant_expires_at = Some(event.grant_expires_at);
        self.decided_at = Some(event.at);
        self.review = Some(Review {
            actor: event.actor,
            person: event.person,
            reason: event.reason,
            broken_at: event.at,
            review_by: event.review_by,
            votes: Vec::new(),
            outcome: None,
            overdue_noted: false,
        });
    }
}
