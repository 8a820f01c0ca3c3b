//! The program on a data folder: one writer at a time, verification beside it, an orderly end, and what it refuses.

use std::process::Stdio;
use std::time::Duration;

use daybook_tests::{Client, Options, Server, Store, both_stores, command_line, data, eventually};
use rusqlite::Connection;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};

async fn record(client: &Client, count: usize) {
    for number in 0..count {
        client.post("/v1/transactions", &data::transaction(&format!("e-{number}"))).await.expect(201);
    }
}

both_stores!(a_server_that_says_it_is_ready_answers_every_question);

async fn a_server_that_says_it_is_ready_answers_every_question(store: &Store) {
    let server = Server::start(store).await;
    let client = server.client();
    for path in ["transactions", "incidents", "audit-trail", "stats/summary", "stats/transactions", "stats/incidents"] {
        client.get(&format!("/v1/{path}")).await.expect(200);
    }
    client.get("/v1/transactions/none").await.expect_problem(404);
    client.get("/v1/incidents/none").await.expect_problem(404);
    client.get("/v1/stats/incidents").await.expect(200);
    assert_eq!(crate::projections::status(&client).await.len(), crate::projections::PROJECTORS.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_the_same_folder_is_refused() {
    let store = Store::sqlite();
    let server = Server::start(&store).await;
    record(&server.client(), 3).await;
    let second = store.daybook(&["serve", "--listen", "127.0.0.1:0"]).await.expect(2);
    assert!(second.stderr.contains(&store.folder().display().to_string()), "it names the folder: {}", second.stderr);
    assert_eq!(server.client().ledger_size().await, 3);
    assert!(server.description_file().is_file(), "the refused one left the other's description alone");
    // What writes beside a server goes through it.
    let file = store.folder().join("one.ndjson");
    std::fs::write(&file, format!("{}\n", data::transaction("beside"))).unwrap();
    store.daybook(&["import", file.to_str().unwrap()]).await.expect(0);
    assert_eq!(server.client().ledger_size().await, 4);
    let direct = store.daybook(&["projections", "rebuild", "stats"]).await;
    assert!(direct.code == 0 || direct.code == 2, "{}", direct.text());
    assert_eq!(server.client().get("/health/ready").await.status, 200);
}

both_stores!(verification_works_beside_a_running_server);

async fn verification_works_beside_a_running_server(store: &Store) {
    let server = Server::start(store).await;
    let client = server.client();
    record(&client, 40).await;
    let writer = tokio::spawn({
        let client = client.clone();
        async move {
            for number in 0..200 {
                client.post("/v1/transactions", &data::transaction(&format!("beside-{number}"))).await.expect(201);
            }
        }
    });
    while !writer.is_finished() {
        let report = store.verified().await;
        assert!(report["entries"].as_u64().unwrap() >= 40, "{report}");
    }
    writer.await.expect("writes go on while verifying");
    let head = client.get("/v1/ledgers/main/head").await.expect(200).json();
    let report = store.verified().await;
    let ledger = &report["ledgers"][0];
    assert_eq!((&ledger["size"], &ledger["hash"], &ledger["root"]), (&head["size"], &head["hash"], &head["root"]));
    let text = store.daybook(&["verify"]).await.expect(0).stdout;
    assert!(text.contains("verified") && text.contains(head["hash"].as_str().unwrap()), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verification_finds_an_edit_from_outside_and_names_the_position() {
    let store = Store::sqlite();
    let mut server = Server::start(&store).await;
    record(&server.client(), 30).await;
    assert!(server.terminate().await.success());
    let edit = |sql: &str| {
        let file = Connection::open(store.ledger_file()).unwrap();
        assert!(
            file.execute_batch("update ledger_entries set actor_id = 'x' where position = 1").is_err(),
            "triggers stop accidents"
        );
        file.execute_batch(
            "drop trigger if exists ledger_entries_refuse_update; drop trigger if exists ledger_entries_refuse_delete; \
             drop trigger if exists ledger_heads_refuse_delete;",
        )
        .unwrap();
        let triggers: Vec<String> = file
            .prepare("select name from sqlite_master where type = 'trigger' and tbl_name like 'ledger_%'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for trigger in triggers {
            file.execute_batch(&format!("drop trigger {trigger}")).unwrap();
        }
        assert_eq!(file.execute(sql, []).unwrap(), 1, "{sql}");
    };
    edit("update ledger_entries set payload = replace(cast(payload as text), 'EUR', 'USD') where position = 17");
    let failed = store.daybook(&["verify"]).await.expect(1);
    assert!(failed.stdout.contains("position 17"), "{}", failed.text());
    let failed = store.daybook(&["verify", "--json"]).await.expect(1).json();
    let integrity = &failed["ledgers"][0]["integrity"];
    assert_eq!(
        (&integrity["verdict"], &integrity["findings"][0]["position"]),
        (&json!("failed"), &json!(17)),
        "{failed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_be_read_is_not_called_verified() {
    let store = Store::sqlite();
    store.daybook(&["verify"]).await.expect(2);
    std::fs::write(
        store.ledger_file(),
        "this is not a database, whatever its name says; it is long enough to look like one".repeat(100),
    )
    .unwrap();
    let failed = store.daybook(&["verify", "--json"]).await.expect(2);
    let folder = store.folder().display().to_string();
    assert!(failed.stderr.contains(&folder), "it names the store: {}", failed.stderr);
    store.daybook(&["serve", "--listen", "127.0.0.1:0"]).await.expect(2);
    let nowhere = command_line::daybook(&["verify", "--database-url", "postgres://nobody@127.0.0.1:1/none"]).await;
    assert_eq!(nowhere.code, 2, "{}", nowhere.text());
    assert!(!nowhere.text().contains("panicked"), "{}", nowhere.text());
}

both_stores!(replay_gives_the_entries_that_were_asked_for);

async fn replay_gives_the_entries_that_were_asked_for(store: &Store) {
    let server = Server::start(store).await;
    let client = server.client();
    record(&client, 10).await;
    client.post("/v1/incidents", &data::incident("Replayed")).await.expect(201);
    client.post("/v1/transactions/e-3/notes", &json!({"text": "seen"})).await.expect(200);
    let middle = client.entries().await[4]["recorded_at"].as_str().unwrap().to_owned();
    record_more(&client, 5).await;
    let all = client.entries().await;
    let positions = |arguments: &'static [&'static str]| async move {
        let finished = store.daybook(&[&["replay"], arguments].concat()).await.expect(0);
        finished.json_lines().iter().map(|line| line["position"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let finished = store.daybook(&["replay"]).await.expect(0);
    assert_eq!(finished.json_lines().len(), all.len());
    for (replayed, served) in finished.json_lines().iter().zip(&all) {
        for field in
            ["position", "stream_type", "stream_id", "version", "event_type", "hash", "previous_hash", "payload"]
        {
            assert_eq!(replayed[field], served[field], "{field} of {replayed}");
        }
    }
    assert_eq!(positions(&["--from", "3", "--to", "6"]).await, [3, 4, 5]);
    assert_eq!(positions(&["--type", "transaction.note_added"]).await, [11]);
    assert_eq!(positions(&["--stream", "transaction/e-3"]).await, [3, 11]);
    assert_eq!(positions(&["--from", "1000"]).await, Vec::<u64>::new());
    let then = store.daybook(&["replay", "--at", &middle]).await.expect(0).json_lines();
    assert!(
        then.len() >= 5 && then.iter().all(|line| line["recorded_at"].as_str().unwrap() <= middle.as_str()),
        "{then:?}"
    );
    assert_eq!(then.last().unwrap()["position"], then.len() as u64 - 1);
    store.daybook(&["replay", "--from", "x"]).await.expect(2);
}

async fn record_more(client: &Client, count: usize) {
    for number in 0..count {
        client.post("/v1/transactions", &data::transaction(&format!("more-{number}"))).await.expect(201);
    }
}

both_stores!(replay_follows_what_comes);

async fn replay_follows_what_comes(store: &Store) {
    let server = Server::start(store).await;
    let client = server.client();
    record(&client, 3).await;
    let mut command = command_line::command();
    command.args(["replay", "--follow"]).args(store.arguments()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut following = command.spawn().expect("the program starts");
    let mut lines = BufReader::new(following.stdout.take().expect("piped")).lines();
    for position in 0..6_u64 {
        if position == 3 {
            record_more(&client, 3).await;
        }
        let line =
            tokio::time::timeout(Duration::from_secs(10), lines.next_line()).await.expect("a line comes in time");
        let line: serde_json::Value = serde_json::from_str(&line.unwrap().expect("the output goes on")).unwrap();
        assert_eq!(line["position"], position);
    }
    assert!(following.try_wait().unwrap().is_none(), "it goes on following");
    following.kill().await.unwrap();
}

both_stores!(a_termination_signal_ends_in_order);

async fn a_termination_signal_ends_in_order(store: &Store) {
    let mut server = Server::start(store).await;
    let client = server.client();
    record(&client, 5).await;
    assert!(server.description_file().is_file());
    // Somebody watches live and somebody writes while it ends.
    let watching = client.request("GET", "/v1/stream").send().await.expect("a stream");
    let writing = tokio::spawn({
        let client = client.clone();
        async move {
            let mut acknowledged = Vec::new();
            for number in 0..100_000 {
                let request =
                    client.request("POST", "/v1/transactions").json(&data::transaction(&format!("end-{number}")));
                match client.try_send(request).await {
                    Ok(answer) if answer.status == 201 => acknowledged.push(answer.receipt()),
                    Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.body),
                    Err(_) => break,
                }
            }
            acknowledged
        }
    });
    eventually("writes are under way", async || (client.ledger_size().await > 10).then_some(())).await;
    let asked = std::time::Instant::now();
    let status = server.terminate().await;
    assert_eq!(status.code(), Some(0), "{}", server.printed());
    assert!(asked.elapsed() < Duration::from_secs(15), "took {:?}", asked.elapsed());
    assert!(!server.description_file().exists(), "server.json is gone");
    drop(watching);
    let acknowledged = writing.await.expect("the writer does not fail");
    let server = Server::start(store).await;
    let entries = server.client().entries().await;
    for (position, hash) in acknowledged {
        assert_eq!(entries[usize::try_from(position).unwrap()]["hash"], hash);
    }
    store.verified().await;
}

both_stores!(status_says_the_same_to_people_and_to_programs);

async fn status_says_the_same_to_people_and_to_programs(store: &Store) {
    let server = Server::start(store).await;
    let client = server.client();
    record(&client, 4).await;
    crate::projections::settled(&client).await;
    let head = client.get("/v1/ledgers/main/head").await.expect(200).json();
    let status = store.daybook(&["status", "--json"]).await.expect(0).json();
    assert!(status.to_string().contains(head["hash"].as_str().unwrap()), "{status}");
    let text = store.daybook(&["status"]).await.expect(0).stdout;
    for projector in crate::projections::PROJECTORS {
        assert!(text.contains(projector), "{text}");
        assert!(status.to_string().contains(projector), "{status}");
    }
    let projectors = store.daybook(&["projections", "status", "--json"]).await.expect(0).json();
    for projector in crate::projections::PROJECTORS {
        assert!(projectors.to_string().contains(projector), "{projectors}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn development_identities_stay_on_this_machine() {
    let store = Store::sqlite();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let arguments = store.arguments();
        let refused = command_line::finish(
            command_line::command().args(["serve", "--dev-auth", "--listen", address]).args(arguments),
        )
        .await;
        assert_eq!(refused.code, 2, "{}", refused.text());
        assert!(refused.stderr.contains("dev-auth"), "{}", refused.stderr);
    }
    let server = Server::start_with(&store, Options { dev_auth: true, ..Options::default() }).await;
    let stranger = server.stranger();
    let as_role = |method: &str, role: &str| {
        stranger
            .request(method, "/v1/transactions")
            .header("x-user-email", "Somebody@Example.com")
            .header("x-user-role", role)
    };
    let created = stranger.send(as_role("POST", "admin").json(&data::transaction("dev-1"))).await.expect(201);
    let refused = stranger.send(as_role("POST", "viewer").json(&data::transaction("dev-2"))).await;
    refused.expect_problem(403);
    assert_eq!(refused.json()["missing_permission"], "transaction:create");
    stranger.send(as_role("GET", "viewer")).await.expect(200);
    stranger.send(as_role("GET", "operator")).await.expect_problem(401);
    let entry = server.client().get(&format!("/v1/ledgers/main/entries/{}", created.receipt().0)).await.expect(200);
    assert_eq!(entry.json()["actor_kind"], "human");
    assert!(!entry.body.to_lowercase().contains("somebody"), "no address in the ledger: {}", entry.body);
    assert!(server.printed().contains("dev"), "it says so: {}", server.printed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_committed_api_document_is_what_the_program_serves() {
    let printed = command_line::daybook(&["openapi"]).await.expect(0);
    let document: serde_json::Value = printed.json();
    let committed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&committed, &printed.stdout).expect("docs/openapi.json can be written");
    }
    let text = std::fs::read_to_string(&committed).unwrap_or_default();
    assert!(
        text.trim_end() == printed.stdout.trim_end(),
        "docs/openapi.json is not what `daybook openapi` prints: look at both, then run the test with UPDATE_OPENAPI=1"
    );
    let store = Store::sqlite();
    let server = Server::start(&store).await;
    assert_eq!(server.stranger().get("/openapi.json").await.expect(200).json(), document);
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let page = server.stranger().get("/docs").await;
    let page = if page.status == 200 { page } else { server.stranger().get("/docs/").await.expect(200) };
    assert!(page.header("content-type").starts_with("text/html"), "{:?}", page.headers);
    assert!(!page.body.contains("https://") && !page.body.contains("//cdn"), "it needs the internet: {}", page.body);
}
