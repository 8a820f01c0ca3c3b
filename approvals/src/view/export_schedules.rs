//! Schedules of exports as answers show them, from the schedule itself.

use std::collections::BTreeMap;

use daybook_domain::Timestamp;
use daybook_domain::export_schedule::{ExportSchedule, Run};
use daybook_http_kit::Problem;
use daybook_identity::directory::{DirectoryState, ScheduleRecord};
use daybook_ledger::commands::CommandError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::held_up::HeldUp;
use crate::problems::refusal;
use crate::service::Approvals;

/// How many of its next times are shown.
const NEXT_RUNS: usize = 5;

/// A schedule of exports. Times are RFC 3339 UTC with microseconds, ids are opaque.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ExportScheduleState)]
pub struct ExportScheduleView {
    /// Its id.
    #[schema(example = "sch_0193f3a17c0070008000000000000001")]
    pub schedule_id: String,
    /// What people call it.
    #[schema(example = "Month end")]
    pub name: String,
    /// `active`, `paused` or `ended`.
    #[schema(example = "active")]
    pub status: &'static str,
    /// Why an active one does not run: `requester_not_allowed` while whoever made it may not ask for such exports,
    /// `too_many_open` while they have as many requests for approval open as anybody may have, `clock` where what is due
    /// counts from a time that is more than an hour ahead. It runs once for all that it missed when that is over. `null` where
    /// nothing is in the way.
    pub held_up_by: Option<&'static str>,
    /// Opaque id of who paused it, while it is paused.
    pub paused_by: Option<String>,
    /// Whether that was somebody else than its owner, who can neither resume nor run it then.
    pub paused_by_other: bool,
    /// `transactions`, `incidents`, `users`, `agent_actions`, `audit_trail`, `entries` or `evidence_pack`.
    #[schema(example = "transactions")]
    pub kind: &'static str,
    /// `csv`, `ndjson`, `json` or `parquet`; `zip` of an evidence pack.
    #[schema(example = "csv")]
    pub format: &'static str,
    /// What it is narrowed by; a run adds `start` and `end` of its period.
    pub filters: BTreeMap<String, String>,
    /// Its columns.
    pub columns: Vec<String>,
    /// Where each export goes.
    pub deliver_to: Vec<String>,
    /// When: minute, hour, day of month, month, day of week.
    #[schema(example = "0 6 1 * *")]
    pub cron: String,
    /// The time zone that `cron` and the period are meant in.
    #[schema(example = "Europe/Berlin")]
    pub time_zone: String,
    /// Of which time the records are: `none`, `since_previous`, `day`, `week` or `month`.
    #[schema(example = "month")]
    pub period: &'static str,
    /// How often what it exports was changed, the first time included.
    #[schema(example = 1)]
    pub revision: u64,
    /// The account that made it, in whose name its exports are asked for.
    pub created_by: String,
    /// The person who answers for that account.
    pub person: String,
    /// Why.
    pub reason: Option<String>,
    /// When it was made.
    pub created_at: Option<String>,
    /// Its next times: five; none while it does not run.
    pub next_runs: Vec<String>,
    /// The approval that its runs rest on, or the one that was asked for; `null` where there never was one.
    pub standing: Option<StandingView>,
    /// How often it has run.
    #[schema(example = 3)]
    pub runs: u64,
    /// Its last run.
    pub last_run: Option<ScheduleRunView>,
    /// Version of its stream, for `If-Match`.
    #[schema(example = 4)]
    pub version: u64,
}

/// An approval of all runs until a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ExportScheduleStanding)]
pub struct StandingView {
    /// `pending` while others decide on it, `approved` while runs rest on it, `ended` afterwards.
    #[schema(example = "approved")]
    pub status: &'static str,
    /// The request for approval.
    #[schema(example = "apr_0193f3a17c0070008000000000000001")]
    pub approval_id: String,
    /// Until when; `null` of one that has ended.
    pub until: Option<String>,
    /// Opaque ids of those who agreed.
    pub approved_by: Vec<String>,
    /// How it ended: `rejected`, `expired`, `withdrawn`, `voided`, `policy_changed`, `requester_not_allowed` or `revoked`.
    pub ended_because: Option<&'static str>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// The request for the one that is to take its place, while others decide on it.
    pub next_approval_id: Option<String>,
}

/// A run of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ExportScheduleRun)]
pub struct ScheduleRunView {
    /// Which, counted from 1.
    #[schema(example = 3)]
    pub run: u64,
    /// `due`, or `asked` where somebody wanted it besides its times.
    #[schema(example = "due")]
    pub cause: &'static str,
    /// The time that it was due at; when it was asked for, where somebody did.
    pub scheduled_for: String,
    /// Times before that one that it stands for as well: nobody ran the schedule then.
    #[schema(example = 0)]
    pub missed: u64,
    /// Its records are from this time on; `null` where it has no period.
    pub from: Option<String>,
    /// Its records are from before this time.
    pub to: Option<String>,
    /// The export.
    #[schema(example = "exp_0193f3a17c0070008000000000000001")]
    pub export_id: String,
    /// The approval that decides on it.
    pub approval_id: String,
    /// `standing`, or `own` where it has an approval of its own.
    #[schema(example = "standing")]
    pub rests_on: &'static str,
    /// Opaque id of who asked for it, where somebody did.
    pub by: Option<String>,
    /// When it was recorded.
    pub at: String,
}

/// What a list of schedules is filtered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSchedule {
    /// Its id.
    pub schedule_id: String,
    /// `active`, `paused` or `ended`.
    pub status: &'static str,
    /// What is exported.
    pub kind: &'static str,
    /// The account that made it.
    pub created_by: String,
    /// The person who answers for that account.
    pub person: String,
}

