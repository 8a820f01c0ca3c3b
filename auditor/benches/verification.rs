//! How fast a ledger is verified, beside nothing but the hash functions over the same bytes on the same cores.
//!
//! `cargo bench -p daybook-auditor --bench verification`. `BENCH_ENTRIES` (default 500,000) is the size of the ledger,
//! a SQLite file; `BENCH_THREADS` the number of threads (default: all processors) on both sides. The bare side has every
//! byte in memory already and only hashes: BLAKE3 of payload, metadata and canonical bytes, SHA-256 of leaves and nodes.
//! The second ratio is that of the processor time that both took.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;
use std::time::Instant;

use daybook_auditor::{Source, VerifyOptions, verify};
use daybook_ledger::canonical::canonical_bytes;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, ActorKind, Append, Draft, LedgerId, Store, StreamKey};
use sha2::{Digest as _, Sha256};

const RUNS: usize = 5;

fn main() {
    let number = |name: &str, default: usize| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    // Arguments such as `--bench` come from cargo; there are none of our own.
    let entries = number("BENCH_ENTRIES", 500_000);
    let threads = number("BENCH_THREADS", thread::available_parallelism().map_or(1, NonZeroUsize::get));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let runtime =
        |name: &str| tokio::runtime::Builder::new_multi_thread().thread_name(name).enable_all().build().unwrap();
    let bytes = runtime("filling").block_on(fill(&path, entries));
    let runtime = runtime("reading");
    let (mut bare, mut verified) = (Vec::new(), Vec::new());
    let (mut bare_ticks, mut verified_ticks) = (0, 0);
    for _ in 0..RUNS {
        let before = processor_ticks();
        bare.push(entries as f64 / hash_only(&bytes, threads));
        let between = processor_ticks();
        let options = VerifyOptions { threads: NonZeroUsize::new(threads), ..VerifyOptions::default() };
        let started = Instant::now();
        let report = runtime.block_on(verify(Source::Sqlite(path.clone()), options, |_| {})).unwrap();
        verified.push(entries as f64 / started.elapsed().as_secs_f64());
        bare_ticks += between - before;
        verified_ticks += processor_ticks() - between;
        assert_eq!((report.exit_code(), report.entries), (0, entries as u64), "{report}");
    }
    let (bare, verified) = (median(bare), median(verified));
    println!("verification of {entries} entries on {threads} threads, median of {RUNS} runs");
    println!("  bare hash functions   {bare:>12.0} entries/s");
    println!("  verification          {verified:>12.0} entries/s");
    println!("  ratio                 {:>12.2}", verified / bare);
    if verified_ticks > 0 {
        println!("  of processor time     {:>12.2}", bare_ticks as f64 / verified_ticks as f64);
    }
}

/// Processor time of all threads so far, in the system's ticks; 0 where there is no `/proc`. Beside other work on the same
/// processors it says more than the time that passed.
fn processor_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which may hold anything: user time is the 12th field, system time the 13th.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// What is hashed, one after the other, and where each piece ends: payload, metadata, canonical bytes.
#[derive(Default)]
struct Pieces {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// Writes a ledger as the server would, half of it to streams that exist.
async fn fill(path: &Path, entries: usize) -> Pieces {
    let store = SqliteStore::open(path).unwrap();
    let ledger = LedgerId::main();
    let mut written = 0;
    while written < entries {
        let count = 2_000.min(entries - written);
        let append = |number: usize| {
            let number = written + number;
            let payload = format!(
                r#"{{"amount":"{number}.00","currency":"EUR","account":"ACC-0001-2345-6789","counterparty":"TERMINAL-3156","note":"{}"}}"#,
                "n".repeat(300)
            );
            // The second thousand goes on with the streams of the first.
            let (stream, version) = match number % 2_000 {
                first @ 0..1_000 => (number / 2_000 * 1_000 + first, 0),
                second => (number / 2_000 * 1_000 + second - 1_000, 1),
            };
            Append {
                stream: StreamKey::new("transaction", format!("TX-{stream:012}")).unwrap(),
                expected_version: version,
                events: vec![Draft::new("transaction.recorded", 1, payload)],
                actor: Actor { kind: ActorKind::Human, id: "usr_5f1d3c2b4a59687786950413".to_owned() },
                metadata: format!(r#"{{"correlation_id":"batch-{number:08}"}}"#),
                command: None,
            }
        };
        let appends: Vec<_> = (0..count).map(append).collect();
        for outcome in store.append(&ledger, &appends, 1_704_067_200_000_000 + written as i64).await.unwrap() {
            outcome.unwrap();
        }
        written += count;
    }
    let mut pieces = Pieces::default();
    let mut from = 0;
    loop {
        let read = store.entries(&ledger, from, 10_000).await.unwrap();
        let Some(last) = read.last() else { return pieces };
        from = last.position + 1;
        for entry in &read {
            let canonical = canonical_bytes(entry);
            let payload = entry.payload.as_deref().unwrap_or_default().as_bytes();
            for piece in [payload, entry.metadata.as_bytes(), &canonical] {
                pieces.bytes.extend_from_slice(piece);
                pieces.ends.push(pieces.bytes.len());
            }
        }
    }
}

/// Seconds that nothing but hashing takes.
fn hash_only(pieces: &Pieces, threads: usize) -> f64 {
    let each = pieces.ends.len() / 3 / threads * 3;
    let started = Instant::now();
    thread::scope(|scope| {
        for thread in 0..threads {
            let from = thread * each;
            let to = if thread + 1 == threads { pieces.ends.len() } else { from + each };
            scope.spawn(move || {
                let mut start = if from == 0 { 0 } else { pieces.ends[from - 1] };
                let mut node = [0_u8; 65];
                for (index, end) in (from..to).zip(&pieces.ends[from..to]) {
                    let piece = &pieces.bytes[start..*end];
                    start = *end;
                    std::hint::black_box(blake3::hash(piece));
                    if index % 3 == 2 {
                        let leaf = Sha256::new().chain_update([0]).chain_update(piece).finalize();
                        node[33..].copy_from_slice(&leaf);
                        // One node for each leaf, less one.
                        let root = Sha256::digest(node);
                        node[1..33].copy_from_slice(&root);
                        node[0] = 1;
                    }
                }
                std::hint::black_box(node);
            });
        }
    });
    started.elapsed().as_secs_f64()
}
