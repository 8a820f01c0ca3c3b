//! How accounts come to be.

use actix_web::http::Method;
use daybook_identity::vault::Purpose;
use serde_json::json;

use crate::common::*;

#[actix_web::test]
async fn first_owner_comes_by_the_link_of_the_start_and_the_link_works_once() {
    let world = world().await;
    let id = "main".parse().unwrap();
    let link = world.state.owner_link(&id).await.unwrap().unwrap();
    assert!(link.starts_with("https://daybook.example/register#token=dbo_"), "{link}");
    let body =
        json!({"token": token_of(&link), "email": "olga@example.com", "password": PASSWORD, "full_name": "Olga"});
    let answer = world.post_open("/auth/register", body.clone()).await;
    let made = answer.ok(201);
    assert_eq!((made["role"].as_str(), made["email"].as_str()), (Some("owner"), Some("olga@example.com")));
    assert_eq!(answer.header("location"), Some(format!("/v1/users/{}", answer.text("/id")).as_str()));
    assert!(made["receipt"]["position"].is_u64(), "{made}");
    assert_eq!(world.state.owner_link(&id).await.unwrap(), None);
    world.post_open("/auth/register", body).await.problem(400, "auth.token_invalid");
    assert_eq!(world.events("main", "user.registered").await[0]["origin"], "owner_link");
    assert_eq!(world.events("main", "user.role_granted").await[0]["role"], "owner");
    assert_eq!(world.events("main", "access.refused").await[0]["reason"], "auth.token_invalid");
    world.login("main", "OLGA@example.com ").await;
}

#[actix_web::test]
async fn newer_owner_link_takes_the_place_of_an_older_one() {
    let world = world().await;
    let id = "main".parse().unwrap();
    let old = world.state.owner_link(&id).await.unwrap().unwrap();
    let new = world.state.owner_link(&id).await.unwrap().unwrap();
    let body =
        |link: &str| json!({"token": token_of(link), "email": "o@example.com", "password": PASSWORD, "full_name": "O"});
    world.post_open("/v1/auth/register", body(&old)).await.problem(400, "auth.token_invalid");
    world.post_open("/v1/auth/register", body(&new)).await.ok(201);
}

#[actix_web::test]
async fn nobody_registers_by_himself_unless_registration_is_open() {
    let world = world().await;
    let body = json!({"email": "eve@example.com", "password": PASSWORD, "full_name": "Eve"});
    world.post_open("/v1/auth/register", body.clone()).await.problem(403, "auth.registration_closed");
    let mut elsewhere = body;
    elsewhere["organization_id"] = json!("nowhere");
    world.post_open("/v1/auth/register", elsewhere).await.problem(403, "auth.registration_closed");
}

#[actix_web::test]
async fn open_registration_gives_viewer_whatever_is_asked_for_and_says_so() {
    let world = world_with(Options { open_registration: true, ..Options::default() }).await;
    let path =
        "/auth/register?email=eve%40example.com&password=stapled%20horses%20run%20at%20dawn&full_name=Eve&role=admin";
    let made = world.call(Method::POST, path, &[], None).await.ok(201);
    assert_eq!(made["role"], "viewer");
    let token = world.token("main", "eve@example.com").await;
    assert_eq!(world.get("/auth/me/permissions", &token).await.ok(200)["role"], "viewer");
    // The same address again, in other letters.
    let body = json!({"email": "EVE@example.com", "password": PASSWORD, "full_name": "Eve Two"});
    world.post_open("/auth/register", body).await.problem(400, "auth.email_taken");
}

#[actix_web::test]
async fn query_and_body_may_not_contradict_each_other() {
    let world = world_with(Options { open_registration: true, ..Options::default() }).await;
    for (name, query) in [("email", "b%40example.com"), ("full_name", "B"), ("password", "other"), ("role", "admin")] {
        let mut body = json!({"email": "a@example.com", "password": PASSWORD, "full_name": "A", "role": "viewer"});
        let path = format!("/auth/register?{name}={query}");
        world.post_open(&path, body.clone()).await.problem(400, "request.contradiction");
        body.as_object_mut().unwrap().remove(name);
    }
    world.call(Method::POST, "/auth/register?token=dbo_x", &[], None).await.problem(400, "request.unknown_parameter");
}

