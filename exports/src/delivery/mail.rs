//! Mail: the file with its manifest and signature attached, or a link to it where it is too long.
//!
//! The `Message-ID` is that of the delivery: a letter that is sent again because nobody knows whether the first arrived is
//! the same letter to the reader's programs. The server's words may repeat addresses, so only its codes are kept.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use daybook_domain::names::DestinationName;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Attachment, Body, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::AsyncSmtpTransportBuilder;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use super::{DeliveryError, Destination, MailSecurity, Package, Receipt, SmtpConfig};

/// How long the server may take for one step.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Most readers of a letter.
const MAX_READERS: usize = 50;
/// Longest attachment that can be configured: a letter is put together in memory.
const MAX_ATTACHMENT: u64 = 50 * 1024 * 1024;

pub(super) struct Mail {
    name: DestinationName,
    host: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    attachment_limit: u64,
    /// Deliveries are rare: each makes a connection of its own.
    transport: AsyncSmtpTransportBuilder,
}

impl Mail {
    pub(super) fn new(name: DestinationName, config: &SmtpConfig) -> Result<Self, String> {
        let from = config.from.parse().map_err(|_| "the sender's address is none".to_owned())?;
        let to: Vec<Mailbox> = config
            .to
            .iter()
            .map(|address| address.parse().map_err(|_| "a reader's address is none".to_owned()))
            .collect::<Result<_, _>>()?;
        if to.is_empty() || to.len() > MAX_READERS {
            return Err(format!("a letter has 1 to {MAX_READERS} readers, not {}", to.len()));
        }
        if config.attachment_limit > MAX_ATTACHMENT {
            return Err(format!("at most {MAX_ATTACHMENT} bytes are attached"));
        }
        let transport = transport(config)?;
        let (host, attachment_limit) = (config.host.clone(), config.attachment_limit);
        Ok(Self { name, host, from, to, attachment_limit, transport })
    }

    async fn letter(&self, package: &Package) -> Result<Message, DeliveryError> {
        let is_attached = package.file.bytes <= self.attachment_limit;
        if !is_attached && package.download_url.is_none() {
            return Err(DeliveryError::permanent(format!(
                "the file has {} bytes, at most {} are attached, and there is no address for a link to it",
                package.file.bytes, self.attachment_limit
            )));
        }
        let mut parts = MultiPart::mixed().singlepart(SinglePart::plain(text(package, is_attached)));
        if is_attached {
            let bytes = package.read_file().await?;
            parts = parts.singlepart(attachment(&package.file.name, bytes, package.content_type()));
        } else {
            // Nothing is announced that is not there any more.
            package.check_file((), |(), _| {}).await?;
        }
        parts = parts
            .singlepart(attachment(&package.manifest_name, package.manifest.clone(), "application/json"))
            .singlepart(attachment(&package.signature_name, package.signature.clone(), "application/octet-stream"));
        let seconds = u64::try_from(package.at / 1_000_000).unwrap_or_default();
        let mut builder = Message::builder()
            .from(self.from.clone())
            .date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .message_id(Some(format!("<{}@{}>", package.delivery_id, self.from.email.domain())))
            .subject(format!("Export {} ({}, {})", package.export_id, package.kind, package.format));
        for reader in &self.to {
            builder = builder.to(reader.clone());
        }
        builder
            .multipart(parts)
            .map_err(|error| DeliveryError::permanent(format!("the letter cannot be written: {error}")))
    }
}

fn transport(config: &SmtpConfig) -> Result<AsyncSmtpTransportBuilder, String> {
    let tls = || TlsParameters::new(config.host.clone()).map_err(|error| error.to_string());
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(config.host.as_str());
    builder = match config.security {
        MailSecurity::Implicit => builder.tls(Tls::Wrapper(tls()?)).port(config.port.unwrap_or(465)),
        MailSecurity::Starttls => builder.tls(Tls::Required(tls()?)).port(config.port.unwrap_or(587)),
        MailSecurity::Off if is_loopback(&config.host) => builder.port(config.port.unwrap_or(25)),
        MailSecurity::Off => return Err("a mail server elsewhere is only spoken to over TLS".to_owned()),
    };
    match (&config.user, &config.password) {
        (Some(user), Some(password)) => {
            let password = password.read()?;
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        (None, None) => {}
        _ => return Err("user and password belong together".to_owned()),
    }
    Ok(builder.timeout(Some(TIMEOUT)))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn attachment(name: &str, bytes: Vec<u8>, content_type: &str) -> SinglePart {
    // The types are our own words; what could not be read would be any bytes.
    let content_type = ContentType::parse(content_type)
        .or_else(|_| ContentType::parse("application/octet-stream"))
        .unwrap_or(ContentType::TEXT_PLAIN);
    // Text may change its line ends on the way; what is in base64 arrives to the byte, and verifies.
    let body = Body::new_with_encoding(bytes, ContentTransferEncoding::Base64).unwrap_or_else(Body::new);
    Attachment::new(name.to_owned()).body(body, content_type)
}

fn text(package: &Package, is_attached: bool) -> String {
    let place = match (&package.download_url, is_attached) {
        (_, true) => "The file, its manifest and the manifest's signature are attached.".to_owned(),
        (Some(url), false) => format!(
            "The file is too long for a letter. Fetch it at\n{url}\n\nIts manifest and the manifest's signature are attached."
        ),
        (None, false) => String::new(),
    };
    format!(
        "Export {} of {} as {}.\n\n{place}\n\nFile: {}\nRows: {}\nBytes: {}\nSHA-256: {}\nBLAKE3: {}\nSigned by: {}\n\n\
         Verify it with\n  daybook export verify {}\nor the signature alone with\n  \
         openssl dgst -sha256 -verify key.pem -signature {} {}\n",
        package.export_id,
        package.kind,
        package.format,
        package.file.name,
        package.rows,
        package.file.bytes,
        package.file.sha256,
        package.file.blake3,
        package.key_id,
        package.file.name,
        package.signature_name,
        package.manifest_name,
    )
}

fn fault(error: &lettre::transport::smtp::Error) -> DeliveryError {
    let detail = match error.status() {
        Some(code) => format!("the mail server answered {code}"),
        None if error.is_timeout() => "the mail server took too long".to_owned(),
        None if error.is_tls() => "TLS with the mail server failed".to_owned(),
        None if error.is_client() => "the mail server does not do what the settings ask for".to_owned(),
        None => "the mail server could not be reached".to_owned(),
    };
    DeliveryError { detail, is_permanent: error.is_permanent(), retry_after: None }
}

#[async_trait]
impl Destination for Mail {
    fn name(&self) -> &DestinationName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "smtp"
    }

    fn place(&self) -> String {
        format!("smtp://{} (readers: {})", self.host, self.to.len())
    }

    async fn deliver(&self, package: &Package) -> Result<Receipt, DeliveryError> {
        let letter = self.letter(package).await?;
        let transport: AsyncSmtpTransport<Tokio1Executor> = self.transport.clone().build();
        let answer = transport.send(letter).await.map_err(|error| fault(&error))?;
        Ok(Receipt { detail: format!("the mail server answered {}", answer.code()) })
    }
}
