//! The commands on a request for approval. Each brings the directory up to date first, asks it for the facts that the rules
//! need, lets the aggregate decide, and answers once the directory has seen what was recorded.

use daybook_domain::approval::{
    Action, Approval, ApprovalCommand, ApprovalStatus, Decision, Eligible, VoidReason, VoteSignature,
};
use daybook_domain::approval_policy::{Electorate, PolicyInForce};
use daybook_domain::names::ApprovalId;
use daybook_domain::text::{ActorId, Paragraph, Reason, RemarkId};
use daybook_http_kit::{Principal, Problem, new_id};
use daybook_identity::directory::DirectoryState;
use daybook_ledger::commands::{CommandContext, Outcome};

use crate::facts::actor_id;
use crate::gate::Gated;
use crate::inbox::NotEligible;
use crate::personal::as_recorded;
use crate::problems::{invalid, refused};
use crate::service::{Approvals, may, own};
use crate::votes;

/// Most open requests of one person.
const MAX_OPEN: usize = 1_000;
/// The refusal of one more.
pub(crate) const TOO_MANY_OPEN: &str = "approval.too_many_open";

/// A vote, as it came.
#[derive(Debug, Clone)]
pub struct Ballot {
    /// For or against.
    pub decision: Decision,
    /// Why.
    pub reason: Option<Reason>,
    /// The person in whose place, where the voter stands in for somebody.
    pub on_behalf_of: Option<ActorId>,
    /// The revision that the voter saw; where it is given and not the newest, the vote is refused.
    pub revision: Option<u64>,
    /// The voter's signature over the request's digest.
    pub signature: Option<VoteSignature>,
}

impl Approvals {
    /// Opens a request, whether or not there is one like it, and hands it in. Its id is `new_id("apr", context)`: known
    /// beforehand where there is a command key, and a repeat opens none anew.
    pub async fn open(
        &self,
        principal: &Principal,
        gated: Gated,
        context: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let state = self.state().await?;
        self.open_on(&state, principal, gated, true, context).await
    }

    /// As [`Self::open`], as a draft: nobody votes on it until it is handed in.
    pub async fn draft(
        &self,
        principal: &Principal,
        gated: Gated,
        context: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let state = self.state().await?;
        self.open_on(&state, principal, gated, false, context).await
    }

    pub(crate) async fn open_on(
        &self,
        state: &DirectoryState,
        principal: &Principal,
        gated: Gated,
        submit: bool,
        context: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let id = new_id("apr", &context);
        let command = self.request(state, principal, gated, submit, &id)?;
        self.carry_out(&id, command, context).await
    }

    /// Whether the caller could open such a request now; else why not. Records nothing: for whoever has to record something
    /// else first, which would then wait for a decision that nobody was asked for.
    pub async fn may_open(&self, principal: &Principal, gated: Gated, context: &CommandContext) -> Result<(), Problem> {
        let state = self.state().await?;
        let command = self.request(&state, principal, gated, true, &new_id("apr", context))?;
        Approval::default().decide(command).map(drop).map_err(|refusal| refused(&refusal))
    }

    /// The command that opens a request, where the caller may ask for it.
    pub(crate) fn request(
        &self,
        state: &DirectoryState,
        principal: &Principal,
        gated: Gated,
        submit: bool,
        id: &str,
    ) -> Result<ApprovalCommand, Problem> {
        let Gated { action, required_permissions, reason, .. } = gated;
        may(principal, &required_permissions)?;
        action.check("").map_err(invalid)?;
        let person = state.person_of(&principal.actor.id);
        may_have_another(state, person)?;
        Ok(ApprovalCommand::Request {
            approval_id: ApprovalId::parse("", id).map_err(invalid)?,
            requester: self.facts(state).requester(principal, &required_permissions)?,
            policy: policy_of(state, &action)?,
            action: Box::new(action),
            reason,
            submit,
            at: self.timestamp()?,
        })
    }

