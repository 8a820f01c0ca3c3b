//! One suite that every store passes: SQLite always, PostgreSQL where `DAYBOOK_TEST_POSTGRES_URL` names a server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use daybook_ledger::append::MAX_EVENTS_PER_COMMAND;
use daybook_ledger::canonical::{canonical_bytes, digest, genesis};
use daybook_ledger::entry::MAX_PAYLOAD_BYTES;
use daybook_ledger::merkle::{Frontier, leaf};
use daybook_ledger::sequencer::{Clock, SequencerObserver, Unobserved, system_clock};
use daybook_ledger::store::Snapshot;
use daybook_ledger::store::postgres::PostgresStore;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{
    Actor, Append, AppendError, Appended, CommandKey, CommandRecord, Draft, Hash, Ledger, LedgerId, LedgerReader,
    Store, StoreError, StreamKey,
};
use futures::{StreamExt, TryStreamExt};

/// A fresh, empty store; whatever keeps it alive goes with it.
struct Fresh {
    store: Arc<dyn Store>,
    _folder: Option<tempfile::TempDir>,
}

async fn sqlite() -> Option<Fresh> {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("ledger.db")).unwrap();
    Some(Fresh { store: Arc::new(store), _folder: Some(folder) })
}

async fn postgres_url() -> Option<String> {
    let Ok(url) = std::env::var("DAYBOOK_TEST_POSTGRES_URL") else {
        eprintln!("skipped: DAYBOOK_TEST_POSTGRES_URL is not set");
        return None;
    };
    let schema = format!("ledger_{}", uuid::Uuid::new_v4().simple());
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    sqlx::query(&format!("create schema {schema}")).execute(&pool).await.unwrap();
    Some(format!("{url}?options=-csearch_path%3D{schema}"))
}

async fn postgres() -> Option<Fresh> {
    let store = PostgresStore::open(&postgres_url().await?, 8).await.unwrap();
    Some(Fresh { store: Arc::new(store), _folder: None })
}

macro_rules! conformance {
    ($($name:ident)*) => {
        mod on_sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { if let Some(fresh) = super::sqlite().await { super::$name(fresh).await; } }
        )* }
        mod on_postgres { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { if let Some(fresh) = super::postgres().await { super::$name(fresh).await; } }
        )* }
    };
}

conformance! {
    a_new_ledger_is_empty
    appended_entries_read_back_as_they_were_hashed
    versions_are_checked_for_each_command_alone
    a_repeated_command_returns_its_first_outcome
    ledgers_in_one_store_do_not_see_each_other
    time_never_goes_back
    a_full_queue_refuses_at_once_and_loses_nothing
    what_queues_during_a_commit_is_committed_together
    sixty_four_writers_on_one_stream_never_fork
    a_waiting_reader_is_woken
    streams_and_ranges_read_in_order
    out_of_bound_requests_are_refused_and_write_nothing
    a_command_without_entries_is_remembered_once
    a_snapshot_is_replaced_only_by_a_newer_one
    a_batch_larger_than_one_commit_keeps_its_order
}

fn main_ledger() -> LedgerId {
    LedgerId::main()
}

fn request(stream: &str, expected_version: u64, payloads: &[&str]) -> Append {
    Append {
        stream: StreamKey::new("transaction", stream).unwrap(),
        expected_version,
        events: payloads.iter().map(|payload| Draft::new("transaction.recorded", 1, (*payload).to_owned())).collect(),
        actor: Actor::human("usr_1"),
        metadata: r#"{"correlation_id":"c-1"}"#.to_owned(),
        command: None,
    }
}

fn with_command(mut append: Append, id: &str, content: &str) -> Append {
    append.command = Some(CommandKey { id: id.to_owned(), digest: digest(content.as_bytes()) });
    append
}

async fn open(fresh: &Fresh) -> Ledger {
    Ledger::open(Arc::clone(&fresh.store), main_ledger(), system_clock(), Arc::new(Unobserved)).await.unwrap()
}

