//! The way in over HTTP: the first attempt opens a request, the one after the decision goes through.

use std::time::Duration;

use daybook_domain::approval::{Action, Approval, ApprovalCommand, ApprovalError, ApprovalStatus, VoidReason};
use daybook_domain::names::{ApprovalId, DepartmentId};
use daybook_domain::text::{Line, Reason};
use daybook_http_kit::{Access, Principal, Problem};
use daybook_identity::sealer::vault_problem;
use daybook_ledger::commands::{CommandContext, Outcome};

use super::{Blocked, Grant, RedeemError, execution, granted};
use crate::problems::invalid;
use crate::service::{Approvals, following, may, own};

/// What one process does at a time, of all that share a vault.
const OPENING: &str = "approval.opening";
/// How long is waited for others of this process; as long again for other processes.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a caller wants done that needs approval.
#[derive(Debug, Clone)]
pub struct Gated {
    /// Exactly what.
    pub action: Action,
    /// The permissions it takes besides, which are looked at again when it is done.
    pub required_permissions: Vec<Needed>,
    /// Why.
    pub reason: Option<Reason>,
    /// The id of this execution: what is done under the grant can be told by it.
    pub execution_id: String,
    /// What the caller is told where it is blocked: `Export requires approval`.
    pub detail: &'static str,
}

/// A permission that something takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed {
    /// Its name.
    pub name: &'static str,
    /// In which department; nothing where it must hold in the whole organisation.
    pub department: Option<DepartmentId>,
}

impl Needed {
    /// The permission of this name, in the whole organisation.
    pub fn everywhere(name: &'static str) -> Self {
        Self { name, department: None }
    }

    /// Whether somebody with this access has it.
    pub fn is_met_by(&self, access: &Access) -> bool {
        is_met(access, self.name, self.department.as_ref())
    }
}

/// Whether access holds a permission: everywhere or, where one is named, in that department.
pub(crate) fn is_met(access: &Access, name: &str, department: Option<&DepartmentId>) -> bool {
    let within = |id: &DepartmentId| {
        let mut departments = access.departments.iter();
        departments.any(|held| held.id == id.as_str() && held.permissions.contains_name(name))
    };
    access.permissions.contains_name(name) || department.is_some_and(within)
}

/// Whether what the caller wants may be done now.
#[derive(Debug)]
pub enum Passage {
    /// It may, once.
    Granted(Grant),
    /// It waits for a decision.
    Blocked(Blocked),
}

/// What a request lets its requester do now.
enum Way {
    /// What it is for, once.
    Open(Grant),
    /// Wait.
    Waiting(Box<Outcome<Approval>>),
    /// Nothing any more.
    Over,
}

impl Approvals {
    /// Lets a caller through that has an approval for exactly this, and opens a request for one that has none. A call after
    /// the decision goes through once.
    pub async fn pass(
        &self,
        principal: &Principal,
        gated: Gated,
        context: &CommandContext,
    ) -> Result<Passage, Problem> {
        may(principal, &gated.required_permissions)?;
        gated.action.check("").map_err(invalid)?;
        let detail = gated.detail;
        match self.way(principal, gated, &following(context)).await? {
            Way::Open(grant) => Ok(Passage::Granted(grant)),
            Way::Waiting(outcome) => Ok(Passage::Blocked(self.blocked(&outcome, detail))),
            Way::Over => Err(Problem::conflict("request.conflict", "its approval ended while it was being used")),
        }
    }

