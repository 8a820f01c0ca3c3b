//! From the request to a file that proves itself: with nothing but `openssl` and a hash.

use std::process::Command;

use daybook_tests::people::MAIN;
use daybook_tests::{Server, Store, both_stores, data};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{People, bytes, transactions, wish};

both_stores!(export_is_made_once_agreed_to_and_openssl_verifies_it);

async fn export_is_made_once_agreed_to_and_openssl_verifies_it(store: &Store) {
    let server = Server::start(store).await;
    let people = People::of(&server).await;
    transactions(&server, 250).await;
    let export = people.approved(&wish("csv")).await;
    let made = people.once(&export, &["generated"]).await;
    assert_eq!(made["rows"], 250, "{made}");
    let part = |name: &str| format!("/v1/exports/{export}/{name}");
    let file = bytes(&people.asker, &part("file")).await;
    let manifest_bytes = bytes(&people.asker, &part("manifest")).await;
    let signature = bytes(&people.asker, &part("signature")).await;
    let manifest: Value = serde_json::from_slice(&manifest_bytes).unwrap();
    assert_eq!(manifest["file"]["sha256"], hex::encode(Sha256::digest(&file)), "{manifest}");
    assert_eq!(manifest["file"]["rows"], 250, "{manifest}");
    assert_eq!(file.iter().filter(|byte| **byte == b'\n').count(), 251, "a line a row, and the header");
    let text = manifest.to_string();
    assert!(text.contains(&people.asker.id) && text.contains(&people.other.id), "who asked, who agreed: {manifest}");

    // The key as the server publishes it, and nothing of ours.
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    std::fs::write(place("manifest"), &manifest_bytes).unwrap();
    std::fs::write(place("signature"), &signature).unwrap();
    let keys = server.client().get("/v1/ledgers/main/keys").await.expect(200).json();
    let keys: Vec<String> = pems_in(&keys);
    assert!(!keys.is_empty(), "the ledger publishes its keys");
    let verified = keys.iter().any(|pem| {
        std::fs::write(place("key.pem"), pem).unwrap();
        let mut command = Command::new("openssl");
        command.args(["dgst", "-sha256", "-verify"]).arg(place("key.pem")).arg("-signature").arg(place("signature"));
        let output = command.arg(place("manifest")).output().expect("openssl can be run");
        String::from_utf8_lossy(&output.stdout).contains("Verified OK")
    });
    assert!(verified, "openssl does not verify the manifest's signature");

    // The ledger says the same of it.
    let entries = server.client().get("/v1/ledgers/main/entries?limit=2000").await.expect(200).body;
    assert!(entries.contains(&hex::encode(Sha256::digest(&file))), "the file's digest is in the ledger");
    let report = store.verified().await;
    assert_eq!(report["ledgers"][0]["approvals"]["verdict"], "verified", "{report}");
}

fn pems_in(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if text.contains("BEGIN PUBLIC KEY") => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(pems_in).collect(),
        Value::Object(members) => members.values().flat_map(pems_in).collect(),
        _ => Vec::new(),
    }
}

both_stores!(every_kind_and_format_has_the_rows_that_were_asked_for);

async fn every_kind_and_format_has_the_rows_that_were_asked_for(store: &Store) {
    let server = Server::start(store).await;
    let people = People::of(&server).await;
    transactions(&server, 20).await;
    server.client().post("/v1/incidents", &data::incident("Stuck, \"quoted\"; and, broken")).await.expect(201);
    let action = json!({"resource_type": "agentic_triage", "resource_id": "inc_1", "reason": "look at it"});
    people.asker.client.post("/v1/approvals", &action).await.expect(201);
    for kind in ["transactions", "incidents", "users", "agent_actions", "audit_trail", "entries"] {
        for format in ["csv", "ndjson", "json", "parquet"] {
            let export = people
                .approved(&json!({"kind": kind, "format": format, "reason": format!("{kind} as {format}")}))
                .await;
            let made = people.once(&export, &["generated", "failed"]).await;
            assert_eq!(made["status"], "generated", "{kind} {format}: {made}");
            let file = bytes(&people.asker, &format!("/v1/exports/{export}/file")).await;
            let rows = made["rows"].as_u64().unwrap();
            assert!(rows > 0, "{kind} {format}: {made}");
            let text = String::from_utf8_lossy(&file);
            match format {
                "ndjson" => {
                    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                    assert_eq!(lines.len() as u64, rows, "{kind}");
                }
                "json" => {
                    let items: Vec<Value> = serde_json::from_slice(&file).unwrap();
                    assert_eq!(items.len() as u64, rows, "{kind}");
                }
                "parquet" => assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"), "{kind}"),
                _ => assert!(text.lines().count() as u64 > rows, "{kind}"),
            }
        }
    }
}

