//! Escalation and expiry: by the clock that the test moves, once, however many processes tick.

use std::time::Duration;

use daybook_domain::approval::ApprovalStatus;
use tokio::sync::watch;

use crate::world::{HOUR, World, steps};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_escalate_and_expire_once_each() {
    escalated_and_expired_once_each(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_escalate_and_expire_once_each_on_postgres() {
    let Some(world) = World::postgres().await else { return };
    escalated_and_expired_once_each(world).await;
}

async fn escalated_and_expired_once_each(world: World) {
    let ann = world.caller("ann").await;
    let mut ids = Vec::new();
    for number in 0..8 {
        ids.push(world.is_blocked(&ann, world.export(&format!("part {number}"))).await.approval_id);
    }
    let elsewhere = world.elsewhere().await;
    let here = world.approvals.clone();
    assert_eq!(here.tick().await.unwrap().changed, 0);
    for (wait, status, escalated, expired) in [
        (24 * HOUR - 1, ApprovalStatus::Pending, 0, 0),
        (1, ApprovalStatus::Pending, 1, 0),
        (48 * HOUR, ApprovalStatus::Expired, 1, 1),
    ] {
        world.wait(wait);
        let ticks = (0..6).map(|number| {
            let approvals = if number % 2 == 0 { here.clone() } else { elsewhere.clone() };
            tokio::spawn(async move { approvals.tick().await.unwrap() })
        });
        let reports = futures::future::join_all(ticks).await;
        assert!(reports.iter().all(|report| report.as_ref().unwrap().failed == 0));
        for id in &ids {
            assert_eq!(world.find(id).await.status(), Some(status));
            assert_eq!(world.count(id, "approval.escalated").await, escalated);
            assert_eq!(world.count(id, "approval.expired").await, expired);
        }
    }
    let report = here.tick().await.unwrap();
    assert_eq!((report.changed, report.next_due), (0, None));
}

#[tokio::test]
async fn what_fell_due_while_nothing_ran_happens_in_its_order() {
    let world = World::new().await;
    let ann = world.caller("ann").await;
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    world.wait(100 * HOUR);
    // Another process comes up, with no timer of before.
    let restarted = world.elsewhere().await;
    assert_eq!(restarted.tick().await.unwrap().changed, 1);
    let events = world.events("approval", &blocked.approval_id).await;
    assert_eq!(events.last().map(String::as_str), Some("approval.expired"));
    assert_eq!(world.count(&blocked.approval_id, "approval.escalated").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_clock_notices_what_is_due_and_what_is_new() {
    let world = World::new().await;
    let (stop, stopping) = watch::channel(false);
    let directory = tokio::spawn(world.approvals.directory().clone().run(stopping.clone()));
    let clock = tokio::spawn(world.approvals.clone().run_clock(stopping));
    let ann = world.caller("ann").await;
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    world.wait(72 * HOUR);
    let expired = async {
        while world.find(&blocked.approval_id).await.status() != Some(ApprovalStatus::Expired) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), expired).await.unwrap();
    stop.send_replace(true);
    clock.await.unwrap();
    directory.await.unwrap();
}

#[tokio::test]
async fn escalated_people_may_decide() {
    let world = World::new().await;
    let mut rules = steps(&[&["compliance"]]);
    rules[0].terms.escalation = vec![daybook_domain::approval_policy::EscalationRule {
        after_seconds: 3_600,
        to: vec![crate::world::role("admin")],
        repeat_from: None,
    }];
    world.policy("export.transactions", 1, rules).await;
    let (ann, ada) = (world.caller("ann").await, world.caller("ada").await);
    let blocked = world.is_blocked(&ann, world.export("all")).await;
    assert_eq!(world.refusal(&ada, &blocked.approval_id).await.1, "approval.not_eligible");
    world.wait(HOUR);
    world.approvals.tick().await.unwrap();
    world.approves("ada", &blocked.approval_id).await;
    world.is_granted(&ann, world.export("all")).await;
}
