//! Checkpoints on every store: SQLite always, PostgreSQL where `DAYBOOK_TEST_POSTGRES_URL` names a server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use daybook_ledger::checkpoint::{CheckpointError, Checkpointer, MemoryError, published_keys};
use daybook_ledger::keys::{Algorithm, KeyRing, KeyRingOptions, SigningKeySource};
use daybook_ledger::note::{CheckpointBody, SignedNote};
use daybook_ledger::sequencer::{Clock, Unobserved};
use daybook_ledger::store::postgres::PostgresStore;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::{Actor, Append, Draft, Ledger, LedgerId, LedgerTree, Store, StoredCheckpoint, StreamKey};
use tokio::sync::watch;

const DAY: i64 = 86_400_000_000;
const NOON: i64 = 1_795_262_400_000_000;

/// A store, a folder of keys, and the time.
struct World {
    store: Arc<dyn Store>,
    folder: tempfile::TempDir,
    now: Arc<AtomicI64>,
}

async fn sqlite() -> Option<World> {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
    Some(World { store, folder, now: Arc::new(AtomicI64::new(NOON)) })
}

async fn postgres() -> Option<World> {
    let Ok(url) = std::env::var("DAYBOOK_TEST_POSTGRES_URL") else {
        eprintln!("skipped: DAYBOOK_TEST_POSTGRES_URL is not set");
        return None;
    };
    let schema = format!("checkpoints_{}", uuid::Uuid::new_v4().simple());
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    sqlx::query(&format!("create schema {schema}")).execute(&pool).await.unwrap();
    let store = PostgresStore::open(&format!("{url}?options=-csearch_path%3D{schema}"), 8).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    Some(World { store: Arc::new(store), folder, now: Arc::new(AtomicI64::new(NOON)) })
}

macro_rules! on_both_stores {
    ($($name:ident)*) => {
        mod on_sqlite { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { if let Some(world) = super::sqlite().await { super::$name(world).await; } }
        )* }
        mod on_postgres { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { if let Some(world) = super::postgres().await { super::$name(world).await; } }
        )* }
    };
}

on_both_stores! {
    checkpoint_covers_the_seal_and_says_the_root
    nothing_is_signed_while_nothing_is_appended
    seals_and_anchors_alone_are_no_reason_to_sign
    request_without_news_is_answered_with_the_standing_checkpoint
    checkpointer_started_again_goes_on
    rotation_is_announced_and_the_old_key_ends_after_the_overlap
    empty_ledger_gets_a_checkpoint_on_request
    store_without_memory_is_held_to_its_own_checkpoint
    damaged_memory_is_refused_and_names_the_file
    memory_of_another_origin_is_refused
    ledger_that_lost_entries_is_refused
    two_writers_with_keys_of_their_own_sign_one_tree
    cadence_signs_answers_requests_and_signs_once_more_at_the_end
    key_that_another_process_retired_signs_no_more
}

impl World {
    fn clock(&self) -> Clock {
        let now = Arc::clone(&self.now);
        Arc::new(move || now.load(Ordering::SeqCst))
    }

    fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    fn pass(&self, micros: i64) {
        self.now.fetch_add(micros, Ordering::SeqCst);
    }

    async fn ledger(&self) -> Ledger {
        Ledger::open(Arc::clone(&self.store), LedgerId::main(), self.clock(), Arc::new(Unobserved)).await.unwrap()
    }

