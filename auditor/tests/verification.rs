//! What a verification says about ledgers that are right, rewritten from end to end, being written to, or not there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::image::*;
use common::mutations::{canonical, rehash};
use common::{START, append, fill, sample_file, verify_file};
use daybook_auditor::{FindingKind, Report, Source, SourceError, Verdict, VerifyOptions, verify};
use daybook_ledger::Store;
use daybook_ledger::canonical::digest;
use daybook_ledger::merkle::{Frontier, leaf};
use daybook_ledger::store::postgres::PostgresStore;
use daybook_ledger::store::sqlite::SqliteStore;

fn read_image(path: &Path) -> Image {
    Image::read(&rusqlite::Connection::open(path).unwrap())
}

/// Changes entries of `main` as somebody with the writer's code would: all hashes, links and the head made right again.
fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<Row>)) {
    let image = read_image(path);
    let rows: Vec<usize> =
        (0..image.entries.len()).filter(|row| image.entries[*row][LEDGER_ID].text() == "main").collect();
    let mut entries: Vec<Row> = rows.iter().map(|row| image.entries[*row].clone()).collect();
    change(&mut entries);
    let mut tree = Frontier::default();
    let mut previous = entries[0][PREVIOUS_HASH].clone();
    for entry in &mut entries {
        entry[PREVIOUS_HASH] = previous;
        if entry[PAYLOAD] != Value::Null {
            entry[PAYLOAD_DIGEST] = Value::Blob(digest(entry[PAYLOAD].bytes()).0.to_vec());
        }
        rehash(entry);
        previous = entry[HASH].clone();
        tree.push(leaf(&canonical(entry)));
    }
    let head = image.heads.iter().position(|head| head[0].text() == "main").unwrap();
    let mut changes: Vec<Change> = rows
        .iter()
        .zip(entries.clone())
        .map(|(row, values)| Change { table: Table::Entries, row: Some(*row), values: Some(values) })
        .collect();
    let last = entries.last().unwrap();
    let values = vec![
        Value::Text(b"main".to_vec()),
        Value::Integer(entries.len() as i64),
        last[HASH].clone(),
        Value::Blob(tree.root().0.to_vec()),
        Value::Blob(tree.to_bytes()),
        last[RECORDED_AT].clone(),
    ];
    changes.push(Change { table: Table::Heads, row: Some(head), values: Some(values) });
    apply(path, &changes);
}

fn findings_of(report: &Report, ledger: &str) -> Vec<(Option<i64>, FindingKind)> {
    let ledger = report.ledgers.iter().find(|one| one.ledger_id == ledger).unwrap();
    ledger.integrity.findings.iter().map(|finding| (finding.position, finding.kind)).collect()
}

/// First row from `from` on that has an earlier row of its stream.
fn continued(entries: &[Row], from: usize) -> usize {
    (from..entries.len()).find(|row| entries[*row][VERSION].integer() > 1).unwrap()
}

