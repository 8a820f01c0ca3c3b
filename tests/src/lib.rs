//! The harness of the whole-system tests: starts the real program on a free port with a fresh store, talks to it over
//! HTTP, kills it, and looks at what is left from outside. It knows nothing of the program's insides.
//!
//! A test names the stores it runs on with [`both_stores!`]. PostgreSQL comes from `DAYBOOK_TEST_POSTGRES_URL`
//! (`tests/with-postgres.sh` starts one); without it those tests say so and pass.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

pub mod client;
pub mod command_line;
pub mod data;
pub mod files;
pub mod http_documents;
pub mod people;
pub mod receivers;
pub mod secrets;
pub mod server;
pub mod store;
pub mod waiting;

pub use client::{Answer, Client};
pub use command_line::Finished;
pub use people::Person;
pub use server::{Options, Server};
pub use store::Store;
pub use waiting::{eventually, eventually_within};

/// The operator's token of every server that a test starts.
pub const OPERATOR_TOKEN: &str = "operator-token-of-the-tests";
/// The master key of every server on PostgreSQL: processes with data folders of their own need the same.
pub const MASTER_KEY: &str = "7465737473206f6e6c793a206120746573742773206d6173746572206b657921";

/// Makes two tests of an `async fn name(store: &Store)`: `name::on_sqlite` and `name::on_postgresql`.
#[macro_export]
macro_rules! both_stores {
    ($name:ident) => {
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                super::$name(&$crate::Store::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgresql() {
                let Some(store) = $crate::Store::postgres().await else { return };
                super::$name(&store).await;
            }
        }
    };
}
