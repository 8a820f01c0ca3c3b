//! What the clock does by itself: deadlines, grants that run out, escalation. All of it from the ledger alone.

use daybook_tests::people::MAIN;
use daybook_tests::{Options, Server, Store, both_stores, eventually};
use serde_json::{Value, json};

use super::{policy, requested, shown, terms, vote};

both_stores!(grant_that_ran_out_between_approval_and_execution_is_refused);

async fn grant_that_ran_out_between_approval_and_execution_is_refused(store: &Store) {
    let server = Server::start(store).await;
    let (asker, other) = (server.person(MAIN, "admin").await, server.person(MAIN, "compliance").await);
    let mut short = terms(&[(1, "compliance")]);
    short["grant_seconds"] = json!(1);
    policy(&asker, &other, "external.payment", &short).await;
    let id = requested(&asker, "payment", "P-1").await;
    assert_eq!(vote(&other, &id, "approve").await.expect(200).json()["status"], "approved");
    eventually("the grant runs out", async || (shown(&other, &id).await["status"] == "expired").then_some(())).await;
    let consumed = asker.client.post(&format!("/v1/approvals/{id}/consume"), &json!({"execution_id": "run-1"})).await;
    assert_eq!(consumed.expect_problem_of(&[409, 422]), "approval.grant_expired");
    let events = events_of(&server, &id).await;
    assert_eq!(events.iter().filter(|event| *event == "expired").count(), 1, "{events:?}");
}

both_stores!(request_nobody_decides_on_is_escalated_and_then_expires_each_once_across_a_restart);

async fn request_nobody_decides_on_is_escalated_and_then_expires_each_once_across_a_restart(store: &Store) {
    let server = Server::start(store).await;
    let (asker, other) = (server.person(MAIN, "admin").await, server.person(MAIN, "compliance").await);
    let mut short = terms(&[(1, "compliance")]);
    short["decide_within_seconds"] = json!(4);
    short["escalation"] = json!([{"after_seconds": 1, "to": [{"role": "owner"}]}]);
    policy(&asker, &other, "external.payment", &short).await;
    let id = requested(&asker, "payment", "P-1").await;
    // Nobody watches while the escalation falls due.
    server.kill9();
    let server = Server::start(store).await;
    let asker = server.login(MAIN, &asker.email, &asker.full_name).await;
    eventually("it is escalated", async || (shown(&asker, &id).await["is_escalated"] == true).then_some(())).await;
    eventually("it expires", async || (shown(&asker, &id).await["status"] == "expired").then_some(())).await;
    let events = events_of(&server, &id).await;
    for event in ["escalated", "expired"] {
        assert_eq!(events.iter().filter(|seen| *seen == event).count(), 1, "{event} in {events:?}");
    }
    let late = vote(&server.person(MAIN, "compliance").await, &id, "approve").await;
    assert!(
        ["approval.expired", "approval.already_decided"].contains(&late.expect_problem(409).as_str()),
        "{}",
        late.body
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_that_react_escalate_and_expire_once() {
    let Some(store) = Store::postgres().await else { return };
    let server = Server::start(&store).await;
    let folders: Vec<_> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    let mut others = Vec::new();
    for folder in &folders {
        others.push(Server::start_with(&store, Options::roles("react", folder.path())).await);
    }
    let (asker, other) = (server.person(MAIN, "admin").await, server.person(MAIN, "compliance").await);
    let mut short = terms(&[(1, "compliance")]);
    short["decide_within_seconds"] = json!(2);
    short["escalation"] = json!([{"after_seconds": 1, "to": [{"role": "owner"}]}]);
    policy(&asker, &other, "external.payment", &short).await;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(requested(&asker, "payment", &format!("P-{number}")).await);
    }
    for id in &ids {
        eventually("it expires", async || (shown(&asker, id).await["status"] == "expired").then_some(())).await;
        let events = events_of(&server, id).await;
        for event in ["escalated", "expired"] {
            assert_eq!(events.iter().filter(|seen| *seen == event).count(), 1, "{event} in {events:?}");
        }
    }
}

/// The types of a request's entries, in order.
async fn events_of(server: &Server, id: &str) -> Vec<String> {
    let path = format!("/v1/approvals/{id}/history?limit=200");
    let history: Value = server.operator_of(MAIN).get(&path).await.expect(200).json();
    let items = history["items"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item["event_type"].as_str().unwrap_or_default().to_owned()).collect()
}
