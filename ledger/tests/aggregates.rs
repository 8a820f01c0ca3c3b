//! cqrs-es on a ledger: receipts flow back, races are reported, snapshots are verified before use, old events are raised.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod tally;

use std::sync::Arc;

use cqrs_es::persist::{EventUpcaster, SemanticVersionEventUpcaster};
use cqrs_es::{AggregateError, CqrsFramework, EventStore};
use daybook_ledger::commands::{CommandContext, CommandError, Commands};
use daybook_ledger::cqrs::{LedgerEventStore, StreamPolicy};
use daybook_ledger::{Actor, Append, Draft, StreamKey};
use tally::{BelowZero, Tally, TallyCommand, TallyEvent, context, house, keyed, policy};

#[tokio::test]
async fn a_command_answers_with_the_receipt_of_its_last_event() {
    let house = house().await;
    let tallies = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    let outcome = tallies.execute("t", TallyCommand::Add(vec![1, 2]), context()).await.unwrap();
    assert!(outcome.created && !outcome.unchanged && !outcome.replayed);
    assert_eq!((outcome.aggregate.total, outcome.version, outcome.receipt.position), (3, 2, 1));
    let entries = house.ledger.entries(0, 10).await.unwrap();
    assert_eq!(entries[1].receipt(), outcome.receipt);
    assert_eq!(entries[1].actor, Actor::human("usr_1"));
    assert_eq!(entries[1].metadata, r#"{"correlation_id":"c-1"}"#);
    assert_eq!(entries[1].schema_version, 2);
    let payload: serde_json::Value = serde_json::from_str(entries[1].payload.as_ref().unwrap()).unwrap();
    assert_eq!(payload["amount"], 2);
    assert_eq!(payload["nonce"].as_str().unwrap().len(), 32, "16 random bytes in hex");
}

#[tokio::test]
async fn a_refusal_writes_nothing_even_after_earlier_events_of_the_same_command() {
    let house = house().await;
    let tallies = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    let refused = tallies.execute("t", TallyCommand::Add(vec![5, -9]), context()).await;
    assert!(matches!(refused, Err(CommandError::Refused(BelowZero))));
    assert_eq!(house.ledger.head().await.unwrap().size, 0);
    assert!(tallies.load("t").await.unwrap().is_none());
}

#[tokio::test]
async fn a_repeated_command_id_answers_the_first_outcome_whatever_happened_since() {
    let house = house().await;
    let tallies = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    let first = tallies.execute("t", TallyCommand::Add(vec![1]), keyed("k", "add 1")).await.unwrap();
    tallies.execute("t", TallyCommand::Add(vec![10]), context()).await.unwrap();
    let again = tallies.execute("t", TallyCommand::Add(vec![1]), keyed("k", "add 1")).await.unwrap();
    assert!(again.replayed && again.created);
    assert_eq!((again.aggregate.clone(), again.receipt), (first.aggregate, first.receipt));
    let other = tallies.execute("t", TallyCommand::Add(vec![2]), keyed("k", "add 2")).await;
    assert!(matches!(other, Err(CommandError::CommandMismatch)));
    let made_id = tallies.execute("another-id", TallyCommand::Add(vec![1]), keyed("k", "add 1")).await.unwrap();
    assert_eq!(made_id.id, "t", "an id that was made for the caller is the first one again");
    assert_eq!(house.ledger.head().await.unwrap().size, 2);
}

#[tokio::test]
async fn nothing_to_do_appends_nothing_and_points_to_the_last_entry() {
    let house = house().await;
    let tallies = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    let first = tallies.execute("t", TallyCommand::Add(vec![1]), context()).await.unwrap();
    let second = tallies.execute("t", TallyCommand::Nothing, context()).await.unwrap();
    assert!(second.unchanged);
    assert_eq!(second.receipt, first.receipt);
}

#[tokio::test]
async fn an_expected_version_is_held_against_the_stream() {
    let house = house().await;
    let tallies = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    tallies.execute("t", TallyCommand::Add(vec![1]), context()).await.unwrap();
    let stale = CommandContext { expected_version: Some(0), ..context() };
    let refused = tallies.execute("t", TallyCommand::Add(vec![1]), stale).await;
    assert!(matches!(refused, Err(CommandError::PreconditionFailed { current_version: 1 })));
    let fresh = CommandContext { expected_version: Some(1), ..context() };
    assert_eq!(tallies.execute("t", TallyCommand::Add(vec![1]), fresh).await.unwrap().version, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_commands_win_or_are_told_of_the_conflict() {
    let house = house().await;
    let tallies = Commands::<Tally>::new(house.ledger.clone(), policy(3));
    let tasks = (0..64).map(|_| {
        let tallies = tallies.clone();
        tokio::spawn(async move { tallies.execute("hot", TallyCommand::Add(vec![1]), context()).await })
    });
    let mut won = 0;
    for task in futures::future::join_all(tasks).await {
        match task.unwrap() {
            Ok(_) => won += 1,
            Err(CommandError::Conflict { current_version }) => assert!(current_version > 0),
            Err(other) => panic!("{other}"),
        }
    }
    let now = tallies.load("hot").await.unwrap().unwrap();
    assert_eq!((now.version, now.aggregate.total), (won, won as i64));
    let retried = tallies.execute_with_retry("hot", TallyCommand::Add(vec![1]), context(), 5).await.unwrap();
    assert_eq!(retried.version, won + 1);
}

#[tokio::test]
async fn many_commands_take_effect_in_order_and_stand_for_themselves() {
    let house = house().await;
    let tallies = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    tallies.execute("b", TallyCommand::Add(vec![100]), context()).await.unwrap();
    let one = |id: &str, amounts: Vec<i64>| (id.to_owned(), TallyCommand::Add(amounts), context());
    let results = tallies
        .execute_many(vec![
            one("a", vec![1]),
            one("b", vec![-200]),
            one("a", vec![2]),
            one("b", vec![1]),
            one("c", vec![3]),
        ])
        .await;
    assert_eq!(results[0].as_ref().unwrap().version, 1);
    assert!(matches!(results[1], Err(CommandError::Refused(BelowZero))));
    assert_eq!(results[2].as_ref().unwrap().aggregate.total, 3);
    assert_eq!(results[3].as_ref().unwrap().aggregate.total, 101);
    assert!(results[4].as_ref().unwrap().created);
    assert_eq!(house.ledger.head().await.unwrap().size, 5);
}

#[tokio::test]
async fn a_command_with_nothing_to_do_behind_a_queued_one_points_to_that_ones_entry() {
    let house = house().await;
    let tallies = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    let one = |command: TallyCommand| ("t".to_owned(), command, context());
    let results = tallies.execute_many(vec![one(TallyCommand::Add(vec![1])), one(TallyCommand::Nothing)]).await;
    let [first, second] = results.as_slice() else { panic!("two answers") };
    let (first, second) = (first.as_ref().unwrap(), second.as_ref().unwrap());
    assert!(first.created && second.unchanged);
    assert_eq!(first.receipt, second.receipt);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeats_that_arrive_together_all_get_the_first_outcome() {
    let house = house().await;
    let tallies = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    tallies.execute("t", TallyCommand::Add(vec![5]), context()).await.unwrap();
    for round in 0..20 {
        let key = format!("take-{round}");
        // Taking all is refused to whoever decides after the first: there is nothing left.
        let tasks = (0..8).map(|_| {
            let (tallies, context) = (tallies.clone(), keyed(&key, "take 5"));
            tokio::spawn(async move { tallies.execute("t", TallyCommand::Add(vec![-5]), context).await })
        });
        let outcomes: Vec<_> = futures::future::join_all(tasks).await.into_iter().map(|task| task.unwrap()).collect();
        let receipts: std::collections::HashSet<u64> =
            outcomes.iter().map(|outcome| outcome.as_ref().unwrap().receipt.position).collect();
        assert_eq!(receipts.len(), 1);
        assert_eq!(outcomes.iter().filter(|outcome| !outcome.as_ref().unwrap().replayed).count(), 1);
        tallies.execute("t", TallyCommand::Add(vec![5]), context()).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_stands_for_its_first_outcome_even_if_that_changed_nothing() {
    let house = house().await;
    let tallies = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    tallies.execute("t", TallyCommand::Add(vec![1]), context()).await.unwrap();
    let first = tallies.execute("t", TallyCommand::Nothing, keyed("k", "nothing")).await.unwrap();
    assert!(first.unchanged && !first.replayed);
    let other = tallies.execute("t", TallyCommand::Add(vec![1]), keyed("k", "add")).await;
    assert!(matches!(other, Err(CommandError::CommandMismatch)));
    tallies.execute("t", TallyCommand::Add(vec![1]), context()).await.unwrap();
    let again = tallies.execute("t", TallyCommand::Nothing, keyed("k", "nothing")).await.unwrap();
    assert!(again.replayed && again.unchanged && !again.created);
    assert_eq!((again.version, again.aggregate.total), (1, 1));
}

#[tokio::test]
async fn one_unreadable_stream_leaves_its_neighbours_alone() {
    let house = house().await;
    let odd = Append {
        stream: StreamKey::new("tally", "odd").unwrap(),
        expected_version: 0,
        events: vec![Draft::new("tally.unheard_of", 1, "{}".to_owned())],
        actor: Actor::system("other"),
        metadata: "{}".to_owned(),
        command: None,
    };
    house.ledger.append(odd).await.unwrap();
    let tallies = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    let one = |id: &str| (id.to_owned(), TallyCommand::Add(vec![1]), context());
    let results = tallies.execute_many(vec![one("a"), one("odd"), one("nul\u{0}"), one("b")]).await;
    assert!(results[0].is_ok() && results[3].is_ok());
    assert!(matches!(results[1], Err(CommandError::Corrupt(_))));
    assert!(matches!(results[2], Err(CommandError::Invalid(_))));
}

#[tokio::test]
async fn a_snapshot_gives_the_same_state_as_a_full_replay() {
    let house = house().await;
    let with_snapshots = Commands::<Tally>::new(house.ledger.clone(), policy(3));
    let without = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    for n in 1..=20 {
        let outcome = with_snapshots.execute("t", TallyCommand::Add(vec![n]), context()).await.unwrap();
        let replayed = without.load("t").await.unwrap().unwrap();
        assert_eq!(outcome.aggregate, replayed.aggregate);
        assert_eq!(outcome.aggregate.applied, replayed.version, "no event is applied twice");
    }
    let key = StreamKey::new("tally", "t").unwrap();
    let snapshot = house.ledger.store().snapshot(house.ledger.id(), &key).await.unwrap().unwrap();
    assert_eq!(snapshot.version, 18);
}

#[tokio::test]
async fn a_snapshot_that_does_not_match_its_entry_is_not_used() {
    let house = house().await;
    let tallies = Commands::<Tally>::new(house.ledger.clone(), policy(2));
    for _ in 0..4 {
        tallies.execute("t", TallyCommand::Add(vec![1]), context()).await.unwrap();
    }
    let outside = rusqlite::Connection::open(house.folder.path().join("ledger.db")).unwrap();
    let forge = |sql: &str| assert_eq!(outside.execute(sql, []).unwrap(), 1);
    forge(r#"update ledger_snapshots set state = '{"total":999,"applied":4}', entry_hash = zeroblob(32)"#);
    assert_eq!(tallies.load("t").await.unwrap().unwrap().aggregate.total, 4);
    forge(
        "update ledger_snapshots set state = 'not json', entry_hash = (select hash from ledger_entries where position = 3)",
    );
    assert_eq!(tallies.load("t").await.unwrap().unwrap().aggregate.total, 4);
    forge(r#"update ledger_snapshots set state = '{"total":999,"applied":4}', reducer_version = 7"#);
    assert_eq!(tallies.load("t").await.unwrap().unwrap().aggregate.total, 4);
}

#[tokio::test]
async fn older_events_are_raised_to_what_the_aggregate_reads() {
    let house = house().await;
    let old = Append {
        stream: StreamKey::new("tally", "t").unwrap(),
        expected_version: 0,
        events: vec![Draft::new("tally.added", 1, r#"{"value":"41"}"#.to_owned())],
        actor: Actor::system("old"),
        metadata: "{}".to_owned(),
        command: None,
    };
    house.ledger.append(old).await.unwrap();
    let unaware = Commands::<Tally>::new(house.ledger.clone(), policy(0));
    assert!(matches!(unaware.load("t").await, Err(CommandError::Corrupt(_))), "never skipped");
    let raise: Box<dyn EventUpcaster> = Box::new(SemanticVersionEventUpcaster::new(
        "tally.added",
        "2",
        Box::new(|old| serde_json::json!({"amount": old["value"].as_str().unwrap().parse::<i64>().unwrap()})),
    ));
    let aware = StreamPolicy { upcasters: Arc::new(vec![raise]), ..policy(0) };
    let tallies = Commands::<Tally>::new(house.ledger.clone(), aware);
    let outcome = tallies.execute("t", TallyCommand::Add(vec![1]), context()).await.unwrap();
    assert_eq!(outcome.aggregate.total, 42);
}

#[tokio::test]
async fn the_cqrs_framework_runs_on_the_event_store() {
    let house = house().await;
    let store = LedgerEventStore::<Tally>::new(house.ledger.clone(), policy(2));
    let framework = CqrsFramework::new(store.clone(), vec![], ());
    for _ in 0..5 {
        framework.execute("t", TallyCommand::Add(vec![2])).await.unwrap();
    }
    assert!(matches!(
        framework.execute("t", TallyCommand::Add(vec![-100])).await,
        Err(AggregateError::UserError(BelowZero))
    ));
    let envelopes = store.load_events("t").await.unwrap();
    assert_eq!(envelopes.len(), 5);
    assert_eq!(envelopes[4].sequence, 5);
    assert_eq!(envelopes[4].metadata["position"], "4");
    let stale = store.load_aggregate("t").await.unwrap();
    framework.execute("t", TallyCommand::Add(vec![1])).await.unwrap();
    let conflict = store.commit(vec![TallyEvent::Added { amount: 1 }], stale, Default::default()).await;
    assert!(matches!(conflict, Err(AggregateError::AggregateConflict)));
    let current = store.load_aggregate("t").await.unwrap();
    let committed = store.commit(vec![TallyEvent::Added { amount: 1 }], current, Default::default()).await.unwrap();
    let entry = &house.ledger.entries(6, 1).await.unwrap()[0];
    assert_eq!(committed[0].metadata["hash"], entry.hash.to_string());
}
