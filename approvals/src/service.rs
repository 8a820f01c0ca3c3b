//! The approvals of one organisation: what they work with, and how a command of theirs is carried out.

use std::sync::Arc;

use cqrs_es::Aggregate;
use daybook_domain::approval::{ActionType, Approval, ApprovalCommand, ApprovalError, SYSTEM};
use daybook_domain::approval_policy::{ApprovalPolicy, PolicyInForce};
use daybook_domain::delegation::Delegation;
use daybook_domain::export_schedule::ExportSchedule;
use daybook_domain::names::Label;
use daybook_domain::refusal::Refusal;
use daybook_domain::{Money, Timestamp};
use daybook_http_kit::{Principal, Problem};
use daybook_identity::directory::{Directory, DirectoryState};
use daybook_identity::personal::PersonalData;
use daybook_ledger::commands::{CommandContext, CommandError, Commands, Outcome};
use daybook_ledger::cqrs::StreamPolicy;
use daybook_ledger::sequencer::Clock;
use daybook_ledger::{Actor, Ledger};
use tokio::sync::Mutex;

use crate::facts::Facts;
use crate::gate::Needed;
use crate::problems::{refusal, refused};

/// How often a command is decided anew after losing a race, where deciding anew is what the caller means. Many people may
/// vote at once.
pub(crate) const TRIES: u32 = 20;

/// The approvals of one organisation. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Approvals(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub directory: Directory,
    pub personal: PersonalData,
    pub clock: Clock,
    pub approvals: Commands<Approval>,
    pub policies: Commands<ApprovalPolicy>,
    pub delegations: Commands<Delegation>,
    /// Read alone: what standing approvals are for.
    pub schedules: Commands<ExportSchedule>,
    /// Held while a request is looked for and, where there is none, opened: two calls at once open one.
    pub opening: Mutex<()>,
    pub development: bool,
}

/// Commands on `ledger` with an aggregate's own constants.
pub(crate) fn commands<A>(ledger: &Ledger, reducer_version: u32, holds_personal_data: bool) -> Commands<A>
where
    A: Aggregate + Clone + 'static,
    A::Services: Default,
    A::Command: Clone + Send,
{
    Commands::new(ledger.clone(), StreamPolicy { reducer_version, holds_personal_data, ..StreamPolicy::default() })
}

