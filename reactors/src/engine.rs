//! The loop that every reactor runs in: read a page of entries, react, remember the position, wait for more.
//!
//! A failure stops the reactor at its position; it tries again after a pause, and the status says why it stands.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use daybook_ledger::{Entry, LedgerReader, StoreError};
use daybook_read_models::ReadDb;
use tokio::sync::watch;

use crate::positions;

/// Entries looked at between two saved positions.
const PAGE: usize = 1_000;
/// Longest wait for new entries before looking anyway.
const IDLE: Duration = Duration::from_secs(1);
/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(2);
/// Pause before a reactor that has panicked is started again.
const RESTART: Duration = Duration::from_secs(5);

/// Why a reactor cannot go on for now.
#[derive(Debug, thiserror::Error)]
pub enum ReactError {
    /// The ledger cannot be read or written.
    #[error("the ledger is unavailable: {0}")]
    Ledger(String),
    /// The position cannot be read or saved.
    #[error("the read database is unavailable: {0}")]
    Database(#[from] daybook_read_models::ReadError),
    /// An entry cannot be understood; it is not skipped.
    #[error("entry {position}: {why}")]
    Entry {
        /// Position of the entry.
        position: u64,
        /// What is wrong.
        why: String,
    },
    /// The code of the reaction has panicked. What it said is in the log alone, because it may quote an entry.
    #[error("the reactor has panicked; it is started again after a pause")]
    Panicked,
}

impl From<StoreError> for ReactError {
    fn from(error: StoreError) -> Self {
        Self::Ledger(error.to_string())
    }
}

/// One kind of reaction. Reacting twice to the same entries must change nothing.
#[async_trait]
pub trait React: Send + Sync + 'static {
    /// Its name in positions, status and logs.
    fn name(&self) -> &'static str;

    /// Reacts to a page of entries, in position order.
    async fn react(&self, entries: &[Entry]) -> Result<(), ReactError>;
}

/// The reactors of one ledger.
#[derive(Clone)]
pub struct Reactors {
    reader: LedgerReader,
    database: ReadDb,
    reactors: Arc<Vec<Box<dyn React>>>,
}

impl Reactors {
    /// Reactors on `reader`'s ledger, keeping their positions in `database`.
    pub fn new(reader: LedgerReader, database: ReadDb, reactors: Vec<Box<dyn React>>) -> Self {
        Self { reader, database, reactors: Arc::new(reactors) }
    }

    /// Runs all of them until `shutdown` becomes true. A page that has begun is finished first. One that panics is started
    /// again after a pause.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) -> Result<(), ReactError> {
        positions::prepare(&self.database).await?;
        let mut tasks = tokio::task::JoinSet::new();
        for index in 0..self.reactors.len() {
            tasks.spawn(self.clone().keep_running(index, shutdown.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a reactor ended unexpectedly");
            }
        }
        Ok(())
    }

    /// Reacts to everything up to the ledger's present end, including what the reactions themselves append.
    pub async fn catch_up(&self) -> Result<(), ReactError> {
        positions::prepare(&self.database).await?;
        for reactor in self.reactors.iter() {
            while self.step(reactor.as_ref()).await? {}
            positions::clear_error(&self.database, reactor.name(), self.reader.id().as_str()).await?;
        }
        Ok(())
    }

    /// Runs one of them, again and again where it panics.
    async fn keep_running(self, index: usize, mut shutdown: watch::Receiver<bool>) {
        let Some(name) = self.reactors.get(index).map(|reactor| reactor.name()) else { return };
        while !*shutdown.borrow() {
            // A task of its own holds the panic; the set takes it along where this future is dropped.
            let mut task = tokio::task::JoinSet::new();
            let (all, stopping) = (self.clone(), shutdown.clone());
            task.spawn(async move {
                if let Some(reactor) = all.reactors.get(index) {
                    all.run_one(reactor.as_ref(), stopping).await;
                }
            });
            match task.join_next().await {
                Some(Err(error)) if error.is_panic() => self.stand_still(name, &ReactError::Panicked).await,
                _ => return,
            }
            tokio::select! {
                _ = shutdown.changed() => {}
                () = tokio::time::sleep(RESTART) => {}
            }
        }
    }

    async fn stand_still(&self, name: &str, error: &ReactError) {
        tracing::error!(reactor = name, %error, "a reactor stands still");
        if let Err(error) = positions::save_error(&self.database, name, self.reader.id().as_str(), error).await {
            tracing::error!(reactor = name, %error, "its error could not be saved either");
        }
    }

    async fn run_one(&self, reactor: &dyn React, mut shutdown: watch::Receiver<bool>) {
        // A process before this one may have left an error.
        let mut has_error = true;
        while !*shutdown.borrow() {
            let step = self.step(reactor).await;
            // Saving the position takes an error away only where it grows.
            if has_error && step.is_ok() {
                let ledger = self.reader.id().as_str();
                has_error = positions::clear_error(&self.database, reactor.name(), ledger).await.is_err();
            }
            let pause = match step {
                Ok(true) => continue,
                Ok(false) => None,
                Err(error) => {
                    has_error = true;
                    self.stand_still(reactor.name(), &error).await;
                    Some(RETRY)
                }
            };
            tokio::select! {
                _ = shutdown.changed() => return,
                () = self.wait(reactor, pause) => {}
            }
        }
    }

    async fn wait(&self, reactor: &dyn React, pause: Option<Duration>) {
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
            return;
        }
        let position = positions::load(&self.database, reactor.name(), self.reader.id().as_str()).await.unwrap_or(0);
        if self.reader.wait_beyond(position, IDLE).await.is_err() {
            tokio::time::sleep(RETRY).await;
        }
    }

    /// One page. Answers whether there was anything.
    async fn step(&self, reactor: &dyn React) -> Result<bool, ReactError> {
        let ledger = self.reader.id().as_str();
        let position = positions::load(&self.database, reactor.name(), ledger).await?;
        let entries = self.reader.entries(position, PAGE).await?;
        let Some(last) = entries.last() else { return Ok(false) };
        reactor.react(&entries).await?;
        positions::save(&self.database, reactor.name(), ledger, last.position + 1).await?;
        Ok(true)
    }
}
