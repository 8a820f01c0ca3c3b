//! Rebuilding beside the live tables, swapping, comparing, and what is left when that is interrupted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use daybook_projections::transactions::Transactions;
use daybook_projections::{EngineError, Projections};
use daybook_read_models::transactions::{self, TransactionFilter};
use daybook_read_models::{PageRequest, positions};
use serde_json::json;
use tokio::sync::watch;

use crate::support::{Altered, World, on_every_store, recorded};

on_every_store! {
    a_rebuild_while_appending_leaves_no_gap_for_readers
    comparing_finds_rows_that_are_not_what_the_ledger_says_and_rebuilding_repairs_them
    changed_code_rebuilds_at_start_and_older_code_stops
    what_an_interrupted_rebuild_left_is_removed_at_the_next_start
    two_rebuilds_of_the_same_tables_do_not_run_at_once
    a_failing_rebuild_leaves_the_live_tables_as_they_were
    a_reader_that_holds_the_tables_only_delays_the_swap
}

async fn count(world: &World) -> u64 {
    let page = PageRequest { count: true, limit: 1, ..Default::default() };
    transactions::list(&world.db, "main", &TransactionFilter::default(), &page).await.unwrap().total.unwrap()
}

/// Names of tables of rebuilds.
async fn leftovers(world: &World) -> Vec<String> {
    let sql = match world.db.kind() {
        daybook_read_models::StoreKind::Sqlite => "select name from sqlite_master where type = 'table'",
        daybook_read_models::StoreKind::Postgres => {
            "select cast(table_name as text) from information_schema.tables where table_schema = current_schema()"
        }
    };
    let names: Vec<(String,)> = sqlx::query_as(sql).fetch_all(world.db.readers()).await.unwrap();
    names.into_iter().map(|(name,)| name).filter(|name| name.contains("_g")).collect()
}

fn altered(version: u32, fails: bool) -> Vec<Box<dyn daybook_projections::Projector>> {
    vec![Box::new(Altered { inner: Box::new(Transactions), version, fails: Arc::new(AtomicBool::new(fails)) })]
}

async fn a_rebuild_while_appending_leaves_no_gap_for_readers(world: World) {
    let world = Arc::new(world);
    let projections = world.projections();
    let commands = (0..6_000).map(|number| {
        let id = format!("t-{number}");
        world.prepare("transaction", &id, &[("recorded", recorded(&id, "0.10"))])
    });
    world.append_all(commands.collect()).await;
    projections.catch_up().await.unwrap();
    let (stop, shutdown) = watch::channel(false);
    let live = tokio::spawn({
        let (projections, shutdown) = (projections.clone(), shutdown.clone());
        async move { projections.run(shutdown).await }
    });
    let reading = tokio::spawn({
        let (world, shutdown) = (Arc::clone(&world), shutdown.clone());
        async move {
            let (mut least, mut looks) = (6_000, 0_u64);
            while !*shutdown.borrow() {
                let seen = count(&world).await;
                assert!(seen >= least, "readers went back from {least} to {seen} transactions");
                least = seen;
                looks += 1;
            }
            looks
        }
    });
    let appending = tokio::spawn({
        let (world, shutdown) = (Arc::clone(&world), shutdown.clone());
        async move {
            let mut number = 0;
            while !*shutdown.borrow() {
                let id = format!("late-{number}");
                world.record(&id, "1.00").await;
                if number % 3 == 0 {
                    let change = json!({"from": "pending", "to": "completed"});
                    world.append("transaction", &id, &[("status_changed", change)]).await;
                }
                number += 1;
            }
        }
    });
    let told = AtomicU64::new(0);
    for name in projections.names() {
        projections
            .rebuild(name, |done, total| {
                assert!(done <= total);
                told.fetch_max(done, Ordering::Relaxed);
            })
            .await
            .unwrap();
    }
    assert!(told.load(Ordering::Relaxed) >= 6_000);
    stop.send(true).unwrap();
    appending.await.unwrap();
    assert!(reading.await.unwrap() > 0);
    live.await.unwrap();
    assert_eq!(leftovers(&world).await, Vec::<String>::new());
    projections.catch_up().await.unwrap();
    assert!(projections.status().await.iter().all(|status| status.rebuild.is_none() && status.lag_entries == 0));
    world.assert_folding_anew_gives_the_same().await;
    // Rebuilt tables can be rebuilt again: names of tables and indexes do not collide.
    projections.rebuild("transactions", |_, _| {}).await.unwrap();
    world.assert_folding_anew_gives_the_same().await;
}

