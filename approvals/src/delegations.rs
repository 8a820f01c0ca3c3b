//! Who stands in for whom. Everybody gives their own, in a session, and the one who is to stand in accepts it; nobody does
//! either for others. A permission lets those of others be ended.

use daybook_domain::Timestamp;
use daybook_domain::approval::ActionType;
use daybook_domain::delegation::{Delegation, DelegationCommand, DelegationError, Given};
use daybook_domain::names::DelegationId;
use daybook_domain::refusal::Refusal;
use daybook_domain::text::{ActorId, Reason};
use daybook_http_kit::{Principal, Problem, Via, new_id};
use daybook_identity::directory::{DirectoryState, UserStatus};
use daybook_ledger::commands::{CommandContext, Outcome};

use crate::facts::actor_id;
use crate::problems::{invalid, refusal, refused};
use crate::service::{Approvals, recorded};

/// The permission to end delegations of others.
const MANAGE: &str = "delegation:manage";

/// A delegation that is to be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelegation {
    /// Who is stood in for: the caller, whether named or not.
    pub from: Option<ActorId>,
    /// Who stands in.
    pub to: ActorId,
    /// From when; from now on where nothing is said.
    pub starts_at: Option<Timestamp>,
    /// Until when, that moment not included.
    pub ends_at: Timestamp,
    /// For which actions; for all where none is named.
    pub actions: Vec<ActionType>,
    /// Why.
    pub reason: Option<Reason>,
}

impl Approvals {
    /// Has somebody stand in for the caller, from when that person accepts it. Nobody gives what is another's, not even with
    /// another account that was declared the same person's.
    pub async fn give_delegation(
        &self,
        principal: &Principal,
        delegation: NewDelegation,
        context: CommandContext,
    ) -> Result<Outcome<Delegation>, Problem> {
        must_be_there(principal)?;
        let state = self.state().await?;
        let from = principal.actor.id.as_str();
        if delegation.from.as_ref().is_some_and(|named| named.as_str() != from) {
            return Err(Problem::new(403, "delegation.not_yours", "only whoever is stood in for can say who does"));
        }
        let to = delegation.to.as_str();
        if state.is_same_person(from, to) {
            return Err(refused(&DelegationError::ToOneSelf));
        }
        self.check_person(&state, to, "/to")?;
        let at = self.timestamp()?;
        let id = new_id("dlg", &context);
        let given = Given {
            delegation_id: DelegationId::parse("", id.as_str()).map_err(invalid)?,
            from: actor_id(from)?,
            to: actor_id(to)?,
            starts_at: delegation.starts_at.unwrap_or(at),
            ends_at: delegation.ends_at,
            actions: delegation.actions,
            reason: delegation.reason,
            by: actor_id(&principal.actor.id)?,
        };
        self.carry_out_delegation(&id, DelegationCommand::Give(Box::new(given)), context).await
    }

    /// Ends a delegation: whoever is stood in for, whoever stands in, and whoever has `delegation:manage`.
    pub async fn end_delegation(
        &self,
        principal: &Principal,
        id: &str,
        context: CommandContext,
    ) -> Result<Outcome<Delegation>, Problem> {
        let state = self.state().await?;
        let record = state.delegations.get(id).ok_or_else(|| refused(&DelegationError::not_found()))?;
        let caller = state.person_of(&principal.actor.id);
        let is_theirs = [&record.from, &record.to].into_iter().any(|person| state.person_of(person) == caller);
        if !is_theirs {
            self.may_manage(principal)?;
        }
        let command = DelegationCommand::End { by: actor_id(&principal.actor.id)?, at: self.timestamp()? };
        self.carry_out_delegation(id, command, context).await
    }

    fn may_manage(&self, principal: &Principal) -> Result<(), Problem> {
        if principal.holds(MANAGE) {
            return Ok(());
        }
        Err(Problem::forbidden_here("delegation.not_yours", "it is somebody else's delegation", MANAGE))
    }

    /// Accepts that the caller stands in for somebody. From then on it has effect, for voting and against it.
    pub async fn accept_delegation(
        &self,
        principal: &Principal,
        id: &str,
        context: CommandContext,
    ) -> Result<Outcome<Delegation>, Problem> {
        must_be_there(principal)?;
        let state = self.state().await?;
        let record = state.delegations.get(id).ok_or_else(|| refused(&DelegationError::not_found()))?;
        if record.to != principal.actor.id {
            return Err(refused(&DelegationError::NotTheDelegate));
        }
        let command = DelegationCommand::Accept { by: actor_id(&principal.actor.id)?, at: self.timestamp()? };
        self.carry_out_delegation(id, command, context).await
    }

    /// Whether somebody of this id can vote at all: one of the organisation's people who is active.
    fn check_person(&self, state: &DirectoryState, person: &str, pointer: &'static str) -> Result<(), Problem> {
        let is_active = state.users.get(person).map(|user| user.status == UserStatus::Active);
        if is_active.unwrap_or(self.0.development) || state.accounts_of(person).next().is_some() {
            return Ok(());
        }
        let detail = "is not one of the organisation's active people";
        Err(Problem::refused("delegation.unknown_person", format!("{pointer} {detail}")).at(pointer, detail))
    }

    async fn carry_out_delegation(
        &self,
        id: &str,
        command: DelegationCommand,
        context: CommandContext,
    ) -> Result<Outcome<Delegation>, Problem> {
        let outcome = recorded(&self.0.delegations, id, command, context).await.map_err(refusal)?;
        self.0.directory.settle_at(outcome.receipt.position).await?;
        Ok(outcome)
    }
}

/// Only a person who is there gives and accepts: no key and no token does it.
fn must_be_there(principal: &Principal) -> Result<(), Problem> {
    if principal.is_person() && matches!(principal.via, Via::Session | Via::DevHeaders) {
        return Ok(());
    }
    Err(Problem::new(403, "approval.person_required", "only people stand in for one another, and say so themselves"))
}
