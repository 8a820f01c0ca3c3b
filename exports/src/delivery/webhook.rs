//! Signed webhooks, as <https://www.standardwebhooks.com> has them: `webhook-id`, `webhook-timestamp`, and
//! `webhook-signature`, an HMAC-SHA256 over both and the body. `Idempotency-Key` repeats the id, which is the delivery's and
//! the same at every attempt.
//!
//! Redirects are not followed: who is told is who was configured. Addresses that are not public are refused unless the
//! configuration allows them.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use daybook_domain::names::DestinationName;
use futures::stream;
use hmac::{Hmac, Mac as _};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Body, Client, Response, StatusCode};
use serde::Serialize;
use sha2::Sha256;
use tokio::io::AsyncReadExt as _;
use url::Url;

use super::guard::{NotPublic, PublicOnly, refuses};
use super::{DeliveryError, Destination, Package, Receipt, Secret, WebhookBody, WebhookConfig, causes};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time that one attempt may be given.
const MAX_TIMEOUT_SECONDS: u64 = 3_600;
/// How long the file may be read before the request begins.
const READING: Duration = Duration::from_secs(600);
/// Fewest bytes of a secret. The standard asks for 24 to 64.
const MIN_SECRET_BYTES: usize = 24;
/// Bytes of the file that are read at once.
const CHUNK: usize = 256 * 1024;
/// Longest wait that a receiver may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3_600);

type HmacSha256 = Hmac<Sha256>;

pub(super) struct Webhook {
    name: DestinationName,
    url: Url,
    url_text: Secret,
    key: HmacSha256,
    body: WebhookBody,
    client: Client,
    timeout: Duration,
}

/// What is told in JSON.
#[derive(Serialize)]
struct Notice<'a> {
    #[serde(rename = "type")]
    what: &'static str,
    timestamp: String,
    data: Description<'a>,
}

#[derive(Serialize)]
struct Description<'a> {
    export_id: &'a str,
    delivery_id: &'a str,
    ledger_id: &'a str,
    kind: &'a str,
    format: &'a str,
    file: &'a str,
    rows: u64,
    bytes: u64,
    sha256: &'a str,
    blake3: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    download_url: Option<&'a str>,
    /// The manifest's own bytes, as text.
    manifest: &'a str,
    /// Its signature, base64 of DER.
    manifest_signature: String,
    signing_key_id: &'a str,
}

impl Webhook {
    pub(super) fn new(name: DestinationName, config: &WebhookConfig) -> Result<Self, String> {
        let url = Url::parse(config.url.expose()).map_err(|_| "the URL is none".to_owned())?;
        if let Some(why) = refuses(&url, config.allow_private_addresses) {
            return Err(why.to_owned());
        }
        if config.timeout_seconds == 0 || config.timeout_seconds > MAX_TIMEOUT_SECONDS {
            return Err(format!("timeout_seconds must be 1 to {MAX_TIMEOUT_SECONDS}"));
        }
        let key = key(&config.secret.read()?)?;
        let mut builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(Duration::from_secs(config.timeout_seconds))
            .redirect(Policy::none())
            // A proxy would look names up itself, past the guard.
            .no_proxy()
            .user_agent(concat!("daybook/", env!("CARGO_PKG_VERSION")));
        if !config.allow_private_addresses {
            builder = builder.dns_resolver(PublicOnly).https_only(true);
        }
        let client = builder.build().map_err(|error| error.without_url().to_string())?;
        let timeout = Duration::from_secs(config.timeout_seconds);
        Ok(Self { name, url, url_text: config.url.clone(), key, body: config.body, client, timeout })
    }

