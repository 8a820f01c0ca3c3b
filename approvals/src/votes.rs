//! Signatures of votes. A voter signs the request, exactly what is to be done, which revision of it and what the vote says,
//! with a key that identity has of that person: a passkey's. Anybody with the ledger can verify it later.
//!
//! Plain signatures (`ES256`) are ECDSA on P-256 over the SHA-256 of the signed text. A passkey signs what the authenticator
//! says of itself and the SHA-256 of what the browser says; the browser's word has the SHA-256 of the signed text as its
//! challenge.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use daybook_domain::approval::{
    Approval, ApprovalError, Decision, SignatureAlgorithm, VoteSignature, Voter, signed_text,
};
use daybook_domain::refusal::Refusal;
use daybook_http_kit::Problem;
use daybook_identity::passkeys::{Point, p256_point};
use daybook_identity::sealer::vault_problem;
use daybook_identity::vault::Vault;
use daybook_ledger::LedgerId;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::problems::refused;

/// Bytes of what an authenticator says of itself before its flags: the digest of the site's name.
const SITE_BYTES: usize = 32;
/// Flag: somebody was there.
const USER_PRESENT: u8 = 0x01;
/// Base64 of either alphabet's kind, padded or not.
const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// What is wrong with a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// A field is not base64, a key or a signature.
    #[error("{0} cannot be read")]
    Unreadable(&'static str),
    /// It is not by this key, or over something else.
    #[error("the signature is not by this key over this vote")]
    Wrong,
    /// The passkey was used for something else, or for another vote.
    #[error("the passkey was not used to sign this vote")]
    OtherUse,
    /// The passkey was used without anybody being there.
    #[error("the authenticator does not say that somebody was present")]
    Absent,
}

/// What the browser says.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
}

/// What is signed by whoever votes like this on a request as it is now.
pub(crate) fn text(approval: &Approval, decision: Decision) -> Result<String, Problem> {
    let not_found = || refused(&ApprovalError::not_found());
    let (id, digest) = (approval.id().ok_or_else(not_found)?, approval.digest().ok_or_else(not_found)?);
    Ok(signed_text(id, digest, approval.revision(), decision))
}

/// Checks a voter's signature over `text`: 422 where it does not hold, and where it is by a key that is not the voter's.
pub(crate) async fn check(
    vault: &Vault,
    organization: &LedgerId,
    voter: &Voter,
    text: &str,
    signature: &VoteSignature,
) -> Result<(), Problem> {
    let key = verified(signature, text).map_err(|fault| {
        Problem::refused("approval.bad_signature", fault.to_string()).at("/signature", fault.to_string())
    })?;
    let passkeys = vault.passkeys_of(organization, voter.actor.as_str()).await.map_err(vault_problem)?;
    let is_theirs = passkeys.iter().any(|passkey| match p256_point(&passkey.public_key) {
        Ok(point) => point.is_some_and(|point| is_at(&key, &point)),
        Err(error) => {
            tracing::warn!(factor_id = passkey.factor_id, %error, "a passkey in the vault cannot be read");
            false
        }
    });
    if is_theirs {
        return Ok(());
    }
    let detail = "the key is not one that is registered for you";
    Err(Problem::refused("approval.unknown_key", detail).at("/signature/public_key", detail))
}

/// The key by which a signature over `text` holds.
fn verified(signature: &VoteSignature, text: &str) -> Result<VerifyingKey, SignatureFault> {
    let key = VerifyingKey::from_public_key_der(&bytes("public_key", &signature.public_key)?)
        .map_err(|_| SignatureFault::Unreadable("public_key"))?;
    let value = Signature::from_der(&bytes("signature", &signature.signature)?)
        .map_err(|_| SignatureFault::Unreadable("signature"))?;
    let signed = match signature.algorithm {
        SignatureAlgorithm::Es256 => text.as_bytes().to_vec(),
        SignatureAlgorithm::Webauthn => asserted(signature, text)?,
    };
    key.verify(&signed, &value).map_err(|_| SignatureFault::Wrong)?;
    Ok(key)
}

/// What a passkey signed, if it was used for `text`.
fn asserted(signature: &VoteSignature, text: &str) -> Result<Vec<u8>, SignatureFault> {
    let field = |name, value: &Option<String>| {
        value.as_deref().ok_or(SignatureFault::Unreadable(name)).and_then(|value| bytes(name, value))
    };
    let client_data = field("client_data", &signature.client_data)?;
    let mut signed = field("authenticator_data", &signature.authenticator_data)?;
    let said: ClientData =
        serde_json::from_slice(&client_data).map_err(|_| SignatureFault::Unreadable("client_data"))?;
    let challenge = bytes("client_data", &said.challenge)?;
    if said.kind != "webauthn.get" || challenge != Sha256::digest(text.as_bytes()).as_slice() {
        return Err(SignatureFault::OtherUse);
    }
    let flags = signed.get(SITE_BYTES).ok_or(SignatureFault::Unreadable("authenticator_data"))?;
    if flags & USER_PRESENT == 0 {
        return Err(SignatureFault::Absent);
    }
    signed.extend_from_slice(&Sha256::digest(&client_data));
    Ok(signed)
}

/// Whether a key is the point with these coordinates.
fn is_at(key: &VerifyingKey, (x, y): &Point) -> bool {
    let point = key.to_sec1_point(false);
    // Not compressed, a point is a byte that says so, and its coordinates.
    let coordinates = point.as_bytes().get(1..).unwrap_or_default();
    coordinates.len() == 64 && coordinates.starts_with(x) && coordinates.ends_with(y)
}

/// Base64 of whichever alphabet, with or without padding.
fn bytes(field: &'static str, text: &str) -> Result<Vec<u8>, SignatureFault> {
    let alphabet = if text.contains(['-', '_']) { alphabet::URL_SAFE } else { alphabet::STANDARD };
    GeneralPurpose::new(&alphabet, ANY_PADDING).decode(text).map_err(|_| SignatureFault::Unreadable(field))
}