/// Recomputes everything from the entries alone and compares it with the head.
async fn assert_consistent(reader: &LedgerReader) {
    let head = reader.head().await.unwrap();
    let entries: Vec<_> = reader.range(0, u64::MAX).try_collect().await.unwrap();
    assert_eq!(entries.len() as u64, head.size);
    let mut previous = genesis(reader.id());
    let mut tree = Frontier::default();
    let mut seen = std::collections::HashMap::new();
    for (position, entry) in entries.iter().enumerate() {
        assert_eq!(entry.position, position as u64);
        assert_eq!(entry.previous_hash, previous);
        assert_eq!(entry.payload_digest, digest(entry.payload.as_ref().unwrap().as_bytes()));
        let canonical = canonical_bytes(entry);
        assert_eq!(entry.hash, digest(&canonical));
        let version = seen.entry(entry.stream.clone()).or_insert(0_u64);
        *version += 1;
        assert_eq!(entry.version, *version);
        tree.push(leaf(&canonical));
        previous = entry.hash;
    }
    assert_eq!(head.hash, previous);
    assert_eq!(head.root, tree.root());
    assert_eq!(head.frontier, tree);
}

async fn a_new_ledger_is_empty(fresh: Fresh) {
    let ledger = open(&fresh).await;
    let head = ledger.head().await.unwrap();
    assert_eq!(head.size, 0);
    assert_eq!(head.hash, genesis(&main_ledger()));
    assert_eq!(
        head.root.to_string(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "RFC 6962: the root of no leaves is SHA-256 of nothing"
    );
    assert!(ledger.entries(0, 10).await.unwrap().is_empty());
    assert!(fresh.store.ledgers().await.unwrap().is_empty());
}

async fn appended_entries_read_back_as_they_were_hashed(fresh: Fresh) {
    let ledger = open(&fresh).await;
    let awkward = r#"{"b":1,"a":2,"a":3,"text":"é漢\u0000“”","n":1e400}"#;
    let first = ledger.append(request("TX-1", 0, &[awkward, "{}"])).await.unwrap();
    assert_eq!((first.first_position, first.receipt.position, first.version), (0, 1, 2));
    let second = ledger.append(request("TX-1", 2, &["{ \"spaced\" : true }"])).await.unwrap();
    assert_eq!(second.version, 3);
    let entries = ledger.entries(0, 10).await.unwrap();
    assert_eq!(entries[0].payload.as_deref(), Some(awkward), "bytes are kept, never re-serialised");
    assert_eq!(entries[2].receipt(), second.receipt);
    assert_eq!(ledger.entries(1, 1).await.unwrap(), entries[1..2]);
    assert_consistent(&ledger).await;
}

async fn versions_are_checked_for_each_command_alone(fresh: Fresh) {
    let batch = vec![
        request("A", 0, &["{}"]),
        request("B", 7, &["{}"]),
        request("A", 0, &["{}"]),
        request("A", 1, &["{}"]),
        request("C", 0, &["{}"]),
    ];
    let outcomes = fresh.store.append(&main_ledger(), &batch, 1).await.unwrap();
    assert_eq!(outcomes[0].as_ref().unwrap().receipt.position, 0);
    assert_eq!(outcomes[1], Err(AppendError::VersionConflict { expected: 7, actual: 0 }));
    assert_eq!(outcomes[2], Err(AppendError::VersionConflict { expected: 0, actual: 1 }));
    assert_eq!(outcomes[3].as_ref().unwrap().receipt.position, 1);
    assert_eq!(outcomes[4].as_ref().unwrap().receipt.position, 2);
    assert_consistent(open(&fresh).await.reader()).await;
}

async fn a_repeated_command_returns_its_first_outcome(fresh: Fresh) {
    let ledger = open(&fresh).await;
    let first = ledger.append(with_command(request("A", 0, &["{}", "{}"]), "usr_1:key", "x")).await.unwrap();
    let again = ledger.append(with_command(request("A", 0, &["{}", "{}"]), "usr_1:key", "x")).await.unwrap();
    assert!(again.replayed);
    assert_eq!((again.receipt.clone(), again.first_position), (first.receipt.clone(), first.first_position));
    let other = ledger.append(with_command(request("B", 0, &["{}"]), "usr_1:key", "y")).await;
    assert_eq!(other, Err(AppendError::CommandMismatch("usr_1:key".to_owned())));
    let twice_at_once = [
        with_command(request("D", 0, &["{}"]), "usr_1:both", "z"),
        with_command(request("D", 0, &["{}"]), "usr_1:both", "z"),
    ];
    let outcomes = fresh.store.append(&main_ledger(), &twice_at_once, 1).await.unwrap();
    assert_eq!(outcomes[0].as_ref().unwrap().receipt, outcomes[1].as_ref().unwrap().receipt);
    assert_eq!(ledger.head().await.unwrap().size, 3);
    let record = fresh.store.command(&main_ledger(), "usr_1:key").await.unwrap().unwrap();
    assert_eq!(record.appended.receipt, first.receipt);
    assert_eq!(fresh.store.command(&main_ledger(), "nobody").await.unwrap(), None);
}

async fn ledgers_in_one_store_do_not_see_each_other(fresh: Fresh) {
    let other: LedgerId = "other".parse().unwrap();
    fresh.store.append(&main_ledger(), &[request("A", 0, &["{\"of\":\"main\"}"])], 1).await.unwrap();
    let key = [with_command(request("A", 0, &["{\"of\":\"other\"}"]), "key", "x")];
    fresh.store.append(&other, &key, 1).await.unwrap();
    assert_eq!(fresh.store.ledgers().await.unwrap(), [main_ledger(), other.clone()]);
    let stream = StreamKey::new("transaction", "A").unwrap();
    let mine = fresh.store.stream(&main_ledger(), &stream, 1, 10).await.unwrap();
    assert_eq!(mine.len(), 1);
    assert_eq!(mine[0].payload.as_deref(), Some("{\"of\":\"main\"}"));
    assert!(fresh.store.command(&main_ledger(), "key").await.unwrap().is_none());
    assert_ne!(fresh.store.head(&main_ledger()).await.unwrap().hash, fresh.store.head(&other).await.unwrap().hash);
}

async fn time_never_goes_back(fresh: Fresh) {
    let now = Arc::new(AtomicI64::new(5_000_000));
    let clock: Clock = {
        let now = Arc::clone(&now);
        Arc::new(move || now.load(Ordering::SeqCst))
    };
    let ledger = Ledger::open(Arc::clone(&fresh.store), main_ledger(), clock, Arc::new(Unobserved)).await.unwrap();
    ledger.append(request("A", 0, &["{}"])).await.unwrap();
    now.store(4_000_000, Ordering::SeqCst);
    let second = ledger.append(request("A", 1, &["{}"])).await.unwrap();
    assert_eq!(second.recorded_at, 5_000_000);
    now.store(6_000_000, Ordering::SeqCst);
    assert_eq!(ledger.append(request("A", 2, &["{}"])).await.unwrap().recorded_at, 6_000_000);
}

#[derive(Default)]
struct Counting {
    commits: AtomicUsize,
    entries: AtomicUsize,
    refused: AtomicUsize,
}

impl SequencerObserver for Counting {
    fn committed(&self, _requests: usize, entries: usize, _elapsed: Duration) {
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.entries.fetch_add(entries, Ordering::SeqCst);
    }
    fn refused(&self, _reason: &'static str) {
        self.refused.fetch_add(1, Ordering::SeqCst);
    }
    fn queued(&self, _depth: usize) {}
}

async fn a_full_queue_refuses_at_once_and_loses_nothing(fresh: Fresh) {
    let ledger =
        Ledger::open_with_queue(Arc::clone(&fresh.store), main_ledger(), system_clock(), Arc::new(Unobserved), 4)
            .await
            .unwrap();
    let all = futures::future::join_all((0..500).map(|n| {
        let ledger = ledger.clone();
        async move { ledger.append(request(&format!("S{n}"), 0, &["{}"])).await }
    }))
    .await;
    let accepted = all.iter().filter(|outcome| outcome.is_ok()).count();
    let refused = all.iter().filter(|outcome| matches!(outcome, Err(AppendError::QueueFull))).count();
    assert_eq!(accepted + refused, 500);
    assert!(refused > 0, "a queue of four cannot take 500 at once");
    assert_eq!(ledger.head().await.unwrap().size, accepted as u64);
    assert_consistent(&ledger).await;
}

async fn what_queues_during_a_commit_is_committed_together(fresh: Fresh) {
    let counting = Arc::new(Counting::default());
    let observer: Arc<dyn SequencerObserver> = Arc::clone(&counting) as _;
    let ledger = Ledger::open(Arc::clone(&fresh.store), main_ledger(), system_clock(), observer).await.unwrap();
    let appends = (0..1_000).map(|n| {
        let ledger = ledger.clone();
        async move { ledger.append(request(&format!("S{n}"), 0, &["{}"])).await.unwrap() }
    });
    let receipts: HashSet<u64> =
        futures::future::join_all(appends).await.into_iter().map(|appended| appended.receipt.position).collect();
    assert_eq!(receipts.len(), 1_000, "no two commands share a position");
    assert_eq!(counting.entries.load(Ordering::SeqCst), 1_000);
    assert!(counting.commits.load(Ordering::SeqCst) < 200, "a thousand waiting commands take few commits");
    assert_consistent(&ledger).await;
}

async fn sixty_four_writers_on_one_stream_never_fork(fresh: Fresh) {
    let ledger = open(&fresh).await;
    let tasks = (0..64).map(|_| {
        let ledger = ledger.clone();
        tokio::spawn(async move {
            let stream = StreamKey::new("transaction", "hot").unwrap();
            let mut won = Vec::new();
            for _ in 0..5 {
                let version = ledger.stream(&stream, 1, 1_000).await.unwrap().len() as u64;
                match ledger.append(request("hot", version, &["{}"])).await {
                    Ok(appended) => won.push(appended.version),
                    Err(AppendError::VersionConflict { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            won
        })
    });
    let mut versions: Vec<u64> =
        futures::future::join_all(tasks).await.into_iter().flat_map(|won| won.unwrap()).collect();
    versions.sort_unstable();
    let expected: Vec<u64> = (1..=versions.len() as u64).collect();
    assert_eq!(versions, expected, "each accepted command has a version of its own, without gap");
    assert_consistent(&ledger).await;
}

async fn a_waiting_reader_is_woken(fresh: Fresh) {
    let ledger = open(&fresh).await;
    let reader = ledger.reader().clone();
    let waiting = tokio::spawn(async move { reader.wait_beyond(0, Duration::from_secs(20)).await.unwrap() });
    ledger.append(request("A", 0, &["{}"])).await.unwrap();
    assert_eq!(waiting.await.unwrap(), 1);
    let started = std::time::Instant::now();
    assert_eq!(ledger.wait_beyond(1, Duration::from_millis(50)).await.unwrap(), 1);
    assert!(started.elapsed() >= Duration::from_millis(50), "nothing new: waits for the time given");
}

async fn streams_and_ranges_read_in_order(fresh: Fresh) {
    let batch: Vec<Append> = (0..300).map(|n| request(&format!("S{}", n % 7), n / 7, &["{}"])).collect();
    let outcomes = fresh.store.append(&main_ledger(), &batch, 1).await.unwrap();
    assert!(outcomes.iter().all(Result::is_ok));
    let ledger = open(&fresh).await;
    let range: Vec<u64> = ledger.range(10, 20).map(|entry| entry.unwrap().position).collect().await;
    assert_eq!(range, (10..20).collect::<Vec<_>>());
    let stream = StreamKey::new("transaction", "S3").unwrap();
    let versions: Vec<u64> = ledger.stream(&stream, 5, 3).await.unwrap().iter().map(|entry| entry.version).collect();
    assert_eq!(versions, [5, 6, 7]);
    let ids = ["S1".to_owned(), "S2".to_owned(), "none".to_owned(), "S1".to_owned()];
    let several = fresh.store.streams(&main_ledger(), "transaction", &ids, 1_000).await.unwrap();
    assert_eq!(several.len(), 43 + 43);
    assert!(
        several
            .windows(2)
            .all(|pair| (&pair[0].stream.stream_id, pair[0].version) < (&pair[1].stream.stream_id, pair[1].version))
    );
}

async fn out_of_bound_requests_are_refused_and_write_nothing(fresh: Fresh) {
    let ledger = open(&fresh).await;
    let mut long_id = request("A", 0, &["{}"]);
    long_id.stream.stream_id = "x".repeat(201);
    let mut control = request("A", 0, &["{}"]);
    control.stream.stream_id = "a\u{0}b".to_owned();
    let mut empty = request("A", 0, &[]);
    empty.events.clear();
    let many = request("A", 0, &vec!["{}"; MAX_EVENTS_PER_COMMAND + 1]);
    let large = "x".repeat(MAX_PAYLOAD_BYTES + 1);
    for bad in [long_id, control, empty, many, request("A", 0, &[&large])] {
        assert!(matches!(ledger.append(bad.clone()).await, Err(AppendError::Invalid(_))));
        let outcome = fresh.store.append(&main_ledger(), &[bad], 1).await.unwrap();
        assert!(matches!(outcome[0], Err(AppendError::Invalid(_))), "the store's path checks as well");
    }
    assert_eq!(ledger.head().await.unwrap().size, 0);
}

async fn a_command_without_entries_is_remembered_once(fresh: Fresh) {
    let ledger = open(&fresh).await;
    let appended = ledger.append(request("A", 0, &["{}"])).await.unwrap();
    let record = |content: &str| CommandRecord {
        digest: digest(content.as_bytes()),
        stream: StreamKey::new("transaction", "A").unwrap(),
        appended: Appended { first_position: 1, replayed: true, ..appended.clone() },
    };
    fresh.store.remember(&main_ledger(), "key", record("first")).await.unwrap();
    fresh.store.remember(&main_ledger(), "key", record("second")).await.unwrap();
    let kept = fresh.store.command(&main_ledger(), "key").await.unwrap().unwrap();
    assert_eq!(kept, record("first"));
    let again = ledger.append(with_command(request("A", 1, &["{}"]), "key", "second")).await;
    assert_eq!(again, Err(AppendError::CommandMismatch("key".to_owned())));
}

async fn a_snapshot_is_replaced_only_by_a_newer_one(fresh: Fresh) {
    let key = StreamKey::new("transaction", "A").unwrap();
    let snapshot = |version: u64, reducer_version: u32| Snapshot {
        version,
        reducer_version,
        position: version,
        entry_hash: Hash([7; 32]),
        state: format!("{{\"v\":{version}}}"),
    };
    assert_eq!(fresh.store.snapshot(&main_ledger(), &key).await.unwrap(), None);
    for (version, reducer_version, newest) in [(5, 1, 5), (3, 1, 5), (9, 1, 9), (2, 2, 2)] {
        fresh.store.save_snapshot(&main_ledger(), &key, snapshot(version, reducer_version)).await.unwrap();
        assert_eq!(fresh.store.snapshot(&main_ledger(), &key).await.unwrap().unwrap().version, newest);
    }
}

async fn a_batch_larger_than_one_commit_keeps_its_order(fresh: Fresh) {
    let ledger = open(&fresh).await;
    let mut pending = Vec::new();
    for n in 0..5_000_u64 {
        pending.push(ledger.submit(request("one", n, &["{}"])).await.unwrap());
    }
    for (n, pending) in pending.into_iter().enumerate() {
        assert_eq!(pending.outcome().await.unwrap().version, n as u64 + 1);
    }
    assert_consistent(&ledger).await;
}

#[tokio::test]
async fn an_embedded_store_has_one_writing_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let first = SqliteStore::open(&path).unwrap();
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::InUse(_))));
    first.append(&main_ledger(), &[request("A", 0, &["{}"])], 1).await.unwrap();
    let reading = SqliteStore::open_read_only(&path).unwrap();
    assert_eq!(reading.head(&main_ledger()).await.unwrap().size, 1);
    assert!(reading.append(&main_ledger(), &[request("B", 0, &["{}"])], 1).await.is_err());
}

#[tokio::test]
async fn sqlite_refuses_update_and_delete() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let store = SqliteStore::open(&path).unwrap();
    store.append(&main_ledger(), &[request("A", 0, &["{}"])], 1).await.unwrap();
    let outside = rusqlite::Connection::open(&path).unwrap();
    for sql in [
        "update ledger_entries set actor_id = 'x'",
        "update ledger_entries set payload = null",
        "delete from ledger_entries",
        "delete from ledger_heads",
    ] {
        assert!(outside.execute(sql, []).unwrap_err().to_string().contains("never"), "{sql}");
    }
}

