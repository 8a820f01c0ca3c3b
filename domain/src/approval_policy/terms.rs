//! What a policy asks for, as data: who must agree, in which order, within which time, and what happens if they do not.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::approval::MAX_VOTES;
use crate::money::Money;
use crate::names::{DepartmentId, Label, RoleName};
use crate::text::{ActorId, InvalidField, Line};

/// Most votes that one clause asks for.
pub const MAX_VOTES_OF_CLAUSE: u32 = 20;
/// Most electorates of one list.
pub const MAX_ELECTORATES: usize = 20;
/// Most clauses of one step.
pub const MAX_CLAUSES: usize = 10;
/// Most steps.
pub const MAX_STEPS: usize = 10;
/// Most links of a chain of escalation.
pub const MAX_ESCALATION_RULES: usize = 10;
/// Most rules of one policy.
pub const MAX_RULES: usize = 20;
/// Longest of all times, in seconds: a year and the day that leap years have more.
pub const MAX_SECONDS: u64 = 366 * 24 * 60 * 60;

/// Implements `Serialize` and `Deserialize` for a type with `#[serde(remote = "Self")]`, so that what is read is held
/// to the type's own `check`.
macro_rules! checked_when_read {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Self::serialize(self, serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let read = Self::deserialize(deserializer)?;
                read.check("").map_err(serde::de::Error::custom)?;
                Ok(read)
            }
        }
    };
}
pub(crate) use checked_when_read;

/// People of whom any can give a vote. As JSON: `{"role":"admin"}`, `{"department":"dep_…"}`, `{"person":"usr_…"}`;
/// `group` is read as `department`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Electorate {
    /// Who has this role in the whole organisation.
    Role(RoleName),
    /// Who has any role within this department.
    #[serde(alias = "group")]
    Department(DepartmentId),
    /// One person.
    Person(ActorId),
}

/// So many votes of these people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clause {
    /// How many; 1 to [`MAX_VOTES_OF_CLAUSE`].
    pub votes: u32,
    /// Of whom; 1 to [`MAX_ELECTORATES`].
    pub from: Vec<Electorate>,
}

/// What is decided at once: every clause must have its votes, and a vote counts for one clause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Line>,
    /// What is asked for; 1 to [`MAX_CLAUSES`].
    pub clauses: Vec<Clause>,
}

/// Who may decide as well after some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscalationRule {
    /// After how long, in seconds since the submission, or since the link of the chain before.
    pub after_seconds: u64,
    /// Who; 1 to [`MAX_ELECTORATES`].
    pub to: Vec<Electorate>,
    /// The step that is done again, counted from 1: votes from it on are void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_from: Option<u32>,
}

/// What one person may do alone in an emergency, to be reviewed afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlass {
    /// Who; 1 to [`MAX_ELECTORATES`].
    pub who: Vec<Electorate>,
    /// How long the action may be done then, in seconds.
    pub grant_seconds: u64,
    /// Within how long it is to be reviewed, in seconds.
    pub review_within_seconds: u64,
}

/// What must come together before something may be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Terms {
    /// What is decided in this order; at most [`MAX_STEPS`]. With none, whatever is submitted is approved.
    pub steps: Vec<Step>,
    /// Whether a person counts in one step only.
    #[serde(default = "yes")]
    pub distinct_persons: bool,
    /// Within how long it is to be decided, in seconds since the submission.
    pub decide_within_seconds: u64,
    /// How long it may be done once it is approved, in seconds.
    pub grant_seconds: u64,
    /// The chain of escalation; at most [`MAX_ESCALATION_RULES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalation: Vec<EscalationRule>,
    /// What may be done in an emergency; nothing if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
}

fn yes() -> bool {
    true
}

checked_when_read!(Terms);

/// Terms, and for what they hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// For amounts of at least this much, whatever their sign, in this currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_at_least: Option<Money>,
    /// For amounts below this much, whatever their sign, in this currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount_below: Option<Money>,
    /// For things with this label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<Label>,
    /// What must come together.
    pub terms: Terms,
}

/// The terms under which one request is decided, and where they come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyInForce {
    /// The version of the policy; 0 if it is the built-in one and none was ever defined.
    pub version: u64,
    /// Which of its rules, counted from 0.
    pub rule: u32,
    /// What must come together.
    pub terms: Terms,
}

