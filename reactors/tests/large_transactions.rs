//! The rule's incidents: one for each large transaction, however often and from wherever the reactor looks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use daybook_domain::incident::Incident;
use daybook_domain::rules::LargeTransactionRule;
use daybook_ledger::commands::Commands;
use daybook_ledger::cqrs::StreamPolicy;
use daybook_ledger::sequencer::{Unobserved, system_clock};
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, Append, Draft, Entry, Ledger, LedgerId, StreamKey};
use daybook_reactors::{LargeTransactions, React, ReactError, Reactors, status};
use daybook_read_models::ReadDb;
use tokio::sync::watch;

struct House {
    ledger: Ledger,
    database: ReadDb,
    folder: tempfile::TempDir,
}

async fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
    let ledger = Ledger::open(store, LedgerId::main(), system_clock(), Arc::new(Unobserved)).await.unwrap();
    let database = ReadDb::open_sqlite(folder.path().join("read.db")).await.unwrap();
    House { ledger, database, folder }
}

fn reactors(house: &House, database: &ReadDb) -> Reactors {
    let transactions = Commands::new(house.ledger.clone(), StreamPolicy::default());
    let incidents = Commands::<Incident>::new(house.ledger.clone(), StreamPolicy::default());
    let rule = LargeTransactions::new(LargeTransactionRule::default(), transactions, incidents);
    Reactors::new(house.ledger.reader().clone(), database.clone(), vec![Box::new(rule)])
}

async fn append(house: &House, id: &str, version: u64, event_type: &str, payload: String) {
    let append = Append {
        stream: StreamKey::new("transaction", id).unwrap(),
        expected_version: version,
        events: vec![Draft::new(event_type, 1, payload)],
        actor: Actor::human("usr_1"),
        metadata: r#"{"correlation_id":"work-7"}"#.to_owned(),
        command: None,
    };
    house.ledger.append(append).await.unwrap();
}

async fn record(house: &House, id: &str, amount: &str) {
    let payload = format!(
        r#"{{"nonce":"00","transaction_id":"{id}","amount":"{amount}","currency":"USD",
            "timestamp":"2026-01-05T10:00:00.000000Z","timestamp_source":"client","status":"completed"}}"#
    );
    append(house, id, 0, "transaction.recorded", payload).await;
}

async fn opened(house: &House) -> Vec<Entry> {
    let entries = house.ledger.entries(0, 1_000).await.unwrap();
    entries.into_iter().filter(|entry| entry.event_type == "incident.opened").collect()
}

