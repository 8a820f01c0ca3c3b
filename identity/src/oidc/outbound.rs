//! Requests to a provider: to acceptable addresses only, without following redirects, bounded in time and size.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse, http};
use reqwest::Url;
use reqwest::redirect::Policy;

use super::settings::{is_acceptable, is_loopback};

/// Until there is a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Until the answer is read.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer: the largest sets of keys have some tens of kilobytes.
const MAX_ANSWER_BYTES: usize = 512 * 1024;

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutboundError {
    /// Not an address that a provider may be asked at.
    #[error("{0} is not an address that a provider may be asked at")]
    Address(String),
    /// More than is read.
    #[error("the answer has more than {MAX_ANSWER_BYTES} bytes")]
    TooLong,
    /// No connection, no answer, or not in time.
    #[error(transparent)]
    Request(#[from] reqwest::Error),
    /// An answer that is no answer.
    #[error(transparent)]
    Answer(#[from] http::Error),
}

/// Asks one provider.
#[derive(Debug)]
pub(super) struct Outbound {
    client: reqwest::Client,
    is_loopback: bool,
}

impl Outbound {
    /// For the provider of this issuer.
    pub(super) fn new(issuer: &Url) -> Result<Self, reqwest::Error> {
        let is_loopback = is_loopback(issuer);
        let mut builder =
            reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT).redirect(Policy::none());
        if is_loopback {
            builder = builder.no_proxy();
        }
        Ok(Self { client: builder.build()?, is_loopback })
    }

    /// Whether the provider may be asked at, or people sent to, this address.
    pub(super) fn allows(&self, url: &Url) -> bool {
        is_acceptable(url, self.is_loopback)
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, OutboundError> {
        let request = reqwest::Request::try_from(request)?;
        if !self.allows(request.url()) {
            return Err(OutboundError::Address(request.url().to_string()));
        }
        let mut response = self.client.execute(request).await?;
        let mut answer = http::Response::builder().status(response.status());
        for (name, value) in response.headers() {
            answer = answer.header(name, value);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
                return Err(OutboundError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(answer.body(body)?)
    }
}

impl<'c> AsyncHttpClient<'c> for Outbound {
    type Error = OutboundError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, OutboundError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
