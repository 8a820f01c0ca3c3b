//! The sequencer: one task per ledger that takes what has queued while the previous commit was running, and commits it
//! as one batch.
//!
//! There is no timer: an idle sequencer commits a lone command at once, a busy one commits many together. The queue is
//! bounded; a full queue refuses at once instead of making callers wait without end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use crate::append::{Append, AppendError, Appended};
use crate::entry::LedgerId;
use crate::store::{Store, StoreError};

/// Most entries in one commit.
pub const MAX_BATCH_ENTRIES: usize = 2_048;
/// Most bytes in one commit, roughly; a single larger command is committed alone.
pub const MAX_BATCH_BYTES: usize = 1024 * 1024;
/// How many commands may wait.
pub const QUEUE_CAPACITY: usize = 8_192;
/// Versions of a stream that are looked at to find a lost commit's events, or the version that won instead.
const FOUND_VERSIONS: usize = 1_000;
/// How often an unknown commit outcome is looked up before the sequencer gives up on the store.
const RESOLVE_ATTEMPTS: u32 = 60;

/// What the sequencer tells whoever measures it. Calls must not block.
pub trait SequencerObserver: Send + Sync + 'static {
    /// A commit is durable.
    fn committed(&self, requests: usize, entries: usize, elapsed: Duration);
    /// A command was refused; `reason` is one of a few fixed words.
    fn refused(&self, reason: &'static str);
    /// How many commands were waiting when a batch was taken.
    fn queued(&self, depth: usize);
}

/// Measures nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl SequencerObserver for Unobserved {
    fn committed(&self, _requests: usize, _entries: usize, _elapsed: Duration) {}
    fn refused(&self, _reason: &'static str) {}
    fn queued(&self, _depth: usize) {}
}

/// Tells the time in microseconds since 1970-01-01T00:00:00Z.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The machine's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| chrono::Utc::now().timestamp_micros())
}

struct Request {
    append: Append,
    reply: oneshot::Sender<Result<Appended, AppendError>>,
}

/// The sending half of the queue. Cheap to clone; the sequencer stops when the last one is gone.
#[derive(Clone)]
pub(crate) struct Sequencer {
    queue: mpsc::Sender<Request>,
    observer: Arc<dyn SequencerObserver>,
}

impl Sequencer {
    /// Starts the task. `size` is told the ledger's size after each commit.
    pub(crate) fn start(
        ledger: LedgerId,
        store: Arc<dyn Store>,
        clock: Clock,
        observer: Arc<dyn SequencerObserver>,
        size: watch::Sender<u64>,
        capacity: usize,
    ) -> Self {
        let (queue, requests) = mpsc::channel(capacity);
        let task = Task { ledger, store, clock, observer: Arc::clone(&observer), size };
        tokio::spawn(task.run(requests));
        Self { queue, observer }
    }

    /// Queues a command without waiting; the answer comes when it is durable or refused. A full queue refuses.
    pub(crate) fn submit(&self, append: Append) -> Result<Pending, AppendError> {
        append.check()?;
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(Request { append, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                self.observer.refused("queue_full");
                AppendError::QueueFull
            }
            mpsc::error::TrySendError::Closed(_) => AppendError::Closed,
        })?;
        Ok(Pending(answer))
    }

    /// As [`Sequencer::submit`], but waits for room in the queue: for streams of commands that can be slowed down.
    pub(crate) async fn submit_when_room(&self, append: Append) -> Result<Pending, AppendError> {
        append.check()?;
        let (reply, answer) = oneshot::channel();
        self.queue.send(Request { append, reply }).await.map_err(|_| AppendError::Closed)?;
        Ok(Pending(answer))
    }
}

/// A command in the queue.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Result<Appended, AppendError>>);

impl Pending {
    /// Waits until the command is durable or refused. Dropping it instead does not take the command back.
    pub async fn outcome(self) -> Result<Appended, AppendError> {
        self.0.await.unwrap_or(Err(AppendError::OutcomeUnknown))
    }
}

struct Task {
    ledger: LedgerId,
    store: Arc<dyn Store>,
    clock: Clock,
    observer: Arc<dyn SequencerObserver>,
    size: watch::Sender<u64>,
}

