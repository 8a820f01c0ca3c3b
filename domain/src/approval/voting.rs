//! Who may vote, and what a vote leads to.

use super::ballot::{Ballot, Place};
use super::command::ApprovalStatus;
use super::error::ApprovalError;
use super::event::{ApprovalEvent, Approved, Rejected, ReviewClosed, Voided, VoteWithdrawn, Voted};
use super::state::{Review, Standing};
use super::vote::{Decision, Delegator, VoteRecord, VoteSignature, Voter};
use super::{Approval, MAX_VOTES, ReviewOutcome, VoidReason};
use crate::approval_policy::Electorate;
use crate::names::DelegationId;
use crate::text::{ActorId, Reason};
use crate::time::Timestamp;

/// That somebody may vote, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eligible {
    /// In which step, counted from 1.
    pub step: u32,
    /// For whom, where it is not in the person's own right.
    pub stands_for: Option<ActorId>,
}

/// What a voter says.
pub(super) struct Cast {
    pub(super) voter: Voter,
    pub(super) decision: Decision,
    pub(super) reason: Option<Reason>,
    pub(super) on_behalf_of: Option<ActorId>,
    pub(super) signature: Option<VoteSignature>,
    pub(super) at: Timestamp,
}

/// Where a vote would count.
struct Seat {
    step: u32,
    clauses: Vec<u32>,
    stands_for: Option<(ActorId, DelegationId)>,
    owed_to: Vec<ActorId>,
}

impl Approval {
    /// What a vote of this person on the request would meet with now: where it would count, or why it would not.
    pub fn eligibility(&self, voter: &Voter, at: Timestamp) -> Result<Eligible, ApprovalError> {
        let standing = self.standing.as_ref().ok_or(ApprovalError::NotFound)?;
        let seat = standing.seat(voter, None, at)?;
        Ok(Eligible { step: seat.step, stands_for: seat.stands_for.map(|(person, _)| person) })
    }

    /// As [`Self::eligibility`], for the review of an emergency.
    pub fn review_eligibility(&self, voter: &Voter) -> Result<Eligible, ApprovalError> {
        let standing = self.standing.as_ref().ok_or(ApprovalError::NotFound)?;
        let (_, seat) = standing.review_seat(voter)?;
        Ok(Eligible { step: seat.step, stands_for: seat.stands_for.map(|(person, _)| person) })
    }
}

impl Standing {
    pub(super) fn vote(&self, cast: Cast, revision: Option<u64>) -> Result<Vec<ApprovalEvent>, ApprovalError> {
        // Whoever looked at something else did not mean this; whether it is decided is for those who may know.
        let seat = self.seat(&cast.voter, cast.on_behalf_of.as_ref(), cast.at);
        if revision.is_some_and(|revision| revision != self.revision) && self.status == ApprovalStatus::Pending {
            return Err(ApprovalError::Revised { current: self.revision });
        }
        let seat = seat?;
        if self.votes.len() >= MAX_VOTES {
            return Err(ApprovalError::TooManyVotes);
        }
        let vote = record(cast, seat);
        let mut events = vec![ApprovalEvent::Voted(Box::new(self.voted(vote.clone())))];
        if vote.decision == Decision::Reject {
            events.push(ApprovalEvent::Rejected(Rejected {
                revision: self.revision,
                rejected_by: vote.person,
                step: vote.step,
                reason: vote.reason,
                at: vote.at,
            }));
            return Ok(events);
        }
        let at = vote.at;
        let votes = with(&self.votes, vote);
        if (Ballot { votes: &votes, ..self.ballot() }).current_step().is_none() {
            events.push(self.approved(&votes, at));
        }
        Ok(events)
    }

    /// The event that every step has its votes.
    pub(super) fn approved(&self, votes: &[VoteRecord], at: Timestamp) -> ApprovalEvent {
        let mut approved_by: Vec<ActorId> = Vec::new();
        for vote in votes {
            if !approved_by.contains(&vote.person) {
                approved_by.push(vote.person.clone());
            }
        }
        ApprovalEvent::Approved(Approved {
            revision: self.revision,
            digest: self.digest.clone(),
            policy_version: self.policy.version,
            approved_by,
            grant_expires_at: at.plus_seconds(self.terms().grant_seconds),
            at,
        })
    }

