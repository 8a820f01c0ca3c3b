//! Erasures and their requests for approval: decided where approvals are, and ended where somebody else has to agree.

use daybook_approvals::{Approvals, Ballot};
use daybook_domain::ApprovalId;
use daybook_domain::approval::{Action, Decision};
use daybook_http_kit::{Access, Principal, Via};
use daybook_ledger::Actor;
use daybook_ledger::commands::CommandContext;
use serde_json::json;

use crate::common::*;

/// Votes where approvals are decided.
async fn votes(approvals: &Approvals, person: &str, approval: &str, decision: Decision) {
    let voter = Principal {
        actor: Actor::human(person),
        organization: "main".parse().unwrap(),
        roles: Vec::new().into(),
        access: Access::default().into(),
        via: Via::Session,
        session_id: None,
    };
    let reason = Some("Elsewhere".to_owned().try_into().unwrap());
    let ballot = Ballot { decision, reason, on_behalf_of: None, revision: None, signature: None };
    let context = CommandContext::new(Actor::human(person));
    approvals.vote(&voter, approval, ballot, context).await.unwrap();
}

#[actix_web::test]
async fn votes_that_are_cast_where_approvals_are_decided_count() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    let cleo = world.member("main", "cleo@example.com", "compliance").await;
    let (owner, officer) =
        (world.token("main", "olga@example.com").await, world.token("main", "cleo@example.com").await);
    let approvals = world.approvals.get(&"main".parse().unwrap()).unwrap();
    let vote = async |id: &str, decision| votes(&approvals, &cleo, id, decision).await;
    let ask = async || {
        let body = json!({"subject": ann, "reason": "Asked for it"});
        let asked = world.post("/v1/erasures", &owner, body).await.ok(201);
        (asked["id"].as_str().unwrap().to_owned(), asked["approval_request_id"].as_str().unwrap().to_owned())
    };
    // Rejected there, it does not stand in the way of another.
    let (id, approval) = ask().await;
    vote(&approval, Decision::Reject).await;
    world.post(&format!("/erasures/{id}/perform"), &officer, json!({})).await.problem(422, "erasure.not_approved");
    assert_eq!(world.get(&format!("/erasures/{id}"), &owner).await.ok(200)["status"], "rejected");
    let (id, approval) = ask().await;
    vote(&approval, Decision::Reject).await;
    let (next, approval) = ask().await;
    assert_eq!(world.get(&format!("/erasures/{id}"), &owner).await.ok(200)["status"], "rejected");
    // Approved there, it is performed.
    vote(&approval, Decision::Approve).await;
    let performed = world.post(&format!("/erasures/{next}/perform"), &officer, json!({})).await.ok(200);
    assert_eq!((&performed["status"], &performed["decided_by"]), (&json!("performed"), &json!(cleo)));
}

/// Whoever becomes an owner, or is none any more, once the approval was used up and before that was recorded: nothing is done
/// under it, the erasure ends, and it is asked for anew as what it is now.
#[actix_web::test]
async fn erasure_ends_where_the_person_became_an_owner_or_none_while_its_approval_was_used_up() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let otto = world.member("main", "otto@example.com", "analyst").await;
    world.member("main", "cleo@example.com", "compliance").await;
    let oskar = world.member("main", "oskar@example.com", "owner").await;
    let (owner, officer) =
        (world.token("main", "olga@example.com").await, world.token("main", "cleo@example.com").await);
    let other = world.token("main", "oskar@example.com").await;
    let approvals = world.approvals.get(&"main".parse().unwrap()).unwrap();
    let context = || CommandContext::new(Actor::system("test"));
    let ask = async || {
        let asked = world.post("/v1/erasures", &officer, json!({"subject": otto, "reason": "Left"})).await.ok(201);
        (asked["id"].as_str().unwrap().to_owned(), asked["approval_request_id"].as_str().unwrap().to_owned())
    };
    let label = async |approval: &str| {
        let found = approvals.find(approval).await.unwrap().aggregate;
        found.action().and_then(|action: &Action| action.label.clone()).map(|label| label.to_string())
    };
    for is_owner in [false, true] {
        let (id, approval) = ask().await;
        assert_eq!(label(&approval).await.as_deref(), is_owner.then_some("owner"));
        votes(&approvals, &oskar, &approval, Decision::Approve).await;
        let digest = approvals.find(&approval).await.unwrap().aggregate.digest().cloned().unwrap();
        let approval_id = ApprovalId::parse("", approval.as_str()).unwrap();
        approvals.redeem(&approval_id, &digest, &id, &context()).await.unwrap();
        let grants = format!("/users/{otto}/grants");
        match is_owner {
            false => world.post(&grants, &owner, json!({"role": "owner"})).await.ok(200),
            true => world.post(&format!("{grants}/revoke"), &owner, json!({"role": "owner"})).await.ok(200),
        };
        let perform = format!("/v1/erasures/{id}/perform");
        world.post(&perform, &other, json!({})).await.problem(409, "erasure.owner_changed");
        let ended = world.get(&format!("/v1/erasures/{id}"), &owner).await.ok(200);
        assert_eq!(ended["status"], "rejected");
        world.post(&perform, &other, json!({})).await.problem(422, "erasure.not_approved");
    }
    assert!(world.events("main", "erasure.performed").await.is_empty());
    // As soon as anybody looks, where nobody has decided yet.
    let (id, approval) = ask().await;
    world.post(&format!("/users/{otto}/grants"), &owner, json!({"role": "owner"})).await.ok(200);
    world.post(&format!("/v1/erasures/{id}/approve"), &other, json!({})).await.problem(422, "erasure.already_decided");
    assert_eq!(approvals.find(&approval).await.unwrap().aggregate.status().unwrap().as_str(), "voided");
    let (id, _) = ask().await;
    world.post(&format!("/v1/erasures/{id}/approve"), &other, json!({})).await.ok(200);
}

