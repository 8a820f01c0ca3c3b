//! Callers who work on the incidents of their department only.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::sync::Arc;

use actix_web::http::Method;
use async_trait::async_trait;
use common::{Answer, Fixture, call_with, fixture, post, size};
use daybook_http_kit::{
    Access, Authenticator, Credentials, DepartmentAccess, HttpKit, IdentityConfig, PermissionSet, Principal, Problem,
    RouteTable, Via,
};
use daybook_ledger::{Actor, LedgerId};
use serde_json::json;

/// Everybody may work on the incidents of the department `equities`.
struct OfEquities;

#[async_trait]
impl Authenticator for OfEquities {
    async fn authenticate(&self, _credentials: Credentials<'_>) -> Result<Option<Principal>, Problem> {
        let department = DepartmentAccess {
            id: "dep_1".to_owned(),
            name: "equities".to_owned(),
            permissions: PermissionSet::from_names(["incident:write"]),
        };
        Ok(Some(Principal {
            actor: Actor::human("usr_1"),
            organization: LedgerId::main(),
            roles: Arc::from([]),
            access: Arc::new(Access { departments: vec![department], ..Access::default() }),
            via: Via::Session,
            session_id: None,
        }))
    }
}

async fn ask(fixture: &Fixture, method: Method, path: &str, body: &str) -> Answer {
    let kit = HttpKit::new(IdentityConfig::new(None, false), RouteTable::default());
    call_with(kit.with_authenticator(Arc::new(OfEquities)), fixture, method, path, &[], body.as_bytes().to_vec()).await
}

async fn three() -> Fixture {
    let fixture = fixture().await;
    for (id, desk) in [("inc_own", json!("Equities")), ("inc_rates", json!("Rates")), ("inc_none", json!(null))] {
        let body = json!({ "incident_id": id, "title": "Late", "severity": "high", "type": "late", "desk": desk });
        assert_eq!(post(&fixture, "/incidents", &body.to_string()).await.status, 201);
    }
    fixture
}

#[actix_web::test]
async fn incidents_of_other_desks_are_404_whatever_is_asked_of_them() {
    let fixture = three().await;
    let commands = [
        (Method::POST, "acknowledge", "{}"),
        (Method::POST, "investigate", "{}"),
        (Method::POST, "resolve", "{}"),
        (Method::POST, "close", "{}"),
        (Method::POST, "reopen", r#"{"reason":"again"}"#),
        (Method::POST, "assign", r#"{"assigned_to":"usr_2"}"#),
        (Method::POST, "escalate", "{}"),
        (Method::POST, "comment", r#"{"comment":"look"}"#),
        (Method::POST, "severity", r#"{"severity":"low"}"#),
        (Method::POST, "priority", r#"{"priority":4}"#),
        (Method::POST, "details", r#"{"desk":"Equities"}"#),
        (Method::PATCH, "status", r#"{"status":"acknowledged"}"#),
    ];
    let before = size(&fixture).await;
    for (method, verb, body) in &commands {
        let unknown = ask(&fixture, method.clone(), &format!("/incidents/inc_x/{verb}"), body).await;
        for id in ["inc_rates", "inc_none"] {
            let answer = ask(&fixture, method.clone(), &format!("/v1/incidents/{id}/{verb}"), body).await;
            let problem = answer.problem(404, "incident.not_found");
            assert_eq!(problem["detail"], unknown.json()["detail"], "{verb}");
        }
    }
    assert_eq!(size(&fixture).await, before);
    assert_eq!(ask(&fixture, Method::POST, "/incidents/inc_own/acknowledge", "{}").await.status, 200);
    assert_eq!(ask(&fixture, Method::POST, "/incidents/inc_own/comment", r#"{"comment":"look"}"#).await.status, 200);
}

#[actix_web::test]
async fn incident_is_opened_and_kept_on_desks_of_ones_own() {
    let fixture = three().await;
    let open = |id: &str, desk: serde_json::Value| {
        json!({ "incident_id": id, "title": "New", "severity": "low", "type": "late", "desk": desk }).to_string()
    };
    for desk in [json!("Rates"), json!(null)] {
        let answer = ask(&fixture, Method::POST, "/incidents", &open("inc_new", desk)).await;
        let problem = answer.problem(403, "permission.denied");
        assert_eq!(problem["missing_permission"], "incident:write");
        assert_eq!(problem["errors"][0]["pointer"], "/desk");
    }
    assert_eq!(ask(&fixture, Method::POST, "/incidents", &open("inc_new", json!("EQUITIES"))).await.status, 201);
    let taken = ask(&fixture, Method::POST, "/incidents", &open("inc_rates", json!("Equities"))).await;
    assert!(taken.problem(409, "incident.exists").get("errors").is_none());
    for body in [r#"{"desk":"Rates"}"#, r#"{"desk":null}"#] {
        let answer = ask(&fixture, Method::POST, "/incidents/inc_new/details", body).await;
        answer.problem(403, "permission.denied");
    }
    assert_eq!(ask(&fixture, Method::POST, "/incidents/inc_new/details", r#"{"title":"Newer"}"#).await.status, 200);
}

#[actix_web::test]
async fn many_at_once_are_those_in_reach() {
    let fixture = three().await;
    let body = r#"{"incident_ids":["inc_rates","inc_own"],"assigned_to":"usr_2"}"#;
    let answer = ask(&fixture, Method::POST, "/incidents/bulk/assign", body).await.json();
    let statuses: Vec<_> = answer["results"].as_array().unwrap().iter().map(|result| &result["status"]).collect();
    assert_eq!(statuses, ["failed", "assigned"]);
    let body = r#"{"incident_ids":["inc_rates","inc_own","inc_x","inc_none"]}"#;
    for (verb, done) in [("triage", "triaged"), ("escalate", "escalated"), ("resolve", "resolved")] {
        let answer = ask(&fixture, Method::POST, &format!("/incidents/bulk/{verb}"), body).await.json();
        let of =
            |index: usize| (answer["results"][index]["status"].as_str(), answer["results"][index]["code"].as_str());
        assert_eq!(of(1), (Some(done), None), "{answer}");
        for index in [0, 2, 3] {
            assert_eq!(of(index), (Some("failed"), Some("incident.not_found")), "{answer}");
        }
    }
}
