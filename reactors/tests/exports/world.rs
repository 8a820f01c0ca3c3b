//! An organisation with a ledger, read tables, approvals and a folder for exports, fresh for each test.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use daybook_approvals::Approvals;
use daybook_domain::Timestamp;
use daybook_domain::approval::{Action, Approval, ApprovalCommand, Decision, Requester, Voter};
use daybook_domain::approval_policy::{Clause, Electorate, PolicyInForce, Step, Terms};
use daybook_domain::export::{
    Delivery, Export, ExportCommand, ExportFormat, ExportKind, ExportStatus, HexDigest, Requested,
};
use daybook_domain::names::{ApprovalId, DestinationName, ExportId, RoleName};
use daybook_domain::text::ActorId;
use daybook_exports::delivery::{DeliveryError, Destination, Package, Receipt};
use daybook_exports::{ExportFiles, Parts, Recorded, Verification, manifest_keys, verify};
use daybook_identity::directory::Directory;
use daybook_identity::personal::PersonalData;
use daybook_identity::vault::{MasterKey, Vault};
use daybook_ledger::commands::{CommandContext, Commands};
use daybook_ledger::cqrs::StreamPolicy;
use daybook_ledger::keys::{KeyRing, KeyRingOptions, SigningKeySource};
use daybook_ledger::sequencer::{Clock, Unobserved};
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, Append, Draft, Entry, Ledger, LedgerId, Store, StreamKey};
use daybook_projections::Projections;
use daybook_reactors::{ExportParts, ExportSettings, Exports, Leases, Pacing, Sources};
use daybook_read_models::ReadDb;
use tokio::sync::watch;

/// 2026-11-21T10:00:00Z.
pub const MORNING: i64 = 1_795_255_200_000_000;
pub const SECOND: i64 = 1_000_000;

pub struct World {
    pub ledger: Ledger,
    pub database: ReadDb,
    pub approvals: Approvals,
    pub exports: Commands<Export>,
    pub decisions: Commands<Approval>,
    pub directory: Directory,
    pub personal: PersonalData,
    pub time: Arc<AtomicI64>,
    pub folder: tempfile::TempDir,
    /// How long projectors are waited for.
    pub patience: Duration,
    pub settings: ExportSettings,
    next: AtomicU64,
}

