//! Legal holds: placed, extended, released.

use serde_json::{Value, json};

use crate::common::*;

#[actix_web::test]
async fn hold_is_placed_extended_and_released() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let vic = world.member("main", "vic@example.com", "viewer").await;
    world.member("main", "cleo@example.com", "compliance").await;
    let token = world.token("main", "cleo@example.com").await;
    let body = json!({"matter": "SEC 114", "reason": "Subpoena", "covers": [{"kind": "subject", "id": vic}]});
    let answer = world.post("/v1/legal-holds", &token, body).await;
    let placed = answer.ok(201);
    let id = placed["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("hld_") && answer.header("location").unwrap().ends_with(&id));
    assert_eq!((&placed["status"], placed["covers"].as_array().unwrap().len()), (&json!("in_force"), 1));
    let path = format!("/legal-holds/{id}");
    world.record("main", "transaction", "tx-1").await;
    let more = json!({"covers": [{"kind": "stream", "stream_type": "transaction", "stream_id": "tx-1"}]});
    assert_eq!(
        world.post(&format!("{path}/extend"), &token, more.clone()).await.ok(200)["covers"].as_array().unwrap().len(),
        2
    );
    let before = world.entries("main").await.len();
    world.post(&format!("{path}/extend"), &token, more.clone()).await.ok(200);
    assert_eq!(world.entries("main").await.len(), before, "what is covered already changes nothing");
    assert_eq!(world.get(&format!("/legal-holds?subject={vic}&status=in_force"), &token).await.ok(200)["total"], 1);
    let release = json!({"reason": "Settled"});
    let released = world.post(&format!("{path}/release"), &token, release.clone()).await.ok(200);
    assert!(released["released_at"].is_string() && released["status"] == "released");
    world.post(&format!("{path}/release"), &token, release).await.problem(422, "legal_hold.released");
    world.post(&format!("{path}/extend"), &token, more).await.problem(422, "legal_hold.released");
    assert_eq!(world.get(&path, &token).await.ok(200)["status"], "released");
}

#[actix_web::test]
async fn holds_are_checked_and_guarded() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    world.member("main", "ann@example.com", "analyst").await;
    let owner = world.token("main", "olga@example.com").await;
    let olga = world.state.organizations.get(&"main".parse().unwrap()).unwrap().directory.now().owners(0);
    let covers = json!([{"kind": "subject", "id": olga[0]}]);
    for (bad, status) in [
        (json!({"matter": "", "reason": "r", "covers": covers}), 400),
        (json!({"matter": "m", "covers": covers}), 400),
        (json!({"matter": "m", "reason": "r", "covers": []}), 422),
        (json!({"matter": "m", "reason": "r", "covers": [{"kind": "planet", "id": "x"}]}), 400),
        (json!({"matter": "m", "reason": "r", "covers": [{"kind": "stream", "stream_type": "transaction"}]}), 400),
    ] {
        assert_eq!(world.post("/legal-holds", &owner, bad.clone()).await.status, status, "{bad}");
    }
    world.get("/legal-holds?status=asleep", &owner).await.problem(400, "request.invalid_parameter");
    world.get("/legal-holds/hld_none", &owner).await.problem(404, "legal_hold.not_found");
    let nothing = json!({"reason": "r"});
    world.post("/legal-holds/hld_none/release", &owner, nothing).await.problem(404, "legal_hold.not_found");
    let analyst = world.token("main", "ann@example.com").await;
    world.get("/legal-holds", &analyst).await.problem(403, "permission.denied");
    let body = json!({"matter": "m", "reason": "r", "covers": covers});
    world.post("/legal-holds", &analyst, body).await.problem(403, "permission.denied");
}

#[actix_web::test]
async fn hold_covers_nobody_and_nothing_that_is_not_there() {
    let world = world().await;
    let olga = world.owner("main", "olga@example.com").await;
    let owner = world.token("main", "olga@example.com").await;
    world.record("main", "transaction", "tx-1").await;
    let key = world.post("/api-keys", &owner, json!({"name": "feed", "scopes": ["user:list"]})).await.text("/id");
    let stream = |kind: &str, id: &str| json!({"kind": "stream", "stream_type": kind, "stream_id": id});
    let subject = |id: &str| json!({"kind": "subject", "id": id});
    let place = |covers: Value| json!({"matter": "M", "reason": "r", "covers": covers});
    let fine = json!([subject(&olga), subject(&key), stream("transaction", "tx-1"), stream("user", &olga)]);
    let hold = world.post("/legal-holds", &owner, place(fine)).await.text("/id");
    let before = world.entries("main").await.len();
    for (cover, field) in [
        (subject("olga@example.com"), "id"),
        (subject("Olga Owner"), "id"),
        (subject("usr_000000000000000000000000"), "id"),
        (subject("key_000000000000"), "id"),
        (stream("transactions", "tx-1"), "stream_type"),
        (stream("transaction", "tx-2"), "stream_id"),
        (stream("incident", "tx-1"), "stream_id"),
    ] {
        let covers = json!([subject(&olga), cover]);
        for (path, body) in [
            ("/legal-holds".to_owned(), place(covers.clone())),
            (format!("/legal-holds/{hold}/extend"), json!({"covers": covers})),
        ] {
            let problem = world.post(&path, &owner, body).await.problem(422, "legal_hold.unknown_cover");
            let pointer = format!("/covers/1/{field}");
            assert_eq!(problem["errors"][0]["pointer"], json!(pointer), "{problem}");
            assert!(
                problem["detail"].as_str().unwrap().starts_with(&pointer),
                "what people read says which: {problem}"
            );
        }
    }
    assert_eq!(world.entries("main").await.len(), before);
}
