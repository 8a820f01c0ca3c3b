//! `audit_trail`: every entry, readable, tagged and searchable.

use daybook_read_models::audit_trail::{self, AuditTrailFilter};
use daybook_read_models::{PageRequest, stats};
use serde_json::json;

use crate::support::{World, on_every_store, opened};

on_every_store! {
    every_entry_is_listed_with_a_sentence_and_its_tags
    entries_are_found_by_field_position_and_text
    what_a_ledger_says_of_itself_is_told_in_plain_words_and_counted_nowhere
    what_happens_to_people_is_told_by_ids_and_without_what_anybody_wrote
    sealed_values_are_not_searched_and_what_stands_beside_them_is
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
        [
            vec![],
            vec!["SEC_17a4"],
            vec!["SEC_17a4", "FINRA_4511", "MiFID_II"],
            vec!["SEC_17a4", "FINRA_4511", "MiFID_II"],
        ]
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
        (AuditTrailFilter { regulation_tag: some("MiFID_II"), from_position: Some(4), ..none() }, vec![5, 4]),
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

const USER: &str = "usr_5f0c2a9d3b7e41866a1d0c42";

/// The sentence of every example of the catalogue that is about people, in its order.
const ABOUT_PEOPLE: &[&str] = &[
    "Organization main created (free)",
    "Organization main renamed",
    "Settings of organization main changed (open_registration, session_hours)",
    "Department dep_rates created as part of dep_markets",
    "Department dep_rates changed (name, parent_department_id)",
    "Department dep_rates closed",
    "Role desk-head created (2 permissions of its own, inherits analyst)",
    "Role desk-head changed (inherits)",
    "Role desk-head was given the permission incident:close",
    "The permission incident:assign was taken from role desk-head",
    "Role desk-head retired",
    "Permission document:download defined: download of document",
    "User usr_5f0c2a9d3b7e41866a1d0c42 invited as auditor within dep_rates until 2026-11-28T10:00:00.000000Z",
    "User usr_5f0c2a9d3b7e41866a1d0c42 registered by invitation",
    "Profile of user usr_5f0c2a9d3b7e41866a1d0c42 changed (full_name, about, picture_url)",
    "Password of user usr_5f0c2a9d3b7e41866a1d0c42 changed",
    "Somebody asked for a new password of user usr_5f0c2a9d3b7e41866a1d0c42",
    "User usr_5f0c2a9d3b7e41866a1d0c42 was granted the role compliance within dep_rates until \
     2027-03-31T00:00:00.000000Z",
    "The role compliance within dep_rates was taken from user usr_5f0c2a9d3b7e41866a1d0c42",
    "User usr_5f0c2a9d3b7e41866a1d0c42 deactivated",
    "User usr_5f0c2a9d3b7e41866a1d0c42 reactivated",
    "Second factor fac_1 (passkey) of user usr_5f0c2a9d3b7e41866a1d0c42 enabled",
    "Second factor fac_1 (passkey) of user usr_5f0c2a9d3b7e41866a1d0c42 removed",
    "User usr_5f0c2a9d3b7e41866a1d0c42 linked to an identity of corporate",
    "User usr_5f0c2a9d3b7e41866a1d0c42 is the same person as usr_0b1c2d3e4f5061728394a5b6, as \
     usr_c7d8e9f00112233445566778 declared",
    "User usr_5f0c2a9d3b7e41866a1d0c42 erased (era_1)",
    "User usr_5f0c2a9d3b7e41866a1d0c42 started session ses_1 (password, totp)",
    "Session ses_1 ended: logout",
    "API key key_1 created (read, transaction:create, until 2027-11-21T10:00:00.000000Z)",
    "API key key_1 changed (scopes)",
    "API key key_1 rotated; the old secret opens until 2026-11-22T10:00:00.000000Z",
    "API key key_1 revoked",
    "usr_5f0c2a9d3b7e41866a1d0c42 was denied POST /v1/incidents/{incident_id}/close: incident:close is missing \
     (3 times)",
    "Credentials refused at GET /v1/incidents: token.wrong_algorithm",
    "Login of user usr_5f0c2a9d3b7e41866a1d0c42 failed: auth.wrong_credentials (2 times)",
    "Too many attempts at login for user usr_5f0c2a9d3b7e41866a1d0c42",
    "usr_5f0c2a9d3b7e41866a1d0c42 read /v1/transactions",
    "Legal hold hld_1 placed on subject usr_5f0c2a9d3b7e41866a1d0c42, transaction tx-1001",
    "Legal hold hld_1 extended to incident inc_1",
    "Legal hold hld_1 released",
    "Erasure era_1 of subject usr_5f0c2a9d3b7e41866a1d0c42 requested by usr_0b1c2d3e4f5061728394a5b6",
    "Erasure era_1 approved by usr_c7d8e9f00112233445566778",
    "Erasure era_1 rejected by usr_c7d8e9f00112233445566778",
    "Erasure era_1 refused because of hld_1, transaction records kept until 2033-11-21T10:00:00.000000Z",
    "Erasure era_1 performed: the key of subject usr_5f0c2a9d3b7e41866a1d0c42 was destroyed",
    "Records of the type transaction are kept for 7 years (seven_years), and whoever acted in them stays known as long",
];

fn stream_id(stream_type: &str) -> &'static str {
    match stream_type {
        "organization" => "main",
        "department" => "dep_rates",
        "role" => "desk-head",
        "permission" => "document:download",
        "user" => USER,
        "session" => "ses_1",
        "api_key" => "key_1",
        "access" => "acc_1",
        "legal_hold" => "hld_1",
        "erasure" => "era_1",
        "retention_rule" => "transaction",
        other => panic!("{other} has no stream here"),
    }
}