    fn keys_folder(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    fn ring(&self, folder: &Path) -> KeyRing {
        let options = KeyRingOptions {
            folder: folder.to_owned(),
            origin: "example.com/main".to_owned(),
            source: SigningKeySource::Folder,
            ed25519: false,
            overlap_micros: 7 * DAY,
        };
        KeyRing::open(options, self.now()).unwrap()
    }

    async fn try_open(&self, ledger: &Ledger) -> Result<Checkpointer, CheckpointError> {
        let ring = self.ring(&self.keys_folder());
        Checkpointer::open(ledger.clone(), ring, self.clock(), Arc::new(Unobserved)).await
    }

    async fn checkpointer(&self, ledger: &Ledger) -> Checkpointer {
        self.try_open(ledger).await.unwrap()
    }

    fn memory(&self) -> PathBuf {
        self.keys_folder().join("last-checkpoint-main.txt")
    }

    /// A store of the same entries but the last ones, as a backup would be: what is left of a ledger.
    async fn cut_to(&self, ledger: &Ledger, size: u64) -> (tempfile::TempDir, Arc<dyn Store>) {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap());
        for entry in ledger.entries(0, usize::try_from(size).unwrap()).await.unwrap() {
            let mut draft = Draft::new(entry.event_type, entry.schema_version, entry.payload.unwrap());
            draft.event_id = entry.event_id;
            let append = Append {
                stream: entry.stream,
                expected_version: entry.version - 1,
                events: vec![draft],
                actor: entry.actor,
                metadata: entry.metadata,
                command: None,
            };
            store.append(&LedgerId::main(), &[append], entry.recorded_at).await.unwrap()[0].as_ref().unwrap();
        }
        let (cut, kept) = (store.head(&LedgerId::main()).await.unwrap(), ledger.entries(size - 1, 1).await.unwrap());
        assert_eq!(cut.hash, kept[0].hash, "the copy is the same ledger, only shorter");
        (folder, store)
    }
}

async fn record(ledger: &Ledger, stream: &str) {
    let append = Append {
        stream: StreamKey::new("transaction", stream).unwrap(),
        expected_version: 0,
        events: vec![Draft::new("transaction.recorded", 1, "{}".to_owned())],
        actor: Actor::human("usr_1"),
        metadata: "{}".to_owned(),
        command: None,
    };
    ledger.append(append).await.unwrap();
}

async fn types(ledger: &Ledger) -> Vec<String> {
    ledger.entries(0, 1_000).await.unwrap().into_iter().map(|entry| entry.event_type).collect()
}

fn body(checkpoint: &StoredCheckpoint) -> CheckpointBody {
    CheckpointBody::parse(&SignedNote::parse(&checkpoint.note).unwrap().body).unwrap()
}

async fn checkpoint_covers_the_seal_and_says_the_root(world: World) {
    let ledger = world.ledger().await;
    let mut checkpointer = world.checkpointer(&ledger).await;
    record(&ledger, "a").await;
    record(&ledger, "b").await;
    let before = ledger.head().await.unwrap();
    let checkpoint = checkpointer.sign_if_needed().await.unwrap().unwrap();
    assert_eq!(
        types(&ledger).await,
        ["transaction.recorded", "transaction.recorded", "signing_key.activated", "ledger.sealed"]
    );
    let head = ledger.head().await.unwrap();
    assert_eq!((checkpoint.size, checkpoint.root), (4, head.root));
    assert_eq!(body(&checkpoint), CheckpointBody { origin: "example.com/main".to_owned(), size: 4, root: head.root });
    let entries = ledger.entries(2, 2).await.unwrap();
    let seal: serde_json::Value = serde_json::from_str(entries[1].payload.as_ref().unwrap()).unwrap();
    assert_eq!(seal["hash"], entries[0].hash.to_string());
    assert_eq!(seal["root"], LedgerTree::new(ledger.reader().clone()).root_at(3).await.unwrap().to_string());
    assert!(before.size == 2 && entries[1].actor == Actor::system("sequencer") && entries[1].metadata == "{}");
    assert!(world.ring(&world.keys_folder()).vouches_for(&SignedNote::parse(&checkpoint.note).unwrap()));
    assert_eq!(std::fs::read_to_string(world.memory()).unwrap(), checkpoint.note);
    assert_eq!(world.store.latest_checkpoint(&LedgerId::main()).await.unwrap(), Some(checkpoint));
}

