//! Whoever asks does not decide, under whatever name; nobody is counted twice; nothing is decided out of order.

use daybook_tests::people::MAIN;
use daybook_tests::{Client, Server, Store, both_stores};
use serde_json::json;

use super::{policy, requested, shown, terms, vote};

both_stores!(requester_cannot_vote_even_as_admin);

async fn requester_cannot_vote_even_as_admin(store: &Store) {
    let server = Server::start(store).await;
    let (asker, other) = (server.person(MAIN, "admin").await, server.person(MAIN, "owner").await);
    let id = requested(&asker, "payment", "P-1").await;
    assert_eq!(vote(&asker, &id, "approve").await.expect_problem(403), "approval.self_approval");
    // The predecessors' ways, too.
    for path in [format!("/v1/approval/{id}/decision?decision=approved&decision_reason=mine")] {
        let answer = asker.client.post(&path, &json!({})).await;
        assert_eq!(answer.expect_problem(403), "approval.self_approval");
    }
    let agents = requested(&asker, "agentic_remediation", "inc_1").await;
    let own = asker.client.post(&format!("/v1/agent/ops/actions/{agents}/approve"), &json!({})).await;
    assert_eq!(own.expect_problem(403), "approval.self_approval");
    let batch = json!({"decisions": [{"approval_id": id, "decision": "approve", "reason": "mine"}]});
    let batch = asker.client.post("/v1/approvals/decisions", &batch).await;
    assert!(batch.body.contains("approval.self_approval"), "{} {}", batch.status, batch.body);
    assert_eq!(shown(&other, &id).await["status"], "pending");
}

both_stores!(requester_cannot_vote_in_a_second_session_or_with_a_second_account_or_with_a_key);

async fn requester_cannot_vote_in_a_second_session_or_with_a_second_account_or_with_a_key(store: &Store) {
    let server = Server::start(store).await;
    let (asker, owner) = (server.person(MAIN, "admin").await, server.person(MAIN, "owner").await);
    let second_account = server.person(MAIN, "compliance").await;
    let id = requested(&asker, "payment", "P-1").await;

    let second_session = server.login(MAIN, &asker.email, &asker.full_name).await;
    assert_eq!(vote(&second_session, &id, "approve").await.expect_problem(403), "approval.self_approval");

    let same = json!({"person": asker.id, "reason": "a second account for tests"});
    owner.client.post(&format!("/v1/people/{}/same-person", second_account.id), &same).await.expect(200);
    assert_eq!(vote(&second_account, &id, "approve").await.expect_problem(403), "approval.self_approval");

    let key = json!({"name": "a robot", "scopes": ["read", "write", "admin"]});
    let key = asker.client.post("/v1/api-keys", &key).await.expect(201).json();
    let robot = Client::new(server.url(), key["key_value"].as_str());
    let answer = robot.post(&format!("/v1/approvals/{id}/vote"), &json!({"decision": "approve"})).await;
    assert!(
        ["approval.self_approval", "approval.person_required"].contains(&answer.expect_problem(403).as_str()),
        "{}",
        answer.body
    );
    let path = format!("/v1/approvals/{id}/vote");
    let operator = server.operator_of(MAIN).post(&path, &json!({"decision": "approve"})).await;
    assert_eq!(operator.expect_problem(403), "approval.person_required");
    assert_eq!(shown(&owner, &id).await["status"], "pending");
}

both_stores!(delegate_of_the_requester_cannot_vote_and_a_delegate_uses_up_both);

async fn delegate_of_the_requester_cannot_vote_and_a_delegate_uses_up_both(store: &Store) {
    let server = Server::start(store).await;
    let asker = server.person(MAIN, "admin").await;
    let (away, stand_in) = (server.person(MAIN, "compliance").await, server.person(MAIN, "viewer").await);
    let third = server.person(MAIN, "compliance").await;
    policy(&asker, &third, "external.payment", &terms(&[(2, "compliance")])).await;
    let id = requested(&asker, "payment", "P-1").await;
    let delegation = |to: &str| {
        let ends = chrono::Utc::now() + chrono::Duration::days(3);
        json!({"to": to, "ends_at": ends.to_rfc3339_opts(chrono::SecondsFormat::Micros, true), "reason": "away"})
    };

    // A delegation from the requester takes the vote from whoever has it, for good.
    let from_asker = asker.client.post("/v1/delegations", &delegation(&third.id)).await.expect(201).json();
    assert_eq!(vote(&third, &id, "approve").await.expect_problem(403), "approval.delegate_of_requester");
    let ended = format!("/v1/delegations/{}/end", from_asker["delegation_id"].as_str().unwrap());
    asker.client.post(&ended, &json!({})).await.expect(200);
    assert_eq!(vote(&third, &id, "approve").await.expect_problem(403), "approval.delegate_of_requester");

    // One to the requester gives him none.
    away.client.post("/v1/delegations", &delegation(&asker.id)).await.expect(201);
    assert_eq!(vote(&asker, &id, "approve").await.expect_problem(403), "approval.self_approval");

    // Somebody who may not vote himself votes in the place of one who may; that one has voted then.
    assert_eq!(vote(&stand_in, &id, "approve").await.status, 403);
    away.client.post("/v1/delegations", &delegation(&stand_in.id)).await.expect(201);
    let path = format!("/v1/approvals/{id}/vote");
    // A viewer holds no permission to decide until he is given one.
    let allowed = json!({"name": "stand_in", "permissions": ["approval:decide", "approval:read"]});
    asker.client.post("/v1/rbac/roles", &allowed).await.expect(201);
    let given = format!("/v1/api/rbac/users/{}/roles/stand_in", stand_in.id);
    asker.client.post(&given, &json!({})).await;
    let body = json!({"decision": "approve", "reason": "in her place", "on_behalf_of": away.id});
    let voted = stand_in.client.post(&path, &body).await.expect(200).json();
    assert_eq!(voted["votes"][0]["on_behalf_of"], away.id, "{voted}");
    assert_eq!(vote(&away, &id, "approve").await.expect_problem_of(&[403, 409, 422]), "approval.already_voted");
    assert_eq!(shown(&asker, &id).await["status"], "pending", "one vote of two");
}

