//! Logins at a provider that somebody has tampered with. Each is refused, each is recorded, and nobody comes in.

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::common::*;
use crate::provider::*;

/// A world in which everything would be right.
async fn prepared() -> (World, Provider) {
    let provider = Provider::start().await;
    let world = world_of(vec![provider.settings("corporate"), provider.settings("twin")]).await;
    world.member("main", "ann@example.com", "analyst").await;
    (world, provider)
}

async fn nobody_came_in(world: &World) {
    assert!(world.events("main", "session.started").await.is_empty());
    assert!(world.events("main", "user.identity_linked").await.is_empty());
}

async fn reasons(world: &World, event_type: &str) -> Vec<Value> {
    world.events("main", event_type).await.into_iter().map(|event| event["reason"].clone()).collect()
}

#[actix_web::test]
async fn id_token_that_is_wrong_in_any_way_lets_nobody_in() {
    let (world, provider) = prepared().await;
    type Twist = fn(&mut Value);
    let twists: [(&str, Twist); 9] = [
        ("oidc.id_token_wrong_nonce", |claims| claims["nonce"] = json!("another")),
        ("oidc.id_token_wrong_nonce", |claims| drop(claims.as_object_mut().unwrap().remove("nonce"))),
        ("oidc.id_token_wrong_audience", |claims| claims["aud"] = json!("another")),
        ("oidc.id_token_wrong_audience", |claims| claims["aud"] = json!(["daybook", "another"])),
        ("oidc.id_token_wrong_issuer", |claims| claims["iss"] = json!("https://evil.example")),
        ("oidc.id_token_expired", |claims| claims["exp"] = json!(claims["iat"].as_u64().unwrap() - 3_600)),
        ("oidc.id_token_expired", |claims| claims["iat"] = json!(claims["iat"].as_u64().unwrap() + 3_600)),
        ("oidc.id_token_other_party", |claims| claims["azp"] = json!("another")),
        ("oidc.id_token_other_access_token", |claims| claims["at_hash"] = json!("AAAAAAAAAAAAAAAAAAAAAA")),
    ];
    let mut expected = Vec::new();
    for (code, twist) in twists {
        provider.twist(twist);
        Browser::default().log_in(&world, &provider, "corporate").await.problem(401, code);
        expected.push(json!(code));
    }
    let recorded = reasons(&world, "access.login_failed").await;
    assert!(expected.iter().all(|code| recorded.contains(code)), "{recorded:?}");
    nobody_came_in(&world).await;
}

#[actix_web::test]
async fn id_token_that_the_provider_did_not_sign_lets_nobody_in() {
    let (world, provider) = prepared().await;
    for (signing, code) in [
        (Signing::Altered, "oidc.id_token_bad_signature"),
        (Signing::OtherKey, "oidc.id_token_bad_signature"),
        (Signing::None, "oidc.id_token_wrong_algorithm"),
        (Signing::Hmac, "oidc.id_token_wrong_algorithm"),
    ] {
        provider.sign(signing);
        Browser::default().log_in(&world, &provider, "corporate").await.problem(401, code);
    }
    nobody_came_in(&world).await;
    // Nothing else was wrong.
    provider.sign(Signing::Rsa);
    Browser::default().log_in(&world, &provider, "corporate").await.ok(200);
}

#[actix_web::test]
async fn state_is_good_once_and_for_ten_minutes() {
    let (world, provider) = prepared().await;
    let mut browser = Browser::default();
    let url = browser.leave(&world, "corporate", "").await;
    let (back, cookie) = (provider.authorize(&url), browser.cookie.clone());
    browser.get(&world, &back).await.ok(200);
    browser.cookie = cookie;
    browser.get(&world, &back).await.problem(401, "oidc.state_invalid");
    let made_up = "/v1/auth/oidc/corporate/callback?code=x&state=dbo_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    browser.get(&world, made_up).await.problem(401, "oidc.state_invalid");
    browser.get(&world, "/v1/auth/oidc/corporate/callback?code=x").await.problem(401, "oidc.state_invalid");
    let url = browser.leave(&world, "corporate", "").await;
    world.advance(11 * MINUTE);
    browser.get(&world, &provider.authorize(&url)).await.problem(401, "oidc.state_invalid");
    assert!(reasons(&world, "access.refused").await.contains(&json!("oidc.state_invalid")));
}

