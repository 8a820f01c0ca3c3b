//! What roles, grants and departments come to.

use std::collections::{BTreeMap, BTreeSet};

use daybook_http_kit::permission::{IncidentWrite, LedgerSeal, TransactionRead, UserRoleAssign};
use daybook_http_kit::role::Role;
use daybook_http_kit::{MATRIX, PermissionSet};
use daybook_identity::directory::{DirectoryState, MAX_INHERITANCE_DEPTH, UserStatus};
use daybook_ledger::{Actor, Entry, Hash, LedgerId, StreamKey};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{DAY, MINUTE, World, sealed, text};

fn held(state: &DirectoryState, user_id: &str, now: i64) -> PermissionSet {
    state.access_of(user_id, now).unwrap().access.permissions
}

#[tokio::test]
async fn built_in_roles_hold_what_the_table_says_and_the_strongest_stands_first() {
    let world = World::new().await;
    world.person("usr_1", &["viewer", "compliance", "analyst"]).await;
    world.person("usr_2", &["owner"]).await;
    world.person("usr_3", &[]).await;
    let state = world.directory().await.now();
    let now = world.now();
    assert_eq!(held(&state, "usr_1", now), PermissionSet::of_role(Role::Compliance));
    assert_eq!(*state.access_of("usr_1", now).unwrap().roles, ["compliance", "analyst", "viewer"]);
    assert_eq!(held(&state, "usr_2", now), PermissionSet::of_role(Role::Owner));
    assert_eq!(state.role_of("usr_2", now).as_deref(), Some("owner"));
    assert!(held(&state, "usr_3", now).is_empty() && state.role_of("usr_3", now).is_none());
    assert!(state.access_of("usr_4", now).is_none());
    assert_eq!(state.owners(now), ["usr_2"]);
}

#[tokio::test]
async fn operator_is_a_role_that_grants_nothing() {
    let world = World::new().await;
    world.person("usr_1", &["operator", "no-such-role"]).await;
    world.role("sneaky", &["operator"], &[]).await;
    world.person("usr_2", &["sneaky"]).await;
    let state = world.directory().await.now();
    assert!(held(&state, "usr_1", world.now()).is_empty());
    assert!(held(&state, "usr_2", world.now()).is_empty());
}

#[tokio::test]
async fn custom_role_has_its_own_permissions_and_those_it_inherits_until_they_are_taken_away() {
    let world = World::new().await;
    world.role("reviewer", &["viewer"], &["incident:write", "invoice:approve"]).await;
    world.role("senior", &["reviewer"], &["ledger:seal"]).await;
    world.person("usr_1", &["senior"]).await;
    let directory = world.directory().await;
    let (state, now) = (directory.now(), world.now());
    let set = held(&state, "usr_1", now);
    assert!(set.contains::<IncidentWrite>() && set.contains::<LedgerSeal>() && set.contains::<TransactionRead>());
    assert!(!set.contains::<UserRoleAssign>());
    // The organisation's own permissions are names that no route asks for.
    assert!(state.permissions_of("usr_1", None, now).contains("invoice:approve"));
    assert!(state.holds_role("usr_1", "viewer", now) && !state.holds_role("usr_1", "analyst", now));

    world.happens("reviewer", "role.permission_withdrawn", json!({ "permission": "incident:write" })).await;
    let position = world.happens("senior", "role.permission_granted", json!({ "permission": "audit:read" })).await;
    assert!(directory.at_least(position + 1, std::time::Duration::from_secs(5)).await);
    let set = held(&directory.now(), "usr_1", now);
    assert!(!set.contains::<IncidentWrite>() && set.contains_name("audit:read"));

    let position = world.happens("reviewer", "role.retired", json!({})).await;
    assert!(directory.at_least(position + 1, std::time::Duration::from_secs(5)).await);
    let set = held(&directory.now(), "usr_1", now);
    assert_eq!(set, PermissionSet::from_names(["ledger:seal", "audit:read"]));
    // The older state still says what was so.
    assert!(held(&state, "usr_1", now).contains::<IncidentWrite>());
}

#[tokio::test]
async fn roles_in_a_circle_count_once_and_end() {
    let world = World::new().await;
    world.role("a", &["b"], &["transaction:read"]).await;
    world.role("b", &["c", "b"], &["audit:read"]).await;
    world.role("c", &["a"], &["incident:read"]).await;
    world.person("usr_1", &["b"]).await;
    let state = world.directory().await.now();
    let all = PermissionSet::from_names(["transaction:read", "audit:read", "incident:read"]);
    assert_eq!(held(&state, "usr_1", world.now()), all);
}

