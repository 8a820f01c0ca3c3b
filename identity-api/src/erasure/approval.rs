//! The approval of an erasure: which one it is, having it decided, and what lets the erasure be performed.
//!
//! An erasure has one request for approval at a time. Where nobody decided on that in time whoever asked for the erasure
//! opens the next one; where it was withdrawn or cannot be used any more the erasure ends with it. So it does where the person
//! has become an owner meanwhile, or is none any more: others have to agree to that. Their ids follow from the erasure's, so
//! that whoever asks finds the same one, and nothing is opened twice.

use std::collections::BTreeMap;

use daybook_approvals::{Approvals, Ballot, Gated, Grant, Needed};
use daybook_domain::approval::{Action, Approval, ApprovalStatus, Decision, KnownAction, VoidReason, VoteRecord};
use daybook_domain::erasure::{Erasure, ErasureCommand, ErasureError, ErasureStatus, Requested};
use daybook_domain::names::{ApprovalId, Label, Word};
use daybook_domain::text::{ActorId, Line, Reason};
use daybook_http_kit::permission::ErasureRequest;
use daybook_http_kit::{Permission, Problem, new_id};
use daybook_ledger::commands::{CommandContext, Outcome};
use daybook_ledger::{CommandKey, Hash};

use crate::people::carried::{execute, following};
use crate::people::operations::Doing;
use crate::people::rules::is_owner_account;
use crate::problems::{invalid, refusal, refused};

/// What somebody is told whose erasure waits for votes.
pub(super) const REQUIRES_APPROVAL: &str = "Erasure requires approval";
/// Most requests for approval of one erasure.
const MAX_REQUESTS: u32 = 100;
/// The mark of whoever owns the organisation.
const OWNER: &str = "owner";
/// Who decides where no person did.
const POLICY: &str = "policy";
/// Why an erasure ends whose approval was used up for somebody else than the person is now.
const OWNER_CHANGED: &str = "whether the person is an owner changed since it was approved; ask for it anew";
/// What a rejection is recorded with where the vote says nothing.
const REJECTED: &str = "rejected";

/// One caller at the gate of erasures.
#[derive(Clone, Copy)]
pub(super) struct Gate<'a> {
    /// Who does what where.
    pub(super) doing: Doing<'a>,
    /// The gate itself.
    pub(super) approvals: &'a Approvals,
}

/// What lets an erasure be performed: it is recorded in the erasure that it was approved. Only [`Gate::approved`], which
/// uses up a grant, has it recorded.
pub(super) struct Authority(());

impl Authority {
    /// From what an erasure says. Performing one that was performed removes what came back since.
    pub(super) fn of(erasure: &Erasure) -> Result<Self, Problem> {
        match erasure.status() {
            Some(ErasureStatus::Approved | ErasureStatus::Refused | ErasureStatus::Performed) => Ok(Self(())),
            Some(status) => Err(refused(&ErasureError::NotApproved { status })),
            None => Err(refused(&ErasureError::NotFound)),
        }
    }
}

