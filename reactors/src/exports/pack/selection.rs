//! Which entries are in a pack. A record that is touched is there from its first entry on; of everything else there are the
//! entries themselves.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use daybook_identity::directory::HoldCover;
use daybook_ledger::{Entry, LedgerReader, StoreError, StreamKey};
use futures::StreamExt as _;
use sqlx::Row as _;

use super::anchors::{Anchors, MAX_ANCHORS, anchors};
use super::fold::is_record;
use super::holds::Holds;
use super::{Pack, PackError, entries};

/// Entries of a stream read at once.
const PAGE: usize = 500;
/// Values of one query.
const VALUES: usize = 500;

/// What was chosen.
pub(super) struct Selection {
    /// Positions, ascending, each once.
    pub positions: Vec<u64>,
    /// Where each record begins, by its type.
    pub records: BTreeMap<String, Vec<u64>>,
    /// Position after the period's last entry: how far records are told.
    pub until: u64,
    /// What is told up to the present: the export itself, its approval.
    pub own: [StreamKey; 2],
    /// The holds on what is in it.
    pub holds: Holds,
    /// Time stamps.
    pub anchors: Anchors,
    /// Positions of time stamps that are in it for what they prove, and not because they were asked for.
    pub beside: Vec<u64>,
    /// Streams that were asked for and have no entry by the end of the period.
    pub missing: Vec<StreamKey>,
    /// Everybody whose doing was asked for.
    pub subjects: Vec<String>,
    /// Those of them who did nothing within the period, and for whom nothing was done.
    pub idle: Vec<String>,
    /// Position and time of the last entry that is taken into account, where the period had not ended with it.
    pub open_at: Option<(u64, i64)>,
}

impl Selection {
    /// Position after the last.
    pub(super) fn end(&self) -> u64 {
        self.positions.last().map_or(0, |last| last.saturating_add(1))
    }

    /// Up to where a stream is told.
    pub(super) fn cut(&self, key: &StreamKey, size: u64) -> u64 {
        if is_told_to_the_present(key, &self.own) { size } else { self.until }
    }
}

/// Holds are told as they stand now: what matters is whether something may be disposed of.
fn is_told_to_the_present(key: &StreamKey, own: &[StreamKey; 2]) -> bool {
    key.stream_type == "legal_hold" || own.contains(key)
}

/// Chooses entries, and never more than there may be.
struct Picker<'a> {
    reader: &'a LedgerReader,
    most: u64,
    size: u64,
    until: u64,
    own: [StreamKey; 2],
    holds: Holds,
    positions: Vec<u64>,
    records: BTreeMap<String, Vec<u64>>,
    /// A digest of each record that is in it.
    seen: HashSet<u128>,
}

