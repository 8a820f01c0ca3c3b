//! Who is who in an organisation, what they may do, and what of it waits for approval: a fold of its identity streams and of
//! those of approvals, held in memory.
//!
//! Every process that answers requests has one a ledger. It follows the ledger like a projector, within a second of the
//! newest entry, and answers without asking a store. What it holds are facts; credentials are the vault's. Names and
//! addresses stay sealed in it.

mod access;
mod approval_records;
mod approving;
mod departments;
mod fold;
mod follower;
mod gifts;
mod persons;
mod records;
mod seats;
mod settling;
mod snapshot;
mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use daybook_ledger::sequencer::{Clock, system_clock};
use daybook_ledger::{LedgerId, LedgerReader, StoreError};
use tokio::sync::{Mutex, watch};

pub use self::access::{KeyAccess, KeyStatus, MAX_INHERITANCE_DEPTH, UserAccess};
pub use self::approval_records::{
    ApprovalRecord, DelegationRecord, ExportToCollect, MAX_ENDED_SCHEDULES, PolicyRecord, ScheduleRecord,
};
pub use self::follower::{DirectoryStatus, SnapshotPolicy};
pub use self::gifts::{Gift, Given, KEPT_MICROS, SETTLED_MICROS};
pub use self::persons::OPERATOR;
pub use self::records::{
    ApiKeyRecord, DepartmentRecord, ErasureRecord, ErasureStatus, Grant, HoldCover, HoldRecord, Invitation,
    OrganizationRecord, OrganizationSettings, PermissionRecord, Place, Records, RetentionRuleRecord, RoleRecord,
    SecondFactorRecord, UserRecord, UserStatus,
};
pub use self::seats::{Seat, SeatOf, Seats};
pub use self::settling::SETTLE_TIMEOUT;
pub use self::snapshot::SNAPSHOT_VERSION;
pub use self::state::{DirectoryState, ENDED_SESSION_MEMORY_MICROS, NotUnderstood};
use crate::vault::{Vault, VaultError};

/// Entries read at once.
const PAGE: usize = 1_000;

/// The directory cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault with the snapshots cannot be read or written.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The state cannot be written down.
    #[error("the directory's snapshot cannot be made: {0}")]
    Snapshot(String),
}

/// The directory of one organisation. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Directory(Arc<Inner>);

struct Inner {
    reader: LedgerReader,
    vault: Vault,
    clock: Clock,
    state: ArcSwap<DirectoryState>,
    position: watch::Sender<u64>,
    /// Held while entries are folded in: one does, those who wait find it done.
    folding: Mutex<()>,
    started: Instant,
    /// Milliseconds from `started` to when the state was last known to reach to the ledger's end.
    confirmed: AtomicU64,
    /// Position of the newest snapshot that this process took or began with.
    saved: AtomicU64,
    status: std::sync::Mutex<follower::Trouble>,
}

impl Directory {
    /// Restores the newest snapshot and folds in everything after it. [`Self::run`] then keeps it up.
    pub async fn open(reader: LedgerReader, vault: Vault) -> Result<Self, DirectoryError> {
        Self::open_with_clock(reader, vault, system_clock()).await
    }

    /// As [`Self::open`], with a clock of the caller's. It must be the one that tokens are verified by: it says when
    /// ended sessions may be forgotten.
    pub async fn open_with_clock(reader: LedgerReader, vault: Vault, clock: Clock) -> Result<Self, DirectoryError> {
        let state = snapshot::restore(&vault, &reader).await?;
        let directory = Self(Arc::new(Inner {
            position: watch::Sender::new(state.position),
            saved: AtomicU64::new(state.position),
            state: ArcSwap::from_pointee(state),
            reader,
            vault,
            clock,
            folding: Mutex::default(),
            started: Instant::now(),
            confirmed: AtomicU64::new(0),
            status: std::sync::Mutex::default(),
        }));
        while directory.advance().await?.is_some() {}
        Ok(directory)
    }

