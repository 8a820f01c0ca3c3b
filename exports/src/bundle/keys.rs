//! The keys that sign checkpoints, as the ledger announced them, and as the file that the auditor takes.

use std::fmt::Write;

use daybook_ledger::LedgerReader;
use daybook_ledger::checkpoint::{CheckpointError, PublishedKey, published_keys};

/// Most keys that are listed, the newest of them. One that rotates its key every day reaches it after years.
pub const MAX_KEYS: usize = 1_000;

/// The newest [`MAX_KEYS`] keys, oldest first.
pub async fn newest_keys(reader: &LedgerReader) -> Result<Vec<PublishedKey>, CheckpointError> {
    let mut keys = published_keys(reader).await?;
    Ok(keys.split_off(keys.len().saturating_sub(MAX_KEYS)))
}

/// The keys as the file that the auditor takes: a verifier key a line, with when its signatures count.
pub fn keys_file(keys: &[PublishedKey]) -> String {
    let mut text =
        String::from("# Keys as the ledger announced them. Compare them with what you were given elsewhere.\n");
    for key in keys {
        let until = key.retired_at.as_ref().map(|at| format!(" until={at}")).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} from={}{until}", key.verifier_key, key.activated_at);
    }
    text
}
