//! What a store keeps beside its entries, and what the ledger says of itself: tiles, checkpoints, seals, anchors, keys;
//! and states at sizes. On a ledger of several batches, in which changes are found wherever they are.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use common::image::{
    Change, HASH, Image, PAYLOAD, PAYLOAD_DIGEST, POSITION, PREVIOUS_HASH, Row, Table, VERSION, Value, apply,
};
use common::lines::root_of;
use common::mutations::{canonical, rehash};
use common::{START, append, settled_copy, verify_file};
use daybook_auditor::{FindingKind, Report, Source, TileRoots, VerifyOptions, verify};
use daybook_ledger::canonical::digest;
use daybook_ledger::merkle::{Frontier, leaf};
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Append, Entry, Hash, Store as _};
use rusqlite::{Connection, params};

/// Positions of seals.
const SEALS: [usize; 4] = [0, 255, 700, 2_999];
const SIZE: usize = 3_000;

/// A ledger of 3,000 entries, some of them the ledger's own, as rows with all hashes right.
fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut tree = Frontier::default();
    let mut previous = daybook_ledger::canonical::genesis(&"main".parse().unwrap());
    let (mut seals, mut keys) = (0, 0);
    for position in 0..SIZE {
        let text = |text: &str| Value::Text(text.into());
        let (stream, version, event, payload) = if SEALS.contains(&position) {
            seals += 1;
            let payload = format!(r#"{{"size":{position},"hash":"{previous}","root":"{}"}}"#, tree.root());
            (("ledger", "main"), seals, "ledger.sealed", payload)
        } else if position == 701 {
            seals += 1;
            (("ledger", "main"), seals, "ledger.anchored", r#"{"size":701,"token":"x"}"#.to_owned())
        } else if position == 5 || position == 2_000 {
            keys += 1;
            let event = if keys == 1 { "signing_key.activated" } else { "signing_key.retired" };
            (("ledger_keys", "main"), keys, event, r#"{"key_id":"01020304"}"#.to_owned())
        } else {
            (("transaction", ""), 1, "transaction.recorded", format!(r#"{{"amount":"{position}.00"}}"#))
        };
        let stream_id = if stream.1.is_empty() { format!("TX-{position}") } else { stream.1.to_owned() };
        let mut row = vec![
            text("main"),
            Value::Integer(position as i64),
            Value::Blob((position as u128).to_be_bytes().to_vec()),
            text(stream.0),
            text(&stream_id),
            Value::Integer(version),
            text(event),
            Value::Integer(1),
            Value::Integer(START + position as i64 / 2),
            text("system"),
            text("sequencer"),
            Value::Blob(b"{}".to_vec()),
            Value::Blob(payload.clone().into_bytes()),
            Value::Blob(digest(payload.as_bytes()).0.to_vec()),
            Value::Blob(previous.0.to_vec()),
            Value::Null,
        ];
        rehash(&mut row);
        previous = Hash(row[HASH].bytes().try_into().unwrap());
        tree.push(leaf(&canonical(&row)));
        rows.push(row);
    }
    rows
}

fn leaves(rows: &[Row]) -> Vec<Hash> {
    rows.iter().map(|row| leaf(&canonical(row))).collect()
}

/// A file with these rows, a right head, and tiles.
fn write(path: &Path, rows: &[Row]) {
    drop(SqliteStore::open(path).unwrap());
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("begin").unwrap();
    let mut tree = Frontier::default();
    for row in rows {
        let sql = format!("insert into ledger_entries values ({})", vec!["?"; 16].join(", "));
        connection.execute(&sql, rusqlite::params_from_iter(row)).unwrap();
        tree.push(leaf(&canonical(row)));
    }
    let last = rows.last().unwrap();
    connection
        .execute(
            "insert into ledger_heads values ('main', ?1, ?2, ?3, ?4, ?5)",
            params![rows.len() as i64, last[HASH].bytes(), tree.root().0, tree.to_bytes(), last[8].integer()],
        )
        .unwrap();
    let mut hashes = leaves(rows);
    let mut level = 0;
    while hashes.len() >= 256 {
        let mut above = Vec::new();
        for (index, tile) in hashes.chunks_exact(256).enumerate() {
            let root = daybook_ledger::merkle::root_of(tile);
            let bytes: Vec<u8> = tile.iter().flat_map(|hash| hash.0).collect();
            connection
                .execute(
                    "insert into ledger_tiles values ('main', ?1, ?2, ?3, ?4)",
                    params![level, index as i64, root.0, bytes],
                )
                .unwrap();
            above.push(root);
        }
        hashes = above;
        level += 1;
    }
    connection.execute_batch("commit; pragma wal_checkpoint(truncate); pragma journal_mode = delete").unwrap();
}

fn sample(folder: &Path) -> PathBuf {
    let path = folder.join("sample.db");
    write(&path, &rows());
    path
}

fn findings(report: &Report) -> Vec<(Option<i64>, FindingKind)> {
    let ledgers = report.ledgers.iter().flat_map(|ledger| &ledger.integrity.findings);
    report.findings.iter().chain(ledgers).map(|finding| (finding.position, finding.kind)).collect()
}

#[tokio::test]
async fn what_the_ledger_says_of_itself_is_judged_or_kept_for_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let path = sample(folder.path());
    let connection = Connection::open(&path).unwrap();
    for size in 0..1_200 {
        let sql = "insert into ledger_checkpoints values ('main', ?1, x'00', ?2, 0)";
        connection.execute(sql, params![size, format!("note {size}")]).unwrap();
    }
    drop(connection);
    let report = verify_file(&path).await;
    assert_eq!(report.exit_code(), 0, "{report}");
    let main = &report.ledgers[0];
    assert_eq!((main.seals, main.tiles, main.anchors_total), (4, 11, 1));
    assert_eq!((main.anchors[0].position, main.anchors[0].payload.as_str()), (701, r#"{"size":701,"token":"x"}"#));
    let keys: Vec<_> = main.key_events.iter().map(|event| (event.position, event.event_type.as_str())).collect();
    assert_eq!(keys, [(5, "signing_key.activated"), (2_000, "signing_key.retired")]);
    assert_eq!((main.stored_checkpoints_total, main.stored_checkpoints.len()), (1_200, 1_000));
    assert_eq!((main.stored_checkpoints[0].size, main.stored_checkpoints[999].note.as_str()), (200, "note 1199"));
}

#[tokio::test]
async fn state_at_any_size_is_that_of_the_ledger_when_it_had_so_many_entries() {
    let folder = tempfile::tempdir().unwrap();
    let path = sample(folder.path());
    let rows = rows();
    let leaves = leaves(&rows);
    let sizes = [0, 1, 2, 255, 256, 257, 701, 1_024, 1_025, 2_048, 2_999, 3_000, 3_001, 9_999_999];
    for threads in [1, 2, 5] {
        let told = Arc::new(Mutex::new(Vec::new()));
        let tile_roots = TileRoots::new({
            let told = Arc::clone(&told);
            move |ledger: &str, index, root| told.lock().unwrap().push((ledger.to_owned(), index, root))
        });
        let options = VerifyOptions {
            states_at: sizes.iter().rev().copied().chain([701]).collect(),
            tile_roots: Some(tile_roots),
            threads: NonZeroUsize::new(threads),
            ..VerifyOptions::default()
        };
        let report = verify(Source::Sqlite(path.clone()), options, |_| {}).await.unwrap();
        assert_eq!(report.exit_code(), 0, "{report}");
        let states = &report.ledgers[0].states;
        assert_eq!(states.iter().map(|state| state.size).collect::<Vec<_>>(), sizes);
        for state in states {
            let size = state.size as usize;
            assert_eq!(state.reached, size <= SIZE);
            if !state.reached {
                assert_eq!((&state.hash, &state.root, &state.sealed), (&None, &None, &None));
                continue;
            }
            let mut tree = Frontier::default();
            leaves[..size].iter().for_each(|leaf| tree.push(*leaf));
            assert_eq!(state.root, Some(tree.root().to_string()), "{size}");
            assert_eq!(state.frontier.concat(), hex::encode(tree.to_bytes()), "{size}");
            let hash = if size == 0 { rows[0][PREVIOUS_HASH].bytes() } else { rows[size - 1][HASH].bytes() };
            assert_eq!(state.hash, Some(hex::encode(hash)), "{size}");
            let seal = size.checked_sub(1).filter(|position| SEALS.contains(position));
            assert_eq!(state.sealed.as_ref().map(|seal| seal.position as usize), seal);
        }
        assert_eq!(states[6].sealed.as_ref().unwrap().root, root_at(&leaves, 700));
        let told = told.lock().unwrap();
        let expected: Vec<_> = (0..).zip(leaves.chunks_exact(256)).collect();
        assert_eq!(told.len(), expected.len());
        for ((ledger, index, root), (wanted, tile)) in told.iter().zip(expected) {
            assert_eq!((ledger.as_str(), *index, Hash(*root)), ("main", wanted, daybook_ledger::merkle::root_of(tile)));
        }
    }
}

fn root_at(leaves: &[Hash], size: usize) -> String {
    let mut tree = Frontier::default();
    leaves[..size].iter().for_each(|leaf| tree.push(*leaf));
    tree.root().to_string()
}

#[tokio::test]
async fn seal_that_states_another_past_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (r#""size":700"#, r#""size":699"#),
        (r#""hash":""#, r#""hash":"0"#),
        (r#""root":""#, r#""root":"0"#),
        (r#"{"size""#, r#"["size""#),
    ];
    for (old, new) in cases {
        let mut rows = rows();
        let payload = rows[700][PAYLOAD].text().replace(old, new);
        assert_ne!(payload, rows[700][PAYLOAD].text());
        rows[700][PAYLOAD_DIGEST] = Value::Blob(digest(payload.as_bytes()).0.to_vec());
        rows[700][PAYLOAD] = Value::Blob(payload.into_bytes());
        for position in 700..SIZE {
            rows[position][PREVIOUS_HASH] = rows[position - 1][HASH].clone();
            rehash(&mut rows[position]);
        }
        let path = folder.path().join("sealed.db");
        let _ = std::fs::remove_file(&path);
        write(&path, &rows);
        let report = verify_file(&path).await;
        // The last seal was over the other past, too.
        assert_eq!(
            findings(&report),
            [(Some(700), FindingKind::SealMismatch), (Some(2_999), FindingKind::SealMismatch)]
        );
    }
}

#[tokio::test]
async fn tiles_that_differ_are_missing_or_too_many_are_named_by_the_first_entry_they_cover() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample(folder.path());
    let mismatch =
        |positions: &[i64]| positions.iter().map(|at| (Some(*at), FindingKind::TileMismatch)).collect::<Vec<_>>();
    let cases: [(&str, Vec<i64>); 9] = [
        ("update ledger_tiles set hashes = zeroblob(8192) where tile = 3", vec![768]),
        ("update ledger_tiles set hashes = x'00' where tile = 10", vec![2_560]),
        ("update ledger_tiles set root = zeroblob(32) where tile = 0", vec![0]),
        ("update ledger_tiles set root = 'text' where tile = 1", vec![256]),
        ("delete from ledger_tiles where tile in (4, 5, 8)", vec![1_024, 2_048]),
        ("delete from ledger_tiles where tile = 10", vec![2_560]),
        ("delete from ledger_tiles", vec![0]),
        ("insert into ledger_tiles values ('main', 0, 11, zeroblob(32), zeroblob(8192))", vec![2_816]),
        ("insert into ledger_tiles values ('main', 1, 0, zeroblob(32), zeroblob(8192))", vec![0]),
    ];
    let copy = folder.path().join("copy.db");
    for (change, positions) in cases {
        std::fs::copy(&sample, &copy).unwrap();
        let connection = Connection::open(&copy).unwrap();
        assert!(connection.execute(change, []).unwrap() > 0);
        drop(connection);
        assert_eq!(findings(&verify_file(&copy).await), mismatch(&positions), "{change}");
    }
    std::fs::copy(&sample, &copy).unwrap();
    let other = "insert into ledger_tiles select 'other', level, tile, root, hashes from ledger_tiles";
    Connection::open(&copy).unwrap().execute(other, []).unwrap();
    assert_eq!(findings(&verify_file(&copy).await), mismatch(&[0]));
    // A store of an earlier release has neither table.
    std::fs::copy(&sample, &copy).unwrap();
    Connection::open(&copy).unwrap().execute_batch("drop table ledger_tiles; drop table ledger_checkpoints").unwrap();
    let report = verify_file(&copy).await;
    assert_eq!((report.exit_code(), report.ledgers[0].tiles), (0, 0), "{report}");
}

#[tokio::test]
async fn changes_are_found_at_every_edge_of_a_batch_and_a_tile_by_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let sample = sample(folder.path());
    let image = Image::read(&Connection::open(&sample).unwrap());
    let copy = folder.path().join("copy.db");
    let set = |position: usize, column: usize, value: Value| {
        let mut values = image.entries[position].clone();
        values[column] = value;
        Change { table: Table::Entries, row: Some(position), values: Some(values) }
    };
    for position in [1_usize, 254, 255, 256, 257, 767, 768, 1_023, 1_024, 1_025, 2_047, 2_048, 2_998] {
        let mut replaced = image.entries[position].clone();
        replaced[PAYLOAD] = Value::Blob(b"{\"size\":1}".to_vec());
        replaced[PAYLOAD_DIGEST] = Value::Blob(digest(b"{\"size\":1}").0.to_vec());
        rehash(&mut replaced);
        let at = Some(position as i64);
        let replaced = Change { table: Table::Entries, row: Some(position), values: Some(replaced) };
        let deleted = Change { table: Table::Entries, row: Some(position), values: None };
        let cases = [
            (set(position, PAYLOAD, Value::Blob(b"{}".to_vec())), FindingKind::PayloadDigestMismatch),
            (set(position, HASH, Value::Blob(vec![0; 32])), FindingKind::HashMismatch),
            (set(position, PREVIOUS_HASH, Value::Blob(vec![0; 32])), FindingKind::LinkBroken),
            (set(position, VERSION, Value::Text(b"one".to_vec())), FindingKind::WrongType),
            (set(position, POSITION, Value::Integer(position as i64 - 1)), FindingKind::PositionDuplicate),
            (replaced, FindingKind::EntryReplaced),
            (deleted, FindingKind::PositionGap),
        ];
        for (number, (change, kind)) in cases.into_iter().enumerate() {
            std::fs::copy(&sample, &copy).unwrap();
            apply(&copy, &[change]);
            let options = VerifyOptions { threads: NonZeroUsize::new(1 + number % 3), ..VerifyOptions::default() };
            let report = verify(Source::Sqlite(copy.clone()), options, |_| {}).await.unwrap();
            let expected = match kind {
                FindingKind::PositionDuplicate => Some(position as i64 - 1),
                _ => at,
            };
            let found = findings(&report);
            // A seal that is an own entry says the rest where it is replaced.
            let same = found.first() == Some(&(expected, kind))
                || (kind == FindingKind::EntryReplaced
                    && position == 255
                    && found.first().is_some_and(|one| one.0 == at));
            assert!(same, "{position} {kind:?}: {found:?}");
            assert!(found.len() <= 3, "{position} {kind:?}: {found:?}");
        }
    }
}

#[tokio::test]
async fn tiles_that_the_store_wrote_itself_are_those_of_its_entries() {
    let folder = tempfile::tempdir().unwrap();
    let growing = folder.path().join("growing.db");
    let store = SqliteStore::open(&growing).unwrap();
    let ledger = "main".parse().unwrap();
    let mut number = 0;
    for count in [1_usize, 254, 1, 1, 511, 600, 1_032, 600] {
        let one =
            |number: usize| Append { command: None, ..append(number, "transaction", &format!("TX-{number}"), 0, 1) };
        let batch: Vec<_> = (number..number + count).map(one).collect();
        for outcome in store.append(&ledger, &batch, START).await.unwrap() {
            outcome.unwrap();
        }
        number += count;
    }
    let entries: Vec<Entry> = store.entries(&ledger, 0, 5_000).await.unwrap();
    let copy = folder.path().join("settled.db");
    settled_copy(&growing, &copy);
    for path in [&growing, &copy] {
        let report = verify_file(path).await;
        assert_eq!((report.exit_code(), report.entries, report.ledgers[0].tiles), (0, 3_000, 11), "{report}");
        assert_eq!(report.ledgers[0].root, Some(root_of(&entries).to_string()));
    }
}
