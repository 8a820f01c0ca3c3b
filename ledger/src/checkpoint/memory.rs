//! The checkpoint that was signed last, remembered outside the store: whoever owns the store cannot take it back.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::entry::{Hash, LedgerId};
use crate::keys::{KeyError, KeyRing, replace_file, take_lock};
use crate::note::{CheckpointBody, SignedNote};
use crate::tree::{LedgerTree, TreeError};

/// What is remembered cannot be relied on.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] KeyError),
    /// It is not what was written.
    #[error(
        "the checkpoint signed last, {}, is damaged ({why}): put it back from a copy. Only if there is none, move it away, \
         and the ledger is taken as the store has it",
        path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It speaks of another ledger.
    #[error(
        "the checkpoint signed last, {}, is of {found}, but checkpoints are signed as {expected}: set the origin back, or \
         move the file away if this ledger is to be known by another name from now on",
        path.display()
    )]
    OtherOrigin {
        /// Which file.
        path: PathBuf,
        /// What it names.
        found: String,
        /// What was expected.
        expected: String,
    },
}

/// A tree that does not extend what was signed before. Signing it would be proof against whoever signs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ledger {ledger} does not extend the checkpoint signed last: {remembered_in} has {remembered_size} entries with \
     root {remembered_root}, the store has {size} entries{}. Entries were removed or changed, or an older copy of the store was put \
     back. Nothing is signed until the store is as it was",
    root_at(*.root, *.remembered_size)
)]
pub struct Refusal {
    /// Which ledger.
    pub ledger: LedgerId,
    /// What remembers it.
    pub remembered_in: String,
    /// Entries in the remembered checkpoint.
    pub remembered_size: u64,
    /// Its root.
    pub remembered_root: Hash,
    /// Entries in the store.
    pub size: u64,
    /// The store's root at the remembered size; `None` where it has not that many entries.
    pub root: Option<Hash>,
}

fn root_at(root: Option<Hash>, size: u64) -> String {
    root.map(|root| format!(", and root {root} at {size}")).unwrap_or_default()
}

/// The remembered checkpoint of one ledger: a file in the folder of its keys.
#[derive(Debug, Clone)]
pub struct CheckpointMemory {
    path: PathBuf,
    lock: PathBuf,
    origin: String,
}

impl CheckpointMemory {
    /// The memory of the ledger `ledger` in `folder`, whose checkpoints are signed as `origin`.
    pub fn new(folder: &Path, ledger: &LedgerId, origin: &str) -> Self {
        Self {
            path: folder.join(format!("last-checkpoint-{ledger}.txt")),
            lock: folder.join(format!("last-checkpoint-{ledger}.lock")),
            origin: origin.to_owned(),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is remembered, with its signatures unchecked. `None` where nothing was signed yet.
    pub fn read(&self) -> Result<Option<(CheckpointBody, SignedNote)>, MemoryError> {
        let text = match fs::read(&self.path) {
            Ok(bytes) => String::from_utf8(bytes).map_err(|_| self.damaged("it is not UTF-8"))?,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(KeyError::File { path: self.path.clone(), why }.into()),
        };
        let note = SignedNote::parse(&text).map_err(|error| self.damaged(error))?;
        let body = CheckpointBody::parse(&note.body).map_err(|error| self.damaged(error))?;
        if body.origin != self.origin {
            let (found, expected) = (body.origin, self.origin.clone());
            return Err(MemoryError::OtherOrigin { path: self.path.clone(), found, expected });
        }
        Ok(Some((body, note)))
    }

    /// As [`CheckpointMemory::read`], and `keys` must have signed it.
    pub(super) fn load(&self, keys: &KeyRing) -> Result<Option<CheckpointBody>, MemoryError> {
        let Some((body, note)) = self.read()? else { return Ok(None) };
        if !keys.vouches_for(&note) {
            return Err(self.damaged("no key of this folder has signed it like this"));
        }
        Ok(Some(body))
    }

    /// Remembers a note; durable when it returns.
    pub(super) fn write(&self, note: &SignedNote) -> Result<(), MemoryError> {
        Ok(replace_file(&self.path, &note.to_string())?)
    }

    /// Keeps other processes from comparing and writing meanwhile.
    pub(super) async fn lock(&self) -> Result<File, MemoryError> {
        let path = self.lock.clone();
        let taken = tokio::task::spawn_blocking(move || take_lock(&path)).await;
        match taken {
            Ok(lock) => Ok(lock?),
            Err(error) => Err(KeyError::File { path: self.lock.clone(), why: std::io::Error::other(error) }.into()),
        }
    }

    fn damaged(&self, why: impl ToString) -> MemoryError {
        MemoryError::Damaged { path: self.path.clone(), why: why.to_string() }
    }
}

/// Whether the tree extends a checkpoint; `remembered_in` says where that is, for people. Read the checkpoint first: a
/// ledger that grows meanwhile does no harm.
pub async fn compare(
    tree: &LedgerTree,
    remembered: &CheckpointBody,
    remembered_in: &str,
) -> Result<Result<(), Refusal>, TreeError> {
    let reader = tree.reader();
    let size = reader.head().await?.size;
    let root = if remembered.size <= size { Some(tree.root_at(remembered.size).await?) } else { None };
    if root == Some(remembered.root) {
        return Ok(Ok(()));
    }
    Ok(Err(Refusal {
        ledger: reader.id().clone(),
        remembered_in: remembered_in.to_owned(),
        remembered_size: remembered.size,
        remembered_root: remembered.root,
        size,
        root,
    }))
}
