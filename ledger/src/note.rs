//! Signed notes and checkpoints as the writer needs them (C2SP `signed-note` and `tlog-checkpoint`): text in, text out.
//!
//! Nothing here knows a key. What a signature is worth is decided in [`crate::keys`].

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::entry::Hash;
use crate::keys::KeyId;

/// Most bytes of a note; one with signatures of many witnesses has a few thousand.
pub const MAX_NOTE_BYTES: usize = 256 * 1024;
/// Most signatures that are read. The specification asks for at least 16.
pub const MAX_SIGNATURES: usize = 256;
/// What a signature line begins with: an em dash and a space.
const SIGNATURE_START: &str = "\u{2014} ";

/// Text that is not a signed note, or not a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a signed note: {0}")]
pub struct NoteError(&'static str);

/// One signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub key_id: KeyId,
    /// What the key made of the body.
    pub signature: Vec<u8>,
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.key_id.0.as_slice(), &self.signature].concat();
        writeln!(formatter, "{SIGNATURE_START}{} {}", self.name, STANDARD.encode(bytes))
    }
}

impl NoteSignature {
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(SIGNATURE_START)?.split_once(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (key_id, signature) = bytes.split_first_chunk::<4>()?;
        let is_complete = is_key_name(name) && !signature.is_empty();
        is_complete.then(|| Self { name: name.to_owned(), key_id: KeyId(*key_id), signature: signature.to_vec() })
    }
}

/// Whether `name` may stand in a signature line: not empty, no white space, no control characters, no plus.
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty()
        && !name.chars().any(|character| character.is_whitespace() || character.is_control() || character == '+')
}

/// A text with signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    /// What is signed: whole lines, the last line feed included.
    pub body: String,
    /// Its signatures, at least one in a note that was read.
    pub signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// Reads a note. Says nothing about its signatures being right.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        if text.len() > MAX_NOTE_BYTES {
            return Err(NoteError("it is too long"));
        }
        if text.chars().any(|character| character < ' ' && character != '\n') {
            return Err(NoteError("it has control characters"));
        }
        let (before, after) = text.rsplit_once("\n\n").ok_or(NoteError("no empty line before the signatures"))?;
        let lines = after.strip_suffix('\n').ok_or(NoteError("it does not end with a line feed"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == MAX_SIGNATURES {
                return Err(NoteError("it has too many signatures"));
            }
            signatures.push(NoteSignature::parse(line).ok_or(NoteError("a signature line is malformed"))?);
        }
        Ok(Self { body: format!("{before}\n"), signatures })
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.body)?;
        self.signatures.iter().try_for_each(|signature| signature.fmt(formatter))
    }
}

/// What a checkpoint states: the body of its note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointBody {
    /// Which log: `<origin>/<ledger_id>`.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Hash,
}

impl CheckpointBody {
    /// Reads the three lines. Daybook writes no extension lines and takes none.
    pub fn parse(body: &str) -> Result<Self, NoteError> {
        let lines: Vec<&str> = body.strip_suffix('\n').unwrap_or(body).split('\n').collect();
        let [origin, size, root] = lines.as_slice() else {
            return Err(NoteError("a checkpoint has three lines: origin, size and root"));
        };
        if origin.is_empty() {
            return Err(NoteError("the origin is empty"));
        }
        let is_decimal = size.bytes().all(|byte| byte.is_ascii_digit()) && (*size == "0" || !size.starts_with('0'));
        let size = size.parse().ok().filter(|_| is_decimal).ok_or(NoteError("the size is not a decimal number"))?;
        let root = STANDARD.decode(root).ok().and_then(|bytes| Hash::from_slice(&bytes).ok());
        let root = root.ok_or(NoteError("the root is not 32 bytes in base64"))?;
        Ok(Self { origin: (*origin).to_owned(), size, root })
    }
}

impl fmt::Display for CheckpointBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use proptest::prelude::*;

    use super::*;

    fn note() -> SignedNote {
        let body = CheckpointBody { origin: "example.com/main".to_owned(), size: 7, root: Hash([9; 32]) }.to_string();
        let signature =
            NoteSignature { name: "example.com/main".to_owned(), key_id: KeyId([1, 2, 3, 4]), signature: vec![5; 70] };
        SignedNote { body, signatures: vec![signature] }
    }

    #[test]
    fn note_reads_back_as_it_was_written() {
        let text = note().to_string();
        assert_eq!(SignedNote::parse(&text).unwrap(), note());
        let body = CheckpointBody::parse(&note().body).unwrap();
        assert_eq!((body.size, body.root, body.to_string()), (7, Hash([9; 32]), note().body));
    }

    #[test]
    fn blank_lines_in_the_body_belong_to_it() {
        let mut written = note();
        written.body = "one\n\ntwo\n".to_owned();
        assert_eq!(SignedNote::parse(&written.to_string()).unwrap().body, "one\n\ntwo\n");
    }

    #[test]
    fn damaged_notes_are_refused() {
        let text = note().to_string();
        for damaged in [
            text.replace("\n\n", "\n"),
            text.trim_end().to_owned(),
            text.replace('\u{2014}', "-"),
            text.replace("main AQ", "ma+in AQ"),
            format!("{text}\u{7}\n"),
            format!("{text}\n"),
            String::new(),
        ] {
            assert!(SignedNote::parse(&damaged).is_err(), "{damaged:?}");
        }
    }

    #[test]
    fn damaged_checkpoints_are_refused() {
        let root = STANDARD.encode([9; 32]);
        for body in [
            format!("a\n07\n{root}\n"),
            format!("a\n+7\n{root}\n"),
            format!("a\n\n{root}\n"),
            format!("\n7\n{root}\n"),
            format!("a\n7\n{root}\nextension\n"),
            format!("a\n7\n{}\n", STANDARD.encode([9; 31])),
            format!("a\n99999999999999999999\n{root}\n"),
            "a\n7\n".to_owned(),
        ] {
            assert!(CheckpointBody::parse(&body).is_err(), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_the_same(text in "(a|\n|\u{2014} |b c|AQIDBAU=|\u{2014} k AQIDBAU=\n){0,12}") {
            if let Ok(note) = SignedNote::parse(&text) {
                prop_assert_eq!(note.to_string(), text);
            }
        }
    }
}
