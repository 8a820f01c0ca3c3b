//! Devices that show six digits, and the codes for when they are lost.

use daybook_domain::organization::{OrganizationCommand, SettingsPatch};
use daybook_ledger::Actor;
use daybook_ledger::commands::CommandContext;
use serde_json::{Value, json};
use totp_rs::{Algorithm, Secret, TOTP};

use crate::common::*;

/// The code of a device at the world's time.
fn code(world: &World, secret: &str) -> String {
    let secret = Secret::Encoded(secret.to_owned()).to_bytes().unwrap();
    let totp = TOTP::new(Algorithm::SHA1, 6, 1, 30, secret).unwrap();
    totp.generate(u64::try_from(world.state.now() / SECOND).unwrap())
}

/// Somebody with a device; answers secret and recovery codes.
async fn enrolled(world: &World, token: &str) -> (String, Vec<String>) {
    let enrolment = world.post("/auth/totp/enrol", token, json!({"password": PASSWORD})).await.ok(200);
    let secret = enrolment["secret"].as_str().unwrap().to_owned();
    assert!(enrolment["otpauth_uri"].as_str().unwrap().contains(&secret));
    let body = json!({"code": code(world, &secret), "label": "Ann's phone"});
    let confirmed = world.post("/auth/totp/confirm", token, body).await.ok(200);
    world.advance(MINUTE);
    (secret, serde_json::from_value(confirmed["recovery_codes"].clone()).unwrap())
}

async fn challenge(world: &World) -> Value {
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    let problem = world.post_open("/auth/login", body).await.problem(401, "auth.second_factor_required");
    assert_eq!(problem["methods"], json!(["recovery_code", "totp"]));
    problem["challenge"].clone()
}

#[actix_web::test]
async fn password_alone_does_not_do_once_there_is_a_device() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    let (secret, _) = enrolled(&world, &token).await;
    let challenge = challenge(&world).await;
    let body = |code: &str| json!({"challenge": challenge, "code": code});
    world.post_open("/auth/login/second-factor", body("000000")).await.problem(401, "auth.invalid_code");
    let right = code(&world, &secret);
    let answer = world.post_open("/auth/login/second-factor", body(&right)).await.ok(200);
    world.get("/auth/me", answer["access_token"].as_str().unwrap()).await.ok(200);
    // Neither the challenge nor the code is good again.
    world.post_open("/auth/login/second-factor", body(&right)).await.problem(401, "auth.challenge_invalid");
    let fresh = self::challenge(&world).await;
    let replay = json!({"challenge": fresh, "code": right});
    world.post_open("/auth/login/second-factor", replay).await.problem(401, "auth.invalid_code");
    let started = world.events("main", "session.started").await;
    assert_eq!(started.last().unwrap()["methods"], json!(["password", "totp"]));
    let enabled = &world.events("main", "user.second_factor_enabled").await[0];
    assert_eq!((enabled["kind"].as_str(), enabled["label"]["sealed"].is_string()), (Some("totp"), true));
    let profile = world.get("/auth/profile", &token).await.ok(200);
    assert_eq!(
        (profile["mfa_enabled"].as_bool(), profile["second_factors"][0]["label"].as_str()),
        (Some(true), Some("Ann's phone"))
    );
}

#[actix_web::test]
async fn right_password_makes_no_room_for_more_guesses_at_the_second_factor() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    let (secret, _) = enrolled(&world, &token).await;
    for _ in 0..5 {
        let body = json!({"challenge": challenge(&world).await, "code": "000000"});
        world.post_open("/auth/login/second-factor", body).await.problem(401, "auth.invalid_code");
    }
    let password = json!({"email": "ann@example.com", "password": PASSWORD});
    world.post_open("/auth/login", password.clone()).await.problem(429, "auth.throttled");
    // Nor does a new password by letter.
    let ask = json!({"email": "ann@example.com"});
    world.post_open("/auth/reset-password", ask).await.ok(202);
    let letters = world.wait_for_letters(1).await;
    let body = json!({"token": token_of(&letters[0]), "new_password": PASSWORD});
    world.post_open("/auth/reset-password/confirm", body).await.ok(200);
    world.post_open("/auth/login", password).await.problem(429, "auth.throttled");
    world.advance(2 * MINUTE);
    let challenged = challenge(&world).await;
    let body = json!({"challenge": challenged, "code": code(&world, &secret)});
    world.post_open("/auth/login/second-factor", body).await.ok(200);
    // The session has begun: all is forgotten.
    for _ in 0..4 {
        let body = json!({"challenge": challenge(&world).await, "code": "000000"});
        world.post_open("/auth/login/second-factor", body).await.problem(401, "auth.invalid_code");
    }
}

