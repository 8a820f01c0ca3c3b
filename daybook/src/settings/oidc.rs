//! Other providers that people may log in at (OpenID Connect): one table `[[oidc]]` each, in the file.

use anyhow::ensure;
use daybook_identity::oidc::{OidcSettings, Providers, RawOidcSettings};
use daybook_identity::secret::Secret;
use daybook_ledger::LedgerId;
use serde::Deserialize;

use super::hidden::Hidden;

/// Most providers of an installation.
const MAX_PROVIDERS: usize = 64;

/// One provider, as the file has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcEntry {
    /// What it is called here: `[a-z][a-z0-9-]{0,31}`.
    pub name: String,
    /// Its issuer: https, or http on this machine.
    pub issuer: String,
    /// What this installation is called there.
    pub client_id: String,
    /// The secret that goes with it; better in the environment.
    pub client_secret: Option<Hidden>,
    /// What is asked for; `openid email profile` where it is not said.
    pub scopes: Option<Vec<String>>,
    /// The organisation that its people come into; the server's ledger where it is not said.
    pub organization: Option<String>,
    /// The role of people whom nobody knows here; without one only those come in who are here or were invited.
    pub role_on_first_login: Option<String>,
    /// Domains of the addresses that may come in; all where there are none.
    #[serde(default)]
    pub allowed_domains: Vec<String>,
}

/// The environment variable with the secret of the provider `name`.
fn secret_variable(name: &str) -> String {
    format!("DAYBOOK_OIDC_{}_SECRET", name.to_ascii_uppercase().replace('-', "_"))
}

/// The providers with their secrets: from the environment (`variable`), else from the file; and with their organisations:
/// the server's `ledger` where the file names none. Everything is checked here, so
/// that a mistake shows at the start and not at the first login.
pub fn resolve(
    entries: Vec<OidcEntry>,
    ledger: &LedgerId,
    variable: impl Fn(&str) -> Option<Hidden>,
) -> anyhow::Result<Vec<OidcEntry>> {
    ensure!(entries.len() <= MAX_PROVIDERS, "there may be at most {MAX_PROVIDERS} tables [[oidc]]");
    let entries: Vec<OidcEntry> = entries
        .into_iter()
        .map(|entry| {
            let secret = variable(&secret_variable(&entry.name)).or(entry.client_secret);
            let organization = entry.organization.or_else(|| Some(ledger.to_string()));
            OidcEntry { client_secret: secret.filter(|secret| !secret.is_empty()), organization, ..entry }
        })
        .collect();
    providers(&entries)?;
    Ok(entries)
}

/// What is asked at logins. Nobody is asked anything yet.
pub fn providers(entries: &[OidcEntry]) -> anyhow::Result<Providers> {
    let parsed = entries.iter().map(|entry| {
        OidcSettings::parse(RawOidcSettings {
            name: entry.name.clone(),
            issuer: entry.issuer.clone(),
            client_id: entry.client_id.clone(),
            client_secret: entry.client_secret.as_ref().map(|secret| Secret::new(secret.expose())),
            scopes: entry.scopes.clone(),
            organization: entry.organization.clone(),
            role_on_first_login: entry.role_on_first_login.clone(),
            allowed_domains: entry.allowed_domains.clone(),
        })
    });
    Ok(Providers::new(parsed.collect::<Result<Vec<_>, _>>()?)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[derive(Deserialize)]
    struct File {
        oidc: Vec<OidcEntry>,
    }

    fn entries(text: &str) -> Vec<OidcEntry> {
        toml::from_str::<File>(text).unwrap().oidc
    }

    const TWO: &str = "[[oidc]]\nname = \"corp-a\"\nissuer = \"https://a.example\"\nclient_id = \"daybook\"\n\
                       client_secret = \"filed\"\n\
                       [[oidc]]\nname = \"b\"\nissuer = \"https://b.example\"\nclient_id = \"daybook\"\n\
                       organization = \"acme\"\nrole_on_first_login = \"analyst\"\nallowed_domains = [\"example.com\"]\n";

    #[test]
    fn secrets_of_the_environment_go_before_those_of_the_file() {
        let variable = |name: &str| (name == "DAYBOOK_OIDC_CORP_A_SECRET").then(|| Hidden::from("given"));
        let resolved = resolve(entries(TWO), &"desk".parse().unwrap(), variable).unwrap();
        assert_eq!(resolved[0].client_secret, Some("given".into()));
        assert_eq!(resolved[1].client_secret, None);
        assert!(!format!("{resolved:?}").contains("given"));
        let providers = providers(&resolved).unwrap();
        assert_eq!(providers.of(&"acme".parse().unwrap()).map(|provider| provider.name()).collect::<Vec<_>>(), ["b"]);
        let providers = self::providers(&resolved).unwrap();
        let desk = "desk".parse().unwrap();
        let of_desk = providers.of(&desk).map(|provider| provider.name().to_owned());
        assert_eq!(of_desk.collect::<Vec<_>>(), ["corp-a"], "who names no organisation is of the server's ledger");
    }

    #[test]
    fn tables_stand_in_the_file_beside_the_other_settings() {
        let options = super::super::FileOptions::parse(&format!("open_registration = true\n{TWO}")).unwrap();
        assert_eq!(options.oidc, entries(TWO));
        assert!(options.server.identity.open_registration.is_some_and(|open| open));
    }

    #[test]
    fn mistakes_show_at_the_start() {
        let none = |_: &str| None;
        let main = LedgerId::main();
        assert!(resolve(entries(TWO), &main, none).is_ok());
        for (right, wrong) in [
            ("https://a.example", "http://a.example"),
            ("\"b\"", "\"corp-a\""),
            ("\"b\"", "\"B\""),
            ("analyst", "owner"),
            ("acme", "Not An Id"),
        ] {
            assert!(resolve(entries(&TWO.replace(right, wrong)), &main, none).is_err(), "{wrong}");
        }
        assert!(toml::from_str::<File>(&TWO.replace("client_secret", "client_secrte")).is_err());
    }
}
