//! Hostile input: always a problem with the right status, never a 5xx, and nothing in the ledger.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use actix_web::http::Method;
use common::{call, fixture, post, post_with, size};

fn with_amount(amount: &str) -> String {
    format!(r#"{{"transaction_id":"t1","amount":{amount},"currency":"EUR"}}"#)
}

fn with_field(name: &str, json: &str) -> String {
    format!(r#"{{"transaction_id":"t1","amount":"1","currency":"EUR","{name}":{json}}}"#)
}

#[actix_web::test]
async fn hostile_bodies_are_refused_and_leave_no_trace() {
    let fixture = fixture().await;
    let deep_array = with_field("meta", &format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)));
    let deep_object = with_field("meta", &format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000)));
    let table: Vec<(String, u16, &str, Option<&str>)> = vec![
        (String::new(), 400, "request.malformed", None),
        ("{".into(), 400, "request.malformed", None),
        ("{\"amount\":1,}".into(), 400, "request.malformed", None),
        ("null".into(), 400, "request.invalid", None),
        ("[]".into(), 400, "request.invalid", None),
        ("\"text\"".into(), 400, "request.invalid", None),
        ("[".repeat(10_000), 400, "request.malformed", None),
        ("[\"SEQ1\",\"1.5\",\"USD\",null,null,null,null,null,null]".into(), 400, "request.invalid", Some("")),
        (deep_array, 400, "request.malformed", None),
        (deep_object, 400, "request.malformed", None),
        ("{}".into(), 400, "request.invalid", Some("/amount")),
        (with_amount("NaN"), 400, "request.malformed", None),
        (with_amount("Infinity"), 400, "request.malformed", None),
        (with_amount("\"NaN\""), 400, "request.invalid", Some("/amount")),
        (with_amount("\"\""), 400, "request.invalid", Some("/amount")),
        (with_amount("\"1,000\""), 400, "request.invalid", Some("/amount")),
        (with_amount("\"0x10\""), 400, "request.invalid", Some("/amount")),
        (with_amount("\"٣\""), 400, "request.invalid", Some("/amount")),
        (with_amount("null"), 400, "request.invalid", Some("/amount")),
        (with_amount("true"), 400, "request.invalid", Some("/amount")),
        (with_amount("[1]"), 400, "request.invalid", Some("/amount")),
        (with_amount("{}"), 400, "request.invalid", Some("/amount")),
        (with_amount("10000000000000000000000000000000000000000"), 400, "request.invalid", Some("/amount")),
        (with_amount("1e40"), 400, "request.invalid", Some("/amount")),
        (with_amount("1e999999999999"), 400, "request.invalid", Some("/amount")),
        (with_amount("-1e40"), 400, "request.invalid", Some("/amount")),
        (with_amount("0.123456789"), 400, "request.invalid", Some("/amount")),
        (with_amount(&"9".repeat(100_000)), 400, "request.invalid", Some("/amount")),
        (with_amount("01"), 400, "request.malformed", None),
        (with_field("unknown", "1"), 400, "request.invalid", Some("/unknown")),
        (with_field("amount", "2"), 400, "request.invalid", Some("/amount")),
        (with_field("status", "\"done\""), 400, "request.invalid", Some("/status")),
        (with_field("status", "7"), 400, "request.invalid", Some("/status")),
        (with_field("timestamp", "\"yesterday\""), 400, "request.invalid", Some("/timestamp")),
        (with_field("timestamp", "\"2026-02-30T00:00:00Z\""), 400, "request.invalid", Some("/timestamp")),
        (with_field("timestamp", "\"99999-01-01T00:00:00Z\""), 400, "request.invalid", Some("/timestamp")),
        (with_field("account", "\"a\\u0000b\""), 400, "request.invalid", Some("/account")),
        (with_field("account", "\"a\\nb\""), 400, "request.invalid", Some("/account")),
        (with_field("account", "\"\\ud800\""), 400, "request.malformed", None),
        (with_field("account", &format!("\"{}\"", "x".repeat(201))), 400, "request.invalid", Some("/account")),
        (
            with_field("meta", "{\"account_id\":123456789012345678901234}"),
            400,
            "request.invalid",
            Some("/meta/account_id"),
        ),
        (with_field("meta", "{\"account_id\":1.5}"), 400, "request.invalid", Some("/meta/account_id")),
        (with_field("meta", "[]"), 400, "request.invalid", Some("/meta")),
        (with_field("meta", "{\"a\":1e999}"), 400, "request.malformed", None),
        (with_field("meta", &format!("{{\"a\":\"{}\"}}", "x".repeat(20_000))), 400, "request.invalid", Some("/meta")),
        (
            r#"{"transaction_id":"","amount":1,"currency":"EUR"}"#.into(),
            400,
            "request.invalid",
            Some("/transaction_id"),
        ),
        (
            r#"{"transaction_id":" x","amount":1,"currency":"EUR"}"#.into(),
            400,
            "request.invalid",
            Some("/transaction_id"),
        ),
        (r#"{"transaction_id":7,"amount":1,"currency":"EUR"}"#.into(), 400, "request.invalid", Some("/transaction_id")),
        (r#"{"amount":1,"currency":"eur"}"#.into(), 400, "request.invalid", Some("/currency")),
        (
            r#"{"amount":1,"currency":"'; drop table ledger_entries; --"}"#.into(),
            400,
            "request.invalid",
            Some("/currency"),
        ),
    ];
    for (body, status, code, pointer) in table {
        let shown: String = body.chars().take(80).collect();
        let answer = post(&fixture, "/transactions", &body).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{shown}: {}", answer.body);
        let problem = answer.problem(status, code);
        assert!(answer.body.len() < 4_096, "the answer does not repeat the request: {shown}");
        if let Some(pointer) = pointer {
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{shown}: {problem}");
        }
    }
    assert_eq!(size(&fixture).await, 0);
}

#[actix_web::test]
async fn bytes_that_are_not_text_are_malformed() {
    let fixture = fixture().await;
    for bytes in [b"{\"amount\":1,\"currency\":\"\xff\xfe\"}".to_vec(), vec![0; 100], b"\xef\xbb\xbf{}".to_vec()] {
        let answer = call(&fixture, Method::POST, "/transactions", &[], bytes).await;
        answer.problem(400, "request.malformed");
    }
    assert_eq!(size(&fixture).await, 0);
}

#[actix_web::test]
async fn huge_bodies_and_other_content_types_are_refused() {
    let fixture = fixture().await;
    post(&fixture, "/transactions", &" ".repeat(2 * 1024 * 1024)).await.problem(413, "request.too_large");
    for content_type in ["text/plain", "application/xml", "multipart/form-data", "", "application/jsonp"] {
        let answer = post_with(&fixture, "/transactions", &[("content-type", content_type)], "{}").await;
        answer.problem(415, "request.unsupported_media_type");
    }
    let encoded = post_with(&fixture, "/transactions", &[("content-encoding", "gzip")], "{}").await;
    encoded.problem(415, "request.unsupported_content_encoding");
    let json =
        post_with(&fixture, "/transactions", &[("content-type", "application/vnd.acme+json; charset=utf-8")], "{")
            .await;
    json.problem(400, "request.malformed");
    assert_eq!(size(&fixture).await, 0);
}

#[actix_web::test]
async fn hostile_headers_and_paths_are_refused() {
    let fixture = fixture().await;
    let body = r#"{"amount":1,"currency":"EUR"}"#;
    for (name, value) in [
        ("idempotency-key", ""),
        ("idempotency-key", "two words"),
        ("if-match", "\"-1\""),
        ("if-match", "\"99999999999999999999999\""),
        ("x-on-behalf-of", "<script>"),
    ] {
        post_with(&fixture, "/transactions", &[(name, value)], body).await.problem(400, "request.invalid");
    }
    let long = "k".repeat(129);
    post_with(&fixture, "/transactions", &[("idempotency-key", &long)], body).await.problem(400, "request.invalid");
    for id in ["%00", "a%0Ab", "%FF%FE", &"x".repeat(500), "'%20or%201=1"] {
        let path = format!("/transactions/{id}/notes");
        let answer = post(&fixture, &path, r#"{"text":"x"}"#).await;
        assert!(matches!(answer.status, 400 | 404), "{id}: {} {}", answer.status, answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    assert_eq!(size(&fixture).await, 0);
}

#[actix_web::test]
async fn strings_of_sql_and_markup_are_only_text() {
    let fixture = fixture().await;
    for text in ["'; drop table ledger_entries; --", "<script>alert(1)</script>", "${jndi:ldap://x}", "🦀 ﷽ Ω"] {
        let body = serde_json::json!({"transaction_id": text, "amount": "1", "currency": "EUR", "account": text,
            "meta": {text: text}});
        let answer = post(&fixture, "/transactions", &body.to_string()).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(answer.json()["account"], text);
        assert_eq!(answer.json()["meta"][text], text);
        let location = answer.header("location").unwrap().to_owned();
        let noted = post(&fixture, &format!("{location}/notes"), r#"{"text":"found by its Location"}"#).await;
        assert_eq!((noted.status, &noted.json()["transaction_id"]), (200, &body["transaction_id"]), "{}", noted.body);
    }
    assert_eq!(size(&fixture).await, 8);
}

#[actix_web::test]
async fn hostile_incident_bodies_are_refused() {
    let fixture = fixture().await;
    for body in [
        "{}",
        r#"{"title":"x","severity":"dreadful","type":"spike"}"#,
        r#"{"title":"x","severity":"low","type":"Not Snake"}"#,
        r#"{"title":"x","severity":"low","type":"spike","priority":6}"#,
        r#"{"title":"x","severity":"low","type":"spike","priority":1.5}"#,
        r#"{"title":"x","severity":"low","type":"spike","priority":1e30}"#,
        r#"{"title":"","severity":"low","type":"spike"}"#,
        r#"{"incident_id":"bulk","title":"x","severity":"low","type":"spike"}"#,
        r#"{"title":"x\u202e","severity":"low","type":"spike"}"#,
    ] {
        post(&fixture, "/incidents", body).await.problem(400, "request.invalid");
    }
    let all = post(&fixture, "/incidents", r#"{"title":"","severity":"?","type":"?"}"#).await;
    assert_eq!(
        all.problem(400, "request.invalid")["errors"].as_array().unwrap().len(),
        3,
        "one answer names all faults"
    );
    assert_eq!(size(&fixture).await, 0);
}

#[actix_web::test]
async fn query_parameters_that_nobody_reads_are_refused() {
    let fixture = fixture().await;
    let document = serde_json::to_value(daybook_write_api::openapi()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let uri = path.replace("{id}", "x") + "?nobody_reads=1";
            let answer = call(&fixture, method, &uri, &[], b"{}".to_vec()).await;
            let problem = answer.problem(400, "request.unknown_parameter");
            assert_eq!(problem["errors"][0]["pointer"], "?nobody_reads", "{path}");
        }
    }
    assert_eq!(size(&fixture).await, 0);
}
