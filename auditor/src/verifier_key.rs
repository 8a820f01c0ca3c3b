//! Public keys that verify signatures on notes: ECDSA P-256, Ed25519, and witnesses' timestamped Ed25519.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::{DecodePublicKey as _, EncodePublicKey as _};
use sha2::{Digest as _, Sha256};

use crate::note::is_key_name;

/// How a key signs notes, by the type byte of its verifier key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// 0x01: Ed25519 over the note's text.
    Ed25519,
    /// 0x02: ECDSA on P-256 over SHA-256 of the note's text, DER, low-S.
    EcdsaP256,
    /// 0x04: a witness's Ed25519 over a time and the checkpoint.
    CosignatureV1,
}

impl Algorithm {
    fn type_byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::EcdsaP256 => 0x02,
            Self::CosignatureV1 => 0x04,
        }
    }

    /// A name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-p256-sha256",
            Self::CosignatureV1 => "cosignature/v1 (ed25519)",
        }
    }
}

/// Why a text is not a verifier key that the auditor can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `<name>+<8 hexadecimal digits>+<base64>`.
    #[error("not a verifier key: <name>+<key id>+<base64>")]
    Malformed,
    /// A type byte that the auditor does not verify.
    #[error("signature type {0:#04x} is not supported")]
    UnsupportedType(u8),
    /// The bytes after the type are no public key of that type.
    #[error("the key's bytes are no public key of its type")]
    BadPublicKey,
    /// The key id is not that of the key.
    #[error("the key id is {stated}, but that of the key is {computed}")]
    WrongKeyId {
        /// As written.
        stated: String,
        /// As it should be.
        computed: String,
    },
    /// Not a PEM block of a P-256 or Ed25519 public key.
    #[error("not a PEM public key of P-256 or Ed25519")]
    BadPem,
}

/// A signature that the key did not make over that text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The signature's bytes do not have the form of the algorithm.
    #[error("the signature's bytes are malformed")]
    Malformed,
    /// The larger of the two equivalent signatures, which the ledger format does not allow.
    #[error("the signature is not in its low-S form")]
    HighS,
    /// Not made by this key over this text.
    #[error("the signature does not verify")]
    Invalid,
}

/// A public key without a name.
#[derive(Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// 32 bytes.
    Ed25519(ed25519_dalek::VerifyingKey),
    /// A point, and its DER SubjectPublicKeyInfo.
    P256(Box<(p256::ecdsa::VerifyingKey, Vec<u8>)>),
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({})", hex::encode(self.bytes()))
    }
}

impl PublicKey {
    /// From a PEM block `PUBLIC KEY`.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_pem(pem) {
            let spki = key.to_public_key_der().map_err(|_| KeyError::BadPem)?.into_vec();
            return Ok(Self::P256(Box::new((key, spki))));
        }
        let key = ed25519_dalek::VerifyingKey::from_public_key_pem(pem).map_err(|_| KeyError::BadPem)?;
        if key.is_weak() { Err(KeyError::BadPem) } else { Ok(Self::Ed25519(key)) }
    }

    fn ed25519(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes = <&[u8; 32]>::try_from(bytes).map_err(|_| KeyError::BadPublicKey)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::BadPublicKey)?;
        // With a key of small order anybody can make signatures that verify.
        if key.is_weak() { Err(KeyError::BadPublicKey) } else { Ok(Self::Ed25519(key)) }
    }

    fn p256(spki: &[u8]) -> Result<Self, KeyError> {
        let key = p256::ecdsa::VerifyingKey::from_public_key_der(spki).map_err(|_| KeyError::BadPublicKey)?;
        // One key has one encoding here, or it would have several key ids.
        match key.to_public_key_der() {
            Ok(der) if der.as_bytes() == spki => Ok(Self::P256(Box::new((key, spki.to_vec())))),
            _ => Err(KeyError::BadPublicKey),
        }
    }

    /// The bytes as they stand in a verifier key, after its type byte.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(key) => key.as_bytes(),
            Self::P256(key) => &key.1,
        }
    }

    /// How this key signs a log's checkpoints.
    pub fn log_algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::P256(_) => Algorithm::EcdsaP256,
        }
    }
}

