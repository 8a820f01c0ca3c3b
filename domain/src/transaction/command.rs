//! What can be asked of a transaction. Every field is a checked type; the edge parses.

use crate::meta::Meta;
use crate::money::{Amount, Currency, Money};
use crate::patch::Patch;
use crate::personal::PersonalText;
use crate::text::{Line, Paragraph, Reason, RemarkId, ShortName, TransactionId};
use crate::time::Timestamp;
use crate::vocabulary::vocabulary;

vocabulary! {
    /// How far a transaction has come.
    TransactionStatus {
        /// Not settled yet. The only status that can change.
        Pending = "pending",
        /// Settled.
        Completed = "completed",
        /// Did not go through.
        Failed = "failed",
        /// Was undone.
        Reversed = "reversed",
    }
}

impl TransactionStatus {
    /// Whether a transaction may go from this status to `to`.
    pub fn may_become(self, to: Self) -> bool {
        self == Self::Pending && to != Self::Pending
    }
}

/// A command to one transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum TransactionCommand {
    /// See [`Record`].
    Record(Box<Record>),
    /// See [`ChangeStatus`].
    ChangeStatus(ChangeStatus),
    /// See [`Correct`].
    Correct(Box<Correct>),
    /// See [`AddNote`].
    AddNote(AddNote),
}

/// Record a transaction that happened elsewhere. Repeating it with the same content changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The client's number of the transaction; also the id of its stream.
    pub transaction_id: TransactionId,
    /// How much, in which currency. Negative for money that leaves.
    pub money: Money,
    /// When it happened, as the client says. Without it, `received_at` stands for it.
    pub timestamp: Option<Timestamp>,
    /// When the request arrived.
    pub received_at: Timestamp,
    /// Any status: a transaction may be recorded after it settled.
    pub status: TransactionStatus,
    /// The account it belongs to.
    pub account: Option<Line>,
    /// The other side.
    pub counterparty: Option<Line>,
    /// wire, ach, trade, internal, card, crypto, payment or any other short name.
    pub transaction_type: Option<ShortName>,
    /// The client's further fields.
    pub meta: Meta,
    /// Where the record came from (`api`, `import`, a webhook's name). Not part of the content: the same transaction
    /// from two sources is the same transaction.
    pub source: Option<Line>,
}

/// Move a pending transaction to its final status.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeStatus {
    /// The new status.
    pub to: TransactionStatus,
    /// Why.
    pub reason: Option<Reason>,
}

/// Correct what was recorded. The old values stay visible in the event.
#[derive(Debug, Clone, PartialEq)]
pub struct Correct {
    /// What changes.
    pub changes: TransactionChanges,
    /// Why. Required: a correction of a record has to be explained.
    pub reason: Reason,
}

/// The fields a correction sets. Whatever is `None` or [`Patch::Keep`] stays.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TransactionChanges {
    /// New amount.
    pub amount: Option<Amount>,
    /// New currency.
    pub currency: Option<Currency>,
    /// New time.
    pub timestamp: Option<Timestamp>,
    /// New account, or none.
    pub account: Patch<Line>,
    /// New counterparty, or none.
    pub counterparty: Patch<Line>,
    /// New type, or none.
    pub transaction_type: Patch<ShortName>,
    /// New further fields; they replace the old ones as a whole.
    pub meta: Option<Meta>,
}

/// Add a note for people.
#[derive(Debug, Clone, PartialEq)]
pub struct AddNote {
    /// The note's id, unique in the transaction.
    pub note_id: RemarkId,
    /// What it says; sealed where a person says it.
    pub text: PersonalText<Paragraph>,
}
