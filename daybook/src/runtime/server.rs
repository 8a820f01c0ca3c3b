//! One server process: stores, ledger, projectors, reactors and HTTP, started together and stopped in order.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpServer, web::Data};
use anyhow::{Context, bail, ensure};
use daybook_domain::rules::LargeTransactionRule;
use daybook_http_kit::{HttpKit, IdentityConfig, RouteTable, Secret, Telemetry, app};
use daybook_ledger::sequencer::system_clock;
use daybook_ledger::writing::store_failed;
use daybook_ledger::{Ledger, LedgerReader};
use daybook_projections::Projections;
use daybook_query_api::{Checkpoints, QueryState, docs};
use daybook_reactors::{LargeTransactions, Reactors};
use daybook_read_models::ReadDb;
use daybook_write_api::WriteState;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::commands::openapi;
use crate::runtime::discovery::{Announcement, FolderLock, ServerDescription};
use crate::runtime::outside;
use crate::runtime::projections::Control;
use crate::runtime::roles::Roles;
use crate::runtime::signing::Signing;
use crate::runtime::store::{self, Location};
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
/// Projectors and reactors have this long to finish their batch at shutdown.
const WORKER_PATIENCE: Duration = Duration::from_secs(15);
/// Requests under way have this long when the store has failed: they are refused at once.
const FAREWELL: Duration = Duration::from_secs(2);
/// Connections of one worker.
const MAX_CONNECTIONS: usize = 10_000;

/// A server that runs.
pub struct Running {
    /// Where it answers, without a slash at the end.
    pub url: String,
    /// The ledger, for reading.
    pub reader: LedgerReader,
    /// Commands, where a role of this process appends.
    pub writing: Option<WriteState>,
    /// The read tables.
    pub read_tables: ReadDb,
    /// True where the operator's token is in the data folder's file.
    pub token_in_file: bool,
    /// Signs checkpoints, where this process has the role `write`.
    pub signing: Option<Signing>,
    ledger_file: Option<PathBuf>,
    shutdown: watch::Sender<bool>,
    workers: JoinSet<()>,
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
        let (reader, writing) = open_ledger(settings, &location, server.roles, &telemetry).await?;
        // A ledger that is not what was signed is refused before anything is made of it.
        let signing = match &writing {
            Some((ledger, _)) if server.roles.write => {
                let interval = server.checkpoint_interval;
                Some(Signing::start(settings, interval, ledger.clone(), system_clock(), &telemetry).await?)
            }
            _ => None,
        };
        let ledger = writing.as_ref().map(|(ledger, _)| ledger.clone());
        let writing = writing.map(|(_, commands)| commands);
        let read_tables = location.open_read_tables().await?;
        let (shutdown, stopping) = watch::channel(false);
        let mut workers = JoinSet::new();

        let mut queries = QueryState::new(read_tables.clone(), reader.clone(), stopping.clone());
        if let Some(signing) = &signing {
            queries = queries.with_checkpoints(Checkpoints {
                requests: Some(signing.requests.clone()),
                status: Some(signing.status.clone()),
                interval: server.checkpoint_interval,
            });
        }
        // Whichever process is first makes the tables, so that no query meets a table that is not there.
        let projections = Projections::new(read_tables.clone(), reader.clone(), daybook_projections::all());
        projections.prepare().await.context("the read tables cannot be made")?;
        if server.roles.project {
            let control = Control::new(projections.clone()).await;
            workers.spawn(control.clone().watch(stopping.clone()));
            queries = queries.with_projections(Arc::new(control.clone()));
            telemetry.observe_projectors(move || control.readings());
            let stopping = stopping.clone();
            workers.spawn(async move { projections.run(stopping).await });
        }
        if let (true, Some(writing)) = (server.roles.react, &writing) {
            let reactors = reactors(server, writing, &reader, &read_tables);
            let stopping = stopping.clone();
            workers.spawn(async move {
                if let Err(error) = reactors.run(stopping).await {
                    tracing::error!(%error, "the reactors have stopped");
                }
            });
        }

        if let (true, Some(ledger)) = (server.roles.react, &ledger) {
            for schedule in outside::schedules(&server.outside, ledger, &read_tables, &telemetry).await? {
                workers.spawn(schedule.run(stopping.clone()));
            }
        }

