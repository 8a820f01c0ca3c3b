//! Passkeys that somebody has tampered with, copied, or used elsewhere.

use daybook_domain::user::UserCommand;
use daybook_ledger::Actor;
use daybook_ledger::commands::CommandContext;
use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::common::*;
use crate::passkeys::*;

/// Ann with a passkey.
async fn prepared() -> (World, String, Authenticator) {
    let world = world().await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    let token = world.token("main", "ann@example.com").await;
    let (authenticator, _) = enrolled(&world, &token).await;
    (world, ann, authenticator)
}

async fn reasons(world: &World, event_type: &str) -> Vec<Value> {
    world.events("main", event_type).await.into_iter().map(|event| event["reason"].clone()).collect()
}

#[actix_web::test]
async fn answer_to_a_phishing_site_is_refused() {
    let (world, _, genuine) = prepared().await;
    type Tamper = fn(&mut Authenticator);
    let tampers: [Tamper; 4] = [
        |authenticator| authenticator.origin = "https://daybook.example.evil.example".to_owned(),
        |authenticator| authenticator.origin = "https://sub.daybook.example".to_owned(),
        |authenticator| authenticator.origin = "http://daybook.example".to_owned(),
        |authenticator| authenticator.rp_id = "evil.example".to_owned(),
    ];
    for tamper in tampers {
        let mut authenticator = genuine.clone();
        tamper(&mut authenticator);
        let begun = begin_login(&world).await;
        let credential = authenticator.get(&begun["options"]);
        finish_login(&world, &begun, credential).await.problem(401, "passkey.wrong_origin");
    }
    assert!(reasons(&world, "access.login_failed").await.contains(&json!("passkey.wrong_origin")));
}

#[actix_web::test]
async fn answer_to_another_challenge_is_refused_and_a_challenge_is_good_once() {
    let (world, _, mut authenticator) = prepared().await;
    let (one, two) = (begin_login(&world).await, begin_login(&world).await);
    let credential = authenticator.get(&one["options"]);
    finish_login(&world, &two, credential.clone()).await.problem(401, "passkey.wrong_challenge");
    finish_login(&world, &one, credential.clone()).await.ok(200);
    finish_login(&world, &one, credential.clone()).await.problem(401, "passkey.challenge_invalid");
    finish_login(&world, &two, credential).await.problem(401, "passkey.challenge_invalid");
    let late = begin_login(&world).await;
    let credential = authenticator.get(&late["options"]);
    world.advance(6 * MINUTE);
    finish_login(&world, &late, credential).await.problem(401, "passkey.challenge_invalid");
    assert!(reasons(&world, "access.refused").await.contains(&json!("passkey.challenge_invalid")));
}

#[actix_web::test]
async fn cloned_authenticator_is_noticed_by_its_counter() {
    let (world, ann, mut genuine) = prepared().await;
    let mut clone = genuine.clone();
    for _ in 0..3 {
        let begun = begin_login(&world).await;
        let credential = genuine.get(&begun["options"]);
        finish_login(&world, &begun, credential).await.ok(200);
    }
    for counter in [2, 4, 0] {
        let begun = begin_login(&world).await;
        let credential = clone.get_at(&begun["options"], counter);
        finish_login(&world, &begun, credential).await.problem(401, "passkey.counter_went_back");
    }
    let failed = world.events("main", "access.login_failed").await;
    let recorded = failed.iter().find(|event| event["reason"] == "passkey.counter_went_back").unwrap();
    assert_eq!(recorded["user_id"], ann);
}

#[actix_web::test]
async fn two_logins_with_one_counter_are_one() {
    let (world, _, mut authenticator) = prepared().await;
    let (one, two) = (begin_login(&world).await, begin_login(&world).await);
    let first = authenticator.get_at(&one["options"], 9);
    let second = authenticator.get_at(&two["options"], 9);
    let (first, second) = futures::join!(finish_login(&world, &one, first), finish_login(&world, &two, second));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
}

#[actix_web::test]
async fn authenticator_that_does_not_ask_who_uses_it_is_refused() {
    let (world, _, authenticator) = prepared().await;
    let mut authenticator = authenticator.without_verification();
    let begun = begin_login(&world).await;
    let credential = authenticator.get(&begun["options"]);
    finish_login(&world, &begun, credential).await.problem(401, "passkey.user_not_verified");
    world.member("main", "bob@example.com", "viewer").await;
    let token = world.token("main", "bob@example.com").await;
    let mut fresh = Authenticator::new().without_verification();
    let begun = begin_registration(&world, &token).await;
    let credential = fresh.create(&begun["options"]);
    finish_registration(&world, &token, &begun, credential).await.problem(401, "passkey.user_not_verified");
}

