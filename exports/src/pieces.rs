//! A file that comes in pieces: written and hashed beside whoever makes them, durable before it has its name.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::digest::{Digests, HashingWriter};
use crate::files::{part_of, sync_folder_of};
use crate::generate::GenerateError;

/// Bytes that are collected before they are hashed and written.
const BUFFER: usize = 256 * 1024;
/// Pieces that wait for the disk.
const WAITING_PIECES: usize = 4;

enum Message {
    Piece(Bytes),
    End,
}

/// Writes `<target>.part`, and gives it its name when it is complete. Dropped before [`PieceWriter::finish`], it leaves
/// nothing behind; what a killed process leaves, [`crate::ExportFiles::clean`] removes.
pub struct PieceWriter {
    target: PathBuf,
    sender: mpsc::Sender<Message>,
    writing: JoinHandle<io::Result<Option<Digests>>>,
}

impl PieceWriter {
    /// Begins the file `target`. Needs a Tokio runtime.
    pub fn create(target: &Path) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING_PIECES);
        let path = target.to_owned();
        let writing = tokio::task::spawn_blocking(move || write(&path, receiver));
        Self { target: target.to_owned(), sender, writing }
    }

    /// The next bytes. Where the disk has failed they go nowhere, and [`PieceWriter::finish`] says why.
    pub async fn write(&self, piece: Bytes) {
        let _ = self.sender.send(Message::Piece(piece)).await;
    }

    /// Whether the disk still takes what is written.
    pub fn is_going(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Ends the file; answers what it is.
    pub async fn finish(self) -> Result<Digests, GenerateError> {
        let Self { target, sender, writing } = self;
        // The same: whoever does not listen any more has failed.
        let _ = sender.send(Message::End).await;
        let fault = |why| GenerateError::File { path: target.clone(), why };
        match writing.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(Some(digests)) => Ok(digests),
            Ok(None) => Err(fault(io::ErrorKind::Interrupted.into())),
            Err(why) => Err(fault(why)),
        }
    }
}

/// `None` where it was given up.
fn write(target: &Path, receiver: mpsc::Receiver<Message>) -> io::Result<Option<Digests>> {
    let part = part_of(target);
    let written = write_part(&part, receiver);
    if !matches!(written, Ok(Some(_))) {
        // It may not even be there. What cannot be removed now is removed with the other orphans.
        let _ = std::fs::remove_file(&part);
        return written;
    }
    std::fs::rename(&part, target)?;
    sync_folder_of(target)?;
    written
}

fn write_part(part: &Path, mut receiver: mpsc::Receiver<Message>) -> io::Result<Option<Digests>> {
    // Somebody else's unfinished file of this name is not written into: it is replaced.
    match std::fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)?;
    let mut output: BufWriter<HashingWriter<File>> = BufWriter::with_capacity(BUFFER, HashingWriter::new(file));
    loop {
        match receiver.blocking_recv() {
            Some(Message::Piece(piece)) => output.write_all(&piece)?,
            Some(Message::End) => break,
            None => return Ok(None),
        }
    }
    let (file, digests) = output.into_inner().map_err(io::IntoInnerError::into_error)?.finish();
    file.sync_all()?;
    Ok(Some(digests))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;
    use crate::digest::digests_of_bytes;

    #[tokio::test]
    async fn pieces_become_a_file_or_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("exp_1.1.zip");
        let writer = PieceWriter::create(&target);
        writer.write(Bytes::from_static(b"one ")).await;
        writer.write(Bytes::from_static(b"two")).await;
        assert_eq!(writer.finish().await.unwrap(), digests_of_bytes(b"one two"));
        assert_eq!(std::fs::read(&target).unwrap(), b"one two");
        std::fs::remove_file(&target).unwrap();
        let given_up = PieceWriter::create(&target);
        given_up.write(Bytes::from_static(b"half")).await;
        let PieceWriter { sender, writing, .. } = given_up;
        drop(sender);
        assert_eq!(writing.await.unwrap().unwrap(), None);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
