//! API keys: how they look, and whether one that was shown is known.
//!
//! A key is `dbk_`, twelve hexadecimal digits that name it, `_`, and 43 characters of base64url that are its secret. It
//! is shown once; the vault keeps a digest. What a key may do, and whether it was revoked, is in the directory, so what
//! is held here of the vault needs no hurry: a key whose record has changed is read again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use daybook_ledger::LedgerId;
use quick_cache::sync::Cache;

use crate::directory::ApiKeyRecord;
use crate::secret::Secret;
use crate::vault::wrapping::{random, random_token};
use crate::vault::{ApiKeyRow, Digest, Vault, VaultError};

/// What every key begins with.
pub const PREFIX: &str = "dbk_";
/// Hexadecimal digits of a key's id.
const ID_DIGITS: usize = 12;
/// Characters of a key's secret.
const SECRET_CHARACTERS: usize = 43;
/// Keys that are held in memory.
const HELD: usize = 8_192;
/// How old a held row may grow, though nothing is heard of it.
const MOST_AGE: Duration = Duration::from_secs(5);
/// A key whose secret does not fit makes its row be read again at most this often.
const LEAST_PAUSE: Duration = Duration::from_millis(250);
/// Keys whose use waits to be written down.
const MOST_USED: usize = 65_536;

/// A fresh key, to be shown once and kept as a digest.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    /// Its id, `key_` and twelve hexadecimal digits.
    pub key_id: String,
    /// The whole key.
    pub token: Secret,
    /// What the vault keeps of it.
    pub digest: Digest,
}

/// Makes a key with an id of its own.
pub fn generate(vault: &Vault) -> Result<NewApiKey, VaultError> {
    let digits = hex::encode(random::<{ ID_DIGITS / 2 }>()?.as_slice());
    regenerate(vault, &format!("key_{digits}"))
}

/// Makes another secret for the key `key_id` (`key_` and twelve hexadecimal digits).
pub fn regenerate(vault: &Vault, key_id: &str) -> Result<NewApiKey, VaultError> {
    let digits = key_id.strip_prefix("key_").unwrap_or(key_id);
    let token = random_token(&format!("{PREFIX}{digits}_"))?;
    let digest = vault.api_key_digest(token.expose());
    Ok(NewApiKey { key_id: key_id.to_owned(), token, digest })
}

/// The id of the key that `token` is, `key_` and twelve hexadecimal digits; `None` where it does not look like one.
pub fn key_id_of(token: &str) -> Option<String> {
    let (digits, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let fits = digits.len() == ID_DIGITS
        && digits.bytes().all(is_hex)
        && secret.len() == SECRET_CHARACTERS
        && secret.bytes().all(is_base64url);
    fits.then(|| format!("key_{digits}"))
}

/// A row of the vault, and when it was read.
#[derive(Clone)]
pub(crate) struct HeldKey {
    pub row: Arc<ApiKeyRow>,
    /// The record's version that the row goes with; 0 where it was not known.
    version: u64,
    read_at: Instant,
}

/// The vault's rows of API keys, held in memory, and when keys were used.
pub(crate) struct ApiKeys {
    vault: Vault,
    held: Cache<Arc<str>, HeldKey>,
    used: Mutex<HashMap<String, i64>>,
}

impl ApiKeys {
    pub fn new(vault: Vault) -> Self {
        Self { vault, held: Cache::new(HELD), used: Mutex::default() }
    }

    /// The row of a key, as it was when `version` of its record was current, or later; `None` where there is none.
    pub async fn row(&self, key_id: &str, version: u64) -> Result<Option<HeldKey>, VaultError> {
        match self.held.get(key_id) {
            Some(held) if (version == 0 || held.version == version) && held.read_at.elapsed() < MOST_AGE => {
                Ok(Some(held))
            }
            _ => self.read(key_id, version).await,
        }
    }

    /// Reads the row anew where that was not done a moment ago: a secret that does not fit may be newer than the row.
    pub async fn newer_row(&self, held: &HeldKey) -> Result<Option<HeldKey>, VaultError> {
        if held.read_at.elapsed() < LEAST_PAUSE {
            return Ok(None);
        }
        self.read(&held.row.key_id, held.version).await
    }

    /// The organisation of a key that was looked up before.
    pub fn held_organization(&self, key_id: &str) -> Option<LedgerId> {
        self.held.get(key_id).map(|held| held.row.ledger_id.clone())
    }

    /// Whether `token` is the key whose row this is, with a secret that is good at `now` and no older than `record`
    /// says.
    pub fn accepts(&self, held: &HeldKey, token: &str, record: &ApiKeyRecord, now: i64) -> bool {
        let digest = self.vault.api_key_digest(token);
        held.row.accepts(&digest, record.oldest_secret(now), now)
    }

    async fn read(&self, key_id: &str, version: u64) -> Result<Option<HeldKey>, VaultError> {
        let Some(row) = self.vault.api_key(key_id).await? else {
            self.held.remove(key_id);
            return Ok(None);
        };
        let held = HeldKey { row: Arc::new(row), version, read_at: Instant::now() };
        self.held.insert(Arc::from(key_id), held.clone());
        Ok(Some(held))
    }

    /// Notes that a key was used at `now`.
    pub fn used(&self, key_id: &str, now: i64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = used.get_mut(key_id) {
            *at = now.max(*at);
        } else if used.len() < MOST_USED {
            used.insert(key_id.to_owned(), now);
        }
    }

    /// Writes down when keys were used.
    pub async fn write_uses(&self) -> Result<(), VaultError> {
        let uses = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        if uses.is_empty() {
            return Ok(());
        }
        let uses: Vec<_> = uses.into_iter().collect();
        let written = self.vault.touch_api_keys(&uses).await;
        if written.is_err() {
            for (key_id, at) in uses {
                self.used(&key_id, at);
            }
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_looks_like_a_key_names_one() {
        let secret = "A".repeat(SECRET_CHARACTERS);
        assert_eq!(key_id_of(&format!("dbk_0123456789ab_{secret}")).as_deref(), Some("key_0123456789ab"));
        // Base64url has underscores of its own.
        let underscores = "_".repeat(SECRET_CHARACTERS);
        assert!(key_id_of(&format!("dbk_0123456789ab_{underscores}")).is_some());
        let operator = format!("dbk_{}", "0".repeat(64));
        for other in [
            operator.as_str(),
            "dbk_0123456789ab_",
            &format!("dbk_0123456789AB_{secret}"),
            &format!("dbk_0123456789a_{secret}"),
            &format!("dbk_0123456789ab_{secret}A"),
            &format!("dbr_0123456789ab_{secret}"),
            &format!("dbk_0123456789ab_{}", "é".repeat(21)),
        ] {
            assert_eq!(key_id_of(other), None, "{other}");
        }
    }
}
