//! What an account brings to a vote: the roles that hold everywhere, and the departments within which it has any.
//!
//! Only grants that grant something count: not those of a retired role, nor of one without permissions. Whoever asks may
//! leave out grants further.

use std::collections::BTreeSet;

use super::access::current;
use super::records::{Grant, UserRecord, UserStatus};
use super::state::DirectoryState;

/// Where an account may sit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seats {
    /// Roles that hold everywhere in the organisation, by name. As they were given, not as others inherit them.
    pub roles: Vec<String>,
    /// Open departments within which a role holds, those below that of the grant included.
    pub departments: Vec<String>,
}

impl DirectoryState {
    /// The seats of an account at `now` by those of its grants that `counts` says yes to; `None` where it is unknown or not
    /// active, and for everybody where an entry of the organisation's was not understood.
    pub fn seats_of(&self, user_id: &str, now: i64, counts: impl Fn(&Grant) -> bool) -> Option<Seats> {
        let user: &UserRecord = self.users.get(user_id).filter(|user| user.status == UserStatus::Active)?;
        if self.not_understood.is_some() {
            return None;
        }
        let (mut roles, mut departments) = (BTreeSet::new(), BTreeSet::new());
        for grant in current(user, now).filter(|grant| counts(grant)) {
            let mut permissions = BTreeSet::new();
            self.collect(&grant.role, &mut permissions);
            match grant.department_id.as_deref() {
                None if !self.lineage(&grant.role).is_empty() => {
                    roles.insert(grant.role.clone());
                }
                Some(department_id) if !permissions.is_empty() => {
                    departments.extend(self.with_departments_below(department_id));
                }
                _ => {}
            }
        }
        let departments = departments.into_iter().map(str::to_owned).collect();
        Some(Seats { roles: roles.into_iter().collect(), departments })
    }
}
