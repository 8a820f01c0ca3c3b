//! Reading a ledger, and holding one open for writing.
//!
//! [`LedgerReader`] is what projectors, queries and replays use; [`Ledger`] adds the one way to append.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use tokio::sync::watch;

use crate::append::{Append, AppendError, Appended};
use crate::entry::{Entry, Head, LedgerId, StreamKey};
use crate::sequencer::{Clock, Pending, QUEUE_CAPACITY, Sequencer, SequencerObserver};
use crate::store::{Store, StoreError};
use crate::tree::{self, TreeError};
use crate::writing::WritingStatus;

/// How often a waiting reader looks at the store even without a wake-up.
pub const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Entries a streaming read takes from the store at once.
const PAGE: usize = 1_000;

/// One ledger in a store, for reading. Cheap to clone.
#[derive(Clone)]
pub struct LedgerReader {
    id: LedgerId,
    store: Arc<dyn Store>,
    size: watch::Sender<u64>,
    /// Set where this process appends.
    writing: Option<watch::Receiver<WritingStatus>>,
}

impl LedgerReader {
    /// A reader of ledger `id`; it need not have entries yet. Listens for other processes' appends where the store can.
    pub async fn open(store: Arc<dyn Store>, id: LedgerId) -> Result<Self, StoreError> {
        let head = store.head(&id).await?;
        let size = watch::Sender::new(head.size);
        let reader = Self { id, store, size, writing: None };
        if let Some(mut announced) = reader.store.listen(&reader.id).await? {
            let listening = reader.clone();
            tokio::spawn(async move {
                while announced.changed().await.is_ok() {
                    let announced = *announced.borrow_and_update();
                    // The announcement is only a hint: the store has the last word.
                    if announced > *listening.size.borrow() {
                        let _ = listening.head().await;
                    }
                }
            });
        }
        Ok(reader)
    }

    /// Which ledger.
    pub fn id(&self) -> &LedgerId {
        &self.id
    }

    /// How appending goes, where this process appends.
    pub fn writing(&self) -> Option<watch::Receiver<WritingStatus>> {
        self.writing.clone()
    }

    /// The store behind it.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Size, hash and root as the store has them now.
    pub async fn head(&self) -> Result<Head, StoreError> {
        let head = self.store.head(&self.id).await?;
        grow(&self.size, head.size);
        Ok(head)
    }

    /// At most `limit` entries from position `from` on.
    pub async fn entries(&self, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.store.entries(&self.id, from, limit).await
    }

    /// Entries `from..to` in position order, read page by page in constant memory. Ends at `to` or at the ledger's end.
    pub fn range(&self, from: u64, to: u64) -> impl Stream<Item = Result<Entry, StoreError>> + Send + use<> {
        let reader = self.clone();
        async_stream::try_stream! {
            let mut next = from;
            while next < to {
                let wanted = usize::try_from(to - next).unwrap_or(PAGE).min(PAGE);
                let page = reader.entries(next, wanted).await?;
                let Some(last) = page.last().map(|entry| entry.position) else { break };
                for entry in page {
                    yield entry;
                }
                next = last + 1;
            }
        }
    }

    /// At most `limit` entries of one stream from `from_version` on.
    pub async fn stream(&self, key: &StreamKey, from_version: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.store.stream(&self.id, key, from_version, limit).await
    }

    /// The largest size heard of so far, changing as appends are heard of. A hint, never a promise.
    pub fn wake(&self) -> watch::Receiver<u64> {
        self.size.subscribe()
    }

    /// Waits until the ledger has more than `size` entries, or until `timeout`; answers the size last seen.
    ///
    /// Woken by the hint; looks at the store itself every [`POLL_INTERVAL`], so a lost wake-up only costs that long.
    pub async fn wait_beyond(&self, size: u64, timeout: Duration) -> Result<u64, StoreError> {
        let deadline = tokio::time::Instant::now() + timeout;
        let mut hint = self.wake();
        loop {
            let seen = *hint.borrow_and_update();
            if seen > size {
                return Ok(seen);
            }
            let now = tokio::time::Instant::now();
            if now >= deadline {
                return Ok(self.head().await?.size);
            }
            let pause = POLL_INTERVAL.min(deadline - now);
            if tokio::time::timeout(pause, hint.changed()).await.is_err() {
                self.head().await?;
            }
        }
    }
}

/// The hint only ever grows.
fn grow(size: &watch::Sender<u64>, new_size: u64) {
    size.send_if_modified(|size| {
        let grown = new_size > *size;
        *size = (*size).max(new_size);
        grown
    });
}

/// One ledger open for writing: a reader with a sequencer. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    reader: LedgerReader,
    sequencer: Sequencer,
}

impl Ledger {
    /// Starts the ledger's sequencer in this process. Call once per ledger and process.
    pub async fn open(
        store: Arc<dyn Store>,
        id: LedgerId,
        clock: Clock,
        observer: Arc<dyn SequencerObserver>,
    ) -> Result<Self, StoreError> {
        Self::open_with_queue(store, id, clock, observer, QUEUE_CAPACITY).await
    }

    /// As [`Ledger::open`], with room for `capacity` waiting commands.
    pub async fn open_with_queue(
        store: Arc<dyn Store>,
        id: LedgerId,
        clock: Clock,
        observer: Arc<dyn SequencerObserver>,
        capacity: usize,
    ) -> Result<Self, StoreError> {
        let mut reader = LedgerReader::open(Arc::clone(&store), id.clone()).await?;
        let (writing, status) = watch::channel(WritingStatus::default());
        reader.writing = Some(status);
        tree::backfill(&reader).await.map_err(|error| match error {
            TreeError::Store(error) => error,
            other => StoreError::Unavailable(other.to_string()),
        })?;
        let sequencer = Sequencer::start(id, store, clock, observer, reader.size.clone(), writing, capacity);
        Ok(Self { reader, sequencer })
    }

    /// The reading half.
    pub fn reader(&self) -> &LedgerReader {
        &self.reader
    }

    /// Appends the events of one command; answers when they are durable, or why they are not there.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.try_submit(append)?.outcome().await
    }

    /// Queues a command; a full queue refuses at once.
    pub fn try_submit(&self, append: Append) -> Result<Pending, AppendError> {
        self.sequencer.submit(append)
    }

    /// Queues a command, waiting for room in the queue; commands submitted in turn are sequenced in that order.
    pub async fn submit(&self, append: Append) -> Result<Pending, AppendError> {
        self.sequencer.submit_when_room(append).await
    }
}

impl Deref for Ledger {
    type Target = LedgerReader;

    fn deref(&self) -> &LedgerReader {
        &self.reader
    }
}
