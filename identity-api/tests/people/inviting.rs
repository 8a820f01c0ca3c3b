//! Asking people to join.

use std::sync::Arc;

use actix_web::http::Method;
use daybook_identity::mail::NoMail;
use serde_json::json;

use crate::common::*;

#[actix_web::test]
async fn invited_person_gets_a_letter_and_the_role() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let owner = world.token("main", "olga@example.com").await;
    let body = json!({"email": "new@example.com", "role": "analyst"});
    let answer = world.post("/v1/users/invite", &owner, body).await;
    let invited = answer.ok(201);
    assert_eq!((&invited["status"], &invited["email"]), (&json!("invited"), &json!("new@example.com")));
    assert_eq!((invited["invitation_url"].is_null(), &invited["letter_sent"]), (true, &json!(true)));
    assert_eq!(invited["invitation"]["role"], "analyst");
    let letters = world.wait_for_letters(1).await;
    let listing = world.get("/users?status=invited", &owner).await.ok(200);
    assert_eq!(listing["items"][0]["id"], invited["id"]);
    let register = json!({"token": token_of(&letters[0]), "password": PASSWORD, "full_name": "New One"});
    let registered = world.post_open("/auth/register", register).await.ok(201);
    assert_eq!((&registered["id"], &registered["role"]), (&invited["id"], &json!("analyst")));
    let again = json!({"email": "NEW@example.com"});
    world.post("/users/invite", &owner, again).await.problem(409, "user.already_registered");
    let events = world.events("main", "user.invited").await;
    assert!(!events[0].to_string().contains("new@example.com"), "addresses are sealed");
}

#[actix_web::test]
async fn inviting_again_withdraws_the_former_link() {
    let world = world_with(Options { mailer: Some(Arc::new(NoMail)), ..Options::default() }).await;
    world.owner("main", "olga@example.com").await;
    let owner = world.token("main", "olga@example.com").await;
    let first = world.post("/users/invite", &owner, json!({"email": "new@example.com"})).await.ok(201);
    let first_link = first["invitation_url"].as_str().unwrap().to_owned();
    assert!(first_link.starts_with("https://daybook.example/register#token=dbo_"), "{first_link}");
    assert_eq!(first["letter_sent"], false);
    let body = json!({"email": "new@example.com", "role": "compliance"});
    let second = world.post("/users/invite", &owner, body).await.ok(200);
    assert_eq!((&second["id"], &second["invitation"]["role"]), (&first["id"], &json!("compliance")));
    let register = |link: &str| json!({"token": token_of(link), "password": PASSWORD, "full_name": "New One"});
    world.post_open("/auth/register", register(&first_link)).await.problem(400, "auth.token_invalid");
    let link = second["invitation_url"].as_str().unwrap();
    assert_eq!(world.post_open("/auth/register", register(link)).await.ok(201)["role"], "compliance");
}

#[actix_web::test]
async fn invitation_ends_after_three_days() {
    let world = world_with(Options { mailer: Some(Arc::new(NoMail)), ..Options::default() }).await;
    world.owner("main", "olga@example.com").await;
    let owner = world.token("main", "olga@example.com").await;
    let invited = world.post("/users/invite", &owner, json!({"email": "new@example.com"})).await.ok(201);
    world.advance(72 * HOUR + MINUTE);
    let token = token_of(invited["invitation_url"].as_str().unwrap());
    let register = json!({"token": token, "password": PASSWORD, "full_name": "New One"});
    world.post_open("/auth/register", register).await.problem(400, "auth.token_invalid");
}

#[actix_web::test]
async fn repeat_under_one_key_sends_no_second_letter_and_shows_no_link() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let operator = format!("Bearer {OPERATOR}");
    let headers = [("authorization", operator.as_str()), ("idempotency-key", "invite-1")];
    let body = json!({"email": "new@example.com", "role": "viewer"});
    let first = world.call(Method::POST, "/users/invite", &headers, Some(body.clone())).await;
    assert!(first.ok(201)["invitation_url"].is_string(), "the operator sees the link");
    let second = world.call(Method::POST, "/users/invite", &headers, Some(body)).await;
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(second.json()["id"], first.json()["id"]);
    assert!(second.json()["invitation_url"].is_null());
    world.wait_for_letters(1).await;
    assert_eq!(world.letters().len(), 1);
}

