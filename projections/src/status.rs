//! How far the projectors are, for people and for metrics.

use std::collections::HashMap;

use daybook_read_models::positions::{self, PositionRow};
use daybook_read_models::{ReadDb, ReadError};
use serde::Serialize;

use crate::engine::Core;

/// One projector on one ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectorStatus {
    /// Its name.
    pub name: String,
    /// Version of the code that folded its tables.
    pub version: u64,
    /// The ledger.
    pub ledger_id: String,
    /// Entries folded.
    pub position: u64,
    /// Entries of the ledger.
    pub head: u64,
    /// Entries not folded yet.
    pub lag_entries: u64,
    /// When it last folded something, in microseconds.
    pub last_progress_at: Option<i64>,
    /// Why it stands still.
    pub error: Option<String>,
    /// The rebuild under way.
    pub rebuild: Option<RebuildStatus>,
}

/// A rebuild under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RebuildStatus {
    /// Entries folded anew.
    pub position: u64,
    /// Entries to be folded.
    pub target: u64,
}

/// What the database knows of the projectors of a ledger with `head` entries; for processes that run none themselves.
pub async fn status_from_db(db: &ReadDb, ledger_id: &str, head: u64) -> Result<Vec<ProjectorStatus>, ReadError> {
    let rows = positions::all(db, Some(ledger_id)).await?;
    Ok(rows.into_iter().map(|row| from_row(row, head)).collect())
}

fn from_row(row: PositionRow, head: u64) -> ProjectorStatus {
    let rebuild =
        row.rebuild_position.map(|position| RebuildStatus { position, target: row.rebuild_target.unwrap_or(position) });
    ProjectorStatus {
        name: row.projector,
        version: row.reducer_version,
        ledger_id: row.ledger_id,
        position: row.position,
        head: head.max(row.position),
        lag_entries: head.saturating_sub(row.position),
        last_progress_at: row.updated_at,
        error: row.error,
        rebuild,
    }
}

/// What the database and this process know together. Where one of them fails, the other still speaks.
pub(crate) async fn collect(core: &Core) -> Vec<ProjectorStatus> {
    let ledger_id = core.reader.id().as_str();
    let head = match core.reader.head().await {
        Ok(head) => head.size,
        Err(_) => *core.reader.wake().borrow(),
    };
    let (known, failure): (HashMap<String, ProjectorStatus>, _) = match status_from_db(&core.db, ledger_id, head).await
    {
        Ok(list) => (list.into_iter().map(|status| (status.name.clone(), status)).collect(), None),
        Err(error) => (HashMap::new(), Some(error.to_string())),
    };
    let of_projector = |name: &'static str, version: u32| {
        let memory = core.remembered(name).unwrap_or_default();
        let mut status = known.get(name).cloned().unwrap_or_else(|| ProjectorStatus {
            name: name.to_owned(),
            version: u64::from(version),
            ledger_id: ledger_id.to_owned(),
            position: memory.position,
            head,
            lag_entries: head.saturating_sub(memory.position),
            last_progress_at: memory.last_progress_at,
            error: None,
            rebuild: None,
        });
        status.error = memory.error.or(status.error).or_else(|| failure.clone());
        status
    };
    core.projectors.iter().map(|projector| of_projector(projector.name(), projector.version())).collect()
}
