//! Nobody makes the voters for a request of his own: not by giving roles, not in other ways, and not through others. What a
//! vote rested on is judged as it was when it was cast.

use daybook_approvals::RedeemError;
use daybook_domain::Timestamp;
use daybook_domain::approval::{Decision, VoidReason};
use daybook_domain::approval_policy::Electorate;
use daybook_domain::names::DepartmentId;
use daybook_domain::refusal::Refusal;
use daybook_ledger::Actor;
use serde_json::{Value, json};

use crate::world::{HOUR, MORNING, World, approval_id, steps, system};

/// `by` has this happen.
async fn does(world: &World, by: &str, id: &str, event: &str, payload: Value) {
    world.happens_by(Actor::human(format!("usr_{by}")), id, event, payload).await;
}

async fn grants(world: &World, by: &str, to: &str, terms: Value) {
    does(world, by, &format!("usr_{to}"), "user.role_granted", terms).await;
}

async fn invites(world: &World, by: &str, name: &str) {
    let sealed = json!({ "subject": format!("usr_{name}"), "sealed": format!("dbs1.{}", "A".repeat(64)) });
    let expires = Timestamp::from_micros(MORNING + 400 * HOUR).unwrap();
    let invited = json!({ "email": sealed, "role": "analyst", "expires_at": expires });
    does(world, by, &format!("usr_{name}"), "user.invited", invited).await;
}

/// Transactions leave the house where somebody of `dep_cases` agrees; Vic is an analyst within `dep_desk`, which is another
/// department.
async fn departments(world: &World, role: &str) {
    for id in ["dep_cases", "dep_desk"] {
        world.happens(id, "department.created", json!({ "department_id": id, "name": id })).await;
    }
    let mut rules = steps(&[&["analyst"]]);
    rules[0].terms.steps[0].clauses[0].from =
        vec![Electorate::Department(DepartmentId::parse("", "dep_cases").unwrap())];
    world.policy("export.transactions", 1, rules).await;
    world.happens("usr_vic", "user.role_granted", json!({ "role": role, "department_id": "dep_desk" })).await;
    world.wait(25 * HOUR);
}

fn moved_below(parent: &str) -> Value {
    json!({ "changes": [{ "field": "parent_department_id", "old": null, "new": parent }] })
}

/// Vic cannot vote on what Ada asks for, and can on what Ben asks for; after a day on what Ada asks for then.
async fn is_adas_making(world: &World) {
    let why = "approval.seat_owed_to_requester";
    let (ada, ben, vic) = (world.caller("ada").await, world.caller("ben").await, world.caller("vic").await);
    let own = world.is_blocked(&ada, world.export("own")).await.approval_id;
    assert_eq!(world.refusal(&vic, &own).await, (403, why.to_owned()));
    let inbox = world.approvals.inbox(&vic, false).unwrap();
    assert!(inbox.iter().all(|item| item.record.approval_id != own));
    let other = world.is_blocked(&ben, world.export("other")).await.approval_id;
    world.approves("vic", &other).await;
    world.wait(25 * HOUR);
    assert_eq!(world.refusal(&vic, &own).await.1, why);
    let later = world.is_blocked(&ada, world.export("later")).await.approval_id;
    world.approves("vic", &later).await;
}

#[tokio::test]
async fn department_that_the_requester_put_below_another_gives_no_seat() {
    let world = World::new().await;
    departments(&world, "analyst").await;
    does(&world, "ada", "dep_cases", "department.changed", moved_below("dep_desk")).await;
    is_adas_making(&world).await;
}

#[tokio::test]
async fn role_that_the_requester_filled_gives_no_seat_in_its_departments() {
    let world = World::new().await;
    let empty = json!({ "name": "case_worker", "display_name": "Case worker", "inherits": [], "permissions": [] });
    world.happens("case_worker", "role.created", empty).await;
    departments(&world, "case_worker").await;
    world.happens("dep_cases", "department.changed", moved_below("dep_desk")).await;
    does(&world, "ada", "case_worker", "role.permission_granted", json!({ "permission": "transaction:read" })).await;
    is_adas_making(&world).await;
}

#[tokio::test]
async fn account_that_the_requester_reactivated_has_no_seat() {
    let world = World::new().await;
    grants(&world, "olga", "vic", json!({ "role": "analyst" })).await;
    does(&world, "olga", "usr_vic", "user.deactivated", json!({ "by": "usr_olga" })).await;
    world.wait(25 * HOUR);
    does(&world, "ada", "usr_vic", "user.reactivated", json!({})).await;
    is_adas_making(&world).await;
}

#[tokio::test]
async fn account_whose_address_the_requester_changed_has_no_seat() {
    let world = World::new().await;
    grants(&world, "olga", "vic", json!({ "role": "analyst" })).await;
    world.wait(25 * HOUR);
    let sealed = json!({ "subject": "usr_vic", "sealed": format!("dbs1.{}", "B".repeat(64)) });
    does(&world, "ada", "usr_vic", "user.profile_changed", json!({ "email": sealed })).await;
    is_adas_making(&world).await;
}

#[tokio::test]
async fn role_that_the_requester_prolonged_gives_no_seat_once_it_would_have_been_over() {
    let world = World::new().await;
    let until = Timestamp::from_micros(MORNING + 30 * HOUR).unwrap();
    grants(&world, "olga", "vic", json!({ "role": "analyst", "expires_at": until })).await;
    world.wait(26 * HOUR);
    grants(&world, "ada", "vic", json!({ "role": "analyst" })).await;
    let ada = world.caller("ada").await;
    let first = world.is_blocked(&ada, world.export("first")).await.approval_id;
    let second = world.is_blocked(&ada, world.export("second")).await.approval_id;
    // Until then it is Olga's, and Ada's word adds nothing to it.
    world.approves("vic", &first).await;
    world.wait(5 * HOUR);
    let vic = world.caller("vic").await;
    assert_eq!(world.refusal(&vic, &second).await, (403, "approval.seat_owed_to_requester".to_owned()));
}

