//! Requests for approval over HTTP: asked for, voted on, used once; policies and delegations.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use actix_web::http::Method;
use common::people::{ADA, ADAM, ANN, AUDREY, CARLA, COLIN, Person, VERA};
use common::{Answer, Fixture, fixture, post, size};
use serde_json::{Value, json};

fn wire(id: &str) -> Value {
    json!({
        "resource_type": "wire_transfer", "resource_id": id, "reason": "supplier is waiting",
        "summary": "Pay 1,000,000 EUR to ACME", "parameters": {"account": "DE02 1203", "beneficiary": "ACME"},
        "changes": [{"field": "limit", "before": "0", "after": "1000000"}],
        "amount": "1000000.00", "currency": "EUR", "label": "urgent",
    })
}

/// Ann's request for something that is done elsewhere; its id.
async fn asked(fixture: &Fixture) -> String {
    let answer = ANN.post(fixture, "/v1/approvals", wire("4711")).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()["approval_id"].as_str().unwrap().to_owned()
}

async fn vote(fixture: &Fixture, voter: Person, id: &str, decision: &str) -> Answer {
    voter.post(fixture, &format!("/approvals/{id}/vote"), json!({"decision": decision, "reason": "seen"})).await
}

#[actix_web::test]
async fn request_is_asked_for_voted_on_and_used_once() {
    let fixture = fixture().await;
    let opened = ANN.post(&fixture, "/v1/approvals", wire("4711")).await;
    assert_eq!(opened.status, 201, "{}", opened.body);
    let body = opened.json();
    let id = body["approval_id"].as_str().unwrap();
    assert_eq!(opened.header("location"), Some(format!("/v1/approvals/{id}").as_str()));
    assert_eq!(
        (&body["status"], &body["action"], &body["resource_type"], &body["requested_by"], &body["amount"]["amount"]),
        (
            &json!("pending"),
            &json!("external.wire_transfer"),
            &json!("wire_transfer"),
            &json!(ANN.id()),
            &json!("1000000.00")
        )
    );
    assert_eq!((&body["current_step"], &body["still_needed"][0]["votes"]), (&json!(1), &json!(1)));
    assert_eq!((&body["policy"]["version"], &body["revision"]), (&json!(0), &json!(1)));
    assert_eq!(body["changes"], json!([{"field": "limit", "before": "0", "after": "1000000"}]));
    assert!(body["decide_by"].as_str().unwrap().ends_with('Z') && body["receipt"]["position"].is_u64());

    let consume = format!("/approvals/{id}/consume");
    let run = json!({"execution_id": "run-1", "digest": body["digest"]});
    ANN.post(&fixture, &consume, run.clone()).await.problem(422, "approval.not_approved");
    let voted = vote(&fixture, COLIN, id, "approve").await;
    assert_eq!(voted.status, 200, "{}", voted.body);
    let body = voted.json();
    assert_eq!((&body["status"], &body["decided_by"]), (&json!("approved"), &json!(COLIN.id())));
    let cast = &body["votes"][0];
    assert_eq!((&cast["step"], &cast["decision"], &cast["reason"]), (&json!(1), &json!("approve"), &json!("seen")));
    assert!(body["grant_expires_at"].is_string() && body["still_needed"] == json!([]));

    let stale = json!({"execution_id": "run-1", "digest": "0".repeat(64)});
    assert_eq!(ANN.post(&fixture, &consume, stale).await.json()["code"], "approval.digest_mismatch");
    let another = asked(&fixture).await;
    vote(&fixture, COLIN, &another, "approve").await;
    let theirs = CARLA.post(&fixture, &format!("/approvals/{another}/consume"), run.clone()).await;
    assert_eq!(theirs.json()["code"], "approval.not_yours", "{}", theirs.body);
    let run = json!({"execution_id": "run-1"});
    let used = ANN.post(&fixture, &format!("/approvals/{another}/consume"), run.clone()).await;
    assert_eq!((used.status, &used.json()["status"]), (200, &json!("consumed")), "{}", used.body);
    assert_eq!(used.json()["execution_id"], "run-1");
    let before = size(&fixture).await;
    assert_eq!(ANN.post(&fixture, &format!("/approvals/{another}/consume"), run).await.status, 200);
    assert_eq!(size(&fixture).await, before, "the same execution again records nothing");
    let again = json!({"execution_id": "run-2"});
    let again = ANN.post(&fixture, &format!("/approvals/{another}/consume"), again).await;
    again.problem(409, "approval.already_consumed");
}

