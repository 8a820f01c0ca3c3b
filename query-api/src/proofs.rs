//! Proofs from the tree: that an entry is in it, that one state of it extends another, and the file that needs no server.

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use daybook_http_kit::permission::{LedgerRead, LedgerVerify};
use daybook_http_kit::{Allowed, NoQuery, Problem, Query, Scoped};
use daybook_ledger::canonical::canonical_bytes;
use daybook_ledger::{Hash, LedgerTree, TreeError, merkle};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::checkpoints::{ASK_AGAIN, proof_failed};
use crate::ledgers::{failed, head_of, named};
use crate::state::QueryState;
use crate::tlog_proof::{PLAIN_TEXT, root_along, tlog_proof, tree_failed};

/// That an entry is in the tree.
#[derive(Debug, Serialize, ToSchema)]
pub struct InclusionProof {
    /// Which ledger.
    #[schema(example = "main")]
    pub ledger_id: String,
    /// Position of the entry.
    #[schema(example = 41)]
    pub position: u64,
    /// Entries in the tree.
    #[schema(example = 1200)]
    pub size: u64,
    /// The entry's hash, as in its receipt.
    pub hash: String,
    /// SHA-256 of a zero byte and the entry's canonical bytes, hexadecimal: where the path begins.
    pub leaf_hash: String,
    /// RFC 6962 root that it leads to, hexadecimal.
    pub root: String,
    /// Siblings from the leaf to the root, hexadecimal (RFC 6962, 2.1.1).
    pub path: Vec<String>,
}

/// That one state of the ledger extends another.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConsistencyProof {
    /// Which ledger.
    #[schema(example = "main")]
    pub ledger_id: String,
    /// Entries in the older tree.
    #[schema(example = 800)]
    pub from: u64,
    /// Entries in the newer tree.
    #[schema(example = 1200)]
    pub to: u64,
    /// RFC 6962 root of the older tree, hexadecimal.
    pub from_root: String,
    /// RFC 6962 root of the newer tree, hexadecimal.
    pub to_root: String,
    /// The proof, hexadecimal (RFC 6962, 2.1.2); empty where the two are the same or the older one is empty.
    pub path: Vec<String>,
}

/// Which entry, in which tree.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct InclusionParameters {
    /// Position of the entry.
    #[param(example = 0)]
    position: u64,
    /// Entries in the tree; all there are unless given.
    size: Option<u64>,
}

/// Which two states.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyParameters {
    /// Entries in the older tree.
    #[param(example = 0)]
    from: u64,
    /// Entries in the newer tree; all there are unless given.
    to: Option<u64>,
}

/// Prove that an entry is there
///
/// The audit path from one entry to the root of the tree over the first `size` entries. Compare the root with one that was
/// signed; `/proofs/{position}.tlog-proof` has both in one file.
#[utoipa::path(get, path = "/v1/ledgers/{ledger_id}/proofs/inclusion", tag = "proofs", operation_id = "prove_inclusion",
    params(("ledger_id" = String, Path, description = "Id of the ledger", example = "main"), InclusionParameters),
    responses((status = 200, description = "The proof", body = InclusionProof)))]
pub async fn inclusion(
    _: Allowed<LedgerVerify>,
    ledger_id: web::Path<String>,
    Query(parameters): Query<InclusionParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let reader = named(&state, &ledger_id)?;
    let size = size_or_all(reader, parameters.size).await?;
    let position = parameters.position;
    if position >= size && parameters.size.is_some() {
        return Err(Problem::invalid("?position", format!("must be less than size, which is {size}")));
    }
    let tree = LedgerTree::new(reader.clone());
    let path = tree.inclusion(position, size).await.map_err(tree_failed)?;
    let found = reader.entries(position, 1).await.map_err(failed)?;
    let entry = found.into_iter().find(|entry| entry.position == position).ok_or_else(|| {
        Problem::not_found("ledger.entry_not_found", format!("ledger {ledger_id} has no entry at {position}"))
    })?;
    let leaf = merkle::leaf(&canonical_bytes(&entry));
    let root = root_along(leaf, position, size, &path).map(|root| root.to_string()).unwrap_or_default();
    Ok(HttpResponse::Ok().json(InclusionProof {
        ledger_id: ledger_id.into_inner(),
        position,
        size,
        hash: entry.hash.to_string(),
        leaf_hash: leaf.to_string(),
        root,
        path: texts(&path),
    }))
}

