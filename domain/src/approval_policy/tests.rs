//! Given events, when a command, then events or a refusal; and which terms hold when.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use serde_json::json;

use super::*;
use crate::approval::KnownAction;
use crate::testing::{actor, assert_state_survives_storing, fold, reason, role};

const HOUR: u64 = 3_600;

fn from(roles: &[&str]) -> Vec<Electorate> {
    roles.iter().map(|name| Electorate::Role(role(name))).collect()
}

fn terms(votes: u32) -> Terms {
    Terms {
        steps: vec![Step { name: None, clauses: vec![Clause { votes, from: from(&["admin"]) }] }],
        distinct_persons: true,
        decide_within_seconds: HOUR,
        grant_seconds: HOUR,
        escalation: Vec::new(),
        break_glass: None,
    }
}

fn always(votes: u32) -> Rule {
    Rule { amount_at_least: None, amount_below: None, label: None, terms: terms(votes) }
}

fn money(amount: &str, currency: &str) -> Option<Money> {
    Some(Money::parse(amount, currency).unwrap())
}

fn label(text: &str) -> Label {
    Label::parse("", text).unwrap()
}

fn exports() -> ActionType {
    KnownAction::ExportTransactions.into()
}

fn approval(number: u64) -> ApprovalId {
    ApprovalId::parse("", format!("apr_{number}")).unwrap()
}

fn define(rules: Vec<Rule>) -> ApprovalPolicyCommand {
    let (action, by, reason) = (exports(), actor("usr_1"), reason("Stricter"));
    ApprovalPolicyCommand::Define { action, rules, by, reason, approval_id: approval(1) }
}

fn defined(version: u64, rules: Vec<Rule>) -> ApprovalPolicyEvent {
    let (action, by, reason) = (exports(), actor("usr_1"), reason("Stricter"));
    let defined = Defined { action, version, rules, by, reason, approval_id: approval(1) };
    ApprovalPolicyEvent::Defined(Box::new(defined))
}

fn retire() -> ApprovalPolicyCommand {
    ApprovalPolicyCommand::Retire { by: actor("usr_1"), reason: reason("Back"), approval_id: approval(2) }
}

fn retired(version: u64) -> ApprovalPolicyEvent {
    let (by, reason) = (actor("usr_1"), reason("Back"));
    ApprovalPolicyEvent::Retired(Retired { version, by, reason, approval_id: approval(2) })
}

fn given(events: Vec<ApprovalPolicyEvent>) -> AggregateTestExecutor<ApprovalPolicy> {
    TestFramework::<ApprovalPolicy>::with(()).given(events)
}

#[test]
fn a_version_rises_with_every_change_and_never_falls() {
    given(vec![]).when(define(vec![always(1)])).then_expect_events(vec![defined(1, vec![always(1)])]);
    let one = vec![defined(1, vec![always(1)])];
    given(one.clone()).when(define(vec![always(1)])).then_expect_events(vec![]);
    given(one.clone()).when(define(vec![always(2)])).then_expect_events(vec![defined(2, vec![always(2)])]);
    given(one.clone()).when(retire()).then_expect_events(vec![retired(2)]);
    let none = vec![defined(1, vec![always(1)]), retired(2)];
    given(none.clone()).when(retire()).then_expect_events(vec![]);
    // The same rules again are another version: what was approved in between was approved under others.
    given(none.clone()).when(define(vec![always(1)])).then_expect_events(vec![defined(3, vec![always(1)])]);
    let policy: ApprovalPolicy = fold(none);
    assert_eq!((policy.version(), policy.rules()), (2, None));
    assert_eq!(policy.in_force(&exports(), None, None).unwrap().terms, built_in(&exports())[0].terms);
    assert_state_survives_storing(&policy);
    assert_state_survives_storing(&fold::<ApprovalPolicy>(one));
}

#[test]
fn what_was_never_defined_cannot_be_retired_and_a_policy_is_for_one_action() {
    given(vec![]).when(retire()).then_expect_error(ApprovalPolicyError::NotFound);
    let ApprovalPolicyCommand::Define { rules, by, reason, approval_id, .. } = define(vec![always(2)]) else {
        unreachable!()
    };
    let action = KnownAction::ExportUsers.into();
    let other = ApprovalPolicyCommand::Define { action, rules, by, reason, approval_id };
    given(vec![defined(1, vec![always(1)])])
        .when(other)
        .then_expect_error(ApprovalPolicyError::OtherAction { action: exports() });
    assert_eq!(fold::<ApprovalPolicy>(vec![retired(1)]), ApprovalPolicy::default());
}

