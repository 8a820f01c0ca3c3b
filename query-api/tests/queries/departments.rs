//! Callers who see the incidents of their department only.

use std::sync::Arc;

use async_trait::async_trait;
use daybook_domain::approval::KnownAction;
use daybook_domain::approval_policy::{Electorate, PolicyInForce};
use daybook_domain::incident::Severity;
use daybook_http_kit::{
    Access, Authenticator, Credentials, DepartmentAccess, HttpKit, IdentityConfig, Organizations, PermissionSet,
    Principal, Problem, RouteTable, Via,
};
use daybook_ledger::{Actor, LedgerId};
use serde_json::{Value, json};

use crate::decisions::{Decisions, actor};
use crate::exports;
use crate::world::{Answer, World};

/// Everybody is an analyst of the department that the token names, and may ask for exports.
struct OfDepartment;

#[async_trait]
impl Authenticator for OfDepartment {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Principal>, Problem> {
        let department = DepartmentAccess {
            id: "dep_1".to_owned(),
            name: credentials.bearer.unwrap_or_default().to_owned(),
            permissions: PermissionSet::from_names(["incident:read", "approval:read"]),
        };
        Ok(Some(Principal {
            actor: Actor::human("usr_1"),
            organization: LedgerId::main(),
            roles: Arc::from([]),
            access: Arc::new(Access {
                permissions: PermissionSet::from_names(["export:request"]),
                departments: vec![department],
            }),
            via: Via::Session,
            session_id: None,
        }))
    }
}

async fn ask(world: &World, department: &str, path: &str) -> Answer {
    let kit = HttpKit::new(IdentityConfig::new(None, false), RouteTable::default());
    let kit = kit.with_authenticator(Arc::new(OfDepartment));
    let organizations = Organizations::single(LedgerId::main(), world.state.clone());
    let bearer = format!("Bearer {department}");
    let headers = [("authorization", bearer.as_str())];
    Answer::of(World::call_in(kit, organizations, "GET", path, &headers).await).await
}

#[actix_web::test]
async fn incidents_of_other_desks_are_as_if_they_were_not_there() {
    let world = World::new().await;
    // Its desk is `FX`.
    world.open("inc_a", "Order stuck", Severity::High).await;
    world.catch_up().await;

    let own = ask(&world, "fx", "/v1/incidents?count=true").await.json();
    assert_eq!((own["items"][0]["incident_id"].as_str(), own["total"].as_u64()), (Some("inc_a"), Some(1)));
    assert_eq!(ask(&world, "fx", "/v1/incidents/inc_a").await.status, 200);
    assert_eq!(ask(&world, "fx", "/v1/incidents/inc_a/timeline").await.json()["total"], 1);

    let others = ask(&world, "Rates", "/v1/incidents?count=true").await.json();
    assert_eq!((others["items"].as_array().unwrap().len(), others["total"].as_u64()), (0, Some(0)));
    let filtered = ask(&world, "Rates", "/v1/incidents?desk=FX&q=inc_a").await.json();
    assert_eq!(filtered["items"].as_array().unwrap().len(), 0);
    let (there, nowhere) =
        (ask(&world, "Rates", "/v1/incidents/inc_a").await, ask(&world, "Rates", "/v1/incidents/inc_x").await);
    assert_eq!((there.status, nowhere.status), (404, 404));
    assert_eq!(there.json()["code"], nowhere.json()["code"]);
    let (there, nowhere) = (
        ask(&world, "Rates", "/v1/incidents/inc_a/timeline").await,
        ask(&world, "Rates", "/v1/incidents/inc_x/timeline").await,
    );
    assert_eq!(there.json(), nowhere.json());
}

#[actix_web::test]
async fn permission_within_a_department_is_none_for_what_is_of_all() {
    let world = World::new().await;
    for path in ["/v1/transactions", "/v1/stats/incidents", "/v1/audit-trail", "/v1/ledgers/main/entries"] {
        assert_eq!(ask(&world, "fx", path).await.status, 403, "{path}");
    }
}

#[actix_web::test]
async fn exports_of_ones_own_desks_can_be_fetched_while_they_are() {
    let world = World::deciding().await;
    for (id, kind, by, desks) in [
        ("exp_own", "incidents", "usr_1", r#"["FX"]"#),
        ("exp_more", "incidents", "usr_1", r#"["FX","Rates"]"#),
        ("exp_all", "incidents", "usr_1", "[]"),
        ("exp_other", "transactions", "usr_1", r#"["FX"]"#),
    ] {
        let mut request = exports::requested(id, kind, by);
        request["filters"] = json!({ "desks": desks });
        exports::record(&world, id, 1, "requested", request).await;
        let approved = json!({"approval_id": "apr_1", "execution_id": id, "policy_version": 0, "at": exports::NOON});
        exports::record(&world, id, 2, "approved", approved).await;
        let started = json!({"attempt": 1, "fence": 1, "at": exports::NOON});
        exports::record(&world, id, 3, "generation_started", started).await;
        exports::record(&world, id, 4, "generated", exports::generated(id, exports::ROWS.len())).await;
        world.state.exports.clone().unwrap().write(&format!("{id}.1.csv"), exports::ROWS).unwrap();
    }
    let fetched = ask(&world, "fx", "/v1/exports/exp_own/file").await;
    assert_eq!((fetched.status, fetched.body.as_slice()), (200, exports::ROWS));
    assert_eq!(ask(&world, "Rates", "/v1/exports/exp_own/file").await.json()["missing_permission"], "incident:read");
    for (id, missing) in [("more", "incident:read"), ("all", "incident:read"), ("other", "transaction:read")] {
        let answer = ask(&world, "FX", &format!("/v1/exports/exp_{id}/file")).await;
        assert_eq!((answer.status, &answer.json()["missing_permission"]), (403, &json!(missing)), "{id}");
    }
}

#[actix_web::test]
async fn whoever_decides_in_a_department_sees_what_is_for_them_and_no_other() {
    let world = World::deciding().await;
    let decisions = Decisions::of(&world);
    let for_us = |policy: &mut PolicyInForce| {
        policy.terms.steps[0].clauses[0].from = vec![Electorate::Person(actor("usr_1"))];
    };
    decisions.open_under("apr_ours", KnownAction::AgentTriage, "usr_2", 0, for_us).await;
    decisions.open("apr_others", KnownAction::AgentTriage, "usr_2", 0).await;
    decisions.open("apr_own", KnownAction::AgentTriage, "usr_1", 0).await;
    let ids = |inbox: &Value| -> Vec<String> {
        let items = inbox["items"].as_array().unwrap().iter();
        let mut ids: Vec<String> =
            items.map(|item| item["approval"]["approval_id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    let others = ask(&world, "fx", "/v1/approvals/inbox?include=others").await.json();
    assert_eq!(ids(&others), ["apr_ours", "apr_own"]);
    for (id, status) in [("apr_ours", 200), ("apr_own", 200), ("apr_others", 404), ("apr_none", 404)] {
        for path in [format!("/v1/approvals/{id}"), format!("/v1/approvals/{id}/history")] {
            assert_eq!(ask(&world, "fx", &path).await.status, status, "{path}");
        }
    }
    assert_eq!(ask(&world, "fx", "/v1/approvals").await.status, 403, "the list is of all");
}
