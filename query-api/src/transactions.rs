//! Transactions as they are now, and how they came to be so.

use actix_web::{HttpResponse, web};
use daybook_http_kit::permission::TransactionRead;
use daybook_http_kit::sealer::TRANSACTION_NOTE;
use daybook_http_kit::{Allowed, AtLeast, Listing, NoQuery, PageParameters, Problem, Scoped, if_match};
use daybook_read_models::transactions::{self, PROJECTOR, TransactionChangeRow, TransactionFilter, TransactionRow};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::answer::AnswerAt;
use crate::free_text;
use crate::freshness::{self, failed};
use crate::parameters::{ListQuery, amount, can_be_id, ordered, text, word};
use crate::state::QueryState;
use crate::time::{self, Edge, rfc3339};

const STATUSES: [&str; 4] = ["pending", "completed", "failed", "reversed"];
/// Changes that come with a transaction; the ledger has the rest.
const MAX_HISTORY: u32 = 500;

/// A transaction as it is now.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransactionView {
    /// The client's number of the transaction.
    #[schema(example = "TX-1001")]
    transaction_id: String,
    /// Exact decimal, as the client wrote it.
    #[schema(example = "1234.50")]
    amount: String,
    /// ISO 4217 code.
    #[schema(example = "EUR")]
    currency: String,
    /// When it happened.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    timestamp: String,
    /// Where the timestamp is from: `client`, `received` or `correction`.
    #[schema(example = "client")]
    timestamp_source: String,
    /// `pending`, `completed`, `failed` or `reversed`.
    #[schema(example = "completed")]
    status: String,
    /// The account it belongs to.
    #[schema(example = "ACC-0001")]
    account: Option<String>,
    /// The other side.
    #[schema(example = "ACC-0002")]
    counterparty: Option<String>,
    /// Its kind.
    #[schema(example = "wire")]
    transaction_type: Option<String>,
    /// The client's further fields.
    #[schema(value_type = Object)]
    meta: Value,
    /// Where the record came from.
    source: Option<String>,
    /// Version of its stream, for `If-Match`.
    #[schema(example = 1)]
    version: u64,
    /// Position of the entry that recorded it.
    #[schema(example = 41)]
    first_position: u64,
    /// Position of its newest entry.
    #[schema(example = 41)]
    last_position: u64,
    /// When it was recorded.
    #[schema(example = "2026-11-21T10:00:01.000000Z")]
    recorded_at: String,
    /// When its newest entry was recorded.
    #[schema(example = "2026-11-21T10:00:01.000000Z")]
    updated_at: String,
    /// Entries that corrected it.
    #[schema(example = 0)]
    correction_count: u64,
    /// Notes on it.
    #[schema(example = 0)]
    note_count: u64,
}

impl From<TransactionRow> for TransactionView {
    fn from(row: TransactionRow) -> Self {
        Self {
            transaction_id: row.transaction_id,
            amount: row.amount,
            currency: row.currency,
            timestamp: rfc3339(row.timestamp),
            timestamp_source: row.timestamp_source,
            status: row.status,
            account: row.account,
            counterparty: row.counterparty,
            transaction_type: row.transaction_type,
            meta: row.meta,
            source: row.source,
            version: row.version,
            first_position: row.first_position,
            last_position: row.last_position,
            recorded_at: rfc3339(row.recorded_at),
            updated_at: rfc3339(row.updated_at),
            correction_count: row.correction_count,
            note_count: row.note_count,
        }
    }
}

/// One change of a transaction.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TransactionChange {
    /// Position of the entry that holds it.
    #[schema(example = 57)]
    position: u64,
    /// `correction`, `status_change` or `note`.
    #[schema(example = "correction")]
    kind: String,
    /// The field that changed; null for a note.
    #[schema(example = "amount")]
    field: Option<String>,
    /// The value before, as text; JSON for `meta`; null where it was empty.
    #[schema(example = "1234.50")]
    old_value: Option<String>,
    /// The value after.
    #[schema(example = "1243.50")]
    new_value: Option<String>,
    /// Why, or the text of a note; `erased` in place of a note whose author was erased.
    reason: Option<String>,
    /// The id of a note.
    note_id: Option<String>,
    /// `human`, `agent` or `system`.
    #[schema(example = "human")]
    actor_kind: String,
    /// Opaque id of who did it.
    #[schema(example = "usr_5f1d3c2b4a59687786950413")]
    actor_id: String,
    /// When.
    #[schema(example = "2026-11-21T10:05:00.000000Z")]
    recorded_at: String,
}

impl TransactionChange {
    fn new(row: TransactionChangeRow, reason: Option<String>) -> Self {
        Self {
            position: row.position,
            kind: row.kind,
            field: row.field,
            old_value: row.old_value,
            new_value: row.new_value,
            reason,
            note_id: row.note_id,
            actor_kind: row.actor_kind,
            actor_id: row.actor_id,
            recorded_at: rfc3339(row.recorded_at),
        }
    }
}

/// A transaction with everything that was done to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransactionDetail {
    #[serde(flatten)]
    transaction: TransactionView,
    /// What was corrected, oldest first.
    corrections: Vec<TransactionChange>,
    /// The notes on it, oldest first.
    notes: Vec<TransactionChange>,
    /// Every change, oldest first: at most 500. The ledger's stream has them all.
    history: Vec<TransactionChange>,
    /// How many changes there are in all.
    #[schema(example = 0)]
    history_total: u64,
}

