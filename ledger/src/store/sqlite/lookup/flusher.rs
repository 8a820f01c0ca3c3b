//! The thread that writes the lookup file: what was appended, then merging, step by step.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::catch_up::{self, open_ledger};
use super::error::LookupError;
use super::file::{LookupFile, Marks};

use super::tail::Tail;
use super::{Frozen, Lookup};

/// Records that are written although they make no full segment, once nothing more has come for [`IDLE`].
const IDLE_RECORDS: usize = 4 * 1024;
const IDLE: Duration = Duration::from_secs(2);
/// Pause after something failed.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) struct Worker {
    lookup: Arc<Lookup>,
    file: LookupFile,
    /// There may be something to merge or to delete.
    untidy: bool,
}

enum Task {
    Flush(Arc<Frozen>),
    Rebuild,
    Tidy,
    End,
}

impl Worker {
    pub(super) fn new(lookup: Arc<Lookup>, file: LookupFile) -> Self {
        Self { lookup, file, untidy: true }
    }

    pub(super) fn run(mut self) {
        loop {
            let (done, closing) = match self.next() {
                Task::End => return,
                Task::Flush(frozen) => (self.flush(&frozen), self.lookup.lock().closing),
                Task::Rebuild => (self.rebuild(), self.lookup.lock().closing),
                Task::Tidy => (self.tidy(), self.lookup.lock().closing),
            };
            let mut unflushed = self.lookup.lock();
            match done {
                Ok(()) => self.lookup.done.notify_all(),
                Err(error) => {
                    tracing::warn!(file = %self.lookup.path.display(), %error, "the lookup file cannot be written");
                    unflushed.rebuild |= matches!(error, LookupError::Damaged(_));
                    unflushed.failure = Some(error.to_string());
                    self.untidy = false;
                    self.lookup.done.notify_all();
                    if closing {
                        // The next start reads it from the ledger.
                        return;
                    }
                    drop(unflushed);
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    fn next(&self) -> Task {
        let mut unflushed = self.lookup.lock();
        loop {
            if unflushed.rebuild {
                return if unflushed.closing { Task::End } else { Task::Rebuild };
            }
            if let Some(frozen) = &unflushed.frozen {
                return Task::Flush(Arc::clone(frozen));
            }
            if unflushed.closing {
                if !unflushed.freeze() {
                    return Task::End;
                }
                continue;
            }
            if unflushed.open.len() >= super::FLUSH_RECORDS && unflushed.freeze() {
                continue;
            }
            if self.untidy {
                return Task::Tidy;
            }
            let before = unflushed.open.len();
            let waited = self.lookup.work.wait_timeout(unflushed, IDLE).unwrap_or_else(PoisonError::into_inner);
            unflushed = waited.0;
            if waited.1.timed_out() && before >= IDLE_RECORDS && before == unflushed.open.len() {
                unflushed.freeze();
            }
        }
    }

    fn flush(&mut self, frozen: &Frozen) -> Result<(), LookupError> {
        let flushed = self.file.flush(&frozen.tail.sorted(), &frozen.marks)?;
        if let Some((segment, filter)) = flushed {
            self.lookup.filters.keep(segment, Arc::new(filter));
        }
        self.untidy = true;
        let mut unflushed = self.lookup.lock();
        unflushed.frozen = None;
        unflushed.failure = None;
        Ok(())
    }

    fn tidy(&mut self) -> Result<(), LookupError> {
        let filters = &self.lookup.filters;
        self.untidy = self.file.tidy(&mut |kept| filters.retain(kept), &mut |segment, filter| {
            filters.keep(segment, Arc::new(filter));
        })?;
        Ok(())
    }

    /// Makes the file anew from the ledger. Whoever asks waits meanwhile.
    fn rebuild(&mut self) -> Result<(), LookupError> {
        let lookup = Arc::clone(&self.lookup);
        tracing::warn!(file = %lookup.path.display(), "the lookup file is made anew from the ledger");
        let mut generation = lookup.generation.write().unwrap_or_else(PoisonError::into_inner);
        generation.number += 1;
        generation.whole = false;
        lookup.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        lookup.filters.clear();
        self.file = LookupFile::replace(&lookup.path, Some(lookup.names))?;
        let ledger = open_ledger(&lookup.ledger)?;
        let (mut marks, mut rest) = (Marks::new(), Tail::default());
        catch_up::catch_up(&mut self.file, &ledger, &mut marks, &mut rest)?;
        self.file.flush(&rest.sorted(), &marks)?;
        self.untidy = true;
        generation.whole = true;
        drop(generation);
        let mut unflushed = lookup.lock();
        // It is in the file already. Written once more, it would pass for the newest.
        unflushed.frozen = None;
        unflushed.rebuild = false;
        unflushed.failure = None;
        Ok(())
    }
}
