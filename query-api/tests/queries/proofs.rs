//! Proofs over HTTP, verified with the crates `ct-merkle` and `tlog_tiles`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ct_merkle::{InclusionProof, RootHash};
use daybook_ledger::note::{CheckpointBody, SignedNote};
use serde_json::Value;
use sha2::Sha256;
use tlog_tiles::tlog;

use crate::world::{ADMIN, World};

fn hash(text: &Value) -> tlog::Hash {
    let text = text.as_str().unwrap();
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    tlog::Hash(std::array::from_fn(|place| byte(place * 2)))
}

fn path(proof: &Value) -> Vec<tlog::Hash> {
    proof["path"].as_array().unwrap().iter().map(hash).collect()
}

#[actix_web::test]
async fn inclusion_verifies_elsewhere_at_every_size() {
    let world = World::new().await;
    world.ten().await;
    for size in 1..=10_u64 {
        for position in 0..size {
            let query = format!("/v1/ledgers/main/proofs/inclusion?position={position}&size={size}");
            let proof = world.get(&query).await.json();
            let root = hash(&proof["root"]);
            tlog::check_record(&path(&proof), size, root, position, hash(&proof["leaf_hash"])).unwrap();
            assert_eq!((proof["position"].as_u64(), proof["size"].as_u64()), (Some(position), Some(size)));
        }
    }
    let head = world.ledger.head().await.unwrap();
    let proof = world.get("/ledgers/main/proofs/inclusion?position=4").await.json();
    assert_eq!((proof["size"].as_u64(), proof["root"].as_str()), (Some(10), Some(&*head.root.to_string())));
    assert_eq!(proof["hash"], world.ledger.entries(4, 1).await.unwrap()[0].hash.to_string());
}

#[actix_web::test]
async fn consistency_verifies_elsewhere_between_all_sizes() {
    let world = World::new().await;
    world.ten().await;
    for to in 1..=10_u64 {
        for from in 0..=to {
            let proof = world.get(&format!("/v1/ledgers/main/proofs/consistency?from={from}&to={to}")).await.json();
            let (old, new) = (hash(&proof["from_root"]), hash(&proof["to_root"]));
            if from == 0 || from == to {
                assert_eq!(proof["path"].as_array().map(Vec::len), Some(0));
            } else {
                tlog::check_tree(&path(&proof), to, new, from, old).unwrap();
                let other = hash(&Value::from("00".repeat(32)));
                assert!(tlog::check_tree(&path(&proof), to, new, from, other).is_err());
            }
        }
    }
}

#[actix_web::test]
async fn questions_that_make_no_sense_are_named() {
    let world = World::signing().await;
    world.ten().await;
    for (path, status, code) in [
        ("proofs/inclusion", 400, "request.missing_parameter"),
        ("proofs/inclusion?position=x", 400, "request.invalid_parameter"),
        ("proofs/inclusion?position=-1", 400, "request.invalid_parameter"),
        ("proofs/inclusion?position=3&size=3", 400, "request.invalid"),
        ("proofs/inclusion?position=3&size=0", 400, "request.invalid"),
        ("proofs/inclusion?position=3&sise=9", 400, "request.unknown_parameter"),
        ("proofs/inclusion?position=10", 404, "ledger.not_that_long"),
        ("proofs/inclusion?position=3&size=11", 404, "ledger.not_that_long"),
        ("proofs/inclusion?position=18446744073709551615", 404, "ledger.not_that_long"),
        ("proofs/inclusion?position=18446744073709551615&size=18446744073709551615", 400, "request.invalid"),
        ("proofs/inclusion?position=0&size=18446744073709551615", 404, "ledger.not_that_long"),
        ("proofs/consistency", 400, "request.missing_parameter"),
        ("proofs/consistency?from=3&to=2", 400, "request.invalid"),
        ("proofs/consistency?from=11", 404, "ledger.not_that_long"),
        ("proofs/consistency?from=1&to=18446744073709551615", 404, "ledger.not_that_long"),
        ("proofs/0.tlog-proof", 404, "proof.not_yet_sealed"),
        ("proofs/10.tlog-proof", 404, "ledger.entry_not_found"),
        ("proofs/18446744073709551615.tlog-proof", 404, "ledger.entry_not_found"),
        ("proofs/18446744073709551616.tlog-proof", 400, "ledger.invalid_position"),
        ("proofs/00.tlog-proof", 400, "ledger.invalid_position"),
        ("proofs/+1.tlog-proof", 400, "ledger.invalid_position"),
        ("proofs/-1.tlog-proof", 400, "ledger.invalid_position"),
        ("proofs/x.tlog-proof", 400, "ledger.invalid_position"),
        ("proofs/%00.tlog-proof", 400, "ledger.invalid_position"),
        ("proofs/0.tlog-proof?size=1", 400, "request.unknown_parameter"),
        ("proofs/0", 404, "request.unknown_route"),
        ("proofs/0.tlog-proofx", 404, "request.unknown_route"),
    ] {
        let answer = world.get(&format!("/v1/ledgers/main/{path}")).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{path}");
    }
    for path in ["proofs/inclusion?position=0", "proofs/consistency?from=0", "proofs/0.tlog-proof", "keys", "bundle"] {
        assert_eq!(world.get(&format!("/v1/ledgers/nobody/{path}")).await.json()["code"], "ledger.not_found", "{path}");
        let answer = world.send("POST", &format!("/v1/ledgers/main/{path}"), &ADMIN).await;
        assert_eq!((answer.status, answer.header("allow").as_deref()), (405, Some("GET, HEAD")), "{path}");
    }
}

