//! A zip file that is written from front to back, with the digests of what is in it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

use super::BundleError;

/// Pieces are handed on when they have this many bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a file holds, which decides how it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text: deflated.
    Text,
    /// Text that may have more than 4 GiB: deflated, with the wider sizes that this needs.
    Large,
    /// Hashes: stored as they are, since nothing makes them shorter.
    Hashes,
}

impl Kind {
    fn options(self) -> SimpleFileOptions {
        let options = SimpleFileOptions::default().unix_permissions(0o644);
        match self {
            Self::Text => options.compression_method(CompressionMethod::Deflated),
            Self::Large => options.compression_method(CompressionMethod::Deflated).large_file(true),
            Self::Hashes => options.compression_method(CompressionMethod::Stored),
        }
    }
}

/// A file as the manifest lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileLine {
    /// Its name in the zip file.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of it, hexadecimal.
    pub sha256: String,
    /// BLAKE3 of it, hexadecimal.
    pub blake3: String,
}

/// What the zip writer has written and nobody has taken yet.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn with<T>(&self, function: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        // Bytes are appended or taken as a whole; a panic in between leaves nothing half done.
        function(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|buffer| buffer.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The file that is being written.
struct Open {
    path: String,
    bytes: u64,
    sha256: Sha256,
    blake3: blake3::Hasher,
}

/// The zip file.
pub struct Archive {
    zip: ZipWriter<StreamWriter<Written>>,
    written: Written,
    open: Option<Open>,
    files: Vec<FileLine>,
    line: Vec<u8>,
}

impl Default for Archive {
    fn default() -> Self {
        let written = Written::default();
        let zip = ZipWriter::new_stream(written.clone());
        Self { zip, written, open: None, files: Vec::new(), line: Vec::new() }
    }
}

impl Archive {
    /// Begins a file; ends the one before.
    pub fn begin(&mut self, path: &str, kind: Kind) -> Result<(), BundleError> {
        self.end();
        self.zip.start_file(path, kind.options()).map_err(failed)?;
        let (sha256, blake3) = (Sha256::new(), blake3::Hasher::new());
        self.open = Some(Open { path: path.to_owned(), bytes: 0, sha256, blake3 });
        Ok(())
    }

    /// Writes into the file that was begun.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BundleError> {
        self.zip.write_all(bytes).map_err(failed)?;
        if let Some(open) = &mut self.open {
            open.bytes += bytes.len() as u64;
            open.sha256.update(bytes);
            open.blake3.update(bytes);
        }
        Ok(())
    }

    /// Writes a value as one line of JSON.
    pub fn write_line(&mut self, value: &impl Serialize) -> Result<(), BundleError> {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        serde_json::to_writer(&mut line, value).map_err(failed)?;
        line.push(b'\n');
        let outcome = self.write(&line);
        self.line = line;
        outcome
    }

    /// Ends the file that was begun.
    pub fn end(&mut self) {
        let Some(open) = self.open.take() else { return };
        self.files.push(FileLine {
            path: open.path,
            bytes: open.bytes,
            sha256: hex(&open.sha256.finalize()),
            blake3: open.blake3.finalize().to_hex().to_string(),
        });
    }

    /// Adds a whole file.
    pub fn add(&mut self, path: &str, kind: Kind, bytes: &[u8]) -> Result<(), BundleError> {
        self.begin(path, kind)?;
        self.write(bytes)?;
        self.end();
        Ok(())
    }

    /// The files so far.
    pub fn files(&self) -> &[FileLine] {
        &self.files
    }

    /// What is ready to be sent on, where that is enough.
    pub fn take_chunk(&mut self) -> Option<Bytes> {
        self.written.with(|buffer| (buffer.len() >= CHUNK_BYTES).then(|| Bytes::from(std::mem::take(buffer))))
    }

    /// Ends the zip file; the last piece of it.
    pub fn finish(mut self) -> Result<Bytes, BundleError> {
        self.end();
        self.zip.finish().map_err(failed)?;
        Ok(self.written.with(|buffer| Bytes::from(std::mem::take(buffer))))
    }
}

fn failed(error: impl std::fmt::Display) -> BundleError {
    BundleError::Archive(error.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
