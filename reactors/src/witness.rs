//! Witnesses (C2SP tlog-witness): servers of others that see every checkpoint, check that it extends the one before, and sign
//! it with the time.
//!
//! A ledger that shows different people different pasts needs witnesses that look away. Their signatures are kept in the
//! checkpoint's note, where every verifier finds them.

mod key;
mod policy;
mod protocol;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use daybook_ledger::note::{NoteSignature, SignedNote};
use daybook_ledger::{LedgerReader, LedgerTree, StoreError, StoredCheckpoint, TreeError};
use futures::future::join_all;

use crate::outside::{self, Outside, OutsideError};
use crate::schedule::Scheduled;
pub use key::{WitnessKey, WitnessKeyError};
pub use policy::{WitnessPolicyError, witnesses_of_policy};

/// The task's name in the status.
pub const WITNESS: &str = "witness";
/// Longest time for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of an answer: signature lines.
const MOST_BYTES: usize = 64 * 1024;

/// One witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    url: reqwest::Url,
    key: WitnessKey,
}

impl Witness {
    /// The witness with this submission prefix and this key.
    pub fn new(url: &str, key: WitnessKey) -> Result<Self, OutsideError> {
        // The path is appended to the prefix, whether it ends with a slash or not.
        let prefix = outside::url(url)?;
        let mut url = prefix.clone();
        url.set_path(&format!("{}/add-checkpoint", prefix.path().trim_end_matches('/')));
        Ok(Self { url, key })
    }

    /// The name it signs under.
    pub fn name(&self) -> &str {
        self.key.name()
    }

    /// Whether a note has its signature.
    pub fn has_signed(&self, note: &SignedNote) -> bool {
        note.signatures.iter().any(|signature| self.key.verify(&note.body, signature).is_some())
    }
}

/// Why a witness has not signed.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// It cannot be asked.
    #[error("cannot be asked: {0}")]
    Outside(#[from] OutsideError),
    /// It does not know this ledger.
    #[error("does not know the ledger {0}: its operator has to configure the ledger's origin and key")]
    UnknownLog(String),
    /// It does not know the key.
    #[error("does not accept the key that signed the checkpoint")]
    UnknownKey,
    /// It has seen more of the ledger than there is.
    #[error(
        "has signed {witnessed} entries of this ledger, but the checkpoint covers {size}: was an old copy put back?"
    )]
    Ahead {
        /// What it has signed.
        witnessed: u64,
        /// What it was asked to sign.
        size: u64,
    },
    /// It has seen another tree.
    #[error(
        "refuses: the checkpoint does not extend what it has signed before ({size} entries). The ledger was rewritten or forked"
    )]
    Fork {
        /// What it has signed.
        size: u64,
    },
    /// It signs for others at the same time.
    #[error("was asked by others at the same time")]
    Busy,
    /// It answered something that the protocol does not have.
    #[error("answered with status {0}, which cannot be used")]
    Answer(u16),
    /// It said yes, but its signature is not there or not valid.
    #[error("did not return a valid signature of its own")]
    NoSignature,
    /// The stored checkpoint is not one.
    #[error("the checkpoint in the store is not one: {0}")]
    Checkpoint(String),
    /// The tree cannot be read.
    #[error("the tree cannot be read: {0}")]
    Tree(#[from] TreeError),
}

/// What became of an attempt.
#[derive(Debug)]
pub struct Witnessing {
    /// Size of the newest checkpoint.
    pub size: u64,
    /// Names of the witnesses whose signatures it has now.
    pub signed: Vec<String>,
    /// Who has not signed, and why.
    pub failed: Vec<(String, WitnessError)>,
}

/// Asks the witnesses of one ledger.
pub struct Witnesses {
    reader: LedgerReader,
    tree: LedgerTree,
    outside: Outside,
    witnesses: Arc<[Witness]>,
    /// What each has signed last, as far as this process knows. Wrong knowledge costs one more request.
    known: Mutex<HashMap<String, u64>>,
}

