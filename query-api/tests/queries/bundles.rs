//! Bundles over HTTP, opened and verified with nothing of ours but the reading of a note.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use daybook_ledger::note::{CheckpointBody, SignedNote};
use daybook_ledger::{Actor, Append, Draft, StreamKey};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tlog_tiles::tlog;

use crate::world::{ADMIN, World};

type Files = BTreeMap<String, Vec<u8>>;

fn unzipped(bytes: &[u8]) -> Files {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut files = Files::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        assert!(files.insert(file.name().unwrap().into_owned(), content).is_none());
    }
    files
}

async fn bundle(world: &World, query: &str) -> Files {
    let answer = world.get(&format!("/v1/ledgers/main/bundle?{query}")).await;
    assert_eq!((answer.status, answer.header("content-type").as_deref()), (200, Some("application/zip")), "{query}");
    assert!(answer.header("content-disposition").unwrap().starts_with("attachment; filename=\"main-"));
    unzipped(&answer.body)
}

fn manifest(files: &Files) -> Value {
    serde_json::from_slice(&files["manifest.json"]).unwrap()
}

fn entries(files: &Files) -> Vec<Value> {
    let text = std::str::from_utf8(&files["entries.ndjson"]).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every file but the manifest is listed with its right digests.
fn assert_listed(files: &Files) {
    let manifest = manifest(files);
    assert_eq!(manifest["format"], "daybook-bundle-v1");
    let listed = manifest["files"].as_array().unwrap();
    assert_eq!(listed.len(), files.len() - 1);
    for line in listed {
        let content = &files[line["path"].as_str().unwrap()];
        assert_eq!(line["bytes"], content.len(), "{line}");
        assert_eq!(line["sha256"], hex(&Sha256::digest(content)), "{line}");
        assert_eq!(line["blake3"], blake3::hash(content).to_hex().as_str(), "{line}");
    }
}

/// Reads hashes of the tree from the tiles of a bundle alone.
struct Tiles<'a>(&'a Files);

impl tlog::HashReader for Tiles<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes.iter().map(|index| self.hash(*index)).collect())
    }
}

impl Tiles<'_> {
    fn hash(&self, index: u64) -> tlog::Hash {
        let (height, place) = tlog::split_stored_hash_index(index);
        let (level, within) = (height / 8, height % 8);
        let first = place << within;
        let start = format!("tile/{level}/{:03}", first / 256);
        let (_, tile) = self.0.iter().find(|(name, _)| name.split(".p/").next() == Some(&start)).unwrap();
        let from = usize::try_from(first % 256).unwrap();
        let mut hashes: Vec<tlog::Hash> = tile[from * 32..(from + (1 << within)) * 32]
            .chunks_exact(32)
            .map(|hash| tlog::Hash(hash.try_into().unwrap()))
            .collect();
        while hashes.len() > 1 {
            hashes = hashes.chunks_exact(2).map(|pair| tlog::node_hash(pair[0], pair[1])).collect();
        }
        hashes[0]
    }
}

/// The tiles give the signed root, and a path to it for each entry.
fn assert_proved(files: &Files) {
    let note = SignedNote::parse(std::str::from_utf8(&files["checkpoint"]).unwrap()).unwrap();
    let body = CheckpointBody::parse(&note.body).unwrap();
    let root = tlog::Hash(body.root.0);
    let tiles = Tiles(files);
    assert_eq!(tlog::tree_hash(body.size, &tiles).unwrap().0, root.0);
    for entry in entries(files) {
        let position = entry["position"].as_u64().unwrap();
        let proof = tlog::prove_record(body.size, position, &tiles).unwrap();
        let leaf = tiles.hash(tlog::stored_hash_index(0, position));
        tlog::check_record(&proof, body.size, root, position, leaf).unwrap();
        let payload = entry["payload"].to_string();
        assert!(!payload.is_empty());
    }
}

