//! Keys that sign checkpoints for tests, written against the specification and not against the ledger's signer.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer as _;
use p256::pkcs8::{EncodePublicKey as _, LineEnding};
use sha2::{Digest as _, Sha256};

/// The text of a checkpoint.
pub fn body(origin: &str, size: u64, root: [u8; 32]) -> String {
    format!("{origin}\n{size}\n{}\n", STANDARD.encode(root))
}

fn line(name: &str, key_id: &[u8], signature: &[u8]) -> String {
    format!("\u{2014} {name} {}\n", STANDARD.encode([key_id, signature].concat()))
}

fn id(parts: &[&[u8]]) -> Vec<u8> {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()[..4].to_vec()
}

/// A log's signing key.
pub enum LogKey {
    P256(p256::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

impl LogKey {
    pub fn p256(seed: u8) -> Self {
        Self::P256(p256::ecdsa::SigningKey::from_slice(&[seed; 32]).unwrap())
    }

    pub fn ed25519(seed: u8) -> Self {
        Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
    }

    pub fn signing_p256(&self) -> &p256::ecdsa::SigningKey {
        match self {
            Self::P256(key) => key,
            Self::Ed25519(_) => panic!("not P-256"),
        }
    }

    /// Type byte and public key.
    fn public(&self) -> (u8, Vec<u8>) {
        match self {
            Self::P256(key) => (2, key.verifying_key().to_public_key_der().unwrap().into_vec()),
            Self::Ed25519(key) => (1, key.verifying_key().to_bytes().to_vec()),
        }
    }

    fn id(&self, name: &str) -> Vec<u8> {
        match self.public() {
            (2, spki) => id(&[&spki]),
            (kind, key) => id(&[name.as_bytes(), b"\n", &[kind], &key]),
        }
    }

    pub fn verifier_key(&self, name: &str) -> String {
        let (kind, public) = self.public();
        format!("{name}+{}+{}", hex::encode(self.id(name)), STANDARD.encode([&[kind], public.as_slice()].concat()))
    }

    pub fn pem(&self) -> String {
        match self {
            Self::P256(key) => key.verifying_key().to_public_key_pem(LineEnding::LF).unwrap(),
            Self::Ed25519(key) => {
                use ed25519_dalek::pkcs8::EncodePublicKey as _;
                key.verifying_key().to_public_key_pem(ed25519_dalek::pkcs8::spki::der::pem::LineEnding::LF).unwrap()
            }
        }
    }

    /// The secret as crate `signed_note` reads it.
    pub fn signed_note_secret(&self, name: &str) -> String {
        let Self::Ed25519(key) = self else { panic!("not Ed25519") };
        let secret = STANDARD.encode([&[1], key.to_bytes().as_slice()].concat());
        format!("PRIVATE+KEY+{name}+{}+{secret}", hex::encode(self.id(name)))
    }

    /// A signature line over a text.
    pub fn line(&self, name: &str, text: &str) -> String {
        let signature = match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(text.as_bytes());
                signature.normalize_s().to_der().as_bytes().to_vec()
            }
            Self::Ed25519(key) => key.sign(text.as_bytes()).to_bytes().to_vec(),
        };
        line(name, &self.id(name), &signature)
    }

    /// The other signature that the curve's equation accepts as well.
    pub fn high_s_line(&self, name: &str, text: &str) -> String {
        let signature: p256::ecdsa::Signature = self.signing_p256().sign(text.as_bytes());
        let (r, s) = signature.normalize_s().split_scalars();
        let high = p256::ecdsa::Signature::from_scalars(r, -*s.as_ref()).unwrap();
        line(name, &self.id(name), high.to_der().as_bytes())
    }

    pub fn checkpoint(&self, origin: &str, size: u64, root: [u8; 32]) -> String {
        let text = body(origin, size, root);
        format!("{text}\n{}", self.line(origin, &text))
    }
}

/// A witness's cosigning key.
pub struct WitnessKey(ed25519_dalek::SigningKey);

impl WitnessKey {
    pub fn new(seed: u8) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&[seed ^ 0xa5; 32]))
    }

    fn id(&self, name: &str) -> Vec<u8> {
        id(&[name.as_bytes(), b"\n\x04", self.0.verifying_key().as_bytes()])
    }

    pub fn verifier_key(&self, name: &str) -> String {
        let public = [&[4], self.0.verifying_key().as_bytes().as_slice()].concat();
        format!("{name}+{}+{}", hex::encode(self.id(name)), STANDARD.encode(public))
    }

    pub fn line(&self, name: &str, text: &str, time: u64) -> String {
        self.line_stating(name, text, time, time)
    }

    /// A cosignature made at one time that states another.
    pub fn line_stating(&self, name: &str, text: &str, signed: u64, stated: u64) -> String {
        let signature = self.0.sign(format!("cosignature/v1\ntime {signed}\n{text}").as_bytes()).to_bytes();
        line(name, &self.id(name), &[stated.to_be_bytes().as_slice(), &signature].concat())
    }
}
