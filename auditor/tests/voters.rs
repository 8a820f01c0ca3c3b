//! Forged ledgers in which the wrong people vote, or the wrong rule of a policy is taken: each is named at its entry.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
mod signing;
mod story;
mod workbench;

use serde_json::{Value as Json, json};
use story::{Story, digest_of, terms, time};

/// The findings must be these, and the report must fail for them.
fn assert_found(story: &Story, expected: &[(&str, usize)]) {
    let (code, approvals, found) = Story::approvals(&story.bench);
    let expected: Vec<_> =
        expected.iter().map(|(kind, position)| ((*kind).to_owned(), Some(*position as u64))).collect();
    assert_eq!(found, expected, "{approvals:#}");
    assert_eq!(code, i32::from(!expected.is_empty()), "{approvals:#}");
}

/// An export by usr_ana is asked for, of these people; its digest.
async fn asked_of(story: &mut Story, from: Json) -> String {
    let action = story.ask_for_export("exp_1", "apr_1").await;
    let mut terms = terms(&[1]);
    terms["steps"][0]["clauses"][0]["from"] = from.clone();
    terms["break_glass"]["who"] = from;
    story.ask("apr_1", &action, json!({"version":0,"rule":0,"terms":terms})).await;
    digest_of(&action)
}

async fn same_person(story: &mut Story, account: &str, person: &str) {
    let declared = json!({"person":person,"by":"usr_root","reason":"They said so"});
    story.tell(("user", account), "user.same_person_declared", declared).await;
}

async fn delegates(story: &mut Story, id: &str, from: &str, to: &str) {
    let given = json!({"delegation_id":id,"from":from,"to":to,"starts_at":time(story.now),
        "ends_at":time(story.now + 86_400_000_000),"by":from});
    story.tell(("delegation", id), "delegation.given", given).await;
    let accepted = json!({"by":to,"at":time(story.now)});
    story.tell(("delegation", id), "delegation.accepted", accepted).await;
}

/// Changes what a vote says of itself.
async fn votes(story: &mut Story, digest: &str, who: &str, said: Json) -> usize {
    let mut vote = story.vote_of(who, 1, digest);
    for (name, value) in said.as_object().unwrap() {
        vote["vote"][name] = value.clone();
    }
    story.tell(("approval", "apr_1"), "approval.voted", vote).await
}

#[tokio::test]
async fn who_is_named_votes_with_that_very_account() {
    let mut story = Story::new().await;
    same_person(&mut story, "usr_ben2", "usr_ben").await;
    let digest = asked_of(&mut story, json!([{"person":"usr_ben"}])).await;
    let other = votes(&mut story, &digest, "usr_ben", json!({"actor":"usr_ben2"})).await;
    assert_found(&story, &[("approval_vote_invalid", other)]);
    votes(&mut story, &digest, "usr_ben", json!({})).await;
    story.approve("apr_1", &["usr_ben"], &digest, 0).await;
    assert_found(&story, &[("approval_vote_invalid", other)]);

    // In the place of who is named, by a delegation that another account of that person gave.
    let mut story = Story::new().await;
    same_person(&mut story, "usr_ben2", "usr_ben").await;
    delegates(&mut story, "dlg_1", "usr_ben2", "usr_cy").await;
    delegates(&mut story, "dlg_2", "usr_ben", "usr_dee").await;
    let digest = asked_of(&mut story, json!([{"person":"usr_ben"}])).await;
    let by = |id: &str| json!({"on_behalf_of":"usr_ben","delegation_id":id});
    let other = votes(&mut story, &digest, "usr_cy", by("dlg_1")).await;
    votes(&mut story, &digest, "usr_dee", by("dlg_2")).await;
    assert_found(&story, &[("approval_vote_invalid", other)]);

    // And breaks the glass with it.
    for (actor, is_fault) in [("usr_ben", false), ("usr_ben2", true)] {
        let mut story = Story::new().await;
        same_person(&mut story, "usr_ben2", "usr_ben").await;
        asked_of(&mut story, json!([{"person":"usr_ben"}])).await;
        let broken = json!({"actor":actor,"person":"usr_ben","reason":"The regulator waits","at":story.at(),
            "grant_expires_at":time(story.now + 3_600_000_000),"review_by":time(story.now + 7_200_000_000)});
        let broken = story.tell(("approval", "apr_1"), "approval.glass_broken", broken).await;
        let fault = [("approval_not_granted", broken)];
        assert_found(&story, if is_fault { &fault } else { &[] });
    }
}

