//! What a request shows to say who is asking, and the trait that believes it or does not.
//!
//! A request is authenticated once, before its handler; handlers find the outcome with [`crate::Principal::of`]. A
//! refused credential is a 401 only where a handler asks who is calling: open routes stay open.

use std::fmt;
use std::net::IpAddr;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use async_trait::async_trait;
use daybook_ledger::LedgerId;

use crate::context::header;
use crate::identity::{USER_EMAIL, USER_ROLE};
use crate::principal::Principal;
use crate::problem::Problem;

/// Header with which a caller that belongs to no organisation names the one it means.
pub const ORGANIZATION_ID: &str = "x-organization-id";

/// Says who is asking.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// The caller; `None` where there are no credentials at all. Refused ones are a 401 whose code is a stable reason
    /// such as `token.expired`. The middleware has refusals recorded: implementations do not, but name the organisation
    /// with [`Problem::of_organization`] where they know it.
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Principal>, Problem>;

    /// The opaque id of the person with this e-mail address. `None` leaves it to [`crate::IdentityConfig::opaque_id`].
    async fn person_id(&self, _organization: &LedgerId, _email: &str) -> Option<String> {
        None
    }
}

/// What a request shows.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The token of `Authorization: Bearer`.
    pub bearer: Option<&'a str>,
    /// Development headers: e-mail address and role. One that is missing is empty.
    pub dev: Option<(&'a str, &'a str)>,
    /// `X-Organization-ID`, as it came.
    pub organization: Option<&'a str>,
    /// Where the request comes from.
    pub peer: Option<IpAddr>,
    /// The request's id.
    pub request_id: &'a str,
    /// Its method.
    pub method: &'a str,
    /// Its path.
    pub path: &'a str,
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither tokens nor addresses of people.
        formatter
            .debug_struct("Credentials")
            .field("bearer", &self.bearer.map(|_| "…"))
            .field("dev", &self.dev.map(|_| "…"))
            .field("organization", &self.organization)
            .field("peer", &self.peer)
            .field("request_id", &self.request_id)
            .field("method", &self.method)
            .field("path", &self.path)
            .finish()
    }
}

impl<'a> Credentials<'a> {
    /// Reads the headers. Credentials of another kind than are read here are refused, not overlooked.
    pub fn of_headers(headers: &'a HeaderMap) -> Result<Self, Problem> {
        let mut authorizations = headers.get_all(AUTHORIZATION);
        let bearer = match (authorizations.next(), authorizations.next()) {
            (None, _) => None,
            (Some(value), None) => {
                let text = value.to_str().map_err(|_| unreadable())?;
                let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
                if !scheme.eq_ignore_ascii_case("bearer") {
                    return Err(unreadable());
                }
                Some(token.trim())
            }
            (Some(_), Some(_)) => return Err(unreadable()),
        };
        let dev = match (header(headers, USER_EMAIL), header(headers, USER_ROLE)) {
            (None, None) => None,
            (email, role) => Some((email.unwrap_or_default(), role.unwrap_or_default())),
        };
        let organization = match headers.get(ORGANIZATION_ID) {
            None => None,
            Some(value) => Some(value.to_str().map_err(|_| not_an_organization())?),
        };
        Ok(Self { bearer, dev, organization, peer: None, request_id: "", method: "", path: "" })
    }

    /// The organisation of `X-Organization-ID`; 400 where it cannot be one.
    pub fn organization_id(&self) -> Result<Option<LedgerId>, Problem> {
        self.organization.map(|text| text.parse().map_err(|_| not_an_organization())).transpose()
    }
}

fn unreadable() -> Problem {
    Problem::invalid_token("identity.invalid_token", "the credentials are not known")
}

fn not_an_organization() -> Problem {
    Problem::invalid("X-Organization-ID", "must match [a-z0-9-]{1,63}")
}

/// The outcome, in the request's extensions.
pub(crate) struct Authentication(pub(crate) Result<Option<Principal>, Problem>);
