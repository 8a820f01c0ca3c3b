//! The ledger as it is: heads, and entries with their exact bytes. Nothing here goes through a read model.

use actix_web::{HttpResponse, web};
use bytes::{BufMut, Bytes, BytesMut};
use daybook_exports::bundle::{EntryView, stream_entries};
use daybook_http_kit::permission::{LedgerRead, LedgerVerify};
use daybook_http_kit::{Allowed, NoQuery, Problem, Query, Scoped};
use daybook_ledger::{Entry, Head, LedgerReader, StoreError, StreamKey};
use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::answer::{AnswerAt, NDJSON};
use crate::state::QueryState;
use crate::time::{self, Edge, rfc3339};

/// Entries answered where the client names no limit.
pub const DEFAULT_ENTRIES: u64 = 1_000;
/// Most entries one request answers.
pub const MAX_ENTRIES: u64 = 100_000;
/// Entries of one stream answered at most; longer streams are read by `/ledgers/{ledger_id}/entries`.
const MAX_STREAM_ENTRIES: u64 = 1_000;
/// Lines are sent on when there are this many bytes of them.
const CHUNK_BYTES: usize = 64 * 1024;

/// A ledger and how far it reaches.
#[derive(Debug, Serialize, ToSchema)]
pub struct LedgerView {
    /// Its id.
    #[schema(example = "main")]
    ledger_id: String,
    /// Number of entries.
    #[schema(example = 1200)]
    size: u64,
    /// Hash of the last entry, hexadecimal.
    head: String,
}

/// How far a ledger reaches and what it hashes to.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeadView {
    /// Which ledger.
    #[schema(example = "main")]
    ledger_id: String,
    /// Number of entries.
    #[schema(example = 1200)]
    size: u64,
    /// Hash of the last entry; the genesis hash where there is none.
    hash: String,
    /// RFC 6962 root over all entries, hexadecimal.
    root: String,
    /// When the last entry was recorded; null where there is none.
    #[schema(example = "2026-11-21T10:00:00.000000Z")]
    recorded_at: Option<String>,
}

impl From<Head> for HeadView {
    fn from(head: Head) -> Self {
        Self {
            recorded_at: (head.size > 0).then(|| rfc3339(head.recorded_at)),
            ledger_id: head.ledger_id.to_string(),
            size: head.size,
            hash: head.hash.to_string(),
            root: head.root.to_string(),
        }
    }
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EntriesParameters {
    /// First position, 0 unless given.
    from: Option<u64>,
    /// Position to stop before; the end of the ledger unless given.
    to: Option<u64>,
    /// Most entries to answer: 1 to 100,000, 1,000 unless given.
    #[param(minimum = 1, maximum = 100_000)]
    limit: Option<u64>,
    /// Only entries of streams of this type.
    #[param(example = "transaction")]
    stream_type: Option<String>,
    /// Only entries of this stream; needs `stream_type`.
    stream_id: Option<String>,
    /// Only entries of this event type.
    #[param(example = "transaction.recorded")]
    event_type: Option<String>,
    /// Only what had been recorded by then: RFC 3339, or a date for the end of that day.
    at: Option<String>,
}

/// List the ledgers
///
/// The ledgers that can be read here.
#[utoipa::path(get, path = "/v1/ledgers", tag = "ledger", operation_id = "list_ledgers",
    responses((status = 200, description = "Every ledger", body = Vec<LedgerView>)))]
pub async fn list(_: Allowed<LedgerVerify>, _: NoQuery, state: Scoped<QueryState>) -> Result<HttpResponse, Problem> {
    let head = head_of(&state.ledger).await?;
    let ledger = LedgerView { ledger_id: head.ledger_id.to_string(), size: head.size, head: head.hash.to_string() };
    Ok(HttpResponse::Ok().position(head.size).json([ledger]))
}

/// Read a ledger's head
///
/// Size, last hash and Merkle root: what to compare a kept checkpoint with.
#[utoipa::path(get, path = "/v1/ledgers/{ledger_id}/head", tag = "ledger", operation_id = "get_ledger_head",
    params(("ledger_id" = String, Path, description = "Id of the ledger", example = "main")),
    responses((status = 200, description = "The head", body = HeadView)))]
pub async fn head(
    _: Allowed<LedgerVerify>,
    _: NoQuery,
    ledger_id: web::Path<String>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let head = head_of(named(&state, &ledger_id)?).await?;
    Ok(HttpResponse::Ok().position(head.size).json(HeadView::from(head)))
}

