//! Given events, when a command, then events or a refusal.
#![allow(clippy::unwrap_used, reason = "tests")]

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::*;
use crate::refusal::Refusal;
use crate::testing::{assert_state_survives_storing, fold, line, short};

fn created() -> OrganizationEvent {
    OrganizationEvent::Created(Created { name: line("Acme"), tier: short("free") })
}

fn create(name: &str, tier: &str) -> OrganizationCommand {
    OrganizationCommand::Create { name: line(name), tier: short(tier) }
}

fn rename(name: &str) -> OrganizationCommand {
    OrganizationCommand::Rename { name: line(name) }
}

fn renamed(from: &str, to: &str) -> OrganizationEvent {
    OrganizationEvent::Renamed(Renamed { from: line(from), to: line(to) })
}

fn given(events: Vec<OrganizationEvent>) -> AggregateTestExecutor<Organization> {
    TestFramework::<Organization>::with(()).given(events)
}

fn hours(hours: u32) -> SessionHours {
    SessionHours::parse("", hours).unwrap()
}

#[test]
fn an_organization_comes_into_being_with_default_settings() {
    given(vec![]).when(create("Acme", "free")).then_expect_events(vec![created()]);
    let organization: Organization = fold(vec![created()]);
    assert!(organization.exists());
    assert_eq!((organization.name(), organization.tier()), (Some(&line("Acme")), Some(&short("free"))));
    assert_eq!(organization.settings(), OrganizationSettings::default());
    assert!(!organization.settings().open_registration, "nobody registers unasked unless it is said");
}

#[test]
fn a_repeated_creation_is_held_against_the_first_content() {
    let after = vec![created(), renamed("Acme", "Apex")];
    given(after.clone()).when(create("Acme", "free")).then_expect_events(vec![]);
    given(after)
        .when(create("Apex", "large"))
        .then_expect_error(OrganizationError::Exists { fields: vec!["name", "tier"] });
}

#[test]
fn nothing_can_be_asked_of_an_organization_that_is_not_there() {
    given(vec![]).when(rename("Apex")).then_expect_error(OrganizationError::NotFound);
    given(vec![])
        .when(OrganizationCommand::ChangeSettings(SettingsPatch::default()))
        .then_expect_error(OrganizationError::not_found());
}

#[test]
fn a_new_name_stands_beside_the_old_one() {
    given(vec![created()]).when(rename("Apex")).then_expect_events(vec![renamed("Acme", "Apex")]);
    given(vec![created(), renamed("Acme", "Apex")]).when(rename("Apex")).then_expect_events(vec![]);
}

#[test]
fn only_settings_that_get_another_value_are_recorded() {
    let patch = SettingsPatch {
        open_registration: Some(true),
        require_second_factor: Some(false),
        session_hours: Some(hours(12)),
    };
    let changed = OrganizationEvent::SettingsChanged(SettingsChanged {
        changes: vec![
            SettingChange::OpenRegistration { old: false, new: true },
            SettingChange::SessionHours { old: hours(168), new: hours(12) },
        ],
    });
    given(vec![created()]).when(OrganizationCommand::ChangeSettings(patch)).then_expect_events(vec![changed.clone()]);
    given(vec![created(), changed.clone()]).when(OrganizationCommand::ChangeSettings(patch)).then_expect_events(vec![]);
    let organization: Organization = fold(vec![created(), changed]);
    assert_eq!(
        organization.settings(),
        OrganizationSettings { open_registration: true, require_second_factor: false, session_hours: hours(12) }
    );
    assert_state_survives_storing(&organization);
}

#[test]
fn a_session_lasts_from_an_hour_to_ninety_days() {
    for accepted in [1, MAX_SESSION_HOURS] {
        assert_eq!(hours(accepted).get(), accepted);
    }
    for refused in [0, MAX_SESSION_HOURS + 1] {
        assert_eq!(SessionHours::parse("/session_hours", refused).unwrap_err().pointer, "/session_hours");
        assert!(serde_json::from_str::<SessionHours>(&refused.to_string()).is_err());
    }
}

#[test]
fn events_that_cannot_belong_here_change_nothing() {
    assert_eq!(fold::<Organization>(vec![renamed("Acme", "Apex")]), Organization::default());
    let twice = OrganizationEvent::Created(Created { name: line("Other"), tier: short("large") });
    assert_eq!(fold::<Organization>(vec![created(), twice]), fold::<Organization>(vec![created()]));
}
