//! Every parser of bytes from outside against bytes that nobody would write, for a few seconds each: none panics, and what
//! is accepted comes out again as it went in. `DAYBOOK_FUZZ_SECONDS` sets how long each goes on (default 2).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod signing;

use std::time::{Duration, Instant};

use daybook_auditor::checkpoint::Checkpoint;
use daybook_auditor::entry_facts::EntryFacts;
use daybook_auditor::keys::TrustedKeys;
use daybook_auditor::note::Note;
use daybook_auditor::path::{RangeRoots, consistency_ranges, inclusion_ranges};
use daybook_auditor::policy::Policy;
use daybook_auditor::proof::{verify_consistency, verify_inclusion};
use daybook_auditor::proof_check::{Claims, check};
use daybook_auditor::tlog_proof::TlogProof;
use daybook_auditor::trust::Brought;
use daybook_auditor::verifier_key::VerifierKey;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use signing::{LogKey, WitnessKey, body};

const ORIGIN: &str = "daybook.local/main";

fn budget() -> Duration {
    let seconds = std::env::var("DAYBOOK_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

/// One change of a valid text, or bytes out of nowhere.
#[derive(Debug, Clone)]
enum Change {
    Flip(usize, u8),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize, usize),
    Swap(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..8),
        prop::sample::select(vec![
            "\n",
            "\n\n",
            " ",
            "+",
            "=",
            "\u{2014} ",
            "\r",
            "\t",
            "0",
            "-",
            "#",
            "\u{0}",
            "extra ",
            "index "
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop_oneof![
        (any::<usize>(), 1..=255_u8).prop_map(|(at, bits)| Change::Flip(at, bits)),
        (any::<usize>(), 1..40_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (any::<usize>(), piece).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<usize>(), 1..60_usize, 1..200_usize).prop_map(|(at, length, times)| Change::Repeat(at, length, times)),
        (any::<usize>(), any::<usize>()).prop_map(|(one, other)| Change::Swap(one, other)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let place = |at: usize, length: usize| if length == 0 { 0 } else { at % length };
        let length = bytes.len();
        match change {
            Change::Flip(at, bits) if length > 0 => bytes[place(*at, length)] ^= bits,
            Change::Remove(at, count) => {
                let start = place(*at, length);
                bytes.drain(start..(start + count).min(length));
            }
            Change::Insert(at, piece) => {
                let start = place(*at, length + 1);
                bytes.splice(start..start, piece.iter().copied());
            }
            Change::Repeat(at, count, times) => {
                let start = place(*at, length);
                let piece = bytes[start..(start + count).min(length)].repeat(*times);
                bytes.splice(start..start, piece);
            }
            Change::Swap(one, other) if length > 0 => bytes.swap(place(*one, length), place(*other, length)),
            _ => {}
        }
    }
    bytes
}

/// Calls `judge` with changed copies of `seeds` and with plain noise, until the time is up.
fn fuzz(seeds: &[Vec<u8>], judge: impl Fn(&[u8])) {
    let config = Config { rng_seed: RngSeed::Random, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let strategy = (
        prop::sample::select(seeds.to_vec()),
        prop::collection::vec(change(), 0..6),
        prop::collection::vec(any::<u8>(), 0..200),
        0..10_u8,
    );
    let until = Instant::now() + budget();
    let mut tried = 0_u64;
    while Instant::now() < until {
        let (seed, changes, noise, kind) = strategy.new_tree(&mut runner).unwrap().current();
        let input = if kind == 0 { noise } else { changed(seed, &changes) };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| judge(&input)));
        assert!(outcome.is_ok(), "input in hexadecimal: {}", hex::encode(&input));
        tried += 1;
    }
    assert!(tried > 100, "only {tried} inputs");
}

fn checkpoint_note() -> String {
    let text = body(ORIGIN, 300, [7; 32]);
    let lines = [LogKey::p256(1).line(ORIGIN, &text), WitnessKey::new(1).line("w.example", &text, 1_700_000_000)];
    format!("{text}\n{}", lines.concat())
}

fn keys_text() -> String {
    let (one, two) = (LogKey::p256(1), LogKey::ed25519(1));
    format!(
        "# keys\n{} from=2026-01-01T00:00:00Z until=2027-01-01T00:00:00Z\n{}\n{}",
        one.verifier_key(ORIGIN),
        two.verifier_key(ORIGIN),
        one.pem()
    )
}

fn policy_text() -> String {
    let key = |seed| WitnessKey::new(seed).verifier_key("w.example");
    format!(
        "log {}\nwitness A {}\nwitness B {} https://b.example\ngroup G any A B\nquorum G\n",
        LogKey::p256(1).verifier_key(ORIGIN),
        key(1),
        key(2)
    )
}

fn facts() -> EntryFacts {
    EntryFacts {
        ledger_id: "main".into(),
        position: 2,
        event_id: [1; 16],
        stream_type: "transaction".into(),
        stream_id: "TX-1".into(),
        version: 1,
        event_type: "transaction.recorded".into(),
        schema_version: 1,
        recorded_at: 1_700_000_000_000_000,
        actor_kind: "human".into(),
        actor_id: "usr_1".into(),
        metadata_digest: [2; 32],
        payload_digest: [3; 32],
        previous_hash: [4; 32],
    }
}

fn proof_text() -> String {
    let proof = TlogProof {
        extra: Some(facts().to_bytes()),
        index: 2,
        path: vec![[1; 32], [2; 32], [3; 32]],
        checkpoint: Checkpoint::parse(checkpoint_note().as_bytes()).unwrap(),
    };
    proof.to_text()
}

fn brought() -> Brought {
    Brought {
        keys: Some(TrustedKeys::parse(keys_text().as_bytes()).unwrap()),
        policy: Some(Policy::parse(policy_text().as_bytes()).unwrap()),
        ..Brought::default()
    }
}

#[test]
fn notes_and_checkpoints() {
    let brought = brought();
    let keys = brought.trusted_keys().unwrap();
    let signed = checkpoint_note();
    let text = signed.split_once("\n\n").unwrap().0;
    fuzz(&[checkpoint_note().into_bytes()], |bytes| {
        let Ok(note) = Note::parse(bytes) else { return };
        assert_eq!(note.text().as_bytes(), bytes);
        assert!(note.text().starts_with(note.body()) && note.body().ends_with('\n'));
        // What an independent implementation takes for a note, with its signatures, is what we take for one.
        let other = signed_note::Note::from_bytes(bytes).unwrap();
        assert_eq!(other.text(), note.body().as_bytes());
        let Ok(checkpoint) = Checkpoint::parse(bytes) else { return };
        let other = tlog_tiles::Checkpoint::from_bytes(checkpoint.note().body().as_bytes()).unwrap();
        assert_eq!((other.origin(), other.size()), (checkpoint.origin.as_str(), checkpoint.size));
        let accepted = checkpoint.judge(&keys, None).signer().is_some();
        assert!(!accepted || checkpoint.note().body().trim_end() == text, "a forged checkpoint");
        brought.policy.as_ref().unwrap().judge(&checkpoint);
    });
}

#[test]
fn keys_files_and_verifier_keys() {
    fuzz(&[keys_text().into_bytes()], |bytes| {
        let Ok(keys) = TrustedKeys::parse(bytes) else { return };
        let named = keys.keys().iter().filter(|key| key.name().is_some()).count();
        if named > 0 {
            let again = TrustedKeys::parse(keys.to_text().as_bytes()).unwrap();
            assert_eq!(again.keys().len(), named);
            assert_eq!(again.to_text(), keys.to_text());
        }
    });
    fuzz(
        &[LogKey::p256(1).verifier_key(ORIGIN).into_bytes(), WitnessKey::new(1).verifier_key("w").into_bytes()],
        |bytes| {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            if let Ok(key) = VerifierKey::parse(text) {
                assert!(key.to_string().eq_ignore_ascii_case(text));
            }
        },
    );
}

#[test]
fn witness_policies() {
    let checkpoint = Checkpoint::parse(checkpoint_note().as_bytes()).unwrap();
    fuzz(&[policy_text().into_bytes()], |bytes| {
        if let Ok(policy) = Policy::parse(bytes) {
            policy.judge(&checkpoint);
        }
    });
}

#[test]
fn proof_files() {
    let brought = brought();
    fuzz(&[proof_text().into_bytes()], |bytes| {
        let proof = TlogProof::parse(bytes);
        if let Ok(proof) = &proof {
            assert_eq!(proof.to_text().as_bytes(), bytes);
        }
        // The path of the seed leads nowhere, so that nothing may be accepted.
        let claims = Claims { receipt: None, entry: Some(String::from_utf8_lossy(bytes).into_owned()) };
        assert!(!check(&proof, &claims, &brought).holds());
    });
}

#[test]
fn canonical_bytes() {
    fuzz(&[facts().to_bytes()], |bytes| {
        if let Some(facts) = EntryFacts::parse(bytes) {
            assert_eq!(facts.to_bytes(), bytes);
        }
    });
}

#[test]
fn paths_and_sizes() {
    let runner = &mut TestRunner::new(Config { rng_seed: RngSeed::Random, ..Config::default() });
    let sizes = prop_oneof![0..70_u64, any::<u64>(), Just(u64::MAX), Just(1 << 63)];
    let strategy = (sizes.clone(), sizes, prop::collection::vec(any::<[u8; 32]>(), 0..70), any::<[u8; 32]>());
    let until = Instant::now() + budget();
    while Instant::now() < until {
        let (one, other, path, hash) = strategy.new_tree(runner).unwrap().current();
        assert!(path.is_empty() || verify_inclusion(one, other, hash, &path, &hash).is_err());
        if one != other {
            assert!(path.is_empty() || verify_consistency(one, other, &hash, &hash, &path).is_err());
        }
        let ranges = inclusion_ranges(one, other);
        // The ranges and the position itself are the whole tree.
        let covered: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        assert_eq!(covered, if one < other { other - 1 } else { 0 });
        assert!(consistency_ranges(one, other).len() <= 65);
        assert!(RangeRoots::new(ranges.clone()).finish().is_none() || ranges.is_empty());
    }
}
