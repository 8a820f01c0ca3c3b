//! Leases on SQLite, and on PostgreSQL where `DAYBOOK_TEST_POSTGRES_URL` names a server: one holder at a time, tokens that
//! grow, and holders that notice what they have lost.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use daybook_ledger::LedgerId;
use daybook_ledger::sequencer::Clock;
use daybook_reactors::{LeaseError, Leases};
use daybook_read_models::{ReadDb, StoreKind};
use tokio::sync::watch;

/// 2026-11-21T10:00:00Z.
const MORNING: i64 = 1_795_255_200_000_000;
/// How long leases last here. Long enough for a slow machine to do something under one.
const TIME: Duration = Duration::from_millis(1_500);

struct World {
    database: ReadDb,
    time: Arc<AtomicI64>,
    _folder: tempfile::TempDir,
}

impl World {
    async fn sqlite() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let database = ReadDb::open_sqlite(folder.path().join("read.db")).await.unwrap();
        Some(Self { database, time: Arc::new(AtomicI64::new(MORNING)), _folder: folder })
    }

    async fn postgres() -> Option<Self> {
        let Ok(url) = std::env::var("DAYBOOK_TEST_POSTGRES_URL") else {
            eprintln!("skipped: DAYBOOK_TEST_POSTGRES_URL is not set");
            return None;
        };
        let schema = format!("leases_{:032x}", rand::random::<u128>());
        let pool = sqlx::PgPool::connect(&url).await.unwrap();
        sqlx::query(&format!("create schema {schema}")).execute(&pool).await.unwrap();
        pool.close().await;
        let url = format!("{url}?options=-csearch_path%3D{schema}");
        let database = ReadDb::open_postgres(&url, 4).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        Some(Self { database, time: Arc::new(AtomicI64::new(MORNING)), _folder: folder })
    }

    async fn leases(&self, ledger: &str) -> Leases {
        let time = Arc::clone(&self.time);
        let clock: Clock = Arc::new(move || time.load(Ordering::Relaxed));
        let ledger: LedgerId = ledger.parse().unwrap();
        Leases::open(self.database.clone(), ledger, clock).await.unwrap().lasting(TIME)
    }

    /// Lets the time that leases end by go on, and a holder's own as well.
    async fn wait_for_the_end(&self) {
        tokio::time::sleep(TIME + Duration::from_millis(100)).await;
        if self.database.kind() == StoreKind::Sqlite {
            let micros = i64::try_from(TIME.as_micros()).unwrap() + 100_000;
            self.time.fetch_add(micros, Ordering::Relaxed);
        }
    }
}

macro_rules! on_both_stores {
    ($name:ident) => {
        mod $name {
            #[tokio::test]
            async fn sqlite() {
                if let Some(world) = super::World::sqlite().await {
                    super::suite::$name(world).await;
                }
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(world) = super::World::postgres().await {
                    super::suite::$name(world).await;
                }
            }
        }
    };
}

on_both_stores!(of_two_that_ask_one_gets_it_and_what_is_given_back_is_free_at_once);
on_both_stores!(a_lease_that_ended_is_taken_over_with_a_larger_token_and_its_holder_cannot_renew_it);
on_both_stores!(a_lease_that_is_renewed_does_not_end);
on_both_stores!(of_many_that_ask_at_once_one_gets_it);
on_both_stores!(work_is_done_by_one_at_a_time_and_goes_on_elsewhere_when_its_process_is_gone);
on_both_stores!(work_is_dropped_where_its_lease_is_lost);

mod suite {
    use super::*;

    pub async fn of_two_that_ask_one_gets_it_and_what_is_given_back_is_free_at_once(world: World) {
        let leases = world.leases("main").await;
        let first = leases.acquire("exports").await.unwrap().unwrap();
        assert!(first.fence().is_held());
        assert!(leases.acquire("exports").await.unwrap().is_none());
        assert!(leases.acquire("clock").await.unwrap().is_some(), "another work is another lease");
        let elsewhere = world.leases("other").await;
        assert!(elsewhere.acquire("exports").await.unwrap().is_some(), "another organisation's is another lease");
        let (token, fence) = (first.token(), first.fence());
        first.release().await.unwrap();
        assert!(!fence.is_held());
        let second = leases.acquire("exports").await.unwrap().unwrap();
        assert!(second.token() > token);
    }

