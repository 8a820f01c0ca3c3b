//! What rules say: which records, under which law, for how long.

use chrono::{DateTime, Months, Utc};

use crate::time::Timestamp;
use crate::vocabulary::vocabulary;

/// Most years that a rule keeps something.
pub const MAX_YEARS: u32 = 100;
const MONTHS_PER_YEAR: u32 = 12;

vocabulary! {
    /// Records that a rule can be about: types of streams. Those that say who may do what just now are not among them.
    RecordType {
        /// Transactions.
        Transaction = "transaction",
        /// Incidents.
        Incident = "incident",
        /// Requests for approval, with their votes.
        Approval = "approval",
        /// Who has to agree to what.
        ApprovalPolicy = "approval_policy",
        /// Who voted in whose place.
        Delegation = "delegation",
        /// Exports, and their files.
        Export = "export",
        /// Schedules of exports, with their runs.
        ExportSchedule = "export_schedule",
        /// Accounts of people.
        User = "user",
        /// Who looked at what, and who was refused.
        Access = "access",
        /// Legal holds.
        LegalHold = "legal_hold",
        /// Erasures.
        Erasure = "erasure",
        /// How long records are kept.
        RetentionRule = "retention_rule",
    }
}

vocabulary! {
    /// How long records of a class are kept at least, as a rule of law has it.
    RetentionClass {
        /// Three years.
        ThreeYears = "three_years",
        /// Five years.
        FiveYears = "five_years",
        /// Six years.
        SixYears = "six_years",
        /// Seven years.
        SevenYears = "seven_years",
    }
}

impl RetentionClass {
    /// The fewest years that a rule of this class keeps something.
    pub const fn floor_years(self) -> u32 {
        match self {
            Self::ThreeYears => 3,
            Self::FiveYears => 5,
            Self::SixYears => 6,
            Self::SevenYears => 7,
        }
    }

    /// The provisions that ask for that many years.
    pub const fn sources(self) -> &'static [&'static str] {
        match self {
            Self::ThreeYears => &["17 CFR 240.17a-4(b)"],
            Self::FiveYears => &[
                "Directive 2014/65/EU (MiFID II), Article 16(7)",
                "Regulation (EU) No 600/2014 (MiFIR), Article 25(1)",
            ],
            Self::SixYears => &["17 CFR 240.17a-4(a)", "FINRA Rule 4511(b)"],
            Self::SevenYears => &["17 CFR 210.2-06(a)"],
        }
    }
}

/// From when on something is not kept any more that was recorded at `recorded_at`: the same day so many years later. What
/// was recorded on a 29 February is kept through the 28th of a year that has none, and the time of day is that of UTC.
pub fn keep_until(recorded_at: Timestamp, years: u32) -> Timestamp {
    let latest = || recorded_at.plus_seconds(u64::MAX);
    let Some(time) = DateTime::<Utc>::from_timestamp_micros(recorded_at.micros()) else { return latest() };
    let Some(day_of_end) = time.checked_add_months(Months::new(years.saturating_mul(MONTHS_PER_YEAR))) else {
        return latest();
    };
    // 29 February becomes the 28th, and is to be kept through it: the day after, at the same time.
    let is_cut = chrono::Datelike::day(&day_of_end) < chrono::Datelike::day(&time);
    let end = if is_cut { day_of_end + chrono::TimeDelta::days(1) } else { day_of_end };
    Timestamp::from_micros(end.timestamp_micros()).unwrap_or_else(latest)
}
