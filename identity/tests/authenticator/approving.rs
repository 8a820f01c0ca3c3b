//! What the directory knows of approvals: policies, delegations, open requests, exports to collect, and who is one person.

use daybook_domain::approval::{ActionType, ApprovalStatus};
use daybook_domain::approval_policy::built_in;
use daybook_identity::directory::{DelegationRecord, KEPT_MICROS, SNAPSHOT_VERSION, SeatOf};
use daybook_ledger::{Actor, LedgerId};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::world::{DAY, MINUTE, World, text};

fn action(name: &str) -> ActionType {
    ActionType::parse("", name).unwrap()
}

fn requested(world: &World, id: &str, person: &str, resource: &str) -> Value {
    let policy = json!({ "version": 0, "rule": 0, "terms": built_in(&action("export.transactions"))[0].terms });
    json!({
        "approval_id": id,
        "action": { "action": "export.transactions", "resource_type": "transaction_export",
            "resource_id": resource, "summary": "Export" },
        "digest": "0".repeat(64),
        "requester": { "actor": person, "person": person },
        "policy": policy,
        "at": text(world.now()),
    })
}

#[tokio::test]
async fn policy_in_force_is_the_newest_or_what_is_built_in() {
    let world = World::new().await;
    let directory = world.directory().await;
    let (kind, other) = (action("export.transactions"), action("export.users"));
    let rules = |directory: &daybook_identity::directory::Directory| directory.now().rules_of(&kind);
    assert_eq!(rules(&directory), (0, built_in(&kind)));
    let mut own = built_in(&other);
    own[0].terms.grant_seconds = 60;
    let defined = json!({ "action": "export.transactions", "version": 1, "rules": own, "by": "usr_1",
        "reason": "Stricter", "approval_id": "apr_1" });
    world.happens("export.transactions", "approval_policy.defined", defined).await;
    let directory = world.directory().await;
    assert_eq!(rules(&directory), (1, own));
    assert_eq!(directory.now().policy_in_force(&kind, None, None).unwrap().terms.grant_seconds, 60);
    assert_eq!(directory.now().policy_in_force(&other, None, None).unwrap().version, 0);
    let retired = json!({ "version": 2, "by": "usr_1", "reason": "Too strict", "approval_id": "apr_2" });
    world.happens("export.transactions", "approval_policy.retired", retired).await;
    let directory = world.directory().await;
    assert_eq!(rules(&directory), (2, built_in(&kind)));
    let record = directory.now().policies.get("export.transactions").cloned().unwrap();
    assert_eq!((record.rules.clone(), record.approval_id.as_deref()), (None, Some("apr_2")));
}

#[tokio::test]
async fn accounts_of_one_person_are_one_whatever_order_they_were_declared_in() {
    let world = World::new().await;
    for id in ["usr_1", "usr_2", "usr_3", "usr_4"] {
        world.person(id, &["analyst"]).await;
    }
    let declare = |account: &'static str, person: &'static str| {
        let payload = json!({ "person": person, "by": "usr_9", "reason": "Two contracts" });
        world.happens(account, "user.same_person_declared", payload)
    };
    declare("usr_1", "usr_2").await;
    declare("usr_2", "usr_3").await;
    // A circle is closed by nobody.
    declare("usr_3", "usr_1").await;
    let created = json!({ "name": "ci", "scopes": ["read"], "created_by": "usr_1" });
    world.append_as(Actor::human("usr_1"), "api_key", "key_000000000001", "api_key.created", created.clone()).await;
    world.happens("key_000000000002", "api_key.created", created).await;
    let state = world.directory().await.now();
    for id in ["usr_1", "usr_2", "usr_3", "key_000000000001"] {
        assert_eq!(state.person_of(id), "usr_3", "{id}");
    }
    assert_eq!(state.person_of("key_000000000002"), "operator");
    assert_eq!((state.person_of("usr_4"), state.person_of("usr_unknown")), ("usr_4", "usr_unknown"));
    let mut ids = state.ids_of("usr_2");
    ids.sort_unstable();
    assert_eq!(ids, ["usr_1", "usr_2", "usr_3"]);
    assert_eq!(state.accounts_of("usr_1").count(), 3);
}

