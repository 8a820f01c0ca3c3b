//! Commands on incidents over HTTP, on a real ledger, the predecessors' shapes among them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use actix_web::http::Method;
use common::{Answer, Fixture, call, fixture, post, post_with, size};
use serde_json::{Value, json};

async fn open(fixture: &Fixture, id: &str) -> Answer {
    let body =
        json!({"incident_id": id, "title": "Settlement is late", "severity": "high", "type": "settlement_failure"});
    post(fixture, "/incidents", &body.to_string()).await
}

async fn patch(fixture: &Fixture, id: &str, body: Value) -> Answer {
    call(fixture, Method::PATCH, &format!("/incidents/{id}/status"), &[], body.to_string().into_bytes()).await
}

#[actix_web::test]
async fn incident_is_opened_and_worked_on_to_its_end() {
    let fixture = fixture().await;
    let opened = open(&fixture, "i1").await;
    assert_eq!((opened.status, opened.header("location")), (201, Some("/v1/incidents/i1")));
    assert_eq!(opened.json()["priority"], 2);
    assert_eq!(open(&fixture, "i1").await.status, 200);
    for (verb, body, field, value) in [
        ("acknowledge", "", "status", json!("acknowledged")),
        ("investigate", r#"{"note":"looking"}"#, "status", json!("investigating")),
        ("assign", r#"{"assigned_to":"usr_7"}"#, "assigned_to", json!("usr_7")),
        ("escalate", r#"{"reason":"late","to":"desk head"}"#, "escalation_level", json!(1)),
        ("comment", r#"{"comment":"called them"}"#, "comment_count", json!(1)),
        ("severity", r#"{"severity":"critical"}"#, "severity", json!("critical")),
        ("priority", r#"{"priority":1}"#, "priority", json!(1)),
        ("details", r#"{"desk":"rates","root_cause":"feed down"}"#, "desk", json!("rates")),
        ("details", r#"{"desk":null}"#, "desk", json!(null)),
        ("resolve", r#"{"resolution":"feed restarted"}"#, "resolution", json!("feed restarted")),
        ("close", "", "status", json!("closed")),
        ("reopen", r#"{"reason":"again"}"#, "status", json!("open")),
    ] {
        let answer = post(&fixture, &format!("/v1/incidents/i1/{verb}"), body).await;
        assert_eq!(answer.status, 200, "{verb}: {}", answer.body);
        assert_eq!(answer.json()[field], value, "{verb}");
        assert!(answer.json()["receipt"]["hash"].is_string());
    }
    assert_eq!(size(&fixture).await, 13);
    post(&fixture, "/incidents/none/resolve", "").await.problem(404, "incident.not_found");
}

#[actix_web::test]
async fn status_by_name_leads_to_the_step_of_that_name() {
    let fixture = fixture().await;
    open(&fixture, "i1").await;
    for (word, status) in [
        ("triaged", "acknowledged"),
        ("investigating", "investigating"),
        ("escalated", "investigating"),
        ("resolved", "resolved"),
        ("closed", "closed"),
        ("open", "open"),
    ] {
        let answer = patch(&fixture, "i1", json!({"status": word, "notes": "as agreed"})).await;
        assert_eq!(answer.status, 200, "{word}: {}", answer.body);
        let body = answer.json();
        assert_eq!(
            (&body["incident_id"], &body["status"], &body["notes"]),
            (&json!("i1"), &json!(status), &json!("as agreed"))
        );
        assert!(body["updated_at"].as_str().unwrap().ends_with('Z') && body["receipt"]["position"].is_u64());
    }
    let before = size(&fixture).await;
    assert_eq!(patch(&fixture, "i1", json!({"status": "open"})).await.status, 200, "it is open already");
    assert_eq!(size(&fixture).await, before);
    patch(&fixture, "i1", json!({"status": "closed"})).await.problem(422, "incident.status_transition");
    patch(&fixture, "i1", json!({"status": "gone"})).await.problem(400, "request.invalid");
    patch(&fixture, "i1", json!({})).await.problem(400, "request.invalid");
    patch(&fixture, "i2", json!({"status": "resolved"})).await.problem(404, "incident.not_found");
}

#[actix_web::test]
async fn parameters_are_taken_from_query_or_body_but_not_from_both() {
    let fixture = fixture().await;
    open(&fixture, "i1").await;
    let no_type = [("content-type", "text/plain")];
    let assigned = post_with(&fixture, "/incidents/i1/assign?assigned_to=7", &no_type, "").await;
    assert_eq!((assigned.status, &assigned.json()["assigned_to"]), (200, &json!("7")), "{}", assigned.body);
    let same = post(&fixture, "/incidents/i1/assign?assigned_to=8", r#"{"assigned_to":8}"#).await;
    assert_eq!(same.json()["assigned_to"], "8");
    let freed = post(&fixture, "/incidents/i1/assign", r#"{"assigned_to":null}"#).await;
    assert_eq!((freed.status, &freed.json()["assigned_to"]), (200, &json!(null)));
    let both = post(&fixture, "/incidents/i1/assign?assigned_to=8", r#"{"assigned_to":"9"}"#).await;
    both.problem(400, "request.contradiction");
    post(&fixture, "/incidents/i1/assign", "").await.problem(400, "request.invalid");
    let commented = post_with(&fixture, "/incidents/i1/comment?comment=so%20it%20is", &no_type, "").await;
    assert_eq!(commented.json()["comment_count"], 1);
    let unknown = post(&fixture, "/incidents/i1/comment?coment=x", "").await.problem(400, "request.unknown_parameter");
    assert_eq!(unknown["errors"][0]["pointer"], "?coment");
}

#[actix_web::test]
async fn bulk_steps_skip_what_is_done_and_report_what_is_not_there() {
    let fixture = fixture().await;
    for id in ["a", "b", "c"] {
        open(&fixture, id).await;
    }
    post(&fixture, "/incidents/b/resolve", "").await;
    let statuses = |answer: &Answer| -> Vec<String> {
        let body = answer.json();
        body["results"].as_array().unwrap().iter().map(|result| result["status"].as_str().unwrap().to_owned()).collect()
    };
    let all = r#"{"incident_ids":["a","b","none","a"]}"#;
    let triaged = post(&fixture, "/incidents/bulk/triage", all).await;
    assert_eq!(statuses(&triaged), ["triaged", "skipped", "failed", "skipped"]);
    assert_eq!(triaged.json()["results"][2]["code"], "incident.not_found");
    let escalated = post(&fixture, "/incidents/bulk/escalate", r#"{"incident_ids":["a","c"],"reason":"late"}"#).await;
    assert_eq!(statuses(&escalated), ["escalated", "escalated"]);
    let again = post(&fixture, "/incidents/bulk/escalate", r#"{"incident_ids":["a","c"]}"#).await;
    assert_eq!(statuses(&again), ["skipped", "skipped"]);
    let assign = r#"{"incident_ids":["a","c"],"assigned_to":7}"#;
    let assigned = post(&fixture, "/incidents/bulk/assign", assign).await;
    assert_eq!(statuses(&assigned), ["assigned", "assigned"]);
    assert_eq!(assigned.json()["results"][0]["assigned_to"], "7");
    assert_eq!(statuses(&post(&fixture, "/incidents/bulk/assign", assign).await), ["skipped", "skipped"]);
    let resolved = post(&fixture, "/incidents/bulk/resolve", r#"{"incident_ids":["a","b","c"]}"#).await;
    assert_eq!(statuses(&resolved), ["resolved", "skipped", "resolved"]);
    assert_eq!(
        post(&fixture, "/incidents/bulk/resolve", r#"{"incident_ids":[]}"#).await.json(),
        json!({"results": []})
    );
    post(&fixture, "/incidents/bulk/assign", r#"{"incident_ids":[]}"#).await.problem(400, "request.invalid");
    let many = json!({"incident_ids": vec!["a"; 501]}).to_string();
    post(&fixture, "/incidents/bulk/resolve", &many).await.problem(400, "request.invalid");
}

#[actix_web::test]
async fn repeated_bulk_with_the_same_key_answers_the_same() {
    let fixture = fixture().await;
    for id in ["a", "b"] {
        open(&fixture, id).await;
    }
    for step in ["escalate", "resolve"] {
        let (path, key) = (format!("/incidents/bulk/{step}"), [("idempotency-key", step)]);
        let body = r#"{"incident_ids":["a","b"]}"#;
        let first = post_with(&fixture, &path, &key, body).await;
        let before = size(&fixture).await;
        let again = post_with(&fixture, &path, &key, body).await;
        assert_eq!(first.json(), again.json());
        assert_eq!(size(&fixture).await, before);
        assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
    }
}

#[actix_web::test]
async fn bulk_key_of_another_request_carries_nothing_out() {
    let fixture = fixture().await;
    for id in ["a", "b", "c"] {
        open(&fixture, id).await;
    }
    let key = [("idempotency-key", "k")];
    // What is recorded is at the last place only.
    let first = post_with(&fixture, "/incidents/bulk/triage", &key, r#"{"incident_ids":["none","a"]}"#).await;
    assert_eq!(first.json()["results"][1]["status"], "triaged");
    let before = size(&fixture).await;
    for (path, body) in [
        ("/incidents/bulk/triage", r#"{"incident_ids":["b"]}"#),
        ("/incidents/bulk/triage", r#"{"incident_ids":["b","c","a"]}"#),
        ("/incidents/bulk/triage", r#"{"incident_ids":["none","a"],"reason":"x"}"#),
        ("/incidents/bulk/resolve", r#"{"incident_ids":["none","a"]}"#),
    ] {
        let other = post_with(&fixture, path, &key, body).await;
        other.problem(422, "request.idempotency_mismatch");
    }
    assert_eq!(size(&fixture).await, before);
}

#[actix_web::test]
async fn version_of_one_is_not_expected_of_many() {
    let fixture = fixture().await;
    open(&fixture, "a").await;
    for version in ["\"1\"", "*"] {
        let headers = [("if-match", version)];
        let bulk = post_with(&fixture, "/incidents/bulk/resolve", &headers, r#"{"incident_ids":["a"]}"#).await;
        assert_eq!(bulk.problem(400, "request.invalid")["errors"][0]["pointer"], "If-Match");
        let batch = post_with(&fixture, "/transactions/batch", &headers, "[]").await;
        assert_eq!(batch.problem(400, "request.invalid")["errors"][0]["pointer"], "If-Match");
    }
    assert_eq!(size(&fixture).await, 1);
}

#[actix_web::test]
async fn reasons_are_taken_from_the_query_too() {
    let fixture = fixture().await;
    open(&fixture, "i1").await;
    let escalated = post(&fixture, "/incidents/i1/escalate?reason=lost&to=boss", "").await;
    assert_eq!((escalated.status, &escalated.json()["escalated_to"]), (200, &json!("boss")), "{}", escalated.body);
    let both = post(&fixture, "/incidents/i1/escalate?to=boss", r#"{"to":"desk head"}"#).await;
    assert_eq!(both.problem(400, "request.contradiction")["errors"][0]["pointer"], "/to");
    let resolved = post(&fixture, "/incidents/i1/resolve?notes=restarted", r#"{"root_cause":"feed"}"#).await;
    assert_eq!((&resolved.json()["resolution"], &resolved.json()["root_cause"]), (&json!("restarted"), &json!("feed")));
    post(&fixture, "/incidents/i1/reopen", "").await.problem(400, "request.invalid");
    assert_eq!(post(&fixture, "/incidents/i1/reopen?reason=again", "").await.json()["status"], "open");
    post(&fixture, "/incidents/i1/resolve?why=x", "").await.problem(400, "request.unknown_parameter");
}

#[actix_web::test]
async fn wrong_ids_in_the_path_are_not_found() {
    let fixture = fixture().await;
    let long = "x".repeat(300);
    for id in [long.as_str(), "a%00b", "%0A"] {
        let path = format!("/incidents/{id}/resolve");
        let answer = post(&fixture, &path, "").await;
        answer.problem(404, "incident.not_found");
        assert!(!answer.body.contains("stream_id"));
        let path = format!("/transactions/{id}/notes");
        post(&fixture, &path, r#"{"text":"x"}"#).await.problem(404, "transaction.not_found");
    }
}

#[actix_web::test]
async fn viewer_may_not_work_on_incidents_and_analyst_may() {
    let fixture = fixture().await;
    let body = r#"{"title":"x","severity":"low","type":"spike"}"#;
    let role = |role| [("x-user-email", "a@example.com"), ("x-user-role", role)];
    let viewer = post_with(&fixture, "/incidents", &role("viewer"), body).await;
    assert_eq!(viewer.problem(403, "permission.denied")["missing_permission"], "incident:write");
    let analyst = post_with(&fixture, "/incidents", &role("analyst"), body).await;
    assert_eq!(analyst.status, 201);
    assert!(analyst.json()["incident_id"].as_str().unwrap().starts_with("inc_"));
}

#[actix_web::test]
async fn repeated_comment_with_the_same_key_is_one_comment() {
    let fixture = fixture().await;
    open(&fixture, "i1").await;
    let key = [("idempotency-key", "c1")];
    let first = post_with(&fixture, "/incidents/i1/comment", &key, r#"{"comment":"once"}"#).await;
    let again = post_with(&fixture, "/incidents/i1/comment", &key, r#"{"comment":"once"}"#).await;
    assert_eq!(first.json(), again.json());
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    post_with(&fixture, "/incidents/i1/comment", &key, r#"{"comment":"twice"}"#)
        .await
        .problem(422, "request.idempotency_mismatch");
    assert_eq!(size(&fixture).await, 2);
}
