//! Numbers read from their digits, never through a float.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

/// Most characters of a number as written.
const MAX_CHARACTERS: usize = 100;

/// A decimal number exactly as the client wrote it, as a JSON number or a string, exponent and all: `-12.50`, `1.5e3`.
///
/// Whether the number is of a useful size is for the domain to say.
#[derive(Clone, PartialEq, Eq)]
pub struct ExactNumber(String);

impl ExactNumber {
    /// Reads `-?digits[.digits][e[+-]digits]`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > MAX_CHARACTERS {
            return Err("must have at most 100 characters");
        }
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if [whole, fraction, exponent].into_iter().all(is_digits) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be a decimal number")
        }
    }

    /// The number as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for ExactNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for ExactNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ExactNumber {
    /// Works where the deserializer is serde_json's own: not below `flatten` or an untagged enum.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let token = raw.get();
        let parsed = match token.as_bytes().first() {
            Some(b'"') => {
                let text: String = serde_json::from_str(token).map_err(D::Error::custom)?;
                Self::parse(&text)
            }
            Some(b'-' | b'0'..=b'9') => Self::parse(token),
            _ => Err("must be a decimal number, as a JSON number or a string"),
        };
        parsed.map_err(D::Error::custom)
    }
}

impl utoipa::PartialSchema for ExactNumber {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Number]))
            .description(Some("A decimal number, as a string or a JSON number, read exactly from its digits."))
            .examples([serde_json::json!("1234.50"), serde_json::json!(1234.5)])
            .into()
    }
}

impl utoipa::ToSchema for ExactNumber {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn read(json: &str) -> Result<String, String> {
        serde_json::from_str::<ExactNumber>(json).map(|number| number.0).map_err(|error| error.to_string())
    }

    #[test]
    fn digits_are_kept_as_written() {
        for (json, digits) in [
            ("0.10", "0.10"),
            ("\"0.10\"", "0.10"),
            ("12345678901234567890.12345678", "12345678901234567890.12345678"),
            ("-5", "-5"),
            ("1.5e3", "1.5e3"),
            ("25E-1", "25E-1"),
            ("\"1e40\"", "1e40"),
        ] {
            assert_eq!(read(json), Ok(digits.to_owned()), "{json}");
        }
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for json in [
            "null", "true", "[]", "{}", "\"\"", "\"NaN\"", "\"inf\"", "\"1,5\"", "\".5\"", "\"5.\"", "\"+5\"",
            "\" 5\"", "\"0x1\"", "\"٣\"", "\"1e\"", "\"é5\"",
        ] {
            assert!(read(json).is_err(), "{json}");
        }
        assert!(read(&"9".repeat(101)).is_err());
    }
}
