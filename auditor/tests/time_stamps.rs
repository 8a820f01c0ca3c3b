//! Time stamps in the ledger, by the `openssl` program as authority: witnessed, not checked, or named as invalid.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../../time-stamping/tests/authority/mod.rs"]
mod authority;
mod common;
mod signing;
mod workbench;

use authority::{Authority, Key, Plan, openssl_is_here};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::SecondsFormat;
use daybook_auditor::checkpoint::Checkpoint;
use daybook_time_stamping::{inspect, parse_response, request};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use workbench::{Bench, kinds};

/// Payload of an anchor over a checkpoint.
fn anchor(authority: &Authority, note: &str) -> Json {
    let checkpoint = Checkpoint::parse(note.as_bytes()).unwrap();
    let digest: [u8; 32] = Sha256::digest(checkpoint.note().body()).into();
    let token = parse_response(&authority.reply(&request(&digest, 7))).unwrap().into_der();
    json!({
        "size": checkpoint.size,
        "root": hex::encode(checkpoint.root),
        "checkpoint": note,
        "tsa": "http://tsa.example",
        "generated_at": inspect(&token).unwrap().generated_at.to_rfc3339_opts(SecondsFormat::Nanos, true),
        "token": STANDARD.encode(token),
    })
}

#[tokio::test]
async fn a_stamp_over_a_checkpoint_of_these_entries_witnesses_their_time() {
    if !openssl_is_here() {
        return;
    }
    let authority = Authority::new(&Plan::good(Key::P256));
    let bench = Bench::new().await;
    let note = std::fs::read_to_string(bench.checkpoint().await).unwrap();
    let good = anchor(&authority, &note);
    let roots = bench.write("tsa.pem", &authority.roots());
    let judged = |payload: Json| {
        let (bench, roots) = (bench.copy(), roots.clone());
        async move {
            let time = 1_900_000_000_000_000;
            bench.record(("ledger", "main"), 1, ("ledger.anchored", &payload.to_string()), time).await;
            let (code, evidence) = bench.verify(&["--tsa-roots", &roots]);
            let ledger = bench.ledger(&evidence);
            let found = kinds(&ledger["findings"]).first().map(|(kind, at, _)| (kind.clone(), *at));
            (code, ledger["time"]["verdict"].as_str().unwrap().to_owned(), found)
        }
    };
    assert_eq!(judged(good.clone()).await, (0, "witnessed".to_owned(), None));
    let invalid = (1, "failed".to_owned(), Some(("timestamp_invalid".to_owned(), Some(31))));
    let with = |field: &str, value: Json| {
        let mut changed = good.clone();
        changed[field] = value;
        changed
    };
    let mut token = STANDARD.decode(good["token"].as_str().unwrap()).unwrap();
    let last = token.len() - 5;
    token[last] ^= 1;
    let another = bench.key().checkpoint(workbench::ORIGIN, 20, [9; 32]);
    for changed in [
        with("token", json!(STANDARD.encode(token))),
        with("token", json!("no base64")),
        with("generated_at", json!("2020-01-01T00:00:00Z")),
        with("size", json!(30)),
        with("root", json!("00")),
        with("checkpoint", json!(another)),
        json!({"size": 31}),
    ] {
        assert_eq!(judged(changed.clone()).await, invalid, "{changed:#}");
    }
    // Another authority's stamp.
    let other = Authority::new(&Plan::good(Key::P256));
    assert_eq!(judged(anchor(&other, &note)).await, invalid);
    // A stamp over a checkpoint that these entries do not come to.
    let forged = bench.key().checkpoint(workbench::ORIGIN, 31, [9; 32]);
    let (code, time, found) = judged(anchor(&authority, &forged)).await;
    assert_eq!((code, time.as_str(), found.unwrap().0.as_str()), (1, "failed", "tree_not_extending"));
    // Without roots nobody's stamp counts, and nothing fails.
    let time = 1_900_000_000_000_000;
    bench.record(("ledger", "main"), 1, ("ledger.anchored", &good.to_string()), time).await;
    let (code, evidence) = bench.verify(&[]);
    assert_eq!((code, bench.ledger(&evidence)["time"]["verdict"].as_str().unwrap()), (0, "server_asserted"));
}
