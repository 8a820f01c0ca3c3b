//! What can be asked of an incident. Every field is a checked type; the edge parses.

use serde::{Deserialize, Serialize};

use crate::meta::Meta;
use crate::patch::Patch;
use crate::personal::PersonalText;
use crate::text::{IncidentId, InvalidField, Line, Paragraph, Reason, RemarkId};
use crate::time::Timestamp;
use crate::vocabulary::vocabulary;

vocabulary! {
    /// How bad it is.
    Severity {
        /// Worth knowing.
        Low = "low",
        /// Worth handling in time.
        Medium = "medium",
        /// To be handled today.
        High = "high",
        /// To be handled now.
        Critical = "critical",
    }
}

vocabulary! {
    /// How far the handling of an incident has come.
    IncidentStatus {
        /// Nobody has taken notice yet, or it was reopened.
        Open = "open",
        /// Somebody has taken notice.
        Acknowledged = "acknowledged",
        /// Somebody is looking into it.
        Investigating = "investigating",
        /// Its cause is dealt with.
        Resolved = "resolved",
        /// Finished. Only comments and reopening are possible.
        Closed = "closed",
    }
}

vocabulary! {
    /// What noticed the incident.
    DetectionMethod {
        /// A person.
        Manual = "manual",
        /// A rule.
        Rule = "rule",
        /// A statistical model.
        Model = "model" accept "ml",
    }
}

impl IncidentStatus {
    /// Whether an incident may go from this status to `to`.
    pub fn may_become(self, to: Self) -> bool {
        match to {
            Self::Acknowledged => self == Self::Open,
            Self::Investigating => matches!(self, Self::Open | Self::Acknowledged),
            Self::Resolved => matches!(self, Self::Open | Self::Acknowledged | Self::Investigating),
            Self::Closed => self == Self::Resolved,
            Self::Open => matches!(self, Self::Resolved | Self::Closed),
        }
    }
}

impl Severity {
    /// The priority an incident of this severity gets unless another is asked for.
    pub fn default_priority(self) -> Priority {
        Priority(match self {
            Self::Critical => 1,
            Self::High => 2,
            Self::Medium => 3,
            Self::Low => 4,
        })
    }
}

/// The order in which incidents are handled: 1 (first) to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Priority(u8);

impl Priority {
    /// Checks the number that came at `pointer`.
    pub fn parse(pointer: &str, number: i64) -> Result<Self, InvalidField> {
        match u8::try_from(number) {
            Ok(priority @ 1..=5) => Ok(Self(priority)),
            _ => Err(InvalidField::new(pointer, "must be a whole number from 1 (highest) to 5")),
        }
    }

    /// 1 to 5.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<i64> for Priority {
    type Error = InvalidField;

    fn try_from(number: i64) -> Result<Self, InvalidField> {
        Self::parse("/priority", number)
    }
}

impl From<Priority> for i64 {
    fn from(priority: Priority) -> Self {
        i64::from(priority.0)
    }
}

impl std::fmt::Display for Priority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The kinds of incident Daybook itself knows. Any other snake_case word is a kind too.
pub const KNOWN_INCIDENT_TYPES: &[&str] = &[
    "stuck_order",
    "missed_trade",
    "spike",
    "latency",
    "compliance_breach",
    "order_failure",
    "position_break",
    "risk_limit_breach",
    "settlement_failure",
    "large_transaction",
];

/// The kind of an incident: a snake_case word of at most 50 characters, see [`KNOWN_INCIDENT_TYPES`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IncidentType(String);

impl IncidentType {
    /// Checks the word that came at `pointer`.
    pub fn parse(pointer: &str, word: impl Into<String>) -> Result<Self, InvalidField> {
        let word = word.into();
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if word.len() > 50 || !word.starts_with(|first: char| first.is_ascii_lowercase()) || !word.bytes().all(allowed)
        {
            return Err(InvalidField::new(
                pointer,
                "must be a snake_case word of at most 50 characters, such as stuck_order",
            ));
        }
        Ok(Self(word))
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `large_transaction`.
    pub(crate) fn large_transaction() -> Self {
        Self("large_transaction".to_owned())
    }
}

impl TryFrom<String> for IncidentType {
    type Error = InvalidField;

