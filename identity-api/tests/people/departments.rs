//! Departments, and roles that hold within one only.

use serde_json::json;

use crate::common::*;

async fn department(world: &World, token: &str, name: &str, parent: Option<&str>) -> String {
    let body = json!({"name": name, "parent_department_id": parent});
    world.post("/rbac/departments", token, body).await.text("/id")
}

#[actix_web::test]
async fn department_is_made_changed_and_closed() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let token = world.token("main", "olga@example.com").await;
    let answer = world.post("/v1/rbac/departments", &token, json!({"name": "Rates", "description": "Swaps"})).await;
    let made = answer.ok(201);
    let id = made["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("dep_") && answer.header("location").unwrap().ends_with(&id), "{made}");
    world.post("/rbac/departments", &token, json!({"name": "rates"})).await.problem(409, "department.name_taken");
    let desk = department(&world, &token, "Desk 4", Some(&id)).await;
    let path = format!("/rbac/departments/{id}");
    let changed = world.put(&path, &token, json!({"name": "Interest rates", "description": null})).await.ok(200);
    assert_eq!((&changed["name"], changed["description"].is_null()), (&json!("Interest rates"), true));
    let circle = json!({"parent_department_id": desk});
    world.put(&path, &token, circle).await.problem(422, "department.circular");
    let nowhere = json!({"parent_department_id": "dep_nowhere"});
    world.put(&path, &token, nowhere).await.problem(400, "request.invalid");
    world.delete(&path, &token).await.problem(409, "department.in_use");
    world.delete(&format!("/rbac/departments/{desk}"), &token).await.ok(200);
    let closed = world.delete(&path, &token).await.ok(200);
    assert_eq!(closed["is_active"], false);
    world.put(&path, &token, json!({"name": "Again"})).await.problem(422, "department.closed");
    world.get("/rbac/departments/dep_none", &token).await.problem(404, "department.not_found");
    assert_eq!(world.get("/rbac/departments", &token).await.ok(200)["total"], 2);
    let vic = world.member("main", "vic@example.com", "viewer").await;
    let viewer = world.token("main", "vic@example.com").await;
    world.get("/rbac/departments", &viewer).await.ok(200);
    world.post("/rbac/departments", &viewer, json!({"name": "Mine"})).await.problem(403, "permission.denied");
    let grant = json!({"role": "analyst", "department_id": id});
    world.post(&format!("/users/{vic}/grants"), &token, grant).await.problem(400, "request.invalid");
}

#[actix_web::test]
async fn who_assigns_roles_within_a_department_does_so_there_alone() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let owner = world.token("main", "olga@example.com").await;
    let rates = department(&world, &owner, "Rates", None).await;
    let desk = department(&world, &owner, "Desk 4", Some(&rates)).await;
    let credit = department(&world, &owner, "Credit", None).await;
    let lead = world.member("main", "lead@example.com", "viewer").await;
    let vic = world.member("main", "vic@example.com", "viewer").await;
    let body = json!({"name": "head", "inherits": ["analyst"], "permissions": ["user:role_assign"]});
    world.post("/rbac/roles", &owner, body).await.ok(201);
    let grant = json!({"role": "head", "department_id": rates});
    world.post(&format!("/users/{lead}/grants"), &owner, grant).await.ok(200);
    let token = world.token("main", "lead@example.com").await;
    let path = format!("/users/{vic}/grants");
    let give = |role: &str, department: &str| json!({"role": role, "department_id": department});
    world.post(&path, &token, give("analyst", &rates)).await.ok(200);
    world.post(&path, &token, give("analyst", &desk)).await.ok(200);
    for body in [give("analyst", &credit), json!({"role": "analyst"}), give("analyst", "dep_unknown")] {
        let problem = world.post(&path, &token, body.clone()).await.problem(403, "permission.denied");
        assert_eq!(problem["missing_permission"], "user:role_assign", "{body}");
    }
    world.post(&path, &token, give("compliance", &rates)).await.problem(403, "rbac.exceeds_own");
    world.post(&path, &token, give("owner", &rates)).await.problem(403, "rbac.owner_only");
    world.post(&format!("{path}/revoke"), &token, give("analyst", &rates)).await.ok(200);
    world.post(&format!("{path}/revoke"), &token, json!({"role": "viewer"})).await.problem(403, "permission.denied");
    // The predecessors' paths know the department as well.
    let roles = format!("/rbac/users/{vic}/roles/analyst");
    world.post(&format!("{roles}?department_id={rates}"), &token, json!({})).await.ok(200);
    world.delete(&format!("{roles}?department_id={rates}"), &token).await.ok(200);
    world
        .put(&format!("/auth/users/{vic}/role?role=analyst"), &token, json!({}))
        .await
        .problem(403, "permission.denied");
    let owner_here = json!({"role": "owner", "department_id": rates});
    world.post(&path, &owner, owner_here).await.problem(400, "request.invalid");
}
