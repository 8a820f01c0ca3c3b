//! One command: decided on what is held or guessed, confirmed by the append or by a load, and answered.

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

use super::{CommandContext, CommandError, CommandResult, Commands, Outcome, Queueing, unchanged};
use crate::append::{AppendError, Appended, CommandKey, CommandRecord};
use crate::cqrs::LedgerContext;
use crate::entry::{MAX_STREAM_ID_BYTES, StreamKey, check_text};
use crate::sequencer::Pending;

/// How far a decision led.
pub(super) enum Attempt<A: Aggregate> {
    /// A refusal, or nothing to do. It stands if the state that it was decided on is the newest.
    Settled(CommandResult<A>),
    /// It cannot be queued, whatever the state.
    Failed(CommandError<A::Error>),
    /// On its way to the ledger.
    Queued(Queued<A>),
}

/// What was decided, and waits to become durable.
pub(super) struct Queued<A> {
    decided: LedgerContext<A>,
    /// Version before.
    before: u64,
    pending: Pending,
}

impl<A> Commands<A>
where
    A: Aggregate + Clone + 'static,
    A::Services: Default,
    A::Command: Clone + Send,
{
    pub(super) async fn carry_out(
        &self,
        id: &str,
        command: A::Command,
        context: &CommandContext,
        queueing: Queueing,
    ) -> CommandResult<A> {
        check_text("stream_id", id, MAX_STREAM_ID_BYTES)?;
        let mut guess = self.guess(id, context);
        let mut tried_again = false;
        loop {
            let (state, certain) = match guess.take() {
                Some(state) => (state, false),
                None => (self.store.load(id, None).await?, true),
            };
            match self.attempt(state, command.clone(), context, queueing).await {
                Attempt::Settled(result) if certain => return self.settle(context.command.as_ref(), result).await,
                Attempt::Settled(_) => {}
                Attempt::Failed(error) => return Err(error),
                Attempt::Queued(queued) => match self.conclude(queued).await {
                    Err(CommandError::Conflict { current_version }) if !certain && !tried_again => {
                        tried_again = true;
                        // Perhaps the one that was faster has left its state here by now.
                        guess = self.held.get(id).filter(|state| state.version >= current_version);
                    }
                    result => return result,
                },
            }
        }
    }

    /// The state to decide on first: the one held, else a new aggregate's; `None` where that cannot be the one expected.
    pub(super) fn guess(&self, id: &str, context: &CommandContext) -> Option<LedgerContext<A>> {
        let state = self.held.get(id).unwrap_or_else(|| LedgerContext::new(id));
        context.expected_version.is_none_or(|expected| expected == state.version).then_some(state)
    }

    /// Decides, and queues what was decided.
    pub(super) async fn attempt(
        &self,
        mut state: LedgerContext<A>,
        command: A::Command,
        context: &CommandContext,
        queueing: Queueing,
    ) -> Attempt<A> {
        let before = state.version;
        if context.expected_version.is_some_and(|expected| expected != before) {
            return Attempt::Settled(Err(CommandError::PreconditionFailed { current_version: before }));
        }
        let sink = EventSink::default();
        if let Err(refusal) = state.aggregate.handle(command, &A::Services::default(), &sink).await {
            return Attempt::Settled(Err(CommandError::Refused(refusal)));
        }
        let events = sink.collect().await;
        if events.is_empty() {
            return Attempt::Settled(unchanged(state).ok_or_else(decided_nothing));
        }
        let request =
            context.attribution().and_then(|attribution| self.store.request(&state.id, before, &events, attribution));
        let request = match request {
            Ok(request) => request,
            Err(error) => return Attempt::Failed(error.into()),
        };
        let ledger = self.store.ledger();
        let submitted = match queueing {
            Queueing::Refuse => ledger.try_submit(request),
            Queueing::Wait => ledger.submit(request).await,
        };
        match submitted {
            Ok(pending) => Attempt::Queued(Queued { decided: state, before, pending }),
            Err(error) => Attempt::Failed(error.into()),
        }
    }

    /// Waits until what was queued is durable or refused.
    pub(super) async fn conclude(&self, queued: Queued<A>) -> CommandResult<A> {
        let Queued { decided, before, pending } = queued;
        let appended = match pending.outcome().await {
            Err(AppendError::VersionConflict { actual, .. }) => {
                // A stream that has become shorter (another server took over, with less): nothing held of it is true.
                self.held.forget_before(&decided.id, if actual < before { u64::MAX } else { actual });
                return Err(CommandError::Conflict { current_version: actual });
            }
            appended => appended?,
        };
        if appended.replayed {
            return self.first_outcome(&appended).await;
        }
        let LedgerContext { id, aggregate, .. } = decided;
        self.held.put(&id, &aggregate, appended.version, &appended.receipt, appended.recorded_at);
        self.store.maybe_snapshot(&id, &aggregate, before, &appended).await;
        Ok(Outcome {
            id,
            aggregate,
            version: appended.version,
            receipt: appended.receipt,
            recorded_at: appended.recorded_at,
            created: before == 0,
            replayed: false,
            unchanged: false,
        })
    }

    /// The answer where the newest state refuses a command or gives it nothing to do.
    ///
    /// A repeat is decided on the state that the first led to, and may fare so: it gets the first outcome instead. An
    /// outcome without events is kept under its command id, so that a later repeat gets it, too.
    pub(super) async fn settle(&self, command: Option<&CommandKey>, result: CommandResult<A>) -> CommandResult<A> {
        let Some(key) = command else { return result };
        let ledger = self.store.ledger();
        if let Some(CommandRecord { digest, stream, appended }) = ledger.store().command(ledger.id(), &key.id).await? {
            if digest != key.digest || stream.stream_type != A::TYPE {
                return Err(CommandError::CommandMismatch);
            }
            return self.outcome_at(&stream.stream_id, appended.version, appended.first_position).await;
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
        ledger.store().remember(ledger.id(), &key.id, record).await?;
        Ok(outcome)
    }

    /// The first outcome of a command id that the ledger knows already. Its stream may be another: ids made for the caller
    /// are new each time.
    async fn first_outcome(&self, appended: &Appended) -> CommandResult<A> {
        let position = appended.receipt.position;
        let last = self.ledger().entries(position, 1).await?.into_iter().next();
        let last = last.ok_or_else(|| CommandError::Corrupt(format!("entry {position} is missing")))?;
        if last.stream.stream_type != A::TYPE {
            return Err(CommandError::CommandMismatch);
        }
        self.outcome_at(&last.stream.stream_id, appended.version, appended.first_position).await
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

fn decided_nothing<E: std::error::Error>() -> CommandError<E> {
    CommandError::Corrupt("the command decided nothing on an aggregate that does not exist".to_owned())
}