#[actix_web::test]
async fn nobody_decides_who_may_not() {
    let fixture = fixture().await;
    let id = asked(&fixture).await;
    let code = async |voter: Person| vote(&fixture, voter, &id, "approve").await.json()["code"].clone();
    vote(&fixture, ANN, &id, "approve").await.problem(403, "approval.self_approval");
    let as_admin = Person { role: "admin", ..ANN };
    assert_eq!(code(as_admin).await, "approval.self_approval", "whatever the role");
    assert_eq!(code(VERA).await, "permission.denied");
    assert_eq!(code(AUDREY).await, "permission.denied");
    let operator = post(&fixture, &format!("/approvals/{id}/vote"), r#"{"decision":"approve"}"#).await;
    assert_eq!(operator.json()["code"], "approval.person_required", "{}", operator.body);
    vote(&fixture, COLIN, "apr_none", "approve").await.problem(404, "approval.not_found");
    assert_eq!(vote(&fixture, COLIN, &id, "reject").await.json()["status"], "rejected");
    vote(&fixture, CARLA, &id, "approve").await.problem(409, "approval.already_decided");
}

#[actix_web::test]
async fn draft_waits_and_revision_voids_votes() {
    let fixture = fixture().await;
    let draft = json!({"resource_type": "wire transfer", "resource_id": "4711", "submit": false});
    let draft = ANN.post(&fixture, "/approvals", draft).await.json();
    assert_eq!((&draft["status"], &draft["action"]), (&json!("draft"), &json!("external.wire_transfer")));
    let id = draft["approval_id"].as_str().unwrap();
    assert_eq!(vote(&fixture, COLIN, id, "approve").await.json()["code"], "approval.not_submitted");
    let path = |verb: &str| format!("/approvals/{id}/{verb}");
    let theirs = CARLA.post(&fixture, &path("submit"), Value::Null).await;
    assert_eq!(theirs.json()["code"], "approval.not_yours");
    assert_eq!(ANN.post(&fixture, &path("submit"), Value::Null).await.json()["status"], "pending");
    assert_eq!(vote(&fixture, COLIN, id, "approve").await.json()["status"], "approved");
    let revised = ANN.post(&fixture, &path("revise"), wire("4712")).await;
    assert_eq!(revised.status, 200, "{}", revised.body);
    let body = revised.json();
    assert_eq!((&body["status"], &body["revision"], &body["votes"]), (&json!("pending"), &json!(2), &json!([])));
    let seen_before = json!({"decision": "approve", "revision": 1});
    assert_eq!(COLIN.post(&fixture, &path("vote"), seen_before).await.json()["code"], "approval.revised");
    ANN.post(&fixture, &path("revise"), draft_with("submit", json!(true))).await.problem(400, "request.invalid");
    ANN.post(&fixture, &path("revise"), json!({"resource_type": "user_export", "resource_id": "all"}))
        .await
        .problem(422, "approval.not_external");
    let withdrawn = ANN.post(&fixture, &path("withdraw"), json!({"reason": "paid otherwise"})).await;
    assert_eq!(withdrawn.json()["status"], "withdrawn", "{}", withdrawn.body);
}

fn draft_with(name: &str, value: Value) -> Value {
    let mut body = wire("4713");
    body[name] = value;
    body
}

#[actix_web::test]
async fn what_cannot_be_read_is_named() {
    let fixture = fixture().await;
    for (body, pointer) in [
        (json!({"resource_id": "1"}), "/resource_type"),
        (json!({"resource_type": "wire!", "resource_id": "1"}), "/resource_type"),
        (draft_with("currency", Value::Null), "/currency"),
        (draft_with("amount", json!("a lot")), "/amount"),
        (draft_with("label", json!("Not A Word")), "/label"),
        (draft_with("changes", json!([{"field": ""}])), "/changes/0/field"),
        (draft_with("votes", json!([])), "/votes"),
    ] {
        let problem = ANN.post(&fixture, "/approvals", body.clone()).await.problem(400, "request.invalid");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
    let many: serde_json::Map<_, _> = (0..65).map(|index| (format!("p{index}"), json!("x"))).collect();
    let problem = ANN.post(&fixture, "/approvals", draft_with("parameters", many.into())).await;
    assert_eq!(problem.problem(400, "request.invalid")["errors"][0]["pointer"], "/parameters");
    let id = asked(&fixture).await;
    let signed =
        json!({"decision": "approve", "signature": {"algorithm": "RS256", "public_key": "AA==", "signature": "AA=="}});
    let problem = COLIN.post(&fixture, &format!("/approvals/{id}/vote"), signed).await;
    assert_eq!(problem.problem(400, "request.invalid")["errors"][0]["pointer"], "/signature");
    assert_eq!(size(&fixture).await, 2, "asked for and submitted");
}

#[actix_web::test]
async fn own_actions_are_described_by_daybook_alone() {
    let fixture = fixture().await;
    let plain = json!({"resource_type": "incident_export", "resource_id": "incidents_open", "reason": "audit"});
    let opened = ANN.post(&fixture, "/approvals", plain).await.json();
    assert_eq!(
        (&opened["action"], &opened["required_permissions"]),
        (&json!("export.incidents"), &json!(["incident:read"]))
    );
    let dressed_up = json!({"resource_type": "incident_export", "resource_id": "x", "summary": "nothing to see"});
    ANN.post(&fixture, "/approvals", dressed_up).await.problem(422, "approval.not_external");
    for resource_type in ["erasure", "approval_policy", "rule"] {
        let body = json!({"resource_type": resource_type, "resource_id": "x"});
        ADA.post(&fixture, "/approvals", body).await.problem(422, "approval.not_external");
    }
    let users = json!({"resource_type": "user_export", "resource_id": "all"});
    let denied = ANN.post(&fixture, "/approvals", users).await.problem(403, "permission.denied");
    assert_eq!(denied["missing_permission"], "user:list");
    let id = opened["approval_id"].as_str().unwrap();
    vote(&fixture, COLIN, id, "approve").await;
    let consume = ANN.post(&fixture, &format!("/approvals/{id}/consume"), json!({"execution_id": "x"})).await;
    consume.problem(422, "approval.not_external");
}

#[actix_web::test]
async fn request_is_talked_about_assigned_and_escalated() {
    let fixture = fixture().await;
    let id = asked(&fixture).await;
    let path = |verb: &str| format!("/approvals/{id}/{verb}");
    let commented = COLIN.post(&fixture, &path("comment"), json!({"text": "which supplier?"})).await;
    assert_eq!(commented.status, 200, "{}", commented.body);
    let entries = fixture.ledger.reader().entries(0, 100).await.unwrap();
    let comment = String::from_utf8(entries.last().unwrap().payload.clone().unwrap().into()).unwrap();
    assert!(comment.contains("dbs1.") && !comment.contains("supplier?"), "{comment}");
    let nobody = CARLA.post(&fixture, &path("comment"), Value::Null).await.problem(400, "request.invalid");
    assert_eq!(nobody["errors"][0]["pointer"], "/comment");
    let assigned = COLIN.post(&fixture, &format!("{}?assignee_id={}", path("assign"), CARLA.id()), Value::Null).await;
    assert_eq!(assigned.json()["assigned_to"], CARLA.id());
    let both = COLIN.post(&fixture, &format!("{}?assignee_id=a", path("assign")), json!({"assignee": "b"})).await;
    both.problem(400, "request.contradiction");
    let escalated = COLIN.post(&fixture, &path("escalate"), json!({"reason": "nobody looks at it"})).await;
    assert_eq!(escalated.status, 200, "{}", escalated.body);
    let body = escalated.json();
    assert_eq!(
        (&body["status"], &body["is_escalated"], &body["escalation_reason"]),
        (&json!("pending"), &json!(true), &json!("nobody looks at it"))
    );
    VERA.post(&fixture, &path("comment"), json!({"comment": "me too"})).await.problem(403, "permission.denied");
}

#[actix_web::test]
async fn glass_is_broken_loudly_and_reviewed_by_others() {
    let fixture = fixture().await;
    let id = asked(&fixture).await;
    let path = |verb: &str| format!("/v1/approvals/{id}/{verb}");
    COLIN.post(&fixture, &path("break-glass"), json!({"reason": "fire"})).await.problem(403, "permission.denied");
    ADA.post(&fixture, &path("break-glass"), json!({})).await.problem(400, "request.invalid");
    let broken = ADA.post(&fixture, &path("break-glass"), json!({"reason": "the bank closes in an hour"})).await;
    assert_eq!(broken.status, 200, "{}", broken.body);
    let body = broken.json();
    assert_eq!((&body["status"], &body["review"]["is_open"]), (&json!("approved"), &json!(true)));
    assert_eq!((&body["review"]["broken_by"], &body["review"]["outcome"]), (&json!(ADA.id()), &json!(null)));
    assert_eq!((&body["votes"], &body["review"]["current_step"]), (&json!([]), &json!(1)));
    let metrics = fixture.telemetry.render().unwrap();
    assert!(metrics.contains(r#"daybook_approvals_glass_broken_total{ledger="main"} 1"#), "{metrics}");
    let own = ADA.post(&fixture, &path("review"), json!({"decision": "approve"})).await;
    assert_eq!(own.json()["code"], "approval.self_review", "{}", own.body);
    let reviewed = COLIN.post(&fixture, &path("review"), json!({"decision": "approve", "reason": "was right"})).await;
    assert_eq!(reviewed.json()["review"]["outcome"], "accepted", "{}", reviewed.body);
    assert_eq!(reviewed.json()["review"]["is_open"], false);
}

#[actix_web::test]
async fn policy_is_changed_only_with_approval_and_then_holds() {
    let fixture = fixture().await;
    let path = "/v1/approval-policies/external.wire_transfer";
    let two = json!([{"clauses": [{"votes": 2, "from": [{"role": "compliance"}]}]}, {"name": "the head",
        "clauses": [{"votes": 1, "from": [{"role": "admin"}]}]}]);
    let body = json!({"rules": [{"terms": {"steps": two}}], "reason": "four eyes are too few"});
    let put = async |who: Person| who.call(&fixture, Method::PUT, path, &[], body.clone()).await;
    let first = put(ADA).await;
    assert_eq!(first.status, 202, "{}", first.body);
    let blocked = first.json();
    assert_eq!(blocked["status"], "pending");
    assert!(blocked["detail"].as_str().unwrap().contains("requires approval"));
    let id = blocked["approval_request_id"].as_str().unwrap();
    assert_eq!(put(ADA).await.json()["approval_request_id"], id, "the same change is the same request");
    assert_eq!(vote(&fixture, ADA, id, "approve").await.json()["code"], "approval.self_approval");
    assert_eq!(vote(&fixture, COLIN, id, "approve").await.json()["status"], "approved");
    let made = put(ADA).await;
    assert!([200, 201].contains(&made.status), "{}", made.body);
    assert_eq!((&made.json()["policy_version"], &made.json()["is_built_in"]), (&json!(1), &json!(false)));
    put(COLIN).await.problem(403, "permission.denied");

    let id = asked(&fixture).await;
    assert_eq!(vote(&fixture, ADAM, &id, "approve").await.json()["code"], "approval.not_your_turn");
    let one = vote(&fixture, COLIN, &id, "approve").await.json();
    assert_eq!((&one["status"], &one["still_needed"][0]["votes"]), (&json!("pending"), &json!(1)));
    assert_eq!(vote(&fixture, COLIN, &id, "approve").await.json()["code"], "approval.already_voted");
    let back = COLIN.post(&fixture, &format!("/approvals/{id}/withdraw-vote"), Value::Null).await;
    assert_eq!((back.status, &back.json()["votes"]), (200, &json!([])), "{}", back.body);
    vote(&fixture, COLIN, &id, "approve").await;
    assert_eq!(vote(&fixture, CARLA, &id, "approve").await.json()["current_step"], 2);
    assert_eq!(vote(&fixture, ADAM, &id, "approve").await.json()["status"], "approved");

    ADA.call(&fixture, Method::DELETE, path, &[], Value::Null).await.problem(400, "request.invalid");
    let retire = format!("{path}?reason=enough");
    assert_eq!(ADA.call(&fixture, Method::DELETE, &retire, &[], Value::Null).await.status, 202);
}

#[actix_web::test]
async fn policy_that_is_none_is_refused() {
    let fixture = fixture().await;
    let put = async |path: &str, body: Value| {
        ADA.call(&fixture, Method::PUT, &format!("/approval-policies/{path}"), &[], body).await
    };
    let terms = json!({"steps": [{"clauses": [{"votes": 1, "from": [{"role": "admin"}]}]}]});
    for (rules, pointer) in [
        (json!([]), "/rules"),
        (json!([{"label": "x", "terms": terms}]), "/rules/0"),
        (json!([{"terms": {"steps": [{"clauses": []}]}}]), "/rules/0/terms/steps/0/clauses"),
        (json!([{"terms": {"steps": [], "grant_seconds": 0}}]), "/rules/0/terms/grant_seconds"),
    ] {
        let problem = put("external.x", json!({"rules": rules, "reason": "r"})).await.problem(400, "request.invalid");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{rules}");
    }
    put("No%20Action", json!({"rules": [{"terms": terms}], "reason": "r"}))
        .await
        .problem(404, "approval_policy.not_found");
    assert_eq!(size(&fixture).await, 0);
}

#[actix_web::test]
async fn delegations_are_given_accepted_and_ended_by_those_they_are_about() {
    let fixture = fixture().await;
    let to = |person: Person| {
        json!({"to": person.id(), "ends_at": "2027-01-01T00:00:00Z", "starts_at": "2026-12-01T00:00:00Z",
        "actions": ["export.users"], "reason": "away"})
    };
    let given = VERA.post(&fixture, "/v1/delegations", to(COLIN)).await;
    assert_eq!(given.status, 201, "{}", given.body);
    let body = given.json();
    let id = body["delegation_id"].as_str().unwrap();
    assert_eq!((&body["from"], &body["to"]), (&json!(VERA.id()), &json!(COLIN.id())));
    assert_eq!(body["actions"], json!(["export.users"]));
    VERA.post(&fixture, "/delegations", to(VERA)).await.problem(422, "delegation.to_one_self");
    let mut others = to(CARLA);
    others["from"] = json!(VERA.id());
    COLIN.post(&fixture, "/delegations", others.clone()).await.problem(403, "delegation.not_yours");
    ADA.post(&fixture, "/delegations", others).await.problem(403, "delegation.not_yours");
    let accept = format!("/delegations/{id}/accept");
    assert!(body["accepted_at"].is_null());
    for other in [VERA, CARLA] {
        other.post(&fixture, &accept, Value::Null).await.problem(403, "delegation.not_the_delegate");
    }
    let accepted = COLIN.post(&fixture, &accept, Value::Null).await;
    assert!(accepted.json()["accepted_at"].is_string(), "{}", accepted.body);
    let mut long = to(COLIN);
    long["ends_at"] = json!("2028-01-01T00:00:00Z");
    VERA.post(&fixture, "/delegations", long).await.problem(422, "delegation.period");
    let end = format!("/delegations/{id}/end");
    CARLA.post(&fixture, &end, Value::Null).await.problem(403, "delegation.not_yours");
    let ended = COLIN.post(&fixture, &end, Value::Null).await;
    assert!(ended.json()["ended_at"].is_string(), "{}", ended.body);
    VERA.post(&fixture, &end, Value::Null).await.problem(422, "delegation.over");
    VERA.post(&fixture, "/delegations/dlg_none/end", Value::Null).await.problem(404, "delegation.not_found");
}
