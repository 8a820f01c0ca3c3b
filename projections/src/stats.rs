//! The projector `stats`: counts and exact sums by day, status, currency and severity.
//!
//! Corrections and changes of status move a transaction from one cell to another. To know where it was, the projector
//! keeps the cell of each transaction and incident in tables of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use daybook_domain::transaction::TransactionChange;
use daybook_domain::{Amount, AnyEvent, IncidentEvent, TransactionEvent};
use daybook_ledger::entry::Entry;
use daybook_read_models::amounts::{format_units, parse_units};
use daybook_read_models::time::day;
use sqlx::{AnyConnection, Row};

use crate::error::FoldError;
use crate::kept::known_before;
use crate::projector::{DecodedEntry, Interest, Projector, TableDefinition, TableNames};
use crate::rows::{RowWriter, Value, load};

/// Answers: how many, and how much?
#[derive(Debug, Clone, Copy)]
pub struct Stats;

const TABLES: &[TableDefinition] = &[
    TableDefinition { name: "transaction_stats", ddl: include_str!("../../migrations/read/transaction_stats.sql") },
    TableDefinition {
        name: "transaction_stats_keys",
        ddl: include_str!("../../migrations/read/transaction_stats_keys.sql"),
    },
    TableDefinition { name: "incident_stats", ddl: include_str!("../../migrations/read/incident_stats.sql") },
    TableDefinition { name: "incident_stats_keys", ddl: include_str!("../../migrations/read/incident_stats_keys.sql") },
];

const TRANSACTION_CELLS: RowWriter = RowWriter {
    columns: &["ledger_id", "cell", "day", "status", "currency", "count", "amount_sum"],
    key: &["ledger_id", "cell"],
};
const TRANSACTION_KEYS: RowWriter = RowWriter {
    columns: &["ledger_id", "transaction_id", "day", "status", "currency", "amount"],
    key: &["ledger_id", "transaction_id"],
};
const INCIDENT_CELLS: RowWriter =
    RowWriter { columns: &["ledger_id", "cell", "day", "severity", "status", "count"], key: &["ledger_id", "cell"] };
const INCIDENT_KEYS: RowWriter = RowWriter {
    columns: &["ledger_id", "incident_id", "day", "severity", "status"],
    key: &["ledger_id", "incident_id"],
};

/// Day, and two more words: status and currency, or severity and status.
type Cell = (String, String, String);

/// Where something is counted, and with what amount in units of 10⁻⁸.
#[derive(Clone, PartialEq)]
struct Place {
    cell: Cell,
    units: i128,
}

/// What a batch does to the cells of one kind.
#[derive(Default)]
struct Moves {
    places: HashMap<String, Place>,
    changes: BTreeMap<Cell, (i64, i128)>,
}

impl Moves {
    /// Counts `id` at `place`, and no longer where it was.
    fn put(&mut self, id: &str, place: Place) {
        if let Some(before) = self.places.get(id).cloned() {
            self.add(before.cell, -1, -before.units);
        }
        self.add(place.cell.clone(), 1, place.units);
        self.places.insert(id.to_owned(), place);
    }

    fn add(&mut self, cell: Cell, count: i64, units: i128) {
        let change = self.changes.entry(cell).or_default();
        change.0 += count;
        change.1 += units;
    }
}

#[async_trait]
impl Projector for Stats {
    fn name(&self) -> &'static str {
        daybook_read_models::stats::PROJECTOR
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [TableDefinition] {
        TABLES
    }

    fn interest(&self, stream_type: &str) -> Interest {
        if matches!(stream_type, "transaction" | "incident") { Interest::Decoded } else { Interest::Ignored }
    }

