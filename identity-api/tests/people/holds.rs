//! Legal holds: placed, extended, released.

use serde_json::json;

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
    let covers = json!([{"kind": "subject", "id": "usr_1"}]);
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
