//! Proof files, replays and evidence pages, as somebody uses them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
mod signing;
mod workbench;

use daybook_auditor::checkpoint::Checkpoint;
use daybook_auditor::entry_facts::EntryFacts;
use daybook_auditor::tlog_proof::TlogProof;
use serde_json::json;
use workbench::{Bench, kinds};

fn proof_of(bench: &Bench, position: u64) -> (String, TlogProof) {
    let path = bench.folder().join(format!("{position}.tlog-proof")).display().to_string();
    let (code, text) = bench.run(&["prove", bench.path(), &position.to_string(), "-o", &path]);
    assert_eq!(code, 0, "{text}");
    let proof = TlogProof::parse(&std::fs::read(&path).unwrap()).unwrap();
    (path, proof)
}

#[tokio::test]
async fn a_proof_checks_offline_with_nothing_but_the_key() {
    let bench = Bench::new().await;
    bench.grow(500).await;
    bench.checkpoint().await;
    for position in [0, 29, 255, 256, bench.size() - 1] {
        let (path, proof) = proof_of(&bench, position);
        assert!(std::fs::metadata(&path).unwrap().len() < 2_000);
        assert_eq!(proof.to_text(), std::fs::read_to_string(&path).unwrap());
        let facts = EntryFacts::parse(proof.extra.as_ref().unwrap()).unwrap();
        assert_eq!((facts.position, facts.to_bytes()), (position, proof.extra.clone().unwrap()));
        let hash = blake3::hash(&facts.to_bytes()).to_hex().to_string();
        let receipt = json!({"ledger_id": "main", "position": position, "hash": hash}).to_string();
        let (code, outcome) = bench.run(&["check", &path, "--keys", &bench.keys(), "--receipt", &receipt, "--json"]);
        assert_eq!(code, 0, "{outcome:#}");
        for question in ["inclusion", "authorship", "receipt"] {
            assert_eq!(outcome[question]["verdict"], "verified", "{question}");
        }
    }
    let (code, _) = bench.run(&["prove", bench.path(), &bench.size().to_string()]);
    assert_eq!(code, 2);
}

#[tokio::test]
async fn a_proof_changed_anywhere_is_refused() {
    let bench = Bench::new().await;
    bench.checkpoint().await;
    let (path, proof) = proof_of(&bench, 7);
    let check = |proof: &TlogProof| {
        let changed = bench.write("changed.tlog-proof", &proof.to_text());
        let (code, outcome) = bench.run(&["check", &changed, "--keys", &bench.keys(), "--json"]);
        (code, kinds(&outcome["findings"]).first().map(|(kind, _, _)| kind.clone()).unwrap_or_default())
    };
    let invalid = (1, "proof_invalid".to_owned());
    assert_eq!(check(&proof).0, 0);
    let mut changed = proof.clone();
    changed.index = 8;
    assert_eq!(check(&changed), invalid);
    let mut changed = proof.clone();
    changed.path[2][5] ^= 1;
    assert_eq!(check(&changed), invalid);
    let mut changed = proof.clone();
    changed.path.pop();
    assert_eq!(check(&changed), invalid);
    let mut changed = proof.clone();
    changed.extra = None;
    assert_eq!(check(&changed), invalid);
    for index in 0..proof.extra.as_ref().unwrap().len() {
        let mut changed = proof.clone();
        changed.extra.as_mut().unwrap()[index] ^= 1;
        if index % 41 == 0 {
            assert_eq!(check(&changed), invalid, "byte {index}");
        }
    }
    // Another checkpoint, rightly signed, whose root is another.
    let note = bench.key().checkpoint(workbench::ORIGIN, proof.checkpoint.size, [1; 32]);
    let mut changed = proof.clone();
    changed.checkpoint = Checkpoint::parse(note.as_bytes()).unwrap();
    assert_eq!(check(&changed), invalid);
    // The receipt of another entry.
    let receipt = json!({"ledger_id": "main", "position": 8, "hash": "00"}).to_string();
    let (code, outcome) = bench.run(&["check", &path, "--receipt", &receipt, "--json"]);
    assert_eq!((code, outcome["receipt"]["verdict"].as_str().unwrap()), (1, "failed"));
    // Another's key.
    let other = bench.write("other.txt", &signing::LogKey::ed25519(5).verifier_key(workbench::ORIGIN));
    let (code, outcome) = bench.run(&["check", &path, "--keys", &other, "--json"]);
    assert_eq!((code, kinds(&outcome["findings"])[0].0.as_str()), (1, "key_unknown"));
}

