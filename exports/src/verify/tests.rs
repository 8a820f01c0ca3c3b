//! Every fault by its name.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;

use daybook_domain::export::ExportFormat;
use daybook_ledger::keys::KeyRing;

use super::*;
use crate::digest::digests_of_bytes;
use crate::manifest::tests::manifest;
use crate::signature::tests::{NOW, ring};
use crate::signature::{SealedManifest, manifest_keys, seal};
use crate::table::{Cell, CellKind, Column, Row, Schema};

struct Export {
    parts: Parts,
    sealed: SealedManifest,
    bytes: Vec<u8>,
    recorded: Recorded,
}

fn bytes_of(format: ExportFormat, rows: std::ops::Range<i64>) -> Vec<u8> {
    let schema = Schema::new(vec![Column::new("n", CellKind::Integer), Column::new("t", CellKind::Text)]).unwrap();
    let row = |number: i64| -> Row { vec![Cell::Integer(number), Cell::Text(format!("a \"b\"\n{number}"))] };
    let mut writer = crate::format::writer(format, &schema, Vec::new()).unwrap();
    writer.write(rows.map(row).collect()).unwrap();
    writer.finish().unwrap()
}

/// An export of three rows in its files.
fn export(folder: &Path, ring: &KeyRing, id: &str, format: ExportFormat) -> Export {
    let name = format!("{id}.1.{}", crate::extension(format));
    let bytes = bytes_of(format, 0..3);
    let digests = digests_of_bytes(&bytes);
    let sealed = seal(manifest(id, &name, &digests, 3), ring, NOW).unwrap();
    let parts = Parts::beside(folder.join(name));
    std::fs::write(&parts.file, &bytes).unwrap();
    std::fs::write(&parts.manifest, &sealed.bytes).unwrap();
    std::fs::write(&parts.signature, &sealed.signature).unwrap();
    let recorded = Recorded {
        export_id: id.to_owned(),
        file_blake3: digests.blake3_hex(),
        file_sha256: digests.sha256_hex(),
        manifest_blake3: sealed.digests.blake3_hex(),
        manifest_sha256: sealed.digests.sha256_hex(),
    };
    Export { parts, sealed, bytes, recorded }
}

fn faults(export: &Export, keys: &[ManifestKey]) -> [Vec<Fault>; 2] {
    [None, Some(&export.recorded)].map(|recorded| {
        let verification = verify(&export.parts, keys, recorded);
        verification.findings.iter().map(|finding| finding.fault).collect()
    })
}

/// The same with and without what the ledger recorded.
fn both(fault: Fault) -> [Vec<Fault>; 2] {
    [vec![fault], vec![fault]]
}

#[test]
fn an_export_as_it_was_made_is_verified_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let ring = ring(folder.path());
    for format in ExportFormat::ALL.iter().filter(|format| **format != ExportFormat::Zip) {
        let export = export(folder.path(), &ring, "exp_1", *format);
        let verification = verify(&export.parts, &manifest_keys(&ring), Some(&export.recorded));
        assert!(verification.is_verified() && !verification.is_tampered(), "{:?}", verification.findings);
        assert_eq!(verification.signed_by, Some(export.sealed.key_id));
        assert_eq!(verification.manifest.as_ref(), Some(&export.sealed.manifest));
        assert_eq!(verification.file, Some(digests_of_bytes(&export.bytes)));
    }
}

#[test]
fn a_flipped_bit_anywhere_in_the_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ring = ring(folder.path());
    let keys = manifest_keys(&ring);
    let export = export(folder.path(), &ring, "exp_1", ExportFormat::Ndjson);
    for place in 0..export.bytes.len() {
        let mut bytes = export.bytes.clone();
        // The lowest bit makes no line feed of anything in it, and none into anything else but a vertical tab.
        bytes[place] ^= 0x40;
        if bytes[place] == b'\n' || export.bytes[place] == b'\n' {
            continue;
        }
        std::fs::write(&export.parts.file, &bytes).unwrap();
        assert_eq!(faults(&export, &keys), both(Fault::FileChanged), "{place}");
    }
}

#[test]
fn rows_that_are_missing_or_too_many_are_named_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let ring = ring(folder.path());
    let keys = manifest_keys(&ring);
    for format in ExportFormat::ALL.iter().filter(|format| **format != ExportFormat::Zip) {
        let export = export(folder.path(), &ring, "exp_1", *format);
        for (rows, fault) in
            [(1..3, Fault::RowRemoved), (0..0, Fault::RowRemoved), (0..4, Fault::RowAdded), (1..4, Fault::FileChanged)]
        {
            std::fs::write(&export.parts.file, bytes_of(*format, rows.clone())).unwrap();
            assert_eq!(faults(&export, &keys), both(fault), "{format} {rows:?}");
        }
        std::fs::write(&export.parts.file, b"").unwrap();
        let [found, _] = faults(&export, &keys);
        assert!(matches!(found.as_slice(), [Fault::RowRemoved | Fault::FileChanged]), "{format}: {found:?}");
    }
}