    async fn send(&self, package: &Package) -> Result<Response, DeliveryError> {
        let timestamp = (package.at / 1_000_000).to_string();
        let mut mac = self.key.clone();
        mac.update(format!("{}.{timestamp}.", package.delivery_id).as_bytes());
        let (body, length, content_type, mac) = match self.body {
            WebhookBody::Description => {
                // Nothing is announced that is not there any more.
                package.check_file((), |(), _| {}).await?;
                let body = notice(package)?;
                mac.update(&body);
                let length = body.len() as u64;
                (Body::from(body), length, "application/json", mac)
            }
            WebhookBody::File => {
                let mac = package.check_file(mac, |mac, chunk| mac.update(chunk)).await?;
                (file_body(package).await?, package.file.bytes, package.content_type(), mac)
            }
        };
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, content_type)
            .header(CONTENT_LENGTH, length)
            .header("webhook-id", package.delivery_id.as_str())
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .header("idempotency-key", package.delivery_id.as_str())
            .header("daybook-export-id", package.export_id.as_str())
            .header("daybook-file-name", &package.file.name)
            .header("daybook-file-sha256", &package.file.sha256)
            .header("daybook-file-blake3", &package.file.blake3)
            .body(body);
        request.send().await.map_err(|error| self.fault(error))
    }

    fn fault(&self, error: reqwest::Error) -> DeliveryError {
        let error = error.without_url();
        let is_refused =
            std::iter::successors(Some(&error as &(dyn std::error::Error + 'static)), |error| error.source())
                .any(|error| error.downcast_ref::<NotPublic>().is_some());
        let detail = causes(&error, &[&self.url_text]);
        DeliveryError { detail, is_permanent: is_refused || error.is_builder(), retry_after: None }
    }
}

/// The standard writes secrets as `whsec_` and base64.
fn key(secret: &Secret) -> Result<HmacSha256, String> {
    let encoded = secret.expose().strip_prefix("whsec_").ok_or("the secret must begin with whsec_")?;
    let bytes = STANDARD.decode(encoded).map(zeroize::Zeroizing::new);
    let bytes = bytes.map_err(|_| "the secret must be base64 after whsec_")?;
    if bytes.len() < MIN_SECRET_BYTES {
        return Err(format!("the secret must have at least {MIN_SECRET_BYTES} bytes"));
    }
    HmacSha256::new_from_slice(&bytes).map_err(|_| "the secret cannot be used".to_owned())
}

fn notice(package: &Package) -> Result<Vec<u8>, DeliveryError> {
    let time = DateTime::<Utc>::from_timestamp_micros(package.at).unwrap_or_default();
    let notice = Notice {
        what: "export.delivered",
        timestamp: time.to_rfc3339_opts(SecondsFormat::Micros, true),
        data: Description {
            export_id: package.export_id.as_str(),
            delivery_id: package.delivery_id.as_str(),
            ledger_id: &package.ledger_id,
            kind: package.kind.as_str(),
            format: package.format.as_str(),
            file: &package.file.name,
            rows: package.rows,
            bytes: package.file.bytes,
            sha256: &package.file.sha256,
            blake3: &package.file.blake3,
            download_url: package.download_url.as_ref().map(Url::as_str),
            manifest: std::str::from_utf8(&package.manifest)
                .map_err(|_| DeliveryError::permanent("the manifest is not text"))?,
            manifest_signature: STANDARD.encode(&package.signature),
            signing_key_id: &package.key_id,
        },
    };
    serde_json::to_vec(&notice).map_err(|error| DeliveryError::permanent(error.to_string()))
}

async fn file_body(package: &Package) -> Result<Body, DeliveryError> {
    let unreadable = |error: std::io::Error| DeliveryError::temporary(format!("the file cannot be read: {error}"));
    let file = tokio::fs::File::open(&package.file.path).await.map_err(unreadable)?;
    // Exactly the announced length: what somebody appends meanwhile was not signed.
    let file = file.take(package.file.bytes);
    Ok(Body::wrap_stream(stream::try_unfold(file, |mut file| async move {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = (&mut file).take(CHUNK as u64).read_to_end(&mut chunk).await?;
        Ok::<_, std::io::Error>((read > 0).then_some((chunk, file)))
    })))
}

fn judge(response: &Response) -> Result<Receipt, DeliveryError> {
    let status = response.status();
    let code = status.as_u16();
    if status.is_success() {
        return Ok(Receipt { detail: format!("the receiver answered {code}") });
    }
    if status.is_redirection() {
        return Err(DeliveryError::permanent(format!("the receiver answered {code}: redirects are not followed")));
    }
    let may_change = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let retry_after = asked.map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER)).filter(|_| may_change);
    Err(DeliveryError { detail: format!("the receiver answered {code}"), is_permanent: !may_change, retry_after })
}

#[async_trait]
impl Destination for Webhook {
    fn name(&self) -> &DestinationName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn place(&self) -> String {
        format!("{}://{}", self.url.scheme(), self.url.host_str().unwrap_or_default())
    }

    fn patience(&self, _bytes: u64) -> Option<Duration> {
        // The file is read and hashed before the request begins, which has this limit.
        Some(self.timeout.saturating_add(READING))
    }

    async fn deliver(&self, package: &Package) -> Result<Receipt, DeliveryError> {
        judge(&self.send(package).await?)
    }
}