/// Prove that the ledger was only added to
///
/// The proof that the first `to` entries begin with the very same first `from` entries. Compare the roots with signed ones.
#[utoipa::path(get, path = "/v1/ledgers/{ledger_id}/proofs/consistency", tag = "proofs",
    operation_id = "prove_consistency",
    params(("ledger_id" = String, Path, description = "Id of the ledger", example = "main"), ConsistencyParameters),
    responses((status = 200, description = "The proof", body = ConsistencyProof)))]
pub async fn consistency(
    _: Allowed<LedgerVerify>,
    ledger_id: web::Path<String>,
    Query(parameters): Query<ConsistencyParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let reader = named(&state, &ledger_id)?;
    let to = size_or_all(reader, parameters.to).await?;
    if parameters.from > to && parameters.to.is_some() {
        return Err(Problem::invalid("?from", "must not be larger than to"));
    }
    let tree = LedgerTree::new(reader.clone());
    let proof = consistency_proof(&tree, parameters.from, to).await.map_err(tree_failed)?;
    Ok(HttpResponse::Ok().json(proof))
}

/// The proof that the tree of `to` entries extends that of `from`, with both roots.
pub async fn consistency_proof(tree: &LedgerTree, from: u64, to: u64) -> Result<ConsistencyProof, TreeError> {
    let path = tree.consistency(from, to).await?;
    Ok(ConsistencyProof {
        ledger_id: tree.reader().id().to_string(),
        from,
        to,
        from_root: tree.root_at(from).await?.to_string(),
        to_root: tree.root_at(to).await?.to_string(),
        path: texts(&path),
    })
}

/// Prove an entry, for keeping
///
/// One text file (C2SP tlog-proof) that proves a receipt without this server: the entry's canonical bytes (their BLAKE3 is
/// the receipt's `hash`), the path to the root, and the newest checkpoint. `daybook-auditor check` verifies it with nothing
/// but the ledger's public key. The canonical bytes say who did what to which record, so the file needs `ledger:read`. An entry that no checkpoint covers yet is 404 `proof.not_yet_sealed`; `Retry-After` says
/// when the next one is due.
#[utoipa::path(get, path = "/v1/ledgers/{ledger_id}/proofs/{position}.tlog-proof", tag = "proofs",
    operation_id = "get_tlog_proof",
    params(("ledger_id" = String, Path, description = "Id of the ledger", example = "main"),
           ("position" = u64, Path, description = "Position of the entry, as in its receipt", example = 0)),
    responses((status = 200, description = "The proof", body = String, content_type = "text/plain",
        example = "c2sp.org/tlog-proof@v1\nextra ZGF5Ym9vay1lbnRyeS12MQo…\nindex 0\nB95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n\ndaybook.local/main\n1200\nLqfmWJEE1/g3aUZGyKcOJL/UDq8PoqDzi4ZMrRPiLkI=\n\n\u{2014} daybook.local/main mE0mnzBF…\n")))]
pub async fn file(
    _: Allowed<LedgerRead>,
    _: NoQuery,
    path: web::Path<(String, String)>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let (ledger_id, position) = path.into_inner();
    let tree = LedgerTree::new(named(&state, &ledger_id)?.clone());
    let number: Option<u64> = position.parse().ok().filter(|number: &u64| number.to_string() == position);
    let position = number.ok_or_else(|| {
        Problem::bad_request("ledger.invalid_position", "a position is a whole number from 0 on, without leading zeros")
    })?;
    let proof = tlog_proof(&tree, position).await.map_err(|error| proof_failed(error, state.checkpoints.interval))?;
    Ok(HttpResponse::Ok().content_type(PLAIN_TEXT).insert_header((CACHE_CONTROL, ASK_AGAIN)).body(proof))
}

async fn size_or_all(reader: &daybook_ledger::LedgerReader, size: Option<u64>) -> Result<u64, Problem> {
    match size {
        Some(size) => Ok(size),
        None => Ok(head_of(reader).await?.size),
    }
}

fn texts(path: &[Hash]) -> Vec<String> {
    path.iter().map(ToString::to_string).collect()
}
