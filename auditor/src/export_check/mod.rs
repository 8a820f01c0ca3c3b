//! An export, verified offline: its file, its manifest and their signature, and what the ledger says of it.
//!
//! By the auditor's own code: nothing here is shared with what makes exports. Each question is answered by itself; what
//! was not given to answer it leaves it open.

mod inclusion;
mod ledger;
pub mod manifest;
mod parquet_rows;
pub mod reading;

use std::path::Path;

use chrono::DateTime;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

pub use self::ledger::{LedgerWatch, Recorded};
use self::manifest::{Manifest, is_canonical};
use self::reading::FileRead;
use crate::keys::TrustedKeys;
use crate::trust::{Answer, Judged};
use crate::verifier_key::{Algorithm, SignatureError, VerifierKey};

/// What can be wrong with an export. The wire name is the snake-case form and stays as it is once published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExportFault {
    /// The file has as many rows as it should have, but is not the one that was signed.
    FileChanged,
    /// The file has fewer rows than the manifest says.
    RowRemoved,
    /// The file has more rows than the manifest says.
    RowAdded,
    /// The manifest is not what was signed or recorded, or no manifest.
    ManifestChanged,
    /// The manifest is that of another file or export.
    ManifestSwapped,
    /// What should be a signature is none.
    SignatureMalformed,
    /// The manifest is the one that the ledger recorded, but the signature is not one over it, or not the recorded one.
    SignatureWrong,
    /// The key that signed, or should have, is not one of those that are trusted, or not the one that the manifest names.
    WrongKey,
    /// The ledger records no such export.
    NotInLedger,
    /// The entries that the manifest names have other hashes, are not there, or are not those that were recorded.
    OtherPosition,
    /// The checkpoint in the manifest is not one of these entries, or not what the manifest says of it.
    CheckpointMismatch,
    /// The export was not let through by the approval that the manifest names.
    NotApproved,
    /// The ledger itself does not hold.
    LedgerFailed,
}

impl ExportFault {
    /// The stable code, as it is in the JSON.
    pub fn code(self) -> String {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::String(code)) => code,
            _ => format!("{self:?}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportFinding {
    /// What kind of thing.
    pub kind: ExportFault,
    /// Position of the entry it is about, if it is about one.
    pub position: Option<u64>,
    /// One sentence for people.
    pub detail: String,
}

/// What is verified.
#[derive(Debug)]
pub struct Export<'a> {
    /// The file, read with the format that the manifest states.
    pub file: &'a FileRead,
    /// Its name, without folders.
    pub file_name: &'a str,
    /// Bytes of the manifest.
    pub manifest: &'a [u8],
    /// Bytes of the signature; none where there is no such file.
    pub signature: Option<&'a [u8]>,
    /// Keys that count.
    pub keys: Option<&'a TrustedKeys>,
    /// What the ledger says, where one was given.
    pub recorded: Option<&'a Recorded>,
}

/// The answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    /// `verified` where nothing failed, else `failed`. What was not checked has not failed.
    pub verdict: &'static str,
    /// The export that the manifest is about.
    pub export_id: Option<String>,
    /// Is the file the one that the manifest describes?
    pub file: Judged,
    /// Did somebody whose key is trusted sign this manifest?
    pub signature: Judged,
    /// Does the ledger record this export?
    pub recorded: Judged,
    /// Does it come from those entries of this ledger?
    pub position: Judged,
    /// Is the last entry that it takes into account under the checkpoint that it carries? Takes no ledger.
    pub inclusion: Judged,
    /// Was it let through by the approval that it names?
    pub approval: Judged,
    /// What the file is.
    pub read: FileFigures,
    /// What is wrong.
    pub findings: Vec<ExportFinding>,
}

/// What the file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileFigures {
    /// Its length.
    pub bytes: u64,
    /// Its rows, where they can be counted.
    pub rows: Option<u64>,
    /// BLAKE3 of it.
    pub blake3: String,
    /// SHA-256 of it.
    pub sha256: String,
}

