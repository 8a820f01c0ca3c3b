//! Exports are read again: whatever was changed is named and recorded; files that somebody has are verified without any
//! that is stored.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use actix_web::http::Method;
use common::exports::{ROWS, export, make};
use common::people::{ANN, COLIN, VERA};
use common::{Answer, Fixture, fixture};
use daybook_domain::export::{Generated, VerificationStatus};
use daybook_exports::{Manifest, Request, manifest_keys, seal};
use serde_json::{Value, json};

/// An export with its file, and what the ledger says of it.
async fn made(fixture: &Fixture) -> (String, Generated) {
    let asked = ANN.post(fixture, "/v1/exports", json!({"kind": "transactions"})).await.json();
    let approval = asked["approval_request_id"].as_str().unwrap();
    let body = json!({"decision": "approve", "reason": "looked at it"});
    assert_eq!(COLIN.post(fixture, &format!("/v1/approvals/{approval}/vote"), body).await.status, 200);
    let id = asked["export"]["id"].as_str().unwrap().to_owned();
    let made = make(fixture, &id, ROWS).await;
    (id, made.aggregate.generated().unwrap().clone())
}

async fn verify(fixture: &Fixture, id: &str) -> Value {
    let answer = COLIN.post(fixture, &format!("/v1/exports/{id}/verify"), Value::Null).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.json()["receipt"]["hash"].is_string());
    answer.json()
}

fn read(fixture: &Fixture, name: &str) -> Vec<u8> {
    std::fs::read(fixture.files.path(name).unwrap()).unwrap()
}

fn put(fixture: &Fixture, name: &str, bytes: &[u8]) {
    std::fs::write(fixture.files.path(name).unwrap(), bytes).unwrap();
}

#[actix_web::test]
async fn every_change_is_named_and_recorded() {
    let fixture = fixture().await;
    let (id, generated) = made(&fixture).await;
    let (other, others) = made(&fixture).await;
    let right = verify(&fixture, &id).await;
    assert_eq!((&right["result"], &right["findings"]), (&json!("verified"), &json!([])), "{right}");
    let (file, manifest, signature) =
        (generated.file.as_str(), generated.manifest.file.as_str(), generated.signature.file.as_str());
    let rows = read(&fixture, file);
    let mut flipped = rows.clone();
    flipped[30] ^= 1;
    let removed: Vec<u8> = rows.split_inclusive(|byte| *byte == b'\n').take(2).flatten().copied().collect();
    let swapped = read(&fixture, others.manifest.file.as_str());
    let changed = String::from_utf8(read(&fixture, manifest)).unwrap().replace("usr_asks", "usr_else").into_bytes();
    for (name, bytes, finding) in [
        (file, &flipped, "file_changed"),
        (file, &removed, "row_removed"),
        (manifest, &swapped, "manifest_swapped"),
        (manifest, &changed, "manifest_changed"),
        (signature, &b"nonsense".to_vec(), "signature_malformed"),
    ] {
        let before = read(&fixture, name);
        put(&fixture, name, bytes);
        let found = verify(&fixture, &id).await;
        assert_eq!(found["result"], "tampered", "{finding}: {found}");
        let first = found["findings"].to_string();
        assert!(first.contains(finding), "{finding}: {first}");
        assert_eq!(export(&fixture, &id).await.aggregate.verification_status(), VerificationStatus::Tampered);
        put(&fixture, name, &before);
    }
    assert_eq!(verify(&fixture, &id).await["verification_status"], "verified");
    std::fs::remove_file(fixture.files.path(others.file.as_str()).unwrap()).unwrap();
    let missing = verify(&fixture, &other).await;
    assert_eq!(missing["result"], "failed");
    assert!(missing["findings"][0].as_str().unwrap().starts_with("missing"), "{missing}");
    ANN.post(&fixture, &format!("/v1/exports/{id}/verify"), Value::Null).await.problem(403, "permission.denied");
    let asked = ANN.post(&fixture, "/v1/exports", json!({"kind": "incidents"})).await.json();
    let path = format!("/v1/exports/{}/verify", asked["export"]["id"].as_str().unwrap());
    COLIN.post(&fixture, &path, Value::Null).await.problem(422, "export.no_file");
}

