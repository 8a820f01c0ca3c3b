//! Given events, when a command, then events or a refusal.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::*;
use crate::refusal::Refusal;
use crate::testing::{assert_state_survives_storing, description, fold, line, permission, reason, role};

fn content() -> Created {
    Created {
        name: role("desk-head"),
        display_name: line("Head of a desk"),
        description: None,
        inherits: [role("analyst")].into(),
        permissions: [permission("incident:assign")].into(),
    }
}

fn created() -> RoleEvent {
    RoleEvent::Created(content())
}

fn retired() -> RoleEvent {
    RoleEvent::Retired(Retired { reason: None })
}

fn given(events: Vec<RoleEvent>) -> AggregateTestExecutor<Role> {
    TestFramework::<Role>::with(()).given(events)
}

fn inheriting(names: &[&str]) -> BTreeSet<RoleName> {
    names.iter().map(|name| role(name)).collect()
}

fn change_inherits(names: &[&str]) -> RoleCommand {
    RoleCommand::Change(RolePatch { inherits: Some(inheriting(names)), ..RolePatch::default() })
}

fn many_permissions(count: usize) -> BTreeSet<PermissionName> {
    (0..count).map(|number| permission(&format!("thing{number}:read"))).collect()
}

#[test]
fn a_role_is_created_once() {
    given(vec![]).when(RoleCommand::Create(content())).then_expect_events(vec![created()]);
    given(vec![created()]).when(RoleCommand::Create(content())).then_expect_events(vec![]);
    let other = Created { display_name: line("Boss"), permissions: BTreeSet::new(), ..content() };
    given(vec![created()])
        .when(RoleCommand::Create(other))
        .then_expect_error(RoleError::Exists { fields: vec!["display_name", "permissions"] });
}

#[test]
fn the_names_of_built_in_roles_cannot_be_taken() {
    for name in crate::names::BUILT_IN_ROLES {
        given(vec![])
            .when(RoleCommand::Create(Created { name: role(name), ..content() }))
            .then_expect_error(RoleError::BuiltIn { name: role(name) });
    }
}

#[test]
fn a_role_inherits_neither_itself_nor_what_only_a_grant_gives() {
    for (names, refusal) in [
        (vec!["viewer", "desk-head"], RoleError::InheritsItself),
        (vec!["owner"], RoleError::NotInheritable { name: role("owner") }),
        (vec!["viewer", "auditor"], RoleError::NotInheritable { name: role("auditor") }),
        (vec!["operator"], RoleError::NotInheritable { name: role("operator") }),
    ] {
        given(vec![])
            .when(RoleCommand::Create(Created { inherits: inheriting(&names), ..content() }))
            .then_expect_error(refusal.clone());
        assert_eq!(refusal.pointer(), Some("/inherits"));
        given(vec![created()]).when(change_inherits(&names)).then_expect_error(refusal);
    }
}

#[test]
fn a_role_inherits_at_most_sixteen_others() {
    let names: Vec<String> = (0..=MAX_INHERITED).map(|number| format!("role{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    given(vec![created()]).when(change_inherits(&names)).then_expect_error(RoleError::TooManyInherited);
    let names = &names[..MAX_INHERITED];
    let changes = vec![RoleChange::Inherits { old: inheriting(&["analyst"]), new: inheriting(names) }];
    given(vec![created()])
        .when(change_inherits(names))
        .then_expect_events(vec![RoleEvent::Changed(Changed { changes })]);
}

#[test]
fn a_role_has_a_bounded_number_of_permissions_of_its_own() {
    let full = Created { permissions: many_permissions(MAX_PERMISSIONS), ..content() };
    given(vec![]).when(RoleCommand::Create(full.clone())).then_expect_events(vec![RoleEvent::Created(full.clone())]);
    given(vec![])
        .when(RoleCommand::Create(Created { permissions: many_permissions(MAX_PERMISSIONS + 1), ..content() }))
        .then_expect_error(RoleError::TooManyPermissions);
    given(vec![RoleEvent::Created(full)])
        .when(RoleCommand::GrantPermission { permission: permission("incident:close") })
        .then_expect_error(RoleError::TooManyPermissions);
}

#[test]
fn permissions_come_and_go_one_by_one() {
    let close = permission("incident:close");
    let granted = RoleEvent::PermissionGranted(PermissionGranted { permission: close.clone() });
    let withdrawn = RoleEvent::PermissionWithdrawn(PermissionWithdrawn { permission: close.clone() });
    let grant = RoleCommand::GrantPermission { permission: close.clone() };
    let withdraw = RoleCommand::WithdrawPermission { permission: close.clone() };
    given(vec![created()]).when(grant.clone()).then_expect_events(vec![granted.clone()]);
    given(vec![created(), granted.clone()]).when(grant).then_expect_events(vec![]);
    given(vec![created(), granted.clone()]).when(withdraw.clone()).then_expect_events(vec![withdrawn.clone()]);
    given(vec![created(), granted.clone(), withdrawn.clone()])
        .when(withdraw)
        .then_expect_error(RoleError::PermissionNotGranted { permission: close });
    assert_eq!(fold::<Role>(vec![created(), granted, withdrawn]).content(), Some(&content()));
}

#[test]
fn only_fields_that_get_another_value_are_recorded() {
    let patch = RolePatch {
        display_name: Some(line("Head of a desk")),
        description: Patch::Set(description("Leads.")),
        inherits: Some(inheriting(&["analyst"])),
    };
    let changed = RoleEvent::Changed(Changed {
        changes: vec![RoleChange::Description { old: None, new: Some(description("Leads.")) }],
    });
    given(vec![created()]).when(RoleCommand::Change(patch.clone())).then_expect_events(vec![changed.clone()]);
    given(vec![created(), changed.clone()]).when(RoleCommand::Change(patch)).then_expect_events(vec![]);
    assert_state_survives_storing(&fold::<Role>(vec![created(), changed]));
}

#[test]
fn a_retired_role_does_not_come_back() {
    given(vec![created()]).when(RoleCommand::Retire { reason: None }).then_expect_events(vec![retired()]);
    let after = vec![created(), retired()];
    given(after.clone()).when(RoleCommand::Retire { reason: Some(reason("Again")) }).then_expect_events(vec![]);
    for command in [
        RoleCommand::Create(content()),
        change_inherits(&[]),
        RoleCommand::GrantPermission { permission: permission("incident:close") },
        RoleCommand::WithdrawPermission { permission: permission("incident:assign") },
    ] {
        given(after.clone()).when(command).then_expect_error(RoleError::Retired);
    }
    assert!(fold::<Role>(after).is_retired());
}

#[test]
fn nothing_can_be_asked_of_a_role_that_is_not_there() {
    for command in [RoleCommand::Retire { reason: None }, change_inherits(&[])] {
        given(vec![]).when(command).then_expect_error(RoleError::NotFound);
    }
    assert_eq!(fold::<Role>(vec![retired()]), Role::default());
}