        let document = openapi::document();
        let documentation = docs(&document).context("the API's document cannot be written")?;
        let kit = HttpKit::new(identity, route_table(server.roles)).with_metrics(telemetry.http());
        let services = Services {
            roles: server.roles,
            commands: writing.clone().map(Data::new),
            queries: Data::new(queries),
            telemetry: Data::new(telemetry),
        };
        let http = HttpServer::new(move || {
            let services = services.clone();
            app(&kit).configure(documentation.clone()).configure(move |app| services.mount(app))
        })
        .workers(server.workers)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .max_connections(MAX_CONNECTIONS)
        .shutdown_timeout(DRAIN_SECONDS)
        .tcp_nodelay(true)
        .disable_signals()
        .bind(addresses.as_slice())
        .with_context(|| format!("cannot listen on {}", server.listen))?;
        let address = *http.addrs().first().context("the server listens nowhere")?;
        let url = reachable_url(address);
        let running = http.run();
        let handle = running.handle();
        let serving = tokio::spawn(running);
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
            signing,
            ledger_file: location.ledger_file().filter(|_| server.roles.appends()),
            shutdown,
            workers,
            handle,
            serving,
            _announcement: announcement,
            _lock: lock,
        })
    }

    /// Waits until the server ends by itself, which it only does when it fails: the server, or the ledger's store.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        let writing = self.reader.writing();
        let store_failed = async {
            match writing {
                Some(status) => store_failed(status).await,
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
        self.shutdown.send_replace(true);
        let _ = tokio::time::timeout(FAREWELL, self.handle.stop(true)).await;
        bail!(why)
    }

    /// Takes no more connections, finishes requests under way, then stops projectors and reactors after their batch.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        tracing::info!("stopping");
        // Live streams have no end of their own: they see this and finish. So do workers, meanwhile.
        self.shutdown.send_replace(true);
        self.handle.stop(true).await;
        if !self.serving.is_finished() {
            self.ended().await?;
        }
        let all_ended =
            tokio::time::timeout(WORKER_PATIENCE, async { while self.workers.join_next().await.is_some() {} });
        if all_ended.await.is_err() {
            tracing::warn!(
                "a projector or reactor did not finish its batch in time; it is folded again at the next start"
            );
            self.workers.abort_all();
        }
        // Nobody writes any more: what was written is covered by one last checkpoint.
        if let Some(signing) = self.signing.take() {
            signing.stop().await;
        }
        self.read_tables.close().await;
        drop(self.writing.take());
        if let Some(file) = self.ledger_file.take()
            && let Err(error) = store::checkpoint(&file).await
        {
            tracing::info!(%error, "the ledger's write-ahead log stays beside the ledger; the next start reads it");
        }
        tracing::info!("stopped");
        Ok(())
    }
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
        Some(token) => (token.clone(), false),
        None => (token::ensure_token(&settings.data)?, true),
    };
    let actor_key = match &server.actor_key {
        Some(key) => key.clone(),
        None => token::ensure_actor_key(&settings.data)?,
    };
    let identity =
        IdentityConfig::new(Some(Secret::new(operator_token)), server.dev_auth).with_actor_key(Secret::new(actor_key));
    Ok((identity, in_file))
}

async fn open_ledger(
    settings: &Settings,
    location: &Location,
    roles: Roles,
    telemetry: &Telemetry,
) -> anyhow::Result<(LedgerReader, Option<(Ledger, WriteState)>)> {
    if !roles.appends() {
        // Processes of one database start in any order, so each brings its tables up to date. The embedded store has one
        // writing process, which is another one then.
        let store = match location {
            Location::Embedded(_) => location.open_for_reading().await?,
            Location::Postgres(_) => location.open_for_writing().await?,
        };
        let reader = LedgerReader::open(store, settings.ledger()).await.context("cannot read the ledger")?;
        return Ok((reader, None));
    }
    let store = location.open_for_writing().await?;
    let clock = system_clock();
    let ledger = Ledger::open(store, settings.ledger(), Arc::clone(&clock), telemetry.sequencer())
        .await
        .with_context(|| format!("cannot open the ledger {}", settings.ledger()))?;
    Ok((ledger.reader().clone(), Some((ledger.clone(), WriteState::new(ledger, clock)))))
}

fn reactors(server: &ServerSettings, writing: &WriteState, reader: &LedgerReader, read_tables: &ReadDb) -> Reactors {
    let rule =
        LargeTransactionRule { threshold: server.large_transaction_threshold, ..LargeTransactionRule::default() };
    let large = LargeTransactions::new(rule, writing.transactions.clone(), writing.incidents.clone());
    Reactors::new(reader.clone(), read_tables.clone(), vec![Box::new(large)])
}

