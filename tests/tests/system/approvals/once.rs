//! A grant is good once, and only while everything it was given on still holds.

use daybook_tests::people::MAIN;
use daybook_tests::{Server, Store, both_stores};
use serde_json::json;

use super::{policy, requested, shown, terms, vote};

both_stores!(of_sixty_four_who_redeem_a_grant_at_once_one_wins);

async fn of_sixty_four_who_redeem_a_grant_at_once_one_wins(store: &Store) {
    let server = Server::start(store).await;
    let (asker, other) = (server.person(MAIN, "admin").await, server.person(MAIN, "compliance").await);
    let id = requested(&asker, "payment", "P-1").await;
    vote(&other, &id, "approve").await.expect(200);
    let path = format!("/v1/approvals/{id}/consume");
    let mut attempts = tokio::task::JoinSet::new();
    for number in 0..64 {
        let (client, path) = (asker.client.clone(), path.clone());
        attempts.spawn(async move {
            let body = json!({"execution_id": format!("run-{number}")});
            let answer = client.post(&path, &body).await;
            (answer.status, answer.body)
        });
    }
    let answers = attempts.join_all().await;
    let won = answers.iter().filter(|(status, _)| *status == 200).count();
    assert_eq!(won, 1, "{answers:?}");
    for (status, body) in answers.iter().filter(|(status, _)| *status != 200) {
        assert!(*status == 409 && body.contains("approval.already_consumed"), "{status} {body}");
    }
    assert_eq!(shown(&other, &id).await["status"], "consumed");
    let entries = server.client().get("/v1/audit-trail?event_type=approval.consumed").await.expect(200).json();
    assert_eq!(entries["items"].as_array().map(Vec::len), Some(1), "{entries}");
}

both_stores!(gated_call_goes_through_once_after_the_approval_however_often_it_is_made_at_once);

async fn gated_call_goes_through_once_after_the_approval_however_often_it_is_made_at_once(store: &Store) {
    let server = Server::start(store).await;
    let (asker, other) = (server.person(MAIN, "owner").await, server.person(MAIN, "admin").await);
    let path = "/v1/approval-policies/external.payment";
    let body = json!({"rules": [{"terms": terms(&[(1, "compliance")])}], "reason": "two pairs of eyes"});
    let blocked = asker.client.send(asker.client.request("PUT", path).json(&body)).await.expect(202).json();
    let id = blocked["approval_request_id"].as_str().unwrap().to_owned();
    vote(&other, &id, "approve").await.expect(200);
    let mut attempts = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (client, body) = (asker.client.clone(), body.clone());
        attempts.spawn(async move { client.send(client.request("PUT", path).json(&body)).await.status });
    }
    let statuses = attempts.join_all().await;
    // 200: it is in force by then, as it was asked for; nothing is done.
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 201, 202, 409].contains(status)), "{statuses:?}");
    let defined = server.client().get("/v1/audit-trail?event_type=approval_policy.defined").await.expect(200).json();
    assert_eq!(defined["items"].as_array().map(Vec::len), Some(1), "{defined}");
}

both_stores!(grant_is_void_once_the_policy_has_changed);

async fn grant_is_void_once_the_policy_has_changed(store: &Store) {
    let server = Server::start(store).await;
    let (asker, other) = (server.person(MAIN, "admin").await, server.person(MAIN, "compliance").await);
    let id = requested(&asker, "payment", "P-1").await;
    vote(&other, &id, "approve").await.expect(200);
    policy(&asker, &other, "external.payment", &terms(&[(2, "compliance")])).await;
    let consumed = asker.client.post(&format!("/v1/approvals/{id}/consume"), &json!({"execution_id": "run-1"})).await;
    assert_eq!(consumed.expect_problem_of(&[409, 422]), "approval.policy_changed");
    assert_eq!(shown(&other, &id).await["status"], "voided");
}

both_stores!(grant_of_somebody_who_was_deactivated_is_no_good);

async fn grant_of_somebody_who_was_deactivated_is_no_good(store: &Store) {
    let server = Server::start(store).await;
    let (owner, other) = (server.person(MAIN, "owner").await, server.person(MAIN, "compliance").await);
    let asker = server.person(MAIN, "compliance").await;
    server.client().post("/v1/transactions", &daybook_tests::data::transaction("TX-1")).await.expect(201);
    let wish = json!({"kind": "transactions", "format": "csv", "reason": "for the auditor"});
    let blocked = asker.client.post("/v1/exports", &wish).await.expect(202).json();
    let approval = blocked["approval_request_id"].as_str().unwrap().to_owned();
    let export = blocked["export"]["export_id"].as_str().unwrap().to_owned();
    owner
        .client
        .send(owner.client.request("PUT", &format!("/v1/auth/users/{}/deactivate", asker.id)))
        .await
        .expect(200);
    vote(&other, &approval, "approve").await.expect(200);
    daybook_tests::eventually("the export is refused", async || {
        let shown = owner.client.get(&format!("/v1/exports/{export}")).await.json();
        (shown["status"] == "rejected").then_some(())
    })
    .await;
    assert_eq!(shown(&other, &approval).await["status"], "voided");
}
