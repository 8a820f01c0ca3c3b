//! Which exports have a file, as the ledger tells it. Each entry is read once: a later question only reads what came since.

use std::collections::{BTreeMap, HashMap};

use daybook_domain::export::ExportKind;
use daybook_http_kit::Problem;
use daybook_ledger::{Entry, LedgerReader};

/// Entries that are read at once.
const PAGE: usize = 500;
/// Most entries that one call reads.
const MAX_ENTRIES: u64 = 2_000_000;
/// Most bytes of payloads that one call reads: 256 MiB.
const MAX_BYTES: usize = 256 * 1024 * 1024;
/// The type of the streams of exports.
const STREAM_TYPE: &str = "export";
const REQUESTED: &str = "export.requested";
const GENERATED: &str = "export.generated";
const REJECTED: &str = "export.rejected";
const CANCELLED: &str = "export.cancelled";
const REMOVED: &str = "export.removed";

/// One export with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    pub(super) id: String,
    /// What is in it; `None` where its request cannot be read here.
    pub(super) kind: Option<ExportKind>,
    /// When its file was recorded, in microseconds.
    pub(super) at: i64,
}

/// All exports with a file, in the order in which they were made, up to an entry of the ledger.
#[derive(Debug, Default)]
pub(crate) struct MadeExports {
    seen: u64,
    by_position: BTreeMap<u64, Made>,
    positions: HashMap<String, u64>,
    /// Of what kind those are that were asked for and have no file yet.
    coming: HashMap<String, Option<ExportKind>>,
}

impl MadeExports {
    /// Reads on, to the ledger's end or as far as one call goes. Answers how many entries are left to be read.
    pub(super) async fn read_on(&mut self, reader: &LedgerReader) -> Result<u64, Problem> {
        self.read_at_most(reader, MAX_ENTRIES, MAX_BYTES).await
    }

    async fn read_at_most(&mut self, reader: &LedgerReader, entries: u64, bytes: usize) -> Result<u64, Problem> {
        let unavailable = |error| Problem::store_unavailable(&error);
        let size = reader.head().await.map_err(unavailable)?.size;
        let end = size.min(self.seen.saturating_add(entries));
        let mut left = bytes;
        while self.seen < end && left > 0 {
            let count = usize::try_from(end - self.seen).unwrap_or(PAGE).min(PAGE);
            let page = reader.entries(self.seen, count).await.map_err(unavailable)?;
            if page.is_empty() {
                break;
            }
            for entry in &page {
                left = left.saturating_sub(entry.payload.as_ref().map_or(0, String::len).max(1));
                self.fold(entry);
            }
        }
        Ok(size.saturating_sub(self.seen))
    }

    fn fold(&mut self, entry: &Entry) {
        if entry.stream.stream_type == STREAM_TYPE {
            let id = entry.stream.stream_id.as_str();
            match entry.event_type.as_str() {
                REQUESTED => {
                    self.coming.insert(id.to_owned(), kind_of(entry));
                }
                GENERATED => {
                    let kind = self.coming.remove(id).flatten();
                    self.positions.insert(id.to_owned(), entry.position);
                    let made = Made { id: id.to_owned(), kind, at: entry.recorded_at };
                    self.by_position.insert(entry.position, made);
                }
                REJECTED | CANCELLED => {
                    self.coming.remove(id);
                }
                REMOVED => {
                    if let Some(position) = self.positions.remove(id) {
                        self.by_position.remove(&position);
                    }
                }
                _ => {}
            }
        }
        self.seen = entry.position.saturating_add(1);
    }

    /// The newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Made> {
        self.by_position.values().rev()
    }
}

fn kind_of(entry: &Entry) -> Option<ExportKind> {
    #[derive(serde::Deserialize)]
    struct Kind {
        kind: ExportKind,
    }
    serde_json::from_str::<Kind>(entry.payload.as_deref()?).ok().map(|payload| payload.kind)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::sync::Arc;

    use daybook_ledger::sequencer::{Unobserved, system_clock};
    use daybook_ledger::store::sqlite::SqliteStore;
    use daybook_ledger::{Actor, Append, Draft, Ledger, LedgerId, StreamKey};

    use super::*;

    async fn record(ledger: &Ledger, stream: &str, id: &str, version: u64, name: &str) {
        let append = Append {
            stream: StreamKey::new(stream, id).unwrap(),
            expected_version: version - 1,
            events: vec![Draft::new(name.to_owned(), 1, r#"{"kind":"incidents"}"#.to_owned())],
            actor: Actor::human("usr_1"),
            metadata: "{}".to_owned(),
            command: None,
        };
        ledger.append(append).await.unwrap();
    }

    fn ids(made: &MadeExports) -> Vec<&str> {
        made.newest_first().map(|made| made.id.as_str()).collect()
    }

    #[tokio::test]
    async fn none_is_missed_however_much_lies_between_and_however_little_one_call_reads() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
        let ledger = Ledger::open(store, LedgerId::main(), system_clock(), Arc::new(Unobserved)).await.unwrap();
        for id in ["exp_1", "exp_2", "exp_3"] {
            record(&ledger, "export", id, 1, "export.requested").await;
            record(&ledger, "export", id, 2, "export.generated").await;
            for number in 0..20 {
                record(&ledger, "transaction", &format!("{id}-{number}"), 1, "transaction.recorded").await;
            }
        }
        record(&ledger, "export", "exp_2", 3, "export.removed").await;
        let mut made = MadeExports::default();
        let (mut calls, mut left) = (0, u64::MAX);
        while left > 0 {
            let before = left;
            left = made.read_at_most(ledger.reader(), 10, usize::MAX).await.unwrap();
            assert!(left < before);
            calls += 1;
        }
        assert_eq!((ids(&made), calls), (vec!["exp_3", "exp_1"], 7));
        assert_eq!(made.newest_first().next().unwrap().kind, Some(ExportKind::Incidents));
        record(&ledger, "export", "exp_4", 1, "export.requested").await;
        record(&ledger, "export", "exp_4", 2, "export.generated").await;
        assert_eq!(made.read_on(ledger.reader()).await.unwrap(), 0);
        assert_eq!(ids(&made), ["exp_4", "exp_3", "exp_1"]);
        // A bound of bytes still gets on.
        let mut made = MadeExports::default();
        assert!(made.read_at_most(ledger.reader(), u64::MAX, 1).await.unwrap() < 67);
    }
}
