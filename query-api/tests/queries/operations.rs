//! Health, projectors, metrics, and what the program says about itself.

use std::sync::Arc;
use std::sync::Mutex;

use daybook_ledger::checkpoint::Checkpointer;
use daybook_ledger::keys::{KeyRing, KeyRingOptions, SigningKeySource};
use daybook_ledger::sequencer::Unobserved;
use daybook_query_api::{Checkpoints, ProjectionControl, ProjectorState, ProjectorStatus, RebuildRefused};
use serde_json::json;

use crate::world::World;

const ADMIN: [(&str, &str); 2] = [("x-user-email", "admin@example.com"), ("x-user-role", "admin")];

struct Control {
    state: ProjectorState,
    rebuilds: Mutex<Vec<String>>,
}

impl ProjectionControl for Control {
    fn status(&self) -> Vec<ProjectorStatus> {
        let status = ProjectorStatus {
            name: "transactions".to_owned(),
            state: self.state,
            position: 4,
            updated_at: None,
            rebuild_position: None,
            rebuild_target: None,
            error: None,
        };
        vec![status]
    }

    fn rebuild(&self, name: &str) -> Result<(), RebuildRefused> {
        if name != "transactions" {
            return Err(RebuildRefused::Unknown);
        }
        let mut rebuilds = self.rebuilds.lock().unwrap();
        if !rebuilds.is_empty() {
            return Err(RebuildRefused::Running);
        }
        rebuilds.push(name.to_owned());
        Ok(())
    }
}

async fn controlled(state: ProjectorState) -> (World, Arc<Control>) {
    let mut world = World::new().await;
    world.ten().await;
    let control = Arc::new(Control { state, rebuilds: Mutex::default() });
    world.state = world.state.clone().with_projections(Arc::clone(&control) as Arc<dyn ProjectionControl>);
    (world, control)
}

#[actix_web::test]
async fn health_is_healthy_with_and_without_a_slash() {
    let world = World::new().await;
    for path in ["/health", "/health/", "/v1/health", "/health/live"] {
        let answer = world.send("GET", path, &[]).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"status": "healthy"})), "{path}");
    }
}

#[actix_web::test]
async fn ready_names_every_projector_and_its_lag() {
    let mut world = World::new().await;
    world.ten().await;
    let ready = world.send("GET", "/health/ready", &[]).await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("ready")), "{}", ready.text());
    let names: Vec<_> = ready.json()["checks"].as_array().unwrap().iter().map(|check| check["name"].clone()).collect();
    for name in ["ledger", "read_models", "projector:transactions", "projector:audit_trail"] {
        assert!(names.contains(&json!(name)), "{name} in {names:?}");
    }
    world.state.max_lag = 0;
    world
        .record("TX-A", "1.00", "USD", daybook_domain::transaction::TransactionStatus::Pending, "2026-11-21T00:00:00Z")
        .await;
    let behind = world.send("GET", "/health/ready", &[]).await;
    assert_eq!((behind.status, &behind.json()["status"]), (503, &json!("not_ready")));
    assert!(behind.header("retry-after").is_some());
    world.catch_up().await;
    assert_eq!(world.send("GET", "/health/ready", &[]).await.status, 200);
}

#[actix_web::test]
async fn process_that_cannot_sign_is_degraded_and_goes_on_answering() {
    let mut world = World::new().await;
    world.ten().await;
    let folder = tempfile::tempdir().unwrap();
    let options = KeyRingOptions {
        folder: folder.path().to_owned(),
        origin: "example.com/main".to_owned(),
        source: SigningKeySource::Folder,
        ed25519: false,
        overlap_micros: 0,
    };
    let keys = KeyRing::open(options, 0).unwrap();
    let mut signer =
        Checkpointer::open(world.ledger.clone(), keys, Arc::new(|| 0), Arc::new(Unobserved)).await.unwrap();
    let checkpoints = Checkpoints { status: Some(signer.status()), ..Checkpoints::default() };
    world.state = world.state.clone().with_checkpoints(checkpoints);
    signer.sign().await.unwrap();
    world.catch_up().await;
    let ready = world.send("GET", "/health/ready", &[]).await;
    assert_eq!((ready.status, &ready.json()["status"]), (200, &json!("ready")), "{}", ready.text());
    assert!(ready.text().contains("the latest covers 12 entries"), "{}", ready.text());
    std::fs::write(folder.path().join("last-checkpoint-main.txt"), "damaged").unwrap();
    assert!(signer.sign().await.is_err());
    let degraded = world.send("GET", "/health/ready", &[]).await;
    assert_eq!((degraded.status, &degraded.json()["status"]), (200, &json!("degraded")), "{}", degraded.text());
    let folder = folder.path().display().to_string();
    assert!(degraded.text().contains("refused") && !degraded.text().contains(&folder), "{}", degraded.text());
}

