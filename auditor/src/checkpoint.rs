//! Checkpoints (C2SP tlog-checkpoint): a signed note that says which root a log of which size has, and who signed it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::cell::Digest;
use crate::keys::TrustedKeys;
use crate::note::{Note, NoteError};

/// Why bytes are not a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not even a signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Fewer than three lines, or an empty one.
    #[error("the checkpoint's text is not origin, size and root on a line each")]
    Lines,
    /// The size is no decimal number, has a leading zero, or does not fit 64 bits.
    #[error("the checkpoint's size is not a plain decimal number")]
    Size,
    /// The root is not 32 bytes in base64.
    #[error("the checkpoint's root is not 32 bytes in base64")]
    Root,
}

/// A checkpoint whose form is right. Its signatures are not verified yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name; its last path segment is the ledger's id.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Digest,
    /// Lines after the root. Daybook writes none.
    pub extensions: Vec<String>,
    note: Note,
}

impl Checkpoint {
    /// Parses a whole signed note as a checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        let body = note.body().strip_suffix('\n').ok_or(CheckpointError::Lines)?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(CheckpointError::Lines);
        };
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if origin.is_empty() || extensions.iter().any(String::is_empty) {
            return Err(CheckpointError::Lines);
        }
        let size = decimal(size).ok_or(CheckpointError::Size)?;
        let root: Digest =
            STANDARD.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or(CheckpointError::Root)?;
        Ok(Self { origin: origin.to_owned(), size, root, extensions, note })
    }

    /// The note it was parsed from.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// The ledger it is about: the last segment of the origin.
    pub fn ledger_id(&self) -> &str {
        self.origin.rsplit('/').next().unwrap_or_default()
    }

    /// Verifies the signatures against keys that the auditor trusts. `sealed_at` is when the checkpoint was made, in
    /// microseconds since 1970-01-01T00:00:00Z: the time of the entry that sealed it, where known.
    pub fn judge(&self, keys: &TrustedKeys, sealed_at: Option<i64>) -> Signers {
        let known = keys.for_origin(&self.origin);
        let mut signers = Signers::default();
        for line in self.note.signatures() {
            let mut check = SignatureCheck {
                name: line.name.clone(),
                key_id: hex::encode(line.key_id),
                algorithm: None,
                outcome: SignatureOutcome::UnknownKey,
                detail: None,
            };
            // Two keys may share a name and an id, since an id is short; the signature tells which one signed.
            for (key, validity) in known.iter().filter(|(key, _)| key.matches(line)) {
                check.algorithm = Some(key.algorithm().name());
                (check.outcome, check.detail) = match key.verify(self.note.body(), &line.signature) {
                    Err(error) => (SignatureOutcome::Invalid, Some(error.to_string())),
                    Ok(_) => match sealed_at {
                        Some(moment) if !validity.covers(moment) => (SignatureOutcome::Expired, None),
                        None if validity.ends() => (SignatureOutcome::ValidAtUnknownTime, None),
                        _ => (SignatureOutcome::Valid, None),
                    },
                };
                if check.outcome != SignatureOutcome::Invalid {
                    break;
                }
            }
            signers.checks.push(check);
        }
        signers
    }
}

/// A number without sign, leading zero or anything else.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let plain =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// What became of one signature line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureOutcome {
    /// Made by a trusted key, at a time when its signatures count.
    Valid,
    /// Made by a trusted key whose validity is limited, at a time that is not known.
    ValidAtUnknownTime,
    /// Made by a trusted key, but outside of its validity.
    Expired,
    /// Said to be by a trusted key, and it is not.
    Invalid,
    /// By a key that the auditor does not know; it says nothing.
    UnknownKey,
}

/// One signature line and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignatureCheck {
    /// The key's name in the line.
    pub name: String,
    /// The key's id in the line, 8 hexadecimal digits.
    pub key_id: String,
    /// How the key signs, where it is known.
    pub algorithm: Option<&'static str>,
    /// What became of it.
    pub outcome: SignatureOutcome,
    /// What is wrong with an invalid one.
    pub detail: Option<String>,
}

/// All signature lines of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Signers {
    /// In the order of the note.
    pub checks: Vec<SignatureCheck>,
}

impl Signers {
    /// The first signature with an outcome.
    pub fn first(&self, outcome: SignatureOutcome) -> Option<&SignatureCheck> {
        self.checks.iter().find(|check| check.outcome == outcome)
    }

    /// A signature that counts. None where any signature of a known key does not verify: such a note is refused as a
    /// whole.
    pub fn signer(&self) -> Option<&SignatureCheck> {
        if self.first(SignatureOutcome::Invalid).is_some() {
            return None;
        }
        self.first(SignatureOutcome::Valid).or_else(|| self.first(SignatureOutcome::ValidAtUnknownTime))
    }
}
