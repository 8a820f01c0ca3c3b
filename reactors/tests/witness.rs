//! Checkpoints and witnesses: signatures are gathered, forks are refused, and failures are told.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed unwrap is a failed test")]

mod checkpointed;
mod small_witness;

use std::sync::Arc;
use std::time::Duration;

use checkpointed::{House, ORIGIN, eventually};
use daybook_ledger::note::SignedNote;
use daybook_reactors::{Schedule, Witness, WitnessError, Witnesses, Witnessing, status};
use small_witness::{Manner, SmallWitness};
use tokio::sync::watch;

async fn witness_of(house: &House, name: &str, seed: u8) -> Arc<SmallWitness> {
    let witness = SmallWitness::start(name, seed).await;
    witness.knows(ORIGIN, &house.verifier_key);
    witness
}

fn asking(house: &House, witnesses: &[&Arc<SmallWitness>]) -> Witnesses {
    let witnesses = witnesses.iter().map(|witness| Witness::new(&witness.url, witness.key()).unwrap()).collect();
    Witnesses::new(house.ledger.reader().clone(), witnesses).unwrap()
}

async fn ask(witnesses: &Witnesses) -> Witnessing {
    witnesses.witness().await.unwrap().unwrap()
}

/// The one failure of an attempt.
async fn failure(witnesses: &Witnesses) -> WitnessError {
    let mut witnessing = ask(witnesses).await;
    assert_eq!(witnessing.failed.len(), 1);
    witnessing.failed.remove(0).1
}

async fn names(house: &House) -> Vec<String> {
    let note = SignedNote::parse(&house.newest().await.note).unwrap();
    note.signatures.into_iter().map(|signature| signature.name).collect()
}

#[tokio::test]
async fn signatures_of_witnesses_are_kept_in_the_checkpoint() {
    let mut house = House::new().await;
    let (one, two) = (witness_of(&house, "one.example", 1).await, witness_of(&house, "two.example", 2).await);
    let witnesses = asking(&house, &[&one, &two]);
    assert!(witnesses.witness().await.unwrap().is_none(), "there is no checkpoint yet");
    let checkpoint = house.checkpoint(3).await;
    let witnessing = ask(&witnesses).await;
    assert_eq!((witnessing.size, witnessing.signed.len(), witnessing.failed.len()), (checkpoint.size, 2, 0));
    assert_eq!(names(&house).await, [ORIGIN, "one.example", "two.example"], "a stranger's line is not kept");
    let note = SignedNote::parse(&house.newest().await.note).unwrap();
    assert!(one.key().verify(&note.body, &note.signatures[1]).is_some());
    let first = SignedNote::parse(&checkpoint.note).unwrap();
    assert_eq!((note.body, &note.signatures[0]), (first.body, &first.signatures[0]), "the log's own part is as it was");
    assert_eq!(ask(&witnesses).await.signed.len(), 2);
    assert_eq!(*one.requests.lock().unwrap(), [0], "who has signed is not asked again");
}

#[tokio::test]
async fn witness_follows_the_ledger_as_it_grows() {
    let mut house = House::new().await;
    let witness = witness_of(&house, "one.example", 1).await;
    let witnesses = asking(&house, &[&witness]);
    let mut sizes = vec![0];
    for entries in [1, 1, 2, 5, 17, 250, 300] {
        let checkpoint = house.checkpoint(entries).await;
        assert!(ask(&witnesses).await.failed.is_empty(), "{entries} more");
        sizes.push(checkpoint.size);
    }
    sizes.pop();
    assert_eq!(*witness.requests.lock().unwrap(), sizes, "each begins where the last one ended");
    // A process that knows nothing is told by the witness.
    let last = house.newest().await.size;
    house.checkpoint(4).await;
    witness.requests.lock().unwrap().clear();
    assert!(ask(&asking(&house, &[&witness])).await.failed.is_empty());
    assert_eq!(*witness.requests.lock().unwrap(), [0, last]);
}

#[tokio::test]
async fn signature_that_was_lost_is_asked_for_again() {
    let mut house = House::new().await;
    let witness = witness_of(&house, "one.example", 1).await;
    let checkpoint = house.checkpoint(3).await;
    ask(&asking(&house, &[&witness])).await;
    house.ledger.store().save_checkpoint(house.ledger.id(), &checkpoint).await.unwrap();
    assert!(ask(&asking(&house, &[&witness])).await.failed.is_empty());
    assert_eq!(names(&house).await, [ORIGIN, "one.example"]);
}