#[actix_web::test]
async fn login_that_another_browser_began_is_not_taken_up() {
    let (world, provider) = prepared().await;
    let url = Browser::default().leave(&world, "corporate", "").await;
    let mut victim = Browser::default();
    victim.get(&world, &provider.authorize(&url)).await.problem(401, "oidc.other_browser");
    // Neither with a login of its own under way.
    let url = Browser::default().leave(&world, "corporate", "").await;
    victim.leave(&world, "corporate", "").await;
    victim.get(&world, &provider.authorize(&url)).await.problem(401, "oidc.other_browser");
    nobody_came_in(&world).await;
}

#[actix_web::test]
async fn answers_of_one_provider_are_not_taken_for_anothers() {
    let (world, provider) = prepared().await;
    let mut browser = Browser::default();
    let back = provider.authorize(&browser.leave(&world, "corporate", "").await);
    browser.get(&world, &back.replace("/corporate/", "/twin/")).await.problem(401, "oidc.state_invalid");
    let back = provider.authorize(&browser.leave(&world, "corporate", "").await);
    browser.get(&world, &format!("{back}&iss=https%3A%2F%2Fevil.example")).await.problem(401, "oidc.wrong_issuer");
    let back = provider.authorize(&browser.leave(&world, "corporate", "").await);
    browser.get(&world, &format!("{back}&iss={}", provider.issuer.replace("//", "%2F%2F"))).await.ok(200);
}

#[actix_web::test]
async fn provider_that_promises_to_name_itself_has_to() {
    let provider = Provider::start().await;
    provider.announce(json!({"authorization_response_iss_parameter_supported": true}));
    let world = world_of(vec![provider.settings("corporate")]).await;
    world.member("main", "ann@example.com", "analyst").await;
    Browser::default().log_in(&world, &provider, "corporate").await.problem(401, "oidc.wrong_issuer");
}

#[actix_web::test]
async fn code_is_good_with_the_verifier_of_the_same_login_only() {
    let (world, provider) = prepared().await;
    let (mut one, mut two) = (Browser::default(), Browser::default());
    let first = provider.authorize(&one.leave(&world, "corporate", "").await);
    let second = provider.authorize(&two.leave(&world, "corporate", "").await);
    // A code that was caught elsewhere, put into one's own login.
    let code = parameters(&first)["code"].replace('/', "%2F");
    let state = &parameters(&second)["state"];
    let mixed = format!("/v1/auth/oidc/corporate/callback?code={code}&state={state}");
    two.get(&world, &mixed).await.problem(401, "oidc.code_refused");
    nobody_came_in(&world).await;
}

#[actix_web::test]
async fn provider_that_lets_nobody_in_is_believed() {
    let (world, _provider) = prepared().await;
    let mut browser = Browser::default();
    let state = parameters(&browser.leave(&world, "corporate", "").await)["state"].clone();
    let back = format!("/auth/oidc/corporate/callback?error=access_denied%3Cscript%3E&state={state}");
    let problem = browser.get(&world, &back).await.problem(401, "oidc.denied_by_provider");
    assert_eq!(problem["provider_error"], "access_deniedscript");
}

#[actix_web::test]
async fn nobody_is_sent_to_another_site() {
    let (world, _provider) = prepared().await;
    for path in
        ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "%2F%5Cevil.example", "evil", "%2Fa%0D%0Ab", "%2Fa%23b"]
    {
        let answer = Browser::default().get(&world, &format!("/auth/oidc/corporate/start?return_to={path}")).await;
        answer.problem(400, "request.invalid_parameter");
    }
}

#[actix_web::test]
async fn metadata_lead_neither_to_other_machines_nor_to_another_issuer() {
    for metadata in [
        json!({"token_endpoint": "http://169.254.169.254/latest/meta-data"}),
        json!({"jwks_uri": "http://10.0.0.1/keys"}),
        json!({"userinfo_endpoint": "http://10.0.0.1/userinfo"}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
        json!({"issuer": "https://evil.example"}),
        json!({"token_endpoint": null}),
        json!({"padding": "x".repeat(600_000)}),
    ] {
        let provider = Provider::start().await;
        provider.announce(metadata.clone());
        let world = world_of(vec![provider.settings("corporate")]).await;
        let answer = Browser::default().get(&world, "/auth/oidc/corporate/start").await;
        assert_eq!(answer.status, 503, "{metadata}: {}", answer.body);
        answer.problem(503, "oidc.provider_unavailable");
    }
}

#[actix_web::test]
async fn one_address_cannot_begin_logins_without_end() {
    let (world, _provider) = prepared().await;
    let mut last = 302;
    for _ in 0..310 {
        last = world.call(Method::GET, "/auth/oidc/corporate/start", &[], None).await.status;
        if last != 302 {
            break;
        }
    }
    assert_eq!(last, 429);
}
