//! Metrics under their names, with the labels they are asked for by.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

#[test]
fn metrics_are_rendered_under_their_names() {
    let telemetry = Telemetry::new().unwrap();
    telemetry.http().record("GET", "/v1/transactions/{id}", 200, Duration::from_millis(3));
    let main = LedgerId::main();
    let sequencer = telemetry.sequencer(&main);
    sequencer.committed(2, 5, Duration::from_millis(1));
    sequencer.refused("queue_full");
    sequencer.queued(3);
    telemetry.observe_projectors(&main, || {
        vec![ProjectorReading { projector: "transactions".to_owned(), position: 7, lag: 2 }]
    });
    telemetry.observe_checkpoints(&main, || CheckpointReading { latest: Some((9, 4)), is_refused: true });
    let checkpoints = telemetry.checkpoints(&main);
    checkpoints.signed(9, Duration::from_millis(2));
    checkpoints.failed("refused");
    let text = telemetry.render().unwrap();
    for line in [
        r#"daybook_checkpoint_size{ledger="main"} 9"#,
        r#"daybook_checkpoint_age_seconds{ledger="main"} 4"#,
        r#"daybook_checkpoint_refused{ledger="main"} 1"#,
        r#"daybook_checkpoint_duration_ms_count{ledger="main"} 1"#,
        r#"daybook_checkpoint_failures_total{ledger="main",reason="refused"} 1"#,
        r#"http_requests_total{http_method="GET",http_route="/v1/transactions/{id}",http_status_code="200"} 1"#,
        r#"http_request_duration_ms_count{http_method="GET",http_route="/v1/transactions/{id}",http_status_code="200"} 1"#,
        r#"daybook_ledger_commits_total{ledger="main"} 1"#,
        r#"daybook_ledger_entries_per_commit_bucket{ledger="main",le="8"} 1"#,
        r#"daybook_ledger_entries_per_commit_bucket{ledger="main",le="4"} 0"#,
        r#"daybook_ledger_commit_duration_ms_count{ledger="main"} 1"#,
        r#"daybook_ledger_queue_depth{ledger="main"} 3"#,
        r#"daybook_ledger_rejected_total{ledger="main",reason="queue_full"} 1"#,
        r#"daybook_projector_position{ledger="main",projector="transactions"} 7"#,
        r#"daybook_projector_lag{ledger="main",projector="transactions"} 2"#,
    ] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
}

#[test]
fn each_ledger_has_series_of_its_own() {
    let telemetry = Telemetry::new().unwrap();
    telemetry.http().record("GET", "/v1/transactions", 200, Duration::from_millis(3));
    for (id, size) in [("acme", 7), ("other", 9)] {
        let id: LedgerId = id.parse().unwrap();
        telemetry.sequencer(&id).committed(1, size, Duration::from_millis(1));
        let position = u64::try_from(size).unwrap();
        telemetry.observe_projectors(&id, move || {
            vec![ProjectorReading { projector: "incidents".to_owned(), position, lag: 0 }]
        });
    }
    let all = telemetry.render().unwrap();
    for line in [
        r#"daybook_projector_position{ledger="acme",projector="incidents"} 7"#,
        r#"daybook_projector_position{ledger="other",projector="incidents"} 9"#,
    ] {
        assert!(all.contains(line), "{all}");
    }
    let own = telemetry.render_of(&"acme".parse().unwrap()).unwrap();
    assert!(own.contains(r#"daybook_ledger_commits_total{ledger="acme"} 1"#), "{own}");
    assert!(own.contains(r#"daybook_projector_position{ledger="acme",projector="incidents"} 7"#), "{own}");
    assert!(!own.contains("other") && !own.contains("http_requests_total"), "{own}");
}

#[test]
fn gauges_of_a_ledger_that_is_opened_again_are_there_once_and_go_with_it() {
    let telemetry = Telemetry::new().unwrap();
    let acme: LedgerId = "acme".parse().unwrap();
    let held = Arc::new(());
    for value in [1, 2] {
        let held = Arc::clone(&held);
        telemetry.observe_ledger_gauge(&acme, "daybook_test", "A test", move || {
            let _ = &held;
            value
        });
    }
    assert_eq!(Arc::strong_count(&held), 2, "what was read before is let go of");
    let text = telemetry.render().unwrap();
    assert_eq!(text.matches("daybook_test{").count(), 1, "{text}");
    assert!(text.contains(r#"daybook_test{ledger="acme"} 2"#), "{text}");
    telemetry.forget_gauges(&acme);
    assert_eq!(Arc::strong_count(&held), 1);
    assert!(!telemetry.render().unwrap().contains("daybook_test{"));
    telemetry.observe_ledger_gauge(&acme, "daybook_test", "A test", || 3);
    assert!(telemetry.render().unwrap().contains(r#"daybook_test{ledger="acme"} 3"#));
}

#[test]
fn metrics_are_local_only_without_a_proxy_in_between() {
    let request = |peer: &str| actix_web::test::TestRequest::default().peer_addr(peer.parse().unwrap());
    assert!(is_local(&request("127.0.0.1:9").to_http_request()));
    assert!(is_local(&request("[::ffff:127.0.0.1]:9").to_http_request()));
    assert!(!is_local(&request("192.0.2.1:9").to_http_request()));
    for name in FORWARDING {
        let passed_on = request("127.0.0.1:9").insert_header((name, "192.0.2.1"));
        assert!(!is_local(&passed_on.to_http_request()), "{name}");
    }
}
