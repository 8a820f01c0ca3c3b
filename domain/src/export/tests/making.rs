//! Approval, generation, cancellation and removal.

use super::*;

fn record(fence: u64, generated: Generated) -> ExportCommand {
    ExportCommand::RecordGenerated { fence, generated: Box::new(generated) }
}

fn record_failure(fence: u64, failed: GenerationFailed) -> ExportCommand {
    ExportCommand::RecordGenerationFailed { fence, failed }
}

fn reject() -> ExportCommand {
    ExportCommand::Reject { approval_id: approval("apr_1"), why: RejectionCause::Rejected }
}

fn stale(attempt: u64, fence: u64) -> ExportError {
    ExportError::StaleAttempt { attempt, fence }
}

#[test]
fn approval_is_recorded_once_and_only_of_its_own() {
    given(vec![requested()]).when(ExportCommand::Approve(approve())).then_expect_events(vec![approved()]);
    let later = Approved { at: days_ahead(1), ..approve() };
    given(made()).when(ExportCommand::Approve(later)).then_expect_events(vec![]);
    let again = Approved { execution_id: line("exp_2"), ..approve() };
    given(vec![requested(), approved()])
        .when(ExportCommand::Approve(again))
        .then_expect_error(ExportError::AlreadyDecided { status: ExportStatus::Approved });
    let other = Approved { approval_id: approval("apr_2"), ..approve() };
    given(vec![requested()]).when(ExportCommand::Approve(other)).then_expect_error(ExportError::OtherApproval);
}

#[test]
fn what_was_rejected_or_cancelled_is_not_approved_any_more() {
    given(vec![requested()]).when(reject()).then_expect_events(vec![rejected()]);
    given(vec![requested(), rejected()]).when(reject()).then_expect_events(vec![]);
    given(vec![requested(), rejected()])
        .when(ExportCommand::Approve(approve()))
        .then_expect_error(ExportError::AlreadyDecided { status: ExportStatus::Rejected });
    given(vec![requested(), cancelled()])
        .when(ExportCommand::Approve(approve()))
        .then_expect_error(ExportError::AlreadyDecided { status: ExportStatus::Cancelled });
    given(made()).when(reject()).then_expect_error(ExportError::AlreadyDecided { status: ExportStatus::Generated });
    let other = ExportCommand::Reject { approval_id: approval("apr_2"), why: RejectionCause::Expired };
    given(vec![requested()]).when(other).then_expect_error(ExportError::OtherApproval);
}

#[test]
fn what_was_let_through_is_rejected_while_there_is_no_file() {
    given(vec![requested(), approved()]).when(reject()).then_expect_events(vec![rejected()]);
    let running = vec![requested(), approved(), started(1, 7)];
    given(running.clone()).when(reject()).then_expect_events(vec![rejected()]);
    let overtaken: Vec<ExportEvent> = running.into_iter().chain([rejected()]).collect();
    let status = ExportStatus::Rejected;
    given(overtaken.clone()).when(record(7, file(1))).then_expect_error(ExportError::NotToBeGenerated { status });
    given(overtaken)
        .when(ExportCommand::StartGeneration(start(2, 7)))
        .then_expect_error(ExportError::NotToBeGenerated { status });
}

#[test]
fn interruptions_are_counted_apart_from_failures_and_each_attempt_once() {
    let interrupted =
        |attempt| ExportEvent::GenerationFailed(GenerationFailed { is_interruption: true, ..failure(attempt, false) });
    let mut export = Export::default();
    let events = [
        requested(),
        approved(),
        started(1, 7),
        interrupted(1),
        started(2, 7),
        failed(2, false),
        started(3, 8),
        interrupted(3),
        started(4, 8),
        failed(4, false),
        failed(4, true),
    ];
    events.into_iter().for_each(|event| export.fold(event));
    assert_eq!((export.failures(), export.interruptions()), (2, 2));
    assert_eq!(export.status(), Some(ExportStatus::Failed));
}

#[test]
fn nothing_is_generated_that_is_not_approved_or_is_over() {
    for (events, status) in every_status() {
        if matches!(status, ExportStatus::Approved | ExportStatus::Generating) {
            continue;
        }
        given(events)
            .when(ExportCommand::StartGeneration(start(1, 7)))
            .then_expect_error(ExportError::NotToBeGenerated { status });
    }
}

