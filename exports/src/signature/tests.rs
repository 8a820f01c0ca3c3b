//! Signatures of manifests, verified here and by openssl.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;
use std::process::Command;

use daybook_ledger::keys::{KeyRingOptions, SigningKeySource};

use super::*;
use crate::manifest::tests::manifest;

/// 2026-11-21T10:00:00Z.
pub(crate) const NOW: i64 = 1_795_255_200_000_000;

pub(crate) fn ring(folder: &Path) -> KeyRing {
    let options = KeyRingOptions {
        folder: folder.join("keys"),
        origin: "example.com/main".to_owned(),
        source: SigningKeySource::Folder,
        ed25519: true,
        overlap_micros: 0,
    };
    KeyRing::open(options, NOW).unwrap()
}

fn sealed(ring: &KeyRing) -> SealedManifest {
    let digests = digests_of_bytes(b"x");
    seal(manifest("exp_1", "exp_1.1.csv", &digests, 2), ring, NOW).unwrap()
}

#[test]
fn manifest_names_the_key_that_signed_it() {
    let folder = tempfile::tempdir().unwrap();
    let ring = ring(folder.path());
    let sealed = sealed(&ring);
    let keys = manifest_keys(&ring);
    assert_eq!(keys.len(), 1, "Ed25519 signs no manifests");
    assert_eq!(keys[0].key_id(), sealed.key_id);
    assert_eq!(sealed.manifest.signing_key.as_ref().unwrap().key_id, sealed.key_id.to_string());
    assert_eq!(Manifest::parse(&sealed.bytes).unwrap(), sealed.manifest);
    assert_eq!(sealed.digests, digests_of_bytes(&sealed.bytes));
    assert!(sealed.signature.len() <= MAX_SIGNATURE_BYTES);
    assert_eq!(keys[0].verifies(&sealed.bytes, &sealed.signature), Some(true));
    assert_eq!(keys[0].verifies(b"other", &sealed.signature), Some(false));
    assert_eq!(keys[0].verifies(&sealed.bytes, b"none"), None);
}

#[test]
fn keys_are_read_from_pem_one_or_several() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keys = [manifest_keys(&ring(one.path())), manifest_keys(&ring(two.path()))].concat();
    let text = format!("# two keys\n{}\n{}", keys[0].to_pem(), keys[1].to_pem());
    assert_eq!(ManifestKey::all_from_pem(&text).unwrap(), keys);
    assert_eq!(ManifestKey::from_pem(&keys[0].to_pem()).unwrap().key_id(), keys[0].key_id());
    for text in [
        "",
        "nothing",
        "-----BEGIN PUBLIC KEY-----\nAAAA",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
    ] {
        assert!(ManifestKey::all_from_pem(text).is_err(), "{text}");
    }
}

#[test]
fn a_retired_key_verifies_what_it_signed() {
    let folder = tempfile::tempdir().unwrap();
    let mut ring = ring(folder.path());
    let before = sealed(&ring);
    ring.rotate(Algorithm::EcdsaP256Sha256, NOW + 1).unwrap();
    let after = seal(before.manifest.clone(), &ring, NOW + 2).unwrap();
    assert_ne!(before.key_id, after.key_id);
    let keys = manifest_keys(&ring);
    let signer = |sealed: &SealedManifest| {
        keys.iter().find(|key| key.verifies(&sealed.bytes, &sealed.signature) == Some(true)).unwrap().key_id()
    };
    assert_eq!((signer(&before), signer(&after)), (before.key_id, after.key_id));
}

#[test]
fn openssl_verifies_the_signature() {
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("openssl is not on this machine: its verification is not tested");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let ring = ring(folder.path());
    let sealed = sealed(&ring);
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("x.manifest.json"), &sealed.bytes).unwrap();
    std::fs::write(path("x.sig"), &sealed.signature).unwrap();
    std::fs::write(path("key.pem"), manifest_keys(&ring)[0].to_pem()).unwrap();
    let verify = || {
        let mut command = Command::new("openssl");
        command.args(["dgst", "-sha256", "-verify", "key.pem", "-signature", "x.sig", "x.manifest.json"]);
        let output = command.current_dir(folder.path()).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap().trim().to_owned())
    };
    assert_eq!(verify(), (true, "Verified OK".to_owned()));
    std::fs::write(path("x.manifest.json"), [sealed.bytes.as_slice(), b" "].concat()).unwrap();
    assert!(!verify().0);
}
