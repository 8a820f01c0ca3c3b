//! What one process does at a time.

use std::time::Duration;

use crate::support::{World, main_ledger, other_ledger};

both_stores! { lock_of_another_matter_or_organisation_is_another }

async fn lock_of_another_matter_or_organisation_is_another(world: World) {
    let another = world.another().await;
    let _held = world.vault.exclusive(&main_ledger(), "owners").await.unwrap();
    let _matter = another.exclusive(&main_ledger(), "custody").await.unwrap();
    let _organization = another.exclusive(&other_ledger(), "owners").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_holds_another_waits_for_on_postgres() {
    let Some(world) = World::postgres().await else { return };
    let another = world.another().await;
    let held = world.vault.exclusive(&main_ledger(), "owners").await.unwrap();
    let waiting = tokio::spawn(async move { another.exclusive(&main_ledger(), "owners").await.map(drop) });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    drop(held);
    tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_ever_on_postgres() {
    let Some(world) = World::postgres().await else { return };
    let another = world.another().await;
    let _held = world.vault.exclusive(&main_ledger(), "owners").await.unwrap();
    let refused = another.exclusive(&main_ledger(), "owners").await;
    assert_eq!(refused.unwrap_err().code(), "vault.busy");
}
