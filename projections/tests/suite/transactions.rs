//! `transactions`: rows, changes, filters and pages.

use daybook_read_models::transactions::{self, TransactionFilter};
use daybook_read_models::{FreeText, PageRequest};
use serde_json::{Value, json};

use crate::support::{MORNING, World, on_every_store, recorded};

on_every_store! {
    a_transaction_shows_what_it_is_now_and_what_was_changed
    filters_match_exactly_and_hostile_text_matches_only_itself
    amounts_are_compared_as_numbers
    pages_neither_repeat_nor_skip_while_the_ledger_grows
    bounds_of_a_page_are_kept
}

async fn a_transaction_shows_what_it_is_now_and_what_was_changed(world: World) {
    let projections = world.projections();
    let mut content = recorded("T-1", "1234.50");
    content["account"] = json!("ACC-7");
    content["meta"] = json!({"venue": "XLON", "tags": ["a", 1]});
    world.append("transaction", "T-1", &[("recorded", content)]).await;
    projections.catch_up().await.unwrap();
    let row = transactions::get(&world.db, "main", "T-1").await.unwrap().unwrap();
    assert_eq!((row.amount.as_str(), row.currency.as_str(), row.status.as_str()), ("1234.50", "USD", "pending"));
    assert_eq!(row.meta, json!({"venue": "XLON", "tags": ["a", 1]}));
    assert_eq!((row.first_position, row.last_position, row.version), (0, 0, 1));
    assert_eq!(row.recorded_at, MORNING);

    let corrected = json!({"reason": "Digits were swapped", "changes": [
        {"field": "amount", "old": "1234.50", "new": "1243.5"},
        {"field": "account", "old": "ACC-7", "new": null},
        {"field": "counterparty", "old": null, "new": "Bank 'B'"},
        {"field": "meta", "old": {"venue": "XLON", "tags": ["a", 1]}, "new": {}},
        {"field": "timestamp", "old": "2026-11-20T23:59:59.000000Z", "new": "2026-11-21T00:00:00.000001Z"},
    ]});
    world.append("transaction", "T-1", &[("corrected", corrected)]).await;
    projections.catch_up().await.unwrap();
    let note = json!({"note_id": "note_1", "text": "Confirmed.\nBy telephone."});
    let change = json!({"from": "pending", "to": "completed", "reason": "Settled"});
    world.append("transaction", "T-1", &[("note_added", note), ("status_changed", change)]).await;
    projections.catch_up().await.unwrap();

    let row = transactions::get(&world.db, "main", "T-1").await.unwrap().unwrap();
    assert_eq!((row.amount.as_str(), row.status.as_str()), ("1243.5", "completed"));
    assert_eq!((row.account, row.counterparty.as_deref(), row.meta), (None, Some("Bank 'B'"), json!({})));
    assert_eq!((row.correction_count, row.note_count, row.version), (1, 1, 4));
    assert_eq!((row.first_position, row.last_position), (0, 3));
    assert_eq!(row.timestamp_source, "correction");
    assert!(row.updated_at > row.recorded_at);

    let (changes, total) = transactions::changes(&world.db, "main", "T-1", 0, 100).await.unwrap();
    assert_eq!(total, 7);
    let told: Vec<_> = changes
        .iter()
        .map(|change| (change.position, change.ordinal, change.kind.as_str(), change.field.as_deref()))
        .collect();
    assert_eq!(
        told[..3],
        [
            (1, 0, "correction", Some("amount")),
            (1, 1, "correction", Some("account")),
            (1, 2, "correction", Some("counterparty")),
        ]
    );
    assert_eq!(told[5..], [(2, 0, "note", None), (3, 0, "status_change", Some("status"))]);
    assert_eq!((changes[1].old_value.as_deref(), changes[1].new_value.as_deref()), (Some("ACC-7"), None));
    assert_eq!(changes[5].reason, Some(FreeText::Clear("Confirmed.\nBy telephone.".to_owned())));
    assert_eq!((changes[6].actor_kind.as_str(), changes[6].actor_id.as_str()), ("human", "usr_1"));
    let (rest, total) = transactions::changes(&world.db, "main", "T-1", 6, 1).await.unwrap();
    assert_eq!((rest.len(), rest[0].kind.as_str(), total), (1, "status_change", 7));
    assert_eq!(transactions::get(&world.db, "main", "t-1").await.unwrap(), None);
    world.assert_folding_anew_gives_the_same().await;
}

async fn ids(world: &World, filter: TransactionFilter) -> Vec<String> {
    let page = transactions::list(&world.db, "main", &filter, &PageRequest::default()).await.unwrap();
    page.items.into_iter().map(|row| row.transaction_id).collect()
}

