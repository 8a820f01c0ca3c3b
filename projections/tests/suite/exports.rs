//! `exports`: rows, deliveries and filters.

use daybook_read_models::PageRequest;
use daybook_read_models::exports::{self, ExportFilter};
use serde_json::{Value, json};

use crate::support::{World, on_every_store};

on_every_store! {
    an_export_follows_its_events_and_its_deliveries_tell_their_attempts
    exports_are_found_by_what_they_are_now
    progress_is_read_where_somebody_keeps_it
}

const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const NOON: &str = "2026-11-21T12:00:00.000000Z";

fn requested(id: &str, kind: &str, by: &str, deliver_to: &[&str]) -> Value {
    json!({
        "export_id": id, "kind": kind, "format": "csv", "filters": {"status": "pending"}, "requested_by": by,
        "person": format!("{by}_p"), "approval_id": "apr_1", "deliver_to": deliver_to, "digest": DIGEST,
        "reason": "For the audit",
    })
}

fn approved() -> Value {
    json!({"approval_id": "apr_1", "execution_id": "exp_1", "policy_version": 2, "approved_by": ["usr_9"], "at": NOON})
}

fn generated(id: &str) -> Value {
    json!({
        "attempt": 1, "file": format!("{id}.1.csv"), "bytes": 1000, "rows": 10, "blake3": DIGEST, "sha256": DIGEST,
        "manifest": {"file": format!("{id}.1.manifest.json"), "blake3": DIGEST, "sha256": DIGEST},
        "signature": {"algorithm": "ecdsa-p256-sha256", "key_id": "0a1b2c3d", "file": format!("{id}.1.sig"), "value": "MEUC"},
        "range": {"first": 0, "last": 9, "first_hash": DIGEST, "last_hash": DIGEST},
        "at": NOON,
    })
}

fn attempted(delivery: &str, destination: &str, attempt: u64, outcome: &str) -> Value {
    json!({
        "delivery_id": delivery, "destination": destination, "attempt": attempt, "outcome": outcome, "detail": outcome,
        "retry_at": (outcome == "failed").then_some("2026-11-21T12:05:00.000000Z"), "at": NOON,
    })
}

async fn an_export_follows_its_events_and_its_deliveries_tell_their_attempts(world: World) {
    let projections = world.projections();
    let scheduled =
        |id: &str, to: &str| ("delivery_scheduled", json!({"delivery_id": id, "destination": to, "why": "first"}));
    let steps = [
        ("requested", requested("exp_1", "transactions", "usr_1", &["archive", "mail"])),
        ("approved", approved()),
        ("generation_started", json!({"attempt": 1, "fence": 7, "at": NOON})),
        ("generation_failed", json!({"attempt": 1, "why": "disk full", "is_final": false, "at": NOON})),
        ("generation_started", json!({"attempt": 2, "fence": 7, "at": NOON})),
        ("generated", json!({"attempt": 2})),
        scheduled("dlv_1", "archive"),
        scheduled("dlv_2", "mail"),
        ("delivery_attempted", attempted("dlv_1", "archive", 1, "failed")),
        ("delivery_attempted", attempted("dlv_1", "archive", 2, "delivered")),
        ("delivery_attempted", attempted("dlv_2", "mail", 1, "dead")),
        ("verified", json!({"result": "tampered", "findings": ["file_changed"], "by": "usr_9", "at": NOON})),
    ];
    for (name, payload) in steps {
        let payload = if name == "generated" { generated("exp_1") } else { payload };
        world.append("export", "exp_1", &[(name, payload)]).await;
        projections.catch_up().await.unwrap();
    }
    let row = exports::get(&world.db, "main", "exp_1").await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.delivery_status.as_str()), ("generated", "partial"));
    assert_eq!((row.verification_status.as_str(), &row.findings), ("tampered", &json!(["file_changed"])));
    assert_eq!((row.requested_by.as_str(), row.requester_person.as_str()), ("usr_1", "usr_1_p"));
    assert_eq!((&row.filters, &row.columns, row.collect), (&json!({"status": "pending"}), &json!([]), false));
    assert_eq!((row.rows, row.bytes, row.file.as_deref()), (Some(10), Some(1000), Some("exp_1.1.csv")));
    assert_eq!((row.attempt, row.why.as_deref(), row.policy_version), (2, None, Some(2)));
    assert_eq!((&row.approved_by, &row.deliver_to), (&json!(["usr_9"]), &json!(["archive", "mail"])));
    assert_eq!(row.generated.as_ref().unwrap()["signature"]["key_id"], "0a1b2c3d");
    assert!(row.delivered_at.is_some() && row.verified_at.is_some() && row.ended_at.is_none());
    assert_eq!((row.version, row.first_position, row.last_position), (12, 0, 11));

    let (deliveries, total) = exports::deliveries(&world.db, "main", "exp_1").await.unwrap();
    assert_eq!((deliveries.len(), total), (2, 2));
    let told: Vec<_> =
        deliveries.iter().map(|row| (&*row.delivery_id, &*row.status, row.attempts, row.retry_at)).collect();
    assert_eq!(told, [("dlv_1", "delivered", 2, None), ("dlv_2", "dead", 1, None)]);
    assert_eq!(deliveries[0].history.as_array().unwrap().len(), 2);
    assert_eq!(deliveries[0].history[0]["retry_at"], "2026-11-21T12:05:00.000000Z");
    assert_eq!((&deliveries[0].history[1]["position"], deliveries[1].detail.as_deref()), (&json!(9), Some("dead")));

    let removed = json!({"by": "usr_9", "why": "Its time is over", "at": NOON});
    world.append("export", "exp_1", &[("removed", removed)]).await;
    projections.catch_up().await.unwrap();
    let row = exports::get(&world.db, "main", "exp_1").await.unwrap().unwrap();
    assert_eq!((row.status.as_str(), row.why.as_deref()), ("removed", Some("Its time is over")));
    assert!(row.ended_at.is_some() && row.file.is_some());
    world.assert_folding_anew_gives_the_same().await;
}

