//! Deliveries, verification and collection.

use super::*;

fn schedule(id: &str, to: &str, why: DeliveryCause) -> ExportCommand {
    ExportCommand::ScheduleDelivery { delivery_id: delivery(id), destination: destination(to), why }
}

fn attempt(id: &str, attempt: u64, outcome: DeliveryOutcome) -> ExportCommand {
    ExportCommand::RecordDeliveryAttempt {
        delivery_id: delivery(id),
        attempt,
        outcome,
        detail: Some(line("said so")),
        retry_at: Some(days_ahead(1)),
        at: now(),
    }
}

fn verified(result: VerificationResult, findings: &[&str]) -> Verified {
    let findings = findings.iter().map(|text| line(text)).collect();
    Verified { result, findings, by: actor("usr_looks"), at: now() }
}

fn with(more: &[ExportEvent]) -> Vec<ExportEvent> {
    [made().as_slice(), more].concat()
}

#[test]
fn a_delivery_goes_only_where_the_export_was_approved_to_go() {
    let first = schedule("dlv_1", "archive", DeliveryCause::First);
    given(made()).when(first.clone()).then_expect_events(vec![scheduled("dlv_1", "archive", DeliveryCause::First)]);
    given(made())
        .when(schedule("dlv_1", "elsewhere", DeliveryCause::Redeliver))
        .then_expect_error(ExportError::DestinationNotApproved { destination: destination("elsewhere") });
    for (events, status) in every_status() {
        if status != ExportStatus::Generated {
            given(events).when(first.clone()).then_expect_error(ExportError::NoFile { status });
        }
    }
}

#[test]
fn a_delivery_is_scheduled_once() {
    let first = scheduled("dlv_1", "archive", DeliveryCause::First);
    let before = with(std::slice::from_ref(&first));
    given(before.clone()).when(schedule("dlv_1", "archive", DeliveryCause::First)).then_expect_events(vec![]);
    given(before.clone())
        .when(schedule("dlv_1", "mail", DeliveryCause::First))
        .then_expect_error(ExportError::DeliveryExists);
    given(before.clone())
        .when(schedule("dlv_2", "archive", DeliveryCause::Redeliver))
        .then_expect_error(ExportError::DeliveryUnderWay { destination: destination("archive") });
    let done = [before, vec![attempted("dlv_1", "archive", 1, DeliveryOutcome::Delivered)]].concat();
    given(done.clone()).when(schedule("dlv_2", "archive", DeliveryCause::First)).then_expect_events(vec![]);
    given(done).when(schedule("dlv_2", "archive", DeliveryCause::Redeliver)).then_expect_events(vec![scheduled(
        "dlv_2",
        "archive",
        DeliveryCause::Redeliver,
    )]);
}

#[test]
fn attempts_of_a_delivery_follow_one_another_until_it_is_over() {
    use DeliveryOutcome::{Dead, Delivered, Failed};
    let open = with(&[scheduled("dlv_1", "archive", DeliveryCause::First)]);
    given(open.clone())
        .when(attempt("dlv_1", 1, Failed))
        .then_expect_events(vec![attempted("dlv_1", "archive", 1, Failed)]);
    given(open.clone()).when(attempt("dlv_1", 2, Failed)).then_expect_error(ExportError::StaleDelivery { attempt: 2 });
    given(open.clone()).when(attempt("dlv_9", 1, Failed)).then_expect_error(ExportError::DeliveryNotFound);
    let failed_once = [open, vec![attempted("dlv_1", "archive", 1, Failed)]].concat();
    given(failed_once.clone()).when(attempt("dlv_1", 1, Failed)).then_expect_events(vec![]);
    for outcome in [Delivered, Dead] {
        given(failed_once.clone())
            .when(attempt("dlv_1", 2, outcome))
            .then_expect_events(vec![attempted("dlv_1", "archive", 2, outcome)]);
        let over = [failed_once.clone(), vec![attempted("dlv_1", "archive", 2, outcome)]].concat();
        given(over.clone()).when(attempt("dlv_1", 2, outcome)).then_expect_events(vec![]);
        given(over).when(attempt("dlv_1", 3, Failed)).then_expect_error(ExportError::StaleDelivery { attempt: 3 });
    }
    // The file was removed while it was under way: what came of it is a fact all the same.
    let removed_meanwhile = [failed_once, vec![removed()]].concat();
    given(removed_meanwhile)
        .when(attempt("dlv_1", 2, Delivered))
        .then_expect_events(vec![attempted("dlv_1", "archive", 2, Delivered)]);
}

