//! Why a time-stamp is not believed: one variant a rule.

use chrono::{DateTime, Utc};

/// What is wrong with a response or a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeStampError {
    /// The bytes are not what RFC 3161 and RFC 5652 lay down.
    #[error("{0} is malformed")]
    Malformed(&'static str),
    /// The authority answered, but gave no token.
    #[error("the time-stamping authority refused: {0}")]
    Refused(String),
    /// The message says that a token is there, and it is not.
    #[error("the response was granted, but holds no token")]
    NoToken,
    /// Signed data, but not of a time-stamp.
    #[error("the token's content is {0}, not a time-stamp")]
    NotATimeStamp(String),
    /// A time-stamp has one signer.
    #[error("the token has {0} signers; a time-stamp has one")]
    Signers(usize),
    /// The signed attributes are not the ones a time-stamp must have.
    #[error("the token's signed attributes are wrong: {0}")]
    Attributes(&'static str),
    /// The content is not what was signed.
    #[error("the token's content is not what its signer signed")]
    ContentAltered,
    /// The token has no certificate of its signer.
    #[error("the token holds no certificate of its signer")]
    NoSignerCertificate,
    /// The signed attributes name another certificate than the signer's.
    #[error("the certificate in the token is not the one that its signer named")]
    OtherSignerCertificate,
    /// An algorithm that is not supported, or no longer good enough.
    #[error("the algorithm {0} is not supported")]
    Algorithm(String),
    /// The statement has an extension that must be understood, and is not.
    #[error("the token has the critical extension {0}, which is not understood")]
    Extension(String),
    /// The signature is not of the certificate's key over these attributes.
    #[error("the token's signature is not valid")]
    Signature,
    /// The signer's certificate is not for time-stamping.
    #[error("the signer's certificate is not for time-stamping: {0}")]
    NotForTimeStamping(&'static str),
    /// A certificate had expired when the token was made.
    #[error("a certificate of the token had expired at {0}")]
    CertificateExpired(DateTime<Utc>),
    /// A certificate was not valid yet when the token was made.
    #[error("a certificate of the token was not valid yet at {0}")]
    CertificateNotYetValid(DateTime<Utc>),
    /// The signer's certificate leads to none of the roots.
    #[error("the signer's certificate leads to none of the given root certificates: {0}")]
    Untrusted(String),
    /// The root certificates cannot be used.
    #[error("the root certificates cannot be used: {0}")]
    Roots(String),
    /// The token is about something else.
    #[error("the token is about another digest")]
    OtherImprint,
    /// The token answers another request, or an older one.
    #[error("the token answers another request: its nonce is not the one that was sent")]
    OtherNonce,
}