    fn try_from(word: String) -> Result<Self, InvalidField> {
        Self::parse("/type", word)
    }
}

impl From<IncidentType> for String {
    fn from(word: IncidentType) -> Self {
        word.0
    }
}

impl std::fmt::Display for IncidentType {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The rule or model that noticed an incident.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RuleReference {
    /// Its name.
    pub name: Line,
    /// Its version, from 1.
    pub version: u64,
}

/// A command to one incident.
#[derive(Debug, Clone, PartialEq)]
pub enum IncidentCommand {
    /// See [`Open`].
    Open(Box<Open>),
    /// Take notice of an open incident.
    Acknowledge {
        /// A remark on it.
        note: Option<Reason>,
    },
    /// Start to look into it.
    Investigate {
        /// A remark on it.
        note: Option<Reason>,
    },
    /// State that its cause is dealt with.
    Resolve {
        /// How.
        resolution: Option<Paragraph>,
        /// What the cause was, if it is to be set.
        root_cause: Option<Paragraph>,
    },
    /// Finish a resolved incident.
    Close {
        /// A remark on it.
        note: Option<Reason>,
    },
    /// Open a resolved or closed incident again.
    Reopen {
        /// Why.
        reason: Reason,
    },
    /// Give it to somebody, or to nobody.
    Assign {
        /// The id of a person, agent or team; `None` takes it from whoever has it.
        assignee: Option<Line>,
    },
    /// Raise the escalation level by one.
    Escalate {
        /// Why.
        reason: Option<Reason>,
        /// To whom.
        to: Option<Line>,
    },
    /// Say something about it. Possible in every status.
    Comment {
        /// The comment's id, unique in the incident.
        comment_id: RemarkId,
        /// What it says; sealed where a person says it.
        text: PersonalText<Paragraph>,
    },
    /// Change how bad it is. The priority stays.
    ChangeSeverity {
        /// The new severity.
        severity: Severity,
        /// Why.
        reason: Option<Reason>,
    },
    /// Change when its turn is.
    ChangePriority {
        /// The new priority.
        priority: Priority,
        /// Why.
        reason: Option<Reason>,
    },
    /// See [`UpdateDetails`].
    UpdateDetails(Box<UpdateDetails>),
}

/// Open an incident. Repeating it with the same content changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// Its id; also the id of its stream.
    pub incident_id: IncidentId,
    /// What it is, in one line.
    pub title: Line,
    /// What happened.
    pub description: Option<Paragraph>,
    /// How bad it is.
    pub severity: Severity,
    /// When its turn is; without it, [`Severity::default_priority`].
    pub priority: Option<Priority>,
    /// Its kind.
    pub incident_type: IncidentType,
    /// The desk concerned.
    pub desk: Option<Line>,
    /// The trader concerned.
    pub trader: Option<Line>,
    /// What caused it.
    pub root_cause: Option<Paragraph>,
    /// What to do about it.
    pub recommended_action: Option<Paragraph>,
    /// The record or event that it is about, such as a transaction's id.
    pub source_event_id: Option<Line>,
    /// When that last happened.
    pub last_event_timestamp: Option<Timestamp>,
    /// What opened it (`api`, a reactor's name). Not part of the content.
    pub source: Option<Line>,
    /// What noticed it.
    pub detection_method: DetectionMethod,
    /// Which rule or model, exactly.
    pub rule: Option<RuleReference>,
    /// The client's further fields.
    pub meta: Meta,
}

/// Change what is known about an incident. Whatever is `None` or [`Patch::Keep`] stays.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UpdateDetails {
    /// New title.
    pub title: Option<Line>,
    /// New description, or none.
    pub description: Patch<Paragraph>,
    /// New kind.
    pub incident_type: Option<IncidentType>,
    /// New desk, or none.
    pub desk: Patch<Line>,
    /// New trader, or none.
    pub trader: Patch<Line>,
    /// New cause, or none.
    pub root_cause: Patch<Paragraph>,
    /// New recommendation, or none.
    pub recommended_action: Patch<Paragraph>,
    /// Why.
    pub reason: Option<Reason>,
}
