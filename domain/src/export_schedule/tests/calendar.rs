//! When schedules are due, across the published changes of clocks: in the European Union on the last Sundays of March and
//! October at 01:00 UTC, in the United States on the second Sunday of March and the first of November at 02:00 local time.

use proptest::prelude::*;

use super::super::calendar::{Calendar, CalendarFault, PeriodMisfit};
use super::super::words::Period;
use crate::testing::time;
use crate::time::Timestamp;

const ZURICH: &str = "Europe/Zurich";
const NEW_YORK: &str = "America/New_York";

fn calendar(cron: &str, zone: &str) -> Calendar {
    Calendar::new(cron, zone).unwrap()
}

/// The next times after `start`, to the minute.
fn next(cron: &str, zone: &str, start: &str, count: usize) -> Vec<String> {
    let times = calendar(cron, zone).next(time(start), count);
    times.into_iter().map(|time| time.to_string().replace(":00.000000Z", "Z")).collect()
}

fn fault(cron: &str, zone: &str) -> CalendarFault {
    Calendar::new(cron, zone).unwrap_err()
}

#[test]
fn an_expression_has_five_fields_that_a_calendar_has() {
    for cron in [
        "0 6 * * MON-FRI",
        "*/15 * * * *",
        "  0  6 1,15 * *  ",
        "0 6 L * *",
        "0 6 15W * *",
        "0 6 * * FRI#2",
        "0 6 * * 5L",
        "0 6 * JAN-MAR *",
        "0 6 * * 7",
        "0 6 ? * mon",
        "0 6 13 * +FRI",
        "0 0 29 2 *",
    ] {
        assert!(Calendar::new(cron, ZURICH).is_ok(), "{cron}");
    }
    let long = format!("0 6 * * {}1", "1,".repeat(200));
    for cron in [
        "",
        " ",
        "* * * *",
        "0 0 6 * * *",
        "0 0 6 * * * 2027",
        "@daily",
        "@daily 6 * * *",
        "60 6 * * *",
        "0 24 * * *",
        "0 6 0 * *",
        "0 6 32 * *",
        "0 6 * 13 *",
        "0 6 * * 8",
        "0 6 * * FRI#6",
        "0 6 * * MON\u{2013}FRI",
        "0 6 * * ÄÖ",
        "one two three four five",
        "0/ 6 * * *",
        "0 6-5 * * *x",
        "-1 6 * * *",
        "0 6 * * *;",
        &long,
    ] {
        assert!(matches!(fault(cron, ZURICH), CalendarFault::Cron(_)), "{cron}");
    }
}

#[test]
fn zones_are_those_of_the_iana_database() {
    for zone in ["UTC", "Europe/Zurich", "America/Argentina/ComodRivadavia", "Etc/GMT-14", "Asia/Kolkata"] {
        assert!(Calendar::new("0 6 * * *", zone).is_ok(), "{zone}");
    }
    for zone in ["", "Mars/Olympus", "europe/zurich", "+01:00", "Europe/Zurich "] {
        assert_eq!(fault("0 6 * * *", zone), CalendarFault::TimeZone, "{zone}");
    }
}

#[test]
fn fifteen_minutes_lie_between_two_times() {
    for cron in ["*/15 * * * *", "0,50 6 * * *", "0,15,30,45 * * * *", "45 23,0 * * *", "7-59/20 6-8 * * *"] {
        assert!(Calendar::new(cron, ZURICH).is_ok(), "{cron}");
    }
    for cron in ["* * * * *", "*/10 * * * *", "0,14 6 * * *", "0,50 6,7 * * *", "0,50 0,23 * * *", "0-1 6 1 1 *"] {
        assert_eq!(fault(cron, ZURICH), CalendarFault::TooOften, "{cron}");
    }
}

