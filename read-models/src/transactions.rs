//! The read model `transactions`: each transaction as it is now, and what was changed about it.

use serde::Serialize;
use serde_json::Value;

use crate::db::{ReadDb, ReadError};
use crate::free_text::FreeText;
use crate::page::{Page, PageRequest};
use crate::sql::{Conditions, Fields, fetch_changes, fetch_one, fetch_page};
use crate::time;

/// Name of the projector that fills these tables.
pub const PROJECTOR: &str = "transactions";
const COLUMNS: &str = "transaction_id, amount, currency, timestamp, timestamp_source, status, account, counterparty, \
     transaction_type, meta, source, first_position, last_position, version, recorded_at, updated_at, \
     correction_count, note_count";
const CHANGE_COLUMNS: &str = "position, ordinal, transaction_id, kind, field, old_value, new_value, reason, note_id, \
     actor_kind, actor_id, recorded_at";

/// A transaction as it is now. Times serialise as RFC 3339.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TransactionRow {
    /// The client's number of the transaction.
    pub transaction_id: String,
    /// Exact decimal as the client wrote it.
    pub amount: String,
    /// ISO 4217 code.
    pub currency: String,
    /// When it happened, in microseconds.
    #[serde(serialize_with = "time::serialize")]
    pub timestamp: i64,
    /// `client`, `received` or `correction`.
    pub timestamp_source: String,
    /// `pending`, `completed`, `failed` or `reversed`.
    pub status: String,
    /// The account it belongs to.
    pub account: Option<String>,
    /// The other side.
    pub counterparty: Option<String>,
    /// wire, ach, trade, ...
    pub transaction_type: Option<String>,
    /// The client's further fields; always an object.
    pub meta: Value,
    /// Where the record came from.
    pub source: Option<String>,
    /// Position of the entry that recorded it.
    pub first_position: u64,
    /// Position of its newest entry.
    pub last_position: u64,
    /// Version of its stream.
    pub version: u64,
    /// When it was recorded, in microseconds.
    #[serde(serialize_with = "time::serialize")]
    pub recorded_at: i64,
    /// When its newest entry was recorded, in microseconds.
    #[serde(serialize_with = "time::serialize")]
    pub updated_at: i64,
    /// Entries that corrected it.
    pub correction_count: u64,
    /// Notes on it.
    pub note_count: u64,
}

/// One change of a transaction: a corrected field, a new status, or a note.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TransactionChangeRow {
    /// Position of the entry.
    pub position: u64,
    /// 0-based place among the changes of that entry.
    pub ordinal: u64,
    /// Which transaction.
    pub transaction_id: String,
    /// `correction`, `status_change` or `note`.
    pub kind: String,
    /// The field that changed; `None` for a note.
    pub field: Option<String>,
    /// The value before, as text; JSON for `meta`; `None` where it was empty.
    pub old_value: Option<String>,
    /// The value after.
    pub new_value: Option<String>,
    /// Why, or the text of a note. Notes of people are sealed.
    pub reason: Option<FreeText>,
    /// The id of a note.
    pub note_id: Option<String>,
    /// `human`, `agent` or `system`.
    pub actor_kind: String,
    /// Opaque id of who did it.
    pub actor_id: String,
    /// When, in microseconds.
    #[serde(serialize_with = "time::serialize")]
    pub recorded_at: i64,
}

/// Which transactions. Everything given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    /// Exact status.
    pub status: Option<String>,
    /// Exact currency.
    pub currency: Option<String>,
    /// Exact account.
    pub account: Option<String>,
    /// Exact counterparty.
    pub counterparty: Option<String>,
    /// Exact type.
    pub transaction_type: Option<String>,
    /// Exact source.
    pub source: Option<String>,
    /// Smallest amount, as a decimal number with at most 8 decimals (`1234.50`).
    pub min_amount: Option<String>,
    /// Largest amount.
    pub max_amount: Option<String>,
    /// Earliest timestamp, inclusive, in microseconds.
    pub start: Option<i64>,
    /// Latest timestamp, inclusive, in microseconds.
    pub end: Option<i64>,
    /// Part of the transaction id, whatever the case.
    pub q: Option<String>,
}

