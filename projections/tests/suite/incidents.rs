//! `incidents`: rows, timelines and filters.

use daybook_read_models::PageRequest;
use daybook_read_models::free_text::{FreeText, SealedValue};
use daybook_read_models::incidents::{self, IncidentFilter, TimelineRow};
use serde_json::json;

use crate::support::{World, on_every_store, opened};

on_every_store! {
    an_incident_follows_its_events_and_its_timeline_tells_them
    incidents_are_found_by_what_they_are_now
    a_sealed_comment_stays_sealed_in_the_timeline
}

/// 40 bytes: a nonce and the tag of an empty text.
const SEALED: &str = "dbs1.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXAAECAwQFBgcICQoLDA0ODw";

fn comment(step: &TimelineRow) -> Option<&str> {
    step.comment.as_ref().and_then(FreeText::clear)
}

async fn an_incident_follows_its_events_and_its_timeline_tells_them(world: World) {
    let projections = world.projections();
    let mut content = opened("inc_1", "Order stuck", "high");
    content["description"] = json!("No fill since 10:00.");
    content["rule"] = json!({"name": "stuck_order", "version": 3});
    content["detection_method"] = json!("rule");
    content["desk"] = json!("rates");
    content["meta"] = json!({"venue": "XLON"});
    content["last_event_timestamp"] = json!("2026-11-21T09:59:00.000000Z");
    let steps = [
        ("opened", content),
        ("acknowledged", json!({"from": "open", "note": "Looking"})),
        ("assigned", json!({"from": null, "to": "usr_5"})),
        ("investigation_started", json!({"from": "acknowledged"})),
        ("escalated", json!({"level": 1, "reason": "No answer", "to": "usr_9"})),
        ("commented", json!({"comment_id": "cmt_1", "text": "The venue confirms."})),
        ("severity_changed", json!({"from": "high", "to": "critical", "reason": "A second desk"})),
        ("priority_changed", json!({"from": 2, "to": 1})),
        (
            "details_changed",
            json!({"changes": [{"field": "desk", "old": "rates", "new": null},
            {"field": "title", "old": "Order stuck", "new": "Orders stuck"}]}),
        ),
        ("resolved", json!({"from": "investigating", "resolution": "Resent.", "root_cause": "Session lost."})),
        ("closed", json!({"from": "resolved"})),
    ];
    for step in &steps {
        world.append("incident", "inc_1", std::slice::from_ref(step)).await;
        projections.catch_up().await.unwrap();
    }
    let row = incidents::get(&world.db, "main", "inc_1").await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.severity.as_str(), row.priority), ("closed", "critical", 1));
    assert_eq!((row.title.as_str(), row.desk.as_deref()), ("Orders stuck", None));
    assert_eq!(
        (row.assigned_to.as_deref(), row.escalation_level, row.escalated_to.as_deref()),
        (Some("usr_5"), 1, Some("usr_9"))
    );
    assert_eq!((row.resolution.as_deref(), row.root_cause.as_deref()), (Some("Resent."), Some("Session lost.")));
    assert_eq!((row.rule.as_deref(), row.rule_version, row.comment_count), (Some("stuck_order"), Some(3), 1));
    assert!(row.created_at < row.acknowledged_at.unwrap() && row.resolved_at.unwrap() < row.closed_at.unwrap());
    assert_eq!((row.version, row.first_position, row.last_position), (11, 0, 10));

    world.append("incident", "inc_1", &[("reopened", json!({"from": "closed", "reason": "Again."}))]).await;
    projections.catch_up().await.unwrap();
    let row = incidents::get(&world.db, "main", "inc_1").await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.reopened_count, row.resolution.as_deref()), ("open", 1, None));
    assert_eq!((row.acknowledged_at, row.resolved_at, row.closed_at), (None, None, None));

    let (timeline, total) = incidents::timeline(&world.db, "main", "inc_1", 0, 200).await.unwrap();
    assert_eq!(total, 12);
    let told: Vec<_> = timeline
        .iter()
        .map(|step| (step.event_type.as_str(), step.old_value.as_deref(), step.new_value.as_deref(), comment(step)))
        .collect();
    assert_eq!(
        told,
        [
            ("opened", None, Some("open"), None),
            ("status_change", Some("open"), Some("acknowledged"), Some("Looking")),
            ("assignment", None, Some("usr_5"), None),
            ("status_change", Some("acknowledged"), Some("investigating"), None),
            ("escalation", Some("0"), Some("1"), Some("No answer")),
            ("comment", None, None, Some("The venue confirms.")),
            ("severity_change", Some("high"), Some("critical"), Some("A second desk")),
            ("priority_change", Some("2"), Some("1"), None),
            ("details_change", told[8].1, told[8].2, None),
            ("status_change", Some("investigating"), Some("resolved"), Some("Resent.")),
            ("status_change", Some("resolved"), Some("closed"), None),
            ("status_change", Some("closed"), Some("open"), Some("Again.")),
        ]
    );
    let details: serde_json::Value = serde_json::from_str(told[8].2.unwrap()).unwrap();
    assert_eq!(details, json!({"desk": null, "title": "Orders stuck"}));
    assert_eq!(timeline[4].meta, json!({"to": "usr_9"}));
    assert_eq!((timeline[5].user_id.as_str(), timeline[5].position), ("usr_1", 5));
    let (part, total) = incidents::timeline(&world.db, "main", "inc_1", 10, 1).await.unwrap();
    assert_eq!((part.len(), part[0].position, total), (1, 10, 12));
    let (nothing, total) = incidents::timeline(&world.db, "main", "unknown", 0, 50).await.unwrap();
    assert_eq!((nothing, total), (Vec::new(), 0));
    let shown = serde_json::to_value(&row).unwrap();
    assert_eq!((&shown["type"], &shown["rule"]), (&json!("stuck_order"), &json!("stuck_order")));
    assert_eq!(shown["last_event_timestamp"], "2026-11-21T09:59:00.000000Z");
    world.assert_folding_anew_gives_the_same().await;
}

