//! Finding records in the lookup file: one connection, one snapshot a question.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::error::LookupError;
use super::file::{Marks, Segment, read_marks, read_names, read_segments};
use super::filter::{Filter, Filters};
use super::name::{Name, Names};
use super::page::{self, END, Record, check_next};
use crate::store::signed;

/// A connection that reads.
pub(super) struct LookupReader {
    connection: Connection,
    /// What is in memory of the filters; readers without do without.
    filters: Option<Arc<Filters>>,
    revision: i64,
    segments: Vec<Segment>,
}

impl LookupReader {
    pub(super) fn open(path: &Path, filters: Option<Arc<Filters>>) -> Result<Self, LookupError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch("pragma cache_size = -8192; pragma mmap_size = 268435456;")?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(Self { connection, filters, revision: -1, segments: Vec::new() })
    }

    pub(super) fn names(&self) -> Result<Names, LookupError> {
        read_names(&self.connection)
    }

    /// Asks several questions of one state of the file.
    pub(super) fn snapshot<T>(
        &mut self,
        ask: impl FnOnce(&Snapshot<'_>) -> Result<T, LookupError>,
    ) -> Result<T, LookupError> {
        self.connection.execute_batch("begin deferred")?;
        let answer = self.refresh().and_then(|()| {
            ask(&Snapshot { connection: &self.connection, segments: &self.segments, filters: self.filters.as_deref() })
        });
        self.connection.execute_batch("commit")?;
        answer
    }

    fn refresh(&mut self) -> Result<(), LookupError> {
        let revision = self.connection.prepare_cached("select revision from state")?.query_row([], |row| row.get(0))?;
        if revision != self.revision {
            self.segments = read_segments(&self.connection)?;
            self.revision = revision;
        }
        Ok(())
    }
}

/// One state of the file.
pub(super) struct Snapshot<'a> {
    connection: &'a Connection,
    segments: &'a [Segment],
    filters: Option<&'a Filters>,
}