#[actix_web::test]
async fn what_is_missing_or_malformed_is_named() {
    let world = world_with(Options { open_registration: true, ..Options::default() }).await;
    let problem = world.post_open("/auth/register", json!({})).await.problem(400, "request.invalid");
    let pointers: Vec<_> = problem["errors"].as_array().unwrap().iter().map(|error| error["pointer"].clone()).collect();
    assert_eq!(pointers, ["/email", "/full_name", "/password"]);
    for (field, value) in [("email", "nobody"), ("email", "a@b\nc"), ("full_name", "\u{202e}evil"), ("role", "Root!")] {
        let mut body = json!({"email": "a@example.com", "password": PASSWORD, "full_name": "A"});
        body[field] = json!(value);
        let problem = world.post_open("/auth/register", body).await.problem(400, "request.invalid");
        assert_eq!(problem["errors"][0]["pointer"], format!("/{field}"), "{problem}");
    }
    for (password, code) in [
        ("short", "password.too_short"),
        ("passwordpassword", "password.too_common"),
        ("a.long.name@example.com", "password.is_email"),
    ] {
        let body = json!({"email": "a.long.name@example.com", "password": password, "full_name": "A"});
        world.post_open("/auth/register", body).await.problem(422, code);
    }
    assert!(world.events("main", "user.registered").await.is_empty());
}

#[actix_web::test]
async fn invited_person_gets_the_role_of_the_invitation_and_nobody_takes_the_place() {
    let world = world_with(Options { open_registration: true, ..Options::default() }).await;
    let (user_id, token) = invite(&world, "ida@example.com", "analyst").await;
    // Knowing the address is not enough.
    let body = json!({"email": "ida@example.com", "password": PASSWORD, "full_name": "Eve"});
    world.post_open("/auth/register", body).await.problem(400, "auth.email_taken");
    let mut body = json!({"token": token, "password": PASSWORD, "full_name": "Ida", "email": "eve@example.com"});
    world.post_open("/auth/register", body.clone()).await.problem(400, "request.invalid");
    body.as_object_mut().unwrap().remove("email");
    let made = world.post_open("/auth/register", body.clone()).await.ok(201);
    assert_eq!((made["id"].as_str(), made["role"].as_str()), (Some(user_id.as_str()), Some("analyst")));
    assert_eq!(made["email"], "ida@example.com");
    world.post_open("/auth/register", body).await.problem(400, "auth.token_invalid");
    world.login("main", "ida@example.com").await;
}

#[actix_web::test]
async fn expired_invitation_is_refused() {
    let world = world().await;
    let (_, token) = invite(&world, "ida@example.com", "analyst").await;
    world.advance(2 * DAY);
    let body = json!({"token": token, "password": PASSWORD, "full_name": "Ida"});
    world.post_open("/auth/register", body).await.problem(400, "auth.token_invalid");
}

#[actix_web::test]
async fn registration_that_broke_off_before_the_fact_can_be_repeated_after_a_while() {
    let world = world_with(Options { open_registration: true, ..Options::default() }).await;
    let organization = world.organization("main");
    let digest = world.state.vault.email_digest(&organization.id, "ann@example.com");
    let now = world.state.now();
    world.state.vault.reserve_account(&organization.id, "usr_0123456789abcdef01234567", &digest, now).await.unwrap();
    let body = json!({"email": "ann@example.com", "password": PASSWORD, "full_name": "Ann"});
    let problem = world.post_open("/auth/register", body.clone()).await;
    problem.problem(409, "auth.registration_under_way");
    assert_eq!(problem.header("retry-after"), Some("60"));
    world.advance(2 * MINUTE);
    let id = world.post_open("/auth/register", body).await.ok(201)["id"].clone();
    // Whoever was still at it finds that the account is somebody else's.
    assert_ne!(id, "usr_0123456789abcdef01234567");
    world.login("main", "ann@example.com").await;
}

