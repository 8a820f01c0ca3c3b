//! A server and a bundle are verified as a store is: what they hold is recomputed, and what was changed is named.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::Path;

use common::lines::{Files, Served, bundle, relist, root_of, write_zip};
use common::{START, append};
use daybook_auditor::{FindingKind, Report, Source, SourceError, VerifyOptions, verify};
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Entry, Store as _};
use rand::{Rng as _, SeedableRng as _};

/// A ledger of 700 entries in 50 streams.
async fn ledger(folder: &Path) -> Vec<Entry> {
    let store = SqliteStore::open(folder.join("ledger.db")).unwrap();
    let main = "main".parse().unwrap();
    for number in 0..700_usize {
        let one = append(number, "transaction", &format!("TX-{}", number % 50), (number / 50) as u64, 1);
        let one = daybook_ledger::Append { command: None, ..one };
        store.append(&main, &[one], START + number as i64).await.unwrap().remove(0).unwrap();
    }
    store.entries(&main, 0, 1_000).await.unwrap()
}

async fn verify_server(served: Served) -> Result<Report, SourceError> {
    let source = Source::Server { url: served.start().await, token: Some("secret".to_owned()) };
    verify(source, VerifyOptions::default(), |_| {}).await
}

async fn verify_bundle(folder: &Path, files: &Files) -> Result<Report, SourceError> {
    let path = folder.join("bundle.zip");
    write_zip(&path, files);
    verify(Source::Bundle(path), VerifyOptions::default(), |_| {}).await
}

fn all_findings(report: &Report) -> Vec<(Option<i64>, FindingKind)> {
    let ledgers = report.ledgers.iter().flat_map(|ledger| &ledger.integrity.findings);
    report.findings.iter().chain(ledgers).map(|finding| (finding.position, finding.kind)).collect()
}

#[tokio::test]
async fn server_comes_to_the_same_hash_and_root_as_its_store() {
    let folder = tempfile::tempdir().unwrap();
    let entries = ledger(folder.path()).await;
    let report = verify_server(Served::of(&entries)).await.unwrap();
    assert_eq!(report.exit_code(), 0, "{report}");
    let main = &report.ledgers[0];
    assert_eq!((main.size, main.streams), (700, 50));
    assert_eq!(main.hash, Some(entries[699].hash.to_string()));
    assert_eq!(main.root, Some(root_of(&entries).to_string()));
}

#[tokio::test]
async fn what_a_server_changes_or_keeps_back_is_named_with_its_position() {
    let folder = tempfile::tempdir().unwrap();
    let entries = ledger(folder.path()).await;
    let tampered = |change: &dyn Fn(&mut Vec<String>)| {
        let served = Served::of(&entries);
        change(&mut served.lines.lock().unwrap());
        served
    };
    type Change<'a> = (&'a dyn Fn(&mut Vec<String>), i64, FindingKind);
    let cases: [Change<'_>; 5] = [
        (&|lines| lines[150] = lines[150].replace("\"EUR\"", "\"USD\""), 150, FindingKind::PayloadDigestMismatch),
        (&|lines| lines[3] = lines[3].replace("\"version\":1", "\"version\":2"), 3, FindingKind::HashMismatch),
        (&|lines| drop(lines.remove(400)), 400, FindingKind::PositionGap),
        (&|lines| lines.truncate(650), 650, FindingKind::PositionGap),
        (&|lines| lines[9] = lines[9].replace("2024-01-01T", "2025-01-01T"), 9, FindingKind::InvalidValue),
    ];
    for (change, position, kind) in cases {
        let report = verify_server(tampered(change)).await.unwrap();
        assert_eq!(report.exit_code(), 1, "{kind:?}");
        assert_eq!(all_findings(&report).first(), Some(&(Some(position), kind)), "{report}");
    }
}

#[tokio::test]
async fn server_that_refuses_or_breaks_off_gives_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let entries = ledger(folder.path()).await;
    let url = Served::of(&entries).start().await;
    let refused = verify(Source::Server { url: url.clone(), token: None }, VerifyOptions::default(), |_| {}).await;
    assert!(matches!(&refused, Err(SourceError::Unreadable(why)) if why.contains("401")), "{refused:?}");
    let options = VerifyOptions { ledger: Some("unheard-of".to_owned()), ..VerifyOptions::default() };
    let unknown = verify(Source::Server { url, token: Some("secret".to_owned()) }, options, |_| {}).await;
    assert!(matches!(unknown, Err(SourceError::NoLedger(_))), "{unknown:?}");
    let cut = Served { cut: Some(5_000), ..Served::of(&entries) };
    let broken = verify_server(cut).await;
    assert!(matches!(broken, Err(SourceError::Unreadable(_))), "{broken:?}");
}

