//! Whom a provider's word lets in: people who are here, who were invited, and others only where the settings say so.

use daybook_domain::user::{Origin, Register, UserCommand};
use daybook_http_kit::Problem;
use daybook_identity_api::view::{field, seal};
use daybook_ledger::Actor;
use daybook_ledger::commands::CommandContext;
use serde_json::{Value, json};

use crate::common::*;
use crate::provider::*;

async fn failed_for(world: &World) -> Vec<Value> {
    world.events("main", "access.login_failed").await.into_iter().map(|event| event["reason"].clone()).collect()
}

async fn deactivate(world: &World, user_id: &str) {
    let organization = world.organization("main");
    let command = UserCommand::Deactivate { by: "usr_somebodyelse".to_owned().try_into().unwrap(), reason: None };
    let context = CommandContext::new(Actor::system("test"));
    let outcome = organization.users.execute(user_id, command, context).await.unwrap();
    organization.settle(&outcome).await.unwrap();
}

#[actix_web::test]
async fn unknown_people_stay_out_unless_the_settings_give_them_a_role() {
    let provider = Provider::start().await;
    let mut open = provider.settings("open");
    open.role_on_first_login = Some("viewer".to_owned());
    let world = world_of(vec![provider.settings("closed"), open]).await;
    Browser::default().log_in(&world, &provider, "closed").await.problem(403, "oidc.no_account");
    assert!(world.events("main", "user.registered").await.is_empty());
    assert!(failed_for(&world).await.contains(&json!("oidc.no_account")));
    let body = Browser::default().log_in(&world, &provider, "open").await.ok(200);
    assert_eq!(
        (&body["user"]["email"], &body["user"]["full_name"], &body["user"]["role"]),
        (&json!("ann@example.com"), &json!("Ann Example"), &json!("viewer"))
    );
    let registered = &world.events("main", "user.registered").await[0];
    assert_eq!(registered["origin"], "oidc");
    // Once she has an account, the other provider knows her by her address.
    let same = Browser::default().log_in(&world, &provider, "closed").await.ok(200);
    assert_eq!(same["user"]["id"], body["user"]["id"]);
    assert_eq!(world.events("main", "user.identity_linked").await.len(), 2);
    // She has no password.
    let password = json!({"email": "ann@example.com", "password": PASSWORD});
    world.post_open("/auth/login", password).await.problem(401, "auth.invalid_credentials");
}

#[actix_web::test]
async fn first_login_gives_the_role_of_the_settings_and_no_other() {
    let provider = Provider::start().await;
    let mut settings = provider.settings("corporate");
    settings.role_on_first_login = Some("analyst".to_owned());
    let world = world_of(vec![settings]).await;
    let body = Browser::default().log_in(&world, &provider, "corporate").await.ok(200);
    assert_eq!(body["user"]["role"], "analyst");
    let me = world.get("/auth/me/permissions", body["access_token"].as_str().unwrap()).await.ok(200);
    assert_eq!(me["roles"], json!(["analyst"]), "{me}");
}

#[actix_web::test]
async fn address_counts_only_where_the_provider_says_that_it_is_hers() {
    let provider = Provider::start().await;
    let world = world_of(vec![provider.settings("corporate")]).await;
    world.member("main", "ann@example.com", "analyst").await;
    for claims in [
        json!({"sub": "s", "email": "ann@example.com", "email_verified": false}),
        json!({"sub": "s", "email": "ann@example.com"}),
        json!({"sub": "s", "email_verified": true}),
        json!({"sub": "s", "email": "ann", "email_verified": true}),
    ] {
        provider.vouch(claims.clone());
        provider.tell(claims);
        Browser::default().log_in(&world, &provider, "corporate").await.problem(403, "oidc.email_not_verified");
    }
    assert!(world.events("main", "user.identity_linked").await.is_empty());
}