/// Read entries as NDJSON
///
/// Entries in position order, one JSON object a line, as a stream. A client goes on from the last line's `position` + 1.
/// An answer that is broken off by a failure ends without the final chunk: what arrived is true, but is not all.
#[utoipa::path(get, path = "/v1/ledgers/{ledger_id}/entries", tag = "ledger", operation_id = "list_entries",
    params(("ledger_id" = String, Path, description = "Id of the ledger", example = "main"), EntriesParameters),
    responses(
        (status = 200, description = "One entry a line", body = EntryView, content_type = "application/x-ndjson")))]
pub async fn entries(
    _: Allowed<LedgerRead>,
    ledger_id: web::Path<String>,
    Query(parameters): Query<EntriesParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let reader = named(&state, &ledger_id)?.clone();
    let selection = Selection::read(parameters)?;
    let size = head_of(&reader).await?.size;
    let entries = selection.entries(reader, size);
    Ok(HttpResponse::Ok().position(size).content_type(NDJSON).streaming(lines(entries)))
}

/// Read one entry
///
/// One entry by its position.
#[utoipa::path(get, path = "/v1/ledgers/{ledger_id}/entries/{position}", tag = "ledger", operation_id = "get_entry",
    params(("ledger_id" = String, Path, description = "Id of the ledger", example = "main"),
           ("position" = u64, Path, description = "0-based position", example = 0)),
    responses((status = 200, description = "The entry", body = EntryView)))]
pub async fn entry(
    _: Allowed<LedgerRead>,
    _: NoQuery,
    path: web::Path<(String, String)>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let (ledger_id, position) = path.into_inner();
    let reader = named(&state, &ledger_id)?;
    let position: u64 = position
        .parse()
        .map_err(|_| Problem::bad_request("ledger.invalid_position", "a position is a whole number from 0 on"))?;
    let size = head_of(reader).await?.size;
    let unknown = || {
        Problem::not_found(
            "ledger.entry_not_found",
            format!("ledger {ledger_id} has {size} entries, none at {position}"),
        )
    };
    if position >= size {
        return Err(unknown());
    }
    let page = reader.entries(position, 1).await.map_err(failed)?;
    let entry = page.into_iter().find(|entry| entry.position == position).ok_or_else(unknown)?;
    Ok(HttpResponse::Ok().position(size).json(EntryView::from(entry)))
}

/// The first entries of one aggregate, in version order.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamView {
    /// Type of the stream.
    #[schema(example = "transaction")]
    stream_type: String,
    /// Id of the aggregate.
    #[schema(example = "TX-1001")]
    stream_id: String,
    /// Version of the last entry listed.
    #[schema(example = 3)]
    version: u64,
    /// True where the stream goes on; `/ledgers/{ledger_id}/entries` with `stream_type`, `stream_id` and `from` has the
    /// rest.
    truncated: bool,
    /// The entries.
    entries: Vec<EntryView>,
}

/// Read the entries of one stream
///
/// The history of one aggregate as the ledger has it: at most 1,000 entries.
#[utoipa::path(get, path = "/v1/ledgers/{ledger_id}/streams/{stream_type}/{stream_id}", tag = "ledger",
    operation_id = "get_stream", params(("ledger_id" = String, Path, description = "Id of the ledger", example = "main"),
           ("stream_type" = String, Path, description = "Type of the stream", example = "transaction"),
           ("stream_id" = String, Path, description = "Id of the aggregate", example = "TX-1001")),
    responses((status = 200, description = "Its entries", body = StreamView)))]
pub async fn stream(
    _: Allowed<LedgerRead>,
    _: NoQuery,
    path: web::Path<(String, String, String)>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let (ledger_id, stream_type, stream_id) = path.into_inner();
    let reader = named(&state, &ledger_id)?;
    let unknown = |detail: String| Problem::not_found("ledger.stream_not_found", detail);
    let key = StreamKey::new(stream_type, stream_id).map_err(|error| unknown(error.to_string()))?;
    let size = head_of(reader).await?.size;
    let wanted = usize::try_from(MAX_STREAM_ENTRIES.saturating_add(1)).unwrap_or(usize::MAX);
    let mut found = reader.stream(&key, 1, wanted).await.map_err(failed)?;
    let truncated = found.len() >= wanted;
    found.truncate(wanted.saturating_sub(1));
    let Some(last) = found.last() else {
        return Err(unknown(format!("ledger {ledger_id} has no stream {key}")));
    };
    let view = StreamView {
        version: last.version,
        truncated,
        stream_type: key.stream_type,
        stream_id: key.stream_id,
        entries: found.into_iter().map(EntryView::from).collect(),
    };
    Ok(HttpResponse::Ok().position(size).json(view))
}