#[test]
fn the_first_rule_that_fits_holds() {
    let rules = vec![
        Rule { label: Some(label("production")), ..always(4) },
        Rule { amount_at_least: money("1000", "USD"), ..always(3) },
        Rule { amount_at_least: money("10", "USD"), amount_below: money("1000", "USD"), ..always(2) },
        always(1),
    ];
    check_rules("", &rules).unwrap();
    let votes = |amount, label: Option<Label>| {
        let policy = in_force(7, &rules, amount, label.as_ref()).unwrap();
        assert_eq!(policy.version, 7);
        (policy.rule, policy.terms.steps[0].clauses[0].votes)
    };
    assert_eq!(votes(money("9.99", "USD"), None), (3, 1));
    assert_eq!(votes(money("10", "USD"), None), (2, 2));
    assert_eq!(votes(money("999.99", "USD"), None), (2, 2));
    assert_eq!(votes(money("1000.00", "USD"), None), (1, 3));
    assert_eq!(votes(money("5", "USD"), Some(label("production"))), (0, 4));
    assert_eq!(votes(money("1000", "USD"), Some(label("test"))), (1, 3));
    // What goes out is as much as what comes in.
    assert_eq!(votes(money("-1000", "USD"), None), (1, 3));
}

#[test]
fn where_the_amount_decides_it_must_be_said_in_a_currency_that_a_rule_names() {
    let rules = vec![
        Rule { label: Some(label("production")), ..always(4) },
        Rule { amount_at_least: money("1000", "USD"), ..always(3) },
        Rule { amount_below: money("500", "EUR"), ..always(2) },
        always(1),
    ];
    for (amount, label) in [(None, None), (None, Some(label("production"))), (money("1", "GBP"), None)] {
        assert_eq!(in_force(1, &rules, amount, label.as_ref()), Err(ApprovalError::AmountRequired));
    }
    for (amount, rule) in [(money("1000", "USD"), 1), (money("499", "EUR"), 2), (money("500", "EUR"), 3)] {
        assert_eq!(in_force(1, &rules, amount, None).unwrap().rule, rule);
    }
    // Where no rule depends on it, it is not asked for.
    assert_eq!(in_force(1, &[always(1)], None, None).unwrap().rule, 0);
}

#[test]
fn rules_about_rules_and_erasures_ask_somebody_and_have_no_way_around() {
    let define = |action: KnownAction, rules| {
        let (by, reason) = (actor("usr_1"), reason("Stricter"));
        let approval_id = approval(1);
        let command = ApprovalPolicyCommand::Define { action: action.into(), rules, by, reason, approval_id };
        ApprovalPolicy::default().decide(command).map(|events| events.len())
    };
    let glass = BreakGlass { who: from(&["owner"]), grant_seconds: HOUR, review_within_seconds: HOUR };
    let of_owners = |roles: &[&str]| {
        let step = Step { name: None, clauses: vec![Clause { votes: 1, from: from(roles) }] };
        Rule { label: Some(label("owner")), terms: Terms { steps: vec![step], ..terms(1) }, ..always(1) }
    };
    for known in [
        KnownAction::ApprovalPolicyChange,
        KnownAction::RuleChange,
        KnownAction::ErasurePerform,
        KnownAction::RetentionChange,
    ] {
        let action = ActionType::from(known);
        let with = |terms: Terms| vec![of_owners(&["owner"]), Rule { terms, ..always(1) }];
        assert_eq!(define(known, with(terms(1))), Ok(1));
        let nobody = with(Terms { steps: Vec::new(), ..terms(1) });
        assert_eq!(define(known, nobody), Err(ApprovalPolicyError::StepRequired { action: action.clone() }));
        let around = with(Terms { break_glass: Some(glass.clone()), ..terms(1) });
        assert_eq!(define(known, around), Err(ApprovalPolicyError::NoBreakGlass { action: action.clone() }));
        assert_eq!(check_policy(&action, &built_in(&action)), Ok(()));
    }
    let nobody = Rule { terms: Terms { steps: Vec::new(), ..terms(1) }, ..always(1) };
    assert_eq!(define(KnownAction::ExportUsers, vec![nobody]), Ok(1));
    let banded = Rule { amount_below: money("5", "USD"), ..of_owners(&["owner"]) };
    let no_amount = Err(ApprovalPolicyError::NoAmount { action: KnownAction::ErasurePerform.into() });
    assert_eq!(define(KnownAction::ErasurePerform, vec![banded, always(1)]), no_amount);
    for first in [always(1), of_owners(&["admin"]), of_owners(&["owner", "admin"])] {
        let rules = vec![first, always(1)];
        assert_eq!(define(KnownAction::ErasurePerform, rules), Err(ApprovalPolicyError::OwnerRule));
    }
    let last = vec![always(1)];
    assert_eq!(define(KnownAction::ErasurePerform, last), Err(ApprovalPolicyError::OwnerRule));
}