#[tokio::test]
async fn delegation_holds_for_its_time_its_actions_and_until_it_is_ended() {
    let world = World::new().await;
    let start = world.now() + MINUTE;
    let given = |id: &str, from: &str, actions: Value| {
        json!({ "delegation_id": id, "from": from, "to": "usr_2", "starts_at": text(start),
            "ends_at": text(start + DAY), "actions": actions, "by": from })
    };
    world.happens("dlg_1", "delegation.given", given("dlg_1", "usr_1", json!([]))).await;
    world.happens("dlg_2", "delegation.given", given("dlg_2", "usr_3", json!(["export.users"]))).await;
    assert!(world.directory().await.now().delegations_ever_to("usr_2").is_empty());
    for id in ["dlg_1", "dlg_2"] {
        let accepted = json!({ "by": "usr_2", "at": text(world.now()) });
        world.happens(id, "delegation.accepted", accepted).await;
    }
    let ended = json!({ "by": "usr_1", "at": text(start + 2 * MINUTE) });
    world.happens("dlg_1", "delegation.ended", ended).await;
    let state = world.directory().await.now();
    let to = |person: &str, kind: &str, now: i64| -> Vec<String> {
        let found = state.delegations_to(person, now);
        found
            .iter()
            .filter(|delegation| delegation.covers(&action(kind)))
            .map(|delegation| delegation.delegation_id.clone())
            .collect()
    };
    assert_eq!(to("usr_2", "export.users", start - 1), [""; 0]);
    assert_eq!(to("usr_2", "export.users", start), ["dlg_1", "dlg_2"]);
    assert_eq!(to("usr_2", "export.incidents", start), ["dlg_1"]);
    assert_eq!(to("usr_2", "export.users", start + 2 * MINUTE), ["dlg_2"]);
    assert_eq!(to("usr_2", "export.users", start + DAY), [""; 0]);
    assert_eq!(to("usr_1", "export.users", start), [""; 0]);
    let since = |since: i64, now: i64| -> Vec<String> {
        let found = state.delegations_ever_to("usr_2");
        found.iter().filter(|given| given.held_since(since, now)).map(|given| given.from.clone()).collect()
    };
    assert_eq!(since(start - DAY, start - 1), [""; 0]);
    assert_eq!(since(start - DAY, start + 2 * DAY), ["usr_1", "usr_3"]);
    assert_eq!(since(start + 2 * MINUTE, start + 2 * DAY), ["usr_3"]);
    let over = state.delegations.get("dlg_1").map(|delegation| DelegationRecord::over_at(delegation));
    assert_eq!(over, Some(start + 2 * MINUTE));
}

#[tokio::test]
async fn request_is_kept_while_it_is_open_and_comes_back_from_a_snapshot() {
    let world = World::new().await;
    for number in 1..=2 {
        let id = format!("apr_{number}");
        let submitted = json!({ "decide_by": text(world.now() + DAY), "at": text(world.now()) });
        world.happens(&id, "approval.requested", requested(&world, &id, "usr_1", &id)).await;
        world.happens(&id, "approval.submitted", submitted).await;
    }
    let directory = world.directory().await;
    let record = directory.now().approvals.get("apr_1").cloned().unwrap();
    assert_eq!((record.place.version, record.approval.status()), (2, Some(ApprovalStatus::Pending)));
    assert!(record.approval.due().is_some());
    assert_eq!(directory.now().open_approvals_of("usr_1", &"0".repeat(64)).len(), 2);
    assert_eq!(directory.now().open_approvals_count("usr_1"), 2);
    assert!(directory.now().open_approvals_of("usr_2", &"0".repeat(64)).is_empty());

    let (_stop, stopped) = watch::channel(true);
    directory.clone().run(stopped).await;
    assert!(world.vault.snapshot(&LedgerId::main(), SNAPSHOT_VERSION).await.unwrap().is_some());
    let withdrawn = json!({ "by": "usr_1", "at": text(world.now()) });
    world.happens("apr_1", "approval.withdrawn", withdrawn).await;
    let comment = json!({ "comment_id": "cmt_1", "by": "usr_1", "text": "Never mind." });
    world.happens("apr_1", "approval.commented", comment).await;
    let resumed = world.directory().await;
    world.vault.discard_snapshots(&LedgerId::main()).await.unwrap();
    let folded = world.directory().await;
    let plain = |directory: &daybook_identity::directory::Directory| serde_json::to_value(&*directory.now()).unwrap();
    assert_eq!(plain(&resumed), plain(&folded));
    let state = folded.now();
    assert_eq!(state.approvals.keys().map(|id| &**id).collect::<Vec<_>>(), ["apr_2"]);
    assert!(state.not_understood.is_none(), "{:?}", state.not_understood);
}

