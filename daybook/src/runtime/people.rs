//! What a server process has for people, in all organisations: the vault, access tokens, letters, and the record of access.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use daybook_http_kit::{AccessLog, Authenticator, IdentityConfig, Telemetry};
use daybook_identity::authenticator::IdentityService;
use daybook_identity::mail::{FileMailer, Mailer, NoMail, SmtpMailer, SmtpSecurity, SmtpSettings};
use daybook_identity::oidc::Providers;
use daybook_identity::passwords::{PasswordPolicy, Passwords};
use daybook_identity::recorder::{Recorder, RecorderCounts};
use daybook_identity::tokens::Tokens;
use daybook_identity::vault::{MasterKey, Vault};
use daybook_identity_api::{IdentitySettings, IdentityState};
use daybook_ledger::LedgerId;
use daybook_ledger::sequencer::Clock;
use tokio::sync::watch;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::runtime::organization::Common;
use crate::runtime::organizations::Registry;
use crate::runtime::store::{Location, make_folder};
use crate::settings;
use crate::settings::hidden::Hidden;
use crate::settings::mail::{MailSettings, MailTls};

/// Between two removals of what is over.
const PURGE_INTERVAL: Duration = Duration::from_secs(3_600);
/// After a start, where several processes may have been started together.
const FIRST_PURGE: Duration = Duration::from_secs(60);
/// Rows of each kind that are removed at once, and the pause where there are more.
const PURGE_ROWS: u32 = 1_000;
const PURGE_PAUSE: Duration = Duration::from_millis(200);
/// Connections to PostgreSQL for the vault.
const POSTGRES_CONNECTIONS: u32 = 8;

/// The other tasks have this long to end.
const TASK_PATIENCE: Duration = Duration::from_secs(5);