#[actix_web::test]
async fn many_are_verified_at_once_and_a_missing_file_stops_none() {
    let fixture = fixture().await;
    let (_, first) = made(&fixture).await;
    let (second, _) = made(&fixture).await;
    std::fs::remove_file(fixture.files.path(first.file.as_str()).unwrap()).unwrap();
    let all = COLIN.post(&fixture, "/exports/batch_verify?export_type=transactions", Value::Null).await;
    assert_eq!(all.status, 200, "{}", all.body);
    let all = all.json();
    let results = all["results"].as_array().unwrap();
    let shown = |index: usize| (&results[index]["hash_chain"], &results[index]["signature"], &results[index]["status"]);
    assert_eq!((results.len(), &all["is_complete"]), (2, &json!(true)), "{all}");
    assert_eq!(results[0]["id"], json!(second), "the newest first");
    assert_eq!(shown(0), (&json!(true), &json!(true), &json!("verified")));
    assert_eq!(shown(1), (&json!(false), &json!(true), &json!("failed")));
    assert!(results[0]["receipt"]["position"].is_u64());
    for (query, count) in [
        ("export_type=users", 0),
        ("end_date=2020-01-01", 0),
        ("start_date=2020-01-01", 2),
        ("start_date=2999-01-01", 0),
    ] {
        let answer = COLIN.post(&fixture, &format!("/exports/batch_verify?{query}"), Value::Null).await.json();
        assert_eq!(answer["results"].as_array().unwrap().len(), count, "{query}: {answer}");
    }
    let wrong = COLIN.post(&fixture, "/exports/batch_verify?export_type=secrets", Value::Null).await;
    wrong.problem(400, "request.invalid_parameter");
}

/// Sends files as a browser does.
async fn upload(fixture: &Fixture, parts: &[(&str, &[u8])]) -> Answer {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        let head = format!(
            "--limit\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--limit--\r\n");
    let mut headers = VERA.headers().to_vec();
    headers.push(("content-type", "multipart/form-data; boundary=limit"));
    common::call(fixture, Method::POST, "/verification/verify_export", &headers, body).await
}

#[actix_web::test]
async fn export_that_somebody_has_is_verified_with_the_keys_of_the_ledger_or_another() {
    let fixture = fixture().await;
    let (_, generated) = made(&fixture).await;
    let file = read(&fixture, generated.file.as_str());
    let manifest = read(&fixture, generated.manifest.file.as_str());
    let signature = read(&fixture, generated.signature.file.as_str());
    let right = upload(&fixture, &[("file", &file), ("manifest", &manifest), ("signature", &signature)]).await;
    assert_eq!(right.status, 200, "{}", right.body);
    let right = right.json();
    assert_eq!((&right["hash_chain_valid"], &right["signature_valid"]), (&json!(true), &json!(true)), "{right}");
    assert_eq!((&right["in_ledger"], &right["findings"]), (&json!(true), &json!([])), "{right}");
    assert_eq!(right["last_hash"], generated.sha256.as_str());
    assert_eq!(right["signed_by"], generated.signature.key_id.as_str());
    assert_eq!(right["is_ledger_key"], true);
    assert!(right["detail"].as_str().unwrap().ends_with("a key of this ledger"), "{right}");
    // The signature as it stands in the header of a download.
    let value = generated.signature.value.as_str().as_bytes();
    let named = [("csv_file", file.as_slice()), ("hash_file", &manifest), ("sig_file", value)];
    assert_eq!(upload(&fixture, &named).await.json()["signature_valid"], true);
    let mut flipped = file.clone();
    flipped[20] ^= 1;
    let wrong =
        upload(&fixture, &[("file", &flipped), ("manifest", &manifest), ("signature", &signature)]).await.json();
    assert_eq!((&wrong["hash_chain_valid"], &wrong["in_ledger"]), (&json!(false), &json!(false)), "{wrong}");
    assert!(wrong["findings"][0].as_str().unwrap().starts_with("file_changed"), "{wrong}");
    let strangers = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n\
        6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n\
        -----END PUBLIC KEY-----\n";
    let named = [
        ("file", file.as_slice()),
        ("manifest", &manifest),
        ("signature", &signature),
        ("public_key", strangers.as_bytes()),
    ];
    let stranger = upload(&fixture, &named).await.json();
    assert_eq!((&stranger["hash_chain_valid"], &stranger["signature_valid"]), (&json!(true), &json!(false)));
    assert!(stranger["findings"][0].as_str().unwrap().starts_with("wrong_key"), "{stranger}");
    assert_eq!((&stranger["signed_by"], &stranger["is_ledger_key"]), (&Value::Null, &json!(false)), "{stranger}");
}

