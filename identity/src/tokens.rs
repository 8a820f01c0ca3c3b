//! Access tokens: JWTs signed with ES256 that say who somebody is and in which session, and nothing of what they may
//! do.
//!
//! A token is short-lived and carries no roles: what its bearer may do comes from the directory at each request. What
//! is checked here is the token alone; whether its session goes on and its person is active is the authenticator's
//! business.
//!
//! The header is read before any key is looked for, and only one algorithm is ever tried, so a token cannot choose how
//! it is verified.

mod claims;
mod keys;
mod refusal;

use std::sync::Arc;
use std::time::Duration;

use daybook_ledger::LedgerId;
use jsonwebtoken::{Algorithm, Header};
use quick_cache::sync::Cache;
use serde_json::{Value, json};

pub use self::claims::{AUDIENCE, Claims};
use self::keys::Keys;
pub use self::refusal::TokenRefusal;
use crate::vault::{Vault, VaultError};

/// How long an access token is good for.
pub const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How long a key that has been replaced goes on verifying: a token's life and some time for clocks that disagree.
pub const RETIRED_KEY_GRACE: Duration = Duration::from_secs(20 * 60);
/// How far a token's `iat` and `nbf` may lie ahead of this machine's clock.
pub const CLOCK_SKEW: Duration = Duration::from_secs(30);
/// Longest token that is looked at.
pub const MAX_TOKEN_BYTES: usize = 4 * 1024;
/// Tokens whose signature was found good lately.
const REMEMBERED_TOKENS: usize = 8_192;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// A fresh access token, for the body of an answer. Never for a log.
#[derive(Clone)]
pub struct AccessToken {
    /// The token itself.
    pub token: String,
    /// Seconds until it is refused.
    pub expires_in: u64,
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AccessToken").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// A token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The vault does not give out its keys.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The key of the vault does not sign.
    #[error("the signing key is of no use: {0}")]
    Key(String),
}

/// Issues and verifies access tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    keys: Arc<Keys>,
    issuer: Arc<str>,
    /// Claims whose signature is good, by the hash of the whole token. A signature does not become bad; everything else
    /// is checked each time.
    verified: Arc<Cache<[u8; 32], Arc<Claims>>>,
}

impl Tokens {
    /// With the signing keys of `vault`; `issuer` is the `iss` of every token, the origin of this installation.
    pub fn new(vault: Vault, issuer: impl Into<Arc<str>>) -> Self {
        Self {
            keys: Arc::new(Keys::new(vault)),
            issuer: issuer.into(),
            verified: Arc::new(Cache::new(REMEMBERED_TOKENS)),
        }
    }

    /// A token for `user_id` in session `session_id` of `organization`, good from `now` (microseconds) on. The first
    /// one ever makes the first key.
    pub async fn issue(
        &self,
        user_id: &str,
        organization: &LedgerId,
        session_id: &str,
        now: i64,
    ) -> Result<AccessToken, IssueError> {
        let key = self.keys.signing(now).await?;
        let issued_at = now.div_euclid(MICROS_PER_SECOND);
        let lifetime = ACCESS_TOKEN_LIFETIME.as_secs();
        let claims = Claims {
            iss: self.issuer.to_string(),
            aud: AUDIENCE.to_owned(),
            sub: user_id.to_owned(),
            org: organization.clone(),
            sid: session_id.to_owned(),
            iat: issued_at,
            nbf: issued_at,
            exp: issued_at.saturating_add_unsigned(lifetime),
            jti: uuid::Uuid::new_v4().simple().to_string(),
            kid: String::new(),
        };
        let header = Header { kid: Some(key.kid.clone()), ..Header::new(Algorithm::ES256) };
        let token =
            jsonwebtoken::encode(&header, &claims, &key.key).map_err(|error| IssueError::Key(error.to_string()))?;
        Ok(AccessToken { token, expires_in: lifetime })
    }

    /// The claims of a token that is good at `now` (microseconds).
    pub async fn verify(&self, token: &str, now: i64) -> Result<Arc<Claims>, TokenRefusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenRefusal::Malformed);
        }
        let digest = *blake3::hash(token.as_bytes()).as_bytes();
        if let Some(claims) = self.verified.get(&digest) {
            if self.keys.verifying(&claims.kid, now).await?.is_none() {
                return Err(TokenRefusal::UnknownKey);
            }
            claims.check(&self.issuer, now)?;
            return Ok(claims);
        }
        let parts = claims::split(token)?;
        let kid = claims::key_id(parts.header)?;
        let key = self.keys.verifying(&kid, now).await?.ok_or(TokenRefusal::UnknownKey)?;
        if !key.verifies(parts.message, parts.signature) {
            return Err(TokenRefusal::Signature);
        }
        let claims = Arc::new(Claims::read(parts.payload, kid)?);
        claims.check(&self.issuer, now)?;
        self.verified.insert(digest, Arc::clone(&claims));
        Ok(claims)
    }

    /// The public keys as a JSON Web Key Set: the signing key, and the ones that it replaced while tokens of theirs
    /// live.
    pub async fn jwks(&self, now: i64) -> Result<Value, IssueError> {
        let keys = self.keys.published(now).await?;
        Ok(json!({ "keys": keys }))
    }

    /// Makes a new signing key; the ones before go on verifying for [`RETIRED_KEY_GRACE`]. Answers its `kid`.
    pub async fn rotate(&self, now: i64) -> Result<String, IssueError> {
        self.keys.rotate(now).await
    }
}