/// Which transactions. Everything given must match; text matches exactly unless it says otherwise.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TransactionParameters {
    /// `pending`, `completed`, `failed` or `reversed`.
    #[param(example = "completed")]
    status: Option<String>,
    /// ISO 4217 code.
    #[param(example = "EUR")]
    currency: Option<String>,
    /// The account it belongs to.
    account: Option<String>,
    /// The other side.
    counterparty: Option<String>,
    /// Its kind.
    #[param(example = "wire")]
    transaction_type: Option<String>,
    /// Another name for `transaction_type`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Where the record came from.
    source: Option<String>,
    /// Smallest amount, inclusive.
    #[param(example = "1000.00")]
    min_amount: Option<String>,
    /// Largest amount, inclusive.
    #[param(example = "5000.00")]
    max_amount: Option<String>,
    /// Happened at this time or later: RFC 3339, or a date.
    #[param(example = "2026-11-01")]
    start: Option<String>,
    /// Happened at this time or earlier: RFC 3339, or a date, which includes that day.
    #[param(example = "2026-11-30")]
    end: Option<String>,
    /// Part of the transaction id, whatever the case.
    q: Option<String>,
}

impl TransactionParameters {
    fn filter(self) -> Result<TransactionFilter, Problem> {
        let (kind, transaction_type) = (text("type", self.kind)?, text("transaction_type", self.transaction_type)?);
        if kind.is_some() && transaction_type.is_some() && kind != transaction_type {
            return Err(crate::parameters::invalid("type", "must not differ from transaction_type"));
        }
        let filter = TransactionFilter {
            status: word("status", self.status, &STATUSES, &[])?,
            currency: text("currency", self.currency)?.map(|currency| currency.to_uppercase()),
            account: text("account", self.account)?,
            counterparty: text("counterparty", self.counterparty)?,
            transaction_type: transaction_type.or(kind),
            source: text("source", self.source)?,
            min_amount: amount("min_amount", self.min_amount)?,
            max_amount: amount("max_amount", self.max_amount)?,
            start: time::parameter("start", self.start.as_deref(), Edge::Start)?,
            end: time::parameter("end", self.end.as_deref(), Edge::End)?,
            q: text("q", self.q)?,
        };
        ordered("end", filter.start, filter.end)?;
        Ok(filter)
    }
}

/// List transactions
///
/// Transactions, newest recorded first.
#[utoipa::path(get, path = "/v1/transactions", tag = "transactions", operation_id = "list_transactions",
    params(TransactionParameters, PageParameters),
    responses((status = 200, description = "A page of transactions", body = Listing<TransactionView>)))]
pub async fn list(
    _: Allowed<TransactionRead>,
    at_least: AtLeast,
    query: ListQuery<TransactionParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let filter = query.filter.filter()?;
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let found = transactions::list(&state.db, state.ledger_id(), &filter, &query.page).await.map_err(failed)?;
    Ok(HttpResponse::Ok().position(seen).json(Listing {
        items: found.items.into_iter().map(TransactionView::from).collect(),
        next_cursor: found.next_cursor.map(|cursor| cursor.to_string()),
        total: found.total,
    }))
}

/// Read one transaction
///
/// One transaction with its corrections, notes and history. `ETag` is its version, for `If-Match`.
#[utoipa::path(get, path = "/v1/transactions/{transaction_id}", tag = "transactions", operation_id = "get_transaction",
    params(("transaction_id" = String, Path, description = "The client's number of it", example = "TX-1001")),
    responses((status = 200, description = "The transaction", body = TransactionDetail,
        headers(("ETag" = String, description = "Its version in quotation marks")))))]
pub async fn get(
    _: Allowed<TransactionRead>,
    _: NoQuery,
    at_least: AtLeast,
    transaction_id: web::Path<String>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let unknown = || Problem::not_found("transaction.not_found", "there is no transaction of that id");
    if !can_be_id(&transaction_id) {
        return Err(unknown());
    }
    let seen = freshness::wait(&state, at_least, PROJECTOR).await?;
    let row =
        transactions::get(&state.db, state.ledger_id(), &transaction_id).await.map_err(failed)?.ok_or_else(unknown)?;
    let (mut changes, history_total) =
        transactions::changes(&state.db, state.ledger_id(), &transaction_id, 0, MAX_HISTORY).await.map_err(failed)?;
    let reasons = changes.iter_mut().map(|change| change.reason.take()).collect();
    let reasons = free_text::shown(&state, TRANSACTION_NOTE, reasons).await?;
    let history: Vec<TransactionChange> =
        changes.into_iter().zip(reasons).map(|(change, reason)| TransactionChange::new(change, reason)).collect();
    let of_kind =
        |kind: &str| history.iter().filter(|change| change.kind == kind).cloned().collect::<Vec<TransactionChange>>();
    Ok(HttpResponse::Ok().position(seen).insert_header(if_match::entity_tag(row.version)).json(TransactionDetail {
        corrections: of_kind("correction"),
        notes: of_kind("note"),
        transaction: row.into(),
        history_total,
        history,
    }))
}
