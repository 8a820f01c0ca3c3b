//! Rules that say how long records are kept: each change needs its own approval, and none ever shortens.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
mod signing;
mod story;
mod workbench;

use serde_json::{Value, json};
use story::{Story, digest_of, terms};
use workbench::Bench;

#[track_caller]
fn assert_found(bench: &Bench, expected: &[(&str, usize)]) {
    let (code, approvals, found) = Story::approvals(bench);
    let expected: Vec<_> =
        expected.iter().map(|(kind, position)| ((*kind).to_owned(), Some(*position as u64))).collect();
    assert_eq!(found, expected, "{approvals:#}");
    let verdict = if expected.is_empty() { (0, "verified") } else { (1, "failed") };
    assert_eq!((code, approvals["verdict"].as_str().unwrap()), verdict, "{approvals:#}");
}

fn action(version: u64, class: &str, years: u32, keeps: bool) -> Value {
    json!({"action":"retention.change","resource_type":"retention_rule","resource_id":"transaction",
        "parameters":{"record_type":"transaction","follows_version":(version - 1).to_string(),"class":class,
        "years":years.to_string(),"keeps_identities":keeps.to_string()},"summary":"Keep transactions"})
}

fn rule(version: u64, class: &str, years: u32, keeps: bool, approval_id: &str) -> Value {
    json!({"record_type":"transaction","version":version,"class":class,"years":years,"keeps_identities":keeps,
        "by":"usr_ana","reason":"17a-4","approval_id":approval_id})
}

/// Has a change approved and used.
async fn agreed(story: &mut Story, approval_id: &str, version: u64, action: &Value) {
    let digest = digest_of(action);
    story.ask(approval_id, action, json!({"version":0,"rule":0,"terms":terms(&[1])})).await;
    story.vote(approval_id, "usr_ben", 1, &digest).await;
    story.approve(approval_id, &["usr_ben"], &digest, 0).await;
    story.consume(approval_id, &format!("transaction/{version}"), &digest, 0).await;
}

async fn set(story: &mut Story, rule: Value) -> usize {
    story.tell(("retention_rule", "transaction"), "retention_rule.set", rule).await
}

#[tokio::test]
async fn rule_that_was_agreed_to_is_verified_and_every_forgery_of_it_is_named() {
    let mut story = Story::new().await;
    agreed(&mut story, "apr_1", 1, &action(1, "six_years", 6, true)).await;
    let at = set(&mut story, rule(1, "six_years", 6, true, "apr_1")).await;
    assert_found(&story.bench, &[]);
    let (_, approvals, _) = Story::approvals(&story.bench);
    assert_eq!(approvals["gated_actions"], 1);
    for (from, to, expected) in [
        (r#""years":6"#, r#""years":8"#, "approval_digest_mismatch"),
        (r#""keeps_identities":true"#, r#""keeps_identities":false"#, "approval_digest_mismatch"),
        (r#""class":"six_years""#, r#""class":"five_years""#, "approval_digest_mismatch"),
        ("apr_1", "apr_9", "action_without_approval"),
        (r#""record_type":"transaction""#, r#""record_type":"incident""#, "approval_unreadable"),
        (r#""approval_id":"apr_1","#, "", "approval_unreadable"),
    ] {
        assert_found(&story.changed(at, from, to), &[(expected, at)]);
    }
    let both = story.changed(at, r#""version":1"#, r#""version":2"#);
    assert_found(&both, &[("approval_execution_mismatch", at), ("approval_digest_mismatch", at)]);
}

#[tokio::test]
async fn rule_that_nobody_agreed_to_is_found() {
    let mut story = Story::new().await;
    let without = set(&mut story, rule(1, "six_years", 6, false, "apr_1")).await;
    assert_found(&story.bench, &[("action_without_approval", without)]);

    // One that was approved and not used, and one that was used for the rule before.
    let mut story = Story::new().await;
    let change = action(1, "six_years", 6, false);
    let digest = digest_of(&change);
    story.ask("apr_1", &change, json!({"version":0,"rule":0,"terms":terms(&[1])})).await;
    story.vote("apr_1", "usr_ben", 1, &digest).await;
    story.approve("apr_1", &["usr_ben"], &digest, 0).await;
    let unused = set(&mut story, rule(1, "six_years", 6, false, "apr_1")).await;
    assert_found(&story.bench, &[("action_without_approval", unused)]);

    let mut story = Story::new().await;
    agreed(&mut story, "apr_1", 1, &action(1, "six_years", 6, false)).await;
    set(&mut story, rule(1, "six_years", 6, false, "apr_1")).await;
    let again = set(&mut story, rule(2, "six_years", 7, false, "apr_1")).await;
    assert_found(&story.bench, &[("approval_reused", again)]);
}

#[tokio::test]
async fn shortening_is_found_however_well_it_was_agreed_to() {
    let mut story = Story::new().await;
    agreed(&mut story, "apr_1", 1, &action(1, "seven_years", 7, true)).await;
    set(&mut story, rule(1, "seven_years", 7, true, "apr_1")).await;
    agreed(&mut story, "apr_2", 2, &action(2, "three_years", 3, true)).await;
    let shorter = set(&mut story, rule(2, "three_years", 3, true, "apr_2")).await;
    agreed(&mut story, "apr_3", 3, &action(3, "seven_years", 8, false)).await;
    let forgetful = set(&mut story, rule(3, "seven_years", 8, false, "apr_3")).await;
    // What was promised first goes on being what counts.
    agreed(&mut story, "apr_4", 4, &action(4, "five_years", 5, true)).await;
    let shorter_again = set(&mut story, rule(4, "five_years", 5, true, "apr_4")).await;
    agreed(&mut story, "apr_5", 5, &action(5, "seven_years", 9, true)).await;
    set(&mut story, rule(5, "seven_years", 9, true, "apr_5")).await;
    assert_found(
        &story.bench,
        &[("retention_shortened", shorter), ("retention_shortened", forgetful), ("retention_shortened", shorter_again)],
    );

    let mut story = Story::new().await;
    agreed(&mut story, "apr_1", 1, &action(1, "seven_years", 6, false)).await;
    let below = set(&mut story, rule(1, "seven_years", 6, false, "apr_1")).await;
    assert_found(&story.bench, &[("retention_shortened", below)]);
}
