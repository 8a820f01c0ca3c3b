//! PostgreSQL under many writers: batches prepared ahead, guesses that fail, another process in between, repeated commands.
//! Runs where `DAYBOOK_TEST_POSTGRES_URL` names a server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod tally;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use daybook_ledger::canonical::{canonical_bytes, digest, genesis};
use daybook_ledger::commands::{CommandError, Commands};
use daybook_ledger::merkle::{Frontier, leaf, root_of};
use daybook_ledger::sequencer::{Unobserved, system_clock};
use daybook_ledger::store::postgres::PostgresStore;
use daybook_ledger::{Actor, Append, AppendError, CommandKey, Draft, Ledger, LedgerId, LedgerReader, StreamKey};
use futures::TryStreamExt;
use futures::future::join_all;
use tally::{Tally, TallyCommand, context, keyed, policy};

async fn database() -> Option<String> {
    let Ok(url) = std::env::var("DAYBOOK_TEST_POSTGRES_URL") else {
        eprintln!("skipped: DAYBOOK_TEST_POSTGRES_URL is not set");
        return None;
    };
    let schema = format!("busy_{}", uuid::Uuid::new_v4().simple());
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    sqlx::query(&format!("create schema {schema}")).execute(&pool).await.unwrap();
    Some(format!("{url}?options=-csearch_path%3D{schema}"))
}

async fn process(url: &str) -> Ledger {
    let store = Arc::new(PostgresStore::open(url, 6).await.unwrap());
    Ledger::open(store, LedgerId::main(), system_clock(), Arc::new(Unobserved)).await.unwrap()
}

