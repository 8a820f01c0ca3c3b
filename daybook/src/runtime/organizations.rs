//! Every organisation of the vault, open in this process: those that were there at the start, and those that come to be.
//!
//! The process that creates an organisation opens it at once; the others find it in the vault within half a second. One that
//! cannot be opened does not keep the others from their work: it is tried again, and everybody can see that it is not there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use async_trait::async_trait;
use daybook_approvals::Approvals;
use daybook_http_kit::{Organizations, Telemetry};
use daybook_identity::directory::Directory;
use daybook_identity::vault::OrganizationStatus;
use daybook_identity_api::{CreateOrganization, CreateOrganizationError, OrganizationIdentity};
use daybook_ledger::LedgerId;
use daybook_query_api::QueryState;
use daybook_write_api::WriteState;
use daybook_write_api::exports::ExportDesk;
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::runtime::organization::{Common, Organization};

/// Between two looks at the vault.
const POLL: Duration = Duration::from_millis(500);
/// Organisations that are opened at a time.
const AT_ONCE: usize = 8;
/// Pauses before one that could not be opened is tried again; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// One that could not be opened.
struct Failing {
    error: String,
    pause: Duration,
    again_at: Instant,
}

/// How keeping up with the vault goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RegistryFigures {
    /// Organisations that are open.
    pub open: u64,
    /// Organisations that should be and are not.
    pub failing: u64,
    /// True while the vault cannot be read.
    pub is_vault_failing: bool,
}