/// The ledger of that id, or a 404.
pub(crate) fn named<'a>(state: &'a QueryState, ledger_id: &str) -> Result<&'a LedgerReader, Problem> {
    if state.ledger_id() == ledger_id {
        return Ok(&state.ledger);
    }
    Err(Problem::not_found("ledger.not_found", "there is no ledger of that id"))
}

/// The head, or a 503.
pub async fn head_of(reader: &LedgerReader) -> Result<Head, Problem> {
    reader.head().await.map_err(failed)
}

/// What a client is told when the ledger's store fails.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
pub(crate) fn failed(error: StoreError) -> Problem {
    match error {
        StoreError::Corrupt { .. } => Problem::internal(&error),
        _ => Problem::store_unavailable(&error),
    }
}

/// Which entries, checked.
struct Selection {
    from: u64,
    to: u64,
    limit: u64,
    stream_type: Option<String>,
    stream: Option<StreamKey>,
    event_type: Option<String>,
    recorded_by: Option<i64>,
}

impl Selection {
    fn read(parameters: EntriesParameters) -> Result<Self, Problem> {
        let limit = parameters.limit.unwrap_or(DEFAULT_ENTRIES);
        if !(1..=MAX_ENTRIES).contains(&limit) {
            return Err(Problem::invalid("?limit", format!("must be 1 to {MAX_ENTRIES}")));
        }
        let (from, to) = (parameters.from.unwrap_or(0), parameters.to.unwrap_or(u64::MAX));
        if to < from {
            return Err(Problem::invalid("?to", "must not be smaller than from"));
        }
        let stream = match (&parameters.stream_type, parameters.stream_id) {
            (_, None) => None,
            (None, Some(_)) => return Err(Problem::invalid("?stream_id", "needs stream_type beside it")),
            (Some(stream_type), Some(stream_id)) => Some(
                StreamKey::new(stream_type.clone(), stream_id)
                    .map_err(|error| Problem::invalid(format!("?{}", error.what), error.why))?,
            ),
        };
        Ok(Self {
            from,
            to,
            limit,
            stream_type: parameters.stream_type,
            stream,
            event_type: parameters.event_type,
            recorded_by: time::parameter("at", parameters.at.as_deref(), Edge::End)?,
        })
    }

    fn matches(&self, entry: &Entry) -> bool {
        self.stream_type.as_ref().is_none_or(|wanted| *wanted == entry.stream.stream_type)
            && self.event_type.as_ref().is_none_or(|wanted| *wanted == entry.event_type)
            && entry.position >= self.from
    }

    /// True from the first entry on that no later entry can follow: positions and times only grow.
    fn is_past(&self, entry: &Entry, to: u64) -> bool {
        entry.position >= to || self.recorded_by.is_some_and(|recorded_by| entry.recorded_at > recorded_by)
    }

    /// The selected entries of a ledger that has `size` entries now; later ones are not waited for.
    fn entries(self, reader: LedgerReader, size: u64) -> impl Stream<Item = Result<Entry, StoreError>> + use<> {
        let to = self.to.min(size);
        async_stream::try_stream! {
            let mut source = match self.stream.clone() {
                Some(key) => stream_entries(reader, key).boxed(),
                None => reader.range(self.from, to).boxed(),
            };
            let mut left = self.limit;
            while left > 0 {
                let Some(entry) = source.next().await.transpose()? else { break };
                if self.is_past(&entry, to) {
                    break;
                }
                if self.matches(&entry) {
                    left -= 1;
                    yield entry;
                }
            }
        }
    }
}

/// Entries as lines, gathered into chunks. An error ends the answer unfinished, so that nobody takes a part for the
/// whole.
fn lines(
    entries: impl Stream<Item = Result<Entry, StoreError>> + 'static,
) -> impl Stream<Item = Result<Bytes, std::io::Error>> + 'static {
    async_stream::try_stream! {
        let mut entries = std::pin::pin!(entries);
        let mut buffer = BytesMut::with_capacity(CHUNK_BYTES);
        while let Some(entry) = entries.next().await {
            let entry = entry.map_err(|error| {
                tracing::error!(%error, "reading entries ends early");
                std::io::Error::other("the ledger cannot be read further")
            })?;
            serde_json::to_writer((&mut buffer).writer(), &EntryView::from(entry))?;
            buffer.put_u8(b'\n');
            if buffer.len() >= CHUNK_BYTES {
                yield buffer.split().freeze();
            }
        }
        if !buffer.is_empty() {
            yield buffer.freeze();
        }
    }
}
