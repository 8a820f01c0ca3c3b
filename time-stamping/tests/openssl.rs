//! Tokens of the `openssl` program as time-stamping authority: good ones are believed, each kind of bad one is refused for
//! its own reason.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed unwrap is a failed test")]

mod authority;

use authority::{ALWAYS, Authority, GOOD_EXTENSIONS, Key, Plan, openssl_is_here};
use chrono::{TimeDelta, Utc};
use daybook_time_stamping::{Stamp, TimeStampError, check_roots, inspect, parse_response, request, verify_token};

const DIGEST: [u8; 32] = [7; 32];
const NONCE: u64 = 0xfedc_ba98_7654_3210;

fn token(authority: &Authority) -> Vec<u8> {
    parse_response(&authority.reply(&request(&DIGEST, NONCE))).unwrap().into_der()
}

fn verify(authority: &Authority, token: &[u8]) -> Result<Stamp, TimeStampError> {
    verify_token(token, &DIGEST, &authority.roots(), Some(NONCE))
}

fn accepts(plan: &Plan) {
    let authority = Authority::new(plan);
    let token = token(&authority);
    let stamp = verify(&authority, &token).unwrap();
    assert_eq!((stamp.policy.as_str(), stamp.serial.is_empty()), ("1.2.3.4.1", false));
    assert_eq!(stamp.tsa, "CN=Example TSA,O=Example");
    assert!((Utc::now() - stamp.generated_at).abs() < TimeDelta::minutes(5));
    let content = inspect(&token).unwrap();
    assert_eq!((content.message_sha256, content.nonce), (DIGEST, Some(format!("{NONCE:016x}"))));
    assert_eq!(content.accuracy, Some(TimeDelta::microseconds(1_500_100)));
    assert_ne!(content.generated_at.timestamp_subsec_micros(), 0, "the fraction of a second is kept");
    // openssl believes the same of its own answer to our request.
    let answer = authority.openssl(&[
        "ts",
        "-verify",
        "-queryfile",
        "request.tsq",
        "-in",
        "reply.tsr",
        "-CAfile",
        "root.pem",
        "-untrusted",
        "tsa.pem",
    ]);
    assert!(answer.contains("Verification: OK"), "{answer}");
}

#[test]
fn tokens_of_rsa_keys_are_believed() {
    if openssl_is_here() {
        accepts(&Plan::good(Key::Rsa));
        accepts(&Plan { digest: "sha512", certificate_digest: "sha1", ..Plan::good(Key::Rsa) });
    }
}

#[test]
fn tokens_of_elliptic_curve_keys_are_believed() {
    if openssl_is_here() {
        accepts(&Plan::good(Key::P256));
        accepts(&Plan { digest: "sha384", certificate_digest: "sha512", ..Plan::good(Key::P384) });
    }
}

#[test]
fn chain_may_go_by_way_of_an_intermediate_authority() {
    if openssl_is_here() {
        let authority = Authority::new(&Plan { has_intermediate: true, ..Plan::good(Key::P256) });
        assert!(verify(&authority, &token(&authority)).is_ok());
    }
}

#[test]
fn other_digest_other_nonce_and_other_root_are_refused() {
    if !openssl_is_here() {
        return;
    }
    let authority = Authority::good(Key::P256);
    let token = token(&authority);
    let roots = authority.roots();
    assert_eq!(verify_token(&token, &[8; 32], &roots, Some(NONCE)), Err(TimeStampError::OtherImprint));
    assert_eq!(verify_token(&token, &DIGEST, &roots, Some(1)), Err(TimeStampError::OtherNonce));
    assert!(verify_token(&token, &DIGEST, &roots, None).is_ok());
    let stranger = Authority::good(Key::P256).roots();
    assert!(matches!(verify_token(&token, &DIGEST, &stranger, None), Err(TimeStampError::Untrusted(_))));
    assert!(verify_token(&token, &DIGEST, &format!("{stranger}{roots}"), None).is_ok());
    assert_eq!(check_roots(&format!("{stranger}{roots}")), Ok(2));
    for no_roots in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(verify_token(&token, &DIGEST, no_roots, None), Err(TimeStampError::Roots(_))));
        assert!(matches!(check_roots(no_roots), Err(TimeStampError::Roots(_))));
    }
}

