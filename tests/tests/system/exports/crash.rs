//! `kill -9` while a file is being made and while it is being brought: the next start goes on, there is one file, a receiver
//! that knows its keys has it once, and what is said of it is true.

use std::collections::BTreeSet;
use std::time::Duration;

use daybook_tests::files::files_below;
use daybook_tests::people::MAIN;
use daybook_tests::receivers::{HttpReceiver, Mood};
use daybook_tests::{Server, Store, both_stores, eventually};
use serde_json::json;

use super::delivery::{webhook, with_destinations};
use super::{People, bytes, transactions, wish};

/// Enough that making the file takes a while.
const ROWS: usize = 20_000;
/// How often the process is killed.
const ROUNDS: u64 = 8;

both_stores!(export_that_is_killed_again_and_again_is_made_and_delivered_once);

async fn export_that_is_killed_again_and_again_is_made_and_delivered_once(store: &Store) {
    let receiver = HttpReceiver::start().await;
    receiver.set_mood(Mood::HangsUp);
    let folder = tempfile::tempdir().unwrap();
    let options = || {
        let mut options = with_destinations(folder.path(), &webhook(&receiver));
        options.arguments.extend(["--export-pause".to_owned(), "1".to_owned()]);
        options
    };
    let server = Server::start_with(store, options()).await;
    let people = People::of(&server).await;
    transactions(&server, ROWS).await;
    let mut wished = wish("ndjson");
    wished["deliver_to"] = json!(["hook"]);
    let export = people.approved(&wished).await;
    let (asker, other) = ((people.asker.email, people.asker.full_name), (people.other.email, people.other.full_name));
    // Each round is killed a little later than the one before: before, while and after the file is made.
    let mut server = server;
    for round in 0..ROUNDS {
        tokio::time::sleep(Duration::from_millis(40 * round)).await;
        server.kill9();
        server = Server::start_with(store, options()).await;
    }
    let people = People {
        asker: server.login(MAIN, &asker.0, &asker.1).await,
        other: server.login(MAIN, &other.0, &other.1).await,
    };
    let made = people.once(&export, &["generated", "failed"]).await;
    assert_eq!((made["status"].as_str(), made["rows"].as_u64()), (Some("generated"), Some(ROWS as u64)), "{made}");
    eventually("an attempt to deliver it", async || (!receiver.received().is_empty()).then_some(())).await;
    server.kill9();
    receiver.set_mood(Mood::Takes);
    let server = Server::start_with(store, options()).await;
    let asker = server.login(MAIN, &asker.0, &asker.1).await;
    let people = People { other: server.login(MAIN, &other.0, &other.1).await, asker };
    people.once_delivery_is(&export, "delivered").await;

    let keys: BTreeSet<_> =
        receiver.received().iter().filter_map(|one| one.header("idempotency-key").map(str::to_owned)).collect();
    assert_eq!(keys.len(), 1, "whoever goes by the key has it once: {keys:?}");
    let file = bytes(&people.asker, &format!("/v1/exports/{export}/file")).await;
    assert_eq!(file.iter().filter(|byte| **byte == b'\n').count(), ROWS);
    let files = files_below(&store.folder().join("exports"));
    let of_it: Vec<_> = files.iter().filter(|path| path.to_string_lossy().contains(&export)).collect();
    assert_eq!(of_it.len(), 3, "file, manifest and signature, nothing else: {files:?}");
    let verified = people.asker.client.post(&format!("/v1/exports/{export}/verify"), &json!({})).await.expect(200);
    assert!(verified.body.contains("verified"), "{}", verified.body);
    let trail = server.operator_of(MAIN).get("/v1/audit-trail?event_type=export.generated").await.expect(200).json();
    assert_eq!(trail["items"].as_array().map(Vec::len), Some(1), "{trail}");
    drop(server);
    store.verified().await;
}
