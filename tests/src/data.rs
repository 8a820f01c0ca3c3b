//! Transactions and incidents to send.

use serde_json::{Value, json};

/// A transaction with this number; the same number gives the same content.
pub fn transaction(id: &str) -> Value {
    let cents = id.bytes().fold(17_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 9_000_000);
    json!({
        "transaction_id": id,
        "amount": format!("{}.{:02}", cents / 100, cents % 100),
        "currency": "EUR",
        "timestamp": "2026-11-20T09:30:00.000000Z",
        "status": "pending",
        "account": format!("ACC-{:04}", cents % 10_000),
        "counterparty": "CP-17",
        "type": "wire",
        "meta": {"channel": "test"},
    })
}

/// An incident without an id of its own.
pub fn incident(title: &str) -> Value {
    json!({
        "title": title,
        "description": "Orders were not acknowledged by the venue.",
        "severity": "high",
        "type": "stuck_order",
        "desk": "Equities",
        "trader": "trader-7",
    })
}