#[test]
fn certificate_must_be_valid_at_the_stated_time() {
    if !openssl_is_here() {
        return;
    }
    let old = Authority::new(&Plan { validity: ("20200101000000Z", "20200201000000Z"), ..Plan::good(Key::P256) });
    assert!(matches!(verify(&old, &token(&old)), Err(TimeStampError::CertificateExpired(_))));
    let future = Authority::new(&Plan { validity: ("20480101000000Z", "20480201000000Z"), ..Plan::good(Key::P256) });
    assert!(matches!(verify(&future, &token(&future)), Err(TimeStampError::CertificateNotYetValid(_))));
}

/// A token that openssl's `ts` would not make: the statement of a good one, signed by the same key with another certificate.
fn signed_otherwise(extensions: &'static str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> (Authority, Vec<u8>) {
    let authority = Authority::good(Key::Rsa);
    authority.write("good.der", token(&authority));
    authority.openssl(&["cms", "-verify", "-noverify", "-inform", "DER", "-in", "good.der", "-out", "statement.der"]);
    authority.write("statement.der", change(authority.read("statement.der")));
    authority.write("tsa.ext", extensions);
    authority.issue("root", "tsa", "tsa.ext", ALWAYS);
    authority.openssl(&[
        "cms",
        "-sign",
        "-binary",
        "-nodetach",
        "-cades",
        "-md",
        "sha256",
        "-econtent_type",
        "1.2.840.113549.1.9.16.1.4",
        "-in",
        "statement.der",
        "-signer",
        "tsa.pem",
        "-inkey",
        "tsa.key",
        "-outform",
        "DER",
        "-out",
        "other.der",
    ]);
    let token = authority.read("other.der");
    (authority, token)
}

#[test]
fn statement_may_say_more_but_nothing_that_must_be_understood_and_is_not() {
    if !openssl_is_here() {
        return;
    }
    // [1] { { 1.2.3.4, critical?, "" } } at the end of the statement, whose length is in one byte after 0x81.
    let extended = |extension: &'static [u8]| {
        signed_otherwise(GOOD_EXTENSIONS, move |mut statement| {
            assert_eq!(statement[1], 0x81);
            statement[2] += u8::try_from(extension.len()).unwrap();
            statement.extend_from_slice(extension);
            statement
        })
    };
    let (authority, token) = extended(&[0xa1, 9, 0x30, 7, 6, 3, 0x2a, 3, 4, 4, 0]);
    assert!(verify(&authority, &token).is_ok());
    let (authority, token) = extended(&[0xa1, 12, 0x30, 10, 6, 3, 0x2a, 3, 4, 1, 1, 0xff, 4, 0]);
    assert_eq!(verify(&authority, &token), Err(TimeStampError::Extension("1.2.3.4".to_owned())));
}

#[test]
fn certificate_must_be_for_time_stamping_alone_and_say_so_critically() {
    if !openssl_is_here() {
        return;
    }
    let (authority, good) = signed_otherwise(GOOD_EXTENSIONS, |statement| statement);
    assert!(verify(&authority, &good).is_ok());
    let refused = |extensions, why| {
        let (authority, token) = signed_otherwise(extensions, |statement| statement);
        assert_eq!(verify(&authority, &token), Err(TimeStampError::NotForTimeStamping(why)), "{extensions}");
    };
    refused("basicConstraints=CA:FALSE\n", "it has no extended key usage");
    refused("extendedKeyUsage=timeStamping\n", "its extended key usage is not critical");
    let not_alone = "its extended key usage is not time-stamping alone";
    refused("extendedKeyUsage=critical,timeStamping,codeSigning\n", not_alone);
    refused("extendedKeyUsage=critical,codeSigning\n", not_alone);
    let no_signatures = "extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,keyEncipherment\n";
    refused(no_signatures, "its key usage allows no signatures");
}

