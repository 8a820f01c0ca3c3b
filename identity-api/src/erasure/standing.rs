//! Which legal holds stand in the way of an erasure.
//!
//! A hold covers a person as such, or streams: then it covers whoever acted or is named in one of them. The streams' entries
//! are read, page by page: what an entry says of people is not indexed anywhere else.

use daybook_http_kit::Problem;
use daybook_identity::directory::{DirectoryState, HoldCover, HoldRecord};
use daybook_ledger::{Entry, LedgerReader, StreamKey};
use serde::Serialize;

/// Entries of a stream that are read at once.
const PAGE: usize = 500;

/// A hold that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Standing {
    /// The hold's id.
    pub(crate) hold_id: String,
    /// The matter it is for.
    pub(crate) matter: String,
}

/// The holds in force that cover `subject`, by id.
pub(crate) async fn holds_on(
    ledger: &LedgerReader,
    state: &DirectoryState,
    subject: &str,
) -> Result<Vec<Standing>, Problem> {
    let mut standing = Vec::new();
    for hold in state.holds.values().filter(|hold| hold.released_at.is_none()) {
        if covers(ledger, hold, subject).await? {
            standing.push(Standing { hold_id: hold.hold_id.clone(), matter: hold.matter.clone() });
        }
    }
    Ok(standing)
}

async fn covers(ledger: &LedgerReader, hold: &HoldRecord, subject: &str) -> Result<bool, Problem> {
    // What needs no reading comes first.
    let directly = |cover: &HoldCover| match cover {
        HoldCover::Subject { id } => id == subject,
        HoldCover::Stream { stream_type, stream_id } => stream_type == "user" && stream_id == subject,
    };
    if hold.covers.iter().any(directly) {
        return Ok(true);
    }
    for cover in &hold.covers {
        if let HoldCover::Stream { stream_type, stream_id } = cover
            && let Ok(stream) = StreamKey::new(stream_type.as_str(), stream_id.as_str())
            && mentions(ledger, &stream, subject).await?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether somebody acted or is named in a stream.
async fn mentions(ledger: &LedgerReader, stream: &StreamKey, subject: &str) -> Result<bool, Problem> {
    let mut version = 1;
    loop {
        let page = ledger.stream(stream, version, PAGE).await.map_err(|error| Problem::store_unavailable(&error))?;
        let Some(last) = page.last() else { return Ok(false) };
        if page.iter().any(|entry| mentioned(entry, subject)) {
            return Ok(true);
        }
        version = last.version + 1;
    }
}

fn mentioned(entry: &Entry, subject: &str) -> bool {
    entry.actor.id == subject
        || entry.metadata.contains(subject)
        || entry.payload.as_deref().is_some_and(|payload| payload.contains(subject))
}