#[tokio::test]
async fn rules_are_judged_where_every_hash_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample_file(folder.path()).await;
    let image = read_image(&sample);
    let main: Vec<Row> = image.entries.into_iter().filter(|row| row[LEDGER_ID].text() == "main").collect();
    let later = continued(&main, 20);
    type Change = Box<dyn FnOnce(&mut Vec<Row>)>;
    let set = |row: usize, column: usize, value: Value| -> Change {
        Box::new(move |entries: &mut Vec<Row>| entries[row][column] = value)
    };
    let version = main[later][VERSION].integer();
    let cases: Vec<(Change, i64, FindingKind)> = vec![
        (set(later, STREAM_ID, Value::Text(b"unheard-of".to_vec())), later as i64, FindingKind::VersionGap),
        (set(later, VERSION, Value::Integer(version - 1)), later as i64, FindingKind::VersionRepeated),
        (set(9, RECORDED_AT, Value::Integer(START - 1)), 9, FindingKind::TimeBackwards),
        (set(12, ACTOR_KIND, Value::Text(b"nobody".to_vec())), 12, FindingKind::InvalidValue),
        (set(3, PAYLOAD, Value::Null), 3, FindingKind::PayloadMissing),
        (set(0, PREVIOUS_HASH, Value::Blob(vec![0; 32])), 0, FindingKind::GenesisMismatch),
        (set(5, PAYLOAD, Value::Blob(vec![0xff, 0xfe])), 5, FindingKind::InvalidUtf8),
    ];
    for (change, position, kind) in cases {
        let copy = folder.path().join("copy.db");
        std::fs::copy(&sample, &copy).unwrap();
        rewrite(&copy, change);
        let report = verify_file(&copy).await;
        assert_eq!(findings_of(&report, "main").first(), Some(&(Some(position), kind)), "{report}");
    }
    // Rewritten without breaking a rule: only somebody with an older head can tell, and the report does not claim
    // otherwise.
    let copy = folder.path().join("copy.db");
    std::fs::copy(&sample, &copy).unwrap();
    rewrite(&copy, set(5, PAYLOAD, Value::Blob(b"{}".to_vec())));
    let report = verify_file(&copy).await;
    assert_eq!(report.exit_code(), 0, "{report}");
    assert!(report.ledgers.iter().all(|ledger| ledger.completeness.verdict == "not_checked"));
}

#[tokio::test]
async fn entry_replaced_with_its_hash_is_told_from_its_intact_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample_file(folder.path()).await;
    let image = read_image(&sample);
    let main: Vec<usize> =
        (0..image.entries.len()).filter(|row| image.entries[*row][LEDGER_ID].text() == "main").collect();
    for position in [0, 1, 20, 39, 40] {
        let mut values = image.entries[main[position]].clone();
        values[PAYLOAD] = Value::Blob(b"{}".to_vec());
        values[PAYLOAD_DIGEST] = Value::Blob(digest(b"{}").0.to_vec());
        rehash(&mut values);
        let copy = folder.path().join("copy.db");
        std::fs::copy(&sample, &copy).unwrap();
        apply(&copy, &[Change { table: Table::Entries, row: Some(main[position]), values: Some(values) }]);
        let kind = if position == 40 { FindingKind::HeadMismatch } else { FindingKind::EntryReplaced };
        assert_eq!(findings_of(&verify_file(&copy).await, "main"), [(Some(position as i64), kind)]);
    }
}

#[tokio::test]
async fn one_change_is_one_finding_that_says_what_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample_file(folder.path()).await;
    let image = read_image(&sample);
    let row = image.entries.iter().position(|row| row[LEDGER_ID].text() == "main").unwrap() + 7;
    let cases = [
        (PAYLOAD, Value::Blob(b"{}".to_vec()), FindingKind::PayloadDigestMismatch),
        (PAYLOAD, Value::Null, FindingKind::PayloadMissing),
        (PAYLOAD_DIGEST, Value::Blob(vec![1; 32]), FindingKind::PayloadDigestMismatch),
        (PREVIOUS_HASH, Value::Blob(vec![1; 32]), FindingKind::LinkBroken),
        (HASH, Value::Blob(vec![1; 32]), FindingKind::HashMismatch),
        (HASH, Value::Blob(vec![1; 31]), FindingKind::WrongLength),
        (EVENT_ID, Value::Blob(vec![1; 16]), FindingKind::HashMismatch),
        (VERSION, Value::Integer(-1), FindingKind::NegativeValue),
        (VERSION, Value::Text(b"one".to_vec()), FindingKind::WrongType),
        (STREAM_ID, Value::Null, FindingKind::NullValue),
        (STREAM_ID, Value::Text(vec![0xc3]), FindingKind::InvalidUtf8),
    ];
    let copy = folder.path().join("copy.db");
    for (column, value, kind) in cases {
        let mut values = image.entries[row].clone();
        values[column] = value;
        std::fs::copy(&sample, &copy).unwrap();
        apply(&copy, &[Change { table: Table::Entries, row: Some(row), values: Some(values) }]);
        let report = verify_file(&copy).await;
        assert_eq!(findings_of(&report, "main"), [(Some(7), kind)], "{}: {report}", ENTRY_COLUMNS[column]);
    }
    std::fs::copy(&sample, &copy).unwrap();
    apply(&copy, &[Change { table: Table::Entries, row: None, values: Some(image.entries[row].clone()) }]);
    assert_eq!(findings_of(&verify_file(&copy).await, "main"), [(Some(7), FindingKind::PositionDuplicate)]);
}