    pub(super) fn review_vote(&self, cast: Cast) -> Result<Vec<ApprovalEvent>, ApprovalError> {
        let (review, seat) = self.review_seat(&cast.voter)?;
        if review.votes.len() >= MAX_VOTES {
            return Err(ApprovalError::TooManyVotes);
        }
        let vote = record(cast, seat);
        let (at, decision) = (vote.at, vote.decision);
        let mut events = vec![ApprovalEvent::Reviewed(Box::new(self.voted(vote.clone())))];
        let votes = with(&review.votes, vote);
        if decision == Decision::Reject {
            events.push(ApprovalEvent::ReviewClosed(ReviewClosed { outcome: ReviewOutcome::Condemned, at }));
            if self.status == ApprovalStatus::Approved {
                events.push(ApprovalEvent::Voided(Voided { why: VoidReason::ReviewCondemned, at }));
            }
        } else if (Ballot { votes: &votes, ..self.review_ballot(review) }).current_step().is_none() {
            events.push(ApprovalEvent::ReviewClosed(ReviewClosed { outcome: ReviewOutcome::Accepted, at }));
        }
        Ok(events)
    }

    /// A person's last vote goes, and with it what was voted in later steps: that came after it.
    pub(super) fn withdraw_vote(&self, person: ActorId, at: Timestamp) -> Result<Vec<ApprovalEvent>, ApprovalError> {
        self.must_be_pending(at)?;
        let own = self.votes.iter().filter(|vote| vote.person == person).map(|vote| vote.step);
        let step = own.max().ok_or(ApprovalError::NoVote)?;
        Ok(vec![ApprovalEvent::VoteWithdrawn(VoteWithdrawn { person, step, at })])
    }

    fn voted(&self, vote: VoteRecord) -> Voted {
        Voted { revision: self.revision, digest: self.digest.clone(), vote }
    }

    /// Whether it is to be decided and there is time left.
    pub(super) fn must_be_pending(&self, at: Timestamp) -> Result<(), ApprovalError> {
        match self.status {
            ApprovalStatus::Pending if self.decide_by.is_some_and(|decide_by| at < decide_by) => Ok(()),
            ApprovalStatus::Pending | ApprovalStatus::Expired => Err(ApprovalError::Expired),
            ApprovalStatus::Draft => Err(ApprovalError::NotSubmitted),
            status => Err(ApprovalError::AlreadyDecided { status }),
        }
    }

    /// Where a vote on the request would count.
    fn seat(&self, voter: &Voter, on_behalf_of: Option<&ActorId>, at: Timestamp) -> Result<Seat, ApprovalError> {
        must_act(voter)?;
        self.must_not_be_requester(voter)?;
        self.must_be_pending(at)?;
        find_seat(self.ballot(), voter, on_behalf_of, &[&self.requester.person, &self.requester.actor])
    }

    /// Whether a vote of this person would count now.
    pub(super) fn may_vote(&self, voter: &Voter, at: Timestamp) -> bool {
        self.seat(voter, None, at).is_ok()
    }

    /// Where a vote on the review would count.
    fn review_seat(&self, voter: &Voter) -> Result<(&Review, Seat), ApprovalError> {
        let review = self.open_review().ok_or(ApprovalError::NoReview)?;
        must_act(voter)?;
        self.must_not_be_requester(voter)?;
        let breaker = [&review.person, &review.actor];
        if breaker.into_iter().any(|id| voter.is(id) || voter.is_delegate_of(id)) {
            return Err(ApprovalError::SelfReview);
        }
        let kept_out = [&self.requester.person, &self.requester.actor, &review.person, &review.actor];
        let seat = find_seat(self.review_ballot(review), voter, None, &kept_out)?;
        Ok((review, seat))
    }

    /// Whoever asked does not decide, nor does anybody who stands in for that person: under no role, delegation or
    /// account.
    fn must_not_be_requester(&self, voter: &Voter) -> Result<(), ApprovalError> {
        let requester = [&self.requester.person, &self.requester.actor];
        if requester.into_iter().any(|id| voter.is(id)) {
            return Err(ApprovalError::SelfApproval);
        }
        if requester.into_iter().any(|id| voter.is_delegate_of(id)) {
            return Err(ApprovalError::DelegateOfRequester);
        }
        Ok(())
    }
}

/// Only people decide, and only those who may act at all.
pub(super) fn must_act(voter: &Voter) -> Result<(), ApprovalError> {
    if !voter.is_person {
        return Err(ApprovalError::PersonRequired);
    }
    if !voter.is_active {
        return Err(ApprovalError::VoterInactive);
    }
    Ok(())
}