#[test]
fn attempts_are_begun_one_after_another_under_a_fence_that_never_falls() {
    let begin = |attempt, fence| ExportCommand::StartGeneration(start(attempt, fence));
    given(vec![requested(), approved()]).when(begin(1, 7)).then_expect_events(vec![started(1, 7)]);
    given(vec![requested(), approved()]).when(begin(2, 7)).then_expect_error(stale(2, 7));
    given(vec![requested(), approved()]).when(begin(0, 7)).then_expect_error(stale(0, 7));
    let running = vec![requested(), approved(), started(1, 7)];
    given(running.clone()).when(begin(1, 7)).then_expect_events(vec![]);
    given(running.clone()).when(begin(1, 8)).then_expect_error(stale(1, 8));
    given(running.clone()).when(begin(2, 6)).then_expect_error(stale(2, 6));
    given(running.clone()).when(begin(2, 7)).then_expect_events(vec![started(2, 7)]);
    given(running).when(begin(2, 8)).then_expect_events(vec![started(2, 8)]);
    // The same number again would be the attempt that failed, not a new one.
    let failed_once = vec![requested(), approved(), started(1, 7), failed(1, false)];
    given(failed_once.clone()).when(begin(1, 7)).then_expect_error(stale(1, 7));
    given(failed_once).when(begin(2, 7)).then_expect_events(vec![started(2, 7)]);
}

#[test]
fn only_the_attempt_begun_last_makes_the_export() {
    let overtaken = vec![requested(), approved(), started(1, 7), started(2, 8)];
    given(overtaken.clone()).when(record(7, file(1))).then_expect_error(stale(1, 7));
    given(overtaken.clone()).when(record(7, file(2))).then_expect_error(stale(2, 7));
    given(overtaken.clone()).when(record(8, file(3))).then_expect_error(stale(3, 8));
    given(overtaken.clone()).when(record(8, file(2))).then_expect_events(vec![generated(2)]);
    given(overtaken.clone()).when(record_failure(7, failure(1, true))).then_expect_error(stale(1, 7));
    given(overtaken).when(record_failure(8, failure(2, true))).then_expect_events(vec![failed(2, true)]);
}

#[test]
fn the_file_is_recorded_once() {
    let later = Generated { at: days_ahead(1), ..file(1) };
    given(made()).when(record(7, later)).then_expect_events(vec![]);
    let other = Generated { blake3: digest('9'), ..file(1) };
    given(made()).when(record(7, other)).then_expect_error(stale(1, 7));
    given(made()).when(record(8, file(2))).then_expect_error(stale(2, 8));
    let export: Export = fold(made());
    assert!(export.has_file());
    assert_eq!(export.generated(), Some(&file(1)));
}

#[test]
fn an_attempt_that_failed_makes_nothing_and_a_final_failure_ends_it() {
    let running = vec![requested(), approved(), started(1, 7)];
    given(running.clone()).when(record_failure(7, failure(1, false))).then_expect_events(vec![failed(1, false)]);
    let failed_once = [running, vec![failed(1, false)]].concat();
    assert_eq!(fold::<Export>(failed_once.clone()).status(), Some(ExportStatus::Generating));
    given(failed_once.clone()).when(record(7, file(1))).then_expect_error(stale(1, 7));
    given(failed_once.clone()).when(record_failure(7, failure(1, false))).then_expect_events(vec![]);
    given(failed_once.clone()).when(record_failure(7, failure(1, true))).then_expect_events(vec![failed(1, true)]);
    let failed_for_good = [failed_once, vec![failed(1, true)]].concat();
    given(failed_for_good)
        .when(ExportCommand::StartGeneration(start(2, 7)))
        .then_expect_error(ExportError::NotToBeGenerated { status: ExportStatus::Failed });
}

#[test]
fn an_export_is_cancelled_only_while_there_is_no_file() {
    for (events, status) in every_status() {
        let executor = given(events);
        match status {
            ExportStatus::Requested | ExportStatus::Approved | ExportStatus::Generating => {
                executor.when(cancel()).then_expect_events(vec![cancelled()]);
            }
            ExportStatus::Cancelled => executor.when(cancel()).then_expect_events(vec![]),
            _ => executor.when(cancel()).then_expect_error(ExportError::TooLateToCancel { status }),
        }
    }
    let cancelled_meanwhile = vec![requested(), approved(), started(1, 7), cancelled()];
    given(cancelled_meanwhile)
        .when(record(7, file(1)))
        .then_expect_error(ExportError::NotToBeGenerated { status: ExportStatus::Cancelled });
}

#[test]
fn a_file_is_removed_only_where_there_is_one() {
    for (events, status) in every_status() {
        let executor = given(events);
        match status {
            ExportStatus::Generated => {
                executor.when(ExportCommand::Remove(remove())).then_expect_events(vec![removed()]);
            }
            ExportStatus::Removed => executor.when(ExportCommand::Remove(remove())).then_expect_events(vec![]),
            _ => executor.when(ExportCommand::Remove(remove())).then_expect_error(ExportError::NoFile { status }),
        }
    }
    let after: Export = fold([made(), vec![removed()]].concat());
    assert!(!after.has_file());
    assert!(after.generated().is_some(), "what was in the file stays known");
}
