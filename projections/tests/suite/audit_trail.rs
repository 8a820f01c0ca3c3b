//! `audit_trail`: every entry, readable, tagged and searchable.

use daybook_read_models::audit_trail::{self, AuditTrailFilter};
use daybook_read_models::{PageRequest, stats};
use serde_json::json;

use crate::support::{World, on_every_store, opened};

on_every_store! {
    every_entry_is_listed_with_a_sentence_and_its_tags
    entries_are_found_by_field_position_and_text
    what_a_ledger_says_of_itself_is_told_in_plain_words_and_counted_nowhere
}

async fn every_entry_is_listed_with_a_sentence_and_its_tags(world: World) {
    world.record("t-1", "1234.50").await;
    let change = json!({"reason": "Wrong\n  account", "changes": [{"field": "account", "old": null, "new": "A-1"}]});
    world.append("transaction", "t-1", &[("corrected", change)]).await;
    world.append("incident", "inc_1", &[("opened", opened("inc_1", "Order stuck", "high"))]).await;
    world.append("stranger", "s-1", &[("arrived", json!({"note": "nul \u{0} and ünïcode"}))]).await;
    world.projections().catch_up().await.unwrap();
    let page =
        audit_trail::list(&world.db, "main", &AuditTrailFilter::default(), &PageRequest::default()).await.unwrap();
    let told: Vec<_> = page.items.iter().map(|row| (row.position, row.summary.as_str())).collect();
    assert_eq!(
        told,
        [
            (3, "stranger.arrived of stranger/s-1"),
            (2, "Incident inc_1 opened (high): Order stuck"),
            (1, "Transaction t-1 corrected (account): Wrong account"),
            (0, "Transaction t-1 recorded: 1234.50 USD, pending"),
        ]
    );
    let tags: Vec<Vec<&str>> =
        page.items.iter().map(|row| row.regulation_tags.iter().map(String::as_str).collect()).collect();
    assert_eq!(
        tags,
        [vec![], vec!["SEC_17a4"], vec!["SEC_17a4", "FINRA_4511", "MiFID_II"], vec!["SEC_17a4", "FINRA_4511"],]
    );
    let entries = world.ledger.entries(0, 10).await.unwrap();
    for entry in entries {
        let row = audit_trail::get(&world.db, "main", entry.position).await.unwrap().unwrap();
        assert_eq!((row.hash, row.version), (entry.hash.to_string(), entry.version));
        assert_eq!((row.entity_type, row.entity_id), (entry.stream.stream_type, entry.stream.stream_id));
        assert_eq!((row.actor_kind.as_str(), row.actor_id.as_str()), ("human", "usr_1"));
        assert_eq!((row.on_behalf_of.as_deref(), row.correlation_id.as_deref()), (Some("usr_2"), Some("cor_1")));
        assert_eq!(row.causation_id.as_deref(), Some("main/0"));
    }
    assert_eq!(audit_trail::get(&world.db, "main", 4).await.unwrap(), None);
    world.assert_folding_anew_gives_the_same().await;
}

