//! Counts and sums by any combination of keys, from the cells that the `stats` projector keeps.
//!
//! Cells are streamed and added up here: SQL has no exact decimals that both stores share.

use std::collections::BTreeMap;

use crate::amounts::{format_units, parse_units};
use crate::stats::{MAX_DAYS, Range};
use crate::time::day;
use crate::{ReadDb, ReadError};
use futures::TryStreamExt;
use sqlx::Row;
use sqlx::any::AnyRow;

/// Sorts before every day, and after every day, in any collation: both look like days.
const ALL_DAYS: (&str, &str) = ("0000-00-00", "9999-99-99");
const TRANSACTIONS: &str = "select day, status, currency, count, amount_sum from transaction_stats \
     where ledger_id = $1 and day >= $2 and day <= $3 and count > 0";
const INCIDENTS: &str = "select day, severity, status, count from incident_stats \
     where ledger_id = $1 and day >= $2 and day <= $3 and count > 0";

/// What transactions are grouped by, besides the currency.
#[derive(Debug, Clone, Copy)]
pub struct TransactionGrouping {
    /// By the day on which they happened.
    pub day: bool,
    /// By status.
    pub status: bool,
}

/// What incidents are grouped by.
#[derive(Debug, Clone, Copy)]
pub struct IncidentGrouping {
    /// By the day on which they were opened.
    pub day: bool,
    /// By severity.
    pub severity: bool,
    /// By status.
    pub status: bool,
}

/// Transactions of one group and currency. Keys that were not grouped by are `None`.
#[derive(Debug, PartialEq, Eq)]
pub struct TransactionCell {
    /// The UTC day, `2026-11-21`.
    pub day: Option<String>,
    /// Their status.
    pub status: Option<String>,
    /// ISO 4217 code.
    pub currency: String,
    /// How many.
    pub count: u64,
    /// Exact decimal sum.
    pub amount_sum: String,
}

/// Incidents of one group. Keys that were not grouped by are `None`.
#[derive(Debug, PartialEq, Eq)]
pub struct IncidentCell {
    /// The UTC day, `2026-11-21`.
    pub day: Option<String>,
    /// Their severity.
    pub severity: Option<String>,
    /// Their status.
    pub status: Option<String>,
    /// How many.
    pub count: u64,
}

/// Transactions in a range of days by day, status and currency, ordered so; of days the newest [`MAX_DAYS`].
pub async fn transactions(
    db: &ReadDb,
    ledger_id: &str,
    range: Range,
    by: TransactionGrouping,
) -> Result<Vec<TransactionCell>, ReadError> {
    let (first, last) = days(range);
    let mut groups = Groups::default();
    let mut rows = sqlx::query(TRANSACTIONS).bind(ledger_id).bind(first).bind(last).fetch(db.readers());
    while let Some(row) = rows.try_next().await? {
        let amount: String = row.try_get("amount_sum")?;
        let units = parse_units(&amount).ok_or_else(|| corrupt("amount_sum", "is not a decimal number"))?;
        let keys = (by_key(by.status, &row, "status")?, Some(row.try_get("currency")?));
        groups.add(by_key(by.day, &row, "day")?, keys, count(&row)?, units)?;
    }
    let cells = groups.0.into_iter().flat_map(|(day, group)| {
        group.into_iter().map(move |((status, currency), (count, units))| TransactionCell {
            day: day.clone(),
            status,
            currency: currency.unwrap_or_default(),
            count,
            amount_sum: format_units(units),
        })
    });
    Ok(cells.collect())
}

/// Incidents opened in a range of days by day, severity and status, ordered so; of days the newest [`MAX_DAYS`].
pub async fn incidents(
    db: &ReadDb,
    ledger_id: &str,
    range: Range,
    by: IncidentGrouping,
) -> Result<Vec<IncidentCell>, ReadError> {
    let (first, last) = days(range);
    let mut groups = Groups::default();
    let mut rows = sqlx::query(INCIDENTS).bind(ledger_id).bind(first).bind(last).fetch(db.readers());
    while let Some(row) = rows.try_next().await? {
        let keys = (by_key(by.severity, &row, "severity")?, by_key(by.status, &row, "status")?);
        groups.add(by_key(by.day, &row, "day")?, keys, count(&row)?, 0)?;
    }
    let cells = groups.0.into_iter().flat_map(|(day, group)| {
        group.into_iter().map(move |((severity, status), (count, _))| IncidentCell {
            day: day.clone(),
            severity,
            status,
            count,
        })
    });
    Ok(cells.collect())
}

type Keys = (Option<String>, Option<String>);

/// Counts and sums by day and further keys. There are few of those keys, so bounding the days bounds it all.
#[derive(Default)]
struct Groups(BTreeMap<Option<String>, BTreeMap<Keys, (u64, i128)>>);

impl Groups {
    fn add(&mut self, day: Option<String>, keys: Keys, count: u64, units: i128) -> Result<(), ReadError> {
        let group = self.0.entry(day).or_default().entry(keys).or_default();
        let too_large = || corrupt("amount_sum", "is too large to be added");
        *group = (group.0.saturating_add(count), group.1.checked_add(units).ok_or_else(too_large)?);
        if self.0.len() > MAX_DAYS {
            self.0.pop_first();
        }
        Ok(())
    }
}

/// The days of a range, both inclusive.
fn days(range: Range) -> (String, String) {
    let or = |time: Option<i64>, open: &str| time.map_or_else(|| open.to_owned(), day);
    (or(range.start, ALL_DAYS.0), or(range.end, ALL_DAYS.1))
}

fn by_key(wanted: bool, row: &AnyRow, column: &str) -> Result<Option<String>, ReadError> {
    if wanted { Ok(Some(row.try_get(column)?)) } else { Ok(None) }
}

fn count(row: &AnyRow) -> Result<u64, ReadError> {
    let count: i64 = row.try_get("count")?;
    u64::try_from(count).map_err(|_| corrupt("count", "is negative"))
}

fn corrupt(column: &str, why: &str) -> ReadError {
    ReadError::Corrupt { column: column.to_owned(), why: why.to_owned() }
}