#[test]
fn what_never_comes_is_refused() {
    for cron in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *"] {
        assert_eq!(fault(cron, ZURICH), CalendarFault::Never, "{cron}");
    }
    assert_eq!(next("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1), ["2104-02-29T00:00Z"], "no leap day in 2100");
}

#[test]
fn a_time_that_the_clocks_skip_comes_at_the_first_moment_after_it() {
    assert_eq!(
        next("30 2 * * *", ZURICH, "2027-03-27T12:00:00Z", 2),
        ["2027-03-28T01:00Z", "2027-03-29T00:30Z"],
        "three o'clock in summer time"
    );
    assert_eq!(next("15 2 * * *", NEW_YORK, "2027-03-13T12:00:00Z", 2), ["2027-03-14T07:00Z", "2027-03-15T06:15Z"]);
    let before = ["2027-03-27T01:30Z", "2027-03-28T01:00Z"];
    assert_eq!(next("30 2 * * *", ZURICH, "2027-03-27T00:00:00Z", 2), before);
}

#[test]
fn of_several_times_those_that_the_clocks_skip_are_passed_over() {
    assert_eq!(next("30 2,14 * * *", ZURICH, "2027-03-27T20:00:00Z", 2), ["2027-03-28T12:30Z", "2027-03-29T00:30Z"]);
    assert_eq!(
        next("0 * * * *", NEW_YORK, "2027-03-14T05:30:00Z", 3),
        ["2027-03-14T06:00Z", "2027-03-14T07:00Z", "2027-03-14T08:00Z"],
        "every hour that there is"
    );
}

#[test]
fn a_time_that_comes_twice_is_due_once_and_the_first_time() {
    assert_eq!(next("30 2 * * *", ZURICH, "2027-10-30T12:00:00Z", 2), ["2027-10-31T00:30Z", "2027-11-01T01:30Z"]);
    assert_eq!(next("30 1 * * *", NEW_YORK, "2027-11-06T12:00:00Z", 2), ["2027-11-07T05:30Z", "2027-11-08T06:30Z"]);
    // Asked in the second half of the hour that comes twice, it was due in the first.
    assert_eq!(next("30 1 * * *", NEW_YORK, "2027-11-07T06:10:00Z", 1), ["2027-11-08T06:30Z"]);
}

#[test]
fn several_times_come_as_often_as_the_clock_shows_them() {
    assert_eq!(
        next("*/30 2 * * *", ZURICH, "2027-10-30T23:00:00Z", 5),
        ["2027-10-31T00:00Z", "2027-10-31T00:30Z", "2027-10-31T01:00Z", "2027-10-31T01:30Z", "2027-11-01T01:00Z"]
    );
    assert_eq!(
        next("0 * * * *", NEW_YORK, "2027-11-07T04:30:00Z", 3),
        ["2027-11-07T05:00Z", "2027-11-07T06:00Z", "2027-11-07T07:00Z"]
    );
}

fn whole(period: Period, zone: &str, before: &str) -> (String, String) {
    let (from, to) = calendar("0 6 * * *", zone).whole_before(period, time(before)).unwrap();
    (from.to_string().replace(":00.000000Z", "Z"), to.to_string().replace(":00.000000Z", "Z"))
}

fn span(from: &str, to: &str) -> (String, String) {
    (from.to_owned(), to.to_owned())
}

#[test]
fn days_are_as_long_as_the_zone_has_them() {
    let day = |zone: &str, before: &str| whole(Period::Day, zone, before);
    assert_eq!(day(ZURICH, "2026-11-22T05:00:00Z"), span("2026-11-20T23:00Z", "2026-11-21T23:00Z"));
    assert_eq!(day(ZURICH, "2026-11-21T23:00:00Z"), span("2026-11-20T23:00Z", "2026-11-21T23:00Z"));
    assert_eq!(day(ZURICH, "2026-11-21T22:59:59.999999Z"), span("2026-11-19T23:00Z", "2026-11-20T23:00Z"));
    assert_eq!(day(ZURICH, "2027-03-29T04:00:00Z"), span("2027-03-27T23:00Z", "2027-03-28T22:00Z"), "23 hours");
    assert_eq!(day(ZURICH, "2027-11-01T05:00:00Z"), span("2027-10-30T22:00Z", "2027-10-31T23:00Z"), "25 hours");
    assert_eq!(day(NEW_YORK, "2027-11-08T12:00:00Z"), span("2027-11-07T04:00Z", "2027-11-08T05:00Z"), "25 hours");
    // Cuba's clocks skip midnight, and Samoa left out the 30th of December 2011.
    assert_eq!(day("America/Havana", "2027-03-15T12:00:00Z"), span("2027-03-14T05:00Z", "2027-03-15T04:00Z"));
    assert_eq!(day("Pacific/Apia", "2011-12-30T12:00:00Z"), span("2011-12-30T10:00Z", "2011-12-30T10:00Z"));
}

#[test]
fn weeks_begin_on_mondays_and_months_on_the_first() {
    let week = |before: &str| whole(Period::Week, ZURICH, before);
    assert_eq!(week("2026-11-25T05:00:00Z"), span("2026-11-15T23:00Z", "2026-11-22T23:00Z"));
    assert_eq!(week("2026-11-22T22:59:00Z"), span("2026-11-08T23:00Z", "2026-11-15T23:00Z"), "still Sunday");
    assert_eq!(week("2027-01-01T05:00:00Z"), span("2026-12-20T23:00Z", "2026-12-27T23:00Z"), "week 52 of 2026");
    let month = |before: &str| whole(Period::Month, ZURICH, before);
    assert_eq!(month("2027-03-31T05:00:00Z"), span("2027-01-31T23:00Z", "2027-02-28T23:00Z"));
    assert_eq!(month("2027-03-31T22:00:00Z"), span("2027-02-28T23:00Z", "2027-03-31T22:00Z"), "it is April there");
    assert_eq!(month("2027-01-15T05:00:00Z"), span("2026-11-30T23:00Z", "2026-12-31T23:00Z"));
    assert_eq!(calendar("0 6 * * *", ZURICH).whole_before(Period::None, time("2027-01-15T05:00:00Z")), None);
}

#[test]
fn periods_meet_where_each_has_one_time() {
    let misfit = |cron: &str, period: Period| calendar(cron, ZURICH).periods_meet(period, time("2026-11-21T10:00:00Z"));
    for (cron, period) in [
        ("0 6 * * *", Period::Day),
        ("30 2 * * *", Period::Day),
        ("0 6 * * MON", Period::Week),
        ("0 6 1 * *", Period::Month),
        ("0 6 L * *", Period::Month),
        ("*/15 * * * *", Period::None),
        ("0 6 * * MON-FRI", Period::SincePrevious),
    ] {
        assert_eq!(misfit(cron, period), Ok(()), "{cron} {period}");
    }
    for (cron, period, repeats, leaves_out) in [
        ("0 6,18 * * *", Period::Day, true, false),
        ("0 6 * * MON-FRI", Period::Day, false, true),
        ("0 6,18 * * MON", Period::Day, true, true),
        ("0 6 * * *", Period::Week, true, false),
        ("0 6 31 * *", Period::Month, false, true),
    ] {
        assert_eq!(misfit(cron, period), Err(PeriodMisfit { repeats, leaves_out }), "{cron} {period}");
    }
}

#[test]
fn occurrences_are_counted_to_ten_thousand_and_the_last_is_found_all_the_same() {
    let quarter = calendar("*/15 * * * *", "UTC");
    let between = |since: &str, until: &str| quarter.between(time(since), time(until)).unwrap();
    let few = between("2026-11-21T10:00:00Z", "2026-11-21T11:07:00Z");
    assert_eq!((few.first, few.last, few.before_last), (time("2026-11-21T10:15:00Z"), time("2026-11-21T11:00:00Z"), 3));
    let many = between("2026-11-21T10:00:00Z", "2027-11-21T10:07:00Z");
    assert_eq!((many.first, many.last), (time("2026-11-21T10:15:00Z"), time("2027-11-21T10:00:00Z")));
    assert_eq!(many.before_last, 10_000);
    assert_eq!(quarter.between(time("2026-11-21T10:00:00Z"), time("2026-11-21T10:14:59.999999Z")), None);
    assert_eq!(quarter.between(time("2026-11-21T10:00:00.5Z"), time("2026-11-21T10:00:00.9Z")), None);
}

proptest! {
    /// Whatever comes from outside is read or refused.
    #[test]
    fn nothing_that_is_written_as_an_expression_does_harm(text in "[0-9*/,#LW?+A-Za-z@ -]{0,40}") {
        let _ = Calendar::new(&text, ZURICH);
        let _ = Calendar::new(&format!("0 6 {}", text.replace(' ', "")), ZURICH);
        let _ = Calendar::new(&format!("0 6 {} * *", text.replace(' ', "")), ZURICH);
        let _ = Calendar::new(&format!("0 6 * * {}", text.replace(' ', "")), ZURICH);
    }

    /// What was due last at the time when it is due is that time, from whichever end it is looked for.
    #[test]
    fn searching_forwards_and_backwards_agree(
        cron in proptest::sample::select(vec![
            "30 2 * * *", "*/15 * * * *", "0 0,12 * * *", "15 1,2,3 * * SUN", "0 6 * * MON-FRI", "0 0 1 * *", "0 3 L * *",
        ]),
        zone in proptest::sample::select(vec![ZURICH, NEW_YORK, "UTC", "Asia/Kolkata", "Australia/Lord_Howe"]),
        minutes in 0_i64..3_000_000,
    ) {
        let calendar = calendar(cron, zone);
        let start = Timestamp::from_micros(1_795_255_200_000_000 + minutes * 60_000_000 + 1).unwrap();
        let next = calendar.next_after(start).unwrap();
        prop_assert!(next > start);
        prop_assert_eq!(calendar.last_until(next), Some(next));
        let just_before = Timestamp::from_micros(next.micros() - 1).unwrap();
        prop_assert_eq!(calendar.next_after(just_before), Some(next));
        prop_assert_eq!(calendar.between(start, next).map(|found| (found.first, found.last)), Some((next, next)));
    }
}
