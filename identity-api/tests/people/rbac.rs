//! Roles and permissions: made, changed, retired, asked about.

use serde_json::{Value, json};

use crate::common::*;

#[actix_web::test]
async fn built_in_roles_are_listed_first_and_cannot_be_changed() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let token = world.token("main", "olga@example.com").await;
    let listing = world.get("/v1/rbac/roles", &token).await.ok(200);
    let names: Vec<_> = listing["items"].as_array().unwrap().iter().map(|role| role["name"].clone()).collect();
    assert_eq!(names, ["owner", "admin", "compliance", "analyst", "viewer", "auditor"]);
    let viewer = world.get("/rbac/roles/viewer", &token).await.ok(200);
    assert_eq!(viewer["is_system_role"], true);
    assert!(viewer["permissions"].as_array().unwrap().contains(&json!("transaction:read")));
    for name in ["admin", "viewer"] {
        let path = format!("/rbac/roles/{name}");
        world.put(&path, &token, json!({"display_name": "X"})).await.problem(422, "role.built_in");
        world.delete(&path, &token).await.problem(422, "role.built_in");
        let permission = format!("{path}/permissions/ledger:seal");
        world.post(&permission, &token, json!({})).await.problem(422, "role.built_in");
    }
    for name in ["admin", "operator"] {
        world.post("/rbac/roles", &token, json!({"name": name})).await.problem(422, "role.built_in");
    }
    world.get("/rbac/roles/none", &token).await.problem(404, "role.not_found");
}

#[actix_web::test]
async fn role_is_made_and_inherits() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let token = world.token("main", "olga@example.com").await;
    let body = json!({"name": "desk_lead", "display_name": "Desk lead", "inherits": ["analyst"], "permissions": ["transaction:update"]});
    let made = world.post("/rbac/roles", &token, body.clone()).await.ok(201);
    let permissions = made["permissions"].as_array().unwrap();
    assert!(permissions.contains(&json!("incident:write")) && permissions.contains(&json!("transaction:update")));
    assert_eq!(made["own_permissions"], json!(["transaction:update"]));
    assert_eq!((&made["is_system_role"], &made["is_active"]), (&json!(false), &json!(true)));
    world.post("/rbac/roles", &token, body).await.ok(200);
    world.post("/rbac/roles", &token, json!({"name": "desk_lead"})).await.problem(409, "role.exists");
    let path = "/rbac/roles/desk_lead";
    let changed = world.put(path, &token, json!({"inherits": ["viewer"], "description": "Leads"})).await.ok(200);
    assert!(!changed["permissions"].as_array().unwrap().contains(&json!("incident:write")));
    let granted = world.post(&format!("{path}/permissions/audit:read"), &token, json!({})).await.ok(200);
    assert!(granted["own_permissions"].as_array().unwrap().contains(&json!("audit:read")));
    world.delete(&format!("{path}/permissions/audit:read"), &token).await.ok(200);
    world.delete(&format!("{path}/permissions/audit:read"), &token).await.problem(404, "permission.not_found");
    world.post(&format!("{path}/permissions/no:such"), &token, json!({})).await.problem(404, "permission.not_found");
    for (bad, status) in [
        (json!({"name": "Bad Name"}), 400),
        (json!({"name": "x", "inherits": ["nobody"]}), 400),
        (json!({"name": "x", "permissions": ["no:such"]}), 400),
        (json!({"name": "x", "inherits": ["owner"]}), 422),
        (json!({"name": "x", "inherits": ["auditor"]}), 422),
        (json!({"name": "x", "colour": "red"}), 400),
    ] {
        assert_eq!(world.post("/rbac/roles", &token, bad.clone()).await.status, status, "{bad}");
    }
    world.put(path, &token, json!({"name": "other"})).await.problem(400, "request.invalid");
    world.put("/rbac/roles/none", &token, json!({"display_name": "x"})).await.problem(404, "role.not_found");
}

