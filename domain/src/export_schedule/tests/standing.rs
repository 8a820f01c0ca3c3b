//! What is agreed to beforehand: asked for, approved, ended; and what rests on it.

use super::*;

pub(super) fn request(id: &str, until: Timestamp) -> ExportScheduleCommand {
    ExportScheduleCommand::RequestStanding { approval_id: approval(id), until, by: actor("key_1"), at: now() }
}

fn approved(id: &str, until: Timestamp) -> StandingApproved {
    StandingApproved {
        approval_id: approval(id),
        execution_id: line("sch_1"),
        policy_version: 2,
        approved_by: vec![actor("usr_agrees")],
        until,
        at: days_ahead(1),
    }
}

pub(super) fn approve(id: &str, until: Timestamp) -> ExportScheduleCommand {
    ExportScheduleCommand::ApproveStanding(approved(id, until))
}

fn end_standing(id: &str, why: StandingEnd) -> ExportScheduleCommand {
    ExportScheduleCommand::EndStanding { approval_id: approval(id), why, at: days_ahead(2) }
}

fn month() -> Timestamp {
    days_ahead(30)
}

fn with_standing() -> Vec<ExportScheduleCommand> {
    vec![request("apr_1", month()), approve("apr_1", month())]
}

fn refused(schedule: &ExportSchedule, command: ExportScheduleCommand) -> ExportScheduleError {
    decide(schedule, command).unwrap_err()
}

#[test]
fn it_is_asked_for_with_the_digest_of_what_is_agreed_to() {
    let schedule = after(export(), vec![request("apr_1", month())]);
    let pending = schedule.pending().unwrap();
    assert_eq!(pending.digest, schedule.action(month()).unwrap().digest());
    assert_eq!(schedule.decide(request("apr_1", month())), Ok(vec![]));
    // Another takes its place.
    let again = after(export(), vec![request("apr_1", month()), request("apr_2", days_ahead(60))]);
    assert_eq!(again.pending().unwrap().approval_id, approval("apr_2"));
    assert_eq!(refused(&again, approve("apr_1", month())), ExportScheduleError::OtherApproval);
}

#[test]
fn it_holds_for_400_days_at_most() {
    let schedule = after(export(), vec![]);
    for until in [now(), days_ahead(-1), days_ahead(401)] {
        assert_eq!(refused(&schedule, request("apr_1", until)), ExportScheduleError::Until);
    }
    assert!(schedule.decide(request("apr_1", days_ahead(400))).is_ok());
}

#[test]
fn whatever_decides_what_leaves_the_house_is_in_its_digest() {
    let of =
        |export: ScheduledExport, until: Timestamp| after(export, vec![]).action(until).unwrap().digest().to_string();
    let archive = export().deliver_to;
    let other_filters = BTreeMap::from([("currency".to_owned(), "USD".to_owned())]);
    let mut digests = vec![
        of(export(), month()),
        of(export(), days_ahead(31)),
        of(ScheduledExport { kind: ExportKind::Incidents, ..export() }, month()),
        of(ScheduledExport { format: ExportFormat::Json, ..export() }, month()),
        of(ScheduledExport { filters: other_filters, ..export() }, month()),
        of(ScheduledExport { columns: vec![], ..export() }, month()),
        of(ScheduledExport { deliver_to: vec![], ..export() }, month()),
        of(ScheduledExport { deliver_to: archive, ..at_times("0 7 * * *") }, month()),
        of(ScheduledExport { time_zone: short("UTC"), ..export() }, month()),
        of(over(Period::Day), month()),
    ];
    let other = Created { schedule_id: schedule_id("sch_2"), ..creation(export()) };
    let other: ExportSchedule = fold(vec![ExportScheduleEvent::Created(Box::new(other))]);
    digests.push(other.action(month()).unwrap().digest().to_string());
    let count = digests.len();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), count);
    let action = after(export(), vec![]).action(month()).unwrap();
    assert_eq!((action.action.as_str(), action.resource_type.as_str()), ("export.transactions", "export_schedule"));
    assert_eq!((action.resource_id.as_str(), action.parameters["run_now"].as_str()), ("sch_1", "true"));
    assert!(action.summary.as_str().contains("without further approval until 2026-12-21"));
}

