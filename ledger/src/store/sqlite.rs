//! Ledgers in one SQLite file: WAL, `synchronous=FULL`, one writer thread with prepared statements, a few read connections.
//!
//! The file belongs to one writing process at a time (a lock file beside it says so); any number may read.

mod checkpoints;
mod find;
mod lookup;
mod readers;
mod recent;
mod rows;
mod tree;
mod writer;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, TransactionBehavior, params};
use tokio::sync::{oneshot, watch};

use self::checkpoints::Checkpoints;
use self::find::Finder;
use self::lookup::Lookup;
use self::readers::Readers;
use self::rows::{collect, hash};
use self::writer::Writer;
use super::{Snapshot, Store, StoreError, StoredCheckpoint, bounded, signed, unsigned};
use crate::append::{Append, AppendError, Appended, CommandRecord};
use crate::entry::{Entry, Hash, Head, LedgerId, StreamKey};
use crate::merkle::Frontier;
use crate::tiles::Tile;

/// Migrations of the ledger file, oldest first. The file's `user_version` says how many it has had.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/sqlite/0001_ledger.sql"),
    include_str!("../../../migrations/sqlite/0002_tree.sql"),
    include_str!("../../../migrations/sqlite/0003_lookup.sql"),
];
const ENTRY_COLUMNS: &str = "ledger_id, position, event_id, stream_type, stream_id, version, event_type, schema_version, \
     recorded_at, actor_kind, actor_id, metadata, payload, payload_digest, previous_hash, hash";

type Job = Box<dyn FnOnce(&mut Writer) + Send>;
/// Set for ever by the first write or sync that failed with an I/O error.
///
/// The kernel may have dropped what it could not write, and calls the next sync good; but whoever reads still sees it. So
/// nothing is written any more, and the file is not closed, which would write too. The next process copies and syncs what
/// it finds before it shows it.
type Failure = Arc<OnceLock<String>>;

/// A SQLite file of ledgers.
pub struct SqliteStore {
    path: PathBuf,
    // Dropped in this order: the writer's connection is to be the last one, which copies the log and deletes it.
    readers: Arc<Readers>,
    finder: Finder,
    writer: Option<std::sync::mpsc::Sender<Job>>,
    failure: Failure,
}