both_stores!(steps_come_in_their_order_and_nobody_serves_two);

async fn steps_come_in_their_order_and_nobody_serves_two(store: &Store) {
    let server = Server::start(store).await;
    let (asker, owner) = (server.person(MAIN, "analyst").await, server.person(MAIN, "owner").await);
    let (admin, compliance) = (server.person(MAIN, "admin").await, server.person(MAIN, "compliance").await);
    policy(&owner, &admin, "external.payment", &terms(&[(1, "compliance"), (1, "admin")])).await;
    let id = requested(&asker, "payment", "P-1").await;
    assert_eq!(vote(&admin, &id, "approve").await.expect_problem_of(&[403, 409, 422]), "approval.not_your_turn");
    assert_eq!(vote(&owner, &id, "approve").await.expect_problem(403), "approval.not_eligible");
    vote(&compliance, &id, "approve").await.expect(200);
    // Made an administrator meanwhile: still one person.
    let promoted = format!("/v1/auth/users/{}/role?role=admin", compliance.id);
    owner.client.send(owner.client.request("PUT", &promoted).json(&json!({"reason": "promoted"}))).await.expect(200);
    assert_eq!(vote(&compliance, &id, "approve").await.expect_problem_of(&[403, 409, 422]), "approval.already_voted");
    assert_eq!(vote(&admin, &id, "approve").await.expect(200).json()["status"], "approved");
    assert_eq!(vote(&owner, &id, "reject").await.expect_problem(409), "approval.already_decided");
}

both_stores!(edit_after_a_vote_voids_it);

async fn edit_after_a_vote_voids_it(store: &Store) {
    let server = Server::start(store).await;
    let asker = server.person(MAIN, "admin").await;
    let (first, second) = (server.person(MAIN, "compliance").await, server.person(MAIN, "compliance").await);
    policy(&asker, &first, "external.payment", &terms(&[(2, "compliance")])).await;
    let id = requested(&asker, "payment", "P-1").await;
    vote(&first, &id, "approve").await.expect(200);
    let revised = json!({"resource_type": "payment", "resource_id": "P-1", "parameters": {"amount": "twice as much"},
        "reason": "it is more"});
    let revised = asker.client.post(&format!("/v1/approvals/{id}/revise"), &revised).await.expect(200).json();
    assert_eq!(
        (revised["revision"].as_u64(), revised["votes"].as_array().map(Vec::len)),
        (Some(2), Some(0)),
        "{revised}"
    );
    let stale = json!({"decision": "approve", "revision": 1});
    let stale = second.client.post(&format!("/v1/approvals/{id}/vote"), &stale).await;
    assert_eq!(stale.expect_problem(409), "approval.revised");
    assert_eq!(vote(&second, &id, "approve").await.expect(200).json()["status"], "pending", "the first vote is gone");
    assert_eq!(vote(&first, &id, "approve").await.expect(200).json()["status"], "approved");
    // Whoever revises what was agreed to has nothing any more.
    let revised = json!({"resource_type": "payment", "resource_id": "P-1", "parameters": {"amount": "thrice"}});
    let again = asker.client.post(&format!("/v1/approvals/{id}/revise"), &revised).await.expect(200).json();
    assert_eq!(again["status"], "pending", "{again}");
    let consumed = asker.client.post(&format!("/v1/approvals/{id}/consume"), &json!({"execution_id": "run-1"})).await;
    assert_eq!(consumed.expect_problem_of(&[409, 422]), "approval.not_approved");
}
