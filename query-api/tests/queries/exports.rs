//! Exports: lists, details, and the files with their ranges.

use daybook_exports::digests_of_bytes;
use daybook_ledger::{Actor, Append, Draft, StreamKey};
use serde_json::{Value, json};

use crate::decisions::developer;
use crate::world::{ADMIN, World};

const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub const NOON: &str = "2026-11-21T12:00:00.000000Z";
pub const ROWS: &[u8] = b"transaction_id,amount\nTX-1,10.00\n";

/// Records an event of an export, the `version`th of its stream.
pub async fn record(world: &World, id: &str, version: u64, name: &str, payload: Value) {
    let append = Append {
        stream: StreamKey::new("export", id).unwrap(),
        expected_version: version - 1,
        events: vec![Draft::new(format!("export.{name}"), 1, payload.to_string())],
        actor: Actor::human("usr_1"),
        metadata: "{}".to_owned(),
        command: None,
    };
    world.ledger.append(append).await.unwrap();
    world.catch_up().await;
}

fn sha256() -> String {
    digests_of_bytes(ROWS).sha256_hex()
}

pub fn requested(id: &str, kind: &str, by: &str) -> Value {
    json!({
        "export_id": id, "kind": kind, "format": "csv", "filters": {"status": "pending"}, "requested_by": by,
        "person": by, "approval_id": "apr_1", "deliver_to": ["archive"], "digest": DIGEST,
    })
}

pub fn generated(id: &str, bytes: usize) -> Value {
    json!({
        "attempt": 1, "file": format!("{id}.1.csv"), "bytes": bytes, "rows": 1,
        "blake3": digests_of_bytes(ROWS).blake3_hex(), "sha256": sha256(),
        "manifest": {"file": format!("{id}.1.manifest.json"), "blake3": DIGEST, "sha256": DIGEST},
        "signature": {"algorithm": "ecdsa-p256-sha256", "key_id": "0a1b2c3d", "file": format!("{id}.1.sig"), "value": "MEUC"},
        "range": {"first": 0, "last": 9, "first_hash": DIGEST, "last_hash": DIGEST},
        "at": NOON,
    })
}

