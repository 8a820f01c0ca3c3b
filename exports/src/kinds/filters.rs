//! Reading a filter's value, the same when an export is asked for as when it is made.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::FilterKind;

/// Most characters of a text.
const MAX_TEXT_CHARACTERS: usize = 1_000;
/// Most texts of a list.
const MAX_TEXTS: usize = 500;
/// 1900-01-01 and 9999-12-31, in microseconds: what is outside is a mistake.
const TIMES: std::ops::RangeInclusive<i64> = -2_208_988_800_000_000..=253_402_300_799_999_999;
const DAY_MICROS: i64 = 86_400_000_000;

/// A filter's value. Prints as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterValue {
    /// Text, or a word.
    Text(String),
    /// Yes or no.
    Boolean(bool),
    /// A number; microseconds for a time.
    Integer(i64),
    /// A time in microseconds.
    Time(i64),
    /// An exact decimal number, in units of 10⁻⁸, and as it was written.
    Amount(i128, String),
    /// A list.
    Texts(Vec<String>),
}

impl FilterValue {
    /// Whether it is smaller than another of its sort; values of different sorts have no order.
    pub(super) fn is_below(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(one), Self::Integer(two)) | (Self::Time(one), Self::Time(two)) => one < two,
            (Self::Amount(one, _), Self::Amount(two, _)) => one < two,
            _ => false,
        }
    }
}

impl fmt::Display for FilterValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Amount(_, text) => formatter.write_str(text),
            Self::Boolean(value) => write!(formatter, "{value}"),
            Self::Integer(number) => write!(formatter, "{number}"),
            Self::Time(micros) => match DateTime::<Utc>::from_timestamp_micros(*micros) {
                Some(time) => write!(formatter, "{}", time.format("%Y-%m-%dT%H:%M:%S%.6fZ")),
                None => write!(formatter, "{micros}"),
            },
            Self::Texts(texts) => formatter.write_str(&serde_json::json!(texts).to_string()),
        }
    }
}

/// Reads a value. The error says what it must be.
pub fn value_of(kind: FilterKind, text: &str) -> Result<FilterValue, String> {
    match kind {
        FilterKind::Text => plain(text).map(FilterValue::Text),
        FilterKind::Word(words, aliases) => {
            let lower = text.trim().to_lowercase();
            let meant = aliases.iter().find(|(alias, _)| *alias == lower).map_or(lower.as_str(), |(_, word)| word);
            let word = words.iter().find(|word| **word == meant);
            let word = word.ok_or_else(|| format!("must be one of {}", words.join(", ")))?;
            Ok(FilterValue::Text((*word).to_owned()))
        }
        FilterKind::Boolean => match text.trim().to_lowercase().as_str() {
            "true" | "1" => Ok(FilterValue::Boolean(true)),
            "false" | "0" => Ok(FilterValue::Boolean(false)),
            _ => Err("must be true or false".to_owned()),
        },
        FilterKind::Integer => match text.trim().parse::<i64>() {
            Ok(number) if number >= 0 => Ok(FilterValue::Integer(number)),
            _ => Err("must be a whole number".to_owned()),
        },
        FilterKind::Amount => {
            let text = text.trim();
            let units = amount(text)
                .ok_or("must be a decimal number such as 1234.50, with at most 18 digits and 8 decimals")?;
            Ok(FilterValue::Amount(units, text.to_owned()))
        }
        FilterKind::TimeFrom => time(text, 0).map(FilterValue::Time),
        FilterKind::TimeTo => time(text, DAY_MICROS - 1).map(FilterValue::Time),
        FilterKind::Texts => {
            let texts: Vec<String> =
                serde_json::from_str(text).map_err(|_| "must be a JSON list of texts".to_owned())?;
            if texts.len() > MAX_TEXTS {
                return Err(format!("may have at most {MAX_TEXTS} texts"));
            }
            texts.iter().map(|text| plain(text)).collect::<Result<_, _>>().map(FilterValue::Texts)
        }
    }
}

fn plain(text: &str) -> Result<String, String> {
    if text.chars().count() > MAX_TEXT_CHARACTERS {
        return Err(format!("must have at most {MAX_TEXT_CHARACTERS} characters"));
    }
    // No SQL text can hold it.
    if text.contains('\0') {
        return Err("must not have the character U+0000".to_owned());
    }
    Ok(text.to_owned())
}

/// A time in microseconds; a bare date is `within_day` after its beginning.
fn time(text: &str, within_day: i64) -> Result<i64, String> {
    let text = text.trim();
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let micros = match date {
        Some(date) => Some(date.and_time(NaiveTime::MIN).and_utc().timestamp_micros() + within_day),
        None => DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros()),
    };
    micros.filter(|micros| TIMES.contains(micros)).ok_or_else(|| {
        "must be a time such as 2026-11-21T10:00:00Z or a date such as 2026-11-21, in the years 1900 to 9999".to_owned()
    })
}

/// Units of 10⁻⁸.
fn amount(text: &str) -> Option<i128> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) || whole.len() > 18 || part.len() > 8 {
        return None;
    }
    let units = whole.parse::<i128>().ok()? * 100_000_000 + format!("{part:0<8}").parse::<i128>().ok()?;
    Some(if negative { -units } else { units })
}
