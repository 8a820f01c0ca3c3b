//! A schedule of exports: what is exported, where it goes and when; what it has run, and whether its runs are agreed to
//! beforehand.
//!
//! Times come with the commands, and the calendar is the one of the time zones' database that the program was built with.
//! However long nobody looked, one run catches up; each is recorded once, whoever records it. Making the exports, and having
//! them approved, happens elsewhere.

mod action;
mod calendar;
mod command;
mod decide;
mod event;
mod runs;
mod state;
#[cfg(test)]
mod tests;
mod words;

use serde::{Deserialize, Serialize};

pub use calendar::{Calendar, CalendarFault, MAX_MISSED, MIN_MINUTES, PeriodMisfit};
pub use command::{ExportScheduleCommand, ExportScheduleError, MAX_SCHEDULES, MAX_STANDING_DAYS};
pub use event::{
    Changed, Created, Ended, ExportScheduleEvent, Paused, Resumed, Run, ScheduledExport, StandingApproved,
    StandingEnded, StandingRequested,
};
pub use runs::{DueRun, run_ids};
pub use words::{Period, RunCause, ScheduleStatus, StandingEnd};

use self::state::State;
use crate::approval::{Action, RequiredPermission};
use crate::export::Requested;
use crate::names::{ApprovalId, ExportId, ScheduleId};
use crate::stream::aggregate;
use crate::text::{ActorId, InvalidField, Line, Reason};
use crate::time::Timestamp;

/// The filters that say from when to when.
const START: &str = "start";
const END: &str = "end";
/// Newest runs that are remembered. An export of an earlier one rests on no standing approval any more.
pub const MAX_RECENT_RUNS: usize = 50;
/// Standing approvals that are remembered after another took their place: runs that were recorded under them still rest on
/// them.
pub const MAX_REPLACED: usize = 10;
/// By how much what is due may count from a time ahead of the clock, in microseconds, before that is a fault of some clock.
const MAX_AHEAD_MICROS: i64 = 3_600_000_000;

/// A schedule of exports. The default value is one that nobody made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ExportSchedule {
    state: Option<Box<State>>,
}

impl ExportSchedule {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 2;
    /// Names, filters and reasons may name people.
    pub const HOLDS_PERSONAL_DATA: bool = true;

    /// A schedule as it would be right after it was made.
    pub fn made(created: Created) -> Result<Self, ExportScheduleError> {
        let mut schedule = Self::default();
        let events = schedule.decide(ExportScheduleCommand::Create(Box::new(created)))?;
        events.into_iter().for_each(|event| schedule.fold(event));
        Ok(schedule)
    }

    /// Whether somebody made it.
    pub fn exists(&self) -> bool {
        self.state.is_some()
    }

    /// Its id.
    pub fn id(&self) -> Option<&ScheduleId> {
        self.state.as_ref().map(|state| &state.created.schedule_id)
    }

    /// What people call it.
    pub fn name(&self) -> Option<&Line> {
        self.state.as_ref().map(|state| &state.created.name)
    }

    /// What it exports, where to and when, as it was changed last.
    pub fn export(&self) -> Option<&ScheduledExport> {
        self.state.as_ref().map(|state| &state.export)
    }

    /// What its owner must be allowed whenever it runs.
    pub fn required_permissions(&self) -> &[RequiredPermission] {
        self.state.as_ref().map_or(&[], |state| &state.required_permissions)
    }

    /// The account that it belongs to.
    pub fn created_by(&self) -> Option<&ActorId> {
        self.state.as_ref().map(|state| &state.created.created_by)
    }

    /// The person who answers for that account.
    pub fn person(&self) -> Option<&ActorId> {
        self.state.as_ref().map(|state| &state.created.person)
    }

    /// Why there is one, as was said last.
    pub fn reason(&self) -> Option<&Reason> {
        self.state.as_ref().and_then(|state| state.reason.as_ref())
    }

