//! Opening the vault: migrations, the master key, the file's mode.

use daybook_identity::vault::{MasterKey, OrganizationStatus, VaultError};

use crate::support::*;

async fn another_master_key_is_refused_clearly(world: World) {
    let wrong = MasterKey::from_hex(&"5d".repeat(32)).unwrap();
    let error = world.place.open(wrong).await.unwrap_err();
    assert!(matches!(error, VaultError::WrongMasterKey), "{error:?}");
    assert_eq!(error.code(), "vault.wrong_master_key");
    // The right one goes on working.
    assert!(world.another().await.organizations().await.unwrap().is_empty());
}

async fn an_altered_check_value_is_refused(world: World) {
    world.place.alter("update vault_values set value = 'AAAA' where name = 'master_key_check'").await;
    assert!(matches!(world.place.open(master()).await, Err(VaultError::WrongMasterKey)));
}

async fn a_newer_schema_is_refused(world: World) {
    world.place.alter("insert into vault_migrations (version) values (99)").await;
    assert!(matches!(world.place.open(master()).await, Err(VaultError::Newer { found: 99, .. })));
}

async fn organisations_are_added_once_and_can_be_closed(world: World) {
    let vault = &world.vault;
    assert!(vault.add_organization(&main_ledger(), MORNING).await.unwrap());
    assert!(!vault.add_organization(&main_ledger(), MORNING + 1).await.unwrap());
    assert!(vault.add_organization(&other_ledger(), MORNING + 1).await.unwrap());
    assert!(vault.set_organization_status(&other_ledger(), OrganizationStatus::Closed).await.unwrap());
    let rows = world.another().await.organizations().await.unwrap();
    let seen: Vec<_> = rows.iter().map(|row| (row.ledger_id.as_str(), row.status, row.created_at)).collect();
    assert_eq!(
        seen,
        [("main", OrganizationStatus::Active, MORNING), ("other", OrganizationStatus::Closed, MORNING + 1)]
    );
    assert!(!vault.set_organization_status(&"none".parse().unwrap(), OrganizationStatus::Closed).await.unwrap());
}

both_stores! {
    another_master_key_is_refused_clearly
    an_altered_check_value_is_refused
    a_newer_schema_is_refused
    organisations_are_added_once_and_can_be_closed
}

async fn eight_open_a_fresh_place_at_once(place: Place) {
    let place = std::sync::Arc::new(place);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let place = std::sync::Arc::clone(&place);
            tokio::spawn(async move { place.open(master()).await })
        })
        .collect();
    for task in tasks {
        let vault = task.await.unwrap().unwrap();
        vault.add_organization(&main_ledger(), MORNING).await.unwrap();
        assert_eq!(vault.organizations().await.unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_at_once_make_the_tables_once_on_sqlite() {
    eight_open_a_fresh_place_at_once(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_at_once_make_the_tables_once_on_postgres() {
    if let Some(place) = Place::postgres().await {
        eight_open_a_fresh_place_at_once(place).await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::sqlite().await;
    world.vault.add_organization(&main_ledger(), MORNING).await.unwrap();
    let file = world.place.file().unwrap();
    let modes = || {
        let files = std::fs::read_dir(file.parent().unwrap()).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().permissions().mode() & 0o777).collect::<Vec<_>>()
    };
    assert_eq!(modes(), [0o600; 3], "the file, its log and its index");
    world.vault.close().await;
    for file in std::fs::read_dir(file.parent().unwrap()).unwrap() {
        std::fs::set_permissions(file.unwrap().path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let vault = world.another().await;
    vault.add_organization(&other_ledger(), MORNING).await.unwrap();
    assert_eq!(modes(), [0o600; 3], "what was open to others is not any more");
}