async fn nothing_is_signed_while_nothing_is_appended(world: World) {
    let ledger = world.ledger().await;
    let mut checkpointer = world.checkpointer(&ledger).await;
    assert_eq!(checkpointer.sign_if_needed().await.unwrap(), None);
    assert_eq!(ledger.head().await.unwrap().size, 0);
    record(&ledger, "a").await;
    assert!(checkpointer.sign_if_needed().await.unwrap().is_some());
    for _ in 0..3 {
        assert_eq!(checkpointer.sign_if_needed().await.unwrap(), None);
    }
    assert_eq!(ledger.head().await.unwrap().size, 3);
    record(&ledger, "b").await;
    assert_eq!(checkpointer.sign_if_needed().await.unwrap().unwrap().size, 5);
}

async fn seals_and_anchors_alone_are_no_reason_to_sign(world: World) {
    let ledger = world.ledger().await;
    let mut checkpointer = world.checkpointer(&ledger).await;
    record(&ledger, "a").await;
    checkpointer.sign_if_needed().await.unwrap().unwrap();
    let stream = StreamKey::new("ledger", "main").unwrap();
    for version in 1..200 {
        let append = Append {
            stream: stream.clone(),
            expected_version: version,
            events: vec![Draft::new("ledger.anchored", 1, "{}".to_owned())],
            actor: Actor::system("anchor"),
            metadata: "{}".to_owned(),
            command: None,
        };
        ledger.append(append).await.unwrap();
    }
    assert_eq!(checkpointer.sign_if_needed().await.unwrap(), None);
    record(&ledger, "b").await;
    let checkpoint = checkpointer.sign_if_needed().await.unwrap().unwrap();
    assert_eq!(checkpoint.size, ledger.head().await.unwrap().size);
}

async fn request_without_news_is_answered_with_the_standing_checkpoint(world: World) {
    let ledger = world.ledger().await;
    let mut checkpointer = world.checkpointer(&ledger).await;
    record(&ledger, "a").await;
    let first = checkpointer.sign().await.unwrap();
    assert_eq!(checkpointer.sign().await.unwrap(), first);
    world.ring(&world.keys_folder()).rotate(Algorithm::EcdsaP256Sha256, world.now()).unwrap();
    let second = checkpointer.sign().await.unwrap();
    assert!(second.size > first.size, "a new key signs at once where it is asked to");
    assert_eq!(checkpointer.sign().await.unwrap(), second);
}

async fn checkpointer_started_again_goes_on(world: World) {
    let ledger = world.ledger().await;
    for (round, stream) in ["a", "b", "c"].into_iter().enumerate() {
        record(&ledger, stream).await;
        let mut checkpointer = world.checkpointer(&ledger).await;
        let checkpoint = checkpointer.sign_if_needed().await.unwrap().unwrap();
        assert_eq!(checkpoint.size, 3 + 2 * round as u64);
        assert_eq!(checkpointer.status().borrow().last.as_ref().unwrap().size, checkpoint.size);
    }
    assert_eq!(published_keys(&ledger).await.unwrap().len(), 1, "the key is announced once");
}

async fn rotation_is_announced_and_the_old_key_ends_after_the_overlap(world: World) {
    let ledger = world.ledger().await;
    let mut checkpointer = world.checkpointer(&ledger).await;
    let signatures = |checkpoint: &StoredCheckpoint| SignedNote::parse(&checkpoint.note).unwrap().signatures.len();
    record(&ledger, "a").await;
    assert_eq!(signatures(&checkpointer.sign().await.unwrap()), 1);
    world.pass(DAY);
    let new = world.ring(&world.keys_folder()).rotate(Algorithm::EcdsaP256Sha256, world.now()).unwrap();
    record(&ledger, "b").await;
    assert_eq!(signatures(&checkpointer.sign().await.unwrap()), 2);
    world.pass(7 * DAY);
    record(&ledger, "c").await;
    let last = checkpointer.sign().await.unwrap();
    assert_eq!(SignedNote::parse(&last.note).unwrap().signatures[0].key_id, new.key_id);
    assert_eq!(signatures(&last), 1);
    let keys = published_keys(&ledger).await.unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0].retired_at.as_deref(), Some("2026-11-29T12:00:00.000000Z"));
    assert_eq!((keys[1].key_id, keys[1].retired_at.as_deref()), (new.key_id, None));
    let told = types(&ledger).await;
    let retired = told.iter().position(|event| event == "signing_key.retired").unwrap();
    assert_eq!(told[retired + 1], "ledger.sealed", "the end stands before the first checkpoint without the key");
}

