//! Who may be given which role, where, and until when.

use super::*;

fn grants(command: GrantRole) -> UserEvent {
    let GrantRole { role, department_id, expires_at, reason, at: _ } = command;
    UserEvent::RoleGranted(RoleGranted { role, department_id, expires_at, reason })
}

fn accepted(command: &GrantRole) {
    given(active()).when(UserCommand::GrantRole(command.clone())).then_expect_events(vec![grants(command.clone())]);
}

fn refused(command: GrantRole, refusal: UserError) {
    given(active()).when(UserCommand::GrantRole(command)).then_expect_error(refusal);
}

#[test]
fn a_role_is_granted_everywhere_or_within_a_department() {
    accepted(&GrantRole { reason: Some(reason("Promoted")), ..grant("compliance") });
    accepted(&GrantRole { department_id: Some(department("dep_rates")), ..grant("desk-head") });
    // The same role somewhere else is another grant.
    accepted(&GrantRole { department_id: Some(department("dep_rates")), ..grant("viewer") });
}

#[test]
fn the_same_grant_changes_nothing_and_another_expiry_replaces_it() {
    given(active()).when(UserCommand::GrantRole(grant("viewer"))).then_expect_events(vec![]);
    let until = GrantRole { expires_at: Some(days_ahead(30)), ..grant("viewer") };
    accepted(&until);
    let after = then(active(), grants(until.clone()));
    given(after.clone()).when(UserCommand::GrantRole(until)).then_expect_events(vec![]);
    let user: User = fold(after.clone());
    assert_eq!(user.grants(), [Grant { role: role("viewer"), department_id: None, expires_at: Some(days_ahead(30)) }]);
    given(after).when(UserCommand::GrantRole(grant("viewer"))).then_expect_events(vec![grants(grant("viewer"))]);
}

#[test]
fn a_grant_ends_in_the_future() {
    accepted(&GrantRole { expires_at: Some(microseconds_ahead(1)), ..grant("analyst") });
    for expires_at in [now(), days_ahead(-1)] {
        refused(GrantRole { expires_at: Some(expires_at), ..grant("analyst") }, UserError::ExpiryNotInFuture);
    }
    let grant = Grant { role: role("analyst"), department_id: None, expires_at: Some(now()) };
    assert!(grant.holds_at(microseconds_ahead(-1)) && !grant.holds_at(now()));
}

#[test]
fn an_auditor_looks_for_366_days_at_most() {
    accepted(&GrantRole { expires_at: Some(days_ahead(MAX_AUDITOR_DAYS)), ..grant("auditor") });
    let too_late = microseconds_ahead(MAX_AUDITOR_DAYS * 86_400_000_000 + 1);
    refused(GrantRole { expires_at: Some(too_late), ..grant("auditor") }, UserError::AuditorNeedsExpiry);
    refused(grant("auditor"), UserError::AuditorNeedsExpiry);
    refused(GrantRole { expires_at: Some(now()), ..grant("auditor") }, UserError::ExpiryNotInFuture);
    let within = GrantRole { department_id: Some(department("dep_rates")), ..grant("auditor") };
    refused(within, UserError::AuditorNeedsExpiry);
}

#[test]
fn an_owner_owns_everything_and_for_ever() {
    accepted(&grant("owner"));
    refused(
        GrantRole { department_id: Some(department("dep_rates")), ..grant("owner") },
        UserError::OwnerWithinDepartment,
    );
    refused(GrantRole { expires_at: Some(days_ahead(1)), ..grant("owner") }, UserError::OwnerExpires);
}

#[test]
fn nobody_becomes_the_operator() {
    refused(grant("operator"), UserError::RoleNotGrantable { role: role("operator") });
}

#[test]
fn a_role_is_revoked_where_it_was_granted() {
    let revoke = |name: &str, department_id: Option<DepartmentId>| UserCommand::RevokeRole {
        role: role(name),
        department_id,
        reason: None,
    };
    let revoked = RoleRevoked { role: role("viewer"), department_id: None, reason: None };
    given(active()).when(revoke("viewer", None)).then_expect_events(vec![UserEvent::RoleRevoked(revoked.clone())]);
    let rates = Some(department("dep_rates"));
    given(active())
        .when(revoke("viewer", rates.clone()))
        .then_expect_error(UserError::RoleNotGranted { role: role("viewer"), department_id: rates });
    given(then(active(), UserEvent::RoleRevoked(revoked)))
        .when(revoke("viewer", None))
        .then_expect_error(UserError::RoleNotGranted { role: role("viewer"), department_id: None });
}

#[test]
fn a_person_has_a_bounded_number_of_roles_that_hold() {
    let many = |expires_at| {
        let held = (0..MAX_GRANTS - 1)
            .map(|number| UserEvent::RoleGranted(RoleGranted { expires_at, ..granted(&format!("role{number}")) }));
        active().into_iter().chain(held).collect::<Vec<_>>()
    };
    given(many(None)).when(UserCommand::GrantRole(grant("one-more"))).then_expect_error(UserError::TooManyGrants);
    let until = GrantRole { expires_at: Some(days_ahead(1)), ..grant("role1") };
    given(many(None)).when(UserCommand::GrantRole(until.clone())).then_expect_events(vec![grants(until)]);
    // What has expired takes no room.
    given(many(Some(now())))
        .when(UserCommand::GrantRole(grant("one-more")))
        .then_expect_events(vec![grants(grant("one-more"))]);
}
