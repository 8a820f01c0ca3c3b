//! What the directory knows, and what it does with entries that it does not understand.

use std::time::Duration;

use daybook_identity::directory::{
    Directory, ENDED_SESSION_MEMORY_MICROS, ErasureStatus, HoldCover, SNAPSHOT_VERSION, UserStatus,
};
use daybook_ledger::{Actor, LedgerId};
use serde_json::json;
use tokio::sync::watch;

use crate::world::{DAY, MINUTE, World, open_ledger, sealed, text};

const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn profile_sessions_and_second_factors_are_known_and_stay_sealed() {
    let world = World::new().await;
    let invitation = json!({ "email": sealed("usr_1"), "role": "analyst", "department_id": "dep_1",
        "expires_at": text(world.now() + DAY) });
    world.append_as(Actor::human("usr_9"), "user", "usr_1", "user.invited", invitation).await;
    let directory = world.directory().await;
    let user = directory.now().users.get("usr_1").cloned().unwrap();
    let invitation = user.invitation.clone().unwrap();
    assert_eq!((invitation.role.as_str(), invitation.invited_by.as_str()), ("analyst", "usr_9"));
    assert_eq!((user.status, user.full_name.is_none()), (UserStatus::Invited, true));

    world.person("usr_1", &["analyst"]).await;
    world.wait(MINUTE);
    let started = json!({ "user_id": "usr_1", "methods": ["password", "totp"], "client": sealed("usr_1") });
    world.happens("ses_1", "session.started", started).await;
    let factor = json!({ "kind": "totp", "factor_id": "fac_1", "label": sealed("usr_1") });
    world.happens("usr_1", "user.second_factor_enabled", factor).await;
    world.happens("usr_1", "user.identity_linked", json!({ "provider": "corporate" })).await;
    world.happens("usr_1", "user.profile_changed", json!({ "about": sealed("usr_1") })).await;
    let position = world.happens("usr_1", "user.password_changed", json!({ "by": "reset" })).await;
    assert!(directory.at_least(position + 1, PATIENCE).await);
    let user = directory.now().users.get("usr_1").cloned().unwrap();
    assert_eq!((user.status, user.invitation.is_none()), (UserStatus::Active, true));
    assert_eq!((user.last_login_at, user.password_changed_at), (Some(world.now()), Some(world.now())));
    assert_eq!((user.second_factors.len(), user.identities.len(), user.place.position), (1, 1, position));
    assert!(user.email.as_ref().unwrap().sealed.starts_with("dbs1."));
    assert!(user.about.is_some() && user.picture_url.is_none());

    let removed = json!({ "kind": "totp", "factor_id": "fac_1", "by": "administrator" });
    world.happens("usr_1", "user.second_factor_removed", removed).await;
    world.happens("usr_1", "user.profile_changed", json!({ "about": null })).await;
    let position = world.happens("usr_1", "user.erased", json!({ "erasure_id": "era_1" })).await;
    assert!(directory.at_least(position + 1, PATIENCE).await);
    let user = directory.now().users.get("usr_1").cloned().unwrap();
    assert!(user.second_factors.is_empty() && user.identities.is_empty() && user.grants.is_empty());
    assert!(user.about.is_none() && user.status == UserStatus::Erased);
}

