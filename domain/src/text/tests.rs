//! What each kind of text accepts and refuses.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn ids_are_bounded_in_bytes() {
    assert!(TransactionId::parse("/transaction_id", "t".repeat(200)).is_ok());
    assert!(TransactionId::parse("/transaction_id", "t".repeat(201)).is_err());
    assert!(TransactionId::parse("/transaction_id", "é".repeat(101)).is_err());
}

#[test]
fn lines_are_bounded_in_characters() {
    assert!(Line::parse("/account", "é".repeat(200)).is_ok());
    assert!(Line::parse("/account", "é".repeat(201)).is_err());
    assert!(ShortName::parse("/type", "é".repeat(51)).is_err());
    assert!(Reason::parse("/reason", "é".repeat(2_001)).is_err());
    assert!(Paragraph::parse("/text", "é".repeat(10_001)).is_err());
}

#[test]
fn blank_text_is_refused_everywhere() {
    for text in ["", " ", "\u{3000}", "\n"] {
        assert!(TransactionId::parse("", text).is_err());
        assert!(Line::parse("", text).is_err());
        assert!(Paragraph::parse("", text).is_err());
    }
}

#[test]
fn an_id_has_no_white_space_at_its_ends() {
    assert!(TransactionId::parse("", " tx").is_err());
    assert!(TransactionId::parse("", "tx ").is_err());
    assert!(TransactionId::parse("", "tx 1").is_ok());
}

#[test]
fn control_characters_are_refused_but_for_breaks_in_free_text() {
    for text in ["a\0b", "a\u{7}b", "a\u{85}b", "a\rb"] {
        assert!(Line::parse("", text).is_err(), "{text:?}");
        assert!(Paragraph::parse("", text).is_err(), "{text:?}");
    }
    assert!(Paragraph::parse("", "first\n\tsecond").is_ok());
    assert!(Line::parse("", "first\nsecond").is_err());
}

#[test]
fn direction_marks_cannot_disguise_an_id() {
    assert!(TransactionId::parse("", "tx\u{202e}1").is_err());
    assert!(Line::parse("", "Acme\u{2066}").is_err());
}

#[test]
fn what_cannot_be_seen_cannot_tell_ids_apart() {
    assert!(TransactionId::parse("", "..").is_err(), "no URL leads to it");
    for hidden in ["tx\u{2028}1", "tx\u{2029}1", "tx\u{200b}1", "\u{feff}", "tx\u{ad}1"] {
        assert!(TransactionId::parse("", hidden).is_err(), "{}", hidden.escape_unicode());
    }
    assert!(Line::parse("", "one\u{2028}two").is_err());
    assert!(Line::parse("", "می\u{200c}خواهم").is_ok(), "joiners belong to the script of a name");
}

#[test]
fn a_refusal_names_the_field() {
    let refusal = Line::parse("/desk", "").unwrap_err();
    assert_eq!(refusal.code(), "request.invalid");
    assert_eq!(refusal.pointer(), Some("/desk"));
    assert_eq!(refusal.to_string(), "/desk: must not be empty");
}

#[test]
fn reading_json_checks_again() {
    assert!(serde_json::from_str::<Line>(r#""rates""#).is_ok());
    assert!(serde_json::from_str::<Line>(r#""a\u0000b""#).is_err());
}

#[test]
fn a_lenient_line_keeps_what_can_be_kept() {
    for (text, kept) in
        [("/v1/incidents", "/v1/incidents"), ("a\0b\nc\u{202e}d\u{2028}e", "abcde"), ("", "-"), (" \t\n", "-")]
    {
        assert_eq!(Line::lenient(text).as_str(), kept);
    }
    assert_eq!(Line::lenient(&"ä".repeat(300)).as_str().chars().count(), 200);
}

proptest::proptest! {
    #[test]
    fn a_lenient_line_is_a_line(text in ".{0,300}") {
        proptest::prop_assert!(Line::parse("", Line::lenient(&text).as_str()).is_ok());
    }
}
