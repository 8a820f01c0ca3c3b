//! `cargo bench --bench exports`: an export of a million transactions, on both stores: rows a second, growth of the server's
//! memory meanwhile, `COPY TO` of the same rows by PostgreSQL itself, and verification beside reading the file alone.
//!
//! `BENCH_ROWS` (default 1,000,000) is how many transactions there are. Prints the table that `docs/performance.md` keeps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::as_conversions)]

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use daybook_tests::files::file_below;
use daybook_tests::people::MAIN;
use daybook_tests::{Person, Server, Store, command_line, eventually_within};
use serde_json::{Value, json};

/// Transactions of one batch.
const BATCH: usize = 50_000;
/// Longest for anything.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() {
    let rows = std::env::var("BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        println!("| store | format | rows | file | rows/s | memory before | growth | verify | read alone |");
        println!("|---|---|---|---|---|---|---|---|---|");
        measure("SQLite", &Store::sqlite(), rows).await;
        if let Some(store) = Store::postgres().await {
            measure("PostgreSQL", &store, rows).await;
        }
    });
}

async fn measure(name: &str, store: &Store, rows: usize) {
    let server = Server::start(store).await;
    record(&server, rows).await;
    // What recording has left in the allocator would hide what an export takes.
    drop(server);
    let server = Server::start(store).await;
    let (asker, other) = (server.person(MAIN, "admin").await, server.person(MAIN, "compliance").await);
    let key = store.folder().join("key.pem");
    let public = store.daybook(&["keys", "export-public", "--format", "pem"]).await.expect(0).stdout;
    std::fs::write(&key, public).unwrap();
    for format in ["csv", "ndjson", "parquet"] {
        let wish = json!({"kind": "transactions", "format": format, "reason": "measured"});
        let blocked = asker.client.post("/v1/exports", &wish).await.expect(202).json();
        let id = blocked["export"]["export_id"].as_str().unwrap().to_owned();
        let approval = blocked["approval_request_id"].as_str().unwrap().to_owned();
        let before = server.memory_kib("VmRSS").unwrap_or(0);
        // The most that the process has had is counted from here on.
        std::fs::write(format!("/proc/{}/clear_refs", server.process_id()), "5").unwrap();
        let vote = json!({"decision": "approve"});
        other.client.post(&format!("/v1/approvals/{approval}/vote"), &vote).await.expect(200);
        let made = once(&asker, &id, "generated").await;
        let peak = server.memory_kib("VmHWM").unwrap_or(0);
        let history = history(&asker, &id).await;
        let seconds = history["export.generated"] - history["export.generation_started"];
        let bytes = made["bytes"].as_u64().unwrap_or(0);

        let file = file_below(store.folder(), &format!("{id}."), format);
        let started = Instant::now();
        let verify = ["export", "verify", file.to_str().unwrap(), "--key", key.to_str().unwrap()];
        command_line::daybook(&verify).await.expect(0);
        let verified = started.elapsed();
        let started = Instant::now();
        read_alone(&file);
        let read = started.elapsed();
        println!(
            "| {name} | {format} | {} | {:.0} MB | {:.0} | {} MiB | {} MiB | {:.0} MB/s | {:.0} MB/s |",
            made["rows"],
            bytes as f64 / 1e6,
            made["rows"].as_u64().unwrap() as f64 / seconds,
            before / 1024,
            peak.saturating_sub(before) / 1024,
            bytes as f64 / 1e6 / verified.as_secs_f64(),
            bytes as f64 / 1e6 / read.as_secs_f64(),
        );
    }
    if let Some(url) = store.database_url() {
        copy(url, rows);
    }
}

/// PostgreSQL's own way of writing the same columns of the same rows.
fn copy(url: &str, rows: usize) {
    let sql = "copy (select * from transactions order by transaction_id) to stdout with (format csv, header)";
    let target = std::fs::File::create("/dev/null").unwrap();
    let started = Instant::now();
    let status = Command::new("psql").args([url, "-q", "-c", sql]).stdout(target).status().expect("psql can be run");
    assert!(status.success(), "psql failed");
    println!(
        "\nPostgreSQL `copy … to stdout` of the same table: {:.0} rows/s",
        rows as f64 / started.elapsed().as_secs_f64()
    );
}

async fn record(server: &Server, rows: usize) {
    let mut number = 0;
    while number < rows {
        let end = rows.min(number + BATCH);
        let mut lines = String::new();
        for number in number..end {
            let cents = (number * 7_919) % 9_000_000;
            let _ = writeln!(
                lines,
                r#"{{"transaction_id":"TX-{number:08}","amount":"{}.{:02}","currency":"EUR","timestamp":"2026-11-20T09:30:00Z","account":"ACC-{:04}","counterparty":"CP-{}","type":"wire"}}"#,
                cents / 100,
                cents % 100,
                number % 10_000,
                number % 97
            );
        }
        let request = server.client().request("POST", "/v1/transactions/batch").timeout(PATIENCE).body(lines);
        let answer = server.client().send(request.header("content-type", "application/x-ndjson")).await;
        assert!((200..300).contains(&answer.status), "{} {:.500}", answer.status, answer.body);
        number = end;
    }
    eventually_within(PATIENCE, "everything is folded", async || {
        let summary = server.client().get("/v1/transactions?count=true&limit=1").await.expect(200).json();
        (summary["total"].as_u64()? >= rows as u64).then_some(())
    })
    .await;
}

async fn once(person: &Person, export: &str, status: &str) -> Value {
    eventually_within(PATIENCE, "the export is made", async || {
        let answer = person.client.get(&format!("/v1/exports/{export}")).await;
        let shown = (answer.status == 200).then(|| answer.json())?;
        assert!(shown["status"] != "failed", "{shown}");
        (shown["status"] == status).then_some(shown)
    })
    .await
}

/// When each event of an export was recorded, in seconds.
async fn history(person: &Person, export: &str) -> std::collections::BTreeMap<String, f64> {
    let path = format!("/v1/audit-trail?entity_type=export&entity_id={export}&limit=100");
    let page = person.client.get(&path).await.expect(200).json();
    let items = page["items"].as_array().unwrap().clone();
    let seconds = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros() as f64 / 1e6;
    let time = |item: &Value| item["timestamp"].as_str().or(item["recorded_at"].as_str()).map(seconds).unwrap();
    items.iter().map(|item| (item["event_type"].as_str().unwrap().to_owned(), time(item))).collect()
}

fn read_alone(file: &Path) {
    let (mut file, mut buffer) = (std::fs::File::open(file).unwrap(), vec![0; 1 << 20]);
    while file.read(&mut buffer).unwrap() > 0 {}
}
