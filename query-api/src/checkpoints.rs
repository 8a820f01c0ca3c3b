//! Checkpoints: what was signed, and having one signed now.

use std::time::Duration;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use daybook_http_kit::permission::{LedgerSeal, LedgerVerify};
use daybook_http_kit::{Allowed, NoQuery, Problem, Query, Scoped};
use daybook_ledger::checkpoint::CheckpointError;
use daybook_ledger::{LedgerTree, StoredCheckpoint};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::ledgers::{failed, named};
use crate::state::QueryState;
use crate::time::rfc3339;
use crate::tlog_proof::{PLAIN_TEXT, TlogProofError, newest_checkpoint, tree_failed};

/// Checkpoints listed where the client names no limit.
const DEFAULT_LIMIT: usize = 50;
/// Most checkpoints one request lists.
const MAX_LIMIT: usize = 500;
/// What changes with every checkpoint may be kept, but not used without asking.
pub(crate) const ASK_AGAIN: &str = "no-cache";

/// A signed statement of how long the ledger was and what it came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckpointView {
    /// Which ledger.
    #[schema(example = "main")]
    ledger_id: String,
    /// Entries it covers.
    #[schema(example = 1200)]
    size: u64,
    /// RFC 6962 root over them, hexadecimal.
    root: String,
    /// When it was signed.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    signed_at: String,
    /// The signed note, byte for byte.
    note: String,
}

impl CheckpointView {
    fn new(ledger_id: &str, checkpoint: StoredCheckpoint) -> Self {
        Self {
            ledger_id: ledger_id.to_owned(),
            size: checkpoint.size,
            root: checkpoint.root.to_string(),
            signed_at: rfc3339(checkpoint.signed_at),
            note: checkpoint.note,
        }
    }
}

/// Checkpoints by size.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckpointList {
    /// The checkpoints, the smallest first.
    items: Vec<CheckpointView>,
    /// `from` of the next page; null where there is none.
    next_from: Option<u64>,
}

/// Which checkpoints.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListParameters {
    /// Smallest size, 0 unless given.
    from: Option<u64>,
    /// Most checkpoints to list: 1 to 500, 50 unless given.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
}

/// Read the newest checkpoint
///
/// A signed note (C2SP tlog-checkpoint): origin, size and root of the ledger, signed by its keys and by whoever has
/// witnessed it. Keep it: with it, any later state of the ledger can be held to this one.
#[utoipa::path(get, path = "/v1/ledgers/{ledger_id}/checkpoint", tag = "proofs", operation_id = "get_checkpoint",
    params(("ledger_id" = String, Path, description = "Id of the ledger", example = "main")),
    responses((status = 200, description = "The signed note", body = String, content_type = "text/plain",
        example = "daybook.local/main\n1200\nLqfmWJEE1/g3aUZGyKcOJL/UDq8PoqDzi4ZMrRPiLkI=\n\n\u{2014} daybook.local/main mE0mnzBF…\n")))]
pub async fn newest(
    _: Allowed<LedgerVerify>,
    _: NoQuery,
    ledger_id: web::Path<String>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let tree = LedgerTree::new(named(&state, &ledger_id)?.clone());
    let interval = state.checkpoints.interval;
    let newest = newest_checkpoint(&tree).await.map_err(|error| proof_failed(error, interval))?;
    let checkpoint = newest.ok_or_else(|| {
        let none = Problem::not_found("checkpoint.none_yet", "no checkpoint of this ledger has been signed yet");
        come_back(none, interval)
    })?;
    Ok(HttpResponse::Ok().content_type(PLAIN_TEXT).insert_header((CACHE_CONTROL, ASK_AGAIN)).body(checkpoint.note))
}

/// List checkpoints
///
/// Every checkpoint that was signed, by size. A client goes on with `from=next_from`.
#[utoipa::path(get, path = "/v1/ledgers/{ledger_id}/checkpoints", tag = "proofs", operation_id = "list_checkpoints",
    params(("ledger_id" = String, Path, description = "Id of the ledger", example = "main"), ListParameters),
    responses((status = 200, description = "Checkpoints", body = CheckpointList)))]