async fn exports_are_found_by_what_they_are_now(world: World) {
    world.append("export", "exp_1", &[("requested", requested("exp_1", "transactions", "usr_1", &["mail"]))]).await;
    world.append("export", "exp_2", &[("requested", requested("exp_2", "users", "usr_2", &[]))]).await;
    world.append("export", "exp_2", &[("rejected", json!({"approval_id": "apr_1", "why": "expired"}))]).await;
    world.append("export", "exp_3", &[("requested", requested("exp_3", "users", "usr_1", &[]))]).await;
    world.append("export", "exp_3", &[("approved", approved())]).await;
    world.projections().catch_up().await.unwrap();
    let some = |text: &str| Some(text.to_owned());
    let none = ExportFilter::default;
    for (filter, found) in [
        (none(), vec!["exp_3", "exp_2", "exp_1"]),
        (ExportFilter { kind: some("users"), ..none() }, vec!["exp_3", "exp_2"]),
        (ExportFilter { statuses: vec!["rejected".to_owned()], ..none() }, vec!["exp_2"]),
        (ExportFilter { delivery_status: some("pending"), ..none() }, vec!["exp_1"]),
        (ExportFilter { verification_status: some("unverified"), ..none() }, vec!["exp_3", "exp_2", "exp_1"]),
        (ExportFilter { requested_by: some("usr_2_p"), ..none() }, vec!["exp_2"]),
        (ExportFilter { only_of: some("usr_1"), requested_by: some("usr_1_p"), ..none() }, vec!["exp_3", "exp_1"]),
        (ExportFilter { only_of: some("usr_1_p"), ..none() }, vec![]),
        (ExportFilter { approval_id: some("apr_1"), format: some("json"), ..none() }, vec![]),
        (ExportFilter { start: Some(i64::MAX), ..none() }, vec![]),
    ] {
        let page = exports::list(&world.db, "main", &filter, &PageRequest::default()).await.unwrap();
        let ids: Vec<&str> = page.items.iter().map(|row| row.export_id.as_str()).collect();
        assert_eq!(ids, found, "{filter:?}");
    }
    let row = exports::get(&world.db, "main", "exp_2").await.unwrap().unwrap();
    assert_eq!((row.why.as_deref(), row.ended_at.is_some()), (Some("expired"), true));
    world.assert_folding_anew_gives_the_same().await;
}

async fn progress_is_read_where_somebody_keeps_it(world: World) {
    assert_eq!(exports::progress(&world.db, "main", "exp_1").await.unwrap(), None);
    let script = include_str!("../../../migrations/read/0003_export_work.sql");
    let statements: Vec<&str> = script.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    for statement in statements.join("\n").split(';').filter(|statement| !statement.trim().is_empty()) {
        world.execute(statement).await;
    }
    assert_eq!(exports::progress(&world.db, "main", "exp_1").await.unwrap(), None);
    world.execute("insert into export_progress values ('main', 'exp_1', 250000, 17)").await;
    assert_eq!(exports::progress(&world.db, "main", "exp_1").await.unwrap(), Some((250_000, 17)));
    assert_eq!(exports::progress(&world.db, "other", "exp_1").await.unwrap(), None);
}
