//! Carrying out commands: let the aggregate decide, append what it decided, and answer with the receipt.
//!
//! This is `CqrsFramework::execute` with the answer that cqrs-es throws away, and without its load where that can be
//! spared. A command is decided first on the state that this process last left, or, where it holds none, on the guess that
//! the aggregate is new. If that leads to events, the version check at append tells whether the state was the newest;
//! if it does not, or they conflict, the command is decided again on what the store has. So what is answered is what a
//! load before every command would have led to. A race lost after that is reported, not repeated: whether a command
//! still makes sense on newer state is the caller's to say ([`Commands::execute_with_retry`]).

mod many;
mod one;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cqrs_es::Aggregate;
use serde::Serialize;

use crate::append::{AppendError, CommandKey};
use crate::cache::AggregateCache;
use crate::cqrs::{Attribution, CodecError, LedgerContext, LedgerEventStore, LoadError, StreamPolicy};
use crate::entry::{Actor, Hash, InvalidValue, Receipt};
use crate::reader::Ledger;
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

    /// What its entries say of it. The keys are written in their sorted order.
    fn attribution(&self) -> Result<Attribution, LoadError> {
        #[derive(Serialize)]
        struct Metadata<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            causation_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            command_digest: Option<Hash>,
            #[serde(skip_serializing_if = "Option::is_none")]
            command_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            correlation_id: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            on_behalf_of: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            request_id: Option<&'a str>,
        }
        let metadata = Metadata {
            causation_id: self.causation_id.as_deref(),
            command_digest: self.command.as_ref().map(|command| command.digest),
            command_id: self.command.as_ref().map(|command| command.id.as_str()),
            correlation_id: self.correlation_id.as_deref(),
            on_behalf_of: self.on_behalf_of.as_deref(),
            request_id: self.request_id.as_deref(),
        };
        let metadata = serde_json::to_string(&metadata).map_err(|error| CodecError::Encode(error.to_string()))?;
        Ok(Attribution { actor: self.actor.clone(), command: self.command.clone(), metadata })
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

/// Carries out commands on aggregates of one type. Cheap to clone; clones share what they hold in memory.
#[derive(Clone)]
pub struct Commands<A> {
    store: LedgerEventStore<A>,
    held: Arc<AggregateCache<A>>,
    /// Whether aggregates that are not held are taken to be new when many commands come at once.
    mostly_new: Arc<AtomicBool>,
}

impl<A> Commands<A>
where
    A: Aggregate + Clone + 'static,
    A::Services: Default,
    A::Command: Clone + Send,
{
    /// Commands on aggregates of type `A` in `ledger`.
    pub fn new(ledger: Ledger, policy: StreamPolicy) -> Self {
        let held = Arc::new(AggregateCache::new(policy.held_aggregates));
        Self { store: LedgerEventStore::new(ledger, policy), held, mostly_new: Arc::new(AtomicBool::new(true)) }
    }

    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        self.store.ledger()
    }

    /// The aggregate as the store has it now; `None` where it has no events.
    pub async fn load(&self, id: &str) -> Result<Option<Outcome<A>>, CommandError<A::Error>> {
        let context = self.store.load(id, None).await?;
        Ok(unchanged(context))
    }

    /// Carries out one command. A race that was lost answers [`CommandError::Conflict`].
    pub async fn execute(&self, id: &str, command: A::Command, context: CommandContext) -> CommandResult<A> {
        self.carry_out(id, command, &context, Queueing::Refuse).await
    }

    /// As [`Commands::execute`], deciding again on the newer state after a lost race, at most `tries` times in all.
    pub async fn execute_with_retry(
        &self,
        id: &str,
        command: A::Command,
        context: CommandContext,
        tries: u32,
    ) -> CommandResult<A> {
        for _ in 1..tries {
            match self.carry_out(id, command.clone(), &context, Queueing::Refuse).await {
                Err(CommandError::Conflict { .. }) => {}
                done => return done,
            }
        }
        self.carry_out(id, command, &context, Queueing::Refuse).await
    }
}

/// What a command does when the queue is full.
#[derive(Clone, Copy)]
enum Queueing {
    /// Answers so at once: a caller that can come back is waiting.
    Refuse,
    /// Waits: a stream of commands can be slowed down.
    Wait,
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
