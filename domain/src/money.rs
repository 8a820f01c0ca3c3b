//! Money: an exact decimal amount and its ISO 4217 currency. Never a float, and never rounded.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::text::{INVALID_FIELD_CODE, InvalidField};

/// Most digits before the decimal point.
pub const MAX_INTEGER_DIGITS: usize = 18;
/// Most digits after the decimal point.
pub const MAX_DECIMALS: usize = 8;
/// Width of [`Amount::sort_key`].
pub const SORT_KEY_DIGITS: usize = 27;

/// Why a text is not money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a decimal number as JSON writes them.
    #[error("must be a decimal number such as 1234.50")]
    Syntax,
    /// Too many digits before the decimal point.
    #[error("has more than {MAX_INTEGER_DIGITS} digits before the decimal point")]
    TooLarge,
    /// Too many digits after the decimal point.
    #[error("has more than {MAX_DECIMALS} digits after the decimal point")]
    TooFine,
    /// Not a currency of ISO 4217 in upper case.
    #[error("must be an ISO 4217 currency code in upper case, such as USD")]
    UnknownCurrency,
}

impl MoneyError {
    /// The stable code: that of every invalid field.
    pub fn code(&self) -> &'static str {
        INVALID_FIELD_CODE
    }

    /// JSON pointer of the field to blame: `/amount` or `/currency`.
    pub fn pointer(&self) -> Option<&str> {
        Some(match self {
            Self::Syntax | Self::TooLarge | Self::TooFine => "/amount",
            Self::UnknownCurrency => "/currency",
        })
    }
}

impl From<MoneyError> for InvalidField {
    fn from(error: MoneyError) -> Self {
        InvalidField::new(error.pointer().unwrap_or_default(), error.to_string())
    }
}

/// An exact decimal number of at most 18 integer digits and 8 decimals. It keeps the decimals that were written
/// (`1234.50` prints as `1234.50`) and compares by value (`1.50 == 1.5`). Serialises as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Amount(Decimal);

impl Amount {
    /// Reads a decimal number, as a string or as the token of a JSON number: `1234.50`, `-3`, `1E+2` (100, exactly).
    /// Minus zero becomes zero.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let token = NumberToken::parse(text).ok_or(MoneyError::Syntax)?;
        token.to_amount()
    }

    /// The number.
    pub fn decimal(&self) -> Decimal {
        self.0
    }

    /// A text of [`SORT_KEY_DIGITS`] digits whose order as text is the order of the amounts, for SQL that has no exact
    /// decimals: the amount in units of 10^-8, plus 10^26.
    pub fn sort_key(&self) -> String {
        // `scale` is at most 8 and the mantissa at most 26 digits, so nothing here can overflow an i128.
        let decimals = u32::try_from(MAX_DECIMALS).unwrap_or(u32::MAX);
        let units = self.0.mantissa().saturating_mul(10_i128.saturating_pow(decimals.saturating_sub(self.0.scale())));
        format!("{:0width$}", units.saturating_add(10_i128.pow(26)), width = SORT_KEY_DIGITS)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// The parts of a JSON number.
struct NumberToken<'a> {
    negative: bool,
    integer: &'a str,
    fraction: &'a str,
    /// The power of ten, clamped: anything beyond is out of bounds for every amount but zero.
    exponent: i64,
    has_exponent: bool,
}

impl<'a> NumberToken<'a> {
    /// The grammar of RFC 8259: no leading plus, no leading zeros, digits on both sides of the point.
    fn parse(text: &'a str) -> Option<Self> {
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (number, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, Some(exponent)),
            None => (unsigned, None),
        };
        let (integer, fraction) = match number.split_once('.') {
            Some((integer, fraction)) => (integer, Some(fraction)),
            None => (number, None),
        };
        if !is_digits(integer)
            || (integer.len() > 1 && integer.starts_with('0'))
            || fraction.is_some_and(|f| !is_digits(f))
        {
            return None;
        }
        let power = match exponent {
            None => 0,
            Some(exponent) => {
                let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                if !is_digits(digits) {
                    return None;
                }
                let size = digits.parse::<i64>().unwrap_or(i64::MAX).min(10_000);
                if exponent.starts_with('-') { -size } else { size }
            }
        };
        Some(Self {
            negative,
            integer,
            fraction: fraction.unwrap_or(""),
            exponent: power,
            has_exponent: exponent.is_some(),
        })
    }

    fn to_amount(&self) -> Result<Amount, MoneyError> {
        let mut digits = format!("{}{}", self.integer, self.fraction);
        // The number is `digits` times ten to the minus `scale`.
        let mut scale = i64::try_from(self.fraction.len()).unwrap_or(i64::MAX).saturating_sub(self.exponent);
        let most_decimals = i64::try_from(MAX_DECIMALS).unwrap_or(i64::MAX);
        if digits.bytes().all(|byte| byte == b'0') {
            digits = "0".to_owned();
            if self.has_exponent {
                scale = scale.clamp(0, most_decimals);
            }
        }
        // With an exponent the number of decimals was not written as such: zeros at the end carry no meaning.
        while self.has_exponent && scale > most_decimals && digits.ends_with('0') && digits.len() > 1 {
            digits.pop();
            scale -= 1;
        }
        if scale > most_decimals {
            return Err(MoneyError::TooFine);
        }
        if scale < 0 {
            let zeros = usize::try_from(scale.unsigned_abs()).unwrap_or(usize::MAX);
            if zeros > MAX_INTEGER_DIGITS {
                return Err(MoneyError::TooLarge);
            }
            digits.push_str(&"0".repeat(zeros));
            scale = 0;
        }
        let scale = u32::try_from(scale).map_err(|_| MoneyError::TooFine)?;
        let significant = digits.trim_start_matches('0');
        if significant.len() > MAX_INTEGER_DIGITS + usize::try_from(scale).unwrap_or(usize::MAX) {
            return Err(MoneyError::TooLarge);
        }
        let mantissa =
            if significant.is_empty() { 0 } else { significant.parse::<i128>().map_err(|_| MoneyError::TooLarge)? };
        let signed = if self.negative { -mantissa } else { mantissa };
        Decimal::try_from_i128_with_scale(signed, scale).map(Amount).map_err(|_| MoneyError::TooLarge)
    }
}

/// A currency of ISO 4217. Serialises as its code, `USD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// Reads a three-letter code in upper case.
    pub fn parse(code: &str) -> Result<Self, MoneyError> {
        iso_currency::Currency::from_code(code).map(Self).ok_or(MoneyError::UnknownCurrency)
    }

    /// The three-letter code.
    pub fn code(&self) -> &'static str {
        self.0.code()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::parse(&code).map_err(de::Error::custom)
    }
}

/// An amount in a currency. Equal when the values and the currencies are: `1.50 USD == 1.5 USD`.
/// Serialises as two fields, `amount` and `currency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    amount: Amount,
    currency: Currency,
}

impl Money {
    /// Reads an amount (see [`Amount::parse`]) and a currency code.
    pub fn parse(amount: &str, currency: &str) -> Result<Self, MoneyError> {
        Ok(Self { amount: Amount::parse(amount)?, currency: Currency::parse(currency)? })
    }

    /// Puts the two together.
    pub fn new(amount: Amount, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// The amount.
    pub fn amount(&self) -> Amount {
        self.amount
    }

    /// The currency.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// See [`Amount::sort_key`].
    pub fn amount_key(&self) -> String {
        self.amount.sort_key()
    }
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.amount, self.currency)
    }
}

#[cfg(test)]
mod tests;