both_stores!(filters_and_columns_are_stated_and_held_and_unknown_ones_refused);

async fn filters_and_columns_are_stated_and_held_and_unknown_ones_refused(store: &Store) {
    let server = Server::start(store).await;
    let people = People::of(&server).await;
    transactions(&server, 30).await;
    let mut other = data::transaction("TX-OTHER");
    other["currency"] = json!("USD");
    server.client().post("/v1/transactions", &other).await.expect(201);
    let mut wish = wish("ndjson");
    wish["filters"] = json!({"currency": "USD"});
    wish["columns"] = json!(["transaction_id", "amount"]);
    let export = people.approved(&wish).await;
    let made = people.once(&export, &["generated"]).await;
    assert_eq!(made["rows"], 1, "{made}");
    let file = bytes(&people.asker, &format!("/v1/exports/{export}/file")).await;
    let row: Value = serde_json::from_slice(&file).unwrap();
    assert_eq!(row["transaction_id"], "TX-OTHER", "{row}");
    assert_eq!(row["amount"], other["amount"], "{row}");
    assert_eq!(row.as_object().map(serde_json::Map::len), Some(2), "{row}");
    let manifest = bytes(&people.asker, &format!("/v1/exports/{export}/manifest")).await;
    assert!(String::from_utf8_lossy(&manifest).contains("USD"), "the query is stated");
    for wrong in [
        json!({"filters": {"colour": "red"}}),
        json!({"columns": ["colour"]}),
        json!({"format": "xls"}),
        json!({"kind": "secrets"}),
    ] {
        let mut body = super::wish("csv");
        for (name, value) in wrong.as_object().unwrap() {
            body[name] = value.clone();
        }
        people.asker.client.post("/v1/exports", &body).await.expect_problem_of(&[400, 422]);
    }
    // Half of a file is a file's half.
    let request =
        people.asker.client.request("GET", &format!("/v1/exports/{export}/file")).header("range", "bytes=0-9");
    let part = people.asker.client.send(request).await;
    assert_eq!((part.status, part.body.as_bytes()), (206, &file[..10]));
}

both_stores!(export_that_is_rejected_or_cancelled_is_never_made);

async fn export_that_is_rejected_or_cancelled_is_never_made(store: &Store) {
    let server = Server::start(store).await;
    let people = People::of(&server).await;
    transactions(&server, 3).await;
    let blocked = people.asker.client.post("/v1/exports", &wish("csv")).await.expect(202).json();
    let approval = blocked["approval_request_id"].as_str().unwrap();
    let export = blocked["export"]["export_id"].as_str().unwrap().to_owned();
    let no = json!({"decision": "reject", "reason": "no need to know"});
    people.other.client.post(&format!("/v1/approvals/{approval}/vote"), &no).await.expect(200);
    let rejected = people.once(&export, &["rejected"]).await;
    assert!(rejected["file_path"].is_null() || rejected["rows"].is_null(), "{rejected}");
    people.asker.client.get(&format!("/v1/exports/{export}/file")).await.expect_problem(409);

    let mut other = wish("json");
    other["reason"] = json!("on second thoughts");
    let blocked = people.asker.client.post("/v1/exports", &other).await.expect(202).json();
    let approval = blocked["approval_request_id"].as_str().unwrap();
    let export = blocked["export"]["export_id"].as_str().unwrap().to_owned();
    let cancel = json!({"reason": "not needed"});
    people.asker.client.post(&format!("/v1/exports/{export}/cancel"), &cancel).await.expect(200);
    people.once(&export, &["cancelled"]).await;
    let yes = json!({"decision": "approve"});
    people.other.client.post(&format!("/v1/approvals/{approval}/vote"), &yes).await;
    let later = people.approved(&wish("ndjson")).await;
    people.once(&later, &["generated"]).await;
    people.once(&export, &["cancelled"]).await;
}

both_stores!(export_of_one_organisation_is_unknown_in_another);

async fn export_of_one_organisation_is_unknown_in_another(store: &Store) {
    let server = Server::start(store).await;
    let people = People::of(&server).await;
    transactions(&server, 3).await;
    let export = people.approved(&wish("csv")).await;
    people.once(&export, &["generated"]).await;
    server.organization("elsewhere").await;
    let stranger = server.person("elsewhere", "owner").await;
    for part in ["", "/file", "/manifest", "/signature"] {
        stranger.client.get(&format!("/v1/exports/{export}{part}")).await.expect_problem(404);
    }
    let viewer = server.person(MAIN, "viewer").await;
    viewer.client.get(&format!("/v1/exports/{export}/file")).await.expect_problem(403);
}
