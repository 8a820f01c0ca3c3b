//! Making passkeys and coming in with them.

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::common::*;

/// First step of making one.
pub async fn begin_registration(world: &World, token: &str) -> Value {
    world.post("/v1/auth/passkeys/register/options", token, json!({"password": PASSWORD})).await.ok(200)
}

/// Second step.
pub async fn finish_registration(world: &World, token: &str, begun: &Value, credential: Value) -> Answer {
    let body = json!({"challenge": begun["challenge"], "credential": credential, "label": "Ann's key"});
    world.post("/v1/auth/passkeys/register", token, body).await
}

/// An authenticator with a passkey of whoever has the token; answers the factor's id too.
pub async fn enrolled(world: &World, token: &str) -> (Authenticator, Value) {
    let mut authenticator = Authenticator::new();
    let begun = begin_registration(world, token).await;
    let credential = authenticator.create(&begun["options"]);
    let made = finish_registration(world, token, &begun, credential).await.ok(201);
    (authenticator, made)
}

/// First step of coming in.
pub async fn begin_login(world: &World) -> Value {
    world.post_open("/v1/auth/passkeys/login/options", json!({})).await.ok(200)
}

/// Second step.
pub async fn finish_login(world: &World, begun: &Value, credential: Value) -> Answer {
    let body = json!({"challenge": begun["challenge"], "credential": credential});
    world.post_open("/v1/auth/passkeys/login", body).await
}

#[actix_web::test]
async fn passkey_lets_its_owner_in_without_a_name_and_without_a_password() {
    let world = world().await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    world.member("main", "bob@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    let (mut authenticator, made) = enrolled(&world, &token).await;
    assert_eq!(made["recovery_codes"].as_array().map(Vec::len), Some(10));
    for _ in 0..2 {
        let begun = begin_login(&world).await;
        let credential = authenticator.get(&begun["options"]);
        let body = finish_login(&world, &begun, credential).await.ok(200);
        assert_eq!((body["user"]["id"].as_str(), body["user"]["role"].as_str()), (Some(ann.as_str()), Some("analyst")));
        world.get("/auth/me", body["access_token"].as_str().unwrap()).await.ok(200);
    }
    let started = world.events("main", "session.started").await;
    assert_eq!(started.last().unwrap()["methods"], json!(["passkey"]));
    let enabled = &world.events("main", "user.second_factor_enabled").await[0];
    assert_eq!((&enabled["kind"], &enabled["factor_id"]), (&json!("passkey"), &made["factor_id"]));
    let listed = world.get("/auth/passkeys", &token).await.ok(200);
    assert_eq!((&listed["total"], &listed["items"][0]["label"]), (&json!(1), &json!("Ann's key")));
    assert!(listed["items"][0]["last_used_at"].is_string());
}

#[actix_web::test]
async fn passkeys_of_authenticators_without_a_counter_go_on_working() {
    let world = world().await;
    world.member("main", "ann@example.com", "analyst").await;
    let token = world.token("main", "ann@example.com").await;
    let mut authenticator = Authenticator::new();
    authenticator.counter = 0;
    let begun = begin_registration(&world, &token).await;
    let credential = authenticator.create(&begun["options"]);
    finish_registration(&world, &token, &begun, credential).await.ok(201);
    for _ in 0..2 {
        let begun = begin_login(&world).await;
        let credential = authenticator.get_at(&begun["options"], 0);
        finish_login(&world, &begun, credential).await.ok(200);
    }
}

#[actix_web::test]
async fn password_alone_does_not_do_beside_a_passkey() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    let (_, made) = enrolled(&world, &token).await;
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    let problem = world.post_open("/auth/login", body).await.problem(401, "auth.second_factor_required");
    assert_eq!(problem["methods"], json!(["passkey", "recovery_code"]));
    let body = json!({"challenge": problem["challenge"], "code": made["recovery_codes"][0]});
    world.post_open("/auth/login/second-factor", body).await.ok(200);
}

#[actix_web::test]
async fn removed_passkey_lets_nobody_in() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    world.member("main", "bob@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    let (mut authenticator, made) = enrolled(&world, &token).await;
    let path = format!("/v1/auth/passkeys/{}", made["factor_id"].as_str().unwrap());
    let other = world.token("main", "bob@example.com").await;
    let remove = |token: &str, body: Value| {
        let (bearer, path, world) = (format!("Bearer {token}"), path.clone(), &world);
        async move { world.call(Method::DELETE, &path, &[("authorization", &bearer)], Some(body)).await }
    };
    remove(&other, json!({"password": PASSWORD})).await.problem(404, "passkey.not_found");
    remove(&token, json!({})).await.problem(400, "request.invalid");
    remove(&token, json!({"password": "not the password at all"})).await.problem(403, "auth.proof_refused");
    remove(&token, json!({"password": PASSWORD})).await.ok(200);
    assert_eq!(world.events("main", "user.second_factor_removed").await[0]["kind"], "passkey");
    let begun = begin_login(&world).await;
    let credential = authenticator.get(&begun["options"]);
    finish_login(&world, &begun, credential).await.problem(401, "passkey.unknown");
    world.login("main", "ann@example.com").await;
}

#[actix_web::test]
async fn installation_without_a_name_offers_no_passkeys() {
    let mut world = world().await;
    let settings = daybook_identity_api::IdentitySettings {
        public_url: "http://127.0.0.1:8080".to_owned(),
        ..(*world.state.settings).clone()
    };
    world.state.settings = std::sync::Arc::new(settings);
    world.post_open("/auth/passkeys/login/options", json!({})).await.problem(503, "passkey.not_available");
}
