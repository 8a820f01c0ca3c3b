//! Ledgers in PostgreSQL: one statement a batch, which moves the head on condition that it is the one the batch was
//! sequenced on, and inserts the entries from arrays.
//!
//! Any number of processes may write: they queue on the head row and never fork. The one that appended last knows the
//! head; another, or one whose guess at a stream or command id was wrong, sequences its batch again in a transaction that
//! has locked the head row. Appends are announced on the channel `daybook_ledger`, which other processes listen on; that
//! is a hint, the table is the truth.

mod announce;
mod appender;
mod line;
mod listener;
mod rows;
mod statement;
mod tree;
mod writer;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Row};
use tokio::sync::{OnceCell, watch};

use self::announce::Announcer;
use self::appender::{Appender, Job, Lost};
use self::line::Line;
use self::listener::Listener;
use self::rows::{hash, read_command, read_entry, read_head};
use self::statement::lay_out;
use self::writer::write_commands;
use super::{Snapshot, Store, StoreError, StoredCheckpoint, bounded, signed, unsigned};
use crate::append::{Append, AppendError, Appended, CommandRecord};
use crate::entry::{Entry, Hash, Head, InvalidValue, LedgerId, StreamKey};
use crate::tiles::Tile;

const CHANNEL: &str = "daybook_ledger";
const ENTRY_COLUMNS: &str = "ledger_id, position, event_id, stream_type, stream_id, version, event_type, schema_version, \
     recorded_at, actor_kind, actor_id, metadata, payload, payload_digest, previous_hash, hash";

/// Migrations of the ledger tables, oldest first.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "ledger", include_str!("../../../migrations/postgres/0001_ledger.sql")),
    (2, "tree", include_str!("../../../migrations/postgres/0002_tree.sql")),
];

/// A PostgreSQL database of ledgers.
pub struct PostgresStore {
    pool: PgPool,
    options: PgConnectOptions,
    /// Has the connection that appends; started by the first append.
    appender: OnceLock<Appender>,
    /// The batches that wait for it.
    line: Arc<Line>,
    /// Tells other processes; started by the first append.
    announcer: OnceLock<Announcer>,
    /// Hears of other processes' appends; started by the first who wants to.
    listener: OnceCell<Listener>,
    /// Server processes of connections that were lost while a commit was on its way.
    lost: Lost,
}

impl PostgresStore {
    /// Connects and brings the tables up to date. `url` is a `postgres://` URL.
    pub async fn open(url: &str, max_connections: u32) -> Result<Self, StoreError> {
        let store = Self::connect(url, max_connections).await?;
        let migrations = MIGRATIONS
            .iter()
            .map(|(version, name, sql)| {
                Migration::new(*version, (*name).into(), MigrationType::Simple, (*sql).into(), false)
            })
            .collect::<Vec<_>>();
        let migrator = Migrator { migrations: migrations.into(), ..Migrator::DEFAULT };
        migrator.run(&store.pool).await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(store)
    }

