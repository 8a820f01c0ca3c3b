//! A ledger file with its log key, its auditor's folder, and the program that is to judge it.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use daybook_ledger::canonical::{canonical_bytes, digest};
use daybook_ledger::merkle::{Frontier, leaf};
use daybook_ledger::store::StoredCheckpoint;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, ActorKind, Append, Draft, Hash, Store, StreamKey};
use serde_json::Value as Json;

use crate::common::image::*;
use crate::common::mutations::{canonical, rehash};
use crate::common::{START, append};
use crate::signing::LogKey;

pub const ORIGIN: &str = "daybook.local/main";

/// Findings as kind, first position and position after the last.
pub fn kinds(findings: &Json) -> Vec<(String, Option<u64>, Option<u64>)> {
    let read = |finding: &Json| {
        let kind = finding["kind"].as_str().unwrap().to_owned();
        (kind, finding["position"].as_u64(), finding["until"].as_u64())
    };
    findings.as_array().unwrap().iter().map(read).collect()
}

pub struct Bench {
    folder: tempfile::TempDir,
    path: String,
    key: LogKey,
}

impl Bench {
    /// A ledger `main` of a few entries.
    pub async fn new() -> Self {
        let bench = Self::empty();
        bench.grow(30).await;
        bench
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db").display().to_string();
        Self { folder, path, key: LogKey::p256(42) }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn key(&self) -> &LogKey {
        &self.key
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file as it is now, with the same key and an auditor's folder of its own.
    pub fn copy(&self) -> Self {
        let copy = Self::empty();
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        connection.execute("vacuum into ?1", [&copy.path]).unwrap();
        copy
    }

    pub async fn grow(&self, entries: u64) {
        self.append(entries, "TX").await;
    }

    pub async fn grow_otherwise(&self, entries: u64) {
        self.append(entries, "OTHER").await;
    }

    async fn append(&self, entries: u64, prefix: &str) {
        let store = self.open().await;
        let size = self.size();
        let batch: Vec<Append> = (size..size + entries)
            .map(|number| {
                let stream = format!("{prefix}-{number}");
                Append { command: None, ..append(number as usize, "transaction", &stream, 0, 1) }
            })
            .collect();
        for part in batch.chunks(500) {
            let outcomes = store.append(&"main".parse().unwrap(), part, START + size as i64).await.unwrap();
            outcomes.into_iter().for_each(|outcome| drop(outcome.unwrap()));
        }
    }

    /// Opens the store, once the one before has let go of it.
    async fn open(&self) -> SqliteStore {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            match SqliteStore::open(&self.path) {
                Ok(store) => return store,
                Err(error) if std::time::Instant::now() > until => panic!("{error}"),
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
            }
        }
    }

    /// Appends an entry whose type and payload matter.
    pub async fn record(&self, stream: (&str, &str), version: u64, event: (&str, &str), recorded_at: i64) {
        let store = self.open().await;
        let append = Append {
            stream: StreamKey::new(stream.0, stream.1).unwrap(),
            expected_version: version,
            events: vec![Draft::new(event.0.to_owned(), 1, event.1.to_owned())],
            actor: Actor { kind: ActorKind::Human, id: "usr_1".to_owned() },
            metadata: "{}".to_owned(),
            command: None,
        };
        let outcomes = store.append(&"main".parse().unwrap(), &[append], recorded_at).await.unwrap();
        outcomes.into_iter().for_each(|outcome| drop(outcome.unwrap()));
    }

    /// Seals, signs and stores a checkpoint; the path of a file with its note.
    pub async fn checkpoint(&self) -> String {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        let sql = "select count(*) from ledger_entries where ledger_id = 'main' and stream_type = 'ledger'";
        let seals: u64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
        drop(connection);
        let store = self.open().await;
        let ledger = "main".parse().unwrap();
        let seal = Append {
            stream: StreamKey::new("ledger", "main").unwrap(),
            expected_version: seals,
            events: vec![Draft::seal()],
            actor: Actor { kind: ActorKind::System, id: "sequencer".to_owned() },
            metadata: "{}".to_owned(),
            command: None,
        };
        let outcomes = store.append(&ledger, &[seal], START + 100_000_000).await.unwrap();
        outcomes.into_iter().for_each(|outcome| drop(outcome.unwrap()));
        let head = store.head(&ledger).await.unwrap();
        let note = self.key.checkpoint(ORIGIN, head.size, head.root.0);
        let checkpoint = StoredCheckpoint { size: head.size, root: head.root, note: note.clone(), signed_at: START };
        store.save_checkpoint(&ledger, &checkpoint).await.unwrap();
        self.write(&format!("checkpoint-{}.txt", head.size), &note)
    }

    /// The leaves of the tree over the whole ledger.
    pub async fn leaves(&self) -> Vec<Hash> {
        let store = self.open().await;
        let entries = store.entries(&"main".parse().unwrap(), 0, 100_000).await.unwrap();
        entries.iter().map(|entry| leaf(&canonical_bytes(entry))).collect()
    }

    pub fn size(&self) -> u64 {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        let sql = "select count(*) from ledger_entries where ledger_id = 'main'";
        connection.query_row(sql, [], |row| row.get(0)).unwrap_or(0)
    }

    pub fn execute(&self, sql: &str) {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        drop_triggers(&connection);
        connection.execute_batch(sql).unwrap();
    }

    /// Changes one entry as the database's owner would: hashes, links, seals, head and tiles made right again.
    pub fn rewrite(&self, position: usize, change: impl FnOnce(&mut Row)) {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        drop_triggers(&connection);
        let mut entries = Image::read(&connection).entries;
        entries.sort_by_key(|entry| entry[POSITION].integer());
        change(&mut entries[position]);
        self.store(&connection, entries);
    }

    /// Cuts the ledger down to so many entries and makes a head for them.
    pub fn truncate(&self, size: usize) {
        let connection = rusqlite::Connection::open(&self.path).unwrap();
        drop_triggers(&connection);
        let mut entries = Image::read(&connection).entries;
        entries.sort_by_key(|entry| entry[POSITION].integer());
        entries.truncate(size);
        let sql = format!("delete from ledger_checkpoints where size > {size}");
        connection.execute_batch(&sql).unwrap();
        self.store(&connection, entries);
    }

    fn store(&self, connection: &rusqlite::Connection, mut entries: Vec<Row>) {
        let mut tree = Frontier::default();
        let mut previous = entries.first().map(|entry| entry[PREVIOUS_HASH].clone());
        for entry in &mut entries {
            if entry[6].text() == "ledger.sealed" {
                let hash = hex::encode(previous.as_ref().unwrap().bytes());
                let payload =
                    format!(r#"{{"size":{},"hash":"{hash}","root":"{}"}}"#, entry[POSITION].integer(), tree.root());
                entry[PAYLOAD] = Value::Blob(payload.into_bytes());
            }
            entry[PREVIOUS_HASH] = previous.clone().unwrap();
            entry[PAYLOAD_DIGEST] = Value::Blob(digest(entry[PAYLOAD].bytes()).0.to_vec());
            rehash(entry);
            previous = Some(entry[HASH].clone());
            tree.push(leaf(&canonical(entry)));
        }
        connection.execute_batch("delete from ledger_entries; delete from ledger_tiles;").unwrap();
        let places = vec!["?"; ENTRY_COLUMNS.len()].join(", ");
        let sql = format!("insert into ledger_entries ({}) values ({places})", ENTRY_COLUMNS.join(", "));
        for entry in &entries {
            connection.execute(&sql, rusqlite::params_from_iter(entry)).unwrap();
        }
        let Some(last) = entries.last() else { return };
        connection
            .execute(
                "update ledger_heads set size = ?1, hash = ?2, root = ?3, frontier = ?4, recorded_at = ?5",
                rusqlite::params![entries.len() as i64, last[HASH], tree.root().0, tree.to_bytes(), last[RECORDED_AT]],
            )
            .unwrap();
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A keys file with the log's key.
    pub fn keys(&self) -> String {
        self.write("keys.txt", &format!("{}\n", self.key.verifier_key(ORIGIN)))
    }

    fn memory(&self) -> PathBuf {
        self.folder.path().join("memory")
    }

    /// Runs the program: exit code, and standard output as JSON where it is JSON, else as a string.
    pub fn run(&self, arguments: &[&str]) -> (i32, Json) {
        let output = Command::new(env!("CARGO_BIN_EXE_daybook-auditor"))
            .args(arguments)
            .env("HOME", self.folder.path().join("home"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let code = output.status.code().unwrap();
        if code == 2 {
            assert!(!output.stderr.is_empty(), "a failure that says nothing");
        }
        (code, serde_json::from_str(&text).unwrap_or(Json::String(text)))
    }

    pub fn verify(&self, arguments: &[&str]) -> (i32, Json) {
        let memory = self.memory().display().to_string();
        self.run(&[&["verify", &self.path, "--json", "--memory", &memory], arguments].concat())
    }

    pub fn verify_without_memory(&self, arguments: &[&str]) -> (i32, Json) {
        self.run(&[&["verify", &self.path, "--json"], arguments].concat())
    }

    pub fn remember_expecting(&self, code: i32) {
        let memory = self.memory().display().to_string();
        let (actual, text) = self.run(&["remember", &self.path, "--memory", &memory, "--keys", &self.keys()]);
        assert_eq!(actual, code, "{text}");
    }

    /// The evidence on `main`.
    pub fn ledger<'a>(&self, evidence: &'a Json) -> &'a Json {
        let ledgers = evidence["ledgers"].as_array().unwrap();
        ledgers.iter().find(|ledger| ledger["ledger_id"] == "main").unwrap()
    }
}

fn drop_triggers(connection: &rusqlite::Connection) {
    let sql = "select name from sqlite_schema where type = 'trigger'";
    let names: Vec<String> =
        connection.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    for name in names {
        connection.execute_batch(&format!("drop trigger {name}")).unwrap();
    }
}
