//! Changing and resetting passwords.

use std::sync::Arc;

use daybook_identity::mail::NoMail;
use serde_json::json;

use crate::common::*;

const NEW: &str = "seven lanterns over water";

#[actix_web::test]
async fn changing_the_password_ends_the_other_sessions() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let (token, other) = (world.token("main", "ann@example.com").await, world.token("main", "ann@example.com").await);
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    assert_eq!(world.post("/auth/password", &token, body).await.ok(200)["sessions_ended"], 1);
    world.get("/auth/me", &token).await.ok(200);
    assert_eq!(world.get("/auth/me", &other).await.status, 401);
    let login = |password| json!({"email": "ann@example.com", "password": password});
    world.post_open("/auth/login", login(PASSWORD)).await.problem(401, "auth.invalid_credentials");
    world.post_open("/auth/login", login(NEW)).await.ok(200);
    assert_eq!(world.events("main", "user.password_changed").await[0]["by"], "self");
    assert_eq!(world.events("main", "session.ended").await[0]["reason"], "password_changed");
    assert!(world.wait_for_letters(1).await[0].contains("was changed"));
}

#[actix_web::test]
async fn changing_the_password_takes_the_old_one_and_another_new_one() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    let body = |old: &str, new: &str| json!({"current_password": old, "new_password": new});
    world.post("/auth/password", &token, body("not the password at all", NEW)).await.problem(403, "auth.proof_refused");
    world.post("/auth/password", &token, body(PASSWORD, PASSWORD)).await.problem(422, "password.unchanged");
    world.post("/auth/password", &token, body(PASSWORD, "short")).await.problem(422, "password.too_short");
    world.post("/auth/password", &token, body(PASSWORD, "ann@example.com")).await.problem(422, "password.is_email");
    world.post_open("/auth/password", body(PASSWORD, NEW)).await.problem(401, "identity.required");
    assert!(world.events("main", "user.password_changed").await.is_empty());
    assert_eq!(world.events("main", "access.login_failed").await[0]["reason"], "auth.proof_refused");
}

#[actix_web::test]
async fn forgotten_password_is_reset_by_a_letter_and_its_token_works_once() {
    let world = world().await;
    let user_id = world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    world.post_open("/auth/reset-password", json!({"email": "Ann@example.com"})).await.ok(202);
    let letters = world.wait_for_letters(1).await;
    assert!(letters[0].contains("https://daybook.example/reset-password#token=dbo_"), "{}", letters[0]);
    let body = |password: &str| json!({"token": token_of(&letters[0]), "new_password": password});
    // A password that cannot be chosen does not use the token up.
    world.post_open("/auth/reset-password/confirm", body("short")).await.problem(422, "password.too_short");
    assert_eq!(world.post_open("/auth/reset-password/confirm", body(NEW)).await.ok(200)["sessions_ended"], 1);
    assert_eq!(world.get("/auth/me", &token).await.status, 401);
    world.post_open("/auth/reset-password/confirm", body(NEW)).await.problem(400, "auth.token_invalid");
    world.post_open("/auth/login", json!({"email": "ann@example.com", "password": NEW})).await.ok(200);
    assert_eq!(world.events("main", "user.password_reset_requested").await.len(), 1);
    assert_eq!(world.events("main", "user.password_changed").await[0]["by"], "reset");
    let refused = world.events("main", "access.refused").await;
    assert!(refused.iter().any(|event| event["reason"] == "auth.token_invalid"), "{refused:?}");
    let entries = world.entries("main").await;
    let changed = entries.iter().find(|entry| entry.event_type == "user.password_changed").unwrap();
    assert_eq!(changed.actor.id, user_id);
}

#[actix_web::test]
async fn reset_says_nothing_of_who_has_an_account() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let known = world.post_open("/auth/reset-password", json!({"email": "ann@example.com"})).await;
    let unknown = world.post_open("/auth/reset-password", json!({"email": "nobody@example.com"})).await;
    let elsewhere = json!({"email": "ann@example.com", "organization_id": "nowhere"});
    let elsewhere = world.post_open("/auth/reset-password", elsewhere).await;
    assert_eq!((known.status, &known.body), (202, &unknown.body));
    assert_eq!((unknown.status, &unknown.body), (elsewhere.status, &elsewhere.body));
    assert_eq!(world.wait_for_letters(1).await.len(), 1);
    world.post_open("/auth/reset-password", json!({"email": "nobody"})).await.problem(400, "request.invalid");
}

#[actix_web::test]
async fn reset_token_is_good_for_half_an_hour_and_only_the_newest() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let ask = json!({"email": "ann@example.com"});
    world.post_open("/auth/reset-password", ask.clone()).await.ok(202);
    world.wait_for_letters(1).await;
    world.post_open("/auth/reset-password", ask.clone()).await.ok(202);
    let letters = world.wait_for_letters(2).await;
    let body = |letter: &str| json!({"token": token_of(letter), "new_password": NEW});
    world.post_open("/auth/reset-password/confirm", body(&letters[0])).await.problem(400, "auth.token_invalid");
    world.advance(31 * MINUTE);
    world.post_open("/auth/reset-password/confirm", body(&letters[1])).await.problem(400, "auth.token_invalid");
}

#[actix_web::test]
async fn token_for_one_thing_is_good_for_nothing_else() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let link = world.state.owner_link(&"main".parse().unwrap()).await.unwrap().unwrap();
    let body = json!({"token": token_of(&link), "new_password": NEW});
    world.post_open("/auth/reset-password/confirm", body).await.problem(400, "auth.token_invalid");
    world.post_open("/auth/email/confirm", json!({"token": token_of(&link)})).await.problem(400, "auth.token_invalid");
    world.post_open("/auth/reset-password", json!({"email": "ann@example.com"})).await.ok(202);
    let reset = token_of(&world.wait_for_letters(1).await[0]);
    let body = json!({"token": reset, "email": "e@example.com", "password": PASSWORD, "full_name": "Eve"});
    world.post_open("/auth/register", body).await.problem(400, "auth.token_invalid");
    let body = json!({"challenge": reset, "code": "123456"});
    world.post_open("/auth/login/second-factor", body).await.problem(401, "auth.challenge_invalid");
}

#[actix_web::test]
async fn installation_without_mail_promises_no_letters() {
    let world = world_with(Options { mailer: Some(Arc::new(NoMail)), ..Options::default() }).await;
    world.member("main", "ann@example.com", "viewer").await;
    for email in ["ann@example.com", "nobody@example.com"] {
        let body = json!({"email": email});
        world.post_open("/auth/reset-password", body).await.problem(503, "mail.not_configured");
    }
    let token = world.token("main", "ann@example.com").await;
    let body = json!({"email": "new@example.com", "password": PASSWORD});
    world.put("/auth/profile", &token, body).await.problem(503, "mail.not_configured");
}