impl Snapshot<'_> {
    pub(super) fn marks(&self) -> Result<Marks, LookupError> {
        read_marks(self.connection)
    }

    /// The newest record of a name that `accept` takes for its own.
    pub(super) fn newest(
        &self,
        name: Name,
        mut accept: impl FnMut(&Record) -> Result<bool, LookupError>,
    ) -> Result<Option<Record>, LookupError> {
        let stored = name.stored();
        for segment in self.segments.iter().rev() {
            if !self.may_contain(segment, stored)? {
                continue;
            }
            let mut statement = self.connection.prepare_cached(
                "select records from pages where segment = ?1 and name <= ?2 \
                 order by name desc, version desc, position desc",
            )?;
            let mut rows = statement.query(params![segment.segment, signed(stored)])?;
            let mut next = None;
            loop {
                // Every name has a page that begins before it.
                let Some(row) = rows.next()? else {
                    if next.is_none() {
                        check_next(segment.segment, END, stored)?;
                    }
                    break;
                };
                let page = page::decode(segment.segment, row.get_ref(0)?.as_blob()?)?;
                match next {
                    Some(next) => check_next(segment.segment, page.after, next)?,
                    None if page.after <= stored => check_next(segment.segment, page.after, END)?,
                    None => {}
                }
                for record in page.records.iter().rev().filter(|record| record.name == stored) {
                    if accept(record)? {
                        return Ok(Some(*record));
                    }
                }
                if page.first_name() < stored {
                    break;
                }
                next = Some(page.first_name());
            }
        }
        Ok(None)
    }

    /// Hands over the records of a name with at least that version, oldest first, until `take` wants no more. Names that
    /// are alike in what is kept of them come together. False where `take` ended it.
    pub(super) fn since(
        &self,
        name: Name,
        version: u64,
        mut take: impl FnMut(&Record) -> Result<bool, LookupError>,
    ) -> Result<bool, LookupError> {
        let stored = name.stored();
        for segment in self.segments {
            if !self.may_contain(segment, stored)? {
                continue;
            }
            // The page that begins before the record wanted may hold it.
            let first = self
                .connection
                .prepare_cached(
                    "select name, version, position from pages where segment = ?1 and (name, version) < (?2, ?3) \
                     order by name desc, version desc, position desc limit 1",
                )?
                .query_row(params![segment.segment, signed(stored), signed(version)], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
                })
                .optional()?
                .unwrap_or_default();
            let mut statement = self.connection.prepare_cached(
                "select records from pages where segment = ?1 and (name, version, position) >= (?2, ?3, ?4) \
                 order by name, version, position",
            )?;
            let mut rows = statement.query(params![segment.segment, first.0, first.1, first.2])?;
            let mut after = None;
            'pages: loop {
                let Some(row) = rows.next()? else {
                    check_next(segment.segment, after.unwrap_or(0), END)?;
                    break;
                };
                let page = page::decode(segment.segment, row.get_ref(0)?.as_blob()?)?;
                if let Some(after) = after {
                    check_next(segment.segment, after, page.first_name())?;
                }
                for record in &page.records {
                    if record.name > stored {
                        break 'pages;
                    }
                    if record.name == stored && record.version >= version && !take(record)? {
                        return Ok(false);
                    }
                }
                after = Some(page.after);
            }
        }
        Ok(true)
    }

    /// False where the segment certainly has no record of the name.
    fn may_contain(&self, segment: &Segment, stored: u64) -> Result<bool, LookupError> {
        let Some(filters) = self.filters else { return Ok(true) };
        if let Some(filter) = filters.get(segment.segment) {
            return Ok(filter.may_contain(stored));
        }
        if !filters.has_room(Filter::bytes_for(segment.names)) {
            return Ok(true);
        }
        let bytes: Option<Vec<u8>> = self
            .connection
            .prepare_cached("select filter from filters where segment = ?1")?
            .query_row([segment.segment], |row| row.get(0))
            .optional()?;
        let missing = || LookupError::Damaged(format!("segment {} has no filter", segment.segment));
        let bytes = bytes.ok_or_else(missing)?;
        let filter = Filter::from_bytes(page::unseal(segment.segment, &bytes)?).ok_or_else(missing)?;
        let answer = filter.may_contain(stored);
        filters.keep(segment.segment, Arc::new(filter));
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::file::LookupFile;
    use super::super::tail::Tail;
    use super::*;

    fn name(number: u64) -> Name {
        Name::of(u128::from(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)) << 64)
    }

    fn all_of(reader: &mut LookupReader, number: u64, from: u64) -> Vec<u64> {
        let mut found = Vec::new();
        reader
            .snapshot(|snapshot| {
                snapshot.since(name(number), from, |record| {
                    found.push(record.version);
                    Ok(true)
                })
            })
            .unwrap();
        found
    }

    #[test]
    fn every_record_is_found_before_while_and_after_segments_are_merged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lookup.db");
        let filters = Arc::new(Filters::default());
        let mut file = LookupFile::open(&path).unwrap();
        let mut with_filters = LookupReader::open(&path, Some(Arc::clone(&filters))).unwrap();
        let mut without = LookupReader::open(&path, None).unwrap();
        let (mut position, mut versions) = (0_u64, std::collections::HashMap::<u64, u64>::new());
        for flush in 0..80_u64 {
            let mut tail = Tail::default();
            // One long stream over many pages, some of middling length, and many of one entry.
            for n in 0..600_u64 {
                let stream = if n % 2 == 0 {
                    4
                } else if n % 3 == 0 {
                    10 + n % 5
                } else {
                    1_000 + position
                };
                let version = versions.entry(stream).or_default();
                *version += 1;
                tail.push(name(stream), *version, position);
                position += 1;
            }
            file.flush(&tail.sorted(), &Marks::new()).unwrap();
            for _ in 0..flush % 3 {
                file.tidy(&mut |kept| filters.retain(kept), &mut |segment, filter| {
                    filters.keep(segment, Arc::new(filter));
                })
                .unwrap();
            }
            if flush % 10 != 9 {
                continue;
            }
            for reader in [&mut with_filters, &mut without] {
                for stream in [4, 11, 14, 1_001] {
                    let last = versions.get(&stream).copied().unwrap_or(0);
                    assert_eq!(all_of(reader, stream, 1), (1..=last).collect::<Vec<_>>(), "stream {stream}");
                    assert_eq!(all_of(reader, stream, last), (last.max(1)..=last).collect::<Vec<_>>());
                    let middle = last / 2 + 1;
                    assert_eq!(all_of(reader, stream, middle), (middle..=last).collect::<Vec<_>>());
                    let newest = reader.snapshot(|snapshot| snapshot.newest(name(stream), |_| Ok(true))).unwrap();
                    assert_eq!(newest.map_or(0, |newest| newest.version), last);
                    // All but the newest few are refused, as records of a name that is alike would be.
                    let older = |record: &Record| Ok(record.version + 5 <= last);
                    let newest = reader.snapshot(|snapshot| snapshot.newest(name(stream), older)).unwrap();
                    assert_eq!(newest.map_or(0, |newest| newest.version), last.saturating_sub(5));
                }
                assert_eq!(all_of(reader, 999, 0), [0_u64; 0], "nothing of a name that never was");
            }
        }
        while file.tidy(&mut |_| {}, &mut |_, _| {}).unwrap() {}
        let segments = file.segments().unwrap();
        assert!(segments.len() < 8, "80 flushes were merged");
        assert_eq!(segments.iter().map(|segment| segment.records).sum::<u64>(), 80 * 600);
        assert_eq!(all_of(&mut without, 4, 1).len(), 80 * 300);
        drop(file);
        let mut file = LookupFile::open(&path).unwrap();
        assert!(!file.tidy(&mut |_| {}, &mut |_, _| {}).unwrap());
    }
}
