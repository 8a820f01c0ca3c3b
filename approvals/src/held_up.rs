//! Why a schedule of exports that would run does not. Nothing is lost by it: the schedule runs once for all that it missed when
//! what is in the way is gone.

use daybook_domain::Timestamp;
use daybook_domain::approval::ApprovalError;
use daybook_domain::export_schedule::{ExportSchedule, ScheduleStatus};
use daybook_domain::refusal::Refusal;
use daybook_http_kit::Problem;
use daybook_identity::directory::DirectoryState;

use crate::gate::owner;
use crate::requests::{TOO_MANY_OPEN, may_have_another};
use crate::service::Approvals;

/// What is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldUp {
    /// Whoever made it may not ask for such exports now.
    RequesterNotAllowed,
    /// Whoever made it has as many requests for approval open as anybody may have.
    TooManyOpen,
    /// What is due counts from a time that is more than an hour ahead: the clock was wrong then, or is now.
    Clock,
}

impl HeldUp {
    /// As answers name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequesterNotAllowed => "requester_not_allowed",
            Self::TooManyOpen => "too_many_open",
            Self::Clock => "clock",
        }
    }

    /// What a request for approval was refused for, where that only holds a schedule up.
    pub fn of(problem: &Problem) -> Option<Self> {
        match problem.code() {
            TOO_MANY_OPEN => Some(Self::TooManyOpen),
            code if code == ApprovalError::RequesterNotAllowed.code() => Some(Self::RequesterNotAllowed),
            _ => None,
        }
    }
}

impl Approvals {
    /// What is in the way of a schedule at `now`, whether or not a run is due; how many requests are open is not looked at.
    pub(crate) async fn held_up_by(
        &self,
        schedule: &ExportSchedule,
        now: Timestamp,
    ) -> Result<Option<HeldUp>, Problem> {
        let state = self.state().await?;
        self.held_up_in(&state, schedule, now)
    }

    fn held_up_in(
        &self,
        state: &DirectoryState,
        schedule: &ExportSchedule,
        now: Timestamp,
    ) -> Result<Option<HeldUp>, Problem> {
        if schedule.status() != Some(ScheduleStatus::Active) {
            return Ok(None);
        }
        if !self.facts(state).owner_may(schedule, &owner(schedule)?) {
            return Ok(Some(HeldUp::RequesterNotAllowed));
        }
        Ok(schedule.is_ahead_of(now).then_some(HeldUp::Clock))
    }

    /// The same, and whether the next run can be asked for where it needs an approval of its own.
    pub(crate) fn shown_as_held_up(
        &self,
        state: &DirectoryState,
        schedule: &ExportSchedule,
        now: Timestamp,
    ) -> Result<Option<HeldUp>, Problem> {
        let found = self.held_up_in(state, schedule, now)?;
        let is_active = schedule.status() == Some(ScheduleStatus::Active);
        if found.is_some() || !is_active || schedule.standing().is_some() {
            return Ok(found);
        }
        let owner = owner(schedule)?;
        let is_full = may_have_another(state, state.person_of(owner.actor.as_str())).is_err();
        Ok(is_full.then_some(HeldUp::TooManyOpen))
    }
}
