//! Exports: a file, its manifest, its signature, and the ledger they come from. Each fault has its name, here and in the
//! verifier in Python.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
mod signing;
mod story;
mod workbench;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_ledger::Hash;
use daybook_ledger::merkle::root_of;
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use story::{Life, Story, approved_export};
use workbench::ORIGIN;

const CSV: &str = "transaction_id,amount\r\nTX-1,10.00\r\nTX-2,\"1,5\"\r\nTX-3,\"two\r\nlines\"\r\n";

/// An export as it left the house.
struct Export {
    story: Story,
    life: Life,
    generated: usize,
    manifest: Json,
}

fn hash_at(story: &Story, position: u64) -> String {
    let connection = rusqlite::Connection::open(story.bench.path()).unwrap();
    let sql = "select hash from ledger_entries where position = ?1";
    hex::encode(connection.query_row(sql, [position], |row| row.get::<_, Vec<u8>>(0)).unwrap())
}

/// RFC 6962, 2.1.1, word by word.
fn audit_path(position: usize, leaves: &[Hash]) -> Vec<String> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(1 << (leaves.len() - 1).ilog2());
    let (mut path, other) = match position.checked_sub(left.len()) {
        None => (audit_path(position, left), right),
        Some(position) => (audit_path(position, right), left),
    };
    path.push(root_of(other).to_string());
    path
}

fn digests(bytes: &[u8]) -> (String, String) {
    (blake3::hash(bytes).to_hex().to_string(), hex::encode(Sha256::digest(bytes)))
}

/// The one form that is signed. Members of JSON values are kept in order here.
fn canonical(manifest: &Json) -> Vec<u8> {
    format!("{manifest}\n").into_bytes()
}

impl Export {
    async fn new(format: &str, content: &[u8], rows: u64) -> Self {
        let mut story = Story::new().await;
        let life = approved_export(&mut story, "exp_1", "apr_1").await;
        let note = std::fs::read_to_string(story.bench.checkpoint().await).unwrap();
        let size = story.bench.size();
        let last = size - 1;
        let (first_hash, last_hash) = (hash_at(&story, 0), hash_at(&story, last));
        let root: Vec<u8> = STANDARD.decode(note.lines().nth(2).unwrap()).unwrap();
        let (blake3, sha256) = digests(content);
        let key = story.bench.key().verifier_key(ORIGIN);
        let key_id = key.split('+').nth(1).unwrap();
        let name = format!("exp_1.1.{format}");
        let leaves = story.bench.leaves().await;
        let (leaf, path) = (leaves[last as usize].to_string(), audit_path(last as usize, &leaves));
        let range = json!({"first":0,"first_hash":first_hash,"last":last,"last_hash":last_hash});
        let manifest = json!({
            "approval":{"approval_id":"apr_1","approved_by":["usr_ben"],"digest":life.digest,"policy_version":0},
            "columns":[{"kind":"text","name":"transaction_id"},{"kind":"decimal","name":"amount"}],
            "export_id":"exp_1",
            "file":{"blake3":blake3,"bytes":content.len(),"format":format,"name":name,"rows":rows,"sha256":sha256},
            "format":"daybook export manifest 1",
            "ledger":{"checkpoint":{"inclusion":path,"leaf":leaf,"note":note,"root":hex::encode(root),"size":size},"ledger_id":"main","origin":ORIGIN,
                "range":range},
            "query":{"filters":{"currency":"USD"},"kind":"transactions"},
            "request":{"by":"key_1","person":"usr_ana"},
            "signing_key":{"algorithm":"ecdsa-p256-sha256","key_id":key_id},
            "software":{"name":"daybook","version":"0.1.0"},
            "times":{"approved_at":story.at(),"generated_at":story.at(),"requested_at":story.at()},
        });
        let mut export = Self { story, life, generated: 0, manifest };
        std::fs::write(export.file(), content).unwrap();
        export.sign();
        let (manifest_blake3, manifest_sha256) = digests(&canonical(&export.manifest));
        let signature = STANDARD.encode(std::fs::read(export.beside("sig")).unwrap());
        let at = export.story.at();
        let stream = ("export", "exp_1");
        let started = json!({"attempt":1,"fence":1,"at":at});
        export.story.tell(stream, "export.generation_started", started).await;
        let generated = json!({"attempt":1,"file":name,"bytes":content.len(),"rows":rows,"blake3":blake3,"sha256":sha256,
            "manifest":{"file":"exp_1.1.csv.manifest.json","blake3":manifest_blake3,"sha256":manifest_sha256},
            "signature":{"algorithm":"ecdsa-p256-sha256","key_id":key_id,"file":"exp_1.1.csv.sig","value":signature},
            "range":range,"checkpoint":{"size":size,"root":hex::encode(STANDARD.decode(note.lines().nth(2).unwrap()).unwrap())},
            "at":at});
        export.generated = export.story.tell(stream, "export.generated", generated).await;
        export
    }

