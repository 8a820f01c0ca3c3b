//! A full disk and a broken one under the embedded store.
//!
//! A full disk: commands are refused with 503 and a reason until there is room again; the process goes on by itself.
//! A write or sync that fails with an I/O error: the kernel may have thrown away what it could not write and call the next
//! sync good. So nothing is written any more: the process ends and says why, and the next start writes and syncs what it
//! recovers before it shows it.

use std::time::Duration;

use daybook_tests::{Options, Server, Store, eventually};

use super::inject::{Fault, Injector};
use super::load::{Book, Load};

/// What the server's check `name` says, where it is not as it should be.
async fn complaint(server: &Server, name: &str) -> Option<String> {
    let answer = server.client().get("/health/ready").await;
    let body = answer.json();
    let check = body["checks"].as_array()?.iter().find(|check| check["name"] == name && check["ok"] == false)?.clone();
    assert_eq!(answer.status, 503, "{body}");
    Some(check["detail"].as_str()?.to_owned())
}

async fn full_disk(fault: Fault, part: impl Fn(&Store) -> String) {
    let Some(injector) = Injector::new() else { return };
    let store = Store::sqlite();
    let server = Server::start_with(&store, injector.options()).await;
    let client = server.client();
    let load = Load::start(&client, "full").await;
    load.goes_on(300).await;
    for round in 0..2 {
        injector.fail(fault, 0, &part(&store));
        load.is_refused(30).await;
        let detail =
            eventually("/health/ready says that nothing can be written", async || complaint(&server, "writing").await)
                .await;
        assert!(detail.contains("full"), "{detail}");
        assert!(client.metric("daybook_ledger_rejected_total{reason=\"store_unavailable\"}").await > 0.0);
        // What is there can be read all the while.
        assert!(client.ledger_size().await > 0);
        injector.repair();
        load.goes_on(300).await;
        // Read tables that could not be written to either may be behind for as long as the load goes on.
        eventually("/health/ready says that entries are written again", async || {
            complaint(&server, "writing").await.is_none().then_some(())
        })
        .await;
        assert!(injector.failures() > 0, "round {round}");
    }
    let mut book = Book::default();
    load.stop(&mut book).await;
    assert!(server.printed_contains("the disk is full"), "{}", server.printed());
    book.holds(&store, server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_disk_refuses_commands_and_goes_on_by_itself() {
    full_disk(Fault::DiskFull, |_| "/ledger.db".to_owned()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disk_that_becomes_full_within_a_write_refuses_commands_and_goes_on_by_itself() {
    full_disk(Fault::ShortWrite, |_| "/ledger.db-wal".to_owned()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_disk_under_ledger_and_read_tables_is_caught_up_afterwards() {
    full_disk(Fault::DiskFull, |store| store.folder().display().to_string()).await;
}

/// The file `part` of the ledger breaks while commands are recorded.
async fn broken_disk(fault: Fault, part: &str) {
    let Some(injector) = Injector::new() else { return };
    let store = Store::sqlite();
    let mut server = Server::start_with(&store, injector.options()).await;
    let load = Load::start(&server.client(), "broken").await;
    load.goes_on(300).await;
    // Once: the second try would be called good.
    injector.fail(fault, 1, part);
    let ended = server.ended().await;
    assert!(!ended.success(), "{ended}");
    assert_eq!(injector.failures(), 1);
    let said = server.printed();
    assert!(said.contains("has failed and must be opened anew"), "{said}");
    let mut book = Book::default();
    load.is_cut_off().await;
    load.stop(&mut book).await;
    assert!(book.acknowledged() >= 300);
    // The disk is still broken: no start, and a reason.
    injector.fail(fault, 0, "/ledger.db");
    let mut refused = Server::spawn(&store, injector.options());
    let ended = refused.ended().await;
    assert!(!ended.success(), "{ended}");
    let said = refused.printed();
    assert!(said.contains("ledger.db") && said.to_lowercase().contains("i/o error"), "{said}");
    injector.repair();
    book.holds_after_a_start(&store, Options::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_sync_of_a_commit_ends_the_process_and_loses_nothing() {
    broken_disk(Fault::Sync, "/ledger.db-wal").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_write_of_a_commit_ends_the_process_and_loses_nothing() {
    broken_disk(Fault::Write, "/ledger.db-wal").await;
}

/// The log is moved into the file from time to time; an error there is not one of any command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_sync_of_the_file_itself_ends_the_process_and_loses_nothing() {
    let Some(injector) = Injector::new() else { return };
    let store = Store::sqlite();
    let mut server = Server::start_with(&store, injector.options()).await;
    let load = Load::start(&server.client(), "file").await;
    load.goes_on(300).await;
    // Only the file, whose name is the end of no other path: `part` is followed by the end of the text.
    injector.fail(Fault::Sync, 1, "/ledger.db$");
    let ended = tokio::time::timeout(Duration::from_secs(30), server.ended()).await.expect("the log is moved at last");
    assert!(!ended.success(), "{ended}");
    assert!(server.printed().contains("has failed and must be opened anew"), "{}", server.printed());
    let mut book = Book::default();
    load.is_cut_off().await;
    load.stop(&mut book).await;
    book.holds_after_a_start(&store, Options::default()).await;
}
