//! Ledgers in one SQLite file: WAL, `synchronous=FULL`, one writer thread with prepared statements, a few read connections.
//!
//! The file belongs to one writing process at a time (a lock file beside it says so); any number may read.

mod rows;
mod tree;

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use tokio::sync::{mpsc, oneshot};

use self::rows::{collect, hash};
use super::{Snapshot, Store, StoreError, StoredCheckpoint, bounded, signed, unsigned};
use crate::append::{Append, AppendError, Appended, CommandRecord, Known, Sequenced, sequence};
use crate::entry::{Entry, Hash, Head, LedgerId, Receipt, StreamKey};
use crate::merkle::Frontier;
use crate::tiles::{Edges, Tile};

/// Migrations of the ledger file, oldest first. The file's `user_version` says how many it has had.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/sqlite/0001_ledger.sql"),
    include_str!("../../../migrations/sqlite/0002_tree.sql"),
];
/// How many connections read at once.
const READERS: usize = 4;
const ENTRY_COLUMNS: &str = "ledger_id, position, event_id, stream_type, stream_id, version, event_type, schema_version, \
     recorded_at, actor_kind, actor_id, metadata, payload, payload_digest, previous_hash, hash";

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A SQLite file of ledgers.
pub struct SqliteStore {
    path: PathBuf,
    writer: Option<std::sync::mpsc::Sender<Job>>,
    readers: Arc<Readers>,
    /// Touched by the writer thread only.
    edges: Arc<Mutex<Edges>>,
}

struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<tokio::sync::Semaphore>,
}

impl SqliteStore {
    /// Opens (or makes) the file for writing and reading. Refused while another process has it open for writing.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let lock = lock_file(&path)?;
        let mut connection = Connection::open(&path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch(
            "pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -16384; \
             pragma wal_autocheckpoint = 4000; pragma temp_store = memory;",
        )?;
        connection.set_prepared_statement_cache_capacity(32);
        migrate(&mut connection)?;
        let (writer, jobs) = std::sync::mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("ledger-sqlite-writer".to_owned())
            .spawn(move || {
                let _lock = lock;
                while let Ok(job) = jobs.recv() {
                    job(&mut connection);
                }
            })
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { readers: Arc::new(Readers::new(path.clone())), path, writer: Some(writer), edges: Arc::default() })
    }

    /// Opens an existing file for reading only, whoever writes to it.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let readers = Readers::new(path.clone());
        readers.give_back(readers.connect()?);
        Ok(Self { path, writer: None, readers: Arc::new(readers), edges: Arc::default() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let Some(writer) = &self.writer else {
            return Err(StoreError::Unavailable("the store is open for reading only".to_owned()));
        };
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody waiting any more is no reason not to have written.
            let _ = reply.send(work(connection));
        });
        writer.send(job).map_err(|_| StoreError::Unavailable("the writer thread has stopped".to_owned()))?;
        answer.await.map_err(|_| StoreError::UnknownOutcome("the writer thread has stopped".to_owned()))?
    }

    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        // The permit goes along: a caller that stops waiting does not free it before the reading has ended.
        let permit = Arc::clone(&self.readers.permits).acquire_owned().await;
        let permit = permit.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        tokio::task::spawn_blocking(move || {
            let connection = match readers.take() {
                Some(connection) => connection,
                None => readers.connect()?,
            };
            let result = work(&connection);
            if result.is_ok() {
                readers.give_back(connection);
            }
            drop(permit);
            result
        })
        .await
        .map_err(|error| StoreError::Unavailable(error.to_string()))?
    }
}

