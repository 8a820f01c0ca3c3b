//! `stats`: counts and exact sums, wherever corrections move them.

use daybook_read_models::stats::{self, Range};
use serde_json::{Value, json};

use crate::support::{MORNING, World, on_every_store, opened, recorded};

on_every_store! {
    sums_are_exact_and_follow_corrections_and_statuses
    sums_may_outgrow_any_single_amount
    the_summary_counts_transactions_and_incidents
}

fn correction(changes: Value) -> [(&'static str, Value); 1] {
    [("corrected", json!({"reason": "Wrong", "changes": changes}))]
}

async fn sums_are_exact_and_follow_corrections_and_statuses(world: World) {
    let projections = world.projections();
    for number in 0..10 {
        world.record(&format!("t-{number}"), "0.1").await;
    }
    projections.catch_up().await.unwrap();
    let all = stats::transactions(&world.db, "main", Range::default()).await.unwrap();
    assert_eq!((all.count, all.by_currency[0].amount_sum.as_str()), (10, "1.00"));

    let amount = json!([{"field": "amount", "old": "0.1", "new": "0.00000001"}]);
    world.append("transaction", "t-0", &correction(amount)).await;
    let currency = json!([{"field": "currency", "old": "USD", "new": "EUR"},
        {"field": "timestamp", "old": "2026-11-20T23:59:59.000000Z", "new": "2026-11-21T00:00:00.000000Z"}]);
    world.append("transaction", "t-1", &correction(currency)).await;
    projections.catch_up().await.unwrap();
    world.append("transaction", "t-2", &[("status_changed", json!({"from": "pending", "to": "failed"}))]).await;
    world.append("transaction", "t-2", &correction(json!([{"field": "amount", "old": "0.1", "new": "-7"}]))).await;
    world.append("transaction", "t-3", &[("note_added", json!({"note_id": "n", "text": "No change"}))]).await;
    // The same name in another type of stream is something else.
    world.append("incident", "t-4", &[("opened", opened("t-4", "Not a transaction", "low"))]).await;
    world.append("transaction", "t-4", &[("status_changed", json!({"from": "pending", "to": "completed"}))]).await;
    projections.catch_up().await.unwrap();

    let all = stats::transactions(&world.db, "main", Range::default()).await.unwrap();
    let cells = |cells: &[stats::AmountCell]| -> Vec<(String, String, u64, String)> {
        let cell =
            |cell: &stats::AmountCell| (cell.key.clone(), cell.currency.clone(), cell.count, cell.amount_sum.clone());
        cells.iter().map(cell).collect()
    };
    let expected = |cells: &[(&str, &str, u64, &str)]| -> Vec<(String, String, u64, String)> {
        cells.iter().map(|(a, b, c, d)| ((*a).to_owned(), (*b).to_owned(), *c, (*d).to_owned())).collect()
    };
    assert_eq!(
        cells(&all.by_status),
        expected(&[
            ("completed", "USD", 1, "0.10"),
            ("failed", "USD", 1, "-7.00"),
            ("pending", "EUR", 1, "0.10"),
            ("pending", "USD", 7, "0.60000001"),
        ])
    );
    assert_eq!(
        cells(&all.by_day),
        expected(&[("2026-11-20", "USD", 9, "-6.29999999"), ("2026-11-21", "EUR", 1, "0.10"),])
    );
    assert_eq!(cells(&all.by_currency), expected(&[("EUR", "EUR", 1, "0.10"), ("USD", "USD", 9, "-6.29999999")]));
    let range = Range { start: Some(MORNING), end: Some(MORNING) };
    assert_eq!(stats::transactions(&world.db, "main", range).await.unwrap().count, 1);
    let none = Range { start: Some(i64::MAX), end: None };
    assert_eq!(stats::transactions(&world.db, "main", none).await.unwrap(), stats::TransactionStats::default());
    world.assert_folding_anew_gives_the_same().await;
}

async fn sums_may_outgrow_any_single_amount(world: World) {
    let commands = (0..1_500).map(|number| {
        let id = format!("t-{number}");
        world.prepare("transaction", &id, &[("recorded", recorded(&id, "999999999999999999.99999999"))])
    });
    world.append_all(commands.collect()).await;
    world.projections().catch_up().await.unwrap();
    let all = stats::transactions(&world.db, "main", Range::default()).await.unwrap();
    assert_eq!(all.by_currency[0].amount_sum, "1499999999999999999999.999985");
    world.assert_folding_anew_gives_the_same().await;
}

async fn the_summary_counts_transactions_and_incidents(world: World) {
    let nothing = {
        world.projections().catch_up().await.unwrap();
        stats::summary(&world.db, "main", Range::default()).await.unwrap()
    };
    assert_eq!((nothing.total_events, nothing.total_findings, nothing.events_over_time.len()), (0, 0, 0));
    for (id, day) in [("t-1", "2026-11-19"), ("t-2", "2026-11-20"), ("t-3", "2026-11-20")] {
        let mut content = recorded(id, "1.00");
        content["timestamp"] = json!(format!("{day}T12:00:00.000000Z"));
        world.append("transaction", id, &[("recorded", content)]).await;
    }
    for (id, severity) in [("inc_1", "low"), ("inc_2", "high"), ("inc_3", "high")] {
        world.append("incident", id, &[("opened", opened(id, "Something", severity))]).await;
    }
    world.append("incident", "inc_3", &[("severity_changed", json!({"from": "high", "to": "critical"}))]).await;
    world
        .append("incident", "inc_3", &[("resolved", json!({"from": "open"})), ("closed", json!({"from": "resolved"}))])
        .await;
    world.projections().catch_up().await.unwrap();
    let summary = stats::summary(&world.db, "main", Range::default()).await.unwrap();
    assert_eq!(
        serde_json::to_value(&summary).unwrap(),
        json!({
            "total_events": 3,
            "total_findings": 3,
            "findings_by_severity": {"low": 1, "medium": 0, "high": 1, "critical": 1},
            "events_over_time": [{"date": "2026-11-19", "count": 1}, {"date": "2026-11-20", "count": 2}],
        })
    );
    let incidents = stats::incidents(&world.db, "main", Range::default()).await.unwrap();
    let statuses: Vec<_> = incidents.by_status.iter().map(|cell| (cell.key.as_str(), cell.count)).collect();
    assert_eq!((incidents.count, statuses), (3, vec![("closed", 1), ("open", 2)]));
    assert_eq!(incidents.by_day[0].key, "2026-11-21");
    world.assert_folding_anew_gives_the_same().await;
}