#[tokio::test]
async fn export_waits_to_be_collected_until_it_is_or_never_will_be() {
    let world = World::new().await;
    let export = |id: &str, digit: &str, collect: bool| {
        json!({ "export_id": id, "kind": "transactions", "format": "csv", "requested_by": "usr_1", "person": "usr_1",
            "approval_id": "apr_1", "collect": collect, "digest": digit.repeat(64) })
    };
    for (id, digit, collect) in
        [("exp_1", "1", true), ("exp_2", "2", false), ("exp_3", "3", true), ("exp_4", "1", true)]
    {
        world.happens(id, "export.requested", export(id, digit, collect)).await;
        world.wait(MINUTE);
    }
    let ids = |directory: &daybook_identity::directory::Directory| -> Vec<String> {
        let found = directory.now().exports_to_collect_of("usr_1");
        found.iter().map(|export| export.request.export_id.to_string()).collect()
    };
    let directory = world.directory().await;
    assert_eq!(ids(&directory), ["exp_4", "exp_3", "exp_1"]);
    let newest = directory.now().export_to_collect("usr_1", &"1".repeat(64)).unwrap();
    assert_eq!((newest.request.export_id.as_str(), newest.is_generated), ("exp_4", false));
    assert!(directory.now().export_to_collect("usr_2", &"1".repeat(64)).is_none());
    let failed =
        |is_final: bool| json!({ "attempt": 1, "why": "full disk", "is_final": is_final, "at": text(world.now()) });
    world.happens("exp_1", "export.generation_failed", failed(false)).await;
    world.happens("exp_3", "export.generation_failed", failed(true)).await;
    world.happens("exp_4", "export.collected", json!({ "by": "usr_1", "at": text(world.now()) })).await;
    assert_eq!(ids(&world.directory().await), ["exp_1"]);
}

#[tokio::test]
async fn seats_come_from_grants_that_grant_something() {
    let world = World::new().await;
    world.person("usr_1", &["analyst"]).await;
    world.department("dep_1", None).await;
    world.role("empty", &[], &[]).await;
    world.role("reads", &[], &["transaction:read"]).await;
    let seats = async || {
        let state = world.directory().await.now();
        state.seats_of("usr_1", world.now()).unwrap().seats.into_iter().map(|seat| seat.of).collect::<Vec<_>>()
    };
    let analyst = || SeatOf::Role("analyst".to_owned());
    let grant = |role: &str| json!({ "role": role, "department_id": "dep_1" });
    world.happens("usr_1", "user.role_granted", grant("empty")).await;
    assert_eq!(seats().await, [analyst()]);
    world.happens("usr_1", "user.role_granted", grant("reads")).await;
    assert_eq!(seats().await, [analyst(), SeatOf::Department("dep_1".to_owned())]);
    world.happens("reads", "role.retired", json!({})).await;
    assert_eq!(seats().await, [analyst()]);
    world.happens("usr_1", "user.deactivated", json!({ "by": "usr_9" })).await;
    assert!(world.directory().await.now().seats_of("usr_1", world.now()).is_none());
}

