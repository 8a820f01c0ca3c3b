//! The parts of a token, read strictly: what Daybook does not write, it does not accept.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daybook_ledger::LedgerId;
use serde::{Deserialize, Serialize};

use super::{CLOCK_SKEW, MICROS_PER_SECOND, TokenRefusal};

/// The `aud` of every token.
pub const AUDIENCE: &str = "daybook";
/// The one `alg` that is accepted.
const ALGORITHM: &str = "ES256";
/// Longest `kid` that is looked for.
const MAX_KEY_ID_BYTES: usize = 64;

/// What a token says. Times are in seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The installation that issued it.
    pub iss: String,
    /// For whom: [`AUDIENCE`].
    pub aud: String,
    /// The person's id, `usr_…`.
    pub sub: String,
    /// The person's organisation.
    pub org: LedgerId,
    /// The session, `ses_…`.
    pub sid: String,
    /// When it was issued.
    pub iat: i64,
    /// From when it is good.
    pub nbf: i64,
    /// From when it is no longer.
    pub exp: i64,
    /// Its own id.
    pub jti: String,
    /// The key that signed it; of the header, not of the claims.
    #[serde(skip)]
    pub kid: String,
}

impl Claims {
    /// Reads the middle part of a token whose signature is good.
    pub(super) fn read(payload: &str, kid: String) -> Result<Self, TokenRefusal> {
        let bytes = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenRefusal::Malformed)?;
        let claims: Self = serde_json::from_slice(&bytes).map_err(|_| TokenRefusal::Malformed)?;
        Ok(Self { kid, ..claims })
    }

    /// Checks issuer, audience and times against `now` (microseconds).
    pub(super) fn check(&self, issuer: &str, now: i64) -> Result<(), TokenRefusal> {
        if self.iss != issuer {
            return Err(TokenRefusal::Issuer);
        }
        if self.aud != AUDIENCE {
            return Err(TokenRefusal::Audience);
        }
        let now = now.div_euclid(MICROS_PER_SECOND);
        // Nobody needs a moment more than the lifetime: the token is refused from `exp` on.
        if now >= self.exp {
            return Err(TokenRefusal::Expired);
        }
        let latest = now.saturating_add_unsigned(CLOCK_SKEW.as_secs());
        if self.iat > latest {
            return Err(TokenRefusal::IssuedInFuture);
        }
        if self.nbf > latest {
            return Err(TokenRefusal::NotYetValid);
        }
        Ok(())
    }
}

/// A token cut into its parts.
pub(super) struct Parts<'a> {
    pub header: &'a str,
    pub payload: &'a str,
    /// What is signed: header, dot, payload.
    pub message: &'a str,
    pub signature: &'a str,
}

/// Three parts, neither fewer nor more.
pub(super) fn split(token: &str) -> Result<Parts<'_>, TokenRefusal> {
    let (message, signature) = token.rsplit_once('.').ok_or(TokenRefusal::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(TokenRefusal::Malformed)?;
    if header.is_empty() || payload.is_empty() || payload.contains('.') {
        return Err(TokenRefusal::Malformed);
    }
    Ok(Parts { header, payload, message, signature })
}

/// Reads the header: the algorithm in use, a type that fits, no extension that would have to be understood, and a key
/// id. `jwk`, `jku` and `x5u` are passed over: keys come from the vault and from nowhere else.
pub(super) fn key_id(header: &str) -> Result<String, TokenRefusal> {
    #[derive(Deserialize)]
    struct Fields {
        alg: String,
        typ: Option<String>,
        kid: Option<String>,
        crit: Option<serde::de::IgnoredAny>,
    }
    let bytes = URL_SAFE_NO_PAD.decode(header).map_err(|_| TokenRefusal::Malformed)?;
    let fields: Fields = serde_json::from_slice(&bytes).map_err(|_| TokenRefusal::Malformed)?;
    if fields.alg != ALGORITHM {
        return Err(TokenRefusal::Algorithm);
    }
    let is_token = |typ: &str| typ.eq_ignore_ascii_case("jwt") || typ.eq_ignore_ascii_case("at+jwt");
    if !fields.typ.as_deref().is_some_and(is_token) || fields.crit.is_some() {
        return Err(TokenRefusal::Malformed);
    }
    fields.kid.filter(|kid| !kid.is_empty() && kid.len() <= MAX_KEY_ID_BYTES).ok_or(TokenRefusal::UnknownKey)
}