impl Gate<'_> {
    /// An erasure as the ledger has it now.
    pub(super) async fn erasure(&self, id: &str) -> Result<Outcome<Erasure>, Problem> {
        let found = self.doing.identity.erasures.load(id).await.map_err(refusal)?;
        found.ok_or_else(|| refused(&ErasureError::NotFound))
    }

    /// Exactly what is approved. Of an owner it is another action than of anybody else.
    pub(super) async fn action(&self, request: &Requested) -> Result<Action, Problem> {
        let subject = request.subject.as_str();
        let state = self.doing.identity.directory.up_to_date().await?;
        let is_owner = state.users.get(subject).is_some_and(|user| is_owner_account(user));
        let known = KnownAction::ErasurePerform;
        let label = is_owner.then(|| Label::parse("", OWNER)).transpose().map_err(invalid)?;
        let parameters = [("erasure_id", request.erasure_id.as_str()), ("subject", subject)];
        let parameters: BTreeMap<String, String> =
            parameters.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let made = || {
            let resource_type = Word::parse("", known.resource_type())?;
            let resource_id = Line::parse("", request.erasure_id.as_str())?;
            let whom = if is_owner { "an owner" } else { "a person" };
            let summary = Line::parse("", format!("Erase what is known about {whom}, {subject}"))?;
            Action::new(known.into(), resource_type, resource_id, parameters, Vec::new(), summary, None, label)
        };
        made().map_err(invalid)
    }

    /// The request for approval that decides: the one that stands, else the next one, which whoever asked for the erasure
    /// opens now. Everybody else gets the one that expired.
    pub(super) async fn deciding(
        &self,
        request: &Requested,
        context: &CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let action = self.action(request).await?;
        let id = request.erasure_id.as_str();
        let mut expired = None;
        for number in 1..=MAX_REQUESTS {
            let opening = opening(id, number, &action, context)?;
            match self.approvals.find(&new_id("apr", &opening)).await {
                Ok(found) if lapsed(&found.aggregate) => expired = Some(found),
                Ok(found) => {
                    let found = self.as_it_is(found, &action, context).await?;
                    let gated = gated(request, action.clone());
                    // Nobody can decide it, and somebody could now: it is asked for anew.
                    if !self.approvals.give_way(self.doing.caller, &gated, &found, context).await? {
                        return Ok(found);
                    }
                    expired = Some(found);
                }
                Err(problem) if problem.status() == 404 => {
                    return match expired {
                        Some(expired) if !self.is_requester(request) => Ok(expired),
                        _ => self.open(request, action, opening).await,
                    };
                }
                Err(problem) => return Err(problem),
            }
        }
        Err(Problem::refused("erasure.too_many_approvals", "too many requests for its approval came to nothing"))
    }

    /// A request for approval, which is over where it is about an owner and the person is none now, or the other way round.
    async fn as_it_is(
        &self,
        found: Outcome<Approval>,
        action: &Action,
        context: &CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        if found.aggregate.digest() == Some(&action.digest()) {
            return Ok(found);
        }
        self.approvals.void_for_cancelled(&found.id, &following(context, None)).await?;
        self.approvals.find(&found.id).await
    }

    /// Whether the caller is the account that asked for the erasure.
    pub(super) fn is_requester(&self, request: &Requested) -> bool {
        self.doing.caller.actor.id == request.requested_by.as_str()
    }

    /// Opens one. Only whoever asked for the erasure does: what that takes is looked at then and when it is performed.
    async fn open(
        &self,
        request: &Requested,
        action: Action,
        opening: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        if !self.is_requester(request) {
            let detail = "its request for approval was never opened; whoever asked for the erasure opens it";
            return Err(Problem::conflict("erasure.no_approval", detail));
        }
        self.approvals.open(self.doing.caller, gated(request, action), opening).await
    }

    /// Whether the caller could open the request for its approval: looked at before anything is recorded, so that no erasure
    /// is there that nobody can decide.
    pub(super) async fn may_be_asked(&self, request: &Requested, context: &CommandContext) -> Result<(), Problem> {
        let action = self.action(request).await?;
        self.approvals.may_open(self.doing.caller, gated(request, action), context).await
    }

    /// The caller's vote.
    pub(super) async fn vote(
        &self,
        approval: Outcome<Approval>,
        decision: Decision,
        reason: Option<Reason>,
        context: &CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        if approval.aggregate.status() != Some(ApprovalStatus::Pending) {
            return Ok(approval);
        }
        let revision = Some(approval.aggregate.revision());
        let ballot = Ballot { decision, reason, on_behalf_of: None, revision, signature: None };
        self.approvals.vote(self.doing.caller, &approval.id, ballot, following(context, None)).await
    }

    /// Uses up what was approved, and records it in the erasure.
    pub(super) async fn approved(
        &self,
        request: &Requested,
        approval: &Outcome<Approval>,
        context: CommandContext,
    ) -> Result<Outcome<Erasure>, Problem> {
        let id = request.erasure_id.as_str();
        let approval_id = ApprovalId::parse("", approval.id.as_str()).map_err(invalid)?;
        let using = following(&context, Some(&approval.receipt));
        let digest = approval.aggregate.digest().cloned().ok_or_else(|| refused(&ErasureError::NotFound))?;
        let grant = match self.approvals.redeem(&approval_id, &digest, id, &using).await {
            Ok(grant) => grant,
            Err(error) => {
                let ended = self.approvals.find(&approval.id).await?.aggregate;
                if ends(&ended) {
                    self.rejected(request, &ended, following(&context, None)).await?;
                }
                return Err(error.into());
            }
        };
        // It may have been used before, or be another's at this very moment, whom others have to agree to.
        if !grant.covers(&self.action(request).await?) {
            let used = self.approvals.find(&approval.id).await?.aggregate;
            self.rejected(request, &used, following(&context, None)).await?;
            return Err(Problem::conflict("erasure.owner_changed", OWNER_CHANGED));
        }
        let last = last_vote(&approval.aggregate, Decision::Approve);
        self.record(id, grant, last, context).await
    }

    /// The one place where an erasure becomes approved.
    async fn record(
        &self,
        id: &str,
        grant: Grant,
        last: Option<&VoteRecord>,
        context: CommandContext,
    ) -> Result<Outcome<Erasure>, Problem> {
        let by = match last {
            Some(vote) => vote.actor.clone(),
            None => ActorId::parse("", POLICY).map_err(invalid)?,
        };
        let reason = last.and_then(|vote| vote.reason.clone());
        let command = ErasureCommand::Approve { by, reason, approval_id: grant.approval_id().clone() };
        let identity = self.doing.identity;
        execute::<Erasure>(identity, &identity.erasures, id, command, context).await
    }

    /// Whether what would be erased now is what was agreed to: an owner's erasure is another action than anybody else's. Where
    /// it is not, the erasure ends, and nothing more is done under its approval: 409 `erasure.owner_changed`. To be asked while
    /// nothing was taken yet. Nothing is compared of erasures that are older than approvals.
    pub(super) async fn must_be_as_agreed(&self, erasure: &Erasure, context: &CommandContext) -> Result<(), Problem> {
        let (Some(request), Some(approval_id)) = (erasure.request(), erasure.approval_id()) else { return Ok(()) };
        let used = self.approvals.find(approval_id.as_str()).await?.aggregate;
        if used.digest() == Some(&self.action(request).await?.digest()) {
            return Ok(());
        }
        let checked = || Ok((ActorId::parse("", POLICY)?, Reason::parse("", OWNER_CHANGED)?));
        let (by, reason) = checked().map_err(invalid)?;
        let command = ErasureCommand::EndAgreed { by, reason };
        let (identity, id) = (self.doing.identity, request.erasure_id.as_str());
        execute::<Erasure>(identity, &identity.erasures, id, command, following(context, None)).await?;
        Err(Problem::conflict("erasure.owner_changed", OWNER_CHANGED))
    }

    /// Records in the erasure that it was not agreed to, or that its request for approval ended.
    pub(super) async fn rejected(
        &self,
        request: &Requested,
        approval: &Approval,
        context: CommandContext,
    ) -> Result<Outcome<Erasure>, Problem> {
        let is_rejected = approval.status() == Some(ApprovalStatus::Rejected);
        let last = last_vote(approval, Decision::Reject).filter(|_| is_rejected);
        let checked = || {
            let by = last.map_or_else(|| ActorId::parse("", POLICY), |vote| Ok(vote.actor.clone()))?;
            let why = ended_by(approval.status());
            let reason = last.and_then(|vote| vote.reason.clone()).map_or_else(|| Reason::parse("", why), Ok)?;
            Ok(ErasureCommand::Reject { by, reason })
        };
        let identity = self.doing.identity;
        let command = checked().map_err(invalid)?;
        execute::<Erasure>(identity, &identity.erasures, request.erasure_id.as_str(), command, context).await
    }
}

