//! Who stands in for whom. Everybody gives their own; for others it takes a permission, and nobody makes himself the
//! stand-in of somebody else.

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

/// The permission for delegations of others.
const MANAGE: &str = "delegation:manage";

/// A delegation that is to be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelegation {
    /// Who is stood in for; the caller where nobody is named.
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
    /// Has somebody stand in for the caller, or, with `delegation:manage`, for somebody else.
    pub async fn give_delegation(
        &self,
        principal: &Principal,
        delegation: NewDelegation,
        context: CommandContext,
    ) -> Result<Outcome<Delegation>, Problem> {
        let state = self.state().await?;
        let caller = state.person_of(&principal.actor.id);
        let from = match &delegation.from {
            Some(from) => state.person_of(from.as_str()),
            None => caller,
        };
        let to = state.person_of(delegation.to.as_str());
        if from == caller {
            if !principal.is_person() || !matches!(principal.via, Via::Session | Via::DevHeaders) {
                return Err(Problem::new(403, "approval.person_required", "only people have others stand in for them"));
            }
        } else {
            self.may_manage(principal)?;
            self.check_person(&state, from, "/from")?;
            if to == caller {
                return Err(Problem::new(
                    403,
                    "delegation.to_yourself",
                    "only the person who is stood in for can make you the one who does",
                ));
            }
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
