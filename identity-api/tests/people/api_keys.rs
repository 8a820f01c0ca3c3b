//! API keys: shown once, bounded by their maker, rotated with overlap, revoked at once.

use actix_web::http::Method;
use serde_json::json;

use crate::common::*;

#[actix_web::test]
async fn key_is_shown_once_and_works_within_its_scopes() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let owner = world.token("main", "olga@example.com").await;
    let body = json!({"name": "feed", "description": "Nightly", "scopes": ["user:list"], "expires_in_days": 30});
    let made = world.post("/v1/api-keys", &owner, body).await.ok(201);
    let key = made["key_value"].as_str().unwrap().to_owned();
    let id = made["id"].as_str().unwrap().to_owned();
    assert_eq!((made["api_key"].as_str(), &made["scopes"]), (Some(key.as_str()), &json!(["user:list"])));
    assert!(key.starts_with(made["prefix"].as_str().unwrap()) && key.len() == 4 + 12 + 1 + 43, "{key}");
    world.get("/users", &key).await.ok(200);
    world.get("/rbac/roles", &key).await.problem(403, "permission.denied");
    let shown = world.get(&format!("/api-keys/{id}"), &owner).await.ok(200);
    assert!(
        shown.get("key_value").is_none() && shown["status"] == "live" && shown["expires_at"].is_string(),
        "{shown}"
    );
    let listing = world.get("/api-keys?status=live", &owner).await;
    assert!(!listing.body.contains(&key));
    assert_eq!(listing.ok(200)["total"], 1);
    for entry in world.entries("main").await {
        assert!(!format!("{entry:?}").contains(&key), "no secret in the ledger");
    }
    world.advance(31 * DAY);
    assert_eq!(world.get("/users", &key).await.status, 401);
    let token = world.token("main", "olga@example.com").await;
    assert_eq!(world.get(&format!("/api-keys/{id}"), &token).await.ok(200)["status"], "expired");
}

#[actix_web::test]
async fn repeat_under_one_key_shows_no_value() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let owner = format!("Bearer {}", world.token("main", "olga@example.com").await);
    let headers = [("authorization", owner.as_str()), ("idempotency-key", "key-1")];
    let first = world.call(Method::POST, "/api-keys", &headers, Some(json!({"name": "feed"}))).await.ok(201);
    let second = world.call(Method::POST, "/api-keys", &headers, Some(json!({"name": "feed"}))).await.json();
    assert_eq!(first["id"], second["id"]);
    assert!(first["key_value"].is_string() && second["key_value"].is_null());
    let key = first["key_value"].as_str().unwrap();
    assert_eq!(world.get("/rbac/roles", key).await.status, 200, "the first one works: its scopes are read");
}

