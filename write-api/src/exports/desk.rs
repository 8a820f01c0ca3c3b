//! What the handlers of exports work with.

use std::collections::BTreeSet;
use std::sync::Arc;

use daybook_approvals::{Approvals, ExportRuns, refused};
use daybook_domain::Timestamp;
use daybook_domain::export::{Export, ExportCommand, ExportError};
use daybook_domain::names::DestinationName;
use daybook_domain::refusal::Refusal;
use daybook_domain::text::ActorId;
use daybook_exports::ExportFiles;
use daybook_http_kit::{Principal, Problem, command_problem};
use daybook_ledger::Ledger;
use daybook_ledger::commands::{CommandContext, CommandError, Commands, Outcome};
use daybook_ledger::cqrs::StreamPolicy;
use daybook_ledger::sequencer::Clock;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::made::MadeExports;
use crate::problems::invalid;
use crate::state::TRIES;

/// Files that are read to be verified at once: each takes a disk's whole speed.
const LOOKING_AT_ONCE: usize = 2;
/// Uploads that are received at once: each may take more than a gigabyte of disk for up to ten minutes.
const RECEIVING_AT_ONCE: usize = 4;

/// The exports of one organisation: commands, the gate that they go through, and the files. In the app as
/// `web::Data<Organizations<ExportDesk>>`. Cheap to clone.
#[derive(Clone)]
pub struct ExportDesk {
    pub(crate) ledger: Ledger,
    pub(crate) exports: Commands<Export>,
    pub(crate) approvals: Approvals,
    pub(crate) runs: ExportRuns,
    pub(crate) files: ExportFiles,
    pub(crate) destinations: Arc<BTreeSet<DestinationName>>,
    /// Held while an export that is taken by asking again is looked for and, where there is none, asked for.
    pub(crate) asking: Arc<Mutex<()>>,
    /// Files that are read to be verified at once.
    pub(crate) looking: Arc<Semaphore>,
    /// Uploads that are being received; apart from the above, which a slow client must not hold.
    pub(crate) receiving: Arc<Semaphore>,
    /// Which exports have a file, as far as the ledger was read for that.
    pub(crate) made: Arc<Mutex<MadeExports>>,
    clock: Clock,
}

impl ExportDesk {
    /// The exports of `ledger`. Nothing can be delivered until [`Self::with_destinations`] says where.
    pub fn new(ledger: Ledger, approvals: Approvals, files: ExportFiles, clock: Clock) -> Self {
        let policy = StreamPolicy {
            reducer_version: Export::REDUCER_VERSION,
            holds_personal_data: Export::HOLDS_PERSONAL_DATA,
            ..StreamPolicy::default()
        };
        let exports = Commands::new(ledger.clone(), policy);
        Self {
            ledger,
            exports,
            runs: ExportRuns::new(approvals.clone()),
            approvals,
            files,
            destinations: Arc::default(),
            asking: Arc::default(),
            looking: Arc::new(Semaphore::new(LOOKING_AT_ONCE)),
            receiving: Arc::new(Semaphore::new(RECEIVING_AT_ONCE)),
            made: Arc::default(),
            clock,
        }
    }

    /// With the places that exports can be delivered to, as they are configured.
    #[must_use]
    pub fn with_destinations(mut self, destinations: impl IntoIterator<Item = DestinationName>) -> Self {
        self.destinations = Arc::new(destinations.into_iter().collect());
        self
    }

    /// The schedules of its exports, and their runs.
    pub fn runs(&self) -> &ExportRuns {
        &self.runs
    }

    /// A turn to send files that are to be verified; `None` while all of them are taken.
    pub fn hold_upload(&self) -> Option<SemaphorePermit<'_>> {
        self.receiving.try_acquire().ok()
    }

    /// When the request arrived.
    pub(crate) fn now(&self) -> Result<Timestamp, Problem> {
        Timestamp::from_micros((self.clock)()).ok_or_else(|| {
            tracing::error!("the clock is outside the years 1900 to 9999");
            Problem::unavailable("clock.unusable", "the server does not know the time", 60)
        })
    }

    /// Carries out one command on an export.
    pub(crate) async fn execute(
        &self,
        id: &str,
        command: ExportCommand,
        context: CommandContext,
    ) -> Result<Outcome<Export>, Problem> {
        // A version that the caller saw is compared once; without one, deciding anew is what the caller means.
        let tries = if context.expected_version.is_some() { 1 } else { TRIES };
        self.exports.execute_with_retry(id, command, context, tries).await.map_err(refusal)
    }

    /// An export as the ledger has it now; 404 where there is none of this id.
    pub(crate) async fn find(&self, id: &str) -> Result<Outcome<Export>, Problem> {
        let found = self.exports.load(id).await.map_err(refusal)?;
        found.ok_or_else(|| refused(&ExportError::NotFound))
    }
}

/// The answer to a command without effect.
pub(crate) fn refusal(error: CommandError<ExportError>) -> Problem {
    command_problem(error, |refusal| refused(&refusal), || refused(&ExportError::not_found()))
}

/// Who is asking, as the domain has it.
pub(crate) fn actor(caller: &Principal) -> Result<ActorId, Problem> {
    ActorId::parse("", caller.actor.id.as_str()).map_err(invalid)
}