/// The organisations of the process. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    common: Common,
    /// The one that the settings name: always there.
    named: LedgerId,
    open: Mutex<BTreeMap<LedgerId, Organization>>,
    /// A ledger is opened once a process, whoever asks for it.
    opening: Mutex<HashMap<LedgerId, Arc<tokio::sync::Mutex<()>>>>,
    failing: Mutex<BTreeMap<LedgerId, Failing>>,
    vault_failure: Mutex<Option<String>>,
    stopping: watch::Sender<bool>,
    /// Where everything that an organisation begins goes on. The threads that answer requests have runtimes of their own,
    /// which end before the organisations do.
    runtime: Handle,
    commands: Organizations<WriteState>,
    approvals: Organizations<Approvals>,
    exports: Organizations<ExportDesk>,
    queries: Organizations<QueryState>,
    identities: Organizations<OrganizationIdentity>,
    directories: Organizations<Directory>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// Opens the named organisation, or fails; then all others of the vault.
    pub async fn open(common: Common) -> anyhow::Result<Self> {
        let named = common.settings.ledger();
        let registry = Self(Arc::new(Inner {
            common,
            named: named.clone(),
            open: Mutex::default(),
            opening: Mutex::default(),
            failing: Mutex::default(),
            vault_failure: Mutex::default(),
            stopping: watch::Sender::new(false),
            runtime: Handle::current(),
            commands: Organizations::new(),
            approvals: Organizations::new(),
            exports: Organizations::new(),
            queries: Organizations::new(),
            identities: Organizations::new(),
            directories: Organizations::new(),
        }));
        let now = (registry.0.common.clock)();
        let vault = &registry.0.common.vault;
        vault.add_organization(&named, now).await.context("the vault cannot be written")?;
        let opened = match registry.open_one(&named).await {
            Ok(()) => registry.follow_vault().await.context("the organisations cannot be read from the vault"),
            Err(error) => Err(error),
        };
        if let Err(error) = opened {
            registry.stop().await;
            return Err(error);
        }
        Ok(registry)
    }

    /// Commands on the records of each.
    pub fn commands(&self) -> Organizations<WriteState> {
        self.0.commands.clone()
    }

    /// What waits for a decision in each, and the gate.
    pub fn approvals(&self) -> Organizations<Approvals> {
        self.0.approvals.clone()
    }

    /// Commands on the exports of each.
    pub fn exports(&self) -> Organizations<ExportDesk> {
        self.0.exports.clone()
    }

    /// Queries of the records of each.
    pub fn queries(&self) -> Organizations<QueryState> {
        self.0.queries.clone()
    }

    /// Commands on the people of each.
    pub fn identities(&self) -> Organizations<OrganizationIdentity> {
        self.0.identities.clone()
    }

    /// Who is in each.
    pub fn directories(&self) -> Organizations<Directory> {
        self.0.directories.clone()
    }

    /// Something of the named organisation.
    pub fn named<T>(&self, look: impl FnOnce(&Organization) -> T) -> anyhow::Result<T> {
        let open = locked(&self.0.open);
        let organization = open.get(&self.0.named).with_context(|| format!("{} is not open", self.0.named))?;
        Ok(look(organization))
    }

    /// Shows how it goes among the metrics.
    pub fn observe(&self, telemetry: &Telemetry) {
        let gauge = |name, description, of: fn(RegistryFigures) -> u64| {
            // The metrics are part of what the registry holds: they must not hold it.
            let registry = Arc::downgrade(&self.0);
            telemetry.observe_gauge(name, description, move || {
                registry.upgrade().map_or(0, |inner| of(Registry(inner).figures()))
            });
        };
        gauge("daybook_organizations_open", "Organisations that are open in this process", |figures| figures.open);
        gauge("daybook_organizations_failing", "Organisations that cannot be opened in this process", |figures| {
            figures.failing
        });
        gauge("daybook_vault_failing", "1 while the vault cannot be read", |figures| {
            u64::from(figures.is_vault_failing)
        });
    }

    /// How it goes.
    pub fn figures(&self) -> RegistryFigures {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        RegistryFigures {
            open: count(locked(&self.0.open).len()),
            failing: count(locked(&self.0.failing).len()),
            is_vault_failing: locked(&self.0.vault_failure).is_some(),
        }
    }

    /// Opens what others add to the vault and closes what they close, until `shutdown` is true or its sender is gone.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(POLL) => {}
            }
            let outcome = self.follow_vault().await;
            let mut failure = locked(&self.0.vault_failure);
            match (outcome, failure.is_some()) {
                (Ok(()), true) => {
                    tracing::info!("the vault can be read again");
                    *failure = None;
                }
                (Ok(()), false) => {}
                (Err(error), already) => {
                    if !already {
                        tracing::error!(%error, "the vault cannot be read");
                    }
                    *failure = Some(error.to_string());
                }
            }
        }
    }

    /// One look at the vault.
    async fn follow_vault(&self) -> anyhow::Result<()> {
        let rows = self.0.common.vault.organizations().await?;
        let is_closed = |id: &LedgerId| {
            *id != self.0.named
                && rows.iter().any(|row| row.ledger_id == *id && row.status == OrganizationStatus::Closed)
        };
        let to_close: Vec<LedgerId> = locked(&self.0.open).keys().filter(|id| is_closed(id)).cloned().collect();
        for id in to_close {
            tracing::info!(organization = %id, "the organisation is closed");
            self.close(&id).await;
        }
        let wanted = rows.iter().map(|row| &row.ledger_id).filter(|id| !is_closed(id));
        // Before any is opened: until then there is an answer for whoever comes for it, and it is not "there is none".
        self.publish_unavailable(wanted.clone().cloned());
        let now = Instant::now();
        let due: Vec<LedgerId> = {
            let (open, mut failing) = (locked(&self.0.open), locked(&self.0.failing));
            failing.retain(|id, _| !is_closed(id));
            let waits = |id: &LedgerId| failing.get(id).is_some_and(|failing| failing.again_at > now);
            wanted.filter(|id| !open.contains_key(*id) && !waits(id)).cloned().collect()
        };
        futures::stream::iter(due)
            .for_each_concurrent(AT_ONCE, |id| async move {
                if let Err(error) = self.open_one(&id).await {
                    self.failed(&id, &error);
                }
            })
            .await;
        Ok(())
    }

    /// Tells whoever answers requests which organisations there are, for what they are to say of those that are not open.
    fn publish_unavailable(&self, wanted: impl Iterator<Item = LedgerId>) {
        let open: BTreeSet<LedgerId> = locked(&self.0.open).keys().cloned().collect();
        let missing: BTreeSet<LedgerId> = wanted.filter(|id| !open.contains(id)).collect();
        self.0.commands.set_unavailable(missing.clone());
        self.0.approvals.set_unavailable(missing.clone());
        self.0.exports.set_unavailable(missing.clone());
        self.0.queries.set_unavailable(missing.clone());
        self.0.identities.set_unavailable(missing.clone());
        self.0.directories.set_unavailable(missing);
    }

    fn failed(&self, id: &LedgerId, error: &anyhow::Error) {
        let text = format!("{error:#}");
        let mut failing = locked(&self.0.failing);
        let before = failing.get(id);
        if before.is_none_or(|before| before.error != text) {
            tracing::error!(organization = %id, error = text, "the organisation cannot be opened; it is tried again");
        }
        let pause = before.map_or(FIRST_PAUSE, |before| (before.pause * 2).min(LONGEST_PAUSE));
        failing.insert(id.clone(), Failing { error: text, pause, again_at: Instant::now() + pause });
    }

    /// Opens one, unless it is open.
    async fn open_one(&self, id: &LedgerId) -> anyhow::Result<()> {
        let gate = Arc::clone(locked(&self.0.opening).entry(id.clone()).or_default());
        let _alone = gate.lock().await;
        if locked(&self.0.open).contains_key(id) {
            return Ok(());
        }
        let most = self.0.common.server.identity.max_organizations;
        if locked(&self.0.open).len() >= most {
            bail!("{most} organisations are open, and max_organizations allows no more");
        }
        let telemetry = &self.0.common.telemetry;
        let organization = Organization::open(&self.0.common, id).await.inspect_err(|_| telemetry.forget_gauges(id))?;
        if *self.0.stopping.borrow() {
            organization.stop().await;
            bail!("the process is stopping");
        }
        self.0.queries.insert(id.clone(), Arc::clone(&organization.queries));
        if let Some(commands) = &organization.commands {
            self.0.commands.insert(id.clone(), Arc::clone(commands));
        }
        if let Some(gated) = &organization.gated {
            self.0.approvals.insert(id.clone(), Arc::clone(&gated.approvals));
            self.0.exports.insert(id.clone(), Arc::clone(&gated.desk));
        }
        if let Some(identity) = &organization.identity {
            self.0.identities.insert(id.clone(), Arc::clone(identity));
        }
        self.0.directories.insert(id.clone(), Arc::new(organization.directory.clone()));
        locked(&self.0.open).insert(id.clone(), organization);
        if locked(&self.0.failing).remove(id).is_some() || *id != self.0.named {
            tracing::info!(organization = %id, "the organisation is open");
        }
        Ok(())
    }

    async fn close(&self, id: &LedgerId) {
        let gate = Arc::clone(locked(&self.0.opening).entry(id.clone()).or_default());
        let _alone = gate.lock().await;
        self.withdraw(id);
        self.0.common.recorder.close(id).await;
        let organization = locked(&self.0.open).remove(id);
        if let Some(organization) = organization {
            organization.stop().await;
        }
        self.0.common.telemetry.forget_gauges(id);
    }

    fn withdraw(&self, id: &LedgerId) {
        self.0.directories.remove(id);
        self.0.identities.remove(id);
        self.0.commands.remove(id);
        self.0.approvals.remove(id);
        self.0.exports.remove(id);
        self.0.queries.remove(id);
    }

    /// Tells live streams and workers to end; no organisation is opened any more.
    pub fn begin_stop(&self) {
        self.0.stopping.send_replace(true);
        locked(&self.0.open).values().for_each(Organization::begin_stop);
    }

    /// Ends all of them, in order. To be called when nobody asks any more.
    pub async fn stop(&self) {
        self.begin_stop();
        let open = std::mem::take(&mut *locked(&self.0.open));
        futures::stream::iter(open)
            .for_each_concurrent(AT_ONCE, |(id, organization)| async move {
                self.withdraw(&id);
                organization.stop().await;
            })
            .await;
    }
}

