//! A store that can be out of reach.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use daybook_ledger::store::Snapshot;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{
    Append, AppendError, Appended, CommandRecord, Entry, Hash, Head, LedgerId, Store, StoreError, StoredCheckpoint,
    StreamKey, Tile,
};

/// Answers as the store behind it, except while it is broken.
pub struct Faulty {
    inner: SqliteStore,
    broken: AtomicBool,
}

impl Faulty {
    pub fn new(inner: SqliteStore) -> Arc<Self> {
        Arc::new(Self { inner, broken: AtomicBool::new(false) })
    }

    pub fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.broken.load(Ordering::SeqCst) {
            Err(StoreError::Unavailable("out of reach".to_owned()))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Store for Faulty {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    async fn append(
        &self,
        ledger: &LedgerId,
        batch: &[Append],
        now: i64,
    ) -> Result<Vec<Result<Appended, AppendError>>, StoreError> {
        self.check()?;
        self.inner.append(ledger, batch, now).await
    }

    async fn head(&self, ledger: &LedgerId) -> Result<Head, StoreError> {
        self.check()?;
        self.inner.head(ledger).await
    }

    async fn ledgers(&self) -> Result<Vec<LedgerId>, StoreError> {
        self.inner.ledgers().await
    }

    async fn entries(&self, ledger: &LedgerId, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.check()?;
        self.inner.entries(ledger, from, limit).await
    }

    async fn stream(
        &self,
        ledger: &LedgerId,
        key: &StreamKey,
        from_version: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.check()?;
        self.inner.stream(ledger, key, from_version, limit).await
    }

    async fn streams(
        &self,
        ledger: &LedgerId,
        stream_type: &str,
        stream_ids: &[String],
        to_version: u64,
    ) -> Result<Vec<Entry>, StoreError> {
        self.inner.streams(ledger, stream_type, stream_ids, to_version).await
    }

    async fn command(&self, ledger: &LedgerId, command_id: &str) -> Result<Option<CommandRecord>, StoreError> {
        self.inner.command(ledger, command_id).await
    }

    async fn remember(&self, ledger: &LedgerId, command_id: &str, record: CommandRecord) -> Result<(), StoreError> {
        self.inner.remember(ledger, command_id, record).await
    }

    async fn snapshot(&self, ledger: &LedgerId, key: &StreamKey) -> Result<Option<Snapshot>, StoreError> {
        self.inner.snapshot(ledger, key).await
    }

    async fn save_snapshot(&self, ledger: &LedgerId, key: &StreamKey, snapshot: Snapshot) -> Result<(), StoreError> {
        self.inner.save_snapshot(ledger, key, snapshot).await
    }

    async fn tiles(&self, ledger: &LedgerId, level: u8, from: u64, limit: usize) -> Result<Vec<Tile>, StoreError> {
        self.inner.tiles(ledger, level, from, limit).await
    }

    async fn tile_roots(&self, ledger: &LedgerId, level: u8, from: u64, limit: usize) -> Result<Vec<Hash>, StoreError> {
        self.inner.tile_roots(ledger, level, from, limit).await
    }

    async fn add_tiles(&self, ledger: &LedgerId, tiles: &[Tile]) -> Result<(), StoreError> {
        self.inner.add_tiles(ledger, tiles).await
    }

    async fn save_checkpoint(&self, ledger: &LedgerId, checkpoint: &StoredCheckpoint) -> Result<(), StoreError> {
        self.inner.save_checkpoint(ledger, checkpoint).await
    }

    async fn latest_checkpoint(&self, ledger: &LedgerId) -> Result<Option<StoredCheckpoint>, StoreError> {
        self.inner.latest_checkpoint(ledger).await
    }

    async fn checkpoints(
        &self,
        ledger: &LedgerId,
        from_size: u64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        self.inner.checkpoints(ledger, from_size, limit).await
    }

    async fn listen(&self, ledger: &LedgerId) -> Result<Option<tokio::sync::watch::Receiver<u64>>, StoreError> {
        self.inner.listen(ledger).await
    }
}
