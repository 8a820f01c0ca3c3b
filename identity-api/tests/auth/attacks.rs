//! Guessing, forging, and looking for what was left lying about.

use std::path::Path;

use actix_web::http::Method;
use serde_json::json;

use crate::common::*;

#[actix_web::test]
async fn guessing_at_an_account_locks_it_for_a_while_and_is_recorded() {
    let world = world().await;
    let user_id = world.member("main", "ann@example.com", "viewer").await;
    let guess = |password: &str| json!({"email": "ann@example.com", "password": password});
    for _ in 0..5 {
        let answer = world.post_open("/auth/login", guess("wrong and wrong again")).await;
        answer.problem(401, "auth.invalid_credentials");
    }
    // From now on even the right one is not looked at.
    let locked = world.post_open("/auth/login", guess(PASSWORD)).await;
    locked.problem(429, "auth.throttled");
    assert!((1..=60).contains(&locked.header("retry-after").unwrap().parse::<u64>().unwrap()));
    let throttled = world.events("main", "access.throttled").await;
    assert_eq!(
        (throttled[0]["what"].as_str(), throttled[0]["user_id"].as_str()),
        (Some("login.account"), Some(&*user_id))
    );
    world.advance(61 * SECOND);
    world.post_open("/auth/login", guess(PASSWORD)).await.ok(200);
}

#[actix_web::test]
async fn account_that_does_not_exist_is_locked_like_one_that_does() {
    let world = world().await;
    for _ in 0..5 {
        let body = json!({"email": "nobody@example.com", "password": PASSWORD});
        world.post_open("/auth/login", body).await.problem(401, "auth.invalid_credentials");
    }
    let body = json!({"email": "nobody@example.com", "password": PASSWORD});
    world.post_open("/auth/login", body).await.problem(429, "auth.throttled");
}

#[actix_web::test]
async fn many_guesses_at_once_are_no_more_than_one_after_the_other() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let body = json!({"email": "ann@example.com", "password": "wrong and wrong again"});
    let guesses = (0..20).map(|_| world.post_open("/auth/login", body.clone()));
    let answers = futures::future::join_all(guesses).await;
    let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!((looked_at, answers.iter().filter(|answer| answer.status == 429).count()), (5, 15));
}

#[actix_web::test]
async fn guessing_codes_is_slowed_down_as_guessing_passwords_is() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    let wrong = json!({"current_password": "not the password at all", "new_password": "seven lanterns over water"});
    for _ in 0..5 {
        world.post("/auth/password", &token, wrong.clone()).await.problem(403, "auth.proof_refused");
    }
    world.post("/auth/password", &token, wrong).await.problem(429, "auth.throttled");
}

#[actix_web::test]
async fn one_address_does_not_guess_at_everybody() {
    let world = world().await;
    for number in 0..50 {
        let body = json!({"email": format!("nobody{number}@example.com"), "password": PASSWORD});
        world.post_open("/auth/login", body).await.problem(401, "auth.invalid_credentials");
    }
    let body = json!({"email": "another@example.com", "password": PASSWORD});
    world.post_open("/auth/login", body).await.problem(429, "auth.throttled");
}

#[actix_web::test]
async fn token_of_one_organization_is_nothing_in_another() {
    let world = world().await;
    world.open("acme").await;
    world.member("main", "ann@example.com", "owner").await;
    world.member("acme", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    let headers = [("authorization", &*format!("Bearer {token}")), ("x-organization-id", "acme")];
    let there = world.call(Method::GET, "/auth/me", &headers, None).await;
    let headers = [("authorization", &*format!("Bearer {token}")), ("x-organization-id", "nowhere")];
    let nowhere = world.call(Method::GET, "/auth/me", &headers, None).await;
    assert_eq!((there.status, there.text("/code")), (nowhere.status, nowhere.text("/code")));
    assert!(there.status == 404 || there.status == 401, "{}", there.body);
}

#[actix_web::test]
async fn malformed_bodies_are_the_clients_fault() {
    let world = world().await;
    for path in [
        "/auth/register",
        "/auth/login",
        "/auth/login/second-factor",
        "/auth/refresh",
        "/auth/reset-password",
        "/auth/reset-password/confirm",
        "/auth/email/confirm",
        "/api/auth/login",
        "/api/auth/register",
    ] {
        for body in ["[]", "{", "{\"email\":7}", "{\"unheard_of\":1}", "\u{0}"] {
            let answer = world.call_bytes(Method::POST, path, &[], Some(body.as_bytes().to_vec())).await;
            assert!((400..404).contains(&answer.status), "{path} {body}: {} {}", answer.status, answer.body);
        }
        let text = [("content-type", "text/plain")];
        let answer = world.call_bytes(Method::POST, path, &text, Some(b"{}".to_vec())).await;
        answer.problem(415, "request.unsupported_media_type");
    }
}

#[actix_web::test]
async fn nothing_secret_or_personal_is_left_in_the_ledger_or_in_clear_in_the_vault() {
    let world = world_with(Options { open_registration: true, ..Options::default() }).await;
    world.owner("main", "olga.ownerova@example.com").await;
    let login = world.login("main", "olga.ownerova@example.com").await;
    let token = login["access_token"].as_str().unwrap();
    let fresh = world.post_open("/auth/refresh", json!({"refresh_token": login["refresh_token"]})).await.ok(200);
    world
        .put("/auth/profile", token, json!({"full_name": "Olga Ownerova", "about": "collects harpsichords"}))
        .await
        .ok(200);
    world.post_open("/auth/reset-password", json!({"email": "olga.ownerova@example.com"})).await.ok(202);
    let reset = token_of(&world.wait_for_letters(1).await[0]);
    let enrolment = world.post("/auth/totp/enrol", token, json!({"password": PASSWORD})).await.ok(200);
    world.state.recorder.flush().await;
    let secrets = [
        PASSWORD.to_owned(),
        "ownerova".to_owned(),
        "Ownerova".to_owned(),
        "harpsichords".to_owned(),
        token.to_owned(),
        login["refresh_token"].as_str().unwrap().to_owned(),
        fresh["refresh_token"].as_str().unwrap().to_owned(),
        reset,
        enrolment["secret"].as_str().unwrap().to_owned(),
    ];
    let mut scanned = 0;
    for file in files(&world.folder()) {
        // Letters are where links are meant to be.
        if file.parent().is_some_and(|folder| folder.ends_with("mail")) {
            continue;
        }
        scanned += 1;
        let bytes = std::fs::read(&file).unwrap();
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is in {}", file.display());
        }
    }
    assert!(scanned >= 2, "the files of ledger and vault");
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
