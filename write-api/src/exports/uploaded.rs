//! Verifying an export that somebody has: the files are sent, and no stored export is needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use daybook_exports::{MAX_MANIFEST_BYTES, ManifestKey, Parts, Verification, verify as verify_files};
use daybook_http_kit::json::{check_content_encoding, media_type};
use daybook_http_kit::openapi::problems;
use daybook_http_kit::permission::LedgerVerify;
use daybook_http_kit::{Allowed, NoQuery, Problem, Scoped};
use futures::StreamExt;
use serde::Serialize;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoResponses, ToSchema};

use super::desk::ExportDesk;
use super::legacy;
use super::verify::{is_file_right, is_signature_right, trusted_keys};

/// Most bytes of the file: 1 GiB.
const MAX_FILE_BYTES: u64 = 1024 * 1024 * 1024;
/// Most bytes of the manifest, or of the hashes: 256 MiB.
const MAX_PROOF_BYTES: u64 = 256 * 1024 * 1024;
/// Most bytes of the signature and of the key.
const MAX_SMALL_BYTES: u64 = 64 * 1024;
/// Longest silence of the client.
const SILENCE: Duration = Duration::from_secs(30);
/// Most fields.
const MAX_FIELDS: usize = 16;

/// What is sent. Either set of names is taken.
#[derive(Debug, ToSchema)]
#[schema(as = ExportUpload)]
#[expect(dead_code, reason = "read by the derive only; the fields are read one by one")]
pub struct UploadForm {
    /// The file, at most 1 GiB. Also taken as `csv_file`.
    #[schema(format = Binary, value_type = String)]
    file: Vec<u8>,
    /// Its manifest, at most 1 MiB. Also taken as `hash_file`, which may be a predecessor's file of hashes, at most 256 MiB.
    #[schema(format = Binary, value_type = String)]
    manifest: Vec<u8>,
    /// The signature, as it is or in base64. Also taken as `sig_file`.
    #[schema(format = Binary, value_type = String)]
    signature: Vec<u8>,
    /// The public key in PEM; the keys of this ledger if there is none. Also taken as `pubkey_file`.
    #[schema(format = Binary, value_type = Option<String>)]
    public_key: Option<Vec<u8>>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ExportUploadVerified)]
pub struct UploadAnswer {
    /// Whether the file is the one that its manifest, or the chain of hashes, speaks of: every byte and every line.
    pub hash_chain_valid: bool,
    /// Whether the key signed that.
    pub signature_valid: bool,
    /// SHA-256 of the file; with a chain of hashes, the chain's last link. 64 hexadecimal digits.
    pub last_hash: Option<String>,
    /// The same in words.
    #[schema(example = "The export is what was signed")]
    pub detail: String,
    /// What is wrong, each with its name: `file_changed`, `row_removed`, `manifest_changed`, `wrong_key` and so on.
    pub findings: Vec<String>,
    /// Whether the ledger here recorded this very export; null for a predecessor's.
    pub in_ledger: Option<bool>,
}

/// The problems of a request with files.
struct UploadProblems;

impl IntoResponses for UploadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[400, 401, 403, 408, 413, 415, 429, 503])
    }
}

/// Verify an export that you have
///
/// `multipart/form-data` with `file`, `manifest`, `signature` and, where it is not one of this ledger's, `public_key`; or with
/// a predecessor's `csv_file`, `hash_file`, `sig_file` and `pubkey_file`. Nothing is stored or recorded, and no stored export
/// is needed. Limits: 1 GiB for the file, 256 MiB for hashes, 1 MiB for a manifest, 64 KiB for signature and key.
#[utoipa::path(
    post, path = "/v1/verification/verify_export", tag = "exports", operation_id = "verify_uploaded_export",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "Looked at; the answer says what came of it.", body = UploadAnswer),
        UploadProblems,
    )
)]
pub async fn verify(
    _caller: Allowed<LedgerVerify>,
    _: NoQuery,
    desk: Scoped<ExportDesk>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    check_content_encoding(&request)?;
    if media_type(&request).as_deref() != Some("multipart/form-data") {
        return Err(Problem::unsupported_media_type("multipart/form-data"));
    }
    let _turn = desk.looking.acquire().await.map_err(|error| Problem::internal(&error))?;
    let mut headers = actix_web::http::header::HeaderMap::new();
    if let Some(content_type) = request.headers().get(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, content_type.clone());
    }
    let sent = Sent::receive(Multipart::new(&headers, payload)).await?;
    let answer = match sent.is_manifest().await? {
        true => sent.verify(&desk).await?,
        false => sent.verify_chain().await?,
    };
    Ok(HttpResponse::Ok().json(answer))
}

