//! The projector engine: one worker a projector follows one ledger and keeps the read tables up with it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use daybook_ledger::reader::LedgerReader;
use daybook_read_models::ReadDb;
use futures::future::try_join_all;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bookkeeping;
use crate::error::EngineError;
use crate::projector::Projector;
use crate::rebuild::{Comparison, Finish, rebuild};
use crate::status::{ProjectorStatus, collect};
use crate::worker;

/// What workers in this process know beside the database: it may be the database that fails.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    pub position: u64,
    pub last_progress_at: Option<i64>,
    pub error: Option<String>,
}

pub(crate) struct Core {
    pub db: ReadDb,
    pub reader: LedgerReader,
    pub projectors: Vec<Arc<dyn Projector>>,
    memory: Mutex<HashMap<&'static str, Memory>>,
}

impl Core {
    /// What is remembered of a projector.
    pub fn remembered(&self, name: &str) -> Option<Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Changes what is remembered of a projector.
    pub fn remember(&self, name: &'static str, change: impl FnOnce(&mut Memory)) {
        change(self.memory.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default());
    }

    fn projector(&self, name: &str) -> Result<&Arc<dyn Projector>, EngineError> {
        let found = self.projectors.iter().find(|projector| projector.name() == name);
        found.ok_or_else(|| EngineError::UnknownProjector(name.to_owned()))
    }
}

/// The projectors of one ledger. Cheap to clone.
#[derive(Clone)]
pub struct Projections {
    core: Arc<Core>,
}

impl Projections {
    /// Projectors that read `reader`'s ledger and write to `db`. Nothing happens before [`Self::run`] or
    /// [`Self::catch_up`].
    pub fn new(db: ReadDb, reader: LedgerReader, projectors: Vec<Box<dyn Projector>>) -> Self {
        let projectors = projectors.into_iter().map(Arc::from).collect();
        Self { core: Arc::new(Core { db, reader, projectors, memory: Mutex::default() }) }
    }

    /// Makes the read tables where they are missing, so that queries have something to ask before the first entry is
    /// folded.
    pub async fn prepare(&self) -> Result<(), EngineError> {
        for projector in &self.core.projectors {
            bookkeeping::ensure(&self.core.db, projector.as_ref(), self.core.reader.id().as_str()).await?;
        }
        Ok(())
    }

    /// Follows the ledger until `shutdown` is true or its sender is gone. A projector that fails tries again, ever
    /// more slowly, and does not stop the others; so does one that panics. Tables folded by another version of the code are rebuilt first.
    ///
    /// Several processes may do this on the same database: a position is moved only by who holds it.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) {
        let mut workers = JoinSet::new();
        for projector in &self.core.projectors {
            workers.spawn(worker::run(Arc::clone(&self.core), Arc::clone(projector), shutdown.clone()));
        }
        while let Some(ended) = workers.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a projector has ended unexpectedly");
            }
        }
    }

    /// Folds everything up to the head the ledger has now, and returns. Rebuilds tables of another version.
    pub async fn catch_up(&self) -> Result<(), EngineError> {
        let head = self.core.reader.head().await?.size;
        let workers =
            self.core.projectors.iter().map(|projector| worker::catch_up(&self.core, projector.as_ref(), head));
        try_join_all(workers).await.map(drop)
    }

    /// How far each projector is, and why it is not further.
    pub async fn status(&self) -> Vec<ProjectorStatus> {
        collect(&self.core).await
    }

    /// Folds the projector's tables anew from the first entry, beside the live ones, and swaps them in when they are at
    /// the same position. Readers and live workers go on meanwhile. `progress` is told entries done and in all.
    pub async fn rebuild(&self, name: &str, progress: impl Fn(u64, u64) + Send + Sync) -> Result<(), EngineError> {
        let projector = self.core.projector(name)?;
        rebuild(&self.core, projector.as_ref(), Finish::Swap, &|done, total| {
            progress(done, total);
            ControlFlow::Continue(())
        })
        .await
        .map(drop)
    }

    /// Folds the projector's tables anew beside the live ones up to the live position, and says whether both hold the
    /// same rows. The live tables stay as they are.
    pub async fn compare(
        &self,
        name: &str,
        progress: impl Fn(u64, u64) + Send + Sync,
    ) -> Result<Comparison, EngineError> {
        let projector = self.core.projector(name)?;
        rebuild(&self.core, projector.as_ref(), Finish::Compare, &|done, total| {
            progress(done, total);
            ControlFlow::Continue(())
        })
        .await
    }

    /// The names of the projectors.
    pub fn names(&self) -> Vec<&'static str> {
        self.core.projectors.iter().map(|projector| projector.name()).collect()
    }
}
