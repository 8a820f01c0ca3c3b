//! The life of one projector in one process: set up, rebuild where the code has changed, follow the ledger, try again.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use daybook_read_models::time::now;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bookkeeping;
use crate::engine::Core;
use crate::error::EngineError;
use crate::fold::{LARGE_PAGE, PAGE, Step, step};
use crate::projector::Projector;
use crate::rebuild::{Finish, rebuild};

/// How long an idle worker waits before it looks again by itself.
const IDLE_WAIT: Duration = Duration::from_secs(1);
/// Pauses after failures in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Pause before a worker that has panicked is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(5);

/// Works until `shutdown` is true or its sender is gone, and begins anew after a panic.
pub(crate) async fn run(core: Arc<Core>, projector: Arc<dyn Projector>, mut shutdown: watch::Receiver<bool>) {
    while !stopped(&shutdown) {
        // A task of its own holds the panic; the set takes it along where this future is dropped.
        let mut worker = JoinSet::new();
        worker.spawn(work(Arc::clone(&core), Arc::clone(&projector), shutdown.clone()));
        match worker.join_next().await {
            Some(Err(error)) if error.is_panic() => {}
            _ => return,
        }
        report(&core, projector.as_ref(), &EngineError::Panicked).await;
        let _ = tokio::time::timeout(RESTART_PAUSE, until_stopped(&mut shutdown)).await;
    }
}

async fn work(core: Arc<Core>, projector: Arc<dyn Projector>, mut shutdown: watch::Receiver<bool>) {
    let projector = projector.as_ref();
    let mut pause = FIRST_PAUSE;
    // Only a start may rebuild tables of another version: two programs of different versions that run side by side
    // would otherwise rebuild in turns for ever.
    let mut starting = true;
    while !stopped(&shutdown) {
        let before = core.remembered(projector.name()).map(|memory| memory.position);
        let Err(error) = follow(&core, projector, &mut starting, &mut shutdown).await else { return };
        if matches!(error, EngineError::Interrupted(_)) {
            return;
        }
        if core.remembered(projector.name()).map(|memory| memory.position) != before {
            pause = FIRST_PAUSE;
        }
        report(&core, projector, &error).await;
        let _ = tokio::time::timeout(pause, until_stopped(&mut shutdown)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Folds up to `head` at least, once, without waiting for more.
pub(crate) async fn catch_up(core: &Core, projector: &dyn Projector, head: u64) -> Result<(), EngineError> {
    let mut position = start(core, projector, &|_, _| ControlFlow::Continue(()), true).await?;
    while position < head {
        match step(&core.db, &core.reader, projector, position, LARGE_PAGE).await? {
            Step::UpToDate => break,
            Step::Moved(moved) => position = moved,
            Step::Folded(end, stopped_by) => {
                position = end;
                progressed(core, projector, position);
                if let Some(error) = stopped_by {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

/// Makes sure that there are tables of this version; answers the position.
async fn start(
    core: &Core,
    projector: &dyn Projector,
    progress: &(dyn Fn(u64, u64) -> ControlFlow<()> + Send + Sync),
    may_rebuild: bool,
) -> Result<u64, EngineError> {
    let ledger_id = core.reader.id().as_str();
    let row = bookkeeping::ensure(&core.db, projector, ledger_id).await?;
    if row.reducer_version != u64::from(projector.version()) {
        if !may_rebuild {
            return Err(EngineError::OtherVersion { tables: row.reducer_version, code: projector.version() });
        }
        let (tables, code) = (row.reducer_version, projector.version());
        tracing::info!(projector = projector.name(), tables, code, "the projector's code has changed: rebuilding");
        rebuild(core, projector, Finish::Swap, progress).await?;
    }
    let position = daybook_read_models::positions::position(&core.db, projector.name(), ledger_id).await?;
    core.remember(projector.name(), |memory| memory.position = position);
    Ok(position)
}

async fn follow(
    core: &Core,
    projector: &dyn Projector,
    starting: &mut bool,
    shutdown: &mut watch::Receiver<bool>,
) -> Result<(), EngineError> {
    let watched = shutdown.clone();
    let keep_on = move |_, _| if stopped(&watched) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let mut position = start(core, projector, &keep_on, *starting).await?;
    *starting = false;
    while !stopped(shutdown) {
        let behind = core.reader.wake().borrow().saturating_sub(position);
        let limit = if behind > u64::try_from(PAGE).unwrap_or(u64::MAX) { LARGE_PAGE } else { PAGE };
        match step(&core.db, &core.reader, projector, position, limit).await? {
            Step::Folded(end, stopped_by) => {
                position = end;
                progressed(core, projector, position);
                if let Some(error) = stopped_by {
                    return Err(error);
                }
            }
            Step::Moved(moved) => position = moved,
            Step::UpToDate => {
                recovered(core, projector, position).await?;
                remove_dead_rebuild(core, projector).await?;
                tokio::select! {
                    waited = core.reader.wait_beyond(position, IDLE_WAIT) => { waited?; }
                    () = until_stopped(shutdown) => {}
                }
            }
        }
    }
    Ok(())
}

fn progressed(core: &Core, projector: &dyn Projector, position: u64) {
    core.remember(projector.name(), |memory| {
        memory.position = position;
        memory.last_progress_at = Some(now());
        memory.error = None;
    });
}

/// Takes back a note about a failure that has passed without anything having been folded since.
async fn recovered(core: &Core, projector: &dyn Projector, position: u64) -> Result<(), EngineError> {
    let had_error = core.remembered(projector.name()).is_some_and(|memory| memory.error.is_some());
    if had_error {
        bookkeeping::note_error(&core.db, projector, core.reader.id().as_str(), None).await?;
    }
    core.remember(projector.name(), |memory| {
        memory.position = position;
        memory.error = None;
    });
    Ok(())
}

/// A rebuild that died shortly before this process began did not look dead then.
async fn remove_dead_rebuild(core: &Core, projector: &dyn Projector) -> Result<(), EngineError> {
    let sql = format!(
        "select projector from projector_tables where projector = $1 and rebuild_seen_at < {} - $2",
        bookkeeping::clock(&core.db)
    );
    let dead = sqlx::query(&sql)
        .bind(projector.name())
        .bind(bookkeeping::REBUILD_DEAD_AFTER_MICROS)
        .fetch_optional(core.db.readers())
        .await?;
    if dead.is_some() {
        bookkeeping::ensure(&core.db, projector, core.reader.id().as_str()).await?;
    }
    Ok(())
}

/// Says once what is wrong: in the log, in the status, and in the database for other processes.
async fn report(core: &Core, projector: &dyn Projector, error: &EngineError) {
    let text = error.to_string();
    if core.remembered(projector.name()).and_then(|memory| memory.error).as_deref() == Some(text.as_str()) {
        return;
    }
    tracing::error!(projector = projector.name(), ledger = %core.reader.id(), error = %text, "a projector stands still");
    core.remember(projector.name(), |memory| memory.error = Some(text.clone()));
    let noted = bookkeeping::note_error(&core.db, projector, core.reader.id().as_str(), Some(&text)).await;
    if let Err(error) = noted {
        tracing::debug!(projector = projector.name(), %error, "the note about it could not be written");
    }
}

fn stopped(shutdown: &watch::Receiver<bool>) -> bool {
    *shutdown.borrow() || shutdown.has_changed().is_err()
}

async fn until_stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a way to stop, too.
    let _ = shutdown.wait_for(|stop| *stop).await;
}
