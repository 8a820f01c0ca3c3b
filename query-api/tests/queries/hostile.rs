//! What a client should not send is a 400 that names it, and never a 5xx.

use crate::world::World;

const LISTS: [&str; 6] = [
    "/v1/transactions",
    "/v1/incidents",
    "/v1/audit-trail",
    "/v1/stats/transactions",
    "/v1/stats/incidents",
    "/stats/summary",
];

#[actix_web::test]
async fn unknown_parameter_is_named_on_every_list() {
    let world = World::new().await;
    let further = ["/api/audit_trail", "/v1/stream", "/v1/ledgers/main/entries", "/v1/incidents/x/timeline"];
    for path in LISTS.into_iter().chain(further) {
        let answer = world.get(&format!("{path}?colour=red")).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type").as_deref(), Some("application/problem+json"));
        assert_eq!(answer.json()["errors"][0]["pointer"], "?colour", "{path}");
        assert!(answer.json()["request_id"].is_string());
    }
}

#[actix_web::test]
async fn unknown_parameter_is_named_where_there_are_none() {
    let world = World::new().await;
    world.ten().await;
    for path in [
        "/v1/incidents/x",
        "/v1/transactions/TX-1",
        "/transactions/TX-1",
        "/v1/ledgers",
        "/v1/ledgers/main/head",
        "/v1/ledgers/main/entries/0",
        "/v1/ledgers/main/streams/transaction/TX-1",
        "/v1/projections",
    ] {
        let answer = world.get(&format!("{path}?colour=red")).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
        assert_eq!(answer.json()["code"], "request.unknown_parameter", "{path}");
        assert_eq!(answer.json()["errors"][0]["pointer"], "?colour", "{path}");
        assert_ne!(world.get(path).await.status, 400, "{path}");
    }
    assert_eq!(world.send("GET", "/v1/projections?colour=red", &[]).await.status, 401, "who asks comes first");
}

#[actix_web::test]
async fn probes_take_any_parameter() {
    let world = World::new().await;
    for path in ["/", "/health", "/v1/health/live", "/metrics"] {
        assert_eq!(world.get(&format!("{path}?from=probe")).await.status, 200, "{path}");
    }
}

#[actix_web::test]
async fn malformed_parameters_are_400() {
    let world = World::new().await;
    world.ten().await;
    for query in [
        "limit=0",
        "limit=501",
        "limit=99999999999999999999",
        "limit=-1",
        "limit=abc",
        "offset=-1",
        "offset=1000001",
        "page=0",
        "page=x",
        "cursor=zzz",
        "cursor=%00",
        "cursor=cDE4NDQ2NzQ0MDczNzA5NTUxNjE2",
        "count=maybe",
        "limit=5&limit=6",
        "cursor=a&offset=1",
        "start=yesterday",
        "end=2026-02-30",
        "start=2026-11-22&end=2026-11-21",
        "status=%27%20or%201%3D1",
        "q=%00",
    ] {
        for path in ["/v1/transactions", "/v1/incidents"] {
            let answer = world.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.status, 400, "{path}?{query}: {}", answer.text());
            assert!(answer.json()["code"].as_str().unwrap().starts_with("request."));
        }
    }
    for (path, query) in [
        ("/v1/transactions", "min_amount=1e9"),
        ("/v1/transactions", "max_amount=NaN"),
        ("/v1/transactions", "type=a&transaction_type=b"),
        ("/v1/incidents", "priority=6"),
        ("/v1/incidents", "severity=worst"),
        ("/v1/incidents", "escalated=perhaps"),
        ("/v1/incidents", "status=escalated&escalated=false"),
        ("/v1/audit-trail", "actor_kind=dog"),
        ("/v1/audit-trail", "regulation_tag=a,b"),
        ("/v1/audit-trail", "from_position=5&to_position=4"),
        ("/v1/audit-trail", "from_position=-1"),
        ("/api/audit_trail", "limit=501"),
        ("/v1/stats/transactions", "group_by=account"),
        ("/v1/stats/incidents", "group_by=currency"),
        ("/v1/ledgers/main/entries", "limit=100001"),
        ("/v1/ledgers/main/entries", "limit=0"),
        ("/v1/ledgers/main/entries", "from=x"),
        ("/v1/ledgers/main/entries", "from=5&to=4"),
        ("/v1/ledgers/main/entries", "stream_id=TX-1"),
        ("/v1/ledgers/main/entries", "at=now"),
        ("/v1/stream", "from=11"),
        ("/v1/stream", "topics=Tran%20saction"),
    ] {
        let answer = world.get(&format!("{path}?{query}")).await;
        assert_eq!(answer.status, 400, "{path}?{query}: {}", answer.text());
        assert!(answer.json()["errors"][0]["pointer"].as_str().unwrap().starts_with('?'), "{path}?{query}");
    }
}