impl Readers {
    fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()), permits: Arc::new(tokio::sync::Semaphore::new(READERS)) }
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        let connection = Connection::open_with_flags(
            &self.path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch("pragma cache_size = -4096; pragma mmap_size = 268435456;")?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(connection)
    }

    fn take(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

/// Takes the write lock that lives in a file beside the store, for as long as the returned file is open.
fn lock_file(path: &Path) -> Result<File, StoreError> {
    let lock_path = path.with_extension("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(|error| StoreError::Unavailable(format!("{}: {error}", lock_path.display())))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse(path.display().to_string())),
        Err(TryLockError::Error(error)) => Err(StoreError::Unavailable(format!("{}: {error}", lock_path.display()))),
    }
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let done: usize = connection.query_row("pragma user_version", [], |row| row.get(0))?;
    if done > MIGRATIONS.len() {
        return Err(StoreError::Unavailable(format!(
            "the file has schema version {done}, this program knows up to {}",
            MIGRATIONS.len()
        )));
    }
    for (index, sql) in MIGRATIONS.iter().enumerate().skip(done) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", index + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

#[async_trait]
impl Store for SqliteStore {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    async fn append(
        &self,
        ledger: &LedgerId,
        batch: &[Append],
        now: i64,
    ) -> Result<Vec<Result<Appended, AppendError>>, StoreError> {
        let (ledger, batch) = (ledger.clone(), batch.to_vec());
        let edges = Arc::clone(&self.edges);
        self.write(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let head = read_head(&transaction, &ledger)?;
            let known = read_known(&transaction, &ledger, &batch)?;
            let sequenced = sequence(&head, &batch, known, now);
            if sequenced.entries.is_empty() {
                return Ok(sequenced.outcomes);
            }
            write_sequenced(&transaction, &sequenced)?;
            let mut edges = edges.lock().unwrap_or_else(PoisonError::into_inner);
            tree::write_completed(&transaction, &mut edges, head.size, &sequenced)?;
            // A failed commit in SQLite has rolled back or will when the file is next opened: never half-written, but
            // an I/O error leaves open whether the log frame reached the disk.
            transaction.commit().map_err(|error| StoreError::UnknownOutcome(error.to_string()))?;
            edges.advance(&ledger, head.size, &sequenced.leaves);
            Ok(sequenced.outcomes)
        })
        .await
    }

    async fn head(&self, ledger: &LedgerId) -> Result<Head, StoreError> {
        let ledger = ledger.clone();
        self.read(move |connection| read_head(connection, &ledger)).await
    }

    async fn ledgers(&self) -> Result<Vec<LedgerId>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("select ledger_id from ledger_heads order by ledger_id")?;
            let ids = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
            ids.into_iter()
                .map(|id| id.parse().map_err(|error: crate::InvalidValue| StoreError::Unavailable(error.to_string())))
                .collect()
        })
        .await
    }

    async fn entries(&self, ledger: &LedgerId, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let ledger = ledger.clone();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "select {ENTRY_COLUMNS} from ledger_entries where ledger_id = ?1 and position >= ?2 \
                 order by position limit ?3"
            ))?;
            collect(statement.query(params![ledger.as_str(), signed(from), bounded(limit)])?)
        })
        .await
    }

    async fn stream(
        &self,
        ledger: &LedgerId,
        key: &StreamKey,
        from_version: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let (ledger, key) = (ledger.clone(), key.clone());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "select {ENTRY_COLUMNS} from ledger_entries where ledger_id = ?1 and stream_type = ?2 \
                 and stream_id = ?3 and version >= ?4 order by version limit ?5"
            ))?;
            collect(statement.query(params![
                ledger.as_str(),
                key.stream_type,
                key.stream_id,
                signed(from_version),
                bounded(limit)
            ])?)
        })
        .await
    }

    async fn streams(
        &self,
        ledger: &LedgerId,
        stream_type: &str,
        stream_ids: &[String],
        to_version: u64,
    ) -> Result<Vec<Entry>, StoreError> {
        let (ledger, stream_type, mut ids) = (ledger.clone(), stream_type.to_owned(), stream_ids.to_vec());
        self.read(move |connection| {
            ids.sort_unstable();
            ids.dedup();
            let mut statement = connection.prepare_cached(&format!(
                "select {ENTRY_COLUMNS} from ledger_entries where ledger_id = ?1 and stream_type = ?2 \
                 and stream_id = ?3 and version <= ?4 order by version"
            ))?;
            let mut entries = Vec::new();
            for id in &ids {
                let rows = statement.query(params![ledger.as_str(), stream_type, id, signed(to_version)])?;
                entries.append(&mut collect(rows)?);
            }
            Ok(entries)
        })
        .await
    }

    async fn command(&self, ledger: &LedgerId, command_id: &str) -> Result<Option<CommandRecord>, StoreError> {
        let (ledger, command_id) = (ledger.clone(), command_id.to_owned());
        self.read(move |connection| read_command(connection, &ledger, &command_id)).await
    }

    async fn remember(&self, ledger: &LedgerId, command_id: &str, record: CommandRecord) -> Result<(), StoreError> {
        let (ledger, command_id) = (ledger.clone(), command_id.to_owned());
        self.write(move |connection| write_command(connection, &ledger, &command_id, &record)).await
    }

    async fn snapshot(&self, ledger: &LedgerId, key: &StreamKey) -> Result<Option<Snapshot>, StoreError> {
        let (ledger, key) = (ledger.clone(), key.clone());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "select version, reducer_version, position, entry_hash, state from ledger_snapshots \
                 where ledger_id = ?1 and stream_type = ?2 and stream_id = ?3",
            )?;
            let mut rows = statement.query(params![ledger.as_str(), key.stream_type, key.stream_id])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            Ok(Some(Snapshot {
                version: unsigned(row.get(0)?),
                reducer_version: row.get(1)?,
                position: unsigned(row.get(2)?),
                entry_hash: hash(row, 3, -1)?,
                state: row.get(4)?,
            }))
        })
        .await
    }

    async fn save_snapshot(&self, ledger: &LedgerId, key: &StreamKey, snapshot: Snapshot) -> Result<(), StoreError> {
        let (ledger, key) = (ledger.clone(), key.clone());
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "insert into ledger_snapshots (ledger_id, stream_type, stream_id, version, reducer_version, \
                     position, entry_hash, state) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
                     on conflict (ledger_id, stream_type, stream_id) do update set version = excluded.version, \
                     reducer_version = excluded.reducer_version, position = excluded.position, \
                     entry_hash = excluded.entry_hash, state = excluded.state \
                     where excluded.version > version or excluded.reducer_version <> reducer_version",
                )?
                .execute(params![
                    ledger.as_str(),
                    key.stream_type,
                    key.stream_id,
                    signed(snapshot.version),
                    snapshot.reducer_version,
                    signed(snapshot.position),
                    snapshot.entry_hash.0,
                    snapshot.state
                ])?;
            Ok(())
        })
        .await
    }

    async fn tiles(&self, ledger: &LedgerId, level: u8, from: u64, limit: usize) -> Result<Vec<Tile>, StoreError> {
        let ledger = ledger.clone();
        self.read(move |connection| tree::read(connection, &ledger, level, from, limit)).await
    }

    async fn tile_roots(
        &self,
        ledger: &LedgerId,
        level: u8,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Hash>, StoreError> {
        let ledger = ledger.clone();
        self.read(move |connection| tree::read_roots(connection, &ledger, level, from, limit)).await
    }

    async fn add_tiles(&self, ledger: &LedgerId, tiles: &[Tile]) -> Result<(), StoreError> {
        let (ledger, tiles) = (ledger.clone(), tiles.to_vec());
        self.write(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            tree::write(&transaction, &ledger, &tiles)?;
            Ok(transaction.commit()?)
        })
        .await
    }

    async fn save_checkpoint(&self, ledger: &LedgerId, checkpoint: &StoredCheckpoint) -> Result<(), StoreError> {
        let (ledger, checkpoint) = (ledger.clone(), checkpoint.clone());
        self.write(move |connection| tree::save_checkpoint(connection, &ledger, &checkpoint)).await
    }

    async fn latest_checkpoint(&self, ledger: &LedgerId) -> Result<Option<StoredCheckpoint>, StoreError> {
        let ledger = ledger.clone();
        self.read(move |connection| tree::latest_checkpoint(connection, &ledger)).await
    }

    async fn checkpoints(
        &self,
        ledger: &LedgerId,
        from_size: u64,
        limit: usize,
    ) -> Result<Vec<StoredCheckpoint>, StoreError> {
        let ledger = ledger.clone();
        self.read(move |connection| tree::checkpoints(connection, &ledger, from_size, limit)).await
    }

    async fn listen(&self) -> Result<Option<mpsc::Receiver<(LedgerId, u64)>>, StoreError> {
        Ok(None)
    }
}

