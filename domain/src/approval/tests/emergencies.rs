//! Breaking the glass: alone, loud, short, and reviewed by others afterwards.

use super::*;

fn owner(person: &str) -> Voter {
    voter(person, &["owner"])
}

fn break_glass(voter: Voter, seconds: i64) -> ApprovalCommand {
    let (reason, at) = (reason("The regulator waits"), at(seconds));
    ApprovalCommand::BreakGlass { voter, has_open_review: false, reason, at }
}

fn review(voter: Voter, decision: Decision) -> ApprovalCommand {
    ApprovalCommand::Review { voter, decision, reason: None, at: at(50) }
}

fn accept(voter: Voter) -> ApprovalCommand {
    review(voter, Decision::Approve)
}

fn condemn(voter: Voter) -> ApprovalCommand {
    review(voter, Decision::Reject)
}

fn broken() -> Story {
    Story::pending(with_glass(two_steps())).after(break_glass(owner("usr_o"), 10))
}

#[test]
fn the_glass_is_broken_by_whom_the_policy_names_and_for_a_short_time() {
    let story = Story::pending(with_glass(two_steps()));
    assert_eq!(story.leads_to(break_glass(owner("usr_o"), 10)), ["glass_broken"]);
    story.refuses(break_glass(admin("usr_a"), 10), ApprovalError::NotEligible);
    let delegate = Voter { stands_for: vec![delegator("usr_o", &["owner"])], ..admin("usr_d") };
    story.refuses(break_glass(delegate, 10), ApprovalError::NotEligible);
    let story = story.after(break_glass(owner("usr_o"), 10));
    assert_eq!((story.status(), story.approval.grant_expires_at()), (ApprovalStatus::Approved, Some(at(70))));
    assert!(story.approval.review().unwrap().is_open());
    assert_eq!(story.leads_to(consume("USD", 69)), ["consumed"]);
    story.refuses(consume("USD", 70), ApprovalError::GrantExpired);
}

#[test]
fn the_requester_may_break_the_glass_and_still_not_vote() {
    let story = Story::pending(with_glass(two_steps()));
    story.refuses(approve(owner("usr_asks")), ApprovalError::SelfApproval);
    let story = story.after(break_glass(owner("usr_asks"), 10));
    assert_eq!(story.status(), ApprovalStatus::Approved);
    story.refuses(accept(owner("usr_asks")), ApprovalError::SelfApproval);
}

#[test]
fn the_glass_is_broken_by_people_only_where_there_is_one_and_in_time() {
    Story::pending(two_steps()).refuses(break_glass(owner("usr_o"), 10), ApprovalError::NoBreakGlass);
    let story = Story::pending(with_glass(two_steps()));
    let program = Voter { is_person: false, ..owner("usr_o") };
    story.refuses(break_glass(program, 10), ApprovalError::PersonRequired);
    let inactive = Voter { is_active: false, ..owner("usr_o") };
    story.refuses(break_glass(inactive, 10), ApprovalError::VoterInactive);
    story.refuses(break_glass(owner("usr_o"), 1_000), ApprovalError::Expired);
    let rejected = story.clone().after(reject(voter("usr_c", &["compliance"])));
    let status = ApprovalStatus::Rejected;
    rejected.refuses(break_glass(owner("usr_o"), 20), ApprovalError::AlreadyDecided { status });
    let status = ApprovalStatus::Approved;
    broken().refuses(break_glass(owner("usr_o"), 20), ApprovalError::AlreadyDecided { status });
    Story::new()
        .after(request(with_glass(two_steps()), false))
        .refuses(break_glass(owner("usr_o"), 20), ApprovalError::NotSubmitted);
}

#[test]
fn what_was_granted_in_an_emergency_stays_open_until_it_is_reviewed() {
    for story in [broken().after(consume("USD", 20)), broken().after(tick(70)), broken().after(withdraw(20))] {
        assert!(story.approval.is_open());
        assert_eq!(story.approval.current_step(), Some(1));
        let story = story
            .after(accept(voter("usr_c", &["compliance"])))
            .after(accept(admin("usr_a")))
            .after(accept(admin("usr_b")));
        assert!(!story.approval.is_open());
        assert_eq!(story.approval.review().unwrap().outcome, Some(ReviewOutcome::Accepted));
    }
}

#[test]
fn the_review_runs_the_steps_of_the_policy_anew() {
    let voted = Story::pending(with_glass(two_steps()))
        .after(approve(voter("usr_c", &["compliance"])))
        .after(break_glass(owner("usr_o"), 10));
    assert_eq!(voted.approval.still_needed().len(), 2);
    voted.refuses(accept(admin("usr_a")), ApprovalError::NotYourTurn { current: 1 });
    voted.refuses(accept(voter("usr_v", &["viewer"])), ApprovalError::NotEligible);
    // Whoever voted before may review.
    assert_eq!(voted.leads_to(accept(voter("usr_c", &["compliance"]))), ["reviewed"]);
    let voted = voted.after(accept(voter("usr_c", &["compliance"]))).after(accept(admin("usr_a")));
    voted.refuses(accept(admin("usr_a")), ApprovalError::AlreadyVoted);
    assert_eq!(voted.leads_to(accept(admin("usr_b"))), ["reviewed", "review_closed"]);
    assert_eq!(voted.approval.review_eligibility(&admin("usr_b")).unwrap().step, 2);
}

