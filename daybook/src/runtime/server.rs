//! One server process: stores, ledger, projectors, reactors and HTTP, started together and stopped in order.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::HttpServer;
use actix_web::dev::ServerHandle;
use anyhow::{Context, bail, ensure};
use daybook_http_kit::{HttpKit, IdentityConfig, Secret, Telemetry, app};
use daybook_identity::recorder::Recorder;
use daybook_identity_api::IdentityState;
use daybook_ledger::LedgerReader;
use daybook_ledger::checkpoint::CheckpointRequests;
use daybook_ledger::sequencer::system_clock;
use daybook_query_api::docs;
use daybook_read_models::ReadDb;
use daybook_write_api::WriteState;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::commands::openapi;
use crate::runtime::discovery::{Announcement, FolderLock, ServerDescription};
use crate::runtime::http::{Services, route_table};
use crate::runtime::organization::Common;
use crate::runtime::organizations::Registry;
use crate::runtime::people::{self, People};
use crate::runtime::store::{self, Location};
use crate::runtime::supervision::Supervision;
use crate::runtime::token;
use crate::settings::{ServerSettings, Settings};

/// A connection without a request is closed after this long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// A request's head has to arrive within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// A client has this long to take the end of its connection.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests under way have this long at shutdown.
const DRAIN_SECONDS: u64 = 15;
/// Requests under way have this long when the store has failed: they are refused at once.
const FAREWELL: Duration = Duration::from_secs(2);
/// Connections of one worker.
const MAX_CONNECTIONS: usize = 10_000;

/// A server that runs.
pub struct Running {
    /// Where it answers, without a slash at the end.
    pub url: String,
    /// The named ledger, for reading.
    pub reader: LedgerReader,
    /// Commands on it, where this process appends.
    pub writing: Option<Arc<WriteState>>,
    /// The read tables.
    pub read_tables: ReadDb,
    /// True where the operator's token is in the data folder's file.
    pub token_in_file: bool,
    /// Asks for its checkpoints, where this process has the role `write`.
    pub checkpoints: Option<CheckpointRequests>,
    /// A one-time link for the owner, where the organisation has none yet. To be shown to whoever started this, once.
    pub owner_link: Option<String>,
    /// True where the organisation has no owner yet, and it is to be said how it gets one, because no link was made.
    pub owner_missing: bool,
    registry: Registry,
    people: People,
    ledger_file: Option<PathBuf>,
    failed: watch::Receiver<Option<String>>,
    handle: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    _announcement: Announcement,
    _lock: FolderLock,
}