    /// When it came into being.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.state.as_ref().map(|state| state.created.at)
    }

    /// Whether it makes exports.
    pub fn status(&self) -> Option<ScheduleStatus> {
        self.state.as_ref().map(|state| state.status)
    }

    /// The number of its last change, counted from 1; 0 where there is no such schedule.
    pub fn revision(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.revision)
    }

    /// How often it has run.
    pub fn runs(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.last_run())
    }

    /// Its last run.
    pub fn last_run(&self) -> Option<&Run> {
        self.state.as_ref().and_then(|state| state.runs.back())
    }

    /// Its last [`MAX_RECENT_RUNS`] runs, the newest one last.
    pub fn recent_runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.state.iter().flat_map(|state| &state.runs)
    }

    /// The run that makes an export, if it is one of the last [`MAX_RECENT_RUNS`].
    pub fn run_of(&self, export_id: &ExportId) -> Option<&Run> {
        self.recent_runs().find(|run| run.export_id == *export_id)
    }

    /// The request for a standing approval that is not decided yet.
    pub fn pending(&self) -> Option<&StandingRequested> {
        self.state.as_ref().and_then(|state| state.pending.as_ref())
    }

    /// The standing approval, whether or not its time is over.
    pub fn standing(&self) -> Option<&StandingApproved> {
        self.state.as_ref().and_then(|state| state.standing.as_ref())
    }

    /// A standing approval that runs may rest on which were recorded under it: the one in force, or one that another took the
    /// place of. Whatever ends the one in force has ended those before it.
    pub fn standing_of(&self, approval_id: &ApprovalId) -> Option<&StandingApproved> {
        let state = self.state.as_ref()?;
        let mut all = state.standing.iter().chain(&state.replaced);
        all.find(|standing| standing.approval_id == *approval_id)
    }

    /// How the last standing approval, or request for one, ended. A change and the end of the schedule end it silently.
    pub fn last_standing_ended(&self) -> Option<&StandingEnded> {
        self.state.as_ref().and_then(|state| state.last_standing_ended.as_ref())
    }

    /// The request for a standing approval that was given up last: by a change, by the end of the schedule, for another or
    /// for none.
    pub fn displaced(&self) -> Option<&ApprovalId> {
        self.state.as_ref().and_then(|state| state.displaced.as_ref())
    }

    /// Who paused it, while it is paused.
    pub fn paused(&self) -> Option<&Paused> {
        self.state.as_ref().and_then(|state| state.paused.as_ref())
    }

    /// The run that is due at `now`: one for all the times since the last run, or since the schedule was made, changed or
    /// resumed. `None` while it is paused.
    pub fn due(&self, now: Timestamp) -> Option<DueRun> {
        self.state.as_ref().and_then(|state| state.due(now))
    }

    /// The next `count` times after `now` at which it is due. None while it is paused.
    pub fn next_after(&self, now: Timestamp, count: usize) -> Vec<Timestamp> {
        let Some(state) = self.state.as_ref().filter(|state| state.status == ScheduleStatus::Active) else {
            return Vec::new();
        };
        let from = now.max(state.counts_from());
        state.export.calendar().map(|calendar| calendar.next(from, count)).unwrap_or_default()
    }

    /// Whether some clock was far ahead when it ran or was made: nothing is due before `now` has got there, or until it is
    /// changed or resumed.
    pub fn is_ahead_of(&self, now: Timestamp) -> bool {
        let active = self.state.as_ref().filter(|state| state.status == ScheduleStatus::Active);
        active.is_some_and(|state| state.counts_from().micros().saturating_sub(MAX_AHEAD_MICROS) > now.micros())
    }

    /// How the periods of its next runs lie to each other; `Ok` where each begins where the one before it ends.
    pub fn periods_meet(&self, now: Timestamp) -> Result<(), PeriodMisfit> {
        let calendar = self.state.as_ref().and_then(|state| Some((state.export.period, state.export.calendar().ok()?)));
        calendar.map_or(Ok(()), |(period, calendar)| calendar.periods_meet(period, now))
    }

    /// Forgets all runs but the last: for whoever keeps schedules that have ended, and only to show them.
    pub fn forget_earlier_runs(&mut self) {
        if let Some(state) = &mut self.state {
            let earlier = state.runs.len().saturating_sub(1);
            state.runs.drain(..earlier);
            state.runs.shrink_to_fit();
        }
    }

    /// What a standing approval until this time agrees to.
    pub fn action(&self, until: Timestamp) -> Result<Action, InvalidField> {
        match &self.state {
            Some(state) => action::action(&state.created.schedule_id, &state.export, until),
            None => Err(InvalidField::new("", "there is no such schedule")),
        }
    }

    /// The export that a run makes. Of the last run as the schedule was then; of others as it is.
    pub fn requested_of(&self, run: &Run) -> Result<Requested, InvalidField> {
        match &self.state {
            Some(state) => state.requested_of(run),
            None => Err(InvalidField::new("", "there is no such schedule")),
        }
    }

    /// Follows what happened. An event that cannot belong here leaves the state alone.
    fn fold(&mut self, event: ExportScheduleEvent) {
        match (&mut self.state, event) {
            (None, ExportScheduleEvent::Created(created)) => self.state = Some(Box::new(State::new(*created))),
            (Some(state), event) => state.fold(event),
            (None, _) => {}
        }
    }
}

aggregate!(ExportSchedule = "export_schedule", ExportScheduleCommand => ExportScheduleEvent, ExportScheduleError);
