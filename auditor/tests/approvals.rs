//! Nothing that needs an approval happened without one: told from the entries alone, and each fault has its name and place.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;
mod signing;
mod story;
mod workbench;

use cqrs_es::Aggregate as _;
use daybook_domain::approval::{Action, Approval, ApprovalCommand, Decision, Requester, Voter};
use daybook_domain::approval_policy::{built_in, in_force};
use daybook_domain::text::{ActorId, Line, Reason};
use daybook_domain::{ApprovalId, RoleName, Timestamp};
use serde_json::json;
use story::{Story, approved_export, digest_of, terms, time};
use workbench::Bench;

/// The findings must be these, and the report must fail for them.
fn assert_found(bench: &Bench, expected: &[(&str, usize)]) {
    let (code, approvals, found) = Story::approvals(bench);
    let expected: Vec<_> =
        expected.iter().map(|(kind, position)| ((*kind).to_owned(), Some(*position as u64))).collect();
    assert_eq!(found, expected, "{approvals:#}");
    let verdict = if expected.is_empty() { (0, "verified") } else { (1, "failed") };
    assert_eq!((code, approvals["verdict"].as_str().unwrap()), verdict, "{approvals:#}");
}

#[tokio::test]
async fn export_with_its_approval_is_verified_and_its_signed_vote_counted() {
    let mut story = Story::new().await;
    approved_export(&mut story, "exp_1", "apr_1").await;
    assert_found(&story.bench, &[]);
    let (_, approvals, _) = Story::approvals(&story.bench);
    for (figure, count) in [
        ("requests", 1),
        ("granted", 1),
        ("consumed", 1),
        ("gated_actions", 1),
        ("votes", 1),
        ("signed_votes", 1),
        ("verified_signatures", 1),
        ("observations_total", 0),
    ] {
        assert_eq!(approvals[figure], count, "{figure}");
    }
    let (_, text) = story.bench.run(&["verify", story.bench.path(), "--memory", "/nowhere"]);
    assert!(text.as_str().unwrap().contains("  approvals     verified: "), "{text}");
}

