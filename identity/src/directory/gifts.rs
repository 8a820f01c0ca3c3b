//! Whose doing it is that somebody has a seat: what was done of late, by whom, that lets people in or lets them decide.
//!
//! Records say how things are. A role that was taken again, or given anew by another, does not say any more who gave it
//! first; so what was done is kept here beside them, as long as a request for approval can be about it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use daybook_ledger::Entry;
use daybook_ledger::entry::ActorKind;
use serde::{Deserialize, Serialize};

use super::persons::OPERATOR;
use super::state::DirectoryState;

/// How long a request looks back, in microseconds: what was done longer before it is settled.
pub const SETTLED_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// What is kept, the oldest first. Cheap to clone.
pub(super) type Gifts = Arc<VecDeque<Arc<Gift>>>;

/// Something that somebody did by which others came to a seat, or may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gift {
    /// The account that did it.
    pub by: String,
    /// When it was recorded.
    pub at: i64,
    /// What was done.
    pub what: Given,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// An account came into use, or into other hands: invited, reactivated, another address or provider, without a second
    /// factor.
    Account {
        /// Whose.
        user_id: String,
    },
    /// A role was given, or for longer.
    Role {
        /// To whom.
        user_id: String,
        /// Its name.
        role: String,
        /// Within which department, if not everywhere.
        department_id: Option<String>,
        /// From when that makes a difference: not before it would have been over.
        from: i64,
    },
    /// A role that allowed nothing allows something.
    RoleFilled {
        /// Its name.
        role: String,
    },
    /// A department was put below another one.
    DepartmentPlaced {
        /// Which.
        department_id: String,
    },
}

impl Gift {
    /// Whose power it adds to: who was given it.
    fn to(&self) -> Option<&str> {
        match &self.what {
            Given::Account { user_id } | Given::Role { user_id, .. } => Some(user_id),
            Given::RoleFilled { .. } | Given::DepartmentPlaced { .. } => None,
        }
    }
}

impl DirectoryState {
    /// Takes in that whoever recorded `entry` did this. What Daybook records by itself, as the role that follows from an
    /// invitation, is nobody's doing.
    pub(super) fn give(&mut self, entry: &Entry, what: Given) {
        let by = entry.actor.id.as_str();
        let is_somebody = entry.actor.kind == ActorKind::Human || by == OPERATOR || self.api_keys.contains_key(by);
        if !is_somebody {
            return;
        }
        self.forget_gifts(entry.recorded_at);
        let gift = Gift { by: by.to_owned(), at: entry.recorded_at, what };
        Arc::make_mut(&mut self.gifts).push_back(Arc::new(gift));
    }

    /// Forgets what no request looks back to: neither one that is open, nor one that is made at `now` or later.
    fn forget_gifts(&mut self, now: i64) {
        // Twice as long: clocks of several processes may disagree.
        let before = |at: i64| at.saturating_sub(2 * SETTLED_MICROS);
        let is_over = |gifts: &Gifts, at: i64| gifts.front().is_some_and(|gift| gift.at < before(at));
        if !is_over(&self.gifts, now) {
            return;
        }
        let open = self.approvals.values().filter_map(|record| record.approval.requested_at());
        let oldest = open.map(|at| at.micros()).fold(now, i64::min);
        while is_over(&self.gifts, oldest) {
            Arc::make_mut(&mut self.gifts).pop_front();
        }
    }

    /// What was done that `matches`.
    pub(super) fn gifts_that(&self, matches: impl Fn(&Given) -> bool) -> Vec<Arc<Gift>> {
        self.gifts.iter().filter(|gift| matches(&gift.what)).cloned().collect()
    }

    /// How much was done after `since`. Where that is the same for two moments, so is what was done after them.
    pub fn gifts_since(&self, since: i64) -> usize {
        self.gifts.iter().filter(|gift| gift.at > since).count()
    }

    /// Everybody whose doing these are, as far as they were done after `since`: who did it, and, where those had been let in or
    /// given a role themselves in that time, whoever did that.
    pub fn givers<'a>(&'a self, gifts: impl IntoIterator<Item = &'a Arc<Gift>>, since: i64) -> BTreeSet<&'a str> {
        let mut open: Vec<&Gift> = gifts.into_iter().map(|gift| &**gift).filter(|gift| gift.at > since).collect();
        let mut seen: Vec<&Gift> = Vec::new();
        let mut givers = BTreeSet::new();
        while let Some(gift) = open.pop() {
            if seen.iter().any(|other| std::ptr::eq(*other, gift)) {
                continue;
            }
            seen.push(gift);
            givers.insert(gift.by.as_str());
            let person = self.person_of(&gift.by);
            let is_theirs = |other: &&Gift| other.to().is_some_and(|to| to == gift.by || self.person_of(to) == person);
            let lately = self.gifts.iter().filter(|other| other.at > since && other.at <= gift.at);
            open.extend(lately.map(|other| &**other).filter(is_theirs));
        }
        givers
    }
}
