//! One pass over a file: BLAKE3, SHA-256 and its rows, beside each other, as fast as the slowest of them and the disk go.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use memchr::{memchr_iter, memchr2_iter};
use sha2::{Digest as _, Sha256};

use super::parquet_rows::parquet_rows;

/// Bytes that are read at once: much beside what a thread costs.
const CHUNK: usize = 4 << 20;

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRead {
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of it, 64 hexadecimal digits.
    pub blake3: String,
    /// SHA-256 of it, 64 hexadecimal digits.
    pub sha256: String,
    /// Its rows. None for what is no file of the format, as far as that is seen.
    pub rows: Option<u64>,
}

/// Reads a file once. Memory does not grow with it.
pub fn read(path: &Path, format: &str) -> io::Result<FileRead> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let chunk = usize::try_from(length).unwrap_or(CHUNK).clamp(1, CHUNK);
    let (mut current, mut next) = (vec![0; chunk], vec![0; chunk]);
    let (mut blake3, mut sha256, mut rows) = (blake3::Hasher::new(), Sha256::new(), Rows::of(format));
    let mut bytes = 0;
    let mut filled = fill(&mut file, &mut current)?;
    while filled > 0 {
        let part = current.get(..filled).unwrap_or_default();
        bytes += u64::try_from(filled).unwrap_or(u64::MAX);
        if filled < CHUNK / 8 {
            blake3.update(part);
            sha256.update(part);
            rows.count(part);
            filled = fill(&mut file, &mut current)?;
            continue;
        }
        let read = std::thread::scope(|scope| {
            let hashing = scope.spawn(|| {
                blake3.update(part);
                rows.count(part);
                fill(&mut file, &mut next)
            });
            sha256.update(part);
            hashing.join()
        });
        filled = read.map_err(|_| io::Error::other("a thread that hashed the file stopped"))??;
        std::mem::swap(&mut current, &mut next);
    }
    let rows = match rows {
        Rows::Zip => zip_rows(&mut file)?,
        Rows::Parquet => {
            file.seek(SeekFrom::Start(0))?;
            parquet_rows(&mut file)?
        }
        counted => counted.total(),
    };
    Ok(FileRead { bytes, blake3: blake3.finalize().to_hex().to_string(), sha256: hex::encode(sha256.finalize()), rows })
}

/// Entries in a zip file; none for what is no zip file with entries, or cannot be unpacked.
fn zip_rows(file: &mut File) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(0))?;
    let Ok(mut archive) = zip::ZipArchive::new(BufReader::new(file)) else { return Ok(None) };
    let Ok(mut entries) = archive.by_name("entries.ndjson") else { return Ok(None) };
    let (mut lines, mut buffer) = (0_u64, vec![0; 64 << 10]);
    loop {
        match entries.read(&mut buffer) {
            Ok(0) => return Ok(Some(lines)),
            Ok(count) => {
                let piece = buffer.get(..count).unwrap_or_default();
                lines += u64::try_from(memchr_iter(b'\n', piece).count()).unwrap_or(0);
            }
            Err(_) => return Ok(None),
        }
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Counts rows while the file goes by.
#[derive(Debug)]
enum Rows {
    /// Line feeds that are not between quotes; the first line holds the names.
    Csv {
        lines: u64,
        is_quoted: bool,
    },
    /// A line a row.
    Lines(u64),
    /// A line a row, and one for each bracket; an empty array has one line.
    Array(u64),
    /// Stated at the end of the file.
    Parquet,
    /// Lines of the file within that holds the entries.
    Zip,
    Unknown,
}

impl Rows {
    fn of(format: &str) -> Self {
        match format {
            "csv" => Self::Csv { lines: 0, is_quoted: false },
            "ndjson" => Self::Lines(0),
            "json" => Self::Array(0),
            "parquet" => Self::Parquet,
            "zip" => Self::Zip,
            _ => Self::Unknown,
        }
    }

    fn count(&mut self, bytes: &[u8]) {
        let feeds = || u64::try_from(memchr_iter(b'\n', bytes).count()).unwrap_or(u64::MAX);
        match self {
            // A quote within quotes is written twice, which changes nothing.
            Self::Csv { lines, is_quoted } => {
                for place in memchr2_iter(b'"', b'\n', bytes) {
                    match bytes.get(place) {
                        Some(b'"') => *is_quoted = !*is_quoted,
                        _ if !*is_quoted => *lines += 1,
                        _ => {}
                    }
                }
            }
            Self::Lines(lines) | Self::Array(lines) => *lines += feeds(),
            Self::Parquet | Self::Zip | Self::Unknown => {}
        }
    }

    fn total(self) -> Option<u64> {
        match self {
            Self::Csv { lines, .. } => lines.checked_sub(1),
            Self::Lines(lines) => Some(lines),
            Self::Array(lines) => Some(lines.saturating_sub(2)),
            Self::Parquet | Self::Zip | Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(format: &str, text: &str) -> Option<u64> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, text).unwrap();
        let read = read(&path, format).unwrap();
        assert_eq!(read.sha256, hex::encode(Sha256::digest(text)));
        assert_eq!(read.blake3, blake3::hash(text.as_bytes()).to_hex().to_string());
        assert_eq!(read.bytes, text.len() as u64);
        read.rows
    }

    #[test]
    fn rows_are_counted_in_every_form() {
        assert_eq!(rows("csv", "a,b\r\n1,\"two\nlines \"\"x\"\"\"\r\n3,4\r\n"), Some(2));
        assert_eq!(rows("csv", ""), None);
        assert_eq!(rows("ndjson", "{\"a\":1}\n{\"a\":2}\n"), Some(2));
        assert_eq!(rows("json", "[\n{\"a\":1},\n{\"a\":2}\n]\n"), Some(2));
        assert_eq!(rows("json", "[]\n"), Some(0));
        assert_eq!(rows("parquet", "PAR1 nothing"), None);
        assert_eq!(rows("other", "x"), None);
        assert_eq!(rows("zip", "PK nothing"), None);
    }

    #[test]
    fn long_files_are_hashed_whole_whatever_their_length_is() {
        for length in [CHUNK / 8 - 1, CHUNK / 8, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17] {
            let text: String = (0..length).map(|place| if place % 61 == 60 { '\n' } else { 'x' }).collect();
            assert_eq!(rows("ndjson", &text), Some(length as u64 / 61));
        }
    }
}
