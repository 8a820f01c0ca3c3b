//! How long records of one type are kept at least. The id of the stream is the type of the records.
//!
//! What a rule once promised it keeps promising: it can be made longer, never shorter, by nobody and with no approval. That
//! a change was itself approved is seen to by whoever gives the command; the event names the approval.

mod terms;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use terms::{MAX_YEARS, RecordType, RetentionClass, keep_until};

use crate::names::ApprovalId;
use crate::refusal::refusals;
use crate::stream::{aggregate, events};
use crate::text::{ActorId, Reason};

events! {
    /// An event of a rule.
    RetentionRuleEvent {
        /// From now on this holds.
        Set(RuleSet) = "retention_rule.set",
    }
}

/// Payload of `retention_rule.set`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSet {
    /// Of which records.
    pub record_type: RecordType,
    /// The version, counted from 1.
    pub version: u64,
    /// Under which law.
    pub class: RetentionClass,
    /// How many years a record is kept after its last entry; at least the class's floor, at most [`MAX_YEARS`].
    pub years: u32,
    /// Whether whoever made an entry of such a record must stay known for as many years after it.
    pub keeps_identities: bool,
    /// Who set it.
    pub by: ActorId,
    /// Why.
    pub reason: Reason,
    /// The approval of the change.
    pub approval_id: ApprovalId,
}

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Under which law.
    pub class: RetentionClass,
    /// How many years a record is kept after its last entry.
    pub years: u32,
    /// Whether whoever made an entry of such a record must stay known for as many years after it.
    pub keeps_identities: bool,
}

/// A command to one rule.
#[derive(Debug, Clone, PartialEq)]
pub enum RetentionRuleCommand {
    /// Have this hold from now on.
    Set {
        /// Of which records; the id of the stream.
        record_type: RecordType,
        /// What is to hold.
        retention: Retention,
        /// Who does it.
        by: ActorId,
        /// Why.
        reason: Reason,
        /// The approval of the change.
        approval_id: ApprovalId,
    },
}

refusals! {
    /// Why a command to a rule is refused.
    RetentionRuleError {
        /// There never was one.
        #[error("there is no such retention rule")]
        NotFound = "retention_rule.not_found", NotFound;
        /// It is for other records.
        #[error("the rule is about records of the type {record_type}")]
        OtherRecordType {
            /// Of which.
            record_type: RecordType,
        } = "retention_rule.other_record_type", Rule, "/record_type";
        /// The law asks for more.
        #[error("the class {class} keeps records for at least {floor} years")]
        BelowFloor {
            /// Which class.
            class: RetentionClass,
            /// Its floor.
            floor: u32,
        } = "retention_rule.below_floor", Rule, "/years";
        /// Too long.
        #[error("a rule keeps records for at most {MAX_YEARS} years")]
        TooLong = "retention_rule.too_long", Rule, "/years";
        /// What was promised is kept.
        #[error("records of this type are kept for {years} years: a rule is never shortened")]
        Shortening {
            /// What holds.
            years: u32,
        } = "retention_rule.shortening", Rule, "/years";
        /// What was promised is kept.
        #[error("the rule keeps it known who made the entries: that is never taken back")]
        DroppingIdentities = "retention_rule.dropping_identities", Rule, "/keeps_identities";
    }
}

/// A rule. The default value is one that was never set: nothing is promised.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RetentionRule {
    standing: Option<Standing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Standing {
    record_type: RecordType,
    version: u64,
    retention: Retention,
}

impl RetentionRule {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 1;
    /// Reasons may name people.
    pub const HOLDS_PERSONAL_DATA: bool = true;

    /// Whether it was ever set.
    pub fn exists(&self) -> bool {
        self.standing.is_some()
    }

    /// Of which records.
    pub fn record_type(&self) -> Option<RecordType> {
        self.standing.map(|standing| standing.record_type)
    }

    /// The version that holds; 0 if none was ever set. It only ever rises.
    pub fn version(&self) -> u64 {
        self.standing.map_or(0, |standing| standing.version)
    }

    /// What holds.
    pub fn retention(&self) -> Option<Retention> {
        self.standing.map(|standing| standing.retention)
    }

    /// Whether this may hold from now on. To be asked before anybody is asked to agree.
    pub fn may_become(&self, record_type: RecordType, wanted: Retention) -> Result<(), RetentionRuleError> {
        may_follow(self.standing.map(|standing| (standing.record_type, standing.retention)), record_type, wanted)
    }

    /// What the command leads to. No events: it asks for what is already so.
    pub fn decide(&self, command: RetentionRuleCommand) -> Result<Vec<RetentionRuleEvent>, RetentionRuleError> {
        let RetentionRuleCommand::Set { record_type, retention, by, reason, approval_id } = command;
        self.may_become(record_type, retention)?;
        if self.retention() == Some(retention) {
            return Ok(Vec::new());
        }
        let Retention { class, years, keeps_identities } = retention;
        let version = self.version().saturating_add(1);
        let set = RuleSet { record_type, version, class, years, keeps_identities, by, reason, approval_id };
        Ok(vec![RetentionRuleEvent::Set(set)])
    }

    /// Follows what happened. An event that cannot belong here leaves the state alone, and so does one that would promise
    /// less than was promised: whoever wrote it, what is read holds.
    fn fold(&mut self, event: RetentionRuleEvent) {
        let RetentionRuleEvent::Set(event) = event;
        let retention = event.retention();
        let version = event.version.max(self.version());
        if self.may_become(event.record_type, retention).is_ok() {
            self.standing = Some(Standing { record_type: event.record_type, version, retention });
        }
    }
}

impl RuleSet {
    /// What it sets.
    pub fn retention(&self) -> Retention {
        Retention { class: self.class, years: self.years, keeps_identities: self.keeps_identities }
    }
}

/// Whether a rule about records of this type may say so, after `before`.
pub fn may_follow(
    before: Option<(RecordType, Retention)>,
    record_type: RecordType,
    wanted: Retention,
) -> Result<(), RetentionRuleError> {
    if let Some((own, _)) = before.filter(|(own, _)| *own != record_type) {
        return Err(RetentionRuleError::OtherRecordType { record_type: own });
    }
    if let Some((_, holds)) = before {
        if wanted.years < holds.years {
            return Err(RetentionRuleError::Shortening { years: holds.years });
        }
        if holds.keeps_identities && !wanted.keeps_identities {
            return Err(RetentionRuleError::DroppingIdentities);
        }
    }
    let floor = wanted.class.floor_years();
    if wanted.years < floor {
        return Err(RetentionRuleError::BelowFloor { class: wanted.class, floor });
    }
    if wanted.years > MAX_YEARS { Err(RetentionRuleError::TooLong) } else { Ok(()) }
}

aggregate!(RetentionRule = "retention_rule", RetentionRuleCommand => RetentionRuleEvent, RetentionRuleError);
