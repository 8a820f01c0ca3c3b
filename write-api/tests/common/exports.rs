//! What makes exports in the tests: the driver's steps, one after the other, with real files and a real key.

use std::sync::Arc;

use daybook_domain::Timestamp;
use daybook_domain::export::{
    Approved, Export, ExportCommand, Generated, GenerationStarted, HexDigest, LedgerRange, ManifestFile,
    ManifestSignature, SignatureAlgorithm,
};
use daybook_domain::text::{Line, ShortName};
use daybook_exports::{
    Approval, CellKind, Column, Digests, FileDescription, FileNames, LedgerPart, MANIFEST_FORMAT, Manifest,
    PositionRange, Query, Request, Software, Times, digests_of, seal,
};
use daybook_ledger::Actor;
use daybook_ledger::checkpoint::Checkpointer;
use daybook_ledger::commands::{CommandContext, Commands, Outcome};
use daybook_ledger::cqrs::StreamPolicy;
use daybook_ledger::keys::{KeyRing, KeyRingOptions, SigningKeySource};
use daybook_ledger::sequencer::{Unobserved, system_clock};

use super::Fixture;

pub const ROWS: &str = "transaction_id,amount\r\nTX-1,10.50\r\nTX-2,7.25\r\n";

pub fn commands(fixture: &Fixture) -> Commands<Export> {
    let policy = StreamPolicy {
        reducer_version: Export::REDUCER_VERSION,
        holds_personal_data: Export::HOLDS_PERSONAL_DATA,
        ..StreamPolicy::default()
    };
    Commands::new(fixture.ledger.clone(), policy)
}

pub async fn export(fixture: &Fixture, id: &str) -> Outcome<Export> {
    commands(fixture).load(id).await.unwrap().unwrap()
}

fn context() -> CommandContext {
    CommandContext::new(Actor::system("driver"))
}

fn now() -> Timestamp {
    Timestamp::from_micros(system_clock()()).unwrap()
}

/// A key that the ledger has announced.
pub async fn ring(fixture: &Fixture) -> KeyRing {
    let options = || KeyRingOptions {
        folder: fixture.files.folder().parent().unwrap().join("keys"),
        origin: "example.com/main".to_owned(),
        source: SigningKeySource::Folder,
        ed25519: false,
        overlap_micros: 0,
    };
    let announcing = KeyRing::open(options(), now().micros()).unwrap();
    let signer = Checkpointer::open(fixture.ledger.clone(), announcing, system_clock(), Arc::new(Unobserved)).await;
    signer.unwrap().sign().await.unwrap();
    KeyRing::open(options(), now().micros()).unwrap()
}

/// Uses the approval up, and makes the file: `rows`, whatever was asked for.
pub async fn make(fixture: &Fixture, id: &str, rows: &str) -> Outcome<Export> {
    let ring = ring(fixture).await;
    let commands = commands(fixture);
    let request = export(fixture, id).await.aggregate.request().unwrap().clone();
    let digest = request.action().unwrap().digest();
    assert_eq!(digest.as_str(), request.digest.as_str(), "what is made is what was approved");
    let grant = fixture.approvals.redeem(&request.approval_id, &digest, id, &context()).await.unwrap();
    let approved = Approved {
        approval_id: grant.approval_id().clone(),
        execution_id: grant.execution_id().clone(),
        policy_version: grant.policy_version(),
        approved_by: grant.approvers().to_vec(),
        broken_glass_by: None,
        at: now(),
    };
    commands.execute(id, ExportCommand::Approve(approved), context()).await.unwrap();
    let started = GenerationStarted { attempt: 1, fence: 1, at: now() };
    commands.execute(id, ExportCommand::StartGeneration(started), context()).await.unwrap();

    let names = FileNames::new(&request.export_id, 1, request.format);
    fixture.files.write(&names.file, rows.as_bytes()).unwrap();
    let mut file = std::fs::File::open(fixture.files.path(&names.file).unwrap()).unwrap();
    let digests = digests_of(&mut file).unwrap();
    let count = u64::try_from(rows.lines().count()).unwrap() - 1;
    let sealed = seal(manifest(id, &names.file, &digests, count), &ring, now().micros()).unwrap();
    fixture.files.write(&names.manifest, &sealed.bytes).unwrap();
    fixture.files.write(&names.signature, &sealed.signature).unwrap();
    let line = |text: &str| Line::parse("", text).unwrap();
    let hex = |bytes: &[u8; 32]| HexDigest::of(bytes);
    use base64::Engine as _;
    let generated = Generated {
        attempt: 1,
        file: line(&names.file),
        bytes: digests.bytes,
        rows: count,
        blake3: hex(&digests.blake3),
        sha256: hex(&digests.sha256),
        manifest: ManifestFile {
            file: line(&names.manifest),
            blake3: hex(&sealed.digests.blake3),
            sha256: hex(&sealed.digests.sha256),
        },
        signature: ManifestSignature {
            algorithm: SignatureAlgorithm::EcdsaP256Sha256,
            key_id: ShortName::parse("", sealed.key_id.to_string()).unwrap(),
            file: line(&names.signature),
            value: line(&base64::engine::general_purpose::STANDARD.encode(&sealed.signature)),
        },
        range: LedgerRange { first: 0, last: 0, first_hash: hex(&[5; 32]), last_hash: hex(&[5; 32]) },
        checkpoint: None,
        at: now(),
    };
    let command = ExportCommand::RecordGenerated { fence: 1, generated: Box::new(generated) };
    commands.execute(id, command, context()).await.unwrap()
}

fn manifest(id: &str, file: &str, digests: &Digests, rows: u64) -> Manifest {
    let text = |text: &str| text.to_owned();
    Manifest {
        approval: Approval {
            approval_id: text("apr_1"),
            approved_by: Vec::new(),
            broken_glass_by: None,
            digest: "0".repeat(64),
            policy_version: 0,
        },
        columns: vec![Column::new("transaction_id", CellKind::Text), Column::new("amount", CellKind::Decimal)],
        export_id: text(id),
        file: FileDescription {
            blake3: digests.blake3_hex(),
            bytes: digests.bytes,
            format: text("csv"),
            name: text(file),
            rows,
            sha256: digests.sha256_hex(),
        },
        format: text(MANIFEST_FORMAT),
        ledger: LedgerPart {
            checkpoint: None,
            ledger_id: text("main"),
            origin: text("example.com/main"),
            range: PositionRange { first: 0, first_hash: "5".repeat(64), last: 0, last_hash: "5".repeat(64) },
        },
        query: Query { filters: std::collections::BTreeMap::new(), kind: text("transactions") },
        request: Request { by: text("usr_asks"), person: text("usr_asks") },
        signing_key: None,
        software: Software::this(),
        times: Times {
            approved_at: text("2026-11-21T10:00:00.000000Z"),
            generated_at: text("2026-11-21T10:00:01.000000Z"),
            requested_at: text("2026-11-21T09:00:00.000000Z"),
        },
    }
}
