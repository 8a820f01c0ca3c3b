//! The choke point: what is let through, once, and what is looked at again before.

use daybook_approvals::{Needed, Passage, RedeemError};
use daybook_domain::approval::{ApprovalStatus, Decision, VoidReason};
use daybook_domain::refusal::Refusal;

use crate::world::{HOUR, SECOND, World, action, approval_id, context, gated, steps, system, why};

fn code(error: &RedeemError) -> (&'static str, bool) {
    match error {
        RedeemError::Refused(refusal) => (refusal.code(), false),
        RedeemError::Ended(refusal) => (refusal.code(), true),
        RedeemError::Unavailable(problem) => panic!("{problem}"),
    }
}

#[tokio::test]
async fn blocked_call_goes_through_once_after_the_decision() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    assert_eq!((blocked.status, blocked.detail.as_str()), (ApprovalStatus::Pending, "Export requires approval"));
    assert_eq!(world.is_blocked(&ann, world.export("all")).await.approval_id, blocked.approval_id);

    world.approves("bob", &blocked.approval_id).await;
    let grant = world.is_granted(&ann, world.export("all")).await;
    assert_eq!(grant.approval_id().as_str(), blocked.approval_id);
    assert!(
        grant.covers(&action("export.transactions", "all")) && !grant.covers(&action("export.transactions", "one"))
    );
    assert_eq!(grant.approvers().iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["usr_bob"]);
    assert!(!grant.is_resumed() && grant.policy_version() == 0);
    assert_eq!(world.find(&blocked.approval_id).await.status(), Some(ApprovalStatus::Consumed));

    let next = world.is_blocked(&ann, world.export("all")).await;
    assert_ne!(next.approval_id, blocked.approval_id);
}

