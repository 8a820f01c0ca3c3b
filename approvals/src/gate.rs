//! The choke point: whatever needs approval is carried out with a [`Grant`], and a grant comes from here alone.
//!
//! [`Approvals::pass`] is the way in over HTTP: it finds the caller's own request for exactly the same, opens one where
//! there is none, says that it waits for a decision, or uses it up. [`Approvals::redeem`] uses an approval up where the
//! execution follows the decision by itself. Both come through one function that checks everything again at that moment:
//! the digest, the time, the policy that is in force now, that the requester may still have it done, and that nobody who
//! voted has turned out to be somebody else. The aggregate hands out each approval once.
//!
//! [`Approvals::redeem_standing`] is for the runs of a schedule whose standing approval was used up for the schedule: each run
//! gets a grant of its own, for the one export that it makes, after the same is looked at once more.

mod blocked;
mod passage;
mod standing;

use daybook_domain::approval::{
    Action, ActionDigest, Approval, ApprovalCommand, ApprovalError, ApprovalStatus, SYSTEM, VoidReason,
};
use daybook_domain::names::ApprovalId;
use daybook_domain::refusal::Refusal;
use daybook_domain::text::{ActorId, Line};
use daybook_http_kit::{Principal, Problem};
use daybook_identity::directory::DirectoryState;
use daybook_ledger::Receipt;
use daybook_ledger::commands::{CommandContext, CommandError, Outcome};

pub use self::blocked::Blocked;
pub(crate) use self::passage::is_met;
pub use self::passage::{Gated, Needed, Passage};
pub(crate) use self::standing::owner;
use crate::facts::actor_id;
use crate::problems::{invalid, refusal, refused};
use crate::service::{Approvals, following, own, recorded};

/// An execution that is older than this, in microseconds, has been looked at to its end.
const SETTLED_MICROS: i64 = 60_000_000;

/// The right to carry out one approved action, once. It is made by the gate alone and cannot be copied.
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    approval_id: ApprovalId,
    execution_id: Line,
    digest: ActionDigest,
    policy_version: u64,
    approvers: Vec<ActorId>,
    broken_by: Option<ActorId>,
    receipt: Receipt,
    is_resumed: bool,
}

impl Grant {
    /// The approval that was used up.
    pub fn approval_id(&self) -> &ApprovalId {
        &self.approval_id
    }

    /// What it was used up for.
    pub fn execution_id(&self) -> &Line {
        &self.execution_id
    }

    /// The digest of exactly what may be done.
    pub fn digest(&self) -> &ActionDigest {
        &self.digest
    }

    /// Version of the policy that it was approved under; 0 for what is built in.
    pub fn policy_version(&self) -> u64 {
        self.policy_version
    }

    /// The accounts that voted for it. Empty where the policy asks nobody, and where the glass was broken.
    pub fn approvers(&self) -> &[ActorId] {
        &self.approvers
    }

    /// The account that broke the glass for it, where that was so.
    pub fn broken_by(&self) -> Option<&ActorId> {
        self.broken_by.as_ref()
    }

    /// The entry that used the approval up.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Whether the approval had been used up for this very execution before: what was begun then is to be finished.
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Whether it is for exactly this.
    pub fn covers(&self, action: &Action) -> bool {
        self.digest == action.digest()
    }
}

/// Why an approval was not used up.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// It cannot be used as things are: there is none, it is not decided, it is used up, or it is for something else.
    #[error("{0}")]
    Refused(ApprovalError),
    /// It cannot be used any more, and that is recorded: it is over, or something that it rested on has changed.
    #[error("{0}")]
    Ended(ApprovalError),
    /// The ledger or the directory cannot be asked at the moment.
    #[error("{0}")]
    Unavailable(Problem),
}

impl From<Problem> for RedeemError {
    fn from(problem: Problem) -> Self {
        Self::Unavailable(problem)
    }
}

impl From<RedeemError> for Problem {
    fn from(error: RedeemError) -> Self {
        match error {
            RedeemError::Refused(refusal) | RedeemError::Ended(refusal) => refused(&refusal),
            RedeemError::Unavailable(problem) => problem,
        }
    }
}

