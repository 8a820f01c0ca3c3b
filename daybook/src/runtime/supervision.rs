//! Tasks that have to run as long as the process does: one that ends before it is told to, or panics, is begun again, and
//! everybody can see that it did.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use daybook_http_kit::Telemetry;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Before a task is begun again.
const PAUSE: Duration = Duration::from_secs(1);

/// Counts what went wrong. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Supervision(Arc<AtomicU64>);

impl Supervision {
    /// Shows it among the metrics.
    pub fn observe(&self, telemetry: &Telemetry) {
        let all = self.clone();
        telemetry.observe_gauge(
            "daybook_task_failures",
            "Times that a task behind the requests ended before it was told to, since the start",
            move || all.failures(),
        );
    }

    /// How often a task ended that should have gone on.
    pub fn failures(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Runs the tasks that `begin` makes, one after the other, among `tasks`, until `stopping` is true or its sender is gone.
    /// A task is given the time to end by itself then.
    pub fn spawn<F, T>(
        &self,
        tasks: &mut JoinSet<()>,
        what: &'static str,
        mut stopping: watch::Receiver<bool>,
        mut begin: F,
    ) where
        F: FnMut() -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let all = self.clone();
        tasks.spawn(async move {
            while all.failed(what, &stopping, begin(), "it is begun again").await {
                tokio::select! {
                    _ = stopping.wait_for(|stop| *stop) => return,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        });
    }

    /// Runs a task that cannot be begun again, among `tasks`; where it ends before `stopping` is true, that is seen.
    pub fn spawn_once(
        &self,
        tasks: &mut JoinSet<()>,
        what: &'static str,
        stopping: watch::Receiver<bool>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let all = self.clone();
        tasks.spawn(async move {
            all.failed(what, &stopping, task, "the next start begins it again").await;
        });
    }

    /// Runs a task until it ends. True where that is before `stopping` is true: it is counted then, and the log says why
    /// it ended and what comes `next`.
    async fn failed(
        &self,
        what: &'static str,
        stopping: &watch::Receiver<bool>,
        task: impl Future<Output = ()> + Send + 'static,
        next: &'static str,
    ) -> bool {
        // A set takes its task along where this future is dropped.
        let mut running = JoinSet::new();
        running.spawn(task);
        let ended = running.join_next().await;
        if *stopping.borrow() || stopping.has_changed().is_err() {
            return false;
        }
        self.0.fetch_add(1, Ordering::Relaxed);
        let why = match ended {
            Some(Err(error)) => error.to_string(),
            _ => "it came to its end".to_owned(),
        };
        tracing::error!(task = what, why, "a task ended that should go on; {next}");
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "the panic is what is tested")]

    use super::*;

    #[tokio::test]
    async fn task_that_panics_or_ends_is_begun_again_and_counted() {
        let (supervision, (stop, stopping)) = (Supervision::default(), watch::channel(false));
        let (mut tasks, mut times) = (JoinSet::new(), 0);
        let (begun, mut seen) = watch::channel(0);
        let until = stopping.clone();
        supervision.spawn(&mut tasks, "test", stopping, move || {
            times += 1;
            let (now, mut until) = (times, until.clone());
            begun.send_replace(now);
            async move {
                match now {
                    1 => panic!("on purpose"),
                    2 => {}
                    _ => drop(until.wait_for(|stop| *stop).await),
                }
            }
        });
        assert!(seen.wait_for(|times| *times == 3).await.is_ok());
        assert_eq!(supervision.failures(), 2);
        stop.send_replace(true);
        while tasks.join_next().await.is_some() {}
        assert_eq!(supervision.failures(), 2);
    }

    #[tokio::test]
    async fn task_that_cannot_be_begun_again_is_counted_only_where_it_ends_too_early() {
        let (supervision, (stop, stopping)) = (Supervision::default(), watch::channel(false));
        let mut tasks = JoinSet::new();
        let mut until = stopping.clone();
        supervision.spawn_once(&mut tasks, "panics", stopping.clone(), async { panic!("on purpose") });
        supervision.spawn_once(&mut tasks, "ends", stopping.clone(), async {});
        supervision.spawn_once(&mut tasks, "goes on", stopping, async move {
            drop(until.wait_for(|stop| *stop).await);
        });
        for _ in 0..2 {
            assert!(tasks.join_next().await.is_some());
        }
        assert_eq!(supervision.failures(), 2);
        stop.send_replace(true);
        assert!(tasks.join_next().await.is_some());
        assert_eq!(supervision.failures(), 2);
    }
}
