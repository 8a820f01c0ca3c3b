//! Organisations: seen by their own, made by the operator, changed by their administrators.

use std::sync::Arc;

use actix_web::http::Method;
use async_trait::async_trait;
use daybook_http_kit::{HttpKit, Organizations, RouteTable};
use daybook_identity_api::{CreateOrganization, CreateOrganizationError, OrganizationIdentity};
use daybook_ledger::LedgerId;
use serde_json::json;

use crate::common::*;

#[actix_web::test]
async fn whoever_names_no_organisation_means_the_servers_own() {
    let mut world = world().await;
    world.open("other").await;
    world.member("other", "ann@example.com", "viewer").await;
    let config = world.state.identity.clone().with_default_organization("other".parse().unwrap());
    world.kit = HttpKit::new(config, RouteTable::new([&daybook_identity_api::openapi()]))
        .with_authenticator(Arc::new(world.service.clone()));
    let body = json!({"email": "ann@example.com", "password": PASSWORD});
    world.post_open("/auth/login", body.clone()).await.ok(200);
    let named = [("x-organization-id", "main")];
    assert_eq!(world.call(Method::POST, "/auth/login", &named, Some(body)).await.status, 401);
}

/// Makes the organisation that was got ready for it.
struct Ready(Arc<OrganizationIdentity>, Organizations<OrganizationIdentity>);

#[async_trait]
impl CreateOrganization for Ready {
    async fn create(&self, id: &LedgerId) -> Result<Arc<OrganizationIdentity>, CreateOrganizationError> {
        if self.1.get(id).is_some() {
            return Err(CreateOrganizationError::Exists);
        }
        if *id != self.0.id {
            return Err(CreateOrganizationError::TooMany);
        }
        self.1.insert(id.clone(), Arc::clone(&self.0));
        Ok(Arc::clone(&self.0))
    }
}

async fn world_that_makes(id: &str) -> World {
    let mut world = world().await;
    let ready = world.open(id).await;
    world.state.organizations.remove(&ready.id);
    world.state.creator = Some(Arc::new(Ready(ready, world.state.organizations.clone())));
    world
}

#[actix_web::test]
async fn operator_makes_an_organisation_and_its_owner_comes_by_the_link() {
    let world = world_that_makes("acme").await;
    let operator = format!("Bearer {OPERATOR}");
    let headers = [("authorization", operator.as_str()), ("idempotency-key", "org-1")];
    let body = json!({"id": "acme", "name": "Acme Capital"});
    let made = world.call(Method::POST, "/v1/organizations", &headers, Some(body.clone())).await.ok(201);
    assert_eq!((&made["id"], &made["name"], &made["tier"]), (&json!("acme"), &json!("Acme Capital"), &json!("free")));
    assert!(made["owner_id"].is_null() && made["receipt"]["ledger_id"] == "acme");
    let again = world.call(Method::POST, "/organizations", &headers, Some(body)).await;
    assert_eq!((again.header("idempotency-replayed"), again.json()["owner_link"].is_null()), (Some("true"), true));
    let link = made["owner_link"].as_str().unwrap();
    let register =
        json!({"token": token_of(link), "email": "ada@acme.example", "password": PASSWORD, "full_name": "Ada"});
    let ada = world.post_open("/auth/register", register).await.ok(201);
    assert_eq!((&ada["organization_id"], &ada["role"]), (&json!("acme"), &json!("owner")));
    let token = world.token("acme", "ada@acme.example").await;
    assert_eq!(world.get("/organizations/acme", &token).await.ok(200)["owner_id"], ada["id"]);
    let taken = json!({"id": "acme", "name": "Other"});
    world.post("/organizations", OPERATOR, taken).await.problem(409, "organization.exists");
    for bad in [json!({"id": "Not An Id", "name": "x"}), json!({"id": "x", "name": ""}), json!({"id": "x"})] {
        world.post("/organizations", OPERATOR, bad).await.problem(400, "request.invalid");
    }
    let many = json!({"id": "one-more", "name": "x"});
    world.post("/organizations", OPERATOR, many).await.problem(422, "organization.too_many");
    let problem = world.post("/organizations", &token, json!({"id": "mine", "name": "Mine"})).await;
    assert_eq!(problem.problem(403, "permission.denied")["missing_permission"], "organization:create");
}