#[actix_web::test]
async fn same_idempotency_key_in_two_organisations_makes_two_ids() {
    let world = world().await;
    world.open("other").await;
    let operator = format!("Bearer {OPERATOR}");
    let mut ids = std::collections::BTreeSet::new();
    for organization in ["main", "other"] {
        let named = ("x-organization-id", organization);
        let headers = [("authorization", operator.as_str()), ("idempotency-key", "same"), named];
        let made = world.call(Method::POST, "/api-keys", &headers, Some(json!({"name": "feed"}))).await.ok(201);
        ids.insert(made["id"].as_str().unwrap().to_owned());
        world.get("/rbac/roles", made["key_value"].as_str().unwrap()).await.ok(200);
        let headers = [("authorization", operator.as_str()), ("idempotency-key", "dep"), named];
        let body = Some(json!({"name": "Desk"}));
        let made = world.call(Method::POST, "/rbac/departments", &headers, body).await.ok(201);
        ids.insert(made["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 4);
}

#[actix_web::test]
async fn repeat_of_an_interrupted_command_completes_it() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let owner = format!("Bearer {}", world.token("main", "olga@example.com").await);
    let with_key = |key| [("authorization", owner.as_str()), ("idempotency-key", key)];
    let (vault, main) = (&world.state.vault, daybook_ledger::LedgerId::main());
    let body = || Some(json!({"name": "feed"}));
    let made = world.call(Method::POST, "/api-keys", &with_key("make"), body()).await.ok(201);
    let id = made["id"].as_str().unwrap().to_owned();
    // As if the process had ended between ledger and vault.
    assert!(vault.remove_api_key(&main, &id).await.unwrap());
    let made = world.call(Method::POST, "/api-keys", &with_key("make"), body()).await.json();
    world.get("/rbac/roles", made["key_value"].as_str().unwrap()).await.ok(200);

    let row = vault.api_key(&id).await.unwrap().unwrap();
    let path = format!("/api-keys/{id}/rotate");
    let rotate = || Some(json!({"overlap_seconds": 600}));
    let first = world.call(Method::POST, &path, &with_key("turn"), rotate()).await.ok(200);
    assert!(vault.remove_api_key(&main, &id).await.unwrap());
    assert!(vault.add_api_key(&main, &id, &row.digests[0].digest, 1, row.expires_at, 0).await.unwrap());
    world.advance(MINUTE);
    let second = world.call(Method::POST, &path, &with_key("turn"), rotate()).await.json();
    let new = second["key_value"].as_str().unwrap().to_owned();
    world.get("/rbac/roles", &new).await.ok(200);
    assert_eq!(first["old_valid_until"], second["old_valid_until"]);
    // Once it is complete, a repeat shows nothing and changes nothing.
    let third = world.call(Method::POST, &path, &with_key("turn"), rotate()).await.json();
    assert!(third["key_value"].is_null());
    let digests = vault.api_key(&id).await.unwrap().unwrap().digests;
    assert_eq!(digests.len(), 2);
    world.advance(10 * MINUTE);
    assert_eq!(world.get("/rbac/roles", made["key_value"].as_str().unwrap()).await.status, 401);
    world.get("/rbac/roles", &new).await.ok(200);

    // Where the vault has the id for another organisation, nobody is told that it went well.
    world.open("other").await;
    assert!(vault.remove_api_key(&main, &id).await.unwrap());
    let other = "other".parse().unwrap();
    assert!(vault.add_api_key(&other, &id, &row.digests[0].digest, 1, None, 0).await.unwrap());
    world.call(Method::POST, &path, &with_key("turn-again"), rotate()).await.problem(503, "api_key.id_taken");
}

#[actix_web::test]
async fn rotation_overlaps_as_long_as_asked() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let owner = world.token("main", "olga@example.com").await;
    let made = world.post("/api-keys", &owner, json!({"name": "feed", "scopes": ["user:list"]})).await.ok(201);
    let (id, old) = (made["id"].as_str().unwrap().to_owned(), made["key_value"].as_str().unwrap().to_owned());
    let path = format!("/api-keys/{id}/rotate");
    let rotated = world.post(&path, &owner, json!({"overlap_seconds": 600})).await.ok(200);
    let new = rotated["key_value"].as_str().unwrap().to_owned();
    assert_eq!((&rotated["id"], new != old), (&json!(id), true));
    assert!(rotated["old_valid_until"].is_string());
    world.get("/users", &old).await.ok(200);
    world.get("/users", &new).await.ok(200);
    world.advance(11 * MINUTE);
    assert_eq!(world.get("/users", &old).await.status, 401);
    world.get("/users", &new).await.ok(200);
    let last = world.post(&path, &owner, json!({"overlap_seconds": 0})).await.ok(200);
    assert_eq!(world.get("/users", &new).await.status, 401, "without overlap the old one is refused at once");
    world.get("/users", last["key_value"].as_str().unwrap()).await.ok(200);
    world.post(&path, &owner, json!({"overlap_seconds": 604801})).await.problem(400, "request.invalid");
    world.post("/api-keys/key_none/rotate", &owner, json!({})).await.problem(404, "api_key.not_found");
}

#[actix_web::test]
async fn revoked_key_is_refused_at_once() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let owner = world.token("main", "olga@example.com").await;
    let made = world.post("/api-keys", &owner, json!({"name": "feed", "scopes": ["user:list"]})).await.ok(201);
    let (id, key) = (made["id"].as_str().unwrap().to_owned(), made["key_value"].as_str().unwrap().to_owned());
    world.get("/users", &key).await.ok(200);
    let revoked = world.post(&format!("/api-keys/{id}/revoke"), &owner, json!({"reason": "leaked"})).await.ok(200);
    assert_eq!((&revoked["status"], &revoked["is_active"]), (&json!("revoked"), &json!(false)));
    assert_eq!(world.get("/users", &key).await.status, 401);
    world.post(&format!("/api-keys/{id}/rotate"), &owner, json!({})).await.problem(422, "api_key.revoked");
    world.put(&format!("/api-keys/{id}"), &owner, json!({"name": "x"})).await.problem(422, "api_key.revoked");
    world.delete(&format!("/api-keys/{id}"), &owner).await.ok(200);
    world.delete("/api-keys/key_none", &owner).await.problem(404, "api_key.not_found");
    let refused = world.events("main", "access.refused").await;
    assert_eq!((refused.len(), &refused[0]["reason"]), (1, &json!("api_key.revoked")));
}

