//! The authenticator: operator, sessions, development headers, organisations.

use std::sync::Arc;

use daybook_http_kit::role::Role;
use daybook_http_kit::{Authenticator, Credentials, IdentityConfig, Organizations, PermissionSet, Secret, Via};
use daybook_identity::authenticator::IdentityService;
use daybook_identity::directory::Directory;
use daybook_identity::tokens::Tokens;
use daybook_identity::vault::Reserved;
use daybook_ledger::LedgerId;
use daybook_ledger::entry::ActorKind;
use serde_json::json;

use crate::world::{DAY, OPERATOR_TOKEN, World, open_ledger, text};

pub fn nothing() -> Credentials<'static> {
    Credentials { bearer: None, dev: None, organization: None, peer: None, request_id: "r", method: "GET", path: "/" }
}

pub fn bearer(token: &str) -> Credentials<'_> {
    Credentials { bearer: Some(token), ..nothing() }
}

fn dev<'a>(email: &'a str, role: &'a str) -> Credentials<'a> {
    Credentials { dev: Some((email, role)), ..nothing() }
}

/// Two organisations, `main` and `acme`, in one store.
async fn two(world: &World) -> Organizations<Directory> {
    let organizations = Organizations::single(LedgerId::main(), world.directory().await);
    let acme: LedgerId = "acme".parse().unwrap();
    let ledger = open_ledger(&world.store, acme.clone(), &world.clock).await;
    organizations.insert(acme, Arc::new(world.directory_of(ledger.reader().clone()).await));
    organizations
}

async fn code(service: &IdentityService, credentials: Credentials<'_>) -> (u16, String) {
    let problem = service.authenticate(credentials).await.expect_err("a refusal");
    (problem.status(), problem.code().to_owned())
}

fn refused(code: &str) -> (u16, String) {
    (401, code.to_owned())
}

#[tokio::test]
async fn operator_and_developers_that_name_no_organisation_are_in_the_servers_own() {
    let world = World::new().await;
    let acme: LedgerId = "acme".parse().unwrap();
    let config = IdentityConfig::new(Some(Secret::new(OPERATOR_TOKEN)), true).with_default_organization(acme.clone());
    let clock = Arc::clone(&world.clock);
    let service = IdentityService::new(config, world.vault.clone(), world.tokens(), two(&world).await, clock);
    for credentials in [bearer(OPERATOR_TOKEN), dev("ann@example.com", "viewer")] {
        assert_eq!(service.authenticate(credentials).await.unwrap().unwrap().organization, acme);
    }
}

#[tokio::test]
async fn person_in_a_session_is_let_in_with_what_the_directory_says() {
    let world = World::new().await;
    world.person("usr_1", &["compliance"]).await;
    let service = world.service(two(&world).await, false);
    let token = world.tokens().issue("usr_1", &LedgerId::main(), "ses_1", world.now()).await.unwrap().token;
    let principal = service.authenticate(bearer(&token)).await.unwrap().unwrap();
    assert_eq!((principal.actor.kind, principal.user_id()), (ActorKind::Human, Some("usr_1")));
    assert_eq!((principal.via, principal.session_id.as_deref()), (Via::Session, Some("ses_1")));
    assert_eq!(
        (principal.role(), principal.access.permissions),
        ("compliance", PermissionSet::of_role(Role::Compliance))
    );
    assert_eq!(service.authenticate(nothing()).await.unwrap(), None);
}

#[tokio::test]
async fn whoever_is_gone_or_was_never_there_is_refused_with_a_reason() {
    let world = World::new().await;
    for user_id in ["usr_1", "usr_2", "usr_3"] {
        world.person(user_id, &["admin"]).await;
    }
    world.happens("usr_2", "user.deactivated", json!({})).await;
    world.happens("usr_3", "user.erased", json!({ "erasure_id": "era_1" })).await;
    world.happens("ses_9", "session.ended", json!({ "reason": "refresh_reuse" })).await;
    let service = world.service(two(&world).await, false);
    let (main, tokens) = (LedgerId::main(), world.tokens());
    let unknown: LedgerId = "unknown".parse().unwrap();
    for (user_id, organization, session_id, expected) in [
        ("usr_1", &main, "ses_9", "token.session_ended"),
        ("usr_2", &main, "ses_1", "token.user_inactive"),
        ("usr_3", &main, "ses_1", "token.user_inactive"),
        ("usr_4", &main, "ses_1", "token.user_inactive"),
        ("usr_1", &unknown, "ses_1", "token.unknown_organization"),
    ] {
        let token = tokens.issue(user_id, organization, session_id, world.now()).await.unwrap().token;
        let problem = service.authenticate(bearer(&token)).await.unwrap_err();
        assert_eq!((problem.status(), problem.code()), (401, expected), "{user_id}");
        // For the record, not for the answer.
        assert_eq!(problem.organization(), Some(organization));
    }
    let stranger = Tokens::new(world.vault.clone(), "https://other.example");
    let token = stranger.issue("usr_1", &main, "ses_1", world.now()).await.unwrap().token;
    assert_eq!(code(&service, bearer(&token)).await, refused("token.issuer"));
}

