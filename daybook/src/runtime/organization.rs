//! One organisation, open: its ledger and everything that follows it, begun together and ended in order.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use daybook_domain::rules::LargeTransactionRule;
use daybook_http_kit::Telemetry;
use daybook_identity::directory::Directory;
use daybook_identity::personal::PersonalData;
use daybook_identity::recorder::Recorder;
use daybook_identity::vault::Vault;
use daybook_identity_api::{OrganizationIdentity, reconcile_erasures};
use daybook_ledger::sequencer::Clock;
use daybook_ledger::writing::store_failed;
use daybook_ledger::{Ledger, LedgerId, LedgerReader, Store};
use daybook_projections::Projections;
use daybook_query_api::{Checkpoints, QueryState};
use daybook_reactors::{LargeTransactions, Reactors, Sources};
use daybook_read_models::ReadDb;
use daybook_write_api::WriteState;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::runtime::gated::{self, Gated};
use crate::runtime::outside;
use crate::runtime::projections::Control;
use crate::runtime::signing::Signing;
use crate::runtime::supervision::Supervision;
use crate::settings::{ServerSettings, Settings};

/// Projectors and reactors have this long to finish their batch at the end.
const WORKER_PATIENCE: Duration = Duration::from_secs(15);
/// The directory has this long to keep a snapshot at the end.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(5);

/// What all organisations of a process share. Cheap to clone.
#[derive(Clone)]
pub struct Common {
    /// Stores, keys, the named ledger.
    pub settings: Arc<Settings>,
    /// Roles and intervals.
    pub server: Arc<ServerSettings>,
    /// The store of all ledgers.
    pub store: Arc<dyn Store>,
    /// Whether this process can append to it.
    pub can_append: bool,
    /// The read tables of all organisations.
    pub read_tables: ReadDb,
    /// Credentials and keys of all organisations.
    pub vault: Vault,
    /// Records access.
    pub recorder: Recorder,
    /// Metrics.
    pub telemetry: Telemetry,
    /// Begins tasks again that should not have ended.
    pub supervision: Supervision,
    /// The time.
    pub clock: Clock,
    /// Told why, once the store has failed for good.
    pub failure: watch::Sender<Option<String>>,
}

/// An organisation that is open in this process.
pub struct Organization {
    /// Its ledger, for reading.
    pub reader: LedgerReader,
    /// Commands on its records, where this process appends.
    pub commands: Option<Arc<WriteState>>,
    /// What it does behind approvals, where this process appends.
    pub gated: Option<Gated>,
    /// Queries of its records.
    pub queries: Arc<QueryState>,
    /// Who is in it.
    pub directory: Directory,
    /// Commands on people, where this process appends.
    pub identity: Option<Arc<OrganizationIdentity>>,
    /// Signs its checkpoints, where this process has the role `write`.
    pub signing: Option<Signing>,
    /// Ends live streams and whatever works behind the requests.
    stop: watch::Sender<bool>,
    workers: JoinSet<()>,
    /// Ends the directory, which requests under way still need.
    stop_following: watch::Sender<bool>,
    followers: JoinSet<()>,
}