#[tokio::test]
async fn flipped_bit_in_the_file_is_found_although_the_index_still_has_the_old_value() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample_file(folder.path()).await;
    let image = read_image(&sample);
    let row = image.entries.iter().find(|row| row[LEDGER_ID].text() == "main" && row[POSITION].integer() == 6).unwrap();
    // In the table's record the position lies between ledger_id and event_id; in no index it does.
    let stored = [b"main".as_slice(), &[6], row[EVENT_ID].bytes()].concat();
    let mut bytes = std::fs::read(&sample).unwrap();
    let places: Vec<usize> =
        (0..bytes.len() - stored.len()).filter(|place| bytes[*place..].starts_with(&stored)).collect();
    assert_eq!(places.len(), 1);
    bytes[places[0] + 4] = 7;
    std::fs::write(&sample, bytes).unwrap();
    let report = verify_file(&sample).await;
    assert_eq!(findings_of(&report, "main").first(), Some(&(Some(6), FindingKind::PositionGap)), "{report}");
}

#[tokio::test]
async fn row_that_the_index_does_not_lead_to_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample_file(folder.path()).await;
    let connection = rusqlite::Connection::open(&sample).unwrap();
    // A partial index in place of the primary key's, as a damaged one would be: two rows are not in it.
    connection
        .execute_batch(
            "create table loose as select * from ledger_entries; drop table ledger_entries; \
             alter table loose rename to ledger_entries; \
             create index by_position on ledger_entries (ledger_id, position) where position < 39; \
             pragma writable_schema = on; \
             update sqlite_schema set sql = replace(sql, ' where position < 39', '') where name = 'by_position'; \
             pragma writable_schema = off;",
        )
        .unwrap();
    drop(connection);
    let report = verify_file(&sample).await;
    assert_eq!(report.exit_code(), 1);
    assert_eq!(findings_of(&report, "main").first(), Some(&(Some(39), FindingKind::PositionGap)), "{report}");
    assert_eq!(report.findings[0].kind, FindingKind::RowsOutsideIndex);
}

#[tokio::test]
async fn many_findings_are_counted_and_few_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample_file(folder.path()).await;
    let image = read_image(&sample);
    let changes: Vec<Change> = (0..image.entries.len())
        .map(|row| {
            let mut values = image.entries[row].clone();
            values[RECORDED_AT] = Value::Integer(values[RECORDED_AT].integer() + 1);
            Change { table: Table::Entries, row: Some(row), values: Some(values) }
        })
        .collect();
    apply(&sample, &changes);
    let options = VerifyOptions { ledger: Some("main".to_owned()), max_findings: 3, ..VerifyOptions::default() };
    let report = verify(Source::Sqlite(sample), options, |_| {}).await.unwrap();
    let integrity = &report.ledgers[0].integrity;
    assert_eq!(integrity.findings_total, 41);
    let positions: Vec<_> = integrity.findings.iter().map(|finding| finding.position).collect();
    assert_eq!(positions, [Some(0), Some(1), Some(2)]);
    assert!(report.render_text().contains("and 38 more"), "{report}");
}