    /// Finds the caller's request, or opens one. One at a time, of all processes, so that calls at once open one.
    async fn way(&self, principal: &Principal, gated: Gated, context: &CommandContext) -> Result<Way, Problem> {
        let execution_id = execution(&gated.execution_id)?;
        let _turn = self.turn().await?;
        let state = self.state().await?;
        let mut open = state.open_approvals_of(&principal.actor.id, gated.action.digest().as_str());
        // One that was decided before one that waits.
        open.sort_by_key(|record| record.approval.status() != Some(ApprovalStatus::Approved));
        for record in open {
            let outcome = match self.brought_forward(&record.approval_id, &record.approval, context).await? {
                Some(outcome) => outcome,
                None => self.find(&record.approval_id).await?,
            };
            match self.way_of(principal, &gated, &execution_id, outcome, context).await? {
                Way::Over => {}
                way => return Ok(way),
            }
        }
        let opened = self.open_on(&state, principal, gated.clone(), true, context.clone()).await?;
        self.way_of(principal, &gated, &execution_id, opened, context).await
    }

    /// One at a time, of all processes that share a vault.
    pub(crate) async fn turn(&self) -> Result<impl Sized, Problem> {
        // One turn here before the lock: this process never holds more than one of the vault's connections for it.
        let turn = tokio::time::timeout(PATIENCE, self.0.opening.lock()).await;
        let turn = turn.map_err(|_| Problem::unavailable("approval.busy", "others are asking for approval", 1))?;
        let directory = &self.0.directory;
        let lock = directory.vault().exclusive(directory.ledger_id(), OPENING).await;
        Ok((lock.map_err(vault_problem)?, turn))
    }

    /// The request after what is due by the clock has happened to it, and, where it was a draft, handed in; `None` where
    /// there was nothing to do.
    async fn brought_forward(
        &self,
        id: &str,
        approval: &Approval,
        context: &CommandContext,
    ) -> Result<Option<Outcome<Approval>>, Problem> {
        let at = self.timestamp()?;
        if approval.due().is_some_and(|due| due <= at) {
            return self.carry_out(id, ApprovalCommand::Tick { at }, own(context)).await.map(Some);
        }
        match (approval.status(), approval.requester()) {
            (Some(ApprovalStatus::Draft), Some(requester)) => {
                let command = ApprovalCommand::Submit { by: requester.actor.clone(), at };
                self.carry_out(id, command, context.clone()).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn way_of(
        &self,
        principal: &Principal,
        gated: &Gated,
        execution_id: &Line,
        outcome: Outcome<Approval>,
        context: &CommandContext,
    ) -> Result<Way, Problem> {
        match outcome.aggregate.status() {
            Some(ApprovalStatus::Pending) if self.is_outdated(&outcome.aggregate).await? => {
                // Whatever people decide on it could not be used: they are asked anew, those who have to agree now.
                let command = ApprovalCommand::Void { why: VoidReason::PolicyChanged, at: self.timestamp()? };
                self.carry_out(&outcome.id, command, own(context)).await?;
                Ok(Way::Over)
            }
            Some(ApprovalStatus::Pending) if self.give_way(principal, gated, &outcome, context).await? => Ok(Way::Over),
            Some(ApprovalStatus::Pending) => Ok(Way::Waiting(Box::new(outcome))),
            Some(ApprovalStatus::Approved) => {
                let (id, digest) = (outcome.id.as_str(), gated.action.digest());
                match self.consume(id, &digest, execution_id, Some(principal), context).await {
                    // Somebody else is at it under this very id: that one goes on.
                    Ok(consumed) if consumed.unchanged => Ok(Way::Over),
                    Ok(consumed) => {
                        let approval_id = ApprovalId::parse("", id).map_err(invalid)?;
                        Ok(Way::Open(granted(approval_id, execution_id.clone(), digest, &consumed)))
                    }
                    Err(RedeemError::Ended(_) | RedeemError::Refused(ApprovalError::AlreadyConsumed)) => Ok(Way::Over),
                    Err(error) => Err(error.into()),
                }
            }
            _ => Ok(Way::Over),
        }
    }

    /// Whether another policy holds now than the one that a request is decided under.
    async fn is_outdated(&self, approval: &Approval) -> Result<bool, Problem> {
        let (Some(action), Some(policy)) = (approval.action(), approval.policy()) else { return Ok(false) };
        let state = self.state().await?;
        Ok(state.rules_of(&action.action).0 != policy.version)
    }
}
