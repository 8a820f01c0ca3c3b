//! API keys: what they hold, when they die, and what is refused.

use std::time::Duration;

use daybook_http_kit::{Authenticator, Organizations, PermissionSet, Principal, Via};
use daybook_identity::api_keys::{NewApiKey, generate, regenerate};
use daybook_identity::authenticator::IdentityService;
use daybook_identity::directory::{Directory, KeyStatus};
use daybook_identity::vault::KeyRotation;
use daybook_ledger::entry::ActorKind;
use daybook_ledger::{Actor, LedgerId};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::credentials::bearer;
use crate::world::{DAY, MINUTE, World, text};

/// Makes a key as the handler does: vault first, then the ledger.
async fn make(world: &World, by: Actor, scopes: &[&str], expires_at: Option<i64>) -> NewApiKey {
    let key = generate(&world.vault).unwrap();
    let main = LedgerId::main();
    assert!(world.vault.add_api_key(&main, &key.key_id, &key.digest, 1, expires_at, world.now()).await.unwrap());
    let mut created = json!({ "name": "ci", "scopes": scopes, "created_by": by.id });
    if let Some(expires_at) = expires_at {
        created["expires_at"] = text(expires_at);
    }
    world.append_as(by, "api_key", &key.key_id, "api_key.created", created).await;
    key
}

async fn happens(world: &World, directory: &Directory, id: &str, event_type: &str, payload: Value) {
    let position = world.happens(id, event_type, payload).await;
    assert!(directory.at_least(position + 1, Duration::from_secs(5)).await);
}

async fn with(service: &IdentityService, key: &NewApiKey) -> Result<Principal, String> {
    match service.authenticate(bearer(key.token.expose())).await {
        Ok(principal) => Ok(principal.unwrap()),
        Err(problem) => {
            assert_eq!((problem.status(), problem.organization()), (401, Some(&LedgerId::main())));
            Err(problem.code().to_owned())
        }
    }
}

fn service_of(world: &World, directory: &Directory) -> IdentityService {
    world.service(Organizations::single(LedgerId::main(), directory.clone()), false)
}

#[tokio::test]
async fn key_holds_its_scopes_as_far_as_its_maker_held_them_then() {
    let world = World::new().await;
    world.person("usr_1", &["analyst"]).await;
    let narrow = make(&world, Actor::human("usr_1"), &["transaction:read", "user:role_assign", "nonsense"], None).await;
    let wide = make(&world, Actor::human("usr_1"), &["admin"], None).await;
    let operators = make(&world, Actor::system("operator"), &["admin", "organization:create"], None).await;
    let strangers = make(&world, Actor::human("usr_unknown"), &["admin"], None).await;
    let grandchild = make(&world, Actor::system(narrow.key_id.clone()), &["read", "write", "admin"], None).await;
    // What the maker gets later, the key does not.
    world.happens("usr_1", "user.role_granted", json!({ "role": "owner" })).await;
    let directory = world.directory().await;
    let service = service_of(&world, &directory);
    let principal = with(&service, &narrow).await.unwrap();
    assert_eq!((principal.actor.kind, principal.actor.id.as_str()), (ActorKind::System, narrow.key_id.as_str()));
    assert_eq!((principal.via, principal.is_person(), principal.session_id), (Via::ApiKey, false, None));
    assert_eq!(principal.access.permissions, PermissionSet::from_names(["transaction:read"]));
    let analyst = PermissionSet::of_role(daybook_http_kit::role::Role::Analyst);
    let held = with(&service, &wide).await.unwrap().access.permissions;
    assert!(analyst.contains_all(&held) && held.contains_name("incident:write"));
    let held = with(&service, &operators).await.unwrap().access.permissions;
    assert!(held.contains_name("user:role_assign") && !held.contains_name("organization:create"));
    // Nobody answers for a stranger's.
    assert_eq!(with(&service, &strangers).await.unwrap_err(), "api_key.orphaned");
    let held = with(&service, &grandchild).await.unwrap().access.permissions;
    assert_eq!(held, PermissionSet::from_names(["transaction:read"]));

    // All that lead back to the person die with the account.
    happens(&world, &directory, "usr_1", "user.deactivated", json!({})).await;
    for key in [&narrow, &wide, &grandchild] {
        assert_eq!(with(&service, key).await.unwrap_err(), "api_key.orphaned");
    }
    assert!(with(&service, &operators).await.is_ok());
}

