//! A bundle over HTTP: the same bytes as the program writes, for as many entries as a request may ask for.

use std::time::Duration;

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_ENCODING};
use actix_web::{HttpResponse, web};
use daybook_http_kit::permission::LedgerRead;
use daybook_http_kit::{Allowed, Problem, Query, Scoped};
use daybook_ledger::checkpoint::CheckpointError;
use daybook_ledger::{LedgerReader, StreamKey};
use futures::TryStreamExt;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Bundle, BundleError, BundleRequest};
use crate::checkpoints::{come_back, proof_failed};
use crate::ledgers::{failed, named};
use crate::state::QueryState;

/// Most entries of a bundle over HTTP. The program has no bound.
pub const MAX_ENTRIES: u64 = 100_000;
/// Content type of a zip file.
const ZIP: &str = "application/zip";

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct BundleParameters {
    /// First position, 0 unless given.
    from: Option<u64>,
    /// Position to stop before; what the newest checkpoint covers unless given. At most 100,000 after `from`, unless one
    /// stream is asked for.
    to: Option<u64>,
    /// Only entries of one stream: its type; needs `stream_id`.
    #[param(example = "transaction")]
    stream_type: Option<String>,
    /// Only entries of one stream: its id; needs `stream_type`. The stream may have 100,000 entries.
    stream_id: Option<String>,
}

/// Download a bundle
///
/// Entries with everything that verifies them elsewhere, as a zip file: the entries, tiles, proofs, the newest checkpoint, the
/// public keys and a manifest with the digests of all of them. An answer that is broken off by a failure is no zip file.
#[utoipa::path(get, path = "/v1/ledgers/{ledger_id}/bundle", tag = "proofs", operation_id = "get_bundle",
    params(("ledger_id" = String, Path, description = "Id of the ledger", example = "main"), BundleParameters),
    responses((status = 200, description = "The bundle", body = Vec<u8>, content_type = "application/zip")))]
pub async fn download(
    _: Allowed<LedgerRead>,
    ledger_id: web::Path<String>,
    Query(parameters): Query<BundleParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let reader = named(&state, &ledger_id)?;
    let interval = state.checkpoints.interval;
    let request = read(parameters)?;
    let bundle = Bundle::plan(reader, request.clone()).await.map_err(|error| refused(error, interval))?;
    check_length(reader, &request, &bundle).await?;
    let name = bundle.file_name();
    let pieces = bundle.write().map_err(|error| {
        tracing::error!(%error, "a bundle ends early");
        std::io::Error::other("the bundle cannot be finished")
    });
    Ok(HttpResponse::Ok()
        .content_type(ZIP)
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        // It is compressed already.
        .insert_header((CONTENT_ENCODING, "identity"))
        .streaming(pieces))
}

fn read(parameters: BundleParameters) -> Result<BundleRequest, Problem> {
    let from = parameters.from.unwrap_or(0);
    if parameters.to.is_some_and(|to| to <= from) {
        return Err(Problem::invalid("?to", "must be larger than from"));
    }
    let stream = match (parameters.stream_type, parameters.stream_id) {
        (None, None) => None,
        (Some(stream_type), Some(stream_id)) => Some(
            StreamKey::new(stream_type, stream_id)
                .map_err(|error| Problem::invalid(format!("?{}", error.what), error.why))?,
        ),
        (None, Some(_)) => return Err(Problem::invalid("?stream_id", "needs stream_type beside it")),
        (Some(_), None) => return Err(Problem::invalid("?stream_type", "needs stream_id beside it")),
    };
    Ok(BundleRequest { from, to: parameters.to, stream })
}

async fn check_length(reader: &LedgerReader, request: &BundleRequest, bundle: &Bundle) -> Result<(), Problem> {
    let (from, to) = bundle.range();
    let too_many = match &request.stream {
        None => to - from > MAX_ENTRIES,
        Some(key) => !reader.stream(key, MAX_ENTRIES + 1, 1).await.map_err(failed)?.is_empty(),
    };
    if too_many {
        let detail = format!("a bundle over HTTP has at most {MAX_ENTRIES} entries; `daybook bundle` has no bound");
        return Err(Problem::invalid(if request.stream.is_some() { "?stream_id" } else { "?to" }, detail));
    }
    Ok(())
}

/// What a client is told where there is no bundle.
fn refused(error: BundleError, interval: Duration) -> Problem {
    match error {
        BundleError::NoCheckpoint(_) | BundleError::NotYetSealed { .. } => {
            come_back(Problem::not_found("proof.not_yet_sealed", error.to_string()), interval)
        }
        BundleError::Empty { .. } => Problem::invalid("?from", error.to_string()),
        BundleError::NoStream(_) => Problem::not_found("ledger.stream_not_found", error.to_string()),
        BundleError::Proof(error) => proof_failed(error, interval),
        BundleError::Keys(CheckpointError::Store(error)) => failed(error),
        BundleError::Keys(_) | BundleError::Missing(_) | BundleError::Archive(_) => Problem::internal(&error),
    }
}
