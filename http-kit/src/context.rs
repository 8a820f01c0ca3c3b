//! Who asked for what and what led to it: request, correlation and causation ids, and the ledger's command context
//! built from them.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, IF_MATCH};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use daybook_ledger::commands::CommandContext;
use futures::FutureExt;
use futures::future::LocalBoxFuture;

use crate::API_PREFIX;
use crate::guard::Guard;
use crate::idempotency::IdempotencyKey;
use crate::identity::IdentityConfig;
use crate::if_match;
use crate::principal::Principal;
use crate::problem::Problem;

/// Header of the request's id.
pub const REQUEST_ID: &str = "x-request-id";
/// Header of the correlation id.
pub const CORRELATION_ID: &str = "x-correlation-id";
/// Header of the causation id.
pub const CAUSATION_ID: &str = "x-causation-id";
/// Header that names the person for whom the caller acts.
pub const ON_BEHALF_OF: &str = "x-on-behalf-of";
/// Most bytes a request id has.
const MAX_REQUEST_ID_BYTES: usize = 64;
/// Most bytes a correlation id, a causation id or the id of a person has.
const MAX_ID_BYTES: usize = 128;

tokio::task_local! {
    static CURRENT_REQUEST_ID: String;
}

/// What every request has from the moment it arrives. The middleware makes it; handlers extract it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestContext {
    /// The client's `X-Request-Id` where it is sane, else a fresh one.
    pub request_id: String,
    /// `X-Correlation-Id`, else the trace id of `traceparent`, else the request id.
    pub correlation_id: String,
}

impl RequestContext {
    /// Reads the headers. Never fails: what is not sane is replaced.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let request_id = header(headers, REQUEST_ID)
            .filter(|id| is_word(id, MAX_REQUEST_ID_BYTES, ""))
            .map_or_else(|| uuid::Uuid::now_v7().simple().to_string(), str::to_owned);
        let correlation_id = header(headers, CORRELATION_ID)
            .filter(|id| is_word(id, MAX_ID_BYTES, ":/"))
            .map(str::to_owned)
            .or_else(|| header(headers, "traceparent").and_then(trace_id))
            .unwrap_or_else(|| request_id.clone());
        Self { request_id, correlation_id }
    }

    /// The id of the request that the current task answers, for problems and log lines.
    pub fn current_id() -> Option<String> {
        CURRENT_REQUEST_ID.try_with(Clone::clone).ok()
    }

    /// Runs `future` as part of this request.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        CURRENT_REQUEST_ID.scope(self.request_id.clone(), future).await
    }

    /// The context of a request, made now where no middleware made it.
    pub fn of(request: &HttpRequest) -> Self {
        if let Some(context) = request.extensions().get::<Self>() {
            return context.clone();
        }
        Self::from_headers(request.headers())
    }
}

impl FromRequest for RequestContext {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

/// The headers of a command: what makes it repeatable, conditional and traceable.
#[derive(Debug, Clone)]
pub struct CommandRequest {
    request: RequestContext,
    method: String,
    target: String,
    key: Option<IdempotencyKey>,
    expected_version: Option<u64>,
    has_if_match: bool,
    causation_id: Option<String>,
    on_behalf_of: Option<String>,
}

impl CommandRequest {
    /// Refuses `If-Match`, for requests with several commands: these have no version in common.
    pub fn refuse_if_match(&self) -> Result<(), Problem> {
        if self.has_if_match {
            return Err(Problem::invalid("If-Match", "cannot be taken by a request with several commands"));
        }
        Ok(())
    }

    /// The ledger's context for this request's one command; `body` is what the command was read from.
    pub fn context(&self, principal: &Principal, body: &[u8]) -> CommandContext {
        self.build(principal, body, None)
    }

    /// The ledger's context for one of several commands in this request; `item` tells them apart.
    pub fn item_context(&self, principal: &Principal, body: &[u8], item: &str) -> CommandContext {
        self.build(principal, body, Some(item))
    }

    fn build(&self, principal: &Principal, body: &[u8], item: Option<&str>) -> CommandContext {
        let command =
            self.key.as_ref().map(|key| key.command(&principal.actor.id, item, &self.method, &self.target, body));
        CommandContext {
            actor: principal.actor.clone(),
            on_behalf_of: self.on_behalf_of.clone(),
            correlation_id: Some(self.request.correlation_id.clone()),
            causation_id: self.causation_id.clone(),
            request_id: Some(self.request.request_id.clone()),
            command,
            // A version is of one aggregate: it cannot be expected of several.
            expected_version: if item.is_none() { self.expected_version } else { None },
        }
    }

