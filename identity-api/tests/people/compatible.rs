//! The predecessors' `/api/…` paths: the same things in their envelope.

use serde_json::json;

use crate::common::*;

#[actix_web::test]
async fn predecessors_paths_answer_in_their_envelope() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "olga@example.com").await;
    let made = world.post("/api/rbac/roles", &token, json!({"name": "lead", "display_name": "Lead"})).await.ok(201);
    assert_eq!((&made["success"], &made["data"]["name"]), (&json!(true), &json!("lead")));
    assert!(made["message"].is_string() && made["data"]["receipt"]["position"].is_u64());
    world.put("/api/rbac/roles/lead", &token, json!({"display_name": "Desk lead"})).await.ok(200);
    world.post("/api/rbac/roles/lead/permissions/audit:read", &token, json!({})).await.ok(200);
    world.delete("/api/rbac/roles/lead/permissions/audit:read", &token).await.ok(200);
    let permission = json!({"name": "chat:send", "resource": "chat", "action": "send"});
    world.post("/api/rbac/permissions", &token, permission).await.ok(201);
    let roles = format!("/api/rbac/users/{ann}/roles");
    world.post(&format!("{roles}/lead"), &token, json!({"organization_id": "main"})).await.ok(200);
    assert_eq!(world.get(&roles, &token).await.ok(200)["data"].as_array().unwrap().len(), 2);
    world.delete(&format!("{roles}/lead?organization_id=main"), &token).await.ok(200);
    world.post("/api/rbac/departments", &token, json!({"name": "Rates"})).await.ok(201);
    for path in [
        "/api/rbac/roles",
        "/api/rbac/permissions",
        "/api/rbac/departments",
        "/api/organizations",
        "/api/admin/api-keys",
    ] {
        let listing = world.get(path, &token).await.ok(200);
        assert!(listing["success"] == true && listing["data"].is_array(), "{path}: {listing}");
    }
    let check = json!({"user_id": ann, "checks": [{"permission": "transaction:read", "context": {}}]});
    let answer = world.post("/api/rbac/permissions/check", &token, check).await.ok(200);
    assert_eq!(answer["results"][0]["allowed"], true);
    assert!(world.get("/api/rbac/analytics?days=30", &token).await.ok(200)["generated_at"].is_string());
    assert_eq!(world.get("/api/organizations/main", &token).await.ok(200)["data"]["id"], "main");
    world.get("/api/organizations/other", &token).await.problem(404, "organization.not_found");
    let member = format!("/api/organizations/main/members/{ann}");
    assert_eq!(world.post(&format!("{member}?role=member"), &token, json!({})).await.ok(200)["data"]["role"], "viewer");
    let set = world.put(&format!("{member}/role?new_role=admin"), &token, json!({})).await.ok(200);
    assert_eq!(set["data"]["role"], "admin");
    assert_eq!(world.delete(&member, &token).await.ok(200)["data"]["role"], "none");
    world.post("/api/auth/organizations", &token, json!({"name": "Mine"})).await.problem(403, "permission.denied");
}

#[actix_web::test]
async fn predecessors_api_keys() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let token = world.token("main", "olga@example.com").await;
    let body = json!({"name": "feed", "scopes": ["read"], "expires_days": 10});
    let made = world.post("/api/admin/api-keys", &token, body).await.ok(201);
    let (id, key) = (made["data"]["id"].as_str().unwrap(), made["data"]["key_value"].as_str().unwrap());
    world.get("/api/rbac/roles", key).await.ok(200);
    let path = format!("/api/admin/api-keys/{id}");
    assert_eq!(world.put(&path, &token, json!({"name": "night feed"})).await.ok(200)["data"]["name"], "night feed");
    assert_eq!(world.delete(&path, &token).await.ok(200)["data"]["is_active"], false);
    assert_eq!(world.get("/api/rbac/roles", key).await.status, 401);
    assert_eq!(world.put(&path, &token, json!({"is_active": true})).await.status, 422);
    world.delete("/api/admin/api-keys/key_none", &token).await.problem(404, "api_key.not_found");
}

#[actix_web::test]
async fn predecessors_paths_ask_for_the_same_permissions() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "viewer").await;
    let token = world.token("main", "ann@example.com").await;
    for (path, body) in [
        ("/api/rbac/roles".to_owned(), json!({"name": "sly"})),
        ("/api/rbac/permissions".to_owned(), json!({"name": "a:b", "resource": "a", "action": "b"})),
        ("/api/rbac/departments".to_owned(), json!({"name": "Mine"})),
        (format!("/api/rbac/users/{ann}/roles/admin"), json!({})),
        (format!("/api/organizations/main/members/{ann}?role=owner"), json!({})),
        ("/api/admin/api-keys".to_owned(), json!({"name": "sly"})),
    ] {
        world.post(&path, &token, body).await.problem(403, "permission.denied");
    }
}