async fn comparing_finds_rows_that_are_not_what_the_ledger_says_and_rebuilding_repairs_them(world: World) {
    let projections = world.projections();
    for number in 0..10 {
        world.record(&format!("t-{number}"), "1.00").await;
    }
    projections.catch_up().await.unwrap();
    assert!(projections.compare("transactions", |_, _| {}).await.unwrap().equal);
    assert_eq!(world.execute("update transactions set amount = '9.00' where transaction_id = 't-3'").await, 1);
    assert_eq!(world.execute("delete from transactions where transaction_id = 't-4'").await, 1);
    let comparison = projections.compare("transactions", |_, _| {}).await.unwrap();
    assert!(!comparison.equal);
    let table = &comparison.tables[0];
    assert_eq!((table.rows, table.rebuilt_rows, table.only_live, table.only_rebuilt), (9, 10, 1, 2));
    // Comparing changes nothing.
    assert_eq!(transactions::get(&world.db, "main", "t-3").await.unwrap().unwrap().amount, "9.00");
    assert_eq!(leftovers(&world).await, Vec::<String>::new());

    projections.rebuild("transactions", |_, _| {}).await.unwrap();
    assert_eq!(transactions::get(&world.db, "main", "t-3").await.unwrap().unwrap().amount, "1.00");
    assert!(projections.compare("transactions", |_, _| {}).await.unwrap().equal);
    assert!(matches!(
        projections.rebuild("nonsense", |_, _| {}).await.unwrap_err(),
        EngineError::UnknownProjector(name) if name == "nonsense"
    ));
}

