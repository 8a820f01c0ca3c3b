//! Bringing an export to where it is wanted: an object store, a folder, people's mail, a program that listens.
//!
//! A delivery may be tried several times, also by a process that does not know what the one before it achieved. So every
//! destination is told something that stays the same: the object's key, the letter's `Message-ID`, the webhook's id. Who
//! is written to is configured; nothing that an event says can add a destination. Errors and `Debug` show no secrets.

mod backoff;
mod config;
mod guard;
mod mail;
mod objects;
mod secret;
#[cfg(test)]
mod tests;
mod upload;
mod webhook;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_domain::export::{ExportFormat, ExportKind, Generated, Requested};
use daybook_domain::names::{DeliveryId, DestinationName, ExportId};
use tokio::io::AsyncReadExt as _;
use url::Url;

pub use backoff::{LONGEST_PAUSE, MAX_ATTEMPTS, backoff, seed_of};
pub use config::{
    ConfigError, DestinationConfig, DestinationKind, FolderConfig, MailSecurity, S3Config, SmtpConfig, WebhookBody,
    WebhookConfig,
};
pub use guard::is_public;
pub use secret::{Secret, SecretSource};

use crate::digest::{digests_and, digests_of_bytes};
use crate::files::ExportFiles;
use crate::format::content_type;
use crate::manifest::MAX_MANIFEST_BYTES;
use crate::signature::MAX_SIGNATURE_BYTES;

/// What is said of a file that was changed.
const NOT_RECORDED: &str = "the file is not the one that was recorded";

/// An attempt that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct DeliveryError {
    /// What the destination said, without secrets.
    pub detail: String,
    /// Whether trying again is of no use.
    pub is_permanent: bool,
    /// How long the destination asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl DeliveryError {
    /// Trying again may help.
    pub fn temporary(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), is_permanent: false, retry_after: None }
    }

    /// Trying again does not help.
    pub fn permanent(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), is_permanent: true, retry_after: None }
    }
}

/// An attempt that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What the destination said, or where it now is.
    pub detail: String,
}

impl std::fmt::Display for Receipt {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.detail)
    }
}

/// What is delivered. The small files are in memory, the rows are on the disk.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its id: the same at every attempt.
    pub delivery_id: DeliveryId,
    /// The export.
    pub export_id: ExportId,
    /// The ledger that the rows come from.
    pub ledger_id: String,
    /// What was exported.
    pub kind: ExportKind,
    /// In which form.
    pub format: ExportFormat,
    /// Rows in the file.
    pub rows: u64,
    /// The file.
    pub file: DeliveredFile,
    /// Name of the manifest.
    pub manifest_name: String,
    /// The manifest.
    pub manifest: Vec<u8>,
    /// Name of the signature.
    pub signature_name: String,
    /// The signature, DER.
    pub signature: Vec<u8>,
    /// The id of the key that signed.
    pub key_id: String,
    /// Where people who may can fetch the file, where that is known.
    pub download_url: Option<Url>,
    /// The time of the attempt, microseconds since 1970.
    pub at: i64,
}

/// The file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveredFile {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 in hexadecimal digits.
    pub blake3: String,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// What a delivery is made of.
#[derive(Debug, Clone)]
pub struct PackageRequest<'a> {
    /// Its id.
    pub delivery_id: DeliveryId,
    /// The ledger that the rows come from.
    pub ledger_id: &'a str,
    /// What was asked for.
    pub request: &'a Requested,
    /// What was made.
    pub generated: &'a Generated,
    /// Where people who may can fetch the file.
    pub download_url: Option<Url>,
    /// The time of the attempt, microseconds since 1970.
    pub at: i64,
}

impl Package {
    /// Reads manifest and signature, and holds them to what was recorded: nothing that was changed since leaves the house.
    /// What is missing or changed is a permanent error.
    pub fn load(files: &ExportFiles, of: PackageRequest<'_>) -> Result<Self, DeliveryError> {
        let PackageRequest { delivery_id, ledger_id, request, generated, download_url, at } = of;
        let fault = |error: crate::files::FilesError| DeliveryError::permanent(error.to_string());
        let (manifest_name, signature_name) =
            (generated.manifest.file.to_string(), generated.signature.file.to_string());
        let manifest = files.read(&manifest_name, MAX_MANIFEST_BYTES).map_err(fault)?;
        let digests = digests_of_bytes(&manifest);
        if digests.blake3_hex() != generated.manifest.blake3.as_str()
            || digests.sha256_hex() != generated.manifest.sha256.as_str()
        {
            return Err(DeliveryError::permanent("the manifest is not the one that was recorded"));
        }
        let signature = files.read(&signature_name, MAX_SIGNATURE_BYTES).map_err(fault)?;
        if STANDARD.encode(&signature) != generated.signature.value.as_str() {
            return Err(DeliveryError::permanent("the signature is not the one that was recorded"));
        }
        let file = DeliveredFile {
            path: files.path(generated.file.as_str()).map_err(fault)?,
            name: generated.file.to_string(),
            bytes: generated.bytes,
            blake3: generated.blake3.to_string(),
            sha256: generated.sha256.to_string(),
        };
        Ok(Self {
            delivery_id,
            export_id: request.export_id.clone(),
            ledger_id: ledger_id.to_owned(),
            kind: request.kind,
            format: request.format,
            rows: generated.rows,
            file,
            manifest_name,
            manifest,
            signature_name,
            signature,
            key_id: generated.signature.key_id.to_string(),
            download_url,
            at,
        })
    }

