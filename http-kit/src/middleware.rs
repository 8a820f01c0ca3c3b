//! What every request goes through: its ids, the security headers of the answer, one access-log line, and its metrics.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::body::{BodySize, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CROSS_ORIGIN_RESOURCE_POLICY, HeaderMap, HeaderName, HeaderValue,
    PERMISSIONS_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use bytes::Bytes;
use tracing::Instrument;

use crate::authenticator::Authentication;
use crate::context::{REQUEST_ID, RequestContext};
use crate::identity::IdentityConfig;
use crate::peer::{Peer, TrustedProxies};
use crate::problem::Problem;
use crate::telemetry::HttpMetrics;

/// Nothing may be loaded from an API's answer.
const API_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// Pages of ours load only what is ours. The documentation's viewer sets styles in place.
const PAGE_POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; \
                           object-src 'none'; base-uri 'none'; frame-ancestors 'none'";
/// Route label of requests that no handler took: their paths are anybody's and would be labels without end.
pub(crate) const UNMATCHED: &str = "unmatched";
/// What no page of ours uses.
const UNUSED_FEATURES: &str = "camera=(), geolocation=(), microphone=()";
/// A year by https alone.
const HTTPS_ONLY: &str = "max-age=31536000";

/// Gives the request its ids, runs it, and completes, measures and logs the answer.
pub async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let method = known_method(request.method().as_str());
    let context = RequestContext::from_headers(request.headers());
    request.extensions_mut().insert(context.clone());
    let peer = peer(&request);
    request.extensions_mut().insert(peer);
    // Of the highest level, so that no filter of levels takes the request's id from the lines within.
    let span = tracing::error_span!("request", request_id = context.request_id, dev_auth = tracing::field::Empty);
    if request.app_data::<web::Data<IdentityConfig>>().is_some_and(|config| config.dev_auth()) {
        // Every line that this request causes says that callers are only believed.
        span.record("dev_auth", true);
    }
    let metrics = request.app_data::<web::Data<HttpMetrics>>().cloned();
    // What fails before it reaches a handler has no request left to answer from: only the error goes on.
    let called = context.scope(next.call(request)).instrument(span.clone()).await;
    let mut answer = called.map_err(|error| Problem::from_actix(&error).with_request_id(context.request_id.clone()))?;
    complete(&mut answer, &context, peer);
    let _in_span = span.enter();
    record(&answer, &context, method, started, metrics.as_ref().map(|metrics| metrics.get_ref()));
    Ok(answer)
}

/// Answers `HEAD` as `GET` is answered, without the body: same status, same headers, same length.
pub async fn answer_head<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, NoBody>>, Error> {
    let is_head = request.method() == Method::HEAD;
    if is_head {
        request.head_mut().method = Method::GET;
    }
    let answer = next.call(request).await?;
    Ok(if is_head {
        answer.map_body(|_, body| EitherBody::right(NoBody(body.size())))
    } else {
        answer.map_into_left_body()
    })
}

/// The size of a body, and nothing in it.
pub struct NoBody(BodySize);

impl MessageBody for NoBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        self.0
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}

fn peer(request: &ServiceRequest) -> Peer {
    let nobody = TrustedProxies::default();
    let proxies = request.app_data::<web::Data<TrustedProxies>>().map_or(&nobody, |proxies| proxies.get_ref());
    let socket = request.peer_addr().map(|socket| socket.ip());
    Peer::read(socket, request.app_config().secure(), request.headers(), proxies)
}

fn complete<B>(answer: &mut ServiceResponse<B>, context: &RequestContext, peer: Peer) {
    let path = answer.request().path();
    let is_page = path == "/docs" || path.starts_with("/docs/") || path == "/v1/docs" || path.starts_with("/v1/docs/");
    let headers = answer.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        headers.insert(HeaderName::from_static(REQUEST_ID), id);
    }
    set(headers, X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, X_FRAME_OPTIONS, "DENY");
    set(headers, REFERRER_POLICY, "no-referrer");
    set(headers, CONTENT_SECURITY_POLICY, if is_page { PAGE_POLICY } else { API_POLICY });
    set(headers, CROSS_ORIGIN_RESOURCE_POLICY, "same-origin");
    set(headers, PERMISSIONS_POLICY, UNUSED_FEATURES);
    set(headers, CACHE_CONTROL, "no-store");
    if peer.is_https {
        set(headers, STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
    }
}

/// Handlers may decide otherwise: what is set already stays.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    if !headers.contains_key(&name) {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn record<B>(
    answer: &ServiceResponse<B>,
    context: &RequestContext,
    method: &'static str,
    started: Instant,
    metrics: Option<&HttpMetrics>,
) {
    let request = answer.request();
    let elapsed = started.elapsed();
    let status = answer.status().as_u16();
    let route = request.match_pattern().unwrap_or_else(|| UNMATCHED.to_owned());
    if let Some(metrics) = metrics {
        metrics.record(method, &route, status, elapsed);
    }
    let extensions = request.extensions();
    let authentication = extensions.get::<Authentication>();
    let principal = authentication.and_then(|Authentication(known)| known.as_ref().ok()).and_then(Option::as_ref);
    tracing::info!(
        target: "daybook::access",
        method,
        route,
        path = ?request.path(),
        status,
        duration_ms = elapsed.as_secs_f64() * 1_000.0,
        correlation_id = context.correlation_id,
        actor = principal.map(|principal| principal.actor.id.as_str()),
        role = principal.map(|principal| principal.role()),
        organization = principal.map(|principal| principal.organization.as_str()),
        "answered"
    );
}

/// Methods are labels, so unknown ones share one.
pub(crate) fn known_method(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("OTHER")
}