#[tokio::test]
async fn inheritance_ends_after_eight_steps() {
    let world = World::new().await;
    for step in 0..=MAX_INHERITANCE_DEPTH + 1 {
        let inherits = format!("step-{}", step + 1);
        let permission = MATRIX.get(step).unwrap().name;
        world.role(&format!("step-{step}"), &[&inherits], &[permission]).await;
    }
    world.person("usr_1", &["step-0"]).await;
    let state = world.directory().await.now();
    let expected = MATRIX.iter().take(MAX_INHERITANCE_DEPTH + 1).map(|row| row.name);
    assert_eq!(held(&state, "usr_1", world.now()), PermissionSet::from_names(expected));
}

#[tokio::test]
async fn grant_ends_at_its_time_though_nothing_happens() {
    let world = World::new().await;
    world.person("usr_1", &["viewer"]).await;
    let ends = world.now() + 10 * MINUTE;
    world.happens("usr_1", "user.role_granted", json!({ "role": "admin", "expires_at": text(ends) })).await;
    let state = world.directory().await.now();
    assert!(held(&state, "usr_1", ends - 1).contains::<UserRoleAssign>());
    assert_eq!(held(&state, "usr_1", ends), PermissionSet::of_role(Role::Viewer));
    assert_eq!(state.role_of("usr_1", ends).as_deref(), Some("viewer"));
    // What is held ready for one time is not said of another.
    assert!(held(&state, "usr_1", ends - 1).contains::<UserRoleAssign>());
    // Granted again without an end, it replaces the one with an end.
    world.happens("usr_1", "user.role_granted", json!({ "role": "admin" })).await;
    let state = world.directory().await.now();
    assert!(held(&state, "usr_1", ends + DAY).contains::<UserRoleAssign>());
    world.happens("usr_1", "user.role_revoked", json!({ "role": "admin" })).await;
    assert!(!held(&world.directory().await.now(), "usr_1", world.now()).contains::<UserRoleAssign>());
}

#[tokio::test]
async fn auditor_without_an_end_is_no_auditor() {
    let world = World::new().await;
    world.person("usr_1", &["auditor"]).await;
    world.person("usr_2", &[]).await;
    let ends = world.now() + 30 * DAY;
    world.happens("usr_2", "user.role_granted", json!({ "role": "auditor", "expires_at": text(ends) })).await;
    let state = world.directory().await.now();
    assert!(held(&state, "usr_1", world.now()).is_empty());
    assert_eq!(held(&state, "usr_2", world.now()), PermissionSet::of_role(Role::Auditor));
    assert!(held(&state, "usr_2", ends).is_empty());
}

#[tokio::test]
async fn department_grant_covers_what_is_below_and_nothing_beside() {
    let world = World::new().await;
    world.department("dep_bank", None).await;
    world.department("dep_trading", Some("dep_bank")).await;
    world.department("dep_rates", Some("dep_trading")).await;
    world.department("dep_legal", Some("dep_bank")).await;
    world.person("usr_1", &["viewer"]).await;
    let grant = json!({ "role": "compliance", "department_id": "dep_trading" });
    world.happens("usr_1", "user.role_granted", grant.clone()).await;
    let directory = world.directory().await;
    let now = world.now();
    let access = directory.now().access_of("usr_1", now).unwrap().access;
    assert_eq!(access.permissions, PermissionSet::of_role(Role::Viewer));
    let mut within: Vec<_> =
        access.departments.iter().map(|within| (within.id.as_str(), within.name.as_str())).collect();
    within.sort_unstable();
    assert_eq!(within, [("dep_rates", "DEP_RATES"), ("dep_trading", "DEP_TRADING")]);
    assert!(access.departments.iter().all(|within| within.permissions == PermissionSet::of_role(Role::Compliance)));
    let state = directory.now();
    let resolves = |department| state.permissions_of("usr_1", department, now).contains("compliance:resolve");
    assert!(resolves(Some("dep_rates")) && resolves(Some("dep_trading")));
    assert!(!resolves(Some("dep_bank")) && !resolves(Some("dep_legal")) && !resolves(None));
    assert_eq!(state.role_of("usr_1", now).as_deref(), Some("viewer"));

    // Departments in a circle, and one that closes.
    let change = json!({ "changes": [{ "field": "parent_department_id", "old": null, "new": "dep_rates" }] });
    world.happens("dep_bank", "department.changed", change).await;
    let position = world.happens("dep_trading", "department.closed", json!({})).await;
    assert!(directory.at_least(position + 1, std::time::Duration::from_secs(5)).await);
    let access = directory.now().access_of("usr_1", now).unwrap().access;
    assert!(access.departments.iter().all(|within| within.id != "dep_trading"));
    assert!(!directory.now().permissions_of("usr_1", Some("dep_trading"), now).contains("compliance:resolve"));
}

