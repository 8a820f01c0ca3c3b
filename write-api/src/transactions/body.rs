//! The bodies of commands on transactions, and how they become commands.

use daybook_domain::meta::Meta;
use daybook_domain::money::{Amount, Currency, Money};
use daybook_domain::text::{Line, Paragraph, Reason, RemarkId, ShortName, TransactionId};
use daybook_domain::transaction::{
    ChangeStatus, Correct, Record, TransactionChanges, TransactionCommand, TransactionStatus,
};
use daybook_domain::{InvalidField, Patch, Timestamp};
use daybook_http_kit::{ExactNumber, Problem};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::faults::Faults;

/// A transaction to record.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordBody {
    /// The client's number of it, at most 200 bytes on one line. One is made if it is absent.
    #[schema(example = "LT-000001")]
    pub transaction_id: Option<String>,
    /// At most 18 digits before the point and 8 after it. Negative for money that leaves.
    pub amount: ExactNumber,
    /// ISO 4217 code in upper case.
    #[schema(example = "USD")]
    pub currency: String,
    /// When it happened, RFC 3339. Without it the time of arrival stands for it.
    #[schema(example = "2026-11-21T10:00:00Z")]
    pub timestamp: Option<String>,
    /// `pending` (the default), `completed`, `failed` or `reversed`.
    #[schema(example = "completed")]
    pub status: Option<String>,
    /// The account it belongs to; without it, `meta.account_id` if that is text or a whole
    /// number of at most 64 bits. Longer numbers are given as text.
    pub account: Option<String>,
    /// The other side.
    pub counterparty: Option<String>,
    /// wire, ach, trade, internal, card, crypto, payment or another short name. Also taken as `transaction_type`.
    #[serde(rename = "type", alias = "transaction_type")]
    #[schema(example = "wire")]
    pub transaction_type: Option<String>,
    /// The client's further fields: at most 16 KiB, 8 levels.
    #[schema(value_type = Option<Object>)]
    pub meta: Option<Map<String, Value>>,
}

impl RecordBody {
    /// The command. `id` stands in for a missing transaction id.
    pub fn command(self, id: String, received_at: Timestamp) -> Result<Record, Problem> {
        let mut faults = Faults::default();
        let account = match self.account {
            Some(account) => Some(account),
            None => self.meta.as_ref().and_then(|meta| faults.check(account_of(meta))).flatten(),
        };
        let transaction_id = faults.check(TransactionId::parse("/transaction_id", self.transaction_id.unwrap_or(id)));
        let amount = faults.check(Amount::parse(self.amount.as_str()));
        let currency = faults.check(Currency::parse(&self.currency));
        let timestamp = faults.check(Timestamp::parse_optional("/timestamp", self.timestamp.as_deref()));
        let status = match self.status {
            None => Some(TransactionStatus::Pending),
            Some(word) => faults.check(TransactionStatus::parse("/status", &word)),
        };
        let account = faults.check(Line::parse_optional("/account", account));
        let counterparty = faults.check(Line::parse_optional("/counterparty", self.counterparty));
        let transaction_type = faults.check(ShortName::parse_optional("/type", self.transaction_type));
        let meta = faults.check(Meta::parse("/meta", self.meta.unwrap_or_default()));
        let source = faults.check(Line::parse("", "api"));
        let (Some(transaction_id), Some(amount), Some(currency), Some(status), Some(meta)) =
            (transaction_id, amount, currency, status, meta)
        else {
            return Err(faults.problem());
        };
        faults.none()?;
        Ok(Record {
            transaction_id,
            money: Money::new(amount, currency),
            timestamp: timestamp.flatten(),
            received_at,
            status,
            account: account.flatten(),
            counterparty: counterparty.flatten(),
            transaction_type: transaction_type.flatten(),
            meta,
            source,
        })
    }
}

/// The account that the predecessors' clients put among the further fields.
fn account_of(meta: &Map<String, Value>) -> Result<Option<String>, InvalidField> {
    match meta.get("account_id") {
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(Some(number.to_string())),
        // The digits that the client wrote are lost.
        Some(Value::Number(_)) => {
            Err(InvalidField::new("/meta/account_id", "must be text or a whole number of at most 64 bits"))
        }
        _ => Ok(None),
    }
}

/// A new status.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusBody {
    /// `completed`, `failed` or `reversed`.
    #[schema(example = "completed")]
    pub status: String,
    /// Why.
    pub reason: Option<String>,
}

impl StatusBody {
    /// The command.
    pub fn command(self) -> Result<TransactionCommand, InvalidField> {
        Ok(TransactionCommand::ChangeStatus(ChangeStatus {
            to: TransactionStatus::parse("/status", &self.status)?,
            reason: Reason::parse_optional("/reason", self.reason)?,
        }))
    }
}

/// A correction: what is absent stays, and `null` clears what may be empty.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CorrectBody {
    /// Why. A correction of a record has to be explained.
    pub reason: String,
    /// The right amount.
    pub amount: Option<ExactNumber>,
    /// The right currency.
    pub currency: Option<String>,
    /// The right time.
    pub timestamp: Option<String>,
    /// The right account, or none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub account: Patch<String>,
    /// The right counterparty, or none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub counterparty: Patch<String>,
    /// The right type, or none. Also taken as `transaction_type`.
    #[serde(default, rename = "type", alias = "transaction_type")]
    #[schema(value_type = Option<String>)]
    pub transaction_type: Patch<String>,
    /// The right further fields, as a whole; `null` empties them.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub meta: Patch<Map<String, Value>>,
}

impl CorrectBody {
    /// The command.
    pub fn command(self) -> Result<TransactionCommand, Problem> {
        let mut faults = Faults::default();
        let reason = faults.check(Reason::parse("/reason", self.reason));
        let amount = self.amount.and_then(|amount| faults.check(Amount::parse(amount.as_str())));
        let currency = self.currency.and_then(|currency| faults.check(Currency::parse(&currency)));
        let timestamp = faults.check(Timestamp::parse_optional("/timestamp", self.timestamp.as_deref()));
        let account = faults.check(self.account.try_map(|text| Line::parse("/account", text)));
        let counterparty = faults.check(self.counterparty.try_map(|text| Line::parse("/counterparty", text)));
        let transaction_type = faults.check(self.transaction_type.try_map(|text| ShortName::parse("/type", text)));
        let meta = self.meta.requested().map(Option::unwrap_or_default);
        let meta = meta.and_then(|fields| faults.check(Meta::parse("/meta", fields)));
        faults.none()?;
        let Some(reason) = reason else { return Err(faults.problem()) };
        let changes = TransactionChanges {
            amount,
            currency,
            timestamp: timestamp.flatten(),
            account: account.unwrap_or_default(),
            counterparty: counterparty.unwrap_or_default(),
            transaction_type: transaction_type.unwrap_or_default(),
            meta,
        };
        Ok(TransactionCommand::Correct(Box::new(Correct { changes, reason })))
    }
}

/// A note.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TransactionNoteBody)]
pub struct NoteBody {
    /// What it says: at most 10,000 characters.
    pub text: String,
    /// The note's id, unique in the transaction. One is made if it is absent.
    pub note_id: Option<String>,
}

impl NoteBody {
    /// Its id and what it says. `id` stands in for a missing note id.
    pub fn checked(self, id: String) -> Result<(RemarkId, Paragraph), InvalidField> {
        let note_id = RemarkId::parse("/note_id", self.note_id.unwrap_or(id))?;
        Ok((note_id, Paragraph::parse("/text", self.text)?))
    }
}