#[test]
fn it_is_approved_as_it_was_asked_for_and_once() {
    let pending = after(export(), vec![request("apr_1", month())]);
    assert_eq!(refused(&pending, approve("apr_9", month())), ExportScheduleError::OtherApproval);
    assert_eq!(refused(&pending, approve("apr_1", days_ahead(31))), ExportScheduleError::OtherApproval);
    let elsewhere = StandingApproved { execution_id: line("sch_2"), ..approved("apr_1", month()) };
    let elsewhere = ExportScheduleCommand::ApproveStanding(elsewhere);
    assert_eq!(refused(&pending, elsewhere), ExportScheduleError::OtherApproval);
    let late = StandingApproved { at: month(), ..approved("apr_1", month()) };
    let late = ExportScheduleCommand::ApproveStanding(late);
    assert_eq!(refused(&pending, late), ExportScheduleError::Until);

    let schedule = after(export(), with_standing());
    assert_eq!(schedule.standing(), Some(&approved("apr_1", month())));
    assert_eq!(schedule.pending(), None);
    assert_eq!(schedule.decide(approve("apr_1", month())), Ok(vec![]));
    assert_eq!(refused(&schedule, request("apr_1", days_ahead(60))), ExportScheduleError::OtherApproval);
}

#[test]
fn one_in_force_stays_so_while_the_next_is_waited_for() {
    let schedule = after(export(), [with_standing(), vec![request("apr_2", days_ahead(60))]].concat());
    assert_eq!(schedule.standing().unwrap().approval_id, approval("apr_1"));
    let renewed = after(
        export(),
        [with_standing(), vec![request("apr_2", days_ahead(60)), approve("apr_2", days_ahead(60))]].concat(),
    );
    assert_eq!(renewed.standing().unwrap().approval_id, approval("apr_2"));
    assert_eq!(refused(&renewed, end_standing("apr_1", StandingEnd::Expired)), ExportScheduleError::NoStandingApproval);
}

#[test]
fn one_that_another_took_the_place_of_is_remembered_until_that_ends() {
    let renewal = |id: &str| vec![request(id, days_ahead(60)), approve(id, days_ahead(60))];
    let renewed = [with_standing(), renewal("apr_2")].concat();
    let schedule = after(export(), renewed.clone());
    assert_eq!(schedule.standing_of(&approval("apr_1")), Some(&approved("apr_1", month())));
    assert_eq!(schedule.standing_of(&approval("apr_2")), schedule.standing());
    assert_eq!(refused(&schedule, request("apr_1", days_ahead(60))), ExportScheduleError::OtherApproval);
    let at = time("2026-11-22T04:00:00Z");
    let events = schedule.decide(run(RunCause::Asked, None, RestsOn::Standing, at)).unwrap();
    let [ExportScheduleEvent::Run(ran)] = events.as_slice() else { panic!("one run") };
    assert_eq!(ran.approval_id, approval("apr_2"), "nothing more is recorded under it");
    for command in [
        change(at_times("0 7 * * *"), days_ahead(2)),
        end(days_ahead(2)),
        end_standing("apr_2", StandingEnd::Revoked),
        end_standing("apr_2", StandingEnd::PolicyChanged),
    ] {
        let schedule = after(export(), [renewed.clone(), vec![command]].concat());
        assert_eq!(schedule.standing_of(&approval("apr_1")), None);
    }
    // The end of a request that nobody has decided on ends nothing else.
    let waiting = vec![request("apr_3", days_ahead(60)), end_standing("apr_3", StandingEnd::Withdrawn)];
    let schedule = after(export(), [renewed.clone(), waiting].concat());
    assert!(schedule.standing_of(&approval("apr_1")).is_some());
    let many = (10..10 + MAX_REPLACED).flat_map(|number| renewal(&format!("apr_{number}")));
    let schedule = after(export(), renewed.into_iter().chain(many).collect());
    assert_eq!(schedule.standing_of(&approval("apr_1")), None, "the last ten are");
    assert!(schedule.standing_of(&approval("apr_2")).is_some());
    assert_state_survives_storing(&schedule);
}

