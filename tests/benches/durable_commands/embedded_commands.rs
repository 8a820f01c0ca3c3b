//! Durable commands on the embedded store, beside what `BENCH_PEER` has of another one: a file with lines of `writers rate
//! p50_ms p99_ms`. `make bench-peers` makes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use daybook_ledger::commands::{CommandContext, Commands};
use daybook_ledger::cqrs::StreamPolicy;
use daybook_ledger::sequencer::system_clock;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, Ledger, LedgerId};
use uuid::Uuid;

use crate::measure::{Commits, measure};
use crate::payment::Payment;

const WRITERS: [usize; 4] = [1, 8, 64, 512];

/// Prints the table.
pub async fn table() {
    let peer: BTreeMap<usize, (f64, String, String)> = std::env::var("BENCH_PEER")
        .map(|file| std::fs::read_to_string(file).unwrap())
        .unwrap_or_default()
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split_whitespace().collect();
            (cells[0].parse().unwrap(), (cells[1].parse().unwrap(), cells[2].to_owned(), cells[3].to_owned()))
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
    let observer = Arc::new(Commits::default());
    let ledger = Ledger::open(store, LedgerId::main(), system_clock(), Arc::clone(&observer) as _).await.unwrap();
    let payments = Commands::<Payment>::new(ledger, StreamPolicy::default());
    println!("\nSQLite (WAL, synchronous=FULL): durable commands, each on a new stream, chain and tree on\n");
    println!("| writers | Daybook /s | p50 ms | p99 ms | entries/commit | peer /s | p50 ms | p99 ms | ratio |");
    println!("|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for writers in WRITERS {
        let before = observer.so_far();
        let payments = payments.clone();
        let ours = measure(writers, move || {
            let payments = payments.clone();
            async move {
                let context = CommandContext::new(Actor::system("bench"));
                payments.execute(&Uuid::now_v7().to_string(), "1234.50".to_owned(), context).await.unwrap();
            }
        })
        .await;
        let (commits, entries) = (observer.so_far().0 - before.0, observer.so_far().1 - before.1);
        let (theirs, ratio) = match peer.get(&writers) {
            Some((rate, p50, p99)) => (format!("{rate:.0} | {p50} | {p99}"), format!("{:.1}", ours.rate / rate)),
            None => ("- | - | -".to_owned(), "-".to_owned()),
        };
        println!(
            "| {writers} | {:.0} | {:.2} | {:.2} | {:.1} | {theirs} | {ratio} |",
            ours.rate,
            ours.p50.as_secs_f64() * 1_000.0,
            ours.p99.as_secs_f64() * 1_000.0,
            entries as f64 / commits.max(1) as f64,
        );
    }
}
