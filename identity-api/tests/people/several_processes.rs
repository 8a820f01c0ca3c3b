//! Rules over several streams where several processes append to one ledger.

use std::future::Future;
use std::time::Duration;

use serde_json::json;

use crate::common::*;

/// Two processes of one installation on PostgreSQL, the first with two owners; `None` where there is no PostgreSQL.
async fn two_processes() -> Option<(World, World)> {
    let url = postgres_schema().await?;
    let process = || world_with(Options { postgres: Some(url.clone()), ..Options::default() });
    let (one, other) = (process().await, process().await);
    Some((one, other))
}

/// Carries both out while the lock is held elsewhere, gives it up once both wait, and answers what became of them.
async fn both_at_once<A, B>(world: &World, what: &'static str, one: A, other: B) -> (Answer, Answer)
where
    A: Future<Output = Answer>,
    B: Future<Output = Answer>,
{
    let lock = world.state.vault.exclusive(&"main".parse().unwrap(), what).await.unwrap();
    let both = futures::future::join(one, other);
    tokio::pin!(both);
    let waited = tokio::time::timeout(Duration::from_millis(700), &mut both).await;
    assert!(waited.is_err(), "neither decides while somebody else does: {waited:?}");
    drop(lock);
    both.await
}

#[actix_web::test]
async fn of_two_owners_who_leave_by_two_processes_one_stays() {
    let Some((one, other)) = two_processes().await else { return };
    let olga = one.owner("main", "olga@example.com").await;
    let otto = one.member("main", "otto@example.com", "owner").await;
    let (by_olga, by_otto) = (one.token("main", "olga@example.com").await, one.token("main", "otto@example.com").await);
    let known = other.organization("main").ledger.head().await.unwrap().size;
    assert!(other.organization("main").directory.at_least(known, Duration::from_secs(5)).await);
    let (first, second) = (format!("/users/{otto}/deactivate"), format!("/users/{olga}/deactivate"));
    let (first, second) =
        both_at_once(&one, "owners", one.post(&first, &by_olga, json!({})), other.post(&second, &by_otto, json!({})))
            .await;
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{} {}", first.body, second.body);
    assert_eq!(one.events("main", "user.deactivated").await.len(), 1);
}

#[actix_web::test]
async fn hold_placed_by_one_process_stands_in_the_way_of_an_erasure_by_another() {
    let Some((one, other)) = two_processes().await else { return };
    one.owner("main", "olga@example.com").await;
    let ann = one.member("main", "ann@example.com", "analyst").await;
    one.member("main", "cleo@example.com", "compliance").await;
    let (owner, officer) = (one.token("main", "olga@example.com").await, one.token("main", "cleo@example.com").await);
    let request = json!({"subject": ann, "reason": "Asked for it"});
    let id = one.post("/erasures", &owner, request).await.text("/id");
    let covers = json!([{"kind": "subject", "id": ann}]);
    let place = json!({"matter": "SEC 114", "reason": "Subpoena", "covers": covers});
    let approve = format!("/erasures/{id}/approve");
    let known = other.organization("main").ledger.head().await.unwrap().size;
    assert!(other.organization("main").directory.at_least(known, Duration::from_secs(5)).await);
    let (placed, approved) = both_at_once(
        &one,
        "custody",
        one.post("/legal-holds", &owner, place),
        // The hold is in line first.
        async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            other.post(&approve, &officer, json!({})).await
        },
    )
    .await;
    placed.ok(201);
    approved.problem(409, "erasure.held");
    assert_eq!(one.get(&format!("/users/{ann}"), &owner).await.ok(200)["full_name"], "ann");
}

#[actix_web::test]
async fn rule_set_by_one_process_stands_in_the_way_of_an_erasure_by_another() {
    let Some((one, other)) = two_processes().await else { return };
    one.owner("main", "olga@example.com").await;
    let ann = one.member("main", "ann@example.com", "admin").await;
    let cleo = one.member("main", "cleo@example.com", "compliance").await;
    let (owner, officer) = (one.token("main", "olga@example.com").await, one.token("main", "cleo@example.com").await);
    let acting = one.token("main", "ann@example.com").await;
    one.record("main", "transaction", "tx-1").await;
    let covers = json!([{"kind": "stream", "stream_type": "transaction", "stream_id": "tx-1"}]);
    one.post("/legal-holds", &acting, json!({"matter": "M", "reason": "r", "covers": covers})).await.ok(201);
    let request = json!({"subject": ann, "reason": "Asked for it"});
    let id = one.post("/erasures", &owner, request).await.text("/id");
    let rule = json!({"class": "six_years", "keeps_identities": true, "reason": "17a-4"});
    let waits = one.put("/retention/legal_hold", &owner, rule.clone()).await;
    super::retention::agree(&one, &cleo, &waits.text("/approval_request_id")).await;
    let known = other.organization("main").ledger.head().await.unwrap().size;
    assert!(other.organization("main").directory.at_least(known, Duration::from_secs(5)).await);
    let approve = format!("/erasures/{id}/approve");
    let (set, approved) = both_at_once(
        &one,
        "custody",
        one.put("/retention/legal_hold", &owner, rule),
        // The rule is in line first.
        async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            other.post(&approve, &officer, json!({})).await
        },
    )
    .await;
    set.ok(201);
    approved.problem(409, "erasure.retained");
    assert_eq!(one.get(&format!("/users/{ann}"), &owner).await.ok(200)["full_name"], "ann");
}
