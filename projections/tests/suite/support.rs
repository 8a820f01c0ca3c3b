//! A ledger, read tables and a way to append, fresh for each test.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use daybook_ledger::sequencer::{Clock, Unobserved};
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, Append, Draft, Ledger, LedgerId, Store, StreamKey};
use daybook_projections::{DecodedEntry, FoldError, Interest, Projections, Projector, TableDefinition, TableNames};
use daybook_read_models::ReadDb;
use serde_json::{Value, json};
use sqlx::AnyConnection;

/// 2026-11-21T10:00:00Z.
pub const MORNING: i64 = 1_795_255_200_000_000;

/// A name that a URL would misread.
const FILE: &str = "read 100%#?.db";

pub struct World {
    pub ledger: Ledger,
    pub db: ReadDb,
    pub store: Arc<dyn Store>,
    place: Place,
    versions: Mutex<HashMap<(String, String), u64>>,
    folder: tempfile::TempDir,
}

enum Place {
    Sqlite,
    Postgres(String),
}

impl World {
    pub async fn sqlite() -> Option<Self> {
        Some(Self::new(Place::Sqlite).await)
    }

    pub async fn postgres() -> Option<Self> {
        let Ok(url) = std::env::var("DAYBOOK_TEST_POSTGRES_URL") else {
            eprintln!("skipped: DAYBOOK_TEST_POSTGRES_URL is not set");
            return None;
        };
        let schema = format!("read_{}", uuid::Uuid::new_v4().simple());
        let pool = sqlx::PgPool::connect(&url).await.unwrap();
        sqlx::query(&format!("create schema {schema}")).execute(&pool).await.unwrap();
        pool.close().await;
        Some(Self::new(Place::Postgres(format!("{url}?options=-csearch_path%3D{schema}"))).await)
    }

    async fn new(place: Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
        let ledger = Self::open_ledger(&store, LedgerId::main()).await;
        let db = open(&place, &folder).await;
        Self { ledger, db, store, place, versions: Mutex::default(), folder }
    }

    /// Time goes on by a second each time somebody looks.
    pub async fn open_ledger(store: &Arc<dyn Store>, id: LedgerId) -> Ledger {
        let time = AtomicI64::new(MORNING);
        let clock: Clock = Arc::new(move || time.fetch_add(1_000_000, Ordering::Relaxed));
        Ledger::open(Arc::clone(store), id, clock, Arc::new(Unobserved)).await.unwrap()
    }

    /// The same read tables as another process would see them.
    pub async fn another_db(&self) -> ReadDb {
        open(&self.place, &self.folder).await
    }

    /// SQLite only: the file opened for reading.
    pub async fn read_only_db(&self) -> Option<ReadDb> {
        match self.place {
            Place::Sqlite => Some(ReadDb::open_sqlite_read_only(self.folder.path().join(FILE)).await.unwrap()),
            Place::Postgres(_) => None,
        }
    }

    pub fn projections(&self) -> Projections {
        self.projections_of(daybook_projections::all())
    }

    pub fn projections_of(&self, projectors: Vec<Box<dyn Projector>>) -> Projections {
        Projections::new(self.db.clone(), self.ledger.reader().clone(), projectors)
    }

    /// Appends events to a stream as one command; answers the position of the last.
    pub async fn append(&self, stream_type: &str, id: &str, events: &[(&str, Value)]) -> u64 {
        let append = self.prepare(stream_type, id, events);
        self.ledger.append(append).await.unwrap().receipt.position
    }

    /// Appends many commands with as few commits as the sequencer likes.
    pub async fn append_all(&self, commands: Vec<Append>) {
        let mut pending = Vec::new();
        for command in commands {
            pending.push(self.ledger.submit(command).await.unwrap());
        }
        for outcome in pending {
            outcome.outcome().await.unwrap();
        }
    }