#[actix_web::test]
async fn bundle_of_everything_is_whole_and_leads_to_the_signed_root() {
    let world = World::signing().await;
    world.ten().await;
    let size = world.sign().await["size"].as_u64().unwrap();
    let files = bundle(&world, "").await;
    assert_listed(&files);
    assert_proved(&files);
    let listed = manifest(&files);
    assert_eq!(
        (listed["from"].as_u64(), listed["to"].as_u64(), listed["entries"].as_u64()),
        (Some(0), Some(size), Some(size))
    );
    assert_eq!(listed["checkpoint_size"], size);
    assert_eq!(files["entries.ndjson"], world.get("/v1/ledgers/main/entries").await.body);
    assert_eq!(files["checkpoint"], world.get("/v1/ledgers/main/checkpoint").await.body);
    for position in [0, size - 1] {
        let proof = world.get(&format!("/v1/ledgers/main/proofs/{position}.tlog-proof")).await;
        assert_eq!(files[&format!("proofs/{position}.tlog-proof")], proof.body);
    }
    let keys = String::from_utf8(files["keys.txt"].clone()).unwrap();
    let announced = world.get("/v1/ledgers/main/keys").await.json();
    let key = &announced["items"][0];
    let line = format!("{} from={}\n", key["verifier_key"].as_str().unwrap(), key["activated_at"].as_str().unwrap());
    assert!(keys.ends_with(&line) && keys.starts_with('#'), "{keys}");
    assert!(files.contains_key("README.txt"));
}

#[actix_web::test]
async fn bundle_of_a_part_has_the_tiles_of_that_part() {
    let world = World::signing().await;
    for batch in 0..20 {
        let append = Append {
            stream: StreamKey::new("note", format!("n{batch}")).unwrap(),
            expected_version: 0,
            events: (0..200).map(|n| Draft::new("note.taken", 1, format!(r#"{{"n":{n}}}"#))).collect(),
            actor: Actor::system("importer"),
            metadata: "{}".to_owned(),
            command: None,
        };
        world.ledger.append(append).await.unwrap();
    }
    world.sign().await;
    let files = bundle(&world, "from=1000&to=1030").await;
    assert_listed(&files);
    assert_proved(&files);
    let tiles: Vec<&String> = files.keys().filter(|name| name.starts_with("tile/")).collect();
    assert_eq!(tiles, ["tile/0/003", "tile/0/004", "tile/0/015.p/162", "tile/1/000.p/15"]);
    let proofs: Vec<&String> = files.keys().filter(|name| name.starts_with("proofs/")).collect();
    assert_eq!(proofs, ["proofs/1000.tlog-proof", "proofs/1029.tlog-proof"]);
    let files = bundle(&world, "stream_type=note&stream_id=n7&from=1450").await;
    assert_listed(&files);
    assert_proved(&files);
    let positions: Vec<u64> = entries(&files).iter().map(|entry| entry["position"].as_u64().unwrap()).collect();
    assert_eq!(positions, (1450..1600).collect::<Vec<_>>());
    assert_eq!(files.keys().filter(|name| name.starts_with("proofs/")).count(), 150);
    assert_eq!(manifest(&files)["stream"], "note/n7");
    let one = bundle(&world, "from=5&to=6").await;
    assert_eq!(one.keys().filter(|name| name.starts_with("proofs/")).count(), 1);
}

#[actix_web::test]
async fn what_cannot_be_bundled_is_named() {
    let world = World::signing().await;
    world.ten().await;
    let early = world.get("/v1/ledgers/main/bundle").await;
    assert_eq!((early.status, early.json()["code"].as_str()), (404, Some("proof.not_yet_sealed")));
    assert_eq!(early.header("retry-after").as_deref(), Some("10"));
    world.sign().await;
    for (query, status, code) in [
        ("to=13", 404, "proof.not_yet_sealed"),
        ("from=12", 400, "request.invalid"),
        ("from=5&to=5", 400, "request.invalid"),
        ("from=6&to=5", 400, "request.invalid"),
        ("from=18446744073709551615", 400, "request.invalid"),
        ("to=18446744073709551615", 404, "proof.not_yet_sealed"),
        ("from=-1", 400, "request.invalid_parameter"),
        ("stream_id=TX-1", 400, "request.invalid"),
        ("stream_type=transaction", 400, "request.invalid"),
        ("stream_type=transaction&stream_id=", 400, "request.invalid"),
        ("stream_type=transaction&stream_id=nobody", 404, "ledger.stream_not_found"),
        ("stream=transaction/TX-1", 400, "request.unknown_parameter"),
    ] {
        let answer = world.get(&format!("/v1/ledgers/main/bundle?{query}")).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{query}");
    }
    assert_eq!(world.get_as("viewer", "/v1/ledgers/main/bundle").await.status, 403);
    assert_eq!(world.send("HEAD", "/v1/ledgers/main/bundle", &ADMIN).await.status, 200);
}
