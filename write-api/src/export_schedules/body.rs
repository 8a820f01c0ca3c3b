//! What is said to schedules, before it is checked.

use daybook_domain::Timestamp;
use daybook_domain::export_schedule::{Period, ScheduledExport};
use daybook_domain::text::{Line, Reason, ShortName};
use daybook_http_kit::{Principal, Problem};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::exports::asking::Asked;
use crate::exports::body::{RequestBody, filter_texts};
use crate::exports::desk::ExportDesk;
use crate::faults::Faults;

/// The zone where nothing is said.
const UTC: &str = "UTC";
/// The filters that a period sets, and a day that stands for it: what is exported is looked at as a run would have it.
const PERIOD_FILTERS: [&str; 2] = ["start", "end"];
const ANY_DAY: &str = "2000-01-01";

/// A schedule to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExportScheduleBody)]
pub struct ScheduleBody {
    /// What people call it.
    #[schema(example = "Month end")]
    pub name: String,
    /// `transactions`, `incidents`, `users`, `agent_actions`, `audit_trail`, `entries` or `evidence_pack`.
    #[schema(example = "transactions")]
    pub kind: String,
    /// `csv`, `ndjson`, `json` or `parquet`; `csv` if it is absent. An evidence pack is a `zip`.
    pub format: Option<String>,
    /// Only records with these values, by the name of the filter. With a period there are no `start` and `end`.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"status": "completed"}))]
    pub filters: Map<String, Value>,
    /// Only these columns, in this order; all that the kind has by default if there are none.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub columns: Vec<String>,
    /// Where each export is delivered: names of destinations in the server's configuration.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub deliver_to: Vec<String>,
    /// When: five fields, minute, hour, day of month, month and day of week; not more often than every 15 minutes.
    #[schema(example = "0 6 1 * *")]
    pub cron: String,
    /// In which time zone of the IANA database; `UTC` if it is absent.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: Option<String>,
    /// Of which time the records are: `none` (the filters say it; so if it is absent), `since_previous`, or the whole `day`,
    /// `week` or `month` before.
    #[schema(example = "month")]
    pub period: Option<String>,
    /// Asks for an approval of all runs until then, at most 400 days ahead. Without it each run takes one of its own.
    #[schema(example = "2027-06-30T00:00:00Z")]
    pub standing_until: Option<String>,
    /// Why: at most 2,000 characters.
    pub reason: Option<String>,
}

/// What of a schedule is changed: what is absent stays as it is. Its standing approval ends with any change.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExportScheduleChangeBody)]
pub struct ChangeBody {
    /// `csv`, `ndjson`, `json` or `parquet`; of an evidence pack, `zip`.
    pub format: Option<String>,
    /// All filters anew.
    #[schema(value_type = Option<Object>)]
    pub filters: Option<Map<String, Value>>,
    /// All columns anew; those that the kind has by default if there are none.
    pub columns: Option<Vec<String>>,
    /// All destinations anew.
    pub deliver_to: Option<Vec<String>>,
    /// When: five fields.
    #[schema(example = "30 7 * * 1-5")]
    pub cron: Option<String>,
    /// In which time zone of the IANA database.
    pub time_zone: Option<String>,
    /// `none`, `since_previous`, `day`, `week` or `month`.
    pub period: Option<String>,
    /// Why: at most 2,000 characters.
    pub reason: Option<String>,
}

/// Why a schedule does not run any more, for now or for good.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExportScheduleReasonBody)]
pub struct ReasonBody {
    /// Why: 1 to 2,000 characters.
    #[schema(example = "Quarter end freeze")]
    pub reason: String,
}

/// An approval of all runs until a time.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExportScheduleStandingBody)]
pub struct StandingBody {
    /// Until when, at most 400 days ahead.
    #[schema(example = "2027-06-30T00:00:00Z")]
    pub until: String,
    /// Why: at most 2,000 characters.
    pub reason: Option<String>,
}

/// A schedule that may be made: everything is known by name, and the caller may read what is to be exported.
pub(super) struct Wished {
    pub name: Line,
    pub export: ScheduledExport,
    pub asked: Asked,
    pub standing_until: Option<Timestamp>,
}