#[tokio::test]
async fn fork_is_refused_by_who_has_seen_the_other_branch() {
    let mut house = House::new().await;
    let mut twin = house.twin().await;
    let witness = witness_of(&house, "one.example", 1).await;
    let seen = house.checkpoint(4).await;
    assert!(ask(&asking(&house, &[&witness])).await.failed.is_empty());

    let same_size = twin.checkpoint(4).await;
    assert_eq!((same_size.size, same_size.root == seen.root), (seen.size, false));
    let error = failure(&asking(&twin, &[&witness])).await;
    assert!(matches!(error, WitnessError::Fork { size } if size == seen.size), "{error}");

    twin.checkpoint(3).await;
    let error = failure(&asking(&twin, &[&witness])).await;
    assert!(matches!(error, WitnessError::Fork { size } if size == seen.size), "{error}");
    assert_eq!(names(&twin).await, [ORIGIN]);
    assert_eq!(witness.seen.lock().unwrap()[ORIGIN].0, seen.size);
}

#[tokio::test]
async fn ledger_that_lost_its_end_is_told_what_was_witnessed() {
    let mut house = House::new().await;
    let mut twin = house.twin().await;
    let witness = witness_of(&house, "one.example", 1).await;
    let seen = house.checkpoint(9).await.size;
    ask(&asking(&house, &[&witness])).await;
    let left = twin.checkpoint(2).await.size;
    let error = failure(&asking(&twin, &[&witness])).await;
    assert!(matches!(error, WitnessError::Ahead { witnessed, size } if (witnessed, size) == (seen, left)), "{error}");
}

#[tokio::test]
async fn unknown_ledgers_and_keys_are_named() {
    let mut house = House::new().await;
    house.checkpoint(1).await;
    let witness = SmallWitness::start("one.example", 1).await;
    let error = failure(&asking(&house, &[&witness])).await;
    assert!(matches!(&error, WitnessError::UnknownLog(origin) if origin == ORIGIN), "{error}");
    witness.knows(ORIGIN, &House::new().await.verifier_key);
    assert!(matches!(failure(&asking(&house, &[&witness])).await, WitnessError::UnknownKey));
}

#[tokio::test]
async fn signatures_that_are_none_are_not_kept_and_hold_up_nobody() {
    let mut house = House::new().await;
    let (bad, good) = (witness_of(&house, "bad.example", 1).await, witness_of(&house, "good.example", 2).await);
    let witnesses = asking(&house, &[&bad, &good]);
    for manner in [Manner::OtherKey, Manner::Tomorrow, Manner::OtherText, Manner::Nonsense] {
        *bad.manner.lock().unwrap() = manner;
        house.checkpoint(2).await;
        assert!(matches!(failure(&witnesses).await, WitnessError::NoSignature), "{manner:?}");
        assert_eq!(names(&house).await, [ORIGIN, "good.example"], "{manner:?}");
    }
    *bad.manner.lock().unwrap() = Manner::Broken;
    assert!(matches!(failure(&witnesses).await, WitnessError::Answer(500)));
    *bad.manner.lock().unwrap() = Manner::Honest;
    assert!(ask(&witnesses).await.failed.is_empty());
    assert_eq!(names(&house).await, [ORIGIN, "good.example", "bad.example"]);
}

#[tokio::test]
async fn schedule_witnesses_what_comes_and_shows_who_fails() {
    let mut house = House::new().await;
    let witness = witness_of(&house, "one.example", 1).await;
    *witness.manner.lock().unwrap() = Manner::Broken;
    house.checkpoint(1).await;
    let task = Box::new(asking(&house, &[&witness]));
    let schedule = Schedule::new(task, Duration::from_millis(20), house.ledger.id().clone(), house.database.clone());
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(schedule.run(stopping));
    let database = house.database.clone();
    eventually("the failure is in the status", || async {
        let all = status(&database).await.unwrap();
        let error = all.into_iter().find(|one| one.name == "witness").and_then(|one| one.error);
        error.is_some_and(|error| error == "witness one.example answered with status 500, which cannot be used")
    })
    .await;
    *witness.manner.lock().unwrap() = Manner::Honest;
    let size = house.checkpoint(5).await.size;
    eventually("the checkpoint is witnessed", || async {
        let all = status(&database).await.unwrap();
        all.iter().any(|one| one.name == "witness" && one.error.is_none() && one.position == size)
    })
    .await;
    assert_eq!(names(&house).await, [ORIGIN, "one.example"]);
    stop.send_replace(true);
    tokio::time::timeout(Duration::from_secs(5), running).await.unwrap().unwrap();
}