    fn file(&self) -> PathBuf {
        self.story.bench.folder().join(self.manifest["file"]["name"].as_str().unwrap())
    }

    fn beside(&self, ending: &str) -> PathBuf {
        PathBuf::from(format!("{}.{ending}", self.file().display()))
    }

    /// Writes the manifest as it is now, and the signature of the log's key over it.
    fn sign(&self) {
        let bytes = canonical(&self.manifest);
        let signature: p256::ecdsa::Signature = self.story.bench.key().signing_p256().sign(&bytes);
        std::fs::write(self.beside("manifest.json"), bytes).unwrap();
        std::fs::write(self.beside("sig"), signature.to_der().as_bytes()).unwrap();
    }

    fn key(&self) -> String {
        self.story.bench.write("key.pem", &self.story.bench.key().pem())
    }

    fn check(&self, arguments: &[&str]) -> (i32, Json) {
        let file = self.file().display().to_string();
        self.story.bench.run(&[&["export", &file, "--json"], arguments].concat())
    }

    /// With the key and the ledger; kinds and positions of the findings.
    fn found(&self) -> Vec<(String, Option<u64>)> {
        let (code, report) = self.check(&["--key", &self.key(), "--store", self.story.bench.path()]);
        let found: Vec<_> =
            workbench::kinds(&report["findings"]).into_iter().map(|(kind, position, _)| (kind, position)).collect();
        assert_eq!(code, i32::from(!found.is_empty()), "{report:#}");
        found
    }

    fn kinds(&self) -> Vec<String> {
        self.found().into_iter().map(|(kind, _)| kind).collect()
    }

    /// Exit code, and names of the faults that the verifier in Python finds.
    fn python(&self, arguments: &[&str]) -> (i32, Vec<String>, Json) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/independent/verify_export.py");
        let output = Command::new("python3").arg("-B").arg(script).arg(self.file()).args(arguments).output().unwrap();
        let outcome: Json = serde_json::from_slice(&output.stdout).unwrap_or(Json::Null);
        let faults = outcome["faults"].as_array().cloned().unwrap_or_default();
        let kinds = faults.iter().map(|fault| fault["kind"].as_str().unwrap().to_owned()).collect();
        (output.status.code().unwrap(), kinds, outcome)
    }

    fn python_with_all(&self) -> Vec<String> {
        let (code, kinds, outcome) = self.python(&["--key", &self.key(), "--ledger", self.story.bench.path()]);
        assert_eq!(code, i32::from(!kinds.is_empty()), "{outcome:#}");
        kinds
    }
}