async fn changed_code_rebuilds_at_start_and_older_code_stops(world: World) {
    let old = world.projections_of(altered(1, false));
    world.record("t-1", "1.00").await;
    old.catch_up().await.unwrap();
    let (stop, shutdown) = watch::channel(false);
    let old_running = tokio::spawn({
        let old = old.clone();
        async move { old.run(shutdown).await }
    });
    // Rows that only the older code would have left.
    world.execute("update transactions set source = 'older code'").await;
    world.record("t-2", "2.00").await;
    positions::wait_for(&world.db, "transactions", "main", 1, Duration::from_secs(20)).await.unwrap();

    let new = world.projections_of(altered(2, false));
    new.catch_up().await.unwrap();
    let row = transactions::get(&world.db, "main", "t-1").await.unwrap().unwrap();
    assert_eq!(row.source, None);
    assert_eq!(new.status().await[0].version, 2);
    world.record("t-3", "3.00").await;
    // The running older program does not touch the newer tables, and says so.
    let begin = std::time::Instant::now();
    while !old.status().await[0].error.as_deref().is_some_and(|error| error.contains("version 2")) {
        assert!(begin.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(count(&world).await, 2);
    stop.send(true).unwrap();
    old_running.await.unwrap();
    new.catch_up().await.unwrap();
    assert_eq!(count(&world).await, 3);
}

async fn what_an_interrupted_rebuild_left_is_removed_at_the_next_start(world: World) {
    let projections = world.projections();
    for number in 0..3_000 {
        let id = format!("t-{number}");
        let command = world.prepare("transaction", &id, &[("recorded", recorded(&id, "0.10"))]);
        world.ledger.submit(command).await.unwrap();
    }
    world.ledger.wait_beyond(2_999, Duration::from_secs(20)).await.unwrap();
    projections.catch_up().await.unwrap();
    // The process dies in the middle: the future is dropped and nothing is cleaned up.
    let begun = Arc::new(tokio::sync::Notify::new());
    let rebuilding = tokio::spawn({
        let (projections, begun) = (projections.clone(), Arc::clone(&begun));
        async move {
            projections
                .rebuild("transactions", move |done, _| {
                    if done > 0 {
                        begun.notify_one();
                    }
                })
                .await
        }
    });
    begun.notified().await;
    rebuilding.abort();
    if rebuilding.await.is_ok() {
        return;
    }
    assert!(!leftovers(&world).await.is_empty());
    let status = projections.status().await;
    assert!(status.iter().any(|status| status.name == "transactions" && status.rebuild.is_some()));
    // While it may still be alive it is left alone.
    let error = projections.rebuild("transactions", |_, _| {}).await.unwrap_err();
    assert!(matches!(error, EngineError::RebuildRunning("transactions")), "{error}");

    world.execute("update projector_tables set rebuild_seen_at = 0 where projector = 'transactions'").await;
    let restarted =
        Projections::new(world.another_db().await, world.ledger.reader().clone(), daybook_projections::all());
    restarted.catch_up().await.unwrap();
    assert_eq!(leftovers(&world).await, Vec::<String>::new());
    assert!(restarted.status().await.iter().all(|status| status.rebuild.is_none()));
    assert_eq!(count(&world).await, 3_000);
    restarted.rebuild("transactions", |_, _| {}).await.unwrap();
    world.assert_folding_anew_gives_the_same().await;
}

async fn two_rebuilds_of_the_same_tables_do_not_run_at_once(world: World) {
    for number in 0..50 {
        world.record(&format!("t-{number}"), "1.00").await;
    }
    let projections = world.projections();
    projections.catch_up().await.unwrap();
    let (one, two) =
        tokio::join!(projections.rebuild("transactions", |_, _| {}), projections.rebuild("transactions", |_, _| {}));
    // Either they overlapped and one was refused, or they came one after the other; never both at once.
    assert!(one.is_ok() || two.is_ok());
    for outcome in [one, two] {
        assert!(matches!(outcome, Ok(()) | Err(EngineError::RebuildRunning("transactions"))), "{outcome:?}");
    }
    assert_eq!(leftovers(&world).await, Vec::<String>::new());
    world.assert_folding_anew_gives_the_same().await;
}

async fn a_failing_rebuild_leaves_the_live_tables_as_they_were(world: World) {
    world.record("t-1", "1.00").await;
    world.projections().catch_up().await.unwrap();
    let failing = world.projections_of(altered(1, true));
    let error = failing.rebuild("transactions", |_, _| {}).await.unwrap_err();
    assert!(matches!(error, EngineError::Fold { .. }), "{error}");
    assert_eq!(leftovers(&world).await, Vec::<String>::new());
    assert_eq!(count(&world).await, 1);
    world.assert_folding_anew_gives_the_same().await;
}

async fn a_reader_that_holds_the_tables_only_delays_the_swap(world: World) {
    world.record("t-1", "1.00").await;
    let projections = world.projections();
    projections.catch_up().await.unwrap();
    let other = world.another_db().await;
    let mut reading = other.readers().begin().await.unwrap();
    let rows = sqlx::query("select transaction_id from transactions").fetch_all(&mut *reading).await.unwrap();
    assert_eq!(rows.len(), 1);
    let rebuilding = tokio::spawn({
        let projections = projections.clone();
        async move { projections.rebuild("transactions", |_, _| {}).await }
    });
    // Longer than the swap waits for a lock. Others can read and the worker can fold meanwhile.
    let until = std::time::Instant::now() + Duration::from_millis(2_500);
    let mut number = 2;
    while std::time::Instant::now() < until {
        world.record(&format!("t-{number}"), "1.00").await;
        world.projections().catch_up().await.unwrap();
        assert_eq!(count(&world).await, number);
        number += 1;
    }
    // The reader's transaction still works with what it holds.
    sqlx::query("select transaction_id from transactions").fetch_all(&mut *reading).await.unwrap();
    reading.rollback().await.unwrap();
    rebuilding.await.unwrap().unwrap();
    world.assert_folding_anew_gives_the_same().await;
}
