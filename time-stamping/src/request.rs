//! The request to a time-stamping authority (RFC 3161, 2.4.1).

use der::asn1::{Null, ObjectIdentifier, OctetString};
use der::{Encode, Sequence};

use crate::oid;

#[derive(Sequence)]
struct TimeStampReq {
    version: u8,
    message_imprint: MessageImprint,
    nonce: u64,
    cert_req: bool,
}

#[derive(Sequence)]
struct MessageImprint {
    hash_algorithm: HashAlgorithm,
    hashed_message: OctetString,
}

#[derive(Sequence)]
struct HashAlgorithm {
    algorithm: ObjectIdentifier,
    parameters: Null,
}

/// A request for a token over a SHA-256 digest, as DER: to be sent as `application/timestamp-query`.
///
/// The authority is asked for its certificate. The nonce, a fresh random number, comes back in the token.
pub fn request(message_sha256: &[u8; 32], nonce: u64) -> Vec<u8> {
    let request = OctetString::new(message_sha256.to_vec()).and_then(|hashed_message| {
        TimeStampReq {
            version: 1,
            message_imprint: MessageImprint {
                hash_algorithm: HashAlgorithm { algorithm: oid::SHA_256, parameters: Null },
                hashed_message,
            },
            nonce,
            cert_req: true,
        }
        .to_der()
    });
    // Every length here is a small constant, so there is nothing that could fail.
    request.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_laid_out_as_the_standard_says() {
        let expected = concat!(
            "3042020101",
            "3031300d060960864801650304020105000420",
            "abababababababababababababababababababababababababababababababab",
            "020700ffffffffffff",
            "0101ff"
        );
        let actual = request(&[0xab; 32], 0xffff_ffff_ffff);
        assert_eq!(hex::encode(&actual), expected);
        assert!(!request(&[0; 32], 0).is_empty() && !request(&[0; 32], u64::MAX).is_empty());
    }
}
