//! The answer of a time-stamping authority (RFC 3161, 2.4.2).

use der::Tag;

use crate::element::{Element, Elements};
use crate::error::TimeStampError;

const WHAT: &str = "the time-stamping authority's response";
/// Most characters of the authority's own words that are passed on.
const MOST_WORDS: usize = 300;

/// A token as it came, not verified: DER of the CMS `ContentInfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    der: Vec<u8>,
}

impl Token {
    /// Its bytes.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Its bytes, to keep.
    pub fn into_der(self) -> Vec<u8> {
        self.der
    }
}

/// The token in a response of type `application/timestamp-reply`, or why the authority gave none, in words.
pub fn parse_response(response: &[u8]) -> Result<Token, TimeStampError> {
    let mut fields = Element::whole(response, WHAT)?.sequence()?;
    let mut info = fields.next()?.sequence()?;
    let status = match info.next()?.unsigned()? {
        [] => 0,
        [status] => *status,
        _ => return Err(TimeStampError::Malformed(WHAT)),
    };
    if status > 1 {
        return Err(TimeStampError::Refused(refusal(status, info)?));
    }
    let Some(token) = fields.next_if(|_| true)? else { return Err(TimeStampError::NoToken) };
    fields.end()?;
    token.tagged(Tag::Sequence)?;
    Ok(Token { der: token.bytes.to_vec() })
}

fn refusal(status: u8, mut info: Elements<'_>) -> Result<String, TimeStampError> {
    let mut words = match status {
        2 => "rejected".to_owned(),
        3 => "it has put the request into a queue".to_owned(),
        4 => "its certificate is about to be revoked".to_owned(),
        5 => "its certificate was revoked".to_owned(),
        _ => format!("status {status}"),
    };
    if let Some(texts) = info.next_if(|element| element.tag == Tag::Sequence)? {
        for text in texts.sequence()?.rest()? {
            let text = String::from_utf8_lossy(text.content);
            let printable: String = text.chars().filter(|letter| !letter.is_control()).take(MOST_WORDS).collect();
            words.push_str(&format!("; it says {printable:?}"));
        }
    }
    if let Some(bits) = info.next_if(|element| element.tag == Tag::BitString)? {
        for failure in failures(bits.content) {
            words.push_str("; ");
            words.push_str(failure);
        }
    }
    Ok(words.chars().take(2 * MOST_WORDS).collect())
}

/// `PKIFailureInfo` in words. The first byte of a bit string counts unused bits.
fn failures(bits: &[u8]) -> Vec<&'static str> {
    let names = [
        (0, "it does not know the digest algorithm"),
        (2, "it does not allow such a request"),
        (5, "it cannot read the request"),
        (14, "its source of time is not available"),
        (15, "it does not have the requested policy"),
        (16, "it does not support a requested extension"),
        (17, "it does not have the requested additional information"),
        (25, "it has failed by itself"),
    ];
    let is_set = |bit: usize| bits.get(1 + bit / 8).is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0);
    names.into_iter().filter(|(bit, _)| is_set(*bit)).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_is_told_in_words() {
        // status 2, text "no", failInfo badAlg
        let response = [0x30, 0x0d, 0x30, 0x0b, 2, 1, 2, 0x30, 4, 0x0c, 2, b'n', b'o', 3, 2, 7, 0x80];
        let mut whole = response.to_vec();
        whole[1] = 0x0f;
        whole[3] = 0x0d;
        let words = "rejected; it says \"no\"; it does not know the digest algorithm";
        assert_eq!(parse_response(&whole), Err(TimeStampError::Refused(words.to_owned())));
    }

    #[test]
    fn granted_without_token_is_no_token() {
        assert_eq!(parse_response(&[0x30, 5, 0x30, 3, 2, 1, 0]), Err(TimeStampError::NoToken));
        assert!(matches!(parse_response(b"<html>"), Err(TimeStampError::Malformed(_))));
    }
}