async fn entries_are_found_by_field_position_and_text(world: World) {
    for number in 0..6 {
        world.record(&format!("T-{number}"), "1.00").await;
    }
    world.append("incident", "inc_1", &[("opened", opened("inc_1", "Übergröße 50% of_limit", "high"))]).await;
    let long = "long ".repeat(4_000);
    world.append("stranger", "s-1", &[("arrived", json!({"note": format!("{long} beyond")}))]).await;
    world.projections().catch_up().await.unwrap();
    let some = |text: &str| Some(text.to_owned());
    let none = AuditTrailFilter::default;
    for (filter, found) in [
        (AuditTrailFilter { entity_type: some("incident"), ..none() }, vec![6]),
        (AuditTrailFilter { entity_type: some("transaction"), entity_id: some("T-2"), ..none() }, vec![2]),
        (AuditTrailFilter { event_types: vec!["stranger.arrived".to_owned()], ..none() }, vec![7]),
        (
            AuditTrailFilter {
                event_types: ["incident.opened", "no\0thing", "stranger.arrived"].map(str::to_owned).to_vec(),
                correlation_id: some("cor_1"),
                ..none()
            },
            vec![7, 6],
        ),
        (AuditTrailFilter { event_types: vec!["\0".to_owned(), "\0\0".to_owned()], ..none() }, vec![]),
        (AuditTrailFilter { actor_id: some("usr_1"), actor_kind: some("agent"), ..none() }, vec![]),
        (AuditTrailFilter { correlation_id: some("cor_1"), from_position: Some(5), ..none() }, vec![7, 6, 5]),
        (AuditTrailFilter { from_position: Some(2), to_position: Some(3), ..none() }, vec![3, 2]),
        (AuditTrailFilter { regulation_tag: some("FINRA_4511"), from_position: Some(5), ..none() }, vec![5]),
        (AuditTrailFilter { regulation_tag: some("SEC_17a4"), from_position: Some(5), ..none() }, vec![6, 5]),
        // A part of a tag, or several, is not a tag.
        (AuditTrailFilter { regulation_tag: some("SEC"), ..none() }, vec![]),
        (AuditTrailFilter { regulation_tag: some("FINRA%"), ..none() }, vec![]),
        (AuditTrailFilter { q: some("ÜBERGRÖSSE"), ..none() }, vec![]),
        (AuditTrailFilter { q: some("ÜberGröße"), ..none() }, vec![6]),
        (AuditTrailFilter { q: some("50% OF_"), ..none() }, vec![6]),
        (AuditTrailFilter { q: some("t-4"), ..none() }, vec![4]),
        (AuditTrailFilter { q: some("long long"), ..none() }, vec![7]),
        (AuditTrailFilter { q: some("beyond"), ..none() }, vec![]),
        (AuditTrailFilter { start: Some(i64::MAX), ..none() }, vec![]),
    ] {
        let page = audit_trail::list(&world.db, "main", &filter, &PageRequest::default()).await.unwrap();
        let positions: Vec<u64> = page.items.iter().map(|row| row.position).collect();
        assert_eq!(positions, found, "{filter:?}");
    }
}

async fn what_a_ledger_says_of_itself_is_told_in_plain_words_and_counted_nowhere(world: World) {
    world.record("t-1", "1234.50").await;
    let mut expected = vec!["Transaction t-1 recorded: 1234.50 USD, pending"];
    for event in daybook_domain::catalogue().iter().filter(|event| event.stream_type.starts_with("ledger")) {
        let mut append = world.prepare(event.stream_type, "main", &[("any", json!({}))]);
        append.events = vec![daybook_ledger::Draft::new(event.event_type, 1, event.example.to_owned())];
        world.ledger.append(append).await.unwrap();
        expected.push(match event.event_type {
            "ledger.sealed" => "Ledger main sealed: its first 41 entries are bound together",
            "ledger.anchored" => {
                "Checkpoint of the first 42 entries of ledger main time-stamped by https://tsa.example at \
                 2026-11-21T10:00:00.000000Z"
            }
            "signing_key.activated" => "Key d2fe0d70 (ecdsa-p256-sha256) began to sign checkpoints of ledger main",
            "signing_key.retired" => "Key d2fe0d70 ceased to sign checkpoints of ledger main",
            other => panic!("{other} has no sentence"),
        });
    }
    assert_eq!(expected.len(), 5);
    world.projections().catch_up().await.unwrap();
    let page =
        audit_trail::list(&world.db, "main", &AuditTrailFilter::default(), &PageRequest::default()).await.unwrap();
    let told: Vec<_> = page.items.iter().rev().map(|row| row.summary.as_str()).collect();
    assert_eq!(told, expected);
    let summary = stats::summary(&world.db, "main", stats::Range::default()).await.unwrap();
    assert_eq!((summary.total_events, summary.total_findings), (1, 0));
    world.assert_folding_anew_gives_the_same().await;
}
