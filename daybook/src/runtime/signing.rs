//! The part of a server process that signs checkpoints: keys opened, ledger compared, cadence running, stopped last.

use std::time::Duration;

use anyhow::Context;
use daybook_http_kit::Telemetry;
use daybook_http_kit::telemetry::CheckpointReading;
use daybook_ledger::checkpoint::{
    CheckpointError, CheckpointMemory, CheckpointRequests, CheckpointStatus, Checkpointer, compare,
};
use daybook_ledger::keys::KeyRing;
use daybook_ledger::sequencer::Clock;
use daybook_ledger::{Ledger, LedgerId, LedgerReader, LedgerTree};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::settings::Settings;
use crate::settings::signing::DEFAULT_OVERLAP_DAYS;

/// The last checkpoint has this long at shutdown.
const LAST_PATIENCE: Duration = Duration::from_secs(15);

/// True where the program looked and found a ledger that does not extend what was signed: exit code 1, not 2.
pub fn is_refusal(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<CheckpointError>()).any(CheckpointError::is_refusal)
}

/// What `settings` remember of a ledger's last checkpoint, compared with the store: `None` where nothing is remembered, else
/// why the ledger is refused, if it is.
pub async fn remembered(settings: &Settings, reader: &LedgerReader) -> anyhow::Result<Option<(u64, Option<String>)>> {
    let origin = settings.signing.origin_of(reader.id());
    let memory = CheckpointMemory::new(&settings.key_folder(reader.id()), reader.id(), &origin);
    let body = match memory.read() {
        Ok(Some((body, _))) => body,
        Ok(None) => return Ok(None),
        Err(error) => return Ok(Some((0, Some(error.to_string())))),
    };
    let place = memory.path().display().to_string();
    let compared = compare(&LedgerTree::new(reader.clone()), &body, &place).await;
    let compared = compared.with_context(|| format!("the ledger {} cannot be compared with {place}", reader.id()))?;
    Ok(Some((body.size, compared.err().map(|refusal| refusal.to_string()))))
}

/// The keys of `ledger`; made where there are none.
pub fn key_ring(settings: &Settings, ledger: &LedgerId, now: i64) -> anyhow::Result<KeyRing> {
    KeyRing::open(settings.ring_options(ledger, DEFAULT_OVERLAP_DAYS), now).context("the signing keys cannot be used")
}

/// Signing, while it runs.
pub struct Signing {
    /// To ask for a checkpoint.
    pub requests: CheckpointRequests,
    /// What was signed last, and what is wrong.
    pub status: watch::Receiver<CheckpointStatus>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Signing {
    /// Opens the keys, compares the ledger with the checkpoint signed last, and begins to sign.
    pub async fn start(
        settings: &Settings,
        interval: Duration,
        ledger: Ledger,
        clock: Clock,
        telemetry: &Telemetry,
    ) -> anyhow::Result<Self> {
        let id = ledger.id().clone();
        let keys = key_ring(settings, &id, clock())?;
        let checkpointer = Checkpointer::open(ledger, keys, clock.clone(), telemetry.checkpoints(&id))
            .await
            .with_context(|| format!("no checkpoint can be signed of the ledger {id}"))?;
        let (requests, status) = (checkpointer.requests(), checkpointer.status());
        let seen = status.clone();
        telemetry.observe_checkpoints(&id, move || reading(&seen.borrow(), clock()));
        let (stop, stopping) = watch::channel(false);
        let (task, asked) = (tokio::spawn(checkpointer.run(interval, stopping)), stop.subscribe());
        let running = task.abort_handle();
        telemetry.observe_ledger_gauge(
            &id,
            "daybook_checkpoints_stopped",
            "1 where the task that signs checkpoints has ended unexpectedly; the next start begins it again",
            move || u64::from(running.is_finished() && !*asked.borrow()),
        );
        Ok(Self { requests, status, stop, task })
    }

    /// Signs what was written since, and ends. To be called when nobody writes any more.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        match tokio::time::timeout(LAST_PATIENCE, self.task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the checkpoints have ended unexpectedly"),
            Err(_) => tracing::warn!("the last checkpoint was not signed in time; the next start signs one"),
        }
    }
}

fn reading(status: &CheckpointStatus, now: i64) -> CheckpointReading {
    let age = |signed_at: i64| u64::try_from(now.saturating_sub(signed_at) / 1_000_000).unwrap_or(0);
    CheckpointReading {
        latest: status.last.as_ref().map(|last| (last.size, age(last.signed_at))),
        is_refused: status.is_refused,
    }
}

#[cfg(test)]
mod tests {
    use daybook_ledger::Hash;
    use daybook_ledger::checkpoint::LastCheckpoint;

    use super::*;

    #[test]
    fn age_counts_seconds_and_is_not_there_before_the_first_checkpoint() {
        let mut status = CheckpointStatus::default();
        assert_eq!(reading(&status, 9), CheckpointReading { latest: None, is_refused: false });
        status.last = Some(LastCheckpoint { size: 7, root: Hash([0; 32]), signed_at: 5_000_000, key_ids: Vec::new() });
        status.is_refused = true;
        assert_eq!(reading(&status, 8_999_999), CheckpointReading { latest: Some((7, 3)), is_refused: true });
        assert_eq!(reading(&status, 1).latest, Some((7, 0)), "a clock that was set back");
    }
}
