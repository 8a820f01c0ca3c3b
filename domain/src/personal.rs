//! Personal data as it stands in events: sealed with a key of the person it is about, who is named by an opaque id.
//!
//! Sealing and opening happen elsewhere. Here is only the shape: what is stored for ever is checked to be a sealed
//! value, so that a name cannot come into an event in clear by mistake. When the key is gone the value stays, says
//! nothing, and the entry still verifies.

use serde::{Deserialize, Serialize};

use crate::text::{InvalidField, SubjectId};

/// What a sealed value begins with: the version of the sealing.
pub const SEALED_PREFIX: &str = "dbs1.";
/// Most bytes of a sealed value as text. A paragraph of 10,000 characters fits however they are encoded.
pub const MAX_SEALED_BYTES: usize = 64 * 1024;
/// Fewest bytes under the base64: a nonce of 24 and a tag of 16.
const MIN_SEALED_RAW_BYTES: usize = 40;

/// A text about a person, sealed with that person's key.
///
/// As JSON: `{"subject":"usr_…","sealed":"dbs1.<base64url of nonce and ciphertext, without padding>"}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct SealedText {
    /// Whose key opens it: the opaque id of the person it is about.
    pub subject: String,
    /// The sealed value, see [`SEALED_PREFIX`].
    pub sealed: String,
}

/// A personal field of an event: always sealed.
pub type Personal = SealedText;

/// As it was read, before it is checked.
#[derive(Deserialize)]
struct Unchecked {
    subject: String,
    sealed: String,
}

impl SealedText {
    /// Checks a sealed value that came at `pointer`.
    pub fn parse(pointer: &str, subject: impl Into<String>, sealed: impl Into<String>) -> Result<Self, InvalidField> {
        let text = Self { subject: subject.into(), sealed: sealed.into() };
        text.check(pointer)?;
        Ok(text)
    }

    /// Whether it has the shape of a sealed value; that it opens is not said.
    pub fn check(&self, pointer: &str) -> Result<(), InvalidField> {
        SubjectId::parse(&format!("{pointer}/subject"), self.subject.as_str())?;
        let refuse = |detail: String| Err(InvalidField::new(format!("{pointer}/sealed"), detail));
        if self.sealed.len() > MAX_SEALED_BYTES {
            return refuse(format!("has {} bytes, at most {MAX_SEALED_BYTES} are allowed", self.sealed.len()));
        }
        let Some(encoded) = self.sealed.strip_prefix(SEALED_PREFIX) else {
            return refuse(format!("must begin with {SEALED_PREFIX}"));
        };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        // Four characters are three bytes; a single one that is left over is none.
        if !encoded.bytes().all(allowed) || encoded.len() % 4 == 1 {
            return refuse("must be base64url without padding".to_owned());
        }
        if encoded.len() / 4 * 3 + (encoded.len() % 4).saturating_sub(1) < MIN_SEALED_RAW_BYTES {
            return refuse("is too short to be a sealed value".to_owned());
        }
        Ok(())
    }
}

impl TryFrom<Unchecked> for SealedText {
    type Error = InvalidField;

    fn try_from(read: Unchecked) -> Result<Self, InvalidField> {
        Self::parse("", read.subject, read.sealed)
    }
}

/// A text that older entries have in clear and newer ones sealed. As JSON: the text, or a [`SealedText`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PersonalText<T> {
    /// In clear, as it was written before texts were sealed.
    Clear(T),
    /// Sealed.
    Sealed(SealedText),
}

impl<T> PersonalText<T> {
    /// The text, where it is in clear.
    pub fn clear(&self) -> Option<&T> {
        match self {
            Self::Clear(text) => Some(text),
            Self::Sealed(_) => None,
        }
    }

    /// The sealed value, where it is sealed.
    pub fn sealed(&self) -> Option<&SealedText> {
        match self {
            Self::Clear(_) => None,
            Self::Sealed(sealed) => Some(sealed),
        }
    }
}

impl<T> From<SealedText> for PersonalText<T> {
    fn from(sealed: SealedText) -> Self {
        Self::Sealed(sealed)
    }
}

#[cfg(test)]
mod tests;
