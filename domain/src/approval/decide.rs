//! What a command to a request for approval leads to.

use super::action::Action;
use super::command::{ApprovalCommand, ApprovalStatus};
use super::error::ApprovalError;
use super::event::{
    ApprovalEvent, Assigned, Commented, Escalated, Requested, Requester, Revised, Submitted, Withdrawn,
};
use super::state::Standing;
use super::voting::Cast;
use super::{Approval, MAX_COMMENTS, MAX_ESCALATIONS, MAX_REQUIRED_PERMISSIONS, MAX_REVISIONS};
use crate::approval_policy::{Electorate, MAX_ELECTORATES, PolicyInForce};
use crate::names::ApprovalId;
use crate::personal::PersonalText;
use crate::text::{ActorId, Paragraph, Reason, RemarkId};
use crate::time::Timestamp;

type Decided = Result<Vec<ApprovalEvent>, ApprovalError>;

/// Somebody's own escalation.
struct Call {
    by: ActorId,
    to: Vec<Electorate>,
    /// Whether whoever it is has a say in who decides.
    widens: bool,
    repeat_from: Option<u32>,
    reason: Reason,
    at: Timestamp,
}

impl Approval {
    /// What the command leads to. No events: it asks for what is already so, or nothing is due.
    pub fn decide(&self, command: ApprovalCommand) -> Decided {
        if let ApprovalCommand::Request { approval_id, action, requester, reason, policy, submit, at } = command {
            return match &self.standing {
                Some(standing) => standing.request_again(&approval_id, &action, &requester, reason.as_ref()),
                None if requester.required_permissions.len() > MAX_REQUIRED_PERMISSIONS => {
                    Err(ApprovalError::TooManyPermissions)
                }
                None => Ok(request(approval_id, *action, requester, reason, policy, submit, at)),
            };
        }
        let standing = self.standing.as_ref().ok_or(ApprovalError::NotFound)?;
        standing.decide(command)
    }
}

/// Asks for approval, and for a decision if it is to be submitted.
fn request(
    approval_id: ApprovalId,
    action: Action,
    requester: Requester,
    reason: Option<Reason>,
    policy: PolicyInForce,
    submit: bool,
    at: Timestamp,
) -> Vec<ApprovalEvent> {
    let digest = action.digest();
    let requested = Requested { approval_id, action, digest, requester, reason, policy, at };
    let drafted = Standing::requested(requested.clone());
    let mut events = vec![ApprovalEvent::Requested(Box::new(requested))];
    if submit {
        events.extend(drafted.submit(at));
    }
    events
}

impl Standing {
    fn decide(&self, command: ApprovalCommand) -> Decided {
        match command {
            ApprovalCommand::Request { approval_id, action, requester, reason, .. } => {
                self.request_again(&approval_id, &action, &requester, reason.as_ref())
            }
            ApprovalCommand::Revise { action, by, reason, policy, at } => self.revise(*action, by, reason, policy, at),
            ApprovalCommand::Submit { by, at } => self.submit_by(&by, at),
            ApprovalCommand::Vote { voter, decision, reason, on_behalf_of, revision, signature, at } => {
                self.vote(Cast { voter, decision, reason, on_behalf_of, signature, at }, revision)
            }
            ApprovalCommand::WithdrawVote { person, at } => self.withdraw_vote(person, at),
            ApprovalCommand::Comment { comment_id, by, text } => self.comment(comment_id, by, text),
            ApprovalCommand::Assign { assignee, by, at } => self.assign(assignee, by, at),
            ApprovalCommand::Escalate { by, voter, to, repeat_from, reason, at } => {
                let widens = voter.is_some_and(|voter| voter.is(&by) && self.may_vote(&voter, at));
                self.escalate(Call { by, to, widens, repeat_from, reason, at })
            }
            ApprovalCommand::Withdraw { by, reason, at } => self.withdraw(by, reason, at),
            ApprovalCommand::Tick { at } => Ok(self.tick(at)),
            ApprovalCommand::Consume { digest, policy_version, requester_allowed, execution_id, by, at } => {
                self.consume(digest, policy_version, requester_allowed, execution_id, by, at)
            }
            ApprovalCommand::Void { why, at } => self.void(why, at),
            ApprovalCommand::BreakGlass { voter, has_open_review, reason, at } => {
                self.break_glass(&voter, has_open_review, reason, at)
            }
            ApprovalCommand::Review { voter, decision, reason, at } => {
                self.review_vote(Cast { voter, decision, reason, on_behalf_of: None, signature: None, at })
            }
        }
    }

