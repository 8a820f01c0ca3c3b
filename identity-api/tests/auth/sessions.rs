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
async fn refresh_that_is_answered_503_does_not_use_the_token_up() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let first = world.login("main", "ann@example.com").await;
    let body = json!({"refresh_token": first["refresh_token"]});
    let organization = world.organization("main");
    world.state.organizations.remove(&organization.id);
    for _ in 0..2 {
        let refused = world.post_open("/auth/refresh", body.clone()).await;
        refused.problem(503, "organization.unavailable");
        assert!(refused.header("retry-after").is_some());
    }
    world.state.organizations.insert(organization.id.clone(), organization);
    let second = world.post_open("/auth/refresh", body.clone()).await.ok(200);
    assert_eq!(second["session_id"], first["session_id"]);
    let third = json!({"refresh_token": second["refresh_token"]});
    world.post_open("/auth/refresh", third).await.ok(200);
    world.post_open("/auth/refresh", body).await.problem(401, "auth.refresh_reused");
}

#[actix_web::test]
async fn organisation_that_is_not_open_here_makes_nobodys_credentials_wrong() {
    let world = world_with(Options { open_registration: true, ..Options::default() }).await;
    world.member("main", "ann@example.com", "viewer").await;
    let first = world.login("main", "ann@example.com").await;
    let (access, link) = (first["access_token"].as_str().unwrap(), world.organization("main"));
    let (id, state) = (link.id.clone(), &world.state);
    let owner_link = token_of(&state.owner_link(&id).await.unwrap().unwrap());
    state.organizations.remove(&id);
    let directory = world.directories.remove(&id).unwrap();
    for missing in [std::collections::BTreeSet::from([id.clone()]), std::collections::BTreeSet::new()] {
        let (is_known, login) = (!missing.is_empty(), json!({"email": "ann@example.com", "password": PASSWORD}));
        state.organizations.set_unavailable(missing.clone());
        world.directories.set_unavailable(missing);
        if !is_known {
            world.post_open("/auth/login", login).await.problem(401, "auth.invalid_credentials");
            continue;
        }
        // As often as would lock the account, were it counted.
        for _ in 0..8 {
            world.post_open("/auth/login", login.clone()).await.problem(503, "organization.unavailable");
        }
        let open = json!({"email": "eve@example.com", "password": PASSWORD, "full_name": "Eve"});
        world.post_open("/auth/register", open).await.problem(503, "organization.unavailable");
        let owner = json!({"token": owner_link, "email": "o@example.com", "password": PASSWORD, "full_name": "O"});
        world.post_open("/auth/register", owner).await.problem(503, "organization.unavailable");
        let reset = json!({"email": "ann@example.com"});
        world.post_open("/auth/reset-password", reset).await.problem(503, "organization.unavailable");
        world.get("/auth/me", access).await.problem(503, "organization.unavailable");
    }
    world.directories.insert(id.clone(), directory);
    state.organizations.insert(id, link);
    world.login("main", "ann@example.com").await;
    world.get("/auth/me", access).await.ok(200);
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
async fn login_that_overlaps_with_a_deactivation_begins_nothing() {
    // The directory does not know of the deactivation until the session's own fact is behind it.
    let world = world_with(Options { is_still: true, ..Options::default() }).await;
    let user_id = world.member("main", "ann@example.com", "viewer").await;
    record_deactivation(&world, &user_id).await;
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    world.post_open("/auth/login", body).await.problem(401, "auth.account_changed");
    assert_eq!(world.events("main", "session.started").await.len(), 1);
    assert_eq!(world.events("main", "session.ended").await.len(), 1, "its tokens would be refused as well");
    let id = world.organization("main").id.clone();
    assert!(world.state.vault.sessions_of(&id, &user_id, world.state.now()).await.unwrap().is_empty());
}

#[actix_web::test]
async fn login_that_overlaps_with_a_change_of_the_password_begins_nothing() {
    use daybook_identity::passwords::{PasswordPolicy, Passwords};
    let world = world().await;
    let user_id = world.member("main", "ann@example.com", "viewer").await;
    let id = world.organization("main").id.clone();
    world.post_open("/auth/reset-password", json!({"email": "ann@example.com"})).await.ok(202);
    let letter = world.wait_for_letters(1).await.remove(0);
    // A hash that takes long to compare with.
    let policy = PasswordPolicy { memory_kib: 32 * 1024, iterations: 32, ..PasswordPolicy::default() };
    let slow = Passwords::new(policy).unwrap().hash(PASSWORD.into()).await.unwrap();
    assert!(world.state.vault.set_password(&id, &user_id, &slow, world.state.now()).await.unwrap());
    let login = async {
        let body = json!({"email": "ann@example.com", "password": PASSWORD});
        (world.post_open("/auth/login", body).await, std::time::Instant::now())
    };
    let reset = async {
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        let body = json!({"token": token_of(&letter), "new_password": "seven lanterns over water"});
        world.post_open("/auth/reset-password/confirm", body).await.ok(200);
        std::time::Instant::now()
    };
    let ((login, login_done), reset_done) = futures::future::join(login, reset).await;
    assert!(reset_done < login_done, "the password was changed while the old one was being compared");
    login.problem(401, "auth.account_changed");
    assert!(world.state.vault.sessions_of(&id, &user_id, world.state.now()).await.unwrap().is_empty());
}

#[actix_web::test]
async fn end_of_a_session_that_was_interrupted_is_completed_by_a_repeat() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let (first, second) = (world.login("main", "ann@example.com").await, world.login("main", "ann@example.com").await);
    let (token, other) = (first["access_token"].as_str().unwrap(), second["access_token"].as_str().unwrap());
    let session_id = second["session_id"].as_str().unwrap();
    // The vault has ended it, and then the process stopped.
    let id = world.organization("main").id.clone();
    assert!(world.state.vault.end_session(&id, session_id, world.state.now()).await.unwrap());
    world.get("/auth/me", other).await.ok(200);
    let path = format!("/auth/sessions/{session_id}");
    assert_eq!(world.delete(&path, token).await.ok(200)["ended"], 1);
    assert_eq!(world.get("/auth/me", other).await.status, 401);
    assert_eq!(world.delete(&path, token).await.ok(200)["ended"], 0);
}

