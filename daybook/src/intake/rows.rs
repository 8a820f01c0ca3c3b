//! Reading rows from a file: CSV (comma, semicolon, tab or bar) or NDJSON, plain or gzipped, one row at a time.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use flate2::read::MultiGzDecoder;

use super::Row;
use super::mapping::{Mapping, MappingOptions};

/// Most bytes of one line of NDJSON, and of one record of CSV: a quotation mark that is never closed would make one of all
/// the rest.
const MAX_LINE_BYTES: u64 = 256 * 1024;
const BUFFER_BYTES: usize = 128 * 1024;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// How far a file has been read, in bytes as they are on disk.
#[derive(Debug, Clone, Default)]
pub struct BytesRead(Arc<AtomicU64>);

impl BytesRead {
    /// Bytes so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Counted<R> {
    inner: R,
    read: BytesRead,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.0.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
        Ok(count)
    }
}

type Text = Box<dyn BufRead + Send>;

/// Gives out as many bytes as one record may have, and then an error until the next record begins.
pub struct Budgeted {
    inner: Text,
    left: u64,
}

impl Budgeted {
    fn new(inner: Text) -> Self {
        Self { inner, left: MAX_LINE_BYTES }
    }

    fn renew(&mut self) {
        self.left = MAX_LINE_BYTES;
    }
}

impl Read for Budgeted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 && !self.inner.fill_buf()?.is_empty() {
            let why = format!("the record is longer than {MAX_LINE_BYTES} bytes; is a quotation mark not closed?");
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
        }
        let count = Read::take(&mut self.inner, self.left).read(buffer)?;
        self.left = self.left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        Ok(count)
    }
}

/// The rows of a file.
pub enum Rows {
    Csv { reader: Box<csv::Reader<Budgeted>>, mapping: Mapping, record: csv::ByteRecord, broken: bool },
    Ndjson { reader: Text, mapping: Mapping, line: u64, broken: bool },
}

/// Opens a file, finds out what it is, and reads its header.
pub fn open(path: &Path, options: MappingOptions) -> anyhow::Result<(Rows, BytesRead)> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let read = BytesRead::default();
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, Counted { inner: file, read: read.clone() });
    let is_gzip = raw.fill_buf().with_context(|| format!("cannot read {}", path.display()))?.starts_with(&GZIP_MAGIC);
    let mut text: Text = if is_gzip {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw)))
    } else {
        Box::new(raw)
    };
    let beginning = text.fill_buf().with_context(|| format!("cannot read {}", path.display()))?;
    let first = beginning.iter().find(|byte| !byte.is_ascii_whitespace() && !matches!(byte, 0xef | 0xbb | 0xbf));
    let rows = match first {
        None => bail!("{} is empty", path.display()),
        Some(b'{') => Rows::Ndjson { reader: text, mapping: Mapping::of_objects(options), line: 0, broken: false },
        Some(b'[') => bail!("{} is a JSON array: import takes one object a line (jq -c '.[]')", path.display()),
        Some(_) => {
            let delimiter = delimiter(beginning);
            csv_rows(text, delimiter, options).with_context(|| format!("cannot import {}", path.display()))?
        }
    };
    Ok((rows, read))
}

/// The separator that the header has most of.
fn delimiter(beginning: &[u8]) -> u8 {
    let header = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| header.iter().filter(|byte| **byte == delimiter).count();
    [b'|', b'\t', b';', b','].into_iter().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

fn csv_rows(text: Text, delimiter: u8, options: MappingOptions) -> anyhow::Result<Rows> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(Budgeted::new(text));
    let header = reader.headers().context("the header is not readable text")?;
    let columns: Vec<String> = header.iter().map(str::to_owned).collect();
    let mapping = Mapping::of_columns(&columns, options)?;
    Ok(Rows::Csv { reader: Box::new(reader), mapping, record: csv::ByteRecord::new(), broken: false })
}

impl Iterator for Rows {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        match self {
            // Nothing sensible comes after an error of the file itself.
            Self::Csv { broken: true, .. } | Self::Ndjson { broken: true, .. } => None,
            Self::Csv { reader, mapping, record, broken } => next_record(reader, mapping, record, broken),
            Self::Ndjson { reader, mapping, line, broken } => next_line(reader.as_mut(), mapping, line, broken),
        }
    }
}

fn next_record(
    reader: &mut csv::Reader<Budgeted>,
    mapping: &Mapping,
    record: &mut csv::ByteRecord,
    broken: &mut bool,
) -> Option<Row> {
    let columns = reader.byte_headers().map(csv::ByteRecord::len).unwrap_or(0);
    reader.get_mut().renew();
    let read = reader.read_byte_record(record);
    let line = record.position().map_or_else(|| reader.position().line(), csv::Position::line);
    match read {
        Ok(false) => None,
        Ok(true) => {
            let content = if record.len() == columns {
                record
                    .iter()
                    .map(std::str::from_utf8)
                    .collect::<Result<Vec<&str>, _>>()
                    .map_err(|error| format!("not UTF-8: {error}"))
                    .and_then(|values| mapping.row(line, values.into_iter()))
            } else {
                Err(format!("has {} fields where the header has {columns}", record.len()))
            };
            Some(Row { line, content })
        }
        Err(error) => {
            *broken = true;
            Some(Row { line, content: Err(format!("the file cannot be read on: {error}")) })
        }
    }
}

