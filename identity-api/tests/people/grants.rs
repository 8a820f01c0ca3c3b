//! Roles given and taken, and the attempts to give more than one has.

use actix_web::http::Method;
use serde_json::json;

use crate::common::*;

async fn role(world: &World, token: &str, user: &str) -> String {
    world.get(&format!("/users/{user}"), token).await.text("/role")
}

#[actix_web::test]
async fn role_is_given_and_taken_and_holds_at_once() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let vic = world.member("main", "vic@example.com", "viewer").await;
    let (owner, viewer) = (world.token("main", "olga@example.com").await, world.token("main", "vic@example.com").await);
    world.get("/users", &viewer).await.problem(403, "permission.denied");
    let grants = format!("/v1/users/{vic}/grants");
    let given = world.post(&grants, &owner, json!({"role": "compliance", "reason": "promoted"})).await.ok(200);
    assert_eq!(given["role"], "compliance");
    // The token is the same: permissions are looked up at each request.
    world.get("/users", &viewer).await.ok(200);
    let listed = world.get(&grants, &owner).await.ok(200);
    assert_eq!(listed["total"], 2);
    let body = json!({"role": "compliance"});
    world.post(&format!("{grants}/revoke"), &owner, body.clone()).await.ok(200);
    world.get("/users", &viewer).await.problem(403, "permission.denied");
    world.post(&format!("{grants}/revoke"), &owner, body).await.problem(422, "user.role_not_granted");
    for (bad, status) in [
        (json!({"role": "emperor"}), 400),
        (json!({"role": "operator"}), 400),
        (json!({"role": "viewer", "department_id": "dep_nowhere"}), 400),
        (json!({"role": "viewer", "expires_at": "yesterday"}), 400),
        (json!({"role": "viewer", "expires_at": "2001-01-01T00:00:00Z"}), 422),
        (json!({"role": "owner", "expires_at": "2100-01-01T00:00:00Z"}), 422),
        (json!({"role": "viewer", "colour": "red"}), 400),
    ] {
        assert_eq!(world.post(&grants, &owner, bad.clone()).await.status, status, "{bad}");
    }
}

#[actix_web::test]
async fn nobody_gives_a_role_that_permits_more_than_he_may() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let cleo = world.member("main", "cleo@example.com", "compliance").await;
    let adam = world.member("main", "adam@example.com", "admin").await;
    let (owner, admin) = (world.token("main", "olga@example.com").await, world.token("main", "adam@example.com").await);
    let give = |user: &str| format!("/users/{user}/grants");
    // An administrator makes no owner, not even of himself.
    for user in [&cleo, &adam] {
        world.post(&give(user), &admin, json!({"role": "owner"})).await.problem(403, "rbac.owner_only");
    }
    // Somebody who may assign roles and little else assigns little.
    let body = json!({"name": "assigner", "inherits": ["viewer"], "permissions": ["user:role_assign", "user:list"]});
    world.post("/rbac/roles", &owner, body).await.ok(201);
    let ann = world.member("main", "ann@example.com", "viewer").await;
    world.post(&give(&ann), &owner, json!({"role": "assigner"})).await.ok(200);
    let assigner = world.token("main", "ann@example.com").await;
    let problem = world.post(&give(&ann), &assigner, json!({"role": "admin"})).await.problem(403, "rbac.exceeds_own");
    assert!(problem["exceeding"].as_array().unwrap().contains(&json!("user:delete")), "{problem}");
    world.post(&give(&ann), &assigner, json!({"role": "auditor"})).await.problem(403, "rbac.exceeds_own");
    world.post(&give(&cleo), &assigner, json!({"role": "viewer"})).await.ok(200);
    for path in
        [format!("/auth/users/{ann}/role?role=admin"), format!("/organizations/main/members/{ann}/role?new_role=admin")]
    {
        world.put(&path, &assigner, json!({})).await.problem(403, "rbac.exceeds_own");
    }
    let assign = json!({"user_id": ann, "role": "admin"});
    world.post("/auth/assign-role", &assigner, assign).await.problem(403, "rbac.exceeds_own");
    let path = format!("/rbac/users/{ann}/roles/compliance");
    world.post(&path, &assigner, json!({})).await.problem(403, "rbac.exceeds_own");
    // And whoever may not assign at all, does not.
    let compliance = world.token("main", "cleo@example.com").await;
    let problem = world.post(&give(&ann), &compliance, json!({"role": "viewer"})).await;
    assert_eq!(problem.problem(403, "permission.denied")["missing_permission"], "user:role_assign");
    let denied = world.events("main", "access.denied").await;
    for permission in ["user:role_assign", "organization:transfer"] {
        assert!(denied.iter().any(|event| event["permission"] == permission), "{permission}: {denied:?}");
    }
}