#[tokio::test]
async fn organisation_holds_and_erasures_are_known() {
    let world = World::new().await;
    world.happens("main", "organization.created", json!({ "name": "Acme", "tier": "standard" })).await;
    let changes = json!({ "changes": [{ "field": "session_hours", "old": 168, "new": 12 },
        { "field": "open_registration", "old": false, "new": true }] });
    world.happens("main", "organization.settings_changed", changes).await;
    // Another one's stream in this ledger means nothing.
    world.happens("other", "organization.created", json!({ "name": "Other", "tier": "standard" })).await;
    let placed = json!({ "hold_id": "hld_1", "matter": "M-1", "reason": "Dispute",
        "covers": [{ "kind": "subject", "id": "usr_1" }] });
    world.happens("hld_1", "legal_hold.placed", placed).await;
    let extended = json!({ "covers": [{ "kind": "stream", "stream_type": "transaction", "stream_id": "tx-1" }] });
    world.happens("hld_1", "legal_hold.extended", extended).await;
    let requested = json!({ "erasure_id": "era_1", "subject": "usr_1", "reason": "Asked", "requested_by": "usr_1" });
    world.happens("era_1", "erasure.requested", requested).await;
    world.happens("era_1", "erasure.approved", json!({ "approved_by": "usr_2" })).await;
    world.happens("era_1", "erasure.refused", json!({ "holds": ["hld_1"], "detail": "M-1" })).await;
    let directory = world.directory().await;
    let state = directory.now();
    assert_eq!(state.organization.name, "Acme");
    assert_eq!(
        (state.organization.settings.session_hours, state.organization.settings.open_registration),
        (Some(12), Some(true))
    );
    assert_eq!(state.organization.settings.require_second_factor, None);
    assert_eq!(state.holds_on_subject("usr_1").len(), 1);
    assert_eq!(state.holds_on_stream("transaction", "tx-1").len(), 1);
    assert!(state.holds_on_subject("usr_2").is_empty());
    assert_eq!(state.holds.get("hld_1").unwrap().covers.first(), Some(&HoldCover::Subject { id: "usr_1".to_owned() }));
    let erasure = state.erasures.get("era_1").unwrap();
    assert_eq!((erasure.status, erasure.holds.as_slice()), (ErasureStatus::Refused, ["hld_1".to_owned()].as_slice()));
    assert!(!state.is_erased("usr_1"));

    world.happens("hld_1", "legal_hold.released", json!({ "reason": "Settled" })).await;
    let performed = json!({ "subject": "usr_1", "approved_by": "usr_2", "key_destroyed_at": text(world.now()) });
    let position = world.happens("era_1", "erasure.performed", performed).await;
    assert!(directory.at_least(position + 1, PATIENCE).await);
    let state = directory.now();
    assert!(state.holds_on_subject("usr_1").is_empty() && state.is_erased("usr_1") && !state.is_erased("usr_2"));
}

#[tokio::test]
async fn ended_session_is_remembered_as_long_as_a_token_may_live() {
    let world = World::new().await;
    world.happens("ses_1", "session.ended", json!({ "reason": "logout" })).await;
    assert!(world.directory().await.now().session_ended("ses_1"));
    let mut state = daybook_identity::directory::DirectoryState::default();
    for entry in world.ledger.entries(0, 10).await.unwrap() {
        state.fold(&entry);
    }
    state.forget_ended_sessions(world.now() + ENDED_SESSION_MEMORY_MICROS);
    assert!(state.session_ended("ses_1") && !state.session_ended("ses_2"));
    state.forget_ended_sessions(world.now() + ENDED_SESSION_MEMORY_MICROS + 1);
    assert!(!state.session_ended("ses_1"));
}

