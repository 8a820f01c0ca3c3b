//! The published test vectors: canonical bytes, hashes, leaves and roots, to the byte.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use daybook_ledger::canonical::{canonical_bytes, digest, genesis};
use daybook_ledger::merkle::{Frontier, leaf};
use daybook_ledger::{Actor, Entry, StreamKey};
use serde_json::Value;

#[test]
fn canonical_bytes_hashes_leaves_and_roots_are_the_published_ones() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ledger-vectors.json")).unwrap();
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let mut checked = 0;
    for ledger in vectors["ledgers"].as_array().unwrap() {
        let ledger_id = ledger["ledger_id"].as_str().unwrap().parse().unwrap();
        let mut tree = Frontier::default();
        assert_eq!(genesis(&ledger_id).to_string(), ledger["genesis"]);
        assert_eq!(tree.root().to_string(), ledger["empty_root"]);
        for vector in ledger["entries"].as_array().unwrap() {
            let text = |name: &str| vector[name].as_str().unwrap().to_owned();
            let number = |name: &str| vector[name].as_u64().unwrap();
            let payload = text("payload");
            let entry = Entry {
                ledger_id: text("ledger_id").parse().unwrap(),
                position: number("position"),
                event_id: text("event_id").parse().unwrap(),
                stream: StreamKey::new(text("stream_type"), text("stream_id")).unwrap(),
                version: number("version"),
                event_type: text("event_type"),
                schema_version: number("schema_version"),
                recorded_at: vector["recorded_at"].as_i64().unwrap(),
                actor: Actor { kind: text("actor_kind").parse().unwrap(), id: text("actor_id") },
                metadata: text("metadata"),
                payload_digest: digest(payload.as_bytes()),
                payload: Some(payload),
                previous_hash: text("previous_hash").parse().unwrap(),
                hash: text("hash").parse().unwrap(),
            };
            let canonical = canonical_bytes(&entry);
            assert_eq!(entry.payload_digest.to_string(), vector["payload_digest"]);
            assert_eq!(hex::encode(&canonical), vector["canonical_hex"]);
            assert_eq!(digest(&canonical), entry.hash);
            assert_eq!(leaf(&canonical).to_string(), vector["merkle_leaf"]);
            tree.push(leaf(&canonical));
            assert_eq!(tree.root().to_string(), vector["merkle_root_after"]);
            assert_eq!(Frontier::from_bytes(tree.size(), &tree.to_bytes()).unwrap(), tree);
            checked += 1;
        }
    }
    assert!(checked >= 5, "the vectors file holds at least five entries");
}
