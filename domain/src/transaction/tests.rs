//! Given events, when a command, then events or a refusal; and properties over random sequences of commands.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use cqrs_es::test::TestFramework;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::meta::Meta;
use crate::money::{Amount, Currency, Money};
use crate::patch::Patch;
use crate::personal::PersonalText;
use crate::testing::sealed;
use crate::text::{Line, Paragraph, Reason, ShortName};
use crate::time::Timestamp;

fn time(text: &str) -> Timestamp {
    Timestamp::parse("", text).unwrap()
}

fn reason(text: &str) -> Reason {
    Reason::parse("", text).unwrap()
}

fn meta(value: serde_json::Value) -> Meta {
    serde_json::from_value(value).unwrap()
}

fn record() -> Record {
    Record {
        transaction_id: TransactionId::parse("", "tx-1").unwrap(),
        money: Money::parse("1234.50", "USD").unwrap(),
        timestamp: Some(time("2026-11-21T10:00:00Z")),
        received_at: time("2026-11-21T10:00:05Z"),
        status: TransactionStatus::Pending,
        account: Some(Line::parse("", "ACC-7").unwrap()),
        counterparty: None,
        transaction_type: Some(ShortName::parse("", "wire").unwrap()),
        meta: meta(json!({ "branch": "Leeds", "score": 0.25 })),
        source: Some(Line::parse("", "api").unwrap()),
    }
}

fn command(record: Record) -> TransactionCommand {
    TransactionCommand::Record(Box::new(record))
}

fn change_status(to: TransactionStatus) -> TransactionCommand {
    TransactionCommand::ChangeStatus(ChangeStatus { to, reason: None })
}

fn correct(changes: TransactionChanges) -> TransactionCommand {
    TransactionCommand::Correct(Box::new(Correct { changes, reason: reason("typing error") }))
}

fn note(id: &str) -> TransactionCommand {
    TransactionCommand::AddNote(AddNote {
        note_id: RemarkId::parse("", id).unwrap(),
        text: PersonalText::Clear(Paragraph::parse("", "Confirmed.").unwrap()),
    })
}

fn new_amount(text: &str) -> TransactionChanges {
    TransactionChanges { amount: Some(Amount::parse(text).unwrap()), ..Default::default() }
}

/// The events of a transaction to which these commands were given, one after the other.
fn history(commands: Vec<TransactionCommand>) -> Vec<TransactionEvent> {
    let mut transaction = Transaction::default();
    let mut events = Vec::new();
    for command in commands {
        for event in transaction.decide(command).unwrap() {
            transaction.apply(event.clone());
            events.push(event);
        }
    }
    events
}

fn given(commands: Vec<TransactionCommand>) -> cqrs_es::test::AggregateTestExecutor<Transaction> {
    TestFramework::<Transaction>::with(()).given(history(commands))
}

fn fold(events: Vec<TransactionEvent>) -> Transaction {
    let mut transaction = Transaction::default();
    events.into_iter().for_each(|event| transaction.apply(event));
    transaction
}

#[test]
fn a_transaction_is_recorded_as_its_client_states_it() {
    let expected = RecordedContent {
        transaction_id: record().transaction_id,
        amount: Amount::parse("1234.50").unwrap(),
        currency: Currency::parse("USD").unwrap(),
        timestamp: time("2026-11-21T10:00:00Z"),
        timestamp_source: TimestampSource::Client,
        status: TransactionStatus::Pending,
        account: record().account,
        counterparty: None,
        transaction_type: record().transaction_type,
        meta: record().meta,
        source: record().source,
    };
    given(vec![]).when(command(record())).then_expect_events(vec![TransactionEvent::Recorded(Box::new(expected))]);
}

#[test]
fn a_transaction_may_be_recorded_in_any_status() {
    for &status in TransactionStatus::ALL {
        let transaction = fold(history(vec![command(Record { status, ..record() })]));
        assert_eq!(transaction.status(), Some(status));
    }
}