#[tokio::test]
async fn a_transaction_above_the_threshold_opens_one_incident_that_says_what_caused_it() {
    let house = house().await;
    record(&house, "small", "100000").await;
    record(&house, "large", "100000.01").await;
    reactors(&house, &house.database).catch_up().await.unwrap();
    let incidents = opened(&house).await;
    assert_eq!(incidents.len(), 1, "the threshold itself is not above it");
    assert_eq!(incidents[0].stream.stream_id, "inc_rule_large_transaction_large");
    assert_eq!(incidents[0].actor, Actor::system("rule/large_transaction@1"));
    assert_eq!(incidents[0].metadata, r#"{"causation_id":"main/1","correlation_id":"work-7"}"#);
    let standing = status(&house.database).await.unwrap();
    assert_eq!((standing[0].position, standing[0].error.as_deref()), (3, None));
}

#[tokio::test]
async fn looking_again_from_the_start_opens_nothing_twice() {
    let house = house().await;
    record(&house, "large", "250000").await;
    reactors(&house, &house.database).catch_up().await.unwrap();
    let forgotten = ReadDb::open_sqlite(house.folder.path().join("another.db")).await.unwrap();
    reactors(&house, &forgotten).catch_up().await.unwrap();
    assert_eq!(opened(&house).await.len(), 1);
}

#[tokio::test]
async fn a_correction_that_brings_the_amount_above_opens_the_incident_then() {
    let house = house().await;
    record(&house, "typo", "1500").await;
    reactors(&house, &house.database).catch_up().await.unwrap();
    assert!(opened(&house).await.is_empty());
    let correction =
        r#"{"changes":[{"field":"amount","old":"1500","new":"1500000"}],"reason":"three zeros were missing"}"#;
    append(&house, "typo", 1, "transaction.corrected", correction.to_owned()).await;
    reactors(&house, &house.database).catch_up().await.unwrap();
    assert_eq!(opened(&house).await.len(), 1);
}

#[tokio::test]
async fn an_entry_it_cannot_read_stops_it_and_the_status_says_why() {
    let house = house().await;
    append(&house, "odd", 0, "transaction.teleported", "{}".to_owned()).await;
    record(&house, "large", "250000").await;
    let (stop, stopping) = watch::channel(false);
    let all = reactors(&house, &house.database);
    let running = tokio::spawn(async move { all.run(stopping).await });
    let error = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let standing = status(&house.database).await.unwrap();
            if let Some(error) = standing.first().and_then(|standing| standing.error.clone()) {
                return error;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(error.contains("entry 0") && error.contains("transaction.teleported"), "{error}");
    assert!(opened(&house).await.is_empty(), "nothing after it is looked at");
    stop.send(true).unwrap();
    running.await.unwrap().unwrap();
}

const LONG: Duration = Duration::from_secs(20);

async fn until_error(house: &House, holds: impl Fn(Option<&str>) -> bool) {
    tokio::time::timeout(LONG, async {
        loop {
            let standing = status(&house.database).await.unwrap();
            if standing.first().is_some_and(|standing| holds(standing.error.as_deref())) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the status in time");
}

/// Panics at the first pages.
struct Panicking(Arc<AtomicU32>);

#[async_trait]
impl React for Panicking {
    fn name(&self) -> &'static str {
        "panicking"
    }

    async fn react(&self, _: &[Entry]) -> Result<(), ReactError> {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) >= 1, "the test says so");
        Ok(())
    }
}

#[tokio::test]
async fn a_reactor_that_panics_says_so_and_is_started_again() {
    let house = house().await;
    record(&house, "any", "1").await;
    let pages = Arc::new(AtomicU32::new(0));
    let reactor = Panicking(Arc::clone(&pages));
    let all = Reactors::new(house.ledger.reader().clone(), house.database.clone(), vec![Box::new(reactor)]);
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(async move { all.run(stopping).await });
    until_error(&house, |error| error.is_some_and(|error| error.contains("panicked"))).await;
    until_error(&house, |error| error.is_none()).await;
    assert_eq!((pages.load(Ordering::Relaxed), status(&house.database).await.unwrap()[0].position), (2, 1));
    stop.send(true).unwrap();
    tokio::time::timeout(LONG, running).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn an_error_that_has_passed_is_taken_back_without_new_entries() {
    let house = house().await;
    record(&house, "any", "1").await;
    reactors(&house, &house.database).catch_up().await.unwrap();
    let mut transaction = house.database.begin().await.unwrap();
    sqlx::query("update reactor_positions set error = 'the ledger was away'").execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    until_error(&house, |error| error.is_some()).await;
    let (stop, stopping) = watch::channel(false);
    let all = reactors(&house, &house.database);
    let running = tokio::spawn(async move { all.run(stopping).await });
    until_error(&house, |error| error.is_none()).await;
    stop.send(true).unwrap();
    tokio::time::timeout(LONG, running).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_corrected_transaction_that_cannot_be_folded_is_named_by_its_position() {
    let house = house().await;
    record(&house, "odd", "1500").await;
    append(&house, "odd", 1, "transaction.teleported", "{}".to_owned()).await;
    let transactions = Commands::new(house.ledger.clone(), StreamPolicy::default());
    let incidents = Commands::<Incident>::new(house.ledger.clone(), StreamPolicy::default());
    let rule = LargeTransactions::new(LargeTransactionRule::default(), transactions, incidents);
    let correction = r#"{"changes":[{"field":"amount","old":"1500","new":"1500000"}],"reason":"zeros were missing"}"#;
    append(&house, "odd", 2, "transaction.corrected", correction.to_owned()).await;
    // The reactor stands at the correction, past what it does not know.
    let entries = house.ledger.entries(2, 1).await.unwrap();
    let error = rule.react(&entries).await.unwrap_err();
    assert!(matches!(error, ReactError::Entry { position: 2, .. }), "{error}");
}
