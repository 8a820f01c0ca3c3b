//! Copying the write-ahead log into the ledger file, beside the writer instead of inside its commits.
//!
//! A thread with a connection of its own does it while the writer goes on. Under steady load it never reaches the end
//! of a log that keeps growing, so now and then the writer copies the little that is left between two commits; the log
//! then begins again from its start.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::writer::Writer;
use super::{Failure, StoreError};

/// Bytes written (roughly) after which the log is copied.
const COPY_AT: usize = 8 * 1024 * 1024;
/// Pages in the log at which the writer does the rest: 32 MiB.
const MOST_PAGES: i64 = 8 * 1024;

/// The writer's end of it. Dropping it ends the thread, and closes its connection.
pub(super) struct Checkpoints {
    wake: Option<SyncSender<()>>,
    overdue: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    failure: Failure,
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Checkpoints {
    pub(super) fn start(path: &Path, failure: Failure) -> Result<Self, StoreError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.execute_batch("pragma synchronous = full; pragma wal_autocheckpoint = 0;")?;
        let (wake, wakes) = sync_channel(1);
        let overdue = Arc::new(AtomicBool::new(false));
        let thread = Thread { connection, overdue: Arc::clone(&overdue), failure: Arc::clone(&failure) };
        let thread = std::thread::Builder::new()
            .name("ledger-checkpoint".to_owned())
            .spawn(move || thread.run(&wakes))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { wake: Some(wake), overdue, thread: Some(thread), failure })
    }

    /// After a job of the writer, when its caller has its answer.
    pub(super) fn after_job(&self, writer: &mut Writer) {
        if writer.bytes_written >= COPY_AT {
            writer.bytes_written = 0;
            // Where one is waiting already, that one will do.
            let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
        }
        if self.overdue.swap(false, Ordering::AcqRel) {
            copy_log(&writer.connection, &self.failure);
        }
    }
}

struct Thread {
    connection: Connection,
    overdue: Arc<AtomicBool>,
    failure: Failure,
}

impl Thread {
    fn run(self, wakes: &Receiver<()>) {
        while wakes.recv().is_ok() {
            if copy_log(&self.connection, &self.failure).is_some_and(|pages| pages >= MOST_PAGES) {
                self.overdue.store(true, Ordering::Release);
            }
        }
    }
}

/// Copies what can be copied without waiting for anybody; answers how many pages the log has.
fn copy_log(connection: &Connection, failure: &Failure) -> Option<i64> {
    if failure.get().is_some() {
        return None;
    }
    let copied = connection
        .prepare_cached("pragma wal_checkpoint(passive)")
        .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i64>(1)));
    copied
        .map_err(StoreError::from)
        .inspect_err(|error| {
            tracing::error!(%error, "the write-ahead log cannot be copied into the ledger file");
            // A full disk leaves the log as it is. But a sync that failed may be called good the next time, and then the
            // log would begin again although the file has not got what was in it.
            if let StoreError::Failed(why) = error {
                let _ = failure.set(why.clone());
            }
        })
        .ok()
}

/// Before anything of a file is shown: what its log holds is copied and synced, whatever the last process came to.
pub(super) fn copy_whole_log(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let busy: i64 = connection
        .query_row("pragma wal_checkpoint(truncate)", [], |row| row.get(0))
        .map_err(|error| StoreError::Unavailable(format!("{}: its log cannot be copied: {error}", path.display())))?;
    if busy != 0 {
        tracing::warn!(file = %path.display(), "somebody reads an old state: the log is copied only in part");
    }
    Ok(())
}
