//! A transaction on its way in: the body that the API takes, and the command that the domain takes.

use daybook_domain::meta::Meta;
use daybook_domain::money::{Amount, Currency, Money};
use daybook_domain::text::{Line, ShortName, TransactionId};
use daybook_domain::transaction::{Record, TransactionStatus};
use daybook_domain::{InvalidField, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

/// A transaction as text. As JSON it is the body of `POST /transactions`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TransactionInput {
    /// The id that makes a repeat recognisable.
    pub transaction_id: String,
    /// Decimal digits.
    pub amount: String,
    /// ISO 4217 code.
    pub currency: String,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// `pending`, `completed`, `failed` or `reversed`.
    pub status: String,
    /// The account it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The other side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counterparty: Option<String>,
    /// wire, card, …
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub transaction_type: Option<String>,
    /// Further fields.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub meta: Map<String, Value>,
}

impl TransactionInput {
    /// The command, or everything that is wrong. `received_at` in microseconds stands in for a missing time.
    pub fn record(&self, received_at: Timestamp, source: &Line) -> Result<Record, String> {
        let mut faults = Vec::new();
        let transaction_id = kept(TransactionId::parse("/transaction_id", &self.transaction_id), &mut faults);
        let amount = Amount::parse(&self.amount).map_err(|error| faults.push(format!("/amount: {error}"))).ok();
        let currency = Currency::parse(&self.currency).map_err(|error| faults.push(format!("/currency: {error}"))).ok();
        let timestamp = kept(Timestamp::parse_optional("/timestamp", self.timestamp.as_deref()), &mut faults);
        let status = kept(TransactionStatus::parse("/status", &self.status), &mut faults);
        let account = kept(Line::parse_optional("/account", self.account.as_deref()), &mut faults);
        let counterparty = kept(Line::parse_optional("/counterparty", self.counterparty.as_deref()), &mut faults);
        let transaction_type = kept(ShortName::parse_optional("/type", self.transaction_type.as_deref()), &mut faults);
        let meta = kept(Meta::parse("/meta", self.meta.clone()), &mut faults);
        match (transaction_id, amount, currency, status, meta) {
            (Some(transaction_id), Some(amount), Some(currency), Some(status), Some(meta)) if faults.is_empty() => {
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
                    source: Some(source.clone()),
                })
            }
            _ => Err(faults.join("; ")),
        }
    }
}

fn kept<T>(parsed: Result<T, InvalidField>, faults: &mut Vec<String>) -> Option<T> {
    parsed.map_err(|fault| faults.push(fault.to_string())).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn input() -> TransactionInput {
        TransactionInput {
            transaction_id: "T-1".to_owned(),
            amount: "12.50".to_owned(),
            currency: "EUR".to_owned(),
            status: "completed".to_owned(),
            ..TransactionInput::default()
        }
    }

    fn record(input: &TransactionInput) -> Result<Record, String> {
        input.record(Timestamp::from_micros(0).unwrap(), &Line::parse("", "import").unwrap())
    }

    #[test]
    fn amount_keeps_its_scale() {
        assert_eq!(record(&input()).unwrap().money.amount().to_string(), "12.50");
        assert!(serde_json::to_string(&input()).unwrap().contains(r#""amount":"12.50""#));
    }

    #[test]
    fn every_fault_is_named() {
        let bad = TransactionInput { amount: "NaN".to_owned(), currency: "XXL".to_owned(), ..input() };
        let faults = record(&bad).unwrap_err();
        assert!(faults.contains("/amount") && faults.contains("/currency"), "{faults}");
    }
}
