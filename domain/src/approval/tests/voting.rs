//! Who may vote, when, and how votes fill the clauses of a step.

use super::*;

fn with_revision(command: ApprovalCommand, seen: u64) -> ApprovalCommand {
    let ApprovalCommand::Vote { voter, decision, reason, on_behalf_of, signature, at, .. } = command else { panic!() };
    ApprovalCommand::Vote { voter, decision, reason, on_behalf_of, revision: Some(seen), signature, at }
}

#[test]
fn the_deciding_vote_approves_in_the_same_moment() {
    let story = Story::pending(one_vote());
    assert_eq!(story.leads_to(approve(admin("usr_a"))), ["voted", "approved"]);
    let story = story.after(approve(admin("usr_a")));
    assert_eq!(story.approval.grant_expires_at(), Some(at(510)));
    let ApprovalEvent::Approved(approved) = story.events.last().unwrap() else { panic!() };
    assert_eq!(approved.approved_by, [actor("usr_a")]);
    assert_eq!((approved.policy_version, approved.revision), (3, 1));
    assert_eq!(approved.digest, export("USD").digest());
}

#[test]
fn requester_cannot_vote_even_as_admin() {
    let story = Story::pending(one_vote());
    for roles in [&["admin"][..], &["owner", "admin", "compliance"], &[]] {
        story.refuses(approve(voter("usr_asks", roles)), ApprovalError::SelfApproval);
        story.refuses(reject(voter("usr_asks", roles)), ApprovalError::SelfApproval);
    }
}

#[test]
fn requester_cannot_vote_with_a_second_account() {
    let story = Story::pending(one_vote());
    let second = Voter { actor: actor("usr_second"), ..admin("usr_asks") };
    story.refuses(approve(second), ApprovalError::SelfApproval);
    // Found to be the same person only after the request, and the other way round.
    let merged_later = Voter { accounts: vec![actor("usr_asks")], ..admin("usr_other") };
    story.refuses(approve(merged_later), ApprovalError::SelfApproval);
    let the_program_itself = Voter { actor: actor("key_program"), ..admin("usr_other") };
    story.refuses(approve(the_program_itself), ApprovalError::SelfApproval);
}

#[test]
fn the_requester_named_by_the_policy_as_a_person_cannot_vote() {
    let clause = Clause { votes: 1, from: vec![Electorate::Person(actor("usr_asks"))] };
    let story = Story::pending(terms(vec![vec![clause]]));
    story.refuses(approve(voter("usr_asks", &[])), ApprovalError::SelfApproval);
}

#[test]
fn programs_and_inactive_accounts_do_not_vote() {
    let story = Story::pending(one_vote());
    let program = Voter { is_person: false, ..admin("usr_a") };
    story.refuses(approve(program), ApprovalError::PersonRequired);
    let inactive = Voter { is_active: false, ..admin("usr_a") };
    story.refuses(approve(inactive), ApprovalError::VoterInactive);
}

#[test]
fn seat_that_the_requester_made_does_not_count_and_the_refusal_says_whose_doing_it_is() {
    let story = Story::pending(one_vote());
    let lost =
        |name: &str| LostSeat { seat: Electorate::Role(role(name)), by: actor("usr_asks"), settled_at: at(86_400) };
    let owed = |name: &str, is_lost| Owed { lost: vec![lost(name)], is_lost, ..Owed::default() };
    let owing = ApprovalError::SeatOwedToRequester { by: actor("usr_asks"), settled_at: at(86_400) };
    for is_lost in [false, true] {
        let made = Voter { owed: owed("admin", is_lost), ..voter("usr_a", &[]) };
        story.refuses(approve(made), owing.clone());
        // Who would not be asked in any case is told no more than that.
        let another = Voter { owed: owed("viewer", is_lost), ..voter("usr_a", &[]) };
        story.refuses(approve(another), ApprovalError::NotEligible);
    }
    // An account that is the requester's making votes for nobody, not for itself where the policy names it, nor for others.
    let clause = Clause { votes: 1, from: vec![Electorate::Person(actor("usr_a"))] };
    let named = Story::pending(terms(vec![vec![clause]]));
    let account = Owed { is_lost: true, ..Owed::default() };
    named.refuses(approve(Voter { owed: account.clone(), ..voter("usr_a", &[]) }), ApprovalError::NotEligible);
    let stands_for = vec![delegator("usr_b", &["admin"])];
    story.refuses(approve(Voter { owed: account, stands_for, ..voter("usr_a", &[]) }), ApprovalError::NotEligible);
    // Another way to a seat counts.
    let both = Voter { owed: owed("owner", false), ..admin("usr_a") };
    assert_eq!(story.leads_to(approve(both)), ["voted", "approved"]);
}

