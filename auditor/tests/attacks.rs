//! The program against attacks by somebody who owns the store, given what an auditor kept before.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
mod signing;
mod workbench;

use common::image::*;
use workbench::{Bench, kinds};

#[tokio::test]
async fn without_anything_kept_only_integrity_is_answered() {
    let bench = Bench::new().await;
    let (code, evidence) = bench.verify(&[]);
    assert_eq!(code, 0);
    let ledger = bench.ledger(&evidence);
    assert_eq!(ledger["integrity"]["verdict"], "verified");
    assert_eq!(ledger["completeness"]["verdict"], "not_checked");
    assert_eq!(ledger["authorship"]["verdict"], "not_checked");
    assert_eq!(ledger["time"]["verdict"], "server_asserted");
}

#[tokio::test]
async fn a_ledger_that_went_on_continues_the_checkpoint_that_was_kept() {
    let bench = Bench::new().await;
    let kept = bench.checkpoint().await;
    bench.grow(700).await;
    bench.checkpoint().await;
    let (code, evidence) = bench.verify(&["--checkpoint", &kept, "--keys", &bench.keys()]);
    let ledger = bench.ledger(&evidence);
    assert_eq!(code, 0, "{evidence:#}");
    assert_eq!(ledger["completeness"]["verdict"], "verified");
    assert_eq!(ledger["authorship"]["verdict"], "verified");
    assert!(ledger["seals"].as_u64().unwrap() >= 2);
}

