//! Whoever stands in votes as the absent would, and uses up both.

use super::*;

fn stands_for(person: &str, delegators: Vec<Delegator>) -> Voter {
    Voter { stands_for: delegators, ..voter(person, &[]) }
}

fn on_behalf(voter: Voter, person: &str) -> ApprovalCommand {
    ApprovalCommand::Vote {
        voter,
        decision: Decision::Approve,
        reason: None,
        on_behalf_of: Some(actor(person)),
        revision: None,
        signature: None,
        at: at(10),
    }
}

fn two_admins() -> Terms {
    terms(vec![vec![clause(2, &["admin"])]])
}

#[test]
fn whoever_stands_in_votes_with_the_roles_of_the_absent() {
    let story = Story::pending(one_vote());
    let delegate = stands_for("usr_d", vec![delegator("usr_a", &["admin"])]);
    let eligible = story.approval.eligibility(&delegate, at(1)).unwrap();
    assert_eq!(eligible, Eligible { step: 1, stands_for: Some(actor("usr_a")) });
    let story = story.after(approve(delegate));
    let vote = &story.approval.votes()[0];
    assert_eq!((vote.person.as_str(), vote.on_behalf_of.as_ref()), ("usr_d", Some(&actor("usr_a"))));
    assert_eq!(vote.delegation_id.as_ref().unwrap().as_str(), "dlg_1");
}

#[test]
fn whoever_may_vote_alone_does_not_use_up_the_absent() {
    let delegate = Voter { stands_for: vec![delegator("usr_a", &["admin"])], ..admin("usr_d") };
    let story = Story::pending(two_admins()).after(approve(delegate));
    assert_eq!(story.approval.votes()[0].on_behalf_of, None);
    assert_eq!(story.after(approve(admin("usr_a"))).status(), ApprovalStatus::Approved);
}

#[test]
fn a_vote_for_another_uses_up_both() {
    let delegate = Voter { stands_for: vec![delegator("usr_a", &["admin"])], ..admin("usr_d") };
    let story = Story::pending(two_admins()).after(on_behalf(delegate.clone(), "usr_a"));
    assert_eq!(story.status(), ApprovalStatus::Pending);
    story.refuses(approve(admin("usr_a")), ApprovalError::AlreadyVoted);
    story.refuses(approve(delegate.clone()), ApprovalError::AlreadyVoted);
    // Nor does a second one who stands in for the same absent.
    let second = stands_for("usr_e", vec![delegator("usr_a", &["admin"])]);
    story.refuses(approve(second), ApprovalError::AlreadyVoted);
    // Nor does the same one for a second absent.
    let for_others = Voter { stands_for: vec![delegator("usr_b", &["admin"])], ..delegate };
    story.refuses(on_behalf(for_others, "usr_b"), ApprovalError::AlreadyVoted);
    assert_eq!(story.after(approve(admin("usr_b"))).status(), ApprovalStatus::Approved);
}

#[test]
fn a_vote_of_the_absent_uses_up_whoever_stands_in() {
    let story = Story::pending(two_admins()).after(approve(admin("usr_a")));
    let delegate = stands_for("usr_d", vec![delegator("usr_a", &["admin"])]);
    story.refuses(approve(delegate), ApprovalError::AlreadyVoted);
    let merged = Delegator { accounts: vec![actor("usr_a")], ..delegator("usr_now", &["admin"]) };
    story.refuses(approve(stands_for("usr_d", vec![merged])), ApprovalError::AlreadyVoted);
}

#[test]
fn a_delegate_of_the_requester_cannot_vote_in_any_right() {
    let story = Story::pending(one_vote());
    let now = Voter { stands_for: vec![delegator("usr_asks", &["admin"])], ..admin("usr_d") };
    story.refuses(approve(now.clone()), ApprovalError::DelegateOfRequester);
    story.refuses(on_behalf(now, "usr_asks"), ApprovalError::DelegateOfRequester);
    let since = Voter { is_delegate_of: vec![actor("usr_asks")], ..admin("usr_d") };
    story.refuses(approve(since.clone()), ApprovalError::DelegateOfRequester);
    let for_another = Voter { stands_for: vec![delegator("usr_a", &["admin"])], ..since };
    story.refuses(on_behalf(for_another, "usr_a"), ApprovalError::DelegateOfRequester);
    let renamed = Delegator { accounts: vec![actor("usr_asks")], ..delegator("usr_now", &["admin"]) };
    let of_another_account = Voter { stands_for: vec![renamed], ..admin("usr_d") };
    story.refuses(approve(of_another_account), ApprovalError::DelegateOfRequester);
}

