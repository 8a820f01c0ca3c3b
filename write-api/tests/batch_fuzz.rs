//! Batches of bytes that nobody would write: every answer is whole, and the ledger has what was answered and nothing else.
//! `DAYBOOK_FUZZ_SECONDS` sets how long it goes on (default 2).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed unwrap is a failed test"
)]

mod common;

use std::time::{Duration, Instant};

use actix_web::http::Method;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use common::{call, fixture};

/// A line that is a transaction, one that is nearly one, or no JSON at all.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let transaction = (0_u32..500, -5_i64..1_000_000, prop::sample::select(vec!["EUR", "USD", "XXXX", ""])).prop_map(
        |(id, cents, currency)| {
            format!("{{\"transaction_id\":\"t-{id}\",\"amount\":\"{cents}\",\"currency\":\"{currency}\",\"status\":\"pending\"}}")
                .into_bytes()
        },
    );
    let changed =
        (transaction.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut line, place, byte)| {
            let place = place.index(line.len());
            line[place] = byte;
            line
        });
    let cut = (transaction.clone(), any::<prop::sample::Index>()).prop_map(|(mut line, place)| {
        line.truncate(place.index(line.len()));
        line
    });
    prop_oneof![4 => transaction, 2 => changed, 2 => cut, 1 => prop::collection::vec(any::<u8>(), 0..40)]
}

#[actix_web::test]
async fn batch_of_any_bytes_is_answered_line_by_line_and_recorded_as_answered() {
    let seconds = std::env::var("DAYBOOK_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let deadline = Instant::now() + Duration::from_secs(seconds.unwrap_or(2));
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let bodies = (prop::collection::vec(line(), 0..20), any::<bool>());
    let fixture = fixture().await;
    while Instant::now() < deadline {
        let (lines, is_array) = bodies.new_tree(&mut runner).expect("a value").current();
        let (media_type, body) = if is_array {
            ("application/json", [b"[".to_vec(), lines.join(&b','), b"]".to_vec()].concat())
        } else {
            ("application/x-ndjson", lines.join(&b'\n'))
        };
        let before = fixture.ledger.head().await.unwrap().size;
        let headers = [("content-type", media_type)];
        let answer = call(&fixture, Method::POST, "/v1/transactions/batch", &headers, body.clone()).await;
        let context = || format!("{media_type} {:?}\n{}", String::from_utf8_lossy(&body), answer.body);
        assert_eq!(answer.status, 200, "{}", context());
        let mut answered = answer.lines();
        let summary = answered.pop().expect("the summary")["summary"].clone();
        let count = |status: &str| answered.iter().filter(|line| line["status"] == status).count() as u64;
        for status in ["created", "unchanged", "refused"] {
            assert_eq!(summary[status], count(status), "{}", context());
        }
        assert_eq!(summary["lines"], answered.len() as u64, "{}", context());
        for line in &answered {
            assert_eq!(line["receipt"].is_object(), line["status"] != "refused", "{}", context());
            assert_eq!(line["problem"].is_object(), line["status"] == "refused", "{}", context());
        }
        let recorded = fixture.ledger.head().await.unwrap().size - before;
        assert_eq!(recorded, count("created"), "{}", context());
    }
}