#[tokio::test]
async fn history_rewritten_with_every_hash_made_right_is_located_to_one_tile() {
    let bench = Bench::new().await;
    bench.grow(1_500).await;
    let kept = bench.checkpoint().await;
    bench.remember_expecting(0);
    bench.rewrite(600, |entry| entry[PAYLOAD] = Value::Blob(br#"{"amount":"1.00"}"#.to_vec()));
    // From the inside everything agrees but the seal, whose root the database's owner did not make again.
    let (code, evidence) = bench.verify(&[]);
    assert_eq!(code, 1);
    let found = kinds(&bench.ledger(&evidence)["findings"]);
    assert_eq!(found, [("tree_not_extending".to_owned(), Some(512), Some(768))], "{evidence:#}");
    assert_eq!(bench.ledger(&evidence)["completeness"]["verdict"], "failed");
    // With the checkpoint alone, and no memory, the place is not known, the fact is.
    let (code, evidence) = bench.verify_without_memory(&["--checkpoint", &kept]);
    assert_eq!(code, 1);
    assert_eq!(kinds(&bench.ledger(&evidence)["findings"])[0].0, "tree_not_extending");
    bench.remember_expecting(1);
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_named_with_its_range() {
    let bench = Bench::new().await;
    bench.grow(300).await;
    let kept = bench.checkpoint().await;
    let size = bench.size();
    bench.truncate(200);
    let (code, evidence) = bench.verify(&["--checkpoint", &kept]);
    let found = kinds(&bench.ledger(&evidence)["findings"]);
    assert_eq!(code, 1);
    assert_eq!(found, [("ledger_truncated".to_owned(), Some(200), Some(size))], "{evidence:#}");
}

#[tokio::test]
async fn an_old_checkpoint_presented_as_the_newest_is_named() {
    let bench = Bench::new().await;
    bench.checkpoint().await;
    let first = bench.size();
    bench.grow(20).await;
    bench.checkpoint().await;
    bench.remember_expecting(0);
    let second = bench.size();
    bench.execute(&format!("delete from ledger_checkpoints where size > {first}"));
    let (code, evidence) = bench.verify(&[]);
    assert_eq!(code, 1);
    let found = kinds(&bench.ledger(&evidence)["findings"]);
    assert_eq!(found, [("checkpoint_replayed".to_owned(), Some(first), Some(second))]);
    bench.remember_expecting(1);
}

#[tokio::test]
async fn an_old_backup_that_went_on_is_a_fork_where_the_key_signed_both() {
    let bench = Bench::new().await;
    bench.grow(300).await;
    let backup = bench.copy();
    bench.grow(10).await;
    let kept = bench.checkpoint().await;
    backup.grow(50).await;
    backup.checkpoint().await;
    let (code, evidence) = backup.verify(&["--checkpoint", &kept, "--keys", &bench.keys()]);
    assert_eq!(code, 1);
    let found: Vec<String> = kinds(&bench.ledger(&evidence)["findings"]).into_iter().map(|(kind, _, _)| kind).collect();
    assert_eq!(found, ["tree_not_extending", "fork"], "{evidence:#}");
    // Without keys it is a rewritten history: who signed is then not known.
    let (_, evidence) = backup.verify(&["--checkpoint", &kept]);
    assert_eq!(kinds(&bench.ledger(&evidence)["findings"]).len(), 1);
}

#[tokio::test]
async fn two_checkpoints_of_one_size_are_compared_without_a_source() {
    let bench = Bench::new().await;
    let other = bench.copy();
    bench.grow(5).await;
    other.grow_otherwise(5).await;
    let (a, b) = (bench.checkpoint().await, other.checkpoint().await);
    let (code, text) = bench.run(&["diff", &a, &b, "--keys", &bench.keys(), "--json"]);
    assert_eq!((code, text["relation"].as_str().unwrap()), (1, "fork"));
    assert_eq!(kinds(&text["findings"])[0].0, "fork");
    let (code, text) = bench.run(&["diff", &a, &a, "--keys", &bench.keys(), "--json"]);
    assert_eq!((code, text["relation"].as_str().unwrap()), (0, "same"));
    bench.grow(100).await;
    let later = bench.checkpoint().await;
    let (code, text) = bench.run(&["diff", &a, &later, "--source", bench.path(), "--json"]);
    assert_eq!((code, text["relation"].as_str().unwrap()), (0, "a_is_prefix_of_b"));
    let (code, text) = bench.run(&["diff", &later, &b, "--source", bench.path(), "--json"]);
    assert_eq!((code, text["relation"].as_str().unwrap()), (1, "fork"));
    let (code, text) = bench.run(&["diff", &a, &later, "--json"]);
    assert_eq!((code, text["relation"].as_str().unwrap()), (1, "not_comparable"));
}

#[tokio::test]
async fn wrong_unknown_and_expired_keys_are_told_apart() {
    let bench = Bench::new().await;
    let kept = bench.checkpoint().await;
    let judge = |keys: &str| {
        let keys = bench.write("these-keys.txt", keys);
        let (code, evidence) = bench.verify(&["--checkpoint", &kept, "--keys", &keys]);
        let found = kinds(&bench.ledger(&evidence)["findings"]);
        (code, found.first().map(|(kind, _, _)| kind.clone()))
    };
    let key = bench.key().verifier_key(workbench::ORIGIN);
    let other = signing::LogKey::p256(99).verifier_key(workbench::ORIGIN);
    assert_eq!(judge(&key), (0, None));
    assert_eq!(judge(&other), (1, Some("key_unknown".to_owned())));
    assert_eq!(judge(&format!("{key} from=2024-01-01T00:00:00Z")), (0, None));
    assert_eq!(judge(&format!("{key} until=2024-01-01T00:00:00Z")), (1, Some("key_expired".to_owned())));
    assert_eq!(judge(&format!("{key} from=2025-01-01T00:00:00Z")), (1, Some("key_expired".to_owned())));
    // A checkpoint whose signature is another one's of the same key.
    let note = std::fs::read_to_string(&kept).unwrap();
    let (text, _) = note.split_once("\n\n").unwrap();
    let spoiled = format!("{text}\n\n{}", bench.key().line(workbench::ORIGIN, "something else\n"));
    let spoiled = bench.write("spoiled.txt", &spoiled);
    let (code, evidence) = bench.verify(&["--checkpoint", &spoiled, "--keys", &bench.keys()]);
    assert_eq!((code, kinds(&bench.ledger(&evidence)["findings"])[0].0.as_str()), (1, "signature_invalid"));
    let (code, _) = bench.run(&["verify", bench.path(), "--checkpoint", &bench.write("no.txt", "no note")]);
    assert_eq!(code, 2);
}

#[tokio::test]
async fn a_ledger_that_is_gone_is_a_finding_for_somebody_who_saw_it() {
    let bench = Bench::new().await;
    let kept = bench.checkpoint().await;
    let size = bench.size();
    bench.truncate(0);
    bench.execute("delete from ledger_heads where ledger_id = 'main'; delete from ledger_checkpoints");
    for more in [&[][..], &["--ledger", "main"]] {
        let (code, evidence) = bench.verify(&[&["--checkpoint", kept.as_str()], more].concat());
        assert_eq!(code, 1);
        assert_eq!(kinds(&evidence["missing"]), [("ledger_truncated".to_owned(), Some(0), Some(size))]);
    }
}

#[tokio::test]
async fn what_stands_in_place_of_a_checkpoint_is_named() {
    let bench = Bench::new().await;
    bench.checkpoint().await;
    bench.execute("update ledger_checkpoints set note = 'main\n1\nAAAA\n'");
    let (code, evidence) = bench.verify(&[]);
    assert_eq!((code, kinds(&bench.ledger(&evidence)["findings"])[0].0.as_str()), (1, "checkpoint_malformed"));
}

#[tokio::test]
async fn a_quorum_of_witnesses_is_reached_or_named_as_missing() {
    let bench = Bench::new().await;
    let kept = bench.checkpoint().await;
    let witness = signing::WitnessKey::new(1);
    let policy = format!(
        "log {}\nwitness W {}\nquorum W\n",
        bench.key().verifier_key(workbench::ORIGIN),
        witness.verifier_key("w.example/w")
    );
    let policy = bench.write("policy", &policy);
    let (code, evidence) = bench.verify(&["--checkpoint", &kept, "--witness-policy", &policy]);
    assert_eq!((code, kinds(&bench.ledger(&evidence)["findings"])[0].0.as_str()), (1, "witness_quorum_missing"));
    // The policy's log key counts as given.
    assert_eq!(bench.ledger(&evidence)["authorship"]["verdict"], "verified");
    let note = std::fs::read_to_string(&kept).unwrap();
    let text = format!("{}\n", note.split_once("\n\n").unwrap().0);
    let cosigned = bench.write("cosigned.txt", &format!("{note}{}", witness.line("w.example/w", &text, 1_800_000_000)));
    let (code, evidence) = bench.verify(&["--checkpoint", &cosigned, "--witness-policy", &policy]);
    assert_eq!(code, 0, "{evidence:#}");
    assert_eq!(bench.ledger(&evidence)["witnesses"]["reached"], true);
}
