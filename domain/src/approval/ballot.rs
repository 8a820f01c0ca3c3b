//! Votes against steps: which step is to be decided, who fits into it, and what is missing.

use std::collections::BTreeSet;

use super::state::Escalation;
use super::vote::{Decision, VoteRecord};
use crate::approval_policy::{Clause, Electorate, Step, Terms};
use crate::text::Line;

/// Steps and the votes on them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ballot<'a> {
    pub(super) terms: &'a Terms,
    pub(super) votes: &'a [VoteRecord],
    pub(super) escalations: &'a [Escalation],
}

/// Votes that are missing, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededVotes {
    /// The step, counted from 1.
    pub step: u32,
    /// What people call it.
    pub step_name: Option<Line>,
    /// The clause of the step, counted from 1.
    pub clause: u32,
    /// How many are missing.
    pub missing: u32,
    /// Of whom.
    pub from: Vec<Electorate>,
}

/// Where somebody fits in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In the current step, for these clauses of it, counted from 1.
    Now { step: u32, clauses: Vec<u32> },
    /// In a later step than this, the current one.
    Later { current: u32 },
    /// Nowhere.
    Nowhere,
}

impl Ballot<'_> {
    /// The first step that does not have its votes; nothing if all have.
    pub(super) fn current_step(&self) -> Option<u32> {
        let incomplete = |(number, step): &(u32, &Step)| {
            let filled = self.filled(*number, step);
            step.clauses.iter().zip(filled).any(|(clause, filled)| filled < clause.votes)
        };
        self.terms.numbered_steps().find(incomplete).map(|(number, _)| number)
    }

    /// How many votes each clause of a step has, when every vote counts for one clause and as many count as can.
    fn filled(&self, number: u32, step: &Step) -> Vec<u32> {
        let approving = self.votes.iter().filter(|vote| vote.step == number && vote.decision == Decision::Approve);
        let mut seats = Seats::of(&step.clauses);
        for vote in approving {
            seats.take(&vote.clauses, &mut BTreeSet::new());
        }
        seats.clauses.iter().map(|seat| seat.taken()).collect()
    }

    pub(super) fn still_needed(&self) -> Vec<NeededVotes> {
        let mut needed = Vec::new();
        for (number, step) in self.terms.numbered_steps() {
            let filled = self.filled(number, step);
            for ((clause_number, clause), filled) in (1..).zip(&step.clauses).zip(filled) {
                if filled < clause.votes {
                    needed.push(NeededVotes {
                        step: number,
                        step_name: step.name.clone(),
                        clause: clause_number,
                        missing: clause.votes - filled,
                        from: clause.from.clone(),
                    });
                }
            }
        }
        needed
    }

    /// Where somebody fits in who belongs to the electorates of which this says so.
    pub(super) fn place(&self, belongs_to: impl Fn(&Electorate) -> bool) -> Place {
        let Some(current) = self.current_step() else {
            return Place::Nowhere;
        };
        let fits = |step: &Step| -> Vec<u32> {
            let clauses = (1..).zip(&step.clauses);
            clauses.filter(|(_, clause)| clause.from.iter().any(&belongs_to)).map(|(number, _)| number).collect()
        };
        let called = self.escalations.iter().any(|escalation| self.is_called(escalation, current, &belongs_to));
        let mut fits_later = false;
        for (number, step) in self.terms.numbered_steps() {
            let clauses = fits(step);
            if number == current && called {
                // Whoever was called by the chain of escalation may stand in any place.
                let every_clause = (1..).zip(&step.clauses).map(|(clause_number, _)| clause_number).collect();
                return Place::Now { step: number, clauses: every_clause };
            }
            if number == current && !clauses.is_empty() {
                return Place::Now { step: number, clauses };
            }
            fits_later |= number > current && !clauses.is_empty();
        }
        if fits_later { Place::Later { current } } else { Place::Nowhere }
    }

    /// Whom a clause of a step asks.
    pub(super) fn asked(&self, step: u32, clause: u32) -> impl Iterator<Item = &Electorate> {
        let steps = self.terms.numbered_steps().filter(move |(number, _)| *number == step);
        let clauses = steps.flat_map(|(_, step)| (1..).zip(&step.clauses));
        clauses.filter(move |(number, _)| *number == clause).flat_map(|(_, clause)| &clause.from)
    }

    /// Everybody by whose being called somebody may stand in any clause.
    pub(super) fn called(&self) -> impl Iterator<Item = &Electorate> {
        let by_policy = self.terms.escalation.iter().flat_map(|rule| &rule.to);
        self.escalations.iter().flat_map(|escalation| &escalation.to).chain(by_policy)
    }

    /// Whether an escalation called somebody to this step. Somebody's own escalation calls only those whom the policy's
    /// chain names as well: else whoever escalates would choose who decides.
    fn is_called(&self, escalation: &Escalation, step: u32, belongs_to: impl Fn(&Electorate) -> bool) -> bool {
        let named_by_policy = || self.terms.escalation.iter().flat_map(|rule| &rule.to).any(&belongs_to);
        escalation.widens
            && escalation.from_step <= step
            && escalation.to.iter().any(&belongs_to)
            && (escalation.automatic || named_by_policy())
    }
}

/// The seats of the clauses of one step, and the votes that sit in them: a maximum bipartite matching, grown vote by
/// vote along augmenting paths.
struct Seats<'a> {
    clauses: Vec<Seat<'a>>,
}

struct Seat<'a> {
    number: u32,
    votes: u32,
    /// For which clauses each vote that sits here could count.
    sitting: Vec<&'a [u32]>,
}

impl Seat<'_> {
    fn taken(&self) -> u32 {
        u32::try_from(self.sitting.len()).unwrap_or(u32::MAX)
    }
}

impl<'a> Seats<'a> {
    fn of(clauses: &[Clause]) -> Self {
        let seats = (1..).zip(clauses);
        Self {
            clauses: seats.map(|(number, clause)| Seat { number, votes: clause.votes, sitting: Vec::new() }).collect(),
        }
    }

    /// Gives a vote a seat in one of these clauses, where others move to make room if they can. Says whether it sits.
    fn take(&mut self, vote: &'a [u32], visited: &mut BTreeSet<u32>) -> bool {
        for index in 0..self.clauses.len() {
            let Some(seat) = self.clauses.get_mut(index) else { continue };
            if !vote.contains(&seat.number) || !visited.insert(seat.number) {
                continue;
            }
            if seat.taken() < seat.votes {
                seat.sitting.push(vote);
                return true;
            }
            let sitting = seat.sitting.clone();
            for (place, other) in sitting.into_iter().enumerate() {
                if !self.take(other, visited) {
                    continue;
                }
                // The other sits elsewhere now.
                if let Some(freed) = self.clauses.get_mut(index).and_then(|seat| seat.sitting.get_mut(place)) {
                    *freed = vote;
                }
                return true;
            }
        }
        false
    }
}
