//! A ledger with projectors and both mounts of the API, in a folder of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::header::HeaderMap;
use actix_web::{test, web};
use daybook_approvals::Approvals;
use daybook_domain::incident::{DetectionMethod, IncidentType, Open, Severity};
use daybook_domain::text::{IncidentId, Line, ShortName, TransactionId};
use daybook_domain::transaction::{Record, TransactionStatus};
use daybook_domain::{Incident, IncidentCommand, Meta, Money, Timestamp, Transaction, TransactionCommand};
use daybook_exports::ExportFiles;
use daybook_http_kit::{HttpKit, IdentityConfig, MetricsAccess, Organizations, RouteTable, Telemetry, app};
use daybook_identity::directory::Directory;
use daybook_identity::personal::PersonalData;
use daybook_identity::vault::{MasterKey, Vault};
use daybook_ledger::checkpoint::Checkpointer;
use daybook_ledger::commands::{CommandContext, Commands};
use daybook_ledger::cqrs::StreamPolicy;
use daybook_ledger::keys::{KeyRing, KeyRingOptions, SigningKeySource};
use daybook_ledger::sequencer::Unobserved;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, Ledger, LedgerId};
use daybook_projections::Projections;
use daybook_query_api::{Checkpoints, QueryState};
use daybook_read_models::ReadDb;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

/// 2026-11-21T10:00:00Z, when the world's clock starts; it moves a second with each commit.
pub const STARTED_US: i64 = 1_795_255_200_000_000;

/// An administrator, under development authentication.
pub const ADMIN: [(&str, &str); 2] = [("x-user-email", "admin@example.com"), ("x-user-role", "admin")];

pub struct World {
    pub ledger: Ledger,
    pub projections: Projections,
    pub state: QueryState,
    pub shutdown: watch::Sender<bool>,
    transactions: Commands<Transaction>,
    incidents: Commands<Incident>,
    pub folder: TempDir,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub async fn of(answer: ServiceResponse<BoxBody>) -> Self {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = actix_web::body::to_bytes(answer.into_body()).await.expect("a whole body").to_vec();
        Self { status, headers, body }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }
}

impl World {
    pub async fn new() -> Self {
        Self::of(LedgerId::main()).await
    }

