//! Durable commands on PostgreSQL, beside cqrs-es with postgres-es as it comes.

use std::sync::Arc;
use std::time::Duration;

use daybook_ledger::commands::{CommandContext, Commands};
use daybook_ledger::cqrs::StreamPolicy;
use daybook_ledger::sequencer::system_clock;
use daybook_ledger::store::postgres::PostgresStore;
use daybook_ledger::{Actor, Ledger, LedgerId};
use uuid::Uuid;

use crate::measure::{Cell, Commits, measure};
use crate::payment::Payment;

const WRITERS: [usize; 4] = [1, 8, 64, 512];

/// Prints the table.
pub async fn table() {
    let Ok(url) = std::env::var("DAYBOOK_TEST_POSTGRES_URL") else {
        println!("PostgreSQL: skipped, DAYBOOK_TEST_POSTGRES_URL is not set (make bench sets it)");
        return;
    };
    let admin = sqlx::PgPool::connect(&url).await.unwrap();
    let fsync: String = sqlx::query_scalar("show fsync").fetch_one(&admin).await.unwrap();
    let version: String = sqlx::query_scalar("show server_version").fetch_one(&admin).await.unwrap();
    println!("PostgreSQL {version}, fsync {fsync}: durable commands, each on a new stream\n");
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
    settle_in(store.pool()).await;
    let observer = Arc::new(Commits::default());
    let ledger =
        Ledger::open(Arc::new(store), LedgerId::main(), system_clock(), Arc::clone(&observer) as _).await.unwrap();
    let payments = Commands::<Payment>::new(ledger, StreamPolicy::default());
    for writers in WRITERS {
        let (commits, entries) = observer.so_far();
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
        let (commits, entries) = (observer.so_far().0 - commits, observer.so_far().1 - entries);
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

/// Brings the server to where one is that has run for a while: with write-ahead log files to use again. A fresh one fills
/// each new file with zeros first, at the cost of whoever commits then.
async fn settle_in(pool: &sqlx::PgPool) {
    let statements = [
        "create table filler (content text not null)",
        "alter table filler alter column content set storage plain",
        "insert into filler select repeat('x', 7900) from generate_series(1, 115000)",
        "drop table filler",
        "checkpoint",
    ];
    for statement in statements {
        // Only an administrator may ask for a checkpoint; elsewhere one comes by itself.
        if let Err(error) = sqlx::query(statement).execute(pool).await {
            eprintln!("{statement}: {error}");
        }
    }
}
