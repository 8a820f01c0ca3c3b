//! The tree and the entries as tiles (C2SP `tlog-tiles`): files that never change, for whoever follows the ledger.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use daybook_exports::bundle::TilePath;
use daybook_http_kit::permission::{LedgerRead, LedgerVerify};
use daybook_http_kit::{Allowed, NoQuery, Problem, Scoped};
use daybook_ledger::LedgerTree;

use crate::ledgers::named;
use crate::state::QueryState;
use crate::tlog_proof::tree_failed;

/// Content type of a tile.
const OCTETS: &str = "application/octet-stream";
/// A complete tile is the same for ever; its hashes say nothing to those who may not ask.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// The same for what only some may read.
const FOR_EVER_OWN: &str = "private, max-age=31536000, immutable";
/// A partial tile does not change either, but nobody asks for it any more once there is a wider one.
const FOR_AN_HOUR: &str = "private, max-age=3600";
/// Highest level that a path may name; the tree has only the lowest eight.
const MAX_NAMED_LEVEL: u8 = 63;

/// Read a tile of the tree
///
/// Hashes of the tree, 32 bytes each (C2SP tlog-tiles). `index` is written in groups of three digits, all but the last with
/// an `x`, with slashes between them: `067`, `x001/x234/067`; with `.p/<width>` behind it, the first `width` hashes of a
/// tile that is not complete. Complete tiles never change.
#[utoipa::path(get, path = "/v1/ledgers/{ledger_id}/tile/{level}/{index}", tag = "proofs", operation_id = "get_tile",
    params(("ledger_id" = String, Path, description = "Id of the ledger", example = "main"),
           ("level" = u8, Path, description = "0 for leaf hashes, 1 for the roots of complete tiles of level 0, ...", example = 0),
           ("index" = String, Path, description = "Which tile of the level; contains slashes from 1,000 on", example = "000.p/1")),
    responses((status = 200, description = "The hashes", body = Vec<u8>, content_type = "application/octet-stream")))]
pub async fn tile(
    _: Allowed<LedgerVerify>,
    _: NoQuery,
    request: HttpRequest,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let tree = tree_of(&request, &state)?;
    let level = part(&request, "level");
    let level_number = level.parse().ok().filter(|number: &u8| number.to_string() == level);
    let level = level_number.filter(|level| *level <= MAX_NAMED_LEVEL).ok_or_else(malformed)?;
    let path = TilePath::parse(part(&request, "index")).ok_or_else(malformed)?;
    let hashes = tree.tile(level, path.index, path.width).await.map_err(tree_failed)?.ok_or_else(beyond)?;
    Ok(octets(if path.is_complete() { FOR_EVER } else { FOR_AN_HOUR })
        // Hashes have nothing to compress.
        .insert_header((CONTENT_ENCODING, "identity"))
        .body(hashes))
}

/// Read entries as the tree has them
///
/// The canonical bytes of up to 256 entries, each after its length in two bytes, big-endian (C2SP tlog-tiles). `index` is
/// written as that of a tile of level 0.
#[utoipa::path(get, path = "/v1/ledgers/{ledger_id}/tile/entries/{index}", tag = "proofs",
    operation_id = "get_entry_tile",
    params(("ledger_id" = String, Path, description = "Id of the ledger", example = "main"),
           ("index" = String, Path, description = "Which 256 entries; contains slashes from 1,000 on", example = "000.p/1")),
    responses((status = 200, description = "The entries", body = Vec<u8>, content_type = "application/octet-stream")))]
pub async fn entries(
    _: Allowed<LedgerRead>,
    _: NoQuery,
    request: HttpRequest,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let tree = tree_of(&request, &state)?;
    let path = TilePath::parse(part(&request, "index")).ok_or_else(malformed)?;
    let bundle = tree.entry_bundle(path.index, path.width).await.map_err(tree_failed)?.ok_or_else(beyond)?;
    Ok(octets(if path.is_complete() { FOR_EVER_OWN } else { FOR_AN_HOUR }).body(bundle))
}

fn octets(caching: &'static str) -> HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer.content_type(OCTETS).insert_header((CACHE_CONTROL, caching));
    answer
}

/// A part of the path as it was sent: an encoded slash is no slash.
fn part<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    request.match_info().get(name).unwrap_or_default()
}

fn tree_of(request: &HttpRequest, state: &QueryState) -> Result<LedgerTree, Problem> {
    Ok(LedgerTree::new(named(state, part(request, "ledger_id"))?.clone()))
}

fn malformed() -> Problem {
    let detail = "a tile's path is tile/<level>/<index> or tile/entries/<index>, the index in groups of three digits \
                  such as x001/x234/067, with .p/<1 to 255> behind it for a partial tile";
    Problem::bad_request("tile.invalid_path", detail)
}

fn beyond() -> Problem {
    Problem::not_found("tile.not_found", "the ledger does not reach that far")
}
