//! The inbox where much is open.

use std::time::Instant;

use daybook_domain::approval::Approval;
use serde_json::json;

use crate::world::{HOUR, World};

/// Most requests that a person has open.
const OPEN: usize = 1_000;

/// Prints how long the inbox takes, and how long the same takes where the caller is looked up for each request anew.
#[tokio::test]
#[ignore = "a measurement"]
async fn inbox_of_a_thousand_open_requests() {
    let world = World::new().await;
    for number in 0..200 {
        let id = format!("dep_{number}");
        let parent = (number > 0).then(|| format!("dep_{}", (number - 1) / 3));
        let created = json!({ "department_id": id, "name": id, "parent_department_id": parent });
        world.happens(&id, "department.created", created).await;
        world.person(&format!("p{number}"), "viewer").await;
    }
    world.happens("usr_cora", "user.role_granted", json!({ "role": "analyst", "department_id": "dep_0" })).await;
    for number in 0..100 {
        world.delegates(&format!("p{number}"), "cora").await;
    }
    for settled in [false, true] {
        let asker = world.caller(if settled { "ben" } else { "ann" }).await;
        for number in 0..OPEN {
            world.is_blocked(&asker, world.export(&format!("{settled}-{number}"))).await;
        }
        let cora = world.caller("cora").await;
        let begun = Instant::now();
        let inbox = world.approvals.inbox(&cora, true).unwrap();
        let together = begun.elapsed();
        let begun = Instant::now();
        let of = |approval: &Approval| world.approvals.eligibility(&cora, approval).unwrap().is_ok();
        let eligible = inbox.iter().filter(|item| of(&item.record.approval)).count();
        println!(
            "{} open, all given long ago: {settled}: inbox {together:?}, each by itself {:?}",
            inbox.len(),
            begun.elapsed()
        );
        assert_eq!(eligible, inbox.iter().filter(|item| item.eligible.is_ok()).count());
        world.wait(25 * HOUR);
    }
}