#[tokio::test]
async fn what_was_given_is_kept_as_long_as_a_request_looks_back_to_it() {
    let world = World::new().await;
    let givers = async |since: i64| {
        let state = world.directory().await.now();
        let seats = state.seats_of("usr_1", world.now()).unwrap();
        let gifts: Vec<_> = seats.seats.iter().flat_map(|seat| &seat.gifts).collect();
        state.givers(gifts, since).into_keys().map(str::to_owned).collect::<Vec<_>>()
    };
    world.person("usr_1", &["viewer"]).await;
    let requested_at = world.now();
    world.happens("apr_1", "approval.requested", requested(&world, "apr_1", "usr_9", "r")).await;
    let grant = |role: &str| json!({ "role": role });
    world.append_as(Actor::human("usr_9"), "user", "usr_1", "user.role_granted", grant("analyst")).await;
    for _ in 0..10 {
        world.wait(DAY);
        world.append_as(Actor::human("usr_8"), "user", "usr_1", "user.role_granted", grant("admin")).await;
        world.happens("usr_1", "user.role_revoked", grant("admin")).await;
    }
    assert_eq!(givers(requested_at - DAY).await, ["operator", "usr_9"]);
    world.happens("apr_1", "approval.withdrawn", json!({ "by": "usr_9", "at": text(world.now()) })).await;
    world.append_as(Actor::human("usr_8"), "user", "usr_1", "user.role_granted", grant("admin")).await;
    assert_eq!(givers(requested_at - DAY).await, ["usr_8"]);
}

/// An emergency that nobody reviews stays open for ever; what is kept for it does not grow for ever.
#[tokio::test]
async fn what_was_given_is_not_kept_for_ever_for_a_request_that_stays_open() {
    let world = World::new().await;
    world.person("usr_1", &["viewer"]).await;
    let requested_at = world.now();
    world.happens("apr_1", "approval.requested", requested(&world, "apr_1", "usr_9", "r")).await;
    let grant = |role: &str| json!({ "role": role });
    world.append_as(Actor::human("usr_9"), "user", "usr_1", "user.role_granted", grant("analyst")).await;
    let kept = async || world.directory().await.now().gifts_since(requested_at - DAY);
    let before = kept().await;
    world.wait(KEPT_MICROS - DAY);
    world.append_as(Actor::human("usr_8"), "user", "usr_1", "user.role_granted", grant("admin")).await;
    assert_eq!(kept().await, before + 1, "as long as it is of use");
    world.wait(3 * DAY);
    world.append_as(Actor::human("usr_8"), "user", "usr_1", "user.role_granted", grant("owner")).await;
    assert_eq!(kept().await, 2, "and no longer");
}

#[tokio::test]
async fn whoever_answers_for_the_operator_is_one_person_with_it() {
    let world = World::new().await;
    world.person("usr_1", &["owner"]).await;
    let directory = world.directory().await;
    assert_eq!(directory.now().person_of("operator"), "operator");
    directory.answer_for_operator("usr_1");
    world
        .happens(
            "key_000000000002",
            "api_key.created",
            json!({ "name": "ci", "scopes": ["read"], "created_by": "operator" }),
        )
        .await;
    let state = directory.up_to_date().await.unwrap();
    assert_eq!((state.person_of("operator"), state.person_of("key_000000000002")), ("usr_1", "usr_1"));
    assert_eq!(state.ids_of("usr_1"), ["usr_1", "operator"]);
}

#[tokio::test]
async fn unreadable_entry_about_approvals_keeps_nobody_out() {
    let world = World::new().await;
    world.person("usr_1", &["analyst"]).await;
    world.happens("apr_1", "approval.invented_later", json!({})).await;
    let state = world.directory().await.now();
    assert!(state.approvals_not_understood.is_some() && state.not_understood.is_none());
    assert!(state.access_of("usr_1", world.now()).is_some());
}