fn read_head(connection: &Connection, ledger: &LedgerId) -> Result<Head, StoreError> {
    let mut statement = connection
        .prepare_cached("select size, hash, root, frontier, recorded_at from ledger_heads where ledger_id = ?1")?;
    let mut rows = statement.query(params![ledger.as_str()])?;
    let Some(row) = rows.next()? else { return Ok(Head::empty(ledger.clone())) };
    let size = unsigned(row.get(0)?);
    let frontier: Vec<u8> = row.get(3)?;
    Ok(Head {
        ledger_id: ledger.clone(),
        size,
        hash: hash(row, 1, -1)?,
        root: hash(row, 2, -1)?,
        frontier: Frontier::from_bytes(size, &frontier)
            .map_err(|error| StoreError::Corrupt { position: -1, why: error.to_string() })?,
        recorded_at: row.get(4)?,
    })
}

fn read_known(transaction: &Transaction<'_>, ledger: &LedgerId, batch: &[Append]) -> Result<Known, StoreError> {
    let mut known = Known { versions: HashMap::with_capacity(batch.len()), commands: HashMap::new() };
    let mut statement = transaction.prepare_cached(
        "select version from ledger_entries where ledger_id = ?1 and stream_type = ?2 and stream_id = ?3 \
         order by version desc limit 1",
    )?;
    let mut seen = HashSet::with_capacity(batch.len());
    for append in batch {
        if seen.insert(&append.stream) {
            let version: Option<i64> = statement
                .query_row(params![ledger.as_str(), append.stream.stream_type, append.stream.stream_id], |row| {
                    row.get(0)
                })
                .optional()?;
            if let Some(version) = version {
                known.versions.insert(append.stream.clone(), unsigned(version));
            }
        }
        if let Some(command) = &append.command
            && let Some(record) = read_command(transaction, ledger, &command.id)?
        {
            known.commands.insert(command.id.clone(), record);
        }
    }
    Ok(known)
}