    /// Connects to a database whose tables exist already, for reading; makes nothing.
    pub async fn connect(url: &str, max_connections: u32) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.parse()?;
        let options = options.application_name("daybook").statement_cache_capacity(200);
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(Duration::from_secs(10))
            // A ping before each use would double the round trips; a dead connection fails its query and is replaced.
            .test_before_acquire(false)
            .connect_with(options.clone())
            .await?;
        Ok(Self {
            pool,
            options,
            appender: OnceLock::new(),
            line: Arc::default(),
            announcer: OnceLock::new(),
            listener: OnceCell::new(),
            lost: Lost::default(),
        })
    }

    /// The connection pool, for whoever shares the database.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    async fn append(
        &self,
        ledger: &LedgerId,
        batch: &[Append],
        now: i64,
    ) -> Result<Vec<Result<Appended, AppendError>>, StoreError> {
        self.append_shared(ledger, &Arc::new(batch.to_vec()), now).await
    }

    async fn append_shared(
        &self,
        ledger: &LedgerId,
        batch: &Arc<Vec<Append>>,
        now: i64,
    ) -> Result<Vec<Result<Appended, AppendError>>, StoreError> {
        let (turn, prepared) = self.line.join(ledger, batch, now);
        let prepared = prepared.map(|prepared| lay_out(batch, prepared)).transpose()?;
        let appender = match self.appender.get() {
            Some(appender) => appender,
            None => {
                let appender = Appender::start(self.options.clone(), Arc::clone(&self.lost))?;
                self.appender.get_or_init(|| appender)
            }
        };
        let placement = appender.append(Job { turn, batch: Arc::clone(batch), now, prepared }).await?;
        if !placement.placed.is_empty() {
            let announcer = self.announcer.get_or_init(|| Announcer::start(self.pool.clone()));
            announcer.announce(ledger, placement.head.size);
        }
        Ok(placement.outcomes)
    }

    async fn head(&self, ledger: &LedgerId) -> Result<Head, StoreError> {
        let row = sqlx::query("select size, hash, root, frontier, recorded_at from ledger_heads where ledger_id = $1")
            .bind(ledger.as_str())
            .fetch_optional(&self.pool)
            .await?;
        row.map_or_else(|| Ok(Head::empty(ledger.clone())), |row| read_head(ledger, &row))
    }

    async fn ledgers(&self) -> Result<Vec<LedgerId>, StoreError> {
        let ids: Vec<String> =
            sqlx::query_scalar("select ledger_id from ledger_heads order by ledger_id").fetch_all(&self.pool).await?;
        ids.into_iter()
            .map(|id| id.parse().map_err(|error: InvalidValue| StoreError::Unavailable(error.to_string())))
            .collect()
    }

    async fn entries(&self, ledger: &LedgerId, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let rows = sqlx::query(&format!(
            "select {ENTRY_COLUMNS} from ledger_entries where ledger_id = $1 and position >= $2 \
             order by position limit $3"
        ))
        .bind(ledger.as_str())
        .bind(signed(from))
        .bind(bounded(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read_entry).collect()
    }

    async fn stream(
        &self,
        ledger: &LedgerId,
        key: &StreamKey,
        from_version: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let rows = sqlx::query(&format!(
            "select {ENTRY_COLUMNS} from ledger_entries where ledger_id = $1 and stream_type = $2 \
             and stream_id = $3 and version >= $4 order by version limit $5"
        ))
        .bind(ledger.as_str())
        .bind(&key.stream_type)
        .bind(&key.stream_id)
        .bind(signed(from_version))
        .bind(bounded(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read_entry).collect()
    }

    async fn streams(
        &self,
        ledger: &LedgerId,
        stream_type: &str,
        stream_ids: &[String],
        to_version: u64,
    ) -> Result<Vec<Entry>, StoreError> {
        let rows = sqlx::query(&format!(
            "select {ENTRY_COLUMNS} from ledger_entries where ledger_id = $1 and stream_type = $2 \
             and stream_id = any($3) and version <= $4 order by stream_id, version"
        ))
        .bind(ledger.as_str())
        .bind(stream_type)
        .bind(stream_ids)
        .bind(signed(to_version))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(read_entry).collect()
    }

    async fn command(&self, ledger: &LedgerId, command_id: &str) -> Result<Option<CommandRecord>, StoreError> {
        let row = sqlx::query(&format_commands("command_id = $2"))
            .bind(ledger.as_str())
            .bind(command_id)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| read_command(ledger, &row).map(|(_, record)| record)).transpose()
    }

    async fn remember(&self, ledger: &LedgerId, command_id: &str, record: CommandRecord) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        write_commands(&mut connection, ledger, &[(command_id.to_owned(), record)]).await
    }

    async fn settle(&self) -> Result<(), StoreError> {
        let mut lost = self.lost.lock().await;
        while let Some(backend) = lost.last() {
            backend.end(&self.pool).await?;
            lost.pop();
        }
        Ok(())
    }

    async fn snapshot(&self, ledger: &LedgerId, key: &StreamKey) -> Result<Option<Snapshot>, StoreError> {
        let row = sqlx::query(
            "select version, reducer_version, position, entry_hash, state from ledger_snapshots \
             where ledger_id = $1 and stream_type = $2 and stream_id = $3",
        )
        .bind(ledger.as_str())
        .bind(&key.stream_type)
        .bind(&key.stream_id)
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Snapshot {
            version: unsigned(row.try_get(0)?),
            reducer_version: u32::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0),
            position: unsigned(row.try_get(2)?),
            entry_hash: hash(&row, 3)?,
            state: row.try_get(4)?,
        }))
    }

    async fn save_snapshot(&self, ledger: &LedgerId, key: &StreamKey, snapshot: Snapshot) -> Result<(), StoreError> {
        sqlx::query(
            "insert into ledger_snapshots as old (ledger_id, stream_type, stream_id, version, reducer_version, \
             position, entry_hash, state) values ($1, $2, $3, $4, $5, $6, $7, $8) \
             on conflict (ledger_id, stream_type, stream_id) do update set version = excluded.version, \
             reducer_version = excluded.reducer_version, position = excluded.position, \
             entry_hash = excluded.entry_hash, state = excluded.state \
             where excluded.version > old.version or excluded.reducer_version <> old.reducer_version",
        )
        .bind(ledger.as_str())
        .bind(&key.stream_type)
        .bind(&key.stream_id)
        .bind(signed(snapshot.version))
        .bind(i64::from(snapshot.reducer_version))
        .bind(signed(snapshot.position))
        .bind(&snapshot.entry_hash.0[..])
        .bind(&snapshot.state)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn tiles(&self, ledger: &LedgerId, level: u8, from: u64, limit: usize) -> Result<Vec<Tile>, StoreError> {
        tree::read(&mut *self.pool.acquire().await?, ledger, level, from, limit).await
    }

    async fn tile_roots(&self, ledger: &LedgerId, level: u8, from: u64, limit: usize) -> Result<Vec<Hash>, StoreError> {
        tree::read_roots(&mut *self.pool.acquire().await?, ledger, level, from, limit).await
    }

    async fn add_tiles(&self, ledger: &LedgerId, tiles: &[Tile]) -> Result<(), StoreError> {
        tree::add(&mut *self.pool.acquire().await?, ledger, tiles).await
    }

    async fn save_checkpoint(&self, ledger: &LedgerId, checkpoint: &StoredCheckpoint) -> Result<(), StoreError> {
        tree::save_checkpoint(&mut *self.pool.acquire().await?, ledger, checkpoint).await
    }

    async fn latest_checkpoint(&self, ledger: &LedgerId) -> Result<Option<StoredCheckpoint>, StoreError> {
        tree::latest_checkpoint(&mut *self.pool.acquire().await?, ledger).await
    }

    async fn checkpoints(
        &self,
        ledger: &LedgerId,
        from_size: u64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        tree::checkpoints(&mut *self.pool.acquire().await?, ledger, from_size, limit).await
    }

    async fn listen(&self, ledger: &LedgerId) -> Result<Option<watch::Receiver<u64>>, StoreError> {
        let listener = self.listener.get_or_try_init(|| Listener::start(&self.pool)).await?;
        Ok(Some(listener.of(ledger)))
    }
}

fn format_commands(condition: &str) -> String {
    format!(
        "select command_id, digest, stream_type, stream_id, first_position, last_position, version, hash, recorded_at \
         from ledger_commands where ledger_id = $1 and {condition}"
    )
}
