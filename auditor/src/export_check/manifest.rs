//! The manifest of an export as the auditor reads it: its fields, and whether its bytes are in the one form that is signed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// What a manifest calls itself.
pub const FORMAT: &str = "daybook export manifest 1";

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Manifest {
    /// Who agreed, and under which policy.
    pub approval: Approval,
    /// The export.
    pub export_id: String,
    /// Its file.
    pub file: FileFacts,
    /// Always [`FORMAT`].
    pub format: String,
    /// Where the rows come from.
    pub ledger: LedgerFacts,
    /// What was asked for.
    pub query: Query,
    /// The key that is said to sign.
    #[serde(default)]
    pub signing_key: Option<SigningKey>,
    /// When.
    pub times: Times,
}

/// The approval that was used up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Approval {
    /// Its id.
    pub approval_id: String,
    /// Who agreed.
    pub approved_by: Vec<String>,
    /// Who broke the glass, where nobody had agreed before.
    #[serde(default)]
    pub broken_glass_by: Option<String>,
    /// Digest of what was approved.
    pub digest: String,
    /// Version of the policy.
    pub policy_version: u64,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FileFacts {
    /// BLAKE3 of its bytes, 64 hexadecimal digits.
    pub blake3: String,
    /// Its length.
    pub bytes: u64,
    /// `csv`, `ndjson`, `json` or `parquet`.
    pub format: String,
    /// Its name.
    pub name: String,
    /// Rows in it.
    pub rows: u64,
    /// SHA-256 of its bytes, 64 hexadecimal digits.
    pub sha256: String,
}

/// The ledger.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LedgerFacts {
    /// A signed checkpoint over the entries.
    #[serde(default)]
    pub checkpoint: Option<CheckpointFacts>,
    /// Its id.
    pub ledger_id: String,
    /// The name its checkpoints are signed under.
    pub origin: String,
    /// The entries that were taken into account.
    pub range: Range,
}

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CheckpointFacts {
    /// The audit path of the leaf at the range's last position, lowest sibling first, 64 hexadecimal digits each.
    #[serde(default)]
    pub inclusion: Option<Vec<String>>,
    /// The leaf of the range's last entry, 64 hexadecimal digits.
    #[serde(default)]
    pub leaf: Option<String>,
    /// The signed note.
    pub note: String,
    /// The root that it states, 64 hexadecimal digits.
    pub root: String,
    /// The number of entries that it states.
    pub size: u64,
}

/// Entries, both ends included.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Range {
    /// Position of the first.
    pub first: u64,
    /// Hash of the first, 64 hexadecimal digits.
    pub first_hash: String,
    /// Position of the last.
    pub last: u64,
    /// Hash of the last, 64 hexadecimal digits.
    pub last_hash: String,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Query {
    /// The filters.
    pub filters: BTreeMap<String, String>,
    /// Which records.
    pub kind: String,
}

/// A key by its id.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SigningKey {
    /// `ecdsa-p256-sha256`.
    pub algorithm: String,
    /// 8 hexadecimal digits.
    pub key_id: String,
}

/// The times of an export.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Times {
    /// When the file was complete, RFC 3339.
    pub generated_at: String,
}

impl Manifest {
    /// Reads one; why it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        match manifest.format == FORMAT {
            true => Ok(manifest),
            false => Err(format!("it calls itself {:?}, not {FORMAT:?}", manifest.format)),
        }
    }
}

/// Whether the bytes are JSON in the one form that is signed: sorted keys, each once, no white space, a line feed at the end.
pub fn is_canonical(bytes: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return false };
    let mut canonical = Vec::with_capacity(bytes.len());
    write(&value, &mut canonical);
    canonical.push(b'\n');
    canonical == bytes
}

fn write(value: &Value, into: &mut Vec<u8>) {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            into.push(b'{');
            for (index, (name, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    into.push(b',');
                }
                into.extend_from_slice(Value::from(name.as_str()).to_string().as_bytes());
                into.push(b':');
                write(member, into);
            }
            into.push(b'}');
        }
        Value::Array(items) => {
            into.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    into.push(b',');
                }
                write(item, into);
            }
            into.push(b']');
        }
        plain => into.extend_from_slice(plain.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_form_is_canonical() {
        assert!(is_canonical(b"{\"a\":[1,{\"b\":\"\xc3\xa9\\n\"}],\"c\":null}\n"));
        for other in [
            &b"{\"a\":1}"[..],
            b"{\"a\":1}\n\n",
            b"{\"b\":1,\"a\":2}\n",
            b"{\"a\": 1}\n",
            b"{\"a\":1,\"a\":1}\n",
            b"{\"a\":\"\\u00e9\"}\n",
            b"{\n",
        ] {
            assert!(!is_canonical(other), "{}", String::from_utf8_lossy(other));
        }
    }
}