#[tokio::test]
async fn blocked_answer_has_three_members_and_the_position() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    let answer = blocked.respond();
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers().get("daybook-position").unwrap().to_str().unwrap(), blocked.position.to_string());
    let body = actix_web::body::to_bytes(answer.into_body()).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let expected = serde_json::json!({ "detail": "Export requires approval",
        "approval_request_id": blocked.approval_id, "status": "pending" });
    assert_eq!(body, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_at_once_open_one_request() {
    one_request_is_opened(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_at_once_open_one_request_on_postgres() {
    let Some(world) = World::postgres().await else { return };
    one_request_is_opened(world).await;
}

/// Half of the calls come to one process and half to another where the store is shared by several.
async fn one_request_is_opened(world: World) {
    let ann = world.caller("ann").await;
    let elsewhere = if world.is_shared() { world.elsewhere().await } else { world.approvals.clone() };
    let calls = (0..16).map(|number| {
        let approvals = if number % 2 == 0 { world.approvals.clone() } else { elsewhere.clone() };
        let (ann, export) = (ann.clone(), world.export("all"));
        tokio::spawn(async move { approvals.pass(&ann, export, &context(&ann)).await.unwrap() })
    });
    let mut ids = Vec::new();
    for passage in futures::future::join_all(calls).await {
        let Passage::Blocked(blocked) = passage.unwrap() else { panic!("let through") };
        ids.push(blocked.approval_id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(world.approvals.directory().up_to_date().await.unwrap().approvals.len(), 1);
}

#[tokio::test]
async fn somebody_elses_approval_lets_nobody_through() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    world.approves("bob", &blocked.approval_id).await;
    let ben = world.caller("ben").await;
    assert_ne!(world.is_blocked(&ben, world.export("all")).await.approval_id, blocked.approval_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_redemptions_at_once_one_wins() {
    one_of_64_wins(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_redemptions_at_once_one_wins_on_postgres() {
    let Some(world) = World::postgres().await else { return };
    one_of_64_wins(world).await;
}

/// Half of them in one process and half in another.
async fn one_of_64_wins(world: World) {
    let ann = world.caller("ann").await;
    let export = world.export("all");
    let digest = export.action.digest();
    let blocked = world.is_blocked(&ann, export).await;
    world.approves("bob", &blocked.approval_id).await;
    let elsewhere = world.elsewhere().await;
    let id = approval_id(&blocked.approval_id);
    let attempts = (0..64).map(|number| {
        let approvals = if number % 2 == 0 { world.approvals.clone() } else { elsewhere.clone() };
        let (id, digest) = (id.clone(), digest.clone());
        tokio::spawn(async move { approvals.redeem(&id, &digest, &format!("exp_{number}"), &system()).await })
    });
    let results: Vec<_> = futures::future::join_all(attempts).await.into_iter().map(|result| result.unwrap()).collect();
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    assert!(lost.iter().all(|result| code(result.as_ref().unwrap_err()) == ("approval.already_consumed", false)));
    assert_eq!(world.count(&blocked.approval_id, "approval.consumed").await, 1);
}

#[tokio::test]
async fn the_same_execution_is_resumed_and_another_refused() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let export = world.export("all");
    let digest = export.action.digest();
    let blocked = world.is_blocked(&ann, export).await;
    let id = approval_id(&blocked.approval_id);
    let early = world.approvals.redeem(&id, &digest, "exp_1", &system()).await.unwrap_err();
    assert_eq!(code(&early), ("approval.not_approved", false));
    world.approves("bob", &blocked.approval_id).await;
    assert!(!world.approvals.redeem(&id, &digest, "exp_1", &system()).await.unwrap().is_resumed());
    assert!(world.approvals.redeem(&id, &digest, "exp_1", &system()).await.unwrap().is_resumed());
    let other = world.approvals.redeem(&id, &digest, "exp_2", &system()).await.unwrap_err();
    assert_eq!(code(&other), ("approval.already_consumed", false));
    let nowhere = world.approvals.redeem(&approval_id("apr_nowhere"), &digest, "exp_1", &system()).await.unwrap_err();
    assert_eq!(code(&nowhere), ("approval.not_found", false));
}

#[tokio::test]
async fn what_was_not_approved_is_not_done() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    world.approves("bob", &blocked.approval_id).await;
    let other = action("export.transactions", "others").digest();
    let id = approval_id(&blocked.approval_id);
    // Whoever names somebody else's approval ends nothing.
    let error = world.approvals.redeem(&id, &other, "exp_1", &system()).await.unwrap_err();
    assert_eq!(code(&error), ("approval.digest_mismatch", false));
    let very = world.find(&blocked.approval_id).await;
    let very = very.action().unwrap().resource_id.as_str().to_owned();
    let error = world.approvals.redeem(&id, &other, &very, &system()).await.unwrap_err();
    assert_eq!(code(&error), ("approval.digest_mismatch", true));
    // What Daybook was about to do is not what was approved: it is asked for anew.
    assert_eq!(world.find(&blocked.approval_id).await.voided(), Some(VoidReason::DigestMismatch));
    assert_ne!(world.is_blocked(&ann, world.export("all")).await.approval_id, blocked.approval_id);
}

#[tokio::test]
async fn grant_that_expired_before_execution_is_recorded_and_asked_for_anew() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let export = world.export("all");
    let digest = export.action.digest();
    let blocked = world.is_blocked(&ann, export).await;
    world.approves("bob", &blocked.approval_id).await;
    world.wait(24 * HOUR);
    let id = approval_id(&blocked.approval_id);
    let error = world.approvals.redeem(&id, &digest, "exp_1", &system()).await.unwrap_err();
    assert_eq!(code(&error), ("approval.grant_expired", true));
    assert_eq!(world.find(&blocked.approval_id).await.status(), Some(ApprovalStatus::Expired));
    assert_eq!(world.count(&blocked.approval_id, "approval.expired").await, 1);

    let second = world.is_blocked(&ann, world.export("all")).await;
    world.approves("bob", &second.approval_id).await;
    world.wait(24 * HOUR + SECOND);
    let third = world.is_blocked(&ann, world.export("all")).await;
    assert_ne!(third.approval_id, second.approval_id);
    assert_eq!(world.find(&second.approval_id).await.status(), Some(ApprovalStatus::Expired));
}

#[tokio::test]
async fn request_that_nobody_decided_in_time_is_opened_anew() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    world.wait(72 * HOUR);
    let next = world.is_blocked(&ann, world.export("all")).await;
    assert_ne!(next.approval_id, blocked.approval_id);
    assert_eq!(world.find(&blocked.approval_id).await.status(), Some(ApprovalStatus::Expired));
}

#[tokio::test]
async fn policy_that_changed_between_decision_and_execution_voids() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let export = world.export("all");
    let digest = export.action.digest();
    let blocked = world.is_blocked(&ann, export).await;
    world.approves("bob", &blocked.approval_id).await;
    world.policy("export.transactions", 1, steps(&[&["compliance"]])).await;
    let id = approval_id(&blocked.approval_id);
    let error = world.approvals.redeem(&id, &digest, "exp_1", &system()).await.unwrap_err();
    assert_eq!(code(&error), ("approval.policy_changed", true));
    let voided = world.find(&blocked.approval_id).await;
    assert_eq!((voided.status(), voided.voided()), (Some(ApprovalStatus::Voided), Some(VoidReason::PolicyChanged)));

    let second = world.is_blocked(&ann, world.export("all")).await;
    let bob = world.caller("bob").await;
    assert_eq!(world.refusal(&bob, &second.approval_id).await.1, "approval.not_eligible");
    // One that waits under rules that hold no more is asked for anew, too.
    world.policy("export.transactions", 2, steps(&[&["analyst"]])).await;
    let third = world.is_blocked(&ann, world.export("all")).await;
    assert_ne!(third.approval_id, second.approval_id);
    assert_eq!(world.find(&second.approval_id).await.status(), Some(ApprovalStatus::Voided));
    world.approves("bob", &third.approval_id).await;
    assert_eq!(world.is_granted(&ann, world.export("all")).await.policy_version(), 2);
}

#[tokio::test]
async fn requester_who_was_deactivated_or_lost_the_right_gets_nothing() {
    let world = World::new().await;
    let (ann, ben) = (world.caller("ann").await, world.caller("ben").await);
    let digest = action("export.transactions", "all").digest();
    let mut ids = Vec::new();
    for caller in [&ann, &ben] {
        let blocked = world.is_blocked(caller, world.export("all")).await;
        world.approves("bob", &blocked.approval_id).await;
        ids.push(blocked.approval_id);
    }
    world.happens("usr_ann", "user.deactivated", serde_json::json!({ "reason": "Left" })).await;
    world.happens("usr_ben", "user.role_revoked", serde_json::json!({ "role": "analyst" })).await;
    for id in ids {
        let error = world.approvals.redeem(&approval_id(&id), &digest, "exp_1", &system()).await.unwrap_err();
        assert_eq!(code(&error), ("approval.requester_not_allowed", true));
        assert_eq!(world.find(&id).await.voided(), Some(VoidReason::RequesterNotAllowed));
    }
}

#[tokio::test]
async fn key_that_was_revoked_gets_nothing() {
    let world = World::new().await;
    let key = world.key_of("ada").await;
    let blocked = world.is_blocked(&key, world.export("all")).await;
    world.approves("bob", &blocked.approval_id).await;
    let append = serde_json::json!({ "reason": "Leaked" });
    let stream = daybook_ledger::StreamKey::new("api_key", &*key.actor.id).unwrap();
    let revoked = daybook_ledger::Append {
        stream,
        expected_version: 1,
        events: vec![daybook_ledger::Draft::new("api_key.revoked", 1, append.to_string())],
        actor: daybook_ledger::Actor::human("usr_ada"),
        metadata: "{}".to_owned(),
        command: None,
    };
    world.ledger.append(revoked).await.unwrap();
    let digest = action("export.transactions", "all").digest();
    let id = approval_id(&blocked.approval_id);
    let error = world.approvals.redeem(&id, &digest, "exp_1", &system()).await.unwrap_err();
    assert_eq!(code(&error), ("approval.requester_not_allowed", true));
}

#[tokio::test]
async fn voter_who_turns_out_to_be_the_requester_voids_the_approval() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    world.approves("bob", &blocked.approval_id).await;
    world.same_person("bob", "ann").await;
    assert_ne!(world.is_blocked(&ann, world.export("all")).await.approval_id, blocked.approval_id);
    assert_eq!(world.find(&blocked.approval_id).await.status(), Some(ApprovalStatus::Voided));
}

#[tokio::test]
async fn permission_is_needed_besides() {
    let world = World::new().await;
    let vic = world.caller("vic").await;
    let mut export = world.export("all");
    export.required_permissions = vec![Needed::everywhere("user:list")];
    let problem = world.tries(&vic, export).await.unwrap_err();
    assert_eq!((problem.status(), problem.missing_permission()), (403, Some("user:list")));
}

#[tokio::test]
async fn policy_that_asks_nobody_lets_through_at_once() {
    let world = World::new().await;
    world.policy("export.transactions", 1, steps(&[])).await;
    let ann = world.caller("ann").await;
    let grant = world.is_granted(&ann, world.export("all")).await;
    assert!(grant.approvers().is_empty());
    assert_eq!(world.count(grant.approval_id().as_str(), "approval.consumed").await, 1);
}

#[tokio::test]
async fn caller_is_told_where_nobody_can_decide() {
    let world = World::new().await;
    world.policy("export.transactions", 1, steps(&[&["reviewer"]])).await;
    world.policy("export.incidents", 1, steps(&[&["analyst"], &["owner"]])).await;
    let ann = world.caller("ann").await;
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    assert_eq!(blocked.detail, "Export requires approval; nobody in the organisation can decide it");
    let other = gated("export.incidents", "all", "exp_2");
    assert_eq!(world.is_blocked(&ann, other).await.detail, "Export requires approval");
}

#[tokio::test]
async fn rejected_request_is_over_and_asked_for_anew() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    let bob = world.caller("bob").await;
    world.votes(&bob, &blocked.approval_id, Decision::Reject).await.unwrap();
    assert_ne!(world.is_blocked(&ann, world.export("all")).await.approval_id, blocked.approval_id);
}

#[tokio::test]
async fn draft_is_handed_in_by_the_attempt_and_a_repeat_with_its_key_opens_none_anew() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let mut keyed = context(&ann);
    let key = daybook_ledger::append::CommandKey { id: "k1".to_owned(), digest: daybook_ledger::Hash([7; 32]) };
    keyed.command = Some(key);
    let draft = world.approvals.draft(&ann, world.export("all"), keyed.clone()).await.unwrap();
    let again = world.approvals.draft(&ann, world.export("all"), keyed).await.unwrap();
    assert_eq!((again.id.as_str(), again.replayed), (draft.id.as_str(), true));
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    assert_eq!((blocked.approval_id, blocked.status), (draft.id, ApprovalStatus::Pending));
}