#[test]
fn neither_requester_nor_breaker_nor_who_stands_in_for_them_reviews() {
    let story = broken();
    story.refuses(accept(voter("usr_o", &["compliance"])), ApprovalError::SelfReview);
    let second_account = Voter { accounts: vec![actor("usr_o")], ..voter("usr_o2", &["compliance"]) };
    story.refuses(accept(second_account), ApprovalError::SelfReview);
    let of_breaker = Voter { is_delegate_of: vec![actor("usr_o")], ..voter("usr_d", &["compliance"]) };
    story.refuses(accept(of_breaker), ApprovalError::SelfReview);
    story.refuses(accept(voter("usr_asks", &["compliance"])), ApprovalError::SelfApproval);
    let of_requester = Voter { is_delegate_of: vec![actor("usr_asks")], ..voter("usr_d", &["compliance"]) };
    story.refuses(accept(of_requester), ApprovalError::DelegateOfRequester);
    let program = Voter { is_person: false, ..voter("usr_c", &["compliance"]) };
    story.refuses(accept(program), ApprovalError::PersonRequired);
}

#[test]
fn one_who_condemns_closes_the_review_and_voids_what_was_not_done_yet() {
    let condemned = condemn(voter("usr_c", &["compliance"]));
    assert_eq!(broken().leads_to(condemned.clone()), ["reviewed", "review_closed", "voided"]);
    let story = broken().after(condemned.clone());
    assert_eq!(story.approval.voided(), Some(VoidReason::ReviewCondemned));
    story.refuses(consume("USD", 60), ApprovalError::NotApproved { status: ApprovalStatus::Voided });
    let done = broken().after(consume("USD", 20));
    assert_eq!(done.leads_to(condemned.clone()), ["reviewed", "review_closed"]);
    assert_eq!(done.after(condemned).status(), ApprovalStatus::Consumed);
}

#[test]
fn there_is_one_review_and_it_ends() {
    Story::pending(with_glass(two_steps())).refuses(accept(admin("usr_a")), ApprovalError::NoReview);
    let story = broken().after(condemn(voter("usr_c", &["compliance"])));
    story.refuses(accept(voter("usr_d", &["compliance"])), ApprovalError::NoReview);
    assert_eq!(story.approval.due(), None);
}

#[test]
fn a_late_review_is_noted_once_and_stays_open() {
    let story = broken().after(consume("USD", 20));
    assert_eq!((story.approval.due(), story.leads_to(tick(609))), (Some(at(610)), vec![]));
    let story = story.after(tick(610));
    assert_eq!((story.approval.due(), story.leads_to(tick(999))), (None, vec![]));
    assert!(story.approval.review().unwrap().overdue_noted && story.approval.is_open());
    assert_eq!(story.leads_to(accept(voter("usr_c", &["compliance"]))), ["reviewed"]);
    // The end of the grant and the end of the time to review come in their order.
    assert_eq!(broken().leads_to(tick(5_000)), ["expired", "review_overdue"]);
}

#[test]
fn what_was_granted_in_an_emergency_is_not_revised() {
    broken().refuses(revise("EUR", one_vote(), 20), ApprovalError::GlassBroken);
}

#[test]
fn nobody_is_called_to_a_review_by_an_escalation() {
    let terms = with_glass(with_chain(two_steps(), &[(5, &["admin"], None)]));
    let story = Story::pending(terms).after(tick(5)).after(break_glass(owner("usr_o"), 10));
    story.refuses(accept(admin("usr_a")), ApprovalError::NotYourTurn { current: 1 });
}

#[test]
fn votes_of_a_review_are_bounded() {
    let mut story = broken().after(accept(voter("usr_c", &["compliance"])));
    let review = story.approval.standing.as_mut().unwrap().review.as_mut().unwrap();
    review.votes = vec![review.votes[0].clone(); MAX_VOTES];
    story.refuses(accept(admin("usr_a")), ApprovalError::TooManyVotes);
}

#[test]
fn there_is_no_second_emergency_before_the_first_is_reviewed() {
    let (voter, reason) = (owner("usr_o"), reason("The regulator waits again"));
    let again = ApprovalCommand::BreakGlass { voter, has_open_review: true, reason, at: at(10) };
    Story::pending(with_glass(two_steps())).refuses(again, ApprovalError::ReviewOpen);
}

#[test]
fn votes_before_the_glass_was_broken_approved_nothing() {
    let voted = Story::pending(with_glass(two_steps())).after(approve(voter("usr_c", &["compliance"])));
    assert!(voted.approval.approvers().is_empty());
    assert!(voted.clone().after(break_glass(owner("usr_o"), 10)).approval.approvers().is_empty());
    let approved = voted.after(approve(admin("usr_a"))).after(approve(admin("usr_b")));
    let persons: Vec<&str> = approved.approval.approvers().iter().map(|vote| vote.person.as_str()).collect();
    assert_eq!(persons, ["usr_c", "usr_a", "usr_b"]);
    assert_eq!(approved.after(consume("USD", 20)).approval.approvers().len(), 3);
}

#[test]
fn whoever_is_named_by_another_account_does_not_break_the_glass() {
    let who = vec![Electorate::Person(actor("usr_o"))];
    let glass = BreakGlass { who, grant_seconds: 60, review_within_seconds: 600 };
    let story = Story::pending(Terms { break_glass: Some(glass), ..two_steps() });
    let declared = Voter { accounts: vec![actor("usr_o")], ..admin("usr_o2") };
    story.refuses(break_glass(declared, 10), ApprovalError::NotEligible);
    assert_eq!(story.leads_to(break_glass(owner("usr_o"), 10)), ["glass_broken"]);
}