impl Running {
    /// Opens everything and begins to answer. Returns when connections are accepted.
    pub async fn start(settings: &Settings, server: &ServerSettings) -> anyhow::Result<Self> {
        let addresses = addresses(&server.listen)?;
        if server.dev_auth && !addresses.iter().all(|address| address.ip().is_loopback()) {
            bail!(
                "--dev-auth believes whatever a request says of itself, so it works on loopback addresses only, not on {}",
                server.listen
            );
        }
        let lock = FolderLock::take(&settings.data)?;
        let (identity, token_in_file) = identity(settings, server)?;
        let location = Location::of(settings);
        let telemetry = Telemetry::new().context("the metrics cannot be set up")?;
        // Whoever answers people records what they do, so every process of a database appends. The embedded store has one
        // writing process, which is another one where this one has no role that writes.
        let can_append = server.roles.appends() || location.ledger_file().is_none();
        let store = if can_append { location.open_for_writing().await } else { location.open_for_reading().await }?;
        let (failure, failed) = watch::channel(None);
        let common = Common {
            settings: Arc::new(settings.clone()),
            server: Arc::new(server.clone()),
            store,
            can_append,
            vault: people::open_vault(&location, &settings.data, server.identity.master_key.as_ref()).await?,
            read_tables: location.open_read_tables().await?,
            recorder: Recorder::new(settings.ledger()),
            telemetry: telemetry.clone(),
            supervision: Supervision::default(),
            clock: system_clock(),
            failure,
        };
        common.supervision.observe(&telemetry);
        let identity = identity.with_digest_key(common.vault.command_digest_key());
        let read_tables = common.read_tables.clone();
        let registry = Registry::open(common.clone()).await?;
        registry.observe(&telemetry);

        let people = People::start(&common, &registry, identity.clone())?;
        let Listening { url, handle, serving, state } =
            listen(server, &addresses, identity, &registry, &people, telemetry)?;
        let (reader, writing, checkpoints) = registry.named(|organization| {
            let checkpoints = organization.signing.as_ref().map(|signing| signing.requests.clone());
            (organization.reader.clone(), organization.commands.clone(), checkpoints)
        })?;
        let (owner_link, owner_missing) = match location.ledger_file() {
            Some(_) => (people::owner_link(&state, reader.id()).await?, false),
            // Several processes start on one database, and each link is in place of the one before: none is made unasked.
            None if server.roles.write => {
                (None, state.needs_owner(reader.id()).await.context("the vault cannot be read")?)
            }
            None => (None, false),
        };
        let description = ServerDescription {
            url: url.clone(),
            pid: std::process::id(),
            started_at: daybook_query_api::time::now(),
            roles: server.roles.names().into_iter().map(str::to_owned).collect(),
            ledger_id: reader.id().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let announcement = Announcement::publish(&settings.data, &description)?;
        if server.dev_auth {
            tracing::warn!("development authentication is on: whoever can reach this port can be anybody");
        }
        tracing::info!(url, roles = %server.roles, ledger = %reader.id(), "answering");
        Ok(Self {
            url,
            reader,
            writing,
            read_tables,
            token_in_file,
            checkpoints,
            owner_link,
            owner_missing,
            registry,
            people,
            ledger_file: location.ledger_file().filter(|_| can_append),
            failed,
            handle,
            serving,
            _announcement: announcement,
            _lock: lock,
        })
    }

    /// Waits until the server ends by itself, which it only does when it fails: the server, or the ledgers' store.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        let store_failed = async {
            match self.failed.wait_for(Option::is_some).await.ok().and_then(|why| why.clone()) {
                Some(why) => why,
                // Nobody is left who could say so.
                None => std::future::pending().await,
            }
        };
        let why = tokio::select! {
            served = &mut self.serving => return match served {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(error).context("the HTTP server has failed"),
                Err(error) => Err(error).context("the HTTP server has stopped unexpectedly"),
            },
            why = store_failed => why,
        };
        // Nothing more is ended in order: that would write to a store which must not be written to.
        self.registry.begin_stop();
        let _ = tokio::time::timeout(FAREWELL, self.handle.stop(true)).await;
        bail!(why)
    }

    /// Takes no more connections, finishes requests under way, records what was read, then ends each organisation.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        tracing::info!("stopping");
        // Live streams have no end of their own: they see this and finish. So do workers, meanwhile.
        self.registry.begin_stop();
        self.handle.stop(true).await;
        if !self.serving.is_finished() {
            self.ended().await?;
        }
        self.people.finish_recording().await;
        drop(self.writing.take());
        self.registry.stop().await;
        self.people.close().await;
        self.read_tables.close().await;
        if let Some(file) = self.ledger_file.take()
            && let Err(error) = store::checkpoint(&file).await
        {
            tracing::info!(%error, "the ledger's write-ahead log stays beside the ledger; the next start reads it");
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// The HTTP server, answering.
struct Listening {
    url: String,
    handle: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    state: Arc<IdentityState>,
}

/// Takes the port and begins to answer.
fn listen(
    server: &ServerSettings,
    addresses: &[SocketAddr],
    identity: IdentityConfig,
    registry: &Registry,
    people: &People,
    telemetry: Telemetry,
) -> anyhow::Result<Listening> {
    let document = openapi::document();
    let documentation = docs(&document).context("the API's document cannot be written")?;
    let kit = HttpKit::new(identity.clone(), route_table(server.roles))
        .with_authenticator(people.authenticator())
        .with_access_log(people.access_log())
        .with_limits(server.web.rate_limits())
        .with_cors(server.web.cors.clone())
        .with_trusted_proxies(server.web.trusted_proxies.clone())
        .with_metrics(telemetry.http());
    // The address is known when the port is taken, and what is mounted knows the address.
    let services: Arc<OnceLock<Services>> = Arc::default();
    let mounted = Arc::clone(&services);
    let http = HttpServer::new(move || {
        let services = Arc::clone(&mounted);
        app(&kit).configure(documentation.clone()).configure(move |app| {
            if let Some(services) = services.get() {
                services.mount(app);
            }
        })
    })
    .workers(server.workers)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(HEAD_TIMEOUT)
    .client_disconnect_timeout(DISCONNECT_TIMEOUT)
    .max_connections(MAX_CONNECTIONS)
    .shutdown_timeout(DRAIN_SECONDS)
    .tcp_nodelay(true)
    .disable_signals()
    .bind(addresses)
    .with_context(|| format!("cannot listen on {}", server.listen))?;
    let url = reachable_url(*http.addrs().first().context("the server listens nowhere")?);
    let state = Arc::new(people.state(registry, identity, &url));
    let metrics_access = server.web.metrics_access(&http.addrs());
    services.get_or_init(|| Services {
        roles: server.roles,
        commands: registry.commands(),
        approvals: registry.approvals(),
        exports: registry.exports(),
        queries: registry.queries(),
        identities: registry.identities(),
        identity: Arc::clone(&state),
        telemetry,
        metrics_access,
    });
    let running = http.run();
    let handle = running.handle();
    let serving = tokio::spawn(running);
    Ok(Listening { url, handle, serving, state })
}

fn addresses(listen: &str) -> anyhow::Result<Vec<SocketAddr>> {
    let addresses: Vec<SocketAddr> = listen
        .to_socket_addrs()
        .with_context(|| format!("{listen:?} is not an address and port such as 127.0.0.1:8080"))?
        .collect();
    ensure!(!addresses.is_empty(), "{listen:?} names no address");
    Ok(addresses)
}

/// An address that a client on this machine can use.
fn reachable_url(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        return format!("http://127.0.0.1:{}", address.port());
    }
    format!("http://{address}")
}

fn identity(settings: &Settings, server: &ServerSettings) -> anyhow::Result<(IdentityConfig, bool)> {
    let (operator_token, in_file) = match &server.operator_token {
        Some(token) => (token.expose().to_owned(), false),
        None => (token::ensure_token(&settings.data)?, true),
    };
    let actor_key = match &server.actor_key {
        Some(key) => key.expose().to_owned(),
        None => token::ensure_actor_key(&settings.data)?,
    };
    let identity = IdentityConfig::new(Some(Secret::new(operator_token)), server.dev_auth)
        .with_actor_key(Secret::new(actor_key))
        .with_default_organization(settings.ledger());
    Ok((identity, in_file))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn url_can_be_used_on_this_machine() {
        assert_eq!(reachable_url("0.0.0.0:81".parse().unwrap()), "http://127.0.0.1:81");
        assert_eq!(reachable_url("[::1]:81".parse().unwrap()), "http://[::1]:81");
        assert!(addresses("localhost").is_err());
    }
}
