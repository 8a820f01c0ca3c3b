//! Exports from the decision to the destination, on SQLite, and with read tables on PostgreSQL where
//! `DAYBOOK_TEST_POSTGRES_URL` names a server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod crashes;
mod deliveries;
mod files;
mod million;
mod removal;
mod schedules;
mod world;

/// A test on each store.
macro_rules! on_both_stores {
    ($($name:ident),+ $(,)?) => {
        $(
            mod $name {
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn sqlite() {
                    if let Some(world) = crate::world::World::sqlite().await {
                        super::suite::$name(world).await;
                    }
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn postgres() {
                    if let Some(world) = crate::world::World::postgres().await {
                        super::suite::$name(world).await;
                    }
                }
            }
        )+
    };
}

pub(crate) use on_both_stores;
