//! Points in time as clients state them: microseconds since 1970-01-01T00:00:00Z. There is no clock here.

use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::text::InvalidField;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// 1900-01-01T00:00:00Z.
const EARLIEST_MICROS: i64 = -2_208_988_800 * MICROS_PER_SECOND;
/// 9999-12-31T23:59:59.999999Z.
const LATEST_MICROS: i64 = 253_402_300_799 * MICROS_PER_SECOND + 999_999;

/// A point in time in the years 1900 to 9999, in whole microseconds UTC. Prints and serialises as RFC 3339 with
/// exactly six decimals, `2026-11-21T10:00:00.000000Z`; as text it sorts as it does in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Reads the RFC 3339 text that came at `pointer`. `T` may be a space, and without an offset the time is UTC.
    /// Digits beyond microseconds are dropped; a leap second (`:60`) is the second after it.
    pub fn parse(pointer: &str, text: &str) -> Result<Self, InvalidField> {
        let malformed = || InvalidField::new(pointer, "must be a time such as 2026-11-21T10:00:00.000000Z");
        let micros = parse_micros(text).ok_or_else(malformed)?;
        Self::from_micros(micros)
            .ok_or_else(|| InvalidField::new(pointer, "must be a time in the years 1900 to 9999 (UTC)"))
    }

    /// As [`Self::parse`], for a field that may be absent.
    pub fn parse_optional(pointer: &str, text: Option<&str>) -> Result<Option<Self>, InvalidField> {
        text.map(|text| Self::parse(pointer, text)).transpose()
    }

    /// From microseconds since the epoch, if within the years 1900 to 9999.
    pub fn from_micros(micros: i64) -> Option<Self> {
        (EARLIEST_MICROS..=LATEST_MICROS).contains(&micros).then_some(Self(micros))
    }

    /// So many seconds later; the last moment there is, where that would be beyond it.
    pub fn plus_seconds(self, seconds: u64) -> Self {
        let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(MICROS_PER_SECOND);
        Self(self.0.saturating_add(micros).min(LATEST_MICROS))
    }

    /// Microseconds since the epoch; negative before 1970.
    pub fn micros(self) -> i64 {
        self.0
    }
}

/// The number in exactly `count` ASCII digits at the front, and what follows.
fn take_number(text: &str, count: usize) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(count)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, rest))
}

fn parse_micros(text: &str) -> Option<i64> {
    let (year, rest) = take_number(text, 4)?;
    let (month, rest) = take_number(rest.strip_prefix('-')?, 2)?;
    let (day, rest) = take_number(rest.strip_prefix('-')?, 2)?;
    let (hour, rest) = take_number(rest.strip_prefix(['T', 't', ' '])?, 2)?;
    let (minute, rest) = take_number(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = take_number(rest.strip_prefix(':')?, 2)?;
    let (fraction, rest) = take_fraction(rest)?;
    let offset_seconds = parse_offset(rest)?;
    if second > 60 {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    let minutes = date.and_hms_opt(hour, minute, 0)?.and_utc().timestamp();
    let seconds = minutes.checked_add(i64::from(second))?.checked_sub(offset_seconds)?;
    seconds.checked_mul(MICROS_PER_SECOND)?.checked_add(fraction)
}

/// Microseconds of an optional `.123456789`, and what follows.
fn take_fraction(text: &str) -> Option<(i64, &str)> {
    let Some(after_point) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let end = after_point.find(|character: char| !character.is_ascii_digit()).unwrap_or(after_point.len());
    let (digits, rest) = after_point.split_at_checked(end)?;
    if digits.is_empty() || digits.len() > 12 {
        return None;
    }
    let micros: String = digits.chars().chain(std::iter::repeat('0')).take(6).collect();
    Some((micros.parse().ok()?, rest))
}

/// Seconds east of UTC of `Z`, `+02:00` or nothing.
fn parse_offset(text: &str) -> Option<i64> {
    if matches!(text, "" | "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = if let Some(rest) = text.strip_prefix('+') { (1, rest) } else { (-1, text.strip_prefix('-')?) };
    let (hours, rest) = take_number(rest, 2)?;
    let (minutes, rest) = take_number(rest.strip_prefix(':')?, 2)?;
    (rest.is_empty() && hours < 24 && minutes < 60)
        .then_some(sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_micros(self.0) {
            Some(time) => write!(formatter, "{}", time.format("%Y-%m-%dT%H:%M:%S%.6fZ")),
            // Out of reach: every value is checked when it is made, and the calendar reaches further.
            None => Err(fmt::Error),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse("", &text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
