//! The audit trail in both shapes.

use daybook_domain::incident::{IncidentCommand, Severity};
use serde_json::Value;

use crate::world::World;

async fn world() -> World {
    let world = World::new().await;
    world.ten().await;
    world.open("inc_a", "Order stuck", Severity::High).await;
    world.catch_up().await;
    world
}

#[actix_web::test]
async fn every_entry_is_listed_with_a_link_to_its_bytes() {
    let world = world().await;
    let list = world.get("/v1/audit-trail?limit=4&count=true").await.json();
    assert_eq!(list["total"], 11);
    let newest = &list["items"][0];
    assert_eq!((newest["position"].as_u64(), newest["event_type"].as_str()), (Some(10), Some("incident.opened")));
    assert_eq!(newest["correlation_id"], "cor-1");
    let entry = world.get(newest["links"]["entry"].as_str().unwrap()).await.json();
    assert_eq!(entry["hash"], newest["hash"]);
}

#[actix_web::test]
async fn filters_and_cursors_cover_everything_once() {
    let world = world().await;
    let (mut positions, mut cursor) = (Vec::new(), String::new());
    loop {
        let list = world.get(&format!("/audit-trail?limit=4&entity_type=transaction{cursor}")).await.json();
        positions.extend(list["items"].as_array().unwrap().iter().map(|item| item["position"].as_u64().unwrap()));
        let Some(next) = list["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(positions, (0..10).rev().collect::<Vec<_>>());
    for (query, expected) in [
        ("event_type=incident.opened", 1),
        ("entity_id=TX-3&actor_id=usr_1&actor_kind=human", 1),
        ("from_position=3&to_position=5", 3),
        ("correlation_id=cor-1", 11),
        ("start=2026-11-22", 0),
        ("q=order%20stuck", 1),
    ] {
        let list = world.get(&format!("/audit-trail?{query}")).await;
        assert_eq!(list.json()["items"].as_array().map(Vec::len), Some(expected), "{query}: {}", list.text());
    }
}

#[actix_web::test]
async fn predecessors_list_is_bare_and_in_title_case() {
    let world = world().await;
    for path in ["/api/audit_trail", "/v1/api/audit_trail"] {
        let list = world.get(path).await.json();
        assert_eq!(list.as_array().unwrap().len(), 11);
        assert_eq!(list[0]["action"], "Incident Opened");
        assert_eq!((list[0]["entity_type"].as_str(), list[0]["user"].as_str()), (Some("incident"), Some("usr_1")));
        assert!(list[0]["timestamp"].is_string() && list[0]["details"].is_string());
    }
    let tagged = world.get("/api/audit_trail?regulation_tag=FINRA%204511&limit=5").await.json();
    let rows = tagged.as_array().unwrap();
    assert!(!rows.is_empty());
    for row in rows {
        assert!(row["regulation_tags"].as_array().unwrap().contains(&Value::from("FINRA_4511")));
        assert!(["FINRA 4511", "SEC 17a4"].contains(&row["compliance_tag"].as_str().unwrap()), "{row}");
    }
    let opened = world.get("/api/audit_trail?event_type=incident_opened&entity_type=incident&start=2026-11-21").await;
    assert_eq!(opened.json().as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn predecessors_event_types_find_what_they_meant() {
    let world = world().await;
    let acknowledge = IncidentCommand::Acknowledge { note: None };
    world.on_incident("inc_a", acknowledge).await;
    world.catch_up().await;
    for (name, expected) in [
        ("incident_created", &["Incident Opened"][..]),
        ("incident_status_change", &["Incident Acknowledged"]),
        ("incident_escalation", &[]),
        ("incident_assignment", &[]),
        ("incident_comment", &[]),
        ("incident_acknowledged", &["Incident Acknowledged"]),
    ] {
        let list = world.get(&format!("/api/audit_trail?event_type={name}")).await.json();
        let actions: Vec<_> = list.as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap()).collect();
        assert_eq!(actions, expected, "{name}");
    }
}
