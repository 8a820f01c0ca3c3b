//! The machine's clock is set back, and later put right.

use daybook_tests::{Server, Store, both_stores, eventually};

use super::inject::Injector;
use super::load::{Book, Load};

const HOUR: i64 = 3_600;

both_stores!(clock_that_is_set_back_stops_nothing_and_time_never_decreases);

async fn clock_that_is_set_back_stops_nothing_and_time_never_decreases(store: &Store) {
    let Some(injector) = Injector::new() else { return };
    let mut options = injector.options();
    options.arguments.extend(["--checkpoint-interval".to_owned(), "1".to_owned()]);
    let server = Server::start_with(store, options).await;
    let client = server.client();
    let load = Load::start(&client, "clock").await;
    load.goes_on(200).await;
    injector.set_clock(-HOUR);
    load.goes_on(200).await;
    let behind = eventually("the metrics say how far the clock is behind", async || {
        let behind = client.metric("daybook_clock_behind_ms").await;
        (behind > 0.0).then_some(behind)
    })
    .await;
    assert!((3_500_000.0..3_700_000.0).contains(&behind), "{behind}");
    assert!(server.printed_contains("the clock is behind the ledger"), "{}", server.printed());
    let ready = client.get("/health/ready").await.expect(200);
    assert!(ready.body.contains("the clock is"), "{}", ready.body);
    // Seals and checkpoints go on: one that covers what was recorded after the clock was set back.
    let size = client.ledger_size().await;
    eventually("a seal is appended", async || {
        let page = client.get(&format!("/v1/ledgers/main/entries?from={size}&limit=50000")).await.expect(200);
        page.body.lines().any(|line| line.contains("\"ledger.sealed\"")).then_some(())
    })
    .await;
    // Put right again.
    injector.set_clock(0);
    load.goes_on(200).await;
    eventually("the clock is right again", async || {
        (client.metric("daybook_clock_behind_ms").await == 0.0).then_some(())
    })
    .await;
    let mut book = Book::default();
    load.stop(&mut book).await;
    let times: Vec<String> =
        client.entries().await.iter().map(|entry| entry["recorded_at"].as_str().expect("a time").to_owned()).collect();
    assert!(times.is_sorted(), "recorded_at decreases");
    book.holds(store, server).await;
}