    pub async fn a_lease_that_ended_is_taken_over_with_a_larger_token_and_its_holder_cannot_renew_it(world: World) {
        let leases = world.leases("main").await;
        let stale = leases.acquire("exports").await.unwrap().unwrap();
        world.wait_for_the_end().await;
        assert!(!stale.fence().is_held(), "it ends for its holder, too, who has heard of nothing");
        let new = leases.acquire("exports").await.unwrap().unwrap();
        assert!(new.token() > stale.token());
        assert!(matches!(stale.renew().await, Err(LeaseError::Lost)));
        stale.release().await.unwrap();
        new.renew().await.unwrap();
        assert!(
            leases.acquire("exports").await.unwrap().is_none(),
            "a stale holder gives back nothing of the new one's"
        );
    }

    pub async fn a_lease_that_is_renewed_does_not_end(world: World) {
        let leases = world.leases("main").await;
        let lease = leases.acquire("exports").await.unwrap().unwrap();
        for _ in 0..4 {
            tokio::time::sleep(TIME / 3).await;
            world.time.fetch_add(i64::try_from(TIME.as_micros()).unwrap() / 3, Ordering::Relaxed);
            lease.renew().await.unwrap();
            assert!(lease.fence().is_held());
            assert!(leases.acquire("exports").await.unwrap().is_none());
        }
        world.wait_for_the_end().await;
        assert!(
            matches!(lease.renew().await, Err(LeaseError::Lost)),
            "what has ended is not renewed, even if it is free"
        );
    }

    pub async fn of_many_that_ask_at_once_one_gets_it(world: World) {
        let leases = world.leases("main").await;
        let asking = (0..16).map(|_| {
            let leases = leases.clone();
            tokio::spawn(async move { leases.acquire("exports").await.unwrap().map(|lease| lease.token()) })
        });
        let mut tokens = Vec::new();
        for answer in asking.collect::<Vec<_>>() {
            tokens.extend(answer.await.unwrap());
        }
        assert_eq!(tokens.len(), 1);
    }

    pub async fn work_is_done_by_one_at_a_time_and_goes_on_elsewhere_when_its_process_is_gone(world: World) {
        let (tokens, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let (stop, stopping) = watch::channel(false);
        let first_leases = world.leases("main").await;
        let process = |leases: Leases| {
            let (tokens, stopping) = (tokens.clone(), stopping.clone());
            tokio::spawn(async move {
                let work = |fence: daybook_reactors::Fence| {
                    let (tokens, mut stopping) = (tokens.clone(), stopping.clone());
                    async move {
                        tokens.send(fence.token()).unwrap();
                        let _ = stopping.wait_for(|stop| *stop).await;
                    }
                };
                leases.hold("exports", stopping.clone(), work).await;
            })
        };
        let first = process(first_leases.clone());
        let before = seen.recv().await.unwrap();
        let second = process(first_leases);
        let quiet = tokio::time::timeout(Duration::from_millis(400), seen.recv()).await;
        assert!(quiet.is_err(), "both work at once");
        // Gone without a word.
        first.abort();
        world.wait_for_the_end().await;
        let after = tokio::time::timeout(Duration::from_secs(20), seen.recv()).await.unwrap().unwrap();
        assert!(after > before);
        stop.send_replace(true);
        second.await.unwrap();
        let free = world.leases("main").await.acquire("exports").await.unwrap();
        assert!(free.is_some(), "work that ends gives its lease back");
    }

    pub async fn work_is_dropped_where_its_lease_is_lost(world: World) {
        struct Dropped(Arc<AtomicUsize>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let leases = world.leases("main").await;
        let dropped = Arc::new(AtomicUsize::new(0));
        let (stop, stopping) = watch::channel(false);
        let (begun, mut beginnings) = tokio::sync::mpsc::unbounded_channel();
        let process = {
            let (leases, dropped) = (leases.clone(), Arc::clone(&dropped));
            let stopping = stopping.clone();
            tokio::spawn(async move {
                let work = |fence: daybook_reactors::Fence| {
                    let (guard, begun) = (Dropped(Arc::clone(&dropped)), begun.clone());
                    async move {
                        let _guard = guard;
                        begun.send(fence).unwrap();
                        std::future::pending::<()>().await;
                    }
                };
                leases.hold("exports", stopping, work).await;
            })
        };
        let first = beginnings.recv().await.unwrap();
        // Somebody else has it, whatever the holder believes.
        let mut transaction = world.database.begin().await.unwrap();
        sqlx::query("update leases set token = token + 1, holder = 'another', expires_at = 0")
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        let second = tokio::time::timeout(Duration::from_secs(20), beginnings.recv()).await.unwrap().unwrap();
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        assert!(!first.is_held() && second.is_held() && second.token() > first.token() + 1);
        process.abort();
        drop(stop);
    }
}
