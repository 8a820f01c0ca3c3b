//! Given events, when a command, then events or a refusal.
#![allow(clippy::unwrap_used, reason = "tests")]

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::*;
use crate::names::{ApprovalId, ErasureId, HoldId};
use crate::testing::{actor, assert_state_survives_storing, days_ahead, fold, now, reason, subject};

fn request() -> Requested {
    Requested {
        erasure_id: ErasureId::parse("", "era_1").unwrap(),
        subject: subject("usr_1"),
        reason: reason("Asked for it"),
        requested_by: actor("usr_asks"),
    }
}

fn requested() -> ErasureEvent {
    ErasureEvent::Requested(request())
}

fn approval() -> ApprovalId {
    ApprovalId::parse("", "apr_1").unwrap()
}

fn approved() -> ErasureEvent {
    ErasureEvent::Approved(Approved { approved_by: actor("usr_agrees"), reason: None, approval_id: Some(approval()) })
}

fn rejected() -> ErasureEvent {
    ErasureEvent::Rejected(Rejected { rejected_by: actor("usr_agrees"), reason: reason("Must be kept") })
}

fn held_by(hold: &str) -> Refused {
    let holds = vec![HoldId::parse("", hold).unwrap()];
    Refused { holds, retained: Vec::new(), detail: reason("Covers it") }
}

fn refused(hold: &str) -> ErasureEvent {
    ErasureEvent::Refused(held_by(hold))
}

fn performed() -> ErasureEvent {
    ErasureEvent::Performed(Performed {
        subject: subject("usr_1"),
        approved_by: actor("usr_agrees"),
        key_destroyed_at: now(),
    })
}

fn approve(by: &str) -> ErasureCommand {
    ErasureCommand::Approve { by: actor(by), reason: None, approval_id: approval() }
}

fn reject(by: &str) -> ErasureCommand {
    ErasureCommand::Reject { by: actor(by), reason: reason("Must be kept") }
}

fn record_refusal(hold: &str) -> ErasureCommand {
    ErasureCommand::RecordRefusal(held_by(hold))
}

fn record_performed() -> ErasureCommand {
    ErasureCommand::RecordPerformed { key_destroyed_at: now() }
}

fn given(events: Vec<ErasureEvent>) -> AggregateTestExecutor<Erasure> {
    TestFramework::<Erasure>::with(()).given(events)
}

#[test]
fn an_erasure_is_requested_once() {
    given(vec![]).when(ErasureCommand::Request(Box::new(request()))).then_expect_events(vec![requested()]);
    given(vec![requested()]).when(ErasureCommand::Request(Box::new(request()))).then_expect_events(vec![]);
    let other = Requested { subject: subject("usr_2"), ..request() };
    given(vec![requested()])
        .when(ErasureCommand::Request(Box::new(other)))
        .then_expect_error(ErasureError::Exists { fields: vec!["subject"] });
}

#[test]
fn the_requester_decides_nothing() {
    given(vec![requested()]).when(approve("usr_asks")).then_expect_error(ErasureError::SelfApproval);
    given(vec![requested()]).when(reject("usr_asks")).then_expect_error(ErasureError::SelfApproval);
    given(vec![requested(), approved()]).when(reject("usr_asks")).then_expect_error(ErasureError::SelfApproval);
}

#[test]
fn somebody_else_approves_or_rejects_and_nobody_decides_again() {
    given(vec![requested()]).when(approve("usr_agrees")).then_expect_events(vec![approved()]);
    given(vec![requested()]).when(reject("usr_agrees")).then_expect_events(vec![rejected()]);
    for (events, status) in [
        (vec![requested(), approved()], ErasureStatus::Approved),
        (vec![requested(), rejected()], ErasureStatus::Rejected),
        (vec![requested(), approved(), refused("hld_1")], ErasureStatus::Refused),
        (vec![requested(), approved(), performed()], ErasureStatus::Performed),
    ] {
        for command in [approve("usr_third"), reject("usr_third")] {
            given(events.clone()).when(command).then_expect_error(ErasureError::AlreadyDecided { status });
        }
        assert_eq!(fold::<Erasure>(events).status(), Some(status));
    }
}

#[test]
fn nothing_is_performed_that_nobody_approved() {
    for (events, status) in
        [(vec![requested()], ErasureStatus::Requested), (vec![requested(), rejected()], ErasureStatus::Rejected)]
    {
        for command in [record_performed(), record_refusal("hld_1")] {
            given(events.clone()).when(command).then_expect_error(ErasureError::NotApproved { status });
        }
    }
}

