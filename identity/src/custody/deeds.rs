//! When somebody last acted, in records of each type: what keeps people known for as long as the rules say.
//!
//! Somebody acted who made an entry, under whichever account or key, or in whose name it was made. Where a program writes what
//! people did, the entry's payload says who that was.
//!
//! Who acted is not indexed anywhere, so the ledger is read, from as long ago as the longest of the rules reaches. That is
//! done before the turn in which the erasure is decided, and in it only what came since.

use std::collections::BTreeMap;

use daybook_domain::Timestamp;
pub use daybook_domain::erasure::Retained;
use daybook_domain::retention_rule::{RecordType, Retention, keep_until};
use daybook_http_kit::Problem;
use daybook_ledger::{Entry, LedgerReader, StoreError};
use serde_json::Value;

use super::subject::Subject;
use crate::directory::DirectoryState;

/// What a schedule records when it runs: in its owner's name, whom the entry does not name.
const SCHEDULE_RUN: &str = "export_schedule.run";
/// Entries that are read at once.
const PAGE: usize = 1_000;
/// No year is longer, in microseconds.
const LONGEST_YEAR: i64 = 366 * 86_400 * 1_000_000;

/// What somebody did, as far as the ledger was read for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deeds {
    /// Who.
    who: Subject,
    /// Schedules of exports that were met with, and whether they run in the person's name.
    schedules: BTreeMap<String, bool>,
    /// From when on, in microseconds.
    since: i64,
    /// Position of the next entry to be read.
    next: u64,
    /// When they last acted in records of a type.
    last: BTreeMap<RecordType, i64>,
}

/// The rules that keep people known.
fn rules(state: &DirectoryState) -> impl Iterator<Item = (RecordType, Retention)> {
    let rules = state.retention_rules.values().map(|record| &record.rule);
    rules
        .filter_map(|rule| Some((rule.record_type()?, rule.retention()?)))
        .filter(|(_, retention)| retention.keeps_identities)
}

impl Deeds {
    /// Reads what a person did, as far back as it matters at `now`; goes on from `known` where that is about the same. `None`
    /// where no rule asks.
    pub async fn of(
        ledger: &LedgerReader,
        state: &DirectoryState,
        subject: &str,
        now: i64,
        known: Option<Self>,
    ) -> Result<Option<Self>, Problem> {
        let Some(years) = rules(state).map(|(_, retention)| retention.years).max() else { return Ok(None) };
        let since = now.saturating_sub(LONGEST_YEAR.saturating_mul(i64::from(years)));
        let who = Subject::of(state, subject);
        let read = async {
            let mut deeds = match known.filter(|known| known.who == who && known.since <= since) {
                Some(known) => known,
                None => {
                    let next = first_since(ledger, since).await?;
                    Self { who, since, next, schedules: BTreeMap::new(), last: BTreeMap::new() }
                }
            };
            deeds.read_on(ledger).await?;
            Ok::<_, StoreError>(deeds)
        };
        read.await.map(Some).map_err(|error| Problem::store_unavailable(&error))
    }

    async fn read_on(&mut self, ledger: &LedgerReader) -> Result<(), StoreError> {
        loop {
            let page = ledger.entries(self.next, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            self.next = last.position.saturating_add(1);
            for entry in &page {
                if let Ok(record_type) = RecordType::parse("", &entry.stream.stream_type)
                    && (self.is_theirs(record_type, entry)
                        || self.is_of_their_schedule(ledger, record_type, entry).await?)
                {
                    self.last.insert(record_type, entry.recorded_at);
                }
            }
        }
    }

    fn is_theirs(&self, record_type: RecordType, entry: &Entry) -> bool {
        self.who.is(&entry.actor.id)
            || self.says(&entry.metadata, &["/on_behalf_of"])
            || entry.payload.as_deref().is_some_and(|payload| self.says(payload, who_acted(record_type)))
    }

    /// Whether an entry was made by a schedule that runs in the person's name: its first entry says whose it is. The directory
    /// does not know all that have ended.
    async fn is_of_their_schedule(
        &mut self,
        ledger: &LedgerReader,
        record_type: RecordType,
        entry: &Entry,
    ) -> Result<bool, StoreError> {
        if record_type != RecordType::ExportSchedule || entry.event_type != SCHEDULE_RUN {
            return Ok(false);
        }
        if let Some(&is_theirs) = self.schedules.get(&entry.stream.stream_id) {
            return Ok(is_theirs);
        }
        let first = ledger.stream(&entry.stream, 1, 1).await?;
        let is_theirs = first.first().is_some_and(|first| self.is_theirs(record_type, first));
        self.schedules.insert(entry.stream.stream_id.clone(), is_theirs);
        Ok(is_theirs)
    }

    /// Whether one of these places in a JSON text says that it was the person. It is read only where it could say so.
    fn says(&self, json: &str, places: &[&str]) -> bool {
        !places.is_empty()
            && self.who.is_named_in(json)
            && serde_json::from_str::<Value>(json).is_ok_and(|said| {
                let mut said = places.iter().filter_map(|place| said.pointer(place)?.as_str());
                said.any(|id| self.who.is(id))
            })
    }

    /// The rules of `state` that keep the person known at `now`, and until when.
    pub fn retained(&self, state: &DirectoryState, now: i64) -> Vec<Retained> {
        let keeps = |(record_type, retention): (RecordType, Retention)| {
            let last = Timestamp::from_micros(*self.last.get(&record_type)?)?;
            let until = keep_until(last, retention.years);
            (now < until.micros()).then_some(Retained { record_type, years: retention.years, until })
        };
        rules(state).filter_map(keeps).collect()
    }
}

/// Where the payloads of records say who acted, beside the actor of the entry: as JSON pointers. Who is merely told of is none
/// of them, and who agreed to something acted in the record of the approval.
const fn who_acted(record_type: RecordType) -> &'static [&'static str] {
    match record_type {
        // Whom the recorder saw reading, or being denied something. Who failed to log in is not known to be anybody.
        RecordType::Access => &["/actor_id"],
        // The owner of a schedule, in whose name it asks; and whoever did not vote himself but had another do it.
        RecordType::Approval => &[
            "/requester/actor",
            "/requester/person",
            "/actor",
            "/person",
            "/by",
            "/vote/actor",
            "/vote/person",
            "/vote/on_behalf_of",
        ],
        // The same, for what a schedule makes.
        RecordType::Export => &["/requested_by", "/person", "/by"],
        RecordType::ExportSchedule => &["/created_by", "/person", "/by"],
        _ => &[],
    }
}

/// Position of the first entry that was recorded at `since` or later. Entries stand in the order of their times.
async fn first_since(ledger: &LedgerReader, since: i64) -> Result<u64, StoreError> {
    let (mut low, mut high) = (0, ledger.head().await?.size);
    while low < high {
        let middle = low + (high - low) / 2;
        match ledger.entries(middle, 1).await?.first() {
            Some(entry) if entry.recorded_at < since => low = middle.saturating_add(1),
            _ => high = middle,
        }
    }
    Ok(low)
}
