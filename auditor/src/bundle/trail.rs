//! The trail of an evidence pack: a line of CSV for each entry. What people read there must be of the very entries beside it, no
//! more of them and no fewer.

use std::io::{BufRead, BufReader, Read};

use zip::result::ZipResult;

use crate::entry_line::EntryLine;
use crate::report::FindingKind;
use crate::source::Progress;
use crate::walk::Walk;

/// Longest record that is read, with all lines that it has.
const MAX_LINE_BYTES: usize = 1 << 20;
/// Columns that are compared, in this order.
const COMPARED: [&str; 8] =
    ["position", "recorded_at", "stream_type", "stream_id", "version", "event_type", "actor_id", "hash"];

/// The lines, as they are compared with the entries.
pub(super) struct Trail<R> {
    lines: Option<Lines<R>>,
    /// The next line that no entry was compared with.
    next: Option<Row>,
}

struct Row {
    position: u64,
    /// The values of the columns that are compared.
    values: Vec<Vec<u8>>,
}

struct Lines<R> {
    input: BufReader<R>,
    /// Which field of a line is which column.
    places: Vec<usize>,
}

impl<R: Read> Trail<R> {
    /// Reads the names of the columns.
    pub(super) fn of<P: FnMut(Progress) -> bool>(file: ZipResult<R>, walk: &mut Walk<P>) -> Self {
        let lines = match file {
            Err(error) => Err(error.to_string()),
            Ok(file) => Lines::open(file),
        };
        let lines = lines.map_err(|why| complain(walk, None, format!("trail.csv cannot be read: {why}"))).ok();
        let mut trail = Self { lines, next: None };
        trail.advance(walk);
        trail
    }

    fn advance<P: FnMut(Progress) -> bool>(&mut self, walk: &mut Walk<P>) {
        let read = self.lines.as_mut().map(Lines::next);
        self.next = match read {
            None => None,
            Some(Ok(row)) => row,
            Some(Err(why)) => {
                complain(walk, None, format!("trail.csv cannot be read any further: {why}"));
                self.lines = None;
                None
            }
        };
    }

    /// Compares the next entry with its line.
    pub(super) fn check<P: FnMut(Progress) -> bool>(&mut self, entry: &EntryLine<'_>, walk: &mut Walk<P>) {
        let position = entry.position();
        let place = i64::try_from(position).ok();
        while let Some(row) = self.next.as_ref().filter(|row| row.position < position) {
            let detail = "trail.csv lists this entry, and entries.ndjson does not have it";
            complain(walk, i64::try_from(row.position).ok(), detail.to_owned());
            self.advance(walk);
        }
        match &self.next {
            Some(row) if row.position == position => {
                let said = entry.shown();
                let other = COMPARED.iter().zip(&row.values).zip(&said).find(|((_, is), said)| !says(is, said));
                if let Some(((column, _), _)) = other {
                    complain(walk, place, format!("trail.csv says something else of this entry: its {column}"));
                }
                self.advance(walk);
            }
            _ if self.lines.is_some() || self.next.is_some() => {
                complain(walk, place, "trail.csv does not list this entry".to_owned());
            }
            _ => {}
        }
    }

    /// After the last entry.
    pub(super) fn finish<P: FnMut(Progress) -> bool>(&mut self, walk: &mut Walk<P>) {
        while let Some(row) = &self.next {
            let detail = "trail.csv lists this entry, and entries.ndjson does not have it";
            complain(walk, i64::try_from(row.position).ok(), detail.to_owned());
            self.advance(walk);
        }
    }
}

/// What a spreadsheet takes for a formula; a cell that begins with it has `'` before it in these files.
const FORMULAS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Whether a cell says this value, in the way in which such a file says it.
fn says(cell: &[u8], value: &str) -> bool {
    match value.starts_with(FORMULAS) {
        true => cell.strip_prefix(b"'") == Some(value.as_bytes()),
        false => cell == value.as_bytes(),
    }
}

fn complain<P: FnMut(Progress) -> bool>(walk: &mut Walk<P>, position: Option<i64>, detail: String) {
    walk.finding(position, FindingKind::BundleMismatch, detail);
}

