//! The embedded store's lookup file: whatever becomes of it, every version and every command is found.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use daybook_ledger::canonical::digest;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{
    Actor, Append, AppendError, CommandKey, Draft, Entry, Hash, LedgerId, Receipt, Store, StoreError, StreamKey,
};
use rusqlite::Connection;

/// A ledger and what must be found in it.
struct Book {
    folder: PathBuf,
    store: Option<SqliteStore>,
    streams: BTreeMap<(LedgerId, String), Vec<Hash>>,
    commands: BTreeMap<String, Receipt>,
    round: usize,
}

fn key(id: &str) -> StreamKey {
    StreamKey::new("transaction", id).unwrap()
}

fn request(id: &str, expected_version: u64, events: usize, command: Option<&str>) -> Append {
    Append {
        stream: key(id),
        expected_version,
        events: (0..events).map(|n| Draft::new("transaction.recorded", 1, format!(r#"{{"n":{n}}}"#))).collect(),
        actor: Actor::system("test"),
        metadata: "{}".to_owned(),
        command: command.map(|id| CommandKey { id: id.to_owned(), digest: digest(id.as_bytes()) }),
    }
}

fn open(path: &Path) -> SqliteStore {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        // The threads of the store before end on their own time.
        match SqliteStore::open(path) {
            Ok(store) => return store,
            Err(StoreError::InUse(_)) => assert!(Instant::now() < deadline),
            Err(error) => panic!("{error}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Book {
    fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let store = Some(open(&folder.join("ledger.db")));
        Self { folder: folder.to_owned(), store, streams: BTreeMap::new(), commands: BTreeMap::new(), round: 0 }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("ledger.db")
    }

    fn lookup(&self) -> PathBuf {
        self.folder.join("ledger.lookup.db")
    }

    fn store(&self) -> &SqliteStore {
        self.store.as_ref().unwrap()
    }

    /// A round over some streams of two ledgers, old and new, commands of two events each.
    async fn write(&mut self) {
        self.round += 1;
        let round = self.round;
        for ledger in [LedgerId::main(), "other".parse().unwrap()] {
            let mut batch = Vec::new();
            for n in 0..60_usize {
                let id = if n < 40 { format!("old-{n}") } else { format!("new-{round}-{n}") };
                let version = self.streams.get(&(ledger.clone(), id.clone())).map_or(0, Vec::len) as u64;
                let command = format!("{ledger}-{round}-{n}");
                batch.push(request(&id, version, 2, (n % 3 == 0).then_some(command.as_str())));
            }
            let outcomes = self.store().append(&ledger, &batch, 1).await.unwrap();
            for (append, outcome) in batch.iter().zip(outcomes) {
                let appended = outcome.unwrap();
                let entries = self.store().entries(&ledger, appended.first_position, 2).await.unwrap();
                let hashes = self.streams.entry((ledger.clone(), append.stream.stream_id.clone())).or_default();
                hashes.extend(entries.iter().map(|entry| entry.hash));
                if let Some(command) = &append.command {
                    self.commands.insert(command.id.clone(), appended.receipt);
                }
            }
        }
    }

    /// Until nobody writes to the files any more.
    fn close(&mut self) {
        self.store = None;
        std::fs::OpenOptions::new().write(true).open(self.folder.join("ledger.lock")).unwrap().lock().unwrap();
    }

    fn reopen(&mut self) {
        self.store = None;
        self.store = Some(open(&self.path()));
    }

    async fn assert_found_by(&self, store: &SqliteStore) {
        let hashes = |entries: &[Entry]| entries.iter().map(|entry| entry.hash).collect::<Vec<_>>();
        for ((ledger, id), expected) in &self.streams {
            let found = store.stream(ledger, &key(id), 1, usize::MAX).await.unwrap();
            assert_eq!(hashes(&found), *expected, "{ledger} {id}");
            let found = store.stream(ledger, &key(id), 2, 1).await.unwrap();
            assert_eq!(hashes(&found), expected[1..2], "{ledger} {id}");
            let last = expected.len() as u64;
            assert_eq!(store.stream(ledger, &key(id), last + 1, 5).await.unwrap(), []);
        }
        for (id, receipt) in &self.commands {
            let found = store.command(&receipt.ledger_id, id).await.unwrap().expect(id);
            assert_eq!(found.appended.receipt, *receipt);
            let other = if receipt.ledger_id == LedgerId::main() { "other".parse().unwrap() } else { LedgerId::main() };
            assert_eq!(store.command(&other, id).await.unwrap(), None);
        }
        let ids: Vec<String> = self.streams.keys().map(|(_, id)| id.clone()).collect();
        let several = store.streams(&LedgerId::main(), "transaction", &ids, 3).await.unwrap();
        let main = self.streams.iter().filter(|((ledger, _), _)| *ledger == LedgerId::main());
        let expected: Vec<Hash> = main.flat_map(|(_, hashes)| hashes.iter().take(3).copied()).collect();
        assert_eq!(hashes(&several), expected);
    }

    /// Every stream and command reads back, no version is given twice, and no command is carried out twice.
    async fn assert_whole(&self) {
        self.assert_found_by(self.store()).await;
        for ((ledger, id), expected) in &self.streams {
            let actual = expected.len() as u64;
            for wrong in [0, actual - 1, actual + 1] {
                let outcome = self.store().append(ledger, &[request(id, wrong, 1, None)], 1).await.unwrap();
                assert_eq!(outcome[0], Err(AppendError::VersionConflict { expected: wrong, actual }), "{ledger} {id}");
            }
        }
        for (id, receipt) in &self.commands {
            let again = request("anything", 0, 1, Some(id));
            let outcome = self.store().append(&receipt.ledger_id, &[again], 1).await.unwrap();
            let appended = outcome[0].as_ref().unwrap();
            assert!(appended.replayed);
            assert_eq!(appended.receipt, *receipt);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        // Shared memory is of the process that has it.
        if !file.file_name().to_string_lossy().ends_with("-shm") {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

#[tokio::test]
async fn everything_is_found_through_many_closings_and_merges() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::new(folder.path());
    for round in 0..20 {
        book.write().await;
        if round % 5 == 2 {
            book.assert_whole().await;
        }
        book.reopen();
    }
    book.assert_whole().await;
    let segments: i64 = Connection::open(book.lookup())
        .unwrap()
        .query_row("select count(*) from segments", [], |row| row.get(0))
        .unwrap();
    assert!((1..=12).contains(&segments), "{segments} segments");
    book.write().await;
    book.assert_whole().await;
}

#[tokio::test]
async fn lookup_file_that_is_missing_or_unreadable_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::new(folder.path());
    for _ in 0..3 {
        book.write().await;
        book.reopen();
    }
    book.close();
    let whole = std::fs::read(book.lookup()).unwrap();
    let mut garbage = whole.clone();
    garbage[whole.len() / 3..whole.len() / 2].fill(0xA5);
    let torn: [Option<&[u8]>; 6] = [
        None,
        Some(b""),
        Some(b"not a database at all"),
        Some(&whole[..whole.len() / 2]),
        Some(&whole[..16_384]),
        Some(&garbage),
    ];
    for bytes in torn {
        book.close();
        match bytes {
            Some(bytes) => std::fs::write(book.lookup(), bytes).unwrap(),
            None => std::fs::remove_file(book.lookup()).unwrap(),
        }
        book.reopen();
        book.assert_whole().await;
        book.write().await;
        book.assert_whole().await;
        book.reopen();
        book.assert_whole().await;
    }
}

#[tokio::test]
async fn older_lookup_file_is_brought_up_to_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::new(folder.path());
    book.write().await;
    book.close();
    let older = std::fs::read(book.lookup()).unwrap();
    book.reopen();
    book.write().await;
    book.write().await;
    book.close();
    std::fs::write(book.lookup(), older).unwrap();
    book.reopen();
    book.assert_whole().await;
    book.write().await;
    book.assert_whole().await;
}

#[tokio::test]
async fn lookup_file_of_another_past_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::new(&folder.path().join("a"));
    book.write().await;
    book.close();
    let backup = std::fs::read(book.path()).unwrap();
    let (streams, commands) = (book.streams.clone(), book.commands.clone());
    book.reopen();
    book.write().await;
    book.close();
    // The ledger of before, with the lookup file of after.
    std::fs::write(book.path(), backup).unwrap();
    (book.streams, book.commands) = (streams, commands);
    book.reopen();
    book.assert_whole().await;
    // A ledger of the same size with other entries.
    book.write().await;
    book.close();
    let other = folder.path().join("b");
    let mut twin = Book::new(&other);
    twin.write().await;
    twin.write().await;
    twin.close();
    std::fs::copy(book.lookup(), twin.lookup()).unwrap();
    twin.reopen();
    twin.assert_whole().await;
}

#[tokio::test]
async fn process_that_dies_before_the_lookup_file_is_written_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::new(&folder.path().join("living"));
    book.write().await;
    book.reopen();
    for _ in 1..4 {
        book.write().await;
    }
    // What is on disk while the store is open is what a process that dies now leaves behind.
    let dead = folder.path().join("dead");
    copy(&book.folder, &dead);
    let after = Book {
        store: Some(open(&dead.join("ledger.db"))),
        folder: dead.clone(),
        streams: book.streams.clone(),
        commands: book.commands.clone(),
        round: book.round,
    };
    after.assert_whole().await;
}

#[tokio::test]
async fn damage_that_is_met_while_running_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::new(folder.path());
    book.write().await;
    book.reopen();
    for sql in [
        "update pages set records = zeroblob(length(records))",
        "update pages set segment = segment + 1000",
        "delete from filters",
        "drop table pages",
        "delete from state",
    ] {
        let outside = Connection::open(book.lookup()).unwrap();
        outside.busy_timeout(Duration::from_secs(5)).unwrap();
        outside.execute_batch(sql).unwrap();
        if sql.starts_with("delete from filters") || sql.contains("segment + 1000") {
            // Filters are in memory; a page too few shows once the count is looked at.
            book.reopen();
        }
        book.assert_whole().await;
        book.write().await;
        book.assert_whole().await;
        book.reopen();
    }
}

#[tokio::test]
async fn another_process_that_reads_finds_what_is_not_in_the_lookup_file_yet() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::new(folder.path());
    book.write().await;
    book.reopen();
    let reading = SqliteStore::open_read_only(book.path()).unwrap();
    book.assert_found_by(&reading).await;
    book.write().await;
    book.assert_found_by(&reading).await;
    book.reopen();
    book.assert_found_by(&reading).await;
    book.close();
    std::fs::write(book.lookup(), "something else").unwrap();
    book.assert_found_by(&SqliteStore::open_read_only(book.path()).unwrap()).await;
    std::fs::remove_file(book.lookup()).unwrap();
    book.assert_found_by(&SqliteStore::open_read_only(book.path()).unwrap()).await;
}

#[tokio::test]
async fn ledger_with_unique_indexes_gives_them_up_and_keeps_its_commands() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::new(folder.path());
    book.write().await;
    book.write().await;
    book.close();
    std::fs::remove_file(book.lookup()).unwrap();
    let connection = Connection::open(book.path()).unwrap();
    connection
        .execute_batch(
            "create unique index ledger_entries_stream_version on ledger_entries (ledger_id, stream_type, stream_id, version);
             create unique index ledger_entries_event_id on ledger_entries (ledger_id, event_id);
             alter table ledger_commands rename to numbered;
             create table ledger_commands (ledger_id text not null, command_id text not null, digest blob not null,
                 stream_type text not null, stream_id text not null, first_position integer not null,
                 last_position integer not null, version integer not null, hash blob not null,
                 recorded_at integer not null, primary key (ledger_id, command_id)) without rowid;
             insert into ledger_commands select ledger_id, command_id, digest, stream_type, stream_id, first_position,
                 last_position, version, hash, recorded_at from numbered;
             drop table numbered;
             pragma user_version = 2;",
        )
        .unwrap();
    drop(connection);
    book.reopen();
    book.assert_whole().await;
    let indexes: i64 = Connection::open(book.path())
        .unwrap()
        .query_row("select count(*) from sqlite_schema where type = 'index' and sql is not null", [], |row| row.get(0))
        .unwrap();
    assert_eq!(indexes, 0);
}