fn next_line(reader: &mut (dyn BufRead + Send), mapping: &Mapping, line: &mut u64, broken: &mut bool) -> Option<Row> {
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        *line += 1;
        let read = Read::take(&mut *reader, MAX_LINE_BYTES).read_until(b'\n', &mut bytes);
        match read {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => {
                *broken = true;
                return Some(Row { line: *line, content: Err(format!("the file cannot be read on: {error}")) });
            }
        }
        let is_whole = bytes.ends_with(b"\n");
        if !is_whole && u64::try_from(bytes.len()).unwrap_or(u64::MAX) >= MAX_LINE_BYTES {
            *broken = skip_line(reader).is_err();
            return Some(Row { line: *line, content: Err(format!("is longer than {MAX_LINE_BYTES} bytes")) });
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let content = std::str::from_utf8(&bytes)
            .map_err(|error| format!("not UTF-8: {error}"))
            .and_then(|text| mapping.object(*line, text.trim_start_matches('\u{feff}')));
        return Some(Row { line: *line, content });
    }
}

/// Reads to the end of the line without keeping it.
fn skip_line(reader: &mut (dyn BufRead + Send)) -> std::io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        match buffer.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                reader.consume(end + 1);
                return Ok(());
            }
            None => {
                let length = buffer.len();
                reader.consume(length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn options() -> MappingOptions {
        MappingOptions { status: "completed".to_owned(), currency: Some("EUR".to_owned()), ..MappingOptions::default() }
    }

    fn rows(bytes: &[u8]) -> anyhow::Result<Vec<Row>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        Ok(open(&path, options())?.0.collect())
    }

    fn ids(rows: &[Row]) -> Vec<(u64, Option<&str>)> {
        rows.iter()
            .map(|row| (row.line, row.content.as_ref().ok().map(|input| input.transaction_id.as_str())))
            .collect()
    }

    #[test]
    fn bad_rows_have_their_line_and_stop_nothing() {
        let rows = rows(b"id;amount\n1;5\n2;6;7\n3;\n\"4\n\";8\n\xff;9\n6;1\n").unwrap();
        let expected = [(2, Some("1")), (3, None), (4, None), (5, Some("4")), (7, None), (8, Some("6"))];
        assert_eq!(ids(&rows), expected);
    }

    #[test]
    fn gzipped_objects_are_read() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(b"{\"id\":\"a\",\"amount\":1}\n\n{\"id\":\nnot\n{\"id\":\"b\",\"amount\":\"2\"}").unwrap();
        let rows = rows(&encoder.finish().unwrap()).unwrap();
        assert_eq!(ids(&rows), [(1, Some("a")), (3, None), (4, None), (5, Some("b"))]);
    }

    #[test]
    fn overlong_line_is_one_bad_row() {
        let mut text = b"{\"id\":\"a\",\"amount\":1}\n{\"x\":\"".to_vec();
        text.extend(std::iter::repeat_n(b'x', 600_000));
        text.extend_from_slice(b"\"}\n{\"id\":\"b\",\"amount\":1}\n");
        assert_eq!(ids(&rows(&text).unwrap()), [(1, Some("a")), (2, None), (3, Some("b"))]);
    }

    #[test]
    fn quotation_mark_that_is_never_closed_ends_with_an_error_at_its_line() {
        let mut text = b"id,amount\n1,5\n\"2,6\n".to_vec();
        text.extend(b"3,7\n".repeat(200_000));
        let rows = rows(&text).unwrap();
        assert_eq!(ids(&rows), [(2, Some("1")), (3, None)]);
        assert!(rows[1].content.as_ref().is_err_and(|why| why.contains("longer than 262144 bytes")));
    }

    #[test]
    fn many_records_have_the_budget_one_by_one() {
        let mut text = b"id,amount,note\n".to_vec();
        for index in 0..8 {
            text.extend_from_slice(format!("{index},1,{}\n", "x".repeat(200_000)).as_bytes());
        }
        assert_eq!(rows(&text).unwrap().iter().filter(|row| row.content.is_ok()).count(), 8);
    }

    #[test]
    fn truncated_gzip_ends_with_an_error_and_not_in_silence() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        for index in 0..20_000 {
            writeln!(encoder, "{{\"id\":\"{index}\",\"amount\":{index}}}").unwrap();
        }
        let mut bytes = encoder.finish().unwrap();
        bytes.truncate(bytes.len() / 2);
        let rows = rows(&bytes).unwrap();
        assert!(rows.last().unwrap().content.as_ref().is_err_and(|why| why.contains("cannot be read on")));
    }

    #[test]
    fn empty_file_and_array_are_refused() {
        assert!(rows(b" \n").is_err());
        assert!(rows(b"[{}]").is_err());
    }
}
