//! A client of one server.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::secrets;

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body; text that is not UTF-8 has replacement characters.
    pub body: String,
}

impl Answer {
    /// Panics with the body unless the status is `status`.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{} not JSON: {error}\n{}", self.status, self.body))
    }

    /// A header as text, empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Panics unless this is a problem document of RFC 9457 with status `status`; answers its code.
    #[track_caller]
    pub fn expect_problem(&self, status: u16) -> String {
        let what = format!("{} {:?} {:.500}", self.status, self.headers, self.body);
        assert_eq!(self.status, status, "{what}");
        assert!(self.header("content-type").starts_with("application/problem+json"), "{what}");
        let problem = self.json();
        assert_eq!(problem["status"], u64::from(status), "{what}");
        for member in ["type", "title", "detail", "code"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member} is missing: {what}");
        }
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{what}");
        problem["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Panics unless this is a problem document with one of these statuses.
    #[track_caller]
    pub fn expect_problem_of(&self, statuses: &[u16]) -> String {
        assert!(statuses.contains(&self.status), "{} is none of {statuses:?}: {:.500}", self.status, self.body);
        self.expect_problem(self.status)
    }

    /// `receipt` as (position, hash).
    #[track_caller]
    pub fn receipt(&self) -> (u64, String) {
        receipt(&self.json())
    }
}

/// The `receipt` of an answer's body as (position, hash).
#[track_caller]
pub fn receipt(body: &Value) -> (u64, String) {
    let receipt = &body["receipt"];
    let position = receipt["position"].as_u64().unwrap_or_else(|| panic!("no receipt in {body}"));
    (position, receipt["hash"].as_str().unwrap_or_else(|| panic!("no hash in {body}")).to_owned())
}

/// Sends requests to one server.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    organization: Option<String>,
}

impl Client {
    /// A client of the server at `base`; with a bearer token where given.
    pub fn new(base: &str, token: Option<&str>) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("a client");
        Self { http, base: base.to_owned(), token: token.map(str::to_owned), organization: None }
    }

    /// The same, naming an organisation.
    #[must_use]
    pub fn in_organization(&self, organization: &str) -> Self {
        Self { organization: Some(organization.to_owned()), ..self.clone() }
    }

    /// A request to `path` with the client's credentials.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(organization) = &self.organization {
            request = request.header("x-organization-id", organization);
        }
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends, and reads the answer to its end. An error where there was no whole answer.
    pub async fn try_send(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = String::from_utf8_lossy(&response.bytes().await?).into_owned();
        if let Some(what) = secrets::found_in(body.as_bytes()).filter(|_| status >= 400) {
            panic!("{what} is in an error: {status} {body:.2000}");
        }
        Ok(Answer { status, headers, body })
    }

    /// Sends; panics where there was no whole answer.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.expect("the server answers")
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    /// GET that waits until the read model has seen `position`.
    pub async fn get_at_least(&self, path: &str, position: u64) -> Answer {
        self.send(self.request("GET", path).header("daybook-at-least", position)).await
    }

    /// POST of a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request("POST", path).json(body)).await
    }

    /// POST of a JSON body with an idempotency key.
    pub async fn post_with_key(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.send(self.request("POST", path).header("idempotency-key", key).json(body)).await
    }

    /// Number of entries in the ledger `main`.
    pub async fn ledger_size(&self) -> u64 {
        let head = self.get("/v1/ledgers/main/head").await.expect(200).json();
        head["size"].as_u64().expect("a size")
    }

    /// All entries of the ledger `main`, in position order, page by page.
    pub async fn entries(&self) -> Vec<Value> {
        let mut entries: Vec<Value> = Vec::new();
        loop {
            let path = format!("/v1/ledgers/main/entries?from={}&limit=50000", entries.len());
            let page = self.get(&path).await.expect(200);
            let before = entries.len();
            entries.extend(page.body.lines().map(|line| serde_json::from_str::<Value>(line).expect("an entry a line")));
            if entries.len() == before {
                return entries;
            }
        }
    }

    /// The value of a metric of the ledger `main` or without labels, or with exactly the labels written in `name`; 0 where it
    /// is not there.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.expect(200).body;
        let of_main = match name.split_once('{') {
            Some((name, labels)) => format!("{name}{{ledger=\"main\",{labels}"),
            None => format!("{name}{{ledger=\"main\"}}"),
        };
        let value = |line: &str| {
            let rest = line.strip_prefix(&of_main).or_else(|| line.strip_prefix(name))?;
            rest.strip_prefix(' ')?.trim().parse().ok()
        };
        text.lines().find_map(value).unwrap_or(0.0)
    }
}
