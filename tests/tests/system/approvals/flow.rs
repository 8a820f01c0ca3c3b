//! The way of a request through the predecessors' routes and ours: asked, seen, decided, done.

use daybook_tests::people::MAIN;
use daybook_tests::{Options, Server, Store, both_stores, data, eventually};
use serde_json::json;

use super::{policy, requested, shown, terms, vote};

both_stores!(predecessors_export_is_approved_and_then_handed_out_and_next_time_asked_again);

async fn predecessors_export_is_approved_and_then_handed_out_and_next_time_asked_again(store: &Store) {
    let server = Server::start_with(store, Options { dev_auth: true, ..Options::default() }).await;
    let as_person = |method: &str, path: &str, email: &str, role: &str| {
        server.stranger().request(method, path).header("x-user-email", email).header("x-user-role", role)
    };
    let client = server.stranger();
    server.client().post("/v1/transactions", &data::transaction("TX-1")).await.expect(201);
    let export = || as_person("GET", "/transactions/export?format=csv", "admin@bank.example", "admin");
    let blocked = client.send(export()).await.expect(202).json();
    assert_eq!(
        (blocked["detail"].as_str(), blocked["status"].as_str()),
        (Some("Export requires approval"), Some("pending"))
    );
    let id = blocked["approval_request_id"].as_str().unwrap().to_owned();
    assert_eq!(client.send(export()).await.expect(202).json()["approval_request_id"], id.as_str(), "one request");

    eventually("it is listed", async || {
        let listed = client.send(as_person("GET", "/approval/?status=pending", "c@bank.example", "compliance")).await;
        let listed = listed.expect(200).json();
        let row = listed.as_array()?.iter().find(|row| row["id"] == id.as_str())?.clone();
        assert_eq!(row["resource_type"], "transaction_export");
        Some(())
    })
    .await;
    let decision = format!("/approval/{id}/decision");
    let pending =
        as_person("POST", &format!("{decision}?decision=pending&decision_reason=x"), "c@bank.example", "compliance");
    client.send(pending).await.expect_problem_of(&[400, 422]);
    let approved = format!("{decision}?decision=approved&decision_reason=fine");
    client.send(as_person("POST", &approved, "c@bank.example", "compliance")).await.expect(200);

    let file = client.send(export()).await.expect(200);
    assert!(file.body.lines().any(|line| line.contains("TX-1")), "{}", file.body);
    assert!(file.header("content-disposition").contains("attachment"), "{:?}", file.headers);
    let sha256 = file.header("x-content-sha256").to_owned();
    assert_eq!(sha256, hex::encode(<sha2::Sha256 as sha2::Digest>::digest(file.body.as_bytes())));

    let again = client.send(export()).await.expect(202).json();
    assert_ne!(again["approval_request_id"], id.as_str(), "a grant is good once");
    let next = again["approval_request_id"].as_str().unwrap().to_owned();
    let rejected = json!({"decision": "rejected", "decision_reason": "not twice"});
    let reject =
        as_person("POST", &format!("/approval/{next}/decision"), "c@bank.example", "compliance").json(&rejected);
    client.send(reject).await.expect(200);
    let third = client.send(export()).await.expect(202).json();
    assert!(third["approval_request_id"] != id.as_str() && third["approval_request_id"] != next.as_str(), "{third}");
}

both_stores!(agents_console_decides_and_sees_what_was_decided);

async fn agents_console_decides_and_sees_what_was_decided(store: &Store) {
    let server = Server::start(store).await;
    let (asker, admin) = (server.person(MAIN, "compliance").await, server.person(MAIN, "admin").await);
    let id = requested(&asker, "agentic_remediation", "inc_1").await;
    let ops = |verb: &str| format!("/agent/ops/actions/{id}/{verb}");
    admin.client.post(&format!("{}?assignee_id={}", ops("assign"), admin.id), &json!({})).await.expect(200);
    admin.client.post(&format!("{}?comment=looks%20right", ops("comment")), &json!({})).await.expect(200);
    admin.client.post(&ops("escalate"), &json!({"reason": "urgent"})).await.expect(200);
    let somebody = admin.client.post(&format!("{}?operator=somebody-else", ops("approve")), &json!({})).await;
    assert_eq!(somebody.expect_problem(403), "approval.not_the_caller");
    let action = admin.client.post(&ops("approve"), &json!({"operator": admin.id, "comment": "go"})).await.expect(200);
    let action = action.json();
    assert_eq!(
        (action["status"].as_str(), action["is_fully_approved"].as_bool()),
        (Some("approved"), Some(true)),
        "{action}"
    );
    shown(&admin, &id).await;
    let listed = admin.client.get("/agent/ops/actions?status=approved").await.expect(200);
    assert!(listed.body.contains(&id), "{}", listed.body);
    let history = admin.client.get(&format!("/agent/ops/actions/{id}/history")).await.expect(200).body;
    for word in ["assigned", "commented", "escalated", "approved"] {
        assert!(history.contains(word), "{word} in {history}");
    }
    let metrics = admin.client.get("/agent/ops/actions/metrics").await.expect(200).json();
    assert_eq!((metrics["total"].as_u64(), metrics["approved"].as_u64()), (Some(1), Some(1)), "{metrics}");
}

