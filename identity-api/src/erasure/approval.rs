//! The approval of an erasure: which one it is, having it decided, and what lets the erasure be performed.
//!
//! An erasure has one request for approval at a time; where that ended without a decision there is a next one. Their ids
//! follow from the erasure's, so that whoever asks finds the same one, and nothing is opened twice.

use std::collections::BTreeMap;

use daybook_approvals::{Approvals, Ballot, Gated, Grant};
use daybook_domain::approval::{Action, Approval, ApprovalStatus, Decision, KnownAction, VoteRecord};
use daybook_domain::erasure::{Erasure, ErasureCommand, ErasureError, ErasureStatus, Requested};
use daybook_domain::names::{ApprovalId, Label, Word};
use daybook_domain::text::{ActorId, Line, Reason};
use daybook_http_kit::permission::ErasureRequest;
use daybook_http_kit::{Access, Permission, Principal, Problem, Via, new_id};
use daybook_ledger::commands::{CommandContext, Outcome};
use daybook_ledger::{Actor, CommandKey, Hash};

use crate::people::carried::{execute, following};
use crate::people::operations::Doing;
use crate::people::rules::is_owner_account;
use crate::problems::{invalid, refusal, refused};

/// What somebody is told whose erasure waits for votes.
const REQUIRES_APPROVAL: &str = "Erasure requires approval";
/// Most requests for approval of one erasure.
const MAX_REQUESTS: u32 = 100;
/// The mark of whoever owns the organisation.
const OWNER: &str = "owner";
/// Who decides where the policy asks nobody.
const POLICY: &str = "policy";
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
    pub(super) fn action(&self, request: &Requested) -> Result<Action, Problem> {
        let subject = request.subject.as_str();
        let state = self.doing.identity.directory.now();
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

    /// The request for approval that decides: the one that stands, else the next one, opened now.
    pub(super) async fn deciding(
        &self,
        request: &Requested,
        context: &CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let action = self.action(request)?;
        let id = request.erasure_id.as_str();
        for number in 1..=MAX_REQUESTS {
            let opening = opening(id, number, &action, context)?;
            match self.approvals.find(&new_id("apr", &opening)).await {
                Ok(found) if is_over(&found.aggregate) => {}
                Ok(found) => return Ok(found),
                Err(problem) if problem.status() == 404 => return self.open(request, action, opening).await,
                Err(problem) => return Err(problem),
            }
        }
        Err(Problem::refused("erasure.too_many_approvals", "too many requests for its approval came to nothing"))
    }

    /// Opens one in the name of whoever asked for the erasure, also where somebody else comes upon it.
    async fn open(
        &self,
        request: &Requested,
        action: Action,
        opening: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let caller = self.doing.caller;
        let is_own = caller.actor.id == request.requested_by.as_str();
        let gated = Gated {
            action,
            // What others lack now is seen when the erasure is performed: whoever asked must still be somebody who may act.
            required_permission: is_own.then_some(ErasureRequest::NAME),
            reason: Some(request.reason.clone()),
            execution_id: request.erasure_id.to_string(),
            detail: REQUIRES_APPROVAL,
        };
        match is_own {
            true => self.approvals.open(caller, gated, opening).await,
            false => self.approvals.open(&self.requester(request), gated, opening).await,
        }
    }

    /// Whoever asked, with nothing but the name: enough to be known as the one who does not decide.
    fn requester(&self, request: &Requested) -> Principal {
        let caller = self.doing.caller;
        let id = request.requested_by.as_str();
        let is_user = self.doing.identity.directory.now().users.contains_key(id);
        Principal {
            actor: if is_user { Actor::human(id) } else { Actor::system(id) },
            organization: caller.organization.clone(),
            roles: Vec::new().into(),
            access: Access::default().into(),
            via: Via::Session,
            session_id: None,
        }
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
        let action = self.action(request)?;
        let approval_id = ApprovalId::parse("", approval.id.as_str()).map_err(invalid)?;
        let using = following(&context, Some(&approval.receipt));
        let grant = self.approvals.redeem(&approval_id, &action.digest(), id, &using).await?;
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

    /// Records in the erasure that it was not agreed to.
    pub(super) async fn rejected(
        &self,
        request: &Requested,
        approval: &Approval,
        context: CommandContext,
    ) -> Result<Outcome<Erasure>, Problem> {
        let last = last_vote(approval, Decision::Reject);
        let checked = || {
            let by = last.map_or_else(|| ActorId::parse("", POLICY), |vote| Ok(vote.actor.clone()))?;
            let reason = last.and_then(|vote| vote.reason.clone()).map_or_else(|| Reason::parse("", REJECTED), Ok)?;
            Ok(ErasureCommand::Reject { by, reason })
        };
        let identity = self.doing.identity;
        let command = checked().map_err(invalid)?;
        execute::<Erasure>(identity, &identity.erasures, request.erasure_id.as_str(), command, context).await
    }
}

/// Whether it ended without a decision: by its own time, by whoever asked, or because it could not be used any more.
fn is_over(approval: &Approval) -> bool {
    matches!(approval.status(), Some(ApprovalStatus::Expired | ApprovalStatus::Withdrawn | ApprovalStatus::Voided))
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
