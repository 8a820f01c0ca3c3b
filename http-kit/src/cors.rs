//! Cross-origin requests: refused by silence, unless the settings name the origin.

use actix_cors::CorsError;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError};

use crate::problem::Problem;

/// How long a browser may keep the answer to a preflight, in seconds.
const MAX_AGE_SECONDS: usize = 600;
/// Request headers that pages may set. The development headers count for nothing where they are not switched on.
const ALLOWED_HEADERS: [&str; 13] = [
    "authorization",
    "content-type",
    "daybook-at-least",
    "idempotency-key",
    "if-match",
    "last-event-id",
    "x-causation-id",
    "x-correlation-id",
    "x-on-behalf-of",
    "x-organization-id",
    "x-request-id",
    "x-user-email",
    "x-user-role",
];
/// Response headers that pages may read.
const EXPOSED_HEADERS: [&str; 10] = [
    "x-request-id",
    "daybook-position",
    "etag",
    "location",
    "link",
    "retry-after",
    "idempotency-replayed",
    "content-disposition",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
];

/// The origins whose pages may call; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cors {
    origins: Vec<String>,
}

/// An origin that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not an origin such as https://app.example.com")]
pub struct InvalidOrigin(String);

impl Cors {
    /// Exactly these origins: scheme, host, and port where it is not the scheme's own.
    pub fn new<S: AsRef<str>>(origins: impl IntoIterator<Item = S>) -> Result<Self, InvalidOrigin> {
        let origins = origins.into_iter().map(|origin| checked(origin.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self { origins })
    }

    /// True where some origin may.
    pub fn is_on(&self) -> bool {
        !self.origins.is_empty()
    }

    /// The middleware. Browsers are told to send no credentials of their own: tokens are set by the page.
    pub(crate) fn middleware(&self) -> actix_cors::Cors {
        let mut cors = actix_cors::Cors::default()
            .allowed_methods(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
            .allowed_headers(ALLOWED_HEADERS)
            .expose_headers(EXPOSED_HEADERS)
            .max_age(MAX_AGE_SECONDS);
        for origin in &self.origins {
            cors = cors.allowed_origin(origin);
        }
        cors
    }
}

/// A scheme and an authority, in lower case and without a path, as browsers write it.
fn checked(text: &str) -> Result<String, InvalidOrigin> {
    let invalid = || InvalidOrigin(text.to_owned());
    let origin = text.trim().trim_end_matches('/').to_ascii_lowercase();
    let uri: Uri = origin.parse().map_err(|_| invalid())?;
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(invalid());
    };
    if authority.as_str().contains(['@', '*']) || origin != format!("{scheme}://{authority}") {
        return Err(invalid());
    }
    Ok(origin)
}

/// Says in the words of all other errors what a preflight is refused for.
pub(crate) async fn name_refusals<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let answer = next.call(request).await?;
    let refusal = answer.response().error().and_then(|error| error.as_error::<CorsError>()).map(ToString::to_string);
    Ok(match refusal {
        None => answer.map_into_left_body(),
        Some(refusal) => {
            let problem = Problem::bad_request("request.cross_origin", refusal);
            let mut answer = answer.into_response(problem.error_response()).map_into_right_body();
            answer.headers_mut().insert(header::VARY, header::HeaderValue::from_static("Origin"));
            answer
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    #[test]
    fn only_origins_are_taken() {
        let cors = Cors::new(["https://App.example.com/", "http://localhost:5173"]).unwrap();
        assert_eq!(cors.origins, ["https://app.example.com", "http://localhost:5173"]);
        for bad in ["*", "null", "https://*.example.com", "example.com", "https://a.example/x", "ftp://a", ""] {
            assert!(Cors::new([bad]).is_err(), "{bad}");
        }
    }
}
