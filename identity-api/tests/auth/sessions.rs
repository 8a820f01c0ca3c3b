//! Logging in, going on, leaving.

use actix_web::http::Method;
use serde_json::json;

use crate::common::*;

#[actix_web::test]
async fn login_answers_tokens_in_the_predecessors_shape() {
    let world = world().await;
    let user_id = world.member("main", "ann@example.com", "analyst").await;
    let answer = world.login("main", "ann@example.com").await;
    assert_eq!((answer["token_type"].as_str(), answer["expires_in"].as_u64()), (Some("bearer"), Some(900)));
    let user = json!({"id": user_id, "email": "ann@example.com", "full_name": "ann", "role": "analyst"});
    assert_eq!(answer["user"], user);
    assert!(answer["refresh_token"].as_str().unwrap().starts_with("dbr_"));
    let token = answer["access_token"].as_str().unwrap();
    let me = world.get("/auth/me", token).await.ok(200);
    assert_eq!((me["id"].as_str(), me["via"].as_str()), (Some(user_id.as_str()), Some("session")));
    assert_eq!(me["session_id"], answer["session_id"]);
    let started = world.events("main", "session.started").await;
    assert_eq!((&started[0]["user_id"], &started[0]["methods"]), (&json!(user_id), &json!(["password"])));
    assert!(started[0]["client"]["sealed"].as_str().unwrap().starts_with("dbs1."));
}

#[actix_web::test]
async fn whatever_is_wrong_with_a_login_is_answered_alike() {
    let world = world().await;
    world.member("main", "ann@example.com", "analyst").await;
    let deactivated = world.member("main", "bob@example.com", "analyst").await;
    deactivate(&world, &deactivated).await;
    let mut details = Vec::new();
    for (email, password, organization) in [
        ("ann@example.com", "a wrong password of some length", "main"),
        ("nobody@example.com", PASSWORD, "main"),
        ("bob@example.com", PASSWORD, "main"),
        ("ann@example.com", PASSWORD, "nowhere"),
    ] {
        let body = json!({"email": email, "password": password, "organization_id": organization});
        let problem = world.post_open("/v1/auth/login", body).await.problem(401, "auth.invalid_credentials");
        details.push((problem["detail"].clone(), problem["errors"].clone()));
    }
    details.dedup();
    assert_eq!(details.len(), 1, "{details:?}");
    let failed = world.events("main", "access.login_failed").await;
    assert_eq!(failed.iter().map(|event| event["count"].as_u64().unwrap()).sum::<u64>(), 4, "{failed:?}");
}

#[actix_web::test]
async fn organization_is_named_by_header_or_body_but_not_by_both_differently() {
    let world = world().await;
    world.open("acme").await;
    world.member("acme", "ann@example.com", "viewer").await;
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    let header = |id| [("x-organization-id", id)];
    let answer = world.call(Method::POST, "/auth/login", &header("acme"), Some(body.clone())).await.ok(200);
    assert_eq!(answer["organization_id"], "acme");
    world.post_open("/auth/login", body.clone()).await.problem(401, "auth.invalid_credentials");
    let mut both = body.clone();
    both["organization_id"] = json!("main");
    world.call(Method::POST, "/auth/login", &header("acme"), Some(both)).await.problem(400, "request.contradiction");
    world.call(Method::POST, "/auth/login", &header("No Such!"), Some(body)).await.problem(400, "request.invalid");
}

#[actix_web::test]
async fn refresh_token_is_good_once_and_its_reuse_ends_the_session() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let first = world.login("main", "ann@example.com").await;
    let refresh = |token: &serde_json::Value| json!({"refresh_token": token});
    let second = world.post_open("/auth/refresh", refresh(&first["refresh_token"])).await.ok(200);
    assert_eq!(second["session_id"], first["session_id"]);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert_eq!(second["user"]["email"], "ann@example.com");
    let access = second["access_token"].as_str().unwrap();
    world.get("/auth/me", access).await.ok(200);
    world.post_open("/auth/refresh", refresh(&first["refresh_token"])).await.problem(401, "auth.refresh_reused");
    // The thief and the robbed are both out, at once.
    world.post_open("/auth/refresh", refresh(&second["refresh_token"])).await.problem(401, "auth.session_ended");
    assert_eq!(world.get("/auth/me", access).await.status, 401);
    let ended = world.events("main", "session.ended").await;
    assert_eq!(ended.iter().map(|event| event["reason"].clone()).collect::<Vec<_>>(), ["refresh_reuse"]);
    let refused = world.events("main", "access.refused").await;
    assert!(refused.iter().any(|event| event["reason"] == "auth.refresh_reused"), "{refused:?}");
    world.post_open("/auth/refresh", json!({"refresh_token": "dbr_nobody"})).await.problem(401, "auth.refresh_unknown");
}

#[actix_web::test]
async fn session_is_over_when_its_time_is() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let answer = world.login("main", "ann@example.com").await;
    world.advance(8 * DAY);
    let body = json!({"refresh_token": answer["refresh_token"]});
    world.post_open("/auth/refresh", body.clone()).await.problem(401, "auth.session_ended");
    world.post_open("/auth/refresh", body).await.problem(401, "auth.session_ended");
    let ended = world.events("main", "session.ended").await;
    assert_eq!(ended.iter().map(|event| event["reason"].clone()).collect::<Vec<_>>(), ["expired"]);
}

