//! A legal hold: what must not be erased while a matter is open. Placed, extended, released once.

use serde::{Deserialize, Serialize};

use crate::names::HoldId;
use crate::refusal::refusals;
use crate::stream::{aggregate, events};
use crate::text::{Line, Reason, ShortName, StreamId, SubjectId};

/// Most subjects and streams that one hold covers.
pub const MAX_COVERED: usize = 100;

events! {
    /// An event of a legal hold.
    LegalHoldEvent {
        /// It came into being.
        Placed(Placed) = "legal_hold.placed",
        /// It covers more.
        Extended(Extended) = "legal_hold.extended",
        /// It covers nothing any more.
        Released(Released) = "legal_hold.released",
    }
}

/// Payload of `legal_hold.placed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Its id.
    pub hold_id: HoldId,
    /// The matter it is for: a file number, a name of a case.
    pub matter: Line,
    /// Why.
    pub reason: Reason,
    /// What it covers; 1 to [`MAX_COVERED`], each once.
    pub covers: Vec<Covered>,
}

/// Payload of `legal_hold.extended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extended {
    /// What it covers as well; never empty.
    pub covers: Vec<Covered>,
}

/// Payload of `legal_hold.released`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// Why.
    pub reason: Reason,
}

/// What a hold covers. As JSON: `{"kind": "subject", "id": "usr_…"}` or
/// `{"kind": "stream", "stream_type": "transaction", "stream_id": "tx-1001"}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Covered {
    /// Everything about somebody.
    Subject {
        /// Who.
        id: SubjectId,
    },
    /// One stream.
    Stream {
        /// Its type.
        stream_type: ShortName,
        /// Its id.
        stream_id: StreamId,
    },
}

/// A command to one legal hold.
#[derive(Debug, Clone, PartialEq)]
pub enum LegalHoldCommand {
    /// Bring it into being: the event as it is to be. What is named twice is covered once.
    Place(Box<Placed>),
    /// Cover more. What is covered already stays so.
    Extend {
        /// What.
        covers: Vec<Covered>,
    },
    /// End it.
    Release {
        /// Why.
        reason: Reason,
    },
}

refusals! {
    /// Why a command to a legal hold is refused.
    LegalHoldError {
        /// There is no such hold.
        #[error("there is no such legal hold")]
        NotFound = "legal_hold.not_found", NotFound;
        /// There is a hold with this id.
        #[error("the legal hold already exists with other content: {} differs", fields.join(", "))]
        Exists {
            /// The fields that differ from what it was placed with.
            fields: Vec<&'static str>,
        } = "legal_hold.exists", Exists;
        /// It covers nothing.
        #[error("a legal hold covers at least one subject or stream")]
        CoversNothing = "legal_hold.covers_nothing", Rule, "/covers";
        /// It covers too much.
        #[error("a legal hold covers at most {MAX_COVERED} subjects and streams")]
        CoversTooMuch = "legal_hold.covers_too_much", Rule, "/covers";
        /// It was released, for good.
        #[error("the legal hold is released")]
        Released = "legal_hold.released", Rule;
    }
}

/// A legal hold. The default value is one that was never placed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LegalHold {
    placed: Option<Placed>,
    added: Vec<Covered>,
    released: bool,
}

impl LegalHold {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 1;
    /// Matters and reasons may name people.
    pub const HOLDS_PERSONAL_DATA: bool = true;

    /// Whether it was placed.
    pub fn exists(&self) -> bool {
        self.placed.is_some()
    }

    /// What it was placed with.
    pub fn content(&self) -> Option<&Placed> {
        self.placed.as_ref()
    }

    /// Everything that it covers, or covered until it was released.
    pub fn covers(&self) -> impl Iterator<Item = &Covered> {
        self.placed.iter().flat_map(|placed| &placed.covers).chain(&self.added)
    }

    /// Whether it was released.
    pub fn is_released(&self) -> bool {
        self.released
    }

    /// What the command leads to. No events: it asks for what is already so.
    pub fn decide(&self, command: LegalHoldCommand) -> Result<Vec<LegalHoldEvent>, LegalHoldError> {
        match (&self.placed, command) {
            (None, LegalHoldCommand::Place(placed)) => {
                let Placed { hold_id, matter, reason, covers } = *placed;
                let covers = self.not_yet_covered(covers)?;
                Ok(vec![LegalHoldEvent::Placed(Placed { hold_id, matter, reason, covers })])
            }
            (None, _) => Err(LegalHoldError::NotFound),
            (Some(before), LegalHoldCommand::Place(placed)) => {
                let fields = differing_fields(before, &placed);
                if fields.is_empty() { Ok(Vec::new()) } else { Err(LegalHoldError::Exists { fields }) }
            }
            (Some(_), _) if self.released => Err(LegalHoldError::Released),
            (Some(_), LegalHoldCommand::Extend { covers }) => {
                let covers = self.not_yet_covered(covers)?;
                if covers.is_empty() {
                    return Ok(Vec::new());
                }
                Ok(vec![LegalHoldEvent::Extended(Extended { covers })])
            }
            (Some(_), LegalHoldCommand::Release { reason }) => Ok(vec![LegalHoldEvent::Released(Released { reason })]),
        }
    }

    /// What of this the hold does not cover yet, each once, if that is not too much in all.
    fn not_yet_covered(&self, covers: Vec<Covered>) -> Result<Vec<Covered>, LegalHoldError> {
        if covers.is_empty() {
            return Err(LegalHoldError::CoversNothing);
        }
        // Bounded before it is searched: the list may come from outside.
        if covers.len() > MAX_COVERED {
            return Err(LegalHoldError::CoversTooMuch);
        }
        let mut new: Vec<Covered> = Vec::new();
        for covered in covers {
            if !new.contains(&covered) && !self.covers().any(|held| *held == covered) {
                new.push(covered);
            }
        }
        if self.covers().count() + new.len() > MAX_COVERED {
            return Err(LegalHoldError::CoversTooMuch);
        }
        Ok(new)
    }

    /// Follows what happened. An event that cannot belong here leaves the state alone.
    fn fold(&mut self, event: LegalHoldEvent) {
        match event {
            LegalHoldEvent::Placed(placed) => {
                self.placed.get_or_insert(placed);
            }
            _ if !self.exists() => {}
            LegalHoldEvent::Extended(event) => self.added.extend(event.covers),
            LegalHoldEvent::Released(_) => self.released = true,
        }
    }
}

fn differing_fields(before: &Placed, placed: &Placed) -> Vec<&'static str> {
    [
        ("hold_id", before.hold_id == placed.hold_id),
        ("matter", before.matter == placed.matter),
        ("reason", before.reason == placed.reason),
        ("covers", before.covers == placed.covers),
    ]
    .into_iter()
    .filter_map(|(field, same)| (!same).then_some(field))
    .collect()
}

aggregate!(LegalHold = "legal_hold", LegalHoldCommand => LegalHoldEvent, LegalHoldError);

#[cfg(test)]
mod tests;
