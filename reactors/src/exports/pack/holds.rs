//! Legal holds on what is in a pack, as the entries up to the pack's end have them: the directory may know more already, and
//! a hold that nothing in the pack shows is not to be told.

use std::collections::{BTreeMap, HashMap};

use cqrs_es::Aggregate;
use daybook_domain::AnyEvent;
use daybook_domain::events::decode;
use daybook_domain::legal_hold::{Covered, LegalHold, LegalHoldEvent};
use daybook_identity::directory::{HoldCover, HoldRecord};
use daybook_ledger::{LedgerReader, StreamKey};

use super::PackError;

/// Entries of a hold read at once.
const PAGE: usize = 100;

/// Legal holds, and those that were in force at any time since the period began by what they cover.
#[derive(Debug, Default)]
pub(super) struct Holds {
    /// What each covers, also those that were released before.
    covers: BTreeMap<String, Vec<HoldCover>>,
    by_stream: HashMap<StreamKey, Vec<String>>,
    by_subject: HashMap<String, Vec<String>>,
}

impl Holds {
    /// Of the first `size` entries. `known` are those of a directory that has taken at least as many into account.
    pub(super) async fn at(
        reader: &LedgerReader,
        known: impl Iterator<Item = &HoldRecord>,
        size: u64,
        start: i64,
    ) -> Result<Self, PackError> {
        let mut holds = Self::default();
        for hold in known {
            let (covers, released_at) = if hold.place.position < size {
                (hold.covers.clone(), hold.released_at)
            } else {
                match folded(reader, &hold.hold_id, size).await? {
                    Some(standing) => standing,
                    None => continue,
                }
            };
            if released_at.is_none_or(|at| at >= start) {
                holds.add(&hold.hold_id, &covers);
            }
            holds.covers.insert(hold.hold_id.clone(), covers);
        }
        Ok(holds)
    }

    fn add(&mut self, id: &str, covers: &[HoldCover]) {
        for cover in covers {
            match cover {
                HoldCover::Subject { id: subject } => {
                    self.by_subject.entry(subject.clone()).or_default().push(id.to_owned());
                }
                HoldCover::Stream { stream_type, stream_id } => {
                    let Ok(key) = StreamKey::new(stream_type, stream_id) else { continue };
                    self.by_stream.entry(key).or_default().push(id.to_owned());
                }
            }
        }
    }

    /// What a hold covers; `None` where there is no such hold.
    pub(super) fn covered_by(&self, id: &str) -> Option<&[HoldCover]> {
        self.covers.get(id).map(Vec::as_slice)
    }

    /// Those that a record is under.
    pub(super) fn on(&self, key: &StreamKey) -> Vec<String> {
        let as_person = (key.stream_type == "user").then(|| self.by_subject.get(&key.stream_id)).flatten();
        let mut holds: Vec<String> = self.by_stream.get(key).into_iter().chain(as_person).flatten().cloned().collect();
        holds.sort_unstable();
        holds.dedup();
        holds
    }

    /// Those that somebody is under, with or without an account.
    pub(super) fn on_subject(&self, subject: &str) -> Vec<String> {
        self.by_subject.get(subject).cloned().unwrap_or_default()
    }
}

