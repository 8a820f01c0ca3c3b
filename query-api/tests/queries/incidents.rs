//! Lists of incidents, single incidents, and timelines.

use daybook_domain::IncidentCommand;
use daybook_domain::incident::Severity;
use daybook_domain::personal::PersonalText;
use daybook_domain::text::{Line, Paragraph, Reason, RemarkId};
use serde_json::{Value, json};

use crate::world::World;

async fn three() -> World {
    let world = World::new().await;
    world.open("inc_a", "Order stuck", Severity::High).await;
    world.open("inc_b", "Latency", Severity::Low).await;
    world.open("inc_c", "Spike", Severity::High).await;
    world.on_incident("inc_b", IncidentCommand::Acknowledge { note: None }).await;
    let to = Some(Line::parse("", "usr_9").unwrap());
    world.on_incident("inc_c", IncidentCommand::Escalate { reason: Some(Reason::parse("", "big").unwrap()), to }).await;
    world.on_incident("inc_c", IncidentCommand::Assign { assignee: Some(Line::parse("", "usr_2").unwrap()) }).await;
    let comment = IncidentCommand::Comment {
        comment_id: RemarkId::parse("", "c1").unwrap(),
        text: PersonalText::Clear(Paragraph::parse("", "looking").unwrap()),
    };
    world.on_incident("inc_c", comment).await;
    world.catch_up().await;
    world
}

fn ids(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["incident_id"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn list_has_the_predecessors_shape_and_ours() {
    let world = three().await;
    for path in ["/incidents/", "/incidents", "/v1/incidents"] {
        let list = world.get(path).await.json();
        assert_eq!(list["incidents"], list["items"], "{path}");
        assert_eq!(ids(&list), ["inc_c", "inc_b", "inc_a"]);
        assert!(list["next_cursor"].is_null() && list["total"].is_null());
    }
    let item = world.get("/v1/incidents/inc_a").await.json();
    for field in [
        "id",
        "incident_id",
        "title",
        "description",
        "severity",
        "status",
        "type",
        "desk",
        "trader",
        "priority",
        "root_cause",
        "recommended_action",
        "source_event_id",
        "detection_method",
        "created_at",
        "updated_at",
        "resolved_at",
        "assigned_to",
        "meta",
    ] {
        assert!(item.get(field).is_some(), "{field} is missing in {item}");
    }
    assert_eq!((&item["id"], &item["type"], &item["priority"]), (&json!("inc_a"), &json!("stuck_order"), &json!(2)));
}

#[actix_web::test]
async fn filters_choose_what_they_say() {
    let world = three().await;
    for (query, expected) in [
        ("status=escalated", vec!["inc_c"]),
        ("status=triaged", vec!["inc_b"]),
        ("status=acknowledged", vec!["inc_b"]),
        ("status=open", vec!["inc_c", "inc_a"]),
        ("status=open&escalated=false", vec!["inc_a"]),
        ("escalated=true", vec!["inc_c"]),
        ("severity=high&priority=2", vec!["inc_c", "inc_a"]),
        ("assigned_to=usr_2", vec!["inc_c"]),
        ("type=stuck_order&desk=FX&detection_method=manual&q=LAT", vec!["inc_b"]),
        ("detection_method=ml", vec![]),
        ("start=2026-11-21&end=2026-11-21&limit=1", vec!["inc_c"]),
        ("end=2026-11-20", vec![]),
    ] {
        let list = world.get(&format!("/incidents?{query}")).await;
        assert_eq!(list.status, 200, "{query}: {}", list.text());
        assert_eq!(ids(&list.json()), expected, "{query}");
    }
}

#[actix_web::test]
async fn cursors_reach_the_end_without_gap_or_repeat() {
    let world = three().await;
    let first = world.get("/incidents?limit=2&count=true").await.json();
    assert_eq!((ids(&first), &first["total"]), (vec!["inc_c", "inc_b"], &json!(3)));
    let rest = world.get(&format!("/incidents?limit=2&cursor={}", first["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!((ids(&rest), &rest["next_cursor"]), (vec!["inc_a"], &Value::Null));
}

#[actix_web::test]
async fn timeline_is_paged_oldest_first_and_empty_for_the_unknown() {
    let world = three().await;
    let timeline = world.get("/incidents/inc_c/timeline?offset=1&limit=2").await.json();
    assert_eq!((&timeline["total"], &timeline["offset"], &timeline["limit"]), (&json!(4), &json!(1), &json!(2)));
    let results = timeline["results"].as_array().unwrap();
    assert_eq!((&results[0]["event_type"], &results[1]["event_type"]), (&json!("escalation"), &json!("assignment")));
    assert_eq!((&results[0]["comment"], &results[0]["user_id"]), (&json!("big"), &json!("usr_1")));
    for field in ["id", "event_type", "user_id", "old_value", "new_value", "comment", "meta", "timestamp"] {
        assert!(results[0].get(field).is_some(), "{field}");
    }
    let unknown = world.get("/v1/incidents/nobody/timeline").await;
    assert_eq!(unknown.status, 200);
    assert_eq!(unknown.json(), json!({"total": 0, "offset": 0, "limit": 50, "results": []}));
    for query in ["limit=0", "limit=201", "offset=-1", "limit=x"] {
        assert_eq!(world.get(&format!("/incidents/inc_c/timeline?{query}")).await.status, 400, "{query}");
    }
}

#[actix_web::test]
async fn detail_has_a_tag_and_the_unknown_is_404() {
    let world = three().await;
    let detail = world.get("/incidents/inc_c").await;
    assert_eq!((detail.status, detail.header("etag").as_deref()), (200, Some("\"4\"")));
    assert_eq!((&detail.json()["escalation_level"], &detail.json()["comment_count"]), (&json!(1), &json!(1)));
    assert_eq!(world.get("/incidents/nobody").await.json()["code"], "incident.not_found");
}
