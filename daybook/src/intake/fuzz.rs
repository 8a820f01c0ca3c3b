//! Files of bytes that nobody would export: no row is lost in silence, none is made up, and nothing panics.
//! `DAYBOOK_FUZZ_SECONDS` sets how long each test goes on (default 2).
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::io::Write;
use std::time::{Duration, Instant};

use daybook_domain::Timestamp;
use daybook_domain::text::Line;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{MappingOptions, Row, rows};

/// Tries values of `strategy` until the time is up; what fails is shown as small as it gets.
fn for_a_while<S: Strategy>(strategy: &S, check: impl Fn(S::Value)) {
    let seconds = std::env::var("DAYBOOK_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let deadline = Instant::now() + Duration::from_secs(seconds.unwrap_or(2));
    let mut runner = TestRunner::new(Config { cases: 32, failure_persistence: None, ..Config::default() });
    while Instant::now() < deadline {
        let tried = runner.run(strategy, |value| {
            check(value);
            Ok(())
        });
        tried.unwrap_or_else(|failure| panic!("{failure}"));
    }
}

/// The rows of a file with these bytes; `None` where it is refused as a whole.
fn read(bytes: &[u8]) -> Option<Vec<Row>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("file");
    std::fs::write(&path, bytes).expect("the temporary folder can be written");
    let options = MappingOptions {
        status: "completed".to_owned(),
        currency: Some("EUR".to_owned()),
        ..MappingOptions::default()
    };
    Some(rows::open(&path, options).ok()?.0.collect())
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

/// A file of objects.
fn objects() -> impl Strategy<Value = Vec<u8>> {
    let object = ("[a-z0-9]{1,6}", 0_u32..1_000_000, ".{0,6}")
        .prop_map(|(id, amount, note)| serde_json::json!({"id": id, "amount": amount, "note": note}).to_string());
    prop::collection::vec(object, 1..12).prop_map(|lines| format!("{}\n", lines.join("\n")).into_bytes())
}

/// A file of columns, with fields that need quotes.
fn columns() -> impl Strategy<Value = Vec<u8>> {
    let note =
        prop::sample::select(vec!["", "plain", "with, comma", "with \"quotes\"", "two\nlines", "\u{e9}\u{4e2d}"]);
    let row = ("[a-z0-9]{1,6}", 0_u32..1_000_000, note);
    (prop::collection::vec(row, 1..12), prop::sample::select(vec![b',', b';', b'\t', b'|'])).prop_map(
        |(rows, delimiter)| {
            let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
            writer.write_record(["id", "amount", "note"]).expect("memory can be written");
            for (id, amount, note) in rows {
                writer.write_record([id.as_str(), &amount.to_string(), note]).expect("memory can be written");
            }
            writer.into_inner().expect("memory can be written")
        },
    )
}

/// One byte replaced, removed or added; or bytes out of nowhere.
fn damaged(file: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changed = (file, any::<prop::sample::Index>(), prop::option::of(any::<u8>()), any::<bool>()).prop_map(
        |(mut file, place, byte, adds)| {
            let place = place.index(file.len());
            let replaced = usize::from(!adds);
            file.splice(place..place + replaced, byte);
            file
        },
    );
    prop_oneof![3 => changed, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

#[test]
fn damaged_files_have_rows_in_order_and_each_is_a_transaction_or_says_why_not() {
    let received_at = Timestamp::parse("/t", "2026-11-20T09:30:00Z").expect("a time");
    let source = Line::parse("/source", "fuzz").expect("a line");
    let files = (damaged(prop_oneof![objects(), columns()]), any::<bool>());
    for_a_while(&files, |(bytes, is_gzip)| {
        let Some(rows) = read(&if is_gzip { gzipped(&bytes) } else { bytes }) else { return };
        assert!(rows.is_sorted_by_key(|row| row.line));
        for row in rows {
            let line = row.line;
            match row.content.and_then(|input| input.record(received_at, &source)) {
                Ok(_) => {}
                Err(why) => assert!(!why.is_empty(), "line {line} is refused without a reason"),
            }
        }
    });
}

#[test]
fn files_of_objects_that_are_cut_off_lose_no_row_in_silence_and_gain_none() {
    let cut_off = (objects(), any::<prop::sample::Index>(), any::<bool>());
    for_a_while(&cut_off, |(bytes, length, is_gzip)| {
        let whole = read(&bytes).expect("a file of objects");
        let written = if is_gzip { gzipped(&bytes) } else { bytes };
        let length = length.index(written.len());
        let Some(mut rows) = read(written.get(..length).unwrap_or_default()) else { return };
        let last = rows.pop();
        assert!(whole.starts_with(&rows), "{rows:?}");
        // The last one is a whole row of the file, or says that it is none: an object that is cut off is no object.
        let is_whole = last.as_ref().is_none_or(|last| whole.get(rows.len()) == Some(last));
        assert!(is_whole || last.as_ref().is_some_and(|last| last.content.is_err()), "{last:?}");
        let is_complete = rows.len() + usize::from(last.is_some()) == whole.len();
        assert!(!is_gzip || is_complete || last.is_some_and(|last| last.content.is_err()), "a cut was not noticed");
    });
}

#[test]
fn rows_before_a_cut_are_those_of_the_whole_file() {
    let cut_off = (columns(), any::<prop::sample::Index>());
    for_a_while(&cut_off, |(bytes, length)| {
        let whole = read(&bytes).expect("a file of columns");
        let length = length.index(bytes.len());
        let Some(mut rows) = read(bytes.get(..length).unwrap_or_default()) else { return };
        // The last row of a file of columns has no end that could be missed: `1,50` may be the beginning of `1,500`.
        rows.pop();
        assert!(whole.starts_with(&rows), "{rows:?}");
    });
}