impl Picker<'_> {
    fn push(&mut self, position: u64) -> Result<(), PackError> {
        self.positions.push(position);
        // Some are pushed twice; those are not counted.
        if self.positions.len() as u64 > self.most.saturating_mul(2) {
            self.settle()?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), PackError> {
        self.positions.sort_unstable();
        self.positions.dedup();
        if self.positions.len() as u64 > self.most { Err(PackError::TooManyEntries(self.most)) } else { Ok(()) }
    }

    fn is_new(&mut self, key: &StreamKey) -> bool {
        let mut hasher = blake3::Hasher::new();
        hasher.update(key.stream_type.as_bytes()).update(b"/").update(key.stream_id.as_bytes());
        let mut digest = [0; 16];
        hasher.finalize_xof().fill(&mut digest);
        self.seen.insert(u128::from_le_bytes(digest))
    }

    /// A record with its whole life, and the holds on it. Answers whether it has any entry.
    async fn record(&mut self, key: &StreamKey) -> Result<bool, PackError> {
        let mut open = vec![key.clone()];
        let mut has_entries = false;
        while let Some(next) = open.pop() {
            if !self.is_new(&next) {
                has_entries |= next == *key;
                continue;
            }
            let found = self.whole(&next).await?;
            has_entries |= found && next == *key;
            open.extend(self.hold_streams(self.holds.on(&next)));
        }
        Ok(has_entries)
    }

    fn hold_streams(&self, holds: Vec<String>) -> Vec<StreamKey> {
        holds.into_iter().filter_map(|hold| StreamKey::new("legal_hold", hold).ok()).collect()
    }

    async fn whole(&mut self, key: &StreamKey) -> Result<bool, PackError> {
        let cut = if is_told_to_the_present(key, &self.own) { self.size } else { self.until };
        let mut version = 1;
        loop {
            let page = self.reader.stream(key, version, PAGE).await?;
            let inside: Vec<u64> = page.iter().map(|entry| entry.position).filter(|position| *position < cut).collect();
            if let (1, Some(first), true) = (version, inside.first(), is_record(&key.stream_type)) {
                self.records.entry(key.stream_type.clone()).or_default().push(*first);
            }
            let is_last = page.len() < PAGE || inside.len() < page.len();
            for position in inside {
                self.push(position)?;
                version += 1;
            }
            if is_last {
                return Ok(version > 1);
            }
        }
    }

    /// An entry of the period.
    async fn entry(&mut self, entry: &Entry, all_come: bool) -> Result<(), PackError> {
        if !is_record(&entry.stream.stream_type) {
            return self.push(entry.position);
        }
        // Where all entries come, those that follow the first of a record come by themselves: those of the period.
        let comes_by_itself = all_come && entry.version == 1 && !is_told_to_the_present(&entry.stream, &self.own);
        if comes_by_itself && self.is_new(&entry.stream) {
            self.records.entry(entry.stream.stream_type.clone()).or_default().push(entry.position);
            for hold in self.hold_streams(self.holds.on(&entry.stream)) {
                self.record(&hold).await?;
            }
        } else {
            self.record(&entry.stream).await?;
        }
        self.push(entry.position)
    }
}

