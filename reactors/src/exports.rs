//! Exports: from the decision on their approval to the file, its manifest and its signature, and to where they are wanted.
//!
//! One process at a time does this for an organisation, under a lease. What there is to do is read from the exports
//! themselves, and every step leaves its entry, so that a process that is killed at any moment leaves nothing behind that
//! the next one does not find: a file that was being made is made again under the next number, and a delivery is made again
//! under the same id. An overtaken process cannot record what it made: the export knows by number and fence that another was
//! begun since.

mod agenda;
mod deliver;
mod driver;
mod generate;
mod pacing;
mod pack;
mod progress;
mod removal;
mod sources;
mod step;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;

use daybook_approvals::Approvals;
use daybook_domain::export::Export;
use daybook_domain::names::{DestinationName, ExportId};
use daybook_exports::ExportFiles;
use daybook_exports::delivery::Destination;
use daybook_ledger::checkpoint::CheckpointRequests;
use daybook_ledger::commands::Commands;
use daybook_ledger::cqrs::StreamPolicy;
use daybook_ledger::keys::KeyRingOptions;
use daybook_ledger::sequencer::Clock;
use daybook_ledger::{Ledger, LedgerReader};
use daybook_read_models::ReadDb;
use reqwest::Url;
use tokio::sync::watch;

use crate::engine::ReactError;
use crate::lease::Leases;
pub use pacing::Pacing;
pub use sources::{Reading, ReadingError, Sources};
pub use work::EXPORTS;

/// How often things are tried, and how long is waited in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportSettings {
    /// Of making a file.
    pub generation: Pacing,
    /// Of delivering it.
    pub delivery: Pacing,
    /// After how many days files are removed, unless they must be kept; never where it is not said.
    pub keep_files_days: Option<u32>,
    /// The program's version, for the manifest.
    pub software: String,
    /// Where people reach this installation, for letters that say where a file can be fetched.
    pub public_url: Option<Url>,
}

impl ExportSettings {
    fn download_url(&self, export: &ExportId) -> Option<Url> {
        let base = self.public_url.as_ref()?;
        let mut url = base.clone();
        url.set_path(&format!("{}/v1/exports/{export}/file", base.path().trim_end_matches('/')));
        Some(url)
    }
}

/// Everything that the exports of one organisation need.
pub struct ExportParts {
    /// Its ledger.
    pub ledger: Ledger,
    /// The read tables.
    pub database: ReadDb,
    /// Where approvals are used up.
    pub approvals: Approvals,
    /// Where rows come from.
    pub sources: Sources,
    /// Where files are.
    pub files: ExportFiles,
    /// The keys that sign manifests: those that sign checkpoints.
    pub keys: KeyRingOptions,
    /// Signs a checkpoint over what a file takes into account, where this process can.
    pub checkpoints: Option<CheckpointRequests>,
    /// Where exports can be brought.
    pub destinations: BTreeMap<DestinationName, Arc<dyn Destination>>,
    /// What only one process does at a time.
    pub leases: Leases,
    /// The time.
    pub clock: Clock,
    /// How often, and how long.
    pub settings: ExportSettings,
}

/// How it goes, since this process began. Zeros where another process drives the exports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportsStatus {
    /// Whether this process drives them.
    pub is_driving: bool,
    /// Exports that wait for something or are worked on. Those whose file only waits for its end are not among them.
    pub unfinished: usize,
    /// Files made.
    pub generated: u64,
    /// Attempts to make a file that came to nothing.
    pub generation_failures: u64,
    /// Deliveries made.
    pub delivered: u64,
    /// Attempts to deliver that failed and are repeated.
    pub delivery_failures: u64,
    /// Deliveries given up.
    pub dead_letters: u64,
    /// Files removed because their time was over.
    pub removed: u64,
    /// Why an export does not get on; none where all do.
    pub error: Option<String>,
}

/// Drives the exports of one organisation. Cheap to clone; clones share their status.
#[derive(Clone)]
pub struct Exports(Arc<Driver>);

/// What drives them.
struct Driver {
    reader: LedgerReader,
    database: ReadDb,
    exports: Commands<Export>,
    approvals: Approvals,
    sources: Sources,
    files: ExportFiles,
    keys: KeyRingOptions,
    checkpoints: Option<CheckpointRequests>,
    destinations: BTreeMap<DestinationName, Arc<dyn Destination>>,
    leases: Leases,
    clock: Clock,
    settings: ExportSettings,
    status: watch::Sender<ExportsStatus>,
}

impl Exports {
    /// Of these parts.
    pub fn new(parts: ExportParts) -> Self {
        let policy = StreamPolicy {
            reducer_version: Export::REDUCER_VERSION,
            holds_personal_data: Export::HOLDS_PERSONAL_DATA,
            // Its other writers are elsewhere; what would be held is read again anyway.
            held_aggregates: 0,
            ..StreamPolicy::default()
        };
        Self(Arc::new(Driver {
            reader: parts.ledger.reader().clone(),
            exports: Commands::new(parts.ledger, policy),
            database: parts.database,
            approvals: parts.approvals,
            sources: parts.sources,
            files: parts.files,
            keys: parts.keys,
            checkpoints: parts.checkpoints,
            destinations: parts.destinations,
            leases: parts.leases,
            clock: parts.clock,
            settings: parts.settings,
            status: watch::Sender::new(ExportsStatus::default()),
        }))
    }

    /// How it goes, as it changes.
    pub fn status(&self) -> watch::Receiver<ExportsStatus> {
        self.0.status.subscribe()
    }

    /// Drives them whenever this process has the lease, until `shutdown` is true. What is under way then is given up; the
    /// next start goes on with it.
    pub async fn run(&self, shutdown: watch::Receiver<bool>) -> Result<(), ReactError> {
        work::prepare(&self.0.database).await?;
        let work = |fence| {
            let shutdown = shutdown.clone();
            async move {
                let _driving = Driving::begin(&self.0.status);
                self.0.drive(&fence, shutdown).await;
            }
        };
        let held = self.0.leases.hold(EXPORTS, shutdown.clone(), work);
        held.await;
        Ok(())
    }
}

/// Says that this process drives the exports while it is there: also where a lost lease ends the work wherever it stands.
struct Driving<'a>(&'a watch::Sender<ExportsStatus>);

impl<'a> Driving<'a> {
    fn begin(status: &'a watch::Sender<ExportsStatus>) -> Self {
        status.send_modify(|status| status.is_driving = true);
        Self(status)
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|status| status.is_driving = false);
    }
}
