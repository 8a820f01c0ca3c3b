//! An aggregate for tests, and a ledger in a temporary folder to keep it in.
#![allow(dead_code, clippy::unwrap_used)]

use std::sync::Arc;

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use daybook_ledger::canonical::digest;
use daybook_ledger::commands::CommandContext;
use daybook_ledger::cqrs::StreamPolicy;
use daybook_ledger::sequencer::{Unobserved, system_clock};
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, CommandKey, Ledger, LedgerId};
use serde::{Deserialize, Serialize};

/// Adds amounts up; refuses to go below zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    pub total: i64,
    pub applied: u64,
}

#[derive(Debug, Clone)]
pub enum TallyCommand {
    Add(Vec<i64>),
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event_type", content = "payload")]
pub enum TallyEvent {
    #[serde(rename = "tally.added")]
    Added { amount: i64 },
}

impl DomainEvent for TallyEvent {
    fn event_type(&self) -> String {
        "tally.added".to_owned()
    }
    fn event_version(&self) -> String {
        "2".to_owned()
    }
}

#[derive(Debug, thiserror::Error, PartialEq)]
#[error("below zero")]
pub struct BelowZero;

impl Aggregate for Tally {
    const TYPE: &'static str = "tally";
    type Command = TallyCommand;
    type Event = TallyEvent;
    type Error = BelowZero;
    type Services = ();

    async fn handle(&mut self, command: TallyCommand, _: &(), sink: &EventSink<Self>) -> Result<(), BelowZero> {
        if let TallyCommand::Add(amounts) = command {
            for amount in amounts {
                if self.total + amount < 0 {
                    return Err(BelowZero);
                }
                sink.write(TallyEvent::Added { amount }, self).await;
            }
        }
        Ok(())
    }

    fn apply(&mut self, TallyEvent::Added { amount }: TallyEvent) {
        self.total += amount;
        self.applied += 1;
    }
}

pub struct House {
    pub ledger: Ledger,
    pub folder: tempfile::TempDir,
}

pub async fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
    let ledger = Ledger::open(store, LedgerId::main(), system_clock(), Arc::new(Unobserved)).await.unwrap();
    House { ledger, folder }
}

pub fn policy(snapshot_every: u64) -> StreamPolicy {
    StreamPolicy { snapshot_every, ..StreamPolicy::default() }
}

pub fn context() -> CommandContext {
    CommandContext { correlation_id: Some("c-1".to_owned()), ..CommandContext::new(Actor::human("usr_1")) }
}

pub fn keyed(key: &str, content: &str) -> CommandContext {
    let command = CommandKey { id: key.to_owned(), digest: digest(content.as_bytes()) };
    CommandContext { command: Some(command), ..context() }
}
