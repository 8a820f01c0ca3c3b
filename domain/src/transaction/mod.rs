//! One transaction: recorded once, then settled, corrected in the open, and annotated. Never rewritten.
//!
//! The state keeps what was originally recorded beside what holds now, so that a repeated record is recognised even
//! after a correction.

mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

pub use command::{AddNote, ChangeStatus, Correct, Record, TransactionChanges, TransactionCommand, TransactionStatus};
pub use error::TransactionError;
pub use event::{
    Corrected, NoteAdded, RecordedContent, StatusChanged, TimestampSource, TransactionChange, TransactionEvent,
};

use crate::text::{RemarkId, TransactionId};

/// Most corrections of one transaction.
pub const MAX_CORRECTIONS: usize = 100;
/// Most notes on one transaction.
pub const MAX_NOTES: usize = 1_000;

/// A transaction. The default value is one that was never recorded.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Transaction {
    recorded: Option<Recorded>,
    corrections: Vec<Corrected>,
    note_ids: BTreeSet<RemarkId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Recorded {
    original: RecordedContent,
    current: RecordedContent,
    status: TransactionStatus,
}

impl Transaction {
    /// Version of the fold. A stored state of another version is not to be used.
    pub const REDUCER_VERSION: u32 = 1;
    /// Accounts, counterparties and notes may name people.
    pub const HOLDS_PERSONAL_DATA: bool = true;

    /// Whether it was recorded.
    pub fn exists(&self) -> bool {
        self.recorded.is_some()
    }

    /// The client's number of it.
    pub fn transaction_id(&self) -> Option<&TransactionId> {
        self.original().map(|content| &content.transaction_id)
    }

    /// What was recorded, before any correction.
    pub fn original(&self) -> Option<&RecordedContent> {
        self.recorded.as_ref().map(|recorded| &recorded.original)
    }

    /// What holds now, corrections included. Its `status` is the one it was recorded with; see [`Self::status`].
    pub fn content(&self) -> Option<&RecordedContent> {
        self.recorded.as_ref().map(|recorded| &recorded.current)
    }

    /// The present status.
    pub fn status(&self) -> Option<TransactionStatus> {
        self.recorded.as_ref().map(|recorded| recorded.status)
    }

    /// All corrections, oldest first.
    pub fn corrections(&self) -> &[Corrected] {
        &self.corrections
    }

    /// The ids of the notes on it.
    pub fn note_ids(&self) -> &BTreeSet<RemarkId> {
        &self.note_ids
    }

    /// What the command leads to. No events: it asks for what is already so.
    pub fn decide(&self, command: TransactionCommand) -> Result<Vec<TransactionEvent>, TransactionError> {
        match (&self.recorded, command) {
            (None, TransactionCommand::Record(record)) => {
                Ok(vec![TransactionEvent::Recorded(Box::new(first_content(*record)))])
            }
            (Some(recorded), TransactionCommand::Record(record)) => {
                let fields = differing_fields(&recorded.original, &record);
                if fields.is_empty() { Ok(Vec::new()) } else { Err(TransactionError::Conflict { fields }) }
            }
            (None, _) => Err(TransactionError::NotFound),
            (Some(recorded), TransactionCommand::ChangeStatus(command)) => change_status(recorded, command),
            (Some(recorded), TransactionCommand::Correct(command)) => self.correct(recorded, *command),
            (Some(_), TransactionCommand::AddNote(command)) => self.add_note(command),
        }
    }

    fn correct(&self, recorded: &Recorded, command: Correct) -> Result<Vec<TransactionEvent>, TransactionError> {
        let changes = effective_changes(&recorded.current, command.changes);
        if changes.is_empty() {
            return Err(TransactionError::CorrectionEmpty);
        }
        if self.corrections.len() >= MAX_CORRECTIONS {
            return Err(TransactionError::TooManyCorrections);
        }
        Ok(vec![TransactionEvent::Corrected(Corrected { changes, reason: command.reason })])
    }

    fn add_note(&self, command: AddNote) -> Result<Vec<TransactionEvent>, TransactionError> {
        if self.note_ids.contains(&command.note_id) {
            return Err(TransactionError::NoteExists { note_id: command.note_id });
        }
        if self.note_ids.len() >= MAX_NOTES {
            return Err(TransactionError::TooManyNotes);
        }
        Ok(vec![TransactionEvent::NoteAdded(NoteAdded { note_id: command.note_id, text: command.text })])
    }
}

