//! Given events, when a command, then events or a refusal; and properties over random sequences of commands.
#![allow(clippy::unwrap_used, reason = "tests")]

mod joining;
mod properties;
mod roles;

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::*;
use crate::patch::Patch;
use crate::personal::Personal;
use crate::testing::{
    actor, assert_state_survives_storing, days_ahead, department, fold, microseconds_ahead, now, reason, role, sealed,
    short, stream,
};
use crate::text::StreamId;

/// The user that everything here is about.
const ID: &str = "usr_1";

fn erasure() -> ErasureId {
    ErasureId::parse("", "era_1").unwrap()
}

fn invitation(role_name: &str) -> Invited {
    Invited {
        email: sealed(ID),
        role: role(role_name),
        department_id: None,
        expires_at: days_ahead(7),
        role_expires_at: None,
    }
}

fn invite(invitation: Invited) -> UserCommand {
    UserCommand::Invite(Box::new(Invite { invitation, at: now() }))
}

fn register(origin: Origin) -> UserCommand {
    register_at(origin, now())
}

fn register_at(origin: Origin, at: Timestamp) -> UserCommand {
    UserCommand::Register(Box::new(Register { email: sealed(ID), full_name: sealed(ID), origin, at }))
}

fn registered(origin: Origin) -> UserEvent {
    UserEvent::Registered(Registered { email: sealed(ID), full_name: sealed(ID), origin })
}

fn granted(name: &str) -> RoleGranted {
    RoleGranted { role: role(name), department_id: None, expires_at: None, reason: None }
}

fn deactivated() -> UserEvent {
    UserEvent::Deactivated(Deactivated::default())
}

fn erased() -> UserEvent {
    UserEvent::Erased(Erased { erasure_id: erasure() })
}

/// An account that came by open registration.
fn active() -> Vec<UserEvent> {
    vec![registered(Origin::Registration), UserEvent::RoleGranted(granted("viewer"))]
}

fn invited() -> Vec<UserEvent> {
    vec![UserEvent::Invited(invitation("analyst"))]
}

/// `events` and one more.
fn then(mut events: Vec<UserEvent>, event: UserEvent) -> Vec<UserEvent> {
    events.push(event);
    events
}

fn given(events: Vec<UserEvent>) -> AggregateTestExecutor<User> {
    TestFramework::<User>::with(()).given(events)
}

fn grant(name: &str) -> GrantRole {
    GrantRole { role: role(name), department_id: None, expires_at: None, reason: None, at: now() }
}

fn deactivate(by: &str) -> UserCommand {
    UserCommand::Deactivate { by: actor(by), reason: None }
}

fn factor(kind: SecondFactorKind, id: &str) -> SecondFactorEnabled {
    SecondFactorEnabled { kind, factor_id: stream(id), label: None }
}

fn enable(factor: SecondFactorEnabled) -> UserCommand {
    UserCommand::EnableSecondFactor(Box::new(factor))
}

fn remove(factor_id: StreamId) -> UserCommand {
    UserCommand::RemoveSecondFactor { factor_id, by: SecondFactorRemovedBy::OneSelf }
}

fn change_profile(change: ProfileChanged) -> UserCommand {
    UserCommand::ChangeProfile(Box::new(change))
}

fn new_name() -> ProfileChanged {
    ProfileChanged { full_name: Some(sealed(ID)), ..ProfileChanged::default() }
}

fn same_person(person: &str) -> UserCommand {
    UserCommand::DeclareSamePerson { person: actor(person), by: actor("usr_2"), reason: reason("Two contracts") }
}

/// One of every command that is given to an account.
fn every_command() -> Vec<UserCommand> {
    vec![
        invite(invitation("analyst")),
        register(Origin::Invitation),
        register(Origin::Registration),
        change_profile(new_name()),
        UserCommand::RecordPasswordChange { by: PasswordChangedBy::Reset },
        UserCommand::RecordPasswordResetRequest,
        UserCommand::GrantRole(grant("analyst")),
        UserCommand::RevokeRole { role: role("viewer"), department_id: None, reason: None },
        deactivate("usr_2"),
        UserCommand::Reactivate { reason: None },
        enable(factor(SecondFactorKind::Totp, "fac_1")),
        remove(stream("fac_1")),
        UserCommand::LinkIdentity { provider: short("corporate") },
        same_person("usr_9"),
        UserCommand::Erase { erasure_id: ErasureId::parse("", "era_2").unwrap() },
    ]
}

#[test]
fn nothing_can_be_asked_of_a_user_that_is_not_there() {
    for command in every_command() {
        match command {
            UserCommand::Invite(_) | UserCommand::Register(_) => {}
            command => given(vec![]).when(command).then_expect_error(UserError::NotFound),
        }
    }
}

