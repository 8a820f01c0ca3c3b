//! What agents want to do, as older clients read it.

use daybook_domain::approval::{ApprovalCommand, Decision, KnownAction};
use serde_json::{Value, json};

use crate::decisions::{Decisions, at};
use crate::world::World;

async fn actions() -> World {
    let world = World::new().await;
    let decisions = Decisions::of(&world);
    decisions.open("apr_1", KnownAction::AgentTriage, "key_1", 0).await;
    decisions.open("apr_2", KnownAction::AgentRemediation, "key_1", 0).await;
    decisions.open("apr_3", KnownAction::ExportUsers, "usr_1", 0).await;
    decisions.execute("apr_1", "system", ApprovalCommand::Tick { at: at(24) }).await;
    decisions.vote("apr_2", "usr_9", Decision::Approve, 12).await;
    world
}

#[actix_web::test]
async fn lists_have_agents_actions_alone_under_both_paths() {
    let world = actions().await;
    for path in ["/agent/actions", "/v1/agent/ops/actions", "/agent/ops/actions"] {
        let list = world.get(path).await.json();
        let told: Vec<_> = list.as_array().unwrap().iter().map(|action| (&action["id"], &action["action"])).collect();
        assert_eq!(told, [(&json!("apr_2"), &json!("remediation")), (&json!("apr_1"), &json!("triage"))], "{path}");
    }
    for (status, found) in [
        ("pending", vec!["apr_1"]),
        ("escalated", vec!["apr_1"]),
        ("approved", vec!["apr_2"]),
        ("executed", vec![]),
        ("rejected", vec![]),
    ] {
        let list = world.get(&format!("/agent/actions?status={status}")).await.json();
        let ids: Vec<_> = list.as_array().unwrap().iter().map(|action| action["id"].as_str().unwrap()).collect();
        assert_eq!(ids, found, "{status}");
    }
    let action = &world.get("/agent/actions?status=approved").await.json()[0];
    assert_eq!((&action["approved_by"], &action["is_fully_approved"]), (&json!("usr_9"), &json!(true)));
    assert_eq!(world.get("/agent/actions?status=nonsense").await.status, 400);
    assert_eq!(world.get_as("viewer", "/agent/actions").await.status, 403);
}

#[actix_web::test]
async fn history_has_one_line_for_the_vote_that_decided() {
    let world = actions().await;
    let log = world.get("/agent/ops/actions/apr_2/history").await.json();
    let told: Vec<_> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["event_type"].as_str().unwrap(), line["to_status"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("requested", "draft"), ("submitted", "pending"), ("approved", "approved")]);
    assert_eq!((&log[2]["operator_id"], &log[2]["comment"]), (&json!("usr_9"), &json!("Because")));
    for field in ["ai_explanation", "agent_input", "agent_output", "agent_version", "actor_type", "override_type"] {
        assert!(log[0].get(field).is_some(), "{field}");
    }
    let escalated = world.get("/agent/ops/actions/apr_1/history").await.json();
    assert_eq!(escalated[2]["event_type"], "auto_escalated");
    // What is no agent's is not here.
    for path in ["/agent/ops/actions/apr_3/history", "/agent/ops/actions/nobody/history"] {
        let answer = world.get(path).await;
        assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("agent_action.not_found")), "{path}");
    }
}

#[actix_web::test]
async fn metrics_have_the_figures_that_older_clients_show() {
    let world = actions().await;
    let metrics = world.get("/agent/ops/actions/metrics").await.json();
    assert_eq!(
        metrics,
        json!({
            "total": 2, "pending": 1, "approved": 1, "rejected": 0, "escalated": 1, "avg_approval_time_days": 0.5,
            "per_operator_approvals": [{"operator": "usr_9", "count": 1}],
        })
    );
    let empty = World::new().await.get("/agent/ops/actions/metrics").await.json();
    assert_eq!((&empty["total"], &empty["avg_approval_time_days"]), (&json!(0), &Value::Null));
}
