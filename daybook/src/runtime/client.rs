//! Talking to a running server, with the operator's token.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use daybook_ledger::LedgerId;
use reqwest::{Method, RequestBuilder, Response, Url};
use serde_json::Value;

use crate::runtime::{discovery, token};
use crate::settings::Settings;
use crate::settings::hidden::Hidden;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest silence within an answer.
const SILENCE: Duration = Duration::from_secs(60);

/// A client of one server. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<Hidden>,
    organization: Option<LedgerId>,
}

impl Client {
    /// A client of the server at `base`.
    pub fn new(base: &str, token: Option<String>) -> anyhow::Result<Self> {
        let base = base.trim_end_matches('/');
        if !base.starts_with("http://") && !base.starts_with("https://") {
            bail!("{base:?} is not an http:// or https:// URL");
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .no_proxy()
            .build()
            .context("the HTTP client cannot be made")?;
        Ok(Self { http, base: base.to_owned(), token: token.map(Hidden::from), organization: None })
    }

    /// The server named by `url`, else the one that runs on the data folder, else `None`. Acts in the organisation of the
    /// named ledger, else of the one that the server itself names.
    ///
    /// A token that is given (`flag`) goes to whichever server that is. The one that is kept in the data folder, or in the
    /// configuration file, goes to the data folder's own server alone: `url` may be anybody's.
    pub async fn find(settings: &Settings, url: Option<&str>, flag: Option<String>) -> anyhow::Result<Option<Self>> {
        let server = discovery::find(&settings.data).await;
        let given = flag.filter(|token| !token.is_empty());
        if let Some(url) = url {
            let is_own = server.as_ref().is_some_and(|server| is_same_server(url, &server.url));
            let token = given.or_else(|| if is_own { kept_token(settings) } else { None });
            return Ok(Some(Self::new(url, token)?.in_organization(settings.named_ledger.clone())));
        }
        let Some(server) = server else { return Ok(None) };
        let token = given.or_else(|| kept_token(settings));
        let organization = settings.named_ledger.clone().or_else(|| server.ledger_id.parse().ok());
        Ok(Some(Self::new(&server.url, token)?.in_organization(organization)))
    }

    /// The same with another token.
    #[must_use]
    pub fn with_token(mut self, token: Hidden) -> Self {
        self.token = Some(token);
        self
    }

    /// The same, acting in this organisation; in the token's own, or the server's default, where it is `None`.
    #[must_use]
    pub fn in_organization(mut self, organization: Option<LedgerId>) -> Self {
        self.organization = organization;
        self
    }

    /// The organisation in which this acts, where it names one.
    pub fn organization(&self) -> Option<&LedgerId> {
        self.organization.as_ref()
    }

    /// The server's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request to `path`, authenticated.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(organization) = &self.organization {
            request = request.header("x-organization-id", organization.as_str());
        }
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    /// Sends; anything but a success is an error in the server's own words.
    pub async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let answer = request.send().await.with_context(|| format!("cannot reach the server at {}", self.base))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        let detail = body.get("detail").and_then(Value::as_str).unwrap_or("no explanation");
        let hint = match (status.as_u16(), &self.token) {
            (401, None) => {
                " (no token was sent: the one in a data folder goes to the server that runs on that folder alone. Give one \
                 with --token or DAYBOOK_TOKEN where the command takes it, else with DAYBOOK_OPERATOR_TOKEN, or point --data \
                 at the server's data folder)"
            }
            (401, Some(_)) => " (set DAYBOOK_OPERATOR_TOKEN, or point --data at the server's data folder)",
            _ => "",
        };
        Err(anyhow!("the server at {} answered {status}: {detail}{hint}", self.base))
    }

    /// GET of JSON.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.send(self.request(Method::GET, path)).await?;
        answer.json().await.with_context(|| format!("the answer of the server at {} is not JSON", self.base))
    }
}

/// The operator's token as it is kept: in the configuration file, else in the data folder.
fn kept_token(settings: &Settings) -> Option<String> {
    settings.operator_token(None).or_else(|| token::read_token(&settings.data))
}

/// Whether `url` is where the server says that it answers. This machine has several names.
fn is_same_server(url: &str, own: &str) -> bool {
    let (Ok(url), Ok(own)) = (url.parse::<Url>(), own.parse::<Url>()) else { return false };
    let is_loopback = |host: &str| {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    let (Some(named), Some(host)) = (url.host_str(), own.host_str()) else { return false };
    url.scheme() == own.scheme()
        && url.port_or_known_default() == own.port_or_known_default()
        && (named == host || is_loopback(named) && is_loopback(host))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use std::path::Path;

    use super::*;
    use crate::runtime::discovery::{Announcement, ServerDescription};
    use crate::settings::{SigningOptions, StoreOptions};

    fn settings(data: &Path) -> Settings {
        let store = StoreOptions { data: Some(data.to_owned()), ..StoreOptions::default() };
        Settings::resolve(store, SigningOptions::default(), None, false).unwrap()
    }

    #[test]
    fn own_server_is_known_by_any_name_of_this_machine_and_no_other_is() {
        let own = "http://127.0.0.1:8080";
        for same in ["http://127.0.0.1:8080/", "http://localhost:8080", "http://[::1]:8080"] {
            assert!(is_same_server(same, own), "{same}");
        }
        for other in [
            "http://127.0.0.1:8081",
            "https://127.0.0.1:8080",
            "http://127.0.0.1:8080.example.com",
            "http://127.0.0.1@example.com:8080",
            "http://localhost.example.com:8080",
            "http://loopback:8080",
            "127.0.0.1:8080",
        ] {
            assert!(!is_same_server(other, own), "{other}");
        }
    }

    #[tokio::test]
    async fn token_of_the_data_folder_goes_to_its_own_server_alone() {
        let folder = tempfile::tempdir().unwrap();
        let kept = token::ensure_token(folder.path()).unwrap();
        let settings = settings(folder.path());
        // Something that says it lives, as a server does.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answering = tokio::spawn(async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4_096]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
            }
        });
        let description = ServerDescription {
            url: url.clone(),
            pid: std::process::id(),
            started_at: "2026-11-21T10:00:00.000000Z".to_owned(),
            roles: vec!["write".to_owned()],
            ledger_id: "main".to_owned(),
            version: "0.1.0".to_owned(),
        };
        let announcement = Announcement::publish(folder.path(), &description).unwrap();
        let token_for = async |url: Option<&str>, flag: Option<&str>| {
            let found = Client::find(&settings, url, flag.map(str::to_owned)).await.unwrap();
            found.and_then(|client| client.token.map(|token| token.expose().to_owned()))
        };
        assert_eq!(token_for(None, None).await, Some(kept.clone()));
        assert_eq!(token_for(Some(&url), None).await, Some(kept));
        assert_eq!(token_for(Some("http://192.0.2.1:8080"), None).await, None);
        assert_eq!(token_for(Some("http://192.0.2.1:8080"), Some("given")).await.as_deref(), Some("given"));
        answering.abort();
        drop(announcement);
        assert_eq!(token_for(Some(&url), None).await, None, "nobody says that it is this folder's server");
    }
}