#[tokio::test]
async fn one_ledger_is_verified_alone() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample_file(folder.path()).await;
    let rows = read_image(&sample);
    let row = rows.entries.iter().position(|row| row[LEDGER_ID].text() == "acme-eu").unwrap();
    apply(&sample, &[Change { table: Table::Entries, row: Some(row), values: None }]);
    let only = |ledger: &str| VerifyOptions { ledger: Some(ledger.to_owned()), ..VerifyOptions::default() };
    let main = verify(Source::Sqlite(sample.clone()), only("main"), |_| {}).await.unwrap();
    assert_eq!((main.exit_code(), main.ledgers.len(), main.entries), (0, 1, 41));
    let other = verify(Source::Sqlite(sample.clone()), only("acme-eu"), |_| {}).await.unwrap();
    assert_eq!(other.exit_code(), 1);
    let unknown = verify(Source::Sqlite(sample), only("unheard-of"), |_| {}).await;
    assert!(matches!(unknown, Err(SourceError::NoLedger(_))), "{unknown:?}");
}

#[tokio::test]
async fn store_that_cannot_be_read_is_an_error_and_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let all = VerifyOptions::default;
    let missing = folder.path().join("missing.db");
    let report = verify(Source::Sqlite(missing.clone()), all(), |_| {}).await;
    assert!(matches!(report, Err(SourceError::NoFile(_))), "{report:?}");
    assert!(!missing.exists(), "reading makes no file");
    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("create table t (a)").unwrap();
    let report = verify(Source::Sqlite(other), all(), |_| {}).await;
    assert!(matches!(report, Err(SourceError::NoTable("ledger_entries"))), "{report:?}");
    let noise = folder.path().join("noise.db");
    std::fs::write(&noise, [0x5a; 8192]).unwrap();
    let report = verify(Source::Sqlite(noise), all(), |_| {}).await;
    assert!(matches!(report, Err(SourceError::Unreadable(_))), "{report:?}");
    let nobody = Source::Postgres("postgres://nobody@127.0.0.1:1/nothing".to_owned());
    let report = verify(nobody, all(), |_| {}).await;
    assert!(matches!(report, Err(SourceError::Unreadable(_))), "{report:?}");
}

#[tokio::test]
async fn reports_read_well_for_people_and_for_programs() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample_file(folder.path()).await;
    let report = verify_file(&sample).await;
    let json = serde_json::to_value(&report).unwrap();
    let main = &json["ledgers"][1];
    assert_eq!(main["ledger_id"], "main");
    assert_eq!(main["integrity"]["verdict"], "verified");
    assert_eq!(main["integrity"]["findings"], serde_json::json!([]));
    assert_eq!(main["completeness"]["verdict"], "not_checked");
    assert_eq!(main["authorship"]["verdict"], "not_checked");
    assert_eq!(main["time"]["verdict"], "server_asserted");
    assert_eq!(main["time"]["first_recorded_at"], START);
    assert_eq!(main["payloads"], serde_json::json!({"present": 41, "erased": 0, "pruned": 0, "missing": 0}));
    assert_eq!((&main["entries"], &main["streams"]), (&41.into(), &5.into()));
    let text = report.render_text();
    assert!(text.contains("integrity     verified\n"), "{text}");
    assert!(text.contains("completeness  not checked: no checkpoint"), "{text}");
    assert!(text.contains("as the server says: 2024-01-01T00:00:00.000000Z to "), "{text}");
    assert!(text.contains("3 ledgers verified: 59 entries"), "{text}");
    apply(&sample, &[Change { table: Table::Entries, row: Some(0), values: None }]);
    let report = verify_file(&sample).await;
    assert!(report.render_text().contains("FAILED at position 0: the entry is missing (position_gap)"), "{report}");
    assert!(report.render_text().contains("1 of 3 ledgers FAILED"), "{report}");
    let json = serde_json::to_value(&report).unwrap();
    let failed =
        json["ledgers"].as_array().unwrap().iter().find(|one| one["integrity"]["verdict"] == "failed").unwrap();
    assert_eq!(failed["integrity"]["findings"][0]["kind"], "position_gap");
    assert_eq!(failed["integrity"]["findings"][0]["position"], 0);
    assert_eq!(failed["root"], serde_json::Value::Null);
}

