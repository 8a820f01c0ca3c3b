//! Proof files (C2SP tlog-proof): one entry, its path to a root, and the checkpoint that states the root.
//!
//! The `extra` line holds the entry's canonical bytes, so that a file proves its entry with nothing else at hand but
//! the log's key. Nothing in it is believed: the bytes are hashed, and the hash must lead to the root.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::cell::Digest;
use crate::checkpoint::{Checkpoint, CheckpointError, decimal};
use crate::proof::MAX_PATH;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// Most bytes of a proof file: a note, a path and an entry's canonical bytes, generously.
pub const MAX_PROOF_BYTES: usize = 1 << 20;

/// Why bytes are not a proof file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// More than [`MAX_PROOF_BYTES`].
    #[error("the proof has more than {MAX_PROOF_BYTES} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("the proof is not UTF-8")]
    NotUtf8,
    /// The first line is another.
    #[error("the first line is not {FIRST_LINE}")]
    FirstLine,
    /// The extra line is not base64.
    #[error("the extra line is not base64")]
    Extra,
    /// There is no line with the entry's position.
    #[error("there is no line `index` with a plain decimal number")]
    Index,
    /// A line of the path is not 32 bytes in base64, or there are more than 64.
    #[error("line {0} of the path is not 32 bytes in base64, or is one too many")]
    Path(usize),
    /// There is no blank line after the path.
    #[error("there is no checkpoint after the path")]
    NoCheckpoint,
    /// The checkpoint is malformed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// A proof file whose form is right. Nothing in it is verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// The entry's canonical bytes, by Daybook's use of the extra line.
    pub extra: Option<Vec<u8>>,
    /// The entry's position.
    pub index: u64,
    /// Siblings from the leaf up.
    pub path: Vec<Digest>,
    /// What states the root.
    pub checkpoint: Checkpoint,
}

impl TlogProof {
    /// Parses a whole file.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogProofError> {
        if bytes.len() > MAX_PROOF_BYTES {
            return Err(TlogProofError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| TlogProofError::NotUtf8)?;
        let (head, note) = text.split_once("\n\n").ok_or(TlogProofError::NoCheckpoint)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(TlogProofError::FirstLine);
        }
        let mut line = lines.next().ok_or(TlogProofError::Index)?;
        let mut extra = None;
        if let Some(encoded) = line.strip_prefix("extra ") {
            extra = Some(STANDARD.decode(encoded).map_err(|_| TlogProofError::Extra)?);
            line = lines.next().ok_or(TlogProofError::Index)?;
        }
        let index = line.strip_prefix("index ").and_then(decimal).ok_or(TlogProofError::Index)?;
        let mut path = Vec::new();
        for (number, line) in lines.enumerate() {
            let hash: Option<Digest> = STANDARD.decode(line).ok().and_then(|hash| hash.try_into().ok());
            match hash {
                Some(hash) if number < MAX_PATH => path.push(hash),
                _ => return Err(TlogProofError::Path(number + 1)),
            }
        }
        Ok(Self { extra, index, path, checkpoint: Checkpoint::parse(note.as_bytes())? })
    }

    /// The file again: what parses comes out as it went in.
    pub fn to_text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\n");
        if let Some(extra) = &self.extra {
            text.push_str(&format!("extra {}\n", STANDARD.encode(extra)));
        }
        text.push_str(&format!("index {}\n", self.index));
        for hash in &self.path {
            text.push_str(&STANDARD.encode(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(self.checkpoint.note().text());
        text
    }
}
