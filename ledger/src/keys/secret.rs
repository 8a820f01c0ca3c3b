//! Private keys: made, read from PKCS#8 PEM, written as such, and signing. Nothing here prints one.

use std::fmt;

use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use p256::ecdsa::signature::Signer as _;
use p256::elliptic_curve::zeroize::Zeroizing;
use p256::pkcs8::{DecodePrivateKey as _, LineEnding};
use rand::TryRngCore;
use rand::rngs::OsRng;

use super::{Algorithm, KeyError, KeyId, Public, VerifierKey};
use crate::note::{NoteSignature, SignedNote};

/// Times that a key is drawn anew: one in 2³² draws is not a key of P-256.
const DRAWS: usize = 4;

/// A private key as PEM text, wiped when it is dropped and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretPem(Zeroizing<String>);

impl SecretPem {
    /// Takes the text of a PKCS#8 PEM.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretPem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretPem(…)")
    }
}

/// A private key. The crates behind it wipe it when it is dropped.
#[derive(Clone)]
pub(super) enum PrivateKey {
    P256(Box<p256::ecdsa::SigningKey>),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PrivateKey(…)")
    }
}

impl PrivateKey {
    /// A new key from the system's random bytes.
    pub(super) fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        for _ in 0..DRAWS {
            let mut bytes = Zeroizing::new([0_u8; 32]);
            OsRng.try_fill_bytes(bytes.as_mut_slice()).map_err(|error| KeyError::Random(error.to_string()))?;
            match algorithm {
                Algorithm::Ed25519 => {
                    return Ok(Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&bytes))));
                }
                Algorithm::EcdsaP256Sha256 => {
                    if let Ok(key) = p256::ecdsa::SigningKey::from_slice(bytes.as_slice()) {
                        return Ok(Self::P256(Box::new(key)));
                    }
                }
            }
        }
        Err(KeyError::Random("they are no key of P-256".to_owned()))
    }

    /// Reads PKCS#8 PEM that came from `place`.
    pub(super) fn from_pem(algorithm: Algorithm, text: &str, place: &str) -> Result<Self, KeyError> {
        let read = match algorithm {
            Algorithm::EcdsaP256Sha256 => {
                p256::ecdsa::SigningKey::from_pkcs8_pem(text).ok().map(|key| Self::P256(Box::new(key)))
            }
            Algorithm::Ed25519 => {
                ed25519_dalek::SigningKey::from_pkcs8_pem(text).ok().map(|key| Self::Ed25519(Box::new(key)))
            }
        };
        read.ok_or_else(|| {
            let hint = if text.contains("BEGIN EC PRIVATE KEY") {
                "; this is the older form: openssl pkcs8 -topk8 -nocrypt converts it"
            } else if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
                "; this one is encrypted, and there is nobody to ask for its passphrase"
            } else {
                ""
            };
            let why = format!("not a private key for {algorithm} in PKCS#8 PEM (BEGIN PRIVATE KEY){hint}");
            KeyError::Malformed { place: place.to_owned(), why }
        })
    }

    /// PKCS#8 PEM.
    pub(super) fn to_pem(&self) -> Result<SecretPem, KeyError> {
        let pem = match self {
            Self::P256(key) => key.to_pkcs8_pem(LineEnding::LF),
            Self::Ed25519(key) => key.to_pkcs8_pem(LineEnding::LF),
        };
        pem.map(SecretPem).map_err(|_| KeyError::Malformed {
            place: "a new key".to_owned(),
            why: "it cannot be written as PKCS#8".to_owned(),
        })
    }

    /// The public half.
    pub(super) fn public(&self) -> Public {
        match self {
            Self::P256(key) => Public::P256(*key.verifying_key()),
            Self::Ed25519(key) => Public::Ed25519(key.verifying_key()),
        }
    }

    /// Signs the body of a note under `name`. The same body gives the same signature.
    pub(super) fn sign(&self, name: &str, body: &str) -> Result<NoteSignature, KeyError> {
        let key_id = VerifierKey::new(name, self.public()).key_id();
        let failed = |_| KeyError::Signing(key_id);
        let signature = match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.try_sign(body.as_bytes()).map_err(failed)?;
                // Of the two signatures with the same meaning only this one is written, so that nobody can make another.
                signature.normalize_s().to_der().as_bytes().to_vec()
            }
            Self::Ed25519(key) => key.try_sign(body.as_bytes()).map_err(failed)?.to_bytes().to_vec(),
        };
        Ok(NoteSignature { name: name.to_owned(), key_id, signature })
    }
}

/// The first ECDSA signature of a note by the key that it is named after, as other tools take it: DER over SHA-256 of the
/// body. Answers the key's id with it.
pub fn detached_signature(note: &SignedNote) -> Option<(KeyId, Vec<u8>)> {
    let origin = note.body.lines().next()?;
    let is_ecdsa = |signature: &&NoteSignature| {
        signature.name == origin && p256::ecdsa::Signature::from_der(&signature.signature).is_ok()
    };
    note.signatures.iter().find(is_ecdsa).map(|signature| (signature.key_id, signature.signature.clone()))
}
