//! Are versions gapless in each stream, in the order of positions? Answered without a map of all streams.
//!
//! Each entry leaves a record of fixed size: a keyed hash of its stream's name, its position and its version. Records
//! are parted by the first byte of the hash; when many have come together, all parts go to one scratch file. At the end
//! each part is read in the order of positions with a map of its own streams, several parts at once. A part with too
//! many streams for its map is read several times, for some of the streams each time, so memory is bounded whatever
//! the ledger holds.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Records in memory before they go to the scratch file: 16 MB.
const MEMORY_RECORDS: usize = 500_000;
/// Streams in one part's map.
const MAP_STREAMS: usize = 500_000;
/// Records read from the scratch file at once.
const READ_RECORDS: usize = 2_048;
/// Breaks kept from one turn.
const KEPT_BREAKS: usize = 1_000;
const PARTS: usize = 256;

/// What an entry leaves: whose version it is, where it stands and which version it is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Record {
    stream: u128,
    position: u64,
    version: u64,
}

const RECORD_BYTES: usize = 32;

impl Record {
    fn to_bytes(self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        let (stream, rest) = bytes.split_at_mut(16);
        let (position, version) = rest.split_at_mut(8);
        stream.copy_from_slice(&self.stream.to_le_bytes());
        position.copy_from_slice(&self.position.to_le_bytes());
        version.copy_from_slice(&self.version.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Self {
        let number = |from: usize| {
            let bytes = bytes.get(from..).and_then(|rest| rest.first_chunk::<8>());
            bytes.copied().map_or(0, u64::from_le_bytes)
        };
        let stream = u128::from(number(0)) | u128::from(number(8)) << 64;
        Self { stream, position: number(16), version: number(24) }
    }

    fn part(&self) -> usize {
        let [first, ..] = self.stream.to_le_bytes();
        usize::from(first)
    }
}

/// Names streams in records: 128 bits under keys that are drawn for each verification. Whoever wrote the ledger does not
/// know them, so nobody can choose two names that are taken for one.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamNames {
    low: RandomState,
    high: RandomState,
}

impl StreamNames {
    /// The record of an entry.
    pub(crate) fn record(&self, stream_type: &str, stream_id: &str, position: u64, version: u64) -> Record {
        let hash = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            // The length keeps apart what would otherwise run together: "a" + "bc" and "ab" + "c".
            hasher.write_usize(stream_type.len());
            hasher.write(stream_type.as_bytes());
            hasher.write(stream_id.as_bytes());
            hasher.finish()
        };
        let stream = u128::from(hash(&self.low)) | u128::from(hash(&self.high)) << 64;
        Record { stream, position, version }
    }
}

/// A stream that does not go on as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VersionBreak {
    pub(crate) position: u64,
    pub(crate) expected: u64,
    pub(crate) actual: u64,
}

/// Collects records and reads them stream by stream.
#[derive(Debug)]
pub(crate) struct StreamVersions {
    parts: Vec<Part>,
    in_memory: usize,
    memory_records: usize,
    map_streams: usize,
    scratch: Option<Scratch>,
    /// Streams may start with any version: not all of the ledger is there.
    partial: bool,
}

#[derive(Debug, Default)]
struct Part {
    /// What lies in the scratch file, in the order of positions: first record and number of records.
    spilled: Vec<(u64, usize)>,
    tail: Vec<Record>,
}

#[derive(Debug)]
struct Scratch {
    file: File,
    records: u64,
    buffer: Vec<u8>,
}

impl StreamVersions {
    pub(crate) fn new(partial: bool) -> Self {
        Self { partial, ..Self::bounded(MEMORY_RECORDS, MAP_STREAMS) }
    }

    fn bounded(memory_records: usize, map_streams: usize) -> Self {
        let parts = std::iter::repeat_with(Part::default).take(PARTS).collect();
        Self { parts, in_memory: 0, memory_records, map_streams, scratch: None, partial: false }
    }

