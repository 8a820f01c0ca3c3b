//! The vault's database: a SQLite file of its own, or the tables `vault_…` in PostgreSQL.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use sqlx::any::{AnyArguments, AnyPoolOptions};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AnyPool, Executor, Row as _, Transaction};

use super::error::VaultError;
#[cfg(unix)]
use super::master::others_may_read;
use super::master::owner_only;

/// Connections that read a SQLite file at once.
const SQLITE_READERS: u32 = 3;
/// Longest that one statement may run on PostgreSQL.
const POSTGRES_STATEMENT_TIMEOUT_MS: u32 = 15_000;
/// Key of the advisory lock under which tables are made.
const MIGRATION_LOCK: i64 = 0x6461_7962_7661_756c;
/// Tries to empty the write-ahead log, each as long as the busy timeout at most.
const TRUNCATE_TRIES: u32 = 2;

/// Migrations, oldest first. Forward only: what has been released is never edited.
const MIGRATIONS: &[(i64, &str)] = &[(1, include_str!("../../../migrations/vault/0001_vault.sql"))];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Postgres,
}

/// The connections.
pub(super) struct Database {
    kind: Kind,
    readers: AnyPool,
    writer: AnyPool,
}

impl Database {
    /// Opens or makes the file (mode 0600): several readers, one writing connection, WAL. Other processes may do the same.
    pub(super) async fn open_sqlite(path: &Path) -> Result<Self, VaultError> {
        make_private(path)?;
        // Commits are on the disk when they are answered. What is deleted is overwritten with zeros.
        let pragmas = "pragma busy_timeout = 10000; pragma journal_mode = wal; pragma synchronous = full; \
             pragma secure_delete = on; pragma temp_store = memory; pragma cache_size = -4096;";
        let writer = sqlite_pool(&sqlite_url(path), pragmas, 1).await?;
        let pragmas = "pragma busy_timeout = 10000; pragma query_only = on; pragma temp_store = memory; \
             pragma cache_size = -2048;";
        let readers = sqlite_pool(&sqlite_url(path), pragmas, SQLITE_READERS).await?;
        let database = Self { kind: Kind::Sqlite, readers, writer };
        database.migrate().await?;
        Ok(database)
    }

    pub(super) async fn open_postgres(url: &str, max_connections: u32) -> Result<Self, VaultError> {
        install_drivers();
        let pool = AnyPoolOptions::new()
            .max_connections(max_connections.max(1))
            .acquire_timeout(Duration::from_secs(10))
            .after_connect(|connection, _| {
                Box::pin(async move {
                    let timeout = format!("set statement_timeout = {POSTGRES_STATEMENT_TIMEOUT_MS}");
                    connection.execute(timeout.as_str()).await.map(drop)
                })
            })
            .connect(url)
            .await?;
        let database = Self { kind: Kind::Postgres, readers: pool.clone(), writer: pool };
        database.migrate().await?;
        Ok(database)
    }

    /// Makes the tables that are missing, one process at a time.
    async fn migrate(&self) -> Result<(), VaultError> {
        let mut transaction = self.begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        if self.kind == Kind::Postgres {
            sqlx::query("select pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).execute(&mut *connection).await?;
        }
        let table = "create table if not exists vault_migrations (version bigint not null primary key)";
        connection.execute(table).await?;
        let row =
            sqlx::query("select max(version) as version from vault_migrations").fetch_one(&mut *connection).await?;
        let found = row.try_get::<Option<i64>, _>("version")?.unwrap_or(0);
        let known = MIGRATIONS.last().map_or(0, |(version, _)| *version);
        if found > known {
            return Err(VaultError::Newer { found, known });
        }
        for (version, ddl) in MIGRATIONS.iter().filter(|(version, _)| *version > found) {
            connection.execute(*ddl).await?;
            let sql = "insert into vault_migrations (version) values ($1)";
            sqlx::query(sql).bind(*version).execute(&mut *connection).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Connections for queries.
    pub(super) fn readers(&self) -> &AnyPool {
        &self.readers
    }

    /// Whether other processes may write at the same time.
    pub(super) fn is_server(&self) -> bool {
        self.kind == Kind::Postgres
    }

    /// What makes a select lock its rows until the end of the transaction. On SQLite the transaction has the file.
    pub(super) fn for_update(&self) -> &'static str {
        match self.kind {
            Kind::Sqlite => "",
            Kind::Postgres => " for update",
        }
    }

    /// Starts a writing transaction. On SQLite it holds the one write lock, of all processes, from the start.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>, VaultError> {
        match self.kind {
            Kind::Sqlite => match self.writer.begin_with("begin immediate").await {
                // A full disk ended its last transaction, and the connection does not know it: it is of no more use.
                Err(sqlx::Error::InvalidSavePointStatement) => {
                    self.writer.acquire().await?.close().await?;
                    Ok(self.writer.begin_with("begin immediate").await?)
                }
                begun => Ok(begun?),
            },
            Kind::Postgres => Ok(self.writer.begin().await?),
        }
    }

    /// What makes a select keep its rows from being changed until the end of the transaction, and lets others do the same.
    pub(super) fn for_share(&self) -> &'static str {
        match self.kind {
            Kind::Sqlite => "",
            Kind::Postgres => " for share",
        }
    }

