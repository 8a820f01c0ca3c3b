//! One PostgreSQL, one process a role: what is written in one is read, watched and reacted to in the others.

use std::time::{Duration, Instant};

use daybook_tests::{Client, Options, Server, Store, data, eventually, eventually_within};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::projections::{self, read_models_equal_a_rebuild};

/// How soon a live stream tells of an entry.
const LIVE: Duration = Duration::from_secs(2);

struct Installation {
    write: Server,
    query: Server,
    project: Option<Server>,
    react: Server,
    folders: [TempDir; 4],
}

impl Installation {
    async fn start(store: &Store) -> Self {
        let folders = [store.another_folder(), store.another_folder(), store.another_folder(), store.another_folder()];
        let [write, query, project, react] = &folders;
        Self {
            write: Server::start_with(store, Options::roles("write", write.path())).await,
            project: Some(Server::start_with(store, Options::roles("project", project.path())).await),
            query: Server::start_with(store, Options::roles("query", query.path())).await,
            react: Server::start_with(store, Options::roles("react", react.path())).await,
            folders,
        }
    }

    async fn start_project(&mut self, store: &Store) {
        let folder = self.folders[2].path().to_owned();
        self.project = Some(Server::start_with(store, Options::roles("project", &folder)).await);
    }
}

fn large(id: &str) -> Value {
    let mut transaction = data::transaction(id);
    transaction["amount"] = json!("250000.01");
    transaction
}

