//! Nobody makes the voters for a request of his own, widens who decides on it, or uses what rests on something that changed.

use daybook_approvals::{Changed, RedeemError};
use daybook_domain::approval::{ActionType, ApprovalStatus, Decision, VoidReason};
use daybook_domain::approval_policy::{BreakGlass, EscalationRule, Rule};
use daybook_domain::refusal::Refusal;
use daybook_ledger::append::CommandKey;
use daybook_ledger::{Actor, Hash};
use serde_json::json;

use crate::world::{HOUR, MORNING, World, approval_id, context, gated, role, steps, system, why};

async fn grants(world: &World, by: &str, to: &str, role: &str) {
    let by = Actor::human(format!("usr_{by}"));
    world.happens_by(by, &format!("usr_{to}"), "user.role_granted", json!({ "role": role })).await;
}

#[tokio::test]
async fn role_that_the_requester_gave_lately_gives_no_seat_on_the_request() {
    let world = World::new().await;
    let ada = world.caller("ada").await;
    let ben = world.caller("ben").await;
    grants(&world, "ada", "vic", "analyst").await;
    world.wait(HOUR);
    let own = world.is_blocked(&ada, world.export("all")).await.approval_id;
    let other = world.is_blocked(&ben, world.export("all")).await.approval_id;
    let vic = world.caller("vic").await;
    assert_eq!(world.refusal(&vic, &own).await, (403, "approval.seat_owed_to_requester".to_owned()));
    let inbox = world.approvals.inbox(&vic, false).unwrap();
    assert!(inbox.iter().all(|item| item.record.approval_id != own));
    // Somebody else's request is not concerned, and nobody loses what another gave.
    world.approves("vic", &other).await;
    world.wait(24 * HOUR);
    let later = world.is_blocked(&ada, world.export("later")).await.approval_id;
    world.approves("vic", &later).await;
    // Given after the request it never counts.
    let third = world.is_blocked(&ada, world.export("third")).await.approval_id;
    world.person("new", "viewer").await;
    world.wait(HOUR);
    grants(&world, "ada", "new", "admin").await;
    let new = world.caller("new").await;
    assert_eq!(world.refusal(&new, &third).await.1, "approval.seat_owed_to_requester");
}

#[tokio::test]
async fn account_that_the_requester_brought_in_lately_has_no_seat() {
    let world = World::new().await;
    let ada = world.caller("ada").await;
    let sealed = json!({ "subject": "usr_new", "sealed": format!("dbs1.{}", "A".repeat(64)) });
    let expires = daybook_domain::Timestamp::from_micros(MORNING + 72 * HOUR).unwrap();
    let invited = json!({ "email": sealed, "role": "analyst", "expires_at": expires });
    world.happens_by(Actor::human("usr_ada"), "usr_new", "user.invited", invited).await;
    world.person("new", "analyst").await;
    let id = world.is_blocked(&ada, world.export("all")).await.approval_id;
    let new = world.caller("new").await;
    assert_eq!(world.refusal(&new, &id).await.1, "approval.seat_owed_to_requester");
    let ben = world.caller("ben").await;
    let other = world.is_blocked(&ben, world.export("all")).await.approval_id;
    world.approves("new", &other).await;
}

#[tokio::test]
async fn role_that_turns_out_to_be_the_requesters_gift_voids_the_approval() {
    let world = World::new().await;
    world.person("ada2", "admin").await;
    let ada = world.caller("ada").await;
    grants(&world, "ada2", "vic", "analyst").await;
    let export = world.export("all");
    let digest = export.action.digest();
    let id = world.is_blocked(&ada, export).await.approval_id;
    world.approves("vic", &id).await;
    world.same_person("ada2", "ada").await;
    let error = world.approvals.redeem(&approval_id(&id), &digest, "exp_1", &system()).await.unwrap_err();
    assert!(matches!(&error, RedeemError::Ended(why) if why.code() == "approval.requester_not_allowed"), "{error}");
    assert_eq!(world.find(&id).await.voided(), Some(VoidReason::RequesterNotAllowed));
}

#[tokio::test]
async fn whoever_holds_the_operators_token_does_not_decide_what_it_asks_for() {
    let world = World::new().await;
    let operator = world.operator();
    let before = world.is_blocked(&operator, world.export("before")).await.approval_id;
    let approvals = world.approvals.clone().with_operator_person(Some("usr_olga".to_owned()));
    world.wait(25 * HOUR);
    let id = world.is_blocked(&operator, world.export("all")).await.approval_id;
    let olga = world.caller("olga").await;
    for id in [&before, &id] {
        assert_eq!(world.refusal(&olga, id).await, (403, "approval.self_approval".to_owned()));
    }
    world.approves("ada", &id).await;
    drop(approvals);
}

#[tokio::test]
async fn escalation_by_the_requester_only_calls_for_attention() {
    let world = World::new().await;
    let mut rules: Vec<Rule> = steps(&[&["compliance"]]);
    rules[0].terms.escalation =
        vec![EscalationRule { after_seconds: 40 * 3_600, to: vec![role("admin")], repeat_from: None }];
    world.policy("export.transactions", 1, rules).await;
    let (ann, ada, cora) = (world.caller("ann").await, world.caller("ada").await, world.caller("cora").await);
    let id = world.is_blocked(&ann, world.export("all")).await.approval_id;
    world.approvals.escalate(&ann, &id, Vec::new(), None, why("Urgent"), context(&ann)).await.unwrap();
    assert_eq!(world.refusal(&ada, &id).await, (403, "approval.not_eligible".to_owned()));
    world.approvals.escalate(&cora, &id, Vec::new(), None, why("On leave"), context(&cora)).await.unwrap();
    world.approves("ada", &id).await;
}