fn change_status(recorded: &Recorded, command: ChangeStatus) -> Result<Vec<TransactionEvent>, TransactionError> {
    let (from, to) = (recorded.status, command.to);
    if !from.may_become(to) {
        return Err(TransactionError::StatusTransition { from, to });
    }
    Ok(vec![TransactionEvent::StatusChanged(StatusChanged { from, to, reason: command.reason })])
}

fn first_content(record: Record) -> RecordedContent {
    let (timestamp, timestamp_source) = match record.timestamp {
        Some(timestamp) => (timestamp, TimestampSource::Client),
        None => (record.received_at, TimestampSource::Received),
    };
    RecordedContent {
        transaction_id: record.transaction_id,
        amount: record.money.amount(),
        currency: record.money.currency(),
        timestamp,
        timestamp_source,
        status: record.status,
        account: record.account,
        counterparty: record.counterparty,
        transaction_type: record.transaction_type,
        meta: record.meta,
        source: record.source,
    }
}

/// The names of the fields in which a repeated record differs from the first.
fn differing_fields(original: &RecordedContent, record: &Record) -> Vec<&'static str> {
    let same_timestamp = match record.timestamp {
        Some(timestamp) => timestamp == original.timestamp,
        // Both times the client stated none: the times of arrival differ, the transaction does not.
        None => original.timestamp_source == TimestampSource::Received,
    };
    [
        ("transaction_id", original.transaction_id == record.transaction_id),
        ("amount", original.amount == record.money.amount()),
        ("currency", original.currency == record.money.currency()),
        ("timestamp", same_timestamp),
        ("status", original.status == record.status),
        ("account", original.account == record.account),
        ("counterparty", original.counterparty == record.counterparty),
        ("transaction_type", original.transaction_type == record.transaction_type),
        ("meta", original.meta == record.meta),
    ]
    .into_iter()
    .filter_map(|(field, same)| (!same).then_some(field))
    .collect()
}

/// The changes that change something, in a fixed order.
fn effective_changes(current: &RecordedContent, changes: TransactionChanges) -> Vec<TransactionChange> {
    let current = current.clone();
    let candidates = [
        changes.amount.map(|new| TransactionChange::Amount { old: current.amount, new }),
        changes.currency.map(|new| TransactionChange::Currency { old: current.currency, new }),
        changes.timestamp.map(|new| TransactionChange::Timestamp { old: current.timestamp, new }),
        changes.account.requested().map(|new| TransactionChange::Account { old: current.account, new }),
        changes.counterparty.requested().map(|new| TransactionChange::Counterparty { old: current.counterparty, new }),
        changes
            .transaction_type
            .requested()
            .map(|new| TransactionChange::TransactionType { old: current.transaction_type, new }),
        changes.meta.map(|new| TransactionChange::Meta { old: current.meta, new }),
    ];
    candidates.into_iter().flatten().filter(changes_something).collect()
}

fn changes_something(change: &TransactionChange) -> bool {
    match change {
        TransactionChange::Amount { old, new } => old != new,
        TransactionChange::Currency { old, new } => old != new,
        TransactionChange::Timestamp { old, new } => old != new,
        TransactionChange::Account { old, new } | TransactionChange::Counterparty { old, new } => old != new,
        TransactionChange::TransactionType { old, new } => old != new,
        TransactionChange::Meta { old, new } => old != new,
    }
}

impl Aggregate for Transaction {
    const TYPE: &'static str = "transaction";
    type Command = TransactionCommand;
    type Event = TransactionEvent;
    type Error = TransactionError;
    type Services = ();

    async fn handle(
        &mut self,
        command: Self::Command,
        (): &Self::Services,
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    /// Follows what happened. An event that cannot belong here (a status without a record) leaves the state alone.
    fn apply(&mut self, event: Self::Event) {
        match (&mut self.recorded, event) {
            (None, TransactionEvent::Recorded(content)) => {
                let status = content.status;
                self.recorded = Some(Recorded { original: (*content).clone(), current: *content, status });
            }
            (Some(recorded), TransactionEvent::StatusChanged(event)) => recorded.status = event.to,
            (Some(recorded), TransactionEvent::Corrected(event)) => {
                for change in &event.changes {
                    recorded.current.apply(change);
                }
                self.corrections.push(event);
            }
            (Some(_), TransactionEvent::NoteAdded(event)) => {
                self.note_ids.insert(event.note_id);
            }
            (Some(_), TransactionEvent::Recorded(_)) | (None, _) => {}
        }
    }
}
