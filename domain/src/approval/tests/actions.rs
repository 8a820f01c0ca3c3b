//! Types of action, and the digest of exactly what is to be done.

use std::collections::BTreeSet;

use super::*;
use crate::money::Money;
use crate::names::Label;
use crate::text::Paragraph;

fn money(amount: &str, currency: &str) -> Option<Money> {
    Some(Money::parse(amount, currency).unwrap())
}

fn paragraph(text: &str) -> Option<Paragraph> {
    Some(Paragraph::parse("", text).unwrap())
}

fn change(field: &str, before: Option<Paragraph>, after: Option<Paragraph>) -> Change {
    Change { field: line(field), before, after }
}

fn with_changes(changes: Vec<Change>) -> Action {
    Action { changes, ..export("USD") }
}

fn with_parameters<const N: usize>(parameters: [(&str, &str); N]) -> Action {
    let parameters = parameters.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Action { parameters, ..export("USD") }
}

#[test]
fn everything_but_the_summary_is_part_of_the_digest() {
    let different = [
        export("USD"),
        Action { action: KnownAction::ExportIncidents.into(), ..export("USD") },
        Action { resource_type: Word::parse("", "incident_export").unwrap(), ..export("USD") },
        Action { resource_id: line("exp_2"), ..export("USD") },
        export("EUR"),
        with_parameters([]),
        with_parameters([("currency", "USD"), ("format", "csv")]),
        // The same letters, cut elsewhere.
        with_parameters([("currencyU", "SD")]),
        with_changes(vec![change("a", None, paragraph("b"))]),
        with_changes(vec![change("a", paragraph("b"), None)]),
        with_changes(vec![change("ab", None, None)]),
        with_changes(vec![change("a", None, None), change("b", None, None)]),
        with_changes(vec![change("b", None, None), change("a", None, None)]),
        Action { amount: money("1.5", "USD"), ..export("USD") },
        Action { amount: money("1.5", "EUR"), ..export("USD") },
        Action { amount: money("-1.5", "USD"), ..export("USD") },
        Action { label: Some(Label::parse("", "production").unwrap()), ..export("USD") },
    ];
    let digests: BTreeSet<ActionDigest> = different.iter().map(Action::digest).collect();
    assert_eq!(digests.len(), different.len());
    assert_eq!(Action { summary: line("Other words"), ..export("USD") }.digest(), export("USD").digest());
    let (short, long) = (money("1.5", "USD"), money("1.50", "USD"));
    assert_eq!(Action { amount: short, ..export("USD") }.digest(), Action { amount: long, ..export("USD") }.digest());
}

/// Digests are in ledgers for ever: this one must not become another.
#[test]
fn the_digest_of_an_action_is_always_the_same() {
    let action = Action {
        changes: vec![change("threshold", paragraph("100"), paragraph("200"))],
        amount: money("1.50", "USD"),
        label: Some(Label::parse("", "production").unwrap()),
        ..export("USD")
    };
    assert_eq!(action.digest().as_str(), "66a4024ebff65eb42c0a3f8358b5f50bbe430eae7d191b6573b7e0465238282d");
    let text = serde_json::to_string(&action).unwrap();
    assert_eq!(serde_json::from_str::<Action>(&text).unwrap(), action);
}

#[test]
fn a_digest_is_64_hexadecimal_digits() {
    let digits = export("USD").digest().to_string();
    assert_eq!(ActionDigest::parse("", digits.clone()).unwrap(), export("USD").digest());
    for text in ["", "0", &digits.to_uppercase(), &format!("{digits}0"), &"g".repeat(64)] {
        assert!(ActionDigest::parse("/digest", text).is_err(), "{text}");
    }
}

#[test]
fn an_action_keeps_its_bounds_when_it_is_made_and_when_it_is_read() {
    let many = (0..=MAX_PARAMETERS).map(|number| (number.to_string(), String::new())).collect();
    let too_much = "x".repeat(MAX_ACTION_BYTES);
    let long_name = "n".repeat(MAX_PARAMETER_NAME + 1);
    let refused = [
        (Action { parameters: many, ..export("USD") }, "/parameters"),
        (with_changes(vec![change("a", None, None); MAX_CHANGES + 1]), "/changes"),
        (with_parameters([("a", too_much.as_str())]), ""),
        (with_parameters([("", "a")]), "/parameters"),
        (with_parameters([(long_name.as_str(), "a")]), "/parameters"),
        (with_parameters([("a", "b\0")]), "/parameters"),
    ];
    for (action, pointer) in refused {
        assert_eq!(action.check("").unwrap_err().pointer, pointer);
        let text = serde_json::to_string(&action).unwrap();
        assert!(serde_json::from_str::<Action>(&text).is_err());
        assert!(action.checked().is_err());
    }
    let most = (0..MAX_PARAMETERS).map(|number| (number.to_string(), String::new())).collect();
    assert!(Action { parameters: most, ..export("USD") }.checked().is_ok());
}

#[test]
fn a_type_of_action_is_lower_case_words_with_points() {
    for text in ["a", "agent.triage", "external.wire_transfer.2", &"a".repeat(64)] {
        assert_eq!(ActionType::parse("", text).unwrap().as_str(), text);
    }
    for text in ["", ".", "a.", ".a", "a..b", "A.b", "1a", "_a", "a-b", "a b", "é", &"a".repeat(65)] {
        assert!(ActionType::parse("/action", text).is_err(), "{text}");
    }
}

#[test]
fn what_requests_are_about_and_what_is_done_name_each_other() {
    let mut words = BTreeSet::new();
    for &known in KnownAction::ALL {
        let action = ActionType::from(known);
        assert_eq!(action.known(), Some(known));
        assert_eq!(ActionType::parse("", known.as_str()).unwrap(), action);
        assert!(Word::parse("", action.resource_type()).is_ok());
        assert_eq!(ActionType::from_resource_type("", action.resource_type()).unwrap(), action);
        assert!(words.insert(action.resource_type().to_owned()) && !action.is_external());
    }
    let external = ActionType::from_resource_type("", " Wire-Transfer ").unwrap();
    assert_eq!((external.as_str(), external.resource_type()), ("external.wire_transfer", "wire_transfer"));
    assert!(external.is_external() && external.known().is_none());
    for text in ["", "über", "a/b", "a..b", &"x".repeat(56)] {
        let refusal = ActionType::from_resource_type("/resource_type", text).unwrap_err();
        assert_eq!(refusal.pointer, "/resource_type", "{text}");
    }
}