#[test]
fn a_run_rests_on_it_while_it_holds() {
    let run_at = |at: Timestamp| run(RunCause::Asked, None, RestsOn::Standing, at);
    let at = time("2026-11-22T04:00:00Z");
    assert_eq!(refused(&after(export(), vec![]), run_at(at)), ExportScheduleError::NoStandingApproval);
    let pending = after(export(), vec![request("apr_1", month())]);
    assert_eq!(refused(&pending, run_at(at)), ExportScheduleError::NoStandingApproval);

    let schedule = after(export(), [with_standing(), vec![run_at(at)]].concat());
    let ran = schedule.last_run().unwrap();
    assert_eq!((ran.rests_on, ran.approval_id.as_str()), (RestsOn::Standing, "apr_1"));
    let export_id = run_ids(&schedule_id("sch_1"), 1).unwrap().0;
    assert_eq!(ran.export_id, export_id);
    let request = schedule.requested_of(ran).unwrap();
    assert_eq!(request.schedule.unwrap().rests_on, RestsOn::Standing);

    let paused = after(export(), [with_standing(), vec![pause(now())]].concat());
    assert_eq!(refused(&paused, run_at(month())), ExportScheduleError::NoStandingApproval, "its time is over");
    let just = Timestamp::from_micros(month().micros() - 1).unwrap();
    assert!(paused.decide(run_at(just)).is_ok());
}

#[test]
fn it_ends_once_and_says_how() {
    for why in StandingEnd::ALL {
        let schedule = after(export(), [with_standing(), vec![end_standing("apr_1", *why)]].concat());
        assert_eq!(schedule.standing(), None);
        assert_eq!(schedule.last_standing_ended().unwrap().why, *why);
        assert_eq!(schedule.decide(end_standing("apr_1", *why)), Ok(vec![]));
    }
    let rejected = after(export(), vec![request("apr_1", month()), end_standing("apr_1", StandingEnd::Rejected)]);
    assert_eq!(rejected.pending(), None);
    assert_eq!(refused(&rejected, approve("apr_1", month())), ExportScheduleError::OtherApproval);
    assert_eq!(
        refused(&rejected, request("apr_1", month())),
        ExportScheduleError::OtherApproval,
        "what was rejected is asked for under a new approval"
    );
    let nothing = after(export(), vec![]);
    assert_eq!(refused(&nothing, end_standing("apr_1", StandingEnd::Revoked)), ExportScheduleError::NoStandingApproval);
}

#[test]
fn a_request_that_is_given_up_is_named() {
    let asked = |id: &str| vec![request("apr_1", month()), request(id, days_ahead(60))];
    let commands = [change(at_times("0 7 * * *"), now()), end(now()), request("apr_2", days_ahead(60)), end_both()];
    for command in commands {
        let schedule = after(export(), vec![request("apr_1", month()), command]);
        assert_eq!(schedule.displaced(), Some(&approval("apr_1")));
    }
    let later = after(export(), [asked("apr_2"), vec![change(over(Period::Day), now())]].concat());
    assert_eq!(later.displaced(), Some(&approval("apr_2")));
    let decided = after(export(), with_standing());
    assert_eq!(decided.displaced(), None, "what was decided on was not given up");
    let events = after(export(), vec![request("apr_1", month())]).decide(request("apr_2", month())).unwrap();
    let [ExportScheduleEvent::StandingRequested(event)] = events.as_slice() else { panic!("one request") };
    assert_eq!(event.displaces, Some(approval("apr_1")));
}

fn end_both() -> ExportScheduleCommand {
    ExportScheduleCommand::EndStandings { at: days_ahead(2) }
}

#[test]
fn what_holds_and_what_is_asked_for_end_together() {
    let both = after(export(), [with_standing(), vec![request("apr_2", days_ahead(60))]].concat());
    let events = both.decide(end_both()).unwrap();
    assert_eq!(events.len(), 2);
    let ended: ExportSchedule =
        after(export(), [with_standing(), vec![request("apr_2", days_ahead(60)), end_both()]].concat());
    assert_eq!((ended.standing(), ended.pending()), (None, None));
    assert_eq!(
        (ended.displaced(), ended.last_standing_ended().unwrap().why),
        (Some(&approval("apr_2")), StandingEnd::Revoked)
    );
    assert_eq!(refused(&ended, end_both()), ExportScheduleError::NoStandingApproval);
}

#[test]
fn a_change_ends_it_and_so_does_the_end() {
    let later = days_ahead(3);
    for command in [change(at_times("0 7 * * *"), later), end(later)] {
        let commands = [with_standing(), vec![request("apr_2", month()), command]].concat();
        let schedule = after(export(), commands);
        assert_eq!((schedule.standing(), schedule.pending()), (None, None));
    }
    let paused = after(export(), [with_standing(), vec![pause(later), resume(days_ahead(4))]].concat());
    assert!(paused.standing().is_some(), "a pause does not");
}
