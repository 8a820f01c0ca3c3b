//! What people wrote, in a read table: in clear, or sealed with a key of theirs.
//!
//! A column holds both. A sealed text stands there as JSON behind the record separator of JSON text sequences (RFC 7464):
//! no text from outside may hold that control character, so nobody's words are ever taken for a sealed value.

use serde::{Deserialize, Serialize};

use crate::db::ReadError;

/// What a sealed text begins with in its column.
const MARK: char = '\u{1e}';

/// A text that somebody wrote. Serialises as the text, or as the sealed value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum FreeText {
    /// In clear.
    Clear(String),
    /// Sealed. To be opened when it is shown, so that an erased one is shown as erased at once.
    Sealed(SealedValue),
}

/// A sealed text as its event has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedValue {
    /// Opaque id of the person whose key opens it.
    pub subject: String,
    /// The sealed value.
    pub sealed: String,
}

impl FreeText {
    /// The text, where it is in clear.
    pub fn clear(&self) -> Option<&str> {
        match self {
            Self::Clear(text) => Some(text),
            Self::Sealed(_) => None,
        }
    }

    /// The sealed value, where it is sealed.
    pub fn sealed(&self) -> Option<&SealedValue> {
        match self {
            Self::Clear(_) => None,
            Self::Sealed(value) => Some(value),
        }
    }

    /// As it stands in a column.
    pub fn into_column(self) -> String {
        match self {
            Self::Clear(text) => text,
            Self::Sealed(value) => format!("{MARK}{}", serde_json::json!(value)),
        }
    }

    /// As it was read from `column`.
    pub fn from_column(column: &str, text: String) -> Result<Self, ReadError> {
        let Some(json) = text.strip_prefix(MARK) else { return Ok(Self::Clear(text)) };
        // The text itself stays out of the error, which goes to the log.
        serde_json::from_str(json).map(Self::Sealed).map_err(|_| ReadError::Corrupt {
            column: column.to_owned(),
            why: "is marked as sealed, but holds no sealed value".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn read(text: &str) -> Result<FreeText, ReadError> {
        FreeText::from_column("comment", text.to_owned())
    }

    #[test]
    fn both_kinds_come_back_from_their_column() {
        let sealed = FreeText::Sealed(SealedValue { subject: "usr_1".to_owned(), sealed: "dbs1.AA".to_owned() });
        for text in [FreeText::Clear("She called.\nTwice.".to_owned()), sealed] {
            assert_eq!(read(&text.clone().into_column()).unwrap(), text);
        }
    }

    #[test]
    fn words_that_look_like_a_sealed_value_are_words() {
        let words = r#"{"subject":"usr_1","sealed":"dbs1.AA"}"#;
        assert_eq!(read(words).unwrap().clear(), Some(words));
    }

    #[test]
    fn what_is_marked_and_not_sealed_is_an_error_that_does_not_quote_it() {
        let error = read("\u{1e}Ada Lovelace").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("Ada"), "{error}");
    }
}
