//! Approvals as the predecessors' clients ask for them and decide on them, and many decisions at once.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use actix_web::http::Method;
use common::people::{ADA, ANN, CARLA, COLIN, Person};
use common::{Fixture, fixture, size};
use serde_json::{Value, json};

/// The members of a request that a predecessor answers.
const REQUEST_MEMBERS: [&str; 11] = [
    "id",
    "resource_type",
    "resource_id",
    "requested_by",
    "status",
    "reason",
    "decision_by",
    "decision_reason",
    "created_at",
    "decided_at",
    "meta",
];
/// The members of an agent's action that a predecessor answers.
const ACTION_MEMBERS: [&str; 32] = [
    "id",
    "workflow_id",
    "parent_action_id",
    "incident_id",
    "action",
    "agent_result",
    "status",
    "auto_approved",
    "submitted_by",
    "approved_by",
    "created_at",
    "approved_at",
    "meta",
    "assigned_to",
    "is_escalated",
    "escalated_at",
    "escalation_reason",
    "approvals_required",
    "approvals",
    "is_fully_approved",
    "fully_approved_at",
    "approval_roles",
    "approval_order",
    "current_approval_index",
    "ai_explanation",
    "agent_input",
    "agent_output",
    "agent_version",
    "actor_type",
    "override_type",
    "is_simulation",
    "receipt",
];

