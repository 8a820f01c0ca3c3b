//! Figures over requests for approval: how many, how long they took, who decided. Each is counted from the rows of the
//! read model `approvals`, and so can be counted again from the ledger.

use crate::approvals::ApprovalFilter;
use crate::db::{ReadDb, ReadError};
use crate::sql::{Conditions, Fields};

/// Most deciders that are told; those who decided most come first.
pub const MAX_DECIDERS: u32 = 500;
/// A request that was decided by votes: broken glass was no decision.
const BY_VOTE: &str = "decision in ('approved', 'rejected')";

/// How many requests of one action have one status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionCount {
    /// The action.
    pub action: String,
    /// The status.
    pub status: String,
    /// How many.
    pub count: u64,
    /// How many of them were escalated.
    pub escalated: u64,
}

/// How long decisions took, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeToDecide {
    /// How many decisions.
    pub count: u64,
    /// Their times added up.
    pub sum: u64,
    /// Half of them took no longer (nearest rank).
    pub p50: u64,
    /// Nine in ten took no longer (nearest rank).
    pub p90: u64,
}

impl TimeToDecide {
    /// The mean time, in microseconds.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }
}

/// What one person decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeciderCount {
    /// Opaque id of the account whose votes decided.
    pub decided_by: String,
    /// Requests approved.
    pub approved: u64,
    /// Requests rejected.
    pub rejected: u64,
}

/// Figures over the requests that match a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalFigures {
    /// By action and status, in the order of these words.
    pub counts: Vec<ActionCount>,
    /// How many are overdue now.
    pub overdue: u64,
    /// `None` where nothing was decided.
    pub time_to_decide: Option<TimeToDecide>,
    /// Who decided, most decisions first.
    pub deciders: Vec<DeciderCount>,
}

/// The figures over the requests that match, at the time of the filter.
pub async fn figures(db: &ReadDb, ledger_id: &str, filter: &ApprovalFilter) -> Result<ApprovalFigures, ReadError> {
    let conditions = filter.conditions(ledger_id);
    let overdue = {
        let mut conditions = conditions.clone();
        conditions.at_most("overdue_at", Some(filter.now));
        let sql = format!("select count(*) as total from approvals where {}", conditions.sql());
        Fields(&conditions.bind(&sql).fetch_one(db.readers()).await?).natural("total")?
    };
    Ok(ApprovalFigures {
        counts: counts(db, &conditions).await?,
        overdue,
        time_to_decide: time_to_decide(db, &conditions).await?,
        deciders: deciders(db, &conditions).await?,
    })
}

async fn counts(db: &ReadDb, conditions: &Conditions) -> Result<Vec<ActionCount>, ReadError> {
    let sql = format!(
        "select action, status, count(*) as total, \
             cast(sum(case when escalation_level > 0 then 1 else 0 end) as bigint) as escalated \
         from approvals where {} group by action, status order by action, status",
        conditions.sql()
    );
    let rows = conditions.bind(&sql).fetch_all(db.readers()).await?;
    let count = |fields: Fields<'_>| {
        Ok(ActionCount {
            action: fields.text("action")?,
            status: fields.text("status")?,
            count: fields.natural("total")?,
            escalated: fields.natural("escalated")?,
        })
    };
    rows.iter().map(|row| count(Fields(row))).collect()
}

async fn time_to_decide(db: &ReadDb, conditions: &Conditions) -> Result<Option<TimeToDecide>, ReadError> {
    let decided = format!("{} and decided_after is not null and {BY_VOTE}", conditions.sql());
    let sql = format!(
        "select count(*) as total, cast(coalesce(sum(decided_after), 0) as bigint) as added from approvals where {decided}"
    );
    let row = conditions.bind(&sql).fetch_one(db.readers()).await?;
    let (count, sum) = (Fields(&row).natural("total")?, Fields(&row).natural("added")?);
    let Some(p50) = ranked(db, conditions, &decided, rank(count, 50)).await? else { return Ok(None) };
    let Some(p90) = ranked(db, conditions, &decided, rank(count, 90)).await? else { return Ok(None) };
    Ok(Some(TimeToDecide { count, sum, p50, p90 }))
}

/// The 0-based place of a percentile among `count` values: the nearest rank.
fn rank(count: u64, percent: u64) -> u64 {
    count.saturating_mul(percent).div_ceil(100).saturating_sub(1)
}

async fn ranked(db: &ReadDb, conditions: &Conditions, decided: &str, place: u64) -> Result<Option<u64>, ReadError> {
    let sql =
        format!("select decided_after from approvals where {decided} order by decided_after limit 1 offset {place}");
    let row = conditions.bind(&sql).fetch_optional(db.readers()).await?;
    row.as_ref().map(|row| Fields(row).natural("decided_after")).transpose()
}

async fn deciders(db: &ReadDb, conditions: &Conditions) -> Result<Vec<DeciderCount>, ReadError> {
    let sql = format!(
        "select decided_by, \
             cast(sum(case when decision = 'approved' then 1 else 0 end) as bigint) as approved, \
             cast(sum(case when decision = 'rejected' then 1 else 0 end) as bigint) as rejected \
         from approvals where {} and decided_by is not null and {BY_VOTE} \
         group by decided_by order by count(*) desc, decided_by limit {MAX_DECIDERS}",
        conditions.sql()
    );
    let rows = conditions.bind(&sql).fetch_all(db.readers()).await?;
    let count = |fields: Fields<'_>| {
        Ok(DeciderCount {
            decided_by: fields.text("decided_by")?,
            approved: fields.natural("approved")?,
            rejected: fields.natural("rejected")?,
        })
    };
    rows.iter().map(|row| count(Fields(row))).collect()
}

#[cfg(test)]
mod tests {
    use super::rank;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let places = |count| (rank(count, 50), rank(count, 90));
        assert_eq!(places(0), (0, 0));
        assert_eq!(places(1), (0, 0));
        assert_eq!(places(2), (0, 1));
        assert_eq!(places(10), (4, 8));
        assert_eq!(places(11), (5, 9));
        assert_eq!(places(100), (49, 89));
    }
}