impl World {
    pub async fn sqlite() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let database = ReadDb::open_sqlite(folder.path().join("read.db")).await.unwrap();
        Some(Self::new(folder, database).await)
    }

    pub async fn postgres() -> Option<Self> {
        let Ok(url) = std::env::var("DAYBOOK_TEST_POSTGRES_URL") else {
            eprintln!("skipped: DAYBOOK_TEST_POSTGRES_URL is not set");
            return None;
        };
        let schema = format!("exports_{:032x}", rand::random::<u128>());
        let pool = sqlx::PgPool::connect(&url).await.unwrap();
        sqlx::query(&format!("create schema {schema}")).execute(&pool).await.unwrap();
        pool.close().await;
        let url = format!("{url}?options=-csearch_path%3D{schema}");
        let database = ReadDb::open_postgres(&url, 8).await.unwrap();
        Some(Self::new(tempfile::tempdir().unwrap(), database).await)
    }

    async fn new(folder: tempfile::TempDir, database: ReadDb) -> Self {
        let time = Arc::new(AtomicI64::new(MORNING));
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
        let clock = clock(&time);
        let ledger = Ledger::open(store, LedgerId::main(), clock.clone(), Arc::new(Unobserved)).await.unwrap();
        let master = MasterKey::from_hex(&"5c".repeat(32)).unwrap();
        let vault = Vault::open_sqlite(folder.path().join("vault.db"), master).await.unwrap();
        let directory = Directory::open(ledger.reader().clone(), vault.clone()).await.unwrap();
        let personal = PersonalData::new(vault, LedgerId::main());
        let approvals =
            Approvals::new(ledger.clone(), directory.clone(), personal.clone(), clock).with_development(true);
        let pacing =
            |seconds| Pacing { attempts: 3, first: Duration::from_secs(seconds), longest: Duration::from_secs(3_600) };
        let world = Self {
            exports: Commands::new(ledger.clone(), StreamPolicy::default()),
            decisions: Commands::new(ledger.clone(), StreamPolicy::default()),
            ledger,
            database,
            approvals,
            directory,
            personal,
            time,
            folder,
            patience: Duration::from_secs(20),
            settings: ExportSettings {
                generation: pacing(10),
                delivery: pacing(60),
                keep_files_days: None,
                software: "0.0.1".to_owned(),
                public_url: None,
            },
            next: AtomicU64::new(1),
        };
        world.projections().prepare().await.unwrap();
        world
    }

    pub fn projections(&self) -> Projections {
        Projections::new(self.database.clone(), self.ledger.reader().clone(), daybook_projections::all())
    }

    pub fn clock(&self) -> Clock {
        clock(&self.time)
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.time.load(Ordering::Relaxed)).unwrap()
    }

    pub fn pass_seconds(&self, seconds: i64) {
        self.time.fetch_add(seconds * SECOND, Ordering::Relaxed);
    }

    pub fn files(&self) -> ExportFiles {
        ExportFiles::open(self.export_folder()).unwrap()
    }

    pub fn export_folder(&self) -> PathBuf {
        self.folder.path().join("exports")
    }

    pub fn keys(&self) -> KeyRingOptions {
        KeyRingOptions {
            folder: self.folder.path().join("keys"),
            origin: "example.com/main".to_owned(),
            source: SigningKeySource::Folder,
            ed25519: false,
            overlap_micros: 0,
        }
    }

    pub fn sources(&self) -> Sources {
        let (reader, database) = (self.ledger.reader().clone(), self.database.clone());
        Sources::new(reader, database, self.directory.clone(), self.personal.clone())
            .with_clock(self.clock())
            .waiting_at_most(self.patience)
    }

    /// As a process that starts would have it.
    pub async fn driver(&self, destinations: &[(&str, Arc<dyn Destination>)]) -> Exports {
        // Short, so that nobody waits long for a process that is gone.
        let leases = Leases::open(self.database.clone(), LedgerId::main(), self.clock()).await.unwrap();
        Exports::new(ExportParts {
            ledger: self.ledger.clone(),
            database: self.database.clone(),
            approvals: self.approvals.clone(),
            sources: self.sources(),
            files: self.files(),
            keys: self.keys(),
            checkpoints: None,
            destinations: destinations.iter().map(|(name, to)| (destination(name), Arc::clone(to))).collect(),
            leases: leases.lasting(Duration::from_millis(1_000)),
            clock: self.clock(),
            settings: self.settings.clone(),
        })
    }

    /// Drives exports, with projectors beside, until `done` says so of the export.
    pub async fn drive(
        &self,
        destinations: &[(&str, Arc<dyn Destination>)],
        id: &str,
        done: impl Fn(&Export) -> bool,
    ) -> Export {
        let driver = self.driver(destinations).await;
        let projections = self.projections();
        let (stop, stopping) = watch::channel(false);
        let folding = {
            let stopping = stopping.clone();
            tokio::spawn(async move { projections.run(stopping).await })
        };
        let driving = tokio::spawn(async move { driver.run(stopping).await.unwrap() });
        let export = self.wait_for(id, done).await;
        stop.send_replace(true);
        driving.await.unwrap();
        folding.await.unwrap();
        export
    }

    pub async fn wait_for(&self, id: &str, done: impl Fn(&Export) -> bool) -> Export {
        let waiting = async {
            loop {
                let export = self.export(id).await;
                if done(&export) {
                    return export;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(40), waiting).await {
            Ok(export) => export,
            Err(_) => panic!("it does not get there: {:#?}", self.export(id).await),
        }
    }

    pub async fn export(&self, id: &str) -> Export {
        self.exports.load(id).await.unwrap().unwrap().aggregate
    }

    pub async fn entries(&self, event_type: &str) -> Vec<Entry> {
        let entries = self.ledger.entries(0, 100_000).await.unwrap();
        entries.into_iter().filter(|entry| entry.event_type == event_type).collect()
    }

    /// Appends transactions as fast as they go.
    pub async fn record(&self, count: u64) {
        let mut pending = Vec::new();
        for number in 0..count {
            let payload = format!(
                r#"{{"nonce":"00","transaction_id":"tx-{number}","amount":"{number}.50","currency":"USD",
                    "timestamp":"2026-01-05T10:00:00.000000Z","timestamp_source":"client","status":"completed",
                    "account":"ACC-{}","counterparty":"ACC-9"}}"#,
                number % 10
            );
            let append = Append {
                stream: StreamKey::new("transaction", format!("tx-{number}")).unwrap(),
                expected_version: 0,
                events: vec![Draft::new("transaction.recorded", 1, payload)],
                actor: Actor::human("usr_1"),
                metadata: "{}".to_owned(),
                command: None,
            };
            pending.push(self.ledger.submit(append).await.unwrap());
        }
        for outcome in pending {
            outcome.outcome().await.unwrap();
        }
    }

    /// A request as somebody might make it.
    pub fn request(&self, kind: ExportKind, format: ExportFormat) -> Requested {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let actor = ActorId::parse("", "operator").unwrap();
        Requested {
            export_id: ExportId::parse("", format!("exp_{number}")).unwrap(),
            kind,
            format,
            filters: BTreeMap::new(),
            columns: Vec::new(),
            requested_by: actor.clone(),
            person: actor,
            approval_id: ApprovalId::parse("", format!("apr_{number}")).unwrap(),
            deliver_to: Vec::new(),
            collect: false,
            reason: None,
            digest: HexDigest::of(&[0; 32]),
            schedule: None,
        }
    }

    /// Opens the approval, and asks for the export. Answers its id.
    pub async fn ask(&self, mut request: Requested) -> String {
        let action = request.action().unwrap();
        request.digest = HexDigest::parse("", action.digest().as_str()).unwrap();
        self.open(&request, action).await;
        let id = request.export_id.to_string();
        self.exports.execute(&id, ExportCommand::Request(Box::new(request)), context()).await.unwrap();
        id
    }

    async fn open(&self, request: &Requested, action: Action) {
        let clause = Clause { votes: 1, from: vec![Electorate::Role(RoleName::parse("", "admin").unwrap())] };
        let terms = Terms {
            steps: vec![Step { name: None, clauses: vec![clause] }],
            distinct_persons: true,
            decide_within_seconds: 30_000_000,
            grant_seconds: 30_000_000,
            escalation: Vec::new(),
            break_glass: None,
        };
        let command = ApprovalCommand::Request {
            approval_id: request.approval_id.clone(),
            action: Box::new(action),
            requester: Requester {
                actor: request.requested_by.clone(),
                person: request.person.clone(),
                required_permissions: Vec::new(),
            },
            reason: None,
            policy: PolicyInForce { version: 0, rule: 0, terms },
            submit: true,
            at: self.now(),
        };
        self.decisions.execute(request.approval_id.as_str(), command, context()).await.unwrap();
    }

    /// Somebody votes on the export's approval.
    pub async fn vote(&self, export: &str, decision: Decision) {
        let approval = export.replace("exp_", "apr_");
        let person = ActorId::parse("", "usr_2").unwrap();
        let voter = Voter {
            actor: person.clone(),
            accounts: vec![person.clone()],
            person,
            is_person: true,
            is_active: true,
            roles: vec![RoleName::parse("", "admin").unwrap()],
            departments: Vec::new(),
            stands_for: Vec::new(),
            is_delegate_of: Vec::new(),
            owed: Default::default(),
        };
        let command = ApprovalCommand::Vote {
            voter,
            decision,
            reason: None,
            on_behalf_of: None,
            revision: None,
            signature: None,
            at: self.now(),
        };
        self.decisions.execute(&approval, command, context()).await.unwrap();
    }

    /// Asks for an export and approves it.
    pub async fn ask_and_approve(&self, request: Requested) -> String {
        let id = self.ask(request).await;
        self.vote(&id, Decision::Approve).await;
        id
    }

    /// What an auditor would find.
    pub fn verify(&self, export: &Export) -> Verification {
        let (files, generated) = (self.files(), export.generated().unwrap());
        let path = |name: &str| files.path(name).unwrap();
        let parts = Parts {
            file: path(generated.file.as_str()),
            manifest: path(generated.manifest.file.as_str()),
            signature: path(generated.signature.file.as_str()),
        };
        let recorded = Recorded {
            export_id: export.request().unwrap().export_id.to_string(),
            file_blake3: generated.blake3.to_string(),
            file_sha256: generated.sha256.to_string(),
            manifest_blake3: generated.manifest.blake3.to_string(),
            manifest_sha256: generated.manifest.sha256.to_string(),
        };
        let ring = KeyRing::open(self.keys(), self.now().micros()).unwrap();
        verify(&parts, &manifest_keys(&ring), Some(&recorded))
    }

    pub fn content(&self, export: &Export) -> String {
        let path = self.files().path(export.generated().unwrap().file.as_str()).unwrap();
        std::fs::read_to_string(path).unwrap()
    }

    /// Names in the folder of exports, sorted.
    pub fn names(&self) -> Vec<String> {
        let Ok(folder) = std::fs::read_dir(self.export_folder()) else { return Vec::new() };
        let mut names: Vec<String> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn clock(time: &Arc<AtomicI64>) -> Clock {
    let time = Arc::clone(time);
    Arc::new(move || time.load(Ordering::Relaxed))
}

pub fn context() -> CommandContext {
    CommandContext::new(Actor::human("usr_1"))
}

pub fn destination(name: &str) -> DestinationName {
    DestinationName::parse("", name).unwrap()
}

pub fn is_at(status: ExportStatus) -> impl Fn(&Export) -> bool {
    move |export| export.status() == Some(status)
}

pub fn is_settled(export: &Export) -> bool {
    export.has_file()
        && export.destinations_not_scheduled().next().is_none()
        && !export.deliveries().iter().any(Delivery::is_open)
}

/// What a scripted destination answers to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Yes,
    NotNow,
    Never,
}

