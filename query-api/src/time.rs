//! Points in time as they travel: RFC 3339 in UTC with microseconds outwards, a little more freely inwards.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use daybook_http_kit::Problem;
pub use daybook_ledger::keys::time::rfc3339;

/// 1900-01-01T00:00:00Z in microseconds since the epoch, the earliest time a record may have.
const EARLIEST_US: i64 = -2_208_988_800_000_000;
/// 9999-12-31T23:59:59.999999Z in microseconds since the epoch, the latest.
const LATEST_US: i64 = 253_402_300_799_999_999;
/// Most bytes a time is written in; longer text is not read at all.
const MAX_TIME_BYTES: usize = 40;

/// Which end of a day a bare date stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Its first microsecond.
    Start,
    /// Its last microsecond.
    End,
}

/// The time now, written as [`rfc3339`] does.
pub fn now() -> String {
    rfc3339(Utc::now().timestamp_micros())
}

/// Reads an optional query parameter as a time in microseconds since the epoch; anything else is a 400 that names it.
///
/// RFC 3339 with any offset; without an offset the time is UTC; a bare date is the start or the end of that day. A `+`
/// that arrived as a space is understood.
pub fn parameter(name: &'static str, text: Option<&str>, edge: Edge) -> Result<Option<i64>, Problem> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let micros = parse(text, edge).filter(|micros| (EARLIEST_US..=LATEST_US).contains(micros));
    micros.map(Some).ok_or_else(|| {
        Problem::invalid(
            format!("?{name}"),
            "must be a time such as 2026-11-21T10:00:00Z or a date such as 2026-11-21, in the years 1900 to 9999",
        )
    })
}

fn parse(text: &str, edge: Edge) -> Option<i64> {
    if text.len() > MAX_TIME_BYTES || !text.is_ascii() {
        return None;
    }
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        let day = date.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
        return Some(match edge {
            Edge::Start => day,
            Edge::End => day.checked_add(86_400_000_000 - 1)?,
        });
    }
    let text = unspaced(text);
    if let Ok(time) = DateTime::parse_from_rfc3339(&text) {
        return Some(time.timestamp_micros());
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok())
        .map(|time| time.and_utc().timestamp_micros())
}

/// Puts back the `T` and the `+` that a space stands for.
fn unspaced(text: &str) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    if let Some(separator) = characters.get_mut(10).filter(|character| **character == ' ') {
        *separator = 'T';
    }
    characters.into_iter().map(|character| if character == ' ' { '+' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn read(text: &str, edge: Edge) -> Option<String> {
        parameter("start", Some(text), edge).unwrap().map(rfc3339)
    }

    #[test]
    fn times_with_and_without_offset_are_read() {
        for text in [
            "2026-11-21T10:00:00Z",
            "2026-11-21T10:00:00",
            "2026-11-21 10:00:00",
            "2026-11-21T12:00:00+02:00",
            "2026-11-21T12:00:00 02:00",
            "2026-11-21T10:00",
        ] {
            assert_eq!(read(text, Edge::Start).unwrap(), "2026-11-21T10:00:00.000000Z", "{text}");
        }
    }

    #[test]
    fn date_is_the_edge_of_its_day() {
        assert_eq!(read("2026-11-21", Edge::Start).unwrap(), "2026-11-21T00:00:00.000000Z");
        assert_eq!(read("2026-11-21", Edge::End).unwrap(), "2026-11-21T23:59:59.999999Z");
    }

    #[test]
    fn nonsense_is_a_problem_that_names_the_parameter() {
        for text in
            ["yesterday", "2026-13-01", "2026-11-21T25:00:00Z", "'; drop table x", "+999999-01-01T00:00:00Z", "é"]
        {
            let problem = parameter("start", Some(text), Edge::Start).unwrap_err();
            assert_eq!((problem.status(), problem.errors()[0].pointer.as_str()), (400, "?start"), "{text}");
        }
    }
}