both_stores!(inbox_says_what_somebody_can_decide_and_why_not_the_rest);

async fn inbox_says_what_somebody_can_decide_and_why_not_the_rest(store: &Store) {
    let server = Server::start(store).await;
    let (asker, other) = (server.person(MAIN, "admin").await, server.person(MAIN, "compliance").await);
    let mine = requested(&asker, "payment", "P-1").await;
    let theirs = requested(&other, "payment", "P-2").await;
    let inbox = other.client.get("/v1/approvals/inbox?include=others").await.expect(200).json();
    let items = inbox["items"].as_array().unwrap();
    let of =
        |id: &str| items.iter().find(|item| item.to_string().contains(id)).unwrap_or_else(|| panic!("{id} in {inbox}"));
    assert_eq!(of(&mine)["is_eligible"], true, "{inbox}");
    assert_eq!(of(&theirs)["is_eligible"], false, "{inbox}");
    assert!(of(&theirs).to_string().contains("approval.self_approval"), "{inbox}");
    let short = other.client.get("/v1/approvals/inbox").await.expect(200);
    assert!(short.body.contains(&mine) && !short.body.contains(&theirs), "{}", short.body);
    let decisions = json!({"decisions": [
        {"approval_id": mine, "decision": "approve", "reason": "fine"},
        {"approval_id": theirs, "decision": "approve", "reason": "fine"},
        {"approval_id": "apr_nothing", "decision": "approve", "reason": "fine"},
    ]});
    let answer = other.client.post("/v1/approvals/decisions", &decisions).await;
    assert!([200, 207].contains(&answer.status), "{} {}", answer.status, answer.body);
    let results = answer.json()["results"].clone();
    let statuses: Vec<_> = results.as_array().unwrap().iter().map(|result| result["status"].as_u64()).collect();
    assert_eq!(statuses, [Some(200), Some(403), Some(404)], "{results}");
}

both_stores!(broken_glass_is_open_until_others_have_reviewed_it);

async fn broken_glass_is_open_until_others_have_reviewed_it(store: &Store) {
    let server = Server::start(store).await;
    let (asker, reviewer) = (server.person(MAIN, "admin").await, server.person(MAIN, "compliance").await);
    let id = requested(&asker, "payment", "P-1").await;
    let break_glass = format!("/v1/approvals/{id}/break-glass");
    let unreasoned = asker.client.post(&break_glass, &json!({})).await;
    assert!([400, 422].contains(&unreasoned.status), "{} {}", unreasoned.status, unreasoned.body);
    reviewer.client.post(&break_glass, &json!({"reason": "now"})).await.expect_problem(403);
    let broken =
        asker.client.post(&break_glass, &json!({"reason": "the wire leaves in a minute"})).await.expect(200).json();
    assert_eq!(
        (broken["status"].as_str(), broken["review"]["is_open"].as_bool()),
        (Some("approved"), Some(true)),
        "{broken}"
    );
    asker.client.post(&format!("/v1/approvals/{id}/consume"), &json!({"execution_id": "run-1"})).await.expect(200);
    assert!(server.printed_contains("glass"), "{}", server.printed());
    let review = format!("/v1/approvals/{id}/review");
    let accept = json!({"decision": "approve", "reason": "there was no time"});
    assert_eq!(asker.client.post(&review, &accept).await.expect_problem(403), "approval.self_approval");
    assert_eq!(shown(&reviewer, &id).await["review"]["is_open"], true);
    let closed = reviewer.client.post(&review, &accept).await.expect(200).json();
    assert_eq!(closed["review"]["outcome"], "accepted", "{closed}");
}

both_stores!(nobody_weakens_a_policy_alone);

async fn nobody_weakens_a_policy_alone(store: &Store) {
    let server = Server::start(store).await;
    let (owner, admin) = (server.person(MAIN, "owner").await, server.person(MAIN, "admin").await);
    let compliance = server.person(MAIN, "compliance").await;
    policy(&owner, &admin, "external.payment", &terms(&[(1, "compliance"), (1, "admin")])).await;
    // Taking it back needs an approval as well.
    let path = "/v1/approval-policies/external.payment";
    let removed = owner.client.send(owner.client.request("DELETE", path).json(&json!({"reason": "too slow"}))).await;
    let id = removed.expect(202).json()["approval_request_id"].as_str().unwrap().to_owned();
    assert_eq!(vote(&owner, &id, "approve").await.expect_problem(403), "approval.self_approval");
    let shown_first = shown(&compliance, &id).await;
    assert!(shown_first["changes"].as_array().is_some_and(|changes| !changes.is_empty()), "{shown_first}");
    vote(&compliance, &id, "reject").await.expect(200);
    let in_force = owner.client.get(path).await.expect(200).json();
    assert_eq!(in_force["policy_version"], 1, "{in_force}");
}
