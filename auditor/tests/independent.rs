//! The auditor against what was made without it: the published vectors, and the verifier in Python.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::image::*;
use common::{START, append, fill, settled_copy, verify_file};
use daybook_auditor::Verdict;
use daybook_ledger::canonical::{CanonicalFields, digest};
use daybook_ledger::merkle::Frontier;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Draft, Hash, Store};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn vectors() -> Json {
    let text = std::fs::read_to_string(repository().join("docs/ledger-vectors.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn bytes(vector: &Json, name: &str) -> Vec<u8> {
    hex::decode(vector[name].as_str().unwrap()).unwrap()
}

/// An entry of the vectors as the row that a store keeps.
fn row(vector: &Json) -> Row {
    let text = |name: &str| Value::Text(vector[name].as_str().unwrap().into());
    let utf8 = |name: &str| Value::Blob(vector[name].as_str().unwrap().into());
    let number = |name: &str| Value::Integer(vector[name].as_i64().unwrap());
    ENTRY_COLUMNS
        .map(|name| match name {
            "position" | "version" | "schema_version" | "recorded_at" => number(name),
            "metadata" | "payload" => utf8(name),
            "event_id" | "payload_digest" | "previous_hash" | "hash" => Value::Blob(bytes(vector, name)),
            _ => text(name),
        })
        .to_vec()
}

#[test]
fn canonical_bytes_hashes_and_leaves_are_the_published_ones() {
    for ledger in vectors()["ledgers"].as_array().unwrap() {
        for vector in ledger["entries"].as_array().unwrap() {
            let text = |name: &str| vector[name].as_str().unwrap();
            let number = |name: &str| vector[name].as_u64().unwrap();
            let mut canonical = Vec::new();
            CanonicalFields {
                ledger_id: text("ledger_id"),
                position: number("position"),
                event_id: &bytes(vector, "event_id").try_into().unwrap(),
                stream_type: text("stream_type"),
                stream_id: text("stream_id"),
                version: number("version"),
                event_type: text("event_type"),
                schema_version: number("schema_version"),
                recorded_at: number("recorded_at"),
                actor_kind: text("actor_kind"),
                actor_id: text("actor_id"),
                metadata_digest: digest(text("metadata").as_bytes()).as_bytes(),
                payload_digest: digest(text("payload").as_bytes()).as_bytes(),
                previous_hash: &bytes(vector, "previous_hash").try_into().unwrap(),
            }
            .write(&mut canonical);
            assert_eq!(hex::encode(&canonical), text("canonical_hex"));
            assert_eq!(digest(&canonical).to_string(), text("hash"));
            let leaf = Sha256::new().chain_update([0]).chain_update(&canonical).finalize();
            assert_eq!(hex::encode(leaf), text("merkle_leaf"));
        }
    }
}

#[tokio::test]
async fn ledger_of_the_published_vectors_verifies_to_the_published_root_at_every_size() {
    let folder = tempfile::tempdir().unwrap();
    for ledger in vectors()["ledgers"].as_array().unwrap() {
        let entries = ledger["entries"].as_array().unwrap();
        let mut tree = Frontier::default();
        for (index, vector) in entries.iter().enumerate() {
            tree.push(Hash(bytes(vector, "merkle_leaf").try_into().unwrap()));
            let path = folder.path().join(format!("{index}.db"));
            let connection = rusqlite::Connection::open(&path).unwrap();
            connection
                .execute_batch(
                    &std::fs::read_to_string(repository().join("migrations/sqlite/0001_ledger.sql")).unwrap(),
                )
                .unwrap();
            drop(connection);
            let head = vec![
                Value::Text(ledger["ledger_id"].as_str().unwrap().into()),
                Value::Integer(index as i64 + 1),
                Value::Blob(bytes(vector, "hash")),
                Value::Blob(bytes(vector, "merkle_root_after")),
                Value::Blob(tree.to_bytes()),
                Value::Integer(vector["recorded_at"].as_i64().unwrap()),
            ];
            let insert = |table, values| Change { table, row: None, values: Some(values) };
            let mut changes: Vec<_> =
                entries[..=index].iter().map(|vector| insert(Table::Entries, row(vector))).collect();
            changes.push(insert(Table::Heads, head));
            apply(&path, &changes);
            let report = verify_file(&path).await;
            // The vectors are about the format: their vote and their export are of no request.
            let integrity = &report.ledgers[0].integrity;
            assert!(report.findings.is_empty() && integrity.verdict == Verdict::Verified, "{report}");
            assert_eq!(report.ledgers[0].hash.as_deref(), vector["hash"].as_str());
            assert_eq!(report.ledgers[0].root.as_deref(), vector["merkle_root_after"].as_str());
        }
    }
}

fn python(arguments: &[&Path]) -> Output {
    let script = repository().join("tests/independent/verify_ledger.py");
    match Command::new("python3").arg(script).args(arguments).output() {
        Ok(output) => output,
        Err(error) => panic!("python3 is needed to run the independent verifier; install python3 ({error})"),
    }
}

fn lines(output: &Output) -> Vec<Json> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn verifier_in_python_comes_to_the_published_vectors() {
    let output = python(&[Path::new("--vectors"), &repository().join("docs/ledger-vectors.json")]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(lines(&output)[0]["root"], vectors()["ledgers"][0]["entries"][4]["merkle_root_after"]);
}

#[tokio::test]
async fn verifier_in_python_comes_to_the_same_heads_and_roots() {
    let folder = tempfile::tempdir().unwrap();
    let growing = folder.path().join("growing.db");
    let store = SqliteStore::open(&growing).unwrap();
    fill(&store).await;
    // Payloads of one to seventeen chunks of BLAKE3, on both sides of each border that matters.
    let lengths = [1, 64, 65, 1_023, 1_024, 1_025, 2_048, 2_049, 3_072, 3_073, 4_097, 7_169, 16_385];
    for (number, length) in lengths.into_iter().enumerate() {
        let mut one = append(number, "transaction", "TX-1", number as u64, 1);
        one.events = vec![Draft::new("transaction.recorded", 1, "x".repeat(length))];
        store.append(&"long".parse().unwrap(), &[one], START).await.unwrap().remove(0).unwrap();
    }
    let path = folder.path().join("ledger.db");
    settled_copy(&growing, &path);
    let report = verify_file(&path).await;
    assert_eq!((report.exit_code(), report.ledgers.len()), (0, 4), "{report}");
    // The settled file, and the one that the store has open with its write-ahead log.
    for file in [&path, &growing] {
        let output = python(&[file]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let theirs = lines(&output);
        assert_eq!(theirs.len(), report.ledgers.len());
        for (ours, theirs) in report.ledgers.iter().zip(theirs) {
            let expected = serde_json::json!({
                "ledger_id": ours.ledger_id, "size": ours.size, "hash": ours.hash, "root": ours.root, "ok": true
            });
            assert_eq!(theirs, expected);
        }
    }
}

#[tokio::test]
async fn verifier_in_python_finds_a_change_in_any_column() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("growing.db")).unwrap();
    for number in 0..3 {
        let one = append(number, "transaction", "TX-1", number as u64, 1);
        store.append(&"main".parse().unwrap(), &[one], START).await.unwrap().remove(0).unwrap();
    }
    let sample = folder.path().join("sample.db");
    settled_copy(&folder.path().join("growing.db"), &sample);
    let image = Image::read(&rusqlite::Connection::open(&sample).unwrap());
    let copy = folder.path().join("copy.db");
    for table in [Table::Entries, Table::Heads] {
        for (column, name) in table.columns().iter().enumerate() {
            let row = image.rows(table).len() - 1;
            let mut values = image.rows(table)[row].clone();
            values[column] = match &values[column] {
                Value::Integer(value) => Value::Integer(value + 1),
                Value::Text(bytes) => Value::Text([bytes.as_slice(), &[0xff]].concat()),
                Value::Blob(bytes) => Value::Blob(bytes.iter().map(|byte| byte ^ 1).collect()),
                other => other.clone(),
            };
            std::fs::copy(&sample, &copy).unwrap();
            apply(&copy, &[Change { table, row: Some(row), values: Some(values) }]);
            let output = python(&[&copy]);
            assert_eq!(output.status.code(), Some(1), "{}.{name}: {output:?}", table.name());
        }
    }
    assert_eq!(python(&[&folder.path().join("missing.db")]).status.code(), Some(2));
}
