//! `GET /stream`: the live updates as an endpoint. How frames come about is [`crate::live`]'s business.

use std::collections::BTreeSet;

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse};
use daybook_http_kit::permission::LedgerVerify;
use daybook_http_kit::{Allowed, Problem, Query, Scoped, Standing};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::answer::{AnswerAt, EVENT_STREAM};
use crate::ledgers::head_of;
use crate::live::MAX_STREAMS;
use crate::state::QueryState;

/// Most topics one stream follows.
const MAX_TOPICS: usize = 16;
/// Most bytes of a topic's name.
const MAX_TOPIC_BYTES: usize = 64;
/// Topics that stand for several stream types: what one page of people follows.
const TOPICS: [(&str, &[&str]); 2] =
    [("approvals", &["approval", "approval_policy", "delegation"]), ("exports", &["export", "export_schedule"])];
/// Header with which a client that comes back says what it has seen.
const LAST_EVENT_ID: &str = "last-event-id";

/// What to follow.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct StreamParameters {
    /// Stream types to follow, separated by commas; all unless given. `approvals` stands for requests for approval, their
    /// policies and delegations, `exports` for exports and their schedules.
    #[param(example = "transaction,incident")]
    topics: Option<String>,
    /// First position to tell of. Without it, and without `Last-Event-ID`, only what comes from now on.
    from: Option<u64>,
}

/// The data of one event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"position": 41, "topic": "transaction"}))]
pub struct StreamEvent {
    /// Position of the entry.
    position: u64,
    /// Type of its stream.
    topic: String,
}

/// Follow the ledger live
///
/// Positions and topics of entries as server-sent events, from the ledger itself: nothing is lost between connections.
/// Each event has `event: entry`, the position as `id`, and `{"position", "topic"}` as data. A comment comes every 15
/// seconds, and the stream ends then if the caller's credentials hold no more. `Last-Event-ID` goes before `from`.
#[utoipa::path(get, path = "/v1/stream", tag = "live", operation_id = "stream",
    params(StreamParameters,
        ("Last-Event-ID" = Option<u64>, Header, description = "Last position seen; the stream goes on behind it")),
    responses(
        (status = 200, description = "Server-sent events", body = StreamEvent, content_type = "text/event-stream")))]
pub async fn stream(
    _: Allowed<LedgerVerify>,
    request: HttpRequest,
    Query(parameters): Query<StreamParameters>,
    state: Scoped<QueryState>,
) -> Result<HttpResponse, Problem> {
    let topics = topics(parameters.topics.as_deref())?;
    let size = head_of(&state.ledger).await?.size;
    let from = match (last_event_id(request.headers())?, parameters.from) {
        (Some(seen), _) => within("Last-Event-ID", seen.saturating_add(1), size)?,
        (None, Some(from)) => within("?from", from, size)?,
        (None, None) => size,
    };
    let slot = state.live.enter().ok_or_else(|| {
        Problem::unavailable("stream.full", format!("{MAX_STREAMS} live streams are open here, which is the most"), 5)
    })?;
    let frames = state.live.frames::<LedgerVerify>(state.ledger.clone(), from, topics, Standing::of(&request), slot);
    Ok(HttpResponse::Ok()
        .position(size)
        .content_type(EVENT_STREAM)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Compression and buffering proxies would hold frames back.
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(frames))
}

/// A client that has seen more than there is has seen another ledger; to wait would be to keep silent about that.
fn within(pointer: &str, from: u64, size: u64) -> Result<u64, Problem> {
    if from > size {
        return Err(Problem::invalid(pointer, format!("is beyond the ledger, which has {size} entries")));
    }
    Ok(from)
}

/// The position of `Last-Event-ID`. An empty one is what a client sends that has seen nothing.
fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else { return Ok(None) };
    value
        .to_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or_else(|| Problem::invalid("Last-Event-ID", "must be a position in the ledger"))
}

fn topics(text: Option<&str>) -> Result<BTreeSet<String>, Problem> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(BTreeSet::new()) };
    let topics: BTreeSet<String> = text.split(',').map(|topic| topic.trim().to_owned()).collect();
    let is_name = |topic: &String| {
        (1..=MAX_TOPIC_BYTES).contains(&topic.len())
            && topic.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    if topics.len() > MAX_TOPICS || !topics.iter().all(is_name) {
        let detail = format!("must be at most {MAX_TOPICS} stream types separated by commas, for example transaction");
        return Err(Problem::invalid("?topics", detail));
    }
    let stream_types = |topic: String| match TOPICS.iter().find(|(name, _)| *name == topic) {
        Some((_, stream_types)) => stream_types.iter().map(|stream_type| (*stream_type).to_owned()).collect(),
        None => vec![topic],
    };
    Ok(topics.into_iter().flat_map(stream_types).collect())
}
