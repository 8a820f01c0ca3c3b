//! Given events, when a command, then events or a refusal.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::*;
use crate::approval::RequiredPermission;
use crate::export::{ExportFormat, ExportKind, RestsOn};
use crate::names::{ApprovalId, DestinationName};
use crate::testing::{
    actor, assert_state_survives_storing, days_ahead, fold, line, now, permission, reason, short, time,
};

mod calendar;
mod running;
mod standing;

fn schedule_id(id: &str) -> ScheduleId {
    ScheduleId::parse("", id).unwrap()
}

fn approval(id: &str) -> ApprovalId {
    ApprovalId::parse("", id).unwrap()
}

/// Transactions in euros, each morning at six in Zurich, since the morning before.
fn export() -> ScheduledExport {
    ScheduledExport {
        kind: ExportKind::Transactions,
        format: ExportFormat::Csv,
        filters: BTreeMap::from([("currency".to_owned(), "EUR".to_owned())]),
        columns: vec!["transaction_id".to_owned(), "amount".to_owned()],
        deliver_to: vec![DestinationName::parse("", "archive").unwrap()],
        cron: line("0 6 * * *"),
        time_zone: short("Europe/Zurich"),
        period: Period::SincePrevious,
    }
}

fn at_times(cron: &str) -> ScheduledExport {
    ScheduledExport { cron: line(cron), ..export() }
}

fn over(period: Period) -> ScheduledExport {
    ScheduledExport { period, ..export() }
}

/// Made at ten in the morning, UTC, of 21 November 2026: a Saturday.
fn creation(export: ScheduledExport) -> Created {
    Created {
        schedule_id: schedule_id("sch_1"),
        name: line("Daily transactions"),
        export,
        required_permissions: vec![RequiredPermission { name: permission("transaction:read"), department: None }],
        created_by: actor("key_1"),
        person: actor("usr_asks"),
        reason: Some(reason("For the portal")),
        at: now(),
    }
}

fn created_with(export: ScheduledExport) -> ExportScheduleEvent {
    ExportScheduleEvent::Created(Box::new(creation(export)))
}

fn created() -> ExportScheduleEvent {
    created_with(export())
}

fn create(export: ScheduledExport) -> ExportScheduleCommand {
    ExportScheduleCommand::Create(Box::new(creation(export)))
}

fn change(export: ScheduledExport, at: Timestamp) -> ExportScheduleCommand {
    let required_permissions = creation(export.clone()).required_permissions;
    let (by, reason) = (actor("key_1"), None);
    ExportScheduleCommand::Change { export: Box::new(export), required_permissions, revision: 1, by, reason, at }
}

fn changed(export: ScheduledExport, at: Timestamp) -> ExportScheduleEvent {
    let required_permissions = creation(export.clone()).required_permissions;
    let (by, reason) = (actor("key_1"), None);
    let displaces = None;
    ExportScheduleEvent::Changed(Box::new(Changed {
        revision: 2,
        export,
        required_permissions,
        by,
        reason,
        displaces,
        at,
    }))
}

fn pause(at: Timestamp) -> ExportScheduleCommand {
    ExportScheduleCommand::Pause { by: actor("usr_keeps"), binds: false, reason: reason("The portal is down"), at }
}

fn paused(at: Timestamp) -> ExportScheduleEvent {
    ExportScheduleEvent::Paused(Paused {
        by: actor("usr_keeps"),
        reason: reason("The portal is down"),
        binds: false,
        at,
    })
}

fn resume(at: Timestamp) -> ExportScheduleCommand {
    ExportScheduleCommand::Resume { by: actor("usr_keeps"), is_owner: true, at }
}

fn resumed(at: Timestamp) -> ExportScheduleEvent {
    ExportScheduleEvent::Resumed(Resumed { by: actor("usr_keeps"), at })
}

fn end(at: Timestamp) -> ExportScheduleCommand {
    ExportScheduleCommand::End { by: actor("usr_asks"), reason: reason("The portal is gone"), at }
}

fn ended(at: Timestamp) -> ExportScheduleEvent {
    ExportScheduleEvent::Ended(Ended {
        by: actor("usr_asks"),
        reason: reason("The portal is gone"),
        displaces: None,
        at,
    })
}

fn run(cause: RunCause, scheduled_for: Option<Timestamp>, rests_on: RestsOn, at: Timestamp) -> ExportScheduleCommand {
    ExportScheduleCommand::Run { cause, scheduled_for, rests_on, opened: 0, by: None, at }
}

fn run_due(scheduled_for: &str, at: &str) -> ExportScheduleCommand {
    run(RunCause::Due, Some(time(scheduled_for)), RestsOn::Own, time(at))
}

fn run_asked(at: &str) -> ExportScheduleCommand {
    run(RunCause::Asked, None, RestsOn::Own, time(at))
}