#[actix_web::test]
async fn logout_is_in_the_ledger_even_if_the_vault_fails() {
    let world = world().await;
    world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    world.get("/auth/me", &token).await.ok(200);
    world.state.vault.close().await;
    let header = [("authorization", &*format!("Bearer {token}"))];
    assert_eq!(world.call(Method::POST, "/auth/logout", &header, None).await.status, 503);
    let entries = world.organization("main").ledger.entries(0, 10_000).await.unwrap();
    assert_eq!(entries.iter().filter(|entry| entry.event_type == "session.ended").count(), 1);
}

#[actix_web::test]
async fn every_session_ends_however_many_there_are() {
    use daybook_identity::vault::NewSession;
    let world = world().await;
    let user_id = world.member("main", "ann@example.com", "viewer").await;
    world.member("main", "olga@example.com", "owner").await;
    let owner = world.token("main", "olga@example.com").await;
    let token = world.token("main", "ann@example.com").await;
    // A list holds 500, the last used first.
    let (ledger, now) = (world.organization("main").id.clone(), world.state.now() + SECOND);
    for number in 0..500 {
        let session = NewSession {
            ledger: ledger.clone(),
            user_id: user_id.clone(),
            session_id: format!("ses_{number}"),
            expires_at: now + DAY,
            client: None,
        };
        world.state.vault.start_session(&session, now).await.unwrap();
    }
    assert_eq!(world.delete(&format!("/users/{user_id}/sessions"), &owner).await.ok(200)["ended"], 501);
    assert_eq!(world.get("/auth/me", &token).await.status, 401);
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
    assert_eq!(world.delete(&path, token).await.ok(200)["ended"], 0);
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
    let position = record_deactivation(world, user_id).await;
    world.organization("main").settle_at(position).await.unwrap();
}

/// The fact alone; answers where it is.
async fn record_deactivation(world: &World, user_id: &str) -> u64 {
    use daybook_domain::text::ActorId;
    use daybook_domain::user::UserCommand;
    use daybook_ledger::Actor;
    use daybook_ledger::commands::CommandContext;
    let organization = world.organization("main");
    let by = ActorId::parse("", "operator").unwrap();
    let command = UserCommand::Deactivate { by, reason: None };
    let context = CommandContext::new(Actor::system("operator"));
    organization.users.execute(user_id, command, context).await.unwrap().receipt.position
}
