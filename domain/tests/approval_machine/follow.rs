//! How the model follows what happened: its own bookkeeping from the events that were recorded.
//!
//! Before it believes an event it holds it against its own rules, above all against what must never happen.

use std::collections::BTreeSet;

use daybook_domain::ApprovalEvent;
use daybook_domain::approval::{Decision, Expiry, ReviewOutcome, VoidReason, Voted};

use crate::model::{Ballot, Call, Emergency, Model, Seat, Status};
use crate::people::{People, time};
use crate::policies::{Policy, Who, includes};

/// What the model knows about a command that led to events.
#[derive(Debug, Clone)]
pub struct Facts {
    pub now: u64,
    /// The seat that the model gives the vote, if it was one.
    pub seat: Option<Seat>,
    /// The new action and policy of a request that is revised.
    pub revision: Option<(u32, Policy)>,
    /// Whom an escalation calls, and whether whoever does it could vote.
    pub to: Vec<Who>,
    pub widens: bool,
    /// Whether another emergency is not reviewed yet.
    pub open_review: bool,
    /// What is about to be done: the action, the version of the policy, whether the requester may, and by which execution.
    pub execution: Option<(u32, u64, bool, u64)>,
}

impl Facts {
    /// Of a command that is none of these.
    pub fn at(now: u64) -> Self {
        let (to, widens, open_review) = (Vec::new(), false, false);
        Self { now, seat: None, revision: None, to, widens, open_review, execution: None }
    }
}

impl Model {
    pub fn follow(&mut self, event: &ApprovalEvent, facts: &Facts, people: &People) {
        let now = facts.now;
        match event {
            ApprovalEvent::Requested(_) => {}
            ApprovalEvent::Submitted(_) => {
                assert!(self.status == Status::Draft && now < self.submit_until(), "a draft was submitted too late");
                (self.status, self.submitted) = (Status::Pending, now);
                self.decide_by = now + self.policy.decide_within;
            }
            ApprovalEvent::Revised(_) => self.follow_revision(facts),
            ApprovalEvent::Voted(event) => {
                assert!(self.status == Status::Pending && now < self.decide_by, "a vote after the decision");
                self.check_vote(event, facts, people, &[self.requester, self.requester_person], &self.votes);
                if event.decision() == Decision::Approve {
                    self.votes.push(ballot(event, facts, people));
                }
            }
            ApprovalEvent::VoteWithdrawn(event) => {
                let before = self.votes.len();
                let own = |vote: &Ballot| vote.recorded == event.person;
                self.votes.retain(|vote| vote.step <= event.step && !(vote.step == event.step && own(vote)));
                assert!(self.votes.len() < before, "a vote was withdrawn that was not there");
            }
            ApprovalEvent::Approved(event) => {
                assert_eq!(self.status, Status::Pending);
                assert_eq!(self.current_step(&self.votes), None, "approved without enough votes");
                assert_eq!((event.revision, event.policy_version), (self.revision, self.policy.version));
                self.status = Status::Approved;
                self.grant_until = Some(now + self.policy.grant);
            }
            ApprovalEvent::Rejected(_) => {
                assert_eq!(self.status, Status::Pending);
                self.status = Status::Rejected;
            }
            ApprovalEvent::Commented(event) => self.comments.push(event.comment_id.as_str().parse().unwrap()),
            ApprovalEvent::Assigned(_) => assert!(self.is_open()),
            ApprovalEvent::Escalated(event) => {
                assert_eq!(self.status, Status::Pending);
                let link = self.policy.chain.get(self.calls.iter().filter(|call| call.automatic).count());
                let to = match link {
                    Some(link) if event.automatic => link.to.clone(),
                    _ => facts.to.clone(),
                };
                let widens = event.automatic || facts.widens;
                assert_eq!(event.widens, widens, "somebody who could not vote chose who may, or the other way round");
                assert!(widens || event.repeat_from.is_none(), "a call for attention voided votes");
                if let Some(step) = event.repeat_from {
                    self.votes.retain(|vote| vote.step < step);
                }
                assert!(event.from_step <= self.current_step(&self.votes).unwrap());
                self.calls.push(Call { automatic: event.automatic, widens, to, from_step: event.from_step });
            }
            ApprovalEvent::Withdrawn(_) => self.status = Status::Withdrawn,
            ApprovalEvent::Expired(event) => {
                let (expected, over) = match event.what {
                    Expiry::Draft => (Status::Draft, Some(self.submit_until())),
                    Expiry::Decision => (Status::Pending, Some(self.decide_by)),
                    Expiry::Grant => (Status::Approved, self.grant_until),
                };
                assert!(self.status == expected && over.unwrap() <= now, "expired too early");
                self.status = Status::Expired;
            }
            ApprovalEvent::Consumed(_) => self.follow_consumption(facts),
            ApprovalEvent::Voided(event) => {
                let is_taken_back = self.status == Status::Consumed && event.why == VoidReason::BasisChanged;
                let is_undone = matches!(self.status, Status::Draft | Status::Pending | Status::Approved);
                assert!(is_undone || is_taken_back, "what was done was voided");
                self.status = Status::Voided;
            }
            ApprovalEvent::GlassBroken(event) => {
                let glass = self.policy.glass.as_ref().expect("a glass was broken that there is not");
                let breaker = people.account_of(&event.actor);
                assert!(self.status == Status::Pending && now < self.decide_by && !people.accounts[breaker].is_program);
                assert!(!facts.open_review, "broken again before the review");
                assert!(includes(&glass.who, breaker, people), "broken without a right to");
                assert_eq!(event.grant_expires_at, time(now + glass.grant));
                let review_by = now + glass.review_within;
                (self.status, self.grant_until) = (Status::Approved, Some(now + glass.grant));
                self.emergency =
                    Some(Emergency { breaker, review_by, noted: false, votes: Vec::new(), accepted: None });
            }
            ApprovalEvent::Reviewed(event) => {
                let emergency = self.emergency.as_ref().expect("a review without an emergency");
                assert_eq!(emergency.accepted, None, "a review after its end");
                let kept_out = [self.requester, self.requester_person, emergency.breaker];
                self.check_vote(event, facts, people, &kept_out, &emergency.votes);
                let vote = ballot(event, facts, people);
                if event.decision() == Decision::Approve {
                    self.emergency.as_mut().unwrap().votes.push(vote);
                }
            }
            ApprovalEvent::ReviewClosed(event) => {
                let votes = self.emergency.as_ref().unwrap().votes.clone();
                let accepted = event.outcome == ReviewOutcome::Accepted;
                assert!(!accepted || self.current_step(&votes).is_none(), "accepted without enough votes");
                self.emergency.as_mut().unwrap().accepted = Some(accepted);
            }
            ApprovalEvent::ReviewOverdue(_) => {
                let emergency = self.emergency.as_mut().unwrap();
                assert!(!emergency.noted && emergency.review_by <= now);
                emergency.noted = true;
            }
        }
    }

