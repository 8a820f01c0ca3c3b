//! Waiting for the directory to have seen what the ledger has, in the words of HTTP: rules over several things are decided
//! on a directory that is up to date, and answers are made of one that has seen what was recorded.

use std::sync::Arc;
use std::time::Duration;

use daybook_http_kit::Problem;

use super::{Directory, DirectoryState};

/// How long an answer waits for the directory to have seen what was recorded.
pub const SETTLE_TIMEOUT: Duration = Duration::from_secs(5);

impl Directory {
    /// The directory once it has seen all that the ledger had when this was called: for rules over several things.
    pub async fn up_to_date(&self) -> Result<Arc<DirectoryState>, Problem> {
        let head = self.0.reader.head().await.map_err(|error| Problem::store_unavailable(&error))?;
        match head.size.checked_sub(1) {
            Some(last) => self.settle_at(last).await,
            None => Ok(self.now()),
        }
    }

    /// The directory once it has seen the entry at `position`. 503 `directory.behind` where it takes too long: what was
    /// recorded is recorded all the same.
    pub async fn settle_at(&self, position: u64) -> Result<Arc<DirectoryState>, Problem> {
        if self.at_least(position.saturating_add(1), SETTLE_TIMEOUT).await {
            return Ok(self.now());
        }
        tracing::warn!(organization = %self.ledger_id(), position, "the directory does not keep up with the ledger");
        Err(Problem::unavailable("directory.behind", "it is recorded, but cannot be seen yet", 1)
            .with_member("position", position))
    }
}
