//! Checkpoints and keys over HTTP: what was signed, having one signed, and who may.

use daybook_ledger::StoredCheckpoint;
use daybook_ledger::keys::VerifierKey;
use daybook_ledger::note::{CheckpointBody, SignedNote};

use crate::world::{ADMIN, World};

#[actix_web::test]
async fn newest_checkpoint_is_the_note_that_was_signed() {
    let world = World::signing().await;
    world.ten().await;
    let none = world.get("/v1/ledgers/main/checkpoint").await;
    assert_eq!((none.status, &none.json()["code"]), (404, &"checkpoint.none_yet".into()));
    assert_eq!(none.header("retry-after").as_deref(), Some("10"));
    let signed = world.sign().await;
    // Ten transactions, the key that signs, and the seal.
    assert_eq!((signed["size"].as_u64(), signed["ledger_id"].as_str()), (Some(12), Some("main")));
    for path in ["/v1/ledgers/main/checkpoint", "/ledgers/main/checkpoint/"] {
        let answer = world.get(path).await;
        assert_eq!(answer.header("content-type").as_deref(), Some("text/plain; charset=utf-8"));
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-cache"));
        assert_eq!(answer.text(), signed["note"].as_str().unwrap());
    }
    let note = SignedNote::parse(signed["note"].as_str().unwrap()).unwrap();
    let body = CheckpointBody::parse(&note.body).unwrap();
    let head = world.ledger.head().await.unwrap();
    assert_eq!((body.origin.as_str(), body.size, body.root), ("example.com/main", head.size, head.root));
    assert_eq!(signed["root"], head.root.to_string());
    let head_answer = world.send("HEAD", "/v1/ledgers/main/checkpoint", &ADMIN).await;
    assert_eq!((head_answer.status, head_answer.body.len()), (200, 0));
}

#[actix_web::test]
async fn keys_verify_what_they_signed() {
    let world = World::signing().await;
    world.ten().await;
    assert_eq!(world.get("/v1/ledgers/main/keys").await.json()["items"].as_array().unwrap().len(), 0);
    let note = SignedNote::parse(world.sign().await["note"].as_str().unwrap()).unwrap();
    let keys = world.get("/v1/ledgers/main/keys").await.json();
    let [key] = keys["items"].as_array().unwrap().as_slice() else { panic!("{keys}") };
    let verifier: VerifierKey = key["verifier_key"].as_str().unwrap().parse().unwrap();
    assert!(verifier.verifies(&note.body, &note.signatures[0]));
    assert_eq!(key["pem"], verifier.to_pem());
    assert_eq!((key["algorithm"].as_str(), key["position"].as_u64()), (Some("ecdsa-p256-sha256"), Some(10)));
    assert!(key["retired_at"].is_null() && key["activated_at"].is_string());
}

#[actix_web::test]
async fn checkpoints_are_listed_page_by_page() {
    let world = World::signing().await;
    let mut sizes = Vec::new();
    for number in 0..5 {
        let at = "2026-11-21T00:00:00Z";
        let status = daybook_domain::transaction::TransactionStatus::Pending;
        world.record(&format!("TX-{number}"), "1.00", "USD", status, at).await;
        sizes.push(world.sign().await["size"].as_u64().unwrap());
    }
    // Nothing was written since: the same one again.
    assert_eq!(world.sign().await["size"].as_u64(), sizes.last().copied());
    let (mut found, mut from) = (Vec::new(), 0);
    loop {
        let page = world.get(&format!("/v1/ledgers/main/checkpoints?limit=2&from={from}")).await.json();
        found.extend(page["items"].as_array().unwrap().iter().map(|item| item["size"].as_u64().unwrap()));
        let Some(next) = page["next_from"].as_u64() else { break };
        from = next;
    }
    assert_eq!(found, sizes);
    for from in [sizes[4] + 1, u64::MAX] {
        let page = world.get(&format!("/v1/ledgers/main/checkpoints?from={from}")).await.json();
        assert_eq!((page["items"].as_array().map(Vec::len), page["next_from"].is_null()), (Some(0), true));
    }
    for query in ["limit=0", "limit=501", "limit=x", "from=-1", "size=3"] {
        assert_eq!(world.get(&format!("/v1/ledgers/main/checkpoints?{query}")).await.status, 400, "{query}");
    }
}

#[actix_web::test]
async fn only_those_who_may_have_one_signed_and_only_where_one_is_signed() {
    let world = World::signing().await;
    world.ten().await;
    for role in ["viewer", "analyst", "compliance"] {
        let headers = [("x-user-email", "c@example.com"), ("x-user-role", role)];
        let answer = world.send("POST", "/v1/ledgers/main/checkpoints", &headers).await;
        assert_eq!((answer.status, &answer.json()["missing_permission"]), (403, &"ledger:seal".into()), "{role}");
    }
    assert_eq!(world.send("POST", "/v1/ledgers/other/checkpoints", &ADMIN).await.status, 404);
    let elsewhere = World::new().await;
    let answer = elsewhere.send("POST", "/v1/ledgers/main/checkpoints", &ADMIN).await;
    assert_eq!((answer.status, &answer.json()["code"]), (503, &"checkpoint.not_here".into()));
    assert!(answer.header("retry-after").is_some());
}

#[actix_web::test]
async fn checkpoint_that_somebody_exchanged_in_the_store_is_not_handed_out() {
    let world = World::signing().await;
    world.ten().await;
    let signed = world.sign().await;
    let forged = StoredCheckpoint {
        size: 11,
        root: daybook_ledger::Hash([7; 32]),
        note: signed["note"].as_str().unwrap().to_owned(),
        signed_at: 0,
    };
    let forged = StoredCheckpoint { size: 13, ..forged };
    world.ledger.store().save_checkpoint(world.ledger.id(), &forged).await.unwrap();
    for path in ["checkpoint", "proofs/0.tlog-proof", "bundle"] {
        let answer = world.get(&format!("/v1/ledgers/main/{path}")).await;
        assert_eq!((answer.status, &answer.json()["code"]), (500, &"proof.not_extending".into()), "{path}");
    }
}
