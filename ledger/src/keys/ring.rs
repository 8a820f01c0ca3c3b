//! The key ring: which keys there are, which of them sign, and taking over from one to the next.
//!
//! A folder holds `signing-keys.json` (every key there ever was, with its public half) and a PKCS#8 file for each private
//! key. A new key becomes active at once; the one before it signs as well until the overlap has passed, so that verifiers
//! have time to learn the new one. Public keys are kept for ever: they verify what they signed.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::record::{KeyRecord, KeyState, read_records, write_records};
use super::secret::PrivateKey;
use super::{Algorithm, KeyError, KeyId, SecretPem, VerifierKey, files, time};
use crate::note::{SignedNote, is_key_name};

const LOCK_FILE: &str = "signing-keys.lock";

/// Where the P-256 key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SigningKeySource {
    /// The ring's folder; made there where it is missing.
    Folder,
    /// A PKCS#8 PEM file, kept by somebody else.
    File(PathBuf),
    /// PKCS#8 PEM, from the environment.
    Given(SecretPem),
}

/// What a ring is opened with.
#[derive(Debug, Clone)]
pub struct KeyRingOptions {
    /// The folder.
    pub folder: PathBuf,
    /// The name that keys sign under, `<origin>/<ledger_id>`.
    pub origin: String,
    /// Where the P-256 key comes from.
    pub source: SigningKeySource,
    /// Whether an Ed25519 key signs as well.
    pub ed25519: bool,
    /// How long a key signs beside its successor, in microseconds.
    pub overlap_micros: i64,
}

/// The keys that sign the checkpoints of one ledger.
#[derive(Debug)]
pub struct KeyRing {
    options: KeyRingOptions,
    records: Vec<KeyRecord>,
    secrets: HashMap<KeyId, PrivateKey>,
}

impl KeyRing {
    /// Opens the ring and makes what is missing. `now` in microseconds.
    pub fn open(options: KeyRingOptions, now: i64) -> Result<Self, KeyError> {
        if !is_key_name(&options.origin) {
            return Err(KeyError::Name(options.origin));
        }
        files::ensure_folder(&options.folder)?;
        let mut ring = Self { options, records: Vec::new(), secrets: HashMap::new() };
        ring.reload(now)?;
        Ok(ring)
    }

    /// The name that keys sign under.
    pub fn origin(&self) -> &str {
        &self.options.origin
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.options.folder
    }

