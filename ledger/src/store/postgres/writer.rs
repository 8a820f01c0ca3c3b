//! The connection that appends, and what it takes to be sure of a commit.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgSeverity};
use sqlx::{Connection, Executor, PgConnection, PgPool, Row};

use super::line::{Prepared, Read, Turn, Wanted};
use super::rows::{read_command, read_head};
use super::statement::{Statement, head_is, lay_out};
use super::{format_commands, tree};
use crate::append::{Append, CommandRecord, Placement};
use crate::entry::{Head, LedgerId, StreamKey};
use crate::store::{StoreError, signed, unsigned};

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
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, Self::connect_in_time(options)).await;
        connecting.map_err(|_| StoreError::Unavailable("connecting took too long".to_owned()))?
    }

    async fn connect_in_time(options: &PgConnectOptions) -> Result<Self, StoreError> {
        let mut connection = PgConnection::connect_with(options).await?;
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

    /// Appends a batch whose turn it is.
    pub(super) async fn append(
        &mut self,
        turn: &Turn,
        batch: &[Append],
        now: i64,
        prepared: Option<(Prepared, Option<Statement>)>,
    ) -> Result<Placement, StoreError> {
        if let Some(placement) = self.append_after(turn, batch, now, prepared).await? {
            return Ok(placement);
        }
        self.heads.remove(&turn.ledger);
        self.append_locked(turn, batch, now).await
    }

    /// Appends if the head still is the one that this process left; `None`, and nothing written, if it is not, or if a
    /// stream or command id that was taken to be new is not.
    ///
    /// Versions may be read before the head is moved, but after the head came to be: where it has not changed in
    /// between, neither have they.
    async fn append_after(
        &mut self,
        turn: &Turn,
        batch: &[Append],
        now: i64,
        prepared: Option<(Prepared, Option<Statement>)>,
    ) -> Result<Option<Placement>, StoreError> {
        let ledger = &turn.ledger;
        let Some(head) = self.heads.get(ledger) else { return Ok(None) };
        let prepared = match prepared.filter(|(prepared, _)| prepared.before == (head.size, head.hash)) {
            Some(prepared) => prepared,
            None => {
                turn.rewind(head);
                let prepared = prepare(&mut self.connection, turn, batch, now, Read::default()).await?;
                lay_out(batch, prepared)?
            }
        };
        let (Prepared { before, placement, .. }, statement) = prepared;
        let unchanged = match statement {
            Some(statement) => match statement.write(&mut self.connection).await {
                Ok(moved) => moved,
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() => false,
                Err(error) => return Err(uncommitted(error)),
            },
            // Refusals must be judged on the present state.
            None => head_is(&mut self.connection, ledger, before).await?,
        };
        if unchanged {
            self.heads.insert(ledger.clone(), placement.head.clone());
        }
        Ok(unchanged.then_some(placement))
    }

    /// Appends while holding the head's row, with everything read under it.
    async fn append_locked(&mut self, turn: &Turn, batch: &[Append], now: i64) -> Result<Placement, StoreError> {
        let ledger = &turn.ledger;
        let mut transaction = self.connection.begin().await?;
        let head = lock_head(&mut transaction, ledger).await?;
        turn.rewind(&head);
        // A request that breaks a bound is refused by itself; its text must not reach the server and sink its neighbours.
        let sound = || batch.iter().filter(|append| append.check().is_ok());
        let streams: Vec<StreamKey> = sound().map(|append| append.stream.clone()).collect();
        let read = Read {
            versions: read_versions(&mut transaction, ledger, &streams).await?,
            commands: Some(read_commands(&mut transaction, ledger, batch).await?),
            roots: None,
        };
        let prepared = prepare(&mut transaction, turn, batch, now, read).await?;
        let (Prepared { placement, .. }, statement) = lay_out(batch, prepared)?;
        let Some(statement) = statement else {
            transaction.rollback().await?;
            self.heads.insert(ledger.clone(), head);
            return Ok(placement);
        };
        if !statement.write(&mut transaction).await? {
            return Err(StoreError::Unavailable("the head moved although its row was locked".to_owned()));
        }
        match transaction.commit().await {
            Ok(()) => {
                self.heads.insert(ledger.clone(), placement.head.clone());
                Ok(placement)
            }
            Err(error) => Err(uncommitted(error)),
        }
    }
}

