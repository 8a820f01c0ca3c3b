//! Why a token is refused. Each reason has a code that never changes; none says anything of the token's content.

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// Not three parts of base64url JSON with the fields that Daybook writes, or too long.
    #[error("the token is malformed")]
    Malformed,
    /// Signed, or claimed to be, with anything but ES256.
    #[error("the token is not signed with the algorithm in use")]
    Algorithm,
    /// The key it names is not known, or was retired long ago.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the token's signature is wrong")]
    Signature,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It says that it was issued in the future.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// It is meant for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// Somebody else issued it.
    #[error("the token is from another issuer")]
    Issuer,
    /// Its session has been ended.
    #[error("the session has ended")]
    SessionEnded,
    /// There is no such organisation here.
    #[error("the token's organization is not known")]
    UnknownOrganization,
    /// Its person is not, or no longer, somebody who may come in.
    #[error("the account is not active")]
    UserInactive,
    /// The keys cannot be read at the moment: says nothing about the token.
    #[error("the token cannot be checked at the moment")]
    Unavailable,
}

impl TokenRefusal {
    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "token.malformed",
            Self::Algorithm => "token.algorithm",
            Self::UnknownKey => "token.unknown_key",
            Self::Signature => "token.signature",
            Self::Expired => "token.expired",
            Self::NotYetValid => "token.not_yet_valid",
            Self::IssuedInFuture => "token.issued_in_future",
            Self::Audience => "token.audience",
            Self::Issuer => "token.issuer",
            Self::SessionEnded => "token.session_ended",
            Self::UnknownOrganization => "token.unknown_organization",
            Self::UserInactive => "token.user_inactive",
            Self::Unavailable => "token.unavailable",
        }
    }

    /// True where nothing is wrong with the token itself as far as is known.
    pub fn is_unavailable(self) -> bool {
        self == Self::Unavailable
    }
}