fn given(events: Vec<ExportScheduleEvent>) -> AggregateTestExecutor<ExportSchedule> {
    TestFramework::<ExportSchedule>::with(()).given(events)
}

/// What a command leads to that was given by somebody who has seen all runs opened.
fn decide(
    schedule: &ExportSchedule,
    mut command: ExportScheduleCommand,
) -> Result<Vec<ExportScheduleEvent>, ExportScheduleError> {
    if let ExportScheduleCommand::Run { opened, .. } = &mut command {
        *opened = schedule.runs();
    }
    schedule.decide(command)
}

/// The schedule after these commands, all of which must be accepted.
fn after(export: ScheduledExport, commands: Vec<ExportScheduleCommand>) -> ExportSchedule {
    let mut schedule = ExportSchedule::default();
    for mut command in std::iter::once(create(export)).chain(commands) {
        if let ExportScheduleCommand::Change { revision, .. } = &mut command {
            *revision = schedule.revision();
        }
        decide(&schedule, command).unwrap().into_iter().for_each(|event| schedule.fold(event));
    }
    schedule
}

#[test]
fn a_schedule_is_made_once() {
    given(vec![]).when(create(export())).then_expect_events(vec![created()]);
    given(vec![created()]).when(create(export())).then_expect_events(vec![]);
    let other = Created { name: line("Another"), export: over(Period::Day), ..creation(export()) };
    given(vec![created()])
        .when(ExportScheduleCommand::Create(Box::new(other)))
        .then_expect_error(ExportScheduleError::Exists { fields: vec!["name", "export"] });
}

#[test]
fn nothing_can_be_asked_of_a_schedule_that_is_not_there() {
    for command in [pause(now()), resume(now()), end(now()), change(export(), now()), run_asked("2026-11-22T04:00:00Z")]
    {
        given(vec![]).when(command).then_expect_error(ExportScheduleError::NotFound);
    }
    let nothing: ExportSchedule = fold(vec![paused(now()), ended(now())]);
    assert!(!nothing.exists() && nothing.due(days_ahead(9)).is_none() && nothing.next_after(now(), 3).is_empty());
}

#[test]
fn a_schedule_is_bounded() {
    let refused = |export: ScheduledExport, error: ExportScheduleError| {
        given(vec![]).when(create(export.clone())).then_expect_error(error.clone());
        given(vec![created()]).when(change(export, now())).then_expect_error(error);
    };
    let filters = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let numbered = |count: usize| (0..count).map(|number| (number.to_string(), String::new())).collect();
    let bounded = ExportScheduleError::PeriodFilters;
    refused(ScheduledExport { filters: filters(&[("start", "2026-01-01")]), ..export() }, bounded.clone());
    refused(ScheduledExport { filters: filters(&[("end", "2026-01-01")]), ..over(Period::Day) }, bounded);
    refused(ScheduledExport { filters: numbered(49), ..export() }, ExportScheduleError::Filters);
    refused(ScheduledExport { filters: numbered(51), ..over(Period::None) }, ExportScheduleError::Filters);
    refused(ScheduledExport { filters: filters(&[("a", "\0")]), ..export() }, ExportScheduleError::Filters);
    let long: BTreeMap<_, _> = [("a", 32_000), ("b", 32_000), ("c", 32_000)]
        .into_iter()
        .map(|(name, length)| (name.to_owned(), "x".repeat(length)))
        .collect();
    refused(ScheduledExport { filters: long, ..export() }, ExportScheduleError::TooLong);
    // To the byte: what is accepted can be run.
    let mut accepted = 0;
    for length in 32_000..32_769 {
        let texts =
            |length: usize| [("a", 32_768), ("b", length)].map(|(name, length)| (name.to_owned(), "x".repeat(length)));
        let export = ScheduledExport { filters: texts(length).into(), columns: vec![], ..export() };
        let Ok(events) = ExportSchedule::default().decide(create(export)) else { break };
        let schedule: ExportSchedule = fold(events);
        let events = schedule.decide(run_asked("2026-11-22T04:00:00Z")).unwrap();
        let [ExportScheduleEvent::Run(run)] = events.as_slice() else { panic!("one run") };
        assert!(schedule.requested_of(run).is_ok(), "{length}");
        accepted += 1;
    }
    assert!((1..769).contains(&accepted), "the bound was met: {accepted}");
    let twice = vec!["amount".to_owned(), "amount".to_owned()];
    refused(ScheduledExport { columns: twice, ..export() }, ExportScheduleError::Columns);
    let archive = export().deliver_to.remove(0);
    refused(
        ScheduledExport { deliver_to: vec![archive.clone(), archive], ..export() },
        ExportScheduleError::Destinations,
    );
    refused(ScheduledExport { time_zone: short("Mars/Olympus"), ..export() }, ExportScheduleError::TimeZone);
    refused(at_times("* * * * *"), ExportScheduleError::TooOften);
    refused(at_times("0 0 30 2 *"), ExportScheduleError::Never);
    let Err(ExportScheduleError::Cron { .. }) = ExportSchedule::default().decide(create(at_times("0 6 * *"))) else {
        panic!("four fields are no cron expression")
    };
    let mut many = creation(export());
    many.required_permissions = vec![many.required_permissions.remove(0); 521];
    given(vec![])
        .when(ExportScheduleCommand::Create(Box::new(many)))
        .then_expect_error(ExportScheduleError::Permissions);
    let fixed = filters(&[("start", "2026-01-01T00:00:00.000000Z"), ("end", "2026-12-31T00:00:00.000000Z")]);
    let fixed = ScheduledExport { filters: fixed, ..over(Period::None) };
    given(vec![]).when(create(fixed.clone())).then_expect_events(vec![created_with(fixed)]);
}

