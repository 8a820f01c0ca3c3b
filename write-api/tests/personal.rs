//! What people write is recorded sealed; what programs write is recorded as it is.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use common::{Fixture, fixture, post, post_with, size};
use daybook_http_kit::sealer::SealedValue;
use daybook_http_kit::{Problem, Sealer};
use serde_json::{Value, json};

const WORDS: &str = "Ada Lovelace called twice.";
const ADMIN: [(&str, &str); 2] = [("x-user-email", "admin@example.com"), ("x-user-role", "admin")];

/// Puts field and text into hexadecimal digits behind a number that is another each time.
#[derive(Default)]
struct Digits {
    sealed: AtomicU64,
    is_erased: bool,
}

#[async_trait]
impl Sealer for Digits {
    async fn seal(&self, _subject: &str, field: &str, text: &str) -> Result<String, Problem> {
        if self.is_erased {
            return Err(Problem::conflict("user.erased", "the person's data was erased"));
        }
        let number = self.sealed.fetch_add(1, Ordering::SeqCst);
        let mut sealed = format!("dbs1.{number:080x}");
        for byte in format!("{field} {text}").bytes() {
            write!(sealed, "{byte:02x}").unwrap();
        }
        Ok(sealed)
    }

    async fn open_many(&self, _values: &[SealedValue<'_>]) -> Result<Vec<String>, Problem> {
        unreachable!("commands open nothing")
    }
}

async fn with(sealer: Digits) -> Fixture {
    let mut fixture = fixture().await;
    fixture.state = fixture.state.clone().with_sealer(Arc::new(sealer));
    let incident = json!({"incident_id": "i1", "title": "Late", "severity": "high", "type": "settlement_failure"});
    assert_eq!(post(&fixture, "/incidents", &incident.to_string()).await.status, 201);
    let transaction = json!({"transaction_id": "t1", "amount": "1.00", "currency": "EUR"});
    assert_eq!(post(&fixture, "/transactions", &transaction.to_string()).await.status, 201);
    fixture
}

/// The two ways to write something, and where it stands.
fn ways(text: &str) -> [(&'static str, String, &'static str); 2] {
    [
        ("/incidents/i1/comment", json!({"comment": text}).to_string(), "incident.comment"),
        ("/transactions/t1/notes", json!({"text": text}).to_string(), "transaction.note"),
    ]
}

async fn last(fixture: &Fixture) -> (String, Value) {
    let position = size(fixture).await - 1;
    let entry = fixture.ledger.entries(position, 1).await.unwrap().remove(0);
    let payload = entry.payload.clone().unwrap();
    let text = serde_json::from_str::<Value>(&payload).unwrap()["text"].clone();
    (format!("{payload}{}", entry.metadata), text)
}

#[actix_web::test]
async fn text_of_a_person_is_sealed_with_that_persons_key() {
    let fixture = with(Digits::default()).await;
    for (path, body, field) in ways(WORDS) {
        let answer = post_with(&fixture, path, &ADMIN, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let (stored, text) = last(&fixture).await;
        assert!(!stored.contains("Lovelace"), "{stored}");
        let actor = fixture.ledger.entries(size(&fixture).await - 1, 1).await.unwrap().remove(0).actor.id;
        assert_eq!(text["subject"], actor);
        let bytes = hex(text["sealed"].as_str().unwrap());
        assert_eq!(bytes, format!("{field} {WORDS}"));
    }
}

fn hex(sealed: &str) -> String {
    let digits = sealed.strip_prefix("dbs1.").unwrap().get(80..).unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    String::from_utf8(digits.chunks(2).map(byte).collect()).unwrap()
}

#[actix_web::test]
async fn text_of_a_program_stays_as_it_is() {
    let fixture = with(Digits::default()).await;
    for (path, body, _) in ways("Retried by the operator.") {
        assert_eq!(post(&fixture, path, &body).await.status, 200);
        assert_eq!(last(&fixture).await.1, "Retried by the operator.");
    }
}

#[actix_web::test]
async fn repeat_with_the_same_key_is_the_same_though_it_is_sealed_anew() {
    let fixture = with(Digits::default()).await;
    for (path, body, _) in ways(WORDS) {
        let key = [ADMIN[0], ADMIN[1], ("idempotency-key", path)];
        let first = post_with(&fixture, path, &key, &body).await;
        let (entries, stored) = (size(&fixture).await, last(&fixture).await);
        let again = post_with(&fixture, path, &key, &body).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{}", again.body);
        assert_eq!((first.json(), entries), (again.json(), size(&fixture).await));
        assert_eq!(last(&fixture).await, stored);
        let other = body.replace("twice", "once");
        post_with(&fixture, path, &key, &other).await.problem(422, "request.idempotency_mismatch");
    }
}

#[actix_web::test]
async fn nothing_is_recorded_of_somebody_who_was_erased() {
    let fixture = with(Digits { is_erased: true, ..Digits::default() }).await;
    let before = size(&fixture).await;
    for (path, body, _) in ways(WORDS) {
        post_with(&fixture, path, &ADMIN, &body).await.problem(409, "user.erased");
    }
    assert_eq!(size(&fixture).await, before);
}

#[actix_web::test]
async fn text_is_checked_before_it_is_sealed() {
    let fixture = with(Digits::default()).await;
    for (path, body, _) in ways("") {
        post_with(&fixture, path, &ADMIN, &body).await.problem(400, "request.invalid");
    }
}
