//! Ledgers in PostgreSQL: one `insert … select from unnest(…)` a batch, in the transaction that has locked the head row.
//!
//! Any number of processes may write: they queue on the head row and never fork. A process that was the last to append
//! takes a shorter way: it knows the head, so one statement moves the head on that condition and inserts the entries.
//! Each batch also notifies the channel `daybook_ledger`, which other processes listen on; that is a hint, the table is
//! the truth.

mod rows;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgRow};
use sqlx::{Connection, Executor, PgConnection, PgPool, Row};
use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

use self::rows::{hash, read_command, read_entry, read_head};
use super::{Snapshot, Store, StoreError, bounded, signed, unsigned};
use crate::append::{Append, AppendError, Appended, CommandRecord, Known, Sequenced, sequence};
use crate::entry::{Entry, Head, InvalidValue, LedgerId, StreamKey};

const CHANNEL: &str = "daybook_ledger";
/// Connecting gives up after this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A batch that takes longer counts as lost, and its outcome is looked for.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
/// A process that hangs or is cut off must not keep the head's lock from the others.
const SESSION: &str = "set idle_in_transaction_session_timeout = '10s'; set lock_timeout = '20s'; \
     set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3;";
const ENTRY_COLUMNS: &str = "ledger_id, position, event_id, stream_type, stream_id, version, event_type, schema_version, \
     recorded_at, actor_kind, actor_id, metadata, payload, payload_digest, previous_hash, hash";

/// Migrations of the ledger tables, oldest first.
const MIGRATIONS: &[(i64, &str, &str)] = &[(1, "ledger", include_str!("../../../migrations/postgres/0001_ledger.sql"))];

/// A PostgreSQL database of ledgers.
pub struct PostgresStore {
    pool: PgPool,
    options: PgConnectOptions,
    /// The connection that appends; made anew after an error.
    writer: Arc<Mutex<Option<Writer>>>,
    /// Server processes of connections that were lost while a commit was on its way.
    lost: Mutex<Vec<Backend>>,
}

/// What appending keeps between batches.
struct Writer {
    connection: PgConnection,
    backend: Backend,
    /// The heads that this process's own last appends led to.
    heads: HashMap<LedgerId, Head>,
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
        Ok(Self { pool, options, writer: Arc::default(), lost: Mutex::default() })
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
        let mut writer = self.writer.lock().await;
        let mut taken = match writer.take() {
            Some(taken) => taken,
            None => Writer::connect(&self.options).await?,
        };
        // The connection goes back only after success: whatever state an error or a dropped future left it in is gone
        // with it.
        let appended = match tokio::time::timeout(STATEMENT_TIMEOUT, taken.append(ledger, batch, now)).await {
            Ok(appended) => appended,
            Err(_) => Err(StoreError::UnknownOutcome("the server did not answer in time".to_owned())),
        };
        match appended {
            Ok(outcomes) => {
                *writer = Some(taken);
                Ok(outcomes)
            }
            Err(error) => {
                if matches!(error, StoreError::UnknownOutcome(_)) {
                    self.lost.lock().await.push(taken.backend);
                }
                Err(error)
            }
        }
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

    async fn listen(&self) -> Result<Option<mpsc::Receiver<(LedgerId, u64)>>, StoreError> {
        let (sender, receiver) = mpsc::channel(64);
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen(CHANNEL).await?;
        tokio::spawn(async move {
            // `recv` reconnects by itself; what was missed meanwhile is found by polling.
            loop {
                match listener.recv().await {
                    Ok(notification) => {
                        let Some((ledger, size)) = parse_notification(notification.payload()) else { continue };
                        if sender.send((ledger, size)).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "listening for appends failed, polling goes on");
                        if sender.is_closed() {
                            return;
                        }
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                }
            }
        });
        Ok(Some(receiver))
    }
}

fn parse_notification(payload: &str) -> Option<(LedgerId, u64)> {
    let (ledger, size) = payload.split_once(' ')?;
    Some((ledger.parse().ok()?, size.parse().ok()?))
}