#[actix_web::test]
async fn invitations_are_checked() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    world.member("main", "adam@example.com", "admin").await;
    world.member("main", "ann@example.com", "analyst").await;
    let admin = world.token("main", "adam@example.com").await;
    for (bad, status, code) in [
        (json!({"email": "nobody"}), 400, "request.invalid"),
        (json!({"email": "n@example.com", "role": "emperor"}), 400, "request.invalid"),
        (json!({"email": "n@example.com", "department_id": "dep_none"}), 400, "request.invalid"),
        (json!({"role": "viewer"}), 400, "request.invalid"),
        (json!({"email": "n@example.com", "role": "owner"}), 403, "rbac.owner_only"),
        (json!({"email": "n@example.com", "role": "auditor"}), 422, "user.auditor_needs_expiry"),
    ] {
        world.post("/users/invite", &admin, bad).await.problem(status, code);
    }
    let analyst = world.token("main", "ann@example.com").await;
    let problem = world.post("/users/invite", &analyst, json!({"email": "n@example.com"})).await;
    assert_eq!(problem.problem(403, "permission.denied")["missing_permission"], "user:create");
    // What a refused invitation reserved can be invited all the same.
    let end = daybook_domain::Timestamp::from_micros(world.state.now() + DAY).unwrap().to_string();
    let body = json!({"email": "n@example.com", "role": "auditor", "role_expires_at": end});
    world.advance(2 * MINUTE);
    world.post("/users/invite", &admin, body).await.ok(201);
}

#[actix_web::test]
async fn who_invites_gives_no_more_than_he_has() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let host = world.member("main", "host@example.com", "viewer").await;
    let owner = world.token("main", "olga@example.com").await;
    let body = json!({"name": "host", "inherits": ["viewer"], "permissions": ["user:create"]});
    world.post("/rbac/roles", &owner, body).await.ok(201);
    world.post(&format!("/users/{host}/grants"), &owner, json!({"role": "host"})).await.ok(200);
    let token = world.token("main", "host@example.com").await;
    let admin = json!({"email": "accomplice@example.com", "role": "admin"});
    world.post("/users/invite", &token, admin).await.problem(403, "rbac.exceeds_own");
    world.post("/users/invite", &token, json!({"email": "guest@example.com"})).await.ok(201);
}

#[actix_web::test]
async fn invitation_to_an_address_with_a_broken_off_registration_takes_nothing_over_from_it() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let owner = world.token("main", "olga@example.com").await;
    let (vault, main) = (&world.state.vault, world.organization("main").id.clone());
    let (stranger, begun) = ("usr_0123456789abcdef01234567", world.state.now() - 2 * MINUTE);
    let hash = world.state.passwords.hash("a stranger's own password".into()).await.unwrap();
    vault.reserve_account(&main, stranger, &vault.email_digest(&main, "new@example.com"), begun).await.unwrap();
    assert!(vault.set_password(&main, stranger, &hash, begun).await.unwrap());
    let invited = world.post("/users/invite", &owner, json!({"email": "new@example.com"})).await.ok(201);
    let account = vault.account(&main, invited["id"].as_str().unwrap()).await.unwrap().unwrap();
    assert!(account.password_hash.is_none() && account.user_id != stranger);
    assert!(vault.account(&main, stranger).await.unwrap().is_none());
}

#[actix_web::test]
async fn refused_invitation_leaves_the_address_free() {
    let world = world_with(Options { open_registration: true, ..Options::default() }).await;
    world.owner("main", "olga@example.com").await;
    let owner = world.token("main", "olga@example.com").await;
    let body = json!({"email": "new@example.com", "role": "auditor"});
    world.post("/users/invite", &owner, body).await.problem(422, "user.auditor_needs_expiry");
    let (id, vault) = (world.organization("main").id.clone(), &world.state.vault);
    let digest = vault.email_digest(&id, "new@example.com");
    assert!(vault.account_by_email(&id, &digest).await.unwrap().is_none());
    let body = json!({"email": "new@example.com", "password": PASSWORD, "full_name": "New One"});
    world.post_open("/auth/register", body).await.ok(201);
}