    /// The world of one organisation.
    pub async fn of(id: LedgerId) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
        let time = Arc::new(AtomicI64::new(STARTED_US));
        let clock = Arc::new(move || time.fetch_add(1_000_000, Ordering::SeqCst));
        let ledger = Ledger::open(store, id, clock, Arc::new(Unobserved)).await.unwrap();
        let db = ReadDb::open_sqlite(folder.path().join("read.db")).await.unwrap();
        let projections = Projections::new(db.clone(), ledger.reader().clone(), daybook_projections::all());
        projections.catch_up().await.unwrap();
        let (shutdown, ends) = watch::channel(false);
        let mut state = QueryState::new(db, ledger.reader().clone(), ends);
        state.wait = Duration::from_millis(200);
        let policy = StreamPolicy { holds_personal_data: true, ..StreamPolicy::default() };
        Self {
            transactions: Commands::new(ledger.clone(), policy.clone()),
            incidents: Commands::new(ledger.clone(), policy),
            ledger,
            projections,
            state,
            shutdown,
            folder,
        }
    }

    /// A world whose process signs checkpoints when asked to.
    pub async fn signing() -> Self {
        let mut world = Self::new().await;
        let folder = tempfile::tempdir().unwrap();
        let options = KeyRingOptions {
            folder: folder.path().to_owned(),
            origin: "example.com/main".to_owned(),
            source: SigningKeySource::Folder,
            ed25519: false,
            overlap_micros: 0,
        };
        let keys = KeyRing::open(options, STARTED_US).unwrap();
        let clock = Arc::new(|| STARTED_US);
        let signer = Checkpointer::open(world.ledger.clone(), keys, clock, Arc::new(Unobserved)).await.unwrap();
        let checkpoints = Checkpoints { requests: Some(signer.requests()), ..Checkpoints::default() };
        world.state = world.state.clone().with_checkpoints(checkpoints);
        let stopping = world.shutdown.subscribe();
        tokio::spawn(async move {
            signer.run(Duration::ZERO, stopping).await;
            drop(folder);
        });
        world
    }

    /// Has a checkpoint signed; answers it.
    pub async fn sign(&self) -> Value {
        let answer = self.send("POST", "/v1/ledgers/main/checkpoints", &ADMIN).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// A world that knows who can decide what, and has a folder for the files of exports.
    pub async fn deciding() -> Self {
        let mut world = Self::new().await;
        let path = world.folder.path();
        let vault = Vault::open_sqlite(path.join("vault.db"), MasterKey::from_hex(&"0a".repeat(32)).unwrap());
        let vault = vault.await.unwrap();
        let directory = Directory::open(world.ledger.reader().clone(), vault.clone()).await.unwrap();
        let personal = PersonalData::new(vault, LedgerId::main());
        let approvals = Approvals::new(world.ledger.clone(), directory, personal, Arc::new(|| STARTED_US));
        let files = ExportFiles::open(path.join("exports")).unwrap();
        world.state = world.state.clone().with_approvals(approvals.with_development(true)).with_exports(files);
        world
    }

    /// Folds what has been recorded.
    pub async fn catch_up(&self) {
        self.projections.catch_up().await.unwrap();
    }

    /// Records a transaction; answers its position.
    pub async fn record(&self, id: &str, amount: &str, currency: &str, status: TransactionStatus, at: &str) -> u64 {
        let record = Record {
            transaction_id: TransactionId::parse("", id).unwrap(),
            money: Money::parse(amount, currency).unwrap(),
            timestamp: Some(Timestamp::parse("", at).unwrap()),
            received_at: Timestamp::from_micros(STARTED_US).unwrap(),
            status,
            account: Some(Line::parse("", "ACC-0001").unwrap()),
            counterparty: None,
            transaction_type: Some(ShortName::parse("", "wire").unwrap()),
            meta: Meta::default(),
            source: Some(Line::parse("", "api").unwrap()),
        };
        self.on_transaction(id, TransactionCommand::Record(Box::new(record))).await
    }

    /// Ten transactions, `TX-0` to `TX-9`, folded.
    pub async fn ten(&self) {
        for number in 0..10 {
            let (currency, status) = match number % 3 {
                0 => ("USD", TransactionStatus::Completed),
                1 => ("EUR", TransactionStatus::Pending),
                _ => ("USD", TransactionStatus::Failed),
            };
            let at = format!("2026-11-{:02}T12:00:00Z", 10 + number / 5);
            self.record(&format!("TX-{number}"), &format!("{}.10", number * 100), currency, status, &at).await;
        }
        self.catch_up().await;
    }

    pub async fn on_transaction(&self, id: &str, command: TransactionCommand) -> u64 {
        self.transactions.execute(id, command, context()).await.unwrap().receipt.position
    }

    /// Opens an incident; answers its position.
    pub async fn open(&self, id: &str, title: &str, severity: Severity) -> u64 {
        let open = Open {
            incident_id: IncidentId::parse("", id).unwrap(),
            title: Line::parse("", title).unwrap(),
            description: None,
            severity,
            priority: None,
            incident_type: IncidentType::parse("", "stuck_order").unwrap(),
            desk: Some(Line::parse("", "FX").unwrap()),
            trader: None,
            root_cause: None,
            recommended_action: None,
            source_event_id: None,
            last_event_timestamp: None,
            source: Some(Line::parse("", "api").unwrap()),
            detection_method: DetectionMethod::Manual,
            rule: None,
            meta: Meta::default(),
        };
        self.on_incident(id, IncidentCommand::Open(Box::new(open))).await
    }

    pub async fn on_incident(&self, id: &str, command: IncidentCommand) -> u64 {
        self.incidents.execute(id, command, context()).await.unwrap().receipt.position
    }

    /// GET as an administrator.
    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[("x-user-email", "admin@example.com"), ("x-user-role", "admin")]).await
    }

    /// GET as another role.
    pub async fn get_as(&self, role: &str, path: &str) -> Answer {
        self.send("GET", path, &[("x-user-email", "someone@example.com"), ("x-user-role", role)]).await
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        Answer::of(self.call(method, path, headers).await).await
    }

    /// The answer with its body still to come, from the app as the program mounts it.
    pub async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> ServiceResponse<BoxBody> {
        let kit = HttpKit::new(IdentityConfig::new(None, true), RouteTable::default());
        let organizations = Organizations::single(LedgerId::main(), self.state.clone());
        Self::call_in(kit, organizations, method, path, headers).await
    }

    /// The same with several organisations, or with other callers.
    pub async fn call_in(
        mut kit: HttpKit,
        organizations: Organizations<QueryState>,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> ServiceResponse<BoxBody> {
        let document = daybook_query_api::openapi();
        kit.routes = RouteTable::new([&document]);
        let app = app(&kit)
            .app_data(web::Data::new(organizations))
            .app_data(web::Data::new(Telemetry::new().unwrap()))
            .app_data(web::Data::new(MetricsAccess::Open))
            .service(web::scope("/v1").configure(daybook_query_api::configure))
            .configure(daybook_query_api::docs(&document).unwrap())
            .configure(daybook_query_api::configure);
        let service = test::init_service(app).await;
        let mut request =
            test::TestRequest::with_uri(path).method(actix_web::http::Method::from_bytes(method.as_bytes()).unwrap());
        for (name, value) in headers {
            request = request.insert_header((*name, *value));
        }
        test::call_service(&service, request.to_request()).await.map_body(|_, body| body.boxed())
    }
}

fn context() -> CommandContext {
    CommandContext { correlation_id: Some("cor-1".to_owned()), ..CommandContext::new(Actor::human("usr_1")) }
}