    async fn fold(
        &self,
        connection: &mut AnyConnection,
        tables: &TableNames,
        ledger_id: &str,
        batch: &[DecodedEntry],
    ) -> Result<(), FoldError> {
        let mut transactions = Moves::default();
        let mut incidents = Moves::default();
        let known = known_before(batch, "transaction");
        load_transaction_keys(connection, tables, ledger_id, &known, &mut transactions.places).await?;
        let known = known_before(batch, "incident");
        load_incident_keys(connection, tables, ledger_id, &known, &mut incidents.places).await?;
        let mut touched = (BTreeSet::new(), BTreeSet::new());
        for DecodedEntry { entry, event } in batch {
            let id = entry.stream.stream_id.as_str();
            match event {
                Some(AnyEvent::Transaction(event)) => {
                    if let Some(place) = transaction_place(transactions.places.get(id), event) {
                        transactions.put(id, place);
                        touched.0.insert(id);
                    }
                }
                Some(AnyEvent::Incident(event)) => {
                    if let Some(place) = incident_place(incidents.places.get(id), entry, event) {
                        incidents.put(id, place);
                        touched.1.insert(id);
                    }
                }
                // What the ledger says of itself, and who may do what, is not counted.
                Some(
                    AnyEvent::Ledger(_)
                    | AnyEvent::SigningKey(_)
                    | AnyEvent::Organization(_)
                    | AnyEvent::Department(_)
                    | AnyEvent::Role(_)
                    | AnyEvent::Permission(_)
                    | AnyEvent::User(_)
                    | AnyEvent::Session(_)
                    | AnyEvent::ApiKey(_)
                    | AnyEvent::Access(_)
                    | AnyEvent::LegalHold(_)
                    | AnyEvent::RetentionRule(_)
                    | AnyEvent::Erasure(_)
                    | AnyEvent::ApprovalPolicy(_)
                    | AnyEvent::Delegation(_)
                    | AnyEvent::Approval(_)
                    | AnyEvent::Export(_)
                    | AnyEvent::ExportSchedule(_),
                )
                | None => {}
            }
        }
        write_transactions(connection, tables, ledger_id, &transactions, &touched.0).await?;
        write_incidents(connection, tables, ledger_id, &incidents, &touched.1).await
    }
}

/// Where the transaction is counted after the event; `None` where the event does not change that.
fn transaction_place(before: Option<&Place>, event: &TransactionEvent) -> Option<Place> {
    if let TransactionEvent::Recorded(content) = event {
        let cell = (day(content.timestamp.micros()), content.status.to_string(), content.currency.to_string());
        return Some(Place { cell, units: units(content.amount) });
    }
    // Not counted before: its record was pruned.
    let mut place = before?.clone();
    match event {
        TransactionEvent::StatusChanged(event) => place.cell.1 = event.to.to_string(),
        TransactionEvent::Corrected(event) => {
            for change in &event.changes {
                match change {
                    TransactionChange::Timestamp { new, .. } => place.cell.0 = day(new.micros()),
                    TransactionChange::Currency { new, .. } => place.cell.2 = new.to_string(),
                    TransactionChange::Amount { new, .. } => place.units = units(*new),
                    TransactionChange::Account { .. }
                    | TransactionChange::Counterparty { .. }
                    | TransactionChange::TransactionType { .. }
                    | TransactionChange::Meta { .. } => {}
                }
            }
        }
        TransactionEvent::Recorded(_) | TransactionEvent::NoteAdded(_) => {}
    }
    (Some(&place) != before).then_some(place)
}

fn incident_place(before: Option<&Place>, entry: &Entry, event: &IncidentEvent) -> Option<Place> {
    if let IncidentEvent::Opened(content) = event {
        let cell = (day(entry.recorded_at), content.severity.to_string(), "open".to_owned());
        return Some(Place { cell, units: 0 });
    }
    let mut place = before?.clone();
    if let IncidentEvent::SeverityChanged(event) = event {
        place.cell.1 = event.to.to_string();
    }
    if let Some(status) = event.status_after() {
        place.cell.2 = status.to_string();
    }
    (Some(&place) != before).then_some(place)
}

/// The amount in units of 10⁻⁸.
fn units(amount: Amount) -> i128 {
    let decimal = amount.decimal();
    let missing = daybook_read_models::amounts::DECIMALS.saturating_sub(decimal.scale());
    decimal.mantissa().saturating_mul(10_i128.saturating_pow(missing))
}

fn cell_text(cell: &Cell) -> String {
    format!("{}|{}|{}", cell.0, cell.1, cell.2)
}

fn read_units(text: &str) -> Result<i128, FoldError> {
    parse_units(text).ok_or_else(|| FoldError::Inconsistent(format!("{text} is not an amount")))
}

async fn load_transaction_keys(
    connection: &mut AnyConnection,
    tables: &TableNames,
    ledger_id: &str,
    ids: &[&str],
    places: &mut HashMap<String, Place>,
) -> Result<(), FoldError> {
    let table = tables.of("transaction_stats_keys");
    for row in load(connection, &table, TRANSACTION_KEYS.columns, "transaction_id", ledger_id, ids).await? {
        let cell = (row.try_get("day")?, row.try_get("status")?, row.try_get("currency")?);
        let units = read_units(&row.try_get::<String, _>("amount")?)?;
        places.insert(row.try_get("transaction_id")?, Place { cell, units });
    }
    Ok(())
}

