//! What is asked of a rule, and how it becomes what is to hold.

use daybook_domain::retention_rule::{RecordType, Retention, RetentionClass};
use daybook_domain::text::Reason;
use daybook_http_kit::Problem;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::problems::Faults;

/// A rule as it is to be.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RetentionRuleBody)]
pub(crate) struct RuleBody {
    /// Under which law: `three_years`, `five_years`, `six_years` or `seven_years`.
    #[schema(example = "six_years")]
    pub class: String,
    /// How many years a record is kept after its last entry: at least as many as the class says, at most 100, and never
    /// fewer than before. As many as the class says, if it is absent.
    #[schema(example = 6)]
    pub years: Option<u32>,
    /// Whether whoever made an entry of such a record must stay known for as many years after it: nobody is erased before.
    /// Once true it stays so.
    #[serde(default)]
    pub keeps_identities: bool,
    /// Why: at most 2,000 characters.
    pub reason: String,
}

impl RuleBody {
    pub(crate) fn checked(self) -> Result<(Retention, Reason), Problem> {
        let mut faults = Faults::default();
        let class = faults.check(RetentionClass::parse("/class", &self.class));
        let reason = faults.check(Reason::parse("/reason", self.reason));
        match (class, reason) {
            (Some(class), Some(reason)) => {
                let years = self.years.unwrap_or(class.floor_years());
                Ok((Retention { class, years, keeps_identities: self.keeps_identities }, reason))
            }
            _ => Err(faults.problem()),
        }
    }
}

/// The type in the path; 404 where no rule can be about it. What came is not repeated.
pub(crate) fn record_type(word: &str) -> Result<RecordType, Problem> {
    RecordType::parse("/record_type", word)
        .map_err(|error| Problem::not_found("retention_rule.not_found", format!("record_type: {}", error.detail)))
}