async fn asked(fixture: &Fixture, who: Person, resource_type: &str, resource_id: &str) -> String {
    let body = json!({"resource_type": resource_type, "resource_id": resource_id, "reason": "needed"});
    let answer = who.post(fixture, "/approval/", body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn request_is_made_by_query_or_body_and_decided_on() {
    let fixture = fixture().await;
    let query = "/approval/?resource_type=transaction_export&resource_id=transactions_None&reason=audit";
    let opened = ANN.post(&fixture, query, Value::Null).await;
    assert_eq!(opened.status, 200, "{}", opened.body);
    let body = opened.json();
    for member in REQUEST_MEMBERS {
        assert!(body.get(member).is_some(), "{member}: {body}");
    }
    assert_eq!((&body["status"], &body["decision_by"]), (&json!("pending"), &json!(null)));
    let id = body["id"].as_str().unwrap();
    let decided = format!("/v1/approval/{id}/decision");
    let body = json!({"decision": "approved", "decision_reason": "fine"});
    let decision = COLIN.post(&fixture, &decided, body.clone()).await;
    assert_eq!(decision.status, 200, "{}", decision.body);
    let answer = decision.json();
    assert_eq!(
        (&answer["status"], &answer["decision_by"], &answer["decision_reason"]),
        (&json!("approved"), &json!(COLIN.id()), &json!("fine"))
    );
    assert!(answer["decided_at"].is_string());
    assert_eq!(CARLA.post(&fixture, &decided, body.clone()).await.json()["code"], "approval.already_decided");
    COLIN.post(&fixture, "/approval/apr_none/decision", body).await.problem(404, "approval.not_found");

    let id = asked(&fixture, ANN, "wire", "7").await;
    let by_query = COLIN.post(&fixture, &format!("/approval/{id}/decision?decision=rejected"), Value::Null).await;
    assert_eq!(by_query.json()["status"], "rejected");
}

#[actix_web::test]
async fn contradictions_and_words_that_decide_nothing_are_refused() {
    let fixture = fixture().await;
    let body = json!({"resource_type": "wire", "resource_id": 7, "reason": "r"});
    ANN.post(&fixture, "/approval?resource_id=8", body.clone()).await.problem(400, "request.contradiction");
    assert_eq!(ANN.post(&fixture, "/approval?resource_id=7", body).await.json()["resource_id"], "7");
    let problem = ANN.post(&fixture, "/approval?resource_type=wire&resource_id=7", Value::Null).await;
    assert_eq!(problem.problem(400, "request.invalid")["errors"][0]["pointer"], "/reason");
    let id = asked(&fixture, ANN, "wire", "9").await;
    let path = format!("/approval/{id}/decision");
    let both = COLIN.post(&fixture, &format!("{path}?decision=approved"), json!({"decision": "rejected"})).await;
    both.problem(400, "request.contradiction");
    for (word, status, code) in [
        ("pending", 422, "approval.not_a_decision"),
        ("escalated", 422, "approval.not_a_decision"),
        ("perhaps", 400, "request.invalid"),
    ] {
        COLIN.post(&fixture, &path, json!({"decision": word})).await.problem(status, code);
    }
    let own = ANN.post(&fixture, &path, json!({"decision": "approved"})).await;
    assert_eq!(own.json()["code"], "approval.self_approval");
}

#[actix_web::test]
async fn escalated_is_a_status_while_it_is_pending() {
    let fixture = fixture().await;
    let id = asked(&fixture, ANN, "wire", "7").await;
    COLIN.post(&fixture, &format!("/approvals/{id}/escalate"), json!({"reason": "late"})).await;
    let many = json!({"decisions": [{"approval_id": id, "decision": "maybe"}]});
    let result = COLIN.post(&fixture, "/approvals/decisions", many).await.json()["results"][0].clone();
    assert_eq!((&result["status"], &result["problem"]["code"]), (&json!(400), &json!("request.invalid")));
    let body = json!({"decision": "approved"});
    let decided = ADA.post(&fixture, &format!("/approval/{id}/decision"), body).await.json();
    assert_eq!((&decided["status"], &decided["meta"]["state"]), (&json!("approved"), &json!("approved")));
}

#[actix_web::test]
async fn agents_are_let_by_people_in_their_own_name() {
    let fixture = fixture().await;
    let id = asked(&fixture, CARLA, "agentic_remediation", "inc_7").await;
    let path = |verb: &str| format!("/agent/ops/actions/{id}/{verb}");
    let as_another = format!("{}?operator={}", path("approve"), ADA.id());
    COLIN.post(&fixture, &as_another, Value::Null).await.problem(403, "approval.not_the_caller");
    COLIN.post(&fixture, &path("approve"), json!({"approved_by": 7})).await.problem(403, "approval.not_the_caller");
    ANN.post(&fixture, &path("approve"), Value::Null).await.problem(403, "permission.denied");

    let assigned = COLIN.post(&fixture, &format!("{}?assignee_id=usr_9", path("assign")), Value::Null).await;
    assert_eq!(assigned.status, 200, "{}", assigned.body);
    let body = assigned.json();
    for member in ACTION_MEMBERS {
        assert!(body.get(member).is_some(), "{member}: {body}");
    }
    assert_eq!(
        (&body["action"], &body["incident_id"], &body["assigned_to"], &body["approvals_required"], &body["status"]),
        (&json!("remediation"), &json!("inc_7"), &json!("usr_9"), &json!(1), &json!("pending"))
    );
    let escalated = COLIN.post(&fixture, &format!("{}?reason=stuck", path("escalate")), Value::Null).await.json();
    assert_eq!(
        (&escalated["is_escalated"], &escalated["escalation_reason"]),
        (&json!(true), &json!("stuck")),
        "{escalated}"
    );
    let commented = COLIN.post(&fixture, &format!("{}?comment=looking", path("comment")), Value::Null).await;
    assert_eq!(commented.status, 200, "{}", commented.body);

    let own = COLIN.id();
    let approve = format!("/v1/agent/actions/{id}/approve?approved_by={own}");
    let approved = COLIN.post(&fixture, &approve, json!({"comment": "go on"})).await;
    assert_eq!(approved.status, 200, "{}", approved.body);
    let body = approved.json();
    assert_eq!(
        (&body["status"], &body["approved_by"], &body["is_fully_approved"]),
        (&json!("approved"), &json!(own), &json!(true))
    );
    assert_eq!((&body["approvals"], &body["current_approval_index"]), (&json!([own]), &json!(1)));
    let late = ADA.post(&fixture, &path("reject"), Value::Null).await;
    assert_eq!(late.json()["code"], "approval.already_decided");
}

#[actix_web::test]
async fn agents_routes_reach_nothing_else() {
    let fixture = fixture().await;
    let id = asked(&fixture, ANN, "wire", "7").await;
    for (path, body) in [
        (format!("/agent/ops/actions/{id}/approve"), Value::Null),
        (format!("/agent/actions/{id}/reject"), Value::Null),
        (format!("/agent/ops/actions/{id}/assign"), json!({"assignee_id": "usr_1"})),
        (format!("/agent/ops/actions/{id}/escalate"), json!({"reason": "late"})),
        (format!("/agent/ops/actions/{id}/comment"), json!({"comment": "hm"})),
        ("/agent/actions/apr_none/approve".to_owned(), Value::Null),
    ] {
        COLIN.post(&fixture, &path, body).await.problem(404, "agent_action.not_found");
    }
}

#[actix_web::test]
async fn each_decision_of_many_stands_for_itself() {
    let fixture = fixture().await;
    let (one, two) = (asked(&fixture, ANN, "wire", "1").await, asked(&fixture, ANN, "wire", "2").await);
    let own = asked(&fixture, COLIN, "wire", "3").await;
    let body = json!({"decisions": [
        {"approval_id": one, "decision": "approve", "reason": "fine", "revision": 1},
        {"approval_id": "apr_none", "decision": "approve"},
        {"approval_id": own, "decision": "approve"},
        {"approval_id": two, "decision": "approve", "revision": 9},
        {"approval_id": two, "decision": "rejected"},
    ]});
    let key = [("idempotency-key", "batch-1")];
    let answer = COLIN.call(&fixture, Method::POST, "/v1/approvals/decisions", &key, body.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let results = answer.json()["results"].clone();
    let codes: Vec<_> = results.as_array().unwrap().iter().map(|result| result["problem"]["code"].clone()).collect();
    assert_eq!(
        codes,
        [
            json!(null),
            json!("approval.not_found"),
            json!("approval.self_approval"),
            json!("approval.revised"),
            json!(null)
        ]
    );
    assert_eq!((&results[0]["status"], &results[0]["request"]["status"]), (&json!(200), &json!("approved")));
    assert_eq!((&results[1]["status"], &results[4]["request"]["status"]), (&json!(404), &json!("rejected")));
    assert!(results[0]["receipt"]["hash"].is_string() && results[1].get("receipt").is_none());

    let before = size(&fixture).await;
    let again = COLIN.call(&fixture, Method::POST, "/approvals/decisions", &key, body).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"), "{}", again.body);
    assert_eq!(again.json()["results"][0]["receipt"], results[0]["receipt"]);
    assert_eq!(size(&fixture).await, before);
    let other = json!({"decisions": []});
    let other = COLIN.call(&fixture, Method::POST, "/approvals/decisions", &key, other).await;
    other.problem(422, "request.idempotency_mismatch");
    let many: Vec<_> = (0..101).map(|_| json!({"approval_id": one, "decision": "approve"})).collect();
    COLIN.post(&fixture, "/approvals/decisions", json!({"decisions": many})).await.problem(400, "request.invalid");
}

#[actix_web::test]
async fn repeat_with_the_same_key_is_answered_the_same_and_records_nothing() {
    let fixture = fixture().await;
    let key = [("idempotency-key", "ask-1")];
    let body = json!({"resource_type": "wire", "resource_id": "1", "reason": "r"});
    let first = ANN.call(&fixture, Method::POST, "/v1/approvals", &key, body.clone()).await;
    let before = size(&fixture).await;
    let again = ANN.call(&fixture, Method::POST, "/v1/approvals", &key, body).await;
    assert_eq!(again.json()["approval_id"], first.json()["approval_id"]);
    assert_eq!((again.header("idempotency-replayed"), size(&fixture).await), (Some("true"), before));
    let id = first.json()["approval_id"].as_str().unwrap().to_owned();
    let stale = [("if-match", "\"9\"")];
    let vote = json!({"decision": "approve"});
    let stale = COLIN.call(&fixture, Method::POST, &format!("/approvals/{id}/vote"), &stale, vote).await;
    stale.problem(412, "request.precondition_failed");
}
