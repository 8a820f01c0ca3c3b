//! Callers who see the incidents of their department only.

use std::sync::Arc;

use async_trait::async_trait;
use daybook_domain::incident::Severity;
use daybook_http_kit::{
    Access, Authenticator, Credentials, DepartmentAccess, HttpKit, IdentityConfig, Organizations, PermissionSet,
    Principal, Problem, RouteTable, Via,
};
use daybook_ledger::{Actor, LedgerId};

use crate::world::{Answer, World};

/// Everybody is an analyst of the department that the token names.
struct OfDepartment;

#[async_trait]
impl Authenticator for OfDepartment {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Principal>, Problem> {
        let department = DepartmentAccess {
            id: "dep_1".to_owned(),
            name: credentials.bearer.unwrap_or_default().to_owned(),
            permissions: PermissionSet::from_names(["incident:read"]),
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
