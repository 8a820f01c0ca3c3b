//! Many writers at once on one thing: every accepted command has a version of its own, every loser is told, and nothing
//! forks.

use std::collections::BTreeSet;
use std::sync::Arc;

use daybook_tests::{Answer, Client, Options, Server, Store, both_stores, data};
use serde_json::{Value, json};
use tokio::sync::Barrier;

/// Writers at the same time.
const WRITERS: usize = 64;
/// Accepted commands of each writer.
const EACH: usize = 3;
/// A writer that loses this often in a row is not being served fairly.
const MOST_LOSSES: usize = 400;

/// What the writers of one incident saw.
#[derive(Debug, Default)]
struct Outcome {
    /// Version, position and hash of every accepted command.
    accepted: Vec<(u64, u64, String)>,
    lost: usize,
}

/// Every writer changes the incident until it was accepted [`EACH`] times. Writers take the servers in turn.
async fn contend(clients: &[Client], incident: &str) -> Outcome {
    let barrier = Arc::new(Barrier::new(WRITERS));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (client, barrier) = (clients[writer % clients.len()].clone(), Arc::clone(&barrier));
            let path = format!("/v1/incidents/{incident}/details");
            tokio::spawn(async move {
                barrier.wait().await;
                let mut outcome = Outcome::default();
                while outcome.accepted.len() < EACH {
                    let body = json!({"desk": format!("Desk {writer}-{}", outcome.accepted.len())});
                    let answer = client.post(&path, &body).await;
                    if answer.status == 409 {
                        check_lost_race(&answer);
                        outcome.lost += 1;
                        assert!(outcome.lost < MOST_LOSSES, "writer {writer} never gets its turn");
                        continue;
                    }
                    let answer = answer.expect(200);
                    let (position, hash) = answer.receipt();
                    outcome.accepted.push((answer.json()["version"].as_u64().unwrap(), position, hash));
                }
                outcome
            })
        })
        .collect();
    let mut all = Outcome::default();
    for writer in writers {
        let outcome = writer.await.expect("a writer does not fail");
        all.accepted.extend(outcome.accepted);
        all.lost += outcome.lost;
    }
    all
}

fn check_lost_race(answer: &Answer) {
    assert_eq!(answer.expect_problem(409), "request.conflict");
    assert!(answer.json()["current_version"].as_u64().is_some_and(|version| version > 0), "{}", answer.body);
}

