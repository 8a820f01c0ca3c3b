//! The signer's certificate: finding it in the token, what it may be used for, and whether it leads to a root.

use std::time::Duration;

use chrono::{DateTime, Utc};
use der::asn1::ObjectIdentifier;
use der::{Decode, Tag};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::ring::{
    ECDSA_P256_SHA256, ECDSA_P256_SHA384, ECDSA_P384_SHA256, ECDSA_P384_SHA384, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
};
use webpki::{EndEntityCert, Error, KeyUsage, anchor_from_trusted_cert};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage as Usage, SubjectKeyIdentifier};

use crate::attributes::Hash;
use crate::element::Element;
use crate::error::TimeStampError;
use crate::oid;
use crate::signed::SignerId;

const WHAT: &str = "a certificate of the token";
/// Content of the object identifier of time-stamping, as webpki wants it.
const TIME_STAMPING_BYTES: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];
/// Most root certificates that may be given.
const MOST_ROOTS: usize = 1_000;

/// What certificates of a chain may be signed with.
static CHAIN_ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512,
    ECDSA_P256_SHA256,
    ECDSA_P256_SHA384,
    ECDSA_P384_SHA256,
    ECDSA_P384_SHA384,
];

/// The certificate among `certificates` that `id` names.
pub fn find<'a>(certificates: &[&'a [u8]], id: &SignerId<'_>) -> Result<&'a [u8], TimeStampError> {
    for certificate in certificates {
        let is_named = match id {
            SignerId::IssuerAndSerial { issuer, serial } => issuer_and_serial(certificate)? == (*issuer, *serial),
            SignerId::KeyId(id) => {
                let parsed = parse(certificate)?;
                let key_id = parsed.tbs_certificate().get_extension::<SubjectKeyIdentifier>();
                key_id.map_err(malformed)?.is_some_and(|(_, key_id)| key_id.0.as_bytes() == *id)
            }
        };
        if is_named {
            return Ok(certificate);
        }
    }
    Err(TimeStampError::NoSignerCertificate)
}

/// Issuer (DER of the name) and serial number (content of the integer) as the certificate has them.
fn issuer_and_serial(certificate: &[u8]) -> Result<(&[u8], &[u8]), TimeStampError> {
    let mut fields = Element::whole(certificate, WHAT)?.sequence()?.next()?.sequence()?;
    fields.next_if(|element| element.is_context(0))?;
    let serial = fields.next()?;
    serial.tagged(Tag::Integer)?;
    fields.next()?;
    let issuer = fields.next()?;
    Ok((issuer.bytes, serial.content))
}

fn parse(certificate: &[u8]) -> Result<Certificate, TimeStampError> {
    Certificate::from_der(certificate).map_err(malformed)
}

fn malformed(_: der::Error) -> TimeStampError {
    TimeStampError::Malformed(WHAT)
}

/// The subject's name, for example `CN=Example TSA,O=Example`.
pub fn subject(certificate: &[u8]) -> Result<String, TimeStampError> {
    Ok(parse(certificate)?.tbs_certificate().subject().to_string())
}

/// Checks that the certificate is for time-stamping alone, and says so critically (RFC 3161, 2.3).
pub fn check_purpose(certificate: &[u8]) -> Result<(), TimeStampError> {
    let refused = |why| Err(TimeStampError::NotForTimeStamping(why));
    let certificate = parse(certificate)?;
    let certificate = certificate.tbs_certificate();
    match certificate.get_extension::<ExtendedKeyUsage>().map_err(malformed)? {
        None => return refused("it has no extended key usage"),
        Some((_, purposes)) if purposes.0 != [oid::TIME_STAMPING] => {
            return refused("its extended key usage is not time-stamping alone");
        }
        Some((false, _)) => return refused("its extended key usage is not critical"),
        Some((true, _)) => {}
    }
    match certificate.get_extension::<Usage>().map_err(malformed)? {
        Some((_, usage)) if !usage.digital_signature() && !usage.non_repudiation() => {
            refused("its key usage allows no signatures")
        }
        _ => Ok(()),
    }
}

