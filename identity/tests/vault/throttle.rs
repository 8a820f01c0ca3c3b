//! Counting failures.

use daybook_identity::vault::ThrottlePolicy;

use crate::support::*;

const POLICY: ThrottlePolicy =
    ThrottlePolicy { failures: 3, window: MINUTE, first_lock: 10 * SECOND, longest_lock: 60 * MINUTE };

async fn failures_lock_one_key_for_all_processes(world: World) {
    let (vault, main) = (&world.vault, main_ledger());
    let another = world.another().await;
    let key = vault.throttle_key("login.account", &main, "ada@example.org");
    let other_key = vault.throttle_key("login.address", &main, "ada@example.org");
    assert_ne!(key, other_key);
    assert_eq!(vault.failure(&key, MORNING, &POLICY).await.unwrap(), None);
    assert_eq!(another.failure(&key, MORNING, &POLICY).await.unwrap(), None);
    let until = MORNING + 10 * SECOND;
    assert_eq!(vault.failure(&key, MORNING, &POLICY).await.unwrap(), Some(until));
    assert_eq!(another.locked_until(&key, MORNING).await.unwrap(), Some(until));
    assert_eq!(another.locked_until(&key, until).await.unwrap(), None);
    assert_eq!(vault.locked_until(&other_key, MORNING).await.unwrap(), None);
    assert_has_none(&world.place.bytes().await, &["ada@example.org", "login.account"]);

    vault.failure(&key, until, &POLICY).await.unwrap();
    vault.failure(&key, until, &POLICY).await.unwrap();
    let second = vault.failure(&key, until, &POLICY).await.unwrap();
    assert_eq!(second, Some(until + 20 * SECOND), "twice as long");
    another.success(&key).await.unwrap();
    assert_eq!(vault.locked_until(&key, until).await.unwrap(), None);
    another.success(&key).await.unwrap();
}

async fn no_failure_of_a_crowd_is_lost(world: World) {
    let policy = ThrottlePolicy { failures: u32::try_from(CROWD).unwrap(), ..POLICY };
    let key = world.vault.throttle_key("login.address", &main_ledger(), "192.0.2.7");
    let answers = crowd(&world, |vault| async move { vault.failure(&key, MORNING, &policy).await.unwrap() }).await;
    assert_eq!(answers.iter().flatten().count(), 1, "the last one locks, and none before it");
}

async fn counters_of_long_ago_are_purged(world: World) {
    let key = world.vault.throttle_key("login.address", &main_ledger(), "192.0.2.7");
    world.vault.failure(&key, MORNING, &POLICY).await.unwrap();
    assert_eq!(world.vault.purge(MORNING + DAY, 9).await.unwrap().throttles, 0);
    assert_eq!(world.vault.purge(MORNING + 2 * DAY, 9).await.unwrap().throttles, 1);
}

both_stores! {
    failures_lock_one_key_for_all_processes
    no_failure_of_a_crowd_is_lost
    counters_of_long_ago_are_purged
}
