//! Lists of transactions, single transactions, and reading one's own writes.

use daybook_domain::personal::PersonalText;
use daybook_domain::text::{Paragraph, Reason, RemarkId};
use daybook_domain::transaction::{AddNote, ChangeStatus, Correct, TransactionChanges, TransactionStatus};
use daybook_domain::{Amount, TransactionCommand};
use serde_json::{Value, json};

use crate::world::World;

fn ids(list: &Value) -> Vec<String> {
    list["items"].as_array().unwrap().iter().map(|item| item["transaction_id"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn list_is_the_same_at_both_mounts_and_with_a_trailing_slash() {
    let world = World::new().await;
    world.ten().await;
    let list = world.get("/v1/transactions?limit=3&count=true").await;
    assert_eq!(list.status, 200);
    assert_eq!(list.header("daybook-position").as_deref(), Some("9"));
    assert_eq!(ids(&list.json()), ["TX-9", "TX-8", "TX-7"]);
    assert_eq!(list.json()["total"], 10);
    for path in ["/transactions?limit=3&count=true", "/transactions/?limit=3&count=true"] {
        assert_eq!(world.get(path).await.json(), list.json(), "{path}");
    }
}

#[actix_web::test]
async fn item_has_exact_money_and_every_field() {
    let world = World::new().await;
    world.ten().await;
    let item = world.get("/v1/transactions?limit=1").await.json()["items"][0].clone();
    assert_eq!(
        item,
        json!({
            "transaction_id": "TX-9", "amount": "900.10", "currency": "USD", "timestamp": "2026-11-11T12:00:00.000000Z",
            "timestamp_source": "client", "status": "completed", "account": "ACC-0001", "counterparty": null,
            "transaction_type": "wire", "meta": {}, "source": "api", "version": 1, "first_position": 9,
            "last_position": 9, "recorded_at": item["recorded_at"], "updated_at": item["recorded_at"],
            "correction_count": 0, "note_count": 0,
        })
    );
}

#[actix_web::test]
async fn filters_choose_what_they_say() {
    let world = World::new().await;
    world.ten().await;
    for (query, expected) in [
        ("status=pending", vec!["TX-7", "TX-4", "TX-1"]),
        ("status=PENDING&currency=eur", vec!["TX-7", "TX-4", "TX-1"]),
        ("status=pending&currency=USD", vec![]),
        ("min_amount=700.10&max_amount=800.10", vec!["TX-8", "TX-7"]),
        ("min_amount=700.11", vec!["TX-9", "TX-8"]),
        ("start=2026-11-11&end=2026-11-11&status=failed", vec!["TX-8", "TX-5"]),
        ("end=2026-11-10T11:59:59Z", vec![]),
        ("q=tx-3", vec!["TX-3"]),
        ("q=%25", vec![]),
        ("account=ACC-0001&type=wire&source=api&status=completed", vec!["TX-9", "TX-6", "TX-3", "TX-0"]),
        ("transaction_type=ach", vec![]),
        ("status=&q=&counterparty=&start=&limit=1", vec!["TX-9"]),
        ("offset=8", vec!["TX-1", "TX-0"]),
        ("page=2&page_size=4", vec!["TX-5", "TX-4", "TX-3", "TX-2"]),
    ] {
        let list = world.get(&format!("/v1/transactions?{query}")).await;
        assert_eq!(list.status, 200, "{query}: {}", list.text());
        assert_eq!(ids(&list.json()), expected, "{query}");
    }
}

#[actix_web::test]
async fn cursors_reach_the_end_without_gap_or_repeat_while_more_is_recorded() {
    let world = World::new().await;
    world.ten().await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let list = world.get(&format!("/v1/transactions?limit=3{cursor}")).await.json();
        seen.extend(ids(&list));
        // Newer transactions do not move the pages behind the cursor.
        world
            .record(&format!("NEW-{}", seen.len()), "1.00", "USD", TransactionStatus::Pending, "2026-11-21T00:00:00Z")
            .await;
        world.catch_up().await;
        let Some(next) = list["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        assert!(seen.len() <= 10, "{seen:?}");
    }
    assert_eq!(seen, (0..10).rev().map(|number| format!("TX-{number}")).collect::<Vec<_>>());
}

#[actix_web::test]
async fn detail_has_corrections_notes_history_and_a_tag() {
    let world = World::new().await;
    world.record("TX/1 ü", "10.00", "EUR", TransactionStatus::Pending, "2026-11-21T00:00:00Z").await;
    let changes = TransactionChanges { amount: Some(Amount::parse("11.00").unwrap()), ..TransactionChanges::default() };
    let reason = Reason::parse("", "typing error").unwrap();
    world
        .on_transaction("TX/1 ü", TransactionCommand::Correct(Box::new(Correct { changes, reason: reason.clone() })))
        .await;
    let text = PersonalText::Clear(Paragraph::parse("", "called").unwrap());
    let note = AddNote { note_id: RemarkId::parse("", "n1").unwrap(), text };
    world.on_transaction("TX/1 ü", TransactionCommand::AddNote(note)).await;
    let change = ChangeStatus { to: TransactionStatus::Completed, reason: None };
    world.on_transaction("TX/1 ü", TransactionCommand::ChangeStatus(change)).await;
    world.catch_up().await;

    let detail = world.get("/v1/transactions/TX%2F1%20%C3%BC").await;
    assert_eq!((detail.status, detail.header("etag").as_deref()), (200, Some("\"4\"")), "{}", detail.text());
    let detail = detail.json();
    assert_eq!((&detail["amount"], &detail["status"]), (&json!("11.00"), &json!("completed")));
    assert_eq!((&detail["version"], &detail["history_total"]), (&json!(4), &json!(3)));
    assert_eq!(detail["corrections"][0]["field"], "amount");
    assert_eq!(detail["corrections"][0]["old_value"], "10.00");
    assert_eq!(detail["corrections"][0]["reason"], "typing error");
    assert_eq!(detail["notes"][0]["note_id"], "n1");
    let kinds: Vec<_> = detail["history"].as_array().unwrap().iter().map(|change| change["kind"].clone()).collect();
    assert_eq!(kinds, ["correction", "note", "status_change"]);
    assert_eq!((&detail["first_position"], &detail["last_position"]), (&json!(0), &json!(3)));
}

#[actix_web::test]
async fn unknown_transaction_is_404() {
    let world = World::new().await;
    for id in ["nobody", "%00", "a%0Ab", &"x".repeat(300)] {
        let answer = world.get(&format!("/v1/transactions/{id}")).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (404, Some("transaction.not_found")), "{id}");
    }
}

#[actix_web::test]
async fn query_waits_for_the_position_it_is_asked_for() {
    let world = World::new().await;
    world.ten().await;
    let position = world.record("TX-A", "1.00", "USD", TransactionStatus::Pending, "2026-11-21T00:00:00Z").await;
    let headers =
        [("x-user-email", "a@example.com"), ("x-user-role", "viewer"), ("daybook-at-least", &position.to_string())];
    let behind = world.send("GET", "/v1/transactions/TX-A", &headers).await;
    assert_eq!((behind.status, behind.json()["code"].as_str()), (503, Some("projection.behind")));
    assert!(behind.header("retry-after").is_some());
    let (found, ()) = futures::join!(world.send("GET", "/v1/transactions/TX-A", &headers), world.catch_up());
    assert_eq!(found.status, 200);
    assert_eq!(found.header("daybook-position"), Some(position.to_string()));
    let bad = world.send("GET", "/v1/transactions", &[headers[0], headers[1], ("daybook-at-least", "soon")]).await;
    assert_eq!(bad.status, 400);
}