/// The server's side of a connection.
struct Backend {
    pid: i32,
    started: String,
}

impl Backend {
    /// Ends it if it still runs. Until it is gone, a commit that it waits with may yet happen.
    async fn end(&self, pool: &PgPool) -> Result<(), StoreError> {
        let running: i64 = sqlx::query_scalar(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where pid = $1 and backend_start::text = $2",
        )
        .bind(self.pid)
        .bind(&self.started)
        .fetch_one(pool)
        .await?;
        if running > 0 {
            return Err(StoreError::Unavailable("the server still works on the lost commit".to_owned()));
        }
        Ok(())
    }
}

impl Writer {
    /// A connection whose commits are durable when they answer, however the server is set up; a stronger setting
    /// (a synchronous standby) stays.
    async fn connect(options: &PgConnectOptions) -> Result<Self, StoreError> {
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await;
        let mut connection =
            connecting.map_err(|_| StoreError::Unavailable("connecting took too long".to_owned()))??;
        connection.execute(SESSION).await?;
        sqlx::query(
            "select set_config('synchronous_commit', 'on', false) \
             where current_setting('synchronous_commit') in ('off', 'local')",
        )
        .execute(&mut connection)
        .await?;
        let (pid, started) =
            sqlx::query_as("select pid, backend_start::text from pg_stat_activity where pid = pg_backend_pid()")
                .fetch_one(&mut connection)
                .await?;
        Ok(Self { connection, backend: Backend { pid, started }, heads: HashMap::new() })
    }

    async fn append(
        &mut self,
        ledger: &LedgerId,
        batch: &[Append],
        now: i64,
    ) -> Result<Vec<Result<Appended, AppendError>>, StoreError> {
        if let Some(head) = self.heads.remove(ledger)
            && let Some(sequenced) = self.append_after(&head, batch, now).await?
        {
            self.heads.insert(ledger.clone(), sequenced.head);
            return Ok(sequenced.outcomes);
        }
        let sequenced = self.append_locked(ledger, batch, now).await?;
        self.heads.insert(ledger.clone(), sequenced.head);
        Ok(sequenced.outcomes)
    }

    /// Appends if the head still is the one given; `None`, and nothing written, if another process was faster.
    ///
    /// The versions are read before the head is moved, but after the head given came to be: where it has not changed
    /// in between, neither have they.
    async fn append_after(&mut self, head: &Head, batch: &[Append], now: i64) -> Result<Option<Sequenced>, StoreError> {
        let known = read_known(&mut self.connection, &head.ledger_id, batch).await?;
        let sequenced = sequence(head, batch, known, now);
        if sequenced.entries.is_empty() || !sequenced.commands.is_empty() {
            // Refusals must be judged on the present state, and command ids need a second statement: both under the lock.
            return Ok(None);
        }
        match write_entries(&mut self.connection, head, &sequenced).await {
            Ok(true) => Ok(Some(sequenced)),
            Ok(false) => Ok(None),
            Err(sqlx::Error::Database(error)) => Err(StoreError::Unavailable(error.to_string())),
            Err(error) => Err(StoreError::UnknownOutcome(error.to_string())),
        }
    }

    /// Appends while holding the head's row.
    async fn append_locked(&mut self, ledger: &LedgerId, batch: &[Append], now: i64) -> Result<Sequenced, StoreError> {
        let mut transaction = self.connection.begin().await?;
        let head = lock_head(&mut transaction, ledger).await?;
        let known = read_known(&mut transaction, ledger, batch).await?;
        let sequenced = sequence(&head, batch, known, now);
        if sequenced.entries.is_empty() {
            transaction.rollback().await?;
            return Ok(sequenced);
        }
        if !write_entries(&mut transaction, &head, &sequenced).await? {
            return Err(StoreError::Unavailable("the head moved although its row was locked".to_owned()));
        }
        if !sequenced.commands.is_empty() {
            write_commands(&mut transaction, ledger, &sequenced.commands).await?;
        }
        match transaction.commit().await {
            Ok(()) => Ok(sequenced),
            // The server refused the commit: it did not happen. Anything else (a lost connection) may have come after.
            Err(sqlx::Error::Database(error)) => Err(StoreError::Unavailable(error.to_string())),
            Err(error) => Err(StoreError::UnknownOutcome(error.to_string())),
        }
    }
}

