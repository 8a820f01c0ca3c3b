//! Counting the rows of a file without understanding them: to say of a file that is not what was signed whether rows are
//! missing. Streaming; memory does not grow with the file.

mod footer;
pub(crate) mod zipped;

use std::fs::File;
use std::io::{self, Read};

use daybook_domain::export::ExportFormat;
use memchr::{memchr_iter, memchr2_iter};

/// Bytes that are looked at at once.
const CHUNK: usize = 1024 * 1024;

/// Rows of a file of this form, from where it stands; a line of names is not counted. `None` for what is no such file, as
/// far as that is seen.
pub fn count_rows(file: File, format: ExportFormat) -> io::Result<Option<u64>> {
    match format {
        ExportFormat::Csv => Ok(count_records(file)?.checked_sub(1)),
        ExportFormat::Ndjson => count_lines(file).map(Some),
        // Every object stands on a line of its own, between the brackets' lines; an empty array has one line.
        ExportFormat::Json => Ok(count_lines(file)?.checked_sub(2).or(Some(0))),
        ExportFormat::Parquet => footer::stated_rows(file),
        ExportFormat::Zip => zipped::entries(file),
    }
}

fn each_chunk(mut input: impl Read, mut look: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0_u8; CHUNK];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => look(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn count_lines(input: impl Read) -> io::Result<u64> {
    let mut lines = 0;
    each_chunk(input, |chunk| lines += memchr_iter(b'\n', chunk).count() as u64)?;
    Ok(lines)
}

/// Line feeds that are not between quotes. A quote within quotes is written twice, which changes nothing.
fn count_records(input: impl Read) -> io::Result<u64> {
    let (mut records, mut is_quoted) = (0, false);
    each_chunk(input, |chunk| {
        for place in memchr2_iter(b'"', b'\n', chunk) {
            match chunk.get(place) {
                Some(b'"') => is_quoted = !is_quoted,
                _ if !is_quoted => records += 1,
                _ => {}
            }
        }
    })?;
    Ok(records)
}
