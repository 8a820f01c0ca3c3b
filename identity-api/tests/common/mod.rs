//! One organisation, or several, on real files in a folder of its own, and the app around them as the binary mounts it.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actix_web::http::{Method, header::HeaderMap};
use actix_web::{test, web};
use daybook_approvals::Approvals;
use daybook_http_kit::{HttpKit, IdentityConfig, Organizations, RateLimits, RouteTable, Secret};
use daybook_identity::authenticator::IdentityService;
use daybook_identity::directory::Directory;
use daybook_identity::mail::{FileMailer, Mailer};
use daybook_identity::passwords::{PasswordPolicy, Passwords};
use daybook_identity::personal::PersonalData;
use daybook_identity::recorder::Recorder;
use daybook_identity::tokens::Tokens;
use daybook_identity::vault::{MasterKey, Vault};
use daybook_identity_api::{IdentitySettings, IdentityState, OrganizationIdentity};
use daybook_ledger::sequencer::{Clock, Unobserved, system_clock};
use daybook_ledger::store::Store;
use daybook_ledger::store::postgres::PostgresStore;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Append, Draft, Entry, Ledger, LedgerId, StreamKey};
use serde_json::{Value, json};
use tokio::sync::watch;

/// The operator's token of every test.
pub const OPERATOR: &str = "dbk_0000000000000000000000000000000000000000000000000000000000000000";
/// A password that every policy takes.
pub const PASSWORD: &str = "stapled horses run at dawn";
/// Microseconds.
pub const SECOND: i64 = 1_000_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;

/// Everything that the handlers work with, and what tests look at.
pub struct World {
    pub state: IdentityState,
    pub service: IdentityService,
    pub kit: HttpKit,
    pub directories: Organizations<Directory>,
    pub approvals: Organizations<Approvals>,
    dev_auth: bool,
    ahead: Arc<AtomicI64>,
    store: Arc<dyn Store>,
    /// The directories stand still but for what is waited for.
    is_still: bool,
    folder: tempfile::TempDir,
    stop: watch::Sender<bool>,
}

/// How a world differs from the ordinary one.
#[derive(Default)]
pub struct Options {
    pub open_registration: bool,
    pub dev_auth: bool,
    /// `None`: letters are files in the world's folder.
    pub mailer: Option<Arc<dyn Mailer>>,
    /// The directories do not follow by themselves, as if the ledger's wake-ups were late.
    pub is_still: bool,
    /// A PostgreSQL URL with a schema of its own, for several worlds that are processes of one installation; `None`:
    /// files in the world's folder.
    pub postgres: Option<String>,
}

/// A fresh schema in the PostgreSQL of the tests; `None` where there is none.
pub async fn postgres_schema() -> Option<String> {
    let Ok(url) = std::env::var("DAYBOOK_TEST_POSTGRES_URL") else {
        eprintln!("skipped: DAYBOOK_TEST_POSTGRES_URL is not set");
        return None;
    };
    let schema = format!("identity_{}", uuid::Uuid::new_v4().simple());
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    sqlx::query(&format!("create schema {schema}")).execute(&pool).await.unwrap();
    pool.close().await;
    Some(format!("{url}?options=-csearch_path%3D{schema}"))
}

/// The ordinary one: organisation `main`, closed registration, letters as files.
pub async fn world() -> World {
    world_with(Options::default()).await
}