#[actix_web::test]
async fn where_no_organisations_are_made_the_answer_says_so() {
    let world = world().await;
    let body = json!({"name": "Acme"});
    world.post("/organizations", OPERATOR, body).await.problem(503, "organization.creation_unavailable");
}

#[actix_web::test]
async fn everybody_sees_the_own_organisation_and_no_other() {
    let world = world().await;
    world.open("other").await;
    world.owner("main", "olga@example.com").await;
    world.member("main", "vic@example.com", "viewer").await;
    let (owner, viewer) = (world.token("main", "olga@example.com").await, world.token("main", "vic@example.com").await);
    for token in [&owner, &viewer] {
        let listing = world.get("/organizations", token).await.ok(200);
        assert_eq!((&listing["total"], &listing["items"][0]["id"]), (&json!(1), &json!("main")));
        for id in ["other", "nowhere", "Not%20An%20Id"] {
            let problem = world.get(&format!("/organizations/{id}"), token).await;
            problem.problem(404, "organization.not_found");
        }
    }
    assert_eq!(world.get("/organizations", OPERATOR).await.ok(200)["total"], 2);
    assert_eq!(world.get("/organizations/other", OPERATOR).await.ok(200)["id"], "other");
    let change = json!({"name": "Mine now"});
    world.patch("/organizations/other", &owner, change.clone()).await.problem(404, "organization.not_found");
    world.patch("/organizations/main", &viewer, change).await.problem(403, "permission.denied");
}

#[actix_web::test]
async fn name_and_settings_are_changed() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let owner = world.token("main", "olga@example.com").await;
    let path = "/v1/organizations/main";
    let body = json!({"name": "Daybook Bank", "settings": {"open_registration": true, "session_hours": 12}});
    let changed = world.patch(path, &owner, body).await.ok(200);
    assert_eq!(changed["name"], "Daybook Bank");
    assert_eq!(
        changed["settings"],
        json!({"open_registration": true, "require_second_factor": false, "session_hours": 12})
    );
    let renamed = world.patch(path, &owner, json!({"name": "Daybook Trust"})).await.ok(200);
    assert_eq!((&renamed["name"], &renamed["settings"]["session_hours"]), (&json!("Daybook Trust"), &json!(12)));
    let register = json!({"email": "eve@example.com", "password": PASSWORD, "full_name": "Eve"});
    assert_eq!(
        world.post_open("/auth/register", register).await.ok(201)["role"],
        "viewer",
        "the setting holds at once"
    );
    for bad in [json!({}), json!({"name": ""}), json!({"settings": {"session_hours": 0}}), json!({"tier": "gold"})] {
        world.patch(path, &owner, bad).await.problem(400, "request.invalid");
    }
}

#[actix_web::test]
async fn members_are_people_with_a_role() {
    let world = world().await;
    world.open("other").await;
    let olga = world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    let owner = world.token("main", "olga@example.com").await;
    let path = format!("/organizations/main/members/{ann}");
    assert_eq!(world.post(&path, &owner, json!({})).await.ok(200)["role"], "viewer", "a member is a viewer");
    assert_eq!(world.put(&format!("{path}/role?new_role=admin"), &owner, json!({})).await.ok(200)["role"], "admin");
    assert_eq!(world.put(&format!("{path}/role"), &owner, json!({"role": "member"})).await.ok(200)["role"], "viewer");
    world.put(&format!("{path}/role"), &owner, json!({})).await.problem(400, "request.invalid");
    world.put(&format!("{path}/role?role=king"), &owner, json!({})).await.problem(400, "request.invalid");
    assert_eq!(world.delete(&path, &owner).await.ok(200)["role"], "none");
    world.delete(&path, &owner).await.problem(422, "organization.not_a_member");
    let token = world.token("main", "ann@example.com").await;
    world.get("/organizations", &token).await.problem(403, "permission.denied");
    let elsewhere = format!("/organizations/other/members/{ann}");
    world.post(&elsewhere, &owner, json!({})).await.problem(404, "organization.not_found");
    world.delete(&elsewhere, &owner).await.problem(404, "organization.not_found");
    world.post("/organizations/main/members/usr_nobody", &owner, json!({})).await.problem(404, "user.not_found");
    world.delete(&format!("/organizations/main/members/{olga}"), &owner).await.problem(409, "user.last_owner");
}
