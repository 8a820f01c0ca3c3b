//! What is due, what a run covers, and that there is one for each time.

use proptest::prelude::*;

use super::*;

fn due(schedule: &ExportSchedule, at: &str) -> Option<DueRun> {
    schedule.due(time(at))
}

#[test]
fn a_run_is_due_from_its_time_on_until_it_was_run() {
    let schedule = after(export(), vec![]);
    assert_eq!(due(&schedule, "2026-11-22T04:59:59.999999Z"), None);
    let expected = DueRun {
        scheduled_for: time("2026-11-22T05:00:00Z"),
        missed: 0,
        from: Some(now()),
        to: Some(time("2026-11-22T05:00:00Z")),
    };
    assert_eq!(due(&schedule, "2026-11-22T05:00:00Z"), Some(expected));
    assert_eq!(due(&schedule, "2026-11-23T04:00:00Z"), Some(expected));
    let schedule = after(export(), vec![run_due("2026-11-22T05:00:00Z", "2026-11-22T05:00:01Z")]);
    assert_eq!(due(&schedule, "2026-11-23T04:59:59Z"), None);
    let next = due(&schedule, "2026-11-23T05:00:00Z").unwrap();
    assert_eq!((next.missed, next.from, next.to), (0, expected.to, Some(time("2026-11-23T05:00:00Z"))));
    assert_eq!(
        schedule.next_after(time("2026-11-22T05:00:01Z"), 2),
        [time("2026-11-23T05:00:00Z"), time("2026-11-24T05:00:00Z")]
    );
}

#[test]
fn of_two_that_run_the_same_time_one_is_refused() {
    let command = || run_due("2026-11-22T05:00:00Z", "2026-11-22T05:00:01Z");
    let schedule = after(export(), vec![command()]);
    assert_eq!(decide(&schedule, command()), Err(ExportScheduleError::NotDue));
    assert_eq!(
        decide(&schedule, run_due("2026-11-23T05:00:00Z", "2026-11-22T05:00:01Z")),
        Err(ExportScheduleError::NotDue),
        "a time that has not come"
    );
    assert_eq!(
        decide(&schedule, run_due("2026-11-23T05:00:00Z", "2026-11-24T05:00:01Z")),
        Err(ExportScheduleError::NotDue),
        "not the last"
    );
}

#[test]
fn whoever_has_not_seen_the_last_run_opened_records_no_other() {
    let asked = |opened, at: &str| {
        let (cause, rests_on, at) = (RunCause::Asked, RestsOn::Own, time(at));
        ExportScheduleCommand::Run { cause, scheduled_for: None, rests_on, opened, by: None, at }
    };
    let schedule = after(over(Period::None), vec![]);
    assert_eq!(schedule.decide(asked(1, "2026-11-21T11:00:00Z")), Err(ExportScheduleError::RanMeanwhile));
    let schedule = after(over(Period::None), vec![asked(0, "2026-11-21T11:00:00Z")]);
    for opened in [0, 2] {
        assert_eq!(schedule.decide(asked(opened, "2026-11-21T11:01:00Z")), Err(ExportScheduleError::RanMeanwhile));
    }
    let events = schedule.decide(asked(1, "2026-11-21T11:01:00Z")).unwrap();
    assert!(matches!(events.as_slice(), [ExportScheduleEvent::Run(run)] if run.run == 2));
}

#[test]
fn however_long_nobody_looked_one_run_catches_up() {
    let schedule = after(export(), vec![]);
    let late = due(&schedule, "2026-12-22T12:00:00Z").unwrap();
    assert_eq!((late.scheduled_for, late.missed), (time("2026-12-22T05:00:00Z"), 30));
    assert_eq!((late.from, late.to), (Some(now()), Some(late.scheduled_for)), "nothing is left out");
    let schedule = after(export(), vec![run_due("2026-12-22T05:00:00Z", "2026-12-22T12:00:00Z")]);
    assert_eq!(due(&schedule, "2026-12-22T12:00:00Z"), None);
    assert_eq!((schedule.runs(), schedule.last_run().unwrap().missed), (1, 30));
    let years = after(at_times("*/15 * * * *"), vec![]);
    let late = due(&years, "2029-11-21T10:07:00Z").unwrap();
    assert_eq!((late.scheduled_for, late.missed), (time("2029-11-21T10:00:00Z"), MAX_MISSED));
}

