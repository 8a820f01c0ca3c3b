//! A request is made, submitted, revised, commented, assigned and withdrawn.

use super::*;
use crate::personal::PersonalText;
use crate::testing::sealed;
use crate::text::RemarkId;

fn submit(by: &str) -> ApprovalCommand {
    ApprovalCommand::Submit { by: actor(by), at: at(1) }
}

fn comment(id: &str) -> ApprovalCommand {
    ApprovalCommand::Comment {
        comment_id: RemarkId::parse("", id).unwrap(),
        by: actor("usr_c"),
        text: PersonalText::Sealed(sealed("usr_c")),
    }
}

fn assign(assignee: &str) -> ApprovalCommand {
    ApprovalCommand::Assign { assignee: actor(assignee), by: actor("usr_c"), at: at(2) }
}

#[test]
fn a_request_is_made_once_and_compared_by_what_it_asks() {
    let story = Story::new();
    assert_eq!(story.leads_to(request(one_vote(), false)), ["requested"]);
    assert_eq!(story.leads_to(request(one_vote(), true)), ["requested", "submitted"]);
    let story = Story::pending(one_vote()).after(revise("EUR", one_vote(), 5));
    // What was asked first counts; under which policy it is decided is not part of it.
    assert_eq!(story.leads_to(request(two_steps(), true)), [""; 0]);
    let ApprovalCommand::Request { approval_id, requester, policy, .. } = request(one_vote(), true) else { panic!() };
    let other = ApprovalCommand::Request {
        approval_id,
        action: Box::new(export("EUR")),
        requester: Requester { actor: actor("usr_b"), ..requester },
        reason: Some(reason("Other")),
        policy,
        submit: true,
        at: at(9),
    };
    story.refuses(other, ApprovalError::Exists { fields: vec!["action", "requester", "reason"] });
}

#[test]
fn a_draft_is_decided_once_its_requester_submits_it() {
    let draft = Story::new().after(request(one_vote(), false));
    draft.refuses(approve(admin("usr_a")), ApprovalError::NotSubmitted);
    draft.refuses(withdraw_vote("usr_a"), ApprovalError::NotSubmitted);
    draft.refuses(submit("usr_a"), ApprovalError::NotYours);
    assert_eq!(draft.approval.due(), Some(at(1_000)));
    let story = draft.after(submit("usr_asks"));
    assert_eq!((story.status(), story.approval.decide_by()), (ApprovalStatus::Pending, Some(at(1_001))));
    assert_eq!(story.leads_to(submit("usr_asks")), [""; 0]);
    for (status, story) in in_every_status() {
        if !matches!(status, ApprovalStatus::Draft | ApprovalStatus::Pending) {
            story.refuses(submit("usr_asks"), ApprovalError::AlreadyDecided { status });
        }
    }
}

#[test]
fn a_policy_that_asks_nobody_approves_at_submission() {
    let nobody = terms(vec![]);
    assert_eq!(Story::new().leads_to(request(nobody.clone(), true)), ["requested", "submitted", "approved"]);
    let draft = Story::new().after(request(nobody.clone(), false));
    assert_eq!(draft.leads_to(submit("usr_asks")), ["submitted", "approved"]);
    assert_eq!(Story::pending(one_vote()).leads_to(revise("EUR", nobody, 5)), ["revised", "approved"]);
    let story = Story::pending(one_vote()).after(revise("EUR", terms(vec![]), 5)).after(consume("EUR", 6));
    assert_eq!(story.status(), ApprovalStatus::Consumed);
}

#[test]
fn any_edit_raises_the_revision_and_voids_every_vote() {
    let voted = Story::pending(two_steps()).after(approve(voter("usr_c", &["compliance"])));
    let approved = Story::pending(one_vote()).after(approve(admin("usr_a")));
    for story in [voted, approved] {
        let story = story.after(revise("EUR", two_steps(), 20));
        assert_eq!((story.approval.revision(), story.status()), (2, ApprovalStatus::Pending));
        assert!(story.approval.votes().is_empty());
        assert_eq!(story.approval.grant_expires_at(), None);
        assert_eq!(story.approval.decide_by(), Some(at(1_020)));
        assert_eq!(story.approval.digest(), Some(&export("EUR").digest()));
        assert_eq!(story.approval.current_step(), Some(1));
    }
}

#[test]
fn an_edit_to_the_same_changes_nothing_and_any_other_voids_the_votes() {
    let story = Story::pending(two_steps()).after(approve(voter("usr_c", &["compliance"])));
    assert_eq!(story.leads_to(revise("USD", two_steps(), 20)), [""; 0]);
    let because = revise_because("Once more", "USD", two_steps(), 20);
    assert!(story.clone().after(because.clone()).approval.votes().is_empty());
    assert_eq!(story.clone().after(because.clone()).leads_to(because), [""; 0]);
    assert_eq!(story.leads_to(revise("USD", one_vote(), 20)), ["revised"]);
    let ApprovalCommand::Revise { by, policy, at, .. } = revise("USD", two_steps(), 20) else { panic!() };
    let action = Box::new(Action { summary: line("In other words"), ..export("USD") });
    assert_eq!(story.leads_to(ApprovalCommand::Revise { action, by, reason: None, policy, at }), ["revised"]);
}

