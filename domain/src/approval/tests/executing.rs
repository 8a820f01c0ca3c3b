//! What was approved is done once, and checked again when it is.

use super::*;

fn approved() -> Story {
    Story::pending(one_vote()).after(approve(admin("usr_a")))
}

/// The command of [`consume`] with something else in it.
fn consume_with(change: impl FnOnce(&mut u64, &mut bool, &mut Line, &mut ActorId)) -> ApprovalCommand {
    let ApprovalCommand::Consume { digest, mut policy_version, mut requester_allowed, mut execution_id, mut by, at } =
        consume("USD", 20)
    else {
        panic!()
    };
    change(&mut policy_version, &mut requester_allowed, &mut execution_id, &mut by);
    ApprovalCommand::Consume { digest, policy_version, requester_allowed, execution_id, by, at }
}

#[test]
fn what_was_approved_is_done_once() {
    assert_eq!(approved().leads_to(consume("USD", 20)), ["consumed"]);
    let story = approved().after(consume("USD", 20));
    assert_eq!(story.status(), ApprovalStatus::Consumed);
    assert_eq!(story.approval.consumed().unwrap().execution_id, execution());
    let other = consume_with(|_, _, execution, _| *execution = line("exp_2"));
    story.refuses(other, ApprovalError::AlreadyConsumed);
    story.refuses(consume("EUR", 20), ApprovalError::AlreadyConsumed);
}

#[test]
fn the_same_execution_may_say_so_again_at_any_time() {
    let story = approved().after(consume("USD", 20));
    assert_eq!(story.leads_to(consume("USD", 20)), [""; 0]);
    assert_eq!(story.leads_to(consume("USD", 9_999)), [""; 0]);
}

#[test]
fn nothing_is_done_that_is_not_approved() {
    for (status, story) in in_every_status() {
        if !matches!(status, ApprovalStatus::Approved | ApprovalStatus::Consumed) {
            story.refuses(consume("USD", 20), ApprovalError::NotApproved { status });
        }
    }
    let half = Story::pending(two_steps()).after(approve(voter("usr_c", &["compliance"])));
    half.refuses(consume("USD", 20), ApprovalError::NotApproved { status: ApprovalStatus::Pending });
}

#[test]
fn nothing_else_is_done_than_what_was_approved() {
    approved().refuses(consume("EUR", 20), ApprovalError::DigestMismatch);
    let revised = approved().after(revise("EUR", one_vote(), 15)).after(vote(admin("usr_a"), 16));
    revised.refuses(consume("USD", 20), ApprovalError::DigestMismatch);
    assert_eq!(revised.leads_to(consume("EUR", 20)), ["consumed"]);
}

fn vote(voter: Voter, seconds: i64) -> ApprovalCommand {
    vote_at(voter, Decision::Approve, seconds)
}

#[test]
fn a_grant_that_is_over_is_worth_nothing_even_before_a_tick() {
    assert_eq!(approved().leads_to(consume("USD", 509)), ["consumed"]);
    approved().refuses(consume("USD", 510), ApprovalError::GrantExpired);
    approved().after(tick(510)).refuses(consume("USD", 511), ApprovalError::GrantExpired);
}

#[test]
fn another_policy_in_between_stops_it() {
    let changed = consume_with(|version, _, _, _| *version = 4);
    approved().refuses(changed, ApprovalError::PolicyChanged { approved: 3, current: 4 });
}

#[test]
fn a_requester_who_may_not_do_it_any_more_does_not() {
    let refused = consume_with(|_, allowed, _, _| *allowed = false);
    approved().refuses(refused, ApprovalError::RequesterNotAllowed);
}

#[test]
fn only_the_requester_or_the_system_does_it() {
    for (by, is_refused) in [("usr_asks", false), ("key_program", false), (SYSTEM, false), ("usr_a", true)] {
        let command = consume_with(|_, _, _, consumer| *consumer = actor(by));
        if is_refused {
            approved().refuses(command.clone(), ApprovalError::NotYours);
            approved().after(consume("USD", 20)).refuses(command, ApprovalError::NotYours);
        } else {
            assert_eq!(approved().leads_to(command), ["consumed"]);
        }
    }
}

#[test]
fn what_cannot_be_done_as_approved_is_void() {
    let void = |why| ApprovalCommand::Void { why, at: at(30) };
    for (status, story) in in_every_status() {
        match status {
            ApprovalStatus::Draft | ApprovalStatus::Pending | ApprovalStatus::Approved => {
                for &why in VoidReason::ALL {
                    let voided = story.clone().after(void(why));
                    assert_eq!((voided.status(), voided.approval.voided()), (ApprovalStatus::Voided, Some(why)));
                }
            }
            ApprovalStatus::Voided => assert_eq!(story.leads_to(void(VoidReason::ResourceGone)), [""; 0]),
            status => story.refuses(void(VoidReason::Superseded), ApprovalError::AlreadyDecided { status }),
        }
    }
}

#[test]
fn what_was_used_and_rested_on_something_that_had_changed_is_taken_back() {
    let used = approved().after(consume("USD", 20));
    let story = used.after(ApprovalCommand::Void { why: VoidReason::BasisChanged, at: at(21) });
    assert_eq!((story.status(), story.approval.voided()), (ApprovalStatus::Voided, Some(VoidReason::BasisChanged)));
    // Not under the execution that used it either.
    story.refuses(consume("USD", 22), ApprovalError::NotApproved { status: ApprovalStatus::Voided });
    let again = ApprovalCommand::Void { why: VoidReason::BasisChanged, at: at(23) };
    assert_eq!(story.leads_to(again), [""; 0]);
}