#[tokio::test]
async fn what_is_done_by_those_whom_the_requester_let_in_is_the_requesters_doing() {
    let world = World::new().await;
    world.wait(25 * HOUR);
    invites(&world, "ada", "puppet").await;
    world.person("puppet", "admin").await;
    grants(&world, "puppet", "vic", json!({ "role": "analyst" })).await;
    is_adas_making(&world).await;

    let world = World::new().await;
    world.wait(25 * HOUR);
    grants(&world, "ada", "bob", json!({ "role": "admin" })).await;
    // Whatever becomes of the role that Bob did it with.
    grants(&world, "bob", "vic", json!({ "role": "analyst" })).await;
    does(&world, "ada", "usr_bob", "user.role_revoked", json!({ "role": "admin" })).await;
    is_adas_making(&world).await;
}

#[tokio::test]
async fn invitation_that_another_repeated_is_still_the_requesters() {
    let world = World::new().await;
    world.wait(25 * HOUR);
    invites(&world, "ada", "new").await;
    invites(&world, "ben", "new").await;
    world.person("new", "analyst").await;
    let ada = world.caller("ada").await;
    let own = world.is_blocked(&ada, world.export("own")).await.approval_id;
    let new = world.caller("new").await;
    assert_eq!(world.refusal(&new, &own).await.1, "approval.seat_owed_to_requester");
}

#[tokio::test]
async fn role_that_was_taken_and_given_again_since_does_not_hide_who_gave_it_first() {
    let world = World::new().await;
    world.person("ada2", "admin").await;
    world.wait(25 * HOUR);
    grants(&world, "ada2", "vic", json!({ "role": "analyst" })).await;
    let (ada, vic) = (world.caller("ada").await, world.caller("vic").await);
    let export = world.export("all");
    let digest = export.action.digest();
    let id = world.is_blocked(&ada, export).await.approval_id;
    world.votes(&vic, &id, Decision::Approve).await.unwrap();
    let votes = world.find(&id).await.votes().to_vec();
    let owed_to: Vec<&str> = votes[0].owed_to.iter().map(|giver| giver.as_str()).collect();
    assert_eq!(owed_to, ["usr_ada2"]);
    does(&world, "olga", "usr_vic", "user.role_revoked", json!({ "role": "analyst" })).await;
    grants(&world, "olga", "vic", json!({ "role": "analyst" })).await;
    world.same_person("ada2", "ada").await;
    let error = world.approvals.redeem(&approval_id(&id), &digest, "exp_1", &system()).await.unwrap_err();
    assert!(matches!(&error, RedeemError::Ended(why) if why.code() == "approval.requester_not_allowed"), "{error}");
    assert_eq!(world.find(&id).await.voided(), Some(VoidReason::RequesterNotAllowed));
}

#[tokio::test]
async fn vote_says_nothing_of_what_was_settled_long_before() {
    let world = World::new().await;
    world.wait(25 * HOUR);
    let ada = world.caller("ada").await;
    let id = world.is_blocked(&ada, world.export("all")).await.approval_id;
    world.approves("bob", &id).await;
    assert!(world.find(&id).await.votes()[0].owed_to.is_empty());
}

/// A fresh installation: its first owner invites everybody else, and asks for something on the same day.
#[tokio::test]
async fn whoever_let_everybody_in_asks_again_a_day_later_and_is_told_so() {
    let world = World::new().await;
    world.policy("export.transactions", 1, steps(&[&["reviewer"]])).await;
    world
        .happens(
            "reviewer",
            "role.created",
            json!({ "name": "reviewer", "display_name": "Reviewer",
        "inherits": ["analyst"], "permissions": [] }),
        )
        .await;
    world.wait(25 * HOUR);
    invites(&world, "ada", "new").await;
    world.wait(HOUR);
    world.person("new", "reviewer").await;
    let (ada, new) = (world.caller("ada").await, world.caller("new").await);
    let first = world.is_blocked(&ada, world.export("all")).await;
    let from = Timestamp::from_micros(world.now() + 23 * HOUR).unwrap();
    assert!(first.detail.contains("nobody in the organisation can decide it"), "{}", first.detail);
    assert!(first.detail.contains(&format!("from {from} on")), "{}", first.detail);
    // The voter is told by whose doing, and when it can be decided.
    let problem = world.votes(&new, &first.approval_id, Decision::Approve).await.unwrap_err();
    assert_eq!((problem.status(), problem.code()), (403, "approval.seat_owed_to_requester"));
    let told = problem.detail();
    assert!(told.contains("usr_ada") && told.contains(&from.to_string()) && !told.contains("not active"), "{told}");
    // Before that, nothing is gained by asking again.
    world.wait(22 * HOUR);
    assert_eq!(world.is_blocked(&ada, world.export("all")).await.approval_id, first.approval_id);
    world.wait(HOUR);
    assert_eq!(world.refusal(&new, &first.approval_id).await.1, "approval.seat_owed_to_requester");
    let second = world.is_blocked(&ada, world.export("all")).await;
    assert_ne!(second.approval_id, first.approval_id);
    assert_eq!(second.detail, "Export requires approval");
    assert_eq!(world.find(&first.approval_id).await.voided(), Some(VoidReason::Superseded));
    assert_eq!(world.is_blocked(&ada, world.export("all")).await.approval_id, second.approval_id);
    world.approves("new", &second.approval_id).await;
}
