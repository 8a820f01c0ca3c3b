//! The connection to PostgreSQL is cut at a commit: before it arrives, when it has arrived, when it has happened.

use daybook_tests::{Options, Server, Store, data, eventually};
use serde_json::json;

use super::load::{Book, Load};
use super::proxy::{Cut, Proxy};

/// A server whose database is behind the proxy.
async fn behind_proxy(store: &Store) -> (Proxy, Server) {
    let (proxy, url) = Proxy::before(store.database_url().expect("PostgreSQL")).await;
    let options = Options { database_url: Some(url), ..Options::default() };
    let server = Server::start_with(store, options).await;
    (proxy, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_whose_connection_is_cut_is_answered_as_it_went() {
    let Some(store) = Store::postgres().await else { return };
    let (proxy, server) = behind_proxy(&store).await;
    let client = server.client();
    let mut book = Book::default();
    book.record(&client, "before-all").await;
    let mut cuts = 0;
    for cut in [Cut::BeforeCommit, Cut::AfterCommit, Cut::AnswerDropped] {
        for with_key in [false, true] {
            let mark = format!("cut-{cut:?}-{with_key}");
            proxy.cut(cut, &mark);
            let body = data::transaction(&mark);
            let key = format!("key-{mark}");
            let request = || {
                let request = client.request("POST", "/v1/transactions").json(&body);
                if with_key { request.header("idempotency-key", &key) } else { request }
            };
            let answer = client.send(request()).await;
            cuts += 1;
            assert_eq!(proxy.cuts(), cuts, "{mark} was not cut: {}", answer.body);
            let entries = client.entries().await;
            let there = entries.iter().filter(|entry| entry["payload"]["transaction_id"] == mark.as_str()).count();
            match answer.status {
                201 => assert_eq!(there, 1, "{mark}: {}", answer.body),
                _ => {
                    assert_eq!(answer.expect_problem(503), "store.unavailable", "{mark}");
                    assert_eq!(there, 0, "{mark}: {}", answer.body);
                }
            }
            match cut {
                Cut::BeforeCommit => assert_eq!(answer.status, 503, "{mark}"),
                // The database may meet the end of the connection before it reads the commit.
                Cut::AfterCommit => {}
                Cut::AnswerDropped => assert_eq!(answer.status, 201, "{mark}: {}", answer.body),
            }
            // The same again: one entry, and the receipt that was given.
            let again = client.send(request()).await;
            assert!(again.status == 200 || again.status == 201, "{mark}: {} {}", again.status, again.body);
            if answer.status == 201 {
                assert_eq!(again.receipt(), answer.receipt(), "{mark}");
            }
            // The stream goes on from what is there, not from what the process thought.
            let stream_length = entries_of(&client, &mark).await;
            assert_eq!(stream_length, 1, "{mark}");
        }
    }
    book.holds(&store, server).await;
}

async fn entries_of(client: &daybook_tests::Client, mark: &str) -> usize {
    let entries = client.entries().await;
    entries.iter().filter(|entry| entry["payload"]["transaction_id"] == mark).count()
}

/// The version of an incident whose comment was cut is the one in the ledger, also where aggregates are held in memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_goes_on_after_its_commit_was_cut() {
    let Some(store) = Store::postgres().await else { return };
    let (proxy, server) = behind_proxy(&store).await;
    let client = server.client();
    let opened = client.post("/v1/incidents", &data::incident("Cut")).await.expect(201);
    let path = format!("/v1/incidents/{}/comment", opened.json()["incident_id"].as_str().expect("an id"));
    for cut in [Cut::BeforeCommit, Cut::AfterCommit, Cut::AnswerDropped] {
        let mark = format!("comment-{cut:?}-cut");
        proxy.cut(cut, &mark);
        let key = format!("key-{mark}");
        let answer = client.post_with_key(&path, &key, &json!({"text": mark})).await;
        assert!([200, 201, 503].contains(&answer.status), "{} {}", answer.status, answer.body);
        client.post(&path, &json!({"text": format!("after-{mark}")})).await.expect(200);
        let again = client.post_with_key(&path, &key, &json!({"text": mark})).await.expect(200);
        if answer.status != 503 {
            assert_eq!(again.receipt(), answer.receipt(), "{mark}");
        }
        let entries = client.entries().await;
        let there = entries.iter().filter(|entry| entry["payload"]["text"] == mark.as_str()).count();
        assert_eq!(there, 1, "{mark}");
    }
    assert_eq!(proxy.cuts(), 3);
    Book::default().holds(&store, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_that_is_away_for_a_while_loses_nothing() {
    let Some(store) = Store::postgres().await else { return };
    let (proxy, server) = behind_proxy(&store).await;
    let client = server.client();
    let load = Load::start(&client, "away").await;
    for _ in 0..3 {
        load.goes_on(200).await;
        proxy.go_away();
        eventually("/health/ready says that the ledger is away", async || {
            (client.get("/health/ready").await.status == 503).then_some(())
        })
        .await;
        proxy.come_back();
    }
    load.goes_on(200).await;
    let mut book = Book::default();
    load.stop(&mut book).await;
    book.holds(&store, server).await;
}