#[test]
fn without_a_time_of_its_own_a_transaction_has_the_time_of_arrival() {
    let transaction = fold(history(vec![command(Record { timestamp: None, ..record() })]));
    let content = transaction.content().unwrap();
    assert_eq!(content.timestamp, record().received_at);
    assert_eq!(content.timestamp_source, TimestampSource::Received);
}

#[test]
fn a_repeated_record_changes_nothing() {
    given(vec![command(record())]).when(command(record())).then_expect_events(vec![]);
    let other_writing = Record { money: Money::parse("1234.5", "USD").unwrap(), ..record() };
    given(vec![command(record())]).when(command(other_writing)).then_expect_events(vec![]);
    let later = Record { received_at: time("2026-11-22T10:00:00Z"), source: None, ..record() };
    given(vec![command(record())]).when(command(later)).then_expect_events(vec![]);
}

#[test]
fn a_repeated_record_without_a_time_changes_nothing() {
    let first = Record { timestamp: None, ..record() };
    let again = Record { received_at: time("2026-11-22T10:00:00Z"), ..first.clone() };
    given(vec![command(first)]).when(command(again)).then_expect_events(vec![]);
}

#[test]
fn a_repeated_record_is_held_against_what_was_first_recorded() {
    let past = vec![command(record()), correct(new_amount("99")), change_status(TransactionStatus::Completed)];
    given(past.clone()).when(command(record())).then_expect_events(vec![]);
    let corrected = Record { money: Money::parse("99", "USD").unwrap(), ..record() };
    given(past).when(command(corrected)).then_expect_error(TransactionError::Conflict { fields: vec!["amount"] });
}

#[test]
fn other_content_is_a_conflict_that_names_each_field() {
    let changed: Vec<(&str, Record)> = vec![
        ("transaction_id", Record { transaction_id: TransactionId::parse("", "tx-2").unwrap(), ..record() }),
        ("amount", Record { money: Money::parse("1234.51", "USD").unwrap(), ..record() }),
        ("currency", Record { money: Money::parse("1234.50", "EUR").unwrap(), ..record() }),
        ("timestamp", Record { timestamp: Some(time("2026-11-21T10:00:01Z")), ..record() }),
        ("timestamp", Record { timestamp: None, ..record() }),
        ("status", Record { status: TransactionStatus::Completed, ..record() }),
        ("account", Record { account: None, ..record() }),
        ("counterparty", Record { counterparty: Some(Line::parse("", "Acme").unwrap()), ..record() }),
        ("transaction_type", Record { transaction_type: None, ..record() }),
        ("meta", Record { meta: Meta::default(), ..record() }),
    ];
    for (field, repeated) in changed {
        given(vec![command(record())])
            .when(command(repeated))
            .then_expect_error(TransactionError::Conflict { fields: vec![field] });
    }
    let both = Record { account: None, meta: Meta::default(), ..record() };
    let refusal = given(vec![command(record())]).when(command(both)).inspect_result().unwrap_err();
    assert_eq!(refusal.code(), "transaction.conflict");
    assert_eq!(refusal.fields(), ["account", "meta"]);
    assert!(refusal.to_string().contains("account, meta"));
}

#[test]
fn nothing_can_be_done_to_a_transaction_that_was_not_recorded() {
    for command in [change_status(TransactionStatus::Completed), correct(new_amount("1")), note("note_1")] {
        given(vec![]).when(command).then_expect_error(TransactionError::NotFound);
    }
}

#[test]
fn only_a_pending_transaction_changes_its_status() {
    for &from in TransactionStatus::ALL {
        for &to in TransactionStatus::ALL {
            let executor = given(vec![command(Record { status: from, ..record() })]);
            let allowed = from == TransactionStatus::Pending && to != TransactionStatus::Pending;
            if allowed {
                let expected = TransactionEvent::StatusChanged(StatusChanged { from, to, reason: None });
                executor.when(change_status(to)).then_expect_events(vec![expected]);
            } else {
                let refusal = TransactionError::StatusTransition { from, to };
                assert_eq!(refusal.pointer(), Some("/status"));
                executor.when(change_status(to)).then_expect_error(refusal);
            }
        }
    }
}

