//! What a token states (`TSTInfo`, RFC 3161, 2.4.2): time, digest, serial number, policy.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use der::Tag;

use crate::element::{Element, algorithm};
use crate::error::TimeStampError;
use crate::oid;

const WHAT: &str = "the token's statement";

/// What a token states. Believed only after the token was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenContent {
    /// The time that the authority gave, as exactly as it gave it.
    pub generated_at: DateTime<Utc>,
    /// Serial number of the token at its authority, in hexadecimal digits.
    pub serial: String,
    /// Object identifier of the authority's policy.
    pub policy: String,
    /// The digest that was seen. Always SHA-256: others are refused.
    pub message_sha256: [u8; 32],
    /// How far from the stated time the true one may be, where the authority says so.
    pub accuracy: Option<TimeDelta>,
    /// The nonce of the request, where it had one, in hexadecimal digits.
    pub nonce: Option<String>,
}

impl TokenContent {
    /// Reads a DER `TSTInfo`.
    pub(crate) fn parse(der: &[u8]) -> Result<Self, TimeStampError> {
        let mut fields = Element::whole(der, WHAT)?.sequence()?;
        if fields.next()?.unsigned()? != [1] {
            return Err(TimeStampError::Malformed(WHAT));
        }
        let policy = fields.next()?.oid()?.to_string();
        let mut imprint = fields.next()?.sequence()?;
        let hash = algorithm(&imprint.next()?)?;
        if hash != oid::SHA_256 {
            return Err(TimeStampError::Algorithm(hash.to_string()));
        }
        let message_sha256 = imprint.next()?.octets()?.try_into().map_err(|_| TimeStampError::Malformed(WHAT))?;
        imprint.end()?;
        let serial = hexadecimal(fields.next()?.unsigned()?);
        let time = fields.next()?;
        time.tagged(Tag::GeneralizedTime)?;
        let generated_at = generalized_time(time.content).ok_or(TimeStampError::Malformed(WHAT))?;
        let accuracy = match fields.next_if(|element| element.tag == Tag::Sequence)? {
            Some(accuracy) => Some(parse_accuracy(&accuracy)?),
            None => None,
        };
        fields.next_if(|element| element.tag == Tag::Boolean)?;
        let nonce = match fields.next_if(|element| element.tag == Tag::Integer)? {
            Some(nonce) => Some(hexadecimal(nonce.unsigned()?)),
            None => None,
        };
        // The authority's name is a claim; what counts is its certificate.
        fields.next_if(|element| element.is_context(0))?;
        if let Some(extensions) = fields.next_if(|element| element.is_context(1))? {
            refuse_critical(extensions)?;
        }
        fields.end()?;
        Ok(Self { generated_at, serial, policy, message_sha256, accuracy, nonce })
    }
}

/// Extensions say more, such as that the authority is a qualified one; a critical one may change what the token means.
fn refuse_critical(extensions: Element<'_>) -> Result<(), TimeStampError> {
    for extension in extensions.inside()?.rest()? {
        let mut fields = extension.sequence()?;
        let name = fields.next()?.oid()?;
        let critical = fields.next_if(|element| element.tag == Tag::Boolean)?;
        fields.next()?.octets()?;
        fields.end()?;
        if critical.is_some_and(|critical| critical.content != [0]) {
            return Err(TimeStampError::Extension(name.to_string()));
        }
    }
    Ok(())
}

/// Whether the nonce is this number.
pub(crate) fn is_nonce(stated: Option<&str>, sent: u64) -> bool {
    let sent = sent.to_be_bytes();
    let zeros = sent.iter().take_while(|byte| **byte == 0).count();
    stated == Some(hexadecimal(sent.get(zeros..).unwrap_or_default()).as_str())
}

fn hexadecimal(digits: &[u8]) -> String {
    if digits.is_empty() { "00".to_owned() } else { hex::encode(digits) }
}

fn number(digits: &[u8]) -> Option<u64> {
    let mut bytes = [0_u8; 8];
    let start = bytes.len().checked_sub(digits.len())?;
    bytes.get_mut(start..)?.copy_from_slice(digits);
    Some(u64::from_be_bytes(bytes))
}

/// Seconds, then `[0]` milliseconds and `[1]` microseconds, each optional.
fn parse_accuracy(element: &Element<'_>) -> Result<TimeDelta, TimeStampError> {
    let malformed = || TimeStampError::Malformed(WHAT);
    let mut fields = element.sequence()?;
    let mut accuracy = TimeDelta::zero();
    if let Some(seconds) = fields.next_if(|element| element.tag == Tag::Integer)? {
        let seconds = number(seconds.unsigned()?).and_then(|seconds| i64::try_from(seconds).ok());
        accuracy = seconds.and_then(TimeDelta::try_seconds).ok_or_else(malformed)?;
    }
    for (tag, unit_us) in [(0, 1_000), (1, 1)] {
        if let Some(part) = fields.next_if(|element| element.is_primitive_context(tag))? {
            let part = number(part.content).and_then(|part| i64::try_from(part).ok()).filter(|part| *part <= 999);
            let part = TimeDelta::microseconds(part.ok_or_else(malformed)? * unit_us);
            accuracy = accuracy.checked_add(&part).ok_or_else(malformed)?;
        }
    }
    fields.end()?;
    Ok(accuracy)
}

/// `YYYYMMDDhhmmss[.fraction]Z`, the only form that RFC 3161 allows.
fn generalized_time(text: &[u8]) -> Option<DateTime<Utc>> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 14 || !(1..=9).contains(&fraction.len()) || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let part = |from: usize, to: usize| whole.get(from..to)?.parse::<u32>().ok();
    let nanoseconds: u32 = format!("{fraction:0<9}").parse().ok()?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(part(0, 4)?).ok()?, part(4, 6)?, part(6, 8)?)?;
    let time = date.and_hms_nano_opt(part(8, 10)?, part(10, 12)?, part(12, 14)?, nanoseconds)?;
    Some(time.and_utc()).filter(|time| time.timestamp() >= 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn time_may_have_a_fraction_and_must_be_utc() {
        let time = |text: &str| generalized_time(text.as_bytes()).map(|time| time.to_rfc3339());
        assert_eq!(time("20261121103000Z").unwrap(), "2026-11-21T10:30:00+00:00");
        assert_eq!(time("20261121103000.25Z").unwrap(), "2026-11-21T10:30:00.250+00:00");
        for wrong in [
            "20261121103000",
            "202611211030Z",
            "20261121103000+0100",
            "20261321103000Z",
            "20261121103000.Z",
            "+0261121103000Z",
            "19691231235959Z",
        ] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nonce_is_compared_as_a_number() {
        assert!(
            is_nonce(Some("01ff"), 0x1ff) && is_nonce(Some("00"), 0) && is_nonce(Some("ffffffffffffffff"), u64::MAX)
        );
        assert!(!is_nonce(None, 0) && !is_nonce(Some("01"), 0x100) && !is_nonce(Some("010000000000000000"), 0));
    }
}
