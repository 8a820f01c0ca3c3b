//! cqrs-es on a ledger: events to entries and back, and the `EventStore` that aggregates load from and commit to.
//!
//! Positions and hashes flow back in the committed envelopes' metadata. Snapshots are a cache: one is used only if the
//! entry it was taken at still has the hash it had then. In-process query dispatch is not used: projectors read the log.

mod codec;

use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;
use std::sync::Arc;

use cqrs_es::persist::EventUpcaster;
use cqrs_es::{Aggregate, AggregateContext, AggregateError, EventEnvelope, EventStore};

pub use codec::{CodecError, decode, encode};

use crate::append::{Append, AppendError, Appended, CommandKey};
use crate::entry::{Actor, Entry, InvalidValue, Receipt, StreamKey};
use crate::reader::Ledger;
use crate::store::{Snapshot, StoreError};

/// Entries read from a stream at once.
const PAGE: usize = 1_000;

/// How one type of aggregate is kept.
#[derive(Clone)]
pub struct StreamPolicy {
    /// Raised whenever `apply` or the state's shape changes, so that older snapshots are not used.
    pub reducer_version: u32,
    /// Adds 16 random bytes to each payload, so that the digest of a removed payload cannot be guessed.
    pub holds_personal_data: bool,
    /// A snapshot after so many versions; 0 for never.
    pub snapshot_every: u64,
    /// About how many aggregates are held in memory after a command, so that the next one need not read their streams;
    /// 0 for none. An aggregate of many events counts as several.
    pub held_aggregates: usize,
    /// Bring older schema versions up to what the aggregate reads.
    pub upcasters: Arc<Vec<Box<dyn EventUpcaster>>>,
}

impl Default for StreamPolicy {
    fn default() -> Self {
        Self {
            reducer_version: 1,
            holds_personal_data: true,
            snapshot_every: 100,
            held_aggregates: 8_192,
            upcasters: Arc::default(),
        }
    }
}

/// An aggregate as loaded: its state, its version, and where its last event is.
#[derive(Debug, Clone)]
pub struct LedgerContext<A> {
    pub(crate) id: String,
    pub(crate) aggregate: A,
    pub(crate) version: u64,
    pub(crate) last: Option<(Receipt, i64)>,
}

impl<A: Aggregate> LedgerContext<A> {
    pub(crate) fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), aggregate: A::default(), version: 0, last: None }
    }

    fn apply_up_to(&mut self, page: &[Entry], most: u64, policy: &StreamPolicy) -> Result<(), LoadError> {
        page.iter().take_while(|entry| entry.version <= most).try_for_each(|entry| self.apply(entry, policy))
    }

    pub(crate) fn apply(&mut self, entry: &Entry, policy: &StreamPolicy) -> Result<(), LoadError> {
        if entry.version != self.version + 1 {
            return Err(LoadError::Gap { position: entry.position, expected: self.version + 1, found: entry.version });
        }
        self.aggregate.apply(decode(entry, &policy.upcasters)?);
        self.version = entry.version;
        self.last = Some((entry.receipt(), entry.recorded_at));
        Ok(())
    }
}

impl<A: Aggregate> AggregateContext<A> for LedgerContext<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.aggregate
    }
}

/// A stream that cannot be folded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry is not an event of this aggregate.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A version is missing.
    #[error("entry {position} has version {found} where {expected} was due")]
    Gap {
        /// Position of the entry.
        position: u64,
        /// The version that was due.
        expected: u64,
        /// The version it has.
        found: u64,
    },
    /// The id cannot name a stream.
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
}

/// The `EventStore` of cqrs-es over a ledger.
#[derive(Clone)]
pub struct LedgerEventStore<A> {
    ledger: Ledger,
    policy: StreamPolicy,
    aggregate: PhantomData<fn() -> A>,
}

