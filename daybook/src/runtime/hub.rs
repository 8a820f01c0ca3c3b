//! One store for all ledgers of the process, and one listener for other processes' appends.
//!
//! Each open ledger listens for itself. On PostgreSQL that takes a connection of the pool for as long as the process runs,
//! of which there are fewer than there may be ledgers: here one connection listens, and each ledger is told its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use daybook_ledger::append::{Append, AppendError, Appended, CommandRecord};
use daybook_ledger::store::Snapshot;
use daybook_ledger::tiles::Tile;
use daybook_ledger::{Entry, Hash, Head, LedgerId, Store, StoreError, StoredCheckpoint, StreamKey};
use tokio::sync::{mpsc, watch};

/// Sizes that a ledger's reader may be behind in hearing of; only the newest counts.
const QUEUE: usize = 4;

/// The newest size heard of, by ledger.
type Heard = Arc<Mutex<HashMap<LedgerId, watch::Sender<u64>>>>;

/// The store, shared. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    store: Arc<dyn Store>,
    /// `None` where nobody else writes.
    heard: Option<Heard>,
}

impl Hub {
    /// Begins to listen where the store can.
    pub async fn new(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let Some(mut announced) = store.listen().await? else { return Ok(Self { store, heard: None }) };
        let heard = Heard::default();
        let telling = Arc::downgrade(&heard);
        tokio::spawn(async move {
            while let Some((ledger, size)) = announced.recv().await {
                let Some(heard) = telling.upgrade() else { return };
                let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(newest) = heard.get(&ledger) {
                    newest.send_replace(size);
                }
            }
        });
        Ok(Self { store, heard: Some(heard) })
    }

    /// The store as `ledger` is to be opened on it.
    pub fn store(&self, ledger: &LedgerId) -> Arc<dyn Store> {
        Arc::new(View { hub: self.clone(), ledger: ledger.clone() })
    }

    fn heard_of(&self, ledger: &LedgerId) -> Option<watch::Receiver<u64>> {
        let mut heard = self.heard.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = heard.entry(ledger.clone()).or_insert_with(|| watch::Sender::new(0));
        Some(newest.subscribe())
    }
}

/// The shared store, listening for one ledger.
struct View {
    hub: Hub,
    ledger: LedgerId,
}

#[async_trait]
impl Store for View {
    fn kind(&self) -> &'static str {
        self.hub.store.kind()
    }

    async fn append(
        &self,
        ledger: &LedgerId,
        batch: &[Append],
        now: i64,
    ) -> Result<Vec<Result<Appended, AppendError>>, StoreError> {
        self.hub.store.append(ledger, batch, now).await
    }

    async fn append_shared(
        &self,
        ledger: &LedgerId,
        batch: &Arc<Vec<Append>>,
        now: i64,
    ) -> Result<Vec<Result<Appended, AppendError>>, StoreError> {
        self.hub.store.append_shared(ledger, batch, now).await
    }

    async fn head(&self, ledger: &LedgerId) -> Result<Head, StoreError> {
        self.hub.store.head(ledger).await
    }

    async fn ledgers(&self) -> Result<Vec<LedgerId>, StoreError> {
        self.hub.store.ledgers().await
    }

    async fn entries(&self, ledger: &LedgerId, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.hub.store.entries(ledger, from, limit).await
    }

    async fn stream(
        &self,
        ledger: &LedgerId,
        key: &StreamKey,
        from_version: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.hub.store.stream(ledger, key, from_version, limit).await
    }

    async fn streams(
        &self,
        ledger: &LedgerId,
        stream_type: &str,
        stream_ids: &[String],
        to_version: u64,
    ) -> Result<Vec<Entry>, StoreError> {
        self.hub.store.streams(ledger, stream_type, stream_ids, to_version).await
    }

    async fn command(&self, ledger: &LedgerId, command_id: &str) -> Result<Option<CommandRecord>, StoreError> {
        self.hub.store.command(ledger, command_id).await
    }

    async fn remember(&self, ledger: &LedgerId, command_id: &str, record: CommandRecord) -> Result<(), StoreError> {
        self.hub.store.remember(ledger, command_id, record).await
    }

    async fn settle(&self) -> Result<(), StoreError> {
        self.hub.store.settle().await
    }

    async fn snapshot(&self, ledger: &LedgerId, key: &StreamKey) -> Result<Option<Snapshot>, StoreError> {
        self.hub.store.snapshot(ledger, key).await
    }

    async fn save_snapshot(&self, ledger: &LedgerId, key: &StreamKey, snapshot: Snapshot) -> Result<(), StoreError> {
        self.hub.store.save_snapshot(ledger, key, snapshot).await
    }

    async fn tiles(&self, ledger: &LedgerId, level: u8, from: u64, limit: usize) -> Result<Vec<Tile>, StoreError> {
        self.hub.store.tiles(ledger, level, from, limit).await
    }

    async fn tile_roots(&self, ledger: &LedgerId, level: u8, from: u64, limit: usize) -> Result<Vec<Hash>, StoreError> {
        self.hub.store.tile_roots(ledger, level, from, limit).await
    }

    async fn add_tiles(&self, ledger: &LedgerId, tiles: &[Tile]) -> Result<(), StoreError> {
        self.hub.store.add_tiles(ledger, tiles).await
    }

    async fn save_checkpoint(&self, ledger: &LedgerId, checkpoint: &StoredCheckpoint) -> Result<(), StoreError> {
        self.hub.store.save_checkpoint(ledger, checkpoint).await
    }

    async fn latest_checkpoint(&self, ledger: &LedgerId) -> Result<Option<StoredCheckpoint>, StoreError> {
        self.hub.store.latest_checkpoint(ledger).await
    }

    async fn checkpoints(
        &self,
        ledger: &LedgerId,
        from_size: u64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        self.hub.store.checkpoints(ledger, from_size, limit).await
    }

    async fn listen(&self) -> Result<Option<mpsc::Receiver<(LedgerId, u64)>>, StoreError> {
        let Some(mut newest) = self.hub.heard_of(&self.ledger) else { return Ok(None) };
        let (sender, receiver) = mpsc::channel(QUEUE);
        let ledger = self.ledger.clone();
        tokio::spawn(async move {
            while newest.changed().await.is_ok() {
                let size = *newest.borrow_and_update();
                if sender.send((ledger.clone(), size)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Some(receiver))
    }
}
