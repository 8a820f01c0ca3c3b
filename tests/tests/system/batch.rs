//! Much at once: a batch of 100,000 in constant memory, and single commands that share commits.

use std::time::Duration;

use daybook_tests::{Server, Store, both_stores, data};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::projections;

/// Items of the large batch.
const ITEMS: u64 = 100_000;
/// Memory (anonymous, without mapped files) is taken as normal after this many.
const WARM: u64 = 10_000;
/// What the server may need more after that. Holding on to the batch or to its answers would take more.
const MOST_GROWTH_KIB: u64 = 64 * 1024;
/// On the embedded store the page caches of the two files fill up besides: 40 MiB for writing, 32 MiB for reading.
const PAGE_CACHES_KIB: u64 = 72 * 1024;
/// Every so many lines one is broken.
const BROKEN_EVERY: u64 = 9_973;
/// Connections that send single commands.
const CONNECTIONS: usize = 64;

/// The line with this number, from 1; some are broken in one of four ways.
fn line(number: u64) -> String {
    let good = || {
        json!({
            "transaction_id": format!("B-{number:06}"),
            "amount": format!("{}.{:02}", number % 5_000, number % 100),
            "currency": "EUR",
            "status": "completed",
            "timestamp": "2026-11-20T09:30:00Z",
            "account": format!("ACC-{:04}", number % 1_000),
            "counterparty": format!("CP-{}", number % 77),
            "type": "wire",
            "meta": {"region": "EU"},
        })
        .to_string()
    };
    if !number.is_multiple_of(BROKEN_EVERY) {
        return good();
    }
    match number / BROKEN_EVERY % 4 {
        0 => "{\"transaction_id\": ".to_owned(),
        1 => format!("{{\"transaction_id\":\"B-{number:06}\",\"amount\":true,\"currency\":\"EUR\"}}"),
        2 => format!("{{\"transaction_id\":\"B-{number:06}\",\"amount\":\"1e40\",\"currency\":\"EUR\"}}"),
        _ => format!("{{\"transaction_id\":\"B-{number:06}\",\"amount\":\"1\",\"currency\":\"EUR\",\"surprise\":1}}"),
    }
}

/// What the answer to the large batch said.
#[derive(Default)]
struct Answers {
    lines: u64,
    summary: Value,
    warm_kib: u64,
    most_kib: u64,
}

impl Answers {
    fn take(&mut self, text: &str, server: &Server) {
        let answer: Value = serde_json::from_str(text).expect("a line of JSON");
        if answer["summary"].is_object() {
            self.summary = answer["summary"].clone();
            return;
        }
        self.lines += 1;
        assert!(self.summary.is_null(), "the summary comes last");
        assert_eq!(answer["line"], self.lines, "answers come in order: {text}");
        let broken = self.lines.is_multiple_of(BROKEN_EVERY);
        assert_eq!(answer["status"], if broken { "refused" } else { "created" }, "{text}");
        assert_eq!(answer["problem"]["code"].is_string(), broken, "{text}");
        assert_eq!(answer["receipt"]["position"].is_u64(), !broken, "{text}");
        if self.lines == WARM {
            self.warm_kib = server.memory_kib("RssAnon").unwrap_or(0);
        } else if self.lines.is_multiple_of(2_000) {
            self.most_kib = self.most_kib.max(server.memory_kib("RssAnon").unwrap_or(0));
        }
    }
}

both_stores!(a_hundred_thousand_transactions_need_no_more_memory_than_ten_thousand);