#[tokio::test]
async fn a_proof_is_of_the_very_entry_that_is_shown() {
    let bench = Bench::new().await;
    bench.checkpoint().await;
    let (path, proof) = proof_of(&bench, 4);
    let facts = EntryFacts::parse(proof.extra.as_ref().unwrap()).unwrap();
    let connection = rusqlite::Connection::open(bench.path()).unwrap();
    let sql = "select cast(payload as text), cast(metadata as text) from ledger_entries where position = 4";
    let (payload, metadata): (String, String) =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let shown = |payload: &str, actor: &str| {
        let hash = blake3::hash(&facts.to_bytes()).to_hex();
        // By hand, since the exact text of payload and metadata is what was hashed.
        format!(
            r#"{{"ledger_id":"main","position":4,"stream_type":"{}","stream_id":"{}","version":{},"event_type":"{}",
                "schema_version":{},"recorded_at":"","recorded_at_us":{},"actor_kind":"{}","actor_id":"{actor}",
                "metadata":{metadata},"payload":{payload},"hash":"{hash}"}}"#,
            facts.stream_type,
            facts.stream_id,
            facts.version,
            facts.event_type,
            facts.schema_version,
            facts.recorded_at,
            facts.actor_kind
        )
    };
    for (entry, verdict) in [
        (shown(&payload, &facts.actor_id), "verified"),
        (shown(&payload.replacen(':', ": ", 1), &facts.actor_id), "failed"),
        (shown(&payload, "usr_other"), "failed"),
        (shown("null", &facts.actor_id), "not_checked"),
        ("{}".to_owned(), "failed"),
    ] {
        let file = bench.write("entry.json", &entry);
        let (code, outcome) = bench.run(&["check", &path, "--entry", &file, "--json"]);
        assert_eq!((code, outcome["payload"]["verdict"].as_str().unwrap()), (i32::from(verdict == "failed"), verdict));
    }
}

#[tokio::test]
async fn no_proof_comes_of_entries_that_are_not_the_ones_signed() {
    let bench = Bench::new().await;
    bench.checkpoint().await;
    bench.rewrite(3, |entry| entry[common::image::PAYLOAD] = common::image::Value::Blob(b"{}".to_vec()));
    let (code, _) = bench.run(&["prove", bench.path(), "9"]);
    assert_eq!(code, 1);
}

