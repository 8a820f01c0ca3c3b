//! How somebody comes to have an account, and which role comes with it.

use super::*;

fn comes_with(origin: Origin, grant: RoleGranted) -> Vec<UserEvent> {
    vec![registered(origin), UserEvent::RoleGranted(grant)]
}

#[test]
fn the_role_follows_from_how_somebody_came() {
    for (origin, name) in [(Origin::Registration, "viewer"), (Origin::Oidc, "viewer"), (Origin::OwnerLink, "owner")] {
        given(vec![]).when(register(origin)).then_expect_events(comes_with(origin, granted(name)));
    }
    given(vec![]).when(register(Origin::Invitation)).then_expect_error(UserError::NotInvited);
}

#[test]
fn an_invitation_gives_the_role_that_it_names() {
    let terms = Invited {
        department_id: Some(department("dep_rates")),
        role_expires_at: Some(days_ahead(30)),
        ..invitation("auditor")
    };
    given(vec![]).when(invite(terms.clone())).then_expect_events(vec![UserEvent::Invited(terms.clone())]);
    let expected = RoleGranted {
        department_id: Some(department("dep_rates")),
        expires_at: Some(days_ahead(30)),
        ..granted("auditor")
    };
    for origin in [Origin::Invitation, Origin::Oidc] {
        given(vec![UserEvent::Invited(terms.clone())])
            .when(register(origin))
            .then_expect_events(comes_with(origin, expected.clone()));
    }
}

#[test]
fn whoever_only_knows_the_address_does_not_get_the_role_of_an_invitation() {
    for origin in [Origin::Registration, Origin::OwnerLink] {
        given(invited()).when(register(origin)).then_expect_error(UserError::InvitationRequired);
    }
}

#[test]
fn an_invitation_holds_until_it_expires() {
    let before = Timestamp::from_micros(days_ahead(7).micros() - 1).unwrap();
    given(invited())
        .when(register_at(Origin::Invitation, before))
        .then_expect_events(comes_with(Origin::Invitation, granted("analyst")));
    given(invited())
        .when(register_at(Origin::Invitation, days_ahead(7)))
        .then_expect_error(UserError::InvitationExpired);
    let short_role = Invited { role_expires_at: Some(days_ahead(2)), ..invitation("analyst") };
    given(vec![UserEvent::Invited(short_role)])
        .when(register_at(Origin::Invitation, days_ahead(2)))
        .then_expect_error(UserError::InvitationExpired);
}

#[test]
fn an_invitation_may_be_made_anew_until_it_is_used() {
    let other = Invited { expires_at: days_ahead(20), ..invitation("compliance") };
    given(invited()).when(invite(other.clone())).then_expect_events(vec![UserEvent::Invited(other.clone())]);
    given(then(invited(), UserEvent::Invited(other)))
        .when(register_at(Origin::Invitation, days_ahead(10)))
        .then_expect_events(comes_with(Origin::Invitation, granted("compliance")));
    given(active()).when(invite(invitation("admin"))).then_expect_error(UserError::AlreadyRegistered);
}

#[test]
fn the_terms_of_an_invitation_are_those_of_a_grant() {
    for (terms, refusal) in [
        (Invited { expires_at: now(), ..invitation("viewer") }, UserError::ExpiryNotInFuture),
        (Invited { role_expires_at: Some(now()), ..invitation("viewer") }, UserError::ExpiryNotInFuture),
        (invitation("auditor"), UserError::AuditorNeedsExpiry),
        (invitation("operator"), UserError::RoleNotGrantable { role: role("operator") }),
        (
            Invited { department_id: Some(department("dep_rates")), ..invitation("owner") },
            UserError::OwnerWithinDepartment,
        ),
        (Invited { role_expires_at: Some(days_ahead(1)), ..invitation("owner") }, UserError::OwnerExpires),
    ] {
        given(vec![]).when(invite(terms)).then_expect_error(refusal);
    }
}

#[test]
fn somebody_registers_once() {
    for &origin in Origin::ALL {
        given(active()).when(register(origin)).then_expect_error(UserError::AlreadyRegistered);
    }
}

#[test]
fn somebody_who_has_not_registered_can_only_be_invited_or_kept_out() {
    for command in every_command() {
        match command {
            UserCommand::Invite(_)
            | UserCommand::Register(_)
            | UserCommand::Deactivate { .. }
            | UserCommand::Erase { .. } => {}
            command => given(invited()).when(command).then_expect_error(UserError::NotRegistered),
        }
    }
}

#[test]
fn an_invitation_that_was_withdrawn_is_none_until_it_is_given_back() {
    let withdrawn = then(invited(), deactivated());
    given(invited()).when(deactivate("usr_2")).then_expect_events(vec![deactivated()]);
    given(withdrawn.clone()).when(register(Origin::Invitation)).then_expect_error(UserError::Deactivated);
    given(withdrawn.clone()).when(change_profile(new_name())).then_expect_error(UserError::NotRegistered);
    let back = UserEvent::Reactivated(Reactivated::default());
    let user: User = fold(then(withdrawn, back));
    assert_eq!(user.status(), Some(UserStatus::Invited));
    assert_state_survives_storing(&user);
}
