//! Whatever is done to an export is seen, and named: by the server, by the command line, by the auditor's program.

use daybook_tests::files::file_below;
use daybook_tests::{Server, Store, both_stores, command_line};
use serde_json::json;

use super::{People, bytes, transactions, wish};

both_stores!(every_fault_of_an_export_is_named);

async fn every_fault_of_an_export_is_named(store: &Store) {
    let server = Server::start(store).await;
    let people = People::of(&server).await;
    transactions(&server, 50).await;
    let export = people.approved(&wish("csv")).await;
    people.once(&export, &["generated"]).await;
    let verify = format!("/v1/exports/{export}/verify");
    let good = people.asker.client.post(&verify, &json!({})).await.expect(200).json();
    assert!(good.to_string().contains("verified"), "{good}");

    let file = file_below(store.folder(), &export, ".csv");
    let manifest = file_below(store.folder(), &export, ".manifest.json");
    let original = std::fs::read(&file).unwrap();
    let original_manifest = std::fs::read(&manifest).unwrap();
    let mut flipped = original.clone();
    flipped[original.len() / 2] ^= 1;
    let without_a_row = {
        let mut lines: Vec<&[u8]> = original.split_inclusive(|byte| *byte == b'\n').collect();
        lines.remove(10);
        lines.concat()
    };
    let other_manifest = String::from_utf8(original_manifest.clone()).unwrap().replacen("50", "49", 1).into_bytes();
    for (what, file_bytes, manifest_bytes) in [
        ("a flipped bit", &flipped, &original_manifest),
        ("a row less", &without_a_row, &original_manifest),
        ("another manifest", &original, &other_manifest),
    ] {
        std::fs::write(&file, file_bytes).unwrap();
        std::fs::write(&manifest, manifest_bytes).unwrap();
        let found = people.asker.client.post(&verify, &json!({})).await.expect(200).json();
        assert!(found.to_string().contains("tampered"), "{what}: {found}");
        let offline = command_line::daybook(&["export", "verify", file.to_str().unwrap()]).await;
        assert_ne!(offline.code, 0, "{what}: {offline:?}");
    }
    std::fs::write(&file, &original).unwrap();
    std::fs::write(&manifest, &original_manifest).unwrap();
    let shown = people.once(&export, &["generated"]).await;
    assert_eq!(shown["verification_status"], "tampered", "{shown}");
    let batch =
        people.asker.client.post("/exports/batch_verify?export_type=transactions", &json!({})).await.expect(200);
    assert!(batch.body.contains(&export) && batch.body.contains("verified"), "{}", batch.body);
    bytes(&people.asker, &format!("/v1/exports/{export}/file")).await;
}
