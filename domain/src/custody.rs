//! What a ledger says of itself: its seals, the times that others attest, and the keys that sign its checkpoints.
//!
//! The ledger writes these; nobody commands them, so there is no aggregate here, only what the events say. Field by field
//! they are what the ledger's writer lays down; this crate reads them for people.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use crate::vocabulary::vocabulary;

/// Stream type of [`LedgerEvent`]; the stream's id is the ledger's.
pub const LEDGER_STREAM: &str = "ledger";
/// Stream type of [`SigningKeyEvent`]; the stream's id is the ledger's.
pub const LEDGER_KEYS_STREAM: &str = "ledger_keys";

vocabulary! {
    /// How a signing key signs.
    SigningAlgorithm {
        /// ECDSA on P-256 over SHA-256.
        EcdsaP256Sha256 = "ecdsa-p256-sha256",
        /// Ed25519.
        Ed25519 = "ed25519",
    }
}

/// An event of a ledger's own stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event_type", content = "payload")]
pub enum LedgerEvent {
    /// Everything before this entry was bound into the tree.
    #[serde(rename = "ledger.sealed")]
    Sealed(Sealed),
    /// A time-stamping authority attested a checkpoint.
    #[serde(rename = "ledger.anchored")]
    Anchored(Box<Anchored>),
}

/// Payload of `ledger.sealed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Number of entries before this one.
    pub size: u64,
    /// Hash of the last of them, hexadecimal.
    pub hash: String,
    /// RFC 6962 root over them, hexadecimal.
    pub root: String,
}

/// Payload of `ledger.anchored`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchored {
    /// Number of entries that the checkpoint covers.
    pub size: u64,
    /// RFC 6962 root over them, hexadecimal.
    pub root: String,
    /// The checkpoint, a whole signed note.
    pub checkpoint: String,
    /// Who attested it: the address of the time-stamping authority.
    pub tsa: String,
    /// The time that the token states.
    pub generated_at: Timestamp,
    /// The RFC 3161 token, DER in base64.
    pub token: String,
}

/// An event about the keys that sign a ledger's checkpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event_type", content = "payload")]
pub enum SigningKeyEvent {
    /// A key began to sign.
    #[serde(rename = "signing_key.activated")]
    Activated(SigningKeyActivated),
    /// A key ceased to sign.
    #[serde(rename = "signing_key.retired")]
    Retired(SigningKeyRetired),
}

/// Payload of `signing_key.activated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyActivated {
    /// The key's id, 8 hexadecimal digits.
    pub key_id: String,
    /// The name it signs under.
    pub name: String,
    /// How it signs.
    pub algorithm: SigningAlgorithm,
    /// The public key as verifiers take it: `<name>+<key id>+<base64>`.
    pub verifier_key: String,
    /// Since when.
    pub activated_at: Timestamp,
}

/// Payload of `signing_key.retired`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeyRetired {
    /// The key's id, 8 hexadecimal digits.
    pub key_id: String,
    /// The name it signed under.
    pub name: String,
    /// From when on it does not sign.
    pub retired_at: Timestamp,
}

impl LedgerEvent {
    /// The wire name, `ledger.sealed`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sealed(_) => "ledger.sealed",
            Self::Anchored(_) => "ledger.anchored",
        }
    }
}

impl SigningKeyEvent {
    /// The wire name, `signing_key.activated`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Activated(_) => "signing_key.activated",
            Self::Retired(_) => "signing_key.retired",
        }
    }
}

impl DomainEvent for LedgerEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        crate::events::SCHEMA_VERSION.to_string()
    }
}

impl DomainEvent for SigningKeyEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        crate::events::SCHEMA_VERSION.to_string()
    }
}