#[test]
fn rules_that_fit_nothing_leave_the_decision_to_owners() {
    let policy = in_force(1, &[], None, None).unwrap();
    assert_eq!(policy.terms.steps[0].clauses[0].from, from(&["owner"]));
    assert!(policy.terms.break_glass.is_none());
}

#[test]
fn the_last_rule_holds_without_a_condition_and_bands_are_bands() {
    let band = |least, below| Rule { amount_at_least: least, amount_below: below, ..always(1) };
    let refused = [
        (vec![], "/rules"),
        (vec![always(1); MAX_RULES + 1], "/rules"),
        (vec![Rule { label: Some(label("a")), ..always(1) }], "/rules/0"),
        (vec![band(money("5", "USD"), None)], "/rules/0"),
        (vec![band(money("5", "USD"), money("5", "USD")), always(1)], "/rules/0/amount_below"),
        (vec![band(money("5", "USD"), money("9", "EUR")), always(1)], "/rules/0/amount_below"),
        (vec![always(0)], "/rules/0/terms/steps/0/clauses/0/votes"),
    ];
    for (rules, pointer) in refused {
        assert_eq!(check_rules("/rules", &rules).unwrap_err().pointer, pointer);
        let decided = ApprovalPolicy::default().decide(define(rules));
        assert!(matches!(decided, Err(ApprovalPolicyError::Rules { .. })));
    }
}

#[test]
fn terms_keep_their_bounds_when_they_are_checked_and_when_they_are_read() {
    let step = || terms(1).steps[0].clone();
    let wide = || Step { name: None, clauses: vec![Clause { votes: 20, from: from(&["admin"]) }; 3] };
    let with_clause = |clause: Clause| Terms { steps: vec![Step { name: None, clauses: vec![clause] }], ..terms(1) };
    let link = |after_seconds, repeat_from| EscalationRule { after_seconds, to: from(&["owner"]), repeat_from };
    let glass = |who, grant_seconds| Some(BreakGlass { who, grant_seconds, review_within_seconds: HOUR });
    let refused = [
        (Terms { steps: vec![step(); MAX_STEPS + 1], ..terms(1) }, "/steps"),
        (Terms { steps: vec![Step { name: None, clauses: vec![] }], ..terms(1) }, "/steps/0/clauses"),
        (terms(MAX_VOTES_OF_CLAUSE + 1), "/steps/0/clauses/0/votes"),
        (with_clause(Clause { votes: 1, from: vec![] }), "/steps/0/clauses/0/from"),
        (with_clause(Clause { votes: 1, from: from(&["a"; MAX_ELECTORATES + 1]) }), "/steps/0/clauses/0/from"),
        (with_clause(Clause { votes: 1, from: from(&["a", "b", "a"]) }), "/steps/0/clauses/0/from"),
        (Terms { steps: vec![wide(); MAX_STEPS], ..terms(1) }, "/steps"),
        (Terms { decide_within_seconds: 0, ..terms(1) }, "/decide_within_seconds"),
        (Terms { grant_seconds: MAX_SECONDS + 1, ..terms(1) }, "/grant_seconds"),
        (Terms { escalation: vec![link(0, None)], ..terms(1) }, "/escalation/0/after_seconds"),
        (Terms { escalation: vec![link(1, Some(2))], ..terms(1) }, "/escalation/0/repeat_from"),
        (Terms { escalation: vec![link(1, Some(0))], ..terms(1) }, "/escalation/0/repeat_from"),
        (Terms { escalation: vec![link(1, None); MAX_ESCALATION_RULES + 1], ..terms(1) }, "/escalation"),
        (Terms { break_glass: glass(vec![], HOUR), ..terms(1) }, "/break_glass/who"),
        (Terms { break_glass: glass(from(&["owner"]), 0), ..terms(1) }, "/break_glass/grant_seconds"),
    ];
    for (terms, pointer) in refused {
        assert_eq!(terms.check("").unwrap_err().pointer, pointer);
        assert!(serde_json::from_str::<Terms>(&serde_json::to_string(&terms).unwrap()).is_err(), "{pointer}");
    }
    let most = Terms { escalation: vec![link(1, Some(1))], break_glass: glass(from(&["owner"]), HOUR), ..terms(20) };
    assert_eq!(serde_json::from_str::<Terms>(&serde_json::to_string(&most).unwrap()).unwrap(), most);
    let nobody = json!({"steps": [], "decide_within_seconds": 1, "grant_seconds": 1});
    assert!(serde_json::from_value::<Terms>(nobody).unwrap().distinct_persons);
}

