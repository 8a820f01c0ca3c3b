//! PostgreSQL itself fails: it is restarted under load, crashes, has no room, or cannot sync its log.

use daybook_tests::{Server, Store, eventually};

use super::cluster::Cluster;
use super::inject::{Fault, Injector};
use super::load::{Book, Load};

/// One cluster for all of it: making one takes seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_that_fails_under_load_loses_nothing() {
    let Some(injector) = Injector::new() else { return };
    let Some(cluster) = Cluster::start(&injector) else { return };
    let store = Store::postgres_at(cluster.url()).await;
    let server = Server::start(&store).await;
    let client = server.client();
    let load = Load::start(&client, "lost").await;
    load.goes_on(200).await;

    for how in ["fast", "immediate"] {
        cluster.stop(how);
        // Nobody waits without end for a server that is not there, whatever is not known of the last commit.
        load.is_refused(1).await;
        cluster.resume();
        load.goes_on(200).await;
    }

    // No room for the tables. The log is there before it is needed.
    injector.fail(Fault::DiskFull, 0, "/base/");
    load.is_refused(20).await;
    injector.repair();
    load.goes_on(200).await;
    assert!(injector.failures() > 0 && cluster.log().contains("No space left on device"), "{}", cluster.log());

    // The log cannot be synced: the server gives up all it has in memory, and recovers from what is on the disk.
    let before = injector.failures();
    injector.fail(Fault::Sync, 1, "/pg_wal/");
    eventually("the server has given up", async || cluster.log().contains("PANIC").then_some(())).await;
    assert_eq!(injector.failures(), before + 1);
    load.goes_on(200).await;

    let mut book = Book::default();
    load.stop(&mut book).await;
    book.holds(&store, server).await;
}
