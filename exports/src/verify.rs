//! Verification: whether a file, its manifest and its signature belong together, come from this ledger, and are what was
//! recorded. Every fault has a name.
//!
//! A file that is right is read once, as fast as the disk and the two digests go. One that is not is read again to say
//! whether rows are missing.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use daybook_domain::export::{ExportFormat, Generated};
use daybook_ledger::keys::KeyId;
use serde::Serialize;

use crate::digest::{Digests, digests_of, digests_of_bytes};
use crate::files::{ExportFiles, FilesError, read_at_most};
use crate::manifest::{MAX_MANIFEST_BYTES, Manifest};
use crate::rows::count_rows;
use crate::rows::zipped::changed;
use crate::signature::{MAX_SIGNATURE_BYTES, ManifestKey};

/// Most files within a zip file that are named.
const MAX_NAMED: usize = 5;

/// What can be wrong with an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The file, the manifest or the signature is not there.
    Missing,
    /// It is there and cannot be read.
    Unreadable,
    /// The file has as many rows as it should have, but is not the one that was signed.
    FileChanged,
    /// The file has fewer rows than the one that was signed.
    RowRemoved,
    /// The file has more rows than the one that was signed.
    RowAdded,
    /// The manifest is not what was signed, or not a manifest.
    ManifestChanged,
    /// The manifest is right, but is that of another export.
    ManifestSwapped,
    /// What should be a signature is none.
    SignatureMalformed,
    /// The key that signed, or should have, is not one of those that are trusted, or not the one that the manifest names.
    WrongKey,
}

impl Fault {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::FileChanged => "file_changed",
            Self::RowRemoved => "row_removed",
            Self::RowAdded => "row_added",
            Self::ManifestChanged => "manifest_changed",
            Self::ManifestSwapped => "manifest_swapped",
            Self::SignatureMalformed => "signature_malformed",
            Self::WrongKey => "wrong_key",
        }
    }

    /// Whether it says that something is other than it was, and not only that nothing can be said.
    pub fn is_tampering(self) -> bool {
        !matches!(self, Self::Missing | Self::Unreadable)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What sort of thing.
    pub fault: Fault,
    /// In words.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.fault, self.detail)
    }
}

/// What is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The rows.
    pub file: PathBuf,
    /// The manifest.
    pub manifest: PathBuf,
    /// The signature.
    pub signature: PathBuf,
}

impl Parts {
    /// A file with its manifest and signature beside it: `<file>.manifest.json` and `<file>.sig`.
    pub fn beside(file: impl Into<PathBuf>) -> Self {
        let file = file.into();
        let with = |end: &str| {
            let mut name = file.clone().into_os_string();
            name.push(end);
            PathBuf::from(name)
        };
        Self { manifest: with(".manifest.json"), signature: with(".sig"), file }
    }

    /// The files of an export as the ledger names them, in the folder of exports.
    pub fn of(files: &ExportFiles, generated: &Generated) -> Result<Self, FilesError> {
        Ok(Self {
            file: files.path(generated.file.as_str())?,
            manifest: files.path(generated.manifest.file.as_str())?,
            signature: files.path(generated.signature.file.as_str())?,
        })
    }
}

/// What the ledger recorded of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The export.
    pub export_id: String,
    /// BLAKE3 of the file.
    pub file_blake3: String,
    /// SHA-256 of the file.
    pub file_sha256: String,
    /// BLAKE3 of the manifest.
    pub manifest_blake3: String,
    /// SHA-256 of the manifest.
    pub manifest_sha256: String,
}