    /// Hands a draft in.
    pub async fn submit(
        &self,
        principal: &Principal,
        id: &str,
        context: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let by = self.requester_of(id, principal).await?;
        self.carry_out(id, ApprovalCommand::Submit { by, at: self.timestamp()? }, context).await
    }

    /// Puts another action in the place of the one that was asked for: a new revision, on which nobody has voted.
    pub async fn revise(
        &self,
        principal: &Principal,
        id: &str,
        action: Action,
        reason: Option<Reason>,
        context: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let by = self.requester_of(id, principal).await?;
        let state = self.0.directory.now();
        let policy = policy_of(&state, &action)?;
        let command = ApprovalCommand::Revise { action: Box::new(action), by, reason, policy, at: self.timestamp()? };
        self.carry_out(id, command, context).await
    }

    /// Votes. A signature that does not hold is refused, and so is one by a key that is not the voter's.
    pub async fn vote(
        &self,
        principal: &Principal,
        id: &str,
        ballot: Ballot,
        context: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let (state, approval) = self.at_hand(id).await?;
        let facts = self.facts(&state);
        let voter = facts.voter(principal, &approval)?;
        if let Some(signature) = &ballot.signature {
            let text = votes::text(&approval, ballot.decision)?;
            votes::check(self.0.directory.vault(), self.0.directory.ledger_id(), &voter, &text, signature).await?;
        }
        let command = ApprovalCommand::Vote {
            voter,
            decision: ballot.decision,
            reason: ballot.reason,
            on_behalf_of: ballot.on_behalf_of,
            // A signature is of what was signed: of another revision it would not hold.
            revision: ballot.revision.or(ballot.signature.as_ref().map(|_| approval.revision())),
            signature: ballot.signature,
            at: self.timestamp()?,
        };
        self.carry_out(id, command, context).await
    }

    /// Takes one's vote back.
    pub async fn withdraw_vote(
        &self,
        principal: &Principal,
        id: &str,
        context: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let person = self.person_known_to(id, principal).await?;
        self.carry_out(id, ApprovalCommand::WithdrawVote { person, at: self.timestamp()? }, context).await
    }

    /// Comments. What a person writes is sealed with that person's key.
    pub async fn comment(
        &self,
        principal: &Principal,
        id: &str,
        comment_id: RemarkId,
        text: Paragraph,
        context: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        self.find(id).await?;
        let text = as_recorded(principal, &self.0.personal, text).await?;
        let by = actor_id(&principal.actor.id)?;
        self.carry_out(id, ApprovalCommand::Comment { comment_id, by, text }, context).await
    }

    /// Says who is to see to it. That gives nobody a vote.
    pub async fn assign(
        &self,
        principal: &Principal,
        id: &str,
        assignee: ActorId,
        context: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let by = actor_id(&principal.actor.id)?;
        self.carry_out(id, ApprovalCommand::Assign { assignee, by, at: self.timestamp()? }, context).await
    }

    /// Turns to others before the clock does: to the next link of the policy's chain where `to` is empty. Of those named, only
    /// whom the policy names in its chain may decide, and they only where the caller could vote now: from anybody else, and so
    /// from whoever asked, it is a call for attention.
    pub async fn escalate(
        &self,
        principal: &Principal,
        id: &str,
        to: Vec<Electorate>,
        repeat_from: Option<u32>,
        reason: Reason,
        context: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let (state, approval) = self.at_hand(id).await?;
        let voter = Some(Box::new(self.facts(&state).voter(principal, &approval)?));
        let to = if to.is_empty() { next_link(&approval) } else { to };
        let by = actor_id(&principal.actor.id)?;
        let command = ApprovalCommand::Escalate { by, voter, to, repeat_from, reason, at: self.timestamp()? };
        self.carry_out(id, command, context).await
    }

    /// Takes one's request back.
    pub async fn withdraw(
        &self,
        principal: &Principal,
        id: &str,
        reason: Option<Reason>,
        context: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let by = self.requester_of(id, principal).await?;
        self.carry_out(id, ApprovalCommand::Withdraw { by, reason, at: self.timestamp()? }, context).await
    }