/// What a field is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    File,
    Proof,
    Signature,
    PublicKey,
}

impl Slot {
    fn of(name: &str) -> Option<Self> {
        match name {
            "file" | "csv_file" => Some(Self::File),
            "manifest" | "hash_file" => Some(Self::Proof),
            "signature" | "sig_file" => Some(Self::Signature),
            "public_key" | "pubkey_file" => Some(Self::PublicKey),
            _ => None,
        }
    }

    fn file_name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Proof => "manifest",
            Self::Signature => "signature",
            Self::PublicKey => "public_key",
        }
    }

    fn most_bytes(self) -> u64 {
        match self {
            Self::File => MAX_FILE_BYTES,
            Self::Proof => MAX_PROOF_BYTES,
            Self::Signature | Self::PublicKey => MAX_SMALL_BYTES,
        }
    }
}

/// The files as they were sent, in a folder that goes away with this.
struct Sent {
    folder: TempDir,
    has_key: bool,
}

impl Sent {
    /// Writes each field to a file of its own as it comes.
    async fn receive(mut multipart: Multipart) -> Result<Self, Problem> {
        let folder = tempfile::tempdir().map_err(|error| Problem::internal(&error))?;
        let mut seen: Vec<Slot> = Vec::new();
        while let Some(field) = within_patience(multipart.next()).await? {
            let field = field.map_err(|error| unreadable(&error))?;
            let name = field.name().unwrap_or_default().to_owned();
            let Some(slot) = Slot::of(&name) else {
                let name: String = name.chars().take(100).collect();
                return Err(Problem::invalid(format!("/{name}"), "is no field of this form"));
            };
            if seen.contains(&slot) || seen.len() >= MAX_FIELDS {
                return Err(Problem::invalid(format!("/{name}"), "is there twice"));
            }
            seen.push(slot);
            write_field(field, &folder.path().join(slot.file_name()), slot.most_bytes()).await?;
        }
        for slot in [Slot::File, Slot::Proof, Slot::Signature] {
            if !seen.contains(&slot) {
                return Err(Problem::invalid(format!("/{}", slot.file_name()), "is required"));
            }
        }
        Ok(Self { folder, has_key: seen.contains(&Slot::PublicKey) })
    }

    fn path(&self, slot: Slot) -> PathBuf {
        self.folder.path().join(slot.file_name())
    }

    async fn read(&self, slot: Slot) -> Result<Vec<u8>, Problem> {
        tokio::fs::read(self.path(slot)).await.map_err(|error| Problem::internal(&error))
    }

    /// The key in PEM, where one was sent.
    async fn key(&self) -> Result<Option<String>, Problem> {
        if !self.has_key {
            return Ok(None);
        }
        let bytes = self.read(Slot::PublicKey).await?;
        String::from_utf8(bytes).map(Some).map_err(|_| Problem::invalid("/public_key", "must be a public key in PEM"))
    }