impl Recorded {
    /// From the event.
    pub fn of(export_id: &daybook_domain::names::ExportId, generated: &Generated) -> Self {
        Self {
            export_id: export_id.to_string(),
            file_blake3: generated.blake3.to_string(),
            file_sha256: generated.sha256.to_string(),
            manifest_blake3: generated.manifest.blake3.to_string(),
            manifest_sha256: generated.manifest.sha256.to_string(),
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// What is wrong; empty where everything is right.
    pub findings: Vec<Finding>,
    /// The manifest, where it could be read; to be believed only where nothing is wrong.
    pub manifest: Option<Manifest>,
    /// Digests of the file, where it could be read.
    pub file: Option<Digests>,
    /// The key whose signature it is.
    pub signed_by: Option<KeyId>,
}

impl Verification {
    /// Whether everything is right.
    pub fn is_verified(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether something is other than it was.
    pub fn is_tampered(&self) -> bool {
        self.findings.iter().any(|finding| finding.fault.is_tampering())
    }

    fn find(&mut self, fault: Fault, detail: impl Into<String>) {
        self.findings.push(Finding { fault, detail: detail.into() });
    }
}

/// Verifies an export with the keys that are trusted. With `recorded` it must also be the very export that the ledger
/// speaks of; without it a complete export of another is right, too. Blocks; takes as long as reading the file.
pub fn verify(parts: &Parts, keys: &[ManifestKey], recorded: Option<&Recorded>) -> Verification {
    let mut verification = Verification::default();
    let manifest = read_part(&mut verification, "manifest", &parts.manifest, MAX_MANIFEST_BYTES);
    let signature = read_part(&mut verification, "signature", &parts.signature, MAX_SIGNATURE_BYTES);
    if let Some(bytes) = &manifest {
        match Manifest::parse(bytes) {
            Ok(manifest) => verification.manifest = Some(manifest),
            Err(error) => verification.find(Fault::ManifestChanged, error.to_string()),
        }
        if let Some(signature) = &signature {
            check_signature(&mut verification, bytes, signature, keys);
        }
        if let Some(recorded) = recorded {
            check_recorded(&mut verification, bytes, recorded);
        }
    }
    check_file(&mut verification, parts, recorded);
    verification
}

fn read_part(verification: &mut Verification, what: &str, path: &std::path::Path, most: usize) -> Option<Vec<u8>> {
    match read_at_most(path, most) {
        Ok(Some(bytes)) => Some(bytes),
        Ok(None) if what == "signature" => {
            verification.find(Fault::SignatureMalformed, format!("the {what} has more than {most} bytes"));
            None
        }
        Ok(None) => {
            verification.find(Fault::ManifestChanged, format!("the {what} has more than {most} bytes"));
            None
        }
        Err(error) => {
            unread(verification, what, &error);
            None
        }
    }
}

fn unread(verification: &mut Verification, what: &str, error: &io::Error) {
    if error.kind() == io::ErrorKind::NotFound {
        verification.find(Fault::Missing, format!("the {what} is not there"));
    } else {
        verification.find(Fault::Unreadable, format!("the {what} cannot be read: {error}"));
    }
}

fn check_signature(verification: &mut Verification, bytes: &[u8], signature: &[u8], keys: &[ManifestKey]) {
    if p256::ecdsa::Signature::from_der(signature).is_err() {
        return verification.find(Fault::SignatureMalformed, "the signature is not one of ECDSA on P-256 in DER");
    }
    let named = verification.manifest.as_ref().and_then(|manifest| manifest.signing_key.as_ref());
    let named = named.map(|key| key.key_id.clone());
    let signer = keys.iter().find(|key| key.verifies(bytes, signature) == Some(true)).map(ManifestKey::key_id);
    verification.signed_by = signer;
    match (signer, named) {
        (Some(signer), Some(named)) if signer.to_string() != named => {
            let detail = format!("the manifest names the key {named}, but {signer} signed it");
            verification.find(Fault::WrongKey, detail);
        }
        (Some(_), _) => {}
        (None, Some(named)) if keys.iter().all(|key| key.key_id().to_string() != named) => {
            let detail = format!("the manifest names the key {named}, which is not among the {} given", keys.len());
            verification.find(Fault::WrongKey, detail);
        }
        (None, Some(named)) => {
            let detail = format!("the manifest is not what the key {named} signed, or another key signed it");
            verification.find(Fault::ManifestChanged, detail);
        }
        (None, None) => verification.find(Fault::ManifestChanged, "no key that is given signed this manifest"),
    }
}

fn check_recorded(verification: &mut Verification, bytes: &[u8], recorded: &Recorded) {
    let digests = digests_of_bytes(bytes);
    if digests.blake3_hex() == recorded.manifest_blake3 && digests.sha256_hex() == recorded.manifest_sha256 {
        return;
    }
    let said = verification.manifest.as_ref().map(|manifest| manifest.export_id.clone());
    match said {
        Some(said) if said != recorded.export_id => verification
            .find(Fault::ManifestSwapped, format!("the manifest is that of {said}, not of {}", recorded.export_id)),
        _ => verification.find(Fault::ManifestChanged, "the manifest is not the one that the ledger recorded"),
    }
}

fn check_file(verification: &mut Verification, parts: &Parts, recorded: Option<&Recorded>) {
    let read = File::open(&parts.file).and_then(|mut file| digests_of(&mut file));
    let digests = match read {
        Ok(digests) => digests,
        Err(error) => return unread(verification, "file", &error),
    };
    verification.file = Some(digests);
    let is = |blake3: &str, sha256: &str| digests.blake3_hex() == blake3 && digests.sha256_hex() == sha256;
    let as_recorded = recorded.is_none_or(|recorded| is(&recorded.file_blake3, &recorded.file_sha256));
    let Some(manifest) = &verification.manifest else {
        if !as_recorded {
            verification.find(Fault::FileChanged, "the file is not the one that the ledger recorded");
        }
        return;
    };
    let as_signed = is(&manifest.file.blake3, &manifest.file.sha256) && digests.bytes == manifest.file.bytes;
    if as_signed && as_recorded {
        return;
    }
    // The file is what the ledger recorded: then it is the manifest that belongs elsewhere.
    let is_other_manifest = (recorded.is_some() && as_recorded) || names_another(manifest, &parts.file);
    if as_signed || is_other_manifest {
        if verification.findings.iter().all(|finding| finding.fault != Fault::ManifestSwapped) {
            let detail = format!("the manifest describes {}, which is another file", manifest.file.name);
            verification.find(Fault::ManifestSwapped, detail);
        }
        return;
    }
    let (fault, detail) = name_difference(manifest, &digests, &parts.file);
    verification.find(fault, detail);
}

/// Whether the manifest is about a file of another export: names of files begin with the id, and ids have no points.
fn names_another(manifest: &Manifest, file: &std::path::Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let id = name.split('.').next().unwrap_or_default();
    id.starts_with("exp_") && id != manifest.export_id
}

fn name_difference(manifest: &Manifest, digests: &Digests, file: &std::path::Path) -> (Fault, String) {
    let signed = &manifest.file;
    let lengths = format!("{} bytes instead of {}", digests.bytes, signed.bytes);
    let format: Option<ExportFormat> = signed.format.parse().ok();
    let rows = format.and_then(|format| File::open(file).and_then(|file| count_rows(file, format)).ok().flatten());
    match rows {
        Some(rows) if rows < signed.rows => {
            (Fault::RowRemoved, format!("the file has {rows} rows instead of {}, {lengths}", signed.rows))
        }
        Some(rows) if rows > signed.rows => {
            (Fault::RowAdded, format!("the file has {rows} rows instead of {}, {lengths}", signed.rows))
        }
        _ if format == Some(ExportFormat::Zip) => (Fault::FileChanged, named_within(file, &lengths)),
        _ if digests.bytes != signed.bytes => (Fault::FileChanged, format!("the file has {lengths}")),
        _ => (Fault::FileChanged, "the file is as long as the one that was signed, but not the same".to_owned()),
    }
}

/// Which files within a zip file were changed.
fn named_within(file: &std::path::Path, lengths: &str) -> String {
    let changed = File::open(file).ok().and_then(|file| changed(file, MAX_NAMED)).unwrap_or_default();
    if changed.is_empty() {
        return format!("the file has {lengths}, and is not the one that was signed");
    }
    format!("the file has {lengths}; in it, these are not what its own manifest lists: {}", changed.join(", "))
}

#[cfg(test)]
mod tests;
