//! A store of a test's own: a data folder, or a PostgreSQL schema beside a data folder.

use std::path::{Path, PathBuf};

use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

/// Names the PostgreSQL that tests may create schemas in.
const POSTGRES_URL: &str = "DAYBOOK_TEST_POSTGRES_URL";

/// A store that nobody else uses. Gone when it is dropped; servers on it must be gone before.
pub struct Store {
    folder: TempDir,
    schema: Option<Schema>,
}

impl Store {
    /// The embedded store, in a fresh folder.
    pub fn sqlite() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), schema: None }
    }

    /// A fresh schema of the PostgreSQL in `DAYBOOK_TEST_POSTGRES_URL`; says so and answers `None` where that is unset.
    pub async fn postgres() -> Option<Self> {
        let Ok(server_url) = std::env::var(POSTGRES_URL) else {
            println!("skipped: {POSTGRES_URL} is not set (make test sets it; so does tests/with-postgres.sh)");
            return None;
        };
        Some(Self::postgres_at(server_url).await)
    }

    /// A fresh schema of the PostgreSQL at `server_url`.
    pub async fn postgres_at(server_url: String) -> Self {
        let schema = Schema::create(server_url).await;
        Self { folder: tempfile::tempdir().expect("a temporary folder"), schema: Some(schema) }
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Another data folder for a further process on the same PostgreSQL.
    pub fn another_folder(&self) -> TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    /// The embedded ledger's file.
    pub fn ledger_file(&self) -> PathBuf {
        self.folder().join("ledger.db")
    }

    /// The URL of the schema, on PostgreSQL.
    pub fn database_url(&self) -> Option<&str> {
        self.schema.as_ref().map(|schema| schema.url.as_str())
    }

    /// True on PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        self.schema.is_some()
    }

    /// The arguments that name this store to any subcommand.
    pub fn arguments(&self) -> Vec<String> {
        self.arguments_in(self.folder())
    }

    /// As [`Store::arguments`], with another data folder.
    pub fn arguments_in(&self, folder: &Path) -> Vec<String> {
        let mut arguments = vec!["--data".to_owned(), folder.display().to_string()];
        if let Some(url) = self.database_url() {
            arguments.extend(["--database-url".to_owned(), url.to_owned()]);
        }
        arguments
    }
}

struct Schema {
    server_url: String,
    name: String,
    url: String,
}

impl Schema {
    async fn create(server_url: String) -> Self {
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(&server_url).await.expect("the PostgreSQL of the tests answers");
        connection.execute(format!("create schema {name}").as_str()).await.expect("a schema can be created");
        let separator = if server_url.contains('?') { '&' } else { '?' };
        let url = format!("{server_url}{separator}options=-csearch_path%3D{name}");
        Self { server_url, name, url }
    }
}

impl Drop for Schema {
    /// Leaves nothing behind in a server that outlives the tests. A failure here is not the test's.
    fn drop(&mut self) {
        let (url, name) = (self.server_url.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                let Ok(mut connection) = PgConnection::connect(&url).await else { return };
                let _ = connection.execute("set lock_timeout = '5s'").await;
                let _ = connection.execute(format!("drop schema if exists {name} cascade").as_str()).await;
            });
        });
        let _ = dropping.join();
    }
}
