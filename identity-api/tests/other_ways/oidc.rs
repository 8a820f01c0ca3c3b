//! Logging in at a provider.

use actix_web::http::Method;
use daybook_domain::organization::{OrganizationCommand, SettingsPatch};
use daybook_ledger::Actor;
use daybook_ledger::commands::CommandContext;
use serde_json::json;
use totp_rs::{Algorithm, Secret, TOTP};

use crate::common::*;
use crate::provider::*;

#[actix_web::test]
async fn somebody_known_comes_in_and_is_linked() {
    let provider = Provider::start().await;
    let world = world_of(vec![provider.settings("corporate")]).await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    let mut browser = Browser::default();
    let answer = browser.log_in(&world, &provider, "corporate").await;
    let body = answer.ok(200);
    assert_eq!((body["user"]["id"].as_str(), body["user"]["role"].as_str()), (Some(ann.as_str()), Some("analyst")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let me = world.get("/v1/auth/me", body["access_token"].as_str().unwrap()).await.ok(200);
    assert_eq!(me["id"], ann);
    let started = world.events("main", "session.started").await;
    assert_eq!(started[0]["methods"], json!(["oidc:corporate"]));
    assert_eq!(world.events("main", "user.identity_linked").await.len(), 1);
    // From now on by the provider's name for her, whatever her address.
    provider.vouch(json!({"sub": "subject-1"}));
    provider.tell(json!({"sub": "subject-1"}));
    let body = Browser::default().log_in(&world, &provider, "corporate").await.ok(200);
    assert_eq!(body["user"]["id"], ann);
    assert_eq!(world.events("main", "user.identity_linked").await.len(), 1);
    // Neither the subject nor anything of the tokens is in the ledger.
    let entries = world.entries("main").await;
    let clear = ["subject-1", "ann@example.com", "an access token"];
    assert!(
        entries.iter().all(|entry| clear.iter().all(|text| !entry
            .payload
            .as_deref()
            .unwrap_or_default()
            .contains(text)))
    );
    assert_eq!(provider.fetched(), 1, "metadata are kept");
}

#[actix_web::test]
async fn page_fetches_the_tokens_with_a_code_and_in_the_same_browser() {
    let provider = Provider::start().await;
    provider.sign(Signing::Elliptic);
    let world = world_of(vec![provider.settings("corporate")]).await;
    world.member("main", "ann@example.com", "viewer").await;
    let mut browser = Browser::default();
    let url = browser.leave(&world, "corporate", "?return_to=%2Fapp%2F%3Ftab%3Done").await;
    let answer = browser.get(&world, &provider.authorize(&url)).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    let location = answer.header("location").unwrap().to_owned();
    let code = location.strip_prefix("/app/?tab=one#login_code=").unwrap();
    assert!(world.events("main", "session.started").await.is_empty());
    let exchange = |code: &str| Some(json!({ "code": code }));
    let stranger = Browser::default().send(&world, Method::POST, "/auth/oidc/exchange", exchange(code)).await;
    stranger.problem(401, "oidc.other_browser");
    // Used up by the attempt: another login is needed.
    let again = browser.send(&world, Method::POST, "/auth/oidc/exchange", exchange(code)).await;
    again.problem(401, "oidc.state_invalid");
    let url = browser.leave(&world, "corporate", "?return_to=/app").await;
    let answer = browser.get(&world, &provider.authorize(&url)).await;
    let code = answer.header("location").unwrap().strip_prefix("/app#login_code=").unwrap().to_owned();
    let tokens = browser.send(&world, Method::POST, "/auth/oidc/exchange", exchange(&code)).await.ok(200);
    assert_eq!(tokens["token_type"], "bearer");
    assert!(browser.cookie.is_none());
    let again = browser.send(&world, Method::POST, "/auth/oidc/exchange", exchange(&code)).await;
    again.problem(401, "oidc.state_invalid");
}

#[actix_web::test]
async fn codes_for_pages_expire() {
    let provider = Provider::start().await;
    let world = world_of(vec![provider.settings("corporate")]).await;
    world.member("main", "ann@example.com", "viewer").await;
    let mut browser = Browser::default();
    let url = browser.leave(&world, "corporate", "?return_to=/").await;
    let answer = browser.get(&world, &provider.authorize(&url)).await;
    let code = answer.header("location").unwrap().strip_prefix("/#login_code=").unwrap().to_owned();
    world.advance(3 * MINUTE);
    let late = browser.send(&world, Method::POST, "/auth/oidc/exchange", Some(json!({"code": code}))).await;
    late.problem(401, "oidc.state_invalid");
}

#[actix_web::test]
async fn second_factor_follows_unless_the_provider_has_seen_one() {
    let provider = Provider::start().await;
    let world = world_of(vec![provider.settings("corporate")]).await;
    world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    let enrolment = world.post("/auth/totp/enrol", &token, json!({"password": PASSWORD})).await.ok(200);
    let device = |world: &World| {
        let secret = Secret::Encoded(enrolment["secret"].as_str().unwrap().to_owned()).to_bytes().unwrap();
        let totp = TOTP::new(Algorithm::SHA1, 6, 1, 30, secret).unwrap();
        totp.generate(u64::try_from(world.state.now() / SECOND).unwrap())
    };
    world.post("/auth/totp/confirm", &token, json!({"code": device(&world)})).await.ok(200);
    world.advance(MINUTE / 2);
    let problem =
        Browser::default().log_in(&world, &provider, "corporate").await.problem(401, "auth.second_factor_required");
    let body = json!({"challenge": problem["challenge"], "code": device(&world)});
    world.post_open("/auth/login/second-factor", body).await.ok(200);
    let started = world.events("main", "session.started").await;
    assert_eq!(started.last().unwrap()["methods"], json!(["oidc:corporate", "totp"]));
    provider.twist(|claims| claims["amr"] = json!(["pwd", "mfa"]));
    Browser::default().log_in(&world, &provider, "corporate").await.ok(200);
    let started = world.events("main", "session.started").await;
    assert_eq!(started.last().unwrap()["methods"], json!(["oidc:corporate"]));
}

#[actix_web::test]
async fn organization_that_wants_a_second_factor_wants_it_here_too() {
    let provider = Provider::start().await;
    let world = world_of(vec![provider.settings("corporate")]).await;
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
    let answer = Browser::default().log_in(&world, &provider, "corporate").await;
    answer.problem(403, "auth.second_factor_enrolment_required");
    provider.twist(|claims| claims["amr"] = json!(["mfa"]));
    Browser::default().log_in(&world, &provider, "corporate").await.ok(200);
}

#[actix_web::test]
async fn address_may_come_from_the_userinfo_endpoint() {
    let provider = Provider::start().await;
    provider.vouch(json!({"sub": "subject-1"}));
    provider.tell(json!({"sub": "subject-1", "email": "ann@example.com", "email_verified": "true"}));
    let world = world_of(vec![provider.settings("corporate")]).await;
    let ann = world.member("main", "ann@example.com", "viewer").await;
    assert_eq!(Browser::default().log_in(&world, &provider, "corporate").await.ok(200)["user"]["id"], ann);
    provider.vouch(json!({"sub": "subject-2"}));
    let answer = Browser::default().log_in(&world, &provider, "corporate").await;
    answer.problem(401, "oidc.userinfo_refused");
}

#[actix_web::test]
async fn keys_are_fetched_anew_where_the_provider_has_changed_them() {
    let provider = Provider::start().await;
    let world = world_of(vec![provider.settings("corporate")]).await;
    world.member("main", "ann@example.com", "viewer").await;
    provider.sign(Signing::NewKey);
    // Not at once: keys are not fetched for every login that fails.
    Browser::default().log_in(&world, &provider, "corporate").await.problem(401, "oidc.id_token_bad_signature");
    assert_eq!(provider.fetched(), 1);
    for _ in 0..100 {
        if Browser::default().log_in(&world, &provider, "corporate").await.status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Browser::default().log_in(&world, &provider, "corporate").await.ok(200);
    assert_eq!(provider.fetched(), 2);
}

#[actix_web::test]
async fn providers_of_one_organization_are_not_shown_to_another() {
    let provider = Provider::start().await;
    let mut theirs = provider.settings("theirs");
    theirs.organization = Some("acme".to_owned());
    let world = world_of(vec![provider.settings("ours"), theirs]).await;
    world.open("acme").await;
    let ours = world.call(Method::GET, "/v1/auth/oidc", &[], None).await.ok(200);
    assert_eq!(ours["items"], json!([{"name": "ours", "start": "/v1/auth/oidc/ours/start"}]));
    let theirs = world.call(Method::GET, "/auth/oidc", &[("x-organization-id", "acme")], None).await.ok(200);
    assert_eq!(theirs["items"][0]["name"], "theirs");
    let none = world.call(Method::GET, "/auth/oidc", &[("x-organization-id", "nowhere")], None).await.ok(200);
    assert_eq!(none["items"], json!([]));
    world.call(Method::GET, "/auth/oidc/nobody/start", &[], None).await.problem(404, "oidc.unknown_provider");
}

#[actix_web::test]
async fn provider_that_is_down_is_named_as_the_cause() {
    let provider = Provider::start().await;
    let world = world_of(vec![provider.settings("corporate")]).await;
    world.member("main", "ann@example.com", "viewer").await;
    let mut browser = Browser::default();
    let url = browser.leave(&world, "corporate", "").await;
    let back = provider.authorize(&url);
    provider.stop().await;
    browser.get(&world, &back).await.problem(503, "oidc.provider_unavailable");
    let cold = world_of(vec![provider.settings("corporate")]).await;
    let answer = Browser::default().get(&cold, "/auth/oidc/corporate/start").await;
    answer.problem(503, "oidc.provider_unavailable");
    assert!(answer.header("retry-after").is_some());
    // Passwords do not depend on it.
    world.login("main", "ann@example.com").await;
}
