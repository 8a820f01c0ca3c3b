//! Given events, when a command, then events or a refusal.
#![allow(clippy::unwrap_used, reason = "tests")]

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::*;
use crate::approval::KnownAction;
use crate::testing::{actor, assert_state_survives_storing, days_ahead, fold};

fn content() -> Given {
    Given {
        delegation_id: DelegationId::parse("", "dlg_1").unwrap(),
        from: actor("usr_away"),
        to: actor("usr_here"),
        starts_at: days_ahead(1),
        ends_at: days_ahead(10),
        actions: Vec::new(),
        reason: None,
        by: actor("usr_away"),
    }
}

fn give(given: Given) -> DelegationCommand {
    DelegationCommand::Give(Box::new(given))
}

fn was_given() -> DelegationEvent {
    DelegationEvent::Given(content())
}

fn accept(by: &str, days: i64) -> DelegationCommand {
    DelegationCommand::Accept { by: actor(by), at: days_ahead(days) }
}

fn accepted(days: i64) -> DelegationEvent {
    DelegationEvent::Accepted(Accepted { by: actor("usr_here"), at: days_ahead(days) })
}

fn end(days: i64) -> DelegationCommand {
    DelegationCommand::End { by: actor("usr_away"), at: days_ahead(days) }
}

fn ended(days: i64) -> DelegationEvent {
    DelegationEvent::Ended(Ended { by: actor("usr_away"), at: days_ahead(days) })
}

fn given(events: Vec<DelegationEvent>) -> AggregateTestExecutor<Delegation> {
    TestFramework::<Delegation>::with(()).given(events)
}

#[test]
fn a_delegation_is_given_once_from_one_to_another() {
    given(vec![]).when(give(content())).then_expect_events(vec![was_given()]);
    given(vec![was_given()]).when(give(content())).then_expect_events(vec![]);
    let other = Given { to: actor("usr_3"), ..content() };
    given(vec![was_given()]).when(give(other)).then_expect_error(DelegationError::Exists { fields: vec!["to"] });
    let to_one_self = Given { to: actor("usr_away"), ..content() };
    given(vec![]).when(give(to_one_self)).then_expect_error(DelegationError::ToOneSelf);
}

#[test]
fn a_delegation_has_an_end_within_a_year() {
    for (starts, ends) in [(1, 1), (2, 1), (1, 368)] {
        let period = Given { starts_at: days_ahead(starts), ends_at: days_ahead(ends), ..content() };
        given(vec![]).when(give(period)).then_expect_error(DelegationError::Period);
    }
    let longest = Given { ends_at: days_ahead(367), ..content() };
    given(vec![]).when(give(longest.clone())).then_expect_events(vec![DelegationEvent::Given(longest)]);
}

#[test]
fn a_delegation_is_for_all_actions_or_for_those_it_names() {
    let triage = ActionType::from(KnownAction::AgentTriage);
    let exports = ActionType::from(KnownAction::ExportUsers);
    assert!(fold::<Delegation>(vec![was_given()]).covers(&triage));
    let named = Given { actions: vec![triage.clone()], ..content() };
    let delegation: Delegation = fold(vec![DelegationEvent::Given(named)]);
    assert!(delegation.covers(&triage) && !delegation.covers(&exports));
    assert!(!Delegation::default().covers(&triage));
    let too_many = Given { actions: vec![triage; MAX_ACTIONS + 1], ..content() };
    given(vec![]).when(give(too_many)).then_expect_error(DelegationError::TooManyActions);
}

#[test]
fn a_delegation_is_ended_once_before_its_time() {
    given(vec![was_given()]).when(end(5)).then_expect_events(vec![ended(5)]);
    given(vec![was_given()]).when(end(10)).then_expect_error(DelegationError::Over);
    given(vec![was_given(), ended(5)]).when(end(6)).then_expect_error(DelegationError::Over);
    given(vec![]).when(end(1)).then_expect_error(DelegationError::NotFound);
    assert_eq!(fold::<Delegation>(vec![ended(1)]), Delegation::default());
}

#[test]
fn a_delegation_holds_from_its_start_until_its_end() {
    let whole: Delegation = fold(vec![was_given(), accepted(0)]);
    let holds =
        |delegation: &Delegation| (0..12).filter(|day| delegation.holds_at(days_ahead(*day))).collect::<Vec<i64>>();
    assert_eq!(holds(&whole), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let late: Delegation = fold(vec![was_given(), accepted(8)]);
    assert_eq!(holds(&late), [8, 9]);
    assert!(!late.held_between(days_ahead(0), days_ahead(7)) && late.held_between(days_ahead(0), days_ahead(8)));
    let cut: Delegation = fold(vec![was_given(), accepted(0), ended(3)]);
    assert_eq!(holds(&cut), [1, 2]);
    // Ended before it began, it never held.
    let never: Delegation = fold(vec![was_given(), accepted(0), ended(0)]);
    assert!(holds(&never).is_empty() && !never.held_between(days_ahead(0), days_ahead(11)));
    assert_state_survives_storing(&cut);
    let between = |from, until| cut.held_between(days_ahead(from), days_ahead(until));
    assert!(between(0, 1) && between(2, 9) && between(0, 9));
    assert!(!between(0, 0) && !between(3, 9));
}

#[test]
fn a_delegation_has_no_effect_until_whoever_stands_in_accepts_it() {
    let given_only: Delegation = fold(vec![was_given()]);
    assert!((0..12).all(|day| !given_only.holds_at(days_ahead(day))));
    assert!(!given_only.held_between(days_ahead(0), days_ahead(11)) && given_only.period().is_none());
    given(vec![was_given()]).when(accept("usr_here", 2)).then_expect_events(vec![accepted(2)]);
    given(vec![was_given(), accepted(2)]).when(accept("usr_here", 3)).then_expect_events(vec![]);
    let taken: Delegation = fold(vec![was_given(), accepted(2)]);
    assert_eq!(taken.accepted_at(), Some(days_ahead(2)));
    assert_state_survives_storing(&taken);
}

#[test]
fn nobody_else_accepts_a_delegation_and_nobody_one_that_is_over() {
    for by in ["usr_away", "usr_3"] {
        given(vec![was_given()]).when(accept(by, 2)).then_expect_error(DelegationError::NotTheDelegate);
    }
    given(vec![was_given()]).when(accept("usr_here", 10)).then_expect_error(DelegationError::Over);
    given(vec![was_given(), ended(1)]).when(accept("usr_here", 2)).then_expect_error(DelegationError::Over);
    given(vec![]).when(accept("usr_here", 1)).then_expect_error(DelegationError::NotFound);
    assert_eq!(fold::<Delegation>(vec![accepted(1)]), Delegation::default());
}
