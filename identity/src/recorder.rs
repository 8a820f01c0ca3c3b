//! Puts into the ledger what happens to access: denials, refused credentials, failed logins, and what people read.
//!
//! A request hands its fact over and goes on; it never waits for the ledger. Each organisation has a bounded queue and
//! a task that appends what has come together, every [`FLUSH_INTERVAL`] or when [`FLUSH_SIZE`] facts wait, to a stream
//! of this process. Facts that are the same but for the request are counted, reads of one person share an entry. What
//! strangers cause is counted aside, and becomes only so many entries a second however much of it there is. When the ledger does not take entries, facts wait; when the queue is full, further ones are counted as dropped, and
//! [`AccessLog::can_record`] says so before that comes to pass, so that nobody reads unseen.
//!
//! What is recorded has no token, password or address: routes are patterns, reasons are codes, and what somebody asked
//! for is sealed with that person's key after everything that looks like a credential or an address was taken out.

mod batch;
mod redaction;
mod strangers;
mod task;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use daybook_http_kit::{AccessLog, Denied, Read, Refused};
use daybook_ledger::writing::Obstacle;
use daybook_ledger::{Ledger, LedgerId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use self::batch::Fact;
pub use self::batch::MAX_DENIALS;
use self::strangers::Strangers;
pub use self::strangers::{ENTRIES_PER_SECOND, MAX_REFUSALS};
use self::task::{Message, Task};
use crate::personal::PersonalData;

/// How long a fact waits for others to go with it.
pub const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// How many facts are enough not to wait for more.
pub const FLUSH_SIZE: usize = 256;
/// How many facts of one organisation may wait.
pub const QUEUE_CAPACITY: usize = 8_192;
/// Places that are kept for what is being answered already when [`AccessLog::can_record`] begins to say no.
const RESERVE: usize = 512;
/// How long the last flush may take when a process ends.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(5);

/// What became of facts since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecorderCounts {
    /// In the ledger.
    pub recorded: u64,
    /// Not recorded: the queue was full, or nobody here can append to that ledger.
    pub dropped: u64,
    /// Flushes that the ledger or the vault did not take at once; they are tried again.
    pub failed_flushes: u64,
}

#[derive(Default)]
struct Counters {
    recorded: AtomicU64,
    dropped: AtomicU64,
    failed_flushes: AtomicU64,
}

struct Queue {
    facts: mpsc::Sender<Message>,
    strangers: Arc<Strangers>,
    ledger: Ledger,
    task: JoinHandle<()>,
}

/// Records access, for all organisations of one process. Cheap to clone.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    default: LedgerId,
    queues: RwLock<HashMap<LedgerId, Queue>>,
    counters: Arc<Counters>,
}

impl Recorder {
    /// Records for nobody yet. Refused credentials that name no organisation of ours go to `default`.
    pub fn new(default: LedgerId) -> Self {
        Self(Arc::new(Inner { default, queues: RwLock::default(), counters: Arc::default() }))
    }

    /// Begins to record for the organisation whose ledger this is. Must be called within a Tokio runtime. What is there
    /// for it already stays.
    pub fn open(&self, ledger: Ledger, personal: PersonalData) {
        let mut queues = self.0.queues.write().unwrap_or_else(PoisonError::into_inner);
        queues.entry(ledger.id().clone()).or_insert_with(|| {
            let (facts, received) = mpsc::channel(QUEUE_CAPACITY);
            let strangers = Arc::<Strangers>::default();
            let task = Task::new(ledger.clone(), personal, Arc::clone(&strangers), Arc::clone(&self.0.counters));
            Queue { facts, strangers, ledger, task: tokio::spawn(task.run(received)) }
        });
    }

    /// Records what waits and ends recording for an organisation.
    pub async fn close(&self, organization: &LedgerId) {
        let queue = self.0.queues.write().unwrap_or_else(PoisonError::into_inner).remove(organization);
        if let Some(queue) = queue {
            finish(organization, queue).await;
        }
    }

    /// Records what waits and ends recording. Nothing that comes later is recorded.
    pub async fn shutdown(&self) {
        let queues = std::mem::take(&mut *self.0.queues.write().unwrap_or_else(PoisonError::into_inner));
        futures::future::join_all(queues.into_iter().map(|(id, queue)| async move { finish(&id, queue).await })).await;
    }

    /// Waits until everything that was handed over before was given to the ledger. What it does not take is tried
    /// again.
    pub async fn flush(&self) {
        let senders: Vec<_> = {
            let queues = self.0.queues.read().unwrap_or_else(PoisonError::into_inner);
            queues.values().map(|queue| queue.facts.clone()).collect()
        };
        for sender in senders {
            let (done, flushed) = oneshot::channel();
            if sender.send(Message::Flush(done)).await.is_ok() {
                let _ = flushed.await;
            }
        }
    }

