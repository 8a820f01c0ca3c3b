//! When a schedule is due: a cron expression in a time zone.
//!
//! Five fields, read as Vixie's cron does: minute, hour, day of the month, month, day of the week. Where the clocks go
//! forward, a schedule with one time of day that is skipped is due at the first moment after the gap; one with several times
//! passes over those that are skipped. Where they go back, the first is due once, at the earlier of the two; the other each
//! time that the clock shows such a time.

use std::str::FromStr;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::words::Period;
use crate::time::Timestamp;

/// Fewest minutes between two times at which a schedule is due.
pub const MIN_MINUTES: u16 = 15;
/// Most occurrences that are counted.
pub const MAX_MISSED: u64 = 10_000;
/// Runs whose periods are compared: a week of hours, and more than ten years of months.
const COMPARED: usize = 168;
/// Most bytes of a cron expression.
const MAX_CRON_BYTES: usize = 200;
/// Longest that clocks skip: some zones left out a whole day.
const LONGEST_GAP_MINUTES: i64 = 48 * 60;

/// Why an expression and a zone are no calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarFault {
    /// Not a cron expression of five fields.
    #[error("{0}")]
    Cron(String),
    /// No time zone of the IANA database.
    #[error("must be a time zone of the IANA database, such as Europe/Zurich")]
    TimeZone,
    /// It would be due too often.
    #[error("must leave {MIN_MINUTES} minutes between two times")]
    TooOften,
    /// It would never be due.
    #[error("never comes: no such day is in the calendar")]
    Never,
}

/// Why the periods of runs do not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeriodMisfit {
    /// Some runs have the same period as the one before.
    pub repeats: bool,
    /// Some periods are in no run.
    pub leaves_out: bool,
}

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub struct Calendar {
    cron: Cron,
    zone: Tz,
}

/// The times at which a schedule was due in a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Occurrences {
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// How many there are before the last, counted to [`MAX_MISSED`].
    pub(super) before_last: u64,
}

impl Calendar {
    /// Reads a cron expression of five fields and the name of a zone.
    pub fn new(cron: &str, zone: &str) -> Result<Self, CalendarFault> {
        let zone = Tz::from_str(zone).map_err(|_| CalendarFault::TimeZone)?;
        let calendar = Self { cron: parse(cron)?, zone };
        if calendar.is_too_often() {
            return Err(CalendarFault::TooOften);
        }
        // What comes at all comes within 28 years from any time; the search itself ends.
        let any_time = Timestamp::from_micros(0).and_then(|time| calendar.next_after(time));
        if any_time.is_none() { Err(CalendarFault::Never) } else { Ok(calendar) }
    }

    /// Whether two times on one day, or the last of a day and the first of the next, are closer than allowed.
    fn is_too_often(&self) -> bool {
        let (hours, minutes) = (self.cron.pattern.hours.values(), self.cron.pattern.minutes.values());
        let times: Vec<u16> =
            hours.iter().flat_map(|hour| minutes.iter().map(move |minute| hour * 60 + minute)).collect();
        let next_day = times.first().map(|first| first + 24 * 60);
        let following = times.iter().skip(1).copied().chain(next_day);
        times.iter().zip(following).any(|(time, next)| next.saturating_sub(*time) < MIN_MINUTES)
    }

    fn local(&self, time: Timestamp) -> Option<DateTime<Tz>> {
        // Whole seconds: nothing is due between them.
        let time = DateTime::<Utc>::from_timestamp(time.micros().div_euclid(1_000_000), 0)?;
        Some(time.with_timezone(&self.zone))
    }