    /// Notes entries, in the order of their positions.
    pub(crate) fn add(&mut self, records: &[Record]) -> io::Result<()> {
        for record in records {
            if let Some(part) = self.parts.get_mut(record.part()) {
                part.tail.push(*record);
            }
        }
        self.in_memory += records.len();
        if self.in_memory >= self.memory_records {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        let scratch = match &mut self.scratch {
            Some(scratch) => scratch,
            none => none.insert(Scratch { file: tempfile::tempfile()?, records: 0, buffer: Vec::new() }),
        };
        for part in &mut self.parts {
            if part.tail.is_empty() {
                continue;
            }
            scratch.buffer.clear();
            part.tail.iter().for_each(|record| scratch.buffer.extend_from_slice(&record.to_bytes()));
            scratch.file.write_all(&scratch.buffer)?;
            part.spilled.push((scratch.records, part.tail.len()));
            scratch.records += part.tail.len() as u64;
            // What one crowded part needed is not kept for ever in each of them.
            if part.tail.capacity() > self.memory_records / 16 {
                part.tail = Vec::new();
            }
            part.tail.clear();
        }
        self.in_memory = 0;
        Ok(())
    }

    /// Reads everything with `threads` threads, calls `found` for each break, and returns the number of streams.
    ///
    /// After a break the stream is taken to go on from the version that was found, so that one break is one call.
    pub(crate) fn finish(self, threads: usize, found: impl FnMut(VersionBreak) + Send) -> io::Result<u64> {
        let (found, file) = (Mutex::new(found), self.scratch.map(|scratch| Mutex::new(scratch.file)));
        let next = AtomicUsize::new(0);
        let work = || -> io::Result<u64> {
            let mut reading = Reading {
                file: file.as_ref(),
                most: self.map_streams,
                partial: self.partial,
                map: HashMap::with_hasher(Named),
                buffer: Vec::new(),
            };
            let mut streams = 0;
            while let Some(part) = self.parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                streams += reading.part(part, &found)?;
            }
            Ok(streams)
        };
        // What a thread costs is only worth it where there is something to do.
        if threads <= 1 || file.is_none() && self.in_memory < 20_000 {
            return work();
        }
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            running.into_iter().try_fold(0, |streams, thread| match thread.join() {
                Ok(counted) => Ok(streams + counted?),
                Err(_) => Err(io::Error::other("a thread that checked stream versions stopped")),
            })
        })
    }
}

/// Streams' names are hashes already.
#[derive(Debug, Clone, Copy, Default)]
struct Named;

struct NamedHasher(u64);

impl BuildHasher for Named {
    type Hasher = NamedHasher;
    fn build_hasher(&self) -> NamedHasher {
        NamedHasher(0)
    }
}

impl Hasher for NamedHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u128(&mut self, name: u128) {
        if let Some(high) = name.to_be_bytes().first_chunk::<8>() {
            self.0 = u64::from_be_bytes(*high);
        }
    }
}

/// One thread's reading of parts.
struct Reading<'a> {
    file: Option<&'a Mutex<File>>,
    most: usize,
    partial: bool,
    map: HashMap<u128, u64, Named>,
    buffer: Vec<u8>,
}

/// The streams whose turn it is: those of a part whose name leaves this remainder.
#[derive(Debug, Clone, Copy)]
struct Turn {
    modulus: u128,
    remainder: u128,
}

impl Turn {
    fn has(self, record: &Record) -> bool {
        // Not by the bits that the part was chosen by.
        (record.stream >> 8) % self.modulus == self.remainder
    }
}

impl Reading<'_> {
    fn part(&mut self, part: &Part, found: &Mutex<impl FnMut(VersionBreak)>) -> io::Result<u64> {
        let tell = |one: VersionBreak| (found.lock().unwrap_or_else(PoisonError::into_inner))(one);
        let mut streams = 0;
        let mut turns = vec![Turn { modulus: 1, remainder: 0 }];
        while let Some(turn) = turns.pop() {
            let Turn { modulus, remainder } = turn;
            let (mut breaks, mut more) = (Vec::new(), false);
            let fits = self.read(part, turn, |one| match breaks.len() < KEPT_BREAKS {
                true => breaks.push(one),
                false => more = true,
            })?;
            if !fits {
                turns
                    .extend([remainder, remainder + modulus].map(|remainder| Turn { modulus: modulus * 2, remainder }));
                continue;
            }
            streams += self.map.len() as u64;
            match more {
                false => breaks.into_iter().for_each(tell),
                // Too many to keep: told while they are found once more, now that the turn is known to come to its end.
                true => {
                    self.read(part, turn, tell)?;
                }
            }
        }
        Ok(streams)
    }

    /// Reads the records of the streams whose turn it is. False where there are too many streams.
    fn read(&mut self, part: &Part, turn: Turn, mut found: impl FnMut(VersionBreak)) -> io::Result<bool> {
        self.map.clear();
        for (first, count) in &part.spilled {
            let mut done = 0;
            while done < *count {
                let records = READ_RECORDS.min(count - done);
                self.buffer.resize(records * RECORD_BYTES, 0);
                if let Some(file) = self.file {
                    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                    file.seek(SeekFrom::Start((first + done as u64) * RECORD_BYTES as u64))?;
                    file.read_exact(&mut self.buffer)?;
                }
                done += records;
                let (read, _) = self.buffer.as_chunks::<RECORD_BYTES>();
                for record in read.iter().map(Record::from_bytes).filter(|record| turn.has(record)) {
                    check(&mut self.map, record, self.partial, &mut found);
                }
                if self.map.len() > self.most {
                    return Ok(false);
                }
            }
        }
        // The tail is in memory already, so its streams are not counted against the bound.
        for record in part.tail.iter().filter(|record| turn.has(record)) {
            check(&mut self.map, *record, self.partial, &mut found);
        }
        Ok(true)
    }
}