#[tokio::test]
async fn key_after_revocation_or_expiry_is_refused_at_once() {
    let world = World::new().await;
    let revoked = make(&world, Actor::system("operator"), &["read"], None).await;
    let expiring = make(&world, Actor::system("operator"), &["read"], Some(world.now() + 10 * MINUTE)).await;
    let directory = world.directory().await;
    let service = service_of(&world, &directory);
    assert!(with(&service, &revoked).await.is_ok() && with(&service, &expiring).await.is_ok());
    happens(&world, &directory, &revoked.key_id, "api_key.revoked", json!({ "reason": "Leaked" })).await;
    assert_eq!(with(&service, &revoked).await.unwrap_err(), "api_key.revoked");
    let access = directory.now().access_of_key(&revoked.key_id, world.now()).unwrap();
    assert_eq!(access.status, KeyStatus::Revoked);
    // The vault forgets what was revoked; the directory does not.
    assert!(world.vault.remove_api_key(&LedgerId::main(), &revoked.key_id).await.unwrap());
    assert_eq!(with(&service, &revoked).await.unwrap_err(), "api_key.revoked");
    assert_eq!(with(&service_of(&world, &directory), &revoked).await.unwrap_err(), "api_key.revoked");
    world.wait(10 * MINUTE);
    assert!(with(&service, &expiring).await.is_err());
}

#[tokio::test]
async fn key_never_holds_more_than_its_maker_holds_now() {
    let world = World::new().await;
    world.person("usr_1", &["admin", "viewer"]).await;
    world.person("usr_2", &[]).await;
    let until = text(world.now() + 10 * MINUTE);
    world.happens("usr_2", "user.role_granted", json!({ "role": "admin", "expires_at": until })).await;
    let demoted = make(&world, Actor::human("usr_1"), &["admin"], None).await;
    let grandchild = make(&world, Actor::system(demoted.key_id.clone()), &["admin"], None).await;
    let ending = make(&world, Actor::human("usr_2"), &["admin"], None).await;
    let operators = make(&world, Actor::system("operator"), &["admin"], None).await;
    let directory = world.directory().await;
    let service = service_of(&world, &directory);
    let all = [&demoted, &grandchild, &ending, &operators];
    for key in all {
        assert!(with(&service, key).await.unwrap().holds("user:role_assign"));
    }
    happens(&world, &directory, "usr_1", "user.role_revoked", json!({ "role": "admin" })).await;
    let viewer = PermissionSet::of_role(daybook_http_kit::role::Role::Viewer);
    for key in [&demoted, &grandchild] {
        let held = with(&service, key).await.unwrap().access.permissions;
        assert!(viewer.contains_all(&held) && held.contains_name("transaction:read"), "{held:?}");
    }
    assert!(with(&service, &ending).await.unwrap().holds("user:role_assign"));
    world.wait(10 * MINUTE);
    assert_eq!(with(&service, &ending).await.unwrap().access.permissions, PermissionSet::EMPTY);
    assert!(with(&service, &operators).await.unwrap().holds("user:role_assign"));
    // Nor does a key that such a key makes afterwards.
    let late = make(&world, Actor::system(demoted.key_id.clone()), &["admin"], None).await;
    happens(&world, &directory, "usr_1", "user.role_granted", json!({ "role": "admin" })).await;
    assert!(!with(&service, &late).await.unwrap().holds("user:role_assign"));
    assert!(with(&service, &demoted).await.unwrap().holds("user:role_assign"));
}

#[tokio::test]
async fn key_holds_what_a_custom_role_grants_now() {
    let world = World::new().await;
    world.role("desk", &[], &["transaction:read", "incident:read"]).await;
    world.person("usr_1", &["desk"]).await;
    let key = make(&world, Actor::human("usr_1"), &["read"], None).await;
    let directory = world.directory().await;
    let service = service_of(&world, &directory);
    assert!(with(&service, &key).await.unwrap().holds("incident:read"));
    happens(&world, &directory, "desk", "role.permission_withdrawn", json!({ "permission": "incident:read" })).await;
    let held = with(&service, &key).await.unwrap().access.permissions;
    assert_eq!(held, PermissionSet::from_names(["transaction:read"]));
}

#[tokio::test]
async fn old_secret_ends_though_the_vault_never_heard_of_the_rotation() {
    let world = World::new().await;
    let key = make(&world, Actor::system("operator"), &["read"], None).await;
    let directory = world.directory().await;
    let service = service_of(&world, &directory);
    let rotated = |until: i64| json!({ "old_valid_until": text(until) });
    happens(&world, &directory, &key.key_id, "api_key.rotated", rotated(world.now() + MINUTE)).await;
    assert!(with(&service, &key).await.is_ok());
    world.wait(MINUTE);
    assert_eq!(with(&service, &key).await.unwrap_err(), "api_key.unknown");
    // A later rotation with an overlap does not bring it back, whatever the vault says.
    let (until, new) = (world.now() + DAY, regenerate(&world.vault, &key.key_id).unwrap());
    happens(&world, &directory, &key.key_id, "api_key.rotated", rotated(until)).await;
    let main = LedgerId::main();
    let told = world.vault.rotate_api_key(&main, &key.key_id, &new.digest, 3, until).await.unwrap();
    assert_eq!(told, KeyRotation::Done);
    assert_eq!(with(&service, &key).await.unwrap_err(), "api_key.unknown");
    assert!(with(&service, &new).await.is_ok());
}

