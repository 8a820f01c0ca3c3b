//! Batches of transactions over HTTP, on a real ledger.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use actix_web::http::Method;
use common::{call, fixture, post_with, size};
use serde_json::json;

const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

fn line(id: &str) -> String {
    format!(r#"{{"transaction_id":"{id}","amount":"1.00","currency":"EUR"}}"#)
}

#[actix_web::test]
async fn lines_are_answered_in_order_and_bad_ones_stop_nobody() {
    let fixture = fixture().await;
    let body = format!(
        "{}\n\nnot json\n{}\r\n{{\"amount\":\"x\",\"currency\":\"EUR\",\"transaction_id\":\"c\"}}\n{}\n{}",
        line("a"),
        line("b"),
        line("a"),
        line("a").replace("1.00", "2.00")
    );
    let answer = post_with(&fixture, "/transactions/batch", &[NDJSON], &body).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
    let lines = answer.lines();
    let short: Vec<_> = lines.iter().map(|line| (line["line"].as_u64(), line["status"].as_str())).collect();
    assert_eq!(
        short,
        [
            (Some(1), Some("created")),
            (Some(3), Some("refused")),
            (Some(4), Some("created")),
            (Some(5), Some("refused")),
            (Some(6), Some("unchanged")),
            (Some(7), Some("refused")),
            (None, None),
        ]
    );
    assert_eq!(lines[1]["problem"]["code"], "request.malformed");
    assert_eq!(lines[3]["problem"]["errors"][0]["pointer"], "/amount");
    assert_eq!(lines[3]["transaction_id"], "c");
    assert_eq!(lines[5]["problem"]["code"], "transaction.conflict");
    assert_eq!(lines[0]["receipt"]["position"], 0);
    assert_eq!(lines[2]["receipt"]["position"], 1);
    let summary = json!({"lines": 6, "created": 2, "unchanged": 1, "refused": 3, "complete": true});
    assert_eq!(lines[6]["summary"], summary);
    assert_eq!(size(&fixture).await, 2);
}

#[actix_web::test]
async fn arrays_are_read_element_by_element() {
    let fixture = fixture().await;
    let body = format!("[ {} , {}, 7 ]", line("a"), line("b"));
    let lines = post_with(&fixture, "/v1/transactions/batch", &[], &body).await.lines();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[2]["problem"]["code"], "request.invalid");
    assert_eq!(lines[3]["summary"]["created"], 2);
}

#[actix_web::test]
async fn many_chunks_are_recorded_without_gap() {
    let fixture = fixture().await;
    let body: String = (0..2_345).map(|number| line(&format!("t{number}")) + "\n").collect();
    let lines = post_with(&fixture, "/transactions/batch", &[NDJSON], &body).await.lines();
    assert_eq!(lines.len(), 2_346);
    for (index, line) in lines.iter().take(2_345).enumerate() {
        assert_eq!(
            (line["line"].as_u64(), line["receipt"]["position"].as_u64()),
            (Some(index as u64 + 1), Some(index as u64))
        );
    }
    assert_eq!(size(&fixture).await, 2_345);
}

#[actix_web::test]
async fn repeated_batch_with_the_same_key_answers_the_same() {
    let fixture = fixture().await;
    let body = r#"{"amount":"1.00","currency":"EUR"}"#.to_owned() + "\n" + r#"{"amount":"1.00","currency":"EUR"}"#;
    let headers = [NDJSON, ("idempotency-key", "batch-1")];
    let first = post_with(&fixture, "/transactions/batch", &headers, &body).await.lines();
    let again = post_with(&fixture, "/transactions/batch", &headers, &body).await.lines();
    assert_eq!(size(&fixture).await, 2);
    for (first, again) in first.iter().zip(&again).take(2) {
        assert_eq!((&first["transaction_id"], &first["receipt"]), (&again["transaction_id"], &again["receipt"]));
        assert_eq!(again["replayed"], true);
    }
    assert_ne!(first[0]["transaction_id"], first[1]["transaction_id"], "two items, two transactions");
}

#[actix_web::test]
async fn broken_streams_are_reported_after_what_came_before() {
    let fixture = fixture().await;
    let cut = format!("[{},{}", line("a"), &line("b")[..20]);
    let lines = post_with(&fixture, "/transactions/batch", &[], &cut).await.lines();
    assert_eq!(lines[0]["status"], "created");
    assert_eq!(lines[1]["problem"]["code"], "request.malformed");
    assert_eq!(lines[2]["summary"]["complete"], false);

    let lines = post_with(&fixture, "/transactions/batch", &[], "{}").await.lines();
    assert_eq!(lines[0]["problem"]["detail"], "the body must be a JSON array");

    let mut bytes = line("x").into_bytes();
    bytes.extend_from_slice(b"\n{\"transaction_id\":\"\xff\"}\n");
    bytes.extend_from_slice(line("y").as_bytes());
    let lines = call(&fixture, Method::POST, "/transactions/batch", &[NDJSON], bytes).await.lines();
    let statuses: Vec<_> = lines.iter().filter_map(|line| line["status"].as_str()).collect();
    assert_eq!(statuses, ["created", "refused", "created"]);
    let long = format!("{}\n{}", "x".repeat(300 * 1024), line("z"));
    let lines = post_with(&fixture, "/transactions/batch", &[NDJSON], &long).await.lines();
    assert_eq!(lines[0]["problem"]["code"], "request.too_large");
    assert_eq!(lines[1]["status"], "created");
}

#[actix_web::test]
async fn empty_batches_have_an_empty_summary() {
    let fixture = fixture().await;
    for (headers, body) in [(vec![NDJSON], ""), (vec![], "[]")] {
        let lines = post_with(&fixture, "/transactions/batch", &headers, body).await.lines();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["summary"]["lines"], 0);
    }
    let answer = post_with(&fixture, "/transactions/batch", &[("content-type", "text/csv")], "").await;
    answer.problem(415, "request.unsupported_media_type");
}

#[actix_web::test]
async fn batch_ends_where_it_differs_from_what_its_key_stands_for() {
    let fixture = fixture().await;
    let headers = [NDJSON, ("idempotency-key", "batch-1")];
    let first = [line("a"), line("b"), line("c")].join("\n");
    post_with(&fixture, "/transactions/batch", &headers, &first).await;
    let other: Vec<String> =
        [line("a"), line("x")].into_iter().chain((0..1_200).map(|n| line(&format!("n{n}")))).collect();
    let lines = post_with(&fixture, "/transactions/batch", &headers, &other.join("\n")).await.lines();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["status"], &lines[0]["replayed"]), (&json!("created"), &json!(true)));
    assert_eq!((&lines[1]["line"], &lines[1]["transaction_id"]), (&json!(2), &json!("x")));
    assert_eq!(lines[1]["problem"]["code"], "request.idempotency_mismatch");
    let summary = json!({"lines": 2, "created": 1, "unchanged": 0, "refused": 1, "complete": false});
    assert_eq!(lines[2]["summary"], summary);
    assert_eq!(size(&fixture).await, 3);
}

#[actix_web::test]
async fn items_without_names_are_refused() {
    let fixture = fixture().await;
    let body = format!("[\"SEQ1\",\"1.5\",\"USD\",null,null,null,null,null,null]\n{}", line("a"));
    let lines = post_with(&fixture, "/transactions/batch", &[NDJSON], &body).await.lines();
    assert_eq!(lines[0]["problem"]["code"], "request.invalid");
    assert_eq!(lines[0]["problem"]["detail"], "must be a JSON object");
    assert_eq!(lines[1]["status"], "created");
    assert_eq!(size(&fixture).await, 1);
}
