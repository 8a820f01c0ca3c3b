//! The vault on SQLite, and on PostgreSQL where `DAYBOOK_TEST_POSTGRES_URL` names a server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

/// Runs each function on every store.
macro_rules! both_stores {
    ($($name:ident)*) => {
        mod on_sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(crate::support::World::sqlite().await).await; }
        )* }
        mod on_postgres { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(world) = crate::support::World::postgres().await { super::$name(world).await; }
            }
        )* }
    };
}

mod accounts;
mod factors;
mod keys;
mod locks;
mod opening;
mod personal;
mod sessions;
mod support;
mod throttle;
mod tokens;