#[actix_web::test]
async fn password_of_a_registration_that_broke_off_goes_with_it() {
    let world = world_with(Options { open_registration: true, ..Options::default() }).await;
    let (vault, main) = (&world.state.vault, world.organization("main").id.clone());
    let (stranger, digest) = ("usr_0123456789abcdef01234567", vault.email_digest(&main, "ann@example.com"));
    let hash = world.state.passwords.hash("a stranger's own password".into()).await.unwrap();
    vault.reserve_account(&main, stranger, &digest, world.state.now()).await.unwrap();
    assert!(vault.set_password(&main, stranger, &hash, world.state.now()).await.unwrap());
    world.advance(2 * MINUTE);
    let fresh = "usr_000000000000000000000001";
    let (now, before) = (world.state.now(), world.state.now() - MINUTE);
    assert!(vault.take_over_account(&main, stranger, fresh, before, now).await.unwrap());
    assert!(!vault.take_over_account(&main, fresh, stranger, before, now).await.unwrap(), "it is somebody's again");
    assert!(vault.account(&main, fresh).await.unwrap().unwrap().password_hash.is_none());
    assert!(!vault.set_password(&main, stranger, &hash, now).await.unwrap());
    vault.complete_account(&main, fresh, now).await.unwrap();
    assert!(
        !vault.take_over_account(&main, fresh, stranger, now, now).await.unwrap(),
        "a complete one is nobody else's"
    );
}

#[actix_web::test]
async fn account_with_its_fact_but_without_its_mark_comes_in_and_is_nobody_elses() {
    let world = world_with(Options { open_registration: true, ..Options::default() }).await;
    // As if the process had stopped just before `complete_account`.
    let user_id = world.member("main", "ann@example.com", "admin").await;
    let organization = world.organization("main");
    let account = world.state.vault.account(&organization.id, &user_id).await.unwrap().unwrap();
    assert!(account.completed_at.is_some());
    world.advance(HOUR);
    let body = json!({"email": "ann@example.com", "password": "another horse of another dawn", "full_name": "Eve"});
    world.post_open("/auth/register", body).await.problem(400, "auth.email_taken");
    world.login("main", "ann@example.com").await;
}

/// Somebody invited; answers the id and the token of the letter.
async fn invite(world: &World, email: &str, role: &str) -> (String, String) {
    use daybook_domain::user::{Invite, Invited, UserCommand};
    use daybook_identity_api::view::{field, seal};
    use daybook_ledger::Actor;
    use daybook_ledger::commands::CommandContext;
    let organization = world.organization("main");
    let (vault, now) = (&world.state.vault, world.state.now());
    let user_id = "usr_00000000000000000000abcd".to_owned();
    let at = |micros| daybook_domain::Timestamp::from_micros(micros).unwrap();
    let digest = vault.email_digest(&organization.id, email);
    vault.reserve_account(&organization.id, &user_id, &digest, now).await.unwrap();
    let invitation = Invited {
        email: seal(&organization, &user_id, field::EMAIL, email).await.unwrap(),
        role: role.parse().unwrap(),
        department_id: None,
        expires_at: at(now + DAY),
        role_expires_at: None,
    };
    let command = UserCommand::Invite(Box::new(Invite { invitation, at: at(now) }));
    let context = CommandContext::new(Actor::system("test"));
    let outcome = organization.users.execute(&user_id, command, context).await.unwrap();
    organization.settle(&outcome).await.unwrap();
    let token = vault
        .issue_one_time(&organization.id, Purpose::Invitation, Some(&user_id), &serde_json::Value::Null, DAY, now)
        .await
        .unwrap();
    (user_id, token.expose().to_owned())
}
