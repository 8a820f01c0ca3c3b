//! Who is asking: an operator's token, or the predecessors' development headers where those are switched on.
//!
//! An actor's id is opaque. The e-mail address of a development header is hashed into one and goes nowhere else.

use std::fmt;
use std::sync::Arc;

use actix_web::{HttpRequest, web};
use async_trait::async_trait;
use daybook_ledger::{Actor, LedgerId};

use crate::authenticator::{Authenticator, Credentials};
use crate::permission_set::PermissionSet;
use crate::principal::{Access, Principal, Via};
use crate::problem::Problem;
use crate::role::Role;

/// Development header with the caller's e-mail address.
pub const USER_EMAIL: &str = "x-user-email";
/// Development header with the caller's role.
pub const USER_ROLE: &str = "x-user-role";
/// Most bytes an e-mail address has (RFC 5321).
const MAX_EMAIL_BYTES: usize = 254;
/// Hexadecimal digits of an opaque person id.
const OPAQUE_DIGITS: usize = 24;

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

/// 32 bytes that are never printed.
#[derive(Clone, Copy)]
struct Key([u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key(…)")
    }
}

/// What is accepted as identity.
#[derive(Debug, Clone)]
pub struct IdentityConfig {
    operator_token: Option<Secret>,
    dev_auth: bool,
    actor_key: Secret,
    digest_key: Option<Key>,
    default_organization: LedgerId,
}

impl IdentityConfig {
    /// With an operator's token, development headers, both or neither.
    pub fn new(operator_token: Option<Secret>, dev_auth: bool) -> Self {
        let actor_key = Secret::new("daybook development identities");
        Self { operator_token, dev_auth, actor_key, digest_key: None, default_organization: LedgerId::main() }
    }

    /// Takes requests that name no organisation as meant for this one, instead of `main`.
    #[must_use]
    pub fn with_default_organization(mut self, organization: LedgerId) -> Self {
        self.default_organization = organization;
        self
    }

    /// The organisation of requests that name none.
    pub fn default_organization(&self) -> &LedgerId {
        &self.default_organization
    }

    /// Derives opaque ids with a key of the installation's own, so that they cannot be guessed from addresses.
    #[must_use]
    pub fn with_actor_key(mut self, key: Secret) -> Self {
        self.actor_key = key;
        self
    }

    /// Keys the digests of commands with what all processes on one database have: a repeat may reach any of them.
    #[must_use]
    pub fn with_digest_key(mut self, key: [u8; 32]) -> Self {
        self.digest_key = Some(Key(key));
        self
    }

    /// True where development headers are believed.
    pub fn dev_auth(&self) -> bool {
        self.dev_auth
    }

    /// What the digests of commands are keyed with; where nobody said, a key that follows from the one of opaque ids.
    pub(crate) fn digest_key(&self) -> [u8; 32] {
        match self.digest_key {
            Some(Key(key)) => key,
            None => blake3::derive_key("daybook 2026-11 command digest v2", self.actor_key.0.as_bytes()),
        }
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

    /// The operator, where `token` is his; he acts in whichever organisation he names.
    pub fn operator(&self, token: &str, organization: LedgerId) -> Option<Principal> {
        let is_his = self.operator_token.as_ref().is_some_and(|expected| expected.matches(token));
        is_his.then(|| Principal {
            actor: Actor::system("operator"),
            organization,
            roles: Arc::from([Role::Operator.as_str().to_owned()]),
            access: Arc::new(Access::everywhere(PermissionSet::all())),
            via: Via::OperatorToken,
            session_id: None,
        })
    }

    /// Who the development headers say is calling; a 401 where they are not believed. Both are needed, and `operator`
    /// is not a role that anybody can claim.
    pub fn developer(&self, email: &str, role: &str, organization: LedgerId) -> Result<Principal, Problem> {
        let refused = Problem::invalid_token;
        if !self.dev_auth {
            return Err(Problem::unauthorized("identity.required", "authentication is required"));
        }
        let (email, role) = (email.trim(), role.trim());
        if email.is_empty() || role.is_empty() {
            return Err(refused("identity.incomplete", "x-user-email and x-user-role are needed together"));
        }
        let role =
            Role::granted(role).ok_or_else(|| refused("identity.unknown_role", "x-user-role is not a known role"))?;
        if email.len() > MAX_EMAIL_BYTES || !email.contains('@') {
            return Err(refused("identity.invalid_email", "x-user-email is not an e-mail address"));
        }
        Ok(Principal {
            actor: Actor::human(self.opaque_id(email)),
            organization,
            roles: Arc::from([role.as_str().to_owned()]),
            access: Arc::new(Access::everywhere(role.permissions())),
            via: Via::DevHeaders,
            session_id: None,
        })
    }
}

/// Believes the operator's token and, where they are switched on, the development headers; knows nobody else.
#[async_trait]
impl Authenticator for IdentityConfig {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Principal>, Problem> {
        let organization = || Ok(credentials.organization_id()?.unwrap_or_else(|| self.default_organization.clone()));
        match (credentials.bearer, credentials.dev) {
            (Some(token), _) => self
                .operator(token, organization()?)
                .map(Some)
                .ok_or_else(|| Problem::invalid_token("identity.invalid_token", "the credentials are not known")),
            (None, Some((email, role))) if self.dev_auth => self.developer(email, role, organization()?).map(Some),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
    use futures::FutureExt;

    use super::*;

    fn config(dev_auth: bool) -> IdentityConfig {
        IdentityConfig::new(Some(Secret::new("s3cret")), dev_auth)
    }

    fn identify(config: &IdentityConfig, pairs: &[(&str, &str)]) -> Result<Option<Principal>, Problem> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        Credentials::of_headers(&headers).and_then(|read| config.authenticate(read).now_or_never().unwrap())
    }

