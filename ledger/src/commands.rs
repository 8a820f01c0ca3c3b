//! Carrying out commands: load the aggregate, let it decide, append what it decided, and answer with the receipt.
//!
//! This is `CqrsFramework::execute` with the answer that cqrs-es throws away. A lost race is reported, not repeated:
//! whether a command still makes sense on newer state is the caller's to say ([`Commands::execute_with_retry`]).

use std::collections::{BTreeMap, HashMap};

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

use crate::append::{AppendError, CommandKey, CommandRecord};
use crate::cqrs::{LedgerContext, LedgerEventStore, LoadError, StreamPolicy};
use crate::entry::{Actor, InvalidValue, Receipt};
use crate::reader::Ledger;
use crate::sequencer::Pending;
use crate::store::StoreError;

/// Who commands, for whom, and what led to it. Why is part of the command itself: free text belongs in payloads.
#[derive(Debug, Clone)]
pub struct CommandContext {
    /// Who acts.
    pub actor: Actor,
    /// Opaque id of the person for whom the actor acts.
    pub on_behalf_of: Option<String>,
    /// Common to everything that one piece of work caused.
    pub correlation_id: Option<String>,
    /// What directly caused this command, for example `main/42` for the entry at position 42.
    pub causation_id: Option<String>,
    /// The HTTP request.
    pub request_id: Option<String>,
    /// Makes the command repeatable without effect.
    pub command: Option<CommandKey>,
    /// Refuse unless the aggregate has this version.
    pub expected_version: Option<u64>,
}

impl CommandContext {
    /// A context with nothing but the actor.
    pub fn new(actor: Actor) -> Self {
        Self {
            actor,
            on_behalf_of: None,
            correlation_id: None,
            causation_id: None,
            request_id: None,
            command: None,
            expected_version: None,
        }
    }

    fn metadata(&self) -> BTreeMap<String, String> {
        let mut metadata = BTreeMap::from([
            ("actor_kind".to_owned(), self.actor.kind.as_str().to_owned()),
            ("actor_id".to_owned(), self.actor.id.clone()),
        ]);
        let optional = [
            ("on_behalf_of", &self.on_behalf_of),
            ("correlation_id", &self.correlation_id),
            ("causation_id", &self.causation_id),
            ("request_id", &self.request_id),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                metadata.insert(key.to_owned(), value.clone());
            }
        }
        if let Some(command) = &self.command {
            metadata.insert("command_id".to_owned(), command.id.clone());
            metadata.insert("command_digest".to_owned(), command.digest.to_string());
        }
        metadata
    }
}

/// What a command came to.
#[derive(Debug, Clone)]
pub struct Outcome<A> {
    /// The aggregate's id.
    pub id: String,
    /// Its state after the command.
    pub aggregate: A,
    /// Its version after the command.
    pub version: u64,
    /// Points to the command's last entry; to the stream's last entry where nothing was appended.
    pub receipt: Receipt,
    /// When that entry was recorded, in microseconds.
    pub recorded_at: i64,
    /// True where the command brought the aggregate into being.
    pub created: bool,
    /// True where the command id had been used before and this is the first outcome again.
    pub replayed: bool,
    /// True where the command had nothing to change.
    pub unchanged: bool,
}

/// Why a command had no effect.
#[derive(Debug, thiserror::Error)]
pub enum CommandError<E: std::error::Error> {
    /// The aggregate refused it.
    #[error("{0}")]
    Refused(E),
    /// Somebody else changed the aggregate at the same time.
    #[error("the aggregate is at version {current_version} now")]
    Conflict {
        /// Its version now.
        current_version: u64,
    },
    /// The caller expected another version.
    #[error("the aggregate is at version {current_version}, which is not the expected one")]
    PreconditionFailed {
        /// Its version now.
        current_version: u64,
    },
    /// The command id stands for something else.
    #[error("the command id was used before with other content")]
    CommandMismatch,
    /// The queue is full; nothing was recorded.
    #[error("the ledger is busy")]
    Busy,
    /// The store failed; nothing was recorded.
    #[error("the ledger is unavailable: {0}")]
    Unavailable(String),
    /// The store failed at commit; ask again with the same command id.
    #[error("whether the command was recorded is not known yet")]
    OutcomeUnknown,
    /// An id or text breaks a bound of the ledger.
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    /// The stream cannot be read back.
    #[error("the stream cannot be read: {0}")]
    Corrupt(String),
}

impl<E: std::error::Error> From<LoadError> for CommandError<E> {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Store(error) => error.into(),
            LoadError::Invalid(error) => Self::Invalid(error),
            other => Self::Corrupt(other.to_string()),
        }
    }
}

impl<E: std::error::Error> From<StoreError> for CommandError<E> {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt { .. } => Self::Corrupt(error.to_string()),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl<E: std::error::Error> From<AppendError> for CommandError<E> {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::VersionConflict { actual, .. } => Self::Conflict { current_version: actual },
            AppendError::CommandMismatch(_) => Self::CommandMismatch,
            AppendError::Invalid(error) => Self::Invalid(error),
            AppendError::QueueFull => Self::Busy,
            AppendError::OutcomeUnknown => Self::OutcomeUnknown,
            AppendError::Unavailable(why) => Self::Unavailable(why),
            AppendError::Closed => Self::Unavailable("the ledger is closed for writing".to_owned()),
        }
    }
}