/// All of it, running.
pub struct People {
    vault: Vault,
    tokens: Tokens,
    passwords: Passwords,
    mailer: Arc<dyn Mailer>,
    recorder: Recorder,
    service: IdentityService,
    clock: Clock,
    settings: settings::IdentitySettings,
    oidc: Providers,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl People {
    /// Begins what runs behind the requests.
    pub fn start(common: &Common, registry: &Registry, identity: IdentityConfig) -> anyhow::Result<Self> {
        let (vault, clock, settings) = (common.vault.clone(), Arc::clone(&common.clock), &common.server.identity);
        let policy = PasswordPolicy {
            memory_kib: settings.password_memory_kib,
            iterations: settings.password_passes,
            ..PasswordPolicy::default()
        };
        let passwords = Passwords::new(policy).context("passwords cannot be hashed as the settings ask for")?;
        let tokens = Tokens::new(vault.clone(), settings.token_issuer.as_str());
        let mailer = mailer(&common.server.mail)?;
        let oidc = settings::oidc::providers(&common.server.oidc)?;
        observe_mail(&common.telemetry, &mailer);
        let service =
            IdentityService::new(identity, vault.clone(), tokens.clone(), registry.directories(), Arc::clone(&clock));
        let recorder = common.recorder.clone();
        observe_recorder(&common.telemetry, &recorder);
        let (stop, stopping) = watch::channel(false);
        let (purging, purge_failing) = watch::channel(false);
        common.telemetry.observe_gauge(
            "daybook_vault_purge_failing",
            "1 where the last attempt to remove from the vault what is over has failed",
            move || u64::from(*purge_failing.borrow()),
        );
        let mut tasks = JoinSet::new();
        let supervision = &common.supervision;
        let (of, until) = (service.clone(), stopping.clone());
        supervision.spawn(&mut tasks, "last uses of API keys", stopping.clone(), move || of.clone().run(until.clone()));
        let (of, until) = (registry.clone(), stopping.clone());
        supervision.spawn(&mut tasks, "list of organisations", stopping.clone(), move || of.clone().run(until.clone()));
        let (of, letters, time, until) = (vault.clone(), Arc::clone(&mailer), Arc::clone(&clock), stopping.clone());
        supervision.spawn(&mut tasks, "removal of what is over", stopping, move || {
            purge(of.clone(), Arc::clone(&letters), Arc::clone(&time), purging.clone(), until.clone())
        });
        let settings = settings.clone();
        Ok(Self { vault, tokens, passwords, mailer, recorder, service, clock, settings, oidc, stop, tasks })
    }

    /// Says who is calling.
    pub fn authenticator(&self) -> Arc<dyn Authenticator> {
        Arc::new(self.service.clone())
    }

    /// Records denials, refusals and reads.
    pub fn access_log(&self) -> Arc<dyn AccessLog> {
        Arc::new(self.recorder.clone())
    }

    /// What the operations on people work with, in a process that is reached at `url`.
    pub fn state(&self, registry: &Registry, identity: IdentityConfig, url: &str) -> IdentityState {
        let public_url = self.settings.public_url.clone().unwrap_or_else(|| url.to_owned());
        IdentityState {
            vault: self.vault.clone(),
            tokens: self.tokens.clone(),
            passwords: self.passwords.clone(),
            mailer: Arc::clone(&self.mailer),
            settings: Arc::new(IdentitySettings {
                public_url,
                open_registration: self.settings.open_registration,
                session: self.settings.session,
                oidc: self.oidc.clone(),
            }),
            organizations: registry.identities(),
            clock: Arc::clone(&self.clock),
            identity,
            recorder: self.recorder.clone(),
            creator: Some(Arc::new(registry.clone())),
        }
    }

    /// Puts what is yet to be recorded into the ledgers. To be called when nobody asks any more.
    pub async fn finish_recording(&self) {
        self.stop.send_replace(true);
        self.recorder.shutdown().await;
    }

    /// Ends the other tasks and closes the vault.
    pub async fn close(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(TASK_PATIENCE, ended).await.is_err() {
            self.tasks.abort_all();
        }
        self.vault.close().await;
    }
}

/// A one-time link for the first owner of the organisation; `None` where it has one, or where this process cannot make it one.
pub async fn owner_link(state: &IdentityState, organization: &LedgerId) -> anyhow::Result<Option<String>> {
    state.owner_link(organization).await.context("the owner's one-time link cannot be made")
}

/// The file of the master key.
pub fn master_key_file(data: &Path) -> PathBuf {
    data.join("vault.key")
}

/// Opens the vault beside the ledgers; makes it, and a master key where none is given, at the first start.
pub async fn open_vault(location: &Location, data: &Path, master: Option<&Hidden>) -> anyhow::Result<Vault> {
    let key = match master {
        Some(text) => MasterKey::from_hex(text.expose()).context("DAYBOOK_MASTER_KEY cannot be used")?,
        None => {
            make_folder(data)?;
            let file = master_key_file(data);
            MasterKey::load_or_create(&file)
                .with_context(|| format!("the master key {} cannot be used", file.display()))?
        }
    };
    let opened = match location {
        Location::Embedded(folder) => Vault::open_sqlite(folder.join("vault.db"), key).await,
        Location::Postgres(url) => Vault::open_postgres(url.expose(), POSTGRES_CONNECTIONS, key).await,
    };
    opened.with_context(|| format!("cannot open the vault of the {}", location.describe()))
}

/// The way for letters that the settings choose.
fn mailer(settings: &MailSettings) -> anyhow::Result<Arc<dyn Mailer>> {
    Ok(match settings {
        MailSettings::None => Arc::new(NoMail),
        MailSettings::File { folder, from } => {
            let mailer = FileMailer::open(folder, from);
            Arc::new(mailer.with_context(|| format!("letters cannot be put into {}", folder.display()))?)
        }
        MailSettings::Smtp(smtp) => {
            let settings = SmtpSettings {
                host: smtp.host.clone(),
                port: smtp.port,
                security: match smtp.tls {
                    MailTls::Starttls => SmtpSecurity::StartTls,
                    MailTls::Implicit => SmtpSecurity::Tls,
                    MailTls::Off => SmtpSecurity::LoopbackPlain,
                },
                credentials: smtp
                    .login
                    .as_ref()
                    .map(|(user, password)| (user.clone(), Zeroizing::new(password.expose().to_owned()))),
                from: smtp.from.clone(),
            };
            Arc::new(SmtpMailer::start(&settings).context("letters cannot be sent")?)
        }
    })
}

/// Shows what becomes of letters among the metrics.
fn observe_mail(telemetry: &Telemetry, mailer: &Arc<dyn Mailer>) {
    let (delivered, failed, retried) = (Arc::clone(mailer), Arc::clone(mailer), Arc::clone(mailer));
    telemetry.observe_gauge("daybook_mail_delivered", "Letters handed over since the start", move || {
        delivered.figures().delivered
    });
    telemetry.observe_gauge("daybook_mail_failed", "Letters given up since the start", move || failed.figures().failed);
    telemetry.observe_gauge(
        "daybook_mail_retried",
        "Attempts to hand over a letter that failed and were made again",
        move || retried.figures().retried,
    );
}

/// Shows what becomes of the record of access among the metrics.
fn observe_recorder(telemetry: &Telemetry, recorder: &Recorder) {
    let gauge = |name, description, of: fn(RecorderCounts) -> u64| {
        let recorder = recorder.clone();
        telemetry.observe_gauge(name, description, move || of(recorder.counts()));
    };
    let recorders = recorder.clone();
    telemetry.observe_gauge(
        "daybook_access_recorders_stopped",
        "Organisations whose denials, refusals and reads are recorded no more because the task has ended unexpectedly",
        move || u64::try_from(recorders.stopped()).unwrap_or(u64::MAX),
    );
    gauge("daybook_access_recorded", "Denials, refusals and reads put into ledgers since the start", |counts| {
        counts.recorded
    });
    gauge("daybook_access_dropped", "Denials, refusals and reads that were not recorded since the start", |counts| {
        counts.dropped
    });
    gauge("daybook_access_failed_flushes", "Attempts to record that failed and were made again", |counts| {
        counts.failed_flushes
    });
}

/// Removes from the vault what is over, and letters that are good for nothing any more, now and then, until `shutdown` is
/// true or its sender is gone.
async fn purge(
    vault: Vault,
    mailer: Arc<dyn Mailer>,
    clock: Clock,
    failing: watch::Sender<bool>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut pause = FIRST_PURGE;
    loop {
        tokio::select! {
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(pause) => {}
        }
        match mailer.tidy().await {
            Ok(0) => {}
            Ok(letters) => tracing::info!(letters, "removed letters whose links have long expired"),
            Err(error) => tracing::error!(%error, "old letters cannot be removed; it is tried again"),
        }
        pause = match vault.purge(clock(), PURGE_ROWS).await {
            Ok(purged) => {
                failing.send_replace(false);
                if purged.total() == 0 {
                    PURGE_INTERVAL
                } else {
                    tracing::debug!(rows = purged.total(), "removed from the vault what is over");
                    PURGE_PAUSE
                }
            }
            Err(error) => {
                failing.send_replace(true);
                tracing::error!(%error, "what is over cannot be removed from the vault; it is tried again");
                FIRST_PURGE
            }
        };
    }
}
