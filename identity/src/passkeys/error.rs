//! Why a passkey does not do.

use webauthn_rs::prelude::WebauthnError;

/// Why a ceremony came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// Browsers offer no passkeys for this site.
    #[error("passkeys need a public URL with https and a name, or http://localhost")]
    NoSite,
    /// The answer is not of the form that browsers give.
    #[error("the answer of the browser cannot be read: {0}")]
    Unreadable(String),
    /// It is the answer to something else.
    #[error("the answer is to another challenge")]
    Challenge,
    /// It was given to another site.
    #[error("the answer was given to another site")]
    Origin,
    /// The signature is not of that key.
    #[error("the signature is not the passkey's")]
    Signature,
    /// The counter did not go up: there may be a copy.
    #[error("the counter of the passkey did not go up: there may be a copy of it")]
    Counter,
    /// The authenticator did not make sure who uses it.
    #[error("the authenticator did not make sure who uses it")]
    NotVerified,
    /// Anything else that is wrong with an answer.
    #[error("the answer is refused: {0}")]
    Refused(WebauthnError),
    /// What was kept cannot be read or written.
    #[error("what was kept of a passkey cannot be used")]
    Remembered(#[source] serde_json::Error),
    /// What was kept has no counter.
    #[error("what is to be kept of a passkey has no counter")]
    NoCounter,
}

impl PasskeyError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSite => "passkey.not_available",
            Self::Unreadable(_) => "passkey.unreadable",
            Self::Challenge => "passkey.wrong_challenge",
            Self::Origin => "passkey.wrong_origin",
            Self::Signature => "passkey.bad_signature",
            Self::Counter => "passkey.counter_went_back",
            Self::NotVerified => "passkey.user_not_verified",
            Self::Refused(_) => "passkey.refused",
            Self::Remembered(_) | Self::NoCounter => "passkey.internal",
        }
    }
}

impl From<WebauthnError> for PasskeyError {
    fn from(error: WebauthnError) -> Self {
        match error {
            WebauthnError::MismatchedChallenge => Self::Challenge,
            WebauthnError::InvalidRPOrigin | WebauthnError::InvalidRPIDHash | WebauthnError::CredentialCrossOrigin => {
                Self::Origin
            }
            WebauthnError::SignatureInvalid | WebauthnError::AuthenticationFailure => Self::Signature,
            WebauthnError::CredentialPossibleCompromise => Self::Counter,
            WebauthnError::UserNotVerified | WebauthnError::UserNotPresent => Self::NotVerified,
            error => Self::Refused(error),
        }
    }
}
