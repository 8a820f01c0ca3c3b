//! What the clock does, and what somebody does who does not wait for it.

use super::*;

fn escalate(to: Vec<Electorate>, repeat_from: Option<u32>) -> ApprovalCommand {
    let (by, reason) = (actor("usr_x"), reason("Nobody answers"));
    ApprovalCommand::Escalate { by, voter: None, to, repeat_from, reason, at: at(20) }
}

/// The same by a person.
fn escalate_as(voter: Voter, to: Vec<Electorate>, repeat_from: Option<u32>) -> ApprovalCommand {
    let (by, reason) = (voter.actor.clone(), reason("Nobody answers"));
    ApprovalCommand::Escalate { by, voter: Some(Box::new(voter)), to, repeat_from, reason, at: at(20) }
}

/// Administrators after 100 seconds, owners after 200 more.
fn chain() -> Terms {
    with_chain(two_steps(), &[(100, &["admin"], None), (200, &["owner"], Some(1))])
}

#[test]
fn nothing_happens_before_it_is_due() {
    let story = Story::pending(chain());
    assert_eq!(story.approval.due(), Some(at(100)));
    assert_eq!(story.leads_to(tick(99)), [""; 0]);
    assert_eq!(story.leads_to(tick(100)), ["escalated"]);
}

#[test]
fn every_link_of_the_chain_happens_once_and_in_order() {
    let story = Story::pending(chain()).after(tick(100));
    assert_eq!((story.approval.escalation_level(), story.approval.is_escalated()), (1, true));
    assert_eq!(story.leads_to(tick(100)), [""; 0]);
    assert_eq!(story.approval.due(), Some(at(300)));
    let story = story.after(tick(350));
    assert_eq!((story.approval.escalation_level(), story.approval.due()), (2, Some(at(1_000))));
    assert_eq!(story.after(tick(1_000)).approval.due(), None);
}

#[test]
fn a_late_tick_does_what_was_missed_in_the_order_in_which_it_was_due() {
    let story = Story::pending(chain());
    assert_eq!(story.leads_to(tick(400)), ["escalated", "escalated"]);
    assert_eq!(story.leads_to(tick(5_000)), ["escalated", "escalated", "expired"]);
    let punctual = story.clone().after(tick(100)).after(tick(300)).after(tick(1_000));
    assert_eq!(story.after(tick(5_000)).approval.escalation_level(), punctual.approval.escalation_level());
}

#[test]
fn a_link_that_would_be_due_after_the_deadline_never_is() {
    let story = Story::pending(with_chain(one_vote(), &[(1_000, &["owner"], None)]));
    assert_eq!(story.approval.due(), Some(at(1_000)));
    assert_eq!(story.leads_to(tick(1_000)), ["expired"]);
}

#[test]
fn whoever_is_called_by_the_chain_decides_from_then_on() {
    let story = Story::pending(chain());
    story.refuses(approve(admin("usr_a")), ApprovalError::NotYourTurn { current: 1 });
    let story = story.after(tick(100));
    assert_eq!(story.leads_to(vote_at(admin("usr_a"), Decision::Approve, 101)), ["voted"]);
    assert_eq!(story.leads_to(vote_at(admin("usr_a"), Decision::Reject, 101)), ["voted", "rejected"]);
    story.refuses(approve(voter("usr_o", &["owner"])), ApprovalError::NotEligible);
}

#[test]
fn an_escalation_may_have_steps_done_again() {
    let story = Story::pending(chain())
        .after(approve(voter("usr_c", &["compliance"])))
        .after(approve(admin("usr_a")))
        .after(tick(300));
    // The second link repeats from the first step.
    assert!(story.approval.votes().is_empty());
    assert_eq!(story.approval.current_step(), Some(1));
    assert_eq!(story.leads_to(vote_at(voter("usr_o", &["owner"]), Decision::Approve, 301)), ["voted"]);
}