#[actix_web::test]
async fn stopped_projector_is_not_ready() {
    let (world, _) = controlled(ProjectorState::Stopped).await;
    assert_eq!(world.send("GET", "/health/ready", &[]).await.status, 503);
    let (world, _) = controlled(ProjectorState::Running).await;
    assert_eq!(world.send("GET", "/health/ready", &[]).await.status, 200);
}

#[actix_web::test]
async fn lost_read_tables_are_not_ready_and_lists_are_503() {
    let world = World::new().await;
    world.ten().await;
    world.state.db.close().await;
    let ready = world.send("GET", "/health/ready", &[]).await;
    assert_eq!(ready.status, 503);
    assert!(!ready.text().contains("sqlite"), "{}", ready.text());
    let list = world.get("/v1/transactions").await;
    assert_eq!((list.status, &list.json()["code"]), (503, &json!("store.unavailable")));
    assert_eq!(world.send("GET", "/health/live", &[]).await.status, 200);
}

#[actix_web::test]
async fn projectors_are_listed_with_their_lag() {
    let (world, _) = controlled(ProjectorState::Running).await;
    let list = world.get("/v1/projections").await.json();
    assert_eq!(list["ledger_size"], 10);
    let own = &list["items"][0];
    assert_eq!((&own["name"], &own["state"], &own["lag"]), (&json!("transactions"), &json!("running"), &json!(6)));
    let other = list["items"].as_array().unwrap().iter().find(|item| item["name"] == "incidents").unwrap();
    assert_eq!((&other["state"], &other["lag"]), (&json!("elsewhere"), &json!(0)));
    assert!(other["updated_at"].as_str().unwrap().ends_with('Z'));
}

#[actix_web::test]
async fn rebuild_is_started_once_and_only_where_projectors_are() {
    let (world, control) = controlled(ProjectorState::Running).await;
    let started = world.send("POST", "/v1/projections/transactions/rebuild", &ADMIN).await;
    assert_eq!((started.status, &started.json()["name"]), (202, &json!("transactions")));
    assert_eq!(*control.rebuilds.lock().unwrap(), ["transactions"]);
    assert_eq!(world.send("POST", "/projections/transactions/rebuild", &ADMIN).await.status, 409);
    assert_eq!(world.send("POST", "/projections/nonsense/rebuild", &ADMIN).await.status, 404);
    let elsewhere = World::new().await;
    let answer = elsewhere.send("POST", "/projections/transactions/rebuild", &ADMIN).await;
    assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true));
}

#[actix_web::test]
async fn root_says_what_this_is() {
    let world = World::new().await;
    for path in ["/", "/v1", "/v1/"] {
        let about = world.send("GET", path, &[]).await;
        assert_eq!(about.status, 200, "{path}");
        let about = about.json();
        assert_eq!(
            (&about["name"], &about["docs"], &about["health"]),
            (&json!("Daybook"), &json!("/docs"), &json!("/health"))
        );
        for endpoint in about["endpoints"].as_object().unwrap().values() {
            let answer = world.get(endpoint.as_str().unwrap());
            // Live streams have no end; who may do what is answered by the endpoints of identity.
            if endpoint != "/v1/stream" && endpoint != "/v1/auth/roles" {
                assert_eq!(answer.await.status, 200, "{endpoint}");
            }
        }
    }
}

#[actix_web::test]
async fn metrics_are_prometheus_text() {
    let world = World::new().await;
    let answer = world.send("GET", "/metrics", &[]).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/plain"));
}

#[actix_web::test]
async fn wrong_method_is_405_and_unknown_path_is_404() {
    let world = World::new().await;
    let answer = world.send("DELETE", "/v1/ledgers/main/entries/0", &ADMIN).await;
    assert_eq!((answer.status, answer.header("allow").as_deref()), (405, Some("GET, HEAD")));
    assert_eq!(world.get("/v1/nothing").await.status, 404);
}
