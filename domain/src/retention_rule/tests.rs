//! Given events, when a command, then events or a refusal; and whatever is tried, nothing is ever kept for less long.
#![allow(clippy::unwrap_used, reason = "tests")]

use cqrs_es::Aggregate;
use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use proptest::prelude::*;

use super::*;
use crate::testing::{actor, assert_state_survives_storing, fold, reason, time};

fn retention(class: RetentionClass, years: u32, keeps_identities: bool) -> Retention {
    Retention { class, years, keeps_identities }
}

fn six(years: u32) -> Retention {
    retention(RetentionClass::SixYears, years, false)
}

fn set(wanted: Retention) -> RetentionRuleCommand {
    set_of(RecordType::Transaction, wanted)
}

fn set_of(record_type: RecordType, retention: Retention) -> RetentionRuleCommand {
    RetentionRuleCommand::Set {
        record_type,
        retention,
        by: actor("usr_ada"),
        reason: reason("The regulator asks for it"),
        approval_id: ApprovalId::parse("", "apr_1").unwrap(),
    }
}

fn was_set(version: u64, retention: Retention) -> RetentionRuleEvent {
    let Retention { class, years, keeps_identities } = retention;
    RetentionRuleEvent::Set(RuleSet {
        record_type: RecordType::Transaction,
        version,
        class,
        years,
        keeps_identities,
        by: actor("usr_ada"),
        reason: reason("The regulator asks for it"),
        approval_id: ApprovalId::parse("", "apr_1").unwrap(),
    })
}

fn given(events: Vec<RetentionRuleEvent>) -> AggregateTestExecutor<RetentionRule> {
    TestFramework::<RetentionRule>::with(()).given(events)
}

#[test]
fn rule_is_set_and_made_longer_and_setting_what_holds_changes_nothing() {
    given(vec![]).when(set(six(6))).then_expect_events(vec![was_set(1, six(6))]);
    given(vec![was_set(1, six(6))]).when(set(six(6))).then_expect_events(vec![]);
    given(vec![was_set(1, six(6))]).when(set(six(10))).then_expect_events(vec![was_set(2, six(10))]);
    let known = Retention { keeps_identities: true, ..six(6) };
    given(vec![was_set(1, six(6))]).when(set(known)).then_expect_events(vec![was_set(2, known)]);
    // Another class is another reason, not another promise.
    let other = retention(RetentionClass::ThreeYears, 6, false);
    given(vec![was_set(1, six(6))]).when(set(other)).then_expect_events(vec![was_set(2, other)]);
    let rule: RetentionRule = fold(vec![was_set(1, six(6)), was_set(2, known)]);
    assert_eq!((rule.record_type(), rule.version()), (Some(RecordType::Transaction), 2));
    assert_eq!(rule.retention(), Some(known));
    assert_state_survives_storing(&rule);
}

#[test]
fn shortening_is_refused_and_so_is_forgetting_who_acted() {
    let before = vec![was_set(1, Retention { keeps_identities: true, ..six(8) })];
    let shortening = RetentionRuleError::Shortening { years: 8 };
    given(before.clone()).when(set(six(7))).then_expect_error(shortening.clone());
    // Also to what another class asks for, and below any floor.
    let three = retention(RetentionClass::ThreeYears, 3, true);
    given(before.clone()).when(set(three)).then_expect_error(shortening.clone());
    given(before.clone()).when(set(six(0))).then_expect_error(shortening);
    given(before).when(set(six(9))).then_expect_error(RetentionRuleError::DroppingIdentities);
}

#[test]
fn every_class_has_its_floor_and_none_has_more_than_a_hundred_years() {
    for &class in RetentionClass::ALL {
        let floor = class.floor_years();
        given(vec![])
            .when(set(retention(class, floor - 1, false)))
            .then_expect_error(RetentionRuleError::BelowFloor { class, floor });
        for years in [floor, MAX_YEARS] {
            let wanted = retention(class, years, true);
            given(vec![]).when(set(wanted)).then_expect_events(vec![was_set(1, wanted)]);
        }
        given(vec![]).when(set(retention(class, MAX_YEARS + 1, false))).then_expect_error(RetentionRuleError::TooLong);
        assert!(!class.sources().is_empty());
    }
    assert_eq!(RetentionClass::ALL.iter().map(|class| class.floor_years()).collect::<Vec<_>>(), [3, 5, 6, 7]);
}

