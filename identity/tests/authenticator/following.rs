//! Keeping up with the ledger: on every process, through failures, with snapshots.

use std::time::{Duration, Instant};

use daybook_http_kit::{Authenticator, Organizations};
use daybook_identity::directory::{SNAPSHOT_VERSION, SnapshotPolicy};
use daybook_ledger::LedgerId;
use daybook_ledger::store::sqlite::SqliteStore;
use serde_json::json;
use tokio::sync::watch;

use crate::credentials::bearer;
use crate::faulty::Faulty;
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocation_bites_at_once_here_and_within_a_second_on_other_processes() {
    let world = World::new().await;
    world.person("usr_1", &["admin"]).await;
    world.person("usr_2", &["admin"]).await;
    let (here, elsewhere) = (world.directory().await, world.directory_of(world.reader_elsewhere().await).await);
    let (_stop, stopped) = watch::channel(false);
    for directory in [&here, &elsewhere] {
        tokio::spawn(directory.clone().run(stopped.clone()));
    }
    let service = world.service(Organizations::single(LedgerId::main(), here.clone()), false);
    let service_elsewhere = world.service(Organizations::single(LedgerId::main(), elsewhere.clone()), false);
    let main = LedgerId::main();
    let first = world.tokens().issue("usr_1", &main, "ses_1", world.now()).await.unwrap().token;
    let second = world.tokens().issue("usr_2", &main, "ses_2", world.now()).await.unwrap().token;
    for token in [&first, &second] {
        assert!(service.authenticate(bearer(token)).await.unwrap().unwrap().holds("user:role_assign"));
        assert!(service_elsewhere.authenticate(bearer(token)).await.unwrap().unwrap().holds("user:role_assign"));
    }

    world.happens("usr_1", "user.role_revoked", json!({ "role": "admin" })).await;
    let position = world.happens("ses_2", "session.ended", json!({ "reason": "revoked" })).await;
    let happened = Instant::now();
    assert!(here.at_least(position + 1, Duration::from_secs(1)).await);
    assert!(!service.authenticate(bearer(&first)).await.unwrap().unwrap().holds("user:role_assign"));
    assert_eq!(service.authenticate(bearer(&second)).await.unwrap_err().code(), "token.session_ended");
    let mut positions = elsewhere.positions();
    tokio::time::timeout(Duration::from_secs(5), positions.wait_for(|reached| *reached > position))
        .await
        .unwrap()
        .unwrap();
    assert!(happened.elapsed() < Duration::from_secs(1), "{:?}", happened.elapsed());
    assert!(!service_elsewhere.authenticate(bearer(&first)).await.unwrap().unwrap().holds("user:role_assign"));
    assert_eq!(service_elsewhere.authenticate(bearer(&second)).await.unwrap_err().code(), "token.session_ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_out_of_reach_is_shown_and_followed_again() {
    let folder = tempfile::tempdir().unwrap();
    let faulty = Faulty::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
    let world = World::on(faulty.clone(), folder).await;
    world.person("usr_1", &["viewer"]).await;
    let directory = world.directory_of(world.reader_elsewhere().await).await;
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(directory.clone().run(stopped));
    faulty.set_broken(true);
    until(|| directory.status().failures > 1).await;
    assert!(directory.status().error.unwrap().contains("out of reach"));
    // What it knows it goes on answering, and says how old that is.
    assert!(directory.now().access_of("usr_1", world.now()).is_some());
    assert!(!directory.is_current(Duration::ZERO) && directory.is_current(Duration::from_secs(30)));
    faulty.set_broken(false);
    let position = world.person("usr_2", &["viewer"]).await;
    assert!(directory.at_least(position + 1, Duration::from_secs(10)).await);
    until(|| directory.status().error.is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_taken_after_changes_after_many_entries_and_at_the_end() {
    let world = World::new().await;
    world.person("usr_1", &["viewer"]).await;
    let directory = world.directory().await;
    let (stop, stopped) = watch::channel(false);
    let policy = SnapshotPolicy { entries: 5, pause: Duration::from_millis(20), entries_under_load: 1_000 };
    let running = tokio::spawn(directory.clone().run_with(stopped, policy));
    let position = world.person("usr_2", &["viewer"]).await;
    until_snapshot(&world, position + 1).await;
    // A few transactions are not worth one; a few more are.
    for number in 0..4 {
        world.happens(&format!("tx-{number}"), "transaction.recorded", json!({})).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(snapshot_position(&world).await, Some(position + 1));
    world.happens("tx-4", "transaction.recorded", json!({})).await;
    until_snapshot(&world, position + 6).await;
    let last = world.happens("tx-5", "transaction.recorded", json!({})).await;
    assert!(directory.at_least(last + 1, Duration::from_secs(5)).await);
    stop.send_replace(true);
    running.await.unwrap();
    assert_eq!(snapshot_position(&world).await, Some(last + 1));
    // A start reads what came after it and nothing else.
    let resumed = world.directory().await;
    assert_eq!((resumed.now().position, resumed.now().users.len()), (last + 1, 2));
}

#[tokio::test]
async fn waiting_for_what_does_not_come_ends() {
    let world = World::new().await;
    let directory = world.directory().await;
    assert!(directory.at_least(0, Duration::from_millis(50)).await);
    assert!(!directory.at_least(1, Duration::from_millis(50)).await);
    let reader = world.ledger.reader().clone();
    let waiting = {
        let directory = directory.clone();
        tokio::spawn(async move { directory.at_least(1, Duration::from_secs(5)).await })
    };
    world.person("usr_1", &[]).await;
    assert!(waiting.await.unwrap());
    assert_eq!(directory.now().position, reader.head().await.unwrap().size);
}

async fn snapshot_position(world: &World) -> Option<u64> {
    let kept = world.vault.snapshot(&LedgerId::main(), SNAPSHOT_VERSION).await.unwrap();
    kept.map(|kept| kept.position)
}

async fn until_snapshot(world: &World, position: u64) {
    let started = Instant::now();
    while snapshot_position(world).await != Some(position) {
        assert!(started.elapsed() < Duration::from_secs(10), "no snapshot at {position}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until(holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