/// A destination that answers as it is told, and yes when nothing is left. Remembers what it was brought.
pub struct Scripted {
    name: DestinationName,
    answers: std::sync::Mutex<Vec<Answer>>,
    /// Ids of deliveries, one for each attempt.
    pub seen: std::sync::Mutex<Vec<String>>,
}

impl Scripted {
    pub fn new(answers: &[Answer]) -> Arc<Self> {
        let answers = answers.iter().rev().copied().collect();
        let name = destination("bank");
        Arc::new(Self { name, answers: std::sync::Mutex::new(answers), seen: std::sync::Mutex::default() })
    }
}

#[async_trait]
impl Destination for Scripted {
    fn name(&self) -> &DestinationName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "scripted"
    }

    fn place(&self) -> String {
        "nowhere".to_owned()
    }

    async fn deliver(&self, package: &Package) -> Result<Receipt, DeliveryError> {
        self.seen.lock().unwrap().push(package.delivery_id.to_string());
        // Somebody else gets on in between.
        tokio::task::yield_now().await;
        match self.answers.lock().unwrap().pop().unwrap_or(Answer::Yes) {
            Answer::Yes => Ok(Receipt { detail: "thanks".to_owned() }),
            Answer::NotNow => Err(DeliveryError::temporary("not now")),
            Answer::Never => Err(DeliveryError::permanent("never")),
        }
    }
}