/// Locks the head row, so that whoever else appends to this ledger waits; makes the row for a new ledger.
async fn lock_head(connection: &mut PgConnection, ledger: &LedgerId) -> Result<Head, StoreError> {
    let select = "select size, hash, root, frontier, recorded_at from ledger_heads where ledger_id = $1 for update";
    if let Some(row) = sqlx::query(select).bind(ledger.as_str()).fetch_optional(&mut *connection).await? {
        return read_head(ledger, &row);
    }
    let empty = Head::empty(ledger.clone());
    sqlx::query(
        "insert into ledger_heads (ledger_id, size, hash, root, frontier, recorded_at) \
         values ($1, 0, $2, $3, $4, 0) on conflict (ledger_id) do nothing",
    )
    .bind(ledger.as_str())
    .bind(&empty.hash.0[..])
    .bind(&empty.root.0[..])
    .bind(empty.frontier.to_bytes())
    .execute(&mut *connection)
    .await?;
    let row = sqlx::query(select).bind(ledger.as_str()).fetch_one(&mut *connection).await?;
    read_head(ledger, &row)
}

async fn read_known(connection: &mut PgConnection, ledger: &LedgerId, batch: &[Append]) -> Result<Known, StoreError> {
    // A request that breaks a bound is refused by itself; its text must not reach the server and sink its neighbours.
    let batch: Vec<&Append> = batch.iter().filter(|append| append.check().is_ok()).collect();
    let types: Vec<&str> = batch.iter().map(|append| append.stream.stream_type.as_str()).collect();
    let ids: Vec<&str> = batch.iter().map(|append| append.stream.stream_id.as_str()).collect();
    // One index probe a stream; a join with max() would read every version of it.
    let rows = sqlx::query(
        "select asked.stream_type, asked.stream_id, newest.version \
         from (select distinct * from unnest($2::text[], $3::text[]) as pair(stream_type, stream_id)) as asked, \
         lateral (select version from ledger_entries e where e.ledger_id = $1 and e.stream_type = asked.stream_type \
         and e.stream_id = asked.stream_id order by version desc limit 1) as newest",
    )
    .bind(ledger.as_str())
    .bind(&types)
    .bind(&ids)
    .fetch_all(&mut *connection)
    .await?;
    let mut known = Known { versions: HashMap::with_capacity(rows.len()), commands: HashMap::new() };
    for row in rows {
        let key = StreamKey { stream_type: row.try_get(0)?, stream_id: row.try_get(1)? };
        known.versions.insert(key, unsigned(row.try_get(2)?));
    }
    let command_ids: Vec<&str> =
        batch.iter().filter_map(|append| append.command.as_ref()).map(|command| command.id.as_str()).collect();
    if !command_ids.is_empty() {
        let rows = sqlx::query(&format_commands("command_id = any($2)"))
            .bind(ledger.as_str())
            .bind(&command_ids)
            .fetch_all(&mut *connection)
            .await?;
        for row in rows {
            let (id, record) = read_command(ledger, &row)?;
            known.commands.insert(id, record);
        }
    }
    Ok(known)
}