impl Organization {
    /// Opens the ledger `id` and begins everything that this process does for it.
    pub async fn open(common: &Common, id: &LedgerId) -> anyhow::Result<Self> {
        let (server, telemetry) = (&common.server, &common.telemetry);
        let ledger = match common.can_append {
            true => Some(open_ledger(common, id).await?),
            false => None,
        };
        let reader = match &ledger {
            Some(ledger) => ledger.reader().clone(),
            None => LedgerReader::open(Arc::clone(&common.store), id.clone())
                .await
                .with_context(|| format!("cannot read the ledger {id}"))?,
        };
        // A ledger that is not what was signed is refused before anything is made of it.
        let signing = match &ledger {
            Some(ledger) if server.roles.write => {
                let (interval, clock) = (server.checkpoint_interval, Arc::clone(&common.clock));
                Some(Signing::start(&common.settings, interval, ledger.clone(), clock, telemetry).await?)
            }
            _ => None,
        };
        let begun = Self::begin(common, id, ledger, reader, signing.as_ref()).await;
        match (begun, signing) {
            (Ok(mut organization), signing) => {
                organization.signing = signing;
                Ok(organization)
            }
            (Err(error), Some(signing)) => {
                signing.stop().await;
                Err(error)
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn begin(
        common: &Common,
        id: &LedgerId,
        ledger: Option<Ledger>,
        reader: LedgerReader,
        signing: Option<&Signing>,
    ) -> anyhow::Result<Self> {
        let (server, telemetry) = (&common.server, &common.telemetry);
        let (stop, stopping) = watch::channel(false);
        let (stop_following, following) = watch::channel(false);
        let (mut workers, mut followers) = (JoinSet::new(), JoinSet::new());

        let directory = Directory::open(reader.clone(), common.vault.clone())
            .await
            .with_context(|| format!("cannot read who is in the organisation {id}"))?;
        let (of, until) = (directory.clone(), following.clone());
        common.supervision.spawn(&mut followers, "directory", following, move || of.clone().run(until.clone()));
        observe_directory(telemetry, id, &directory);

        let personal = PersonalData::new(common.vault.clone(), id.clone());
        let mut queries = QueryState::new(common.read_tables.clone(), reader.clone(), stopping.clone())
            .with_sealer(Arc::new(personal.clone()));
        let gated = ledger.as_ref().map(|ledger| Gated::open(common, ledger, &directory, &personal)).transpose()?;
        queries = match &gated {
            Some(gated) => queries.with_exports(gated.files.clone()).with_approvals((*gated.approvals).clone()),
            None => queries.with_exports(gated::files(common, id)?),
        };
        if let Some(signing) = signing {
            queries = queries.with_checkpoints(Checkpoints {
                requests: Some(signing.requests.clone()),
                status: Some(signing.status.clone()),
                interval: server.checkpoint_interval,
            });
        }
        // Whichever process is first makes the tables, so that no query meets a table that is not there.
        let projections = Projections::new(common.read_tables.clone(), reader.clone(), daybook_projections::all());
        projections.prepare().await.context("the read tables cannot be made")?;
        if server.roles.project {
            let control = Control::new(projections.clone(), reader.clone()).await;
            let (of, until) = (control.clone(), stopping.clone());
            common.supervision.spawn(&mut workers, "figures of projectors", stopping.clone(), move || {
                of.clone().watch(until.clone())
            });
            queries = queries.with_projections(Arc::new(control.clone()));
            telemetry.observe_projectors(id, move || control.readings());
            let until = stopping.clone();
            common.supervision.spawn(&mut workers, "projectors", stopping.clone(), move || {
                let (projections, until) = (projections.clone(), until.clone());
                async move { projections.run(until).await }
            });
        }
        if let Some(status) = reader.writing() {
            let (failure, mut stopping) = (common.failure.clone(), stopping.clone());
            workers.spawn(async move {
                tokio::select! {
                    why = store_failed(status) => drop(failure.send_replace(Some(why))),
                    _ = stopping.wait_for(|stop| *stop) => {}
                }
            });
        }
        let commands = ledger.as_ref().map(|ledger| {
            let commands = WriteState::new(ledger.clone(), Arc::clone(&common.clock));
            Arc::new(commands.with_sealer(Arc::new(personal.clone())))
        });
        if let (true, Some(ledger), Some(commands)) = (server.roles.react, &ledger, &commands) {
            let reactors = reactors(server, commands, &reader, &common.read_tables);
            let (organization, until) = (id.clone(), stopping.clone());
            let (failing, is_failing) = watch::channel(false);
            telemetry.observe_ledger_gauge(
                id,
                "daybook_reactors_failing",
                "1 while the reactors have ended with an error and were not begun again yet",
                move || u64::from(*is_failing.borrow()),
            );
            common.supervision.spawn(&mut workers, "reactors", stopping.clone(), move || {
                let (reactors, organization) = (reactors.clone(), organization.clone());
                let (until, failing) = (until.clone(), failing.clone());
                async move {
                    failing.send_replace(false);
                    if let Err(error) = reactors.run(until).await {
                        failing.send_replace(true);
                        tracing::error!(ledger = %organization, %error, "the reactors have stopped");
                    }
                }
            });
            if let Some(gated) = &gated {
                let (reader, tables) = (reader.clone(), common.read_tables.clone());
                let sources = Sources::new(reader, tables, directory.clone(), personal.clone())
                    .with_clock(Arc::clone(&common.clock));
                let checkpoints = signing.map(|signing| signing.requests.clone());
                gated.react(common, sources, checkpoints, &mut workers, &stopping).await?;
            }
            for schedule in outside::schedules(&server.outside, ledger, &common.read_tables, telemetry).await? {
                let task = schedule.run(stopping.clone());
                common.supervision.spawn_once(&mut workers, "anchors and witnesses", stopping.clone(), task);
            }
        }
        let recorded = ledger.as_ref().map(|ledger| (ledger.clone(), personal.clone()));
        let identity = ledger.map(|ledger| Arc::new(OrganizationIdentity::new(ledger, directory.clone(), personal)));
        if let Some(identity) = &identity {
            // A vault from before an erasure may have been put back.
            let removed = reconcile_erasures(&common.vault, identity, (common.clock)()).await;
            removed
                .with_context(|| format!("cannot tell whether the vault has erased people of the organisation {id}"))?;
        }
        // Last: what it holds on to is not let go of where opening fails.
        if let Some((ledger, personal)) = recorded {
            common.recorder.open(ledger, personal);
        }
        Ok(Self {
            reader,
            commands,
            gated,
            queries: Arc::new(queries),
            directory,
            identity,
            signing: None,
            stop,
            workers,
            stop_following,
            followers,
        })
    }

    /// Tells live streams, projectors and reactors to end. Requests are still answered.
    pub fn begin_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits for everything to end, signs what was written last, and closes the ledger. To be called when nobody asks any
    /// more.
    pub async fn stop(mut self) {
        self.begin_stop();
        let id = self.reader.id().clone();
        if !ended_in(WORKER_PATIENCE, &mut self.workers).await {
            tracing::warn!(
                ledger = %id,
                "a projector or reactor did not finish its batch in time; it is folded again at the next start"
            );
        }
        self.stop_following.send_replace(true);
        if !ended_in(SNAPSHOT_PATIENCE, &mut self.followers).await {
            tracing::warn!(ledger = %id, "the directory did not keep a snapshot in time; the next start reads on from the last");
        }
        // Nobody writes any more: what was written is covered by one last checkpoint.
        if let Some(signing) = self.signing.take() {
            signing.stop().await;
        }
    }
}

/// Waits for all of them; ends the rest by force, and answers false, where they take too long.
async fn ended_in(patience: Duration, tasks: &mut JoinSet<()>) -> bool {
    let ended = tokio::time::timeout(patience, async { while tasks.join_next().await.is_some() {} }).await.is_ok();
    if !ended {
        tasks.abort_all();
    }
    ended
}

async fn open_ledger(common: &Common, id: &LedgerId) -> anyhow::Result<Ledger> {
    let (clock, observer) = (Arc::clone(&common.clock), common.telemetry.sequencer(id));
    Ledger::open(Arc::clone(&common.store), id.clone(), clock, observer)
        .await
        .with_context(|| format!("cannot open the ledger {id}"))
}

fn reactors(server: &ServerSettings, commands: &WriteState, reader: &LedgerReader, read_tables: &ReadDb) -> Reactors {
    let rule =
        LargeTransactionRule { threshold: server.large_transaction_threshold, ..LargeTransactionRule::default() };
    let large = LargeTransactions::new(rule, commands.transactions.clone(), commands.incidents.clone());
    Reactors::new(reader.clone(), read_tables.clone(), vec![Box::new(large)])
}

fn observe_directory(telemetry: &Telemetry, id: &LedgerId, directory: &Directory) {
    let (position, failing) = (directory.clone(), directory.clone());
    telemetry.observe_ledger_gauge(
        id,
        "daybook_directory_position",
        "Entries of which this process's directory of people and roles knows",
        move || position.now().position,
    );
    telemetry.observe_ledger_gauge(
        id,
        "daybook_directory_failing",
        "1 while the directory of people and roles cannot follow the ledger, or has met an entry it does not understand",
        move || {
            let status = failing.status();
            u64::from(status.error.is_some() || status.not_understood.is_some())
        },
    );
}
