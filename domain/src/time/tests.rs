//! Every form that is accepted, and those that are not.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

fn printed(text: &str) -> String {
    Timestamp::parse("/timestamp", text).unwrap().to_string()
}

#[test]
fn the_accepted_forms_mean_the_same_time() {
    for text in [
        "2026-11-21T10:00:00.5Z",
        "2026-11-21T10:00:00.500000Z",
        "2026-11-21t10:00:00.5z",
        "2026-11-21T10:00:00.5",
        "2026-11-21 10:00:00.5",
        "2026-11-21 10:00:00.500000+00:00",
        "2026-11-21T12:30:00.5+02:30",
        "2026-11-20T23:00:00.5-11:00",
        "2026-11-21T10:00:00.5000009Z",
    ] {
        assert_eq!(printed(text), "2026-11-21T10:00:00.500000Z", "{text}");
    }
}

#[test]
fn microseconds_count_from_the_epoch() {
    let time = Timestamp::parse("", "1970-01-01T00:00:01.000002Z").unwrap();
    assert_eq!(time.micros(), 1_000_002);
    assert_eq!(Timestamp::parse("", "1969-12-31T23:59:59.999999Z").unwrap().micros(), -1);
}

#[test]
fn a_leap_second_is_the_second_after_it() {
    assert_eq!(printed("2016-12-31T23:59:60Z"), "2017-01-01T00:00:00.000000Z");
}

#[test]
fn the_years_1900_to_9999_are_accepted() {
    assert_eq!(printed("1900-01-01T00:00:00Z"), "1900-01-01T00:00:00.000000Z");
    assert_eq!(printed("9999-12-31T23:59:59.999999Z"), "9999-12-31T23:59:59.999999Z");
    for text in [
        "1899-12-31T23:59:59.999999Z",
        "1900-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "0001-01-01T00:00:00Z",
    ] {
        let refusal = Timestamp::parse("/timestamp", text).unwrap_err();
        assert!(refusal.detail.contains("1900"), "{text}: {refusal}");
    }
    assert_eq!(Timestamp::from_micros(i64::MAX), None);
    assert_eq!(Timestamp::from_micros(i64::MIN), None);
}

#[test]
fn anything_else_is_refused() {
    for text in [
        "",
        "now",
        "2026-11-21",
        "2026-11-21T10:00",
        "2026-11-21T10:00:00.",
        "2026-11-21T10:00:00,5Z",
        "2026-11-21T10:00:00.1234567890123Z",
        "2026-02-30T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T10:60:00Z",
        "2026-11-21T10:00:61Z",
        "2026-11-21T10:00:00+24:00",
        "2026-11-21T10:00:00+0200",
        "2026-11-21T10:00:00Zulu",
        " 2026-11-21T10:00:00Z",
        "+026-11-21T10:00:00Z",
        "1763719200",
        "２026-11-21T10:00:00Z",
    ] {
        let refusal = Timestamp::parse("/timestamp", text).unwrap_err();
        assert_eq!(refusal.pointer, "/timestamp", "{text:?}");
    }
}

proptest! {
    #[test]
    fn printing_and_reading_are_inverse_and_keep_the_order(
        left in EARLIEST_MICROS..=LATEST_MICROS,
        right in EARLIEST_MICROS..=LATEST_MICROS,
    ) {
        let (left, right) = (Timestamp::from_micros(left).unwrap(), Timestamp::from_micros(right).unwrap());
        prop_assert_eq!(Timestamp::parse("", &left.to_string()), Ok(left));
        prop_assert_eq!(left.to_string().cmp(&right.to_string()), left.cmp(&right));
        let json = serde_json::to_string(&left).unwrap();
        prop_assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), left);
    }

    #[test]
    fn reading_arbitrary_text_never_panics(text in "\\PC{0,40}") {
        let _ = Timestamp::parse("", &text);
    }
}

#[test]
fn seconds_are_added_up_to_the_last_moment_there_is() {
    let time = |text| Timestamp::parse("", text).unwrap();
    let last = time("9999-12-31T23:59:59.999999Z");
    assert_eq!(time("2026-11-21T10:00:00.5Z").plus_seconds(86_400), time("2026-11-22T10:00:00.5Z"));
    assert_eq!(time("2026-11-21T10:00:00Z").plus_seconds(0), time("2026-11-21T10:00:00Z"));
    assert_eq!(time("9999-12-31T23:59:59Z").plus_seconds(1), last);
    assert_eq!(time("2026-11-21T10:00:00Z").plus_seconds(u64::MAX), last);
}