/// What [`Commands`] answers.
pub type CommandResult<A> = Result<Outcome<A>, CommandError<<A as Aggregate>::Error>>;

/// Carries out commands on aggregates of one type. Cheap to clone.
#[derive(Clone)]
pub struct Commands<A> {
    store: LedgerEventStore<A>,
}

/// A decided command on its way to the ledger.
enum Step<A: Aggregate> {
    Done(CommandResult<A>),
    /// Nothing to change, on a state that a command queued before it leads to.
    Unchanged(LedgerContext<A>),
    Queued {
        context: LedgerContext<A>,
        before: u64,
        pending: Pending,
    },
}

impl<A> Commands<A>
where
    A: Aggregate + Clone + 'static,
    A::Services: Default,
    A::Command: Send,
{
    /// Commands on aggregates of type `A` in `ledger`.
    pub fn new(ledger: Ledger, policy: StreamPolicy) -> Self {
        Self { store: LedgerEventStore::new(ledger, policy) }
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        self.store.ledger()
    }

    /// The aggregate as it is now; `None` where it has no events.
    pub async fn load(&self, id: &str) -> Result<Option<Outcome<A>>, CommandError<A::Error>> {
        let context = self.store.load(id, None).await?;
        Ok(unchanged(context))
    }

    /// Carries out one command. A race that was lost answers [`CommandError::Conflict`].
    pub async fn execute(&self, id: &str, command: A::Command, context: CommandContext) -> CommandResult<A> {
        if let Some(replayed) = self.replay(context.command.as_ref()).await? {
            return Ok(replayed);
        }
        let loaded = self.store.load(id, None).await?;
        let (decided, before, events) = self.decide(loaded, command, &context).await?;
        if events.is_empty() {
            return unchanged(decided).ok_or_else(decided_nothing);
        }
        let request = self.store.request(&decided.id, before, &events, context.metadata())?;
        let appended = self.store.ledger().append(request).await;
        self.conclude(decided, before, appended).await
    }

    /// As [`Commands::execute`], deciding again on the newer state after a lost race, at most `tries` times in all.
    pub async fn execute_with_retry(
        &self,
        id: &str,
        command: A::Command,
        context: CommandContext,
        tries: u32,
    ) -> CommandResult<A>
    where
        A::Command: Clone,
    {
        for _ in 1..tries {
            match self.execute(id, command.clone(), context.clone()).await {
                Err(CommandError::Conflict { .. }) => {}
                done => return done,
            }
        }
        self.execute(id, command, context).await
    }

    /// Carries out many commands, loading their aggregates together and committing them together. Answers in order.
    ///
    /// Each stands for itself: one refusal or conflict leaves the others alone. Waits for room in the queue. Commands of
    /// one aggregate take effect in the order given.
    pub async fn execute_many(&self, commands: Vec<(String, A::Command, CommandContext)>) -> Vec<CommandResult<A>> {
        let mut latest = match self.load_many(commands.iter().map(|(id, _, _)| id.clone()).collect()).await {
            Ok(latest) => latest,
            Err(error) => {
                let why = error.to_string();
                return commands.iter().map(|_| Err(CommandError::Unavailable(why.clone()))).collect();
            }
        };
        let mut steps = Vec::with_capacity(commands.len());
        for (id, command, context) in commands {
            steps.push(self.queue_one(&mut latest, id, command, &context).await);
        }
        let mut results = Vec::with_capacity(steps.len());
        let mut newest: HashMap<String, (Receipt, i64)> = HashMap::new();
        for step in steps {
            let result = match step {
                Step::Done(result) => result,
                Step::Unchanged(mut context) => {
                    context.last = newest.get(&context.id).cloned().or(context.last);
                    // Without a receipt, what it was decided on did not come to be.
                    let current_version = context.version;
                    unchanged(context).ok_or(CommandError::Conflict { current_version })
                }
                Step::Queued { context, before, pending } => {
                    self.conclude(context, before, pending.outcome().await).await
                }
            };
            if let Ok(outcome) = &result {
                newest.insert(outcome.id.clone(), (outcome.receipt.clone(), outcome.recorded_at));
            }
            results.push(result);
        }
        results
    }

    async fn queue_one(
        &self,
        latest: &mut HashMap<String, LedgerContext<A>>,
        id: String,
        command: A::Command,
        context: &CommandContext,
    ) -> Step<A> {
        match self.replay(context.command.as_ref()).await {
            Ok(None) => {}
            Ok(Some(replayed)) => return Step::Done(Ok(replayed)),
            Err(error) => return Step::Done(Err(error)),
        }
        let loaded = latest.get(&id).cloned().unwrap_or_else(|| LedgerContext::new(id.clone()));
        let (decided, before, events) = match self.decide(loaded, command, context).await {
            Ok(decided) => decided,
            Err(error) => return Step::Done(Err(error)),
        };
        if events.is_empty() {
            if decided.version == 0 {
                return Step::Done(Err(decided_nothing()));
            }
            return Step::Unchanged(decided);
        }
        let submitted = match self.store.request(&id, before, &events, context.metadata()) {
            Ok(request) => self.store.ledger().submit(request).await,
            Err(error) => return Step::Done(Err(error.into())),
        };
        match submitted {
            Ok(pending) => {
                let ahead = LedgerContext { version: before + count(&events), last: None, ..decided.clone() };
                latest.insert(id, ahead);
                Step::Queued { context: decided, before, pending }
            }
            Err(error) => Step::Done(Err(error.into())),
        }
    }

    async fn load_many(&self, ids: Vec<String>) -> Result<HashMap<String, LedgerContext<A>>, LoadError> {
        let ledger = self.store.ledger();
        let entries = ledger.store().streams(ledger.id(), A::TYPE, &ids).await?;
        let mut contexts: HashMap<String, LedgerContext<A>> = HashMap::new();
        for entry in &entries {
            contexts
                .entry(entry.stream.stream_id.clone())
                .or_insert_with_key(|id| LedgerContext::new(id.clone()))
                .apply(entry, self.store.policy())?;
        }
        Ok(contexts)
    }

    /// Lets the aggregate decide: its state afterwards, its version before, and the events; none where all is so already.
    async fn decide(
        &self,
        mut loaded: LedgerContext<A>,
        command: A::Command,
        context: &CommandContext,
    ) -> Result<(LedgerContext<A>, u64, Vec<A::Event>), CommandError<A::Error>> {
        let before = loaded.version;
        if context.expected_version.is_some_and(|expected| expected != before) {
            return Err(CommandError::PreconditionFailed { current_version: before });
        }
        let sink = EventSink::default();
        loaded.aggregate.handle(command, &A::Services::default(), &sink).await.map_err(CommandError::Refused)?;
        Ok((loaded, before, sink.collect().await))
    }

    async fn conclude(
        &self,
        decided: LedgerContext<A>,
        before: u64,
        appended: Result<crate::append::Appended, AppendError>,
    ) -> CommandResult<A> {
        let appended = appended?;
        if appended.replayed {
            // The same command arrived twice at once, and the other one was first.
            let first = self.ledger().entries(appended.first_position, 1).await?;
            let id = first.into_iter().next().map_or(decided.id, |entry| entry.stream.stream_id);
            return self.outcome_at(&id, appended.version, appended.first_position).await;
        }
        self.store.maybe_snapshot(&decided.id, &decided.aggregate, before, &appended).await;
        Ok(Outcome {
            id: decided.id,
            aggregate: decided.aggregate,
            version: appended.version,
            receipt: appended.receipt,
            recorded_at: appended.recorded_at,
            created: before == 0,
            replayed: false,
            unchanged: false,
        })
    }

    /// The first outcome of a command id that was used before.
    async fn replay(&self, command: Option<&CommandKey>) -> Result<Option<Outcome<A>>, CommandError<A::Error>> {
        let Some(command) = command else { return Ok(None) };
        let ledger = self.store.ledger();
        let Some(CommandRecord { digest, stream, appended }) = ledger.store().command(ledger.id(), &command.id).await?
        else {
            return Ok(None);
        };
        if digest != command.digest || stream.stream_type != A::TYPE {
            return Err(CommandError::CommandMismatch);
        }
        self.outcome_at(&stream.stream_id, appended.version, appended.first_position).await.map(Some)
    }

    /// The aggregate folded up to the version that a command left it at.
    async fn outcome_at(&self, id: &str, version: u64, first_position: u64) -> CommandResult<A> {
        let context = self.store.load(id, Some(version)).await?;
        let last = context.last.clone();
        let (receipt, recorded_at) =
            last.ok_or_else(|| CommandError::Corrupt(format!("stream {id} lacks version {version}")))?;
        let events = receipt.position.saturating_sub(first_position) + 1;
        Ok(Outcome {
            id: context.id,
            aggregate: context.aggregate,
            version: context.version,
            receipt,
            recorded_at,
            created: version == events,
            replayed: true,
            unchanged: false,
        })
    }
}

fn unchanged<A>(context: LedgerContext<A>) -> Option<Outcome<A>> {
    let (receipt, recorded_at) = context.last?;
    Some(Outcome {
        id: context.id,
        aggregate: context.aggregate,
        version: context.version,
        receipt,
        recorded_at,
        created: false,
        replayed: false,
        unchanged: true,
    })
}

fn decided_nothing<E: std::error::Error>() -> CommandError<E> {
    CommandError::Corrupt("the command decided nothing on an aggregate that does not exist".to_owned())
}

fn count<E>(events: &[E]) -> u64 {
    u64::try_from(events.len()).unwrap_or(u64::MAX)
}
