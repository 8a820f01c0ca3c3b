//! The zip file as it is written: handed on piece by piece, with parts that wait for their turn kept on disk.

use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use daybook_exports::bundle::{Archive, Kind};
use daybook_exports::{Digests, PieceWriter};

use super::PackError;

/// Bytes that are moved at once.
const CHUNK: usize = 64 * 1024;

/// The zip file.
pub(super) struct Zip {
    pub archive: Archive,
    writer: PieceWriter,
    folder: PathBuf,
}

impl Zip {
    /// Begins it. What waits for its turn is kept in `folder`, where exports are.
    pub(super) fn create(target: &Path, folder: &Path) -> Self {
        Self { archive: Archive::default(), writer: PieceWriter::create(target), folder: folder.to_owned() }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Hands on what is ready. Ends where the disk has failed, which [`Zip::finish`] would say.
    pub(super) async fn hand_on(&mut self) -> Result<(), PackError> {
        while let Some(piece) = self.archive.take_chunk() {
            self.writer.write(piece).await;
            if !self.writer.is_going() {
                return Err(io::Error::other("the file cannot be written any more").into());
            }
        }
        Ok(())
    }

    /// Adds a file that has waited.
    pub(super) async fn take_in(&mut self, path: &str, spool: Spool) -> Result<(), PackError> {
        self.archive.begin(path, Kind::Large)?;
        let mut file = spool.0.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        let mut buffer = vec![0_u8; CHUNK];
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            self.archive.write(buffer.get(..count).unwrap_or_default())?;
            self.hand_on().await?;
        }
        self.archive.end();
        Ok(())
    }

    /// Ends it; answers what the whole file is.
    pub(super) async fn finish(self) -> Result<Digests, PackError> {
        let Self { archive, writer, .. } = self;
        writer.write(archive.finish()?).await;
        Ok(writer.finish().await?)
    }
}

/// A part that waits: a file without a name, which goes with whoever has it open.
pub(super) struct Spool(BufWriter<File>);

impl Spool {
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        Ok(Self(BufWriter::with_capacity(CHUNK, tempfile::tempfile_in(folder)?)))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
}