async fn load_incident_keys(
    connection: &mut AnyConnection,
    tables: &TableNames,
    ledger_id: &str,
    ids: &[&str],
    places: &mut HashMap<String, Place>,
) -> Result<(), FoldError> {
    let table = tables.of("incident_stats_keys");
    for row in load(connection, &table, INCIDENT_KEYS.columns, "incident_id", ledger_id, ids).await? {
        let cell = (row.try_get("day")?, row.try_get("severity")?, row.try_get("status")?);
        places.insert(row.try_get("incident_id")?, Place { cell, units: 0 });
    }
    Ok(())
}

async fn write_transactions(
    connection: &mut AnyConnection,
    tables: &TableNames,
    ledger_id: &str,
    moves: &Moves,
    touched: &BTreeSet<&str>,
) -> Result<(), FoldError> {
    let table = tables.of("transaction_stats");
    let names: Vec<String> = moves.changes.keys().map(cell_text).collect();
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut sums: HashMap<String, (i64, i128)> = HashMap::with_capacity(wanted.len());
    for row in load(connection, &table, &["cell", "count", "amount_sum"], "cell", ledger_id, &wanted).await? {
        let units = read_units(&row.try_get::<String, _>("amount_sum")?)?;
        sums.insert(row.try_get("cell")?, (row.try_get("count")?, units));
    }
    let mut cells = Vec::with_capacity(names.len());
    for (name, (cell, change)) in names.iter().zip(&moves.changes) {
        let before = sums.get(name).copied().unwrap_or_default();
        cells.push((name, cell, counted(name, before.0, change.0)?, format_units(before.1 + change.1)));
    }
    let rows: Vec<Vec<Value<'_>>> = cells
        .iter()
        .map(|(name, cell, count, sum)| {
            let (day, status, currency) = cell;
            vec![
                ledger_id.into(),
                (*name).into(),
                day.into(),
                status.into(),
                currency.into(),
                (*count).into(),
                sum.into(),
            ]
        })
        .collect();
    TRANSACTION_CELLS.write(connection, &table, &rows).await?;
    let rows: Vec<Vec<Value<'_>>> = touched
        .iter()
        .filter_map(|id| moves.places.get(*id).map(|place| (*id, place)))
        .map(|(id, Place { cell: (day, status, currency), units })| {
            let amount = Value::Text(format_units(*units).into());
            vec![ledger_id.into(), id.into(), day.into(), status.into(), currency.into(), amount]
        })
        .collect();
    TRANSACTION_KEYS.write(connection, &tables.of("transaction_stats_keys"), &rows).await
}

async fn write_incidents(
    connection: &mut AnyConnection,
    tables: &TableNames,
    ledger_id: &str,
    moves: &Moves,
    touched: &BTreeSet<&str>,
) -> Result<(), FoldError> {
    let table = tables.of("incident_stats");
    let names: Vec<String> = moves.changes.keys().map(cell_text).collect();
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut counts: HashMap<String, i64> = HashMap::with_capacity(wanted.len());
    for row in load(connection, &table, &["cell", "count"], "cell", ledger_id, &wanted).await? {
        counts.insert(row.try_get("cell")?, row.try_get("count")?);
    }
    let mut rows: Vec<Vec<Value<'_>>> = Vec::with_capacity(names.len());
    for (name, ((day, severity, status), change)) in names.iter().zip(&moves.changes) {
        let count = counted(name, counts.get(name).copied().unwrap_or(0), change.0)?;
        rows.push(vec![ledger_id.into(), name.into(), day.into(), severity.into(), status.into(), count.into()]);
    }
    INCIDENT_CELLS.write(connection, &table, &rows).await?;
    let rows: Vec<Vec<Value<'_>>> = touched
        .iter()
        .filter_map(|id| moves.places.get(*id).map(|place| (*id, place)))
        .map(|(id, Place { cell: (day, severity, status), .. })| {
            vec![ledger_id.into(), id.into(), day.into(), severity.into(), status.into()]
        })
        .collect();
    INCIDENT_KEYS.write(connection, &tables.of("incident_stats_keys"), &rows).await
}

/// A count can only fall below zero where something was counted out that was never counted in.
fn counted(cell: &str, before: i64, change: i64) -> Result<i64, FoldError> {
    let count = before + change;
    if count < 0 {
        return Err(FoldError::Inconsistent(format!("cell {cell} would count {count}")));
    }
    Ok(count)
}
