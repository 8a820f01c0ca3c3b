//! The loop: which exports to look at, and when.
//!
//! An export is looked at when something happened to it or to its approval, and when the time has come that it waits for.
//! Several are worked on at once, each by one at a time. The ledger is followed by a few pages at a time, so that exports get
//! on also while it grows quickly.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;

use super::agenda::{Agenda, Phase};
use super::step::{Next, StepError};
use super::work::Work;
use super::{Driver, pacing};
use crate::engine::ReactError;
use crate::lease::Fence;

/// Longest wait for new entries before looking anyway.
const IDLE: Duration = Duration::from_secs(1);
/// Pause before an export is looked at again that could not get on.
const RETRY: Duration = Duration::from_secs(2);
/// Pages of the ledger that are followed before exports get their turn.
const PAGES_A_TURN: usize = 4;
/// Between two notes of how far the ledger was followed: each takes the one writing connection.
const NOTES: Duration = Duration::from_secs(1);

/// An export that was looked at, and what is next.
type Looked = (String, Result<Next, StepError>);
type Jobs<'a> = FuturesUnordered<BoxFuture<'a, Looked>>;

/// Waits for `other` while the jobs go on. They are only asked to go on where somebody waits for one of them; one that has the
/// connection that `other` needs would keep it for ever.
async fn beside<T>(jobs: &mut Jobs<'_>, finished: &mut Vec<Looked>, other: impl Future<Output = T>) -> T {
    let mut other = pin!(other);
    loop {
        tokio::select! {
            done = &mut other => return done,
            Some(looked) = jobs.next(), if !jobs.is_empty() => finished.push(looked),
        }
    }
}

impl Driver {
    /// Works behind `fence` until `shutdown` is true. What is under way then is given up, and gone on with at the next start.
    pub(super) async fn drive(&self, fence: &Fence, mut shutdown: watch::Receiver<bool>) {
        loop {
            let driven = tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                driven = self.drive_until_failure(fence) => driven,
            };
            let Err(error) = driven else { return };
            self.tell_error(Some(error.to_string())).await;
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
    }

    async fn drive_until_failure(&self, fence: &Fence) -> Result<(), ReactError> {
        let work = Work::new(self.database.clone(), self.reader.clone());
        let (listed, mut position) = work.load(self.settings.keep_files_days.is_some()).await?;
        let mut agenda = Agenda::default();
        listed.into_iter().for_each(|export| agenda.look_at(export));
        let (mut jobs, mut finished) = (Jobs::new(), Vec::new());
        let (mut noted, mut noted_at) = (position, Instant::now());
        // A process before this one may have left an error.
        self.tell_error(None).await;
        loop {
            for _ in 0..PAGES_A_TURN {
                let followed = beside(&mut jobs, &mut finished, work.follow(position)).await?;
                let Some((news, reached)) = followed else { break };
                position = reached;
                agenda.hear(news);
            }
            if position > noted && noted_at.elapsed() >= NOTES {
                beside(&mut jobs, &mut finished, self.note(&work, &agenda, position)).await?;
                (noted, noted_at) = (position, Instant::now());
            }
            while let Some((export, next)) = finished.pop() {
                let settling = self.settle(&work, &mut agenda, export, next);
                let mut others = Vec::new();
                beside(&mut jobs, &mut others, settling).await?;
                finished.append(&mut others);
            }
            agenda.look_at_due((self.clock)());
            for phase in Phase::ALL {
                while let Some(export) = agenda.take(phase) {
                    jobs.push(self.look_after(export, fence, phase).boxed());
                }
            }
            self.status.send_modify(|status| status.unfinished = agenda.unfinished());
            tokio::select! {
                Some(looked) = jobs.next(), if !jobs.is_empty() => finished.push(looked),
                seen = self.reader.wait_beyond(position, self.idle(&agenda)) => drop(seen?),
            }
        }
    }

    /// Notes how far the ledger was followed, and once more why some exports do not get on: getting on takes errors away.
    async fn note(&self, work: &Work, agenda: &Agenda, position: u64) -> Result<(), ReactError> {
        work.save(position, self.settings.keep_files_days.is_some()).await?;
        if let Some(error) = agenda.error() {
            self.tell_error(Some(error)).await;
        }
        Ok(())
    }

    /// How long there is nothing to do unless something happens.
    fn idle(&self, agenda: &Agenda) -> Duration {
        let until = agenda.next_due().map(|due| due.saturating_sub((self.clock)()));
        let until = until.map_or(IDLE, |micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)));
        until.clamp(Duration::from_millis(1), IDLE)
    }

    async fn look_after(&self, export: String, fence: &Fence, phase: Phase) -> Looked {
        let next = loop {
            match self.step(&export, fence, phase).await {
                Ok(Next::Again) => {}
                other => break other,
            }
        };
        (export, next)
    }

    async fn settle(
        &self,
        work: &Work,
        agenda: &mut Agenda,
        export: String,
        next: Result<Next, StepError>,
    ) -> Result<(), ReactError> {
        let had_error = agenda.error().is_some();
        let is_again = agenda.is_done(&export);
        let next = match next {
            Ok(next) => {
                agenda.gets_on(&export);
                if is_again { Next::Again } else { next }
            }
            Err(error) => {
                let error = error.to_string();
                if agenda.fails(&export, error.clone()) {
                    tracing::error!(ledger = %self.reader.id(), export, error, "an export does not get on; it is tried again");
                }
                Next::At((self.clock)().saturating_add(pacing::micros(RETRY)))
            }
        };
        match next {
            Next::Again => agenda.queue(export, Phase::Look),
            Next::Make => agenda.queue(export, Phase::Make),
            Next::Deliver => agenda.queue(export, Phase::Deliver),
            Next::At(due) => agenda.wait(export, None, Some(due)),
            Next::ApprovalOf { approval, due } => agenda.wait(export, Some(approval), due),
            Next::Kept { until } => agenda.keep(export, until),
            // What happens to it later puts it on the list again.
            Next::Nothing => work.forget(&export).await?,
        }
        let error = agenda.error();
        if had_error || error.is_some() {
            self.tell_error(error).await;
        }
        Ok(())
    }

    async fn tell_error(&self, error: Option<String>) {
        let work = Work::new(self.database.clone(), self.reader.clone());
        if let Err(failure) = work.show_error(error.as_deref()).await {
            tracing::error!(ledger = %self.reader.id(), %failure, "the status of exports could not be saved");
        }
        self.status.send_modify(|status| status.error = error);
    }
}