impl Terms {
    /// Whether they keep the bounds, name steps that there are, and can be fulfilled in time.
    pub fn check(&self, pointer: &str) -> Result<(), InvalidField> {
        let at = |field: &str| format!("{pointer}{field}");
        if self.steps.len() > MAX_STEPS {
            return Err(InvalidField::new(at("/steps"), format!("has more than {MAX_STEPS} steps")));
        }
        for (index, step) in self.steps.iter().enumerate() {
            step.check(&at(&format!("/steps/{index}")))?;
        }
        let votes = self.steps.iter().flat_map(|step| &step.clauses).map(|clause| u64::from(clause.votes));
        if votes.sum::<u64>() > u64::try_from(MAX_VOTES).unwrap_or(u64::MAX) {
            return Err(InvalidField::new(at("/steps"), format!("ask for more than {MAX_VOTES} votes together")));
        }
        check_seconds(&at("/decide_within_seconds"), self.decide_within_seconds)?;
        check_seconds(&at("/grant_seconds"), self.grant_seconds)?;
        if self.escalation.len() > MAX_ESCALATION_RULES {
            let detail = format!("has more than {MAX_ESCALATION_RULES} links");
            return Err(InvalidField::new(at("/escalation"), detail));
        }
        for (index, rule) in self.escalation.iter().enumerate() {
            let link = at(&format!("/escalation/{index}"));
            check_seconds(&format!("{link}/after_seconds"), rule.after_seconds)?;
            check_electorates(&format!("{link}/to"), &rule.to)?;
            if rule.repeat_from.is_some_and(|step| !self.has_step(step)) {
                return Err(InvalidField::new(format!("{link}/repeat_from"), "is not one of the steps"));
            }
        }
        if let Some(break_glass) = &self.break_glass {
            let glass = at("/break_glass");
            check_electorates(&format!("{glass}/who"), &break_glass.who)?;
            check_seconds(&format!("{glass}/grant_seconds"), break_glass.grant_seconds)?;
            check_seconds(&format!("{glass}/review_within_seconds"), break_glass.review_within_seconds)?;
        }
        Ok(())
    }

    /// How many steps there are.
    pub fn step_count(&self) -> u32 {
        u32::try_from(self.steps.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is a step of this number, counted from 1.
    pub fn has_step(&self, number: u32) -> bool {
        (1..=self.step_count()).contains(&number)
    }

    /// The steps with their numbers, counted from 1.
    pub fn numbered_steps(&self) -> impl Iterator<Item = (u32, &Step)> {
        (1..).zip(&self.steps)
    }
}

impl Step {
    fn check(&self, pointer: &str) -> Result<(), InvalidField> {
        if self.clauses.is_empty() || self.clauses.len() > MAX_CLAUSES {
            let detail = format!("must be 1 to {MAX_CLAUSES} clauses");
            return Err(InvalidField::new(format!("{pointer}/clauses"), detail));
        }
        for (index, clause) in self.clauses.iter().enumerate() {
            let clause_pointer = format!("{pointer}/clauses/{index}");
            if !(1..=MAX_VOTES_OF_CLAUSE).contains(&clause.votes) {
                let detail = format!("must be 1 to {MAX_VOTES_OF_CLAUSE}");
                return Err(InvalidField::new(format!("{clause_pointer}/votes"), detail));
            }
            check_electorates(&format!("{clause_pointer}/from"), &clause.from)?;
        }
        Ok(())
    }
}

fn check_electorates(pointer: &str, electorates: &[Electorate]) -> Result<(), InvalidField> {
    if electorates.is_empty() || electorates.len() > MAX_ELECTORATES {
        return Err(InvalidField::new(pointer, format!("must be 1 to {MAX_ELECTORATES} roles, departments or people")));
    }
    let distinct: BTreeSet<&Electorate> = electorates.iter().collect();
    if distinct.len() < electorates.len() {
        return Err(InvalidField::new(pointer, "names the same role, department or person twice"));
    }
    Ok(())
}

fn check_seconds(pointer: &str, seconds: u64) -> Result<(), InvalidField> {
    if !(1..=MAX_SECONDS).contains(&seconds) {
        return Err(InvalidField::new(pointer, format!("must be 1 to {MAX_SECONDS} seconds")));
    }
    Ok(())
}
