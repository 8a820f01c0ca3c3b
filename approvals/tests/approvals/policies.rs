//! Who must approve what is changed with approval only.

use daybook_approvals::Changed;
use daybook_domain::approval::{ActionType, ApprovalStatus};
use daybook_domain::approval_policy::{ApprovalPolicy, Rule};
use daybook_http_kit::{Principal, Problem};

use crate::world::{World, context, steps, why};

async fn define(world: &World, caller: &Principal, rules: Vec<Rule>) -> Result<Changed<ApprovalPolicy>, Problem> {
    let action = ActionType::parse("", "export.transactions").unwrap();
    world.approvals.define_policy(caller, action, rules, why("Two pairs of eyes"), context(caller)).await
}

fn blocked(changed: Changed<ApprovalPolicy>) -> String {
    match changed {
        Changed::Blocked(blocked) => blocked.approval_id,
        Changed::Done(outcome) => panic!("done: {outcome:?}"),
    }
}

#[tokio::test]
async fn change_waits_for_approval_and_is_made_by_the_repeat() {
    let world = World::new().await;
    let (ada, cora) = (world.caller("ada").await, world.caller("cora").await);
    let rules = steps(&[&["analyst"], &["compliance"]]);
    let id = blocked(define(&world, &ada, rules.clone()).await.unwrap());
    assert_eq!(world.refusal(&ada, &id).await.1, "approval.self_approval");
    let approval = world.find(&id).await;
    let action = approval.action().unwrap();
    let told: Vec<String> = action.changes.iter().map(|change| change.field.to_string()).collect();
    assert!(told.iter().any(|field| field.contains("steps 2")), "{told:?}");
    assert_eq!(action.parameters["follows_version"], "0");

    world.votes(&cora, &id, daybook_domain::approval::Decision::Approve).await.unwrap();
    let Changed::Done(done) = define(&world, &ada, rules.clone()).await.unwrap() else { panic!("blocked") };
    assert_eq!(done.aggregate.version(), 1);
    assert_eq!(world.find(&id).await.status(), Some(ApprovalStatus::Consumed));
    // Once more there is nothing to do, and nobody is asked.
    let Changed::Done(again) = define(&world, &ada, rules).await.unwrap() else { panic!("blocked") };
    assert!(again.unchanged && again.version == done.version);
    let action = ActionType::parse("", "export.transactions").unwrap();
    let policy = world.approvals.policy_in_force(&action, None, None).await.unwrap();
    assert_eq!((policy.version, policy.terms.steps.len()), (1, 2));

    let retired = world.approvals.retire_policy(&ada, action.clone(), why("Back"), context(&ada)).await.unwrap();
    world.approves("cora", &blocked(retired)).await;
    let retired = world.approvals.retire_policy(&ada, action.clone(), why("Back"), context(&ada)).await.unwrap();
    assert!(matches!(retired, Changed::Done(outcome) if outcome.aggregate.version() == 2));
    let policy = world.approvals.policy_in_force(&action, None, None).await.unwrap();
    assert_eq!((policy.version, policy.terms.steps.len()), (2, 1));
}

#[tokio::test]
async fn approved_change_of_other_rules_than_hold_now_is_not_made() {
    let world = World::new().await;
    let ada = world.caller("ada").await;
    let rules = steps(&[&["owner"]]);
    let id = blocked(define(&world, &ada, rules.clone()).await.unwrap());
    world.approves("cora", &id).await;
    world.policy("export.transactions", 1, steps(&[&["compliance"]])).await;
    assert_ne!(blocked(define(&world, &ada, rules).await.unwrap()), id);
}

#[tokio::test]
async fn change_takes_a_permission_and_acceptable_rules() {
    let world = World::new().await;
    let (ada, cora) = (world.caller("ada").await, world.caller("cora").await);
    let problem = define(&world, &cora, steps(&[&["owner"]])).await.unwrap_err();
    assert_eq!(problem.missing_permission(), Some("approval_policy:manage"));
    assert_eq!(define(&world, &ada, Vec::new()).await.unwrap_err().status(), 400);
    let never = ActionType::parse("", "export.users").unwrap();
    let problem = world.approvals.retire_policy(&ada, never, why("Back"), context(&ada)).await.unwrap_err();
    assert_eq!((problem.status(), problem.code()), (404, "approval_policy.not_found"));
}