#[tokio::test]
async fn bundles_of_any_part_verify_and_say_which_part_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let entries = ledger(folder.path()).await;
    for (from, to) in [(0, 700), (0, 1), (300, 301), (250, 600), (699, 700), (256, 512)] {
        let report = verify_bundle(folder.path(), &bundle(&entries, from, to, None)).await.unwrap();
        assert_eq!((report.exit_code(), report.entries), (0, (to - from) as u64), "{from} to {to}: {report}");
        let part = report.ledgers[0].part.as_ref().unwrap();
        assert_eq!((part.from, part.to, part.checkpoint_size), (from as u64, to as u64, 700));
        assert_eq!(part.checkpoint_root, Some(root_of(&entries).to_string()));
        assert!(part.checkpoint.as_ref().unwrap().starts_with("daybook.local/main\n700\n"));
        // From the first entry on, the part is a tree of its own.
        let root = (from == 0).then(|| root_of(&entries[..to]).to_string());
        assert_eq!(report.ledgers[0].root, root, "{from} to {to}");
    }
    let report =
        verify_bundle(folder.path(), &bundle(&entries, 100, 700, Some(("transaction", "TX-7")))).await.unwrap();
    assert_eq!((report.exit_code(), report.entries, report.ledgers[0].streams), (0, 12, 1), "{report}");
    assert_eq!(report.ledgers[0].part.as_ref().unwrap().stream.as_deref(), Some("transaction/TX-7"));
}

#[tokio::test]
async fn what_is_changed_in_a_bundle_is_named_although_its_manifest_was_made_right() {
    let folder = tempfile::tempdir().unwrap();
    let entries = ledger(folder.path()).await;
    let edit = |files: &mut Files, change: &dyn Fn(String) -> String| {
        let text = String::from_utf8(files["entries.ndjson"].clone()).unwrap();
        let changed = change(text.clone());
        assert_ne!(text, changed);
        files.insert("entries.ndjson".to_owned(), changed.into_bytes());
    };
    let without = |text: String, position: u64| -> String {
        let kept = text.lines().filter(|line| !line.contains(&format!("\"position\":{position},")));
        kept.map(|line| format!("{line}\n")).collect()
    };
    let stream = Some(("transaction", "TX-7"));
    type Case<'a> = (Option<(&'a str, &'a str)>, &'a dyn Fn(&mut Files), Option<i64>, FindingKind);
    let cases: [Case<'_>; 9] = [
        (
            None,
            &|files| edit(files, &|text| text.replacen("\"EUR\"", "\"USD\"", 1)),
            Some(200),
            FindingKind::PayloadDigestMismatch,
        ),
        (None, &|files| edit(files, &|text| text.replacen("usr_", "usx_", 1)), Some(200), FindingKind::ProofInvalid),
        (None, &|files| edit(files, &|text| without(text, 333)), Some(333), FindingKind::PositionGap),
        (None, &|files| edit(files, &|text| without(text, 499)), Some(499), FindingKind::PositionGap),
        (None, &|files| files.get_mut("tile/0/001").unwrap()[0] ^= 1, Some(256), FindingKind::ProofInvalid),
        (None, &|files| files.get_mut("tile/0/002.p/188").unwrap()[0] ^= 1, None, FindingKind::TreeNotExtending),
        (None, &|files| drop(files.remove("tile/0/002.p/188")), None, FindingKind::TileMismatch),
        (stream, &|files| edit(files, &|text| without(text, 357)), Some(407), FindingKind::VersionGap),
        (
            None,
            &|files| drop(files.insert("checkpoint".to_owned(), b"nothing\n".to_vec())),
            None,
            FindingKind::CheckpointMalformed,
        ),
    ];
    for (stream, change, position, kind) in cases {
        let mut files = bundle(&entries, 200, 500, stream);
        change(&mut files);
        // As it is, the manifest shows that a file is another one.
        let report = verify_bundle(folder.path(), &files).await.unwrap();
        assert!(all_findings(&report).contains(&(None, FindingKind::BundleMismatch)), "{kind:?}: {report}");
        relist(&mut files);
        let report = verify_bundle(folder.path(), &files).await.unwrap();
        assert_eq!(report.exit_code(), 1, "{kind:?}");
        assert!(all_findings(&report).contains(&(position, kind)), "{kind:?}: {:?}", all_findings(&report));
    }
    let mut files = bundle(&entries, 200, 500, None);
    files.insert("../../etc/more".to_owned(), b"more".to_vec());
    let report = verify_bundle(folder.path(), &files).await.unwrap();
    assert_eq!(all_findings(&report), [(None, FindingKind::BundleMismatch)]);
}

