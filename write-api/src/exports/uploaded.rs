//! Verifying an export that somebody has: the files are sent, and no stored export is needed.

use std::collections::BTreeMap;
use std::path::Path;

use actix_multipart::Multipart;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use daybook_domain::export::HexDigest;
use daybook_exports::{Digests, ManifestKey, Parts, Verification, digests_of_bytes, verify as verify_files};
use daybook_http_kit::json::{check_content_encoding, media_type};
use daybook_http_kit::openapi::problems;
use daybook_http_kit::permission::LedgerVerify;
use daybook_http_kit::{Allowed, NoQuery, Problem, Scoped};
use serde::Serialize;
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoResponses, ToSchema};

use super::desk::ExportDesk;
use super::legacy;
use super::sent::{Sent, Slot};
use super::verify::{is_file_right, is_signature_right, trusted_keys};

/// When a client should try again that was turned away because others upload, in seconds.
const RETRY_AFTER_SECONDS: u32 = 30;

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
    #[schema(example = "The export is what was signed with a key of this ledger")]
    pub detail: String,
    /// What is wrong, each with its name: `file_changed`, `row_removed`, `manifest_changed`, `wrong_key` and so on.
    pub findings: Vec<String>,
    /// Whether the ledger here recorded this very export; null for a predecessor's.
    pub in_ledger: Option<bool>,
    /// The key whose signature it is, 8 hexadecimal digits as in checkpoints; null where no key that counted signed it, and
    /// for a predecessor's.
    #[schema(example = "0a1b2c3d")]
    pub signed_by: Option<String>,
    /// Whether that key is one that this ledger announced. False with a key that was sent and is somebody else's: then a
    /// valid signature does not say that the export comes from here.
    pub is_ledger_key: bool,
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
/// is needed. Limits: 1 GiB for the file, 256 MiB for hashes, 1 MiB for a manifest, 64 KiB for signature and key;
/// 10 minutes for all of it. 503 while too many others send files.
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
    let _turn = desk.hold_upload().ok_or_else(|| {
        let detail = "others are sending files to be verified";
        Problem::unavailable("export.verification_busy", detail, RETRY_AFTER_SECONDS)
    })?;
    let mut headers = actix_web::http::header::HeaderMap::new();
    if let Some(content_type) = request.headers().get(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, content_type.clone());
    }
    let sent = Sent::receive(Multipart::new(&headers, payload)).await?;
    let answer = match sent.is_manifest().await? {
        true => sent.verify(&desk).await?,
        false => sent.verify_chain(&desk).await?,
    };
    Ok(HttpResponse::Ok().json(answer))
}

impl Sent {
    /// An export of ours: the same checks as of a stored one.
    async fn verify(&self, desk: &ExportDesk) -> Result<UploadAnswer, Problem> {
        let ours = trusted_keys(desk).await?;
        let keys = match self.key().await? {
            Some(pem) => {
                vec![ManifestKey::from_pem(&pem).map_err(|error| Problem::invalid("/public_key", error.to_string()))?]
            }
            None => ours.clone(),
        };
        self.unwrap_signature().await?;
        let parts = Parts {
            file: self.path(Slot::File),
            manifest: self.path(Slot::Proof),
            signature: self.path(Slot::Signature),
        };
        let looked_at = parts.clone();
        let are_all_ours = keys.iter().all(|key| ours.contains(key));
        let verification = blocking(desk, move || verify_files(&looked_at, &keys, None)).await?;
        let in_ledger = Some(is_in_ledger(desk, &parts.manifest, &verification).await?);
        let is_ledger_key = verification.signed_by.is_some() && are_all_ours;
        let (hash_chain_valid, signature_valid) = (is_file_right(&verification), is_signature_right(&verification));
        Ok(UploadAnswer {
            hash_chain_valid,
            signature_valid,
            last_hash: verification.file.map(|digests| digests.sha256_hex()),
            detail: in_words(hash_chain_valid, signature_valid, is_ledger_key),
            signed_by: verification.signed_by.map(|key| key.to_string()),
            is_ledger_key,
            findings: verification.findings.iter().map(ToString::to_string).collect(),
            in_ledger,
        })
    }

    /// A predecessor's export: the chain over its lines, and the signature of the last link.
    async fn verify_chain(&self, desk: &ExportDesk) -> Result<UploadAnswer, Problem> {
        let (file, links) = (self.path(Slot::File), self.path(Slot::Proof));
        let followed = blocking(desk, move || legacy::follow(&file, &links)).await?;
        let chain = followed.map_err(|error| Problem::internal(&error))?;
        let signed = match self.key().await? {
            Some(key) => {
                let (link, signature) = (chain.last.clone(), self.read(Slot::Signature).await?);
                blocking(desk, move || legacy::is_signed(&link, &signature, &key)).await?
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
            detail: in_words(hash_chain_valid, signature_valid, false),
            signed_by: None,
            is_ledger_key: false,
            findings,
            in_ledger: None,
        })
    }
}

fn in_words(is_file_right: bool, is_signature_right: bool, is_ledger_key: bool) -> String {
    match (is_file_right, is_signature_right) {
        (true, true) if is_ledger_key => "The export is what was signed with a key of this ledger",
        (true, true) => {
            "The export is what was signed with the key that was sent, which is not this ledger's: it says nothing of whether \
             the export comes from here"
        }
        (true, false) => "The file is what its hashes speak of, but the key did not sign that",
        (false, true) => "The key signed, but the file is not what it signed for",
        (false, false) => "The file is not what was signed, or nothing can be said of it",
    }
    .to_owned()
}

/// Whether the ledger recorded an export with this id, this file and this very manifest.
async fn is_in_ledger(desk: &ExportDesk, manifest_file: &Path, verification: &Verification) -> Result<bool, Problem> {
    let (Some(manifest), Some(file)) = (&verification.manifest, verification.file) else { return Ok(false) };
    let found = match desk.find(&manifest.export_id).await {
        Ok(found) => found,
        Err(problem) if problem.status() == 404 => return Ok(false),
        Err(problem) => return Err(problem),
    };
    let Some(generated) = found.aggregate.generated() else { return Ok(false) };
    // It was read as a manifest, so it is short.
    let bytes = tokio::fs::read(manifest_file).await.map_err(|error| Problem::internal(&error))?;
    let manifest = digests_of_bytes(&bytes);
    let is = |digests: &Digests, blake3: &HexDigest, sha256: &HexDigest| {
        digests.blake3_hex() == blake3.as_str() && digests.sha256_hex() == sha256.as_str()
    };
    Ok(is(&file, &generated.blake3, &generated.sha256)
        && is(&manifest, &generated.manifest.blake3, &generated.manifest.sha256))
}

/// Reads files in turn with others: never while a client is still sending.
async fn blocking<T: Send + 'static>(
    desk: &ExportDesk,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let _turn = desk.looking.acquire().await.map_err(|error| Problem::internal(&error))?;
    tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal(&error))
}
