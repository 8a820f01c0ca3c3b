//! The sequencer: one task per ledger that takes what has queued while the previous commit was running, and commits it
//! as one batch.
//!
//! There is no timer: an idle sequencer commits a lone command at once, a busy one commits many together. Where enough
//! have queued, the next batch is handed to the store while the commit is still running, so that the store can prepare
//! it meanwhile. The queue is bounded; a full queue refuses at once instead of making callers wait without end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::append::{Append, AppendError, Appended};
use crate::entry::LedgerId;
use crate::store::{Store, StoreError};
use crate::writing::{WritingMonitor, WritingStatus};

/// Most entries in one commit.
pub const MAX_BATCH_ENTRIES: usize = 2_048;
/// Most bytes in one commit, roughly; a single larger command is committed alone.
pub const MAX_BATCH_BYTES: usize = 1024 * 1024;
/// How many commands may wait.
pub const QUEUE_CAPACITY: usize = 8_192;
/// Batches that the store is given at a time: one that it commits, one that it prepares.
const MOST_AT_STORE: usize = 2;
/// Commands that make a batch worth closing before the commit that it must wait for is through. With fewer, waiting for
/// more saves more than preparing ahead.
const WORTH_PREPARING: usize = 256;
/// Versions of a stream that are looked at to find a lost commit's events, or the version that won instead.
const FOUND_VERSIONS: usize = 1_000;
/// How long an unknown commit outcome is looked up before the sequencer gives up on the store.
const RESOLVE_PATIENCE: Duration = Duration::from_secs(10);

/// What the sequencer tells whoever measures it. Calls must not block.
pub trait SequencerObserver: Send + Sync + 'static {
    /// A commit is durable.
    fn committed(&self, requests: usize, entries: usize, elapsed: Duration);
    /// A command was refused; `reason` is one of a few fixed words.
    fn refused(&self, reason: &'static str);
    /// How many commands were waiting when a batch was taken.
    fn queued(&self, depth: usize);
    /// How many milliseconds the clock is behind the newest entry. Told when it changes.
    fn clock_behind(&self, _milliseconds: u64) {}
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
    /// Told when enough commands wait to be prepared ahead.
    enough: Arc<Notify>,
    observer: Arc<dyn SequencerObserver>,
}

impl Sequencer {
    /// Starts the task. `size` is told the ledger's size after each commit, `writing` how appending goes.
    pub(crate) fn start(
        ledger: LedgerId,
        store: Arc<dyn Store>,
        clock: Clock,
        observer: Arc<dyn SequencerObserver>,
        size: watch::Sender<u64>,
        writing: watch::Sender<WritingStatus>,
        capacity: usize,
    ) -> Self {
        let (queue, requests) = mpsc::channel(capacity);
        let enough = Arc::new(Notify::new());
        let writing = WritingMonitor::new(ledger.clone(), writing, Arc::clone(&observer));
        let task = Task { ledger, store, clock, observer: Arc::clone(&observer), size, writing };
        tokio::spawn(Arc::new(task).run(requests, Arc::clone(&enough)));
        Self { queue, enough, observer }
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
        self.queued();
        Ok(Pending(answer))
    }

    /// As [`Sequencer::submit`], but waits for room in the queue: for streams of commands that can be slowed down.
    pub(crate) async fn submit_when_room(&self, append: Append) -> Result<Pending, AppendError> {
        append.check()?;
        let (reply, answer) = oneshot::channel();
        self.queue.send(Request { append, reply }).await.map_err(|_| AppendError::Closed)?;
        self.queued();
        Ok(Pending(answer))
    }

    fn queued(&self) {
        if self.queue.max_capacity() - self.queue.capacity() >= WORTH_PREPARING {
            self.enough.notify_one();
        }
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
    writing: WritingMonitor,
}

/// A batch that the store is done with.
struct Committed {
    replies: Vec<oneshot::Sender<Result<Appended, AppendError>>>,
    outcomes: Vec<Result<Appended, AppendError>>,
}

impl Task {
    async fn run(self: Arc<Self>, mut requests: mpsc::Receiver<Request>, enough: Arc<Notify>) {
        let mut waiting: Option<Request> = None;
        let mut at_store = FuturesUnordered::new();
        loop {
            if at_store.is_empty() {
                let Some(first) = (match waiting.take() {
                    Some(request) => Some(request),
                    None => requests.recv().await,
                }) else {
                    return;
                };
                at_store.push(self.commit(self.take_batch(first, &mut requests, &mut waiting)));
            } else if at_store.len() < MOST_AT_STORE && requests.len() >= WORTH_PREPARING {
                let first = waiting.take().map_or_else(|| requests.try_recv(), Ok);
                if let Ok(first) = first {
                    at_store.push(self.commit(self.take_batch(first, &mut requests, &mut waiting)));
                }
            }
            tokio::select! {
                biased;
                committed = at_store.next() => {
                    let Some(committed) = committed else { continue };
                    if at_store.is_empty() {
                        self.reply(committed);
                    } else {
                        // The next batch goes on its way first.
                        let task = Arc::clone(&self);
                        tokio::spawn(async move { task.reply(committed) });
                    }
                }
                () = enough.notified(), if at_store.len() < MOST_AT_STORE => {}
            }
        }
    }

    fn take_batch(
        &self,
        first: Request,
        requests: &mut mpsc::Receiver<Request>,
        waiting: &mut Option<Request>,
    ) -> Vec<Request> {
        self.observer.queued(requests.len() + 1);
        take_batch(first, requests, waiting)
    }

    async fn commit(&self, batch: Vec<Request>) -> Committed {
        let (appends, replies): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|request| (request.append, request.reply)).unzip();
        let appends = Arc::new(appends);
        let started = Instant::now();
        let now = (self.clock)();
        let outcomes = match self.store.append_shared(&self.ledger, &appends, now).await {
            Ok(outcomes) => {
                self.writing.answered(now, &outcomes);
                outcomes
            }
            Err(StoreError::UnknownOutcome(why)) => self.resolve(&appends, &why).await,
            Err(error @ StoreError::Failed(_)) => {
                tracing::error!(ledger = %self.ledger, %error, "nothing is appended any more");
                self.observer.refused("store_failed");
                self.writing.failed(&error);
                vec![Err(AppendError::OutcomeUnknown); appends.len()]
            }
            Err(error) => {
                tracing::error!(ledger = %self.ledger, %error, "a batch could not be appended");
                self.observer.refused("store_unavailable");
                self.writing.failed(&error);
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
        Committed { replies, outcomes }
    }

    fn reply(&self, Committed { replies, outcomes }: Committed) {
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
        self.writing.failed(&StoreError::Unavailable(why.to_owned()));
        let deadline = tokio::time::Instant::now() + RESOLVE_PATIENCE;
        let mut pause = Duration::from_millis(10);
        while let Ok(found) = tokio::time::timeout_at(deadline, self.find(appends)).await {
            match found {
                Ok(outcomes) => {
                    self.writing.recovered();
                    return outcomes;
                }
                Err(error) => tracing::warn!(ledger = %self.ledger, %error, "the store does not answer yet"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
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
