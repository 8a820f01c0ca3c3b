//! Commands on transactions over HTTP, on a real ledger.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use actix_web::http::Method;
use common::{call, fixture, post, post_with, size};
use serde_json::json;

const LOAD_TEST: &str = r#"{"transaction_id":"LT-000001","amount":1234.50,"currency":"USD","status":"completed",
    "meta":{"account_id":"ACC-7","merchant":"Acme","region":"EU","load_test":true}}"#;

#[actix_web::test]
async fn predecessors_load_test_body_is_recorded_with_receipt() {
    let fixture = fixture().await;
    let headers = [("x-user-email", "admin@finobs.io"), ("x-user-role", "admin")];
    let answer = post_with(&fixture, "/transactions", &headers, LOAD_TEST).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.header("location"), Some("/v1/transactions/LT-000001"));
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert_eq!(answer.header("daybook-position"), Some("0"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    assert_eq!(body["amount"], "1234.50");
    assert_eq!(body["account"], "ACC-7");
    assert_eq!(body["status"], "completed");
    assert_eq!(body["version"], 1);
    assert_eq!(body["receipt"]["ledger_id"], "main");
    assert_eq!(body["receipt"]["position"], 0);
    let head = fixture.ledger.head().await.unwrap();
    assert_eq!((head.size, body["receipt"]["hash"].as_str().unwrap()), (1, head.hash.to_string().as_str()));
    let entry = fixture.ledger.entries(0, 1).await.unwrap().remove(0);
    assert!(entry.actor.id.starts_with("usr_"));
    let stored = format!("{}{}{}", entry.actor.id, entry.metadata, entry.payload.unwrap());
    assert!(!stored.contains("finobs"), "no address of a person in the ledger: {stored}");
}

#[actix_web::test]
async fn repeated_transaction_is_200_and_other_content_is_409() {
    let fixture = fixture().await;
    assert_eq!(post(&fixture, "/v1/transactions", LOAD_TEST).await.status, 201);
    let again = post(&fixture, "/v1/transactions/", LOAD_TEST).await;
    assert_eq!(again.status, 200, "a trailing slash changes nothing");
    assert_eq!(again.json()["receipt"]["position"], 0);
    let other = post(&fixture, "/transactions", &LOAD_TEST.replace("1234.50", "1234.51")).await;
    let problem = other.problem(409, "transaction.conflict");
    assert_eq!(problem["errors"][0]["pointer"], "/amount");
    assert_eq!(size(&fixture).await, 1);
}

#[actix_web::test]
async fn amounts_keep_their_digits() {
    let fixture = fixture().await;
    for (written, kept) in [
        ("0.10", "0.10"),
        ("\"0.10\"", "0.10"),
        ("123456789012345678.12345678", "123456789012345678.12345678"),
        ("-5", "-5"),
        ("1.5e3", "1500"),
    ] {
        let body = format!(r#"{{"amount":{written},"currency":"EUR"}}"#);
        let answer = post(&fixture, "/transactions", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(answer.json()["amount"], kept);
        assert!(answer.json()["transaction_id"].as_str().unwrap().starts_with("txn_"));
    }
}

#[actix_web::test]
async fn repeated_key_answers_the_first_outcome_even_later() {
    let fixture = fixture().await;
    let key = [("Idempotency-Key", "key-1")];
    let body = r#"{"amount":"5.00","currency":"EUR"}"#;
    let first = post_with(&fixture, "/transactions", &key, body).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, None));
    let id = first.json()["transaction_id"].as_str().unwrap().to_owned();
    let settled = post(&fixture, &format!("/transactions/{id}/status"), r#"{"status":"completed"}"#).await;
    assert_eq!(settled.json()["version"], 2);

    let again = post_with(&fixture, "/v1/transactions", &key, body).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, Some("true")));
    assert_eq!(again.json(), first.json(), "the first answer, not the present state");
    assert_eq!(again.header("location"), first.header("location"));

    let other = post_with(&fixture, "/transactions", &key, r#"{"amount":"6.00","currency":"EUR"}"#).await;
    other.problem(422, "request.idempotency_mismatch");
    let elsewhere = post_with(&fixture, &format!("/transactions/{id}/notes"), &key, body).await;
    assert_eq!(elsewhere.status, 400);
    assert_eq!(size(&fixture).await, 2);
}

#[actix_web::test]
async fn key_belongs_to_its_actor() {
    let fixture = fixture().await;
    let body = r#"{"amount":"5.00","currency":"EUR"}"#;
    for email in ["a@example.com", "b@example.com"] {
        let headers = [("Idempotency-Key", "same"), ("x-user-email", email), ("x-user-role", "admin")];
        let answer = post_with(&fixture, "/transactions", &headers, body).await;
        assert_eq!((answer.status, answer.header("idempotency-replayed")), (201, None));
    }
    assert_eq!(size(&fixture).await, 2);
}

#[actix_web::test]
async fn status_correction_and_note_follow_each_other() {
    let fixture = fixture().await;
    let open = r#"{"transaction_id":"a/b 1","amount":"10.00","currency":"EUR","counterparty":"Miller","type":"wire"}"#;
    let created = post(&fixture, "/transactions", open).await;
    assert_eq!(created.header("location"), Some("/v1/transactions/a%2Fb%201"));
    let path = "/transactions/a%2Fb%201";
    let corrected = post(
        &fixture,
        &format!("{path}/correct"),
        r#"{"reason":"typing error","amount":12.50,"counterparty":null,"meta":{"desk":"4"}}"#,
    )
    .await;
    assert_eq!(corrected.status, 200, "{}", corrected.body);
    let body = corrected.json();
    assert_eq!(
        (&body["amount"], &body["counterparty"], &body["meta"]["desk"]),
        (&json!("12.50"), &json!(null), &json!("4"))
    );
    assert_eq!(body["transaction_type"], "wire");
    let noted = post(&fixture, &format!("{path}/notes"), r#"{"text":"called the bank"}"#).await;
    assert_eq!((noted.status, &noted.json()["note_count"]), (200, &json!(1)));
    let settled =
        call(&fixture, Method::PATCH, &format!("{path}/status"), &[], br#"{"status":"failed"}"#.to_vec()).await;
    assert_eq!((settled.status, &settled.json()["status"]), (200, &json!("failed")));
    let again = post(&fixture, &format!("{path}/status"), r#"{"status":"completed"}"#).await;
    again.problem(422, "transaction.status_transition");
    let empty = post(&fixture, &format!("{path}/correct"), r#"{"reason":"none"}"#).await;
    empty.problem(422, "transaction.correction_empty");
    assert_eq!(size(&fixture).await, 4);
    // The first record is still recognised after the correction.
    assert_eq!(post(&fixture, "/transactions", open).await.status, 200);
}

#[actix_web::test]
async fn if_match_holds_or_is_412_with_the_version_now() {
    let fixture = fixture().await;
    post(&fixture, "/transactions", LOAD_TEST).await;
    let path = "/transactions/LT-000001/notes";
    let stale = post_with(&fixture, path, &[("If-Match", "\"7\"")], r#"{"text":"x"}"#).await;
    assert_eq!(stale.problem(412, "request.precondition_failed")["current_version"], 1);
    let malformed = post_with(&fixture, path, &[("If-Match", "7")], r#"{"text":"x"}"#).await;
    malformed.problem(400, "request.invalid");
    let right = post_with(&fixture, path, &[("If-Match", "\"1\"")], r#"{"text":"x"}"#).await;
    assert_eq!((right.status, right.header("etag")), (200, Some("\"2\"")));
}

#[actix_web::test]
async fn racing_duplicates_are_one_transaction_and_no_409() {
    let fixture = fixture().await;
    let answers = futures::future::join_all((0..8).map(|_| post(&fixture, "/transactions", LOAD_TEST))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 201]);
    assert_eq!(size(&fixture).await, 1);
}

#[actix_web::test]
async fn context_of_the_request_is_in_the_entry() {
    let fixture = fixture().await;
    let headers = [
        ("x-request-id", "req-1"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("x-causation-id", "main/42"),
        ("x-on-behalf-of", "boss@example.com"),
        ("Idempotency-Key", "k1"),
    ];
    let answer = post_with(&fixture, "/transactions", &headers, LOAD_TEST).await;
    assert_eq!(answer.header("x-request-id"), Some("req-1"));
    let entry = fixture.ledger.entries(0, 1).await.unwrap().remove(0);
    let metadata: serde_json::Value = serde_json::from_str(&entry.metadata).unwrap();
    assert_eq!(metadata["request_id"], "req-1");
    assert_eq!(metadata["correlation_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(metadata["causation_id"], "main/42");
    assert!(metadata["on_behalf_of"].as_str().unwrap().starts_with("usr_"));
    assert_eq!(metadata["command_id"], "operator:k1");
    let bad = post_with(&fixture, "/transactions", &[("x-causation-id", "a b")], LOAD_TEST).await;
    bad.problem(400, "request.invalid");
}

#[actix_web::test]
async fn roles_without_permission_are_403_and_strangers_401() {
    let fixture = fixture().await;
    for role in ["compliance", "analyst", "viewer"] {
        let headers = [("x-user-email", "a@example.com"), ("x-user-role", role)];
        let problem = post_with(&fixture, "/transactions", &headers, LOAD_TEST).await.problem(403, "permission.denied");
        assert_eq!(problem["missing_permission"], "transaction:create");
    }
    let stranger = post_with(&fixture, "/transactions", &[("anonymous", "")], LOAD_TEST).await;
    stranger.problem(401, "identity.required");
    assert!(stranger.header("www-authenticate").unwrap().starts_with("Bearer"));
    let wrong = post_with(&fixture, "/transactions", &[("authorization", "Bearer nope")], "not even json").await;
    wrong.problem(401, "identity.invalid_token");
    assert_eq!(size(&fixture).await, 0);
}

#[actix_web::test]
async fn unknown_paths_are_404_and_other_methods_405() {
    let fixture = fixture().await;
    post(&fixture, "/transaction", "{}").await.problem(404, "request.unknown_route");
    let answer = call(&fixture, Method::DELETE, "/v1/transactions/1/status", &[], Vec::new()).await;
    answer.problem(405, "request.method_not_allowed");
    assert_eq!(answer.header("allow"), Some("PATCH, POST"));
    post(&fixture, "/transactions/none/status", r#"{"status":"failed"}"#).await.problem(404, "transaction.not_found");
}