#[test]
fn a_status_that_was_reached_is_final() {
    let past = vec![command(record()), change_status(TransactionStatus::Failed)];
    given(past).when(change_status(TransactionStatus::Completed)).then_expect_error(
        TransactionError::StatusTransition { from: TransactionStatus::Failed, to: TransactionStatus::Completed },
    );
}

#[test]
fn a_correction_shows_old_and_new_values() {
    let changes = TransactionChanges {
        amount: Some(Amount::parse("1243.50").unwrap()),
        currency: Some(Currency::parse("EUR").unwrap()),
        timestamp: Some(time("2026-11-20T10:00:00Z")),
        account: Patch::Clear,
        counterparty: Patch::Set(Line::parse("", "Acme").unwrap()),
        transaction_type: Patch::Set(ShortName::parse("", "ach").unwrap()),
        meta: Some(Meta::default()),
    };
    let events = history(vec![command(record()), correct(changes)]);
    let TransactionEvent::Corrected(corrected) = &events[1] else { panic!("a correction was expected: {events:?}") };
    assert_eq!(
        serde_json::to_value(corrected).unwrap(),
        json!({ "reason": "typing error", "changes": [
            { "field": "amount", "old": "1234.50", "new": "1243.50" },
            { "field": "currency", "old": "USD", "new": "EUR" },
            { "field": "timestamp", "old": "2026-11-21T10:00:00.000000Z", "new": "2026-11-20T10:00:00.000000Z" },
            { "field": "account", "old": "ACC-7", "new": null },
            { "field": "counterparty", "old": null, "new": "Acme" },
            { "field": "transaction_type", "old": "wire", "new": "ach" },
            { "field": "meta", "old": { "branch": "Leeds", "score": 0.25 }, "new": {} },
        ]})
    );
    let written = serde_json::to_value(corrected).unwrap();
    for (index, change) in corrected.changes.iter().enumerate() {
        assert_eq!(written["changes"][index]["field"], change.field());
    }
    let transaction = fold(events.clone());
    let content = transaction.content().unwrap();
    assert_eq!(content.money(), Money::parse("1243.50", "EUR").unwrap());
    assert_eq!(content.timestamp_source, TimestampSource::Correction);
    assert_eq!((content.account.clone(), content.meta.is_empty()), (None, true));
    assert_eq!(transaction.original().unwrap().money(), record().money);
    assert_eq!(transaction.corrections(), std::slice::from_ref(corrected));
}

#[test]
fn a_correction_names_only_what_changes() {
    let changes = TransactionChanges { account: Patch::Set(Line::parse("", "ACC-7").unwrap()), ..new_amount("2") };
    let events = history(vec![command(record()), correct(changes)]);
    let TransactionEvent::Corrected(corrected) = &events[1] else { panic!("a correction was expected: {events:?}") };
    assert_eq!(corrected.changes.iter().map(TransactionChange::field).collect::<Vec<_>>(), ["amount"]);
}

#[test]
fn a_correction_that_changes_nothing_is_refused() {
    for changes in [
        TransactionChanges::default(),
        new_amount("1234.5"),
        TransactionChanges { counterparty: Patch::Clear, meta: Some(record().meta), ..Default::default() },
    ] {
        given(vec![command(record())]).when(correct(changes)).then_expect_error(TransactionError::CorrectionEmpty);
    }
}

#[test]
fn the_number_of_corrections_is_bounded() {
    let mut past = vec![command(record())];
    past.extend((1..=MAX_CORRECTIONS).map(|amount| correct(new_amount(&amount.to_string()))));
    given(past).when(correct(new_amount("0"))).then_expect_error(TransactionError::TooManyCorrections);
}

#[test]
fn a_note_is_added_once() {
    let events = history(vec![command(record()), note("note_1")]);
    assert!(matches!(&events[1], TransactionEvent::NoteAdded(added) if added.note_id.as_str() == "note_1"));
    let refusal = TestFramework::<Transaction>::with(()).given(events).when(note("note_1")).inspect_result();
    assert_eq!(refusal.unwrap_err().code(), "transaction.note_exists");
}