impl Approvals {
    /// Uses an approval up for one execution that Daybook carries out by itself. `context.actor` is the program that does it.
    ///
    /// The same `execution_id` again is answered with a grant again, which says that it is resumed; any other is refused
    /// with `approval.already_consumed`.
    pub async fn redeem(
        &self,
        approval_id: &ApprovalId,
        digest: &ActionDigest,
        execution_id: &str,
        context: &CommandContext,
    ) -> Result<Grant, RedeemError> {
        let execution_id = execution(execution_id)?;
        let context = following(context);
        let consumed = self.consume(approval_id.as_str(), digest, &execution_id, None, &context).await?;
        Ok(granted(approval_id.clone(), execution_id, digest.clone(), &consumed))
    }

    /// Uses up an approval for something that is not Daybook's to carry out. Only whoever asked may. `digest`: what is about
    /// to be done, where the caller says so.
    pub async fn consume_external(
        &self,
        principal: &Principal,
        id: &str,
        execution_id: Line,
        digest: Option<ActionDigest>,
        context: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let approval = self.find(id).await?.aggregate;
        if approval.action().is_some_and(|action| !action.action.is_external()) {
            return Err(Problem::refused(
                "approval.not_external",
                "what it is for is carried out by Daybook, and uses it up by itself",
            ));
        }
        let approved = approval.digest().cloned().ok_or_else(|| refused(&ApprovalError::not_found()))?;
        let digest = digest.unwrap_or(approved);
        Ok(self.consume(id, &digest, &execution_id, Some(principal), &context).await?)
    }

    /// The one place where an approval is used up. Everything that it rested on is looked at again; what can never hold
    /// again is recorded.
    async fn consume(
        &self,
        id: &str,
        digest: &ActionDigest,
        execution_id: &Line,
        present: Option<&Principal>,
        context: &CommandContext,
    ) -> Result<Outcome<Approval>, RedeemError> {
        let (state, approval) = match self.at_hand(id).await {
            Ok(found) => found,
            Err(problem) if problem.status() == 404 => return Err(RedeemError::Refused(ApprovalError::not_found())),
            Err(problem) => return Err(problem.into()),
        };
        let command = self.consumption(&state, &approval, digest, execution_id, present)?;
        match recorded(&self.0.approvals, id, command, context.clone()).await {
            Ok(outcome) => {
                // Nothing is done before the directory has seen all that came before the entry that used it up. Where it
                // does not keep up the same execution asks again.
                let state = self.0.directory.settle_at(outcome.receipt.position).await?;
                self.still_so(&state, outcome, present, context).await
            }
            Err(CommandError::Refused(why)) => {
                let is_own =
                    approval.action().is_some_and(|action| action.resource_id.as_str() == execution_id.as_str());
                Err(self.ended(id, why, is_own, present, context).await?)
            }
            Err(error) => Err(RedeemError::Unavailable(refusal(error))),
        }
    }

    fn consumption(
        &self,
        state: &DirectoryState,
        approval: &Approval,
        digest: &ActionDigest,
        execution_id: &Line,
        present: Option<&Principal>,
    ) -> Result<ApprovalCommand, Problem> {
        let (policy_version, requester_allowed) = self.basis(state, approval, present)?;
        let by = match present {
            Some(principal) => self.facts(state).as_requester(principal, approval)?,
            None => actor_id(SYSTEM)?,
        };
        Ok(ApprovalCommand::Consume {
            digest: digest.clone(),
            policy_version,
            requester_allowed,
            execution_id: execution_id.clone(),
            by,
            at: self.timestamp()?,
        })
    }

    /// What an approval rests on besides itself: the version of the policy in force, and whether its requester may still
    /// have it done and nobody who voted has turned out to be the requester or another voter.
    fn basis(
        &self,
        state: &DirectoryState,
        approval: &Approval,
        present: Option<&Principal>,
    ) -> Result<(u64, bool), Problem> {
        let facts = self.facts(state);
        let not_found = || refused(&ApprovalError::not_found());
        let requester = approval.requester().ok_or_else(not_found)?;
        let action = approval.action().ok_or_else(not_found)?;
        let (version, _) = state.rules_of(&action.action);
        let allowed = facts.requester_may(approval, requester, present) && facts.votes_are_of_distinct_others(approval);
        Ok((version, allowed))
    }