#[test]
fn pausing_resuming_and_ending_take_effect_once() {
    let later = days_ahead(1);
    given(vec![created()]).when(pause(later)).then_expect_events(vec![paused(later)]);
    given(vec![created(), paused(now())]).when(pause(later)).then_expect_events(vec![]);
    given(vec![created(), paused(now())]).when(resume(later)).then_expect_events(vec![resumed(later)]);
    given(vec![created()]).when(resume(later)).then_expect_events(vec![]);
    given(vec![created(), paused(now())]).when(end(later)).then_expect_events(vec![ended(later)]);
    given(vec![created(), ended(now())]).when(end(later)).then_expect_events(vec![]);
    for command in [
        pause(later),
        resume(later),
        change(over(Period::Day), later),
        run_asked("2026-11-25T00:00:00Z"),
        run_due("2026-11-22T05:00:00Z", "2026-11-25T00:00:00Z"),
        standing::request("apr_1", days_ahead(30)),
    ] {
        given(vec![created(), ended(now())]).when(command).then_expect_error(ExportScheduleError::Ended);
    }
}

#[test]
fn somebody_elses_pause_binds_the_owner() {
    let bound =
        |binds| ExportScheduleCommand::Pause { by: actor("usr_keeps"), binds, reason: reason("Freeze"), at: now() };
    let resumed_by = |is_owner| ExportScheduleCommand::Resume { by: actor("usr_1"), is_owner, at: now() };
    let schedule = after(export(), vec![bound(false), bound(true), bound(false)]);
    assert!(schedule.paused().unwrap().binds, "it takes the place of the owner's, and not the other way round");
    let refusal = ExportScheduleError::PausedByOther { by: actor("usr_keeps") };
    assert_eq!(schedule.decide(resumed_by(true)), Err(refusal));
    assert_eq!(schedule.decide(resumed_by(false)).unwrap().len(), 1);
    assert_eq!(after(export(), vec![bound(false)]).decide(resumed_by(true)).unwrap().len(), 1);
}

#[test]
fn a_change_made_from_what_is_not_so_any_more_is_refused() {
    let schedule = after(export(), vec![change(over(Period::Day), now())]);
    assert_eq!(schedule.decide(change(over(Period::Week), now())), Err(ExportScheduleError::ChangedMeanwhile));
    assert_eq!(schedule.decide(change(over(Period::Day), now())), Ok(vec![]), "what is so already is no loss");
}

#[test]
fn a_change_is_numbered_and_the_same_changes_nothing() {
    let later = days_ahead(1);
    let weekly = at_times("0 6 * * MON");
    given(vec![created()]).when(change(weekly.clone(), later)).then_expect_events(vec![changed(weekly, later)]);
    given(vec![created()]).when(change(export(), later)).then_expect_events(vec![]);
    let schedule = after(export(), vec![change(over(Period::Day), later), change(over(Period::Week), later)]);
    assert_eq!((schedule.revision(), schedule.export().unwrap().period), (3, Period::Week));
    assert_eq!(schedule.reason().unwrap().as_str(), "For the portal");
}

#[test]
fn the_state_survives_storing() {
    let at = |text: &str| time(text);
    let schedule = after(
        export(),
        vec![
            run_due("2026-11-22T05:00:00Z", "2026-11-22T05:00:01Z"),
            standing::request("apr_1", days_ahead(30)),
            change(over(Period::Day), at("2026-11-22T07:00:00Z")),
            standing::request("apr_2", days_ahead(30)),
            standing::approve("apr_2", days_ahead(30)),
            pause(at("2026-11-22T08:00:00Z")),
        ],
    );
    assert_eq!(schedule.status(), Some(ScheduleStatus::Paused));
    assert_state_survives_storing(&schedule);
    assert_state_survives_storing(&ExportSchedule::default());
}
