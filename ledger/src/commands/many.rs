//! Many commands at once: decided in turn, loaded together where they must be, committed together.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use cqrs_es::Aggregate;

use super::one::{Attempt, Queued};
use super::{CommandContext, CommandError, CommandResult, Commands, Queueing};
use crate::cqrs::{LedgerContext, LoadError};
use crate::entry::StreamKey;

/// Streams longer than this are loaded one by one, from their snapshots.
const SHORT_STREAM: u64 = 64;

/// A command for the aggregate of that id.
type Command<A> = (String, <A as Aggregate>::Command, CommandContext);
/// An aggregate as a batch knows it: as loaded, or why it cannot be.
type Loaded<A> = Result<LedgerContext<A>, LoadError>;

/// A command of a batch.
enum Step<A: Aggregate> {
    /// Answered.
    Done(CommandResult<A>),
    /// On its way to the ledger; with the command where the state it was decided on may turn out to be old.
    Queued(Box<Queued<A>>, Option<Box<Command<A>>>),
    /// To be decided on what the store has.
    Again(Box<Command<A>>),
}

impl<A> Commands<A>
where
    A: Aggregate + Clone + 'static,
    A::Services: Default,
    A::Command: Clone + Send,
{
    /// Carries out many commands, loading their aggregates together where they must be loaded, and committing them
    /// together. Answers in order.
    ///
    /// Each stands for itself: one refusal, conflict or unreadable stream leaves the others alone. Waits for room in the
    /// queue. A second command for the same aggregate is decided after the first one's outcome is known.
    pub async fn execute_many(&self, commands: Vec<Command<A>>) -> Vec<CommandResult<A>> {
        let unknown: HashSet<&str> =
            commands.iter().map(|(id, _, _)| id.as_str()).filter(|id| !self.held.holds(id)).collect();
        let guessed = self.mostly_new.load(Ordering::Relaxed);
        let mut loaded = if guessed || unknown.is_empty() {
            HashMap::new()
        } else {
            match self.load_many(unknown.iter().map(|id| (*id).to_owned()).collect()).await {
                Ok(loaded) => {
                    self.note_new(unknown.len() - loaded.len(), unknown.len());
                    loaded
                }
                Err(error) => {
                    let why = error.to_string();
                    return commands.iter().map(|_| Err(CommandError::Unavailable(why.clone()))).collect();
                }
            }
        };
        let unknown = unknown.len();
        let mut steps: Vec<Step<A>> = Vec::with_capacity(commands.len());
        let mut latest: HashMap<String, usize> = HashMap::with_capacity(commands.len());
        for command in commands {
            let step = if let Some(earlier) = latest.get(&command.0).and_then(|index| steps.get_mut(*index)) {
                // What became of the first decides on which state the second is decided.
                self.finish(earlier).await;
                loaded.remove(&command.0);
                self.first_attempt(None, command.clone()).await
            } else {
                let known = loaded.remove(&command.0);
                self.first_attempt(known, command.clone()).await
            };
            latest.insert(command.0, steps.len());
            steps.push(step);
        }
        let wrong = self.decide_again(&mut steps).await;
        if guessed && unknown > 0 {
            self.note_new(unknown.saturating_sub(wrong), unknown);
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

    /// Learns how often a guess that an aggregate is new would have been right, for the batches to come.
    fn note_new(&self, new: usize, of: usize) {
        self.mostly_new.store(new.saturating_mul(4) >= of.saturating_mul(3), Ordering::Relaxed);
    }

    /// Decides on what was loaded, or else on what is held or guessed.
    async fn first_attempt(&self, loaded: Option<Loaded<A>>, command: Command<A>) -> Step<A> {
        let (id, _, context) = &command;
        if let Err(error) = StreamKey::new(A::TYPE, id.as_str()) {
            return Step::Done(Err(error.into()));
        }
        match loaded {
            Some(Err(error)) => Step::Done(Err(error.into())),
            Some(Ok(state)) => self.certain_attempt(state, command).await,
            None => match self.guess(id, context) {
                None => Step::Again(Box::new(command)),
                Some(state) => match self.attempt(state, command.1.clone(), context, Queueing::Wait).await {
                    Attempt::Settled(_) => Step::Again(Box::new(command)),
                    Attempt::Failed(error) => Step::Done(Err(error)),
                    Attempt::Queued(queued) => Step::Queued(Box::new(queued), Some(Box::new(command))),
                },
            },
        }
    }

    /// Decides on the state that the store has.
    async fn certain_attempt(&self, state: LedgerContext<A>, command: Command<A>) -> Step<A> {
        let (_, command, context) = command;
        match self.attempt(state, command, &context, Queueing::Wait).await {
            Attempt::Settled(result) => Step::Done(self.settle(context.command.as_ref(), result).await),
            Attempt::Failed(error) => Step::Done(Err(error)),
            Attempt::Queued(queued) => Step::Queued(Box::new(queued), None),
        }
    }

    /// Loads together what was decided on states that were not the newest, and decides it again. Answers how many of
    /// them the store has events of.
    async fn decide_again(&self, steps: &mut [Step<A>]) -> usize {
        let mut ids = Vec::new();
        for step in &mut *steps {
            self.conclude_step(step).await;
            if let Step::Again(command) = step {
                ids.push(command.0.clone());
            }
        }
        if ids.is_empty() {
            return 0;
        }
        let mut loaded = self.load_many(ids).await.map_err(|error| error.to_string());
        let found = loaded.as_ref().map_or(0, HashMap::len);
        for step in steps {
            let Step::Again(command) = step else { continue };
            let command = (**command).clone();
            *step = match &mut loaded {
                Err(why) => Step::Done(Err(CommandError::Unavailable(why.clone()))),
                Ok(loaded) => match loaded.remove(&command.0).unwrap_or_else(|| Ok(LedgerContext::new(&*command.0))) {
                    Ok(state) => self.certain_attempt(state, command).await,
                    Err(error) => Step::Done(Err(error.into())),
                },
            };
        }
        found
    }

    /// Waits for what is queued. A conflict on a state that was held or guessed is decided again.
    async fn conclude_step(&self, step: &mut Step<A>) {
        if !matches!(step, Step::Queued(..)) {
            return;
        }
        let unknown = Step::Done(Err(CommandError::OutcomeUnknown));
        if let Step::Queued(queued, command) = std::mem::replace(step, unknown) {
            *step = match (self.conclude(*queued).await, command) {
                (Err(CommandError::Conflict { .. }), Some(command)) => Step::Again(command),
                (result, _) => Step::Done(result),
            };
        }
    }

    /// Brings one command to its end.
    async fn finish(&self, step: &mut Step<A>) {
        self.conclude_step(step).await;
        if let Step::Again(command) = step {
            let (id, command, context) = (**command).clone();
            *step = Step::Done(self.carry_out(&id, command, &context, Queueing::Wait).await);
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
}