impl ScheduleBody {
    pub(super) fn checked(self, caller: &Principal, desk: &ExportDesk) -> Result<Wished, Problem> {
        let Self { name, kind, format, filters, columns, deliver_to, cron, time_zone, period, standing_until, reason } =
            self;
        let mut faults = Faults::default();
        let name = faults.check(Line::parse("/name", name));
        let times = Times::of(&mut faults, cron, time_zone.unwrap_or_else(|| UTC.to_owned()), period);
        let standing_until = faults.check(Timestamp::parse_optional("/standing_until", standing_until.as_deref()));
        faults.none()?;
        let (Some(name), Some(times), Some(standing_until)) = (name, times, standing_until) else {
            return Err(faults.problem());
        };
        let asked = RequestBody { kind, format, filters, columns, deliver_to, reason };
        let asked = times.asked(asked, caller, desk)?;
        Ok(Wished { name, export: times.export_of(&asked), asked, standing_until })
    }
}

impl ChangeBody {
    /// Whether there is nothing in it that would change a schedule.
    pub(super) fn says_nothing(&self) -> bool {
        let Self { format, filters, columns, deliver_to, cron, time_zone, period, reason: _ } = self;
        let texts = [format, cron, time_zone, period];
        texts.into_iter().all(Option::is_none) && filters.is_none() && columns.is_none() && deliver_to.is_none()
    }

    /// What the schedule is to export afterwards.
    pub(super) fn checked(
        self,
        before: &ScheduledExport,
        caller: &Principal,
        desk: &ExportDesk,
    ) -> Result<(ScheduledExport, Asked), Problem> {
        let Self { format, filters, columns, deliver_to, cron, time_zone, period, reason } = self;
        let filters = match filters {
            Some(filters) => filter_texts(filters)?,
            None => before.filters.clone(),
        };
        let mut faults = Faults::default();
        let times = Times::of(
            &mut faults,
            cron.unwrap_or_else(|| before.cron.to_string()),
            time_zone.unwrap_or_else(|| before.time_zone.to_string()),
            period.or_else(|| Some(before.period.to_string())),
        );
        faults.none()?;
        let asked = RequestBody {
            kind: before.kind.to_string(),
            format: format.or_else(|| Some(before.format.to_string())),
            filters: filters.into_iter().map(|(name, text)| (name, Value::String(text))).collect(),
            columns: columns.unwrap_or_else(|| before.columns.clone()),
            deliver_to: deliver_to.clone().unwrap_or_default(),
            reason,
        };
        let times = times.ok_or_else(|| faults.problem())?;
        let mut asked = times.asked(asked, caller, desk)?;
        // Destinations that nobody named here stay as they are, also where the server does not have one any more.
        if deliver_to.is_none() {
            asked.deliver_to.clone_from(&before.deliver_to);
        }
        Ok((times.export_of(&asked), asked))
    }
}

impl StandingBody {
    pub(super) fn checked(self) -> Result<(Timestamp, Option<Reason>), Problem> {
        let mut faults = Faults::default();
        let until = faults.check(Timestamp::parse("/until", &self.until));
        let reason = faults.check(Reason::parse_optional("/reason", self.reason));
        until.zip(reason).ok_or_else(|| faults.problem())
    }
}

/// When, and of which time.
struct Times {
    cron: Line,
    time_zone: ShortName,
    period: Period,
}

impl Times {
    fn of(faults: &mut Faults, cron: String, time_zone: String, period: Option<String>) -> Option<Self> {
        let cron = faults.check(Line::parse("/cron", cron));
        let time_zone = faults.check(ShortName::parse("/time_zone", time_zone));
        let period = match period {
            Some(period) => faults.check(Period::parse("/period", &period)),
            None => Some(Period::None),
        };
        Some(Self { cron: cron?, time_zone: time_zone?, period: period? })
    }

    /// What is exported, checked as a run would have it: with some period in its filters, where there are to be periods.
    fn asked(&self, mut body: RequestBody, caller: &Principal, desk: &ExportDesk) -> Result<Asked, Problem> {
        let is_filtered = PERIOD_FILTERS.iter().any(|name| body.filters.contains_key(*name));
        // What comes with its own is refused by the schedule itself.
        if self.period == Period::None || is_filtered {
            return Asked::of_body(body, caller, desk);
        }
        body.filters.extend(PERIOD_FILTERS.map(|name| (name.to_owned(), Value::from(ANY_DAY))));
        let mut asked = Asked::of_body(body, caller, desk)?;
        PERIOD_FILTERS.iter().for_each(|name| drop(asked.filters.remove(*name)));
        Ok(asked)
    }

    /// What is scheduled. Whether the times can be, the schedule itself says.
    fn export_of(self, asked: &Asked) -> ScheduledExport {
        ScheduledExport {
            kind: asked.kind,
            format: asked.format,
            filters: asked.filters.clone(),
            columns: asked.columns.clone(),
            deliver_to: asked.deliver_to.clone(),
            cron: self.cron,
            time_zone: self.time_zone,
            period: self.period,
        }
    }
}
