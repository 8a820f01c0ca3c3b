//! Payloads of the entries that approvals are made of, as far as the auditor reads them. Its own reading: what the program
//! that wrote them thinks of them plays no part.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde::{Deserialize, Deserializer, de};

/// A point in time, microseconds since 1970-01-01T00:00:00Z; RFC 3339 as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) i64);

impl Moment {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| "a time that is not RFC 3339".to_owned())?;
        Ok(Self(time.timestamp_micros()))
    }

    pub(super) fn plus_seconds(self, seconds: u64) -> Self {
        let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        Self(self.0.saturating_add(micros))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Money {
    pub(super) amount: String,
    pub(super) currency: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Change {
    pub(super) field: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Action {
    pub(super) action: String,
    pub(super) resource_type: String,
    pub(super) resource_id: String,
    #[serde(default)]
    pub(super) parameters: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) changes: Vec<Change>,
    pub(super) amount: Option<Money>,
    pub(super) label: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Electorate {
    Role(String),
    #[serde(alias = "group")]
    Department(String),
    Person(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Clause {
    pub(super) votes: u32,
    pub(super) from: Vec<Electorate>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Step {
    pub(super) clauses: Vec<Clause>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct EscalationRule {
    pub(super) after_seconds: u64,
    pub(super) to: Vec<Electorate>,
    pub(super) repeat_from: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct BreakGlass {
    pub(super) who: Vec<Electorate>,
    pub(super) grant_seconds: u64,
    pub(super) review_within_seconds: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Terms {
    pub(super) steps: Vec<Step>,
    #[serde(default = "yes")]
    pub(super) distinct_persons: bool,
    pub(super) decide_within_seconds: u64,
    pub(super) grant_seconds: u64,
    #[serde(default)]
    pub(super) escalation: Vec<EscalationRule>,
    pub(super) break_glass: Option<BreakGlass>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Rule {
    pub(super) amount_at_least: Option<Money>,
    pub(super) amount_below: Option<Money>,
    pub(super) label: Option<String>,
    pub(super) terms: Terms,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct PolicyInForce {
    pub(super) version: u64,
    pub(super) rule: usize,
    pub(super) terms: Terms,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Requester {
    pub(super) actor: String,
    pub(super) person: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Requested {
    pub(super) approval_id: String,
    pub(super) action: Action,
    pub(super) digest: String,
    pub(super) requester: Requester,
    pub(super) policy: PolicyInForce,
    pub(super) at: Moment,
}

#[derive(Debug, Deserialize)]
pub(super) struct Submitted {
    pub(super) decide_by: Moment,
    pub(super) at: Moment,
}

#[derive(Debug, Deserialize)]
pub(super) struct Revised {
    pub(super) revision: u64,
    pub(super) action: Action,
    pub(super) digest: String,
    pub(super) policy: PolicyInForce,
    pub(super) decide_by: Option<Moment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Decision {
    Approve,
    Reject,
}

impl Decision {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct VoteSignature {
    pub(super) algorithm: String,
    pub(super) public_key: String,
    pub(super) signature: String,
    pub(super) client_data: Option<String>,
    pub(super) authenticator_data: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Vote {
    pub(super) actor: String,
    pub(super) person: String,
    pub(super) on_behalf_of: Option<String>,
    pub(super) delegation_id: Option<String>,
    pub(super) step: u32,
    pub(super) clauses: Vec<u32>,
    pub(super) decision: Decision,
    pub(super) signature: Option<VoteSignature>,
    /// Whose doing of late it is that the vote could be cast, in the word of whoever recorded it.
    #[serde(default)]
    pub(super) owed_to: Vec<String>,
    pub(super) at: Moment,
}

impl Vote {
    /// Everybody whom the vote uses up.
    pub(super) fn people(&self) -> impl Iterator<Item = &str> {
        [self.actor.as_str(), self.person.as_str()].into_iter().chain(self.on_behalf_of.as_deref())
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Voted {
    pub(super) revision: u64,
    pub(super) digest: String,
    pub(super) vote: Vote,
}

#[derive(Debug, Deserialize)]
pub(super) struct VoteWithdrawn {
    pub(super) person: String,
    pub(super) step: u32,
}

#[derive(Debug, Deserialize)]
pub(super) struct Approved {
    pub(super) revision: u64,
    pub(super) digest: String,
    pub(super) policy_version: u64,
    pub(super) approved_by: Vec<String>,
    pub(super) grant_expires_at: Moment,
    pub(super) at: Moment,
}

#[derive(Debug, Deserialize)]
pub(super) struct Escalated {
    pub(super) automatic: bool,
    #[serde(default)]
    pub(super) widens: bool,
    #[serde(default)]
    pub(super) repeat_from: Option<u32>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Consumed {
    pub(super) execution_id: String,
    pub(super) digest: String,
    pub(super) policy_version: u64,
    pub(super) at: Moment,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct GlassBroken {
    pub(super) actor: String,
    pub(super) person: String,
    pub(super) grant_expires_at: Moment,
    pub(super) review_by: Moment,
    pub(super) at: Moment,
}

#[derive(Debug, Deserialize)]
pub(super) struct ReviewClosed {
    pub(super) outcome: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct PolicyDefined {
    pub(super) action: String,
    pub(super) version: u64,
    pub(super) rules: Vec<Rule>,
    pub(super) approval_id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct PolicyRetired {
    pub(super) version: u64,
    pub(super) approval_id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct DelegationGiven {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) starts_at: Moment,
    pub(super) ends_at: Moment,
    #[serde(default)]
    pub(super) actions: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct DelegationMoment {
    pub(super) at: Moment,
}

#[derive(Debug, Deserialize)]
pub(super) struct SamePersonDeclared {
    pub(super) person: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExportRequested {
    pub(super) kind: String,
    pub(super) format: String,
    #[serde(default)]
    pub(super) filters: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) columns: Vec<String>,
    pub(super) approval_id: String,
    #[serde(default)]
    pub(super) deliver_to: Vec<String>,
    #[serde(default)]
    pub(super) collect: bool,
    pub(super) digest: String,
    #[serde(default)]
    pub(super) schedule: Option<ScheduledRun>,
}

/// The run of a schedule that an export says it is.
#[derive(Debug, Deserialize)]
pub(super) struct ScheduledRun {
    pub(super) schedule_id: String,
    pub(super) run: u64,
    pub(super) rests_on: RestsOn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RestsOn {
    Standing,
    Own,
}

#[derive(Debug, Deserialize)]
pub(super) struct ExportApproved {
    pub(super) approval_id: String,
    pub(super) execution_id: String,
    pub(super) policy_version: u64,
    pub(super) at: Moment,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct ScheduledExport {
    pub(super) kind: String,
    pub(super) format: String,
    #[serde(default)]
    pub(super) filters: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) columns: Vec<String>,
    #[serde(default)]
    pub(super) deliver_to: Vec<String>,
    pub(super) cron: String,
    pub(super) time_zone: String,
    pub(super) period: String,
}

/// A schedule that came into being, or became another.
#[derive(Debug, Deserialize)]
pub(super) struct ScheduleCreated {
    pub(super) export: ScheduledExport,
}

#[derive(Debug, Deserialize)]
pub(super) struct StandingRequested {
    pub(super) approval_id: String,
    pub(super) digest: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct StandingApproved {
    pub(super) approval_id: String,
    pub(super) execution_id: String,
    pub(super) policy_version: u64,
    /// As it is written: that is what was approved.
    pub(super) until: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct StandingEnded {
    pub(super) approval_id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ScheduleRun {
    pub(super) run: u64,
    pub(super) from: Option<Moment>,
    pub(super) to: Option<Moment>,
    pub(super) export_id: String,
    pub(super) approval_id: String,
    pub(super) rests_on: RestsOn,
}

#[derive(Debug, Deserialize)]
pub(super) struct ErasureRequested {
    pub(super) subject: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ErasureApproved {
    #[serde(default)]
    pub(super) approval_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RetentionRuleSet {
    pub(super) record_type: String,
    pub(super) version: u64,
    pub(super) class: String,
    pub(super) years: u32,
    pub(super) keeps_identities: bool,
    pub(super) approval_id: String,
}