#[test]
fn only_whom_the_policy_names_decides() {
    let story = Story::pending(one_vote());
    for roles in [&[][..], &["viewer"], &["owner"], &["operator"], &["compliance", "analyst"]] {
        story.refuses(approve(voter("usr_v", roles)), ApprovalError::NotEligible);
        story.refuses(reject(voter("usr_v", roles)), ApprovalError::NotEligible);
    }
    let department = crate::testing::department("dep_rates");
    let clause = Clause {
        votes: 2,
        from: vec![Electorate::Department(department.clone()), Electorate::Person(actor("usr_known"))],
    };
    let story = Story::pending(terms(vec![vec![clause]]));
    let member = Voter { departments: vec![department], ..voter("usr_m", &[]) };
    let named = voter("usr_known", &[]);
    let story = story.after(approve(member)).after(approve(named));
    assert_eq!(story.status(), ApprovalStatus::Approved);
}

#[test]
fn nobody_votes_out_of_turn() {
    let story = Story::pending(two_steps());
    story.refuses(approve(admin("usr_a")), ApprovalError::NotYourTurn { current: 1 });
    story.refuses(reject(admin("usr_a")), ApprovalError::NotYourTurn { current: 1 });
    let story = story.after(approve(voter("usr_c", &["compliance"])));
    assert_eq!(story.approval.current_step(), Some(2));
    story.refuses(approve(voter("usr_d", &["compliance"])), ApprovalError::NotEligible);
    let story = story.after(approve(admin("usr_a"))).after(approve(admin("usr_b")));
    assert_eq!(story.status(), ApprovalStatus::Approved);
    assert_eq!(story.voters(), ["usr_c", "usr_a", "usr_b"]);
}

#[test]
fn nobody_votes_twice() {
    let story = Story::pending(two_steps()).after(approve(voter("usr_c", &["compliance", "admin"])));
    // In a step that is complete, in the next one, and with another account.
    story.refuses(approve(voter("usr_c", &["compliance", "admin"])), ApprovalError::AlreadyVoted);
    let story = story.after(approve(admin("usr_a")));
    story.refuses(approve(admin("usr_a")), ApprovalError::AlreadyVoted);
    story.refuses(reject(admin("usr_a")), ApprovalError::AlreadyVoted);
    let second_account = Voter { actor: actor("usr_a2"), ..admin("usr_a") };
    story.refuses(approve(second_account), ApprovalError::AlreadyVoted);
    let merged_later = Voter { accounts: vec![actor("usr_a")], ..admin("usr_z") };
    story.refuses(approve(merged_later), ApprovalError::AlreadyVoted);
}

#[test]
fn a_policy_may_let_one_person_count_in_every_step() {
    let both =
        Terms { distinct_persons: false, ..terms(vec![vec![clause(1, &["admin"])], vec![clause(1, &["admin"])]]) };
    let story = Story::pending(both).after(approve(admin("usr_a")));
    assert_eq!(story.approval.current_step(), Some(2));
    assert_eq!(story.clone().after(approve(admin("usr_a"))).status(), ApprovalStatus::Approved);
    let distinct = terms(vec![vec![clause(1, &["admin"])], vec![clause(1, &["admin"])]]);
    Story::pending(distinct)
        .after(approve(admin("usr_a")))
        .refuses(approve(admin("usr_a")), ApprovalError::AlreadyVoted);
}

#[test]
fn one_vote_counts_for_one_clause() {
    let both = terms(vec![vec![clause(1, &["admin"]), clause(1, &["compliance"])]]);
    let everything = voter("usr_a", &["admin", "compliance"]);
    let story = Story::pending(both).after(approve(everything));
    assert_eq!(story.status(), ApprovalStatus::Pending);
    assert_eq!(story.approval.still_needed().len(), 1);
}

#[test]
fn votes_move_between_clauses_to_make_room() {
    let three = terms(vec![vec![
        clause(1, &["admin", "compliance"]),
        clause(1, &["compliance", "analyst"]),
        clause(1, &["analyst", "owner"]),
    ]]);
    // Each sits down where a later one has no other place to sit.
    let story = Story::pending(three)
        .after(approve(voter("usr_1", &["compliance"])))
        .after(approve(voter("usr_2", &["analyst"])))
        .after(approve(voter("usr_3", &["compliance"])));
    assert_eq!(story.status(), ApprovalStatus::Approved);
}

#[test]
fn votes_that_no_clause_needs_decide_nothing() {
    let both = terms(vec![vec![clause(1, &["admin"]), clause(1, &["compliance"])]]);
    let story = Story::pending(both).after(approve(admin("usr_a"))).after(approve(admin("usr_b")));
    assert_eq!(story.status(), ApprovalStatus::Pending);
    let needed = story.approval.still_needed();
    assert_eq!((needed[0].step, needed[0].clause, needed[0].missing), (1, 2, 1));
    assert_eq!(needed[0].from, from(&["compliance"]));
}

