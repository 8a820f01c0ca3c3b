//! The projector `transactions`: each transaction as it is now, and what was changed about it.

use async_trait::async_trait;
use daybook_domain::transaction::{RecordedContent, TransactionChange};
use daybook_domain::{AnyEvent, TransactionEvent};
use daybook_ledger::entry::Entry;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::error::FoldError;
use crate::kept::{Kept, KeptRow};
use crate::projector::{DecodedEntry, Interest, Projector, TableDefinition, TableNames};
use crate::rows::{RowWriter, Value, free_text, natural};

/// Answers: what is this transaction now, and what was changed about it?
#[derive(Debug, Clone, Copy)]
pub struct Transactions;

const TABLES: &[TableDefinition] = &[
    TableDefinition { name: "transactions", ddl: include_str!("../../migrations/read/transactions.sql") },
    TableDefinition { name: "transaction_changes", ddl: include_str!("../../migrations/read/transaction_changes.sql") },
];

const ROWS: RowWriter = RowWriter {
    columns: &[
        "ledger_id",
        "transaction_id",
        "amount",
        "amount_key",
        "currency",
        "timestamp",
        "timestamp_source",
        "status",
        "account",
        "counterparty",
        "transaction_type",
        "meta",
        "source",
        "first_position",
        "last_position",
        "version",
        "recorded_at",
        "updated_at",
        "correction_count",
        "note_count",
        "search_text",
    ],
    key: &["ledger_id", "transaction_id"],
};

const CHANGES: RowWriter = RowWriter {
    columns: &[
        "ledger_id",
        "position",
        "ordinal",
        "transaction_id",
        "kind",
        "field",
        "old_value",
        "new_value",
        "reason",
        "note_id",
        "actor_kind",
        "actor_id",
        "recorded_at",
    ],
    key: &[],
};

/// A row of `transactions`.
struct State {
    transaction_id: String,
    amount: String,
    amount_key: String,
    currency: String,
    timestamp: i64,
    timestamp_source: String,
    status: String,
    account: Option<String>,
    counterparty: Option<String>,
    transaction_type: Option<String>,
    meta: String,
    source: Option<String>,
    first_position: u64,
    last_position: u64,
    version: u64,
    recorded_at: i64,
    updated_at: i64,
    correction_count: u64,
    note_count: u64,
}

/// A row of `transaction_changes`.
struct Change {
    position: u64,
    ordinal: u64,
    transaction_id: String,
    kind: &'static str,
    field: Option<&'static str>,
    old: Option<String>,
    new: Option<String>,
    reason: Option<String>,
    note_id: Option<String>,
    actor_kind: &'static str,
    actor_id: String,
    recorded_at: i64,
}

#[async_trait]
impl Projector for Transactions {
    fn name(&self) -> &'static str {
        daybook_read_models::transactions::PROJECTOR
    }

    fn version(&self) -> u32 {
        1
    }

    fn tables(&self) -> &'static [TableDefinition] {
        TABLES
    }

    fn interest(&self, stream_type: &str) -> Interest {
        if stream_type == "transaction" { Interest::Decoded } else { Interest::Ignored }
    }

    async fn fold(
        &self,
        connection: &mut AnyConnection,
        tables: &TableNames,
        ledger_id: &str,
        batch: &[DecodedEntry],
    ) -> Result<(), FoldError> {
        let table = tables.of("transactions");
        let mut states = Kept::of_streams(connection, &table, ledger_id, batch, "transaction").await?;
        let mut changes = Vec::new();
        for DecodedEntry { entry, event } in batch {
            let Some(AnyEvent::Transaction(event)) = event else { continue };
            apply(&mut states, &mut changes, entry, event);
        }
        states.write(connection, &table, ledger_id).await?;
        let rows: Vec<Vec<Value<'_>>> = changes.iter().map(|change| change.values(ledger_id)).collect();
        CHANGES.write(connection, &tables.of("transaction_changes"), &rows).await
    }
}

fn apply(states: &mut Kept<State>, changes: &mut Vec<Change>, entry: &Entry, event: &TransactionEvent) {
    if let TransactionEvent::Recorded(content) = event {
        states.insert(State::recorded(entry, content));
        return;
    }
    let Some(state) = states.get_mut(&entry.stream.stream_id) else { return };
    state.last_position = entry.position;
    state.version = entry.version;
    state.updated_at = entry.recorded_at;
    match event {
        TransactionEvent::Recorded(_) => {}
        TransactionEvent::StatusChanged(event) => {
            state.status = event.to.as_str().to_owned();
            let mut change = Change::of(entry, 0, "status_change");
            change.field = Some("status");
            change.old = Some(event.from.to_string());
            change.new = Some(event.to.to_string());
            change.reason = event.reason.as_ref().map(ToString::to_string);
            changes.push(change);
        }
        TransactionEvent::Corrected(event) => {
            state.correction_count += 1;
            for (ordinal, corrected) in (0..).zip(&event.changes) {
                let mut change = Change::of(entry, ordinal, "correction");
                change.field = Some(corrected.field());
                (change.old, change.new) = state.correct(corrected);
                change.reason = Some(event.reason.to_string());
                changes.push(change);
            }
        }
        TransactionEvent::NoteAdded(event) => {
            state.note_count += 1;
            let mut change = Change::of(entry, 0, "note");
            change.reason = Some(free_text(&event.text));
            change.note_id = Some(event.note_id.to_string());
            changes.push(change);
        }
    }
}