async fn a_hundred_thousand_transactions_need_no_more_memory_than_ten_thousand(store: &Store) {
    let mut server = Server::start(store).await;
    let client = server.client();
    // Chunks of 200 lines, made as they are taken: the whole body exists nowhere.
    let body = futures::stream::iter((0..ITEMS / 200).map(|chunk| {
        let numbers = chunk * 200 + 1..=(chunk + 1) * 200;
        Ok::<_, std::io::Error>(numbers.map(|number| line(number) + "\n").collect::<String>())
    }));
    let response = client
        .request("POST", "/v1/transactions/batch")
        .header("content-type", "application/x-ndjson")
        .timeout(Duration::from_secs(240))
        .body(reqwest::Body::wrap_stream(body))
        .send()
        .await
        .expect("the batch is answered");
    assert_eq!(response.status().as_u16(), 200);
    let (mut answers, mut rest) = (Answers::default(), String::new());
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        rest.push_str(std::str::from_utf8(&chunk.expect("the answer does not break off")).expect("UTF-8"));
        while let Some(end) = rest.find('\n') {
            answers.take(&rest[..end], &server);
            rest.drain(..=end);
        }
    }
    assert_eq!(rest, "");
    let refused = ITEMS / BROKEN_EVERY;
    assert_eq!(answers.lines, ITEMS);
    assert_eq!(answers.summary["created"], ITEMS - refused);
    assert_eq!(answers.summary["refused"], refused);
    assert_eq!(answers.summary["complete"], true);
    assert_eq!(client.ledger_size().await, ITEMS - refused);
    projections::settled(&client).await;
    answers.most_kib = answers.most_kib.max(server.memory_kib("RssAnon").unwrap_or(0));
    println!("memory: {} KiB after {WARM} items, {} KiB at most after that", answers.warm_kib, answers.most_kib);
    let growth = answers.most_kib.saturating_sub(answers.warm_kib);
    let caches = if store.is_postgres() { 0 } else { PAGE_CACHES_KIB };
    assert!(growth < MOST_GROWTH_KIB + caches, "grew by {growth} KiB from {} KiB", answers.warm_kib);
    let listed = client.get("/v1/transactions?limit=1&count=true").await.expect(200).json();
    assert_eq!(listed["total"], ITEMS - refused);
    assert!(server.terminate().await.success());
    store.verified().await;
}

both_stores!(an_array_and_lines_are_answered_alike_and_a_repeat_changes_nothing);

async fn an_array_and_lines_are_answered_alike_and_a_repeat_changes_nothing(store: &Store) {
    let server = Server::start(store).await;
    let client = server.client();
    let items: Vec<Value> = (0..40).map(|number| data::transaction(&format!("twice-{number}"))).collect();
    let lines: String = items.iter().map(|item| format!("{item}\r\n\n")).collect();
    let send = |kind: &'static str, body: String| {
        let request = client.request("POST", "/v1/transactions/batch").header("content-type", kind).body(body);
        let client = client.clone();
        async move { client.send(request).await.expect(200) }
    };
    let first = read(&send("application/x-ndjson", lines).await.body);
    let again = read(&send("application/json", Value::from(items.clone()).to_string()).await.body);
    assert_eq!((first.len(), again.len()), (41, 41));
    for (number, (first, again)) in first.iter().zip(&again).take(40).enumerate() {
        assert_eq!(first["status"], "created", "{first}");
        assert_eq!(again["status"], "unchanged", "{again}");
        assert_eq!(first["transaction_id"], format!("twice-{number}"));
        assert_eq!(first["receipt"], again["receipt"]);
    }
    assert_eq!(again[40]["summary"]["unchanged"], 40);
    assert_eq!(client.ledger_size().await, 40);
    // One changed item is a conflict of its own.
    let mut changed = items;
    changed[7]["amount"] = Value::from("0.01");
    let mixed = read(&send("application/json", Value::from(changed).to_string()).await.body);
    assert_eq!(mixed[7]["problem"]["code"], "transaction.conflict", "{}", mixed[7]);
    assert_eq!(mixed[40]["summary"]["unchanged"], 39);
    // A body that breaks off keeps what was whole, and says so.
    let broken = format!("[{},{{\"transaction_id\":\"cut", data::transaction("whole"));
    let broken = read(&send("application/json", broken).await.body);
    assert_eq!(broken[0]["status"], "created");
    assert_eq!(broken.last().unwrap()["summary"]["complete"], false, "{broken:?}");
    assert_eq!(client.ledger_size().await, 41);
}

fn read(body: &str) -> Vec<Value> {
    body.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

both_stores!(single_commands_on_64_connections_share_commits);

async fn single_commands_on_64_connections_share_commits(store: &Store) {
    let server = Server::start(store).await;
    let client = server.client();
    let writers: Vec<_> = (0..CONNECTIONS)
        .map(|writer| {
            let client = client.clone();
            tokio::spawn(async move {
                for turn in 0..15 {
                    let transaction = data::transaction(&format!("single-{writer}-{turn}"));
                    client.post("/v1/transactions", &transaction).await.expect(201);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("a writer does not fail");
    }
    let entries = client.metric("daybook_ledger_entries_per_commit_sum").await;
    let commits = client.metric("daybook_ledger_entries_per_commit_count").await;
    println!("{entries} entries in {commits} commits");
    assert_eq!(entries as u64, client.ledger_size().await);
    assert!(commits > 0.0 && entries / commits > 1.5, "{entries} entries in {commits} commits");
}
