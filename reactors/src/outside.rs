//! Speaking to servers of others: one request, one answer, bounded in time and size. No redirects: who is asked is what was
//! configured.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

/// Longest time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A request to a server outside that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutsideError {
    /// An address that cannot be asked.
    #[error("{0:?} is not a URL that begins with http:// or https://")]
    Url(String),
    /// The server cannot be reached, or the connection broke.
    #[error("{0}")]
    Unreachable(String),
    /// The answer is longer than such answers are.
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub status: u16,
    /// Without parameters, in lower case; empty where there is none.
    pub content_type: String,
    pub body: Vec<u8>,
}

/// A client for one purpose.
#[derive(Debug, Clone)]
pub(crate) struct Outside {
    client: Client,
    most_bytes: usize,
}

impl Outside {
    /// Answers may take `timeout` in all and have `most_bytes`.
    pub fn new(timeout: Duration, most_bytes: usize) -> Result<Self, OutsideError> {
        let client = Client::builder()
            .timeout(timeout)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::none())
            .user_agent(concat!("daybook/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| OutsideError::Unreachable(causes(&error)))?;
        Ok(Self { client, most_bytes })
    }

    /// Posts a body. Any status is an answer.
    pub async fn post(&self, url: &Url, content_type: &'static str, body: Vec<u8>) -> Result<Answer, OutsideError> {
        // The URL may hold a password, and the caller names the server anyway.
        let failed = |error: reqwest::Error| OutsideError::Unreachable(causes(&error.without_url()));
        let request = self.client.post(url.clone()).header(CONTENT_TYPE, content_type).body(body);
        let mut response = request.send().await.map_err(failed)?;
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let content_type = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > self.most_bytes {
                return Err(OutsideError::TooLong(self.most_bytes));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, content_type, body })
    }
}

/// A URL of a server outside.
pub(crate) fn url(text: &str) -> Result<Url, OutsideError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| OutsideError::Url(without_secrets_of(text)))
}

/// A URL as it may be recorded and shown: no user, no password, no parameters.
pub(crate) fn without_secrets(url: &Url) -> String {
    let mut url = url.clone();
    // Neither can fail for a URL with a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// The same for text that is no URL.
fn without_secrets_of(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    text.rsplit_once('@').map_or(text, |(_, place)| place).to_owned()
}

/// An error with what is behind it: "error sending request" alone helps nobody.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn secrets_of_a_url_are_not_shown() {
        let url = url("http://user:secret@tsa.example/stamp?key=secret#secret").unwrap();
        assert_eq!(without_secrets(&url), "http://tsa.example/stamp");
    }

    #[test]
    fn other_schemes_are_refused_without_their_secrets() {
        for text in ["ftp://u:secret@tsa.example/", "tsa.example", "file:///etc/passwd", "https://"] {
            assert!(!url(text).unwrap_err().to_string().contains("secret"), "{text}");
        }
    }
}
