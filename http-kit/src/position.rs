//! Reading one's own writes: `Daybook-At-Least` asks for a position, `Daybook-Position` says which one was answered from.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::HeaderName;
use actix_web::{FromRequest, HttpRequest, HttpResponse};

use crate::problem::Problem;

/// Request header: wait until the read model has seen this position.
pub const AT_LEAST: &str = "daybook-at-least";
/// Response header: the last position that the answer takes into account.
pub const POSITION: HeaderName = HeaderName::from_static("daybook-position");

/// The position of `Daybook-At-Least`, if the header is there; 400 where it is not a whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtLeast(pub Option<u64>);

impl FromRequest for AtLeast {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        let Some(value) = request.headers().get(AT_LEAST) else { return ready(Ok(Self(None))) };
        let position = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        ready(match position.and_then(|text| text.parse().ok()) {
            Some(position) => Ok(Self(Some(position))),
            None => Err(Problem::invalid("Daybook-At-Least", "must be a position in the ledger")),
        })
    }
}

/// Adds `Daybook-Position`. `None` is a read model that has seen nothing yet and adds no header.
#[must_use]
pub fn with_position(mut answer: HttpResponse, position: Option<u64>) -> HttpResponse {
    if let Some(position) = position {
        answer.headers_mut().insert(POSITION, position.into());
    }
    answer
}
