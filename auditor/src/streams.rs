//! Are versions gapless in each stream, in the order of positions? Answered without a map of all streams.
//!
//! Each entry leaves a record: a keyed hash of its stream's name, its position and its version, mostly in 18 bytes. Records
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

/// Bytes of records in memory before they go to the scratch file.
const MEMORY_BYTES: usize = 16 << 20;
/// Streams in one part's map.
const MAP_STREAMS: usize = 500_000;
/// Bytes read from the scratch file at once.
const READ_BYTES: usize = 64 << 10;
/// Breaks kept from one turn.
const KEPT_BREAKS: usize = 1_000;
const PARTS: usize = 256;
/// Bytes of records up to which a part grows as any vector does.
const SMALL_TAIL_BYTES: usize = 1 << 10;
/// Bytes of records from which on a thread is worth what it costs.
const WORTH_A_THREAD: usize = 400_000;

/// What an entry leaves: whose version it is, where it stands and which version it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Record {
    stream: u128,
    position: u64,
    version: u64,
}

/// Bytes of a stream's name in a record: the first one says in which part it lies.
const NAME_BYTES: usize = 15;
/// Most bytes of a number: seven bits in each.
const NUMBER_BYTES: usize = 10;
const MOST_RECORD_BYTES: usize = NAME_BYTES + 2 * NUMBER_BYTES;

impl Record {
    fn part(&self) -> usize {
        let [first, ..] = self.stream.to_le_bytes();
        usize::from(first)
    }

    /// Appends the record to those of its part, of which the last has position `before`.
    fn write(&self, before: u64, records: &mut Vec<u8>) {
        // The name without its first byte; the last of these is zero.
        records.extend_from_slice(&(self.stream >> 8).to_le_bytes());
        records.pop();
        // In the order of positions, the next is mostly not far from the last; backwards it comes round again.
        for mut number in [self.position.wrapping_sub(before), self.version] {
            while number > 0x7F {
                records.push(0x80 | number.to_le_bytes()[0]);
                number >>= 7;
            }
            records.push(number.to_le_bytes()[0]);
        }
    }

    /// The first record of part `part`, which is taken off its records. None where it is not all there.
    fn read(part: u8, before: u64, records: &mut &[u8]) -> Option<Self> {
        let (name, mut rest) = records.split_first_chunk::<NAME_BYTES>()?;
        let mut stream = [part; NAME_BYTES + 1];
        stream.last_chunk_mut::<NAME_BYTES>()?.copy_from_slice(name);
        let mut number = || {
            let mut number = 0;
            for place in 0..NUMBER_BYTES {
                let (byte, after) = rest.split_first()?;
                rest = after;
                number |= u64::from(byte & 0x7F) << (7 * place);
                if byte & 0x80 == 0 {
                    return Some(number);
                }
            }
            None
        };
        let position = before.wrapping_add(number()?);
        let version = number()?;
        *records = rest;
        Some(Self { stream: u128::from_le_bytes(stream), position, version })
    }
}

/// Names streams in records: 128 bits under a key that is drawn for each verification. Whoever wrote the ledger does not
/// know it, so nobody can choose two names that are taken for one.
#[derive(Debug, Clone, Default)]
pub(crate) struct StreamNames {
    key: RandomState,
}

impl StreamNames {
    /// The record of an entry.
    pub(crate) fn record(&self, stream_type: &str, stream_id: &str, position: u64, version: u64) -> Record {
        let mut hasher = self.key.build_hasher();
        // The length keeps apart what would otherwise run together: "a" + "bc" and "ab" + "c".
        hasher.write_usize(stream_type.len());
        hasher.write(stream_type.as_bytes());
        hasher.write(stream_id.as_bytes());
        let low = hasher.finish();
        // The hash of one more byte is another 64 bits: SipHash's state is wider than both together.
        hasher.write_u8(0xFF);
        let stream = u128::from(low) | u128::from(hasher.finish()) << 64;
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
    memory_bytes: usize,
    map_streams: usize,
    scratch: Option<Scratch>,
    /// Streams may start with any version: not all of the ledger is there.
    partial: bool,
}

#[derive(Debug, Default)]
struct Part {
    /// What lies in the scratch file, in the order of positions: first byte and number of bytes.
    spilled: Vec<(u64, usize)>,
    tail: Vec<u8>,
    /// Position of the tail's last record.
    last: u64,
}

#[derive(Debug)]
struct Scratch {
    file: File,
    bytes: u64,
}

impl StreamVersions {
    pub(crate) fn new(partial: bool) -> Self {
        Self { partial, ..Self::bounded(MEMORY_BYTES, MAP_STREAMS) }
    }

