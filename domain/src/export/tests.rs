//! Given events, when a command, then events or a refusal.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::*;
use crate::names::{ApprovalId, ExportId};
use crate::testing::{actor, assert_state_survives_storing, days_ahead, fold, line, now, reason, short};

mod delivering;
mod making;

fn digest(digit: char) -> HexDigest {
    HexDigest::parse("", digit.to_string().repeat(64)).unwrap()
}

fn destination(name: &str) -> DestinationName {
    DestinationName::parse("", name).unwrap()
}

fn delivery(id: &str) -> DeliveryId {
    DeliveryId::parse("", id).unwrap()
}

fn approval(id: &str) -> ApprovalId {
    ApprovalId::parse("", id).unwrap()
}

fn request() -> Requested {
    Requested {
        export_id: ExportId::parse("", "exp_1").unwrap(),
        kind: ExportKind::Transactions,
        format: ExportFormat::Csv,
        filters: BTreeMap::from([("currency".to_owned(), "EUR".to_owned())]),
        columns: vec!["transaction_id".to_owned(), "amount".to_owned()],
        requested_by: actor("usr_asks"),
        person: actor("usr_asks"),
        approval_id: approval("apr_1"),
        deliver_to: vec![destination("archive"), destination("mail")],
        collect: true,
        reason: Some(reason("For the auditors")),
        digest: digest('0'),
        schedule: None,
    }
}

fn requested() -> ExportEvent {
    ExportEvent::Requested(request())
}

fn approve() -> Approved {
    Approved {
        approval_id: approval("apr_1"),
        execution_id: line("exp_1"),
        policy_version: 3,
        approved_by: vec![actor("usr_agrees")],
        broken_glass_by: None,
        at: now(),
    }
}

fn approved() -> ExportEvent {
    ExportEvent::Approved(approve())
}

fn start(attempt: u64, fence: u64) -> GenerationStarted {
    GenerationStarted { attempt, fence, at: now() }
}

fn started(attempt: u64, fence: u64) -> ExportEvent {
    ExportEvent::GenerationStarted(start(attempt, fence))
}

fn file(attempt: u64) -> Generated {
    Generated {
        attempt,
        file: line("exp_1.csv"),
        bytes: 120,
        rows: 2,
        blake3: digest('1'),
        sha256: digest('2'),
        manifest: ManifestFile { file: line("exp_1.csv.manifest.json"), blake3: digest('3'), sha256: digest('4') },
        signature: ManifestSignature {
            algorithm: SignatureAlgorithm::EcdsaP256Sha256,
            key_id: short("0a1b2c3d"),
            file: line("exp_1.csv.sig"),
            value: line("MEUCIQDx"),
        },
        range: LedgerRange { first: 0, last: 41, first_hash: digest('5'), last_hash: digest('6') },
        checkpoint: Some(CheckpointReference { size: 42, root: digest('7') }),
        at: now(),
    }
}

fn generated(attempt: u64) -> ExportEvent {
    ExportEvent::Generated(file(attempt))
}

fn failure(attempt: u64, is_final: bool) -> GenerationFailed {
    GenerationFailed { attempt, why: line("no space left"), is_final, is_interruption: false, at: now() }
}

fn failed(attempt: u64, is_final: bool) -> ExportEvent {
    ExportEvent::GenerationFailed(failure(attempt, is_final))
}

fn scheduled(id: &str, to: &str, why: DeliveryCause) -> ExportEvent {
    ExportEvent::DeliveryScheduled(DeliveryScheduled { delivery_id: delivery(id), destination: destination(to), why })
}

fn attempted(id: &str, to: &str, attempt: u64, outcome: DeliveryOutcome) -> ExportEvent {
    ExportEvent::DeliveryAttempted(DeliveryAttempted {
        delivery_id: delivery(id),
        destination: destination(to),
        attempt,
        outcome,
        detail: Some(line("said so")),
        retry_at: (outcome == DeliveryOutcome::Failed).then(|| days_ahead(1)),
        at: now(),
    })
}

fn cancel() -> ExportCommand {
    ExportCommand::Cancel { by: actor("usr_asks"), reason: None, at: now() }
}

fn cancelled() -> ExportEvent {
    ExportEvent::Cancelled(Cancelled { by: actor("usr_asks"), reason: None, at: now() })
}

fn remove() -> Removed {
    Removed { by: actor("usr_keeps"), why: reason("Kept long enough"), at: now() }
}

fn removed() -> ExportEvent {
    ExportEvent::Removed(remove())
}

fn rejected() -> ExportEvent {
    ExportEvent::Rejected(Rejected { approval_id: approval("apr_1"), why: RejectionCause::Rejected })
}

/// Asked for, approved, made under fence 7.
fn made() -> Vec<ExportEvent> {
    vec![requested(), approved(), started(1, 7), generated(1)]
}

