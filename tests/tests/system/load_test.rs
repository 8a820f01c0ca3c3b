//! The program's own load test, and the demonstration.

use std::time::{Duration, Instant};

use daybook_tests::{OPERATOR_TOKEN, Server, Store, both_stores, command_line};
use serde_json::{Value, json};

both_stores!(a_load_test_of_a_sound_server_is_all_success);

async fn a_load_test_of_a_sound_server_is_all_success(store: &Store) {
    let server = Server::start(store).await;
    let arguments = [
        "load-test",
        "--url",
        server.url(),
        "--operator-token",
        OPERATOR_TOKEN,
        "--requests",
        "300",
        "--concurrency",
        "8",
    ];
    let report = command_line::daybook(&[&arguments[..], &["--json"]].concat()).await.expect(0).json();
    let all = &report["all"];
    assert_eq!(
        (&all["count"], &all["errors"], &report["success_percent"]),
        (&json!(300), &json!(0), &json!(100.0)),
        "{report}"
    );
    let endpoints = report["endpoints"].as_array().expect("a row an endpoint");
    let counted: u64 = endpoints.iter().map(|endpoint| endpoint["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, 300, "{report}");
    for figures in endpoints.iter().chain([all]) {
        let quantiles =
            ["p50_ms", "p95_ms", "p99_ms", "max_ms"].map(|name| figures[name].as_f64().expect("a duration"));
        assert!(quantiles.is_sorted() && quantiles[0] > 0.0, "{figures}");
    }
    let recorded = server.client().ledger_size().await;
    assert!(recorded > 30, "it writes, too: {recorded} entries");
    // Without naming the server: the one of the data folder is found.
    let table = store.daybook(&["load-test", "--requests", "40", "--concurrency", "4"]).await.expect(0).stdout;
    assert!(table.contains("p99") && table.contains("POST /transactions"), "{table}");
    assert!(server.client().ledger_size().await > recorded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_test_of_nothing_fails() {
    let failed =
        command_line::daybook(&["load-test", "--url", "http://127.0.0.1:9", "--requests", "5", "--concurrency", "2"])
            .await;
    assert_eq!(failed.code, 2, "{}", failed.text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demonstration_ends_verified_and_is_quick_the_second_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let arguments = ["demo", "--exit", "--limit", "500", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let first = command_line::daybook(&arguments).await.expect(0);
    let text = first.text();
    assert!(text.contains("verified") && text.contains("http://127.0.0.1:"), "{text}");
    assert!(text.contains("500"), "it counts: {text}");
    let verified =
        command_line::daybook(&["verify", "--json", "--data", data.to_str().unwrap()]).await.expect(0).json();
    let entries = verified["entries"].as_u64().unwrap();
    assert!(entries >= 500, "{verified}");
    let started = Instant::now();
    command_line::daybook(&arguments).await.expect(0);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    let again: Value =
        command_line::daybook(&["verify", "--json", "--data", data.to_str().unwrap()]).await.expect(0).json();
    assert_eq!(again["entries"], entries, "the second time records nothing anew");
}