#[actix_web::test]
async fn deactivated_people_stay_out_by_address_and_by_link() {
    let provider = Provider::start().await;
    let world = world_of(vec![provider.settings("corporate")]).await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    let bob = world.member("main", "bob@example.com", "analyst").await;
    Browser::default().log_in(&world, &provider, "corporate").await.ok(200);
    deactivate(&world, &ann).await;
    deactivate(&world, &bob).await;
    Browser::default().log_in(&world, &provider, "corporate").await.problem(403, "oidc.no_account");
    provider.vouch(json!({"sub": "subject-2", "email": "bob@example.com", "email_verified": true}));
    Browser::default().log_in(&world, &provider, "corporate").await.problem(403, "oidc.no_account");
    let failed = world.events("main", "access.login_failed").await;
    assert!(failed.iter().any(|event| event["user_id"] == json!(bob)), "{failed:?}");
    // Kept out between coming back and fetching the tokens.
    let carl = world.member("main", "carl@example.com", "viewer").await;
    provider.vouch(json!({"sub": "subject-3", "email": "carl@example.com", "email_verified": true}));
    let mut browser = Browser::default();
    let url = browser.leave(&world, "corporate", "?return_to=/").await;
    let answer = browser.get(&world, &provider.authorize(&url)).await;
    let code = answer.header("location").unwrap().strip_prefix("/#login_code=").unwrap().to_owned();
    deactivate(&world, &carl).await;
    let late =
        browser.send(&world, actix_web::http::Method::POST, "/auth/oidc/exchange", Some(json!({"code": code}))).await;
    late.problem(401, "oidc.state_invalid");
}

#[actix_web::test]
async fn invited_people_come_in_with_the_role_of_the_invitation() {
    let provider = Provider::start().await;
    let mut settings = provider.settings("corporate");
    settings.role_on_first_login = Some("viewer".to_owned());
    let world = world_of(vec![settings]).await;
    world.owner("main", "olga@example.com").await;
    let token = world.token("main", "olga@example.com").await;
    let invitation = json!({"email": "ann@example.com", "role": "compliance"});
    let invited = world.post("/v1/users/invite", &token, invitation).await.ok(201);
    let body = Browser::default().log_in(&world, &provider, "corporate").await.ok(200);
    assert_eq!((&body["user"]["id"], &body["user"]["role"]), (&invited["id"], &json!("compliance")));
    // The letter's link is of no use any more.
    let letter = world.wait_for_letters(1).await.remove(0);
    let taken_up = json!({"token": token_of(&letter), "full_name": "Mallory", "password": PASSWORD});
    world.post_open("/auth/register", taken_up).await.problem(400, "auth.token_invalid");
}

#[actix_web::test]
async fn invitation_that_is_over_lets_nobody_in() {
    let provider = Provider::start().await;
    let world = world_of(vec![provider.settings("corporate")]).await;
    world.owner("main", "olga@example.com").await;
    let token = world.token("main", "olga@example.com").await;
    let invitation = json!({"email": "ann@example.com", "role": "compliance"});
    world.post("/v1/users/invite", &token, invitation).await.ok(201);
    world.advance(400 * DAY);
    provider.twist(|claims| {
        for name in ["iat", "exp"] {
            claims[name] = json!(claims[name].as_u64().unwrap() + 400 * 86_400);
        }
    });
    Browser::default().log_in(&world, &provider, "corporate").await.problem(403, "oidc.no_account");
}

#[actix_web::test]
async fn account_that_anybody_may_have_made_is_not_handed_over() -> Result<(), Problem> {
    let provider = Provider::start().await;
    let world = world_of(vec![provider.settings("corporate")]).await;
    let organization = world.organization("main");
    let (user_id, now) = ("usr_00112233445566778899aabb", world.state.now());
    let digest = world.state.vault.email_digest(&organization.id, "ann@example.com");
    world.state.vault.reserve_account(&organization.id, user_id, &digest, now).await.unwrap();
    let register = UserCommand::Register(Box::new(Register {
        email: seal(&organization, user_id, field::EMAIL, "ann@example.com").await?,
        full_name: seal(&organization, user_id, field::FULL_NAME, "Mallory").await?,
        origin: Origin::Registration,
        at: daybook_domain::Timestamp::from_micros(now).unwrap(),
    }));
    let context = CommandContext::new(Actor::system("test"));
    let outcome = organization.users.execute(user_id, register, context).await.unwrap();
    world.state.vault.complete_account(&organization.id, user_id, now).await.unwrap();
    organization.settle(&outcome).await?;
    Browser::default().log_in(&world, &provider, "corporate").await.problem(403, "oidc.address_unconfirmed");
    assert!(world.events("main", "user.identity_linked").await.is_empty());
    Ok(())
}