/// What a hold covers by its entries among the first `size`, and when it was released; `None` where it was not placed yet.
async fn folded(
    reader: &LedgerReader,
    id: &str,
    size: u64,
) -> Result<Option<(Vec<HoldCover>, Option<i64>)>, PackError> {
    let Ok(stream) = StreamKey::new("legal_hold", id) else { return Ok(None) };
    let (mut hold, mut released_at, mut version) = (LegalHold::default(), None, 1);
    loop {
        let page = reader.stream(&stream, version, PAGE).await?;
        let is_last = page.len() < PAGE || page.last().is_some_and(|entry| entry.position >= size);
        for entry in page.iter().filter(|entry| entry.position < size) {
            version = entry.version.saturating_add(1);
            let payload = entry.payload.as_deref().unwrap_or_default();
            // What cannot be read changes nothing, as in the directory.
            let read = decode("legal_hold", &entry.event_type, entry.schema_version, payload);
            let Ok(AnyEvent::LegalHold(event)) = read else { continue };
            if matches!(event, LegalHoldEvent::Released(_)) {
                released_at.get_or_insert(entry.recorded_at);
            }
            hold.apply(event);
        }
        if is_last {
            break;
        }
    }
    let covers = hold.covers().map(|covered| match covered {
        Covered::Subject { id } => HoldCover::Subject { id: id.to_string() },
        Covered::Stream { stream_type, stream_id } => {
            HoldCover::Stream { stream_type: stream_type.to_string(), stream_id: stream_id.to_string() }
        }
    });
    Ok(hold.exists().then(|| (covers.collect(), released_at)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::sync::Arc;

    use daybook_identity::directory::Place;
    use daybook_ledger::sequencer::Unobserved;
    use daybook_ledger::store::sqlite::SqliteStore;
    use daybook_ledger::{Actor, Append, Draft, Ledger, LedgerId};

    use super::*;

    fn stream(id: &str) -> HoldCover {
        HoldCover::Stream { stream_type: "transaction".to_owned(), stream_id: id.to_owned() }
    }

    #[tokio::test]
    async fn holds_are_those_of_the_entries_and_not_of_a_directory_that_knows_more() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
        let ledger = Ledger::open(store, LedgerId::main(), Arc::new(|| 7), Arc::new(Unobserved)).await.unwrap();
        let covers = |id: &str| format!(r#"[{{"kind":"stream","stream_type":"transaction","stream_id":"{id}"}}]"#);
        let placed = |id: &str| {
            format!(r#"{{"hold_id":"{id}","matter":"Case 7","reason":"a court","covers":{}}}"#, covers("TX-1"))
        };
        for (id, version, event_type, payload) in [
            ("hld_1", 0, "legal_hold.placed", placed("hld_1")),
            ("hld_1", 1, "legal_hold.extended", format!(r#"{{"covers":{}}}"#, covers("TX-2"))),
            ("hld_1", 2, "legal_hold.released", r#"{"reason":"over"}"#.to_owned()),
            ("hld_2", 0, "legal_hold.placed", placed("hld_2")),
        ] {
            let append = Append {
                stream: StreamKey::new("legal_hold", id).unwrap(),
                expected_version: version,
                events: vec![Draft::new(event_type, 1, payload)],
                actor: Actor::human("usr_1"),
                metadata: "{}".to_owned(),
                command: None,
            };
            ledger.append(append).await.unwrap();
        }
        // As the directory has them after all four entries.
        let known = |id: &str, position: u64, released_at, covers| HoldRecord {
            hold_id: id.to_owned(),
            matter: "Case 7".to_owned(),
            reason: "a court".to_owned(),
            covers,
            placed_by: "usr_1".to_owned(),
            released_at,
            place: Place { version: 1, position, created_at: 7, changed_at: 7 },
        };
        let known = [
            known("hld_1", 2, Some(7), vec![stream("TX-1"), stream("TX-2")]),
            known("hld_2", 3, None, vec![stream("TX-1")]),
        ];
        let key = |id: &str| StreamKey::new("transaction", id).unwrap();
        // Of one entry, of two, of three with a period that begins later, of all.
        for (size, start, on_one, on_two, second_is_known) in [
            (1, 0, vec!["hld_1"], vec![], false),
            (2, 8, vec!["hld_1"], vec!["hld_1"], false),
            (3, 8, vec![], vec![], false),
            (4, 0, vec!["hld_1", "hld_2"], vec!["hld_1"], true),
        ] {
            let holds = Holds::at(ledger.reader(), known.iter(), size, start).await.unwrap();
            assert_eq!((holds.on(&key("TX-1")), holds.on(&key("TX-2"))), (owned(&on_one), owned(&on_two)), "{size}");
            assert_eq!(holds.covered_by("hld_2").is_some(), second_is_known, "{size}");
            assert_eq!(holds.covered_by("hld_1").unwrap().len(), if size == 1 { 1 } else { 2 });
        }
    }

    fn owned(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }
}