/// The transactions that match, newest recorded first.
pub async fn list(
    db: &ReadDb,
    ledger_id: &str,
    filter: &TransactionFilter,
    page: &PageRequest,
) -> Result<Page<TransactionRow>, ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.equals("status", filter.status.as_deref());
    conditions.equals("currency", filter.currency.as_deref());
    conditions.equals("account", filter.account.as_deref());
    conditions.equals("counterparty", filter.counterparty.as_deref());
    conditions.equals("transaction_type", filter.transaction_type.as_deref());
    conditions.equals("source", filter.source.as_deref());
    conditions.amount_at_least("amount_key", filter.min_amount.as_deref());
    conditions.amount_at_most("amount_key", filter.max_amount.as_deref());
    conditions.at_least("timestamp", filter.start);
    conditions.at_most("timestamp", filter.end);
    conditions.contains("search_text", filter.q.as_deref());
    fetch_page(db, "transactions", COLUMNS, "first_position", conditions, page, row, |row| row.first_position).await
}

/// One transaction.
pub async fn get(db: &ReadDb, ledger_id: &str, transaction_id: &str) -> Result<Option<TransactionRow>, ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.equals("transaction_id", Some(transaction_id));
    fetch_one(db, "transactions", COLUMNS, conditions, row).await
}

/// The changes of one transaction, oldest first, and how many there are. `limit` is brought into 1 to 500.
pub async fn changes(
    db: &ReadDb,
    ledger_id: &str,
    transaction_id: &str,
    offset: u64,
    limit: u32,
) -> Result<(Vec<TransactionChangeRow>, u64), ReadError> {
    let mut conditions = Conditions::in_ledger(ledger_id);
    conditions.equals("transaction_id", Some(transaction_id));
    let order = "position, ordinal";
    fetch_changes(db, "transaction_changes", CHANGE_COLUMNS, order, conditions, offset, limit, change).await
}

fn row(fields: &Fields<'_>) -> Result<TransactionRow, ReadError> {
    Ok(TransactionRow {
        transaction_id: fields.text("transaction_id")?,
        amount: fields.text("amount")?,
        currency: fields.text("currency")?,
        timestamp: fields.integer("timestamp")?,
        timestamp_source: fields.text("timestamp_source")?,
        status: fields.text("status")?,
        account: fields.optional_text("account")?,
        counterparty: fields.optional_text("counterparty")?,
        transaction_type: fields.optional_text("transaction_type")?,
        meta: fields.json("meta")?,
        source: fields.optional_text("source")?,
        first_position: fields.natural("first_position")?,
        last_position: fields.natural("last_position")?,
        version: fields.natural("version")?,
        recorded_at: fields.integer("recorded_at")?,
        updated_at: fields.integer("updated_at")?,
        correction_count: fields.natural("correction_count")?,
        note_count: fields.natural("note_count")?,
    })
}

fn change(fields: &Fields<'_>) -> Result<TransactionChangeRow, ReadError> {
    Ok(TransactionChangeRow {
        position: fields.natural("position")?,
        ordinal: fields.natural("ordinal")?,
        transaction_id: fields.text("transaction_id")?,
        kind: fields.text("kind")?,
        field: fields.optional_text("field")?,
        old_value: fields.optional_text("old_value")?,
        new_value: fields.optional_text("new_value")?,
        reason: fields.optional_free_text("reason")?,
        note_id: fields.optional_text("note_id")?,
        actor_kind: fields.text("actor_kind")?,
        actor_id: fields.text("actor_id")?,
        recorded_at: fields.integer("recorded_at")?,
    })
}
