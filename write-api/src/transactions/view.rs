//! A transaction as commands answer it.

use daybook_domain::Transaction;
use daybook_ledger::commands::Outcome;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use daybook_http_kit::answer::Recorded;

/// A transaction as it is after the command.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = TransactionState)]
pub struct TransactionView {
    /// The client's number of it.
    #[schema(example = "LT-000001")]
    pub transaction_id: String,
    /// Exact decimal, as it was written.
    #[schema(example = "1234.50")]
    pub amount: Option<String>,
    /// ISO 4217 code.
    #[schema(example = "USD")]
    pub currency: Option<String>,
    /// When it happened.
    pub timestamp: Option<String>,
    /// `client`, `received` or `correction`.
    pub timestamp_source: Option<&'static str>,
    /// `pending`, `completed`, `failed` or `reversed`.
    pub status: Option<&'static str>,
    /// The account it belongs to.
    pub account: Option<String>,
    /// The other side.
    pub counterparty: Option<String>,
    /// wire, ach, trade, …
    pub transaction_type: Option<String>,
    /// The client's further fields.
    #[schema(value_type = Object)]
    pub meta: Map<String, Value>,
    /// Where the record came from.
    pub source: Option<String>,
    /// How often it was corrected.
    pub correction_count: usize,
    /// How many notes are on it.
    pub note_count: usize,
}

/// The answer to a command on a transaction.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TransactionAnswer {
    /// The transaction.
    #[serde(flatten)]
    pub transaction: TransactionView,
    /// Version, time and receipt.
    #[serde(flatten)]
    pub recorded: Recorded,
}

impl TransactionView {
    /// The transaction `id` in this state.
    pub fn new(id: &str, transaction: &Transaction) -> Self {
        let content = transaction.content();
        Self {
            transaction_id: id.to_owned(),
            amount: content.map(|content| content.amount.to_string()),
            currency: content.map(|content| content.currency.to_string()),
            timestamp: content.map(|content| content.timestamp.to_string()),
            timestamp_source: content.map(|content| content.timestamp_source.as_str()),
            status: transaction.status().map(|status| status.as_str()),
            account: content.and_then(|content| content.account.as_ref()).map(ToString::to_string),
            counterparty: content.and_then(|content| content.counterparty.as_ref()).map(ToString::to_string),
            transaction_type: content.and_then(|content| content.transaction_type.as_ref()).map(ToString::to_string),
            meta: content.map(|content| content.meta.fields().clone()).unwrap_or_default(),
            source: content.and_then(|content| content.source.as_ref()).map(ToString::to_string),
            correction_count: transaction.corrections().len(),
            note_count: transaction.note_ids().len(),
        }
    }
}

impl TransactionAnswer {
    /// From a command's outcome.
    pub fn of(outcome: &Outcome<Transaction>) -> Self {
        Self { transaction: TransactionView::new(&outcome.id, &outcome.aggregate), recorded: Recorded::of(outcome) }
    }
}
