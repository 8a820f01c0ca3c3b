//! Doing something with the ledger's newest checkpoint again and again, and letting everybody see where that fails: in the
//! log, in the status and in the metrics.

use std::time::Duration;

use async_trait::async_trait;
use daybook_ledger::LedgerId;
use daybook_read_models::{ReadDb, ReadError};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::positions;

/// Something that is done on a schedule. Doing it again for the same checkpoint must change nothing.
#[async_trait]
pub trait Scheduled: Send + Sync + 'static {
    /// Its name in status and logs.
    fn name(&self) -> &'static str;

    /// Does it once. Answers the size of the newest checkpoint for which it is done; none where there is no checkpoint yet.
    /// An error says what is wrong for people.
    async fn once(&self) -> Result<Option<u64>, String>;
}

/// Takes a task that is not scheduled any more out of the status. Another process that has it on its schedule puts it back.
pub async fn unschedule(database: &ReadDb, name: &str, ledger: &LedgerId) -> Result<(), ReadError> {
    positions::prepare(database).await?;
    positions::forget(database, name, ledger.as_str()).await
}

/// How it went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduleStatus {
    /// Size of the newest checkpoint for which it is done.
    pub size: u64,
    /// Failures since this process started.
    pub failures: u64,
    /// Why the last attempt failed; none where it did not.
    pub error: Option<String>,
}

/// One thing on its schedule.
pub struct Schedule {
    task: Box<dyn Scheduled>,
    interval: Duration,
    ledger: LedgerId,
    database: ReadDb,
    status: watch::Sender<ScheduleStatus>,
}

impl Schedule {
    /// Does `task` every `interval` for `ledger`, whose status is kept in `database`.
    pub fn new(task: Box<dyn Scheduled>, interval: Duration, ledger: LedgerId, database: ReadDb) -> Self {
        // An interval of zero would never let go of the processor.
        let interval = interval.max(Duration::from_millis(10));
        Self { task, interval, ledger, database, status: watch::Sender::new(ScheduleStatus::default()) }
    }

    /// How it goes, as it changes.
    pub fn status(&self) -> watch::Receiver<ScheduleStatus> {
        self.status.subscribe()
    }

    /// Runs until `shutdown` is true or its sender is gone. The first attempt is made at once.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval_at(Instant::now(), self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // A process before this one may have left an error.
        let mut kept = Kept { table: false, error: true, size: 0 };
        loop {
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                _ = ticks.tick() => {}
            }
            let outcome = tokio::select! {
                biased;
                // What was not appended yet is not there, and what was is: there is nothing to wait for.
                _ = shutdown.wait_for(|stop| *stop) => return,
                outcome = self.task.once() => outcome,
            };
            self.tell(outcome, &mut kept).await;
        }
    }

    async fn tell(&self, outcome: Result<Option<u64>, String>, kept: &mut Kept) {
        let (name, ledger) = (self.task.name(), self.ledger.as_str());
        let saved = match outcome {
            Ok(size) => {
                let failed_before = self.status.borrow().error.is_some();
                self.status.send_modify(|status| {
                    status.size = size.unwrap_or(0);
                    status.error = None;
                });
                if failed_before {
                    tracing::info!(task = name, ledger, "works again");
                }
                self.save_progress(size.unwrap_or(0), kept).await
            }
            Err(error) => {
                let is_new = self.status.borrow().error.as_ref() != Some(&error);
                if is_new {
                    tracing::error!(task = name, ledger, error, "failed; it is tried again");
                }
                self.status.send_modify(|status| {
                    status.failures += 1;
                    status.error = Some(error.clone());
                });
                self.save_failure(&error, kept).await
            }
        };
        if let Err(error) = saved {
            tracing::error!(task = name, ledger, %error, "the status could not be saved");
        }
    }

    /// Writes only what has changed: most attempts find nothing to do.
    async fn save_progress(&self, size: u64, kept: &mut Kept) -> Result<(), ReadError> {
        let (name, ledger) = (self.task.name(), self.ledger.as_str());
        self.prepare(kept).await?;
        if size != kept.size {
            positions::save(&self.database, name, ledger, size).await?;
            kept.size = size;
        }
        if kept.error {
            positions::clear_error(&self.database, name, ledger).await?;
            kept.error = false;
        }
        Ok(())
    }

    async fn save_failure(&self, error: &str, kept: &mut Kept) -> Result<(), ReadError> {
        self.prepare(kept).await?;
        kept.error = true;
        positions::save_error(&self.database, self.task.name(), self.ledger.as_str(), &error).await
    }

    async fn prepare(&self, kept: &mut Kept) -> Result<(), ReadError> {
        if !kept.table {
            positions::prepare(&self.database).await?;
            kept.table = true;
        }
        Ok(())
    }
}

/// What is known to be in the database.
struct Kept {
    /// The table is there.
    table: bool,
    /// There may be an error in it.
    error: bool,
    /// The size in it, as far as this process has saved one.
    size: u64,
}
