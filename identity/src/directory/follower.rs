//! Keeping the directory up with the ledger, and its snapshot not far behind.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::state::NotUnderstood;
use super::{Directory, DirectoryError, snapshot};

/// How long an idle follower waits before it looks again by itself.
const IDLE_WAIT: Duration = Duration::from_secs(1);
/// Pauses after failures in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// When a snapshot is taken.
#[derive(Debug, Clone, Copy)]
pub struct SnapshotPolicy {
    /// At rest, after this many entries, or after any that changed something.
    pub entries: u64,
    /// Not more often than this.
    pub pause: Duration,
    /// Also without coming to rest, after this many entries.
    pub entries_under_load: u64,
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self { entries: 1_000, pause: Duration::from_secs(5), entries_under_load: 50_000 }
    }
}

/// How following the ledger goes.
#[derive(Debug, Clone)]
pub struct DirectoryStatus {
    /// How many entries are folded in.
    pub position: u64,
    /// Why the ledger cannot be followed at the moment. For operators: may name files and hosts.
    pub error: Option<String>,
    /// Failures since the start of the process.
    pub failures: u64,
    /// The entry that was not understood, where there is one.
    pub not_understood: Option<NotUnderstood>,
}

/// What goes wrong with following, and how often it did.
#[derive(Default)]
pub(super) struct Trouble {
    error: Option<String>,
    failures: u64,
}

impl Directory {
    /// Follows the ledger until `shutdown` is true or its sender is gone; then takes a last snapshot. Failures are
    /// logged, seen in [`Self::status`], and tried again ever more slowly.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        self.run_with(shutdown, SnapshotPolicy::default()).await;
    }

    /// As [`Self::run`], taking snapshots as `policy` says.
    pub async fn run_with(self, mut shutdown: watch::Receiver<bool>, policy: SnapshotPolicy) {
        let mut last_snapshot = Instant::now();
        let mut pause = FIRST_PAUSE;
        while !*shutdown.borrow() {
            let followed = tokio::select! {
                followed = self.follow(&mut last_snapshot, policy) => followed,
                () = stopped(&mut shutdown) => break,
            };
            match followed {
                Ok(()) => {
                    pause = FIRST_PAUSE;
                    self.recovered();
                }
                Err(error) => {
                    self.failed(&error);
                    let _ = tokio::time::timeout(pause, stopped(&mut shutdown)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        if self.unsaved().0 > 0 {
            self.keep().await;
        }
    }

    /// How following goes.
    pub fn status(&self) -> DirectoryStatus {
        let state = self.now();
        let trouble = self.0.status.lock().unwrap_or_else(PoisonError::into_inner);
        DirectoryStatus {
            position: state.position,
            error: trouble.error.clone(),
            failures: trouble.failures,
            not_understood: state.not_understood.clone().or_else(|| state.approvals_not_understood.clone()),
        }
    }

    /// One page, or one wait for more.
    async fn follow(&self, last_snapshot: &mut Instant, policy: SnapshotPolicy) -> Result<(), DirectoryError> {
        let before = self.now().position;
        if self.advance().await?.is_some() {
            if self.unsaved().0 < policy.entries_under_load {
                return Ok(());
            }
        } else {
            let wait = if self.is_due(policy) {
                policy.pause.saturating_sub(last_snapshot.elapsed()).clamp(Duration::from_millis(10), IDLE_WAIT)
            } else {
                IDLE_WAIT
            };
            let position = self.0.reader.wait_beyond(before, wait).await?;
            if position <= before {
                self.confirm();
            }
        }
        if self.is_due(policy) && last_snapshot.elapsed() >= policy.pause {
            self.keep().await;
            *last_snapshot = Instant::now();
        }
        Ok(())
    }

    /// Entries since the last snapshot, and whether one of them changed anything.
    fn unsaved(&self) -> (u64, bool) {
        let state = self.now();
        let saved = self.0.saved.load(Ordering::Relaxed);
        let entries = state.position.saturating_sub(saved);
        (entries, entries > 0 && state.changed_position >= saved)
    }

    fn is_due(&self, policy: SnapshotPolicy) -> bool {
        let (entries, changed) = self.unsaved();
        entries >= policy.entries || changed
    }

    async fn keep(&self) {
        let state = self.now();
        match snapshot::save(&self.0.vault, &self.0.reader, &state, (self.0.clock)()).await {
            Ok(true) => self.0.saved.store(state.position, Ordering::Relaxed),
            Ok(false) => {}
            // The next one is tried after the usual pause.
            Err(error) => tracing::warn!(ledger = %self.ledger_id(), %error, "no snapshot of the directory"),
        }
    }

    fn failed(&self, error: &DirectoryError) {
        let mut trouble = self.0.status.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.error.is_none() {
            tracing::error!(ledger = %self.ledger_id(), %error, "the directory cannot follow the ledger");
        }
        trouble.error = Some(error.to_string());
        trouble.failures = trouble.failures.saturating_add(1);
    }

    fn recovered(&self) {
        let mut trouble = self.0.status.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.error.take().is_some() {
            tracing::info!(ledger = %self.ledger_id(), "the directory follows the ledger again");
        }
    }
}

async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // A sender that is gone is a process that ends.
    let _ = shutdown.wait_for(|stop| *stop).await;
}