fn given(events: Vec<ExportEvent>) -> AggregateTestExecutor<Export> {
    TestFramework::<Export>::with(()).given(events)
}

/// One history for each status.
fn every_status() -> Vec<(Vec<ExportEvent>, ExportStatus)> {
    let history = |more: &[ExportEvent]| [&[requested()], more].concat();
    vec![
        (history(&[]), ExportStatus::Requested),
        (history(&[approved()]), ExportStatus::Approved),
        (history(&[approved(), started(1, 7)]), ExportStatus::Generating),
        (history(&[approved(), started(1, 7), generated(1)]), ExportStatus::Generated),
        (history(&[approved(), started(1, 7), failed(1, true)]), ExportStatus::Failed),
        (history(&[rejected()]), ExportStatus::Rejected),
        (history(&[approved(), cancelled()]), ExportStatus::Cancelled),
        (history(&[approved(), started(1, 7), generated(1), removed()]), ExportStatus::Removed),
    ]
}

#[test]
fn every_status_is_reached_and_survives_storing() {
    let histories = every_status();
    assert_eq!(histories.iter().map(|(_, status)| *status).collect::<Vec<_>>(), ExportStatus::ALL);
    for (events, status) in histories {
        let export: Export = fold(events);
        assert_eq!(export.status(), Some(status));
        assert_state_survives_storing(&export);
    }
}

#[test]
fn an_export_is_requested_once() {
    let ask = |request: Requested| ExportCommand::Request(Box::new(request));
    given(vec![]).when(ask(request())).then_expect_events(vec![requested()]);
    given(vec![requested()]).when(ask(request())).then_expect_events(vec![]);
    given(made()).when(ask(request())).then_expect_events(vec![]);
    let other = Requested { format: ExportFormat::Parquet, columns: vec![], ..request() };
    given(vec![requested()])
        .when(ask(other))
        .then_expect_error(ExportError::Exists { fields: vec!["format", "columns"] });
}

#[test]
fn a_request_is_bounded() {
    let refused = |request: Requested, error: ExportError| {
        given(vec![]).when(ExportCommand::Request(Box::new(request))).then_expect_error(error);
    };
    let filter = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let many = (0..=MAX_FILTERS).map(|number| (number.to_string(), String::new())).collect();
    refused(Requested { filters: many, ..request() }, ExportError::Filters);
    refused(Requested { filters: filter("", "x"), ..request() }, ExportError::Filters);
    refused(Requested { filters: filter("a", &"x".repeat(MAX_FILTER_BYTES + 1)), ..request() }, ExportError::Filters);
    refused(Requested { filters: filter("a", "x\0"), ..request() }, ExportError::Filters);
    let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    refused(Requested { columns: columns(&["a", "b", "a"]), ..request() }, ExportError::Columns);
    refused(Requested { columns: columns(&["a\n"]), ..request() }, ExportError::Columns);
    let many = (0..=MAX_COLUMNS).map(|number| number.to_string()).collect();
    refused(Requested { columns: many, ..request() }, ExportError::Columns);
    let twice = vec![destination("mail"), destination("mail")];
    refused(Requested { deliver_to: twice, ..request() }, ExportError::Destinations);
}

#[test]
fn nothing_can_be_asked_of_an_export_that_is_not_there() {
    for command in [
        ExportCommand::Approve(approve()),
        ExportCommand::StartGeneration(start(1, 1)),
        cancel(),
        ExportCommand::Remove(remove()),
    ] {
        given(vec![]).when(command).then_expect_error(ExportError::NotFound);
    }
    assert_eq!(fold::<Export>(vec![approved(), started(1, 7), generated(1)]), Export::default());
}

#[test]
fn digests_are_64_lower_case_digits() {
    for text in ["", "0", &"A".repeat(64), &"0".repeat(63), &"g".repeat(64)] {
        assert!(HexDigest::parse("", text).is_err(), "{text}");
    }
    assert_eq!(HexDigest::of(&[0xab; 32]).as_str(), "ab".repeat(32));
}

#[test]
fn every_kind_names_its_action_and_permission() {
    for kind in ExportKind::ALL {
        assert_eq!(kind.action(), format!("export.{kind}"));
        assert!(kind.required_permission().contains(':'));
        assert!(kind.comes_as(kind.default_format()));
    }
}

#[test]
fn a_pack_is_a_zip_file_and_nothing_else_is() {
    let ask = |kind, format| {
        let request = Requested { kind, format, columns: vec![], ..request() };
        given(vec![]).when(ExportCommand::Request(Box::new(request)))
    };
    let (kind, format) = (ExportKind::EvidencePack, ExportFormat::Csv);
    ask(kind, format).then_expect_error(ExportError::Format { kind, format });
    let (kind, format) = (ExportKind::Transactions, ExportFormat::Zip);
    ask(kind, format).then_expect_error(ExportError::Format { kind, format });
}