    fn bearer(token: &str) -> [(&'static str, String); 1] {
        [(AUTHORIZATION.as_str(), format!("Bearer {token}")); 1]
    }

    fn dev<'a>(email: &'a str, role: &'a str) -> [(&'static str, &'a str); 2] {
        [(USER_EMAIL, email), (USER_ROLE, role)]
    }

    #[test]
    fn operator_token_is_accepted_and_never_printed() {
        let [(name, value)] = bearer("s3cret");
        let principal = identify(&config(false), &[(name, &value)]).unwrap().unwrap();
        assert!(principal.is_operator() && !principal.is_person());
        assert_eq!((principal.organization, principal.access.permissions), (LedgerId::main(), PermissionSet::all()));
        assert!(!format!("{:?}", config(false)).contains("s3cret"));
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer s3cret"));
        assert!(!format!("{:?}", Credentials::of_headers(&headers).unwrap()).contains("s3cret"));
    }

    #[test]
    fn commands_are_digested_with_the_key_that_was_given_and_it_is_never_printed() {
        let keyed = |actor_key| config(false).with_digest_key([77; 32]).with_actor_key(Secret::new(actor_key));
        assert_eq!((keyed("one").digest_key(), keyed("other").digest_key()), ([77; 32], [77; 32]));
        assert!(!format!("{:?}", keyed("one")).contains("77"));
        let without = |actor_key| config(false).with_actor_key(Secret::new(actor_key)).digest_key();
        assert_ne!(without("one"), without("other"));
    }

    #[test]
    fn operator_acts_in_the_organisation_he_names() {
        let [(name, value)] = bearer("s3cret");
        let at = |id| identify(&config(false), &[(name, value.as_str()), ("x-organization-id", id)]);
        assert_eq!(at("acme").unwrap().unwrap().organization.as_str(), "acme");
        assert_eq!(at("Not One").unwrap_err().status(), 400);
    }

    #[test]
    fn requests_that_name_no_organisation_are_for_the_servers_own() {
        let config = config(true).with_default_organization("desk".parse().unwrap());
        let [(name, value)] = bearer("s3cret");
        let organization = |headers: &[(&str, &str)]| identify(&config, headers).unwrap().unwrap().organization;
        assert_eq!(organization(&[(name, &value)]).as_str(), "desk");
        assert_eq!(organization(&dev("a@example.com", "admin")).as_str(), "desk");
        assert_eq!(organization(&[(name, &value), ("x-organization-id", "main")]), LedgerId::main());
    }

    #[test]
    fn wrong_token_is_refused_even_with_development_headers() {
        for credentials in ["Bearer other", "Basic czNjcmV0", "s3cret", "Bearer"] {
            let mut headers = vec![("authorization", credentials)];
            headers.extend(dev("a@example.com", "admin"));
            assert_eq!(identify(&config(true), &headers).unwrap_err().code(), "identity.invalid_token");
        }
        let twice = [("authorization", "Bearer s3cret"), ("authorization", "Bearer s3cret")];
        assert_eq!(identify(&config(true), &twice).unwrap_err().code(), "identity.invalid_token");
    }

    #[test]
    fn empty_operator_token_lets_nobody_in() {
        let config = IdentityConfig::new(Some(Secret::new("")), false);
        assert!(identify(&config, &[("authorization", "Bearer ")]).is_err());
    }

    #[test]
    fn development_headers_count_only_when_switched_on() {
        let headers = dev("Admin@Example.com", "admin");
        assert_eq!(identify(&config(false), &headers).unwrap(), None);
        let principal = identify(&config(true), &headers).unwrap().unwrap();
        assert_eq!((principal.role(), principal.is_person()), ("admin", true));
        assert!(principal.actor.id.starts_with("usr_") && principal.actor.id.len() == 28);
        assert_eq!(principal.actor.id, config(true).opaque_id("admin@example.com"));
        assert_eq!(principal.user_id(), Some(principal.actor.id.as_str()));
    }

    #[test]
    fn unknown_role_and_claimed_operator_are_401() {
        for role in ["operator", "root", ""] {
            assert_eq!(identify(&config(true), &dev("a@example.com", role)).unwrap_err().status(), 401);
        }
        assert_eq!(identify(&config(true), &[(USER_ROLE, "admin")]).unwrap_err().code(), "identity.incomplete");
        for role in ["owner", "auditor"] {
            assert!(identify(&config(true), &dev("a@example.com", role)).unwrap().is_some());
        }
    }
}