    /// Which organisation's.
    pub fn ledger_id(&self) -> &LedgerId {
        self.0.reader.id()
    }

    /// The ledger that it follows.
    pub fn reader(&self) -> &LedgerReader {
        &self.0.reader
    }

    /// The vault that it keeps its snapshots in: that of the installation.
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// Says who of the organisation's people holds the operator's token: from now on that is one person with `operator`.
    /// Said once, before anybody is answered; what is said later has no effect.
    pub fn answer_for_operator(&self, person: &str) {
        self.now().set_operator_person(person);
    }

    /// The state as it is now.
    pub fn now(&self) -> Arc<DirectoryState> {
        self.0.state.load_full()
    }

    /// Waits until the first `position` entries are folded in; false where that takes longer than `timeout`. For
    /// answers that must know of a command just carried out: `receipt.position + 1`.
    pub async fn at_least(&self, position: u64, timeout: Duration) -> bool {
        let reached = async {
            while self.now().position < position {
                match self.advance().await {
                    Ok(Some(_)) => {}
                    // Not there yet, or the store is in trouble, which the follower reports.
                    Ok(None) | Err(_) => {
                        let mut moved = self.0.position.subscribe();
                        let _ = tokio::time::timeout(RETRY_PAUSE, moved.wait_for(|reached| *reached >= position)).await;
                    }
                }
            }
        };
        tokio::time::timeout(timeout, reached).await.is_ok()
    }

    /// The position, and how it changes.
    pub fn positions(&self) -> watch::Receiver<u64> {
        self.0.position.subscribe()
    }

    /// Whether the state was known to reach to the ledger's end not longer than `within` ago. Where it was not,
    /// somebody may have been locked out since without this process knowing.
    pub fn is_current(&self, within: Duration) -> bool {
        let confirmed = Duration::from_millis(self.0.confirmed.load(Ordering::Relaxed));
        self.0.started.elapsed().saturating_sub(confirmed) <= within
    }

    /// Folds a page in. Answers the position after it; `None` at the ledger's end.
    async fn advance(&self) -> Result<Option<u64>, DirectoryError> {
        let _folding = self.0.folding.lock().await;
        let before = self.now();
        let page = self.0.reader.entries(before.position, PAGE).await?;
        if page.len() < PAGE {
            self.confirm();
        }
        if page.is_empty() {
            return Ok(None);
        }
        let mut state = DirectoryState::clone(&before);
        let mut changed = false;
        for entry in &page {
            changed |= state.fold(entry);
        }
        if changed {
            state.forget_ended_sessions((self.0.clock)());
            if let (Some(trouble), None) = (&state.approvals_not_understood, &before.approvals_not_understood) {
                tracing::error!(
                    ledger = %self.ledger_id(),
                    position = trouble.position,
                    stream_type = trouble.stream_type,
                    event_type = trouble.event_type,
                    schema_version = trouble.schema_version,
                    why = trouble.why,
                    "an entry about approvals is not understood: nothing is approved in this organisation until a program \
                     runs here that understands it"
                );
            }
            if let (Some(trouble), None) = (&state.not_understood, &before.not_understood) {
                tracing::error!(
                    ledger = %self.ledger_id(),
                    position = trouble.position,
                    stream_type = trouble.stream_type,
                    event_type = trouble.event_type,
                    schema_version = trouble.schema_version,
                    why = trouble.why,
                    "an entry about who may do what is not understood: nobody but the operator is let into this \
                     organisation until a program runs here that understands it"
                );
            }
        }
        let position = state.position;
        self.0.state.store(Arc::new(state));
        self.0.position.send_replace(position);
        Ok(Some(position))
    }

    /// Notes that the state reaches to the ledger's end now.
    fn confirm(&self) {
        let now = u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.confirmed.store(now, Ordering::Relaxed);
    }
}

/// How long a waiting caller leaves it to the follower before it looks itself.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
