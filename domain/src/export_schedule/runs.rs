//! Runs: when the next one is due, which period it covers, and the export that it is.
//!
//! The ids of a run's export and of its approval follow from the schedule and the number of the run, so that whoever goes on
//! after a crash opens nothing twice.

use std::collections::BTreeMap;

use super::calendar::{Calendar, Occurrences};
use super::event::{Run, ScheduledExport};
use super::state::State;
use super::words::{Period, ScheduleStatus};
use super::{END, ExportScheduleError, START};
use crate::export::{HexDigest, Requested, RestsOn, ScheduledRun, export_action};
use crate::names::{ApprovalId, ExportId, ScheduleId};
use crate::text::InvalidField;
use crate::time::Timestamp;

/// What the ids of runs are derived under.
const RUN_CONTEXT: &str = "daybook 2026-11 ids of a schedule's run v1";

/// A run whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueRun {
    /// The last time at which it was due.
    pub scheduled_for: Timestamp,
    /// How many times before that it was due as well, since the last run: this one is for them too.
    pub missed: u64,
    /// From when on it covers what happened; only where the schedule has periods.
    pub from: Option<Timestamp>,
    /// To when, itself not included.
    pub to: Option<Timestamp>,
}

/// The ids of a run: of its export, and of its approval where it has one of its own.
pub fn run_ids(schedule_id: &ScheduleId, run: u64) -> Result<(ExportId, ApprovalId), InvalidField> {
    let mut hasher = blake3::Hasher::new_derive_key(RUN_CONTEXT);
    hasher.update(schedule_id.as_str().as_bytes());
    hasher.update(&run.to_le_bytes());
    let digits: String = hasher.finalize().to_hex().chars().take(32).collect();
    Ok((ExportId::parse("", format!("exp_{digits}"))?, ApprovalId::parse("", format!("apr_{digits}"))?))
}

impl ScheduledExport {
    /// When it is due.
    pub fn calendar(&self) -> Result<Calendar, ExportScheduleError> {
        Ok(Calendar::new(self.cron.as_str(), self.time_zone.as_str())?)
    }

    /// The filters of a run that covers this period: it ends a microsecond before `to`, for ends are included.
    pub(super) fn filters_of(&self, from: Option<Timestamp>, to: Option<Timestamp>) -> BTreeMap<String, String> {
        let mut filters = self.filters.clone();
        if let (Some(from), Some(last)) = (from, to.and_then(|to| Timestamp::from_micros(to.micros() - 1))) {
            filters.insert(START.to_owned(), from.to_string());
            filters.insert(END.to_owned(), last.to_string());
        }
        filters
    }
}

impl State {
    /// The run that is due at `now`, if one is.
    pub(super) fn due(&self, now: Timestamp) -> Option<DueRun> {
        if self.status != ScheduleStatus::Active {
            return None;
        }
        let calendar = self.export.calendar().ok()?;
        let Occurrences { first, last, before_last } = calendar.between(self.reference, now)?;
        let (from, to) = match self.export.period {
            Period::None => (None, None),
            Period::SincePrevious => self.since_previous(last)?,
            period => (
                calendar.whole_before(period, first).map(|(from, _)| from),
                calendar.whole_before(period, last).map(|(_, to)| to),
            ),
        };
        Some(DueRun { scheduled_for: last, missed: before_last, from, to })
    }

    /// The run that somebody asks for at `now`, as if it were due then.
    pub(super) fn asked(&self, now: Timestamp) -> Result<DueRun, ExportScheduleError> {
        let (from, to) = match self.export.period {
            Period::None => (None, None),
            Period::SincePrevious => self.since_previous(now).ok_or(ExportScheduleError::EmptyPeriod)?,
            period => self.export.calendar()?.whole_before(period, now).unzip(),
        };
        Ok(DueRun { scheduled_for: now, missed: 0, from, to })
    }

    /// From where the run before ended; `None` where that is not before `to`.
    fn since_previous(&self, to: Timestamp) -> Option<(Option<Timestamp>, Option<Timestamp>)> {
        let from = self.covered_to.unwrap_or(self.created.at);
        (from < to).then_some((Some(from), Some(to)))
    }

    /// The export of a run.
    pub(super) fn requested_of(&self, run: &Run) -> Result<Requested, InvalidField> {
        let is_last = self.runs.back().is_some_and(|last| last.run == run.run);
        let before_change = self.export_of_last_run.as_deref().filter(|_| is_last);
        let export = before_change.unwrap_or(&self.export);
        let filters = export.filters_of(run.from, run.to);
        let ScheduledExport { kind, format, columns, deliver_to, .. } = export;
        let action = export_action(&run.export_id, *kind, *format, &filters, columns, deliver_to, false)?;
        let schedule_id = self.created.schedule_id.clone();
        Ok(Requested {
            export_id: run.export_id.clone(),
            kind: *kind,
            format: *format,
            filters,
            columns: columns.clone(),
            requested_by: self.created.created_by.clone(),
            person: self.created.person.clone(),
            approval_id: run.approval_id.clone(),
            deliver_to: deliver_to.clone(),
            collect: false,
            reason: self.reason.clone(),
            digest: HexDigest::parse("", action.digest().as_str())?,
            schedule: Some(ScheduledRun { schedule_id, run: run.run, rests_on: run.rests_on }),
        })
    }

    /// The ids that a run has: of its export, and of the approval that decides on it at `at`.
    pub(super) fn ids_of(
        &self,
        run: u64,
        rests_on: RestsOn,
        at: Timestamp,
    ) -> Result<(ExportId, ApprovalId), ExportScheduleError> {
        let ids = run_ids(&self.created.schedule_id, run);
        // The ids are well-formed whatever they are derived from.
        let (export_id, own) = ids.map_err(|_| ExportScheduleError::NotFound)?;
        let approval_id = match (rests_on, &self.standing) {
            (RestsOn::Own, _) => own,
            (RestsOn::Standing, Some(standing)) if at < standing.until => standing.approval_id.clone(),
            (RestsOn::Standing, _) => return Err(ExportScheduleError::NoStandingApproval),
        };
        Ok((export_id, approval_id))
    }
}
