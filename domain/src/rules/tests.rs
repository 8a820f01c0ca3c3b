//! When the rule speaks, what it says, and that the ids of its incidents never meet.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::incident::{Incident, IncidentCommand, IncidentEvent};
use crate::money::Money;
use crate::time::Timestamp;
use crate::transaction::{TimestampSource, TransactionStatus};

fn id(text: &str) -> TransactionId {
    TransactionId::parse("", text).unwrap()
}

fn content(transaction_id: &TransactionId, amount: &str, currency: &str) -> RecordedContent {
    let money = Money::parse(amount, currency).unwrap();
    RecordedContent {
        transaction_id: transaction_id.clone(),
        amount: money.amount(),
        currency: money.currency(),
        timestamp: Timestamp::from_micros(0).unwrap(),
        timestamp_source: TimestampSource::Client,
        status: TransactionStatus::Pending,
        account: None,
        counterparty: None,
        transaction_type: None,
        meta: Meta::default(),
        source: None,
    }
}

fn evaluate(rule: &LargeTransactionRule, amount: &str, currency: &str) -> Option<Open> {
    rule.evaluate(&id("tx-1"), &content(&id("tx-1"), amount, currency), 7)
}

#[test]
fn only_an_amount_strictly_above_the_threshold_is_large() {
    let rule = LargeTransactionRule::default();
    assert_eq!(evaluate(&rule, "99999.99", "USD"), None);
    assert_eq!(evaluate(&rule, "100000", "USD"), None);
    assert_eq!(evaluate(&rule, "100000.00000000", "USD"), None);
    assert!(evaluate(&rule, "100000.00000001", "USD").is_some());
}

#[test]
fn money_going_out_is_as_large_as_money_coming_in() {
    let rule = LargeTransactionRule::default();
    assert!(evaluate(&rule, "-100000.01", "USD").is_some());
    assert!(evaluate(&rule, "-100000", "USD").is_none());
}

#[test]
fn a_rule_for_one_currency_passes_over_the_others() {
    let rule = LargeTransactionRule { currency: Some(Currency::parse("JPY").unwrap()), ..Default::default() };
    assert_eq!(evaluate(&rule, "200000", "USD"), None);
    assert!(evaluate(&rule, "200000", "JPY").is_some());
}

#[test]
fn the_incident_says_what_was_found_and_how() {
    let open = evaluate(&LargeTransactionRule::default(), "150000.50", "USD").unwrap();
    assert_eq!(open.incident_id.as_str(), "inc_rule_large_transaction_tx-1");
    assert_eq!(open.title.as_str(), "Transaction of 150000.50 USD exceeds 100000 USD");
    assert_eq!(open.severity, Severity::High);
    assert_eq!(open.detection_method, DetectionMethod::Rule);
    assert_eq!(open.source_event_id.as_ref().map(Line::as_str), Some("tx-1"));
    assert_eq!(open.rule.as_ref().map(|rule| (rule.name.as_str(), rule.version)), Some(("large_transaction", 1)));
    assert_eq!(open.meta.fields()["amount"], "150000.50");
    assert_eq!(open.meta.fields()["transaction_position"], 7);
}

#[test]
fn looking_twice_opens_one_incident() {
    let open = || IncidentCommand::Open(Box::new(evaluate(&LargeTransactionRule::default(), "150000", "USD").unwrap()));
    let mut incident = Incident::default();
    for event in incident.decide(open()).unwrap() {
        cqrs_es::Aggregate::apply(&mut incident, event);
    }
    assert_eq!(incident.decide(open()), Ok(vec![]));
}

#[test]
fn long_ids_are_shortened_and_stay_apart() {
    let (one, other) = (id(&format!("{}1", "x".repeat(199))), id(&format!("{}2", "x".repeat(199))));
    let (one, other) = (rule_incident_id("large_transaction", &one), rule_incident_id("large_transaction", &other));
    assert_ne!(one, other);
    assert!(one.len() <= 200);
    // A short id that spells out what a shortened one looks like does not meet it.
    let tail = one.strip_prefix("inc_rule_large_transaction-").unwrap();
    assert_ne!(rule_incident_id("large_transaction", &id(tail)), one);
}

proptest! {
    #[test]
    fn whatever_the_rule_composes_is_accepted_when_read_back(
        transaction_id in "\\PC{1,200}",
        amount in "[1-9][0-9]{6,17}(\\.[0-9]{1,8})?",
    ) {
        if let Ok(transaction_id) = TransactionId::parse("", transaction_id) {
            let content = content(&transaction_id, &amount, "USD");
            let open = LargeTransactionRule::default().evaluate(&transaction_id, &content, u64::MAX).unwrap();
            prop_assert!(open.incident_id.as_str().len() <= 200);
            let events = Incident::default().decide(IncidentCommand::Open(Box::new(open))).unwrap();
            for event in events {
                let json = serde_json::to_string(&event).unwrap();
                prop_assert_eq!(serde_json::from_str::<IncidentEvent>(&json).unwrap(), event);
            }
        }
    }
}
