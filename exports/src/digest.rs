//! BLAKE3 and SHA-256 of the same bytes in one pass, while writing and while reading.

use std::fs::File;
use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

/// Bytes that are read at once. Large enough that the two functions can work beside each other on two processors.
const CHUNK: usize = 4 * 1024 * 1024;
/// Chunks at least this long are worth another thread.
const WORTH_A_THREAD: usize = 512 * 1024;

/// Both digests of some bytes, and their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digests {
    /// BLAKE3.
    pub blake3: [u8; 32],
    /// SHA-256.
    pub sha256: [u8; 32],
    /// How many bytes.
    pub bytes: u64,
}

impl Digests {
    /// BLAKE3 as 64 lower-case hexadecimal digits.
    pub fn blake3_hex(&self) -> String {
        hex::encode(self.blake3)
    }

    /// SHA-256 as 64 lower-case hexadecimal digits.
    pub fn sha256_hex(&self) -> String {
        hex::encode(self.sha256)
    }
}

/// Both functions at work.
#[derive(Default)]
struct Hashers {
    blake3: blake3::Hasher,
    sha256: Sha256,
    bytes: u64,
}

impl Hashers {
    fn update(&mut self, bytes: &[u8]) {
        self.blake3.update(bytes);
        self.sha256.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn finish(self) -> Digests {
        Digests { blake3: self.blake3.finalize().into(), sha256: self.sha256.finalize().into(), bytes: self.bytes }
    }
}

/// Passes bytes on and hashes them on the way.
pub(crate) struct HashingWriter<W> {
    inner: W,
    hashers: Hashers,
}

impl<W: Write> HashingWriter<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, hashers: Hashers::default() }
    }

    /// What was written to, and what was written.
    pub(crate) fn finish(self) -> (W, Digests) {
        (self.inner, self.hashers.finish())
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hashers.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The digests of some bytes.
pub fn digests_of_bytes(bytes: &[u8]) -> Digests {
    let mut hashers = Hashers::default();
    hashers.update(bytes);
    hashers.finish()
}

/// The digests of a file, from where it stands. Reading and the two functions go on beside each other.
pub fn digests_of(file: &mut File) -> io::Result<Digests> {
    digests_and(file, |_| {})
}

/// The same; `also` sees every byte as well, in order.
pub(crate) fn digests_and(file: &mut File, mut also: impl FnMut(&[u8]) + Send) -> io::Result<Digests> {
    let mut hashers = Hashers::default();
    // A short file does not need the long buffers.
    let length = file.metadata()?.len();
    let size = usize::try_from(length).unwrap_or(CHUNK).clamp(1, CHUNK);
    let (mut current, mut next) = (vec![0_u8; size], Vec::new());
    let mut filled = read_full(file, &mut current)?;
    while filled > 0 {
        let chunk = current.get(..filled).unwrap_or_default();
        if filled < WORTH_A_THREAD {
            hashers.update(chunk);
            also(chunk);
            filled = read_full(file, &mut current)?;
            continue;
        }
        next.resize(size, 0);
        let Hashers { blake3, sha256, bytes } = &mut hashers;
        let read = std::thread::scope(|scope| {
            scope.spawn(|| {
                blake3.update(chunk);
                also(chunk);
            });
            let reading = scope.spawn(|| read_full(file, &mut next));
            sha256.update(chunk);
            *bytes += chunk.len() as u64;
            reading.join().unwrap_or_else(|_| Err(io::Error::other("the reading thread panicked")))
        });
        filled = read?;
        std::mem::swap(&mut current, &mut next);
    }
    Ok(hashers.finish())
}

/// As many bytes as there are, up to the length of the buffer.
fn read_full(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::io::Seek as _;

    use super::*;

    #[test]
    fn digests_are_those_of_the_bare_functions_at_every_length() {
        for length in [0, 1, WORTH_A_THREAD - 1, WORTH_A_THREAD, CHUNK, CHUNK + 1, 2 * CHUNK + 77] {
            let bytes: Vec<u8> = (0..length).map(|number| (number % 251) as u8).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            file.rewind().unwrap();
            let mut seen = Vec::new();
            let digests = digests_and(&mut file, |chunk| seen.extend_from_slice(chunk)).unwrap();
            assert_eq!(digests.blake3, *blake3::hash(&bytes).as_bytes(), "{length}");
            assert_eq!(digests.sha256, <[u8; 32]>::from(Sha256::digest(&bytes)), "{length}");
            assert_eq!(digests.bytes, length as u64);
            assert!(seen == bytes, "{length}");
            assert_eq!(digests_of_bytes(&bytes), digests);
        }
    }
}