pub async fn world_with(options: Options) -> World {
    let folder = tempfile::tempdir().unwrap();
    let ahead = Arc::new(AtomicI64::new(0));
    let clock: Clock = {
        let (ahead, system) = (Arc::clone(&ahead), system_clock());
        Arc::new(move || system() + ahead.load(Ordering::SeqCst))
    };
    let master = MasterKey::from_hex(&"5c".repeat(32)).unwrap();
    let (store, vault): (Arc<dyn Store>, _) = match &options.postgres {
        Some(url) => {
            let store = PostgresStore::open(url, 8).await.unwrap();
            (Arc::new(store), Vault::open_postgres(url, 8, master).await.unwrap())
        }
        None => {
            let store = SqliteStore::open(folder.path().join("ledger.db")).unwrap();
            (Arc::new(store), Vault::open_sqlite(folder.path().join("vault.db"), master).await.unwrap())
        }
    };
    let tokens = Tokens::new(vault.clone(), "daybook.test");
    let policy = PasswordPolicy { memory_kib: 64, iterations: 1, ..PasswordPolicy::default() };
    let identity = IdentityConfig::new(Some(Secret::new(OPERATOR)), options.dev_auth);
    let mailer: Arc<dyn Mailer> = match options.mailer {
        Some(mailer) => mailer,
        None => Arc::new(FileMailer::open(folder.path().join("mail"), "Daybook <daybook@example.com>").unwrap()),
    };
    let settings = IdentitySettings {
        public_url: "https://daybook.example".to_owned(),
        open_registration: options.open_registration,
        ..IdentitySettings::default()
    };
    let directories = Organizations::new();
    let state = IdentityState {
        vault: vault.clone(),
        tokens: tokens.clone(),
        passwords: Passwords::new(policy).unwrap(),
        mailer,
        settings: Arc::new(settings),
        organizations: Organizations::new(),
        clock: Arc::clone(&clock),
        identity: identity.clone(),
        recorder: Recorder::new(LedgerId::main()),
        creator: None,
    };
    let service = IdentityService::new(identity.clone(), vault, tokens, directories.clone(), clock);
    let document = daybook_identity_api::openapi();
    let many = NonZeroU32::new(1_000_000).unwrap();
    let kit = HttpKit::new(identity, RouteTable::new([&document]))
        .with_authenticator(Arc::new(service.clone()))
        .with_access_log(Arc::new(state.recorder.clone()))
        .with_limits(RateLimits::new(many, many));
    let world = World {
        approvals: Organizations::new(),
        dev_auth: options.dev_auth,
        state,
        service,
        kit,
        directories,
        ahead,
        store,
        is_still: options.is_still,
        folder,
        stop: watch::Sender::new(false),
    };
    world.open("main").await;
    world
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

impl World {
    /// Opens one more organisation.
    pub async fn open(&self, id: &str) -> Arc<OrganizationIdentity> {
        let id: LedgerId = id.parse().unwrap();
        let store = Arc::clone(&self.store);
        let clock = Arc::clone(&self.state.clock);
        let clock_of_approvals = Arc::clone(&clock);
        let ledger = Ledger::open(store, id.clone(), clock, Arc::new(Unobserved)).await.unwrap();
        self.state.vault.add_organization(&id, self.state.now()).await.unwrap();
        let directory = Directory::open(ledger.reader().clone(), self.state.vault.clone()).await.unwrap();
        if !self.is_still {
            tokio::spawn(directory.clone().run(self.stop.subscribe()));
        }
        let personal = PersonalData::new(self.state.vault.clone(), id.clone());
        self.state.recorder.open(ledger.clone(), personal.clone());
        self.directories.insert(id.clone(), Arc::new(directory.clone()));
        let approvals = Approvals::new(ledger.clone(), directory.clone(), personal.clone(), clock_of_approvals);
        let approvals = approvals.with_development(self.dev_auth);
        self.approvals.insert(id.clone(), Arc::new(approvals));
        let organization = Arc::new(OrganizationIdentity::new(ledger, directory, personal));
        self.state.organizations.insert(id, Arc::clone(&organization));
        organization
    }

    /// An organisation that is open.
    pub fn organization(&self, id: &str) -> Arc<OrganizationIdentity> {
        self.state.organizations.get(&id.parse().unwrap()).unwrap()
    }

    /// Lets the clock of everything but the directory go ahead.
    pub fn advance(&self, micros: i64) {
        self.ahead.fetch_add(micros, Ordering::SeqCst);
    }

    /// The folder with every file there is.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Sends one request.
    pub async fn call(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string().into_bytes());
        self.call_bytes(method, path, headers, body).await
    }

    pub async fn call_bytes(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Answer {
        let app = test::init_service(
            daybook_http_kit::app(&self.kit)
                .app_data(web::Data::new(self.state.clone()))
                .app_data(web::Data::new(self.state.organizations.clone()))
                .app_data(web::Data::new(self.approvals.clone()))
                .service(web::scope("/v1").configure(daybook_identity_api::configure))
                .configure(daybook_identity_api::configure),
        )
        .await;
        let mut request = test::TestRequest::with_uri(path).method(method).peer_addr("192.0.2.7:4711".parse().unwrap());
        if body.is_some() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            request = request.insert_header(("content-type", "application/json"));
        }
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        let answer = test::call_service(&app, request.set_payload(body.unwrap_or_default()).to_request()).await;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = String::from_utf8(test::read_body(answer).await.to_vec()).unwrap();
        Answer { status, headers, body }
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.call(Method::GET, path, &[("authorization", &format!("Bearer {token}"))], None).await
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.call(Method::POST, path, &[("authorization", &format!("Bearer {token}"))], Some(body)).await
    }

    pub async fn put(&self, path: &str, token: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, &[("authorization", &format!("Bearer {token}"))], Some(body)).await
    }

    pub async fn patch(&self, path: &str, token: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, &[("authorization", &format!("Bearer {token}"))], Some(body)).await
    }

    pub async fn delete(&self, path: &str, token: &str) -> Answer {
        self.call(Method::DELETE, path, &[("authorization", &format!("Bearer {token}"))], None).await
    }

    /// A request of somebody who shows nothing.
    pub async fn post_open(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, &[], Some(body)).await
    }

    /// The first owner of an organisation, by the link of the start; answers his id.
    pub async fn owner(&self, organization: &str, email: &str) -> String {
        let link = self.state.owner_link(&organization.parse().unwrap()).await.unwrap().expect("there is no owner yet");
        let body = json!({"token": token_of(&link), "email": email, "password": PASSWORD, "full_name": "Olga Owner"});
        let answer = self.post_open("/v1/auth/register", body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.text("/id")
    }

    /// Somebody with `role` in the organisation, as if invited and registered; answers the id. The password is
    /// [`PASSWORD`].
    pub async fn member(&self, organization: &str, email: &str, role: &str) -> String {
        use daybook_domain::user::{Invite, Invited, Origin, Register, UserCommand};
        use daybook_identity_api::view::{field, seal};
        use daybook_ledger::Actor;
        use daybook_ledger::commands::CommandContext;
        let organization = self.organization(organization);
        let user_id = format!("usr_{}", &uuid::Uuid::new_v4().simple().to_string()[..24]);
        let now = self.state.now();
        let at = |micros| daybook_domain::Timestamp::from_micros(micros).unwrap();
        let digest = self.state.vault.email_digest(&organization.id, email);
        self.state.vault.reserve_account(&organization.id, &user_id, &digest, now).await.unwrap();
        let hash = self.state.passwords.hash(daybook_identity::secret::Secret::new(PASSWORD)).await.unwrap();
        self.state.vault.set_password(&organization.id, &user_id, &hash, now).await.unwrap();
        let sealed_email = seal(&organization, &user_id, field::EMAIL, email).await.unwrap();
        let invitation = Invited {
            email: sealed_email.clone(),
            role: role.parse().unwrap(),
            department_id: None,
            expires_at: at(now + DAY),
            role_expires_at: (role == "auditor").then(|| at(now + 30 * DAY)),
        };
        let name = email.split('@').next().unwrap();
        let register = Register {
            email: sealed_email,
            full_name: seal(&organization, &user_id, field::FULL_NAME, name).await.unwrap(),
            origin: Origin::Invitation,
            at: at(now),
        };
        let context = || CommandContext::new(Actor::system("test"));
        let invite = UserCommand::Invite(Box::new(Invite { invitation, at: at(now) }));
        organization.users.execute(&user_id, invite, context()).await.unwrap();
        let register = UserCommand::Register(Box::new(register));
        let outcome = organization.users.execute(&user_id, register, context()).await.unwrap();
        self.state.vault.complete_account(&organization.id, &user_id, now).await.unwrap();
        organization.settle(&outcome).await.unwrap();
        user_id
    }

    /// Logs in with [`PASSWORD`]; answers the body of the answer.
    pub async fn login(&self, organization: &str, email: &str) -> Value {
        let body = json!({"email": email, "password": PASSWORD, "organization_id": organization});
        let answer = self.post_open("/v1/auth/login", body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// An access token of somebody who logs in with [`PASSWORD`].
    pub async fn token(&self, organization: &str, email: &str) -> String {
        self.login(organization, email).await["access_token"].as_str().unwrap().to_owned()
    }

    /// Has a record be there, whatever it says.
    pub async fn record(&self, organization: &str, stream_type: &str, id: &str) {
        let append = Append {
            stream: StreamKey::new(stream_type, id).unwrap(),
            expected_version: 0,
            events: vec![Draft::new(format!("{stream_type}.recorded"), 1, "{}".to_owned())],
            actor: daybook_ledger::Actor::system("test"),
            metadata: "{}".to_owned(),
            command: None,
        };
        self.organization(organization).ledger.append(append).await.unwrap();
    }

    /// Every letter there is, oldest first.
    pub fn letters(&self) -> Vec<String> {
        let mut files: Vec<_> = std::fs::read_dir(self.folder.path().join("mail"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
            .collect();
        files.sort_by_key(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            name.rsplit('-').next().unwrap_or_default().to_owned()
        });
        files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }

    /// Waits until there are `count` letters.
    pub async fn wait_for_letters(&self, count: usize) -> Vec<String> {
        for _ in 0..1_000 {
            let letters = self.letters();
            if letters.len() >= count {
                return letters;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{count} letters were awaited, there are {}", self.letters().len());
    }

    /// All entries of an organisation's ledger, with what was waiting to be recorded.
    pub async fn entries(&self, organization: &str) -> Vec<Entry> {
        self.state.recorder.flush().await;
        self.organization(organization).ledger.entries(0, 10_000).await.unwrap()
    }

    /// The payloads of all events of a type.
    pub async fn events(&self, organization: &str, event_type: &str) -> Vec<Value> {
        let entries = self.entries(organization).await;
        let of_type = entries.iter().filter(|entry| entry.event_type == event_type);
        of_type.map(|entry| serde_json::from_str(entry.payload.as_deref().unwrap()).unwrap()).collect()
    }
}

/// What stands behind `#token=` in a link, in whatever text the link is.
pub fn token_of(text: &str) -> String {
    let start = text.find("#token=").unwrap_or_else(|| panic!("no link in {text}")) + "#token=".len();
    text[start..].chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect()
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The text at a JSON pointer.
    pub fn text(&self, pointer: &str) -> String {
        let body = self.json();
        let text = body.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_else(|| panic!("no text at {pointer} in {body}")).to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Asserts the status and answers the body.
    #[track_caller]
    pub fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.json()
    }

    /// Asserts that it is a problem in every respect.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.body);
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"));
        problem
    }
}
