//! The database of the read tables: SQLite or PostgreSQL behind one type, so that every query is written once.

use std::path::Path;
use std::sync::Arc;
use std::sync::Once;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::{Any, AnyConnection, AnyPool, Executor, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Connections that read a SQLite file at once.
const SQLITE_READERS: u32 = 4;
/// Snapshots that are read at once, in a process: by connections of their own, so that reading for an hour takes no query's place.
const SNAPSHOTS: u32 = 2;
/// How long a connection for snapshots is kept that nobody uses.
const SNAPSHOT_IDLE: Duration = Duration::from_secs(60);
/// Longest that one query may run on PostgreSQL.
const POSTGRES_STATEMENT_TIMEOUT_MS: u32 = 15_000;

/// Why a read model cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database cannot be reached or refused the statement.
    #[error("the read tables are unavailable: {0}")]
    Database(#[from] sqlx::Error),
    /// A row holds what its projector never writes.
    #[error("column {column} of a read table: {why}")]
    Corrupt {
        /// The column.
        column: String,
        /// What is wrong.
        why: String,
    },
    /// The database is open for reading only.
    #[error("the read tables are open for reading only")]
    ReadOnly,
}

/// Which database it is, for the few statements that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// One file.
    Sqlite,
    /// A server.
    Postgres,
}

/// The database of the read tables. Cheap to clone.
#[derive(Clone)]
pub struct ReadDb {
    kind: StoreKind,
    readers: AnyPool,
    /// `None` where it is open for reading only.
    writer: Option<AnyPool>,
    snapshots: AnyPool,
    snapshot_places: Arc<Semaphore>,
    /// Counts commits of projectors in this process, to wake those who wait for one.
    folded: Arc<watch::Sender<u64>>,
}

impl ReadDb {
    /// Opens (or makes) a SQLite file: several readers, one writing connection, WAL.
    pub async fn open_sqlite(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let path = path.as_ref();
        // Losing the last commits at a power failure is harmless: the position goes with them, and they are folded again.
        let pragmas = "pragma journal_mode = wal; pragma synchronous = normal; pragma busy_timeout = 10000; \
             pragma cache_size = -24576; pragma temp_store = memory; pragma wal_autocheckpoint = 4000;";
        let writer = sqlite_pool(&sqlite_url(path, "rwc"), pragmas, 1).await?;
        let pragmas = "pragma busy_timeout = 10000; pragma query_only = on; pragma cache_size = -4096;";
        let readers = sqlite_pool(&sqlite_url(path, "rw"), pragmas, SQLITE_READERS).await?;
        let snapshots =
            sqlite_options(pragmas, SNAPSHOTS).idle_timeout(SNAPSHOT_IDLE).connect_lazy(&sqlite_url(path, "rw"))?;
        Ok(Self::of(StoreKind::Sqlite, readers, Some(writer), snapshots))
    }

    /// Opens an existing SQLite file for reading only, whoever writes to it.
    pub async fn open_sqlite_read_only(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let pragmas = "pragma busy_timeout = 10000; pragma query_only = on;";
        let url = sqlite_url(path.as_ref(), "ro");
        let readers = sqlite_pool(&url, pragmas, SQLITE_READERS).await?;
        let snapshots = sqlite_options(pragmas, SNAPSHOTS).idle_timeout(SNAPSHOT_IDLE).connect_lazy(&url)?;
        Ok(Self::of(StoreKind::Sqlite, readers, None, snapshots))
    }

    fn of(kind: StoreKind, readers: AnyPool, writer: Option<AnyPool>, snapshots: AnyPool) -> Self {
        let snapshot_places = Arc::new(Semaphore::new(usize::try_from(SNAPSHOTS).unwrap_or(1)));
        Self { kind, readers, writer, snapshots, snapshot_places, folded: Arc::default() }
    }

    /// Connects to PostgreSQL with at most `max_connections` connections. A schema other than `public` is chosen in the
    /// URL: `?options=-csearch_path%3Dname`.
    pub async fn open_postgres(url: &str, max_connections: u32) -> Result<Self, ReadError> {
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
        // Reading a snapshot is bounded by what is in it, not by the patience of a reader.
        let snapshots = AnyPoolOptions::new()
            .max_connections(SNAPSHOTS)
            .acquire_timeout(Duration::from_secs(10))
            .idle_timeout(SNAPSHOT_IDLE)
            .connect_lazy(url)?;
        Ok(Self::of(StoreKind::Postgres, pool.clone(), Some(pool), snapshots))
    }