#[actix_web::test]
async fn nobody_makes_or_takes_over_a_key_that_permits_more_than_he_may() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let smith = world.member("main", "smith@example.com", "viewer").await;
    let owner = world.token("main", "olga@example.com").await;
    let body = json!({"name": "keysmith", "inherits": ["viewer"], "permissions": ["admin.api_key:manage"]});
    world.post("/rbac/roles", &owner, body).await.ok(201);
    world.post(&format!("/users/{smith}/grants"), &owner, json!({"role": "keysmith"})).await.ok(200);
    let strong = world.post("/api-keys", &owner, json!({"name": "strong", "scopes": ["admin"]})).await.ok(201);
    let strong = strong["id"].as_str().unwrap().to_owned();
    let token = world.token("main", "smith@example.com").await;
    for scopes in [json!(["admin"]), json!(["write"]), json!(["read"]), json!(["user:delete"])] {
        let body = json!({"name": "sly", "scopes": scopes});
        world.post("/api-keys", &token, body).await.problem(403, "rbac.exceeds_own");
    }
    // Neither by another secret for a strong key, nor by a longer life of it, nor by more for a weak one.
    world.post(&format!("/api-keys/{strong}/rotate"), &token, json!({})).await.problem(403, "rbac.exceeds_own");
    let longer = json!({"expires_in_days": 366});
    world.put(&format!("/api-keys/{strong}"), &token, longer).await.problem(403, "rbac.exceeds_own");
    let weak = world.post("/api-keys", &token, json!({"name": "weak", "scopes": ["transaction:read"]})).await.ok(201);
    let path = format!("/api-keys/{}", weak["id"].as_str().unwrap());
    world.put(&path, &token, json!({"scopes": ["admin"]})).await.problem(403, "rbac.exceeds_own");
    // And what the owner adds to it does not make it more than its maker held.
    let widened = world.put(&path, &owner, json!({"scopes": ["user:list", "transaction:read"]})).await.ok(200);
    assert_eq!(widened["permissions"], json!(["transaction:read"]));
    world.get("/users", weak["key_value"].as_str().unwrap()).await.problem(403, "permission.denied");
}

#[actix_web::test]
async fn wishes_for_keys_are_checked() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    world.open("other").await;
    let owner = world.token("main", "olga@example.com").await;
    for bad in [
        json!({"name": ""}),
        json!({"name": "x", "scopes": []}),
        json!({"name": "x", "scopes": ["everything"]}),
        json!({"name": "x", "scopes": ["organization:create"]}),
        json!({"name": "x", "expires_in_days": 0}),
        json!({"name": "x", "expires_in_days": 367}),
        json!({"name": "x", "colour": "red"}),
    ] {
        let status = world.post("/api-keys", &owner, bad.clone()).await.status;
        assert!(status == 400 || status == 422, "{bad}: {status}");
    }
    world.member("main", "cleo@example.com", "compliance").await;
    let token = world.token("main", "cleo@example.com").await;
    world.get("/api-keys", &token).await.problem(403, "permission.denied");
    world.get("/api-keys?status=gone", &owner).await.problem(400, "request.invalid_parameter");
    // A key of another organisation is unknown.
    let made = world
        .call(
            Method::POST,
            "/api-keys",
            &[("authorization", &format!("Bearer {OPERATOR}")), ("x-organization-id", "other")],
            Some(json!({"name": "theirs"})),
        )
        .await
        .ok(201);
    let id = made["id"].as_str().unwrap();
    world.get(&format!("/api-keys/{id}"), &owner).await.problem(404, "api_key.not_found");
    world.post(&format!("/api-keys/{id}/revoke"), &owner, json!({})).await.problem(404, "api_key.not_found");
}
