//! How appending goes: what stands in its way, and whether the clock keeps up with the ledger.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::append::{AppendError, Appended};
use crate::entry::LedgerId;
use crate::sequencer::SequencerObserver;
use crate::store::StoreError;

/// A clock that is less than this behind the ledger is in step: writers of one database never agree to the microsecond.
const CLOCK_TOLERANCE_MICROS: i64 = 1_000_000;

/// What stands in the way of appending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The disk under the store is full; appending goes on by itself when there is room.
    Full,
    /// The store does not answer or refuses; appending goes on by itself when it does.
    Unavailable,
    /// The store is not to be trusted until it is opened anew: the process has to be started again.
    Failed,
}

/// The last attempt to append, where the store did not take it.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// What stood in the way.
    pub obstacle: Obstacle,
    /// In words, for operators: may name files and hosts.
    pub why: String,
    /// When it was.
    pub at: Instant,
}

/// How appending goes in this process.
#[derive(Debug, Clone, Default)]
pub struct WritingStatus {
    /// Set by a batch that the store did not take, until it takes one.
    pub trouble: Option<Trouble>,
    /// Microseconds that this machine's clock is behind the time of the newest entry; 0 where it is in step. Until it has
    /// caught up, entries get that entry's time: time in a ledger never goes back.
    pub clock_behind: i64,
}

/// The sequencer's side of [`WritingStatus`].
pub(crate) struct WritingMonitor {
    ledger: LedgerId,
    status: watch::Sender<WritingStatus>,
    observer: Arc<dyn SequencerObserver>,
}

impl WritingMonitor {
    pub(crate) fn new(
        ledger: LedgerId,
        status: watch::Sender<WritingStatus>,
        observer: Arc<dyn SequencerObserver>,
    ) -> Self {
        Self { ledger, status, observer }
    }

    /// The store took a batch that was given to it at `now`; its outcomes may be refusals all the same.
    pub(crate) fn answered(&self, now: i64, outcomes: &[Result<Appended, AppendError>]) {
        let fresh = outcomes.iter().flatten().filter(|appended| !appended.replayed);
        let Some(recorded_at) = fresh.map(|appended| appended.recorded_at).max() else { return };
        let behind =
            Some(recorded_at.saturating_sub(now)).filter(|behind| *behind >= CLOCK_TOLERANCE_MICROS).unwrap_or(0);
        let before = self.status.borrow().clone();
        if before.clock_behind == 0 && behind == 0 && before.trouble.is_none() {
            return;
        }
        if before.clock_behind == 0 && behind > 0 {
            tracing::warn!(
                ledger = %self.ledger,
                milliseconds = behind / 1_000,
                "the clock is behind the ledger: it was set back, or another writer's is ahead; \
                 entries get the newest entry's time until it has caught up"
            );
        } else if before.clock_behind > 0 && behind == 0 {
            tracing::info!(ledger = %self.ledger, "the clock has caught up with the ledger");
        }
        if before.trouble.as_ref().is_some_and(|trouble| trouble.obstacle != Obstacle::Failed) {
            tracing::info!(ledger = %self.ledger, "the store takes entries again");
        }
        self.observer.clock_behind(u64::try_from(behind / 1_000).unwrap_or(0));
        self.status.send_modify(|status| status.clock_behind = behind);
        self.recovered();
    }

    /// The store answers again.
    pub(crate) fn recovered(&self) {
        self.status.send_if_modified(|status| {
            let passing = status.trouble.as_ref().is_some_and(|trouble| trouble.obstacle != Obstacle::Failed);
            if passing {
                status.trouble = None;
            }
            passing
        });
    }

    /// The store did not take a batch.
    pub(crate) fn failed(&self, error: &StoreError) {
        let obstacle = match error {
            StoreError::Full(_) => Obstacle::Full,
            StoreError::Failed(_) => Obstacle::Failed,
            _ => Obstacle::Unavailable,
        };
        self.status.send_modify(|status| {
            // Nothing that comes after makes up for that.
            if status.trouble.as_ref().is_none_or(|trouble| trouble.obstacle != Obstacle::Failed) {
                status.trouble = Some(Trouble { obstacle, why: error.to_string(), at: Instant::now() });
            }
        });
    }
}

/// Waits until the store of this process has failed for good, and answers why.
pub async fn store_failed(mut status: watch::Receiver<WritingStatus>) -> String {
    let is_final =
        |status: &WritingStatus| status.trouble.as_ref().is_some_and(|trouble| trouble.obstacle == Obstacle::Failed);
    let failed = status.wait_for(is_final).await.ok().and_then(|status| Some(status.trouble.as_ref()?.why.clone()));
    match failed {
        Some(why) => why,
        // Nobody appends any more, so nothing can fail.
        None => std::future::pending().await,
    }
}