/// What is mounted into each worker's app.
#[derive(Clone)]
struct Services {
    roles: Roles,
    commands: Option<Data<WriteState>>,
    queries: Data<QueryState>,
    telemetry: Data<Telemetry>,
}

impl Services {
    fn mount(&self, app: &mut ServiceConfig) {
        app.app_data(self.queries.clone()).app_data(self.telemetry.clone());
        if let Some(commands) = &self.commands {
            app.app_data(commands.clone());
        }
        app.service(web::scope(daybook_http_kit::API_PREFIX).configure(|scope| self.routes(scope)));
        self.routes(app);
    }

    fn routes(&self, app: &mut ServiceConfig) {
        if self.roles.write {
            daybook_write_api::configure(app);
        }
        if self.roles.query {
            daybook_query_api::configure(app);
        } else {
            operational(app);
        }
    }
}

/// What every process answers, whatever it does: its health, its metrics, how far the ledger and its projectors are, and
/// checkpoints, which a process that only writes is asked for.
const OPERATIONAL: [&str; 20] = [
    "/",
    "/v1/health",
    "/v1/health/live",
    "/v1/health/ready",
    "/v1/metrics",
    "/v1/ledgers",
    "/v1/ledgers/{ledger_id}/head",
    "/v1/ledgers/{ledger_id}/checkpoint",
    "/v1/ledgers/{ledger_id}/checkpoints",
    "/v1/ledgers/{ledger_id}/tile/{level}/{index}",
    "/v1/ledgers/{ledger_id}/tile/entries/{index}",
    "/v1/ledgers/{ledger_id}/proofs/inclusion",
    "/v1/ledgers/{ledger_id}/proofs/consistency",
    "/v1/ledgers/{ledger_id}/proofs/{position}.tlog-proof",
    "/v1/ledgers/{ledger_id}/keys",
    "/v1/ledgers/{ledger_id}/bundle",
    "/v1/ledgers/{ledger_id}/entries",
    "/v1/ledgers/{ledger_id}/entries/{position}",
    "/v1/projections",
    "/v1/projections/{name}/rebuild",
];

/// Mounts the paths of [`OPERATIONAL`].
fn operational(app: &mut ServiceConfig) {
    use daybook_query_api::{health, ledgers, projections};
    app.route("", web::get().to(health::about))
        .route("/", web::get().to(health::about))
        .route("/health", web::get().to(health::health))
        .route("/health/live", web::get().to(health::live))
        .route("/health/ready", web::get().to(health::ready))
        .route("/metrics", web::get().to(health::metrics))
        .route("/ledgers", web::get().to(ledgers::list))
        .route("/ledgers/{ledger_id}/head", web::get().to(ledgers::head))
        .configure(daybook_query_api::configure_proofs)
        .route("/ledgers/{ledger_id}/entries", web::get().to(ledgers::entries))
        .route("/ledgers/{ledger_id}/entries/{position}", web::get().to(ledgers::entry))
        .route("/projections", web::get().to(projections::list))
        .route("/projections/{name}/rebuild", web::post().to(projections::rebuild));
}

/// The paths and methods that a process with these roles answers.
fn route_table(roles: Roles) -> RouteTable {
    let mut queries = daybook_query_api::openapi();
    if !roles.query {
        queries.paths.paths.retain(|path, _| OPERATIONAL.contains(&path.as_str()));
    }
    let commands = roles.write.then(daybook_write_api::openapi);
    RouteTable::new(std::iter::once(&queries).chain(&commands))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn process_names_only_the_methods_it_answers() {
        let writer = route_table("write".parse().unwrap());
        assert!(writer.methods("/stats/summary").is_empty());
        assert_eq!(writer.methods("/transactions").into_iter().collect::<Vec<_>>(), ["POST"]);
        assert!(writer.methods("/v1/health").contains("GET"));
        assert_eq!(route_table(Roles::default()).methods("/transactions").len(), 2);
    }

    #[test]
    fn operational_paths_are_documented() {
        let documented = daybook_query_api::openapi();
        for path in OPERATIONAL {
            assert!(documented.paths.paths.contains_key(path), "{path}");
        }
    }

    #[test]
    fn url_can_be_used_on_this_machine() {
        assert_eq!(reachable_url("0.0.0.0:81".parse().unwrap()), "http://127.0.0.1:81");
        assert_eq!(reachable_url("[::1]:81".parse().unwrap()), "http://[::1]:81");
        assert!(addresses("localhost").is_err());
    }
}