#[tokio::test]
async fn external_approval_is_used_up_by_its_requester_only() {
    let world = World::new().await;
    let (ann, ben) = (world.caller("ann").await, world.caller("ben").await);
    let wire = || gated("external.wire_transfer", "wire-1", "exe_1");
    let opened = world.approvals.open(&ann, wire(), context(&ann)).await.unwrap();
    world.approves("bob", &opened.id).await;
    let line = |text| daybook_domain::text::Line::parse("", text).unwrap();
    let use_up =
        |caller, execution| world.approvals.consume_external(caller, &opened.id, execution, None, context(caller));
    let problem = use_up(&ben, line("exe_1")).await.unwrap_err();
    assert_eq!((problem.status(), problem.code()), (403, "approval.not_yours"));
    let used = use_up(&ann, line("exe_1")).await.unwrap();
    assert_eq!(used.aggregate.status(), Some(ApprovalStatus::Consumed));
    assert!(use_up(&ann, line("exe_1")).await.unwrap().unchanged);
    let problem = use_up(&ann, line("exe_2")).await.unwrap_err();
    assert_eq!((problem.status(), problem.code()), (409, "approval.already_consumed"));

    let export = world.approvals.open(&ann, world.export("all"), context(&ann)).await.unwrap();
    let problem =
        world.approvals.consume_external(&ann, &export.id, line("exe_1"), None, context(&ann)).await.unwrap_err();
    assert_eq!((problem.status(), problem.code()), (422, "approval.not_external"));
}