#[tokio::test]
async fn every_change_of_an_entry_about_an_approval_is_named_where_it_was_made() {
    let mut story = Story::new().await;
    let life = approved_export(&mut story, "exp_1", "apr_1").await;
    let other = life.digest.replace(|digit: char| digit == life.digest.chars().next().unwrap(), "f");
    let other = if other == life.digest { "0".repeat(64) } else { other };
    let digest = life.digest.as_str();
    let unheard = ("approval_votes_missing", life.approved);
    for (position, from, to, expected) in [
        // What is asked for.
        (
            life.requested,
            r#""USD""#,
            r#""EUR""#,
            vec![("approval_digest_mismatch", life.requested), ("approval_digest_mismatch", life.effect)],
        ),
        (
            life.requested,
            r#""clauses":[{"from":[{"role":"compliance"}],"votes":1}]"#,
            r#""clauses":[]"#,
            vec![("approval_policy_mismatch", life.requested), ("approval_vote_invalid", life.voted), unheard],
        ),
        (life.requested, r#""votes":1"#, r#""votes":2"#, vec![unheard]),
        (
            life.requested,
            r#""version":0"#,
            r#""version":1"#,
            vec![
                ("approval_policy_mismatch", life.requested),
                ("approval_policy_mismatch", life.approved),
                ("approval_policy_mismatch", life.consumed),
                ("approval_policy_mismatch", life.effect),
            ],
        ),
        // Votes.
        (life.voted, "usr_ben", "usr_ana", vec![("approval_self_vote", life.voted), unheard, unheard]),
        (
            life.voted,
            r#""actor":"usr_ben""#,
            r#""actor":"key_1""#,
            vec![("approval_self_vote", life.voted), unheard, unheard],
        ),
        (
            life.voted,
            r#""actor":"usr_ben""#,
            r#""actor":"usr_cy""#,
            vec![("approval_vote_invalid", life.voted), unheard, unheard],
        ),
        (
            life.voted,
            r#""decision":"approve""#,
            r#""decision":"reject""#,
            vec![("vote_signature_invalid", life.voted), unheard],
        ),
        (
            life.voted,
            digest,
            &other,
            vec![("vote_signature_invalid", life.voted), ("approval_vote_invalid", life.voted), unheard, unheard],
        ),
        (life.voted, r#""step":1"#, r#""step":2"#, vec![("approval_vote_invalid", life.voted), unheard, unheard]),
        (
            life.voted,
            r#""clauses":[1]"#,
            r#""clauses":[2]"#,
            vec![("approval_vote_invalid", life.voted), unheard, unheard],
        ),
        (life.voted, r#""signature":"ME"#, r#""signature":"AA"#, vec![("vote_signature_invalid", life.voted)]),
        (life.voted, r#""vote":{"#, r#""ballot":{"#, vec![("approval_unreadable", life.voted), unheard, unheard]),
        // The grant.
        (life.approved, "usr_ben", "usr_cy", vec![unheard]),
        (life.approved, digest, &other, vec![("approval_digest_mismatch", life.approved)]),
        (
            life.approved,
            r#""policy_version":0"#,
            r#""policy_version":3"#,
            vec![("approval_policy_mismatch", life.approved)],
        ),
        (
            life.approved,
            r#""grant_expires_at":"2024"#,
            r#""grant_expires_at":"2025"#,
            vec![("approval_policy_mismatch", life.approved)],
        ),
        // Its use.
        (
            life.consumed,
            digest,
            &other,
            vec![("approval_digest_mismatch", life.consumed), ("approval_digest_mismatch", life.effect)],
        ),
        (life.consumed, r#""at":"2024"#, r#""at":"2025"#, vec![("approval_expired", life.consumed)]),
        (life.consumed, r#""at":"2024"#, r#""at":"2023"#, vec![("approval_expired", life.consumed)]),
        (
            life.consumed,
            r#""policy_version":0"#,
            r#""policy_version":3"#,
            vec![("approval_policy_mismatch", life.consumed)],
        ),
        (life.consumed, "exp_1", "exp_2", vec![("approval_execution_mismatch", life.effect)]),
        // What was done.
        (
            life.effect,
            r#""execution_id":"exp_1""#,
            r#""execution_id":"exp_2""#,
            vec![("approval_execution_mismatch", life.effect), ("approval_execution_mismatch", life.effect)],
        ),
        (
            life.effect,
            r#""approval_id":"apr_1""#,
            r#""approval_id":"apr_9""#,
            vec![("approval_execution_mismatch", life.effect), ("action_without_approval", life.effect)],
        ),
    ] {
        println!("position {position}: {from} to {to}");
        let bench = story.changed(position, from, to);
        let (_, approvals, found) = Story::approvals(&bench);
        let expected: Vec<_> =
            expected.iter().map(|(kind, position)| ((*kind).to_owned(), Some(*position as u64))).collect();
        assert_eq!(found, expected, "{from} to {to}: {approvals:#}");
    }
}

#[tokio::test]
async fn what_is_used_twice_or_not_at_all_is_named() {
    let mut story = Story::new().await;
    let life = approved_export(&mut story, "exp_1", "apr_1").await;
    let again = story.consume("apr_1", "exp_2", &life.digest, 0).await;
    assert_found(&story.bench, &[("approval_consumed_twice", again)]);

    let mut story = Story::new().await;
    approved_export(&mut story, "exp_1", "apr_1").await;
    story.ask_for_export("exp_2", "apr_1").await;
    let reused = story.let_through("exp_2", "apr_1", &[], 0).await;
    assert_found(&story.bench, &[("approval_reused", reused)]);

    let mut story = Story::new().await;
    let action = story.ask_for_export("exp_1", "apr_1").await;
    story.ask("apr_1", &action, json!({"version":0,"rule":0,"terms":terms(&[1])})).await;
    let unused = story.let_through("exp_1", "apr_1", &[], 0).await;
    assert_found(&story.bench, &[("action_without_approval", unused)]);

    let mut story = Story::new().await;
    let action = story.ask_for_export("exp_1", "apr_1").await;
    story.ask("apr_1", &action, json!({"version":0,"rule":0,"terms":terms(&[1])})).await;
    let undecided = story.consume("apr_1", "exp_1", &digest_of(&action), 0).await;
    story.let_through("exp_1", "apr_1", &[], 0).await;
    let started = json!({"attempt":1,"fence":1,"at":story.at()});
    story.tell(("export", "exp_1"), "export.generation_started", started.clone()).await;
    let unasked = story.tell(("export", "exp_9"), "export.generation_started", started).await;
    assert_found(&story.bench, &[("approval_not_granted", undecided), ("action_without_approval", unasked)]);

    let mut story = Story::new().await;
    let action = story.ask_for_export("exp_1", "apr_1").await;
    let digest = digest_of(&action);
    story.ask("apr_1", &action, json!({"version":0,"rule":0,"terms":terms(&[1])})).await;
    let rejected = json!({"revision":1,"rejected_by":"usr_ben","step":1,"at":story.at()});
    story.tell(("approval", "apr_1"), "approval.rejected", rejected).await;
    let late = story.vote("apr_1", "usr_cy", 1, &digest).await;
    let granted = story.approve("apr_1", &[], &digest, 0).await;
    assert_found(&story.bench, &[("approval_vote_invalid", late), ("approval_not_granted", granted)]);
}

#[tokio::test]
async fn nobody_counts_twice_under_another_account_or_through_another_person() {
    // Of two votes of two steps, both are of one person.
    let two = json!({"version":0,"rule":0,"terms":terms(&[1, 1])});
    let mut story = Story::new().await;
    let action = story.ask_for_export("exp_1", "apr_1").await;
    let digest = digest_of(&action);
    story.ask("apr_1", &action, two.clone()).await;
    story.vote("apr_1", "usr_ben", 1, &digest).await;
    let again = story.vote("apr_1", "usr_ben", 2, &digest).await;
    let granted = story.approve("apr_1", &["usr_ben"], &digest, 0).await;
    assert_found(&story.bench, &[("approval_vote_repeated", again), ("approval_votes_missing", granted)]);

    // The same under an account that was declared the same person's.
    let mut story = Story::new().await;
    let declared = json!({"person":"usr_ben","by":"usr_root","reason":"They said so"});
    story.tell(("user", "usr_ben2"), "user.same_person_declared", declared).await;
    let action = story.ask_for_export("exp_1", "apr_1").await;
    story.ask("apr_1", &action, two).await;
    story.vote("apr_1", "usr_ben", 1, &digest).await;
    let again = story.vote("apr_1", "usr_ben2", 2, &digest).await;
    assert_found(&story.bench, &[("approval_vote_repeated", again)]);

    // The requester under another account, and somebody who stands in for the requester.
    let mut story = Story::new().await;
    let declared = json!({"person":"usr_ana","by":"usr_root","reason":"They said so"});
    story.tell(("user", "usr_ana2"), "user.same_person_declared", declared).await;
    let away = |from: &str, to: &str, story: &Story| {
        json!({"delegation_id":"dlg_1","from":from,"to":to,"starts_at":time(story.now),
            "ends_at":time(story.now + 86_400_000_000),"by":from})
    };
    let given = away("usr_ana2", "usr_dee", &story);
    story.tell(("delegation", "dlg_1"), "delegation.given", given).await;
    let accepted = json!({"by":"usr_dee","at":time(story.now)});
    story.tell(("delegation", "dlg_1"), "delegation.accepted", accepted).await;
    let action = story.ask_for_export("exp_1", "apr_1").await;
    story.ask("apr_1", &action, json!({"version":0,"rule":0,"terms":terms(&[1])})).await;
    let own = story.vote("apr_1", "usr_ana2", 1, &digest).await;
    let delegate = story.vote("apr_1", "usr_dee", 1, &digest).await;
    // In the place of somebody who gave no delegation.
    let mut vote = story.vote_of("usr_cy", 1, &digest);
    vote["vote"]["on_behalf_of"] = json!("usr_ben");
    vote["vote"]["delegation_id"] = json!("dlg_1");
    let undelegated = story.tell(("approval", "apr_1"), "approval.voted", vote).await;
    assert_found(
        &story.bench,
        &[("approval_self_vote", own), ("approval_delegate_vote", delegate), ("approval_vote_invalid", undelegated)],
    );

    // A delegation that holds, used by the right person.
    let mut story = Story::new().await;
    let given = away("usr_ben", "usr_cy", &story);
    story.tell(("delegation", "dlg_1"), "delegation.given", given).await;
    let accepted = json!({"by":"usr_cy","at":time(story.now)});
    story.tell(("delegation", "dlg_1"), "delegation.accepted", accepted).await;
    let action = story.ask_for_export("exp_1", "apr_1").await;
    story.ask("apr_1", &action, json!({"version":0,"rule":0,"terms":terms(&[1])})).await;
    let mut vote = story.vote_of("usr_cy", 1, &digest);
    vote["vote"]["on_behalf_of"] = json!("usr_ben");
    vote["vote"]["delegation_id"] = json!("dlg_1");
    story.tell(("approval", "apr_1"), "approval.voted", vote).await;
    story.approve("apr_1", &["usr_cy"], &digest, 0).await;
    assert_found(&story.bench, &[]);

    // The same, accepted by nobody: it has no effect.
    let mut story = Story::new().await;
    let given = away("usr_ben", "usr_cy", &story);
    story.tell(("delegation", "dlg_1"), "delegation.given", given).await;
    let action = story.ask_for_export("exp_1", "apr_1").await;
    story.ask("apr_1", &action, json!({"version":0,"rule":0,"terms":terms(&[1])})).await;
    let mut vote = story.vote_of("usr_cy", 1, &digest);
    vote["vote"]["on_behalf_of"] = json!("usr_ben");
    vote["vote"]["delegation_id"] = json!("dlg_1");
    let unaccepted = story.tell(("approval", "apr_1"), "approval.voted", vote).await;
    assert_found(&story.bench, &[("approval_vote_invalid", unaccepted)]);
}

#[tokio::test]
async fn policy_is_changed_with_approval_and_holds_for_what_is_asked_afterwards() {
    let mut story = Story::new().await;
    let rules = json!([{"terms":terms(&[2])}]);
    let action = json!({"action":"approval_policy.change","resource_type":"approval_policy_change",
        "resource_id":"export.transactions","parameters":{"action":"export.transactions","follows_version":"0",
        "rules":rules.to_string()},"changes":[{"field":"rule 1, terms, steps 1","after":"2"}],"summary":"Change"});
    let digest = digest_of(&action);
    story.ask("apr_1", &action, json!({"version":0,"rule":0,"terms":terms(&[1])})).await;
    story.vote("apr_1", "usr_ben", 1, &digest).await;
    story.approve("apr_1", &["usr_ben"], &digest, 0).await;
    story.consume("apr_1", "export.transactions/1", &digest, 0).await;
    let defined = json!({"action":"export.transactions","version":1,"rules":rules,"by":"usr_ana","reason":"Two are safer",
        "approval_id":"apr_1"});
    let stream = ("approval_policy", "export.transactions");
    let defined = story.tell(stream, "approval_policy.defined", defined).await;
    assert_found(&story.bench, &[]);
    // Other rules than were agreed to.
    let lax = story.changed(defined, r#""votes":2"#, r#""votes":1"#);
    assert_found(&lax, &[("approval_digest_mismatch", defined)]);
    // A request under the rules of before, and one under terms of its own.
    let export = story.ask_for_export("exp_1", "apr_2").await;
    let old = story.ask("apr_2", &export, json!({"version":0,"rule":0,"terms":terms(&[1])})).await;
    let own = story.ask("apr_3", &export, json!({"version":1,"rule":0,"terms":terms(&[1])})).await;
    story.ask("apr_4", &export, json!({"version":1,"rule":0,"terms":terms(&[2])})).await;
    assert_found(&story.bench, &[("approval_policy_mismatch", old), ("approval_policy_mismatch", own)]);
}

#[tokio::test]
async fn broken_glass_is_observed_and_its_review_is_counted() {
    let mut story = Story::new().await;
    let action = story.ask_for_export("exp_1", "apr_1").await;
    let digest = digest_of(&action);
    story.ask("apr_1", &action, json!({"version":0,"rule":0,"terms":terms(&[1])})).await;
    let broken = json!({"actor":"usr_ana","person":"usr_ana","reason":"The regulator waits",
        "grant_expires_at":time(story.now + 3_600_000_000),"review_by":time(story.now + 7_200_000_000),"at":story.at()});
    let broken = story.tell(("approval", "apr_1"), "approval.glass_broken", broken).await;
    story.consume("apr_1", "exp_1", &digest, 0).await;
    story.let_through("exp_1", "apr_1", &[], 0).await;
    assert_found(&story.bench, &[]);
    let (_, approvals, _) = Story::approvals(&story.bench);
    assert_eq!(approvals["observations"][0]["position"], broken);
    assert!(approvals["observations"][0]["detail"].as_str().unwrap().ends_with("it was used, and the review is open"));
    let own = story.vote_of("usr_ana", 1, &digest);
    let own = story.tell(("approval", "apr_1"), "approval.reviewed", own).await;
    let closed = json!({"outcome":"accepted","at":story.at()});
    let closed = story.tell(("approval", "apr_1"), "approval.review_closed", closed).await;
    assert_found(&story.bench, &[("approval_self_vote", own), ("approval_votes_missing", closed)]);
    let longer = story.changed(broken, r#""grant_expires_at":"2024"#, r#""grant_expires_at":"2025"#);
    let (_, _, found) = Story::approvals(&longer);
    assert_eq!(found[0], ("approval_not_granted".to_owned(), Some(broken as u64)));
}

#[tokio::test]
async fn erasures_of_old_are_no_fault_and_those_that_name_an_approval_must_have_it() {
    let mut story = Story::new().await;
    let requested = |id: &str| json!({"erasure_id":id,"subject":"usr_eve","reason":"Asked to be forgotten","requested_by":"usr_ana"});
    let performed =
        json!({"subject":"usr_eve","approved_by":"usr_ben","key_destroyed_at":"2024-01-02T00:00:00.000000Z"});
    story.tell(("erasure", "era_1"), "erasure.requested", requested("era_1")).await;
    story.tell(("erasure", "era_1"), "erasure.approved", json!({"approved_by":"usr_ben"})).await;
    story.tell(("erasure", "era_1"), "erasure.performed", performed.clone()).await;
    assert_found(&story.bench, &[]);

    story.tell(("erasure", "era_2"), "erasure.requested", requested("era_2")).await;
    let action = json!({"action":"erasure.perform","resource_type":"erasure_perform","resource_id":"era_2",
        "parameters":{"erasure_id":"era_2","subject":"usr_eve"},"summary":"Erase"});
    let digest = digest_of(&action);
    story.ask("apr_1", &action, json!({"version":0,"rule":1,"terms":terms(&[1])})).await;
    story.vote("apr_1", "usr_ben", 1, &digest).await;
    story.approve("apr_1", &["usr_ben"], &digest, 0).await;
    story.consume("apr_1", "era_2", &digest, 0).await;
    let approved = json!({"approved_by":"usr_ben","approval_id":"apr_1"});
    let approved = story.tell(("erasure", "era_2"), "erasure.approved", approved).await;
    assert_found(&story.bench, &[]);
    let unknown = story.changed(approved, "apr_1", "apr_9");
    assert_found(&unknown, &[("action_without_approval", approved)]);

    // What ended after it was agreed to is not performed.
    let ended = json!({"rejected_by":"policy","reason":"The person became an owner"});
    story.tell(("erasure", "era_2"), "erasure.rejected", ended).await;
    assert_found(&story.bench, &[]);
    let after_all = story.tell(("erasure", "era_2"), "erasure.performed", performed.clone()).await;

    // Once there are approvals, one without is worth a look; one that nobody agreed to is a fault.
    story.tell(("erasure", "era_3"), "erasure.requested", requested("era_3")).await;
    let without = story.tell(("erasure", "era_3"), "erasure.approved", json!({"approved_by":"usr_ben"})).await;
    let unagreed = story.tell(("erasure", "era_4"), "erasure.performed", performed).await;
    assert_found(&story.bench, &[("action_without_approval", after_all), ("action_without_approval", unagreed)]);
    let (_, approvals, _) = Story::approvals(&story.bench);
    assert_eq!(approvals["observations"][0]["position"], without);
}

#[tokio::test]
async fn nothing_is_said_of_approvals_where_entries_are_not_intact() {
    let mut story = Story::new().await;
    let life = approved_export(&mut story, "exp_1", "apr_1").await;
    story.bench.execute(&format!("update ledger_entries set payload = '{{}}' where position = {}", life.voted));
    let (code, approvals, found) = Story::approvals(&story.bench);
    assert_eq!((code, approvals["verdict"].as_str(), found.len()), (1, Some("not_checked"), 0), "{approvals:#}");
}

#[tokio::test]
async fn what_the_rules_themselves_lead_to_is_verified() {
    let mut story = Story::new().await;
    let actor = |id: &str| ActorId::parse("", id).unwrap();
    let action = story.ask_for_export("exp_1", "apr_1").await;
    let action: Action = serde_json::from_value(action).unwrap();
    let requester = Requester { actor: actor("key_1"), person: actor("usr_ana"), required_permissions: Vec::new() };
    let (digest, rules) = (action.digest(), built_in(&action.action));
    let voter = |story: &Story, decision: Decision, id: &str| ApprovalCommand::Vote {
        voter: Voter {
            actor: actor(id),
            person: actor(id),
            accounts: vec![actor(id)],
            is_person: true,
            is_active: true,
            roles: vec![RoleName::parse("", "owner").unwrap()],
            departments: Vec::new(),
            stands_for: Vec::new(),
            is_delegate_of: Vec::new(),
            owed: Default::default(),
        },
        decision,
        reason: None,
        on_behalf_of: None,
        revision: None,
        signature: None,
        at: now(story),
    };
    let mut approval = Approval::default();
    for step in 0..6 {
        let at = now(&story);
        let command = match step {
            0 => ApprovalCommand::Request {
                approval_id: ApprovalId::parse("", "apr_1").unwrap(),
                action: Box::new(action.clone()),
                requester: requester.clone(),
                reason: None,
                policy: in_force(0, &rules, None, None).unwrap(),
                submit: true,
                at,
            },
            1 => voter(&story, Decision::Approve, "usr_ben"),
            2 => ApprovalCommand::Revise {
                action: Box::new(action.clone()),
                by: actor("usr_ana"),
                reason: Some(Reason::parse("", "Once more").unwrap()),
                policy: in_force(0, &rules, None, None).unwrap(),
                at,
            },
            3 => {
                // A day later it is escalated.
                story.now += 90_000_000_000;
                ApprovalCommand::Tick { at: now(&story) }
            }
            4 => voter(&story, Decision::Approve, "usr_cy"),
            _ => ApprovalCommand::Consume {
                digest: digest.clone(),
                policy_version: 0,
                requester_allowed: true,
                execution_id: Line::parse("", "exp_1").unwrap(),
                by: actor("system"),
                at,
            },
        };
        let events = approval.decide(command).unwrap();
        assert!(!events.is_empty(), "step {step}");
        for event in events {
            let json = serde_json::to_value(&event).unwrap();
            story.tell(("approval", "apr_1"), event.name(), json["payload"].clone()).await;
            approval.apply(event);
        }
    }
    story.let_through("exp_1", "apr_1", &["usr_cy"], 0).await;
    assert_found(&story.bench, &[]);
    let (_, approvals, _) = Story::approvals(&story.bench);
    assert_eq!((approvals["granted"].as_u64(), approvals["votes"].as_u64()), (Some(2), Some(2)), "{approvals:#}");
}

fn now(story: &Story) -> Timestamp {
    serde_json::from_value(json!(story.at())).unwrap()
}