impl Approvals {
    /// The approvals of the organisation of `ledger`, whose directory is `directory`.
    pub fn new(ledger: Ledger, directory: Directory, personal: PersonalData, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            directory,
            personal,
            clock,
            approvals: commands(&ledger, Approval::REDUCER_VERSION, Approval::HOLDS_PERSONAL_DATA),
            policies: commands(&ledger, ApprovalPolicy::REDUCER_VERSION, ApprovalPolicy::HOLDS_PERSONAL_DATA),
            delegations: commands(&ledger, Delegation::REDUCER_VERSION, Delegation::HOLDS_PERSONAL_DATA),
            schedules: commands(&ledger, ExportSchedule::REDUCER_VERSION, ExportSchedule::HOLDS_PERSONAL_DATA),
            opening: Mutex::default(),
            development: false,
        }))
    }

    /// Whether there may be people whom the directory does not know, which is so where development headers are believed.
    /// To be said before it is cloned.
    #[must_use]
    pub fn with_development(self, development: bool) -> Self {
        let Inner { directory, personal, clock, approvals, policies, delegations, schedules, .. } = &*self.0;
        Self(Arc::new(Inner {
            directory: directory.clone(),
            personal: personal.clone(),
            clock: Arc::clone(clock),
            approvals: approvals.clone(),
            policies: policies.clone(),
            delegations: delegations.clone(),
            schedules: schedules.clone(),
            opening: Mutex::default(),
            development,
        }))
    }

    /// Says who of the organisation's people holds the operator's token: what the operator, and keys that nobody else
    /// answers for, ask for is asked for by that person. To be said before anybody is answered.
    #[must_use]
    pub fn with_operator_person(self, person: Option<String>) -> Self {
        if let Some(person) = person {
            self.0.directory.answer_for_operator(&person);
        }
        self
    }

    /// The directory that it asks.
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// The ledger that it writes to.
    pub fn ledger(&self) -> &Ledger {
        self.0.approvals.ledger()
    }

    /// The policy that holds now for an action of this type, amount and label.
    pub async fn policy_in_force(
        &self,
        action: &ActionType,
        amount: Option<Money>,
        label: Option<&Label>,
    ) -> Result<PolicyInForce, Problem> {
        self.state().await?.policy_in_force(action, amount, label).map_err(|error| refused(&error))
    }

    /// A request as the ledger has it now, whether it is open or not; 404 where there is none.
    pub async fn find(&self, id: &str) -> Result<Outcome<Approval>, Problem> {
        let found = self.0.approvals.load(id).await.map_err(refusal)?;
        found.ok_or_else(|| refused(&ApprovalError::not_found()))
    }

    /// The directory, up to date, and a request as the ledger has it.
    pub(crate) async fn at_hand(&self, id: &str) -> Result<(Arc<DirectoryState>, Approval), Problem> {
        let state = self.state().await?;
        Ok((state, self.find(id).await?.aggregate))
    }

    /// The directory, up to date and understood: where an entry about who may do what is not, nothing is decided.
    pub(crate) async fn state(&self) -> Result<Arc<DirectoryState>, Problem> {
        let state = self.0.directory.up_to_date().await?;
        if state.not_understood.is_some() || state.approvals_not_understood.is_some() {
            return Err(Problem::unavailable(
                "directory.not_understood",
                "this organisation has entries that a newer program wrote; nothing is approved here meanwhile",
                1,
            ));
        }
        Ok(state)
    }

    pub(crate) fn facts<'a>(&self, state: &'a DirectoryState) -> Facts<'a> {
        Facts { state, now: self.now(), development: self.0.development }
    }

    pub(crate) fn now(&self) -> i64 {
        (self.0.clock)()
    }

    pub(crate) fn timestamp(&self) -> Result<Timestamp, Problem> {
        Timestamp::from_micros(self.now()).ok_or_else(|| {
            tracing::error!("the clock is outside the years 1900 to 9999");
            Problem::unavailable("clock.unusable", "the server does not know the time", 60)
        })
    }

    /// Carries out one command on a request and waits until the directory knows of it.
    pub(crate) async fn carry_out(
        &self,
        id: &str,
        command: ApprovalCommand,
        context: CommandContext,
    ) -> Result<Outcome<Approval>, Problem> {
        let outcome = recorded(&self.0.approvals, id, command, context).await.map_err(refusal)?;
        self.0.directory.settle_at(outcome.receipt.position).await?;
        Ok(outcome)
    }
}

/// Carries out one command; the directory may not know of it yet. A version that the caller saw is compared once; without
/// one, deciding anew is what the caller means.
pub(crate) async fn recorded<A>(
    commands: &Commands<A>,
    id: &str,
    command: A::Command,
    context: CommandContext,
) -> Result<Outcome<A>, CommandError<A::Error>>
where
    A: Aggregate + Clone + 'static,
    A::Services: Default,
    A::Command: Clone + Send,
{
    let tries = if context.expected_version.is_some() { 1 } else { TRIES };
    commands.execute_with_retry(id, command, context, tries).await
}

/// Checks that the caller has the permissions that what it asks for takes.
pub(crate) fn may(principal: &Principal, needed: &[Needed]) -> Result<(), Problem> {
    match needed.iter().find(|needed| !needed.is_met_by(&principal.access)) {
        Some(missing) => Err(Problem::forbidden(missing.name)),
        None => Ok(()),
    }
}

/// The context of a command that follows from a caller's: without its key and the version it expects.
pub(crate) fn following(context: &CommandContext) -> CommandContext {
    CommandContext { command: None, expected_version: None, ..context.clone() }
}

/// The context of a command that Daybook gives by itself on the occasion of a caller's.
pub(crate) fn own(context: &CommandContext) -> CommandContext {
    CommandContext { actor: Actor::system(SYSTEM), on_behalf_of: None, ..following(context) }
}