    /// What an approval rests on may have changed while it was being used up, in an entry before the one that did it. Then
    /// nothing may be done under it, and it is taken back. An execution that goes on after a crash is looked at like the
    /// first.
    async fn still_so(
        &self,
        state: &DirectoryState,
        outcome: Outcome<Approval>,
        present: Option<&Principal>,
        context: &CommandContext,
    ) -> Result<Outcome<Approval>, RedeemError> {
        if outcome.replayed {
            // A repeat is told what the first came to, as far as that still holds.
            let status = self.find(&outcome.id).await?.aggregate.status();
            if let Some(status) = status.filter(|status| *status != ApprovalStatus::Consumed) {
                return Err(RedeemError::Refused(ApprovalError::NotApproved { status }));
            }
        }
        // What was done elsewhere under it is done, and asking once more does not undo it; but the first answer may not have
        // come to its end.
        let is_long_ago = outcome
            .aggregate
            .consumed()
            .is_some_and(|consumed| consumed.at.micros().saturating_add(SETTLED_MICROS) < (self.0.clock)());
        if present.is_some() && is_long_ago && (outcome.replayed || outcome.unchanged) {
            return Ok(outcome);
        }
        let (current, allowed) = self.basis(state, &outcome.aggregate, present)?;
        let approved = outcome.aggregate.policy().map_or(0, |policy| policy.version);
        let why = match (current == approved, allowed) {
            (true, true) => return Ok(outcome),
            (false, _) => ApprovalError::PolicyChanged { approved, current },
            (true, false) => ApprovalError::RequesterNotAllowed,
        };
        let command = ApprovalCommand::Void { why: VoidReason::BasisChanged, at: self.timestamp()? };
        self.record_end(&outcome.id, command, context).await?;
        Err(RedeemError::Ended(why))
    }

    /// Records that an approval can never be used any more, where a refusal says so. What Daybook itself was about to do with
    /// the very thing that the approval is for is described by Daybook: where that is not what was approved it never will
    /// be. Whoever names somebody else's approval ends nothing.
    async fn ended(
        &self,
        id: &str,
        why: ApprovalError,
        is_own: bool,
        present: Option<&Principal>,
        context: &CommandContext,
    ) -> Result<RedeemError, Problem> {
        let at = self.timestamp()?;
        let command = match why {
            ApprovalError::DigestMismatch if is_own && present.is_none() => {
                ApprovalCommand::Void { why: VoidReason::DigestMismatch, at }
            }
            ApprovalError::GrantExpired => ApprovalCommand::Tick { at },
            ApprovalError::PolicyChanged { .. } => ApprovalCommand::Void { why: VoidReason::PolicyChanged, at },
            ApprovalError::RequesterNotAllowed => ApprovalCommand::Void { why: VoidReason::RequesterNotAllowed, at },
            other => return Ok(RedeemError::Refused(other)),
        };
        self.record_end(id, command, context).await?;
        Ok(RedeemError::Ended(why))
    }

    async fn record_end(&self, id: &str, command: ApprovalCommand, context: &CommandContext) -> Result<(), Problem> {
        match recorded(&self.0.approvals, id, command, own(context)).await {
            Ok(outcome) => self.0.directory.settle_at(outcome.receipt.position).await.map(drop),
            // Somebody else ended it, or used it up, meanwhile.
            Err(CommandError::Refused(_)) => Ok(()),
            Err(error) => Err(refusal(error)),
        }
    }
}

/// The grant of an approval that was just used up.
fn granted(approval_id: ApprovalId, execution_id: Line, digest: ActionDigest, consumed: &Outcome<Approval>) -> Grant {
    let approval = &consumed.aggregate;
    Grant {
        approval_id,
        execution_id,
        digest,
        policy_version: approval.policy().map_or(0, |policy| policy.version),
        approvers: approval.approvers().iter().map(|vote| vote.actor.clone()).collect(),
        broken_by: approval.review().map(|review| review.actor.clone()),
        receipt: consumed.receipt.clone(),
        is_resumed: consumed.unchanged,
    }
}

fn execution(id: &str) -> Result<Line, Problem> {
    Line::parse("/execution_id", id).map_err(invalid)
}