impl Approvals {
    /// All schedules of the organisation in the order in which they were made, from the directory as it is.
    pub fn export_schedules(&self) -> Vec<ListedSchedule> {
        let state = self.directory().now();
        let mut records: Vec<_> = state.export_schedules.iter().collect();
        records.sort_by(|(one, first), (other, second)| {
            (first.place.created_at, one).cmp(&(second.place.created_at, other))
        });
        let listed = |(id, record): (&std::sync::Arc<str>, &std::sync::Arc<ScheduleRecord>)| {
            let schedule = &record.schedule;
            Some(ListedSchedule {
                schedule_id: id.to_string(),
                status: schedule.status()?.as_str(),
                kind: schedule.export()?.kind.as_str(),
                created_by: schedule.created_by()?.to_string(),
                person: schedule.person()?.to_string(),
            })
        };
        records.into_iter().filter_map(listed).collect()
    }

    /// A schedule, from the directory as it is; one that ended so long ago that the directory has forgotten it, from the
    /// ledger.
    pub async fn export_schedule(&self, id: &str) -> Result<Option<ExportScheduleView>, Problem> {
        let state = self.directory().now();
        if let Some(record) = state.export_schedules.get(id) {
            return self.view_of(&state, &record.schedule, record.place.version);
        }
        match self.0.schedules.load(id).await {
            Ok(Some(found)) => self.view_of(&state, &found.aggregate, found.version),
            // What cannot be the id of anything names no schedule.
            Ok(None) | Err(CommandError::Invalid(_)) => Ok(None),
            Err(error) => Err(refusal(error)),
        }
    }

    /// A schedule as a command has left it.
    pub fn schedule_view(&self, schedule: &ExportSchedule, version: u64) -> Result<ExportScheduleView, Problem> {
        let missing = || Problem::not_found("export_schedule.not_found", "there is no schedule of that id");
        self.view_of(&self.directory().now(), schedule, version)?.ok_or_else(missing)
    }

    fn view_of(
        &self,
        state: &DirectoryState,
        schedule: &ExportSchedule,
        version: u64,
    ) -> Result<Option<ExportScheduleView>, Problem> {
        let now = self.timestamp()?;
        let held_up_by = self.shown_as_held_up(state, schedule, now)?;
        Ok(view(schedule, version, now, held_up_by.map(HeldUp::as_str)))
    }
}

fn view(
    schedule: &ExportSchedule,
    version: u64,
    now: Timestamp,
    held_up_by: Option<&'static str>,
) -> Option<ExportScheduleView> {
    let export = schedule.export()?;
    Some(ExportScheduleView {
        schedule_id: schedule.id()?.to_string(),
        name: schedule.name()?.to_string(),
        status: schedule.status()?.as_str(),
        held_up_by,
        paused_by: schedule.paused().map(|paused| paused.by.to_string()),
        paused_by_other: schedule.paused().is_some_and(|paused| paused.binds),
        kind: export.kind.as_str(),
        format: export.format.as_str(),
        filters: export.filters.clone(),
        columns: export.columns.clone(),
        deliver_to: export.deliver_to.iter().map(ToString::to_string).collect(),
        cron: export.cron.to_string(),
        time_zone: export.time_zone.to_string(),
        period: export.period.as_str(),
        revision: schedule.revision(),
        created_by: schedule.created_by()?.to_string(),
        person: schedule.person()?.to_string(),
        reason: schedule.reason().map(ToString::to_string),
        created_at: schedule.created_at().map(|at| at.to_string()),
        next_runs: schedule.next_after(now, NEXT_RUNS).iter().map(ToString::to_string).collect(),
        standing: standing(schedule),
        runs: schedule.runs(),
        last_run: schedule.last_run().map(ScheduleRunView::from),
        version,
    })
}

/// What its runs rest on, else what is asked for, else what was there last.
fn standing(schedule: &ExportSchedule) -> Option<StandingView> {
    let pending = schedule.pending();
    if let Some(standing) = schedule.standing() {
        return Some(StandingView {
            status: "approved",
            approval_id: standing.approval_id.to_string(),
            until: Some(standing.until.to_string()),
            approved_by: standing.approved_by.iter().map(ToString::to_string).collect(),
            ended_because: None,
            ended_at: None,
            next_approval_id: pending.map(|pending| pending.approval_id.to_string()),
        });
    }
    if let Some(pending) = pending {
        return Some(StandingView {
            status: "pending",
            approval_id: pending.approval_id.to_string(),
            until: Some(pending.until.to_string()),
            approved_by: Vec::new(),
            ended_because: None,
            ended_at: None,
            next_approval_id: None,
        });
    }
    schedule.last_standing_ended().map(|ended| StandingView {
        status: "ended",
        approval_id: ended.approval_id.to_string(),
        until: None,
        approved_by: Vec::new(),
        ended_because: Some(ended.why.as_str()),
        ended_at: Some(ended.at.to_string()),
        next_approval_id: None,
    })
}

impl From<&Run> for ScheduleRunView {
    fn from(run: &Run) -> Self {
        Self {
            run: run.run,
            cause: run.cause.as_str(),
            scheduled_for: run.scheduled_for.to_string(),
            missed: run.missed,
            from: run.from.map(|at| at.to_string()),
            to: run.to.map(|at| at.to_string()),
            export_id: run.export_id.to_string(),
            approval_id: run.approval_id.to_string(),
            rests_on: run.rests_on.as_str(),
            by: run.by.as_ref().map(ToString::to_string),
            at: run.at.to_string(),
        }
    }
}
