//! Who must approve what: rules for one type of action, versioned. The id of the stream is the type of the action.
//!
//! That a change of a policy was itself approved is seen to by whoever gives the command; the event names the approval.

mod rules;
mod terms;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use rules::{built_in, check_rules, in_force};
pub(crate) use terms::checked_when_read;
pub use terms::{
    BreakGlass, Clause, Electorate, EscalationRule, MAX_CLAUSES, MAX_ELECTORATES, MAX_ESCALATION_RULES, MAX_RULES,
    MAX_SECONDS, MAX_STEPS, MAX_VOTES_OF_CLAUSE, PolicyInForce, Rule, Step, Terms,
};

use crate::approval::{ActionType, ApprovalError};
use crate::money::Money;
use crate::names::{ApprovalId, Label};
use crate::refusal::refusals;
use crate::stream::{aggregate, events};
use crate::text::{ActorId, Reason};

events! {
    /// An event of a policy.
    ApprovalPolicyEvent {
        /// An organisation has rules of its own, or other ones.
        Defined(Box<Defined>) = "approval_policy.defined",
        /// The built-in rules hold again.
        Retired(Retired) = "approval_policy.retired",
    }
}

/// Payload of `approval_policy.defined`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Defined {
    /// For which action.
    pub action: ActionType,
    /// The version, counted from 1.
    pub version: u64,
    /// The rules, of which the first that fits holds; 1 to [`MAX_RULES`], the last without a condition.
    pub rules: Vec<Rule>,
    /// Who defined them.
    pub by: ActorId,
    /// Why.
    pub reason: Reason,
    /// The approval of the change.
    pub approval_id: ApprovalId,
}

/// Payload of `approval_policy.retired`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// The version from which on the built-in rules hold.
    pub version: u64,
    /// Who retired them.
    pub by: ActorId,
    /// Why.
    pub reason: Reason,
    /// The approval of the change.
    pub approval_id: ApprovalId,
}

/// A command to one policy.
#[derive(Debug, Clone, PartialEq)]
pub enum ApprovalPolicyCommand {
    /// Give it these rules.
    Define {
        /// For which action; the id of the stream.
        action: ActionType,
        /// The rules; see [`check_policy`].
        rules: Vec<Rule>,
        /// Who does it.
        by: ActorId,
        /// Why.
        reason: Reason,
        /// The approval of the change.
        approval_id: ApprovalId,
    },
    /// Go back to the built-in rules.
    Retire {
        /// Who does it.
        by: ActorId,
        /// Why.
        reason: Reason,
        /// The approval of the change.
        approval_id: ApprovalId,
    },
}

refusals! {
    /// Why a command to a policy is refused.
    ApprovalPolicyError {
        /// There never was one.
        #[error("there is no such approval policy")]
        NotFound = "approval_policy.not_found", NotFound;
        /// The rules are none.
        #[error("the rules of the policy are not acceptable: {detail}")]
        Rules {
            /// What is wrong with them.
            detail: String,
        } = "approval_policy.rules", Rule, "/rules";
        /// Somebody must be asked.
        #[error("every rule for {action} asks somebody")]
        StepRequired {
            /// For which action.
            action: ActionType,
        } = "approval_policy.step_required", Rule, "/rules";
        /// Nobody does it alone.
        #[error("no rule for {action} lets anybody break the glass")]
        NoBreakGlass {
            /// For which action.
            action: ActionType,
        } = "approval_policy.no_break_glass", Rule, "/rules";
        /// Nothing has an amount there.
        #[error("no rule for {action} depends on an amount: there is none")]
        NoAmount {
            /// For which action.
            action: ActionType,
        } = "approval_policy.no_amount", Rule, "/rules";
        /// Who owns the organisation is not erased without an owner.
        #[error("the first rule for erasures is for the label owner alone and asks an owner in every step")]
        OwnerRule = "approval_policy.owner_rule", Rule, "/rules";
        /// It is for another action.
        #[error("the policy is for {action}")]
        OtherAction {
            /// For which.
            action: ActionType,
        } = "approval_policy.other_action", Rule, "/action";
    }
}

/// Whether a policy for this action may have these rules: see [`check_rules`], and what some actions keep to.
pub fn check_policy(action: &ActionType, rules: &[Rule]) -> Result<(), ApprovalPolicyError> {
    check_rules("", rules).map_err(|invalid| ApprovalPolicyError::Rules { detail: invalid.to_string() })?;
    rules::check_guarded(action, rules)
}

/// A policy. The default value is one that was never defined: the built-in rules hold, as version 0.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ApprovalPolicy {
    action: Option<ActionType>,
    version: u64,
    rules: Option<Vec<Rule>>,
}

impl ApprovalPolicy {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 1;
    /// Reasons may name people.
    pub const HOLDS_PERSONAL_DATA: bool = true;

    /// Whether it was ever defined.
    pub fn exists(&self) -> bool {
        self.action.is_some()
    }

    /// For which action.
    pub fn action(&self) -> Option<&ActionType> {
        self.action.as_ref()
    }

    /// The version that holds; 0 if none was ever defined. It only ever rises.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The rules that the organisation defined; nothing if the built-in ones hold.
    pub fn rules(&self) -> Option<&[Rule]> {
        self.rules.as_deref()
    }

    /// The terms that hold for an action of this policy's type; see [`in_force`].
    pub fn in_force(
        &self,
        action: &ActionType,
        amount: Option<Money>,
        label: Option<&Label>,
    ) -> Result<PolicyInForce, ApprovalError> {
        match &self.rules {
            Some(rules) => in_force(self.version, rules, amount, label),
            None => in_force(self.version, &built_in(action), amount, label),
        }
    }

    /// What the command leads to. No events: it asks for what is already so.
    pub fn decide(&self, command: ApprovalPolicyCommand) -> Result<Vec<ApprovalPolicyEvent>, ApprovalPolicyError> {
        let version = self.version.saturating_add(1);
        match command {
            ApprovalPolicyCommand::Define { action, rules, by, reason, approval_id } => {
                if let Some(own) = self.action.as_ref().filter(|own| **own != action) {
                    return Err(ApprovalPolicyError::OtherAction { action: own.clone() });
                }
                check_policy(&action, &rules)?;
                if self.rules.as_ref() == Some(&rules) {
                    return Ok(Vec::new());
                }
                let defined = Defined { action, version, rules, by, reason, approval_id };
                Ok(vec![ApprovalPolicyEvent::Defined(Box::new(defined))])
            }
            ApprovalPolicyCommand::Retire { .. } if !self.exists() => Err(ApprovalPolicyError::NotFound),
            ApprovalPolicyCommand::Retire { .. } if self.rules.is_none() => Ok(Vec::new()),
            ApprovalPolicyCommand::Retire { by, reason, approval_id } => {
                Ok(vec![ApprovalPolicyEvent::Retired(Retired { version, by, reason, approval_id })])
            }
        }
    }

    /// Follows what happened. An event that cannot belong here leaves the state alone.
    fn fold(&mut self, event: ApprovalPolicyEvent) {
        match event {
            ApprovalPolicyEvent::Defined(event) => {
                let event = *event;
                self.action.get_or_insert(event.action);
                self.version = event.version;
                self.rules = Some(event.rules);
            }
            ApprovalPolicyEvent::Retired(event) if self.exists() => {
                self.version = event.version;
                self.rules = None;
            }
            ApprovalPolicyEvent::Retired(_) => {}
        }
    }
}

aggregate!(ApprovalPolicy = "approval_policy", ApprovalPolicyCommand => ApprovalPolicyEvent, ApprovalPolicyError);
