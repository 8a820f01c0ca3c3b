//! Who is asking: an operator's token, or the predecessors' development headers where those are switched on.
//!
//! An actor's id is opaque. The e-mail address of a development header is hashed into one and goes nowhere else.

use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use daybook_ledger::Actor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::context::header;
use crate::problem::Problem;

/// Development header with the caller's e-mail address.
pub const USER_EMAIL: &str = "x-user-email";
/// Development header with the caller's role.
pub const USER_ROLE: &str = "x-user-role";
/// Most bytes an e-mail address has (RFC 5321).
const MAX_EMAIL_BYTES: usize = 254;
/// Hexadecimal digits of an opaque person id.
const OPAQUE_DIGITS: usize = 24;

/// What a caller is to the organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the installation; holds every permission.
    Operator,
    /// Administers the organisation.
    Admin,
    /// Compliance officer.
    Compliance,
    /// Analyst.
    Analyst,
    /// Looks on.
    Viewer,
}

impl Role {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Compliance => "compliance",
            Self::Analyst => "analyst",
            Self::Viewer => "viewer",
        }
    }

    /// The roles that a development header may claim. `operator` is not one: it takes the token.
    fn claimed(text: &str) -> Option<Self> {
        match text {
            "admin" => Some(Self::Admin),
            "compliance" => Some(Self::Compliance),
            "analyst" => Some(Self::Analyst),
            "viewer" => Some(Self::Viewer),
            _ => None,
        }
    }
}

/// How a caller showed who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The operator's token.
    OperatorToken,
    /// `x-user-email` and `x-user-role`, under development authentication.
    DevHeaders,
}

/// A caller that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who, for the ledger. The id is opaque.
    pub actor: Actor,
    /// As what.
    pub role: Role,
    /// Shown how.
    pub via: Via,
}