#[test]
fn requester_cannot_vote_for_an_absent_who_could() {
    let story = Story::pending(one_vote());
    let delegate = stands_for("usr_asks", vec![delegator("usr_a", &["admin"])]);
    story.refuses(approve(delegate.clone()), ApprovalError::SelfApproval);
    story.refuses(on_behalf(delegate, "usr_a"), ApprovalError::SelfApproval);
    // Whom the requester stands in for decides as ever.
    assert_eq!(story.leads_to(approve(admin("usr_a"))), ["voted", "approved"]);
}

#[test]
fn nobody_votes_for_another_without_a_delegation() {
    let story = Story::pending(one_vote());
    story.refuses(on_behalf(admin("usr_d"), "usr_a"), ApprovalError::NotDelegate { person: actor("usr_a") });
    let for_another = Voter { stands_for: vec![delegator("usr_b", &["admin"])], ..admin("usr_d") };
    story.refuses(on_behalf(for_another, "usr_a"), ApprovalError::NotDelegate { person: actor("usr_a") });
}

#[test]
fn the_reason_that_says_most_is_told() {
    let story = Story::pending(two_steps());
    let later = stands_for("usr_d", vec![delegator("usr_v", &["viewer"]), delegator("usr_a", &["admin"])]);
    story.refuses(approve(later), ApprovalError::NotYourTurn { current: 1 });
    let nowhere = stands_for("usr_d", vec![delegator("usr_v", &["viewer"])]);
    story.refuses(approve(nowhere), ApprovalError::NotEligible);
    // The second delegation opens the door that the first does not.
    let second = stands_for("usr_d", vec![delegator("usr_a", &["admin"]), delegator("usr_c", &["compliance"])]);
    let eligible = story.approval.eligibility(&second, at(1)).unwrap();
    assert_eq!(eligible, Eligible { step: 1, stands_for: Some(actor("usr_c")) });
}

#[test]
fn inactive_and_automatic_voters_do_not_stand_in() {
    let delegate = stands_for("usr_d", vec![delegator("usr_a", &["admin"])]);
    let story = Story::pending(one_vote());
    story.refuses(approve(Voter { is_active: false, ..delegate.clone() }), ApprovalError::VoterInactive);
    story.refuses(approve(Voter { is_person: false, ..delegate }), ApprovalError::PersonRequired);
}

#[test]
fn nobody_hands_on_a_vote_that_he_could_not_cast() {
    let story = Story::pending(one_vote());
    let barred = Delegator { is_barred: true, ..delegator("usr_a", &["admin"]) };
    let delegate = stands_for("usr_d", vec![barred.clone()]);
    story.refuses(approve(delegate.clone()), ApprovalError::NotEligible);
    story.refuses(on_behalf(delegate, "usr_a"), ApprovalError::DelegateOfRequester);
    // Another absent who could vote is voted for.
    let both = stands_for("usr_d", vec![barred, delegator("usr_b", &["admin"])]);
    assert_eq!(story.approval.eligibility(&both, at(1)).unwrap().stands_for, Some(actor("usr_b")));
}

#[test]
fn whoever_is_named_is_stood_in_for_by_the_account_that_is_named_alone() {
    let clause = Clause { votes: 1, from: vec![Electorate::Person(actor("usr_a"))] };
    let story = Story::pending(terms(vec![vec![clause]]));
    let declared = Delegator { accounts: vec![actor("usr_a")], ..delegator("usr_a2", &[]) };
    story.refuses(approve(stands_for("usr_d", vec![declared])), ApprovalError::NotEligible);
    let named = Delegator { person: actor("usr_now"), ..delegator("usr_a", &[]) };
    assert_eq!(story.leads_to(approve(stands_for("usr_d", vec![named]))), ["voted", "approved"]);
}