/// The incident of the rule for large transactions, once it can be read.
async fn incident_of(client: &Client, transaction: &str) -> Value {
    eventually("the rule opens an incident", async || {
        let listed = client.get(&format!("/v1/incidents?source_event_id={transaction}")).await.expect(200).json();
        let items = listed["items"].as_array().expect("items").clone();
        assert!(items.len() <= 1, "one incident a transaction: {items:?}");
        items.into_iter().next()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_in_processes_of_their_own_work_as_one() {
    let Some(store) = Store::postgres().await else { return };
    let mut all = Installation::start(&store).await;
    let (write, query) = (all.write.client(), all.query.client());

    let mut live = query.request("GET", "/v1/stream?topics=transaction").send().await.expect("a stream");
    assert_eq!(live.status().as_u16(), 200);
    let sent = Instant::now();
    let (position, _) = write.post("/v1/transactions", &large("role-1")).await.expect(201).receipt();
    let wanted = format!("id: {position}\n");
    let mut text = String::new();
    while !text.contains(&wanted) {
        let left = LIVE.checked_sub(sent.elapsed()).unwrap_or_else(|| panic!("no {wanted:?} within {LIVE:?}: {text}"));
        let chunk = tokio::time::timeout(left, live.chunk()).await.unwrap_or_else(|_| panic!("no {wanted:?}: {text}"));
        text.push_str(&String::from_utf8_lossy(&chunk.expect("the stream goes on").expect("the stream does not end")));
    }
    println!("told live after {:?}", sent.elapsed());
    drop(live);

    let read = query.get_at_least("/v1/transactions/role-1", position).await.expect(200);
    assert!(read.header("daybook-position").parse::<u64>().expect("a position") >= position);
    assert_eq!(read.json()["amount"], "250000.01");
    let incident = incident_of(&query, "role-1").await;
    assert_eq!((&incident["detection_method"], &incident["severity"]), (&json!("rule"), &json!("high")), "{incident}");

    // Roles do what they are for and nothing else.
    all.write.client().get("/v1/transactions").await.expect_problem_of(&[404, 405, 503]);
    let body = data::transaction("elsewhere");
    query.post("/v1/transactions", &body).await.expect_problem_of(&[404, 405, 503]);

    // Nobody projects: reads stay behind and say so, and nothing is lost once somebody does again.
    all.project.take().expect("it runs").kill9();
    let mut last = 0;
    for number in 0..50 {
        last = write.post("/v1/transactions", &large(&format!("while-away-{number}"))).await.expect(201).receipt().0;
    }
    let request = query.request("GET", "/v1/transactions/while-away-0").header("daybook-at-least", last);
    let behind = query.send(request).await;
    assert_eq!(behind.status, 503, "{}", behind.body);
    assert!(!behind.header("retry-after").is_empty());
    behind.expect_problem(503);
    all.start_project(&store).await;
    query.get_at_least("/v1/transactions/while-away-49", last).await.expect(200);
    for number in [0, 25, 49] {
        incident_of(&query, &format!("while-away-{number}")).await;
    }
    eventually_within(Duration::from_secs(20), "one incident for each", async || {
        let counted = query.get("/v1/incidents?limit=1&count=true").await.expect(200).json()["total"].as_u64();
        assert!(counted <= Some(51), "{counted:?}");
        (counted == Some(51)).then_some(())
    })
    .await;
    projections::settled(&query).await;
    let project = all.project.as_mut().expect("it runs");
    for server in [&mut all.write, &mut all.query, project, &mut all.react] {
        assert!(server.terminate().await.success(), "{}", server.printed());
    }
    store.verified().await;
    read_models_equal_a_rebuild(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_projecting_processes_do_not_fold_an_entry_twice() {
    let Some(store) = Store::postgres().await else { return };
    let folders = [store.another_folder(), store.another_folder(), store.another_folder()];
    let write = Server::start_with(&store, Options::roles("write,query", folders[0].path())).await;
    let one = Server::start_with(&store, Options::roles("project,react", folders[1].path())).await;
    let mut two = Server::start_with(&store, Options::roles("project,react", folders[2].path())).await;
    let client = write.client();
    for number in 0..75 {
        client.post("/v1/transactions", &large(&format!("twice-{number}"))).await.expect(201);
    }
    one.kill9();
    let mut last = 0;
    for number in 75..150 {
        last = client.post("/v1/transactions", &large(&format!("twice-{number}"))).await.expect(201).receipt().0;
    }
    client.get_at_least("/v1/transactions/twice-149", last).await.expect(200);
    eventually("one incident for each", async || {
        let counted = client.get("/v1/incidents?limit=1&count=true").await.expect(200).json()["total"].as_u64();
        assert!(counted <= Some(150), "{counted:?}");
        (counted == Some(150)).then_some(())
    })
    .await;
    projections::settled(&client).await;
    assert!(two.terminate().await.success());
    let mut write = write;
    assert!(write.terminate().await.success());
    read_models_equal_a_rebuild(&store).await;
}

/// Data folders of their own, and so no secret in common but what the settings give both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn command_repeated_at_another_process_gets_its_first_answer() {
    let Some(store) = Store::postgres().await else { return };
    let folders = [store.another_folder(), store.another_folder()];
    let one = Server::start_with(&store, Options::roles("write", folders[0].path())).await;
    let two = Server::start_with(&store, Options::roles("write", folders[1].path())).await;
    let actor_key = |folder: &TempDir| std::fs::read(folder.path().join("actor.key")).expect("a key was made");
    assert_ne!(actor_key(&folders[0]), actor_key(&folders[1]), "what is made in a folder is that folder's own");

    let body = data::transaction("repeated");
    let first = one.client().post_with_key("/v1/transactions", "order-1", &body).await.expect(201);
    assert_eq!(first.header("idempotency-replayed"), "");
    let again = two.client().post_with_key("/v1/transactions", "order-1", &body).await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.receipt(), first.receipt());

    let other = two.client().post_with_key("/v1/transactions", "order-1", &data::transaction("another")).await;
    assert_eq!(other.expect_problem(422), "request.idempotency_mismatch");
    assert_eq!(one.client().ledger_size().await, first.receipt().0 + 1, "nothing was recorded twice");
}

/// An orchestrator starts them all at once, and the database is empty the first time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_of_all_roles_start_in_any_order_on_an_empty_database() {
    let Some(store) = Store::postgres().await else { return };
    let folders = [store.another_folder(), store.another_folder(), store.another_folder(), store.another_folder()];
    let mut servers = Vec::new();
    for (role, folder) in ["query", "project", "react", "write"].into_iter().zip(&folders) {
        servers.push(Server::spawn(&store, Options::roles(role, folder.path())));
    }
    for server in &mut servers {
        server.wait_until_ready().await;
    }
    let (query, write) = (servers[0].client(), servers[3].client());
    let (position, _) = write.post("/v1/transactions", &data::transaction("first")).await.expect(201).receipt();
    query.get_at_least("/v1/transactions/first", position).await.expect(200);
}
