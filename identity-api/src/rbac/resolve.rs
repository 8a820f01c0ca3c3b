//! What roles come to: their own permissions and those of the roles that they inherit, built-in and made.
//!
//! The directory resolves roles to the permissions that handlers ask for. Here the names of permissions that the
//! organisation defined for its own programs count as well, and roles that are only being made are judged.

use std::collections::{BTreeMap, BTreeSet};

use daybook_http_kit::Problem;
use daybook_http_kit::permission::MATRIX;
use daybook_http_kit::permission_set::PermissionSet;
use daybook_http_kit::role::{BUILT_IN_ROLES, BuiltInRole};
use daybook_identity::directory::{DirectoryState, RoleRecord};

/// Longest way from a role to the furthest one that it inherits.
const MAX_DEPTH: usize = 8;
/// Most roles that an organisation makes for itself, retired ones included.
const MAX_ROLES: usize = 200;

/// What a role permits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// Daybook's own permissions.
    pub(crate) own: PermissionSet,
    /// Permissions that the organisation defined.
    pub(crate) defined: BTreeSet<String>,
}

impl Resolved {
    /// All names, sorted.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.own.names().map(str::to_owned).chain(self.defined.iter().cloned()).collect()
    }

    fn add(&mut self, permission: &str) {
        if !self.own.insert(permission) {
            self.defined.insert(permission.to_owned());
        }
    }
}

/// The built-in role of this name, if it can be granted.
pub(crate) fn built_in(name: &str) -> Option<&'static BuiltInRole> {
    BUILT_IN_ROLES.iter().find(|row| row.name == name)
}

/// The role of this name that the organisation made, retired or not.
pub(crate) fn made<'a>(state: &'a DirectoryState, name: &str) -> Option<&'a RoleRecord> {
    state.roles.get(name).map(AsRef::as_ref)
}

/// What the role of this name permits; `None` where it cannot be granted.
pub(crate) fn resolve(state: &DirectoryState, name: &str) -> Option<Resolved> {
    if built_in(name).is_none() && made(state, name).is_none_or(|role| role.retired) {
        return None;
    }
    Some(resolve_all(state, [name], &BTreeMap::new()))
}

/// What the roles of these names permit together. `instead` has what some roles would inherit and permit by themselves
/// if a change were made.
fn resolve_all<'a>(
    state: &DirectoryState,
    names: impl IntoIterator<Item = &'a str>,
    instead: &BTreeMap<&str, (&BTreeSet<String>, &BTreeSet<String>)>,
) -> Resolved {
    let mut resolved = Resolved::default();
    let mut open: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        if let Some(row) = built_in(&name) {
            resolved.own = resolved.own.union(&row.permissions);
        } else if let Some((inherits, permissions)) = instead.get(name.as_str()) {
            permissions.iter().for_each(|permission| resolved.add(permission));
            open.extend(inherits.iter().cloned());
        } else if let Some(role) = made(state, &name).filter(|role| !role.retired) {
            role.permissions.iter().for_each(|permission| resolved.add(permission));
            open.extend(role.inherits.iter().cloned());
        }
    }
    resolved
}

/// What `name` would permit with this content.
pub(crate) fn resolve_changed(
    state: &DirectoryState,
    name: &str,
    inherits: &BTreeSet<String>,
    permissions: &BTreeSet<String>,
) -> Resolved {
    resolve_all(state, [name], &BTreeMap::from([(name, (inherits, permissions))]))
}

/// Whether a role may inherit these: each there, no circle, not too deep with all that is above it.
pub(crate) fn check_inherits(state: &DirectoryState, name: &str, inherits: &BTreeSet<String>) -> Result<(), Problem> {
    for inherited in inherits {
        if built_in(inherited).is_none() && made(state, inherited).is_none_or(|role| role.retired) {
            return Err(Problem::invalid("/inherits", format!("{inherited} is not a role of this organisation")));
        }
        if reaches(state, inherited, name) {
            return Err(Problem::refused("role.circular", format!("{inherited} inherits {name} already"))
                .at("/inherits", "a role cannot inherit itself by way of others"));
        }
    }
    let below = inherits.iter().map(|inherited| depth(state, inherited) + 1).max().unwrap_or(0);
    if below + height(state, name) > MAX_DEPTH {
        return Err(Problem::refused("role.too_deep", format!("roles inherit over at most {MAX_DEPTH} steps"))
            .at("/inherits", "leads too deep"));
    }
    Ok(())
}

fn reaches(state: &DirectoryState, from: &str, to: &str) -> bool {
    let mut open = vec![from];
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if seen.insert(name)
            && let Some(role) = made(state, name)
        {
            open.extend(role.inherits.iter().map(String::as_str));
        }
    }
    false
}

/// Steps from a role to the furthest below it. Built-in roles are flat: their permissions are in them.
fn depth(state: &DirectoryState, name: &str) -> usize {
    levels(name, |name| made(state, name).map(|role| role.inherits.clone()).unwrap_or_default())
}

/// Steps from a role to the furthest that inherits it.
fn height(state: &DirectoryState, name: &str) -> usize {
    let above = |name: &str| {
        let inheriting = state.roles.values().filter(|role| role.inherits.iter().any(|inherited| inherited == name));
        inheriting.map(|role| role.name.clone()).collect()
    };
    levels(name, above)
}

/// How many steps lead on from `name`, counted to one more than is allowed. Level by level: each role once a level.
fn levels(name: &str, next: impl Fn(&str) -> Vec<String>) -> usize {
    let mut level = BTreeSet::from([name.to_owned()]);
    for steps in 0..=MAX_DEPTH {
        level = level.iter().flat_map(|name| next(name)).collect();
        if level.is_empty() {
            return steps;
        }
    }
    MAX_DEPTH + 1
}

/// Refuses one role more than there may be.
pub(crate) fn check_room(state: &DirectoryState) -> Result<(), Problem> {
    if state.roles.len() < MAX_ROLES {
        return Ok(());
    }
    Err(Problem::refused("role.too_many", format!("an organisation makes at most {MAX_ROLES} roles")))
}

/// Refuses names that are no permissions, at `pointer`.
pub(crate) fn check_permissions(
    state: &DirectoryState,
    names: &BTreeSet<String>,
    pointer: &str,
) -> Result<(), Problem> {
    let known = |name: &str| MATRIX.iter().any(|row| row.name == name) || state.permissions.contains_key(name);
    match names.iter().find(|name| !known(name)) {
        None => Ok(()),
        Some(unknown) => Err(Problem::invalid(pointer, format!("{unknown} is not a permission"))),
    }
}
