//! The engine: positions, crashes, what cannot be understood, and several processes at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use daybook_projections::transactions::Transactions;
use daybook_projections::{
    DecodedEntry, EngineError, FoldError, Interest, Projections, Projector, TableDefinition, TableNames, status_from_db,
};
use daybook_read_models::PageRequest;
use daybook_read_models::positions;
use daybook_read_models::transactions::{self, TransactionFilter};
use serde_json::json;
use sqlx::AnyConnection;
use tokio::sync::watch;

use crate::support::{Altered, World, on_every_store, opened, recorded};

on_every_store! {
    projectors_follow_the_ledger_and_a_reader_can_wait_for_them
    a_crash_before_the_commit_leaves_rows_and_position_alone
    a_projector_that_panics_says_so_and_is_started_again
    an_unknown_event_stops_its_projector_and_no_other
    an_unknown_schema_version_stops_until_a_program_knows_it
    a_malformed_payload_is_named_without_being_quoted
    two_processes_on_the_same_tables_fold_everything_once
    a_position_that_does_not_come_ends_the_wait
    ledgers_in_the_same_tables_are_apart
    a_reader_only_database_refuses_to_fold
}

const LONG: Duration = Duration::from_secs(20);

struct Running {
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(projections: &Projections) -> Self {
        let (stop, shutdown) = watch::channel(false);
        let projections = projections.clone();
        Self { stop, task: tokio::spawn(async move { projections.run(shutdown).await }) }
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        tokio::time::timeout(LONG, self.task).await.expect("it stops in time").unwrap();
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < LONG, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn count(world: &World) -> u64 {
    let page = PageRequest { count: true, limit: 1, ..Default::default() };
    transactions::list(&world.db, "main", &TransactionFilter::default(), &page).await.unwrap().total.unwrap()
}

async fn projectors_follow_the_ledger_and_a_reader_can_wait_for_them(world: World) {
    let projections = world.projections();
    let running = Running::start(&projections);
    for number in 0..20 {
        let position = world.record(&format!("t-{number}"), "1.00").await;
        for name in projections.names() {
            let seen = positions::wait_for(&world.db, name, "main", position, LONG).await.unwrap();
            assert_eq!(seen, position + 1, "{name}");
        }
        assert_eq!(count(&world).await, number + 1);
    }
    let status = projections.status().await;
    assert_eq!(status.len(), daybook_projections::all().len());
    for projector in &status {
        assert_eq!((projector.position, projector.head, projector.lag_entries), (20, 20, 0), "{projector:?}");
        assert_eq!((projector.error.as_ref(), projector.rebuild), (None, None));
        assert!(projector.last_progress_at.is_some());
    }
    running.stop().await;
    world.assert_folding_anew_gives_the_same().await;
}

async fn a_crash_before_the_commit_leaves_rows_and_position_alone(world: World) {
    let fails = Arc::new(AtomicBool::new(false));
    let altered = Altered { inner: Box::new(Transactions), version: 1, fails: Arc::clone(&fails) };
    let projections = world.projections_of(vec![Box::new(altered)]);
    world.record("t-1", "1.00").await;
    projections.catch_up().await.unwrap();
    world.record("t-2", "2.00").await;
    fails.store(true, Ordering::Relaxed);
    let error = projections.catch_up().await.unwrap_err();
    assert!(matches!(error, EngineError::Fold { position: 1, .. }), "{error}");
    assert_eq!(count(&world).await, 1);
    assert_eq!(positions::position(&world.db, "transactions", "main").await.unwrap(), 1);

    let running = Running::start(&projections);
    until("the failure is reported", async || projections.status().await[0].error.is_some()).await;
    fails.store(false, Ordering::Relaxed);
    positions::wait_for(&world.db, "transactions", "main", 1, LONG).await.unwrap();
    assert_eq!(count(&world).await, 2);
    until("the failure is forgotten", async || projections.status().await[0].error.is_none()).await;
    running.stop().await;
}

/// Panics while it is told to.
struct Panicking {
    inner: Transactions,
    panics: Arc<AtomicBool>,
}

#[async_trait]
impl Projector for Panicking {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn version(&self) -> u32 {
        self.inner.version()
    }

    fn tables(&self) -> &'static [TableDefinition] {
        self.inner.tables()
    }

    fn interest(&self, stream_type: &str) -> Interest {
        self.inner.interest(stream_type)
    }

    async fn fold(
        &self,
        connection: &mut AnyConnection,
        tables: &TableNames,
        ledger_id: &str,
        batch: &[DecodedEntry],
    ) -> Result<(), FoldError> {
        self.inner.fold(connection, tables, ledger_id, batch).await?;
        assert!(!self.panics.load(Ordering::Relaxed), "the test says so");
        Ok(())
    }
}

async fn a_projector_that_panics_says_so_and_is_started_again(world: World) {
    let position = world.record("t-1", "1.00").await;
    let panics = Arc::new(AtomicBool::new(true));
    let projector = Panicking { inner: Transactions, panics: Arc::clone(&panics) };
    let projections = Projections::new(world.db.clone(), world.ledger.reader().clone(), vec![Box::new(projector)]);
    let running = Running::start(&projections);
    let stands = |error: &Option<String>| error.as_deref().is_some_and(|why| why.contains("panicked"));
    until("the status says that it has panicked", async || stands(&projections.status().await[0].error)).await;
    until("other processes know it too", async || {
        stands(&status_from_db(&world.db, "main", 1).await.unwrap()[0].error)
    })
    .await;
    assert_eq!(count(&world).await, 0);
    panics.store(false, Ordering::Relaxed);
    let seen = positions::wait_for(&world.db, "transactions", "main", position, LONG).await.unwrap();
    assert_eq!((seen, count(&world).await), (1, 1));
    until("the status is good again", async || projections.status().await[0].error.is_none()).await;
    running.stop().await;
}

async fn an_unknown_event_stops_its_projector_and_no_other(world: World) {
    world.record("t-1", "1.00").await;
    world.append("incident", "inc_1", &[("opened", opened("inc_1", "One", "low")), ("teleported", json!({}))]).await;
    world.record("t-2", "2.00").await;
    world.append("stranger", "s-1", &[("arrived", json!({"from": "afar"}))]).await;
    let projections = world.projections();
    let running = Running::start(&projections);
    positions::wait_for(&world.db, "transactions", "main", 4, LONG).await.unwrap();
    // What came before the unknown event is folded, the event itself is not passed over.
    let other = world.another_db().await;
    for name in ["incidents", "audit_trail", "stats"] {
        until("it says why it stands still", async || {
            let status = status_from_db(&other, "main", 5).await.unwrap();
            status.iter().any(|status| {
                status.name == name
                    && status.position == 2
                    && status.lag_entries == 3
                    && status.error.as_deref().is_some_and(|error| error.contains("entry 2"))
            })
        })
        .await;
    }
    let incident = daybook_read_models::incidents::get(&world.db, "main", "inc_1").await.unwrap().unwrap();
    assert_eq!(incident.version, 1);
    let status = projections.status().await;
    assert_eq!(status.iter().filter(|status| status.error.is_some()).count(), 3);
    running.stop().await;
    let error = projections.catch_up().await.unwrap_err();
    assert!(error.to_string().contains("unknown event incident.teleported"), "{error}");
}

async fn an_unknown_schema_version_stops_until_a_program_knows_it(world: World) {
    world.record("t-1", "1.00").await;
    let mut append = world.prepare("transaction", "t-2", &[("recorded", recorded("t-2", "1.00"))]);
    append.events[0].schema_version = 2;
    world.ledger.append(append).await.unwrap();
    let projections = world.projections_of(vec![Box::new(Transactions)]);
    let error = projections.catch_up().await.unwrap_err();
    assert!(matches!(error, EngineError::Undecodable { position: 1, .. }), "{error}");
    assert_eq!(count(&world).await, 1);
}

async fn a_malformed_payload_is_named_without_being_quoted(world: World) {
    world.append("transaction", "t-1", &[("recorded", json!({"amount": "secret"}))]).await;
    let error = world.projections().catch_up().await.unwrap_err().to_string();
    assert!(error.contains("malformed payload of transaction.recorded"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

async fn two_processes_on_the_same_tables_fold_everything_once(world: World) {
    let first = world.projections();
    let other = Projections::new(world.another_db().await, world.ledger.reader().clone(), daybook_projections::all());
    let (one, two) = (Running::start(&first), Running::start(&other));
    for round in 0..30 {
        let commands = (0..40).map(|number| {
            let id = format!("t-{round}-{number}");
            world.prepare("transaction", &id, &[("recorded", recorded(&id, "0.10"))])
        });
        world.append_all(commands.collect()).await;
    }
    for name in first.names() {
        assert_eq!(positions::wait_for(&world.db, name, "main", 1_199, LONG).await.unwrap(), 1_200, "{name}");
    }
    one.stop().await;
    two.stop().await;
    let sums = daybook_read_models::stats::transactions(&world.db, "main", Default::default()).await.unwrap();
    assert_eq!((sums.count, sums.by_currency[0].amount_sum.as_str()), (1_200, "120.00"));
    world.assert_folding_anew_gives_the_same().await;
}

async fn a_position_that_does_not_come_ends_the_wait(world: World) {
    let wait = Duration::from_millis(30);
    assert_eq!(positions::wait_for(&world.db, "transactions", "main", 0, wait).await.unwrap(), 0);
    world.projections().catch_up().await.unwrap();
    assert_eq!(positions::wait_for(&world.db, "transactions", "main", 0, wait).await.unwrap(), 0);
}

async fn ledgers_in_the_same_tables_are_apart(world: World) {
    let branch = World::open_ledger(&world.store, "branch".parse().unwrap()).await;
    world.record("t-1", "1.00").await;
    let append = world.prepare("transaction", "t-1", &[("recorded", recorded("t-1", "7.00"))]);
    branch.append(daybook_ledger::Append { expected_version: 0, ..append }).await.unwrap();
    world.projections().catch_up().await.unwrap();
    let projections = Projections::new(world.db.clone(), branch.reader().clone(), daybook_projections::all());
    projections.catch_up().await.unwrap();
    for (ledger, amount) in [("main", "1.00"), ("branch", "7.00")] {
        let page = transactions::list(&world.db, ledger, &TransactionFilter::default(), &PageRequest::default())
            .await
            .unwrap();
        assert_eq!(page.items.iter().map(|row| row.amount.as_str()).collect::<Vec<_>>(), [amount]);
        let sums = daybook_read_models::stats::transactions(&world.db, ledger, Default::default()).await.unwrap();
        assert_eq!(sums.by_currency[0].amount_sum, amount);
    }
    // A rebuild by one ledger's process keeps the rows of the other.
    projections.rebuild("transactions", |_, _| {}).await.unwrap();
    let row = transactions::get(&world.db, "main", "t-1").await.unwrap().unwrap();
    assert_eq!(row.amount, "1.00");
    world.assert_folding_anew_gives_the_same().await;
}

async fn a_reader_only_database_refuses_to_fold(world: World) {
    world.record("t-1", "1.00").await;
    world.projections().catch_up().await.unwrap();
    let Some(reading) = world.read_only_db().await else { return };
    let row = transactions::get(&reading, "main", "t-1").await.unwrap().unwrap();
    assert_eq!(row.amount, "1.00");
    let projections = Projections::new(reading.clone(), world.ledger.reader().clone(), daybook_projections::all());
    let error = projections.catch_up().await.unwrap_err();
    assert!(matches!(error, EngineError::Read(daybook_read_models::ReadError::ReadOnly)), "{error}");
    // Not even a query's own connections can write.
    for db in [reading, world.db.clone()] {
        assert!(sqlx::query("delete from transactions").execute(db.readers()).await.is_err());
    }
    assert_eq!(count(&world).await, 1);
}
