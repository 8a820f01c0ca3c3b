//! How people and programs prove who they are: addresses, sessions, tokens, passwords, organisations.

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{ArgAction, Args};
use reqwest::Url;
use serde::Deserialize;

use super::hidden::Hidden;

/// The environment variable with the master key of the vault, 64 hexadecimal digits.
pub const MASTER_KEY_VARIABLE: &str = "DAYBOOK_MASTER_KEY";
/// Hours a session lasts unless said otherwise: a week.
const DEFAULT_SESSION_HOURS: u32 = 168;
/// Most hours a session lasts: a year.
const MAX_SESSION_HOURS: u32 = 8_784;
/// Memory and passes of a password's hash unless said otherwise (OWASP's choice for Argon2id).
const DEFAULT_PASSWORD_MEMORY_KIB: u32 = 19_456;
const DEFAULT_PASSWORD_PASSES: u32 = 2;
/// Bounds of both: below, hashes are too cheap to attack; above, logging in takes the machine's memory.
const PASSWORD_MEMORY_KIB: std::ops::RangeInclusive<u32> = 8_192..=1_048_576;
const PASSWORD_PASSES: std::ops::RangeInclusive<u32> = 1..=16;
/// Organisations one process opens unless said otherwise.
const DEFAULT_MAX_ORGANIZATIONS: u32 = 256;
/// Most that may be said: each has tasks of its own in every process.
const MOST_ORGANIZATIONS: u32 = 4_096;

/// Flags and file entries. `serve` and `demo` take these.
#[derive(Debug, Clone, Default, PartialEq, Args, Deserialize)]
#[serde(default)]
pub struct IdentityOptions {
    /// Where people reach this installation: links in mails and one-time links begin with it [default: the server's URL]
    #[arg(long, value_name = "URL", env = "DAYBOOK_PUBLIC_URL", help_heading = "People")]
    pub public_url: Option<String>,
    /// What access tokens are issued as; the same for all processes of an installation [default: the origin]
    #[arg(long, value_name = "NAME", env = "DAYBOOK_TOKEN_ISSUER", help_heading = "People")]
    pub token_issuer: Option<String>,
    /// Let anybody register, as a viewer [default: false]
    #[arg(
        long,
        env = "DAYBOOK_OPEN_REGISTRATION",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        help_heading = "People"
    )]
    pub open_registration: Option<bool>,
    /// Id of the person who answers for the operator's token: what it asks for, that person does not decide
    #[arg(long, value_name = "ID", env = "DAYBOOK_OPERATOR_PERSON", help_heading = "People")]
    pub operator_person: Option<String>,
    /// Hours after which a session ends, however it is used [default: 168]
    #[arg(long, value_name = "HOURS", env = "DAYBOOK_SESSION_HOURS", help_heading = "People")]
    pub session_hours: Option<u32>,
    /// Memory of one password hash (Argon2id) in KiB [default: 19456]
    #[arg(long, value_name = "KIB", env = "DAYBOOK_PASSWORD_MEMORY", help_heading = "People")]
    pub password_memory_kib: Option<u32>,
    /// Passes over that memory [default: 2]
    #[arg(long, value_name = "N", env = "DAYBOOK_PASSWORD_PASSES", help_heading = "People")]
    pub password_passes: Option<u32>,
    /// Most organisations that this process opens [default: 256]
    #[arg(long, value_name = "N", env = "DAYBOOK_MAX_ORGANIZATIONS", help_heading = "People")]
    pub max_organizations: Option<u32>,
}

/// All told.
#[derive(Debug, Clone, PartialEq)]
pub struct IdentitySettings {
    /// Beginning of links, without a slash at the end; the server's own address where none is given.
    pub public_url: Option<String>,
    /// `iss` of access tokens.
    pub token_issuer: String,
    /// The vault's master key, 64 hexadecimal digits; without it a file in the data folder.
    pub master_key: Option<Hidden>,
    /// Whether anybody may register.
    pub open_registration: bool,
    /// Who answers for the operator's token, by id.
    pub operator_person: Option<String>,
    /// How long a session lasts.
    pub session: Duration,
    /// Memory of one password hash, KiB.
    pub password_memory_kib: u32,
    /// Passes over it.
    pub password_passes: u32,
    /// Organisations of this process.
    pub max_organizations: usize,
}

