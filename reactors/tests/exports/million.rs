//! A million rows: in memory that does not grow with them. Takes a while, and so it is run by name:
//! `cargo nextest run -p daybook-reactors --run-ignored only -E 'test(a_million)'`.

use std::time::Instant;

use daybook_domain::export::{ExportFormat, ExportKind, ExportStatus};
use daybook_exports::RowSource;

use crate::world::{World, is_at};

const ROWS: i64 = 1_000_000;
/// Most that the process may grow by while it exports.
const MOST_GROWTH_KIB: u64 = 100 * 1_024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; the rate is of interest in a release build"]
async fn a_million_rows_take_constant_memory_sqlite() {
    export_a_million(World::sqlite().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute; the rate is of interest in a release build"]
async fn a_million_rows_take_constant_memory_postgres() {
    if let Some(world) = World::postgres().await {
        export_a_million(world).await;
    }
}

async fn export_a_million(world: World) {
    world.record(1).await;
    let id = world.ask_and_approve(world.request(ExportKind::Transactions, ExportFormat::Csv)).await;
    world.projections().catch_up().await.unwrap();
    multiply(&world).await;
    let request = world.request(ExportKind::Transactions, ExportFormat::Csv);
    let begun = Instant::now();
    let mut reading = world.sources().open(&request, 1).await.unwrap();
    let mut count = 0;
    while let Some(rows) = reading.next().await.unwrap() {
        count += rows.len();
    }
    tell("read", count, begun);
    let before = resident_kib();
    let begun = Instant::now();
    let export = world.drive(&[], &id, is_at(ExportStatus::Generated)).await;
    let rows = export.generated().unwrap().rows;
    tell("exported", usize::try_from(rows).unwrap(), begun);
    assert_eq!(i64::try_from(rows).unwrap(), ROWS);
    let growth = resident_kib().saturating_sub(before);
    println!("grown by {growth} KiB");
    assert!(growth < MOST_GROWTH_KIB, "grown by {growth} KiB");
    let begun = Instant::now();
    assert_eq!(world.verify(&export).findings, []);
    tell("verified", usize::try_from(rows).unwrap(), begun);
}

/// Copies the one row: what is measured is reading and writing, not how the rows came there.
async fn multiply(world: &World) {
    let mut transaction = world.database.begin().await.unwrap();
    let sql = format!(
        "with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < {}) \
         insert into transactions select ledger_id, transaction_id || '-' || n, amount, amount_key, currency, timestamp, \
         timestamp_source, status, account, counterparty, transaction_type, meta, source, first_position + n, \
         last_position + n, version, recorded_at, updated_at, correction_count, note_count, search_text \
         from transactions, numbers",
        ROWS - 1
    );
    sqlx::query(&sql).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

fn tell(what: &str, rows: usize, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("{what} {rows} rows in {seconds:.1} s: {:.0} a second", rows as f64 / seconds);
}

/// Memory of this process.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