    /// Ends a request for something that was given up: what was asked for is not there to be done any more. Records nothing
    /// where the request is over, or used up, already.
    pub async fn void_for_cancelled(&self, id: &str, context: &CommandContext) -> Result<(), Problem> {
        let (_, approval) = self.at_hand(id).await?;
        let is_open = matches!(
            approval.status(),
            Some(ApprovalStatus::Draft | ApprovalStatus::Pending | ApprovalStatus::Approved)
        );
        if is_open {
            let command = ApprovalCommand::Void { why: VoidReason::ResourceGone, at: self.timestamp()? };
            self.carry_out(id, command, own(context)).await?;
        }
        Ok(())
    }

    /// Has it done without the votes that it takes. Only where the policy allows it and to whom; it is reviewed afterwards.
    pub async fn break_glass(
        &self,
        principal: &Principal,
        id: &str,
        reason: Reason,
        context: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        // One at a time: two at once would not know of each other.
        let _turn = self.turn().await?;
        let (state, approval) = self.at_hand(id).await?;
        let voter = self.facts(&state).voter(principal, &approval)?;
        let has_open_review = self.facts(&state).has_open_review(&voter, &approval);
        let command = ApprovalCommand::BreakGlass { voter, has_open_review, reason, at: self.timestamp()? };
        self.carry_out(id, command, context).await
    }

    /// Votes in the review of a broken glass.
    pub async fn review(
        &self,
        principal: &Principal,
        id: &str,
        decision: Decision,
        reason: Option<Reason>,
        context: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let (state, approval) = self.at_hand(id).await?;
        let voter = self.facts(&state).voter(principal, &approval)?;
        let command = ApprovalCommand::Review { voter, decision, reason, at: self.timestamp()? };
        self.carry_out(id, command, context).await
    }

    /// The caller as whoever asked; 403 where another account did.
    async fn requester_of(&self, id: &str, principal: &Principal) -> Result<ActorId, Problem> {
        let (state, approval) = self.at_hand(id).await?;
        self.facts(&state).as_requester(principal, &approval)
    }

    /// The caller's person, under the name that the request knows them by.
    async fn person_known_to(&self, id: &str, principal: &Principal) -> Result<ActorId, Problem> {
        let (state, approval) = self.at_hand(id).await?;
        self.facts(&state).known_as(state.person_of(&principal.actor.id), &approval)
    }

    /// Whether the caller can vote on a request now: in which step, and on whose behalf; else why not.
    pub fn eligibility(
        &self,
        principal: &Principal,
        approval: &Approval,
    ) -> Result<Result<Eligible, NotEligible>, Problem> {
        let state = self.0.directory.now();
        let voter = self.facts(&state).voter(principal, approval)?;
        Ok(approval.eligibility(&voter, self.timestamp()?).map_err(NotEligible::from))
    }
}

/// To whom the policy's chain of escalation leads next; to its last link once all were reached.
fn next_link(approval: &Approval) -> Vec<Electorate> {
    let chain = approval.policy().map(|policy| policy.terms.escalation.as_slice()).unwrap_or_default();
    let level = usize::try_from(approval.escalation_level()).unwrap_or(usize::MAX);
    chain.get(level).or(chain.last()).map(|link| link.to.clone()).unwrap_or_default()
}

/// Refuses a person who has as many requests open as anybody may have.
pub(crate) fn may_have_another(state: &DirectoryState, person: &str) -> Result<(), Problem> {
    if state.open_approvals_count(person) >= MAX_OPEN {
        return Err(Problem::refused(
            TOO_MANY_OPEN,
            format!("a person has at most {MAX_OPEN} requests for approval open"),
        ));
    }
    Ok(())
}

/// The policy that holds for an action, where it can be said which of its rules does.
pub(crate) fn policy_of(state: &DirectoryState, action: &Action) -> Result<PolicyInForce, Problem> {
    let policy = state.policy_in_force(&action.action, action.amount, action.label.as_ref());
    policy.map_err(|refusal| refused(&refusal))
}