async fn empty_ledger_gets_a_checkpoint_on_request(world: World) {
    let ledger = world.ledger().await;
    let checkpoint = world.checkpointer(&ledger).await.sign().await.unwrap();
    assert_eq!(types(&ledger).await, ["signing_key.activated", "ledger.sealed"]);
    assert_eq!(checkpoint.size, 2);
}

async fn store_without_memory_is_held_to_its_own_checkpoint(world: World) {
    let ledger = world.ledger().await;
    record(&ledger, "a").await;
    let mut checkpoint = world.checkpointer(&ledger).await.sign().await.unwrap();
    std::fs::remove_file(world.memory()).unwrap();
    world.checkpointer(&ledger).await;
    checkpoint.size = 90;
    world.store.save_checkpoint(&LedgerId::main(), &checkpoint).await.unwrap();
    let refused = world.try_open(&ledger).await.err().unwrap();
    assert!(matches!(refused, CheckpointError::Refused(_)), "{refused}");
}

async fn damaged_memory_is_refused_and_names_the_file(world: World) {
    let ledger = world.ledger().await;
    record(&ledger, "a").await;
    let mut checkpointer = world.checkpointer(&ledger).await;
    let good = checkpointer.sign().await.unwrap().note;
    let forged = good.replace("\n3\n", "\n2\n");
    for damaged in ["", "garbage\n", &good[..good.len() - 9], &forged] {
        std::fs::write(world.memory(), damaged).unwrap();
        let refused = world.try_open(&ledger).await.err().unwrap();
        assert!(matches!(refused, CheckpointError::Memory(MemoryError::Damaged { .. })), "{refused}");
        assert!(refused.to_string().contains("last-checkpoint-main.txt"), "{refused}");
        record(&ledger, &format!("after {}", damaged.len())).await;
        assert!(checkpointer.sign_if_needed().await.is_err(), "one that runs already signs no more either");
        assert!(checkpointer.status().borrow().is_refused);
    }
    std::fs::write(world.memory(), good).unwrap();
    assert!(checkpointer.sign_if_needed().await.unwrap().is_some());
    assert!(!checkpointer.status().borrow().is_refused);
}

async fn memory_of_another_origin_is_refused(world: World) {
    let ledger = world.ledger().await;
    record(&ledger, "a").await;
    let note = world.checkpointer(&ledger).await.sign().await.unwrap().note;
    std::fs::write(world.memory(), note.replace("example.com", "example.org")).unwrap();
    let refused = world.try_open(&ledger).await.err().unwrap();
    assert!(matches!(refused, CheckpointError::Memory(MemoryError::OtherOrigin { .. })), "{refused}");
}

async fn ledger_that_lost_entries_is_refused(world: World) {
    let ledger = world.ledger().await;
    let mut checkpointer = world.checkpointer(&ledger).await;
    record(&ledger, "a").await;
    checkpointer.sign().await.unwrap();
    record(&ledger, "b").await;
    let last = checkpointer.sign().await.unwrap();
    let (_folder, older) = world.cut_to(&ledger, 3).await;
    let restored = World { store: older, folder: world.folder, now: world.now };
    let ledger = restored.ledger().await;
    let Err(CheckpointError::Refused(refusal)) = restored.try_open(&ledger).await.map(drop) else {
        panic!("an older copy was put back")
    };
    assert_eq!((refusal.remembered_size, refusal.remembered_root, refusal.size), (5, last.root, 3));
    assert!(refusal.to_string().contains(&restored.memory().display().to_string()), "{refusal}");
    for stream in ["x", "y", "z"] {
        record(&ledger, stream).await;
    }
    let Err(CheckpointError::Refused(refusal)) = restored.try_open(&ledger).await.map(drop) else {
        panic!("it went on from there as another ledger")
    };
    assert!(refusal.size > 5 && refusal.root.is_some_and(|root| root != last.root));
}