#[actix_web::test]
async fn roles_do_not_inherit_in_circles_or_too_deep() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let token = world.token("main", "olga@example.com").await;
    let make = |name: String, inherits: Value| json!({"name": name, "inherits": inherits});
    world.post("/rbac/roles", &token, make("r0".into(), json!([]))).await.ok(201);
    for level in 1..=8 {
        let below = json!([format!("r{}", level - 1)]);
        world.post("/rbac/roles", &token, make(format!("r{level}"), below)).await.ok(201);
    }
    world.post("/rbac/roles", &token, make("r9".into(), json!(["r8"]))).await.problem(422, "role.too_deep");
    // From below, too.
    world.put("/rbac/roles/r0", &token, json!({"inherits": ["viewer"]})).await.problem(422, "role.too_deep");
    world.put("/rbac/roles/r0", &token, json!({"inherits": ["r5"]})).await.problem(422, "role.circular");
    world.put("/rbac/roles/r3", &token, json!({"inherits": ["r3"]})).await.problem(422, "role.circular");
}

#[actix_web::test]
async fn nobody_makes_a_role_that_permits_more_than_he_may() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let maker = world.member("main", "maker@example.com", "viewer").await;
    let owner = world.token("main", "olga@example.com").await;
    let body = json!({"name": "role_maker", "inherits": ["viewer"], "permissions": ["admin.role:manage"]});
    world.post("/rbac/roles", &owner, body).await.ok(201);
    world.post(&format!("/users/{maker}/grants"), &owner, json!({"role": "role_maker"})).await.ok(200);
    let token = world.token("main", "maker@example.com").await;
    for body in [
        json!({"name": "sly", "permissions": ["user:delete"]}),
        json!({"name": "sly", "inherits": ["admin"]}),
        json!({"name": "sly", "permissions": ["organization:transfer"]}),
    ] {
        world.post("/rbac/roles", &token, body).await.problem(403, "rbac.exceeds_own");
    }
    // His own role cannot be made more of, either.
    let path = "/rbac/roles/role_maker";
    world.post(&format!("{path}/permissions/ledger:seal"), &token, json!({})).await.problem(403, "rbac.exceeds_own");
    world.put(path, &token, json!({"inherits": ["compliance"]})).await.problem(403, "rbac.exceeds_own");
    world.post("/rbac/roles", &token, json!({"name": "mild", "permissions": ["transaction:read"]})).await.ok(201);
    let admin_only =
        world.post("/rbac/roles", OPERATOR, json!({"name": "made", "permissions": ["organization:create"]})).await;
    assert_eq!(admin_only.status, 201, "the operator holds everything: {}", admin_only.body);
    world
        .post(&format!("/users/{maker}/grants"), &owner, json!({"role": "made"}))
        .await
        .problem(403, "rbac.exceeds_own");
}

#[actix_web::test]
async fn role_in_use_is_not_retired() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let vic = world.member("main", "vic@example.com", "viewer").await;
    let token = world.token("main", "olga@example.com").await;
    world.post("/rbac/roles", &token, json!({"name": "base", "permissions": ["audit:read"]})).await.ok(201);
    world.post("/rbac/roles", &token, json!({"name": "heir", "inherits": ["base"]})).await.ok(201);
    world.post(&format!("/users/{vic}/grants"), &token, json!({"role": "heir"})).await.ok(200);
    world.delete("/rbac/roles/base", &token).await.problem(409, "role.in_use");
    world.delete("/rbac/roles/heir", &token).await.problem(409, "role.in_use");
    world.post(&format!("/users/{vic}/grants/revoke"), &token, json!({"role": "heir"})).await.ok(200);
    world.delete("/rbac/roles/heir", &token).await.ok(200);
    let retired = world.put("/rbac/roles/base", &token, json!({"is_active": false})).await.ok(200);
    assert_eq!(retired["is_active"], false);
    world.post(&format!("/users/{vic}/grants"), &token, json!({"role": "base"})).await.problem(400, "request.invalid");
    world.put("/rbac/roles/base", &token, json!({"display_name": "x"})).await.problem(422, "role.retired");
}

#[actix_web::test]
async fn roles_of_a_person_by_name() {
    let world = world().await;
    world.open("other").await;
    world.owner("main", "olga@example.com").await;
    let vic = world.member("main", "vic@example.com", "viewer").await;
    let token = world.token("main", "olga@example.com").await;
    let path = format!("/rbac/users/{vic}/roles");
    world.post(&format!("{path}/analyst"), &token, json!({"organization_id": "main"})).await.ok(200);
    let roles = world.get(&path, &token).await.ok(200);
    assert_eq!(roles["roles"].as_array().unwrap().len(), 2);
    assert!(roles["roles"][0]["permissions"].is_array() && roles["roles"][0]["grant"]["granted_at"].is_string());
    world.delete(&format!("{path}/analyst?organization_id=main"), &token).await.ok(200);
    world.get(&format!("{path}?organization_id=other"), &token).await.problem(404, "organization.not_found");
    let elsewhere = json!({"organization_id": "other"});
    world.post(&format!("{path}/analyst"), &token, elsewhere).await.problem(404, "organization.not_found");
    world.post(&format!("{path}/emperor"), &token, json!({})).await.problem(400, "request.invalid");
    world.get("/rbac/users/usr_nobody/roles", &token).await.problem(404, "user.not_found");
}