/// What a verifier has to do with a proof file, done with other people's code. Answers the entry's canonical bytes.
fn check(text: &str, position: u64) -> Vec<u8> {
    let (head, note) = text.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("c2sp.org/tlog-proof@v1"));
    let canonical = STANDARD.decode(lines.next().unwrap().strip_prefix("extra ").unwrap()).unwrap();
    assert_eq!(lines.next(), Some(format!("index {position}").as_str()));
    let path: Vec<u8> = lines.flat_map(|line| STANDARD.decode(line).unwrap()).collect();
    let body = CheckpointBody::parse(&SignedNote::parse(note).unwrap().body).unwrap();
    let root = RootHash::<Sha256>::new(body.root.0.into(), body.size);
    let proof = InclusionProof::<Sha256>::try_from_bytes(path).unwrap();
    root.verify_inclusion(&canonical, position, &proof).unwrap();
    canonical
}

#[actix_web::test]
async fn receipt_leads_to_a_file_that_verifies_without_the_server() {
    let mut world = World::signing().await;
    world.ten().await;
    let early = world.get("/v1/ledgers/main/proofs/3.tlog-proof").await;
    assert_eq!((early.status, early.header("retry-after").as_deref()), (404, Some("10")));
    assert_eq!(early.json()["checkpoint_size"], 0);
    let size = world.sign().await["size"].as_u64().unwrap();
    for position in 0..size {
        let answer = world.get(&format!("/v1/ledgers/main/proofs/{position}.tlog-proof")).await;
        assert_eq!(answer.header("content-type").as_deref(), Some("text/plain; charset=utf-8"));
        assert!(answer.text().ends_with(&world.get("/v1/ledgers/main/checkpoint").await.text()));
        let canonical = check(&answer.text(), position);
        let entry = &world.ledger.entries(position, 1).await.unwrap()[0];
        assert_eq!(blake3::hash(&canonical).as_bytes(), &entry.hash.0, "the receipt's hash");
        let viewed = world.get_as("viewer", &format!("/ledgers/main/proofs/{position}.tlog-proof")).await;
        assert_eq!(viewed.status, 403, "the file says who did what");
    }
    let status = daybook_domain::transaction::TransactionStatus::Pending;
    let late = world.record("TX-late", "1.00", "USD", status, "2026-11-21T00:00:00Z").await;
    let answer = world.get(&format!("/v1/ledgers/main/proofs/{late}.tlog-proof")).await;
    assert_eq!((answer.status, answer.json()["checkpoint_size"].as_u64()), (404, Some(size)));
    // Where nothing is signed by itself, nobody is told to wait.
    world.state.checkpoints.interval = std::time::Duration::ZERO;
    let answer = world.get(&format!("/v1/ledgers/main/proofs/{late}.tlog-proof")).await;
    assert_eq!((answer.status, answer.header("retry-after")), (404, None));
    world.sign().await;
    check(&world.get(&format!("/v1/ledgers/main/proofs/{late}.tlog-proof")).await.text(), late);
}