#[test]
fn whoever_was_called_in_a_later_step_does_not_decide_in_an_earlier_one() {
    let terms = with_chain(two_steps(), &[(100, &["owner"], None)]);
    let story = Story::pending(terms).after(approve(voter("usr_c", &["compliance"]))).after(tick(100));
    let owner = voter("usr_o", &["owner"]);
    assert_eq!(story.approval.eligibility(&owner, at(101)).unwrap().step, 2);
    let back = story.after(ApprovalCommand::WithdrawVote { person: actor("usr_c"), at: at(110) });
    assert_eq!(back.approval.eligibility(&owner, at(111)), Err(ApprovalError::NotEligible));
}

#[test]
fn somebodys_own_escalation_calls_only_whom_the_chain_names() {
    let story = Story::pending(with_chain(one_vote(), &[(500, &["owner"], None)]));
    let friend = vec![Electorate::Person(actor("usr_friend")), Electorate::Role(role("viewer"))];
    let story = story.after(escalate_as(admin("usr_x"), friend, None));
    assert_eq!(story.approval.escalation_level(), 1);
    story.refuses(vote_at(voter("usr_friend", &["viewer"]), Decision::Approve, 30), ApprovalError::NotEligible);
    let story = story.after(escalate_as(admin("usr_x"), vec![Electorate::Person(actor("usr_o"))], None));
    story.refuses(vote_at(voter("usr_p", &["owner"]), Decision::Approve, 30), ApprovalError::NotEligible);
    let owner = voter("usr_o", &["owner"]);
    assert_eq!(story.leads_to(vote_at(owner, Decision::Approve, 30)), ["voted", "approved"]);
}

#[test]
fn without_a_chain_somebodys_escalation_gives_no_right_to_anybody() {
    let eligible = voter("usr_x", &["compliance"]);
    let story = Story::pending(two_steps()).after(escalate_as(eligible, from(&["admin", "owner"]), None));
    story.refuses(vote_at(admin("usr_a"), Decision::Approve, 30), ApprovalError::NotYourTurn { current: 1 });
    story.refuses(vote_at(voter("usr_o", &["owner"]), Decision::Approve, 30), ApprovalError::NotEligible);
}

#[test]
fn an_escalation_by_somebody_who_could_not_vote_is_a_call_for_attention_only() {
    let story = Story::pending(with_chain(two_steps(), &[(500, &["owner"], None)]));
    let story = story.after(approve(voter("usr_c", &["compliance"])));
    let requester = admin("usr_asks");
    let used = voter("usr_c", &["compliance", "admin"]);
    let inactive = Voter { is_active: false, ..admin("usr_x") };
    let program = Voter { is_person: false, ..admin("usr_x") };
    let owner = || voter("usr_o", &["owner"]);
    for caller in [requester, used, inactive, program, voter("usr_v", &["viewer"])] {
        let called = story.clone().after(escalate_as(caller, from(&["owner"]), Some(1)));
        assert_eq!((called.approval.escalation_level(), called.voters()), (1, vec!["usr_c"]));
        assert!(!called.approval.escalations()[0].widens);
        called.refuses(vote_at(owner(), Decision::Approve, 30), ApprovalError::NotEligible);
    }
    // Of somebody who could vote it is more than that.
    let widened = story.after(escalate_as(admin("usr_x"), from(&["owner"]), Some(1)));
    assert!(widened.voters().is_empty());
    assert_eq!(widened.leads_to(vote_at(owner(), Decision::Approve, 30)), ["voted"]);
}

#[test]
fn nobody_escalates_with_the_rights_of_another() {
    let story = Story::pending(with_chain(one_vote(), &[(500, &["owner"], None)]));
    let (by, voter) = (actor("usr_asks"), Some(Box::new(admin("usr_a"))));
    let (to, reason) = (from(&["owner"]), reason("Nobody answers"));
    let story = story.after(ApprovalCommand::Escalate { by, voter, to, repeat_from: None, reason, at: at(20) });
    assert!(!story.approval.escalations()[0].widens);
}

#[test]
fn an_escalated_requester_cannot_vote() {
    let story = Story::pending(chain()).after(tick(100));
    story.refuses(vote_at(admin("usr_asks"), Decision::Approve, 101), ApprovalError::SelfApproval);
}

