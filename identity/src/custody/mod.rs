//! What must be kept: legal holds and retention rules, and the one turn in which something is taken away or put under a hold.
//!
//! Whoever takes something away holds a [`Custody`] from the question until that is recorded, in this process or another, and
//! so does whoever places a hold: what is being taken away cannot be put under a hold, and what is being put under one cannot
//! be taken away. Everything is answered from the ledger and the directory that is folded from it, never from a read table.

mod deeds;
mod exclusive;
mod holds;
mod keeping;
mod subject;

use std::sync::Arc;

use daybook_http_kit::Problem;
use daybook_ledger::{LedgerReader, StreamKey};

pub use self::deeds::{Deeds, Retained};
pub use self::exclusive::{Exclusive, Matter, exclusive};
pub use self::holds::{HoldInForce, holds_on_person};
pub use self::keeping::{Keeping, Obstacle};
use crate::directory::{Directory, DirectoryState};

/// The turn in which it is decided what goes and what stays, of all processes. Others wait until it is dropped.
#[must_use = "others wait only while it is held"]
pub struct Custody {
    state: Arc<DirectoryState>,
    reader: LedgerReader,
    _turn: Exclusive,
}

impl Custody {
    /// The directory as it is in this turn: every hold and every rule that was recorded before.
    pub fn state(&self) -> &Arc<DirectoryState> {
        &self.state
    }

    /// What is said of keeping a record; `None` where there is none of this type and id.
    pub async fn keeping(&self, stream: &StreamKey) -> Result<Option<Keeping>, Problem> {
        Keeping::of(&self.reader, &self.state, stream).await
    }

    /// What stands in the way of erasing a person at `now`, in microseconds. `known`: what was read before the turn.
    pub async fn retained(&self, subject: &str, now: i64, known: Option<Deeds>) -> Result<Vec<Retained>, Problem> {
        let Some(deeds) = Deeds::of(&self.reader, &self.state, subject, now, known).await? else {
            return Ok(Vec::new());
        };
        Ok(deeds.retained(&self.state, now))
    }
}

impl Directory {
    /// Waits for the turn without asking anything: for whoever has more kept, which goes whatever else is there.
    pub async fn custody_turn(&self) -> Result<Exclusive, Problem> {
        exclusive(self.vault(), self.ledger_id(), Matter::Custody).await
    }

    /// Waits for the turn to take something away, and until the directory has seen all that the ledger has. 503 where that takes too long, and where
    /// an entry is not understood: it may be a hold.
    pub async fn custody(&self) -> Result<Custody, Problem> {
        let turn = self.custody_turn().await?;
        let state = self.up_to_date().await?;
        must_be_understood(&state)?;
        Ok(Custody { state, reader: self.reader().clone(), _turn: turn })
    }
}

/// What must be kept is not known where an entry about it is not understood.
fn must_be_understood(state: &DirectoryState) -> Result<(), Problem> {
    if state.not_understood.is_some() || state.approvals_not_understood.is_some() {
        return Err(Problem::unavailable(
            "directory.not_understood",
            "this organisation has entries that a newer program wrote; nothing is taken away here meanwhile",
            1,
        ));
    }
    Ok(())
}
