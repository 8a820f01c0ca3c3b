//! Object stores and folders: the same library, the same keys.
//!
//! The key is made of the export's id and the file's name, so that a delivery that is repeated writes the same objects.
//! The signature comes last: whoever finds it finds the others complete.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use daybook_domain::names::DestinationName;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt as _, PutMultipartOptions,
    PutOptions, RetryConfig,
};
use tokio::io::AsyncReadExt as _;

use super::upload::Upload;
use super::{
    DeliveryError, Destination, FolderConfig, NOT_RECORDED, Package, Receipt, S3Config, Secret, causes, unreadable,
};

/// Bytes of a part. S3 allows none below 5 MiB but the last.
const PART: u64 = 8 * 1024 * 1024;
/// Most parts of an object, a little below what S3 allows.
const MAX_PARTS: u64 = 9_000;
/// Parts that are on their way at once.
const PARTS_UNDER_WAY: usize = 2;
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the library itself tries again; what takes longer is an attempt that failed, and is seen.
const RETRIES: usize = 2;

pub(super) struct Objects {
    name: DestinationName,
    kind: &'static str,
    place: String,
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// The folder, where it is one.
    folder: Option<PathBuf>,
    secrets: Vec<Secret>,
}

impl Objects {
    pub(super) fn s3(name: DestinationName, config: &S3Config) -> Result<Self, String> {
        let key_id = config.access_key_id.read()?;
        let key = config.secret_access_key.read()?;
        let token = config.session_token.as_ref().map(super::SecretSource::read).transpose()?;
        let retry = RetryConfig {
            backoff: BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() },
            max_retries: RETRIES,
            retry_timeout: Duration::from_secs(30),
        };
        let options = ClientOptions::new().with_timeout(TIMEOUT).with_connect_timeout(CONNECT_TIMEOUT);
        let mut builder = AmazonS3Builder::new()
            .with_client_options(options)
            .with_retry(retry)
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_access_key_id(key_id.expose())
            .with_secret_access_key(key.expose())
            .with_virtual_hosted_style_request(config.virtual_hosted_style)
            .with_allow_http(config.allow_http);
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(token) = &token {
            builder = builder.with_token(token.expose());
        }
        let secrets: Vec<Secret> = [Some(key), token].into_iter().flatten().collect();
        let store = builder.build().map_err(|error| causes(&error, &secrets.iter().collect::<Vec<_>>()))?;
        Ok(Self {
            name,
            kind: "s3",
            place: format!("s3://{}/{}", config.bucket, config.prefix),
            store: Arc::new(store),
            prefix: Path::parse(&config.prefix).map_err(|error| error.to_string())?,
            folder: None,
            secrets,
        })
    }

    pub(super) fn folder(name: DestinationName, config: &FolderConfig) -> Result<Self, String> {
        let place = config.path.display().to_string();
        std::fs::create_dir_all(&config.path).map_err(|error| format!("{place}: {error}"))?;
        let store = LocalFileSystem::new_with_prefix(&config.path).map_err(|error| error.to_string())?;
        Ok(Self {
            name,
            kind: "folder",
            place,
            store: Arc::new(store.with_fsync(true)),
            prefix: Path::default(),
            folder: Some(config.path.clone()),
            secrets: Vec::new(),
        })
    }

    fn key(&self, package: &Package, name: &str) -> Path {
        self.prefix.clone().join(package.export_id.as_str()).join(name)
    }

    /// Folders know nothing of media types.
    fn attributes(&self, content_type: &'static str) -> Attributes {
        match self.folder {
            Some(_) => Attributes::new(),
            None => Attributes::from_iter([(Attribute::ContentType, content_type)]),
        }
    }

    async fn put_small(&self, key: &Path, bytes: &[u8], content_type: &'static str) -> Result<(), DeliveryError> {
        let options = PutOptions { attributes: self.attributes(content_type), ..PutOptions::default() };
        let payload = Bytes::copy_from_slice(bytes).into();
        self.store.put_opts(key, payload, options).await.map_err(|error| self.fault(&error))?;
        Ok(())
    }

    async fn put_file(&self, key: &Path, package: &Package) -> Result<(), DeliveryError> {
        let length = package.file.bytes;
        if length <= PART {
            let bytes = package.read_file().await?;
            return self.put_small(key, &bytes, package.content_type()).await;
        }
        let options = PutMultipartOptions {
            attributes: self.attributes(package.content_type()),
            ..PutMultipartOptions::default()
        };
        let upload = self.store.put_multipart_opts(key, options).await.map_err(|error| self.fault(&error))?;
        let part = usize::try_from(PART.max(length.div_ceil(MAX_PARTS))).unwrap_or(usize::MAX);
        let mut upload = Upload::new(upload);
        let sent = match self.send(&mut upload, package, part).await {
            Ok(()) => upload.finish().await.map_err(|error| self.fault(&error)),
            Err(error) => Err(error),
        };
        if sent.is_err() {
            upload.abort().await;
        }
        sent
    }

    async fn send(&self, upload: &mut Upload, package: &Package, part: usize) -> Result<(), DeliveryError> {
        let mut file = tokio::fs::File::open(&package.file.path).await.map_err(|error| unreadable(&error))?;
        let mut hasher = blake3::Hasher::new();
        loop {
            upload.wait_for_capacity(PARTS_UNDER_WAY).await.map_err(|error| self.fault(&error))?;
            let mut chunk = Vec::with_capacity(part);
            let read = (&mut file).take(part as u64).read_to_end(&mut chunk).await;
            if read.map_err(|error| unreadable(&error))? == 0 {
                break;
            }
            hasher.update(&chunk);
            upload.put(Bytes::from(chunk));
        }
        // There is no object until the upload is finished, and this one will not be.
        if hasher.finalize().to_hex().as_str() != package.file.blake3 {
            return Err(DeliveryError::permanent(NOT_RECORDED));
        }
        Ok(())
    }

    /// The object as the store has it must be as long as the file.
    async fn check(&self, key: &Path, length: u64) -> Result<(), DeliveryError> {
        let found = self.store.head(key).await.map_err(|error| self.fault(&error))?;
        if found.size == length {
            return Ok(());
        }
        Err(DeliveryError::temporary(format!("the store has {} bytes instead of {length}", found.size)))
    }

    /// What a killed process left in the export's own folder: unfinished files have a number after their name.
    async fn remove_unfinished(&self, package: &Package) {
        let Some(folder) = &self.folder else { return };
        let Ok(mut entries) = tokio::fs::read_dir(folder.join(package.export_id.as_str())).await else { return };
        while let Ok(Some(entry)) = entries.next_entry().await {
            if entry.file_name().to_str().is_some_and(|name| name.contains('#')) {
                let _ = tokio::fs::remove_file(entry.path()).await;
            }
        }
    }

    fn fault(&self, error: &Error) -> DeliveryError {
        let is_permanent = matches!(
            error,
            Error::NotFound { .. }
                | Error::InvalidPath { .. }
                | Error::NotSupported { .. }
                | Error::NotImplemented { .. }
                | Error::PermissionDenied { .. }
                | Error::Unauthenticated { .. }
                | Error::UnknownConfigurationKey { .. }
        );
        let detail = causes(error, &self.secrets.iter().collect::<Vec<_>>());
        DeliveryError { detail, is_permanent, retry_after: None }
    }
}

#[async_trait]
impl Destination for Objects {
    fn name(&self) -> &DestinationName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn place(&self) -> String {
        self.place.clone()
    }

    async fn deliver(&self, package: &Package) -> Result<Receipt, DeliveryError> {
        let key = self.key(package, &package.file.name);
        self.put_file(&key, package).await?;
        self.check(&key, package.file.bytes).await?;
        let manifest = self.key(package, &package.manifest_name);
        self.put_small(&manifest, &package.manifest, "application/json").await?;
        let signature = self.key(package, &package.signature_name);
        self.put_small(&signature, &package.signature, "application/octet-stream").await?;
        self.remove_unfinished(package).await;
        Ok(Receipt { detail: format!("{} bytes as {key}", package.file.bytes) })
    }
}
