//! `make bench`: durable commands a second beside cqrs-es with postgres-es as it comes, and append, replay and verify rates.
//!
//! One run, one machine, one PostgreSQL with fsync on, the two sides in turn, the same aggregate on both. Prints the
//! table that `docs/performance.md` keeps. `BENCH_SECONDS` (default 5) is how long each cell runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::as_conversions)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use daybook_ledger::commands::{CommandContext, Commands};
use daybook_ledger::cqrs::StreamPolicy;
use daybook_ledger::sequencer::{SequencerObserver, Unobserved, system_clock};
use daybook_ledger::store::postgres::PostgresStore;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, Append, Draft, Ledger, LedgerId, Store, StreamKey};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const WRITERS: [usize; 4] = [1, 8, 64, 512];
const ENTRIES: usize = 300_000;

/// A payment of about 400 bytes: the size of a transaction as Daybook records it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Payment {
    amount: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event_type", content = "payload")]
enum PaymentEvent {
    #[serde(rename = "payment.made")]
    Made { amount: String, currency: String, account: String, counterparty: String, note: String },
}

impl DomainEvent for PaymentEvent {
    fn event_type(&self) -> String {
        "payment.made".to_owned()
    }
    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("never refused")]
struct Never;

impl Aggregate for Payment {
    const TYPE: &'static str = "payment";
    type Command = String;
    type Event = PaymentEvent;
    type Error = Never;
    type Services = ();

    async fn handle(&mut self, amount: String, _: &(), sink: &EventSink<Self>) -> Result<(), Never> {
        let event = PaymentEvent::Made {
            amount,
            currency: "EUR".to_owned(),
            account: "ACC-0001-2345-6789".to_owned(),
            counterparty: "TERMINAL-3156".to_owned(),
            note: "n".repeat(200),
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, PaymentEvent::Made { amount, .. }: PaymentEvent) {
        self.amount = amount;
    }
}

struct Cell {
    rate: f64,
    p50: Duration,
    p99: Duration,
}

/// Runs `command` in `writers` tasks for the cell's time; counts only what was acknowledged.
async fn measure<F, Fut>(writers: usize, command: F) -> Cell
where
    F: Fn() -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    let seconds: f64 = std::env::var("BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5.0);
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let started = Instant::now();
    let tasks = (0..writers).map(|_| {
        let command = command.clone();
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < until {
                let begun = Instant::now();
                command().await;
                latencies.push(begun.elapsed());
            }
            latencies
        })
    });
    let mut latencies: Vec<Duration> =
        futures::future::join_all(tasks).await.into_iter().flat_map(Result::unwrap).collect();
    let elapsed = started.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |quantile: f64| latencies[((latencies.len() - 1) as f64 * quantile) as usize];
    Cell { rate: latencies.len() as f64 / elapsed, p50: at(0.5), p99: at(0.99) }
}

#[derive(Default)]
struct Commits {
    commits: AtomicUsize,
    entries: AtomicUsize,
}

impl SequencerObserver for Commits {
    fn committed(&self, _: usize, entries: usize, _: Duration) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.entries.fetch_add(entries, Ordering::Relaxed);
    }
    fn refused(&self, _: &'static str) {}
    fn queued(&self, _: usize) {}
}

async fn postgres_table() {
    let Ok(url) = std::env::var("DAYBOOK_TEST_POSTGRES_URL") else {
        println!("PostgreSQL: skipped, DAYBOOK_TEST_POSTGRES_URL is not set (make bench sets it)");
        return;
    };
    let admin = sqlx::PgPool::connect(&url).await.unwrap();
    let fsync: String = sqlx::query_scalar("show fsync").fetch_one(&admin).await.unwrap();
    let version: String = sqlx::query_scalar("show server_version").fetch_one(&admin).await.unwrap();
    println!("PostgreSQL {version}, fsync {fsync}: durable commands, each on a new stream, load included\n");
    println!(
        "| writers | Daybook /s | p50 ms | p99 ms | entries/commit | postgres-es /s (best pool) | p50 ms | p99 ms | ratio |"
    );
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let schema = format!("bench_{}", Uuid::new_v4().simple());
    sqlx::query(&format!("create schema {schema}")).execute(&admin).await.unwrap();
    let url = format!("{url}?options=-csearch_path%3D{schema}");
    let store = PostgresStore::open(&url, 20).await.unwrap();
    sqlx::query(
        "create table events (aggregate_type text not null, aggregate_id text not null, \
         sequence bigint check (sequence >= 0) not null, event_type text not null, event_version text not null, \
         payload json not null, metadata json not null, primary key (aggregate_type, aggregate_id, sequence))",
    )
    .execute(store.pool())
    .await
    .unwrap();
    let observer = Arc::new(Commits::default());
    let ledger =
        Ledger::open(Arc::new(store), LedgerId::main(), system_clock(), Arc::clone(&observer) as _).await.unwrap();
    let payments = Commands::<Payment>::new(ledger, StreamPolicy::default());
    for writers in WRITERS {
        let (commits, entries) = (observer.commits.load(Ordering::Relaxed), observer.entries.load(Ordering::Relaxed));
        let ours = {
            let payments = payments.clone();
            measure(writers, move || {
                let payments = payments.clone();
                async move {
                    let id = Uuid::now_v7().to_string();
                    let context = CommandContext::new(Actor::system("bench"));
                    payments.execute(&id, "1234.50".to_owned(), context).await.unwrap();
                }
            })
            .await
        };
        let commits = observer.commits.load(Ordering::Relaxed) - commits;
        let entries = observer.entries.load(Ordering::Relaxed) - entries;
        let mut peer: Option<Cell> = None;
        for pool_size in [10, 20] {
            let pool = sqlx::postgres::PgPoolOptions::new()
                .max_connections(pool_size)
                .acquire_timeout(Duration::from_secs(120))
                .connect(&url)
                .await
                .unwrap();
            let framework = Arc::new(postgres_es::postgres_cqrs::<Payment>(pool.clone(), vec![], ()));
            let cell = measure(writers, move || {
                let framework = Arc::clone(&framework);
                async move { framework.execute(&Uuid::now_v7().to_string(), "1234.50".to_owned()).await.unwrap() }
            })
            .await;
            pool.close().await;
            if peer.as_ref().is_none_or(|best| cell.rate > best.rate) {
                peer = Some(cell);
            }
        }
        let peer = peer.unwrap();
        let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        println!(
            "| {writers} | {:.0} | {:.2} | {:.2} | {:.1} | {:.0} | {:.2} | {:.2} | {:.1} |",
            ours.rate,
            ms(ours.p50),
            ms(ours.p99),
            entries as f64 / commits.max(1) as f64,
            peer.rate,
            ms(peer.p50),
            ms(peer.p99),
            ours.rate / peer.rate
        );
    }
    sqlx::query(&format!("drop schema {schema} cascade")).execute(&admin).await.unwrap();
}

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

