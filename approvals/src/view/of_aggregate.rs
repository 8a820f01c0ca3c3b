//! The view of a request, from the request itself.

use daybook_domain::approval::{Approval, ApprovalStatus, Change, Decision, NeededVotes, Review, VoteRecord};
use daybook_domain::text::Reason;

use super::terms::{AmountView, ElectorateView, PolicyInForceView};
use super::{ApprovalView, ChangeView, NeededVotesView, ReviewView, VoteView};

impl ApprovalView {
    /// A request as it is; `None` where it was never made.
    pub fn of(approval: &Approval) -> Option<Self> {
        let (id, status, action) = (approval.id()?, approval.status()?, approval.action()?);
        let (requester, policy, digest) = (approval.requester()?, approval.policy()?, approval.digest()?);
        // While it waits for its review, the step and the missing votes are the review's.
        let is_undecided = matches!(status, ApprovalStatus::Draft | ApprovalStatus::Pending);
        let decision = decision(approval);
        let escalation = approval.escalations().last();
        Some(Self {
            approval_id: id.to_string(),
            status: status.to_string(),
            action: action.action.to_string(),
            resource_type: action.resource_type.to_string(),
            resource_id: action.resource_id.to_string(),
            summary: action.summary.to_string(),
            parameters: action.parameters.clone(),
            changes: action.changes.iter().map(ChangeView::from).collect(),
            amount: action.amount.as_ref().map(AmountView::from),
            label: action.label.as_ref().map(ToString::to_string),
            digest: digest.to_string(),
            revision: approval.revision(),
            requested_by: requester.actor.to_string(),
            requester: requester.person.to_string(),
            required_permissions: requester.required_permissions.iter().map(|one| one.name.to_string()).collect(),
            reason: approval.reason().map(ToString::to_string),
            requested_at: approval.requested_at().map(|at| at.to_string()),
            policy: PolicyInForceView::from(policy),
            current_step: approval.current_step().filter(|_| is_undecided),
            votes: approval.votes().iter().map(VoteView::from).collect(),
            still_needed: if is_undecided { needed(approval) } else { Vec::new() },
            decide_by: approval.decide_by().map(|at| at.to_string()),
            decided_at: approval.decided_at().map(|at| at.to_string()),
            decided_by: decision.as_ref().map(|(by, _)| by.clone()),
            decision_reason: decision.and_then(|(_, reason)| reason),
            grant_expires_at: approval.grant_expires_at().map(|at| at.to_string()),
            is_escalated: approval.is_escalated(),
            escalation_level: approval.escalation_level(),
            escalated_at: escalation.map(|escalation| escalation.at.to_string()),
            escalation_reason: escalation.and_then(|escalation| escalation.reason.as_ref()).map(ToString::to_string),
            assigned_to: approval.assignee().map(ToString::to_string),
            execution_id: approval.consumed().map(|consumed| consumed.execution_id.to_string()),
            void_reason: approval.voided().map(|why| why.to_string()),
            review: approval.review().map(|review| review_of(approval, review, is_undecided)),
        })
    }
}

/// The account that decided a request, and why: whoever broke the glass, else whoever cast the last vote.
fn decision(approval: &Approval) -> Option<(String, Option<String>)> {
    approval.decided_at()?;
    let because = |reason: &Reason| reason.to_string();
    match (approval.review(), approval.votes().last()) {
        (Some(review), _) => Some((review.actor.to_string(), Some(because(&review.reason)))),
        (None, Some(vote)) => Some((vote.actor.to_string(), vote.reason.as_ref().map(because))),
        (None, None) => None,
    }
}

fn needed(approval: &Approval) -> Vec<NeededVotesView> {
    approval.still_needed().iter().map(NeededVotesView::from).collect()
}

fn review_of(approval: &Approval, review: &Review, is_undecided: bool) -> ReviewView {
    let is_voted_on = review.is_open() && !is_undecided;
    ReviewView {
        is_open: review.is_open(),
        is_overdue: review.overdue_noted,
        broken_by: review.actor.to_string(),
        reason: review.reason.to_string(),
        broken_at: review.broken_at.to_string(),
        review_by: review.review_by.to_string(),
        current_step: approval.current_step().filter(|_| is_voted_on),
        votes: review.votes.iter().map(VoteView::from).collect(),
        still_needed: if is_voted_on { needed(approval) } else { Vec::new() },
        outcome: review.outcome.map(|outcome| outcome.to_string()),
    }
}

impl From<&Change> for ChangeView {
    fn from(change: &Change) -> Self {
        Self {
            field: change.field.to_string(),
            before: change.before.as_ref().map(ToString::to_string),
            after: change.after.as_ref().map(ToString::to_string),
        }
    }
}

impl From<&VoteRecord> for VoteView {
    fn from(vote: &VoteRecord) -> Self {
        Self {
            step: vote.step,
            actor: vote.actor.to_string(),
            person: vote.person.to_string(),
            on_behalf_of: vote.on_behalf_of.as_ref().map(ToString::to_string),
            delegation_id: vote.delegation_id.as_ref().map(ToString::to_string),
            decision: vote.decision.to_string(),
            reason: vote.reason.as_ref().map(ToString::to_string),
            at: vote.at.to_string(),
            signed: vote.signature.as_ref().map(|signature| signature.algorithm.to_string()),
        }
    }
}

impl VoteView {
    /// Whether it is for it.
    pub fn approves(&self) -> bool {
        self.decision == Decision::Approve.as_str()
    }
}

impl From<&NeededVotes> for NeededVotesView {
    fn from(needed: &NeededVotes) -> Self {
        Self {
            step: needed.step,
            step_name: needed.step_name.as_ref().map(ToString::to_string),
            clause: needed.clause,
            votes: needed.missing,
            from: needed.from.iter().map(ElectorateView::from).collect(),
        }
    }
}