    /// The same request again changes nothing; another one under the same id is refused.
    fn request_again(
        &self,
        approval_id: &ApprovalId,
        action: &Action,
        requester: &Requester,
        reason: Option<&Reason>,
    ) -> Decided {
        let fields: Vec<&'static str> = [
            ("approval_id", self.approval_id == *approval_id),
            ("action", self.original == action.digest()),
            ("requester", self.requester == *requester),
            ("reason", self.reason.as_ref() == reason),
        ]
        .into_iter()
        .filter_map(|(field, same)| (!same).then_some(field))
        .collect();
        if fields.is_empty() { Ok(Vec::new()) } else { Err(ApprovalError::Exists { fields }) }
    }

    /// Has it decided; at once where the policy asks nobody.
    fn submit(&self, at: Timestamp) -> Vec<ApprovalEvent> {
        let decide_by = at.plus_seconds(self.terms().decide_within_seconds);
        let mut events = vec![ApprovalEvent::Submitted(Submitted { decide_by, at })];
        if self.terms().steps.is_empty() {
            events.push(self.approved(&[], at));
        }
        events
    }

    fn submit_by(&self, by: &ActorId, at: Timestamp) -> Decided {
        self.must_be_requested_by(by)?;
        match self.status {
            ApprovalStatus::Draft => self.draft_must_live(at).map(|()| self.submit(at)),
            ApprovalStatus::Pending => Ok(Vec::new()),
            status => Err(ApprovalError::AlreadyDecided { status }),
        }
    }

    fn revise(
        &self,
        action: Action,
        by: ActorId,
        reason: Option<Reason>,
        policy: PolicyInForce,
        at: Timestamp,
    ) -> Decided {
        self.must_be_requested_by(&by)?;
        self.must_be_undone(at)?;
        if self.review.is_some() {
            return Err(ApprovalError::GlassBroken);
        }
        if self.is_as_revised(&action, reason.as_ref(), &policy) {
            return Ok(Vec::new());
        }
        if self.revision >= MAX_REVISIONS {
            return Err(ApprovalError::TooManyRevisions);
        }
        let is_draft = self.status == ApprovalStatus::Draft;
        let decide_by = (!is_draft).then(|| at.plus_seconds(policy.terms.decide_within_seconds));
        let (revision, digest) = (self.revision + 1, action.digest());
        let revised = Revised { revision, action, digest, policy, by, reason, decide_by, at };
        let mut events = vec![ApprovalEvent::Revised(Box::new(revised.clone()))];
        if !is_draft && revised.policy.terms.steps.is_empty() {
            let mut next = self.clone();
            next.apply_revision(revised);
            events.push(next.approved(&[], at));
        }
        Ok(events)
    }

    /// Whether it is this action in these words already, under this policy, and nothing else is given as the reason.
    fn is_as_revised(&self, action: &Action, reason: Option<&Reason>, policy: &PolicyInForce) -> bool {
        let says_nothing_new = reason.is_none() || reason == self.revision_reason.as_ref();
        let is_same_action = self.digest == action.digest() && self.action.summary == action.summary;
        is_same_action && says_nothing_new && self.policy == *policy
    }

    fn comment(&self, comment_id: RemarkId, by: ActorId, text: PersonalText<Paragraph>) -> Decided {
        if self.comment_ids.contains(&comment_id) {
            return Err(ApprovalError::CommentExists { comment_id });
        }
        if self.comment_ids.len() >= MAX_COMMENTS {
            return Err(ApprovalError::TooManyComments);
        }
        Ok(vec![ApprovalEvent::Commented(Commented { comment_id, by, text })])
    }

    fn assign(&self, assignee: ActorId, by: ActorId, at: Timestamp) -> Decided {
        if !self.is_open() {
            return Err(ApprovalError::AlreadyDecided { status: self.status });
        }
        if self.assignee.as_ref() == Some(&assignee) {
            return Ok(Vec::new());
        }
        Ok(vec![ApprovalEvent::Assigned(Assigned { assignee, by, at })])
    }

    fn escalate(&self, call: Call) -> Decided {
        let Call { by, to, widens, repeat_from, reason, at } = call;
        self.must_be_pending(at)?;
        if to.is_empty() || to.len() > MAX_ELECTORATES {
            return Err(ApprovalError::EscalationElectorate);
        }
        if repeat_from.is_some_and(|step| !self.terms().has_step(step)) {
            return Err(ApprovalError::NoSuchStep { steps: self.terms().step_count() });
        }
        // What the policy's own chain needs stays free.
        let left_to_policy = self.terms().escalation.len().saturating_sub(self.automatic_escalations());
        if self.escalations.len() + left_to_policy >= MAX_ESCALATIONS {
            return Err(ApprovalError::TooManyEscalations);
        }
        // Whoever only calls for attention undoes nobody's vote.
        let repeat_from = repeat_from.filter(|_| widens);
        Ok(vec![ApprovalEvent::Escalated(Escalated {
            level: self.escalation_level().saturating_add(1),
            automatic: false,
            by: Some(by),
            to,
            widens,
            from_step: self.called_from(repeat_from),
            repeat_from,
            reason: Some(reason),
            at,
        })])
    }

    fn withdraw(&self, by: ActorId, reason: Option<Reason>, at: Timestamp) -> Decided {
        self.must_be_requested_by(&by)?;
        if self.status == ApprovalStatus::Withdrawn {
            return Ok(Vec::new());
        }
        self.must_be_undone(at)?;
        Ok(vec![ApprovalEvent::Withdrawn(Withdrawn { by, reason, at })])
    }

    /// Whether it is the request of this person.
    pub(super) fn must_be_requested_by(&self, by: &ActorId) -> Result<(), ApprovalError> {
        if self.is_requester(by) { Ok(()) } else { Err(ApprovalError::NotYours) }
    }

    /// Whether there is time left to submit a draft.
    fn draft_must_live(&self, at: Timestamp) -> Result<(), ApprovalError> {
        if at < self.submit_by_when() { Ok(()) } else { Err(ApprovalError::Expired) }
    }

    /// Whether it is a draft, pending or approved, and its time is not over.
    fn must_be_undone(&self, at: Timestamp) -> Result<(), ApprovalError> {
        match self.status {
            ApprovalStatus::Draft => self.draft_must_live(at),
            ApprovalStatus::Approved => self.grant_must_hold(at),
            _ => self.must_be_pending(at),
        }
    }
}
