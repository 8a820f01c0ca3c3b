//! A ledger that is attacked: grown in a real store, with a checkpoint and a memory kept before the attack.

pub mod page;
pub mod rows;
pub mod stores;
pub mod table;

use std::process::Command;

use daybook_ledger::store::StoredCheckpoint;
use daybook_ledger::{Actor, Append, Draft, Store, StreamKey};
use rows::Rows;
use serde_json::Value as Json;
use stores::{Kind, Owned};
use table::{Attack, Trial};

use crate::common::{START, append};
use crate::signing::LogKey;
use crate::workbench::ORIGIN;

/// Size of the first checkpoint.
pub const FIRST: u64 = 1_001;
/// Size of the checkpoint that was kept.
pub const KEPT: u64 = 1_500;
/// Number of entries; those from [`KEPT`] on are covered by no checkpoint.
pub const SIZE: u64 = 1_560;
/// The first entry, one in the middle, and the last that the kept checkpoint covers, which is its seal.
pub const COVERED: [u64; 3] = [0, 700, KEPT - 1];

/// What the auditor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Has {
    /// The checkpoint in a file, and the keys.
    Checkpoint,
    /// What `remember` kept, and the keys.
    Memory,
    /// The keys.
    Keys,
}

pub struct Scene {
    folder: tempfile::TempDir,
    owned: Owned,
    pub rows: Rows,
    pub key: LogKey,
}

impl Scene {
    /// None where the store is not there.
    pub async fn new(kind: Kind) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (owned, store) = Owned::new(kind, folder.path()).await?;
        let key = LogKey::p256(42);
        grow(&*store, 0, FIRST - 1).await;
        checkpoint(&*store, &key, 0).await;
        grow(&*store, FIRST, KEPT - FIRST - 1).await;
        let kept = checkpoint(&*store, &key, 1).await;
        grow(&*store, KEPT, SIZE - KEPT).await;
        drop(store);
        let rows = owned.take(folder.path()).await;
        assert_eq!((rows.entries.len(), rows.tiles.len(), rows.checkpoints.len()), (SIZE as usize, 6, 2));
        let scene = Self { folder, owned, rows, key };
        scene.write("kept.txt", &kept);
        scene.write("keys.txt", &scene.key.verifier_key(ORIGIN));
        scene.owned.put(&scene.rows).await;
        let source = scene.owned.source();
        let arguments =
            ["remember", &source, "--keys", &scene.file("keys.txt"), "--memory", &scene.file("memory"), "--json"];
        let (code, evidence) = scene.run(&arguments);
        assert_eq!((code, evidence["kept"][0]["size"].as_u64()), (0, Some(KEPT)), "{evidence:#}");
        Some(scene)
    }

    pub fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.file(name), text).unwrap();
        self.file(name)
    }

    /// The rows after an attack are in the store.
    pub async fn attacked(&self, attack: &Attack, position: u64) -> Rows {
        let mut rows = self.rows.clone();
        rows.attack(attack.name, position as usize, &self.key);
        self.owned.put(&rows).await;
        rows
    }

    pub async fn put(&self, rows: &Rows) {
        self.owned.put(rows).await;
    }

    /// What the places of an attack on this ledger come to.
    pub fn trial(&self, position: u64, left: u64, has: Has) -> Trial {
        let seal = [FIRST - 1, KEPT - 1].into_iter().find(|seal| *seal > position);
        let remembered = has == Has::Memory;
        Trial { entry: position, seal, covered: KEPT, before: KEPT, left, presented: FIRST, remembered }
    }

    /// Runs `verify` with what the auditor has.
    pub fn verify(&self, has: Has) -> (i32, Json) {
        self.verify_with(has, &[])
    }

    pub fn verify_with(&self, has: Has, more: &[&str]) -> (i32, Json) {
        let (kept, keys) = (self.file("kept.txt"), self.file("keys.txt"));
        let memory = self.file(if has == Has::Memory { "memory" } else { "no-memory" });
        let source = self.owned.source();
        let mut arguments = vec!["verify", &source, "--json", "--max-findings", "2000", "--memory", &memory];
        if has == Has::Checkpoint {
            arguments.extend(["--checkpoint", &kept]);
        }
        arguments.extend(["--keys", &keys]);
        arguments.extend(more);
        self.run(&arguments)
    }

    pub fn run(&self, arguments: &[&str]) -> (i32, Json) {
        let output = Command::new(env!("CARGO_BIN_EXE_daybook-auditor"))
            .args(arguments)
            .env("HOME", self.folder.path().join("home"))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap(), serde_json::from_str(&text).unwrap())
    }

    /// Where a file of the store can be copied to under another name.
    pub fn copy_of_file(&self, name: &str) -> String {
        std::fs::copy(self.owned.source(), self.file(name)).unwrap();
        self.file(name)
    }
}

async fn grow(store: &dyn Store, from: u64, count: u64) {
    let entry = |number: u64| {
        let stream = format!("TX-{number}");
        Append { command: None, ..append(number as usize, "transaction", &stream, 0, 1) }
    };
    let batch: Vec<Append> = (from..from + count).map(entry).collect();
    for part in batch.chunks(500) {
        let outcomes = store.append(&"main".parse().unwrap(), part, START + from as i64).await.unwrap();
        outcomes.into_iter().for_each(|outcome| drop(outcome.unwrap()));
    }
}

/// Seals, signs and stores a checkpoint; the note.
async fn checkpoint(store: &dyn Store, key: &LogKey, seals: u64) -> String {
    let ledger = "main".parse().unwrap();
    let seal = Append {
        stream: StreamKey::new("ledger", "main").unwrap(),
        expected_version: seals,
        events: vec![Draft::seal()],
        actor: Actor::system("sequencer"),
        metadata: "{}".to_owned(),
        command: None,
    };
    let outcomes = store.append(&ledger, &[seal], START + 1_000_000).await.unwrap();
    outcomes.into_iter().for_each(|outcome| drop(outcome.unwrap()));
    let head = store.head(&ledger).await.unwrap();
    let note = key.checkpoint(ORIGIN, head.size, head.root.0);
    let stored = StoredCheckpoint { size: head.size, root: head.root, note: note.clone(), signed_at: START };
    store.save_checkpoint(&ledger, &stored).await.unwrap();
    note
}
