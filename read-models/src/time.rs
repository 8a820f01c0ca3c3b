//! Times as the read tables hold them (microseconds since 1970-01-01T00:00:00Z) and as they are shown.

use chrono::{DateTime, Utc};
use serde::Serializer;

/// RFC 3339 UTC with six decimals, `2026-11-21T10:00:00.000000Z`. Numbers beyond the calendar print as they are.
pub fn rfc3339(micros: i64) -> String {
    match DateTime::<Utc>::from_timestamp_micros(micros) {
        Some(time) => time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
        None => micros.to_string(),
    }
}

/// The UTC calendar day, `2026-11-21`, which sorts as text as it does in time.
pub fn day(micros: i64) -> String {
    match DateTime::<Utc>::from_timestamp_micros(micros) {
        Some(time) => time.format("%Y-%m-%d").to_string(),
        None => micros.to_string(),
    }
}

/// For `#[serde(serialize_with)]` on a time.
pub fn serialize<S: Serializer>(micros: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*micros))
}

/// For `#[serde(serialize_with)]` on a time that may be absent.
pub fn serialize_optional<S: Serializer>(micros: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match micros {
        Some(micros) => serialize(micros, serializer),
        None => serializer.serialize_none(),
    }
}

/// Microseconds now.
pub fn now() -> i64 {
    Utc::now().timestamp_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_with_six_decimals_and_days_in_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999Z");
        assert_eq!(day(86_400_000_000 - 1), "1970-01-01");
        assert_eq!(day(86_400_000_000), "1970-01-02");
    }
}
