//! Configuration. Each value comes from a flag, else from the environment, else from the TOML file, else from its default.
//!
//! The same structs are read from all of them: clap reads flags and environment, serde the file. `docs/configuration.md`
//! lists every value.

pub mod deliveries;
pub mod exports;
pub mod hidden;
pub mod identity;
pub mod mail;
pub mod oidc;
pub mod outside;
pub mod signing;
pub mod web;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::{ArgAction, Args, ValueEnum};
use daybook_ledger::LedgerId;
use daybook_ledger::keys::KeyRingOptions;
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::runtime::roles::Roles;
pub use deliveries::{DeliveriesSettings, DestinationEntry};
pub use exports::{ExportOptions, ExportsSettings};
use hidden::Hidden;
pub use identity::{IdentityOptions, IdentitySettings};
pub use mail::{MailOptions, MailSettings};
pub use oidc::OidcEntry;
pub use outside::{OutsideOptions, OutsideSettings};
pub use signing::{SigningOptions, SigningSettings};
pub use web::{WebOptions, WebSettings};

/// Where data is unless said otherwise.
const DEFAULT_DATA: &str = "daybook-data";
/// Where the server listens unless said otherwise.
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";
/// Amounts above this open an incident unless said otherwise, in units of the transaction's currency.
const DEFAULT_THRESHOLD: Decimal = Decimal::from_parts(100_000, 0, 0, false, 0);
/// Name of the configuration file in the data folder.
const FILE_NAME: &str = "daybook.toml";
/// Fewest bytes of an operator's token: a shorter one can be guessed.
const MIN_TOKEN_BYTES: usize = 16;
/// Most worker threads of the HTTP server.
const MAX_WORKERS: usize = 256;
/// Seconds between checkpoints while something is written, unless said otherwise.
const DEFAULT_CHECKPOINT_INTERVAL: u64 = 10;
/// Most seconds between checkpoints: a day.
const MAX_CHECKPOINT_INTERVAL: u64 = 86_400;

/// Which store. Every command takes these.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(default)]
pub struct StoreOptions {
    /// Folder of the embedded store, the token and the server's address [default: daybook-data]
    #[arg(long, global = true, value_name = "DIR", env = "DAYBOOK_DATA", help_heading = "Store")]
    pub data: Option<PathBuf>,
    /// Keep ledger and read tables in this PostgreSQL instead of in the data folder
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "DAYBOOK_DATABASE_URL",
        hide_env_values = true,
        help_heading = "Store"
    )]
    pub database_url: Option<Hidden>,
    /// Id of the ledger [default: main]
    #[arg(long, global = true, value_name = "ID", env = "DAYBOOK_LEDGER", help_heading = "Store")]
    pub ledger: Option<LedgerId>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How the server runs. `serve` and `demo` take these.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(default)]
pub struct ServerOptions {
    /// Address and port; port 0 takes a free one and prints it [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS", env = "DAYBOOK_LISTEN")]
    pub listen: Option<String>,
    /// What this process does: all, or some of write,query,project,react [default: all]
    #[arg(long, env = "DAYBOOK_ROLES")]
    pub roles: Option<Roles>,
    /// The operator's bearer token, at least 16 bytes; without it one is made and kept in <DIR>/operator.token
    #[arg(long, value_name = "TOKEN", env = "DAYBOOK_OPERATOR_TOKEN", hide_env_values = true)]
    pub operator_token: Option<Hidden>,
    /// Key that turns e-mail addresses into opaque ids; the same for all processes on one database. Without it one is made and
    /// kept in <DIR>/actor.key
    #[arg(long, value_name = "KEY", env = "DAYBOOK_ACTOR_KEY", hide_env_values = true)]
    pub actor_key: Option<Hidden>,
    /// Believe the headers x-user-email and x-user-role. For development: refused unless listening on loopback
    #[arg(
        long,
        env = "DAYBOOK_DEV_AUTH",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub dev_auth: Option<bool>,
    /// A transaction whose amount exceeds this opens an incident, whatever its currency [default: 100000]
    #[arg(long, value_name = "AMOUNT", env = "DAYBOOK_LARGE_TRANSACTION_THRESHOLD")]
    #[serde(deserialize_with = "decimal")]
    pub large_transaction_threshold: Option<Decimal>,
    /// How log lines on standard error look [default: text]
    #[arg(long, value_enum, value_name = "FORMAT", env = "DAYBOOK_LOG")]
    pub log: Option<LogFormat>,
    /// Threads that answer HTTP requests [default: one a processor]
    #[arg(long, value_name = "N", env = "DAYBOOK_WORKERS")]
    pub workers: Option<usize>,
    /// Sign a checkpoint every so many seconds while something is written; 0 signs only on request [default: 10]
    #[arg(long = "checkpoint-interval", value_name = "SECONDS", env = "DAYBOOK_CHECKPOINT_INTERVAL")]
    pub checkpoint_interval_seconds: Option<u64>,
    /// People and their credentials; in the file beside the others.
    #[command(flatten)]
    #[serde(skip)]
    pub identity: IdentityOptions,
    /// Mail; in the file beside the others.
    #[command(flatten)]
    #[serde(skip)]
    pub mail: MailOptions,
    /// Browsers and limits; in the file beside the others.
    #[command(flatten)]
    #[serde(skip)]
    pub web: WebOptions,
    /// Exports; in the file beside the others.
    #[command(flatten)]
    #[serde(skip)]
    pub exports: ExportOptions,
}

