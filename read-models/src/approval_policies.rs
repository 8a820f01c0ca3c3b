//! The read model `approval_policies`: every version of every approval policy that somebody has set. What nobody has
//! set is built in, and not here.

use serde::Serialize;
use serde_json::Value;

use crate::db::{ReadDb, ReadError};
use crate::sql::{Conditions, Fields, fetch_changes};
use crate::time;

/// Name of the projector that fills this table.
pub const PROJECTOR: &str = "approval_policies";
const COLUMNS: &str = "position, action, policy_version, rules, changed_by, reason, approval_id, changed_at";
/// Most policies of one organisation that are listed.
pub const MAX_POLICIES: u32 = 500;

/// One version of a policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PolicyVersionRow {
    /// Position of the entry.
    pub position: u64,
    /// The action that it is for.
    pub action: String,
    /// Counts up from 1; 0 is the built-in policy.
    #[serde(rename = "version")]
    pub policy_version: u64,
    /// Its rules, an array; `None` where it was retired and the built-in ones hold again.
    pub rules: Option<Value>,
    /// Opaque id of who set it.
    pub changed_by: String,
    /// Why.
    pub reason: Option<String>,
    /// The request that allowed it.
    pub approval_id: Option<String>,
    /// When, in microseconds.
    #[serde(serialize_with = "time::serialize")]
    pub changed_at: i64,
}

/// The newest version of every policy that was ever set, in the order of their actions.
pub async fn newest(db: &ReadDb, ledger_id: &str) -> Result<Vec<PolicyVersionRow>, ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.newest_of("approval_policies", "action");
    let (rows, _) = fetch_changes(db, "approval_policies", COLUMNS, "action", conditions, 0, MAX_POLICIES, row).await?;
    Ok(rows)
}

/// The versions of one policy, oldest first, and how many there are. `limit` is brought into 1 to 500.
pub async fn versions(
    db: &ReadDb,
    ledger_id: &str,
    action: &str,
    offset: u64,
    limit: u32,
) -> Result<(Vec<PolicyVersionRow>, u64), ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.equals("action", Some(action));
    fetch_changes(db, "approval_policies", COLUMNS, "position", conditions, offset, limit, row).await
}

fn row(fields: &Fields<'_>) -> Result<PolicyVersionRow, ReadError> {
    Ok(PolicyVersionRow {
        position: fields.natural("position")?,
        action: fields.text("action")?,
        policy_version: fields.natural("policy_version")?,
        rules: fields.optional_json("rules")?,
        changed_by: fields.text("changed_by")?,
        reason: fields.optional_text("reason")?,
        approval_id: fields.optional_text("approval_id")?,
        changed_at: fields.integer("changed_at")?,
    })
}
