//! Whose doing it is that somebody has a seat: what was done of late, by whom, that lets people in or lets them decide.
//!
//! Records say how things are. A role that was taken again, or given anew by another, does not say any more who gave it
//! first; so what was done is kept here beside them, as long as a request for approval looks back to it. That is at most
//! [`KEPT_MICROS`]: an emergency that nobody reviews stays open for ever, and what is kept for it does not.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use daybook_ledger::Entry;
use daybook_ledger::entry::ActorKind;
use serde::{Deserialize, Serialize};

use super::persons::OPERATOR;
use super::records::Records;
use super::state::DirectoryState;

/// How long a request looks back, in microseconds: what was done longer before it is settled.
pub const SETTLED_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// How long anything is kept at most, in microseconds. Longer than a request waits for a decision, or to be used.
pub const KEPT_MICROS: i64 = 400 * SETTLED_MICROS;

/// What is kept. Cheap to clone, and taking one more in copies what is about the same and what was done on the same day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gifts {
    /// By what they are about, each the oldest first.
    about: Records<Vec<Arc<Gift>>>,
    /// When each was done, by days.
    times: Arc<BTreeMap<i64, Arc<Vec<i64>>>>,
}

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

impl Given {
    /// What it is about: somebody, a role or a department.
    fn about(&self) -> Arc<str> {
        match self {
            Self::Account { user_id } | Self::Role { user_id, .. } => about_user(user_id),
            Self::RoleFilled { role } => about_role(role),
            Self::DepartmentPlaced { department_id } => about_department(department_id),
        }
    }
}

pub(super) fn about_user(user_id: &str) -> Arc<str> {
    format!("user/{user_id}").into()
}

pub(super) fn about_role(role: &str) -> Arc<str> {
    format!("role/{role}").into()
}

pub(super) fn about_department(department_id: &str) -> Arc<str> {
    format!("department/{department_id}").into()
}

impl Gifts {
    fn add(&mut self, gift: Gift) {
        let day = Arc::make_mut(&mut self.times).entry(day(gift.at)).or_default();
        Arc::make_mut(day).push(gift.at);
        let about = Arc::make_mut(&mut self.about).entry(gift.what.about()).or_default();
        Arc::make_mut(about).push(Arc::new(gift));
    }

    /// Whether there is anything of days that were over before `time`.
    fn has_days_before(&self, time: i64) -> bool {
        self.times.first_key_value().is_some_and(|(first, _)| *first < day(time))
    }

    fn forget_before(&mut self, time: i64) {
        let remove = |gifts: &mut Arc<Vec<Arc<Gift>>>| {
            if gifts.iter().any(|gift| gift.at < time) {
                Arc::make_mut(gifts).retain(|gift| gift.at >= time);
            }
            !gifts.is_empty()
        };
        Arc::make_mut(&mut self.about).retain(|_, gifts| remove(gifts));
        let remove = |times: &mut Arc<Vec<i64>>| {
            if times.iter().any(|at| *at < time) {
                Arc::make_mut(times).retain(|at| *at >= time);
            }
            !times.is_empty()
        };
        Arc::make_mut(&mut self.times).retain(|_, times| remove(times));
    }

    fn since(&self, since: i64) -> usize {
        let days = self.times.range(day(since)..);
        days.map(|(_, times)| times.iter().filter(|at| **at > since).count()).sum()
    }
}

/// The day of a time, counted from 1970-01-01.
fn day(time: i64) -> i64 {
    time.div_euclid(SETTLED_MICROS)
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
        self.gifts.add(Gift { by: by.to_owned(), at: entry.recorded_at, what });
    }

    /// Forgets what no request looks back to: neither one that is open, nor one that is made at `now` or later. By days: not
    /// at each gift.
    fn forget_gifts(&mut self, now: i64) {
        // Twice as long: clocks of several processes may disagree.
        let before = |at: i64| at.saturating_sub(2 * SETTLED_MICROS);
        if !self.gifts.has_days_before(before(now)) {
            return;
        }
        let open = self.approvals.values().filter_map(|record| record.approval.requested_at());
        let oldest = open.map(|at| at.micros()).fold(now, i64::min);
        let until = before(oldest).max(now.saturating_sub(KEPT_MICROS));
        if self.gifts.has_days_before(until) {
            self.gifts.forget_before(until);
        }
    }

    /// What was done about this that `matches`, the oldest first.
    pub(super) fn gifts_that(&self, about: &str, matches: impl Fn(&Given) -> bool) -> Vec<Arc<Gift>> {
        let gifts = self.gifts.about.get(about).map(|gifts| gifts.as_slice()).unwrap_or_default();
        gifts.iter().filter(|gift| matches(&gift.what)).cloned().collect()
    }

    /// How much was done after `since`. Where that is the same for two moments, so is what was done after them.
    pub fn gifts_since(&self, since: i64) -> usize {
        self.gifts.since(since)
    }

    /// Everybody whose doing these are, as far as they were done after `since`: who did it, and, where those had been let in or
    /// given a role themselves in that time, whoever did that; and when each of them did so last.
    pub fn givers<'a>(&'a self, gifts: impl IntoIterator<Item = &'a Arc<Gift>>, since: i64) -> BTreeMap<&'a str, i64> {
        let mut open: Vec<&Gift> = gifts.into_iter().map(|gift| &**gift).filter(|gift| gift.at > since).collect();
        let mut seen: HashSet<*const Gift> = HashSet::new();
        let mut givers: BTreeMap<&str, i64> = BTreeMap::new();
        while let Some(gift) = open.pop() {
            if !seen.insert(std::ptr::from_ref(gift)) {
                continue;
            }
            let last = givers.entry(gift.by.as_str()).or_insert(gift.at);
            *last = gift.at.max(*last);
            let theirs = self.ids_of(&gift.by).into_iter().filter_map(|id| self.gifts.about.get(&about_user(id)));
            let lately = theirs.flat_map(|gifts| gifts.iter());
            open.extend(lately.map(|other| &**other).filter(|other| other.at > since && other.at <= gift.at));
        }
        givers
    }
}