#[test]
fn one_reject_of_the_current_step_rejects() {
    let story = Story::pending(two_steps()).after(approve(voter("usr_c", &["compliance"])));
    assert_eq!(story.leads_to(reject(admin("usr_a"))), ["voted", "rejected"]);
    let story = story.after(reject(admin("usr_a")));
    assert_eq!(story.status(), ApprovalStatus::Rejected);
    assert!(story.approval.still_needed().is_empty());
}

#[test]
fn a_vote_after_the_decision_changes_nothing() {
    for (status, story) in in_every_status() {
        let refusal = match status {
            ApprovalStatus::Pending => continue,
            ApprovalStatus::Draft => ApprovalError::NotSubmitted,
            ApprovalStatus::Expired => ApprovalError::Expired,
            status => ApprovalError::AlreadyDecided { status },
        };
        story.refuses(approve(admin("usr_b")), refusal.clone());
        story.refuses(reject(admin("usr_b")), refusal.clone());
        story.refuses(withdraw_vote("usr_a"), refusal);
    }
}

#[test]
fn a_vote_at_the_deadline_is_late_even_before_a_tick() {
    let story = Story::pending(one_vote());
    story.refuses(vote_at(admin("usr_a"), Decision::Approve, 1_000), ApprovalError::Expired);
    assert_eq!(story.leads_to(vote_at(admin("usr_a"), Decision::Approve, 999)), ["voted", "approved"]);
}

#[test]
fn a_vote_on_what_is_not_the_current_revision_is_refused() {
    let story = Story::pending(one_vote()).after(revise("EUR", one_vote(), 5));
    story.refuses(with_revision(approve(admin("usr_a")), 1), ApprovalError::Revised { current: 2 });
    assert_eq!(story.leads_to(with_revision(approve(admin("usr_a")), 2)), ["voted", "approved"]);
}

#[test]
fn a_vote_that_is_withdrawn_takes_later_steps_with_it() {
    let story =
        Story::pending(two_steps()).after(approve(voter("usr_c", &["compliance"]))).after(approve(admin("usr_a")));
    story.refuses(withdraw_vote("usr_b"), ApprovalError::NoVote);
    let second_step = story.clone().after(withdraw_vote("usr_a"));
    assert_eq!((second_step.voters(), second_step.approval.current_step()), (vec!["usr_c"], Some(2)));
    let first_step = story.after(withdraw_vote("usr_c"));
    assert_eq!((first_step.voters().len(), first_step.approval.current_step()), (0, Some(1)));
    // Whoever withdrew may vote again.
    assert_eq!(first_step.leads_to(approve(voter("usr_c", &["compliance"]))), ["voted"]);
}

#[test]
fn votes_are_bounded() {
    let both = terms(vec![vec![clause(1, &["admin"]), clause(1, &["compliance"])]]);
    let mut story = Story::pending(both).after(approve(admin("usr_a")));
    let standing = story.approval.standing.as_mut().unwrap();
    standing.votes = vec![standing.votes[0].clone(); MAX_VOTES];
    story.refuses(approve(admin("usr_b")), ApprovalError::TooManyVotes);
}

#[test]
fn eligibility_is_what_a_vote_would_meet_with() {
    let voters = [admin("usr_a"), voter("usr_c", &["compliance"]), voter("usr_v", &[]), admin("usr_asks")];
    let stories = in_every_status().into_iter().map(|(_, story)| story).chain([Story::pending(two_steps())]);
    for story in stories {
        for voter in &voters {
            let told = story.approval.eligibility(voter, at(30));
            let met = story.approval.decide(vote_at(voter.clone(), Decision::Approve, 30));
            assert_eq!(told.clone().err(), met.err());
            if let Ok(eligible) = told {
                assert_eq!(Some(eligible.step), story.approval.current_step());
            }
        }
    }
}

#[test]
fn whoever_is_named_votes_with_that_very_account() {
    let clause = Clause { votes: 1, from: vec![Electorate::Person(actor("usr_a"))] };
    let story = Story::pending(terms(vec![vec![clause]]));
    let declared = Voter { accounts: vec![actor("usr_a")], ..voter("usr_other", &[]) };
    story.refuses(approve(declared), ApprovalError::NotEligible);
    let declared_for = Voter { actor: actor("usr_other"), ..voter("usr_a", &[]) };
    story.refuses(approve(declared_for), ApprovalError::NotEligible);
    let itself = Voter { person: actor("usr_other"), ..voter("usr_a", &[]) };
    assert_eq!(story.leads_to(approve(itself)), ["voted", "approved"]);
}
