//! What happens by the clock alone: decisions that nobody made in time, grants that nobody used, escalations, reviews that
//! are overdue.
//!
//! There are no timers to be lost. Each open request says itself when something is due, and a restart finds it in the
//! directory. What is due is a command like any other: given twice, by two processes or by one, it has effect once.

use std::sync::Arc;
use std::time::Duration;

use daybook_domain::Timestamp;
use daybook_domain::approval::{ApprovalCommand, SYSTEM};
use daybook_http_kit::Problem;
use daybook_identity::directory::{ApprovalRecord, Records};
use daybook_ledger::Actor;
use daybook_ledger::commands::CommandContext;
use tokio::sync::watch;

use crate::service::{Approvals, recorded};

/// How long it sleeps at most: the clock may have been set.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// How long it sleeps at least, however much happens meanwhile.
const SHORTEST_SLEEP: Duration = Duration::from_millis(100);
/// How long it sleeps after a failure.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What a tick came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TickReport {
    /// Requests to which something happened.
    pub changed: usize,
    /// Requests to which something was due that had happened already.
    pub unchanged: usize,
    /// Requests to which something is due and could not happen. It is tried again at the next tick.
    pub failed: usize,
    /// When something is due next, in microseconds.
    pub next_due: Option<i64>,
}

impl Approvals {
    /// Has everything happen that is due now. Fails where nothing can be asked or recorded at all.
    pub async fn tick(&self) -> Result<TickReport, Problem> {
        let state = self.state().await?;
        let at = self.timestamp()?;
        let is_due = |due: Option<Timestamp>| due.is_some_and(|due| due <= at);
        let due: Vec<&str> = state
            .approvals
            .values()
            .filter(|record| is_due(record.approval.due()))
            .map(|record| record.approval_id.as_str())
            .collect();
        let mut report = TickReport::default();
        let mut last = None;
        for id in due {
            let context = CommandContext::new(Actor::system(SYSTEM));
            match recorded(&self.0.approvals, id, ApprovalCommand::Tick { at }, context).await {
                Ok(outcome) => {
                    last = last.max(Some(outcome.receipt.position));
                    if outcome.unchanged { report.unchanged += 1 } else { report.changed += 1 }
                }
                Err(error) => {
                    report.failed += 1;
                    tracing::error!(approval_id = id, %error, "what is due to a request for approval cannot be recorded");
                }
            }
        }
        let state = match last {
            Some(position) => self.0.directory.settle_at(position).await?,
            None => state,
        };
        report.next_due =
            state.approvals.values().filter_map(|record| record.approval.due()).map(Timestamp::micros).min();
        Ok(report)
    }

    /// Has things happen when they are due, until `stopping` is true or its sender is gone. Sleeps until the next of them, or
    /// until a request for approval changes.
    pub async fn run_clock(self, mut stopping: watch::Receiver<bool>) {
        let mut positions = self.0.directory.positions();
        let mut is_failing = false;
        while !*stopping.borrow() {
            let seen = Arc::clone(&self.0.directory.now().approvals);
            let sleep = match self.tick().await {
                Ok(report) => {
                    is_failing = report.failed > 0;
                    self.pause(&report)
                }
                Err(problem) => {
                    if !is_failing {
                        tracing::error!(code = problem.code(), "the clock of approvals cannot tick");
                    }
                    is_failing = true;
                    PAUSE_AFTER_FAILURE
                }
            };
            tokio::select! {
                // A sender that is gone is a process that ends.
                _ = stopping.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(sleep) => {}
                () = self.changed_since(&seen, &mut positions), if !is_failing => {}
            }
        }
    }

    fn pause(&self, report: &TickReport) -> Duration {
        if report.failed > 0 {
            return PAUSE_AFTER_FAILURE;
        }
        let until = report.next_due.map_or(i64::MAX, |due| due.saturating_sub(self.now()));
        let until = Duration::from_micros(u64::try_from(until).unwrap_or(0));
        until.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
    }

    /// Waits until the directory has other requests than those seen; at least as long as it sleeps.
    async fn changed_since(&self, seen: &Records<ApprovalRecord>, positions: &mut watch::Receiver<u64>) {
        tokio::time::sleep(SHORTEST_SLEEP).await;
        while Arc::ptr_eq(&self.0.directory.now().approvals, seen) {
            if positions.changed().await.is_err() {
                // Nothing follows the ledger any more: only time passes.
                std::future::pending::<()>().await;
            }
        }
    }
}
