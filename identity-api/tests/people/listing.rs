//! Looking people up, and setting right what is known about them.

use serde_json::{Value, json};

use crate::common::*;

fn ids(listing: &Value) -> Vec<String> {
    listing["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn people_are_listed_with_the_predecessors_fields() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    world.login("main", "ann@example.com").await;
    let token = world.token("main", "olga@example.com").await;
    let listing = world.get("/users/", &token).await.ok(200);
    assert_eq!((listing["total"].as_u64(), listing["next_cursor"].is_null()), (Some(2), true));
    let person = listing["items"].as_array().unwrap().iter().find(|item| item["id"] == ann).unwrap();
    assert_eq!((&person["email"], &person["full_name"]), (&json!("ann@example.com"), &json!("ann")));
    assert_eq!((&person["role"], &person["is_active"]), (&json!("analyst"), &json!(true)));
    assert!(person["created_at"].is_string() && person["last_login"].is_string(), "{person}");
    let one = world.get(&format!("/v1/users/{ann}"), &token).await.ok(200);
    assert_eq!((&one["id"], &one["status"]), (&json!(ann), &json!("active")));
    world.get("/users/usr_nobody", &token).await.problem(404, "user.not_found");
}

#[actix_web::test]
async fn people_are_found_by_role_status_name_and_page() {
    let world = world().await;
    let olga = world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    let vic = world.member("main", "vic@example.com", "viewer").await;
    let token = world.token("main", "olga@example.com").await;
    for (query, expected) in [
        ("role=analyst", vec![ann.clone()]),
        ("role=owner&status=active", vec![olga.clone()]),
        ("status=deactivated", vec![]),
        ("is_active=false", vec![]),
        ("search=ANN", vec![ann.clone()]),
        ("search=vic%40example", vec![vic.clone()]),
        ("department=dep_none", vec![]),
    ] {
        let listing = world.get(&format!("/users?{query}"), &token).await.ok(200);
        assert_eq!(ids(&listing), expected, "{query}");
    }
    let mut seen = Vec::new();
    let mut path = "/users?limit=1".to_owned();
    loop {
        let page = world.get(&path, &token).await.ok(200);
        seen.extend(ids(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/users?limit=1&cursor={cursor}");
    }
    let mut all = vec![olga, ann, vic];
    all.sort();
    assert_eq!(seen, all);
    for bad in ["limit=501", "limit=0", "colour=red", "status=gone", "is_active=maybe", "cursor=x"] {
        assert_eq!(world.get(&format!("/users?{bad}"), &token).await.status, 400, "{bad}");
    }
}

#[actix_web::test]
async fn addresses_of_others_are_seen_with_the_permission_only() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let lister = world.member("main", "lister@example.com", "viewer").await;
    let owner = world.token("main", "olga@example.com").await;
    let role = json!({"name": "people_lister", "permissions": ["user:list"]});
    world.post("/rbac/roles", &owner, role).await.ok(201);
    world.post(&format!("/users/{lister}/grants"), &owner, json!({"role": "people_lister"})).await.ok(200);
    let token = world.token("main", "lister@example.com").await;
    let listing = world.get("/users", &token).await.ok(200);
    for person in listing["items"].as_array().unwrap() {
        let own = person["id"] == lister;
        assert_eq!(person["email"].is_null(), !own, "{person}");
    }
    assert!(!listing.to_string().contains("olga@example.com"));
    // What cannot be seen cannot be searched for.
    assert_eq!(ids(&world.get("/users?search=olga%40example", &token).await.ok(200)), Vec::<String>::new());
}

#[actix_web::test]
async fn people_are_not_listed_to_those_without_the_permission() {
    let world = world().await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    let token = world.token("main", "ann@example.com").await;
    for path in ["/users".to_owned(), format!("/users/{ann}"), format!("/users/{ann}/grants")] {
        let problem = world.get(&path, &token).await.problem(403, "permission.denied");
        assert_eq!(problem["missing_permission"], "user:list", "{path}");
    }
    let problem = world.get(&format!("/users/{ann}/sessions"), &token).await.problem(403, "permission.denied");
    assert_eq!(problem["missing_permission"], "session:manage");
    assert_eq!(world.call(actix_web::http::Method::GET, "/users", &[], None).await.status, 401);
    assert!(!world.events("main", "access.denied").await.is_empty());
}

#[actix_web::test]
async fn ids_of_another_organisation_are_unknown() {
    let world = world().await;
    world.open("other").await;
    world.owner("main", "olga@example.com").await;
    let stranger = world.member("other", "stranger@example.com", "admin").await;
    let token = world.token("main", "olga@example.com").await;
    world.get(&format!("/users/{stranger}"), &token).await.problem(404, "user.not_found");
    let grant = json!({"role": "viewer"});
    world.post(&format!("/users/{stranger}/grants"), &token, grant).await.problem(404, "user.not_found");
    world.post(&format!("/users/{stranger}/deactivate"), &token, json!({})).await.problem(404, "user.not_found");
    world.get(&format!("/users/{stranger}/sessions"), &token).await.problem(404, "user.not_found");
    world.delete(&format!("/users/{stranger}/sessions"), &token).await.problem(404, "user.not_found");
    assert!(!world.get("/users", &token).await.body.contains("stranger"));
}

#[actix_web::test]
async fn names_are_set_right_and_addresses_are_not() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    let admin = world.member("main", "adam@example.com", "admin").await;
    let token = world.token("main", "adam@example.com").await;
    let path = format!("/users/{ann}");
    let change = json!({"full_name": "Ann Example", "about": "Desk 4", "picture_url": "https://example.com/ann.png"});
    let answer = world.patch(&path, &token, change).await;
    let changed = answer.ok(200);
    assert_eq!((&changed["full_name"], &changed["about"]), (&json!("Ann Example"), &json!("Desk 4")));
    assert!(changed["receipt"]["position"].is_u64());
    let cleared = world.patch(&path, &token, json!({"about": null})).await.ok(200);
    assert!(cleared["about"].is_null());
    for bad in [json!({"email": "eve@example.com"}), json!({"full_name": ""}), json!({"picture_url": "javascript:x"})] {
        world.patch(&path, &token, bad).await.problem(400, "request.invalid");
    }
    world.patch("/users/usr_nobody", &token, json!({"full_name": "X"})).await.problem(404, "user.not_found");
    let stale = [("if-match", "\"1\""), ("authorization", &*format!("Bearer {token}"))];
    let answer = world.call(actix_web::http::Method::PATCH, &path, &stale, Some(json!({"full_name": "B"}))).await;
    answer.problem(412, "request.precondition_failed");
    // Owners' accounts are theirs: an administrator cannot touch them.
    let owners = world.get("/users?role=owner", &token).await.ok(200);
    let owner = owners["items"][0]["id"].as_str().unwrap().to_owned();
    let problem = world.patch(&format!("/users/{owner}"), &token, json!({"full_name": "X"})).await;
    problem.problem(403, "rbac.owner_only");
    world.patch(&format!("/users/{admin}"), &token, json!({"full_name": "Adam"})).await.ok(200);
    let stored: Vec<Value> = world.events("main", "user.profile_changed").await;
    assert!(!stored.iter().any(|event| event.to_string().contains("Ann Example")), "names are sealed");
}