#[tokio::test]
async fn event_that_is_not_understood_lets_nobody_in() {
    for (event_type, payload) in [
        ("user.promoted_to_emperor", json!({})),
        ("user.role_revoked", json!({ "role": 7 })),
        ("role.permission_withdrawn", json!({})),
    ] {
        let world = World::new().await;
        world.person("usr_1", &["owner"]).await;
        let directory = world.directory().await;
        assert!(directory.now().access_of("usr_1", world.now()).is_some());
        let position = world.happens("usr_7", event_type, payload).await;
        world.person("usr_2", &["viewer"]).await;
        assert!(directory.at_least(position + 1, PATIENCE).await);
        let state = directory.now();
        let trouble = state.not_understood.clone().unwrap();
        assert_eq!((trouble.position, trouble.event_type.as_str()), (position, event_type));
        assert!(state.access_of("usr_1", world.now()).is_none());
        assert!(state.permissions_of("usr_1", None, world.now()).is_empty());
        assert!(!state.holds_role("usr_1", "owner", world.now()));
        assert_eq!(directory.status().not_understood, Some(trouble));
        // No snapshot is taken of it: a newer program has to come to the entry again.
        let (stop, stopped) = watch::channel(true);
        directory.run(stopped).await;
        drop(stop);
        assert!(world.vault.snapshot(&LedgerId::main(), SNAPSHOT_VERSION).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn events_of_business_change_nothing_but_the_position() {
    let world = World::new().await;
    world.person("usr_1", &["viewer"]).await;
    let directory = world.directory().await;
    let changed = directory.now().changed_position();
    let position = world.happens("tx-1", "transaction.of_the_future", json!({})).await;
    world.happens("acc_1", "access.of_the_future", json!({})).await;
    assert!(directory.at_least(position + 2, PATIENCE).await);
    assert!(directory.now().not_understood.is_none());
    assert_eq!(directory.now().changed_position(), changed);
}

#[tokio::test]
async fn snapshot_and_tail_come_to_the_same_as_all_entries() {
    let world = World::new().await;
    world.department("dep_1", None).await;
    world.role("reviewer", &["viewer"], &["incident:write"]).await;
    world.person("usr_1", &["reviewer", "owner"]).await;
    world.happens("ses_1", "session.ended", json!({ "reason": "revoked" })).await;
    let created = json!({ "name": "ci", "scopes": ["read"], "created_by": "operator" });
    world.happens("key_0123456789ab", "api_key.created", created).await;
    let first = world.directory().await;
    let (stop, stopped) = watch::channel(true);
    first.run(stopped.clone()).await;
    let kept = world.vault.snapshot(&LedgerId::main(), SNAPSHOT_VERSION).await.unwrap().unwrap();
    assert_eq!(kept.position, world.ledger.head().await.unwrap().size);

    world.person("usr_2", &["viewer"]).await;
    let resumed = world.directory().await;
    world.vault.discard_snapshots(&LedgerId::main()).await.unwrap();
    let folded = world.directory().await;
    let plain = |directory: &Directory| serde_json::to_value(&*directory.now()).unwrap();
    assert_eq!(plain(&resumed), plain(&folded));
    assert_eq!(resumed.now().users.len(), 2);
    drop(stop);
}

#[tokio::test]
async fn snapshot_of_another_past_or_version_is_not_used() {
    let world = World::new().await;
    world.person("usr_1", &["owner"]).await;
    world.person("usr_2", &["owner"]).await;
    let (_stop, stopped) = watch::channel(true);
    world.directory().await.run(stopped.clone()).await;
    let kept = world.vault.snapshot(&LedgerId::main(), SNAPSHOT_VERSION).await.unwrap().unwrap();

    // The vault comes to a ledger that is shorter, and to one that has other entries.
    for more in [false, true] {
        let master = daybook_identity::vault::MasterKey::from_hex(&"0a".repeat(32)).unwrap();
        let other = World::new().await;
        let vault =
            daybook_identity::vault::Vault::open_sqlite(other.folder.path().join("v.db"), master).await.unwrap();
        vault.save_snapshot(&LedgerId::main(), SNAPSHOT_VERSION, kept.position, &kept.bytes, 0).await.unwrap();
        other.person("usr_3", &["viewer"]).await;
        if more {
            other.person("usr_4", &["viewer"]).await;
        }
        let directory = Directory::open(other.ledger.reader().clone(), vault.clone()).await.unwrap();
        assert!(directory.now().users.get("usr_1").is_none() && directory.now().users.get("usr_3").is_some());
        // One with a smaller position would not replace it, so it is gone.
        assert!(vault.snapshot(&LedgerId::main(), SNAPSHOT_VERSION).await.unwrap().is_none());
    }

    world.vault.discard_snapshots(&LedgerId::main()).await.unwrap();
    world.vault.save_snapshot(&LedgerId::main(), SNAPSHOT_VERSION + 1, kept.position, b"{}", 0).await.unwrap();
    assert_eq!(world.directory().await.now().users.len(), 2);
    world.vault.save_snapshot(&LedgerId::main(), SNAPSHOT_VERSION, kept.position, b"{}", 0).await.unwrap();
    assert_eq!(world.directory().await.now().users.len(), 2);
}

#[tokio::test]
async fn organisations_know_nothing_of_each_other() {
    let world = World::new().await;
    let other = open_ledger(&world.store, "acme".parse().unwrap(), &world.clock).await;
    world.person("usr_1", &["owner"]).await;
    let directory = Directory::open(other.reader().clone(), world.vault.clone()).await.unwrap();
    assert!(directory.now().users.is_empty() && directory.now().position == 0);
    assert!(directory.now().access_of("usr_1", world.now()).is_none());
}
