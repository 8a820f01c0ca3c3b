//! The connection that appends, and what it takes to be sure of a commit.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{Connection, Executor, PgConnection, PgPool, Row};
use uuid::Uuid;

use super::rows::{read_command, read_head};
use super::tree;
use super::{CHANNEL, format_commands};
use crate::append::{Append, AppendError, Appended, CommandRecord, Known, Sequenced, sequence};
use crate::entry::{Entry, Head, LedgerId, StreamKey};
use crate::store::{StoreError, signed, unsigned};
use crate::tiles::{Edges, Tile};

/// Connecting gives up after this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A process that hangs or is cut off must not keep the head's lock from the others.
const SESSION: &str = "set idle_in_transaction_session_timeout = '10s'; set lock_timeout = '20s'; \
     set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3;";

/// What appending keeps between batches.
pub(super) struct Writer {
    connection: PgConnection,
    pub(super) backend: Backend,
    /// The heads that this process's own last appends led to.
    heads: HashMap<LedgerId, Head>,
    edges: Edges,
}

/// The server's side of a connection.
pub(super) struct Backend {
    pid: i32,
    started: String,
}

impl Backend {
    /// Ends it if it still runs. Until it is gone, a commit that it waits with may yet happen.
    pub(super) async fn end(&self, pool: &PgPool) -> Result<(), StoreError> {
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
    pub(super) async fn connect(options: &PgConnectOptions) -> Result<Self, StoreError> {
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
        Ok(Self { connection, backend: Backend { pid, started }, heads: HashMap::new(), edges: Edges::default() })
    }

    pub(super) async fn append(
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
        let tiles = tree::completed(&mut self.connection, &mut self.edges, head.size, &sequenced).await?;
        match write_entries(&mut self.connection, head, &sequenced, &tiles).await {
            Ok(true) => {
                self.edges.advance(&head.ledger_id, head.size, &sequenced.leaves);
                Ok(Some(sequenced))
            }
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
        let tiles = tree::completed(&mut transaction, &mut self.edges, head.size, &sequenced).await?;
        if !write_entries(&mut transaction, &head, &sequenced, &tiles).await? {
            return Err(StoreError::Unavailable("the head moved although its row was locked".to_owned()));
        }
        if !sequenced.commands.is_empty() {
            write_commands(&mut transaction, ledger, &sequenced.commands).await?;
        }
        match transaction.commit().await {
            Ok(()) => {
                self.edges.advance(ledger, head.size, &sequenced.leaves);
                Ok(sequenced)
            }
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

/// Entries, tiles, head and notification in one statement: one round trip a batch. Answers false, having written nothing,
/// where the head is not `before` any more.
async fn write_entries(
    connection: &mut PgConnection,
    before: &Head,
    sequenced: &Sequenced,
    tiles: &[Tile],
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
         $14::bytea[], $15::bytea[], $16::bytea[]) as added), \
         tiled as (insert into ledger_tiles (ledger_id, level, tile, root, hashes) select $1, complete.* from moved, \
         unnest($25::bigint[], $26::bigint[], $27::bytea[], $28::bytea[]) as complete) \
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
    .bind(tiles.iter().map(|tile| i64::from(tile.level)).collect::<Vec<_>>())
    .bind(tiles.iter().map(|tile| signed(tile.index)).collect::<Vec<_>>())
    .bind(tiles.iter().map(|tile| &tile.root.0[..]).collect::<Vec<_>>())
    .bind(tiles.iter().map(Tile::to_bytes).collect::<Vec<_>>())
    .fetch_optional(connection)
    .await?;
    Ok(moved.is_some())
}

pub(super) async fn write_commands(
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