#[actix_web::test]
async fn altered_signature_and_unreadable_answers_are_refused() {
    let (world, _, mut authenticator) = prepared().await;
    let begun = begin_login(&world).await;
    let mut credential = authenticator.get(&begun["options"]);
    let other = Authenticator::new().get(&begun["options"]);
    credential["response"]["signature"] = other["response"]["signature"].clone();
    finish_login(&world, &begun, credential).await.problem(401, "passkey.bad_signature");
    for credential in [json!({}), json!("x"), json!({"id": "x", "rawId": "!", "response": {}, "type": "public-key"})] {
        let begun = begin_login(&world).await;
        finish_login(&world, &begun, credential).await.problem(400, "passkey.unreadable");
    }
}

#[actix_web::test]
async fn passkey_opens_the_account_that_it_was_made_for_only() {
    let (world, _, mut authenticator) = prepared().await;
    world.member("main", "bob@example.com", "admin").await;
    let token = world.token("main", "bob@example.com").await;
    let (theirs, _) = enrolled(&world, &token).await;
    // The handle of somebody else.
    authenticator.user_handle = theirs.user_handle.clone();
    let begun = begin_login(&world).await;
    let credential = authenticator.get(&begun["options"]);
    finish_login(&world, &begun, credential).await.problem(401, "passkey.unknown");
    // A passkey that the vault does not know, and one of another organisation.
    let mut unknown = Authenticator::new();
    unknown.user_handle = theirs.user_handle.clone();
    let begun = begin_login(&world).await;
    let credential = unknown.get(&begun["options"]);
    finish_login(&world, &begun, credential).await.problem(401, "passkey.unknown");
    world.open("acme").await;
    let elsewhere = json!({"organization_id": "acme"});
    let begun = world.post_open("/auth/passkeys/login/options", elsewhere).await.ok(200);
    let mut theirs = theirs;
    let credential = theirs.get(&begun["options"]);
    finish_login(&world, &begun, credential).await.problem(401, "passkey.unknown");
}

#[actix_web::test]
async fn deactivated_person_does_not_come_in() {
    let (world, ann, mut authenticator) = prepared().await;
    let organization = world.organization("main");
    let command = UserCommand::Deactivate { by: "usr_somebodyelse".to_owned().try_into().unwrap(), reason: None };
    let context = CommandContext::new(Actor::system("test"));
    let outcome = organization.users.execute(&ann, command, context).await.unwrap();
    organization.settle(&outcome).await.unwrap();
    let begun = begin_login(&world).await;
    let credential = authenticator.get(&begun["options"]);
    finish_login(&world, &begun, credential).await.problem(401, "passkey.unknown");
}

#[actix_web::test]
async fn stolen_session_makes_no_passkey() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    world.member("main", "bob@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    let options = "/auth/passkeys/register/options";
    world.post(options, &token, json!({})).await.problem(400, "request.invalid");
    let wrong = json!({"password": "not the password at all"});
    world.post(options, &token, wrong).await.problem(403, "auth.proof_refused");
    world.post_open(options, json!({"password": PASSWORD})).await.problem(401, "identity.required");
    // Neither is the challenge of one person good for another, nor that of one ceremony for the other.
    let mut authenticator = Authenticator::new();
    let begun = begin_registration(&world, &token).await;
    let credential = authenticator.create(&begun["options"]);
    let other = world.token("main", "bob@example.com").await;
    finish_registration(&world, &other, &begun, credential.clone()).await.problem(401, "passkey.challenge_invalid");
    finish_registration(&world, &token, &begun, credential).await.problem(401, "passkey.challenge_invalid");
    let login = begin_login(&world).await;
    let credential = authenticator.create(&login["options"]);
    finish_registration(&world, &token, &login, credential).await.problem(401, "passkey.challenge_invalid");
    assert!(world.events("main", "user.second_factor_enabled").await.is_empty());
}

#[actix_web::test]
async fn one_passkey_is_not_made_twice() {
    let (world, _, mut authenticator) = prepared().await;
    world.member("main", "bob@example.com", "viewer").await;
    let token = world.token("main", "bob@example.com").await;
    let begun = begin_registration(&world, &token).await;
    let credential = authenticator.create(&begun["options"]);
    finish_registration(&world, &token, &begun, credential).await.problem(409, "passkey.exists");
    assert_eq!(world.events("main", "user.second_factor_enabled").await.len(), 1);
}
