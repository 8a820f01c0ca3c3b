//! Deliveries against small servers of the tests, and a folder.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is a failed test")]

mod configured;
mod mailing;
mod storing;
mod webhooks;

use std::collections::BTreeMap;

use daybook_domain::Timestamp;
use daybook_domain::export::{HexDigest, LedgerRange, ManifestFile, ManifestSignature, SignatureAlgorithm};
use daybook_domain::names::ApprovalId;
use daybook_domain::text::{ActorId, Line, ShortName};

use super::*;
use crate::files::FileNames;
use crate::manifest::tests::manifest;
use crate::signature::seal;
use crate::signature::tests::{NOW, ring};

/// An export in its folder, as it was recorded.
struct Made {
    _folder: tempfile::TempDir,
    files: ExportFiles,
    request: Requested,
    generated: Generated,
}

impl Made {
    fn new(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = ExportFiles::open(folder.path().join("exports")).unwrap();
        let export_id = ExportId::parse("", "exp_1").unwrap();
        let names = FileNames::new(&export_id, 1, ExportFormat::Csv);
        let digests = digests_of_bytes(bytes);
        let sealed = seal(manifest("exp_1", &names.file, &digests, 3), &ring(folder.path()), NOW).unwrap();
        files.write(&names.file, bytes).unwrap();
        files.write(&names.manifest, &sealed.bytes).unwrap();
        files.write(&names.signature, &sealed.signature).unwrap();
        let line = |text: &str| Line::parse("", text).unwrap();
        let person = ActorId::parse("", "usr_asks").unwrap();
        let request = Requested {
            export_id,
            kind: ExportKind::Transactions,
            format: ExportFormat::Csv,
            filters: BTreeMap::new(),
            columns: vec![],
            requested_by: person.clone(),
            person,
            approval_id: ApprovalId::parse("", "apr_1").unwrap(),
            deliver_to: vec![],
            collect: false,
            reason: None,
            digest: HexDigest::of(&[0; 32]),
            schedule: None,
        };
        let generated = Generated {
            attempt: 1,
            file: line(&names.file),
            bytes: digests.bytes,
            rows: 3,
            blake3: HexDigest::of(&digests.blake3),
            sha256: HexDigest::of(&digests.sha256),
            manifest: ManifestFile {
                file: line(&names.manifest),
                blake3: HexDigest::of(&sealed.digests.blake3),
                sha256: HexDigest::of(&sealed.digests.sha256),
            },
            signature: ManifestSignature {
                algorithm: SignatureAlgorithm::EcdsaP256Sha256,
                key_id: ShortName::parse("", sealed.key_id.to_string()).unwrap(),
                file: line(&names.signature),
                value: line(&STANDARD.encode(&sealed.signature)),
            },
            range: LedgerRange {
                first: 0,
                last: 1,
                first_hash: HexDigest::of(&[1; 32]),
                last_hash: HexDigest::of(&[2; 32]),
            },
            checkpoint: None,
            at: Timestamp::from_micros(NOW).unwrap(),
        };
        Self { _folder: folder, files, request, generated }
    }

    fn load(&self) -> Result<Package, DeliveryError> {
        let of = PackageRequest {
            delivery_id: DeliveryId::parse("", "dlv_1").unwrap(),
            ledger_id: "main",
            request: &self.request,
            generated: &self.generated,
            download_url: Some(Url::parse("https://daybook.example/v1/exports/exp_1/file").unwrap()),
            at: NOW,
        };
        Package::load(&self.files, of)
    }

    fn package(&self) -> Package {
        self.load().unwrap()
    }

    fn overwrite(&self, name: &Line, bytes: &[u8]) {
        self.files.write(name.as_str(), bytes).unwrap();
    }
}

/// A destination from its configuration in TOML.
fn destination(text: &str) -> Arc<dyn Destination> {
    toml::from_str::<DestinationConfig>(text).unwrap().open().unwrap()
}

/// A file with a secret; kept as long as the folder.
fn secret_file(folder: &tempfile::TempDir, text: &str) -> String {
    let path = folder.path().join("secret");
    std::fs::write(&path, format!("{text}\n")).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn nothing_that_was_changed_leaves_the_house() {
    let made = Made::new(b"a\r\n1\r\n");
    let target = tempfile::tempdir().unwrap();
    let folder = destination(&format!("name = \"archive\"\nkind = \"folder\"\npath = {:?}", target.path()));
    let package = made.package();
    made.overwrite(&made.generated.file, b"a\r\n2\r\n");
    let error = folder.deliver(&package).await.unwrap_err();
    assert_eq!((error.detail.as_str(), error.is_permanent), ("the file is not the one that was recorded", true));
    std::fs::remove_file(made.files.path(made.generated.file.as_str()).unwrap()).unwrap();
    assert!(folder.deliver(&package).await.unwrap_err().is_permanent);
    assert!(!target.path().join("exp_1/exp_1.1.csv").exists());
    let long = Made::new(&vec![7; 20_000_000]);
    let package = long.package();
    long.overwrite(&long.generated.file, &vec![8; 20_000_000]);
    let error = folder.deliver(&package).await.unwrap_err();
    assert_eq!((error.detail.as_str(), error.is_permanent), ("the file is not the one that was recorded", true));
    assert!(!target.path().join("exp_1/exp_1.1.csv").exists());
    made.overwrite(&made.generated.signature.file, b"other");
    assert_eq!(made.load().unwrap_err().detail, "the signature is not the one that was recorded");
    made.overwrite(&made.generated.manifest.file, b"{}");
    assert_eq!(made.load().unwrap_err().detail, "the manifest is not the one that was recorded");
    made.files.remove(&made.request.export_id).unwrap();
    assert!(made.load().unwrap_err().is_permanent);
}

#[tokio::test]
async fn a_destination_that_is_configured_no_more_is_an_error_for_good() {
    let made = Made::new(b"a\r\n");
    let error = Destinations::default().deliver(&DestinationName::parse("", "gone").unwrap(), &made.package()).await;
    assert!(error.unwrap_err().is_permanent);
}