/// The seat in the voter's own right or, where there is none, for the first person for whom there is one. Where one
/// person is named, for that one only. Nobody hands on a vote who is kept out or otherwise could not cast it.
fn find_seat(
    ballot: Ballot<'_>,
    voter: &Voter,
    on_behalf_of: Option<&ActorId>,
    kept_out: &[&ActorId],
) -> Result<Seat, ApprovalError> {
    let without_seat =
        || voter.owed.without(|electorate| !matches!(ballot.place(|asked| asked == electorate), Place::Nowhere));
    if voter.owed.is_lost {
        return Err(without_seat());
    }
    let is_barred = |delegator: &Delegator| delegator.is_barred || kept_out.iter().any(|id| delegator.is(id));
    if let Some(person) = on_behalf_of {
        let named = voter.stands_for.iter().find(|delegator| delegator.is(person));
        let delegator = named.ok_or_else(|| ApprovalError::NotDelegate { person: person.clone() })?;
        if is_barred(delegator) {
            return Err(ApprovalError::DelegateOfRequester);
        }
        return seat_of(ballot, voter, Some(delegator));
    }
    let mut refusal = match seat_of(ballot, voter, None) {
        Ok(seat) => return Ok(seat),
        Err(refusal) => refusal,
    };
    for delegator in voter.stands_for.iter().filter(|delegator| !is_barred(delegator)) {
        match seat_of(ballot, voter, Some(delegator)) {
            Ok(seat) => return Ok(seat),
            // That the person is not named at all is the least that can be said.
            Err(other) if refusal == ApprovalError::NotEligible => refusal = other,
            Err(_) => {}
        }
    }
    Err(if refusal == ApprovalError::NotEligible { without_seat() } else { refusal })
}

fn seat_of(ballot: Ballot<'_>, voter: &Voter, delegator: Option<&Delegator>) -> Result<Seat, ApprovalError> {
    let belongs = |electorate: &Electorate| match delegator {
        Some(delegator) => delegator.belongs_to(electorate),
        None => voter.belongs_to(electorate),
    };
    let place = ballot.place(belongs);
    let (step, clauses) = match place {
        Place::Now { step, clauses } => (step, clauses),
        Place::Later { current } => return Err(ApprovalError::NotYourTurn { current }),
        Place::Nowhere => return Err(ApprovalError::NotEligible),
    };
    // A vote for another uses up both: whoever stands in, and whoever is away.
    let is_used = |id: &ActorId| voter.is(id) || delegator.is_some_and(|delegator| delegator.is(id));
    let uses = |vote: &VoteRecord| {
        is_used(&vote.person) || is_used(&vote.actor) || vote.on_behalf_of.as_ref().is_some_and(is_used)
    };
    let matters = |vote: &&VoteRecord| ballot.terms.distinct_persons || vote.step == step;
    if ballot.votes.iter().filter(matters).any(uses) {
        return Err(ApprovalError::AlreadyVoted);
    }
    let stands_for = delegator.map(|delegator| (delegator.person.clone(), delegator.delegation_id.clone()));
    let owed = delegator.map_or(&voter.owed, |delegator| &delegator.owed);
    let mut owed_to: Vec<ActorId> = voter.owed.account.iter().chain(&owed.account).cloned().collect();
    for clause in &clauses {
        // Of several ways to a place, the one that is owed to the fewest; of a call, all that it rests on.
        let asked = ballot.asked(step, *clause).filter(|electorate| belongs(electorate));
        match asked.map(|electorate| owed.for_seat(electorate)).min_by_key(|by| by.len()) {
            Some(least) => owed_to.extend(least.iter().cloned()),
            None => {
                let called = ballot.called().filter(|electorate| belongs(electorate));
                owed_to.extend(called.flat_map(|electorate| owed.for_seat(electorate)).cloned());
            }
        }
    }
    owed_to.sort_unstable();
    owed_to.dedup();
    Ok(Seat { step, clauses, stands_for, owed_to })
}

fn record(cast: Cast, seat: Seat) -> VoteRecord {
    let (on_behalf_of, delegation_id) = seat.stands_for.unzip();
    VoteRecord {
        actor: cast.voter.actor,
        person: cast.voter.person,
        on_behalf_of,
        delegation_id,
        step: seat.step,
        clauses: seat.clauses,
        decision: cast.decision,
        reason: cast.reason,
        signature: cast.signature,
        owed_to: seat.owed_to,
        at: cast.at,
    }
}

fn with(votes: &[VoteRecord], vote: VoteRecord) -> Vec<VoteRecord> {
    votes.iter().cloned().chain([vote]).collect()
}