impl ExportReport {
    /// Whether nothing failed.
    pub fn holds(&self) -> bool {
        self.verdict == "verified"
    }
}

/// Verifies an export.
pub fn check(export: &Export<'_>) -> ExportReport {
    let mut check = Check { export, findings: Vec::new() };
    let parsed = Manifest::parse(export.manifest);
    let manifest = parsed.as_ref().ok();
    if let Err(why) = &parsed {
        check.find(ExportFault::ManifestChanged, None, format!("the manifest cannot be read: {why}"));
    } else if !is_canonical(export.manifest) {
        let detail = "the manifest is not in the one form that is signed: sorted keys, no white space, one line";
        check.find(ExportFault::ManifestChanged, None, detail.to_owned());
    }
    let file = check.file(manifest);
    let signature = check.signature(manifest);
    let open = |why: &str| Judged::new(Answer::NotChecked, why);
    let (recorded, position, approval) = match (manifest, export.recorded) {
        (Some(manifest), Some(recorded)) => ledger::check(&mut check, manifest, recorded),
        (None, _) => {
            let why = "there is no manifest that could be compared";
            (open(why), open(why), open(why))
        }
        (_, None) => {
            let why = "no ledger was given: it takes --store";
            (open(why), open(why), open(why))
        }
    };
    let inclusion = inclusion::check(&mut check, manifest);
    let findings = check.findings;
    let read = export.file;
    ExportReport {
        verdict: if findings.is_empty() { "verified" } else { "failed" },
        export_id: manifest.map(|manifest| manifest.export_id.clone()),
        file,
        signature,
        recorded,
        position,
        inclusion,
        approval,
        read: FileFigures {
            bytes: read.bytes,
            rows: read.rows,
            blake3: read.blake3.clone(),
            sha256: read.sha256.clone(),
        },
        findings,
    }
}

struct Check<'a> {
    export: &'a Export<'a>,
    findings: Vec<ExportFinding>,
}

