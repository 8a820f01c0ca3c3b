//! The thread that has the appending connection.
//!
//! It does nothing but wait for the server and hand it the next batch. On the threads that carry out commands, an answer
//! of the server would wait until one of them has nothing else to do, and the server with it.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::line::{Prepared, Turn};
use super::statement::Statement;
use super::writer::{Backend, Writer};
use crate::append::{Append, Placement};
use crate::store::StoreError;

/// A batch that takes longer counts as lost, and its outcome is looked for.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Server processes of connections that were lost while a commit was on its way.
pub(super) type Lost = Arc<Mutex<Vec<Backend>>>;

/// A batch in line.
pub(super) struct Job {
    pub(super) turn: Turn,
    pub(super) batch: Arc<Vec<Append>>,
    pub(super) now: i64,
    /// Where it could be sequenced ahead.
    pub(super) prepared: Option<(Prepared, Option<Statement>)>,
}

type Reply = oneshot::Sender<Result<Placement, StoreError>>;

/// Hands batches to the thread, which ends when this is dropped and what is in line is through.
pub(super) struct Appender {
    jobs: mpsc::UnboundedSender<(Job, Reply)>,
}

impl Appender {
    /// Starts the thread.
    pub(super) fn start(options: PgConnectOptions, lost: Lost) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| StoreError::Unavailable(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (jobs, line) = mpsc::unbounded_channel();
        std::thread::Builder::new()
            .name("postgres-append".to_owned())
            .spawn(move || runtime.block_on(append_all(options, lost, line)))
            .map_err(failed)?;
        Ok(Self { jobs })
    }

    /// Waits until the batch is durable or refused. A caller that goes away does not take it back.
    pub(super) async fn append(&self, job: Job) -> Result<Placement, StoreError> {
        let (reply, answer) = oneshot::channel();
        let stopped = || StoreError::Unavailable("the appending thread has stopped".to_owned());
        self.jobs.send((job, reply)).map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(StoreError::UnknownOutcome("the appending thread has stopped".to_owned())))
    }
}

async fn append_all(options: PgConnectOptions, lost: Lost, mut line: mpsc::UnboundedReceiver<(Job, Reply)>) {
    let mut writer = None;
    while let Some((job, reply)) = line.recv().await {
        // Nobody waiting any more is no reason not to have written.
        let _ = reply.send(append(&options, &lost, &mut writer, job).await);
    }
}

/// The connection is kept only after success: whatever state an error left it in is gone with it.
async fn append(
    options: &PgConnectOptions,
    lost: &Lost,
    writer: &mut Option<Writer>,
    job: Job,
) -> Result<Placement, StoreError> {
    let mut taken = match writer.take() {
        Some(taken) => taken,
        None => Writer::connect(options).await?,
    };
    let appending = taken.append(&job.turn, &job.batch, job.now, job.prepared);
    let appended = match tokio::time::timeout(STATEMENT_TIMEOUT, appending).await {
        Ok(appended) => appended,
        Err(_) => Err(StoreError::UnknownOutcome("the server did not answer in time".to_owned())),
    };
    match &appended {
        Ok(_) => *writer = Some(taken),
        Err(StoreError::UnknownOutcome(_)) => lost.lock().await.push(taken.backend),
        Err(_) => {}
    }
    appended
}
