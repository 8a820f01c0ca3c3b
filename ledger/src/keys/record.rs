//! The list of keys as it stands in `signing-keys.json`: every key there ever was, and no secret.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{Algorithm, KeyError, KeyId, Public, VerifierKey, files, time};

const LIST_FILE: &str = "signing-keys.json";

/// What a key does at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// It signs.
    Active,
    /// It signs beside its successor for a while.
    Overlapping,
    /// It signs no more.
    Retired,
}

/// One key of the list. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its id.
    pub key_id: KeyId,
    /// How it signs.
    pub algorithm: Algorithm,
    /// The name it signs under, for Ed25519, whose id depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// File of the private key in the folder; none where it is given from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The public half in base64: DER SubjectPublicKeyInfo, or 32 bytes for Ed25519.
    pub public_key: String,
    /// When it came to this ring, microseconds.
    #[serde(with = "time::required")]
    pub created_at: i64,
    /// When it began to sign, microseconds.
    #[serde(with = "time::required")]
    pub activated_at: i64,
    /// From when on it does not sign, microseconds; may lie ahead.
    #[serde(default, with = "time::optional", skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<i64>,
}

impl KeyRecord {
    /// What it does at `now`, in microseconds.
    pub fn state(&self, now: i64) -> KeyState {
        match self.retired_at {
            None => KeyState::Active,
            Some(end) if now < end => KeyState::Overlapping,
            Some(_) => KeyState::Retired,
        }
    }

    /// Its public half as it signs for `origin`.
    pub fn verifier_key(&self, origin: &str) -> Result<VerifierKey, KeyError> {
        let bytes = STANDARD.decode(&self.public_key).unwrap_or_default();
        let key = Public::from_bytes(self.algorithm, &bytes)
            .map(|public| VerifierKey::new(self.name.as_deref().unwrap_or(origin), public))
            .filter(|key| key.key_id() == self.key_id);
        key.ok_or_else(|| KeyError::Malformed {
            place: LIST_FILE.to_owned(),
            why: format!("the public key of {} is damaged", self.key_id),
        })
    }

    pub(super) fn signs_for(&self, origin: &str) -> bool {
        self.name.as_deref().is_none_or(|name| name == origin)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct KeyList {
    keys: Vec<KeyRecord>,
}

/// The keys of a folder, without opening one: for lists and exports. Empty where there are none yet.
pub fn read_records(folder: &Path) -> Result<Vec<KeyRecord>, KeyError> {
    let path = folder.join(LIST_FILE);
    let Some(text) = files::read_if_there(&path)? else { return Ok(Vec::new()) };
    let list: KeyList = serde_json::from_str(&text)
        .map_err(|error| KeyError::Malformed { place: path.display().to_string(), why: error.to_string() })?;
    Ok(list.keys)
}

pub(super) fn write_records(folder: &Path, keys: &[KeyRecord]) -> Result<(), KeyError> {
    let path = folder.join(LIST_FILE);
    let text = serde_json::to_string_pretty(&KeyList { keys: keys.to_vec() })
        .map_err(|error| KeyError::Malformed { place: path.display().to_string(), why: error.to_string() })?;
    files::replace_file(&path, &format!("{text}\n"))
}
