//! Verifying exports that are here: the files are read again and compared with their signed manifest and with the ledger.

use actix_web::{HttpResponse, web};
use daybook_approvals::refused;
use daybook_domain::Timestamp;
use daybook_domain::export::{Export, ExportCommand, ExportError, MAX_FINDINGS, VerificationResult, Verified};
use daybook_domain::text::{ActorId, Line};
use daybook_exports::{Fault, ManifestKey, Parts, Recorded, Verification, verify as verify_files};
use daybook_http_kit::answer::respond;
use daybook_http_kit::openapi::{CommandHeaders, CommandProblems};
use daybook_http_kit::permission::ExportManage;
use daybook_http_kit::{Allowed, CommandRequest, NoQuery, Problem, Scoped};
use daybook_ledger::checkpoint::{CheckpointError, published_keys};
use daybook_ledger::commands::{CommandContext, Outcome};
use daybook_ledger::keys::VerifierKey;
use serde::Serialize;
use utoipa::ToSchema;

use super::COLLECTION;
use super::desk::{ExportDesk, actor};
use super::view::ExportAnswer;

/// What a verification came to.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ExportVerified)]
pub struct VerifyAnswer {
    /// `verified`, `tampered` or `failed` (the file cannot be looked at).
    #[schema(example = "verified")]
    pub result: &'static str,
    #[serde(flatten)]
    pub export: ExportAnswer,
}

/// Verify an export
///
/// Its file is read again: digests and rows against the manifest, the manifest against its signature, and both against what
/// the ledger recorded. What is found is recorded as `export.verified` and named: `file_changed`, `row_removed`,
/// `row_added`, `manifest_changed`, `manifest_swapped`, `wrong_key`, `signature_malformed`, `missing`, `unreadable`.
#[utoipa::path(
    post, path = "/v1/exports/{id}/verify", tag = "exports", operation_id = "verify_export",
    params(("id" = String, Path, description = "The export's id."), CommandHeaders),
    responses((status = 200, description = "Looked at; `result` and `findings` say what came of it.", body = VerifyAnswer), CommandProblems)
)]
pub async fn verify(
    caller: Allowed<ExportManage>,
    request: CommandRequest,
    _: NoQuery,
    desk: Scoped<ExportDesk>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let context = request.context(&caller, b"");
    let found = desk.find(&id).await?;
    let keys = trusted_keys(&desk).await?;
    let verification = look_at(&desk, &found.aggregate, keys).await?;
    let outcome = record(&desk, &id, &verification, actor(&caller)?, context).await?;
    let answer = VerifyAnswer { result: result_of(&verification).as_str(), export: ExportAnswer::of(&outcome) };
    Ok(respond(&outcome, COLLECTION, &answer))
}

/// Reads an export's files again; 422 `export.no_file` where there are none.
pub(super) async fn look_at(
    desk: &ExportDesk,
    export: &Export,
    keys: Vec<ManifestKey>,
) -> Result<Verification, Problem> {
    let (Some(request), Some(generated), true) = (export.request(), export.generated(), export.has_file()) else {
        return Err(refused(&match export.status() {
            Some(status) => ExportError::NoFile { status },
            None => ExportError::NotFound,
        }));
    };
    let parts = Parts::of(&desk.files, generated).map_err(|error| Problem::internal(&error))?;
    let recorded = Recorded::of(&request.export_id, generated);
    let _turn = desk.looking.acquire().await.map_err(|error| Problem::internal(&error))?;
    let looked = tokio::task::spawn_blocking(move || verify_files(&parts, &keys, Some(&recorded))).await;
    looked.map_err(|error| Problem::internal(&error))
}

/// Records what a verification came to.
pub(super) async fn record(
    desk: &ExportDesk,
    id: &str,
    verification: &Verification,
    by: ActorId,
    context: CommandContext,
) -> Result<Outcome<Export>, Problem> {
    let at: Timestamp = desk.now()?;
    let findings = verification.findings.iter().take(MAX_FINDINGS).map(|finding| Line::lenient(&finding.to_string()));
    let verified = Verified { result: result_of(verification), findings: findings.collect(), by, at };
    desk.execute(id, ExportCommand::RecordVerification(verified), context).await
}

/// In one word.
pub(super) fn result_of(verification: &Verification) -> VerificationResult {
    if verification.is_verified() {
        VerificationResult::Verified
    } else if verification.is_tampered() {
        VerificationResult::Tampered
    } else {
        VerificationResult::Failed
    }
}

/// Whether the file is the one that was signed for, as far as that can be said.
pub(super) fn is_file_right(verification: &Verification) -> bool {
    let speaks_of_it = |fault: Fault| {
        matches!(fault, Fault::FileChanged | Fault::RowRemoved | Fault::RowAdded | Fault::ManifestSwapped)
    };
    verification.file.is_some()
        && verification.manifest.is_some()
        && !verification.findings.iter().any(|finding| speaks_of_it(finding.fault))
}

/// Whether the manifest is one that a trusted key signed.
pub(super) fn is_signature_right(verification: &Verification) -> bool {
    let speaks_of_it = |fault: Fault| {
        matches!(fault, Fault::ManifestChanged | Fault::ManifestSwapped | Fault::SignatureMalformed | Fault::WrongKey)
    };
    verification.signed_by.is_some() && !verification.findings.iter().any(|finding| speaks_of_it(finding.fault))
}

/// The keys that sign or signed for this ledger, as the ledger announced them.
pub(super) async fn trusted_keys(desk: &ExportDesk) -> Result<Vec<ManifestKey>, Problem> {
    let published = published_keys(desk.ledger.reader()).await.map_err(|error| match error {
        CheckpointError::Store(error) => Problem::store_unavailable(&error),
        other => Problem::internal(&other),
    })?;
    let keys = published.iter().filter_map(|key| key.verifier_key.parse::<VerifierKey>().ok());
    Ok(keys.filter_map(|key| ManifestKey::from_verifier(&key)).collect())
}