async fn two_writers_with_keys_of_their_own_sign_one_tree(world: World) {
    // Two processes in all but name: sequencers, key folders and memories of their own.
    let mut writers = Vec::new();
    for name in ["one", "two"] {
        let ledger = world.ledger().await;
        let ring = world.ring(&world.folder.path().join(name));
        let checkpointer = Checkpointer::open(ledger.clone(), ring, world.clock(), Arc::new(Unobserved)).await.unwrap();
        writers.push((name, ledger, checkpointer));
    }
    let tasks: Vec<_> = writers
        .into_iter()
        .map(|(name, ledger, mut checkpointer)| {
            tokio::spawn(async move {
                let mut checkpoints = Vec::new();
                for round in 0..15 {
                    record(&ledger, &format!("{name}-{round}")).await;
                    let before = ledger.head().await.unwrap().size;
                    let checkpoint = checkpointer.sign().await.unwrap();
                    assert!(checkpoint.size > before, "what was recorded before is covered");
                    checkpoints.push(checkpoint);
                }
                (ledger, checkpoints)
            })
        })
        .collect();
    for task in tasks {
        let (ledger, checkpoints) = task.await.unwrap();
        let tree = LedgerTree::new(ledger.reader().clone());
        for checkpoint in checkpoints {
            assert_eq!(tree.root_at(checkpoint.size).await.unwrap(), checkpoint.root);
            let seal = ledger.entries(checkpoint.size - 1, 1).await.unwrap();
            assert_eq!(seal[0].event_type, "ledger.sealed");
        }
        assert_eq!(published_keys(&ledger).await.unwrap().len(), 2);
    }
    for name in ["one", "two"] {
        let note = std::fs::read_to_string(world.folder.path().join(name).join("last-checkpoint-main.txt")).unwrap();
        assert!(world.ring(&world.folder.path().join(name)).vouches_for(&SignedNote::parse(&note).unwrap()));
    }
}

async fn cadence_signs_answers_requests_and_signs_once_more_at_the_end(world: World) {
    let ledger = world.ledger().await;
    let checkpointer = world.checkpointer(&ledger).await;
    let (requests, mut status) = (checkpointer.requests(), checkpointer.status());
    let (stop, stopping) = watch::channel(false);
    record(&ledger, "a").await;
    let running = tokio::spawn(checkpointer.run(Duration::from_millis(20), stopping));
    let signed = status.wait_for(|status| status.last.is_some());
    drop(tokio::time::timeout(Duration::from_secs(20), signed).await.unwrap().unwrap());
    record(&ledger, "b").await;
    let asked = requests.checkpoint().await.unwrap();
    assert!(asked.size >= 5);
    record(&ledger, "c").await;
    stop.send_replace(true);
    running.await.unwrap();
    let head = ledger.head().await.unwrap();
    let latest = world.store.latest_checkpoint(&LedgerId::main()).await.unwrap().unwrap();
    assert_eq!((latest.size, latest.root), (head.size, head.root));
    assert!(matches!(requests.checkpoint().await, Err(CheckpointError::Closed)));
}

async fn key_that_another_process_retired_signs_no_more(world: World) {
    let ledger = world.ledger().await;
    record(&ledger, "a").await;
    let mut checkpointer = world.checkpointer(&ledger).await;
    checkpointer.sign().await.unwrap();
    let key = published_keys(&ledger).await.unwrap().remove(0);
    let payload =
        format!(r#"{{"key_id":"{}","name":"{}","retired_at":"2026-11-21T12:00:00.000000Z"}}"#, key.key_id, key.name);
    let append = Append {
        stream: StreamKey::new("ledger_keys", "main").unwrap(),
        expected_version: 1,
        events: vec![Draft::new("signing_key.retired", 1, payload)],
        actor: Actor::system("sequencer"),
        metadata: "{}".to_owned(),
        command: None,
    };
    ledger.append(append).await.unwrap();
    let refused = checkpointer.sign().await.unwrap_err();
    assert!(matches!(refused, CheckpointError::KeyEnded { .. }), "{refused}");
}
