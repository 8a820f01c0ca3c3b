//! Verifying what was recorded: every token in the ledger, against root certificates and against the ledger as it is now.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daybook_ledger::{LedgerReader, LedgerTree, TreeError};
use daybook_time_stamping::{Stamp, verify_token};

use super::record::{PAGE, RecordedAnchor, rfc3339, stream};
use super::{ANCHORED, AnchorError, read_note};

/// What one recorded token is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorCheck {
    /// Position of its entry.
    pub position: u64,
    /// Entries that its checkpoint covers; 0 where the entry cannot be read.
    pub size: u64,
    /// The authority that was asked.
    pub url: String,
    /// What the token proves, or why it proves nothing.
    pub outcome: Result<Stamp, String>,
}

/// Verifies every token that the ledger has, in order, and hands each result to `each`.
///
/// A token is good if it verifies against the roots, is over the checkpoint beside it, and that checkpoint has the root that
/// the ledger has at this size today. Whose keys signed the checkpoint is the auditor's question.
pub async fn check_anchors(
    reader: &LedgerReader,
    roots_pem: &str,
    mut each: impl FnMut(AnchorCheck),
) -> Result<(), AnchorError> {
    let (stream, tree) = (stream(reader)?, LedgerTree::new(reader.clone()));
    let mut version = 0;
    loop {
        let page = reader.stream(&stream, version + 1, PAGE).await?;
        for entry in page.iter().filter(|entry| entry.event_type == ANCHORED) {
            let position = entry.position;
            let unreadable = |why| AnchorCheck { position, size: 0, url: String::new(), outcome: Err(why) };
            each(match RecordedAnchor::of(entry) {
                Ok(Some(anchor)) => AnchorCheck {
                    position,
                    size: anchor.size,
                    url: anchor.tsa.clone(),
                    outcome: check(&tree, &anchor, position, roots_pem).await?,
                },
                Ok(None) => unreadable("its payload was removed".to_owned()),
                Err(error) => unreadable(error.to_string()),
            });
        }
        match page.last() {
            Some(last) if page.len() == PAGE => version = last.version,
            _ => return Ok(()),
        }
    }
}

/// The outer error is the store's; the inner one is about the anchor.
async fn check(
    tree: &LedgerTree,
    anchor: &RecordedAnchor,
    position: u64,
    roots_pem: &str,
) -> Result<Result<Stamp, String>, AnchorError> {
    let stamp = match check_token(anchor, position, roots_pem) {
        Ok(stamp) => stamp,
        Err(why) => return Ok(Err(why)),
    };
    match tree.root_at(anchor.size).await {
        Ok(root) if root == anchor.root => Ok(Ok(stamp)),
        Ok(root) => Ok(Err(format!(
            "the ledger's first {} entries have the root {root} now; the token is over {}",
            anchor.size, anchor.root
        ))),
        Err(TreeError::Store(error)) => Err(error.into()),
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// Everything that can be said without the rest of the ledger.
fn check_token(anchor: &RecordedAnchor, position: u64, roots_pem: &str) -> Result<Stamp, String> {
    let (body, digest) = read_note(&anchor.checkpoint).map_err(|error| error.to_string())?;
    if (body.size, body.root) != (anchor.size, anchor.root) {
        return Err("its checkpoint states another size or root than the entry".to_owned());
    }
    if anchor.size > position {
        return Err("it stands before the end of what its checkpoint covers".to_owned());
    }
    let token = STANDARD.decode(&anchor.token).map_err(|_| "its token is not base64".to_owned())?;
    let stamp = verify_token(&token, &digest, roots_pem, None).map_err(|error| error.to_string())?;
    if rfc3339(stamp.generated_at) != anchor.generated_at {
        return Err(format!("its token says {}, the entry {}", rfc3339(stamp.generated_at), anchor.generated_at));
    }
    Ok(stamp)
}