pub async fn list(
    _: Allowed<LedgerVerify>,
    ledger_id: web::Path<String>,
    Query(parameters): Query<ListParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let reader = named(&state, &ledger_id)?;
    let limit = parameters.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::invalid("?limit", format!("must be 1 to {MAX_LIMIT}")));
    }
    let from = parameters.from.unwrap_or(0);
    // Sizes are stored as signed numbers; no ledger is that long.
    let mut found = match i64::try_from(from) {
        Ok(_) => reader.store().checkpoints(reader.id(), from, limit + 1).await.map_err(failed)?,
        Err(_) => Vec::new(),
    };
    let next_from = found.get(limit).map(|next| next.size);
    found.truncate(limit);
    let items = found.into_iter().map(|checkpoint| CheckpointView::new(&ledger_id, checkpoint)).collect();
    Ok(HttpResponse::Ok().json(CheckpointList { items, next_from }))
}

/// Have a checkpoint signed
///
/// Seals the ledger and signs a checkpoint over all of it now, without waiting for the next one that is due. Where nothing
/// was appended since the last one, that one is answered.
#[utoipa::path(post, path = "/v1/ledgers/{ledger_id}/checkpoints", tag = "proofs", operation_id = "sign_checkpoint",
    params(("ledger_id" = String, Path, description = "Id of the ledger", example = "main")),
    responses((status = 200, description = "The checkpoint", body = CheckpointView)))]
pub async fn sign(
    caller: Allowed<LedgerSeal>,
    _: NoQuery,
    ledger_id: web::Path<String>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    named(&state, &ledger_id)?;
    let requests = state.checkpoints.requests.as_ref().ok_or_else(|| {
        Problem::unavailable("checkpoint.not_here", "this process does not sign checkpoints; ask one that writes", 60)
    })?;
    let checkpoint = requests.checkpoint().await.map_err(|error| not_signed(&error))?;
    tracing::info!(size = checkpoint.size, actor = %caller.principal().actor.id, "a checkpoint was asked for");
    Ok(HttpResponse::Ok().json(CheckpointView::new(&ledger_id, checkpoint)))
}

/// What a client is told where nothing was signed. Files and keys stay out of it.
fn not_signed(error: &CheckpointError) -> Problem {
    match error {
        CheckpointError::Refused(refusal) => {
            let detail = "the ledger does not extend the checkpoint signed last; nothing is signed until it does";
            Problem::conflict("checkpoint.refused", detail)
                .with_member("remembered_size", refusal.remembered_size)
                .with_member("remembered_root", refusal.remembered_root.to_string())
                .with_member("size", refusal.size)
        }
        CheckpointError::Memory(_) => {
            let detail =
                "the checkpoint signed last cannot be relied on; nothing is signed until an operator looks at it";
            Problem::conflict("checkpoint.refused", detail)
        }
        CheckpointError::TilesDiffer { .. } => {
            let detail =
                "the stored tiles are not those of the entries; nothing is signed until an operator looks at it";
            Problem::conflict("checkpoint.refused", detail)
        }
        CheckpointError::Contended | CheckpointError::Busy | CheckpointError::Closed => {
            Problem::unavailable("checkpoint.busy", error.to_string(), 1)
        }
        CheckpointError::Key(_) | CheckpointError::KeyEnded { .. } | CheckpointError::KeyEvent(..) => {
            Problem::unavailable("checkpoint.no_key", "no signing key can be used; the log says why", 60)
        }
        CheckpointError::Append(_) | CheckpointError::Store(_) | CheckpointError::Tree(_) => {
            Problem::store_unavailable(error)
        }
    }
}

/// What a client is told where there is no proof.
pub(crate) fn proof_failed(error: TlogProofError, interval: Duration) -> Problem {
    match error {
        TlogProofError::NoEntry { .. } => Problem::not_found("ledger.entry_not_found", error.to_string()),
        TlogProofError::NotYetSealed { sealed, .. } => {
            let problem = Problem::not_found("proof.not_yet_sealed", error.to_string());
            come_back(problem.with_member("checkpoint_size", sealed), interval)
        }
        TlogProofError::Damaged(_) | TlogProofError::NotExtending(_) => {
            tracing::error!(%error, "no proof is handed out");
            Problem::new(500, "proof.not_extending", error.to_string())
        }
        TlogProofError::Tree(error) => tree_failed(error),
    }
}

/// Says when the next checkpoint is due, where any is.
pub(crate) fn come_back(problem: Problem, interval: Duration) -> Problem {
    match u32::try_from(interval.as_secs()).unwrap_or(u32::MAX) {
        0 => problem,
        seconds => problem.with_retry_after(seconds),
    }
}