/// A decimal from a TOML string or whole number. Not from a float: 0.1 is none.
fn decimal<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a whole number, or a decimal number in quotation marks")]
    enum Number {
        Whole(i64),
        Text(String),
    }
    match Number::deserialize(deserializer)? {
        Number::Whole(number) => Ok(Some(Decimal::from(number))),
        Number::Text(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

/// What the TOML file may hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct FileOptions {
    #[serde(flatten)]
    store: StoreOptions,
    #[serde(flatten)]
    server: ServerOptions,
    #[serde(flatten)]
    signing: SigningOptions,
    #[serde(flatten)]
    outside: OutsideOptions,
    #[serde(flatten)]
    identity: IdentityOptions,
    #[serde(flatten)]
    mail: MailOptions,
    #[serde(flatten)]
    web: WebOptions,
    #[serde(flatten)]
    exports: ExportOptions,
    /// Other providers to log in at.
    oidc: Vec<OidcEntry>,
    /// Where exports can be brought.
    destinations: Vec<DestinationEntry>,
    /// Everything else is a mistake, and not silently ignored.
    #[serde(flatten)]
    unknown: BTreeMap<String, toml::Value>,
}

impl FileOptions {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let options: Self = toml::from_str(text)?;
        if let Some(name) = options.unknown.keys().next() {
            bail!("there is no setting named {name}");
        }
        // One value for all that the server takes, as on the command line.
        let Self { mut server, identity, mail, web, exports, .. } = options.clone();
        (server.identity, server.mail, server.web, server.exports) = (identity, mail, web, exports);
        Ok(Self { server, ..options })
    }

    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the configuration file {} cannot be read", path.display()))?;
        Self::parse(&text).with_context(|| format!("the configuration file {} is not valid", path.display()))
    }
}

/// What every command knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The data folder.
    pub data: PathBuf,
    /// PostgreSQL instead of the embedded store.
    pub database_url: Option<Hidden>,
    /// The ledger, where one was named.
    pub named_ledger: Option<LedgerId>,
    /// Results as JSON.
    pub json: bool,
    /// Who signs checkpoints.
    pub signing: SigningSettings,
    file: ServerOptions,
    outside: OutsideOptions,
    oidc: Vec<OidcEntry>,
    destinations: Vec<DestinationEntry>,
}

impl Settings {
    /// From flags and environment (`options`), and the file: the named one, else the data folder's where there is one.
    pub fn resolve(
        options: StoreOptions,
        signing: SigningOptions,
        config: Option<&Path>,
        json: bool,
    ) -> anyhow::Result<Self> {
        let folder = options.data.clone().unwrap_or_else(|| DEFAULT_DATA.into());
        let file = match config {
            Some(path) => FileOptions::read(path)?,
            None => match folder.join(FILE_NAME) {
                path if path.is_file() => FileOptions::read(&path)?,
                _ => FileOptions::default(),
            },
        };
        let given = std::env::var(signing::SIGNING_KEY_VARIABLE).ok();
        Self::merge(options, signing, given, file, json)
    }

    fn merge(
        options: StoreOptions,
        signing: SigningOptions,
        given_key: Option<String>,
        file: FileOptions,
        json: bool,
    ) -> anyhow::Result<Self> {
        let data = options.data.or(file.store.data).unwrap_or_else(|| DEFAULT_DATA.into());
        Ok(Self {
            signing: SigningSettings::resolve(signing, given_key, file.signing, &data)?,
            data,
            database_url: options.database_url.or(file.store.database_url).filter(|url| !url.is_empty()),
            named_ledger: options.ledger.or(file.store.ledger),
            json,
            file: file.server,
            outside: file.outside,
            oidc: file.oidc,
            destinations: file.destinations,
        })
    }

