//! One request as the model sees it. Nothing here is taken from the aggregate: who may vote is worked out from plain lists
//! of people, and whether a step has its votes by Hall's theorem over all sets of clauses instead of by a matching.

use daybook_domain::text::ActorId;

use crate::people::People;
use crate::policies::{Policy, Who, includes};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Draft,
    Pending,
    Approved,
    Rejected,
    Withdrawn,
    Expired,
    Consumed,
    Voided,
}

/// A vote that counts. Accounts, not persons: whose they are is looked up when it matters.
#[derive(Debug, Clone, PartialEq)]
pub struct Ballot {
    pub account: usize,
    /// The id that the person had when the vote was cast.
    pub recorded: ActorId,
    pub behalf: Option<usize>,
    pub step: u32,
    pub fits: Vec<u32>,
}

/// Somebody who was called by an escalation.
#[derive(Debug, Clone)]
pub struct Call {
    pub automatic: bool,
    /// Whether it gives those who were called a say.
    pub widens: bool,
    pub to: Vec<Who>,
    pub from_step: u32,
}

#[derive(Debug, Clone)]
pub struct Emergency {
    pub breaker: usize,
    pub review_by: u64,
    pub noted: bool,
    pub votes: Vec<Ballot>,
    /// Whether it was right; nothing while nobody decided.
    pub accepted: Option<bool>,
}

#[derive(Debug, Clone)]
pub struct Model {
    pub requester: usize,
    /// The person when the request was made; that person's account.
    pub requester_person: usize,
    /// Which action: requests with the same number are for the same one.
    pub content: u32,
    pub revision: u64,
    pub policy: Policy,
    pub status: Status,
    pub made: u64,
    /// When it was made or revised last.
    pub written: u64,
    pub submitted: u64,
    pub decide_by: u64,
    pub grant_until: Option<u64>,
    pub votes: Vec<Ballot>,
    pub calls: Vec<Call>,
    pub emergency: Option<Emergency>,
    pub execution: Option<u64>,
    pub comments: Vec<u64>,
}

/// Where a vote would count.
#[derive(Debug, Clone, PartialEq)]
pub struct Seat {
    pub step: u32,
    pub behalf: Option<usize>,
    pub fits: Vec<u32>,
}

impl Model {
    /// The first step that does not have its votes.
    pub fn current_step(&self, votes: &[Ballot]) -> Option<u32> {
        let numbers = 1..=u32::try_from(self.policy.steps.len()).unwrap();
        numbers.zip(&self.policy.steps).find(|(number, step)| !is_full(step, *number, votes)).map(|(number, _)| number)
    }

    pub fn has_open_review(&self) -> bool {
        self.emergency.as_ref().is_some_and(|emergency| emergency.accepted.is_none())
    }

    /// Whether two accounts are one person's, now.
    fn same(people: &People, one: usize, other: usize) -> bool {
        people.accounts[one].person == people.accounts[other].person
    }

    /// The accounts that do not decide: of the request or, in the review, of who broke the glass as well.
    pub fn kept_out(&self, review: bool) -> Vec<usize> {
        let breaker = self.emergency.as_ref().filter(|_| review).map(|emergency| emergency.breaker);
        [self.requester, self.requester_person].into_iter().chain(breaker).collect()
    }

    fn is_kept_out(&self, account: usize, other: usize, people: &People, now: u64) -> bool {
        let person = people.accounts[account].person;
        let mut from = people.stand_ins_of(person, self.made, now);
        Self::same(people, account, other) || from.any(|stand_in| Self::same(people, stand_in.from, other))
    }

