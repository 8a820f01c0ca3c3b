//! The reader's side of a verification: takes the rows of a whole store, ledger after ledger, and sends them off in
//! batches; tells how far it has come.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Instant;

use crate::batch::Batch;
use crate::cell::{Cell, EntryRow, LedgerKey, Problems};
use crate::chain::{Picked, Start, rate};
use crate::hashing::Rows;
use crate::head::HeadRow;
use crate::merkle::TILE_WIDTH;
use crate::pipeline::{Pipeline, Step};
use crate::report::{Finding, FindingKind, Part, Report, StoredCheckpoint};
use crate::seen::{EntrySeen, EntryViewer};
use crate::source::{Progress, SourceError, VerifyOptions};

/// Rows between two calls of the progress function.
const PROGRESS_ROWS: u64 = 16_384;
/// Stored tiles in a batch: 2 MB.
const TILE_ROWS: usize = 256;

/// Findings on the store as a whole that are kept.
const KEPT_FINDINGS: usize = 1_000;

/// The state of reading a store. `progress` answers whether to go on.
pub(crate) struct Walk<P> {
    ledger: Option<String>,
    progress: P,
    heads: BTreeMap<LedgerKey, Vec<HeadRow>>,
    meter: Meter,
    pipeline: Pipeline,
    has_tiles: bool,
    current: Option<Arc<LedgerKey>>,
    batch: Batch,
    viewer: Option<EntryViewer>,
    findings: Vec<Finding>,
    entries: u64,
    started: Instant,
}

impl<P: FnMut(Progress) -> bool> Walk<P> {
    /// Starts with all heads: one row a ledger, so they fit in memory. `has_tiles` says whether the store keeps tiles.
    pub(crate) fn new(
        options: &VerifyOptions,
        heads: Vec<HeadRow>,
        has_tiles: bool,
        progress: P,
    ) -> Result<Self, SourceError> {
        let expected = heads.iter().filter_map(|head| head.size).fold(0, u64::saturating_add);
        let mut by_ledger: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for head in heads {
            by_ledger.entry(head.key.clone()).or_default().push(head);
        }
        Ok(Self {
            ledger: options.ledger.clone(),
            progress,
            heads: by_ledger,
            meter: Meter::new(expected),
            pipeline: Pipeline::start(options)?,
            has_tiles,
            current: None,
            batch: Batch::default(),
            viewer: options.entries.clone(),
            findings: Vec::new(),
            entries: 0,
            started: Instant::now(),
        })
    }

    /// Whether a row belongs to the ledger that is being read.
    pub(crate) fn continues(&self, ledger_id: Cell<'_>) -> bool {
        self.current.as_ref().is_some_and(|current| current.matches(ledger_id))
    }

    /// The id of the ledger that is being read, where it is text.
    pub(crate) fn current_id(&self) -> Option<Vec<u8>> {
        self.current.as_ref().and_then(|current| current.text()).map(<[u8]>::to_vec)
    }

    /// Begins the next ledger. Its batches must have been sent: see [`Walk::send`].
    pub(crate) fn begin(&mut self, ledger_id: Cell<'_>) {
        self.begin_key(LedgerKey::of(ledger_id), 0, Picked::Not);
    }

    /// Begins a ledger of which the source holds only a part: from a position on, or entries that were picked.
    pub(crate) fn begin_part(&mut self, ledger_id: Cell<'_>, from: u64, picked: Picked) {
        self.begin_key(LedgerKey::of(ledger_id), from, picked);
    }

    fn begin_key(&mut self, key: LedgerKey, from: u64, picked: Picked) {
        let heads = self.heads.remove(&key).unwrap_or_default();
        let has_tiles = self.has_tiles && key.text().is_some();
        self.current = Some(Arc::new(key.clone()));
        self.pipeline.send(Step::Begin(Box::new(Start { key, heads, from, has_tiles, picked })));
    }