#[test]
fn a_catch_up_over_whole_days_begins_with_the_first_that_was_missed() {
    let schedule = after(over(Period::Day), vec![]);
    let late = due(&schedule, "2026-11-24T12:00:00Z").unwrap();
    assert_eq!((late.scheduled_for, late.missed), (time("2026-11-24T05:00:00Z"), 2));
    assert_eq!((late.from, late.to), (Some(time("2026-11-20T23:00:00Z")), Some(time("2026-11-23T23:00:00Z"))));
    let run = run_due("2026-11-24T05:00:00Z", "2026-11-24T12:00:00Z");
    let next = due(&after(over(Period::Day), vec![run]), "2026-11-25T05:00:00Z").unwrap();
    assert_eq!(next.from, late.to, "the next one goes on where it ended");
    let monthly = ScheduledExport { cron: line("0 6 1 * *"), ..over(Period::Month) };
    let late = due(&after(monthly, vec![]), "2027-02-14T12:00:00Z").unwrap();
    assert_eq!((late.from, late.to), (Some(time("2026-10-31T23:00:00Z")), Some(time("2027-01-31T23:00:00Z"))));
    let none = due(&after(over(Period::None), vec![]), "2026-11-24T12:00:00Z").unwrap();
    assert_eq!((none.from, none.to), (None, None));
}

#[test]
fn what_would_be_due_while_it_is_paused_is_not_missed() {
    let pause_and_resume = || vec![pause(time("2026-11-22T00:00:00Z")), resume(time("2026-11-24T00:00:00Z"))];
    let paused = after(export(), vec![pause(time("2026-11-22T00:00:00Z"))]);
    assert_eq!(due(&paused, "2026-11-23T12:00:00Z"), None);
    assert!(paused.next_after(now(), 5).is_empty());
    let schedule = after(export(), pause_and_resume());
    assert_eq!(due(&schedule, "2026-11-24T04:00:00Z"), None);
    let next = due(&schedule, "2026-11-24T05:00:00Z").unwrap();
    assert_eq!((next.missed, next.from), (0, Some(now())), "its period covers the pause all the same");
    let command = run_due("2026-11-22T05:00:00Z", "2026-11-23T00:00:00Z");
    assert_eq!(decide(&paused, command), Err(ExportScheduleError::NotDue));
}

#[test]
fn a_change_counts_from_then_on() {
    let schedule = after(export(), vec![change(at_times("0 18 * * *"), time("2026-11-22T04:00:00Z"))]);
    assert_eq!(due(&schedule, "2026-11-22T06:00:00Z"), None);
    assert_eq!(due(&schedule, "2026-11-22T17:00:00Z").unwrap().scheduled_for, time("2026-11-22T17:00:00Z"));
}

#[test]
fn a_clock_that_was_ahead_once_is_seen_and_a_change_or_a_pause_puts_it_right() {
    // It ran by a clock that was a year ahead.
    let ahead = || run_due("2027-11-21T05:00:00Z", "2027-11-21T05:00:01Z");
    let today = time("2026-11-22T04:00:00Z");
    for period in [Period::SincePrevious, Period::Day, Period::None] {
        let schedule = after(over(period), vec![ahead()]);
        assert_eq!(schedule.due(time("2026-12-22T05:00:00Z")), None);
        assert!(schedule.is_ahead_of(today) && !schedule.is_ahead_of(time("2027-11-21T04:00:00Z")));
        assert_eq!(schedule.next_after(today, 1), [time("2027-11-22T05:00:00Z")], "what is shown is what comes");
        let pause_and_resume = vec![ahead(), pause(today), resume(today)];
        for commands in [vec![ahead(), change(at_times("0 6 * * SUN"), today)], pause_and_resume] {
            let schedule = after(over(period), commands);
            assert!(!schedule.is_ahead_of(today));
            assert_eq!(schedule.next_after(today, 1), [time("2026-11-22T05:00:00Z")]);
            let due = due(&schedule, "2026-11-22T05:00:00Z").unwrap();
            assert_eq!((due.scheduled_for, due.missed), (time("2026-11-22T05:00:00Z"), 0));
        }
    }
    // A run in between, by such a clock: what comes next goes on from there, unless somebody says otherwise.
    let asked = || run_asked("2026-11-21T20:00:00Z");
    let schedule = after(export(), vec![asked()]);
    assert!(schedule.is_ahead_of(now()) && !schedule.is_ahead_of(time("2026-11-21T19:00:00Z")));
    // It was made by such a clock.
    let schedule = after(export(), vec![]);
    let earlier = time("2026-11-20T12:00:00Z");
    assert_eq!((schedule.due(time("2026-11-21T05:00:00Z")), schedule.is_ahead_of(earlier)), (None, true));
    let schedule = after(export(), vec![change(at_times("0 6 * * SAT"), earlier)]);
    let due = due(&schedule, "2026-11-21T05:00:00Z").unwrap();
    assert_eq!((due.from, schedule.is_ahead_of(earlier)), (Some(earlier), false));
}

