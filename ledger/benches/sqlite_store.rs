//! What the embedded store takes: new streams, existing streams in random order, growth, requests of 100 entries with and
//! without hashing, single-entry commands, start-up.
//!
//! `SECTIONS=random,growth` runs some of it; `ENTRIES` (default 5,000,000) is how far the growing ledger grows. Times are
//! of the clock and, after the slash, of the processor (all threads): the latter say the same on a busy machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::as_conversions)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use daybook_ledger::sequencer::{Unobserved, system_clock};
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, Append, Draft, Ledger, LedgerId, Store, StreamKey};
use rand::seq::SliceRandom;
use rusqlite::params;
use uuid::Uuid;

const STREAMS: u64 = 100_000;

fn request(stream: String, expected_version: u64) -> Append {
    let payload =
        format!(r#"{{"amount":"1234.50","currency":"EUR","account":"ACC-0001","note":"{}"}}"#, "n".repeat(200));
    Append {
        stream: StreamKey::new("payment", stream).unwrap(),
        expected_version,
        events: vec![Draft::new("payment.made", 1, payload)],
        actor: Actor::system("bench"),
        metadata: r#"{"correlation_id":"bench"}"#.to_owned(),
        command: None,
    }
}

/// User and system time of this process so far.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

struct Clocks(Instant, Duration);

impl Clocks {
    fn start() -> Self {
        Self(Instant::now(), processor_time())
    }

    /// Prints a line and answers the microseconds for each entry, of the clock and of the processor.
    fn report(&self, what: &str, entries: u64) -> (f64, f64) {
        let (clock, processor) = (self.0.elapsed().as_secs_f64(), (processor_time() - self.1).as_secs_f64());
        let each = |seconds: f64| seconds * 1e6 / entries as f64;
        println!(
            "{what:<64} {:>8.0} entries/s   {:.2} / {:.2} us each",
            entries as f64 / clock,
            each(clock),
            each(processor)
        );
        (each(clock), each(processor))
    }
}

/// Streams that exist, with their versions, visited in random order without end.
struct Existing {
    versions: Vec<u64>,
    order: Vec<usize>,
    at: usize,
}

impl Existing {
    fn new(streams: u64) -> Self {
        let mut order: Vec<usize> = (0..streams as usize).collect();
        order.shuffle(&mut rand::rng());
        Self { versions: vec![0; streams as usize], order, at: 0 }
    }

    fn next(&mut self) -> Append {
        if self.at == self.order.len() {
            self.order.shuffle(&mut rand::rng());
            self.at = 0;
        }
        let stream = self.order[self.at];
        self.at += 1;
        self.versions[stream] += 1;
        request(format!("{:016x}", (stream as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)), self.versions[stream] - 1)
    }

    fn batch(&mut self, size: usize) -> Vec<Append> {
        (0..size).map(|_| self.next()).collect()
    }
}

/// Appends through the sequencer, a thousand submitted at a time.
async fn submit(ledger: &Ledger, entries: u64, mut next: impl FnMut() -> Append) {
    for _ in 0..entries / 1_000 {
        let mut pending = Vec::with_capacity(1_000);
        for _ in 0..1_000 {
            pending.push(ledger.submit(next()).await.unwrap());
        }
        for pending in pending {
            pending.outcome().await.unwrap();
        }
    }
}

/// Appends through the sequencer without waiting for each thousand to be done.
async fn stream(ledger: &Ledger, entries: u64, mut next: impl FnMut() -> Append) {
    let mut pending = std::collections::VecDeque::new();
    for _ in 0..entries {
        pending.push_back(ledger.submit(next()).await.unwrap());
        if pending.len() >= 6_000 {
            pending.pop_front().unwrap().outcome().await.unwrap();
        }
    }
    for pending in pending {
        pending.outcome().await.unwrap();
    }
}

async fn open(path: &Path) -> (Arc<SqliteStore>, Ledger) {
    let store = Arc::new(loop {
        match SqliteStore::open(path) {
            Ok(store) => break store,
            Err(error) => assert!(error.to_string().contains("in use"), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    });
    let ledger =
        Ledger::open(Arc::clone(&store) as _, LedgerId::main(), system_clock(), Arc::new(Unobserved)).await.unwrap();
    (store, ledger)
}

async fn new_streams(folder: &Path) {
    let (_store, ledger) = open(&folder.join("new.db")).await;
    let clocks = Clocks::start();
    submit(&ledger, 300_000, || request(Uuid::now_v7().to_string(), 0)).await;
    clocks.report("new streams (UUIDv7), 1,000 submitted at a time", 300_000);
    let clocks = Clocks::start();
    submit(&ledger, 300_000, || request(Uuid::new_v4().to_string(), 0)).await;
    clocks.report("new streams (random ids), 1,000 submitted at a time", 300_000);
}

async fn random(folder: &Path) {
    let (store, ledger) = open(&folder.join("random.db")).await;
    let mut existing = Existing::new(STREAMS);
    submit(&ledger, STREAMS, || existing.next()).await;
    let clocks = Clocks::start();
    submit(&ledger, 400_000, || existing.next()).await;
    clocks.report("100,000 existing streams at random, 1,000 submitted at a time", 400_000);
    let clocks = Clocks::start();
    stream(&ledger, 400_000, || existing.next()).await;
    clocks.report("the same, submitted without a pause", 400_000);
    let mut spent = Duration::ZERO;
    for _ in 0..200 {
        let batch = Arc::new(existing.batch(1_000));
        let started = Instant::now();
        let outcomes = store.append_shared(&LedgerId::main(), &batch, 1).await.unwrap();
        spent += started.elapsed();
        assert!(outcomes.iter().all(Result::is_ok));
    }
    println!(
        "{:<64} {:>8.0} entries/s",
        "the same, the store's call alone, batches of 1,000",
        2e5 / spent.as_secs_f64()
    );
}

async fn growth(folder: &Path) {
    let entries: u64 = std::env::var("ENTRIES").ok().and_then(|text| text.parse().ok()).unwrap_or(5_000_000);
    let path = folder.join("growing.db");
    let (mut store, mut ledger) = open(&path).await;
    let mut existing = Existing::new(STREAMS);
    let mut grown = 0;
    let mut costs = Vec::new();
    for size in [50_000, entries / 10, entries] {
        let clocks = Clocks::start();
        let more = size.saturating_sub(grown) / 2_000;
        if more > 0 {
            stream(&ledger, more * 1_000, || existing.next()).await;
            stream(&ledger, more * 1_000, || request(Uuid::new_v4().to_string(), 0)).await;
            clocks.report(&format!("growing to {size}: half existing, half new streams"), more * 2_000);
        }
        drop((store, ledger));
        let started = Instant::now();
        (store, ledger) = open(&path).await;
        println!("start-up at {size} entries, with what the last process left to do: {:?}", started.elapsed());
        drop((store, ledger));
        tokio::time::sleep(Duration::from_secs(2)).await;
        let started = Instant::now();
        (store, ledger) = open(&path).await;
        println!("start-up at {size} entries: {:?}", started.elapsed());
        submit(&ledger, STREAMS, || existing.next()).await;
        let mut best = (f64::MAX, f64::MAX);
        for _ in 0..3 {
            let clocks = Clocks::start();
            submit(&ledger, 100_000, || existing.next()).await;
            let cost = clocks.report(&format!("at {size} entries: 100,000 existing streams at random"), 100_000);
            best = (best.0.min(cost.0), best.1.min(cost.1));
        }
        costs.push(best);
        let clocks = Clocks::start();
        submit(&ledger, 50_000, || request(Uuid::new_v4().to_string(), 0)).await;
        clocks.report(&format!("at {size} entries: new streams (random ids)"), 50_000);
        grown = ledger.head().await.unwrap().size;
    }
    println!(
        "cost at {entries} entries, of that at 50,000: {:.2} by the clock, {:.2} by the processor",
        costs[2].0 / costs[0].0,
        costs[2].1 / costs[0].1
    );
}

/// Requests of 100 entries, and the same rows written by a loop that hashes nothing, looks nothing up and keeps no tree.
async fn hundreds(folder: &Path) {
    let (store, _ledger) = open(&folder.join("hundreds.db")).await;
    let mut existing = Existing::new(STREAMS);
    for _ in 0..50 {
        store.append_shared(&LedgerId::main(), &Arc::new(existing.batch(2_000)), 1).await.unwrap();
    }
    let bare = folder.join("bare.db");
    drop(SqliteStore::open(&bare).unwrap());
    tokio::time::sleep(Duration::from_millis(200)).await;
    let connection = rusqlite::Connection::open(&bare).unwrap();
    connection
        .execute_batch("pragma synchronous = full; pragma cache_size = -16384; pragma wal_autocheckpoint = 4000;")
        .unwrap();
    let (mut with, mut without, mut position) = (Duration::ZERO, Duration::ZERO, 0_i64);
    for _ in 0..2_000 {
        let batch = Arc::new(existing.batch(100));
        let started = Instant::now();
        store.append_shared(&LedgerId::main(), &batch, 1).await.unwrap();
        with += started.elapsed();
        let started = Instant::now();
        write_bare(&connection, &batch, &mut position);
        without += started.elapsed();
    }
    let rate = |spent: Duration| 200_000.0 / spent.as_secs_f64();
    println!("{:<64} {:>8.0} entries/s", "requests of 100 entries, one after the other", rate(with));
    println!("{:<64} {:>8.0} entries/s", "the same rows without hashes, tree and lookups", rate(without));
    println!("of that: {:.2}", without.as_secs_f64() / with.as_secs_f64());
}

fn write_bare(connection: &rusqlite::Connection, batch: &[Append], position: &mut i64) {
    connection.execute_batch("begin immediate").unwrap();
    let mut insert = connection
        .prepare_cached(
            "insert into ledger_entries (ledger_id, position, event_id, stream_type, stream_id, version, event_type, \
             schema_version, recorded_at, actor_kind, actor_id, metadata, payload, payload_digest, previous_hash, hash) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )
        .unwrap();
    let nothing = [0_u8; 32];
    for append in batch {
        for event in &append.events {
            insert
                .execute(params![
                    "main",
                    *position,
                    event.event_id.as_bytes(),
                    append.stream.stream_type,
                    append.stream.stream_id,
                    append.expected_version as i64 + 1,
                    event.event_type,
                    1_i64,
                    1_i64,
                    append.actor.kind.as_str(),
                    append.actor.id,
                    append.metadata.as_bytes(),
                    event.payload.as_bytes(),
                    nothing,
                    nothing,
                    nothing
                ])
                .unwrap();
            *position += 1;
        }
    }
    connection
        .prepare_cached(
            "insert into ledger_heads (ledger_id, size, hash, root, frontier, recorded_at) values ('main', ?1, ?2, ?2, ?2, 1) \
             on conflict (ledger_id) do update set size = excluded.size",
        )
        .unwrap()
        .execute(params![*position, nothing])
        .unwrap();
    connection.execute_batch("commit").unwrap();
}

async fn singles(folder: &Path) {
    let (_store, ledger) = open(&folder.join("singles.db")).await;
    for writers in [1, 64, 512] {
        let done = Arc::new(AtomicU64::new(0));
        let clocks = Clocks::start();
        let until = Instant::now() + Duration::from_secs(4);
        let tasks = (0..writers).map(|_| {
            let (ledger, done) = (ledger.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                while Instant::now() < until {
                    ledger.append(request(Uuid::now_v7().to_string(), 0)).await.unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        futures::future::join_all(tasks).await;
        clocks.report(&format!("single entries, {writers} writers"), done.load(Ordering::Relaxed));
    }
}

#[tokio::main]
async fn main() {
    let sections = std::env::var("SECTIONS").unwrap_or_else(|_| "new,random,hundreds,singles,growth".to_owned());
    let folder = tempfile::tempdir().unwrap();
    for section in sections.split(',') {
        match section {
            "new" => new_streams(folder.path()).await,
            "random" => random(folder.path()).await,
            "hundreds" => hundreds(folder.path()).await,
            "singles" => singles(folder.path()).await,
            "growth" => growth(folder.path()).await,
            other => panic!("no section {other}"),
        }
    }
}