    pub fn prepare(&self, stream_type: &str, id: &str, events: &[(&str, Value)]) -> Append {
        let mut versions = self.versions.lock().unwrap();
        let version = versions.entry((stream_type.to_owned(), id.to_owned())).or_default();
        let expected_version = *version;
        *version += u64::try_from(events.len()).unwrap();
        Append {
            stream: StreamKey::new(stream_type, id).unwrap(),
            expected_version,
            events: events
                .iter()
                .map(|(name, payload)| Draft::new(format!("{stream_type}.{name}"), 1, payload.to_string()))
                .collect(),
            actor: Actor::human("usr_1"),
            metadata: r#"{"causation_id":"main/0","correlation_id":"cor_1","on_behalf_of":"usr_2"}"#.to_owned(),
            command: None,
        }
    }

    pub async fn record(&self, id: &str, amount: &str) -> u64 {
        self.append("transaction", id, &[("recorded", recorded(id, amount))]).await
    }

    pub async fn execute(&self, sql: &str) -> u64 {
        let mut transaction = self.db.begin().await.unwrap();
        let done = sqlx::query(sql).execute(&mut *transaction).await.unwrap().rows_affected();
        transaction.commit().await.unwrap();
        done
    }

    /// Folded again from the first entry in large batches, the read tables are the same.
    pub async fn assert_folding_anew_gives_the_same(&self) {
        let projections = self.projections();
        for name in projections.names() {
            let comparison = projections.compare(name, |_, _| {}).await.unwrap();
            assert!(comparison.equal, "{comparison:?}");
            assert!(comparison.tables.iter().all(|table| table.rows == table.rebuilt_rows));
        }
    }
}

async fn open(place: &Place, folder: &tempfile::TempDir) -> ReadDb {
    match place {
        Place::Sqlite => ReadDb::open_sqlite(folder.path().join(FILE)).await.unwrap(),
        Place::Postgres(url) => ReadDb::open_postgres(url, 6).await.unwrap(),
    }
}

pub fn recorded(id: &str, amount: &str) -> Value {
    json!({
        "nonce": "00112233445566778899aabbccddeeff",
        "transaction_id": id, "amount": amount, "currency": "USD",
        "timestamp": "2026-11-20T23:59:59.000000Z", "timestamp_source": "client", "status": "pending",
    })
}

pub fn opened(id: &str, title: &str, severity: &str) -> Value {
    json!({
        "incident_id": id, "title": title, "severity": severity, "priority": 2, "incident_type": "stuck_order",
        "detection_method": "manual",
    })
}

/// A standard projector with something different about it.
pub struct Altered {
    pub inner: Box<dyn Projector>,
    pub version: u32,
    /// Fails after it has folded, as a crash before the commit would.
    pub fails: Arc<std::sync::atomic::AtomicBool>,
}

#[async_trait]
impl Projector for Altered {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn tables(&self) -> &'static [TableDefinition] {
        self.inner.tables()
    }

    fn interest(&self, stream_type: &str) -> Interest {
        self.inner.interest(stream_type)
    }

    async fn fold(
        &self,
        connection: &mut AnyConnection,
        tables: &TableNames,
        ledger_id: &str,
        batch: &[DecodedEntry],
    ) -> Result<(), FoldError> {
        self.inner.fold(connection, tables, ledger_id, batch).await?;
        if self.fails.load(Ordering::Relaxed) {
            return Err(FoldError::Inconsistent("the test says so".to_owned()));
        }
        Ok(())
    }
}

/// Runs each test on every store.
macro_rules! on_every_store {
    ($($name:ident)*) => {
        mod on_sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { if let Some(world) = crate::support::World::sqlite().await { super::$name(world).await; } }
        )* }
        mod on_postgres { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { if let Some(world) = crate::support::World::postgres().await { super::$name(world).await; } }
        )* }
    };
}
pub(crate) use on_every_store;

/// As [`on_every_store`], for what is only run when asked for.
macro_rules! on_every_store_ignored {
    ($($name:ident)*) => {
        mod on_sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "a measurement"]
            async fn $name() { if let Some(world) = crate::support::World::sqlite().await { super::$name(world).await; } }
        )* }
        mod on_postgres { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "a measurement"]
            async fn $name() { if let Some(world) = crate::support::World::postgres().await { super::$name(world).await; } }
        )* }
    };
}
pub(crate) use on_every_store_ignored;
