//! A delegation: one person lets another decide in the first one's place, for a time, once the other agreed to it: nobody
//! is made to stand in, and so kept from deciding, by somebody else.
//!
//! It passes on nothing but votes: whoever stands in has the roles of the absent for that and for nothing else. That both
//! are people of the organisation is checked by whoever gives the command.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::approval::ActionType;
use crate::names::DelegationId;
use crate::refusal::refusals;
use crate::stream::{aggregate, events};
use crate::text::{ActorId, Reason};
use crate::time::Timestamp;

/// Most types of action that one delegation names.
pub const MAX_ACTIONS: usize = 50;
/// Longest delegation, in seconds: a year and the day that leap years have more.
pub const MAX_DELEGATION_SECONDS: u64 = 366 * 24 * 60 * 60;

events! {
    /// An event of a delegation.
    DelegationEvent {
        /// It came into being.
        Given(Given) = "delegation.given",
        /// Whoever is to stand in agreed to.
        Accepted(Accepted) = "delegation.accepted",
        /// It ended before its time.
        Ended(Ended) = "delegation.ended",
    }
}

/// Payload of `delegation.given`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Its id.
    pub delegation_id: DelegationId,
    /// The person who is away.
    pub from: ActorId,
    /// The person who stands in.
    pub to: ActorId,
    /// From when on.
    pub starts_at: Timestamp,
    /// Until when. At that time it does not hold.
    pub ends_at: Timestamp,
    /// For which actions; for all of them if none is named. At most [`MAX_ACTIONS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<ActionType>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Who gave it.
    pub by: ActorId,
}

/// Payload of `delegation.accepted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The person who stands in.
    pub by: ActorId,
    /// When.
    pub at: Timestamp,
}

/// Payload of `delegation.ended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Who ended it.
    pub by: ActorId,
    /// When.
    pub at: Timestamp,
}

/// A command to one delegation.
#[derive(Debug, Clone, PartialEq)]
pub enum DelegationCommand {
    /// Bring it into being: the event as it is to be.
    Give(Box<Given>),
    /// Agree to stand in. It holds from then on only.
    Accept {
        /// Who agrees; must be whoever is to stand in.
        by: ActorId,
        /// When.
        at: Timestamp,
    },
    /// End it now.
    End {
        /// Who ends it.
        by: ActorId,
        /// When.
        at: Timestamp,
    },
}

refusals! {
    /// Why a command to a delegation is refused.
    DelegationError {
        /// There is no such delegation.
        #[error("there is no such delegation")]
        NotFound = "delegation.not_found", NotFound;
        /// There is a delegation with this id.
        #[error("the delegation already exists with other content: {} differs", fields.join(", "))]
        Exists {
            /// The fields that differ from what it was given with.
            fields: Vec<&'static str>,
        } = "delegation.exists", Exists;
        /// Nobody stands in for himself.
        #[error("a delegation is from one person to another")]
        ToOneSelf = "delegation.to_one_self", Rule, "/to";
        /// It would end before it starts, or last too long.
        #[error("a delegation ends after it starts, and within 366 days")]
        Period = "delegation.period", Rule, "/ends_at";
        /// It names too many actions.
        #[error("a delegation names at most {MAX_ACTIONS} actions")]
        TooManyActions = "delegation.too_many_actions", Rule, "/actions";
        /// Nobody else agrees to it.
        #[error("only whoever is to stand in accepts a delegation")]
        NotTheDelegate = "delegation.not_the_delegate", Rule;
        /// It is over.
        #[error("the delegation is over")]
        Over = "delegation.over", Rule;
    }
}

/// A delegation. The default value is one that was never given.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Delegation {
    given: Option<Given>,
    accepted_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

impl Delegation {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 2;
    /// Reasons may name people.
    pub const HOLDS_PERSONAL_DATA: bool = true;

    /// Whether it was given.
    pub fn exists(&self) -> bool {
        self.given.is_some()
    }

    /// What it was given with.
    pub fn content(&self) -> Option<&Given> {
        self.given.as_ref()
    }

    /// When whoever is to stand in agreed to it.
    pub fn accepted_at(&self) -> Option<Timestamp> {
        self.accepted_at
    }