#[actix_web::test]
async fn wrong_number_in_a_list_names_its_parameter() {
    let world = World::new().await;
    let answer = world.get("/v1/ledgers/main/entries?from=x").await;
    assert_eq!(answer.json()["errors"][0]["pointer"], "?from");
    for list in ["/v1/transactions", "/v1/incidents", "/v1/audit-trail"] {
        for (name, value) in [("limit", "501"), ("limit", "abc"), ("offset", "-1"), ("count", "maybe"), ("cursor", "!")]
        {
            let answer = world.get(&format!("{list}?q=x&{name}={value}")).await;
            assert_eq!(answer.json()["errors"][0]["pointer"], format!("?{name}"), "{list} {name}={value}");
        }
        let repeated = world.get(&format!("{list}?limit=1&q=x&limit=2")).await;
        assert_eq!(repeated.json()["code"], "request.repeated_parameter", "{list}");
    }
}

#[actix_web::test]
async fn sql_in_text_is_only_text() {
    let world = World::new().await;
    world.ten().await;
    for text in ["%27%3B%20drop%20table%20transactions%3B--", "%25", "_", "%5C", "%22", "%F0%9F%92%A9", "%FF"] {
        for (path, name) in [
            ("/v1/transactions", "q"),
            ("/v1/transactions", "account"),
            ("/v1/incidents", "q"),
            ("/v1/incidents", "desk"),
            ("/v1/audit-trail", "entity_id"),
            ("/v1/audit-trail", "regulation_tag"),
        ] {
            let answer = world.get(&format!("{path}?{name}={text}")).await;
            assert_eq!(answer.status, 200, "{path}?{name}={text}: {}", answer.text());
            assert_eq!(answer.json()["items"].as_array().unwrap().len(), 0, "{path}?{name}={text}");
        }
        assert_eq!(world.get(&format!("/v1/audit-trail?q={text}")).await.status, 200);
        assert_eq!(world.get(&format!("/v1/transactions/{text}")).await.status, 404);
        assert_eq!(world.get(&format!("/v1/incidents/{text}/timeline")).await.status, 200);
    }
    assert_eq!(world.get("/v1/transactions?count=true").await.json()["total"], 10);
}

#[actix_web::test]
async fn far_cursors_and_positions_are_empty_and_not_errors() {
    let world = World::new().await;
    world.ten().await;
    // The text of the cursors for 0 and for the largest number.
    for cursor in ["cDA", "cDE4NDQ2NzQ0MDczNzA5NTUxNjE1"] {
        let answer = world.get(&format!("/v1/transactions?cursor={cursor}")).await;
        assert_eq!(answer.status, 200, "{cursor}: {}", answer.text());
    }
    assert_eq!(world.get("/v1/audit-trail?from_position=18446744073709551615").await.status, 200);
    assert_eq!(world.get("/v1/ledgers/main/entries?from=18446744073709551615").await.text(), "");
    assert_eq!(world.get("/v1/ledgers/main/entries/18446744073709551615").await.status, 404);
    assert_eq!(world.get("/v1/ledgers/main/entries/abc").await.status, 400);
}

#[actix_web::test]
async fn credentials_are_needed_everywhere_but_for_health() {
    let world = World::new().await;
    let document = serde_json::to_value(daybook_query_api::openapi()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let path = path.replace("{ledger_id}", "main").replace("{position}", "0").replace(['{', '}'], "");
            let answer = world.send(&method.to_uppercase(), &path, &[]).await;
            let public = operation.get("security").is_some();
            assert_eq!(answer.status == 401, !public, "{method} {path}: {}", answer.status);
        }
    }
}

#[actix_web::test]
async fn viewer_sees_no_payloads_and_rebuilds_nothing() {
    let world = World::new().await;
    world.ten().await;
    for path in ["/v1/transactions", "/v1/incidents", "/v1/stats/summary", "/v1/ledgers", "/v1/ledgers/main/head"] {
        assert_eq!(world.get_as("viewer", path).await.status, 200, "{path}");
    }
    for path in ["/v1/ledgers/main/entries", "/v1/ledgers/main/entries/0", "/v1/audit-trail", "/v1/projections"] {
        let answer = world.get_as("viewer", path).await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.json()["missing_permission"].is_string());
    }
    let headers = [("x-user-email", "c@example.com"), ("x-user-role", "compliance")];
    assert_eq!(world.send("POST", "/v1/projections/transactions/rebuild", &headers).await.status, 403);
}
