//! The time stamps of a pack: what authorities outside said of the entries in it, as entries and as files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_exports::bundle::Kind;
use daybook_exports::pack::{Report, Timestamp};
use daybook_ledger::checkpoint::STREAM_TYPE;
use daybook_ledger::note::SignedNote;
use daybook_ledger::{LedgerReader, StreamKey};

use super::entries::Chosenly;
use super::selection::{Selection, key};
use super::writing::Zip;
use super::{Pack, PackError};
use crate::anchor::{ANCHORED, RecordedAnchor};

/// Entries of the ledger's own stream read at once.
const PAGE: u64 = 100;
/// Most time stamps of a pack.
pub(super) const MAX_ANCHORS: usize = 1_000;

/// Time stamps that were chosen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Anchors {
    /// Positions, ascending.
    pub positions: Vec<u64>,
    /// Whether there are earlier ones over something in the pack, for which there was no room.
    pub is_cut: bool,
}

/// Where an anchor stands.
struct Found {
    version: u64,
    position: u64,
    /// Entries that it covers.
    size: u64,
}

/// Time stamps among the first `size` entries, at most `most`: the first that covers the entry at `last`, since what a later
/// one covers was there before, and those nearest before it that cover the entry at `first`.
pub(super) async fn anchors(
    reader: &LedgerReader,
    size: u64,
    (first, last): (u64, u64),
    most: usize,
) -> Result<Anchors, PackError> {
    let stream = key(STREAM_TYPE, reader.id().as_str())?;
    // An anchor stands behind what it covers.
    let begin = version_from(reader, &stream, first, size).await?;
    let end = version_from(reader, &stream, size, size).await?;
    let covering = first_over(reader, &stream, (begin, end), last).await?;
    let mut until = covering.as_ref().map_or(end, |anchor| anchor.version);
    let mut anchors = Anchors::default();
    anchors.positions.extend(covering.map(|anchor| anchor.position));
    while until > begin && !anchors.is_cut {
        let from = until.saturating_sub(PAGE).max(begin);
        for anchor in read(reader, &stream, from, until).await?.into_iter().rev().filter(|anchor| anchor.size > first) {
            if anchors.positions.len() >= most {
                anchors.is_cut = true;
                break;
            }
            anchors.positions.push(anchor.position);
        }
        until = from;
    }
    anchors.positions.sort_unstable();
    Ok(anchors)
}

/// The first anchor of the versions from `begin` until before `end` that covers the entry at `position`. Each covers at least
/// as much as the one before.
async fn first_over(
    reader: &LedgerReader,
    stream: &StreamKey,
    (begin, end): (u64, u64),
    position: u64,
) -> Result<Option<Found>, PackError> {
    let (mut low, mut high, mut found) = (begin, end, None);
    while low < high {
        let middle = low + (high - low) / 2;
        match next(reader, stream, middle, high).await? {
            Some(anchor) if anchor.size <= position => low = anchor.version.saturating_add(1),
            other => {
                found = other.or(found);
                high = middle;
            }
        }
    }
    Ok(found)
}

/// The first anchor of the versions from `from` until before `until`: seals stand between them.
async fn next(
    reader: &LedgerReader,
    stream: &StreamKey,
    mut from: u64,
    until: u64,
) -> Result<Option<Found>, PackError> {
    while from < until {
        let end = from.saturating_add(PAGE).min(until);
        if let Some(anchor) = read(reader, stream, from, end).await?.into_iter().next() {
            return Ok(Some(anchor));
        }
        from = end;
    }
    Ok(None)
}

/// The anchors of a page of versions.
async fn read(reader: &LedgerReader, stream: &StreamKey, from: u64, until: u64) -> Result<Vec<Found>, PackError> {
    let limit = usize::try_from(until.saturating_sub(from)).unwrap_or(usize::MAX);
    let page = reader.stream(stream, from, limit).await?;
    let anchors = page.iter().filter(|entry| entry.version < until).filter_map(|entry| {
        // One that cannot be read is the auditor's business.
        let anchor = RecordedAnchor::of(entry).ok().flatten()?;
        Some(Found { version: entry.version, position: entry.position, size: anchor.size })
    });
    Ok(anchors.collect())
}

