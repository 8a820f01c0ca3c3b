//! API keys, signing keys, snapshots of the directory.

use daybook_identity::vault::{KeyRotation, VaultError};

use crate::support::*;

async fn a_rotated_api_key_is_good_with_both_secrets_until_the_overlap_ends(world: World) {
    let (vault, main) = (&world.vault, main_ledger());
    let [old, new, wrong] = ["dbk_1_old", "dbk_1_new", "dbk_1_no"].map(|key| vault.api_key_digest(key));
    let end = MORNING + DAY;
    assert!(vault.add_api_key(&main, "key_1", &old, 1, Some(end), MORNING).await.unwrap());
    assert!(!vault.add_api_key(&other_ledger(), "key_1", &new, 1, None, MORNING).await.unwrap());
    assert_eq!(vault.rotate_api_key(&other_ledger(), "key_1", &new, 2, MORNING).await.unwrap(), KeyRotation::NoKey);
    assert_eq!(vault.rotate_api_key(&main, "key_1", &new, 2, MORNING + MINUTE).await.unwrap(), KeyRotation::Done);
    // A repeat changes nothing.
    assert_eq!(vault.rotate_api_key(&main, "key_1", &wrong, 2, MORNING).await.unwrap(), KeyRotation::Already);
    let row = world.another().await.api_key("key_1").await.unwrap().unwrap();
    assert_eq!((row.ledger_id.clone(), row.digests.len(), row.last_used_at), (main.clone(), 2, None));
    assert!(row.accepts(&old, 0, MORNING) && row.accepts(&new, 0, MORNING));
    assert!(!row.accepts(&old, 0, MORNING + MINUTE) && row.accepts(&new, 0, MORNING + MINUTE));
    assert!(!row.accepts(&wrong, 0, MORNING));
    assert!(!row.accepts(&new, 0, end));
    // Whoever knows of the rotation refuses what was before it.
    assert!(!row.accepts(&old, 2, MORNING) && row.accepts(&new, 2, MORNING));

    // Another rotation does not give the first secret more time.
    let newest = vault.api_key_digest("dbk_1_newest");
    let again = vault.rotate_api_key(&main, "key_1", &newest, 3, MORNING + 5 * MINUTE).await.unwrap();
    assert_eq!(again, KeyRotation::Done);
    let row = vault.api_key("key_1").await.unwrap().unwrap();
    assert!(!row.accepts(&old, 0, MORNING + MINUTE) && row.accepts(&new, 0, MORNING + 2 * MINUTE));
    assert_eq!(vault.purge(MORNING + MINUTE, 9).await.unwrap().api_key_digests, 1);

    assert!(vault.set_api_key_expiry(&main, "key_1", None).await.unwrap());
    assert!(vault.api_key("key_1").await.unwrap().unwrap().accepts(&newest, 0, end));
    assert!(!vault.remove_api_key(&other_ledger(), "key_1").await.unwrap());
    assert!(vault.remove_api_key(&main, "key_1").await.unwrap());
    assert!(vault.api_key("key_1").await.unwrap().is_none());
    assert_eq!(world.place.count("select count(*) from vault_api_key_digests").await, 0);
    assert!(vault.api_key("\0").await.unwrap().is_none());
}

async fn uses_of_api_keys_are_remembered_and_never_go_back(world: World) {
    let (vault, main) = (&world.vault, main_ledger());
    for key in ["key_1", "key_2", "key_3"] {
        vault.add_api_key(&main, key, &vault.api_key_digest(key), 1, None, MORNING).await.unwrap();
    }
    let uses = [("key_2", 5), ("key_1", 9), ("key_9", 9), ("key_1", 7)].map(|(key, at)| (key.to_owned(), at));
    vault.touch_api_keys(&uses).await.unwrap();
    vault.touch_api_keys(&[("key_2".to_owned(), 4)]).await.unwrap();
    let used = vault.api_keys_last_used(&main).await.unwrap();
    assert_eq!(used, [("key_1".to_owned(), 9), ("key_2".to_owned(), 5)]);
    assert!(vault.api_keys_last_used(&other_ledger()).await.unwrap().is_empty());
}

async fn processes_that_start_at_once_make_one_signing_key(world: World) {
    crowd(&world, |vault| async move { vault.ensure_jwt_key(MORNING).await.unwrap() }).await;
    let keys = world.vault.jwt_keys().await.unwrap();
    assert_eq!(keys.len(), 1);
    let first = &keys[0];
    assert!(first.private_key.expose().starts_with("-----BEGIN PRIVATE KEY-----"));
    assert_eq!(first.kid.len(), 24);

    let second = world.vault.rotate_jwt_key(MORNING + DAY).await.unwrap();
    world.vault.ensure_jwt_key(MORNING + DAY).await.unwrap();
    let keys = world.another().await.jwt_keys().await.unwrap();
    let seen: Vec<_> = keys.iter().map(|key| (key.kid.clone(), key.retired_at)).collect();
    assert_eq!(seen, [(second.kid.clone(), None), (first.kid.clone(), Some(MORNING + DAY))]);
    assert!(keys[0].private_key.matches(second.private_key.expose()));

    let bytes = world.place.bytes().await;
    let body = second.private_key.expose().lines().nth(1).unwrap();
    assert_has_none(&bytes, &[second.private_key.expose(), body]);
    assert_eq!(world.vault.purge(MORNING + 2 * DAY - 1, 9).await.unwrap().jwt_keys, 0);
    assert_eq!(world.vault.purge(MORNING + 2 * DAY, 9).await.unwrap().jwt_keys, 1);
    assert_eq!(world.vault.jwt_keys().await.unwrap().len(), 1);
}

async fn an_altered_signing_key_is_not_used(world: World) {
    world.vault.ensure_jwt_key(MORNING).await.unwrap();
    world.place.alter("update vault_jwt_keys set kid = 'another'").await;
    assert!(matches!(world.vault.jwt_keys().await, Err(VaultError::Corrupt(_))));
}

async fn the_latest_snapshot_stays_and_an_altered_one_is_noticed(world: World) {
    let (vault, main) = (&world.vault, main_ledger());
    assert!(vault.snapshot(&main, 1).await.unwrap().is_none());
    vault.save_snapshot(&main, 1, 20, b"twenty", MORNING).await.unwrap();
    vault.save_snapshot(&main, 1, 10, b"ten", MORNING).await.unwrap();
    let snapshot = vault.snapshot(&main, 1).await.unwrap().unwrap();
    assert_eq!((snapshot.position, snapshot.bytes.as_slice()), (20, b"twenty".as_slice()));
    assert!(vault.snapshot(&other_ledger(), 1).await.unwrap().is_none());
    vault.save_snapshot(&main, 2, 5, b"five", MORNING).await.unwrap();
    assert!(vault.snapshot(&main, 1).await.unwrap().is_none(), "older folds are of no use");
    world.place.alter("update vault_directory_snapshots set position = 6").await;
    assert!(matches!(vault.snapshot(&main, 2).await, Err(VaultError::Corrupt(_))));
    assert_eq!(vault.discard_snapshots(&main).await.unwrap(), 1);
}

both_stores! {
    a_rotated_api_key_is_good_with_both_secrets_until_the_overlap_ends
    uses_of_api_keys_are_remembered_and_never_go_back
    processes_that_start_at_once_make_one_signing_key
    an_altered_signing_key_is_not_used
    the_latest_snapshot_stays_and_an_altered_one_is_noticed
}