    /// Where a vote with this account would count, if it would: of the request, or of the review.
    pub fn seat(&self, account: usize, behalf: Option<usize>, review: bool, people: &People, now: u64) -> Option<Seat> {
        let acting = &people.accounts[account];
        let kept_out = self.kept_out(review);
        if people.is_let_in_by(account, &kept_out) {
            return None;
        }
        let votes: &[Ballot] = if review {
            let emergency = self.emergency.as_ref().filter(|emergency| emergency.accepted.is_none())?;
            &emergency.votes
        } else {
            if self.status != Status::Pending || now >= self.decide_by {
                return None;
            }
            &self.votes
        };
        let is_kept_out = |account: usize| kept_out.iter().any(|other| self.is_kept_out(account, *other, people, now));
        if acting.is_program || !acting.active || is_kept_out(account) {
            return None;
        }
        let absent: Vec<usize> = people.absent_for(acting.person, now).iter().map(|stand_in| stand_in.from).collect();
        let candidates: Vec<Option<usize>> = match behalf {
            Some(other) => {
                let named = absent.into_iter().find(|from| Self::same(people, *from, other))?;
                vec![Some(named)]
            }
            None => [None].into_iter().chain(absent.into_iter().map(Some)).collect(),
        };
        let step = self.current_step(votes)?;
        candidates.into_iter().filter(|behalf| !behalf.is_some_and(is_kept_out)).find_map(|behalf| {
            let fits = self.fits(step, behalf.unwrap_or(account), review, people);
            let involved = |vote: &Ballot| [Some(vote.account), vote.behalf].into_iter().flatten().collect::<Vec<_>>();
            let is_used = votes.iter().any(|vote| {
                let both = [Some(account), behalf].into_iter().flatten();
                let meets = both.flat_map(|one| involved(vote).into_iter().map(move |other| (one, other)));
                (self.policy.distinct || vote.step == step)
                    && meets.into_iter().any(|(one, other)| Self::same(people, one, other))
            });
            (!fits.is_empty() && !is_used).then_some(Seat { step, behalf, fits })
        })
    }

    /// The clauses of a step for which a vote of whoever has this account could count.
    fn fits(&self, step: u32, account: usize, review: bool, people: &People) -> Vec<u32> {
        let index = usize::try_from(step - 1).unwrap();
        let clauses = &self.policy.steps[index];
        let all = 1..=u32::try_from(clauses.len()).unwrap();
        let chain: Vec<Who> = self.policy.chain.iter().flat_map(|link| link.to.clone()).collect();
        let is_called = !review
            && self.calls.iter().any(|call| {
                let may_call = call.automatic || (call.widens && includes(&chain, account, people));
                call.from_step <= step && may_call && includes(&call.to, account, people)
            });
        if is_called {
            return all.collect();
        }
        all.zip(clauses).filter(|(_, (_, from))| includes(from, account, people)).map(|(number, _)| number).collect()
    }

    /// When the clock next does something to it.
    pub fn due(&self) -> Option<u64> {
        let chain_due = || {
            let taken = self.calls.iter().filter(|call| call.automatic).count();
            let so_far: u64 = self.policy.chain.iter().take(taken + 1).map(|link| link.after).sum();
            (taken < self.policy.chain.len() && self.submitted + so_far < self.decide_by)
                .then_some(self.submitted + so_far)
        };
        let of_status = match self.status {
            Status::Draft => Some(self.submit_until()),
            Status::Pending => Some(chain_due().unwrap_or(self.decide_by)),
            Status::Approved => self.grant_until,
            _ => None,
        };
        let review = self.emergency.as_ref().filter(|one| one.accepted.is_none() && !one.noted);
        [of_status, review.map(|one| one.review_by)].into_iter().flatten().min()
    }

    /// Until when a draft may be submitted.
    pub fn submit_until(&self) -> u64 {
        self.written + self.policy.decide_within
    }

    pub fn is_open(&self) -> bool {
        matches!(self.status, Status::Draft | Status::Pending | Status::Approved) || self.has_open_review()
    }
}

/// Hall's theorem: every clause has its votes, each vote counting once, exactly if for every set of clauses there are at
/// least as many votes that fit into one of them as they need together.
fn is_full(step: &[(u32, Vec<Who>)], number: u32, votes: &[Ballot]) -> bool {
    (0..1_u32 << step.len()).all(|set| {
        let holds = |clause: u32| set & (1 << (clause - 1)) != 0;
        let needed: u32 = (1..).zip(step).filter(|(clause, _)| holds(*clause)).map(|(_, (votes, _))| votes).sum();
        let fitting = votes.iter().filter(|vote| vote.step == number && vote.fits.iter().any(|clause| holds(*clause)));
        u32::try_from(fitting.count()).unwrap() >= needed
    })
}