#[tokio::test]
async fn changed_scopes_count_from_the_next_request() {
    let world = World::new().await;
    let key = make(&world, Actor::system("operator"), &["read"], None).await;
    let directory = world.directory().await;
    let service = service_of(&world, &directory);
    assert!(with(&service, &key).await.unwrap().holds("transaction:read"));
    let changes = json!({ "changes": [{ "field": "scopes", "old": ["read"], "new": ["incident:write"] }] });
    happens(&world, &directory, &key.key_id, "api_key.changed", changes).await;
    let principal = with(&service, &key).await.unwrap();
    assert!(!principal.holds("transaction:read") && principal.holds("incident:write"));
}

#[tokio::test]
async fn rotation_overlaps_and_then_ends() {
    let world = World::new().await;
    let old = make(&world, Actor::system("operator"), &["read"], None).await;
    let directory = world.directory().await;
    let service = service_of(&world, &directory);
    assert!(with(&service, &old).await.is_ok());
    let new = regenerate(&world.vault, &old.key_id).unwrap();
    let until = world.now() + DAY;
    let rotated = world.vault.rotate_api_key(&LedgerId::main(), &new.key_id, &new.digest, 2, until).await.unwrap();
    assert_eq!(rotated, KeyRotation::Done);
    happens(&world, &directory, &old.key_id, "api_key.rotated", json!({ "old_valid_until": text(until) })).await;
    assert!(with(&service, &old).await.is_ok() && with(&service, &new).await.is_ok());
    world.wait(DAY);
    assert_eq!(with(&service, &old).await.unwrap_err(), "api_key.unknown");
    assert!(with(&service, &new).await.is_ok());
}

#[tokio::test]
async fn other_secrets_and_other_ids_are_no_keys() {
    let world = World::new().await;
    let key = make(&world, Actor::system("operator"), &["read"], None).await;
    let never_added = generate(&world.vault).unwrap();
    // In the vault, but the ledger does not have it.
    let unfinished = generate(&world.vault).unwrap();
    let main = LedgerId::main();
    world.vault.add_api_key(&main, &unfinished.key_id, &unfinished.digest, 1, None, world.now()).await.unwrap();
    let directory = world.directory().await;
    let service = service_of(&world, &directory);
    let wrong_secret = regenerate(&world.vault, &key.key_id).unwrap();
    for other in [&wrong_secret, &never_added, &unfinished] {
        let problem = service.authenticate(bearer(other.token.expose())).await.unwrap_err();
        assert_eq!((problem.status(), problem.code()), (401, "api_key.unknown"));
        // No organisation's directory has it: the vault, which has the one, was not asked.
        let is_of_ours = other.key_id == key.key_id;
        assert_eq!(problem.organization().is_some(), is_of_ours, "{other:?}");
    }
    assert!(with(&service, &key).await.is_ok());
    assert!(!format!("{key:?}").contains(key.token.expose()));
}

#[tokio::test]
async fn key_of_an_organisation_that_is_not_open_here_is_not_called_unknown() {
    let world = World::new().await;
    let (acme, key): (LedgerId, _) = ("acme".parse().unwrap(), generate(&world.vault).unwrap());
    world.vault.add_api_key(&acme, &key.key_id, &key.digest, 1, None, world.now()).await.unwrap();
    let directories = Organizations::single(LedgerId::main(), world.directory().await);
    let service = world.service(directories.clone(), false);
    let code = async || service.authenticate(bearer(key.token.expose())).await.unwrap_err().code().to_owned();
    assert_eq!(code().await, "api_key.unknown");
    directories.set_unavailable([acme].into());
    assert_eq!(code().await, "organization.unavailable");
    let other = generate(&world.vault).unwrap();
    let problem = service.authenticate(bearer(other.token.expose())).await.unwrap_err();
    assert_eq!(problem.code(), "api_key.unknown");
}

#[tokio::test]
async fn last_use_is_written_down_when_the_process_ends() {
    let world = World::new().await;
    let key = make(&world, Actor::system("operator"), &["read"], None).await;
    let directory = world.directory().await;
    let service = service_of(&world, &directory);
    assert!(with(&service, &key).await.is_ok());
    let (_stop, stopped) = watch::channel(true);
    service.run(stopped).await;
    let used = world.vault.api_keys_last_used(&LedgerId::main()).await.unwrap();
    assert_eq!(used, [(key.key_id, world.now())]);
}