/// Whether a request came to nothing without anybody having decided: the next one takes its place.
pub(super) fn lapsed(approval: &Approval) -> bool {
    approval.status() == Some(ApprovalStatus::Expired) || approval.voided() == Some(VoidReason::Superseded)
}

/// Whether an erasure ends with its request for approval: rejected, or withdrawn by whoever asked, or not to be used any more.
pub(super) fn ends(approval: &Approval) -> bool {
    !lapsed(approval)
        && matches!(
            approval.status(),
            Some(ApprovalStatus::Rejected | ApprovalStatus::Withdrawn | ApprovalStatus::Voided)
        )
}

/// What a rejection is recorded with where no vote says why.
fn ended_by(status: Option<ApprovalStatus>) -> &'static str {
    match status {
        Some(ApprovalStatus::Withdrawn) => "the request for its approval was withdrawn",
        Some(ApprovalStatus::Voided) => "the request for its approval was voided",
        Some(ApprovalStatus::Expired) => "nobody decided on the request for its approval in time",
        Some(ApprovalStatus::Consumed) => OWNER_CHANGED,
        _ => REJECTED,
    }
}

fn last_vote(approval: &Approval, decision: Decision) -> Option<&VoteRecord> {
    approval.votes().iter().rev().find(|vote| vote.decision == decision)
}

/// The context of the command that opens an erasure's approval of this number.
fn opening(
    erasure_id: &str,
    number: u32,
    action: &Action,
    context: &CommandContext,
) -> Result<CommandContext, Problem> {
    let digest: Hash = action.digest().as_str().parse().map_err(|error| Problem::internal(&error))?;
    let command = Some(CommandKey { id: format!("{erasure_id}:approval:{number}"), digest });
    Ok(CommandContext { command, ..following(context, None) })
}

/// What is asked for.
fn gated(request: &Requested, action: Action) -> Gated {
    Gated {
        action,
        required_permissions: vec![Needed::everywhere(ErasureRequest::NAME)],
        reason: Some(request.reason.clone()),
        execution_id: request.erasure_id.to_string(),
        detail: REQUIRES_APPROVAL,
    }
}