    /// How many organisations' tasks have ended though nobody told them to, so that nothing of theirs is recorded any more.
    pub fn stopped(&self) -> usize {
        let queues = self.0.queues.read().unwrap_or_else(PoisonError::into_inner);
        queues.values().filter(|queue| queue.task.is_finished()).count()
    }

    /// What became of facts so far: for metrics.
    pub fn counts(&self) -> RecorderCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { recorded, dropped, failed_flushes } = &*self.0.counters;
        RecorderCounts { recorded: read(recorded), dropped: read(dropped), failed_flushes: read(failed_flushes) }
    }

    /// Somebody tried to log in and could not. `reason` is a stable code, `user_id` the account, where there is one.
    pub fn login_failed(&self, organization: &LedgerId, reason: &str, user_id: Option<&str>) {
        let (reason, user_id) = (reason.to_owned(), user_id.map(str::to_owned));
        self.submit_stranger(organization, strangers::Fact::LoginFailed { reason, user_id }, None);
    }

    /// Somebody tried `what` too often.
    pub fn throttled(&self, organization: &LedgerId, what: &str, user_id: Option<&str>) {
        let (what, user_id) = (what.to_owned(), user_id.map(str::to_owned));
        self.submit_stranger(organization, strangers::Fact::Throttled { what, user_id }, None);
    }

    fn submit(&self, organization: &LedgerId, fact: Fact) {
        let queues = self.0.queues.read().unwrap_or_else(PoisonError::into_inner);
        let accepted = queues.get(organization).is_some_and(|queue| queue.facts.try_send(Message::Fact(fact)).is_ok());
        if !accepted {
            self.dropped(organization);
        }
    }

    fn submit_stranger(&self, organization: &LedgerId, fact: strangers::Fact, request_id: Option<String>) {
        let queues = self.0.queues.read().unwrap_or_else(PoisonError::into_inner);
        match queues.get(organization) {
            Some(queue) => queue.strangers.add(fact, request_id),
            None => self.dropped(organization),
        }
    }

    fn dropped(&self, organization: &LedgerId) {
        let dropped = self.0.counters.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        // A flood of facts must not become a flood of lines.
        if dropped.is_power_of_two() {
            tracing::error!(
                %organization,
                dropped,
                "access is not recorded: the queue is full or there is no ledger to append to"
            );
        }
    }

    /// The organisation itself, where it is one of this process; else the default one.
    fn known(&self, organization: Option<LedgerId>) -> LedgerId {
        let queues = self.0.queues.read().unwrap_or_else(PoisonError::into_inner);
        organization.filter(|organization| queues.contains_key(organization)).unwrap_or_else(|| self.0.default.clone())
    }
}

impl AccessLog for Recorder {
    fn denied(&self, denied: Denied) {
        let Denied { organization, actor, permission, method, route, request_id } = denied;
        let fact = Fact::Denied { actor_id: actor.id, permission, method, route, request_id };
        self.submit(&organization, fact);
    }

    fn refused(&self, refused: Refused) {
        let Refused { organization, reason, method, route, request_id, peer: _ } = refused;
        let organization = self.known(organization);
        self.submit_stranger(&organization, strangers::Fact::Refused { reason, method, route }, Some(request_id));
    }

    fn read(&self, read: Read) {
        let Read { organization, actor, method: _, route, path, query, status, at, request_id } = read;
        let asked = redaction::target(&path, &query);
        let read = batch::ReadFact { at, route, status, asked, request_id };
        self.submit(&organization, Fact::Read { actor_id: actor.id, read });
    }

    fn can_record(&self, organization: &LedgerId) -> bool {
        let queues = self.0.queues.read().unwrap_or_else(PoisonError::into_inner);
        queues.get(organization).is_some_and(|queue| {
            let writing = queue.ledger.writing();
            let failed = writing.is_some_and(|writing| {
                writing.borrow().trouble.as_ref().is_some_and(|trouble| trouble.obstacle == Obstacle::Failed)
            });
            !failed && !queue.task.is_finished() && queue.facts.capacity() >= RESERVE
        })
    }
}

async fn finish(organization: &LedgerId, queue: Queue) {
    let Queue { facts, mut task, .. } = queue;
    drop(facts);
    if tokio::time::timeout(SHUTDOWN_PATIENCE, &mut task).await.is_err() {
        task.abort();
        tracing::error!(%organization, "what happened to access last could not be recorded in time");
    }
}