async fn incidents_are_found_by_what_they_are_now(world: World) {
    let mut second = opened("inc_2", "Spike of 100% in FX", "low");
    second["trader"] = json!("t-17");
    second["source_event_id"] = json!("order-5");
    second["priority"] = json!(4);
    world.append("incident", "inc_1", &[("opened", opened("inc_1", "Order stuck", "high"))]).await;
    world.append("incident", "inc_2", &[("opened", second)]).await;
    world.append("incident", "inc_1", &[("escalated", json!({"level": 1}))]).await;
    world.append("incident", "inc_1", &[("assigned", json!({"from": null, "to": "usr_5"}))]).await;
    world.append("incident", "inc_2", &[("severity_changed", json!({"from": "low", "to": "critical"}))]).await;
    world.projections().catch_up().await.unwrap();
    let some = |text: &str| Some(text.to_owned());
    let none = IncidentFilter::default;
    for (filter, found) in [
        (none(), vec!["inc_2", "inc_1"]),
        (IncidentFilter { severity: some("critical"), ..none() }, vec!["inc_2"]),
        (IncidentFilter { severity: some("low"), ..none() }, vec![]),
        (IncidentFilter { status: some("open"), ..none() }, vec!["inc_2", "inc_1"]),
        (IncidentFilter { escalated: Some(true), ..none() }, vec!["inc_1"]),
        (IncidentFilter { escalated: Some(false), ..none() }, vec!["inc_2"]),
        (IncidentFilter { assigned_to: some("usr_5"), ..none() }, vec!["inc_1"]),
        (IncidentFilter { trader: some("t-17"), incident_type: some("stuck_order"), ..none() }, vec!["inc_2"]),
        (IncidentFilter { source_event_id: some("order-5"), ..none() }, vec!["inc_2"]),
        (IncidentFilter { priority: Some(2), ..none() }, vec!["inc_1"]),
        (IncidentFilter { q: some("100%"), ..none() }, vec!["inc_2"]),
        (IncidentFilter { q: some("STUCK"), ..none() }, vec!["inc_1"]),
        (IncidentFilter { q: some("%' or '%'='"), ..none() }, vec![]),
        (IncidentFilter { rule: some("stuck_order"), ..none() }, vec![]),
        (IncidentFilter { start: Some(i64::MAX), ..none() }, vec![]),
        (IncidentFilter { end: Some(i64::MAX), detection_method: some("manual"), ..none() }, vec!["inc_2", "inc_1"]),
    ] {
        let request = PageRequest { count: true, ..Default::default() };
        let page = incidents::list(&world.db, "main", &filter, &request).await.unwrap();
        let ids: Vec<&str> = page.items.iter().map(|row| row.incident_id.as_str()).collect();
        assert_eq!(ids, found, "{filter:?}");
        assert_eq!(page.total, Some(u64::try_from(found.len()).unwrap()));
    }
}

async fn a_sealed_comment_stays_sealed_in_the_timeline(world: World) {
    let value = json!({"subject": "usr_1", "sealed": SEALED});
    let steps = [
        ("opened", opened("inc_1", "Order stuck", "high")),
        ("commented", json!({"comment_id": "cmt_1", "text": value})),
        // Somebody's words, whatever they look like.
        ("commented", json!({"comment_id": "cmt_2", "text": value.to_string()})),
    ];
    world.append("incident", "inc_1", &steps).await;
    world.projections().catch_up().await.unwrap();
    let (timeline, _) = incidents::timeline(&world.db, "main", "inc_1", 1, 200).await.unwrap();
    let sealed = FreeText::Sealed(SealedValue { subject: "usr_1".to_owned(), sealed: SEALED.to_owned() });
    assert_eq!(timeline[0].comment, Some(sealed));
    assert_eq!(timeline[1].comment, Some(FreeText::Clear(value.to_string())));
    assert_eq!(incidents::get(&world.db, "main", "inc_1").await.unwrap().unwrap().comment_count, 2);
    world.assert_folding_anew_gives_the_same().await;
}
