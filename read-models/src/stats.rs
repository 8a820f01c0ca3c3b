//! The read model `stats`: how many transactions and incidents there are, by day, status, currency and severity, and
//! what the transactions amount to. Sums are exact.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use serde::Serialize;

use crate::amounts::{format_units, parse_units};
use crate::db::{ReadDb, ReadError};
use crate::sql::{Conditions, Fields, corrupt};
use crate::time;

/// Name of the projector that fills these tables.
pub const PROJECTOR: &str = "stats";
/// Most days of a series; the newest are kept.
pub const MAX_DAYS: usize = 1_000;

/// Which days (UTC), both inclusive: of a transaction's own time, of an incident's opening.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// Any time of the first day, in microseconds.
    pub start: Option<i64>,
    /// Any time of the last day, in microseconds.
    pub end: Option<i64>,
}

/// The figures of a start page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Transactions recorded.
    pub total_events: u64,
    /// Incidents opened.
    pub total_findings: u64,
    /// Incidents by their present severity.
    pub findings_by_severity: BySeverity,
    /// Transactions by day, oldest first, at most [`MAX_DAYS`].
    pub events_over_time: Vec<DayCount>,
}

/// Incidents by severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BySeverity {
    /// Worth knowing.
    pub low: u64,
    /// Worth handling in time.
    pub medium: u64,
    /// To be handled today.
    pub high: u64,
    /// To be handled now.
    pub critical: u64,
}

/// How many on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DayCount {
    /// The UTC day, `2026-11-21`.
    pub date: String,
    /// How many.
    pub count: u64,
}

/// Count and sum of transactions of one kind in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AmountCell {
    /// The day, the status, or the currency itself.
    pub key: String,
    /// ISO 4217 code: amounts of different currencies are never added.
    pub currency: String,
    /// How many.
    pub count: u64,
    /// Exact decimal sum.
    pub amount_sum: String,
}

/// Transactions in a range of days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TransactionStats {
    /// How many in all.
    pub count: u64,
    /// By day and currency, oldest first; the newest [`MAX_DAYS`] days.
    pub by_day: Vec<AmountCell>,
    /// By status and currency.
    pub by_status: Vec<AmountCell>,
    /// By currency.
    pub by_currency: Vec<AmountCell>,
}

/// How many of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CountCell {
    /// The day, severity or status.
    pub key: String,
    /// How many.
    pub count: u64,
}

/// Incidents opened in a range of days, by what they are now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IncidentStats {
    /// How many in all.
    pub count: u64,
    /// By day of opening, oldest first; the newest [`MAX_DAYS`] days.
    pub by_day: Vec<CountCell>,
    /// By severity.
    pub by_severity: Vec<CountCell>,
    /// By status.
    pub by_status: Vec<CountCell>,
}

/// The figures of a start page.
pub async fn summary(db: &ReadDb, ledger_id: &str, range: Range) -> Result<Summary, ReadError> {
    let conditions = in_range(ledger_id, range);
    let sql = format!(
        "select day, cast(sum(count) as bigint) as count from transaction_stats where {} and count > 0 \
         group by day order by day",
        conditions.sql()
    );
    let mut days = Vec::new();
    let mut total_events = 0;
    let mut rows = conditions.bind(&sql).fetch(db.readers());
    while let Some(row) = rows.try_next().await? {
        let day = DayCount { date: Fields(&row).text("day")?, count: Fields(&row).natural("count")? };
        total_events += day.count;
        days.push(day);
    }
    drop(rows);
    let events_over_time = days.split_off(days.len().saturating_sub(MAX_DAYS));
    let incidents = incidents(db, ledger_id, range).await?;
    let severity = |name: &str| incidents.by_severity.iter().find(|cell| cell.key == name).map_or(0, |cell| cell.count);
    Ok(Summary {
        total_events,
        total_findings: incidents.count,
        findings_by_severity: BySeverity {
            low: severity("low"),
            medium: severity("medium"),
            high: severity("high"),
            critical: severity("critical"),
        },
        events_over_time,
    })
}

/// Transactions by day, status and currency.
pub async fn transactions(db: &ReadDb, ledger_id: &str, range: Range) -> Result<TransactionStats, ReadError> {
    let conditions = in_range(ledger_id, range);
    let sql = format!(
        "select day, status, currency, count, amount_sum from transaction_stats where {} and count > 0 order by day",
        conditions.sql()
    );
    let (mut days, mut statuses, mut currencies) = (Amounts::default(), Amounts::default(), Amounts::default());
    let mut total = 0;
    // Cells are streamed, not paged: a sum over a part of them would be wrong.
    let mut rows = conditions.bind(&sql).fetch(db.readers());
    while let Some(row) = rows.try_next().await? {
        let fields = Fields(&row);
        let (currency, count) = (fields.text("currency")?, fields.natural("count")?);
        let units =
            parse_units(&fields.text("amount_sum")?).ok_or_else(|| corrupt("amount_sum", &"is not a number"))?;
        total += count;
        days.add(fields.text("day")?, &currency, count, units);
        days.keep_newest_days();
        statuses.add(fields.text("status")?, &currency, count, units);
        currencies.add(currency.clone(), &currency, count, units);
    }
    Ok(TransactionStats {
        count: total,
        by_day: days.cells(),
        by_status: statuses.cells(),
        by_currency: currencies.cells(),
    })
}

/// Incidents by day, severity and status.
pub async fn incidents(db: &ReadDb, ledger_id: &str, range: Range) -> Result<IncidentStats, ReadError> {
    let conditions = in_range(ledger_id, range);
    let sql = format!(
        "select day, severity, status, count from incident_stats where {} and count > 0 order by day",
        conditions.sql()
    );
    let (mut days, mut severities, mut statuses) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut total = 0;
    let mut rows = conditions.bind(&sql).fetch(db.readers());
    while let Some(row) = rows.try_next().await? {
        let fields = Fields(&row);
        let count = fields.natural("count")?;
        total += count;
        *days.entry(fields.text("day")?).or_insert(0) += count;
        *severities.entry(fields.text("severity")?).or_insert(0) += count;
        *statuses.entry(fields.text("status")?).or_insert(0) += count;
        if days.len() > MAX_DAYS {
            days.pop_first();
        }
    }
    let cells = |counts: BTreeMap<String, u64>| {
        counts.into_iter().map(|(key, count)| CountCell { key, count }).collect::<Vec<_>>()
    };
    Ok(IncidentStats { count: total, by_day: cells(days), by_severity: cells(severities), by_status: cells(statuses) })
}

fn in_range(ledger_id: &str, range: Range) -> Conditions {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.text_at_least("day", range.start.map(time::day).as_deref());
    conditions.text_at_most("day", range.end.map(time::day).as_deref());
    conditions
}

/// Sums by key and currency.
#[derive(Default)]
struct Amounts(BTreeMap<String, BTreeMap<String, (u64, i128)>>);

impl Amounts {
    fn add(&mut self, key: String, currency: &str, count: u64, units: i128) {
        let cell = self.0.entry(key).or_default().entry(currency.to_owned()).or_default();
        cell.0 += count;
        cell.1 += units;
    }

    fn keep_newest_days(&mut self) {
        if self.0.len() > MAX_DAYS {
            self.0.pop_first();
        }
    }

    fn cells(self) -> Vec<AmountCell> {
        let mut cells = Vec::new();
        for (key, currencies) in self.0 {
            for (currency, (count, units)) in currencies {
                cells.push(AmountCell { key: key.clone(), currency, count, amount_sum: format_units(units) });
            }
        }
        cells
    }
}
