//! Signed notes (C2SP signed-note): a text, a blank line, and a line for each signature over the text.
//!
//! Parsed strictly, since notes come from whoever is audited: one byte out of place and there is no note. Parsing says
//! nothing about who signed; [`crate::keys`] does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Most bytes a note may have.
pub const MAX_NOTE_BYTES: usize = 256 * 1024;
/// Most signature lines a note may have; the specification asks for at least 16.
pub const MAX_SIGNATURES: usize = 100;
/// What a signature line begins with: an em dash and a space.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// Why bytes are not a signed note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// More than [`MAX_NOTE_BYTES`].
    #[error("the note has more than {MAX_NOTE_BYTES} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("the note is not UTF-8")]
    NotUtf8,
    /// A control character other than the line feed.
    #[error("the note holds a control character")]
    ControlCharacter,
    /// The last line has no end.
    #[error("the note does not end in a line feed")]
    NoFinalNewline,
    /// No blank line between the text and its signatures.
    #[error("the note has no blank line before its signatures")]
    NoSeparator,
    /// A line below the blank line that is no signature line; lines are counted from 1 below the blank line.
    #[error("signature line {0} is malformed")]
    MalformedSignature(usize),
    /// More than [`MAX_SIGNATURES`].
    #[error("the note has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
}

/// One signature line, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    /// The name of the key that is said to have signed.
    pub name: String,
    /// First four bytes of a hash of the key: a hint, not an identity.
    pub key_id: [u8; 4],
    /// The signature's bytes; their form depends on the key's algorithm.
    pub signature: Vec<u8>,
}

/// A signed note whose form is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    body_bytes: usize,
    signatures: Vec<SignatureLine>,
}

impl Note {
    /// Parses a whole note.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| NoteError::NotUtf8)?;
        if text.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(NoteError::ControlCharacter);
        }
        let Some(lines) = text.strip_suffix('\n') else { return Err(NoteError::NoFinalNewline) };
        // The text keeps its own line feed; the second one is the blank line and belongs to neither side.
        let Some((before, block)) = lines.rsplit_once("\n\n") else { return Err(NoteError::NoSeparator) };
        let mut signatures = Vec::new();
        for (index, line) in block.split('\n').enumerate() {
            if index >= MAX_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            signatures.push(signature_line(line).ok_or(NoteError::MalformedSignature(index + 1))?);
        }
        Ok(Self { body_bytes: before.len() + 1, text: text.to_owned(), signatures })
    }

    /// The signed text, with its final line feed: what every signature is made over.
    pub fn body(&self) -> &str {
        self.text.get(..self.body_bytes).unwrap_or_default()
    }

    /// The whole note, byte for byte as it was parsed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its signature lines, in their order.
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }
}

fn signature_line(line: &str) -> Option<SignatureLine> {
    let (name, encoded) = line.strip_prefix(SIGNATURE_PREFIX)?.split_once(' ')?;
    let bytes = STANDARD.decode(encoded).ok()?;
    let (key_id, signature) = bytes.split_first_chunk::<4>()?;
    if !is_key_name(name) || signature.is_empty() {
        return None;
    }
    Some(SignatureLine { name: name.to_owned(), key_id: *key_id, signature: signature.to_vec() })
}

/// Whether a text may be a key's name: not empty, no plus sign, no white space of any script.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|character| character == '+' || character.is_whitespace() || character < ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "text\n\nmore\n\n\u{2014} example.com/log AQIDBAU=\n\u{2014} w AQIDBAU=\n";

    #[test]
    fn text_ends_at_the_last_blank_line() {
        let note = Note::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(note.body(), "text\n\nmore\n");
        assert_eq!(note.text(), GOOD);
        let line = &note.signatures()[0];
        assert_eq!(
            (line.name.as_str(), line.key_id, line.signature.as_slice()),
            ("example.com/log", [1, 2, 3, 4], &[5][..])
        );
        assert_eq!(note.signatures().len(), 2);
    }

    #[test]
    fn every_malformation_is_refused() {
        let line = "\u{2014} n AQIDBAU=\n";
        let cases: Vec<(String, NoteError)> = vec![
            (String::new(), NoteError::NoFinalNewline),
            ("a\n".into(), NoteError::NoSeparator),
            (format!("a\n{line}"), NoteError::NoSeparator),
            (format!("a\n\n{}", line.trim_end()), NoteError::NoFinalNewline),
            ("a\n\n\n".into(), NoteError::MalformedSignature(1)),
            (format!("a\n\n{line}\n"), NoteError::MalformedSignature(2)),
            (format!("a\n\n{line}x\n"), NoteError::MalformedSignature(2)),
            (format!("a\r\n\n{line}"), NoteError::ControlCharacter),
            (format!("a\t\n\n{line}"), NoteError::ControlCharacter),
            ("a\n\n- n AQIDBAU=\n".into(), NoteError::MalformedSignature(1)),
            ("a\n\n\u{2014}n AQIDBAU=\n".into(), NoteError::MalformedSignature(1)),
            ("a\n\n\u{2014} AQIDBAU=\n".into(), NoteError::MalformedSignature(1)),
            ("a\n\n\u{2014} n+m AQIDBAU=\n".into(), NoteError::MalformedSignature(1)),
            ("a\n\n\u{2014} n\u{a0}m AQIDBAU=\n".into(), NoteError::MalformedSignature(1)),
            ("a\n\n\u{2014} n AQIDBAU\n".into(), NoteError::MalformedSignature(1)),
            ("a\n\n\u{2014} n AQIDBAV=\n".into(), NoteError::MalformedSignature(1)),
            ("a\n\n\u{2014} n AQIDBA==\n".into(), NoteError::MalformedSignature(1)),
            ("a\n\n\u{2014} n AQID\n".into(), NoteError::MalformedSignature(1)),
            ("a\n\n\u{2014} n  AQIDBAU=\n".into(), NoteError::MalformedSignature(1)),
            ("a\n\n\u{2014} n AQIDBAU= \n".into(), NoteError::MalformedSignature(1)),
            ("a\n\n\u{2014} n AQIDB_U=\n".into(), NoteError::MalformedSignature(1)),
            (format!("a\n\n{}", line.repeat(MAX_SIGNATURES + 1)), NoteError::TooManySignatures),
            ("x".repeat(MAX_NOTE_BYTES + 1), NoteError::TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(Note::parse(text.as_bytes()), Err(error), "{text:?}");
        }
        assert_eq!(Note::parse(b"a\xff\n\n"), Err(NoteError::NotUtf8));
        assert!(Note::parse(format!("a\n\n{}", line.repeat(MAX_SIGNATURES)).as_bytes()).is_ok());
    }
}