#[test]
fn somebodys_escalation_does_not_move_the_chain() {
    let story = Story::pending(chain()).after(escalate(from(&["owner"]), Some(1)));
    assert_eq!(story.approval.due(), Some(at(100)));
    let story = story.after(tick(300));
    assert_eq!(story.approval.escalation_level(), 3);
    let automatic: Vec<bool> = story.approval.escalations().iter().map(|one| one.automatic).collect();
    assert_eq!(automatic, [false, true, true]);
}

#[test]
fn an_escalation_names_somebody_and_a_step_that_there_is() {
    let story = Story::pending(chain());
    story.refuses(escalate(vec![], None), ApprovalError::EscalationElectorate);
    story.refuses(escalate(from(&["admin"; 21]), None), ApprovalError::EscalationElectorate);
    for step in [0, 3] {
        story.refuses(escalate(from(&["admin"]), Some(step)), ApprovalError::NoSuchStep { steps: 2 });
    }
    for (status, story) in in_every_status() {
        let refusal = match status {
            ApprovalStatus::Pending => continue,
            ApprovalStatus::Draft => ApprovalError::NotSubmitted,
            ApprovalStatus::Expired => ApprovalError::Expired,
            status => ApprovalError::AlreadyDecided { status },
        };
        story.refuses(escalate(from(&["admin"]), None), refusal);
    }
}

#[test]
fn escalations_are_bounded_and_leave_room_for_the_chain() {
    let mut story = Story::pending(chain());
    for _ in 0..MAX_ESCALATIONS - 2 {
        story = story.after(escalate(from(&["owner"]), None));
    }
    story.refuses(escalate(from(&["owner"]), None), ApprovalError::TooManyEscalations);
    assert_eq!(story.leads_to(tick(300)), ["escalated", "escalated"]);
}

#[test]
fn a_revision_begins_the_chain_anew() {
    let story = Story::pending(chain()).after(tick(100)).after(revise("EUR", chain(), 150));
    assert_eq!((story.approval.escalation_level(), story.approval.due()), (0, Some(at(250))));
    story.refuses(vote_at(admin("usr_a"), Decision::Approve, 160), ApprovalError::NotYourTurn { current: 1 });
}

#[test]
fn a_decision_and_a_grant_expire_once() {
    let story = Story::pending(one_vote());
    assert_eq!((story.approval.due(), story.leads_to(tick(1_000))), (Some(at(1_000)), vec!["expired"]));
    assert_eq!(story.after(tick(1_000)).leads_to(tick(2_000)), [""; 0]);
    let granted = Story::pending(one_vote()).after(approve(admin("usr_a")));
    assert_eq!((granted.approval.due(), granted.leads_to(tick(509))), (Some(at(510)), vec![]));
    let granted = granted.after(tick(510));
    assert_eq!(granted.status(), ApprovalStatus::Expired);
    let ApprovalEvent::Expired(expired) = granted.events.last().unwrap() else { panic!() };
    assert_eq!(expired.what, Expiry::Grant);
    for (status, story) in in_every_status() {
        if !matches!(status, ApprovalStatus::Draft | ApprovalStatus::Pending | ApprovalStatus::Approved) {
            assert_eq!((story.approval.due(), story.leads_to(tick(9_999))), (None, vec![]), "{status}");
        }
    }
}

#[test]
fn a_draft_expires_as_long_after_it_was_written_as_it_would_have_to_be_decided() {
    let draft = Story::new().after(request(one_vote(), false));
    assert_eq!((draft.approval.due(), draft.leads_to(tick(999))), (Some(at(1_000)), vec![]));
    for command in [ApprovalCommand::Submit { by: actor("usr_asks"), at: at(1_000) }, withdraw(1_000)] {
        draft.refuses(command, ApprovalError::Expired);
    }
    draft.refuses(revise("EUR", one_vote(), 1_000), ApprovalError::Expired);
    let expired = draft.clone().after(tick(1_000));
    let ApprovalEvent::Expired(event) = expired.events.last().unwrap() else { panic!() };
    assert_eq!((expired.status(), event.what), (ApprovalStatus::Expired, Expiry::Draft));
    let revised = draft.after(revise("EUR", one_vote(), 900));
    assert_eq!((revised.approval.due(), revised.leads_to(tick(1_000))), (Some(at(1_900)), vec![]));
}