    /// Which database it is.
    pub fn kind(&self) -> StoreKind {
        self.kind
    }

    /// Connections for queries.
    pub fn readers(&self) -> &AnyPool {
        &self.readers
    }

    /// A place among those that read a long snapshot, in the whole process; waits until there is one. To be had before
    /// [`Self::begin_snapshot`] and kept as long as the snapshot. `None` where the process is ending.
    pub async fn snapshot_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.snapshot_places).acquire_owned().await.ok()
    }

    /// Begins to read a snapshot of all tables, by a connection that no query waits for. On PostgreSQL it is taken by the first
    /// query, and no timeout is in force.
    pub async fn begin_snapshot(&self) -> Result<Transaction<'static, Any>, ReadError> {
        let begin = match self.kind {
            StoreKind::Sqlite => "begin",
            StoreKind::Postgres => "begin isolation level repeatable read read only",
        };
        // The pool hands out any of its connections: a few more looks find the one that is of no use.
        for _ in 0..8 * SNAPSHOTS {
            match self.snapshots.begin_with(begin).await {
                // Somebody who had it was given up while it began, and it does not know where it is: it is of no more use.
                Err(sqlx::Error::InvalidSavePointStatement) => self.snapshots.acquire().await?.close().await?,
                begun => return Ok(begun?),
            }
        }
        Ok(self.snapshots.begin_with(begin).await?)
    }

    /// Starts a writing transaction. On SQLite it holds the one write lock from the start.
    pub async fn begin(&self) -> Result<Transaction<'static, Any>, ReadError> {
        let writer = self.writer.as_ref().ok_or(ReadError::ReadOnly)?;
        match self.kind {
            StoreKind::Sqlite => match writer.begin_with("begin immediate").await {
                // A full disk ended its last transaction, and the connection does not know it: it is of no more use.
                Err(sqlx::Error::InvalidSavePointStatement) => {
                    writer.acquire().await?.close().await?;
                    Ok(writer.begin_with("begin immediate").await?)
                }
                begun => Ok(begun?),
            },
            StoreKind::Postgres => {
                let mut transaction = writer.begin().await?;
                let connection: &mut AnyConnection = &mut transaction;
                // Folding and comparing are bounded by their batches, not by the patience of a reader. A commit lost at a
                // power failure takes its position with it, so nothing needs to wait for the disk.
                let settings = "set local statement_timeout = 0; set local synchronous_commit = off";
                connection.execute(settings).await?;
                Ok(transaction)
            }
        }
    }

    /// Wakes those in this process who wait for a projector to get on.
    pub fn announce_folded(&self) {
        self.folded.send_modify(|commits| *commits = commits.wrapping_add(1));
    }

    /// Changes with each commit of a projector in this process. A hint: other processes fold, too.
    pub fn folded(&self) -> watch::Receiver<u64> {
        self.folded.subscribe()
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.snapshot_places.close();
        self.snapshots.close().await;
        self.readers.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }
}

fn install_drivers() {
    static ONCE: Once = Once::new();
    // A second call panics, and more than one database may be opened in a process.
    ONCE.call_once(sqlx::any::install_default_drivers);
}

async fn sqlite_pool(url: &str, pragmas: &'static str, connections: u32) -> Result<AnyPool, ReadError> {
    install_drivers();
    Ok(sqlite_options(pragmas, connections).connect(url).await?)
}

fn sqlite_options(pragmas: &'static str, connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(30))
        // Projectors take turns on the one writing connection: waiting for it is no sign of trouble.
        .acquire_slow_threshold(Duration::from_secs(30))
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(move |connection, _| Box::pin(async move { connection.execute(pragmas).await.map(drop) }))
}

/// A path as a URL; everything but the plainest characters is escaped, which the driver undoes.
fn sqlite_url(path: &Path, mode: &str) -> String {
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
    url.push_str("?mode=");
    url.push_str(mode);
    url
}