/// `exp_1` with its files, `exp_2` of users that waits.
pub async fn two() -> World {
    let world = World::deciding().await;
    let approved = json!({"approval_id": "apr_1", "execution_id": "exp_1", "policy_version": 0, "at": NOON});
    record(&world, "exp_1", 1, "requested", requested("exp_1", "transactions", &developer("analyst@example.com")))
        .await;
    record(&world, "exp_1", 2, "approved", approved).await;
    record(&world, "exp_1", 3, "generation_started", json!({"attempt": 1, "fence": 1, "at": NOON})).await;
    record(&world, "exp_1", 4, "generated", generated("exp_1", ROWS.len())).await;
    let scheduled = json!({"delivery_id": "dlv_1", "destination": "archive", "why": "first"});
    record(&world, "exp_1", 5, "delivery_scheduled", scheduled).await;
    let dead = json!({"delivery_id": "dlv_1", "destination": "archive", "attempt": 1, "outcome": "dead", "at": NOON});
    record(&world, "exp_1", 6, "delivery_attempted", dead).await;
    record(&world, "exp_2", 1, "requested", requested("exp_2", "users", "usr_2")).await;
    let files = world.state.exports.clone().unwrap();
    files.write("exp_1.1.csv", ROWS).unwrap();
    files.write("exp_1.1.manifest.json", b"{}").unwrap();
    files.write("exp_1.1.sig", &[0x30, 0x45]).unwrap();
    world
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn lists_are_bare_at_the_root_and_paged_under_v1() {
    let world = two().await;
    assert_eq!(ids(&world.get("/exports/").await.json()), ["exp_2", "exp_1"]);
    let page = world.get("/v1/exports?count=true").await.json();
    assert_eq!((ids(&page["items"]), &page["total"]), (vec!["exp_2", "exp_1"], &json!(2)));
    for (query, expected) in [
        ("export_type=users", vec!["exp_2"]),
        ("kind=transactions&format=csv", vec!["exp_1"]),
        ("status=requested", vec!["exp_2"]),
        ("delivery_status=failed", vec!["exp_1"]),
        ("verification_status=unverified&start_date=2026-11-21&end_date=2026-11-21", vec!["exp_2", "exp_1"]),
        ("requested_by=usr_2", vec!["exp_2"]),
        ("approval_id=apr_2", vec![]),
    ] {
        let list = world.get(&format!("/exports?{query}")).await;
        assert_eq!(list.status, 200, "{query}: {}", list.text());
        assert_eq!(ids(&list.json()), expected, "{query}");
    }
    for bad in ["kind=users&export_type=users", "status=done", "start=x", "hash=1"] {
        assert_eq!(world.get(&format!("/v1/exports?{bad}")).await.status, 400, "{bad}");
    }
    for field in [
        "id",
        "export_type",
        "file_path",
        "hash",
        "signature",
        "requested_by",
        "delivered_to",
        "delivery_method",
        "delivery_status",
        "verification_status",
        "created_at",
        "delivered_at",
        "verified_at",
        "meta",
    ] {
        assert!(page["items"][0].get(field).is_some(), "{field}");
    }
}

#[actix_web::test]
async fn detail_has_digests_deliveries_and_dead_letters() {
    let world = two().await;
    let answer = world.get("/v1/exports/exp_1").await;
    assert_eq!((answer.status, answer.header("etag").as_deref()), (200, Some("\"6\"")));
    let export = answer.json();
    assert_eq!(
        (&export["status"], &export["rows"], &export["hash"]),
        (&json!("generated"), &json!(1), &json!(sha256()))
    );
    assert_eq!((&export["dead_letters"], &export["deliveries"][0]["status"]), (&json!(1), &json!("dead")));
    assert_eq!(export["deliveries"][0]["history"][0]["outcome"], "dead");
    assert_eq!(export["generated"]["manifest"]["file"], "exp_1.1.manifest.json");
    assert_eq!(export["links"]["file"], "/v1/exports/exp_1/file");
    assert_eq!(export["progress"], Value::Null);
    let waiting = world.get("/v1/exports/exp_2").await.json();
    assert_eq!((&waiting["links"]["file"], &waiting["file_path"]), (&Value::Null, &Value::Null));
    assert_eq!(world.get("/v1/exports/exp_x").await.json()["code"], "export.not_found");
}

#[actix_web::test]
async fn whoever_may_ask_for_exports_sees_their_own_and_no_other() {
    let world = two().await;
    let analyst = [("x-user-email", "analyst@example.com"), ("x-user-role", "analyst")];
    let list = world.send("GET", "/exports", &analyst).await.json();
    assert_eq!(ids(&list), ["exp_1"]);
    assert_eq!(world.send("GET", "/v1/exports/exp_1/file", &analyst).await.status, 200);
    for path in ["/v1/exports/exp_2", "/v1/exports/exp_2/file"] {
        assert_eq!(world.send("GET", path, &analyst).await.json()["code"], "export.not_found", "{path}");
    }
    assert_eq!(world.get_as("viewer", "/v1/exports").await.json()["missing_permission"], "export:request");
}

#[actix_web::test]
async fn file_comes_whole_or_in_ranges_with_its_digest() {
    let world = two().await;
    let whole = world.get("/v1/exports/exp_1/file").await;
    assert_eq!((whole.status, whole.body.as_slice()), (200, ROWS));
    assert_eq!(whole.header("x-content-sha256"), Some(sha256()));
    assert_eq!(whole.header("x-content-signature").as_deref(), Some("MEUC"));
    assert_eq!(whole.header("content-disposition").as_deref(), Some("attachment; filename=\"exp_1.1.csv\""));
    assert_eq!(whole.header("accept-ranges").as_deref(), Some("bytes"));
    assert!(whole.header("content-type").unwrap().starts_with("text/csv"));
    let tag = whole.header("etag").unwrap();
    let length = ROWS.len();
    for (range, if_range, status, expected) in [
        ("bytes=0-13", None, 206, &ROWS[..14]),
        ("bytes=22-", None, 206, &ROWS[22..]),
        ("bytes=-6", None, 206, &ROWS[length - 6..]),
        ("bytes=0-99999", Some(tag.as_str()), 206, ROWS),
        ("bytes=0-13", Some("\"other\""), 200, ROWS),
        ("bytes=0-1,4-5", None, 200, ROWS),
    ] {
        let mut headers = ADMIN.to_vec();
        headers.push(("range", range));
        headers.extend(if_range.map(|tag| ("if-range", tag)));
        let part = world.send("GET", "/v1/exports/exp_1/file", &headers).await;
        assert_eq!((part.status, part.body.as_slice()), (status, expected), "{range}");
        assert_eq!(part.header("content-range").is_some(), status == 206, "{range}");
        assert_eq!(part.header("x-content-sha256"), Some(sha256()));
    }
    let headers = [ADMIN[0], ADMIN[1], ("range", "bytes=5000-")];
    let beyond = world.send("GET", "/v1/exports/exp_1/file", &headers).await;
    assert_eq!((beyond.status, &beyond.json()["length"]), (416, &json!(length)));
    let headers = [ADMIN[0], ADMIN[1], ("range", "bytes=0-0")];
    let first = world.send("GET", "/v1/exports/exp_1/file", &headers).await;
    assert_eq!(first.header("content-range"), Some(format!("bytes 0-0/{length}")));

    let manifest = world.get("/v1/exports/exp_1/manifest").await;
    assert_eq!((manifest.status, manifest.body.as_slice()), (200, b"{}".as_slice()));
    assert_eq!(world.get("/v1/exports/exp_1/signature").await.body, [0x30, 0x45]);
}

#[actix_web::test]
async fn file_that_is_not_there_is_said_to_be_so() {
    let world = two().await;
    for name in ["file", "manifest", "signature"] {
        let waiting = world.get(&format!("/v1/exports/exp_2/{name}")).await;
        assert_eq!((waiting.status, &waiting.json()["code"]), (409, &json!("export.no_file")), "{name}");
    }
    // Changed behind the back of the ledger, in its length or not.
    let files = world.state.exports.clone().unwrap();
    let flipped = String::from_utf8(ROWS.to_vec()).unwrap().replace("10.00", "99.00").into_bytes();
    for changed in [b"TX-1".to_vec(), flipped] {
        files.write("exp_1.1.csv", &changed).unwrap();
        let answer = world.get("/v1/exports/exp_1/file").await;
        assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("export.tampered")));
    }
    std::fs::remove_file(files.path("exp_1.1.csv").unwrap()).unwrap();
    assert_eq!(world.get("/v1/exports/exp_1/file").await.json()["code"], "export.file_unavailable");
    record(&world, "exp_1", 7, "removed", json!({"by": "usr_1", "why": "Its time is over", "at": NOON})).await;
    for name in ["file", "manifest", "signature"] {
        let gone = world.get(&format!("/v1/exports/exp_1/{name}")).await;
        assert_eq!((gone.status, &gone.json()["code"]), (410, &json!("export.removed")), "{name}");
    }
    let elsewhere = World::new().await;
    record(&elsewhere, "exp_1", 1, "requested", requested("exp_1", "transactions", "usr_1")).await;
    let approved = json!({"approval_id": "apr_1", "execution_id": "exp_1", "policy_version": 0, "at": NOON});
    record(&elsewhere, "exp_1", 2, "approved", approved).await;
    record(&elsewhere, "exp_1", 3, "generation_started", json!({"attempt": 1, "fence": 1, "at": NOON})).await;
    record(&elsewhere, "exp_1", 4, "generated", generated("exp_1", ROWS.len())).await;
    assert_eq!(elsewhere.get("/v1/exports/exp_1/file").await.json()["code"], "export.elsewhere");
}
