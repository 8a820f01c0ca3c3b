//! Keys that sign checkpoints: their public halves, and how they are written for verifiers.
//!
//! [`VerifierKey`] is what everybody may know. Private keys are in [`secret`] and never leave this crate; [`ring`] keeps
//! them in files, or takes them as given, and knows which of them sign at a time.

mod files;
mod record;
pub mod ring;
mod secret;
pub mod time;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::EncodePublicKey as _;
use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::{DecodePublicKey as _, LineEnding};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(crate) use files::{replace_file, take_lock};
pub use record::{KeyRecord, KeyState, read_records};
pub use ring::{KeyRing, KeyRingOptions, SigningKeySource};
pub use secret::{SecretPem, detached_signature};

use crate::note::{NoteSignature, is_key_name};

/// First four bytes of a digest of a public key: tells keys apart, proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(pub [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for KeyId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut bytes = [0_u8; 4];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| "a key id has 8 hexadecimal digits".to_owned())?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for KeyId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 over SHA-256, signatures in DER with a low S. What every checkpoint has.
    #[serde(rename = "ecdsa-p256-sha256")]
    EcdsaP256Sha256,
    /// Ed25519. An optional second signature, for verifiers that know nothing else.
    #[serde(rename = "ed25519")]
    Ed25519,
}

impl Algorithm {
    /// Its name, as in entries and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::Ed25519 => "ed25519",
        }
    }

    /// The signature type of C2SP `signed-note`.
    fn type_byte(self) -> u8 {
        match self {
            Self::EcdsaP256Sha256 => 0x02,
            Self::Ed25519 => 0x01,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::EcdsaP256Sha256, Self::Ed25519]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| "must be ecdsa-p256-sha256 or ed25519".to_owned())
    }
}

/// Why a key cannot be used. Never quotes a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read or written.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// A private key that others can read is no secret.
    #[error("{} can be read by others than its owner: chmod 600 it (and think about who has read it)", .0.display())]
    ReadableByOthers(PathBuf),
    /// Whoever can write to the folder can exchange the keys.
    #[error("others than its owner can write to the folder {}: chmod 700 it", .0.display())]
    FolderOpenToOthers(PathBuf),
    /// Not what it should be.
    #[error("{place}: {why}")]
    Malformed {
        /// The file, or where else it came from.
        place: String,
        /// What is wrong with it.
        why: String,
    },
    /// A name that cannot stand in a note.
    #[error("the origin {0:?} cannot name a key: it must not be empty and have no spaces and no plus sign")]
    Name(String),
    /// The signing key comes from outside, so it is exchanged there.
    #[error(
        "the signing key is given from outside (--signing-key or DAYBOOK_SIGNING_KEY): give the new one there instead"
    )]
    Given,
    /// A retired key was given again.
    #[error("the key {key_id} was retired at {retired_at} and does not sign any more: give a new one")]
    Retired {
        /// Which.
        key_id: KeyId,
        /// Since when, RFC 3339.
        retired_at: String,
    },
    /// The system's source of random bytes failed.
    #[error("no random bytes to make a key of: {0}")]
    Random(String),
    /// A signature could not be made.
    #[error("the key {0} cannot sign")]
    Signing(KeyId),
}

/// A public key with the name it signs under: what a verifier is given.
///
/// As text `<name>+<key id>+<base64(type ‖ key)>`; the key is the DER SubjectPublicKeyInfo for P-256, 32 bytes for Ed25519.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    algorithm: Algorithm,
    public: Public,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Public {
    P256(p256::ecdsa::VerifyingKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl Public {
    /// The bytes that stand in a verifier key after its type.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            // Every point on the curve has a DER form; an empty one would verify nothing.
            Self::P256(key) => key.to_public_key_der().map(|der| der.as_bytes().to_vec()).unwrap_or_default(),
            Self::Ed25519(key) => key.to_bytes().to_vec(),
        }
    }

    pub(crate) fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        match algorithm {
            Algorithm::EcdsaP256Sha256 => p256::ecdsa::VerifyingKey::from_public_key_der(bytes).ok().map(Self::P256),
            Algorithm::Ed25519 => {
                let bytes = <[u8; 32]>::try_from(bytes).ok()?;
                ed25519_dalek::VerifyingKey::from_bytes(&bytes).ok().map(Self::Ed25519)
            }
        }
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256(_) => Algorithm::EcdsaP256Sha256,
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }
}

impl VerifierKey {
    pub(crate) fn new(name: &str, public: Public) -> Self {
        Self { name: name.to_owned(), algorithm: public.algorithm(), public }
    }

    /// The name it signs under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The id in its signature lines. That of a P-256 key does not depend on its name.
    pub fn key_id(&self) -> KeyId {
        let mut hasher = Sha256::new();
        if self.algorithm == Algorithm::Ed25519 {
            hasher.update(self.name.as_bytes());
            hasher.update([b'\n', self.algorithm.type_byte()]);
        }
        hasher.update(self.public.to_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let [a, b, c, d, ..] = digest;
        KeyId([a, b, c, d])
    }

    /// The key for other tools: PEM of its SubjectPublicKeyInfo.
    pub fn to_pem(&self) -> String {
        let pem = match &self.public {
            Public::P256(key) => key.to_public_key_pem(LineEnding::LF),
            Public::Ed25519(key) => key.to_public_key_pem(LineEnding::LF),
        };
        // Both kinds have a form of fixed length; there is nothing that could fail.
        pem.unwrap_or_default()
    }

    /// Whether `signature` names this key and is its signature of `body`.
    pub fn verifies(&self, body: &str, signature: &NoteSignature) -> bool {
        self.names(signature) && self.verifies_bytes(body.as_bytes(), &signature.signature)
    }

    /// Whether a signature line claims to be by this key.
    pub fn names(&self, signature: &NoteSignature) -> bool {
        signature.name == self.name && signature.key_id == self.key_id()
    }

    fn verifies_bytes(&self, body: &[u8], signature: &[u8]) -> bool {
        match &self.public {
            Public::P256(key) => {
                p256::ecdsa::Signature::from_der(signature).is_ok_and(|signature| key.verify(body, &signature).is_ok())
            }
            Public::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(body, &signature).is_ok()),
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[self.algorithm.type_byte()], self.public.to_bytes().as_slice()].concat();
        write!(formatter, "{}+{}+{}", self.name, self.key_id(), STANDARD.encode(bytes))
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let malformed = |why: &str| KeyError::Malformed { place: "the verifier key".to_owned(), why: why.to_owned() };
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed("must have the form <name>+<key id>+<base64>"));
        };
        if !is_key_name(name) {
            return Err(KeyError::Name(name.to_owned()));
        }
        let bytes = STANDARD.decode(key).map_err(|_| malformed("the key is not base64"))?;
        let (kind, bytes) = bytes.split_first().ok_or_else(|| malformed("the key is empty"))?;
        let algorithm = [Algorithm::EcdsaP256Sha256, Algorithm::Ed25519]
            .into_iter()
            .find(|algorithm| algorithm.type_byte() == *kind)
            .ok_or_else(|| malformed("keys of this type sign no checkpoint of Daybook"))?;
        let public = Public::from_bytes(algorithm, bytes).ok_or_else(|| malformed("there is no such public key"))?;
        let key = Self::new(name, public);
        if key.key_id().to_string() != id {
            return Err(malformed("the key id does not belong to the key"));
        }
        Ok(key)
    }
}
