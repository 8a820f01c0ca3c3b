//! Given events, when a command, then events or a refusal.
#![allow(clippy::unwrap_used, reason = "tests")]

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::*;
use crate::testing::{assert_state_survives_storing, fold, line, reason, short, stream, subject};

fn ada() -> Covered {
    Covered::Subject { id: subject("usr_1") }
}

fn transaction(number: usize) -> Covered {
    Covered::Stream { stream_type: short("transaction"), stream_id: stream(&format!("tx-{number}")) }
}

fn transactions(count: usize) -> Vec<Covered> {
    (0..count).map(transaction).collect()
}

fn content(covers: Vec<Covered>) -> Placed {
    Placed {
        hold_id: HoldId::parse("", "hld_1").unwrap(),
        matter: line("2026-114"),
        reason: reason("Litigation is expected"),
        covers,
    }
}

fn place(covers: Vec<Covered>) -> LegalHoldCommand {
    LegalHoldCommand::Place(Box::new(content(covers)))
}

fn placed(covers: Vec<Covered>) -> LegalHoldEvent {
    LegalHoldEvent::Placed(content(covers))
}

fn extended(covers: Vec<Covered>) -> LegalHoldEvent {
    LegalHoldEvent::Extended(Extended { covers })
}

fn extend(covers: Vec<Covered>) -> LegalHoldCommand {
    LegalHoldCommand::Extend { covers }
}

fn release() -> LegalHoldCommand {
    LegalHoldCommand::Release { reason: reason("The matter is closed") }
}

fn released() -> LegalHoldEvent {
    LegalHoldEvent::Released(Released { reason: reason("The matter is closed") })
}

fn given(events: Vec<LegalHoldEvent>) -> AggregateTestExecutor<LegalHold> {
    TestFramework::<LegalHold>::with(()).given(events)
}

#[test]
fn a_hold_is_placed_once_and_covers_each_thing_once() {
    given(vec![])
        .when(place(vec![ada(), transaction(1), ada()]))
        .then_expect_events(vec![placed(vec![ada(), transaction(1)])]);
    given(vec![placed(vec![ada()])]).when(place(vec![ada()])).then_expect_events(vec![]);
    given(vec![placed(vec![ada()])])
        .when(place(vec![transaction(1)]))
        .then_expect_error(LegalHoldError::Exists { fields: vec!["covers"] });
}

#[test]
fn a_hold_covers_1_to_100_things() {
    given(vec![]).when(place(vec![])).then_expect_error(LegalHoldError::CoversNothing);
    let most = transactions(MAX_COVERED);
    given(vec![]).when(place(most.clone())).then_expect_events(vec![placed(most.clone())]);
    given(vec![]).when(place(transactions(MAX_COVERED + 1))).then_expect_error(LegalHoldError::CoversTooMuch);
    given(vec![placed(most.clone())]).when(extend(vec![ada()])).then_expect_error(LegalHoldError::CoversTooMuch);
    given(vec![placed(most)]).when(extend(vec![transaction(7)])).then_expect_events(vec![]);
}

#[test]
fn a_hold_is_extended_by_what_it_does_not_cover_yet() {
    let before = vec![placed(vec![ada()]), extended(vec![transaction(1)])];
    given(before.clone())
        .when(extend(vec![transaction(1), transaction(2), ada()]))
        .then_expect_events(vec![extended(vec![transaction(2)])]);
    given(before.clone()).when(extend(vec![ada(), transaction(1)])).then_expect_events(vec![]);
    given(before.clone()).when(extend(vec![])).then_expect_error(LegalHoldError::CoversNothing);
    let hold: LegalHold = fold(before);
    assert!(hold.covers().eq(&[ada(), transaction(1)]));
    assert_state_survives_storing(&hold);
}

#[test]
fn a_hold_is_released_once() {
    given(vec![placed(vec![ada()])]).when(release()).then_expect_events(vec![released()]);
    let after = vec![placed(vec![ada()]), released()];
    assert!(fold::<LegalHold>(after.clone()).is_released());
    given(after.clone()).when(release()).then_expect_error(LegalHoldError::Released);
    given(after).when(extend(vec![transaction(1)])).then_expect_error(LegalHoldError::Released);
}

#[test]
fn nothing_can_be_asked_of_a_hold_that_is_not_there() {
    given(vec![]).when(release()).then_expect_error(LegalHoldError::NotFound);
    given(vec![]).when(extend(vec![ada()])).then_expect_error(LegalHoldError::NotFound);
    assert_eq!(fold::<LegalHold>(vec![extended(vec![ada()]), released()]), LegalHold::default());
}
