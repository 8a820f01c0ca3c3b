//! Keeping people out and letting them in again; their sessions and second factors.

use serde_json::json;

use crate::common::*;

#[actix_web::test]
async fn deactivation_ends_everything_at_once() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let adam = world.member("main", "adam@example.com", "admin").await;
    let owner = world.token("main", "olga@example.com").await;
    let login = world.login("main", "adam@example.com").await;
    let admin = login["access_token"].as_str().unwrap().to_owned();
    let made = world.post("/api-keys", &admin, json!({"name": "feed", "scopes": ["user:list"]})).await.ok(201);
    let key = made["key_value"].as_str().unwrap().to_owned();
    world.get("/users", &key).await.ok(200);
    let path = format!("/users/{adam}/deactivate");
    let done = world.post(&path, &owner, json!({"reason": "left"})).await.ok(200);
    assert_eq!((&done["status"], &done["is_active"]), (&json!("deactivated"), &json!(false)));
    assert_eq!(world.get("/users", &admin).await.status, 401);
    assert_eq!(world.get("/users", &key).await.status, 401);
    let refresh = json!({"refresh_token": login["refresh_token"]});
    assert_eq!(world.post_open("/auth/refresh", refresh).await.status, 401);
    let again = json!({"email": "adam@example.com", "password": PASSWORD});
    assert_eq!(world.post_open("/auth/login", again.clone()).await.status, 401);
    assert_eq!(world.events("main", "session.ended").await[0]["reason"], "deactivated");
    assert_eq!(world.events("main", "api_key.revoked").await.len(), 1);
    // Done again it changes nothing.
    let before = world.entries("main").await.len();
    world.post(&path, &owner, json!({})).await.ok(200);
    assert_eq!(world.entries("main").await.len(), before);
    world.post(&format!("/users/{adam}/reactivate"), &owner, json!({})).await.ok(200);
    world.login("main", "adam@example.com").await;
    assert_eq!(world.get("/users", &admin).await.status, 401, "sessions stay ended");
    assert_eq!(world.get("/users", &key).await.status, 401, "keys stay revoked");
    world.post(&format!("/users/{adam}/reactivate"), &owner, json!({})).await.problem(422, "user.already_active");
}

#[actix_web::test]
async fn predecessors_way_to_keep_somebody_out() {
    let world = world().await;
    let olga = world.owner("main", "olga@example.com").await;
    let vic = world.member("main", "vic@example.com", "viewer").await;
    let owner = world.token("main", "olga@example.com").await;
    let out = world.put(&format!("/auth/users/{vic}/deactivate"), &owner, json!({})).await.ok(200);
    assert_eq!((&out["id"], &out["email"], &out["is_active"]), (&json!(vic), &json!("vic@example.com"), &json!(false)));
    world.put(&format!("/auth/users/{vic}/deactivate"), &owner, json!({})).await.ok(200);
    let oneself = format!("/auth/users/{olga}/deactivate");
    world.put(&oneself, &owner, json!({})).await.problem(400, "user.self_deactivation");
    world.post(&format!("/users/{olga}/deactivate"), &owner, json!({})).await.problem(400, "user.self_deactivation");
    world.put("/auth/users/usr_nobody/deactivate", &owner, json!({})).await.problem(404, "user.not_found");
}

#[actix_web::test]
async fn nobody_gives_back_more_than_he_may() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let adam = world.member("main", "adam@example.com", "admin").await;
    let otto = world.member("main", "otto@example.com", "owner").await;
    let guard = world.member("main", "guard@example.com", "viewer").await;
    let owner = world.token("main", "olga@example.com").await;
    let body = json!({"name": "doorkeeper", "inherits": ["viewer"], "permissions": ["user:delete"]});
    world.post("/rbac/roles", &owner, body).await.ok(201);
    world.post(&format!("/users/{guard}/grants"), &owner, json!({"role": "doorkeeper"})).await.ok(200);
    let token = world.token("main", "guard@example.com").await;
    world.post(&format!("/users/{adam}/deactivate"), &token, json!({})).await.ok(200);
    let back = format!("/users/{adam}/reactivate");
    world.post(&back, &token, json!({})).await.problem(403, "rbac.exceeds_own");
    world.post(&back, &owner, json!({})).await.ok(200);
    world.post(&format!("/users/{otto}/deactivate"), &token, json!({})).await.problem(403, "rbac.owner_only");
    world.post(&format!("/users/{otto}/deactivate"), &owner, json!({})).await.ok(200);
    let admin = world.token("main", "adam@example.com").await;
    world.post(&format!("/users/{otto}/reactivate"), &admin, json!({})).await.problem(403, "rbac.owner_only");
}

#[actix_web::test]
async fn sessions_of_others_are_seen_and_ended() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let vic = world.member("main", "vic@example.com", "viewer").await;
    let owner = world.token("main", "olga@example.com").await;
    let viewer = world.token("main", "vic@example.com").await;
    world.login("main", "vic@example.com").await;
    let path = format!("/users/{vic}/sessions");
    let sessions = world.get(&path, &owner).await.ok(200);
    assert_eq!(sessions["total"], 2);
    assert!(sessions["items"][0]["session_id"].as_str().unwrap().starts_with("ses_"));
    world.get(&path, &viewer).await.problem(403, "permission.denied");
    world.delete(&path, &viewer).await.problem(403, "permission.denied");
    assert_eq!(world.delete(&path, &owner).await.ok(200)["ended"], 2);
    assert_eq!(world.get("/auth/me", &viewer).await.status, 401);
    assert_eq!(world.get(&path, &owner).await.ok(200)["total"], 0);
    assert_eq!(world.delete(&path, &owner).await.ok(200)["ended"], 0);
    assert_eq!(world.events("main", "session.ended").await.len(), 2);
}

#[actix_web::test]
async fn second_factors_are_removed_for_who_lost_them() {
    use daybook_domain::user::{SecondFactorEnabled, SecondFactorKind, UserCommand};
    use daybook_ledger::{Actor, commands::CommandContext};
    let world = world().await;
    let olga = world.owner("main", "olga@example.com").await;
    let vic = world.member("main", "vic@example.com", "viewer").await;
    let adam = world.member("main", "adam@example.com", "admin").await;
    let organization = world.organization("main");
    let factor = SecondFactorEnabled {
        kind: SecondFactorKind::Totp,
        factor_id: "tot_1".to_owned().try_into().unwrap(),
        label: None,
    };
    let enable = UserCommand::EnableSecondFactor(Box::new(factor));
    let context = CommandContext::new(Actor::human(vic.as_str()));
    let outcome = organization.users.execute(&vic, enable, context).await.unwrap();
    organization.settle(&outcome).await.unwrap();
    let admin = world.token("main", "adam@example.com").await;
    let path = format!("/users/{vic}/second-factors");
    assert_eq!(world.get(&format!("/users/{vic}"), &admin).await.ok(200)["second_factors"], json!(["totp"]));
    let removed = world.delete(&path, &admin).await.ok(200);
    assert_eq!(removed["second_factors"], json!([]));
    assert_eq!(world.events("main", "user.second_factor_removed").await[0]["by"], "administrator");
    world.delete(&path, &admin).await.ok(200);
    world.delete(&format!("/users/{olga}/second-factors"), &admin).await.problem(403, "rbac.owner_only");
    world.delete("/users/usr_nobody/second-factors", &admin).await.problem(404, "user.not_found");
    let viewer = world.token("main", "vic@example.com").await;
    world.delete(&format!("/users/{adam}/second-factors"), &viewer).await.problem(403, "permission.denied");
}
