//! Keys of witnesses: Ed25519, signing a checkpoint together with the time (C2SP tlog-cosignature, signature type 0x04).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use daybook_ledger::keys::KeyId;
use daybook_ledger::note::{NoteSignature, is_key_name};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

/// Type of a timestamped Ed25519 signature.
const COSIGNATURE: u8 = 0x04;

/// Text that is not a witness's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WitnessKeyError {
    /// Not of the form.
    #[error("a witness's key has the form <name>+<8 hexadecimal digits>+<base64>")]
    Malformed,
    /// Another kind of key.
    #[error("keys of type {0:#04x} are not for witnesses; Daybook asks for timestamped Ed25519 (0x04)")]
    Type(u8),
    /// Bytes that are no public key.
    #[error("there is no such Ed25519 key")]
    Key,
    /// Something was mixed up.
    #[error("the key id does not belong to the key")]
    Id,
}

/// A witness's name and public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessKey {
    name: String,
    id: KeyId,
    key: VerifyingKey,
}

impl WitnessKey {
    /// The key under a name.
    pub fn new(name: &str, key: VerifyingKey) -> Result<Self, WitnessKeyError> {
        if !is_key_name(name) {
            return Err(WitnessKeyError::Malformed);
        }
        // With such a key anybody could make signatures that verify.
        if key.is_weak() {
            return Err(WitnessKeyError::Key);
        }
        let mut hasher = Sha256::new();
        hasher.update(name.as_bytes());
        hasher.update([b'\n', COSIGNATURE]);
        hasher.update(key.as_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let [a, b, c, d, ..] = digest;
        Ok(Self { name: name.to_owned(), id: KeyId([a, b, c, d]), key })
    }

    /// The name it signs under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The time, in seconds since 1970-01-01T00:00:00Z, at which this key signed `body`, if `signature` is that.
    pub fn verify(&self, body: &str, signature: &NoteSignature) -> Option<u64> {
        if signature.name != self.name || signature.key_id != self.id {
            return None;
        }
        let (time, bytes) = signature.signature.split_first_chunk::<8>()?;
        let time = u64::from_be_bytes(*time);
        i64::try_from(time).ok()?;
        let message = format!("cosignature/v1\ntime {time}\n{body}");
        self.key.verify_strict(message.as_bytes(), &Signature::from_slice(bytes).ok()?).ok()?;
        Some(time)
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[COSIGNATURE], self.key.as_bytes().as_slice()].concat();
        write!(formatter, "{}+{}+{}", self.name, self.id, STANDARD.encode(bytes))
    }
}

impl FromStr for WitnessKey {
    type Err = WitnessKeyError;

    fn from_str(text: &str) -> Result<Self, WitnessKeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(bytes)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(WitnessKeyError::Malformed);
        };
        let bytes = STANDARD.decode(bytes).map_err(|_| WitnessKeyError::Malformed)?;
        let (kind, bytes) = bytes.split_first().ok_or(WitnessKeyError::Malformed)?;
        if *kind != COSIGNATURE {
            return Err(WitnessKeyError::Type(*kind));
        }
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| WitnessKeyError::Key)?;
        let key = Self::new(name, VerifyingKey::from_bytes(&bytes).map_err(|_| WitnessKeyError::Key)?)?;
        if key.id.to_string() == id { Ok(key) } else { Err(WitnessKeyError::Id) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use ed25519_dalek::{Signer, SigningKey};

    use super::*;

    fn signed(secret: &SigningKey, key: &WitnessKey, body: &str, time: u64) -> NoteSignature {
        let signature = secret.sign(format!("cosignature/v1\ntime {time}\n{body}").as_bytes());
        let signature = [time.to_be_bytes().as_slice(), signature.to_bytes().as_slice()].concat();
        NoteSignature { name: key.name.clone(), key_id: key.id, signature }
    }

    #[test]
    fn signature_is_over_text_and_time() {
        let secret = SigningKey::from_bytes(&[7; 32]);
        let key = WitnessKey::new("witness.example/w1", secret.verifying_key()).unwrap();
        let mut signature = signed(&secret, &key, "a\n1\nAAAA\n", 1_679_315_147);
        assert_eq!(key.verify("a\n1\nAAAA\n", &signature), Some(1_679_315_147));
        assert_eq!(key.verify("a\n2\nAAAA\n", &signature), None);
        *signature.signature.first_mut().unwrap() ^= 1;
        assert_eq!(key.verify("a\n1\nAAAA\n", &signature), None);
    }

    #[test]
    fn key_reads_back_as_it_was_written_and_damage_is_found() {
        let secret = SigningKey::from_bytes(&[7; 32]);
        let key = WitnessKey::new("witness.example/w1", secret.verifying_key()).unwrap();
        assert_eq!(key.to_string().parse::<WitnessKey>().unwrap(), key);
        let other = key.to_string().replace("w1+", "w2+");
        assert_eq!(other.parse::<WitnessKey>(), Err(WitnessKeyError::Id));
        assert_eq!("witness".parse::<WitnessKey>(), Err(WitnessKeyError::Malformed));
        assert_eq!("w+00000000+AQ==".parse::<WitnessKey>(), Err(WitnessKeyError::Type(1)));
        assert_eq!("w+00000000+BAA=".parse::<WitnessKey>(), Err(WitnessKeyError::Key));
        let weak = STANDARD.encode([[COSIGNATURE].as_slice(), &[0; 32]].concat());
        assert_eq!(format!("w+00000000+{weak}").parse::<WitnessKey>(), Err(WitnessKeyError::Key));
    }
}
