//! The task of one organisation's queue: collect, flush, try again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use daybook_domain::access::{ACCESS_STREAM, HOLDS_PERSONAL_DATA};
use daybook_ledger::append::MAX_EVENTS_PER_COMMAND;
use daybook_ledger::cqrs::encode;
use daybook_ledger::{Actor, Append, AppendError, Draft, InvalidValue, Ledger, StreamKey};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::batch::{Batch, Fact};
use super::strangers::{Pace, Strangers};
use super::{Counters, FLUSH_INTERVAL, FLUSH_SIZE};
use crate::personal::PersonalData;

/// Who the entries say recorded them.
const ACTOR: &str = "access-recorder";
/// Pauses after flushes that failed, in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

pub(super) enum Message {
    Fact(Fact),
    Flush(oneshot::Sender<()>),
}

/// Events on their way into the ledger, and for how many facts they stand.
struct Prepared {
    drafts: Vec<Draft>,
    facts: u64,
}

/// Collects facts and appends them.
pub(super) struct Task {
    ledger: Ledger,
    personal: PersonalData,
    counters: Arc<Counters>,
    stream: Result<StreamKey, InvalidValue>,
    version: u64,
    batch: Batch,
    strangers: Arc<Strangers>,
    pace: Pace,
    /// Made of an earlier batch and not yet known to be in the ledger.
    prepared: Option<Prepared>,
    pause: Option<Duration>,
}

impl Task {
    pub fn new(ledger: Ledger, personal: PersonalData, strangers: Arc<Strangers>, counters: Arc<Counters>) -> Self {
        Self {
            ledger,
            personal,
            counters,
            stream: new_stream(),
            version: 0,
            batch: Batch::default(),
            strangers,
            pace: Pace::new(),
            prepared: None,
            pause: None,
        }
    }

    /// Works until all senders are gone; then what waits is flushed, with as many tries as the caller has patience.
    pub async fn run(mut self, mut facts: mpsc::Receiver<Message>) {
        let mut due: Option<Instant> = None;
        loop {
            let has_room = self.batch.len() < FLUSH_SIZE;
            tokio::select! {
                biased;
                () = until(due), if due.is_some() => due = self.flush(false).await,
                message = facts.recv(), if has_room => match message {
                    Some(Message::Fact(fact)) => {
                        self.batch.push(fact);
                        // While flushes fail, the pause counts, not the size.
                        if self.batch.len() >= FLUSH_SIZE && self.pause.is_none() {
                            due = Some(Instant::now());
                        }
                        due.get_or_insert_with(|| Instant::now() + FLUSH_INTERVAL);
                    }
                    Some(Message::Flush(done)) => {
                        due = self.flush(true).await;
                        let _ = done.send(());
                    }
                    None => break,
                },
                () = self.strangers.news.notified() => {
                    due.get_or_insert_with(|| Instant::now() + FLUSH_INTERVAL);
                }
            }
        }
        while let Some(again) = self.flush(true).await {
            tokio::time::sleep_until(again).await;
        }
    }

    /// Appends what waits; of what strangers caused, as much as may be made at present, or all that waits. Answers when
    /// to try again, where something still waits.
    async fn flush(&mut self, everything: bool) -> Option<Instant> {
        let mut allowed = if everything { self.strangers.len() } else { self.pace.room(Instant::now()) };
        while self.prepared.is_some() || !self.batch.is_empty() || (allowed > 0 && self.strangers.len() > 0) {
            if let Err(why) = self.append(&mut allowed).await {
                self.counters.failed_flushes.fetch_add(1, Ordering::Relaxed);
                if self.pause.is_none() {
                    tracing::warn!(ledger = %self.ledger.id(), why, "access cannot be recorded at the moment");
                }
                let pause = self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
                self.pause = Some(pause);
                return Some(Instant::now() + pause);
            }
            if self.pause.take().is_some() {
                tracing::info!(ledger = %self.ledger.id(), "access is recorded again");
            }
        }
        (self.strangers.len() > 0).then(|| Instant::now() + FLUSH_INTERVAL)
    }

