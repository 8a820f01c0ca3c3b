//! Manifests as bytes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::Value;

use super::*;
use crate::table::CellKind;

/// A manifest about a file with these digests.
pub(crate) fn manifest(export_id: &str, name: &str, digests: &crate::Digests, rows: u64) -> Manifest {
    let text = |text: &str| text.to_owned();
    Manifest {
        approval: Approval {
            approval_id: text("apr_1"),
            approved_by: vec![text("usr_agrees")],
            broken_glass_by: None,
            digest: "0".repeat(64),
            policy_version: 3,
        },
        columns: vec![Column::new("z", CellKind::Decimal), Column::new("a", CellKind::Time)],
        export_id: text(export_id),
        file: FileDescription {
            blake3: digests.blake3_hex(),
            bytes: digests.bytes,
            format: name.rsplit_once('.').unwrap().1.to_owned(),
            name: text(name),
            rows,
            sha256: digests.sha256_hex(),
        },
        format: text(MANIFEST_FORMAT),
        ledger: LedgerPart {
            checkpoint: Some(Checkpoint {
                inclusion: Some(vec!["2".repeat(64), "3".repeat(64)]),
                leaf: Some("1".repeat(64)),
                note: text("x\n42\nAAA\n\n— x AAAA\n"),
                root: "7".repeat(64),
                size: 42,
            }),
            ledger_id: text("main"),
            origin: text("example.com/main"),
            range: PositionRange { first: 0, first_hash: "5".repeat(64), last: 41, last_hash: "6".repeat(64) },
        },
        query: Query {
            filters: BTreeMap::from([(text("status"), text("open")), (text("currency"), text("EUR \"ü\""))]),
            kind: text("transactions"),
        },
        request: Request { by: text("usr_asks"), person: text("usr_asks") },
        signing_key: Some(SigningKey { algorithm: text("ecdsa-p256-sha256"), key_id: text("0a1b2c3d") }),
        software: Software::this(),
        times: Times {
            approved_at: text("2026-11-21T10:00:00.000000Z"),
            generated_at: text("2026-11-21T10:00:01.000000Z"),
            requested_at: text("2026-11-21T09:00:00.000000Z"),
        },
    }
}

fn sample() -> Manifest {
    manifest("exp_1", "exp_1.1.csv", &crate::digest::digests_of_bytes(b"x"), 2)
}

/// The same value with every object's keys in order, whatever order the JSON library keeps them in.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort();
            let field = |key: &&String| format!("{}:{}", Value::String((*key).clone()), sorted(&fields[*key]));
            format!("{{{}}}", keys.iter().map(field).collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(sorted).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

#[test]
fn bytes_have_sorted_keys_no_white_space_and_one_line() {
    for manifest in [sample(), Manifest { signing_key: None, ..sample() }] {
        let bytes = manifest.to_bytes().unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(text, format!("{}\n", sorted(&value)));
        assert_eq!(Manifest::parse(&bytes).unwrap(), manifest);
        assert_eq!(text.lines().count(), 1);
    }
}

#[test]
fn what_is_not_a_manifest_of_this_format_is_refused() {
    let bytes = sample().to_bytes().unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    for other in [
        String::new(),
        "{}".to_owned(),
        text.replace("manifest 1", "manifest 2"),
        text.replace("\"rows\":2", "\"rows\":-2"),
        text.trim_end().trim_end_matches('}').to_owned(),
        " ".repeat(MAX_MANIFEST_BYTES + 1),
    ] {
        assert!(Manifest::parse(other.as_bytes()).is_err());
    }
    // An earlier version said less.
    let less = text.replacen("\"broken_glass_by\":null,", "", 1);
    assert!(less.len() < text.len());
    assert_eq!(Manifest::parse(less.as_bytes()).unwrap(), sample());
    // A later version may say more.
    let more = text.replacen('{', "{\"a_new_field\":1,", 1);
    assert_eq!(Manifest::parse(more.as_bytes()).unwrap(), sample());
}