#[test]
fn a_changed_manifest_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ring = ring(folder.path());
    let keys = manifest_keys(&ring);
    let export = export(folder.path(), &ring, "exp_1", ExportFormat::Csv);
    let text = String::from_utf8(export.sealed.bytes.clone()).unwrap();
    for changed in [
        text.replace("usr_agrees", "usr_other"),
        text.replace("\"rows\":3", "\"rows\":2"),
        text.replace("\"last\":41", "\"last\":40"),
        text.trim_end().to_owned(),
        format!(" {text}"),
    ] {
        assert_ne!(changed, text);
        std::fs::write(&export.parts.manifest, &changed).unwrap();
        let [alone, recorded] = faults(&export, &keys);
        assert_eq!(alone, [Fault::ManifestChanged]);
        assert!(recorded.iter().all(|fault| *fault == Fault::ManifestChanged) && !recorded.is_empty());
    }
    for nothing in [&b""[..], b"{}", b"\xff\xfe", &vec![b' '; MAX_MANIFEST_BYTES + 1]] {
        std::fs::write(&export.parts.manifest, nothing).unwrap();
        let [alone, _] = faults(&export, &keys);
        assert!(alone.contains(&Fault::ManifestChanged), "{alone:?}");
    }
}

#[test]
fn a_swapped_manifest_is_named_even_with_its_own_signature() {
    let folder = tempfile::tempdir().unwrap();
    let ring = ring(folder.path());
    let keys = manifest_keys(&ring);
    let export_one = export(folder.path(), &ring, "exp_1", ExportFormat::Csv);
    let two = export(folder.path(), &ring, "exp_2", ExportFormat::Ndjson);
    std::fs::write(&export_one.parts.manifest, &two.sealed.bytes).unwrap();
    std::fs::write(&export_one.parts.signature, &two.sealed.signature).unwrap();
    assert_eq!(faults(&export_one, &keys), both(Fault::ManifestSwapped));
    // All three of another export, under this one's names: only the ledger knows.
    std::fs::write(&export_one.parts.file, &two.bytes).unwrap();
    let [alone, recorded] = faults(&export_one, &keys);
    assert_eq!((alone, recorded), (vec![], vec![Fault::ManifestSwapped]));
    // With the signature of the other one only.
    std::fs::write(&export_one.parts.file, &export_one.bytes).unwrap();
    std::fs::write(&export_one.parts.manifest, &export_one.sealed.bytes).unwrap();
    assert_eq!(faults(&export_one, &keys), both(Fault::ManifestChanged));
}

#[test]
fn a_wrong_key_is_named() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ring_ours, ring_theirs) = (ring(ours.path()), ring(theirs.path()));
    let export = export(ours.path(), &ring_ours, "exp_1", ExportFormat::Csv);
    assert_eq!(faults(&export, &manifest_keys(&ring_theirs)), both(Fault::WrongKey));
    assert_eq!(faults(&export, &[]), both(Fault::WrongKey));
    // Somebody else signed the same manifest, which names our key.
    let text = String::from_utf8(export.sealed.bytes.clone()).unwrap();
    let their_key = ring_theirs.signers(NOW)[0].key_id;
    let forged = ring_theirs.sign(&text, &[their_key]).unwrap().signatures[0].signature.clone();
    std::fs::write(&export.parts.signature, forged).unwrap();
    let all = [manifest_keys(&ring_ours), manifest_keys(&ring_theirs)].concat();
    assert_eq!(faults(&export, &all), both(Fault::WrongKey));
    assert_eq!(faults(&export, &manifest_keys(&ring_ours)), both(Fault::ManifestChanged));
}

#[test]
fn missing_parts_and_malformed_signatures_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let ring = ring(folder.path());
    let keys = manifest_keys(&ring);
    for part in ["file", "manifest", "signature"] {
        let export = export(folder.path(), &ring, "exp_1", ExportFormat::Csv);
        let path = match part {
            "file" => &export.parts.file,
            "manifest" => &export.parts.manifest,
            _ => &export.parts.signature,
        };
        std::fs::remove_file(path).unwrap();
        let verification = verify(&export.parts, &keys, Some(&export.recorded));
        let [finding] = verification.findings.as_slice() else { panic!("{:?}", verification.findings) };
        assert_eq!(finding.to_string(), format!("missing: the {part} is not there"));
        assert!(!verification.is_verified() && !verification.is_tampered());
    }
    let export = export(folder.path(), &ring, "exp_1", ExportFormat::Csv);
    for nothing in [&b""[..], b"none", &[0x30; 72], &[0; 1_000]] {
        std::fs::write(&export.parts.signature, nothing).unwrap();
        assert_eq!(faults(&export, &keys), both(Fault::SignatureMalformed));
    }
}