#[actix_web::test]
async fn deactivated_person_does_not_go_on() {
    let world = world().await;
    let user_id = world.member("main", "ann@example.com", "viewer").await;
    let answer = world.login("main", "ann@example.com").await;
    deactivate(&world, &user_id).await;
    assert_eq!(world.get("/auth/me", answer["access_token"].as_str().unwrap()).await.status, 401);
    let body = json!({"refresh_token": answer["refresh_token"]});
    world.post_open("/auth/refresh", body).await.problem(401, "auth.session_ended");
}

#[actix_web::test]
async fn logout_bites_at_once() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let answer = world.login("main", "ann@example.com").await;
    let token = answer["access_token"].as_str().unwrap();
    let left =
        world.call(Method::POST, "/auth/logout", &[("authorization", &format!("Bearer {token}"))], None).await.ok(200);
    assert_eq!(left["session_id"], answer["session_id"]);
    assert_eq!(world.get("/auth/me", token).await.status, 401);
    let body = json!({"refresh_token": answer["refresh_token"]});
    world.post_open("/auth/refresh", body).await.problem(401, "auth.session_ended");
    let header = [("authorization", format!("Bearer {OPERATOR}"))];
    let header: Vec<_> = header.iter().map(|(name, value)| (*name, value.as_str())).collect();
    world.call(Method::POST, "/auth/logout", &header, None).await.problem(400, "auth.no_session");
}

#[actix_web::test]
async fn people_see_and_end_their_own_sessions_only() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    world.member("main", "bob@example.com", "owner").await;
    let (first, second) = (world.login("main", "ann@example.com").await, world.login("main", "ann@example.com").await);
    let (token, other) = (first["access_token"].as_str().unwrap(), second["access_token"].as_str().unwrap());
    let list = world.get("/auth/sessions", token).await.ok(200);
    assert_eq!(list["total"], 2);
    let current: Vec<_> = list["items"].as_array().unwrap().iter().filter(|item| item["current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["session_id"], first["session_id"]);
    assert!(current[0]["client"].as_str().unwrap().starts_with("192.0.2.7"), "{list}");
    let bob = world.token("main", "bob@example.com").await;
    let path = format!("/auth/sessions/{}", second["session_id"].as_str().unwrap());
    world.delete(&path, &bob).await.problem(404, "session.not_found");
    world.delete("/auth/sessions/ses_none", token).await.problem(404, "session.not_found");
    world.delete(&path, token).await.ok(200);
    assert_eq!(world.get("/auth/me", other).await.status, 401);
    world.delete(&path, token).await.problem(404, "session.not_found");
    let third = world.token("main", "ann@example.com").await;
    assert_eq!(world.post("/auth/sessions/revoke-others", token, json!({})).await.ok(200)["ended"], 1);
    assert_eq!(world.get("/auth/me", &third).await.status, 401);
    world.get("/auth/me", token).await.ok(200);
}

#[actix_web::test]
async fn operator_has_no_account() {
    let world = world().await;
    for path in ["/auth/profile", "/auth/sessions"] {
        world.get(path, OPERATOR).await.problem(403, "auth.account_required");
    }
    let me = world.get("/auth/me", OPERATOR).await.ok(200);
    assert_eq!((me["role"].as_str(), me["email"].is_null()), (Some("operator"), true));
    world.call(Method::GET, "/auth/me", &[], None).await.problem(401, "identity.required");
}

#[actix_web::test]
async fn roles_are_listed_for_everybody_and_permissions_for_the_caller() {
    let world = world().await;
    world.member("main", "ann@example.com", "compliance").await;
    let roles = world.call(Method::GET, "/auth/roles", &[], None).await.ok(200);
    for role in ["owner", "admin", "compliance", "analyst", "viewer", "auditor"] {
        let count = roles[role]["permission_count"].as_u64().unwrap();
        assert_eq!(count as usize, roles[role]["permissions"].as_array().unwrap().len(), "{role}");
    }
    let token = world.token("main", "ann@example.com").await;
    let own = world.get("/auth/me/permissions", &token).await.ok(200);
    assert_eq!((own["email"].as_str(), own["role"].as_str()), (Some("ann@example.com"), Some("compliance")));
    assert_eq!(own["permissions"], roles["compliance"]["permissions"]);
    world.call(Method::GET, "/auth/me/permissions", &[], None).await.problem(401, "identity.required");
    let stale = [("authorization", "Bearer nonsense")];
    assert_eq!(world.call(Method::GET, "/auth/roles", &stale, None).await.ok(200), roles);
}

#[actix_web::test]
async fn keys_and_health_are_open() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    world.token("main", "ann@example.com").await;
    let keys = world.call(Method::GET, "/.well-known/jwks.json", &[], None).await.ok(200);
    let key = &keys["keys"][0];
    assert_eq!(
        (key["kty"].as_str(), key["alg"].as_str(), key["crv"].as_str()),
        (Some("EC"), Some("ES256"), Some("P-256"))
    );
    assert!(key.get("d").is_none(), "{key}");
    assert_eq!(world.call(Method::GET, "/auth/health", &[], None).await.ok(200)["status"], "healthy");
}

async fn deactivate(world: &World, user_id: &str) {
    use daybook_domain::text::ActorId;
    use daybook_domain::user::UserCommand;
    use daybook_ledger::Actor;
    use daybook_ledger::commands::CommandContext;
    let organization = world.organization("main");
    let by = ActorId::parse("", "operator").unwrap();
    let command = UserCommand::Deactivate { by, reason: None };
    let context = CommandContext::new(Actor::system("operator"));
    let outcome = organization.users.execute(user_id, command, context).await.unwrap();
    organization.settle(&outcome).await.unwrap();
}
