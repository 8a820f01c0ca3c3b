//! How destinations are configured. Secrets are named by file or environment variable and never stand there themselves.

use std::path::PathBuf;
use std::sync::Arc;

use daybook_domain::names::DestinationName;
use serde::Deserialize;

use super::Destination;
use super::mail::Mail;
use super::objects::Objects;
use super::secret::{Secret, SecretSource};
use super::webhook::Webhook;

/// A configuration that cannot be used. Quotes no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the destination {name}: {why}")]
pub struct ConfigError {
    /// Which destination.
    pub name: String,
    /// What is wrong.
    pub why: String,
}

impl ConfigError {
    pub(super) fn new(name: &DestinationName, why: impl Into<String>) -> Self {
        Self { name: name.to_string(), why: why.into() }
    }
}

/// One destination: its name, `kind`, and what this kind needs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DestinationConfig {
    /// Its name, as exports name it.
    pub name: DestinationName,
    /// How it is reached.
    #[serde(flatten)]
    pub kind: DestinationKind,
}

/// How a destination is reached.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DestinationKind {
    /// An object store that speaks S3.
    S3(S3Config),
    /// A folder of this machine.
    Folder(FolderConfig),
    /// Mail.
    Smtp(SmtpConfig),
    /// A program that listens.
    Webhook(WebhookConfig),
}

/// An object store that speaks S3: Amazon's, MinIO, and others.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// The bucket. It must exist.
    pub bucket: String,
    /// What keys begin with. Objects are `<prefix>/<export id>/<file>`.
    #[serde(default)]
    pub prefix: String,
    /// The region.
    #[serde(default = "default_region")]
    pub region: String,
    /// The server, where it is not Amazon's: `https://minio.example:9000`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Whether the server may be spoken to without TLS.
    #[serde(default)]
    pub allow_http: bool,
    /// Whether the bucket is part of the host's name and not of the path.
    #[serde(default)]
    pub virtual_hosted_style: bool,
    /// Id of the access key.
    pub access_key_id: SecretSource,
    /// The access key.
    pub secret_access_key: SecretSource,
    /// The token that belongs to it, for keys that end.
    #[serde(default)]
    pub session_token: Option<SecretSource>,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

/// A folder of this machine. Files are `<path>/<export id>/<file>`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderConfig {
    /// The folder. Made where it is missing.
    pub path: PathBuf,
}

/// How the connection to a mail server is kept private.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailSecurity {
    /// TLS after `STARTTLS`, which the server must offer.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Implicit,
    /// None. For a server on this machine only.
    Off,
}

/// Mail.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpConfig {
    /// The server.
    pub host: String,
    /// Its port; without it 587, 465 with implicit TLS, 25 without TLS.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the connection is kept private.
    #[serde(default)]
    pub security: MailSecurity,
    /// Who logs in.
    #[serde(default)]
    pub user: Option<String>,
    /// With what.
    #[serde(default)]
    pub password: Option<SecretSource>,
    /// Who the letter is from: an address, or `Name <address>`.
    pub from: String,
    /// Who gets it.
    pub to: Vec<String>,
    /// Longest file that is attached; longer ones are named by a link. In bytes.
    #[serde(default = "default_attachment")]
    pub attachment_limit: u64,
}

fn default_attachment() -> u64 {
    10 * 1024 * 1024
}

/// What a webhook is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookBody {
    /// What was exported, its digests, its manifest and signature, and a link: JSON.
    #[default]
    Description,
    /// The file itself.
    File,
}

/// A program that listens.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where. It may hold secrets, so it is not shown.
    pub url: Secret,
    /// The secret that requests are signed with: `whsec_` and base64, at least 24 bytes.
    pub secret: SecretSource,
    /// What it is told.
    #[serde(default)]
    pub body: WebhookBody,
    /// Whether it may be at an address that is not public, and be spoken to without TLS there.
    #[serde(default)]
    pub allow_private_addresses: bool,
    /// How long one attempt may take.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: u64,
}

fn default_timeout() -> u64 {
    60
}

impl DestinationConfig {
    /// Reads the secrets and makes the destination. Nothing is connected to yet.
    pub fn open(&self) -> Result<Arc<dyn Destination>, ConfigError> {
        let name = self.name.clone();
        let opened: Result<Arc<dyn Destination>, String> = match &self.kind {
            DestinationKind::S3(config) => Objects::s3(name, config).map(|it| Arc::new(it) as _),
            DestinationKind::Folder(config) => Objects::folder(name, config).map(|it| Arc::new(it) as _),
            DestinationKind::Smtp(config) => Mail::new(name, config).map(|it| Arc::new(it) as _),
            DestinationKind::Webhook(config) => Webhook::new(name, config).map(|it| Arc::new(it) as _),
        };
        opened.map_err(|why| ConfigError::new(&self.name, why))
    }
}
