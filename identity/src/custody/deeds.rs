//! When somebody last acted, in records of each type: what keeps people known for as long as the rules say.
//!
//! Who acted is not indexed anywhere, so the ledger is read, from as long ago as the longest of the rules reaches. That is
//! done before the turn in which the erasure is decided, and in it only what came since.

use std::collections::{BTreeMap, BTreeSet};

use daybook_domain::Timestamp;
pub use daybook_domain::erasure::Retained;
use daybook_domain::retention_rule::{RecordType, Retention, keep_until};
use daybook_http_kit::Problem;
use daybook_ledger::{Entry, LedgerReader, StoreError};
use serde::Deserialize;

use crate::directory::DirectoryState;

/// Entries that are read at once.
const PAGE: usize = 1_000;
/// No year is longer, in microseconds.
const LONGEST_YEAR: i64 = 366 * 86_400 * 1_000_000;

/// What somebody did, as far as the ledger was read for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deeds {
    /// The person, and the keys that the person answers for.
    who: BTreeSet<String>,
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
        let keys = state.api_keys.values().filter(|key| key.accountable.as_deref() == Some(subject));
        let who: BTreeSet<String> =
            keys.map(|key| key.key_id.clone()).chain(std::iter::once(subject.to_owned())).collect();
        let read = async {
            let mut deeds = match known.filter(|known| known.who == who && known.since <= since) {
                Some(known) => known,
                None => {
                    let next = first_since(ledger, since).await?;
                    Self { who, since, next, last: BTreeMap::new() }
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
                    && self.is_theirs(entry)
                {
                    self.last.insert(record_type, entry.recorded_at);
                }
            }
        }
    }

    fn is_theirs(&self, entry: &Entry) -> bool {
        #[derive(Deserialize)]
        struct Metadata {
            on_behalf_of: Option<String>,
        }
        if self.who.contains(&entry.actor.id) {
            return true;
        }
        // Read only where it could say so.
        self.who.iter().any(|id| entry.metadata.contains(id.as_str()))
            && serde_json::from_str::<Metadata>(&entry.metadata)
                .is_ok_and(|metadata| metadata.on_behalf_of.is_some_and(|id| self.who.contains(&id)))
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