    /// Takes the next row of the ledger that was begun last, in the order of positions. True where the batch is full:
    /// then it must be sent before the next row.
    pub(crate) fn row(&mut self, cells: &[Cell<'_>; 16]) -> Result<bool, SourceError> {
        if let Some(viewer) = &self.viewer
            && let Some(fields) = EntryRow(*cells).fields(&mut Problems::default())
        {
            viewer.show(&EntrySeen::new(fields));
        }
        self.batch.push(cells)?;
        self.entries += 1;
        if self.entries.is_multiple_of(PROGRESS_ROWS) {
            self.tell()?;
        }
        let [_, position, ..] = cells;
        let at_edge = matches!(position, Cell::Integer(value) if value % TILE_WIDTH as i64 == TILE_WIDTH as i64 - 1);
        Ok(self.batch.is_full(16, at_edge))
    }

    /// Has the next `entries` entries of the ledger read by a hashing thread, as a stretch of `rows`. Progress counts
    /// them now: they are read while the next stretches wait.
    pub(crate) fn stretch_blocking(
        &mut self,
        rows: &Arc<dyn Rows>,
        stretch: u64,
        entries: u64,
    ) -> Result<(), SourceError> {
        let empty = self.pipeline.empty_blocking().ok_or_else(|| io::Error::other("the verification broke down"))?;
        if let Some(key) = &self.current {
            self.pipeline.send(Step::Stretch(Arc::clone(key), empty, Arc::clone(rows), stretch));
        }
        let before = self.entries / PROGRESS_ROWS;
        self.entries += entries;
        if self.entries / PROGRESS_ROWS > before { self.tell() } else { Ok(()) }
    }

    fn tell(&mut self) -> Result<(), SourceError> {
        let ledger_id = self.current.as_ref().map(|key| key.shown().to_owned()).unwrap_or_default();
        let progress = self.meter.progress(ledger_id, self.entries);
        if (self.progress)(progress) { Ok(()) } else { Err(SourceError::Stopped) }
    }

    /// Sends the rows off that have come together, and waits for a batch to fill.
    pub(crate) async fn send(&mut self) -> Result<(), SourceError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let empty = match self.pipeline.try_empty() {
            Some(empty) => Some(empty),
            None => self.pipeline.empty().await,
        };
        self.exchange(empty)
    }

    /// The same outside of an asynchronous task.
    pub(crate) fn send_blocking(&mut self) -> Result<(), SourceError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let empty = self.pipeline.empty_blocking();
        self.exchange(empty)
    }

    fn exchange(&mut self, empty: Option<Batch>) -> Result<(), SourceError> {
        let empty = empty.ok_or_else(|| io::Error::other("the verification broke down"))?;
        let full = std::mem::replace(&mut self.batch, empty);
        if let Some(key) = &self.current {
            self.pipeline.send(Step::Entries(Arc::clone(key), full));
        }
        Ok(())
    }

    /// Takes the next stored tile of the ledger, after its entries were sent. True where tiles must be sent before the
    /// next one.
    pub(crate) fn tile(&mut self, cells: &[Cell<'_>; 4]) -> Result<bool, SourceError> {
        self.batch.push(cells)?;
        Ok(self.batch.is_full(4, false) || self.batch.len(4) >= TILE_ROWS)
    }

    /// Sends off the tiles that have come together.
    pub(crate) async fn send_tiles(&mut self) -> Result<(), SourceError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let empty = self.pipeline.empty().await;
        self.exchange_tiles(empty)
    }

    /// The same outside of an asynchronous task.
    pub(crate) fn send_tiles_blocking(&mut self) -> Result<(), SourceError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let empty = self.pipeline.empty_blocking();
        self.exchange_tiles(empty)
    }

    fn exchange_tiles(&mut self, empty: Option<Batch>) -> Result<(), SourceError> {
        let empty = empty.ok_or_else(|| io::Error::other("the verification broke down"))?;
        let full = std::mem::replace(&mut self.batch, empty);
        self.pipeline.send(Step::Tiles(full));
        Ok(())
    }

    /// Number of the ledger's stored checkpoints, and the newest.
    pub(crate) fn checkpoints(&mut self, total: u64, newest: Vec<StoredCheckpoint>) {
        self.pipeline.send(Step::Checkpoints(total, newest));
    }

    /// What is known of a source that holds only a part of the ledger.
    pub(crate) fn part(&mut self, part: Part) {
        self.pipeline.send(Step::Part(Box::new(part)));
    }

    /// Something wrong with the store as a whole. The first thousand are kept.
    pub(crate) fn finding(&mut self, position: Option<i64>, kind: FindingKind, detail: String) {
        if self.findings.len() < KEPT_FINDINGS {
            self.findings.push(Finding { position, kind, detail });
        }
    }

    /// How many entries are expected, where no head tells.
    pub(crate) fn expect(&mut self, entries: u64) {
        self.meter.expected = entries;
    }

    /// [`Walk::finish`] in an asynchronous task.
    pub(crate) async fn finish_async(self, rows_in_table: Option<u64>) -> Result<Report, SourceError> {
        let finishing = self.last_steps(rows_in_table);
        let finished = tokio::task::spawn_blocking(move || finishing.report()).await;
        finished.map_err(|error| SourceError::Unreadable(error.to_string()))?
    }

    /// Everything was read and sent. `rows_in_table` is how many rows a scan of the table itself counts, without its
    /// indexes; none where there is no such table.
    pub(crate) fn finish(self, rows_in_table: Option<u64>) -> Result<Report, SourceError> {
        self.last_steps(rows_in_table).report()
    }

    fn last_steps(mut self, rows_in_table: Option<u64>) -> Finishing {
        // Ledgers that have a head and no entries.
        let left: Vec<_> = self.heads.keys().cloned().collect();
        for key in left {
            self.begin_key(key, 0, Picked::Not);
        }
        if let Some(rows) = rows_in_table.filter(|rows| *rows != self.entries) {
            let detail = format!(
                "the table holds {rows} rows, its primary key leads to {}: the database file is damaged",
                self.entries
            );
            self.finding(None, FindingKind::RowsOutsideIndex, detail);
        }
        Finishing {
            pipeline: self.pipeline,
            ledger: self.ledger,
            findings: self.findings,
            entries: self.entries,
            started: self.started,
        }
    }
}

