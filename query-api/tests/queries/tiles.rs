//! Tiles over HTTP against the crate `tlog_tiles`: other people's idea of the paths and of what is in them.

use daybook_ledger::{Actor, Append, Draft, StreamKey};
use tlog_tiles::tlog;

use crate::world::{ADMIN, World};

/// A world with `entries` entries of one stream.
async fn filled(entries: u64) -> World {
    let world = World::new().await;
    let (mut made, mut batch) = (0, 0);
    while made < entries {
        let count = (entries - made).min(200);
        let append = Append {
            stream: StreamKey::new("note", format!("n{batch}")).unwrap(),
            expected_version: 0,
            events: (0..count).map(|n| Draft::new("note.taken", 1, format!(r#"{{"n":{n}}}"#))).collect(),
            actor: Actor::system("importer"),
            metadata: "{}".to_owned(),
            command: None,
        };
        world.ledger.append(append).await.unwrap();
        made += count;
        batch += 1;
    }
    world
}

/// The entries of a bundle of canonical bytes.
fn unpacked(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (entry, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        entries.push(entry.to_vec());
        bytes = rest;
    }
    entries
}

#[actix_web::test]
async fn tiles_hold_the_hashes_of_the_entries_and_lead_to_the_root() {
    let world = filled(600).await;
    let mut leaves = Vec::new();
    for path in ["000", "001", "002.p/88"] {
        let tile = world.get(&format!("/v1/ledgers/main/tile/0/{path}")).await;
        assert_eq!((tile.status, tile.header("content-type").as_deref()), (200, Some("application/octet-stream")));
        let entries = unpacked(&world.get(&format!("/v1/ledgers/main/tile/entries/{path}")).await.body);
        let hashes: Vec<u8> = entries.iter().flat_map(|entry| tlog::record_hash(entry).0).collect();
        assert_eq!(tile.body, hashes, "{path}");
        leaves.extend(entries);
    }
    assert_eq!(leaves.len(), 600);
    let stored = world.ledger.entries(0, 600).await.unwrap();
    for (leaf, entry) in leaves.iter().zip(&stored) {
        assert_eq!(blake3::hash(leaf).as_bytes(), &entry.hash.0);
    }
    let mut reference = ct_merkle::mem_backed_tree::MemoryBackedTree::<sha2::Sha256, Vec<u8>>::new();
    leaves[..256].iter().for_each(|leaf| reference.push(leaf.clone()));
    let upper = world.get("/v1/ledgers/main/tile/1/000.p/2").await.body;
    assert_eq!(&upper[..32], reference.root().as_bytes().as_slice());
    // A narrower tile than there could be is a tile of an earlier tree.
    assert_eq!(world.get("/v1/ledgers/main/tile/1/000.p/1").await.body, upper[..32]);
}

#[actix_web::test]
async fn complete_tiles_may_be_kept_for_ever() {
    let world = filled(300).await;
    for (path, caching) in [
        ("tile/0/000", "public, max-age=31536000, immutable"),
        ("tile/entries/000", "private, max-age=31536000, immutable"),
        ("tile/0/001.p/44", "private, max-age=3600"),
        ("tile/entries/001.p/1", "private, max-age=3600"),
    ] {
        for prefix in ["/v1/ledgers/main", "/ledgers/main"] {
            let answer = world.get(&format!("{prefix}/{path}")).await;
            assert_eq!((answer.status, answer.header("cache-control").as_deref()), (200, Some(caching)), "{path}");
        }
        let head = world.send("HEAD", &format!("/v1/ledgers/main/{path}"), &ADMIN).await;
        assert_eq!((head.status, head.body.len(), head.header("cache-control").as_deref()), (200, 0, Some(caching)));
    }
}

#[actix_web::test]
async fn paths_that_are_no_tiles_are_named_as_such() {
    let world = filled(300).await;
    for path in [
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/044",
        "tile/0/000.p/x",
        "tile/0/000.p/1/1",
        "tile/0/001/000",
        "tile/0/X001/000",
        "tile/0/x001%2F000",
        "tile/0/-01",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/00/000",
        "tile/64/000",
        "tile/256/000",
        "tile/+0/000",
        "tile/-1/000",
        "tile/a/000",
        "tile/0/%00",
        "tile/0/..%2f..",
        "tile/entries/0",
        "tile/entries/x000/000",
        "tile/entries/000.p/300",
        "tile/0/%EF%BC%90%EF%BC%90%EF%BC%90",
        "tile/0/000%20",
        "tile/entries/1e2",
    ] {
        let answer = world.get(&format!("/v1/ledgers/main/{path}")).await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &"tile.invalid_path".into()), "{path}");
    }
    for path in [
        "tile/0/001",
        "tile/0/001.p/45",
        "tile/0/002.p/1",
        "tile/1/000",
        "tile/1/000.p/2",
        "tile/1/001.p/1",
        "tile/2/000.p/1",
        "tile/7/000.p/1",
        "tile/8/000",
        "tile/63/000.p/1",
        "tile/entries/001",
        "tile/entries/002.p/1",
        "tile/0/x018/x446/x744/x073/x709/x551/615",
        "tile/entries/x018/x446/x744/x073/x709/x551/615",
        "tile/7/x018/x446/x744/x073/x709/x551/615.p/1",
        "tile/0/x036/x028/x797/x018/x963/968",
    ] {
        let answer = world.get(&format!("/v1/ledgers/main/{path}")).await;
        assert_eq!((answer.status, &answer.json()["code"]), (404, &"tile.not_found".into()), "{path}");
    }
    assert_eq!(world.get("/v1/ledgers/other/tile/0/000").await.json()["code"], "ledger.not_found");
    assert_eq!(world.get("/v1/ledgers/main/tile/0").await.status, 404);
    assert_eq!(world.get("/v1/ledgers/main/tile/0/000?width=3").await.status, 400);
    assert_eq!(world.send("DELETE", "/v1/ledgers/main/tile/0/000", &ADMIN).await.status, 405);
}

#[actix_web::test]
async fn viewers_see_hashes_and_no_entries() {
    let world = filled(3).await;
    assert_eq!(world.get_as("viewer", "/v1/ledgers/main/tile/0/000.p/3").await.status, 200);
    let answer = world.get_as("viewer", "/v1/ledgers/main/tile/entries/000.p/3").await;
    assert_eq!((answer.status, &answer.json()["missing_permission"]), (403, &"ledger:read".into()));
}
