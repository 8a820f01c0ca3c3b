//! Rules, classes and what is said of one record, as answers show them.

use daybook_domain::erasure::Retained;
use daybook_domain::retention_rule::{RecordType, RetentionClass, RetentionRuleError};
use daybook_http_kit::Problem;
use daybook_identity::custody::{HoldInForce, Keeping, Obstacle};
use daybook_identity::directory::{DirectoryState, RetentionRuleRecord};
use daybook_ledger::StreamKey;
use daybook_ledger::keys::time::rfc3339;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problems::refused;

/// How long a law has records kept at least.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RetentionClass)]
pub(crate) struct ClassView {
    /// The class.
    #[schema(example = "six_years")]
    class: &'static str,
    /// The fewest years of a rule of this class.
    #[schema(example = 6)]
    floor_years: u32,
    /// The provisions that ask for that.
    sources: &'static [&'static str],
}

/// How long records of one type are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RetentionRule)]
pub(crate) struct RuleView {
    /// Of which records: the type of their streams.
    #[schema(example = "transaction")]
    record_type: String,
    /// Under which law.
    #[schema(example = "six_years")]
    class: &'static str,
    /// How many years a record is kept after its last entry.
    #[schema(example = 6)]
    years: u32,
    /// Whether whoever made an entry of such a record must stay known for as many years after it.
    keeps_identities: bool,
    /// The version, counted from 1.
    rule_version: u64,
    /// Opaque id of who set it last.
    set_by: String,
    /// When.
    set_at: String,
    /// Why.
    reason: String,
    /// The approval of that.
    approval_request_id: String,
}

impl RuleView {
    /// The rule; `None` where it was never set.
    pub(super) fn of(record: &RetentionRuleRecord) -> Option<Self> {
        let (record_type, retention) = (record.rule.record_type()?, record.rule.retention()?);
        Some(Self {
            record_type: record_type.to_string(),
            class: retention.class.as_str(),
            years: retention.years,
            keeps_identities: retention.keeps_identities,
            rule_version: record.rule.version(),
            set_by: record.set_by.clone(),
            set_at: rfc3339(record.place.changed_at),
            reason: record.reason.clone(),
            approval_request_id: record.approval_id.clone(),
        })
    }

    /// The rule about records of this type; 404 where there is none.
    pub(super) fn found(state: &DirectoryState, record_type: RecordType) -> Result<Self, Problem> {
        let record = state.retention_rules.get(record_type.as_str());
        record.and_then(|record| Self::of(record)).ok_or_else(|| refused(&RetentionRuleError::NotFound))
    }
}

/// Everything about how long records are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Retention)]
pub(crate) struct RetentionView {
    /// What a rule can rest on.
    classes: Vec<ClassView>,
    /// What a rule can be about.
    record_types: &'static [&'static str],
    /// The rules that hold, by type. Records of other types are kept as well; nothing says for how long they must be.
    rules: Vec<RuleView>,
}

impl RetentionView {
    pub(super) fn of(state: &DirectoryState) -> Self {
        let class = |class: &RetentionClass| ClassView {
            class: class.as_str(),
            floor_years: class.floor_years(),
            sources: class.sources(),
        };
        Self {
            classes: RetentionClass::ALL.iter().map(class).collect(),
            record_types: RecordType::WORDS,
            rules: state.retention_rules.values().filter_map(|record| RuleView::of(record)).collect(),
        }
    }
}

/// A hold in force that covers a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = HoldOnRecord)]
pub(crate) struct HoldOnRecord {
    /// Its id.
    #[schema(example = "hld_5f1d3c2b4a59687786950413")]
    hold_id: String,
    /// The matter it is for.
    matter: String,
}

impl From<&HoldInForce> for HoldOnRecord {
    fn from(hold: &HoldInForce) -> Self {
        Self { hold_id: hold.hold_id.clone(), matter: hold.matter.clone() }
    }
}

/// What is said of keeping one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RecordKeeping)]
pub(crate) struct RecordView {
    /// Its type.
    #[schema(example = "transaction")]
    stream_type: String,
    /// Its id.
    #[schema(example = "tx-1001")]
    stream_id: String,
    /// When its last entry was recorded: its time is counted from then.
    last_entry_at: String,
    /// The rule about records of its type, where there is one.
    rule: Option<RuleView>,
    /// From when no rule keeps it any more, unless something happens to it before. Of an account: until when the records keep
    /// the person known that do so for the longest.
    keep_until: Option<String>,
    /// Every hold in force that covers it: those on the record, and those on somebody who acted or is named in it. Of an
    /// account: those that cover the person.
    holds: Vec<HoldOnRecord>,
    /// Of an account: the records that keep the person known who acted in them. Of others none.
    retained: Vec<RetainedView>,
    /// Whether neither a hold nor a rule stands in the way of taking anything of it away.
    may_be_disposed_of: bool,
    /// What stands in the way: `held` or `retained`.
    #[schema(example = "retained")]
    kept_because: Option<&'static str>,
}

impl RecordView {
    pub(super) fn of(stream: StreamKey, keeping: &Keeping, now: i64) -> Self {
        let kept_because = keeping.obstacle(now).map(|obstacle| match obstacle {
            Obstacle::Held(_) => "held",
            Obstacle::Retained(_) => "retained",
        });
        Self {
            stream_type: stream.stream_type,
            stream_id: stream.stream_id,
            last_entry_at: rfc3339(keeping.last_entry_at),
            rule: keeping.rule.as_ref().and_then(|rule| RuleView::of(rule)),
            keep_until: keeping.keep_until.map(rfc3339),
            holds: keeping.holds.iter().map(HoldOnRecord::from).collect(),
            retained: keeping.retained.iter().map(RetainedView::from).collect(),
            may_be_disposed_of: kept_because.is_none(),
            kept_because,
        }
    }
}

/// Records that keep somebody known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RetainedRecords)]
pub(crate) struct RetainedView {
    /// Of which type.
    #[schema(example = "transaction")]
    record_type: &'static str,
    /// How many years.
    #[schema(example = 6)]
    years: u32,
    /// Until when.
    until: String,
}

impl From<&Retained> for RetainedView {
    fn from(retained: &Retained) -> Self {
        Self { record_type: retained.record_type.as_str(), years: retained.years, until: retained.until.to_string() }
    }
}