#[test]
fn the_delivery_status_counts_the_last_delivery_to_each_destination() {
    use DeliveryOutcome::{Dead, Delivered, Failed};
    let status = |more: &[ExportEvent]| fold::<Export>(with(more)).delivery_status();
    let archive = scheduled("dlv_1", "archive", DeliveryCause::First);
    let mail = scheduled("dlv_2", "mail", DeliveryCause::First);
    let archive_done = attempted("dlv_1", "archive", 1, Delivered);
    let archive_dead = attempted("dlv_1", "archive", 1, Dead);
    let mail_done = attempted("dlv_2", "mail", 1, Delivered);
    let mail_dead = attempted("dlv_2", "mail", 1, Dead);
    assert_eq!(status(&[]), DeliveryStatus::Pending);
    assert_eq!(status(&[archive.clone(), archive_done.clone()]), DeliveryStatus::Pending);
    let both = [archive, mail, archive_done];
    assert_eq!(status(&[&both[..], &[attempted("dlv_2", "mail", 1, Failed)]].concat()), DeliveryStatus::Pending);
    assert_eq!(status(&[&both[..], std::slice::from_ref(&mail_done)].concat()), DeliveryStatus::Delivered);
    let partial = [&both[..], std::slice::from_ref(&mail_dead)].concat();
    assert_eq!(status(&partial), DeliveryStatus::Partial);
    assert_eq!(status(&[&both[..2], &[archive_dead, mail_dead]].concat()), DeliveryStatus::Failed);
    let again = [scheduled("dlv_3", "mail", DeliveryCause::Redeliver), attempted("dlv_3", "mail", 1, Delivered)];
    assert_eq!(status(&[&partial[..], &again[..1]].concat()), DeliveryStatus::Pending);
    assert_eq!(status(&[partial, again.to_vec()].concat()), DeliveryStatus::Delivered);
    assert_eq!(status(&[&both[..], &[removed()]].concat()), DeliveryStatus::Partial);
    let nowhere = ExportEvent::Requested(Requested { deliver_to: vec![], ..request() });
    assert_eq!(fold::<Export>(vec![nowhere]).delivery_status(), DeliveryStatus::None);
    assert_eq!(fold::<Export>(vec![requested(), rejected()]).delivery_status(), DeliveryStatus::None);
}

#[test]
fn destinations_without_a_delivery_are_known() {
    let export: Export = fold(with(&[scheduled("dlv_1", "archive", DeliveryCause::First)]));
    assert!(export.destinations_not_scheduled().eq([&destination("mail")]));
    assert!(export.delivery(&delivery("dlv_1")).unwrap().is_open());
    assert_state_survives_storing(&export);
}

#[test]
fn a_verification_says_what_it_found() {
    use VerificationResult::{Failed, Tampered, Verified as Right};
    for (result, findings, status) in [
        (Right, &[][..], VerificationStatus::Verified),
        (Tampered, &["file_changed"][..], VerificationStatus::Tampered),
        (Failed, &["missing"][..], VerificationStatus::Failed),
    ] {
        let event = ExportEvent::Verified(verified(result, findings));
        let command = ExportCommand::RecordVerification(verified(result, findings));
        given(made()).when(command.clone()).then_expect_events(vec![event.clone()]);
        given(with(std::slice::from_ref(&event))).when(command).then_expect_events(vec![]);
        assert_eq!(fold::<Export>(with(&[event])).verification_status(), status);
    }
    assert_eq!(fold::<Export>(made()).verification_status(), VerificationStatus::Unverified);
    let too_many = vec!["x"; MAX_FINDINGS + 1];
    for (result, findings) in [(Right, &["x"][..]), (Tampered, &[]), (Failed, &[]), (Tampered, &too_many)] {
        given(made())
            .when(ExportCommand::RecordVerification(verified(result, findings)))
            .then_expect_error(ExportError::Findings);
    }
    given(vec![requested()])
        .when(ExportCommand::RecordVerification(verified(Right, &[])))
        .then_expect_error(ExportError::NoFile { status: ExportStatus::Requested });
}

#[test]
fn an_export_is_collected_once_by_whoever_requested_it() {
    let by = |name: &str| Collected { by: actor(name), at: now() };
    let collected = ExportEvent::Collected(by("usr_asks"));
    given(made()).when(ExportCommand::Collect(by("usr_asks"))).then_expect_events(vec![collected.clone()]);
    given(made()).when(ExportCommand::Collect(by("usr_other"))).then_expect_error(ExportError::NotYours);
    let after = with(&[collected]);
    given(after.clone()).when(ExportCommand::Collect(by("usr_asks"))).then_expect_events(vec![]);
    let later = Collected { at: days_ahead(1), ..by("usr_asks") };
    given(after.clone()).when(ExportCommand::Collect(later)).then_expect_error(ExportError::AlreadyCollected);
    assert!(fold::<Export>(made()).waits_to_be_collected());
    assert!(!fold::<Export>(after).waits_to_be_collected());
    given(vec![requested()])
        .when(ExportCommand::Collect(by("usr_asks")))
        .then_expect_error(ExportError::NoFile { status: ExportStatus::Requested });
    let plain = ExportEvent::Requested(Requested { collect: false, ..request() });
    given(vec![plain]).when(ExportCommand::Collect(by("usr_asks"))).then_expect_error(ExportError::NotCollectable);
}