#[test]
fn a_run_in_between_covers_up_to_now_and_moves_nothing() {
    let schedule = after(export(), vec![run_asked("2026-11-22T04:00:00Z")]);
    let run = schedule.last_run().unwrap();
    assert_eq!((run.cause, run.scheduled_for), (RunCause::Asked, time("2026-11-22T04:00:00Z")));
    assert_eq!((run.from, run.to), (Some(now()), Some(run.scheduled_for)));
    let next = due(&schedule, "2026-11-22T05:00:00Z").unwrap();
    assert_eq!((next.scheduled_for, next.from), (time("2026-11-22T05:00:00Z"), run.to));
    assert_eq!(
        decide(&schedule, run_asked("2026-11-22T04:00:00Z")),
        Err(ExportScheduleError::EmptyPeriod),
        "nothing can have happened since"
    );
    assert_eq!(decide(&schedule, run_asked("2026-11-22T05:00:00Z")), Err(ExportScheduleError::RunIsDue));
    let whole_day = after(over(Period::Day), vec![run_asked("2026-11-22T04:00:00Z")]);
    let run = whole_day.last_run().unwrap();
    assert_eq!((run.from, run.to), (Some(time("2026-11-20T23:00:00Z")), Some(time("2026-11-21T23:00:00Z"))));
    // A paused schedule is run when somebody says so.
    let paused = after(export(), vec![pause(now()), run_asked("2026-11-23T04:00:00Z")]);
    assert_eq!(paused.runs(), 1);
}

#[test]
fn whoever_asked_for_a_run_is_named_and_nobody_where_it_was_due() {
    let command = |cause, scheduled_for, at: &str| {
        let by = Some(actor("usr_asks"));
        ExportScheduleCommand::Run { cause, scheduled_for, rests_on: RestsOn::Own, opened: 0, by, at: time(at) }
    };
    let due_at = Some(time("2026-11-22T05:00:00Z"));
    let schedule = after(
        export(),
        vec![
            command(RunCause::Asked, None, "2026-11-22T04:00:00Z"),
            command(RunCause::Due, due_at, "2026-11-22T05:00:00Z"),
        ],
    );
    let named: Vec<_> = schedule.recent_runs().map(|run| (run.run, run.by.is_some())).collect();
    assert_eq!(named, [(1, true), (2, false)]);
}

#[test]
fn the_ids_of_a_run_follow_from_schedule_and_number() {
    let (export_id, approval_id) = run_ids(&schedule_id("sch_1"), 1).unwrap();
    let schedule = after(export(), vec![run_asked("2026-11-22T04:00:00Z")]);
    let run = schedule.last_run().unwrap();
    assert_eq!((&run.export_id, &run.approval_id), (&export_id, &approval_id));
    assert_eq!(schedule.run_of(&export_id), Some(run));
    let mut others = vec![run_ids(&schedule_id("sch_1"), 2), run_ids(&schedule_id("sch_2"), 1)];
    others.push(run_ids(&schedule_id("sch_1"), 1 << 8));
    for other in others {
        let (other_export, other_approval) = other.unwrap();
        assert!(other_export != export_id && other_approval != approval_id);
    }
}