#[test]
fn the_text_of_a_note_is_recorded_as_it_came_sealed_or_in_clear() {
    let closed = AddNote { note_id: RemarkId::parse("", "note_2").unwrap(), text: sealed("usr_1").into() };
    let events = history(vec![command(record()), note("note_1"), TransactionCommand::AddNote(closed)]);
    let text = |event: &TransactionEvent| serde_json::to_value(event).unwrap()["payload"]["text"].clone();
    assert_eq!(text(&events[1]), json!("Confirmed."));
    assert_eq!(text(&events[2]), json!({"subject": "usr_1", "sealed": crate::testing::SEALED}));
}

#[test]
fn the_number_of_notes_is_bounded() {
    let mut past = vec![command(record())];
    past.extend((0..MAX_NOTES).map(|number| note(&format!("note_{number}"))));
    given(past).when(note("one_more")).then_expect_error(TransactionError::TooManyNotes);
}

#[test]
fn events_before_the_record_leave_no_trace() {
    let mut later = history(vec![command(record()), change_status(TransactionStatus::Failed), note("note_1")]);
    later.remove(0);
    assert_eq!(fold(later), Transaction::default());
}

fn any_status() -> impl Strategy<Value = TransactionStatus> {
    proptest::sample::select(TransactionStatus::ALL)
}

fn any_command() -> impl Strategy<Value = TransactionCommand> {
    let amount = "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,8})?";
    prop_oneof![
        (any_status(), any::<bool>()).prop_map(|(status, timed)| {
            let timestamp = timed.then(|| time("2026-11-21T10:00:00Z"));
            command(Record { status, timestamp, ..record() })
        }),
        any_status().prop_map(change_status),
        (amount, any::<bool>()).prop_map(|(amount, clear)| {
            let account = if clear { Patch::Clear } else { Patch::Keep };
            correct(TransactionChanges { account, ..new_amount(&amount) })
        }),
        "[a-c]".prop_map(|id| note(&id)),
    ]
}

proptest! {
    #[test]
    fn random_commands_keep_the_rules(commands in proptest::collection::vec(any_command(), 0..40)) {
        let mut transaction = Transaction::default();
        let mut events = Vec::new();
        for command in commands {
            let before = transaction.clone();
            let Ok(decided) = transaction.decide(command) else { continue };
            for event in decided {
                transaction.apply(event.clone());
                // What is written reads back as it was.
                let json = serde_json::to_string(&event).unwrap();
                prop_assert_eq!(&serde_json::from_str::<TransactionEvent>(&json).unwrap(), &event);
                prop_assert_eq!(serde_json::to_string(&serde_json::from_str::<TransactionEvent>(&json).unwrap()).unwrap(), json);
                events.push(event);
            }
            if let (Some(from), Some(to)) = (before.status(), transaction.status()) {
                prop_assert!(from == to || (from == TransactionStatus::Pending && to != TransactionStatus::Pending));
                prop_assert_eq!(before.original(), transaction.original());
            }
        }
        let recorded = events.iter().filter(|event| matches!(event, TransactionEvent::Recorded(_))).count();
        prop_assert!(recorded <= 1);
        prop_assert_eq!(recorded == 1, transaction.exists());
        let state = serde_json::to_string(&transaction).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Transaction>(&state).unwrap(), &transaction);
        prop_assert_eq!(fold(events), transaction);
    }

    #[test]
    fn folding_any_events_in_any_order_never_panics(
        commands in proptest::collection::vec(any_command(), 0..20),
        order in any::<u64>(),
    ) {
        let mut transaction = Transaction::default();
        let mut events = vec![];
        for command in commands {
            for event in transaction.decide(command).unwrap_or_default() {
                transaction.apply(event.clone());
                events.push(event);
            }
        }
        let length = events.len().max(1);
        events.rotate_left(usize::try_from(order % u64::try_from(length).unwrap()).unwrap());
        events.extend(events.clone());
        fold(events);
    }
}