async fn filters_match_exactly_and_hostile_text_matches_only_itself(world: World) {
    let hostile = "x' or '1'='1";
    for (id, field, value) in [
        ("plain", "account", "ACC-1"),
        ("100%_sure", "account", hostile),
        ("100Xasure", "counterparty", "'; drop table transactions; --"),
        ("back\\slash", "transaction_type", "wire"),
        ("ÄRGER", "source", "batch"),
    ] {
        let mut content = recorded(id, "1.00");
        content[field] = Value::from(value);
        world.append("transaction", id, &[("recorded", content)]).await;
    }
    world.projections().catch_up().await.unwrap();
    let some = |text: &str| Some(text.to_owned());
    let none = TransactionFilter::default;
    assert_eq!(ids(&world, none()).await, ["ÄRGER", "back\\slash", "100Xasure", "100%_sure", "plain"]);
    assert_eq!(ids(&world, TransactionFilter { account: some("ACC-1"), ..none() }).await, ["plain"]);
    assert_eq!(ids(&world, TransactionFilter { account: some(hostile), ..none() }).await, ["100%_sure"]);
    assert_eq!(ids(&world, TransactionFilter { account: some("' or 1=1 --"), ..none() }).await, [""; 0]);
    assert_eq!(ids(&world, TransactionFilter { account: some("%"), ..none() }).await, [""; 0]);
    assert_eq!(ids(&world, TransactionFilter { account: some("ACC-1\0"), ..none() }).await, [""; 0]);
    let drop = some("'; drop table transactions; --");
    assert_eq!(ids(&world, TransactionFilter { counterparty: drop, ..none() }).await, ["100Xasure"]);
    assert_eq!(ids(&world, TransactionFilter { transaction_type: some("wire"), ..none() }).await, ["back\\slash"]);
    assert_eq!(ids(&world, TransactionFilter { source: some("batch"), ..none() }).await, ["ÄRGER"]);
    assert_eq!(ids(&world, TransactionFilter { status: some("completed"), ..none() }).await, [""; 0]);
    assert_eq!(ids(&world, TransactionFilter { currency: some("USD"), ..none() }).await.len(), 5);
    for (q, found) in [
        ("100%_s", vec!["100%_sure"]),
        ("100", vec!["100Xasure", "100%_sure"]),
        ("%", vec!["100%_sure"]),
        ("_", vec!["100%_sure"]),
        ("\\", vec!["back\\slash"]),
        ("PLAIN", vec!["plain"]),
        ("ärg", vec!["ÄRGER"]),
        ("'", vec![]),
        ("\0", vec![]),
    ] {
        assert_eq!(ids(&world, TransactionFilter { q: some(q), ..none() }).await, found, "{q}");
    }
    let far = TransactionFilter { q: Some("a".repeat(100_000)), ..none() };
    assert_eq!(ids(&world, far).await, [""; 0]);
}

async fn amounts_are_compared_as_numbers(world: World) {
    for (id, amount) in [
        ("negative", "-5.00"),
        ("zero", "0"),
        ("nine", "9"),
        ("ten", "10.00"),
        ("fine", "10.00000001"),
        ("largest", "999999999999999999.99999999"),
    ] {
        world.record(id, amount).await;
    }
    world.projections().catch_up().await.unwrap();
    let between = |least: Option<&str>, most: Option<&str>| TransactionFilter {
        min_amount: least.map(str::to_owned),
        max_amount: most.map(str::to_owned),
        ..Default::default()
    };
    assert_eq!(ids(&world, between(Some("9.5"), None)).await, ["largest", "fine", "ten"]);
    assert_eq!(ids(&world, between(Some("10"), Some("10"))).await, ["ten"]);
    assert_eq!(ids(&world, between(None, Some("-0.00000001"))).await, ["negative"]);
    assert_eq!(ids(&world, between(None, Some("999999999999999999.99999998"))).await.len(), 5);
    assert_eq!(ids(&world, between(Some("ten"), None)).await, [""; 0]);
    let row = transactions::get(&world.db, "main", "largest").await.unwrap().unwrap();
    assert_eq!(row.amount, "999999999999999999.99999999");
}

async fn pages_neither_repeat_nor_skip_while_the_ledger_grows(world: World) {
    let projections = world.projections();
    for number in 0..25 {
        world.record(&format!("t-{number}"), "1.00").await;
    }
    projections.catch_up().await.unwrap();
    let filter = TransactionFilter { status: Some("pending".to_owned()), ..Default::default() };
    let mut request = PageRequest { limit: 10, count: true, ..Default::default() };
    let mut seen = Vec::new();
    loop {
        let page = transactions::list(&world.db, "main", &filter, &request).await.unwrap();
        seen.extend(page.items.iter().map(|row| row.transaction_id.clone()));
        // More comes in at the front between the pages.
        world.record(&format!("late-{}", seen.len()), "1.00").await;
        projections.catch_up().await.unwrap();
        let Some(cursor) = page.next_cursor else { break };
        request.cursor = Some(cursor.to_string().parse().unwrap());
    }
    let expected: Vec<String> = (0..25).rev().map(|number| format!("t-{number}")).collect();
    assert_eq!(seen, expected);
    // Changing a transaction does not move it.
    let change = json!({"from": "pending", "to": "completed"});
    world.append("transaction", "t-3", &[("status_changed", change)]).await;
    projections.catch_up().await.unwrap();
    let all = ids(&world, TransactionFilter::default()).await;
    assert_eq!(all.iter().position(|id| id == "t-3"), all.iter().position(|id| id == "t-2").map(|place| place - 1));
    let start = TransactionFilter { start: Some(MORNING), ..Default::default() };
    assert_eq!(ids(&world, start).await, [""; 0]);
    let end = TransactionFilter { end: Some(MORNING), ..Default::default() };
    assert_eq!(ids(&world, end).await.len(), all.len());
}

async fn bounds_of_a_page_are_kept(world: World) {
    for number in 0..3 {
        world.record(&format!("t-{number}"), "1.00").await;
    }
    world.projections().catch_up().await.unwrap();
    let everything = TransactionFilter::default();
    for (limit, offset, found) in [(0, 0, 1), (2, 0, 2), (2, 2, 1), (u32::MAX, 0, 3), (1, u64::MAX, 0)] {
        let request = PageRequest { limit, offset, count: true, cursor: None };
        let page = transactions::list(&world.db, "main", &everything, &request).await.unwrap();
        assert_eq!((page.items.len(), page.total), (found, Some(3)), "limit {limit}, offset {offset}");
    }
    let request = PageRequest { cursor: Some(daybook_read_models::Cursor(u64::MAX)), ..Default::default() };
    let page = transactions::list(&world.db, "main", &everything, &request).await.unwrap();
    assert_eq!((page.items.len(), page.next_cursor, page.total), (3, None, None));
}
