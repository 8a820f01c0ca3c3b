//! Merging eight segments into one, step by step, so that flushes need not wait for a large merge to end.

use std::collections::VecDeque;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::error::LookupError;
use super::file::{Segment, list_segment, write_page};
use super::filter::Filter;
use super::page::{self, END, PAGE_RECORDS, Record, check_next};
use crate::store::signed;

/// Records written in one step.
const STEP_RECORDS: usize = 64 * 1024;

/// A merge under way.
pub(super) struct Merge {
    segment: i64,
    inputs: Vec<Segment>,
    cursors: Vec<Cursor>,
    /// Taken, and not yet written.
    page: Vec<Record>,
    wrote_first: bool,
    filter: Filter,
    records: u64,
    names: u64,
    last_name: Option<u64>,
}

/// Where the merge stands in one of the segments. Segments never change, so a step can go on where the last one ended.
struct Cursor {
    segment: i64,
    records: VecDeque<Record>,
    /// First record of the page that was read last, and what it says of the next.
    page: Option<(Record, u64)>,
    ended: bool,
}

impl Merge {
    pub(super) fn new(segment: i64, inputs: Vec<Segment>) -> Self {
        let cursors = inputs
            .iter()
            .map(|input| Cursor { segment: input.segment, records: VecDeque::new(), page: None, ended: false })
            .collect();
        let filter = Filter::with_room(inputs.iter().map(|input| input.names).sum());
        Self {
            segment,
            inputs,
            cursors,
            page: Vec::new(),
            wrote_first: false,
            filter,
            records: 0,
            names: 0,
            last_name: None,
        }
    }

    /// Writes some more pages; true when all are written.
    pub(super) fn step(&mut self, transaction: &Transaction<'_>) -> Result<bool, LookupError> {
        for _ in 0..STEP_RECORDS {
            let mut smallest: Option<(Record, &mut Cursor)> = None;
            for cursor in &mut self.cursors {
                if let Some(record) = cursor.peek(transaction)?
                    && smallest.as_ref().is_none_or(|(least, _)| record < *least)
                {
                    smallest = Some((record, cursor));
                }
            }
            let Some((record, cursor)) = smallest else {
                self.write_page(transaction, END)?;
                return Ok(true);
            };
            cursor.records.pop_front();
            if self.page.len() == PAGE_RECORDS {
                self.write_page(transaction, record.name)?;
            }
            if self.last_name != Some(record.name) {
                self.last_name = Some(record.name);
                self.names += 1;
                self.filter.insert(record.name);
            }
            self.records += 1;
            self.page.push(record);
        }
        Ok(false)
    }

    fn write_page(&mut self, transaction: &Transaction<'_>, after: u64) -> Result<(), LookupError> {
        write_page(transaction, self.segment, !self.wrote_first, &self.page, after)?;
        self.wrote_first = true;
        self.page.clear();
        Ok(())
    }

    /// Lists the merged segment in place of those it was made of.
    pub(super) fn list(&self, transaction: &Transaction<'_>) -> Result<(), LookupError> {
        let level = self.inputs.iter().map(|input| input.level).max().unwrap_or(0) + 1;
        let expected: u64 = self.inputs.iter().map(|input| input.records).sum();
        if self.records != expected {
            return Err(LookupError::Damaged(format!(
                "segments of {expected} records have {} when merged",
                self.records
            )));
        }
        for input in &self.inputs {
            transaction.execute("delete from segments where segment = ?1", [input.segment])?;
            transaction.execute("insert into unused (segment) values (?1)", [input.segment])?;
        }
        transaction.execute("delete from unused where segment = ?1", [self.segment])?;
        let merged = Segment { segment: self.segment, level, records: self.records, names: self.names };
        list_segment(transaction, merged, &self.filter)
    }

    pub(super) fn into_filter(self) -> (i64, Filter) {
        (self.segment, self.filter)
    }
}

impl Cursor {
    fn peek(&mut self, connection: &Connection) -> Result<Option<Record>, LookupError> {
        if self.records.is_empty() && !self.ended {
            let after = self.page.map_or(Record { name: 0, version: 0, position: 0 }, |(first, _)| first);
            let compared = if self.page.is_some() { ">" } else { ">=" };
            let bytes: Option<Vec<u8>> = connection
                .prepare_cached(&format!(
                    "select records from pages where segment = ?1 and (name, version, position) {compared} (?2, ?3, ?4) \
                     order by name, version, position limit 1"
                ))?
                .query_row(
                    params![self.segment, signed(after.name), signed(after.version), signed(after.position)],
                    |row| row.get(0),
                )
                .optional()?;
            match bytes {
                Some(bytes) => {
                    let page = page::decode(self.segment, &bytes)?;
                    if let Some((_, after)) = self.page {
                        check_next(self.segment, after, page.first_name())?;
                    }
                    self.page = page.records.first().map(|first| (*first, page.after));
                    self.records = page.records.into();
                }
                None => {
                    check_next(self.segment, self.page.map_or(0, |(_, after)| after), END)?;
                    self.ended = true;
                }
            }
        }
        Ok(self.records.front().copied())
    }
}
