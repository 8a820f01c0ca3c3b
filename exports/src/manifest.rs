//! The manifest: what an export's file is, where it comes from, who asked for it and who agreed.
//!
//! One JSON object with sorted keys and no white space, ended by a line feed. Its bytes are what is signed; they are kept
//! as they were written and never put together again. The fields of every struct here stand in alphabetical order,
//! because that is the order in which they are written; a test holds it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::table::Column;

/// What the first version of manifests calls itself.
pub const MANIFEST_FORMAT: &str = "daybook export manifest 1";
/// Most bytes of a manifest.
pub const MAX_MANIFEST_BYTES: usize = 1024 * 1024;

/// Text that is not a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a manifest: {0}")]
pub struct ManifestError(pub(crate) String);

/// What is said of an export. Times are RFC 3339 UTC with microseconds, digests lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Who agreed, and under which policy.
    pub approval: Approval,
    /// The columns of the file, in their order.
    pub columns: Vec<Column>,
    /// The id of the export.
    pub export_id: String,
    /// The file itself.
    pub file: FileDescription,
    /// Always [`MANIFEST_FORMAT`].
    pub format: String,
    /// The ledger that the rows come from.
    pub ledger: LedgerPart,
    /// What was asked for.
    pub query: Query,
    /// Who asked.
    pub request: Request,
    /// The key that signs; named before it signs, so that a verifier knows which one it must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<SigningKey>,
    /// What wrote it.
    pub software: Software,
    /// When.
    pub times: Times,
}

/// The approval that was used up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Its id.
    pub approval_id: String,
    /// Who agreed. Empty where the policy asks nobody.
    pub approved_by: Vec<String>,
    /// Who broke the glass, where nobody had agreed before.
    #[serde(default)]
    pub broken_glass_by: Option<String>,
    /// Digest of exactly what was approved.
    pub digest: String,
    /// Version of the policy that it was decided under; 0 is the built-in one.
    pub policy_version: u64,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDescription {
    /// BLAKE3 of its bytes.
    pub blake3: String,
    /// Its length.
    pub bytes: u64,
    /// Its form: `csv`, `ndjson`, `json` or `parquet`.
    pub format: String,
    /// Its name.
    pub name: String,
    /// Rows in it, a line of names not counted.
    pub rows: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// The ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerPart {
    /// A checkpoint that covers the range, where one was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// Its id.
    pub ledger_id: String,
    /// The name its checkpoints are signed under.
    pub origin: String,
    /// The entries that the rows take into account.
    pub range: PositionRange,
}

/// A signed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// That the range's last entry is under this checkpoint: the audit path of `leaf` at its position in the tree of this size,
    /// lowest sibling first (RFC 6962).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inclusion: Option<Vec<String>>,
    /// The leaf of the range's last entry: SHA-256 of a zero byte and the entry's canonical bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<String>,
    /// The signed note, whole.
    pub note: String,
    /// The root that it states.
    pub root: String,
    /// The number of entries that it covers.
    pub size: u64,
}

/// Entries, both ends included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionRange {
    /// Position of the first.
    pub first: u64,
    /// Hash of the first.
    pub first_hash: String,
    /// Position of the last.
    pub last: u64,
    /// Hash of the last.
    pub last_hash: String,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Names and values of the filters, as they were understood.
    pub filters: BTreeMap<String, String>,
    /// Which records.
    pub kind: String,
}

/// Who asked. Opaque ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The account.
    pub by: String,
    /// The person who answers for it.
    pub person: String,
}

/// A key by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// How it signs: `ecdsa-p256-sha256`.
    pub algorithm: String,
    /// Its id: 8 hexadecimal digits, as in checkpoints.
    pub key_id: String,
}

/// What wrote the export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Software {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl Software {
    /// This program.
    pub fn this() -> Self {
        Self { name: "daybook".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// The times of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// When it was approved.
    pub approved_at: String,
    /// When its file was complete.
    pub generated_at: String,
    /// When it was asked for.
    pub requested_at: String,
}

impl Manifest {
    /// The bytes to be signed: sorted keys, no white space, a line feed at the end.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        let mut bytes = serde_json::to_vec(self).map_err(|error| ManifestError(error.to_string()))?;
        bytes.push(b'\n');
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError(format!("it has {} bytes, at most {MAX_MANIFEST_BYTES} are read", bytes.len())));
        }
        Ok(bytes)
    }

    /// Reads one. What is not known to this version is passed over; the signature covers it all the same.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError(format!("it has more than {MAX_MANIFEST_BYTES} bytes")));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| ManifestError(error.to_string()))?;
        if manifest.format != MANIFEST_FORMAT {
            return Err(ManifestError(format!("it says {:?} instead of {MANIFEST_FORMAT:?}", manifest.format)));
        }
        Ok(manifest)
    }
}

#[cfg(test)]
pub(crate) mod tests;
