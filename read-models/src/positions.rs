//! How far each projector has folded its ledger. A *position* here is the number of entries folded, which is the
//! position of the next entry.

use std::time::Duration;

use sqlx::Row;
use tokio::time::Instant;

use crate::db::{ReadDb, ReadError};
use crate::sql::{Conditions, Fields};

/// How often a waiting query looks.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A projector's bookkeeping for one ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PositionRow {
    /// The projector's name.
    pub projector: String,
    /// The ledger.
    pub ledger_id: String,
    /// Version of the code that folded the tables.
    pub reducer_version: u64,
    /// Entries folded.
    pub position: u64,
    /// When it last folded something, in microseconds.
    pub updated_at: Option<i64>,
    /// Why it stands still.
    pub error: Option<String>,
    /// Entries that a running rebuild has folded.
    pub rebuild_position: Option<u64>,
    /// Entries that it is to fold, as known when it last looked.
    pub rebuild_target: Option<u64>,
}

/// How many entries of the ledger the projector has folded; 0 where it has not begun.
pub async fn position(db: &ReadDb, projector: &str, ledger_id: &str) -> Result<u64, ReadError> {
    let sql = "select position from projector_positions where projector = $1 and ledger_id = $2";
    let row = sqlx::query(sql).bind(projector).bind(ledger_id).fetch_optional(db.readers()).await;
    match row {
        Ok(Some(row)) => Fields(&row).natural("position"),
        Ok(None) => Ok(0),
        Err(error) if is_missing_table(&error) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Waits until the projector has folded the entry at `position`, or until `timeout`. Answers how many entries it has
/// folded then: more than `position` where it was waited for successfully.
pub async fn wait_for(
    db: &ReadDb,
    projector: &str,
    ledger_id: &str,
    position: u64,
    timeout: Duration,
) -> Result<u64, ReadError> {
    let deadline = Instant::now() + timeout;
    let mut folded = db.folded();
    loop {
        folded.borrow_and_update();
        let seen = self::position(db, projector, ledger_id).await?;
        let now = Instant::now();
        if seen > position || now >= deadline {
            return Ok(seen);
        }
        // Whether woken or not, the database has the last word; the folding process may be another.
        let _ = tokio::time::timeout(POLL_INTERVAL.min(deadline - now), folded.changed()).await;
    }
}

/// The bookkeeping of all projectors, for one ledger or for all.
pub async fn all(db: &ReadDb, ledger_id: Option<&str>) -> Result<Vec<PositionRow>, ReadError> {
    let mut conditions = Conditions::everywhere();
    conditions.equals("ledger_id", ledger_id);
    let sql = format!(
        "select projector, ledger_id, reducer_version, position, updated_at, error, rebuild_position, rebuild_target \
         from projector_positions where {} order by ledger_id, projector",
        conditions.sql()
    );
    let rows = match conditions.bind(&sql).fetch_all(db.readers()).await {
        Ok(rows) => rows,
        Err(error) if is_missing_table(&error) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    rows.iter()
        .map(|row| {
            let fields = Fields(row);
            Ok(PositionRow {
                projector: row.try_get("projector")?,
                ledger_id: row.try_get("ledger_id")?,
                reducer_version: fields.natural("reducer_version")?,
                position: fields.natural("position")?,
                updated_at: fields.optional_integer("updated_at")?,
                error: fields.optional_text("error")?,
                rebuild_position: fields.optional_natural("rebuild_position")?,
                rebuild_target: fields.optional_natural("rebuild_target")?,
            })
        })
        .collect()
}

/// Before the first projector ran there are no tables.
fn is_missing_table(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    error.code().as_deref() == Some("42P01") || error.message().starts_with("no such table")
}
