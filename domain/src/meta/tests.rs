//! Bounds of a client's own fields, and their sameness after a round through the ledger.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn parse(value: Value) -> Result<Meta, InvalidField> {
    match value {
        Value::Object(fields) => Meta::parse("/meta", fields),
        other => panic!("not an object: {other}"),
    }
}

fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({ "in": inner }))
}

#[test]
fn eight_levels_are_accepted_and_nine_refused() {
    assert!(parse(nested(MAX_META_DEPTH)).is_ok());
    assert!(parse(nested(MAX_META_DEPTH + 1)).unwrap_err().detail.contains("nested"));
    assert!(parse(json!({ "a": [[[[[[[1]]]]]]] })).is_ok());
    assert!(parse(json!({ "a": [[[[[[[[1]]]]]]]] })).is_err());
}

#[test]
fn sixteen_kibibytes_are_accepted_and_one_more_refused() {
    let overhead = r#"{"a":""}"#.len();
    assert!(parse(json!({ "a": "x".repeat(MAX_META_BYTES - overhead) })).is_ok());
    assert_eq!(parse(json!({ "a": "x".repeat(MAX_META_BYTES - overhead + 1) })).unwrap_err().pointer, "/meta");
}

#[test]
fn what_could_not_be_read_back_as_it_was_is_refused() {
    assert!(parse(json!({ "x": { "a": 1, "$serde_json::private::RawValue": "junk" } })).is_err());
    assert!(parse(json!({ "$serde_json::private::Number": "1" })).is_err());
    assert!(parse(serde_json::from_str(r#"{"id":123456789012345678901234}"#).unwrap()).is_err());
    assert!(parse(serde_json::from_str(r#"{"id":[-1e300]}"#).unwrap()).is_err());
    assert!(parse(json!({ "id": u64::MAX, "low": i64::MIN, "share": 0.125 })).is_ok());
}

#[test]
fn nul_is_refused_in_keys_and_values() {
    assert!(parse(json!({ "a\0": 1 })).is_err());
    assert!(parse(json!({ "a": ["b\0"] })).is_err());
    assert!(parse(json!({ "a": { "b\0": 1 } })).is_err());
}

#[test]
fn the_order_of_keys_means_nothing() {
    let left: Meta = serde_json::from_str(r#"{"a":1,"b":{"c":2,"d":3}}"#).unwrap();
    let right: Meta = serde_json::from_str(r#"{"b":{"d":3,"c":2},"a":1}"#).unwrap();
    assert_eq!(left, right);
}

proptest! {
    #[test]
    fn fractions_survive_the_ledger_unchanged(number in proptest::num::f64::ANY) {
        prop_assume!(number.abs() < 9e15);
        let meta = parse(json!({ "score": number })).unwrap();
        let stored = serde_json::to_string(&meta).unwrap();
        let read: Meta = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(&read, &meta);
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), stored);
    }

    #[test]
    fn a_repeated_fraction_equals_the_stored_one(text in "-?(0|[1-9][0-9]{0,3})\\.[0-9]{1,20}(e-[0-9]{1,2}|e[0-9])?") {
        let sent: Meta = serde_json::from_str(&format!(r#"{{"score":{text}}}"#)).unwrap();
        let stored: Meta = serde_json::from_str(&serde_json::to_string(&sent).unwrap()).unwrap();
        let repeated: Meta = serde_json::from_str(&format!(r#"{{"score":{text}}}"#)).unwrap();
        prop_assert_eq!(stored, repeated);
    }
}
