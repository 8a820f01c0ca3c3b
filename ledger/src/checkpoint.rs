//! Checkpoints: seals the ledger, compares its tree with what was signed before, and signs.
//!
//! The order is what makes a checkpoint worth something: the seal binds the chain's head into the tree, the comparison keeps
//! two trees from ever being signed, and the memory outside the store is durable before anybody sees the checkpoint.
//!
//! Several processes may sign one ledger. Of those that want to at the same time, one appends the seal; the others take its
//! checkpoint.

mod cadence;
mod error;
mod key_events;
mod memory;
mod seal;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use cadence::Request;
pub use cadence::{CheckpointRequests, CheckpointStatus, LastCheckpoint};
pub use error::CheckpointError;
use key_events::Published;
pub use key_events::{PublishedKey, published_keys};
pub use memory::{CheckpointMemory, MemoryError, Refusal, compare};
pub use seal::STREAM_TYPE;
use seal::Seal;

use crate::append::Appended;
use crate::keys::{KeyId, KeyRing, KeyState};
use crate::merkle::extends;
use crate::note::{CheckpointBody, SignedNote};
use crate::reader::Ledger;
use crate::sequencer::Clock;
use crate::store::StoredCheckpoint;
use crate::tree::LedgerTree;

/// How long the checkpoint of another process is waited for.
const WINNER_PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at it.
const WINNER_POLL: Duration = Duration::from_millis(20);
/// Attempts to seal against other writers.
const ATTEMPTS: usize = 8;
/// Entries looked at at once for something that is worth a checkpoint.
const PAGE: usize = 64;

/// What the checkpointer tells whoever measures it. Calls must not block.
pub trait CheckpointObserver: Send + Sync + 'static {
    /// A checkpoint was signed and stored.
    fn signed(&self, size: u64, elapsed: Duration);
    /// None was; `reason` is one of a few fixed words.
    fn failed(&self, reason: &'static str);
}

impl CheckpointObserver for crate::sequencer::Unobserved {
    fn signed(&self, _size: u64, _elapsed: Duration) {}
    fn failed(&self, _reason: &'static str) {}
}

/// Signs the checkpoints of one ledger. One a process and ledger.
pub struct Checkpointer {
    ledger: Ledger,
    tree: LedgerTree,
    keys: KeyRing,
    memory: CheckpointMemory,
    clock: Clock,
    observer: Arc<dyn CheckpointObserver>,
    published: Published,
    /// The ledger is known to have nothing but what it says of itself from the last checkpoint up to here.
    quiet_until: u64,
    status: watch::Sender<CheckpointStatus>,
    request: mpsc::Sender<Request>,
    requests: mpsc::Receiver<Request>,
}

impl Checkpointer {
    /// Compares the ledger with the checkpoint signed last; one that does not extend it is [`CheckpointError::Refused`].
    pub async fn open(
        ledger: Ledger,
        keys: KeyRing,
        clock: Clock,
        observer: Arc<dyn CheckpointObserver>,
    ) -> Result<Self, CheckpointError> {
        let memory = CheckpointMemory::new(keys.folder(), ledger.id(), keys.origin());
        let (request, requests) = mpsc::channel(cadence::WAITING_REQUESTS);
        let checkpointer = Self {
            tree: LedgerTree::new(ledger.reader().clone()),
            ledger,
            keys,
            memory,
            clock,
            observer,
            published: Published::default(),
            quiet_until: 0,
            status: watch::Sender::new(CheckpointStatus::default()),
            request,
            requests,
        };
        let lock = checkpointer.memory.lock().await?;
        let remembered = checkpointer.compare().await?;
        drop(lock);
        let latest = checkpointer.ledger.store().latest_checkpoint(checkpointer.ledger.id()).await?;
        if remembered.is_none() && latest.is_some() {
            tracing::warn!(
                file = %checkpointer.memory.path().display(),
                "no checkpoint is remembered outside the store; its own latest one is taken instead"
            );
        }
        checkpointer.status.send_modify(|status| status.last = latest.as_ref().map(LastCheckpoint::of));
        Ok(checkpointer)
    }

    /// A handle to ask for checkpoints while [`Checkpointer::run`] has this.
    pub fn requests(&self) -> CheckpointRequests {
        CheckpointRequests::new(self.request.clone())
    }

