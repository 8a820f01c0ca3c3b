//! Given events, when a command, then events or a refusal.

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::*;
use crate::testing::{
    actor, assert_state_survives_storing, days_ahead, description, fold, line, microseconds_ahead, now, permission,
};

fn content() -> Created {
    Created {
        name: line("Settlement feed"),
        description: None,
        scopes: [permission("read"), permission("transaction:create")].into(),
        expires_at: Some(days_ahead(90)),
        created_by: actor("usr_1"),
    }
}

fn create(content: Created) -> ApiKeyCommand {
    ApiKeyCommand::Create { content: Box::new(content), at: now() }
}

fn change(patch: ApiKeyPatch, at: Timestamp) -> ApiKeyCommand {
    ApiKeyCommand::Change { patch: Box::new(patch), at }
}

fn rotate(old_valid_until: Timestamp, at: Timestamp) -> ApiKeyCommand {
    ApiKeyCommand::Rotate { old_valid_until, at }
}

fn created() -> ApiKeyEvent {
    ApiKeyEvent::Created(content())
}

fn revoked() -> ApiKeyEvent {
    ApiKeyEvent::Revoked(Revoked { reason: None })
}

fn given(events: Vec<ApiKeyEvent>) -> AggregateTestExecutor<ApiKey> {
    TestFramework::<ApiKey>::with(()).given(events)
}

fn scopes(count: usize) -> BTreeSet<PermissionName> {
    (0..count).map(|number| permission(&format!("thing{number}:read"))).collect()
}

#[test]
fn a_key_is_made_once() {
    given(vec![]).when(create(content())).then_expect_events(vec![created()]);
    given(vec![created()]).when(create(content())).then_expect_error(ApiKeyError::Exists);
    let without_end = Created { expires_at: None, ..content() };
    given(vec![]).when(create(without_end.clone())).then_expect_events(vec![ApiKeyEvent::Created(without_end)]);
}

#[test]
fn a_key_has_1_to_64_scopes() {
    for (count, accepted) in [(0, false), (1, true), (MAX_SCOPES, true), (MAX_SCOPES + 1, false)] {
        let content = Created { scopes: scopes(count), ..content() };
        let result = given(vec![]).when(create(content.clone()));
        if accepted {
            result.then_expect_events(vec![ApiKeyEvent::Created(content)]);
        } else {
            result.then_expect_error(ApiKeyError::Scopes);
        }
    }
}

#[test]
fn a_key_expires_in_the_future() {
    let soon = Created { expires_at: Some(microseconds_ahead(1)), ..content() };
    given(vec![]).when(create(soon.clone())).then_expect_events(vec![ApiKeyEvent::Created(soon)]);
    for expires_at in [now(), days_ahead(-1)] {
        given(vec![])
            .when(create(Created { expires_at: Some(expires_at), ..content() }))
            .then_expect_error(ApiKeyError::ExpiryNotInFuture);
        let patch = ApiKeyPatch { expires_at: Patch::Set(expires_at), ..ApiKeyPatch::default() };
        given(vec![created()]).when(change(patch, now())).then_expect_error(ApiKeyError::ExpiryNotInFuture);
    }
}

#[test]
fn only_fields_that_get_another_value_are_recorded() {
    let patch = ApiKeyPatch {
        name: Some(line("Settlement feed")),
        description: Patch::Set(description("Clearing.")),
        scopes: Some([permission("transaction:create")].into()),
        expires_at: Patch::Clear,
    };
    let changed = ApiKeyEvent::Changed(Changed {
        changes: vec![
            ApiKeyChange::Description { old: None, new: Some(description("Clearing.")) },
            ApiKeyChange::Scopes { old: content().scopes, new: [permission("transaction:create")].into() },
            ApiKeyChange::ExpiresAt { old: content().expires_at, new: None },
        ],
    });
    given(vec![created()]).when(change(patch.clone(), now())).then_expect_events(vec![changed.clone()]);
    given(vec![created(), changed.clone()]).when(change(patch, now())).then_expect_events(vec![]);
    let key: ApiKey = fold(vec![created(), changed]);
    assert!(key.is_live_at(days_ahead(10_000)));
    assert_state_survives_storing(&key);
    let nothing = ApiKeyPatch { scopes: Some(BTreeSet::new()), ..ApiKeyPatch::default() };
    given(vec![created()]).when(change(nothing, now())).then_expect_error(ApiKeyError::Scopes);
}

#[test]
fn the_old_secret_goes_on_for_at_most_a_week() {
    let week = days_ahead(MAX_OVERLAP_DAYS);
    for old_valid_until in [now(), week] {
        given(vec![created()])
            .when(rotate(old_valid_until, now()))
            .then_expect_events(vec![ApiKeyEvent::Rotated(Rotated { old_valid_until })]);
    }
    for old_valid_until in [microseconds_ahead(-1), microseconds_ahead(MAX_OVERLAP_DAYS * 86_400_000_000 + 1)] {
        given(vec![created()]).when(rotate(old_valid_until, now())).then_expect_error(ApiKeyError::Overlap);
    }
}

#[test]
fn an_expired_key_does_not_come_back() {
    let end = days_ahead(90);
    assert!(!fold::<ApiKey>(vec![created()]).is_live_at(end), "at the time of expiry it opens nothing");
    assert!(fold::<ApiKey>(vec![created()]).is_live_at(Timestamp::from_micros(end.micros() - 1).unwrap_or(end)));
    given(vec![created()]).when(rotate(end, end)).then_expect_error(ApiKeyError::Expired);
    let prolong = ApiKeyPatch { expires_at: Patch::Clear, ..ApiKeyPatch::default() };
    given(vec![created()]).when(change(prolong, end)).then_expect_error(ApiKeyError::Expired);
    given(vec![created()]).when(ApiKeyCommand::Revoke { reason: None }).then_expect_events(vec![revoked()]);
}

#[test]
fn a_revoked_key_opens_nothing_and_stays_so() {
    let after = vec![created(), revoked()];
    let key: ApiKey = fold(after.clone());
    assert!(key.is_revoked() && !key.is_live_at(now()));
    given(after.clone()).when(ApiKeyCommand::Revoke { reason: None }).then_expect_events(vec![]);
    given(after.clone()).when(rotate(now(), now())).then_expect_error(ApiKeyError::Revoked);
    given(after.clone()).when(change(ApiKeyPatch::default(), now())).then_expect_error(ApiKeyError::Revoked);
    given(after).when(create(content())).then_expect_error(ApiKeyError::Exists);
}

#[test]
fn nothing_can_be_asked_of_a_key_that_is_not_there() {
    for command in [ApiKeyCommand::Revoke { reason: None }, rotate(now(), now()), change(ApiKeyPatch::default(), now())]
    {
        given(vec![]).when(command).then_expect_error(ApiKeyError::NotFound);
    }
    assert_eq!(fold::<ApiKey>(vec![revoked()]), ApiKey::default());
}
