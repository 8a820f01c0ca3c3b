//! PostgreSQL: one connection of a store listens for all of its ledgers. Runs where `DAYBOOK_TEST_POSTGRES_URL` names a server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use daybook_ledger::sequencer::{Unobserved, system_clock};
use daybook_ledger::store::postgres::PostgresStore;
use daybook_ledger::{Actor, Append, Draft, Ledger, LedgerId, LedgerReader, Store, StreamKey};
use futures::future::join_all;
use tokio::sync::watch;

/// More than the pool has connections.
const LEDGERS: usize = 12;
const CONNECTIONS: u32 = 3;
/// Long before this an append is heard of, or never.
const PATIENCE: Duration = Duration::from_secs(20);

async fn database() -> Option<String> {
    let Ok(url) = std::env::var("DAYBOOK_TEST_POSTGRES_URL") else {
        eprintln!("skipped: DAYBOOK_TEST_POSTGRES_URL is not set");
        return None;
    };
    let schema = format!("listening_{}", uuid::Uuid::new_v4().simple());
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    sqlx::query(&format!("create schema {schema}")).execute(&pool).await.unwrap();
    Some(format!("{url}?options=-csearch_path%3D{schema}"))
}

/// Ids that no other test in the same database announces.
fn ids() -> Vec<LedgerId> {
    let own = uuid::Uuid::new_v4().simple().to_string();
    (0..LEDGERS).map(|number| format!("l{number}-{}", &own[..12]).parse().unwrap()).collect()
}

/// A ledger as another process has it open.
async fn elsewhere(store: &Arc<PostgresStore>, id: &LedgerId) -> Ledger {
    let store: Arc<dyn Store> = Arc::<PostgresStore>::clone(store);
    Ledger::open(store, id.clone(), system_clock(), Arc::new(Unobserved)).await.unwrap()
}

async fn append(ledger: &Ledger, stream: &str) {
    let request = Append {
        stream: StreamKey::new("transaction", stream).unwrap(),
        expected_version: 0,
        events: vec![Draft::new("transaction.recorded", 1, "{}".to_owned())],
        actor: Actor::human("usr_1"),
        metadata: "{}".to_owned(),
        command: None,
    };
    ledger.append(request).await.unwrap();
}

/// Waits for the hint alone: unlike `wait_beyond`, this never looks at the store.
async fn hears_of(wake: &mut watch::Receiver<u64>, size: u64) {
    let heard = tokio::time::timeout(PATIENCE, wake.wait_for(|heard| *heard >= size)).await;
    assert_eq!(*heard.expect("the append is heard of").unwrap(), size);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_readers_than_connections_hear_of_their_own_ledger_each() {
    let Some(url) = database().await else { return };
    let ids = ids();
    let here = Arc::new(PostgresStore::open(&url, CONNECTIONS).await.unwrap());
    let opened = ids.iter().map(|id| {
        let store: Arc<dyn Store> = Arc::<PostgresStore>::clone(&here);
        LedgerReader::open(store, id.clone())
    });
    let readers: Vec<LedgerReader> = join_all(opened).await.into_iter().map(Result::unwrap).collect();
    let second = LedgerReader::open(Arc::clone(readers[0].store()), ids[0].clone()).await.unwrap();
    // Connections are left for what readers are for, all at once.
    for head in join_all(readers.iter().map(LedgerReader::head)).await {
        assert_eq!(head.unwrap().size, 0);
    }

    let mut wakes: Vec<_> = readers.iter().map(LedgerReader::wake).collect();
    let mut second = second.wake();
    let there = Arc::new(PostgresStore::open(&url, CONNECTIONS).await.unwrap());
    let first = elsewhere(&there, &ids[0]).await;
    append(&first, "one").await;
    for wake in [&mut wakes[0], &mut second] {
        hears_of(wake, 1).await;
    }
    for (id, wake) in ids.iter().zip(&wakes).skip(1) {
        assert_eq!(*wake.borrow(), 0, "{id} is told of another ledger");
    }
    for id in &ids[1..] {
        append(&elsewhere(&there, id).await, "one").await;
    }
    append(&first, "two").await;
    for (wake, size) in wakes.iter_mut().zip([2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]) {
        hears_of(wake, size).await;
    }
    hears_of(&mut second, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_that_listens_goes_with_its_store() {
    let Some(url) = database().await else { return };
    let id = ids().remove(0);
    let store = Arc::new(PostgresStore::open(&url, CONNECTIONS).await.unwrap());
    let pool = store.pool().clone();
    let mut heard = store.listen(&id).await.unwrap().expect("other processes may write");
    assert_eq!(*heard.borrow(), 0);
    let taken = || usize::try_from(pool.size()).unwrap().saturating_sub(pool.num_idle());
    let only_it = async {
        // The one that made the tables is given back behind the scenes.
        while taken() != 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, only_it).await.expect("one connection listens, the others are free");
    store.listen(&"another".parse().unwrap()).await.unwrap();
    assert_eq!(taken(), 1, "it listens for all ledgers");
    drop(store);
    // Whoever listened is told that nothing comes any more.
    assert!(tokio::time::timeout(PATIENCE, heard.changed()).await.expect("it ends").is_err());
}
