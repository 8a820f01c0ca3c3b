//! Rebuilding read models while writes go on: readers see no gap, and the rebuilt tables equal the old.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use daybook_tests::{Client, Server, Store, both_stores, data, eventually};
use serde_json::json;

use crate::projections::{self, PROJECTORS, read_models_equal_a_rebuild};

/// Lists whose number of matching things never falls, and where it stands in the answer.
const LISTS: [(&str, &str); 4] = [
    ("/v1/transactions?limit=5&count=true", "/total"),
    ("/v1/incidents?limit=5&count=true", "/total"),
    ("/v1/audit-trail?limit=5&count=true", "/total"),
    ("/v1/stats/summary", "/total_events"),
];

both_stores!(readers_see_no_gap_while_every_projector_is_rebuilt_under_load);

async fn readers_see_no_gap_while_every_projector_is_rebuilt_under_load(store: &Store) {
    let mut server = Server::start(store).await;
    let client = server.client();
    fill(&client, 3_000).await;
    projections::settled(&client).await;
    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(AtomicUsize::new(0));
    let mut tasks: Vec<_> = (0..2)
        .map(|writer| tokio::spawn(write(client.clone(), writer, Arc::clone(&stop), Arc::clone(&written))))
        .collect();
    let readers: Vec<_> =
        LISTS.iter().map(|(path, total)| tokio::spawn(watch(client.clone(), path, total, Arc::clone(&stop)))).collect();
    for projector in PROJECTORS {
        let before = written.load(Ordering::Relaxed);
        let started = client.post(&format!("/v1/projections/{projector}/rebuild"), &json!({})).await.expect(202);
        assert_eq!(started.json()["name"], projector);
        eventually("the rebuild ends", async || {
            let projectors = projections::status(&client).await;
            let one = projectors.iter().find(|one| one["name"] == projector).expect("the projector");
            assert!(one["error"].is_null(), "{one}");
            (one["state"] == "running").then_some(())
        })
        .await;
        eventually("writes go on", async || (written.load(Ordering::Relaxed) > before).then_some(())).await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in tasks.drain(..) {
        task.await.expect("a writer does not fail");
    }
    for reader in readers {
        let looks = reader.await.expect("a reader sees no error and no gap");
        assert!(looks > 10, "a reader looked only {looks} times");
    }
    projections::settled(&client).await;
    assert!(server.terminate().await.success(), "{}", server.printed());
    read_models_equal_a_rebuild(store).await;
}

both_stores!(a_rebuild_from_the_command_line_gives_the_same_tables);

async fn a_rebuild_from_the_command_line_gives_the_same_tables(store: &Store) {
    let mut server = Server::start(store).await;
    let client = server.client();
    fill(&client, 500).await;
    projections::settled(&client).await;
    let before = answers(&client).await;
    // An embedded store has one writer: there the server has to go first. On PostgreSQL it goes on.
    if !store.is_postgres() {
        assert!(server.terminate().await.success());
    }
    for projector in PROJECTORS {
        store.daybook(&["projections", "rebuild", projector]).await.expect(0);
    }
    if !store.is_postgres() {
        server = Server::start(store).await;
    }
    assert_eq!(answers(&server.client()).await, before);
    store.daybook(&["projections", "rebuild", "no_such_projector"]).await.expect(2);
}

/// What all the other comparisons rest on: a row that is not what the ledger gives is found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_finds_a_changed_row_and_a_rebuild_mends_it() {
    let store = Store::sqlite();
    let mut server = Server::start(&store).await;
    fill(&server.client(), 100).await;
    projections::settled(&server.client()).await;
    assert!(server.terminate().await.success());
    read_models_equal_a_rebuild(&store).await;
    let tables = rusqlite::Connection::open(store.folder().join("read.db")).unwrap();
    let sql = "update transactions set status = 'failed' where transaction_id = 'fill-7'";
    assert_eq!(tables.execute(sql, []).unwrap(), 1);
    drop(tables);
    let differs = store.daybook(&["projections", "check", "transactions", "--json"]).await.expect(1).json();
    assert_eq!((&differs["equal"], &differs["tables"][0]["only_live"]), (&json!(false), &json!(1)), "{differs}");
    store.daybook(&["projections", "rebuild", "transactions"]).await.expect(0);
    read_models_equal_a_rebuild(&store).await;
}

async fn answers(client: &Client) -> Vec<String> {
    let mut answers = Vec::new();
    for path in [
        "/v1/transactions?limit=500",
        "/v1/incidents?limit=500",
        "/v1/audit-trail?limit=500",
        "/v1/stats/summary",
        "/v1/stats/transactions",
        "/v1/stats/incidents",
    ] {
        answers.push(client.get(path).await.expect(200).body);
    }
    answers
}

/// Transactions by batch, then one incident in ten, some of them worked on.
async fn fill(client: &Client, transactions: usize) {
    let lines: String =
        (0..transactions).map(|number| format!("{}\n", data::transaction(&format!("fill-{number}")))).collect();
    let request =
        client.request("POST", "/v1/transactions/batch").header("content-type", "application/x-ndjson").body(lines);
    let answer = client.send(request).await.expect(200);
    assert!(answer.body.trim_end().ends_with("\"complete\":true}}"), "{:.300}", answer.body);
    for number in 0..20 {
        let opened = client.post("/v1/incidents", &data::incident(&format!("Fill {number}"))).await.expect(201).json();
        let path = format!("/v1/incidents/{}", opened["incident_id"].as_str().unwrap());
        client.post(&format!("{path}/comment"), &json!({"comment": "seen"})).await.expect(200);
        if number % 2 == 0 {
            client.post(&format!("{path}/acknowledge"), &json!({})).await.expect(200);
            client
                .post(&format!("/v1/transactions/fill-{number}/status"), &json!({"status": "completed"}))
                .await
                .expect(200);
            client
                .post(&format!("/v1/transactions/fill-{number}/notes"), &json!({"text": "checked"}))
                .await
                .expect(200);
        }
    }
}

async fn write(client: Client, writer: usize, stop: Arc<AtomicBool>, written: Arc<AtomicUsize>) {
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let id = format!("during-{writer}-{turn}");
        client.post("/v1/transactions", &data::transaction(&id)).await.expect(201);
        if turn % 5 == 0 {
            client
                .post(&format!("/v1/transactions/{id}/correct"), &json!({"amount": "7.77", "reason": "typing error"}))
                .await
                .expect(200);
            client.post("/v1/incidents", &data::incident(&id)).await.expect(201);
        }
        written.fetch_add(1, Ordering::Relaxed);
    }
}

/// Looks at a list again and again; answers how often.
async fn watch(client: Client, path: &'static str, total: &'static str, stop: Arc<AtomicBool>) -> usize {
    let (mut looks, mut most) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let answer = client.get(path).await.expect(200).json();
        let counted = answer
            .pointer(total)
            .and_then(serde_json::Value::as_u64)
            .unwrap_or_else(|| panic!("no {total} in {answer}"));
        assert!(counted >= most, "{path}: {counted} after {most}");
        most = counted;
        looks += 1;
    }
    looks
}