fn place_of(part: &[u8], whole: &[u8]) -> usize {
    whole.windows(part.len()).position(|window| window == part).unwrap()
}

#[test]
fn altered_statement_and_altered_signature_are_told_apart() {
    if !openssl_is_here() {
        return;
    }
    let authority = Authority::good(Key::Rsa);
    let good = token(&authority);
    let year = inspect(&good).unwrap().generated_at.format("%Y%m%d").to_string();
    let mut altered = good.clone();
    altered[place_of(year.as_bytes(), &good) + 3] ^= 1;
    assert_eq!(verify(&authority, &altered), Err(TimeStampError::ContentAltered));
    let mut altered = good.clone();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(verify(&authority, &altered), Err(TimeStampError::Signature));
    // The digest in the signed attributes: the content no longer fits; were it made to fit, the signature would not.
    let attribute = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
    let mut altered = good.clone();
    altered[place_of(&attribute, &good) + attribute.len() + 6] ^= 1;
    assert_eq!(verify(&authority, &altered), Err(TimeStampError::ContentAltered));
}

#[test]
fn no_change_of_one_byte_leads_to_another_statement() {
    if !openssl_is_here() {
        return;
    }
    let authority = Authority::good(Key::P256);
    let good = token(&authority);
    let stamp = verify(&authority, &good).unwrap();
    let mut refused = 0;
    for place in 0..good.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut altered = good.clone();
            altered[place] ^= change;
            match verify(&authority, &altered) {
                // What nobody signed, such as version numbers and certificates that are not needed.
                Ok(same) => assert_eq!(same, stamp),
                Err(_) => refused += 1,
            }
        }
        assert!(verify(&authority, &good[..place]).is_err());
    }
    assert!(refused > good.len() * 3 / 2, "{refused} of {} changes were refused", good.len() * 3);
}

#[test]
fn another_certificate_for_the_same_key_is_not_the_signers() {
    if !openssl_is_here() {
        return;
    }
    let authority = Authority::good(Key::Rsa);
    let good = token(&authority);
    let der = |name: &str| {
        authority.openssl(&["x509", "-in", "tsa.pem", "-outform", "DER", "-out", name]);
        authority.read(name)
    };
    let first = der("first.der");
    authority.write("serial", "01\n");
    authority.write("index.txt", "");
    authority.issue("root", "tsa", "tsa.ext", (ALWAYS.0, "20481231000000Z"));
    let second = der("second.der");
    assert_eq!(first.len(), second.len());
    let place = place_of(&first, &good);
    let mut swapped = good;
    swapped[place..place + second.len()].copy_from_slice(&second);
    assert_eq!(verify(&authority, &swapped), Err(TimeStampError::OtherSignerCertificate));
}

#[test]
fn refusal_of_the_authority_is_passed_on_in_words() {
    if !openssl_is_here() {
        return;
    }
    let authority = Authority::good(Key::P256);
    let digest = "-sha1".to_owned();
    let twenty = "00".repeat(20);
    authority.openssl(&["ts", "-query", &digest, "-digest", &twenty, "-out", "sha1.tsq"]);
    let request = authority.read("sha1.tsq");
    let words = parse_response(&authority.reply(&request)).unwrap_err().to_string();
    assert!(words.contains("rejected") && words.contains("does not know the digest algorithm"), "{words}");
}

#[test]
fn signed_data_that_is_no_time_stamp_is_refused() {
    if !openssl_is_here() {
        return;
    }
    let authority = Authority::good(Key::Rsa);
    authority.write("text", "not a time-stamp");
    authority.openssl(&[
        "cms",
        "-sign",
        "-binary",
        "-nodetach",
        "-in",
        "text",
        "-signer",
        "tsa.pem",
        "-inkey",
        "tsa.key",
        "-outform",
        "DER",
        "-out",
        "signed.der",
    ]);
    let signed = authority.read("signed.der");
    assert!(matches!(verify(&authority, &signed), Err(TimeStampError::NotATimeStamp(_))));
}
