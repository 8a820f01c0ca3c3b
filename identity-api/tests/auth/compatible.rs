//! The predecessors' paths below `/api/auth`.

use actix_web::http::Method;
use serde_json::json;

use crate::common::*;

#[actix_web::test]
async fn predecessors_path_through_an_account_works() {
    let world = world_with(Options { open_registration: true, ..Options::default() }).await;
    let body = json!({"email": "ann@example.com", "password": PASSWORD, "name": "Ann"});
    let made = world.post_open("/api/auth/register", body.clone()).await.ok(201);
    assert_eq!((made["success"].as_bool(), made["message"].is_string()), (Some(true), true));
    assert_eq!(made["data"]["user"]["role"], "viewer");
    world.post_open("/api/auth/register", body).await.problem(400, "auth.email_taken");
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    let token = world.post_open("/api/auth/login", body).await.text("/data/access_token");
    assert_eq!(world.get("/api/auth/me", &token).await.ok(200)["data"]["email"], "ann@example.com");
    let changed = world.put("/api/auth/profile", &token, json!({"name": "Ann Archer"})).await.ok(200);
    assert_eq!(changed["data"]["name"], "Ann Archer");
    let profile = world.get("/api/auth/profile", &token).await.ok(200);
    assert_eq!(
        (profile["data"]["name"].as_str(), profile["data"]["mfa_enabled"].as_bool()),
        (Some("Ann Archer"), Some(false))
    );
    let left = world.post("/api/auth/logout", &token, json!({})).await.ok(200);
    assert_eq!(left["success"], true);
    assert_eq!(world.get("/api/auth/me", &token).await.status, 401);
}

#[actix_web::test]
async fn refresh_token_may_be_the_bearer() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let login = world.login("main", "ann@example.com").await;
    let bearer = format!("Bearer {}", login["refresh_token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let fresh = world.call(Method::POST, "/api/auth/refresh", &headers, None).await.ok(200);
    assert_eq!(fresh["data"]["session_id"], login["session_id"]);
    world.call(Method::POST, "/api/auth/refresh", &headers, None).await.problem(401, "auth.refresh_reused");
    world.call(Method::POST, "/api/auth/refresh", &[], None).await.problem(400, "request.invalid");
}

#[actix_web::test]
async fn password_is_reset_and_health_is_open() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let asked = world.post_open("/api/auth/reset-password", json!({"email": "ann@example.com"})).await.ok(202);
    assert_eq!(asked["success"], true);
    let token = token_of(&world.wait_for_letters(1).await[0]);
    let body = json!({"token": token, "new_password": "seven lanterns over water"});
    world.post_open("/api/auth/reset-password/confirm", body.clone()).await.ok(200);
    world.post_open("/api/auth/reset-password/confirm", body).await.problem(400, "auth.token_invalid");
    assert_eq!(world.call(Method::GET, "/api/auth/health", &[], None).await.ok(200)["status"], "healthy");
    world.call(Method::GET, "/api/auth/me", &[], None).await.problem(401, "identity.required");
}