#[test]
fn rule_is_about_one_type_of_records() {
    let refused = RetentionRuleError::OtherRecordType { record_type: RecordType::Transaction };
    given(vec![was_set(1, six(6))]).when(set_of(RecordType::Incident, six(7))).then_expect_error(refused);
}

#[test]
fn event_that_promises_less_is_passed_over() {
    let forged = vec![was_set(1, six(7)), was_set(2, six(6))];
    assert_eq!(fold::<RetentionRule>(forged).retention(), Some(six(7)));
    assert!(!fold::<RetentionRule>(vec![was_set(1, six(1))]).exists());
}

#[test]
fn records_are_kept_until_the_same_day_so_many_years_later() {
    let until = |at: &str, years| keep_until(time(at), years).to_string();
    assert_eq!(until("2026-11-21T10:00:00Z", 6), "2032-11-21T10:00:00.000000Z");
    assert_eq!(until("2024-02-29T10:00:00Z", 4), "2028-02-29T10:00:00.000000Z");
    assert_eq!(until("2024-02-29T10:00:00Z", 3), "2027-03-01T10:00:00.000000Z");
    assert_eq!(until("2026-11-21T10:00:00Z", 0), "2026-11-21T10:00:00.000000Z");
    assert_eq!(until("9990-01-01T00:00:00Z", 100), "9999-12-31T23:59:59.999999Z");
}

#[test]
fn records_that_rules_are_about_are_streams_that_there_are() {
    for word in RecordType::WORDS {
        assert!(crate::events::STREAM_TYPES.contains(word), "{word}");
    }
}

fn any_retention() -> impl Strategy<Value = Retention> {
    let class = prop::sample::select(RetentionClass::ALL);
    // The bounds and their neighbours come often.
    let years = prop_oneof![0..=12_u32, 90..=MAX_YEARS + 5, Just(u32::MAX)];
    (class, years, any::<bool>()).prop_map(|(class, years, keeps_identities)| retention(class, years, keeps_identities))
}

proptest! {
    #[test]
    fn no_sequence_of_commands_ever_shortens_what_holds(
        wishes in prop::collection::vec((prop::sample::select(RecordType::ALL), any_retention()), 1..60),
        recorded_at in 0..4_000_000_000_000_000_i64,
    ) {
        let recorded_at = crate::Timestamp::from_micros(recorded_at).unwrap();
        let mut rule = RetentionRule::default();
        for (record_type, wanted) in wishes {
            let before = rule.clone();
            let decided = rule.decide(set_of(record_type, wanted));
            prop_assert_eq!(decided.is_ok(), before.may_become(record_type, wanted).is_ok());
            for event in decided.unwrap_or_default() {
                rule.apply(event);
            }
            let Some(holds) = rule.retention() else { continue };
            prop_assert!((holds.class.floor_years()..=MAX_YEARS).contains(&holds.years));
            if let Some(held) = before.retention() {
                prop_assert!(holds.years >= held.years);
                prop_assert!(holds.keeps_identities || !held.keeps_identities);
                prop_assert!(keep_until(recorded_at, holds.years) >= keep_until(recorded_at, held.years));
                prop_assert_eq!(rule.record_type(), before.record_type());
                prop_assert!(rule.version() >= before.version());
            }
        }
    }

    #[test]
    fn no_sequence_of_events_ever_shortens_what_holds(
        wishes in prop::collection::vec((any::<u64>(), any_retention()), 1..60),
    ) {
        let mut rule = RetentionRule::default();
        for (version, wanted) in wishes {
            let before = rule.clone();
            rule.apply(was_set(version, wanted));
            let years = |rule: &RetentionRule| rule.retention().map_or(0, |retention| retention.years);
            prop_assert!(years(&rule) >= years(&before));
            prop_assert!(rule.version() >= before.version());
        }
    }
}
