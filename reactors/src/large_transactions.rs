//! Opens an incident for each transaction above a threshold, also where a correction brings it above.

use std::collections::BTreeMap;

use async_trait::async_trait;
use daybook_domain::incident::{Incident, IncidentCommand, Open};
use daybook_domain::rules::LargeTransactionRule;
use daybook_domain::transaction::{RecordedContent, TransactionChange, TransactionEvent};
use daybook_domain::{AnyEvent, DecodeError, IncidentError, Transaction, decode};
use daybook_ledger::commands::{CommandContext, CommandError, Commands};
use daybook_ledger::{Actor, Entry};

use crate::engine::{React, ReactError};

/// How often a command is decided again after a lost race.
const TRIES: u32 = 5;

/// Carries out [`LargeTransactionRule`].
pub struct LargeTransactions {
    rule: LargeTransactionRule,
    transactions: Commands<Transaction>,
    incidents: Commands<Incident>,
}

impl LargeTransactions {
    /// Looks at `transactions`' ledger and opens incidents through `incidents`.
    pub fn new(rule: LargeTransactionRule, transactions: Commands<Transaction>, incidents: Commands<Incident>) -> Self {
        Self { rule, transactions, incidents }
    }

    async fn incident(&self, entry: &Entry) -> Result<Option<Open>, ReactError> {
        let malformed = |why: String| ReactError::Entry { position: entry.position, why };
        // A removed payload leaves nothing to judge.
        let Some(payload) = entry.payload.as_deref() else { return Ok(None) };
        let event = decode(&entry.stream.stream_type, &entry.event_type, entry.schema_version, payload)
            .map_err(|error| malformed(without_payload(&error)))?;
        match event {
            AnyEvent::Transaction(TransactionEvent::Recorded(content)) => Ok(self.judge(entry, &content)),
            AnyEvent::Transaction(TransactionEvent::Corrected(corrected))
                if corrected.changes.iter().any(concerns_money) =>
            {
                let loaded = self.transactions.load(&entry.stream.stream_id).await;
                let loaded = loaded.map_err(|error| failed(entry, &error))?;
                let content = loaded.as_ref().and_then(|outcome| outcome.aggregate.content());
                Ok(content.and_then(|content| self.judge(entry, content)))
            }
            _ => Ok(None),
        }
    }

    fn judge(&self, entry: &Entry, content: &RecordedContent) -> Option<Open> {
        self.rule.evaluate(&content.transaction_id, content, entry.position)
    }
}

/// What stops the reactor at an entry. A stream that cannot be folded does not get better by waiting for the ledger.
fn failed<E: std::error::Error>(entry: &Entry, error: &CommandError<E>) -> ReactError {
    match error {
        CommandError::Corrupt(_) => ReactError::Entry { position: entry.position, why: error.to_string() },
        _ => ReactError::Ledger(error.to_string()),
    }
}

/// What is wrong with an entry, without quoting its payload: this goes to logs and into the status.
fn without_payload(error: &DecodeError) -> String {
    match error {
        DecodeError::Malformed { event_type, .. } => format!("the payload of {event_type} is malformed"),
        other => other.to_string(),
    }
}

/// The piece of work that the transaction belongs to, so that the incident belongs to it as well.
fn correlation_id(entry: &Entry) -> Option<String> {
    let metadata: BTreeMap<String, String> = serde_json::from_str(&entry.metadata).ok()?;
    metadata.get("correlation_id").cloned()
}

fn concerns_money(change: &TransactionChange) -> bool {
    matches!(change, TransactionChange::Amount { .. } | TransactionChange::Currency { .. })
}

#[async_trait]
impl React for LargeTransactions {
    fn name(&self) -> &'static str {
        "large_transactions"
    }

    async fn react(&self, entries: &[Entry]) -> Result<(), ReactError> {
        for entry in entries.iter().filter(|entry| entry.stream.stream_type == "transaction") {
            let Some(open) = self.incident(entry).await? else { continue };
            let id = open.incident_id.to_string();
            let cause = format!("{}/{}", entry.ledger_id, entry.position);
            let context = CommandContext {
                correlation_id: Some(correlation_id(entry).unwrap_or_else(|| cause.clone())),
                causation_id: Some(cause),
                ..CommandContext::new(Actor::system(format!(
                    "rule/{}@{}",
                    LargeTransactionRule::NAME,
                    self.rule.version
                )))
            };
            let command = IncidentCommand::Open(Box::new(open));
            match self.incidents.execute_with_retry(&id, command, context, TRIES).await {
                Ok(_) => {}
                // The rule opened it before, with another threshold or another amount: one incident a transaction.
                Err(CommandError::Refused(IncidentError::Exists { .. })) => {}
                Err(error) => return Err(failed(entry, &error)),
            }
        }
        Ok(())
    }
}
