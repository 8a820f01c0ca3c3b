//! Keys: made for their owner alone, kept over restarts, rotated with an overlap, verified by other implementations.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use daybook_ledger::keys::{
    Algorithm, KeyError, KeyId, KeyRing, KeyRingOptions, KeyState, SecretPem, SigningKeySource, VerifierKey,
    detached_signature, read_records,
};
use daybook_ledger::note::SignedNote;
use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::DecodePublicKey as _;

const ORIGIN: &str = "example.com/main";
const DAY: i64 = 86_400_000_000;
const NOON: i64 = 1_795_262_400_000_000;

fn options(folder: &Path) -> KeyRingOptions {
    KeyRingOptions {
        folder: folder.join("keys"),
        origin: ORIGIN.to_owned(),
        source: SigningKeySource::Folder,
        ed25519: false,
        overlap_micros: 7 * DAY,
    }
}

fn active(ring: &KeyRing, now: i64) -> Vec<KeyId> {
    ring.signers(now).iter().map(|record| record.key_id).collect()
}

fn signed(ring: &KeyRing, body: &str, now: i64) -> SignedNote {
    ring.sign(body, &active(ring, now)).unwrap()
}

/// A P-256 key as crate `signed_note` takes verifiers.
struct P256Verifier {
    name: String,
    id: u32,
    key: p256::ecdsa::VerifyingKey,
}

impl P256Verifier {
    fn new(key: &VerifierKey) -> Self {
        Self {
            name: key.name().to_owned(),
            id: u32::from_be_bytes(key.key_id().0),
            key: p256::ecdsa::VerifyingKey::from_public_key_pem(&key.to_pem()).unwrap(),
        }
    }
}

impl signed_note::Verifier for P256Verifier {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        p256::ecdsa::Signature::from_der(signature)
            .is_ok_and(|signature| signature == signature.normalize_s() && self.key.verify(message, &signature).is_ok())
    }
}

#[test]
fn key_is_made_once_and_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let first = KeyRing::open(options(folder.path()), NOON).unwrap();
    let again = KeyRing::open(options(folder.path()), NOON + DAY).unwrap();
    assert_eq!(active(&first, NOON), active(&again, NOON + DAY));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let keys = folder.path().join("keys");
    assert_eq!(mode(&keys), 0o700);
    let files: Vec<_> = fs::read_dir(&keys).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "list, lock and key: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn key_that_others_can_read_is_refused_with_the_cure() {
    let folder = tempfile::tempdir().unwrap();
    let ring = KeyRing::open(options(folder.path()), NOON).unwrap();
    let file = ring.folder().join(format!("{}.pem", active(&ring, NOON)[0]));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = KeyRing::open(options(folder.path()), NOON).unwrap_err();
    assert!(matches!(refused, KeyError::ReadableByOthers(_)));
    assert!(refused.to_string().contains("chmod 600"), "{refused}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(ring.folder(), fs::Permissions::from_mode(0o777)).unwrap();
    let refused = KeyRing::open(options(folder.path()), NOON).unwrap_err();
    assert!(refused.to_string().contains("chmod 700"), "{refused}");
}

#[test]
fn nothing_that_is_printed_has_the_private_key_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let ring = KeyRing::open(options(folder.path()), NOON).unwrap();
    let file = ring.folder().join(format!("{}.pem", active(&ring, NOON)[0]));
    let pem = fs::read_to_string(&file).unwrap();
    let secret: String = pem.lines().nth(1).unwrap().to_owned();
    let given = KeyRingOptions { source: SigningKeySource::Given(SecretPem::new(pem)), ..options(folder.path()) };
    let broken = SecretPem::new(format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----\n"));
    let broken = KeyRingOptions { source: SigningKeySource::Given(broken), ..options(&folder.path().join("other")) };
    let refused = KeyRing::open(broken.clone(), NOON).unwrap_err();
    for text in [format!("{ring:?}"), format!("{given:?}"), format!("{broken:?}"), format!("{refused} {refused:?}")] {
        assert!(!text.contains(&secret[..40]), "{text}");
    }
}