/// Entries, head and notification in one statement: one round trip a batch. Answers false, having written nothing,
/// where the head is not `before` any more.
async fn write_entries(
    connection: &mut PgConnection,
    before: &Head,
    sequenced: &Sequenced,
) -> Result<bool, sqlx::Error> {
    let entries = &sequenced.entries;
    let column = |get: fn(&Entry) -> &str| entries.iter().map(get).collect::<Vec<&str>>();
    let number = |get: fn(&Entry) -> i64| entries.iter().map(get).collect::<Vec<i64>>();
    let bytes = |get: fn(&Entry) -> &[u8]| entries.iter().map(get).collect::<Vec<&[u8]>>();
    let head = &sequenced.head;
    let moved: Option<PgRow> = sqlx::query(
        "with moved as (update ledger_heads set size = $17, hash = $18, root = $19, frontier = $20, recorded_at = $21 \
         where ledger_id = $1 and size = $23 and hash = $24 returning size), \
         inserted as (insert into ledger_entries (ledger_id, position, event_id, stream_type, stream_id, version, \
         event_type, schema_version, recorded_at, actor_kind, actor_id, metadata, payload, payload_digest, \
         previous_hash, hash) select $1, added.* from moved, unnest($2::bigint[], $3::uuid[], $4::text[], $5::text[], \
         $6::bigint[], $7::text[], $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::bytea[], $13::bytea[], \
         $14::bytea[], $15::bytea[], $16::bytea[]) as added) \
         select pg_notify($22, $1 || ' ' || size::text) from moved",
    )
    .bind(head.ledger_id.as_str())
    .bind(number(|entry| signed(entry.position)))
    .bind(entries.iter().map(|entry| entry.event_id).collect::<Vec<Uuid>>())
    .bind(column(|entry| &entry.stream.stream_type))
    .bind(column(|entry| &entry.stream.stream_id))
    .bind(number(|entry| signed(entry.version)))
    .bind(column(|entry| &entry.event_type))
    .bind(number(|entry| signed(entry.schema_version)))
    .bind(number(|entry| entry.recorded_at))
    .bind(column(|entry| entry.actor.kind.as_str()))
    .bind(column(|entry| &entry.actor.id))
    .bind(bytes(|entry| entry.metadata.as_bytes()))
    .bind(entries.iter().map(|entry| entry.payload.as_deref().map(str::as_bytes)).collect::<Vec<_>>())
    .bind(bytes(|entry| &entry.payload_digest.0))
    .bind(bytes(|entry| &entry.previous_hash.0))
    .bind(bytes(|entry| &entry.hash.0))
    .bind(signed(head.size))
    .bind(&head.hash.0[..])
    .bind(&head.root.0[..])
    .bind(head.frontier.to_bytes())
    .bind(head.recorded_at)
    .bind(CHANNEL)
    .bind(signed(before.size))
    .bind(&before.hash.0[..])
    .fetch_optional(connection)
    .await?;
    Ok(moved.is_some())
}

async fn write_commands(
    connection: &mut PgConnection,
    ledger: &LedgerId,
    records: &[(String, CommandRecord)],
) -> Result<(), StoreError> {
    let number = |get: fn(&CommandRecord) -> i64| records.iter().map(|(_, r)| get(r)).collect::<Vec<i64>>();
    sqlx::query(
        "insert into ledger_commands (ledger_id, command_id, digest, stream_type, stream_id, first_position, \
         last_position, version, hash, recorded_at) select $1, * from unnest($2::text[], $3::bytea[], $4::text[], \
         $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bytea[], $10::bigint[]) \
         on conflict (ledger_id, command_id) do nothing",
    )
    .bind(ledger.as_str())
    .bind(records.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>())
    .bind(records.iter().map(|(_, record)| &record.digest.0[..]).collect::<Vec<_>>())
    .bind(records.iter().map(|(_, record)| record.stream.stream_type.as_str()).collect::<Vec<_>>())
    .bind(records.iter().map(|(_, record)| record.stream.stream_id.as_str()).collect::<Vec<_>>())
    .bind(number(|record| signed(record.appended.first_position)))
    .bind(number(|record| signed(record.appended.receipt.position)))
    .bind(number(|record| signed(record.appended.version)))
    .bind(records.iter().map(|(_, record)| &record.appended.receipt.hash.0[..]).collect::<Vec<_>>())
    .bind(number(|record| record.appended.recorded_at))
    .execute(connection)
    .await?;
    Ok(())
}

fn format_commands(condition: &str) -> String {
    format!(
        "select command_id, digest, stream_type, stream_id, first_position, last_position, version, hash, recorded_at \
         from ledger_commands where ledger_id = $1 and {condition}"
    )
}
