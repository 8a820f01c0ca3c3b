//! Text from outside, as types: each has a length limit and refuses characters that have no business in a record.
//!
//! A value of one of these types is well-formed for ever: it is checked once, at the edge, and again when an event is
//! read back. This module says nothing about what a text means.

use std::fmt;

/// The stable code of every field that cannot be accepted as it came.
pub const INVALID_FIELD_CODE: &str = "request.invalid";

/// A field of a request that cannot be accepted, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}{}{detail}", if pointer.is_empty() { "" } else { ": " })]
pub struct InvalidField {
    /// JSON pointer of the field in the request, `/amount`. Empty for the request as a whole.
    pub pointer: String,
    /// What is wrong with it, for people.
    pub detail: String,
}

impl InvalidField {
    /// A refusal of the field at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }

    /// Always [`INVALID_FIELD_CODE`].
    pub fn code(&self) -> &'static str {
        INVALID_FIELD_CODE
    }

    /// JSON pointer of the field.
    pub fn pointer(&self) -> Option<&str> {
        Some(&self.pointer)
    }
}

/// How a kind of text is checked.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// Most characters (Unicode scalar values), or bytes where `in_bytes`.
    most: usize,
    in_bytes: bool,
    /// Whether line breaks and tabs may occur.
    multi_line: bool,
    /// Whether white space at either end is refused, because the text identifies something.
    identifies: bool,
}

/// Marks that change the direction of the text around them. They make a record read differently from what it says.
fn is_direction_control(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters of no width: two ids that differ only in them look the same.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

fn check(shape: Shape, text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    let (length, unit) = if shape.in_bytes { (text.len(), "bytes") } else { (text.chars().count(), "characters") };
    if length > shape.most {
        return Err(format!("has {length} {unit}, at most {} are allowed", shape.most));
    }
    if shape.identifies && text.trim() != text {
        return Err("must not begin or end with white space".to_owned());
    }
    if shape.identifies && matches!(text, "." | "..") {
        return Err("must not be a step in a path".to_owned());
    }
    for character in text.chars() {
        let allowed_break = shape.multi_line && matches!(character, '\n' | '\t');
        if character.is_control() && !allowed_break {
            return Err(format!("must not contain the control character U+{:04X}", u32::from(character)));
        }
        if !shape.multi_line && matches!(character, '\u{2028}' | '\u{2029}') {
            return Err(format!("must not contain the line separator U+{:04X}", u32::from(character)));
        }
        if shape.identifies && is_invisible(character) {
            return Err(format!("must not contain the invisible character U+{:04X}", u32::from(character)));
        }
        if !shape.multi_line && is_direction_control(character) {
            return Err(format!("must not contain the direction mark U+{:04X}", u32::from(character)));
        }
    }
    Ok(())
}

macro_rules! text_type {
    ($(#[$documentation:meta])* $name:ident, $shape:expr) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the text that came at `pointer`.
            pub fn parse(pointer: &str, text: impl Into<String>) -> Result<Self, InvalidField> {
                let text = text.into();
                check($shape, &text).map_err(|detail| InvalidField::new(pointer, detail))?;
                Ok(Self(text))
            }

            /// As [`Self::parse`], for a field that may be absent.
            pub fn parse_optional(pointer: &str, text: Option<impl Into<String>>) -> Result<Option<Self>, InvalidField> {
                text.map(|text| Self::parse(pointer, text)).transpose()
            }

            /// Text of ours, put together from parts that were checked. Tests hold that it would be accepted.
            #[allow(dead_code, reason = "not every kind of text is ever put together here")]
            pub(crate) fn composed(text: String) -> Self {
                debug_assert!(check($shape, &text).is_ok(), "composed text is not acceptable: {text:?}");
                Self(text)
            }

            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidField;

            fn try_from(text: String) -> Result<Self, InvalidField> {
                Self::parse("", text)
            }
        }
    };
}

const IDENTIFIER: Shape = Shape { most: 200, in_bytes: true, multi_line: false, identifies: true };

text_type!(
    /// A client's own number of a transaction, and the id of its stream: 1 to 200 bytes on one line.
    TransactionId,
    IDENTIFIER
);
text_type!(
    /// The id of an incident and of its stream: 1 to 200 bytes on one line.
    IncidentId,
    IDENTIFIER
);
text_type!(
    /// The id of a note or a comment within its stream: 1 to 200 bytes on one line.
    RemarkId,
    IDENTIFIER
);
text_type!(
    /// The opaque id of whoever acts, a person or a program: 1 to 200 bytes on one line.
    ActorId,
    IDENTIFIER
);
text_type!(
    /// The opaque id of whoever personal data is about: 1 to 200 bytes on one line.
    SubjectId,
    IDENTIFIER
);
text_type!(
    /// The id of any stream: 1 to 200 bytes on one line.
    StreamId,
    IDENTIFIER
);
text_type!(
    /// A name or number on one line, at most 200 characters: an account, a desk, a title, a person's id.
    Line,
    Shape { most: 200, in_bytes: false, multi_line: false, identifies: false }
);
text_type!(
    /// A short name on one line, at most 50 characters: the type of a transaction.
    ShortName,
    Shape { most: 50, in_bytes: false, multi_line: false, identifies: true }
);
text_type!(
    /// Why something was done: at most 2,000 characters; line breaks and tabs allowed.
    Reason,
    Shape { most: 2_000, in_bytes: false, multi_line: true, identifies: false }
);
text_type!(
    /// What something is for, at most 1,000 characters; line breaks and tabs allowed.
    Description,
    Shape { most: 1_000, in_bytes: false, multi_line: true, identifies: false }
);
text_type!(
    /// Free text of at most 10,000 characters; line breaks and tabs allowed.
    Paragraph,
    Shape { most: 10_000, in_bytes: false, multi_line: true, identifies: false }
);

/// What stands for a text of which nothing can be kept.
const NOTHING: &str = "-";

impl Line {
    /// As much as can be kept of a text that is not refused: what is not allowed is left out, and what is too long is
    /// cut. For facts that must be recorded even where somebody sent nonsense.
    pub fn lenient(text: &str) -> Self {
        let kept: String = text
            .chars()
            .filter(|&character| {
                !character.is_control()
                    && !matches!(character, '\u{2028}' | '\u{2029}')
                    && !is_direction_control(character)
            })
            .take(200)
            .collect();
        if kept.trim().is_empty() { Self(NOTHING.to_owned()) } else { Self(kept) }
    }
}

#[cfg(test)]
mod tests;