#[tokio::test]
async fn postgres_refuses_update_delete_and_truncate() {
    let Some(url) = postgres_url().await else { return };
    let store = PostgresStore::open(&url, 4).await.unwrap();
    store.append(&main_ledger(), &[request("A", 0, &["{}"])], 1).await.unwrap();
    for sql in [
        "update ledger_entries set actor_id = 'x'",
        "delete from ledger_entries",
        "truncate ledger_entries",
        "delete from ledger_heads",
    ] {
        let error = sqlx::query(sql).execute(store.pool()).await.unwrap_err().to_string();
        assert!(error.contains("never changed"), "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_postgres_writers_queue_on_the_head_and_never_fork() {
    let Some(url) = postgres_url().await else { return };
    let mut ledgers = Vec::new();
    for _ in 0..2 {
        let store: Arc<dyn Store> = Arc::new(PostgresStore::open(&url, 4).await.unwrap());
        ledgers.push(Ledger::open(store, main_ledger(), system_clock(), Arc::new(Unobserved)).await.unwrap());
    }
    let tasks = (0..200).map(|n| {
        let ledger = ledgers[n % 2].clone();
        tokio::spawn(async move { ledger.append(request(&format!("S{n}"), 0, &["{}"])).await.unwrap() })
    });
    for done in futures::future::join_all(tasks).await {
        done.unwrap();
    }
    assert_consistent(&ledgers[0]).await;
    assert_eq!(ledgers[1].wait_beyond(199, Duration::from_secs(10)).await.unwrap(), 200);
}

/// Holds the head of this schema's ledger until dropped, so that the next append waits in the server.
struct Holder {
    transaction: sqlx::Transaction<'static, sqlx::Postgres>,
    pid: i32,
}

async fn hold_head(store: &PostgresStore) -> Holder {
    let mut transaction = store.pool().begin().await.unwrap();
    sqlx::query("select 1 from ledger_heads for update").execute(&mut *transaction).await.unwrap();
    let pid = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *transaction).await.unwrap();
    Holder { transaction, pid }
}

/// The server process that waits for the holder: the writer of this store, and of no other test.
async fn waiting_writer(admin: &sqlx::PgPool, holder: &Holder) -> i32 {
    loop {
        let waiting: Option<i32> =
            sqlx::query_scalar("select pid from pg_stat_activity where $1 = any(pg_blocking_pids(pid))")
                .bind(holder.pid)
                .fetch_optional(admin)
                .await
                .unwrap();
        if let Some(pid) = waiting {
            return pid;
        }
        tokio::task::yield_now().await;
    }
}

async fn cut(admin: &sqlx::PgPool, pid: i32) {
    assert!(sqlx::query_scalar::<_, bool>("select pg_terminate_backend($1)").bind(pid).fetch_one(admin).await.unwrap());
}

fn append_in_background(
    ledger: &Ledger,
    stream: &'static str,
) -> tokio::task::JoinHandle<Result<Appended, AppendError>> {
    let ledger = ledger.clone();
    tokio::spawn(async move { ledger.append(request(stream, 0, &["{}"])).await })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_writer_goes_on_after_its_connection_was_cut() {
    let Some(url) = postgres_url().await else { return };
    let store = Arc::new(PostgresStore::open(&url, 4).await.unwrap());
    let ledger =
        Ledger::open(Arc::clone(&store) as _, main_ledger(), system_clock(), Arc::new(Unobserved)).await.unwrap();
    ledger.append(request("A", 0, &["{}"])).await.unwrap();
    let admin = sqlx::PgPool::connect(&url).await.unwrap();
    let holder = hold_head(&store).await;
    let waiting = append_in_background(&ledger, "A2");
    let writer = waiting_writer(&admin, &holder).await;
    holder.transaction.rollback().await.unwrap();
    waiting.await.unwrap().unwrap();
    cut(&admin, writer).await;
    // The first append may meet the dead connection; nothing is lost or doubled either way.
    let _ = ledger.append(request("B", 0, &["{}"])).await;
    let last = ledger.append(request("C", 0, &["{}"])).await.unwrap();
    assert_eq!(last.receipt.position + 1, ledger.head().await.unwrap().size);
    assert_consistent(&ledger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_of_unknown_outcome_is_ended_before_its_events_are_looked_for() {
    let Some(url) = postgres_url().await else { return };
    let store = Arc::new(PostgresStore::open(&url, 4).await.unwrap());
    let ledger =
        Ledger::open(Arc::clone(&store) as _, main_ledger(), system_clock(), Arc::new(Unobserved)).await.unwrap();
    ledger.append(request("A", 0, &["{}"])).await.unwrap();
    let admin = sqlx::PgPool::connect(&url).await.unwrap();
    let holder = hold_head(&store).await;
    let waiting = append_in_background(&ledger, "B");
    let writer = waiting_writer(&admin, &holder).await;
    cut(&admin, writer).await;
    holder.transaction.rollback().await.unwrap();
    let outcome = waiting.await.unwrap();
    let stream = StreamKey::new("transaction", "B").unwrap();
    let stored = ledger.stream(&stream, 1, 10).await.unwrap().len();
    assert_eq!(outcome.is_ok(), stored == 1, "what was answered is what is there: {outcome:?}");
    ledger.append(request("C", 0, &["{}"])).await.unwrap();
    assert_consistent(&ledger).await;
}