/// Appends until told to stop, while `source` is verified again and again.
async fn verify_while_appending(store: Arc<dyn Store>, source: Source) {
    let stop = Arc::new(AtomicBool::new(false));
    let appending = tokio::spawn({
        let stop = Arc::clone(&stop);
        async move {
            let ledger = "busy".parse().unwrap();
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                let batch: Vec<_> =
                    (0..20).map(|event| append(number, "transaction", &format!("TX-{number}-{event}"), 0, 2)).collect();
                store.append(&ledger, &batch, START + number as i64).await.unwrap();
                number += 1;
            }
        }
    });
    let mut sizes = Vec::new();
    while sizes.len() < 15 || sizes.first() == sizes.last() {
        let report = verify(source.clone(), VerifyOptions::default(), |_| {}).await.unwrap();
        assert_eq!(report.exit_code(), 0, "{report}");
        sizes.push(report.entries);
    }
    stop.store(true, Ordering::Relaxed);
    appending.await.unwrap();
    assert!(sizes.is_sorted(), "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn file_that_a_server_writes_to_verifies_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let store = SqliteStore::open(&path).unwrap();
    verify_while_appending(Arc::new(store), Source::Sqlite(path)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_that_a_server_writes_to_verifies_at_any_moment() {
    let Some(url) = common::postgres_url().await else { return };
    let store = PostgresStore::open(&url, 4).await.unwrap();
    verify_while_appending(Arc::new(store), Source::Postgres(url)).await;
}

#[tokio::test]
async fn both_stores_of_the_same_entries_come_to_the_same_report() {
    let Some(url) = common::postgres_url().await else { return };
    let store = PostgresStore::open(&url, 4).await.unwrap();
    fill(&store).await;
    let report = verify(Source::Postgres(url.clone()), VerifyOptions::default(), |_| {}).await.unwrap();
    assert_eq!(report.exit_code(), 0, "{report}");
    for (ledger, entries) in common::SAMPLE {
        let head = store.head(&ledger.parse().unwrap()).await.unwrap();
        let found = report.ledgers.iter().find(|one| one.ledger_id == ledger).unwrap();
        assert_eq!(found.size, entries as u64);
        assert_eq!(found.hash, Some(head.hash.to_string()));
        assert_eq!(found.root, Some(head.root.to_string()));
        assert_eq!(found.integrity.verdict, Verdict::Verified);
    }
    let only = VerifyOptions { ledger: Some("unheard-of".to_owned()), ..VerifyOptions::default() };
    let unknown = verify(Source::Postgres(url), only, |_| {}).await;
    assert!(matches!(unknown, Err(SourceError::NoLedger(_))), "{unknown:?}");
}

#[tokio::test]
async fn progress_is_told_on_the_way_through_a_long_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let store = SqliteStore::open(&path).unwrap();
    let ledger = "main".parse().unwrap();
    for number in 0..40 {
        let events = (0..1_000).map(|event| append(event, "transaction", &format!("TX-{number}-{event}"), 0, 1));
        store
            .append(
                &ledger,
                &events.map(|one| daybook_ledger::Append { command: None, ..one }).collect::<Vec<_>>(),
                START,
            )
            .await
            .unwrap();
    }
    let mut steps = Vec::new();
    let report = verify(Source::Sqlite(path), VerifyOptions::default(), |step| steps.push(step)).await.unwrap();
    assert_eq!((report.exit_code(), report.entries, report.ledgers[0].streams), (0, 40_000, 40_000));
    assert!(!steps.is_empty());
    assert!(steps.iter().all(|step| step.expected_entries == 40_000 && step.ledger_id == "main"));
    assert!(steps.is_sorted_by_key(|step| step.entries));
}
