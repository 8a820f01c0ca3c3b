//! The embedded store: appends, replay and verification.

use std::sync::Arc;
use std::time::Instant;

use daybook_ledger::sequencer::{Unobserved, system_clock};
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, Append, Draft, Ledger, LedgerId, Store, StreamKey};
use futures::{StreamExt, TryStreamExt};
use uuid::Uuid;

use crate::measure::measure;

const ENTRIES: usize = 300_000;

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

/// Prints the table.
pub async fn table() {
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

    let rate = crate::replay::through_a_projector(ledger.reader()).await;
    println!("| replay through the projector engine into one simple table | {rate:.0} |");

    drop(ledger);
    let started = Instant::now();
    let options = daybook_auditor::VerifyOptions::default();
    let report = daybook_auditor::verify(daybook_auditor::Source::Sqlite(path), options, |_| {}).await.unwrap();
    assert_eq!(report.exit_code(), 0, "the ledger that was just written verifies");
    println!("| verify (chain, digests, tree, versions) | {:.0} |", size as f64 / started.elapsed().as_secs_f64());
}
