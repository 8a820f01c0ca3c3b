//! A ledger, a vault and a way to say what happened, fresh for each test.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use daybook_domain::organization::OrganizationEvent;
use daybook_domain::personal::Personal;
use daybook_domain::user::UserEvent;
use daybook_http_kit::{IdentityConfig, Organizations, Secret};
use daybook_identity::authenticator::IdentityService;
use daybook_identity::directory::Directory;
use daybook_identity::personal::PersonalData;
use daybook_identity::tokens::Tokens;
use daybook_identity::vault::{MasterKey, Vault};
use daybook_ledger::sequencer::{Clock, Unobserved};
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, Append, Draft, Ledger, LedgerId, LedgerReader, Store, StreamKey};
use serde_json::{Value, json};

/// 2026-11-21T10:00:00Z.
pub const MORNING: i64 = 1_795_255_200_000_000;
pub const SECOND: i64 = 1_000_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const DAY: i64 = 24 * 60 * MINUTE;
pub const ISSUER: &str = "https://daybook.example";
pub const OPERATOR_TOKEN: &str = "dbk_0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";

pub struct World {
    pub store: Arc<dyn Store>,
    pub ledger: Ledger,
    pub vault: Vault,
    pub clock: Clock,
    time: Arc<AtomicI64>,
    versions: Mutex<HashMap<(String, String), u64>>,
    pub folder: tempfile::TempDir,
}

impl World {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
        Self::on(store, folder).await
    }

    pub async fn on(store: Arc<dyn Store>, folder: tempfile::TempDir) -> Self {
        let time = Arc::new(AtomicI64::new(MORNING));
        let clock: Clock = {
            let time = Arc::clone(&time);
            Arc::new(move || time.load(Ordering::Relaxed))
        };
        let ledger = open_ledger(&store, LedgerId::main(), &clock).await;
        let master = MasterKey::from_hex(&"0a".repeat(32)).unwrap();
        let vault = Vault::open_sqlite(folder.path().join("vault.db"), master).await.unwrap();
        Self { store, ledger, vault, clock, time, versions: Mutex::default(), folder }
    }

    pub fn now(&self) -> i64 {
        (self.clock)()
    }

    pub fn wait(&self, micros: i64) {
        self.time.fetch_add(micros, Ordering::Relaxed);
    }

    /// Appends an event of any type as `actor`; answers its position.
    pub async fn append_as(&self, actor: Actor, stream_type: &str, id: &str, event_type: &str, payload: Value) -> u64 {
        let key = (stream_type.to_owned(), id.to_owned());
        let version = self.versions.lock().unwrap().get(&key).copied().unwrap_or(0);
        let append = Append {
            stream: StreamKey::new(stream_type, id).unwrap(),
            expected_version: version,
            events: vec![Draft::new(event_type, 1, payload.to_string())],
            actor,
            metadata: "{}".to_owned(),
            command: None,
        };
        let appended = self.ledger.append(append).await.unwrap();
        self.versions.lock().unwrap().insert(key, appended.version);
        appended.receipt.position
    }

    /// Appends an event; its type begins with that of its stream.
    pub async fn happens(&self, id: &str, event_type: &str, payload: Value) -> u64 {
        let (stream_type, _) = event_type.split_once('.').unwrap();
        self.append_as(Actor::system("operator"), stream_type, id, event_type, payload).await
    }

    /// Somebody who has registered, with roles that hold everywhere and for ever.
    pub async fn person(&self, id: &str, roles: &[&str]) -> u64 {
        let registered = json!({ "email": sealed(id), "full_name": sealed(id), "origin": "registration" });
        let mut position = self.happens(id, "user.registered", registered).await;
        for role in roles {
            position = self.happens(id, "user.role_granted", json!({ "role": role })).await;
        }
        position
    }

    pub async fn role(&self, name: &str, inherits: &[&str], permissions: &[&str]) -> u64 {
        let payload = json!({ "name": name, "display_name": name, "inherits": inherits, "permissions": permissions });
        self.happens(name, "role.created", payload).await
    }

    pub async fn department(&self, id: &str, parent: Option<&str>) -> u64 {
        let mut payload = json!({ "department_id": id, "name": id.to_uppercase() });
        if let Some(parent) = parent {
            payload["parent_department_id"] = parent.into();
        }
        self.happens(id, "department.created", payload).await
    }

    /// The directory as this process has it.
    pub async fn directory(&self) -> Directory {
        self.directory_of(self.ledger.reader().clone()).await
    }

    /// The directory as `reader` sees the ledger.
    pub async fn directory_of(&self, reader: LedgerReader) -> Directory {
        Directory::open_with_clock(reader, self.vault.clone(), Arc::clone(&self.clock)).await.unwrap()
    }

    /// A reader as another process has it: it hears of nothing and has to look.
    pub async fn reader_elsewhere(&self) -> LedgerReader {
        LedgerReader::open(Arc::clone(&self.store), self.ledger.id().clone()).await.unwrap()
    }

    pub fn tokens(&self) -> Tokens {
        Tokens::new(self.vault.clone(), ISSUER)
    }

    pub fn personal(&self) -> PersonalData {
        PersonalData::new(self.vault.clone(), self.ledger.id().clone())
    }

    /// The authenticator, with development headers as wished.
    pub fn service(&self, directories: Organizations<Directory>, dev_auth: bool) -> IdentityService {
        let config = IdentityConfig::new(Some(Secret::new(OPERATOR_TOKEN)), dev_auth);
        IdentityService::new(config, self.vault.clone(), self.tokens(), directories, Arc::clone(&self.clock))
    }
}

pub async fn open_ledger(store: &Arc<dyn Store>, id: LedgerId, clock: &Clock) -> Ledger {
    Ledger::open(Arc::clone(store), id, Arc::clone(clock), Arc::new(Unobserved)).await.unwrap()
}

/// A value that looks sealed, about `subject`.
pub fn sealed(subject: &str) -> Value {
    let sealed = format!("dbs1.{}", "A".repeat(64));
    serde_json::to_value(Personal { subject: subject.to_owned(), sealed }).unwrap()
}

/// RFC 3339 of a time in microseconds.
pub fn text(micros: i64) -> Value {
    serde_json::to_value(daybook_domain::Timestamp::from_micros(micros).unwrap()).unwrap()
}

/// The payloads written here are the ones the domain reads.
#[test]
fn payloads_of_these_tests_are_events_of_the_domain() {
    let registered = json!({ "event_type": "user.registered", "payload":
        { "email": sealed("usr_1"), "full_name": sealed("usr_1"), "origin": "registration" } });
    assert!(serde_json::from_value::<UserEvent>(registered).is_ok());
    let created = json!({ "event_type": "organization.created", "payload": { "name": "Acme", "tier": "standard" } });
    assert!(serde_json::from_value::<OrganizationEvent>(created).is_ok());
}