/// Appends every example of the catalogue that is about people.
async fn append_what_happens_to_people(world: &World) {
    let about_others = [
        "transaction",
        "incident",
        "ledger",
        "ledger_keys",
        "approval_policy",
        "delegation",
        "approval",
        "export",
        "export_schedule",
    ];
    for event in daybook_domain::catalogue().iter().filter(|event| !about_others.contains(&event.stream_type)) {
        let mut append = world.prepare(event.stream_type, stream_id(event.stream_type), &[("any", json!({}))]);
        append.events = vec![daybook_ledger::Draft::new(event.event_type, 1, event.example.to_owned())];
        world.ledger.append(append).await.unwrap();
    }
    world.projections().catch_up().await.unwrap();
}

async fn what_happens_to_people_is_told_by_ids_and_without_what_anybody_wrote(world: World) {
    append_what_happens_to_people(&world).await;
    let mut told = Vec::new();
    for position in 0.. {
        let Some(row) = audit_trail::get(&world.db, "main", position).await.unwrap() else { break };
        let erases = row.event_type.starts_with("erasure.") || row.event_type == "user.erased";
        assert_eq!(row.regulation_tags.iter().any(|tag| tag == "GDPR_17"), erases, "{}", row.event_type);
        told.push(row.summary);
    }
    assert_eq!(told, ABOUT_PEOPLE);
    let summary = stats::summary(&world.db, "main", stats::Range::default()).await.unwrap();
    assert_eq!((summary.total_events, summary.total_findings), (0, 0));
    world.assert_folding_anew_gives_the_same().await;
}

async fn sealed_values_are_not_searched_and_what_stands_beside_them_is(world: World) {
    append_what_happens_to_people(&world).await;
    let some = |text: &str| Some(text.to_owned());
    for (text, event_type, found) in [
        // The letters of the sealed values of the examples, and where they begin.
        ("aaecawqf", "user.registered", 0),
        ("dbs1.", "user.registered", 0),
        // What stands before and behind them.
        ("\"origin\":\"invitation\"", "user.registered", 1),
        ("\"full_name\":{\"subject\":\"usr_5f0c", "user.registered", 1),
        ("\"request_id\":\"req_9\"", "access.read", 1),
        ("replaced by desk-lead", "role.retired", 1),
    ] {
        let filter =
            AuditTrailFilter { q: some(text), event_types: vec![event_type.to_owned()], ..AuditTrailFilter::default() };
        let page = audit_trail::list(&world.db, "main", &filter, &PageRequest::default()).await.unwrap();
        assert_eq!(page.items.len(), found, "{text}");
    }
}