async fn sqlite_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path).unwrap());
    let ledger =
        Ledger::open(Arc::clone(&store), LedgerId::main(), system_clock(), Arc::new(Unobserved)).await.unwrap();
    println!("\nSQLite (WAL, synchronous=FULL), entries of about 300 bytes of payload, chain and tree on\n");
    println!("| what | entries/s |\n|---|--:|");

    let started = Instant::now();
    for chunk in 0..ENTRIES / 1_000 {
        let mut pending = Vec::with_capacity(1_000);
        for n in 0..1_000 {
            pending.push(ledger.submit(request(format!("{:07}", chunk * 1_000 + n), 0)).await.unwrap());
        }
        for pending in pending {
            pending.outcome().await.unwrap();
        }
    }
    println!(
        "| append, new streams, 1,000 submitted at a time | {:.0} |",
        ENTRIES as f64 / started.elapsed().as_secs_f64()
    );

    let started = Instant::now();
    let existing = 50_000_u64;
    for chunk in 0..existing / 1_000 {
        let mut pending = Vec::with_capacity(1_000);
        for n in 0..1_000 {
            // A full-period step through the streams: spread all over the index, no stream twice.
            let stream = (chunk * 1_000 + n) * 7_919 % ENTRIES as u64;
            pending.push(ledger.submit(request(format!("{stream:07}"), 1)).await.unwrap());
        }
        for pending in pending {
            pending.outcome().await.unwrap();
        }
    }
    println!("| append, existing streams in random order | {:.0} |", existing as f64 / started.elapsed().as_secs_f64());

    let cell = {
        let ledger = ledger.clone();
        measure(64, move || {
            let ledger = ledger.clone();
            async move { drop(ledger.append(request(Uuid::now_v7().to_string(), 0)).await.unwrap()) }
        })
        .await
    };
    println!("| append, 64 writers, one entry each | {:.0} |", cell.rate);

    let size = ledger.head().await.unwrap().size;
    let started = Instant::now();
    let read = ledger.range(0, size).try_fold(0_u64, |count, _| async move { Ok(count + 1) }).await.unwrap();
    println!("| replay (entries read and decoded, in order) | {:.0} |", read as f64 / started.elapsed().as_secs_f64());
    let parallel = futures::stream::iter((0..size).step_by(100_000))
        .map(|from| {
            ledger.range(from, (from + 100_000).min(size)).try_fold(0_u64, |count, _| async move { Ok(count + 1) })
        })
        .buffer_unordered(2);
    let started = Instant::now();
    let read: u64 = parallel.try_fold(0, |sum, count| async move { Ok(sum + count) }).await.unwrap();
    println!("| replay, two ranges at a time | {:.0} |", read as f64 / started.elapsed().as_secs_f64());

    drop(ledger);
    let started = Instant::now();
    let options = daybook_auditor::VerifyOptions::default();
    let report = daybook_auditor::verify(daybook_auditor::Source::Sqlite(path), options, |_| {}).await.unwrap();
    assert_eq!(report.exit_code(), 0, "the ledger that was just written verifies");
    println!("| verify (chain, digests, tree, versions) | {:.0} |", size as f64 / started.elapsed().as_secs_f64());
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("Machine: {model}, {cores} cores; build: release\n");
    runtime.block_on(async {
        postgres_table().await;
        sqlite_table().await;
    });
}