    /// The nevers of voting, from who people are now.
    fn check_vote(&self, event: &Voted, facts: &Facts, people: &People, kept_out: &[usize], before: &[Ballot]) {
        let account = people.account_of(&event.vote.actor);
        assert!(!people.is_let_in_by(account, kept_out), "somebody voted whom the requester let in");
        let person = |account: usize| people.accounts[account].person;
        let acting = &people.accounts[account];
        assert!(!acting.is_program && acting.active, "a program or an inactive account voted");
        for &other in kept_out {
            assert_ne!(person(account), person(other), "whoever asks or broke the glass voted");
            let mut stands_in = people.stand_ins_of(person(account), self.made, facts.now);
            let stands_in_for_other = stands_in.any(|stand_in| person(stand_in.from) == person(other));
            assert!(!stands_in_for_other, "a delegate of whoever asks or broke the glass voted");
        }
        let behalf = event.vote.on_behalf_of.as_ref().map(|id| people.account_of(id));
        let counted: BTreeSet<usize> = [Some(account), behalf].into_iter().flatten().map(person).collect();
        for &other in kept_out {
            assert!(!counted.contains(&person(other)), "a vote counts for whoever asks or broke the glass");
            let mut absent = behalf.iter().flat_map(|from| people.stand_ins_of(person(*from), self.made, facts.now));
            let is_barred = absent.any(|stand_in| person(stand_in.from) == person(other));
            assert!(!is_barred, "a vote was handed on by a delegate of whoever asks or broke the glass");
        }
        for vote in before.iter().filter(|vote| self.policy.distinct || vote.step == event.vote.step) {
            let used = [Some(vote.account), vote.behalf].into_iter().flatten().map(person);
            assert!(!used.into_iter().any(|person| counted.contains(&person)), "somebody is counted twice");
        }
        assert_eq!(event.revision, self.revision, "a vote on another revision");
        let seat = facts.seat.as_ref().expect("a vote that the model does not allow");
        assert_eq!((event.vote.step, &event.vote.clauses), (seat.step, &seat.fits), "a vote in another seat");
        assert_eq!(behalf.map(person), seat.behalf.map(person));
    }

    fn follow_revision(&mut self, facts: &Facts) {
        assert!(matches!(self.status, Status::Draft | Status::Pending | Status::Approved));
        assert!(self.emergency.is_none(), "what was granted in an emergency was revised");
        let (content, policy) = facts.revision.clone().unwrap();
        assert!(!self.is_written(content, &policy), "revised to what it was");
        self.written = facts.now;
        self.revision += 1;
        (self.content, self.policy) = (content, policy);
        self.votes.clear();
        self.calls.clear();
        self.grant_until = None;
        if self.status != Status::Draft {
            (self.status, self.submitted) = (Status::Pending, facts.now);
            self.decide_by = facts.now + self.policy.decide_within;
        }
    }

    /// Whether it is this action under this policy already.
    pub fn is_written(&self, content: u32, policy: &Policy) -> bool {
        // Policies of one action have a version each; those of different actions are for different contents.
        self.content == content && self.policy.version == policy.version
    }

    /// The nevers of doing: not without enough votes or an emergency that others review, not late, not something else,
    /// not under another policy, not for somebody who may not, and not twice.
    fn follow_consumption(&mut self, facts: &Facts) {
        let (content, version, allowed, execution) = facts.execution.unwrap();
        assert_eq!(self.execution, None, "done twice");
        assert_eq!(self.status, Status::Approved, "done without approval");
        assert!(facts.now < self.grant_until.unwrap(), "done after the grant was over");
        assert_eq!(content, self.content, "something else was done");
        assert_eq!(version, self.policy.version, "done under another policy");
        assert!(allowed, "done for a requester who may not");
        let enough_votes = self.current_step(&self.votes).is_none();
        let reviewed = self.emergency.as_ref().is_some_and(|one| one.accepted != Some(false));
        assert!(enough_votes || reviewed, "done without enough votes");
        (self.status, self.execution) = (Status::Consumed, Some(execution));
    }
}

fn ballot(event: &Voted, facts: &Facts, people: &People) -> Ballot {
    let seat = facts.seat.clone().unwrap();
    let account = people.account_of(&event.vote.actor);
    let recorded = people.person_of(account).id.clone();
    Ballot { account, recorded, behalf: seat.behalf, step: seat.step, fits: seat.fits }
}
