//! Commands decided on a state held in memory, or on the guess that an aggregate is new, answer as if it had been loaded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod tally;

use daybook_ledger::StreamKey;
use daybook_ledger::commands::{CommandContext, CommandError, Commands};
use daybook_ledger::cqrs::StreamPolicy;
use tally::{BelowZero, Tally, TallyCommand, context, house, keyed, policy};

fn add(amount: i64) -> TallyCommand {
    TallyCommand::Add(vec![amount])
}

fn expecting(version: u64) -> CommandContext {
    CommandContext { expected_version: Some(version), ..context() }
}

#[tokio::test]
async fn a_state_that_another_writer_moved_on_is_read_again() {
    let house = house().await;
    let ours = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    let theirs = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    ours.execute("t", add(1), context()).await.unwrap();
    theirs.execute("t", add(10), context()).await.unwrap();
    let outcome = ours.execute("t", add(100), context()).await.unwrap();
    assert_eq!((outcome.version, outcome.aggregate.total), (3, 111));
    assert!(!outcome.created && !outcome.replayed && !outcome.unchanged);
}

#[tokio::test]
async fn a_refusal_or_nothing_to_do_is_judged_on_the_newest_state() {
    let house = house().await;
    let ours = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    let theirs = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    ours.execute("t", add(1), context()).await.unwrap();
    let newest = theirs.execute("t", add(10), context()).await.unwrap();
    let nothing = ours.execute("t", TallyCommand::Nothing, context()).await.unwrap();
    assert!(nothing.unchanged);
    assert_eq!((nothing.receipt, nothing.aggregate.total), (newest.receipt, 11));
    assert_eq!(ours.execute("t", add(-5), context()).await.unwrap().aggregate.total, 6, "they had added enough");
    theirs.execute("t", add(-6), context()).await.unwrap();
    assert!(matches!(ours.execute("t", add(-1), context()).await, Err(CommandError::Refused(BelowZero))));
    assert_eq!(house.ledger.head().await.unwrap().size, 4);
}

#[tokio::test]
async fn an_expected_version_is_held_against_the_newest_state() {
    let house = house().await;
    let ours = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    let theirs = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    ours.execute("t", add(1), context()).await.unwrap();
    theirs.execute("t", add(10), context()).await.unwrap();
    let of_old = ours.execute("t", add(1), expecting(1)).await;
    assert!(matches!(of_old, Err(CommandError::PreconditionFailed { current_version: 2 })), "{of_old:?}");
    assert_eq!(ours.execute("t", add(1), expecting(2)).await.unwrap().version, 3);
    let as_new = theirs.execute("t", add(1), expecting(0)).await;
    assert!(matches!(as_new, Err(CommandError::PreconditionFailed { current_version: 3 })), "{as_new:?}");
    let stranger = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    let as_new = stranger.execute("t", add(1), expecting(0)).await;
    assert!(matches!(as_new, Err(CommandError::PreconditionFailed { current_version: 3 })), "{as_new:?}");
    assert_eq!(stranger.execute("t", add(1), expecting(3)).await.unwrap().version, 4);
}

#[tokio::test]
async fn an_aggregate_taken_to_be_new_wrongly_is_loaded() {
    let house = house().await;
    let before = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    before.execute("t", add(5), context()).await.unwrap();
    for held_aggregates in [0, 100] {
        let after = Commands::<Tally>::new(house.ledger.clone(), StreamPolicy { held_aggregates, ..policy(0) });
        let outcome = after.execute("t", add(1), context()).await.unwrap();
        assert!(!outcome.created);
        let refused = after.execute("t", add(-100), context()).await;
        assert!(matches!(refused, Err(CommandError::Refused(BelowZero))));
    }
    assert_eq!(before.load("t").await.unwrap().unwrap().aggregate.total, 7);
}