/// What an error in place of a commit's answer says: a statement that the server refused did not happen. A connection that
/// was lost, or a session that the server ended (it may do so after the commit, before the answer), says nothing.
fn uncommitted(error: sqlx::Error) -> StoreError {
    let refused = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        .is_some_and(|error| error.severity() == PgSeverity::Error);
    if refused { StoreError::Unavailable(error.to_string()) } else { StoreError::UnknownOutcome(error.to_string()) }
}

/// Sequences a batch, reading what it takes.
async fn prepare(
    connection: &mut PgConnection,
    turn: &Turn,
    batch: &[Append],
    now: i64,
    mut read: Read,
) -> Result<Prepared, StoreError> {
    let ledger = &turn.ledger;
    // Each round reads another thing, of four.
    for _ in 0..5 {
        match turn.prepare(batch, now, &read) {
            Ok(prepared) => return Ok(prepared),
            Err(Wanted::Turn) => break,
            Err(Wanted::Versions(streams)) => {
                read.versions.extend(read_versions(&mut *connection, ledger, &streams).await?);
            }
            Err(Wanted::Commands) => read.commands = Some(read_commands(&mut *connection, ledger, batch).await?),
            Err(Wanted::Edge(size)) => turn.set_edge(size, tree::read_edge(&mut *connection, ledger, size).await?),
            Err(Wanted::Roots(missing)) => {
                let mut roots = Vec::with_capacity(missing.len());
                for wanted in missing {
                    let stored = tree::read_roots(&mut *connection, ledger, wanted.level, wanted.from, wanted.count);
                    roots.push(stored.await?);
                }
                read.roots = Some(roots);
            }
        }
    }
    Err(StoreError::Unavailable("the batch cannot be sequenced on what the store has".to_owned()))
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

/// The versions of these streams; 0 for one without entries.
async fn read_versions(
    connection: &mut PgConnection,
    ledger: &LedgerId,
    streams: &[StreamKey],
) -> Result<HashMap<StreamKey, u64>, StoreError> {
    let mut versions: HashMap<StreamKey, u64> = streams.iter().map(|stream| (stream.clone(), 0)).collect();
    // One index probe a stream; a join with max() would read every version of it.
    let rows = sqlx::query(
        "select asked.stream_type, asked.stream_id, newest.version \
         from (select distinct * from unnest($2::text[], $3::text[]) as pair(stream_type, stream_id)) as asked, \
         lateral (select version from ledger_entries e where e.ledger_id = $1 and e.stream_type = asked.stream_type \
         and e.stream_id = asked.stream_id order by version desc limit 1) as newest",
    )
    .bind(ledger.as_str())
    .bind(streams.iter().map(|stream| stream.stream_type.as_str()).collect::<Vec<_>>())
    .bind(streams.iter().map(|stream| stream.stream_id.as_str()).collect::<Vec<_>>())
    .fetch_all(&mut *connection)
    .await?;
    for row in rows {
        let key = StreamKey { stream_type: row.try_get(0)?, stream_id: row.try_get(1)? };
        versions.insert(key, unsigned(row.try_get(2)?));
    }
    Ok(versions)
}

/// The commands of the batch that the ledger knows already.
async fn read_commands(
    connection: &mut PgConnection,
    ledger: &LedgerId,
    batch: &[Append],
) -> Result<HashMap<String, CommandRecord>, StoreError> {
    let sound = batch.iter().filter(|append| append.check().is_ok());
    let ids: Vec<&str> =
        sound.filter_map(|append| append.command.as_ref()).map(|command| command.id.as_str()).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(&format_commands("command_id = any($2)"))
        .bind(ledger.as_str())
        .bind(&ids)
        .fetch_all(&mut *connection)
        .await?;
    rows.iter().map(|row| read_command(ledger, row)).collect()
}

/// Keeps command ids that led to no entry.
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
