//! One entry's proof as a file (C2SP `tlog-proof`): verifies offline with nothing but the log's key.
//!
//! The `extra` line holds the entry's canonical bytes: their BLAKE3 is the hash in the receipt, their leaf hash leads along
//! the path to the root that the checkpoint states. What does not lead there is not handed out: a client could not tell a
//! rewritten ledger from a fault of ours, so the log says it.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daybook_ledger::canonical::canonical_bytes;
use daybook_ledger::note::{CheckpointBody, SignedNote};
use daybook_ledger::{Entry, Hash, LedgerTree, StoreError, StoredCheckpoint, TreeError, merkle};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum TlogProofError {
    /// The ledger is not that long.
    #[error("the ledger has {size} entries, none at {position}")]
    NoEntry {
        /// The position asked for.
        position: u64,
        /// Entries in the ledger.
        size: u64,
    },
    /// The entry is there, but no checkpoint covers it.
    #[error("no checkpoint covers entry {position} yet: the newest covers {sealed} entries")]
    NotYetSealed {
        /// The position asked for.
        position: u64,
        /// Entries under the newest checkpoint.
        sealed: u64,
    },
    /// The stored checkpoint is no checkpoint, or its columns say something else than its note.
    #[error("the stored checkpoint of {0} entries is damaged")]
    Damaged(u64),
    /// The entries do not lead to the signed root.
    #[error("the ledger does not lead to the root of its checkpoint of {0} entries: it is not what was signed")]
    NotExtending(u64),
    /// The tree cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

impl From<StoreError> for TlogProofError {
    fn from(error: StoreError) -> Self {
        Self::Tree(error.into())
    }
}

/// The newest checkpoint, or `None` before the first. Its note is a checkpoint of the size and root in its columns;
/// signatures are the verifier's business.
pub async fn newest_checkpoint(tree: &LedgerTree) -> Result<Option<StoredCheckpoint>, TlogProofError> {
    let reader = tree.reader();
    let Some(checkpoint) = reader.store().latest_checkpoint(reader.id()).await? else { return Ok(None) };
    let body = SignedNote::parse(&checkpoint.note).and_then(|note| CheckpointBody::parse(&note.body));
    match body {
        Ok(body) if (body.size, body.root) == (checkpoint.size, checkpoint.root) => Ok(Some(checkpoint)),
        _ => Err(TlogProofError::Damaged(checkpoint.size)),
    }
}

/// The proof of the entry at `position` against the newest checkpoint.
pub async fn tlog_proof(tree: &LedgerTree, position: u64) -> Result<String, TlogProofError> {
    // The checkpoint first: a ledger that grows meanwhile still covers it.
    let checkpoint = newest_checkpoint(tree).await?;
    let found = tree.reader().entries(position, 1).await?;
    let Some(entry) = found.into_iter().find(|entry| entry.position == position) else {
        let size = tree.reader().head().await?.size;
        return Err(TlogProofError::NoEntry { position, size });
    };
    match checkpoint {
        Some(checkpoint) if position < checkpoint.size => against(tree, &checkpoint, &entry).await,
        other => Err(TlogProofError::NotYetSealed { position, sealed: other.map_or(0, |checkpoint| checkpoint.size) }),
    }
}

/// The proof of an entry against a checkpoint that covers it.
pub async fn against(
    tree: &LedgerTree,
    checkpoint: &StoredCheckpoint,
    entry: &Entry,
) -> Result<String, TlogProofError> {
    let path = match tree.inclusion(entry.position, checkpoint.size).await {
        Ok(path) => path,
        // Fewer entries than were signed.
        Err(TreeError::OutOfRange(_)) => return Err(TlogProofError::NotExtending(checkpoint.size)),
        Err(error) => return Err(error.into()),
    };
    let canonical = canonical_bytes(entry);
    let root = root_along(merkle::leaf(&canonical), entry.position, checkpoint.size, &path);
    if root != Some(checkpoint.root) {
        return Err(TlogProofError::NotExtending(checkpoint.size));
    }
    Ok(written(&canonical, entry.position, &path, &checkpoint.note))
}

fn written(canonical: &[u8], position: u64, path: &[Hash], note: &str) -> String {
    let mut text = format!("{FIRST_LINE}\nextra {}\nindex {position}\n", STANDARD.encode(canonical));
    for hash in path {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", STANDARD.encode(hash.0));
    }
    text.push('\n');
    text.push_str(note);
    text
}

/// The root that an audit path leads to (RFC 9162, 2.1.3.2); `None` where the path has not the length that `size` needs.
pub fn root_along(leaf: Hash, position: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    let (mut node, mut last, mut hash) = (position, size.checked_sub(1)?, leaf);
    if position > last {
        return None;
    }
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node % 2 == 1 || node == last {
            hash = merkle::node(sibling, &hash);
            while node != 0 && node.is_multiple_of(2) {
                node /= 2;
                last /= 2;
            }
        } else {
            hash = merkle::node(&hash, sibling);
        }
        node /= 2;
        last /= 2;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_another_length_leads_nowhere() {
        let leaves: Vec<Hash> = (0..3).map(|number| merkle::leaf(&[number])).collect();
        let (a, b, c) = (leaves[0], leaves[1], leaves[2]);
        let root = merkle::node(&merkle::node(&a, &b), &c);
        assert_eq!(root_along(a, 0, 3, &[b, c]), Some(root));
        assert_eq!(root_along(c, 2, 3, &[merkle::node(&a, &b)]), Some(root));
        assert_eq!(root_along(a, 0, 1, &[]), Some(a));
        for path in [&[][..], &[b], &[b, c, c]] {
            assert_eq!(root_along(a, 0, 3, path), None);
        }
        assert_eq!(root_along(a, 3, 3, &[b, c]), None);
        assert_eq!(root_along(a, 0, 0, &[]), None);
    }
}
