//! Which legal holds stand in the way.
//!
//! A hold covers a person as such, or streams. One on a stream covers whoever acted or is named in it, and one on a person the
//! streams in which that person acted or is named. A person is one under every account and every key: see [`Subject`]. The
//! streams' entries are read, page by page: what an entry says of people is not indexed anywhere else.

use std::collections::BTreeSet;

use daybook_http_kit::Problem;
use daybook_ledger::{Entry, LedgerReader, StreamKey};
use serde::Serialize;

use super::subject::Subject;
use crate::directory::{DirectoryState, HoldCover, HoldRecord};

/// Entries of a stream that are read at once.
const PAGE: usize = 500;
/// The type of the streams of people's accounts: the id of the stream is the person's.
pub(super) const ACCOUNTS: &str = "user";

/// A hold that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HoldInForce {
    /// The hold's id.
    pub hold_id: String,
    /// The matter it is for.
    pub matter: String,
}

impl From<&HoldRecord> for HoldInForce {
    fn from(hold: &HoldRecord) -> Self {
        Self { hold_id: hold.hold_id.clone(), matter: hold.matter.clone() }
    }
}

fn in_force(state: &DirectoryState) -> impl Iterator<Item = &HoldRecord> {
    state.holds.values().map(AsRef::as_ref).filter(|hold| hold.released_at.is_none())
}

/// The holds in force that cover a person, by id: each of them counts, and each covers the person under every id.
pub async fn holds_on_person(
    ledger: &LedgerReader,
    state: &DirectoryState,
    subject: &str,
) -> Result<Vec<HoldInForce>, Problem> {
    let subject = Subject::of(state, subject);
    let mut found = Vec::new();
    for hold in in_force(state) {
        if covers_person(ledger, hold, &subject).await? {
            found.push(HoldInForce::from(hold));
        }
    }
    Ok(found)
}

async fn covers_person(ledger: &LedgerReader, hold: &HoldRecord, subject: &Subject) -> Result<bool, Problem> {
    // What needs no reading comes first.
    let directly = |cover: &HoldCover| match cover {
        HoldCover::Subject { id } => subject.is(id),
        HoldCover::Stream { stream_type, stream_id } => stream_type == ACCOUNTS && subject.is(stream_id),
    };
    if hold.covers.iter().any(directly) {
        return Ok(true);
    }
    for cover in &hold.covers {
        if let HoldCover::Stream { stream_type, stream_id } = cover
            && let Ok(stream) = StreamKey::new(stream_type.as_str(), stream_id.as_str())
            && mentioned_in(ledger, &stream, std::slice::from_ref(subject)).await?.contains(&true)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The holds in force that cover a stream, by id: those on the stream as such, and those on somebody who acted or is named in
/// it, under any id.
pub(super) async fn holds_on_stream(
    ledger: &LedgerReader,
    state: &DirectoryState,
    stream: &StreamKey,
) -> Result<Vec<HoldInForce>, Problem> {
    let covered: BTreeSet<&str> = in_force(state)
        .flat_map(|hold| &hold.covers)
        .filter_map(|cover| match cover {
            HoldCover::Subject { id } => Some(id.as_str()),
            HoldCover::Stream { .. } => None,
        })
        .collect();
    let people: Vec<Subject> = covered.iter().map(|id| Subject::of(state, id)).collect();
    // One reading for all of them, and none where nobody is covered.
    let mentioned = if people.is_empty() { Vec::new() } else { mentioned_in(ledger, stream, &people).await? };
    let is_about = |person: &Subject| stream.stream_type == ACCOUNTS && person.is(&stream.stream_id);
    let found: BTreeSet<&str> = covered
        .iter()
        .zip(people.iter().zip(mentioned))
        .filter(|(_, (person, is_mentioned))| *is_mentioned || is_about(person))
        .map(|(id, _)| *id)
        .collect();
    let covers = |cover: &HoldCover| match cover {
        HoldCover::Subject { id } => found.contains(id.as_str()),
        HoldCover::Stream { stream_type, stream_id } => {
            *stream_type == stream.stream_type && *stream_id == stream.stream_id
        }
    };
    let holds = in_force(state).filter(|hold| hold.covers.iter().any(covers));
    Ok(holds.map(HoldInForce::from).collect())
}

/// For each of these people, whether they acted or are named in a stream.
async fn mentioned_in(ledger: &LedgerReader, stream: &StreamKey, people: &[Subject]) -> Result<Vec<bool>, Problem> {
    let mut found = vec![false; people.len()];
    let mut version = 1;
    while found.contains(&false) {
        let page = ledger.stream(stream, version, PAGE).await.map_err(|error| Problem::store_unavailable(&error))?;
        let Some(last) = page.last() else { break };
        version = last.version + 1;
        for (person, found) in people.iter().zip(&mut found).filter(|(_, found)| !**found) {
            *found = page.iter().any(|entry| is_mentioned(entry, person));
        }
    }
    Ok(found)
}

fn is_mentioned(entry: &Entry, person: &Subject) -> bool {
    person.is(&entry.actor.id)
        || person.is_named_in(&entry.metadata)
        || entry.payload.as_deref().is_some_and(|payload| person.is_named_in(payload))
}