#[tokio::test]
async fn whole_export_is_verified_question_by_question() {
    let export = Export::new("csv", CSV.as_bytes(), 3).await;
    let (code, report) = export.check(&["--key", &export.key(), "--store", export.story.bench.path()]);
    assert_eq!((code, report["verdict"].as_str()), (0, Some("verified")), "{report:#}");
    for question in ["file", "signature", "recorded", "position", "inclusion", "approval"] {
        assert_eq!(report[question]["verdict"], "verified", "{question}: {report:#}");
    }
    assert_eq!(report["read"]["rows"], 3);
    let (code, report) = export.check(&["--key", &export.key()]);
    for (question, verdict) in [("signature", "verified"), ("inclusion", "verified"), ("position", "not_checked")] {
        assert_eq!((code, report[question]["verdict"].as_str()), (0, Some(verdict)), "{question}: {report:#}");
    }
    let (code, report) = export.check(&[]);
    assert_eq!((code, report["file"]["verdict"].as_str()), (0, Some("verified")));
    for question in ["signature", "recorded", "position", "inclusion", "approval"] {
        assert_eq!(report[question]["verdict"], "not_checked", "{question}: {report:#}");
    }
    let file = export.file().display().to_string();
    let (code, text) = export.story.bench.run(&["export", &file, "--key", &export.key()]);
    assert!(code == 0 && text.as_str().unwrap().contains("signature   verified"), "{text}");
    let (code, kinds, outcome) = export.python(&["--key", &export.key(), "--ledger", export.story.bench.path()]);
    assert_eq!((code, kinds.len(), outcome["not_checked"].as_array().unwrap().len()), (0, 0, 0), "{outcome:#}");
    let openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-verify", &export.key(), "-signature"])
        .arg(export.beside("sig"))
        .arg(export.beside("manifest.json"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(openssl.stdout).unwrap(), "Verified OK\n");
}

#[tokio::test]
async fn file_that_was_changed_is_told_from_one_with_rows_missing() {
    let export = Export::new("csv", CSV.as_bytes(), 3).await;
    let at = Some(export.generated as u64);
    for (content, kind) in [
        (CSV.replace("10.00", "90.00"), "file_changed"),
        (CSV.replace("TX-2,\"1,5\"\r\n", ""), "row_removed"),
        (format!("{CSV}TX-4,1\r\n"), "row_added"),
        (String::new(), "file_changed"),
    ] {
        std::fs::write(export.file(), &content).unwrap();
        let expected = vec![(kind.to_owned(), None), ("file_changed".to_owned(), at)];
        assert_eq!(export.found(), expected, "{content}");
        assert_eq!(export.python_with_all()[1], "file_changed");
    }
    std::fs::write(export.file(), CSV.replace("TX-2,\"1,5\"\r\n", "")).unwrap();
    assert_eq!(export.python_with_all(), ["row_removed", "file_changed"]);
}

#[tokio::test]
async fn manifest_signature_and_key_each_have_a_fault_of_their_own() {
    let export = Export::new("csv", CSV.as_bytes(), 3).await;
    let (manifest, signature) = (canonical(&export.manifest), std::fs::read(export.beside("sig")).unwrap());
    let restore = || {
        std::fs::write(export.beside("manifest.json"), &manifest).unwrap();
        std::fs::write(export.beside("sig"), &signature).unwrap();
    };
    // Changed after it was signed.
    let text = String::from_utf8(manifest.clone()).unwrap();
    std::fs::write(export.beside("manifest.json"), text.replace("\"USD\"", "\"EUR\"")).unwrap();
    assert_eq!(export.kinds(), ["manifest_changed", "manifest_changed"]);
    assert_eq!(export.python_with_all(), ["manifest_changed", "manifest_changed"]);
    // The same, written otherwise.
    std::fs::write(export.beside("manifest.json"), text.replacen(':', ": ", 1)).unwrap();
    assert_eq!(export.kinds(), ["manifest_changed", "manifest_changed", "manifest_changed"]);
    std::fs::write(export.beside("manifest.json"), "{}\n").unwrap();
    assert_eq!(export.check(&["--key", &export.key()]).0, 1);
    restore();
    // A signature over something else, and none at all.
    let other: p256::ecdsa::Signature = export.story.bench.key().signing_p256().sign(b"something else");
    std::fs::write(export.beside("sig"), other.to_der().as_bytes()).unwrap();
    assert_eq!(export.kinds(), ["signature_wrong", "signature_wrong"]);
    std::fs::write(export.beside("sig"), b"no signature").unwrap();
    assert_eq!(export.kinds(), ["signature_malformed", "signature_wrong"]);
    restore();
    // Another's key, and another's signature.
    let stranger = signing::LogKey::p256(7);
    let pem = export.story.bench.write("stranger.pem", &stranger.pem());
    let (code, report) = export.check(&["--key", &pem]);
    assert_eq!((code, report["findings"][0]["kind"].as_str()), (1, Some("wrong_key")));
    assert_eq!(export.python(&["--key", &pem]).1, ["wrong_key"]);
    let forged: p256::ecdsa::Signature = stranger.signing_p256().sign(&manifest);
    std::fs::write(export.beside("sig"), forged.to_der().as_bytes()).unwrap();
    let (code, report) = export.check(&["--key", &pem, "--key", &export.key()]);
    assert_eq!((code, report["findings"][0]["kind"].as_str()), (1, Some("wrong_key")), "{report:#}");
    restore();
    // The other form of S, as other tools make it, is as good to openssl; it is not the signature that was recorded.
    let low = p256::ecdsa::Signature::from_der(&signature).unwrap();
    let (r, s) = low.split_scalars();
    let high = p256::ecdsa::Signature::from_scalars(r, -*s.as_ref()).unwrap();
    std::fs::write(export.beside("sig"), high.to_der().as_bytes()).unwrap();
    assert_eq!(export.check(&["--key", &export.key()]).0, 0);
    assert_eq!(export.kinds(), ["signature_wrong"]);
}

#[tokio::test]
async fn manifest_that_is_signed_and_says_something_else_than_the_ledger_is_found() {
    let mut export = Export::new("csv", CSV.as_bytes(), 3).await;
    let whole = export.manifest.clone();
    let at = export.generated as u64;
    let unrecorded = [("manifest_changed".to_owned(), Some(at)), ("signature_wrong".to_owned(), Some(at))];
    let other = "0".repeat(64);
    let used = Some(export.life.consumed as u64);
    let last = whole["ledger"]["range"]["last"].as_u64();
    for (pointer, value, expected) in [
        (
            "/ledger/range/last_hash",
            json!(other),
            vec![("other_position", whole["ledger"]["range"]["last"].as_u64()), ("other_position", Some(at))],
        ),
        ("/ledger/range/first", json!(1), vec![("other_position", Some(1)), ("other_position", Some(at))]),
        (
            "/ledger/range/last",
            json!(at + 9),
            vec![
                ("other_position", Some(at + 9)),
                ("other_position", Some(at)),
                ("other_position", Some(at)),
                ("checkpoint_mismatch", None),
            ],
        ),
        ("/ledger/checkpoint/leaf", json!(other), vec![("checkpoint_mismatch", last)]),
        ("/ledger/checkpoint/inclusion/0", json!(other), vec![("checkpoint_mismatch", last)]),
        ("/ledger/checkpoint/root", json!(other), vec![("checkpoint_mismatch", None)]),
        ("/ledger/checkpoint/note", json!("no note"), vec![("checkpoint_mismatch", None)]),
        ("/approval/digest", json!(other), vec![("not_approved", used)]),
        ("/approval/approved_by", json!(["usr_cy"]), vec![("not_approved", used)]),
        ("/approval/approval_id", json!("apr_9"), vec![("not_approved", None)]),
    ] {
        export.manifest = whole.clone();
        *export.manifest.pointer_mut(pointer).unwrap() = value;
        export.sign();
        let expected = expected.into_iter().map(|(kind, position)| (kind.to_owned(), position));
        let expected: Vec<_> = unrecorded.iter().cloned().chain(expected).collect();
        assert_eq!(export.found(), expected, "{pointer}");
        assert_eq!(export.python_with_all()[0], "manifest_changed", "{pointer}");
    }
    // One of an export that nobody recorded.
    export.manifest = whole.clone();
    export.manifest["export_id"] = json!("exp_2");
    export.sign();
    let kinds = export.kinds();
    assert!(kinds.contains(&"not_in_ledger".to_owned()) && kinds.contains(&"not_approved".to_owned()), "{kinds:?}");
    assert!(export.python_with_all().contains(&"not_in_ledger".to_owned()));
    // The ledger itself was changed.
    export.manifest = whole;
    export.sign();
    export.story.bench.execute("update ledger_entries set payload = '{}' where position = 3");
    assert!(export.kinds().contains(&"ledger_failed".to_owned()));
}

#[tokio::test]
async fn every_form_of_file_has_its_rows_counted() {
    let lines = "{\"transaction_id\":\"TX-1\",\"amount\":\"1.0\"}\n{\"transaction_id\":\"TX-2\",\"amount\":null}\n";
    let array = format!("[\n{}\n]\n", lines.trim_end().replace('\n', ",\n"));
    for (format, content, rows) in [("ndjson", lines, 2), ("json", &array, 2), ("json", "[]\n", 0), ("ndjson", "", 0)] {
        let export = Export::new(format, content.as_bytes(), rows).await;
        assert_eq!(export.found(), [], "{format}");
        assert_eq!(export.python_with_all(), Vec::<String>::new(), "{format}");
        let lying = Export::new(format, content.as_bytes(), rows + 1).await;
        assert_eq!(lying.kinds(), ["row_removed"], "{format}");
        assert_eq!(lying.python_with_all(), ["row_removed"], "{format}");
    }
}

/// A Parquet file with so many rows in each of its groups.
fn parquet(groups: &[usize]) -> Vec<u8> {
    use parquet::data_type::{ByteArray, ByteArrayType};
    let schema = "message export { required binary transaction_id (UTF8); optional binary amount (UTF8); }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let mut writer = parquet::file::writer::SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    for rows in groups {
        let mut group = writer.next_row_group().unwrap();
        let values: Vec<ByteArray> = (0..*rows).map(|row| format!("TX-{row}").as_str().into()).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
        let levels = vec![0; *rows];
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&[], Some(&levels), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

#[tokio::test]
async fn rows_of_parquet_are_those_that_it_states_at_its_end() {
    for groups in [&[][..], &[1], &[300, 5_000]] {
        let content = parquet(groups);
        let rows = groups.iter().sum::<usize>() as u64;
        let export = Export::new("parquet", &content, rows).await;
        assert_eq!(export.found(), [], "{groups:?}");
        assert_eq!(export.python_with_all(), Vec::<String>::new(), "{groups:?}");
        assert_eq!(Export::new("parquet", &content, rows + 1).await.kinds(), ["row_removed"]);
        let (_, report) = Export::new("parquet", &content[..content.len() - 1], rows).await.check(&[]);
        assert_eq!(report["findings"][0]["kind"], "file_changed", "cut off: {report:#}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_ends_with_two() {
    let export = Export::new("csv", CSV.as_bytes(), 3).await;
    assert_eq!(export.check(&["--manifest", "/nowhere"]).0, 2);
    assert_eq!(export.check(&["--signature", "/nowhere"]).0, 2);
    assert_eq!(export.check(&["--key", "/nowhere"]).0, 2);
    assert_eq!(export.check(&["--store", "/nowhere"]).0, 2);
    std::fs::remove_file(export.file()).unwrap();
    assert_eq!(export.check(&[]).0, 2);
    assert_eq!(export.python(&[]).0, 2);
}