#[tokio::test]
async fn token_is_good_in_its_own_organisation_only() {
    let world = World::new().await;
    world.person("usr_1", &["owner"]).await;
    let service = world.service(two(&world).await, false);
    let token = world.tokens().issue("usr_1", &LedgerId::main(), "ses_1", world.now()).await.unwrap().token;
    let named = |organization| Credentials { organization: Some(organization), ..bearer(&token) };
    assert!(service.authenticate(named("main")).await.unwrap().is_some());
    // One that there is and one that there is not are answered alike.
    let (there, not_there) = (code(&service, named("acme")).await, code(&service, named("nowhere")).await);
    assert_eq!((&there, there.0, there.1.as_str()), (&not_there, 404, "organization.not_found"));
    assert_eq!(code(&service, named("Not One")).await.0, 400);
    // Nor does the same id in another organisation make the same person.
    let acme: LedgerId = "acme".parse().unwrap();
    let token = world.tokens().issue("usr_1", &acme, "ses_1", world.now()).await.unwrap().token;
    assert_eq!(code(&service, bearer(&token)).await, refused("token.user_inactive"));
}

#[tokio::test]
async fn operator_goes_on_as_before_and_other_words_are_no_credentials() {
    let world = World::new().await;
    let service = world.service(two(&world).await, true);
    let principal = service.authenticate(bearer(OPERATOR_TOKEN)).await.unwrap().unwrap();
    assert!(principal.is_operator() && principal.organization == LedgerId::main());
    let elsewhere = Credentials { organization: Some("acme"), ..bearer(OPERATOR_TOKEN) };
    assert_eq!(service.authenticate(elsewhere).await.unwrap().unwrap().organization.as_str(), "acme");
    for other in ["", "operator", "dbk_0f0f", "dbr_0f0f0f", "dbo_0f0f0f", &OPERATOR_TOKEN[..67]] {
        let both = Credentials { dev: Some(("a@example.com", "admin")), ..bearer(other) };
        assert_eq!(code(&service, both).await, refused("identity.invalid_token"), "{other}");
    }
    assert_eq!(code(&service, bearer("a.b.c")).await, refused("token.malformed"));
}

#[tokio::test]
async fn organisation_that_is_not_understood_lets_only_the_operator_in() {
    let world = World::new().await;
    world.person("usr_1", &["owner"]).await;
    world.happens("usr_2", "user.of_the_future", json!({})).await;
    let service = world.service(two(&world).await, true);
    let token = world.tokens().issue("usr_1", &LedgerId::main(), "ses_1", world.now()).await.unwrap().token;
    assert_eq!(code(&service, bearer(&token)).await, (503, "directory.not_understood".to_owned()));
    assert_eq!(code(&service, dev("a@example.com", "admin")).await, (503, "directory.not_understood".to_owned()));
    assert!(service.authenticate(bearer(OPERATOR_TOKEN)).await.unwrap().unwrap().is_operator());
}

#[tokio::test]
async fn development_headers_are_believed_of_strangers_and_checked_for_people_we_know() {
    let world = World::new().await;
    world.person("usr_known", &["analyst"]).await;
    world.person("usr_gone", &["admin"]).await;
    world.happens("usr_gone", "user.deactivated", json!({})).await;
    let ends = world.now() + DAY;
    world.happens("usr_known", "user.role_granted", json!({ "role": "admin", "expires_at": text(ends) })).await;
    let main = LedgerId::main();
    for (user_id, email) in
        [("usr_known", "known@example.com"), ("usr_gone", "gone@example.com"), ("usr_pending", "p@example.com")]
    {
        let digest = world.vault.email_digest(&main, email);
        let reserved = world.vault.reserve_account(&main, user_id, &digest, world.now()).await.unwrap();
        assert_eq!(reserved, Reserved::New);
    }
    let service = world.service(two(&world).await, true);

    let known = service.authenticate(dev(" Known@Example.com ", "analyst")).await.unwrap().unwrap();
    assert_eq!((known.user_id(), known.role(), known.via), (Some("usr_known"), "analyst", Via::DevHeaders));
    // It is let in as the role that it claims, not as everything that it could.
    assert_eq!(known.access.permissions, PermissionSet::of_role(Role::Analyst));
    assert_eq!(service.authenticate(dev("known@example.com", "admin")).await.unwrap().unwrap().role(), "admin");
    // A role that another one includes is held, too.
    assert!(service.authenticate(dev("known@example.com", "viewer")).await.is_ok());
    for role in ["owner", "auditor", "operator", "no-such-role"] {
        assert_eq!(code(&service, dev("known@example.com", role)).await, refused("identity.role_mismatch"), "{role}");
    }
    world.wait(DAY);
    assert_eq!(code(&service, dev("known@example.com", "admin")).await, refused("identity.role_mismatch"));
    assert_eq!(code(&service, dev("gone@example.com", "admin")).await, refused("identity.inactive"));

    let stranger = service.authenticate(dev("stranger@example.com", "admin")).await.unwrap().unwrap();
    assert!(stranger.user_id().unwrap().starts_with("usr_") && stranger.user_id() != Some("usr_known"));
    // An account that the ledger does not have is nobody's yet.
    assert!(service.authenticate(dev("p@example.com", "admin")).await.unwrap().is_some());
    let elsewhere = Credentials { organization: Some("acme"), ..dev("known@example.com", "owner") };
    let elsewhere = service.authenticate(elsewhere).await.unwrap().unwrap();
    assert_ne!(elsewhere.user_id(), Some("usr_known"));
    let nowhere = Credentials { organization: Some("nowhere"), ..dev("known@example.com", "owner") };
    assert_eq!(code(&service, nowhere).await, (404, "organization.not_found".to_owned()));
    assert_eq!(code(&service, dev("", "admin")).await, refused("identity.incomplete"));

    assert_eq!(service.person_id(&main, "known@example.com").await.as_deref(), Some("usr_known"));
    assert_eq!(service.person_id(&main, "stranger@example.com").await, None);
    let off = world.service(two(&world).await, false);
    assert_eq!(off.authenticate(dev("known@example.com", "analyst")).await.unwrap(), None);
}
