//! `make bench`: durable commands a second beside cqrs-es with postgres-es as it comes, and append, replay and verify rates.
//!
//! One run, one machine, one PostgreSQL with fsync on, the two sides in turn, the same aggregate on both. Prints the
//! table that `docs/performance.md` keeps. `BENCH_SECONDS` (default 5) is how long each cell runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::as_conversions)]

mod commands;
mod embedded;
mod embedded_commands;
mod measure;
mod payment;
mod replay;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("unknown");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("Machine: {model}, {cores} cores; build: release\n");
    runtime.block_on(async {
        if std::env::var_os("BENCH_PEER").is_none() {
            commands::table().await;
            embedded::table().await;
        }
        embedded_commands::table().await;
    });
}
