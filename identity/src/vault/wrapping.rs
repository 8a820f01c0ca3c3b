//! Sealing, wrapping and digests: which key is used for what, and what each value is bound to.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
use daybook_ledger::LedgerId;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

use super::error::VaultError;
use super::master::MasterKey;
use crate::secret::Secret;

const NONCE_BYTES: usize = 24;
const WRAP: &str = "daybook vault 2026 wrapping key v1";
const EMAIL: &str = "daybook vault 2026 e-mail digest v1";
const TOKEN: &str = "daybook vault 2026 token digest v1";
const RECOVERY: &str = "daybook vault 2026 recovery code digest v1";
const THROTTLE: &str = "daybook vault 2026 throttle key v1";
const IDENTITY: &str = "daybook vault 2026 provider subject digest v1";
const COMMAND: &str = "daybook vault 2026 command digest v1";

/// 32 bytes that stand for a value which is not kept.
pub type Digest = [u8; 32];

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, VaultError> {
    let mut bytes = Zeroizing::new([0_u8; N]);
    OsRng.try_fill_bytes(bytes.as_mut_slice()).map_err(|error| VaultError::Random(error.to_string()))?;
    Ok(bytes)
}

/// `prefix` and 32 random bytes in base64url: 43 characters.
pub(crate) fn random_token(prefix: &str) -> Result<Secret, VaultError> {
    let bytes = random::<32>()?;
    let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
    Ok(Secret::new(format!("{prefix}{}", text.as_str())))
}