#[actix_web::test]
async fn address_that_goes_to_somebody_else_does_not_open_the_account_of_before() {
    let provider = Provider::start().await;
    let world = world_of(vec![provider.settings("corporate")]).await;
    world.member("main", "ann@example.com", "analyst").await;
    Browser::default().log_in(&world, &provider, "corporate").await.ok(200);
    provider.vouch(json!({"sub": "subject-of-a-namesake", "email": "ann@example.com", "email_verified": true}));
    Browser::default().log_in(&world, &provider, "corporate").await.problem(403, "oidc.other_identity");
}

#[actix_web::test]
async fn only_allowed_domains_come_in_however_they_are_known() {
    let provider = Provider::start().await;
    let mut settings = provider.settings("corporate");
    settings.allowed_domains = vec!["example.com".to_owned()];
    settings.role_on_first_login = Some("viewer".to_owned());
    let world = world_of(vec![settings]).await;
    Browser::default().log_in(&world, &provider, "corporate").await.ok(200);
    for email in ["eve@example.org", "eve@sub.example.com"] {
        provider.vouch(json!({"sub": "eve", "email": email, "email_verified": true}));
        Browser::default().log_in(&world, &provider, "corporate").await.problem(403, "oidc.domain_not_allowed");
    }
    provider.vouch(json!({"sub": "subject-1", "email": "ann@example.org", "email_verified": true}));
    Browser::default().log_in(&world, &provider, "corporate").await.problem(403, "oidc.domain_not_allowed");
}

#[actix_web::test]
async fn provider_of_one_organization_lets_nobody_into_another() {
    let provider = Provider::start().await;
    let mut theirs = provider.settings("theirs");
    theirs.organization = Some("acme".to_owned());
    let world = world_of(vec![provider.settings("ours"), theirs]).await;
    world.open("acme").await;
    world.member("main", "ann@example.com", "admin").await;
    Browser::default().log_in(&world, &provider, "ours").await.ok(200);
    Browser::default().log_in(&world, &provider, "theirs").await.problem(403, "oidc.no_account");
    let ann = world.member("acme", "ann@example.com", "viewer").await;
    let body = Browser::default().log_in(&world, &provider, "theirs").await.ok(200);
    assert_eq!((&body["organization_id"], &body["user"]["id"]), (&json!("acme"), &json!(ann)));
}

#[actix_web::test]
async fn password_that_a_stranger_chose_before_does_not_come_along() {
    let provider = Provider::start().await;
    let mut settings = provider.settings("corporate");
    settings.role_on_first_login = Some("viewer".to_owned());
    let world = world_of(vec![settings]).await;
    world.owner("main", "olga@example.com").await;
    let (vault, main) = (&world.state.vault, world.organization("main").id.clone());
    let chosen = "a stranger's own password";
    let hash = world.state.passwords.hash(chosen.into()).await.unwrap();
    // Somebody begins to register with her address and breaks it off before the fact.
    let (stranger, begun) = ("usr_0123456789abcdef01234567", world.state.now() - 2 * MINUTE);
    vault.reserve_account(&main, stranger, &vault.email_digest(&main, "ann@example.com"), begun).await.unwrap();
    assert!(vault.set_password(&main, stranger, &hash, begun).await.unwrap());
    let body = Browser::default().log_in(&world, &provider, "corporate").await.ok(200);
    assert_ne!(body["user"]["id"], stranger);
    assert!(!vault.set_password(&main, stranger, &hash, begun).await.unwrap(), "nor afterwards");
    let login = |email: &str| json!({"email": email, "password": chosen});
    world.post_open("/auth/login", login("ann@example.com")).await.problem(401, "auth.invalid_credentials");
    // Nor one that was chosen for an invitation that was not taken up.
    let token = world.token("main", "olga@example.com").await;
    let invited = world.post("/v1/users/invite", &token, json!({"email": "bob@example.com"})).await.ok(201);
    assert!(vault.set_password(&main, invited["id"].as_str().unwrap(), &hash, begun).await.unwrap());
    provider.vouch(json!({"sub": "subject-2", "email": "bob@example.com", "email_verified": true}));
    let body = Browser::default().log_in(&world, &provider, "corporate").await.ok(200);
    assert_eq!(body["user"]["id"], invited["id"]);
    world.post_open("/auth/login", login("bob@example.com")).await.problem(401, "auth.invalid_credentials");
}