/// What is left to do when everything was read: to wait.
struct Finishing {
    pipeline: Pipeline,
    ledger: Option<String>,
    findings: Vec<Finding>,
    entries: u64,
    started: Instant,
}

impl Finishing {
    fn report(self) -> Result<Report, SourceError> {
        let mut ledgers = self.pipeline.finish()?;
        if let Some(ledger) = self.ledger
            && ledgers.is_empty()
            && self.findings.is_empty()
        {
            return Err(SourceError::NoLedger(ledger));
        }
        ledgers.sort_by(|left, right| left.ledger_id.cmp(&right.ledger_id));
        let seconds = self.started.elapsed().as_secs_f64();
        Ok(Report {
            ledgers,
            findings: self.findings,
            entries: self.entries,
            seconds,
            entries_per_second: rate(self.entries, seconds),
        })
    }
}

/// Seconds over which the rate is taken.
const RATE_SECONDS: f64 = 5.0;

/// Tells rate and time left from the last few seconds.
#[derive(Debug)]
struct Meter {
    expected: u64,
    /// When so many entries were read; the first one is a little more than the span ago.
    marks: VecDeque<(Instant, u64)>,
}

impl Meter {
    fn new(expected: u64) -> Self {
        Self { expected, marks: VecDeque::from([(Instant::now(), 0)]) }
    }

    fn progress(&mut self, ledger_id: String, entries: u64) -> Progress {
        self.progress_at(Instant::now(), ledger_id, entries)
    }

    fn progress_at(&mut self, now: Instant, ledger_id: String, entries: u64) -> Progress {
        let age = |mark: &(Instant, u64)| now.saturating_duration_since(mark.0).as_secs_f64();
        while self.marks.get(1).is_some_and(|second| age(second) >= RATE_SECONDS) {
            self.marks.pop_front();
        }
        let per_second = self.marks.front().map_or(0.0, |first| rate(entries.saturating_sub(first.1), age(first)));
        // A mark every twentieth of the span is enough.
        if self.marks.back().is_none_or(|last| age(last) >= RATE_SECONDS / 20.0) {
            self.marks.push_back((now, entries));
        }
        let left = self.expected.checked_sub(entries).filter(|_| per_second > 0.0);
        Progress {
            ledger_id,
            entries,
            expected_entries: self.expected,
            entries_per_second: per_second,
            seconds_left: left.map(|left| left as f64 / per_second),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn rate_is_that_of_the_last_seconds_and_time_left_follows_from_it() {
        let mut meter = Meter::new(100_000);
        let start = Instant::now();
        let mut last = None;
        // A thousand a second for ten seconds, then two thousand.
        let mut entries = 0;
        for step in 1..=400_u64 {
            entries += if step <= 200 { 50 } else { 100 };
            last = Some(meter.progress_at(start + Duration::from_millis(50 * step), "main".to_owned(), entries));
        }
        let last = last.unwrap();
        assert_eq!((last.entries, last.expected_entries), (30_000, 100_000));
        assert!((1_990.0..2_010.0).contains(&last.entries_per_second), "{last:?}");
        assert!((34.0..36.0).contains(&last.seconds_left.unwrap()), "{last:?}");
        assert!(meter.marks.len() < 40, "bounded");
        let beyond = meter.progress_at(start + Duration::from_secs(21), "main".to_owned(), 200_000);
        assert_eq!(beyond.seconds_left, None, "the head is wrong, so nobody knows");
    }
}
