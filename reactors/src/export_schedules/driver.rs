//! The loop: which schedules to look at, and when.

use std::time::{Duration, Instant};

use daybook_approvals::{DueRun, HeldUp};
use daybook_domain::export_schedule::{ExportSchedule, ScheduleStatus};
use daybook_http_kit::Problem;
use daybook_ledger::Actor;
use daybook_ledger::commands::CommandContext;
use daybook_read_models::ReadError;
use tokio::sync::watch;

use super::watched::{Looked, Watched};
use super::{Driver, EXPORT_SCHEDULES};
use crate::lease::Fence;
use crate::positions;

/// How long it waits at most: the clock may have been set.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long it waits at least, however much happens meanwhile.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
/// Between two notes of how far the ledger was followed: each takes the one writing connection.
const NOTES: Duration = Duration::from_secs(1);

/// What the driver remembers between two turns.
struct Memory {
    watched: Watched,
    /// How far the ledger was followed when it was last noted, and when that was.
    noted: Option<(u64, Instant)>,
    /// The error that the status shows. A process before this one may have left one: that is not known.
    shown: Option<Option<String>>,
}

impl Driver {
    /// Works behind `fence` until `shutdown` is true.
    pub(super) async fn drive(&self, fence: &Fence, mut shutdown: watch::Receiver<bool>) {
        let mut memory = Memory { watched: Watched::default(), noted: None, shown: None };
        let mut moved = self.runs.approvals().directory().positions();
        loop {
            moved.mark_unchanged();
            let wait = tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                wait = self.turn(&mut memory, fence) => wait,
            };
            let something_happens = async {
                tokio::time::sleep(SHORTEST_WAIT).await;
                // Where the directory is gone, so is the process.
                let _ = tokio::time::timeout(wait.saturating_sub(SHORTEST_WAIT), moved.changed()).await;
            };
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = something_happens => {}
            }
        }
    }

    /// Looks at every schedule at which there may be something to do. Answers how long there is nothing to do unless
    /// something happens.
    async fn turn(&self, memory: &mut Memory, fence: &Fence) -> Duration {
        let state = match self.runs.approvals().directory().up_to_date().await {
            Ok(state) => state,
            Err(problem) => {
                self.show(memory, Some(problem.to_string())).await;
                return LONGEST_WAIT;
            }
        };
        let mut active = 0;
        for (id, record) in state.export_schedules.iter() {
            active += usize::from(record.schedule.status() == Some(ScheduleStatus::Active));
            if !fence.is_held() {
                return LONGEST_WAIT;
            }
            let now = (self.clock)();
            if !memory.watched.is_to_be_looked_at(id, record, &state, now) {
                continue;
            }
            match self.look_at(id, &record.schedule, memory.watched.opened(id)).await {
                Ok(looked) => memory.watched.was_looked_at(id, record, &state, now, looked),
                Err(problem) => {
                    let error = problem.to_string();
                    if memory.watched.fails(id, now, error.clone()) {
                        let ledger = self.runs.approvals().ledger().id();
                        tracing::error!(%ledger, schedule = %id, error, "a schedule does not get on; it is tried again");
                    }
                }
            }
        }
        let held_up = memory.watched.held_up();
        self.status.send_modify(|status| (status.active, status.held_up) = (active, held_up));
        self.show(memory, memory.watched.error()).await;
        self.note(memory, state.position).await;
        let now = (self.clock)();
        let until = memory.watched.next_due().map(|due| due.saturating_sub(now));
        let until = until.map_or(LONGEST_WAIT, |micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)));
        until.clamp(SHORTEST_WAIT, LONGEST_WAIT)
    }

    /// Does what there is to do with one schedule. `opened`: the last run that is known to be opened.
    async fn look_at(&self, id: &str, schedule: &ExportSchedule, opened: u64) -> Result<Looked, Problem> {
        let context = CommandContext {
            correlation_id: Some(id.to_owned()),
            ..CommandContext::new(Actor::system(EXPORT_SCHEDULES))
        };
        let mut looked = Looked { opened, is_held_up: false, waits_for: None };
        if schedule.runs() > opened {
            match self.runs.open_last(schedule, &context).await {
                Ok(_) => looked.opened = schedule.runs(),
                Err(problem) if HeldUp::of(&problem).is_some() => looked.is_held_up = true,
                Err(problem) => return Err(problem),
            }
        }
        if schedule.pending().is_some() {
            self.runs.follow_standing(id, &context).await?;
        }
        self.runs.end_standing_that_is_over(id, schedule, &context).await?;
        if looked.is_held_up {
            return Ok(looked);
        }
        match self.runs.run_due(id, &context).await? {
            DueRun::Ran(run) => {
                self.status.send_modify(|status| status.runs += 1);
                looked.opened += 1;
                tracing::info!(schedule = id, export = %run.export.id, "a schedule has run");
            }
            DueRun::NothingDue => {}
            DueRun::HeldUp(_) => looked.is_held_up = true,
            DueRun::Waits(approval_id) => looked.waits_for = Some(approval_id.to_string()),
        }
        Ok(looked)
    }

    /// Notes how far the ledger was followed, for `daybook status`.
    async fn note(&self, memory: &mut Memory, position: u64) {
        let is_news = memory.noted.is_none_or(|(noted, at)| position > noted && at.elapsed() >= NOTES);
        if !is_news {
            return;
        }
        let ledger = self.runs.approvals().ledger().id().as_str();
        match positions::save(&self.database, EXPORT_SCHEDULES, ledger, position).await {
            Ok(()) => {
                memory.noted = Some((position, Instant::now()));
                // Getting on takes an error away.
                memory.shown = memory.shown.take().filter(Option::is_none);
            }
            Err(failure) => self.not_saved(&failure),
        }
    }

    /// Shows why a schedule does not get on, where that is news.
    async fn show(&self, memory: &mut Memory, error: Option<String>) {
        if memory.shown.as_ref() == Some(&error) {
            return;
        }
        let ledger = self.runs.approvals().ledger().id().as_str();
        let saved = match &error {
            Some(error) => positions::save_error(&self.database, EXPORT_SCHEDULES, ledger, error).await,
            None => positions::clear_error(&self.database, EXPORT_SCHEDULES, ledger).await,
        };
        self.status.send_modify(|status| status.error.clone_from(&error));
        match saved {
            Ok(()) => memory.shown = Some(error),
            Err(failure) => self.not_saved(&failure),
        }
    }

    fn not_saved(&self, failure: &ReadError) {
        let ledger = self.runs.approvals().ledger().id();
        tracing::error!(%ledger, %failure, "the status of schedules could not be saved");
    }
}
