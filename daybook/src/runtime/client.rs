//! Talking to a running server, with the operator's token.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use daybook_ledger::LedgerId;
use reqwest::{Method, RequestBuilder, Response};
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
    pub async fn find(settings: &Settings, url: Option<&str>, flag: Option<String>) -> anyhow::Result<Option<Self>> {
        let token = settings.operator_token(flag).or_else(|| token::read_token(&settings.data));
        if let Some(url) = url {
            return Ok(Some(Self::new(url, token)?.in_organization(settings.named_ledger.clone())));
        }
        let Some(server) = discovery::find(&settings.data).await else { return Ok(None) };
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
        let hint = if status.as_u16() == 401 {
            " (set DAYBOOK_OPERATOR_TOKEN, or point --data at the server's data folder)"
        } else {
            ""
        };
        Err(anyhow!("the server at {} answered {status}: {detail}{hint}", self.base))
    }

    /// GET of JSON.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.send(self.request(Method::GET, path)).await?;
        answer.json().await.with_context(|| format!("the answer of the server at {} is not JSON", self.base))
    }
}
