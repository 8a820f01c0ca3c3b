//! Carrying out commands: load the aggregate, let it decide, append what it decided, and answer with the receipt.
//!
//! This is `CqrsFramework::execute` with the answer that cqrs-es throws away. A lost race is reported, not repeated:
//! whether a command still makes sense on newer state is the caller's to say ([`Commands::execute_with_retry`]).

use std::collections::{BTreeMap, HashMap};

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

use crate::append::{AppendError, Appended, CommandKey, CommandRecord};
use crate::cqrs::{LedgerContext, LedgerEventStore, LoadError, StreamPolicy};
use crate::entry::{Actor, InvalidValue, Receipt, StreamKey};
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

/// Streams longer than this are loaded one by one, from their snapshots.
const SHORT_STREAM: u64 = 64;

/// A command of a batch: answered, or on its way to the ledger.
enum Step<A: Aggregate> {
    Done(CommandResult<A>),
    Queued { context: LedgerContext<A>, before: u64, pending: Pending },
}

/// What a command does when the queue is full.
#[derive(Clone, Copy)]
enum Queueing {
    /// Answers so at once: a caller that can come back is waiting.
    Refuse,
    /// Waits: a stream of commands can be slowed down.
    Wait,
}

/// An aggregate as a batch knows it: as loaded, or why it cannot be.
type Loaded<A> = Result<LedgerContext<A>, LoadError>;

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
        match self.start(loaded, command, &context, Queueing::Refuse).await {
            Step::Done(result) => result,
            Step::Queued { context, before, pending } => self.conclude(context, before, pending.outcome().await).await,
        }
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
    /// Each stands for itself: one refusal, conflict or unreadable stream leaves the others alone. Waits for room in the
    /// queue. A second command for the same aggregate is decided after the first one's outcome is known.
    pub async fn execute_many(&self, commands: Vec<(String, A::Command, CommandContext)>) -> Vec<CommandResult<A>> {
        let mut loaded = match self.load_many(commands.iter().map(|(id, _, _)| id.clone()).collect()).await {
            Ok(loaded) => loaded,
            Err(error) => {
                let why = error.to_string();
                return commands.iter().map(|_| Err(CommandError::Unavailable(why.clone()))).collect();
            }
        };
        let mut steps: Vec<Step<A>> = Vec::with_capacity(commands.len());
        let mut latest: HashMap<String, usize> = HashMap::with_capacity(commands.len());
        for (id, command, context) in commands {
            if let Some(step) = latest.get(&id).and_then(|index| steps.get_mut(*index)) {
                self.finish(step).await;
                // What became of the first decides on which state the second is decided.
                loaded.insert(id.clone(), self.store.load(&id, None).await);
            }
            latest.insert(id.clone(), steps.len());
            steps.push(self.start_one(&mut loaded, id, command, &context).await);
        }
        let mut results = Vec::with_capacity(steps.len());
        for mut step in steps {
            self.finish(&mut step).await;
            if let Step::Done(result) = step {
                results.push(result);
            }
        }
        results
    }

    /// Waits for the outcome of a queued command.
    async fn finish(&self, step: &mut Step<A>) {
        let unknown = Step::Done(Err(CommandError::OutcomeUnknown));
        *step = match std::mem::replace(step, unknown) {
            Step::Queued { context, before, pending } => {
                Step::Done(self.conclude(context, before, pending.outcome().await).await)
            }
            done @ Step::Done(_) => done,
        };
    }

    async fn start_one(
        &self,
        loaded: &mut HashMap<String, Loaded<A>>,
        id: String,
        command: A::Command,
        context: &CommandContext,
    ) -> Step<A> {
        match self.replay(context.command.as_ref()).await {
            Ok(None) => {}
            Ok(Some(replayed)) => return Step::Done(Ok(replayed)),
            Err(error) => return Step::Done(Err(error)),
        }
        match loaded.remove(&id) {
            None => self.start(LedgerContext::new(id), command, context, Queueing::Wait).await,
            Some(Ok(found)) => self.start(found, command, context, Queueing::Wait).await,
            Some(Err(error)) => Step::Done(Err(error.into())),
        }
    }

    async fn load_many(&self, mut ids: Vec<String>) -> Result<HashMap<String, Loaded<A>>, LoadError> {
        let ledger = self.store.ledger();
        // An id that cannot name a stream is refused by itself; its text must not reach the store.
        ids.retain(|id| StreamKey::new(A::TYPE, id.as_str()).is_ok());
        let entries = ledger.store().streams(ledger.id(), A::TYPE, &ids, SHORT_STREAM).await?;
        let mut contexts: HashMap<String, Loaded<A>> = HashMap::new();
        for entry in &entries {
            let id = &entry.stream.stream_id;
            let context = contexts.entry(id.clone()).or_insert_with(|| Ok(LedgerContext::new(id.clone())));
            if let Ok(found) = context
                && let Err(error) = found.apply(entry, self.store.policy())
            {
                *context = Err(error);
            }
        }
        for (id, context) in &mut contexts {
            if context.as_ref().is_ok_and(|found| found.version >= SHORT_STREAM) {
                *context = self.store.load(id, None).await;
            }
        }
        Ok(contexts)
    }

    /// Decides on a loaded aggregate, and queues what was decided.
    async fn start(
        &self,
        loaded: LedgerContext<A>,
        command: A::Command,
        context: &CommandContext,
        queueing: Queueing,
    ) -> Step<A> {
        let key = context.command.clone();
        let (decided, before, events) = match self.decide(loaded, command, context).await {
            Ok(decided) => decided,
            Err(error) => return Step::Done(self.unless_repeated(key.as_ref(), Err(error)).await),
        };
        if events.is_empty() {
            let outcome = unchanged(decided).ok_or_else(decided_nothing);
            return Step::Done(self.unless_repeated(key.as_ref(), outcome).await);
        }
        let request = match self.store.request(&decided.id, before, &events, context.metadata()) {
            Ok(request) => request,
            Err(error) => return Step::Done(Err(error.into())),
        };
        let ledger = self.store.ledger();
        let submitted = match queueing {
            Queueing::Refuse => ledger.try_submit(request),
            Queueing::Wait => ledger.submit(request).await,
        };
        match submitted {
            Ok(pending) => Step::Queued { context: decided, before, pending },
            Err(error) => Step::Done(Err(error.into())),
        }
    }

    /// A repeat that arrives while the first is being carried out is decided on the state that the first led to, where it
    /// is refused or has nothing to do. It gets the first outcome instead. An outcome without events is kept under its
    /// command id, so that a later repeat gets it, too.
    async fn unless_repeated(&self, command: Option<&CommandKey>, result: CommandResult<A>) -> CommandResult<A> {
        let Some(key) = command else { return result };
        if let Some(first) = self.replay(Some(key)).await? {
            return Ok(first);
        }
        let outcome = result?;
        let record = CommandRecord {
            digest: key.digest,
            stream: StreamKey::new(A::TYPE, outcome.id.as_str())?,
            appended: Appended {
                // After the last: there is none of its own.
                first_position: outcome.receipt.position + 1,
                version: outcome.version,
                receipt: outcome.receipt.clone(),
                recorded_at: outcome.recorded_at,
                replayed: true,
            },
        };
        let ledger = self.store.ledger();
        ledger.store().remember(ledger.id(), &key.id, record).await?;
        Ok(outcome)
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
        appended: Result<Appended, AppendError>,
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
        // The entries of one command follow each other; a command without any is kept as beginning after its last.
        let events = (receipt.position + 1).saturating_sub(first_position);
        Ok(Outcome {
            id: context.id,
            aggregate: context.aggregate,
            version: context.version,
            receipt,
            recorded_at,
            created: version == events,
            replayed: true,
            unchanged: events == 0,
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