impl<A: Aggregate> LedgerEventStore<A> {
    /// Aggregates of type `A` in this ledger.
    pub fn new(ledger: Ledger, policy: StreamPolicy) -> Self {
        Self { ledger, policy, aggregate: PhantomData }
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How these streams are kept.
    pub fn policy(&self) -> &StreamPolicy {
        &self.policy
    }

    /// Folds a stream up to `to_version` (all of it for `None`), from a verified snapshot where one serves.
    pub async fn load(&self, id: &str, to_version: Option<u64>) -> Result<LedgerContext<A>, LoadError> {
        let key = StreamKey::new(A::TYPE, id)?;
        let most = to_version.unwrap_or(u64::MAX);
        let mut context = LedgerContext::new(id);
        // A stream has no snapshot before it has this many versions, and most never do: one read answers for those.
        let first = match self.policy.snapshot_every {
            0 => PAGE,
            every => usize::try_from(every).unwrap_or(PAGE).saturating_add(1).min(PAGE),
        };
        let page = self.ledger.stream(&key, 1, first).await?;
        if page.len() == first
            && let Some(saved) = self.load_snapshot(&key, most).await?
        {
            context = saved;
        } else {
            context.apply_up_to(&page, most, &self.policy)?;
            if page.len() < first {
                return Ok(context);
            }
        }
        while context.version < most {
            let page = self.ledger.stream(&key, context.version + 1, PAGE).await?;
            context.apply_up_to(&page, most, &self.policy)?;
            if page.len() < PAGE {
                break;
            }
        }
        Ok(context)
    }

    /// The snapshot's state, if it is ours, not too new, and the entry it was taken at is still the same.
    async fn load_snapshot(&self, key: &StreamKey, most: u64) -> Result<Option<LedgerContext<A>>, LoadError> {
        if self.policy.snapshot_every == 0 {
            return Ok(None);
        }
        let Some(snapshot) = self.ledger.store().snapshot(self.ledger.id(), key).await? else { return Ok(None) };
        if snapshot.reducer_version != self.policy.reducer_version || snapshot.version > most {
            return Ok(None);
        }
        let taken_at = self.ledger.stream(key, snapshot.version, 1).await?;
        let Some(entry) = taken_at.first() else { return Ok(None) };
        let same = entry.version == snapshot.version
            && entry.position == snapshot.position
            && entry.hash == snapshot.entry_hash;
        if !same {
            tracing::warn!(stream = %key, "a snapshot does not match its entry and is not used");
            return Ok(None);
        }
        match serde_json::from_str(&snapshot.state) {
            Ok(aggregate) => Ok(Some(LedgerContext {
                id: key.stream_id.clone(),
                aggregate,
                version: snapshot.version,
                last: Some((entry.receipt(), entry.recorded_at)),
            })),
            Err(error) => {
                tracing::warn!(stream = %key, %error, "a snapshot cannot be read and is not used");
                Ok(None)
            }
        }
    }

    /// The request that appends `events` after what `context` has seen.
    pub(crate) fn request(
        &self,
        id: &str,
        expected_version: u64,
        events: &[A::Event],
        attribution: Attribution,
    ) -> Result<Append, LoadError> {
        let draft = |event| {
            let draft = codec::encode(event, self.policy.holds_personal_data)?;
            codec::check_readable(&draft, event)?;
            Ok(draft)
        };
        Ok(Append {
            stream: StreamKey::new(A::TYPE, id)?,
            expected_version,
            events: events.iter().map(draft).collect::<Result<_, CodecError>>()?,
            actor: attribution.actor,
            metadata: attribution.metadata,
            command: attribution.command,
        })
    }

    /// Saves a snapshot when the append passed a multiple of `snapshot_every`. A failure costs speed only.
    pub(crate) async fn maybe_snapshot(&self, id: &str, aggregate: &A, before: u64, appended: &Appended) {
        let every = self.policy.snapshot_every;
        if every == 0 || before / every == appended.version / every {
            return;
        }
        let saved = async {
            let state = serde_json::to_string(aggregate).map_err(|error| CodecError::Encode(error.to_string()))?;
            let snapshot = Snapshot {
                version: appended.version,
                reducer_version: self.policy.reducer_version,
                position: appended.receipt.position,
                entry_hash: appended.receipt.hash,
                state,
            };
            let key = StreamKey::new(A::TYPE, id)?;
            self.ledger.store().save_snapshot(self.ledger.id(), &key, snapshot).await?;
            Ok::<_, LoadError>(())
        }
        .await;
        if let Err(error) = saved {
            tracing::warn!(stream_id = id, %error, "a snapshot was not saved");
        }
    }
}

impl<A: Aggregate> EventStore<A> for LedgerEventStore<A> {
    type AC = LedgerContext<A>;

