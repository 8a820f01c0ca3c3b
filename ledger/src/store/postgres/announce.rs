//! Telling other processes of appends, off the appends' own path.
//!
//! An announcement is a hint that readers poll without, so a batch need not wait for it and need not have one of its own: a
//! task tells the newest size, at most once in a short while, and always the last one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::mpsc;

use super::CHANNEL;
use crate::entry::LedgerId;
use crate::store::signed;

/// Between two announcements. Readers that wait for an entry of another process wait so much longer at most.
const PAUSE: Duration = Duration::from_millis(10);

/// Sizes not announced yet, by ledger.
type Newest = Arc<Mutex<HashMap<LedgerId, u64>>>;

/// The sending half. When it is dropped, what was not announced yet still is.
pub(super) struct Announcer {
    newest: Newest,
    wake: mpsc::Sender<()>,
}

impl Announcer {
    /// Starts the task.
    pub(super) fn start(pool: PgPool) -> Self {
        let newest = Newest::default();
        let (wake, woken) = mpsc::channel(1);
        tokio::spawn(announce_all(pool, Arc::clone(&newest), woken));
        Self { newest, wake }
    }

    /// Has the ledger's new size announced soon.
    pub(super) fn announce(&self, ledger: &LedgerId, size: u64) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        match newest.get_mut(ledger) {
            Some(known) => *known = size.max(*known),
            None => drop(newest.insert(ledger.clone(), size)),
        }
        drop(newest);
        // Where a wake-up is due already, it finds this size, too.
        let _ = self.wake.try_send(());
    }
}

async fn announce_all(pool: PgPool, newest: Newest, mut woken: mpsc::Receiver<()>) {
    while woken.recv().await.is_some() {
        let sizes = std::mem::take(&mut *newest.lock().unwrap_or_else(PoisonError::into_inner));
        for (ledger, size) in sizes {
            // Nothing is lost with an announcement, so its transaction need not wait for the disk.
            let announced = sqlx::query(
                "select set_config('synchronous_commit', 'off', true), \
                 pg_notify($1, $2 || ' ' || $3::bigint::text || ' ' || current_schema())",
            )
            .bind(CHANNEL)
            .bind(ledger.as_str())
            .bind(signed(size))
            .execute(&pool)
            .await;
            if let Err(error) = announced {
                tracing::warn!(%ledger, size, %error, "an append was not announced, other processes find it by polling");
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
