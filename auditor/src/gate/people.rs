//! Who is one person with whom, and who stands in for whom, as earlier entries say.
//!
//! Programs learn of an entry a moment after it was recorded. What was recorded less than [`SETTLING`] before is not held
//! against anybody.

use std::collections::HashMap;

use super::payloads::{DelegationGiven, Moment};

/// Microseconds after which everybody must know of an entry.
pub(super) const SETTLING: u64 = 60_000_000;
/// Longest chain of declarations that is followed.
const LONGEST_CHAIN: usize = 64;

#[derive(Debug)]
struct Delegation {
    given: DelegationGiven,
    recorded_at: u64,
    accepted_at: Option<Moment>,
    ended_at: Option<Moment>,
}

/// What is known about people.
#[derive(Debug, Default)]
pub(super) struct People {
    same: HashMap<String, (String, u64)>,
    delegations: HashMap<String, Delegation>,
}

impl People {
    pub(super) fn declare(&mut self, account: &str, person: String, recorded_at: u64) {
        if account != person {
            self.same.insert(account.to_owned(), (person, recorded_at));
        }
    }

    pub(super) fn give(&mut self, id: &str, given: DelegationGiven, recorded_at: u64) {
        self.delegations.insert(id.to_owned(), Delegation { given, recorded_at, accepted_at: None, ended_at: None });
    }

    pub(super) fn accept(&mut self, id: &str, at: Moment, recorded_at: u64) {
        if let Some(delegation) = self.delegations.get_mut(id) {
            // It has no effect before: what others must have known of is this.
            delegation.accepted_at.get_or_insert(at);
            delegation.recorded_at = recorded_at;
        }
    }

    pub(super) fn end(&mut self, id: &str, at: Moment) {
        if let Some(delegation) = self.delegations.get_mut(id) {
            delegation.ended_at.get_or_insert(at);
        }
    }

    /// An account and those that it was declared to be the same person's as, as everybody must know at that time.
    fn chain<'a>(&'a self, account: &'a str, now: u64) -> Vec<&'a str> {
        let mut chain = vec![account];
        let mut last = account;
        while chain.len() < LONGEST_CHAIN
            && let Some((next, since)) = self.same.get(last)
            && since.saturating_add(SETTLING) <= now
            && !chain.contains(&next.as_str())
        {
            last = next;
            chain.push(next);
        }
        chain
    }

    /// Whether two accounts are known to be one person's.
    pub(super) fn is_same(&self, one: &str, other: &str, now: u64) -> bool {
        if one == other || self.same.is_empty() {
            return one == other;
        }
        let others = self.chain(other, now);
        self.chain(one, now).iter().any(|account| others.contains(account))
    }

    /// What is wrong with a vote in another's place, if anything is.
    pub(super) fn wrong_delegation(
        &self,
        id: Option<&str>,
        (from, to): (&str, &str),
        action: &str,
        at: Moment,
        now: u64,
    ) -> Option<String> {
        let Some(id) = id else { return Some(format!("no delegation is named for the vote in the place of {from}")) };
        let Some(Delegation { given, accepted_at, ended_at, .. }) = self.delegations.get(id) else {
            return Some(format!("no delegation {id} was given before"));
        };
        // What was declared a moment ago may count already.
        let later = now.saturating_add(SETTLING);
        if !self.is_same(&given.from, from, later) || !self.is_same(&given.to, to, later) {
            return Some(format!("the delegation {id} is from {} to {}", given.from, given.to));
        }
        if !given.actions.is_empty() && !given.actions.iter().any(|covered| covered == action) {
            return Some(format!("the delegation {id} is not for {action}"));
        }
        let is_over = ended_at.is_some_and(|ended| ended.0.saturating_add_unsigned(SETTLING) <= at.0);
        let is_accepted = accepted_at.is_some_and(|accepted| accepted <= at);
        if !is_accepted || at < given.starts_at || at >= given.ends_at || is_over {
            return Some(format!("the delegation {id} did not hold when it was used"));
        }
        None
    }

    /// The account that gave a delegation.
    pub(super) fn given_by(&self, id: &str) -> Option<&str> {
        self.delegations.get(id).map(|delegation| delegation.given.from.as_str())
    }

    /// A delegation from one of these people to another that held at any time between two moments.
    pub(super) fn delegation_between(
        &self,
        from: [&str; 2],
        to: &str,
        (since, until): (Moment, Moment),
        now: u64,
    ) -> Option<&str> {
        let held = |delegation: &Delegation| {
            let end = delegation.ended_at.map_or(delegation.given.ends_at, |ended| ended.min(delegation.given.ends_at));
            let start = delegation.accepted_at.map(|accepted| accepted.max(delegation.given.starts_at));
            let has_begun = start.is_some_and(|start| start <= until && start < end);
            delegation.recorded_at.saturating_add(SETTLING) <= now && has_begun && end > since
        };
        let between = |given: &DelegationGiven| {
            from.iter().any(|from| self.is_same(&given.from, from, now)) && self.is_same(&given.to, to, now)
        };
        let mut found = self.delegations.iter().filter(|(_, one)| between(&one.given) && held(one));
        found.next().map(|(id, _)| id.as_str())
    }
}
