//! Bundles of chosen entries, as evidence packs are: entries that do not follow each other are proved each by itself, and what
//! people read must be of the very entries beside it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed unwrap is a failed test"
)]

mod common;
mod signing;

use std::path::Path;

use common::lines::{Files, bundle, relist, root_of, write_zip};
use common::{START, append};
use daybook_auditor::examine::{Assignment, Examination, examine};
use daybook_auditor::keys::TrustedKeys;
use daybook_auditor::trust::Brought;
use daybook_auditor::{FindingKind, Report, Source, SourceError, VerifyOptions, evidence_page, evidence_text, verify};
use daybook_ledger::keys::time::rfc3339;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Entry, Store as _};
use p256::ecdsa::signature::Signer as _;
use signing::LogKey;

const ORIGIN: &str = "daybook.local/main";

/// Two records from their first entries on, in three tiles, the second not to its end.
const CHOSEN: [usize; 9] = [3, 4, 53, 54, 103, 153, 203, 253, 303];

/// A ledger of 700 entries in 50 streams.
async fn ledger(folder: &Path) -> Vec<Entry> {
    let store = SqliteStore::open(folder.join("ledger.db")).unwrap();
    let main = "main".parse().unwrap();
    for number in 0..700_usize {
        // One of them would be a formula to a spreadsheet.
        let name = if number % 50 == 3 { "=TX-3".to_owned() } else { format!("TX-{}", number % 50) };
        let one = append(number, "transaction", &name, (number / 50) as u64, 1);
        let one = daybook_ledger::Append { command: None, ..one };
        store.append(&main, &[one], START + number as i64).await.unwrap().remove(0).unwrap();
    }
    store.entries(&main, 0, 1_000).await.unwrap()
}

async fn verified(folder: &Path, files: &Files) -> Result<Report, SourceError> {
    let path = folder.join("pack.zip");
    write_zip(&path, files);
    verify(Source::Bundle(path), VerifyOptions::default(), |_| {}).await
}

fn trail_line(entry: &Entry) -> String {
    format!(
        "{},{},{},{}{},{},{},\"in words, \"\"quoted\"\"\r\nand more\",{},{}\r\n",
        entry.position,
        rfc3339(entry.recorded_at),
        entry.stream.stream_type,
        if entry.stream.stream_id.starts_with('=') { "'" } else { "" },
        entry.stream.stream_id,
        entry.version,
        entry.event_type,
        entry.actor.id,
        entry.hash
    )
}

/// A selection, right in everything but for its signature, which is for whoever holds keys to judge.
fn selection(entries: &[Entry], chosen: &[usize]) -> Files {
    let mut files = bundle(entries, chosen[0], chosen[chosen.len() - 1] + 1, None);
    let (mut lines, mut trail) = (
        String::new(),
        "position,recorded_at,stream_type,stream_id,version,event_type,what,actor_id,hash\r\n".to_owned(),
    );
    for place in chosen {
        lines.push_str(&format!("{}\n", common::lines::line(&entries[*place])));
        trail.push_str(&trail_line(&entries[*place]));
    }
    files.insert("entries.ndjson".to_owned(), lines.into_bytes());
    files.insert("trail.csv".to_owned(), trail.into_bytes());
    let mut manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    manifest["selection"] = serde_json::json!({"kind": "evidence_pack", "export_id": "exp_1", "records": 3});
    manifest["entries"] = chosen.len().into();
    files.insert("manifest.json".to_owned(), manifest.to_string().into_bytes());
    relist(&mut files);
    files.insert("manifest.sig".to_owned(), b"a signature".to_vec());
    files
}

/// As whoever tampers would: the list of files is made to fit.
fn relisted(mut files: Files) -> Files {
    let signature = files.remove("manifest.sig");
    relist(&mut files);
    files.extend(signature.map(|signature| ("manifest.sig".to_owned(), signature)));
    files
}

fn found(report: &Report) -> Vec<(Option<i64>, FindingKind, String)> {
    let inside = report.ledgers.iter().flat_map(|ledger| &ledger.integrity.findings);
    report.findings.iter().chain(inside).map(|one| (one.position, one.kind, one.detail.clone())).collect()
}