    /// Every key that signs or signed for this ledger, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &KeyRecord> {
        self.records.iter().filter(|record| record.signs_for(&self.options.origin))
    }

    /// Looks at the folder again: another process may have rotated the key, and an overlap may have passed.
    pub fn reload(&mut self, now: i64) -> Result<(), KeyError> {
        let _lock = self.lock()?;
        let before = read_records(&self.options.folder)?;
        self.records.clone_from(&before);
        match self.given_key()? {
            Some(key) => self.take_given(key, now)?,
            None => self.ensure_own(Algorithm::EcdsaP256Sha256, now)?,
        }
        if self.options.ed25519 {
            self.ensure_own(Algorithm::Ed25519, now)?;
        } else {
            self.end_all(Algorithm::Ed25519, now, false);
        }
        self.load_secrets(now)?;
        if self.records != before {
            write_records(&self.options.folder, &self.records)?;
        }
        Ok(())
    }

    /// Makes a new key and activates it. The one before signs as well until the overlap has passed.
    pub fn rotate(&mut self, algorithm: Algorithm, now: i64) -> Result<KeyRecord, KeyError> {
        if algorithm == Algorithm::EcdsaP256Sha256 && self.options.source != SigningKeySource::Folder {
            return Err(KeyError::Given);
        }
        let _lock = self.lock()?;
        self.records = read_records(&self.options.folder)?;
        self.load_secrets(now)?;
        let record = self.make(algorithm, now)?;
        write_records(&self.options.folder, &self.records)?;
        Ok(record)
    }

    /// The keys that sign at `at`, in microseconds: active P-256 first, then the overlapping one, then Ed25519.
    pub fn signers(&self, at: i64) -> Vec<&KeyRecord> {
        let mut signers: Vec<&KeyRecord> =
            self.records().filter(|record| record.state(at) != KeyState::Retired && self.has_secret(record)).collect();
        signers.sort_by_key(|record| (record.algorithm, record.state(at) != KeyState::Active));
        signers
    }

    /// Signs the body of a note with the keys of `signers`.
    pub fn sign(&self, body: &str, signers: &[KeyId]) -> Result<SignedNote, KeyError> {
        let signatures = signers
            .iter()
            .map(|id| self.secrets.get(id).ok_or(KeyError::Signing(*id))?.sign(&self.options.origin, body))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(SignedNote { body: body.to_owned(), signatures })
    }

    /// Whether a key of this ring, past or present, signed the note, and none of its signatures is wrong.
    pub fn vouches_for(&self, note: &SignedNote) -> bool {
        let keys: Vec<VerifierKey> =
            self.records().filter_map(|record| record.verifier_key(&self.options.origin).ok()).collect();
        let claimed = note.signatures.iter().filter_map(|signature| {
            let key = keys.iter().find(|key| key.names(signature))?;
            Some(key.verifies(&note.body, signature))
        });
        let verdicts: Vec<bool> = claimed.collect();
        !verdicts.is_empty() && verdicts.into_iter().all(|is_right| is_right)
    }

    fn has_secret(&self, record: &KeyRecord) -> bool {
        self.secrets.contains_key(&record.key_id)
    }

    fn lock(&self) -> Result<File, KeyError> {
        files::take_lock(&self.options.folder.join(LOCK_FILE))
    }

    fn given_key(&self) -> Result<Option<PrivateKey>, KeyError> {
        let algorithm = Algorithm::EcdsaP256Sha256;
        match &self.options.source {
            SigningKeySource::Folder => Ok(None),
            SigningKeySource::File(path) => {
                let pem = SecretPem::new(files::read_secret(path)?);
                PrivateKey::from_pem(algorithm, pem.as_str(), &path.display().to_string()).map(Some)
            }
            SigningKeySource::Given(pem) => {
                PrivateKey::from_pem(algorithm, pem.as_str(), "the given signing key").map(Some)
            }
        }
    }

    /// The given key signs; whatever signed before gives way to it.
    fn take_given(&mut self, key: PrivateKey, now: i64) -> Result<(), KeyError> {
        let record = self.record_of(&key, None, now);
        let key_id = record.key_id;
        match self.records.iter().find(|known| known.key_id == key_id) {
            Some(known) => {
                if let Some(retired_at) = known.retired_at {
                    return Err(KeyError::Retired { key_id, retired_at: time::rfc3339(retired_at) });
                }
            }
            None => {
                self.end_all(Algorithm::EcdsaP256Sha256, now, true);
                self.records.push(record);
            }
        }
        self.secrets.insert(key_id, key);
        Ok(())
    }

    /// There is an active key in the folder, or there will be one.
    fn ensure_own(&mut self, algorithm: Algorithm, now: i64) -> Result<(), KeyError> {
        let is_there = self
            .records()
            .any(|record| record.algorithm == algorithm && record.retired_at.is_none() && record.file.is_some());
        if is_there { Ok(()) } else { self.make(algorithm, now).map(drop) }
    }

    /// Makes a key, durable before the list names it, and lets it take over.
    fn make(&mut self, algorithm: Algorithm, now: i64) -> Result<KeyRecord, KeyError> {
        let key = PrivateKey::generate(algorithm)?;
        let mut record = self.record_of(&key, None, now);
        let file = format!("{}.pem", record.key_id);
        files::replace_file(&self.options.folder.join(&file), key.to_pem()?.as_str())?;
        record.file = Some(file);
        self.end_all(algorithm, now, true);
        self.secrets.insert(record.key_id, key);
        self.records.push(record.clone());
        Ok(record)
    }

    fn record_of(&self, key: &PrivateKey, file: Option<String>, now: i64) -> KeyRecord {
        let verifier = VerifierKey::new(&self.options.origin, key.public());
        let algorithm = verifier.algorithm();
        KeyRecord {
            key_id: verifier.key_id(),
            algorithm,
            name: (algorithm == Algorithm::Ed25519).then(|| self.options.origin.clone()),
            file,
            public_key: STANDARD.encode(key.public().to_bytes()),
            created_at: now,
            activated_at: now,
            retired_at: None,
        }
    }

    /// Ends the active keys: after the overlap where their private half is here, else at once.
    fn end_all(&mut self, algorithm: Algorithm, now: i64, with_overlap: bool) {
        let (origin, overlap) = (self.options.origin.clone(), self.options.overlap_micros);
        for record in &mut self.records {
            let is_concerned =
                record.algorithm == algorithm && record.retired_at.is_none() && record.signs_for(&origin);
            if is_concerned {
                let keeps_signing = with_overlap && record.file.is_some();
                record.retired_at = Some(if keeps_signing { now.saturating_add(overlap) } else { now });
            }
        }
    }

    /// Reads the private keys that sign and are not here yet, and forgets those that sign no more.
    fn load_secrets(&mut self, now: i64) -> Result<(), KeyError> {
        let mut secrets = HashMap::new();
        for record in self.records().filter(|record| record.state(now) != KeyState::Retired) {
            if let Some(key) = self.secrets.get(&record.key_id) {
                secrets.insert(record.key_id, key.clone());
            } else if let Some(file) = &record.file {
                let path = self.options.folder.join(file);
                let pem = SecretPem::new(files::read_secret(&path)?);
                let key = PrivateKey::from_pem(record.algorithm, pem.as_str(), &path.display().to_string())?;
                if VerifierKey::new(&self.options.origin, key.public()).key_id() != record.key_id {
                    let why = format!("it is not the key {}", record.key_id);
                    return Err(KeyError::Malformed { place: path.display().to_string(), why });
                }
                secrets.insert(record.key_id, key);
            }
        }
        self.secrets = secrets;
        Ok(())
    }
}
