//! The splitter against bytes that nobody would write, in pieces that nobody would send. `DAYBOOK_FUZZ_SECONDS` sets how
//! long each test goes on (default 2).
#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use super::{Broken, Item, Separation, Splitter};

/// Tries values of `strategy` until the time is up; what fails is shown as small as it gets.
fn for_a_while<S: Strategy>(strategy: &S, check: impl Fn(S::Value)) {
    let seconds = std::env::var("DAYBOOK_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let deadline = Instant::now() + Duration::from_secs(seconds.unwrap_or(2));
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    while Instant::now() < deadline {
        let tried = runner.run(strategy, |value| {
            check(value);
            Ok(())
        });
        tried.unwrap_or_else(|failure| panic!("{failure}"));
    }
}

/// Text that is nearly JSON, nearly lines, or nothing at all.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => prop::sample::select(vec![
            "[", "]", "{", "}", ",", ":", "\"", "\\", "\\\"", " ", "\n", "\r\n", "\t", "null", "true", "1", "-2.5e3",
            "\"a\"", "\"],[\"", "{\"a\":1}", "[1,[2]]", "\u{feff}", "\u{2028}",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

/// Arrays as a client would write them.
fn array() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(".{0,4}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    });
    (prop::collection::vec(value, 0..6), any::<bool>()).prop_map(|(values, pretty)| {
        let written = if pretty { serde_json::to_vec_pretty(&values) } else { serde_json::to_vec(&values) };
        written.expect("values are written")
    })
}

/// Splits `bytes`, fed in pieces of the lengths that `cuts` gives in turn.
fn split(separation: Separation, bytes: &[u8], cuts: &[usize]) -> (Vec<Item>, Result<(), Broken>) {
    let (mut splitter, mut found, mut rest) = (Splitter::new(separation), Vec::new(), bytes);
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let length = cuts.next().copied().unwrap_or(rest.len()).clamp(1, rest.len());
        let (piece, after) = rest.split_at(length);
        if let Err(broken) = splitter.feed(piece, &mut found) {
            return (found, Err(broken));
        }
        rest = after;
    }
    let finished = splitter.finish(&mut found);
    (found, finished)
}

fn with_cuts(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    (bytes, prop::collection::vec(1_usize..9, 1..5))
}

#[test]
fn lines_are_those_of_the_whole_text_however_it_arrives() {
    for_a_while(&with_cuts(bytes()), |(bytes, cuts)| {
        let (found, finished) = split(Separation::Lines, &bytes, &cuts);
        let wanted: Vec<Item> = bytes
            .split(|byte| *byte == b'\n')
            .zip(1..)
            .filter(|(line, _)| !line.iter().all(u8::is_ascii_whitespace))
            .map(|(line, number)| Item { number, bytes: Some(line.to_vec()) })
            .collect();
        assert_eq!((found, finished), (wanted, Ok(())));
    });
}

#[test]
fn array_is_taken_whole_or_not_however_it_arrives() {
    for_a_while(&with_cuts(prop_oneof![bytes(), array()]), |(bytes, cuts)| {
        let (found, finished) = split(Separation::Array, &bytes, &cuts);
        assert_eq!((&found, finished), (&split(Separation::Array, &bytes, &[bytes.len().max(1)]).0, finished));
        let items: Option<Vec<Value>> =
            found.iter().map(|item| serde_json::from_slice(item.bytes.as_deref().unwrap_or_default()).ok()).collect();
        let whole: Option<Vec<Value>> = serde_json::from_slice(&bytes).ok();
        // What is not an array of JSON has an item that is none, or a broken end; what is has exactly its elements.
        assert_eq!(items.filter(|_| finished.is_ok()), whole);
    });
}

#[test]
fn array_that_is_cut_off_is_never_taken_for_a_whole_one() {
    let cut_off = array().prop_flat_map(|bytes| {
        let length = bytes.len();
        (Just(bytes), 0..length)
    });
    for_a_while(&cut_off, |(bytes, length)| {
        let (whole, finished) = split(Separation::Array, &bytes, &[3]);
        assert_eq!(finished, Ok(()));
        let (found, finished) = split(Separation::Array, bytes.get(..length).unwrap_or_default(), &[5]);
        assert!(finished.is_err());
        assert!(whole.starts_with(&found), "an element that is not complete was given out");
    });
}