impl Check<'_> {
    fn find(&mut self, kind: ExportFault, position: Option<u64>, detail: String) {
        self.findings.push(ExportFinding { kind, position, detail });
    }

    /// The answer of a question: failed where anything was found since there were so many findings.
    fn answer(&self, before: usize, holds: String) -> Judged {
        match self.findings.get(before) {
            Some(finding) => Judged::new(Answer::Failed, finding.detail.clone()),
            None => Judged::new(Answer::Verified, holds),
        }
    }

    fn file(&mut self, manifest: Option<&Manifest>) -> Judged {
        let Some(manifest) = manifest else {
            return Judged::new(Answer::NotChecked, "there is no manifest that describes it");
        };
        let (is, said) = (self.export.file, &manifest.file);
        let before = self.findings.len();
        let same = is.blake3 == said.blake3 && is.sha256 == said.sha256 && is.bytes == said.bytes;
        let about_other = self
            .export
            .file_name
            .split('.')
            .next()
            .is_some_and(|stem| stem.starts_with("exp_") && stem != manifest.export_id && !same);
        let lengths = match is.bytes == said.bytes {
            true => "as many bytes as it should have".to_owned(),
            false => format!("{} bytes, and should have {}", is.bytes, said.bytes),
        };
        match is.rows {
            _ if about_other => {
                let detail = format!("the manifest is that of {}, not of {}", said.name, self.export.file_name);
                self.find(ExportFault::ManifestSwapped, None, detail);
            }
            Some(rows) if rows < said.rows => {
                let detail = format!("the file has {rows} rows, and should have {}; {lengths}", said.rows);
                self.find(ExportFault::RowRemoved, None, detail);
            }
            Some(rows) if rows > said.rows => {
                let detail = format!("the file has {rows} rows, and should have {}; {lengths}", said.rows);
                self.find(ExportFault::RowAdded, None, detail);
            }
            None if same => {
                let detail = format!("the file is no {} whose rows can be counted", said.format);
                self.find(ExportFault::FileChanged, None, detail);
            }
            _ if !same => {
                let detail = format!("the file is not the one that the manifest describes; it has {lengths}");
                self.find(ExportFault::FileChanged, None, detail);
            }
            _ => {}
        }
        self.answer(
            before,
            format!("{} bytes in {} rows, BLAKE3 and SHA-256 as the manifest says", is.bytes, said.rows),
        )
    }

    fn signature(&mut self, manifest: Option<&Manifest>) -> Judged {
        let before = self.findings.len();
        let Some(signature) = self.export.signature else {
            return Judged::new(Answer::NotChecked, "no signature was given");
        };
        if p256::ecdsa::Signature::from_der(signature).is_err() {
            let detail = "the signature is not one of ECDSA on P-256 in DER".to_owned();
            self.find(ExportFault::SignatureMalformed, None, detail);
            return self.answer(before, String::new());
        }
        let Some(keys) = self.export.keys else {
            return Judged::new(Answer::NotChecked, "no key was given: it takes --key");
        };
        let origin = manifest.map(|manifest| manifest.ledger.origin.as_str()).unwrap_or_default();
        let candidates = keys.for_origin(origin);
        let candidates = candidates.iter().filter(|(key, _)| key.algorithm() == Algorithm::EcdsaP256);
        let named = manifest.and_then(|manifest| manifest.signing_key.as_ref()).map(|key| key.key_id.as_str());
        let signer = candidates.clone().find(|(key, _)| signed(key, self.export.manifest, signature));
        match (signer, named) {
            (Some((key, validity)), _) => {
                let id = key.id();
                let generated_at = manifest
                    .and_then(|manifest| DateTime::parse_from_rfc3339(&manifest.times.generated_at).ok())
                    .map(|time| time.timestamp_micros());
                if named.is_some_and(|named| named != id) {
                    let detail = format!("the manifest names the key {}, and {id} signed it", named.unwrap_or("-"));
                    self.find(ExportFault::WrongKey, None, detail);
                } else if generated_at.is_none_or(|time| !validity.covers(time)) && validity != &Default::default() {
                    let detail = format!("the key {id} does not count for the time when the export was made");
                    self.find(ExportFault::WrongKey, None, detail);
                }
                self.answer(before, format!("the key {id} signed this manifest"))
            }
            (None, Some(named)) if candidates.clone().all(|(key, _)| key.id() != named) => {
                let detail = format!("the manifest names the key {named}, which is not among those that were given");
                self.find(ExportFault::WrongKey, None, detail);
                self.answer(before, String::new())
            }
            (None, _) => {
                let as_recorded =
                    self.export.recorded.is_some_and(|recorded| recorded.has_manifest(self.export.manifest));
                let (kind, detail) = match as_recorded {
                    true => (ExportFault::SignatureWrong, "the signature is not one over this manifest"),
                    false => (ExportFault::ManifestChanged, "the manifest is not what the key signed"),
                };
                self.find(kind, None, detail.to_owned());
                self.answer(before, String::new())
            }
        }
    }
}

/// Whether a key signed these bytes. Signatures of manifests may have either form of S: `openssl` takes both.
pub(crate) fn signed(key: &VerifierKey, bytes: &[u8], signature: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    match key.verify(text, signature) {
        Ok(_) => true,
        Err(SignatureError::HighS) => p256::ecdsa::Signature::from_der(signature)
            .map(|signature| signature.normalize_s().to_der())
            .is_ok_and(|low| key.verify(text, low.as_bytes()).is_ok()),
        Err(_) => false,
    }
}

/// BLAKE3 and SHA-256 of some bytes, 64 hexadecimal digits each.
fn digests(bytes: &[u8]) -> (String, String) {
    (blake3::hash(bytes).to_hex().to_string(), hex::encode(Sha256::digest(bytes)))
}

/// The format that a manifest states, to read its file by; nothing where it is no manifest.
pub fn format_of(manifest: &[u8]) -> String {
    Manifest::parse(manifest).map(|manifest| manifest.file.format).unwrap_or_default()
}

/// The name of a file without its folders.
pub fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
