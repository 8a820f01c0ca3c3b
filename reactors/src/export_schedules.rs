//! Schedules of exports: what falls due is run, once, and what others decide on standing approvals is followed.
//!
//! One process at a time does this for an organisation, under a lease. What there is to do is read from the schedules
//! themselves, out of the directory, so there are no timers to be lost: a process that starts finds what fell due while
//! there was none, and has one run stand for all of it. That each time runs once is the schedule's own doing: of two
//! processes that find the same time due, one appends the run, and the other finds it done.

mod driver;
mod watched;

use std::sync::Arc;

use daybook_approvals::ExportRuns;
use daybook_ledger::sequencer::Clock;
use daybook_read_models::ReadDb;
use tokio::sync::watch;

use crate::engine::ReactError;
use crate::lease::Leases;
use crate::positions;

/// The driver's name in leases, positions and status.
pub const EXPORT_SCHEDULES: &str = "export_schedules";

/// Everything that the schedules of one organisation need.
pub struct ExportScheduleParts {
    /// Where runs are recorded and opened.
    pub runs: ExportRuns,
    /// The read database: for the status alone.
    pub database: ReadDb,
    /// What only one process does at a time.
    pub leases: Leases,
    /// The time.
    pub clock: Clock,
}

/// How it goes, since this process began. Zeros where another process drives the schedules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportSchedulesStatus {
    /// Whether this process drives them.
    pub is_driving: bool,
    /// Schedules that run at their times.
    pub active: usize,
    /// Schedules that would run if nothing were in the way: whoever made them may not ask for their exports any more, or for
    /// one more, or the clock is wrong.
    pub held_up: usize,
    /// Runs because a time was due.
    pub runs: u64,
    /// Why a schedule does not get on; none where all do.
    pub error: Option<String>,
}

/// Drives the schedules of one organisation. Cheap to clone; clones share their status.
#[derive(Clone)]
pub struct ExportSchedules(Arc<Driver>);

/// What drives them.
struct Driver {
    runs: ExportRuns,
    database: ReadDb,
    leases: Leases,
    clock: Clock,
    status: watch::Sender<ExportSchedulesStatus>,
}

impl ExportSchedules {
    /// Of these parts.
    pub fn new(parts: ExportScheduleParts) -> Self {
        let ExportScheduleParts { runs, database, leases, clock } = parts;
        let status = watch::Sender::new(ExportSchedulesStatus::default());
        Self(Arc::new(Driver { runs, database, leases, clock, status }))
    }

    /// How it goes, as it changes.
    pub fn status(&self) -> watch::Receiver<ExportSchedulesStatus> {
        self.0.status.subscribe()
    }

    /// Drives them whenever this process has the lease, until `shutdown` is true. What is under way then is given up; the
    /// next start goes on with it.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) -> Result<(), ReactError> {
        positions::prepare(&self.0.database).await?;
        let work = |fence| {
            let shutdown = shutdown.clone();
            async move {
                let _driving = Driving::begin(&self.0.status);
                self.0.drive(&fence, shutdown).await;
            }
        };
        self.0.leases.hold(EXPORT_SCHEDULES, shutdown.clone(), work).await;
        Ok(())
    }
}

/// Says that this process drives the schedules while it is there: also where a lost lease ends the work wherever it stands.
struct Driving<'a>(&'a watch::Sender<ExportSchedulesStatus>);

impl<'a> Driving<'a> {
    fn begin(status: &'a watch::Sender<ExportSchedulesStatus>) -> Self {
        status.send_modify(|status| status.is_driving = true);
        Self(status)
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|status| {
            status.is_driving = false;
            (status.active, status.held_up) = (0, 0);
        });
    }
}
