//! Hearing of other processes' appends: one connection of the pool for all ledgers, each told its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::CHANNEL;
use crate::entry::LedgerId;

/// Pause after a connection that was lost.
const PAUSE: Duration = Duration::from_secs(1);

/// The largest size heard of, by ledger.
type Heard = Arc<Mutex<HashMap<LedgerId, watch::Sender<u64>>>>;

/// The connection that listens. It is given up when this is dropped.
pub(super) struct Listener {
    heard: Heard,
    task: JoinHandle<()>,
}

impl Listener {
    /// Begins to listen.
    pub(super) async fn start(pool: &PgPool) -> Result<Self, sqlx::Error> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        // Channels are the database's: ledgers of other schemas are announced on this one, too, and have sizes of their own.
        let schema: Option<String> = sqlx::query_scalar("select current_schema()").fetch_one(pool).await?;
        let heard = Heard::default();
        let task = tokio::spawn(hear(listener, schema.unwrap_or_default(), Arc::clone(&heard)));
        Ok(Self { heard, task })
    }

    /// Changes whenever `ledger` is heard to have grown.
    pub(super) fn of(&self, ledger: &LedgerId) -> watch::Receiver<u64> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.entry(ledger.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// `recv` reconnects by itself; what was missed meanwhile is found by polling.
async fn hear(mut listener: PgListener, schema: String, heard: Heard) {
    loop {
        match listener.recv().await {
            Ok(notification) => {
                let Some((ledger, size)) = parse_notification(notification.payload(), &schema) else { continue };
                let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(newest) = heard.get(&ledger) {
                    newest.send_if_modified(|known| {
                        let has_grown = size > *known;
                        *known = size.max(*known);
                        has_grown
                    });
                }
            }
            Err(error) => {
                tracing::warn!(%error, "listening for appends failed, polling goes on");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The ledger and its size, where it is one of this schema.
fn parse_notification(payload: &str, schema: &str) -> Option<(LedgerId, u64)> {
    let (ledger, rest) = payload.split_once(' ')?;
    let (size, of_schema) = rest.split_once(' ')?;
    if of_schema != schema {
        return None;
    }
    Some((ledger.parse().ok()?, size.parse().ok()?))
}