/// A value that is never printed.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes it in.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(Arc::from(text.as_ref()))
    }

    /// Compares by hash: the time it takes says nothing of where they differ.
    fn matches(&self, candidate: &str) -> bool {
        // blake3::Hash compares in constant time.
        !self.0.is_empty() && blake3::hash(self.0.as_bytes()) == blake3::hash(candidate.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// What is accepted as identity.
#[derive(Debug, Clone)]
pub struct IdentityConfig {
    operator_token: Option<Secret>,
    dev_auth: bool,
    actor_key: Secret,
}

impl IdentityConfig {
    /// With an operator's token, development headers, both or neither.
    pub fn new(operator_token: Option<Secret>, dev_auth: bool) -> Self {
        Self { operator_token, dev_auth, actor_key: Secret::new("daybook development identities") }
    }

    /// Derives opaque ids with a key of the installation's own, so that they cannot be guessed from addresses.
    #[must_use]
    pub fn with_actor_key(mut self, key: Secret) -> Self {
        self.actor_key = key;
        self
    }

    /// True where development headers are believed.
    pub fn dev_auth(&self) -> bool {
        self.dev_auth
    }

    /// The opaque id of the person with this e-mail address: `usr_` and 24 hexadecimal digits.
    pub fn opaque_id(&self, email: &str) -> String {
        let key = blake3::derive_key("daybook 2026-11 opaque person id v1", self.actor_key.0.as_bytes());
        let hash = blake3::keyed_hash(&key, email.trim().to_lowercase().as_bytes()).to_hex();
        format!("usr_{}", hash.get(..OPAQUE_DIGITS).unwrap_or_default())
    }

    /// The configuration of the app that answers `request`.
    pub(crate) fn of(request: &HttpRequest) -> Result<web::Data<Self>, Problem> {
        request.app_data::<web::Data<Self>>().cloned().ok_or_else(|| {
            tracing::error!("no IdentityConfig in the app's data");
            Problem::new(500, "internal.error", "an unexpected error occurred")
        })
    }

    fn identify(&self, request: &HttpRequest) -> Result<Principal, Problem> {
        if let Some(credentials) = request.headers().get(AUTHORIZATION) {
            let text = credentials.to_str().unwrap_or_default();
            return self.identify_bearer(text);
        }
        let (email, role) = (header(request.headers(), USER_EMAIL), header(request.headers(), USER_ROLE));
        match (self.dev_auth, email, role) {
            (true, Some(email), Some(role)) => self.identify_dev(email, role),
            (true, Some(_), None) | (true, None, Some(_)) => {
                Err(Problem::unauthorized("identity.incomplete", "x-user-email and x-user-role are needed together"))
            }
            _ => Err(Problem::unauthorized("identity.required", "authentication is required")),
        }
    }

    fn identify_bearer(&self, credentials: &str) -> Result<Principal, Problem> {
        let (scheme, token) = credentials.split_once(' ').unwrap_or((credentials, ""));
        let known = scheme.eq_ignore_ascii_case("bearer")
            && self.operator_token.as_ref().is_some_and(|expected| expected.matches(token.trim()));
        if !known {
            return Err(Problem::unauthorized("identity.invalid_token", "the credentials are not known"));
        }
        Ok(Principal { actor: Actor::system("operator"), role: Role::Operator, via: Via::OperatorToken })
    }

    fn identify_dev(&self, email: &str, role: &str) -> Result<Principal, Problem> {
        let role = Role::claimed(role)
            .ok_or_else(|| Problem::unauthorized("identity.unknown_role", "x-user-role is not a known role"))?;
        let email = email.trim();
        if email.is_empty() || email.len() > MAX_EMAIL_BYTES || !email.contains('@') {
            return Err(Problem::unauthorized("identity.invalid_email", "x-user-email is not an e-mail address"));
        }
        Ok(Principal { actor: Actor::human(self.opaque_id(email)), role, via: Via::DevHeaders })
    }
}

impl Principal {
    /// The caller of `request`, or a 401.
    pub fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let principal = IdentityConfig::of(request)?.identify(request)?;
        request.extensions_mut().insert(principal.clone());
        Ok(principal)
    }
}

impl FromRequest for Principal {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(Self::of(request))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use actix_web::test::TestRequest;

    use super::*;

    fn config(dev_auth: bool) -> IdentityConfig {
        IdentityConfig::new(Some(Secret::new("s3cret")), dev_auth)
    }

    fn dev(email: &str, role: &str) -> HttpRequest {
        TestRequest::default().insert_header((USER_EMAIL, email)).insert_header((USER_ROLE, role)).to_http_request()
    }

    #[test]
    fn operator_token_is_accepted_and_never_printed() {
        let request = TestRequest::default().insert_header((AUTHORIZATION, "Bearer s3cret")).to_http_request();
        assert_eq!(config(false).identify(&request).unwrap().role, Role::Operator);
        assert!(!format!("{:?}", config(false)).contains("s3cret"));
    }

    #[test]
    fn wrong_token_is_refused_even_with_development_headers() {
        let request = TestRequest::default()
            .insert_header((AUTHORIZATION, "Bearer other"))
            .insert_header((USER_EMAIL, "a@example.com"))
            .insert_header((USER_ROLE, "admin"))
            .to_http_request();
        assert_eq!(config(true).identify(&request).unwrap_err().code(), "identity.invalid_token");
    }

    #[test]
    fn empty_operator_token_lets_nobody_in() {
        let config = IdentityConfig::new(Some(Secret::new("")), false);
        assert!(config.identify_bearer("Bearer ").is_err());
    }

    #[test]
    fn development_headers_count_only_when_switched_on() {
        let request = dev("Admin@Example.com", "admin");
        assert_eq!(config(false).identify(&request).unwrap_err().status(), 401);
        let principal = config(true).identify(&request).unwrap();
        assert_eq!(principal.role, Role::Admin);
        assert!(principal.actor.id.starts_with("usr_") && principal.actor.id.len() == 28);
        assert_eq!(principal.actor.id, config(true).opaque_id("admin@example.com"));
    }

    #[test]
    fn unknown_role_and_claimed_operator_are_401() {
        for role in ["operator", "root", ""] {
            assert_eq!(config(true).identify(&dev("a@example.com", role)).unwrap_err().status(), 401);
        }
    }
}