#[actix_web::test]
async fn permissions_are_checked_with_their_conditions() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    let token = world.token("main", "olga@example.com").await;
    let define = json!({"name": "document:update", "resource": "document", "action": "update",
        "conditions": {"own_only": true, "max_classification": "internal"}});
    let defined = world.post("/rbac/permissions", &token, define.clone()).await.ok(201);
    assert_eq!(defined["is_system_permission"], false);
    world.post("/rbac/permissions", &token, define).await.ok(200);
    let taken = json!({"name": "user:delete", "resource": "user", "action": "delete"});
    world.post("/rbac/permissions", &token, taken).await.problem(409, "permission.built_in");
    let unknown = json!({"name": "a:b", "resource": "a", "action": "b", "conditions": {"full_moon": true}});
    world.post("/rbac/permissions", &token, unknown).await.problem(400, "request.invalid");
    world.post("/rbac/roles", &token, json!({"name": "writer", "permissions": ["document:update"]})).await.ok(201);
    world.post(&format!("/users/{ann}/grants"), &token, json!({"role": "writer"})).await.ok(200);
    let own = json!({"resource_owner_id": ann, "classification": "public"});
    let checks = json!({"user_id": ann, "checks": [
        {"permission": "incident:write"},
        {"permission": "user:delete"},
        {"permission": "document:update", "context": own},
        {"permission": "document:update", "context": {"resource_owner_id": "usr_x", "classification": "public"}},
        {"permission": "document:update", "context": {"resource_owner_id": ann, "classification": "secret"}},
        {"permission": "no:such"},
    ]});
    let answer = world.post("/rbac/permissions/check", &token, checks).await.ok(200);
    let allowed: Vec<_> =
        answer["results"].as_array().unwrap().iter().map(|result| result["allowed"].clone()).collect();
    assert_eq!(allowed, [true, false, true, false, false, false]);
    assert!(answer["results"][3]["reason"].as_str().unwrap().contains("own"));
    let many: Vec<_> = (0..101).map(|_| json!({"permission": "audit:read"})).collect();
    let too_many = json!({"checks": many});
    world.post("/rbac/permissions/check", &token, too_many).await.problem(400, "request.invalid");
    world.post("/rbac/permissions/check", &token, json!({"checks": []})).await.problem(400, "request.invalid");
    let nobody = json!({"user_id": "usr_nobody", "checks": [{"permission": "audit:read"}]});
    world.post("/rbac/permissions/check", &token, nobody).await.problem(404, "user.not_found");
    assert!(world.get("/rbac/permissions", &token).await.ok(200)["total"].as_u64().unwrap() > 40);
}

#[actix_web::test]
async fn figures_count_active_people() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    world.member("main", "ann@example.com", "analyst").await;
    let token = world.token("main", "olga@example.com").await;
    let figures = world.get("/rbac/analytics?days=7", &token).await.ok(200);
    let roles = figures["role_distribution"].as_array().unwrap();
    let analyst = roles.iter().find(|row| row["role"] == "analyst").unwrap();
    assert_eq!((&analyst["count"], &analyst["granted_in_period"]), (&json!(1), &json!(1)));
    let usage = figures["permission_usage"].as_array().unwrap();
    let read = usage.iter().find(|row| row["permission"] == "transaction:read").unwrap();
    assert_eq!(read["count"], 2);
    assert_eq!(figures["period_days"], 7);
    world.get("/rbac/analytics?days=0", &token).await.problem(400, "request.invalid_parameter");
    let analyst = world.token("main", "ann@example.com").await;
    world.get("/rbac/analytics", &analyst).await.problem(403, "permission.denied");
    assert_eq!(world.call(actix_web::http::Method::GET, "/rbac/health", &[], None).await.ok(200)["status"], "healthy");
}