#[tokio::test]
async fn whoever_is_not_active_holds_nothing() {
    let world = World::new().await;
    let invitation = json!({ "email": sealed("usr_1"), "role": "admin", "expires_at": text(world.now() + DAY) });
    world.happens("usr_1", "user.invited", invitation).await;
    world.person("usr_2", &["admin"]).await;
    world.happens("usr_2", "user.deactivated", json!({})).await;
    world.person("usr_3", &["admin"]).await;
    world.happens("usr_3", "user.erased", json!({ "erasure_id": "era_1" })).await;
    world.happens("usr_3", "user.role_granted", json!({ "role": "admin" })).await;
    world.happens("usr_3", "user.reactivated", json!({})).await;
    let directory = world.directory().await;
    let state = directory.now();
    let expected = [("usr_1", UserStatus::Invited), ("usr_2", UserStatus::Deactivated), ("usr_3", UserStatus::Erased)];
    for (user_id, status) in expected {
        let access = state.access_of(user_id, world.now()).unwrap();
        assert_eq!(access.status, status);
        assert!(access.access.permissions.is_empty() && access.roles.is_empty(), "{user_id}");
    }
    assert!(state.owners(world.now()).is_empty());
    let position = world.happens("usr_2", "user.reactivated", json!({})).await;
    assert!(directory.at_least(position + 1, std::time::Duration::from_secs(5)).await);
    assert!(held(&directory.now(), "usr_2", world.now()).contains::<UserRoleAssign>());
}

/// Entries of a ledger that never was: the fold needs no store.
pub fn entry(position: u64, stream_type: &str, id: &str, event_type: &str, payload: &Value) -> Entry {
    Entry {
        ledger_id: LedgerId::main(),
        position,
        event_id: uuid::Uuid::nil(),
        stream: StreamKey::new(stream_type, id).unwrap(),
        version: 1,
        event_type: event_type.to_owned(),
        schema_version: 1,
        recorded_at: crate::world::MORNING,
        actor: Actor::system("operator"),
        metadata: "{}".to_owned(),
        payload: Some(payload.to_string()),
        payload_digest: Hash([0; 32]),
        previous_hash: Hash([0; 32]),
        hash: Hash([0; 32]),
    }
}

/// What a role comes to, worked out the slow way.
fn closure(graph: &BTreeMap<usize, Vec<usize>>, from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::from([from]);
    for _ in 0..MAX_INHERITANCE_DEPTH {
        let next: Vec<usize> = reached.iter().flat_map(|role| graph.get(role).cloned().unwrap_or_default()).collect();
        reached.extend(next);
    }
    reached
}

proptest! {
    #[test]
    fn any_graph_of_roles_comes_to_what_is_reached_in_eight_steps(
        graph in prop::collection::btree_map(0_usize..12, prop::collection::vec(0_usize..14, 0..4), 1..12),
        retired in prop::collection::btree_set(0_usize..12, 0..3),
    ) {
        let mut state = DirectoryState::default();
        let mut position = 0;
        let mut fold = |state: &mut DirectoryState, id: &str, event_type: &str, payload: &Value| {
            state.fold(&entry(position, "role", id, event_type, payload));
            position += 1;
        };
        for (role, inherits) in &graph {
            let name = format!("r{role}");
            let inherits: BTreeSet<_> = inherits.iter().map(|role| format!("r{role}")).collect();
            let permission = format!("p:{name}");
            let payload =
                json!({ "name": name, "display_name": name, "inherits": inherits, "permissions": [permission] });
            fold(&mut state, &name, "role.created", &payload);
        }
        for role in &retired {
            fold(&mut state, &format!("r{role}"), "role.retired", &json!({}));
        }
        prop_assert!(state.not_understood.is_none(), "{:?}", state.not_understood);
        // A retired role is as if it had never been.
        let is_live = |role: &usize| graph.contains_key(role) && !retired.contains(role);
        let live_of = |inherits: &[usize]| inherits.iter().copied().filter(|role| is_live(role)).collect::<Vec<_>>();
        let live: BTreeMap<_, _> = graph
            .iter()
            .filter(|(role, _)| is_live(role))
            .map(|(role, inherits)| (*role, live_of(inherits)))
            .collect();
        for role in graph.keys() {
            let expected: BTreeSet<String> = if live.contains_key(role) {
                closure(&live, *role).into_iter().map(|role| format!("p:r{role}")).collect()
            } else {
                BTreeSet::new()
            };
            prop_assert_eq!(state.permissions_of_role(&format!("r{role}")), expected);
        }
    }
}