    /// The first time after `time` at which it is due. `None` at the end of the calendar.
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        self.cron.find_next_occurrence(&self.local(time)?, false).ok().and_then(timestamp)
    }

    /// The first `count` times after `time` at which it is due.
    pub fn next(&self, time: Timestamp, count: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next_after(time), |time| self.next_after(*time)).take(count).collect()
    }

    pub(super) fn last_until(&self, time: Timestamp) -> Option<Timestamp> {
        self.cron.find_previous_occurrence(&self.local(time)?, true).ok().and_then(timestamp)
    }

    /// The times at which it was due after `since`, up to `until`.
    pub(super) fn between(&self, since: Timestamp, until: Timestamp) -> Option<Occurrences> {
        let first = self.next_after(since).filter(|first| *first <= until)?;
        let mut last = first;
        for before_last in 0..MAX_MISSED {
            match self.next_after(last).filter(|next| *next <= until) {
                Some(next) => last = next,
                None => return Some(Occurrences { first, last, before_last }),
            }
        }
        // Not all of them are looked at: the last is searched for from the other end.
        let last = self.last_until(until).filter(|found| *found > last).unwrap_or(last);
        Some(Occurrences { first, last, before_last: MAX_MISSED })
    }

    /// The whole day, week or month before `time`: its first moment, and the first after it. `None` for periods that are none
    /// of the calendar's.
    pub(super) fn whole_before(&self, period: Period, time: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let today = self.local(time)?.date_naive();
        let (first, after) = match period {
            Period::None | Period::SincePrevious => return None,
            Period::Day => (today.checked_sub_days(Days::new(1))?, today),
            Period::Week => {
                let monday = today.checked_sub_days(Days::new(today.weekday().num_days_from_monday().into()))?;
                (monday.checked_sub_days(Days::new(7))?, monday)
            }
            Period::Month => {
                let first = today.with_day(1)?;
                (first.checked_sub_months(Months::new(1))?, first)
            }
        };
        Some((self.begin_of(first)?, self.begin_of(after)?))
    }

    /// Whether the periods of the next runs after `now` meet. Runs that stand for missed ones are not looked at.
    pub(super) fn periods_meet(&self, period: Period, now: Timestamp) -> Result<(), PeriodMisfit> {
        let mut misfit = PeriodMisfit { repeats: false, leaves_out: false };
        let times = std::iter::successors(self.next_after(now), |time| self.next_after(*time)).take(COMPARED);
        let mut end_before = None;
        for (from, to) in times.map_while(|time| self.whole_before(period, time)) {
            misfit.repeats |= end_before.is_some_and(|end| from < end);
            misfit.leaves_out |= end_before.is_some_and(|end| from > end);
            if misfit.repeats && misfit.leaves_out {
                break;
            }
            end_before = Some(to);
        }
        if misfit.repeats || misfit.leaves_out { Err(misfit) } else { Ok(()) }
    }

    /// The first moment of a day: midnight, or what comes first where the clocks skip it.
    fn begin_of(&self, day: NaiveDate) -> Option<Timestamp> {
        let midnight = day.and_time(NaiveTime::MIN);
        let moments = (0..=LONGEST_GAP_MINUTES).filter_map(|minute| {
            let local = midnight.checked_add_signed(TimeDelta::try_minutes(minute)?)?;
            self.zone.from_local_datetime(&local).earliest()
        });
        moments.map(timestamp).next().flatten()
    }
}

fn timestamp<Z: TimeZone>(time: DateTime<Z>) -> Option<Timestamp> {
    Timestamp::from_micros(time.timestamp_micros())
}

fn parse(text: &str) -> Result<Cron, CalendarFault> {
    let refuse = |detail: &str| Err(CalendarFault::Cron(detail.to_owned()));
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || " *,-/#+?".contains(character);
    if text.len() > MAX_CRON_BYTES || !text.chars().all(is_allowed) {
        return refuse("must be five fields such as 0 6 * * MON-FRI, of letters, digits and * , - / # + ?");
    }
    if text.split_whitespace().count() != 5 {
        return refuse("must have five fields: minute, hour, day of the month, month, day of the week");
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).map_err(|error| CalendarFault::Cron(error.to_string()))
}
