//! Are versions gapless in each stream, in the order of positions? Answered without a map of all streams.
//!
//! Each entry leaves a record of fixed size: a prefix of the BLAKE3 hash of its stream's name, its position and its
//! version. Records are sorted in memory in runs; full runs go to one scratch file, and at the end all runs are
//! merged, stream by stream. Memory is bounded by one run and one small buffer for each run on disk.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

/// Records in a run: 16 MB.
const RUN_RECORDS: usize = 500_000;
/// Records read at once from a run on disk.
const BUFFER_RECORDS: usize = 512;
const RECORD_BYTES: usize = 32;

/// 16 bytes of stream key, then position and version big-endian, so that plain byte order is the order wanted.
type Record = [u8; RECORD_BYTES];

/// What names a stream in a record: half a BLAKE3 hash, for which finding two alike takes 2⁶⁴ tries.
type StreamName = [u8; 16];

/// A stream that does not go on as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VersionBreak {
    pub(crate) position: u64,
    pub(crate) expected: u64,
    pub(crate) actual: u64,
}

/// Collects records and sorts them outside of memory.
#[derive(Debug)]
pub(crate) struct StreamVersions {
    run: Vec<Record>,
    run_records: usize,
    spilled: Option<Spilled>,
    name: Vec<u8>,
}

#[derive(Debug)]
struct Spilled {
    file: File,
    /// Length of each run in records; they lie one after the other.
    runs: Vec<u64>,
}

impl StreamVersions {
    pub(crate) fn new() -> Self {
        Self::with_run_records(RUN_RECORDS)
    }

    fn with_run_records(run_records: usize) -> Self {
        Self { run: Vec::new(), run_records, spilled: None, name: Vec::with_capacity(256) }
    }

