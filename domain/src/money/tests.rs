//! Amounts keep what was written and refuse what they cannot hold.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

#[test]
fn amounts_print_as_they_were_written() {
    for text in
        ["1234.50", "-3", "0", "0.00", "0.00000001", "999999999999999999.99999999", "-999999999999999999.99999999"]
    {
        assert_eq!(amount(text).to_string(), text);
    }
}

#[test]
fn minus_zero_becomes_zero() {
    assert_eq!(amount("-0").to_string(), "0");
    assert_eq!(amount("-0.00").to_string(), "0.00");
    assert_eq!(amount("-0e3").to_string(), "0");
}

#[test]
fn exponents_are_read_exactly() {
    for (written, exact) in [
        ("1E+2", "100"),
        ("1e2", "100"),
        ("1.50e1", "15.0"),
        ("15e-1", "1.5"),
        ("1e-8", "0.00000001"),
        ("100000e-10", "0.00001000"),
        ("1e17", "100000000000000000"),
        ("0e999999999999999999999", "0"),
        ("0.0e-99", "0.00000000"),
    ] {
        assert_eq!(amount(written).to_string(), exact, "{written}");
    }
}

#[test]
fn what_is_not_a_json_number_is_refused() {
    for text in [
        "", " ", "1 ", " 1", "+1", "01", "00", ".5", "5.", "-", "--1", "1,5", "1_000", "1e", "1e+", "1.e1", "e1",
        "0x10", "NaN", "Infinity", "1.2.3", "1e1e1", "1e1.5", "١", "1\n",
    ] {
        assert_eq!(Amount::parse(text), Err(MoneyError::Syntax), "{text:?}");
    }
}

#[test]
fn the_bounds_are_eighteen_digits_and_eight_decimals() {
    assert_eq!(Amount::parse("1000000000000000000"), Err(MoneyError::TooLarge));
    assert_eq!(Amount::parse("-1000000000000000000.5"), Err(MoneyError::TooLarge));
    assert_eq!(Amount::parse("1e18"), Err(MoneyError::TooLarge));
    assert_eq!(Amount::parse("1e99999999999999999999"), Err(MoneyError::TooLarge));
    assert_eq!(Amount::parse("0.000000001"), Err(MoneyError::TooFine));
    assert_eq!(Amount::parse("1.000000000"), Err(MoneyError::TooFine));
    assert_eq!(Amount::parse("1e-9"), Err(MoneyError::TooFine));
    assert_eq!(Amount::parse("1e-99999999999999999999"), Err(MoneyError::TooFine));
    assert_eq!(Amount::parse(&"9".repeat(100_000)), Err(MoneyError::TooLarge));
}

#[test]
fn currencies_are_iso_codes_in_upper_case() {
    assert_eq!(Currency::parse("USD").unwrap().code(), "USD");
    assert_eq!(Currency::parse("JPY").unwrap().to_string(), "JPY");
    for code in ["usd", "Usd", "US", "USDT", "ABC", "", "BTC", " USD"] {
        assert_eq!(Currency::parse(code), Err(MoneyError::UnknownCurrency), "{code:?}");
    }
}

#[test]
fn money_compares_by_value_and_currency() {
    let money = |amount, currency| Money::parse(amount, currency).unwrap();
    assert_eq!(money("1.50", "USD"), money("1.5", "USD"));
    assert_ne!(money("1.50", "USD"), money("1.50", "EUR"));
    assert_ne!(money("1.50", "USD"), money("-1.50", "USD"));
}

#[test]
fn money_is_two_strings_in_json() {
    let money = Money::parse("1234.50", "USD").unwrap();
    let json = serde_json::to_string(&money).unwrap();
    assert_eq!(json, r#"{"amount":"1234.50","currency":"USD"}"#);
    assert_eq!(serde_json::from_str::<Money>(&json).unwrap().amount().to_string(), "1234.50");
    assert!(serde_json::from_str::<Money>(r#"{"amount":1234.5,"currency":"USD"}"#).is_err());
}

#[test]
fn errors_name_the_field_to_blame() {
    assert_eq!(InvalidField::from(Money::parse("x", "USD").unwrap_err()).pointer, "/amount");
    assert_eq!(InvalidField::from(Money::parse("1", "usd").unwrap_err()).pointer, "/currency");
    assert_eq!(Money::parse("x", "USD").unwrap_err().code(), "request.invalid");
}

#[test]
fn the_sort_key_has_the_documented_form() {
    assert_eq!(amount("0").sort_key(), "100000000000000000000000000");
    assert_eq!(amount("1.5").sort_key(), "100000000000000000150000000");
    assert_eq!(amount("-1.5").sort_key(), "099999999999999999850000000");
    assert_eq!(amount("-999999999999999999.99999999").sort_key(), "000000000000000000000000001");
}

proptest! {
    #[test]
    fn every_amount_within_bounds_is_printed_exactly(text in "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,8})?") {
        let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.' | b'-'));
        let expected = if is_zero { text.trim_start_matches('-') } else { text.as_str() };
        prop_assert_eq!(amount(&text).to_string(), expected);
    }

    #[test]
    fn reading_arbitrary_text_never_panics(text in "[-+0-9.eE]{0,40}") {
        if let Ok(amount) = Amount::parse(&text) {
            prop_assert_eq!(Amount::parse(&amount.to_string()), Ok(amount));
        }
    }

    #[test]
    fn shifting_the_point_by_an_exponent_keeps_the_value(digits in 1_u64..1_000_000_000, shift in 0_usize..9) {
        let with_exponent = amount(&format!("{digits}e-{shift}"));
        let padded = format!("{digits:0width$}", width = shift + 1);
        let (integer, fraction) = padded.split_at(padded.len() - shift);
        let plain = if shift == 0 { integer.to_owned() } else { format!("{integer}.{fraction}") };
        prop_assert_eq!(with_exponent, amount(&plain));
    }

    #[test]
    fn sort_keys_order_as_the_amounts_do(
        left in "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,8})?",
        right in "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,8})?",
    ) {
        let (left, right) = (amount(&left), amount(&right));
        prop_assert_eq!(left.sort_key().len(), SORT_KEY_DIGITS);
        prop_assert_eq!(left.sort_key().cmp(&right.sort_key()), left.cmp(&right));
    }
}
