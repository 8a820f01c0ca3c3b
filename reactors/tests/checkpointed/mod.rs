//! A ledger with checkpoints, for tests of what is done with them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "shared by tests; a failed unwrap is a failed test"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use daybook_ledger::checkpoint::Checkpointer;
use daybook_ledger::keys::{KeyRing, KeyRingOptions, SigningKeySource};
use daybook_ledger::sequencer::{Unobserved, system_clock};
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, Append, Draft, Entry, Ledger, LedgerId, StoredCheckpoint, StreamKey};
use daybook_read_models::ReadDb;

pub const ORIGIN: &str = "ledger.example/main";

pub struct House {
    pub ledger: Ledger,
    pub database: ReadDb,
    pub checkpointer: Checkpointer,
    /// As a verifier gets it.
    pub verifier_key: String,
    written: u64,
    label: String,
    folder: tempfile::TempDir,
}

impl House {
    pub async fn new() -> Self {
        Self::with(tempfile::tempdir().unwrap(), "a").await
    }

    /// Another store with the same signing key: what an operator has who wants two pasts.
    pub async fn twin(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        std::fs::set_permissions(folder.path().join("keys"), std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .unwrap();
        for file in std::fs::read_dir(self.folder.path().join("keys")).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            if !name.starts_with("last-checkpoint") {
                std::fs::copy(file.path(), folder.path().join("keys").join(name)).unwrap();
            }
        }
        Self::with(folder, "b").await
    }

    async fn with(folder: tempfile::TempDir, label: &str) -> Self {
        let path: &Path = folder.path();
        let clock = system_clock();
        let store = Arc::new(SqliteStore::open(path.join("ledger.db")).unwrap());
        let ledger = Ledger::open(store, LedgerId::main(), Arc::clone(&clock), Arc::new(Unobserved)).await.unwrap();
        let options = KeyRingOptions {
            folder: path.join("keys"),
            origin: ORIGIN.to_owned(),
            source: SigningKeySource::Folder,
            ed25519: false,
            overlap_micros: 0,
        };
        let ring = KeyRing::open(options, clock()).unwrap();
        let verifier_key = ring.records().next().unwrap().verifier_key(ORIGIN).unwrap().to_string();
        let checkpointer = Checkpointer::open(ledger.clone(), ring, clock, Arc::new(Unobserved)).await.unwrap();
        let database = ReadDb::open_sqlite(path.join("read.db")).await.unwrap();
        Self { ledger, database, checkpointer, verifier_key, written: 0, label: label.to_owned(), folder }
    }

    /// Appends some entries and signs.
    pub async fn checkpoint(&mut self, entries: u64) -> StoredCheckpoint {
        for _ in 0..entries {
            self.written += 1;
            let append = Append {
                stream: StreamKey::new("note", format!("{}{}", self.label, self.written)).unwrap(),
                expected_version: 0,
                events: vec![Draft::new("note.taken", 1, format!(r#"{{"text":"{}"}}"#, self.label))],
                actor: Actor::human("usr_1"),
                metadata: "{}".to_owned(),
                command: None,
            };
            self.ledger.append(append).await.unwrap();
        }
        self.checkpointer.sign().await.unwrap()
    }

    pub async fn newest(&self) -> StoredCheckpoint {
        self.ledger.store().latest_checkpoint(self.ledger.id()).await.unwrap().unwrap()
    }

    /// All entries of one type.
    pub async fn entries_of(&self, event_type: &str) -> Vec<Entry> {
        let entries = self.ledger.entries(0, 10_000).await.unwrap();
        entries.into_iter().filter(|entry| entry.event_type == event_type).collect()
    }
}

/// Waits until something is so; a test that waits for what never comes fails.
pub async fn eventually<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    for _ in 0..500 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never: {what}");
}