#[test]
fn electorates_are_roles_departments_and_people() {
    let read = |value| serde_json::from_value::<Electorate>(value);
    assert_eq!(read(json!({"role": "admin"})).unwrap(), from(&["admin"])[0]);
    let department = read(json!({"department": "dep_rates"})).unwrap();
    assert_eq!(read(json!({"group": "dep_rates"})).unwrap(), department);
    assert_eq!(serde_json::to_value(&department).unwrap(), json!({"department": "dep_rates"}));
    assert_eq!(read(json!({"person": "usr_1"})).unwrap(), Electorate::Person(actor("usr_1")));
    for value in [json!({"role": "Admin"}), json!({"everybody": "x"}), json!("admin"), json!({})] {
        assert!(read(value).is_err());
    }
}

#[test]
fn every_action_has_sensible_rules_of_its_own() {
    let unknown = ActionType::parse("", "external.wire_transfer").unwrap();
    for action in KnownAction::ALL.iter().map(|&known| ActionType::from(known)).chain([unknown]) {
        let rules = built_in(&action);
        check_rules("", &rules).unwrap();
        for rule in &rules {
            let terms = &rule.terms;
            assert_eq!((terms.steps.len(), terms.steps[0].clauses.len(), terms.steps[0].clauses[0].votes), (1, 1, 1));
            assert_eq!((terms.decide_within_seconds, terms.grant_seconds), (72 * HOUR, 24 * HOUR));
            if rule.label.is_some() {
                // Nobody stands in for the owners.
                assert_eq!(terms.escalation, []);
                continue;
            }
            assert_eq!(terms.escalation[0].after_seconds, 24 * HOUR);
            assert_eq!(terms.escalation[0].to, from(&["owner", "admin"]));
        }
        let policy = ApprovalPolicy::default().in_force(&action, None, None).unwrap();
        let is_sensitive = matches!(
            action.as_str(),
            "export.users"
                | "export.entries"
                | "export.evidence_pack"
                | "erasure.perform"
                | "approval_policy.change"
                | "rule.change"
                | "retention.change"
        );
        let few = from(&["owner", "admin", "compliance"]);
        let many = from(&["owner", "admin", "compliance", "analyst"]);
        assert_eq!(
            (policy.version, &policy.terms.steps[0].clauses[0].from),
            (0, if is_sensitive { &few } else { &many })
        );
        let no_glass = ["erasure.perform", "approval_policy.change", "rule.change", "retention.change"];
        let no_glass = no_glass.contains(&action.as_str());
        assert_eq!(policy.terms.break_glass.is_none(), no_glass, "{action}");
        if let Some(glass) = policy.terms.break_glass {
            assert_eq!((glass.grant_seconds, glass.review_within_seconds), (HOUR, 72 * HOUR));
            assert_eq!(glass.who, from(&["owner", "admin"]));
        }
    }
    let erasure = KnownAction::ErasurePerform.into();
    let of_owner = ApprovalPolicy::default().in_force(&erasure, None, Some(&label("owner"))).unwrap();
    assert_eq!(of_owner.terms.steps[0].clauses[0].from, from(&["owner"]));
}