    /// Whether what came with the file is a manifest of ours, which is an object; a file of hashes begins with digits.
    async fn is_manifest(&self) -> Result<bool, Problem> {
        let failed = |error: std::io::Error| Problem::internal(&error);
        let file = tokio::fs::File::open(self.path(Slot::Proof)).await.map_err(failed)?;
        let mut start = Vec::new();
        file.take(1_024).read_to_end(&mut start).await.map_err(failed)?;
        Ok(start.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{'))
    }

    /// An export of ours: the same checks as of a stored one.
    async fn verify(&self, desk: &ExportDesk) -> Result<UploadAnswer, Problem> {
        let keys = match self.key().await? {
            Some(pem) => {
                vec![ManifestKey::from_pem(&pem).map_err(|error| Problem::invalid("/public_key", error.to_string()))?]
            }
            None => trusted_keys(desk).await?,
        };
        self.unwrap_signature().await?;
        let parts = Parts {
            file: self.path(Slot::File),
            manifest: self.path(Slot::Proof),
            signature: self.path(Slot::Signature),
        };
        let verification = blocking(move || verify_files(&parts, &keys, None)).await?;
        let in_ledger = Some(is_in_ledger(desk, &verification).await?);
        let (hash_chain_valid, signature_valid) = (is_file_right(&verification), is_signature_right(&verification));
        Ok(UploadAnswer {
            hash_chain_valid,
            signature_valid,
            last_hash: verification.file.map(|digests| digests.sha256_hex()),
            detail: in_words(hash_chain_valid, signature_valid),
            findings: verification.findings.iter().map(ToString::to_string).collect(),
            in_ledger,
        })
    }

    /// A signature in base64 becomes what it stands for.
    async fn unwrap_signature(&self) -> Result<(), Problem> {
        use base64::Engine as _;
        let bytes = self.read(Slot::Signature).await?;
        let text: String = String::from_utf8_lossy(&bytes).split_whitespace().collect();
        let decoded = base64::engine::general_purpose::STANDARD.decode(text);
        // DER begins with the byte of a sequence, which no base64 does.
        if let (Ok(decoded), false) = (decoded, bytes.first() == Some(&0x30) && !bytes.is_ascii()) {
            let written = tokio::fs::write(self.path(Slot::Signature), decoded).await;
            written.map_err(|error| Problem::internal(&error))?;
        }
        Ok(())
    }

    /// A predecessor's export: the chain over its lines, and the signature of the last link.
    async fn verify_chain(&self) -> Result<UploadAnswer, Problem> {
        let (file, links) = (self.path(Slot::File), self.path(Slot::Proof));
        let followed = blocking(move || legacy::follow(&file, &links)).await?;
        let chain = followed.map_err(|error| Problem::internal(&error))?;
        let signed = match self.key().await? {
            Some(key) => {
                let (link, signature) = (chain.last.clone(), self.read(Slot::Signature).await?);
                blocking(move || legacy::is_signed(&link, &signature, &key)).await?
            }
            None => Err("no public key was sent, and none is known for such exports".to_owned()),
        };
        let mut findings: Vec<String> = chain.fault.iter().map(|fault| format!("file_changed: {fault}")).collect();
        match &signed {
            Ok(true) => {}
            Ok(false) => findings.push("wrong_key: the key did not sign the last hash of this file".to_owned()),
            Err(why) => findings.push(format!("wrong_key: {why}")),
        }
        let (hash_chain_valid, signature_valid) = (chain.fault.is_none(), signed == Ok(true));
        Ok(UploadAnswer {
            hash_chain_valid,
            signature_valid,
            last_hash: Some(chain.last).filter(|last| !last.is_empty()),
            detail: in_words(hash_chain_valid, signature_valid),
            findings,
            in_ledger: None,
        })
    }
}

fn in_words(is_file_right: bool, is_signature_right: bool) -> String {
    match (is_file_right, is_signature_right) {
        (true, true) => "The export is what was signed",
        (true, false) => "The file is what its hashes speak of, but the key did not sign that",
        (false, true) => "The key signed, but the file is not what it signed for",
        (false, false) => "The file is not what was signed, or nothing can be said of it",
    }
    .to_owned()
}

/// Whether the ledger recorded an export with this id, this file and this manifest.
async fn is_in_ledger(desk: &ExportDesk, verification: &Verification) -> Result<bool, Problem> {
    let (Some(manifest), Some(file)) = (&verification.manifest, verification.file) else { return Ok(false) };
    match desk.find(&manifest.export_id).await {
        Ok(found) => Ok(found.aggregate.generated().is_some_and(|generated| {
            generated.blake3.as_str() == file.blake3_hex() && generated.sha256.as_str() == file.sha256_hex()
        })),
        Err(problem) if problem.status() == 404 => Ok(false),
        Err(problem) => Err(problem),
    }
}

/// Writes a field to a file as it comes; 413 where it is too long.
async fn write_field(mut field: Field, path: &Path, most_bytes: u64) -> Result<(), Problem> {
    let failed = |error: std::io::Error| Problem::internal(&error);
    let mut file = tokio::fs::File::create(path).await.map_err(failed)?;
    let mut length = 0_u64;
    while let Some(piece) = within_patience(field.next()).await? {
        let piece = piece.map_err(|error| unreadable(&error))?;
        length = length.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if length > most_bytes {
            return Err(Problem::too_large(usize::try_from(most_bytes).unwrap_or(usize::MAX)));
        }
        file.write_all(&piece).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)
}

async fn within_patience<T>(next: impl Future<Output = T>) -> Result<T, Problem> {
    let next = tokio::time::timeout(SILENCE, next).await;
    next.map_err(|_| Problem::new(408, "request.timeout", "the body took too long to arrive"))
}

/// A form that breaks off or is none is the client's fault, in whatever words.
fn unreadable(error: &MultipartError) -> Problem {
    Problem::bad_request("request.malformed", format!("the form cannot be read: {error}"))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal(&error))
}

/// A manifest fits into what is taken for hashes.
const _: () = assert!(MAX_MANIFEST_BYTES as u64 <= MAX_PROOF_BYTES);
