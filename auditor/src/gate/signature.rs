//! Signatures of votes: ECDSA on P-256 with SHA-256, plain or as the assertion of a passkey.
//!
//! What a signature shows: whoever held that key signed exactly this request, revision and decision. Whose key it is, it does
//! not show; and of a passkey, neither for which site the assertion was made, since the ledger does not say which is the
//! right one.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::DecodePublicKey as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::payloads::{Decision, VoteSignature};

/// Either alphabet, with or without the padding: all are in use for keys and assertions.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
/// Bytes of authenticator data up to the end of the counter: hash of the site, flags, counter.
const SHORTEST_AUTHENTICATOR_DATA: usize = 37;
/// Where the flags stand in it.
const FLAGS_PLACE: usize = 32;
/// The flag that somebody was there.
const USER_PRESENT: u8 = 0x01;

/// Exactly what a voter signs.
pub(super) fn signed_text(approval_id: &str, digest: &str, revision: u64, decision: Decision) -> String {
    let decision = decision.as_str();
    format!("daybook approval vote 1\n{approval_id}\n{digest}\n{revision}\n{decision}\n")
}

#[derive(Debug, Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
}

/// Whether the signature is over that text; why not.
pub(super) fn verify(signature: &VoteSignature, text: &str) -> Result<(), String> {
    let key = bytes("public key", &signature.public_key)?;
    let key = VerifyingKey::from_public_key_der(&key).map_err(|_| "its key is no public key on P-256".to_owned())?;
    let der = bytes("signature", &signature.signature)?;
    let der = Signature::from_der(&der).map_err(|_| "it is no ECDSA signature in DER".to_owned())?;
    let signed = match signature.algorithm.as_str() {
        "ES256" => text.as_bytes().to_vec(),
        "webauthn" => assertion(signature, text)?,
        other => return Err(format!("the algorithm {other:?} is not known here")),
    };
    key.verify(&signed, &der).map_err(|_| "its key did not sign this request, revision and decision".to_owned())
}

/// What an authenticator signs, where the assertion is about this text.
fn assertion(signature: &VoteSignature, text: &str) -> Result<Vec<u8>, String> {
    let (Some(client_data), Some(authenticator_data)) = (&signature.client_data, &signature.authenticator_data) else {
        return Err("an assertion has client data and authenticator data".to_owned());
    };
    let client_data = bytes("client data", client_data)?;
    let mut signed = bytes("authenticator data", authenticator_data)?;
    let read: ClientData =
        serde_json::from_slice(&client_data).map_err(|_| "its client data cannot be read".to_owned())?;
    if read.kind != "webauthn.get" {
        return Err(format!("its client data is for {:?}, not for an assertion", read.kind));
    }
    let challenge = general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()));
    if read.challenge != challenge {
        return Err("its challenge is not this request, revision and decision".to_owned());
    }
    if signed.len() < SHORTEST_AUTHENTICATOR_DATA {
        return Err("its authenticator data is too short".to_owned());
    }
    if signed.get(FLAGS_PLACE).is_none_or(|flags| flags & USER_PRESENT == 0) {
        return Err("its authenticator saw nobody present".to_owned());
    }
    signed.extend_from_slice(&Sha256::digest(&client_data));
    Ok(signed)
}

fn bytes(what: &str, text: &str) -> Result<Vec<u8>, String> {
    let standard = text.replace('-', "+").replace('_', "/");
    BASE64.decode(standard).map_err(|_| format!("its {what} is no base64"))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::Signer as _;
    use p256::pkcs8::EncodePublicKey as _;

    use super::*;

    const DIGEST: &str = "a3c1f0d25b7e4896a3c1f0d25b7e4896a3c1f0d25b7e4896a3c1f0d25b7e4896";

    fn text() -> String {
        signed_text("apr_1", DIGEST, 2, Decision::Approve)
    }

    fn key() -> SigningKey {
        SigningKey::from_slice(&[9; 32]).unwrap()
    }

    fn made(algorithm: &str, signed: &[u8]) -> VoteSignature {
        let signature: Signature = key().sign(signed);
        VoteSignature {
            algorithm: algorithm.to_owned(),
            public_key: STANDARD.encode(key().verifying_key().to_public_key_der().unwrap()),
            signature: STANDARD.encode(signature.to_der().as_bytes()),
            client_data: None,
            authenticator_data: None,
        }
    }

    fn assertion_of(kind: &str, challenge: &str, flags: u8) -> VoteSignature {
        let client_data =
            format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"https://daybook.example"}}"#);
        let mut data = vec![7; 32];
        data.extend_from_slice(&[flags, 0, 0, 0, 3]);
        let signed = [data.as_slice(), Sha256::digest(client_data.as_bytes()).as_slice()].concat();
        VoteSignature {
            client_data: Some(URL_SAFE_NO_PAD.encode(client_data)),
            authenticator_data: Some(URL_SAFE_NO_PAD.encode(data)),
            ..made("webauthn", &signed)
        }
    }

    #[test]
    fn it_is_the_text_that_voters_are_asked_to_sign() {
        use daybook_domain::approval::{ActionDigest, Decision as Theirs, signed_text as theirs};
        let id = daybook_domain::ApprovalId::parse("", "apr_1").unwrap();
        let digest = ActionDigest::parse("", DIGEST).unwrap();
        assert_eq!(theirs(&id, &digest, 2, Theirs::Approve), text());
        assert_eq!(theirs(&id, &digest, 2, Theirs::Reject), signed_text("apr_1", DIGEST, 2, Decision::Reject));
    }

    #[test]
    fn plain_signature_is_over_id_digest_revision_and_decision() {
        let signature = made("ES256", text().as_bytes());
        assert_eq!(verify(&signature, &text()), Ok(()));
        for other in [
            signed_text("apr_2", DIGEST, 2, Decision::Approve),
            signed_text("apr_1", &DIGEST.replace('a', "b"), 2, Decision::Approve),
            signed_text("apr_1", DIGEST, 3, Decision::Approve),
            signed_text("apr_1", DIGEST, 2, Decision::Reject),
        ] {
            assert!(verify(&signature, &other).is_err(), "{other}");
        }
        for broken in [
            VoteSignature { algorithm: "none".to_owned(), ..signature.clone() },
            VoteSignature { public_key: "AAAA".to_owned(), ..signature.clone() },
            VoteSignature { signature: "AAAA".to_owned(), ..signature.clone() },
            VoteSignature { signature: "?".to_owned(), ..signature },
        ] {
            assert!(verify(&broken, &text()).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn passkeys_assertion_must_be_about_the_vote_and_made_by_somebody_present() {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(text().as_bytes()));
        let good = assertion_of("webauthn.get", &challenge, 0x05);
        assert_eq!(verify(&good, &text()), Ok(()));
        let padded =
            VoteSignature { client_data: good.client_data.as_deref().map(|text| format!("{text}==")), ..good.clone() };
        assert!(verify(&padded, &text()).is_ok() || padded.client_data != good.client_data);
        for (bad, why) in [
            (assertion_of("webauthn.create", &challenge, 0x05), "not for an assertion"),
            (assertion_of("webauthn.get", "AAAA", 0x05), "challenge"),
            (assertion_of("webauthn.get", &challenge, 0x04), "nobody present"),
            (VoteSignature { client_data: None, ..good.clone() }, "has client data"),
            (VoteSignature { authenticator_data: Some("AAAA".to_owned()), ..good.clone() }, "too short"),
            (VoteSignature { signature: made("ES256", text().as_bytes()).signature, ..good }, "did not sign"),
        ] {
            let refused = verify(&bad, &text()).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