#[test]
fn a_request_depends_on_few_permissions() {
    let needed = RequiredPermission {
        name: crate::names::PermissionName::parse("", "transaction:read").unwrap(),
        department: Some(crate::names::DepartmentId::parse("", "dep_rates").unwrap()),
    };
    let with = |count| {
        let ApprovalCommand::Request { approval_id, action, requester, reason, policy, submit, at } =
            request(one_vote(), true)
        else {
            panic!()
        };
        let requester = Requester { required_permissions: vec![needed.clone(); count], ..requester };
        ApprovalCommand::Request { approval_id, action, requester, reason, policy, submit, at }
    };
    let most = Story::new().after(with(MAX_REQUIRED_PERMISSIONS));
    assert_eq!(most.approval.requester().unwrap().required_permissions.len(), MAX_REQUIRED_PERMISSIONS);
    Story::new().refuses(with(MAX_REQUIRED_PERMISSIONS + 1), ApprovalError::TooManyPermissions);
}

#[test]
fn a_draft_stays_one_when_it_is_revised() {
    let story = Story::new().after(request(one_vote(), false)).after(revise("EUR", one_vote(), 5));
    assert_eq!((story.status(), story.approval.revision()), (ApprovalStatus::Draft, 2));
    assert_eq!(story.approval.decide_by(), None);
}

#[test]
fn only_the_requester_revises_and_only_what_can_still_be_done() {
    let ApprovalCommand::Revise { action, policy, .. } = revise("EUR", one_vote(), 5) else { panic!() };
    let by_other = ApprovalCommand::Revise { action, by: actor("usr_a"), reason: None, policy, at: at(5) };
    Story::pending(one_vote()).refuses(by_other, ApprovalError::NotYours);
    for (status, story) in in_every_status() {
        match status {
            ApprovalStatus::Draft | ApprovalStatus::Pending | ApprovalStatus::Approved => {
                assert_eq!(story.leads_to(revise("EUR", one_vote(), 30)), ["revised"]);
            }
            ApprovalStatus::Expired => story.refuses(revise("EUR", one_vote(), 30), ApprovalError::Expired),
            status => story.refuses(revise("EUR", one_vote(), 30), ApprovalError::AlreadyDecided { status }),
        }
    }
    Story::pending(one_vote()).refuses(revise("EUR", one_vote(), 1_000), ApprovalError::Expired);
    let approved = Story::pending(one_vote()).after(approve(admin("usr_a")));
    approved.refuses(revise("EUR", one_vote(), 510), ApprovalError::GrantExpired);
}

#[test]
fn revisions_are_bounded() {
    let mut story = Story::new().after(request(one_vote(), false));
    story.approval.standing.as_mut().unwrap().revision = MAX_REVISIONS;
    story.refuses(revise("EUR", one_vote(), 5), ApprovalError::TooManyRevisions);
}

#[test]
fn the_requester_withdraws_what_can_still_be_done() {
    let by_other = ApprovalCommand::Withdraw { by: actor("usr_a"), reason: None, at: at(5) };
    for (status, story) in in_every_status() {
        story.refuses(by_other.clone(), ApprovalError::NotYours);
        match status {
            ApprovalStatus::Draft | ApprovalStatus::Pending | ApprovalStatus::Approved => {
                assert_eq!(story.clone().after(withdraw(30)).status(), ApprovalStatus::Withdrawn);
            }
            ApprovalStatus::Withdrawn => assert_eq!(story.leads_to(withdraw(30)), [""; 0]),
            ApprovalStatus::Expired => story.refuses(withdraw(30), ApprovalError::Expired),
            status => story.refuses(withdraw(30), ApprovalError::AlreadyDecided { status }),
        }
    }
}

#[test]
fn comments_have_an_id_and_a_bound_and_are_taken_at_any_time() {
    for (_, story) in in_every_status() {
        assert_eq!(story.leads_to(comment("cmt_1")), ["commented"]);
        let id = RemarkId::parse("", "cmt_1").unwrap();
        story.after(comment("cmt_1")).refuses(comment("cmt_1"), ApprovalError::CommentExists { comment_id: id });
    }
    let mut story = Story::pending(one_vote());
    let ids = (0..MAX_COMMENTS).map(|number| RemarkId::parse("", format!("c{number}")).unwrap());
    story.approval.standing.as_mut().unwrap().comment_ids = ids.collect();
    story.refuses(comment("one_more"), ApprovalError::TooManyComments);
}

#[test]
fn whoever_is_assigned_gets_no_right_by_it() {
    let story = Story::pending(one_vote()).after(assign("usr_v"));
    assert_eq!(story.approval.assignee(), Some(&actor("usr_v")));
    assert_eq!(story.leads_to(assign("usr_v")), [""; 0]);
    story.refuses(approve(voter("usr_v", &["viewer"])), ApprovalError::NotEligible);
    let story = Story::pending(one_vote()).after(reject(admin("usr_a")));
    story.refuses(assign("usr_v"), ApprovalError::AlreadyDecided { status: ApprovalStatus::Rejected });
}
