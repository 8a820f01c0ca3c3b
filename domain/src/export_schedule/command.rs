//! What can be asked of a schedule, and why it is refused.

use super::calendar::{CalendarFault, MIN_MINUTES};
use super::event::{Created, ScheduledExport, StandingApproved};
use super::words::{RunCause, StandingEnd};
use crate::approval::{MAX_REQUIRED_PERMISSIONS, RequiredPermission};
use crate::export::{ExportError, ExportFormat, ExportKind, MAX_COLUMNS, MAX_DESTINATIONS, MAX_FILTERS, RestsOn};
use crate::names::ApprovalId;
use crate::refusal::refusals;
use crate::text::{ActorId, Reason};
use crate::time::Timestamp;

/// Most days ahead that a standing approval holds.
pub const MAX_STANDING_DAYS: u64 = 400;
/// Most schedules of one organisation that have not ended. Looked at by whoever knows all of them.
pub const MAX_SCHEDULES: usize = 1_000;

/// A command to one schedule. `at` is when it is given.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportScheduleCommand {
    /// Bring it into being: the event as it is to be.
    Create(Box<Created>),
    /// Have it export something else, elsewhere or at other times.
    Change {
        /// What it is to export.
        export: Box<ScheduledExport>,
        /// What its owner must be allowed for that.
        required_permissions: Vec<RequiredPermission>,
        /// The revision that this was made from; another is refused, so that nobody's change is lost.
        revision: u64,
        /// Who changes it.
        by: ActorId,
        /// Why.
        reason: Option<Reason>,
        /// When.
        at: Timestamp,
    },
    /// Make no exports for now.
    Pause {
        /// Who says so.
        by: ActorId,
        /// Whether that is somebody else than its owner.
        binds: bool,
        /// Why.
        reason: Reason,
        /// When.
        at: Timestamp,
    },
    /// Go on. What would have been due meanwhile is not made up for.
    Resume {
        /// Who says so.
        by: ActorId,
        /// Whether that is its owner, under whichever account.
        is_owner: bool,
        /// When.
        at: Timestamp,
    },
    /// Make no exports any more.
    End {
        /// Who says so.
        by: ActorId,
        /// Why.
        reason: Reason,
        /// When.
        at: Timestamp,
    },
    /// Ask that its runs be agreed to until a time. In the place of a request that is pending.
    RequestStanding {
        /// The approval that decides.
        approval_id: ApprovalId,
        /// Until when; at most [`MAX_STANDING_DAYS`] ahead.
        until: Timestamp,
        /// Who asks.
        by: ActorId,
        /// When.
        at: Timestamp,
    },
    /// Record that they are agreed to.
    ApproveStanding(StandingApproved),
    /// Record that they are not any more, or will not be.
    EndStanding {
        /// The approval: the one in force or the one that is pending.
        approval_id: ApprovalId,
        /// Why.
        why: StandingEnd,
        /// When.
        at: Timestamp,
    },
    /// Have no runs agreed to beforehand any more: the standing approval ends, and the request for one is given up.
    EndStandings {
        /// When.
        at: Timestamp,
    },
    /// Have an export made.
    Run {
        /// Why.
        cause: RunCause,
        /// The time that it is due at, as whoever gives the command sees it. Nothing where somebody asked for it.
        scheduled_for: Option<Timestamp>,
        /// Which sort of approval decides on it.
        rests_on: RestsOn,
        /// The number of the last run that whoever gives the command has seen opened as an export; 0 where there was none. A
        /// run is opened before the next one is recorded.
        opened: u64,
        /// Who asked for it.
        by: Option<ActorId>,
        /// When.
        at: Timestamp,
    },
}

