//! Making the file: rows from a source, one pass, in memory that does not grow, durable before it has its name.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use daybook_domain::export::ExportFormat;
use tokio::sync::mpsc;

use crate::digest::{Digests, HashingWriter};
use crate::files::{part_of, sync_folder_of};
use crate::format;
use crate::table::{MAX_BATCH_ROWS, Row, RowSource, Schema, SchemaError, SourceError};

/// Bytes that are collected before they are hashed and written.
const BUFFER: usize = 256 * 1024;
/// Batches that wait between the source and the disk.
const WAITING_BATCHES: usize = 2;

/// A file that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Rows in it.
    pub rows: u64,
    /// Its digests and its length.
    pub digests: Digests,
}

/// Why there is no file. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The source has no more rows, but is not at its end.
    #[error("the rows cannot be read: {0}")]
    Source(#[from] SourceError),
    /// The source gives what does not belong to its own table. A fault in the program.
    #[error("the source contradicts its columns: {0}")]
    Schema(#[from] SchemaError),
    /// The source gives more at once than is held in memory. A fault in the program.
    #[error("the source gives {0} rows at once, at most {MAX_BATCH_ROWS} are allowed")]
    BatchTooLong(usize),
    /// The file cannot be written.
    #[error("{}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
}

impl GenerateError {
    /// Whether it is of no use to try again.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Source(error) => error.is_permanent,
            Self::Schema(_) | Self::BatchTooLong(_) => true,
            Self::File { .. } => false,
        }
    }
}

/// What goes from the source to the disk. A channel that ends without [`Message::End`] was given up.
enum Message {
    Rows(Vec<Row>),
    End,
}

/// Writes every row of the source to the file `target`, and answers what is in it. `progress` is told the number of rows
/// so far after each batch.
///
/// The file is `<target>.part` until it is complete and durable; it is removed when anything fails or the future is
/// dropped. What a killed process leaves, [`crate::ExportFiles::clean`] removes.
pub async fn generate<S: RowSource + ?Sized>(
    source: &mut S,
    format: ExportFormat,
    target: &Path,
    mut progress: impl FnMut(u64) + Send,
) -> Result<Written, GenerateError> {
    let schema = source.schema().clone();
    let (sender, receiver) = mpsc::channel(WAITING_BATCHES);
    let writing = {
        let (schema, target) = (schema.clone(), target.to_owned());
        tokio::task::spawn_blocking(move || write(format, &schema, &target, receiver))
    };
    let mut rows = 0;
    let read = pass_on(source, &schema, &sender, &mut rows, &mut progress).await;
    drop(sender);
    let written = writing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    // What the source says comes first: a file that was given up because of it is no fault of the disk.
    read?;
    match written {
        Ok(Some(digests)) => Ok(Written { rows, digests }),
        Ok(None) => Err(GenerateError::File { path: target.to_owned(), why: io::ErrorKind::Interrupted.into() }),
        Err(why) => Err(GenerateError::File { path: target.to_owned(), why }),
    }
}

/// Where the disk is the one that fails there is nobody to send to, and the disk says why.
async fn pass_on<S: RowSource + ?Sized>(
    source: &mut S,
    schema: &Schema,
    sender: &mpsc::Sender<Message>,
    rows: &mut u64,
    progress: &mut (impl FnMut(u64) + Send),
) -> Result<(), GenerateError> {
    while let Some(batch) = source.next().await? {
        if batch.len() > MAX_BATCH_ROWS {
            return Err(GenerateError::BatchTooLong(batch.len()));
        }
        batch.iter().try_for_each(|row| schema.check(row))?;
        let count = batch.len() as u64;
        if count > 0 && sender.send(Message::Rows(batch)).await.is_err() {
            return Ok(());
        }
        *rows += count;
        progress(*rows);
    }
    // The same: whoever does not listen any more has failed.
    let _ = sender.send(Message::End).await;
    Ok(())
}

/// `None` where it was given up.
fn write(
    format: ExportFormat,
    schema: &Schema,
    target: &Path,
    receiver: mpsc::Receiver<Message>,
) -> io::Result<Option<Digests>> {
    let part = part_of(target);
    let written = write_part(format, schema, &part, receiver);
    if !matches!(written, Ok(Some(_))) {
        // It may not even be there. What cannot be removed now is removed with the other orphans.
        let _ = std::fs::remove_file(&part);
        return written;
    }
    std::fs::rename(&part, target)?;
    sync_folder_of(target)?;
    written
}

fn write_part(
    format: ExportFormat,
    schema: &Schema,
    part: &Path,
    mut receiver: mpsc::Receiver<Message>,
) -> io::Result<Option<Digests>> {
    // Somebody else's unfinished file of this name is not written into: it is replaced.
    match std::fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)?;
    let output: BufWriter<HashingWriter<File>> = BufWriter::with_capacity(BUFFER, HashingWriter::new(file));
    let mut writer = format::writer(format, schema, output)?;
    loop {
        match receiver.blocking_recv() {
            Some(Message::Rows(rows)) => writer.write(rows)?,
            Some(Message::End) => break,
            None => return Ok(None),
        }
    }
    let mut output = writer.finish()?;
    output.flush()?;
    let (file, digests) = output.into_inner().map_err(io::IntoInnerError::into_error)?.finish();
    file.sync_all()?;
    Ok(Some(digests))
}

#[cfg(test)]
mod tests;