/// A refused erasure keeps its approval. Whoever becomes an owner before it is tried again, or is none any more, is not erased
/// under it: others had agreed, to something else.
#[actix_web::test]
async fn kept_approval_does_not_erase_an_owner_where_it_was_given_for_somebody_else() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let otto = world.member("main", "otto@example.com", "analyst").await;
    world.member("main", "cleo@example.com", "compliance").await;
    world.member("main", "oskar@example.com", "owner").await;
    let (owner, officer) =
        (world.token("main", "olga@example.com").await, world.token("main", "cleo@example.com").await);
    let other = world.token("main", "oskar@example.com").await;
    for is_owner in [false, true] {
        let asked = world.post("/v1/erasures", &officer, json!({"subject": otto, "reason": "Left"})).await.ok(201);
        let path = format!("/v1/erasures/{}", asked["id"].as_str().unwrap());
        let covers = json!([{"kind": "subject", "id": otto}]);
        let hold = json!({"matter": "SEC 114", "reason": "Subpoena", "covers": covers});
        let hold = world.post("/v1/legal-holds", &officer, hold).await.text("/id");
        world.post(&format!("{path}/approve"), &other, json!({})).await.problem(409, "erasure.held");
        let grants = format!("/users/{otto}/grants");
        match is_owner {
            false => world.post(&grants, &owner, json!({"role": "owner"})).await.ok(200),
            true => world.post(&format!("{grants}/revoke"), &owner, json!({"role": "owner"})).await.ok(200),
        };
        world.post(&format!("/v1/legal-holds/{hold}/release"), &officer, json!({"reason": "Settled"})).await.ok(200);
        let perform = format!("{path}/perform");
        world.post(&perform, &other, json!({})).await.problem(409, "erasure.owner_changed");
        let ended = world.get(&path, &owner).await.ok(200);
        assert_eq!((&ended["status"], &ended["decided_by"]), (&json!("rejected"), &json!("policy")));
        world.post(&perform, &other, json!({})).await.problem(422, "erasure.not_approved");
        assert_eq!(world.get(&format!("/users/{otto}"), &owner).await.ok(200)["status"], "active");
    }
    assert!(world.events("main", "erasure.performed").await.is_empty());
}

/// The first day of an organisation: whoever could decide was let in by whoever asks.
#[actix_web::test]
async fn erasure_that_nobody_could_decide_is_asked_for_anew_once_somebody_can() {
    let world = world().await;
    world.owner("main", "olga@example.com").await;
    let ann = world.member("main", "ann@example.com", "analyst").await;
    let cleo = world.member("main", "cleo@example.com", "analyst").await;
    let owner = world.token("main", "olga@example.com").await;
    world.post(&format!("/users/{cleo}/grants"), &owner, json!({"role": "compliance"})).await.ok(200);
    let officer = world.token("main", "cleo@example.com").await;
    let asked = world.post("/v1/erasures", &owner, json!({"subject": ann, "reason": "Left"})).await.ok(201);
    let (path, first) = (format!("/v1/erasures/{}", asked["id"].as_str().unwrap()), &asked["approval_request_id"]);
    let approve = format!("{path}/approve");
    world.post(&approve, &officer, json!({})).await.problem(403, "approval.seat_owed_to_requester");
    // By the clock of the server; whoever asked opens the next request.
    world.advance(25 * HOUR);
    let (owner, officer) =
        (world.token("main", "olga@example.com").await, world.token("main", "cleo@example.com").await);
    world.post(&approve, &officer, json!({})).await.problem(403, "approval.seat_owed_to_requester");
    world.post(&format!("{path}/perform"), &owner, json!({})).await.problem(422, "erasure.not_approved");
    let shown = world.get(&path, &owner).await.ok(200);
    assert_eq!(shown["status"], "requested");
    assert_ne!(&shown["approval_request_id"], first);
    assert_eq!(world.post(&approve, &officer, json!({})).await.ok(200)["status"], "performed");
}
