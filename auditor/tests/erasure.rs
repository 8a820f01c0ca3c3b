//! Payloads of people who were erased are counted as erased, wherever the ledger is read from: not as present, not as
//! missing.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
mod signing;
mod workbench;

use std::path::Path;

use common::lines::{Served, bundle, line, write_zip};
use common::{START, append};
use daybook_auditor::report::PayloadCounts;
use daybook_auditor::{LedgerReport, Source, Verdict, VerifyOptions, verify};
use daybook_domain::{catalogue, events::STREAM_TYPES};
use daybook_ledger::store::postgres::PostgresStore;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Append, Draft, Entry, Store};
use workbench::Bench;

/// Entries of others between those that matter, so that they lie in several batches and several tiles.
const BETWEEN: usize = 1_500;
/// Position of `erasure.performed`.
const ERASURE: usize = 5 + 2 * BETWEEN;

fn sealed(subject: &str) -> String {
    format!(r#"{{"subject":"{subject}","sealed":"dbs1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXAAECAwQFBgcICQoLDA0ODw"}}"#)
}

fn one(stream: (&str, &str), version: u64, event_type: &str, payload: String) -> Append {
    let plain = append(1, stream.0, stream.1, version, 1);
    Append { events: vec![Draft::new(event_type.to_owned(), 1, payload)], command: None, ..plain }
}

/// Of 3,007 entries four hold values of `usr_1`, who is erased; one of these holds a value of `usr_2` as well, who is not
/// and has another entry.
async fn fill(store: &dyn Store) -> Vec<Entry> {
    let (ada, bob) = (sealed("usr_1"), sealed("usr_2"));
    let quoted = serde_json::to_string(&ada).unwrap();
    let others = |prefix: &'static str| {
        (0..BETWEEN).map(move |number| append(number, "transaction", &format!("{prefix}-{number}"), 0, 1))
    };
    let mut appends = vec![
        one(
            ("user", "usr_1"),
            0,
            "user.registered",
            format!(r#"{{"nonce":"00","email":{ada},"full_name":{ada},"origin":"registration"}}"#),
        ),
        one(("user", "usr_2"), 0, "user.registered", format!(r#"{{"email":{bob},"full_name":{bob}}}"#)),
        one(("incident", "i1"), 0, "incident.commented", format!(r#"{{"comment_id":"c1","text":{ada}}}"#)),
    ];
    appends.extend(others("A"));
    // Somebody's words, which look like a sealed value.
    appends.push(one(("incident", "i1"), 1, "incident.commented", format!(r#"{{"comment_id":"c2","text":{quoted}}}"#)));
    let reads = format!(r#"{{"reads":[{{"query":{bob}}},{{"query":{ada}}}]}}"#);
    appends.push(one(("access", "acc_1"), 0, "access.read", reads));
    appends.extend(others("B"));
    let performed = r#"{"subject":"usr_1","approved_by":"usr_2","key_destroyed_at":"2026-11-21T10:00:00.000000Z"}"#;
    appends.push(one(("erasure", "era_1"), 0, "erasure.performed", performed.to_owned()));
    // Recorded late, sealed before.
    appends.push(one(("session", "ses_1"), 0, "session.started", format!(r#"{{"user_id":"usr_1","client":{ada}}}"#)));
    let ledger = "main".parse().unwrap();
    for part in appends.chunks(500) {
        let part: Vec<Append> = part.iter().map(|one| Append { command: None, ..one.clone() }).collect();
        let outcomes = store.append(&ledger, &part, START).await.unwrap();
        outcomes.into_iter().for_each(|outcome| drop(outcome.unwrap()));
    }
    let mut entries = Vec::new();
    while entries.len() < appends.len() {
        entries.extend(store.entries(&ledger, entries.len() as u64, 1_000).await.unwrap());
    }
    assert_eq!(entries[ERASURE].event_type, "erasure.performed");
    entries
}

async fn sqlite(folder: &Path) -> (Source, Vec<Entry>) {
    let path = folder.join("ledger.db");
    let entries = fill(&SqliteStore::open(&path).unwrap()).await;
    (Source::Sqlite(path), entries)
}

async fn report(source: Source) -> LedgerReport {
    verify(source, VerifyOptions::default(), |_| {}).await.unwrap().ledgers.remove(0)
}

fn counts(present: usize, erased: u64) -> PayloadCounts {
    PayloadCounts { present: present as u64, erased, pruned: 0, missing: 0 }
}

#[tokio::test]
async fn payloads_of_somebody_erased_count_as_erased_and_the_ledger_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let (source, entries) = sqlite(folder.path()).await;
    let report = report(source).await;
    assert_eq!(report.integrity.verdict, Verdict::Verified, "{report}");
    assert_eq!((report.payloads, report.integrity.not_evaluated.len()), (counts(entries.len() - 4, 4), 0));
    assert!(report.to_string().contains("present, 4 erased, 0 pruned, 0 missing"), "{report}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["payloads"]["erased"], 4);
}

#[tokio::test]
async fn the_same_on_postgresql() {
    let Some(url) = common::postgres_url().await else { return };
    let entries = fill(&PostgresStore::open(&url, 4).await.unwrap()).await;
    let report = report(Source::Postgres(url)).await;
    assert_eq!((report.payloads, report.integrity.verdict), (counts(entries.len() - 4, 4), Verdict::Verified));
}

#[tokio::test]
async fn the_same_from_a_server_and_an_erasure_that_was_altered_erases_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (_, entries) = sqlite(folder.path()).await;
    let server =
        |served: Served| async { Source::Server { url: served.start().await, token: Some("secret".to_owned()) } };
    let sound = report(server(Served::of(&entries)).await).await;
    assert_eq!((sound.payloads, sound.integrity.verdict), (counts(entries.len() - 4, 4), Verdict::Verified));
    let served = Served::of(&entries);
    let altered = line(&entries[ERASURE]).replace(r#""subject":"usr_1""#, r#""subject":"usr_2""#);
    served.lines.lock().unwrap()[ERASURE] = altered;
    let altered = report(server(served).await).await;
    assert_eq!((altered.payloads, altered.integrity.verdict), (counts(entries.len(), 0), Verdict::Failed));
}

#[tokio::test]
async fn a_bundle_knows_the_erasures_that_are_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_, entries) = sqlite(folder.path()).await;
    for (from, to, erased) in [(0, entries.len(), 4), (0, ERASURE, 0), (2, entries.len(), 3), (ERASURE, ERASURE + 2, 1)]
    {
        let path = folder.path().join("bundle.zip");
        write_zip(&path, &bundle(&entries, from, to, None));
        let report = report(Source::Bundle(path)).await;
        let present = to - from - usize::try_from(erased).unwrap();
        assert_eq!(report.payloads, counts(present, erased), "{from} to {to}");
        assert_eq!(report.integrity.verdict, Verdict::Verified, "{from} to {to}");
    }
}

#[tokio::test]
async fn a_single_entry_says_that_it_was_erased() {
    let bench = Bench::new().await;
    let example = |event_type: &str| catalogue().iter().find(|event| event.event_type == event_type).unwrap().example;
    let (registered, performed) = (example("user.registered"), example("erasure.performed"));
    let user: serde_json::Value = serde_json::from_str(registered).unwrap();
    let user = user["email"]["subject"].as_str().unwrap();
    let position = bench.size();
    bench.record(("user", user), 0, ("user.registered", registered), START).await;
    bench.record(("user", user), 1, ("user.password_changed", r#"{"by":"self"}"#), START).await;
    let stream = format!("user/{user}");
    let replay = || bench.run(&["replay", bench.path(), "--state", &stream, "--at", "2026-11-21"]);
    let states = |outcome: &serde_json::Value| -> Vec<String> {
        let entries = outcome["entries"].as_array().unwrap();
        entries.iter().map(|entry| entry["payload_state"].as_str().unwrap().to_owned()).collect()
    };
    let (code, before) = replay();
    assert_eq!((code, states(&before)), (0, vec!["present".to_owned(); 2]), "{before}");
    // After the time that is asked for: the key is gone all the same.
    let later = START + 10_i64.pow(6) * 86_400 * 365 * 5;
    bench.record(("erasure", "era_1"), 0, ("erasure.performed", performed), later).await;
    let (code, after) = replay();
    assert_eq!((code, states(&after)), (0, vec!["erased".to_owned(), "present".to_owned()]), "{after}");
    assert!(after["notes"][0].as_str().unwrap().contains("nobody can read"), "{after}");
    assert_eq!(after["state"], before["state"]);

    bench.checkpoint().await;
    let proof = bench.folder().join("one.tlog-proof").display().to_string();
    assert_eq!(bench.run(&["prove", bench.path(), &position.to_string(), "-o", &proof]).0, 0);
    // Whoever wrote last may still be putting the file away.
    let store = SqliteStore::open_read_only(bench.path()).unwrap();
    let entry = store.entries(&"main".parse().unwrap(), position, 1).await.unwrap().remove(0);
    let entry = bench.write("entry.json", &line(&entry));
    let (code, outcome) = bench.run(&["check", &proof, "--keys", &bench.keys(), "--entry", &entry, "--json"]);
    assert_eq!((code, outcome["payload"]["verdict"].as_str().unwrap()), (0, "verified"), "{outcome}");
    assert!(outcome["payload"]["reason"].as_str().unwrap().contains("sealed"), "{outcome}");
}

#[tokio::test]
async fn streams_of_every_aggregate_are_folded() {
    let bench = Bench::new().await;
    for stream_type in STREAM_TYPES {
        for (version, event) in (0..).zip(catalogue().iter().filter(|event| event.stream_type == *stream_type)) {
            let payload = event.example;
            if event.event_type == "ledger.sealed" {
                continue;
            }
            let version = if *stream_type == "ledger" { version - 1 } else { version };
            bench.record((stream_type, "x"), version, (event.event_type, payload), START + 1_000_000).await;
        }
        let (code, outcome) = bench.run(&["replay", bench.path(), "--state", &format!("{stream_type}/x")]);
        assert_eq!(code, 0, "{stream_type}: {outcome}");
        let has_aggregate = !matches!(*stream_type, "ledger" | "ledger_keys" | "access");
        assert_eq!(outcome["state"].is_object(), has_aggregate, "{stream_type}: {outcome}");
    }
}