/// Each part preceded by its length, so that no two lists give the same bytes.
pub(crate) fn joined(parts: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

/// XChaCha20-Poly1305 with a random nonce; base64url of nonce and ciphertext.
pub(crate) fn seal(key: &[u8; 32], bound_to: &[&str], clear: &[u8]) -> Result<String, VaultError> {
    let nonce = random::<NONCE_BYTES>()?;
    let cipher = XChaCha20Poly1305::new(Key::from_slice(key));
    let aad = joined(bound_to);
    let sealed = cipher
        .encrypt(XNonce::from_slice(nonce.as_slice()), Payload { msg: clear, aad: &aad })
        .map_err(|_| VaultError::Corrupt("value to seal"))?;
    let mut bytes = nonce.to_vec();
    bytes.extend_from_slice(&sealed);
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What [`seal`] sealed; `None` if anything about it was altered.
pub(crate) fn open(key: &[u8; 32], bound_to: &[&str], sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (nonce, ciphertext) = bytes.split_at_checked(NONCE_BYTES)?;
    let aad = joined(bound_to);
    let cipher = XChaCha20Poly1305::new(Key::from_slice(key));
    cipher.decrypt(XNonce::from_slice(nonce), Payload { msg: ciphertext, aad: &aad }).ok().map(Zeroizing::new)
}

/// Where a wrapped value stands; moved elsewhere it does not open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) table: &'static str,
    pub(super) ledger: &'a str,
    pub(super) row: &'a str,
}

impl<'a> Place<'a> {
    pub(super) fn new(table: &'static str, ledger: &'a str, row: &'a str) -> Self {
        Self { table, ledger, row }
    }
}

/// The keys derived from the master key.
pub(super) struct Wrapping {
    wrap: Zeroizing<[u8; 32]>,
    email: Zeroizing<[u8; 32]>,
    token: Zeroizing<[u8; 32]>,
    recovery: Zeroizing<[u8; 32]>,
    throttle: Zeroizing<[u8; 32]>,
    identity: Zeroizing<[u8; 32]>,
    command: Zeroizing<[u8; 32]>,
}

impl Wrapping {
    pub(super) fn new(master: &MasterKey) -> Self {
        Self {
            wrap: master.derive(WRAP),
            email: master.derive(EMAIL),
            token: master.derive(TOKEN),
            recovery: master.derive(RECOVERY),
            throttle: master.derive(THROTTLE),
            identity: master.derive(IDENTITY),
            command: master.derive(COMMAND),
        }
    }

    pub(super) fn wrap(&self, place: Place<'_>, clear: &[u8]) -> Result<String, VaultError> {
        seal(&self.wrap, &[place.table, place.ledger, place.row], clear)
    }

    pub(super) fn unwrap(&self, place: Place<'_>, wrapped: &str) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        open(&self.wrap, &[place.table, place.ledger, place.row], wrapped).ok_or(VaultError::Corrupt(place.table))
    }

    pub(super) fn email(&self, ledger: &LedgerId, email: &str) -> Digest {
        keyed(&self.email, &[ledger.as_str(), &email.trim().to_lowercase()])
    }

    pub(super) fn token(&self, kind: &'static str, token: &str) -> Digest {
        keyed(&self.token, &[kind, token])
    }

    pub(super) fn recovery(&self, ledger: &LedgerId, user_id: &str, code: &str) -> Digest {
        keyed(&self.recovery, &[ledger.as_str(), user_id, code])
    }

    pub(super) fn throttle(&self, what: &str, ledger: &LedgerId, value: &str) -> Digest {
        keyed(&self.throttle, &[what, ledger.as_str(), value])
    }

    pub(super) fn identity(&self, ledger: &LedgerId, provider: &str, subject: &str) -> Digest {
        keyed(&self.identity, &[ledger.as_str(), provider, subject])
    }

    pub(super) fn command_digest_key(&self) -> [u8; 32] {
        *self.command
    }
}

fn keyed(key: &[u8; 32], parts: &[&str]) -> Digest {
    *blake3::keyed_hash(key, &joined(parts)).as_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_value_opens_in_its_own_place_only() {
        let wrapping = Wrapping::new(&MasterKey::from_hex(&"07".repeat(32)).unwrap());
        let place = Place::new("vault_totp", "main", "usr_1");
        let wrapped = wrapping.wrap(place, b"secret").unwrap();
        assert_eq!(wrapping.unwrap(place, &wrapped).unwrap().as_slice(), b"secret");
        for other in [
            Place::new("vault_jwt_keys", "main", "usr_1"),
            Place::new("vault_totp", "other", "usr_1"),
            Place::new("vault_totp", "main", "usr_2"),
            Place::new("vault_totp", "mainusr_1", ""),
        ] {
            assert!(matches!(wrapping.unwrap(other, &wrapped), Err(VaultError::Corrupt(_))), "{other:?}");
        }
    }

    #[test]
    fn every_altered_character_is_noticed() {
        let key = [7_u8; 32];
        let sealed = seal(&key, &["a"], b"text").unwrap();
        for place in 0..sealed.len() {
            let mut altered = sealed.clone().into_bytes();
            altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
            assert!(open(&key, &["a"], &String::from_utf8(altered).unwrap()).is_none(), "character {place}");
        }
        assert!(open(&key, &["a"], "").is_none());
        assert!(open(&[8; 32], &["a"], &sealed).is_none());
    }

    #[test]
    fn an_address_has_one_digest_however_it_is_written_and_another_in_each_organisation() {
        let wrapping = Wrapping::new(&MasterKey::from_hex(&"07".repeat(32)).unwrap());
        let main = LedgerId::main();
        assert_eq!(wrapping.email(&main, " Ada@Example.org"), wrapping.email(&main, "ada@example.org"));
        assert_ne!(
            wrapping.email(&main, "ada@example.org"),
            wrapping.email(&"other".parse().unwrap(), "ada@example.org")
        );
        assert_ne!(wrapping.token("refresh", "x"), wrapping.token("one_time", "x"));
    }

    #[test]
    fn commands_are_digested_with_a_key_that_follows_from_the_master_key_alone() {
        let key = |digits: &str| Wrapping::new(&MasterKey::from_hex(&digits.repeat(32)).unwrap()).command_digest_key();
        assert_eq!(key("07"), key("07"));
        assert_ne!(key("07"), key("08"));
    }
}