impl State {
    fn recorded(entry: &Entry, content: &RecordedContent) -> Self {
        Self {
            transaction_id: entry.stream.stream_id.clone(),
            amount: content.amount.to_string(),
            amount_key: content.money().amount_key(),
            currency: content.currency.code().to_owned(),
            timestamp: content.timestamp.micros(),
            timestamp_source: content.timestamp_source.as_str().to_owned(),
            status: content.status.as_str().to_owned(),
            account: content.account.as_ref().map(ToString::to_string),
            counterparty: content.counterparty.as_ref().map(ToString::to_string),
            transaction_type: content.transaction_type.as_ref().map(ToString::to_string),
            meta: json(content.meta.fields()),
            source: content.source.as_ref().map(ToString::to_string),
            first_position: entry.position,
            last_position: entry.position,
            version: entry.version,
            recorded_at: entry.recorded_at,
            updated_at: entry.recorded_at,
            correction_count: 0,
            note_count: 0,
        }
    }

    /// Takes over a corrected field; answers the value before and after as text.
    fn correct(&mut self, change: &TransactionChange) -> (Option<String>, Option<String>) {
        fn text<T: ToString>(value: &T) -> Option<String> {
            Some(value.to_string())
        }
        fn optional<T: ToString>(value: &Option<T>) -> Option<String> {
            value.as_ref().map(T::to_string)
        }
        match change {
            TransactionChange::Amount { old, new } => {
                self.amount = new.to_string();
                self.amount_key = new.sort_key();
                (text(old), text(new))
            }
            TransactionChange::Currency { old, new } => {
                self.currency = new.code().to_owned();
                (text(old), text(new))
            }
            TransactionChange::Timestamp { old, new } => {
                self.timestamp = new.micros();
                self.timestamp_source = "correction".to_owned();
                (text(old), text(new))
            }
            TransactionChange::Account { old, new } => {
                self.account = optional(new);
                (optional(old), optional(new))
            }
            TransactionChange::Counterparty { old, new } => {
                self.counterparty = optional(new);
                (optional(old), optional(new))
            }
            TransactionChange::TransactionType { old, new } => {
                self.transaction_type = optional(new);
                (optional(old), optional(new))
            }
            TransactionChange::Meta { old, new } => {
                self.meta = json(new.fields());
                (Some(json(old.fields())), Some(self.meta.clone()))
            }
        }
    }
}

impl KeptRow for State {
    const WRITER: RowWriter = ROWS;
    const ID: &'static str = "transaction_id";

    fn id(&self) -> &str {
        &self.transaction_id
    }

    fn first_position(&self) -> u64 {
        self.first_position
    }

    fn read(row: &AnyRow) -> Result<Self, FoldError> {
        Ok(Self {
            transaction_id: row.try_get("transaction_id")?,
            amount: row.try_get("amount")?,
            amount_key: row.try_get("amount_key")?,
            currency: row.try_get("currency")?,
            timestamp: row.try_get("timestamp")?,
            timestamp_source: row.try_get("timestamp_source")?,
            status: row.try_get("status")?,
            account: row.try_get("account")?,
            counterparty: row.try_get("counterparty")?,
            transaction_type: row.try_get("transaction_type")?,
            meta: row.try_get("meta")?,
            source: row.try_get("source")?,
            first_position: natural(row, "first_position")?,
            last_position: natural(row, "last_position")?,
            version: natural(row, "version")?,
            recorded_at: row.try_get("recorded_at")?,
            updated_at: row.try_get("updated_at")?,
            correction_count: natural(row, "correction_count")?,
            note_count: natural(row, "note_count")?,
        })
    }

    fn values<'a>(&'a self, ledger_id: &'a str) -> Result<Vec<Value<'a>>, FoldError> {
        Ok(vec![
            ledger_id.into(),
            (&self.transaction_id).into(),
            (&self.amount).into(),
            (&self.amount_key).into(),
            (&self.currency).into(),
            self.timestamp.into(),
            (&self.timestamp_source).into(),
            (&self.status).into(),
            (&self.account).into(),
            (&self.counterparty).into(),
            (&self.transaction_type).into(),
            (&self.meta).into(),
            (&self.source).into(),
            self.first_position.into(),
            self.last_position.into(),
            self.version.into(),
            self.recorded_at.into(),
            self.updated_at.into(),
            self.correction_count.into(),
            self.note_count.into(),
            Value::Text(self.transaction_id.to_lowercase().into()),
        ])
    }
}

impl Change {
    fn of(entry: &Entry, ordinal: u64, kind: &'static str) -> Self {
        Self {
            position: entry.position,
            ordinal,
            transaction_id: entry.stream.stream_id.clone(),
            kind,
            field: None,
            old: None,
            new: None,
            reason: None,
            note_id: None,
            actor_kind: entry.actor.kind.as_str(),
            actor_id: entry.actor.id.clone(),
            recorded_at: entry.recorded_at,
        }
    }

    fn values<'a>(&'a self, ledger_id: &'a str) -> Vec<Value<'a>> {
        vec![
            ledger_id.into(),
            self.position.into(),
            self.ordinal.into(),
            (&self.transaction_id).into(),
            self.kind.into(),
            Value::OptionalText(self.field.map(Into::into)),
            (&self.old).into(),
            (&self.new).into(),
            (&self.reason).into(),
            (&self.note_id).into(),
            self.actor_kind.into(),
            (&self.actor_id).into(),
            self.recorded_at.into(),
        ]
    }
}

/// A client's further fields as JSON text.
pub(crate) fn json(fields: &serde_json::Map<String, serde_json::Value>) -> String {
    // Keys are text and values came from JSON, so that writing them cannot fail.
    serde_json::to_string(fields).unwrap_or_else(|_| "{}".to_owned())
}
