//! The loop: which exports to look at, and when.
//!
//! An export is looked at when something happened to it or to its approval, and when the time has come that it waits for.
//! Several are worked on at once, each by one at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;

use super::Driver;
use super::step::{Next, StepError};
use super::work::{News, Work};
use crate::engine::ReactError;
use crate::lease::Fence;

/// Exports that are worked on at once. One of them makes its file, the others deliver or wait for that.
const AT_ONCE: usize = 8;
/// Longest wait for new entries before looking anyway.
const IDLE: Duration = Duration::from_secs(1);
/// Pause before an export is looked at again that could not get on.
const RETRY: Duration = Duration::from_secs(2);

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

/// What is to be done, and what waits.
#[derive(Default)]
struct Agenda {
    /// To be looked at, in turn.
    queue: VecDeque<String>,
    /// Being worked on.
    busy: HashSet<String>,
    /// Being worked on, and to be looked at again: something happened meanwhile.
    again: HashSet<String>,
    /// When the others are looked at, in microseconds.
    times: BTreeSet<(i64, String)>,
    /// Exports by the approval that they wait for.
    waiting: HashMap<String, String>,
    /// Why some do not get on.
    errors: BTreeMap<String, String>,
}

impl Agenda {
    fn look_at(&mut self, export: String) {
        if self.busy.contains(&export) {
            self.again.insert(export);
        } else if !self.queue.contains(&export) {
            self.times.retain(|(_, waiting)| *waiting != export);
            self.waiting.retain(|_, waiting| *waiting != export);
            self.queue.push_back(export);
        }
    }

    fn hear(&mut self, news: News) {
        for approval in news.approvals {
            match self.waiting.remove(&approval) {
                Some(export) => self.look_at(export),
                // Perhaps one that is being looked at is about to wait for just this.
                None => self.again.extend(self.busy.iter().cloned()),
            }
        }
        for export in news.exports {
            self.look_at(export);
        }
    }

    fn look_at_due(&mut self, now: i64) {
        while let Some((due, _)) = self.times.first()
            && *due <= now
            && let Some((_, export)) = self.times.pop_first()
        {
            self.look_at(export);
        }
    }

    fn error(&self) -> Option<String> {
        let (export, error) = self.errors.first_key_value()?;
        Some(match self.errors.len() {
            1 => format!("{export}: {error}"),
            count => format!("{export}: {error}; and {} more do not get on", count - 1),
        })
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
        let (listed, mut position) = work.load().await?;
        let mut agenda = Agenda { queue: listed.into_iter().collect(), ..Agenda::default() };
        let (mut jobs, mut finished) = (Jobs::new(), Vec::new());
        // A process before this one may have left an error.
        self.tell_error(None).await;
        loop {
            while let Some((news, reached)) = beside(&mut jobs, &mut finished, work.follow(position)).await? {
                position = reached;
                agenda.hear(news);
            }
            while let Some((export, next)) = finished.pop() {
                let settling = self.settle(&work, &mut agenda, export, next);
                let mut others = Vec::new();
                beside(&mut jobs, &mut others, settling).await?;
                finished.append(&mut others);
            }
            agenda.look_at_due((self.clock)());
            while jobs.len() < AT_ONCE
                && let Some(export) = agenda.queue.pop_front()
            {
                agenda.busy.insert(export.clone());
                jobs.push(self.look_after(export, fence).boxed());
            }
            self.status.send_modify(|status| {
                status.unfinished = agenda.queue.len() + agenda.busy.len() + agenda.times.len() + agenda.waiting.len();
            });
            tokio::select! {
                Some(looked) = jobs.next(), if !jobs.is_empty() => finished.push(looked),
                seen = self.reader.wait_beyond(position, self.idle(&agenda)) => drop(seen?),
            }
        }
    }

    /// How long there is nothing to do unless something happens.
    fn idle(&self, agenda: &Agenda) -> Duration {
        let until = agenda.times.first().map(|(due, _)| due.saturating_sub((self.clock)()));
        let until = until.map_or(IDLE, |micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)));
        until.clamp(Duration::from_millis(1), IDLE)
    }

    async fn look_after(&self, export: String, fence: &Fence) -> (String, Result<Next, StepError>) {
        let next = loop {
            match self.step(&export, fence).await {
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
        agenda.busy.remove(&export);
        let had_error = agenda.errors.remove(&export);
        let again = agenda.again.remove(&export);
        match next {
            Ok(_) if again => agenda.queue.push_back(export),
            Ok(Next::Again) => agenda.queue.push_back(export),
            Ok(Next::At(due)) => drop(agenda.times.insert((due, export))),
            Ok(Next::ApprovalOf(approval)) => drop(agenda.waiting.insert(approval, export)),
            // What happens to it later puts it on the list again.
            Ok(Next::Nothing) => work.forget(&export).await?,
            Err(error) => {
                let error = error.to_string();
                if had_error.as_ref() != Some(&error) {
                    tracing::error!(ledger = %self.reader.id(), export, error, "an export does not get on; it is tried again");
                }
                agenda.errors.insert(export.clone(), error);
                let pause = i64::try_from(RETRY.as_micros()).unwrap_or(0);
                agenda.times.insert(((self.clock)().saturating_add(pause), export));
            }
        }
        if had_error.is_some() || !agenda.errors.is_empty() {
            self.tell_error(agenda.error()).await;
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
