//! Whoever asks does not decide, under whatever name; nobody is counted twice; nothing is decided out of order.

use daybook_tests::people::MAIN;
use daybook_tests::{Client, Person, Server, Store, both_stores};
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

    let accepted = async |from: &Person, to: &Person| {
        let given = from.client.post("/v1/delegations", &delegation(&to.id)).await.expect(201).json();
        let id = given["delegation_id"].as_str().unwrap().to_owned();
        to.client.post(&format!("/v1/delegations/{id}/accept"), &json!({})).await.expect(200);
        id
    };

    // A delegation from the requester takes the vote from whoever accepts it, for good.
    let from_asker = accepted(&asker, &third).await;
    assert_eq!(vote(&third, &id, "approve").await.expect_problem(403), "approval.delegate_of_requester");
    let ended = format!("/v1/delegations/{from_asker}/end");
    asker.client.post(&ended, &json!({})).await.expect(200);
    assert_eq!(vote(&third, &id, "approve").await.expect_problem(403), "approval.delegate_of_requester");

    // One to the requester gives him none.
    accepted(&away, &asker).await;
    assert_eq!(vote(&asker, &id, "approve").await.expect_problem(403), "approval.self_approval");

    // Somebody who may not vote himself votes in the place of one who may; that one has voted then.
    assert_eq!(vote(&stand_in, &id, "approve").await.status, 403);
    let given = away.client.post("/v1/delegations", &delegation(&stand_in.id)).await.expect(201).json();
    let path = format!("/v1/approvals/{id}/vote");
    // A viewer holds no permission to decide until he is given one.
    let allowed = json!({"name": "stand_in", "permissions": ["approval:decide", "approval:read"]});
    asker.client.post("/v1/rbac/roles", &allowed).await.expect(201);
    let role = format!("/v1/api/rbac/users/{}/roles/stand_in", stand_in.id);
    asker.client.post(&role, &json!({})).await;
    let body = json!({"decision": "approve", "reason": "in her place", "on_behalf_of": away.id});
    // Whoever has not accepted it stands in for nobody.
    assert!([403, 422].contains(&stand_in.client.post(&path, &body).await.status));
    let accept = format!("/v1/delegations/{}/accept", given["delegation_id"].as_str().unwrap());
    stand_in.client.post(&accept, &json!({})).await.expect(200);
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

both_stores!(roles_that_the_requester_has_just_given_and_accounts_of_his_give_no_seat);

async fn roles_that_the_requester_has_just_given_and_accounts_of_his_give_no_seat(store: &Store) {
    let server = Server::start(store).await;
    let (asker, friend) = (server.person(MAIN, "admin").await, server.person(MAIN, "viewer").await);
    let id = requested(&asker, "payment", "P-1").await;
    let promoted = format!("/v1/auth/users/{}/role?role=compliance", friend.id);
    asker.client.send(asker.client.request("PUT", &promoted).json(&json!({}))).await.expect(200);
    assert_eq!(vote(&friend, &id, "approve").await.status, 403);
    // Given by somebody else it counts.
    let other = server.person(MAIN, "owner").await;
    let away = format!("/v1/auth/users/{}/role?role=viewer", friend.id);
    other.client.send(other.client.request("PUT", &away).json(&json!({}))).await.expect(200);
    other.client.send(other.client.request("PUT", &promoted).json(&json!({}))).await.expect(200);
    assert_eq!(vote(&friend, &id, "approve").await.expect(200).json()["status"], "approved");
}

both_stores!(nobody_takes_a_named_seat_by_declaring_its_holder_to_be_himself);

async fn nobody_takes_a_named_seat_by_declaring_its_holder_to_be_himself(store: &Store) {
    let server = Server::start(store).await;
    let (asker, admin) = (server.person(MAIN, "analyst").await, server.person(MAIN, "admin").await);
    let (chief, other) = (server.person(MAIN, "compliance").await, server.person(MAIN, "owner").await);
    let mut named = terms(&[(1, "owner")]);
    named["steps"] = json!([{"clauses": [{"votes": 1, "from": [{"person": chief.id}]}]}]);
    policy(&other, &admin, "external.payment", &named).await;
    let id = requested(&asker, "payment", "P-1").await;
    assert_eq!(vote(&admin, &id, "approve").await.expect_problem(403), "approval.not_eligible");
    let same = json!({"person": admin.id, "reason": "it is me"});
    admin.client.post(&format!("/v1/people/{}/same-person", chief.id), &same).await.expect_problem_of(&[403, 422]);
    // Declared by somebody else it only takes away.
    other.client.post(&format!("/v1/people/{}/same-person", chief.id), &same).await.expect(200);
    assert_eq!(vote(&admin, &id, "approve").await.expect_problem(403), "approval.not_eligible");
    assert_eq!(vote(&chief, &id, "approve").await.expect(200).json()["status"], "approved");
}