    fn bounded(memory_bytes: usize, map_streams: usize) -> Self {
        let parts = std::iter::repeat_with(Part::default).take(PARTS).collect();
        Self { parts, in_memory: 0, memory_bytes, map_streams, scratch: None, partial: false }
    }

    /// Notes entries, in the order of their positions.
    pub(crate) fn add(&mut self, records: &[Record]) -> io::Result<()> {
        for record in records {
            if let Some(part) = self.parts.get_mut(record.part()) {
                let before = part.tail.len();
                // Beyond a small ledger, room for all that is to come: growing by doubling would move it again and again.
                if before >= SMALL_TAIL_BYTES && part.tail.capacity() - before < MOST_RECORD_BYTES {
                    part.tail.reserve(self.memory_bytes / PARTS);
                }
                record.write(part.last, &mut part.tail);
                part.last = record.position;
                self.in_memory += part.tail.len() - before;
            }
        }
        if self.in_memory >= self.memory_bytes {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        let scratch = match &mut self.scratch {
            Some(scratch) => scratch,
            none => none.insert(Scratch { file: tempfile::tempfile()?, bytes: 0 }),
        };
        for part in self.parts.iter_mut().filter(|part| !part.tail.is_empty()) {
            scratch.file.write_all(&part.tail)?;
            part.spilled.push((scratch.bytes, part.tail.len()));
            scratch.bytes += part.tail.len() as u64;
            // What one crowded part needed is not kept for ever in each of them.
            if part.tail.capacity() > self.memory_bytes / 16 {
                part.tail = Vec::new();
            }
            part.tail.clear();
            part.last = 0;
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
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let (Some(part), Ok(number)) = (self.parts.get(number), u8::try_from(number)) else { break };
                streams += reading.part(number, part, &found)?;
            }
            Ok(streams)
        };
        // What a thread costs is only worth it where there is something to do.
        if threads <= 1 || file.is_none() && self.in_memory < WORTH_A_THREAD {
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
    /// A power of two.
    modulus: u128,
    remainder: u128,
}

impl Turn {
    fn has(self, record: &Record) -> bool {
        // Not by the bits that the part was chosen by.
        (record.stream >> 8) & self.modulus.saturating_sub(1) == self.remainder
    }
}

impl Reading<'_> {
    fn part(&mut self, number: u8, part: &Part, found: &Mutex<impl FnMut(VersionBreak)>) -> io::Result<u64> {
        let tell = |one: VersionBreak| (found.lock().unwrap_or_else(PoisonError::into_inner))(one);
        let mut streams = 0;
        let mut turns = vec![Turn { modulus: 1, remainder: 0 }];
        while let Some(turn) = turns.pop() {
            let Turn { modulus, remainder } = turn;
            let (mut breaks, mut more) = (Vec::new(), false);
            let fits = self.read(number, part, turn, |one| match breaks.len() < KEPT_BREAKS {
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
                    self.read(number, part, turn, tell)?;
                }
            }
        }
        Ok(streams)
    }

    /// Reads the records of the streams whose turn it is. False where there are too many streams.
    fn read(&mut self, number: u8, part: &Part, turn: Turn, mut found: impl FnMut(VersionBreak)) -> io::Result<bool> {
        let Self { file, map, buffer, .. } = self;
        map.clear();
        let mut check_all = |position: &mut u64, records: &mut &[u8], map: &mut _| {
            while let Some(record) = Record::read(number, *position, records) {
                *position = record.position;
                if turn.has(&record) {
                    check(map, record, self.partial, &mut found);
                }
            }
        };
        for (first, length) in &part.spilled {
            let (mut done, mut position) = (0, 0);
            buffer.clear();
            while done < *length {
                // What is left is the beginning of a record.
                let left = buffer.len();
                let bytes = READ_BYTES.min(length - done);
                buffer.resize(left + bytes, 0);
                if let (Some(file), Some(place)) = (*file, buffer.get_mut(left..)) {
                    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                    file.seek(SeekFrom::Start(first + done as u64))?;
                    file.read_exact(place)?;
                }
                done += bytes;
                let mut records = buffer.as_slice();
                check_all(&mut position, &mut records, map);
                let taken = buffer.len() - records.len();
                buffer.drain(..taken);
                if map.len() > self.most {
                    return Ok(false);
                }
            }
        }
        // The tail is in memory already, so its streams are not counted against the bound.
        check_all(&mut 0, &mut part.tail.as_slice(), map);
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

    fn breaks(memory_bytes: usize, map_streams: usize, entries: &[(&str, u64)]) -> (u64, Vec<VersionBreak>) {
        let names = StreamNames::default();
        let mut versions = StreamVersions::bounded(memory_bytes, map_streams);
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
        for memory_bytes in [1, 14_000, 200_000, 750_000, 2_000_000] {
            for map_streams in [1, 2, 5, 1_000] {
                let found = breaks(memory_bytes, map_streams, &entries);
                assert_eq!(found, (3_700, Vec::new()), "{memory_bytes} bytes in memory, {map_streams} in a map");
            }
        }
    }

    #[test]
    fn gap_repetition_and_wrong_order_are_each_found_once_at_their_position() {
        let entries =
            [("a", 1), ("b", 1), ("a", 3), ("a", 4), ("b", 1), ("b", 2), ("c", 2), ("d", 1), ("d", 3), ("d", 2)];
        for memory_bytes in [1, 40, 2_000] {
            let (streams, found) = breaks(memory_bytes, 1, &entries);
            assert_eq!(streams, 4);
            let found: Vec<_> = found.iter().map(|one| (one.position, one.expected, one.actual)).collect();
            assert_eq!(found, [(2, 2, 3), (4, 2, 1), (6, 1, 2), (8, 2, 3), (9, 4, 2)]);
        }
    }

    #[test]
    fn more_breaks_than_are_kept_are_all_told() {
        let entries: Vec<(&str, u64)> = (0..5_000).map(|_| ("a", 7)).collect();
        for memory_bytes in [200, 2_000_000] {
            let (streams, found) = breaks(memory_bytes, 10, &entries);
            assert_eq!((streams, found.len()), (1, 5_000));
            assert!((0..).zip(&found).all(|(position, one)| one.position == position));
        }
    }

    #[test]
    fn records_are_read_as_they_were_written_whatever_their_numbers() {
        let numbers = [0, 1, 127, 128, 300, 1 << 32, u64::MAX - 1, u64::MAX];
        let all = || numbers.iter().flat_map(|position| numbers.map(|version| (*position, version)));
        let names = StreamNames::default();
        let record = |(position, version)| Record { position, version, ..names.record("t", "s", 0, 1) };
        let (mut bytes, mut before) = (Vec::new(), 0);
        for record in all().chain(all().collect::<Vec<_>>().into_iter().rev()).map(record) {
            record.write(before, &mut bytes);
            before = record.position;
        }
        let (mut rest, mut before) = (bytes.as_slice(), 0);
        for expected in all().chain(all().collect::<Vec<_>>().into_iter().rev()).map(record) {
            assert_eq!(Record::read(expected.stream.to_le_bytes()[0], before, &mut &rest[..NAME_BYTES]), None);
            assert_eq!(Record::read(expected.stream.to_le_bytes()[0], before, &mut rest), Some(expected));
            before = expected.position;
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn segments_longer_than_one_reading_are_read_whole() {
        let entries: Vec<(&str, u64)> = (1..=40_000).map(|version| ("a", version)).collect();
        for memory_bytes in [100, 300_000, 650_000] {
            assert_eq!(breaks(memory_bytes, 1, &entries), (1, Vec::new()), "{memory_bytes} bytes in memory");
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