#[test]
fn an_erased_user_can_do_and_be_given_nothing() {
    for before in [active(), invited(), then(active(), deactivated())] {
        let after = then(before.clone(), erased());
        given(before).when(UserCommand::Erase { erasure_id: erasure() }).then_expect_events(vec![erased()]);
        for command in every_command() {
            given(after.clone()).when(command).then_expect_error(UserError::Erased);
        }
        given(after.clone()).when(UserCommand::Erase { erasure_id: erasure() }).then_expect_events(vec![]);
        let user: User = fold(after);
        assert_eq!(user.status(), Some(UserStatus::Erased));
        assert!(user.grants().is_empty() && user.second_factors().is_empty() && user.invitation().is_none());
    }
}

#[test]
fn a_deactivated_user_is_kept_out_and_given_nothing() {
    let after = then(active(), deactivated());
    for command in [
        UserCommand::GrantRole(grant("analyst")),
        UserCommand::RecordPasswordChange { by: PasswordChangedBy::OneSelf },
        UserCommand::RecordPasswordResetRequest,
        enable(factor(SecondFactorKind::Passkey, "fac_1")),
        UserCommand::LinkIdentity { provider: short("corporate") },
        register(Origin::Registration),
        invite(invitation("admin")),
    ] {
        given(after.clone()).when(command).then_expect_error(UserError::Deactivated);
    }
    given(after.clone()).when(deactivate("usr_2")).then_expect_error(UserError::AlreadyDeactivated);
    // What was wrong about the person can be set right, and what the person has can be taken.
    given(after.clone())
        .when(change_profile(new_name()))
        .then_expect_events(vec![UserEvent::ProfileChanged(new_name())]);
    let revoked = RoleRevoked { role: role("viewer"), department_id: None, reason: None };
    given(after)
        .when(UserCommand::RevokeRole { role: role("viewer"), department_id: None, reason: None })
        .then_expect_events(vec![UserEvent::RoleRevoked(revoked)]);
}

#[test]
fn a_user_is_deactivated_and_reactivated_with_everything_that_was_there() {
    let reactivated = UserEvent::Reactivated(Reactivated { reason: Some(reason("Came back")) });
    given(active()).when(deactivate("usr_2")).then_expect_events(vec![deactivated()]);
    given(then(active(), deactivated()))
        .when(UserCommand::Reactivate { reason: Some(reason("Came back")) })
        .then_expect_events(vec![reactivated.clone()]);
    given(active()).when(UserCommand::Reactivate { reason: None }).then_expect_error(UserError::AlreadyActive);
    let back: User = fold(then(then(active(), deactivated()), reactivated));
    assert_eq!(back, fold(active()));
}

#[test]
fn nobody_deactivates_himself() {
    given(active()).when(deactivate(ID)).then_expect_error(UserError::SelfDeactivation);
}

#[test]
fn sealed_values_are_all_about_the_same_person() {
    let other = sealed("usr_2");
    let commands = [
        change_profile(ProfileChanged { email: Some(other.clone()), ..ProfileChanged::default() }),
        change_profile(ProfileChanged { about: Patch::Set(other.clone()), ..new_name() }),
        change_profile(ProfileChanged { picture_url: Patch::Set(other.clone()), ..ProfileChanged::default() }),
        enable(SecondFactorEnabled { label: Some(other.clone()), ..factor(SecondFactorKind::Passkey, "fac_1") }),
    ];
    for command in commands {
        given(active()).when(command).then_expect_error(UserError::OtherSubject);
    }
    given(invited())
        .when(invite(Invited { email: other.clone(), ..invitation("analyst") }))
        .then_expect_error(UserError::OtherSubject);
    let two_people = |email: Personal, full_name| {
        UserCommand::Register(Box::new(Register { email, full_name, origin: Origin::Registration, at: now() }))
    };
    given(vec![]).when(two_people(sealed(ID), other.clone())).then_expect_error(UserError::OtherSubject);
    given(invited()).when(two_people(other.clone(), other)).then_expect_error(UserError::OtherSubject);
}

#[test]
fn a_profile_change_says_what_is_another_now() {
    given(active()).when(change_profile(ProfileChanged::default())).then_expect_events(vec![]);
    let change = ProfileChanged { about: Patch::Clear, picture_url: Patch::Set(sealed(ID)), ..new_name() };
    assert_eq!(change.fields(), ["full_name", "about", "picture_url"]);
    given(active()).when(change_profile(change.clone())).then_expect_events(vec![UserEvent::ProfileChanged(change)]);
}