    /// What was signed last and what is wrong, as it changes.
    pub fn status(&self) -> watch::Receiver<CheckpointStatus> {
        self.status.subscribe()
    }

    /// Signs if anything but the ledger's words about itself was appended since the last checkpoint.
    pub async fn sign_if_needed(&mut self) -> Result<Option<StoredCheckpoint>, CheckpointError> {
        let outcome = async { if self.is_needed().await? { self.seal_and_sign().await.map(Some) } else { Ok(None) } };
        let outcome = outcome.await;
        self.tell(&outcome);
        outcome
    }

    /// Signs now. Where nothing at all was appended since the last checkpoint, and the keys are the same, that one is the
    /// answer.
    pub async fn sign(&mut self) -> Result<StoredCheckpoint, CheckpointError> {
        let outcome = async {
            if let Some(latest) = self.standing_checkpoint().await? {
                return Ok(latest);
            }
            self.seal_and_sign().await
        };
        let outcome = outcome.await.map(Some);
        self.tell(&outcome);
        outcome.and_then(|checkpoint| checkpoint.ok_or(CheckpointError::Closed))
    }

    async fn is_needed(&mut self) -> Result<bool, CheckpointError> {
        // A store that lost entries is found out by the comparison, not overlooked because nothing was appended.
        self.compare().await?;
        let head = self.ledger.head().await?;
        let latest = self.ledger.store().latest_checkpoint(self.ledger.id()).await?;
        let mut next = latest.map_or(0, |latest| latest.size).max(self.quiet_until);
        while next < head.size {
            let page = self.ledger.entries(next, PAGE).await?;
            let Some(last) = page.last() else { break };
            if page.iter().any(|entry| entry.stream.stream_type != STREAM_TYPE) {
                return Ok(true);
            }
            next = last.position + 1;
        }
        self.quiet_until = next;
        Ok(false)
    }

    /// The latest checkpoint, if it covers everything and has the signatures that a new one would have.
    async fn standing_checkpoint(&mut self) -> Result<Option<StoredCheckpoint>, CheckpointError> {
        self.keys.reload((self.clock)())?;
        self.compare().await?;
        let size = self.ledger.head().await?.size;
        let latest = self.ledger.store().latest_checkpoint(self.ledger.id()).await?;
        Ok(latest.filter(|latest| {
            let Ok(note) = SignedNote::parse(&latest.note) else { return false };
            let signed = |id: KeyId| note.signatures.iter().any(|signature| signature.key_id == id);
            let signers = self.keys.signers((self.clock)());
            latest.size == size && signers.iter().all(|key| signed(key.key_id)) && self.keys.vouches_for(&note)
        }))
    }

    async fn seal_and_sign(&mut self) -> Result<StoredCheckpoint, CheckpointError> {
        let started = Instant::now();
        for _ in 0..ATTEMPTS {
            let now = (self.clock)();
            self.keys.reload(now)?;
            self.compare().await?;
            self.published.announce(&self.ledger, &self.keys, now).await?;
            match self.seal().await? {
                Seal::Ours(sealed) => {
                    let checkpoint = self.sign_sealed(&sealed).await?;
                    self.observer.signed(checkpoint.size, started.elapsed());
                    return Ok(checkpoint);
                }
                Seal::Theirs { size } => {
                    if let Some(checkpoint) = self.winner(size).await? {
                        return Ok(checkpoint);
                    }
                }
            }
        }
        Err(CheckpointError::Contended)
    }

    /// Compares, signs, remembers and stores, in this order.
    async fn sign_sealed(&self, sealed: &Appended) -> Result<StoredCheckpoint, CheckpointError> {
        let size = sealed.receipt.position + 1;
        self.compare_with_seal(sealed.receipt.position).await?;
        let body = CheckpointBody { origin: self.keys.origin().to_owned(), size, root: self.tree.root_at(size).await? };
        let lock = self.memory.lock().await?;
        let remembered = self.compare().await?;
        self.prove_extends(remembered.as_ref(), &body).await?;
        let note = self.keys.sign(&body.to_string(), &self.signers(sealed.recorded_at)?)?;
        // Another process on these keys may have signed more already; both are checkpoints of this one tree.
        if remembered.is_none_or(|remembered| remembered.size < size) {
            self.memory.write(&note)?;
        }
        drop(lock);
        let signed_at = sealed.recorded_at;
        let checkpoint = StoredCheckpoint { size, root: body.root, note: note.to_string(), signed_at };
        self.ledger.store().save_checkpoint(self.ledger.id(), &checkpoint).await?;
        Ok(checkpoint)
    }