impl Pack<'_> {
    /// Chooses at most `most` entries.
    pub(super) async fn select(&self, most: u64) -> Result<Selection, PackError> {
        let reader = &self.driver.reader;
        let (from, until) =
            (self.first_from(self.query.start).await?, self.first_from(self.query.end.saturating_add(1)).await?);
        let own =
            [key("export", self.request.export_id.as_str())?, key("approval", self.request.approval_id.as_str())?];
        let mut picker = Picker {
            reader,
            most,
            size: self.size,
            until,
            own: own.clone(),
            holds: Holds::at(reader, self.directory.holds.values().map(AsRef::as_ref), self.size, self.query.start)
                .await?,
            positions: Vec::new(),
            records: BTreeMap::new(),
            seen: HashSet::new(),
        };
        for stream in &own {
            picker.record(stream).await?;
        }
        let (named, subjects) = self.named(&picker.holds)?;
        let mut missing = Vec::new();
        for stream in &named {
            if !picker.record(stream).await? {
                missing.push(stream.clone());
            }
        }
        for subject in &subjects {
            // Not everybody who acts has an account: programs and the system have none.
            picker.record(&key("user", subject)?).await?;
            for hold in picker.hold_streams(picker.holds.on_subject(subject)) {
                picker.record(&hold).await?;
            }
        }
        for approval in self.approvals_about(&named, until).await? {
            picker.record(&key("approval", &approval)?).await?;
        }
        let everything = self.query.is_of_everything();
        let mut idle: BTreeSet<&str> = subjects.iter().map(String::as_str).collect();
        if everything || !subjects.is_empty() {
            // Of more than twice as many nothing is read at all.
            if everything && until.saturating_sub(from) > most {
                return Err(PackError::TooManyEntries(most));
            }
            let whose: HashSet<&str> = subjects.iter().map(String::as_str).collect();
            let mut entries = std::pin::pin!(reader.range(from, until));
            while let Some(entry) = entries.next().await.transpose()? {
                let by = if everything { Vec::new() } else { by_whom(&entry, &whose) };
                if everything || !by.is_empty() {
                    picker.entry(&entry, everything).await?;
                }
                by.iter().for_each(|id| {
                    idle.remove(id);
                });
            }
        }
        picker.settle()?;
        let first = picker.positions.first().copied().unwrap_or(0);
        // The entries on the matter itself, without the request for the pack.
        let last = picker.positions.iter().rev().find(|position| **position < until).copied().unwrap_or(first);
        let anchors = anchors(reader, self.size, (first, last), MAX_ANCHORS).await?;
        let is_beside = |position: &&u64| picker.positions.binary_search(position).is_err();
        let beside = anchors.positions.iter().filter(is_beside).copied().collect();
        for position in &anchors.positions {
            picker.push(*position)?;
        }
        picker.settle()?;
        let open_at = if until == self.size { self.last_entry().await? } else { None };
        let idle = idle.into_iter().map(str::to_owned).collect();
        let Picker { positions, mut records, holds, .. } = picker;
        records.values_mut().for_each(|firsts| {
            firsts.sort_unstable();
            firsts.dedup();
        });
        Ok(Selection { positions, records, until, own, holds, anchors, beside, missing, subjects, idle, open_at })
    }

    /// Position and time of the last entry that is taken into account.
    async fn last_entry(&self) -> Result<Option<(u64, i64)>, PackError> {
        let Some(last) = self.size.checked_sub(1) else { return Ok(None) };
        let found = self.driver.reader.entries(last, 1).await?.into_iter().next();
        let entry = found.filter(|entry| entry.position == last).ok_or(PackError::Missing(last))?;
        Ok(Some((last, entry.recorded_at)))
    }

    /// What is asked for by name, and what the hold covers: streams and people.
    fn named(&self, holds: &Holds) -> Result<(Vec<StreamKey>, Vec<String>), PackError> {
        let mut named: Vec<StreamKey> = self.query.streams.clone();
        let mut subjects: BTreeSet<String> = self.query.subjects.iter().cloned().collect();
        if let Some(id) = &self.query.hold {
            let unknown = || daybook_exports::kinds::InvalidQuery {
                field: "filters.hold".to_owned(),
                why: format!("there is no legal hold {id}"),
            };
            for cover in holds.covered_by(id).ok_or_else(unknown)? {
                match cover {
                    HoldCover::Subject { id } => {
                        subjects.insert(id.clone());
                    }
                    HoldCover::Stream { stream_type, stream_id } => {
                        named.extend(StreamKey::new(stream_type, stream_id).ok());
                    }
                }
            }
            named.extend(StreamKey::new("legal_hold", id.as_str()).ok());
        }
        Ok((named, subjects.into_iter().collect()))
    }

    /// Requests for approval of what was to be done with these records.
    async fn approvals_about(&self, named: &[StreamKey], until: u64) -> Result<Vec<String>, PackError> {
        let mut found = Vec::new();
        for chunk in named.chunks(VALUES) {
            let places: Vec<String> = (3..).take(chunk.len()).map(|number| format!("${number}")).collect();
            let sql = format!(
                "select approval_id from approvals where ledger_id = $1 and first_position < $2 and resource_id in ({}) \
                 order by first_position",
                places.join(", ")
            );
            let mut query =
                sqlx::query(&sql).bind(self.driver.reader.id().as_str()).bind(i64::try_from(until).unwrap_or(i64::MAX));
            for stream in chunk {
                query = query.bind(stream.stream_id.as_str());
            }
            for row in query.fetch_all(self.driver.database.readers()).await? {
                found.push(row.try_get(0)?);
            }
        }
        Ok(found)
    }

    /// Position of the first entry that was recorded at `time` or later: times never go back.
    async fn first_from(&self, time: i64) -> Result<u64, PackError> {
        let (mut low, mut high) = (0, self.size);
        while low < high {
            let middle = low + (high - low) / 2;
            let found = self.driver.reader.entries(middle, 1).await?.into_iter().next();
            let entry = found.filter(|entry| entry.position == middle).ok_or(PackError::Missing(middle))?;
            if entry.recorded_at < time { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }
}

pub(super) fn key(stream_type: &str, id: &str) -> Result<StreamKey, PackError> {
    StreamKey::new(stream_type, id).map_err(|error| StoreError::Unavailable(error.to_string()).into())
}

/// Those of `whose` who did it, or for whom it was done.
fn by_whom<'a>(entry: &Entry, whose: &HashSet<&'a str>) -> Vec<&'a str> {
    let on_behalf_of = entries::metadata(entry, "on_behalf_of");
    let ids = std::iter::once(entry.actor.id.as_str()).chain(on_behalf_of.as_deref());
    ids.filter_map(|id| whose.get(id).copied()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::sync::Arc;

    use daybook_ledger::sequencer::Unobserved;
    use daybook_ledger::store::sqlite::SqliteStore;
    use daybook_ledger::{Actor, Append, Draft, Ledger, LedgerId};

    use super::*;

    async fn append(ledger: &Ledger, stream: &StreamKey, version: u64) {
        let append = Append {
            stream: stream.clone(),
            expected_version: version,
            events: vec![Draft::new("incident.commented", 1, "{}".to_owned())],
            actor: Actor::human("usr_1"),
            metadata: r#"{"on_behalf_of":"usr_2"}"#.to_owned(),
            command: None,
        };
        ledger.append(append).await.unwrap();
    }

    #[tokio::test]
    async fn records_come_whole_up_to_the_end_and_never_more_than_there_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
        let ledger = Ledger::open(store, LedgerId::main(), Arc::new(|| 1), Arc::new(Unobserved)).await.unwrap();
        let (one, other) = (key("incident", "inc_1").unwrap(), key("incident", "inc_2").unwrap());
        for version in 0..30 {
            append(&ledger, &one, version).await;
            append(&ledger, &other, version).await;
        }
        let picker = |most: u64| Picker {
            reader: ledger.reader(),
            most,
            size: 60,
            until: 40,
            own: [key("export", "exp_1").unwrap(), key("approval", "apr_1").unwrap()],
            holds: Holds::default(),
            positions: Vec::new(),
            records: BTreeMap::new(),
            seen: HashSet::new(),
        };
        let mut whole = picker(20);
        assert!(whole.record(&one).await.unwrap());
        assert!(!whole.record(&key("incident", "inc_3").unwrap()).await.unwrap());
        // Once more, and an entry of it that comes by itself: nothing twice.
        whole.record(&one).await.unwrap();
        let entries = ledger.entries(20, 1).await.unwrap();
        whole.entry(&entries[0], false).await.unwrap();
        whole.settle().unwrap();
        assert_eq!(whole.positions, (0..40).step_by(2).collect::<Vec<u64>>());
        assert_eq!(whole.records["incident"], [0]);
        assert_eq!(by_whom(&entries[0], &HashSet::from(["usr_2", "usr_3"])), ["usr_2"]);
        assert_eq!(by_whom(&entries[0], &HashSet::from(["usr_1", "usr_2"])), ["usr_1", "usr_2"]);
        assert!(by_whom(&entries[0], &HashSet::from(["usr_3"])).is_empty());

        let mut too_many = picker(19);
        let outcome = async {
            too_many.record(&one).await?;
            too_many.settle()
        };
        let refused = outcome.await.unwrap_err();
        assert!(matches!(refused, PackError::TooManyEntries(19)) && refused.is_permanent(), "{refused}");
        // A long stream ends the search soon after twice as many.
        let mut soon = picker(5);
        assert!(soon.record(&one).await.is_err());
    }

    #[tokio::test]
    async fn what_is_told_to_the_present_is_there_to_the_present_also_where_everything_is() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
        let ledger = Ledger::open(store, LedgerId::main(), Arc::new(|| 1), Arc::new(Unobserved)).await.unwrap();
        let own = [key("export", "exp_1").unwrap(), key("approval", "apr_1").unwrap()];
        let (hold, incident) = (key("legal_hold", "hld_1").unwrap(), key("incident", "inc_1").unwrap());
        // Each begins within the period and goes on after it, which ends with the fourth entry.
        for version in 0..2 {
            for stream in [&hold, &incident, &own[0], &own[1]] {
                append(&ledger, stream, version).await;
            }
        }
        let mut picker = Picker {
            reader: ledger.reader(),
            most: 100,
            size: 8,
            until: 4,
            own: own.clone(),
            holds: Holds::default(),
            positions: Vec::new(),
            records: BTreeMap::new(),
            seen: HashSet::new(),
        };
        for entry in ledger.entries(0, 4).await.unwrap() {
            picker.entry(&entry, true).await.unwrap();
        }
        picker.settle().unwrap();
        // Of the incident, what is told is what is there as well: its first entry.
        assert_eq!(picker.positions, [0, 1, 2, 3, 4, 6, 7]);
    }
}
