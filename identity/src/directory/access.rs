//! What people and API keys may do: roles resolved to permissions.
//!
//! A role's permissions are its own and those of the roles that it inherits, at most [`MAX_INHERITANCE_DEPTH`] steps
//! away. Roles that inherit each other in a circle count once each. A retired role and a grant whose time is over grant
//! nothing, nothing is granted within a closed department, and what is not known grants nothing.
//!
//! An API key never holds more than its maker held everywhere in the organisation when the key was made, nor more than
//! the person who answers for it holds now, whatever its scopes say; and it is dead while that person is not active.

use std::collections::BTreeSet;
use std::sync::Arc;

use daybook_http_kit::permission_set::PermissionSet;
use daybook_http_kit::principal::{Access, DepartmentAccess};
use daybook_http_kit::role::{BUILT_IN_ROLES, BuiltInRole};
use quick_cache::sync::Cache;

use super::records::{ApiKeyRecord, Grant, UserRecord, UserStatus};
use super::state::DirectoryState;

/// How many steps of inheritance count.
pub const MAX_INHERITANCE_DEPTH: usize = 8;
/// People and keys whose access is held ready.
const HELD: usize = 16_384;

/// What a person may do at a moment.
#[derive(Debug, Clone)]
pub struct UserAccess {
    /// Whether the account is in use: where it is not, there is no role and no permission.
    pub status: UserStatus,
    /// Roles that hold everywhere in the organisation, the strongest first.
    pub roles: Arc<[String]>,
    /// Permissions, everywhere and within departments.
    pub access: Arc<Access>,
}

/// Whether an API key is good at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStatus {
    /// It is.
    Live,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
    /// Whoever answers for it is not active any more.
    Orphaned,
}

/// What an API key may do at a moment.
#[derive(Debug, Clone)]
pub struct KeyAccess {
    /// The key.
    pub record: Arc<ApiKeyRecord>,
    /// Whether it is good.
    pub status: KeyStatus,
    /// Its permissions: its scopes, as far as its maker held them when it was made and whoever answers for it holds
    /// them now.
    pub access: Arc<Access>,
}

/// A person's resolved access, and for which state and time it holds.
struct Held {
    access_position: u64,
    structure_position: u64,
    from: i64,
    until: i64,
    resolved: UserAccess,
}

/// A key's resolved access, and for which state and time it holds.
struct HeldOfKey {
    record_position: u64,
    /// Of whoever answers for it; 0 where that is the operator.
    access_position: u64,
    structure_position: u64,
    from: i64,
    until: i64,
    access: Arc<Access>,
}

/// Resolved accesses. Shared by the states that follow one another: an entry says for which of them it holds.
pub(super) struct AccessCache {
    users: Cache<Arc<str>, Arc<Held>>,
    keys: Cache<Arc<str>, Arc<HeldOfKey>>,
}

impl Default for AccessCache {
    fn default() -> Self {
        Self { users: Cache::new(HELD), keys: Cache::new(HELD) }
    }
}

impl DirectoryState {
    /// What a person may do at `now` (microseconds); `None` for somebody unknown, and for everybody where an entry of
    /// the organisation's was not understood.
    pub fn access_of(&self, user_id: &str, now: i64) -> Option<UserAccess> {
        self.held_access(user_id, now).map(|held| held.resolved.clone())
    }

    fn held_access(&self, user_id: &str, now: i64) -> Option<Arc<Held>> {
        if self.not_understood.is_some() {
            return None;
        }
        let (id, user) = self.users.get_key_value(user_id)?;
        if let Some(held) = self.cache.users.get(user_id)
            && held.access_position == user.access_position
            && held.structure_position == self.structure_position
            && (held.from..held.until).contains(&now)
        {
            return Some(held);
        }
        let (resolved, until) = self.resolve(user, now);
        let held = Arc::new(Held {
            access_position: user.access_position,
            structure_position: self.structure_position,
            from: now,
            until,
            resolved,
        });
        self.cache.users.insert(Arc::clone(id), Arc::clone(&held));
        Some(held)
    }