impl<R: Read> Lines<R> {
    fn open(file: R) -> Result<Self, String> {
        let mut lines = Self { input: BufReader::new(file), places: Vec::new() };
        let names = lines.record()?.ok_or("it is empty")?;
        for column in COMPARED {
            let place = names.iter().position(|name| name == column.as_bytes());
            lines.places.push(place.ok_or_else(|| format!("it has no column {column}"))?);
        }
        Ok(lines)
    }

    fn next(&mut self) -> Result<Option<Row>, String> {
        let Some(record) = self.record()? else { return Ok(None) };
        let values: Vec<Vec<u8>> =
            self.places.iter().map(|place| record.get(*place).cloned().unwrap_or_default()).collect();
        let position = values.first().and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        let position = position.ok_or("a line has no position")?;
        Ok(Some(Row { position, values }))
    }

    /// The fields of the next record (RFC 4180); none at the end.
    fn record(&mut self) -> Result<Option<Vec<Vec<u8>>>, String> {
        let (mut line, mut is_quoted) = (Vec::new(), false);
        loop {
            let (before, room) = (line.len(), MAX_LINE_BYTES.saturating_sub(line.len()) as u64);
            let read =
                self.input.by_ref().take(room).read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
            if line.is_empty() {
                return Ok(None);
            }
            // What came before is not counted again: a record may have a line feed at every byte.
            let quotes = line.get(before..).unwrap_or_default().iter().filter(|byte| **byte == b'"').count();
            is_quoted ^= !quotes.is_multiple_of(2);
            if line.ends_with(b"\n") && !is_quoted {
                return Ok(Some(fields(&line)));
            }
            if read == 0 {
                return Err(if room == 0 { "a line is too long" } else { "its last line does not end" }.to_owned());
            }
        }
    }
}

fn fields(line: &[u8]) -> Vec<Vec<u8>> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let (mut fields, mut field, mut is_quoted, mut bytes) = (Vec::new(), Vec::new(), false, line.iter().peekable());
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if is_quoted && bytes.peek() == Some(&&b'"') => {
                field.push(b'"');
                bytes.next();
            }
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(*other),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Result<Vec<Vec<String>>, String> {
        let mut lines = Lines { input: BufReader::with_capacity(3, text.as_bytes()), places: Vec::new() };
        let mut records = Vec::new();
        while let Some(record) = lines.record()? {
            records.push(record.into_iter().map(|field| String::from_utf8(field).unwrap()).collect());
        }
        Ok(records)
    }

    #[test]
    fn records_are_read_with_quotes_commas_and_lines_in_them() {
        let found = records("a,b\r\n1,\"x, \"\"y\"\"\r\nz\"\r\n,\r\n").unwrap();
        assert_eq!(found, [vec!["a", "b"], vec!["1", "x, \"y\"\r\nz"], vec!["", ""]]);
        assert!(records("a,b\r\n1,\"2").is_err());
        assert!(records(&"x".repeat(MAX_LINE_BYTES + 1)).is_err());
    }

    #[test]
    fn record_of_many_lines_takes_no_longer_than_one_of_few() {
        let begun = std::time::Instant::now();
        assert!(records(&format!("a,b\n\"{}", "\n".repeat(MAX_LINE_BYTES))).is_err());
        // Counted from its beginning at each line feed, it would be half a million million bytes.
        assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
    }

    #[test]
    fn cells_that_would_be_formulas_are_compared_without_the_mark_before_them() {
        for value in ["=1+1", "+1", "-TX", "@SUM(A1)", "\tTX", "\rTX"] {
            assert!(says(format!("'{value}").as_bytes(), value), "{value:?}");
            assert!(!says(value.as_bytes(), value), "a formula: {value:?}");
            assert!(!says(format!("''{value}").as_bytes(), value), "{value:?}");
        }
        assert!(says(b"TX-1", "TX-1") && says(b"'TX", "'TX") && !says(b"'TX", "TX"));
    }
}