#[actix_web::test]
async fn challenge_of_a_former_password_is_worth_nothing() {
    let world = world().await;
    let user_id = world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    let (secret, _) = enrolled(&world, &token).await;
    let challenge = challenge(&world).await;
    // As by a login in flight, whose challenge came after those there were had been withdrawn.
    let id = world.organization("main").id.clone();
    let hash = world.state.passwords.hash("seven lanterns over water".into()).await.unwrap();
    assert!(world.state.vault.set_password(&id, &user_id, &hash, world.state.now()).await.unwrap());
    let body = json!({"challenge": challenge, "code": code(&world, &secret)});
    world.post_open("/auth/login/second-factor", body).await.problem(401, "auth.challenge_invalid");
}

#[actix_web::test]
async fn challenge_expires() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    let (secret, _) = enrolled(&world, &token).await;
    let challenge = challenge(&world).await;
    world.advance(6 * MINUTE);
    let body = json!({"challenge": challenge, "code": code(&world, &secret)});
    world.post_open("/auth/login/second-factor", body).await.problem(401, "auth.challenge_invalid");
}

#[actix_web::test]
async fn recovery_code_is_good_once() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    let (_, codes) = enrolled(&world, &token).await;
    assert_eq!(codes.len(), 10);
    let body = json!({"challenge": challenge(&world).await, "code": codes[0]});
    world.post_open("/auth/login/second-factor", body).await.ok(200);
    let started = world.events("main", "session.started").await;
    assert_eq!(started.last().unwrap()["methods"], json!(["password", "recovery_code"]));
    let body = json!({"challenge": challenge(&world).await, "code": codes[0]});
    world.post_open("/auth/login/second-factor", body).await.problem(401, "auth.invalid_code");
    let fresh = world.post("/auth/recovery-codes", &token, json!({"password": PASSWORD})).await.ok(200);
    let body = json!({"challenge": challenge(&world).await, "code": codes[1]});
    world.post_open("/auth/login/second-factor", body).await.problem(401, "auth.invalid_code");
    let body = json!({"challenge": challenge(&world).await, "code": fresh["recovery_codes"][0]});
    world.post_open("/auth/login/second-factor", body).await.ok(200);
}

#[actix_web::test]
async fn stolen_session_neither_enrols_nor_removes_a_device() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    world.post("/auth/totp/enrol", &token, json!({})).await.problem(400, "request.invalid");
    let wrong = json!({"password": "not the password at all"});
    world.post("/auth/totp/enrol", &token, wrong.clone()).await.problem(403, "auth.proof_refused");
    world.post("/auth/totp/confirm", &token, json!({"code": "123456"})).await.problem(422, "auth.invalid_code");
    world.post("/auth/totp/remove", &token, json!({})).await.problem(409, "auth.no_second_factor");
    world.post("/auth/recovery-codes", &token, json!({})).await.problem(409, "auth.no_second_factor");
    let (_, codes) = enrolled(&world, &token).await;
    world.post("/auth/totp/remove", &token, json!({})).await.problem(400, "request.invalid");
    world.post("/auth/totp/remove", &token, wrong).await.problem(403, "auth.proof_refused");
    world.post("/auth/totp/enrol", &token, json!({"password": PASSWORD})).await.problem(409, "auth.totp_enabled");
    world.post("/auth/totp/remove", &token, json!({"code": codes[0]})).await.ok(200);
    assert_eq!(world.events("main", "user.second_factor_removed").await[0]["by"], "recovery_code");
    world.login("main", "ann@example.com").await;
    world.post_open("/auth/totp/enrol", json!({"password": PASSWORD})).await.problem(401, "identity.required");
}

#[actix_web::test]
async fn organization_may_want_a_second_factor_of_everybody() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    world.member("main", "ann@example.com", "viewer").await;
    let organization = world.organization("main");
    let context = || CommandContext::new(Actor::system("test"));
    let create = OrganizationCommand::Create {
        name: "Main".to_owned().try_into().unwrap(),
        tier: "free".to_owned().try_into().unwrap(),
    };
    organization.organization.execute("main", create, context()).await.unwrap();
    let patch = SettingsPatch { require_second_factor: Some(true), ..SettingsPatch::default() };
    let outcome =
        organization.organization.execute("main", OrganizationCommand::ChangeSettings(patch), context()).await;
    organization.settle(&outcome.unwrap()).await.unwrap();
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    let problem = world.post_open("/auth/login", body).await.problem(403, "auth.second_factor_enrolment_required");
    let challenge = problem["challenge"].clone();
    // It lets in nowhere else.
    let elsewhere = json!({"challenge": challenge, "code": "123456"});
    world.post_open("/auth/login/second-factor", elsewhere).await.problem(401, "auth.challenge_invalid");
    let enrolment = world.post_open("/auth/totp/enrol", json!({"challenge": challenge})).await.ok(200);
    let code = code(&world, enrolment["secret"].as_str().unwrap());
    let body = json!({"challenge": challenge, "code": code});
    let confirmed = world.post_open("/auth/totp/confirm", body.clone()).await.ok(200);
    world.get("/auth/me", confirmed["session"]["access_token"].as_str().unwrap()).await.ok(200);
    world.post_open("/auth/totp/confirm", body).await.problem(401, "auth.challenge_invalid");
    world.advance(MINUTE);
    self::challenge(&world).await;
}