fn request(stream: &str, expected_version: u64) -> Append {
    Append {
        stream: StreamKey::new("transaction", stream).unwrap(),
        expected_version,
        events: vec![Draft::new("transaction.recorded", 1, format!(r#"{{"of":"{stream}"}}"#))],
        actor: Actor::human("usr_1"),
        metadata: "{}".to_owned(),
        command: None,
    }
}

fn under_key(mut append: Append, id: &str) -> Append {
    append.command = Some(CommandKey { id: id.to_owned(), digest: digest(id.as_bytes()) });
    append
}

/// Recomputes chain, versions, tree and tiles from the entries alone.
async fn assert_sound(reader: &LedgerReader) -> u64 {
    let head = reader.head().await.unwrap();
    let (mut previous, mut tree, mut leaves) = (genesis(reader.id()), Frontier::default(), Vec::new());
    let mut versions: HashMap<StreamKey, u64> = HashMap::new();
    let entries: Vec<_> = reader.range(0, u64::MAX).try_collect().await.unwrap();
    for (position, entry) in (0_u64..).zip(&entries) {
        let canonical = canonical_bytes(entry);
        assert_eq!((entry.position, entry.previous_hash, entry.hash), (position, previous, digest(&canonical)));
        let version = versions.entry(entry.stream.clone()).or_default();
        *version += 1;
        assert_eq!(entry.version, *version, "{}", entry.stream);
        tree.push(leaf(&canonical));
        leaves.push(leaf(&canonical));
        previous = entry.hash;
    }
    assert_eq!((head.size, head.hash, head.root), (entries.len() as u64, previous, tree.root()));
    let tiles = reader.store().tiles(reader.id(), 0, 0, usize::MAX).await.unwrap();
    assert_eq!(tiles.len(), entries.len() / 256);
    for (tile, hashes) in tiles.iter().zip(leaves.chunks(256)) {
        assert_eq!((&tile.hashes[..], tile.root), (hashes, root_of(hashes)));
    }
    head.size
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_in_two_processes_lose_nothing_and_fork_nowhere() {
    let Some(url) = database().await else { return };
    let ledgers = [process(&url).await, process(&url).await];
    let processes = [&ledgers[0], &ledgers[1]].map(|ledger| Commands::<Tally>::new(ledger.clone(), policy(0)));
    let tasks = (0..600_i64).map(|n| {
        let commands = processes[usize::from(n % 3 == 0)].clone();
        tokio::spawn(async move {
            for round in 0..6_i64 {
                // New streams mostly, a few that everybody adds to, and a command that both processes carry out.
                let (id, context) = match round {
                    0..3 => (format!("own-{n}-{round}"), context()),
                    3 => (format!("own-{n}-0"), context()),
                    4 => (format!("shared-{}", n % 40), context()),
                    _ => (format!("once-{}", n / 2), keyed(&format!("key-{}", n / 2), "add 1")),
                };
                commands.execute_with_retry(&id, TallyCommand::Add(vec![1]), context, 10_000).await.unwrap();
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    // 1,800 of their own, 600 second ones, 600 shared, and 300 that were carried out twice under one key.
    assert_eq!(assert_sound(&ledgers[0]).await, 1_800 + 600 + 600 + 300);
    let mut shared = 0;
    for n in 0..40 {
        shared += processes[0].load(&format!("shared-{n}")).await.unwrap().unwrap().aggregate.total;
    }
    assert_eq!(shared, 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_guesses_are_answered_as_they_would_have_been_with_a_look_first() {
    let Some(url) = database().await else { return };
    process(&url).await.append(under_key(request("old", 0), "first")).await.unwrap();
    // Neither knows what the other has.
    let ledger = process(&url).await;
    ledger.append(request("mine", 0)).await.unwrap();
    let batch = [
        request("new-1", 0),
        request("old", 0),
        under_key(request("old", 0), "first"),
        under_key(request("new-2", 0), "first"),
        request("old", 1),
        request("mine", 1),
        request("mine", 1),
        request("gone", 3),
        under_key(request("new-3", 0), "second"),
        under_key(request("new-3", 0), "second"),
    ];
    let outcomes = ledger.store().append(&LedgerId::main(), &batch, 1).await.unwrap();
    let conflict = |expected, actual| Err(AppendError::VersionConflict { expected, actual });
    assert!(outcomes[0].is_ok() && outcomes[4].is_ok() && outcomes[5].is_ok() && outcomes[8].is_ok());
    assert_eq!(outcomes[1], conflict(0, 1));
    assert_eq!(outcomes[2].as_ref().map(|first| (first.replayed, first.receipt.position)), Ok((true, 0)));
    assert_eq!(outcomes[2], outcomes[3]);
    assert_eq!(outcomes[6], conflict(1, 2));
    assert_eq!(outcomes[7], conflict(3, 0));
    assert_eq!(outcomes[9].as_ref().map(|again| again.replayed), Ok(true));
    // A repeat whose stream has moved on since, by this process and known to it.
    let again = ledger.append(under_key(request("new-3", 0), "second")).await.unwrap();
    assert!(again.replayed);
    // A key that another process has used meanwhile, on a stream that is new.
    let other = process(&url).await;
    other.append(under_key(request("elsewhere", 0), "third")).await.unwrap();
    let taken = ledger.append(under_key(request("here", 0), "third")).await.unwrap();
    assert!(taken.replayed);
    assert_eq!(assert_sound(&ledger).await, 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_alone_are_judged_on_what_another_process_wrote() {
    let Some(url) = database().await else { return };
    let (ours, theirs) = (process(&url).await, process(&url).await);
    ours.append(request("a", 0)).await.unwrap();
    theirs.append(request("a", 1)).await.unwrap();
    assert_eq!(ours.append(request("a", 2)).await.unwrap().version, 3, "known to be at 1 only");
    theirs.append(request("a", 3)).await.unwrap();
    let refused = ours.append(request("a", 3)).await;
    assert_eq!(refused, Err(AppendError::VersionConflict { expected: 3, actual: 4 }));
    let tallies = Commands::<Tally>::new(ours, policy(0));
    let refused = tallies.execute("t", TallyCommand::Add(vec![-1]), context()).await;
    assert!(matches!(refused, Err(CommandError::Refused(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_processes_hear_of_the_last_append_of_many() {
    let Some(url) = database().await else { return };
    let (ours, theirs) = (process(&url).await, process(&url).await);
    for round in 0..20_u64 {
        join_all((0..30).map(|n| ours.append(request(&format!("s-{round}-{n}"), 0)))).await;
        let size = (round + 1) * 30;
        let mut heard = theirs.wake();
        let begun = Instant::now();
        // Without an announcement, nobody in the other process would look.
        while *heard.borrow_and_update() < size {
            tokio::time::timeout(Duration::from_secs(5), heard.changed()).await.expect("announced").unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
}