#[tokio::test]
async fn a_repeated_command_id_is_found_on_every_way() {
    let house = house().await;
    let first = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    let taken = first.execute("t", add(5), keyed("k", "add 5")).await.unwrap();
    first.execute("t", add(1), context()).await.unwrap();
    let fresh = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    for commands in [&first, &fresh] {
        let again = commands.execute("t", add(5), keyed("k", "add 5")).await.unwrap();
        assert!(again.replayed && again.created);
        assert_eq!((again.version, &again.receipt, again.aggregate.total), (1, &taken.receipt, 5));
        let conditional = CommandContext { expected_version: Some(0), ..keyed("k", "add 5") };
        assert_eq!(commands.execute("t", add(5), conditional).await.unwrap().receipt, taken.receipt);
        let results = commands.execute_many(vec![("t".to_owned(), add(5), keyed("k", "add 5"))]).await;
        assert!(results[0].as_ref().unwrap().replayed);
        let other = commands.execute("t", add(6), keyed("k", "add 6")).await;
        assert!(matches!(other, Err(CommandError::CommandMismatch)));
    }
    let nothing = first.execute("t", TallyCommand::Nothing, keyed("n", "nothing")).await.unwrap();
    first.execute("u", add(1), context()).await.unwrap();
    // The same key, but an id under which something would be recorded.
    let elsewhere = fresh.execute("v", add(1), keyed("n", "nothing")).await.unwrap();
    assert!(elsewhere.replayed && elsewhere.unchanged);
    assert_eq!((elsewhere.id.as_str(), elsewhere.receipt), ("t", nothing.receipt));
}

#[tokio::test]
async fn many_commands_on_aggregates_known_and_unknown_answer_in_order() {
    let house = house().await;
    let before = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    for n in 0..40 {
        before.execute(&format!("old-{n}"), add(n), context()).await.unwrap();
    }
    let after = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    // At first everything is taken to be new, then it is known that it is not.
    for round in 1..=3_u64 {
        let commands = (0..40).flat_map(|n| {
            let id = format!("old-{n}");
            let second = if n % 2 == 0 { add(-1_000) } else { TallyCommand::Nothing };
            [(id.clone(), add(1), context()), (id, second, context())]
        });
        let results = after.execute_many(commands.collect()).await;
        for (n, pair) in results.chunks(2).enumerate() {
            let first = pair[0].as_ref().unwrap();
            assert_eq!((first.id.as_str(), first.version), (format!("old-{n}").as_str(), round + 1));
            assert_eq!(first.aggregate.total, n as i64 + round as i64);
            match &pair[1] {
                Ok(second) => assert!(second.unchanged && second.receipt == first.receipt && n % 2 == 1),
                Err(CommandError::Refused(BelowZero)) => assert_eq!(n % 2, 0),
                Err(other) => panic!("{other}"),
            }
        }
        let new = after.execute_many((0..40).map(|n| (format!("new-{round}-{n}"), add(1), context())).collect()).await;
        assert!(new.iter().all(|result| result.as_ref().unwrap().created));
    }
    let expected = CommandContext { expected_version: Some(9), ..context() };
    let last = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    let results = last
        .execute_many(vec![
            ("old-1".to_owned(), add(1), expected.clone()),
            ("never".to_owned(), add(1), expected),
            ("never".to_owned(), add(-1), context()),
            ("old-2".to_owned(), add(1), expecting(4)),
        ])
        .await;
    assert!(matches!(results[0], Err(CommandError::PreconditionFailed { current_version: 4 })));
    assert!(matches!(results[1], Err(CommandError::PreconditionFailed { current_version: 0 })));
    assert!(matches!(results[2], Err(CommandError::Refused(BelowZero))));
    assert_eq!(results[3].as_ref().unwrap().version, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_that_hold_states_of_the_same_streams_lose_nothing() {
    let house = house().await;
    let writers: Vec<_> = (0..2)
        .map(|_| Commands::<Tally>::new(house.ledger.clone(), StreamPolicy { held_aggregates: 4, ..policy(7) }))
        .collect();
    let tasks = (0..16).map(|n| {
        let writer = writers[n % 2].clone();
        tokio::spawn(async move {
            for round in 0..25 {
                let id = format!("t{}", (n + round) % 10);
                writer.execute_with_retry(&id, add(1), context(), 1_000).await.unwrap();
            }
        })
    });
    for task in futures::future::join_all(tasks).await {
        task.unwrap();
    }
    let mut total = 0;
    for n in 0..10 {
        let key = StreamKey::new("tally", format!("t{n}")).unwrap();
        let entries = house.ledger.stream(&key, 1, 1_000).await.unwrap();
        let now = writers[0].load(&key.stream_id).await.unwrap().unwrap();
        assert_eq!((now.version, now.aggregate.total), (entries.len() as u64, entries.len() as i64));
        total += now.aggregate.total;
    }
    assert_eq!(total, 16 * 25);
}