#[test]
fn what_happens_to_a_password_is_a_fact_without_the_password() {
    for &by in PasswordChangedBy::ALL {
        given(active())
            .when(UserCommand::RecordPasswordChange { by })
            .then_expect_events(vec![UserEvent::PasswordChanged(PasswordChanged { by })]);
    }
    given(active())
        .when(UserCommand::RecordPasswordResetRequest)
        .then_expect_events(vec![UserEvent::PasswordResetRequested(PasswordResetRequested {})]);
}

#[test]
fn second_factors_come_and_go() {
    let (totp, key) = (factor(SecondFactorKind::Totp, "fac_1"), factor(SecondFactorKind::Passkey, "fac_2"));
    let one = then(active(), UserEvent::SecondFactorEnabled(totp.clone()));
    given(active()).when(enable(totp.clone())).then_expect_events(vec![UserEvent::SecondFactorEnabled(totp)]);
    given(one.clone()).when(enable(key.clone())).then_expect_events(vec![UserEvent::SecondFactorEnabled(key.clone())]);
    // Of secrets there is one; of keys one each.
    given(one.clone())
        .when(enable(factor(SecondFactorKind::Totp, "fac_3")))
        .then_expect_error(UserError::SecondFactorExists);
    given(then(one.clone(), UserEvent::SecondFactorEnabled(key.clone())))
        .when(enable(key))
        .then_expect_error(UserError::SecondFactorExists);
    let removed = UserEvent::SecondFactorRemoved(SecondFactorRemoved {
        kind: SecondFactorKind::Totp,
        factor_id: stream("fac_1"),
        by: SecondFactorRemovedBy::OneSelf,
    });
    given(one.clone()).when(remove(stream("fac_1"))).then_expect_events(vec![removed.clone()]);
    given(then(one, removed))
        .when(remove(stream("fac_1")))
        .then_expect_error(UserError::SecondFactorNotFound { factor_id: stream("fac_1") });
}

#[test]
fn second_factors_and_identities_are_bounded() {
    let keys = (0..MAX_SECOND_FACTORS)
        .map(|number| UserEvent::SecondFactorEnabled(factor(SecondFactorKind::Passkey, &format!("fac_{number}"))));
    given(active().into_iter().chain(keys).collect())
        .when(enable(factor(SecondFactorKind::Passkey, "fac_more")))
        .then_expect_error(UserError::TooManySecondFactors);
    let linked = |name: &str| UserEvent::IdentityLinked(IdentityLinked { provider: short(name) });
    let link = |name: &str| UserCommand::LinkIdentity { provider: short(name) };
    given(active()).when(link("corporate")).then_expect_events(vec![linked("corporate")]);
    given(then(active(), linked("corporate"))).when(link("corporate")).then_expect_events(vec![]);
    let identities = (0..MAX_LINKED_IDENTITIES).map(|number| linked(&format!("provider{number}")));
    given(active().into_iter().chain(identities).collect())
        .when(link("one-more"))
        .then_expect_error(UserError::TooManyLinkedIdentities);
}

#[test]
fn an_account_is_declared_to_be_the_same_person_once_and_for_all() {
    let declared = UserEvent::SamePersonDeclared(SamePersonDeclared {
        person: actor("usr_9"),
        by: actor("usr_2"),
        reason: reason("Two contracts"),
    });
    given(active()).when(same_person("usr_9")).then_expect_events(vec![declared.clone()]);
    given(active()).when(same_person(ID)).then_expect_error(UserError::SamePersonAsItself);
    given(invited()).when(same_person("usr_9")).then_expect_error(UserError::NotRegistered);
    let after = then(active(), declared);
    given(after.clone()).when(same_person("usr_9")).then_expect_events(vec![]);
    given(after.clone())
        .when(same_person("usr_8"))
        .then_expect_error(UserError::SamePersonDeclared { person: actor("usr_9") });
    // Neither being kept out nor an erasure makes it somebody else's.
    for end in [deactivated(), erased()] {
        let user: User = fold(then(after.clone(), end));
        assert_eq!(user.same_person(), Some(&actor("usr_9")));
        assert_state_survives_storing(&user);
    }
}

#[test]
fn events_that_cannot_belong_here_change_nothing() {
    let strays = [deactivated(), erased(), UserEvent::RoleGranted(granted("owner"))];
    assert_eq!(fold::<User>(strays.to_vec()), User::default());
    let again = then(active(), UserEvent::Invited(invitation("owner")));
    assert_eq!(fold::<User>(again), fold::<User>(active()));
    let after_erasure = then(then(active(), erased()), UserEvent::RoleGranted(granted("owner")));
    assert_eq!(fold::<User>(after_erasure), fold::<User>(then(active(), erased())));
}