    async fn append(&mut self, allowed: &mut usize) -> Result<(), String> {
        if self.prepared.is_none() {
            self.prepare(allowed).await?;
        }
        let Some(prepared) = self.prepared.as_ref() else { return Ok(()) };
        let (drafts, facts) = (prepared.drafts.clone(), prepared.facts);
        let stream = self.stream.clone().map_err(|error| error.to_string())?;
        let append = Append {
            stream: stream.clone(),
            expected_version: self.version,
            events: drafts,
            actor: Actor::system(ACTOR),
            metadata: "{}".to_owned(),
            command: None,
        };
        match self.ledger.append(append).await {
            Ok(appended) => {
                self.version = appended.version;
                self.recorded(facts);
                Ok(())
            }
            Err(AppendError::VersionConflict { actual, .. }) => self.settle(&stream, actual).await,
            Err(AppendError::Invalid(error)) => {
                // It would be refused each time: no use in keeping it.
                tracing::error!(ledger = %self.ledger.id(), %error, "facts about access were not taken by the ledger");
                self.counters.dropped.fetch_add(facts, Ordering::Relaxed);
                self.prepared = None;
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// The stream is further than this task has brought it: either an append whose outcome was not known went through
    /// after all, or somebody else writes to it, and this task leaves it to them.
    async fn settle(&mut self, stream: &StreamKey, actual: u64) -> Result<(), String> {
        let limit = MAX_EVENTS_PER_COMMAND;
        let found = self.ledger.stream(stream, self.version + 1, limit).await.map_err(|error| error.to_string())?;
        let Some(prepared) = &self.prepared else { return Ok(()) };
        let ids = prepared.drafts.iter().map(|draft| draft.event_id);
        let is_there = found.len() >= prepared.drafts.len() && ids.zip(&found).all(|(id, entry)| entry.event_id == id);
        if is_there {
            let facts = prepared.facts;
            self.version += u64::try_from(prepared.drafts.len()).unwrap_or_default();
            self.recorded(facts);
        } else {
            let ledger = self.ledger.id();
            tracing::warn!(%ledger, %stream, actual, "another writer is in the stream of access: beginning a new one");
            self.stream = new_stream();
            self.version = 0;
        }
        Ok(())
    }

    fn recorded(&mut self, facts: u64) {
        self.counters.recorded.fetch_add(facts, Ordering::Relaxed);
        self.prepared = None;
    }

    /// Makes events of the batch, and, as far as there is room and they are `allowed`, of what strangers caused.
    async fn prepare(&mut self, allowed: &mut usize) -> Result<(), String> {
        let made = self.batch.events(&self.personal).await.map_err(|error| error.to_string())?;
        let mut drafts = Vec::with_capacity(made.events.len());
        for event in &made.events {
            drafts.push(encode(event, HOLDS_PERSONAL_DATA).map_err(|error| error.to_string())?);
        }
        self.batch = Batch::default();
        let (mut facts, mut unfit) = (made.facts, made.unfit);
        let taken = self.strangers.take((*allowed).min(MAX_EVENTS_PER_COMMAND.saturating_sub(drafts.len())));
        *allowed = allowed.saturating_sub(taken.len());
        self.pace.spend(taken.len(), Instant::now());
        for often in taken {
            let event = often.event().map_err(|error| error.to_string());
            match event.and_then(|event| encode(&event, HOLDS_PERSONAL_DATA).map_err(|error| error.to_string())) {
                Ok(draft) => {
                    drafts.push(draft);
                    facts += often.count;
                }
                Err(error) => {
                    tracing::error!(error, "a fact about a stranger does not fit its event");
                    unfit += often.count;
                }
            }
        }
        self.counters.dropped.fetch_add(unfit, Ordering::Relaxed);
        self.prepared = (!drafts.is_empty()).then_some(Prepared { drafts, facts });
        Ok(())
    }
}

fn new_stream() -> Result<StreamKey, InvalidValue> {
    StreamKey::new(ACCESS_STREAM, format!("acc_{}", uuid::Uuid::now_v7().simple()))
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