#[test]
fn the_export_of_a_run_has_its_period_as_filters_that_include_their_ends() {
    let schedule = after(export(), vec![run_due("2026-11-22T05:00:00Z", "2026-11-22T05:00:01Z")]);
    let run = schedule.last_run().unwrap();
    let request = schedule.requested_of(run).unwrap();
    assert_eq!(request.filters["start"], "2026-11-21T10:00:00.000000Z");
    assert_eq!(request.filters["end"], "2026-11-22T04:59:59.999999Z");
    assert_eq!(request.filters["currency"], "EUR");
    assert_eq!(request.digest.as_str(), request.action().unwrap().digest().as_str());
    assert_eq!((request.requested_by.as_str(), request.person.as_str(), request.collect), ("key_1", "usr_asks", false));
    let scheduled = request.schedule.unwrap();
    assert_eq!((scheduled.schedule_id.as_str(), scheduled.run, scheduled.rests_on), ("sch_1", 1, RestsOn::Own));
    let plain = after(over(Period::None), vec![run_due("2026-11-22T05:00:00Z", "2026-11-22T05:00:01Z")]);
    let request = plain.requested_of(plain.last_run().unwrap()).unwrap();
    assert_eq!(request.filters.keys().collect::<Vec<_>>(), ["currency"]);
}

#[test]
fn the_last_run_exports_what_the_schedule_said_when_it_ran() {
    let ran = run_due("2026-11-22T05:00:00Z", "2026-11-22T05:00:01Z");
    let before = after(export(), vec![ran.clone()]);
    let expected = before.requested_of(before.last_run().unwrap()).unwrap();
    let other = ScheduledExport { columns: vec![], ..over(Period::Day) };
    let another = ScheduledExport { columns: vec![], ..over(Period::Week) };
    let changes = vec![ran, change(other, time("2026-11-22T06:00:00Z")), change(another, time("2026-11-22T07:00:00Z"))];
    let changed = after(export(), changes.clone());
    assert_eq!(changed.requested_of(changed.last_run().unwrap()).unwrap(), expected);
    let next = [changes, vec![run_due("2026-11-23T05:00:00Z", "2026-11-23T05:00:01Z")]].concat();
    let schedule = after(export(), next);
    let request = schedule.requested_of(schedule.last_run().unwrap()).unwrap();
    assert!(request.columns.is_empty() && schedule.last_run().unwrap().revision == 3);
}

#[test]
fn fifty_runs_are_remembered_and_all_are_numbered() {
    let mut schedule = after(over(Period::None), vec![]);
    for minute in 0..60 {
        let at = time(&format!("2026-11-21T10:{minute:02}:00Z"));
        let events = decide(&schedule, run(RunCause::Asked, None, RestsOn::Own, at)).unwrap();
        events.into_iter().for_each(|event| schedule.fold(event));
    }
    let numbers: Vec<u64> = schedule.recent_runs().map(|run| run.run).collect();
    assert_eq!(numbers, (11..=60).collect::<Vec<_>>());
    assert_eq!(schedule.runs(), 60);
    assert_eq!(schedule.run_of(&run_ids(&schedule_id("sch_1"), 10).unwrap().0), None);
    assert_state_survives_storing(&schedule);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever looks at whatever times, in between asks for runs and pauses: each run begins where the one before ended.
    #[test]
    fn periods_meet_and_never_overlap(steps in proptest::collection::vec((1_i64..40 * 60, 0_u8..6), 1..60)) {
        let mut schedule = after(at_times("*/30 * * * *"), vec![]);
        let mut at = now().micros();
        for (minutes, what) in steps {
            at += minutes * 60_000_000 + 17;
            let at = Timestamp::from_micros(at).unwrap();
            let command = match (what, schedule.due(at)) {
                (0, _) => pause(at),
                (1, _) => resume(at),
                (2, None) => run(RunCause::Asked, None, RestsOn::Own, at),
                (_, Some(due)) => run(RunCause::Due, Some(due.scheduled_for), RestsOn::Own, at),
                (_, None) => continue,
            };
            decide(&schedule, command).unwrap().into_iter().for_each(|event| schedule.fold(event));
        }
        let first = schedule.recent_runs().next();
        let mut covered_to = first.filter(|run| run.run > 1).map_or(now(), |run| run.from.unwrap());
        for run in schedule.recent_runs() {
            prop_assert_eq!(run.from, Some(covered_to));
            prop_assert!(run.to > run.from);
            let filters = schedule.requested_of(run).unwrap().filters;
            let last = Timestamp::parse("", &filters["end"]).unwrap();
            prop_assert_eq!(Some(last.micros() + 1), run.to.map(Timestamp::micros));
            covered_to = run.to.unwrap();
        }
    }
}