impl Task {
    async fn run(self, mut requests: mpsc::Receiver<Request>) {
        let mut waiting: Option<Request> = None;
        loop {
            let Some(first) = (match waiting.take() {
                Some(request) => Some(request),
                None => requests.recv().await,
            }) else {
                return;
            };
            self.observer.queued(requests.len() + 1);
            let batch = take_batch(first, &mut requests, &mut waiting);
            self.commit(batch).await;
        }
    }

    async fn commit(&self, batch: Vec<Request>) {
        let (appends, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|request| (request.append, request.reply)).unzip();
        let started = Instant::now();
        let outcomes = match self.store.append(&self.ledger, &appends, (self.clock)()).await {
            Ok(outcomes) => outcomes,
            Err(StoreError::UnknownOutcome(why)) => self.resolve(&appends, &why).await,
            Err(error) => {
                tracing::error!(ledger = %self.ledger, %error, "a batch could not be appended");
                self.observer.refused("store_unavailable");
                vec![Err(AppendError::Unavailable(error.to_string())); appends.len()]
            }
        };
        let fresh = outcomes.iter().flatten().filter(|appended| !appended.replayed);
        let last = fresh.clone().map(|appended| appended.receipt.position).max();
        if let Some(last) = last {
            let entries = appends
                .iter()
                .zip(&outcomes)
                .filter(|(_, outcome)| matches!(outcome, Ok(appended) if !appended.replayed))
                .map(|(append, _)| append.events.len())
                .sum();
            self.observer.committed(fresh.count(), entries, started.elapsed());
            self.size.send_if_modified(|size| {
                let grown = last + 1 > *size;
                *size = (*size).max(last + 1);
                grown
            });
        }
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            if let Err(AppendError::VersionConflict { .. }) = outcome {
                self.observer.refused("version_conflict");
            }
            // A caller that went away does not undo its command.
            let _ = reply.send(outcome);
        }
    }

    /// After a commit of unknown outcome: looks whether the events are there before anything else is appended.
    async fn resolve(&self, appends: &[Append], why: &str) -> Vec<Result<Appended, AppendError>> {
        tracing::warn!(ledger = %self.ledger, why, "the outcome of a commit is unknown, looking for its events");
        for attempt in 0..RESOLVE_ATTEMPTS {
            match self.find(appends).await {
                Ok(outcomes) => return outcomes,
                Err(error) => {
                    tracing::warn!(ledger = %self.ledger, attempt, %error, "the store does not answer yet");
                    tokio::time::sleep(Duration::from_millis(u64::from(attempt.min(20)) * 50 + 10)).await;
                }
            }
        }
        self.observer.refused("outcome_unknown");
        vec![Err(AppendError::OutcomeUnknown); appends.len()]
    }

    async fn find(&self, appends: &[Append]) -> Result<Vec<Result<Appended, AppendError>>, StoreError> {
        self.store.settle().await?;
        let mut outcomes = Vec::with_capacity(appends.len());
        for append in appends {
            let stored =
                self.store.stream(&self.ledger, &append.stream, append.expected_version + 1, FOUND_VERSIONS).await?;
            let ours = stored.get(..append.events.len()).filter(|first| {
                first.iter().zip(&append.events).all(|(entry, event)| entry.event_id == event.event_id)
            });
            let ends = ours.and_then(|found| Some((found.first()?, found.last()?)));
            outcomes.push(match (ends, stored.last()) {
                (Some((first, last)), _) => Ok(Appended {
                    first_position: first.position,
                    version: last.version,
                    receipt: last.receipt(),
                    recorded_at: last.recorded_at,
                    replayed: false,
                }),
                (None, Some(newest)) => {
                    Err(AppendError::VersionConflict { expected: append.expected_version, actual: newest.version })
                }
                (None, None) => Err(AppendError::Unavailable("the commit did not happen".to_owned())),
            });
        }
        Ok(outcomes)
    }
}

fn take_batch(first: Request, requests: &mut mpsc::Receiver<Request>, waiting: &mut Option<Request>) -> Vec<Request> {
    let mut entries = first.append.events.len();
    let mut bytes = first.append.bytes();
    let mut batch = vec![first];
    while let Ok(request) = requests.try_recv() {
        entries += request.append.events.len();
        bytes += request.append.bytes();
        if entries > MAX_BATCH_ENTRIES || bytes > MAX_BATCH_BYTES {
            *waiting = Some(request);
            break;
        }
        batch.push(request);
    }
    batch
}