refusals! {
    /// Why a command to a schedule is refused.
    ExportScheduleError {
        /// There is no such schedule.
        #[error("there is no such schedule")]
        NotFound = "export_schedule.not_found", NotFound;
        /// There is a schedule with this id.
        #[error("the schedule already exists with other content: {} differs", fields.join(", "))]
        Exists {
            /// The fields that differ from what it came into being with.
            fields: Vec<&'static str>,
        } = "export_schedule.exists", Exists;
        /// It was ended, for good.
        #[error("the schedule has ended")]
        Ended = "export_schedule.ended", Rule;
        /// Somebody else was faster.
        #[error("the schedule was changed meanwhile")]
        ChangedMeanwhile = "export_schedule.changed_meanwhile", Rule;
        /// Who stops another's schedule means it.
        #[error("{by} paused the schedule, who is not its owner: its owner cannot resume or run it")]
        PausedByOther {
            /// Who paused it.
            by: ActorId,
        } = "export_schedule.paused_by_other", Rule;
        /// Not a cron expression of five fields.
        #[error("the cron expression cannot be used: {detail}")]
        Cron {
            /// Why.
            detail: String,
        } = "export_schedule.cron", Rule, "/cron";
        /// No time zone.
        #[error("must be a time zone of the IANA database, such as Europe/Zurich")]
        TimeZone = "export_schedule.time_zone", Rule, "/time_zone";
        /// It would run too often.
        #[error("a schedule leaves at least {MIN_MINUTES} minutes between two runs")]
        TooOften = "export_schedule.too_often", Rule, "/cron";
        /// It would never run.
        #[error("the cron expression never comes: no such day is in the calendar")]
        Never = "export_schedule.never", Rule, "/cron";
        /// Periods say from when to when.
        #[error("a schedule with periods has no filters start and end: each run has its own")]
        PeriodFilters = "export_schedule.period_filters", Rule, "/filters";
        /// Too many filters, or one that is too long.
        #[error("the filters are more than {MAX_FILTERS}, the period's included, or too long")]
        Filters = "export_schedule.filters", Rule, "/filters";
        /// Its kind does not come in that form.
        #[error("{kind} does not come as {format}")]
        Format {
            /// The kind.
            kind: ExportKind,
            /// The form.
            format: ExportFormat,
        } = "export_schedule.format", Rule, "/format";
        /// Too many columns, or one twice.
        #[error("a schedule names at most {MAX_COLUMNS} columns, each once")]
        Columns = "export_schedule.columns", Rule, "/columns";
        /// Too many destinations, or one twice.
        #[error("a schedule names at most {MAX_DESTINATIONS} destinations, each once")]
        Destinations = "export_schedule.destinations", Rule, "/deliver_to";
        /// It depends on too many permissions.
        #[error("a schedule depends on at most {MAX_REQUIRED_PERMISSIONS} permissions")]
        Permissions = "export_schedule.permissions", Rule;
        /// Nobody can look at all of it.
        #[error("filters, columns and destinations are too long to be approved")]
        TooLong = "export_schedule.too_long", Rule, "/filters";
        /// Standing approvals are for a time.
        #[error("a standing approval holds until a time ahead, at most {MAX_STANDING_DAYS} days")]
        Until = "export_schedule.until", Rule, "/until";
        /// It was asked for under another approval.
        #[error("the schedule waits for another approval")]
        OtherApproval = "export_schedule.other_approval", Rule, "/approval_id";
        /// There is none that holds.
        #[error("the schedule has no standing approval that holds")]
        NoStandingApproval = "export_schedule.no_standing_approval", Rule;
        /// Its time has not come, or somebody else saw to it.
        #[error("no run of the schedule is due for this time")]
        NotDue = "export_schedule.not_due", Rule;
        /// There will be one in a moment anyway.
        #[error("a run of the schedule is due and comes by itself")]
        RunIsDue = "export_schedule.run_is_due", Rule;
        /// There is a run that whoever wants the next one has not seen opened.
        #[error("the schedule has run meanwhile: that run is opened first")]
        RanMeanwhile = "export_schedule.ran_meanwhile", Rule;
        /// Nothing can have happened since the last run.
        #[error("the run before covers everything up to now")]
        EmptyPeriod = "export_schedule.empty_period", Rule;
    }
}

impl From<CalendarFault> for ExportScheduleError {
    fn from(fault: CalendarFault) -> Self {
        match fault {
            CalendarFault::Cron(detail) => Self::Cron { detail },
            CalendarFault::TimeZone => Self::TimeZone,
            CalendarFault::TooOften => Self::TooOften,
            CalendarFault::Never => Self::Never,
        }
    }
}

impl From<ExportError> for ExportScheduleError {
    /// What an export would be refused for by its bounds.
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Format { kind, format } => Self::Format { kind, format },
            ExportError::Columns => Self::Columns,
            ExportError::Destinations => Self::Destinations,
            _ => Self::Filters,
        }
    }
}
