//! Snapshots of the directory in the vault, so that a start reads only what came after one.
//!
//! A snapshot is a cache: losing it loses time. It is used only where it was folded by this version of the code and the
//! ledger still has, at its end, the entry that it was folded up to. One is never taken of a state with an entry that
//! was not understood: a newer program has to come to that entry again.

use daybook_ledger::{Hash, LedgerReader, StoreError};
use serde::{Deserialize, Serialize};

use super::DirectoryError;
use super::state::DirectoryState;
use crate::vault::{Vault, VaultError};

/// Version of the fold and of the records. Raised whenever the same entries would come to another state.
pub const SNAPSHOT_VERSION: u32 = 7;

#[derive(Serialize)]
struct Written<'a> {
    last_hash: Hash,
    state: &'a DirectoryState,
}

#[derive(Deserialize)]
struct Kept {
    last_hash: Hash,
    state: DirectoryState,
}

/// The state to go on from: that of the newest usable snapshot, else an empty one. A snapshot that is of no use is
/// discarded, for one with a smaller position would not replace it.
pub(super) async fn restore(vault: &Vault, reader: &LedgerReader) -> Result<DirectoryState, DirectoryError> {
    let ledger = reader.id();
    match usable(vault, reader).await? {
        Ok(state) => Ok(state),
        Err(None) => Ok(DirectoryState::default()),
        Err(Some(why)) => {
            tracing::warn!(%ledger, why, "the directory's snapshot is of no use: folding from the first entry");
            vault.discard_snapshots(ledger).await?;
            Ok(DirectoryState::default())
        }
    }
}

/// The state of the newest snapshot, or why it is of no use; no reason where there is none.
async fn usable(
    vault: &Vault,
    reader: &LedgerReader,
) -> Result<Result<DirectoryState, Option<&'static str>>, DirectoryError> {
    let snapshot = match vault.snapshot(reader.id(), SNAPSHOT_VERSION).await {
        Ok(Some(snapshot)) => snapshot,
        Ok(None) => return Ok(Err(None)),
        Err(VaultError::Corrupt(_)) => return Ok(Err(Some("it was altered"))),
        Err(error) => return Err(error.into()),
    };
    let Ok(Kept { last_hash: hash, state }) = serde_json::from_slice(&snapshot.bytes) else {
        return Ok(Err(Some("it cannot be read")));
    };
    let is_of_this_past = state.position == snapshot.position && last_hash(reader, state.position).await? == Some(hash);
    Ok(if is_of_this_past { Ok(state) } else { Err(Some("the ledger has another past")) })
}

/// Keeps a state. Answers whether there was anything to keep.
pub(super) async fn save(
    vault: &Vault,
    reader: &LedgerReader,
    state: &DirectoryState,
    now: i64,
) -> Result<bool, DirectoryError> {
    if state.not_understood.is_some() || state.approvals_not_understood.is_some() {
        return Ok(false);
    }
    let Some(last_hash) = last_hash(reader, state.position).await? else { return Ok(false) };
    let bytes = serde_json::to_vec(&Written { last_hash, state })
        .map_err(|error| DirectoryError::Snapshot(error.to_string()))?;
    vault.save_snapshot(reader.id(), SNAPSHOT_VERSION, state.position, &bytes, now).await?;
    Ok(true)
}

/// The hash of the last entry before `position`; `None` where the ledger does not reach that far.
async fn last_hash(reader: &LedgerReader, position: u64) -> Result<Option<Hash>, StoreError> {
    let Some(last) = position.checked_sub(1) else { return Ok(None) };
    let entries = reader.entries(last, 1).await?;
    Ok(entries.first().filter(|entry| entry.position == last).map(|entry| entry.hash))
}