fn read_command(
    connection: &Connection,
    ledger: &LedgerId,
    command_id: &str,
) -> Result<Option<CommandRecord>, StoreError> {
    let mut statement = connection.prepare_cached(
        "select digest, stream_type, stream_id, first_position, last_position, version, hash, recorded_at \
         from ledger_commands where ledger_id = ?1 and command_id = ?2",
    )?;
    let mut rows = statement.query(params![ledger.as_str(), command_id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(CommandRecord {
        digest: hash(row, 0, -1)?,
        stream: StreamKey { stream_type: row.get(1)?, stream_id: row.get(2)? },
        appended: Appended {
            first_position: unsigned(row.get(3)?),
            version: unsigned(row.get(5)?),
            receipt: Receipt { ledger_id: ledger.clone(), position: unsigned(row.get(4)?), hash: hash(row, 6, -1)? },
            recorded_at: row.get(7)?,
            replayed: true,
        },
    }))
}

fn write_sequenced(transaction: &Transaction<'_>, sequenced: &Sequenced) -> Result<(), StoreError> {
    let mut insert = transaction.prepare_cached(&format!(
        "insert into ledger_entries ({ENTRY_COLUMNS}) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
    ))?;
    for entry in &sequenced.entries {
        insert.execute(params![
            entry.ledger_id.as_str(),
            signed(entry.position),
            entry.event_id.as_bytes(),
            entry.stream.stream_type,
            entry.stream.stream_id,
            signed(entry.version),
            entry.event_type,
            signed(entry.schema_version),
            entry.recorded_at,
            entry.actor.kind.as_str(),
            entry.actor.id,
            entry.metadata.as_bytes(),
            entry.payload.as_deref().map(str::as_bytes),
            entry.payload_digest.0,
            entry.previous_hash.0,
            entry.hash.0,
        ])?;
    }
    for (id, record) in &sequenced.commands {
        write_command(transaction, &sequenced.head.ledger_id, id, record)?;
    }
    let head = &sequenced.head;
    transaction
        .prepare_cached(
            "insert into ledger_heads (ledger_id, size, hash, root, frontier, recorded_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6) on conflict (ledger_id) do update set size = excluded.size, \
             hash = excluded.hash, root = excluded.root, frontier = excluded.frontier, \
             recorded_at = excluded.recorded_at",
        )?
        .execute(params![
            head.ledger_id.as_str(),
            signed(head.size),
            head.hash.0,
            head.root.0,
            head.frontier.to_bytes(),
            head.recorded_at
        ])?;
    Ok(())
}

fn write_command(
    connection: &Connection,
    ledger: &LedgerId,
    command_id: &str,
    record: &CommandRecord,
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "insert into ledger_commands (ledger_id, command_id, digest, stream_type, stream_id, first_position, \
             last_position, version, hash, recorded_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
             on conflict (ledger_id, command_id) do nothing",
        )?
        .execute(params![
            ledger.as_str(),
            command_id,
            record.digest.0,
            record.stream.stream_type,
            record.stream.stream_id,
            signed(record.appended.first_position),
            signed(record.appended.receipt.position),
            signed(record.appended.version),
            record.appended.receipt.hash.0,
            record.appended.recorded_at,
        ])?;
    Ok(())
}
