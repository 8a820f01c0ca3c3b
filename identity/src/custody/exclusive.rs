//! Rules over several streams: held from the question until what follows from its answer is recorded, so that nobody changes
//! the answer in between, in this process or in another.

use std::time::Duration;

use daybook_http_kit::Problem;
use daybook_ledger::LedgerId;
use tokio::sync::{Mutex, MutexGuard};

use crate::sealer::vault_problem;
use crate::vault::{Guard, Vault};

/// How long is waited for others of this process; as long again for other processes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Changes of either kind are rare: one turn for all organisations is enough in a process.
static CUSTODY: Mutex<()> = Mutex::const_new(());
static OWNERS: Mutex<()> = Mutex::const_new(());

/// What is decided by one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matter {
    /// Which holds and rules there are, and whether something is taken away. Whoever holds it may ask for
    /// [`Matter::Owners`], never the other way round.
    Custody,
    /// Who owns the organisation.
    Owners,
}

impl Matter {
    fn name(self) -> &'static str {
        match self {
            Self::Custody => "custody",
            Self::Owners => "owners",
        }
    }

    fn turn(self) -> &'static Mutex<()> {
        match self {
            Self::Custody => &CUSTODY,
            Self::Owners => &OWNERS,
        }
    }
}

/// Others wait until it is dropped.
#[must_use = "others wait only while it is held"]
pub struct Exclusive {
    // Given up in this order: whoever has the next turn here finds the lock free, or soon so.
    // In a mutex that nobody locks, so that whoever holds it can be shared between threads: a connection cannot.
    _lock: std::sync::Mutex<Guard>,
    _turn: MutexGuard<'static, ()>,
}

/// Waits until nobody else decides the same matter of the organisation. 503 where that takes too long. Whoever holds it asks
/// the directory only once that has seen all that the ledger has: what another process appended is part of the answer.
pub async fn exclusive(vault: &Vault, id: &LedgerId, matter: Matter) -> Result<Exclusive, Problem> {
    // One turn here before the lock: this process never holds more than one connection for each matter.
    let turn = tokio::time::timeout(PATIENCE, matter.turn().lock()).await;
    let turn = turn.map_err(|_| Problem::unavailable("organization.busy", "others are deciding the same matter", 1))?;
    let lock = vault.exclusive(id, matter.name()).await.map_err(vault_problem)?;
    Ok(Exclusive { _lock: std::sync::Mutex::new(lock), _turn: turn })
}
