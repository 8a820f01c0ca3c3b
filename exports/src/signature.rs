//! The signature of a manifest: ECDSA on P-256 over SHA-256 of its bytes, in DER, by the key that signs the ledger's
//! checkpoints. Other tools verify it: `openssl dgst -sha256 -verify key.pem -signature x.sig x.manifest.json`.
//!
//! A manifest is one line that begins with `{`; a checkpoint has three lines. Neither can be taken for the other.

use std::fmt;

use daybook_ledger::keys::{Algorithm, KeyError, KeyId, KeyRing, VerifierKey};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _, LineEnding};
use sha2::{Digest as _, Sha256};

use crate::digest::{Digests, digests_of_bytes};
use crate::manifest::{Manifest, ManifestError, SigningKey};

/// Most bytes of a signature: DER of two numbers of 32 bytes has at most 72.
pub const MAX_SIGNATURE_BYTES: usize = 72;

/// Why a manifest could not be signed, or a key not be read. Never quotes a private key.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// No key of the ring signs at the time.
    #[error("no ECDSA key signs at the moment")]
    NoKey,
    /// The ring cannot sign.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The manifest cannot be written.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Not a public key.
    #[error("not a public key for ECDSA on P-256: {0}")]
    PublicKey(String),
}

/// A manifest with its bytes and their signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedManifest {
    /// What it says; the signing key is named.
    pub manifest: Manifest,
    /// Its bytes, as they were signed.
    pub bytes: Vec<u8>,
    /// Digests of its bytes.
    pub digests: Digests,
    /// The key that signed.
    pub key_id: KeyId,
    /// The signature in DER.
    pub signature: Vec<u8>,
}

/// Names the key in the manifest and signs it with the key of `ring` that is active at `at` (microseconds). The ring must
/// know of rotations: [`KeyRing::reload`] it first.
pub fn seal(mut manifest: Manifest, ring: &KeyRing, at: i64) -> Result<SealedManifest, SealError> {
    let key_id = signer(ring, at)?;
    manifest.signing_key =
        Some(SigningKey { algorithm: Algorithm::EcdsaP256Sha256.as_str().to_owned(), key_id: key_id.to_string() });
    let bytes = manifest.to_bytes()?;
    let signature = signature_of(&bytes, ring, key_id)?;
    let digests = digests_of_bytes(&bytes);
    Ok(SealedManifest { manifest, bytes, digests, key_id, signature })
}

/// The signature of a text that ends with a line feed, in DER, by the key of `ring` that is active at `at` (microseconds).
pub fn sign(bytes: &[u8], ring: &KeyRing, at: i64) -> Result<Vec<u8>, SealError> {
    signature_of(bytes, ring, signer(ring, at)?)
}

fn signer(ring: &KeyRing, at: i64) -> Result<KeyId, SealError> {
    let signers = ring.signers(at);
    let signer = signers.iter().find(|record| record.algorithm == Algorithm::EcdsaP256Sha256);
    Ok(signer.ok_or(SealError::NoKey)?.key_id)
}

fn signature_of(bytes: &[u8], ring: &KeyRing, key_id: KeyId) -> Result<Vec<u8>, SealError> {
    let text = std::str::from_utf8(bytes).map_err(|error| ManifestError(error.to_string()))?;
    let note = ring.sign(text, &[key_id])?;
    Ok(note.signatures.into_iter().next().ok_or(KeyError::Signing(key_id))?.signature)
}

/// A public key that manifests are verified with.
#[derive(Clone, PartialEq, Eq)]
pub struct ManifestKey {
    key_id: KeyId,
    key: VerifyingKey,
}

impl fmt::Debug for ManifestKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ManifestKey({})", self.key_id)
    }
}

impl ManifestKey {
    /// From PEM of its SubjectPublicKeyInfo (`BEGIN PUBLIC KEY`).
    pub fn from_pem(pem: &str) -> Result<Self, SealError> {
        let key = VerifyingKey::from_public_key_pem(pem.trim());
        Self::new(key.map_err(|error| SealError::PublicKey(error.to_string()))?)
    }

    /// Every key of a text with one or several in PEM.
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>, SealError> {
        const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
        const END: &str = "-----END PUBLIC KEY-----";
        let mut keys = Vec::new();
        for part in text.split(BEGIN).skip(1) {
            let (body, _) =
                part.split_once(END).ok_or_else(|| SealError::PublicKey("a key does not end".to_owned()))?;
            keys.push(Self::from_pem(&format!("{BEGIN}{body}{END}"))?);
        }
        if keys.is_empty() {
            return Err(SealError::PublicKey(format!("there is no {BEGIN} in it")));
        }
        Ok(keys)
    }

    /// From a key that verifies checkpoints. `None` for Ed25519, which signs no manifests.
    pub fn from_verifier(key: &VerifierKey) -> Option<Self> {
        (key.algorithm() == Algorithm::EcdsaP256Sha256).then(|| Self::from_pem(&key.to_pem()).ok()).flatten()
    }

    fn new(key: VerifyingKey) -> Result<Self, SealError> {
        let der = key.to_public_key_der().map_err(|error| SealError::PublicKey(error.to_string()))?;
        let digest: [u8; 32] = Sha256::digest(der.as_bytes()).into();
        let [a, b, c, d, ..] = digest;
        Ok(Self { key_id: KeyId([a, b, c, d]), key })
    }

    /// Its id, the same as in checkpoints.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The key for other tools.
    pub fn to_pem(&self) -> String {
        // Every point on the curve has this form; there is nothing that could fail.
        self.key.to_public_key_pem(LineEnding::LF).unwrap_or_default()
    }

    /// Whether `signature` is this key's signature of `bytes`. `None` where it is no signature at all.
    pub fn verifies(&self, bytes: &[u8], signature: &[u8]) -> Option<bool> {
        let signature = Signature::from_der(signature).ok()?;
        Some(self.key.verify(bytes, &signature).is_ok())
    }
}

/// The keys of a ring that sign or signed manifests: past ones verify what they signed.
pub fn manifest_keys(ring: &KeyRing) -> Vec<ManifestKey> {
    let keys = ring.records().filter_map(|record| record.verifier_key(ring.origin()).ok());
    keys.filter_map(|key| ManifestKey::from_verifier(&key)).collect()
}

#[cfg(test)]
pub(crate) mod tests;