#[tokio::test]
async fn glass_is_not_broken_again_before_the_review() {
    let world = World::new().await;
    let mut rules = steps(&[&["analyst"], &["compliance"]]);
    rules[0].terms.break_glass =
        Some(BreakGlass { who: vec![role("admin")], grant_seconds: 3_600, review_within_seconds: 3_600 });
    world.policy("export.transactions", 1, rules).await;
    let ada = world.caller("ada").await;
    let (first, second) = (world.export("first"), world.export("second"));
    let digest = first.action.digest();
    let id = world.is_blocked(&ada, first).await.approval_id;
    let other = world.is_blocked(&ada, second).await.approval_id;
    world.approves("bob", &id).await;
    world.approvals.break_glass(&ada, &id, why("Fire"), context(&ada)).await.unwrap();
    let problem = world.approvals.break_glass(&ada, &other, why("Fire"), context(&ada)).await.unwrap_err();
    assert_eq!(problem.code(), "approval.review_open");
    let grant = world.approvals.redeem(&approval_id(&id), &digest, "exp_1", &system()).await.unwrap();
    assert!(grant.approvers().is_empty());
    assert_eq!(grant.broken_by().map(|by| by.as_str()), Some("usr_ada"));
}

#[tokio::test]
async fn execution_that_is_resumed_after_the_basis_changed_is_taken_back() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let export = world.export("all");
    let digest = export.action.digest();
    let id = world.is_blocked(&ann, export).await.approval_id;
    world.approves("bob", &id).await;
    let redeem = || async { world.approvals.redeem(&approval_id(&id), &digest, "exp_1", &system()).await };
    redeem().await.unwrap();
    world.policy("export.transactions", 1, steps(&[&["compliance"]])).await;
    let error = redeem().await.unwrap_err();
    assert!(matches!(&error, RedeemError::Ended(why) if why.code() == "approval.policy_changed"), "{error}");
    let voided = world.find(&id).await;
    assert_eq!((voided.status(), voided.voided()), (Some(ApprovalStatus::Voided), Some(VoidReason::BasisChanged)));
    assert!(matches!(redeem().await, Err(RedeemError::Refused(_))));
}

#[tokio::test]
async fn use_of_an_approval_keeps_its_key_and_the_version_that_was_seen() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let wire = gated("external.wire_transfer", "wire-1", "exe_1");
    let opened = world.approvals.open(&ann, wire, context(&ann)).await.unwrap();
    world.approves("bob", &opened.id).await;
    let line = || daybook_domain::text::Line::parse("", "exe_1").unwrap();
    let mut seen = context(&ann);
    seen.expected_version = Some(1);
    assert!(world.approvals.consume_external(&ann, &opened.id, line(), None, seen).await.is_err());
    let keyed = |digest: u8| {
        let mut keyed = context(&ann);
        keyed.command = Some(CommandKey { id: "k1".to_owned(), digest: Hash([digest; 32]) });
        keyed
    };
    world.approvals.consume_external(&ann, &opened.id, line(), None, keyed(1)).await.unwrap();
    let again = world.approvals.consume_external(&ann, &opened.id, line(), None, keyed(1)).await.unwrap();
    assert!(again.replayed);
    let other = world.approvals.consume_external(&ann, &opened.id, line(), None, keyed(2)).await.unwrap_err();
    assert_eq!(other.status(), 422);
}

#[tokio::test]
async fn change_of_a_policy_names_who_is_there_keeps_its_key_and_hides_no_rule() {
    let world = World::new().await;
    let ada = world.caller("ada").await;
    let export = || ActionType::parse("", "export.transactions").unwrap();
    let define = |rules: Vec<Rule>, digest: u8| {
        let mut keyed = context(&ada);
        keyed.command = Some(CommandKey { id: "k1".to_owned(), digest: Hash([digest; 32]) });
        world.approvals.define_policy(&ada, export(), rules, why("Stricter"), keyed)
    };
    let problem = define(steps(&[&["analyst"], &["nobody_has_it"]]), 1).await.unwrap_err();
    assert_eq!((problem.status(), problem.code()), (422, "approval_policy.unknown_electorate"));
    assert!(problem.to_string().contains("/rules/0/terms/steps/1/clauses/0/from/0"), "{problem}");

    let many = |role: &'static str| {
        let one: &[&str] = &[role];
        let mut rules = steps(&[one; 10]);
        for number in 1..20 {
            let mut rule = rules[0].clone();
            rule.label = Some(daybook_domain::names::Label::parse("", format!("label_{number}")).unwrap());
            rules.insert(0, rule);
        }
        rules
    };
    let Changed::Blocked(blocked) = define(many("owner"), 1).await.unwrap() else { panic!("done") };
    let approval = world.find(&blocked.approval_id).await;
    let told = &approval.action().unwrap().changes;
    assert_eq!(told.len(), 20);
    assert!(told.iter().all(|change| change.after.is_some()));
    // The key came with other rules before: nobody is asked about these.
    let problem = define(steps(&[&["owner"]]), 2).await.unwrap_err();
    assert_eq!(problem.status(), 422);
    world.votes(&world.caller("cora").await, &blocked.approval_id, Decision::Approve).await.unwrap();
    assert!(matches!(define(many("owner"), 1).await.unwrap(), Changed::Done(_)));
}

#[tokio::test]
async fn nothing_is_approved_while_an_entry_about_approvals_cannot_be_read() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    world.happens("apr_9", "approval.invented_later", json!({})).await;
    let problem = world.tries(&ann, world.export("all")).await.unwrap_err();
    assert_eq!((problem.status(), problem.code()), (503, "directory.not_understood"));
    // Whoever may come in still may.
    world.caller("bob").await;
}