#[tokio::test]
async fn a_stream_is_folded_to_what_was_known_then() {
    let bench = Bench::new().await;
    let example = |event: &str| {
        let catalogue = daybook_domain::catalogue();
        catalogue.iter().find(|known| known.event_type == event).unwrap().example.to_owned()
    };
    let (start, hour) = (1_800_000_000_000_000, 3_600_000_000);
    let stream = ("transaction", "TX-REAL");
    bench.record(stream, 0, ("transaction.recorded", &example("transaction.recorded")), start).await;
    let changed = example("transaction.status_changed");
    bench.record(stream, 1, ("transaction.status_changed", &changed), start + hour).await;
    let replay = |at: &str| bench.run(&["replay", bench.path(), "--state", "transaction/TX-REAL", "--at", at]);
    let (code, now) = bench.run(&["replay", bench.path(), "--state", "transaction/TX-REAL"]);
    assert_eq!(code, 0, "{now:#}");
    assert_eq!((now["version"].as_u64(), now["entries"].as_array().unwrap().len()), (Some(2), 2));
    assert_eq!(now["notes"], json!([]));
    let (code, then) = replay("2027-01-15T08:30:00Z");
    assert_eq!((code, then["version"].as_u64()), (0, Some(1)));
    assert_ne!(then["state"]["recorded"]["status"], now["state"]["recorded"]["status"]);
    assert_eq!(replay("2027-01-15").1["version"], 2);
    assert_eq!(replay("2027-01-14").0, 1);
    // A type that nobody here knows is listed.
    bench.record(("parcel", "P-1"), 0, ("parcel.sent", r#"{"to":"x"}"#), start + 2 * hour).await;
    let (code, parcel) = bench.run(&["replay", bench.path(), "--state", "parcel/P-1"]);
    assert_eq!(code, 0);
    assert_eq!((parcel["state"].is_null(), parcel["entries"][0]["payload"].as_str()), (true, Some(r#"{"to":"x"}"#)));
}

#[tokio::test]
async fn an_evidence_page_says_everything_and_loads_nothing() {
    let bench = Bench::new().await;
    let kept = bench.checkpoint().await;
    bench.execute("update ledger_entries set event_type = '<script>alert(1)</script>' where position = 5");
    bench.execute("update ledger_entries set actor_kind = '<b onload=''x''>' where position = 9");
    let page = bench.folder().join("page.html").display().to_string();
    let arguments =
        ["report", bench.path(), "--checkpoint", &kept, "--keys", &bench.keys(), "--format", "html", "-o", &page];
    assert_eq!(bench.run(&arguments).0, 1);
    let html = std::fs::read_to_string(&page).unwrap();
    for part in [
        "<!doctype html>",
        "<html lang=\"en\">",
        "Integrity",
        "Completeness",
        "Authorship",
        "Time",
        "What this does not prove",
        "hash_mismatch",
        "position 5",
        workbench::ORIGIN,
        "@media print",
        "prefers-color-scheme: dark",
    ] {
        assert!(html.contains(part), "{part}");
    }
    for part in ["<script", "<b onload", "http://", "https://", "@import", "url(", "src="] {
        assert!(!html.contains(part), "{part}");
    }
    let (code, text) = bench.run(&["report", bench.path(), "--checkpoint", &kept]);
    assert_eq!(code, 1);
    let text = text.as_str().unwrap();
    assert!(text.contains("does not prove") && text.contains("hash_mismatch at position 5"), "{text}");
    let (_, json) = bench.run(&["report", bench.path(), "--format", "json"]);
    assert_eq!((json["format"].as_str(), json["verdict"].as_str()), (Some("daybook-evidence-v1"), Some("failed")));
}

#[tokio::test]
async fn what_cannot_be_read_ends_with_two() {
    let bench = Bench::new().await;
    let text = bench.write("text.db", "this is no database, however long it may be. ".repeat(100).as_str());
    for arguments in [
        &["verify", "/nowhere/ledger.db"][..],
        &["verify", &text],
        &["verify", bench.path(), "--keys", &text],
        &["verify", bench.path(), "--ledger", "unheard-of"],
        &["verify", "http://127.0.0.1:9"],
        &["remember", bench.path()],
        &["prove", bench.path(), "0"],
        &["replay", bench.path(), "--state", "transaction"],
        &["unheard-of"],
    ] {
        assert_eq!(bench.run(arguments).0, 2, "{arguments:?}");
    }
}

#[tokio::test]
async fn a_damaged_memory_is_never_taken_for_none() {
    let bench = Bench::new().await;
    bench.checkpoint().await;
    bench.remember_expecting(0);
    let memory = bench.folder().join("memory");
    let log = std::fs::read_dir(&memory).unwrap().next().unwrap().unwrap().path();
    let file = log.join("memory.json");
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, before.replacen("\"size\": 31", "\"size\": 30", 1)).unwrap();
    assert_eq!(bench.verify(&[]).0, 2);
    std::fs::write(&file, &before).unwrap();
    assert_eq!(bench.verify(&[]).0, 0);
    std::fs::write(log.join("tile-roots-31.bin"), [0; 32]).unwrap();
    assert_eq!(bench.verify(&[]).0, 2);
}
