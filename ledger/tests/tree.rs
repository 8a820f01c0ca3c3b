//! Roots, proofs and tiles from the store, against the crates `ct-merkle` and `tlog_tiles`: other people's code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::as_conversions)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use daybook_ledger::canonical::canonical_bytes;
use daybook_ledger::merkle::extends;
use daybook_ledger::sequencer::{Unobserved, system_clock};
use daybook_ledger::store::postgres::PostgresStore;
use daybook_ledger::store::sqlite::SqliteStore;
use daybook_ledger::tiles::{TILE_WIDTH, complete_tiles};
use daybook_ledger::{Actor, Append, Draft, Hash, Ledger, LedgerId, LedgerTree, Store, StreamKey};
use rusqlite::Connection;
use sha2::Sha256;

type Reference = MemoryBackedTree<Sha256, Vec<u8>>;

struct World {
    ledger: Ledger,
    tree: LedgerTree,
    /// The canonical bytes of every entry.
    leaves: Vec<Vec<u8>>,
}

async fn open(store: Arc<dyn Store>) -> Ledger {
    Ledger::open(store, LedgerId::main(), system_clock(), Arc::new(Unobserved)).await.unwrap()
}

/// Appends until the ledger has `entries`, in commands of uneven length.
async fn fill(ledger: &Ledger, entries: usize) {
    let mut made = 0;
    let mut pending = Vec::new();
    for command in 0.. {
        let length = (1 + (command * 7) % 200).min(entries - made);
        let append = Append {
            stream: StreamKey::new("transaction", format!("TX-{command}")).unwrap(),
            expected_version: 0,
            events: (0..length).map(|n| Draft::new("transaction.recorded", 1, format!(r#"{{"n":{n}}}"#))).collect(),
            actor: Actor::system("test"),
            metadata: "{}".to_owned(),
            command: None,
        };
        pending.push(ledger.submit(append).await.unwrap());
        made += length;
        if made == entries {
            break;
        }
    }
    for pending in pending {
        pending.outcome().await.unwrap();
    }
}

async fn world(store: Arc<dyn Store>, entries: usize) -> World {
    let ledger = open(store).await;
    fill(&ledger, entries).await;
    let mut leaves = Vec::with_capacity(entries);
    while leaves.len() < entries {
        let page = ledger.entries(leaves.len() as u64, 5_000).await.unwrap();
        leaves.extend(page.iter().map(canonical_bytes));
    }
    World { tree: LedgerTree::new(ledger.reader().clone()), ledger, leaves }
}

fn sqlite(folder: &tempfile::TempDir) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(folder.path().join("ledger.db")).unwrap())
}

async fn postgres() -> Option<Arc<dyn Store>> {
    let url = std::env::var("DAYBOOK_TEST_POSTGRES_URL").ok()?;
    let schema = format!("tree_{}", uuid::Uuid::new_v4().simple());
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    sqlx::query(&format!("create schema {schema}")).execute(&pool).await.unwrap();
    Some(Arc::new(PostgresStore::open(&format!("{url}?options=-csearch_path%3D{schema}"), 8).await.unwrap()))
}

fn bytes(path: &[Hash]) -> Vec<u8> {
    path.iter().flat_map(|hash| hash.0).collect()
}

fn theirs(path: &[Hash]) -> Vec<tlog_tiles::tlog::Hash> {
    path.iter().map(|hash| tlog_tiles::tlog::Hash(hash.0)).collect()
}

fn other(root: Hash) -> tlog_tiles::tlog::Hash {
    tlog_tiles::tlog::Hash(root.0)
}

fn root_hash(root: Hash, size: u64) -> RootHash<Sha256> {
    RootHash::new(root.0.into(), size)
}

impl World {
    async fn check_inclusion(&self, position: u64, size: u64, root: Hash) {
        let path = self.tree.inclusion(position, size).await.unwrap();
        let leaf = &self.leaves[position as usize];
        let proof = InclusionProof::<Sha256>::try_from_bytes(bytes(&path)).unwrap();
        root_hash(root, size).verify_inclusion(leaf, position, &proof).unwrap();
        let leaf_hash = tlog_tiles::tlog::record_hash(leaf);
        tlog_tiles::tlog::check_record(&theirs(&path), size, other(root), position, leaf_hash).unwrap();
    }

    async fn check_consistency(&self, old: u64, old_root: Hash, size: u64, root: Hash) {
        let path = self.tree.consistency(old, size).await.unwrap();
        assert!(extends(old, &old_root, size, &root, &path), "{old} to {size}");
        if old == 0 || old == size {
            assert!(path.is_empty());
            return;
        }
        for other in [old_root, path[0], path[path.len() / 2]] {
            let altered = Hash(other.0.map(|byte| !byte));
            assert!(!extends(old, &altered, size, &root, &path) && !extends(old, &old_root, size, &altered, &path));
            let forged: Vec<Hash> = path.iter().map(|hash| if *hash == other { altered } else { *hash }).collect();
            assert!(forged == path || !extends(old, &old_root, size, &root, &forged), "{old} to {size}");
        }
        assert!(!extends(old, &old_root, size, &root, &path[1..]));
        let proof = ConsistencyProof::<Sha256>::try_from_bytes(bytes(&path)).unwrap();
        root_hash(root, size).verify_consistency(&root_hash(old_root, old), &proof).unwrap();
        tlog_tiles::tlog::check_tree(&theirs(&path), size, other(root), old, other(old_root)).unwrap();
    }

    /// The reference's root at each size asked for, ascending.
    fn roots(&self, sizes: impl IntoIterator<Item = u64>) -> Vec<Hash> {
        let (mut reference, mut leaves) = (Reference::new(), self.leaves.iter());
        sizes
            .into_iter()
            .map(|size| {
                while reference.len() < size {
                    reference.push(leaves.next().unwrap().clone());
                }
                Hash::from_slice(reference.root().as_bytes()).unwrap()
            })
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_root_and_proof_up_to_300_entries_agrees_with_other_peoples_code() {
    let folder = tempfile::tempdir().unwrap();
    let world = Arc::new(world(sqlite(&folder), 600).await);
    let roots = Arc::new(world.roots(0..=300));
    let tasks = [0, 1].map(|start| {
        let (world, roots) = (Arc::clone(&world), Arc::clone(&roots));
        tokio::spawn(async move {
            for size in (start..=300_u64).step_by(2) {
                let root = roots[size as usize];
                assert_eq!(world.tree.root_at(size).await.unwrap(), root, "{size}");
                for position in 0..size {
                    world.check_inclusion(position, size, root).await;
                }
                for old in 0..=size {
                    world.check_consistency(old, roots[old as usize], size, root).await;
                }
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
}

async fn proofs_at_growing_sizes(store: Arc<dyn Store>) {
    let ledger = open(store).await;
    let tree = LedgerTree::new(ledger.reader().clone());
    let mut reference = Reference::new();
    for size in [1_u64, 2, 255, 256, 257, 511, 512, 513, 700] {
        let before = reference.len();
        for n in before..size {
            let draft = Draft::new("transaction.recorded", 1, format!(r#"{{"n":{n}}}"#));
            let append = Append {
                stream: StreamKey::new("transaction", "one").unwrap(),
                expected_version: n,
                events: vec![draft],
                actor: Actor::system("test"),
                metadata: "{}".to_owned(),
                command: None,
            };
            ledger.append(append).await.unwrap();
        }
        for entry in ledger.entries(before, 1_000).await.unwrap() {
            reference.push(canonical_bytes(&entry));
        }
        let root = Hash::from_slice(reference.root().as_bytes()).unwrap();
        assert_eq!(tree.root_at(size).await.unwrap(), root);
        assert_eq!(ledger.head().await.unwrap().root, root);
        for position in [0, size / 3, size - 1] {
            let path = tree.inclusion(position, size).await.unwrap();
            let proof = InclusionProof::<Sha256>::try_from_bytes(bytes(&path)).unwrap();
            let leaf = reference.get(position as usize).unwrap();
            reference.root().verify_inclusion(leaf, position, &proof).unwrap();
        }
    }
    assert!(tree.root_at(701).await.is_err());
    assert!(tree.inclusion(700, 700).await.is_err());
    assert!(tree.consistency(3, 2).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proofs_hold_at_every_edge_of_a_tile_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    proofs_at_growing_sizes(sqlite(&folder)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proofs_hold_at_every_edge_of_a_tile_on_postgres() {
    if let Some(store) = postgres().await {
        proofs_at_growing_sizes(store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proofs_from_a_tree_of_a_million_entries_hold_and_are_short() {
    let folder = tempfile::tempdir().unwrap();
    let world = world(sqlite(&folder), 1_000_000).await;
    let sizes = [65_535, 65_536, 65_537, 131_072, 262_400, 524_288, 777_777, 999_999, 1_000_000];
    let roots = world.roots(sizes);
    for (index, (size, root)) in sizes.into_iter().zip(&roots).enumerate() {
        assert_eq!(world.tree.root_at(size).await.unwrap(), *root, "{size}");
        for position in [0, 1, 255, 256, 65_534, size / 2, size - 256, size - 1] {
            let begun = Instant::now();
            world.check_inclusion(position, size, *root).await;
            assert!(begun.elapsed().as_millis() < 500, "a proof took {:?}", begun.elapsed());
        }
        for (old, old_root) in sizes.into_iter().zip(&roots).take(index + 1) {
            world.check_consistency(old, *old_root, size, *root).await;
        }
    }
    let store = world.ledger.store();
    let id = LedgerId::main();
    assert_eq!(store.tile_roots(&id, 0, 0, 10_000).await.unwrap().len() as u64, complete_tiles(1_000_000, 0));
    assert_eq!(store.tile_roots(&id, 1, 0, 10_000).await.unwrap().len(), 15);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tiles_and_bundles_are_served_as_far_as_the_ledger_reaches() {
    let folder = tempfile::tempdir().unwrap();
    let world = world(sqlite(&folder), 300).await;
    let hashes: Vec<u8> = world.leaves.iter().flat_map(|leaf| tlog_tiles::tlog::record_hash(leaf).0).collect();
    assert_eq!(world.tree.tile(0, 0, TILE_WIDTH).await.unwrap().unwrap(), hashes[..256 * 32]);
    assert_eq!(world.tree.tile(0, 0, 3).await.unwrap().unwrap(), hashes[..96]);
    assert_eq!(world.tree.tile(0, 1, 44).await.unwrap().unwrap(), hashes[256 * 32..]);
    for (level, index, width) in
        [(0, 1, 45), (0, 2, 1), (1, 0, 2), (2, 0, 1), (0, u64::MAX, 1), (8, 0, 1), (0, 0, 0), (0, 0, 257)]
    {
        assert!(world.tree.tile(level, index, width).await.unwrap().is_none(), "{level}/{index}.p/{width}");
    }
    assert_eq!(world.tree.tile(1, 0, 1).await.unwrap().unwrap(), world.tree.root_at(256).await.unwrap().0);
    let bundle = world.tree.entry_bundle(1, 44).await.unwrap().unwrap();
    let expected: Vec<u8> = world.leaves[256..]
        .iter()
        .flat_map(|leaf| [&u16::try_from(leaf.len()).unwrap().to_be_bytes()[..], leaf].concat())
        .collect();
    assert_eq!(bundle, expected);
    assert!(world.tree.entry_bundle(1, 45).await.unwrap().is_none());
    assert!(world.tree.entry_bundle(u64::MAX, 1).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_from_before_there_were_tiles_gets_them_when_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let world = world(sqlite(&folder), 3_000).await;
    let root = world.ledger.head().await.unwrap().root;
    let expected = world.ledger.store().tiles(&LedgerId::main(), 0, 0, 100).await.unwrap();
    assert_eq!(expected.len(), 11);
    drop(world);
    let path = folder.path().join("ledger.db");
    let connection = Connection::open(&path).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    connection.execute("delete from ledger_tiles", []).unwrap();
    drop(connection);
    let deadline = Instant::now() + std::time::Duration::from_secs(10);
    let store = loop {
        // The writer thread of the first store ends on its own time.
        match SqliteStore::open(&path) {
            Ok(store) => break store,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::task::yield_now().await;
    };
    let ledger = open(Arc::new(store)).await;
    assert_eq!(ledger.store().tiles(&LedgerId::main(), 0, 0, 100).await.unwrap(), expected);
    assert_eq!(LedgerTree::new(ledger.reader().clone()).root_at(3_000).await.unwrap(), root);
}

/// The Python that `make test` installs pymerkle into, else the machine's.
fn python() -> Command {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let installed = repository.join("target/python/bin/python");
    let mut command = Command::new(if installed.exists() { installed } else { "python3".into() });
    command.arg(repository.join("tests/independent/merkle_tree.py"));
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roots_and_proofs_are_those_of_pymerkle() {
    let folder = tempfile::tempdir().unwrap();
    let world = world(sqlite(&folder), 600).await;
    let sizes: Vec<u64> = (0..=300).collect();
    let pairs: Vec<(u64, u64)> = (1..=300_u64)
        .flat_map(|size| {
            (0..size).filter(move |position| size <= 40 || position % 37 == size % 37).map(move |p| (p, size))
        })
        .collect();
    let mut roots = Vec::new();
    for size in &sizes {
        roots.push(world.tree.root_at(*size).await.unwrap().to_string());
    }
    let grown: Vec<_> = pairs
        .iter()
        .filter(|(old, _)| *old > 0)
        .map(|(old, size)| (*old, &roots[*old as usize], *size, &roots[*size as usize]))
        .collect();
    let asked = serde_json::json!({
        "leaves": world.leaves[..300].iter().map(hex::encode).collect::<Vec<_>>(),
        "sizes": sizes, "inclusion": pairs, "consistency": grown,
    });
    let mut running = python().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = running.stdin.take().unwrap();
    // A Python that has no pymerkle ends without reading.
    let written = input.write_all(asked.to_string().as_bytes());
    drop(input);
    let output = running.wait_with_output().unwrap();
    if output.status.code() == Some(3) {
        eprintln!("skipped: pymerkle is not installed");
        return;
    }
    written.unwrap();
    assert!(output.status.success());
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let hashes = |list: &serde_json::Value| -> Vec<String> { serde_json::from_value(list.clone()).unwrap() };
    assert_eq!(roots, hashes(&answer["roots"]));
    for ((position, size), path) in pairs.into_iter().zip(answer["inclusion"].as_array().unwrap()) {
        let ours: Vec<String> =
            world.tree.inclusion(position, size).await.unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(ours, hashes(path), "{position} in {size}");
    }
    assert_eq!(answer["consistent"], grown.len());
}
