//! When checkpoints are signed: every so often while something was appended, on request, and once more at the end.
//! And what became of it, for logs, metrics and health.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::{CheckpointError, Checkpointer};
use crate::entry::Hash;
use crate::note::SignedNote;
use crate::store::StoredCheckpoint;

/// Requests that may wait for a checkpoint.
pub(super) const WAITING_REQUESTS: usize = 64;

/// A request and where its answer goes.
pub(super) type Request = oneshot::Sender<Result<StoredCheckpoint, CheckpointError>>;

/// Asks the process's checkpointer for a checkpoint. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CheckpointRequests(mpsc::Sender<Request>);

impl CheckpointRequests {
    pub(super) fn new(queue: mpsc::Sender<Request>) -> Self {
        Self(queue)
    }

    /// Seals and signs now; answers when the checkpoint is remembered and stored. Where nothing was appended since the last
    /// one, that is the answer.
    pub async fn checkpoint(&self) -> Result<StoredCheckpoint, CheckpointError> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(reply).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CheckpointError::Busy,
            mpsc::error::TrySendError::Closed(_) => CheckpointError::Closed,
        })?;
        answer.await.unwrap_or(Err(CheckpointError::Closed))
    }
}

/// The checkpoint signed last, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCheckpoint {
    /// Entries it covers.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Hash,
    /// When it was signed, microseconds since 1970-01-01T00:00:00Z.
    pub signed_at: i64,
    /// Ids of the keys whose signatures it has.
    pub key_ids: Vec<String>,
}

impl LastCheckpoint {
    /// Of a stored checkpoint.
    pub fn of(checkpoint: &StoredCheckpoint) -> Self {
        let note = SignedNote::parse(&checkpoint.note);
        let signatures = note.map(|note| note.signatures).unwrap_or_default();
        Self {
            size: checkpoint.size,
            root: checkpoint.root,
            signed_at: checkpoint.signed_at,
            key_ids: signatures.iter().map(|signature| signature.key_id.to_string()).collect(),
        }
    }
}

/// What has become of checkpoints in this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckpointStatus {
    /// The latest.
    pub last: Option<LastCheckpoint>,
    /// Why the last attempt came to nothing; `None` where it did not.
    pub error: Option<String>,
    /// True where that was because the tree does not extend what was signed before, or because that is not known any more.
    pub is_refused: bool,
}

impl Checkpointer {
    /// Signs every `interval` if something was appended, and whenever asked to, until `shutdown` is true or its sender is
    /// gone; then once more if something was appended. With an interval of zero only when asked to.
    pub async fn run(mut self, interval: Duration, mut shutdown: watch::Receiver<bool>) {
        let on_request_only = interval.is_zero();
        // Far enough to never come, near enough to be a time.
        let period = if on_request_only { Duration::from_secs(86_400) } else { interval };
        let mut ticks = tokio::time::interval_at(Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = until_stopped(&mut shutdown) => break,
                Some(reply) = self.requests.recv() => {
                    // Whoever asked may have gone away; the checkpoint stays.
                    let _ = reply.send(self.sign().await);
                }
                _ = ticks.tick(), if !on_request_only => {
                    // What is wrong was told already, and the next tick tries again.
                    let _ = self.sign_if_needed().await;
                }
            }
        }
        if !on_request_only {
            let _ = self.sign_if_needed().await;
        }
    }

    /// Says what happened: in the log where it changed, in the status, to the observer.
    pub(super) fn tell(&self, outcome: &Result<Option<StoredCheckpoint>, CheckpointError>) {
        match outcome {
            Ok(signed) => {
                if let Some(checkpoint) = signed {
                    tracing::debug!(ledger = %self.ledger.id(), size = checkpoint.size, "a checkpoint");
                }
                self.status.send_if_modified(|status| {
                    let before = status.clone();
                    if let Some(checkpoint) = signed {
                        status.last = Some(LastCheckpoint::of(checkpoint));
                    }
                    (status.error, status.is_refused) = (None, false);
                    *status != before
                });
            }
            Err(error) => {
                self.observer.failed(error.reason());
                let text = error.to_string();
                let is_new = self.status.borrow().error.as_deref() != Some(text.as_str());
                if is_new {
                    tracing::error!(ledger = %self.ledger.id(), %error, "no checkpoint is signed");
                }
                self.status.send_modify(|status| {
                    (status.error, status.is_refused) = (Some(text), error.is_refusal());
                });
            }
        }
    }
}

async fn until_stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a way to stop, too.
    let _ = shutdown.wait_for(|stop| *stop).await;
}