/// Versions 2 to N without gap, each with one entry that has the receipt's position and hash, and nothing else.
async fn check_versions(client: &Client, incident: &str, outcome: &mut Outcome) {
    outcome.accepted.sort();
    let versions: Vec<u64> = outcome.accepted.iter().map(|accepted| accepted.0).collect();
    let expected: Vec<u64> = (2..2 + u64::try_from(WRITERS * EACH).unwrap()).collect();
    assert_eq!(versions, expected, "every accepted command has its own version");
    assert!(outcome.lost > 0, "nobody lost a race: the writers did not meet");
    let stream = client.get(&format!("/v1/ledgers/main/streams/incident/{incident}")).await.expect(200).json();
    let entries: Vec<(u64, u64, String)> = stream["entries"]
        .as_array()
        .unwrap()
        .iter()
        .skip(1)
        .map(|entry| {
            let number = |name: &str| entry[name].as_u64().unwrap();
            (number("version"), number("position"), entry["hash"].as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(entries, outcome.accepted, "receipts are what the ledger has");
}

async fn open(client: &Client) -> String {
    let opened = client.post("/v1/incidents", &data::incident("Fought over")).await.expect(201).json();
    opened["incident_id"].as_str().unwrap().to_owned()
}

both_stores!(writers_of_one_incident_each_get_a_version_or_a_conflict);

async fn writers_of_one_incident_each_get_a_version_or_a_conflict(store: &Store) {
    let mut server = Server::start(store).await;
    let client = server.client();
    let incident = open(&client).await;
    let mut outcome = contend(std::slice::from_ref(&client), &incident).await;
    check_versions(&client, &incident, &mut outcome).await;
    assert!(server.terminate().await.success());
    store.verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_postgresql_neither_fork_nor_skip() {
    let Some(store) = Store::postgres().await else { return };
    let folders = [store.another_folder(), store.another_folder()];
    let mut one = Server::start_with(&store, Options::roles("write,query", folders[0].path())).await;
    let mut two = Server::start_with(&store, Options::roles("write,query", folders[1].path())).await;
    let clients = [one.client(), two.client()];
    let incident = open(&clients[0]).await;
    let mut outcome = contend(&clients, &incident).await;
    check_versions(&clients[1], &incident, &mut outcome).await;
    same_transaction_at_once(&clients, "both-processes").await;
    assert!(one.terminate().await.success() && two.terminate().await.success());
    store.verified().await;
}

both_stores!(of_writers_that_saw_the_same_version_one_is_accepted);

async fn of_writers_that_saw_the_same_version_one_is_accepted(store: &Store) {
    let server = Server::start(store).await;
    let client = server.client();
    let incident = open(&client).await;
    let path = format!("/v1/incidents/{incident}/details");
    let answers = at_once(|writer| {
        let request = client.request("POST", &path).header("if-match", "\"1\"");
        let (client, request) = (client.clone(), request.json(&json!({"desk": format!("Desk {writer}")})));
        async move { client.send(request).await }
    })
    .await;
    let accepted: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(accepted.len(), 1, "{answers:?}");
    assert_eq!(accepted[0].json()["version"], 2);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        // 412 where the other was there already when this one was read, 409 where they met.
        assert!(answer.status == 409 || answer.status == 412, "{answer:?}");
        answer.expect_problem(answer.status);
        assert_eq!(answer.json()["current_version"], 2, "{}", answer.body);
    }
    assert_eq!(client.ledger_size().await, 2);
}

both_stores!(one_transaction_sent_by_all_at_once_is_recorded_once);

async fn one_transaction_sent_by_all_at_once_is_recorded_once(store: &Store) {
    let mut server = Server::start(store).await;
    let client = server.client();
    same_transaction_at_once(std::slice::from_ref(&client), "sent-by-all").await;
    same_key_at_once(&client).await;
    assert_eq!(client.ledger_size().await, 2);
    assert!(server.terminate().await.success());
    store.verified().await;
}

/// One is 201, the others are 200, all have the same receipt.
async fn same_transaction_at_once(clients: &[Client], id: &str) {
    let body = data::transaction(id);
    let answers = at_once(|writer| {
        let (client, body) = (clients[writer % clients.len()].clone(), body.clone());
        async move { client.post("/v1/transactions", &body).await }
    })
    .await;
    check_one_recorded(&answers);
    let mut different = body.clone();
    different["amount"] = Value::from("999.99");
    let answer = clients[0].post("/v1/transactions", &different).await;
    assert_eq!(answer.expect_problem(409), "transaction.conflict");
}

/// The same with a key and an id that the server makes: the key alone says that it is the same.
async fn same_key_at_once(client: &Client) {
    let body = json!({"amount": "12.50", "currency": "EUR", "timestamp": "2026-11-20T09:30:00Z"});
    let answers = at_once(|_| {
        let (client, body) = (client.clone(), body.clone());
        async move { client.post_with_key("/v1/transactions", "the-same-key", &body).await }
    })
    .await;
    check_one_recorded(&answers);
    let ids: BTreeSet<String> = answers.iter().map(|answer| answer.json()["transaction_id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "a repeat answers with the id of the first: {ids:?}");
    let other = json!({"amount": "12.51", "currency": "EUR", "timestamp": "2026-11-20T09:30:00Z"});
    let answer = client.post_with_key("/v1/transactions", "the-same-key", &other).await;
    assert_eq!(answer.expect_problem(422), "request.idempotency_mismatch");
}

#[track_caller]
fn check_one_recorded(answers: &[Answer]) {
    let receipts: BTreeSet<(u64, String)> = answers.iter().map(Answer::receipt).collect();
    assert_eq!(receipts.len(), 1, "{receipts:?}");
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert!(statuses.iter().all(|status| [200, 201].contains(status)), "{statuses:?}");
    // A repeat by key gives the first response again, 201 and all, and says that it is one.
    let first = answers.iter().filter(|answer| answer.status == 201 && answer.header("idempotency-replayed") != "true");
    assert_eq!(first.count(), 1, "{statuses:?}");
}

/// [`WRITERS`] calls that start together.
async fn at_once<F, Fut>(call: F) -> Vec<Answer>
where
    F: Fn(usize) -> Fut,
    Fut: Future<Output = Answer> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(WRITERS));
    let calls: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (barrier, call) = (Arc::clone(&barrier), call(writer));
            tokio::spawn(async move {
                barrier.wait().await;
                call.await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.expect("a call does not fail"));
    }
    answers
}