    /// When it was ended, if it was ended before its time.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.ended_at
    }

    /// From when until when it holds or held, the end not included; nothing until it is accepted.
    pub fn period(&self) -> Option<(Timestamp, Timestamp)> {
        let given = self.given.as_ref()?;
        let starts_at = given.starts_at.max(self.accepted_at?);
        let ends_at = self.ended_at.map_or(given.ends_at, |ended_at| ended_at.min(given.ends_at));
        Some((starts_at, ends_at))
    }

    /// Whether it holds at a time.
    pub fn holds_at(&self, at: Timestamp) -> bool {
        self.period().is_some_and(|(starts_at, ends_at)| starts_at <= at && at < ends_at)
    }

    /// Whether it held at any time between these two, both included.
    pub fn held_between(&self, from: Timestamp, until: Timestamp) -> bool {
        self.period().is_some_and(|(starts_at, ends_at)| starts_at < ends_at && starts_at <= until && from < ends_at)
    }

    /// Whether it is for this action.
    pub fn covers(&self, action: &ActionType) -> bool {
        self.given.as_ref().is_some_and(|given| given.actions.is_empty() || given.actions.contains(action))
    }

    /// What the command leads to. No events: it asks for what is already so.
    pub fn decide(&self, command: DelegationCommand) -> Result<Vec<DelegationEvent>, DelegationError> {
        match (&self.given, command) {
            (None, DelegationCommand::Give(given)) => {
                given.check()?;
                Ok(vec![DelegationEvent::Given(*given)])
            }
            (None, DelegationCommand::Accept { .. } | DelegationCommand::End { .. }) => Err(DelegationError::NotFound),
            (Some(before), DelegationCommand::Give(given)) => {
                let fields = differing_fields(before, &given);
                if fields.is_empty() { Ok(Vec::new()) } else { Err(DelegationError::Exists { fields }) }
            }
            (Some(given), DelegationCommand::Accept { by, .. }) if given.to != by => {
                Err(DelegationError::NotTheDelegate)
            }
            (Some(given), DelegationCommand::Accept { at, .. }) if self.ended_at.is_some() || given.ends_at <= at => {
                Err(DelegationError::Over)
            }
            (Some(_), DelegationCommand::Accept { .. }) if self.accepted_at.is_some() => Ok(Vec::new()),
            (Some(_), DelegationCommand::Accept { by, at }) => Ok(vec![DelegationEvent::Accepted(Accepted { by, at })]),
            (Some(given), DelegationCommand::End { at, .. }) if self.ended_at.is_some() || given.ends_at <= at => {
                Err(DelegationError::Over)
            }
            (Some(_), DelegationCommand::End { by, at }) => Ok(vec![DelegationEvent::Ended(Ended { by, at })]),
        }
    }

    /// Follows what happened. An event that cannot belong here leaves the state alone.
    fn fold(&mut self, event: DelegationEvent) {
        match event {
            DelegationEvent::Given(given) => {
                self.given.get_or_insert(given);
            }
            DelegationEvent::Accepted(event) if self.exists() => {
                self.accepted_at.get_or_insert(event.at);
            }
            DelegationEvent::Ended(event) if self.exists() => {
                self.ended_at.get_or_insert(event.at);
            }
            DelegationEvent::Accepted(_) | DelegationEvent::Ended(_) => {}
        }
    }
}

impl Given {
    fn check(&self) -> Result<(), DelegationError> {
        if self.from == self.to {
            return Err(DelegationError::ToOneSelf);
        }
        if self.ends_at <= self.starts_at || self.ends_at > self.starts_at.plus_seconds(MAX_DELEGATION_SECONDS) {
            return Err(DelegationError::Period);
        }
        if self.actions.len() > MAX_ACTIONS {
            return Err(DelegationError::TooManyActions);
        }
        Ok(())
    }
}

fn differing_fields(before: &Given, given: &Given) -> Vec<&'static str> {
    [
        ("delegation_id", before.delegation_id == given.delegation_id),
        ("from", before.from == given.from),
        ("to", before.to == given.to),
        ("starts_at", before.starts_at == given.starts_at),
        ("ends_at", before.ends_at == given.ends_at),
        ("actions", before.actions == given.actions),
        ("reason", before.reason == given.reason),
        ("by", before.by == given.by),
    ]
    .into_iter()
    .filter_map(|(field, same)| (!same).then_some(field))
    .collect()
}

aggregate!(Delegation = "delegation", DelegationCommand => DelegationEvent, DelegationError);
