//! What is taken away is gone at once, and within a second on every other process.

use std::time::{Duration, Instant};

use daybook_tests::people::MAIN;
use daybook_tests::{Client, Options, Server, Store, both_stores, eventually_within};
use serde_json::json;

/// How soon every process knows.
const SOON: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permission_taken_away_in_one_process_is_gone_in_another_within_a_second() {
    let Some(store) = Store::postgres().await else { return };
    let (first_folder, second_folder) = (store.another_folder(), store.another_folder());
    let first = Server::start_with(&store, Options::roles("all", first_folder.path())).await;
    let second = Server::start_with(&store, Options::roles("query", second_folder.path())).await;
    let operator = first.client();

    let person = first.person(MAIN, "compliance").await;
    let elsewhere = Client::new(second.url(), Some(&person.access_token));
    let reads = async || (elsewhere.get("/v1/ledgers/main/entries?limit=1").await.status == 200).then_some(());
    eventually_within(SOON, "the new person is known in the other process", reads).await;

    let taken = json!({"role": "compliance"});
    operator.post(&format!("/v1/users/{}/grants/revoke", person.id), &taken).await.expect(200);
    let since = Instant::now();
    let refused = async || (elsewhere.get("/v1/ledgers/main/entries?limit=1").await.status == 403).then_some(());
    eventually_within(SOON, "the permission is gone in the other process", refused).await;
    println!("a permission was gone elsewhere after {:?}", since.elapsed());

    let given = json!({"role": "analyst"});
    operator.post(&format!("/v1/users/{}/grants", person.id), &given).await.expect(200);
    eventually_within(SOON, "the new role holds in the other process", reads).await;

    let key = json!({"name": "reader", "scopes": ["ledger:read"]});
    let created = operator.post("/v1/api-keys", &key).await.expect(201).json();
    let machine = Client::new(second.url(), created["key_value"].as_str());
    let reads = async || (machine.get("/v1/ledgers/main/entries?limit=1").await.status == 200).then_some(());
    eventually_within(SOON, "the key is known in the other process", reads).await;
    let id = created["id"].as_str().unwrap();
    operator.post(&format!("/v1/api-keys/{id}/revoke"), &json!({"reason": "test"})).await.expect(200);
    let refused = async || (machine.get("/v1/ledgers/main/entries?limit=1").await.status == 401).then_some(());
    eventually_within(SOON, "the key is dead in the other process", refused).await;

    person.client.post("/v1/auth/logout", &json!({})).await;
    let refused = async || (elsewhere.get("/v1/ledgers/main/entries?limit=1").await.status == 401).then_some(());
    eventually_within(SOON, "the session is over in the other process", refused).await;
}

both_stores!(what_is_revoked_is_gone_with_the_answer);

async fn what_is_revoked_is_gone_with_the_answer(store: &Store) {
    let server = Server::start(store).await;
    let operator = server.client();
    let person = server.person(MAIN, "admin").await;
    let created =
        person.client.post("/v1/api-keys", &json!({"name": "machine", "scopes": ["read"]})).await.expect(201).json();
    let machine = Client::new(server.url(), created["key_value"].as_str());
    machine.get("/v1/transactions").await.expect(200);
    // Rotation overlaps: both values work, then the old one is withdrawn with the key.
    let id = created["id"].as_str().unwrap();
    let rotated = person.client.post(&format!("/v1/api-keys/{id}/rotate"), &json!({"overlap_seconds": 3600})).await;
    let rotated = Client::new(server.url(), rotated.expect(200).json()["key_value"].as_str());
    rotated.get("/v1/transactions").await.expect(200);
    machine.get("/v1/transactions").await.expect(200);
    person.client.post(&format!("/v1/api-keys/{id}/revoke"), &json!({"reason": "test"})).await.expect(200);
    machine.get("/v1/transactions").await.expect_problem(401);
    rotated.get("/v1/transactions").await.expect_problem(401);

    operator.post(&format!("/v1/users/{}/grants", person.id), &json!({"role": "viewer"})).await.expect(200);
    operator.post(&format!("/v1/users/{}/grants/revoke", person.id), &json!({"role": "admin"})).await.expect(200);
    let refused = person.client.get("/v1/users").await;
    assert_eq!(refused.expect_problem(403), "permission.denied");
    assert!(refused.body.contains("user:list"), "{}", refused.body);
    person.client.get("/v1/transactions").await.expect(200);
    operator.post(&format!("/v1/users/{}/deactivate", person.id), &json!({"reason": "left"})).await.expect(200);
    person.client.get("/v1/transactions").await.expect_problem(401);
    let stale = json!({"refresh_token": person.refresh_token});
    server.stranger().post("/v1/auth/refresh", &stale).await.expect_problem(401);
}