#[test]
fn rotated_key_signs_beside_its_successor_until_the_overlap_has_passed() {
    let folder = tempfile::tempdir().unwrap();
    let mut ring = KeyRing::open(options(folder.path()), NOON).unwrap();
    let old = active(&ring, NOON)[0];
    let before = signed(&ring, "a\n", NOON);
    let new = ring.rotate(Algorithm::EcdsaP256Sha256, NOON + DAY).unwrap().key_id;
    assert_eq!(active(&ring, NOON + DAY), [new, old]);
    assert_eq!(active(&ring, NOON + 8 * DAY - 1), [new, old]);
    assert_eq!(active(&ring, NOON + 8 * DAY), [new]);
    let both = signed(&ring, "a\n", NOON + 2 * DAY);
    assert_eq!(both.signatures.len(), 2);
    ring.reload(NOON + 9 * DAY).unwrap();
    assert_eq!(signed(&ring, "a\n", NOON + 9 * DAY).signatures.len(), 1);
    assert!(ring.vouches_for(&before), "an old key verifies what it signed for ever");
    let records = read_records(ring.folder()).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].state(NOON + 9 * DAY), KeyState::Retired);
    assert_eq!(records[0].verifier_key(ORIGIN).unwrap().key_id(), old);
}

#[test]
fn process_that_holds_the_ring_learns_of_a_rotation_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut held = KeyRing::open(options(folder.path()), NOON).unwrap();
    let new =
        KeyRing::open(options(folder.path()), NOON).unwrap().rotate(Algorithm::EcdsaP256Sha256, NOON + 1).unwrap();
    held.reload(NOON + 2).unwrap();
    assert_eq!(active(&held, NOON + 2)[0], new.key_id);
}

#[test]
fn given_key_takes_over_and_is_exchanged_where_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let own = active(&KeyRing::open(options(folder.path()), NOON).unwrap(), NOON)[0];
    let elsewhere = tempfile::tempdir().unwrap();
    let mut given = Vec::new();
    for name in ["one", "two"] {
        let ring = KeyRing::open(options(&elsewhere.path().join(name)), NOON).unwrap();
        let id = active(&ring, NOON)[0];
        given.push((id, ring.folder().join(format!("{id}.pem"))));
    }
    let with = |source| KeyRingOptions { source, ..options(folder.path()) };
    let mut ring = KeyRing::open(with(SigningKeySource::File(given[0].1.clone())), NOON + DAY).unwrap();
    assert_eq!(active(&ring, NOON + DAY), [given[0].0, own], "the generated key signs on for a while");
    assert!(matches!(ring.rotate(Algorithm::EcdsaP256Sha256, NOON + DAY), Err(KeyError::Given)));
    let pem = SecretPem::new(fs::read_to_string(&given[1].1).unwrap());
    let ring = KeyRing::open(with(SigningKeySource::Given(pem)), NOON + 9 * DAY).unwrap();
    assert_eq!(active(&ring, NOON + 9 * DAY), [given[1].0], "a given key that is gone cannot sign beside the new one");
    let back = KeyRing::open(with(SigningKeySource::File(given[0].1.clone())), NOON + 10 * DAY);
    assert!(matches!(back, Err(KeyError::Retired { .. })));
}

#[test]
fn verifier_keys_read_back_and_notice_damage() {
    let folder = tempfile::tempdir().unwrap();
    let ring = KeyRing::open(KeyRingOptions { ed25519: true, ..options(folder.path()) }, NOON).unwrap();
    for record in ring.signers(NOON) {
        let key = record.verifier_key(ORIGIN).unwrap();
        let text = key.to_string();
        assert_eq!(text.parse::<VerifierKey>().unwrap(), key);
        assert!(text.starts_with(&format!("{ORIGIN}+{}+", record.key_id)));
        let other = if text.contains("+0") {
            text.replace("+0", "+1")
        } else {
            text.replacen(&record.key_id.to_string(), "00000000", 1)
        };
        assert!(other.parse::<VerifierKey>().is_err());
    }
    for text in ["", "a+b", "a b+00000000+AQ==", "a+00000000+!", "a+00000000+", "a+00000000+BQAA"] {
        assert!(text.parse::<VerifierKey>().is_err(), "{text}");
    }
}