/// Version of the stream's first entry at `position` or later.
async fn version_from(reader: &LedgerReader, stream: &StreamKey, position: u64, size: u64) -> Result<u64, PackError> {
    // A stream has no more versions than the ledger has entries.
    let (mut low, mut high) = (1, size.saturating_add(1));
    while low < high {
        let middle = low + (high - low) / 2;
        let found = reader.stream(stream, middle, 1).await?.into_iter().next();
        if found.is_some_and(|entry| entry.position < position) { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

impl Pack<'_> {
    /// Each token with the text that it is over.
    pub(super) async fn write_timestamps(
        &self,
        selection: &Selection,
        zip: &mut Zip,
        report: &mut Report,
    ) -> Result<(), PackError> {
        report.proof.timestamps_cut = selection.anchors.is_cut;
        let mut chosen = Chosenly::new(&self.driver.reader, &selection.anchors.positions);
        while let Some(page) = chosen.next().await? {
            for entry in page.iter().filter(|entry| entry.event_type == ANCHORED) {
                let Ok(Some(anchor)) = RecordedAnchor::of(entry) else { continue };
                let (Ok(token), Ok(note)) = (STANDARD.decode(&anchor.token), SignedNote::parse(&anchor.checkpoint))
                else {
                    continue;
                };
                let position = entry.position;
                zip.archive.add(&format!("timestamps/{position}.token"), Kind::Hashes, &token)?;
                zip.archive.add(&format!("timestamps/{position}.txt"), Kind::Text, note.body.as_bytes())?;
                let (size, at, authority) = (anchor.size, anchor.generated_at, anchor.tsa);
                report.proof.timestamps.push(Timestamp { position, size, at, authority });
            }
            zip.hand_on().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::sync::Arc;

    use daybook_ledger::sequencer::Unobserved;
    use daybook_ledger::store::sqlite::SqliteStore;
    use daybook_ledger::{Actor, Append, Draft, Hash, Ledger, LedgerId};

    use super::*;

    /// Three entries at a time, 150 times: a record's, a seal's, and every third time a time stamp over all before it.
    async fn stamped(folder: &std::path::Path) -> (Ledger, Vec<(u64, u64)>) {
        let store = Arc::new(SqliteStore::open(folder.join("ledger.db")).unwrap());
        let ledger = Ledger::open(store, LedgerId::main(), Arc::new(|| 1), Arc::new(Unobserved)).await.unwrap();
        let (mut size, mut version, mut anchors) = (0, 0, Vec::new());
        for round in 0..150 {
            let anchor = RecordedAnchor {
                size,
                root: Hash::from_slice(&[7; 32]).unwrap(),
                checkpoint: String::new(),
                tsa: "https://tsa.example".to_owned(),
                generated_at: "2026-11-21T10:00:00Z".to_owned(),
                token: String::new(),
            };
            let own = |event: &str, payload: String| ("ledger", "main", Draft::new(event, 1, payload));
            let mut drafts = vec![
                ("incident", "inc_1", Draft::new("incident.commented", 1, "{}".to_owned())),
                own("ledger.sealed", "{}".to_owned()),
            ];
            if round % 3 == 2 {
                drafts.push(own(ANCHORED, serde_json::to_string(&anchor).unwrap()));
                anchors.push((size + 2, size));
            }
            for (stream_type, id, draft) in drafts {
                let is_own = stream_type == "ledger";
                let append = Append {
                    stream: StreamKey::new(stream_type, id).unwrap(),
                    expected_version: if is_own { version } else { round },
                    events: vec![draft],
                    actor: Actor::system("sequencer"),
                    metadata: "{}".to_owned(),
                    command: None,
                };
                ledger.append(append).await.unwrap();
                version += u64::from(is_own);
                size += 1;
            }
        }
        (ledger, anchors)
    }

    #[tokio::test]
    async fn the_stamp_that_covers_everything_is_there_and_those_nearest_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let (ledger, all) = stamped(folder.path()).await;
        let size = ledger.head().await.unwrap().size;
        for last in (0..size).step_by(7) {
            for (first, most) in [(0, 4), (last / 2, 4), (last, 4), (last / 2, 1_000)] {
                let covering = all.iter().position(|(_, covered)| *covered > last);
                let upto = covering.map_or(all.len(), |place| place + 1);
                let candidates: Vec<u64> =
                    all[..upto].iter().filter(|(_, covered)| *covered > first).map(|(position, _)| *position).collect();
                let expected = candidates[candidates.len().saturating_sub(most)..].to_vec();
                let found = anchors(ledger.reader(), size, (first, last), most).await.unwrap();
                assert_eq!(found, Anchors { positions: expected, is_cut: candidates.len() > most }, "{first} {last}");
            }
        }
        // What was stamped after the pack's entries is not known to it.
        let (position, _) = all[20];
        let before = anchors(ledger.reader(), position, (0, position - 1), 2).await.unwrap();
        assert_eq!(before.positions, [all[18].0, all[19].0]);
    }
}