/// Checks a signature over `message` by the certificate's key.
pub fn check_signature(
    certificate: &[u8],
    algorithm: ObjectIdentifier,
    hash: Hash,
    message: &[u8],
    signature: &[u8],
) -> Result<(), TimeStampError> {
    // Where the algorithm names a digest, it is the one that the signer names elsewhere.
    let candidates: &[&dyn SignatureVerificationAlgorithm] = match (algorithm, hash) {
        (oid::RSA | oid::RSA_SHA_256, Hash::Sha256) => &[RSA_PKCS1_2048_8192_SHA256],
        (oid::RSA | oid::RSA_SHA_384, Hash::Sha384) => &[RSA_PKCS1_2048_8192_SHA384],
        (oid::RSA | oid::RSA_SHA_512, Hash::Sha512) => &[RSA_PKCS1_2048_8192_SHA512],
        (oid::ECDSA_SHA_256, Hash::Sha256) => &[ECDSA_P256_SHA256, ECDSA_P384_SHA256],
        (oid::ECDSA_SHA_384, Hash::Sha384) => &[ECDSA_P256_SHA384, ECDSA_P384_SHA384],
        _ => return Err(TimeStampError::Algorithm(format!("{algorithm} with {hash:?}"))),
    };
    let certificate = CertificateDer::from(certificate);
    let certificate = EndEntityCert::try_from(&certificate).map_err(unusable)?;
    for candidate in candidates {
        match certificate.verify_signature(*candidate, message, signature) {
            Ok(()) => return Ok(()),
            Err(Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)) => {}
            Err(_) => return Err(TimeStampError::Signature),
        }
    }
    Err(TimeStampError::Algorithm(format!("{algorithm} with the signer's kind of key")))
}

/// Checks that the certificate leads to one of the roots, by way of `others`, and that all were valid at `time`.
pub fn check_chain(
    certificate: &[u8],
    others: &[&[u8]],
    roots_pem: &str,
    time: DateTime<Utc>,
) -> Result<(), TimeStampError> {
    let roots = roots(roots_pem)?;
    let anchors = roots
        .iter()
        .map(anchor_from_trusted_cert)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TimeStampError::Roots(error.to_string()))?;
    let certificate = CertificateDer::from(certificate);
    let certificate = EndEntityCert::try_from(&certificate).map_err(unusable)?;
    let others: Vec<CertificateDer<'_>> = others.iter().map(|other| CertificateDer::from(*other)).collect();
    let seconds = u64::try_from(time.timestamp()).map_err(|_| TimeStampError::Malformed("the token's time"))?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let usage = KeyUsage::required_if_present(TIME_STAMPING_BYTES);
    match certificate.verify_for_usage(CHAIN_ALGORITHMS, &anchors, &others, at, usage, None, None) {
        Ok(_) => Ok(()),
        Err(Error::CertExpired { .. }) => Err(TimeStampError::CertificateExpired(time)),
        Err(Error::CertNotValidYet { .. }) => Err(TimeStampError::CertificateNotYetValid(time)),
        Err(error) => Err(unusable(error)),
    }
}

fn unusable(error: Error) -> TimeStampError {
    TimeStampError::Untrusted(error.to_string())
}

/// Checks that root certificates can be used; answers how many there are.
pub fn check_roots(roots_pem: &str) -> Result<usize, TimeStampError> {
    let roots = roots(roots_pem)?;
    for root in &roots {
        anchor_from_trusted_cert(root).map_err(|error| TimeStampError::Roots(error.to_string()))?;
    }
    Ok(roots.len())
}

fn roots(pem: &str) -> Result<Vec<CertificateDer<'static>>, TimeStampError> {
    let mut roots = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.push(certificate.map_err(|error| TimeStampError::Roots(error.to_string()))?);
        if roots.len() > MOST_ROOTS {
            return Err(TimeStampError::Roots(format!("there are more than {MOST_ROOTS}")));
        }
    }
    if roots.is_empty() {
        return Err(TimeStampError::Roots("there is no certificate in PEM".to_owned()));
    }
    Ok(roots)
}