    async fn load_events(&self, id: &str) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let key = StreamKey::new(A::TYPE, id).map_err(unexpected)?;
        let mut envelopes = Vec::new();
        loop {
            let from = u64::try_from(envelopes.len()).unwrap_or(u64::MAX).saturating_add(1);
            let page = self.ledger.stream(&key, from, PAGE).await.map_err(store_failed)?;
            for entry in &page {
                envelopes.push(EventEnvelope {
                    aggregate_id: id.to_owned(),
                    sequence: usize::try_from(entry.version).unwrap_or(usize::MAX),
                    payload: decode(entry, &self.policy.upcasters)
                        .map_err(|error| AggregateError::DeserializationError(Box::new(error)))?,
                    metadata: placed(entry.position, &entry.receipt(), entry.recorded_at),
                });
            }
            if page.len() < PAGE {
                return Ok(envelopes);
            }
        }
    }

    async fn load_aggregate(&self, id: &str) -> Result<Self::AC, AggregateError<A::Error>> {
        self.load(id, None).await.map_err(|error| match error {
            LoadError::Store(error) => store_failed(error),
            LoadError::Codec(error) => AggregateError::DeserializationError(Box::new(error)),
            other => unexpected(other),
        })
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: Self::AC,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let attribution = Attribution::from_envelope(metadata).map_err(unexpected)?;
        let request = self.request(&context.id, context.version, &events, attribution).map_err(unexpected)?;
        let appended = self.ledger.append(request).await.map_err(|error| match error {
            AppendError::VersionConflict { .. } => AggregateError::AggregateConflict,
            AppendError::Unavailable(_) | AppendError::QueueFull | AppendError::Closed => {
                AggregateError::DatabaseConnectionError(Box::new(error))
            }
            other => unexpected(other),
        })?;
        if !appended.replayed {
            self.maybe_snapshot(&context.id, &context.aggregate, context.version, &appended).await;
        }
        let mut envelopes = Vec::with_capacity(events.len());
        for ((payload, position), version) in
            events.into_iter().zip(appended.first_position..).zip(context.version + 1..)
        {
            envelopes.push(EventEnvelope {
                aggregate_id: context.id.clone(),
                sequence: usize::try_from(version).unwrap_or(usize::MAX),
                payload,
                metadata: placed(position, &appended.receipt, appended.recorded_at),
            });
        }
        Ok(envelopes)
    }
}

/// Who acted and why, as the entries of one command keep it.
pub(crate) struct Attribution {
    pub(crate) actor: Actor,
    pub(crate) command: Option<CommandKey>,
    /// A flat JSON object of texts, keys sorted.
    pub(crate) metadata: String,
}

impl Attribution {
    /// From the metadata that cqrs-es hands over: `actor_kind` and `actor_id` are taken out, the rest is kept.
    fn from_envelope(metadata: HashMap<String, String>) -> Result<Self, LoadError> {
        let mut metadata: BTreeMap<String, String> = metadata.into_iter().collect();
        let actor = match (metadata.remove("actor_kind"), metadata.remove("actor_id")) {
            (Some(kind), Some(id)) => Actor { kind: kind.parse()?, id },
            _ => Actor::system("unattributed"),
        };
        let command = match (metadata.get("command_id"), metadata.get("command_digest")) {
            (Some(id), Some(digest)) => Some(CommandKey { id: id.clone(), digest: digest.parse()? }),
            _ => None,
        };
        let metadata = serde_json::to_string(&metadata).map_err(|error| CodecError::Encode(error.to_string()))?;
        Ok(Self { actor, command, metadata })
    }
}

/// What the ledger adds to an envelope: `position` of this event, and `receipt_position` and `hash` of the receipt.
fn placed(position: u64, receipt: &Receipt, recorded_at: i64) -> HashMap<String, String> {
    HashMap::from([
        ("ledger_id".to_owned(), receipt.ledger_id.to_string()),
        ("position".to_owned(), position.to_string()),
        ("receipt_position".to_owned(), receipt.position.to_string()),
        ("hash".to_owned(), receipt.hash.to_string()),
        ("recorded_at".to_owned(), recorded_at.to_string()),
    ])
}

fn unexpected<E: std::error::Error>(error: impl std::error::Error + Send + Sync + 'static) -> AggregateError<E> {
    AggregateError::UnexpectedError(Box::new(error))
}

fn store_failed<E: std::error::Error>(error: StoreError) -> AggregateError<E> {
    AggregateError::DatabaseConnectionError(Box::new(error))
}