    /// Who outside is asked: from flags and environment (`options`), and the file.
    pub fn outside(&self, options: OutsideOptions) -> anyhow::Result<OutsideSettings> {
        OutsideSettings::resolve(options, self.outside.clone())
    }

    /// The ledger to work on.
    pub fn ledger(&self) -> LedgerId {
        self.named_ledger.clone().unwrap_or_else(LedgerId::main)
    }

    /// The folder with the signing keys of `ledger`.
    pub fn key_folder(&self, ledger: &LedgerId) -> PathBuf {
        self.signing.folder_of(ledger, *ledger == self.ledger())
    }

    /// What a key ring of `ledger` is opened with.
    pub fn ring_options(&self, ledger: &LedgerId, overlap_days: u32) -> KeyRingOptions {
        self.signing.ring_options(ledger, *ledger == self.ledger(), overlap_days)
    }

    /// The operator's token, where flags, environment or the file have one.
    pub fn operator_token(&self, flag: Option<String>) -> Option<String> {
        flag.or_else(|| self.file.operator_token.as_ref().map(|token| token.expose().to_owned()))
            .filter(|token| !token.is_empty())
    }
}

/// How a server runs, all told.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerSettings {
    /// Address and port.
    pub listen: String,
    /// What it does.
    pub roles: Roles,
    /// The operator's token; one is made where there is none.
    pub operator_token: Option<Hidden>,
    /// Key of opaque ids; one is made where there is none.
    pub actor_key: Option<Hidden>,
    /// Whether development headers are believed.
    pub dev_auth: bool,
    /// Amount above which a transaction opens an incident.
    pub large_transaction_threshold: Decimal,
    /// How log lines look.
    pub log: LogFormat,
    /// HTTP threads.
    pub workers: usize,
    /// Time between checkpoints; zero where they are signed on request only.
    pub checkpoint_interval: Duration,
    /// Who outside is shown the checkpoints.
    pub outside: OutsideSettings,
    /// People and their credentials.
    pub identity: IdentitySettings,
    /// Other providers to log in at, with their secrets.
    pub oidc: Vec<OidcEntry>,
    /// How mail leaves.
    pub mail: MailSettings,
    /// Browsers, proxies, limits.
    pub web: WebSettings,
    /// Files of exports, attempts and pauses.
    pub exports: ExportsSettings,
    /// Where exports can be brought.
    pub deliveries: DeliveriesSettings,
}

impl ServerSettings {
    /// From flags and environment (`options`) over the file in `settings`.
    pub fn resolve(options: ServerOptions, outside: OutsideOptions, settings: &Settings) -> anyhow::Result<Self> {
        let file = settings.file.clone();
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let identity = IdentitySettings::resolve(
            options.identity,
            hidden::from_environment(identity::MASTER_KEY_VARIABLE),
            file.identity,
            &settings.signing.origin,
        )?;
        let resolved = Self {
            listen: options.listen.or(file.listen).unwrap_or_else(|| DEFAULT_LISTEN.to_owned()),
            roles: options.roles.or(file.roles).unwrap_or_default(),
            operator_token: options.operator_token.or(file.operator_token).filter(|token| !token.is_empty()),
            actor_key: options.actor_key.or(file.actor_key).filter(|key| !key.is_empty()),
            dev_auth: options.dev_auth.or(file.dev_auth).unwrap_or(false),
            large_transaction_threshold: options
                .large_transaction_threshold
                .or(file.large_transaction_threshold)
                .unwrap_or(DEFAULT_THRESHOLD),
            log: options.log.or(file.log).unwrap_or_default(),
            workers: options.workers.or(file.workers).unwrap_or(processors),
            checkpoint_interval: Duration::from_secs(
                options
                    .checkpoint_interval_seconds
                    .or(file.checkpoint_interval_seconds)
                    .unwrap_or(DEFAULT_CHECKPOINT_INTERVAL),
            ),
            outside: settings.outside(outside)?,
            exports: ExportsSettings::resolve(
                options.exports,
                file.exports,
                &settings.data,
                identity.public_url.as_deref(),
            )?,
            deliveries: DeliveriesSettings::resolve(settings.destinations.clone(), &settings.ledger())?,
            identity,
            oidc: oidc::resolve(settings.oidc.clone(), &settings.ledger(), hidden::from_environment)?,
            mail: MailSettings::resolve(
                options.mail,
                hidden::from_environment(mail::MAIL_PASSWORD_VARIABLE),
                file.mail,
                &settings.data,
            )?,
            web: WebSettings::resolve(options.web, file.web)?,
        };
        resolved.check()?;
        Ok(resolved)
    }