#[tokio::test]
async fn entry_forged_into_a_bundle_with_its_hash_is_not_under_the_root() {
    let folder = tempfile::tempdir().unwrap();
    let entries = ledger(folder.path()).await;
    let mut forged = entries.clone();
    forged[420].payload = Some("{}".to_owned());
    forged[420].payload_digest = daybook_ledger::canonical::digest(b"{}");
    for position in 420..forged.len() {
        forged[position].previous_hash = forged[position - 1].hash;
        forged[position].hash =
            daybook_ledger::canonical::digest(&daybook_ledger::canonical::canonical_bytes(&forged[position]));
    }
    // The forged entries with the tiles and the checkpoint of the true ones.
    let mut files = bundle(&entries, 200, 500, None);
    files.insert("entries.ndjson".to_owned(), bundle(&forged, 200, 500, None)["entries.ndjson"].clone());
    relist(&mut files);
    let report = verify_bundle(folder.path(), &files).await.unwrap();
    assert_eq!(all_findings(&report).first(), Some(&(Some(420), FindingKind::ProofInvalid)), "{report}");
    assert_eq!(all_findings(&report).len(), 80);
}

#[tokio::test]
async fn bytes_that_are_no_bundle_give_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let entries = ledger(folder.path()).await;
    let files = bundle(&entries, 0, 10, None);
    let path = folder.path().join("bundle.zip");
    write_zip(&path, &files);
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let report = verify(Source::Bundle(path.clone()), VerifyOptions::default(), |_| {}).await;
        assert!(matches!(report, Err(SourceError::Unreadable(_))), "{length}: {report:?}");
    }
    let missing = verify(Source::Bundle(folder.path().join("missing.zip")), VerifyOptions::default(), |_| {}).await;
    assert!(matches!(missing, Err(SourceError::NoFile(_))), "{missing:?}");
    // Any flipped byte is a finding, or makes it unreadable, or is in what a zip file has beside its files.
    let mut found = 0;
    for place in (0..whole.len()).step_by(whole.len() / 150) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        std::fs::write(&path, bytes).unwrap();
        match verify(Source::Bundle(path.clone()), VerifyOptions::default(), |_| {}).await {
            Ok(report) => found += usize::from(report.exit_code() != 0),
            Err(_) => found += 1,
        }
    }
    assert!(found > 100, "{found}");
    for (name, value) in
        [("format", "other".into()), ("from", 10.into()), ("to", 701.into()), ("ledger_id", "..".into())]
    {
        let mut files = bundle(&entries, 0, 10, None);
        let mut manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        manifest[name] = value;
        files.insert("manifest.json".to_owned(), manifest.to_string().into_bytes());
        let report = verify_bundle(folder.path(), &files).await;
        assert!(matches!(report, Err(SourceError::Unreadable(_))), "{name}: {report:?}");
    }
}

/// What a bundle's lines say of their entries; hexadecimal digits may be written in either way.
fn said(files: &Files) -> Option<Vec<Vec<String>>> {
    const SAID: [&str; 14] = [
        "ledger_id",
        "position",
        "event_id",
        "stream_type",
        "stream_id",
        "version",
        "event_type",
        "schema_version",
        "recorded_at_us",
        "actor_kind",
        "actor_id",
        "metadata",
        "payload",
        "hash",
    ];
    let text = String::from_utf8(files["entries.ndjson"].clone()).ok()?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            let plain = |name: &str| match name {
                "event_id" | "hash" => line[name].to_string().to_lowercase().replace('-', ""),
                _ => line[name].to_string(),
            };
            Some(SAID.iter().map(|name| plain(name)).collect())
        })
        .collect()
}

/// Fuzzing with a time budget: `DAYBOOK_FUZZ_SECONDS`, two unless set.
#[tokio::test]
async fn bundle_whose_bytes_were_changed_at_random_never_verifies_as_another_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let entries = ledger(folder.path()).await;
    let original = bundle(&entries, 250, 262, None);
    let names: Vec<String> = original.keys().cloned().collect();
    let seconds = std::env::var("DAYBOOK_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    let (mut tried, mut refused) = (0, 0);
    while std::time::Instant::now() < end {
        let mut files = original.clone();
        let name = &names[random.random_range(0..names.len())];
        let bytes = files.get_mut(name).unwrap();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..=bytes.len());
            match random.random_range(0..4) {
                0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
                1 => drop(bytes.drain(at..(at + random.random_range(1..40)).min(bytes.len()))),
                2 => bytes.insert(at, random.random()),
                _ => {
                    let piece = bytes[..at.min(64)].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        // A forger makes the manifest right, unless it is the manifest that was changed.
        if name != "manifest.json" {
            relist(&mut files);
        }
        tried += 1;
        match verify_bundle(folder.path(), &files).await {
            Ok(report) if report.exit_code() == 0 => {
                assert!(said(&files) == said(&original), "{name} was changed and verifies: {:?}", files[name]);
            }
            Ok(_) | Err(_) => refused += 1,
        }
    }
    assert!(refused * 2 > tried, "{refused} of {tried} were refused");
}
