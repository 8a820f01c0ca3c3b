//! The threads of a verification, and what runs between them.
//!
//! Whoever reads a store fills batches and sends them off. Hashing threads take whichever comes next; one judging thread
//! takes what they return in the order in which it was sent. There is a fixed number of batches: when all are on their
//! way the reader waits, so memory is bounded whichever side is slower.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::batch::Batch;
use crate::cell::LedgerKey;
use crate::chain::{LedgerCheck, Start};
use crate::hashing::{Hashing, Rows};
use crate::report::{LedgerReport, Part, StoredCheckpoint};
use crate::source::{SourceError, VerifyOptions};
use crate::streams::StreamNames;

/// Something on its way to the judging thread.
#[derive(Debug)]
pub(crate) enum Step {
    /// A ledger begins; the one before it is complete.
    Begin(Box<Start>),
    /// Its next entries.
    Entries(Arc<LedgerKey>, Batch),
    /// The same, as a stretch of rows that a hashing thread reads itself into the batch, an empty one.
    Stretch(Arc<LedgerKey>, Batch, Arc<dyn Rows>, u64),
    /// Its next stored tiles, after all entries.
    Tiles(Batch),
    /// Number of its stored checkpoints, and the newest.
    Checkpoints(u64, Vec<StoredCheckpoint>),
    /// What is known of a source that holds only a part of the ledger, after all entries.
    Part(Box<Part>),
    /// A hashing thread broke down.
    Broken,
}

/// The reader's end.
#[derive(Debug)]
pub(crate) struct Pipeline {
    steps: Sender<(u64, Step)>,
    sent: u64,
    empty: tokio::sync::mpsc::Receiver<Batch>,
    judging: JoinHandle<io::Result<Vec<LedgerReport>>>,
}

impl Pipeline {
    /// Starts the threads.
    pub(crate) fn start(options: &VerifyOptions) -> io::Result<Self> {
        let threads = options.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        // One being filled, one being judged, two for each thread that hashes.
        let batches = 2 + 2 * threads;
        let (give_back, empty) = tokio::sync::mpsc::channel(batches);
        for _ in 0..batches {
            give_back.try_send(Batch::default()).map_err(io::Error::other)?;
        }
        let (steps, to_hash) = mpsc::channel();
        let (hashed, to_judge) = mpsc::channel();
        let to_hash = Arc::new(Mutex::new(to_hash));
        let names = StreamNames::default();
        for number in 0..threads {
            let (to_hash, hashed, hashing) = (Arc::clone(&to_hash), hashed.clone(), Hashing::new(names.clone()));
            thread::Builder::new().name(format!("hashing-{number}")).spawn(move || hash(&to_hash, &hashed, hashing))?;
        }
        let options = options.clone();
        let judging = thread::Builder::new().name("judging".to_owned()).spawn(move || {
            Judging { options, threads, current: None, part: None, reports: Vec::new() }.run(&to_judge, &give_back)
        })?;
        Ok(Self { steps, sent: 0, empty, judging })
    }

    /// A batch to fill, at once if one is free.
    pub(crate) fn try_empty(&mut self) -> Option<Batch> {
        self.empty.try_recv().ok()
    }

    /// A batch to fill; waits for one. None where the judging thread has stopped.
    pub(crate) async fn empty(&mut self) -> Option<Batch> {
        self.empty.recv().await
    }

    /// The same outside of an asynchronous task.
    pub(crate) fn empty_blocking(&mut self) -> Option<Batch> {
        self.empty.blocking_recv()
    }

    pub(crate) fn send(&mut self, step: Step) {
        let number = self.sent;
        self.sent += 1;
        // Where nobody receives, the judging thread has stopped, and `finish` says why.
        let _ = self.steps.send((number, step));
    }

    /// Waits for everything that was sent to be judged. Blocks.
    pub(crate) fn finish(self) -> Result<Vec<LedgerReport>, SourceError> {
        drop(self.steps);
        drop(self.empty);
        match self.judging.join() {
            Ok(reports) => Ok(reports?),
            Err(_) => Err(SourceError::Scratch(io::Error::other("the judging thread stopped"))),
        }
    }
}

/// A hashing thread: until nothing comes any more or nobody judges.
fn hash(to_hash: &Mutex<Receiver<(u64, Step)>>, hashed: &Sender<(u64, Step)>, mut hashing: Hashing) {
    loop {
        let next = to_hash.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, step)) = next else { return };
        let done = catch_unwind(AssertUnwindSafe(|| match step {
            Step::Entries(key, mut batch) => {
                hashing.entries(&key, &mut batch);
                Step::Entries(key, batch)
            }
            Step::Stretch(key, mut batch, rows, stretch) => {
                hashing.read(&key, rows.as_ref(), stretch, &mut batch);
                Step::Entries(key, batch)
            }
            Step::Tiles(mut batch) => {
                Hashing::tiles(&mut batch);
                Step::Tiles(batch)
            }
            other => other,
        }));
        if hashed.send((number, done.unwrap_or(Step::Broken))).is_err() {
            return;
        }
    }
}

/// The judging thread.
struct Judging {
    options: VerifyOptions,
    threads: usize,
    current: Option<LedgerCheck>,
    part: Option<Part>,
    reports: Vec<LedgerReport>,
}

impl Judging {
    fn run(
        mut self,
        to_judge: &Receiver<(u64, Step)>,
        give_back: &tokio::sync::mpsc::Sender<Batch>,
    ) -> io::Result<Vec<LedgerReport>> {
        let mut early = BTreeMap::new();
        let mut expected = 0;
        while let Ok((number, step)) = to_judge.recv() {
            early.insert(number, step);
            while let Some(step) = early.remove(&expected) {
                expected += 1;
                if let Some(mut batch) = self.step(step)? {
                    batch.clear();
                    // There is a place for each batch; where nobody waits any more, it is not needed.
                    let _ = give_back.try_send(batch);
                }
            }
        }
        if !early.is_empty() {
            return Err(io::Error::other("a hashing thread stopped"));
        }
        self.complete()?;
        Ok(self.reports)
    }

    /// Returns the batch that is free again.
    fn step(&mut self, step: Step) -> io::Result<Option<Batch>> {
        match (step, &mut self.current) {
            (Step::Begin(start), _) => {
                self.complete()?;
                self.current = Some(LedgerCheck::new(*start, &self.options, self.threads));
            }
            (Step::Broken | Step::Stretch(..), _) => return Err(io::Error::other("a hashing thread stopped")),
            (Step::Entries(_, batch), Some(check)) => {
                check.entries(&batch)?;
                return Ok(Some(batch));
            }
            (Step::Tiles(batch), Some(check)) => {
                check.tiles(&batch)?;
                return Ok(Some(batch));
            }
            (Step::Checkpoints(total, newest), Some(check)) => check.checkpoints(total, newest),
            (Step::Part(part), Some(_)) => self.part = Some(*part),
            (Step::Entries(_, batch) | Step::Tiles(batch), None) => return Ok(Some(batch)),
            (Step::Checkpoints(..) | Step::Part(_), None) => {}
        }
        Ok(None)
    }

    fn complete(&mut self) -> io::Result<()> {
        if let Some(check) = self.current.take() {
            self.reports.push(check.finish(self.part.take())?);
        }
        Ok(())
    }
}