    /// The request's ids.
    pub fn request(&self) -> &RequestContext {
        &self.request
    }

    /// The version of `If-Match`, if there is one.
    pub fn expected_version(&self) -> Option<u64> {
        self.expected_version
    }

    /// True where an `Idempotency-Key` came with the request.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    fn read(request: &HttpRequest) -> Result<Self, Problem> {
        let headers = request.headers();
        // The query is part of what is asked. The prefix is not: both mounts are one API.
        let path = request.path().strip_prefix(API_PREFIX).unwrap_or(request.path());
        Ok(Self {
            request: RequestContext::of(request),
            method: request.method().as_str().to_owned(),
            target: format!("{path}?{}", request.query_string()),
            key: IdempotencyKey::from_headers(headers, IdentityConfig::of(request)?.digest_key())?,
            expected_version: if_match::expected_version(headers)?,
            has_if_match: headers.contains_key(IF_MATCH),
            causation_id: optional(headers, CAUSATION_ID, ":/")?,
            on_behalf_of: optional(headers, ON_BEHALF_OF, "@+")?,
        })
    }

    /// Puts an opaque id in place of an e-mail address, which must not get into the ledger.
    async fn with_opaque_person(mut self, request: &HttpRequest) -> Result<Self, Problem> {
        let Some(email) = self.on_behalf_of.take_if(|person| person.contains('@')) else { return Ok(self) };
        let known = match (request.app_data::<web::Data<Guard>>(), Principal::optional(request)) {
            (Some(guard), Ok(Some(principal))) => guard.authenticator.person_id(&principal.organization, &email).await,
            _ => None,
        };
        self.on_behalf_of = Some(match known {
            Some(id) => id,
            None => IdentityConfig::of(request)?.opaque_id(&email),
        });
        Ok(self)
    }
}

impl FromRequest for CommandRequest {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let (read, request) = (Self::read(request), request.clone());
        async move { read?.with_opaque_person(&request).await }.boxed_local()
    }
}

/// A fresh id, `<prefix>_` and 32 hexadecimal digits: sortable by time, or derived from the command's key where there
/// is one, so that a repeat that arrives at the same moment names the same thing.
pub fn new_id(prefix: &str, context: &CommandContext) -> String {
    match &context.command {
        None => format!("{prefix}_{}", uuid::Uuid::now_v7().simple()),
        Some(command) => {
            let key = blake3::derive_key("daybook 2026-11 id from command key v1", command.id.as_bytes());
            format!("{prefix}_{}", hex::encode(key.first_chunk::<16>().copied().unwrap_or_default()))
        }
    }
}

/// A header's value where it is there and is visible ASCII.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn optional(headers: &HeaderMap, name: &'static str, further: &str) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    match value.to_str() {
        Ok(text) if is_word(text, MAX_ID_BYTES, further) => Ok(Some(text.to_owned())),
        _ => Err(Problem::invalid(name, format!("must be 1 to {MAX_ID_BYTES} letters, digits or any of ._-{further}"))),
    }
}

fn is_word(text: &str, most_bytes: usize, further: &str) -> bool {
    !text.is_empty()
        && text.len() <= most_bytes
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c) || further.contains(c))
}

/// The trace id of a W3C `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`.
fn trace_id(traceparent: &str) -> Option<String> {
    let mut parts = traceparent.split('-');
    let (_version, trace) = (parts.next()?, parts.next()?);
    let is_hex = trace.len() == 32 && trace.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_hex && trace.bytes().any(|byte| byte != b'0')).then(|| trace.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn sane_request_id_is_kept() {
        let context = RequestContext::from_headers(&headers(&[(REQUEST_ID, "abc-1.2_3")]));
        assert_eq!(context.request_id, "abc-1.2_3");
        assert_eq!(context.correlation_id, "abc-1.2_3");
    }

    #[test]
    fn request_id_with_other_characters_is_replaced() {
        for bad in ["a b", "<script>", "", &"x".repeat(65)] {
            let context = RequestContext::from_headers(&headers(&[(REQUEST_ID, bad)]));
            assert_ne!(context.request_id, bad);
            assert_eq!(context.request_id.len(), 32);
        }
    }

    #[test]
    fn trace_id_of_traceparent_correlates() {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = RequestContext::from_headers(&headers(&[("traceparent", parent)]));
        assert_eq!(context.correlation_id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace_id("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), None);
    }
}