fn check(map: &mut HashMap<u128, u64, Named>, record: Record, partial: bool, found: &mut impl FnMut(VersionBreak)) {
    let Record { stream, position, version: actual } = record;
    let first = match partial {
        true => actual.saturating_sub(1),
        false => 0,
    };
    let version = map.entry(stream).or_insert(first);
    let expected = version.saturating_add(1);
    *version = actual;
    if actual != expected {
        found(VersionBreak { position, expected, actual });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaks(memory_records: usize, map_streams: usize, entries: &[(&str, u64)]) -> (u64, Vec<VersionBreak>) {
        let names = StreamNames::default();
        let mut versions = StreamVersions::bounded(memory_records, map_streams);
        for (position, (stream, version)) in (0..).zip(entries) {
            versions.add(&[names.record("transaction", stream, position, *version)]).unwrap();
        }
        let mut found = Vec::new();
        let streams = versions.finish(3, |one| found.push(one)).unwrap();
        found.sort_by_key(|one| one.position);
        (streams, found)
    }

    #[test]
    fn interleaved_streams_without_gaps_are_accepted_whether_spilled_or_not() {
        let names: Vec<String> = (0..3_700).map(|number| format!("TX-{number}")).collect();
        let entries: Vec<(&str, u64)> =
            (0..40_000_u64).map(|index| (names[(index % 3_700) as usize].as_str(), index / 3_700 + 1)).collect();
        for memory_records in [1, 700, 9_999, 40_000, 100_000] {
            for map_streams in [1, 2, 5, 1_000] {
                let found = breaks(memory_records, map_streams, &entries);
                assert_eq!(found, (3_700, Vec::new()), "{memory_records} in memory, {map_streams} in a map");
            }
        }
    }

    #[test]
    fn gap_repetition_and_wrong_order_are_each_found_once_at_their_position() {
        let entries =
            [("a", 1), ("b", 1), ("a", 3), ("a", 4), ("b", 1), ("b", 2), ("c", 2), ("d", 1), ("d", 3), ("d", 2)];
        for memory_records in [1, 2, 100] {
            let (streams, found) = breaks(memory_records, 1, &entries);
            assert_eq!(streams, 4);
            let found: Vec<_> = found.iter().map(|one| (one.position, one.expected, one.actual)).collect();
            assert_eq!(found, [(2, 2, 3), (4, 2, 1), (6, 1, 2), (8, 2, 3), (9, 4, 2)]);
        }
    }

    #[test]
    fn more_breaks_than_are_kept_are_all_told() {
        let entries: Vec<(&str, u64)> = (0..5_000).map(|_| ("a", 7)).collect();
        for memory_records in [10, 100_000] {
            let (streams, found) = breaks(memory_records, 10, &entries);
            assert_eq!((streams, found.len()), (1, 5_000));
            assert!((0..).zip(&found).all(|(position, one)| one.position == position));
        }
    }

    #[test]
    fn names_that_would_run_together_are_different_streams() {
        let names = StreamNames::default();
        let mut versions = StreamVersions::new(false);
        versions.add(&[names.record("a", "bc", 0, 1), names.record("ab", "c", 1, 1)]).unwrap();
        assert_eq!(versions.finish(1, |_| panic!("no break")).unwrap(), 2);
    }

    #[test]
    fn part_of_a_ledger_may_start_with_any_version() {
        let names = StreamNames::default();
        let mut versions = StreamVersions::new(true);
        let records = [("a", 4), ("b", 9), ("a", 5), ("a", 7)];
        for (position, (stream, version)) in (0..).zip(records) {
            versions.add(&[names.record("t", stream, position, version)]).unwrap();
        }
        let mut found = Vec::new();
        assert_eq!(versions.finish(1, |one| found.push(one)).unwrap(), 2);
        assert_eq!(found, [VersionBreak { position: 3, expected: 6, actual: 7 }]);
    }
}