impl Witnesses {
    /// Has checkpoints of `reader`'s ledger signed by `witnesses`.
    pub fn new(reader: LedgerReader, witnesses: Vec<Witness>) -> Result<Self, OutsideError> {
        Ok(Self {
            tree: LedgerTree::new(reader.clone()),
            reader,
            outside: Outside::new(TIMEOUT, MOST_BYTES)?,
            witnesses: witnesses.into(),
            known: Mutex::default(),
        })
    }

    /// Has the newest checkpoint signed by all who have not signed it yet, and keeps their signatures. None where there is no
    /// checkpoint.
    pub async fn witness(&self) -> Result<Option<Witnessing>, StoreError> {
        let Some(checkpoint) = self.reader.store().latest_checkpoint(self.reader.id()).await? else { return Ok(None) };
        let mut witnessing = Witnessing { size: checkpoint.size, signed: Vec::new(), failed: Vec::new() };
        let note = match SignedNote::parse(&checkpoint.note) {
            Ok(note) => note,
            Err(error) => {
                let why = error.to_string();
                let all = self.witnesses.iter();
                witnessing.failed =
                    all.map(|one| (one.name().to_owned(), WitnessError::Checkpoint(why.clone()))).collect();
                return Ok(Some(witnessing));
            }
        };
        let (done, open): (Vec<_>, Vec<_>) = self.witnesses.iter().partition(|witness| witness.has_signed(&note));
        witnessing.signed = done.iter().map(|witness| witness.name().to_owned()).collect();
        // Each is asked on its own: one that hangs holds up nobody's signature but its own.
        let answers = open.iter().map(|witness| async { (*witness, self.ask(witness, &checkpoint, &note).await) });
        let mut lines = Vec::new();
        for (witness, answer) in join_all(answers).await {
            match answer {
                Ok(signatures) => {
                    lines.extend(signatures);
                    witnessing.signed.push(witness.name().to_owned());
                }
                Err(error) => witnessing.failed.push((witness.name().to_owned(), error)),
            }
        }
        if !lines.is_empty() {
            self.keep(checkpoint, lines).await?;
        }
        Ok(Some(witnessing))
    }

    /// Adds signature lines to the stored note, beside what others have added since it was read.
    async fn keep(&self, checkpoint: StoredCheckpoint, lines: Vec<NoteSignature>) -> Result<(), StoreError> {
        let (store, ledger) = (self.reader.store(), self.reader.id());
        let stored = store.checkpoints(ledger, checkpoint.size, 1).await?;
        let current = stored.into_iter().find(|stored| stored.size == checkpoint.size).unwrap_or(checkpoint);
        let Ok(mut note) = SignedNote::parse(&current.note) else { return Ok(()) };
        for line in lines {
            let is_there = |other: &NoteSignature| (&other.name, other.key_id) == (&line.name, line.key_id);
            if !note.signatures.iter().any(is_there) {
                note.signatures.push(line);
            }
        }
        store.save_checkpoint(ledger, &StoredCheckpoint { note: note.to_string(), ..current }).await
    }

    fn known_size(&self, witness: &Witness) -> u64 {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(witness.url.as_str()).copied().unwrap_or(0)
    }

    fn learn(&self, witness: &Witness, size: u64) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(witness.url.to_string(), size);
    }
}

#[async_trait]
impl Scheduled for Witnesses {
    fn name(&self) -> &'static str {
        WITNESS
    }

    async fn once(&self) -> Result<Option<u64>, String> {
        let Some(witnessing) = self.witness().await.map_err(|error| error.to_string())? else { return Ok(None) };
        if witnessing.failed.is_empty() {
            return Ok(Some(witnessing.size));
        }
        let failed = witnessing.failed.iter().map(|(name, error)| format!("witness {name} {error}"));
        Err(failed.collect::<Vec<_>>().join("; "))
    }
}