#[tokio::test]
async fn who_stands_in_for_the_requester_hands_on_no_vote() {
    let mut story = Story::new().await;
    delegates(&mut story, "dlg_1", "usr_ana", "usr_ben").await;
    delegates(&mut story, "dlg_2", "usr_ben", "usr_cy").await;
    delegates(&mut story, "dlg_3", "usr_dee", "usr_eve").await;
    let digest = asked_of(&mut story, json!([{"role":"compliance"}])).await;
    let by = |from: &str, id: &str| json!({"on_behalf_of":from,"delegation_id":id});
    let barred = votes(&mut story, &digest, "usr_cy", by("usr_ben", "dlg_2")).await;
    assert_found(&story, &[("approval_delegate_vote", barred)]);
    votes(&mut story, &digest, "usr_eve", by("usr_dee", "dlg_3")).await;
    story.approve("apr_1", &["usr_eve"], &digest, 0).await;
    assert_found(&story, &[("approval_delegate_vote", barred)]);
}

#[tokio::test]
async fn vote_that_is_owed_to_the_requester_is_the_requesters() {
    let mut story = Story::new().await;
    let digest = asked_of(&mut story, json!([{"role":"compliance"}])).await;
    let own = votes(&mut story, &digest, "usr_ben", json!({"owed_to":["usr_root","usr_ana"]})).await;
    let self_made = votes(&mut story, &digest, "usr_cy", json!({"owed_to":["usr_cy"]})).await;
    assert_found(&story, &[("approval_self_vote", own), ("approval_self_vote", self_made)]);

    // It turns out before it is used.
    let mut story = Story::new().await;
    let digest = asked_of(&mut story, json!([{"role":"compliance"}])).await;
    votes(&mut story, &digest, "usr_ben", json!({"owed_to":["usr_ana2"]})).await;
    story.approve("apr_1", &["usr_ben"], &digest, 0).await;
    assert_found(&story, &[]);
    same_person(&mut story, "usr_ana2", "usr_ana").await;
    let used = story.consume("apr_1", "exp_1", &digest, 0).await;
    assert_found(&story, &[("approval_self_vote", used)]);
}

#[tokio::test]
async fn terms_are_those_of_the_first_rule_that_fits_the_amount_and_the_label() {
    let mut story = Story::new().await;
    let limit = |amount: &str| json!({"amount":amount,"currency":"USD"});
    let rules = json!([
        {"label":"production","terms":terms(&[3])},
        {"amount_at_least":limit("10000"),"terms":terms(&[2])},
        {"amount_below":limit("10000.00"),"terms":terms(&[1])},
        {"terms":terms(&[4])}
    ]);
    let change = json!({"action":"approval_policy.change","resource_type":"approval_policy_change",
        "resource_id":"external.wire","parameters":{"action":"external.wire","follows_version":"0",
        "rules":rules.to_string()},"summary":"Change"});
    let digest = digest_of(&change);
    story.ask("apr_1", &change, json!({"version":0,"rule":0,"terms":terms(&[1])})).await;
    story.vote("apr_1", "usr_ben", 1, &digest).await;
    story.approve("apr_1", &["usr_ben"], &digest, 0).await;
    story.consume("apr_1", "external.wire/1", &digest, 0).await;
    let defined = json!({"action":"external.wire","version":1,"rules":rules,"by":"usr_ana","reason":"By amount",
        "approval_id":"apr_1"});
    story.tell(("approval_policy", "external.wire"), "approval_policy.defined", defined).await;

    let mut expected = Vec::new();
    for (number, (amount, label, rule, votes, is_right)) in [
        (Some(("9999.99999999", "USD")), None, 2, 1, true),
        (Some(("-10000.00", "USD")), None, 1, 2, true),
        (Some(("9999", "USD")), Some("production"), 0, 3, true),
        // A weaker rule than the first that fits.
        (Some(("10000", "USD")), None, 2, 1, false),
        (Some(("9999", "USD")), Some("production"), 2, 1, false),
        (Some(("9999", "USD")), None, 3, 4, false),
        // The right rule, and not its terms.
        (Some(("10000", "USD")), None, 1, 1, false),
        // None could be told from the others.
        (None, None, 3, 4, false),
        (Some(("10000", "EUR")), None, 3, 4, false),
    ]
    .into_iter()
    .enumerate()
    {
        let mut action = json!({"action":"external.wire","resource_type":"wire","resource_id":format!("W-{number}"),
            "summary":"Wire"});
        if let Some((amount, currency)) = amount {
            action["amount"] = json!({"amount":amount,"currency":currency});
        }
        if let Some(label) = label {
            action["label"] = json!(label);
        }
        let policy = json!({"version":1,"rule":rule,"terms":terms(&[votes])});
        let asked = story.ask(&format!("apr_{}", number + 2), &action, policy).await;
        if !is_right {
            expected.push(("approval_policy_mismatch", asked));
        }
    }
    assert_found(&story, &expected);
}
