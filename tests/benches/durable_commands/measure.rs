//! How a cell is measured: many writers, each waiting for its answer before it goes on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use daybook_ledger::sequencer::SequencerObserver;

/// How long each cell runs; `BENCH_SECONDS`.
pub fn seconds() -> f64 {
    std::env::var("BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5.0)
}

/// What came out of a cell.
pub struct Cell {
    /// Acknowledged commands a second.
    pub rate: f64,
    /// Median time from asking to the answer.
    pub p50: Duration,
    /// Time that 99 of 100 stayed below.
    pub p99: Duration,
}

/// Runs `command` in `writers` tasks: a tenth of the cell's time to warm up, then the cell's time. Counts only what was
/// acknowledged within it.
pub async fn measure<F, Fut>(writers: usize, command: F) -> Cell
where
    F: Fn() -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    let started = Instant::now() + Duration::from_secs_f64(seconds() / 10.0);
    let until = started + Duration::from_secs_f64(seconds());
    let tasks = (0..writers).map(|_| {
        let command = command.clone();
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let begun = Instant::now();
                if begun >= until {
                    return latencies;
                }
                command().await;
                let done = Instant::now();
                if done >= started && done <= until {
                    latencies.push(done - begun);
                }
            }
        })
    });
    let mut latencies: Vec<Duration> =
        futures::future::join_all(tasks).await.into_iter().flat_map(Result::unwrap).collect();
    latencies.sort_unstable();
    let at = |quantile: f64| latencies[((latencies.len() - 1) as f64 * quantile) as usize];
    Cell { rate: latencies.len() as f64 / seconds(), p50: at(0.5), p99: at(0.99) }
}

/// Counts commits and the entries in them.
#[derive(Default)]
pub struct Commits {
    commits: AtomicUsize,
    entries: AtomicUsize,
}

impl SequencerObserver for Commits {
    fn committed(&self, _: usize, entries: usize, _: Duration) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.entries.fetch_add(entries, Ordering::Relaxed);
    }
    fn refused(&self, _: &'static str) {}
    fn queued(&self, _: usize) {}
}

impl Commits {
    /// Commits and entries so far.
    pub fn so_far(&self) -> (usize, usize) {
        (self.commits.load(Ordering::Relaxed), self.entries.load(Ordering::Relaxed))
    }
}
