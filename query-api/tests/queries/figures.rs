//! Figures: exact sums, any grouping, and links that lead to exactly the records counted.

use daybook_domain::IncidentCommand;
use daybook_domain::incident::Severity;
use serde_json::{Value, json};

use crate::world::World;

async fn world() -> World {
    let world = World::new().await;
    world.ten().await;
    world.open("inc_a", "Order stuck", Severity::High).await;
    world.open("inc_b", "Latency", Severity::Low).await;
    world.open("inc_c", "Spike", Severity::High).await;
    world.on_incident("inc_b", IncidentCommand::Acknowledge { note: None }).await;
    world.catch_up().await;
    world
}

#[actix_web::test]
async fn summary_has_exactly_the_predecessors_shape() {
    let world = world().await;
    for path in ["/stats/summary", "/v1/stats/summary"] {
        assert_eq!(
            world.get(path).await.json(),
            json!({
                "total_events": 10, "total_findings": 3,
                "findings_by_severity": {"low": 1, "medium": 0, "high": 2, "critical": 0},
                "events_over_time": [{"date": "2026-11-10", "count": 5}, {"date": "2026-11-11", "count": 5}],
            })
        );
    }
}

#[actix_web::test]
async fn transactions_are_summed_exactly_by_every_combination() {
    let world = world().await;
    for (group_by, rows) in [
        ("currency", 2),
        ("status", 3),
        ("day", 4),
        ("day,status", 6),
        ("day|status|currency", 6),
        ("status,currency", 3),
    ] {
        let figures = world.get(&format!("/v1/stats/transactions?group_by={group_by}")).await.json();
        assert_eq!(figures["count"], 10, "{group_by}");
        assert_eq!(figures["rows"].as_array().unwrap().len(), rows, "{group_by}: {figures}");
        for row in figures["rows"].as_array().unwrap() {
            assert_records_match(&world, row).await;
        }
    }
    let by_currency = world.get("/v1/stats/transactions?group_by=currency").await.json();
    let sums: Vec<_> = by_currency["rows"].as_array().unwrap().iter().map(|row| &row["amount_sum"]).collect();
    // 100.10 + 400.10 + 700.10, and the other seven.
    assert_eq!(sums, [&json!("1200.30"), &json!("3300.70")]);
}

#[actix_web::test]
async fn incidents_are_counted_by_every_combination() {
    let world = world().await;
    for (group_by, rows) in
        [("severity", 2), ("status", 2), ("day", 1), ("severity,status", 2), ("day,severity,status", 2)]
    {
        let figures = world.get(&format!("/v1/stats/incidents?group_by={group_by}")).await.json();
        assert_eq!((&figures["count"], figures["rows"].as_array().unwrap().len()), (&json!(3), rows), "{figures}");
        for row in figures["rows"].as_array().unwrap() {
            assert_records_match(&world, row).await;
        }
    }
}

#[actix_web::test]
async fn range_of_days_limits_figures_and_links_alike() {
    let world = world().await;
    let query = "group_by=currency&start=2026-11-11T15:00:00Z&end=2026-11-11T15:00:01Z";
    let figures = world.get(&format!("/v1/stats/transactions?{query}")).await.json();
    assert_eq!(figures["count"], 5);
    for row in figures["rows"].as_array().unwrap() {
        assert_records_match(&world, row).await;
    }
    assert_eq!(world.get("/stats/summary?start=2027-01-01").await.json()["total_events"], 0);
}

/// The link leads to as many records as were counted.
async fn assert_records_match(world: &World, row: &Value) {
    let link = row["links"]["records"].as_str().unwrap();
    let separator = if link.contains('?') { '&' } else { '?' };
    let list = world.get(&format!("{link}{separator}count=true")).await;
    assert_eq!(list.json()["total"], row["count"], "{link}");
}