impl SqliteStore {
    /// Opens (or makes) the file for writing and reading. Refused while another process has it open for writing.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        Self::open_for_writing(path.to_owned()).map_err(|error| match error {
            StoreError::Unavailable(why) | StoreError::Failed(why) if !why.contains(&path.display().to_string()) => {
                StoreError::Unavailable(format!("{}: {why}", path.display()))
            }
            other => other,
        })
    }

    fn open_for_writing(path: PathBuf) -> Result<Self, StoreError> {
        let lock = lock_file(&path)?;
        let mut connection = Connection::open(&path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch(
            "pragma journal_mode = wal; pragma synchronous = full; pragma cache_size = -16384; \
             pragma wal_autocheckpoint = 0;",
        )?;
        connection.set_prepared_statement_cache_capacity(32);
        migrate(&mut connection)?;
        // Not before: a migration sorts more than fits into memory.
        connection.execute_batch("pragma temp_store = memory;")?;
        checkpoints::copy_whole_log(&connection, &path)?;
        let (lookup, flusher) = Lookup::open(&path, &connection)?;
        let failure = Failure::default();
        let checkpoints = Checkpoints::start(&path, Arc::clone(&failure))?;
        let mut owner = Writer::new(connection, Arc::clone(&lookup))?;
        let (writer, jobs) = std::sync::mpsc::channel::<Job>();
        let failed = Arc::clone(&failure);
        std::thread::Builder::new()
            .name("ledger-sqlite-writer".to_owned())
            .spawn(move || {
                while let Ok(job) = jobs.recv() {
                    job(&mut owner);
                    checkpoints.after_job(&mut owner);
                }
                if failed.get().is_some() {
                    std::mem::forget((owner, checkpoints, flusher, lock));
                    return;
                }
                // What follows happens in this order: the next process finds both files as they are left.
                drop(checkpoints);
                drop(owner);
                drop(flusher);
                drop(lock);
            })
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let readers = Arc::new(Readers::new(path.clone()));
        Ok(Self { path, writer: Some(writer), failure, readers, finder: Finder::Writing(lookup) })
    }

    /// Opens an existing file for reading only, whoever writes to it.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let readers = Readers::new(path.clone());
        readers.give_back(readers.connect()?);
        let finder = Finder::Following(path.clone());
        Ok(Self { path, writer: None, failure: Failure::default(), readers: Arc::new(readers), finder })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    {
        let Some(writer) = &self.writer else {
            return Err(StoreError::Unavailable("the store is open for reading only".to_owned()));
        };
        let (reply, answer) = oneshot::channel();
        let failure = Arc::clone(&self.failure);
        let job: Job = Box::new(move |writer| {
            let result = match failure.get() {
                Some(why) => Err(StoreError::Failed(why.clone())),
                None => work(writer),
            };
            if let Err(StoreError::Failed(why)) = &result {
                let _ = failure.set(why.clone());
            }
            // Nobody waiting any more is no reason not to have written.
            let _ = reply.send(result);
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
        self.append_shared(ledger, &Arc::new(batch.to_vec()), now).await
    }

    async fn append_shared(
        &self,
        ledger: &LedgerId,
        batch: &Arc<Vec<Append>>,
        now: i64,
    ) -> Result<Vec<Result<Appended, AppendError>>, StoreError> {
        let (ledger, batch) = (ledger.clone(), Arc::clone(batch));
        self.write(move |writer| writer.append(&ledger, &batch, now)).await
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
        let (ledger, key, finder) = (ledger.clone(), key.clone(), self.finder.clone());
        self.read(move |connection| find::stream(connection, &finder, &ledger, &key, (from_version, u64::MAX), limit))
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
        let finder = self.finder.clone();
        self.read(move |connection| {
            ids.sort_unstable();
            ids.dedup();
            let mut entries = Vec::new();
            for stream_id in ids {
                let key = StreamKey { stream_type: stream_type.clone(), stream_id };
                entries.append(&mut find::stream(connection, &finder, &ledger, &key, (1, to_version), usize::MAX)?);
            }
            Ok(entries)
        })
        .await
    }

    async fn command(&self, ledger: &LedgerId, command_id: &str) -> Result<Option<CommandRecord>, StoreError> {
        let (ledger, command_id, finder) = (ledger.clone(), command_id.to_owned(), self.finder.clone());
        self.read(move |connection| find::command(connection, &finder, &ledger, &command_id)).await
    }

    async fn remember(&self, ledger: &LedgerId, command_id: &str, record: CommandRecord) -> Result<(), StoreError> {
        let (ledger, command_id) = (ledger.clone(), command_id.to_owned());
        self.write(move |writer| writer.remember(&ledger, &command_id, &record)).await
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
        self.write(move |writer| {
            writer
                .connection
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

    async fn tile_roots(&self, ledger: &LedgerId, level: u8, from: u64, limit: usize) -> Result<Vec<Hash>, StoreError> {
        let ledger = ledger.clone();
        self.read(move |connection| tree::read_roots(connection, &ledger, level, from, limit)).await
    }

    async fn add_tiles(&self, ledger: &LedgerId, tiles: &[Tile]) -> Result<(), StoreError> {
        let (ledger, tiles) = (ledger.clone(), tiles.to_vec());
        self.write(move |writer| {
            let transaction = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            tree::write(&transaction, &ledger, &tiles)?;
            Ok(transaction.commit()?)
        })
        .await
    }

    async fn save_checkpoint(&self, ledger: &LedgerId, checkpoint: &StoredCheckpoint) -> Result<(), StoreError> {
        let (ledger, checkpoint) = (ledger.clone(), checkpoint.clone());
        self.write(move |writer| tree::save_checkpoint(&writer.connection, &ledger, &checkpoint)).await
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

    async fn listen(&self, _ledger: &LedgerId) -> Result<Option<watch::Receiver<u64>>, StoreError> {
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