/// Somebody takes a file of ours, writes a manifest of his own for it, and signs that with a key of his own.
#[actix_web::test]
async fn strangers_manifest_for_a_file_of_ours_is_not_taken_for_ours() {
    let (fixture, theirs) = (fixture().await, fixture().await);
    let (id, generated) = made(&fixture).await;
    made(&theirs).await;
    let ring = common::exports::ring(&theirs).await;
    let file = read(&fixture, generated.file.as_str());
    let manifest = Manifest::parse(&read(&fixture, generated.manifest.file.as_str())).unwrap();
    let at = daybook_ledger::sequencer::system_clock()();
    let request = Request { by: "usr_mallory".to_owned(), person: "usr_mallory".to_owned() };
    let sealed = seal(Manifest { request, ..manifest }, &ring, at).unwrap();
    let keys = manifest_keys(&ring);
    let key = keys.iter().find(|key| key.key_id() == sealed.key_id).unwrap().to_pem();
    let sent = [
        ("file", file.as_slice()),
        ("manifest", &sealed.bytes),
        ("signature", &sealed.signature),
        ("public_key", key.as_bytes()),
    ];
    let answer = upload(&fixture, &sent).await.json();
    assert_eq!((&answer["signature_valid"], &answer["hash_chain_valid"]), (&json!(true), &json!(true)), "{answer}");
    assert_eq!((&answer["in_ledger"], &answer["is_ledger_key"]), (&json!(false), &json!(false)), "{id}: {answer}");
    assert_eq!(answer["signed_by"], sealed.key_id.to_string());
    assert!(answer["detail"].as_str().unwrap().contains("not this ledger's"), "{answer}");
    // Without the key it is nothing at all.
    assert_eq!(upload(&fixture, &sent[..3]).await.json()["signature_valid"], false);
}

#[actix_web::test]
async fn slow_uploads_stop_no_verification_and_too_many_are_turned_away() {
    let fixture = fixture().await;
    let (id, _) = made(&fixture).await;
    let held: Vec<_> = (0..4).map(|_| fixture.desk.hold_upload().unwrap()).collect();
    let busy = upload(&fixture, &[("file", b"x")]).await;
    assert!(busy.header("retry-after").is_some());
    busy.problem(503, "export.verification_busy");
    assert_eq!(verify(&fixture, &id).await["result"], "verified");
    drop(held);
    assert_eq!(upload(&fixture, &[("file", b"x")]).await.status, 400);
}

#[actix_web::test]
async fn predecessors_export_is_verified_to_its_last_line() {
    let fixture = fixture().await;
    let links = include_bytes!("data/predecessor.link").as_slice();
    let signature = include_bytes!("data/predecessor.max_salt.sig").as_slice();
    let key = include_bytes!("data/predecessor.pub.pem").as_slice();
    let file = b"id,amount\n".as_slice();
    let sent = |file| [("csv_file", file), ("hash_file", links), ("sig_file", signature), ("pubkey_file", key)];
    let right = upload(&fixture, &sent(file)).await.json();
    assert_eq!((&right["hash_chain_valid"], &right["signature_valid"]), (&json!(true), &json!(true)), "{right}");
    assert_eq!(right["last_hash"].as_str().map(str::as_bytes), Some(links));
    let longer = upload(&fixture, &sent(b"id,amount\n1,2\n")).await.json();
    assert_eq!((&longer["hash_chain_valid"], &longer["signature_valid"]), (&json!(false), &json!(false)), "{longer}");
    let without = upload(&fixture, &sent(file)[..3]).await.json();
    assert_eq!((&without["hash_chain_valid"], &without["signature_valid"]), (&json!(true), &json!(false)), "{without}");
}

#[actix_web::test]
async fn form_is_taken_strictly() {
    let fixture = fixture().await;
    let pointer = |answer: Answer| answer.problem(400, "request.invalid")["errors"][0]["pointer"].clone();
    assert_eq!(pointer(upload(&fixture, &[("file", b"x"), ("signature", b"x")]).await), "/manifest");
    assert_eq!(pointer(upload(&fixture, &[("file", b"x"), ("csv_file", b"x")]).await), "/csv_file");
    assert_eq!(pointer(upload(&fixture, &[("movie", b"x")]).await), "/movie");
    let key = [("file", b"x".as_slice()), ("manifest", b"{}"), ("signature", b"x"), ("public_key", b"no key")];
    assert_eq!(pointer(upload(&fixture, &key).await), "/public_key");
    let long = vec![b'x'; 64 * 1024 + 1];
    upload(&fixture, &[("signature", &long)]).await.problem(413, "request.too_large");
    let headers = [("x-user-email", "vera@example.com"), ("x-user-role", "viewer")];
    let json = common::call(&fixture, Method::POST, "/verification/verify_export", &headers, b"{}".to_vec()).await;
    json.problem(415, "request.unsupported_media_type");
}