    fn check(&self) -> anyhow::Result<()> {
        ensure!((1..=MAX_WORKERS).contains(&self.workers), "workers must be 1 to {MAX_WORKERS}");
        ensure!(
            !self.large_transaction_threshold.is_sign_negative(),
            "large_transaction_threshold must not be negative"
        );
        ensure!(
            self.checkpoint_interval <= Duration::from_secs(MAX_CHECKPOINT_INTERVAL),
            "checkpoint_interval_seconds must be at most {MAX_CHECKPOINT_INTERVAL}"
        );
        if let Some(token) = self.operator_token.as_ref().map(Hidden::expose) {
            ensure!(
                token.len() >= MIN_TOKEN_BYTES && token.bytes().all(|byte| byte.is_ascii_graphic()),
                "operator_token must have at least {MIN_TOKEN_BYTES} visible ASCII characters and no spaces"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn file(text: &str) -> FileOptions {
        FileOptions::parse(text).unwrap()
    }

    fn merge(options: StoreOptions, file: FileOptions) -> Settings {
        Settings::merge(options, SigningOptions::default(), None, file, false).unwrap()
    }

    fn server(options: ServerOptions, text: &str) -> anyhow::Result<ServerSettings> {
        ServerSettings::resolve(options, OutsideOptions::default(), &merge(StoreOptions::default(), file(text)))
    }

    #[test]
    fn defaults_hold_where_nothing_is_said() {
        let settings = merge(StoreOptions::default(), FileOptions::default());
        assert_eq!((settings.data.to_str(), settings.ledger().as_str()), (Some("daybook-data"), "main"));
        let server = ServerSettings::resolve(ServerOptions::default(), OutsideOptions::default(), &settings).unwrap();
        assert_eq!((server.listen.as_str(), server.dev_auth), ("127.0.0.1:8080", false));
        assert_eq!(server.large_transaction_threshold, Decimal::from(100_000));
        assert_eq!(server.checkpoint_interval, Duration::from_secs(10));
    }

    #[test]
    fn file_goes_before_defaults_and_flags_before_the_file() {
        let text = "listen = \"127.0.0.1:9000\"\nlarge_transaction_threshold = \"250.5\"\nroles = \"write,query\"";
        let from_file = server(ServerOptions::default(), text).unwrap();
        assert_eq!(from_file.listen, "127.0.0.1:9000");
        assert_eq!(from_file.large_transaction_threshold.to_string(), "250.5");
        assert!(from_file.roles.write && !from_file.roles.project);
        let options = ServerOptions { listen: Some("127.0.0.1:1".to_owned()), ..ServerOptions::default() };
        assert_eq!(server(options, text).unwrap().listen, "127.0.0.1:1");
        let options = ServerOptions { dev_auth: Some(false), ..ServerOptions::default() };
        assert!(!server(options, "dev_auth = true").unwrap().dev_auth);
        let text = "open_registration = true\nmail_transport = \"none\"\nrate_limit_per_second = 0";
        let server = server(ServerOptions::default(), text).unwrap();
        assert!(server.identity.open_registration && server.web.rate_limit.is_none());
        assert_eq!(server.mail, MailSettings::None);
    }

    #[test]
    fn store_options_follow_the_same_order() {
        let text =
            "data = \"/srv/a\"\ndatabase_url = \"postgres://file\"\nledger = \"filed\"\norigin = \"example.com\"";
        let options = StoreOptions { data: Some("/srv/b".into()), ..StoreOptions::default() };
        let settings = merge(options, file(text));
        assert_eq!(settings.data, PathBuf::from("/srv/b"));
        assert_eq!(settings.database_url.as_ref().map(Hidden::expose), Some("postgres://file"));
        assert!(!format!("{settings:?}").contains("postgres://file"), "it may hold a password");
        assert_eq!(settings.ledger().as_str(), "filed");
        assert_eq!(settings.signing.origin_of(&settings.ledger()), "example.com/filed");
        assert_eq!(settings.signing.keys, PathBuf::from("/srv/b/keys"));
    }

    #[test]
    fn misspelt_setting_and_float_threshold_are_refused() {
        assert!(FileOptions::parse("lissten = \"x\"").unwrap_err().to_string().contains("lissten"));
        assert!(FileOptions::parse("large_transaction_threshold = 0.1").is_err());
        assert!(FileOptions::parse("mail_transprt = \"none\"").is_err());
        assert!(FileOptions::parse("ledger = \"Not A Ledger\"").is_err());
    }

    #[test]
    fn short_token_and_no_workers_are_refused() {
        let short = ServerOptions { operator_token: Some("hunter2".into()), ..ServerOptions::default() };
        assert!(server(short, "").is_err());
        assert!(server(ServerOptions { workers: Some(0), ..ServerOptions::default() }, "").is_err());
    }
}
