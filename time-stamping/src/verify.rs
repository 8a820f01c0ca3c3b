//! Whether a token is to be believed: all rules in one place, in order.

use chrono::{DateTime, Utc};

use crate::certificate;
use crate::error::TimeStampError;
use crate::signed::SignedData;
use crate::tst_info::{TokenContent, is_nonce};

/// What a verified token proves: its authority saw the digest at this time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The time that the authority gave.
    pub generated_at: DateTime<Utc>,
    /// Serial number of the token at its authority, in hexadecimal digits.
    pub serial: String,
    /// Object identifier of the authority's policy.
    pub policy: String,
    /// Name of the authority in its certificate, for example `CN=Example TSA,O=Example`.
    pub tsa: String,
}

/// Reads what a token states, believing it blindly. For display, and to find out what a token is about.
pub fn inspect(token_der: &[u8]) -> Result<TokenContent, TimeStampError> {
    TokenContent::parse(SignedData::parse(token_der)?.content)
}

/// Verifies a token over a SHA-256 digest against root certificates in PEM, and the nonce where one was sent.
///
/// Certificates are judged at the time that the token states, so that it still verifies after they have expired.
pub fn verify_token(
    token_der: &[u8],
    message_sha256: &[u8; 32],
    roots_pem: &str,
    nonce: Option<u64>,
) -> Result<Stamp, TimeStampError> {
    let token = SignedData::parse(token_der)?;
    let signer = &token.signer;
    signer.attributes.check_content(token.content, signer.hash)?;
    let certificate = certificate::find(&token.certificates, &signer.id)?;
    signer.attributes.check_certificate(certificate)?;
    let signed = signer.attributes.signed_bytes();
    certificate::check_signature(certificate, signer.algorithm, signer.hash, &signed, signer.signature)?;
    certificate::check_purpose(certificate)?;
    let content = TokenContent::parse(token.content)?;
    certificate::check_chain(certificate, &token.certificates, roots_pem, content.generated_at)?;
    if content.message_sha256 != *message_sha256 {
        return Err(TimeStampError::OtherImprint);
    }
    if nonce.is_some_and(|nonce| !is_nonce(content.nonce.as_deref(), nonce)) {
        return Err(TimeStampError::OtherNonce);
    }
    Ok(Stamp {
        generated_at: content.generated_at,
        serial: content.serial,
        policy: content.policy,
        tsa: certificate::subject(certificate)?,
    })
}