#[tokio::test]
async fn chosen_entries_are_proved_each_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let entries = ledger(folder.path()).await;
    for chosen in [&CHOSEN[..], &CHOSEN[..1], &[49, 99], &[0]] {
        let report = verified(folder.path(), &selection(&entries, chosen)).await.unwrap();
        assert_eq!(found(&report), [], "{chosen:?}");
        assert_eq!(report.entries, chosen.len() as u64);
        let part = report.ledgers[0].part.as_ref().unwrap();
        assert_eq!(part.selection.as_ref().unwrap().kind, "evidence_pack");
        assert_eq!((part.from, part.to), (chosen[0] as u64, chosen[chosen.len() - 1] as u64 + 1));
    }
    // Without saying that they were chosen, entries that are not there are missing.
    let mut files = selection(&entries, &CHOSEN);
    let mut manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    manifest.as_object_mut().unwrap().remove("selection");
    files.insert("manifest.json".to_owned(), manifest.to_string().into_bytes());
    let report = verified(folder.path(), &files).await.unwrap();
    let gaps: Vec<_> = found(&report).into_iter().filter(|(_, kind, _)| *kind == FindingKind::PositionGap).collect();
    assert!(gaps.iter().any(|(position, _, _)| *position == Some(5)), "{:?}", found(&report));
}

#[tokio::test]
async fn whatever_is_changed_in_a_selection_is_named_although_its_manifest_was_made_right() {
    let folder = tempfile::tempdir().unwrap();
    let entries = ledger(folder.path()).await;
    let text = |files: &Files, name: &str| String::from_utf8(files[name].clone()).unwrap();
    let good = selection(&entries, &CHOSEN);
    type Case<'a> = (&'a str, &'a dyn Fn(&mut Files), Option<i64>, &'a str);
    let cases: [Case<'_>; 9] = [
        (
            "an entry less",
            &|files| {
                let lines = text(files, "entries.ndjson");
                let kept: String = lines
                    .lines()
                    .filter(|line| !line.contains("\"position\":103,"))
                    .map(|line| format!("{line}\n"))
                    .collect();
                files.insert("entries.ndjson".to_owned(), kept.into_bytes());
            },
            Some(103),
            "entries.ndjson does not have it",
        ),
        (
            "a line of the trail less",
            &|files| {
                let trail = text(files, "trail.csv").replacen(&trail_line(&entries[303]), "", 1);
                files.insert("trail.csv".to_owned(), trail.into_bytes());
            },
            Some(303),
            "trail.csv does not list this entry",
        ),
        (
            "a line of the trail more",
            &|files| {
                let trail = text(files, "trail.csv") + &trail_line(&Entry { position: 700, ..entries[699].clone() });
                files.insert("trail.csv".to_owned(), trail.into_bytes());
            },
            Some(700),
            "entries.ndjson does not have it",
        ),
        (
            "somebody else in the trail",
            &|files| {
                let actor = &entries[253].actor.id;
                let line = trail_line(&entries[253]);
                let trail = text(files, "trail.csv").replacen(&line, &line.replace(actor.as_str(), "usr_other"), 1);
                files.insert("trail.csv".to_owned(), trail.into_bytes());
            },
            Some(253),
            "its actor_id",
        ),
        (
            "the middle of a record less",
            &|files| {
                let (line, row) = (common::lines::line(&entries[103]), trail_line(&entries[103]));
                for (name, gone) in [("entries.ndjson", format!("{line}\n")), ("trail.csv", row)] {
                    files.insert(name.to_owned(), text(files, name).replacen(&gone, "", 1).into_bytes());
                }
            },
            Some(153),
            "the stream goes on with version 4, not 3",
        ),
        (
            "the beginning of a record less",
            &|files| {
                let (line, row) = (common::lines::line(&entries[4]), trail_line(&entries[4]));
                for (name, gone) in [("entries.ndjson", format!("{line}\n")), ("trail.csv", row)] {
                    files.insert(name.to_owned(), text(files, name).replacen(&gone, "", 1).into_bytes());
                }
            },
            Some(54),
            "the stream goes on with version 2, not 1",
        ),
        ("no trail", &|files| drop(files.remove("trail.csv")), None, "trail.csv cannot be read"),
        ("no signature", &|files| drop(files.remove("manifest.sig")), None, "the signature of the manifest is missing"),
        (
            "a tile",
            &|files| files.get_mut("tile/0/001").unwrap()[0] ^= 1,
            Some(303),
            "the tiles do not prove the entry",
        ),
    ];
    for (what, change, position, words) in cases {
        let mut files = good.clone();
        change(&mut files);
        let report = verified(folder.path(), &relisted(files)).await.unwrap();
        let found = found(&report);
        assert!(found.iter().any(|(at, _, detail)| *at == position && detail.contains(words)), "{what}: {found:?}");
    }
}

/// The pack as it is signed by a key, and the keys file with it.
fn signed(mut files: Files, entries: &[Entry]) -> (Files, String) {
    let key = LogKey::p256(7);
    let note = key.checkpoint(ORIGIN, entries.len() as u64, root_of(entries).0);
    files.insert("checkpoint".to_owned(), note.into_bytes());
    files.insert("report.html".to_owned(), b"<h1>What happened</h1>".to_vec());
    let mut files = relisted(files);
    let signature: p256::ecdsa::Signature = key.signing_p256().sign(&files["manifest.json"]);
    files.insert("manifest.sig".to_owned(), signature.normalize_s().to_der().as_bytes().to_vec());
    (files, format!("{}\n", key.verifier_key(ORIGIN)))
}