#[async_trait]
impl CreateOrganization for Registry {
    async fn create(&self, id: &LedgerId) -> Result<Arc<OrganizationIdentity>, CreateOrganizationError> {
        use CreateOrganizationError::{Exists, TooMany, Unavailable};
        if *id == self.0.named {
            return Err(Exists);
        }
        let is_new = !locked(&self.0.open).contains_key(id);
        if is_new && locked(&self.0.open).len() >= self.0.common.server.identity.max_organizations {
            return Err(TooMany);
        }
        let vault = &self.0.common.vault;
        let unavailable = |error: anyhow::Error| {
            tracing::error!(organization = %id, error = format!("{error:#}"), "the organisation cannot be created");
            Unavailable("the log says why".to_owned())
        };
        let added = vault.add_organization(id, (self.0.common.clock)()).await;
        let added = added.map_err(|error| unavailable(error.into()))?;
        let (registry, opened) = (self.clone(), id.clone());
        let opening = self.0.runtime.spawn(async move { registry.open_one(&opened).await });
        opening.await.map_err(|error| unavailable(error.into()))?.map_err(unavailable)?;
        if !added {
            return Err(Exists);
        }
        let identity = self.0.identities.get(id);
        let identity = identity.ok_or_else(|| Unavailable("this process takes no commands".to_owned()))?;
        Ok(identity)
    }
}

#[cfg(test)]
mod tests;