/// A public key with the name it signs under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key_id: [u8; 4],
    algorithm: Algorithm,
    public: PublicKey,
}

impl VerifierKey {
    /// Parses `<name>+<8 hexadecimal digits>+<base64(type ‖ key)>` and checks the key id.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(stated), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Malformed);
        };
        if !is_key_name(name) || stated.len() != 8 {
            return Err(KeyError::Malformed);
        }
        let stated: [u8; 4] = hex::decode(stated).ok().and_then(|id| id.try_into().ok()).ok_or(KeyError::Malformed)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| KeyError::Malformed)?;
        let (kind, material) = bytes.split_first().ok_or(KeyError::Malformed)?;
        let (algorithm, public) = match kind {
            0x01 => (Algorithm::Ed25519, PublicKey::ed25519(material)?),
            0x02 => (Algorithm::EcdsaP256, PublicKey::p256(material)?),
            0x04 => (Algorithm::CosignatureV1, PublicKey::ed25519(material)?),
            other => return Err(KeyError::UnsupportedType(*other)),
        };
        let key_id = key_id(name, algorithm, &public);
        if key_id != stated {
            return Err(KeyError::WrongKeyId { stated: hex::encode(stated), computed: hex::encode(key_id) });
        }
        Ok(Self { name: name.to_owned(), key_id, algorithm, public })
    }

    /// A log's key under a name.
    pub fn of_log(name: &str, public: PublicKey) -> Self {
        let algorithm = public.log_algorithm();
        Self { name: name.to_owned(), key_id: key_id(name, algorithm, &public), algorithm, public }
    }

    /// The name it signs under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key id as eight hexadecimal digits.
    pub fn id(&self) -> String {
        hex::encode(self.key_id)
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key without its name.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Whether a signature line is said to be this key's.
    pub fn matches(&self, line: &crate::note::SignatureLine) -> bool {
        line.name == self.name && line.key_id == self.key_id
    }

    /// Verifies a signature over a note's text. For a witness the answer is the time it stated, in seconds since
    /// 1970-01-01T00:00:00Z.
    pub fn verify(&self, body: &str, signature: &[u8]) -> Result<Option<u64>, SignatureError> {
        match (&self.public, self.algorithm) {
            (PublicKey::P256(key), _) => {
                let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| SignatureError::Malformed)?;
                if signature.normalize_s() != signature {
                    return Err(SignatureError::HighS);
                }
                key.0.verify(body.as_bytes(), &signature).map_err(|_| SignatureError::Invalid)?;
                Ok(None)
            }
            (PublicKey::Ed25519(key), Algorithm::CosignatureV1) => {
                let (time, signature) = signature.split_first_chunk::<8>().ok_or(SignatureError::Malformed)?;
                let time = u64::from_be_bytes(*time);
                if i64::try_from(time).is_err() {
                    return Err(SignatureError::Malformed);
                }
                ed25519(key, format!("cosignature/v1\ntime {time}\n{body}").as_bytes(), signature)?;
                Ok(Some(time))
            }
            (PublicKey::Ed25519(key), _) => ed25519(key, body.as_bytes(), signature).map(|()| None),
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![self.algorithm.type_byte()];
        bytes.extend_from_slice(self.public.bytes());
        write!(formatter, "{}+{}+{}", self.name, self.id(), STANDARD.encode(bytes))
    }
}

fn ed25519(key: &ed25519_dalek::VerifyingKey, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    let signature = <&[u8; 64]>::try_from(signature).map_err(|_| SignatureError::Malformed)?;
    key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).map_err(|_| SignatureError::Invalid)
}

fn key_id(name: &str, algorithm: Algorithm, public: &PublicKey) -> [u8; 4] {
    let mut hasher = Sha256::new();
    if algorithm != Algorithm::EcdsaP256 {
        hasher.update(name.as_bytes());
        hasher.update([b'\n', algorithm.type_byte()]);
    }
    hasher.update(public.bytes());
    let hash: [u8; 32] = hasher.finalize().into();
    let [a, b, c, d, ..] = hash;
    [a, b, c, d]
}