#[actix_web::test]
async fn organisation_keeps_an_owner() {
    let world = world().await;
    let olga = world.owner("main", "olga@example.com").await;
    let adam = world.member("main", "adam@example.com", "admin").await;
    let (owner, admin) = (world.token("main", "olga@example.com").await, world.token("main", "adam@example.com").await);
    let revoke = json!({"role": "owner"});
    let path = format!("/users/{olga}/grants/revoke");
    world.post(&path, &owner, revoke.clone()).await.problem(409, "user.last_owner");
    world.post(&path, &admin, revoke.clone()).await.problem(403, "rbac.owner_only");
    world.post(&path, OPERATOR, revoke.clone()).await.problem(409, "user.last_owner");
    world.put(&format!("/auth/users/{olga}/role?role=viewer"), &owner, json!({})).await.problem(409, "user.last_owner");
    world.delete(&format!("/organizations/main/members/{olga}"), &owner).await.problem(409, "user.last_owner");
    world.post(&format!("/users/{olga}/deactivate"), OPERATOR, json!({})).await.problem(409, "user.last_owner");
    world.post(&format!("/users/{olga}/deactivate"), &admin, json!({})).await.problem(403, "rbac.owner_only");
    // With a second owner the first may go.
    world.post(&format!("/users/{adam}/grants"), &owner, json!({"role": "owner"})).await.ok(200);
    world.post(&path, &owner, revoke).await.ok(200);
    assert_eq!(role(&world, OPERATOR, &olga).await, "none");
}

#[actix_web::test]
async fn two_owners_who_leave_at_once_do_not_both_leave() {
    let world = world().await;
    let olga = world.owner("main", "olga@example.com").await;
    let otto = world.member("main", "otto@example.com", "owner").await;
    let path = |id: &str| format!("/users/{id}/grants/revoke");
    let (first, second) = (path(&olga), path(&otto));
    let body = json!({"role": "owner"});
    let (first, second) =
        futures::join!(world.post(&first, OPERATOR, body.clone()), world.post(&second, OPERATOR, body.clone()));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{} {}", first.body, second.body);
}

#[actix_web::test]
async fn auditor_is_for_a_time() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let vic = world.member("main", "vic@example.com", "viewer").await;
    let owner = world.token("main", "olga@example.com").await;
    let path = format!("/users/{vic}/grants");
    world.post(&path, &owner, json!({"role": "auditor"})).await.problem(422, "user.auditor_needs_expiry");
    let far = json!({"role": "auditor", "expires_at": "2100-01-01T00:00:00Z"});
    world.post(&path, &owner, far).await.problem(422, "user.auditor_needs_expiry");
    let end = daybook_domain::Timestamp::from_micros(world.state.now() + 30 * DAY).unwrap().to_string();
    let given = world.post(&path, &owner, json!({"role": "auditor", "expires_at": end})).await.ok(200);
    assert_eq!(given["grants"].as_array().unwrap().len(), 2);
    world
        .put(&format!("/auth/users/{vic}/role?role=auditor"), &owner, json!({}))
        .await
        .problem(422, "user.auditor_needs_expiry");
    let token = world.token("main", "vic@example.com").await;
    world.get("/legal-holds", &token).await.ok(200);
    let place = json!({"matter": "M", "reason": "R", "covers": [{"kind": "subject", "id": vic}]});
    world.post("/legal-holds", &token, place).await.problem(403, "permission.denied");
    world.advance(31 * DAY);
    let token = world.token("main", "vic@example.com").await;
    world.get("/legal-holds", &token).await.problem(403, "permission.denied");
}

#[actix_web::test]
async fn predecessors_way_to_set_a_role() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let vic = world.member("main", "vic@example.com", "viewer").await;
    let owner = world.token("main", "olga@example.com").await;
    let path = format!("/auth/users/{vic}/role");
    let set = world.put(&format!("{path}?role=analyst"), &owner, json!({})).await.ok(200);
    assert_eq!((&set["id"], &set["email"]), (&json!(vic), &json!("vic@example.com")));
    assert_eq!((&set["old_role"], &set["new_role"]), (&json!("viewer"), &json!("analyst")));
    let set = world.post("/auth/assign-role", &owner, json!({"user_id": vic, "role": "compliance"})).await.ok(200);
    assert_eq!((&set["old_role"], &set["new_role"]), (&json!("analyst"), &json!("compliance")));
    assert_eq!(world.get(&format!("/users/{vic}/grants"), &owner).await.ok(200)["total"], 1);
    let same = world.put(&format!("{path}?role=compliance"), &owner, json!({})).await.ok(200);
    assert_eq!((&same["old_role"], &same["new_role"]), (&json!("compliance"), &json!("compliance")));
    world.put(&format!("{path}?role=emperor"), &owner, json!({})).await.problem(400, "request.invalid");
    world.put(&path, &owner, json!({})).await.problem(400, "request.missing_parameter");
    world.put("/auth/users/usr_nobody/role?role=viewer", &owner, json!({})).await.problem(404, "user.not_found");
}

#[actix_web::test]
async fn role_is_given_once_under_one_idempotency_key() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let vic = world.member("main", "vic@example.com", "viewer").await;
    let owner = format!("Bearer {}", world.token("main", "olga@example.com").await);
    let headers = [("authorization", owner.as_str()), ("idempotency-key", "give-1")];
    let path = format!("/users/{vic}/grants");
    let body = json!({"role": "analyst"});
    let first = world.call(Method::POST, &path, &headers, Some(body.clone())).await;
    let second = world.call(Method::POST, &format!("/v1{path}"), &headers, Some(body)).await;
    assert_eq!(first.ok(200)["receipt"], second.ok(200)["receipt"]);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    let other = world.call(Method::POST, &path, &headers, Some(json!({"role": "compliance"}))).await;
    other.problem(422, "request.idempotency_mismatch");
}