    /// What an API key may do at `now`; `None` for an unknown one, and for all where an entry was not understood.
    pub fn access_of_key(&self, key_id: &str, now: i64) -> Option<KeyAccess> {
        if self.not_understood.is_some() {
            return None;
        }
        let (id, record) = self.api_keys.get_key_value(key_id)?;
        let is_active =
            |user_id: &String| self.users.get(user_id.as_str()).is_some_and(|user| user.status == UserStatus::Active);
        let status = if record.revoked_at.is_some() {
            KeyStatus::Revoked
        } else if record.expires_at.is_some_and(|expires_at| now >= expires_at) {
            KeyStatus::Expired
        } else if record.accountable.as_ref().is_some_and(|user_id| !is_active(user_id)) {
            KeyStatus::Orphaned
        } else {
            KeyStatus::Live
        };
        Some(KeyAccess { record: Arc::clone(record), status, access: self.permitted_to_key(id, record, now) })
    }

    /// A key's scopes, within what its maker held and within what whoever answers for it holds now.
    fn permitted_to_key(&self, id: &Arc<str>, record: &ApiKeyRecord, now: i64) -> Arc<Access> {
        let accountable = record.accountable.as_deref();
        let access_position =
            accountable.and_then(|user_id| self.users.get(user_id)).map_or(0, |user| user.access_position);
        if let Some(held) = self.cache.keys.get(id)
            && held.record_position == record.place.position
            && held.access_position == access_position
            && held.structure_position == self.structure_position
            && (held.from..held.until).contains(&now)
        {
            return Arc::clone(&held.access);
        }
        let mut permissions = permissions_of_key(record);
        let mut until = i64::MAX;
        if let Some(user_id) = accountable {
            let user = self.held_access(user_id, now);
            until = user.as_ref().map_or(until, |user| user.until);
            let own = user.map_or(PermissionSet::EMPTY, |user| user.resolved.access.permissions);
            permissions = permissions.intersection(&own);
        }
        let access = Arc::new(Access::everywhere(permissions));
        let held = HeldOfKey {
            record_position: record.place.position,
            access_position,
            structure_position: self.structure_position,
            from: now,
            until,
            access: Arc::clone(&access),
        };
        self.cache.keys.insert(Arc::clone(id), Arc::new(held));
        access
    }

    /// The names of all permissions of a role, built-in or custom, with those that it inherits; the organisation's own
    /// permissions among them. Empty for a role that is unknown or retired.
    pub fn permissions_of_role(&self, role: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        self.collect(role, &mut names);
        names
    }

