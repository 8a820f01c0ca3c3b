//! The projectors of this process as the query API sees them: their status without waiting, and rebuilds in the background.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use daybook_http_kit::ProjectorReading;
use daybook_ledger::LedgerReader;
use daybook_projections::{Projections, ProjectorStatus as Engine};
use daybook_query_api::time::rfc3339;
use daybook_query_api::{ProjectionControl, ProjectorState, ProjectorStatus, RebuildRefused};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Between two looks at projectors that have something to do.
const REFRESH: Duration = Duration::from_millis(200);
/// Between two looks at projectors that have nothing to do, and of whose ledger nothing is heard.
const RESTING: Duration = Duration::from_secs(2);

/// A rebuild that was started here.
#[derive(Debug, Clone)]
enum Rebuild {
    Running { position: u64, target: u64 },
    Failed(String),
}

/// Controls the projectors of this process. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    projections: Projections,
    reader: LedgerReader,
    runtime: Handle,
    seen: Arc<Mutex<Vec<Engine>>>,
    rebuilds: Arc<Mutex<HashMap<String, Rebuild>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Control {
    /// Controls `projections` of `reader`'s ledger; rebuilds run on the present runtime.
    pub async fn new(projections: Projections, reader: LedgerReader) -> Self {
        let seen = Arc::new(Mutex::new(projections.status().await));
        Self { projections, reader, runtime: Handle::current(), seen, rebuilds: Arc::default() }
    }

    /// Looks at the projectors now and then, until `shutdown`.
    pub async fn watch(self, mut shutdown: watch::Receiver<bool>) {
        let mut appended = self.reader.wake();
        while !*shutdown.borrow() {
            appended.mark_unchanged();
            let status = self.projections.status().await;
            let is_busy = |status: &Engine| status.lag_entries > 0 || status.rebuild.is_some();
            let rests = !status.iter().any(is_busy);
            *locked(&self.seen) = status;
            let pause = async {
                tokio::time::sleep(REFRESH).await;
                // An installation has many ledgers, of which most rest at most times.
                if rests {
                    let _ = tokio::time::timeout(RESTING, appended.changed()).await;
                }
            };
            tokio::select! {
                _ = shutdown.changed() => return,
                () = pause => {}
            }
        }
    }

    /// Positions for the metrics.
    pub fn readings(&self) -> Vec<ProjectorReading> {
        locked(&self.seen)
            .iter()
            .map(|status| ProjectorReading {
                projector: status.name.clone(),
                position: status.position,
                lag: status.lag_entries,
            })
            .collect()
    }
}

impl ProjectionControl for Control {
    fn status(&self) -> Vec<ProjectorStatus> {
        let rebuilds = locked(&self.rebuilds).clone();
        let seen = locked(&self.seen);
        let known: Vec<&'static str> = self.projections.names();
        known
            .into_iter()
            .map(|name| {
                let status = seen.iter().find(|status| status.name == name);
                view(name, status, rebuilds.get(name))
            })
            .collect()
    }

    fn rebuild(&self, name: &str) -> Result<(), RebuildRefused> {
        let name = self.projections.names().into_iter().find(|known| *known == name).ok_or(RebuildRefused::Unknown)?;
        {
            let mut rebuilds = locked(&self.rebuilds);
            if matches!(rebuilds.get(name), Some(Rebuild::Running { .. })) {
                return Err(RebuildRefused::Running);
            }
            rebuilds.insert(name.to_owned(), Rebuild::Running { position: 0, target: 0 });
        }
        let control = self.clone();
        self.runtime.spawn(async move {
            let rebuilds = Arc::clone(&control.rebuilds);
            let progress = move |position, target| {
                locked(&rebuilds).insert(name.to_owned(), Rebuild::Running { position, target });
            };
            let outcome = control.projections.rebuild(name, progress).await;
            let status = control.projections.status().await;
            *locked(&control.seen) = status;
            let mut rebuilds = locked(&control.rebuilds);
            match outcome {
                Ok(()) => {
                    tracing::info!(projector = name, "a rebuild is done");
                    rebuilds.remove(name);
                }
                Err(error) => {
                    tracing::error!(projector = name, %error, "a rebuild has failed");
                    rebuilds.insert(name.to_owned(), Rebuild::Failed(format!("the last rebuild failed: {error}")));
                }
            }
        });
        Ok(())
    }
}

fn view(name: &str, status: Option<&Engine>, rebuild: Option<&Rebuild>) -> ProjectorStatus {
    let elsewhere = status.and_then(|status| status.rebuild);
    let (mut rebuild_position, mut rebuild_target) =
        (elsewhere.map(|rebuild| rebuild.position), elsewhere.map(|rebuild| rebuild.target));
    let mut error = status.and_then(|status| status.error.clone());
    let mut state = match (&error, elsewhere) {
        (Some(_), _) => ProjectorState::Stopped,
        (None, Some(_)) => ProjectorState::Rebuilding,
        (None, None) => ProjectorState::Running,
    };
    match rebuild {
        Some(Rebuild::Running { position, target }) => {
            state = ProjectorState::Rebuilding;
            (rebuild_position, rebuild_target) = (Some(*position), Some(*target));
        }
        Some(Rebuild::Failed(why)) => error = error.or_else(|| Some(why.clone())),
        None => {}
    }
    ProjectorStatus {
        name: name.to_owned(),
        state,
        position: status.map_or(0, |status| status.position),
        updated_at: status.and_then(|status| status.last_progress_at).map(rfc3339),
        rebuild_position,
        rebuild_target,
        error,
    }
}