    /// Notes an entry.
    pub(crate) fn add(&mut self, stream_type: &str, stream_id: &str, position: u64, version: u64) -> io::Result<()> {
        // The length keeps apart what would otherwise run together: "a" + "bc" and "ab" + "c".
        self.name.clear();
        self.name.extend_from_slice(&stream_type.len().to_le_bytes());
        self.name.extend_from_slice(stream_type.as_bytes());
        self.name.extend_from_slice(stream_id.as_bytes());
        let hash = blake3::hash(&self.name);
        let (stream, _) = hash.as_bytes().split_at(16);
        let mut record = [0; RECORD_BYTES];
        let (name, rest) = record.split_at_mut(16);
        let (place, count) = rest.split_at_mut(8);
        name.copy_from_slice(stream);
        place.copy_from_slice(&position.to_be_bytes());
        count.copy_from_slice(&version.to_be_bytes());
        self.run.push(record);
        if self.run.len() >= self.run_records {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.run.sort_unstable();
        let spilled = match &mut self.spilled {
            Some(spilled) => spilled,
            none => none.insert(Spilled { file: tempfile::tempfile()?, runs: Vec::new() }),
        };
        spilled.file.write_all(self.run.as_flattened())?;
        spilled.runs.push(self.run.len().try_into().unwrap_or(u64::MAX));
        self.run.clear();
        Ok(())
    }

    /// Merges all runs, calls `found` for each break, and returns the number of streams.
    ///
    /// After a break the stream is taken to go on from the version that was found, so that one break is one call.
    pub(crate) fn finish(mut self, mut found: impl FnMut(VersionBreak)) -> io::Result<u64> {
        self.run.sort_unstable();
        let mut check = Check { stream: None, version: 0, streams: 0 };
        let Some(mut spilled) = self.spilled else {
            self.run.iter().for_each(|record| check.record(record, &mut found));
            return Ok(check.streams);
        };
        let mut start = 0;
        let mut runs = Vec::with_capacity(spilled.runs.len() + 1);
        for records in &spilled.runs {
            runs.push(Run { next: start, end: start + records, buffer: Vec::new(), taken: 0 });
            start += records;
        }
        // The run still in memory needs no file: all of it is its buffer.
        runs.push(Run { next: start, end: start, buffer: self.run, taken: 0 });
        let mut heap = BinaryHeap::with_capacity(runs.len());
        for (index, run) in runs.iter_mut().enumerate() {
            heap.extend(run.take(&mut spilled.file)?.map(|record| Reverse((record, index))));
        }
        while let Some(Reverse((record, index))) = heap.pop() {
            check.record(&record, &mut found);
            if let Some(run) = runs.get_mut(index) {
                heap.extend(run.take(&mut spilled.file)?.map(|record| Reverse((record, index))));
            }
        }
        Ok(check.streams)
    }
}

/// A sorted run while it is merged. `next` and `end` count records in the file.
#[derive(Debug)]
struct Run {
    next: u64,
    end: u64,
    buffer: Vec<Record>,
    taken: usize,
}

impl Run {
    fn take(&mut self, file: &mut File) -> io::Result<Option<Record>> {
        if self.taken >= self.buffer.len() {
            let left = usize::try_from(self.end - self.next).unwrap_or(usize::MAX);
            let records = left.min(BUFFER_RECORDS);
            self.taken = 0;
            self.buffer.resize(records, [0; RECORD_BYTES]);
            if records > 0 {
                file.seek(SeekFrom::Start(self.next * RECORD_BYTES as u64))?;
                file.read_exact(self.buffer.as_flattened_mut())?;
                self.next += records as u64;
            }
        }
        let record = self.buffer.get(self.taken).copied();
        self.taken += 1;
        Ok(record)
    }
}

/// Walks records in order of stream and position.
struct Check {
    stream: Option<StreamName>,
    version: u64,
    streams: u64,
}

impl Check {
    fn record(&mut self, record: &Record, found: &mut impl FnMut(VersionBreak)) {
        let Some((stream, rest)) = record.split_first_chunk::<16>() else { return };
        let Some((position, rest)) = rest.split_first_chunk::<8>() else { return };
        let Some(version) = rest.first_chunk::<8>() else { return };
        let (position, actual) = (u64::from_be_bytes(*position), u64::from_be_bytes(*version));
        if self.stream.as_ref() != Some(stream) {
            self.stream = Some(*stream);
            self.version = 0;
            self.streams += 1;
        }
        let expected = self.version.saturating_add(1);
        if actual != expected {
            found(VersionBreak { position, expected, actual });
        }
        self.version = actual;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaks(run_records: usize, entries: &[(&str, u64)]) -> (u64, Vec<VersionBreak>) {
        let mut versions = StreamVersions::with_run_records(run_records);
        for (position, (stream, version)) in (0..).zip(entries) {
            versions.add("transaction", stream, position, *version).unwrap();
        }
        let mut found = Vec::new();
        let streams = versions.finish(|one| found.push(one)).unwrap();
        found.sort_by_key(|one| one.position);
        (streams, found)
    }

    #[test]
    fn interleaved_streams_without_gaps_are_accepted_whether_spilled_or_not() {
        let names: Vec<String> = (0..37).map(|number| format!("TX-{number}")).collect();
        let entries: Vec<(&str, u64)> =
            (0..5_000_u64).map(|index| (names[(index % 37) as usize].as_str(), index / 37 + 1)).collect();
        for run_records in [1, 3, 700, 1_000, 4_999, 5_000, 10_000] {
            assert_eq!(breaks(run_records, &entries), (37, Vec::new()), "runs of {run_records}");
        }
    }

    #[test]
    fn gap_repetition_and_wrong_order_are_each_found_once_at_their_position() {
        let entries =
            [("a", 1), ("b", 1), ("a", 3), ("a", 4), ("b", 1), ("b", 2), ("c", 2), ("d", 1), ("d", 3), ("d", 2)];
        for run_records in [2, 100] {
            let (streams, found) = breaks(run_records, &entries);
            assert_eq!(streams, 4);
            let found: Vec<_> = found.iter().map(|one| (one.position, one.expected, one.actual)).collect();
            assert_eq!(found, [(2, 2, 3), (4, 2, 1), (6, 1, 2), (8, 2, 3), (9, 4, 2)]);
        }
    }

    #[test]
    fn names_that_would_run_together_are_different_streams() {
        let mut versions = StreamVersions::new();
        versions.add("a", "bc", 0, 1).unwrap();
        versions.add("ab", "c", 1, 1).unwrap();
        assert_eq!(versions.finish(|_| panic!("no break")).unwrap(), 2);
    }
}