    /// The media type of the file.
    pub fn content_type(&self) -> &'static str {
        content_type(self.format)
    }

    /// The whole file, if it is what was recorded. For files that are short enough.
    async fn read_file(&self) -> Result<Vec<u8>, DeliveryError> {
        let file = tokio::fs::File::open(&self.file.path).await.map_err(|error| unreadable(&error))?;
        let mut bytes = Vec::new();
        // A file that grew is not what was recorded, and is not to fill the memory.
        let most = self.file.bytes.saturating_add(1);
        file.take(most).read_to_end(&mut bytes).await.map_err(|error| unreadable(&error))?;
        if blake3::hash(&bytes).to_hex().as_str() != self.file.blake3 {
            return Err(DeliveryError::permanent(NOT_RECORDED));
        }
        Ok(bytes)
    }

    /// Reads the file once and holds it to what was recorded. `also` sees every byte.
    async fn check_file<T: Send + 'static>(
        &self,
        mut state: T,
        mut also: impl FnMut(&mut T, &[u8]) + Send + 'static,
    ) -> Result<T, DeliveryError> {
        let DeliveredFile { path, bytes, blake3, sha256, .. } = self.file.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let mut file = File::open(path)?;
            let digests = digests_and(&mut file, |chunk| also(&mut state, chunk))?;
            let is_right = digests.bytes == bytes && digests.blake3_hex() == blake3 && digests.sha256_hex() == sha256;
            Ok::<_, std::io::Error>(is_right.then_some(state))
        });
        match reading.await {
            Ok(Ok(Some(state))) => Ok(state),
            Ok(Ok(None)) => Err(DeliveryError::permanent(NOT_RECORDED)),
            Ok(Err(error)) => Err(unreadable(&error)),
            Err(_) => Err(DeliveryError::temporary("reading the file was interrupted")),
        }
    }
}

/// Somewhere that exports are brought to.
#[async_trait]
pub trait Destination: Send + Sync {
    /// Its name, as exports name it.
    fn name(&self) -> &DestinationName;

    /// How it is reached, one word: `s3`, `folder`, `smtp` or `webhook`.
    fn kind(&self) -> &'static str;

    /// Where it is, for people, without secrets.
    fn place(&self) -> String;

    /// The longest that one attempt with a file of so many bytes is meant to take, where the destination has a limit of its
    /// own. Whoever bounds the attempt gives it at least that.
    fn patience(&self, _bytes: u64) -> Option<Duration> {
        None
    }

    /// Brings the export there. The same delivery again is the same to the destination.
    async fn deliver(&self, package: &Package) -> Result<Receipt, DeliveryError>;
}

/// Every configured destination, by name. Cheap to clone.
#[derive(Clone, Default)]
pub struct Destinations {
    by_name: Arc<BTreeMap<DestinationName, Arc<dyn Destination>>>,
}

impl std::fmt::Debug for Destinations {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.by_name.keys()).finish()
    }
}

impl Destinations {
    /// Reads the secrets and makes the destinations. Nothing is connected to yet.
    pub fn open(configs: &[DestinationConfig]) -> Result<Self, ConfigError> {
        let mut by_name = BTreeMap::new();
        for config in configs {
            let destination = config.open()?;
            if by_name.insert(config.name.clone(), destination).is_some() {
                return Err(ConfigError::new(&config.name, "there are two destinations with this name"));
            }
        }
        Ok(Self { by_name: Arc::new(by_name) })
    }

    /// The destination with this name.
    pub fn get(&self, name: &DestinationName) -> Option<&Arc<dyn Destination>> {
        self.by_name.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Destination>> {
        self.by_name.values()
    }

    /// Brings an export to the destination with this name; one that is not configured any more is a permanent error.
    pub async fn deliver(&self, name: &DestinationName, package: &Package) -> Result<Receipt, DeliveryError> {
        match self.get(name) {
            Some(destination) => destination.deliver(package).await,
            None => Err(DeliveryError::permanent(format!("no destination {name} is configured"))),
        }
    }
}

/// A file that is not there will not come back; a disk that fails may.
fn unreadable(error: &std::io::Error) -> DeliveryError {
    match error.kind() {
        std::io::ErrorKind::NotFound => DeliveryError::permanent("the file is not there"),
        _ => DeliveryError::temporary(format!("the file cannot be read: {error}")),
    }
}

/// An error with what is behind it, without the secrets that a server or library may have repeated.
fn causes(error: &dyn std::error::Error, secrets: &[&Secret]) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    secrets.iter().fold(text, |text, secret| text.replace(secret.expose(), "…"))
}