#[tokio::test]
async fn broken_glass_lets_the_requester_through_and_stays_open_until_reviewed() {
    let world = World::new().await;
    let ada = world.caller("ada").await;
    let blocked = world.is_blocked(&ada, world.export("all")).await;
    let id = blocked.approval_id.as_str();
    let vic = world.caller("vic").await;
    let problem = world.approvals.break_glass(&vic, id, why("Fire"), context(&vic)).await.unwrap_err();
    assert_eq!((problem.status(), problem.code()), (403, "approval.not_eligible"));
    world.approvals.break_glass(&ada, id, why("Fire"), context(&ada)).await.unwrap();
    let Passage::Granted(grant) = world.tries(&ada, world.export("all")).await.unwrap() else { panic!("blocked") };
    assert!(grant.approvers().is_empty());
    assert!(world.find(id).await.is_open());
    let problem = world.approvals.review(&ada, id, Decision::Approve, None, context(&ada)).await.unwrap_err();
    assert_eq!(problem.status(), 403);
    let cora = world.caller("cora").await;
    let inbox = world.approvals.inbox(&cora, false).unwrap();
    assert!(inbox.iter().any(|item| item.is_review && item.record.approval_id == id));
    world.approvals.review(&cora, id, Decision::Approve, None, context(&cora)).await.unwrap();
    assert!(!world.find(id).await.is_open());
}

