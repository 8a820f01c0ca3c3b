//! Server-sent events: which positions have come to be, and of which topic. No data travels here; whoever is told of a
//! position fetches what it may see.
//!
//! The ledger itself is the queue: a client that was away, or is slow, is served from where it stopped. One page is read
//! at a time and only when the client has taken the one before, so nothing grows with the client's slowness.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use daybook_http_kit::{Permission, Standing};
use daybook_ledger::{Entry, LedgerReader};
use futures::Stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

/// How often a client hears something even if nothing happens.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a client waits before it connects again.
const RETRY_MS: u32 = 1_000;
/// Entries read at once.
const PAGE: usize = 256;
/// Pause after a wake-up that turned out to be early.
const EARLY_PAUSE: Duration = Duration::from_millis(50);
/// Streams served at the same time by one process.
pub const MAX_STREAMS: usize = 512;

/// The live streams of this process: how many there may be, and when they end.
#[derive(Clone)]
pub struct LiveStreams {
    slots: Arc<Semaphore>,
    shutdown: watch::Receiver<bool>,
    heartbeat: Duration,
}

impl LiveStreams {
    /// Streams end when `shutdown` becomes true or its sender goes away.
    pub fn new(shutdown: watch::Receiver<bool>) -> Self {
        Self { slots: Arc::new(Semaphore::new(MAX_STREAMS)), shutdown, heartbeat: HEARTBEAT }
    }

    /// With another pause between heartbeats.
    #[must_use]
    pub fn with_heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// Room for one more stream, or `None` where there are [`MAX_STREAMS`] already.
    pub fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }

    /// The frames from position `from` on, of the given topics, until shutdown, until the store fails, or until the caller
    /// may not know any more, which is asked once a heartbeat. Empty topics are all topics. Holds `slot` until the client is
    /// gone.
    pub fn frames<P: Permission>(
        &self,
        reader: LedgerReader,
        from: u64,
        topics: BTreeSet<String>,
        standing: Option<Standing>,
        slot: OwnedSemaphorePermit,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> + use<P> {
        let mut shutdown = self.shutdown.clone();
        let heartbeat = self.heartbeat;
        async_stream::stream! {
            let _slot = slot;
            let mut next = from;
            let mut last_frame = Instant::now();
            let mut last_asked = Instant::now();
            yield Ok(Bytes::from(format!("retry: {RETRY_MS}\n: from {from}\n\n")));
            while !*shutdown.borrow_and_update() {
                let page = match reader.entries(next, PAGE).await {
                    Ok(page) => page,
                    Err(error) => {
                        // The client comes back with its last position, so ending loses nothing.
                        tracing::error!(%error, position = next, "a live stream ends: the ledger cannot be read");
                        break;
                    }
                };
                if last_asked.elapsed() >= heartbeat {
                    last_asked = Instant::now();
                    if let Some(standing) = &standing && !standing.holds::<P>().await {
                        break;
                    }
                }
                let empty = page.is_empty();
                if let Some(last) = page.last() {
                    next = last.position.saturating_add(1);
                }
                let frames = entry_frames(&page, &topics);
                if !frames.is_empty() {
                    last_frame = Instant::now();
                    yield Ok(Bytes::from(frames));
                } else if last_frame.elapsed() >= heartbeat {
                    last_frame = Instant::now();
                    yield Ok(heartbeat_frame(next));
                }
                if !empty {
                    continue;
                }
                let pause = heartbeat.saturating_sub(last_frame.elapsed());
                tokio::select! {
                    changed = shutdown.changed() => if changed.is_err() { break },
                    size = reader.wait_beyond(next, pause) => match size {
                        // A hint may be ahead of what a read sees.
                        Ok(size) if size > next && reader.entries(next, 1).await.is_ok_and(|page| page.is_empty()) => {
                            tokio::time::sleep(EARLY_PAUSE).await;
                        }
                        Ok(_) => {}
                        Err(error) => {
                            tracing::error!(%error, position = next, "a live stream ends: the ledger cannot be read");
                            break;
                        }
                    },
                }
            }
        }
    }
}

/// One frame an entry of a wanted topic: its position as the event's id, and position and topic as data.
fn entry_frames(page: &[Entry], topics: &BTreeSet<String>) -> String {
    let mut frames = String::new();
    for entry in page {
        let topic = entry.stream.stream_type.as_str();
        if !topics.is_empty() && !topics.contains(topic) {
            continue;
        }
        let position = entry.position;
        let data = serde_json::json!({ "position": position, "topic": topic });
        // Writing into a string cannot fail.
        let _ = write!(frames, "id: {position}\nevent: entry\ndata: {data}\n\n");
    }
    frames
}

/// A comment that keeps the connection open, and the position so far as the id to resume from: without it a client of a
/// quiet topic would have to be led through all the others' entries again. A frame without data raises no event.
fn heartbeat_frame(next: u64) -> Bytes {
    match next.checked_sub(1) {
        Some(seen) => Bytes::from(format!(": heartbeat\nid: {seen}\n\n")),
        None => Bytes::from_static(b": heartbeat\n\n"),
    }
}
