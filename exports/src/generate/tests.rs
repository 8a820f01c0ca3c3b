//! Making files: complete and durable, or not there.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::time::Duration;

use async_trait::async_trait;
use sha2::Digest as _;

use super::*;
use crate::table::{Cell, CellKind, Column, Snapshot};

/// Batches as they are; then the end, an error, or nothing for ever.
struct Batches {
    schema: Schema,
    batches: std::vec::IntoIter<Vec<Row>>,
    then: Then,
}

enum Then {
    End,
    Fail(SourceError),
    Hang,
}

fn batches(batches: Vec<Vec<Row>>, then: Then) -> Batches {
    let schema = Schema::new(vec![Column::new("n", CellKind::Integer), Column::new("t", CellKind::Text)]).unwrap();
    Batches { schema, batches: batches.into_iter(), then }
}

fn rows(from: i64, to: i64) -> Vec<Row> {
    (from..to).map(|number| vec![Cell::Integer(number), Cell::text(Some("t"))]).collect()
}

#[async_trait]
impl RowSource for Batches {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    async fn next(&mut self) -> Result<Option<Vec<Row>>, SourceError> {
        match (self.batches.next(), &self.then) {
            (Some(batch), _) => Ok(Some(batch)),
            (None, Then::End) => Ok(None),
            (None, Then::Fail(error)) => Err(error.clone()),
            (None, Then::Hang) => std::future::pending().await,
        }
    }

    async fn read_state(&mut self) -> Result<Snapshot, SourceError> {
        Ok(Snapshot { position: 42 })
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn file_is_complete_and_its_digests_are_those_of_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for format in ExportFormat::ALL.iter().filter(|format| **format != ExportFormat::Zip) {
        let target = folder.path().join(format!("exp_1.1.{format}"));
        let mut source = batches(vec![rows(0, 3), vec![], rows(3, 5)], Then::End);
        let mut told = Vec::new();
        let written = generate(&mut source, *format, &target, |rows| told.push(rows)).await.unwrap();
        let bytes = std::fs::read(&target).unwrap();
        assert_eq!((written.rows, written.digests.bytes), (5, bytes.len() as u64));
        assert_eq!(written.digests.blake3, *blake3::hash(&bytes).as_bytes());
        assert_eq!(written.digests.sha256, <[u8; 32]>::from(sha2::Sha256::digest(&bytes)));
        assert_eq!(told, [3, 3, 5]);
        assert_eq!(crate::count_rows(File::open(&target).unwrap(), *format).unwrap(), Some(5), "{format}");
    }
    assert_eq!(names_in(folder.path()).len(), ExportFormat::ALL.len() - 1, "nothing else is left");
}

#[tokio::test]
async fn an_unfinished_file_of_somebody_else_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("exp_1.1.ndjson");
    std::fs::write(part_of(&target), "left by a killed process, and longer than what comes").unwrap();
    let mut source = batches(vec![rows(0, 1)], Then::End);
    generate(&mut source, ExportFormat::Ndjson, &target, |_| {}).await.unwrap();
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "{\"n\":0,\"t\":\"t\"}\n");
    assert_eq!(names_in(folder.path()), ["exp_1.1.ndjson"]);
}

#[tokio::test]
async fn whatever_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("exp_1.1.csv");
    let wrong = vec![vec![Cell::Text("not a number".to_owned()), Cell::Null]];
    let short = vec![vec![Cell::Null]];
    let far = vec![vec![Cell::Null; 2]; MAX_BATCH_ROWS + 1];
    for (mut source, is_permanent) in [
        (batches(vec![rows(0, 9)], Then::Fail(SourceError::temporary("the database is away"))), false),
        (batches(vec![rows(0, 9)], Then::Fail(SourceError::permanent("there is no such table"))), true),
        (batches(vec![rows(0, 9), wrong], Then::End), true),
        (batches(vec![short], Then::End), true),
        (batches(vec![far], Then::End), true),
    ] {
        let error = generate(&mut source, ExportFormat::Csv, &target, |_| {}).await.unwrap_err();
        assert_eq!(error.is_permanent(), is_permanent, "{error}");
        assert_eq!(names_in(folder.path()), Vec::<String>::new(), "{error}");
    }
}

#[tokio::test]
async fn a_disk_that_fails_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("not there").join("exp_1.1.csv");
    let mut source = batches(vec![rows(0, 9); 100], Then::End);
    let error = generate(&mut source, ExportFormat::Csv, &target, |_| {}).await.unwrap_err();
    assert!(matches!(&error, GenerateError::File { why, .. } if why.kind() == io::ErrorKind::NotFound), "{error}");
    assert!(!error.is_permanent());
}

#[tokio::test]
async fn what_is_given_up_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("exp_1.1.csv");
    let mut source = batches(vec![rows(0, 9)], Then::Hang);
    let making = generate(&mut source, ExportFormat::Csv, &target, |_| {});
    assert!(tokio::time::timeout(Duration::from_millis(200), making).await.is_err());
    for _ in 0..500 {
        if names_in(folder.path()).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(names_in(folder.path()), Vec::<String>::new());
}

#[test]
fn times_that_no_calendar_has_are_refused() {
    let schema = Schema::new(vec![Column::new("at", CellKind::Time)]).unwrap();
    for micros in [i64::MIN, i64::MAX, 253_402_300_800_000_000, -62_135_596_800_000_001] {
        assert_eq!(schema.check(&[Cell::Time(micros)]), Err(SchemaError::TimeRange("at".to_owned())));
    }
    assert_eq!(schema.check(&[Cell::Null]), Ok(()));
}