    /// One statement as a transaction; answers how many rows it changed.
    pub(super) async fn write<'q>(&self, query: Query<'q, Any, AnyArguments<'q>>) -> Result<u64, VaultError> {
        let mut transaction = self.begin().await?;
        let connection: &mut AnyConnection = &mut transaction;
        let changed = query.execute(connection).await?.rows_affected();
        transaction.commit().await?;
        Ok(changed)
    }

    /// Leaves no copy of what was deleted from `tables` in the files. On SQLite the write-ahead log is emptied; on
    /// PostgreSQL the dead rows are removed, as far as other transactions let them: the server's own log and backups
    /// keep them for as long as they are kept, readable with the master key alone.
    pub(super) async fn scrub(&self, tables: &[&'static str]) -> Result<(), VaultError> {
        match self.kind {
            Kind::Sqlite => {
                for _ in 0..TRUNCATE_TRIES {
                    let row = sqlx::query("pragma wal_checkpoint(truncate)").fetch_one(&self.writer).await?;
                    let busy: i64 = row.try_get(0)?;
                    if busy == 0 {
                        return Ok(());
                    }
                }
                Err(VaultError::Busy("its write-ahead log, which still has what was deleted, is in use"))
            }
            Kind::Postgres => {
                let mut connection = self.writer.acquire().await?;
                for table in tables {
                    connection.execute(format!("vacuum {table}").as_str()).await?;
                }
                Ok(())
            }
        }
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Makes the file with mode 0600, or takes the rights of others away from the one that is there. SQLite gives the files
/// that it makes beside it the same mode; those that are there are treated alike.
fn make_private(path: &Path) -> Result<(), VaultError> {
    let failed = |error: std::io::Error| VaultError::File { path: path.to_owned(), why: error.to_string() };
    match owner_only().create_new(true).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            for suffix in ["", "-wal", "-shm"] {
                let mut file = path.as_os_str().to_owned();
                file.push(suffix);
                match keep_from_others(Path::new(&file)) {
                    // Whoever closes the vault last removes the files beside it.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    kept => kept.map_err(failed)?,
                }
            }
            Ok(())
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(unix)]
fn keep_from_others(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if others_may_read(path)? {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn keep_from_others(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

fn install_drivers() {
    static ONCE: Once = Once::new();
    // A second call panics, and more than one database may be opened in a process.
    ONCE.call_once(sqlx::any::install_default_drivers);
}

async fn sqlite_pool(url: &str, pragmas: &'static str, connections: u32) -> Result<AnyPool, VaultError> {
    install_drivers();
    let pool = AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(30))
        .idle_timeout(None)
        .max_lifetime(None)
        // Writers take turns on the one connection: waiting for it is no sign of trouble.
        .acquire_slow_threshold(Duration::from_secs(10))
        .test_before_acquire(false)
        .after_connect(move |connection, _| Box::pin(async move { connection.execute(pragmas).await.map(drop) }))
        .connect(url)
        .await?;
    Ok(pool)
}

/// A path as a URL; everything but the plainest characters is escaped, which the driver undoes.
fn sqlite_url(path: &Path) -> String {
    let mut url = String::from("sqlite:");
    let path = path.to_string_lossy();
    if path.starts_with('/') {
        url.push_str("//");
    }
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-') {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url.push_str("?mode=rw");
    url
}
