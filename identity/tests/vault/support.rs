//! A fresh vault for each test, the same vault as another process has it open, and its bytes.

use std::path::PathBuf;

use daybook_identity::vault::{MasterKey, Vault};
use daybook_ledger::LedgerId;
use sqlx::{AnyPool, Row};

/// 2026-11-21T10:00:00Z.
pub const MORNING: i64 = 1_795_255_200_000_000;
pub const SECOND: i64 = 1_000_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const DAY: i64 = 24 * 60 * MINUTE;
/// How many do the same thing at once.
pub const CROWD: usize = 64;

/// A name that a URL would misread.
const FILE: &str = "vault 100%#?.db";

pub fn main_ledger() -> LedgerId {
    LedgerId::main()
}

pub fn other_ledger() -> LedgerId {
    "other".parse().unwrap()
}

pub fn master() -> MasterKey {
    MasterKey::from_hex(&"5c".repeat(32)).unwrap()
}

pub struct World {
    pub vault: Vault,
    pub place: Place,
}

pub enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(String),
}

impl Place {
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub async fn postgres() -> Option<Self> {
        let Ok(url) = std::env::var("DAYBOOK_TEST_POSTGRES_URL") else {
            eprintln!("skipped: DAYBOOK_TEST_POSTGRES_URL is not set");
            return None;
        };
        let schema = format!("vault_{}", uuid::Uuid::new_v4().simple());
        let pool = sqlx::PgPool::connect(&url).await.unwrap();
        sqlx::query(&format!("create schema {schema}")).execute(&pool).await.unwrap();
        pool.close().await;
        Some(Self::Postgres(format!("{url}?options=-csearch_path%3D{schema}")))
    }

    pub async fn open(&self, key: MasterKey) -> Result<Vault, daybook_identity::vault::VaultError> {
        match self {
            Self::Sqlite(folder) => Vault::open_sqlite(folder.path().join(FILE), key).await,
            Self::Postgres(url) => Vault::open_postgres(url, 6, key).await,
        }
    }

    pub fn file(&self) -> Option<PathBuf> {
        match self {
            Self::Sqlite(folder) => Some(folder.path().join(FILE)),
            Self::Postgres(_) => None,
        }
    }

    /// A way to look at and alter the tables behind the vault's back.
    pub async fn raw(&self) -> AnyPool {
        sqlx::any::install_default_drivers();
        let url = match self {
            Self::Sqlite(folder) => {
                let folder = folder.path().to_string_lossy().into_owned();
                format!("sqlite://{folder}/vault%20100%25%23%3F.db")
            }
            Self::Postgres(url) => url.clone(),
        };
        AnyPool::connect(&url).await.unwrap()
    }

    pub async fn alter(&self, sql: &str) -> u64 {
        let pool = self.raw().await;
        let changed = sqlx::query(sql).execute(&pool).await.unwrap().rows_affected();
        pool.close().await;
        changed
    }

    pub async fn text(&self, sql: &str) -> String {
        let pool = self.raw().await;
        let text = sqlx::query(sql).fetch_one(&pool).await.unwrap().get(0);
        pool.close().await;
        text
    }

    pub async fn count(&self, sql: &str) -> i64 {
        let pool = self.raw().await;
        let count = sqlx::query(sql).fetch_one(&pool).await.unwrap().get(0);
        pool.close().await;
        count
    }

    /// All that is kept: the bytes of every file, or every row of every table.
    pub async fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Sqlite(folder) => {
                let files = std::fs::read_dir(folder.path()).unwrap();
                files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
            }
            Self::Postgres(_) => {
                let pool = self.raw().await;
                let tables =
                    "select table_name::text from information_schema.tables where table_schema = current_schema()";
                let mut bytes = Vec::new();
                for table in sqlx::query(tables).fetch_all(&pool).await.unwrap() {
                    let table: String = table.get(0);
                    let rows = sqlx::query(&format!("select r::text from {table} r")).fetch_all(&pool).await.unwrap();
                    rows.iter().for_each(|row| bytes.extend_from_slice(row.get::<String, _>(0).as_bytes()));
                }
                pool.close().await;
                bytes
            }
        }
    }
}

impl World {
    pub async fn sqlite() -> Self {
        Self::new(Place::sqlite()).await
    }

    pub async fn postgres() -> Option<Self> {
        Some(Self::new(Place::postgres().await?).await)
    }

    async fn new(place: Place) -> Self {
        Self { vault: place.open(master()).await.unwrap(), place }
    }

    /// The vault as another process has it.
    pub async fn another(&self) -> Vault {
        self.place.open(master()).await.unwrap()
    }
}

pub fn has(haystack: &[u8], needle: &str) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// The whole text from tests of whether `bytes` has any of `secrets`, in clear, hex or base64.
pub fn assert_has_none(bytes: &[u8], secrets: &[&str]) {
    use base64::Engine as _;
    for secret in secrets {
        let forms = [
            (*secret).to_owned(),
            hex::encode(secret),
            base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(secret),
        ];
        for form in forms {
            assert!(!has(bytes, &form), "{secret} is there as {form}");
        }
    }
}

/// Does the same thing `CROWD` times at once, half of them in one process and half in another.
pub async fn crowd<T, F>(world: &World, work: impl Fn(Vault) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let another = world.another().await;
    let tasks: Vec<_> = (0..CROWD)
        .map(|number| {
            let vault = if number % 2 == 0 { world.vault.clone() } else { another.clone() };
            tokio::spawn(work(vault))
        })
        .collect();
    let mut answers = Vec::with_capacity(CROWD);
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    another.close().await;
    answers
}
