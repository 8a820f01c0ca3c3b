//! What happened to a transaction, as it is stored.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::command::TransactionStatus;
use crate::meta::Meta;
use crate::money::{Amount, Currency, Money};
use crate::personal::PersonalText;
use crate::text::{Line, Paragraph, Reason, RemarkId, ShortName, TransactionId};
use crate::time::Timestamp;
use crate::vocabulary::vocabulary;

vocabulary! {
    /// Where the time of a transaction comes from.
    TimestampSource {
        /// The client stated it.
        Client = "client",
        /// The client stated none: it is the time of arrival.
        Received = "received",
        /// A correction stated it.
        Correction = "correction",
    }
}

/// An event of a transaction. As JSON: `{"event_type": "transaction.recorded", "payload": {...}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event_type", content = "payload")]
pub enum TransactionEvent {
    /// The transaction entered the ledger.
    #[serde(rename = "transaction.recorded")]
    Recorded(Box<RecordedContent>),
    /// Its status changed.
    #[serde(rename = "transaction.status_changed")]
    StatusChanged(StatusChanged),
    /// Recorded fields were corrected.
    #[serde(rename = "transaction.corrected")]
    Corrected(Corrected),
    /// A person or program added a note.
    #[serde(rename = "transaction.note_added")]
    NoteAdded(NoteAdded),
}

/// The content of a transaction: the payload of `transaction.recorded`, and the state that corrections change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedContent {
    /// The client's number of the transaction.
    pub transaction_id: TransactionId,
    /// How much.
    pub amount: Amount,
    /// In which currency.
    pub currency: Currency,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Who says so.
    pub timestamp_source: TimestampSource,
    /// The status it was recorded with. [`super::Transaction::status`] has the present one.
    pub status: TransactionStatus,
    /// The account it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Line>,
    /// The other side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterparty: Option<Line>,
    /// wire, ach, trade, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_type: Option<ShortName>,
    /// The client's further fields.
    #[serde(default, skip_serializing_if = "Meta::is_empty")]
    pub meta: Meta,
    /// Where the record came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Line>,
}

impl RecordedContent {
    /// Amount and currency together.
    pub fn money(&self) -> Money {
        Money::new(self.amount, self.currency)
    }

    /// Takes over the new value of a correction.
    pub fn apply(&mut self, change: &TransactionChange) {
        match change.clone() {
            TransactionChange::Amount { new, .. } => self.amount = new,
            TransactionChange::Currency { new, .. } => self.currency = new,
            TransactionChange::Timestamp { new, .. } => {
                self.timestamp = new;
                self.timestamp_source = TimestampSource::Correction;
            }
            TransactionChange::Account { new, .. } => self.account = new,
            TransactionChange::Counterparty { new, .. } => self.counterparty = new,
            TransactionChange::TransactionType { new, .. } => self.transaction_type = new,
            TransactionChange::Meta { new, .. } => self.meta = new,
        }
    }
}

/// Payload of `transaction.status_changed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusChanged {
    /// The status it had.
    pub from: TransactionStatus,
    /// The status it has now.
    pub to: TransactionStatus,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// Payload of `transaction.corrected`: what changed, with old and new values, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Corrected {
    /// One item a field that changed; never empty.
    pub changes: Vec<TransactionChange>,
    /// Why.
    pub reason: Reason,
}

/// One corrected field. As JSON: `{"field": "amount", "old": "1.00", "new": "2.00"}`; `null` where a field was or is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "field", rename_all = "snake_case")]
#[expect(missing_docs, reason = "every variant holds the value before and the value after")]
pub enum TransactionChange {
    /// How much.
    Amount { old: Amount, new: Amount },
    /// In which currency.
    Currency { old: Currency, new: Currency },
    /// When it happened.
    Timestamp { old: Timestamp, new: Timestamp },
    /// The account.
    Account { old: Option<Line>, new: Option<Line> },
    /// The other side.
    Counterparty { old: Option<Line>, new: Option<Line> },
    /// The type.
    TransactionType { old: Option<ShortName>, new: Option<ShortName> },
    /// The further fields.
    Meta { old: Meta, new: Meta },
}

impl TransactionChange {
    /// The name of the field, as in JSON.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Amount { .. } => "amount",
            Self::Currency { .. } => "currency",
            Self::Timestamp { .. } => "timestamp",
            Self::Account { .. } => "account",
            Self::Counterparty { .. } => "counterparty",
            Self::TransactionType { .. } => "transaction_type",
            Self::Meta { .. } => "meta",
        }
    }
}

/// Payload of `transaction.note_added`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoteAdded {
    /// The note's id.
    pub note_id: RemarkId,
    /// What it says: sealed with its author's key where a person wrote it, in clear where a program did. Older entries have
    /// every note in clear.
    pub text: PersonalText<Paragraph>,
}

impl TransactionEvent {
    /// The wire name, `transaction.recorded`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Recorded(_) => "transaction.recorded",
            Self::StatusChanged(_) => "transaction.status_changed",
            Self::Corrected(_) => "transaction.corrected",
            Self::NoteAdded(_) => "transaction.note_added",
        }
    }
}

impl DomainEvent for TransactionEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        crate::events::SCHEMA_VERSION.to_string()
    }
}
