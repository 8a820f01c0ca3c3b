//! What an account brings to a vote: the roles that hold everywhere, and the departments within which it has any; and whose
//! doing each of them is, where that is not long ago.
//!
//! Only grants that grant something count: not those of a retired role, nor within departments of one without permissions.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::access::current;
use super::gifts::{Gift, Given, about_department, about_role, about_user};
use super::records::{Grant, UserRecord, UserStatus};
use super::state::DirectoryState;

/// Where an account may sit, as things are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seats {
    /// What was done of late by which the account is in use, or in these hands.
    pub gifts: Vec<Arc<Gift>>,
    /// The seats; the same one as often as there are ways to it.
    pub seats: Vec<Seat>,
}

/// One way to a seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Which seat.
    pub of: SeatOf,
    /// What was done of late by which it is there, beside what the account itself owes.
    pub gifts: Vec<Arc<Gift>>,
}

/// What makes somebody one of those who are asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SeatOf {
    /// A role that holds everywhere in the organisation, by name. As it was given, not as others inherit it.
    Role(String),
    /// An open department within which a role holds, below that of the grant or the same.
    Department(String),
}

impl DirectoryState {
    /// The seats of an account at `now`; `None` where it is unknown or not active, and for everybody where an entry of the
    /// organisation's was not understood.
    pub fn seats_of(&self, user_id: &str, now: i64) -> Option<Seats> {
        let user: &UserRecord = self.users.get(user_id).filter(|user| user.status == UserStatus::Active)?;
        if self.not_understood.is_some() {
            return None;
        }
        let of_account = |given: &Given| matches!(given, Given::Account { user_id: id } if id == user_id);
        let mut found = Seats { gifts: self.gifts_that(&about_user(user_id), of_account), seats: Vec::new() };
        for grant in current(user, now) {
            let gifts = self.gifts_of_grant(user_id, grant, now);
            match grant.department_id.as_deref() {
                None if !self.lineage(&grant.role).is_empty() => {
                    found.seats.push(Seat { of: SeatOf::Role(grant.role.clone()), gifts });
                }
                Some(department_id) => self.seats_below(department_id, &grant.role, &gifts, &mut found.seats),
                None => {}
            }
        }
        Some(found)
    }

    /// What was done since the role was given for the first time, of those times that still hold.
    fn gifts_of_grant(&self, user_id: &str, grant: &Grant, now: i64) -> Vec<Arc<Gift>> {
        let mut gifts = self.gifts_that(&about_user(user_id), |given| {
            let Given::Role { user_id: to, role, department_id, from } = given else { return false };
            to == user_id && *role == grant.role && *department_id == grant.department_id && *from <= now
        });
        gifts.retain(|gift| gift.at >= grant.granted_at);
        gifts
    }

    /// The seats of a grant within a department: there and in all below it.
    fn seats_below(&self, department_id: &str, role: &str, gifts: &[Arc<Gift>], seats: &mut Vec<Seat>) {
        let mut permissions = BTreeSet::new();
        self.collect(role, &mut permissions);
        if permissions.is_empty() {
            return;
        }
        let lineage = self.lineage(role);
        let filled: Vec<_> = lineage.iter().flat_map(|role| self.gifts_that(&about_role(role), |_| true)).collect();
        for below in self.with_departments_below(department_id) {
            // What is above the department of the grant plays no part.
            let above = self.departments_between(below, department_id);
            let placed: Vec<_> = above.iter().flat_map(|id| self.gifts_that(&about_department(id), |_| true)).collect();
            let gifts = gifts.iter().chain(&filled).chain(&placed).cloned().collect();
            seats.push(Seat { of: SeatOf::Department(below.to_owned()), gifts });
        }
    }
}