async fn examined(folder: &Path, files: &Files, keys: Option<&str>) -> Examination {
    let path = folder.join("pack.zip");
    write_zip(&path, files);
    let keys = keys.map(|keys| TrustedKeys::parse(keys.as_bytes()).unwrap());
    let assignment = Assignment {
        source: Source::Bundle(path),
        label: "pack.zip".to_owned(),
        ledger: None,
        max_findings: 100,
        viewer: None,
    };
    examine(assignment, &Brought { keys, ..Brought::default() }, |_| {}).await.unwrap()
}

#[tokio::test]
async fn pack_that_no_longer_calls_itself_one_does_not_pass_for_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let entries = ledger(folder.path()).await;
    let (pack, keys) = signed(selection(&entries, &CHOSEN), &entries);
    let good = examined(folder.path(), &pack, Some(&keys)).await;
    assert!(good.holds(), "{}", evidence_text::render(&good, false));

    // All entries of one stream or of one stretch, so that nothing is missing; what people read says something else.
    let of_stream: Vec<usize> = CHOSEN.into_iter().filter(|place| place % 50 == 3).collect();
    for (chosen, stream) in [(of_stream, Some("transaction/=TX-3")), ((3..40).collect(), None)] {
        let (mut forged, keys) = signed(selection(&entries, &chosen), &entries);
        forged.insert("report.html".to_owned(), b"<h1>What did not happen</h1>".to_vec());
        let trail = String::from_utf8(forged["trail.csv"].clone()).unwrap().replace("in words", "in other words");
        forged.insert("trail.csv".to_owned(), trail.into_bytes());
        forged.remove("manifest.sig");
        let mut manifest: serde_json::Value = serde_json::from_slice(&forged["manifest.json"]).unwrap();
        manifest.as_object_mut().unwrap().remove("selection");
        manifest["stream"] = stream.into();
        forged.insert("manifest.json".to_owned(), manifest.to_string().into_bytes());
        relist(&mut forged);
        for keys in [None, Some(keys.as_str())] {
            let found = examined(folder.path(), &forged, keys).await;
            let text = evidence_text::render(&found, false);
            assert!(!found.holds(), "{stream:?}: {text}");
            for name in ["report.html", "trail.csv"] {
                assert!(text.contains(&format!("\"{name}\": a bundle has no such file")), "{stream:?}: {text}");
            }
        }
        // Without them it is a bundle; what is written into the one file for people is found.
        forged.retain(|name, _| !["report.html", "trail.csv"].contains(&name.as_str()));
        relist(&mut forged);
        assert!(examined(folder.path(), &forged, Some(&keys)).await.holds(), "{stream:?}");
        let readme = forged.get_mut("README.txt").unwrap();
        readme.extend_from_slice(b"Nothing happened.\n");
        relist(&mut forged);
        let found = examined(folder.path(), &forged, Some(&keys)).await;
        let text = evidence_text::render(&found, false);
        assert!(!found.holds() && text.contains("the file is not the one that every bundle has"), "{text}");
    }
}

#[tokio::test]
async fn without_keys_the_verdict_says_that_nobody_vouches_for_what_people_read() {
    let folder = tempfile::tempdir().unwrap();
    let entries = ledger(folder.path()).await;
    let (pack, keys) = signed(selection(&entries, &CHOSEN), &entries);
    let (mut less, _) = signed(selection(&entries, &CHOSEN[..1]), &entries);
    less.remove("report.html");
    let words = "nobody vouches for the report, the trail, the people and the choice of entries";
    for files in [&pack, &relisted(less)] {
        let found = examined(folder.path(), files, None).await;
        let text = evidence_text::render(&found, false);
        let last = text.lines().last().unwrap();
        assert!(last.contains("nothing failed, but without --keys") && last.contains(words), "{text}");
        assert!(found.ledgers[0].authorship.reason.contains(words), "{text}");
        assert!(evidence_page::render(&found).contains(words));
    }
    let found = examined(folder.path(), &pack, Some(&keys)).await;
    let text = evidence_text::render(&found, false);
    assert!(text.contains("pack.zip: nothing failed, in") && !text.contains(words), "{text}");
    // A bundle of all entries of a stretch has nothing of the sort.
    let bundle = bundle(&entries, 3, 40, None);
    assert!(!evidence_text::render(&examined(folder.path(), &bundle, None).await, false).contains(words));
}