#[test]
fn notes_verify_with_an_independent_implementation() {
    let folder = tempfile::tempdir().unwrap();
    let mut ring = KeyRing::open(KeyRingOptions { ed25519: true, ..options(folder.path()) }, NOON).unwrap();
    ring.rotate(Algorithm::EcdsaP256Sha256, NOON).unwrap();
    let body = "example.com/main\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    for round in 0..20 {
        // The S of an ECDSA signature is high as often as low before it is normalised.
        let body = body.replace("\n1\n", &format!("\n1{round}\n"));
        let text = signed(&ring, &body, NOON).to_string();
        let verifiers = ring.signers(NOON).into_iter().map(|record| {
            let key = record.verifier_key(ORIGIN).unwrap();
            match record.algorithm {
                Algorithm::EcdsaP256Sha256 => Box::new(P256Verifier::new(&key)) as Box<dyn signed_note::Verifier>,
                Algorithm::Ed25519 => Box::new(signed_note::StandardVerifier::new(&key.to_string()).unwrap()),
            }
        });
        let known = signed_note::VerifierList::new(verifiers.collect());
        let note = signed_note::Note::from_bytes(text.as_bytes()).unwrap();
        let (verified, unverified) = note.verify(&known).unwrap();
        assert_eq!((verified.len(), unverified.len()), (3, 0));
        let forged = signed_note::Note::from_bytes(text.replace("CsUY", "DsUY").as_bytes()).unwrap();
        assert!(forged.verify(&known).is_err());
        assert!(!ring.vouches_for(&SignedNote::parse(&text.replace("CsUY", "DsUY")).unwrap()));
    }
}

#[test]
fn detached_signature_verifies_with_openssl() {
    let folder = tempfile::tempdir().unwrap();
    let ring = KeyRing::open(KeyRingOptions { ed25519: true, ..options(folder.path()) }, NOON).unwrap();
    let note = signed(&ring, "example.com/main\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n", NOON);
    let (key_id, signature) = detached_signature(&note).unwrap();
    let record = ring.records().find(|record| record.key_id == key_id).unwrap();
    let (body, sig, pem) =
        (folder.path().join("body.txt"), folder.path().join("body.sig"), folder.path().join("key.pem"));
    fs::write(&sig, signature).unwrap();
    fs::write(&pem, record.verifier_key(ORIGIN).unwrap().to_pem()).unwrap();
    let verify = |text: &str| {
        fs::write(&body, text).unwrap();
        let output = Command::new("openssl")
            .args(["dgst", "-sha256", "-verify"])
            .arg(&pem)
            .arg("-signature")
            .arg(&sig)
            .arg(&body)
            .output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    match verify(&note.body) {
        Ok(answer) => assert_eq!(answer.trim(), "Verified OK"),
        Err(error) => return eprintln!("skipped: openssl cannot be run: {error}"),
    }
    assert_ne!(verify(&note.body.replace("\n1\n", "\n2\n")).unwrap().trim(), "Verified OK");
}

#[test]
fn keys_made_with_openssl_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let generate =
        Command::new("openssl").args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]).output();
    let Ok(generated) = generate else { return eprintln!("skipped: openssl cannot be run") };
    let pem = String::from_utf8(generated.stdout).unwrap();
    let source = SigningKeySource::Given(SecretPem::new(pem));
    let ring = KeyRing::open(KeyRingOptions { source, ..options(folder.path()) }, NOON).unwrap();
    assert!(ring.vouches_for(&signed(&ring, "a\n", NOON)));
    let other = Command::new("openssl").args(["ecparam", "-name", "prime256v1", "-genkey", "-noout"]).output().unwrap();
    let source = SigningKeySource::Given(SecretPem::new(String::from_utf8(other.stdout).unwrap()));
    let refused = KeyRing::open(KeyRingOptions { source, ..options(folder.path()) }, NOON).unwrap_err();
    assert!(refused.to_string().contains("openssl pkcs8"), "{refused}");
}
