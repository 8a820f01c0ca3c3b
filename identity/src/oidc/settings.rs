//! What the installation says of a provider, checked once.

use std::net::IpAddr;

use daybook_domain::names::RoleName;
use daybook_domain::text::ShortName;
use daybook_ledger::LedgerId;
use reqwest::Url;

use crate::secret::Secret;

/// Longest name of a provider: it stands in paths and in events.
const MAX_NAME_BYTES: usize = 32;
/// Most scopes and domains.
const MAX_LISTED: usize = 32;
const DEFAULT_SCOPES: &[&str] = &["openid", "email", "profile"];

/// Why a provider cannot be used as it is configured.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OidcSettingsError {
    /// Two have one name.
    #[error("there are two OIDC providers named {0:?}")]
    Twice(String),
    /// One value cannot be accepted.
    #[error("OIDC provider {name:?}: {field} {detail}")]
    Invalid {
        /// The provider.
        name: String,
        /// The setting.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

/// A provider as it is written down.
#[derive(Debug, Clone, Default)]
pub struct RawOidcSettings {
    /// What it is called here: `[a-z][a-z0-9-]{0,31}`.
    pub name: String,
    /// Its issuer, as it names itself. https, or http on loopback.
    pub issuer: String,
    /// What this installation is called there.
    pub client_id: String,
    /// The secret that goes with it; none for a public client.
    pub client_secret: Option<Secret>,
    /// What is asked for; `openid email profile` where it is not said.
    pub scopes: Option<Vec<String>>,
    /// The organisation that its people come into; `main` where it is not said.
    pub organization: Option<String>,
    /// The role of people whom nobody knows here; without one they stay out.
    pub role_on_first_login: Option<String>,
    /// Domains of the addresses that may come in; all where there are none.
    pub allowed_domains: Vec<String>,
}

/// A provider that can be used.
#[derive(Debug, Clone)]
pub struct OidcSettings {
    /// What it is called here.
    pub name: ShortName,
    /// Its issuer, character for character.
    pub issuer: String,
    /// What this installation is called there.
    pub client_id: String,
    /// The secret that goes with it.
    pub client_secret: Option<Secret>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The organisation that its people come into.
    pub organization: LedgerId,
    /// The role of people whom nobody knows here.
    pub role_on_first_login: Option<RoleName>,
    /// Domains of the addresses that may come in, in lower case; all where there are none.
    pub allowed_domains: Vec<String>,
}

impl OidcSettings {
    /// Checks everything.
    pub fn parse(raw: RawOidcSettings) -> Result<Self, OidcSettingsError> {
        let invalid = |field, detail: String| OidcSettingsError::Invalid { name: raw.name.clone(), field, detail };
        let is_name = raw.name.len() <= MAX_NAME_BYTES
            && raw.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && raw.name.starts_with(|first: char| first.is_ascii_lowercase());
        if !is_name {
            return Err(invalid("name", "must match [a-z][a-z0-9-]{0,31}".to_owned()));
        }
        let name =
            ShortName::parse("/name", raw.name.as_str()).map_err(|fault| invalid("name", fault.detail.to_string()))?;
        check_issuer(&raw.issuer).map_err(|detail| invalid("issuer", detail.to_owned()))?;
        let is_word = |text: &str| (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_word(&raw.client_id) {
            return Err(invalid("client_id", "must be 1 to 255 visible ASCII characters".to_owned()));
        }
        let scopes = match &raw.scopes {
            Some(scopes) if scopes.len() > MAX_LISTED || !scopes.iter().all(|scope| is_word(scope)) => {
                return Err(invalid("scopes", format!("must be at most {MAX_LISTED} words")));
            }
            Some(scopes) => scopes.clone(),
            None => DEFAULT_SCOPES.iter().map(|scope| (*scope).to_owned()).collect(),
        };
        let organization = match &raw.organization {
            None => LedgerId::main(),
            Some(id) => id.parse().map_err(|_| invalid("organization", "must match [a-z0-9-]{1,63}".to_owned()))?,
        };
        let role_on_first_login = match &raw.role_on_first_login {
            None => None,
            Some(text) => Some(first_role(text).map_err(|detail| invalid("role_on_first_login", detail))?),
        };
        let is_domain = |domain: &String| is_word(domain) && !domain.contains('@') && !domain.starts_with('.');
        if raw.allowed_domains.len() > MAX_LISTED || !raw.allowed_domains.iter().all(is_domain) {
            return Err(invalid(
                "allowed_domains",
                format!("must be at most {MAX_LISTED} domains such as example.com"),
            ));
        }
        Ok(Self {
            name,
            issuer: raw.issuer,
            client_id: raw.client_id,
            client_secret: raw.client_secret,
            scopes,
            organization,
            role_on_first_login,
            allowed_domains: raw.allowed_domains.iter().map(|domain| domain.to_ascii_lowercase()).collect(),
        })
    }

    /// Whether somebody of this address may come in at all.
    pub fn allows(&self, email: &str) -> bool {
        let domain = email.rsplit_once('@').map(|(_, domain)| domain.trim().to_ascii_lowercase());
        self.allowed_domains.is_empty() || domain.is_some_and(|domain| self.allowed_domains.contains(&domain))
    }
}

/// Nobody becomes more than a worker by coming in: what is above is given by those who have it.
fn first_role(text: &str) -> Result<RoleName, String> {
    let role = RoleName::parse("/role", text).map_err(|fault| fault.detail.to_string())?;
    if role.is_owner() || role.is_operator() || role.as_str() == "admin" {
        return Err(format!("cannot be {role}: give it to people one by one"));
    }
    if role.is_auditor() {
        return Err("cannot be auditor: that role needs an end".to_owned());
    }
    Ok(role)
}

fn check_issuer(text: &str) -> Result<(), &'static str> {
    let url: Url = text.parse().map_err(|_| "is not a URL")?;
    if !is_acceptable(&url, is_loopback(&url)) {
        return Err("must begin with https:// (http:// on loopback only)");
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("must have no user, parameters or fragment");
    }
    Ok(())
}

/// Whether a provider may be asked at `url`: https, or anything on loopback where the issuer itself is there.
pub(super) fn is_acceptable(url: &Url, issuer_is_loopback: bool) -> bool {
    match url.scheme() {
        "https" => url.has_host(),
        "http" => issuer_is_loopback && is_loopback(url),
        _ => false,
    }
}

/// Whether the host is this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn raw() -> RawOidcSettings {
        RawOidcSettings {
            name: "corporate".to_owned(),
            issuer: "https://login.example.com/tenant".to_owned(),
            client_id: "daybook".to_owned(),
            ..RawOidcSettings::default()
        }
    }

    #[test]
    fn defaults_hold_where_nothing_is_said() {
        let settings = OidcSettings::parse(raw()).unwrap();
        assert_eq!(settings.scopes, ["openid", "email", "profile"]);
        assert_eq!(settings.organization, LedgerId::main());
        assert!(settings.role_on_first_login.is_none() && settings.allows("anybody@anywhere.example"));
    }

    #[test]
    fn issuers_are_https_or_on_loopback() {
        for issuer in ["https://a.example", "http://127.0.0.1:9000", "http://localhost:9000/x", "http://[::1]:9000"] {
            OidcSettings::parse(RawOidcSettings { issuer: issuer.to_owned(), ..raw() }).unwrap();
        }
        for issuer in [
            "http://a.example",
            "http://169.254.169.254/latest",
            "http://localhost.a.example",
            "file:///etc/passwd",
            "https://user@a.example",
            "https://a.example?x",
            "a.example",
        ] {
            let refused = OidcSettings::parse(RawOidcSettings { issuer: issuer.to_owned(), ..raw() });
            assert!(matches!(refused, Err(OidcSettingsError::Invalid { field: "issuer", .. })), "{issuer}");
        }
    }

    #[test]
    fn endpoints_are_https_unless_issuer_and_endpoint_are_this_machine() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        assert!(is_acceptable(&url("https://keys.example/"), false));
        assert!(is_acceptable(&url("http://127.0.0.1:1/"), true));
        assert!(!is_acceptable(&url("http://127.0.0.1:1/"), false));
        assert!(!is_acceptable(&url("http://10.0.0.1/"), true));
        assert!(!is_acceptable(&url("ftp://a.example/"), true));
    }

    #[test]
    fn nobody_becomes_an_administrator_by_coming_in() {
        for role in ["owner", "admin", "operator", "auditor", "Not A Role"] {
            let refused = OidcSettings::parse(RawOidcSettings { role_on_first_login: Some(role.to_owned()), ..raw() });
            assert!(matches!(refused, Err(OidcSettingsError::Invalid { field: "role_on_first_login", .. })), "{role}");
        }
        let settings =
            OidcSettings::parse(RawOidcSettings { role_on_first_login: Some("analyst".to_owned()), ..raw() }).unwrap();
        assert_eq!(settings.role_on_first_login.unwrap().as_str(), "analyst");
    }

    #[test]
    fn domains_are_compared_whole_and_without_case() {
        let settings =
            OidcSettings::parse(RawOidcSettings { allowed_domains: vec!["Example.com".to_owned()], ..raw() }).unwrap();
        assert!(settings.allows("ann@EXAMPLE.com"));
        for stranger in ["ann@sub.example.com", "ann@notexample.com", "ann@example.com@evil.example", "example.com"] {
            assert!(!settings.allows(stranger), "{stranger}");
        }
    }

    #[test]
    fn names_are_fit_for_paths() {
        for name in ["", "Corporate", "a/b", "1a", "a.b", "ä"] {
            assert!(OidcSettings::parse(RawOidcSettings { name: name.to_owned(), ..raw() }).is_err(), "{name}");
        }
        assert!(OidcSettings::parse(RawOidcSettings { name: "a".repeat(33), ..raw() }).is_err());
    }
}