    /// The names of all permissions that a person holds everywhere at `now`, the organisation's own among them, and,
    /// where a department is named, those that hold within it.
    pub fn permissions_of(&self, user_id: &str, department_id: Option<&str>, now: i64) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let user = self.users.get(user_id).filter(|user| user.status == UserStatus::Active);
        let (Some(user), None) = (user, &self.not_understood) else { return names };
        let above = department_id.map(|department_id| self.with_departments_above(department_id)).unwrap_or_default();
        for grant in current(user, now) {
            let holds_here = grant.department_id.as_deref().is_none_or(|within| above.contains(&within));
            if holds_here {
                self.collect(&grant.role, &mut names);
            }
        }
        names
    }

    /// The role by which somebody is known at `now`: the strongest built-in one that holds everywhere, else the first
    /// of the organisation's own.
    pub fn role_of(&self, user_id: &str, now: i64) -> Option<String> {
        self.access_of(user_id, now)?.roles.first().cloned()
    }

    /// Whether a person holds `role` everywhere at `now`, as such or because a role of theirs inherits it.
    pub fn holds_role(&self, user_id: &str, role: &str, now: i64) -> bool {
        let user = self.users.get(user_id).filter(|user| user.status == UserStatus::Active);
        let (Some(user), None) = (user, &self.not_understood) else { return false };
        current(user, now)
            .filter(|grant| grant.department_id.is_none())
            .any(|grant| self.lineage(&grant.role).iter().any(|name| name == role))
    }

    fn resolve(&self, user: &UserRecord, now: i64) -> (UserAccess, i64) {
        let until = user.grants.iter().filter_map(|grant| grant.expires_at).filter(|at| *at > now).min();
        let mut roles = BTreeSet::new();
        let mut everywhere = BTreeSet::new();
        let mut within: Vec<(&str, BTreeSet<String>)> = Vec::new();
        if user.status == UserStatus::Active {
            for grant in current(user, now) {
                let Some(department_id) = grant.department_id.as_deref() else {
                    if self.lineage(&grant.role).is_empty() {
                        continue;
                    }
                    roles.insert((strength(&grant.role), grant.role.clone()));
                    self.collect(&grant.role, &mut everywhere);
                    continue;
                };
                for department_id in self.with_departments_below(department_id) {
                    match within.iter_mut().find(|(id, _)| *id == department_id) {
                        Some((_, names)) => self.collect(&grant.role, names),
                        None => {
                            let mut names = BTreeSet::new();
                            self.collect(&grant.role, &mut names);
                            within.push((department_id, names));
                        }
                    }
                }
            }
        }
        let departments = within.into_iter().filter_map(|(id, names)| {
            let department = self.departments.get(id)?;
            Some(DepartmentAccess { id: id.to_owned(), name: department.name.clone(), permissions: set_of(&names) })
        });
        let access = Access { permissions: set_of(&everywhere), departments: departments.collect() };
        let roles = roles.into_iter().map(|(_, role)| role).collect();
        (UserAccess { status: user.status, roles, access: Arc::new(access) }, until.unwrap_or(i64::MAX))
    }

    /// The role and all that it inherits. Empty where it grants nothing.
    pub(super) fn lineage(&self, role: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut layer = vec![role.to_owned()];
        for _ in 0..=MAX_INHERITANCE_DEPTH {
            let mut next = Vec::new();
            for name in layer {
                if found.contains(&name) {
                    continue;
                }
                if let Some(row) = built_in(&name) {
                    next.extend(row.inherits.iter().map(|name| (*name).to_owned()));
                } else {
                    match self.roles.get(name.as_str()).filter(|record| !record.retired) {
                        Some(record) => next.extend(record.inherits.iter().cloned()),
                        None => continue,
                    }
                }
                found.push(name);
            }
            layer = next;
        }
        found
    }

    pub(super) fn collect(&self, role: &str, names: &mut BTreeSet<String>) {
        for name in self.lineage(role) {
            match built_in(&name) {
                Some(row) => names.extend(row.permissions.names().map(str::to_owned)),
                None => {
                    let record = self.roles.get(name.as_str());
                    names.extend(record.into_iter().flat_map(|record| record.permissions.iter().cloned()));
                }
            }
        }
    }
}

/// The grants that hold at `now`. An auditor's without an end is against the rules and does not count.
pub(super) fn current(user: &UserRecord, now: i64) -> impl Iterator<Item = &Grant> {
    let is_bounded = |grant: &Grant| grant.role != "auditor" || grant.expires_at.is_some();
    user.grants.iter().filter(move |grant| grant.is_current(now) && is_bounded(grant))
}

/// What a key's scopes cover, as far as its maker held it. A scope that means nothing covers nothing.
fn permissions_of_key(record: &ApiKeyRecord) -> PermissionSet {
    let covered = record.scopes.iter().filter_map(|scope| PermissionSet::from_scopes(&[scope]).ok());
    covered.fold(PermissionSet::EMPTY, |all, scope| all.union(&scope)).intersection(&set_of(&record.ceiling))
}

fn built_in(role: &str) -> Option<&'static BuiltInRole> {
    BUILT_IN_ROLES.iter().find(|row| row.name == role)
}

/// Where a role stands among others: built-in ones first, the strongest first of all.
fn strength(role: &str) -> usize {
    BUILT_IN_ROLES.iter().position(|row| row.name == role).unwrap_or(BUILT_IN_ROLES.len())
}

/// The names that routes may ask for, as a set; the organisation's own have no place in it.
fn set_of(names: &BTreeSet<String>) -> PermissionSet {
    PermissionSet::from_names(names.iter().map(String::as_str))
}
