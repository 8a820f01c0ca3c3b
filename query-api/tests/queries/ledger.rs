//! The ledger over HTTP: the same bytes, hashes and order as in the store.

use daybook_domain::incident::Severity;
use daybook_ledger::{Append, Draft, StreamKey};
use serde_json::Value;

use crate::world::{STARTED_US, World};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn positions(text: &str) -> Vec<u64> {
    lines(text).iter().map(|line| line["position"].as_u64().unwrap()).collect()
}

#[actix_web::test]
async fn head_and_list_say_what_the_store_says() {
    let world = World::new().await;
    let empty = world.get("/ledgers/main/head").await;
    assert_eq!((empty.json()["size"].as_u64(), empty.json()["recorded_at"].is_null()), (Some(0), true));
    assert_eq!(empty.header("daybook-position"), None);
    world.ten().await;
    let head = world.ledger.head().await.unwrap();
    let answer = world.get("/v1/ledgers/main/head").await;
    assert_eq!(answer.header("daybook-position").as_deref(), Some("9"));
    let view = answer.json();
    assert_eq!(view["size"], head.size);
    assert_eq!(
        (view["hash"].as_str(), view["root"].as_str()),
        (Some(&*head.hash.to_string()), Some(&*head.root.to_string()))
    );
    let list = world.get("/ledgers").await.json();
    assert_eq!(
        (&list[0]["ledger_id"], &list[0]["size"], &list[0]["head"]),
        (&"main".into(), &10.into(), &view["hash"])
    );
}

#[actix_web::test]
async fn entries_keep_the_stored_bytes() {
    let world = World::new().await;
    world.ten().await;
    let answer = world.get("/v1/ledgers/main/entries").await;
    assert_eq!(answer.header("content-type").as_deref(), Some("application/x-ndjson"));
    let text = answer.text();
    let stored = world.ledger.entries(0, 100).await.unwrap();
    assert_eq!(text.lines().count(), stored.len());
    for (line, entry) in text.lines().zip(&stored) {
        // The stored JSON stands in the line byte for byte.
        assert!(line.contains(&format!(r#""payload":{}"#, entry.payload.as_ref().unwrap())), "{line}");
        assert!(line.contains(&format!(r#""metadata":{}"#, entry.metadata)), "{line}");
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["hash"].as_str(), Some(&*entry.hash.to_string()));
        assert_eq!(value["previous_hash"].as_str(), Some(&*entry.previous_hash.to_string()));
        assert_eq!(value["payload_digest"].as_str(), Some(&*entry.payload_digest.to_string()));
        assert_eq!(value["recorded_at_us"].as_i64(), Some(entry.recorded_at));
        assert_eq!(value["event_id"].as_str(), Some(&*entry.event_id.to_string()));
    }
    assert_eq!(lines(&text)[0]["recorded_at"], "2026-11-21T10:00:00.000000Z");
}

#[actix_web::test]
async fn payload_with_line_breaks_comes_as_text() {
    let world = World::new().await;
    let payload = "{\n \"a\": 1.50\n}";
    let append = Append {
        stream: StreamKey::new("note", "n1").unwrap(),
        expected_version: 0,
        events: vec![Draft::new("note.taken", 1, payload.to_owned())],
        actor: daybook_ledger::Actor::system("importer"),
        metadata: "{}".to_owned(),
        command: None,
    };
    world.ledger.append(append).await.unwrap();
    let lines = lines(&world.get("/v1/ledgers/main/entries").await.text());
    assert_eq!(
        (lines.len(), &lines[0]["payload"], lines[0]["payload_text"].as_str()),
        (1, &Value::Null, Some(payload))
    );
}

#[actix_web::test]
async fn ranges_and_filters_choose_what_they_say() {
    let world = World::new().await;
    world.ten().await;
    world.open("inc_a", "Order stuck", Severity::High).await;
    for (query, expected) in [
        ("from=3&to=6", vec![3, 4, 5]),
        ("from=8", vec![8, 9, 10]),
        ("from=11", vec![]),
        ("limit=2", vec![0, 1]),
        ("stream_type=incident", vec![10]),
        ("stream_type=transaction&stream_id=TX-4", vec![4]),
        ("stream_type=transaction&stream_id=TX-4&from=5", vec![]),
        ("stream_type=transaction&stream_id=nobody", vec![]),
        ("event_type=incident.opened", vec![10]),
        ("event_type=transaction.recorded&from=2&limit=2", vec![2, 3]),
        ("at=2026-11-21T10:00:02Z", vec![0, 1, 2]),
        ("at=2026-11-20", vec![]),
        ("at=2026-11-21&from=9", vec![9, 10]),
    ] {
        let answer = world.get(&format!("/ledgers/main/entries?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        assert_eq!(positions(&answer.text()), expected, "{query}");
    }
    assert!(world.ledger.head().await.unwrap().recorded_at > STARTED_US);
}

#[actix_web::test]
async fn many_entries_are_read_page_by_page_to_the_end() {
    let world = World::new().await;
    let events = |count: usize| (0..count).map(|_| Draft::new("note.taken", 1, r#"{"a":1}"#.to_owned())).collect();
    for batch in 0..10_u64 {
        let append = Append {
            stream: StreamKey::new("note", "n1").unwrap(),
            expected_version: batch * 250,
            events: events(250),
            actor: daybook_ledger::Actor::system("importer"),
            metadata: "{}".to_owned(),
            command: None,
        };
        world.ledger.append(append).await.unwrap();
    }
    let all = world.get("/v1/ledgers/main/entries?limit=100000").await.text();
    assert_eq!(positions(&all), (0..2_500).collect::<Vec<_>>());
    let of_stream = world.get("/v1/ledgers/main/entries?limit=2400&stream_type=note&stream_id=n1&from=50").await.text();
    assert_eq!(positions(&of_stream), (50..2_450).collect::<Vec<_>>());
    assert_eq!(world.get("/v1/ledgers/main/entries").await.text().lines().count(), 1_000);
    let stream = world.get("/v1/ledgers/main/streams/note/n1").await.json();
    assert_eq!((&stream["truncated"], &stream["version"]), (&Value::Bool(true), &1_000.into()));
}

#[actix_web::test]
async fn one_entry_and_one_stream_are_found() {
    let world = World::new().await;
    world.ten().await;
    assert_eq!(world.get("/v1/ledgers/main/entries/4").await.json()["stream_id"], "TX-4");
    let stream = world.get("/v1/ledgers/main/streams/transaction/TX-4").await.json();
    assert_eq!((&stream["version"], &stream["truncated"]), (&1.into(), &Value::Bool(false)));
    assert_eq!(stream["entries"][0]["position"], 4);
}

#[actix_web::test]
async fn what_is_not_there_is_404() {
    let world = World::new().await;
    world.ten().await;
    for path in [
        "/v1/ledgers/other/head",
        "/v1/ledgers/other/entries",
        "/v1/ledgers/other/entries/0",
        "/v1/ledgers/MAIN/head",
        "/v1/ledgers/other/streams/transaction/TX-4",
        "/v1/ledgers/main/entries/10",
        "/v1/ledgers/main/streams/transaction/nobody",
        "/v1/ledgers/main/streams/transaction/%00",
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.json()["code"].as_str().unwrap().starts_with("ledger."), "{path}");
    }
}
