//! The keys that sign checkpoints, as the ledger itself announced them.
//!
//! A verifier that takes its keys from the server it verifies has verified nothing: keep them from elsewhere, or from an
//! earlier time, and compare.

use actix_web::{HttpResponse, web};
use daybook_exports::bundle::newest_keys;
use daybook_http_kit::permission::LedgerVerify;
use daybook_http_kit::{Allowed, NoQuery, Problem, Scoped};
use daybook_ledger::checkpoint::{CheckpointError, PublishedKey};
use daybook_ledger::keys::VerifierKey;
use serde::Serialize;
use utoipa::ToSchema;

use crate::ledgers::{failed, named};
use crate::state::QueryState;
use crate::tlog_proof::tree_failed;

/// A key that signs or signed checkpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyView {
    /// First four bytes of a digest of the key, hexadecimal, as in signature lines.
    #[schema(example = "984d269f")]
    key_id: String,
    /// The name it signs under.
    #[schema(example = "daybook.local/main")]
    name: String,
    /// `ecdsa-p256-sha256` or `ed25519`.
    #[schema(example = "ecdsa-p256-sha256")]
    algorithm: &'static str,
    /// The key for verifiers of signed notes: `<name>+<key id>+<base64>`.
    verifier_key: String,
    /// The key for other tools, PEM; null where the announced key is none.
    pem: Option<String>,
    /// When it began to sign.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    activated_at: String,
    /// When it ended; null while it signs.
    retired_at: Option<String>,
    /// Position of the entry that announced it.
    #[schema(example = 0)]
    position: u64,
}

/// The keys of a ledger.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyList {
    /// Which ledger.
    #[schema(example = "main")]
    ledger_id: String,
    /// The keys, the oldest first.
    items: Vec<KeyView>,
}

impl From<PublishedKey> for KeyView {
    fn from(key: PublishedKey) -> Self {
        Self {
            pem: key.verifier_key.parse().ok().map(|key: VerifierKey| key.to_pem()),
            key_id: key.key_id.to_string(),
            name: key.name,
            algorithm: key.algorithm.as_str(),
            verifier_key: key.verifier_key,
            activated_at: key.activated_at,
            retired_at: key.retired_at,
            position: key.position,
        }
    }
}

/// List the signing keys
///
/// Every key that signs or signed checkpoints of this ledger, as the ledger announced it; at most the newest 1,000. A retired
/// key verifies what it signed for ever.
#[utoipa::path(get, path = "/v1/ledgers/{ledger_id}/keys", tag = "proofs", operation_id = "list_signing_keys",
    params(("ledger_id" = String, Path, description = "Id of the ledger", example = "main")),
    responses((status = 200, description = "The keys", body = KeyList)))]
pub async fn list(
    _: Allowed<LedgerVerify>,
    _: NoQuery,
    ledger_id: web::Path<String>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let keys = newest_keys(named(&state, &ledger_id)?).await.map_err(|error| match error {
        CheckpointError::Store(error) => failed(error),
        CheckpointError::Tree(error) => tree_failed(error),
        other => Problem::internal(&other),
    })?;
    let items = keys.into_iter().map(KeyView::from).collect();
    Ok(HttpResponse::Ok().json(KeyList { ledger_id: ledger_id.into_inner(), items }))
}
