//! What can go wrong between this installation and a provider.

use openidconnect::{ClaimsVerificationError, SignatureVerificationError};

/// Why a login at a provider came to nothing. No text of the provider is in it but for logs.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// It does not answer, or not as a provider does. May be tried again.
    #[error("the provider does not answer: {0}")]
    Unavailable(String),
    /// It does not take the code.
    #[error("the provider does not take the code: {0}")]
    CodeRefused(String),
    /// It answered without an ID token.
    #[error("the provider answered without an ID token")]
    NoIdToken,
    /// Its ID token is not good.
    #[error("the provider's ID token is not good: {0}")]
    IdToken(#[source] ClaimsVerificationError),
    /// The ID token was issued for the use of somebody else.
    #[error("the provider's ID token is for another client")]
    OtherParty,
    /// The ID token does not belong to the access token that came with it.
    #[error("the provider's ID token and access token do not belong together")]
    OtherAccessToken,
    /// What it says of the person elsewhere is about somebody else, or cannot be read.
    #[error("what the provider says of the person cannot be used: {0}")]
    UserInfo(String),
}

impl OidcError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "oidc.provider_unavailable",
            Self::CodeRefused(_) => "oidc.code_refused",
            Self::NoIdToken => "oidc.id_token_missing",
            Self::OtherParty => "oidc.id_token_other_party",
            Self::OtherAccessToken => "oidc.id_token_other_access_token",
            Self::UserInfo(_) => "oidc.userinfo_refused",
            Self::IdToken(error) => match error {
                ClaimsVerificationError::Expired(_) => "oidc.id_token_expired",
                ClaimsVerificationError::InvalidAudience(_) => "oidc.id_token_wrong_audience",
                ClaimsVerificationError::InvalidIssuer(_) => "oidc.id_token_wrong_issuer",
                ClaimsVerificationError::InvalidNonce(_) => "oidc.id_token_wrong_nonce",
                ClaimsVerificationError::SignatureVerification(error) => match error {
                    SignatureVerificationError::NoSignature
                    | SignatureVerificationError::DisallowedAlg(_)
                    | SignatureVerificationError::UnsupportedAlg(_) => "oidc.id_token_wrong_algorithm",
                    _ => "oidc.id_token_bad_signature",
                },
                _ => "oidc.id_token_invalid",
            },
        }
    }

    /// Whether the provider is at fault for now, and not the login.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