#[test]
fn what_was_agreed_to_ends_where_it_is_not_the_same_any_more() {
    let end = || ErasureCommand::EndAgreed { by: actor("usr_agrees"), reason: reason("Must be kept") };
    for before in [vec![requested(), approved()], vec![requested(), approved(), refused("hld_1")]] {
        given(before.clone()).when(end()).then_expect_events(vec![rejected()]);
        let after: Vec<ErasureEvent> = before.into_iter().chain([rejected()]).collect();
        let status = ErasureStatus::Rejected;
        given(after).when(record_performed()).then_expect_error(ErasureError::NotApproved { status });
    }
    given(vec![requested()])
        .when(end())
        .then_expect_error(ErasureError::NotApproved { status: ErasureStatus::Requested });
    given(vec![requested(), approved(), performed()])
        .when(end())
        .then_expect_error(ErasureError::AlreadyDecided { status: ErasureStatus::Performed });
}

#[test]
fn an_approved_erasure_is_performed_once() {
    given(vec![requested(), approved()]).when(record_performed()).then_expect_events(vec![performed()]);
    let after = vec![requested(), approved(), performed()];
    let later = ErasureCommand::RecordPerformed { key_destroyed_at: days_ahead(1) };
    given(after.clone()).when(later).then_expect_events(vec![]);
    given(after)
        .when(record_refusal("hld_1"))
        .then_expect_error(ErasureError::AlreadyDecided { status: ErasureStatus::Performed });
}

#[test]
fn what_was_approved_before_there_were_approvals_is_performed_as_well() {
    let older: ErasureEvent =
        serde_json::from_str(r#"{"event_type":"erasure.approved","payload":{"approved_by":"usr_agrees"}}"#).unwrap();
    assert_eq!(fold::<Erasure>(vec![requested(), older.clone()]).approval_id(), None);
    given(vec![requested(), older]).when(record_performed()).then_expect_events(vec![performed()]);
}

#[test]
fn a_hold_stands_in_the_way_until_it_does_not() {
    let before = vec![requested(), approved()];
    given(before.clone()).when(record_refusal("hld_1")).then_expect_events(vec![refused("hld_1")]);
    let held = vec![requested(), approved(), refused("hld_1")];
    given(held.clone()).when(record_refusal("hld_1")).then_expect_events(vec![]);
    given(held.clone()).when(record_refusal("hld_2")).then_expect_events(vec![refused("hld_2")]);
    given(held.clone()).when(record_performed()).then_expect_events(vec![performed()]);
    let erasure: Erasure = fold(held);
    assert_eq!(erasure.last_refusal().unwrap().holds, [HoldId::parse("", "hld_1").unwrap()]);
    assert_eq!(erasure.approved_by(), Some(&actor("usr_agrees")));
    assert_eq!(erasure.approval_id(), Some(&approval()));
    assert_eq!(erasure.subject(), Some(&subject("usr_1")));
    assert_state_survives_storing(&erasure);
    for count in [0, MAX_HOLDS_NAMED + 1] {
        let holds = vec![HoldId::parse("", "hld_1").unwrap(); count];
        given(before.clone())
            .when(ErasureCommand::RecordRefusal(Refused { holds, ..held_by("hld_1") }))
            .then_expect_error(ErasureError::Holds);
    }
}

#[test]
fn records_that_keep_somebody_known_stand_in_the_way_without_a_hold() {
    let before = vec![requested(), approved()];
    let retained = Retained { record_type: RecordType::Transaction, years: 7, until: now() };
    let kept = Refused { holds: Vec::new(), retained: vec![retained], detail: reason("Kept") };
    let command = ErasureCommand::RecordRefusal(kept.clone());
    let refused = ErasureEvent::Refused(kept.clone());
    given(before.clone()).when(command.clone()).then_expect_events(vec![refused.clone()]);
    let after = [before, vec![refused]].concat();
    given(after.clone()).when(command).then_expect_events(vec![]);
    // Until then has come.
    given(after.clone()).when(record_performed()).then_expect_events(vec![performed()]);
    assert_state_survives_storing(&fold::<Erasure>(after.clone()));
    let too_many = Refused { retained: vec![retained; RecordType::ALL.len() + 1], ..kept };
    given(after).when(ErasureCommand::RecordRefusal(too_many)).then_expect_error(ErasureError::Holds);
}

#[test]
fn nothing_can_be_asked_of_an_erasure_that_is_not_there() {
    for command in [approve("usr_agrees"), reject("usr_agrees"), record_performed(), record_refusal("hld_1")] {
        given(vec![]).when(command).then_expect_error(ErasureError::NotFound);
    }
    assert_eq!(fold::<Erasure>(vec![approved(), performed()]), Erasure::default());
}