impl IdentitySettings {
    /// From flags and environment (`options`), the master key in the environment, and the file. `origin` is what checkpoints
    /// are signed as: a name that all processes of an installation share.
    pub(super) fn resolve(
        options: IdentityOptions,
        master_key: Option<Hidden>,
        file: IdentityOptions,
        origin: &str,
    ) -> anyhow::Result<Self> {
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let public_url = given(options.public_url.or(file.public_url)).map(|url| checked_url(&url)).transpose()?;
        let token_issuer =
            given(options.token_issuer.or(file.token_issuer)).unwrap_or_else(|| origin.to_owned()).trim().to_owned();
        ensure!(
            token_issuer.len() <= 255 && token_issuer.bytes().all(|byte| byte.is_ascii_graphic()),
            "token_issuer must be a name or URL of visible ASCII characters"
        );
        let operator_person = given(options.operator_person.or(file.operator_person));
        ensure!(
            operator_person.as_deref().is_none_or(|id| id.starts_with("usr_")),
            "operator_person must be a person's id, usr_…"
        );
        let session_hours = options.session_hours.or(file.session_hours).unwrap_or(DEFAULT_SESSION_HOURS);
        ensure!((1..=MAX_SESSION_HOURS).contains(&session_hours), "session_hours must be 1 to {MAX_SESSION_HOURS}");
        let memory = options.password_memory_kib.or(file.password_memory_kib).unwrap_or(DEFAULT_PASSWORD_MEMORY_KIB);
        let passes = options.password_passes.or(file.password_passes).unwrap_or(DEFAULT_PASSWORD_PASSES);
        for (name, value, bounds) in
            [("password_memory_kib", memory, PASSWORD_MEMORY_KIB), ("password_passes", passes, PASSWORD_PASSES)]
        {
            ensure!(bounds.contains(&value), "{name} must be {} to {}", bounds.start(), bounds.end());
        }
        let organizations = options.max_organizations.or(file.max_organizations).unwrap_or(DEFAULT_MAX_ORGANIZATIONS);
        ensure!(
            (1..=MOST_ORGANIZATIONS).contains(&organizations),
            "max_organizations must be 1 to {MOST_ORGANIZATIONS}"
        );
        Ok(Self {
            public_url,
            token_issuer,
            master_key,
            open_registration: options.open_registration.or(file.open_registration).unwrap_or(false),
            operator_person,
            session: Duration::from_secs(u64::from(session_hours) * 3_600),
            password_memory_kib: memory,
            password_passes: passes,
            max_organizations: usize::try_from(organizations).unwrap_or(1),
        })
    }
}

/// An address that links can begin with: scheme and host, perhaps a port.
fn checked_url(text: &str) -> anyhow::Result<String> {
    let text = text.trim().trim_end_matches('/');
    let url: Url = text.parse().with_context(|| format!("public_url {text:?} is not a URL"))?;
    ensure!(matches!(url.scheme(), "http" | "https"), "public_url must begin with https:// or http://");
    ensure!(
        url.has_host() && url.username().is_empty() && url.password().is_none(),
        "public_url must name a host and nobody"
    );
    ensure!(
        url.path() == "/",
        "public_url must have no path, as in https://daybook.example.com: the pages ask for /pages and /v1 at the root of \
         their host, so give Daybook a host name of its own"
    );
    ensure!(url.query().is_none() && url.fragment().is_none(), "public_url must have no parameters");
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn resolve(text: &str) -> anyhow::Result<IdentitySettings> {
        IdentitySettings::resolve(IdentityOptions::default(), None, toml::from_str(text)?, "daybook.local")
    }

    #[test]
    fn defaults_hold_where_nothing_is_said() {
        let settings = resolve("").unwrap();
        assert!(!settings.open_registration && settings.public_url.is_none() && settings.master_key.is_none());
        assert_eq!(settings.token_issuer, "daybook.local");
        assert_eq!(settings.session, Duration::from_secs(7 * 86_400));
        assert_eq!((settings.password_memory_kib, settings.max_organizations), (19_456, 256));
    }

    #[test]
    fn flags_go_before_the_file() {
        let options = IdentityOptions { session_hours: Some(1), ..IdentityOptions::default() };
        let file = toml::from_str("session_hours = 2\npublic_url = \"https://daybook.example/\"").unwrap();
        let settings = IdentitySettings::resolve(options, Some("00".into()), file, "o").unwrap();
        assert_eq!(settings.session, Duration::from_secs(3_600));
        assert_eq!(settings.public_url.as_deref(), Some("https://daybook.example"));
        assert!(!format!("{settings:?}").contains("\"00\""));
    }

    #[test]
    fn values_that_would_weaken_are_refused() {
        for text in [
            "session_hours = 0",
            "password_memory_kib = 1024",
            "password_passes = 0",
            "max_organizations = 0",
            "public_url = \"daybook.example\"",
            "public_url = \"ftp://daybook.example\"",
            "public_url = \"https://user:pass@daybook.example\"",
            "public_url = \"https://daybook.example/?a=b\"",
            "public_url = \"https://example.com/daybook\"",
            "public_url = \"https://example.com/daybook/\"",
            "token_issuer = \"two words\"",
        ] {
            assert!(resolve(text).is_err(), "{text}");
        }
    }
}