#[tokio::test]
async fn people_of_the_development_headers_count_only_where_those_are_believed() {
    let world = World::new().await;
    let made_up = |id: &str, role: daybook_http_kit::Role| daybook_http_kit::Principal {
        actor: daybook_ledger::Actor::human(id),
        via: daybook_http_kit::Via::DevHeaders,
        roles: std::sync::Arc::from([role.as_str().to_owned()]),
        access: std::sync::Arc::new(daybook_http_kit::Access::everywhere(role.permissions())),
        ..world.operator()
    };
    let (dora, dan) =
        (made_up("usr_d0a", daybook_http_kit::Role::Analyst), made_up("usr_da4", daybook_http_kit::Role::Admin));
    let digest = action("export.transactions", "all").digest();
    for believed in [false, true] {
        let approvals = world.approvals.clone().with_development(believed);
        let passage = approvals.pass(&dora, world.export("all"), &context(&dora)).await.unwrap();
        let Passage::Blocked(blocked) = passage else { panic!("let through") };
        let vote = crate::world::ballot(Decision::Approve);
        let own = approvals.vote(&dora, &blocked.approval_id, vote.clone(), context(&dora)).await.unwrap_err();
        assert_eq!(own.code(), "approval.self_approval");
        approvals.vote(&dan, &blocked.approval_id, vote, context(&dan)).await.unwrap();
        let redeemed = approvals.redeem(&approval_id(&blocked.approval_id), &digest, "exp_1", &system()).await;
        match redeemed {
            Ok(_) => assert!(believed),
            Err(error) => assert_eq!((code(&error), believed), (("approval.requester_not_allowed", true), false)),
        }
    }
}