    /// The seal has the root that the sequencer kept; the tiles must come to the same before anything is signed of them.
    async fn compare_with_seal(&self, position: u64) -> Result<(), CheckpointError> {
        let sealed = self.ledger.entries(position, 1).await?;
        let payload = sealed.first().and_then(|entry| entry.payload.as_deref()).unwrap_or_default();
        let root = self.tree.root_at(position).await?;
        if payload.contains(&format!("\"root\":\"{root}\"")) {
            return Ok(());
        }
        Err(CheckpointError::TilesDiffer { position, root })
    }

    /// That the tree has the remembered root where it ended is not enough: both roots must come from the same hashes.
    async fn prove_extends(
        &self,
        remembered: Option<&CheckpointBody>,
        body: &CheckpointBody,
    ) -> Result<(), CheckpointError> {
        let Some(old) = remembered.filter(|remembered| remembered.size <= body.size) else { return Ok(()) };
        let proof = self.tree.consistency(old.size, body.size).await?;
        if extends(old.size, &old.root, body.size, &body.root, &proof) {
            return Ok(());
        }
        Err(CheckpointError::TilesDiffer { position: body.size, root: body.root })
    }

    /// The keys that sign what was sealed at a time. A verifier judges them by that time and by what the ledger says.
    fn signers(&self, sealed_at: i64) -> Result<Vec<KeyId>, CheckpointError> {
        let mut signers = Vec::new();
        for record in self.keys.signers(sealed_at) {
            match self.published.retired_at(record.key_id, self.keys.origin()) {
                None => signers.push(record.key_id),
                Some(retired_at) if record.state(sealed_at) == KeyState::Active => {
                    return Err(CheckpointError::KeyEnded { key_id: record.key_id, retired_at: retired_at.to_owned() });
                }
                Some(_) => {}
            }
        }
        Ok(signers)
    }

    /// The checkpoint of the process that sealed, of `size` entries or a later one; `None` where it does not come.
    async fn winner(&self, size: u64) -> Result<Option<StoredCheckpoint>, CheckpointError> {
        let deadline = tokio::time::Instant::now() + WINNER_PATIENCE;
        while tokio::time::Instant::now() < deadline {
            if let Some(latest) = self.ledger.store().latest_checkpoint(self.ledger.id()).await?
                && latest.size >= size
            {
                self.remember(&latest).await?;
                return Ok(Some(latest));
            }
            tokio::time::sleep(WINNER_POLL).await;
        }
        Ok(None)
    }

    /// Remembers what another process has signed, under our own signature: from now on this process holds the store to it.
    async fn remember(&self, checkpoint: &StoredCheckpoint) -> Result<(), CheckpointError> {
        let lock = self.memory.lock().await?;
        let remembered = self.compare().await?;
        let body =
            CheckpointBody { origin: self.keys.origin().to_owned(), size: checkpoint.size, root: checkpoint.root };
        compare(&self.tree, &body, "the checkpoint of another process").await??;
        self.prove_extends(remembered.as_ref(), &body).await?;
        if remembered.is_none_or(|remembered| remembered.size < checkpoint.size) {
            self.memory.write(&self.keys.sign(&body.to_string(), &self.signers((self.clock)())?)?)?;
        }
        drop(lock);
        Ok(())
    }

    /// The ledger must extend what is remembered; where nothing is, the store's own latest checkpoint.
    async fn compare(&self) -> Result<Option<CheckpointBody>, CheckpointError> {
        let remembered = self.memory.load(&self.keys)?;
        if let Some(remembered) = &remembered {
            let place = self.memory.path().display().to_string();
            compare(&self.tree, remembered, &place).await??;
        } else if let Some(latest) = self.ledger.store().latest_checkpoint(self.ledger.id()).await? {
            let body = CheckpointBody { origin: self.keys.origin().to_owned(), size: latest.size, root: latest.root };
            compare(&self.tree, &body, "the store's own latest checkpoint").await??;
        }
        Ok(remembered)
    }
}
